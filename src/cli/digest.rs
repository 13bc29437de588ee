//! `wox digest`: one number for the whole state, the same on every machine, for every number of threads.

use std::num::NonZeroUsize;

use serde_json::json;
use wox_projections::State;

use crate::{
    cli::{CliError, Context, as_of, evidence, progress::Progress, render::Document, store},
    exit_code::ExitCode,
};

/// Replay the log and print the digest of the state
///
/// The digest follows from the log and the folds alone: not from threads, page size, or machine.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox digest                     of everything
  wox digest --threads 8         the same digest
  wox digest --as-of 5000        of an earlier state
  wox digest --from snapshot     go on from the newest snapshot, and leave one")]
pub(super) struct DigestArgs {
    /// Threads that decode events [default: as many as the machine runs]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Where to start
    #[arg(long, value_enum, default_value = "genesis")]
    from: evidence::From,
}

pub(super) async fn run(args: DigestArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    let threads = evidence::threads(args.threads);
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather_from(args.from, &log, until, threads, &context, progress, 1).await?;
    let state = &evidence.replay.state;
    let digests = state.digests();
    let whole = State::digest_of(&digests);
    let account = evidence.replay.accounting;
    let body = json!({
        "state": whole,
        "projections": digests.iter().map(|(name, digest)| json!({"projection": name, "digest": digest})).collect::<Vec<_>>(),
        "log": evidence.log,
        "position": evidence.as_of,
        "root": evidence.root,
        "folds": wox_projections::FOLD_HASH,
        "read": account.read,
        "applied": account.applied,
        "refused": account.refused,
        "waived": account.waived,
    });
    Document::new("wox/digest/v1", &body)
        .facts([
            ("state", whole.to_string()),
            ("log", evidence.log.to_string()),
            ("position", evidence.as_of.to_string()),
            ("root", evidence.root.to_string()),
            ("folds", wox_projections::FOLD_HASH.to_owned()),
        ])
        .line("")
        .table(
            ["projection", "digest"],
            digests.iter().map(|(name, digest)| vec![(*name).to_owned(), digest.to_string()]),
        )
        .print(context.output)?;
    evidence::damage_error(&evidence, &context).map_or(Ok(ExitCode::Done), Err)
}
