//! The one writer of a store: a thread that owns the writing connection and the watermark.
//!
//! It takes whatever requests are waiting (group commit), judges each by itself, writes what it accepts in one
//! transaction, syncs once, moves the watermark, and only then answers. It runs on a thread of its own so that hashing
//! and compressing never hold up the caller's runtime, and so that a caller that goes away cancels nothing.
//!
//! **Sealing is inline**, inside the transaction that completes a page: the page row replaces its tail rows in the same
//! commit, so there is no moment at which an event stands in both or in neither, and no crash to think about. In the
//! background it would need the same write lock, a second reader of the tail and a recovery rule; inline it costs some
//! two microseconds an event, and only every page-th append waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
};

use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;
use wox_events::{
    Actor, Digest, EventId, LogId, NewEvent, Position, Provenance, RawEvent, Revision, StreamId, Timestamp,
    tree::CompactRange,
};

use super::{
    page::{self, Encoded},
    place::{Lock, Place},
    reader::{self, TailRow, column, read_error, sealed_page},
    streams::{Known, StreamCache},
    watermark::WatermarkFile,
};
use crate::log::{Ack, AckedEvent, AppendError, AppendRequest, Head, ReadError, Source, check_request};

const FENCE: &str = "SELECT (SELECT value FROM meta WHERE key = 'writer'), (SELECT value FROM meta WHERE key = 'epoch'), \
                     max(coalesce((SELECT max(position) FROM tail), 0), \
                         coalesce((SELECT max(page) FROM pages) + 1, 0) * ?1)";
const PUT_STREAMS: &str = "INSERT INTO streams (slot, name, revision) \
                           SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true \
                           ON CONFLICT (slot) DO UPDATE SET revision = excluded.revision";
const PUT_TAIL: &str = "INSERT INTO tail (position, slot, revision, id, kind, version, time, actor, causation, \
                        correlation, provenance, rules, data, leaf) \
                        SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, \
                        value->>7, value->>8, value->>9, value->>10, value->>11, value->>12, value->>13 \
                        FROM json_each(?1)";
const CUT_TAIL: &str = "DELETE FROM tail WHERE position <= ?1";
const PUT_PAGE: &str = "INSERT INTO pages (page, first, count, digest, root, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const PUT_STREAM_PAGES: &str = "INSERT INTO stream_pages (slot, page) SELECT value, ?2 FROM json_each(?1)";
const STREAMS: &str = "SELECT slot, name, revision FROM streams WHERE name IN (SELECT value FROM json_each(?1))";
const PAGES_OF_SLOTS: &str = "SELECT p.page, p.first, p.count, p.digest, p.bytes FROM pages p WHERE p.page IN \
                              (SELECT page FROM stream_pages WHERE slot IN (SELECT value FROM json_each(?1))) \
                              ORDER BY p.page";

/// Requests and events of one group commit: enough to fill several pages, little enough to answer soon.
const GROUP_EVENTS_MAX: usize = 65_536;
const GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Requests that are looked at together when they are to be written in order, at first; more while all of them are new.
const RUN_MIN: usize = 1024;
/// Requests that wait in the queue; beyond that callers wait.
const QUEUE_MAX: usize = 1024;

/// What the writer is asked.
pub(super) enum Command {
    /// Append these.
    Append { requests: Vec<AppendRequest>, reply: oneshot::Sender<Vec<Result<Ack, AppendError>>> },
    /// Append these, and nothing behind the first that is refused.
    AppendInOrder { requests: Vec<AppendRequest>, reply: oneshot::Sender<Vec<Result<Ack, AppendError>>> },
    /// Close the connection and end.
    Close { reply: oneshot::Sender<()> },
    /// The next sync of the watermark shall fail.
    #[cfg(test)]
    BreakSync,
}

/// The side of the writer that handles hold.
pub(super) struct WriterHandle {
    queue: Option<mpsc::Sender<Command>>,
    head: watch::Receiver<Head>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl WriterHandle {
    /// Starts the thread.
    pub(super) fn start(writer: Writer) -> std::io::Result<WriterHandle> {
        let (queue, commands) = mpsc::channel(QUEUE_MAX);
        let (publish, head) = watch::channel(writer.head);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("wox-log-writer".into())
            .spawn(move || runtime.block_on(writer.run(commands, publish)))?;
        Ok(WriterHandle { queue: Some(queue), head, thread: Some(thread) })
    }

    /// The newest durable head.
    pub(super) fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Hands a command over; `false` when the thread is gone.
    pub(super) async fn send(&self, command: Command) -> bool {
        match &self.queue {
            Some(queue) => queue.send(command).await.is_ok(),
            None => false,
        }
    }
}

impl Drop for WriterHandle {
    /// Waits for the writer to finish what it was given: afterwards the lock is free and the files are closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _a_panic_was_reported_by_its_own_thread = thread.join();
        }
    }
}

/// Everything the writing thread owns.
pub(super) struct Writer {
    pub(super) conn: SqliteConnection,
    pub(super) place: Place,
    /// Held for its lock, given back when the thread ends.
    pub(super) lock: Lock,
    pub(super) watermark: WatermarkFile,
    pub(super) log: LogId,
    pub(super) page_size: usize,
    pub(super) data_bytes_max: usize,
    pub(super) fence: Uuid,
    pub(super) head: Head,
    pub(super) sealed: CompactRange,
    pub(super) tail: Vec<TailRow>,
    pub(super) streams: StreamCache,
    pub(super) next_slot: u64,
    pub(super) pages_read: Arc<AtomicU64>,
    pub(super) poisoned: Option<String>,
    #[cfg(test)]
    pub(super) break_sync: bool,
}

/// An accepted event: its place is known, its leaf not yet.
struct Pending {
    slot: u64,
    event: RawEvent,
}

/// What became of one request before anything is written.
enum Judged {
    Refused(AppendError),
    /// Some of its ids are in the stream already; their content has to be looked at.
    Known {
        slot: u64,
        actual: Revision,
        found: Vec<Option<Revision>>,
    },
    Accepted(Range<usize>),
}

/// Why a group was not written.
struct Failure {
    what: &'static str,
    source: Source,
}

impl Failure {
    fn of(what: &'static str) -> impl FnOnce(sqlx::Error) -> Failure {
        move |error| Failure { what, source: Arc::new(error) }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        Failure { what: "reading the stream", source: Arc::new(error) }
    }
}

/// The group cannot be written because this process is no longer the writer.
#[derive(Debug, thiserror::Error)]
#[error("the store names another writer or epoch")]
struct Fenced;

impl Writer {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, publish: watch::Sender<Head>) {
        while let Some(first) = commands.recv().await {
            let mut group = vec![first];
            let mut size = Size::of(&group[0]);
            // Whoever is waiting shares this sync.
            while size.fits()
                && let Ok(next) = commands.try_recv()
            {
                size.add(&next);
                group.push(next);
            }
            let mut requests = Vec::new();
            let mut replies = Vec::new();
            let mut in_order = Vec::new();
            let mut close = None;
            for command in group {
                match command {
                    Command::Append { requests: some, reply } => {
                        replies.push((some.len(), reply));
                        requests.extend(some);
                    }
                    Command::AppendInOrder { requests, reply } => in_order.push((requests, reply)),
                    Command::Close { reply } => close = Some(reply),
                    #[cfg(test)]
                    Command::BreakSync => self.break_sync = true,
                }
            }
            let mut answers = self.append(&requests).await.into_iter();
            publish.send_replace(self.head);
            for (count, reply) in replies {
                let _the_caller_may_be_gone = reply.send(answers.by_ref().take(count).collect());
            }
            for (requests, reply) in in_order {
                let answers = self.append_in_order(&requests).await;
                publish.send_replace(self.head);
                let _the_caller_may_be_gone = reply.send(answers);
            }
            if let Some(reply) = close {
                self.close().await;
                let _the_caller_may_be_gone = reply.send(());
                return;
            }
        }
        self.close().await;
    }

    /// Moves the write-ahead log into the database, so that a closed store is one plain file. The lock goes last.
    async fn close(self) {
        let Writer { mut conn, lock, .. } = self;
        let _a_reader_may_hold_it_back = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await;
        let _nothing_is_pending = conn.close().await;
        drop(lock);
    }

    /// Appends run after run up to the first refusal: its answer is the last.
    async fn append_in_order(&mut self, requests: &[AppendRequest]) -> Vec<Result<Ack, AppendError>> {
        let mut answers: Vec<Result<Ack, AppendError>> = Vec::with_capacity(requests.len());
        let mut window = RUN_MIN;
        while let rest @ [_, ..] = &requests[answers.len()..] {
            let ahead = &rest[..rest.len().min(window)];
            let run = match self.learn_streams(ahead).await {
                Ok(()) => self.run_of_one_kind(ahead),
                // Asked for one alone it says what the matter is.
                Err(_) => 1,
            };
            window = if run == window { 2 * window } else { RUN_MIN };
            answers.extend(self.append(&rest[..run]).await);
            if let Some(refused) = answers.iter().position(Result::is_err) {
                answers.truncate(refused + 1);
                break;
            }
        }
        answers
    }

    /// How many of the first requests can be judged as one group without anything being written behind a refused one:
    /// those that will all be accepted, or those of which none will be.
    fn run_of_one_kind(&mut self, requests: &[AppendRequest]) -> usize {
        let mut added: HashMap<&StreamId, BTreeSet<EventId>> = HashMap::new();
        let mut kind = None;
        for (index, request) in requests.iter().enumerate() {
            let known = self.streams.get_mut(&request.stream).expect("every stream of the run was learnt");
            let added = added.entry(&request.stream).or_default();
            let is_new = request.expected.0 == known.revision().0 + added.len() as u64
                && request.events.iter().all(|event| known.find(event.id).is_none() && !added.contains(&event.id))
                && check_request(request, self.data_bytes_max).is_ok();
            if *kind.get_or_insert(is_new) != is_new {
                return index;
            }
            if is_new {
                added.extend(request.events.iter().map(|event| event.id));
            }
        }
        requests.len()
    }

    /// Appends a group; the answers stand in the order of the requests.
    async fn append(&mut self, requests: &[AppendRequest]) -> Vec<Result<Ack, AppendError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        if let Some(cause) = &self.poisoned {
            let poisoned = AppendError::Poisoned { path: self.place.dir.clone(), cause: cause.clone() };
            return requests.iter().map(|_| Err(poisoned.clone())).collect();
        }
        match self.try_append(requests).await {
            Ok(answers) => answers,
            Err(Failure { what, source }) => {
                // Whatever failed, this process no longer knows what the files hold (R11): it must look again.
                self.poisoned = Some(format!("{what}: {source}"));
                let path = self.place.dir.clone();
                let error = if source.is::<Fenced>() {
                    AppendError::Fenced { path }
                } else {
                    AppendError::Failed { path, what, source }
                };
                requests.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn try_append(&mut self, requests: &[AppendRequest]) -> Result<Vec<Result<Ack, AppendError>>, Failure> {
        self.learn_streams(requests).await?;
        let mut pending: Vec<Pending> = Vec::new();
        let judged: Vec<Judged> = requests.iter().map(|request| self.judge(request, &mut pending)).collect();
        let known = self.contents_of_known(requests, &judged, &pending).await?;
        let leaves = self.write(pending.as_slice()).await?;
        let answers = requests.iter().zip(judged).map(|(request, judged)| match judged {
            Judged::Refused(error) => Err(error),
            Judged::Known { slot, actual, found } => self.answer_known(request, slot, actual, &found, &known),
            Judged::Accepted(range) => {
                let events = pending[range.clone()].iter().zip(&leaves[range]).map(|(pending, leaf)| AckedEvent {
                    revision: pending.event.revision,
                    position: pending.event.position,
                    leaf: *leaf,
                });
                Ok(Ack { stream: request.stream.clone(), events: events.collect(), repeat: false })
            }
        });
        let answers = answers.collect();
        self.streams.end_group(pending.len());
        self.keep_tail(pending, leaves);
        Ok(answers)
    }

    /// Loads revision and ids of every stream of the group that is not cached: one query for the names, then each page
    /// that holds events of them once.
    async fn learn_streams(&mut self, requests: &[AppendRequest]) -> Result<(), Failure> {
        let unknown: BTreeSet<&StreamId> =
            requests.iter().map(|request| &request.stream).filter(|stream| !self.streams.touch(stream)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let names = serde_json::to_string(&unknown).expect("names are plain text");
        let rows = sqlx::query(STREAMS).bind(names).fetch_all(&mut self.conn).await;
        let mut found = BTreeMap::new();
        for row in rows.map_err(Failure::of("looking streams up"))? {
            let file = &self.place.database;
            let name: &str = row.try_get("name").map_err(|error| read_error(file, error))?;
            let (slot, revision): (u64, u64) = (column(&row, "slot", file)?, column(&row, "revision", file)?);
            found.insert(slot, (name.to_owned(), revision, BTreeMap::new()));
        }
        if !found.is_empty() {
            let slots = found.keys().copied().collect();
            self.visit_slots(&slots, |slot, event| {
                if let Some((_, _, ids)) = found.get_mut(&slot) {
                    ids.insert(event.revision(), event.id());
                }
            })
            .await?;
        }
        let mut known: HashMap<String, Known> = HashMap::new();
        for (slot, (name, revision, ids)) in found {
            let gapless = ids.keys().copied().eq((1..=revision).map(Revision));
            if !gapless {
                let mut error = reader::corrupt(&self.place.database, None, "the index and the events disagree");
                if let ReadError::Corrupt { stream, .. } = &mut error {
                    *stream = StreamId::new(&name).ok();
                }
                return Err(error.into());
            }
            known.insert(name, Known::new(Some(slot), ids.into_values()));
        }
        for stream in unknown {
            let state = known.remove(stream.as_str()).unwrap_or_default();
            self.streams.insert(stream.clone(), state);
        }
        Ok(())
    }

    /// Shows every durable event of some streams: sealed pages first, then the tail.
    async fn visit_slots(
        &mut self,
        slots: &BTreeSet<u64>,
        mut each: impl FnMut(u64, Shown<'_>),
    ) -> Result<(), Failure> {
        let list = serde_json::to_string(slots).expect("slots are integers");
        let mut rows = sqlx::query(PAGES_OF_SLOTS).bind(list).fetch(&mut self.conn);
        while let Some(row) = rows.try_next().await.map_err(Failure::of("reading pages"))? {
            let page = sealed_page(&row, &self.place.database, self.page_size as u64)?;
            self.pages_read.fetch_add(1, Ordering::Relaxed);
            page.visit(|tables, fields| {
                let slot = tables.streams[fields.stream].slot;
                if slots.contains(&slot) {
                    each(slot, Shown::Page { page: &page, tables, fields: &fields });
                }
            })?;
        }
        for row in self.tail.iter().filter(|row| slots.contains(&row.slot)) {
            each(row.slot, Shown::Row(&row.event));
        }
        Ok(())
    }

    /// Decides about one request from what is known, and takes the places of an accepted one.
    fn judge(&mut self, request: &AppendRequest, pending: &mut Vec<Pending>) -> Judged {
        if let Err(error) = check_request(request, self.data_bytes_max) {
            return Judged::Refused(error);
        }
        let known = self.streams.get_mut(&request.stream).expect("every stream of the group was learnt");
        let found: Vec<Option<Revision>> = request.events.iter().map(|event| known.find(event.id)).collect();
        if let Some(slot) = known.slot
            && found.iter().any(Option::is_some)
        {
            return Judged::Known { slot, actual: known.revision(), found };
        }
        if request.expected != known.revision() {
            return Judged::Refused(AppendError::Conflict {
                stream: request.stream.clone(),
                expected: request.expected,
                actual: known.revision(),
            });
        }
        let slot = *known.slot.get_or_insert_with(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let start = pending.len();
        for event in &request.events {
            let revision = known.push(event.id);
            let position = Position(self.head.position.0 + pending.len() as u64 + 1);
            let event = RawEvent { position, stream: request.stream.clone(), revision, event: event.clone() };
            pending.push(Pending { slot, event });
        }
        Judged::Accepted(start..pending.len())
    }

    /// The stored events behind ids that requests named again, by slot and revision.
    async fn contents_of_known(
        &mut self,
        requests: &[AppendRequest],
        judged: &[Judged],
        pending: &[Pending],
    ) -> Result<HashMap<(u64, Revision), RawEvent>, Failure> {
        let mut wanted: BTreeSet<(u64, Revision)> = BTreeSet::new();
        let mut slots = BTreeSet::new();
        for (_, judged) in requests.iter().zip(judged) {
            if let Judged::Known { slot, found, .. } = judged {
                slots.insert(*slot);
                wanted.extend(found.iter().flatten().map(|revision| (*slot, *revision)));
            }
        }
        let mut contents = HashMap::with_capacity(wanted.len());
        if wanted.is_empty() {
            return Ok(contents);
        }
        self.visit_slots(&slots, |slot, event| {
            if wanted.contains(&(slot, event.revision())) {
                contents.insert((slot, event.revision()), event.to_raw());
            }
        })
        .await?;
        for Pending { slot, event } in pending {
            if wanted.contains(&(*slot, event.revision)) {
                contents.insert((*slot, event.revision), event.clone());
            }
        }
        Ok(contents)
    }

    /// Answers a request of which some ids were in the stream before it: a repeat, a conflict, or an id used twice.
    fn answer_known(
        &self,
        request: &AppendRequest,
        slot: u64,
        actual: Revision,
        found: &[Option<Revision>],
        contents: &HashMap<(u64, Revision), RawEvent>,
    ) -> Result<Ack, AppendError> {
        let stored: Vec<Option<&RawEvent>> =
            found.iter().map(|revision| revision.and_then(|revision| contents.get(&(slot, revision)))).collect();
        let id_conflict = |event: &NewEvent, stored: &RawEvent| AppendError::IdConflict {
            stream: request.stream.clone(),
            id: event.id,
            revision: stored.revision,
        };
        let mut places = Vec::with_capacity(stored.len());
        let mut elsewhere = None;
        for ((event, stored), expected) in request.events.iter().zip(stored).zip(request.expected.0.saturating_add(1)..)
        {
            let Some(stored) = stored else { continue };
            if stored.event != *event {
                return Err(id_conflict(event, stored));
            }
            if stored.revision.0 == expected {
                let leaf = stored.leaf(self.log);
                places.push(AckedEvent { revision: stored.revision, position: stored.position, leaf });
            } else {
                elsewhere.get_or_insert_with(|| id_conflict(event, stored));
            }
        }
        if places.len() == request.events.len() {
            return Ok(Ack { stream: request.stream.clone(), events: places, repeat: true });
        }
        match elsewhere {
            Some(error) if actual == request.expected => Err(error),
            _ => Err(AppendError::Conflict { stream: request.stream.clone(), expected: request.expected, actual }),
        }
    }

    /// Writes the accepted events: one transaction, one sync of the log, one of the watermark. Gives their leaves.
    async fn write(&mut self, pending: &[Pending]) -> Result<Vec<Digest>, Failure> {
        if pending.is_empty() {
            return Ok(Vec::new());
        }
        let prepared = self.prepare(pending);
        if let Err(failure) = self.commit(pending, &prepared).await {
            let _nothing_to_lose = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
            return Err(failure);
        }
        let level = self.page_size.trailing_zeros();
        for sealed in &prepared.pages {
            self.sealed.push_subtree(level, sealed.root).expect("whole pages follow each other from 0");
        }
        let sealed_now = prepared.pages.len() * self.page_size;
        let mut range = self.sealed.clone();
        let leaves = self.tail.iter().map(|row| row.leaf).chain(prepared.leaves.iter().copied());
        leaves.skip(sealed_now).for_each(|leaf| range.push(leaf));
        let position = Position(self.head.position.0 + pending.len() as u64);
        let head = Head { position, root: range.root(), ..self.head };
        #[cfg(test)]
        if std::mem::take(&mut self.break_sync) {
            let source = Arc::new(std::io::Error::other("the disk says no"));
            return Err(Failure { what: "syncing the watermark failed", source });
        }
        self.watermark
            .write(&head)
            .map_err(|error| Failure { what: "syncing the watermark failed", source: Arc::new(error) })?;
        self.head = head;
        Ok(prepared.leaves)
    }

    /// Hashes the events and encodes the pages they complete, on every core: this is most of the cost of a bulk load.
    fn prepare(&self, pending: &[Pending]) -> Prepared {
        let tail = self.tail.iter().map(|row| (row.slot, &row.event, Some(row.leaf)));
        let all: Vec<(u64, &RawEvent, Option<Digest>)> =
            tail.chain(pending.iter().map(|pending| (pending.slot, &pending.event, None))).collect();
        let runs: Vec<_> = all.chunks(self.page_size).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(runs.len());
        let prepare = |run: &&[(u64, &RawEvent, Option<Digest>)]| prepare_run(self.log, self.page_size, run);
        let mut done: Vec<(Vec<Digest>, Option<SealedRun>)> = Vec::with_capacity(runs.len());
        if threads <= 1 {
            done.extend(runs.iter().map(prepare));
        } else {
            let share = runs.len().div_ceil(threads);
            std::thread::scope(|scope| {
                let workers: Vec<_> = runs
                    .chunks(share)
                    .map(|runs| scope.spawn(move || runs.iter().map(prepare).collect::<Vec<_>>()))
                    .collect();
                for worker in workers {
                    done.extend(worker.join().expect("hashing and encoding do not panic"));
                }
            });
        }
        let (leaves, pages): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        let leaves = leaves.into_iter().flatten().skip(self.tail.len()).collect();
        Prepared { leaves, pages: pages.into_iter().flatten().collect() }
    }

    async fn commit(&mut self, pending: &[Pending], prepared: &Prepared) -> Result<(), Failure> {
        let first_tail = (self.head.position.0 as usize - self.tail.len()) as u64;
        let sealed_until = first_tail + (prepared.pages.len() * self.page_size) as u64;
        let conn = &mut self.conn;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut *conn)
            .await
            .map_err(Failure::of("starting a transaction failed"))?;
        let fence = sqlx::query(FENCE).bind(self.page_size as i64).fetch_one(&mut *conn).await;
        let fence = fence.map_err(Failure::of("reading the fence failed"))?;
        let holds = fence.try_get::<&str, _>(0).is_ok_and(|writer| writer == self.fence.to_string())
            && fence.try_get::<&str, _>(1).is_ok_and(|epoch| epoch == self.head.epoch.to_string())
            && fence.try_get::<i64, _>(2).is_ok_and(|position| position as u64 == self.head.position.0);
        if !holds {
            return Err(Failure { what: "checking the fence failed", source: Arc::new(Fenced) });
        }

        let mut moved: BTreeMap<u64, (&StreamId, Revision)> = BTreeMap::new();
        for Pending { slot, event } in pending {
            moved.insert(*slot, (&event.stream, event.revision));
        }
        let moved: Vec<_> = moved.iter().map(|(slot, (name, revision))| (slot, name, revision)).collect();
        run(conn, sqlx::query(PUT_STREAMS).bind(json(&moved)), "writing streams failed").await?;

        for sealed in &prepared.pages {
            let page = ((sealed.first.0 - 1) / self.page_size as u64) as i64;
            let row = sqlx::query(PUT_PAGE)
                .bind(page)
                .bind(sealed.first.0 as i64)
                .bind(self.page_size as i64)
                .bind(&sealed.encoded.digest.0[..])
                .bind(&sealed.root.0[..])
                .bind(&sealed.encoded.bytes[..]);
            run(conn, row, "writing a page failed").await?;
            let index = sqlx::query(PUT_STREAM_PAGES).bind(json(&sealed.slots)).bind(page);
            run(conn, index, "writing the index of a page failed").await?;
        }
        if !prepared.pages.is_empty() && !self.tail.is_empty() {
            run(conn, sqlx::query(CUT_TAIL).bind(sealed_until as i64), "cutting the tail failed").await?;
        }
        let rows: Vec<_> = pending
            .iter()
            .zip(&prepared.leaves)
            .filter(|(pending, _)| pending.event.position.0 > sealed_until)
            .map(|(pending, leaf)| TailValues::of(pending, leaf))
            .collect();
        if !rows.is_empty() {
            run(conn, sqlx::query(PUT_TAIL).bind(json(&rows)), "writing events failed").await?;
        }
        run(conn, sqlx::query("COMMIT"), "committing failed").await
    }

    /// Keeps in memory what is now the tail.
    fn keep_tail(&mut self, pending: Vec<Pending>, leaves: Vec<Digest>) {
        let added = pending.into_iter().zip(leaves);
        self.tail.extend(added.map(|(Pending { slot, event }, leaf)| TailRow { slot, event, leaf }));
        let sealed = self.tail.len() / self.page_size * self.page_size;
        self.tail.drain(..sealed);
    }
}

/// One event shown to a visitor, wherever it stands.
enum Shown<'a> {
    Page { page: &'a page::SealedPage, tables: &'a page::Tables, fields: &'a page::Fields<'a> },
    Row(&'a RawEvent),
}

impl Shown<'_> {
    fn revision(&self) -> Revision {
        match self {
            Shown::Page { fields, .. } => fields.revision,
            Shown::Row(event) => event.revision,
        }
    }

    fn id(&self) -> EventId {
        match self {
            Shown::Page { fields, .. } => fields.id,
            Shown::Row(event) => event.event.id,
        }
    }

    fn to_raw(&self) -> RawEvent {
        match self {
            Shown::Page { page, tables, fields } => page.raw_event(tables, fields),
            Shown::Row(event) => (*event).clone(),
        }
    }
}

/// Leaves of the new events and the pages they complete.
struct Prepared {
    leaves: Vec<Digest>,
    pages: Vec<SealedRun>,
}

struct SealedRun {
    first: Position,
    root: Digest,
    slots: BTreeSet<u64>,
    encoded: Encoded,
}

fn prepare_run(
    log: LogId,
    page_size: usize,
    run: &[(u64, &RawEvent, Option<Digest>)],
) -> (Vec<Digest>, Option<SealedRun>) {
    let mut text = String::with_capacity(1024);
    let leaf = |(_, event, leaf): &(u64, &RawEvent, Option<Digest>)| {
        leaf.unwrap_or_else(|| {
            text.clear();
            event.write_canonical(log, &mut text);
            Digest::leaf(text.as_bytes())
        })
    };
    let leaves: Vec<Digest> = run.iter().map(leaf).collect();
    let sealed = (run.len() == page_size).then(|| {
        let mut range = CompactRange::default();
        leaves.iter().for_each(|leaf| range.push(*leaf));
        let events: Vec<_> = run.iter().map(|(slot, event, _)| (*slot, *event)).collect();
        SealedRun {
            first: run[0].1.position,
            root: range.root(),
            slots: run.iter().map(|(slot, ..)| *slot).collect(),
            encoded: page::encode(&events),
        }
    });
    (leaves, sealed)
}

/// One row of the tail in the order of [`PUT_TAIL`].
#[derive(serde::Serialize)]
struct TailValues<'a>(
    Position,
    u64,
    Revision,
    EventId,
    &'a str,
    u16,
    Timestamp,
    &'a Actor,
    Option<EventId>,
    Option<EventId>,
    Provenance,
    u16,
    &'a str,
    &'a Digest,
);

impl<'a> TailValues<'a> {
    fn of(Pending { slot, event: raw }: &'a Pending, leaf: &'a Digest) -> TailValues<'a> {
        let event = &raw.event;
        TailValues(
            raw.position,
            *slot,
            raw.revision,
            event.id,
            &event.kind,
            event.version,
            event.time,
            &event.actor,
            event.causation,
            event.correlation,
            event.provenance,
            event.rules,
            event.data.as_str(),
            leaf,
        )
    }
}

/// How much a group holds.
struct Size {
    events: usize,
    bytes: usize,
}

impl Size {
    fn of(command: &Command) -> Size {
        let mut size = Size { events: 0, bytes: 0 };
        size.add(command);
        size
    }

    fn add(&mut self, command: &Command) {
        if let Command::Append { requests, .. } | Command::AppendInOrder { requests, .. } = command {
            for event in requests.iter().flat_map(|request| &request.events) {
                self.events += 1;
                self.bytes += event.data.as_str().len();
            }
        }
    }

    fn fits(&self) -> bool {
        self.events < GROUP_EVENTS_MAX && self.bytes < GROUP_BYTES_MAX
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

async fn run(conn: &mut SqliteConnection, query: Query<'_>, what: &'static str) -> Result<(), Failure> {
    query.execute(conn).await.map(drop).map_err(Failure::of(what))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("rows of texts and integers are always JSON")
}
