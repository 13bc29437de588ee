//! A run of consecutive events, not decoded yet: cheap to hand to another thread, which pays for the decoding.

use std::{path::PathBuf, sync::Arc};

use wox_events::{Digest, LogId, Position, RawEvent, Recorded};

use super::{ReadError, embedded::page::SealedPage};

/// A run of consecutive events as the log holds them.
pub struct Chunk {
    first: Position,
    len: usize,
    body: Body,
}

enum Body {
    /// One sealed page, of which the chunk may be a part.
    Page(SealedPage),
    /// Events with the leaves stored beside them.
    Rows { log: LogId, file: Arc<PathBuf>, rows: Vec<(RawEvent, Digest)> },
    /// Events that never left memory.
    Memory(Vec<RawEvent>),
}

impl Chunk {
    pub(crate) fn page(first: Position, len: usize, page: SealedPage) -> Chunk {
        Chunk { first, len, body: Body::Page(page) }
    }

    pub(crate) fn rows(first: Position, log: LogId, file: Arc<PathBuf>, rows: Vec<(RawEvent, Digest)>) -> Chunk {
        Chunk { first, len: rows.len(), body: Body::Rows { log, file, rows } }
    }

    pub(crate) fn memory(first: Position, events: Vec<RawEvent>) -> Chunk {
        Chunk { first, len: events.len(), body: Body::Memory(events) }
    }

    /// The position of the first event.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// How many events the chunk holds; never 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the chunk holds no event; a log never hands out such a chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Checks the stored digest and decodes every event with its payload. A payload this build cannot read stays in
    /// its place as an error; stored bytes that are not what was written are [`ReadError::Corrupt`].
    pub fn decode(&self) -> Result<Vec<Recorded>, ReadError> {
        match &self.body {
            Body::Page(page) => page.decode(self.first, self.len),
            Body::Rows { log, file, rows } => {
                check_leaves(*log, file, rows)?;
                Ok(rows.iter().map(|(event, _)| event.decode()).collect())
            }
            Body::Memory(events) => Ok(events.iter().map(RawEvent::decode).collect()),
        }
    }

    /// Checks the stored digest and gives every event with its payload as text.
    pub fn raw(&self) -> Result<Vec<RawEvent>, ReadError> {
        match &self.body {
            Body::Page(page) => page.raw(self.first, self.len),
            Body::Rows { log, file, rows } => {
                check_leaves(*log, file, rows)?;
                Ok(rows.iter().map(|(event, _)| event.clone()).collect())
            }
            Body::Memory(events) => Ok(events.clone()),
        }
    }
}

/// A row of the tail has no page digest yet; its own leaf says whether it is what was written.
fn check_leaves(log: LogId, file: &Arc<PathBuf>, rows: &[(RawEvent, Digest)]) -> Result<(), ReadError> {
    for (event, leaf) in rows {
        if event.leaf(log) != *leaf {
            return Err(ReadError::Corrupt {
                file: file.to_path_buf(),
                offset: None,
                position: Some(event.position),
                stream: Some(event.stream.clone()),
                what: "the row does not match its leaf hash".into(),
            });
        }
    }
    Ok(())
}
