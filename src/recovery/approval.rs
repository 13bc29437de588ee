//! Who may let a plan be applied (law 6). Pure: recorded approvals, the clock and the actor arrive as values.

use wox_events::{Actor, Timestamp, id::is_same_person};
use wox_projections::recoveries::PlanRecord;

use super::Plan;
use crate::command::word;

/// The permission to apply one plan. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Approval(());

/// Why a plan may not be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It moves money or is a person's decision, and nobody but its proposer has looked at it.
    #[error("plan {plan} needs another person's approval and has none; {next}")]
    Missing {
        /// The plan.
        plan: String,
        /// Who does what about it.
        next: String,
    },
    /// The plan names the one person who has to look at it.
    #[error("plan {plan} is to be approved by {second}, who is named in it, not by {by}; {next}")]
    NotNamed {
        /// The plan.
        plan: String,
        /// Who has to approve.
        second: String,
        /// Who tried.
        by: Actor,
        /// Who does what about it.
        next: String,
    },
    /// Every approval is too old.
    #[error("the approval of plan {plan} has expired; {next}")]
    Expired {
        /// The plan.
        plan: String,
        /// Who does what about it.
        next: String,
    },
    /// The proposer tried to approve.
    #[error("plan {plan} was proposed by {proposer}, who cannot approve it too; {next}")]
    SamePerson {
        /// The plan.
        plan: String,
        /// Who proposed it.
        proposer: Actor,
        /// Who does what about it.
        next: String,
    },
}

/// Judges the recorded approvals of a plan. A plan that moves nothing needs none.
pub fn judge(plan: &Plan, record: &PlanRecord, now: Timestamp) -> Result<Approval, ApprovalError> {
    if !plan.needs_approval {
        return Ok(Approval(()));
    }
    let mut by_others = record
        .approvals
        .iter()
        .filter(|approval| approval.digest == plan.id && !is_same_person(&approval.by, &record.proposed_by))
        .filter(|approval| plan.scope.second().is_none_or(|second| is_same_person(&approval.by, second)))
        .peekable();
    if by_others.peek().is_none() {
        return Err(ApprovalError::Missing { plan: plan.short_id(), next: next(plan) });
    }
    if by_others.any(|approval| approval.at <= now && now < approval.expires_at) {
        return Ok(Approval(()));
    }
    Err(ApprovalError::Expired { plan: plan.short_id(), next: next(plan) })
}

/// Judges whether a person may approve a plan: not their own.
pub fn may_approve(plan: &Plan, record: &PlanRecord, by: &Actor) -> Result<(), ApprovalError> {
    let (id, next) = (plan.short_id(), next(plan));
    if is_same_person(&record.proposed_by, by) {
        return Err(ApprovalError::SamePerson { plan: id, proposer: record.proposed_by.clone(), next });
    }
    match plan.scope.second() {
        Some(second) if !is_same_person(by, second) => {
            Err(ApprovalError::NotNamed { plan: id, second: second.to_owned(), by: by.clone(), next })
        }
        _ => Ok(()),
    }
}

/// Who has to run what, so that a plan is approved.
fn next(plan: &Plan) -> String {
    format!("{} runs `{}`", plan.scope.second().unwrap_or("another person"), command(plan))
}

/// What is typed to approve a plan.
#[must_use]
pub fn command(plan: &Plan) -> String {
    let who = plan.scope.second().unwrap_or("ANOTHER-PERSON");
    format!("wox approve {} --comment LOOKED-AT-IT --as {}", plan.short_id(), word(who))
}
