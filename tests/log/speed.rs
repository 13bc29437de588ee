//! How fast and how large: figures to look at, run by hand in release:
//! `cargo test --release --test log -- --ignored speed --nocapture`

use std::time::Instant;

use uuid::Uuid;
use wox_events::{Actor, EventId, Json, NewEvent, Position, Provenance, Revision, Timestamp};
use wox_recovery::log::{AppendRequest, EmbeddedLog, EventLog, embedded::Options};

use crate::{helpers::stream, row_log};

const EVENTS: u64 = 400_000;
/// Events of one duel.
const STREAM_EVENTS: u64 = 12;
/// Duels at the same time.
const AT_ONCE: u64 = 50;

fn requests() -> impl Iterator<Item = AppendRequest> {
    (0..EVENTS).map(|number| {
        let block = AT_ONCE * STREAM_EVENTS;
        let (duel, revision) = (number / block * AT_ONCE + number % AT_ONCE, number % block / AT_ONCE);
        let id = |duel: u64, revision: u64| EventId::derived(&[&duel.to_string(), &revision.to_string()]);
        let data = format!(
            r#"{{"challenger_hp":{},"critical":false,"damage":{},"effects":[],"hit":true,"opponent_hp":{},"player":"{}","post":"{}","spell":"Incendio","turn":{revision}}}"#,
            100 + number % 40,
            number % 17,
            number * 7 % 140,
            1_000_000_000 + duel * 7919 % 1_000_000_007,
            1_700_000_000_000_000_000 + number * 104_729,
        );
        let event = NewEvent {
            id: id(duel, revision),
            kind: "SpellCast".into(),
            version: 1,
            time: Timestamp(1_700_000_000_000_000 + number as i64 * 61_003),
            actor: Actor::new("game").unwrap(),
            causation: revision.checked_sub(1).map(|before| id(duel, before)),
            correlation: Some(id(duel, 0)),
            provenance: Provenance::Game,
            rules: 1,
            data: Json::stored(data.into()),
        };
        AppendRequest { stream: stream(&format!("duel-{duel}")), expected: Revision(revision), events: vec![event] }
    })
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn speed_of_append_read_and_size_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, Options::default()).await.unwrap();
    let mut batches: Vec<Vec<AppendRequest>> = Vec::new();
    for request in requests() {
        match batches.last_mut() {
            Some(batch) if batch.len() < 10_000 => batch.push(request),
            _ => batches.push(vec![request]),
        }
    }
    let payload: usize = batches.iter().flatten().map(|request| request.events[0].data.as_str().len()).sum();
    let started = Instant::now();
    for batch in batches {
        assert!(log.append_many(batch).await.iter().all(Result::is_ok));
    }
    let rate = |started: Instant| EVENTS as f64 / started.elapsed().as_secs_f64();
    println!("append, batches of 10,000: {:.0} events/s", rate(started));
    log.close().await;
    let size = std::fs::metadata(path.join("log.sqlite")).unwrap().len();
    println!("payload {} bytes an event, on disk {} bytes an event", payload as u64 / EVENTS, size / EVENTS);

    let log = EmbeddedLog::open(&path).await.unwrap();
    let read = async || {
        let mut chunks = log.chunks(Position(0), Position(EVENTS)).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await.unwrap() {
            all.push(chunk);
        }
        all
    };
    let started = Instant::now();
    let chunks = read().await;
    println!("read pages: {:.1} ns an event", 1e9 / rate(started));
    for what in ["raw", "decode"] {
        let started = Instant::now();
        for chunk in &chunks {
            let read = if what == "raw" { chunk.raw().unwrap().len() } else { chunk.decode().unwrap().len() };
            assert_eq!(read, chunk.len());
        }
        println!("{what}: {:.1} ns an event", 1e9 / rate(started));
    }
    let started = Instant::now();
    let events: Vec<_> = chunks.iter().flat_map(|chunk| chunk.raw().unwrap()).collect();
    let decoded = events.iter().filter(|event| event.decode().event.is_ok()).count();
    println!("raw, then payloads: {:.1} ns an event, {decoded} understood", 1e9 / rate(started));

    row_log::write(&dir.path().join("rows.sqlite"), events).await.unwrap();
    let started = Instant::now();
    let mut understood = 0;
    let event = |event: wox_events::Recorded| understood += usize::from(event.event.is_ok());
    assert_eq!(row_log::read(&dir.path().join("rows.sqlite"), event).await.unwrap(), EVENTS);
    println!("one row an event: {:.1} ns an event, {understood} understood", 1e9 / rate(started));

    let started = Instant::now();
    for number in 0..100 {
        assert_eq!(log.read_stream(&stream(&format!("duel-{}", number * 331))).await.unwrap().len(), 12);
    }
    println!("one stream of 12: {:.2} ms", started.elapsed().as_secs_f64() * 10.0);

    let started = Instant::now();
    for number in 0..1000u64 {
        let mut request = requests().next().unwrap();
        request.stream = stream(&format!("duel-x{number}"));
        request.events[0].id = EventId(Uuid::from_u128(u128::from(number)));
        log.append(request).await.unwrap();
    }
    println!("append one at a time: {:.0} events/s", 1000.0 / started.elapsed().as_secs_f64());
}
