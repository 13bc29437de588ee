//! engine
pub mod import;
