//! What our wallets are to pay: a withdrawal to its address, a burn to the dead one; since when, how much, and which transactions
//! are named for it.

use wox_events::{Amount, Duration, Position, StreamId, Timestamp, TxHash, chain::is_address, id::Label};

use crate::{
    burns::{Burn, BurnPhase, DEAD_ADDRESS},
    state::State,
    verdict::{quorum::Transfer, withdrawal::Payment},
    withdrawals::{Told, Withdrawal, WithdrawalPhase},
};

/// How far the game's clock and that of whoever looks at the chain may be apart.
const CLOCKS_APART: Duration = Duration::seconds(3600);

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

    /// The earliest time at which something may have been shown that was paid for it, by whatever clock.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        Timestamp(self.time.0.saturating_sub(CLOCKS_APART.0))
    }

    /// Whether the log had something before, by both.
    #[must_use]
    pub fn is_later_than(&self, position: Position, time: Timestamp) -> bool {
        position < self.position && time < self.time
    }

    /// Whether what the log had at a place, shown by the chain at a time, cannot be its payment: it was there before, however
    /// far the clocks are apart.
    #[must_use]
    pub fn rules_out(&self, position: Position, time: Timestamp) -> bool {
        position < self.position && time < self.earliest()
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
    /// When something of it was last told, and where the log has it: of all that was sent since, a scan has to show all.
    pub told: Told,
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
            told: withdrawal.told,
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
            told: Told { time: burn.last_activity, position: burn.last.position },
        })
    }

    /// What a burn of a withdrawal's share would be to pay, where none is known.
    #[must_use]
    pub fn share(id: &str, withdrawal: &Withdrawal) -> Option<Due<'a>> {
        Some(Due {
            stream: StreamId::new(format!("burn-{id}")).ok()?,
            to: Label::new(DEAD_ADDRESS).expect("an address is an identity"),
            amount: Some(withdrawal.hold.as_ref()?.burn_share),
            since: Since { position: withdrawal.requested.position, time: withdrawal.requested_at },
            sent: false,
            asked_by_post: false,
            settled: false,
            slots: &[],
            asked: &[],
            settled_by: None,
            told: withdrawal.told,
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

    /// Whether it is a share of a fee that is to be burned.
    #[must_use]
    pub fn is_burn(&self) -> bool {
        self.stream.category() == "burn"
    }

    pub(crate) fn is_to(&self, transfer: &Transfer) -> bool {
        transfer.to == self.to || !is_address(&self.to) && transfer.to.as_str() != DEAD_ADDRESS
    }
}

/// Whether something else that is open could have been paid by a transfer to the same address.
#[must_use]
pub fn has_rivals(state: &State, id: &str, withdrawal: &Withdrawal) -> bool {
    state
        .withdrawals
        .iter()
        .any(|(other, known)| known.is_open() && other.as_str() != id && known.destination == withdrawal.destination)
}
