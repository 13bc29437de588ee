//! `--as-of`: a point of history as it is typed, and the position it stands for. Whoever uses it says on stderr what it
//! resolved to; a point outside the log is answered with the range there is.

use std::str::FromStr;

use uuid::Uuid;
use wox_events::{EventId, Position, Timestamp};

use crate::rfc3339;

/// A point of history, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After this event of the log.
    Position(Position),
    /// After the last event before anything later than this moment.
    Time(Timestamp),
    /// After the event with this id.
    Event(EventId),
}

/// A text that is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a position (1234), nor an RFC 3339 time (2026-08-01T20:00:00Z), nor an event id")]
pub struct NoPoint;

impl FromStr for AsOf {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<AsOf, NoPoint> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(|position| AsOf::Position(Position(position))).map_err(|_| NoPoint);
        }
        if let Ok(moment) = rfc3339::parse(text) {
            return Ok(AsOf::Time(moment));
        }
        Uuid::try_parse(text).map(|id| AsOf::Event(EventId(id))).map_err(|_| NoPoint)
    }
}
