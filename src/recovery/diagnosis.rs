//! From evidence to findings, and to the last state before the first of them. Pure.

use wox_events::Position;

use super::{Case, Evidence, Repair};
use crate::procedures::{self, log::held_stream};

/// What is wrong with a log, as of one position.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The last position at which nothing was wrong yet: the state there is the last valid state.
    pub last_valid: Position,
    /// Every finding with what its procedure proposes, in the order of the procedures' table, then of the log.
    pub cases: Vec<Case>,
}

/// Runs every procedure over the evidence. What is found about a stream that is held by a bad event is left out: its
/// later events are not folded, so nothing else about it can be judged until somebody has decided about that event. So is
/// what two people dealt with outside the engine.
#[must_use]
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let held = evidence.replay.held();
    let judgeable = |case: &Case| {
        !held.contains_key(&case.finding.subject) || case.finding.procedure == held_stream::PROCEDURE.name
    };
    let all = procedures::ALL.iter().flat_map(|procedure| (procedure.examine)(evidence));
    let accepted = &evidence.replay.state.ops.accepted;
    let dealt_with = |case: &Case| {
        matches!(case.repair, Repair::Hold { .. }) && !accepted.is_empty() && accepted.contains(&case.finding.key())
    };
    let cases: Vec<Case> = all.filter(judgeable).filter(|case| !dealt_with(case)).collect();
    let first_bad = cases.iter().filter_map(|case| case.finding.since.as_ref()).map(|since| since.position.0);
    let damaged = evidence.damage.as_ref().map(|damage| damage.from.0);
    let last_valid = first_bad.chain(damaged).min().map_or(evidence.as_of.0, |first| first.saturating_sub(1));
    Diagnosis { last_valid: Position(last_valid), cases }
}
