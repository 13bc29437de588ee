//! `--as-of`: a point of history as it is typed, and the position it stands for. Whoever uses it says on stderr what it
//! resolved to; a point outside the log is answered with the range there is.

use std::str::FromStr;

use uuid::Uuid;
use wox_events::{EventId, Position, Timestamp};

use crate::{
    cli::{CliError, Context},
    log::{EmbeddedLog, EventLog as _},
    rfc3339,
};

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

/// The position a command looks at: the head, or what `--as-of` resolves to, which is then said on stderr.
pub async fn position(log: &EmbeddedLog, context: &Context) -> Result<Position, CliError> {
    let head = log.head().await?.position;
    let Some(as_of) = &context.as_of else { return Ok(head) };
    let found = position_of(log, as_of).await?;
    let time = match time_at(log, found).await? {
        Some(time) => format!(", {}", rfc3339::text(time)),
        None => String::new(),
    };
    context.say(format!("as of position {found}{time} (head is {head})"));
    Ok(found)
}

/// The position a point stands for; outside the log an error that names the range there is.
pub async fn position_of(log: &EmbeddedLog, point: &AsOf) -> Result<Position, CliError> {
    let head = log.head().await?.position;
    match resolve(log, head, point).await? {
        Some(found) => Ok(found),
        None => Err(outside(log, head, point).await?),
    }
}

/// The position a point stands for, or `None` when the log does not reach it.
///
/// A time stands for the longest beginning of the log in which nothing is later: what is shown never holds an event of
/// the future, even where the clocks of producers disagree.
async fn resolve(log: &EmbeddedLog, head: Position, as_of: &AsOf) -> Result<Option<Position>, CliError> {
    match as_of {
        AsOf::Position(position) => Ok(Some(*position).filter(|position| *position <= head)),
        AsOf::Time(time) => {
            let mut last = None;
            let mut chunks = log.chunks(Position(0), head).await?;
            while let Some(chunk) = chunks.next().await? {
                for event in chunk.raw()? {
                    if event.event.time > *time {
                        return Ok(last);
                    }
                    last = Some(event.position);
                }
            }
            Ok(last)
        }
        AsOf::Event(id) => {
            let mut found = None;
            let mut chunks = log.chunks(Position(0), head).await?;
            while let Some(chunk) = chunks.next().await? {
                for event in chunk.raw()?.into_iter().filter(|event| event.event.id == *id) {
                    if let Some((first, _)) = found {
                        return Err(CliError::usage("wox::as-of::ambiguous", format!("two events have the id {id}"))
                            .at("positions", format!("{first}, {}", event.position))
                            .next(format!("--as-of {first}")));
                    }
                    found = Some((event.position, event.stream));
                }
            }
            Ok(found.map(|(position, _)| position))
        }
    }
}

async fn outside(log: &EmbeddedLog, head: Position, as_of: &AsOf) -> Result<CliError, CliError> {
    let what = match as_of {
        AsOf::Position(position) => format!("position {position} is beyond the head"),
        AsOf::Time(time) => format!("the log holds nothing up to {}", rfc3339::text(*time)),
        AsOf::Event(id) => format!("the log holds no event {id}"),
    };
    let mut range = format!("positions 0 to {head}");
    if let (Some(first), Some(last)) = (time_at(log, Position(1.min(head.0))).await?, time_at(log, head).await?) {
        range = format!("{range}, {} to {}", rfc3339::text(first), rfc3339::text(last));
    }
    Ok(CliError::usage("wox::as-of::outside", what).at("available", range).next("give a point inside that range"))
}

async fn time_at(log: &EmbeddedLog, position: Position) -> Result<Option<Timestamp>, CliError> {
    if position == Position(0) {
        return Ok(None);
    }
    let mut chunks = log.chunks(Position(position.0 - 1), position).await?;
    let Some(chunk) = chunks.next().await? else { return Ok(None) };
    Ok(chunk.raw()?.first().map(|event| event.event.time))
}
