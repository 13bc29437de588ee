//! What the writer remembers of streams it has met: slot, revision and ids. Bounded by two generations: when the young
//! one is full the old one is forgotten, and whatever is used moves to the young one.

use std::collections::HashMap;

use wox_events::{EventId, Revision, StreamId};

/// Ids of one generation; two of them hold some 32 MiB.
const IDS_MAX: usize = 1 << 19;
/// Ids from which an index is worth its memory.
const SCAN_MAX: usize = 64;

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The stream's number; `None` until its first event.
    pub(super) slot: Option<u64>,
    ids: Vec<EventId>,
    index: HashMap<EventId, usize>,
}

impl Known {
    /// A stream with these ids, in the order of its revisions.
    pub(super) fn new(slot: Option<u64>, ids: impl Iterator<Item = EventId>) -> Known {
        let mut known = Known { slot, ..Known::default() };
        for id in ids {
            known.push(id);
        }
        known
    }

    /// How many events the stream has.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.ids.len() as u64)
    }

    /// Where the stream holds an id.
    pub(super) fn find(&self, id: EventId) -> Option<Revision> {
        let at = if self.ids.len() <= SCAN_MAX {
            self.ids.iter().position(|known| *known == id)
        } else {
            self.index.get(&id).copied()
        };
        at.map(|at| Revision(at as u64 + 1))
    }

    /// Adds the next event; gives its revision.
    pub(super) fn push(&mut self, id: EventId) -> Revision {
        self.ids.push(id);
        if self.ids.len() == SCAN_MAX + 1 {
            self.index = self.ids.iter().copied().zip(0..).collect();
        } else if self.ids.len() > SCAN_MAX {
            self.index.insert(id, self.ids.len() - 1);
        }
        self.revision()
    }
}

/// The streams met lately.
#[derive(Debug, Default)]
pub(super) struct StreamCache {
    young: HashMap<StreamId, Known>,
    old: HashMap<StreamId, Known>,
    /// Of the young ones, in ids; a stream counts as some ids more, because its name takes memory too.
    size: usize,
}

impl StreamCache {
    /// Ages the cache after a group of `appended` events. Only between groups: within one, nothing is forgotten.
    pub(super) fn end_group(&mut self, appended: usize) {
        self.size += appended;
        if self.size > IDS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
    }

    /// Whether the stream is known; if so it counts as used.
    pub(super) fn touch(&mut self, stream: &StreamId) -> bool {
        if self.young.contains_key(stream) {
            return true;
        }
        match self.old.remove_entry(stream) {
            Some((stream, known)) => {
                self.insert(stream, known);
                true
            }
            None => false,
        }
    }

    /// A stream that was touched or inserted in this group.
    pub(super) fn get_mut(&mut self, stream: &StreamId) -> Option<&mut Known> {
        self.young.get_mut(stream)
    }

    /// Adds a stream.
    pub(super) fn insert(&mut self, stream: StreamId, known: Known) {
        self.size += known.ids.len() + 4;
        self.young.insert(stream, known);
    }
}
