//! Duels: challenge, stakes, turns, end, and what recovery may add (streams `duel-<id>`; rows R08, R09, E2, E3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, Bucket, Digest, Duration, EventId, PlayerId, Split, Timestamp, TournamentId,
    id::{Label, Name},
};

/// Duels: challenge, stakes, turns, end, and what recovery may add (streams `duel-<id>`; rows R08, R09, E2, E3).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum DuelEvent {
    /// One wizard challenged another.
    ChallengeIssued {
        /// Who asked.
        challenger: PlayerId,
        /// Who was asked.
        opponent: PlayerId,
        /// Each side's stake; zero in a tournament.
        bet: Amount,
        /// Five minutes after the challenge under today's rules.
        expires_at: Timestamp,
        /// The tournament this duel is a match of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tournament: Option<TournamentId>,
    },
    /// A side's stake moved from its balances into the duel's escrow.
    StakeHeld {
        /// Whose stake.
        player: PlayerId,
        /// Exactly what was taken from which balance.
        stake: Split,
    },
    /// The duel began.
    ChallengeAccepted {
        /// Drawn by the game, recorded here.
        first_turn: PlayerId,
        /// Hit points at the start.
        challenger_hp: u32,
        /// Hit points at the start.
        opponent_hp: u32,
    },
    /// The opponent said no.
    ChallengeDeclined {},
    /// Nobody accepted in time (row E2).
    ChallengeExpired {},
    /// A turn: a spell and everything that came of it.
    SpellCast {
        /// The number of the turn, from 1.
        turn: u32,
        /// Who cast.
        player: PlayerId,
        /// The spell.
        spell: Name,
        /// Whether it hit, as drawn by the game.
        hit: bool,
        /// Whether it was critical, as drawn.
        critical: bool,
        /// Hit points taken from the other side, as drawn.
        damage: u32,
        /// Hit points afterwards.
        challenger_hp: u32,
        /// Hit points afterwards.
        opponent_hp: u32,
        /// Status effects that came of it.
        effects: Vec<Effect>,
        /// The post on X that asked for it.
        post: Label,
    },
    /// A turn: the one potion of a duel.
    PotionUsed {
        /// The number of the turn.
        turn: u32,
        /// Who drank.
        player: PlayerId,
        /// The potion.
        potion: Name,
        /// Hit points afterwards.
        challenger_hp: u32,
        /// Hit points afterwards.
        opponent_hp: u32,
        /// The post on X that asked for it.
        post: Label,
    },
    /// Thirty seconds went by; three of these lose the duel.
    TurnMissed {
        /// The number of the turn.
        turn: u32,
        /// Who missed it.
        player: PlayerId,
        /// How many turns this side has missed by now.
        missed: u8,
    },
    /// The duel was decided.
    DuelEnded {
        /// Who won.
        winner: PlayerId,
        /// Who lost.
        loser: PlayerId,
        /// How.
        reason: EndReason,
    },
    /// The winner was paid both stakes as withdrawable Galleons.
    DuelSettled {
        /// Who was paid.
        winner: PlayerId,
        /// How much left the escrow.
        amount: Amount,
    },
    /// A stake went back from escrow to its player, in the recorded split.
    StakeReleased {
        /// Whose stake.
        player: PlayerId,
        /// What went back to which balance.
        stake: Split,
        /// The StakeHeld this undoes.
        corrects: EventId,
    },
    /// The duel counts for nobody.
    DuelVoided {
        /// Why.
        reason: Label,
    },
    /// The game stopped in the middle of this duel (row R08).
    DuelInterrupted {
        /// The last turn before the stop.
        at_turn: u32,
        /// Since when the game was away.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// The clocks of this duel stood still for a while.
    TimersExtended {
        /// How long, in microseconds.
        by: Duration,
    },
    /// The duel goes on from where it stopped.
    DuelResumed {
        /// The turn that is next.
        from_turn: u32,
        /// Whose turn it is.
        player: PlayerId,
    },
    /// What was posted for this duel while the game was away, in the order of the posts: the game decides each again, in
    /// exactly this order (rows R08, R23). The engine rolls no dice.
    LatePostsOrdered {
        /// The event that began the outage.
        outage: EventId,
        /// The posts, by ascending id.
        posts: Vec<LatePost>,
    },
    /// Nobody moved for longer than the timeout while the game was up (row R09).
    DuelStuckDetected {
        /// When somebody last moved.
        last_action: Timestamp,
        /// For at least how long nobody did, outages not counted, in microseconds.
        idle: Duration,
    },
    /// An amount that came back into the wrong balance was moved to the right one (row E3).
    BucketCorrected {
        /// Whose balances.
        player: PlayerId,
        /// The balance it was wrongly given to.
        from: Bucket,
        /// The balance it came from.
        to: Bucket,
        /// How much.
        amount: Amount,
        /// The StakeReleased that crossed the balances.
        corrects: EventId,
    },
    /// A duel taken over from the game's tables, unproven (row E5). What a running one holds in escrow is its opening
    /// entry; from which balances it came no table says.
    DuelImported {
        /// Who asked.
        challenger: PlayerId,
        /// Who was asked.
        opponent: PlayerId,
        /// Each side's stake.
        bet: Amount,
        /// Where it stands in the table.
        standing: ImportedDuel,
        /// Whose turn it is, while it runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<PlayerId>,
        /// Hit points of the challenger, where the table's can be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        challenger_hp: Option<u32>,
        /// Hit points of the opponent, where the table's can be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opponent_hp: Option<u32>,
        /// The challenger's last spells, oldest first, where the log can hold them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        challenger_spells: Option<Vec<Name>>,
        /// The opponent's last spells, oldest first, where the log can hold them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opponent_spells: Option<Vec<Name>>,
        /// What each side has in escrow; none once the duel is over. The split is **assumed**: the whole stake from the
        /// bonus balance, which is taken first and never becomes withdrawable by an assumption.
        stakes: Vec<ImportedStake>,
        /// When the table says it began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
        /// The digest of the imported rows.
        table_digest: Digest,
    },
}

/// Where an imported duel stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportedDuel {
    /// Being fought.
    Active,
    /// Over and paid.
    ChallengerWon,
    /// Over and paid.
    OpponentWon,
    /// Counts for nobody.
    Cancelled,
}

/// A stake in the escrow of an imported duel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedStake {
    /// Whose.
    pub player: PlayerId,
    /// How much, and the split that is assumed.
    pub assumed: Split,
}

/// How a duel was decided.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EndReason {
    /// A side had no hit points left.
    Knockout,
    /// A side gave up.
    Forfeit,
    /// A side missed three turns.
    MissedTurns,
    /// A side stayed away longer than its grace.
    Disconnected,
}

/// A command that was posted while the game was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatePost {
    /// The post's id.
    pub post: Label,
    /// Who posted it.
    pub player: PlayerId,
    /// What it asks for: `cast`, `use`, `accept` …
    pub verb: Label,
}

/// A status effect on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// Who carries it.
    pub player: PlayerId,
    /// `burn`, `stun` or `shield`.
    pub effect: Label,
    /// For how many turns.
    pub turns: u8,
}
