//! The game's tables held against the log (R06, R33). [`mod@fold`] replays the log with a scribe at
//! its side; [`mod@look`] reads the live tables at one moment and compares them.

pub mod fold;
pub mod look;

pub use fold::{Folded, fold};
pub use look::{Look, LookError, look};
