//! `kill -9` at any moment of append and sealing: what was acknowledged is there, once, in order, whole.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng};
use wox_events::{Position, Revision};
use wox_recovery::log::{AppendRequest, EmbeddedLog, EventLog, embedded::verify::verify};

use crate::helpers::{event, options, read_all, stream};

const STORE: &str = "WOX_CRASH_STORE";
const KILLS_MAX: usize = 120;
const TIME_MAX: Duration = Duration::from_secs(20);
const STREAMS: u64 = 3;

/// Not a test by itself: the child that is killed. It appends batches of three and says so after each acknowledgement.
#[tokio::test]
async fn child_that_appends_until_killed() {
    let Ok(path) = std::env::var(STORE) else { return };
    let log = EmbeddedLog::open(path).await.unwrap();
    let mut number = log.head().await.unwrap().position.0;
    println!("ready");
    loop {
        let requests = (0..STREAMS).map(|at| number + at * 3).map(|number| AppendRequest {
            stream: stream(&format!("duel-{}", number / 3 % STREAMS)),
            expected: Revision(number / 9 * 3),
            events: (number..number + 3).map(|number| event(u128::from(number), number)).collect(),
        });
        for answer in log.append_many(requests.collect()).await {
            println!("acked {}", answer.unwrap().events[2].position);
        }
        number += STREAMS * 3;
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_every_kill_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    EmbeddedLog::create(&path, options(16)).await.unwrap().close().await;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    let started = Instant::now();
    let (mut kills, mut acked) = (0, 0);
    while kills < KILLS_MAX && started.elapsed() < TIME_MAX {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_appends_until_killed", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")), "the child opens the store");
        // The child is never slowed down: what it has said until it dies is read afterwards.
        std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            // A line that was cut off by the kill is no acknowledgement.
            if let Some(position) = line.strip_prefix("acked ").and_then(|text| text.parse::<u64>().ok())
                && position.is_multiple_of(3)
            {
                acked = acked.max(position);
            }
        }
        kills += 1;

        let log = EmbeddedLog::open(&path).await.unwrap();
        let head = log.head().await.unwrap();
        assert!(head.position.0 >= acked, "acknowledged up to {acked}, found {}", head.position);
        assert_eq!(head.position.0 % 9, 0, "a group is whole or absent");
        for (raw, number) in read_all(&log).await.iter().zip(0u64..) {
            assert_eq!(raw.position, Position(number + 1));
            assert_eq!(raw.stream, stream(&format!("duel-{}", number / 3 % STREAMS)));
            assert_eq!(raw.revision, Revision(number / 9 * 3 + number % 3 + 1));
            assert_eq!(raw.event, event(u128::from(number), number));
        }
        log.close().await;
    }
    let report = verify(&path, |_, _| ()).await.unwrap();
    assert!(report.passed(), "{report:?}");
    assert!(kills >= 10 && acked > 0, "{kills} kills, acknowledged up to {acked}");
    println!("{kills} kills, {acked} events acknowledged");
}
