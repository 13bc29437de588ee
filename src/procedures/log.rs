//! Chapter "system and database": the log itself, and events that cannot be folded.

pub mod broken_log;
pub mod held_stream;
