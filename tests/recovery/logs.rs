//! Logs that misbehave: appends that fail or whose answer is lost, and readers that hand out something else.

use std::sync::atomic::{AtomicI64, Ordering};

use wox_events::{Digest, EventId, Position, RawEvent, Revision, StreamId};
use wox_recovery::log::{Ack, AppendError, AppendRequest, Chunks, EventLog, Head, MemoryLog, ReadError};

/// What happens to the append that is one too many, and to every one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// It is not done.
    NotDone,
    /// It is done and the answer is lost. Later ones are not done.
    ReplyLost,
}

/// The process dies after some appends: nothing is written any more.
pub struct FailingLog<'a> {
    log: &'a MemoryLog,
    left: AtomicI64,
    fails: Fails,
    taken: Option<EventId>,
}

impl<'a> FailingLog<'a> {
    pub fn new(log: &'a MemoryLog, appends: i64, fails: Fails) -> Self {
        FailingLog { log, left: AtomicI64::new(appends), fails, taken: None }
    }

    /// A log that never fails, and says of one id that another event has it.
    pub fn taking(log: &'a MemoryLog, id: EventId) -> Self {
        FailingLog { log, left: AtomicI64::new(i64::MAX), fails: Fails::NotDone, taken: Some(id) }
    }

    pub fn failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }
}

#[async_trait::async_trait]
impl EventLog for FailingLog<'_> {
    async fn head(&self) -> Result<Head, ReadError> {
        self.log.head().await
    }
    async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError> {
        self.log.revision(stream).await
    }
    async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        self.log.read_stream(stream).await
    }
    async fn chunks(&self, after: Position, until: Position) -> Result<Chunks, ReadError> {
        self.log.chunks(after, until).await
    }
    async fn root_at(&self, position: Position) -> Result<Digest, ReadError> {
        self.log.root_at(position).await
    }
    async fn append_many(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        let mut answers = Vec::new();
        for request in requests {
            if let Some(event) = request.events.iter().find(|event| Some(event.id) == self.taken) {
                let (stream, id, revision) = (request.stream.clone(), event.id, Revision(1));
                answers.push(Err(AppendError::IdConflict { stream, id, revision }));
                continue;
            }
            let left = self.left.fetch_sub(1, Ordering::SeqCst);
            if left > 0 {
                answers.push(self.log.append(request).await);
                continue;
            }
            if left == 0 && self.fails == Fails::ReplyLost {
                self.log.append(request).await.unwrap();
            }
            answers.push(Err(AppendError::Failed {
                path: "store".into(),
                what: "the process died",
                source: std::sync::Arc::new(std::io::Error::other("crash")),
            }));
        }
        answers
    }
}

/// What the reader of a log does wrong.
#[derive(Clone, Copy, Debug)]
pub enum Reads {
    /// Everything before this position is handed out; there it finds damage.
    DamagedAt(u64),
    /// It says that it is at the end after this position.
    EndsAfter(u64),
    /// It starts one event too late.
    Skips,
    /// It hands out the last event before the asked range again.
    Repeats,
    /// The file cannot be opened.
    Unavailable,
}

/// A log whose reader is bad, over one that is sound.
pub struct BadReader {
    log: MemoryLog,
    /// The first events of `log`: all that is left of it for a damaged reader.
    rest: MemoryLog,
    reads: Reads,
}

impl BadReader {
    pub async fn over(log: MemoryLog, reads: Reads) -> Self {
        let head = log.head().await.unwrap();
        let rest = MemoryLog::new(head.log);
        if let Reads::DamagedAt(at) = reads {
            let mut chunks = log.chunks(Position(0), Position(at - 1)).await.unwrap();
            while let Some(chunk) = chunks.next().await.unwrap() {
                for RawEvent { stream, revision, event, .. } in chunk.raw().unwrap() {
                    let expected = Revision(revision.0 - 1);
                    rest.append(AppendRequest { stream, expected, events: vec![event] }).await.unwrap();
                }
            }
        }
        BadReader { log, rest, reads }
    }
}

#[async_trait::async_trait]
impl EventLog for BadReader {
    async fn head(&self) -> Result<Head, ReadError> {
        self.log.head().await
    }
    async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError> {
        self.log.revision(stream).await
    }
    async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        self.log.read_stream(stream).await
    }
    async fn chunks(&self, after: Position, until: Position) -> Result<Chunks, ReadError> {
        match self.reads {
            Reads::DamagedAt(_) => self.rest.chunks(after, until).await,
            Reads::EndsAfter(last) => self.log.chunks(after, Position(until.0.min(last))).await,
            Reads::Skips => self.log.chunks(Position(after.0 + 1), until).await,
            Reads::Repeats => self.log.chunks(Position(after.0.saturating_sub(1)), until).await,
            Reads::Unavailable => Err(ReadError::Unavailable {
                file: "store".into(),
                source: std::sync::Arc::new(std::io::Error::other("no such disk")),
            }),
        }
    }
    async fn root_at(&self, position: Position) -> Result<Digest, ReadError> {
        self.log.root_at(position).await
    }
    async fn append_many(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        self.log.append_many(requests).await
    }
}
