//! The binary as operators and scripts meet it: whole transcripts as snapshots, and the promises of the command line as
//! claims. Accept changed transcripts with `INSTA_UPDATE=always cargo test --test cli`, then read the diff.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics with the place")]

#[path = "cli/session.rs"]
mod session;

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/decisions.rs"]
mod decisions;
#[path = "cli/gaps.rs"]
mod gaps;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/nobody_reads.rs"]
mod nobody_reads;
#[path = "cli/pasted.rs"]
mod pasted;
#[path = "cli/plan_file.rs"]
mod plan_file;
#[path = "cli/recovery.rs"]
mod recovery;
#[path = "cli/shapes.rs"]
mod shapes;
#[path = "cli/store.rs"]
mod store;
