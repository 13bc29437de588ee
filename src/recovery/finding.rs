//! What can be wrong, and what may be done about it. A finding is a result, not an error (law 7).

use serde::{Deserialize, Serialize};
use wox_events::{Actor, Digest, RawEvent, Recorded, Revision};
use wox_events::{Event, EventId, Json, NewEvent, Provenance, StreamId, Timestamp, record::JsonError};
use wox_projections::{EventRef, Posting};

/// One diagnosed cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The procedure that found it, as in `src/procedures/`.
    pub procedure: String,
    /// The runbook's row (shared name of the procedure, e.g. `R09`).
    pub row: String,
    /// The game's own error code, so that operators find it in the game's reference.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The stream it is about.
    pub subject: StreamId,
    /// Since which event it is so; unknown for damage of the log itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<EventRef>,
    /// What is wrong, in one sentence with names and amounts.
    pub says: String,
    /// True when nobody knows whether an effect happened: it is held and watched, never compensated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outcome_unknown: bool,
}

/// How soon somebody has to act (domain.md "Error codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// At once.
    Critical,
    /// Within 15 minutes.
    High,
    /// Within an hour.
    Medium,
    /// Within a day.
    Low,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        })
    }
}

/// A finding together with what its procedure proposes.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is wrong.
    pub finding: Finding,
    /// What may be done.
    pub repair: Repair,
}

/// What a procedure proposes.
#[derive(Clone, Debug)]
pub enum Repair {
    /// Append these events to one stream, in this order.
    Compensate {
        /// The stream.
        stream: StreamId,
        /// Its revision in the evidence.
        expected: Revision,
        /// The events.
        steps: Vec<Step>,
    },
    /// Leave it to a person.
    Hold {
        /// Why nothing may be done automatically.
        why: String,
        /// What the person does next.
        next: String,
    },
}

impl Finding {
    /// A finding of high severity, since nobody knows which event; whoever knows more says so.
    #[must_use]
    pub fn new(procedure: &str, row: &str, code: &str, subject: &StreamId, says: impl Into<String>) -> Finding {
        Finding {
            procedure: procedure.into(),
            row: row.into(),
            code: code.into(),
            severity: Severity::High,
            subject: subject.clone(),
            since: None,
            says: says.into(),
            outcome_unknown: false,
        }
    }

    /// What it is by: the same finding of the same facts. What two people accepted is accepted under it.
    #[must_use]
    pub fn key(&self) -> Digest {
        let since = self.since.as_ref().map(|since| since.id.to_string()).unwrap_or_default();
        Digest::of([&self.procedure, self.subject.as_str(), &since, &self.says].join("\n").as_bytes())
    }
}

/// One compensating event of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its id: derived from stream, cause and kind, so that twice applied is once applied.
    pub id: EventId,
    /// Its kind.
    pub kind: String,
    /// The version of its shape.
    pub version: u16,
    /// Its payload.
    pub data: Json,
    /// What it does, in one line with names and amounts.
    pub says: String,
    /// What it moves; filled in when the plan is tried out on a copy of the state.
    pub postings: Vec<Posting>,
}

impl Step {
    /// A step whose id follows from immutable facts: the stream, what caused it, its kind, and a qualifier where one
    /// cause has several effects of a kind (a player, a prize). Never a position, time, rank or attempt (P11).
    pub fn new(
        stream: &StreamId,
        cause: EventId,
        qualifier: &str,
        event: impl Into<Event>,
        says: impl Into<String>,
    ) -> Result<Step, JsonError> {
        let (kind, version, data) = event.into().encode()?;
        let id = EventId::derived(&["wox/compensation", stream.as_str(), &cause.to_string(), &kind, qualifier]);
        Ok(Step { id, kind: kind.to_string(), version, data, says: says.into(), postings: Vec::new() })
    }

    /// Whether this event of its stream is the step. An id leaves out what was decided, so two decisions about one thing
    /// have the same ids and are not the same.
    #[must_use]
    pub fn is(&self, event: &RawEvent) -> bool {
        let there = &event.event;
        there.id == self.id && there.kind == self.kind && there.version == self.version && there.data == self.data
    }

    /// The event as it is appended. Time and causes come from the recorded proposal, so every repeat is the same bytes.
    #[must_use]
    pub fn to_event(&self, proposed: EventId, proposed_at: Timestamp) -> NewEvent {
        NewEvent {
            id: self.id,
            kind: self.kind.as_str().into(),
            version: self.version,
            time: proposed_at,
            actor: engine_actor(),
            causation: Some(proposed),
            correlation: Some(proposed),
            provenance: Provenance::Recovery,
            rules: 1,
            data: self.data.clone(),
        }
    }

    /// The event as folds would see it after `at`: for trying a plan out on a copy of the state.
    #[must_use]
    pub fn to_recorded(
        &self,
        stream: &StreamId,
        position: wox_events::Position,
        revision: Revision,
        time: Timestamp,
    ) -> Recorded {
        Recorded {
            position,
            stream: stream.clone(),
            revision,
            id: self.id,
            time,
            actor: engine_actor(),
            causation: None,
            provenance: Provenance::Recovery,
            event: Event::decode(stream, &self.kind, self.version, self.data.as_str()),
        }
    }
}

/// The actor of everything the engine itself appends.
#[must_use]
pub fn engine_actor() -> Actor {
    Actor::new("wox").expect("`wox` is an identity")
}
