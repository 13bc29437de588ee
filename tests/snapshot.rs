//! Snapshots: they save time and are never believed beyond what they are bound to.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use uuid::Uuid;
use wox_events::{LogId, Position};
use wox_projections::Replay;
use wox_recovery::{
    demo,
    log::{AppendRequest, EmbeddedLog, EventLog, embedded::Options},
    recovery::gather_upto,
    replay::Progress,
    snapshot,
};

async fn played(store: &Path, log: u128, seed: u64) -> EmbeddedLog {
    let options = Options { page_size: 64, log_id: Some(LogId(Uuid::from_u128(log))), ..Options::default() };
    let log = EmbeddedLog::create(store, options).await.unwrap();
    let history = demo::history(&demo::Options { seed, events: Some(3_000), faults: true });
    let requests =
        history.map(|batch| AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events });
    assert!(log.append_many(requests.collect()).await.iter().all(Result::is_ok));
    log
}

async fn folded(log: &EmbeddedLog, from: Option<Replay>, until: u64) -> Replay {
    let evidence = gather_upto(log, Position(until), from, NonZeroUsize::MIN, &Arc::new(Progress::default())).await;
    evidence.unwrap().replay
}

async fn saved(store: &Path, log: &EmbeddedLog, replay: &Replay) -> std::path::PathBuf {
    snapshot::save(store, log, replay).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_from_a_snapshot_gives_the_state_of_a_replay_from_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let log = played(&store, 1, 3).await;
    let head = log.head().await.unwrap().position.0;
    let whole = folded(&log, None, head).await;
    for at in [1, 63, 64, 65, 1_000, head - 1, head] {
        let part = folded(&log, None, at).await;
        saved(&store, &log, &part).await;
        let found = snapshot::newest(&store, &log, Position(head)).await.unwrap();
        assert!(found.passed_over.is_empty(), "{:?}", found.passed_over);
        let start = found.replay.expect("the snapshot fits");
        assert_eq!(start, part);
        let on = folded(&log, Some(start), head).await;
        assert_eq!((on.state.digest(), on.accounting), (whole.state.digest(), whole.accounting), "from {at}");
    }
    assert_eq!(fs::read_dir(store.join("snapshots")).unwrap().count(), 2, "older ones are removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_beyond_the_wanted_position_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let log = played(&store, 1, 3).await;
    saved(&store, &log, &folded(&log, None, 500).await).await;
    assert!(snapshot::newest(&store, &log, Position(499)).await.unwrap().replay.is_none());
    assert!(snapshot::newest(&store, &log, Position(500)).await.unwrap().replay.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_log_or_another_history_is_passed_over_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other, twin) = (dir.path().join("one"), dir.path().join("other"), dir.path().join("twin"));
    let log = played(&one, 1, 3).await;
    let path = saved(&one, &log, &folded(&log, None, 500).await).await;
    for (store, id, seed, why) in [(&other, 2, 3, "another log"), (&twin, 1, 4, "another history")] {
        let stranger = played(store, id, seed).await;
        fs::create_dir(store.join("snapshots")).unwrap();
        fs::copy(&path, store.join("snapshots").join(path.file_name().unwrap())).unwrap();
        let found = snapshot::newest(store, &stranger, Position(2_000)).await.unwrap();
        assert!(found.replay.is_none());
        assert!(found.passed_over[0].1.contains(why), "{:?}", found.passed_over);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_passed_over_and_the_one_before_it_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let log = played(&store, 1, 3).await;
    let older = folded(&log, None, 400).await;
    saved(&store, &log, &older).await;
    let path = saved(&store, &log, &folded(&log, None, 500).await).await;
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        let found = snapshot::newest(&store, &log, Position(2_000)).await.unwrap();
        let used = found.replay.expect("the older one fits");
        assert_eq!(used, older, "byte {at}");
        // A changed position may only make it look newer than what is wanted; then it is not even looked at.
        assert!(found.passed_over.len() <= 1, "{:?}", found.passed_over);
    }
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(snapshot::newest(&store, &log, Position(2_000)).await.unwrap().replay.unwrap(), older);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_spelt_otherwise_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let log = played(&store, 0xabc, 3).await;
    let path = saved(&store, &log, &folded(&log, None, 500).await).await;
    let bytes = fs::read(&path).unwrap();
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for at in 0..line {
        // This bit turns small letters into capitals: an id in capitals is still the same id.
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        fs::write(&path, &flipped).unwrap();
        let found = snapshot::newest(&store, &log, Position(500)).await.unwrap();
        assert!(found.replay.is_none(), "byte {at} of the checkpoint");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_place_of_a_snapshot_is_passed_over_and_never_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let log = played(&store, 1, 3).await;
    let older = folded(&log, None, 400).await;
    saved(&store, &log, &older).await;
    let newer = saved(&store, &log, &folded(&log, None, 500).await).await;
    for kind in ["FIFO", "directory", "dangling link", "link to a device"] {
        let _ = fs::remove_file(&newer).or_else(|_| fs::remove_dir(&newer));
        match kind {
            "FIFO" => assert!(std::process::Command::new("mkfifo").arg(&newer).status().unwrap().success()),
            "directory" => fs::create_dir(&newer).unwrap(),
            "dangling link" => std::os::unix::fs::symlink("nowhere", &newer).unwrap(),
            _ => std::os::unix::fs::symlink("/dev/zero", &newer).unwrap(),
        }
        let looking = snapshot::newest(&store, &log, Position(500));
        let found = tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect(kind).unwrap();
        assert_eq!(found.replay, Some(older.clone()), "{kind}");
        assert_eq!(found.passed_over.len(), 1, "{kind}");
    }
}
