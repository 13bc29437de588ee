//! What the events say about the streams, gathered while they are read and compared with the tables afterwards. It grows
//! with the log, so it is kept small: 16 bytes an event, 16 for each page a stream stands in.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use wox_events::{EventId, Revision, StreamId};

/// All streams that were seen.
#[derive(Default)]
pub(super) struct Streams {
    seen: BTreeMap<StreamId, Seen>,
    /// Slot and page, as they were met.
    pages: Vec<(u64, u64)>,
}

/// One stream.
struct Seen {
    slot: u64,
    /// The ids in the order of the stream: the first is that of revision 1. Not in a set, which takes five times as much.
    ids: Vec<u128>,
    /// The table of streams has it.
    listed: bool,
}

/// An id that stands twice in one stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doubled {
    pub(super) stream: StreamId,
    /// Where the id stands again.
    pub(super) revision: Revision,
    pub(super) id: EventId,
}

impl Streams {
    /// Takes one event in: the revision it must have, and whether its stream has the slot it had before.
    pub(super) fn see(&mut self, stream: &StreamId, slot: u64, id: EventId) -> (u64, bool) {
        if !self.seen.contains_key(stream) {
            self.seen.insert(stream.clone(), Seen { slot, ids: Vec::new(), listed: false });
        }
        let seen = self.seen.get_mut(stream).expect("put in above");
        seen.ids.push(id.0.as_u128());
        (seen.ids.len() as u64, seen.slot == slot)
    }

    /// Events of these slots stand in this page.
    pub(super) fn stands_in(&mut self, page: u64, slots: &BTreeSet<u64>) {
        self.pages.extend(slots.iter().map(|slot| (*slot, page)));
    }

    /// Every id that stands more than once in its stream, by stream and revision.
    pub(super) fn doubled(&self) -> Vec<Doubled> {
        let mut doubled = Vec::new();
        let mut sorted: Vec<(u128, usize)> = Vec::new();
        for (stream, Seen { ids, .. }) in &self.seen {
            sorted.clear();
            sorted.extend(ids.iter().copied().zip(1..));
            sorted.sort_unstable();
            doubled.extend(sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| Doubled {
                stream: stream.clone(),
                revision: Revision(pair[1].1 as u64),
                id: EventId(Uuid::from_u128(pair[1].0)),
            }));
        }
        doubled.sort_unstable();
        doubled
    }

    /// Strikes a row of the table of streams off; `false` when the events say otherwise.
    pub(super) fn is_listed(&mut self, name: &str, slot: u64, revision: u64) -> bool {
        match self.seen.get_mut(name) {
            Some(seen) if !seen.listed => {
                seen.listed = true;
                (seen.slot, seen.ids.len() as u64) == (slot, revision)
            }
            Some(_) | None => false,
        }
    }

    /// Streams that the table of streams does not have.
    pub(super) fn unlisted(&self) -> impl Iterator<Item = &StreamId> {
        self.seen.iter().filter(|(_, seen)| !seen.listed).map(|(stream, _)| stream)
    }

    /// Slots with their pages, in order, to be held against the index.
    pub(super) fn take_pages(&mut self) -> Vec<(u64, u64)> {
        let mut pages = std::mem::take(&mut self.pages);
        pages.sort_unstable();
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_stands_twice_is_named_with_its_later_place() {
        let mut streams = Streams::default();
        let names = ["duel-1", "duel-2"].map(|name| StreamId::new(name).unwrap());
        for id in [5, 3, 9, 3, 3] {
            streams.see(&names[0], 0, EventId(Uuid::from_u128(id)));
        }
        assert_eq!(
            streams.see(&names[1], 1, EventId(Uuid::from_u128(3))),
            (1, true),
            "ids are unique in a stream only"
        );
        assert_eq!(streams.see(&names[1], 2, EventId(Uuid::from_u128(4))), (2, false));
        let places: Vec<_> = streams.doubled().into_iter().map(|found| (found.stream, found.revision.0)).collect();
        assert_eq!(places, [(names[0].clone(), 4), (names[0].clone(), 5)]);
    }
}
