//! Reads the store through connections of its own. Nothing here writes, and nothing here believes a row: what does not
//! fit is [`ReadError::Corrupt`] with its place.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::TryStreamExt;
use smol_str::SmolStr;
use sqlx::{Row, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqliteRow};
use wox_events::{
    Actor, Digest, EventId, Json, LogId, NewEvent, Position, RawEvent, Revision, StreamId, Timestamp,
    tree::CompactRange,
};

use super::{
    meta::Meta,
    page::{self, SealedPage},
};
use crate::log::{Chunk, ChunkSource, Head, ReadError};

const STREAM: &str = "SELECT slot, revision FROM streams WHERE name = ?1";
const STREAM_PAGES: &str = "SELECT p.page, p.first, p.count, p.digest, p.bytes FROM stream_pages s \
                            JOIN pages p ON p.page = s.page WHERE s.slot = ?1 ORDER BY p.page";
const STREAMS_WITH_PREFIX: &str =
    "SELECT name, revision FROM streams WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT ?2";
const PAGES: &str = "SELECT page, first, count, digest, bytes FROM pages WHERE page >= ?1 AND page <= ?2 \
                     ORDER BY page LIMIT ?3";
/// How many roots are not digests, and all of them one behind the other.
const PAGE_ROOTS: &str = "SELECT coalesce(sum(typeof(root) <> 'blob' OR length(root) <> 32), 0), group_concat(hex(root), '' ORDER BY page) \
                          FROM pages WHERE page >= ?1 AND page < ?2";
const ROOT_LENGTHS: &str = "SELECT page, CASE typeof(root) WHEN 'blob' THEN length(root) ELSE 0 END FROM pages \
                            WHERE page >= ?1 AND page < ?2 ORDER BY page";
/// Pages whose roots are read in one piece.
const ROOTS_A_PIECE: u64 = 8_192;
/// Hexadecimal digits of a root.
const ROOT_DIGITS: u64 = 64;
const LAST: &str = "SELECT coalesce((SELECT max(position) FROM tail), 0), \
                    coalesce((SELECT max(page) FROM pages) + 1, 0)";
const TAIL_ROWS: &str = "SELECT t.position, t.slot, t.revision, t.id, t.kind, t.version, t.time, t.actor, t.causation, \
                         t.correlation, t.provenance, t.rules, t.data, t.leaf, s.name \
                         FROM tail t LEFT JOIN streams s ON s.slot = t.slot \
                         WHERE t.position >= ?1 AND t.position <= ?2 ORDER BY t.position LIMIT ?3";
const TAIL_OF_STREAM: &str = "SELECT t.position, t.slot, t.revision, t.id, t.kind, t.version, t.time, t.actor, \
                              t.causation, t.correlation, t.provenance, t.rules, t.data, t.leaf, s.name \
                              FROM tail t LEFT JOIN streams s ON s.slot = t.slot \
                              WHERE t.slot = ?1 ORDER BY t.position";

/// How many bytes of pages one look at the database should bring: enough to hide its cost, little enough for memory.
const FETCH_BYTES: usize = 2 * 1024 * 1024;
const FETCH_PAGES_MAX: usize = 16;

/// The reading half of a store.
pub(crate) struct Reader {
    pub(crate) pool: SqlitePool,
    pub(crate) file: Arc<PathBuf>,
    pub(crate) log: LogId,
    pub(crate) page_size: u64,
    pub(crate) pages_read: Arc<AtomicU64>,
}

impl Reader {
    /// Where the database stands, whatever the watermark says.
    pub(crate) async fn head(&self) -> Result<Head, ReadError> {
        let mut conn = self.snapshot().await?;
        let meta = Meta::load(&mut conn, &self.file).await?;
        let last = last_position(&mut conn, &self.file, self.page_size).await?;
        let root = self.root_in(&mut conn, last).await?;
        release(conn).await;
        Ok(Head { log: meta.log, epoch: meta.epoch, position: Position(last), root })
    }

    pub(crate) async fn revision(&self, stream: &StreamId) -> Result<Revision, ReadError> {
        let row = sqlx::query(STREAM).bind(stream.as_str()).fetch_optional(&self.pool).await;
        let row = row.map_err(|error| self.error(error))?;
        row.map_or(Ok(Revision::NO_STREAM), |row| Ok(Revision(column(&row, "revision", &self.file)?)))
    }

    pub(crate) async fn streams_with_prefix(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(StreamId, Revision)>, ReadError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(STREAMS_WITH_PREFIX).bind(prefix).bind(limit).fetch_all(&self.pool).await;
        let rows = rows.map_err(|error| self.error(error))?;
        rows.iter()
            .map(|row| Ok((stream_name(row, &self.file)?, Revision(column(row, "revision", &self.file)?))))
            .collect()
    }

    pub(crate) async fn read_stream(&self, stream: &StreamId) -> Result<Vec<RawEvent>, ReadError> {
        let mut conn = self.snapshot().await?;
        let row = sqlx::query(STREAM).bind(stream.as_str()).fetch_optional(&mut *conn).await;
        let Some(row) = row.map_err(|error| self.error(error))? else {
            release(conn).await;
            return Ok(Vec::new());
        };
        let (slot, revision): (u64, u64) = (column(&row, "slot", &self.file)?, column(&row, "revision", &self.file)?);
        let mut events = Vec::new();
        {
            let mut rows = sqlx::query(STREAM_PAGES).bind(slot as i64).fetch(&mut *conn);
            while let Some(row) = rows.try_next().await.map_err(|error| self.error(error))? {
                let page = sealed_page(&row, &self.file, self.page_size)?;
                self.pages_read.fetch_add(1, Ordering::Relaxed);
                events.extend(page.raw_of_stream(stream)?);
            }
        }
        let rows = sqlx::query(TAIL_OF_STREAM).bind(slot as i64).fetch_all(&mut *conn).await;
        for row in rows.map_err(|error| self.error(error))? {
            events.push(self.checked(tail_row(&row, &self.file)?)?);
        }
        release(conn).await;
        // The index is derived: it must not be able to hide an event.
        let gapless = events.iter().zip(1u64..).all(|(event, expected)| event.revision.0 == expected);
        if events.len() as u64 != revision || !gapless {
            return Err(ReadError::Corrupt {
                file: self.file.to_path_buf(),
                offset: None,
                position: events.first().map(|event| event.position),
                stream: Some(stream.clone()),
                what: format!("the index promises {revision} events, {} stand in pages and tail", events.len()),
            });
        }
        Ok(events)
    }

    fn checked(&self, row: TailRow) -> Result<RawEvent, ReadError> {
        if row.event.leaf(self.log) == row.leaf {
            return Ok(row.event);
        }
        Err(ReadError::Corrupt {
            file: self.file.to_path_buf(),
            offset: None,
            position: Some(row.event.position),
            stream: Some(row.event.stream),
            what: "the row does not match its leaf hash".into(),
        })
    }

    pub(crate) async fn chunks(&self, after: Position, until: Position) -> Result<PageReader, ReadError> {
        Ok(PageReader {
            conn: self.pool.acquire().await.map_err(|error| self.error(error))?,
            file: self.file.clone(),
            log: self.log,
            page_size: self.page_size,
            pages_read: self.pages_read.clone(),
            next: after.0.saturating_add(1),
            until: until.0,
            fetch_pages: 1,
            ready: VecDeque::new(),
        })
    }

    pub(crate) async fn root_at(&self, position: Position) -> Result<Digest, ReadError> {
        let mut conn = self.snapshot().await?;
        let root = self.root_in(&mut conn, position.0).await?;
        release(conn).await;
        Ok(root)
    }

    async fn root_in(&self, conn: &mut SqliteConnection, position: u64) -> Result<Digest, ReadError> {
        root_at(conn, &self.file, self.log, self.page_size, position).await
    }

    /// A connection inside a read transaction: several queries see one state.
    async fn snapshot(&self) -> Result<PoolConnection<sqlx::Sqlite>, ReadError> {
        let mut conn = self.pool.acquire().await.map_err(|error| self.error(error))?;
        // An earlier reader that stopped at an error may have left its transaction open.
        let _nothing_open = sqlx::query("ROLLBACK").execute(&mut *conn).await;
        sqlx::query("BEGIN").execute(&mut *conn).await.map_err(|error| self.error(error))?;
        Ok(conn)
    }

    fn error(&self, error: sqlx::Error) -> ReadError {
        read_error(&self.file, error)
    }
}

/// Ends a read transaction. It wrote nothing, so there is nothing an error could lose.
async fn release(mut conn: PoolConnection<sqlx::Sqlite>) {
    let _nothing_written = sqlx::query("ROLLBACK").execute(&mut *conn).await;
}

/// Chunks in position order.
pub(crate) struct PageReader {
    conn: PoolConnection<sqlx::Sqlite>,
    file: Arc<PathBuf>,
    log: LogId,
    page_size: u64,
    pages_read: Arc<AtomicU64>,
    next: u64,
    until: u64,
    fetch_pages: usize,
    ready: VecDeque<Chunk>,
}

#[async_trait::async_trait]
impl ChunkSource for PageReader {
    async fn next(&mut self) -> Result<Option<Chunk>, ReadError> {
        if self.ready.is_empty() && self.next <= self.until {
            // A page may be sealed between the look at the pages and the look at the tail: look at the pages again.
            let found = self.fetch_pages().await? || self.fetch_tail().await? || self.fetch_pages().await?;
            if !found {
                return Err(ReadError::Corrupt {
                    file: self.file.to_path_buf(),
                    offset: None,
                    position: Some(Position(self.next)),
                    stream: None,
                    what: format!("no event stands here, but events up to position {} are promised", self.until),
                });
            }
        }
        Ok(self.ready.pop_front())
    }
}

impl PageReader {
    async fn fetch_pages(&mut self) -> Result<bool, ReadError> {
        let (from, to) = ((self.next - 1) / self.page_size, (self.until - 1) / self.page_size);
        let rows = sqlx::query(PAGES)
            .bind(from as i64)
            .bind(i64::try_from(to).unwrap_or(i64::MAX))
            .bind(self.fetch_pages as i64)
            .fetch_all(&mut *self.conn)
            .await;
        for row in rows.map_err(|error| read_error(&self.file, error))? {
            let page = sealed_page(&row, &self.file, self.page_size)?;
            if page.first.0 > self.next {
                break; // a gap: found out when the next chunk is asked for
            }
            self.pages_read.fetch_add(1, Ordering::Relaxed);
            self.fetch_pages = (FETCH_BYTES / page.bytes.len().max(1)).clamp(1, FETCH_PAGES_MAX);
            let last = self.until.min(page.first.0 + self.page_size - 1);
            let first = Position(self.next);
            self.ready.push_back(Chunk::page(first, (last - first.0 + 1) as usize, page));
            self.next = last + 1;
        }
        Ok(!self.ready.is_empty())
    }

    async fn fetch_tail(&mut self) -> Result<bool, ReadError> {
        let rows = sqlx::query(TAIL_ROWS)
            .bind(self.next as i64)
            .bind(i64::try_from(self.until).unwrap_or(i64::MAX))
            .bind(self.page_size as i64)
            .fetch_all(&mut *self.conn)
            .await;
        let rows = rows.map_err(|error| read_error(&self.file, error))?;
        let first = Position(self.next);
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let row = tail_row(&row, &self.file)?;
            if row.event.position.0 != self.next {
                break; // as above
            }
            self.next += 1;
            events.push((row.event, row.leaf));
        }
        if events.is_empty() {
            return Ok(false);
        }
        self.ready.push_back(Chunk::rows(first, self.log, self.file.clone(), events));
        Ok(true)
    }
}

/// The newest position the database holds.
pub(crate) async fn last_position(
    conn: &mut SqliteConnection,
    file: &Arc<PathBuf>,
    page_size: u64,
) -> Result<u64, ReadError> {
    let row = sqlx::query(LAST).fetch_one(conn).await.map_err(|error| read_error(file, error))?;
    let (tail, pages): (u64, u64) = (column(&row, 0, file)?, column(&row, 1, file)?);
    let sealed = pages.checked_mul(page_size).ok_or_else(|| corrupt(file, None, "page numbers are out of range"))?;
    Ok(tail.max(sealed))
}

/// The tree over the first `pages` pages, from the roots stored beside them: in long pieces, for each row that comes out of
/// the database costs more than what it says.
pub(crate) async fn sealed_range(
    conn: &mut SqliteConnection,
    file: &Arc<PathBuf>,
    page_size: u64,
    pages: u64,
) -> Result<CompactRange, ReadError> {
    let mut range = CompactRange::default();
    for from in (0..pages).step_by(ROOTS_A_PIECE as usize) {
        let until = pages.min(from + ROOTS_A_PIECE);
        let row = sqlx::query(PAGE_ROOTS).bind(from as i64).bind(until as i64).fetch_one(&mut *conn).await;
        let row = row.map_err(|error| read_error(file, error))?;
        let roots: Option<String> = row.try_get(1).map_err(|_| corrupt(file, None, "roots are no text"))?;
        let roots = roots.unwrap_or_default();
        let whole = column(&row, 0, file)? == 0 && roots.len() as u64 == (until - from) * ROOT_DIGITS;
        let digests = (0..roots.len())
            .step_by(ROOT_DIGITS as usize)
            .map(|at| roots.get(at..at + ROOT_DIGITS as usize)?.parse().ok());
        let digests: Option<Vec<Digest>> = digests.collect();
        let Some(digests) = digests.filter(|_| whole) else {
            return Err(broken_roots(conn, file, page_size, from, until).await);
        };
        for root in digests {
            range.push_subtree(page_size.trailing_zeros(), root).expect("whole pages follow each other from 0");
        }
    }
    Ok(range)
}

/// Names the page whose root is missing or no digest.
async fn broken_roots(
    conn: &mut SqliteConnection,
    file: &Arc<PathBuf>,
    page_size: u64,
    from: u64,
    until: u64,
) -> ReadError {
    let rows = match sqlx::query(ROOT_LENGTHS).bind(from as i64).bind(until as i64).fetch_all(conn).await {
        Ok(rows) => rows,
        Err(error) => return read_error(file, error),
    };
    let lengths: Vec<(u64, u64)> =
        rows.iter().filter_map(|row| Some((column(row, 0, file).ok()?, column(row, 1, file).ok()?))).collect();
    let bad = (from..until).zip(lengths.iter().map(Some).chain(std::iter::repeat(None)));
    for (page, found) in bad {
        let first = Some(Position(page * page_size + 1));
        match found {
            Some((number, 32)) if *number == page => {}
            Some((number, _)) if *number == page => return corrupt(file, first, "a page's root is no digest"),
            _ => return corrupt(file, first, "a page is missing"),
        }
    }
    corrupt(file, None, "the roots of the pages cannot be read")
}

/// The RFC 6962 root over the first `position` events.
pub(crate) async fn root_at(
    conn: &mut SqliteConnection,
    file: &Arc<PathBuf>,
    log: LogId,
    page_size: u64,
    position: u64,
) -> Result<Digest, ReadError> {
    let pages = position / page_size;
    let mut range = sealed_range(&mut *conn, file, page_size, pages).await?;
    let rest = (position % page_size) as usize;
    if rest > 0 {
        let row = sqlx::query(PAGES).bind(pages as i64).bind(pages as i64).bind(1i64).fetch_optional(&mut *conn).await;
        let first = Position(pages * page_size + 1);
        let leaves: Vec<Digest> = match row.map_err(|error| read_error(file, error))? {
            Some(row) => {
                let page = sealed_page(&row, file, page_size)?;
                page.raw(first, rest)?.iter().map(|event| event.leaf(log)).collect()
            }
            None => {
                let rows = tail_rows(conn, file, first.0, position).await?;
                rows.iter().map(|row| row.leaf).collect()
            }
        };
        if leaves.len() != rest {
            return Err(corrupt(file, Some(first), "events are missing"));
        }
        leaves.into_iter().for_each(|leaf| range.push(leaf));
    }
    Ok(range.root())
}

/// One row of the tail.
pub(crate) struct TailRow {
    pub(crate) slot: u64,
    pub(crate) event: RawEvent,
    pub(crate) leaf: Digest,
}

/// The rows of the tail in `from..=to`, in order.
pub(crate) async fn tail_rows(
    conn: &mut SqliteConnection,
    file: &Arc<PathBuf>,
    from: u64,
    to: u64,
) -> Result<Vec<TailRow>, ReadError> {
    let rows = sqlx::query(TAIL_ROWS)
        .bind(from as i64)
        .bind(i64::try_from(to).unwrap_or(i64::MAX))
        .bind(page::EVENTS_MAX as i64)
        .fetch_all(conn)
        .await;
    rows.map_err(|error| read_error(file, error))?.iter().map(|row| tail_row(row, file)).collect()
}

fn tail_row(row: &SqliteRow, file: &Arc<PathBuf>) -> Result<TailRow, ReadError> {
    let position = Position(column(row, "position", file)?);
    let bad = |what: &str| corrupt(file, Some(position), what);
    let id = |name: &str| -> Result<Option<EventId>, ReadError> {
        let text: Option<&str> = row.try_get(name).map_err(|_| bad("an id is no text"))?;
        text.map(|text| text.parse().map(EventId).map_err(|_| bad("an id is no UUID"))).transpose()
    };
    let text = |name: &str| row.try_get::<&str, _>(name).map_err(|_| bad("a column is no text"));
    let short = |name: &str| -> Result<u16, ReadError> {
        u16::try_from(column(row, name, file)?).map_err(|_| bad("a version is out of range"))
    };
    Ok(TailRow {
        slot: column(row, "slot", file)?,
        event: RawEvent {
            position,
            stream: stream_name(row, file)?,
            revision: Revision(column(row, "revision", file)?),
            event: NewEvent {
                id: id("id")?.ok_or_else(|| bad("an id is missing"))?,
                kind: SmolStr::new(text("kind")?),
                version: short("version")?,
                time: Timestamp(row.try_get("time").map_err(|_| bad("a time is no integer"))?),
                actor: Actor::new(text("actor")?).map_err(|_| bad("an actor is malformed"))?,
                causation: id("causation")?,
                correlation: id("correlation")?,
                provenance: text("provenance")?.parse().map_err(|_| bad("a provenance is unknown"))?,
                rules: short("rules")?,
                data: Json::stored(text("data")?.into()),
            },
        },
        leaf: text("leaf")?.parse().map_err(|_| bad("a leaf is no digest"))?,
    })
}

/// A row of `pages` as a page, once its numbers fit each other.
pub(crate) fn sealed_page(row: &SqliteRow, file: &Arc<PathBuf>, page_size: u64) -> Result<SealedPage, ReadError> {
    let number: u64 = column(row, "page", file)?;
    let first = number.checked_mul(page_size).and_then(|before| before.checked_add(1));
    let first = first.ok_or_else(|| corrupt(file, None, "a page number is out of range"))?;
    let (stored_first, count): (u64, u64) = (column(row, "first", file)?, column(row, "count", file)?);
    if stored_first != first || count != page_size {
        return Err(corrupt(file, Some(Position(first)), "the row of a page names other positions than its number"));
    }
    Ok(SealedPage {
        file: file.clone(),
        first: Position(first),
        count: count as usize,
        digest: digest(row, "digest", file)?,
        bytes: row.try_get("bytes").map_err(|_| corrupt(file, Some(Position(first)), "a page is no blob"))?,
    })
}

fn stream_name(row: &SqliteRow, file: &Arc<PathBuf>) -> Result<StreamId, ReadError> {
    let name: Option<&str> = row.try_get("name").map_err(|_| corrupt(file, None, "a stream name is no text"))?;
    let name = name.ok_or_else(|| corrupt(file, None, "a stream has no name"))?;
    StreamId::new(name).map_err(|_| corrupt(file, None, "a stream name is malformed"))
}

fn digest(row: &SqliteRow, name: &str, file: &Arc<PathBuf>) -> Result<Digest, ReadError> {
    let bytes: &[u8] = row.try_get(name).map_err(|_| corrupt(file, None, "a digest is no blob"))?;
    Ok(Digest(bytes.try_into().map_err(|_| corrupt(file, None, "a digest has not 32 bytes"))?))
}

/// An integer column that is never negative.
pub(crate) fn column<I>(row: &SqliteRow, index: I, file: &Arc<PathBuf>) -> Result<u64, ReadError>
where
    I: sqlx::ColumnIndex<SqliteRow>,
{
    let value: i64 = row.try_get(index).map_err(|_| corrupt(file, None, "a number is no integer"))?;
    u64::try_from(value).map_err(|_| corrupt(file, None, "a number is negative"))
}

pub(crate) fn corrupt(file: &Arc<PathBuf>, position: Option<Position>, what: &str) -> ReadError {
    ReadError::Corrupt { file: file.to_path_buf(), offset: None, position, stream: None, what: what.to_owned() }
}

/// Tells damage from a file that cannot be looked at now.
pub(crate) fn read_error(file: &Arc<PathBuf>, error: sqlx::Error) -> ReadError {
    // SQLITE_ERROR 1: our own statements are sound, so a schema without our tables; CORRUPT 11; NOTADB 26.
    let damaged = match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
            matches!(code & 0xff, 1 | 11 | 26)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => true,
        _ => false,
    };
    if damaged {
        corrupt(file, None, &format!("SQLite says: {error}"))
    } else {
        ReadError::Unavailable { file: file.to_path_buf(), source: Arc::new(error) }
    }
}
