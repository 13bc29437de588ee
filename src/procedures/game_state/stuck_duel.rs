//! A duel in which nobody has moved for longer than the timeout, outages not counted (row R09). It is voided once ever
//! and both stakes go back to the balances they came from, in one batch: there is no state between end and refund. A move
//! that was posted in an outage and waits to be decided is a move: then the duel is interrupted, not stuck.

use wox_events::{DuelEvent, DuelId, Label};
use wox_projections::{duels::Duel, late_posts::late_posts};

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Choice, Evidence, Finding, policy::DUEL_TIMEOUT};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "stuck_duel", row: "R09", finds: "a duel in which nobody moves", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let stuck = state.duels.iter().filter(|(id, duel)| super::is_stuck(evidence, id, duel, &late));
    stuck.map(|(id, duel)| case(evidence, id, duel, Choice::Void)).collect()
}

/// What becomes of a stuck duel: it is voided, unless a person decides that it goes on.
pub(super) fn case(evidence: &Evidence, id: &DuelId, duel: &Duel, choice: Choice) -> Case {
    let stream = stream("duel", id.as_str());
    let seconds = DUEL_TIMEOUT.as_seconds();
    let Duel { challenger, opponent, turn, .. } = duel;
    let says = format!("{challenger} against {opponent}: nobody has moved for more than {seconds} s since turn {turn}");
    let finding =
        Finding { since: Some(duel.last.on(&stream)), ..PROCEDURE.finding("WOX-GAME-DUEL-003", &stream, says) };
    let detected = DuelEvent::DuelStuckDetected { last_action: duel.last_action, idle: DUEL_TIMEOUT };
    let says = format!("record that nobody moved for {seconds} s");
    let steps = Steps::on(evidence, stream).add(duel.last.id, "", detected, says);
    let repair = match (choice, &duel.next) {
        (Choice::Resume, Some(next)) => {
            let resumed = DuelEvent::DuelResumed { from_turn: turn + 1, player: next.clone() };
            let says = format!("go on with turn {} of player {next}", turn + 1);
            steps.add(duel.last.id, "", resumed, says).repair()
        }
        _ => {
            let voided = DuelEvent::DuelVoided { reason: Label::new("stuck").expect("an identity") };
            let steps = steps.add(duel.opened.id, "", voided, "void the duel: it counts for nobody");
            super::release_stakes(steps, duel).repair()
        }
    };
    Case { finding, repair }
}
