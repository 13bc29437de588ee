//! After a plan was applied: reads the log again from the start and looks whether what the plan set out to repair is
//! repaired, and whether anything new is wrong. The verdict is an event.

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{Actor, Digest, Label, Position, RecoveryEvent, Timestamp};
use wox_projections::ledger::Drift;

use super::{
    Finding, Plan,
    apply::{ApplyError, append_last},
    diagnosis::diagnose,
    gather::gather,
};
use crate::{log::EventLog, replay::Progress};

/// What verification found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Up to where the log was read.
    pub at: Position,
    /// The digest of the whole state there.
    pub state: Digest,
    /// Findings the plan was to repair, and that are still there.
    pub unrepaired: Vec<Finding>,
    /// Findings left to people: the plan's holds, and whatever else stands.
    pub remaining: Vec<Finding>,
    /// What conservation is off by now.
    pub drift: Drift,
}

impl Verdict {
    /// `verified` when nothing the plan was about is left; `remaining` when people have to decide about the rest;
    /// `diverged` when a repair did not do what it promised.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.unrepaired.is_empty(), self.remaining.is_empty()) {
            (true, true) => "verified",
            (true, false) => "remaining",
            (false, _) => "diverged",
        }
    }
}

/// Reads the log again, compares with the plan, records the verdict.
pub async fn verify(
    log: &dyn EventLog,
    plan: &Plan,
    by: &Actor,
    now: Timestamp,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Verdict, ApplyError> {
    let evidence = gather(log, threads, progress).await?.seen_at(now);
    let findings: Vec<Finding> = diagnose(&evidence).cases.into_iter().map(|case| case.finding).collect();
    let same = |planned: &Finding, finding: &Finding| {
        planned.procedure == finding.procedure && planned.subject == finding.subject && planned.since == finding.since
    };
    // A part of a finding may be left to people by the plan itself, such as a prize the pool is too short for.
    let (unrepaired, remaining) = findings.into_iter().partition(|finding| {
        plan.items.iter().flat_map(|item| &item.findings).any(|planned| same(planned, finding))
            && !plan.held.iter().any(|hold| same(&hold.finding, finding))
    });
    let verdict = Verdict {
        at: evidence.as_of,
        state: evidence.replay.state.digest(),
        unrepaired,
        remaining,
        drift: evidence.replay.state.conservation.drift,
    };
    let event = RecoveryEvent::PlanVerified {
        verdict: Label::new(verdict.name()).expect("an identity"),
        at: verdict.at,
        state: verdict.state,
    };
    append_last(log, &plan.stream(), "verified", &event.into(), by, now).await?;
    Ok(verdict)
}
