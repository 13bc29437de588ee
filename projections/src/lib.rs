//! **Meaning**: pure folds over the facts of `wox-events`, the double-entry ledger, and the invariants of the result.
//!
//! Like the facts, this crate knows no clock, randomness, I/O, floats or hash-map order (law 1), and no type through
//! which an effect could be caused. Read it in this order: [`projection`] is the contract (`check` judges and changes
//! nothing, `evolve` changes and cannot refuse); one file a fold; [`ledger`] and [`postings`] say where money is and
//! how events move it; [`state`] puts all folds side by side; [`replay`] runs events through them and accounts for
//! every one; [`invariants`] says whether the result makes sense.
#![forbid(unsafe_code)]

pub mod agents;
pub mod bracket;
pub mod burns;
pub mod chain;
pub mod commands;
pub mod credits;
pub mod deposits;
pub mod due;
pub mod duels;
pub mod explained;
pub mod invariants;
pub mod late_posts;
pub mod ledger;
pub mod ops;
pub mod outbox;
pub mod outgoing;
pub mod payments;
pub mod players;
pub mod pool;
pub mod postings;
pub mod projection;
pub mod recoveries;
pub mod replay;
pub mod state;
pub mod tournaments;
pub mod verdict;
pub mod withdrawals;

pub use ledger::{Account, Drift, External, Ledger, Posting};
pub use projection::{EventAt, EventRef, Projection, Rejection};
pub use replay::{Accounting, HeldStream, Replay, ReplayError, Waiver, Waivers};
pub use state::State;

/// The hash of the source of the folds: a snapshot made by other code is never read (mission.md M30).
pub const FOLD_HASH: &str = env!("WOX_FOLD_HASH");

/// A map that keeps insertion order, so that its order follows from the log and from nothing else. The hasher has a
/// fixed seed; its order is never seen.
pub(crate) type Table<K, V> = indexmap::IndexMap<K, V, foldhash::fast::FixedState>;
