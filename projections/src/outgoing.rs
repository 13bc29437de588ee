//! What left our wallets, by every look that ever showed it, and what our events say it paid. A transfer that no event
//! explains may have paid whatever is open, so nobody says that nothing was sent while one is known. To forbid a release
//! the word of one source is enough, and nothing is forgotten before it is beyond change; to raise an alarm a quorum is.
//!
//! Here is what left and who names it; `explained` says which transfer paid what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wox_events::{
    BurnEvent, Event, Position, StreamId, Timestamp, TxHash, WithdrawalEvent,
    chain::{Receipt, Transaction, is_address},
    id::Label,
};

use crate::{
    due::{Due, Since},
    projection::EventRef,
    verdict::{
        WithdrawalVerdict,
        quorum::{Policy, Transfer, transfers},
    },
};

/// One transaction that moved our tokens out of our wallets, or may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its hash.
    pub tx: TxHash,
    /// Its sender and slot.
    pub sender: (Label, u64),
    /// What it moved out of our wallets; nothing while no source shows it in a block.
    pub transfers: Vec<Transfer>,
    /// True when a quorum shows it final.
    pub is_final: bool,
    /// Where the log had it first.
    pub first: Position,
    /// When the sources showed it first.
    pub first_at: Timestamp,
    /// The newest look that shows it.
    pub event: EventRef,
}

impl Outgoing {
    /// What it sent, in one phrase.
    #[must_use]
    pub fn says(&self) -> String {
        let (wallet, slot) = &self.sender;
        let parts = self.transfers.iter().map(|one| format!("{} G to {}", one.value, one.to));
        match self.transfers.is_empty() {
            true => format!("{} of {wallet} (slot {slot}) calls our token and is in no block yet", self.tx),
            false => format!("{} (slot {slot} of {wallet}) sent {}", self.tx, parts.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// What is known of a transaction wherever it is shown: its hash, its sender and its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) tx: &'a TxHash,
    pub(crate) from: &'a Label,
    pub(crate) nonce: u64,
}

impl<'a> Sent<'a> {
    pub(crate) fn of(shown: &'a Transaction) -> Sent<'a> {
        Sent { tx: &shown.tx, from: &shown.from, nonce: shown.nonce }
    }
}

/// Transactions in the order the log had them first, and by the time at which sources showed them first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    by_position: BTreeSet<(Position, TxHash)>,
    by_time: BTreeSet<(Timestamp, TxHash)>,
}

impl Order {
    fn insert(&mut self, sent: &Outgoing) {
        self.by_position.insert((sent.first, sent.tx.clone()));
        self.by_time.insert((sent.first_at, sent.tx.clone()));
    }

    fn remove(&mut self, gone: &Outgoing) {
        self.by_position.remove(&(gone.first, gone.tx.clone()));
        self.by_time.remove(&(gone.first_at, gone.tx.clone()));
    }

    /// Those that were not there before: first what the log had later, then what it had earlier and sources showed later.
    fn since<'a>(&'a self, known: &'a BTreeMap<TxHash, Outgoing>, since: Since) -> impl Iterator<Item = &'a Outgoing> {
        // The least text that a hash can be: what stands behind that place begins here.
        let least = || TxHash::new("!").expect("one printable character is an identity");
        let later = self.by_position.range((Position(since.position.0.saturating_add(1)), least())..);
        let shown_later = self.by_time.range((since.earliest(), least())..).filter_map(|(_, tx)| known.get(tx));
        let shown_later = shown_later.filter(move |sent| sent.first <= since.position);
        later.filter_map(|(_, tx)| known.get(tx)).chain(shown_later)
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Every address that was ever declared as a wallet that pays, or that a signer named as one: what one sent stays ours.
    wallets: BTreeSet<Label>,
    /// Every address that was ever declared as ours: what left one for somebody else left us.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ours: BTreeSet<Label>,
    known: BTreeMap<TxHash, Outgoing>,
    /// Those that no source shows in a block.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pending: BTreeSet<TxHash>,
    /// The transactions in the order they were first seen.
    in_order: Order,
    /// The transactions that paid an address, in the same order.
    by_receiver: BTreeMap<Label, Order>,
    /// The transactions of each wallet's slots, by `<wallet>:<slot>`.
    by_slot: BTreeMap<String, BTreeSet<TxHash>>,
    /// The withdrawals and burns whose events name a transaction.
    named: BTreeMap<TxHash, BTreeSet<StreamId>>,
    /// What two people said of a transaction that paid nothing of these.
    explained: BTreeMap<TxHash, EventRef>,
}

impl Register {
    /// Takes in wallets that pay, and addresses that receive; gives those that nobody had named before.
    pub(crate) fn declare(&mut self, wallets: &[Label], watched: &[Label]) -> Vec<Label> {
        let new: Vec<Label> = wallets.iter().chain(watched).filter(|one| !self.is_ours(one)).cloned().collect();
        self.wallets.extend(wallets.iter().cloned());
        self.ours.extend(new.iter().cloned());
        new
    }

    /// Takes in what one source shows of a transaction that is not beyond change, and was not before.
    pub(crate) fn note(
        &mut self,
        policy: &Policy,
        shown: &Transaction,
        receipt: Option<&Receipt>,
        at: (&EventRef, Timestamp),
    ) {
        if self.known.get(&shown.tx).is_some_and(|known| known.is_final) {
            return;
        }
        let moved = receipt.map(|receipt| self.ours(transfers(policy, receipt))).unwrap_or_default();
        let calls =
            self.wallets.contains(&shown.from) && shown.to.as_ref().is_some_and(|to| policy.tokens.contains(to));
        // What nobody has seen in a block again, or failed in one that may go, is still what it was.
        let before = self.known.get(&shown.tx).map(|known| known.transfers.clone());
        if moved.is_empty() && before.is_none() && !(calls && receipt.is_none()) {
            return;
        }
        let moved = if moved.is_empty() { before.unwrap_or_default() } else { moved };
        self.set(Sent::of(shown), moved, false, at);
    }

    /// Takes in a transaction that a quorum shows final, with all it moved: nothing else can have its slot.
    pub(crate) fn note_final(&mut self, shown: Sent<'_>, moved: Vec<Transfer>, at: (&EventRef, Timestamp)) {
        let moved = self.ours(moved);
        let rivals = self.by_slot.get(&slot_key(shown.from, shown.nonce)).cloned().unwrap_or_default();
        for rival in rivals.iter().filter(|rival| moved.is_empty() || *rival != shown.tx) {
            self.forget(rival);
        }
        if !moved.is_empty() {
            self.set(shown, moved, true, at);
        }
    }

    /// Forgets what was signed for a slot that something else used up, and is not final itself.
    pub(crate) fn forget_slot(&mut self, wallet: &Label, nonce: u64) {
        for tx in self.by_slot.get(&slot_key(wallet, nonce)).cloned().unwrap_or_default() {
            if self.known.get(&tx).is_some_and(|known| !known.is_final) {
                self.forget(&tx);
            }
        }
    }

    /// Forgets a transaction that moved nothing for good, or can never be mined any more.
    pub(crate) fn forget(&mut self, tx: &TxHash) {
        let Some(gone) = self.known.remove(tx) else { return };
        self.unlink(&gone);
    }

    fn ours(&self, moved: Vec<Transfer>) -> Vec<Transfer> {
        let leaves =
            |one: &Transfer| self.wallets.contains(&one.from) || self.is_ours(&one.from) && !self.is_ours(&one.to);
        moved.into_iter().filter(leaves).collect()
    }

    fn set(
        &mut self,
        shown: Sent<'_>,
        transfers: Vec<Transfer>,
        is_final: bool,
        (event, asked): (&EventRef, Timestamp),
    ) {
        let before = self.known.remove(shown.tx);
        if let Some(before) = &before {
            self.unlink(before);
        }
        let (first, first_at) = before.map_or((event.position, asked), |before| (before.first, before.first_at));
        let (tx, sender) = (shown.tx.clone(), (shown.from.clone(), shown.nonce));
        let sent = Outgoing { tx, sender, transfers, is_final, first, first_at, event: event.clone() };
        for one in &sent.transfers {
            self.by_receiver.entry(one.to.clone()).or_default().insert(&sent);
        }
        self.in_order.insert(&sent);
        if sent.transfers.is_empty() {
            self.pending.insert(sent.tx.clone());
        }
        self.by_slot.entry(slot_key(&sent.sender.0, sent.sender.1)).or_default().insert(sent.tx.clone());
        self.known.insert(sent.tx.clone(), sent);
    }

    fn unlink(&mut self, gone: &Outgoing) {
        self.in_order.remove(gone);
        self.pending.remove(&gone.tx);
        let slot = slot_key(&gone.sender.0, gone.sender.1);
        if let Some(known) = self.by_slot.get_mut(&slot) {
            known.remove(&gone.tx);
            if known.is_empty() {
                self.by_slot.remove(&slot);
            }
        }
        for one in &gone.transfers {
            if let Some(known) = self.by_receiver.get_mut(&one.to) {
                known.remove(gone);
                if known.by_position.is_empty() {
                    self.by_receiver.remove(&one.to);
                }
            }
        }
    }

    /// Notes which withdrawal or burn an event says a transaction pays.
    /// Gives the wallet that nobody had named before, where there is one.
    pub(crate) fn name(&mut self, stream: &StreamId, event: &Event) -> Option<Label> {
        if let Some(tx) = named_by(event) {
            self.named.entry(tx.clone()).or_default().insert(stream.clone());
        }
        // Whoever signs for something of ours pays for us, whether the rules name the wallet or not.
        if let Event::Withdrawal(WithdrawalEvent::TxSigned { wallet, .. })
        | Event::Burn(BurnEvent::BurnTxSigned { wallet, .. }) = event
            && is_address(wallet)
        {
            let new = !self.is_ours(wallet);
            self.wallets.insert(wallet.clone());
            return new.then(|| wallet.clone());
        }
        None
    }

    /// Whether an address was ever declared as one of ours, or named as a wallet that pays for us.
    #[must_use]
    pub fn is_ours(&self, address: &Label) -> bool {
        self.ours.contains(address) || self.wallets.contains(address)
    }

    /// Every address that ever was a wallet that pays for us.
    pub fn wallets(&self) -> impl Iterator<Item = &Label> {
        self.wallets.iter()
    }

    /// Takes in that two people said what a transaction paid.
    pub(crate) fn explain(&mut self, tx: &TxHash, at: EventRef) {
        self.explained.insert(tx.clone(), at);
    }

    /// A transaction that moved our tokens out of our wallets, or may.
    #[must_use]
    pub fn get(&self, tx: &TxHash) -> Option<&Outgoing> {
        self.known.get(tx)
    }

    /// Whether an address ever was a wallet that pays for us.
    #[must_use]
    pub fn is_wallet(&self, address: &Label) -> bool {
        self.wallets.contains(address)
    }

    /// The event by which two people said what a transaction paid.
    #[must_use]
    pub fn explained(&self, tx: &TxHash) -> Option<&EventRef> {
        self.explained.get(tx)
    }

    /// The withdrawals and burns whose events name a transaction, by name.
    pub(crate) fn named_for(&self, tx: &TxHash) -> impl Iterator<Item = &StreamId> {
        self.named.get(tx).into_iter().flatten()
    }

    /// Whether an event of anything names a transaction.
    pub(crate) fn is_named(&self, tx: &TxHash) -> bool {
        self.named.contains_key(tx)
    }

    /// Whether events of something else name a transaction, and none of this.
    pub(crate) fn is_named_for_another(&self, due: &Due<'_>, tx: &TxHash) -> bool {
        self.is_named(tx) && self.named_for(tx).all(|stream| *stream != due.stream)
    }

    /// A slot that was taken by what was signed for something else here: no stranger has its key.
    pub(crate) fn signed_for_another(&self, due: &Due<'_>, verdict: WithdrawalVerdict) -> WithdrawalVerdict {
        match verdict {
            WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of: None } => {
                let of = self.named_for(&tx).filter(|stream| **stream != due.stream).min().cloned();
                WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of }
            }
            other => other,
        }
    }

    /// All of them, in the order the log had them first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Outgoing> {
        self.in_order.by_position.iter().filter_map(|(_, tx)| self.known.get(tx))
    }

    /// Those that no source shows in a block.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Outgoing> {
        self.pending.iter().filter_map(|tx| self.known.get(tx))
    }

    /// What paid an address since something was asked for.
    pub(crate) fn to(&self, receiver: &Label, since: Since) -> impl Iterator<Item = &Outgoing> {
        self.by_receiver.get(receiver).into_iter().flat_map(move |paid| paid.since(&self.known, since))
    }

    /// What was sent to anybody since something was asked for.
    pub(crate) fn since(&self, since: Since) -> impl Iterator<Item = &Outgoing> {
        self.in_order.since(&self.known, since)
    }
}

fn slot_key(wallet: &Label, nonce: u64) -> String {
    format!("{wallet}:{nonce}")
}

/// The transaction that an event of a withdrawal or burn says is about its payment.
pub(crate) fn named_by(event: &Event) -> Option<&TxHash> {
    match event {
        Event::Withdrawal(
            WithdrawalEvent::TxSigned { tx, .. }
            | WithdrawalEvent::TxBroadcast { tx: Some(tx), .. }
            | WithdrawalEvent::WithdrawalFenced { tx, .. }
            | WithdrawalEvent::WithdrawalSettled { tx, .. }
            | WithdrawalEvent::WithdrawalImported { tx: Some(tx), .. },
        )
        | Event::Burn(
            BurnEvent::BurnTxSigned { tx, .. } | BurnEvent::BurnTxBroadcast { tx } | BurnEvent::BurnSettled { tx, .. },
        ) => Some(tx),
        _ => None,
    }
}
