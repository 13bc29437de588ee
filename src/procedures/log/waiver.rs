//! Leaving one event out by name. Not found by looking, but asked for by a person: `wox recover event POSITION`.

use wox_events::{OpsEvent, Position, StreamId, record::JsonError};

use super::super::{Procedure, Steps, hold};
use crate::recovery::{Case, Evidence};

const PROCEDURE: Procedure =
    Procedure { name: "waiver", row: "R06", finds: "nothing by itself", examine: |_| Vec::new() };

/// The plan to leave out the event that a stream is held by. Only such an event can be waived: leaving out one that
/// was folded would rewrite history.
pub fn propose(evidence: &Evidence, position: Position, why: &str) -> Result<Case, JsonError> {
    let control = StreamId::new("ops-control").expect("a fixed stream name");
    let held = evidence.replay.held().values().find(|held| held.since.position == position);
    let Some(held) = held else {
        let finding = PROCEDURE.finding("WOX-DB-TRANS-005", &control, format!("position {position} holds no stream"));
        let next = "`wox plan` lists the events that hold a stream, with their positions";
        return Ok(Case { finding, repair: hold("only an event that holds its stream can be left out", next) });
    };
    let says = format!("event {} is left out; {} plays on without it", held.since, held.since.stream);
    let event = OpsEvent::EventWaived {
        position,
        stream: held.since.stream.clone(),
        revision: held.since.revision,
        event: held.since.id,
        why: why.to_owned(),
    };
    let steps = Steps::on(evidence, control).add(held.since.id, "", event, says.clone());
    let finding = crate::recovery::Finding {
        since: Some(held.since.clone()),
        ..PROCEDURE.finding("WOX-DB-TRANS-005", &held.since.stream, held.reason.to_string())
    };
    Ok(Case { finding, repair: steps.repair() })
}
