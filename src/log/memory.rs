//! The log as plainly as it can be said: vectors in memory, no pages, no files. Tests hold the embedded log against it;
//! simulations and unit tests of the engine run on it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use wox_events::{EventId, LogId, NewEvent, Position, RawEvent, Revision, StreamId, tree::CompactRange};

use super::{
    Ack, AckedEvent, AppendError, AppendRequest, Chunk, ChunkSource, Chunks, DATA_BYTES_MAX, EventLog, Head, ReadError,
    check_request,
};

/// Events of one chunk.
const CHUNK_EVENTS: usize = 1024;

/// An event log in memory: nothing survives it.
pub struct MemoryLog {
    log: LogId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<RawEvent>,
    streams: BTreeMap<StreamId, Vec<usize>>,
    tree: CompactRange,
}

impl MemoryLog {
    /// An empty log with this id.
    #[must_use]
    pub fn new(log: LogId) -> MemoryLog {
        MemoryLog { log, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn append_one(&self, request: &AppendRequest) -> Result<Ack, AppendError> {
        check_request(request, DATA_BYTES_MAX)?;
        let mut state = self.state();
        let AppendRequest { stream, expected, events } = request;
        let stored: Vec<RawEvent> =
            state.streams.get(stream).into_iter().flatten().map(|at| state.events[*at].clone()).collect();
        let actual = Revision(stored.len() as u64);
        let taken = |event: &NewEvent| stored.iter().find(|stored| stored.event.id == event.id);
        let id_conflict = |id: EventId, revision| AppendError::IdConflict { stream: stream.clone(), id, revision };

        for event in events {
            if let Some(stored) = taken(event).filter(|stored| stored.event != *event) {
                return Err(id_conflict(event.id, stored.revision));
            }
        }
        let from = usize::try_from(expected.0).unwrap_or(usize::MAX);
        let to = from.saturating_add(events.len());
        if let Some(there) = stored.get(from..to)
            && there.iter().map(|stored| &stored.event).eq(events)
        {
            return Ok(Ack { stream: stream.clone(), events: self.acked(there), repeat: true });
        }
        if *expected != actual {
            return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
        }
        if let Some(stored) = events.iter().find_map(taken) {
            return Err(id_conflict(stored.event.id, stored.revision));
        }

        let mut added = Vec::new();
        for (event, revision) in events.iter().zip(actual.0 + 1..) {
            let position = Position(state.events.len() as u64 + 1);
            let raw = RawEvent { position, stream: stream.clone(), revision: Revision(revision), event: event.clone() };
            state.tree.push(raw.leaf(self.log));
            let at = state.events.len();
            state.streams.entry(stream.clone()).or_default().push(at);
            state.events.push(raw.clone());
            added.push(raw);
        }
        Ok(Ack { stream: stream.clone(), events: self.acked(&added), repeat: false })
    }

    fn acked(&self, events: &[RawEvent]) -> Vec<AckedEvent> {
        let acked =
            |raw: &RawEvent| AckedEvent { revision: raw.revision, position: raw.position, leaf: raw.leaf(self.log) };
        events.iter().map(acked).collect()
    }
}

#[async_trait::async_trait]
impl EventLog for MemoryLog {
    async fn root_at(&self, position: Position) -> Result<wox_events::Digest, ReadError> {
        let mut tree = wox_events::tree::CompactRange::default();
        for event in self.state().events.iter().take_while(|event| event.position <= position) {
            tree.push(event.leaf(self.log));
        }
        Ok(tree.root())
    }

    async fn head(&self) -> Result<Head, ReadError> {
        let state = self.state();
        let position = Position(state.events.len() as u64);
        Ok(Head { log: self.log, epoch: 1, position, root: state.tree.root() })
    }

    async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError> {
        Ok(Revision(self.state().streams.get(stream).map_or(0, |events| events.len() as u64)))
    }

    async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        let state = self.state();
        Ok(state.streams.get(stream).into_iter().flatten().map(|at| state.events[*at].clone()).collect())
    }

    async fn chunks(&self, after: Position, until: Position) -> Result<Chunks, ReadError> {
        let state = self.state();
        let to = (until.0 as usize).min(state.events.len());
        let events = state.events.get(after.0 as usize..to).unwrap_or_default();
        let chunks = events.chunks(CHUNK_EVENTS).map(|run| Chunk::memory(run[0].position, run.to_vec())).collect();
        let missing = (until.0 as usize > to && until > after).then_some(Position(to as u64 + 1));
        Ok(Chunks::new(MemoryChunks { chunks, missing }))
    }

    async fn append_many(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        requests.iter().map(|request| self.append_one(request)).collect()
    }
}

struct MemoryChunks {
    chunks: VecDeque<Chunk>,
    /// The first promised event that does not exist.
    missing: Option<Position>,
}

#[async_trait::async_trait]
impl ChunkSource for MemoryChunks {
    async fn next(&mut self) -> Result<Option<Chunk>, ReadError> {
        match (self.chunks.pop_front(), self.missing) {
            (Some(chunk), _) => Ok(Some(chunk)),
            (None, None) => Ok(None),
            (None, Some(position)) => Err(ReadError::Corrupt {
                file: "memory".into(),
                offset: None,
                position: Some(position),
                stream: None,
                what: "no event stands here, but events are promised".into(),
            }),
        }
    }
}
