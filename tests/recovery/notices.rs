//! Rows R22 and R40: who is told of what, once, and what is taken back.

use wox_events::{OpsEvent, PlayerEvent, TournamentEvent, tournament::PrizeKind};
use wox_projections::outbox::Outbox;
use wox_recovery::{
    log::EventLog,
    recovery::{Plan, Scope, apply},
};

use crate::{
    game::{Game, NOW, actor, called, g, label, nothing, one, progress, stream, who},
    logs::{FailingLog, Fails},
    tournaments::{T, paid, scheduled},
};

fn told(plan: &Plan) -> Vec<(String, String)> {
    plan.notices().map(|notice| (notice.audience.to_string(), notice.text.clone())).collect()
}

async fn pending(game: &Game) -> Vec<(String, String)> {
    let outbox = game.look().await.replay.state.outbox;
    outbox.pending.into_values().map(|notice| (notice.audience, notice.text)).collect()
}

#[tokio::test]
async fn everybody_is_told_what_they_got_and_why_and_nobody_else_is() {
    let mut game = Game::new();
    game.active_duel().await;
    game.player("eve", 0).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    let notices = [
        (
            "player-ann",
            "duel d against @ben counts for nobody (stuck): you got your stake back, 10 G bonus and 20 G withdrawable",
        ),
        (
            "player-ben",
            "duel d against @ann counts for nobody (stuck): you got your stake back, 0 G bonus and 30 G withdrawable",
        ),
        ("operators", "repaired by 4 events in 1 stream: 1 stuck_duel"),
    ]
    .map(|(audience, text)| (audience.to_owned(), text.to_owned()));
    assert_eq!(told(&plan), notices);
    assert!(pending(&game).await.is_empty(), "nothing is queued before it is true");
    game.carry_out(&plan).await;
    let mut queued = pending(&game).await;
    queued.sort();
    let mut expected = notices.to_vec();
    expected.sort();
    assert_eq!(queued, expected);
    let head = game.log.head().await.unwrap();
    game.apply(&plan).await.unwrap();
    assert_eq!(game.log.head().await.unwrap(), head, "twice applied is once told");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn the_id_of_a_notice_follows_from_the_event_and_from_who_is_told() {
    let make = async |clock: i64| {
        let mut game = Game::starting_at(clock);
        game.active_duel().await;
        game.wait(301).tick().await;
        game.plan().await
    };
    let (one, other) = (make(1_700_000_000_000_000).await, make(1_750_000_000_000_000).await);
    let ids = |plan: &Plan| plan.notices().map(|notice| notice.id).collect::<Vec<_>>();
    assert_eq!(ids(&one), ids(&other));
    let distinct: std::collections::BTreeSet<_> = ids(&one).into_iter().collect();
    assert_eq!(distinct.len(), 3);
}

#[tokio::test]
async fn a_prize_that_goes_elsewhere_takes_its_notice_back() {
    let mut game = scheduled().await;
    game.wait(301).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    let paying = game.plan().await;
    game.carry_out(&paying).await;
    let first = paying.notices().find(|notice| notice.audience.as_str() == "player-ann").unwrap().clone();
    assert_eq!(first.text, "you got 100 G, the first prize of tournament t");
    assert!(game.look().await.replay.state.outbox.pending.contains_key(&first.id.to_string()));

    let correct =
        Scope::Correct { tournament: stream(T), round: 2, slot: 0, winner: who("ben"), why: "ticket-95".into() };
    let plan = game.plan_for(&correct).await;
    let taken: Vec<_> = plan.items[0].takes_back.iter().map(|taken| taken.notice).collect();
    assert!(taken.contains(&first.id), "{:#?}", plan.items[0].takes_back);
    game.carry_out(&plan).await;
    let outbox = game.look().await.replay.state.outbox;
    assert!(!outbox.pending.contains_key(&first.id.to_string()));
    assert_eq!(outbox.superseded, taken.len() as u64);
    assert_eq!(game.kinds(&first.stream()).await, ["NoticeQueued", "NoticeSuperseded"]);
    assert!(pending(&game).await.iter().any(|(who, text)| who == "player-ann"
        && text == "100 G of a prize of tournament t went back into the pool: the results have changed"));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_prize_that_was_owed_is_told_anew_when_it_is_paid() {
    let game = Game::new();
    game.player("ann", 0).await;
    let name = "tournament-o";
    let opened = TournamentEvent::TournamentOpened {
        format: wox_events::tournament::Format::SingleElimination,
        title: called("cup"),
        entry_fee: wox_events::Amount::ZERO,
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(name, opened).await;
    let prizes = vec![crate::tournaments::prize(PrizeKind::First, "ann", 5)];
    game.tell(name, TournamentEvent::PrizeScheduleFixed { pool_at: g(5), total: g(5), prizes }).await;
    game.tell(name, TournamentEvent::TournamentClosed { winner: who("ann") }).await;
    game.carry_out(&game.plan().await).await;
    let owed = pending(&game).await;
    assert!(owed.iter().any(|(_, text)| text.contains("you are owed 5 G")), "{owed:?}");
    for _ in 0..5 {
        game.tick().await;
    }
    game.carry_out(&game.plan().await).await;
    let now = pending(&game).await;
    assert!(now.iter().all(|(_, text)| !text.contains("owed")), "{now:?}");
    assert!(now.iter().any(|(_, text)| text == "you got 5 G, the first prize of tournament o"), "{now:?}");
}

#[tokio::test]
async fn a_notice_that_was_sent_is_not_pending_and_can_still_be_taken_back() {
    let mut game = scheduled().await;
    game.tell(T, paid(PrizeKind::First, "ann", 100)).await;
    game.wait(301).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    let plan = game.plan().await;
    game.carry_out(&plan).await;
    let ben = plan.notices().find(|notice| notice.audience.as_str() == "player-ben").unwrap().clone();
    let sent = OpsEvent::NoticeSent { notice: ben.id, remote: label("17") };
    game.forge(ben.stream().as_str(), "wox", sent).await;
    assert!(!game.look().await.replay.state.outbox.pending.contains_key(&ben.id.to_string()));
    let correct =
        Scope::Correct { tournament: stream(T), round: 2, slot: 0, winner: who("ben"), why: "ticket-95".into() };
    let correction = game.plan_for(&correct).await;
    assert!(correction.items[0].takes_back.iter().any(|taken| taken.notice == ben.id));
    game.carry_out(&correction).await;
    assert_eq!(game.kinds(&ben.stream()).await, ["NoticeQueued", "NoticeSent", "NoticeSuperseded"]);
    assert!(game.look().await.replay.held().is_empty());
}

/// The engine paid all prizes and told so; then the final is corrected, approved, and its plan waits to be applied.
async fn correction() -> (Game, Plan) {
    let mut game = scheduled().await;
    game.wait(301).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    game.carry_out(&game.plan().await).await;
    let correct =
        Scope::Correct { tournament: stream(T), round: 2, slot: 0, winner: who("ben"), why: "ticket-95".into() };
    let plan = game.plan_for(&correct).await;
    assert!(plan.items.iter().any(|item| !item.takes_back.is_empty()));
    game.propose(&plan).await;
    game.approve(&plan).await;
    (game, plan)
}

/// What waits and what was taken back, places in the log aside.
fn outcome(outbox: &Outbox) -> (Vec<(String, String)>, u64) {
    let pending = outbox.pending.iter().map(|(id, notice)| (id.clone(), notice.text.clone())).collect();
    (pending, outbox.superseded)
}

#[tokio::test]
async fn a_crash_between_any_two_appends_loses_no_notice_and_doubles_none() {
    let (game, plan) = correction().await;
    game.apply(&plan).await.unwrap();
    let whole = outcome(&game.look().await.replay.state.outbox);
    for fails in [Fails::NotDone, Fails::ReplyLost] {
        for appends in 0.. {
            let (game, plan) = correction().await;
            let dying = FailingLog::new(&game.log, appends, fails);
            let first = apply(&dying, plan.id, &actor("alice"), NOW, one(), &progress()).await;
            assert_eq!(first.is_err(), dying.failed(), "{first:?}");
            game.apply(&plan).await.unwrap();
            let evidence = game.look().await;
            assert_eq!(outcome(&evidence.replay.state.outbox), whole, "after {appends} appends, {fails:?}");
            assert!(evidence.replay.held().is_empty());
            assert!(game.count_of(&plan).await.iter().all(|count| *count == 1));
            if !dying.failed() {
                assert!(appends > 10, "the plan has many appends");
                break;
            }
        }
    }
}

#[tokio::test]
async fn operators_keep_the_report_of_a_repair_that_is_corrected_later() {
    let (game, plan) = correction().await;
    let reports = async || {
        let outbox = game.look().await.replay.state.outbox;
        outbox.pending.into_values().filter(|notice| notice.audience == "operators").count()
    };
    assert_eq!(reports().await, 1);
    game.apply(&plan).await.unwrap();
    assert_eq!(reports().await, 2);
    let back = Scope::Correct { tournament: stream(T), round: 2, slot: 0, winner: who("ann"), why: "ticket-96".into() };
    game.carry_out(&game.plan_for(&back).await).await;
    assert_eq!(reports().await, 3, "what was repaired was repaired");
}

#[tokio::test]
async fn what_was_told_of_a_prize_is_taken_back_with_the_result_it_was_paid_by() {
    let mut game = scheduled().await;
    game.wait(301).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    game.carry_out(&game.plan().await).await;
    // Ann has spent it: it cannot be taken back by an event, and still she did not win.
    game.spend("ann", 0, 130).await;
    let correct =
        Scope::Correct { tournament: stream(T), round: 2, slot: 0, winner: who("ben"), why: "ticket-95".into() };
    game.carry_out(&game.plan_for(&correct).await).await;
    let now = pending(&game).await;
    let of_ann: Vec<_> = now.iter().filter(|(who, _)| who == "player-ann").map(|(_, text)| text.as_str()).collect();
    assert_eq!(of_ann, ["your match in round 2 of tournament t was corrected: you lost"], "{now:?}");
}

#[tokio::test]
async fn whose_late_post_is_decided_again_is_not_promised_that_it_counts() {
    let mut game = Game::new();
    game.active_duel().await;
    game.turn("d", 1, "ann").await;
    game.wait(10).stop_agent().await;
    game.wait(5);
    let post = ((game.clock / 1000 - 1_288_834_974_657) as u64) << 22;
    game.wait(600).resume_agent().await;
    let received = wox_events::CommandEvent::CommandReceived {
        author: who("ben"),
        verb: label("cast"),
        arguments: "incendio".into(),
    };
    game.tell(&format!("command-{post}"), received).await;
    let plan = game.plan().await;
    let text = told(&plan).into_iter().find(|(_, text)| text.contains(&post.to_string())).unwrap().1;
    assert_eq!(
        text,
        format!(
            "what you posted in the outage is decided now for duel d, in the order it was posted: {post}; the answer says whether it counts"
        )
    );
}
