//! Proposing, approving and applying plans: the only part of a recovery that writes. Everything it writes is an event,
//! refusals included (law 14). Applying twice is applying once: every batch names the exact revision it was planned at,
//! every event's id follows from what it corrects, and what is there already is success.

use std::{num::NonZeroUsize, sync::Arc};

use wox_events::{
    Actor, BurnEvent, Digest, Event, EventId, Label, NewEvent, OpsEvent, Position, Provenance, RecoveryEvent, Revision,
    StreamId, Timestamp, WithdrawalEvent, chain::Intent, record::JsonError,
};
use wox_projections::{
    EventRef, Projection as _, State,
    due::Due,
    recoveries::{PlanRecord, Recoveries},
    verdict::WithdrawalVerdict,
};

use super::{
    Evidence, Item, Plan, Scope,
    approval::{self, ApprovalError},
    finding::engine_actor,
    gather::{GatherError, gather, gather_upto},
    plan::{Base, plan, stream_of, try_item},
    policy::{APPROVAL_VALIDITY, SCAN_AGE_MAX},
    proposal,
    standstill::waits,
};
use crate::{
    log::{AppendError, AppendRequest, EventLog, ReadError},
    replay::Progress,
    rfc3339,
};

/// How often a record is tried again because somebody else wrote one first.
const ATTEMPTS_MAX: u32 = 32;

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
    /// Something was appended that was not there yet.
    Appended {
        /// The events.
        events: Vec<EventId>,
        /// How many notices were queued.
        notices: usize,
    },
}

impl Applied {
    /// The events that were appended.
    #[must_use]
    pub fn events(&self) -> &[EventId] {
        match self {
            Applied::Nothing => &[],
            Applied::Appended { events, .. } => events,
        }
    }

    /// How many notices were queued.
    #[must_use]
    pub fn notices(&self) -> usize {
        match self {
            Applied::Nothing => 0,
            Applied::Appended { notices, .. } => *notices,
        }
    }
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
    /// The plan says of its evidence what the log does not say.
    #[error(
        "plan {plan} does not stand on this log: at position {as_of} its root or its last valid position is another; run `wox plan` again"
    )]
    OtherBase {
        /// The plan.
        plan: String,
        /// Where it says it was made.
        as_of: Position,
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
            | ApplyError::OtherBase { .. }
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
    let mut events = Vec::new();
    for (index, event) in proposal::events(plan)?.into_iter().enumerate() {
        let key = if index == 0 { "proposed".to_owned() } else { format!("piece:{index}") };
        events.push(own_event(&plan.stream(), &key, event, by, now)?);
    }
    match log.append(AppendRequest { stream: plan.stream(), expected: Revision::NO_STREAM, events }).await {
        // Somebody proposed the same plan a moment ago: that is the recorded one.
        Ok(_) | Err(AppendError::Conflict { .. } | AppendError::IdConflict { .. }) => load(log, plan.id).await,
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
    let event = RecoveryEvent::PlanApproved { digest: id, expires_at, comment: comment.to_owned() };
    append_last(log, &stream_of(id), "approved", &event.into(), by, now).await?;
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
    // Seen at the time it was made, or it would be another plan for no reason; never at one that has not come here.
    let seen_at = old.base.clock.map_or(now, |clock| clock.min(now));
    let then = gather_upto(log, old.base.as_of, None, threads, progress).await?.seen_at(seen_at);
    undamaged(&then)?;
    let again = plan(&then, &old.scope)?;
    if again.id != old.id {
        return Err(ApplyError::Changed { plan: old.short_id(), now: again.short_id() });
    }
    // The base is not under the id, and people who approve read it.
    if (Base { clock: old.base.clock, ..again.base.clone() }) != old.base {
        return Err(ApplyError::OtherBase { plan: old.short_id(), as_of: old.base.as_of });
    }
    drop(then);
    // The state first: what somebody else applies meanwhile is then found there, not tried out a second time.
    let today = gather(log, threads, progress).await?.seen_at(now);
    undamaged(&today)?;
    let mut pending = Vec::new();
    for item in &again.items {
        if !is_there(log, old, item).await? {
            pending.push(item.clone());
        }
    }
    measured_today(&pending, &today, recorded)?;
    unless_stopped(&pending, &today, old)?;
    scanned_lately(&pending, &today, old, now)?;
    let mut fork = today.replay.clone();
    for item in &mut pending {
        try_item(&mut fork, item, &today).map_err(|why| ApplyError::NoLongerFits {
            plan: old.short_id(),
            stream: item.stream.clone(),
            why: why.to_string(),
        })?;
    }
    Ok(pending)
}

/// Differences that were measured must be today's. A run that was cut off goes on as it began.
fn measured_today(pending: &[Item], today: &Evidence, recorded: &Recorded) -> Result<(), ApplyError> {
    let figures = ["ReconciliationDrift", "HoldingsAdjusted", "HoldingsAdjustmentReversed"];
    let measures = |item: &&Item| item.steps.iter().any(|step| figures.contains(&step.kind.as_str()));
    if !pending.iter().any(|item| measures(&item))
        || today.replay.revision(&run_of(&recorded.plan)) != Revision::NO_STREAM
    {
        return Ok(());
    }
    let events = |item: &Item| -> Vec<_> { item.steps.iter().map(|step| (step.id, step.data.clone())).collect() };
    let again = plan(today, &recorded.plan.scope)?;
    for item in pending.iter().filter(measures) {
        let same = again.items.iter().any(|other| other.stream == item.stream && events(other) == events(item));
        if !same {
            return Err(ApplyError::NoLongerFits {
                plan: recorded.plan.short_id(),
                stream: item.stream.clone(),
                why: "what the ledger owes has changed since, so the figures are not today's".into(),
            });
        }
    }
    Ok(())
}

/// What rests on what our wallets did not send rests on what they did not send until now.
fn scanned_lately(pending: &[Item], today: &Evidence, plan: &Plan, now: Timestamp) -> Result<(), ApplyError> {
    let chain = &today.replay.state.chain;
    for item in pending {
        let old = on_scans(&today.replay.state, item).and_then(|due| chain.scanned_at(&due));
        if let Some(at) = old.filter(|at| now.since(*at) > SCAN_AGE_MAX) {
            return Err(ApplyError::NoLongerFits {
                plan: plan.short_id(),
                stream: item.stream.clone(),
                why: format!(
                    "what our wallets sent was looked at at {}, and they may have sent more since: look again, and decide again",
                    rfc3339::text(at)
                ),
            });
        }
    }
    Ok(())
}

/// What an item pays, gives back or calls off because a scan of our wallets did not show it paid; a journal needs none.
fn on_scans<'a>(state: &'a State, item: &Item) -> Option<Due<'a>> {
    let (mut again, mut on_scan) = (false, false);
    for step in &item.steps {
        match Event::decode(&item.stream, &step.kind, step.version, step.data.as_str()) {
            Ok(Event::Burn(BurnEvent::BurnScheduled { .. })) => again = true,
            Ok(
                Event::Withdrawal(
                    WithdrawalEvent::HoldReleased { .. }
                    | WithdrawalEvent::RebroadcastRequested { .. }
                    | WithdrawalEvent::BumpRequested { .. },
                )
                | Event::Burn(
                    BurnEvent::BurnCancelled { .. }
                    | BurnEvent::BurnIntentRequested { intent: Intent::Rebroadcast | Intent::Bump, .. },
                ),
            ) => on_scan = true,
            _ => {}
        }
    }
    if again {
        let id = item.stream.subject();
        return Due::share(id, state.withdrawals.get(id)?);
    }
    let due = Due::of(state, &item.stream).filter(|_| on_scan)?;
    let unproven = matches!(state.verdict_of(&due), Some((WithdrawalVerdict::Unknown { .. }, _)));
    (unproven || !state.chain.is_journaled_since(due.since)).then_some(due)
}

/// A look since the plan was made may show that a final block is gone; the alarm need not be recorded.
fn unless_stopped(pending: &[Item], today: &Evidence, plan: &Plan) -> Result<(), ApplyError> {
    let Some(stop) = today.standstill() else { return Ok(()) };
    // Two people decide what is true of the block that is gone; who alone changed the rules decides nothing with them.
    let alone = today.replay.state.chain.changed_rules().next().is_some();
    if matches!(plan.scope, Scope::Restore { .. }) && !alone {
        return Ok(());
    }
    let restores = matches!(plan.scope, Scope::Restore { .. });
    let moves = |item: &&Item| restores || item.steps.iter().any(|step| waits(&item.stream, step));
    match pending.iter().find(|item| moves(item) && stop.about.as_ref() != Some(&item.stream)) {
        Some(item) => {
            Err(ApplyError::NoLongerFits { plan: plan.short_id(), stream: item.stream.clone(), why: stop.why.clone() })
        }
        None => Ok(()),
    }
}

fn run_of(plan: &Plan) -> StreamId {
    StreamId::new(format!("run-{}", plan.id)).expect("`run-` and 64 hex digits are a stream name")
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
    if newer.len() >= item.steps.len() && newer.iter().zip(&item.steps).all(|(event, step)| step.is(event)) {
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
    let run = run_of(plan);
    let procedure = Label::new("apply").expect("an identity");
    let subject = Label::new(plan.stream().as_str()).expect("a stream name is an identity");
    append_last(log, &run, "started", &RecoveryEvent::RunStarted { procedure, subject }.into(), by, now).await?;
    let mut events = Vec::new();
    for item in pending {
        let batch = item.steps.iter().map(|step| step.to_event(record.proposed.id, record.proposed_at)).collect();
        let request = AppendRequest { stream: item.stream.clone(), expected: item.expected, events: batch };
        match log.append(request).await {
            // Somebody who applies the same plan was faster: it is there once.
            Ok(ack) if ack.repeat => {}
            Ok(_) => {
                tracing::info!(plan = %plan.short_id(), stream = %item.stream, events = item.steps.len(), "compensated");
                events.extend(item.steps.iter().map(|step| step.id));
            }
            Err(error @ (AppendError::Conflict { .. } | AppendError::IdConflict { .. })) => {
                match is_there(log, plan, item).await {
                    Ok(true) => {}
                    Ok(false) => return Err(error.into()),
                    Err(stale) => {
                        record_refusal(log, recorded, &stale.to_string(), by, now).await?;
                        return Err(stale);
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        let step = Label::new(item.stream.as_str()).expect("a stream name is an identity");
        let key = format!("step:{}", item.stream);
        append_last(log, &run, &key, &RecoveryEvent::StepSucceeded { step }.into(), by, now).await?;
    }
    let notices = tell(log, recorded).await?;
    let verdict = Label::new("applied").expect("an identity");
    append_last(log, &run, "finished", &RecoveryEvent::RunFinished { verdict }.into(), by, now).await?;
    record_applied(log, plan, by, now).await?;
    Ok(if events.is_empty() && notices == 0 { Applied::Nothing } else { Applied::Appended { events, notices } })
}

/// Queues the notices of a plan whose items stand in the log, and takes back those that are not right any more. Each stands
/// in a stream of its own under an id of its own, so an attempt that was cut off is finished by the next one. Says how many
/// it queued.
async fn tell(log: &dyn EventLog, Recorded { plan, record }: &Recorded) -> Result<usize, ApplyError> {
    let (proposed, at) = (record.proposed.id, record.proposed_at);
    let mut queue = Vec::new();
    for notice in plan.notices() {
        if log.revision(&notice.stream()).await? == Revision::NO_STREAM {
            let events = vec![notice.to_event(proposed, at)?];
            queue.push(AppendRequest { stream: notice.stream(), expected: Revision::NO_STREAM, events });
        }
    }
    let mut queued = 0;
    for answer in log.append_many(queue).await {
        match answer {
            // Somebody who applies the same plan was faster: it is queued once.
            Err(AppendError::Conflict { .. }) => {}
            Ok(ack) => queued += usize::from(!ack.repeat),
            Err(error) => return Err(error.into()),
        }
    }
    for taken in plan.items.iter().flat_map(|item| &item.takes_back) {
        let event = taken.to_event(proposed, at)?;
        let mut attempt = 1;
        loop {
            let known = log.read_stream(&taken.stream()).await?;
            if known.iter().any(|other| other.event.id == event.id || other.event.kind == event.kind) {
                break;
            }
            let expected = known.last().map_or(Revision::NO_STREAM, |last| last.revision);
            match append_one(log, taken.stream(), expected, event.clone()).await {
                Ok(()) => break,
                Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(queued)
}

/// Records once that every item stands in the log, whoever else comes to the same end at the same time.
async fn record_applied(log: &dyn EventLog, plan: &Plan, by: &Actor, now: Timestamp) -> Result<(), ApplyError> {
    let all: Vec<EventId> = plan.items.iter().flat_map(|item| &item.steps).map(|step| step.id).collect();
    let applied = own_event(&plan.stream(), "applied", RecoveryEvent::PlanApplied { appended: all }, by, now)?;
    for _ in 0..ATTEMPTS_MAX {
        let current = load(log, plan.id).await?.record;
        if current.applied.is_some() {
            return Ok(());
        }
        match append_one(log, plan.stream(), current.revision, applied.clone()).await {
            Err(AppendError::Conflict { .. } | AppendError::IdConflict { .. }) => {}
            answer => return Ok(answer?),
        }
    }
    let current = log.revision(&plan.stream()).await?;
    Ok(append_one(log, plan.stream(), current, applied).await?)
}

/// A plan and its history out of the log; an error when there is none or when it was altered.
pub async fn load(log: &dyn EventLog, id: Digest) -> Result<Recorded, ApplyError> {
    find(log, id).await?.ok_or(ApplyError::UnknownPlan { id })
}

async fn find(log: &dyn EventLog, id: Digest) -> Result<Option<Recorded>, ApplyError> {
    let mut history = Recoveries::default();
    let mut reader = proposal::Reader::default();
    let mut revision = Revision::NO_STREAM;
    for raw in log.read_stream(&stream_of(id)).await? {
        let at = raw.decode();
        revision = raw.revision;
        let Ok(Event::Recovery(event)) = &at.event else { continue };
        // What the fold refuses counts for nothing here either: a second proposal must not change the proposer.
        if history.check(&at, event).is_err() {
            continue;
        }
        reader.take(event);
        history.evolve(&at, event);
    }
    let Some(mut record) = history.plans.remove(&id.to_string()) else { return Ok(None) };
    // Also behind events that count for nothing: the next one goes to the end of the stream.
    record.revision = revision;
    match reader.plan() {
        Some(plan) if plan.id == id && plan.content_digest()? == id => Ok(Some(Recorded { plan, record })),
        _ => Err(ApplyError::Altered { id }),
    }
}

/// Records that something was refused, and why: the next person must see it.
pub async fn record_refusal(
    log: &dyn EventLog,
    recorded: &Recorded,
    reason: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let event = RecoveryEvent::PlanRefused { reason: reason.to_owned() };
    append_last(log, &recorded.plan.stream(), "refused", &event.into(), by, now).await?;
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
    let label = |text: &str| Label::new(text).unwrap_or_else(|_| Label::new("unnamed").expect("an identity"));
    let event = OpsEvent::OperatorActed { command: label(command), outcome: label(outcome), detail };
    append_last(log, &stream, "act", &event.into(), by, now).await
}

/// An event about the recovery itself, in one of its own streams. `key` makes it unique there.
pub(crate) fn own_event(
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

/// Appends a record to the end of its stream, wherever that is by now: records of what happened never conflict, and
/// somebody else may be writing one at the same time.
pub(super) async fn append_last(
    log: &dyn EventLog,
    stream: &StreamId,
    key: &str,
    event: &Event,
    by: &Actor,
    now: Timestamp,
) -> Result<EventRef, ApplyError> {
    let mut attempt = 1;
    loop {
        let expected = log.revision(stream).await?;
        let event = own_event(stream, &format!("{key}:{expected}"), event.clone(), by, now)?;
        let id = event.id;
        match log.append(AppendRequest { stream: stream.clone(), expected, events: vec![event] }).await {
            Ok(ack) => {
                let place = ack.events.first().copied().expect("an acknowledgement names every event");
                return Ok(EventRef { position: place.position, stream: stream.clone(), revision: place.revision, id });
            }
            Err(AppendError::Conflict { .. } | AppendError::IdConflict { .. }) if attempt < ATTEMPTS_MAX => {
                attempt += 1
            }
            Err(error) => return Err(error.into()),
        }
    }
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
