//! A prize paid to somebody the frozen schedule does not name, in another amount, or twice (row R11). The payment goes
//! back into the pool when the player still holds it.

use wox_events::TournamentEvent;
use wox_projections::Account;

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, Severity, plan::holds};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "wrong_prize", row: "R11", finds: "a prize payment the schedule does not know", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let mut cases = Vec::new();
    for (id, tournament) in state.tournaments.iter() {
        for payment in tournament.prize_status().wrong {
            let stream = stream("tournament", id.as_str());
            let finding = Finding {
                severity: Severity::Critical,
                since: Some(payment.event.clone()),
                ..PROCEDURE.finding(
                    "WOX-BANK-PRIZE-002",
                    &stream,
                    format!(
                        "{} G were paid to player {} as {} prize, which the schedule does not say",
                        payment.amount, payment.player, payment.prize,
                    ),
                )
            };
            let held = holds(state, &Account::Withdrawable(payment.player.clone()));
            let repair = 'repair: {
                if held < payment.amount {
                    let player = &payment.player;
                    break 'repair hold(
                        format!("player {player} holds {held} G of the {} G that must go back", payment.amount),
                        "agree with the player how the rest goes back, then record it as an incident",
                    );
                }
                let event = TournamentEvent::PrizeReversed {
                    player: payment.player.clone(),
                    amount: payment.amount,
                    corrects: payment.event.id,
                };
                let says = format!("take {} G back from player {}", payment.amount, payment.player);
                Steps::on(evidence, stream.clone()).add(payment.event.id, "", event, says).repair()
            };
            cases.push(Case { finding, repair });
        }
    }
    cases
}
