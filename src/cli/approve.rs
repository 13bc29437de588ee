//! `wox approve`: a second person lets a plan move money.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::Digest;
use wox_projections::recoveries::PlanRecord;

use crate::{
    cli::{CliError, Context, plan, plan_view, reason::reason, render::Document, store, time},
    exit_code::ExitCode,
    recovery,
};

/// Approve a plan that another person proposed
///
/// The approval is bound to the plan's content and expires after a day. Whoever proposed a plan cannot approve it, in
/// whatever letter case; the attempt is recorded too. Where a decision names a second person, only that one can.
///
/// Exit code 0 when approved, or when the plan appends nothing and needs no approval; 4 when refused.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox plan show 3f9c2b7a11d04e55                              read it first
  wox approve 3f9c2b7a11d04e55 --comment checked-with-alice   then let it be applied")]
pub(super) struct ApproveArgs {
    /// The plan's id, the beginning of it, or a plan file
    plan: String,
    /// What you looked at, for those who read the log later
    #[arg(long, value_parser = reason)]
    comment: String,
}

/// An approved plan, or one that needs no approval because it appends nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Approved {
    /// The plan's id.
    plan: Digest,
    /// False when it appends nothing: then it needs no approval, and none was recorded.
    appends: bool,
    /// Its history, the approval included.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<PlanRecord>,
}

pub(super) async fn run(args: ApproveArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_write(&context).await?;
    let plan = match plan::from_file(std::path::Path::new(&args.plan))? {
        Some(plan) => plan::of_this_log(plan, &log, &context).await?,
        None => recovery::apply::load(&log, plan::find(&log, &args.plan).await?).await?.plan,
    };
    if !plan.changes {
        // Nothing waits for it, so nothing is recorded: an approval that lets nothing through would look like a consent.
        let body = Approved { plan: plan.id, appends: false, record: None };
        let line = format!("nothing to do: plan {} appends nothing and needs no approval", plan.short_id());
        log.close().await;
        return Document::of(&body).line(line).print(context.output).map(|()| ExitCode::Done);
    }
    let recorded = recovery::approve(&log, plan.id, &context.actor, &args.comment, time::now()).await?;
    log.close().await;
    let body = Approved { plan: recorded.plan.id, appends: true, record: Some(recorded.record.clone()) };
    let document = Document::of(&body).line(plan_view::headline(&recorded.plan));
    plan_view::history(document, &recorded.record).print(context.output)?;
    for step in plan::next_steps(&recorded) {
        context.say(format!("next: {step}"));
    }
    Ok(ExitCode::Done)
}
