//! Withdrawals. Reversible only by proof (law 2): `HoldReleased` is refused unless the proof it carries is borne out by
//! events of the same stream, so no program and no person can reverse a payment that may still land.

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, EventId, PlayerId, Position, Provenance, Recorded, Timestamp, TxHash, WithdrawalEvent, WithdrawalId,
    chain::Intent,
    deposit::Finality,
    id::{Label, is_same_person},
    withdrawal::{ImportedWithdrawal, ReversalProof},
};

use crate::{
    Table,
    projection::{EventAt, Projection, Rejection},
    verdict::withdrawal::{Asked, Payment},
};

/// All withdrawals, in the order they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawals {
    withdrawals: Table<WithdrawalId, Withdrawal>,
    /// Everything that is settled on chain, for conservation.
    settled: Amount,
    /// What was in flight when the game's tables were taken over, for conservation.
    #[serde(default, skip_serializing_if = "Amount::is_zero_ref")]
    imported: Amount,
    /// Which withdrawal each payment settled: one payment pays one.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    paid: Table<TxHash, WithdrawalId>,
}

/// One withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Who asked.
    pub player: PlayerId,
    /// How much, fee included.
    pub amount: Amount,
    /// Whom to pay.
    pub destination: Label,
    /// Where it stands.
    pub phase: WithdrawalPhase,
    /// What was held, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The slots that transactions were signed for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Payment>,
    /// Payments whose hash was named without a slot of ours: by the bank's bot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<TxHash>,
    /// The payment that settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<TxHash>,
    /// True when a recovery booked how it ended, on the chain's final word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proven: bool,
    /// True once the bank's bot was asked by a post; what it tries is not ours to enumerate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked_by_post: bool,
    /// True once a transaction was signed or the bank's bot was asked: from then on a payment may exist.
    pub sent: bool,
    /// A payment that was mined and failed, final, and after which no other was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<TxHash>,
    /// The cancelling transactions we asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fences: Vec<TxHash>,
    /// The cancelling transaction that took the slot, final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<TxHash>,
    /// A payment that was seen in a block; one that is final stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mined: Option<(TxHash, Finality)>,
    /// The block that payment was seen in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mined_in: Option<u64>,
    /// True when it was taken over from the game's tables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// True while nobody knows which burn its fee paid for: the tables do not say, and two open ones may be alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub burn_unknown: bool,
    /// Where it was asked for.
    pub requested: EventAt,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When something last happened.
    pub last_activity: Timestamp,
    /// When the game or the world last told something of it, and where: what a recovery wrote of it paid nothing.
    pub told: Told,
    /// The last event of the stream.
    pub last: EventAt,
}

/// What a hold took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The FundsHeld event.
    pub event: EventId,
    /// In flight.
    pub net: Amount,
    /// In the prize pool.
    pub pool_share: Amount,
    /// In the burn queue.
    pub burn_share: Amount,
}

/// When something was told, and where the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub time: Timestamp,
    /// Its place.
    pub position: Position,
}

/// Where a withdrawal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalPhase {
    /// Asked for.
    Requested,
    /// Its money is held; nobody was asked to pay.
    Held,
    /// A payment may exist; nobody knows yet.
    InDoubt,
    /// Paid, final.
    Settled,
    /// Known to have failed; the hold stands until it is released.
    Failed,
    /// The hold went back.
    Released,
}

impl std::fmt::Display for WithdrawalPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WithdrawalPhase::Requested => "requested",
            WithdrawalPhase::Held => "held",
            WithdrawalPhase::InDoubt => "in doubt",
            WithdrawalPhase::Settled => "settled",
            WithdrawalPhase::Failed => "failed",
            WithdrawalPhase::Released => "released",
        })
    }
}

impl Withdrawal {
    /// Whether it is held and neither paid nor given back.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed)
    }

    /// What is known of one of its slots.
    #[must_use]
    pub fn payment(&self, wallet: &Label, nonce: u64) -> Option<&Payment> {
        self.slots.iter().find(|slot| slot.wallet == *wallet && slot.nonce == nonce)
    }

    /// A slot of the withdrawal, known or new.
    fn slot(&mut self, wallet: &Label, nonce: u64) -> &mut Payment {
        let known = self.slots.iter().position(|slot| slot.wallet == *wallet && slot.nonce == nonce);
        let index = known.unwrap_or_else(|| {
            let amount = self.hold.as_ref().map(|hold| hold.net).unwrap_or_default();
            self.slots.push(Payment::of(wallet.clone(), nonce, self.destination.clone(), amount));
            self.slots.len() - 1
        });
        &mut self.slots[index]
    }
}

impl Withdrawals {
    /// A withdrawal by id.
    #[must_use]
    pub fn get(&self, withdrawal: &str) -> Option<&Withdrawal> {
        self.withdrawals.get(withdrawal)
    }

    /// All withdrawals, in the order they were asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&WithdrawalId, &Withdrawal)> {
        self.withdrawals.iter()
    }

    /// The withdrawal that a payment settled.
    #[must_use]
    pub fn paid_by(&self, tx: &TxHash) -> Option<&WithdrawalId> {
        self.paid.get(tx)
    }

    /// What was in flight when the game's tables were taken over.
    #[must_use]
    pub fn imported(&self) -> Amount {
        self.imported
    }

    /// Takes over a request of the game's tables.
    fn import(&mut self, at: &Recorded, event: &WithdrawalEvent) {
        let WithdrawalEvent::WithdrawalImported {
            player,
            amount,
            net,
            pool_share,
            burn_share,
            burn_known,
            standing,
            destination,
            tx,
            requested_at,
            completed_at,
            ..
        } = event
        else {
            return;
        };
        let Ok(id) = WithdrawalId::new(at.stream.subject()) else { return };
        let open = *standing == ImportedWithdrawal::InDoubt;
        if open {
            self.imported = self.imported.checked_add(*net).expect("the ledger bounds everything that comes in");
        }
        let phase = match standing {
            ImportedWithdrawal::InDoubt => WithdrawalPhase::InDoubt,
            ImportedWithdrawal::Paid => WithdrawalPhase::Settled,
            ImportedWithdrawal::Failed => WithdrawalPhase::Failed,
            ImportedWithdrawal::Returned => WithdrawalPhase::Released,
        };
        if let (ImportedWithdrawal::Paid, Some(tx)) = (standing, tx) {
            self.paid.entry(tx.clone()).or_insert_with(|| id.clone());
        }
        let hold = Hold { event: at.id, net: *net, pool_share: *pool_share, burn_share: *burn_share };
        self.withdrawals.insert(
            id,
            Withdrawal {
                player: player.clone(),
                amount: *amount,
                destination: destination.clone(),
                phase,
                hold: open.then_some(hold),
                slots: Vec::new(),
                asked: tx.iter().filter(|_| open).cloned().collect(),
                proven: false,
                settled_by: tx.clone().filter(|_| *standing == ImportedWithdrawal::Paid),
                // The bank's bot pays for the game, and what it was asked before the import nobody recorded.
                asked_by_post: true,
                sent: true,
                reverted: None,
                fences: Vec::new(),
                fenced: None,
                mined: None,
                mined_in: None,
                imported: true,
                burn_unknown: open && !burn_known,
                requested: EventAt::of(at),
                requested_at: requested_at.unwrap_or(at.time),
                last_activity: completed_at.or(*requested_at).unwrap_or(at.time),
                told: Told { time: completed_at.or(*requested_at).unwrap_or(at.time), position: at.position },
                last: EventAt::of(at),
            },
        );
    }

    /// Everything that is settled on chain.
    #[must_use]
    pub fn settled(&self) -> Amount {
        self.settled
    }
}

fn kind_is_rebroadcast(event: &WithdrawalEvent) -> bool {
    matches!(event, WithdrawalEvent::RebroadcastRequested { .. })
}

fn not_over(id: &str, withdrawal: &Withdrawal) -> Result<(), Rejection> {
    match withdrawal.phase {
        WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed => Ok(()),
        phase => Err(Rejection::state(format_args!("withdrawal {id}"), phase, "held and not settled")),
    }
}

fn proven(id: &str, withdrawal: &Withdrawal, proof: &ReversalProof) -> Result<(), Rejection> {
    let unproven = |is: &str| Err(Rejection::state(format_args!("withdrawal {id}"), is, "proven dead on chain"));
    if matches!(&withdrawal.mined, Some((_, Finality::Finalized))) {
        return unproven("paid, final on chain");
    }
    match proof {
        ReversalProof::NeverSigned {} if withdrawal.sent => unproven("signed or sent"),
        ReversalProof::Reverted { tx, .. } if withdrawal.reverted.as_ref() != Some(tx) => {
            unproven("without a final failed payment of that hash")
        }
        ReversalProof::Cancelled { tx, .. } if withdrawal.fenced.as_ref() != Some(tx) => {
            unproven("without a final cancelling transaction of that hash")
        }
        ReversalProof::Operators { first, second, .. } if is_same_person(first, second) => {
            unproven("decided by one person only")
        }
        ReversalProof::NeverSigned {}
        | ReversalProof::Reverted { .. }
        | ReversalProof::Cancelled { .. }
        | ReversalProof::Operators { .. } => Ok(()),
    }
}

fn asked(intent: Intent, tx: Option<&TxHash>, evidence: Option<EventId>, by: &Label, at: &Recorded) -> Asked {
    Asked { intent, tx: tx.cloned(), evidence, by: by.clone(), at: at.time }
}

/// From here on a payment may exist. An earlier one that failed proves nothing about this one. What is over stays over.
fn payment_tried(withdrawal: &mut Withdrawal, tx: Option<&TxHash>) {
    withdrawal.sent = true;
    if matches!(withdrawal.phase, WithdrawalPhase::Settled | WithdrawalPhase::Released) {
        return;
    }
    withdrawal.phase = WithdrawalPhase::InDoubt;
    withdrawal.reverted.take_if(|failed| tx != Some(failed));
}

impl Projection for Withdrawals {
    type Event = WithdrawalEvent;
    const NAME: &'static str = "withdrawals";

    fn check(&self, at: &Recorded, event: &WithdrawalEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let known = self.withdrawals.get(id);
        if matches!(event, WithdrawalEvent::WithdrawalRequested { .. } | WithdrawalEvent::WithdrawalImported { .. }) {
            if known.is_some() {
                return Err(Rejection::exists("withdrawal", id));
            }
            let WithdrawalEvent::WithdrawalImported { amount, net, pool_share, burn_share, .. } = event else {
                return Ok(());
            };
            let parts = Amount::checked_sum([*net, *pool_share, *burn_share]).unwrap_or_default();
            return Rejection::same("sum of the parts", amount, &parts);
        }
        let Some(withdrawal) = known else { return Err(Rejection::unknown("withdrawal", id)) };
        match event {
            WithdrawalEvent::WithdrawalRequested { .. } | WithdrawalEvent::WithdrawalImported { .. } => Ok(()),
            WithdrawalEvent::FundsHeld { player, amount, net, pool_share, burn_share } => {
                if withdrawal.phase != WithdrawalPhase::Requested {
                    return Err(Rejection::state(format_args!("withdrawal {id}"), withdrawal.phase, "requested"));
                }
                Rejection::same("player", &withdrawal.player, player)?;
                Rejection::same("amount", &withdrawal.amount, amount)?;
                let parts = Amount::checked_sum([*net, *pool_share, *burn_share]).unwrap_or_default();
                Rejection::same("sum of the parts", amount, &parts)
            }
            WithdrawalEvent::TxMined { .. }
            | WithdrawalEvent::TxReverted { .. }
            | WithdrawalEvent::TxReplaced { .. }
            | WithdrawalEvent::WithdrawalFailed { .. } => not_over(id, withdrawal),
            // What is over may have a slot left that could pay it again; that one was signed for it later is a fact, and nobody
            // would watch it if it were refused.
            WithdrawalEvent::TxSigned { .. }
            | WithdrawalEvent::TxBroadcast { .. }
            | WithdrawalEvent::FenceRequested { .. }
            | WithdrawalEvent::WithdrawalFenced { .. } => match withdrawal.phase {
                WithdrawalPhase::Settled | WithdrawalPhase::Released => Ok(()),
                _ => not_over(id, withdrawal),
            },
            WithdrawalEvent::RebroadcastRequested { wallet, nonce, tx, .. }
            | WithdrawalEvent::BumpRequested { wallet, nonce, tx, .. } => {
                // What is booked as paid and went away is sent again; more is offered for nothing that is over.
                let again = withdrawal.settled_by.as_ref() == Some(tx) && kind_is_rebroadcast(event);
                if !again {
                    not_over(id, withdrawal)?;
                }
                let known = withdrawal.payment(wallet, *nonce).is_some_and(|slot| slot.attempts.contains(tx));
                if known { Ok(()) } else { Err(Rejection::unknown("attempt", tx)) }
            }
            WithdrawalEvent::WithdrawalSettled { net, .. } => {
                not_over(id, withdrawal)?;
                let held = withdrawal.hold.as_ref().map(|hold| hold.net).unwrap_or_default();
                Rejection::same("net", &held, net)
            }
            WithdrawalEvent::HoldReleased { player, amount, net, pool_share, burn_share, proof, corrects } => {
                not_over(id, withdrawal)?;
                let Some(hold) = &withdrawal.hold else { return Err(Rejection::unknown("hold of withdrawal", id)) };
                Rejection::same("corrects", &hold.event, corrects)?;
                Rejection::same("player", &withdrawal.player, player)?;
                Rejection::same("amount", &withdrawal.amount, amount)?;
                Rejection::same("net", &hold.net, net)?;
                Rejection::same("pool share", &hold.pool_share, pool_share)?;
                Rejection::same("burn share", &hold.burn_share, burn_share)?;
                if withdrawal.burn_unknown {
                    let needs = "of a fee whose burn is known";
                    return Err(Rejection::state(format_args!("withdrawal {id}"), "imported", needs));
                }
                proven(id, withdrawal, proof)
            }
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &WithdrawalEvent) {
        let id = at.stream.subject();
        if let WithdrawalEvent::WithdrawalImported { .. } = event {
            self.import(at, event);
            return;
        }
        if let WithdrawalEvent::WithdrawalRequested { player, amount, destination } = event {
            let Ok(id) = WithdrawalId::new(id) else { return };
            self.withdrawals.insert(
                id,
                Withdrawal {
                    player: player.clone(),
                    amount: *amount,
                    destination: destination.clone(),
                    phase: WithdrawalPhase::Requested,
                    hold: None,
                    slots: Vec::new(),
                    asked: Vec::new(),
                    settled_by: None,
                    proven: false,
                    asked_by_post: false,
                    sent: false,
                    reverted: None,
                    fences: Vec::new(),
                    fenced: None,
                    mined: None,
                    mined_in: None,
                    imported: false,
                    burn_unknown: false,
                    requested: EventAt::of(at),
                    requested_at: at.time,
                    last_activity: at.time,
                    told: Told { time: at.time, position: at.position },
                    last: EventAt::of(at),
                },
            );
            return;
        }
        let withdrawal = self.withdrawals.get_mut(id).expect("check knew the withdrawal");
        // What is asked of a signer is no news of the payment: it waits since before.
        let asks = matches!(
            event,
            WithdrawalEvent::RebroadcastRequested { .. }
                | WithdrawalEvent::BumpRequested { .. }
                | WithdrawalEvent::FenceRequested { .. }
        );
        if !asks {
            withdrawal.last_activity = at.time;
            withdrawal.last = EventAt::of(at);
        }
        if at.provenance != Provenance::Recovery {
            withdrawal.told = Told { time: at.time, position: at.position };
        }
        match event {
            WithdrawalEvent::WithdrawalRequested { .. }
            | WithdrawalEvent::WithdrawalImported { .. }
            | WithdrawalEvent::TxReplaced { .. } => {}
            WithdrawalEvent::FundsHeld { net, pool_share, burn_share, .. } => {
                withdrawal.phase = WithdrawalPhase::Held;
                withdrawal.hold =
                    Some(Hold { event: at.id, net: *net, pool_share: *pool_share, burn_share: *burn_share });
            }
            WithdrawalEvent::TxSigned { wallet, nonce, tx, fees, .. } => {
                withdrawal.slot(wallet, *nonce).signed(tx, *fees);
                payment_tried(withdrawal, Some(tx));
            }
            WithdrawalEvent::TxBroadcast { tx, post } => {
                // Without a hash nobody can say which transaction it is, whoever sent it.
                withdrawal.asked_by_post |= post.is_some() || tx.is_none();
                let signed = |tx: &TxHash| withdrawal.slots.iter().any(|slot| slot.attempts.contains(tx));
                if let Some(tx) = tx.as_ref().filter(|tx| !signed(tx) && !withdrawal.asked.contains(tx)) {
                    withdrawal.asked.push(tx.clone());
                }
                payment_tried(withdrawal, tx.as_ref());
            }
            WithdrawalEvent::TxMined { tx, finality, .. } if withdrawal.fences.contains(tx) => {
                if *finality == Finality::Finalized {
                    withdrawal.fenced = Some(tx.clone());
                }
            }
            WithdrawalEvent::TxMined { tx, block, finality, .. } => {
                payment_tried(withdrawal, Some(tx));
                if !matches!(&withdrawal.mined, Some((_, Finality::Finalized))) {
                    withdrawal.mined = Some((tx.clone(), *finality));
                    withdrawal.mined_in = Some(*block);
                }
            }
            WithdrawalEvent::TxReverted { tx, finality, .. } => {
                withdrawal.sent = true;
                if *finality == Finality::Finalized {
                    if withdrawal.mined.take_if(|(mined, _)| mined == tx).is_some() {
                        withdrawal.mined_in = None;
                    }
                    withdrawal.reverted = Some(tx.clone());
                    withdrawal.phase = WithdrawalPhase::Failed;
                }
            }
            WithdrawalEvent::RebroadcastRequested { wallet, nonce, tx, evidence, by, .. } => {
                let asked = asked(Intent::Rebroadcast, Some(tx), Some(*evidence), by, at);
                withdrawal.slot(wallet, *nonce).asked.push(asked);
            }
            WithdrawalEvent::BumpRequested { wallet, nonce, tx, evidence, by, .. } => {
                let asked = asked(Intent::Bump, Some(tx), Some(*evidence), by, at);
                withdrawal.slot(wallet, *nonce).asked.push(asked);
            }
            WithdrawalEvent::FenceRequested { wallet, nonce, tx, evidence, by, .. } => {
                let asked = asked(Intent::Fence, tx.as_ref(), *evidence, by, at);
                withdrawal.slot(wallet, *nonce).asked.push(asked);
            }
            WithdrawalEvent::WithdrawalFenced { wallet, nonce, tx } => {
                withdrawal.slot(wallet, *nonce).cancels.push(tx.clone());
                withdrawal.fences.push(tx.clone());
            }
            WithdrawalEvent::WithdrawalFailed { .. } => withdrawal.phase = WithdrawalPhase::Failed,
            WithdrawalEvent::WithdrawalSettled { net, tx } => {
                withdrawal.phase = WithdrawalPhase::Settled;
                withdrawal.settled_by = Some(tx.clone());
                withdrawal.proven = at.provenance == Provenance::Recovery;
                if let (None, Ok(id)) = (self.paid.get(tx), WithdrawalId::new(at.stream.subject())) {
                    self.paid.insert(tx.clone(), id);
                }
                self.settled = self.settled.checked_add(*net).expect("the ledger bounds everything that goes out");
            }
            WithdrawalEvent::HoldReleased { .. } => {
                withdrawal.phase = WithdrawalPhase::Released;
                withdrawal.proven = at.provenance == Provenance::Recovery;
            }
        }
    }
}
