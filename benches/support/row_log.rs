//! The baseline of the replay bench: a plain table of one row an event, read through sqlx as a stream, as most event
//! stores on SQL databases do it. Same columns, same payload text, decoded to the same type.
//!
//! Included by a bench with `#[path = "support/row_log.rs"] mod row_log;`.

use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use wox_events::{Actor, EventId, Json, NewEvent, Position, RawEvent, Recorded, Revision, StreamId, Timestamp};

const TABLE: &str = "CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL, revision INTEGER NOT NULL, \
                     id TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, time INTEGER NOT NULL, \
                     actor TEXT NOT NULL, causation TEXT, correlation TEXT, provenance TEXT NOT NULL, \
                     rules INTEGER NOT NULL, data TEXT NOT NULL, UNIQUE (stream, revision)) STRICT";
const PUT: &str = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const PUT_MANY: &str = "INSERT INTO events SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, \
                        value->>6, value->>7, value->>8, value->>9, value->>10, value->>11, value->>12 FROM json_each(?1)";
const ALL: &str = "SELECT position, stream, revision, id, kind, version, time, actor, causation, correlation, provenance, \
                   rules, data FROM events ORDER BY position";

async fn connect(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).connect().await
}

/// Writes a table of rows as fast as it can be done: one transaction, a thousand rows a statement. Only the reading is
/// compared.
#[allow(dead_code, reason = "not every bench that includes this file writes like this")]
pub(crate) struct Writer(SqliteConnection);

#[allow(dead_code, reason = "not every bench that includes this file writes like this")]
impl Writer {
    /// Makes a new database at `path`.
    pub(crate) async fn create(path: &Path) -> Result<Writer, sqlx::Error> {
        let mut conn = create(path).await?;
        sqlx::query("BEGIN").execute(&mut conn).await?;
        Ok(Writer(conn))
    }

    /// Writes more events.
    pub(crate) async fn write(&mut self, events: &[RawEvent]) -> Result<(), sqlx::Error> {
        for some in events.chunks(1_000) {
            let rows: Vec<serde_json::Value> = some.iter().map(row).collect();
            let rows = serde_json::Value::Array(rows).to_string();
            sqlx::query(PUT_MANY).bind(rows).execute(&mut self.0).await?;
        }
        Ok(())
    }

    /// Makes all of it durable.
    pub(crate) async fn finish(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut self.0).await?;
        self.0.close().await
    }
}

#[allow(dead_code, reason = "not every bench that includes this file writes like this")]
fn row(raw: &RawEvent) -> serde_json::Value {
    let event = &raw.event;
    let provenance: &str = event.provenance.into();
    serde_json::json!([
        raw.position.0,
        raw.stream.as_str(),
        raw.revision.0,
        event.id.to_string(),
        event.kind.as_str(),
        event.version,
        event.time.0,
        event.actor.as_str(),
        event.causation.map(|id| id.to_string()),
        event.correlation.map(|id| id.to_string()),
        provenance,
        event.rules,
        event.data.as_str(),
    ])
}

/// Writes the events into a new database at `path`, one transaction and so one sync a batch.
#[allow(dead_code, reason = "not every bench that includes this file writes like this")]
pub(crate) async fn write_batches(
    path: &Path,
    batches: impl IntoIterator<Item = Vec<RawEvent>>,
) -> Result<(), sqlx::Error> {
    let mut conn = create(path).await?;
    for batch in batches {
        let mut transaction = conn.begin().await?;
        for raw in &batch {
            put(&mut transaction, raw).await?;
        }
        transaction.commit().await?;
    }
    conn.close().await
}

async fn create(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let mut conn = connect(path).await?;
    sqlx::query(TABLE).execute(&mut conn).await?;
    Ok(conn)
}

async fn put(conn: &mut SqliteConnection, raw: &RawEvent) -> Result<(), sqlx::Error> {
    let event = &raw.event;
    let provenance: &str = event.provenance.into();
    let row = sqlx::query(PUT)
        .bind(raw.position.0 as i64)
        .bind(raw.stream.as_str())
        .bind(raw.revision.0 as i64)
        .bind(event.id.to_string())
        .bind(event.kind.as_str())
        .bind(event.version)
        .bind(event.time.0)
        .bind(event.actor.as_str())
        .bind(event.causation.map(|id| id.to_string()))
        .bind(event.correlation.map(|id| id.to_string()))
        .bind(provenance)
        .bind(event.rules)
        .bind(event.data.as_str());
    row.execute(conn).await.map(|_| ())
}

/// Reads every event in order, decodes it and hands it over; gives how many there were.
#[allow(dead_code, reason = "not every bench that includes this file reads")]
pub(crate) async fn read(path: &Path, mut each: impl FnMut(Recorded)) -> Result<u64, sqlx::Error> {
    let mut conn = connect(path).await?;
    let mut rows = sqlx::query(ALL).fetch(&mut conn);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        each(raw_event(&row)?.decode());
        count += 1;
    }
    Ok(count)
}

#[allow(dead_code, reason = "not every bench that includes this file reads")]
fn raw_event(row: &SqliteRow) -> Result<RawEvent, sqlx::Error> {
    fn decoded<T, E: std::error::Error + Send + Sync + 'static>(result: Result<T, E>) -> Result<T, sqlx::Error> {
        result.map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
    let id = |name: &str| -> Result<Option<EventId>, sqlx::Error> {
        row.try_get::<Option<&str>, _>(name)?.map(|text| decoded(text.parse()).map(EventId)).transpose()
    };
    Ok(RawEvent {
        position: Position(row.try_get::<i64, _>("position")? as u64),
        stream: decoded(StreamId::new(row.try_get::<&str, _>("stream")?))?,
        revision: Revision(row.try_get::<i64, _>("revision")? as u64),
        event: NewEvent {
            id: id("id")?.ok_or(sqlx::Error::RowNotFound)?,
            kind: row.try_get::<&str, _>("kind")?.into(),
            version: row.try_get("version")?,
            time: Timestamp(row.try_get("time")?),
            actor: decoded(Actor::new(row.try_get::<&str, _>("actor")?))?,
            causation: id("causation")?,
            correlation: id("correlation")?,
            provenance: decoded(row.try_get::<&str, _>("provenance")?.parse())?,
            rules: row.try_get("rules")?,
            data: Json::stored(row.try_get::<&str, _>("data")?.into()),
        },
    })
}
