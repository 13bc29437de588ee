//! `wox digest`: one number for the whole state, the same on every machine, for every number of threads.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, LogId, Position};
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

/// The digest of a state and what it is a digest of.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DigestReport {
    /// Of the whole state.
    state: Digest,
    /// Of each projection.
    projections: Vec<ProjectionDigest>,
    /// The log.
    log: LogId,
    /// The last event that was folded.
    position: Position,
    /// The Merkle root there.
    root: Digest,
    /// The code that folded.
    folds: &'static str,
    /// Events read: the sum of the next three.
    read: u64,
    /// Events folded.
    applied: u64,
    /// Events refused.
    refused: u64,
    /// Events left out by name.
    waived: u64,
}

/// One projection.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectionDigest {
    /// Its name.
    projection: &'static str,
    /// The digest of its state.
    digest: Digest,
}

impl ProjectionDigest {
    /// All of them.
    pub(super) fn list(digests: &[(&'static str, Digest)]) -> Vec<ProjectionDigest> {
        digests.iter().map(|(projection, digest)| ProjectionDigest { projection, digest: *digest }).collect()
    }

    /// As rows of a table.
    pub(super) fn table(document: Document, digests: &[(&'static str, Digest)]) -> Document {
        let rows = digests.iter().map(|(name, digest)| vec![(*name).to_owned(), digest.to_string()]);
        document.table(["projection", "digest"], rows)
    }
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
    let body = DigestReport {
        state: whole,
        projections: ProjectionDigest::list(&digests),
        log: evidence.log,
        position: evidence.as_of,
        root: evidence.root,
        folds: wox_projections::FOLD_HASH,
        read: account.read,
        applied: account.applied,
        refused: account.refused,
        waived: account.waived,
    };
    let document = Document::of(&body)
        .facts([
            ("state", whole.to_string()),
            ("log", evidence.log.to_string()),
            ("position", evidence.as_of.to_string()),
            ("root", evidence.root.to_string()),
            ("folds", wox_projections::FOLD_HASH.to_owned()),
        ])
        .line("");
    ProjectionDigest::table(document, &digests).print(context.output)?;
    evidence::damage_error(&evidence, &context).map_or(Ok(ExitCode::Done), Err)
}
