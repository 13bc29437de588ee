//! What left our wallets, by every look that ever showed it. A transfer that no event names as the payment of something
//! may be the payment of whatever is open, so nobody says that nothing was sent while one is known. To forbid a release
//! the word of one source is enough, and nothing is forgotten before it is beyond change; to raise an alarm a quorum is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wox_events::{
    Position, TxHash,
    chain::{Receipt, Transaction},
    id::Label,
};

use crate::{
    projection::EventRef,
    state::State,
    verdict::{
        quorum::{Policy, Transfer, transfers},
        withdrawal::Payment,
    },
    withdrawals::{Withdrawal, WithdrawalPhase},
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
    /// The newest look that shows it.
    pub event: EventRef,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Every address that was ever declared as a wallet that pays: what one sent stays ours.
    wallets: BTreeSet<Label>,
    known: BTreeMap<TxHash, Outgoing>,
    /// The transactions that paid an address, in lower case.
    by_receiver: BTreeMap<String, BTreeSet<TxHash>>,
    /// The transactions of each wallet's slots, by `<wallet>:<slot>`.
    by_slot: BTreeMap<String, BTreeSet<TxHash>>,
}

impl Register {
    /// Takes in wallets that pay.
    pub(crate) fn declare(&mut self, wallets: &[Label]) {
        self.wallets.extend(wallets.iter().cloned());
    }

    /// Takes in what one source shows of a transaction that is not beyond change, and was not before.
    pub(crate) fn note(&mut self, policy: &Policy, shown: &Transaction, receipt: Option<&Receipt>, at: &EventRef) {
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
        self.set(shown, moved, false, at);
    }

    /// Takes in a transaction that a quorum shows final, with all it moved: nothing else can have its slot.
    pub(crate) fn note_final(&mut self, shown: &Transaction, moved: Vec<Transfer>, at: &EventRef) {
        let moved = self.ours(moved);
        let rivals = self.by_slot.get(&slot_key(shown)).cloned().unwrap_or_default();
        for rival in rivals.iter().filter(|rival| moved.is_empty() || **rival != shown.tx) {
            self.forget(rival);
        }
        if !moved.is_empty() {
            self.set(shown, moved, true, at);
        }
    }

    /// Forgets a transaction that moved nothing for good, or can never be mined any more.
    pub(crate) fn forget(&mut self, tx: &TxHash) {
        let Some(gone) = self.known.remove(tx) else { return };
        self.unlink(&gone);
    }

    fn ours(&self, moved: Vec<Transfer>) -> Vec<Transfer> {
        moved.into_iter().filter(|one| self.wallets.contains(&one.from)).collect()
    }

    fn set(&mut self, shown: &Transaction, transfers: Vec<Transfer>, is_final: bool, at: &EventRef) {
        let before = self.known.remove(&shown.tx);
        if let Some(before) = &before {
            self.unlink(before);
        }
        for one in &transfers {
            self.by_receiver.entry(receiver_key(&one.to)).or_default().insert(shown.tx.clone());
        }
        self.by_slot.entry(slot_key(shown)).or_default().insert(shown.tx.clone());
        let outgoing = Outgoing {
            tx: shown.tx.clone(),
            sender: (shown.from.clone(), shown.nonce),
            transfers,
            is_final,
            first: before.map_or(at.position, |before| before.first),
            event: at.clone(),
        };
        self.known.insert(shown.tx.clone(), outgoing);
    }

    fn unlink(&mut self, gone: &Outgoing) {
        let (wallet, nonce) = &gone.sender;
        drop_from(&mut self.by_slot, &format!("{wallet}:{nonce}"), &gone.tx);
        for one in &gone.transfers {
            drop_from(&mut self.by_receiver, &receiver_key(&one.to), &gone.tx);
        }
    }

    fn to<'a>(&'a self, receiver: &Label) -> impl Iterator<Item = &'a Outgoing> {
        let paid = self.by_receiver.get(&receiver_key(receiver));
        paid.into_iter().flatten().filter_map(|tx| self.known.get(tx))
    }
}

fn receiver_key(address: &Label) -> String {
    address.as_str().to_ascii_lowercase()
}

fn slot_key(shown: &Transaction) -> String {
    format!("{}:{}", shown.from, shown.nonce)
}

fn drop_from(index: &mut BTreeMap<String, BTreeSet<TxHash>>, key: &str, tx: &TxHash) {
    if let Some(known) = index.get_mut(key) {
        known.remove(tx);
        if known.is_empty() {
            index.remove(key);
        }
    }
}

/// Whether two labels are one address.
fn is_same_address(one: &Label, other: &Label) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// What left our wallets for the address of a withdrawal, since it was asked for, and no event says what for: it may be
/// its payment. What was signed for the withdrawal itself is judged by its slots.
#[must_use]
pub fn unexplained<'a>(state: &'a State, id: &str, withdrawal: &Withdrawal) -> Vec<&'a Outgoing> {
    let destination = &withdrawal.destination;
    let found = state.chain.outgoing().to(destination).filter(|sent| is_since(sent, withdrawal));
    found
        .filter(|sent| !is_own(withdrawal, &sent.tx))
        .filter(|sent| !is_of_another(state, id, destination, sent))
        .collect()
}

/// What left our wallets for anybody since a withdrawal was asked for that nothing was ever signed for, could be its
/// payment by its amount, or cannot be told yet, and that no event names at all.
#[must_use]
pub fn unexplained_elsewhere<'a>(state: &'a State, withdrawal: &Withdrawal) -> Vec<&'a Outgoing> {
    let Some(hold) = withdrawal.hold.as_ref().filter(|_| !withdrawal.sent) else { return Vec::new() };
    let ours = |address: &Label| {
        state.chain.policies().any(|policy| policy.watched.contains(address) || policy.wallets.contains(address))
    };
    let could_be = |sent: &&Outgoing| {
        sent.transfers.is_empty() || sent.transfers.iter().any(|one| one.value == hold.net && !ours(&one.to))
    };
    let known = state.chain.outgoing().known.values();
    known.filter(|sent| is_since(sent, withdrawal)).filter(could_be).filter(|sent| !is_named(state, &sent.tx)).collect()
}

/// What the log had before it was asked for anything cannot be the payment; of what was taken over nobody knows when.
fn is_since(sent: &Outgoing, withdrawal: &Withdrawal) -> bool {
    withdrawal.imported || sent.first > withdrawal.requested.position
}

fn names(slots: &[Payment], tx: &TxHash) -> bool {
    slots.iter().any(|slot| slot.attempts.contains(tx) || slot.cancels.contains(tx))
}

fn is_own(withdrawal: &Withdrawal, tx: &TxHash) -> bool {
    names(&withdrawal.slots, tx) || withdrawal.asked.contains(tx)
}

/// Whether as many other withdrawals to the same address name a transaction as it pays that address.
fn is_of_another(state: &State, id: &str, destination: &Label, sent: &Outgoing) -> bool {
    let paid = sent.transfers.iter().filter(|one| is_same_address(&one.to, destination)).count();
    let booked = state.withdrawals.paid_by(&sent.tx);
    let others = state.withdrawals.iter().filter(|(other, known)| {
        other.as_str() != id
            && is_same_address(&known.destination, destination)
            && (is_own(known, &sent.tx) || booked == Some(*other))
    });
    let burned = state.burns.iter().filter(|(_, burn)| {
        is_same_address(destination, &Label::new(crate::burns::DEAD_ADDRESS).expect("a fixed address"))
            && names(&burn.slots, &sent.tx)
    });
    others.count() + burned.count() >= paid
}

fn is_named(state: &State, tx: &TxHash) -> bool {
    state.withdrawals.paid_by(tx).is_some()
        || state.withdrawals.iter().any(|(_, known)| is_own(known, tx))
        || state.burns.iter().any(|(_, burn)| names(&burn.slots, tx))
}

/// Whether something else that is open could have been paid by a transfer to the same address.
#[must_use]
pub fn has_rivals(state: &State, id: &str, withdrawal: &Withdrawal) -> bool {
    state.withdrawals.iter().any(|(other, known)| {
        let open = matches!(known.phase, WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed);
        open && other.as_str() != id && is_same_address(&known.destination, &withdrawal.destination)
    })
}

/// What a transaction sent, in one phrase.
#[must_use]
pub fn says(sent: &Outgoing) -> String {
    let (wallet, slot) = &sent.sender;
    let parts = sent.transfers.iter().map(|one| format!("{} G to {}", one.value, one.to));
    match sent.transfers.is_empty() {
        true => format!("{} of {wallet} (slot {slot}) calls our token and is in no block yet", sent.tx),
        false => format!("{} (slot {slot} of {wallet}) sent {}", sent.tx, parts.collect::<Vec<_>>().join(", ")),
    }
}
