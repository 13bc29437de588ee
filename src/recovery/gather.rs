//! Fills evidence from a log: head first, then the waivers, then one replay up to that head. The other order could show
//! an event newer than the head. A log that cannot be read on is not an error here but damage in the evidence: the
//! state before it is exactly what a person needs to see.

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{Event, OpsEvent, Position, StreamId};
use wox_projections::{Replay, Waiver, Waivers};

use super::evidence::{Damage, Evidence};
use crate::{
    log::{EventLog, ReadError},
    replay::{Progress, ReplayStopped, replay},
};

/// Why nothing could be gathered at all.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The log could not be looked at: free the cause and try again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Asked for a position that does not exist.
    #[error("position {asked} is beyond the end of the log; positions 0 to {head} exist")]
    Beyond {
        /// The position asked for.
        asked: Position,
        /// The last one there is.
        head: Position,
    },
    /// Somebody asked the replay to stop.
    #[error("interrupted behind position {}", at.position)]
    Interrupted {
        /// The state so far.
        at: Box<Replay>,
    },
}

/// Gathers evidence up to the head of the log.
pub async fn gather(
    log: &dyn EventLog,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Evidence, GatherError> {
    let head = log.head().await?.position;
    gather_upto(log, head, None, threads, progress).await
}

/// Gathers evidence up to a position, from a snapshot where one is given.
pub async fn gather_upto(
    log: &dyn EventLog,
    as_of: Position,
    snapshot: Option<Replay>,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Evidence, GatherError> {
    let head = log.head().await?;
    if as_of > head.position {
        return Err(GatherError::Beyond { asked: as_of, head: head.position });
    }
    let waivers = waivers(log, as_of).await?;
    let base = match snapshot.and_then(|snapshot| snapshot.under(&waivers)) {
        Some(snapshot) if snapshot.position <= as_of => snapshot,
        _ => Replay::new(waivers),
    };
    let (replay, damage) = match replay(log, base, as_of, threads, progress).await {
        Ok(replay) => (replay, None),
        Err(ReplayStopped::Read { source: source @ ReadError::Unavailable { .. }, .. }) => return Err(source.into()),
        Err(ReplayStopped::Interrupted { at }) => return Err(GatherError::Interrupted { at }),
        Err(ReplayStopped::Read { at, source }) => damaged(*at, source.to_string()),
        Err(ReplayStopped::Order { at, source }) => damaged(*at, source.to_string()),
        Err(ReplayStopped::Incomplete { at, until }) => {
            damaged(*at, format!("the reader ended before position {until}"))
        }
    };
    let account = replay.accounting;
    tracing::debug!(
        position = replay.position.0,
        applied = account.applied,
        refused = account.refused,
        waived = account.waived,
        damaged = damage.is_some(),
        "evidence gathered",
    );
    let root = match &damage {
        None if as_of == head.position => head.root,
        None => log.root_at(as_of).await?,
        // Of what could be read, where that can be told: roots of sealed pages stand beside what is damaged.
        Some(_) => log.root_at(replay.position).await.unwrap_or(head.root),
    };
    Ok(Evidence::new(head.log, head.position, root, replay, damage))
}

fn damaged(replay: Replay, what: String) -> (Replay, Option<Damage>) {
    let from = Position(replay.position.0 + 1);
    (replay, Some(Damage { from, what }))
}

/// The decisions to leave events out that were taken up to a position. They stand behind the events they are about, so
/// they are read before the replay.
pub async fn waivers(log: &dyn EventLog, as_of: Position) -> Result<Waivers, ReadError> {
    let control = StreamId::new("ops-control").expect("a fixed stream name");
    let decisions = log.read_stream(&control).await?;
    let upto = decisions.iter().filter(|decision| decision.position <= as_of);
    Ok(upto
        .filter_map(|decision| match decision.decode().event {
            Ok(Event::Ops(OpsEvent::EventWaived { position, event, .. })) => Some(Waiver { position, event }),
            _ => None,
        })
        .collect())
}
