//! Replay, measured as ratios in one run: `cargo bench --bench replay -- [EVENTS] [ROUNDS]`.
//!
//! Every case runs in a process of its own, in turn, several rounds; medians are printed, with the operating system's
//! own count of peak memory. Every case must give the same state digest. What is compared:
//! - rows: the same folds, fed by one row an event through sqlx (`support/row_log.rs`), the usual event store;
//! - pages: the embedded log on one thread and on two, and once on eight and 32 for the digest;
//! - beginnings of that same history, from a quarter to twice as long, for the cost of one event and for memory.

#![allow(clippy::print_stdout, reason = "a bench reports by printing")]

#[path = "support/row_log.rs"]
mod row_log;

use std::{env, error, fs, num::NonZeroUsize, path::Path, process::Command, sync::Arc, time::Instant};

use wox_events::Position;
use wox_projections::{Replay, Waivers};
use wox_recovery::{
    demo,
    log::{AppendRequest, EmbeddedLog, EventLog, embedded::Options},
    replay::{Progress, replay},
};

type Outcome<T = ()> = Result<T, Box<dyn error::Error>>;

/// Events of the history that rows and pages are compared on, unless another number is given.
const EVENTS: u64 = 2_000_000;
const ROUNDS: usize = 3;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["case", case, until, store] => runtime.block_on(case_of(case, Position(until.parse()?), Path::new(store))),
        ["write", events, store] => runtime.block_on(write(events.parse()?, Path::new(store))),
        rest => compare(
            rest.first().map_or(Ok(EVENTS), |text| text.parse())?,
            rest.get(1).map_or(Ok(ROUNDS), |text| text.parse())?,
        ),
    }
}

/// Writes a history twice as long as asked for as the embedded log, and its first half as a table of rows.
async fn write(events: u64, store: &Path) -> Outcome {
    let log = EmbeddedLog::create(store.join("log"), Options::default()).await?;
    // The generator ends a day it has begun or stops a little early: a twentieth more is enough of both.
    let length = Some(events * 2 + events / 10);
    let mut batches = demo::history(&demo::Options { seed: 1, events: length, faults: false }).peekable();
    while batches.peek().is_some() {
        let some = batches.by_ref().take(4_000);
        let requests =
            some.map(|batch| AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events });
        for answer in log.append_many(requests.collect()).await {
            answer?;
        }
    }
    let mut chunks = log.chunks(Position(0), Position(events)).await?;
    let mut rows = row_log::Writer::create(&store.join("rows.sqlite")).await?;
    while let Some(chunk) = chunks.next().await? {
        let wanted = chunk.raw()?.into_iter().filter(|event| event.position.0 <= events);
        rows.write(&wanted.collect::<Vec<_>>()).await?;
    }
    rows.finish().await?;
    drop(chunks);
    log.close().await;
    Ok(())
}

/// One case in this process: prints seconds, events, digest, broken invariants and peak memory.
async fn case_of(case: &str, until: Position, store: &Path) -> Outcome {
    let start = Instant::now();
    let folded = match case {
        "rows" => {
            let mut replay = Replay::new(Waivers::new());
            row_log::read(&store.join("rows.sqlite"), |event| replay.observe(&event).expect("rows are in order"))
                .await?;
            replay
        }
        threads => {
            let log = EmbeddedLog::open_read_only(store.join("log")).await?;
            let threads: NonZeroUsize = threads.parse()?;
            let until = until.min(log.head().await?.position);
            replay(&log, Replay::new(Waivers::new()), until, threads, &Arc::new(Progress::default())).await?
        }
    };
    // A beginning may end between two events of one batch, so a broken invariant is counted and not an error here.
    let violations = wox_projections::invariants::violations(&folded).len();
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds} {} {} {violations} {}", folded.position, folded.state.digest(), peak_memory_kib()?);
    Ok(())
}

fn peak_memory_kib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmHWM has no figure")?.parse()?)
}

struct Run {
    seconds: f64,
    events: f64,
    digest: String,
    violations: String,
    memory_kib: u64,
}

fn run(case: &str, until: u64, store: &Path) -> Outcome<Run> {
    let output = Command::new(env::current_exe()?).args(["case", case, &until.to_string()]).arg(store).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let mut word = || words.next().ok_or("a case prints five figures");
    Ok(Run {
        seconds: word()?.parse()?,
        events: word()?.parse()?,
        digest: word()?.to_owned(),
        violations: word()?.to_owned(),
        memory_kib: word()?.parse()?,
    })
}

fn compare(events: u64, rounds: usize) -> Outcome {
    let store = env::temp_dir().join(format!("wox-bench-{}", std::process::id()));
    fs::create_dir_all(&store)?;
    let status = Command::new(env::current_exe()?).args(["write", &events.to_string()]).arg(&store).status()?;
    if !status.success() {
        return Err(format!("writing {events} events failed").into());
    }
    let cases = [
        ("rows", events, "one row an event, 1 thread"),
        ("1", events, "pages, 1 thread"),
        ("2", events, "pages, 2 threads"),
        ("1", events / 4, "pages, 1 thread, a quarter of the history"),
        ("1", events / 2, "pages, 1 thread, half of the history"),
        ("1", events * 2, "pages, 1 thread, twice the history"),
    ];
    let mut runs: Vec<Vec<Run>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((case, until, _), runs) in cases.iter().zip(&mut runs) {
            runs.push(run(case, *until, &store)?);
        }
    }
    let many = [run("8", events, &store)?, run("32", events, &store)?];
    let one = (&runs[0][0].digest, &runs[0][0].violations);
    let same = runs[..3].iter().flatten().chain(&many).all(|run| (&run.digest, &run.violations) == one);
    assert!(same, "rows and pages fold to one state on 1, 2, 8 and 32 threads");
    println!("{:<44} {:>10} {:>12} {:>10} {:>10}", "case", "events", "events/s", "ns/event", "peak MiB");
    let mut medians = Vec::new();
    for ((_, _, name), runs) in cases.iter().zip(&mut runs) {
        runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        let median = &runs[runs.len() / 2];
        let nanoseconds = median.seconds * 1e9 / median.events;
        let (rate, mib) = (median.events / median.seconds, median.memory_kib / 1024);
        println!("{name:<44} {:>10.0} {rate:>12.0} {nanoseconds:>10.0} {mib:>10}", median.events);
        medians.push(nanoseconds);
    }
    let log_bytes = fs::metadata(store.join("log/log.sqlite"))?.len();
    let written = run("1", u64::MAX, &store).map_or(0.0, |run| run.events);
    println!("pages against rows, one thread       {:.2} times", medians[0] / medians[1]);
    println!("two threads against one              {:.2} times", medians[1] / medians[2]);
    println!("cost of an event, 8 times the history {:.2} times", medians[5] / medians[3]);
    println!("on disk                              {:.0} bytes an event", log_bytes as f64 / written);
    println!("one digest of rows and of pages on 1, 2, 8 and 32 threads");
    fs::remove_dir_all(&store)?;
    Ok(())
}
