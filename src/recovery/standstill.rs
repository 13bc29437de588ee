//! While it is not known what is final, or one person alone says whom to believe, no money moves (D10, law 2).

use wox_events::{BurnEvent, ChainEvent, DepositEvent, Event, Family, StreamId, WithdrawalEvent, chain::Intent};

use wox_projections::due::Due;

use super::{Evidence, Step};
use crate::{
    command::word,
    procedures::banking::{changed_rules, finality_violation, settled_payment},
};

/// Why no money moves: a final block is missing, and nobody knows what else is; or one person alone says whom to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standstill {
    /// Which block of what.
    pub why: String,
    /// What ends it.
    pub next: String,
    /// The stream of what went away, where that is a payment: what is asked about it is not stopped.
    pub about: Option<StreamId>,
}

/// While a final block is missing nobody knows what else is: no money moves until two people have decided (D10). A look
/// that shows it is enough; that nobody has recorded the alarm yet makes it no better.
#[must_use]
pub fn standstill(evidence: &Evidence) -> Option<Standstill> {
    let seen = |stream: &&StreamId| stream.family() == Some(Family::Chain);
    if let Some(held) = evidence.replay.held().keys().find(seen).and_then(|stream| evidence.replay.held().get(stream)) {
        let position = held.since.position;
        return Some(Standstill {
            why: format!("{} is held: what was seen of the chain since then counts for nothing", held.since),
            next: format!(
                "wox show {position} shows what holds it; wox recover event {position} --why REASON leaves it out"
            ),
            about: None,
        });
    }
    let until = "no money moves until two people have decided";
    if let Some(violation) = evidence.replay.state.chain.first_violation() {
        return Some(Standstill {
            why: format!("a final block went away ({violation}): {until}"),
            next: "wox recover deposit lists which; wox recover deposit ID --second NAME --why REASON decides it"
                .into(),
            about: None,
        });
    }
    if let Some(deposit) = finality_violation::unrecorded(evidence) {
        return Some(Standstill {
            why: format!("the final block of {deposit} went away (D10): {until}"),
            next: "apply the plan that records it (wox plan), then two people decide".into(),
            about: None,
        });
    }
    if let Some(stop) = changed_rules::standstill(evidence) {
        return Some(stop);
    }
    let (payment, is_paid) = settled_payment::gone(evidence)?;
    let (category, id) = (payment.category(), word(payment.subject()));
    let state = &evidence.replay.state;
    let by_hash = Due::of(state, &payment).filter(|due| state.paid_from(due).is_none()).and_then(|due| due.settled_by);
    if let Some(tx) = by_hash.filter(|_| is_paid) {
        return Some(Standstill {
            why: format!("the final block of {payment} went away: no money moves until it is final again"),
            next: format!(
                "ask every source and another operator's node; who sent {tx} sends the same bytes again, or spends its slot on \
                 nothing; once that is final: wox observe transaction {tx}"
            ),
            about: Some(payment),
        });
    }
    // What was paid is to be paid again; what went back is not.
    let (what, flag) = match is_paid {
        true => ("what no source knows any more is sent again", "--rebroadcast"),
        false => ("it went back, so its slot is taken", "--fence"),
    };
    Some(Standstill {
        why: format!("the final block of {payment} went away: no money moves until it is final again"),
        next: format!(
            "ask every source and another operator's node: wox observe {category} {id}; {what}: wox recover {category} {id} \
             {flag} --why REASON"
        ),
        about: Some(payment),
    })
}

/// Whether a step of this stream waits while money stands still. What cannot be read waits as well.
#[must_use]
pub fn waits(stream: &StreamId, step: &Step) -> bool {
    Event::decode(stream, &step.kind, step.version, step.data.as_str()).map_or(true, |event| moves(&event))
}

/// Whether an event makes money move outside or says what did. Every kind of the families around the chain is named, so
/// that a new one has to be thought about; the game's own money goes on.
fn moves(event: &Event) -> bool {
    match event {
        Event::Deposit(event) => match event {
            DepositEvent::DepositCredited { .. }
            | DepositEvent::DepositDustRecorded { .. }
            | DepositEvent::DepositQuarantined { .. }
            | DepositEvent::QuarantineReleased { .. } => true,
            DepositEvent::DepositObserved { .. }
            | DepositEvent::DepositAttributed { .. }
            | DepositEvent::DepositReorged { .. }
            | DepositEvent::DepositRejected { .. }
            | DepositEvent::DepositReplaced { .. }
            | DepositEvent::DepositDebited { .. }
            | DepositEvent::SuspenseReversed { .. }
            | DepositEvent::AttributionCorrected { .. }
            | DepositEvent::CreditImported { .. } => false,
        },
        Event::Withdrawal(event) => match event {
            WithdrawalEvent::WithdrawalSettled { .. }
            | WithdrawalEvent::HoldReleased { .. }
            | WithdrawalEvent::RebroadcastRequested { .. }
            | WithdrawalEvent::BumpRequested { .. } => true,
            // To give a slot up moves nothing.
            WithdrawalEvent::FenceRequested { .. }
            | WithdrawalEvent::WithdrawalRequested { .. }
            | WithdrawalEvent::FundsHeld { .. }
            | WithdrawalEvent::TxSigned { .. }
            | WithdrawalEvent::TxBroadcast { .. }
            | WithdrawalEvent::TxMined { .. }
            | WithdrawalEvent::TxReverted { .. }
            | WithdrawalEvent::TxReplaced { .. }
            | WithdrawalEvent::WithdrawalFailed { .. }
            | WithdrawalEvent::WithdrawalFenced { .. }
            | WithdrawalEvent::WithdrawalImported { .. } => false,
        },
        Event::Burn(event) => match event {
            // What is scheduled is burned.
            BurnEvent::BurnSettled { .. } | BurnEvent::BurnScheduled { .. } => true,
            BurnEvent::BurnIntentRequested { intent, .. } => *intent != Intent::Fence,
            BurnEvent::BurnTxSigned { .. }
            | BurnEvent::BurnTxBroadcast { .. }
            | BurnEvent::BurnCancelled { .. }
            | BurnEvent::BurnImported { .. } => false,
        },
        Event::Chain(event) => match event {
            ChainEvent::HoldingsAdjusted { .. } | ChainEvent::HoldingsAdjustmentReversed { .. } => true,
            ChainEvent::ChainPolicyDeclared { .. }
            | ChainEvent::TransactionLooked { .. }
            | ChainEvent::SlotLooked { .. }
            | ChainEvent::WalletScanned { .. }
            | ChainEvent::HoldingsLooked { .. }
            | ChainEvent::BankConfirmed { .. }
            | ChainEvent::FinalityViolation { .. }
            | ChainEvent::TransferExplained { .. }
            | ChainEvent::FinalityRestored { .. }
            | ChainEvent::DoublePayment { .. }
            | ChainEvent::ReconciliationDrift { .. } => false,
        },
        Event::Player(_)
        | Event::Duel(_)
        | Event::Tournament(_)
        | Event::Pool(_)
        | Event::Command(_)
        | Event::Agent(_)
        | Event::Ops(_)
        | Event::Recovery(_) => false,
    }
}
