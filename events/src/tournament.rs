//! Tournaments: entries, bracket, matches, prizes (streams `tournament-<id>`; rows R10, R11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, Digest, DuelId, EventId, PlayerId, Split, Timestamp,
    id::{Label, Name},
};

/// Tournaments: entries, bracket, matches, prizes (streams `tournament-<id>`; rows R10, R11).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum TournamentEvent {
    /// Registration opened.
    TournamentOpened {
        /// Single elimination or round robin.
        format: Format,
        /// The name people know, e.g. `daily` or `house-cup`.
        title: Name,
        /// What a place costs; zero when free.
        entry_fee: Amount,
        /// Fewer than this and it does not start.
        players_min: u16,
        /// The most it takes.
        players_max: u16,
        /// When it starts.
        starts_at: Timestamp,
    },
    /// A player took a place; the fee is held for this tournament.
    PlayerRegistered {
        /// Who.
        player: PlayerId,
        /// What was taken from which balance.
        entry: Split,
    },
    /// A player left: before the draw the entry goes back, after it the opponents advance.
    PlayerUnregistered {
        /// Who.
        player: PlayerId,
    },
    /// An entry went back in the split it was paid in.
    EntryRefunded {
        /// Who.
        player: PlayerId,
        /// What went back to which balance.
        entry: Split,
        /// The PlayerRegistered this undoes.
        corrects: EventId,
    },
    /// The draw; the held entries became part of the prize pool.
    TournamentSeeded {
        /// The players in the order of the draw.
        seeds: Vec<PlayerId>,
    },
    /// The pairings of one round, as the game stated them.
    RoundOpened {
        /// From 1.
        round: u8,
        /// In slot order.
        matches: Vec<Pairing>,
    },
    /// A match was won.
    MatchDecided {
        /// Of which round.
        round: u8,
        /// Of which place in the round, from 0.
        slot: u16,
        /// Who goes on.
        winner: PlayerId,
        /// Who does not; nobody for a bye.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loser: Option<PlayerId>,
        /// How.
        reason: MatchEnd,
        /// The duel it was played as.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duel: Option<DuelId>,
    },
    /// An earlier result was wrong; this one stands (row R10).
    MatchResultCorrected {
        /// Of which round.
        round: u8,
        /// Of which place in the round.
        slot: u16,
        /// Who goes on.
        winner: PlayerId,
        /// Who does not.
        loser: PlayerId,
        /// The result it replaces.
        supersedes: EventId,
    },
    /// A match was played by the wrong people and counts for nobody.
    MatchVoided {
        /// Of which round.
        round: u8,
        /// Of which place in the round.
        slot: u16,
        /// The result it takes away.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// A voided match is to be played again by the right people.
    MatchReplayOrdered {
        /// Of which round.
        round: u8,
        /// Of which place in the round.
        slot: u16,
        /// The one side.
        first: PlayerId,
        /// The other.
        second: PlayerId,
    },
    /// The pairings of a round as they follow from the matches before it (row R10).
    BracketRebuilt {
        /// Of which round.
        round: u8,
        /// In slot order.
        matches: Vec<Pairing>,
        /// Of the pairings.
        digest: Digest,
        /// The RoundOpened it replaces.
        corrects: EventId,
    },
    /// Who gets what, frozen before the first payment (row R11, P11).
    PrizeScheduleFixed {
        /// The prize pool when it was frozen.
        pool_at: Amount,
        /// All prizes together.
        total: Amount,
        /// One entry a prize.
        prizes: Vec<Prize>,
    },
    /// The results that a schedule stood on were wrong; the next one has the same amounts (row R10, P11).
    PrizeScheduleWithdrawn {
        /// The PrizeScheduleFixed it takes away.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// A prize went from the pool to a player, as withdrawable Galleons.
    PrizePaid {
        /// Which prize.
        prize: PrizeKind,
        /// Who was paid.
        player: PlayerId,
        /// How much.
        amount: Amount,
    },
    /// The pool did not hold enough; the prize is owed (mission.md G6).
    PrizeDeferred {
        /// Which prize.
        prize: PrizeKind,
        /// Who is owed.
        player: PlayerId,
        /// How much.
        amount: Amount,
        /// Why.
        reason: Label,
    },
    /// A wrong payment went back into the pool.
    PrizeReversed {
        /// Who had been paid.
        player: PlayerId,
        /// How much.
        amount: Amount,
        /// The PrizePaid it undoes.
        corrects: EventId,
    },
    /// The game says it is over.
    TournamentClosed {
        /// Who won.
        winner: PlayerId,
    },
    /// It was not over: a match that decides it is to be played again (row R10).
    TournamentReopened {
        /// The TournamentClosed it takes away.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// It did not take place.
    TournamentCancelled {
        /// Why.
        reason: Label,
    },
}

/// How winners are found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// Who loses is out; byes in round 1.
    SingleElimination,
    /// Everybody meets everybody.
    RoundRobin,
}

/// How a match was decided.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MatchEnd {
    /// By a duel.
    Played,
    /// There was nobody to play.
    Bye,
    /// A side gave up.
    Forfeit,
    /// A side stayed away longer than its grace.
    Disconnected,
}

/// A prize of a tournament.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PrizeKind {
    /// 50 %.
    First,
    /// 30 %.
    Second,
    /// 10 %, to a semifinal loser.
    Third,
    /// 10 %, to the other semifinal loser.
    Fourth,
}

/// Two players who are to meet; one of them may be missing (a bye).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// The one side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<PlayerId>,
    /// The other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<PlayerId>,
}

/// One line of a prize schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prize {
    /// Which prize.
    pub prize: PrizeKind,
    /// Who gets it.
    pub player: PlayerId,
    /// How much.
    pub amount: Amount,
}
