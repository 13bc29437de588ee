//! What a plan is about: everything, one thing, or what a person decided. Recorded with the plan, so that the plan can be
//! made again from the same evidence.

use serde::{Deserialize, Serialize};
use wox_events::{Label, PlayerId, Position, StreamId, TxHash, chain::Intent};

/// What a plan was asked to be about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Everything that is wrong.
    All,
    /// One stream only.
    Subject(StreamId),
    /// The deposits of one transaction.
    Transaction {
        /// Chain id.
        chain: u64,
        /// Its hash.
        tx: TxHash,
    },
    /// A deposit is this player's: a person's decision about money that nothing else attributes.
    Attribute {
        /// The deposit.
        deposit: StreamId,
        /// Whose it is.
        player: PlayerId,
        /// Why.
        why: String,
    },
    /// A withdrawal goes back though no proof of the chain decides it: the decision of two people (W3, W5, W6, S5).
    Release {
        /// The withdrawal.
        withdrawal: StreamId,
        /// Who proposes it.
        first: Label,
        /// Who has to approve it; nobody else can.
        second: Label,
        /// Why.
        why: String,
    },
    /// Two people decide what is true of a deposit whose final block went away (D10).
    Restore {
        /// The deposit.
        deposit: StreamId,
        /// Who proposes it.
        first: Label,
        /// Who has to approve it; nobody else can.
        second: Label,
        /// Why.
        why: String,
    },
    /// Two people say what a transfer out of our wallets paid that nothing due explains.
    Explain {
        /// Chain id.
        chain: u64,
        /// The transaction.
        tx: TxHash,
        /// Who proposes it.
        first: Label,
        /// Who has to approve it; nobody else can.
        second: Label,
        /// What it paid.
        why: String,
    },
    /// Two people dealt outside the engine with what is found about a stream and no event puts right.
    Accept {
        /// The stream.
        subject: StreamId,
        /// Who proposes it.
        first: Label,
        /// Who has to approve it; nobody else can.
        second: Label,
        /// What was done about it.
        why: String,
    },
    /// A signer is asked to act on the slots of a withdrawal or burn: a person's decision, because money can move.
    Ask {
        /// The withdrawal or burn.
        subject: StreamId,
        /// What it is to do.
        intent: Intent,
        /// Who decides.
        by: Label,
        /// Why.
        why: String,
    },
    /// Tokens that no event explains are kept in suspense, or leave it again: a person's decision (R14).
    Adjust {
        /// The token.
        token: Label,
        /// The reason code.
        reason: Label,
        /// Why.
        why: String,
    },
    /// An interrupted or stuck duel goes on, or counts for nobody: a person's decision (R08, R09).
    Interrupted {
        /// The duel.
        duel: StreamId,
        /// Which of the two.
        choice: Choice,
        /// Why.
        why: String,
    },
    /// A match was won by somebody else than the log says: a person's decision (R10).
    Correct {
        /// The tournament.
        tournament: StreamId,
        /// Of which round, from 1.
        round: u8,
        /// Of which place in the round, from 0.
        slot: u16,
        /// Who won.
        winner: PlayerId,
        /// Why.
        why: String,
    },
    /// Leave one event out by name: a person's decision (law 3).
    Waive {
        /// The event's position.
        position: Position,
        /// Why.
        why: String,
    },
}

/// What becomes of an interrupted or stuck duel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// It goes on from where it stopped.
    Resume,
    /// It counts for nobody, and both stakes go back.
    Void,
}

impl Scope {
    /// True for what a person decided about one thing: it fits or it is refused. What a signer is asked for decides
    /// nothing, and asked twice is asked once.
    #[must_use]
    pub fn is_decision(&self) -> bool {
        !matches!(self, Scope::All | Scope::Subject(_) | Scope::Transaction { .. } | Scope::Ask { .. })
    }

    /// The stream that it is about, where it is about one.
    pub(super) fn subject(&self) -> Option<&StreamId> {
        match self {
            Scope::All
            | Scope::Transaction { .. }
            | Scope::Explain { .. }
            | Scope::Adjust { .. }
            | Scope::Waive { .. } => None,
            Scope::Subject(subject)
            | Scope::Attribute { deposit: subject, .. }
            | Scope::Release { withdrawal: subject, .. }
            | Scope::Restore { deposit: subject, .. }
            | Scope::Ask { subject, .. }
            | Scope::Accept { subject, .. }
            | Scope::Interrupted { duel: subject, .. }
            | Scope::Correct { tournament: subject, .. } => Some(subject),
        }
    }

    /// True when a second person has to look at it, whether it moves money or not.
    pub(super) fn needs_approval(&self) -> bool {
        match self {
            Scope::Waive { .. }
            | Scope::Ask { .. }
            | Scope::Release { .. }
            | Scope::Restore { .. }
            | Scope::Explain { .. }
            | Scope::Accept { .. }
            | Scope::Correct { .. }
            | Scope::Interrupted { choice: Choice::Void, .. } => true,
            Scope::All
            | Scope::Subject(_)
            | Scope::Transaction { .. }
            | Scope::Attribute { .. }
            | Scope::Adjust { .. }
            | Scope::Interrupted { choice: Choice::Resume, .. } => false,
        }
    }

    /// The second person whom a decision names: nobody else can approve it.
    #[must_use]
    pub fn second(&self) -> Option<&str> {
        match self {
            Scope::Release { second, .. }
            | Scope::Restore { second, .. }
            | Scope::Explain { second, .. }
            | Scope::Accept { second, .. } => Some(second.as_str()),
            Scope::All
            | Scope::Subject(_)
            | Scope::Transaction { .. }
            | Scope::Attribute { .. }
            | Scope::Ask { .. }
            | Scope::Adjust { .. }
            | Scope::Interrupted { .. }
            | Scope::Correct { .. }
            | Scope::Waive { .. } => None,
        }
    }
}
