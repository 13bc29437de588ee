//! What the newest looks come to, and whether they bear out what a recovery does.

use wox_events::{
    DepositEvent, Digest, TxHash,
    chain::{BlockId, Intent, SlotAnswer, TransactionAnswer},
    id::Label,
};

use super::{Chain, Closed, Kept, Look};
use crate::{
    deposits::{Deposit, reference},
    due::Due,
    projection::{EventRef, Rejection},
    state::State,
    verdict::{
        deposit::{self, Before, DepositVerdict},
        quorum::{Policy, Transfer},
        withdrawal::{self, Payment, WithdrawalVerdict},
    },
};

/// Why nothing is said of a look whose answers are not kept.
const OTHER_RULES: &str = "the rules have changed since it was looked at; look again";

impl Chain {
    /// The verdict over the newest look at a transaction.
    #[must_use]
    pub fn deposit_verdict(&self, look: &Look<TransactionAnswer>, before: &Before) -> DepositVerdict {
        let Some(policy) = self.policy(look.chain) else {
            return DepositVerdict::Unknown { why: format!("no rules are declared for chain {}", look.chain) };
        };
        match &look.closed {
            None => deposit::verdict(policy, look.at, &look.answers, before),
            Some(closed) => match (self.holds(look.chain, closed), &closed.kept) {
                (true, Kept::Transaction(closed)) => closed.verdict(before),
                _ => DepositVerdict::Unknown { why: OTHER_RULES.into() },
            },
        }
    }

    /// The first source that shows a transaction in a block, with the digest of what it said.
    #[must_use]
    pub fn witness(&self, look: &Look<TransactionAnswer>, block: &BlockId) -> Option<(Label, Digest)> {
        match look.closed.as_ref().map(|closed| &closed.kept) {
            Some(Kept::Transaction(closed)) => closed.witness(),
            Some(Kept::Slot(_)) => None,
            None => deposit::witness(&look.answers, block),
        }
    }

    /// The block and the transfers of our tokens of a transaction that a quorum shows final and successful.
    pub(crate) fn moved(&self, policy: &Policy, look: &Look<TransactionAnswer>) -> Option<(BlockId, Vec<Transfer>)> {
        match &look.closed {
            None => deposit::final_transfers(policy, look.at, &look.answers),
            Some(closed) => match (self.holds(look.chain, closed), &closed.kept) {
                (true, Kept::Transaction(closed)) => closed.moved(),
                _ => None,
            },
        }
    }

    /// Whether a look was closed under the rules that count now.
    pub(super) fn holds(&self, chain: u64, closed: &Closed) -> bool {
        self.declared.get(&chain) == Some(&closed.under)
    }

    /// The verdict over the newest look at a payment's slot; `None` when nobody has looked.
    #[must_use]
    pub fn payment_verdict(&self, payment: &Payment) -> Option<(WithdrawalVerdict, &Look<SlotAnswer>)> {
        self.policies.values().find_map(|policy| {
            let look = self.slot(policy.chain, &payment.wallet, payment.nonce)?;
            let verdict = match &look.closed {
                None => withdrawal::verdict(policy, look.at, &look.answers, payment),
                Some(closed) => match (self.holds(look.chain, closed), &closed.kept) {
                    (true, Kept::Slot(taken)) => taken.verdict(policy, payment),
                    _ => WithdrawalVerdict::Unknown { why: OTHER_RULES.into() },
                },
            };
            Some((verdict, look))
        })
    }

    /// The block of the transaction that something due is booked as paid with, where a quorum shows it or its slot final.
    pub(super) fn final_block(&self, due: &Due<'_>, tx: &TxHash) -> Option<u64> {
        let moved = |policy: &Policy| Some(self.moved(policy, self.transaction(policy.chain, tx)?)?.0.number);
        let shown = |slot: &Payment| match self.payment_verdict(slot)?.0 {
            WithdrawalVerdict::Executed { tx: taken, block } | WithdrawalVerdict::Anomaly { tx: taken, block, .. }
                if taken == *tx =>
            {
                Some(block.number)
            }
            _ => None,
        };
        self.policies.values().find_map(moved).or_else(|| due.slots.iter().find_map(shown))
    }

    /// The block a transaction was last seen in, as the next look has to ask about it.
    #[must_use]
    pub fn still_seen(&self, look: &Look<TransactionAnswer>) -> Option<BlockId> {
        let before = Before { seen: look.seen.clone(), credited: false };
        match self.deposit_verdict(look, &before) {
            DepositVerdict::Pending { block, .. }
            | DepositVerdict::Confirmed { block, .. }
            | DepositVerdict::Reverted { block }
            | DepositVerdict::NotADeposit { block, .. } => Some(block),
            DepositVerdict::Reorged { .. } | DepositVerdict::Replaced { .. } => None,
            DepositVerdict::Detached
            | DepositVerdict::InPool
            | DepositVerdict::Dropped
            | DepositVerdict::FinalityViolation { .. }
            | DepositVerdict::Unknown { .. } => look.seen.clone(),
        }
    }

    /// Whether money that a recovery books for a deposit is borne out by the newest look at its transaction, where there
    /// is one: the chain may have said another thing since the plan was made.
    pub(crate) fn check_deposit(
        &self,
        id: &str,
        event: &DepositEvent,
        deposit: Option<&Deposit>,
    ) -> Result<(), Rejection> {
        let value = match event {
            DepositEvent::DepositCredited { amount, dust, .. }
            | DepositEvent::QuarantineReleased { amount, dust, .. } => amount.checked_add(*dust),
            DepositEvent::DepositDustRecorded { value } | DepositEvent::DepositQuarantined { value, .. } => {
                Some(*value)
            }
            _ => return Ok(()),
        };
        let named = match event {
            DepositEvent::DepositCredited { chain, tx, ordinal, .. } => reference(*chain, tx, *ordinal),
            _ => deposit.and_then(|deposit| deposit.reference.clone()).unwrap_or_else(|| id.to_owned()),
        };
        self.check_standing(format_args!("deposit {named}"), "confirmed")?;
        let parts: Vec<&str> = named.split(':').collect();
        let [chain, tx, ordinal] = parts.as_slice() else { return Ok(()) };
        let Some(look) = self.transactions.get(&format!("{chain}:tx:{tx}")) else { return Ok(()) };
        match self.deposit_verdict(look, &Before { seen: look.seen.clone(), credited: false }) {
            DepositVerdict::Confirmed { transfers, .. }
                if transfers.iter().any(|came| came.ordinal.to_string() == *ordinal && Some(came.value) == value) =>
            {
                Ok(())
            }
            verdict => {
                let is = format!("{}, {}", verdict.row(), verdict.says());
                Err(Rejection::state(format_args!("deposit {named}"), is, "confirmed"))
            }
        }
    }

    /// Whether a payment or burn that a recovery closes is paid by the newest looks at it, where there are any.
    pub(crate) fn check_paid(
        &self,
        what: &str,
        tx: &TxHash,
        judged: Option<(WithdrawalVerdict, Vec<EventRef>)>,
    ) -> Result<(), Rejection> {
        self.check_standing(what, "paid")?;
        match judged {
            None => Ok(()),
            Some((WithdrawalVerdict::Executed { tx: paid, .. }, _)) if paid == *tx => Ok(()),
            Some((verdict, _)) => Err(Rejection::state(
                what,
                format!("{}, {}", verdict.row(), verdict.says()),
                "paid by that transaction",
            )),
        }
    }

    /// Whether what a signer is asked for can still help, by the newest look at the slot, where there is one.
    pub(crate) fn check_intent(&self, what: &str, payment: Option<&Payment>, intent: Intent) -> Result<(), Rejection> {
        let Some((verdict, _)) = payment.and_then(|payment| self.payment_verdict(payment)) else { return Ok(()) };
        match verdict.permits(intent) {
            true => Ok(()),
            false => {
                Err(Rejection::state(what, format!("{}, {}", verdict.row(), verdict.says()), "unpaid, its slot free"))
            }
        }
    }

    /// While a final block is missing no recovery moves money (D10).
    pub(crate) fn check_standing(&self, what: impl std::fmt::Display, needs: &str) -> Result<(), Rejection> {
        match self.first_violation() {
            Some(violation) => {
                Err(Rejection::state(what, format!("stopped by the finality violation of {violation}"), needs))
            }
            None => Ok(()),
        }
    }
}

/// A transaction that was looked at, with what it is to us.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The newest look.
    pub look: &'a Look<TransactionAnswer>,
    /// Deposits of it that the log knows, by the subject of their streams.
    pub deposits: Vec<(&'a str, &'a Deposit)>,
    /// What it is.
    pub verdict: DepositVerdict,
}

/// Every transaction that was looked at and what it is to us, in the order they were first looked at.
#[must_use]
pub fn judged(state: &State) -> Vec<Judged<'_>> {
    let looks = state.chain.transactions();
    let mut known = state.deposits.by_transaction();
    let judge = |look| {
        let deposits = known.remove(transaction_key(look).as_str()).unwrap_or_default();
        let before = before(look, &deposits);
        Judged { look, deposits, verdict: state.chain.deposit_verdict(look, &before) }
    };
    looks.map(judge).collect()
}

/// What the log knew of a transaction before a look: a block that money was booked from counts before any other.
#[must_use]
pub fn before(look: &Look<TransactionAnswer>, deposits: &[(&str, &Deposit)]) -> Before {
    let booked = deposits.iter().find(|(_, deposit)| deposit.is_booked());
    let known = booked.or(deposits.first()).and_then(|(_, deposit)| deposit.block.clone());
    Before { seen: known.or_else(|| look.seen.clone()), credited: booked.is_some() }
}

pub(super) fn transaction_key(look: &Look<TransactionAnswer>) -> String {
    format!("{}:{}", look.chain, look.subject)
}
