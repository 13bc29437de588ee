//! Ports to the outside, one room each with its real adapter. They know nothing of recovery: they look, and do what they
//! are told.

pub mod chain;
pub mod game_db;
