//! The stored forms, read a second time, slowly and plainly: what the writer and the daily reader share with this file is
//! the description of the formats only (R16).

use std::{collections::BTreeMap, io::Read, path::Path};

use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;
use wox_events::{Actor, EventId, Json, NewEvent, Position, Provenance, RawEvent, Revision, StreamId, Timestamp};

/// Where some stored bytes begin in the file: searched for, because SQLite does not tell.
pub(super) fn offset_of(file: &Path, bytes: &[u8]) -> Option<u64> {
    let needle = &bytes[..bytes.len().min(48)];
    if needle.len() < 8 {
        return None;
    }
    let mut file = std::fs::File::open(file).ok()?;
    let mut window = Vec::new();
    let mut start = 0u64;
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block).ok()?;
        if read == 0 {
            return None;
        }
        window.extend_from_slice(&block[..read]);
        if let Some(at) = window.windows(needle.len()).position(|part| part == needle) {
            return Some(start + at as u64);
        }
        let keep = window.len().min(needle.len());
        start += (window.len() - keep) as u64;
        window.drain(..window.len() - keep);
    }
}

/// The event of a row of the tail; `None` when a column does not hold what it must.
pub(super) fn tail_event(row: &SqliteRow, data: &str) -> Option<NewEvent> {
    let id = |name: &str| -> Option<Option<EventId>> {
        let text: Option<String> = row.try_get(name).ok()?;
        // The text form must be the one form: SQLite tools show it, and another spelling would be a changed byte.
        match text {
            None => Some(None),
            Some(text) => text.parse::<Uuid>().ok().filter(|id| id.to_string() == text).map(|id| Some(EventId(id))),
        }
    };
    let text = |name: &str| row.try_get::<String, _>(name).ok();
    Some(NewEvent {
        id: id("id")??,
        kind: text("kind")?.into(),
        version: row.try_get::<i64, _>("version").ok()?.try_into().ok()?,
        time: Timestamp(row.try_get("time").ok()?),
        actor: Actor::new(text("actor")?).ok()?,
        causation: id("causation")?,
        correlation: id("correlation")?,
        provenance: text("provenance")?.parse().ok()?,
        rules: row.try_get::<i64, _>("rules").ok()?.try_into().ok()?,
        data: Json::stored(data.into()),
    })
}

/// A page's stored bytes, decompressed.
pub(super) fn plain_page(bytes: &[u8]) -> Result<Vec<u8>, String> {
    const BYTES_MAX: u64 = 600 << 20;
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|error| error.to_string())?.single_frame();
    decoder.take(BYTES_MAX).read_to_end(&mut plain).map_err(|error| format!("it does not decompress: {error}"))?;
    Ok(plain)
}

/// Parses a page as the format's description in [`page`](super::super::page) says; `None` when it is none.
pub(super) fn parse_page(plain: &[u8]) -> Option<Vec<(u64, RawEvent)>> {
    let mut at = Plain(plain);
    if at.bytes(1)? != [1] {
        return None;
    }
    let count = at.number()? as usize;
    let first = at.number()?;
    let mut streams = Vec::new();
    for _ in 0..at.number()? {
        let (slot, revision) = (at.number()?, at.number()?);
        streams.push((slot, revision, StreamId::new(at.text()?).ok()?));
    }
    let mut kinds = Vec::new();
    for _ in 0..at.number()? {
        kinds.push(at.text()?);
    }
    let mut actors = Vec::new();
    for _ in 0..at.number()? {
        actors.push(Actor::new(at.text()?).ok()?);
    }
    let mut columns = Vec::new();
    for _ in 0..11 {
        let length = at.number()? as usize;
        columns.push(Plain(at.bytes(length)?));
    }
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(EventId(Uuid::from_slice(at.bytes(16)?).ok()?));
    }
    let mut links: BTreeMap<(usize, usize), Option<EventId>> = BTreeMap::new();
    let mut events = Vec::new();
    let mut time = 0i64;
    for index in 0..count {
        let stream = columns[0].number()? as usize;
        let kind = *kinds.get(columns[1].number()? as usize)?;
        let version = columns[2].number()?.try_into().ok()?;
        let coded = columns[3].number()?;
        let difference = if coded % 2 == 0 { (coded / 2) as i64 } else { -1 - (coded / 2) as i64 };
        time = time.wrapping_add(difference);
        let actor = actors.get(columns[4].number()? as usize)?.clone();
        let mut pair = [None; 2];
        for (which, link) in pair.iter_mut().enumerate() {
            *link = match columns[5 + which].number()? {
                0 => None,
                1 => Some(EventId(Uuid::from_slice(columns[10].bytes(16)?).ok()?)),
                2 => links.get(&(stream, which)).copied().flatten(),
                code => Some(*ids.get(index.checked_sub(usize::try_from(code - 3).ok()?)?)?),
            };
            links.insert((stream, which), *link);
        }
        let provenance = match columns[7].bytes(1)? {
            [0] => Provenance::Game,
            [1] => Provenance::Observed,
            [2] => Provenance::Imported,
            [3] => Provenance::Recovery,
            _ => return None,
        };
        let rules = columns[8].number()?.try_into().ok()?;
        let length = columns[9].number()? as usize;
        let data = std::str::from_utf8(at.bytes(length)?).ok()?;
        let (slot, revision, name) = streams.get_mut(stream)?;
        let event = NewEvent {
            id: ids[index],
            kind: kind.into(),
            version,
            time: Timestamp(time),
            actor,
            causation: pair[0],
            correlation: pair[1],
            provenance,
            rules,
            data: Json::stored(data.into()),
        };
        let position = Position(first.checked_add(index as u64)?);
        events.push((*slot, RawEvent { position, stream: name.clone(), revision: Revision(*revision), event }));
        *revision = revision.checked_add(1)?;
    }
    at.0.is_empty().then_some(events)
}

/// Bytes not looked at yet.
struct Plain<'a>(&'a [u8]);

impl<'a> Plain<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for group in 0..10 {
            let byte = u64::from(self.bytes(1)?[0]);
            value |= (byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}
