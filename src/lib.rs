//! engine
pub mod demo;
