//! Which plans were proposed, approved, refused, applied and verified, by whom. A plan's events stand in its own
//! stream; the money and state it changed stand in the streams of its subjects.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wox_events::{Actor, Digest, EventId, Recorded, RecoveryEvent, Timestamp, id::is_same_person};

use crate::projection::{EventRef, Projection, Rejection};

/// All recoveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recoveries {
    /// Plans by id.
    pub plans: BTreeMap<String, PlanRecord>,
    /// Procedure runs that have ended, by verdict.
    pub runs: BTreeMap<String, u64>,
}

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanRecord {
    /// Who proposed it.
    pub proposed_by: Actor,
    /// When.
    pub proposed_at: Timestamp,
    /// Where.
    pub proposed: EventRef,
    /// The digest of its content.
    pub digest: Digest,
    /// Approvals, oldest first.
    pub approvals: Vec<ApprovalRecord>,
    /// How often it was refused.
    pub refusals: u32,
    /// The compensating events, once applied.
    pub applied: Option<Vec<EventId>>,
    /// The verdict of the last verification.
    pub verdict: Option<String>,
    /// The last revision of its stream.
    pub revision: wox_events::Revision,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApprovalRecord {
    /// Who approved.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
    /// The plan that was looked at.
    pub digest: Digest,
}

impl Projection for Recoveries {
    type Event = RecoveryEvent;
    const NAME: &'static str = "recoveries";

    fn check(&self, at: &Recorded, event: &RecoveryEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let plan = || self.plans.get(id).ok_or_else(|| Rejection::unknown("plan", id));
        match event {
            RecoveryEvent::PlanProposed { .. } if self.plans.contains_key(id) => Err(Rejection::exists("plan", id)),
            RecoveryEvent::PlanApproved { digest, .. } => {
                let plan = plan()?;
                Rejection::same("digest", &plan.digest, digest)?;
                if is_same_person(&plan.proposed_by, &at.actor) {
                    return Err(Rejection::state(
                        format_args!("plan {id}"),
                        "proposed by the same person",
                        "approved by another",
                    ));
                }
                Ok(())
            }
            RecoveryEvent::PlanPiece { .. }
            | RecoveryEvent::PlanApplied { .. }
            | RecoveryEvent::PlanVerified { .. } => plan().map(|_| ()),
            RecoveryEvent::PlanProposed { .. }
            | RecoveryEvent::PlanRefused { .. }
            | RecoveryEvent::RunStarted { .. }
            | RecoveryEvent::StepStarted { .. }
            | RecoveryEvent::StepSucceeded { .. }
            | RecoveryEvent::StepFailed { .. }
            | RecoveryEvent::StepUnknown { .. }
            | RecoveryEvent::RunFinished { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &RecoveryEvent) {
        let id = at.stream.subject();
        if let RecoveryEvent::PlanProposed { digest, .. } = event {
            self.plans.insert(
                id.to_owned(),
                PlanRecord {
                    proposed_by: at.actor.clone(),
                    proposed_at: at.time,
                    proposed: EventRef::of(at),
                    digest: *digest,
                    approvals: Vec::new(),
                    refusals: 0,
                    applied: None,
                    verdict: None,
                    revision: at.revision,
                },
            );
            return;
        }
        if let RecoveryEvent::RunFinished { verdict } = event {
            *self.runs.entry(verdict.to_string()).or_default() += 1;
        }
        let Some(plan) = self.plans.get_mut(id) else { return };
        plan.revision = at.revision;
        match event {
            RecoveryEvent::PlanApproved { digest, expires_at, .. } => plan.approvals.push(ApprovalRecord {
                by: at.actor.clone(),
                at: at.time,
                expires_at: *expires_at,
                digest: *digest,
            }),
            RecoveryEvent::PlanRefused { .. } => plan.refusals += 1,
            RecoveryEvent::PlanApplied { appended } => plan.applied = Some(appended.clone()),
            RecoveryEvent::PlanVerified { verdict, .. } => plan.verdict = Some(verdict.to_string()),
            RecoveryEvent::PlanProposed { .. }
            | RecoveryEvent::PlanPiece { .. }
            | RecoveryEvent::RunStarted { .. }
            | RecoveryEvent::StepStarted { .. }
            | RecoveryEvent::StepSucceeded { .. }
            | RecoveryEvent::StepFailed { .. }
            | RecoveryEvent::StepUnknown { .. }
            | RecoveryEvent::RunFinished { .. } => {}
        }
    }
}
