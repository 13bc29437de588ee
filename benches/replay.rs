//! Replay, measured as ratios in one run: `cargo bench --bench replay -- [EVENTS] [ROUNDS]`.
//!
//! Every case runs in a process of its own, in turn, several rounds; medians are printed, with the operating system's
//! own count of peak memory. Every case must give the same state digest. What is compared:
//! - `rows`: the same folds, fed by one row an event through sqlx (`support/row_log.rs`), the usual event store;
//! - `pages 1`: the embedded log on one thread; `pages 2`: on two;
//! - `half`/`double`: other lengths of history, for the cost of one event.

#![allow(clippy::print_stdout, reason = "a bench reports by printing")]

#[path = "support/row_log.rs"]
mod row_log;

use std::{
    env, error, fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use wox_events::Position;
use wox_projections::{Replay, Waivers};
use wox_recovery::{
    demo,
    log::{AppendRequest, EmbeddedLog, EventLog, embedded::Options},
    replay::{Progress, replay},
};

type Outcome<T = ()> = Result<T, Box<dyn error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["case", case, store] => runtime.block_on(case_of(case, Path::new(store))),
        ["write", events, store] => runtime.block_on(write(events.parse()?, Path::new(store))),
        rest => compare(
            rest.first().map_or(Ok(2_000_000), |text| text.parse())?,
            rest.get(1).map_or(Ok(5), |text| text.parse())?,
        ),
    }
}

/// Writes the same history twice: as the embedded log and as a table of rows.
async fn write(events: u64, store: &Path) -> Outcome {
    let log = EmbeddedLog::create(store.join("log"), Options::default()).await?;
    let mut batches = demo::history(&demo::Options { seed: 1, events: Some(events), faults: false }).peekable();
    while batches.peek().is_some() {
        let some = batches.by_ref().take(4_000);
        let requests =
            some.map(|batch| AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events });
        for answer in log.append_many(requests.collect()).await {
            answer?;
        }
    }
    let head = log.head().await?.position;
    let mut chunks = log.chunks(Position(0), head).await?;
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await? {
        all.extend(chunk.raw()?);
    }
    drop(chunks);
    row_log::write(&store.join("rows.sqlite"), all).await?;
    log.close().await;
    Ok(())
}

/// One case in this process: prints seconds, events, digest and peak memory.
async fn case_of(case: &str, store: &Path) -> Outcome {
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
            let head = log.head().await?.position;
            let threads: NonZeroUsize = threads.parse()?;
            replay(&log, Replay::new(Waivers::new()), head, threads, &Arc::new(Progress::default())).await?
        }
    };
    let violations = wox_projections::invariants::violations(&folded);
    let seconds = start.elapsed().as_secs_f64();
    assert!(violations.is_empty(), "a sound history breaks no invariant: {violations:?}");
    println!("{seconds} {} {} {}", folded.position, folded.state.digest(), peak_memory_kib()?);
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
    memory_kib: u64,
}

fn run(case: &str, store: &Path) -> Outcome<Run> {
    let output = Command::new(env::current_exe()?).args(["case", case]).arg(store).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let mut word = || words.next().ok_or("a case prints four figures");
    Ok(Run {
        seconds: word()?.parse()?,
        events: word()?.parse()?,
        digest: word()?.to_owned(),
        memory_kib: word()?.parse()?,
    })
}

fn compare(events: u64, rounds: usize) -> Outcome {
    let folder = env::temp_dir().join(format!("wox-bench-{}", std::process::id()));
    let sizes = [events / 4, events, events * 2];
    let stores: Vec<PathBuf> = sizes.iter().map(|size| folder.join(size.to_string())).collect();
    for (size, store) in sizes.iter().zip(&stores) {
        fs::create_dir_all(store)?;
        let status = Command::new(env::current_exe()?).args(["write", &size.to_string()]).arg(store).status()?;
        if !status.success() {
            return Err(format!("writing {size} events failed").into());
        }
    }
    let cases = [
        ("rows", &stores[1], "one row an event, 1 thread"),
        ("1", &stores[1], "pages, 1 thread"),
        ("2", &stores[1], "pages, 2 threads"),
        ("1", &stores[0], "pages, 1 thread, a quarter of the history"),
        ("1", &stores[2], "pages, 1 thread, twice the history"),
    ];
    let mut runs: Vec<Vec<Run>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((case, store, _), runs) in cases.iter().zip(&mut runs) {
            runs.push(run(case, store)?);
        }
    }
    assert!(runs[..3].iter().flatten().all(|run| run.digest == runs[0][0].digest), "every case folds to one state");
    let log_bytes = fs::metadata(stores[1].join("log/log.sqlite"))?.len();
    println!("{:<44} {:>12} {:>10} {:>10}", "case", "events/s", "ns/event", "peak MiB");
    let mut medians = Vec::new();
    for ((_, _, name), runs) in cases.iter().zip(&mut runs) {
        runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        let median = &runs[runs.len() / 2];
        let nanoseconds = median.seconds * 1e9 / median.events;
        let (rate, mib) = (median.events / median.seconds, median.memory_kib / 1024);
        println!("{name:<44} {rate:>12.0} {nanoseconds:>10.0} {mib:>10}");
        medians.push(nanoseconds);
    }
    println!("pages against rows, one thread       {:.2} times", medians[0] / medians[1]);
    println!("two threads against one              {:.2} times", medians[1] / medians[2]);
    println!("cost of an event, 8 times the history {:.2} times", medians[4] / medians[3]);
    println!("on disk                              {:.0} bytes an event", log_bytes as f64 / events as f64);
    fs::remove_dir_all(&folder)?;
    Ok(())
}
