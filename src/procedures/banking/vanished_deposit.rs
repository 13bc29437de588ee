//! A deposit that was seen and is not what it seemed (row R12): failed, no money of ours, replaced, its block gone (D4,
//! D5, D7, D9), or still on its way (D2, D3, D6, D8, D11). Nothing was credited, so nothing has to be undone; what may
//! still come is watched and never closed. One that was credited though the chain shows no such money is left to people:
//! it is in a balance, and nobody takes from a player what an engine cannot explain.

use wox_events::{DepositEvent, Label};
use wox_projections::{
    chain::{Judged, judged},
    deposits::{Deposit, DepositPhase},
    verdict::{DepositVerdict, quorum::Transfer},
};

use super::super::{Procedure, Steps, hold, stream};
use crate::command::word;
use crate::recovery::{Case, Evidence, Finding, Repair, Severity};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "vanished_deposit",
    row: "R12",
    finds: "a deposit that was seen and did not become money, or was credited and is none",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let judged = judged(&evidence.replay.state);
    judged
        .iter()
        .flat_map(|judged| judged.deposits.iter().map(move |(subject, deposit)| (judged, *subject, *deposit)))
        .filter_map(|(judged, subject, deposit)| case(evidence, judged, subject, deposit))
        .collect()
}

fn case(evidence: &Evidence, judged: &Judged<'_>, subject: &str, deposit: &Deposit) -> Option<Case> {
    if deposit.phase == DepositPhase::Credited {
        return contradicted(evidence, judged, subject, deposit);
    }
    // Other money that is booked is another procedure's: it does not vanish quietly.
    if deposit.is_booked() || matches!(deposit.phase, DepositPhase::Rejected | DepositPhase::Debited) {
        return None;
    }
    let stream = stream("deposit", subject);
    let cause = judged.look.event.id;
    let repair = match &judged.verdict {
        // Its own log is there: that is money that came in.
        DepositVerdict::Confirmed { transfers, .. } if is_among(transfers, subject, deposit) => return None,
        DepositVerdict::Confirmed { .. } => reject(evidence, judged, &stream, "no-matching-log"),
        DepositVerdict::Reverted { .. } => reject(evidence, judged, &stream, "reverted"),
        DepositVerdict::NotADeposit { reason, .. } => reject(evidence, judged, &stream, reason.code()),
        DepositVerdict::Replaced { by } if deposit.phase != DepositPhase::Replaced => {
            let replaced = DepositEvent::DepositReplaced { by: by.clone() };
            let says = format!("it can never be mined: {by} took its slot");
            Steps::on(evidence, stream.clone()).add(cause, "", replaced, says).repair()
        }
        DepositVerdict::Reorged { was } if deposit.phase != DepositPhase::Reorged => {
            let gone = DepositEvent::DepositReorged { block: was.number, block_hash: was.hash.clone() };
            let says = format!("block {} that had it is gone; nothing was credited", was.number);
            Steps::on(evidence, stream.clone()).add(cause, "", gone, says).repair()
        }
        // Said already, and watched.
        DepositVerdict::Replaced { .. } | DepositVerdict::Reorged { .. } | DepositVerdict::FinalityViolation { .. } => {
            return None;
        }
        DepositVerdict::Pending { .. }
        | DepositVerdict::Detached
        | DepositVerdict::InPool
        | DepositVerdict::Dropped
        | DepositVerdict::Unknown { .. } => {
            hold("it may still come: nothing is credited and nothing closed", "look again later: wox observe")
        }
    };
    let waits = matches!(repair, Repair::Hold { .. });
    let finding = Finding {
        severity: if waits { Severity::Medium } else { Severity::Low },
        since: Some(judged.look.event.clone()),
        outcome_unknown: waits,
        ..PROCEDURE.finding(
            "WOX-BANK-VERIFY-002",
            &stream,
            format!("deposit {subject}: {}, {}", judged.verdict.row(), judged.verdict.says()),
        )
    };
    Some(Case { finding, repair })
}

fn is_among(transfers: &[Transfer], subject: &str, deposit: &Deposit) -> bool {
    let named = deposit.reference.as_deref().unwrap_or(subject);
    transfers.iter().any(|transfer| named.ends_with(&format!(":{}", transfer.ordinal)))
}

/// A credit for which the chain shows no money. A final block decides that; that nobody knows a transaction does not.
fn contradicted(evidence: &Evidence, judged: &Judged<'_>, subject: &str, deposit: &Deposit) -> Option<Case> {
    let lost = || evidence.replay.state.is_lost(subject);
    let unknown = match &judged.verdict {
        DepositVerdict::FinalityViolation { .. } if lost() => false,
        DepositVerdict::Confirmed { transfers, .. } if is_among(transfers, subject, deposit) => return None,
        DepositVerdict::Confirmed { .. }
        | DepositVerdict::Reverted { .. }
        | DepositVerdict::NotADeposit { .. }
        | DepositVerdict::Replaced { .. } => false,
        DepositVerdict::Dropped => true,
        // On its way, not asked well enough, or another procedure's.
        DepositVerdict::Pending { .. }
        | DepositVerdict::Detached
        | DepositVerdict::InPool
        | DepositVerdict::Reorged { .. }
        | DepositVerdict::FinalityViolation { .. }
        | DepositVerdict::Unknown { .. } => return None,
    };
    let finding = Finding {
        severity: Severity::Critical,
        since: Some(judged.look.event.clone()),
        outcome_unknown: unknown,
        ..PROCEDURE.finding(
            "WOX-BANK-VERIFY-002",
            &stream("deposit", subject),
            format!(
                "deposit {subject} was credited, and the chain shows no such money: {}, {}",
                judged.verdict.row(),
                judged.verdict.says()
            ),
        )
    };
    let why = "the credit is in a balance, and what was credited for is not on the chain";
    let agree = "what goes back is agreed with the player and recorded as an incident";
    let next = match lost() {
        true => format!(
            "{agree}; where the chain has it final again, two people say so: wox recover deposit {} --second NAME --why REASON",
            word(subject)
        ),
        false => format!("find out who credited it and why; {agree}"),
    };
    Some(Case { finding, repair: hold(why, next) })
}

fn reject(evidence: &Evidence, judged: &Judged<'_>, stream: &wox_events::StreamId, reason: &str) -> Repair {
    let rejected = DepositEvent::DepositRejected { reason: Label::new(reason).expect("an identity") };
    let says = format!("close it: {}", judged.verdict.says());
    Steps::on(evidence, stream.clone()).add(judged.look.event.id, "", rejected, says).repair()
}
