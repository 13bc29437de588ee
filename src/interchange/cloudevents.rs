//! CloudEvents 1.0 in JSON. What the specification has no attribute for travels as extensions, in lower-case letters
//! only. Numbers travel as text: an extension integer has 32 bits there, a position has 64.

use std::str::FromStr;

use cloudevents::{AttributesReader as _, Data, Event, EventBuilder as _, EventBuilderV10, event::SpecVersion};
use smol_str::SmolStr;
use uuid::Uuid;
use wox_events::{
    Actor, EventId, Json, LogId, NewEvent, Position, Provenance, RawEvent, Revision, StreamId, Timestamp,
};

use super::{BadLine, Incoming};
use crate::rfc3339::to_chrono;

const TYPE_PREFIX: &str = "com.wizardsofx.";
const SOURCE_PREFIX: &str = "urn:wox:log:";
/// Every extension that is understood; another one would be lost, so it is refused.
const EXTENSIONS: &[&str] = &[
    "actor",
    "causationid",
    "correlationid",
    "logid",
    "position",
    "provenance",
    "rules",
    "streamrevision",
    "timemicros",
];

pub(super) fn write(log: LogId, event: &RawEvent, out: &mut String) {
    let new = &event.event;
    let provenance: &'static str = new.provenance.into();
    let data: serde_json::Value = serde_json::from_str(new.data.as_str()).expect("a stored payload is canonical JSON");
    let mut builder = EventBuilderV10::new()
        .id(new.id.to_string())
        .source(format!("{SOURCE_PREFIX}{log}"))
        .ty(format!("{TYPE_PREFIX}{}.v{}", new.kind, new.version))
        .subject(event.stream.as_str())
        .extension("logid", log.to_string())
        .extension("position", event.position.to_string())
        .extension("streamrevision", event.revision.to_string())
        .extension("actor", new.actor.as_str())
        .extension("provenance", provenance)
        .extension("rules", new.rules.to_string())
        .data("application/json", data);
    builder = match to_chrono(new.time) {
        Some(time) => builder.time(time),
        None => builder.extension("timemicros", new.time.0.to_string()),
    };
    if let Some(causation) = new.causation {
        builder = builder.extension("causationid", causation.to_string());
    }
    if let Some(correlation) = new.correlation {
        builder = builder.extension("correlationid", correlation.to_string());
    }
    let built = builder.build().expect("id, source and type are set");
    // The library keeps extensions in a hash map; canonical JSON sorts them, so a line has one form.
    out.push_str(Json::of(&built).expect("a CloudEvent is plain JSON").as_str());
}

pub(super) fn read(line: &str) -> Result<Incoming, BadLine> {
    // Reading strictly first: the library takes the last of two equal keys.
    let strict = Json::canonical(line).map_err(|error| BadLine::Shape(error.to_string()))?;
    let event: Event = serde_json::from_str(strict.as_str()).map_err(|error| BadLine::Shape(error.to_string()))?;
    if event.specversion() != SpecVersion::V10 {
        return Err(BadLine::Field { field: "specversion", what: "only 1.0 is understood".into() });
    }
    let mut names: Vec<&str> = event.iter_extensions().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some(name) = names.into_iter().find(|name| !EXTENSIONS.contains(name)) {
        return Err(BadLine::Shape(format!("extension `{name}` is unknown and would be lost")));
    }

    let (kind, version) = kind_and_version(event.ty())?;
    let subject =
        event.subject().ok_or(BadLine::Field { field: "subject", what: "missing: the stream's name".into() })?;
    let time = match (event.time(), optional(&event, "timemicros")?) {
        (_, Some(micros)) => Timestamp(micros),
        (Some(time), None) => Timestamp(time.timestamp_micros()),
        (None, None) => return Err(BadLine::Field { field: "time", what: "missing".into() }),
    };
    let data = match event.data() {
        Some(Data::Json(value)) => Json::of(value).map_err(|error| BadLine::Shape(error.to_string()))?,
        Some(_) => return Err(BadLine::Field { field: "data", what: "not JSON".into() }),
        None => return Err(BadLine::Field { field: "data", what: "missing".into() }),
    };
    Ok(Incoming {
        log: optional::<Uuid>(&event, "logid")?.map(LogId),
        position: optional(&event, "position")?.map(Position),
        stream: parsed("subject", StreamId::new(subject))?,
        revision: Revision(required(&event, "streamrevision")?),
        event: NewEvent {
            id: EventId(parsed("id", Uuid::try_parse(event.id()))?),
            kind,
            version,
            time,
            actor: parsed("actor", Actor::new(required::<String>(&event, "actor")?))?,
            causation: optional::<Uuid>(&event, "causationid")?.map(EventId),
            correlation: optional::<Uuid>(&event, "correlationid")?.map(EventId),
            provenance: required::<Provenance>(&event, "provenance")?,
            rules: required(&event, "rules")?,
            data,
        },
    })
}

/// `com.wizardsofx.DepositCredited.v2` → the kind and 2.
fn kind_and_version(ty: &str) -> Result<(SmolStr, u16), BadLine> {
    ty.strip_prefix(TYPE_PREFIX)
        .and_then(|rest| rest.rsplit_once(".v"))
        .and_then(|(kind, version)| Some((SmolStr::new(kind), version.parse().ok()?)))
        .ok_or_else(|| BadLine::Field { field: "type", what: format!("`{ty}` is not {TYPE_PREFIX}<kind>.v<version>") })
}

fn required<T: FromStr<Err: std::fmt::Display>>(event: &Event, field: &'static str) -> Result<T, BadLine> {
    optional(event, field)?.ok_or_else(|| BadLine::Field { field, what: "missing".into() })
}

fn optional<T: FromStr<Err: std::fmt::Display>>(event: &Event, field: &'static str) -> Result<Option<T>, BadLine> {
    let Some(value) = event.extension(field) else { return Ok(None) };
    parsed(field, value.to_string().parse()).map(Some)
}

fn parsed<T, E: std::fmt::Display>(field: &'static str, result: Result<T, E>) -> Result<T, BadLine> {
    result.map_err(|error| BadLine::Field { field, what: error.to_string() })
}
