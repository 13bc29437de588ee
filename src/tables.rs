//! The game's own tables as the log says they must be: rows rendered from the replayed state, and live rows held against
//! them. Pure: whoever reads the live rows hands them in as text.
//!
//! Read it in this order: [`spec`] names the five tables and their columns; [`scribe`] notes, while the log is folded,
//! what the folds themselves have no use for; [`image`] renders rows from both; [`cell`] is one value, expected and live;
//! [`batch`] is many rows as text; [`compare`] pairs live rows with rendered ones and says what differs; [`merge`] makes the
//! row a rebuild writes; [`origin`] looks in the log for the moment at which a live value was right.
//!
//! Not everything in the tables is known to the log. A cell is **known** (compared, and written by a rebuild), **filled**
//! (written where a row is missing, otherwise the live value stays) or **kept** (the log does not know it: the live value
//! stays, a missing row gets the column's default). Nothing is invented.
//!
//! Amounts have 18 decimals in the log and two in the tables: a table shows the amount cut off behind its last decimal,
//! never rounded up, so no table ever shows money that is not there; the rest stays in the ledger as dust (law 9).

pub mod batch;
pub mod cell;
pub mod compare;
pub mod image;
pub mod merge;
pub mod origin;
pub mod scribe;
pub mod spec;

/// A map that is looked into and never walked through. It keeps its entries in the order in which they came, which is the
/// order in which rows are asked for, so they lie side by side in memory. Seeded anew in every process, so nobody can choose
/// keys that meet.
pub(crate) type Index<K, V> = indexmap::IndexMap<K, V, foldhash::fast::RandomState>;

pub use batch::Batch;
pub use compare::{Comparison, Difference, Kind};
pub use image::Image;
pub use scribe::Scribe;
pub use spec::Table;
