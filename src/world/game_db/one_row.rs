//! One row, looked at and changed in one transaction: nobody else can write it between the look and the change.

use sqlx::AssertSqlSafe;

use super::{GameDbError, STATEMENT_TIMEOUT, Session, bytes, literal, quoted, shadow::bind};

/// The cells of a row as the server sent them.
pub type Cells = Vec<Option<Vec<u8>>>;

/// A column and what is to stand in it.
pub type Setting = (String, Option<Vec<u8>>);

impl Session {
    /// Begins a transaction that waits for nobody longer than `seconds`.
    pub async fn begin(&mut self, seconds: u32) -> Result<(), GameDbError> {
        self.run(format!(
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', \
             innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"
        ))
        .await?;
        self.run("START TRANSACTION").await.map(drop)
    }

    /// Keeps what was done since [`Session::begin`].
    pub async fn commit(&mut self) -> Result<(), GameDbError> {
        self.run("COMMIT").await.map(drop)
    }

    /// Takes back what was done since [`Session::begin`].
    pub async fn roll_back(&mut self) -> Result<(), GameDbError> {
        self.run("ROLLBACK").await.map(drop)
    }

    /// The row with this key, held until the transaction ends. The key is the first column.
    pub async fn hold_row(
        &mut self,
        table: &str,
        columns: &[String],
        key: Option<Vec<u8>>,
    ) -> Result<Option<Cells>, GameDbError> {
        let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
        let key_column = names.first().map(String::as_str).unwrap_or("NULL");
        let Some(key) = key else { return Ok(None) };
        // As text, like every look at a whole table: what was seen and what is there now must be the same bytes.
        let key = match std::str::from_utf8(&key) {
            Ok(text) => literal(text),
            Err(_) => return Err(GameDbError::Answer { what: "the key of a row is no text" }),
        };
        let names = names.join(", ");
        let sql = format!("SELECT {names} FROM {} WHERE {key_column} = {key} FOR UPDATE", quoted(table));
        let rows = self.all(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let cells: Result<Cells, _> =
            (0..columns.len()).map(|at| Ok::<_, GameDbError>(bytes(row, at)?.map(<[u8]>::to_vec))).collect();
        cells.map(Some)
    }

    /// Changes columns of the row with this key; gives how many rows that were.
    pub async fn change_row(
        &mut self,
        table: &str,
        key: (&str, Option<Vec<u8>>),
        settings: &[Setting],
    ) -> Result<u64, GameDbError> {
        let sets: Vec<_> = settings.iter().map(|(column, _)| format!("{} = ?", quoted(column))).collect();
        let sql = format!("UPDATE {} SET {} WHERE {} = ?", quoted(table), sets.join(", "), quoted(key.0));
        let values = settings.iter().map(|(_, value)| value.as_deref()).chain([key.1.as_deref()]);
        self.write_row(sql, values).await
    }

    /// Adds a row; columns that are not named get their defaults.
    pub async fn add_row(&mut self, table: &str, settings: &[Setting]) -> Result<u64, GameDbError> {
        let names: Vec<_> = settings.iter().map(|(column, _)| quoted(column)).collect();
        let marks = vec!["?"; settings.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(table), names.join(", "));
        self.write_row(sql, settings.iter().map(|(_, value)| value.as_deref())).await
    }

    async fn write_row<'v>(
        &mut self,
        sql: String,
        values: impl Iterator<Item = Option<&'v [u8]>>,
    ) -> Result<u64, GameDbError> {
        let query = values.fold(sqlx::query(AssertSqlSafe(sql)).persistent(false), bind);
        let writing = query.execute(&mut self.connection);
        let done = tokio::time::timeout(STATEMENT_TIMEOUT, writing).await.map_err(|_| GameDbError::Timeout)??;
        Ok(done.rows_affected())
    }
}
