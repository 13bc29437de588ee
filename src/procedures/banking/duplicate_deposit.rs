//! One outside reference credited twice (row R12): the later credit is reversed, posting by posting. The key of the
//! game's older path was the block-wide log index, which is not stable; the reference inside the event is.

use wox_events::{DepositEvent, Label};
use wox_projections::Account;

use super::super::{Procedure, Steps, as_incident, hold, stream};
use crate::recovery::{Case, Evidence, Finding, Severity, plan::holds};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "duplicate_deposit", row: "R12", finds: "one deposit credited more than once", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let cases = state.deposits.duplicates().map(|(subject, deposit, credit)| {
        let stream = stream("deposit", subject);
        let reference = deposit.reference.as_deref().unwrap_or(subject);
        let first = credit.duplicate_of.as_ref().map(ToString::to_string).unwrap_or_default();
        let finding = Finding {
            severity: Severity::Critical,
            since: Some(credit.event.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-TX-004",
                &stream,
                format!(
                    "deposit {reference} was credited again: {} G to player {}; the first credit is {first}",
                    credit.amount, credit.player,
                ),
            )
        };
        let account = Account::Withdrawable(credit.player.clone());
        let held = holds(state, &account);
        let repair = 'repair: {
            if held < credit.amount {
                break 'repair hold(
                    format!("player {} holds {held} G of the {} G that must go back", credit.player, credit.amount),
                    format!("agree with the player how the rest goes back, then {}", as_incident(&stream)),
                );
            }
            let event = DepositEvent::DepositDebited {
                player: credit.player.clone(),
                amount: credit.amount,
                dust: credit.dust,
                corrects: credit.event.id,
                reason: Label::new("duplicate-credit").expect("an identity"),
            };
            let says = format!("take the second credit of {} G back from player {}", credit.amount, credit.player);
            Steps::on(evidence, stream.clone()).add(credit.event.id, "", event, says).repair()
        };
        Case { finding, repair }
    });
    cases.collect()
}
