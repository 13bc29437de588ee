//! What our addresses hold against what the ledger owes (R14), at one block.

use std::collections::BTreeSet;

use wox_events::{
    Amount, TxHash,
    chain::{HoldingsAnswer, TransactionAnswer},
    id::Label,
};

use super::{Adjusted, Chain, Look, judge::transaction_key};
use crate::{
    due::Due,
    ledger::Drift,
    projection::EventRef,
    state::State,
    verdict::holdings::{self, HoldingsVerdict},
};

impl Chain {
    /// What our addresses hold of a token together, by the newest look at it.
    #[must_use]
    pub fn holdings_verdict(&self, look: &Look<HoldingsAnswer>) -> HoldingsVerdict {
        match self.policy(look.chain) {
            Some(policy) => holdings::verdict(policy, look.at, look.number, &look.answers),
            None => HoldingsVerdict::Unknown { why: format!("no rules are declared for chain {}", look.chain) },
        }
    }

    /// The first look at which what we hold of a token was not what the ledger owed, while it is not.
    #[must_use]
    pub fn differs_since(&self, look: &Look<HoldingsAnswer>) -> Option<&EventRef> {
        self.differs_since.get(&holdings_key(look))
    }

    /// Tokens of unknown origin that are kept in suspense, in the order they were put there.
    #[must_use]
    pub fn adjustments(&self) -> &[Adjusted] {
        &self.adjustments
    }

    /// All tokens of unknown origin that are kept in suspense.
    #[must_use]
    pub fn adjusted(&self) -> Amount {
        self.adjusted
    }

    /// Notes since when what is held of a token is not what the ledger owes: since the look that shows it first. `differed`
    /// is what the look before it comes to now: what an event has explained since is over.
    pub(crate) fn note_difference(&mut self, look: &Look<HoldingsAnswer>, differed: bool, differs: bool) {
        let key = holdings_key(look);
        if !differs {
            self.differs_since.shift_remove(&key);
        } else if !differed || !self.differs_since.contains_key(&key) {
            self.differs_since.insert(key, look.event.clone());
        }
    }

    /// The last difference recorded between ledger and chain for a token.
    #[must_use]
    pub fn drift(&self, token: &Label) -> Option<&EventRef> {
        self.drifts.get(token.as_str())
    }
}

/// A final movement of our token into or out of our addresses that was looked at and that no event of the game names.
#[derive(Debug)]
pub struct Unnamed<'a> {
    /// The transaction.
    pub tx: &'a Label,
    /// Its block.
    pub block: u64,
    /// In (+) or out (-).
    pub change: Drift,
}

/// What must be there of a token on chain at the block of a look: what is owed in all, less what every other token of the
/// rules shows at that block, because the ledger has one kind of Galleons. `None` where another was not looked at there.
#[must_use]
pub fn owed_of(state: &State, look: &Look<HoldingsAnswer>, block: u64) -> Option<Amount> {
    let policy = state.chain.policy(look.chain)?;
    let others = policy.tokens.iter().filter(|token| **token != look.subject);
    let held = others.map(|token| {
        let known = state.chain.holdings().find(|known| known.chain == look.chain && known.subject == *token)?;
        match state.chain.holdings_verdict(known) {
            HoldingsVerdict::Held { block: at, total } if at.number == block => Some(total),
            _ => None,
        }
    });
    let held = Amount::checked_sum(held.collect::<Option<Vec<_>>>()?)?;
    // More in the others than is owed in all: nothing is owed of this one.
    Some(owed(state, block)?.saturating_sub(held))
}

/// What must be there on chain at a block by the facts up to it: what came in less what went out. Bonus is granted by the
/// game and was never a token. `None` when the sums leave their range, or when money was taken over from the game's tables:
/// which part of it was ever a token they do not say.
#[must_use]
pub fn owed(state: &State, block: u64) -> Option<Amount> {
    if state.imported().iter().any(|taken_over| !taken_over.is_zero()) {
        return None;
    }
    let came = [state.deposits.confirmed(), state.pool.contributed, state.chain.adjusted()];
    let came = Amount::checked_sum(came)?;
    // What came in behind the block is in the ledger and was not there yet.
    let later = state
        .deposits
        .iter()
        .filter(|(_, deposit)| deposit.is_booked())
        .filter(|(_, deposit)| deposit.block.as_ref().is_some_and(|seen| seen.number > block));
    let later = Amount::checked_sum(later.filter_map(|(_, deposit)| deposit.value))?;
    // What went out behind the block is out of the ledger and was still there.
    let went = Amount::checked_sum([state.withdrawals.settled(), state.burns.settled()])?;
    let went = went.checked_sub(Amount::checked_sum(paid_behind(state, block))?)?;
    came.checked_sub(later)?.checked_sub(went)
}

/// What our wallets paid behind a block, as far as the blocks of the payments are known.
fn paid_behind(state: &State, block: u64) -> impl Iterator<Item = Amount> {
    let withdrawals = state.withdrawals.iter().filter_map(|(id, withdrawal)| {
        let due = Due::withdrawal(id.as_str(), withdrawal)?;
        let mined = withdrawal.mined.as_ref().filter(|(tx, _)| Some(tx) == due.settled_by);
        Some((due, mined.and(withdrawal.mined_in)))
    });
    let burns = state.burns.iter().filter_map(|(id, burn)| Some((Due::burn(id.as_str(), burn)?, None)));
    withdrawals.chain(burns).filter_map(move |(due, mined_in)| {
        // What a quorum shows final counts before what the game saw, which may have moved to another block since.
        let paid_in = state.chain.final_block(&due, due.settled_by?).or(mined_in)?;
        due.amount.filter(|_| paid_in > block)
    })
}

/// Every such movement of a token up to a block, in the order they were first looked at.
#[must_use]
pub fn unnamed<'a>(state: &'a State, token: &Label, block: u64) -> Vec<Unnamed<'a>> {
    let asked = state.withdrawals.iter().flat_map(|(_, withdrawal)| &withdrawal.asked);
    let slots = state.withdrawals.iter().flat_map(|(_, withdrawal)| &withdrawal.slots);
    let slots = slots.chain(state.burns.iter().flat_map(|(_, burn)| &burn.slots));
    let known: BTreeSet<&str> = slots.flat_map(|slot| &slot.attempts).chain(asked).map(TxHash::as_str).collect();
    let deposits = state.deposits.by_transaction();
    let looks = state.chain.transactions().filter(|look| !known.contains(look.subject.as_str()));
    let of = |look: &'a Look<TransactionAnswer>| {
        let policy = state.chain.policy(look.chain)?;
        let (at, transfers) = state.chain.moved(policy, look).filter(|(at, _)| at.number <= block)?;
        let named = deposits.contains_key(transaction_key(look).as_str());
        let ours = |address: &Label| policy.watched.contains(address) || policy.wallets.contains(address);
        let change = transfers.iter().filter(|moved| moved.token == *token).fold(Drift::default(), |sum, moved| {
            let size = Drift::between(moved.value, Amount::ZERO);
            // What came to a watched address of a transaction with deposits is theirs to say.
            match (ours(&moved.from), ours(&moved.to)) {
                (false, true) if named && policy.watched.contains(&moved.to) => sum,
                (false, true) => sum.saturating_add(size),
                (true, false) => sum.saturating_add(Drift(-size.0)),
                (true, true) | (false, false) => sum,
            }
        });
        (!change.is_zero()).then_some(Unnamed { tx: &look.subject, block: at.number, change })
    };
    looks.filter_map(of).collect()
}

/// Whether our addresses hold another sum than the ledger owes, by one look; `None` where nobody can say.
#[must_use]
pub fn differs(state: &State, look: &Look<HoldingsAnswer>) -> Option<bool> {
    match state.chain.holdings_verdict(look) {
        HoldingsVerdict::Held { block, total } => Some(owed_of(state, look, block.number)? != total),
        HoldingsVerdict::Unknown { .. } => None,
    }
}

fn holdings_key(look: &Look<HoldingsAnswer>) -> String {
    format!("{}:{}", look.chain, look.subject)
}
