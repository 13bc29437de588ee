//! Stored text ↔ events. The stream's category picks the family, the kind picks the variant, the version picks the
//! upcasters. What this build cannot read is named, never skipped.

use std::borrow::Cow;

use serde::{
    Deserialize, Serialize,
    de::{self, IntoDeserializer},
};
use smol_str::SmolStr;
use strum::{VariantArray as _, VariantNames};

use crate::{
    AgentEvent, BurnEvent, ChainEvent, CommandEvent, DepositEvent, DuelEvent, Family, Json, OpsEvent, PlayerEvent,
    PoolEvent, RecoveryEvent, StreamId, TournamentEvent, WithdrawalEvent,
    record::JsonError,
    upcast::{self, UpcastError},
};

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($event:ty)),+ $(,)?) => {
        /// One event of any family, decoded.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $family($event),)+
        }

        impl Family {
            /// The kinds of events this family may hold, in the order of its enum.
            #[must_use]
            pub fn kinds(self) -> &'static [&'static str] {
                match self {
                    $(Family::$family => <$event>::VARIANTS,)+
                }
            }
        }

        impl Event {
            fn decode_current(family: Family, kind: &str, data: &str) -> Result<Event, serde_json::Error> {
                let source = KindAndData { kind, data };
                Ok(match family {
                    $(Family::$family => Event::$family(<$event>::deserialize(source)?),)+
                })
            }

            /// The family the event belongs to.
            #[must_use]
            pub fn family(&self) -> Family {
                match self {
                    $(Event::$family(_) => Family::$family,)+
                }
            }

            /// The kind of the event, as stored.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Event::$family(event) => event.into(),)+
                }
            }

            fn tagged(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Event::$family(event) => serde_json::to_value(event),)+
                }
            }
        }

        $(impl From<$event> for Event {
            fn from(event: $event) -> Event {
                Event::$family(event)
            }
        })+
    };
}

families! {
    /// Of a `player-*` stream.
    Player(PlayerEvent),
    /// Of a `duel-*` stream.
    Duel(DuelEvent),
    /// Of a `tournament-*` stream.
    Tournament(TournamentEvent),
    /// Of a `deposit-*` stream.
    Deposit(DepositEvent),
    /// Of a `withdrawal-*` stream.
    Withdrawal(WithdrawalEvent),
    /// Of a `burn-*` stream.
    Burn(BurnEvent),
    /// Of a `pool-*` stream.
    Pool(PoolEvent),
    /// Of an `agent-*` stream.
    Agent(AgentEvent),
    /// Of a `command-*` stream.
    Command(CommandEvent),
    /// Of a `plan-*` or `run-*` stream.
    Recovery(RecoveryEvent),
    /// Of an `ops-*`, `incident-*`, `outbox-*` or `backup-*` stream.
    Ops(OpsEvent),
    /// Of a `chain-*` stream.
    Chain(ChainEvent),
}

/// Why this build cannot read an event. Each holds the event's stream, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DecodeError {
    /// The stream's category belongs to no family.
    #[error("stream category `{category}` is unknown to this build; run the version of wox that wrote it, or waive it")]
    UnknownCategory {
        /// The part of the stream name before the first `-`.
        category: String,
    },
    /// The family has no such kind.
    #[error("kind `{kind}` is unknown to this build; run the version of wox that wrote it, or waive it")]
    UnknownKind {
        /// The kind as stored.
        kind: String,
    },
    /// The kind belongs to another family: whoever wrote it named the wrong stream.
    #[error(
        "kind `{kind}` belongs to the {belongs_to} family and cannot stand in a stream of the {family} family; send it to a stream of its own family, or waive it"
    )]
    ForeignKind {
        /// The kind as stored.
        kind: String,
        /// The family that has it.
        belongs_to: String,
        /// The family of the stream it stands in.
        family: String,
    },
    /// Written by a newer build.
    #[error("kind `{kind}` version {version} is newer than this build (knows up to {known}); run a newer wox")]
    FutureVersion {
        /// The kind.
        kind: String,
        /// The version as stored.
        version: u16,
        /// The newest version this build knows.
        known: u16,
    },
    /// The payload does not have the shape of its kind and version.
    #[error("payload of `{kind}` version {version} is malformed: {reason}")]
    Malformed {
        /// The kind.
        kind: String,
        /// The version as stored.
        version: u16,
        /// What is wrong, and where in the payload.
        reason: String,
    },
}

impl Event {
    /// Decodes a stored payload: checks kind and version, upcasts step by step to the current shape, reads it.
    ///
    /// ```
    /// use wox_events::{DecodeError, DuelEvent, Event, StreamId};
    /// let stream = StreamId::new("duel-17").unwrap();
    /// let event = Event::decode(&stream, "ChallengeDeclined", 1, "{}").unwrap();
    /// assert_eq!(event, Event::Duel(DuelEvent::ChallengeDeclined {}));
    /// let unknown = Event::decode(&stream, "BroomRaced", 1, "{}").unwrap_err();
    /// assert_eq!(unknown, DecodeError::UnknownKind { kind: "BroomRaced".into() });
    /// let foreign = Event::decode(&stream, "PoolStated", 1, "{}").unwrap_err();
    /// assert!(foreign.to_string().contains("belongs to the pool family"));
    /// ```
    pub fn decode(stream: &StreamId, kind: &str, version: u16, data: &str) -> Result<Event, DecodeError> {
        let Some(family) = stream.family() else {
            return Err(DecodeError::UnknownCategory { category: stream.category().to_owned() });
        };
        Event::decode_family(family, kind, version, data)
    }

    /// As [`Event::decode`], for a reader that has looked the family up once for many events of a stream.
    pub fn decode_family(family: Family, kind: &str, version: u16, data: &str) -> Result<Event, DecodeError> {
        let malformed = |reason: String| DecodeError::Malformed { kind: kind.to_owned(), version, reason };
        let known = upcast::current_version(kind);
        let data: Cow<'_, str> = if version == known {
            Cow::Borrowed(data)
        } else if !family.kinds().contains(&kind) {
            return Err(no_such_kind(family, kind));
        } else if version > known {
            return Err(DecodeError::FutureVersion { kind: kind.to_owned(), version, known });
        } else {
            match upcast::to_current(kind, version, data) {
                Ok(current) => Cow::Owned(current),
                Err(UpcastError::NoStep { .. }) => return Err(malformed(format!("there is no version {version}"))),
                Err(UpcastError::Payload(reason)) => return Err(malformed(reason)),
            }
        };
        Event::decode_current(family, kind, &data).map_err(|error| {
            if family.kinds().contains(&kind) { malformed(error.to_string()) } else { no_such_kind(family, kind) }
        })
    }

    /// The kind, its current version and the canonical payload, as a store keeps them.
    pub fn encode(&self) -> Result<(SmolStr, u16, Json), JsonError> {
        let kind = self.kind();
        let data = match self.tagged()? {
            serde_json::Value::Object(mut tagged) => tagged.remove(kind).unwrap_or_default(),
            _ => serde_json::Value::Null,
        };
        Ok((SmolStr::new_static(kind), upcast::current_version(kind), Json::of(&data)?))
    }
}

/// A kind that a family does not have: unknown, or known in another family.
fn no_such_kind(family: Family, kind: &str) -> DecodeError {
    match Family::VARIANTS.iter().find(|other| other.kinds().contains(&kind)) {
        Some(owner) => DecodeError::ForeignKind {
            kind: kind.to_owned(),
            belongs_to: owner.to_string(),
            family: family.to_string(),
        },
        None => DecodeError::UnknownKind { kind: kind.to_owned() },
    }
}

/// An externally tagged enum whose tag and content come from two places: serde needs no buffering for that.
struct KindAndData<'a> {
    kind: &'a str,
    data: &'a str,
}

impl<'de> de::Deserializer<'de> for KindAndData<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only a family of events is read this way"))
    }
    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> de::EnumAccess<'de> for KindAndData<'de> {
    type Error = serde_json::Error;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Self::Error> {
        let kind: de::value::StrDeserializer<'_, Self::Error> = self.kind.into_deserializer();
        Ok((seed.deserialize(kind)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for KindAndData<'de> {
    type Error = serde_json::Error;

    fn unit_variant(self) -> Result<(), Self::Error> {
        Err(de::Error::custom("every kind has fields"))
    }
    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Self::Error> {
        Err(de::Error::custom("every kind has named fields"))
    }
    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("every kind has named fields"))
    }
    fn struct_variant<V: de::Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let mut json = serde_json::Deserializer::from_str(self.data);
        let value = de::Deserializer::deserialize_struct(&mut json, "", fields, visitor)?;
        json.end()?;
        Ok(value)
    }
}
