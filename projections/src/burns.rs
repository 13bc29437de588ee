//! Burns: one a withdrawal, waiting, sent, settled or cancelled (row E1).

use serde::{Deserialize, Serialize};
use wox_events::{Amount, BurnEvent, Recorded, Timestamp, WithdrawalId};

use crate::{
    Table,
    projection::{Projection, Rejection},
};

/// All burns, in the order they were scheduled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burns {
    burns: Table<WithdrawalId, Burn>,
    /// Everything that was burned, for conservation.
    settled: Amount,
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

    /// Judges whether a withdrawal's share can be taken back out of the burn queue: not when it was burned, nor while
    /// it may be.
    pub(crate) fn check_reversal(&self, withdrawal: &str) -> Result<(), Rejection> {
        match self.burns.get(withdrawal).map(|burn| burn.phase) {
            Some(phase @ (BurnPhase::InDoubt | BurnPhase::Settled)) => {
                Err(Rejection::state(format_args!("burn {withdrawal}"), phase, "not sent"))
            }
            None | Some(BurnPhase::Scheduled | BurnPhase::Cancelled) => Ok(()),
        }
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
        if let BurnEvent::BurnScheduled { withdrawal, .. } = event {
            if self.burns.contains_key(id) {
                return Err(Rejection::exists("burn", id));
            }
            return Rejection::same("withdrawal", &id, &withdrawal.as_str());
        }
        let Some(burn) = self.burns.get(id) else { return Err(Rejection::unknown("burn", id)) };
        if matches!(burn.phase, BurnPhase::Settled | BurnPhase::Cancelled) {
            return Err(Rejection::state(format_args!("burn {id}"), burn.phase, "scheduled"));
        }
        match event {
            BurnEvent::BurnSettled { amount, .. } => Rejection::same("amount", &burn.amount, amount),
            BurnEvent::BurnCancelled { .. } if burn.phase != BurnPhase::Scheduled => {
                Err(Rejection::state(format_args!("burn {id}"), burn.phase, "not yet signed"))
            }
            BurnEvent::BurnScheduled { .. }
            | BurnEvent::BurnTxSigned { .. }
            | BurnEvent::BurnTxBroadcast { .. }
            | BurnEvent::BurnCancelled { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &BurnEvent) {
        if let BurnEvent::BurnScheduled { withdrawal, amount, due } = event {
            self.burns.insert(withdrawal.clone(), Burn { amount: *amount, due: *due, phase: BurnPhase::Scheduled });
            return;
        }
        let burn = self.burns.get_mut(at.stream.subject()).expect("check knew the burn");
        match event {
            BurnEvent::BurnScheduled { .. } => {}
            BurnEvent::BurnTxSigned { .. } | BurnEvent::BurnTxBroadcast { .. } => burn.phase = BurnPhase::InDoubt,
            BurnEvent::BurnSettled { amount, .. } => {
                burn.phase = BurnPhase::Settled;
                self.settled = self.settled.checked_add(*amount).expect("the ledger bounds everything that goes out");
            }
            BurnEvent::BurnCancelled { .. } => burn.phase = BurnPhase::Cancelled,
        }
    }
}
