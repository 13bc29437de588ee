//! The world of the demo: what is going to happen (the agenda), what is open, and the pen that writes facts down.
//! It knows how to write an event, not what a duel or a prize is.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap, VecDeque},
};

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use smol_str::SmolStr;
use wox_events::{
    Actor, Amount, Digest, Duration, EventId, NewEvent, Provenance, Revision, StreamId, Timestamp, TxHash,
    id::{Label, Name},
    upcast,
};

use super::{Batch, Options, Planted, banking::Banking, day::Task, encode, people::Player, tournaments::Tournament};

/// The version of the game's rules that everything here is decided under.
const RULES: u16 = 1;

/// Everything that is true at the moment.
pub(super) struct World {
    /// As asked for.
    pub(super) options: Options,
    pub(super) rng: ChaCha8Rng,
    /// The time of the last event; every event is later than the one before.
    pub(super) now: Timestamp,
    pub(super) players: Vec<Player>,
    /// Tournaments that are not over, by the number the agenda knows them by.
    pub(super) tournaments: BTreeMap<u32, Tournament>,
    pub(super) banking: Banking,
    pub(super) agent: Stream,
    /// Since when and until when nobody can move, while that is so.
    pub(super) outage: Option<Outage>,
    /// Posts of players while the agent is away: whose, and under which id.
    pub(super) missed_posts: Vec<(usize, Label)>,
    /// How many duels there have been.
    pub(super) duels: u64,
    /// How many duels are open, challenges included.
    pub(super) duels_open: u32,
    /// How many tournaments there have been.
    pub(super) tournaments_opened: u32,
    pub(super) emitted: u64,
    pub(super) planted: Vec<Planted>,
    /// Written and not handed over yet.
    pub(super) out: VecDeque<Batch>,
    agenda: BinaryHeap<Reverse<Entry>>,
    entries: u64,
    buffer: Vec<u8>,
    game: Actor,
    chain: Actor,
}

/// A span in which the agent is away.
#[derive(Clone, Copy)]
pub(super) struct Outage {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// A stream that is still written to, and where it stands.
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) revision: Revision,
}

/// What led to an event, and the conversation it belongs to.
#[derive(Clone, Copy, Default)]
pub(super) struct Thread {
    pub(super) cause: Option<EventId>,
    pub(super) root: Option<EventId>,
}

impl Thread {
    /// Led to by this event, and no conversation of its own.
    pub(super) fn of(cause: EventId) -> Thread {
        Thread { cause: Some(cause), root: None }
    }
}

struct Entry {
    at: Timestamp,
    /// Breaks ties: first come, first served.
    number: u64,
    task: Task,
}

impl Stream {
    pub(super) fn new(name: impl AsRef<str>) -> Stream {
        Stream { id: StreamId::new(name).expect("names of the demo are plain"), revision: Revision::NO_STREAM }
    }
}

impl World {
    pub(super) fn new(options: &Options, now: Timestamp) -> World {
        World {
            options: *options,
            rng: ChaCha8Rng::seed_from_u64(options.seed),
            now,
            players: Vec::new(),
            tournaments: BTreeMap::new(),
            banking: Banking::default(),
            agent: Stream::new("agent-main"),
            outage: None,
            missed_posts: Vec::new(),
            duels: 0,
            duels_open: 0,
            tournaments_opened: 0,
            emitted: 0,
            planted: Vec::new(),
            out: VecDeque::new(),
            agenda: BinaryHeap::new(),
            entries: 0,
            buffer: Vec::new(),
            game: actor("game"),
            chain: actor("chain"),
        }
    }

    /// Puts something on the agenda.
    pub(super) fn schedule(&mut self, at: Timestamp, task: Task) {
        self.entries += 1;
        self.agenda.push(Reverse(Entry { at, number: self.entries, task }));
    }

    /// Puts something on the agenda, between so and so many seconds from now.
    pub(super) fn schedule_in(&mut self, seconds: std::ops::Range<i64>, task: Task) {
        let at = self.now.plus(self.seconds(seconds));
        self.schedule(at, task);
    }

    /// Takes the next thing from the agenda.
    pub(super) fn next_task(&mut self) -> Option<(Timestamp, Task)> {
        self.agenda.pop().map(|Reverse(entry)| (entry.at, entry.task))
    }

    /// Draws a span, to the microsecond.
    pub(super) fn seconds(&mut self, range: std::ops::Range<i64>) -> Duration {
        Duration(self.rng.random_range(range.start * 1_000_000..range.end * 1_000_000))
    }

    /// True in `numerator` of `denominator` cases.
    pub(super) fn chance(&mut self, numerator: u32, denominator: u32) -> bool {
        self.rng.random_ratio(numerator, denominator)
    }

    /// A fact the game states, a few hundred microseconds after the one before.
    pub(super) fn fact<E>(&mut self, event: &E, thread: Thread) -> NewEvent
    where
        E: Serialize,
        for<'a> &'static str: From<&'a E>,
    {
        let kind: &'static str = event.into();
        let data = encode::payload(event, &mut self.buffer);
        NewEvent { data, ..self.stated(kind, upcast::current_version(kind), thread) }
    }

    /// A fact seen on chain.
    pub(super) fn observed<E>(&mut self, event: &E, thread: Thread) -> NewEvent
    where
        E: Serialize,
        for<'a> &'static str: From<&'a E>,
    {
        NewEvent { actor: self.chain.clone(), provenance: Provenance::Observed, ..self.fact(event, thread) }
    }

    /// A fact in a shape that this build does not write: an old version, or a kind nobody here knows.
    pub(super) fn foreign(&mut self, kind: &'static str, version: u16, data: &str, thread: Thread) -> NewEvent {
        let data = wox_events::Json::canonical(data).expect("the demo writes plain JSON");
        NewEvent { data, ..self.stated(kind, version, thread) }
    }

    fn stated(&mut self, kind: &'static str, version: u16, thread: Thread) -> NewEvent {
        self.now = self.now.plus(Duration(self.rng.random_range(90..600)));
        NewEvent {
            id: self.event_id(),
            kind: SmolStr::new_static(kind),
            version,
            time: self.now,
            actor: self.game.clone(),
            causation: thread.cause,
            correlation: thread.root,
            provenance: Provenance::Game,
            rules: RULES,
            data: wox_events::Json::stored("{}".into()),
        }
    }

    fn event_id(&mut self) -> EventId {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        EventId(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Hands a batch over and returns the id of its last event.
    pub(super) fn append(&mut self, stream: &mut Stream, events: Vec<NewEvent>) -> EventId {
        let last = events.last().expect("a batch is never empty").id;
        let expected = stream.revision;
        stream.revision = Revision(expected.0 + events.len() as u64);
        self.emitted += events.len() as u64;
        self.out.push_back(Batch { stream: stream.id.clone(), expected, events });
        last
    }

    /// As [`World::append`], to the stream of a player.
    pub(super) fn append_to_player(&mut self, player: usize, event: NewEvent) -> EventId {
        let stream = &mut self.players[player].stream;
        let (expected, id) = (stream.revision, event.id);
        stream.revision = Revision(expected.0 + 1);
        self.emitted += 1;
        self.out.push_back(Batch { stream: stream.id.clone(), expected, events: vec![event] });
        id
    }

    /// The id a post on X would get now: time in its upper bits, so it grows.
    pub(super) fn post(&mut self) -> Label {
        self.post_at(self.now)
    }

    /// The id of a post made at a time.
    pub(super) fn post_at(&mut self, at: Timestamp) -> Label {
        const EPOCH_MILLIS: i64 = 1_288_834_974_657;
        let id = ((at.0 / 1000 - EPOCH_MILLIS) << 22) | self.rng.random_range(0..1 << 22);
        label(itoa(id as u64).as_str())
    }

    /// A hash as the chain writes it.
    pub(super) fn hash(&mut self) -> TxHash {
        TxHash::new(self.hex::<32>()).expect("hex digits are plain")
    }

    /// A digest of something that is not shown.
    pub(super) fn digest(&mut self) -> Digest {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Digest(bytes)
    }

    /// An address on chain.
    pub(super) fn address(&mut self) -> Label {
        label(self.hex::<20>())
    }

    fn hex<const N: usize>(&mut self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        let mut text = String::with_capacity(2 + 2 * N);
        text.push_str("0x");
        for byte in bytes {
            text.push(DIGITS[usize::from(byte >> 4)] as char);
            text.push(DIGITS[usize::from(byte & 15)] as char);
        }
        text
    }
}

/// A label from text of the demo's own making.
pub(super) fn label(text: impl AsRef<str>) -> Label {
    Label::new(text).expect("labels of the demo are plain")
}

/// A name from text of the demo's own making.
pub(super) fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).expect("names of the demo are plain")
}

/// Adds two amounts of the demo.
pub(super) fn sum(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).expect("all Galleons of a demo are far below 2^127 base units")
}

fn actor(name: &str) -> Actor {
    Actor::new(name).expect("names of the demo are plain")
}

/// A number in decimal, without the detour of the formatting machinery: post ids are written for every turn.
fn itoa(mut number: u64) -> SmolStr {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    SmolStr::new(str::from_utf8(&digits[start..]).expect("digits are ASCII"))
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
