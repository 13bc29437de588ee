//! Stream names: `<category>-<subject>`. The category decides which family of events a stream may hold.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use smol_str::SmolStr;

use crate::id::{TextIdError, check_text_id};

/// The name of one stream, `<category>-<subject>`, e.g. `duel-17` or `deposit-8453:0xab…:0`.
///
/// ```
/// use wox_events::{Family, StreamId};
/// let stream = StreamId::new("duel-17").unwrap();
/// assert_eq!((stream.category(), stream.subject()), ("duel", "17"));
/// assert_eq!(stream.family(), Some(Family::Duel));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StreamId(SmolStr);

/// Why a text is no stream name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamIdError {
    /// Not an identity at all.
    #[error(transparent)]
    Text(#[from] TextIdError),
    /// No `-`, or nothing before or behind it.
    #[error("stream name is not `<category>-<subject>`, such as `duel-17`")]
    Shape,
}

/// A family of events: one enum, one file, one or more stream categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Family {
    /// `player-<platform user id>`
    Player,
    /// `duel-<id>`
    Duel,
    /// `tournament-<id>`
    Tournament,
    /// `deposit-<chain id>:<transaction hash>:<ordinal>`
    Deposit,
    /// `withdrawal-<id>`
    Withdrawal,
    /// `burn-<withdrawal id>`
    Burn,
    /// `pool-<name>`
    Pool,
    /// `agent-<name>`
    Agent,
    /// `command-<post id>`
    Command,
    /// `plan-<id>` and `run-<id>`
    Recovery,
    /// `ops-…`, `incident-…`, `outbox-…`, `backup-…`
    Ops,
    /// `chain-<chain id>…`
    Chain,
}

impl StreamId {
    /// Takes the text when it is `<category>-<subject>` in printable ASCII, at most 128 bytes.
    pub fn new(text: impl AsRef<str>) -> Result<Self, StreamIdError> {
        let text = text.as_ref();
        check_text_id(text)?;
        match text.split_once('-') {
            Some((category, subject)) if !category.is_empty() && !subject.is_empty() => Ok(Self(SmolStr::new(text))),
            _ => Err(StreamIdError::Shape),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.parts().map_or(self.as_str(), |(category, _)| category)
    }

    /// The part behind the first `-`: what the stream is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.parts().map_or("", |(_, subject)| subject)
    }

    /// Asked for every event several times: a category is short, so byte by byte beats the search of a long text.
    fn parts(&self) -> Option<(&str, &str)> {
        let at = self.0.bytes().position(|byte| byte == b'-')?;
        Some((&self.0[..at], &self.0[at + 1..]))
    }

    /// The family of events this stream may hold; `None` for a category this build does not know.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        Some(match self.category() {
            "player" => Family::Player,
            "duel" => Family::Duel,
            "tournament" => Family::Tournament,
            "deposit" => Family::Deposit,
            "withdrawal" => Family::Withdrawal,
            "burn" => Family::Burn,
            "pool" => Family::Pool,
            "agent" => Family::Agent,
            "command" => Family::Command,
            "plan" | "run" => Family::Recovery,
            "ops" | "incident" | "outbox" | "backup" => Family::Ops,
            "chain" => Family::Chain,
            _ => return None,
        })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

impl std::borrow::Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        StreamId::new(text).map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for StreamId {
    fn schema_name() -> Cow<'static, str> {
        "StreamId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[!#-,.-\\[\\]-~]+-[!#-\\[\\]-~]+$", "maxLength": 128})
    }
}
