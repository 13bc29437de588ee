//! Looking back: which event broke something, which events make a balance, which looks a verdict rests on. Pure; the log
//! is read elsewhere.

pub mod became;
pub mod bisect;
pub mod explain;
pub mod grounds;
pub mod sources;
pub mod watch;
