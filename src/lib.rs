//! The engine of Wizards of X recovery.

pub mod demo;
pub mod import;
pub mod log;
pub mod procedures;
pub mod recovery;
pub mod replay;
