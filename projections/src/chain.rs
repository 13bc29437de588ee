//! The newest that was seen of the chain, by subject, and the rules it is judged by. Keeps evidence, not verdicts:
//! those are computed from it (`verdict`), so a better table judges old evidence anew. Of a look that is beyond change it
//! keeps what a verdict can need and no source's answer: those stand in the log, and would fill the memory.
//!
//! This file says what is kept. `fold` takes events in; `judge` says what looks come to, and whether they bear out what a
//! recovery does; `scans` what is known of all that a wallet sent; `custody` what we hold against what is owed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wox_events::{
    Actor, Amount, Event, PlayerId, Position, StreamId, Timestamp, TxHash, WithdrawalId,
    chain::{BlockId, HoldingsAnswer, SlotAnswer, TransactionAnswer},
    id::Label,
};

use crate::{
    Table,
    outgoing::Register,
    projection::EventRef,
    verdict::{
        deposit,
        quorum::{Policy, Transfer},
        withdrawal,
    },
};

mod custody;
mod fold;
mod judge;
mod scans;

pub use custody::{Unnamed, differs, owed, owed_of, unnamed};
pub use judge::{Judged, before, judged};
use scans::Counted;
pub use scans::Scan;

/// What is known of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The rules, by chain id.
    policies: BTreeMap<u64, Policy>,
    /// Where they were declared: what was closed under other rules has to be looked at again.
    declared: BTreeMap<u64, Position>,
    /// The rules that somebody changed and nobody else has agreed to, by chain id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    changed: BTreeMap<u64, ChangedRules>,
    /// Since where the signer journals here without a break: of what was asked for before, silence proves nothing.
    journaled_since: BTreeMap<u64, (Position, Timestamp)>,
    /// Where each token was taken out of the rules; nothing while it counts. What was to be paid before was to be paid in it.
    tokens: BTreeMap<Label, Option<Position>>,
    /// The newest look at each transaction, by the subject of its stream.
    transactions: Table<String, Look<TransactionAnswer>>,
    /// The newest look at each slot, by the subject of its stream.
    slots: Table<String, Look<SlotAnswer>>,
    /// The newest scan of each wallet, by the subject of its stream.
    scans: Table<String, Scan>,
    /// How often each wallet had sent up to a final block, and where a scan showed it, by the subject of its stream.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    counts: Table<String, Vec<Counted>>,
    /// What left our wallets, by all looks.
    outgoing: Register,
    /// The newest look at what is held, by chain id and token.
    holdings: Table<String, Look<HoldingsAnswer>>,
    /// What the bank's bot confirmed, by transaction.
    confirmations: Table<TxHash, Confirmation>,
    /// Deposits whose final block went away, by stream.
    violations: Table<String, EventRef>,
    /// Deposits whose final block went away for good and that could not be taken back, by stream: two people know.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    lost: Table<String, EventRef>,
    /// Withdrawals that were given back and paid.
    double_payments: Table<WithdrawalId, EventRef>,
    /// Differences between ledger and chain, newest by token.
    drifts: Table<String, EventRef>,
    /// The first look of the present difference, by chain id and token.
    differs_since: Table<String, EventRef>,
    /// Tokens of unknown origin that are kept in suspense, in order.
    adjustments: Vec<Adjusted>,
    /// All of them together.
    adjusted: Amount,
}

/// Rules that one person changed: by them a liar could be believed, so another person has to agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRules {
    /// Who changed them.
    pub by: Actor,
    /// The event.
    pub event: EventRef,
    /// What two people, or the first declaration, had agreed on.
    agreed: Box<Policy>,
}

/// One look at one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look<T> {
    /// Chain id.
    pub chain: u64,
    /// The transaction, wallet or token that was looked at.
    pub subject: Label,
    /// The slot, the first slot, or the block; 0 for a transaction.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What each source said; nothing once the look is closed.
    pub answers: Vec<T>,
    /// What is kept of a look that is beyond change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// The block an earlier look saw a transaction in, until it is known to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<BlockId>,
    /// Its sender and slot, once any look learned them: what is gone can only be found by its slot (D7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<(Label, u64)>,
    /// The event.
    pub event: EventRef,
}

/// What is kept of a look that is beyond change, under the rules declared at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Where the rules were declared.
    under: Position,
    /// What it comes to.
    kept: Kept,
}

/// What a verdict can need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Transaction(Box<deposit::Closed>),
    Slot(withdrawal::Taken),
}

/// Tokens of unknown origin that are kept in suspense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// The token.
    pub token: Label,
    /// How much.
    pub amount: Amount,
    /// The event.
    pub event: EventRef,
}

/// A transfer that the bank's bot confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The player who had asked for it.
    pub player: PlayerId,
    /// The bot's post.
    pub post: Label,
    /// The first post for each other player that was named too: the bank contradicts itself, and is no word for anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Contradiction>,
}

/// A post of the bank's bot that names another player than the first did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// The player it names.
    pub player: PlayerId,
    /// The bot's post.
    pub post: Label,
    /// The event.
    pub event: EventRef,
}

impl Chain {
    /// The rules of a chain, once declared.
    #[must_use]
    pub fn policy(&self, chain: u64) -> Option<&Policy> {
        self.policies.get(&chain)
    }

    /// The rules of a chain that one person changed and nobody else has agreed to.
    pub fn changed_rules(&self) -> impl Iterator<Item = (u64, &ChangedRules)> {
        self.changed.iter().map(|(chain, changed)| (*chain, changed))
    }

    /// Every chain with rules.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// The newest looks at transactions, in the order they were first looked at.
    pub fn transactions(&self) -> impl Iterator<Item = &Look<TransactionAnswer>> {
        self.transactions.values()
    }

    /// The newest look at a transaction.
    #[must_use]
    pub fn transaction(&self, chain: u64, tx: &TxHash) -> Option<&Look<TransactionAnswer>> {
        self.transactions.get(&format!("{chain}:tx:{tx}"))
    }

    /// The newest scans of all that a wallet sent, in the order of the first ones.
    pub fn scans(&self) -> impl Iterator<Item = &Scan> {
        self.scans.values()
    }

    /// What left our wallets, by all looks.
    #[must_use]
    pub fn outgoing(&self) -> &Register {
        &self.outgoing
    }

    /// Whether an address was ever declared as one of ours, or named as a wallet that pays for us: what one of these sent
    /// another came from nobody.
    #[must_use]
    pub fn is_ours(&self, address: &Label) -> bool {
        self.outgoing.is_ours(address)
    }

    /// The look that shows a transaction final, with what it moved out of an address of ours; `None` where none does.
    #[must_use]
    pub fn moved_by_us(&self, tx: &TxHash) -> Option<(&Look<TransactionAnswer>, Vec<Transfer>)> {
        let of = |policy: &Policy| {
            let look = self.transaction(policy.chain, tx)?;
            let (_, mut moved) = self.moved(policy, look)?;
            moved.retain(|one| self.is_ours(&one.from));
            (!moved.is_empty()).then_some((look, moved))
        };
        self.policies.values().find_map(of)
    }

    /// Notes which withdrawal or burn an event says a transaction pays.
    pub(crate) fn note_named(&mut self, stream: &StreamId, event: &Event) {
        let new = self.outgoing.name(stream, event);
        self.look_back(new.as_slice());
    }

    /// The newest looks at what our addresses hold, a token each.
    pub fn holdings(&self) -> impl Iterator<Item = &Look<HoldingsAnswer>> {
        self.holdings.values()
    }

    /// Every transaction that the bank's bot confirmed.
    pub fn confirmations(&self) -> impl Iterator<Item = (&TxHash, &Confirmation)> {
        self.confirmations.iter()
    }

    /// The first final block that went away, if one ever did: from then on money stands still until two people decide.
    #[must_use]
    pub fn first_violation(&self) -> Option<&EventRef> {
        self.violations.values().min_by_key(|event| event.position)
    }

    /// The newest look at a slot.
    #[must_use]
    pub fn slot(&self, chain: u64, wallet: &Label, nonce: u64) -> Option<&Look<SlotAnswer>> {
        self.slots.get(&format!("{chain}:slot:{wallet}:{nonce}"))
    }

    /// What the bank's bot confirmed of a transaction.
    #[must_use]
    pub fn confirmation(&self, tx: &TxHash) -> Option<&Confirmation> {
        self.confirmations.get(tx)
    }

    /// True once the alarm of a double payment is recorded.
    #[must_use]
    pub fn is_double_payment_known(&self, withdrawal: &WithdrawalId) -> bool {
        self.double_payments.contains_key(withdrawal)
    }

    /// The alarm about a deposit's stream, until two people have decided.
    #[must_use]
    pub fn violation(&self, deposit: &str) -> Option<&EventRef> {
        self.violations.get(deposit)
    }

    /// The decision of two people that a deposit's final block went away for good.
    #[must_use]
    pub fn lost(&self, deposit: &str) -> Option<&EventRef> {
        self.lost.get(deposit)
    }

    /// True once the alarm of a finality violation is recorded for a deposit's stream.
    #[must_use]
    pub fn is_violation_known(&self, deposit: &str) -> bool {
        self.violations.contains_key(deposit)
    }
}
