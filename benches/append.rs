//! Appends, measured as ratios in one run: `cargo bench --bench append -- [EVENTS]`.
//!
//! Acknowledged events a second of the embedded log against plain SQLite through sqlx (same journal mode, same
//! `synchronous=FULL`, one row an event): one sync an event, a sync for 10,000 events, and 64 writers who share syncs,
//! which plain SQLite does not offer.

#![allow(clippy::print_stdout, reason = "a bench reports by printing")]

#[path = "support/row_log.rs"]
mod row_log;

use std::{env, error, time::Instant};

use wox_events::{Position, RawEvent, Revision};
use wox_recovery::{
    demo,
    log::{Ack, AppendError, AppendRequest, EmbeddedLog, EventLog, embedded::Options},
};

type Outcome<T = ()> = Result<T, Box<dyn error::Error>>;

const WRITERS: usize = 64;
const BATCH: usize = 10_000;
/// Events that are synced one by one: a disk does some thousands of these a second at best.
const SINGLE: usize = 2_000;

fn main() -> Outcome {
    let events = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(compare(events))
}

/// One request an event, so that every case writes the same events.
fn requests(events: u64) -> Vec<AppendRequest> {
    let history = demo::history(&demo::Options { seed: 1, events: Some(events), faults: false });
    let single = |batch: demo::Batch| {
        let demo::Batch { stream, expected, events } = batch;
        events.into_iter().enumerate().map(move |(index, event)| AppendRequest {
            stream: stream.clone(),
            expected: Revision(expected.0 + index as u64),
            events: vec![event],
        })
    };
    history.flat_map(single).collect()
}

fn rows(requests: &[AppendRequest]) -> impl Iterator<Item = RawEvent> {
    requests.iter().zip(1..).map(|(request, position)| RawEvent {
        position: Position(position),
        stream: request.stream.clone(),
        revision: Revision(request.expected.0 + 1),
        event: request.events[0].clone(),
    })
}

async fn compare(events: u64) -> Outcome {
    let folder = env::temp_dir().join(format!("wox-bench-append-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let requests = requests(events);
    let single = &requests[..SINGLE.min(requests.len())];

    let plain_single = rate(single.len(), async {
        let singly = rows(single).map(|row| vec![row]);
        Ok(row_log::write_batches(&folder.join("plain-single.sqlite"), singly).await?)
    })
    .await?;
    let log_single = rate(single.len(), async {
        let log = EmbeddedLog::create(folder.join("log-single"), Options::default()).await?;
        for request in single {
            log.append(request.clone()).await?;
        }
        log.close().await;
        Ok(())
    })
    .await?;
    let log_shared = rate(single.len() * 4, async {
        let log = EmbeddedLog::create(folder.join("log-shared"), Options::default()).await?;
        shared(&log, &requests[..(single.len() * 4).min(requests.len())]).await?;
        log.close().await;
        Ok(())
    })
    .await?;
    let plain_batched = rate(requests.len(), async {
        let all: Vec<RawEvent> = rows(&requests).collect();
        let batches = all.chunks(BATCH).map(<[RawEvent]>::to_vec);
        Ok(row_log::write_batches(&folder.join("plain-batched.sqlite"), batches).await?)
    })
    .await?;
    let log_batched = rate(requests.len(), async {
        let log = EmbeddedLog::create(folder.join("log-batched"), Options::default()).await?;
        for batch in requests.chunks(BATCH) {
            for answer in log.append_many(batch.to_vec()).await {
                answer?;
            }
        }
        log.close().await;
        Ok(())
    })
    .await?;

    println!("{:<40} {:>12} {:>14}", "acknowledged events a second", "embedded log", "plain SQLite");
    println!("{:<40} {log_single:>12.0} {plain_single:>14.0}", "one sync an event");
    println!("{:<40} {log_shared:>12.0} {:>14}", format!("{WRITERS} writers, group commit"), "-");
    println!("{:<40} {log_batched:>12.0} {plain_batched:>14.0}", "batches of 10,000");
    println!("one sync an event, against SQLite    {:.2} times", log_single / plain_single);
    println!("group commit, against one by one     {:.2} times", log_shared / log_single);
    println!("batches of 10,000, against SQLite    {:.2} times", log_batched / plain_batched);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn rate(events: usize, work: impl Future<Output = Outcome>) -> Outcome<f64> {
    let start = Instant::now();
    work.await?;
    Ok(events as f64 / start.elapsed().as_secs_f64())
}

/// Many writers at once, each stream in the hands of one: who waits for a sync shares it.
async fn shared(log: &EmbeddedLog, requests: &[AppendRequest]) -> Outcome {
    let mut hands: Vec<Vec<AppendRequest>> = vec![Vec::new(); WRITERS];
    for request in requests {
        let hand = request.stream.as_str().bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        hands[hand % WRITERS].push(request.clone());
    }
    let mut writers = tokio::task::JoinSet::new();
    for hand in hands {
        let log = log.clone();
        writers.spawn(async move {
            let mut last: Result<Option<Ack>, AppendError> = Ok(None);
            for request in hand {
                last = Ok(Some(log.append(request).await?));
            }
            last
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Ok(())
}
