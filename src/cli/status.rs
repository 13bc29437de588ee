//! `wox status`: where the log stands and what waits for somebody. Reads a handful of rows; the whole log only where it is
//! about a chain, to say whether money stands still.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Position, StreamId};

use crate::{
    cli::{
        CliError, Context,
        render::{Document, grouped},
        standing, store,
    },
    command,
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _, Head},
    recovery::{self, ApplyError, apply::Recorded},
    rfc3339,
};

/// Say where the log stands, whether money moves, and which plans wait
///
/// Exit code 3 when a plan waits for approval or application, or no money moves.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox status
  wox status --output json | jq .head.position")]
pub(super) struct StatusArgs {}

/// Where a store stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusReport {
    /// Its directory.
    store: PathBuf,
    /// Where the log stands.
    head: Head,
    /// The time of the newest event, RFC 3339.
    newest_event: Option<String>,
    /// Bytes of its files.
    bytes: u64,
    /// Plans that were proposed and not applied.
    plans_waiting: Vec<WaitingPlan>,
    /// Why no money moves, while none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    standstill: Option<StandstillShown>,
}

/// Why no money moves.
#[derive(Debug, Serialize, JsonSchema)]
struct StandstillShown {
    /// What happened.
    why: String,
    /// What ends it.
    next: String,
}

/// A plan that somebody has to decide about.
#[derive(Debug, Serialize, JsonSchema)]
struct WaitingPlan {
    /// Its id.
    plan: String,
    /// `proposed` or `approved`.
    state: &'static str,
}

/// Most plans that are looked at.
const PLANS_MAX: usize = 10_000;

pub(super) async fn run(_: StatusArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(&context).await?;
    let head = log.head().await?;
    let newest = match head.position {
        Position(0) => None,
        Position(last) => match log.chunks(Position(last - 1), head.position).await?.next().await? {
            Some(chunk) => chunk.raw()?.into_iter().next_back(),
            None => None,
        },
    };
    let newest = newest.map(|event| rfc3339::text(event.event.time));
    let bytes = size(&context.store);
    let plans = waiting(&log).await?;
    let pending = plans.iter().map(|(stream, state)| WaitingPlan { plan: stream.subject().to_owned(), state });
    let plans_waiting = pending.collect();
    let standstill = standing::still(&log, &context).await?;
    let mut facts = vec![
        ("store", context.store.display().to_string()),
        ("log", head.log.to_string()),
        ("epoch", head.epoch.to_string()),
        ("position", grouped(head.position.0)),
        ("root", head.root.to_string()),
        ("newest event", newest.clone().unwrap_or_else(|| "none".into())),
        ("on disk", format!("{} bytes", grouped(bytes))),
        ("plans waiting", plans.len().to_string()),
    ];
    facts.extend(standstill.iter().map(|stop| ("no money moves", stop.why.clone())));
    facts.extend(plans.iter().map(|(stream, state)| ("  plan", format!("{} {state}", stream.subject()))));
    let shown = standstill.clone().map(|stop| StandstillShown { why: stop.why, next: stop.next });
    let store = context.store.clone();
    Document::of(&StatusReport { store, head, newest_event: newest, bytes, plans_waiting, standstill: shown })
        .facts(facts)
        .print(context.output)?;
    if let Some(stop) = &standstill {
        context.say(format!("next: {}", stop.next));
    }
    if let Some((stream, _)) = plans.first() {
        context.say(format!("next: {}", command::wox(["plan", "show", stream.subject()])));
        return Ok(ExitCode::Differences);
    }
    Ok(if standstill.is_some() { ExitCode::Differences } else { ExitCode::Done })
}

/// Plans that were proposed and not applied, with what they wait for.
async fn waiting(log: &EmbeddedLog) -> Result<Vec<(StreamId, &'static str)>, CliError> {
    let mut waiting = Vec::new();
    for (stream, _) in log.streams_with_prefix("plan-", PLANS_MAX).await? {
        let Ok(id) = stream.subject().parse() else { continue };
        let (state, done) = match recovery::apply::load(log, id).await {
            Ok(Recorded { record, .. }) if record.applied.is_some() => continue,
            Ok(Recorded { plan, record }) => (
                if record.approvals.is_empty() { "proposed" } else { "approved" },
                super::plan::is_done(log, &plan).await?,
            ),
            Err(ApplyError::Altered { .. }) => ("altered", false),
            Err(error) => return Err(error.into()),
        };
        if !done {
            waiting.push((stream, state));
        }
    }
    Ok(waiting)
}

/// Bytes of the store's files. A file that vanishes while we look counts as nothing.
fn size(store: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(store) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}
