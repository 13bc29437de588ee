//! Duplicate recoveries under `kill -9` every second: `cargo bench --bench storm -- [ATTEMPTS]`, 100,000 unless another
//! number is given. Sixty-four hands of one process after another plan, propose and apply the same repairs at the same
//! time; each process lives a second. One compensation each has to come of it; anything else is a failure.

#![allow(clippy::print_stdout, reason = "a bench reports by printing")]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code, reason = "shared with the tests")]

#[path = "../tests/recovery/game.rs"]
mod game;
#[path = "../tests/support/storm.rs"]
mod storm;

use std::{env, process::Command, time::Duration};

use storm::{PART, Storm, blow, part};

fn main() {
    if let Ok(told) = env::var(PART) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(part(&told));
    }
    let attempts = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let storm = Storm { subjects: 20, attempts, hands: 64, life: Duration::from_secs(1) };
    let outcome = blow(storm, || Command::new(env::current_exe().unwrap()));
    println!(
        "{} recoveries of {} deposits credited twice, {} kills, {:.0} s: {} compensations",
        outcome.attempts,
        storm.subjects,
        outcome.kills,
        outcome.took.as_secs_f64(),
        outcome.compensations
    );
}
