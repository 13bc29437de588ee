//! A storm of duplicate recoveries: one process after another opens the same log, has many hands plan, propose and apply
//! the same repairs at the same time, and is killed without warning. What has to come of it is one compensation each.
#![allow(dead_code, unreachable_pub, reason = "a test and a bench use their parts")]

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use wox_events::Digest;
use wox_recovery::{
    log::{EmbeddedLog, embedded::Options, embedded::verify::verify},
    recovery::{Scope, apply, gather, plan, propose},
};

use super::game::{Game, NOW, actor, g, one, progress, stream, who};

/// How a storm blows.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Deposits that were credited twice, each to be taken back once.
    pub subjects: u64,
    /// Recoveries that are tried, all in all.
    pub attempts: u64,
    /// Most recoveries that one process tries at the same time. A process that brought none to its end is followed by one
    /// with half as many, so that a storm ends on any machine.
    pub hands: u64,
    /// How long a process lives.
    pub life: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Recoveries that came to an end and said so.
    pub attempts: u64,
    /// Processes that were killed.
    pub kills: u32,
    /// How long it took.
    pub took: Duration,
    /// Compensations in the log.
    pub compensations: u64,
}

/// The variable that makes a process a part of a storm: the store, the number of subjects, the attempts left.
pub const PART: &str = "WOX_STORM";

fn subject(number: u64) -> String {
    format!("deposit-8453:0x{number:064x}:0")
}

fn scope(number: u64) -> Scope {
    Scope::Subject(stream(&subject(number)))
}

/// A log with every deposit credited twice; a plan for each, proposed by Alice and approved by Bob.
async fn prepare(store: &Path, storm: Storm) {
    let log = EmbeddedLog::create(store, Options::default()).await.unwrap();
    let game = Game { log, clock: NOW.0 - 3_600_000_000 };
    for number in 0..storm.subjects {
        let player = format!("p{number}");
        game.player(&player, 0).await;
        for _ in 0..2 {
            game.credit(&subject(number), number as u32, &player, 50).await;
        }
    }
    let mut approved = String::new();
    for number in 0..storm.subjects {
        let plan = game.plan_for(&scope(number)).await;
        assert!(plan.changes && plan.needs_approval, "{plan:#?}");
        game.propose(&plan).await;
        game.approve(&plan).await;
        approved += &format!("{}\n", plan.id);
    }
    std::fs::write(store.with_extension("approved"), approved).unwrap();
    game.log.close().await;
}

/// What a process of the storm does: many hands, each going on to the next attempt, until all are made or it is killed.
/// Says `+` for every attempt that came to an end.
pub async fn part(told: &str) {
    let (store, figures) = told.split_once('\n').unwrap();
    let figures: Vec<u64> = figures.split('\n').map(|figure| figure.parse().unwrap()).collect();
    let [hands, subjects, attempts, done] = figures[..] else { panic!("{told}") };
    let approved = std::fs::read_to_string(Path::new(store).with_extension("approved")).unwrap();
    let approved: Arc<Vec<Digest>> = Arc::new(approved.lines().map(|id| id.parse().unwrap()).collect());
    let log = EmbeddedLog::open(store).await.unwrap();
    let next = Arc::new(AtomicU64::new(done));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..hands {
        let (log, next, approved) = (log.clone(), next.clone(), approved.clone());
        all.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= attempts {
                    return;
                }
                let subject = number * subjects / attempts;
                recover(&log, subject, approved[subject as usize]).await;
                let mut out = std::io::stdout().lock();
                out.write_all(b"+").and_then(|()| out.flush()).unwrap();
            }
        });
    }
    while let Some(hand) = all.join_next().await {
        hand.unwrap();
    }
    log.close().await;
}

/// One recovery from its beginning: look, plan, propose; then apply what was approved.
async fn recover(log: &EmbeddedLog, number: u64, approved: Digest) {
    let evidence = gather(log, one(), &progress()).await.unwrap();
    let plan = plan(&evidence, &scope(number)).unwrap();
    if plan.changes {
        propose(log, &plan, &actor("alice"), NOW).await.unwrap();
    }
    apply(log, approved, &actor("alice"), NOW, one(), &progress()).await.unwrap();
}

/// Lets it blow: `child` starts a process that calls [`part`] with what stands in [`PART`].
pub fn blow(storm: Storm, child: impl Fn() -> Command) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(prepare(&store, storm));
    let started = Instant::now();
    let (mut attempts, mut kills, mut hands) = (0, 0, storm.hands);
    while attempts < storm.attempts {
        let Storm { subjects, attempts: all, .. } = storm;
        let told = format!("{}\n{hands}\n{subjects}\n{all}\n{attempts}", store.display());
        let mut process = child().env(PART, told).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = live(&mut process, storm.life);
        let mut said = Vec::new();
        process.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        let made = said.iter().filter(|byte| **byte == b'+').count() as u64;
        attempts += made;
        hands = if made == 0 { (hands / 2).max(1) } else { (hands * 2).min(storm.hands) };
        match ended {
            // Killed, or it came to its end: a test binary says so with success.
            None => kills += 1,
            Some(true) => {}
            Some(false) => {
                let mut why = String::new();
                process.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("a recovery failed: {}{why}", String::from_utf8_lossy(&said));
            }
        }
    }
    let took = started.elapsed();
    let compensations = runtime.block_on(judge(&store, storm));
    Outcome { attempts, kills, took, compensations }
}

/// Waits for a process to end by itself, and kills it when its time is over. What it says fits the pipe: a byte an attempt.
fn live(process: &mut Child, life: Duration) -> Option<bool> {
    let until = Instant::now() + life;
    while Instant::now() < until {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    let status = process.wait().unwrap();
    status.code().map(|code| code == 0)
}

/// One compensation each, the money right, nothing left to repair, every byte of the log as it was written.
async fn judge(store: &Path, storm: Storm) -> u64 {
    let log = EmbeddedLog::open(store).await.unwrap();
    let game = Game { log, clock: NOW.0 };
    let mut compensations = 0;
    for number in 0..storm.subjects {
        let kinds = game.kinds(&stream(&subject(number))).await;
        let debits = kinds.iter().filter(|kind| *kind == "DepositDebited").count();
        assert_eq!(debits, 1, "{}: {kinds:?}", subject(number));
        compensations += debits as u64;
    }
    let evidence = game.look().await;
    let state = &evidence.replay.state;
    assert!(evidence.replay.held().is_empty(), "{:?}", evidence.replay.held());
    assert_eq!(state.conservation.drift.0, 0);
    for number in 0..storm.subjects {
        assert_eq!(state.ledger.player(&who(&format!("p{number}"))).unwrap().withdrawable, g(50));
        assert!(!plan(&evidence, &scope(number)).unwrap().changes);
    }
    game.log.close().await;
    let report = verify(store, |_, _| ()).await.unwrap();
    assert!(report.passed(), "{report:?}");
    compensations
}
