//! `wox approve`: a second person lets a plan move money.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::Digest;
use wox_projections::recoveries::PlanRecord;

use crate::{
    cli::{CliError, Context, plan, plan_view, render::Document, store, time},
    exit_code::ExitCode,
    recovery,
};

/// Approve a plan that another person proposed
///
/// The approval is bound to the plan's content and expires after a day. Whoever proposed a plan cannot approve it; the
/// attempt is recorded too.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox plan show 3f9c2b7a11d04e55                              read it first
  wox approve 3f9c2b7a11d04e55 --comment checked-with-alice   then let it be applied")]
pub(super) struct ApproveArgs {
    /// The plan's id, the beginning of it, or a plan file
    plan: String,
    /// What you looked at, for those who read the log later
    #[arg(long)]
    comment: String,
}

/// An approved plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Approved {
    /// The plan's id.
    plan: Digest,
    /// Its history, the approval included.
    record: PlanRecord,
}

pub(super) async fn run(args: ApproveArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_write(&context).await?;
    let id = match plan::from_file(std::path::Path::new(&args.plan))? {
        Some(plan) => plan.id,
        None => plan::find(&log, &args.plan).await?,
    };
    let recorded = recovery::approve(&log, id, &context.actor, &args.comment, time::now()).await?;
    log.close().await;
    let body = Approved { plan: recorded.plan.id, record: recorded.record.clone() };
    let document = Document::of(&body).line(plan_view::headline(&recorded.plan));
    plan_view::history(document, &recorded.record).print(context.output)?;
    for step in plan::next_steps(&recorded, &context) {
        context.say(format!("next: {step}"));
    }
    Ok(ExitCode::Done)
}
