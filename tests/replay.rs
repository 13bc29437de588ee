//! The replay driver: the same digest for every number of threads and every size of pages, and no end that is none.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]
#![allow(dead_code, unreachable_pub, reason = "the helpers are shared with tests/recovery.rs")]

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{Digest, LogId, Position};
use wox_projections::Replay;
use wox_recovery::{
    demo,
    log::{AppendRequest, EmbeddedLog, EventLog, MemoryLog, embedded::Options},
    replay::{Progress, ReplayStopped, replay},
};

#[path = "recovery/logs.rs"]
mod logs;
use logs::{BadReader, Reads};

const LOG: LogId = LogId(uuid::Uuid::from_u128(7));
const PAGE_SIZES: [u32; 4] = [16, 64, 256, 1024];

async fn write(log: &dyn EventLog) {
    let mut requests: Vec<AppendRequest> = Vec::new();
    for batch in demo::history(&demo::Options { seed: 3, events: Some(3000), faults: true }) {
        requests.push(AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events });
    }
    for answer in log.append_many(requests).await {
        answer.unwrap();
    }
}

async fn memory() -> MemoryLog {
    let log = MemoryLog::new(LOG);
    write(&log).await;
    log
}

fn threads(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

async fn run(log: &dyn EventLog, base: Replay, on: usize) -> Result<Replay, ReplayStopped> {
    let head = log.head().await.unwrap().position;
    replay(log, base, head, threads(on), &Arc::new(Progress::default())).await
}

async fn digest(log: &dyn EventLog, on: usize) -> (Digest, u64) {
    let replayed = run(log, Replay::default(), on).await.unwrap();
    assert!(replayed.accounting.is_complete());
    (replayed.state.digest(), replayed.accounting.read)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_pages_do_not_show_in_the_digest() {
    let expected = digest(&memory().await, 1).await;
    for on in [2, 8, 32] {
        assert_eq!(digest(&memory().await, on).await, expected, "{on} threads in memory");
    }
    for page_size in PAGE_SIZES {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { page_size, log_id: Some(LOG), ..Options::default() };
        let log = EmbeddedLog::create(dir.path().join("store"), options).await.unwrap();
        write(&log).await;
        for on in [1, 2, 8, 32] {
            assert_eq!(digest(&log, on).await, expected, "{on} threads, pages of {page_size}");
        }
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_on_from_anywhere_is_going_through() {
    let log = memory().await;
    let whole = run(&log, Replay::default(), 2).await.unwrap();
    for at in [0, 1, 1023, 1024, 1025, 2048, whole.position.0] {
        let progress = Arc::new(Progress::default());
        let part = replay(&log, Replay::default(), Position(at), threads(2), &progress).await.unwrap();
        assert_eq!((part.position.0, progress.read(), progress.until()), (at, at, at));
        assert_eq!(run(&log, part, 8).await.unwrap(), whole);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_anywhere_is_never_complete() {
    for on in [1, 8] {
        for last in [0, 1, 1023, 1024, 1025, 2500] {
            let log = BadReader::over(memory().await, Reads::EndsAfter(last)).await;
            let head = log.head().await.unwrap().position;
            let stopped = run(&log, Replay::default(), on).await.unwrap_err();
            assert_eq!(
                stopped.to_string(),
                format!("the reader ended behind position {last} without reaching position {head}")
            );
            let ReplayStopped::Incomplete { at, until } = stopped else { panic!("{stopped}") };
            assert_eq!((at.position.0, until), (last, head));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_stops_exactly_before_it() {
    let sound = memory().await;
    for on in [1, 8] {
        for at in [1, 2, 1024, 1025, 2000] {
            let log = BadReader::over(memory().await, Reads::DamagedAt(at)).await;
            let stopped = run(&log, Replay::default(), on).await.unwrap_err();
            assert_eq!(stopped.to_string(), format!("the replay stopped behind position {}", at - 1));
            let ReplayStopped::Read { at: state, .. } = stopped else { panic!("{stopped}") };
            let progress = Arc::new(Progress::default());
            let there = replay(&sound, Replay::default(), Position(at - 1), threads(1), &progress).await.unwrap();
            assert_eq!(*state, there, "the state is the last valid one");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_skips_or_repeats_is_caught_at_once() {
    let log = memory().await;
    let progress = Arc::new(Progress::default());
    let base = replay(&log, Replay::default(), Position(1500), threads(1), &progress).await.unwrap();
    for (reads, got) in [(Reads::Skips, 1502), (Reads::Repeats, 1500)] {
        for on in [1, 8] {
            let log = BadReader::over(memory().await, reads).await;
            let stopped = run(&log, base.clone(), on).await.unwrap_err();
            let ReplayStopped::Order { at, source } = stopped else { panic!("{stopped}") };
            assert_eq!((at.position.0, source.expected.0, source.got.0), (1500, 1501, got));
        }
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_leaves_the_base_as_it_was() {
    let log = BadReader::over(memory().await, Reads::Unavailable).await;
    let ReplayStopped::Read { at, .. } = run(&log, Replay::default(), 2).await.unwrap_err() else { panic!() };
    assert_eq!(*at, Replay::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_was_stopped_goes_on_from_where_it_was() {
    let log = memory().await;
    let head = log.head().await.unwrap().position;
    for on in [1, 8] {
        let progress = Arc::new(Progress::default());
        progress.stop();
        let stopped = replay(&log, Replay::default(), head, threads(on), &progress).await.unwrap_err();
        let ReplayStopped::Interrupted { at } = stopped else { panic!("{stopped}") };
        assert!(at.position > Position(0) && at.position < head);
        assert_eq!(progress.read(), at.position.0);
        assert_eq!(run(&log, *at, on).await.unwrap(), run(&log, Replay::default(), 1).await.unwrap());
    }
}
