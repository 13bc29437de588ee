//! One replay for the tables: the state, and what the scribe noted on the way to it.

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{Digest, LogId, Position};
use wox_projections::Replay;

use crate::{
    log::{EventLog, ReadError},
    recovery::gather::waivers,
    replay::{Progress, ReplayStopped, Watch, replay_watched},
    tables::{Scribe, origin::Seeker},
};

/// The log as the tables need it.
#[derive(Debug)]
pub struct Folded {
    /// Which log.
    pub log: LogId,
    /// Up to where.
    pub as_of: Position,
    /// The Merkle root there.
    pub root: Digest,
    /// The folds.
    pub replay: Replay,
    /// What was noted beside them.
    pub scribe: Scribe,
}

/// Why there is no state to compare with. A log that is damaged is not compared with anything.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log is not what it must be.
    #[error("the log is damaged behind position {after}: {what}")]
    Damaged {
        /// The last good position.
        after: Position,
        /// What is wrong.
        what: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted behind position {after}")]
    Interrupted {
        /// How far it came.
        after: Position,
    },
}

/// Folds the log up to a position with a scribe at its side.
pub async fn fold(
    log: &dyn EventLog,
    until: Position,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Folded, FoldError> {
    let head = log.head().await?;
    let root = if until == head.position { head.root } else { log.root_at(until).await? };
    let (scribe, replay) = watched(log, until, threads, progress, Scribe::default()).await?;
    Ok(Folded { log: head.log, as_of: until, root, replay, scribe })
}

/// Folds on to where the log stands now. A decision to leave out an event that was folded already starts from genesis.
pub async fn further(
    log: &dyn EventLog,
    folded: Folded,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Folded, FoldError> {
    further_seeking(log, folded, threads, progress, &mut None).await
}

/// As [`further`], and a seeker looks on at what is folded.
pub async fn further_seeking(
    log: &dyn EventLog,
    folded: Folded,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
    seeker: &mut Option<Seeker>,
) -> Result<Folded, FoldError> {
    let head = log.head().await?;
    if head.position == folded.as_of {
        return Ok(folded);
    }
    let waivers = waivers(log, head.position).await?;
    let (base, scribe) = match folded.replay.under(&waivers) {
        Some(base) => (base, folded.scribe),
        None => (Replay::new(waivers), Scribe::default()),
    };
    let (scribe, replay) = match seeker.take() {
        None => watched_from(log, base, head.position, threads, progress, scribe).await?,
        Some(seeking) => {
            let seeking = seeking.from(scribe);
            let (mut found, replay) = watched_from(log, base, head.position, threads, progress, seeking).await?;
            let scribe = found.take_scribe();
            *seeker = Some(found);
            (scribe, replay)
        }
    };
    Ok(Folded { log: head.log, as_of: head.position, root: head.root, replay, scribe })
}

/// Folds the log up to a position under the eyes of `watch`.
pub async fn watched<W: Watch>(
    log: &dyn EventLog,
    until: Position,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
    watch: W,
) -> Result<(W, Replay), FoldError> {
    let base = Replay::new(waivers(log, until).await?);
    watched_from(log, base, until, threads, progress, watch).await
}

async fn watched_from<W: Watch>(
    log: &dyn EventLog,
    base: Replay,
    until: Position,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
    watch: W,
) -> Result<(W, Replay), FoldError> {
    let (watch, result) = replay_watched(log, base, until, threads, progress, watch).await;
    match result {
        Ok(replay) => Ok((watch, replay)),
        Err(ReplayStopped::Read { source: source @ ReadError::Unavailable { .. }, .. }) => Err(source.into()),
        Err(ReplayStopped::Read { at, source }) => Err(damaged(&at, source.to_string())),
        Err(ReplayStopped::Order { at, source }) => Err(damaged(&at, source.to_string())),
        Err(ReplayStopped::Incomplete { at, until }) => {
            Err(damaged(&at, format!("the reader ended before position {until}")))
        }
        Err(ReplayStopped::Interrupted { at }) => Err(FoldError::Interrupted { after: at.position }),
    }
}

fn damaged(at: &Replay, what: String) -> FoldError {
    FoldError::Damaged { after: at.position, what }
}
