//! engine
pub mod cli;
pub mod exit_code;
pub mod interchange;
pub mod rfc3339;
