//! The embedded event log from outside: model, crashes, damage, bad places.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail and report this way")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "log/crash.rs"]
mod crash;
#[path = "log/damage.rs"]
mod damage;
#[path = "log/helpers.rs"]
mod helpers;
#[path = "log/model.rs"]
mod model;
#[path = "log/places.rs"]
mod places;
#[path = "log/verify.rs"]
mod verify;
