//! The embedded log: one directory, one SQLite file, one writer.
//!
//! ```text
//! log.sqlite    tail rows and sealed pages (migrations/sqlite/), with SQLite's own -wal and -shm beside it
//! watermark     how far the log was durable, written a second time
//! lock          held by the one process that may append
//! ```
//! `writer` is the only code that changes the database; `reader` reads it through connections of its own; `page` is the
//! stored form of a page; [`verify`](mod@verify) re-reads everything with code that shares only that form.

mod adopt;
mod meta;
pub(crate) mod page;
mod place;
mod reader;
mod sqlite_file;
mod streams;
pub mod verify;

mod watermark;
mod writer;

pub use adopt::adopt;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::oneshot;
use uuid::Uuid;
use wox_events::{Digest, LogId, Position, RawEvent, Revision, StreamId, upcast::BrokenChain};

use self::{
    meta::Meta,
    place::{Lock, Place},
    reader::Reader,
    streams::StreamCache,
    watermark::{Mark, WatermarkFile},
    writer::{Command, Writer, WriterHandle},
};
use super::{Ack, AppendError, AppendRequest, Chunks, DATA_BYTES_MAX, EventLog, Head, ReadError, Source};

const NEXT_SLOT: &str = "SELECT coalesce(max(slot) + 1, 0) FROM streams";
const PUT_EPOCH: &str = "INSERT INTO epochs (epoch, position, root, abandoned_epoch, abandoned_position, \
                         abandoned_root, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const ABANDONED: &str = "SELECT abandoned_epoch, abandoned_position, abandoned_root FROM epochs WHERE epoch = ?1";

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing waits for readers that are still open.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// Readers at the same time; one more waits for a connection.
const READERS_MAX: u32 = 32;

/// What is fixed when a store is created.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Events of one sealed page: a power of two, 16 to 8192.
    pub page_size: u32,
    /// The log's id; drawn when `None`. Given by tests and by simulations, which must not draw.
    pub log_id: Option<LogId>,
    /// Bytes of one page of the SQLite file: a power of two, 512 to 65536.
    pub sqlite_page_bytes: u32,
}

impl Default for Options {
    /// 1024 events a page: measured, larger pages gain nothing (performance.md).
    fn default() -> Options {
        Options { page_size: 1024, log_id: None, sqlite_page_bytes: 4096 }
    }
}

/// Why a store was not opened or created. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing is there.
    #[error("there is no store at {}; create one with `wox init`", path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} exists and is not empty; choose another place for the new store", path.display())]
    Occupied {
        /// What exists.
        path: PathBuf,
    },
    /// Something else stands where a store or one of its files should be.
    #[error("{} is {found}, not part of a store; move it away, then restore or create a store with `wox init`", path.display())]
    Unexpected {
        /// What was looked at.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file is no event log.
    #[error("{} is not an event log ({what}); move it away, then restore or create a store with `wox init`", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
        /// How that was noticed.
        what: String,
    },
    /// Another process writes.
    #[error("{} is open for writing in another process; stop that process, or open it read-only", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// Written by another version.
    #[error("{} has format {found}, this build reads format {known}; run the version of wox that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What this build reads.
        known: u32,
    },
    /// The options cannot make a store.
    #[error("page size {page_size} is not a power of two from 16 to 8192")]
    PageSize {
        /// What was asked for.
        page_size: u32,
    },
    /// Durable events are gone: an old copy, or a cut file. An integrity failure.
    #[error("{} is behind its watermark by {events} events (log at {head}, watermark at {watermark}); restore the newest backup; only where there is none, `wox fork`", path.display())]
    Behind {
        /// The store.
        path: PathBuf,
        /// How many events are missing.
        events: u64,
        /// Where the log stands.
        head: Position,
        /// Where the watermark stands.
        watermark: Position,
    },
    /// The log holds other events than those that were durable. An integrity failure.
    #[error("{} differs from its watermark at position {at}: {what}; run `wox verify`, then restore; only where there is no backup, `wox fork`", path.display())]
    Different {
        /// The store.
        path: PathBuf,
        /// The position of the watermark.
        at: Position,
        /// What differs.
        what: String,
    },
    /// The watermark is missing or unreadable. An integrity failure: nobody can say how far the log was durable.
    #[error("the watermark {} is {what}; run `wox verify`, then restore it; only where there is no backup, `wox fork`", path.display())]
    NoWatermark {
        /// The file.
        path: PathBuf,
        /// Missing or damaged.
        what: &'static str,
    },
    /// The store's content is damaged.
    #[error(transparent)]
    Damaged(#[from] ReadError),
    /// This build is defect.
    #[error(transparent)]
    Build(#[from] BrokenChain),
    /// A file cannot be used now: free the cause and try again.
    #[error("{} cannot be opened", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Source,
    },
}

impl OpenError {
    fn unavailable(path: &Path, source: io::Error) -> OpenError {
        OpenError::Unavailable { path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the store itself is not what it was: exit code 5, not 1.
    #[must_use]
    pub fn is_integrity_failure(&self) -> bool {
        match self {
            OpenError::Behind { .. }
            | OpenError::Different { .. }
            | OpenError::NoWatermark { .. }
            | OpenError::NotALog { .. }
            | OpenError::Damaged(ReadError::Corrupt { .. }) => true,
            OpenError::Missing { .. }
            | OpenError::Occupied { .. }
            | OpenError::Unexpected { .. }
            | OpenError::Locked { .. }
            | OpenError::Format { .. }
            | OpenError::PageSize { .. }
            | OpenError::Damaged(ReadError::Unavailable { .. })
            | OpenError::Build(_)
            | OpenError::Unavailable { .. } => false,
        }
    }
}

/// A handle on an embedded log; clones share it.
#[derive(Clone)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    reader: Reader,
    /// Absent when the handle only reads.
    writer: Option<WriterHandle>,
}

impl EmbeddedLog {
    /// Creates a store in a directory that does not exist yet or is empty, and opens it for writing.
    pub async fn create(path: impl AsRef<Path>, options: Options) -> Result<EmbeddedLog, OpenError> {
        wox_events::upcast::check_table()?;
        if !meta::page_size_fits(u64::from(options.page_size)) {
            return Err(OpenError::PageSize { page_size: options.page_size });
        }
        let place = Place::new(path.as_ref());
        place.create()?;
        let lock = place.lock()?;
        // The connection that creates a store goes on as its writer: it must write ahead like every later one.
        let connect = writing(&place).create_if_missing(true).page_size(options.sqlite_page_bytes);
        let mut conn = connect.connect().await.map_err(|error| database_error(&place, error))?;
        sqlx::migrate!("migrations/sqlite")
            .run(&mut conn)
            .await
            .map_err(|error| OpenError::Unavailable { path: place.database.to_path_buf(), source: Arc::new(error) })?;
        let meta = Meta {
            log: options.log_id.unwrap_or_else(|| LogId(Uuid::new_v4())),
            format: meta::FORMAT,
            page_size: u64::from(options.page_size),
            epoch: 1,
            writer: Uuid::new_v4(),
        };
        meta.store(&mut conn).await.map_err(|error| database_error(&place, error))?;
        let head = Head { log: meta.log, epoch: 1, position: Position(0), root: Digest::of(b"") };
        // Last: a store without a watermark and without events is one whose creation was interrupted.
        let watermark = WatermarkFile::create(&place.watermark, &head)
            .map_err(|error| OpenError::unavailable(&place.watermark, error))?;
        place.sync()?;
        let opened = Opened::load(&place, conn, meta).await?;
        EmbeddedLog::start(place, opened, watermark, lock)
    }

    /// Opens a store for writing. Refuses when another process has it, and when it is behind or different at its
    /// watermark: then only [`open_read_only`](EmbeddedLog::open_read_only) and [`declare_fork`] are left.
    pub async fn open(path: impl AsRef<Path>) -> Result<EmbeddedLog, OpenError> {
        wox_events::upcast::check_table()?;
        let place = Place::new(path.as_ref());
        place.check()?;
        let lock = place.lock()?;
        place.check_whole()?;
        let (conn, meta) = connect(&place).await?;
        let mut opened = Opened::load(&place, conn, meta).await?;
        let reading = read_watermark(&place)?;
        let newest = newest_mark(&place, reading.newest)?;
        let state = opened.compare(&place, &newest).await?;
        let mut watermark = WatermarkFile::open(&place.watermark, &reading)
            .map_err(|error| OpenError::unavailable(&place.watermark, error))?;
        // The log was durable before the watermark moved, or a fork was declared and not finished: catch up. A damaged
        // slot is written again.
        if state == Standing::Ahead || !reading.damaged.is_empty() {
            watermark.write(&opened.head).map_err(|error| OpenError::unavailable(&place.watermark, error))?;
        }
        opened.meta.writer = Uuid::new_v4();
        opened.meta.store(&mut opened.conn).await.map_err(|error| database_error(&place, error))?;
        EmbeddedLog::start(place, opened, watermark, lock)
    }

    /// Opens a store for reading: needs no lock and looks past a watermark that does not fit.
    pub async fn open_read_only(path: impl AsRef<Path>) -> Result<EmbeddedLog, OpenError> {
        wox_events::upcast::check_table()?;
        let place = Place::new(path.as_ref());
        place.check()?;
        let options = connect_options(&place).read_only(true);
        let mut conn = options.connect().await.map_err(|error| database_error(&place, error))?;
        let meta = load_meta(&place, &mut conn).await?;
        let _nothing_was_written = conn.close().await;
        let reader = reader(&place, &meta, Arc::default());
        Ok(EmbeddedLog { shared: Arc::new(Shared { place, reader, writer: None }) })
    }

    fn start(place: Place, opened: Opened, watermark: WatermarkFile, lock: Lock) -> Result<EmbeddedLog, OpenError> {
        let pages_read = Arc::new(AtomicU64::new(0));
        let reader = reader(&place, &opened.meta, pages_read.clone());
        let page_size = opened.meta.page_size as usize;
        let writer = Writer {
            conn: opened.conn,
            place: place.clone(),
            lock,
            watermark,
            log: opened.meta.log,
            page_size,
            data_bytes_max: data_bytes_max(page_size),
            fence: opened.meta.writer,
            head: opened.head,
            sealed: opened.sealed,
            tail: opened.tail,
            streams: StreamCache::default(),
            next_slot: opened.next_slot,
            pages_read,
            poisoned: None,
            #[cfg(test)]
            break_sync: false,
        };
        let writer = WriterHandle::start(writer).map_err(|error| OpenError::unavailable(&place.dir, error))?;
        Ok(EmbeddedLog { shared: Arc::new(Shared { place, reader, writer: Some(writer) }) })
    }

    /// The directory of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.place.dir
    }

    /// The log's id.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.shared.reader.log
    }

    /// Events of one sealed page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.shared.reader.page_size
    }

    /// Longest payload of one event in this store, in bytes.
    #[must_use]
    pub fn data_bytes_max(&self) -> usize {
        data_bytes_max(self.shared.reader.page_size as usize)
    }

    /// How many sealed pages this handle has read since it was opened.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.shared.reader.pages_read.load(Ordering::Relaxed)
    }

    /// Streams whose name begins with `prefix`, in the order of their names, with their revisions.
    pub async fn streams_with_prefix(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(StreamId, Revision)>, ReadError> {
        self.shared.reader.streams_with_prefix(prefix, limit).await
    }

    /// The RFC 6962 root over the events up to `position`.
    pub async fn root_at(&self, position: Position) -> Result<Digest, ReadError> {
        self.shared.reader.root_at(position).await
    }

    /// Finishes what was given to the writer and closes the files. Further appends answer that the store is closed.
    pub async fn close(&self) {
        if let Some(writer) = &self.shared.writer {
            let (reply, done) = oneshot::channel();
            if writer.send(Command::Close { reply }).await {
                let _closed_either_way = done.await;
            }
        }
        // Takes no more readers from here on. A reader that is still held open gives its connection back when it is
        // dropped; waiting for it without a bound would hang whoever holds both.
        let _closed_or_held = tokio::time::timeout(CLOSE_WAIT, self.shared.reader.pool.close()).await;
    }

    #[cfg(test)]
    pub(crate) async fn break_next_sync(&self) {
        self.shared.writer.as_ref().unwrap().send(Command::BreakSync).await;
    }
}

/// What the writer answers.
type Answers = Vec<Result<Ack, AppendError>>;

impl EmbeddedLog {
    /// Asks the writer; an error when there is none, or none any more.
    async fn write(&self, command: impl FnOnce(oneshot::Sender<Answers>) -> Command) -> Result<Answers, AppendError> {
        let path = || self.path().to_owned();
        let Some(writer) = &self.shared.writer else { return Err(AppendError::ReadOnly { path: path() }) };
        let (reply, answers) = oneshot::channel();
        if writer.send(command(reply)).await
            && let Ok(answers) = answers.await
        {
            return Ok(answers);
        }
        Err(AppendError::Poisoned { path: path(), cause: "its writer has ended".into() })
    }
}

#[async_trait::async_trait]
impl EventLog for EmbeddedLog {
    async fn root_at(&self, position: Position) -> Result<Digest, ReadError> {
        self.shared.reader.root_at(position).await
    }

    async fn head(&self) -> Result<Head, ReadError> {
        match &self.shared.writer {
            Some(writer) => Ok(writer.head()),
            None => self.shared.reader.head().await,
        }
    }

    async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError> {
        self.shared.reader.revision(stream).await
    }

    async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        self.shared.reader.read_stream(stream).await
    }

    async fn chunks(&self, after: Position, until: Position) -> Result<Chunks, ReadError> {
        Ok(Chunks::new(self.shared.reader.chunks(after, until).await?))
    }

    async fn append_many(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        let count = requests.len();
        match self.write(|reply| Command::Append { requests, reply }).await {
            Ok(answers) => answers,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn append_in_order(&self, requests: Vec<AppendRequest>) -> Vec<Result<Ack, AppendError>> {
        let written = self.write(|reply| Command::AppendInOrder { requests, reply }).await;
        written.unwrap_or_else(|error| vec![Err(error)])
    }
}

/// Up to where the watermark says that a store was durable; nothing when there is none that can be read.
pub fn watermark_of(path: impl AsRef<Path>) -> io::Result<Option<Position>> {
    match watermark::read(&Place::new(path.as_ref()).watermark) {
        Ok(reading) => Ok(reading.newest.map(|mark| mark.head.position)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Declares that a store which is behind or different at its watermark is from now on the truth: the next epoch. The
/// watermark that is given up stays in table `epochs` with the reason. Gives the new head.
pub async fn declare_fork(path: impl AsRef<Path>, reason: &str) -> Result<Head, OpenError> {
    let place = Place::new(path.as_ref());
    place.check()?;
    let _lock = place.lock()?;
    let (conn, meta) = connect(&place).await?;
    let mut opened = Opened::load(&place, conn, meta).await?;
    let reading = match watermark::read(&place.watermark) {
        Ok(reading) => reading,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            watermark::Reading { newest: None, damaged: Vec::new() }
        }
        Err(error) => return Err(OpenError::unavailable(&place.watermark, error)),
    };
    let abandoned = reading.newest.map(|mark| mark.head);
    opened.meta.epoch = opened.meta.epoch.max(abandoned.map_or(0, |head| head.epoch)) + 1;
    let head = Head { epoch: opened.meta.epoch, ..opened.head };
    let written = async {
        let mut transaction = opened.conn.begin().await?;
        opened.meta.store(&mut transaction).await?;
        sqlx::query(PUT_EPOCH)
            .bind(head.epoch as i64)
            .bind(head.position.0 as i64)
            .bind(head.root.to_string())
            .bind(abandoned.map(|head| head.epoch as i64))
            .bind(abandoned.map(|head| head.position.0 as i64))
            .bind(abandoned.map(|head| head.root.to_string()))
            .bind(reason)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    };
    written.await.map_err(|error| database_error(&place, error))?;
    let unavailable = |error| OpenError::unavailable(&place.watermark, error);
    if reading.newest.is_none() {
        if place.watermark.exists() {
            std::fs::remove_file(&place.watermark).map_err(unavailable)?;
        }
        WatermarkFile::create(&place.watermark, &head).map_err(unavailable)?;
        place.sync()?;
    } else {
        WatermarkFile::open(&place.watermark, &reading).and_then(|mut file| file.write(&head)).map_err(unavailable)?;
    }
    let _everything_is_committed = opened.conn.close().await;
    Ok(head)
}

/// How the log stands to its watermark when both fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Equal,
    /// The process ended between commit and watermark: normal.
    Ahead,
}

/// What is loaded before anything may be appended.
struct Opened {
    conn: SqliteConnection,
    meta: Meta,
    head: Head,
    sealed: wox_events::tree::CompactRange,
    tail: Vec<reader::TailRow>,
    next_slot: u64,
}

impl Opened {
    async fn load(place: &Place, mut conn: SqliteConnection, meta: Meta) -> Result<Opened, OpenError> {
        let file = &place.database;
        let last = reader::last_position(&mut conn, file, meta.page_size).await?;
        let pages = last / meta.page_size;
        let sealed = reader::sealed_range(&mut conn, file, meta.page_size, pages).await?;
        let tail = reader::tail_rows(&mut conn, file, 0, u64::MAX).await?;
        let mut range = sealed.clone();
        for row in &tail {
            if row.event.position.0 != range.size() + 1 {
                return Err(reader::corrupt(file, Some(row.event.position), "the tail has a gap or a repeat").into());
            }
            if row.event.leaf(meta.log) != row.leaf {
                let what = "the row does not match its leaf hash";
                return Err(reader::corrupt(file, Some(row.event.position), what).into());
            }
            range.push(row.leaf);
        }
        if range.size() != last {
            return Err(reader::corrupt(file, Some(Position(range.size() + 1)), "events are missing").into());
        }
        let next = sqlx::query(NEXT_SLOT).fetch_one(&mut conn).await;
        let next = next.map_err(|error| database_error(place, error))?;
        let next_slot = reader::column(&next, 0, file)?;
        let head = Head { log: meta.log, epoch: meta.epoch, position: Position(last), root: range.root() };
        Ok(Opened { conn, meta, head, sealed, tail, next_slot })
    }

    /// Holds the log against its watermark.
    async fn compare(&mut self, place: &Place, mark: &Mark) -> Result<Standing, OpenError> {
        let (head, mark) = (self.head, mark.head);
        let different =
            |what: &str| OpenError::Different { path: place.dir.clone(), at: mark.position, what: what.to_owned() };
        if mark.log != head.log {
            return Err(different("the watermark belongs to another log"));
        }
        if mark.epoch != head.epoch && self.abandons(place, &mark).await? {
            return Ok(Standing::Ahead);
        }
        if mark.epoch != head.epoch {
            return Err(different(&format!("the log is in epoch {}, the watermark in {}", head.epoch, mark.epoch)));
        }
        if head.position < mark.position {
            return Err(OpenError::Behind {
                path: place.dir.clone(),
                events: mark.position.0 - head.position.0,
                head: head.position,
                watermark: mark.position,
            });
        }
        let root = if head.position == mark.position {
            head.root
        } else {
            let page_size = self.meta.page_size;
            reader::root_at(&mut self.conn, &place.database, head.log, page_size, mark.position.0).await?
        };
        if root != mark.root {
            return Err(different("the events up to there are not those that were acknowledged"));
        }
        Ok(if head.position == mark.position { Standing::Equal } else { Standing::Ahead })
    }

    /// Whether the newest declared fork gave exactly this watermark up, and only its own watermark is not written yet.
    async fn abandons(&mut self, place: &Place, mark: &Head) -> Result<bool, OpenError> {
        let row = sqlx::query(ABANDONED).bind(self.meta.epoch as i64).fetch_optional(&mut self.conn).await;
        let Some(row) = row.map_err(|error| database_error(place, error))? else { return Ok(false) };
        let root = mark.root.to_string();
        Ok(row.try_get::<i64, _>(0).is_ok_and(|epoch| epoch as u64 == mark.epoch)
            && row.try_get::<i64, _>(1).is_ok_and(|position| position as u64 == mark.position.0)
            && row.try_get::<&str, _>(2).is_ok_and(|found| found == root))
    }
}

fn data_bytes_max(page_size: usize) -> usize {
    DATA_BYTES_MAX.min(page::PAYLOAD_BYTES_MAX / page_size)
}

fn connect_options(place: &Place) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(&*place.database).busy_timeout(BUSY_TIMEOUT)
}

/// How a writer connects: synced write-ahead log, so that readers and a killed writer never get in each other's way.
fn writing(place: &Place) -> SqliteConnectOptions {
    connect_options(place).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
}

async fn connect(place: &Place) -> Result<(SqliteConnection, Meta), OpenError> {
    let mut conn = writing(place).connect().await.map_err(|error| database_error(place, error))?;
    let meta = load_meta(place, &mut conn).await?;
    Ok((conn, meta))
}

async fn load_meta(place: &Place, conn: &mut SqliteConnection) -> Result<Meta, OpenError> {
    let meta = Meta::load(conn, &place.database).await.map_err(|error| match error {
        ReadError::Corrupt { file, what, .. } => OpenError::NotALog { path: file, what },
        ReadError::Unavailable { file, source } => OpenError::Unavailable { path: file, source },
    })?;
    if meta.format != meta::FORMAT {
        let path = place.database.to_path_buf();
        return Err(OpenError::Format { path, found: meta.format, known: meta::FORMAT });
    }
    Ok(meta)
}

fn reader(place: &Place, meta: &Meta, pages_read: Arc<AtomicU64>) -> Reader {
    let options = connect_options(place).read_only(true);
    Reader {
        pool: SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(options),
        file: place.database.clone(),
        log: meta.log,
        page_size: meta.page_size,
        pages_read,
    }
}

fn read_watermark(place: &Place) -> Result<watermark::Reading, OpenError> {
    match watermark::read(&place.watermark) {
        Ok(reading) => Ok(reading),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::NoWatermark { path: place.watermark.clone(), what: "missing" })
        }
        Err(error) => Err(OpenError::unavailable(&place.watermark, error)),
    }
}

fn newest_mark(place: &Place, newest: Option<Mark>) -> Result<Mark, OpenError> {
    newest.ok_or_else(|| OpenError::NoWatermark { path: place.watermark.clone(), what: "damaged in both slots" })
}

fn database_error(place: &Place, error: sqlx::Error) -> OpenError {
    match reader::read_error(&place.database, error) {
        ReadError::Corrupt { file, what, .. } => OpenError::NotALog { path: file, what },
        ReadError::Unavailable { file, source } => OpenError::Unavailable { path: file, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wox_events::{Actor, EventId, Json, NewEvent, Provenance, Timestamp};

    fn request(number: u64) -> AppendRequest {
        let event = NewEvent {
            id: EventId(Uuid::from_u128(u128::from(number))),
            kind: "ChallengeDeclined".into(),
            version: 1,
            time: Timestamp(1),
            actor: Actor::new("game").unwrap(),
            causation: None,
            correlation: None,
            provenance: Provenance::Game,
            rules: 1,
            data: Json::stored("{}".into()),
        };
        let stream = StreamId::new(format!("duel-{number}")).unwrap();
        AppendRequest { stream, expected: Revision::NO_STREAM, events: vec![event] }
    }

    #[tokio::test]
    async fn the_first_sync_error_poisons_and_the_next_open_catches_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let log = EmbeddedLog::create(&path, Options::default()).await.unwrap();
        log.append(request(1)).await.unwrap();
        log.break_next_sync().await;
        let failed = log.append(request(2)).await.unwrap_err();
        assert!(matches!(failed, AppendError::Failed { .. }), "{failed}");
        for number in [2, 3] {
            let poisoned = log.append(request(number)).await.unwrap_err();
            assert!(poisoned.to_string().contains("the disk says no"), "{poisoned}");
        }
        assert_eq!(log.head().await.unwrap().position, Position(1), "what is not synced is not the head");
        drop(log);
        let log = EmbeddedLog::open(&path).await.unwrap();
        let again = log.append(request(2)).await.unwrap();
        assert!(again.repeat, "the outcome was unknown; sending it again is safe");
        assert_eq!(log.head().await.unwrap().position, Position(2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_writers_share_syncs_and_each_gets_its_own_answer() {
        let dir = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::create(dir.path().join("store"), Options::default()).await.unwrap();
        let tasks: Vec<_> = (0..64u64)
            .map(|task| {
                let log = log.clone();
                tokio::spawn(async move {
                    for number in 0..20 {
                        log.append(request(task * 100 + number)).await.unwrap();
                        let mut wrong = request(task * 100 + number);
                        wrong.events[0].id = EventId(Uuid::from_u128(u128::MAX));
                        assert!(matches!(log.append(wrong).await, Err(AppendError::Conflict { .. })));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.head().await.unwrap().position, Position(64 * 20));
    }
}
