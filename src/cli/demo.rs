//! `wox demo`: a broken game, replayed, diagnosed and planned, in one command and without a network.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Actor, Digest, EventId, LogId, Position, Revision, StreamId};

use crate::{
    cli::{
        CliError, Context, evidence, plan, plan_view,
        progress::Progress,
        render::{Document, counted},
        store, time,
    },
    command,
    demo::{self, Batch, Options},
    exit_code::ExitCode,
    log::{AppendRequest, EmbeddedLog, EventLog as _, embedded},
    recovery::{self, Plan, Scope},
};

/// Make a broken game, find what is wrong, plan the repair
///
/// Writes a day of the game with known faults into a store of its own, replays it, and shows what is wrong since which
/// event and what would repair it. Everything is drawn from the seed: the same seed gives the same bytes.
///
/// Exit code 3, because a plan waits; the next commands are printed.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox demo                                        a day of about 20,000 events in wox-demo
  wox demo --seed 7 --force                       another day, in place of the last one
  wox demo --events 2000000 --sound --store big   a long history without faults, for measuring")]
pub(super) struct DemoArgs {
    /// Everything is drawn from this number
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// About how many events; more events are more days [default: one day]
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Plant no faults
    #[arg(long)]
    sound: bool,
    /// Replace the store of an earlier demo
    #[arg(long)]
    force: bool,
}

/// A demo.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DemoReport {
    /// Its directory.
    store: PathBuf,
    /// What everything was drawn from.
    seed: u64,
    /// How many events there are.
    events: Position,
    /// The log.
    log: LogId,
    /// Its Merkle root.
    root: Digest,
    /// The digest of the state.
    state: Digest,
    /// The faults that were put in.
    planted: Vec<PlantedFault>,
    /// What was found and what would repair it.
    plan: Plan,
}

/// A fault that was put in.
#[derive(Debug, Serialize, JsonSchema)]
struct PlantedFault {
    /// Which.
    fault: &'static str,
    /// What it happened to.
    subject: String,
    /// The stream of the first event that is wrong, or of the last one before a gap.
    stream: StreamId,
    /// That event's revision.
    revision: Revision,
}

/// Where the demo lives unless --store says otherwise: never the store of real events.
pub(super) const STORE_DEFAULT: &str = "wox-demo";
/// The plan's file in that directory.
const PLAN_FILE: &str = "demo.plan";
/// Everything a demo leaves behind; a directory with anything else in it is not replaced.
const OURS: &[&str] =
    &["log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "watermark", "lock", PLAN_FILE, crate::snapshot::FOLDER];
/// Events that share one transaction.
const BATCH_EVENTS: usize = 10_000;

pub(super) async fn run(args: DemoArgs, context: Context) -> Result<ExitCode, CliError> {
    let started = Instant::now();
    if args.force {
        remove(&context.store)?;
    }
    let options = Options { seed: args.seed, events: args.events, faults: !args.sound };
    // Drawn from the options like everything else, so that a demo is the same log on every machine.
    let id = EventId::derived(&["wox/demo", &format!("{options:?}")]);
    let fixed = embedded::Options { log_id: Some(LogId(id.0)), ..embedded::Options::default() };
    store::make_parent(&context.store)?;
    let log = EmbeddedLog::create(&context.store, fixed)
        .await
        .map_err(|error| CliError::from(error).next("or replace an earlier demo with --force"))?;

    let progress = Progress::new(context.progress, 2);
    let planted = write(&log, &options, &context, progress).await?;
    let head = log.head().await?;
    let evidence = evidence::gather(&log, head.position, evidence::threads(None), &context, progress, 2).await?;
    let plan = recovery::plan(&evidence, &Scope::All)
        .map_err(|error| CliError::failed("wox::plan::json", "the plan cannot be written as JSON").caused_by(error))?;

    let faults = planted.len() as u64;
    let body = DemoReport {
        store: context.store.clone(),
        seed: args.seed,
        events: head.position,
        log: head.log,
        root: head.root,
        state: evidence.replay.state.digest(),
        planted,
        plan: plan.clone(),
    };
    let mut document = Document::of(&body)
        .line(format!(
            "{} of a game in {}, seed {}; {}",
            counted(head.position.0, "event"),
            context.store.display(),
            args.seed,
            counted(faults, "planted fault"),
        ))
        .line("");
    document = plan_view::describe(document, &plan, &context);
    document.print(context.output)?;
    if !plan.changes && plan.held.is_empty() {
        log.close().await;
        context.say(format!("nothing is wrong; made and replayed in {:.1} s", started.elapsed().as_secs_f64()));
        return Ok(ExitCode::Done);
    }
    // Proposed by the demo itself, so that whoever runs the next commands is the second person.
    let proposer = Actor::new("demo").expect("`demo` is an identity");
    let recorded = recovery::propose(&log, &plan, &proposer, time::now()).await?;
    log.close().await;
    let file = context.store.join(PLAN_FILE);
    plan::write(&plan, &file)?;
    let id = recorded.plan.short_id();
    context.tell(format!(
        "made, replayed and planned in {:.1} s; the plan is in {}. next:",
        started.elapsed().as_secs_f64(),
        file.display()
    ));
    context.say(format!("  wox plan show {id}"));
    context.say(format!("  wox approve {id} --comment looks-right"));
    context.say(format!("  wox apply {} --yes", command::word(file.display())));
    Ok(ExitCode::Differences)
}

/// Writes the history and says which faults are in it.
async fn write(
    log: &EmbeddedLog,
    options: &Options,
    context: &Context,
    progress: Progress,
) -> Result<Vec<PlantedFault>, CliError> {
    let phase = progress.phase(1, "play the game", "events", options.events);
    let mut history = demo::history(options);
    let mut waiting: Vec<AppendRequest> = Vec::new();
    let mut events = 0;
    loop {
        let batch = history.next();
        let ended = batch.is_none();
        if let Some(Batch { stream, expected, events: new }) = batch {
            events += new.len();
            waiting.push(AppendRequest { stream, expected, events: new });
        }
        if events >= BATCH_EVENTS || ended {
            for answer in log.append_many(std::mem::take(&mut waiting)).await {
                answer?;
            }
            phase.add(events as u64);
            events = 0;
        }
        if ended {
            break;
        }
        if context.interrupt.asked() {
            return Err(CliError::interrupted("the demo is not whole").next("wox demo --force starts it again"));
        }
    }
    phase.finish();
    Ok(history
        .planted()
        .iter()
        .map(|planted| PlantedFault {
            fault: planted.fault,
            subject: planted.subject.clone(),
            stream: planted.at.0.clone(),
            revision: planted.at.1,
        })
        .collect())
}

/// Removes the store of an earlier demo; a directory that holds anything else is left as it is.
fn remove(store: &Path) -> Result<(), CliError> {
    let unremovable = |error: std::io::Error| {
        CliError::failed("wox::demo::remove", "the earlier demo cannot be removed")
            .at("path", store.display())
            .next("remove it yourself, or choose another directory with --store")
            .caused_by(error)
    };
    let entries = match std::fs::read_dir(store) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unremovable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(unremovable)?.file_name();
        if !name.to_str().is_some_and(|name| OURS.contains(&name)) {
            return Err(CliError::refused("wox::demo::not-a-demo", "the directory holds more than a demo")
                .at("path", store.display())
                .at("file", name.display())
                .next("choose another directory with --store; nothing was removed"));
        }
        files.push(name);
    }
    let gone = |name: &std::ffi::OsString| {
        let path = store.join(name);
        // Snapshots are derived: of a demo's store they are the demo's too.
        if name == crate::snapshot::FOLDER { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
    };
    files.iter().try_for_each(gone).map_err(unremovable)?;
    std::fs::remove_dir(store).map_err(unremovable)
}
