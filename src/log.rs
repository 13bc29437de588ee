//! The event log as the engine sees it: append with an exact expected revision, read in position order.
//!
//! The port is [`EventLog`]; [`embedded`] is the log of one machine (SQLite), [`memory`] the plain model that tests
//! hold it against. This module must not know what an event means: payloads are decoded by [`wox_events`] on whatever
//! thread a [`Chunk`] is handed to.

pub mod canonical;
pub mod chunk;
pub mod embedded;
pub mod memory;

use std::{path::PathBuf, sync::Arc};

use wox_events::{Digest, EventId, LogId, NewEvent, Position, RawEvent, Revision, StreamId};

pub use chunk::Chunk;
pub use embedded::EmbeddedLog;
pub use memory::MemoryLog;

/// Largest payload of one event, in bytes of canonical JSON.
pub const DATA_BYTES_MAX: usize = 256 * 1024;
/// Most events of one request: one request is one atomic batch in one stream, not a bulk load.
pub const REQUEST_EVENTS_MAX: usize = 65_536;

/// An event log. Every adapter keeps the same promises: positions without gaps, ids unique within a stream, an
/// acknowledgement only for what is durable.
#[async_trait::async_trait]
pub trait EventLog: Send + Sync {
    /// Where the durable log stands.
    async fn head(&self) -> Result<Head, ReadError>;

    /// The revision of a stream; [`Revision::NO_STREAM`] when it has no event.
    async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError>;

    /// All events of one stream in order; empty when there is none.
    async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError>;

    /// Reads the events in (`after`, `until`] in position order. `until` beyond the head is an error when the reader
    /// gets there: fewer events than promised is never an end.
    async fn chunks(&self, after: Position, until: Position) -> Result<Chunks, ReadError>;

    /// The RFC 6962 tree head over the events up to a position at or below the head.
    async fn root_at(&self, position: Position) -> Result<Digest, ReadError>;

    /// Appends many requests with one sync. Each is judged by itself, in order; the answers stand in the same order.
    async fn append_many(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>>;

    /// Appends requests that follow from each other, such as the lines of a file, with as few syncs as it takes. The first
    /// one that is refused ends it: its answer is the last, and nothing behind it is written.
    async fn append_in_order(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.append(request).await);
            if answers.last().is_some_and(Result::is_err) {
                break;
            }
        }
        answers
    }

    /// Appends one request: all of its events or none.
    async fn append(&self, request: AppendRequest) -> Result<Ack, AppendError> {
        let mut answers = self.append_many(vec![request]).await;
        answers.pop().expect("one request has one answer")
    }
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Head {
    /// Which log.
    pub log: LogId,
    /// How many times an operator declared a fork.
    pub epoch: u64,
    /// The newest durable event; 0 for an empty log.
    pub position: Position,
    /// The RFC 6962 tree head over all events up to `position`.
    pub root: Digest,
}

/// One atomic batch for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendRequest {
    /// The stream.
    pub stream: StreamId,
    /// The revision the stream must have; [`Revision::NO_STREAM`] when it must not exist. "Any" does not exist (R6).
    pub expected: Revision,
    /// The events, at least one.
    pub events: Vec<NewEvent>,
}

/// The events are durable.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ack {
    /// The stream.
    pub stream: StreamId,
    /// Where each event stands.
    pub events: Vec<AckedEvent>,
    /// The events had been there before; nothing was written.
    pub repeat: bool,
}

/// Where one acknowledged event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AckedEvent {
    /// Its place in the stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// Its leaf in the Merkle tree.
    pub leaf: Digest,
}

/// The source of an error, shared by all requests that failed with it.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why an append was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream moved: read it and decide again.
    #[error("stream {stream} is at revision {actual}, expected {expected}; read it again and decide again")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the request expected.
        expected: Revision,
        /// Where the stream stands.
        actual: Revision,
    },
    /// The id is taken by an event with other content, or at another place: the producer has a defect.
    #[error("stream {stream} already holds event {id} at revision {revision} with other content or at another place")]
    IdConflict {
        /// The stream.
        stream: StreamId,
        /// The id.
        id: EventId,
        /// Where the stream holds it.
        revision: Revision,
    },
    /// The request can never be accepted: correct it.
    #[error("event {} of the request for stream {stream} is refused: {what}", index + 1)]
    Invalid {
        /// The stream.
        stream: StreamId,
        /// Which event of the request, from 0.
        index: usize,
        /// What is wrong.
        what: String,
    },
    /// The handle only reads: open the store for writing.
    #[error("{} is open read-only; open it for writing", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// Another writer has taken the store over: this process must stop writing.
    #[error("another writer has taken {} over; stop this process and look which one should write", path.display())]
    Fenced {
        /// The store.
        path: PathBuf,
    },
    /// Writing or syncing failed, so the outcome is unknown: open the store again and send the same request again.
    #[error("{} while appending to {}; the outcome is unknown, so open the store again and send the same request again (a repeat is safe)", what, path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// Why.
        source: Source,
    },
    /// An earlier write or sync failed; this handle appends nothing any more.
    #[error("{} failed earlier ({cause}) and takes no more appends; free the cause, open it again, run `wox verify`", path.display())]
    Poisoned {
        /// The store.
        path: PathBuf,
        /// The first failure.
        cause: String,
    },
}

/// Why a read gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be looked at now: try again or free the cause.
    #[error("{} cannot be read", file.display())]
    Unavailable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Source,
    },
    /// What stands there is not what was written: run `wox verify`, then restore.
    #[error("{} is damaged{}: {what}; run `wox verify`, then restore from a backup", file.display(),
            place(*offset, *position, stream.as_ref()))]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Byte offset in the file, where it is known.
        offset: Option<u64>,
        /// The first event concerned.
        position: Option<Position>,
        /// The stream concerned, when it is only one.
        stream: Option<StreamId>,
        /// What is wrong.
        what: String,
    },
}

fn place(offset: Option<u64>, position: Option<Position>, stream: Option<&StreamId>) -> String {
    let mut text = String::new();
    if let Some(offset) = offset {
        text += &format!(" at byte {offset}");
    }
    if let Some(position) = position {
        text += &format!(" at position {position}");
    }
    if let Some(stream) = stream {
        text += &format!(" in stream {stream}");
    }
    text
}

/// Chunks in position order, without gaps, with an explicit end.
pub struct Chunks(Box<dyn ChunkSource>);

/// Where chunks come from: one implementation an adapter.
#[async_trait::async_trait]
pub(crate) trait ChunkSource: Send {
    async fn next(&mut self) -> Result<Option<Chunk>, ReadError>;
}

impl Chunks {
    pub(crate) fn new(source: impl ChunkSource + 'static) -> Chunks {
        Chunks(Box::new(source))
    }

    /// The next run of consecutive events; `None` only when every promised event has been handed out.
    pub async fn next(&mut self) -> Result<Option<Chunk>, ReadError> {
        self.0.next().await
    }
}

/// Judges what can be judged about a request without looking at the log: counts, sizes, canonical payloads.
pub(crate) fn check_request(request: &AppendRequest, data_bytes_max: usize) -> Result<(), AppendError> {
    let invalid = |index: usize, what: String| AppendError::Invalid { stream: request.stream.clone(), index, what };
    if request.events.is_empty() {
        return Err(invalid(0, "a request needs at least one event".into()));
    }
    if request.events.len() > REQUEST_EVENTS_MAX {
        return Err(invalid(
            REQUEST_EVENTS_MAX,
            format!("a request holds at most {REQUEST_EVENTS_MAX} events; send more requests"),
        ));
    }
    let mut ids = std::collections::BTreeSet::new();
    for (index, event) in request.events.iter().enumerate() {
        let data = event.data.as_str();
        if event.kind.is_empty()
            || event.kind.len() > KIND_BYTES_MAX
            || !event.kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(invalid(index, "kind is not 1 to 64 ASCII letters, digits or `_`".into()));
        }
        if event.version == 0 {
            return Err(invalid(index, "version 0 does not exist; versions start at 1".into()));
        }
        if data.len() > data_bytes_max {
            return Err(invalid(
                index,
                format!("payload has {} bytes, at most {data_bytes_max} are allowed", data.len()),
            ));
        }
        if let Err(error) = canonical::check_object(data) {
            return Err(invalid(index, error.to_string()));
        }
        // Most requests hold one event: they need no set.
        if request.events.len() > 1 && !ids.insert(event.id) {
            return Err(invalid(index, format!("id {} appears twice in the request", event.id)));
        }
    }
    Ok(())
}

/// Longest kind, in bytes.
const KIND_BYTES_MAX: usize = 64;
