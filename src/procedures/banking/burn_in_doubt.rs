//! A burn that was signed and that nobody has confirmed (row E1), by the same table as a payment: a final transfer to the
//! dead address settles it, everything else waits. A burn whose withdrawal went back is called off.

use wox_events::{BurnEvent, Label};
use wox_projections::{
    burns::{Burn, BurnPhase},
    verdict::WithdrawalVerdict,
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, Steps, hold, stopped, stream};
use crate::recovery::{Case, Evidence, Finding, Severity, policy::CONFIRMATION_TIMEOUT};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "burn_in_doubt", row: "E1", finds: "a burn that nobody has confirmed in time", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let burns = evidence.replay.state.burns.iter();
    burns.filter_map(|(id, burn)| case(evidence, id.as_str(), burn)).collect()
}

fn case(evidence: &Evidence, id: &str, burn: &Burn) -> Option<Case> {
    let state = &evidence.replay.state;
    let stream = stream("burn", id);
    let finding = |severity, what: String| Finding {
        severity,
        since: Some(burn.last.on(&stream)),
        ..PROCEDURE.finding(
            "WOX-BANK-PRIZE-004",
            &stream,
            format!("burn of {} G of withdrawal {id}: {what}", burn.amount),
        )
    };
    let released = || state.withdrawals.get(id).is_some_and(|known| known.phase == WithdrawalPhase::Released);
    match burn.phase {
        BurnPhase::Settled | BurnPhase::Cancelled => None,
        BurnPhase::Scheduled if released() => {
            let reason = Label::new("withdrawal-reversed").expect("an identity");
            let cancelled = BurnEvent::BurnCancelled { corrects: burn.scheduled, reason };
            let repair = Steps::on(evidence, stream.clone())
                .add(burn.scheduled, "", cancelled, format!("call the burn of withdrawal {id} off"))
                .repair();
            Some(Case { finding: finding(Severity::Medium, "its withdrawal went back".into()), repair })
        }
        BurnPhase::Scheduled => None,
        BurnPhase::InDoubt => {
            let (verdict, _) = evidence.replay.burn_verdict(id, burn)?;
            let what = format!("{}, {}", verdict.row(), verdict.says());
            if let WithdrawalVerdict::Executed { tx, .. } = &verdict {
                let settled = BurnEvent::BurnSettled { tx: tx.clone(), amount: burn.amount };
                let settle = || {
                    let says = format!("settle it: {} G are burned by {tx}", burn.amount);
                    Steps::on(evidence, stream.clone()).add(burn.scheduled, "", settled, says).repair()
                };
                let repair = stopped(evidence).unwrap_or_else(settle);
                return Some(Case { finding: finding(Severity::Medium, what), repair });
            }
            let waiting = evidence.now().since(burn.last_activity) > CONFIRMATION_TIMEOUT;
            let next = match verdict.proof() {
                // Nothing was burned, and nothing of it can follow: the share still waits in the queue.
                Some(_) => "have the signer burn it again, in a new slot".to_owned(),
                None => super::next(evidence, "burn", id, &verdict, &burn.slots),
            };
            let severity = if waiting { Severity::Medium } else { Severity::Low };
            let finding = Finding { outcome_unknown: verdict.proof().is_none(), ..finding(severity, what) };
            Some(Case { finding, repair: hold("the share stays in the burn queue until it is burned for good", next) })
        }
    }
}
