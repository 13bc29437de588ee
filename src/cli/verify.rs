//! `wox verify`: reads every byte of the store again, with other code than the one that reads it every day, and says
//! which checks were made and which were not.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{
        CliError, Context,
        error::ErrorKind,
        progress::Progress,
        render::{Document, grouped},
    },
    exit_code::ExitCode,
    log::{
        Head,
        embedded::verify::{Bad, CheckResult, VerifyReport, verify},
    },
};

/// Check every byte of the store
///
/// Recomputes every leaf, page and root from what is on disk, and compares positions, revisions, indexes and the
/// watermark. Names the checks that were made, those that were not and why, and the first bad place.
///
/// Exit code 5 when a check fails.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox verify
  wox verify --output json | jq .first_bad")]
pub(super) struct VerifyArgs {}

/// What was verified.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Verified {
    /// The directory.
    store: PathBuf,
    /// True when every check was made and passed.
    passed: bool,
    /// Events read and hashed.
    events: u64,
    /// Where the log stands by what was recomputed.
    head: Option<Head>,
    /// Every check there is, made or not.
    checks: Vec<CheckLine>,
    /// The first bad thing, in the order of the log.
    first_bad: Option<Bad>,
}

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CheckLine {
    /// Its name.
    name: &'static str,
    /// What came of it.
    result: Outcome,
    /// What is wrong, or why it was not made.
    detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Passed,
    Failed,
    NotMade,
}

impl Outcome {
    /// Failures stand out without colour.
    fn shown(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "FAILED",
            Outcome::NotMade => "not made",
        }
    }
}

pub(super) async fn run(_: VerifyArgs, context: Context) -> Result<ExitCode, CliError> {
    let progress = Progress::new(context.progress, 1);
    let mut phase = None;
    let verifying = verify(&context.store, |read, total| {
        phase.get_or_insert_with(|| progress.phase(1, "verify", "events", Some(total))).set(read);
    });
    let report = tokio::select! {
        biased;
        report = verifying => report?,
        () = context.interrupt.wait() => {
            return Err(CliError::interrupted("stopped before everything was checked; nothing was changed")
                .next("run wox verify again; a part of a verification proves nothing"));
        }
    };
    if let Some(phase) = phase {
        phase.finish();
    }
    print(&report, &context)?;
    if report.passed() {
        return Ok(ExitCode::Done);
    }
    Err(verdict(&report, &context))
}

fn print(report: &VerifyReport, context: &Context) -> Result<(), CliError> {
    let (mut passed, mut failed, mut not_made) = (0, 0, 0);
    let mut checks = Vec::new();
    let mut rows = Vec::new();
    for check in &report.checks {
        let (result, detail) = match &check.result {
            CheckResult::Passed => {
                passed += 1;
                (Outcome::Passed, String::new())
            }
            CheckResult::Failed { what, count } => {
                failed += 1;
                let others = count.saturating_sub(1);
                (
                    Outcome::Failed,
                    if others == 0 { what.clone() } else { format!("{what} (and {} more)", grouped(others)) },
                )
            }
            CheckResult::NotMade { why } => {
                not_made += 1;
                (Outcome::NotMade, why.clone())
            }
        };
        rows.push(vec![result.shown().to_owned(), check.name.to_owned(), detail.clone()]);
        checks.push(CheckLine { name: check.name, result, detail });
    }
    let body = Verified {
        store: context.store.clone(),
        passed: report.passed(),
        events: report.events,
        head: report.head,
        checks,
        first_bad: report.first_bad.clone(),
    };
    let mut document =
        Document::of(&body).records::<CheckLine>("checks").table(["result", "check", "detail"], rows).line("").line(
            format!(
                "{} events read; {passed} checks passed, {failed} failed, {not_made} not made",
                grouped(report.events)
            ),
        );
    if let Some(head) = &report.head {
        document = document.line(format!("log {} at position {}, root {}", head.log, head.position, head.root));
    }
    document.print(context.output)
}

/// The first bad place as an error, so that a script sees it on stderr and in the exit code too.
fn verdict(report: &VerifyReport, context: &Context) -> CliError {
    let Some(bad) = &report.first_bad else {
        return CliError::integrity("wox::verify::not-made", "a check could not be made, so nothing is proven")
            .at("store", context.store.display())
            .next("free the cause that the check names, then run wox verify again");
    };
    let mut error =
        CliError::of(ErrorKind::Integrity, "wox::verify::bad", format!("the store is damaged: {}", bad.what))
            .at("file", bad.file.display());
    if let Some(offset) = bad.offset {
        error = error.at("offset", offset);
    }
    error = match (bad.position, bad.last_position) {
        (Some(first), Some(last)) if last != first => error.at("position", format!("{first} to {last}")),
        (Some(position), _) => error.at("position", position),
        (None, _) => error,
    };
    if let Some(stream) = &bad.stream {
        error = error.at("stream", stream);
    }
    error
        .next("keep a copy of the directory as it is")
        .next("restore it from a backup, or import an export into a new store")
}
