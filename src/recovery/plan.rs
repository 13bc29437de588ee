//! Plans are data (law 6): what would be appended where, for whom, why, and at which revisions. The id is the digest of
//! the content, so the same evidence gives the same id and nothing about a plan has to be remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wox_events::{Digest, Json, LogId, Position, Revision, StreamId, Timestamp, record::JsonError};
use wox_projections::{Account, FOLD_HASH, Rejection, Replay, State, invariants, ledger::Drift, postings::postings};

use super::{
    Case, Evidence, Finding, Repair, Scope, Severity, Step, diagnose,
    notice::{Notice, Person, TakenBack, concerned, hold_concerns, needs, report, taken_back, tells},
    standstill::waits,
};
use crate::{command, decisions};

/// What would be done about what is wrong. Strict, like everything in it: a field nobody knows is under no digest, so
/// nobody has approved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `wox/plan/v1`.
    pub schema: String,
    /// Digest of everything below except `base`.
    pub id: Digest,
    /// What it was made from. Not part of the id: unrelated traffic does not change a plan.
    pub base: Base,
    /// Which log.
    pub log: LogId,
    /// What it was asked to be about.
    pub scope: Scope,
    /// The code that folded the evidence.
    pub folds: String,
    /// False when there is nothing to append: then applying does nothing.
    pub changes: bool,
    /// True when an item moves money, lets it move, or sets an event aside: then a second person must approve.
    pub needs_approval: bool,
    /// What would be appended, one atomic batch an item.
    pub items: Vec<Item>,
    /// What operators are told once all of it stands in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Notice>,
    /// What is left to a person.
    pub held: Vec<Hold>,
    /// Findings that did not fit: a plan is one event of the log, and people read it whole. The next plan has them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferred: usize,
    /// Drift of conservation before, and after the items.
    pub conservation: (Drift, Drift),
}

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The position of the evidence.
    pub as_of: Position,
    /// The Merkle root there.
    pub root: Digest,
    /// The last position at which nothing was wrong yet.
    pub last_valid: Position,
    /// What time it was taken to be, where the game's clock was ahead of the clock of the machine that made the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
}

/// One compensation: one atomic batch in one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it repairs.
    pub findings: Vec<Finding>,
    /// The stream it appends to.
    pub stream: StreamId,
    /// The revision the stream must have.
    pub expected: Revision,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Person>,
    /// What has to be there before it can be applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The events, in order.
    pub steps: Vec<Step>,
    /// Who is told of it, and what, once the events stand in the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tells: Vec<Notice>,
    /// Notices that are not right any more then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes_back: Vec<TakenBack>,
}

/// A finding left to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What is wrong.
    pub finding: Finding,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Person>,
    /// Why nothing is done automatically.
    pub why: String,
    /// What the person does next.
    pub next: String,
}

impl Item {
    /// An item before it was tried out.
    fn new(finding: Finding, stream: StreamId, expected: Revision, steps: Vec<Step>) -> Item {
        let (concerns, needs, tells, takes_back) = Default::default();
        Item { findings: vec![finding], stream, expected, concerns, needs, steps, tells, takes_back }
    }
}

impl Plan {
    /// The notices of all items, and that for operators.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.items.iter().flat_map(|item| &item.tells).chain(&self.report)
    }

    /// The id as people type it: the first 16 hex digits.
    #[must_use]
    pub fn short_id(&self) -> String {
        self.id.short()
    }

    /// The stream of a plan's own events.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        stream_of(self.id)
    }

    /// True when an outcome in the outside world is unknown.
    #[must_use]
    pub fn has_unknown_outcomes(&self) -> bool {
        self.held.iter().any(|hold| hold.finding.outcome_unknown)
    }

    /// The digest of the plan's content: what the id must be. A plan whose id is another was edited.
    pub fn content_digest(&self) -> Result<Digest, JsonError> {
        let mut text = serde_json::to_value(self)?;
        if let Some(fields) = text.as_object_mut() {
            fields.remove("id");
            fields.remove("base");
        }
        Ok(Digest::of(Json::of(&text)?.as_str().as_bytes()))
    }
}

/// The stream of the events of the plan with this id.
#[must_use]
pub fn stream_of(id: Digest) -> StreamId {
    StreamId::new(format!("plan-{id}")).expect("`plan-` and 64 hex digits are a stream name")
}

/// Makes the plan for a scope: diagnoses, gathers repairs by stream, tries them out on a copy of the state with the
/// very code that folds the log, and turns what would be refused into holds. What is still wrong afterwards and is not
/// held by a procedure is held as unexplained, never guessed.
pub fn plan(evidence: &Evidence, scope: &Scope) -> Result<Plan, JsonError> {
    let diagnosis = diagnose(evidence);
    let mut cases = decisions::cases(evidence, scope, &diagnosis.cases)?;
    // What stands behind the event that holds a stream may change what is decided about it: that event comes first.
    let is_held = scope.subject().is_some_and(|subject| evidence.replay.held().contains_key(subject));
    if (scope.is_decision() || matches!(scope, Scope::Ask { .. })) && (is_held || cases.is_empty()) {
        cases = undecided(diagnosis.cases, scope);
    }
    let (mut items, mut held) = gather_by_stream(cases);
    let before = evidence.replay.state.conservation.drift;
    let fork = loop {
        match try_out(evidence, &mut items) {
            Ok(fork) => break fork,
            Err((refused, why)) => {
                let item = items.remove(refused);
                // A release and the burn that it calls off stand or fall together.
                let with_it = |other: &Item| {
                    item.stream.category() == "withdrawal"
                        && other.stream.category() == "burn"
                        && other.stream.subject() == item.stream.subject()
                };
                items.retain(|other| !with_it(other));
                held.extend(item.findings.into_iter().map(|finding| Hold {
                    next: why.next(&item.stream),
                    why: why.to_string(),
                    concerns: Vec::new(),
                    finding,
                }));
            }
        }
    };
    let state = &evidence.replay.state;
    for item in &mut items {
        item.needs = needs(item, scope.needs_approval());
        item.tells = tells(item, state);
        item.takes_back = taken_back(item, state);
        item.concerns = concerned(state, &item.stream, &item.findings, item);
    }
    // On all of it, also on what does not fit: a finding that has to wait is not an unexplained one.
    let unexplained = unexplained(fork.as_ref().unwrap_or(&evidence.replay), &held);
    if *scope == Scope::All {
        held.extend(unexplained);
    }
    for hold in &mut held {
        hold.concerns = hold_concerns(state, hold);
    }
    let later = fitting(&items, ITEMS_BYTES_MAX)?;
    let fork = if later < items.len() { try_out(evidence, &mut items[..later]).unwrap_or(None) } else { fork };
    let after = fork.map_or(before, |fork| fork.state.conservation.drift);
    let mut deferred: usize = items.drain(later..).map(|item| item.findings.len()).sum();
    if fitting(&held, HELD_BYTES_MAX)? < held.len() {
        // Whoever reads on sees first what nobody knows.
        held.sort_by_key(|hold| !hold.finding.outcome_unknown);
        let fit = fitting(&held, HELD_BYTES_MAX)?;
        deferred += held.drain(fit..).count();
    }
    let mut plan = Plan {
        schema: "wox/plan/v1".into(),
        id: Digest::of(b""),
        base: Base {
            as_of: evidence.as_of,
            root: evidence.root,
            last_valid: diagnosis.last_valid,
            clock: evidence.clock,
        },
        log: evidence.log,
        scope: scope.clone(),
        folds: FOLD_HASH.into(),
        changes: !items.is_empty(),
        needs_approval: (scope.needs_approval() && !items.is_empty())
            || items
                .iter()
                .any(|item| item.steps.iter().any(|step| !step.postings.is_empty() || waits(&item.stream, step))),
        report: report(&items),
        items,
        held,
        deferred,
        conservation: (before, after),
    };
    plan.id = plan.content_digest()?;
    Ok(plan)
}

/// Where a decision finds nothing to decide: what is wrong with its subject all the same, and what to do about that.
fn undecided(cases: Vec<Case>, scope: &Scope) -> Vec<Case> {
    let about = |case: &Case| scope.subject().is_some_and(|subject| case.finding.subject == *subject);
    let held = |Case { finding, repair }: Case| {
        let repair = match repair {
            held @ Repair::Hold { .. } => held,
            Repair::Compensate { .. } => Repair::Hold {
                why: "it needs no decision: the log proves what is to be done".into(),
                next: format!("apply first what is planned by {}", command::wox(["recover", finding.subject.as_str()])),
            },
        };
        Case { finding, repair }
    };
    cases.into_iter().filter(about).map(held).collect()
}

/// Most bytes of JSON that the items of a plan may have, and its holds: together with the rest they fit one event.
const ITEMS_BYTES_MAX: usize = 140 << 10;
const HELD_BYTES_MAX: usize = 80 << 10;

/// How many from the first one on fit so many bytes; always one, so that every plan gets somewhere.
fn fitting<T: Serialize>(things: &[T], most: usize) -> Result<usize, JsonError> {
    let mut bytes = 0;
    for (index, thing) in things.iter().enumerate() {
        bytes += Json::of(thing)?.as_str().len() + 1;
        if bytes > most && index > 0 {
            return Ok(index);
        }
    }
    Ok(things.len())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One item a stream, because one stream takes one atomic batch; holds apart.
fn gather_by_stream(cases: Vec<Case>) -> (Vec<Item>, Vec<Hold>) {
    let mut items: Vec<Item> = Vec::new();
    let mut by_stream: BTreeMap<StreamId, usize> = BTreeMap::new();
    let mut held = Vec::new();
    for Case { finding, repair } in cases {
        match repair {
            Repair::Hold { why, next } => held.push(Hold { finding, concerns: Vec::new(), why, next }),
            Repair::Compensate { stream, expected, steps } => match by_stream.get(&stream) {
                Some(index) => {
                    items[*index].findings.push(finding);
                    items[*index].steps.extend(steps);
                }
                None => {
                    by_stream.insert(stream.clone(), items.len());
                    items.push(Item::new(finding, stream, expected, steps));
                }
            },
        }
    }
    (items, held)
}

/// Folds the items onto a copy of the state, and notes what each step moves. `Err` names the item that would be
/// refused, and why. `None` when there is nothing to try.
fn try_out(evidence: &Evidence, items: &mut [Item]) -> Result<Option<Replay>, (usize, Box<WouldBeRefused>)> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut fork = evidence.replay.clone();
    for (index, item) in items.iter_mut().enumerate() {
        try_item(&mut fork, item, evidence).map_err(|why| (index, Box::new(why)))?;
    }
    Ok(Some(fork))
}

/// Why an item would be refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum WouldBeRefused {
    /// The folds refuse one of its events.
    #[error("the compensation {0} would be refused: {1}")]
    Step(String, Rejection),
    /// The ledger cannot say what it moves.
    #[error(transparent)]
    Postings(#[from] Rejection),
    /// An event that cannot be read.
    #[error("{0}")]
    Other(String),
}

impl WouldBeRefused {
    /// What a person does about it.
    fn next(&self, stream: &StreamId) -> String {
        let show = command::wox(["show", stream.as_str()]);
        match self {
            WouldBeRefused::Step(_, Rejection::Overdrawn { account: Account::Pool, short_by }) => format!(
                "the pool has paid it out: have {short_by} G contributed to it (PoolContributed in pool-main), then plan again"
            ),
            _ => format!("look at it with `{show}`; it needs a decision of its own"),
        }
    }
}

/// Folds one item onto a state; says why it would be refused.
pub(super) fn try_item(fork: &mut Replay, item: &mut Item, evidence: &Evidence) -> Result<(), WouldBeRefused> {
    let mut revision = item.expected;
    for step in &mut item.steps {
        revision = Revision(revision.0 + 1);
        let position = Position(fork.position.0 + 1);
        let recorded = step.to_recorded(&item.stream, position, revision, evidence.now());
        step.postings = match &recorded.event {
            Ok(event) => postings(&item.stream, event, &fork.state)?,
            Err(error) => return Err(WouldBeRefused::Other(error.to_string())),
        };
        step.postings.retain(|posting| !posting.amount.is_zero());
        let refused = fork.accounting.refused;
        fork.observe(&recorded).map_err(|error| WouldBeRefused::Other(error.to_string()))?;
        if fork.accounting.refused > refused {
            let why = fork.held().get(&item.stream).map(|held| held.reason.clone());
            return Err(why.map_or_else(
                || WouldBeRefused::Other(format!("the compensation {} would be refused", step.kind)),
                |why| WouldBeRefused::Step(step.kind.clone(), why),
            ));
        }
    }
    Ok(())
}

/// Violations that no procedure's hold is about.
fn unexplained(replay: &Replay, held: &[Hold]) -> Vec<Hold> {
    let about = |subject: &str| held.iter().any(|hold| hold.finding.subject.as_str() == subject);
    // Whatever a held finding leaves open may show in the sums; the sums themselves are then no finding of their own.
    let sums_explained = held.iter().any(|hold| hold.finding.procedure != "withdrawal_in_doubt");
    invariants::violations(replay)
        .into_iter()
        .filter(|violation| !about(&violation.subject))
        .filter(|violation| !(violation.invariant == "conservation" && sums_explained))
        .map(|violation| {
            let subject = StreamId::new(&violation.subject)
                .unwrap_or_else(|_| StreamId::new("ops-invariants").expect("a fixed stream name"));
            Hold {
                finding: Finding {
                    procedure: "unexplained".into(),
                    row: "R03".into(),
                    code: "WOX-DB-TRANS-005".into(),
                    severity: Severity::High,
                    subject,
                    since: violation.since,
                    says: format!("invariant {} is broken: {}", violation.invariant, violation.detail),
                    outcome_unknown: false,
                },
                concerns: Vec::new(),
                why: "no procedure explains it; an adjustment would hide the cause".into(),
                next: "follow it back from the event it is so since, then record what you find as an incident".into(),
            }
        })
        .collect()
}

/// What an account holds in the evidence; for procedures that must not promise money that is gone.
#[must_use]
pub fn holds(state: &State, account: &Account) -> wox_events::Amount {
    state.ledger.balance(account)
}
