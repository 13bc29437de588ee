//! The engine of Wizards of X recovery.

pub mod import;
pub mod log;
