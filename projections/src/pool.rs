//! The prize pool as the game states it, beside what the ledger holds (row R15). The first statement that differs is
//! kept until an adjustment or a later right statement closes the difference.

use serde::{Deserialize, Serialize};
use wox_events::{Amount, PoolEvent, Recorded, pool::Adjustment};

use crate::{
    ledger::Drift,
    projection::{EventRef, Rejection},
};

/// What the game said of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The last statement.
    pub stated: Option<Statement>,
    /// Ledger minus statement, adjustments since then included.
    pub drift: Drift,
    /// The first statement of the present difference.
    pub first_bad: Option<EventRef>,
    /// Contributions from outside, adjustments from the treasury included; for conservation.
    pub contributed: Amount,
    /// What it held when the game's tables were taken over, for conservation.
    #[serde(default, skip_serializing_if = "Amount::is_zero_ref")]
    pub imported: Amount,
    /// How often the pool was adjusted.
    pub adjustments: u32,
}

/// One statement of the game.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The game's figure.
    pub balance: Amount,
    /// The ledger's at that moment.
    pub folded: Amount,
    /// The event.
    pub event: EventRef,
}

impl Pool {
    /// The name of this fold.
    pub const NAME: &'static str = "pool";

    /// Judges an event of the pool's stream. The ledger judges the money.
    pub(crate) fn check(&self, at: &Recorded, event: &PoolEvent) -> Result<(), Rejection> {
        match event {
            PoolEvent::PoolAdjusted { amount, .. } if amount.is_zero() => {
                Err(Rejection::state(format_args!("adjustment {}", at.id), "zero", "an amount"))
            }
            PoolEvent::PoolAdjusted { .. }
            | PoolEvent::PoolContributed { .. }
            | PoolEvent::PoolImported { .. }
            | PoolEvent::PoolStated { .. }
            | PoolEvent::PoolReconciled { .. }
            | PoolEvent::PoolShortfallFound { .. } => Ok(()),
        }
    }

    /// Takes the event in; `folded` is what the ledger's pool held before it.
    pub(crate) fn evolve(&mut self, at: &Recorded, event: &PoolEvent, folded: Amount) {
        const BOUNDED: &str = "the ledger bounds everything that comes in";
        match event {
            PoolEvent::PoolStated { balance } => {
                self.stated = Some(Statement { balance: *balance, folded, event: EventRef::of(at) });
                self.drift = Drift::between(folded, *balance);
                if self.drift.is_zero() {
                    self.first_bad = None;
                } else if self.first_bad.is_none() {
                    self.first_bad = Some(EventRef::of(at));
                }
            }
            PoolEvent::PoolContributed { amount, .. } => {
                self.contributed = self.contributed.checked_add(*amount).expect(BOUNDED);
            }
            PoolEvent::PoolImported { balance, .. } => {
                self.imported = self.imported.checked_add(*balance).expect(BOUNDED);
            }
            PoolEvent::PoolAdjusted { direction, amount, .. } => {
                self.adjustments += 1;
                if *direction == Adjustment::FromTreasury {
                    self.contributed = self.contributed.checked_add(*amount).expect(BOUNDED);
                }
                // Before the game has said anything there is nothing to differ from.
                if self.stated.is_none() {
                    return;
                }
                self.drift = self.drift.saturating_add(match direction {
                    Adjustment::ToSuspense => Drift::between(Amount::ZERO, *amount),
                    Adjustment::FromSuspense | Adjustment::FromTreasury => Drift::between(*amount, Amount::ZERO),
                });
                if self.drift.is_zero() {
                    self.first_bad = None;
                } else if self.first_bad.is_none() {
                    self.first_bad = Some(EventRef::of(at));
                }
            }
            PoolEvent::PoolReconciled { .. } | PoolEvent::PoolShortfallFound { .. } => {}
        }
    }
}
