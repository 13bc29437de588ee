//! The engine of Wizards of X recovery.

pub mod demo;
pub mod log;
