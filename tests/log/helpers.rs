//! Events and small readings that every test of the log needs.

use uuid::Uuid;
use wox_events::{Actor, EventId, Json, LogId, NewEvent, Position, Provenance, RawEvent, StreamId, Timestamp};
use wox_recovery::log::{EventLog, embedded::Options};

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

/// One event whose id and content follow from two numbers.
pub fn event(id: u128, content: u64) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::from_u128(id)),
        kind: "ChallengeDeclined".into(),
        version: 1,
        time: Timestamp(1_700_000_000_000_000 + content as i64),
        actor: Actor::new("game").unwrap(),
        causation: content.is_multiple_of(3).then(|| EventId(Uuid::from_u128(id / 2))),
        correlation: content.is_multiple_of(2).then(|| EventId(Uuid::from_u128(1))),
        provenance: Provenance::Game,
        rules: 1,
        data: Json::of(&serde_json::json!({ "content": content })).unwrap(),
    }
}

pub fn options(page_size: u32) -> Options {
    Options { page_size, log_id: Some(LogId(Uuid::from_u128(77))), sqlite_page_bytes: 512 }
}

/// Everything in the log, read through chunks.
pub async fn read_all(log: &impl EventLog) -> Vec<RawEvent> {
    let until = log.head().await.unwrap().position;
    read_between(log, 0, until.0).await
}

pub async fn read_between(log: &impl EventLog, after: u64, until: u64) -> Vec<RawEvent> {
    let mut chunks = log.chunks(Position(after), Position(until)).await.unwrap();
    let mut events = Vec::new();
    while let Some(chunk) = chunks.next().await.unwrap() {
        assert_eq!(chunk.first().0, after + events.len() as u64 + 1);
        let raw = chunk.raw().unwrap();
        assert_eq!((raw.len(), chunk.decode().unwrap().len()), (chunk.len(), chunk.len()));
        events.extend(raw);
    }
    events
}
