//! Row R06 and damage: events that cannot be folded, leaving one out by name, and a log that cannot be read.

use wox_events::{Json, PlayerEvent};
use wox_recovery::{
    log::EventLog,
    recovery::{
        ApplyError, Evidence, GatherError, Scope, apply, approve, diagnose, evidence::Damage, gather, gather_upto,
        plan, propose,
    },
};

use crate::{
    game::{Game, NOW, actor, duel_state, id_of, named, nothing, one, position, progress, says, split, stream},
    logs::{BadReader, Reads},
};

/// Two duels go on; into the first comes an event of a kind nobody knows, and turns behind it.
async fn poisoned(poison: bool) -> Game {
    let game = Game::new();
    game.active_duel().await;
    game.challenge("c", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.accept("c", "ben").await;
    if poison {
        let data = Json::canonical(r#"{"what":"nobody knows"}"#).unwrap();
        game.tell_raw("duel-d", "DuelEnchanted", 1, data, None).await;
    }
    game.turn("d", 1, "ann").await;
    game.turn("c", 1, "ben").await;
    game.turn("d", 2, "ben").await;
    game
}

const POISON: u64 = 15;

fn waive() -> Scope {
    Scope::Waive { position: position(POISON), why: "a test event of the developers".into() }
}

#[tokio::test]
async fn a_poison_event_holds_its_stream_and_nothing_else() {
    let with = poisoned(true).await.look().await;
    let without = poisoned(false).await.look().await;
    assert_eq!(with.replay.held().keys().map(ToString::to_string).collect::<Vec<_>>(), ["duel-d"]);
    let accounting = with.replay.accounting;
    assert_eq!((accounting.read, accounting.applied, accounting.refused), (18, 15, 3));
    assert_eq!(duel_state(&with, "d").turn, 0, "it stands where it was");
    let mut other = [duel_state(&with, "c"), duel_state(&without, "c")];
    assert_eq!(other[0].turn, 1);
    for duel in &mut other {
        duel.last.position = position(0);
    }
    assert_eq!(other[0], other[1], "the duel beside it plays on as if nothing had happened");
    let digests = |evidence: &Evidence| {
        let all = evidence.replay.state.digests().into_iter();
        all.filter(|(name, _)| *name != "duels").collect::<Vec<_>>()
    };
    assert_eq!(digests(&with), digests(&without));
}

#[tokio::test]
async fn a_held_stream_is_found_at_its_event_and_left_to_people() {
    let game = poisoned(true).await;
    let diagnosis = game.diagnosis().await;
    assert_eq!(diagnosis.last_valid, position(POISON - 1));
    let plan = game.plan().await;
    says(
        &plan,
        "
        HELD held_stream duel-d: event at duel-d@5 (position 15) cannot be read: kind `DuelEnchanted` is unknown to this build; run the version of wox that wrote it, or waive it; 2 later events wait behind it
          why: only a person can say whether an event that cannot be folded may be left out
          next: look at it with `wox show 15`; to leave it out: `wox recover event 15 --why REASON`
        ",
    );
}

#[tokio::test]
async fn nothing_else_is_said_about_a_held_stream() {
    let mut game = poisoned(true).await;
    game.wait(1000).tick().await;
    let found: Vec<String> =
        game.diagnosis().await.cases.into_iter().map(|case| case.finding.subject.to_string()).collect();
    assert_eq!(found, ["duel-d", "duel-c"], "duel-d is held, duel-c is stuck");
    assert_eq!(named(&game.diagnosis().await, "stuck_duel").len(), 1);
}

#[tokio::test]
async fn an_event_that_is_refused_says_why() {
    let game = Game::new();
    game.active_duel().await;
    game.turn("d", 7, "ann").await;
    let cases = game.diagnosis().await.cases;
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].finding.says, "TurnMissed at duel-d@5 (position 11) is refused: turn is 7, expected 1");
}

#[tokio::test]
async fn an_event_left_out_by_name_lets_its_stream_play_on() {
    let game = poisoned(true).await;
    let waiver = game.plan_for(&waive()).await;
    assert!(waiver.needs_approval, "no money moves, but history is read differently");
    says(
        &waiver,
        "
        waiver WOX-DB-TRANS-005 high since duel-d@5: kind `DuelEnchanted` is unknown to this build; run the version of wox that wrote it, or waive it
        on ops-control@0
          EventWaived: event duel-d@5 (position 15) is left out; duel-d plays on without it
        ",
    );
    game.propose(&waiver).await;
    assert!(matches!(game.apply(&waiver).await.unwrap_err(), ApplyError::NotApproved(_)));
    let verdict = game.carry_out(&waiver).await;
    assert_eq!(verdict.name(), "verified", "{verdict:?}");
    let evidence = game.look().await;
    let accounting = evidence.replay.accounting;
    assert_eq!((accounting.refused, accounting.waived), (0, 1));
    assert_eq!(accounting.read, accounting.applied + 1);
    assert_eq!(duel_state(&evidence, "d").turn, 2);
    let before = gather_upto(&game.log, position(POISON + 1), None, one(), &progress()).await.unwrap();
    assert_eq!(before.replay.accounting.refused, 2, "as of then nobody had decided yet");
    let mut again = evidence.replay.clone();
    again =
        again.under(&Default::default()).map_or_else(Default::default, |_| panic!("a snapshot under other waivers"));
    assert_eq!(again.position, position(0));
}

#[tokio::test]
async fn what_a_held_event_caused_waits_with_it() {
    let game = poisoned(true).await;
    let title = PlayerEvent::TitleAwarded { title: crate::game::called("enchanter") };
    let (kind, version, data) = wox_events::Event::from(title).encode().unwrap();
    game.tell_raw("player-ann", &kind, version, data, Some(id_of("duel-d", 5))).await;
    let evidence = game.look().await;
    assert_eq!(evidence.replay.held().len(), 2);
    let first = &evidence.replay.held()[&stream("player-ann")];
    assert_eq!(first.reason.to_string(), format!("it was caused by event {}, which is held", id_of("duel-d", 5)));
    game.carry_out(&game.plan_for(&waive()).await).await;
    assert!(game.look().await.replay.held().is_empty(), "its cause is decided about");
}

/// Two duels that went on, in a log whose reader is bad.
async fn bad(reads: Reads) -> BadReader {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(1000).tick().await;
    BadReader::over(game.log, reads).await
}

#[tokio::test]
async fn damage_at_any_position_is_found_exactly_there_and_nothing_is_appended() {
    for at in 1..=11 {
        let mut game = Game::new();
        game.active_duel().await;
        game.wait(1000).tick().await;
        let made = game.plan().await;
        game.propose(&made).await;
        game.approve(&made).await;
        let log = BadReader::over(game.log, Reads::DamagedAt(at)).await;
        let evidence = gather(&log, one(), &progress()).await.unwrap();
        let damage = evidence.damage.clone().unwrap();
        assert_eq!((damage.from, evidence.as_of), (position(at), position(at - 1)));
        assert!(evidence.head > evidence.as_of);
        assert_eq!(diagnose(&evidence).last_valid, position(at - 1));
        let plan = plan(&evidence, &Scope::All).unwrap();
        assert!(!plan.changes, "{:#?}", plan.items);
        let broken = plan.held.iter().find(|hold| hold.finding.procedure == "broken_log").unwrap();
        assert_eq!(broken.finding.subject, stream("ops-log"));
        let start = format!("the log cannot be trusted from position {at} on: memory is damaged at position {at}: ");
        assert!(broken.finding.says.starts_with(&start), "{}", broken.finding.says);
        assert_eq!(broken.why, "one damaged copy can be detected, not repaired");

        let head = log.head().await.unwrap();
        let error = apply(&log, made.id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
        assert!(matches!(error, ApplyError::Damaged { from, .. } if from == position(at)), "{error}");
        assert!(!error.is_refusal(), "it is damage, not a decision");
        assert_eq!(log.head().await.unwrap(), head);
    }
}

#[tokio::test]
async fn damage_behind_the_evidence_of_a_plan_stops_it_too() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(1000).tick().await;
    let made = game.plan().await;
    game.propose(&made).await;
    game.approve(&made).await;
    let last = game.log.head().await.unwrap().position;
    let log = BadReader::over(game.log, Reads::DamagedAt(last.0)).await;
    let error = apply(&log, made.id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
    assert!(matches!(error, ApplyError::Damaged { from, .. } if from == last), "{error}");
}

#[tokio::test]
async fn a_reader_that_ends_early_skips_or_repeats_is_damage_never_the_end() {
    let early = gather(&bad(Reads::EndsAfter(5)).await, one(), &progress()).await.unwrap();
    let what = "the reader ended before position 11";
    assert_eq!(early.damage, Some(Damage { from: position(6), what: what.into() }));
    let skipped = gather(&bad(Reads::Skips).await, one(), &progress()).await.unwrap();
    let what = "expected position 1, read 2: the reader skipped or repeated events; run `wox verify`";
    assert_eq!(skipped.damage, Some(Damage { from: position(1), what: what.into() }));
    let sound = bad(Reads::EndsAfter(11)).await;
    let base = gather_upto(&sound, position(4), None, one(), &progress()).await.unwrap().replay;
    let log = bad(Reads::Repeats).await;
    let repeated = gather_upto(&log, position(11), Some(base), one(), &progress()).await.unwrap();
    let what = "expected position 5, read 4: the reader skipped or repeated events; run `wox verify`";
    assert_eq!(repeated.damage, Some(Damage { from: position(5), what: what.into() }));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_an_error_not_a_finding() {
    let log = bad(Reads::Unavailable).await;
    let error = gather(&log, one(), &progress()).await.unwrap_err();
    assert!(matches!(error, GatherError::Read(_)), "{error}");
    assert_eq!(error.to_string(), "store cannot be read");
}

#[tokio::test]
async fn stopping_gives_back_what_was_folded_and_no_evidence() {
    let game = poisoned(false).await;
    let stop = progress();
    stop.stop();
    let GatherError::Interrupted { at } = gather(&game.log, one(), &stop).await.unwrap_err() else { panic!() };
    assert!(at.position > position(0), "it stops after a chunk");
    assert_eq!(stop.until(), 17);
    let rest = gather_upto(&game.log, position(17), Some(*at), one(), &progress()).await.unwrap();
    assert_eq!(rest.replay, game.look().await.replay);
}

#[tokio::test]
async fn a_plan_made_on_damage_is_about_the_sound_part_only() {
    let game = poisoned(true).await;
    let log = BadReader::over(game.log, Reads::DamagedAt(POISON + 2)).await;
    let evidence = gather(&log, one(), &progress()).await.unwrap();
    let made = plan(&evidence, &waive()).unwrap();
    propose(&log, &made, &actor("alice"), NOW).await.unwrap();
    approve(&log, made.id, &actor("bob"), "ok", NOW).await.unwrap();
    let error = apply(&log, made.id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
    assert!(matches!(error, ApplyError::Gather(GatherError::Beyond { .. }) | ApplyError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn only_an_event_that_holds_its_stream_can_be_left_out() {
    let game = poisoned(true).await;
    let waive = |at: u64| Scope::Waive { position: position(at), why: "x".into() };
    says(
        &game.plan_for(&waive(1)).await,
        "
        HELD waiver ops-control: the event at position 1 is good: it counts, so there is nothing to leave out
          why: only an event that holds its stream can be left out: without one that counts, history would be another
          next: what could be left out: wox recover event 15 --why REASON (it holds duel-d)
        ",
    );
    says(
        &game.plan_for(&waive(16)).await,
        "
        HELD waiver duel-d: duel-d@6 (position 16) is not what holds its stream
          why: it waits behind an earlier event of its stream
          next: wox show 15 shows what does; wox recover event 15 --why REASON leaves that out
        ",
    );
    assert_eq!(game.plan_for(&waive(10_000)).await.held[0].finding.says, "there is no event at position 10000 yet");
    game.carry_out(&game.plan_for(&waive(POISON)).await).await;
    nothing(&game.plan_for(&waive(POISON)).await);
    let good = game.plan_for(&waive(1)).await;
    assert_eq!(good.held[0].next, "no event holds a stream now; what a good event did wrong is corrected: wox plan");
}
