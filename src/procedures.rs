//! The index of what this engine can find, by the chapters of the runbook. One file a finding; each looks at the
//! evidence and answers with cases: what is wrong, since when, and what it proposes (events or a hold).
//!
//! A new procedure is a new file and one line in [`ALL`]. Procedures never see each other: shared facts belong into
//! the projections.

use wox_events::{Event, EventId, StreamId};

use crate::{
    command::wox,
    recovery::{Case, Evidence, Finding, Repair, Step},
};

pub mod banking;
pub mod game_state;
pub mod log;

/// One procedure.
pub struct Procedure {
    /// Its name: its file.
    pub name: &'static str,
    /// The runbook's row.
    pub row: &'static str,
    /// What it finds, in a few words.
    pub finds: &'static str,
    /// Looks at the evidence.
    pub examine: fn(&Evidence) -> Vec<Case>,
}

/// Every procedure, in the order its findings are reported: the log first, then money, then the game.
pub const ALL: &[Procedure] = &[
    log::broken_log::PROCEDURE,
    log::held_stream::PROCEDURE,
    banking::changed_rules::PROCEDURE,
    banking::finality_violation::PROCEDURE,
    banking::duplicate_deposit::PROCEDURE,
    banking::uncredited_deposit::PROCEDURE,
    banking::vanished_deposit::PROCEDURE,
    banking::misbooked_deposit::PROCEDURE,
    banking::withdrawal_in_doubt::PROCEDURE,
    banking::burn_in_doubt::PROCEDURE,
    banking::settled_payment::PROCEDURE,
    banking::pool_drift::PROCEDURE,
    banking::custody_drift::PROCEDURE,
    game_state::crossed_buckets::PROCEDURE,
    game_state::unreturned_stake::PROCEDURE,
    game_state::unsettled_duel::PROCEDURE,
    game_state::interrupted_duel::PROCEDURE,
    game_state::stuck_duel::PROCEDURE,
    game_state::clocked_out::PROCEDURE,
    game_state::late_post::PROCEDURE,
    game_state::misdrawn_bracket::PROCEDURE,
    game_state::prizes::unfixed_schedule::PROCEDURE,
    game_state::prizes::wrong_prize::PROCEDURE,
    game_state::prizes::unpaid_prize::PROCEDURE,
    game_state::unrefunded_entry::PROCEDURE,
    game_state::undecided_match::PROCEDURE,
    game_state::unplayed_match::PROCEDURE,
    game_state::contradicted_result::PROCEDURE,
];

/// Collects the steps of one repair; an event that cannot be written turns the repair into a hold.
pub(crate) struct Steps<'a> {
    evidence: &'a Evidence,
    stream: StreamId,
    steps: Vec<Step>,
    failed: Option<String>,
}

impl<'a> Steps<'a> {
    pub(crate) fn on(evidence: &'a Evidence, stream: StreamId) -> Steps<'a> {
        Steps { evidence, stream, steps: Vec::new(), failed: None }
    }

    pub(crate) fn add(
        mut self,
        cause: EventId,
        qualifier: &str,
        event: impl Into<Event>,
        says: impl Into<String>,
    ) -> Self {
        match Step::new(&self.stream, cause, qualifier, event, says) {
            Ok(step) => self.steps.push(step),
            Err(error) => self.failed = Some(error.to_string()),
        }
        self
    }

    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.failed.is_none()
    }

    pub(crate) fn repair(self) -> Repair {
        match self.failed {
            Some(why) => hold(format!("the compensating event cannot be written: {why}"), "report this as a defect"),
            None => Repair::Compensate {
                expected: self.evidence.replay.revision(&self.stream),
                stream: self.stream,
                steps: self.steps,
            },
        }
    }
}

pub(crate) fn hold(why: impl Into<String>, next: impl Into<String>) -> Repair {
    Repair::Hold { why: why.into(), next: next.into() }
}

/// How two people record that they dealt with what no event puts right, as it is typed.
fn as_incident(subject: &StreamId) -> String {
    let recover = wox(["recover", subject.category(), subject.subject()]);
    format!("record it as an incident: {recover} --accept --second NAME --why WHAT-WAS-DONE")
}

pub(crate) fn stopped(evidence: &Evidence) -> Option<Repair> {
    evidence.standstill().map(|stop| hold(stop.why.as_str(), stop.next.as_str()))
}

fn stream(category: &str, subject: &str) -> StreamId {
    StreamId::new(format!("{category}-{subject}")).expect("a known subject has a stream name")
}

impl Procedure {
    fn finding(&self, code: &str, subject: &StreamId, says: impl Into<String>) -> Finding {
        Finding::new(self.name, self.row, code, subject, says)
    }
}
