//! Rows R08, R09, E2, E3: what is found about duels, what is proposed, and what is left to people.

use wox_events::{AgentEvent, Amount, Bucket, DuelEvent, Timestamp, duel::EndReason};
use wox_recovery::recovery::Scope;

use crate::game::{Game, duel_state, g, id_of, label, named, nothing, position, says, split, stream, who};

#[tokio::test]
async fn a_duel_is_stuck_after_more_than_300_seconds_not_at_300() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(300).tick().await;
    nothing(&game.plan().await);
    game.clock += 1;
    game.tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        stuck_duel WOX-GAME-DUEL-003 high since duel-d@4: ann against ben: nobody has moved for more than 300 s since turn 0
        on duel-d@4
          DuelStuckDetected: record that nobody moved for 300 s
          DuelVoided: void the duel: it counts for nobody
          StakeReleased: give player ann back 10 G bonus and 20 G withdrawable
            10 G escrow:d -> bonus:ann
            20 G escrow:d -> withdrawable:ann
          StakeReleased: give player ben back 0 G bonus and 30 G withdrawable
            30 G escrow:d -> withdrawable:ben
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    assert_eq!(game.player_has("ben").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn time_in_which_the_game_was_away_makes_no_duel_stuck() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(100).stop_agent().await;
    game.wait(1000).resume_agent().await;
    game.wait(200).tick().await;
    assert!(named(&game.diagnosis().await, "stuck_duel").is_empty(), "300 s of play, 1000 s of outage");
    game.wait(1).tick().await;
    assert!(named(&game.diagnosis().await, "interrupted_duel").is_empty(), "it is stuck now, not interrupted");
    let plan = game.plan().await;
    assert_eq!(plan.items[0].findings[0].says, "ann against ben: nobody has moved for more than 300 s since turn 0");
}

#[tokio::test]
async fn an_interrupted_duel_goes_on_from_where_it_stopped() {
    let mut game = Game::new();
    game.active_duel().await;
    game.turn("d", 1, "ann").await;
    game.wait(20).stop_agent().await;
    game.wait(600).resume_agent().await;
    game.wait(10).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        interrupted_duel WOX-GAME-DUEL-005 high since agent-main@1: ann against ben was interrupted after turn 1 by an outage of 600 s
        on duel-d@5
          DuelInterrupted: record the interruption after turn 1
          TimersExtended: give back 600 s
          DuelResumed: go on with turn 2 of player ben
        ",
    );
    assert!(!plan.needs_approval, "no money moves");
    assert_eq!(plan.base.last_valid.0 + 1, plan.items[0].findings[0].since.as_ref().unwrap().position.0);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    game.turn("d", 2, "ben").await;
    let evidence = game.look().await;
    assert!(evidence.replay.held().is_empty());
    assert_eq!((duel_state(&evidence, "d").turn, evidence.replay.accounting.refused), (2, 0));
}

#[tokio::test]
async fn two_outages_are_given_back_together() {
    let mut game = Game::new();
    game.active_duel().await;
    for _ in 0..2 {
        game.wait(20).stop_agent().await;
        game.wait(60).resume_agent().await;
    }
    game.wait(20).tick().await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[1].says, "give back 120 s");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
    game.wait(300).tick().await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn while_the_game_is_still_away_nobody_is_told_to_go_on() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(20).stop_agent().await;
    game.wait(100).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        HELD interrupted_duel duel-d: ann against ben was interrupted after turn 0 by an outage that is not over
          why: the game is still away: nobody could go on
          next: bring the agent back, record it, and plan again
        ",
    );
    game.wait(100_000).tick().await;
    assert_eq!(game.plan().await.id, plan.id, "the clock runs, nothing else has changed");
}

#[tokio::test]
async fn a_missed_mention_stream_is_an_outage_too() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(10);
    let opened = AgentEvent::StreamGapOpened { since: game.now(), since_post: label("100") };
    game.tell("agent-main", opened).await;
    game.wait(400);
    let filled = AgentEvent::StreamGapFilled { until: game.now(), method: label("since_id"), count: 0 };
    game.tell("agent-main", filled).await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].findings[0].procedure, "interrupted_duel");
    assert_eq!(plan.items[0].steps[1].says, "give back 400 s");
}

#[tokio::test]
async fn a_challenge_runs_out_after_its_time_not_at_it_and_not_in_an_outage() {
    let mut game = Game::new();
    game.player("ann", 100).await;
    game.player("ben", 100).await;
    game.challenge("c", ("ann", split(20, 10)), ("ben", split(10, 20))).await;
    game.wait(100).stop_agent().await;
    game.wait(50).resume_agent().await;
    game.wait(200).tick().await;
    nothing(&game.plan().await);
    game.clock += 1;
    game.tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unreturned_stake WOX-GAME-DUEL-003 medium since duel-c@1: the challenge ran out unanswered, and 30 G of player ann and 30 G of player ben are still held
        on duel-c@3
          ChallengeExpired: let the challenge expire
          StakeReleased: give player ann back 20 G bonus and 10 G withdrawable
            20 G escrow:c -> bonus:ann
            10 G escrow:c -> withdrawable:ann
          StakeReleased: give player ben back 10 G bonus and 20 G withdrawable
            10 G escrow:c -> bonus:ben
            20 G escrow:c -> withdrawable:ben
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_challenge_without_a_stake_harms_nobody_when_it_runs_out() {
    let mut game = Game::new();
    game.player("ann", 0).await;
    game.player("ben", 0).await;
    let issued = DuelEvent::ChallengeIssued {
        challenger: who("ann"),
        opponent: who("ben"),
        bet: Amount::ZERO,
        expires_at: Timestamp(game.clock + 300_000_000),
        tournament: None,
    };
    game.tell("duel-c", issued).await;
    game.wait(10_000).tick().await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_declined_duel_gives_back_the_stake_that_is_still_held() {
    let game = Game::new();
    game.player("ann", 100).await;
    game.player("ben", 100).await;
    game.challenge("c", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.tell("duel-c", DuelEvent::ChallengeDeclined {}).await;
    let back = DuelEvent::StakeReleased { player: who("ann"), stake: split(0, 30), corrects: id_of("duel-c", 2) };
    game.tell("duel-c", back).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unreturned_stake WOX-GAME-DUEL-003 medium since duel-c@1: the challenge is declined, and 30 G of player ben is still held
        on duel-c@5
          StakeReleased: give player ben back 0 G bonus and 30 G withdrawable
            30 G escrow:c -> withdrawable:ben
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    assert_eq!(game.player_has("ben").await, (g(20), g(100)));
}

#[tokio::test]
async fn a_winner_who_was_not_paid_is_paid_what_the_escrow_holds_once() {
    let mut game = Game::new();
    game.active_duel().await;
    let ended = DuelEvent::DuelEnded { winner: who("ben"), loser: who("ann"), reason: EndReason::Knockout };
    game.tell("duel-d", ended).await;
    game.wait(10_000).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unsettled_duel WOX-GAME-DUEL-005 high since duel-d@5: player ben won and was not paid the 60 G in escrow
        on duel-d@5
          DuelSettled: pay 60 G to player ben
            60 G escrow:d -> withdrawable:ben
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ben").await, (g(20), g(130)));
    nothing(&game.plan().await);
}

/// A voided duel whose refund to ann put 10 G of bonus into her other balance, or the other way round.
async fn crossed(released: wox_events::Split) -> Game {
    let game = Game::new();
    game.active_duel().await;
    game.tell("duel-d", DuelEvent::DuelVoided { reason: label("operator") }).await;
    for (player, stake, hold) in [("ann", released, 2), ("ben", split(0, 30), 3)] {
        let back = DuelEvent::StakeReleased { player: who(player), stake, corrects: id_of("duel-d", hold) };
        game.tell("duel-d", back).await;
    }
    game
}

#[tokio::test]
async fn bonus_that_came_back_as_withdrawable_goes_back() {
    let game = crossed(split(0, 30)).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        crossed_buckets WOX-DB-TRANS-005 high since duel-d@6: 10 G of player ann's bonus stake came back as withdrawable
        on duel-d@7
          BucketCorrected: move 10 G of player ann from withdrawable back to bonus
            10 G withdrawable:ann -> bonus:ann
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn withdrawable_that_came_back_as_bonus_goes_back() {
    let game = crossed(split(30, 0)).await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[0].says, "move 20 G of player ann from bonus back to withdrawable");
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn crossed_money_that_is_spent_is_left_to_people() {
    let game = crossed(split(0, 30)).await;
    game.spend("ann", 0, 105).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        HELD crossed_buckets duel-d: 10 G of player ann's bonus stake came back as withdrawable
          why: player ann holds 5 G withdrawable of the 10 G that must go back
          next: agree with the player how the rest goes back, then record it as an incident: wox recover duel d --accept --second NAME --why WHAT-WAS-DONE
        ",
    );
    assert!(!plan.changes && !plan.has_unknown_outcomes());
}

#[tokio::test]
async fn half_of_a_correction_made_by_hand_leaves_the_other_half() {
    let game = crossed(split(0, 30)).await;
    let half = DuelEvent::BucketCorrected {
        player: who("ann"),
        from: Bucket::Withdrawable,
        to: Bucket::Bonus,
        amount: g(4),
        corrects: id_of("duel-d", 6),
    };
    game.tell("duel-d", half).await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[0].says, "move 6 G of player ann from withdrawable back to bonus");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_plan_for_one_stream_leaves_the_others_alone() {
    let mut game = Game::new();
    game.active_duel().await;
    game.challenge("c", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.wait(301).tick().await;
    assert_eq!(game.plan().await.items.len(), 2);
    let scope = Scope::Subject(stream("duel-c"));
    let plan = game.plan_for(&scope).await;
    assert_eq!(plan.items.iter().map(|item| item.stream.as_str()).collect::<Vec<_>>(), ["duel-c"]);
    assert_eq!(game.carry_out(&plan).await.name(), "remaining");
    assert!(!game.plan_for(&scope).await.changes);
    assert_eq!(game.plan().await.items.len(), 1);
}

#[tokio::test]
async fn an_empty_log_has_nothing_wrong() {
    let game = Game::new();
    nothing(&game.plan().await);
    assert_eq!(game.diagnosis().await.last_valid, position(0));
}
