//! What became of money by the log: where it is, since which event, and by whose decision. The chain says what happened
//! there; this says what was made of it here. Pure: the events are read elsewhere.

use wox_events::{
    DepositEvent, Event, EventId, Recorded, StreamId, TxHash, WithdrawalEvent, withdrawal::ReversalProof,
};
use wox_projections::{
    EventRef, State,
    burns::{Burn, BurnPhase},
    deposits::{Deposit, DepositPhase},
    withdrawals::{Withdrawal, WithdrawalPhase},
};

use super::grounds::Subject;
use crate::command::word;

/// The streams in which it stands what became of something.
#[must_use]
pub fn streams(state: &State, subject: &Subject) -> Vec<StreamId> {
    let names: Vec<String> = match subject {
        Subject::Transaction { chain, tx } => {
            deposits(state, *chain, tx).into_iter().map(|(subject, _)| format!("deposit-{subject}")).collect()
        }
        Subject::Withdrawal(id) => vec![format!("withdrawal-{id}")],
        Subject::Burn(id) => vec![format!("burn-{id}")],
    };
    names.into_iter().filter_map(|name| StreamId::new(name).ok()).collect()
}

/// What became of it, one sentence each; nothing where the log has booked nothing. The events are those of [`streams`].
#[must_use]
pub fn became(state: &State, subject: &Subject, events: &[Recorded]) -> Vec<String> {
    match subject {
        Subject::Transaction { chain, tx } => {
            let known = deposits(state, *chain, tx);
            // Of several of one transaction each is decided by its own name.
            let named = |subject: &str| if known.len() == 1 { word(tx.as_str()) } else { word(subject) };
            let decide = |subject: &str| format!("wox recover deposit {} --player ID --why REASON", named(subject));
            known.iter().flat_map(|(subject, deposit)| of_deposit(subject, deposit, &decide(subject), events)).collect()
        }
        Subject::Withdrawal(id) => {
            state.withdrawals.get(id).map(|withdrawal| of_withdrawal(withdrawal, events)).into_iter().collect()
        }
        Subject::Burn(id) => state.burns.get(id).map(|burn| of_burn(burn, events)).into_iter().collect(),
    }
}

fn deposits<'a>(state: &'a State, chain: u64, tx: &TxHash) -> Vec<(&'a str, &'a Deposit)> {
    state.deposits.by_transaction().remove(format!("{chain}:{tx}").as_str()).unwrap_or_default()
}

fn of_deposit(subject: &str, deposit: &Deposit, decide: &str, events: &[Recorded]) -> Vec<String> {
    let mut says = Vec::new();
    for credit in &deposit.credits {
        let back = if credit.debited { ", and was taken back" } else { "" };
        let twice = if credit.duplicate_of.is_some() { " a second time" } else { "" };
        says.push(format!("{} G went to player {}{twice} by {}{back}", credit.amount, credit.player, credit.event));
    }
    if let Some(since) = deposit.suspended {
        says.push(format!("{}; a person decides whose it is: {decide}", suspended(events, since)));
    }
    let last = || last(events, &format!("deposit-{subject}"));
    match deposit.phase {
        DepositPhase::Rejected => says.push(format!("refused as no money of ours{}", last())),
        DepositPhase::Replaced => says.push(format!("dead: another transaction took its place{}", last())),
        DepositPhase::Observed | DepositPhase::Attributed | DepositPhase::Reorged => {
            says.push(format!("on nobody's balance yet: {}{}", deposit.phase, last()));
        }
        DepositPhase::Credited | DepositPhase::Debited | DepositPhase::Dust | DepositPhase::Quarantined => {}
    }
    says
}

/// What waits in suspense, since which event, and why.
fn suspended(events: &[Recorded], since: EventId) -> String {
    let Some(found) = events.iter().find(|event| event.id == since) else { return "it waits in suspense".into() };
    let (value, why) = match &found.event {
        Ok(Event::Deposit(DepositEvent::DepositQuarantined { value, reason })) => (value, reason.as_str()),
        Ok(Event::Deposit(DepositEvent::DepositDustRecorded { value })) => (value, "below the minimum"),
        _ => return format!("it waits in suspense since {}", EventRef::of(found)),
    };
    format!("{value} G wait in suspense since {} ({why})", EventRef::of(found))
}

fn of_withdrawal(withdrawal: &Withdrawal, events: &[Recorded]) -> String {
    let newest = |wanted: fn(&WithdrawalEvent) -> bool| {
        events.iter().rev().find_map(|event| match &event.event {
            Ok(Event::Withdrawal(found)) if wanted(found) => Some((found, EventRef::of(event))),
            _ => None,
        })
    };
    let Withdrawal { player, amount, phase, .. } = withdrawal;
    let found = match phase {
        WithdrawalPhase::Released => newest(|event| matches!(event, WithdrawalEvent::HoldReleased { .. })),
        WithdrawalPhase::Settled => newest(|event| matches!(event, WithdrawalEvent::WithdrawalSettled { .. })),
        _ => None,
    };
    match (found, phase) {
        (Some((WithdrawalEvent::HoldReleased { amount, player, proof, .. }, event)), _) => {
            format!("{amount} G went back to player {player} by {event}: {}", proven(proof))
        }
        (Some((WithdrawalEvent::WithdrawalSettled { tx, net }, event)), _) => {
            format!("player {player} received {net} G by {tx}, settled by {event}")
        }
        (_, WithdrawalPhase::Released) => format!("{amount} G went back to player {player}, by the game's tables"),
        (_, WithdrawalPhase::Settled) => format!("player {player} was paid, by the game's tables"),
        (_, open) => format!("not over: {amount} G of player {player} are {open}{}", last(events, "withdrawal-")),
    }
}

/// How it was known that no payment could follow.
fn proven(proof: &ReversalProof) -> String {
    match proof {
        ReversalProof::NeverSigned {} => "nothing was ever signed".into(),
        ReversalProof::Reverted { tx, .. } => format!("its payment {tx} failed"),
        ReversalProof::Cancelled { tx, .. } => format!("{tx} took its slot"),
        ReversalProof::Operators { first, second, .. } => format!("{first} and {second} decided it"),
    }
}

fn of_burn(burn: &Burn, events: &[Recorded]) -> String {
    let last = last(events, "burn-");
    match (burn.phase, &burn.settled_by) {
        (BurnPhase::Settled, Some(tx)) => format!("{} G were burned by {tx}{last}", burn.amount),
        (BurnPhase::Cancelled, _) => format!("called off: {} G are not to be burned{last}", burn.amount),
        (phase, _) => format!("{} G to burn are {phase}{last}", burn.amount),
    }
}

/// The newest event of the streams that begin so.
fn last(events: &[Recorded], begins: &str) -> String {
    let newest = events.iter().rev().find(|event| event.stream.as_str().starts_with(begins));
    newest.map(|event| format!(", since {}", EventRef::of(event))).unwrap_or_default()
}
