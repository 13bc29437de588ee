//! engine
pub mod cli;
pub mod exit_code;
