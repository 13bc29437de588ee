//! `wox plan`: what is wrong and what would repair it; `wox plan show`: a plan again. Changes no game state.

use std::{
    io::Write as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, Family, Revision};
use wox_projections::recoveries::PlanRecord;

use crate::{
    cli::{CliError, Context, as_of, evidence, plan_view, progress::Progress, render::Document, store, time},
    command,
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    recovery::{self, Evidence, Finding, Item, Plan, Scope, apply::Recorded, approval},
};

/// Say what is wrong in the log and what would repair it
///
/// Replays the log, diagnoses it and makes a plan. The plan is recorded in the log, so that it can be approved and
/// applied by its id; nothing else is changed. The same log gives the same plan.
///
/// Exit code 0 when nothing is wrong, 3 when something is.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "\
Examples:
  wox plan                          plan the repair of everything
  wox plan -o repair.plan           and write the plan to a file
  wox plan --preview --as-of 5000   look at an earlier state, record nothing
  wox plan show 3f9c2b7a11d04e55    read a plan again"
)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: Option<PlanCommand>,
    #[command(flatten)]
    making: MakingArgs,
}

/// How a plan is made; shared by the verbs that make one.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MakingArgs {
    /// Write the plan to this file too
    #[arg(short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Record nothing in the log
    #[arg(long)]
    preview: bool,
    /// Threads that decode events [default: as many as the machine runs]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl MakingArgs {
    /// True when nothing is to be recorded.
    pub(super) fn previews(&self) -> bool {
        self.preview
    }
}

/// A recorded plan with its history.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlanShown {
    /// The plan.
    plan: Plan,
    /// Who proposed, approved, applied it.
    record: PlanRecord,
}

#[derive(Debug, clap::Subcommand)]
enum PlanCommand {
    /// Show a plan again, with who approved and applied it
    ///
    /// Works for stale and applied plans too, and says so.
    Show {
        /// The plan's id, the beginning of it, or a plan file
        plan: String,
    },
}

pub(super) async fn run(args: PlanArgs, context: Context) -> Result<ExitCode, CliError> {
    match args.command {
        Some(PlanCommand::Show { plan }) => show(&plan, &context).await,
        None => make(args.making, &Scope::All, &context).await,
    }
}

fn document(plan: &Plan) -> Document {
    Document::of(plan).records::<Item>("items")
}

/// Makes, records and prints the plan for a scope.
pub(super) async fn make(args: MakingArgs, scope: &Scope, context: &Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(context).await?;
    let until = as_of::position(&log, context).await?;
    let threads = evidence::threads(args.threads);
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, threads, context, progress, 1).await?;
    let plan = recovery::plan(&evidence, scope).map_err(|error| unwritable_plan(error, context))?;
    log.close().await;

    if let (true, false, Some(hold)) = (scope.is_decision(), plan.changes, plan.held.first()) {
        if let Some(error) = evidence::damage_error(&evidence, context) {
            return Err(error);
        }
        let error = CliError::refused("wox::recover::does-not-fit", format!("{}: {}", hold.finding.says, hold.why));
        // What is said of the log itself is about no stream.
        let of_log = hold.finding.subject.family() == Some(Family::Ops);
        let error = if of_log { error } else { error.at("stream", &hold.finding.subject) };
        return Err(plan.held.iter().fold(error, |error, hold| error.next(&hold.next)));
    }
    plan_view::describe(document(&plan), &plan, context).print(context.output)?;
    if let Some(out) = &args.out {
        write(&plan, out)?;
        context.say(format!("plan written to {}", out.display()));
    }
    if let Some(error) = evidence::damage_error(&evidence, context) {
        return Err(error);
    }
    let elsewhere = concerning(scope, &evidence);
    for finding in &elsewhere {
        context.tell(format!("found in {}: {}", finding.subject, finding.says));
        context.say(format!("next: {}", command::wox(["recover", finding.subject.as_str()])));
    }
    if !plan.changes {
        let nothing = plan.held.is_empty() && elsewhere.is_empty();
        return Ok(if nothing { ExitCode::Done } else { ExitCode::Differences });
    }
    if args.preview {
        context.say("preview: nothing was recorded; without --preview the plan can be approved and applied");
    } else {
        record(&plan, &evidence, context).await?;
    }
    Ok(ExitCode::Differences)
}

/// Findings about a player whose repair belongs to another stream: a duel's, a deposit's, a tournament's. Findings name
/// players as `player ID` (finding.rs, "in one sentence with names and amounts").
fn concerning(scope: &Scope, evidence: &Evidence) -> Vec<Finding> {
    let Scope::Subject(subject) = scope else { return Vec::new() };
    if subject.family() != Some(Family::Player) {
        return Vec::new();
    }
    let name = format!("player {}", subject.subject());
    let named = |says: &str| {
        says.match_indices(&name).any(|(at, _)| {
            let after = says[at + name.len()..].chars().next();
            after.is_none_or(|after| !after.is_ascii_alphanumeric() && !"_-".contains(after))
        })
    };
    let findings = recovery::diagnose(evidence).cases.into_iter().map(|case| case.finding);
    findings.filter(|finding| finding.subject != *subject && named(&finding.says)).collect()
}

async fn record(plan: &Plan, evidence: &Evidence, context: &Context) -> Result<(), CliError> {
    let log = store::open_to_write(context).await?;
    let recorded = recovery::propose(&log, plan, &context.actor, time::now()).await?;
    log.close().await;
    if recorded.record.applied.is_some() {
        context.say(format!("plan {} was applied before; what it left is what is held", plan.short_id()));
        return Ok(());
    }
    if evidence.as_of < evidence.head {
        context.say("the plan was made for an earlier state; streams that moved since make it stale");
    }
    for step in next_steps(&recorded) {
        context.say(format!("next: {step}"));
    }
    Ok(())
}

/// The commands that come after a recorded plan.
#[must_use]
pub(super) fn next_steps(recorded: &Recorded) -> Vec<String> {
    let Recorded { plan, record } = recorded;
    let mut steps = Vec::new();
    if approval::judge(plan, record, time::now()).is_err() {
        steps.push(approval::command(plan));
    }
    steps.push(format!("wox apply {} --yes", plan.short_id()));
    steps
}

async fn show(which: &str, context: &Context) -> Result<ExitCode, CliError> {
    if let Some(plan) = from_file(Path::new(which))? {
        // A file is readable without its log; with it, the history is shown too.
        let recorded = match store::open_to_read(context).await {
            Ok(log) => recovery::apply::load(&log, plan.id).await.ok().map(|recorded| (log, recorded)),
            Err(_) => None,
        };
        let Some((log, recorded)) = recorded else {
            context.say("the plan is not recorded in the log of this store; wox plan records it");
            plan_view::describe(document(&plan), &plan, context).print(context.output)?;
            return Ok(ExitCode::Done);
        };
        return print(&log, &recorded, context).await;
    }
    let log = store::open_to_read(context).await?;
    let id = find(&log, which).await?;
    let recorded = recovery::apply::load(&log, id).await?;
    print(&log, &recorded, context).await
}

async fn print(log: &EmbeddedLog, recorded: &Recorded, context: &Context) -> Result<ExitCode, CliError> {
    let document = Document::of(&PlanShown { plan: recorded.plan.clone(), record: recorded.record.clone() });
    plan_view::history(plan_view::describe(document, &recorded.plan, context), &recorded.record)
        .print(context.output)?;
    if recorded.record.applied.is_some() {
        return Ok(ExitCode::Done);
    }
    if is_done(log, &recorded.plan).await? {
        context.say("nothing to append: all of it stands in the log already");
        return Ok(ExitCode::Done);
    }
    for item in &recorded.plan.items {
        let actual = log.revision(&item.stream).await?;
        if actual != item.expected {
            context.say(format!(
                "the plan is stale: {} was at revision {}, is at {actual} now; wox plan makes a new one",
                item.stream, item.expected
            ));
            return Ok(ExitCode::Done);
        }
    }
    if recorded.plan.changes {
        for step in next_steps(recorded) {
            context.say(format!("next: {step}"));
        }
        return Ok(ExitCode::Differences);
    }
    Ok(ExitCode::Done)
}

/// True when every event of a plan stands in the log though the plan was not applied: a larger plan did its work. Ids
/// follow from what is corrected, so the same repair is the same event in any plan (law 7).
pub(super) async fn is_done(log: &EmbeddedLog, plan: &Plan) -> Result<bool, CliError> {
    for item in &plan.items {
        let there = log.read_stream(&item.stream).await?;
        if item.steps.iter().any(|step| !there.iter().any(|event| step.is(event))) {
            return Ok(false);
        }
        // An attempt that was cut off before everybody was told waits to be finished.
        for notice in &item.tells {
            if log.revision(&notice.stream()).await? == Revision::NO_STREAM {
                return Ok(false);
            }
        }
    }
    Ok(plan.changes)
}

/// Refuses a plan of another log: what it says of streams and events says nothing here.
pub(super) async fn of_this_log(plan: Plan, log: &EmbeddedLog, context: &Context) -> Result<Plan, CliError> {
    if plan.log == log.head().await?.log {
        return Ok(plan);
    }
    Err(CliError::refused("wox::plan::other-log", "the plan was made for another log")
        .at("plan's log", plan.log)
        .at("store", context.store.display())
        .next("name the store of that log with --store, or run wox plan on this one"))
}

/// Largest plan file that is read: far more than the largest plan that a log takes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads a plan file, when one stands there. A plan that was edited is refused: its id is the digest of its content.
pub(super) fn from_file(path: &Path) -> Result<Option<Plan>, CliError> {
    let Ok(meta) = std::fs::metadata(path) else { return Ok(None) };
    if meta.is_dir() {
        return Ok(None);
    }
    let bad = |what: String| {
        CliError::failed("wox::plan::file", what).at("file", path.display()).next("wox plan -o FILE writes plans")
    };
    // A pipe could keep the reader waiting for ever, and a device could go on for ever.
    if !meta.is_file() {
        return Err(
            bad("the plan file is a pipe, a device or a socket, not a file".into()).next("copy it to a file first")
        );
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(bad(format!("the plan file has {} bytes, no plan has more than {FILE_BYTES_MAX}", meta.len())));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| bad("the plan file cannot be read".into()).caused_by(error))?;
    let plan: Plan = serde_json::from_str(&text)
        .map_err(|error| bad("the file is no plan".into()).at("line", error.line()).caused_by(error))?;
    match plan.content_digest() {
        Ok(digest) if digest == plan.id => Ok(Some(plan)),
        _ => Err(CliError::refused("wox::plan::edited", "the plan was changed after it was made")
            .at("file", path.display())
            .next("wox plan makes a new one; plans are not edited, because people approve them by their content")),
    }
}

/// The recorded plan whose id begins with `text`.
pub(super) async fn find(log: &EmbeddedLog, text: &str) -> Result<Digest, CliError> {
    let typed = text.strip_prefix("plan-").unwrap_or(text).to_ascii_lowercase();
    let hex = typed.len() >= 4 && typed.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex {
        return Err(CliError::usage("wox::plan::which", format!("`{text}` is no plan id and no plan file"))
            .next("wox status lists the plans that wait"));
    }
    let found = log.streams_with_prefix(&format!("plan-{typed}"), 2).await?;
    match found.as_slice() {
        [(stream, _)] => stream.subject().parse().map_err(|_| {
            CliError::failed("wox::plan::which", format!("stream {stream} is named like a plan and is none"))
                .next(command::wox(["show", stream.as_str()]))
        }),
        [] => Err(CliError::failed("wox::plan::unknown", format!("there is no plan {text} in this log"))
            .next("wox plan makes and records one; wox status lists those that wait")
            .next("a plan that appends nothing is not recorded and needs no approval")),
        _ => Err(CliError::usage("wox::plan::which", format!("more than one plan begins with {text}"))
            .next("give more digits")),
    }
}

/// Writes a plan file, whole or not at all.
pub(super) fn write(plan: &Plan, path: &Path) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| {
        CliError::failed("wox::plan::write", "the plan file cannot be written")
            .at("file", path.display())
            .next("name a file you may write with -o")
            .caused_by(error)
    };
    // Writing whole or not at all means renaming over what is there: a device, a pipe or a link would be gone.
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(unwritable(std::io::Error::other("there is something that is no regular file")));
    }
    let text = serde_json::to_string_pretty(plan).map_err(|error| unwritable(error.into()))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = std::fs::File::create(&partial).and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    });
    written.map_err(|error| {
        let _gone_or_never_made = std::fs::remove_file(&partial);
        unwritable(error)
    })
}

fn unwritable_plan(error: wox_events::record::JsonError, context: &Context) -> CliError {
    CliError::failed("wox::plan::json", "the plan cannot be written as JSON")
        .at("store", context.store.display())
        .next("report this with the output of wox verify")
        .caused_by(error)
}
