//! `wox apply`: carries a plan out, exactly once, and looks whether it did what it said.

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, EventId};
use wox_projections::Drift;

use crate::{
    cli::{
        CliError, Context, evidence, plan, plan_view,
        progress::Progress,
        render::{Document, counted},
        store, time,
    },
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _, Head},
    recovery::{self, Applied, Finding, Item, Scope, Verdict, apply::Recorded},
    replay,
};

/// Apply a plan, exactly once
///
/// The plan is made again from the same evidence and must be the same; its streams must be where it left them; a plan
/// that moves money must have another person's approval. Then each of its items is appended in one atomic step, and the
/// log is read again. Applying a plan twice changes nothing.
///
/// Exit code 0 when applied or nothing to do, 3 when applied and what the plan held, or brought to light, is left to people,
/// 4 when refused, 6 when applied and an outcome in the outside world stays unknown.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox apply 3f9c2b7a11d04e55         ask, then apply
  wox apply repair.plan --yes        from a plan file, without the question")]
pub(super) struct ApplyArgs {
    /// The plan's id, the beginning of it, or a plan file
    plan: String,
    /// Do not ask; guards and approvals still count
    #[arg(long)]
    yes: bool,
    /// Threads that decode events [default: as many as the machine runs]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What applying did. Everything below `verdict` is there when the log was read again.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ApplyReport {
    /// The plan's id.
    plan: Digest,
    /// True when something was appended that was not there yet.
    changes: bool,
    /// The events that were appended.
    appended: Vec<EventId>,
    /// How many notices were queued.
    notices: usize,
    /// `verified`, `remaining` or `diverged`; of the last time when there was nothing to do.
    verdict: Option<String>,
    /// Findings the plan was to repair, and that are still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    unrepaired: Option<Vec<Finding>>,
    /// Findings left to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<Vec<Finding>>,
    /// How many outcomes of the plan's own findings are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<usize>,
    /// What conservation is off by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Drift>,
    /// The digest of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Digest>,
    /// Where the log stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
}

pub(super) async fn run(args: ApplyArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_write(&context).await?;
    let recorded = match plan::from_file(Path::new(&args.plan))? {
        // A plan made elsewhere, or with --preview, is proposed by whoever brings it.
        Some(plan) => {
            let plan = plan::of_this_log(plan, &log, &context).await?;
            recovery::propose(&log, &plan, &context.actor, time::now()).await?
        }
        None => recovery::apply::load(&log, plan::find(&log, &args.plan).await?).await?,
    };
    if recorded.record.applied.is_some() || !recorded.plan.changes {
        return nothing_to_do(&recorded, &context);
    }
    if !args.yes
        && let Err(no) = ask(&recorded, &context).await
    {
        // Deciding not to is an act too: whoever comes next sees that somebody looked, and stopped.
        recovery::apply::record_refusal(&log, &recorded, &no.to_string(), &context.actor, time::now()).await?;
        return Err(no);
    }
    let threads = evidence::threads(args.threads);
    let progress = Progress::new(context.progress, 2);
    let counter = Arc::new(replay::Progress::default());
    let total = Some(log.head().await?.position.0);

    let phase = progress.phase(1, "check and apply", "events", total);
    let applying = recovery::apply(&log, recorded.plan.id, &context.actor, time::now(), threads, &counter);
    let applied = evidence::watched(applying, &counter, &phase, &context).await?;
    phase.finish();

    let phase = progress.phase(2, "read again", "events", total);
    let verifying = recovery::verify(&log, &recorded.plan, &context.actor, time::now(), threads, &counter);
    let verdict = evidence::watched(verifying, &counter, &phase, &context).await?;
    phase.finish();
    report(&log, &recorded, &applied, &verdict, &context).await
}

fn nothing_to_do(recorded: &Recorded, context: &Context) -> Result<ExitCode, CliError> {
    let body = ApplyReport {
        plan: recorded.plan.id,
        changes: false,
        appended: Vec::new(),
        notices: 0,
        verdict: recorded.record.verdict.clone(),
        unrepaired: None,
        remaining: None,
        unknown: None,
        drift: None,
        state: None,
        head: None,
    };
    let why = if recorded.record.applied.is_some() { "it was applied before" } else { "it appends nothing" };
    Document::of(&body)
        .line(format!("nothing to do for plan {}: {why}", recorded.plan.short_id()))
        .print(context.output)?;
    Ok(ExitCode::Done)
}

/// Asks the person at the terminal. Without one there is nobody to ask, so the answer is no.
async fn ask(recorded: &Recorded, context: &Context) -> Result<(), CliError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::refused("wox::apply::nobody-to-ask", "there is no terminal to ask on")
            .next("look at the plan with wox plan show, then apply it with --yes"));
    }
    let mut stderr = io::stderr();
    let _unheard = write!(
        stderr,
        "{}\n{}\nApply it to {}? [y/N] ",
        plan_view::headline(&recorded.plan),
        plan_view::conservation(&recorded.plan),
        context.store.display()
    );
    let read = || {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    };
    let Some(answer) = context.interrupt.unless_asked(read).await else {
        return Err(CliError::interrupted("not applied: stopped at the question; nothing was changed")
            .next("run the same command again when you are sure"));
    };
    match answer.as_deref().map(str::trim) {
        Ok("y" | "Y" | "yes") => Ok(()),
        _ => Err(CliError::refused("wox::apply::declined", "not applied: the answer was no")
            .next("nothing was changed; run the command again when you are sure")),
    }
}

/// True when events of an item are among those that were appended.
fn is_new(item: &Item, appended: &[EventId]) -> bool {
    item.steps.iter().any(|step| appended.contains(&step.id))
}

async fn report(
    log: &EmbeddedLog,
    recorded: &Recorded,
    applied: &Applied,
    verdict: &Verdict,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let head = log.head().await?;
    log.close().await;
    let plan = &recorded.plan;
    // Only what the plan is about: a plan for one duel does not answer for every payment in doubt.
    let in_plan = |finding: &&Finding| plan.held.iter().any(|hold| hold.finding.subject == finding.subject);
    // What it brought to light is about its subjects too. What an item was made for was known before.
    let is_found = |finding: &&Finding| {
        let mut items = plan.items.iter().filter(|item| item.stream == finding.subject);
        items.any(|item| item.findings.iter().all(|known| known.procedure != finding.procedure))
    };
    let unknown = verdict.remaining.iter().filter(|finding| finding.outcome_unknown).filter(in_plan).count();
    // A signer who was asked answers on the chain: that is waited for, and left to nobody.
    let asks = matches!(plan.scope, Scope::Ask { .. });
    let left = !asks && verdict.remaining.iter().any(|finding| in_plan(&finding) || is_found(&finding));
    let body = ApplyReport {
        plan: plan.id,
        changes: *applied != Applied::Nothing,
        appended: applied.events().to_vec(),
        notices: applied.notices(),
        verdict: Some(verdict.name().to_owned()),
        unrepaired: Some(verdict.unrepaired.clone()),
        remaining: Some(verdict.remaining.clone()),
        unknown: Some(unknown),
        drift: Some(verdict.drift),
        state: Some(verdict.state),
        head: Some(head),
    };
    let did = match applied {
        Applied::Nothing => "nothing to append, all of it stands in the log already".to_owned(),
        Applied::Appended { events, notices } => format!(
            "{} appended in {}, {} queued, {unknown} unknown",
            counted(events.len() as u64, "event"),
            counted(plan.items.iter().filter(|item| is_new(item, events)).count() as u64, "stream"),
            counted(*notices as u64, "notice"),
        ),
    };
    let mut document = Document::of(&body).line(format!("plan {} applied: {did}", plan.short_id())).line(format!(
        "verdict: {}; {} in the log that the plan does not repair",
        verdict.name(),
        counted(verdict.remaining.len() as u64, "finding")
    ));
    for finding in verdict.unrepaired.iter().chain(&verdict.remaining) {
        document = document.line(finding.subject.to_string());
        for line in plan_view::finding_lines(finding) {
            document = document.line(line);
        }
    }
    let drift = if verdict.drift.is_zero() { "ok".to_owned() } else { format!("off by {} G", verdict.drift) };
    document
        .line(format!("conservation: {drift}"))
        .line(format!("head: position {}, root {}, state {}", head.position, head.root, verdict.state))
        .print(context.output)?;
    if !verdict.unrepaired.is_empty() {
        return Err(CliError::failed(
            "wox::apply::diverged",
            "the plan was applied and did not repair everything it said",
        )
        .next("wox plan says what is wrong now; report this with its output"));
    }
    Ok(match (unknown, left) {
        (0, false) => ExitCode::Done,
        (0, true) => ExitCode::Differences,
        _ => ExitCode::Unknown,
    })
}
