//! Where a rebuild writes down what it does. The store is opened for writing only for the moment of a record: a rebuild
//! may take hours, and the game's events must not wait for it. A record has an id that follows from what it says, so what
//! is written down twice stands there once.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use wox_events::{
    Actor, Digest, Event, EventId, OpsEvent, RecoveryEvent, Revision, StreamId, Timestamp, id::Label, record::JsonError,
};

use super::survey::Basis;
use crate::{
    log::{AppendError, AppendRequest, EmbeddedLog, EventLog, ReadError, embedded::OpenError},
    recovery::apply::{ApplyError, own_event, record_act},
};

/// How long another writer is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often a record is tried again because somebody else wrote into its stream first.
const ATTEMPTS_MAX: u32 = 32;

/// Who writes into which store.
#[derive(Clone, Debug)]
pub struct Book {
    /// The store.
    pub store: PathBuf,
    /// Who did what is recorded.
    pub by: Actor,
    /// Asks for the time.
    pub now: fn() -> Timestamp,
}

/// One thing to be written down.
#[derive(Clone, Debug)]
pub struct Note {
    stream: StreamId,
    key: String,
    event: Event,
}

/// Why something was not written down.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The store cannot be written to now.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not take the record.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log did not take the record of an act.
    #[error(transparent)]
    Act(#[from] Box<ApplyError>),
    /// The record could not be written as JSON.
    #[error("a record cannot be written as JSON")]
    Json(#[from] JsonError),
}

impl Note {
    /// Something in this stream. Two notes with one key in one stream are the same note.
    #[must_use]
    pub fn new(stream: &StreamId, key: impl Into<String>, event: impl Into<Event>) -> Note {
        Note { stream: stream.clone(), key: key.into(), event: event.into() }
    }
}

impl Note {
    /// The id it has in its stream.
    #[must_use]
    pub fn id(&self) -> EventId {
        EventId::derived(&["wox/record", self.stream.as_str(), &self.key])
    }
}

/// A name as records take it: what is no printable ASCII is written as an escape, what is too long is cut off.
#[must_use]
pub fn label(text: &str) -> Label {
    let mut name = String::new();
    for char in text.chars() {
        let part: String = match char {
            '!'..='~' if char != '"' && char != '\\' => char.into(),
            char => format!("%{:x}", u32::from(char)),
        };
        if name.len() + part.len() > 128 {
            break;
        }
        name.push_str(&part);
    }
    Label::new(&name).unwrap_or_else(|_| Label::new("unnamed").expect("an identity"))
}

/// The stream in which a rebuild's steps stand.
#[must_use]
pub fn run_stream(what: &str, epoch: u64, bound_to: &str) -> StreamId {
    let short = bound_to.get(..16).unwrap_or(bound_to);
    StreamId::new(format!("run-{what}-{epoch}-{short}"))
        .or_else(|_| StreamId::new(format!("run-{what}-{epoch}")))
        .expect("words, a number and hex digits are a stream name")
}

/// The stream in which stands what a rebuild did to the tables.
#[must_use]
pub fn tables_stream(run: &StreamId) -> StreamId {
    StreamId::new(format!("ops-{}", run.subject())).expect("a stream name behind another category is one")
}

impl Book {
    /// Writes these down, those of one stream in one step, and waits until they are durable.
    pub async fn write(&self, notes: Vec<Note>) -> Result<(), BookError> {
        let log = self.open().await?;
        let written = self.write_to(&log, notes).await;
        log.close().await;
        written
    }

    async fn open(&self) -> Result<EmbeddedLog, BookError> {
        let since = Instant::now();
        loop {
            match EmbeddedLog::open(&self.store).await {
                Err(OpenError::Locked { .. }) if since.elapsed() < LOCK_WAIT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => return Ok(opened?),
            }
        }
    }

    async fn write_to(&self, log: &EmbeddedLog, notes: Vec<Note>) -> Result<(), BookError> {
        let mut notes = notes.into_iter().peekable();
        while let Some(first) = notes.next() {
            let stream = first.stream.clone();
            let mut together = vec![first];
            while let Some(next) = notes.next_if(|note| note.stream == stream) {
                together.push(next);
            }
            self.append(log, &stream, &together).await?;
        }
        Ok(())
    }

    async fn append(&self, log: &EmbeddedLog, stream: &StreamId, notes: &[Note]) -> Result<(), BookError> {
        let mut attempt = 1;
        loop {
            let there: Vec<EventId> = log.read_stream(stream).await?.iter().map(|event| event.event.id).collect();
            let mut events = Vec::new();
            for note in notes {
                let event = own_event(stream, &note.key, note.event.clone(), &self.by, (self.now)())?;
                if !there.contains(&event.id)
                    && events.iter().all(|earlier: &wox_events::NewEvent| earlier.id != event.id)
                {
                    events.push(event);
                }
            }
            if events.is_empty() {
                return Ok(());
            }
            let expected = Revision(there.len() as u64);
            match log.append(AppendRequest { stream: stream.clone(), expected, events }).await {
                Err(AppendError::Conflict { .. } | AppendError::IdConflict { .. }) if attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                }
                answer => return Ok(answer.map(drop)?),
            }
        }
    }

    /// Writes down that an operator ran a command, with what came of it; dry runs and refusals included (M35).
    pub async fn act(&self, command: &str, outcome: &str, detail: String) -> Result<(), BookError> {
        let log = self.open().await?;
        let recorded = record_act(&log, &self.by, command, outcome, detail, (self.now)()).await;
        log.close().await;
        Ok(recorded.map(drop).map_err(Box::new)?)
    }
}

/// The basis of a dry run that was written down earlier.
pub async fn earlier_basis(log: &dyn EventLog, id: &str) -> Result<Option<Basis>, ReadError> {
    let stream = StreamId::new("ops-acts").expect("a fixed stream name");
    for event in log.read_stream(&stream).await?.iter().rev() {
        let Ok(Event::Ops(OpsEvent::OperatorActed { detail, .. })) = event.decode().event else { continue };
        let Ok(basis) = serde_json::from_str::<Basis>(&detail) else { continue };
        if basis.id().is_ok_and(|found| found.to_string().starts_with(id)) {
            return Ok(Some(basis));
        }
    }
    Ok(None)
}

/// The steps of a run, as they are written down.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where they stand.
    pub stream: StreamId,
}

impl Run {
    /// The run of a rebuild, or of its undoing.
    #[must_use]
    pub fn of(what: &str, epoch: u64, bound_to: &str) -> Run {
        Run { stream: run_stream(what, epoch, bound_to) }
    }

    /// It began.
    #[must_use]
    pub fn started(&self, procedure: &str, subject: &str) -> Note {
        let event = RecoveryEvent::RunStarted { procedure: label(procedure), subject: label(subject) };
        Note::new(&self.stream, "started", event)
    }

    /// A step began.
    #[must_use]
    pub fn step(&self, step: &str) -> Note {
        Note::new(&self.stream, format!("{step}:started"), RecoveryEvent::StepStarted { step: label(step) })
    }

    /// A step is known to have been done.
    #[must_use]
    pub fn done(&self, step: &str) -> Note {
        Note::new(&self.stream, format!("{step}:done"), RecoveryEvent::StepSucceeded { step: label(step) })
    }

    /// A step is known not to have been done.
    #[must_use]
    pub fn failed(&self, step: &str, reason: String) -> Note {
        Note::new(&self.stream, format!("{step}:failed"), RecoveryEvent::StepFailed { step: label(step), reason })
    }

    /// Nobody knows yet whether a step was done.
    #[must_use]
    pub fn unknown(&self, step: &str, reason: String) -> Note {
        Note::new(&self.stream, format!("{step}:unknown"), RecoveryEvent::StepUnknown { step: label(step), reason })
    }

    /// It ended.
    #[must_use]
    pub fn finished(&self, verdict: &str) -> Note {
        let event = RecoveryEvent::RunFinished { verdict: label(verdict) };
        Note::new(&self.stream, format!("finished:{verdict}"), event)
    }

    /// A table was built beside the live one.
    #[must_use]
    pub fn built(&self, table: &str, digest: Digest) -> Note {
        let key = format!("built:{table}:{digest}");
        Note::new(&tables_stream(&self.stream), key, OpsEvent::ShadowBuilt { table: label(table), digest })
    }

    /// Something that happens to a table once in a run.
    #[must_use]
    pub fn once(&self, table: &str, event: OpsEvent) -> Note {
        let kind: &'static str = (&event).into();
        Note::new(&tables_stream(&self.stream), format!("{kind}:{table}"), event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::embedded::Options;

    #[test]
    fn every_text_becomes_a_name() {
        assert_eq!(label("luna").as_str(), "luna");
        assert_eq!(label("a b\"ü").as_str(), "a%20b%22%fc");
        assert_eq!(label("").as_str(), "unnamed");
        assert!(label(&"x".repeat(500)).as_str().len() == 128);
    }

    #[tokio::test]
    async fn what_is_written_down_twice_stands_there_once_and_acts_stand_there_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        EmbeddedLog::create(&store, Options::default()).await.unwrap().close().await;
        let now = || {
            static TICKS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
            Timestamp(TICKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        };
        let book = Book { store: store.clone(), by: Actor::new("alice").unwrap(), now };
        let run = Run::of("rebuild", 3, &"ab".repeat(32));
        for _ in 0..2 {
            let switched = OpsEvent::SwitchedOver { table: label("players") };
            book.write(vec![run.started("rebuild", "x"), run.done("switch"), run.once("players", switched)])
                .await
                .unwrap();
            book.act("rebuild", "differs", "d".into()).await.unwrap();
        }
        let log = EmbeddedLog::open_read_only(&store).await.unwrap();
        let count = async |name: &str| log.read_stream(&StreamId::new(name).unwrap()).await.unwrap().len();
        assert_eq!(count("run-rebuild-3-abababababababab").await, 2);
        assert_eq!(count("ops-rebuild-3-abababababababab").await, 1);
        assert_eq!(count("ops-acts").await, 2);
    }
}
