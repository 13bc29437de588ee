//! What a store says about itself: the rows of `meta`.

use std::{path::PathBuf, sync::Arc};

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;
use wox_events::LogId;

use super::{
    page,
    reader::{corrupt, read_error},
};
use crate::log::ReadError;

const ALL: &str = "SELECT key, value FROM meta";
const PUT: &str =
    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// The format this build reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// The rows of `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) log: LogId,
    pub(crate) format: u32,
    pub(crate) page_size: u64,
    pub(crate) epoch: u64,
    /// Fence: the writer that opened the store last.
    pub(crate) writer: Uuid,
}

impl Meta {
    pub(crate) async fn load(conn: &mut SqliteConnection, file: &Arc<PathBuf>) -> Result<Meta, ReadError> {
        let rows = sqlx::query(ALL).fetch_all(conn).await.map_err(|error| read_error(file, error))?;
        let value = |key: &str| -> Result<&str, ReadError> {
            let found = rows.iter().find(|row| row.try_get::<&str, _>("key").is_ok_and(|found| found == key));
            let row = found.ok_or_else(|| corrupt(file, None, &format!("`{key}` is missing from table meta")))?;
            row.try_get("value").map_err(|_| corrupt(file, None, &format!("`{key}` in table meta is no text")))
        };
        let malformed = |key: &str| corrupt(file, None, &format!("`{key}` in table meta is malformed"));
        let meta = Meta {
            log: LogId(value("log")?.parse().map_err(|_| malformed("log"))?),
            format: value("format")?.parse().map_err(|_| malformed("format"))?,
            page_size: value("page_size")?.parse().map_err(|_| malformed("page_size"))?,
            epoch: value("epoch")?.parse().map_err(|_| malformed("epoch"))?,
            writer: value("writer")?.parse().map_err(|_| malformed("writer"))?,
        };
        if !page_size_fits(meta.page_size) {
            return Err(malformed("page_size"));
        }
        Ok(meta)
    }

    pub(crate) async fn store(&self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for (key, value) in [
            ("log", self.log.to_string()),
            ("format", self.format.to_string()),
            ("page_size", self.page_size.to_string()),
            ("epoch", self.epoch.to_string()),
            ("writer", self.writer.to_string()),
        ] {
            sqlx::query(PUT).bind(key).bind(value).execute(&mut *conn).await?;
        }
        Ok(())
    }
}

/// A page is a perfect subtree, so its size is a power of two; 16 suits tests, 8192 is where larger gains nothing.
pub(crate) fn page_size_fits(page_size: u64) -> bool {
    page_size.is_power_of_two() && (16..=page::EVENTS_MAX as u64).contains(&page_size)
}
