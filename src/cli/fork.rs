//! `wox fork`: a store that is behind or different at its watermark becomes the truth from here on. The last resort where no
//! backup has what was acknowledged: whoever was told so has to be told otherwise.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, LogId, Position};

use crate::{
    cli::{
        CliError, Context,
        progress::Progress,
        reason::reason,
        rebuild,
        render::{Document, counted, grouped},
    },
    command,
    exit_code::ExitCode,
    log::{
        EmbeddedLog, Head,
        embedded::{
            OpenError, declare_fork,
            verify::{CheckResult, VerifyReport, verify},
            watermark_of,
        },
    },
};

/// Declare a store that lost acknowledged events the truth
///
/// A store behind its watermark refuses every append: events that were acknowledged are not in it. Restore the newest backup
/// or an export that has them; only where there is none, declare the fork. Everything in the store is verified first. Without
/// `--confirm` it says what would be given up and changes nothing.
///
/// Exit code 0 when the store is whole (nothing to declare) or the fork is declared, 3 when it waits for `--confirm`, 4 when
/// the id is of another state, 5 when more than the watermark is wrong.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox fork                                        what would be given up, and the id that confirms it
  wox fork --confirm 0f3a9c… --why disk-lost-17   declare it")]
pub(super) struct ForkArgs {
    /// The id that was shown, or the beginning of it
    #[arg(long, value_name = "ID", requires = "why", value_parser = rebuild::id)]
    confirm: Option<String>,
    /// Why nothing better is left; kept in the store
    #[arg(long, value_parser = reason)]
    why: Option<String>,
}

/// What a fork gives up, or gave up.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forked {
    /// The directory.
    store: PathBuf,
    /// The log.
    log: LogId,
    /// The epoch of the store; the next one once the fork is declared.
    epoch: u64,
    /// Where the store stands.
    position: Position,
    /// The Merkle root there: the beginning of it confirms the fork.
    root: Digest,
    /// Where the watermark stands; nothing when it is missing or damaged.
    watermark: Option<Position>,
    /// What is wrong with the watermark; nothing when the store is whole.
    wrong: Option<String>,
    /// True when the fork was declared by this run.
    declared: bool,
}

pub(super) async fn run(args: ForkArgs, context: Context) -> Result<ExitCode, CliError> {
    let progress = Progress::new(context.progress, 1);
    let mut phase = None;
    let report = verify(&context.store, |read, total| {
        phase.get_or_insert_with(|| progress.phase(1, "verify", "events", Some(total))).set(read);
    })
    .await?;
    if let Some(phase) = phase {
        phase.finish();
    }
    let (head, wrong) = standing(&report)?;
    // A damaged slot of two is written again by the next writer: a fork is for what no writer opens.
    let wrong = match EmbeddedLog::open(&context.store).await {
        Ok(log) => {
            log.close().await;
            None
        }
        Err(OpenError::Behind { .. } | OpenError::Different { .. } | OpenError::NoWatermark { .. }) => wrong,
        Err(error) => return Err(error.into()),
    };
    let watermark = watermark_of(&context.store).ok().flatten();
    let mut body = Forked {
        store: context.store.clone(),
        log: head.log,
        epoch: head.epoch,
        position: head.position,
        root: head.root,
        watermark,
        wrong,
        declared: false,
    };
    let Some(wrong) = body.wrong.clone() else {
        context.say("the store is whole: there is nothing to declare");
        return print(&body, &context).map(|()| ExitCode::Done);
    };
    let (Some(confirm), Some(why)) = (&args.confirm, &args.why) else {
        print(&body, &context)?;
        let id = body.root.short();
        context.say(
            "restore the newest backup, or import an export that has them (wox import); only where there is none:",
        );
        context.say(format!("next: wox fork --confirm {id} --why REASON"));
        return Ok(ExitCode::Differences);
    };
    if !body.root.to_string().starts_with(confirm.as_str()) {
        return Err(CliError::refused("wox::fork::other", "that is the id of another state of the store")
            .at("id", body.root.short())
            .next(command::wox(["fork"])));
    }
    let head = declare_fork(&context.store, &format!("{} ({}): {why}", context.actor, wrong)).await?;
    (body.epoch, body.declared) = (head.epoch, true);
    print(&body, &context)?;
    context.say("tell whoever was told that the lost events are durable; then wox verify, and wox plan");
    Ok(ExitCode::Done)
}

/// Where the store stands, and what is wrong with its watermark; an error when anything else is.
fn standing(report: &VerifyReport) -> Result<(Head, Option<String>), CliError> {
    let failed = |check: &&crate::log::embedded::verify::Check| !matches!(check.result, CheckResult::Passed);
    let damaged = || {
        CliError::integrity("wox::fork::damaged", "more than the watermark is wrong with the store")
            .next("wox verify names the place; restore the newest backup")
    };
    if report.checks.iter().filter(failed).any(|check| check.name != "watermark") {
        return Err(damaged());
    }
    let wrong = report.checks.iter().find(|check| check.name == "watermark").and_then(|check| match &check.result {
        CheckResult::Passed => None,
        CheckResult::Failed { what, .. } => Some(what.clone()),
        CheckResult::NotMade { why } => Some(why.clone()),
    });
    Ok((report.head.ok_or_else(damaged)?, wrong))
}

fn print(body: &Forked, context: &Context) -> Result<(), CliError> {
    let lost = body.watermark.map(|watermark| watermark.0.saturating_sub(body.position.0)).filter(|lost| *lost > 0);
    let mut facts = vec![
        ("store", body.store.display().to_string()),
        ("log", body.log.to_string()),
        ("epoch", body.epoch.to_string()),
        ("position", grouped(body.position.0)),
        ("root", body.root.to_string()),
    ];
    if let Some(wrong) = &body.wrong {
        facts.push((if body.declared { "given up" } else { "wrong" }, wrong.clone()));
    }
    if let Some(lost) = lost {
        facts.push(("lost", format!("{} that were acknowledged", counted(lost, "event"))));
    }
    Document::of(body).facts(facts).print(context.output)
}
