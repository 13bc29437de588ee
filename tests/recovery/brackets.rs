//! Row R10: byes, withdrawals, forfeits, disconnects, duplicate entrants, and corrections with everything that stands on
//! them.

use proptest::prelude::*;
use wox_events::{
    Amount, DuelEvent, PlayerEvent, TournamentEvent,
    duel::EndReason,
    tournament::{Format, MatchEnd, Pairing, PrizeKind},
};
use wox_projections::bracket;
use wox_recovery::recovery::{Plan, Scope};

use crate::{
    game::{Game, called, g, hash, id_of, label, named, nothing, says, split, stream, who},
    tournaments::{T, first_round_played, opened, paid, pair, prize, won},
};

fn name(index: usize) -> String {
    format!("p{index:02}")
}

/// So many players with an entry of 50 G each, drawn in order of their names, with `title`.
async fn field(players: usize, title: &str) -> Game {
    let game = Game::new();
    for index in 0..players {
        game.player(&name(index), 100).await;
    }
    let open = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called(title),
        entry_fee: g(50),
        players_min: 2,
        players_max: 128,
        starts_at: game.now(),
    };
    game.tell(T, open).await;
    for index in 0..players {
        game.tell(T, TournamentEvent::PlayerRegistered { player: who(&name(index)), entry: split(0, 50) }).await;
    }
    game.tell(T, TournamentEvent::TournamentSeeded { seeds: (0..players).map(|index| who(&name(index))).collect() })
        .await;
    game
}

async fn pairings(game: &Game, round: usize) -> Vec<Pairing> {
    let evidence = game.look().await;
    let tournament = evidence.replay.state.tournaments.get("t").unwrap().clone();
    tournament.expected_pairings(round).unwrap()
}

/// Plays rounds, the earlier name wins where `upset` does not say otherwise.
async fn play(game: &Game, rounds: std::ops::Range<usize>, upset: impl Fn(usize, usize) -> bool) {
    for round in rounds {
        let pairs = pairings(game, round).await;
        game.tell(T, opened(round as u8 + 1, pairs.clone())).await;
        for (slot, Pairing { first, second }) in pairs.into_iter().enumerate() {
            let (Some(first), Some(second)) = (&first, &second) else {
                let bye = TournamentEvent::MatchDecided {
                    round: round as u8 + 1,
                    slot: slot as u16,
                    winner: first.or(second).unwrap(),
                    loser: None,
                    reason: MatchEnd::Bye,
                    duel: None,
                };
                game.tell(T, bye).await;
                continue;
            };
            let first_wins = (first < second) != upset(round, slot);
            let (winner, loser) = if first_wins { (first, second) } else { (second, first) };
            game.tell(T, won(round as u8 + 1, slot as u16, winner.as_str(), loser.as_str())).await;
        }
    }
}

fn correct(round: u8, slot: u16, winner: &str) -> Scope {
    Scope::Correct { tournament: stream(T), round, slot, winner: who(winner), why: "ticket-95".into() }
}

fn kinds(plan: &Plan) -> Vec<&str> {
    plan.items.iter().flat_map(|item| &item.steps).map(|step| step.kind.as_str()).collect()
}

#[tokio::test]
async fn r10_a_bye_that_was_not_decided_is() {
    let mut game = field(3, "cup").await;
    game.tell(T, opened(1, pairings(&game, 0).await)).await;
    game.tell(T, won(1, 1, "p01", "p02")).await;
    game.wait(300).tick().await;
    nothing(&game.plan().await);
    game.wait(1).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        undecided_match WOX-GAME-TOURN-001 high since tournament-t@6: nobody decided what needs no playing: 1/0 (a bye)
        on tournament-t@7
          MatchDecided: player p00 wins match 1/0: a bye
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    game.tell(T, opened(2, vec![pair("p00", "p01")])).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r10_who_withdrew_before_the_draw_gets_the_entry_back_once() {
    let mut game = Game::new();
    for player in ["ann", "ben", "cid"] {
        game.player(player, 100).await;
    }
    let open = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: g(30),
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(T, open).await;
    for player in ["ann", "ben", "cid"] {
        game.tell(T, TournamentEvent::PlayerRegistered { player: who(player), entry: split(10, 20) }).await;
    }
    game.tell(T, TournamentEvent::PlayerUnregistered { player: who("ann") }).await;
    game.tell(T, TournamentEvent::TournamentSeeded { seeds: vec![who("ben"), who("cid")] }).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unrefunded_entry WOX-GAME-TOURN-004 high since tournament-t@5: they left before the draw, and the entries were not given back: 30 G of player ann
        on tournament-t@6
          EntryRefunded: give player ann the entry back: 10 G bonus and 20 G withdrawable
            10 G entries:t -> bonus:ann
            20 G entries:t -> withdrawable:ann
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r10_the_opponent_of_who_withdrew_after_the_draw_goes_on_and_the_entry_stays() {
    let mut game = field(4, "cup").await;
    game.tell(T, opened(1, pairings(&game, 0).await)).await;
    game.tell(T, TournamentEvent::PlayerUnregistered { player: who("p03") }).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        undecided_match WOX-GAME-TOURN-001 high since tournament-t@7: nobody decided what needs no playing: 1/0 (player p03 has withdrawn)
        on tournament-t@8
          MatchDecided: player p00 wins match 1/0: player p03 has withdrawn
        ",
    );
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p03").await, (g(20), g(50)), "an entry is not given back after the draw");

    for player in ["p01", "p02"] {
        game.tell(T, TournamentEvent::PlayerUnregistered { player: who(player) }).await;
    }
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert!(!plan.changes);
    assert_eq!(plan.held[0].finding.says, "both sides of match 1/1 have withdrawn");
}

#[tokio::test]
async fn r10_a_duel_that_was_fought_decides_the_match_that_the_game_forgot() {
    let mut game = field(4, "cup").await;
    game.tell(T, opened(1, pairings(&game, 0).await)).await;
    match_duel(&game, "m", "p00", "p03").await;
    let ended = DuelEvent::DuelEnded { winner: who("p03"), loser: who("p00"), reason: EndReason::Forfeit };
    game.tell("duel-m", ended).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[0].says, "player p03 wins match 1/0: duel m says so");
    assert!(plan.items[0].steps[0].data.as_str().contains(r#""reason":"forfeit""#));
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

/// An active duel without a stake that is a match of the tournament.
async fn match_duel(game: &Game, duel: &str, first: &str, second: &str) {
    let issued = DuelEvent::ChallengeIssued {
        challenger: who(first),
        opponent: who(second),
        bet: Amount::ZERO,
        expires_at: wox_events::Timestamp(game.clock + 300_000_000),
        tournament: Some(wox_events::TournamentId::new("t").unwrap()),
    };
    game.tell(&format!("duel-{duel}"), issued).await;
    game.accept(duel, first).await;
}

#[tokio::test]
async fn r10_a_match_whose_duel_is_voided_is_played_again() {
    let mut game = field(4, "cup").await;
    game.tell(T, opened(1, pairings(&game, 0).await)).await;
    match_duel(&game, "m", "p00", "p03").await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert_eq!(kinds(&plan), ["DuelStuckDetected", "DuelVoided", "MatchReplayOrdered"]);
    assert_eq!(plan.items[1].steps[0].says, "player p00 and player p03 play 1/0");
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    match_duel(&game, "n", "p00", "p03").await;
    nothing(&game.plan().await);
    game.wait(301).tick().await;
    let again = game.plan().await;
    assert_eq!(kinds(&again), ["DuelStuckDetected", "DuelVoided", "MatchReplayOrdered"], "and again");
    game.carry_out(&again).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r10_duplicate_entrants_are_refused_in_the_draw_and_rebuilt_in_a_round() {
    let game = field(4, "cup").await;
    let twice = vec![pair("p00", "p03"), pair("p00", "p02")];
    game.tell(T, opened(1, twice)).await;
    game.tell(T, won(1, 0, "p00", "p03")).await;
    let plan = game.plan().await;
    assert_eq!(kinds(&plan), ["BracketRebuilt"], "the sound half stays");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);

    let game = Game::new();
    game.player("ann", 100).await;
    let open = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: g(50),
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(T, open).await;
    game.tell(T, TournamentEvent::PlayerRegistered { player: who("ann"), entry: split(0, 50) }).await;
    game.tell(T, TournamentEvent::TournamentSeeded { seeds: vec![who("ann"), who("ann")] }).await;
    assert_eq!(named(&game.diagnosis().await, "held_stream").len(), 1, "a draw with one player twice holds its stream");
}

#[tokio::test]
async fn r10_forfeits_and_disconnects_are_corrected_like_any_result() {
    for reason in [MatchEnd::Forfeit, MatchEnd::Disconnected] {
        let game = field(4, "cup").await;
        game.tell(T, opened(1, pairings(&game, 0).await)).await;
        let decided = TournamentEvent::MatchDecided {
            round: 1,
            slot: 0,
            winner: who("p03"),
            loser: Some(who("p00")),
            reason,
            duel: None,
        };
        game.tell(T, decided).await;
        let plan = game.plan_for(&correct(1, 0, "p00")).await;
        says(
            &plan,
            "
            misdrawn_bracket WOX-GAME-TOURN-001 high since tournament-t@8: match 1/0 was won by player p00 (@p00), and the log says player p03 (@p03); no later match stands on it
            on tournament-t@8
              MatchResultCorrected: player p00 won match 1/0, not player p03
            ",
        );
        assert!(plan.needs_approval, "a decision needs a second person, money or not");
        assert_eq!(plan.items[0].needs, ["another person's approval"]);
        assert_eq!(game.carry_out(&plan).await.name(), "verified");
        nothing(&game.plan().await);
    }
}

#[tokio::test]
async fn r10_a_result_that_its_duel_contradicts_is_left_to_people_with_the_command() {
    let game = field(4, "cup").await;
    game.tell(T, opened(1, pairings(&game, 0).await)).await;
    match_duel(&game, "m", "p00", "p03").await;
    let ended = DuelEvent::DuelEnded { winner: who("p03"), loser: who("p00"), reason: EndReason::Knockout };
    game.tell("duel-m", ended).await;
    let decided = TournamentEvent::MatchDecided {
        round: 1,
        slot: 0,
        winner: who("p00"),
        loser: Some(who("p03")),
        reason: MatchEnd::Played,
        duel: Some(wox_events::DuelId::new("m").unwrap()),
    };
    game.tell(T, decided).await;
    says(
        &game.plan().await,
        "
        HELD contradicted_result tournament-t: match 1/0 went to player p00 (@p00), and player p03 (@p03) won its duel m
          why: the log says both, and only people can say which is right
          next: wox recover tournament t --correct 1/0 --winner p03 --why REASON
        ",
    );
    game.carry_out(&game.plan_for(&correct(1, 0, "p03")).await).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn r10_a_correction_takes_along_what_stands_on_it_and_leaves_the_other_half() {
    let game = field(8, "cup").await;
    play(&game, 0..3, |_, _| false).await;
    let before = game.look().await.replay.state.tournaments.get("t").unwrap().clone();
    let plan = game.plan_for(&correct(1, 3, "p04")).await;
    says(
        &plan,
        "
        misdrawn_bracket WOX-GAME-TOURN-001 high since tournament-t@15: match 1/3 was won by player p04 (@p04), and the log says player p03 (@p03); what stands on it counts for nobody: 2/1, 3/0 (experience gained stays)
        on tournament-t@20
          MatchResultCorrected: player p04 won match 1/3, not player p03
          MatchVoided: void match 2/1
          MatchVoided: void match 3/0
          BracketRebuilt: rebuild round 2 as it follows from the results
          BracketRebuilt: rebuild round 3 as far as it follows from the results; one match waits for the one before it
          MatchReplayOrdered: player p02 and player p04 play 2/1
        ",
    );
    assert!(plan.needs_approval);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    let after = game.look().await.replay.state.tournaments.get("t").unwrap().clone();
    for (round, slot) in [(1, 0), (1, 1), (1, 2), (2, 0)] {
        assert_eq!(before.result_of(round, slot), after.result_of(round, slot), "{round}/{slot} stands");
    }

    // The semifinal is played again; its winner takes the empty place, and the final is ordered.
    game.tell(T, won(2, 1, "p04", "p02")).await;
    let order = game.plan().await;
    says(
        &order,
        "
        unplayed_match WOX-GAME-TOURN-001 high since tournament-t@25: counts for nobody, and nobody was told to play again: match 3/0
        on tournament-t@27
          MatchReplayOrdered: player p00 and player p04 play 3/0
        ",
    );
    game.carry_out(&order).await;
    nothing(&game.plan().await);
    game.tell(T, won(3, 0, "p04", "p00")).await;
    nothing(&game.plan().await);
    assert!(game.look().await.replay.held().is_empty());
}

#[tokio::test]
async fn r10_a_match_that_waits_for_another_cannot_be_decided() {
    let game = field(8, "cup").await;
    play(&game, 0..3, |_, _| false).await;
    game.carry_out(&game.plan_for(&correct(1, 3, "p04")).await).await;
    let early = TournamentEvent::MatchDecided {
        round: 3,
        slot: 0,
        winner: who("p00"),
        loser: None,
        reason: MatchEnd::Bye,
        duel: None,
    };
    game.tell(T, early).await;
    let held = game.look().await.replay.held()[&stream(T)].reason.to_string();
    assert_eq!(held, "match 3/0 is waiting for a match before it, this event needs it to have both sides");
}

#[tokio::test]
async fn r10_a_correction_that_the_game_wrote_itself_is_followed_up() {
    let game = field(8, "cup").await;
    play(&game, 0..2, |_, _| false).await;
    let corrected = TournamentEvent::MatchResultCorrected {
        round: 1,
        slot: 0,
        winner: who("p07"),
        loser: who("p00"),
        supersedes: id_of(T, 12),
    };
    game.tell(T, corrected).await;
    let plan = game.plan().await;
    assert_eq!(kinds(&plan), ["MatchVoided", "BracketRebuilt", "MatchReplayOrdered"]);
    assert!(!plan.needs_approval, "no money moves");
    game.carry_out(&plan).await;
    nothing(&game.plan().await);
}

/// Eight players, everything played, 400 G frozen and paid out of the pool, and closed.
async fn paid_out() -> Game {
    let game = field(8, "daily").await;
    play(&game, 0..3, |_, _| false).await;
    let prizes = [
        prize(PrizeKind::First, "p00", 200),
        prize(PrizeKind::Second, "p02", 120),
        prize(PrizeKind::Third, "p01", 40),
        prize(PrizeKind::Fourth, "p03", 40),
    ];
    let pool_at = g(400);
    game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at, total: g(400), prizes: prizes.to_vec() }).await;
    for one in prizes {
        game.tell(T, TournamentEvent::PrizePaid { prize: one.prize, player: one.player, amount: one.amount }).await;
    }
    game.tell(T, TournamentEvent::TournamentClosed { winner: who("p00") }).await;
    nothing(&game.plan().await);
    game
}

/// In the semifinals p00 beat p01 in slot 0 and p02 beat p03 in slot 1.
#[tokio::test]
async fn r10_a_correction_after_prizes_takes_back_what_is_still_there_and_names_the_rest() {
    let mut game = paid_out().await;
    game.spend("p02", 0, 160).await;
    // p02 was beaten by p05 in truth: the semifinal 2/1 and the final are void, the other semifinal stands.
    let slot = slot_of(&game, 1, "p02").await;
    let plan = game.plan_for(&correct(1, slot, "p05")).await;
    let text = crate::game::shown(&plan);
    for line in [
        "PrizeScheduleWithdrawn: withdraw the prize schedule; its amounts stay frozen",
        "TournamentReopened: open the tournament again: it is not decided",
        "PrizeReversed: take 200 G back from player p00",
        "PrizeReversed: take 40 G back from player p03",
        "why: player p02 (@p02) holds 10 G of the 120 G that must go back",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(!text.contains("from player p01"), "the semifinal that stands has its loser, and that prize:\n{text}");
    assert_eq!(game.carry_out(&plan).await.name(), "remaining");
    let rest = game.plan().await;
    assert!(!rest.changes && rest.held.len() == 1, "{rest:#?}");
    assert_eq!(rest.held[0].finding.procedure, "wrong_prize");
    assert_eq!(rest.held[0].concerns[0].handle.to_string(), "@p02");

    // Played again: p05 wins everything. The amounts are the ones that were frozen, whatever the pool holds now.
    for _ in 0..200 {
        game.tick().await;
    }
    game.tell(T, won(2, 1, "p05", "p03")).await;
    game.carry_out(&game.plan().await).await;
    game.tell(T, won(3, 0, "p05", "p00")).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    let text = crate::game::shown(&plan);
    assert!(
        text.contains("freeze prizes of 400 G: first 200 G to player p05, second 120 G to player p00, third 40 G to player p01, fourth 40 G to player p03"),
        "{text}"
    );
    game.carry_out(&plan).await;
    let rest = game.plan().await;
    assert!(!rest.changes, "{rest:#?}");
    assert_eq!(game.player_has("p05").await.1, g(250));
    assert_eq!(game.player_has("p00").await.1, g(170));
    assert!(game.look().await.replay.state.conservation.drift.is_zero());
}

async fn slot_of(game: &Game, round: u8, player: &str) -> u16 {
    let evidence = game.look().await;
    let tournament = evidence.replay.state.tournaments.get("t").unwrap();
    let pairings = &tournament.rounds[usize::from(round) - 1].pairings;
    let plays = |pairing: &Pairing| [&pairing.first, &pairing.second].contains(&&Some(who(player)));
    pairings.iter().position(plays).unwrap() as u16
}

#[tokio::test]
async fn r10_a_corrected_final_swaps_its_prizes_in_one_plan() {
    let game = paid_out().await;
    let plan = game.plan_for(&correct(3, 0, "p02")).await;
    assert_eq!(
        kinds(&plan),
        [
            "MatchResultCorrected",
            "PrizeScheduleWithdrawn",
            "PrizeScheduleFixed",
            "TournamentReopened",
            "TournamentClosed",
            "PrizeReversed",
            "PrizeReversed",
            "PrizePaid",
            "PrizePaid",
        ]
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p02").await.1, g(50 + 200));
    assert_eq!(game.player_has("p00").await.1, g(50 + 120));
    // And back again: another correction, other keys.
    let back = game.plan_for(&correct(3, 0, "p00")).await;
    game.carry_out(&back).await;
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p00").await.1, g(50 + 200));
}

#[tokio::test]
async fn r11_amounts_once_frozen_stay_whatever_the_game_computes_from_the_pool_later() {
    let mut game = paid_out().await;
    let slot = slot_of(&game, 1, "p02").await;
    game.carry_out(&game.plan_for(&correct(1, slot, "p05")).await).await;
    game.tell(T, won(2, 1, "p05", "p03")).await;
    game.carry_out(&game.plan().await).await;
    game.tell(T, won(3, 0, "p05", "p00")).await;
    // The game takes 10 % of what the pool holds by now.
    let prizes = vec![prize(PrizeKind::First, "p05", 180), prize(PrizeKind::Second, "p00", 108)];
    game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at: g(360), total: g(288), prizes }).await;
    game.tell(T, paid(PrizeKind::First, "p05", 180)).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    let text = crate::game::shown(&plan);
    assert!(text.contains("it has other amounts than were frozen first"), "{text}");
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p05").await.1, g(50 + 200));
    assert_eq!(game.player_has("p00").await.1, g(50 + 120));
}

#[tokio::test]
async fn r08_a_side_is_called_disconnected_only_after_its_grace_with_the_game_there() {
    for (wait, unfair) in [(299, true), (301, false)] {
        let mut game = field(4, "cup").await;
        game.tell(T, opened(1, pairings(&game, 0).await)).await;
        game.stop_agent().await;
        game.wait(1000).resume_agent().await;
        game.wait(wait);
        let decided = TournamentEvent::MatchDecided {
            round: 1,
            slot: 0,
            winner: who("p03"),
            loser: Some(who("p00")),
            reason: MatchEnd::Disconnected,
            duel: None,
        };
        game.tell(T, decided).await;
        let diagnosis = game.diagnosis().await;
        assert_eq!(named(&diagnosis, "clocked_out").len(), usize::from(unfair), "{wait} s");
        if unfair {
            game.carry_out(&game.plan_for(&correct(1, 0, "p00")).await).await;
            nothing(&game.plan().await);
        }
    }
}

#[tokio::test]
async fn r10_a_correction_that_does_not_fit_changes_nothing_and_says_why() {
    let game = first_round_played().await;
    for (scope, why) in [
        (correct(1, 0, "ann"), "player ann (@ann) won it already"),
        (correct(1, 0, "ben"), "player ben (@ben) is not in it, or it was a bye"),
        (correct(1, 7, "ann"), "match 1/7 has no result"),
        (correct(2, 0, "ann"), "match 2/0 has no result"),
        (correct(0, 0, "ann"), "match 0/0 has no result"),
    ] {
        let plan = game.plan_for(&scope).await;
        assert!(!plan.changes && !plan.needs_approval, "{plan:#?}");
        assert_eq!(plan.held[0].why, why);
    }
    let other = Scope::Correct { tournament: stream("duel-d"), round: 1, slot: 0, winner: who("ann"), why: "x".into() };
    assert_eq!(game.plan_for(&other).await.held[0].why, "duel-d is no tournament");
    let bye = field(3, "cup").await;
    play(&bye, 0..1, |_, _| false).await;
    assert_eq!(
        bye.plan_for(&correct(1, 0, "p01")).await.held[0].why,
        "player p01 (@p01) is not in it, or it was a bye"
    );
}

#[tokio::test]
async fn r10_a_correction_that_is_not_approved_by_another_is_not_applied() {
    let game = first_round_played().await;
    let plan = game.plan_for(&correct(1, 0, "dot")).await;
    game.propose(&plan).await;
    assert!(game.apply(&plan).await.unwrap_err().is_refusal());
    game.approve(&plan).await;
    game.apply(&plan).await.unwrap();
}

#[tokio::test]
async fn r10_wins_and_experience_of_a_voided_match_stay() {
    let game = first_round_played().await;
    game.tell(T, opened(2, vec![pair("ann", "ben")])).await;
    game.tell(T, won(2, 0, "ann", "ben")).await;
    let gained = PlayerEvent::ExperienceGained { xp: 50, level: 1, reason: label("tournament_won") };
    game.tell("player-ann", gained).await;
    game.carry_out(&game.plan_for(&correct(1, 1, "cid")).await).await;
    assert_eq!(game.look().await.replay.state.players.get("ann").unwrap().xp, 50);
}

#[tokio::test]
async fn r11_prizes_paid_before_anything_is_decided_are_left_to_people() {
    let mut game = first_round_played().await;
    game.tell(T, paid(PrizeKind::First, "ann", 10)).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert_eq!(plan.held[0].finding.says, "prizes were paid before the tournament was decided");
}

#[tokio::test]
async fn r10_a_correction_that_is_taken_back_orders_in_its_own_plan_whatever_is_to_be_played_then() {
    let game = paid_out().await;
    let slot = slot_of(&game, 1, "p02").await;
    game.carry_out(&game.plan_for(&correct(1, slot, "p05")).await).await;
    for winner in ["p02", "p05", "p02"] {
        let plan = game.plan_for(&correct(1, slot, winner)).await;
        assert_eq!(
            kinds(&plan),
            ["MatchResultCorrected", "BracketRebuilt", "MatchReplayOrdered"],
            "match 2/1 was taken away by the first one"
        );
        assert_eq!(plan.items[0].steps[2].says, format!("player {winner} and player p03 play 2/1"));
        assert_eq!(game.carry_out(&plan).await.name(), "verified");
        nothing(&game.plan().await);
    }
    // A final that waits, is filled, is ordered, and waits again: each time its order is another event.
    for (semifinal, other) in [("p02", "p05"), ("p05", "p02"), ("p02", "p05")] {
        game.tell(T, won(2, 1, semifinal, "p03")).await;
        let order = game.plan().await;
        assert_eq!(kinds(&order), ["MatchReplayOrdered"]);
        assert_eq!(order.items[0].steps[0].says, format!("player p00 and player {semifinal} play 3/0"));
        game.carry_out(&order).await;
        game.carry_out(&game.plan_for(&correct(1, slot, other)).await).await;
        nothing(&game.plan().await);
    }
    assert!(game.look().await.replay.held().is_empty());
}

/// What waits to be told and contradicts the bracket or the payments as they are now.
fn untrue(evidence: &wox_recovery::recovery::Evidence) -> Vec<String> {
    let state = &evidence.replay.state;
    let tournament = state.tournaments.get("t").unwrap();
    let handle = |player: &wox_events::PlayerId| format!("@{player}");
    let is_true = |player: &str, text: &str| {
        let round = || text.split("round ").nth(1)?.split(' ').next()?.parse::<usize>().ok();
        let me = who(player);
        let mine = |pairing: &&Pairing| [&pairing.first, &pairing.second].contains(&&Some(me.clone()));
        if let Some(other) = text.split("you meet ").nth(1) {
            let stated = &tournament.rounds[round().unwrap() - 1];
            let place = stated.pairings.iter().position(|pairing| mine(&pairing));
            return place.is_some_and(|slot| {
                let pairing = &stated.pairings[slot];
                let against = [&pairing.first, &pairing.second].into_iter().flatten().find(|side| **side != me);
                let against = against.is_some_and(|against| other.starts_with(&handle(against)));
                // What the game has decided meanwhile was true when it was ordered.
                against && stated.results.get(&(slot as u16)).is_none_or(|result| !result.corrected)
            });
        }
        if text.contains("was corrected: you ") {
            let mut results = tournament.rounds[round().unwrap() - 1].results.values();
            let won = text.ends_with("you won");
            return results.any(|result| if won { result.winner == me } else { result.loser.as_ref() == Some(&me) });
        }
        if text.ends_with("it was not yours") {
            let Some(schedule) = &tournament.schedule else { return false };
            let amount = text.split(' ').next().unwrap();
            return !schedule.prizes.iter().any(|prize| prize.player == me && prize.amount.to_string() == amount);
        }
        if text.starts_with("you got ") && text.contains("prize") {
            let amount = text.split(' ').nth(2).unwrap();
            let mut payments = tournament.payments.iter();
            return payments
                .any(|paid| paid.player == me && paid.amount.to_string() == amount && paid.reversed.is_none());
        }
        if text.starts_with("you are owed ") {
            let amount = text.split(' ').nth(3).unwrap();
            return tournament.deferred.iter().any(|owed| owed.player == me && owed.amount.to_string() == amount);
        }
        true
    };
    let pending = state.outbox.pending.values();
    let of_players = pending.filter_map(|notice| Some((notice.audience.strip_prefix("player-")?, &notice.text)));
    of_players
        .filter(|(player, text)| !is_true(player, text))
        .map(|(player, text)| format!("{player}: {text}"))
        .collect()
}

#[tokio::test]
async fn r22_nobody_is_told_that_a_prize_is_not_theirs_while_that_may_change() {
    let game = paid_out().await;
    game.carry_out(&game.plan_for(&correct(3, 0, "p02")).await).await;
    game.carry_out(&game.plan_for(&correct(3, 0, "p00")).await).await;
    let evidence = game.look().await;
    assert_eq!(untrue(&evidence), Vec::<String>::new());
    let of_winner = evidence.replay.state.outbox.pending.values().filter(|notice| notice.audience == "player-p00");
    let texts: Vec<&str> = of_winner.map(|notice| notice.text.as_str()).collect();
    assert!(texts.contains(&"you got 200 G, the first prize of tournament t"), "{texts:?}");
    let second = "120 G of a prize of tournament t went back into the pool: the results have changed";
    assert!(texts.contains(&second) && texts.len() == 3, "{texts:?}");

    // A final that is to be played again is nobody's yet.
    let slot = slot_of(&game, 1, "p02").await;
    game.carry_out(&game.plan_for(&correct(1, slot, "p05")).await).await;
    let evidence = game.look().await;
    assert_eq!(untrue(&evidence), Vec::<String>::new());
    let back = "200 G of a prize of tournament t went back into the pool: the results have changed";
    let mut pending = evidence.replay.state.outbox.pending.values();
    assert!(pending.any(|notice| notice.audience == "player-p00" && notice.text == back));
}

#[tokio::test]
async fn r11_a_prize_is_owed_anew_each_time_a_correction_makes_it_owed() {
    let game = paid_out().await;
    game.carry_out(&game.plan_for(&correct(3, 0, "p02")).await).await;
    let (bonus, withdrawable) = game.player_has("p02").await;
    let cost = wox_events::Split { bonus, withdrawable };
    game.tell("player-p02", PlayerEvent::PotionBrewed { potion: called("x"), cost }).await;
    // Another tournament takes all that the pool holds.
    let pool = game.look().await.replay.state.ledger.balance(&wox_projections::Account::Pool);
    let open = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: Amount::ZERO,
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell("tournament-o", open).await;
    let prizes = vec![wox_events::tournament::Prize { prize: PrizeKind::First, player: who("p07"), amount: pool }];
    game.tell("tournament-o", TournamentEvent::PrizeScheduleFixed { pool_at: pool, total: pool, prizes }).await;
    let paid = TournamentEvent::PrizePaid { prize: PrizeKind::First, player: who("p07"), amount: pool };
    game.tell("tournament-o", paid).await;
    let owed = "you are owed 200 G, the first prize of tournament t, until the pool has refilled";
    for winner in ["p00", "p02", "p00", "p02", "p00"] {
        game.carry_out(&game.plan_for(&correct(3, 0, winner)).await).await;
        let evidence = game.look().await;
        assert_eq!(untrue(&evidence), Vec::<String>::new());
        let told = evidence.replay.state.outbox.pending.values().filter(|notice| notice.text == owed).count();
        assert_eq!(told, usize::from(winner == "p00"), "{winner}");
    }
}

fn nothing_to_do(plan: &Plan) {
    assert!(!plan.changes, "{}", crate::game::shown(plan));
}

/// Who holds a prize that is theirs and another one that is not.
fn who_is_paid_and_owes(evidence: &wox_recovery::recovery::Evidence) -> Vec<String> {
    let tournament = evidence.replay.state.tournaments.get("t").unwrap();
    let mut open = tournament.payments.iter().filter(|payment| payment.reversed.is_none());
    let mut seen = std::collections::BTreeSet::new();
    open.by_ref().filter(|payment| !seen.insert(&payment.player)).map(|payment| payment.player.to_string()).collect()
}

async fn spend_all(game: &Game, player: &str) {
    let (bonus, withdrawable) = game.player_has(player).await;
    let cost = wox_events::Split { bonus, withdrawable };
    game.tell(&format!("player-{player}"), PlayerEvent::PotionBrewed { potion: called("x"), cost }).await;
}

#[tokio::test]
async fn r11_who_owes_a_prize_is_paid_no_other_and_gives_it_back_out_of_that_once_it_is_enough() {
    let game = paid_out().await;
    spend_all(&game, "p00").await;
    let plan = game.plan_for(&correct(3, 0, "p02")).await;
    let text = crate::game::shown(&plan);
    for line in [
        "why: player p00 (@p00) holds 0 G of the 200 G that must go back",
        "withheld from the one who owes: second 120 G to p00",
        "why: player p00 (@p00) owes a prize that is not theirs, and nobody is paid while they owe",
        "PrizeReversed: take 120 G back from player p02",
        "PrizePaid: pay first prize of 200 G to player p02",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(!text.contains("PrizePaid: pay second"), "{text}");
    game.carry_out(&plan).await;
    nothing_to_do(&game.plan().await);
    assert_eq!(game.player_has("p00").await.1, g(0));

    // One less than is missing is not enough; then the old prize is there out of the new one, in one batch.
    for (tx, more, settles) in [(9001, 79, false), (9002, 1, true)] {
        let deposit = format!("deposit-8453:{}:0", hash(tx));
        game.credit(&deposit, tx, "p00", more).await;
        let plan = game.plan().await;
        assert_eq!(plan.changes, settles, "{}", crate::game::shown(&plan));
        if settles {
            assert_eq!(kinds(&plan), ["PrizePaid", "PrizeReversed"]);
            assert_eq!(game.carry_out(&plan).await.name(), "verified");
        }
    }
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p00").await.1, g(0));
    assert_eq!(game.player_has("p02").await.1, g(50 + 200));
    assert!(game.look().await.replay.state.conservation.drift.is_zero());
}

#[tokio::test]
async fn r11_a_correction_taken_back_leaves_the_prize_that_was_spent_and_nothing_owed() {
    let game = paid_out().await;
    spend_all(&game, "p00").await;
    game.carry_out(&game.plan_for(&correct(3, 0, "p02")).await).await;
    game.carry_out(&game.plan_for(&correct(3, 0, "p00")).await).await;
    nothing(&game.plan().await);
    assert_eq!(game.player_has("p00").await.1, g(0));
    assert_eq!(game.player_has("p02").await.1, g(50 + 120));
    assert!(game.look().await.replay.state.conservation.drift.is_zero());
}

/// What happens next: a correction there or back, a match that is open, a player who spends all, money for the pool.
#[derive(Clone, Copy, Debug)]
enum Next {
    Correct(usize, usize),
    Play,
    Spend(usize),
    Fill,
}

/// Random corrections, there and back, and what they lead to: each plan is whole, and what waits to be told is true.
async fn corrected_again_and_again(choices: &[Next]) {
    let game = paid_out().await;
    for next in choices {
        let tournament = game.look().await.replay.state.tournaments.get("t").unwrap().clone();
        match *next {
            Next::Correct(round, slot) => {
                let round = round % tournament.rounds.len();
                let slot = slot % tournament.rounds[round].pairings.len();
                let Some(result) = tournament.result_of(round as u8 + 1, slot as u16) else { continue };
                let winner = result.loser.as_ref().unwrap();
                let plan = game.plan_for(&correct(round as u8 + 1, slot as u16, winner.as_str())).await;
                assert!(plan.changes, "{plan:#?}");
                game.carry_out(&plan).await;
            }
            Next::Play => {
                let open = tournament.undecided().find_map(|(round, slot, pairing)| {
                    Some((round, slot, pairing.first.clone()?, pairing.second.clone()?))
                });
                let Some((round, slot, first, second)) = open else { continue };
                game.tell(T, won(round, slot, first.as_str(), second.as_str())).await;
            }
            Next::Spend(player) => {
                let (bonus, withdrawable) = game.player_has(&name(player)).await;
                let cost = wox_events::Split { bonus, withdrawable };
                game.tell(&format!("player-{}", name(player)), PlayerEvent::PotionBrewed { potion: called("x"), cost })
                    .await;
            }
            Next::Fill => {
                let filled = wox_events::PoolEvent::PoolContributed { amount: g(100), source: label("treasury") };
                game.tell("pool-main", filled).await;
            }
        }
        // What the game did leads to a plan: the next match, the prizes, what is owed. What a correction did does not.
        if !matches!(next, Next::Correct(..)) {
            game.carry_out(&game.plan().await).await;
        }
        let evidence = game.look().await;
        assert!(evidence.replay.held().is_empty(), "{:?}", evidence.replay.held());
        assert_eq!(untrue(&evidence), Vec::<String>::new());
        assert!(evidence.replay.state.conservation.drift.is_zero());
        assert_eq!(who_is_paid_and_owes(&evidence), Vec::<String>::new());
        nothing_to_do(&game.plan().await);
    }
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        4 => (0_usize..3, 0_usize..4).prop_map(|(round, slot)| Next::Correct(round, slot)),
        2 => Just(Next::Play),
        1 => (0_usize..8).prop_map(Next::Spend),
        1 => Just(Next::Fill),
    ]
}

/// One random bracket, one random correction; then what a correction must and must not touch.
async fn corrected_somewhere(players: usize, upsets: u64, at: (usize, usize)) {
    let game = field(players, "cup").await;
    let rounds = bracket::elimination_rounds(players) as usize;
    play(&game, 0..rounds, |round, slot| upsets >> (round * 8 + slot) & 1 == 1).await;
    let before = game.look().await.replay.state.tournaments.get("t").unwrap().clone();
    let round = at.0 % rounds;
    let slot = at.1 % before.rounds[round].pairings.len();
    let result = &before.rounds[round].results[&(slot as u16)];
    let Some(loser) = &result.loser else { return };
    let plan = game.plan_for(&correct(round as u8 + 1, slot as u16, loser.as_str())).await;
    game.carry_out(&plan).await;
    let evidence = game.look().await;
    assert!(evidence.replay.held().is_empty() && evidence.replay.state.conservation.drift.is_zero());
    let after = evidence.replay.state.tournaments.get("t").unwrap();
    for (index, stated) in before.rounds.iter().enumerate() {
        for (place, old) in &stated.results {
            let above = index > round && usize::from(*place) == slot >> (index - round);
            let same = (index, usize::from(*place)) == (round, slot);
            let now = after.result_of(index as u8 + 1, *place);
            match (above, same) {
                (true, _) => assert_eq!(now, None, "{index}/{place} stands on {round}/{slot}"),
                (_, true) => assert_eq!(now.map(|result| &result.winner), Some(loser)),
                (false, false) => assert_eq!(now, Some(old), "{index}/{place} does not stand on {round}/{slot}"),
            }
        }
    }
    assert!(after.misdrawn_rounds().next().is_none());
    let again = game.plan().await;
    assert!(!again.changes, "{again:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_correction_touches_what_stands_on_it_and_nothing_else(
        players in 2_usize..18, upsets in any::<u64>(), round in 0_usize..8, slot in 0_usize..16,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(corrected_somewhere(players, upsets, (round, slot)));
    }

    #[test]
    fn corrections_there_and_back_leave_nothing_to_the_next_plan_and_nothing_untrue_to_be_told(
        choices in proptest::collection::vec(next(), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(corrected_again_and_again(&choices));
    }
}
