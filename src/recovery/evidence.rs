//! What a recovery was decided on. Everything the pure half needs arrives here as a value: there is no port in reach.

use std::sync::OnceLock;

use wox_events::{Digest, LogId, Position, Timestamp};
use wox_projections::Replay;

use super::standstill::{Standstill, standstill};

/// The log as it was read: folded up to one position.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Which log.
    pub log: LogId,
    /// Where the log stood when it was read.
    pub head: Position,
    /// Up to where it was folded.
    pub as_of: Position,
    /// The Merkle root at `as_of`.
    pub root: Digest,
    /// The folds, their refusals and their account.
    pub replay: Replay,
    /// What could not be read: the log is damaged from here on.
    pub damage: Option<Damage>,
    /// The clock of the machine that looks, where the game's is ahead of it: no time counts that has not passed there.
    pub clock: Option<Timestamp>,
    /// Why no money moves, once somebody asked: every payment is looked at for it.
    standstill: OnceLock<Option<Standstill>>,
}

/// Where the log stops being readable.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Damage {
    /// The first position that cannot be trusted.
    pub from: Position,
    /// What the reader said.
    pub what: String,
}

impl Evidence {
    /// What a replay of a log up to `replay.position` found.
    #[must_use]
    pub fn new(log: LogId, head: Position, root: Digest, replay: Replay, damage: Option<Damage>) -> Evidence {
        Evidence { log, head, as_of: replay.position, root, replay, damage, clock: None, standstill: OnceLock::new() }
    }

    /// Why no money moves, where it does not (D10).
    #[must_use]
    pub fn standstill(&self) -> Option<&Standstill> {
        self.standstill.get_or_init(|| standstill(self)).as_ref()
    }

    /// The game's clock at the end of the evidence: the time of the last event that the game or the world produced.
    /// Silence after it counts for nobody, because silence cannot be told from an outage.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.unwrap_or(self.replay.game_clock)
    }

    /// The same seen at a moment: a game's clock that is ahead of it rests on an event whose time is wrong, or this
    /// machine's clock is. Either way nothing is decided by time that may not have passed.
    #[must_use]
    pub fn seen_at(self, machine: Timestamp) -> Evidence {
        let clock = (machine < self.replay.game_clock).then_some(machine);
        Evidence { clock, ..self }
    }
}
