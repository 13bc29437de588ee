//! The engine of Wizards of X recovery.

pub mod cli;
pub mod exit_code;
pub mod interchange;
pub mod log;
pub mod rfc3339;
