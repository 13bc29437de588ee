//! What recovery itself did: plans, approvals, runs (streams `plan-<id>`, `run-<id>`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, EventId, Json, Position, Timestamp, id::Label};

/// What recovery itself did: plans, approvals, runs (streams `plan-<id>`, `run-<id>`).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum RecoveryEvent {
    /// A plan was made and shown. Nothing was changed.
    PlanProposed {
        /// The whole plan; of one that is larger than an event, `{"pieces":N}`, and N pieces follow in the same batch.
        plan: Json,
        /// Of the plan: its id.
        digest: Digest,
    },
    /// A piece of a plan that is larger than one event.
    PlanPiece {
        /// Which, from 1.
        piece: u32,
        /// The piece of the plan's canonical JSON.
        text: String,
    },
    /// Another person approved exactly this plan.
    PlanApproved {
        /// Of the plan that was looked at.
        digest: Digest,
        /// The approval counts until then.
        expires_at: Timestamp,
        /// What the approver said.
        comment: String,
    },
    /// Somebody tried to approve or apply the plan and was refused.
    PlanRefused {
        /// Why, as shown.
        reason: String,
    },
    /// Every item of the plan was appended or found to be there already.
    PlanApplied {
        /// The compensating events, in order.
        appended: Vec<EventId>,
    },
    /// The log was read again after the plan was applied.
    PlanVerified {
        /// `verified`, `diverged` or `remaining`.
        verdict: Label,
        /// Up to which position.
        at: Position,
        /// Of the whole state there.
        state: Digest,
    },
    /// A procedure started.
    RunStarted {
        /// Which.
        procedure: Label,
        /// For what.
        subject: Label,
    },
    /// A step started.
    StepStarted {
        /// Which.
        step: Label,
    },
    /// A step is known to have been done.
    StepSucceeded {
        /// Which.
        step: Label,
    },
    /// A step is known not to have been done.
    StepFailed {
        /// Which.
        step: Label,
        /// Why.
        reason: String,
    },
    /// Nobody knows whether a step was done; it is held.
    StepUnknown {
        /// Which.
        step: Label,
        /// Why.
        reason: String,
    },
    /// A procedure ended.
    RunFinished {
        /// How.
        verdict: Label,
    },
}
