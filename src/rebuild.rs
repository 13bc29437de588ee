//! The game's tables held against the log, and made anew from it (R06, R33). Read it in this order: [`mod@fold`] replays
//! the log with a scribe at its side; [`mod@look`] reads the live tables at one moment and compares them; [`mod@survey`]
//! says what a rebuild would do; [`run`] does it, from shadow tables to the switch, table by table in [`shadow`], at the
//! [`pace`] it is allowed; [`settle`] finds out what a rebuild that was cut off has left; [`revert`] puts the old tables
//! back; [`row`] corrects one row in place. [`book`] writes down in the log what they do.
//!
//! What holds: readers see the old tables or the new ones, all of them, because one RENAME switches them. No write of the
//! game is lost: before the switch the tables are held against writes and looked at again, and what was written since is
//! taken into the shadows. The tables are then as of the last event of that moment. No edit is overwritten that nobody was
//! asked about: what was written meanwhile and the log does not bear out ends the rebuild before the switch ([`edits`]),
//! and so does a row that the game writes before its event.

pub mod book;
pub mod edits;
pub mod error;
pub mod fold;
pub mod kept;
pub mod look;
pub mod pace;
pub mod revert;
pub mod row;
pub mod run;
pub mod settle;
pub mod shadow;
pub mod survey;

pub use book::Book;
pub use error::RebuildError;
pub use fold::{Folded, fold};
pub use look::{Look, LookError, look};
pub use pace::Pace;
pub use survey::{Survey, survey};
