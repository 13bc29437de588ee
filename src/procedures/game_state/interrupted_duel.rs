//! A duel the game was taken away from in the middle (row R08): its clocks stood still, it goes on from where it
//! stopped, with the turn that was next. No money moves and no die is rolled. If nobody comes back in time it becomes
//! a stuck duel.

use wox_events::{DuelEvent, Duration};
use wox_projections::duels::Phase;

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, policy::DUEL_TIMEOUT};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "interrupted_duel", row: "R08", finds: "a duel interrupted by an outage", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let (state, now) = (&evidence.replay.state, evidence.now());
    let mut cases = Vec::new();
    for (id, duel) in state.duels.iter() {
        let (Phase::Active, Some(next)) = (duel.phase, &duel.next) else { continue };
        let away = state.agents.away(duel.last_action, now);
        if away == Duration::ZERO || now.since(duel.last_action).0 - away.0 > DUEL_TIMEOUT.0 {
            continue;
        }
        let outages = || state.agents.during(duel.last_action, now);
        let handled = |from| duel.interruptions.contains(&from);
        let Some(outage) = outages().find(|outage| !handled(outage.from)) else { continue };
        let stream = stream("duel", id.as_str());
        let turn = duel.turn;
        let over = outages().all(|outage| outage.until.is_some());
        let long = if over { format!("of {} s", away.as_seconds()) } else { "that is not over".into() };
        let finding = Finding {
            since: Some(outage.event.clone()),
            ..PROCEDURE.finding(
                "WOX-GAME-DUEL-005",
                &stream,
                format!(
                    "{} against {} was interrupted after turn {turn} by an outage {long}",
                    duel.challenger, duel.opponent
                ),
            )
        };
        let repair = 'repair: {
            let Some(until) = outage.until.filter(|_| over) else {
                break 'repair hold(
                    "the game is still away: nobody could go on",
                    "bring the agent back, record it, and plan again",
                );
            };
            let cause = outage.event.id;
            let interrupted = DuelEvent::DuelInterrupted { at_turn: turn, from: outage.from, until };
            let resumed = DuelEvent::DuelResumed { from_turn: turn + 1, player: next.clone() };
            Steps::on(evidence, stream.clone())
                .add(cause, "", interrupted, format!("record the interruption after turn {turn}"))
                .add(cause, "", DuelEvent::TimersExtended { by: away }, format!("give back {} s", away.as_seconds()))
                .add(cause, "", resumed, format!("go on with turn {} of player {next}", turn + 1))
                .repair()
        };
        cases.push(Case { finding, repair });
    }
    cases
}
