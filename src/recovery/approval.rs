//! Who may let a plan be applied (law 6). Pure: recorded approvals, the clock and the actor arrive as values.

use wox_events::{Actor, Timestamp};
use wox_projections::recoveries::PlanRecord;

use super::{Plan, Scope};

/// The permission to apply one plan. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Approval(());

/// Why a plan may not be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It moves money or is a person's decision, and nobody but its proposer has looked at it.
    #[error("plan {plan} needs another person's approval and has none; another person runs `wox approve {plan}`")]
    Missing {
        /// The plan.
        plan: String,
    },
    /// The plan names the one person who has to look at it.
    #[error(
        "plan {plan} is to be approved by {second}, who is named in it, not by {by}; {second} runs `wox approve {plan} --as {second}`"
    )]
    NotNamed {
        /// The plan.
        plan: String,
        /// Who has to approve.
        second: String,
        /// Who tried.
        by: Actor,
    },
    /// Every approval is too old.
    #[error("the approval of plan {plan} has expired; another person runs `wox approve {plan}` again")]
    Expired {
        /// The plan.
        plan: String,
    },
    /// The proposer tried to approve.
    #[error(
        "plan {plan} was proposed by {proposer}, who cannot approve it too; another person runs `wox approve {plan} --as NAME`"
    )]
    SamePerson {
        /// The plan.
        plan: String,
        /// Who proposed it.
        proposer: Actor,
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
        .filter(|approval| approval.digest == plan.id && approval.by != record.proposed_by)
        .filter(|approval| second(plan).is_none_or(|second| approval.by.as_str() == second))
        .peekable();
    if by_others.peek().is_none() {
        return Err(ApprovalError::Missing { plan: plan.short_id() });
    }
    if by_others.any(|approval| approval.at <= now && now < approval.expires_at) {
        return Ok(Approval(()));
    }
    Err(ApprovalError::Expired { plan: plan.short_id() })
}

/// Judges whether a person may approve a plan: not their own.
pub fn may_approve(plan: &Plan, record: &PlanRecord, by: &Actor) -> Result<(), ApprovalError> {
    if record.proposed_by == *by {
        return Err(ApprovalError::SamePerson { plan: plan.short_id(), proposer: by.clone() });
    }
    match second(plan) {
        Some(second) if by.as_str() != second => {
            Err(ApprovalError::NotNamed { plan: plan.short_id(), second: second.to_owned(), by: by.clone() })
        }
        _ => Ok(()),
    }
}

/// The second person whom a plan names in its proof.
fn second(plan: &Plan) -> Option<&str> {
    match &plan.scope {
        Scope::Release { second, .. } | Scope::Restore { second, .. } => Some(second.as_str()),
        Scope::All
        | Scope::Subject(_)
        | Scope::Transaction { .. }
        | Scope::Attribute { .. }
        | Scope::Ask { .. }
        | Scope::Adjust { .. }
        | Scope::Interrupted { .. }
        | Scope::Correct { .. }
        | Scope::Waive { .. } => None,
    }
}
