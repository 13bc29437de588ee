//! The chain, asked from several sources. An answer is what one source said, checked as far as one answer can be: the
//! transaction hashed again, its sender recovered, ids and shapes strict. Whether enough sources agree is not decided
//! here: answers are recorded as they are, and a verdict is a pure function of them (`wox_projections::verdict`).
//!
//! A source's address may hold a secret: it is in no message, no log line and no event; sources are named.

mod ask;
mod consumers;
mod holdings;
mod parse;
mod probe;
mod slots;
mod standing;
mod transactions;
mod transfers;
mod transport;

use std::sync::atomic::{AtomicU64, Ordering};

use wox_events::{
    chain::{Source, SourceKind},
    id::Label,
};

pub use holdings::AtBlock;
pub use slots::SlotSubject;
pub use transactions::TransactionSubject;
pub use transfers::Found;
pub use transport::{BadEndpoint, Endpoint, Limits};

/// Everything that answers about one chain.
#[derive(Debug)]
pub struct Network {
    sources: Vec<Endpoint>,
    interest: Interest,
    round_trips: AtomicU64,
}

/// Which logs of a receipt are kept in the evidence: those that name a token, an address or a wallet of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Contracts, in lower case.
    pub tokens: Vec<Label>,
    /// Addresses, in lower case.
    pub addresses: Vec<Label>,
}

impl Network {
    /// A network of sources, asked in this order.
    #[must_use]
    pub fn new(sources: Vec<Endpoint>, interest: Interest) -> Network {
        Network { sources, interest, round_trips: AtomicU64::new(0) }
    }

    /// These addresses are ours too, though the settings do not name them any more: what they sent is searched for.
    pub fn add_ours<'a>(&mut self, addresses: impl IntoIterator<Item = &'a Label>) {
        self.interest.addresses.extend(addresses.into_iter().cloned());
        self.interest.addresses.sort();
        self.interest.addresses.dedup();
    }

    /// The sources, as a policy names them.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(Endpoint::source)
    }

    /// How many answers in a row a run had to wait for: sources are asked at the same time, their questions in batches.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    fn add_round_trips(&self, trips: u64) {
        self.round_trips.fetch_add(trips, Ordering::Relaxed);
    }
}

/// Whether a source may be asked questions that only a node can answer.
fn is_node(source: &Source) -> bool {
    source.kind == SourceKind::Node
}
