//! Rows of whole tables at one moment: a consistent snapshot that writes nothing, one streaming read a table, a bounded
//! batch in memory.

use futures_util::{StreamExt as _, stream::BoxStream};
use sqlx::{AssertSqlSafe, mysql::MySqlRow};

use super::{GameDbError, STATEMENT_TIMEOUT, Session, bytes, quoted};
use crate::tables::Batch;

/// How long a read waits for a table's definition, in seconds: a change of a table is over by then, or waits itself.
pub const DEFINITION_WAIT: u32 = 5;
/// Most rows of a batch.
const BATCH_ROWS: usize = 512;
/// A batch ends early once it holds this many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// The rows of one table, in the order of its first column, which is its key.
pub struct Rows<'s> {
    stream: BoxStream<'s, Result<MySqlRow, sqlx::Error>>,
    columns: usize,
}

impl Rows<'_> {
    /// Fills the batch with the next rows; false when there are none left.
    pub async fn next(&mut self, batch: &mut Batch) -> Result<bool, GameDbError> {
        batch.clear(self.columns);
        let filling = async {
            while batch.len() < BATCH_ROWS && batch.bytes() < BATCH_BYTES {
                let Some(row) = self.stream.next().await else { break };
                let row = row?;
                for column in 0..self.columns {
                    batch.push(bytes(&row, column)?);
                }
            }
            Ok::<_, GameDbError>(())
        };
        tokio::time::timeout(STATEMENT_TIMEOUT, filling).await.map_err(|_| GameDbError::Timeout)??;
        Ok(!batch.is_empty())
    }
}

impl Session {
    /// Takes a snapshot: from here on this session sees every table as it is now, and can write nothing.
    pub async fn snapshot(&mut self) -> Result<(), GameDbError> {
        // Who reads may be paused for hours with rows on the way.
        self.run("SET SESSION net_write_timeout = 604800, wait_timeout = 604800").await?;
        self.wait_for_definitions(DEFINITION_WAIT).await?;
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        Ok(())
    }

    /// Gives the snapshot up.
    pub async fn end_snapshot(&mut self) -> Result<(), GameDbError> {
        self.run("ROLLBACK").await.map(drop)
    }

    /// Reads a whole table. `name` may also be a shadow or an old table; columns come in the order they are named.
    pub fn rows(&mut self, name: &str, columns: &[String]) -> Rows<'_> {
        let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
        let key = names.first().map(String::as_str).unwrap_or("1");
        let sql = format!("SELECT {} FROM {} ORDER BY {key}", names.join(", "), quoted(name));
        let stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut self.connection);
        Rows { stream, columns: columns.len() }
    }
}
