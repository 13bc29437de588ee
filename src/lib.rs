//! The engine of Wizards of X recovery.

pub mod log;
