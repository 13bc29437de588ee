//! What left our wallets, by every look that ever showed it, and what our events say it paid. A transfer that no event
//! explains may have paid whatever is open, so nobody says that nothing was sent while one is known. To forbid a release
//! the word of one source is enough, and nothing is forgotten before it is beyond change; to raise an alarm a quorum is.
//!
//! A transfer is explained when something that was due names its transaction and it is of that amount to that address, one
//! transfer for each; or when two people have said what it paid.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, BurnEvent, Event, Position, StreamId, Timestamp, TxHash, WithdrawalEvent,
    chain::{Receipt, Transaction},
    id::Label,
};

use crate::{
    burns::{Burn, BurnPhase, DEAD_ADDRESS},
    projection::EventRef,
    state::State,
    verdict::{
        WithdrawalVerdict,
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
    /// When the sources showed it first.
    pub first_at: Timestamp,
    /// The newest look that shows it.
    pub event: EventRef,
}

/// Since when something could have been paid: behind this place of the log, or shown by the sources since this time. An
/// event may reach the log long after it happened, so neither alone proves that a payment was made before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The place of the event that asked for it.
    pub position: Position,
    /// When that happened.
    pub time: Timestamp,
}

impl Since {
    /// Of what was taken over nobody knows since when.
    pub const EVER: Since = Since { position: Position(0), time: Timestamp(i64::MIN) };

    /// Whether something that the log had at a place, of a time, was there before.
    #[must_use]
    pub fn is_after(&self, position: Position, time: Timestamp) -> bool {
        position < self.position && time < self.time
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
        let shown_later = self.by_time.range((since.time, least())..).filter_map(|(_, tx)| known.get(tx));
        let shown_later = shown_later.filter(move |sent| sent.first <= since.position);
        later.filter_map(|(_, tx)| known.get(tx)).chain(shown_later)
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Every address that was ever declared as a wallet that pays, or that a signer named as one: what one sent stays ours.
    wallets: BTreeSet<Label>,
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
    /// Takes in wallets that pay.
    pub(crate) fn declare(&mut self, wallets: &[Label]) {
        self.wallets.extend(wallets.iter().cloned());
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
        self.set(shown, moved, false, at);
    }

    /// Takes in a transaction that a quorum shows final, with all it moved: nothing else can have its slot.
    pub(crate) fn note_final(&mut self, shown: &Transaction, moved: Vec<Transfer>, at: (&EventRef, Timestamp)) {
        let moved = self.ours(moved);
        let rivals = self.by_slot.get(&slot_key(&shown.from, shown.nonce)).cloned().unwrap_or_default();
        for rival in rivals.iter().filter(|rival| moved.is_empty() || **rival != shown.tx) {
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
        moved.into_iter().filter(|one| self.wallets.contains(&one.from)).collect()
    }

    fn set(
        &mut self,
        shown: &Transaction,
        transfers: Vec<Transfer>,
        is_final: bool,
        (event, asked): (&EventRef, Timestamp),
    ) {
        let before = self.known.remove(&shown.tx);
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
    pub(crate) fn name(&mut self, stream: &StreamId, event: &Event) {
        if let Some(tx) = named_by(event) {
            self.named.entry(tx.clone()).or_default().insert(stream.clone());
        }
        // Whoever signs for something of ours pays for us, whether the rules name the wallet or not.
        if let Event::Withdrawal(WithdrawalEvent::TxSigned { wallet, .. })
        | Event::Burn(BurnEvent::BurnTxSigned { wallet, .. }) = event
            && is_address(wallet)
        {
            self.wallets.insert(wallet.clone());
        }
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

    /// Whether events of something else name a transaction, and none of this.
    pub(crate) fn is_named_for_another(&self, due: &Due<'_>, tx: &TxHash) -> bool {
        self.named.get(tx).is_some_and(|streams| !streams.is_empty() && !streams.contains(&due.stream))
    }

    /// A slot that was taken by what was signed for something else here: no stranger has its key.
    pub(crate) fn signed_for_another(&self, due: &Due<'_>, verdict: WithdrawalVerdict) -> WithdrawalVerdict {
        match verdict {
            WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of: None } => {
                let others = self.named.get(&tx).into_iter().flatten();
                let of = others.filter(|stream| **stream != due.stream).min().cloned();
                WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of }
            }
            other => other,
        }
    }

    /// What paid an address since something was asked for.
    fn to(&self, receiver: &Label, since: Since) -> impl Iterator<Item = &Outgoing> {
        self.by_receiver.get(receiver).into_iter().flat_map(move |paid| paid.since(&self.known, since))
    }

    /// What was sent to anybody since something was asked for.
    fn since(&self, since: Since) -> impl Iterator<Item = &Outgoing> {
        self.in_order.since(&self.known, since)
    }
}

/// Whether a destination is an address of the chain; what is none (a handle, a name) no transfer can be held against.
#[must_use]
pub fn is_address(destination: &Label) -> bool {
    let hex = destination.as_str().strip_prefix("0x");
    hex.is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn slot_key(wallet: &Label, nonce: u64) -> String {
    format!("{wallet}:{nonce}")
}

/// The transaction that an event of a withdrawal or burn says is about its payment.
fn named_by(event: &Event) -> Option<&TxHash> {
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

/// Something our wallets were to pay: a withdrawal to its address, or a burn to the dead one.
#[derive(Clone, Debug)]
pub struct Due<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// Whom to pay.
    pub to: Label,
    /// How much; unknown of what nothing is held for, such as what was over before the game's tables were taken over.
    pub amount: Option<Amount>,
    /// What was there before it was asked for cannot be its payment.
    pub since: Since,
    /// True once something was signed for it, or the bank's bot was asked.
    pub sent: bool,
    /// True once the bank's bot was asked by a post; what it tries is not ours to enumerate.
    pub asked_by_post: bool,
    /// True once it is booked as paid.
    pub settled: bool,
    /// The slots that transactions were signed for.
    pub slots: &'a [Payment],
    /// Payments whose hash was named without a slot of ours.
    pub asked: &'a [TxHash],
    /// The payment that is booked.
    pub settled_by: Option<&'a TxHash>,
    /// When something last happened, and where the log has it.
    pub last_activity: (Timestamp, Position),
}

impl<'a> Due<'a> {
    /// What a withdrawal is to pay. `None` when its id is no name of a stream.
    #[must_use]
    pub fn withdrawal(id: &str, withdrawal: &'a Withdrawal) -> Option<Due<'a>> {
        Some(Due {
            stream: StreamId::new(format!("withdrawal-{id}")).ok()?,
            to: withdrawal.destination.clone(),
            amount: withdrawal.hold.as_ref().map(|hold| hold.net),
            since: match withdrawal.imported {
                true => Since::EVER,
                false => Since { position: withdrawal.requested.position, time: withdrawal.requested_at },
            },
            sent: withdrawal.sent,
            asked_by_post: withdrawal.asked_by_post,
            settled: withdrawal.phase == WithdrawalPhase::Settled,
            slots: &withdrawal.slots,
            asked: &withdrawal.asked,
            settled_by: withdrawal.settled_by.as_ref(),
            last_activity: (withdrawal.last_activity, withdrawal.last.position),
        })
    }

    /// What a burn is to pay. `None` when its id is no name of a stream.
    #[must_use]
    pub fn burn(id: &str, burn: &'a Burn) -> Option<Due<'a>> {
        Some(Due {
            stream: StreamId::new(format!("burn-{id}")).ok()?,
            to: Label::new(DEAD_ADDRESS).expect("an address is an identity"),
            amount: Some(burn.amount),
            since: match burn.imported {
                true => Since::EVER,
                false => Since { position: burn.scheduled.position, time: burn.scheduled_at },
            },
            sent: burn.phase != BurnPhase::Scheduled,
            asked_by_post: false,
            settled: burn.phase == BurnPhase::Settled,
            slots: &burn.slots,
            asked: &burn.asked,
            settled_by: burn.settled_by.as_ref(),
            last_activity: (burn.last_activity, burn.last.position),
        })
    }

    /// What a withdrawal or burn is to pay, by the name of its stream.
    #[must_use]
    pub fn of(state: &'a State, stream: &StreamId) -> Option<Due<'a>> {
        let id = stream.subject();
        match stream.category() {
            "withdrawal" => Due::withdrawal(id, state.withdrawals.get(id)?),
            "burn" => Due::burn(id, state.burns.get(id)?),
            _ => None,
        }
    }

    /// The transactions that are named for it: attempts, cancels, hashes without a slot, the payment that is booked.
    pub fn names(&self) -> impl Iterator<Item = &TxHash> {
        let signed = self.slots.iter().flat_map(|slot| slot.attempts.iter().chain(&slot.cancels));
        signed.chain(self.asked).chain(self.settled_by)
    }

    /// Whether a transfer could be its payment: of its amount, to its address. Where its destination is no address, whoever
    /// got the amount may be meant.
    #[must_use]
    pub fn fits(&self, transfer: &Transfer) -> bool {
        self.is_to(transfer) && self.amount.is_none_or(|amount| amount == transfer.value)
    }

    fn is_to(&self, transfer: &Transfer) -> bool {
        transfer.to == self.to || !is_address(&self.to) && transfer.to.as_str() != DEAD_ADDRESS
    }

    /// The transaction that paid it, as far as the register knows: what is due is paid once, and everything else that
    /// it names explains nothing.
    fn paid_by(&self, register: &'a Register) -> Option<&'a TxHash> {
        let fitting =
            |tx: &&TxHash| register.get(tx).is_some_and(|sent| sent.transfers.iter().any(|one| self.fits(one)));
        if let Some(tx) = self.settled_by {
            return register.get(tx).map(|sent| &sent.tx);
        }
        let paid = self.names().filter(fitting).filter_map(|tx| register.get(tx));
        paid.min_by_key(|sent| (!sent.is_final, sent.first, &sent.tx)).map(|sent| &sent.tx)
    }
}

/// What left our wallets for the address of something that is due, since it was asked for, and nothing explains: it may
/// be its payment. What was signed for it itself is judged by its slots. The first of them, at most [`FOUND_MAX`]: one is
/// enough to say that nobody knows, and a lost journal may leave thousands.
#[must_use]
pub fn unexplained<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let register = state.chain.outgoing();
    let may_pay = |sent: &&Outgoing| !is_own(state, due, sent) && pays_it(state, due, sent);
    match is_address(&due.to) {
        true => register.to(&due.to, due.since).filter(may_pay).take(FOUND_MAX).collect(),
        false => register.since(due.since).filter(may_pay).take(FOUND_MAX).collect(),
    }
}

/// How many transfers are named that may have paid one thing.
pub const FOUND_MAX: usize = 8;

/// What is named for something that is due and has a transfer to its address that nothing else explains: where its slots do
/// not say that it was paid, it may be paid all the same, or in part.
#[must_use]
pub fn named_for_it<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let register = state.chain.outgoing();
    let mut found: Vec<&Outgoing> = due.names().filter_map(|tx| register.get(tx)).collect();
    found.retain(|sent| pays_it(state, due, sent));
    found.sort_by_key(|sent| (sent.first, &sent.tx));
    found.dedup();
    found
}

/// Every final transaction with transfers out of our wallets that nothing explains, in the order they were first seen.
pub fn unexplained_by_anything(state: &State) -> impl Iterator<Item = (&Outgoing, Vec<&Transfer>)> {
    let register = state.chain.outgoing();
    let all = register.in_order.by_position.iter().filter_map(|(_, tx)| register.get(tx));
    let all = all.filter(|sent| sent.is_final);
    all.map(|sent| (sent, left_over(state, sent, None).collect::<Vec<_>>())).filter(|(_, parts)| !parts.is_empty())
}

/// Whether a transaction has a transfer to the address of what is due that nothing else explains. Of a burn only one that it
/// could be in, because shares may be burned together: what all burns are sent to is no sign of this one. Of what has no
/// address only one of its amount, unless the transaction is named for it or went to a wallet of its own player.
pub(crate) fn pays_it(state: &State, due: &Due<'_>, sent: &Outgoing) -> bool {
    let is_burn = due.stream.category() == "burn";
    let any_sum = is_address(&due.to) || is_own(state, due, sent);
    let could_be = |part: &Transfer| match is_burn {
        true => due.amount.is_none_or(|share| part.value >= share),
        false => any_sum || due.fits(part) || has_players_wallet(state, due, &part.to) == Some(true),
    };
    left_over(state, sent, Some(&due.stream)).any(|part| due.is_to(part) && could_be(part))
}

/// Whether an address is a wallet that the player of a withdrawal proved to hold; `None` where nobody did.
pub(crate) fn has_players_wallet(state: &State, due: &Due<'_>, address: &Label) -> Option<bool> {
    let holder = state.players.holder(address)?;
    let withdrawal = state.withdrawals.get(due.stream.subject()).filter(|_| due.stream.category() == "withdrawal");
    Some(withdrawal.is_some_and(|known| known.player == *holder))
}

/// Whether a call of our token by a wallet of ours is known that no source shows in a block, and that nothing names: no scan
/// of what is final shows where it goes.
pub(crate) fn perhaps_pending(state: &State, due: &Due<'_>) -> bool {
    let register = state.chain.outgoing();
    let unnamed = |tx: &TxHash| !register.named.contains_key(tx) && register.explained(tx).is_none();
    let open = register.pending.iter().filter_map(|tx| register.get(tx));
    open.into_iter().any(|sent| !due.since.is_after(sent.first, sent.first_at) && unnamed(&sent.tx))
}

/// What a transaction is the payment of, by its name, its address and its amount.
#[must_use]
pub fn paid_for(state: &State, tx: &TxHash) -> Option<StreamId> {
    let register = state.chain.outgoing();
    named_dues(state, tx).find(|due| due.paid_by(register) == Some(tx)).map(|due| due.stream)
}

/// Whether a payment that is booked as another's has nothing left for this: one transfer pays one thing.
pub(crate) fn is_used_up(state: &State, due: &Due<'_>, tx: &TxHash) -> bool {
    let Some(sent) = state.chain.outgoing().get(tx) else { return false };
    let mut parts: Vec<&Transfer> = sent.transfers.iter().collect();
    for other in named_dues(state, tx).filter(|other| other.settled && other.stream != due.stream) {
        if let Some(part) = parts.iter().position(|part| other.fits(part)) {
            parts.remove(part);
        }
    }
    !parts.into_iter().any(|part| due.fits(part))
}

fn named_dues<'a>(state: &'a State, tx: &TxHash) -> impl Iterator<Item = Due<'a>> {
    let named = state.chain.outgoing().named.get(tx).into_iter().flatten();
    named.filter_map(|stream| Due::of(state, stream))
}

/// What left our wallets for anybody since something was asked for that nothing was ever signed for, could be its payment by
/// its amount, or cannot be told yet, and nothing explains.
#[must_use]
pub fn unexplained_elsewhere<'a>(state: &'a State, due: &Due<'_>) -> Vec<&'a Outgoing> {
    let Some(amount) = due.amount.filter(|_| !due.sent) else { return Vec::new() };
    let register = state.chain.outgoing();
    let ours = |address: &Label| {
        register.is_wallet(address) || state.chain.policies().any(|policy| policy.watched.contains(address))
    };
    let could_be = |sent: &&Outgoing| match sent.transfers.is_empty() {
        true => !register.named.contains_key(&sent.tx) && register.explained(&sent.tx).is_none(),
        false => left_over(state, sent, Some(&due.stream)).any(|part| part.value == amount && !ours(&part.to)),
    };
    register.since(due.since).filter(could_be).take(FOUND_MAX).collect()
}

fn is_own(state: &State, due: &Due<'_>, sent: &Outgoing) -> bool {
    state.chain.outgoing().named.get(&sent.tx).is_some_and(|streams| streams.contains(&due.stream))
}

/// The transfers of a transaction that nothing explains, one stream left out of account.
fn left_over<'a>(state: &'a State, sent: &'a Outgoing, but: Option<&StreamId>) -> impl Iterator<Item = &'a Transfer> {
    let register = state.chain.outgoing();
    let mut parts: Vec<&Transfer> = match register.explained(&sent.tx) {
        Some(_) => Vec::new(),
        None => sent.transfers.iter().collect(),
    };
    for other in named_dues(state, &sent.tx).filter(|other| Some(&other.stream) != but) {
        if other.paid_by(register) == Some(&sent.tx)
            && let Some(part) = parts.iter().position(|part| other.fits(part))
        {
            parts.remove(part);
        }
    }
    parts.into_iter()
}

/// Whether something else that is open could have been paid by a transfer to the same address.
#[must_use]
pub fn has_rivals(state: &State, id: &str, withdrawal: &Withdrawal) -> bool {
    state.withdrawals.iter().any(|(other, known)| {
        let open = matches!(known.phase, WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed);
        open && other.as_str() != id && known.destination == withdrawal.destination
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
