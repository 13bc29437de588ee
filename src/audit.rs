//! Looking back: which event broke something, and which events make a balance. Pure; the log is read elsewhere.

pub mod bisect;
pub mod explain;
pub mod watch;
