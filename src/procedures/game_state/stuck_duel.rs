//! A duel in which nobody has moved for longer than the timeout, outages not counted (row R09). It is voided once ever
//! and both stakes go back to the balances they came from, in one batch: there is no state between end and refund. A move
//! that was posted in an outage and waits to be decided is a move: then the duel is interrupted, not stuck.

use wox_events::{DuelEvent, Label};
use wox_projections::late_posts::late_posts;

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding, policy::DUEL_TIMEOUT};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "stuck_duel", row: "R09", finds: "a duel in which nobody moves", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let mut cases = Vec::new();
    for (id, duel) in state.duels.iter() {
        if !super::is_stuck(evidence, id, duel, &late) {
            continue;
        }
        let stream = stream("duel", id.as_str());
        let finding = Finding {
            since: Some(duel.last.on(&stream)),
            ..PROCEDURE.finding(
                "WOX-GAME-DUEL-003",
                &stream,
                format!(
                    "{} against {}: nobody has moved for more than {} s since turn {}",
                    duel.challenger,
                    duel.opponent,
                    DUEL_TIMEOUT.as_seconds(),
                    duel.turn,
                ),
            )
        };
        let repair = {
            let detected = DuelEvent::DuelStuckDetected { last_action: duel.last_action, idle: DUEL_TIMEOUT };
            let voided = DuelEvent::DuelVoided { reason: Label::new("stuck").expect("an identity") };
            let steps = Steps::on(evidence, stream.clone())
                .add(
                    duel.last.id,
                    "",
                    detected,
                    format!("record that nobody moved for {} s", DUEL_TIMEOUT.as_seconds()),
                )
                .add(duel.opened.id, "", voided, "void the duel: it counts for nobody");
            super::release_stakes(steps, duel).repair()
        };
        cases.push(Case { finding, repair });
    }
    cases
}
