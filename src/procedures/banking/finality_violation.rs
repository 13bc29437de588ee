//! A final block that money was booked from is gone (row R12, D10). The alarm is recorded, crediting and paying stop, and
//! what follows is for two people: a block below `finalized` goes only when Ethereum's finality broke or sources lie.

use wox_events::{ChainEvent, chain};
use wox_projections::{
    chain::{Judged, judged},
    verdict::DepositVerdict,
};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, Severity};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "finality_violation",
    row: "R12",
    finds: "money booked from a final block that is gone",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    judged(&evidence.replay.state).iter().flat_map(|judged| cases(evidence, judged)).collect()
}

fn cases(evidence: &Evidence, judged: &Judged<'_>) -> Vec<Case> {
    let DepositVerdict::FinalityViolation { was } = &judged.verdict else { return Vec::new() };
    let booked = judged.deposits.iter().filter(|(_, deposit)| deposit.is_booked());
    let mut cases = Vec::new();
    for (subject, _) in booked {
        let deposit = stream("deposit", subject);
        let finding = Finding {
            severity: Severity::Critical,
            since: Some(judged.look.event.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-VERIFY-002",
                &deposit,
                format!("deposit {subject} is booked from block {} (D10), which was final and is gone", was.number),
            )
        };
        if !evidence.replay.state.chain.is_violation_known(deposit.as_str()) {
            let alarm = ChainEvent::FinalityViolation {
                deposit: deposit.clone(),
                block: was.number,
                was: was.hash.clone(),
                evidence: judged.look.event.id,
            };
            let says = "record the alarm: from here on no money moves";
            let repair = Steps::on(evidence, chain::stream(judged.look.chain))
                .add(judged.look.event.id, deposit.as_str(), alarm, says)
                .repair();
            cases.push(Case { finding: finding.clone(), repair });
        }
        cases.push(Case {
            finding,
            repair: hold(
                "what was final is not: no rule says what is true now",
                "stop paying, ask every source and another operator's node, then two people decide",
            ),
        });
    }
    cases
}
