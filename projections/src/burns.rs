//! Burns: one a withdrawal, waiting, sent, settled or cancelled (row E1).

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, BurnEvent, Provenance, Recorded, Timestamp, TxHash, WithdrawalId, burn::ImportedBurn, chain::Intent,
    id::Label, withdrawal::ReversalProof,
};

use crate::{
    Table,
    projection::{EventAt, Projection, Rejection},
    verdict::withdrawal::{Asked, Payment},
};

/// All burns, in the order they were scheduled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burns {
    burns: Table<WithdrawalId, Burn>,
    /// Everything that was burned, for conservation.
    settled: Amount,
    /// What waited when the game's tables were taken over, for conservation.
    #[serde(default, skip_serializing_if = "Amount::is_zero_ref")]
    imported: Amount,
    /// Which burn each transaction settled: one transaction burns for one.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    paid: Table<TxHash, WithdrawalId>,
}

/// One burn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burn {
    /// How much.
    pub amount: Amount,
    /// When it is due.
    pub due: Timestamp,
    /// Where it stands.
    pub phase: BurnPhase,
    /// The slots that transactions were signed for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Payment>,
    /// Transactions that were named without a slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<TxHash>,
    /// The transaction that settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<TxHash>,
    /// True when it was taken over from the game's tables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// True when a recovery booked it, on the chain's final word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proven: bool,
    /// The event that scheduled it.
    pub scheduled: EventAt,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// When something last happened.
    pub last_activity: Timestamp,
    /// The last event of the stream.
    pub last: EventAt,
}

/// Where burnt money goes (domain.md "Burn"), in lower case.
pub const DEAD_ADDRESS: &str = "0x000000000000000000000000000000000000dead";

impl Burn {
    /// Whether it waits to be burned, or may be burned already.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, BurnPhase::Scheduled | BurnPhase::InDoubt)
    }

    /// What is known of one of its slots.
    #[must_use]
    pub fn payment(&self, wallet: &Label, nonce: u64) -> Option<&Payment> {
        self.slots.iter().find(|slot| slot.wallet == *wallet && slot.nonce == nonce)
    }

    /// From here on a transaction may exist. What is over stays over.
    fn tried(&mut self) {
        if self.phase == BurnPhase::Scheduled {
            self.phase = BurnPhase::InDoubt;
        }
    }

    /// A slot of the burn, known or new.
    fn slot(&mut self, wallet: &Label, nonce: u64) -> &mut Payment {
        let known = self.slots.iter().position(|slot| slot.wallet == *wallet && slot.nonce == nonce);
        let index = known.unwrap_or_else(|| {
            let dead = Label::new(DEAD_ADDRESS).expect("an address is an identity");
            self.slots.push(Payment::of(wallet.clone(), nonce, dead, self.amount));
            self.slots.len() - 1
        });
        &mut self.slots[index]
    }
}

/// Where a burn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurnPhase {
    /// Waiting.
    Scheduled,
    /// A transaction may exist; nobody knows yet.
    InDoubt,
    /// Burned, final.
    Settled,
    /// Not to be burned.
    Cancelled,
}

impl std::fmt::Display for BurnPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BurnPhase::Scheduled => "scheduled",
            BurnPhase::InDoubt => "in doubt",
            BurnPhase::Settled => "settled",
            BurnPhase::Cancelled => "cancelled",
        })
    }
}

impl Burns {
    /// A burn by the id of its withdrawal.
    #[must_use]
    pub fn get(&self, withdrawal: &str) -> Option<&Burn> {
        self.burns.get(withdrawal)
    }

    /// All burns, in the order they were scheduled.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&WithdrawalId, &Burn)> {
        self.burns.iter()
    }

    /// Whether the share of a withdrawal is burned: what goes back of it comes out of the pool.
    #[must_use]
    pub fn is_burned(&self, withdrawal: &str) -> bool {
        self.burns.get(withdrawal).is_some_and(|burn| burn.phase == BurnPhase::Settled)
    }

    /// Judges whether a withdrawal's share can be taken back out of the burn queue: not while it may be burned; nor when it
    /// was, but by two people, who have the pool bear it.
    pub(crate) fn check_reversal(&self, withdrawal: &str, proof: &ReversalProof) -> Result<(), Rejection> {
        match self.burns.get(withdrawal).map(|burn| burn.phase) {
            Some(BurnPhase::Settled) if matches!(proof, ReversalProof::Operators { .. }) => Ok(()),
            Some(phase @ (BurnPhase::InDoubt | BurnPhase::Settled)) => {
                Err(Rejection::state(format_args!("burn {withdrawal}"), phase, "not sent"))
            }
            None | Some(BurnPhase::Scheduled | BurnPhase::Cancelled) => Ok(()),
        }
    }

    /// The burn that a transaction settled.
    #[must_use]
    pub fn paid_by(&self, tx: &TxHash) -> Option<&WithdrawalId> {
        self.paid.get(tx)
    }

    /// What waited when the game's tables were taken over.
    #[must_use]
    pub fn imported(&self) -> Amount {
        self.imported
    }

    /// Everything that was burned.
    #[must_use]
    pub fn settled(&self) -> Amount {
        self.settled
    }
}

impl Projection for Burns {
    type Event = BurnEvent;
    const NAME: &'static str = "burns";

    fn check(&self, at: &Recorded, event: &BurnEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        if let BurnEvent::BurnScheduled { withdrawal, .. } | BurnEvent::BurnImported { withdrawal, .. } = event {
            if self.burns.contains_key(id) {
                return Err(Rejection::exists("burn", id));
            }
            return Rejection::same("withdrawal", &id, &withdrawal.as_str());
        }
        let Some(burn) = self.burns.get(id) else { return Err(Rejection::unknown("burn", id)) };
        // What is over may have a slot left that could burn it again.
        let later = matches!(
            event,
            BurnEvent::BurnIntentRequested { intent: Intent::Fence, .. }
                | BurnEvent::BurnTxSigned { .. }
                | BurnEvent::BurnTxBroadcast { .. }
        );
        if !later && matches!(burn.phase, BurnPhase::Settled | BurnPhase::Cancelled) {
            return Err(Rejection::state(format_args!("burn {id}"), burn.phase, "scheduled"));
        }
        match event {
            BurnEvent::BurnSettled { amount, .. } => Rejection::same("amount", &burn.amount, amount),
            BurnEvent::BurnIntentRequested { wallet, nonce, tx, .. } => {
                let known = burn.payment(wallet, *nonce).is_some_and(|slot| slot.attempts.contains(tx));
                if known { Ok(()) } else { Err(Rejection::unknown("attempt", tx)) }
            }
            BurnEvent::BurnScheduled { .. }
            | BurnEvent::BurnImported { .. }
            | BurnEvent::BurnTxSigned { .. }
            | BurnEvent::BurnTxBroadcast { .. }
            | BurnEvent::BurnCancelled { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &BurnEvent) {
        const BOUNDED: &str = "the ledger bounds everything that comes in";
        let made = match event {
            BurnEvent::BurnScheduled { withdrawal, amount, due } => {
                Some((withdrawal, amount, due, BurnPhase::Scheduled))
            }
            BurnEvent::BurnImported { withdrawal, amount, due, standing, .. } => {
                let phase = match standing {
                    ImportedBurn::Scheduled => BurnPhase::Scheduled,
                    ImportedBurn::Burned => BurnPhase::Settled,
                    ImportedBurn::Cancelled => BurnPhase::Cancelled,
                };
                // What was over before the import moved no money of this ledger.
                if phase == BurnPhase::Scheduled {
                    self.imported = self.imported.checked_add(*amount).expect(BOUNDED);
                }
                Some((withdrawal, amount, due, phase))
            }
            _ => None,
        };
        if let Some((withdrawal, amount, due, phase)) = made {
            let burn = Burn {
                amount: *amount,
                due: *due,
                phase,
                slots: Vec::new(),
                asked: Vec::new(),
                settled_by: None,
                imported: matches!(event, BurnEvent::BurnImported { .. }),
                proven: false,
                scheduled: EventAt::of(at),
                scheduled_at: at.time,
                last_activity: at.time,
                last: EventAt::of(at),
            };
            self.burns.insert(withdrawal.clone(), burn);
            return;
        }
        let burn = self.burns.get_mut(at.stream.subject()).expect("check knew the burn");
        // What is asked of a signer is no news of the burn: it waits since before.
        if !matches!(event, BurnEvent::BurnIntentRequested { .. }) {
            burn.last_activity = at.time;
            burn.last = EventAt::of(at);
        }
        match event {
            BurnEvent::BurnScheduled { .. } | BurnEvent::BurnImported { .. } => {}
            BurnEvent::BurnTxSigned { wallet, nonce, tx, fees } => {
                burn.slot(wallet, *nonce).signed(tx, *fees);
                burn.tried();
            }
            BurnEvent::BurnIntentRequested { intent, wallet, nonce, tx, evidence, by, .. } => {
                let (tx, evidence) = (Some(tx.clone()), Some(*evidence));
                let asked = Asked { intent: *intent, tx, evidence, by: by.clone(), at: at.time };
                burn.slot(wallet, *nonce).asked.push(asked);
            }
            BurnEvent::BurnTxBroadcast { tx } => {
                let signed = burn.slots.iter().any(|slot| slot.attempts.contains(tx));
                if !signed && !burn.asked.contains(tx) {
                    burn.asked.push(tx.clone());
                }
                burn.tried();
            }
            BurnEvent::BurnSettled { amount, tx } => {
                burn.phase = BurnPhase::Settled;
                burn.settled_by = Some(tx.clone());
                burn.proven = at.provenance == Provenance::Recovery;
                if let (None, Ok(id)) = (self.paid.get(tx), WithdrawalId::new(at.stream.subject())) {
                    self.paid.insert(tx.clone(), id);
                }
                self.settled = self.settled.checked_add(*amount).expect("the ledger bounds everything that goes out");
            }
            BurnEvent::BurnCancelled { .. } => {
                burn.phase = BurnPhase::Cancelled;
                burn.proven = at.provenance == Provenance::Recovery;
            }
        }
    }
}
