//! What our addresses hold at one final block is not what the ledger owes (row R14). Recorded as a finding with its
//! figures; never adjusted: the difference is explained by events, or by two people (banking.md 4.4).

use wox_events::{Amount, ChainEvent, chain};
use wox_projections::{
    State,
    chain::{judged, owed},
    verdict::{DepositVerdict, HoldingsVerdict, WithdrawalVerdict},
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, Steps, hold};
use crate::recovery::{Case, Evidence, Finding, Severity};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "custody_drift",
    row: "R14",
    finds: "tokens on chain that are not what the ledger owes",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let mut cases = Vec::new();
    for look in state.chain.holdings() {
        let HoldingsVerdict::Held { block, total } = state.chain.holdings_verdict(look) else { continue };
        let Some(expected) = owed(state, block.number) else { continue };
        if expected == total {
            continue;
        }
        let stream = chain::stream(look.chain);
        let (apart, which) = match total.checked_sub(expected) {
            Some(more) => (more, "more than"),
            None => (expected.saturating_sub(total), "less than"),
        };
        let finding = Finding {
            severity: Severity::Critical,
            since: Some(look.event.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-PRIZE-001",
                &stream,
                format!(
                    "our addresses hold {total} G of {} at final block {}, {apart} G {which} the {expected} G the ledger owes",
                    look.subject, block.number,
                ),
            )
        };
        let known = state.chain.drift(&look.subject).is_some_and(|known| known.position > look.event.position);
        if !known {
            let drift = ChainEvent::ReconciliationDrift {
                token: look.subject.clone(),
                block: block.number,
                expected,
                actual: total,
                evidence: look.event.id,
            };
            let repair = Steps::on(evidence, stream)
                .add(look.event.id, look.subject.as_str(), drift, "record the difference; nothing is adjusted")
                .repair();
            cases.push(Case { finding: finding.clone(), repair });
        }
        let explained = open_items(state, block.number);
        let why = match explained.is_empty() {
            true => "no event explains it: an adjustment would hide the cause".to_owned(),
            false => format!("these are not in the ledger yet: {}", explained.join("; ")),
        };
        cases.push(Case {
            finding,
            repair: hold(
                why,
                "apply what is planned for them, then wox reconcile again; what is left is for two people",
            ),
        });
    }
    cases
}

/// What was seen final up to a block and is not booked: it explains a difference before it is repaired.
fn open_items(state: &State, block: u64) -> Vec<String> {
    let deposits = judged(state).into_iter().filter_map(|judged| match &judged.verdict {
        DepositVerdict::Confirmed { block: at, transfers } if at.number <= block => {
            let booked = judged.deposits.iter().any(|(_, deposit)| deposit.is_booked());
            let value = Amount::checked_sum(transfers.iter().map(|transfer| transfer.value))?;
            (!booked).then(|| format!("+{value} G, deposit {}", judged.look.subject))
        }
        _ => None,
    });
    let withdrawals = state.withdrawals.iter().filter_map(|(id, withdrawal)| {
        if matches!(withdrawal.phase, WithdrawalPhase::Settled) {
            return None;
        }
        let net = withdrawal.hold.as_ref()?.net;
        match state.chain.withdrawal_verdict(withdrawal)?.0 {
            WithdrawalVerdict::Executed { block: at, .. } if at.number <= block => {
                Some(format!("-{net} G, withdrawal {id}"))
            }
            _ => None,
        }
    });
    deposits.chain(withdrawals).collect()
}
