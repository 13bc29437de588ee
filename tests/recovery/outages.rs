//! Rows R08 and R23 around an outage: clocks that stood still, a person's decision, and posts that came late.

use wox_events::{
    AgentEvent, CommandEvent, DuelEvent, Duration, Event, Timestamp, command::posted_at, duel::EndReason,
};
use wox_recovery::recovery::{Choice, Plan, Scope};

use crate::game::{Game, duel_state, g, id_of, label, named, nothing, says, split, stream, who};

/// The id of a post made now; the last digits tell posts of one millisecond apart.
fn post(game: &Game, number: u64) -> u64 {
    const EPOCH_MILLIS: i64 = 1_288_834_974_657;
    let id = ((game.clock / 1000 - EPOCH_MILLIS) as u64) << 22 | number;
    assert_eq!(posted_at(&id.to_string()).unwrap().0 / 1000, game.clock / 1000);
    id
}

/// A command arrives that was posted under this id.
async fn arrives(game: &Game, post: u64, author: &str, verb: &str) {
    let received =
        CommandEvent::CommandReceived { author: who(author), verb: label(verb), arguments: "incendio".into() };
    game.tell(&format!("command-{post}"), received).await;
}

fn decide(choice: Choice) -> Scope {
    Scope::Interrupted { duel: stream("duel-d"), choice, why: "ticket-90".into() }
}

/// Ann moved, then the agent was away for 600 s: it is ben's turn.
async fn interrupted() -> Game {
    let mut game = Game::new();
    game.active_duel().await;
    game.turn("d", 1, "ann").await;
    game.wait(20).stop_agent().await;
    game.wait(600).resume_agent().await;
    game
}

fn step(plan: &Plan, kind: &str) -> Event {
    let (item, step) = plan
        .items
        .iter()
        .flat_map(|item| item.steps.iter().map(move |step| (item, step)))
        .find(|(_, step)| step.kind == kind)
        .unwrap_or_else(|| panic!("no {kind} in {plan:#?}"));
    Event::decode(&item.stream, &step.kind, step.version, step.data.as_str()).unwrap()
}

#[tokio::test]
async fn r08_an_interrupted_duel_is_voided_by_decision_and_both_stakes_go_back() {
    let mut game = interrupted().await;
    game.wait(10).tick().await;
    let plan = game.plan_for(&decide(Choice::Void)).await;
    says(
        &plan,
        "
        interrupted_duel WOX-GAME-DUEL-005 high since agent-main@1: ann against ben was interrupted after turn 1 by an outage of 600 s
        on duel-d@5
          DuelInterrupted: record the interruption after turn 1
          DuelVoided: void the duel: it counts for nobody
          StakeReleased: give player ann back 10 G bonus and 20 G withdrawable
            10 G escrow:d -> bonus:ann
            20 G escrow:d -> withdrawable:ann
          StakeReleased: give player ben back 0 G bonus and 30 G withdrawable
            30 G escrow:d -> withdrawable:ben
        ",
    );
    assert!(plan.needs_approval);
    let handles: Vec<String> = plan.items[0].concerns.iter().map(|person| person.handle.to_string()).collect();
    assert_eq!(handles, ["@ann", "@ben"]);
    assert_eq!(plan.items[0].needs, ["another person's approval"]);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r08_an_interrupted_duel_is_resumed_by_decision_like_by_itself() {
    let game = interrupted().await;
    let (by_itself, decided) = (game.plan().await, game.plan_for(&decide(Choice::Resume)).await);
    assert_eq!(by_itself.items, decided.items);
    assert_ne!(by_itself.id, decided.id, "the reason is part of the plan");
    assert!(!decided.needs_approval);
    game.carry_out(&decided).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r09_a_stuck_duel_goes_on_when_a_person_decides_so_and_is_voided_like_by_itself_otherwise() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(301).tick().await;
    let void = game.plan_for(&decide(Choice::Void)).await;
    assert_eq!(void.items, game.plan().await.items.into_iter().collect::<Vec<_>>());
    let resume = game.plan_for(&decide(Choice::Resume)).await;
    says(
        &resume,
        "
        stuck_duel WOX-GAME-DUEL-003 high since duel-d@4: ann against ben: nobody has moved for more than 300 s since turn 0
        on duel-d@4
          DuelStuckDetected: record that nobody moved for 300 s
          DuelResumed: go on with turn 1 of player ann
        ",
    );
    assert!(!resume.needs_approval);
    game.carry_out(&resume).await;
    nothing(&game.plan().await);
    game.turn("d", 1, "ann").await;
    assert!(game.look().await.replay.held().is_empty());
}

#[tokio::test]
async fn r08_a_decision_that_does_not_fit_changes_nothing_and_says_why() {
    let mut game = Game::new();
    game.active_duel().await;
    for choice in [Choice::Resume, Choice::Void] {
        let plan = game.plan_for(&decide(choice)).await;
        assert!(!plan.changes && !plan.needs_approval);
        assert_eq!(plan.held[0].why, "no outage interrupted it, or its interruption is dealt with already");
        assert_eq!(plan.held[0].concerns.len(), 2);
        let other = Scope::Interrupted { duel: stream("player-ann"), choice, why: "ticket-90".into() };
        assert_eq!(game.plan_for(&other).await.held[0].why, "only a duel can be resumed or voided");
    }
    game.wait(10).stop_agent().await;
    game.wait(10).tick().await;
    let resume = game.plan_for(&decide(Choice::Resume)).await;
    assert_eq!(resume.held[0].why, "the game is still away: nobody could go on");
    let void = game.plan_for(&decide(Choice::Void)).await;
    assert_eq!(void.items[0].steps[0].kind, "DuelVoided", "it can be voided while the game is away");
    game.carry_out(&void).await;
    let again = game.plan_for(&decide(Choice::Void)).await;
    assert!(!again.changes);
    assert_eq!(again.held[0].why, "only a duel that is being fought can be resumed or voided");
}

#[tokio::test]
async fn r08_timers_are_extended_by_exactly_the_outage_and_overlaps_count_once() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(10).stop_agent().await;
    game.clock += 7;
    let opened = AgentEvent::StreamGapOpened { since: game.now(), since_post: label("100") };
    game.tell("agent-main", opened).await;
    game.wait(100).resume_agent().await;
    game.clock += 3;
    let filled = AgentEvent::StreamGapFilled { until: game.now(), method: label("since_id"), count: 0 };
    game.tell("agent-main", filled).await;
    let plan = game.plan().await;
    let away = Duration(100_000_010);
    assert_eq!(step(&plan, "TimersExtended"), Event::Duel(DuelEvent::TimersExtended { by: away }));
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

/// The two posts arrive in the other order than they were made, and as text the later one is the smaller: the ids get one
/// digit more between them.
#[tokio::test]
async fn r23_late_posts_are_ordered_by_the_number_of_the_post_and_nothing_else() {
    let mut game = Game::starting_at(1_527_253_538_000_000);
    game.active_duel().await;
    game.wait(5).stop_agent().await;
    game.wait(5);
    let first = post(&game, 1);
    game.wait(20);
    let second = post(&game, 1);
    assert!(first < second && first.to_string() > second.to_string());
    game.wait(600).resume_agent().await;
    arrives(&game, second, "ben", "use").await;
    arrives(&game, first, "ann", "cast").await;
    let plan = game.plan().await;
    says(
        &plan,
        &format!(
            "
        interrupted_duel WOX-GAME-DUEL-005 high since agent-main@1: ann against ben was interrupted after turn 0 by an outage of 625 s; posted meanwhile: post {first} (cast by player ann), post {second} (use by player ben)
        on duel-d@4
          DuelInterrupted: record the interruption after turn 0
          TimersExtended: give back 625 s
          DuelResumed: go on with turn 1 of player ann
          LatePostsOrdered: decide again, in this order: post {first} (cast by player ann), post {second} (use by player ben)
        "
        ),
    );
    assert!(!plan.needs_approval, "no money moves and no die is rolled");
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);

    // The game does as it was told.
    for (post, turn, player) in [(first, 1, "ann"), (second, 2, "ben")] {
        let decided_at = game.look().await.as_of;
        game.tell(&format!("command-{post}"), CommandEvent::CommandRedriven { decided_at }).await;
        game.tell(&format!("command-{post}"), CommandEvent::CommandAccepted { code: 200 }).await;
        game.turn("d", turn, player).await;
    }
    let evidence = game.look().await;
    assert!(evidence.replay.held().is_empty() && evidence.replay.state.commands.open.is_empty());
    assert_eq!(duel_state(&evidence, "d").turn, 2);
}

/// Every order of arrival of four posts gives the one order in which they were made.
#[tokio::test]
async fn r23_no_order_of_arrival_changes_the_order_of_the_posts() {
    for order in 0..24 {
        let mut game = Game::new();
        game.active_duel().await;
        game.wait(5).stop_agent().await;
        let mut posts: Vec<(u64, String)> = Vec::new();
        for (number, player) in [(3, "ann"), (1, "ben"), (7, "ann"), (7, "ben")] {
            game.clock += 1_000;
            posts.push((post(&game, number), player.to_owned()));
        }
        game.wait(60).resume_agent().await;
        let mut left = posts.clone();
        for radix in [order / 6, order / 2 % 3, order % 2, 0] {
            let (id, player) = left.remove(radix);
            arrives(&game, id, &player, "cast").await;
        }
        let Event::Duel(DuelEvent::LatePostsOrdered { posts: ordered, .. }) =
            step(&game.plan().await, "LatePostsOrdered")
        else {
            panic!("another event")
        };
        let ordered: Vec<(u64, String)> =
            ordered.iter().map(|late| (late.post.as_str().parse().unwrap(), late.player.to_string())).collect();
        assert_eq!(ordered, posts, "{order}");
    }
}

#[tokio::test]
async fn e2_an_acceptance_the_game_never_decides_about_does_not_hold_the_stakes_for_ever() {
    let mut game = Game::new();
    game.player("ann", 100).await;
    game.player("ben", 100).await;
    game.challenge("d", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.wait(50).stop_agent().await;
    game.wait(10);
    let accept = post(&game, 1);
    game.wait(100).resume_agent().await;
    arrives(&game, accept, "ben", "accept").await;
    game.carry_out(&game.plan().await).await;
    nothing(&game.plan().await);
    // Five minutes after it was told to, by the clock of the people who told it.
    game.clock = crate::game::NOW.0 + 500_000_000;
    game.tick().await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[0].kind, "ChallengeExpired", "{plan:#?}");
}

#[tokio::test]
async fn r23_posts_that_are_read_after_the_duel_went_on_are_ordered_too_once() {
    let mut game = interrupted().await;
    game.clock -= 300_000_000;
    let missed = post(&game, 4);
    game.clock += 300_000_000;
    let plan = game.plan().await;
    game.carry_out(&plan).await;
    arrives(&game, missed, "ben", "cast").await;
    let late = game.plan().await;
    says(
        &late,
        &format!(
            "
        late_post WOX-TWIT-MON-002 medium since command-{missed}@1: duel d is active and the game has not decided about post {missed} (cast by player ben)
        on duel-d@8
          LatePostsOrdered: decide again, in this order: post {missed} (cast by player ben)
        "
        ),
    );
    assert_eq!(game.carry_out(&late).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r23_a_late_spell_after_a_void_is_refused_and_changes_nothing() {
    let mut game = interrupted().await;
    game.clock -= 300_000_000;
    let spell = post(&game, 4);
    game.clock += 300_000_000;
    let void = game.plan_for(&decide(Choice::Void)).await;
    game.carry_out(&void).await;
    arrives(&game, spell, "ben", "cast").await;
    let before = game.look().await;
    let plan = game.plan().await;
    says(
        &plan,
        &format!(
            "
        late_post WOX-TWIT-MON-002 medium since command-{spell}@1: post {spell} (cast by player ben) comes too late for duel d: the duel is voided
        on command-{spell}@1
          CommandRejected: refuse post {spell} of player ben: the duel is voided, it changes nothing
        "
        ),
    );
    game.carry_out(&plan).await;
    let after = game.look().await;
    assert_eq!(duel_state(&before, "d"), duel_state(&after, "d"));
    assert_eq!(before.replay.state.ledger, after.replay.state.ledger);
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r23_a_void_by_decision_refuses_the_posts_that_wait() {
    let mut game = interrupted().await;
    game.clock -= 300_000_000;
    let spell = post(&game, 4);
    game.clock += 300_000_000;
    arrives(&game, spell, "ben", "cast").await;
    let plan = game.plan_for(&decide(Choice::Void)).await;
    assert_eq!(plan.items.len(), 2);
    assert_eq!(plan.items[1].steps[0].kind, "CommandRejected");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r23_a_move_whose_turn_was_over_before_the_outage_comes_too_late() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(31).stop_agent().await;
    game.wait(10);
    let late = post(&game, 1);
    game.wait(100).resume_agent().await;
    arrives(&game, late, "ann", "cast").await;
    let plan = game.plan().await;
    assert!(plan.items.iter().flat_map(|item| &item.steps).all(|step| step.kind != "LatePostsOrdered"));
    assert_eq!(
        plan.items[1].steps[0].says,
        format!("refuse post {late} of player ann: its time was over before the outage began, it changes nothing")
    );
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r23_a_post_that_is_read_late_is_judged_by_the_move_before_it_not_by_the_resumption() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(31).stop_agent().await;
    game.wait(10);
    let late = post(&game, 1);
    game.wait(100).resume_agent().await;
    game.carry_out(&game.plan().await).await;
    arrives(&game, late, "ann", "cast").await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[0].kind, "CommandRejected");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r09_posts_about_a_stuck_duel_are_refused_with_its_void() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(400).stop_agent().await;
    game.wait(10);
    let late = post(&game, 1);
    game.wait(100).resume_agent().await;
    arrives(&game, late, "ann", "cast").await;
    let plan = game.plan().await;
    let kinds: Vec<&str> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["DuelStuckDetected", "DuelVoided", "StakeReleased", "StakeReleased", "CommandRejected"]);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn e2_an_acceptance_posted_in_the_outage_beats_the_clock_of_the_challenge() {
    for (posted_after, counts) in [(100, true), (500, true)] {
        let mut game = Game::new();
        game.player("ann", 100).await;
        game.player("ben", 100).await;
        game.challenge("d", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
        game.wait(50).stop_agent().await;
        game.wait(posted_after);
        let accept = post(&game, 1);
        game.wait(600).resume_agent().await;
        arrives(&game, accept, "ben", "accept").await;
        game.wait(400).tick().await;
        let plan = game.plan().await;
        let kinds: Vec<&str> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.kind.as_str()).collect();
        assert_eq!((kinds.as_slice(), counts), (["LatePostsOrdered"].as_slice(), true));
        game.carry_out(&plan).await;
        nothing(&game.plan().await);
        game.accept("d", "ann").await;
        assert!(game.look().await.replay.held().is_empty());
    }
}

#[tokio::test]
async fn e2_an_acceptance_after_the_time_was_over_is_refused_and_the_stakes_go_back() {
    let mut game = Game::new();
    game.player("ann", 100).await;
    game.player("ben", 100).await;
    game.challenge("d", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.wait(301).stop_agent().await;
    game.wait(10);
    let accept = post(&game, 1);
    game.wait(100).resume_agent().await;
    arrives(&game, accept, "ben", "accept").await;
    game.tick().await;
    let plan = game.plan().await;
    let kinds: Vec<&str> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["ChallengeExpired", "StakeReleased", "StakeReleased", "CommandRejected"]);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await.1, g(100));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r23_a_mention_nobody_has_read_keeps_a_duel_until_it_is_read_or_a_person_decides() {
    let mut game = interrupted().await;
    game.clock -= 300_000_000;
    let unread = post(&game, 4);
    game.clock += 300_000_000;
    let mention = AgentEvent::MentionReceived { post: label(&unread.to_string()), author: label("ben") };
    game.tell("agent-main", mention).await;
    let plan = game.plan().await;
    assert!(!plan.changes, "{plan:#?}");
    assert_eq!(
        plan.held[0].why,
        format!(
            "nobody has read post {unread} (of player ben, not read as a command) as a command: it may be the next move"
        )
    );
    assert!(game.plan_for(&decide(Choice::Resume)).await.changes, "a person may go on without it");
    arrives(&game, unread, "ben", "cast").await;
    let plan = game.plan().await;
    assert!(plan.items[0].steps.iter().any(|step| step.kind == "LatePostsOrdered"));
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r09_a_duel_in_which_a_move_waits_to_be_decided_is_interrupted_not_stuck() {
    let mut game = interrupted().await;
    game.clock -= 300_000_000;
    let spell = post(&game, 4);
    game.clock += 300_000_000;
    arrives(&game, spell, "ben", "cast").await;
    game.wait(10_000).tick().await;
    let diagnosis = game.diagnosis().await;
    assert!(named(&diagnosis, "stuck_duel").is_empty());
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps.last().unwrap().kind, "LatePostsOrdered");
}

#[tokio::test]
async fn r08_turns_counted_as_missed_in_an_outage_decide_no_duel_without_people() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(10).stop_agent().await;
    for (turn, player) in [(1, "ann"), (2, "ben"), (3, "ann"), (4, "ben"), (5, "ann")] {
        game.wait(31).turn("d", turn, player).await;
    }
    let ended = DuelEvent::DuelEnded { winner: who("ben"), loser: who("ann"), reason: EndReason::MissedTurns };
    game.tell("duel-d", ended).await;
    game.tell("duel-d", DuelEvent::DuelSettled { winner: who("ben"), amount: g(60) }).await;
    game.wait(100).resume_agent().await;
    says(
        &game.plan().await,
        "
        HELD clocked_out duel-d: player ann (@ann) lost by the clock while the game was away
          why: player ben was paid 60 G for it
          next: agree with both players, then record it as an incident: wox recover duel d --accept --second NAME --why WHAT-WAS-DONE
        ",
    );
}

#[tokio::test]
async fn r08_a_side_is_gone_only_when_it_was_gone_for_the_whole_grace_with_the_game_there() {
    for (wait, unfair) in [(200, true), (301, false)] {
        let mut game = Game::new();
        game.active_duel().await;
        game.wait(10).stop_agent().await;
        game.wait(1000).resume_agent().await;
        game.wait(wait);
        let ended = DuelEvent::DuelEnded { winner: who("ben"), loser: who("ann"), reason: EndReason::Disconnected };
        game.tell("duel-d", ended).await;
        game.tell("duel-d", DuelEvent::DuelSettled { winner: who("ben"), amount: g(60) }).await;
        assert_eq!(named(&game.diagnosis().await, "clocked_out").len(), usize::from(unfair), "{wait} s");
    }
}

#[tokio::test]
async fn r23_posts_that_name_nobody_in_a_duel_or_no_time_are_left_alone() {
    let mut game = interrupted().await;
    game.player("eve", 0).await;
    game.clock -= 300_000_000;
    let strangers = post(&game, 4);
    game.clock += 300_000_000;
    arrives(&game, strangers, "eve", "cast").await;
    arrives(&game, 100, "ben", "cast").await;
    let plan = game.plan().await;
    assert_eq!(plan.items.len(), 1);
    assert!(plan.items[0].steps.iter().all(|step| step.kind != "LatePostsOrdered"), "{plan:#?}");
    assert_eq!(plan.items[0].findings[0].since.as_ref().unwrap().id, id_of("agent-main", 1));
    assert_eq!(posted_at("100"), Some(Timestamp(1_288_834_974_657_000)));
}

#[tokio::test]
async fn while_nobody_knows_whether_the_game_was_away_no_clock_runs_out() {
    let mut game = Game::new();
    game.active_duel().await;
    game.turn("d", 1, "ann").await;
    game.wait(20).stop_agent().await;
    // It came back before it went, says the game: that cannot be, and how long it was away nobody knows.
    let wrong = AgentEvent::AgentResumed { until: Timestamp(game.clock - 3_600_000_000) };
    game.tell("agent-main", wrong).await;
    game.wait(4_000).tick().await;
    let plan = game.plan().await;
    assert!(game.look().await.replay.held().contains_key(&stream("agent-main")));
    assert!(plan.held.iter().any(|hold| hold.finding.procedure == "held_stream"), "{plan:#?}");
    let kinds: Vec<&String> = plan.items.iter().flat_map(|item| &item.steps).map(|step| &step.kind).collect();
    assert!(!kinds.iter().any(|kind| kind.as_str() == "DuelVoided"), "{plan:#?}");
}

#[tokio::test]
async fn r23_a_post_that_was_made_before_the_stop_and_read_in_the_gap_is_ordered_too() {
    let mut game = Game::new();
    game.active_duel().await;
    game.turn("d", 1, "ann").await;
    let seen = post(&game, 1);
    game.wait(10);
    let unseen = post(&game, 1);
    game.wait(2).stop_agent().await;
    let since = game.now();
    game.wait(600).resume_agent().await;
    let opened = AgentEvent::StreamGapOpened { since, since_post: label(&seen.to_string()) };
    game.tell("agent-main", opened).await;
    arrives(&game, unseen, "ben", "cast").await;
    let filled = AgentEvent::StreamGapFilled { until: game.now(), method: label("since_id"), count: 1 };
    game.tell("agent-main", filled).await;
    let plan = game.plan().await;
    let Event::Duel(DuelEvent::LatePostsOrdered { posts, .. }) = step(&plan, "LatePostsOrdered") else {
        panic!("{plan:#?}")
    };
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].post.as_str(), unseen.to_string());
    // The clocks counted until the stop: only the posts are older.
    assert_eq!(step(&plan, "TimersExtended"), Event::Duel(DuelEvent::TimersExtended { by: Duration(600_000_000) }));
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r08_the_interruption_that_is_recorded_lasts_as_long_as_the_clocks_get_back() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(10).stop_agent().await;
    let from = game.now();
    game.wait(5);
    let opened = AgentEvent::StreamGapOpened { since: game.now(), since_post: label("100") };
    game.tell("agent-main", opened).await;
    game.wait(100).resume_agent().await;
    game.wait(8);
    let until = game.now();
    game.tell("agent-main", AgentEvent::StreamGapFilled { until, method: label("since_id"), count: 0 }).await;
    let plan = game.plan().await;
    let interrupted = DuelEvent::DuelInterrupted { at_turn: 0, from, until };
    assert_eq!(step(&plan, "DuelInterrupted"), Event::Duel(interrupted));
    assert_eq!(step(&plan, "TimersExtended"), Event::Duel(DuelEvent::TimersExtended { by: until.since(from) }));
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}
