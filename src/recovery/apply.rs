//! Proposing, approving and applying plans: the only part of a recovery that writes. Everything it writes is an event,
//! refusals included (law 14). Applying twice is applying once: every batch names the exact revision it was planned at,
//! every event's id follows from what it corrects, and what is there already is success.

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{
    Actor, Digest, Event, EventId, Label, NewEvent, OpsEvent, Position, Provenance, RecoveryEvent, Revision, StreamId,
    Timestamp,
    record::{Json, JsonError},
};
use wox_projections::{
    EventRef, Projection as _, Rejection,
    recoveries::{PlanRecord, Recoveries},
};

use super::{
    Evidence, Item, Plan,
    approval::{self, ApprovalError},
    finding::engine_actor,
    gather::{GatherError, gather, gather_upto},
    plan::{plan, stream_of, try_item},
    policy::APPROVAL_VALIDITY,
};
use crate::{
    log::{AppendError, AppendRequest, EventLog, ReadError},
    replay::Progress,
};

/// A plan that stands in the log, with its history.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The plan.
    pub plan: Plan,
    /// Who proposed, approved, applied it.
    pub record: PlanRecord,
}

/// What applying did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// There was nothing to append, or all of it was there already.
    Nothing,
    /// These events were appended.
    Appended(Vec<EventId>),
}

/// Why a plan was not applied, approved or recorded.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no such plan in this log.
    #[error("there is no plan {id} in this log; `wox plan` makes one")]
    UnknownPlan {
        /// The id that was asked for.
        id: Digest,
    },
    /// The recorded plan is not what its id says.
    #[error("plan {id} is not the plan of that id: its content has another digest; run `wox verify`")]
    Altered {
        /// The id.
        id: Digest,
    },
    /// The same evidence gives another plan today.
    #[error(
        "the same evidence gives plan {now} today, not {plan}: the code or its policy has changed; run `wox plan` again"
    )]
    Changed {
        /// The plan that was to be applied.
        plan: String,
        /// The plan that the evidence gives now.
        now: String,
    },
    /// A stream the plan is about has moved on.
    #[error(
        "plan {plan} is stale: {stream} was at revision {expected} and is at {actual} now ({moved}); run `wox plan` again"
    )]
    Stale {
        /// The plan.
        plan: String,
        /// The stream.
        stream: StreamId,
        /// Its revision in the plan.
        expected: Revision,
        /// Its revision now.
        actual: Revision,
        /// What was appended since.
        moved: String,
    },
    /// The state has moved on so that a compensation would be refused today.
    #[error("plan {plan} no longer fits: {stream}: {why}; run `wox plan` again")]
    NoLongerFits {
        /// The plan.
        plan: String,
        /// The stream of the item.
        stream: StreamId,
        /// Why it would be refused.
        why: String,
    },
    /// Nobody may apply it yet.
    #[error(transparent)]
    NotApproved(#[from] ApprovalError),
    /// The log is damaged: nothing is appended to it.
    #[error(
        "the log is damaged from position {from} on ({what}); nothing is appended to a damaged log, run `wox verify`"
    )]
    Damaged {
        /// The first position that cannot be trusted.
        from: Position,
        /// What the reader said.
        what: String,
    },
    /// The log could not be looked at.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The log could not be looked at.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not take an event.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A plan could not be written as JSON.
    #[error("the plan cannot be written as JSON")]
    Json(#[from] JsonError),
}

impl ApplyError {
    /// True when somebody decided, or has to decide, that this is not done: exit code 4.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            ApplyError::Changed { .. }
            | ApplyError::Stale { .. }
            | ApplyError::NoLongerFits { .. }
            | ApplyError::NotApproved(_) => true,
            ApplyError::UnknownPlan { .. }
            | ApplyError::Altered { .. }
            | ApplyError::Damaged { .. }
            | ApplyError::Gather(_)
            | ApplyError::Read(_)
            | ApplyError::Append(_)
            | ApplyError::Json(_) => false,
        }
    }
}

/// Records that a plan was made and shown. A plan that stands in the log already is left as it is.
pub async fn propose(log: &dyn EventLog, plan: &Plan, by: &Actor, now: Timestamp) -> Result<Recorded, ApplyError> {
    if let Some(recorded) = find(log, plan.id).await? {
        return Ok(recorded);
    }
    let event = RecoveryEvent::PlanProposed { plan: Json::of(plan)?, digest: plan.id };
    let event = own_event(&plan.stream(), "proposed", event, by, now)?;
    match append_one(log, plan.stream(), Revision::NO_STREAM, event).await {
        // Somebody proposed the same plan a moment ago: that is the recorded one.
        Ok(()) | Err(AppendError::Conflict { .. }) => load(log, plan.id).await,
        Err(error) => Err(error.into()),
    }
}

/// Records that another person approved exactly this plan, for a limited time.
pub async fn approve(
    log: &dyn EventLog,
    id: Digest,
    by: &Actor,
    comment: &str,
    now: Timestamp,
) -> Result<Recorded, ApplyError> {
    let recorded = load(log, id).await?;
    if let Err(refusal) = approval::may_approve(&recorded.plan, &recorded.record, by) {
        record_refusal(log, &recorded, &refusal.to_string(), by, now).await?;
        return Err(refusal.into());
    }
    let expires_at = now.plus(APPROVAL_VALIDITY);
    let comment = Label::new(comment.replace(char::is_whitespace, "-"))
        .unwrap_or_else(|_| Label::new("none").expect("an identity"));
    let event = RecoveryEvent::PlanApproved { digest: id, expires_at, comment };
    let key = format!("approved:{}", recorded.record.revision);
    let event = own_event(&stream_of(id), &key, event, by, now)?;
    append_one(log, stream_of(id), recorded.record.revision, event).await?;
    load(log, id).await
}

/// Applies a recorded plan: recomputes it from the same evidence, looks whether its streams are where it left them,
/// asks for the approval, tries it out on today's state, then appends item by item, each atomic and conditional.
pub async fn apply(
    log: &dyn EventLog,
    id: Digest,
    by: &Actor,
    now: Timestamp,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Applied, ApplyError> {
    let recorded = load(log, id).await?;
    if recorded.record.applied.is_some() || !recorded.plan.changes {
        return Ok(Applied::Nothing);
    }
    match judge(log, &recorded, now, threads, progress).await {
        Ok(pending) => append_items(log, &recorded, &pending, by, now).await,
        Err(error) => {
            if error.is_refusal() {
                record_refusal(log, &recorded, &error.to_string(), by, now).await?;
            }
            Err(error)
        }
    }
}

/// Every reason not to apply; the items that are not in the log yet otherwise.
async fn judge(
    log: &dyn EventLog,
    recorded: &Recorded,
    now: Timestamp,
    threads: NonZeroUsize,
    progress: &Arc<Progress>,
) -> Result<Vec<Item>, ApplyError> {
    let Recorded { plan: old, record } = recorded;
    approval::judge(old, record, now)?;
    let then = gather_upto(log, old.base.as_of, None, threads, progress).await?;
    undamaged(&then)?;
    let again = plan(&then, &old.scope)?;
    if again.id != old.id {
        return Err(ApplyError::Changed { plan: old.short_id(), now: again.short_id() });
    }
    drop(then);
    let mut pending = Vec::new();
    for item in &again.items {
        if !is_there(log, old, item).await? {
            pending.push(item.clone());
        }
    }
    let today = gather(log, threads, progress).await?;
    undamaged(&today)?;
    let mut fork = today.replay.clone();
    for item in &mut pending {
        try_item(&mut fork, item, &today).map_err(|why| ApplyError::NoLongerFits {
            plan: old.short_id(),
            stream: item.stream.clone(),
            why,
        })?;
    }
    Ok(pending)
}

fn undamaged(evidence: &Evidence) -> Result<(), ApplyError> {
    match &evidence.damage {
        None => Ok(()),
        Some(damage) => Err(ApplyError::Damaged { from: damage.from, what: damage.what.clone() }),
    }
}

/// True when the item's events stand in the log already, from an earlier attempt. A stream that moved otherwise makes
/// the plan stale.
async fn is_there(log: &dyn EventLog, plan: &Plan, item: &Item) -> Result<bool, ApplyError> {
    let actual = log.revision(&item.stream).await?;
    if actual == item.expected {
        return Ok(false);
    }
    let events = log.read_stream(&item.stream).await?;
    let newer: Vec<_> = events.iter().filter(|event| event.revision > item.expected).collect();
    let same =
        newer.len() >= item.steps.len() && newer.iter().zip(&item.steps).all(|(event, step)| event.event.id == step.id);
    if same {
        return Ok(true);
    }
    let moved: Vec<&str> = newer.iter().take(3).map(|event| event.event.kind.as_str()).collect();
    Err(ApplyError::Stale {
        plan: plan.short_id(),
        stream: item.stream.clone(),
        expected: item.expected,
        actual,
        moved: if moved.is_empty() { "it is shorter".into() } else { format!("since then: {}", moved.join(", ")) },
    })
}

async fn append_items(
    log: &dyn EventLog,
    recorded: &Recorded,
    pending: &[Item],
    by: &Actor,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let Recorded { plan, record } = recorded;
    let run = StreamId::new(format!("run-{}", plan.id)).expect("`run-` and 64 hex digits are a stream name");
    let mut run_revision = log.revision(&run).await?;
    let procedure = Label::new("apply").expect("an identity");
    let subject = Label::new(plan.stream().as_str()).expect("a stream name is an identity");
    let started = RecoveryEvent::RunStarted { procedure, subject };
    let started = own_event(&run, &format!("started:{run_revision}"), started, by, now)?;
    append_one(log, run.clone(), run_revision, started).await?;
    run_revision = Revision(run_revision.0 + 1);
    let mut appended = Vec::new();
    let mut steps = Vec::new();
    for item in pending {
        let events = item.steps.iter().map(|step| step.to_event(record.proposed.id, record.proposed_at)).collect();
        let request = AppendRequest { stream: item.stream.clone(), expected: item.expected, events };
        match log.append(request).await {
            Ok(_) => appended.extend(item.steps.iter().map(|step| step.id)),
            Err(AppendError::Conflict { stream, expected, actual }) => {
                let moved = "somebody appended while the plan was being applied".into();
                let stale = ApplyError::Stale { plan: plan.short_id(), stream, expected, actual, moved };
                record_refusal(log, recorded, &stale.to_string(), by, now).await?;
                return Err(stale);
            }
            Err(error) => return Err(error.into()),
        }
        let step = Label::new(item.stream.as_str()).expect("a stream name is an identity");
        steps.push(own_event(&run, &format!("step:{}", item.stream), RecoveryEvent::StepSucceeded { step }, by, now)?);
    }
    let verdict = Label::new("applied").expect("an identity");
    steps.push(own_event(&run, "finished", RecoveryEvent::RunFinished { verdict }, by, now)?);
    log.append(AppendRequest { stream: run, expected: run_revision, events: steps }).await?;
    let all: Vec<EventId> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.id).collect();
    let applied = RecoveryEvent::PlanApplied { appended: all };
    let applied = own_event(&plan.stream(), "applied", applied, by, now)?;
    append_one(log, plan.stream(), record.revision, applied).await?;
    Ok(if appended.is_empty() { Applied::Nothing } else { Applied::Appended(appended) })
}

/// A plan and its history out of the log; an error when there is none or when it was altered.
pub async fn load(log: &dyn EventLog, id: Digest) -> Result<Recorded, ApplyError> {
    find(log, id).await?.ok_or(ApplyError::UnknownPlan { id })
}

async fn find(log: &dyn EventLog, id: Digest) -> Result<Option<Recorded>, ApplyError> {
    let mut history = Recoveries::default();
    let mut found: Option<Plan> = None;
    for raw in log.read_stream(&stream_of(id)).await? {
        let at = raw.decode();
        let Ok(Event::Recovery(event)) = &at.event else { continue };
        if let Err(Rejection::Mismatch { .. } | Rejection::WrongState { .. }) = history.check(&at, event) {
            continue;
        }
        if let RecoveryEvent::PlanProposed { plan, .. } = event {
            found = serde_json::from_str(plan.as_str()).ok();
        }
        history.evolve(&at, event);
        if let Some(record) = history.plans.get_mut(&id.to_string()) {
            record.revision = raw.revision;
        }
    }
    let Some(record) = history.plans.remove(&id.to_string()) else { return Ok(None) };
    match found {
        Some(plan) if plan.id == id && plan.content_digest()? == id => Ok(Some(Recorded { plan, record })),
        _ => Err(ApplyError::Altered { id }),
    }
}

/// Records that something was refused, and why: the next person must see it.
async fn record_refusal(
    log: &dyn EventLog,
    recorded: &Recorded,
    reason: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let stream = recorded.plan.stream();
    let revision = log.revision(&stream).await?;
    let event = RecoveryEvent::PlanRefused { reason: reason.to_owned() };
    let event = own_event(&stream, &format!("refused:{revision}"), event, by, now)?;
    append_one(log, stream, revision, event).await?;
    Ok(())
}

/// Records that an operator ran a command, with its outcome (M35).
pub async fn record_act(
    log: &dyn EventLog,
    by: &Actor,
    command: &str,
    outcome: &str,
    detail: String,
    now: Timestamp,
) -> Result<EventRef, ApplyError> {
    let stream = StreamId::new("ops-acts").expect("a fixed stream name");
    let revision = log.revision(&stream).await?;
    let label = |text: &str| Label::new(text).unwrap_or_else(|_| Label::new("unnamed").expect("an identity"));
    let event = OpsEvent::OperatorActed { command: label(command), outcome: label(outcome), detail };
    let event = own_event(&stream, &format!("act:{revision}"), event, by, now)?;
    let id = event.id;
    let ack = log.append(AppendRequest { stream: stream.clone(), expected: revision, events: vec![event] }).await?;
    let place = ack.events.first().copied().expect("an acknowledgement names every event");
    Ok(EventRef { position: place.position, stream, revision: place.revision, id })
}

/// An event about the recovery itself, in one of its own streams. `key` makes it unique there.
pub(super) fn own_event(
    stream: &StreamId,
    key: &str,
    event: impl Into<Event>,
    by: &Actor,
    now: Timestamp,
) -> Result<NewEvent, JsonError> {
    let (kind, version, data) = event.into().encode()?;
    Ok(NewEvent {
        id: EventId::derived(&["wox/record", stream.as_str(), key]),
        kind,
        version,
        time: now,
        actor: by.clone(),
        causation: None,
        correlation: None,
        provenance: Provenance::Recovery,
        rules: 1,
        data,
    })
}

pub(super) async fn append_one(
    log: &dyn EventLog,
    stream: StreamId,
    expected: Revision,
    event: NewEvent,
) -> Result<(), AppendError> {
    log.append(AppendRequest { stream, expected, events: vec![event] }).await.map(|_| ())
}

/// The actor for what the engine records by itself.
#[must_use]
pub fn engine() -> Actor {
    engine_actor()
}
