//! The stored form of a sealed page: about a thousand consecutive events as columns, zstd-compressed.
//!
//! Format 1, before compression (integers are LEB128 varints; `z` marks zigzag; `text` is a length and that many bytes):
//! ```text
//! byte      1                                    the format
//! count, first position
//! streams   number, then each: slot, first revision in this page, text name
//! kinds     number, then each: text              actors  number, then each: text
//! columns   eleven, each a length in bytes and then one entry an event:
//!           stream index · kind index · version · z time minus the time before · actor index · causation code
//!           · correlation code · provenance · rules · payload length · explicit ids (16 bytes each, as codes ask)
//! ids       16 bytes an event
//! payloads  canonical JSON, one after the other, to the end
//! ```
//! Revisions of one stream follow each other inside a page, so only the first is stored. A causation or correlation is
//! 0 none, 1 the next explicit id, 2 the same as in the event before of this stream, 3+d the id of the event d before
//! this one in the page (0: this event itself).
//!
//! Whatever the bytes are, decoding ends with an answer: every length is checked against what is left, every count
//! against the largest page, and decompression stops at [`PLAIN_BYTES_MAX`].

use std::{cell::RefCell, collections::HashMap, path::PathBuf, sync::Arc};

use smol_str::SmolStr;
use uuid::Uuid;
use wox_events::{
    Actor, Digest, Event, EventId, Family, Json, NewEvent, Position, Provenance, RawEvent, Recorded, Revision,
    StreamId, Timestamp, wire::DecodeError,
};

use crate::log::ReadError;

const FORMAT: u8 = 1;
/// Largest page, in events.
pub(crate) const EVENTS_MAX: usize = 8192;
/// Most payload bytes of one page; decides how long one payload may be for a given page size.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Largest page before compression: payloads and at most a kilobyte of everything else an event.
const PLAIN_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + EVENTS_MAX * 1024;
/// zstd level: 3 meets 150 bytes an event; higher levels seal several times slower for a few per cent.
const LEVEL: i32 = 3;
/// A scratch buffer larger than this is given back after use.
const SCRATCH_BYTES_KEPT: usize = 16 * 1024 * 1024;

const PROVENANCES: [Provenance; 4] =
    [Provenance::Game, Provenance::Observed, Provenance::Imported, Provenance::Recovery];

/// A page as it is stored.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// zstd.
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 of the bytes before compression.
    pub(crate) digest: Digest,
}

/// Encodes consecutive events, each with the slot of its stream.
pub(crate) fn encode(events: &[(u64, &RawEvent)]) -> Encoded {
    let plain = encode_plain(events);
    let bytes = zstd::bulk::compress(&plain, LEVEL).expect("compressing from memory to memory cannot fail");
    Encoded { bytes, digest: Digest::of(&plain) }
}

fn encode_plain(events: &[(u64, &RawEvent)]) -> Vec<u8> {
    let mut streams = Table::default();
    let mut kinds = Table::default();
    let mut actors = Table::default();
    let mut columns: [Vec<u8>; 11] = Default::default();
    let mut slots: Vec<(u64, Revision)> = Vec::new();
    let mut last_links: Vec<[Option<EventId>; 2]> = Vec::new();
    let mut ids = HashMap::with_capacity(events.len());
    let mut time_before = 0i64;

    for (index, (slot, raw)) in events.iter().enumerate() {
        let event = &raw.event;
        ids.insert(event.id, index);
        let stream = streams.index_of(raw.stream.as_str());
        if stream == slots.len() {
            slots.push((*slot, raw.revision));
            last_links.push([None; 2]);
        }
        let [stream_column, kind, version, time, actor, causation, correlation, provenance, rules, length, explicit] =
            &mut columns;
        put(stream_column, stream as u64);
        put(kind, kinds.index_of(&event.kind) as u64);
        put(version, u64::from(event.version));
        put(time, zigzag(event.time.0.wrapping_sub(time_before)));
        time_before = event.time.0;
        put(actor, actors.index_of(event.actor.as_str()) as u64);
        let [last_causation, last_correlation] = &mut last_links[stream];
        for (column, link, last) in
            [(causation, event.causation, last_causation), (correlation, event.correlation, last_correlation)]
        {
            let code = match link {
                None => 0,
                Some(id) if *last == Some(id) => 2,
                Some(id) => match ids.get(&id) {
                    Some(before) => 3 + (index - before) as u64,
                    None => {
                        explicit.extend_from_slice(id.0.as_bytes());
                        1
                    }
                },
            };
            put(column, code);
            *last = link;
        }
        provenance.push(
            PROVENANCES.iter().position(|known| *known == event.provenance).expect("the table lists every provenance")
                as u8,
        );
        put(rules, u64::from(event.rules));
        put(length, event.data.as_str().len() as u64);
    }

    let payload_bytes: usize = events.iter().map(|(_, raw)| raw.event.data.as_str().len()).sum();
    let mut out = Vec::with_capacity(payload_bytes + events.len() * 48 + 1024);
    out.push(FORMAT);
    put(&mut out, events.len() as u64);
    put(&mut out, events.first().map_or(0, |(_, raw)| raw.position.0));
    put(&mut out, slots.len() as u64);
    for ((slot, revision), name) in slots.iter().zip(&streams.texts) {
        put(&mut out, *slot);
        put(&mut out, revision.0);
        put_bytes(&mut out, name.as_bytes());
    }
    for table in [&kinds, &actors] {
        put(&mut out, table.texts.len() as u64);
        for text in &table.texts {
            put_bytes(&mut out, text.as_bytes());
        }
    }
    for column in &columns {
        put_bytes(&mut out, column);
    }
    for (_, raw) in events {
        out.extend_from_slice(raw.event.id.0.as_bytes());
    }
    for (_, raw) in events {
        out.extend_from_slice(raw.event.data.as_str().as_bytes());
    }
    out
}

/// Distinct texts in order of first appearance.
#[derive(Default)]
struct Table<'a> {
    texts: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Table<'a> {
    fn index_of(&mut self, text: &'a str) -> usize {
        *self.places.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A page as it was read, not looked into yet.
pub(crate) struct SealedPage {
    /// The file it comes from, for errors.
    pub(crate) file: Arc<PathBuf>,
    /// The position its first event must have.
    pub(crate) first: Position,
    /// How many events it must hold.
    pub(crate) count: usize,
    /// The digest stored beside it.
    pub(crate) digest: Digest,
    /// zstd.
    pub(crate) bytes: Vec<u8>,
}

/// One event of a page, borrowed from it.
pub(crate) struct Fields<'a> {
    pub(crate) index: usize,
    pub(crate) stream: usize,
    pub(crate) revision: Revision,
    pub(crate) kind: usize,
    pub(crate) version: u16,
    pub(crate) time: Timestamp,
    pub(crate) actor: usize,
    pub(crate) id: EventId,
    pub(crate) causation: Option<EventId>,
    pub(crate) correlation: Option<EventId>,
    pub(crate) provenance: Provenance,
    pub(crate) rules: u16,
    pub(crate) data: &'a str,
}

/// One stream of a page.
pub(crate) struct PageStream {
    pub(crate) slot: u64,
    pub(crate) name: StreamId,
    pub(crate) family: Option<Family>,
    next: u64,
}

/// The tables of a page: what its events refer to by index.
pub(crate) struct Tables {
    pub(crate) streams: Vec<PageStream>,
    pub(crate) kinds: Vec<SmolStr>,
    pub(crate) actors: Vec<Actor>,
}

/// Why bytes are not a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damage(&'static str);

impl SealedPage {
    /// Decodes `len` events from `first` on, payloads included.
    pub(crate) fn decode(&self, first: Position, len: usize) -> Result<Vec<Recorded>, ReadError> {
        let mut out = Vec::with_capacity(len);
        let wanted = self.indexes(first, len);
        self.visit(|tables, fields| {
            if !wanted.contains(&fields.index) {
                return;
            }
            let stream = &tables.streams[fields.stream];
            let event = match stream.family {
                Some(family) => Event::decode_family(family, &tables.kinds[fields.kind], fields.version, fields.data),
                None => Err(DecodeError::UnknownCategory { category: stream.name.category().to_owned() }),
            };
            out.push(Recorded {
                position: Position(self.first.0 + fields.index as u64),
                stream: stream.name.clone(),
                revision: fields.revision,
                id: fields.id,
                time: fields.time,
                actor: tables.actors[fields.actor].clone(),
                causation: fields.causation,
                provenance: fields.provenance,
                event,
            });
        })?;
        Ok(out)
    }

    /// Gives `len` events from `first` on with their payloads as text.
    pub(crate) fn raw(&self, first: Position, len: usize) -> Result<Vec<RawEvent>, ReadError> {
        let mut out = Vec::with_capacity(len);
        let wanted = self.indexes(first, len);
        self.visit(|tables, fields| {
            if wanted.contains(&fields.index) {
                out.push(self.raw_event(tables, &fields));
            }
        })?;
        Ok(out)
    }

    /// Gives the events of one stream.
    pub(crate) fn raw_of_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        let mut out = Vec::new();
        let mut wanted = None;
        self.visit(|tables, fields| {
            // Names are compared once, when the stream is first met: indexes afterwards.
            if wanted.is_none() && tables.streams[fields.stream].name == *stream {
                wanted = Some(fields.stream);
            }
            if wanted == Some(fields.stream) {
                out.push(self.raw_event(tables, &fields));
            }
        })?;
        Ok(out)
    }

    pub(crate) fn raw_event(&self, tables: &Tables, fields: &Fields<'_>) -> RawEvent {
        RawEvent {
            position: Position(self.first.0 + fields.index as u64),
            stream: tables.streams[fields.stream].name.clone(),
            revision: fields.revision,
            event: NewEvent {
                id: fields.id,
                kind: tables.kinds[fields.kind].clone(),
                version: fields.version,
                time: fields.time,
                actor: tables.actors[fields.actor].clone(),
                causation: fields.causation,
                correlation: fields.correlation,
                provenance: fields.provenance,
                rules: fields.rules,
                data: Json::stored(fields.data.into()),
            },
        }
    }

    fn indexes(&self, first: Position, len: usize) -> std::ops::Range<usize> {
        let start = first.0.saturating_sub(self.first.0) as usize;
        start..start.saturating_add(len)
    }

    /// Calls `each` for every event in order, after the digest has been found right.
    pub(crate) fn visit(&self, each: impl FnMut(&Tables, Fields<'_>)) -> Result<(), ReadError> {
        self.try_visit(each).map_err(|damage| ReadError::Corrupt {
            file: self.file.to_path_buf(),
            offset: None,
            position: Some(self.first),
            stream: None,
            what: format!(
                "the page of positions {} to {}: {damage}",
                self.first,
                self.first.0.saturating_add(self.count as u64).saturating_sub(1)
            ),
        })
    }

    fn try_visit(&self, each: impl FnMut(&Tables, Fields<'_>)) -> Result<(), Damage> {
        SCRATCH.with_borrow_mut(|scratch| {
            let plain = scratch.decompress(&self.bytes)?;
            if Digest::of(plain) != self.digest {
                return Err(Damage("its digest does not match its bytes"));
            }
            let parsed = Parsed::parse(plain)?;
            if parsed.count != self.count || parsed.first != self.first.0 {
                return Err(Damage("it holds other positions than its row says"));
            }
            parsed.visit(each)
        })
    }
}

thread_local! {
    /// One decompressor and one buffer a thread: a fresh buffer a page would cost as much as the checks.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { zstd: None, plain: Vec::new() }) };
}

struct Scratch {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    plain: Vec<u8>,
}

impl Scratch {
    fn decompress(&mut self, bytes: &[u8]) -> Result<&[u8], Damage> {
        if self.plain.capacity() > SCRATCH_BYTES_KEPT {
            self.plain = Vec::new();
        }
        let size =
            zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().ok_or(Damage("it is no zstd frame"))?;
        let size = usize::try_from(size).ok().filter(|size| *size <= PLAIN_BYTES_MAX);
        let size = size.ok_or(Damage("it claims to be larger than any page"))?;
        self.plain.clear();
        self.plain.reserve(size);
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|_| Damage("zstd does not start"))?),
        };
        zstd.decompress_to_buffer(bytes, &mut self.plain).map_err(|_| Damage("it does not decompress"))?;
        Ok(&self.plain)
    }
}

struct Parsed<'a> {
    first: u64,
    count: usize,
    tables: Tables,
    columns: [Cursor<'a>; 11],
    ids: &'a [[u8; 16]],
    payloads: &'a str,
}

impl<'a> Parsed<'a> {
    fn parse(plain: &'a [u8]) -> Result<Parsed<'a>, Damage> {
        let mut cursor = Cursor(plain);
        if cursor.take(1)? != [FORMAT] {
            return Err(Damage("its format is unknown to this build"));
        }
        let count = cursor.number(EVENTS_MAX)?;
        let first = cursor.varint()?;
        let mut streams = Vec::new();
        for _ in 0..cursor.number(count)? {
            let (slot, next) = (cursor.varint()?, cursor.varint()?);
            let name = StreamId::new(cursor.text()?).map_err(|_| Damage("a stream name is malformed"))?;
            let family = name.family();
            streams.push(PageStream { slot, name, family, next });
        }
        let mut kinds = Vec::new();
        for _ in 0..cursor.number(count)? {
            kinds.push(SmolStr::new(cursor.text()?));
        }
        let mut actors = Vec::new();
        for _ in 0..cursor.number(count)? {
            actors.push(Actor::new(cursor.text()?).map_err(|_| Damage("an actor is malformed"))?);
        }
        let mut columns = [Cursor(&[]); 11];
        for column in &mut columns {
            let len = cursor.number(plain.len())?;
            *column = Cursor(cursor.take(len)?);
        }
        let (ids, _) = cursor.take(count * 16)?.as_chunks::<16>();
        let payloads = std::str::from_utf8(cursor.0).map_err(|_| Damage("its payloads are not UTF-8"))?;
        Ok(Parsed { first, count, tables: Tables { streams, kinds, actors }, columns, ids, payloads })
    }

    fn visit(self, mut each: impl FnMut(&Tables, Fields<'_>)) -> Result<(), Damage> {
        let Parsed { count, mut tables, columns, ids, mut payloads, .. } = self;
        let [
            mut streams,
            mut kinds,
            mut versions,
            mut times,
            mut actors,
            mut causations,
            mut correlations,
            mut provenances,
            mut rules,
            mut lengths,
            mut explicit,
        ] = columns;
        let mut last_links = vec![[None; 2]; tables.streams.len()];
        let mut time = 0i64;
        for index in 0..count {
            let stream = streams.below(tables.streams.len())?;
            let kind = kinds.below(tables.kinds.len())?;
            let actor = actors.below(tables.actors.len())?;
            time = time.wrapping_add(unzigzag(times.varint()?));
            let links = &mut last_links[stream];
            for (codes, last) in [&mut causations, &mut correlations].into_iter().zip(links.iter_mut()) {
                *last = match codes.varint()? {
                    0 => None,
                    1 => Some(id(explicit.take(16)?.try_into().expect("16 bytes were taken"))),
                    2 => *last,
                    code => {
                        let back = usize::try_from(code - 3).ok();
                        let before = back.and_then(|back| index.checked_sub(back));
                        Some(id(ids[before.ok_or(Damage("a link points before the page"))?]))
                    }
                };
            }
            let [causation, correlation] = *links;
            let provenance = usize::from(provenances.take(1)?[0]);
            let length = lengths.number(payloads.len())?;
            let data = payloads.get(..length).ok_or(Damage("a payload ends inside a character"))?;
            payloads = &payloads[length..];
            let revision = &mut tables.streams[stream].next;
            let fields = Fields {
                index,
                stream,
                revision: Revision(*revision),
                kind,
                version: versions.short()?,
                time: Timestamp(time),
                actor,
                id: id(ids[index]),
                causation,
                correlation,
                provenance: *PROVENANCES.get(provenance).ok_or(Damage("a provenance is unknown"))?,
                rules: rules.short()?,
                data,
            };
            *revision = revision.wrapping_add(1);
            each(&tables, fields);
        }
        if payloads.is_empty() { Ok(()) } else { Err(Damage("text stands behind the last payload")) }
    }
}

fn id(bytes: [u8; 16]) -> EventId {
    EventId(Uuid::from_bytes(bytes))
}

/// Reads forward through bytes it does not trust.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Damage> {
        // Nearly every varint of a page has one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damage("an integer is too long"))
    }

    /// A number of things that cannot be more than `max`.
    fn number(&mut self, max: usize) -> Result<usize, Damage> {
        usize::try_from(self.varint()?).ok().filter(|number| *number <= max).ok_or(Damage("a length is out of range"))
    }

    /// An index into a table of `len`.
    fn below(&mut self, len: usize) -> Result<usize, Damage> {
        usize::try_from(self.varint()?).ok().filter(|index| *index < len).ok_or(Damage("an index is out of range"))
    }

    fn short(&mut self) -> Result<u16, Damage> {
        u16::try_from(self.varint()?).map_err(|_| Damage("a version is out of range"))
    }

    fn text(&mut self) -> Result<&'a str, Damage> {
        let len = self.number(self.0.len())?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Damage("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Events with everything that the format treats in its own way: shared and foreign links, odd times, other actors.
    fn events() -> impl Strategy<Value = Vec<RawEvent>> {
        let link = prop_oneof![Just(None), (0u128..40).prop_map(Some)];
        vec((0u8..4, any::<i64>(), any::<u16>(), link.clone(), link, 0usize..4, "[a-zé]{0,9}", 0usize..3), 1..40)
            .prop_map(|rows| {
                let mut revisions = [5u64; 4];
                let rows = rows.into_iter().enumerate();
                rows.map(|(index, (stream, time, number, causation, correlation, provenance, text, actor))| {
                    revisions[usize::from(stream)] += 1;
                    RawEvent {
                        position: Position(65 + index as u64),
                        stream: StreamId::new(format!("duel-{stream}")).unwrap(),
                        revision: Revision(revisions[usize::from(stream)]),
                        event: NewEvent {
                            id: EventId(Uuid::from_u128(index as u128)),
                            kind: ["ChallengeIssued", "Odd", "Third"][actor].into(),
                            version: number,
                            time: Timestamp(time),
                            actor: Actor::new(["game", "alice", "wox"][actor]).unwrap(),
                            causation: causation.map(|id| EventId(Uuid::from_u128(id))),
                            correlation: correlation.map(|id| EventId(Uuid::from_u128(id))),
                            provenance: PROVENANCES[provenance],
                            rules: number / 2,
                            data: Json::of(&serde_json::json!({ "text": text })).unwrap(),
                        },
                    }
                })
                .collect()
            })
    }

    fn sealed(events: &[RawEvent]) -> SealedPage {
        let with_slots: Vec<_> = events.iter().map(|event| (event.stream.as_str().len() as u64, event)).collect();
        let encoded = encode(&with_slots);
        SealedPage {
            file: Arc::new("log.sqlite".into()),
            first: events[0].position,
            count: events.len(),
            digest: encoded.digest,
            bytes: encoded.bytes,
        }
    }

    proptest! {
        #[test]
        fn a_page_gives_back_what_was_put_in(events in events()) {
            let page = sealed(&events);
            prop_assert_eq!(page.raw(events[0].position, events.len()).unwrap(), events.clone());
            let decoded = page.decode(Position(66), events.len()).unwrap();
            prop_assert_eq!(decoded.len(), events.len() - 1);
            for (one, raw) in decoded.iter().zip(&events[1..]) {
                prop_assert_eq!(format!("{one:?}"), format!("{:?}", raw.decode()));
            }
        }

        #[test]
        fn damaged_plain_bytes_never_panic(events in events(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let with_slots: Vec<_> = events.iter().map(|event| (1, event)).collect();
            let mut plain = encode_plain(&with_slots);
            for (at, byte) in flips {
                let at = at.index(plain.len());
                plain[at] = byte;
            }
            let cut = usize::from(plain[plain.len() / 2]) % plain.len();
            for bytes in [&plain[..], &plain[..cut]] {
                let _any_answer = Parsed::parse(bytes).and_then(|parsed| parsed.visit(|_, _| ()));
            }
        }
    }

    #[test]
    fn a_frame_that_claims_a_huge_size_is_refused_before_memory_is_taken() {
        let mut frame = zstd::bulk::compress(&[0u8; 300], LEVEL).unwrap();
        frame.splice(4..7, [0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        let page = SealedPage {
            file: Arc::new("log.sqlite".into()),
            first: Position(1),
            count: 16,
            digest: Digest::of(b""),
            bytes: frame,
        };
        assert!(page.raw(Position(1), 16).unwrap_err().to_string().contains("larger than any page"));
    }
}
