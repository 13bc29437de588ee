//! Rows R10 and R11: brackets that do not follow from the results, prizes that do not follow from the schedule.

use wox_events::{
    Amount, TournamentEvent,
    tournament::{Format, MatchEnd, Pairing, Prize, PrizeKind},
};

use crate::game::{Game, called, g, id_of, label, named, nothing, says, split, who};

pub const T: &str = "tournament-t";
const PLAYERS: [&str; 4] = ["ann", "ben", "cid", "dot"];

pub fn pair(first: &str, second: &str) -> Pairing {
    Pairing { first: Some(who(first)), second: Some(who(second)) }
}

pub fn won(round: u8, slot: u16, winner: &str, loser: &str) -> TournamentEvent {
    TournamentEvent::MatchDecided {
        round,
        slot,
        winner: who(winner),
        loser: Some(who(loser)),
        reason: MatchEnd::Played,
        duel: None,
    }
}

pub fn opened(round: u8, matches: Vec<Pairing>) -> TournamentEvent {
    TournamentEvent::RoundOpened { round, matches }
}

/// Four players who paid 50 G each, drawn in order of their names.
pub async fn drawn(format: Format) -> Game {
    let game = Game::new();
    for player in PLAYERS {
        game.player(player, 100).await;
    }
    let opened = TournamentEvent::TournamentOpened {
        format,
        title: called("daily"),
        entry_fee: g(50),
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(T, opened).await;
    for player in PLAYERS {
        game.tell(T, TournamentEvent::PlayerRegistered { player: who(player), entry: split(0, 50) }).await;
    }
    game.tell(T, TournamentEvent::TournamentSeeded { seeds: PLAYERS.map(who).to_vec() }).await;
    game
}

/// The first round is played: ann and ben go on.
pub async fn first_round_played() -> Game {
    let game = drawn(Format::SingleElimination).await;
    game.tell(T, opened(1, vec![pair("ann", "dot"), pair("ben", "cid")])).await;
    game.tell(T, won(1, 0, "ann", "dot")).await;
    game.tell(T, won(1, 1, "ben", "cid")).await;
    game
}

pub fn prize(kind: PrizeKind, player: &str, amount: u64) -> Prize {
    Prize { prize: kind, player: who(player), amount: g(amount) }
}

pub fn paid(kind: PrizeKind, player: &str, amount: u64) -> TournamentEvent {
    TournamentEvent::PrizePaid { prize: kind, player: who(player), amount: g(amount) }
}

/// Ann won before ben; the pool holds the 200 G of the entries, the schedule wants 100, 60, 20, 20.
pub async fn scheduled() -> Game {
    let game = first_round_played().await;
    game.tell(T, opened(2, vec![pair("ann", "ben")])).await;
    game.tell(T, won(2, 0, "ann", "ben")).await;
    let prizes = vec![
        prize(PrizeKind::First, "ann", 100),
        prize(PrizeKind::Second, "ben", 60),
        prize(PrizeKind::Third, "cid", 20),
        prize(PrizeKind::Fourth, "dot", 20),
    ];
    game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at: g(200), total: g(200), prizes }).await;
    game
}

#[tokio::test]
async fn a_right_bracket_is_left_alone() {
    let game = first_round_played().await;
    game.tell(T, opened(2, vec![pair("ann", "ben")])).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_misdrawn_round_is_rebuilt_and_played_again() {
    let game = first_round_played().await;
    game.tell(T, opened(2, vec![pair("ann", "cid")])).await;
    game.tell(T, won(2, 0, "cid", "ann")).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        misdrawn_bracket WOX-GAME-TOURN-001 high since tournament-t@10: 1 of 1 pairings of round 2 do not follow from the results; what stands on it counts for nobody: 2/0 (experience gained stays)
        on tournament-t@11
          MatchVoided: void match 2/0
          BracketRebuilt: rebuild round 2 as it follows from the results
          MatchReplayOrdered: player ann and player ben play 2/0
        ",
    );
    assert!(!plan.needs_approval, "no money moves");
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    game.tell(T, won(2, 0, "ben", "ann")).await;
    nothing(&game.plan().await);
    assert!(game.look().await.replay.held().is_empty());
}

#[tokio::test]
async fn only_the_wrong_pairings_of_a_round_are_played_again() {
    let game = drawn(Format::SingleElimination).await;
    game.tell(T, opened(1, vec![pair("ann", "dot"), pair("ben", "ann")])).await;
    game.tell(T, won(1, 0, "dot", "ann")).await;
    let plan = game.plan().await;
    let kinds: Vec<&str> = plan.items[0].steps.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["BracketRebuilt"], "the right match stands, the wrong one was not played");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_misdrawn_round_takes_the_rounds_and_the_prizes_that_stand_on_it_along() {
    let game = drawn(Format::SingleElimination).await;
    game.tell(T, opened(1, vec![pair("ann", "ben"), pair("cid", "dot")])).await;
    game.tell(T, won(1, 0, "ann", "ben")).await;
    game.tell(T, won(1, 1, "cid", "dot")).await;
    game.tell(T, opened(2, vec![pair("ann", "cid")])).await;
    let prizes = vec![prize(PrizeKind::First, "ann", 10)];
    game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at: g(200), total: g(10), prizes }).await;
    game.tell(T, paid(PrizeKind::First, "ann", 10)).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        misdrawn_bracket WOX-GAME-TOURN-001 high since tournament-t@7: 2 of 2 pairings of round 1 do not follow from the results; what stands on it counts for nobody: 1/0, 1/1 (experience gained stays)
        unfixed_schedule WOX-GAME-TOURN-004 critical since tournament-t@11: the prize schedule stands on matches that count for nobody
        wrong_prize WOX-BANK-PRIZE-002 critical since tournament-t@12: 10 G were paid to player ann as first prize, and the match that decides it is to be played again
        on tournament-t@12
          MatchVoided: void match 1/0
          MatchVoided: void match 1/1
          BracketRebuilt: rebuild round 1 as it follows from the draw
          BracketRebuilt: rebuild round 2 as far as it follows from the results; one match waits for the one before it
          MatchReplayOrdered: player ann and player dot play 1/0
          MatchReplayOrdered: player ben and player cid play 1/1
          PrizeScheduleWithdrawn: withdraw the prize schedule; its amounts stay frozen
          PrizeReversed: take 10 G back from player ann
            10 G withdrawable:ann -> pool
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_round_robin_in_which_two_meet_twice_is_left_to_people() {
    let game = drawn(Format::RoundRobin).await;
    let round = || vec![pair("ann", "dot"), pair("ben", "cid")];
    game.tell(T, opened(1, round())).await;
    nothing(&game.plan().await);
    game.tell(T, opened(2, round())).await;
    let plan = game.plan().await;
    assert!(!plan.changes);
    assert_eq!(plan.held[0].why, "a round robin has no one right order of rounds to rebuild it from");
    assert_eq!(plan.held[0].next, "decide with the players which of the matches count");
}

#[tokio::test]
async fn prizes_nobody_was_paid_are_paid_once_the_tournament_has_stopped() {
    let mut game = scheduled().await;
    game.tell(T, paid(PrizeKind::First, "ann", 100)).await;
    game.wait(300).tell("player-ann", wox_events::PlayerEvent::TitleAwarded { title: called("idle") }).await;
    nothing(&game.plan().await);
    game.clock += 1;
    game.tell("player-ann", wox_events::PlayerEvent::TitleAwarded { title: called("idler") }).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unpaid_prize WOX-GAME-TOURN-004 critical since tournament-t@12: 3 of 4 prizes are unpaid: second 60 G to ben, third 20 G to cid, fourth 20 G to dot
        on tournament-t@13
          PrizePaid: pay second prize of 60 G to player ben
            60 G pool -> withdrawable:ben
          PrizePaid: pay third prize of 20 G to player cid
            20 G pool -> withdrawable:cid
          PrizePaid: pay fourth prize of 20 G to player dot
            20 G pool -> withdrawable:dot
          TournamentClosed: close it: player ann won
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn an_outage_does_not_make_prizes_late() {
    let mut game = scheduled().await;
    game.stop_agent().await;
    game.wait(10_000).resume_agent().await;
    nothing(&game.plan().await);
    game.wait(301).tick().await;
    assert_eq!(named(&game.diagnosis().await, "unpaid_prize").len(), 1);
}

/// The schedule promises 240 G and the pool holds the 200 G of the entries.
async fn short_pool() -> Game {
    let game = first_round_played().await;
    game.tell(T, opened(2, vec![pair("ann", "ben")])).await;
    game.tell(T, won(2, 0, "ann", "ben")).await;
    let prizes = vec![prize(PrizeKind::First, "ann", 150), prize(PrizeKind::Second, "ben", 90)];
    game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at: g(240), total: g(240), prizes }).await;
    game.tell(T, TournamentEvent::TournamentClosed { winner: who("ann") }).await;
    game
}

#[tokio::test]
async fn what_the_pool_cannot_hold_is_owed_then_paid_when_it_can() {
    let game = short_pool().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unpaid_prize WOX-GAME-TOURN-004 critical since tournament-t@12: 2 of 2 prizes are unpaid: first 150 G to ann, second 90 G to ben
        on tournament-t@13
          PrizePaid: pay first prize of 150 G to player ann
            150 G pool -> withdrawable:ann
          PrizeDeferred: owe second prize of 90 G to player ben: the pool has 50 G left
        HELD unpaid_prize tournament-t: the pool is too short for second 90 G to ben
          why: the pool has 50 G left, and a prize is never paid from money that is not there
          next: put money into the pool as a contribution and plan again; the prize is owed until then
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "remaining", "it is owed, as planned");
    let again = game.plan().await;
    assert!(!again.changes, "what is owed already is not owed again: {:#?}", again.items);
    says(
        &again,
        "
        HELD unpaid_prize tournament-t: the pool is too short for second 90 G to ben
          why: the pool has 50 G left, and a prize is never paid from money that is not there
          next: put money into the pool as a contribution and plan again; the prize is owed until then
        ",
    );
    for _ in 0..40 {
        game.tick().await;
    }
    let then = game.plan().await;
    assert_eq!(then.items[0].steps[0].says, "pay second prize of 90 G to player ben");
    assert_eq!(game.carry_out(&then).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn two_tournaments_do_not_promise_the_same_pool_twice() {
    let game = short_pool().await;
    let other = "tournament-u";
    let opened = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: Amount::ZERO,
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(other, opened).await;
    let prizes = vec![prize(PrizeKind::First, "cid", 60)];
    game.tell(other, TournamentEvent::PrizeScheduleFixed { pool_at: g(60), total: g(60), prizes }).await;
    game.tell(other, TournamentEvent::TournamentClosed { winner: who("cid") }).await;
    let plan = game.plan().await;
    let steps: Vec<&str> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.says.as_str()).collect();
    assert_eq!(
        steps,
        [
            "pay first prize of 150 G to player ann",
            "owe second prize of 90 G to player ben: the pool has 50 G left",
            "owe first prize of 60 G to player cid: the pool has 50 G left",
        ]
    );
    assert_eq!(game.carry_out(&plan).await.name(), "remaining");
    assert!(!game.plan().await.changes);
}

#[tokio::test]
async fn a_prize_paid_to_the_wrong_player_goes_back_and_to_the_right_one() {
    let game = scheduled().await;
    game.tell(T, paid(PrizeKind::First, "ben", 100)).await;
    for (kind, player, amount) in [(PrizeKind::Second, "ben", 60), (PrizeKind::Third, "cid", 20)] {
        game.tell(T, paid(kind, player, amount)).await;
    }
    game.tell(T, paid(PrizeKind::Fourth, "dot", 20)).await;
    game.tell(T, TournamentEvent::TournamentClosed { winner: who("ann") }).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        wrong_prize WOX-BANK-PRIZE-002 critical since tournament-t@13: 100 G were paid to player ben as first prize, which the schedule does not say
        unpaid_prize WOX-GAME-TOURN-004 critical since tournament-t@12: 1 of 4 prizes are unpaid: first 100 G to ann
        on tournament-t@17
          PrizeReversed: take 100 G back from player ben
            100 G withdrawable:ben -> pool
          PrizePaid: pay first prize of 100 G to player ann
            100 G pool -> withdrawable:ann
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_prize_paid_twice_goes_back_once() {
    let game = scheduled().await;
    for (kind, player, amount) in [(PrizeKind::First, "ann", 100), (PrizeKind::Second, "ben", 60)] {
        game.tell(T, paid(kind, player, amount)).await;
    }
    game.tell(T, paid(PrizeKind::Third, "cid", 20)).await;
    game.tell(T, paid(PrizeKind::Third, "cid", 20)).await;
    game.tick().await;
    let plan = game.plan().await;
    assert_eq!(plan.items.len(), 1);
    assert_eq!(plan.items[0].findings[0].since.as_ref().unwrap().id, id_of(T, 16));
    game.carry_out(&plan).await;
    assert!(named(&game.diagnosis().await, "wrong_prize").is_empty());
    assert_eq!(game.player_has("cid").await.1, g(70));
}

/// One stream takes one atomic batch, so its repair cannot be cut: the plan of it is larger than one event may be.
#[tokio::test]
async fn a_repair_of_one_stream_larger_than_one_event_is_one_plan() {
    let game = scheduled().await;
    let contributed = wox_events::PoolEvent::PoolContributed { amount: g(1000), source: label("treasury") };
    game.tell("pool-main", contributed).await;
    for _ in 0..900 {
        game.tell(T, paid(PrizeKind::Third, "cid", 1)).await;
    }
    let plan = game.plan().await;
    assert_eq!((plan.items.len(), plan.items[0].steps.len(), plan.deferred), (1, 900, 0));
    assert!(serde_json::to_string(&plan).unwrap().len() > wox_recovery::log::DATA_BYTES_MAX);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    let kinds = game.kinds(&plan.stream()).await;
    assert_eq!(kinds[..2], ["PlanProposed", "PlanPiece"]);
    assert_eq!(game.player_has("cid").await.1, g(50));
    assert_eq!(game.apply(&plan).await.unwrap(), wox_recovery::recovery::Applied::Nothing);
}

#[tokio::test]
async fn a_wrong_prize_that_is_spent_is_left_to_people() {
    let game = scheduled().await;
    game.tell(T, paid(PrizeKind::First, "ben", 100)).await;
    game.spend("ben", 0, 149).await;
    let plan = game.plan().await;
    assert!(!plan.changes);
    assert_eq!(plan.held[0].why, "player ben (@ben) holds 1 G of the 100 G that must go back");
    assert_eq!(
        plan.held[0].next,
        "agree with the player how the rest goes back, then record it as an incident: wox recover tournament t --accept --second NAME --why WHAT-WAS-DONE"
    );
}

#[tokio::test]
async fn a_prize_that_this_engine_paid_and_a_person_took_back_is_paid_again() {
    let mut game = scheduled().await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    game.carry_out(&plan).await;
    let first = &plan.items[0].steps[0];
    assert_eq!(first.says, "pay first prize of 100 G to player ann");
    let back = TournamentEvent::PrizeReversed { player: who("ann"), amount: g(100), corrects: first.id };
    game.tell(T, back).await;
    let again = game.plan().await;
    assert_eq!(again.items[0].steps[0].says, first.says);
    assert_ne!(again.items[0].steps[0].id, first.id, "another cause, another payment");
    assert_eq!(game.carry_out(&again).await.name(), "verified");
    assert_eq!(game.player_has("ann").await.1, g(150));
    nothing(&game.plan().await);
}
