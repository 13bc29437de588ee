//! Duplicate recoveries under `kill -9`: a small storm. The whole one is `cargo bench --bench storm`.

use std::{process::Command, time::Duration};

use super::{
    rt,
    storm::{PART, Storm, blow, part},
};

/// Not a test by itself: the process that is killed.
#[test]
fn part_of_a_storm() {
    if let Ok(told) = std::env::var(PART) {
        rt().block_on(part(&told));
    }
}

#[test]
fn duplicate_recoveries_under_kill_9_are_one_compensation_each() {
    let storm = Storm { subjects: 8, attempts: 800, hands: 8, life: Duration::from_secs(1) };
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "duplicates::part_of_a_storm", "--nocapture", "--quiet"]);
        command
    };
    let outcome = blow(storm, child);
    assert!(outcome.attempts >= storm.attempts && outcome.kills >= 1, "{outcome:?}");
    assert_eq!(outcome.compensations, storm.subjects);
}
