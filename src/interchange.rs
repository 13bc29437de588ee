//! Events as other programs read and write them: one JSON object a line, canonical or CloudEvents 1.0. Canonical lines
//! are the truth byte for byte; CloudEvents carry every field too, so either form makes the same log again.

use wox_events::{LogId, NewEvent, Position, RawEvent, Revision, StreamId};

mod canonical;
mod cloudevents;

/// A form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// The canonical records, which the Merkle tree covers byte for byte
    #[default]
    Canonical,
    /// CloudEvents 1.0 in JSON
    CloudEvents,
}

/// One line as it was read. A producer that has no log of its own gives no place in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The log it was exported from.
    pub log: Option<LogId>,
    /// Its place in that log.
    pub position: Option<Position>,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// The event itself.
    pub event: NewEvent,
}

/// Why a line cannot be taken in: correct the line.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// Not JSON, a key twice, a field missing, unknown, or of the wrong type.
    #[error("{0}")]
    Shape(String),
    /// A field that is there and has the right type, and still cannot be understood.
    #[error("field `{field}`: {what}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong.
        what: String,
    },
    /// JSON, but neither form.
    #[error("neither a canonical record (keys `log`, `position`, …) nor a CloudEvent (key `specversion`)")]
    Unrecognised,
    /// A line made for `wox append`.
    #[error("a line for `wox append` (key `expected`), not an export")]
    ForAppend,
}

/// Says which form a line has, by its keys.
pub fn detect(line: &str) -> Result<Format, BadLine> {
    let keys: std::collections::BTreeMap<String, serde::de::IgnoredAny> =
        serde_json::from_str(line).map_err(|error| BadLine::Shape(format!("not a JSON object: {error}")))?;
    if keys.contains_key("specversion") {
        Ok(Format::CloudEvents)
    } else if keys.contains_key("log") && keys.contains_key("position") {
        Ok(Format::Canonical)
    } else if keys.contains_key("expected") {
        Err(BadLine::ForAppend)
    } else {
        Err(BadLine::Unrecognised)
    }
}

/// Reads one line of a known form.
pub fn read(format: Format, line: &str) -> Result<Incoming, BadLine> {
    // Serde would take the fields from a list too, by their order alone.
    if !line.trim_start().starts_with('{') {
        return Err(BadLine::Shape("not a JSON object".into()));
    }
    match format {
        Format::Canonical => canonical::read(line),
        Format::CloudEvents => cloudevents::read(line),
    }
}

/// Writes one event as a line, newline included.
pub fn write(format: Format, log: LogId, event: &RawEvent, out: &mut String) {
    match format {
        Format::Canonical => event.write_canonical(log, out),
        Format::CloudEvents => cloudevents::write(log, event, out),
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use wox_events::{EventId, Json, Provenance, Timestamp};

    use super::*;

    fn log() -> LogId {
        LogId(EventId::derived(&["log"]).0)
    }

    fn sample(time: i64, causation: Option<EventId>) -> RawEvent {
        RawEvent {
            position: Position(4_000_000_000),
            stream: StreamId::new("deposit-8453:0xab:0").unwrap(),
            revision: Revision(3),
            event: NewEvent {
                id: EventId::derived(&["event"]),
                kind: "BroomRaced".into(),
                version: 7,
                time: Timestamp(time),
                actor: wox_events::Actor::new("game").unwrap(),
                causation,
                correlation: None,
                provenance: Provenance::Observed,
                rules: 2,
                data: Json::canonical(r#"{"amount":"12.5","list":[1,{"deep":null}],"text":"ü\u0000"}"#).unwrap(),
            },
        }
    }

    #[test]
    fn both_forms_carry_every_field_there_and_back() {
        // A moment beyond the year 9999 has no RFC 3339 text; it must survive all the same.
        for time in [0, 1_785_585_600_123_456, -1, i64::MAX, i64::MIN] {
            for causation in [None, Some(EventId::derived(&["cause"]))] {
                for format in [Format::Canonical, Format::CloudEvents] {
                    let event = sample(time, causation);
                    let mut line = String::new();
                    write(format, log(), &event, &mut line);
                    assert_eq!(line.matches('\n').count(), 1);
                    assert_eq!(detect(&line).unwrap(), format);
                    let incoming = read(format, &line).unwrap_or_else(|error| panic!("{error}: {line}"));
                    assert_eq!(incoming.log, Some(log()));
                    assert_eq!(incoming.position, Some(event.position));
                    assert_eq!(incoming.stream, event.stream);
                    assert_eq!(incoming.revision, event.revision);
                    assert_eq!(incoming.event, event.event, "{line}");
                }
            }
        }
    }

    #[test]
    fn a_cloud_event_names_its_attributes_as_the_specification_wants() {
        let mut line = String::new();
        write(Format::CloudEvents, log(), &sample(1_785_585_600_123_456, None), &mut line);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["specversion"], "1.0");
        assert_eq!(value["source"], format!("urn:wox:log:{}", log()));
        assert_eq!(value["type"], "com.wizardsofx.BroomRaced.v7");
        assert_eq!(value["subject"], "deposit-8453:0xab:0");
        assert_eq!(value["time"], "2026-08-01T12:00:00.123456Z");
        let names = value.as_object().unwrap().keys().filter(|name| *name != "data_base64");
        assert!(names.into_iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())), "{line}");
    }

    #[test]
    fn lines_that_are_no_export_say_what_they_are() {
        for (line, said) in [
            (r#"{"stream":"duel-1","expected":0}"#, "wox append"),
            (r#"{"hello":1}"#, "neither"),
            ("[1]", "not a JSON object"),
            ("{", "not a JSON object"),
        ] {
            assert!(detect(line).unwrap_err().to_string().contains(said), "{line}");
        }
    }

    #[test]
    fn a_key_twice_or_an_unknown_key_is_refused_in_both_forms() {
        for format in [Format::Canonical, Format::CloudEvents] {
            let mut line = String::new();
            write(format, log(), &sample(0, None), &mut line);
            let twice = line.replacen('{', r#"{"id":"00000000-0000-0000-0000-000000000000","#, 1);
            assert!(read(format, &twice).is_err(), "{twice}");
            let unknown = line.replacen('{', r#"{"surprise":"1","#, 1);
            assert!(read(format, &unknown).is_err(), "{unknown}");
            assert!(read(format, "[]").is_err());
        }
    }
}
