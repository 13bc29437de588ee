//! A withdrawal whose payment may or may not exist (row R13). The log alone can prove neither, so it is held and
//! watched, however old it gets: "not found" proves nothing, and a reversal needs a final proof (law 2).

use super::super::{Procedure, hold, stream};
use crate::{
    recovery::{Case, Evidence, Finding, Severity, policy::CONFIRMATION_TIMEOUT},
    rfc3339,
};
use wox_projections::withdrawals::WithdrawalPhase;

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "withdrawal_in_doubt",
    row: "R13",
    finds: "a withdrawal whose payment nobody has confirmed in time",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let (state, now) = (&evidence.replay.state, evidence.now());
    let mut cases = Vec::new();
    for (id, withdrawal) in state.withdrawals.iter() {
        let (what, why) = match withdrawal.phase {
            WithdrawalPhase::Held => ("nobody was asked to pay it", "the journal of the signer is not in this log"),
            WithdrawalPhase::InDoubt => ("its payment is not confirmed", "a payment may exist and may still land"),
            WithdrawalPhase::Failed => {
                ("its payment failed, and nothing followed", "a reversal needs the final proof in its own event")
            }
            WithdrawalPhase::Requested | WithdrawalPhase::Settled | WithdrawalPhase::Released => continue,
        };
        let waiting = now.since(withdrawal.last_activity);
        if waiting <= CONFIRMATION_TIMEOUT {
            continue;
        }
        let stream = stream("withdrawal", id.as_str());
        let says = format!(
            "withdrawal {id} of {} G by player {}: {what} since {}",
            withdrawal.amount,
            withdrawal.player,
            // A moment, not a span: what is only watched must not make another plan every second.
            rfc3339::text(withdrawal.last_activity),
        );
        cases.push(Case {
            finding: Finding {
                severity: Severity::High,
                since: Some(withdrawal.last.on(&stream)),
                outcome_unknown: true,
                ..PROCEDURE.finding("WOX-BANK-VERIFY-003", &stream, says)
            },
            repair: hold(
                format!("{why}: an unknown outcome is never compensated"),
                "have the chain looked at (the sender's nonce at `finalized`), and append what it proves",
            ),
        });
    }
    cases
}
