//! What the folds take, what they refuse, and what is true afterwards: facts as tables, one file a family; then the
//! same claims over generated histories, against a second ledger that knows nothing of the first.
#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod brackets;
mod chain;
mod duels;
mod generated;
mod genesis;
mod model;
mod money;
mod operations;
mod players;
mod replays;
mod rules;
mod story;
mod tournaments;
