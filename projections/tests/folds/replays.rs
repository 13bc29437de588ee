//! What a replay does with events it cannot take: held streams, held causes, gaps, waivers, and the game's clock.

use wox_events::{Position, Revision, Timestamp};
use wox_projections::{Accounting, Replay, ReplayError, State, Waiver, Waivers};

use crate::story::{Story, check, id, replay};

const PLAYERS: &str = "
    player-ann PlayerCreated bonus=20
    player-bob PlayerCreated bonus=20";

#[test]
fn a_refused_event_holds_its_stream_and_nothing_else() {
    let given = format!(
        "{PLAYERS}
         player-ann PlayerCreated bonus=20
         player-ann BonusGranted amount=5
         player-bob BonusGranted amount=5
         player-ann BonusGranted amount=5"
    );
    check(
        &given,
        "refused player-ann@2: player `ann` exists already
         bonus:ann = 20
         bonus:bob = 25",
    );
    let replay = replay(&Story::default().tell_all(&given));
    assert_eq!(replay.accounting, Accounting { read: 6, applied: 3, refused: 3, waived: 0 });
    let held = replay.held().values().next().unwrap();
    assert_eq!((held.followers, held.kind.as_deref()), (2, Some("PlayerCreated")));
}

#[test]
fn what_a_held_event_caused_is_held_too_and_so_is_what_that_caused() {
    check(
        &format!(
            "{PLAYERS}
             player-ann PlayerCreated bonus=20
             player-bob BonusGranted amount=5 .cause=@player-ann#2
             pool-main PoolContributed amount=5 .cause=@player-bob#2
             ops-main ComponentProbed .cause=@player-ann#1"
        ),
        &format!(
            "refused player-ann@2: player `ann` exists already
             refused player-bob@2: it was caused by event {}, which is held
             refused pool-main@1: it was caused by event {}, which is held
             bonus:bob = 20
             pool = 0
             ops/counts/ComponentProbed = 1",
            id("player-ann#2"),
            id("player-bob#2")
        ),
    );
}

#[test]
fn what_this_build_cannot_read_holds_its_stream() {
    check(
        &format!(
            "{PLAYERS}
             player-ann BroomRaced
             player-bob BonusGranted amount=5 .v=9
             broom-1 BroomRaced
             duel-1 StakeHeld player=ann stake:=3"
        ),
        "refused player-ann@2: kind `BroomRaced` is unknown to this build; run the version of wox that wrote it, or waive it
         refused player-bob@2: kind `BonusGranted` version 9 is newer than this build (knows up to 1); run a newer wox
         refused broom-1@1: stream category `broom` is unknown to this build; run the version of wox that wrote it, or waive it
         refused duel-1@1: payload of `StakeHeld` version 1 is malformed: invalid type: integer `3`, expected struct Split at line 1 column 25",
    );
    let replay = replay(&Story::default().tell_all("player-ann BroomRaced"));
    assert_eq!(replay.held().values().next().unwrap().kind, None);
}

#[test]
fn a_missing_revision_holds_the_stream() {
    check(
        &format!(
            "{PLAYERS}
             player-ann BonusGranted amount=5 .rev=3
             player-bob BonusGranted amount=5 .rev=1
             player-eve PlayerCreated .rev=2
             player-max PlayerCreated .rev=18446744073709551615"
        ),
        "refused player-ann@3: revision 3 follows revision 1: the stream is incomplete
         refused player-bob@1: revision 1 follows revision 1: the stream is incomplete
         refused player-eve@2: revision 2 follows revision 0: the stream is incomplete
         refused player-max@18446744073709551615: revision 18446744073709551615 follows revision 0: the stream is incomplete
         bonus:ann = 20",
    );
}

#[test]
fn the_last_revision_there_can_be_has_no_successor() {
    let mut story = Story::default();
    let mut events = story.tell_all("player-max PlayerCreated .rev=18446744073709551615\nops-main ComponentProbed");
    events[1].stream = events[0].stream.clone();
    let replay = replay(&events);
    assert_eq!(replay.accounting.refused, 2);
}

#[test]
fn a_reader_that_skips_or_repeats_is_an_error_not_a_finding() {
    let events = Story::default().tell_all(PLAYERS);
    let mut replay = Replay::default();
    let skipped = replay.observe(&events[1]).unwrap_err();
    assert_eq!(skipped, ReplayError { expected: Position(1), got: Position(2) });
    assert_eq!(
        skipped.to_string(),
        "expected position 1, read 2: the reader skipped or repeated events; run `wox verify`"
    );
    replay.observe(&events[0]).unwrap();
    assert!(replay.observe(&events[0]).is_err());
    assert_eq!(replay.accounting.read, 1, "an error of reading counts as nothing");
    assert_eq!(replay.state.players.iter().len(), 1);
}

fn waiver(position: u64, event: &str) -> Waivers {
    Waivers::from([Waiver { position: Position(position), event: id(event) }])
}

#[test]
fn a_waived_event_is_set_aside_and_its_stream_goes_on() {
    let events = Story::default().tell_all(&format!(
        "{PLAYERS}
         player-ann PlayerCreated bonus=20
         player-ann BonusGranted amount=5"
    ));
    let run = |waivers: Waivers| {
        let mut replay = Replay::new(waivers);
        events.iter().for_each(|event| replay.observe(event).unwrap());
        replay
    };
    let waived = run(waiver(3, "player-ann#2"));
    assert_eq!(waived.accounting, Accounting { read: 4, applied: 3, refused: 0, waived: 1 });
    assert!(waived.accounting.is_complete() && waived.held().is_empty());
    assert_eq!(waived.revision(&events[3].stream), Revision(3));
    // A waiver names position and event: one that fits another log does nothing here.
    assert_eq!(run(waiver(3, "player-ann#9")).accounting.refused, 2);
    assert_eq!(run(waiver(4, "player-ann#2")).accounting.refused, 2);
}

#[test]
fn a_replay_goes_on_only_under_the_waivers_it_was_made_under() {
    let events = Story::default().tell_all(PLAYERS);
    let replay = replay(&events);
    let later = waiver(3, "player-ann#2");
    let earlier = waiver(2, "player-bob#1");
    assert_eq!(
        replay.clone().under(&later).unwrap().waivers(),
        &later,
        "a waiver of what is still to come changes nothing"
    );
    assert!(replay.clone().under(&earlier).is_none(), "a waiver of what was folded needs a replay from the start");
    assert!(replay.clone().under(&later).unwrap().under(&Waivers::new()).is_some());
    let mut other = Replay::new(earlier);
    events.iter().for_each(|event| other.observe(event).unwrap());
    assert!(other.under(&Waivers::new()).is_none());
}

#[test]
fn only_the_game_and_the_world_move_the_games_clock_and_never_back() {
    let clock = |given: &str| replay(&Story::default().tell_all(given)).game_clock;
    assert_eq!(clock("pool-main PoolContributed .at=9"), Timestamp(9_000_000));
    assert_eq!(clock("pool-main PoolContributed .at=9 .from=observed"), Timestamp(9_000_000));
    assert_eq!(clock("pool-main PoolContributed .at=9 .from=recovery"), Timestamp(0));
    assert_eq!(clock("pool-main PoolContributed .at=9 .from=imported"), Timestamp(0));
    assert_eq!(clock("pool-main PoolContributed .at=9\npool-main PoolStated .at=3"), Timestamp(9_000_000));
    assert_eq!(clock("pool-main BroomRaced .at=9"), Timestamp(0), "a refused event moves nothing");
}

/// A maximum taken for "never", milliseconds read as microseconds: one such time would let every running duel time out.
#[test]
fn an_event_of_an_impossible_time_holds_its_stream_and_moves_no_clock() {
    for impossible in ["4102444800", "9223372036854775807", "-1"] {
        let replay = replay(&Story::default().tell_all(&format!(
            "pool-main PoolContributed .at=9\nagent-main MentionReceived .at={impossible}\npool-main PoolContributed .at=10"
        )));
        assert_eq!((replay.game_clock, replay.clock_set_by.0), (Timestamp(10_000_000), 3), "{impossible}");
        let held: Vec<_> = replay.held().iter().collect();
        assert_eq!((held.len(), replay.accounting.refused), (1, 1), "{impossible}");
        let reason = held[0].1.reason.to_string();
        assert!(reason.contains("outside the years 1970 to 2099"), "{reason}");
    }
    let last = replay(&Story::default().tell_all("agent-main MentionReceived .at=4102444799"));
    assert_eq!(last.accounting.applied, 1);
}

#[test]
fn streams_and_events_can_be_found_and_cited() {
    let events = Story::default().tell_all(PLAYERS);
    let replay = replay(&events);
    assert_eq!(replay.stream_count(), 2);
    assert_eq!(replay.revision(&events[0].stream), Revision(1));
    assert_eq!(replay.revision(&wox_events::StreamId::new("duel-9").unwrap()), Revision::NO_STREAM);
    let cited = wox_projections::EventAt::of(&events[1]).on(&events[1].stream);
    assert_eq!(cited, wox_projections::EventRef::of(&events[1]));
    assert_eq!(cited.to_string(), "player-bob@1 (position 2)");
    assert_eq!(wox_projections::FOLD_HASH.len(), 32);
}

#[test]
fn every_projection_has_a_digest_and_the_whole_follows_from_them() {
    let empty = State::default();
    let names: Vec<&str> = empty.digests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, State::PROJECTIONS);
    let state = replay(&Story::default().tell_all(PLAYERS)).state;
    let changed: Vec<&str> = std::iter::zip(empty.digests(), state.digests())
        .filter(|(before, after)| before.1 != after.1)
        .map(|(before, _)| before.0)
        .collect();
    assert_eq!(changed, ["players", "ledger"]);
    assert_ne!(empty.digest(), state.digest());
}
