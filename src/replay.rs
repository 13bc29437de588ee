//! Drives a replay: reads chunks in order, decodes them on as many threads as asked for, folds them in order on one.
//!
//! Decoding (decompressing, hashing, parsing) is most of the work and needs no order; folding needs order and nothing
//! else. So the result cannot depend on the number of threads or the size of pages: every event passes the same fold in
//! the same order. The end is a message of its own: a channel that closes early is an error, never an end (law 3).

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;
use wox_events::{Position, Recorded};
use wox_projections::{Replay, ReplayError};

use crate::log::{Chunk, EventLog, ReadError};

/// How far a replay is, for whoever shows progress; and the switch that stops it at the next safe point.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    until: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Events folded so far, counted from genesis.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Where the replay will end; 0 before it knows.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until.load(Ordering::Relaxed)
    }

    /// Asks the replay to stop after the chunk it is folding. It then answers [`ReplayStopped::Interrupted`] with the
    /// state so far.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Why a replay did not reach its end. The state up to the last good event is inside.
#[derive(Debug, thiserror::Error)]
pub enum ReplayStopped {
    /// The log could not be read on.
    #[error("the replay stopped behind position {}", at.position)]
    Read {
        /// The state up to there.
        at: Box<Replay>,
        /// What the reader said.
        source: ReadError,
    },
    /// The reader handed out something that was not the next event.
    #[error("the replay stopped behind position {}", at.position)]
    Order {
        /// The state up to there.
        at: Box<Replay>,
        /// What was wrong.
        source: ReplayError,
    },
    /// The reader ended without saying that it was at the end.
    #[error("the reader ended behind position {} without reaching position {until}", at.position)]
    Incomplete {
        /// The state up to there.
        at: Box<Replay>,
        /// Where it should have ended.
        until: Position,
    },
    /// Somebody asked it to stop.
    #[error("the replay was interrupted behind position {}", at.position)]
    Interrupted {
        /// The state up to there: go on from it.
        at: Box<Replay>,
    },
}

/// Somebody who looks on while events are folded: judges, collects, changes nothing.
pub trait Watch: Send + 'static {
    /// The state before an event.
    fn before(&mut self, _state: &Replay, _event: &Recorded) {}
    /// The state after it; whether it was applied, refused or waived shows in the accounting.
    fn after(&mut self, _state: &Replay, _event: &Recorded) {}
}

/// Nobody.
impl Watch for () {}

/// Folds everything behind `base` up to `until`, decoding on `threads` threads (the folding one included).
pub async fn replay(
    log: &dyn EventLog,
    base: Replay,
    until: Position,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Replay, ReplayStopped> {
    replay_watched(log, base, until, threads, progress, ()).await.1
}

/// As [`replay`], under the eyes of `watch`, which comes back with what it saw, also when the replay stopped.
pub async fn replay_watched<W: Watch>(
    log: &dyn EventLog,
    base: Replay,
    until: Position,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
    mut watch: W,
) -> (W, Result<Replay, ReplayStopped>) {
    progress.read.store(base.position.0, Ordering::Relaxed);
    progress.until.store(until.0, Ordering::Relaxed);
    if base.position >= until {
        return (watch, Ok(base));
    }
    tracing::debug!(from = base.position.0, until = until.0, threads, "replay starts");
    let mut chunks = match log.chunks(base.position, until).await {
        Ok(chunks) => chunks,
        Err(source) => return (watch, Err(ReplayStopped::Read { at: Box::new(base), source })),
    };
    let (sender, input) = mpsc::channel(threads.get() * 2);
    let progress = Arc::clone(progress);
    let folding = tokio::task::spawn_blocking(move || {
        let result = fold(base, until, threads, input, &progress, &mut watch);
        (watch, result)
    });
    let mut sequence = 0;
    loop {
        let (job, last) = match chunks.next().await {
            Ok(Some(chunk)) => (Job::Chunk(chunk), false),
            Ok(None) => (Job::End, true),
            Err(source) => (Job::Failed(source), true),
        };
        // A closed channel means that the fold has stopped; it says why itself.
        if sender.send((sequence, job)).await.is_err() || last {
            break;
        }
        sequence += 1;
    }
    drop(sender);
    match folding.await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

enum Job {
    Chunk(Chunk),
    Failed(ReadError),
    End,
}

enum Decoded {
    Events(Vec<Recorded>),
    Failed(ReadError),
    End,
}

/// What the threads share: jobs come in order, answers wait under their number until it is their turn.
struct Desk {
    input: Mutex<mpsc::Receiver<(u64, Job)>>,
    decoded: Mutex<BTreeMap<u64, Decoded>>,
    changed: Condvar,
    waiting_max: usize,
    closed: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked while it held the lock has left a whole map behind: inserts are single steps.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decode(job: Job) -> Decoded {
    match job {
        Job::Chunk(chunk) => match chunk.decode() {
            Ok(events) => Decoded::Events(events),
            Err(source) => Decoded::Failed(source),
        },
        Job::Failed(source) => Decoded::Failed(source),
        Job::End => Decoded::End,
    }
}

fn fold(
    base: Replay,
    until: Position,
    threads: NonZeroUsize,
    input: mpsc::Receiver<(u64, Job)>,
    progress: &Progress,
    watch: &mut impl Watch,
) -> Result<Replay, ReplayStopped> {
    let desk = Desk {
        input: Mutex::new(input),
        decoded: Mutex::new(BTreeMap::new()),
        changed: Condvar::new(),
        waiting_max: threads.get() * 2,
        closed: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(|| help(&desk));
        }
        let result = fold_in_order(base, until, &desk, progress, watch);
        desk.closed.store(true, Ordering::Relaxed);
        // Wakes helpers that wait for room, and the reader that waits for a place in the channel.
        desk.changed.notify_all();
        locked(&desk.input).close();
        result
    })
}

/// A helper decodes whatever is next until there is nothing more.
fn help(desk: &Desk) {
    loop {
        {
            let mut decoded = locked(&desk.decoded);
            while decoded.len() >= desk.waiting_max && !desk.closed.load(Ordering::Relaxed) {
                decoded = desk
                    .changed
                    .wait_timeout(decoded, std::time::Duration::from_millis(20))
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(decoded, _)| decoded);
            }
        }
        if desk.closed.load(Ordering::Relaxed) {
            return;
        }
        let taken = match desk.input.try_lock() {
            Ok(mut input) => input.try_recv(),
            Err(_) => Err(mpsc::error::TryRecvError::Empty),
        };
        match taken {
            Ok((sequence, job)) => {
                let answer = decode(job);
                locked(&desk.decoded).insert(sequence, answer);
                desk.changed.notify_all();
            }
            Err(mpsc::error::TryRecvError::Disconnected) => return,
            Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(std::time::Duration::from_micros(50)),
        }
    }
}

/// Folds answers in their order; while the next one is not there, decodes like everybody else.
fn fold_in_order(
    mut replay: Replay,
    until: Position,
    desk: &Desk,
    progress: &Progress,
    watch: &mut impl Watch,
) -> Result<Replay, ReplayStopped> {
    for sequence in 0.. {
        let Some(answer) = next_answer(desk, sequence) else {
            return Err(ReplayStopped::Incomplete { at: Box::new(replay), until });
        };
        desk.changed.notify_all();
        match answer {
            Decoded::Events(events) => {
                for event in &events {
                    watch.before(&replay, event);
                    if let Err(source) = replay.observe(event) {
                        return Err(ReplayStopped::Order { at: Box::new(replay), source });
                    }
                    watch.after(&replay, event);
                }
            }
            Decoded::Failed(source) => return Err(ReplayStopped::Read { at: Box::new(replay), source }),
            Decoded::End => break,
        }
        progress.read.store(replay.position.0, Ordering::Relaxed);
        if progress.stop.load(Ordering::Relaxed) {
            return Err(ReplayStopped::Interrupted { at: Box::new(replay) });
        }
    }
    if replay.position == until {
        return Ok(replay);
    }
    Err(ReplayStopped::Incomplete { at: Box::new(replay), until })
}

/// The answer under this number; `None` when the reader went away before giving it.
fn next_answer(desk: &Desk, sequence: u64) -> Option<Decoded> {
    loop {
        if let Some(answer) = locked(&desk.decoded).remove(&sequence) {
            return Some(answer);
        }
        let taken = locked(&desk.input).try_recv();
        match taken {
            Ok((taken, job)) => {
                let answer = decode(job);
                if taken == sequence {
                    return Some(answer);
                }
                locked(&desk.decoded).insert(taken, answer);
            }
            Err(mpsc::error::TryRecvError::Empty) => {
                let decoded = locked(&desk.decoded);
                if !decoded.contains_key(&sequence) {
                    // Short: a new job does not notify, only an answer does.
                    let _woken = desk.changed.wait_timeout(decoded, std::time::Duration::from_micros(100));
                }
            }
            Err(mpsc::error::TryRecvError::Disconnected) => {
                // Nothing more comes in; a helper may still be working on our answer.
                let mut decoded = locked(&desk.decoded);
                for _ in 0..1000 {
                    if let Some(answer) = decoded.remove(&sequence) {
                        return Some(answer);
                    }
                    decoded = desk
                        .changed
                        .wait_timeout(decoded, std::time::Duration::from_millis(20))
                        .map_or_else(|poisoned| poisoned.into_inner().0, |(decoded, _)| decoded);
                }
                return None;
            }
        }
    }
}
