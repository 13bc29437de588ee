//! Leaving one event out by name. Not found by looking, but asked for by a person: `wox recover event POSITION`.

use wox_events::{OpsEvent, Position, StreamId, record::JsonError};
use wox_projections::EventRef;

use crate::{
    procedures::{Steps, hold},
    recovery::{Case, Evidence, Finding},
};

/// The plan to leave out the event that a stream is held by. Only such an event can be waived: leaving out one that
/// was folded would rewrite history.
pub(super) fn cases(evidence: &Evidence, position: Position, why: &str) -> Result<Vec<Case>, JsonError> {
    let control = StreamId::new("ops-control").expect("a fixed stream name");
    let held = evidence.replay.held().values().find(|held| held.since.position == position);
    let Some(held) = held else { return Ok(unfit(evidence, position, &control).into_iter().collect()) };
    let says = format!("event {} is left out; {} plays on without it", held.since, held.since.stream);
    let event = OpsEvent::EventWaived {
        position,
        stream: held.since.stream.clone(),
        revision: held.since.revision,
        event: held.since.id,
        why: why.to_owned(),
    };
    let steps = Steps::on(evidence, control).add(held.since.id, "", event, says.clone());
    let finding = Finding { since: Some(held.since.clone()), ..finding(&held.since.stream, held.reason.to_string()) };
    Ok(vec![Case { finding, repair: steps.repair() }])
}

/// How many events that could be left out are named.
const SHOWN_MAX: usize = 3;

/// Why an event that holds no stream is not left out; nothing where it was left out before.
fn unfit(evidence: &Evidence, position: Position, control: &StreamId) -> Option<Case> {
    let replay = &evidence.replay;
    if replay.waivers().iter().any(|waiver| waiver.position == position) {
        return None;
    }
    if let Some(waits) = replay.refused_at(position) {
        let first = replay.held().get(&waits.stream).map_or(position, |held| held.since.position);
        let finding = finding(&waits.stream, format!("{waits} is not what holds its stream"));
        let next = format!("wox show {first} shows what does; wox recover event {first} --why REASON leaves that out");
        return Some(Case { finding, repair: hold("it waits behind an earlier event of its stream", next) });
    }
    let says = match position > evidence.as_of {
        true => format!("there is no event at position {position} yet"),
        false => format!("the event at position {position} is good: it counts, so there is nothing to leave out"),
    };
    let could = replay.held().values().take(SHOWN_MAX).map(|held| {
        let EventRef { position, stream, .. } = &held.since;
        format!("wox recover event {position} --why REASON (it holds {stream})")
    });
    let could: Vec<String> = could.collect();
    let next = match could.as_slice() {
        [] => "no event holds a stream now; what a good event did wrong is corrected: wox plan".to_owned(),
        could => format!("what could be left out: {}", could.join(", ")),
    };
    let why = "only an event that holds its stream can be left out: without one that counts, history would be another";
    Some(Case { finding: finding(control, says), repair: hold(why, next) })
}

fn finding(subject: &StreamId, says: String) -> Finding {
    Finding::new("waiver", "R06", "WOX-DB-TRANS-005", subject, says)
}
