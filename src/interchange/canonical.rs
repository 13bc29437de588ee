//! The canonical record as a line: exactly the bytes a leaf of the Merkle tree is made of.

use wox_events::{RawEvent, record::CanonicalRecord};

use super::{BadLine, Incoming};

pub(super) fn read(line: &str) -> Result<Incoming, BadLine> {
    let record: CanonicalRecord = serde_json::from_str(line).map_err(|error| BadLine::Shape(error.to_string()))?;
    let log = record.log;
    let event = RawEvent::from(record);
    Ok(Incoming {
        log: Some(log),
        position: Some(event.position),
        stream: event.stream,
        revision: event.revision,
        event: event.event,
    })
}
