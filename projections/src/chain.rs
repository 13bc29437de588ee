//! The newest that was seen of the chain, by subject, and the rules it is judged by. Keeps evidence, not verdicts:
//! those are computed from it (`verdict`), so a better table judges old evidence anew. Of a look that is beyond change it
//! keeps what a verdict can need and no source's answer: those stand in the log, and would fill the memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wox_events::{
    Actor, Amount, ChainEvent, DepositEvent, Digest, Event, PlayerId, Position, Recorded, StreamId, Timestamp, TxHash,
    WithdrawalId,
    chain::{self, BlockId, Consumer, HoldingsAnswer, Intent, SlotAnswer, TransactionAnswer},
    id::{Label, is_same_person},
};

use crate::{
    Table,
    deposits::{Deposit, reference},
    ledger::Drift,
    outgoing::{Due, Register, Since},
    projection::{EventRef, Projection, Rejection},
    state::State,
    verdict::{
        deposit::{self, Before, DepositVerdict},
        holdings::{self, HoldingsVerdict},
        quorum::{Policy, Transfer, transfers},
        withdrawal::{self, Payment, WithdrawalVerdict},
    },
};

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
    /// Every address that was ever declared as ours: what one sent another came from nobody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ours: BTreeSet<Label>,
    /// The newest look at what is held, by chain id and token.
    holdings: Table<String, Look<HoldingsAnswer>>,
    /// What the bank's bot confirmed, by transaction.
    confirmations: Table<TxHash, Confirmation>,
    /// Deposits whose final block went away, by stream.
    violations: Table<String, EventRef>,
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

/// All that a wallet sent from a slot on, as far as looks in a row have shown it. Of the looks it keeps the transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The wallet.
    pub wallet: Label,
    /// The first slot that is shown.
    pub from: u64,
    /// The first slot that is not shown.
    pub until: u64,
    /// How often the wallet had sent, up to the newest final block; unknown where no quorum said so.
    pub finalized: Option<u64>,
    /// Every transfer of our tokens in the slots that are shown.
    pub transfers: Vec<Transfer>,
    /// The time of the newest block that all who vote call final; unknown where no quorum showed a part.
    pub covers: Option<Timestamp>,
    /// True when the last look shows what the wallet has sent behind that too, and nothing of it waits in a pool.
    pub shows_all: bool,
    /// When the last look was.
    pub at: Timestamp,
    /// The looks, in order.
    pub looks: Vec<EventRef>,
    /// Where the rules were declared.
    under: Option<Position>,
}

impl Scan {
    /// True when every slot up to the wallet's final count is shown.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.finalized.is_some_and(|finalized| self.until >= finalized)
    }
}

/// How often a wallet had sent up to a final block, and where and when a look showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    position: Position,
    at: Timestamp,
    sent: u64,
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

    /// Takes in who declares rules: a change stands alone until somebody else declares the same, or the old ones are back.
    fn note_rules(&mut self, policy: &Policy, at: &Recorded) {
        let Some(known) = self.policies.get(&policy.chain) else { return };
        let before = self.changed.get(&policy.chain);
        let agreed = before.map_or_else(|| Box::new(known.clone()), |before| before.agreed.clone());
        let seconded = before.is_some_and(|before| known == policy && !is_same_person(&before.by, &at.actor));
        if *agreed == *policy || seconded {
            self.changed.remove(&policy.chain);
        } else if known != policy {
            let changed = ChangedRules { by: at.actor.clone(), event: EventRef::of(at), agreed };
            self.changed.insert(policy.chain, changed);
        }
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

    /// Whether an address was ever declared as one of ours.
    #[must_use]
    pub fn is_ours(&self, address: &Label) -> bool {
        self.ours.contains(address)
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
        self.outgoing.name(stream, event);
    }

    /// The newest looks at what our addresses hold, a token each.
    pub fn holdings(&self) -> impl Iterator<Item = &Look<HoldingsAnswer>> {
        self.holdings.values()
    }

    /// Every transaction that the bank's bot confirmed.
    pub fn confirmations(&self) -> impl Iterator<Item = (&TxHash, &Confirmation)> {
        self.confirmations.iter()
    }

    /// Whether the signer has journaled here without a break since before something was asked for.
    #[must_use]
    pub fn is_journaled_since(&self, asked: Since) -> bool {
        let since = self.policies.keys().filter_map(|chain| self.journaled_since.get(chain));
        since.into_iter().next().is_some_and(|(position, time)| asked.is_after(*position, *time))
    }

    /// A token that was taken out of the rules since something was asked for: it may have been paid in that, and no look
    /// shows it any more.
    #[must_use]
    pub fn token_gone_since(&self, asked: Since) -> Option<&Label> {
        let mut gone = self.tokens.iter().filter_map(|(token, gone)| Some((token, (*gone)?)));
        gone.find(|(_, position)| *position > asked.position).map(|(token, _)| token)
    }

    /// From which slot a scan of a wallet has to show all it sent, so that it shows every payment of what is due; where a
    /// scan that counts still has shown some of it, from where that ended.
    #[must_use]
    pub fn scan_from(&self, due: &Due<'_>, wallet: &Label) -> u64 {
        let Some(policy) = self.policies.values().next() else { return 0 };
        let subject = format!("{}:wallet:{wallet}", policy.chain);
        let begun = self.scans.get(&subject).filter(|scan| self.is_whole(due, &subject, scan) && scan.is_complete());
        let known = self.counts.get(&subject).into_iter().flatten();
        let before = known.filter(|known| due.since.is_after(known.position, known.at)).map(|known| known.sent).max();
        begun.map(|scan| scan.until).or(before).unwrap_or(0)
    }

    /// Whether a scan begins early enough to show every payment of what is due, under the rules that count.
    fn is_whole(&self, due: &Due<'_>, subject: &str, scan: &Scan) -> bool {
        let under = self.policies.keys().next().and_then(|chain| self.declared.get(chain));
        // What was final before it was asked for cannot be its payment: a later scan may begin there.
        let mut before = self.counts.get(subject).into_iter().flatten();
        let begins = scan.from == 0
            || before.any(|known| due.since.is_after(known.position, known.at) && known.sent >= scan.from);
        begins && scan.under.as_ref() == under
    }

    /// The first final block that went away, if one ever did: from then on money stands still until two people decide.
    #[must_use]
    pub fn first_violation(&self) -> Option<&EventRef> {
        self.violations.values().min_by_key(|event| event.position)
    }

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

    /// True once the alarm of a finality violation is recorded for a deposit's stream.
    #[must_use]
    pub fn is_violation_known(&self, deposit: &str) -> bool {
        self.violations.contains_key(deposit)
    }

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
    fn moved(&self, policy: &Policy, look: &Look<TransactionAnswer>) -> Option<(BlockId, Vec<Transfer>)> {
        match &look.closed {
            None => deposit::final_transfers(policy, look.at, &look.answers),
            Some(closed) => match (self.holds(look.chain, closed), &closed.kept) {
                (true, Kept::Transaction(closed)) => closed.moved(),
                _ => None,
            },
        }
    }

    /// Whether a look was closed under the rules that count now.
    fn holds(&self, chain: u64, closed: &Closed) -> bool {
        self.declared.get(&chain) == Some(&closed.under)
    }

    /// What a look at a transaction that is booked as the payment of something says otherwise: it is final, and did not pay
    /// it. `None` while it may have, or nobody has looked.
    #[must_use]
    pub fn did_not_pay(&self, due: &Due<'_>, tx: &TxHash) -> Option<String> {
        let look = self.policies.values().find_map(|policy| self.transaction(policy.chain, tx))?;
        if self.paid_without_slot(due, tx).is_some() {
            return None;
        }
        match self.deposit_verdict(look, &Before::default()) {
            verdict @ (DepositVerdict::Reverted { .. } | DepositVerdict::NotADeposit { .. }) => {
                Some(format!("{}, {}", verdict.row(), verdict.says()))
            }
            _ => None,
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

    /// The scans that show, for every wallet that ever paid for us, all it sent since a slot on, made after something last
    /// happened to what is due (S5): their final blocks are younger than that, and behind these nothing is hidden.
    pub(crate) fn scanned_since(&self, due: &Due<'_>) -> Option<Vec<EventRef>> {
        let policy = self.policies.values().next()?;
        if self.token_gone_since(due.since).is_some() {
            return None;
        }
        let mut seen = Vec::new();
        for wallet in self.outgoing.wallets() {
            let subject = format!("{}:wallet:{wallet}", policy.chain);
            let scan = self.scans.get(&subject)?;
            let (happened, place) = due.last_activity;
            let newer = scan.covers.is_some_and(|covers| covers > happened)
                && scan.looks.last().is_some_and(|look| look.position > place);
            if !newer || !scan.is_complete() || !scan.shows_all || !self.is_whole(due, &subject, scan) {
                return None;
            }
            seen.extend(scan.looks.iter().cloned());
        }
        (!seen.is_empty()).then_some(seen)
    }

    /// The block of a final transfer from a wallet that ever paid for us, of exactly what is due, to its address.
    pub(crate) fn paid_without_slot(&self, due: &Due<'_>, tx: &TxHash) -> Option<(BlockId, &Look<TransactionAnswer>)> {
        due.amount?;
        self.policies.values().find_map(|policy| {
            let look = self.transaction(policy.chain, tx)?;
            let (block, transfers) = self.moved(policy, look)?;
            let ours = |transfer: &Transfer| self.outgoing.is_wallet(&transfer.from);
            let paid = transfers.iter().any(|transfer| ours(transfer) && due.fits(transfer));
            paid.then_some((block, look))
        })
    }

    /// The block of the transaction that something due is booked as paid with, where a quorum shows it or its slot final.
    fn final_block(&self, due: &Due<'_>, tx: &TxHash) -> Option<u64> {
        let moved = |policy: &Policy| Some(self.moved(policy, self.transaction(policy.chain, tx)?)?.0.number);
        let shown = |slot: &Payment| match self.payment_verdict(slot)?.0 {
            WithdrawalVerdict::Executed { tx: paid, block } if paid == *tx => Some(block.number),
            _ => None,
        };
        self.policies.values().find_map(moved).or_else(|| due.slots.iter().find_map(shown))
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
}

impl Chain {
    /// Keeps of a look that is beyond change what a verdict can need.
    fn close<T>(&self, look: &mut Look<T>, kept: Option<Kept>) {
        if let (Some(kept), Some(under)) = (kept, self.declared.get(&look.chain)) {
            look.closed = Some(Closed { under: *under, kept });
            look.answers = Vec::new();
        }
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
}

/// Why nothing is said of a look whose answers are not kept.
const OTHER_RULES: &str = "the rules have changed since it was looked at; look again";

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
        HoldingsVerdict::Held { block, total } => Some(owed(state, block.number)? != total),
        HoldingsVerdict::Unknown { .. } => None,
    }
}

fn holdings_key(look: &Look<HoldingsAnswer>) -> String {
    format!("{}:{}", look.chain, look.subject)
}

fn transaction_key(look: &Look<TransactionAnswer>) -> String {
    format!("{}:{}", look.chain, look.subject)
}

impl Projection for Chain {
    type Event = ChainEvent;
    const NAME: &'static str = "chain";

    fn check(&self, at: &Recorded, event: &ChainEvent) -> Result<(), Rejection> {
        let subject = at.stream.subject();
        let same = |expected: String| Rejection::same("stream", &expected.as_str(), &subject);
        match event {
            ChainEvent::ChainPolicyDeclared { chain, quorum, .. } => {
                same(chain.to_string())?;
                if *quorum == 0 {
                    return Err(Rejection::state("the quorum", "0", "1 or more"));
                }
                // A wallet has a slot of the same number on every chain: one log is about one chain.
                if let Some(known) = self.policies.keys().find(|known| *known != chain) {
                    return Rejection::same("chain", known, chain);
                }
                match self.policies.get(chain) {
                    Some(known) if known.genesis.as_str() != genesis(event) => {
                        Rejection::same("genesis", &known.genesis.as_str(), &genesis(event))
                    }
                    _ => Ok(()),
                }
            }
            ChainEvent::TransactionLooked { chain, tx, .. } => same(format!("{chain}:tx:{tx}")),
            ChainEvent::SlotLooked { chain, wallet, nonce, .. } => same(format!("{chain}:slot:{wallet}:{nonce}")),
            ChainEvent::WalletScanned { chain, wallet, .. } => same(format!("{chain}:wallet:{wallet}")),
            ChainEvent::HoldingsLooked { chain, .. } => same(chain.to_string()),
            // What it says is a fact, whatever it said before.
            ChainEvent::BankConfirmed { tx, .. } => match chain::is_of_looks(&at.stream) {
                true => {
                    let chain = subject.split(':').next().unwrap_or_default();
                    same(format!("{chain}:bank:{tx} or {chain}"))
                }
                false => Ok(()),
            },
            ChainEvent::HoldingsAdjustmentReversed { token, amount, corrects, .. } => {
                let known = self.adjustments.iter().find(|known| known.event.id == *corrects);
                let Some(known) = known else { return Err(Rejection::unknown("adjustment", corrects)) };
                Rejection::same("token", &known.token, token)?;
                Rejection::same("amount", &known.amount, amount)
            }
            ChainEvent::TransferExplained { chain, tx, first, second, .. } => {
                same(chain.to_string())?;
                let what = || format!("transfer {tx}");
                if is_same_person(first, second) {
                    return Err(Rejection::state(what(), "explained by one person", "explained by two"));
                }
                match self.outgoing.get(tx) {
                    Some(sent) if !sent.is_final => Err(Rejection::state(what(), "not final", "final")),
                    _ if self.outgoing.explained(tx).is_some() => Err(Rejection::exists("explanation of", tx)),
                    // A sweep of a watched address pays nobody, and is explained like a payment.
                    None if self.moved_by_us(tx).is_none() => {
                        Err(Rejection::unknown("transfer out of our wallets", tx))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            ChainEvent::FinalityRestored { deposit, violation, first, second, .. } => {
                if is_same_person(first, second) {
                    return Err(Rejection::state(
                        format_args!("deposit {deposit}"),
                        "decided by one person",
                        "decided by two",
                    ));
                }
                match self.violations.get(deposit.as_str()) {
                    Some(known) => Rejection::same("violation", &known.id, violation),
                    None => Err(Rejection::unknown("violation of", deposit)),
                }
            }
            ChainEvent::HoldingsAdjusted { amount, .. } if amount.is_zero() => {
                Err(Rejection::state(format_args!("adjustment {}", at.id), "zero", "an amount"))
            }
            ChainEvent::FinalityViolation { .. }
            | ChainEvent::DoublePayment { .. }
            | ChainEvent::HoldingsAdjusted { .. }
            | ChainEvent::ReconciliationDrift { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &ChainEvent) {
        let (subject, here) = (at.stream.subject().to_owned(), EventRef::of(at));
        match event {
            ChainEvent::ChainPolicyDeclared {
                chain,
                genesis,
                quorum,
                sources,
                tokens,
                watched,
                wallets,
                minimum,
                finalized_age_max,
                journaled,
            } => {
                let policy = Policy {
                    chain: *chain,
                    genesis: genesis.clone(),
                    quorum: *quorum,
                    sources: sources.clone(),
                    tokens: tokens.clone(),
                    watched: watched.clone(),
                    wallets: wallets.clone(),
                    minimum: *minimum,
                    finalized_age_max: *finalized_age_max,
                    journaled: *journaled,
                };
                self.note_rules(&policy, at);
                self.outgoing.declare(wallets);
                for (token, gone) in &mut self.tokens {
                    *gone = if tokens.contains(token) { None } else { gone.or(Some(at.position)) };
                }
                for token in tokens {
                    self.tokens.entry(token.clone()).or_default();
                }
                self.ours.extend(watched.iter().chain(wallets).cloned());
                match journaled {
                    true => drop(self.journaled_since.entry(*chain).or_insert((at.position, at.time))),
                    false => drop(self.journaled_since.remove(chain)),
                }
                if self.policies.get(chain) != Some(&policy) {
                    self.declared.insert(*chain, at.position);
                }
                self.policies.insert(*chain, policy);
            }
            ChainEvent::TransactionLooked { chain, tx, at: asked, answers } => {
                let mut look = look(*chain, tx.as_str(), 0, *asked, answers, here);
                let before = self.transactions.get(&subject);
                look.seen = before.and_then(|before| self.still_seen(before));
                let known = answers.iter().find_map(|said| said.transaction.found());
                look.sender = known
                    .map(|known| (known.from.clone(), known.nonce))
                    .or_else(|| before.and_then(|before| before.sender.clone()));
                let closed = self.policies.get(chain).and_then(|policy| deposit::Closed::of(policy, *asked, answers));
                // By rules that one person made nothing is forgotten, whatever a quorum of them shows.
                let agreed = !self.changed.contains_key(chain);
                match (self.policies.get(chain), closed.as_ref().filter(|_| agreed)) {
                    (None, _) => {}
                    (Some(policy), None) => {
                        for said in answers {
                            if let Some(shown) = said.transaction.found() {
                                self.outgoing.note(policy, shown, said.receipt.found(), (&look.event, *asked));
                            }
                        }
                    }
                    // Beyond change: what a quorum shows, and nothing else.
                    (Some(_), Some(closed)) => {
                        match (
                            closed.moved(),
                            answers.iter().find_map(|said| said.transaction.found().filter(|shown| shown.tx == *tx)),
                        ) {
                            (Some((_, moved)), Some(shown)) => {
                                self.outgoing.note_final(shown, moved, (&look.event, *asked));
                            }
                            _ => self.outgoing.forget(tx),
                        }
                    }
                }
                self.close(&mut look, closed.map(|closed| Kept::Transaction(Box::new(closed))));
                self.transactions.insert(subject, look);
            }
            ChainEvent::SlotLooked { chain, wallet, nonce, at: asked, answers } => {
                let mut look = look(*chain, wallet.as_str(), *nonce, *asked, answers, here);
                let policy = self.policies.get(chain);
                let taken = policy.and_then(|policy| withdrawal::Taken::of(policy, *asked, *nonce, answers));
                if let Some(policy) = policy {
                    for said in answers {
                        let taken = said.slot.found().and_then(|slot| slot.consumer.found());
                        if let Some(Consumer::Transaction { transaction, receipt, .. }) = taken {
                            self.outgoing.note(policy, transaction, receipt.found(), (&look.event, *asked));
                        }
                    }
                    match taken.as_ref().filter(|_| !self.changed.contains_key(chain)) {
                        Some(withdrawal::Taken::By(found)) => {
                            self.outgoing.note_final(&found.0, transfers(policy, &found.1), (&look.event, *asked));
                        }
                        Some(withdrawal::Taken::Unsigned(_)) => self.outgoing.forget_slot(wallet, *nonce),
                        None => {}
                    }
                }
                self.close(&mut look, taken.map(Kept::Slot));
                self.slots.insert(subject, look);
            }
            ChainEvent::WalletScanned { chain, wallet, from_nonce, at: asked, answers } => {
                let policy = self.policies.get(chain);
                let segment = policy.and_then(|policy| withdrawal::segment(policy, *asked, *from_nonce, answers));
                let agreed = !self.changed.contains_key(chain);
                for (policy, said) in policy.iter().flat_map(|policy| answers.iter().map(move |said| (policy, said))) {
                    for slot in &said.slots {
                        if let Some(Consumer::Transaction { transaction, receipt, .. }) = slot.found() {
                            self.outgoing.note(policy, transaction, receipt.found(), (&here, *asked));
                        }
                    }
                }
                for (nonce, taken) in (*from_nonce..).zip(segment.iter().filter(|_| agreed).flat_map(|it| &it.taken)) {
                    match taken {
                        Some((transaction, moved)) => {
                            self.outgoing.note_final(transaction, moved.clone(), (&here, *asked));
                        }
                        None => self.outgoing.forget_slot(wallet, nonce),
                    }
                }
                let under = self.declared.get(chain).copied();
                let goes_on = |scan: &Scan| scan.until == *from_nonce && scan.under == under;
                let begun = self.scans.get(&subject).filter(|scan| goes_on(scan)).cloned();
                let mut scan = begun.unwrap_or_else(|| Scan {
                    wallet: wallet.clone(),
                    from: *from_nonce,
                    until: *from_nonce,
                    finalized: None,
                    transfers: Vec::new(),
                    covers: None,
                    shows_all: false,
                    at: *asked,
                    looks: Vec::new(),
                    under,
                });
                (scan.finalized, scan.covers, scan.shows_all) = (None, None, false);
                if let Some(segment) = segment {
                    let counts = self.counts.entry(subject.clone()).or_default();
                    if agreed && counts.last().is_none_or(|known| known.sent < segment.finalized) {
                        counts.push(Counted { position: at.position, at: *asked, sent: segment.finalized });
                    }
                    (scan.covers, scan.shows_all) = (Some(segment.covers), segment.shows_all);
                    scan.until = from_nonce.saturating_add(segment.slots);
                    scan.finalized = Some(segment.finalized);
                    scan.transfers.extend(segment.transfers());
                    scan.at = *asked;
                    scan.looks.push(here);
                }
                self.scans.insert(subject, scan);
            }
            ChainEvent::HoldingsLooked { chain, token, block, at: asked, answers } => {
                let key = format!("{chain}:{token}");
                self.holdings.insert(key, look(*chain, token.as_str(), *block, *asked, answers, here));
            }
            ChainEvent::BankConfirmed { tx, player, post } => {
                let (player, post) = (player.clone(), post.clone());
                match self.confirmations.get_mut(tx) {
                    None => {
                        let first = Confirmation { player, post, others: Vec::new() };
                        self.confirmations.insert(tx.clone(), first);
                    }
                    Some(known) => {
                        let new = known.player != player && known.others.iter().all(|other| other.player != player);
                        known.others.extend(new.then_some(Contradiction { player, post, event: here }));
                    }
                }
            }
            ChainEvent::FinalityViolation { deposit, .. } => {
                self.violations.insert(deposit.to_string(), here);
            }
            ChainEvent::TransferExplained { tx, .. } => self.outgoing.explain(tx, here),
            ChainEvent::FinalityRestored { deposit, .. } => {
                self.violations.shift_remove(deposit.as_str());
            }
            ChainEvent::DoublePayment { withdrawal, .. } => {
                self.double_payments.insert(withdrawal.clone(), here);
            }
            ChainEvent::ReconciliationDrift { token, .. } => {
                self.drifts.insert(token.to_string(), here);
            }
            ChainEvent::HoldingsAdjusted { token, amount, .. } => {
                self.adjusted = self.adjusted.checked_add(*amount).expect("the ledger bounds everything that comes in");
                self.adjustments.push(Adjusted { token: token.clone(), amount: *amount, event: here });
            }
            ChainEvent::HoldingsAdjustmentReversed { amount, corrects, .. } => {
                self.adjusted = self.adjusted.saturating_sub(*amount);
                self.adjustments.retain(|known| known.event.id != *corrects);
            }
        }
    }
}

fn look<T: Clone>(chain: u64, subject: &str, number: u64, at: Timestamp, answers: &[T], event: EventRef) -> Look<T> {
    let subject = Label::new(subject).expect("it was an identity in the event");
    Look { chain, subject, number, at, answers: answers.to_vec(), closed: None, seen: None, sender: None, event }
}

fn genesis(event: &ChainEvent) -> &str {
    match event {
        ChainEvent::ChainPolicyDeclared { genesis, .. } => genesis.as_str(),
        _ => "",
    }
}
