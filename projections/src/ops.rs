//! What operators and the surroundings did: incidents, waivers, operator acts. No money and no game state.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wox_events::{Actor, Digest, EventId, OpsEvent, Position, Recorded, Timestamp, id::is_same_person};

use crate::projection::{EventRef, Projection, Rejection};

/// The state of operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ops {
    /// Incidents by the subject of their stream.
    pub incidents: BTreeMap<String, Incident>,
    /// Findings that two people dealt with outside the engine.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accepted: BTreeSet<Digest>,
    /// Waivers, in order.
    pub waivers: Vec<WaiverRecord>,
    /// Operator acts, by command and outcome.
    pub acts: BTreeMap<String, u64>,
    /// Everything else, counted by kind.
    pub counts: BTreeMap<String, u64>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What is wrong.
    pub title: String,
    /// How bad.
    pub severity: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// Why it happened, once it is over.
    pub cause: Option<String>,
}

/// A person decided that an event is not to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverRecord {
    /// The waived event's position.
    pub position: Position,
    /// The waived event.
    pub event: EventId,
    /// Who decided.
    pub by: Actor,
    /// Why.
    pub why: String,
    /// Where the decision stands.
    pub decided: EventRef,
}

impl Projection for Ops {
    type Event = OpsEvent;
    const NAME: &'static str = "ops";

    fn check(&self, at: &Recorded, event: &OpsEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        match event {
            OpsEvent::IncidentOpened { .. } if self.incidents.contains_key(id) => {
                Err(Rejection::exists("incident", id))
            }
            OpsEvent::IncidentClosed { .. } if !self.incidents.contains_key(id) => {
                Err(Rejection::unknown("incident", id))
            }
            OpsEvent::IncidentAccepted { first, second, .. } if is_same_person(first, second) => {
                Err(Rejection::state(format_args!("incident {id}"), "accepted by one person", "accepted by two"))
            }
            _ => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &OpsEvent) {
        match event {
            OpsEvent::IncidentOpened { title, severity } => {
                let incident =
                    Incident { title: title.clone(), severity: severity.to_string(), opened_at: at.time, cause: None };
                self.incidents.insert(at.stream.subject().to_owned(), incident);
            }
            OpsEvent::IncidentAccepted { finding, .. } => drop(self.accepted.insert(*finding)),
            OpsEvent::IncidentClosed { cause } => {
                if let Some(incident) = self.incidents.get_mut(at.stream.subject()) {
                    incident.cause = Some(cause.clone());
                }
            }
            OpsEvent::EventWaived { position, event, why, .. } => self.waivers.push(WaiverRecord {
                position: *position,
                event: *event,
                by: at.actor.clone(),
                why: why.clone(),
                decided: EventRef::of(at),
            }),
            OpsEvent::OperatorActed { command, outcome, .. } => {
                *self.acts.entry(format!("{command}: {outcome}")).or_default() += 1;
            }
            // Every other kind changes nothing by definition of the family; a new kind that does gets an arm above.
            other => *self.counts.entry(<&'static str>::from(other).to_owned()).or_default() += 1,
        }
    }
}
