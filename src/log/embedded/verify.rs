//! Re-reads a whole store and recomputes everything: what an auditor runs, and what an operator runs after damage.
//!
//! It shares with the writer only the description of the formats (R16): pages are parsed here a second time, slowly and
//! plainly (`format`). It changes nothing, needs no lock, and goes on after the first bad thing, so that one report names
//! every check made, failed and not made. It gives way at every page, so that whoever waits for it can stop it.

mod format;
mod streams;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteRow};
use wox_events::{Digest, LogId, Position, RawEvent, Revision, StreamId, tree::CompactRange};

use self::{
    format::{offset_of, parse_page, plain_page, tail_event},
    streams::{Doubled, Streams},
};
use super::{OpenError, connect_options, load_meta, place::Place, sqlite_file, watermark};
use crate::log::{Head, ReadError};

/// The checks, in the order of the report.
const CHECKS: [&str; 11] = [
    "files",
    "schema",
    "sqlite integrity",
    "page digests",
    "positions gapless",
    "revisions gapless",
    "ids unique in their stream",
    "leaves and page roots",
    "stream table",
    "stream index",
    "watermark",
];

const MIGRATION: &str = include_str!("../../../migrations/sqlite/0001_event_log.sql");
const TABLES: [&str; 6] = ["meta", "epochs", "streams", "tail", "pages", "stream_pages"];

/// What a verification found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct VerifyReport {
    /// Every check there is, made or not.
    pub checks: Vec<Check>,
    /// The first bad thing, in the order of the log.
    pub first_bad: Option<Bad>,
    /// Where the log stands by what was recomputed; `None` when nothing could be read.
    pub head: Option<Head>,
    /// Events read and hashed.
    pub events: u64,
}

/// One check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What came of it.
    pub result: CheckResult,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Made; all is as it should be.
    Passed,
    /// Made; something is wrong.
    Failed {
        /// The first thing that is wrong.
        what: String,
        /// How many things are wrong.
        count: u64,
    },
    /// Not made.
    NotMade {
        /// Why not.
        why: String,
    },
}

/// A bad thing and where it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Bad {
    /// The file.
    pub file: PathBuf,
    /// Byte offset in that file, where it could be found.
    pub offset: Option<u64>,
    /// The first position concerned.
    pub position: Option<Position>,
    /// The last position concerned: a page holds many.
    pub last_position: Option<Position>,
    /// The stream, when only one is concerned.
    pub stream: Option<StreamId>,
    /// What is wrong.
    pub what: String,
}

impl VerifyReport {
    /// Whether every check was made and passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.result == CheckResult::Passed)
    }
}

/// Verifies the store at `path`. `on_progress` is told (events read, events there are) now and then. An error means
/// that there is no store to look at; everything that is wrong with a store stands in the report.
pub async fn verify(
    path: impl AsRef<Path>,
    mut on_progress: impl FnMut(u64, u64) + Send,
) -> Result<VerifyReport, OpenError> {
    let place = Place::new(path.as_ref());
    place.check()?;
    let mut audit = Audit::new(&place);
    for _ in 1..ATTEMPTS {
        // So does a slot of the watermark that is just being written.
        if audit.damaged_slots.is_empty() {
            break;
        }
        tokio::time::sleep(A_MOMENT).await;
        audit = Audit::new(&place);
    }
    let mut conn = match connect_options(&place).read_only(true).connect().await {
        Ok(conn) => conn,
        Err(error) => {
            audit.fail("files", audit.database(), format!("SQLite cannot open it: {error}"));
            return Ok(audit.report(Some("the database cannot be opened")));
        }
    };
    // One moment of it: a writer may be at work, and what he adds meanwhile is not damage.
    if let Err(error) = sqlx::query("BEGIN").execute(&mut conn).await {
        audit.fail("files", audit.database(), format!("SQLite cannot read it: {error}"));
        return Ok(audit.report(Some("the database cannot be read")));
    }
    match load_meta(&place, &mut conn).await {
        Ok(meta) => {
            audit.pass("files");
            audit.log = Some(meta.log);
            audit.epoch = meta.epoch;
            audit.page_size = meta.page_size;
        }
        Err(error) => {
            audit.fail("files", audit.database(), error.to_string());
            return Ok(audit.report(Some("the store does not say what it is")));
        }
    }
    for attempt in 1.. {
        let Err(OpenError::Damaged(ReadError::Corrupt { offset, what, .. })) = place.check_whole() else { break };
        // A writer who moves pages into the file looks like a cut file for a moment.
        if attempt == ATTEMPTS {
            audit.fail("files", Bad { offset, ..audit.database() }, what);
            break;
        }
        tokio::time::sleep(A_MOMENT).await;
    }
    audit.schema(&mut conn).await;
    audit.sqlite(&mut conn).await;
    match audit.events(&mut conn, &mut on_progress).await {
        Ok(()) => {
            if let Err(error) = audit.index(&mut conn).await {
                audit.fail("stream table", audit.database(), format!("SQLite cannot read it: {error}"));
            }
        }
        // The tables about streams are compared with the events; without all of them there is nothing to compare.
        Err(error) => {
            let position = Some(Position(audit.tree.size() + 1));
            let bad = Bad { position, ..audit.broken_page(&mut conn).await };
            audit.fail("positions gapless", bad, format!("SQLite cannot read on: {error}"));
        }
    }
    audit.watermark();
    let _read_only = conn.close().await;
    Ok(audit.report(None))
}

/// How often something is looked at that a writer may just be writing.
const ATTEMPTS: u32 = 5;
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(20);

/// What is known so far.
struct Audit {
    place: Place,
    results: BTreeMap<&'static str, CheckResult>,
    first_bad: Option<Bad>,
    log: Option<LogId>,
    epoch: u64,
    page_size: u64,
    tree: CompactRange,
    /// Roots at the watermark and, while reading, at every position it may stand at.
    root_at_mark: Option<Digest>,
    mark: Option<Head>,
    damaged_slots: Vec<u64>,
    streams: Streams,
    events: u64,
}

/// Rows of a table between two moments at which somebody else may do something.
const ROWS_AT_ONCE: u64 = 1024;

/// Lets whoever waits for the verification look up. Rows come from a thread of SQLite's own and are mostly there already,
/// so that waiting for them alone never gives way.
async fn give_way() {
    tokio::task::yield_now().await;
}

impl Audit {
    fn new(place: &Place) -> Audit {
        let reading = watermark::read(&place.watermark);
        let (mark, damaged_slots) = match reading {
            Ok(reading) => (reading.newest.map(|mark| mark.head), reading.damaged),
            Err(_) => (None, vec![0]),
        };
        Audit {
            place: place.clone(),
            results: BTreeMap::new(),
            first_bad: None,
            log: None,
            epoch: 0,
            page_size: 0,
            tree: CompactRange::default(),
            root_at_mark: None,
            mark,
            damaged_slots,
            streams: Streams::default(),
            events: 0,
        }
    }

    fn database(&self) -> Bad {
        Bad {
            file: self.place.database.to_path_buf(),
            offset: None,
            position: None,
            last_position: None,
            stream: None,
            what: String::new(),
        }
    }

    fn pass(&mut self, name: &'static str) {
        self.results.entry(name).or_insert(CheckResult::Passed);
    }

    fn fail(&mut self, name: &'static str, bad: Bad, what: String) {
        match self.results.get_mut(name) {
            Some(CheckResult::Failed { count, .. }) => *count += 1,
            _ => drop(self.results.insert(name, CheckResult::Failed { what: what.clone(), count: 1 })),
        }
        // What has a position says more than what has none.
        let better = self.first_bad.as_ref().is_none_or(|first| match (first.position, bad.position) {
            (Some(first), Some(found)) => found < first,
            (None, Some(_)) => true,
            (_, None) => false,
        });
        if better {
            self.first_bad = Some(Bad { what, ..bad });
        }
    }

    fn report(self, stopped: Option<&str>) -> VerifyReport {
        let Audit { mut results, tree, log, epoch, events, .. } = self;
        let why = stopped.unwrap_or("an earlier check failed");
        let not_made = || CheckResult::NotMade { why: why.to_owned() };
        let checks = CHECKS.map(|name| Check { name, result: results.remove(name).unwrap_or_else(not_made) });
        VerifyReport {
            checks: checks.into(),
            first_bad: self.first_bad,
            head: log.map(|log| Head { log, epoch, position: Position(tree.size()), root: tree.root() }),
            events,
        }
    }

    /// The tables as SQLite has them must be the tables as they were made: a changed byte there changes what rows mean.
    async fn schema(&mut self, conn: &mut SqliteConnection) {
        let mut made: BTreeSet<&str> = TABLES.into();
        let rows = sqlx::query("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetch_all(conn).await;
        let entries = rows.and_then(|rows| {
            let entry = |row: &SqliteRow| {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get::<Option<String>, _>(3)?))
            };
            rows.iter().map(entry).collect::<Result<Vec<(String, String, String, _)>, sqlx::Error>>()
        });
        match entries {
            Ok(entries) => {
                for (kind, name, table, sql) in entries {
                    let ours = match &sql {
                        // sqlx keeps which migrations ran; no event is read from there.
                        _ if table == "_sqlx_migrations" => true,
                        Some(sql) => {
                            kind == "table"
                                && name == table
                                && made.remove(name.as_str())
                                && MIGRATION.contains(sql.as_str())
                        }
                        None => kind == "index" && TABLES.contains(&table.as_str()),
                    };
                    if !ours {
                        let what = format!("{kind} `{}` is not as it was made", name.escape_debug());
                        self.fail("schema", self.database(), what);
                    }
                }
                for name in made {
                    self.fail("schema", self.database(), format!("table `{name}` is missing"));
                }
            }
            Err(error) => self.fail("schema", self.database(), error.to_string()),
        }
        self.pass("schema");
    }

    /// SQLite's own view of its file: it sees broken trees and indexes, not changed bytes.
    async fn sqlite(&mut self, conn: &mut SqliteConnection) {
        let rows = sqlx::query("PRAGMA integrity_check(100)").fetch_all(&mut *conn).await;
        let lines: Vec<String> = match rows {
            Ok(rows) => rows.iter().map(|row| row.try_get(0).unwrap_or_else(|_| "unreadable".into())).collect(),
            Err(error) => vec![error.to_string()],
        };
        if lines == ["ok"] {
            return self.pass("sqlite integrity");
        }
        let place = self.broken_page(conn).await;
        for line in lines {
            let line = if place.what.is_empty() { line } else { format!("{line}: {}", place.what) };
            self.fail("sqlite integrity", place.clone(), line);
        }
    }

    /// The database, with the byte offset of the first page that breaks a tree, where that can be found.
    async fn broken_page(&self, conn: &mut SqliteConnection) -> Bad {
        let roots = sqlx::query("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0 ORDER BY rootpage");
        let roots: Vec<u32> = match roots.fetch_all(conn).await {
            Ok(rows) => rows.iter().filter_map(|row| row.try_get::<i64, _>(0).ok()?.try_into().ok()).collect(),
            Err(_) => Vec::new(),
        };
        match sqlite_file::first_broken_page(&self.place.database, &roots) {
            Ok(Some(broken)) => Bad { offset: Some(broken.offset), what: broken.what, ..self.database() },
            Ok(None) | Err(_) => self.database(),
        }
    }

    async fn events(
        &mut self,
        conn: &mut SqliteConnection,
        on_progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<(), sqlx::Error> {
        let total: i64 = sqlx::query("SELECT (SELECT count(*) FROM tail) + (SELECT count(*) FROM pages) * ?1")
            .bind(self.page_size as i64)
            .fetch_one(&mut *conn)
            .await?
            .try_get(0)?;
        let names = self.names(conn).await?;
        let mut rows =
            sqlx::query("SELECT page, first, count, digest, root, bytes FROM pages ORDER BY page").fetch(&mut *conn);
        while let Some(row) = rows.try_next().await? {
            self.page(&row)?;
            on_progress(self.events, total as u64);
            give_way().await;
        }
        drop(rows);
        let mut rows = sqlx::query(
            "SELECT position, slot, revision, id, kind, version, time, actor, causation, correlation, provenance, \
             rules, data, leaf FROM tail ORDER BY position",
        )
        .fetch(&mut *conn);
        while let Some(row) = rows.try_next().await? {
            self.row(&row, &names)?;
            give_way().await;
        }
        drop(rows);
        self.ids(conn).await?;
        for name in ["page digests", "positions gapless", "revisions gapless", "leaves and page roots"] {
            self.pass(name);
        }
        on_progress(self.events, total as u64);
        Ok(())
    }

    async fn names(&self, conn: &mut SqliteConnection) -> Result<BTreeMap<i64, String>, sqlx::Error> {
        let rows = sqlx::query("SELECT slot, name FROM streams WHERE slot IN (SELECT slot FROM tail)");
        rows.fetch_all(conn).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    fn page(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let (page, first, count): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (digest, root, bytes): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let start = self.tree.size() + 1;
        let bad = Bad {
            position: Some(Position(start)),
            last_position: Some(Position(start + self.page_size - 1)),
            ..self.database()
        };
        let size = self.page_size as i64;
        if page.checked_mul(size) != Some(self.tree.size() as i64) || first != start as i64 || count != size {
            let what = format!("page {page} with first {first} and count {count} stands where position {start} should");
            self.fail("positions gapless", bad.clone(), what);
        }
        let located = || Bad { offset: offset_of(&self.place.database, &bytes), ..bad.clone() };
        let plain = match plain_page(&bytes) {
            Ok(plain) if Digest::of(&plain).0[..] == digest => plain,
            Ok(_) => {
                let bad = located();
                self.fail("page digests", bad, format!("page {page}: its digest does not match its bytes"));
                return self.skip_page(&root);
            }
            Err(what) => {
                let bad = located();
                self.fail("page digests", bad, format!("page {page}: {what}"));
                return self.skip_page(&root);
            }
        };
        let events = match parse_page(&plain) {
            Some(events) if events.len() as u64 == self.page_size => events,
            _ => {
                let bad = located();
                self.fail("page digests", bad, format!("page {page}: its bytes are no page of {size} events"));
                return self.skip_page(&root);
            }
        };
        let mut range = CompactRange::default();
        let slots: BTreeSet<u64> = events.iter().map(|(slot, _)| *slot).collect();
        self.streams.stands_in(page as u64, &slots);
        for (slot, event) in events {
            range.push(self.event(slot, event));
        }
        if range.root().0[..] != root {
            let what = format!("page {page}: its root does not follow from its events");
            self.fail("leaves and page roots", bad, what);
        }
        Ok(())
    }

    /// A page that cannot be read still stands in the tree, with the root stored beside it: the rest can be checked.
    fn skip_page(&mut self, root: &[u8]) -> Result<(), sqlx::Error> {
        let root = Digest(root.try_into().unwrap_or([0; 32]));
        let level = self.page_size.trailing_zeros();
        if self.tree.push_subtree(level, root).is_err() {
            return Err(sqlx::Error::Protocol("pages do not stand at multiples of their size".into()));
        }
        for name in ["revisions gapless", "ids unique in their stream", "stream table", "stream index"] {
            let why = "a page cannot be read".to_owned();
            self.results.entry(name).or_insert(CheckResult::NotMade { why });
        }
        Ok(())
    }

    fn row(&mut self, row: &SqliteRow, names: &BTreeMap<i64, String>) -> Result<(), sqlx::Error> {
        let position = Position(self.tree.size() + 1);
        let slot: i64 = row.try_get("slot")?;
        let data: String = row.try_get("data")?;
        let stream = names.get(&slot).and_then(|name| StreamId::new(name).ok());
        let bad =
            Bad { position: Some(position), last_position: Some(position), stream: stream.clone(), ..self.database() };
        let bad = |audit: &Audit| Bad { offset: offset_of(&audit.place.database, data.as_bytes()), ..bad.clone() };
        let (Some(stream), Some(event)) = (stream, tail_event(row, &data)) else {
            let bad = bad(self);
            self.fail("leaves and page roots", bad, format!("the row of position {position} is malformed"));
            self.tree.push(Digest([0; 32]));
            return Ok(());
        };
        let (stored, revision): (i64, i64) = (row.try_get("position")?, row.try_get("revision")?);
        if stored as u64 != position.0 {
            let bad = bad(self);
            self.fail("positions gapless", bad, format!("position {stored} stands where {position} should"));
        }
        let raw = RawEvent { position, stream, revision: Revision(revision as u64), event };
        let leaf = self.event(slot as u64, raw);
        let stored: String = row.try_get("leaf")?;
        if stored != leaf.to_string() {
            let bad = bad(self);
            let what = format!("the row of position {position} does not match its leaf hash");
            self.fail("leaves and page roots", bad, what);
        }
        Ok(())
    }

    /// Takes one event in: its place in log and stream, its id, its leaf.
    fn event(&mut self, slot: u64, event: RawEvent) -> Digest {
        let log = self.log.expect("events are read after the log id");
        let expected = Position(self.tree.size() + 1);
        let bad = Bad {
            position: Some(event.position),
            last_position: Some(event.position),
            stream: Some(event.stream.clone()),
            ..self.database()
        };
        if event.position != expected {
            let what = format!("position {} stands where {expected} should", event.position);
            self.fail("positions gapless", bad.clone(), what);
        }
        let (revision, same_slot) = self.streams.see(&event.stream, slot, event.event.id);
        if event.revision.0 != revision {
            let what = format!("revision {} of stream {} stands where {revision} should", event.revision, event.stream);
            self.fail("revisions gapless", bad.clone(), what);
        }
        if !same_slot {
            self.fail("stream table", bad.clone(), format!("stream {} has two slots", event.stream));
        }
        let leaf = event.leaf(log);
        self.tree.push(leaf);
        self.events += 1;
        if self.mark.is_some_and(|mark| mark.position.0 == self.tree.size()) {
            self.root_at_mark = Some(self.tree.root());
        }
        leaf
    }

    /// Compares the derived tables with what the events say.
    async fn index(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.results.contains_key("stream index") {
            return Ok(()); // a page is missing from what the events say
        }
        let mut wrong = Vec::new();
        // By name as well as by slot: the two can only differ when the index of names is damaged.
        let mut rows = sqlx::query("SELECT slot, name, revision FROM streams").fetch(&mut *conn);
        let mut read = 0;
        while let Some(row) = rows.try_next().await? {
            let (slot, name, revision): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if !self.streams.is_listed(&name, slot as u64, revision as u64) {
                wrong.push(format!("stream `{}` with slot {slot} and revision {revision}", name.escape_debug()));
            }
            read += 1;
            if read % ROWS_AT_ONCE == 0 {
                give_way().await;
            }
        }
        drop(rows);
        wrong.extend(self.streams.unlisted().map(|name| format!("stream `{name}` is missing")));
        for what in wrong {
            self.fail("stream table", self.database(), format!("the stream table differs from the events: {what}"));
        }
        self.pass("stream table");

        // Both sides in the same order: what stands on one side only differs.
        let mut expected = self.streams.take_pages().into_iter().peekable();
        let mut differing = Vec::new();
        let mut rows = sqlx::query("SELECT slot, page FROM stream_pages ORDER BY slot, page").fetch(conn);
        while let Some(row) = rows.try_next().await? {
            let (slot, page): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let found = (slot as u64, page as u64);
            while let Some(missing) = expected.next_if(|expected| *expected < found) {
                differing.push(missing);
            }
            if expected.next_if_eq(&found).is_none() {
                differing.push(found);
            }
            read += 1;
            if read % ROWS_AT_ONCE == 0 {
                give_way().await;
            }
        }
        drop(rows);
        differing.extend(expected);
        for (slot, page) in differing {
            let what = format!("the index differs from the pages at slot {slot}, page {page}");
            let position = Some(Position(page.saturating_mul(self.page_size).saturating_add(1)));
            self.fail("stream index", Bad { position, ..self.database() }, what);
        }
        self.pass("stream index");
        Ok(())
    }

    /// Ids that stand twice in one stream. Where they stand is read again: only a damaged store asks for it.
    async fn ids(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let doubled = self.streams.doubled();
        let mut places = BTreeMap::new();
        if !doubled.is_empty() {
            let wanted: BTreeSet<_> = doubled.iter().map(|doubled| (&doubled.stream, doubled.revision)).collect();
            let mut rows = sqlx::query("SELECT bytes FROM pages ORDER BY page").fetch(&mut *conn);
            while let Some(row) = rows.try_next().await? {
                let bytes: Vec<u8> = row.try_get(0)?;
                let events = plain_page(&bytes).ok().and_then(|plain| parse_page(&plain)).unwrap_or_default();
                for (_, event) in events {
                    if wanted.contains(&(&event.stream, event.revision)) {
                        places.insert((event.stream, event.revision), event.position);
                    }
                }
                give_way().await;
            }
            drop(rows);
            let tail = "SELECT name, tail.revision, position FROM tail JOIN streams USING (slot)";
            for row in sqlx::query(tail).fetch_all(conn).await? {
                let (name, revision, position): (String, i64, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                if let Ok(stream) = StreamId::new(&name) {
                    places.insert((stream, Revision(revision as u64)), Position(position as u64));
                }
            }
        }
        for Doubled { stream, revision, id } in doubled {
            let what = format!("id {id} stands twice in stream {stream}, again at revision {revision}");
            let position = places.get(&(stream.clone(), revision)).copied();
            let bad = Bad { position, last_position: position, stream: Some(stream), ..self.database() };
            self.fail("ids unique in their stream", bad, what);
        }
        self.pass("ids unique in their stream");
        Ok(())
    }

    fn watermark(&mut self) {
        let bad = Bad { file: self.place.watermark.clone(), ..self.database() };
        for offset in self.damaged_slots.clone() {
            let what = "a slot of the watermark is damaged or missing; the next writer writes it again".to_owned();
            self.fail("watermark", Bad { offset: Some(offset), ..bad.clone() }, what);
        }
        let Some(mark) = self.mark else {
            return self.fail("watermark", bad, "the watermark is missing or damaged in both slots".into());
        };
        let bad = Bad { position: Some(mark.position), ..bad };
        let events = self.tree.size();
        if Some(mark.log) != self.log {
            self.fail("watermark", bad, "the watermark belongs to another log".into());
        } else if mark.epoch != self.epoch {
            let what = format!("the log is in epoch {}, its watermark in {}", self.epoch, mark.epoch);
            self.fail("watermark", bad, what);
        } else if mark.position.0 > events {
            let what = format!("the store is behind its watermark by {} events", mark.position.0 - events);
            self.fail("watermark", bad, what);
        } else if mark.position.0 > 0 && self.root_at_mark != Some(mark.root) {
            self.fail("watermark", bad, "the events up to the watermark are not those that were acknowledged".into());
        } else {
            self.pass("watermark");
        }
    }
}
