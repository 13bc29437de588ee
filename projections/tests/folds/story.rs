//! Histories as text. One line an event: `duel-1 StakeHeld player=ann stake=20+30`.
//!
//! Fields a line does not name come from the frozen corpus of `wox-events`, so a line says what matters and the
//! payload still goes through the wire form. Every event happens one second after the one before it.
//!
//! Values: `20+30` a split (bonus + withdrawable); `@duel-1#2` the id of that event; `%text` the digest of a text;
//! `ann,bob` a list; `ann:bob,cat:-` pairings; `first:ann:400` prizes; `-` leaves an optional field out; `key:=json`
//! is JSON as it stands. About the record: `.by=alice` the actor, `.from=recovery` the provenance, `.at=9` the time in
//! seconds, `.cause=@duel-1#2` the causation, `.rev=7` the revision, `.v=9` the version.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wox_events::{Actor, Digest, Event, EventId, Position, Recorded, Revision, StreamId, Timestamp};
use wox_projections::{Replay, Waivers, invariants::violations};

/// A history being written.
#[derive(Clone, Default)]
pub(crate) struct Story {
    revisions: BTreeMap<StreamId, u64>,
    position: u64,
}

impl Story {
    /// The next event.
    #[track_caller]
    pub(crate) fn tell(&mut self, line: &str) -> Recorded {
        let mut words = line.split_whitespace();
        let stream = StreamId::new(words.next().unwrap_or_default()).expect(line);
        let kind = words.next().expect(line);
        let mut data = defaults(kind);
        let revision = self.revisions.entry(stream.clone()).or_default();
        *revision += 1;
        self.position += 1;
        let mut at = Recorded {
            position: Position(self.position),
            id: id(&format!("{stream}#{revision}")),
            revision: Revision(*revision),
            time: Timestamp(self.position as i64 * 1_000_000),
            actor: Actor::new("game").unwrap(),
            causation: None,
            provenance: wox_events::Provenance::Game,
            event: Err(wox_events::DecodeError::UnknownKind { kind: kind.to_owned() }),
            stream,
        };
        let mut version = wox_events::upcast::current_version(kind);
        for word in words {
            if let Some((key, raw)) = word.split_once(":=") {
                data.insert(key.to_owned(), serde_json::from_str(raw).expect(line));
                continue;
            }
            let (key, text) = word.split_once('=').expect(line);
            match key {
                ".by" => at.actor = Actor::new(text).unwrap(),
                ".from" => at.provenance = text.parse().unwrap(),
                ".at" => at.time = Timestamp(text.parse::<i64>().unwrap().saturating_mul(1_000_000)),
                ".cause" => at.causation = Some(id(text.trim_start_matches('@'))),
                ".rev" => {
                    at.revision = Revision(text.parse().unwrap());
                    *revision = at.revision.0;
                }
                ".v" => version = text.parse().unwrap(),
                _ if text == "-" => drop(data.remove(key)),
                _ => drop(data.insert(key.to_owned(), value(key, text, data.get(key)))),
            }
        }
        at.event = Event::decode(&at.stream, kind, version, &Value::Object(data).to_string());
        at
    }

    /// All lines of a text.
    #[track_caller]
    pub(crate) fn tell_all(&mut self, lines: &str) -> Vec<Recorded> {
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| self.tell(line)).collect()
    }
}

/// The id a story gives to `stream#revision`.
pub(crate) fn id(name: &str) -> EventId {
    EventId::derived(&[name])
}

#[allow(clippy::disallowed_methods, reason = "the corpus is files; the crate itself reads none")]
fn defaults(kind: &str) -> Map<String, Value> {
    let version = wox_events::upcast::current_version(kind);
    let file = format!("{}/../events/testdata/{kind}/v{version}.json", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(file) else { return Map::new() };
    let Value::Object(mut data) = serde_json::from_str(&text).unwrap() else { panic!("{kind} is no object") };
    // What a line is silent about is nobody's: no tournament, no duel.
    data.retain(|key, _| {
        !(key == "tournament" && kind == "ChallengeIssued" || key == "duel" && kind == "MatchDecided")
    });
    data
}

fn value(key: &str, text: &str, default: Option<&Value>) -> Value {
    let player = |name: &str| if name == "-" { Value::Null } else { json!(name) };
    match key {
        "seeds" => text.split(',').map(Value::from).collect(),
        "appended" => text.split(',').map(|name| json!(id(name.trim_start_matches('@')))).collect(),
        "matches" => text
            .split(',')
            .map(|pairing| {
                let (first, second) = pairing.split_once(':').expect("a pairing is first:second");
                json!({"first": player(first), "second": player(second)})
            })
            .collect(),
        "prizes" => text
            .split(',')
            .map(|prize| {
                let parts: Vec<&str> = prize.split(':').collect();
                json!({"prize": parts[0], "player": parts[1], "amount": parts[2]})
            })
            .collect(),
        "posts" => text
            .split(',')
            .map(|post| {
                let parts: Vec<&str> = post.split(':').collect();
                json!({"post": parts[0], "player": parts[1], "verb": parts[2]})
            })
            .collect(),
        _ => match (text.as_bytes()[0], default) {
            (b'@', _) => json!(id(&text[1..])),
            (b'%', _) => json!(Digest::of(&text.as_bytes()[1..]).to_string()),
            (_, Some(Value::Number(_) | Value::Bool(_))) => serde_json::from_str(text).expect(text),
            (_, Some(Value::Object(_))) => {
                let (bonus, withdrawable) = text.split_once('+').expect("a split is bonus+withdrawable");
                json!({"bonus": bonus, "withdrawable": withdrawable})
            }
            _ => json!(text),
        },
    }
}

/// Replays a history.
#[track_caller]
pub(crate) fn replay(events: &[Recorded]) -> Replay {
    let mut replay = Replay::new(Waivers::new());
    for event in events {
        replay.observe(event).expect("a story has no gaps of positions");
    }
    replay
}

/// States everything that is true after a history: `refused STREAM@REVISION: why` for every stream that is held,
/// `broken INVARIANT SUBJECT` (with `since STREAM@REVISION`) for every violation, and any of the balances
/// (`pool = 12.5`) and facts (`duels/duels/1/phase = "ended"`, a path into the state's JSON) a test asks for.
#[track_caller]
pub(crate) fn check(given: &str, then: &str) {
    let replay = replay(&Story::default().tell_all(given));
    check_replay(&replay, then);
}

#[track_caller]
pub(crate) fn check_replay(replay: &Replay, then: &str) {
    let then: Vec<&str> = then.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut found = Vec::new();
    for (stream, held) in replay.held() {
        found.push(format!("refused {stream}@{}: {}", held.since.revision, held.reason));
    }
    for violation in violations(replay) {
        let since = violation.since.map(|at| format!(" since {}@{}", at.stream, at.revision)).unwrap_or_default();
        found.push(format!("broken {} {}{since}", violation.invariant, violation.subject));
    }
    let state = serde_json::to_value(&replay.state).unwrap();
    for line in &then {
        let Some((path, _)) = line.split_once(" = ") else { continue };
        let found_value = if path.contains('/') {
            state.pointer(&format!("/{path}")).map_or("nothing".into(), Value::to_string)
        } else {
            let accounts = replay.state.ledger.accounts();
            let held = accounts.iter().find(|(account, _)| account.to_string() == path);
            held.map_or("0".into(), |(_, held)| held.to_string())
        };
        found.push(format!("{path} = {found_value}"));
    }
    let mut expected: Vec<String> = then.into_iter().map(str::to_owned).collect();
    expected.sort();
    found.sort();
    assert_eq!(expected.join("\n"), found.join("\n"), "expected on the left, found on the right");
    assert!(replay.accounting.is_complete());
}

/// A reason in which ` @duel-1#2` stands for the id of that event.
fn with_ids(reason: &str) -> String {
    let mut words = reason.split(' ').map(|word| match word.trim_matches([',', '`']).strip_prefix('@') {
        Some(name) => word.replacen(&format!("@{name}"), &id(name).to_string(), 1),
        None => word.to_owned(),
    });
    let first = words.next().unwrap_or_default();
    words.fold(first, |text, word| text + " " + &word)
}

/// Each line of the table alone, after the same history: it is refused for that reason and changes nothing.
#[track_caller]
pub(crate) fn refused(given: &str, table: &[(&str, &str)]) {
    let (story, before) = accepted(given);
    for (line, reason) in table {
        let mut replay = before.clone();
        let event = story.clone().tell(line);
        replay.observe(&event).unwrap();
        match replay.held().get(&event.stream) {
            Some(held) => assert_eq!(with_ids(reason), held.reason.to_string(), "{line}"),
            None => panic!("accepted: {line}"),
        }
        assert_eq!(before.state, replay.state, "a refused event changed the state: {line}");
        assert_eq!(before.state.digest(), replay.state.digest(), "{line}");
    }
}

/// Each line of the table alone, after the same history, is accepted.
#[track_caller]
pub(crate) fn taken(given: &str, lines: &[&str]) {
    let (story, before) = accepted(given);
    for line in lines {
        let mut replay = before.clone();
        replay.observe(&story.clone().tell(line)).unwrap();
        let reasons: Vec<_> = replay.held().values().map(|held| held.reason.to_string()).collect();
        assert!(reasons.is_empty(), "{line}: {reasons:?}");
    }
}

#[track_caller]
fn accepted(given: &str) -> (Story, Replay) {
    let mut story = Story::default();
    let replay = replay(&story.tell_all(given));
    let held: Vec<_> = replay.held().iter().map(|(stream, held)| format!("{stream}: {}", held.reason)).collect();
    assert!(held.is_empty(), "the history before is refused itself: {held:?}");
    (story, replay)
}
