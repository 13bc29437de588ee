//! One event as the log holds it, and its canonical form: the bytes that the Merkle tree covers.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Digest, Event, EventId, LogId, StreamId, Timestamp, id::text_id};

text_id!(
    /// Who caused an event: `game`, `chain`, `wox`, or a person such as `alice`.
    Actor
);
use crate::id::TextIdError;
use serde::{Deserializer, de};

/// The place of an event in the whole log: 1, 2, 3 … without gaps.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Position(pub u64);

/// The place of an event in its stream: 1, 2, 3 … without gaps. 0 stands for "no event yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a stream that has no event yet.
    pub const NO_STREAM: Revision = Revision(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an event comes from. Only what the game or the world did moves the game's clock.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Provenance {
    /// The game did it and says so.
    Game,
    /// Seen in the outside world: on chain, on X, in a table.
    Observed,
    /// Taken over from the game's tables at genesis; unproven until proven (row E5).
    Imported,
    /// This engine or a person through it: findings, plans, compensations.
    Recovery,
}

/// Any canonical JSON text, kept as it is: the data of an event that is not decoded yet, or an embedded document.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

/// Why a text cannot be the data of an event.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or JSON with a duplicate key, or a number RFC 8785 cannot carry.
    #[error("not valid JSON: {0}")]
    Invalid(#[from] serde_json::Error),
    /// A number with a fraction or an exponent, or beyond 2^53: amounts and times are text or small integers.
    #[error("number `{0}` is not an integer within ±2^53; amounts are decimal strings")]
    Number(String),
    /// The same key twice in one object.
    #[error("key `{0}` appears twice in one object")]
    DuplicateKey(String),
}

impl Json {
    /// Brings any JSON text into its one canonical form (RFC 8785). Refuses duplicate keys and numbers that are not
    /// integers within ±2^53: two readers could understand them differently.
    ///
    /// ```
    /// use wox_events::Json;
    /// assert_eq!(Json::canonical(r#"{ "b": 1, "a": "x" }"#).unwrap().as_str(), r#"{"a":"x","b":1}"#);
    /// assert!(Json::canonical(r#"{"a":1,"a":2}"#).is_err());
    /// assert!(Json::canonical(r#"{"a":1.5}"#).is_err());
    /// ```
    pub fn canonical(text: &str) -> Result<Json, JsonError> {
        let strict: strict::Value = serde_json::from_str(text).map_err(strict::explain)?;
        Ok(Json(serde_json_canonicalizer::to_string(&strict.0)?.into_boxed_str()))
    }

    /// The canonical form of any serialisable value.
    pub fn of(value: &impl Serialize) -> Result<Json, JsonError> {
        // Through a value tree: embedded `Json` is raw text to serde, and becomes plain JSON there.
        let value = serde_json::to_value(value)?;
        Ok(Json(serde_json_canonicalizer::to_string(&value)?.into_boxed_str()))
    }

    /// Takes text that a store already holds in canonical form, without looking at it again.
    #[must_use]
    pub fn stored(text: Box<str>) -> Json {
        Json(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        Json::canonical(raw.get()).map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "any JSON document"})
    }
}

/// What a producer hands over: one event without its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Made by the producer before sending; the same id with the same content is a repeat.
    pub id: EventId,
    /// The kind, e.g. `ChallengeIssued`.
    pub kind: SmolStr,
    /// The version of the kind's shape, from 1.
    pub version: u16,
    /// When it happened, as the producer says.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to this one.
    pub causation: Option<EventId>,
    /// The conversation it belongs to.
    pub correlation: Option<EventId>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The version of the game's rules it was decided under.
    pub rules: u16,
    /// The payload, canonical.
    pub data: Json,
}

/// One stored event, payload not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// What the producer said.
    pub event: NewEvent,
}

/// One stored event with its payload decoded: what folds see.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its id.
    pub id: EventId,
    /// When it happened, as the producer says.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to this one.
    pub causation: Option<EventId>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The payload, or why this build cannot read it.
    pub event: Result<Event, crate::DecodeError>,
}

impl RawEvent {
    /// Writes the canonical record: one RFC 8785 object over **every** field, place and log id included. Keys are in
    /// code-point order already and every value is an identity, an integer or canonical JSON, so nothing is sorted or
    /// escaped here.
    pub fn write_canonical(&self, log: LogId, out: &mut String) {
        use fmt::Write as _;
        let event = &self.event;
        let _infallible = (|| -> fmt::Result {
            write!(out, "{{\"actor\":\"{}\"", event.actor)?;
            if let Some(causation) = event.causation {
                write!(out, ",\"causation\":\"{causation}\"")?;
            }
            if let Some(correlation) = event.correlation {
                write!(out, ",\"correlation\":\"{correlation}\"")?;
            }
            let provenance: &str = event.provenance.into();
            write!(
                out,
                ",\"data\":{},\"id\":\"{}\",\"kind\":\"{}\",\"log\":\"{log}\",\"position\":{},\"provenance\":\"{}\",\
                 \"revision\":{},\"rules\":{},\"stream\":\"{}\",\"time\":{},\"version\":{}}}",
                event.data.as_str(),
                event.id,
                event.kind,
                self.position,
                provenance,
                self.revision,
                event.rules,
                self.stream,
                event.time.0,
                event.version,
            )
        })();
    }

    /// The canonical record as text.
    #[must_use]
    pub fn canonical(&self, log: LogId) -> String {
        let mut out = String::with_capacity(512);
        self.write_canonical(log, &mut out);
        out
    }

    /// The leaf of this event in the log's Merkle tree.
    #[must_use]
    pub fn leaf(&self, log: LogId) -> Digest {
        Digest::leaf(self.canonical(log).as_bytes())
    }

    /// Decodes the payload, through the upcasters. A payload this build cannot read stays in the result as an error:
    /// it is a finding with a place, not a failure to look.
    #[must_use]
    pub fn decode(&self) -> Recorded {
        let event = &self.event;
        Recorded {
            position: self.position,
            stream: self.stream.clone(),
            revision: self.revision,
            id: event.id,
            time: event.time,
            actor: event.actor.clone(),
            causation: event.causation,
            provenance: event.provenance,
            event: Event::decode(&self.stream, &event.kind, event.version, event.data.as_str()),
        }
    }
}

/// The canonical record as other programs read and write it: one line of an export.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanonicalRecord {
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<EventId>,
    /// The payload.
    pub data: Json,
    /// The event's id.
    pub id: EventId,
    /// The kind.
    pub kind: String,
    /// The log it belongs to.
    pub log: LogId,
    /// Its place in that log.
    pub position: Position,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its place in the stream.
    pub revision: Revision,
    /// The version of the game's rules.
    pub rules: u16,
    /// Its stream.
    pub stream: StreamId,
    /// When it happened, microseconds since 1970.
    pub time: Timestamp,
    /// The version of the kind's shape.
    pub version: u16,
}

impl From<CanonicalRecord> for RawEvent {
    fn from(record: CanonicalRecord) -> RawEvent {
        RawEvent {
            position: record.position,
            stream: record.stream,
            revision: record.revision,
            event: NewEvent {
                id: record.id,
                kind: SmolStr::new(record.kind),
                version: record.version,
                time: record.time,
                actor: record.actor,
                causation: record.causation,
                correlation: record.correlation,
                provenance: record.provenance,
                rules: record.rules,
                data: record.data,
            },
        }
    }
}

/// JSON read strictly: no duplicate keys, integers only.
mod strict {
    use super::{JsonError, de};
    use serde::Deserialize;
    use std::fmt;

    pub(super) struct Value(pub(super) serde_json::Value);

    const DUPLICATE: &str = "duplicate key \u{1}";
    const NUMBER: &str = "not an integer \u{1}";

    /// Turns the markers that travelled through serde's error text back into facts.
    pub(super) fn explain(error: serde_json::Error) -> JsonError {
        let text = error.to_string();
        let between = |marker: &str| {
            let rest = text.strip_prefix(marker)?;
            rest.split_once('\u{1}').map(|(inner, _)| inner.to_owned())
        };
        if let Some(key) = between(DUPLICATE) {
            JsonError::DuplicateKey(key)
        } else if let Some(number) = between(NUMBER) {
            JsonError::Number(number)
        } else {
            JsonError::Invalid(error)
        }
    }

    const INTEGER_MAX: i64 = 1 << 53;

    impl<'de> Deserialize<'de> for Value {
        fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Visitor).map(Value)
        }
    }

    struct Visitor;

    impl<'de> de::Visitor<'de> for Visitor {
        type Value = serde_json::Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(serde_json::Value::Null)
        }
        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(value.into())
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
            if value < -INTEGER_MAX {
                return Err(E::custom(format!("{NUMBER}{value}\u{1}")));
            }
            Ok(value.into())
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            if value > INTEGER_MAX as u64 {
                return Err(E::custom(format!("{NUMBER}{value}\u{1}")));
            }
            Ok(value.into())
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
            Err(E::custom(format!("{NUMBER}{value}\u{1}")))
        }
        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(value.into())
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(Value(item)) = items.next_element()? {
                list.push(item);
            }
            Ok(list.into())
        }
        fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = serde_json::Map::new();
            while let Some(key) = entries.next_key::<String>()? {
                let Value(value) = entries.next_value()?;
                if map.contains_key(&key) {
                    return Err(de::Error::custom(format!("{DUPLICATE}{key}\u{1}")));
                }
                map.insert(key, value);
            }
            Ok(map.into())
        }
    }
}
