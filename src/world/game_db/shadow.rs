//! Building a table anew beside the live one: a shadow of the same shape, filled with many rows a statement.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, mysql::MySqlArguments, query::Query};

use super::{
    GameDbError, STATEMENT_TIMEOUT, Session, TABLE_TIMEOUT, literal, number, quoted, schema::LiveTable, text_or_null,
};
use crate::tables::{Batch, Table, compare::Layout};

/// Names of tables that are being built, with the number of the rebuild behind: one that was fenced off and does not know
/// it yet writes into tables of its own.
pub const NEW: &str = "_wox_new_";
/// Names of tables that were live before a rebuild, with its number behind.
pub const OLD: &str = "_wox_old_";
/// Names of tables that a revert took out, with the number of the rebuild behind.
pub const UNDONE: &str = "_wox_undone_";

/// The shape of the five tables as the game publishes it, for one that is lost.
const PUBLISHED: &str = include_str!("../../../migrations/mysql/game_tables.sql");

/// Most values of one statement: the protocol counts them with sixteen bits.
const VALUES_MAX: usize = 60_000;
/// Most rows of one statement.
const ROWS_MAX: usize = 1_000;
/// A statement is sent once it holds this many bytes; the server takes 16 MiB or more.
const BYTES_MAX: usize = 1 << 20;

/// The name of the table that rebuild number `epoch` builds in the place of another.
#[must_use]
pub fn new_name(epoch: u64, table: Table) -> String {
    format!("{NEW}{epoch}_{table}")
}

/// The name of a table that was live before rebuild number `epoch`.
#[must_use]
pub fn old_name(epoch: u64, table: Table) -> String {
    format!("{OLD}{epoch}_{table}")
}

/// The name of a table that reverting rebuild number `epoch` took out.
#[must_use]
pub fn undone_name(epoch: u64, table: Table) -> String {
    format!("{UNDONE}{epoch}_{table}")
}

impl LiveTable {
    /// A table that is lost, as the game publishes it.
    #[must_use]
    pub fn published(table: Table) -> LiveTable {
        let columns = table.columns().iter().map(|column| column.name.to_owned()).collect();
        let auto_increment = (table.columns()[0].name == "id").then(|| "id".to_owned());
        let layout = Layout::published(table);
        LiveTable { table, layout, columns, foreign_keys: Vec::new(), auto_increment, rows_about: 0 }
    }
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every column as it is given.
    Whole,
    /// A column that is given nothing gets its default; columns that are not named as well.
    Defaults,
}

/// A session that is paused is kept this long by the server.
const IDLE_SECONDS: u32 = 7 * 24 * 3600;

/// Fills one table. Rows that give the same columns wait together until there are enough for a statement.
pub struct Loader<'s> {
    session: &'s mut Session,
    name: String,
    columns: Vec<String>,
    /// By which columns are given: the others get their defaults.
    waiting: BTreeMap<Vec<bool>, Batch>,
    loaded: u64,
}

impl Session {
    /// Sets this session up for loading: strict, but what stood in the live table (a zero date) may stand in the new one.
    /// Unique checks stay on: without them and without foreign keys MariaDB fills an empty table in a way that lets only
    /// one session in, and its statistics thread spins on one processor until that is over.
    pub async fn prepare_to_load(&mut self, lock_wait_seconds: u32) -> Result<(), GameDbError> {
        self.run(format!(
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', \
             unique_checks = 1, foreign_key_checks = 0, lock_wait_timeout = {lock_wait_seconds}, \
             wait_timeout = {IDLE_SECONDS}"
        ))
        .await
        .map(drop)
    }

    /// Makes the empty shadow of a table, whatever an earlier attempt left there.
    pub async fn create_shadow(&mut self, epoch: u64, live: &LiveTable, lost: bool) -> Result<(), GameDbError> {
        let (name, table) = (new_name(epoch, live.table), live.table.name());
        self.run(format!("DROP TABLE IF EXISTS {}", quoted(&name))).await?;
        if lost {
            let head = format!("CREATE TABLE `{table}` (");
            let body = PUBLISHED.split(&head).nth(1).and_then(|rest| rest.split(';').next());
            let body = body.ok_or(GameDbError::Answer { what: "this build does not know the table's shape" })?;
            self.run(format!("CREATE TABLE {} ({body}", quoted(&name))).await?;
            return Ok(());
        }
        self.run(format!("CREATE TABLE {} LIKE {}", quoted(&name), quoted(table))).await?;
        self.number_on(epoch, live).await
    }

    /// Lets a shadow go on numbering where the live table is: the next number must not be one that was given away before
    /// and deleted.
    pub async fn number_on(&mut self, epoch: u64, live: &LiveTable) -> Result<(), GameDbError> {
        if live.auto_increment.is_none() {
            return Ok(());
        }
        if !self.is_mariadb() {
            // MySQL would answer with what it remembers from yesterday.
            self.run("SET SESSION information_schema_stats_expiry = 0").await?;
        }
        let sql = format!(
            "SELECT auto_increment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = {}",
            literal(live.table.name())
        );
        let next = self.all(sql).await?;
        let next = next.first().map(|row| text_or_null(row, 0)).transpose()?.flatten();
        if let Some(next) = next.and_then(|next| next.parse::<u64>().ok()) {
            let name = quoted(&new_name(epoch, live.table));
            self.run(format!("ALTER TABLE {name} AUTO_INCREMENT = {next}")).await?;
        }
        Ok(())
    }

    /// Gives a full shadow the foreign keys of the live table. Keys to a table that is rebuilt too point to its shadow:
    /// they follow both renames, so they are right before the switch and after it. Every row is checked.
    pub async fn add_foreign_keys(
        &mut self,
        epoch: u64,
        live: &LiveTable,
        lost: bool,
        rebuilt: &[Table],
    ) -> Result<(), GameDbError> {
        let shadow_of = |parent: &str| match rebuilt.iter().find(|table| table.name() == parent) {
            Some(table) => new_name(epoch, *table),
            None => parent.to_owned(),
        };
        let mut keys: Vec<String> = live
            .foreign_keys
            .iter()
            .map(|key| {
                let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
                format!(
                    "ADD FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
                    list(&key.columns),
                    quoted(&shadow_of(&key.parent)),
                    list(&key.parent_columns),
                    key.on_delete,
                    key.on_update
                )
            })
            .collect();
        if lost {
            let parent = quoted(&shadow_of(Table::Players.name()));
            let published = live.table.handles().iter();
            keys.extend(
                published.map(|column| {
                    format!("ADD FOREIGN KEY ({}) REFERENCES {parent} (`twitter_handle`)", quoted(column))
                }),
            );
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.run("SET SESSION foreign_key_checks = 1").await?;
        let sql = format!("ALTER TABLE {} {}", quoted(&new_name(epoch, live.table)), keys.join(", "));
        let added = self.run_within(TABLE_TIMEOUT, sql).await;
        self.run("SET SESSION foreign_key_checks = 0").await?;
        added.map(drop)
    }

    /// Drops tables, those that are there.
    pub async fn drop_tables(&mut self, names: &[String]) -> Result<(), GameDbError> {
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        self.run("SET SESSION foreign_key_checks = 0").await?;
        self.run(format!("DROP TABLE IF EXISTS {}", names.join(", "))).await.map(drop)
    }

    /// Drops the foreign keys by which kept tables point to live ones: only a table that was lost leaves such keys, and a
    /// kept table must not say what may happen in a live one. `live` are the tables pointed to.
    pub async fn untie(&mut self, live: &[Table]) -> Result<(), GameDbError> {
        let names: Vec<_> = live.iter().map(|table| literal(table.name())).collect();
        let sql = format!(
            "SELECT table_name, constraint_name FROM information_schema.referential_constraints \
             WHERE constraint_schema = DATABASE() AND referenced_table_name IN ({}) \
             AND (LEFT(table_name, {}) = {} OR LEFT(table_name, {}) = {})",
            names.join(", "),
            OLD.len(),
            literal(OLD),
            UNDONE.len(),
            literal(UNDONE)
        );
        for row in self.all(sql).await? {
            let (table, key) = (super::text(&row, 0)?, super::text(&row, 1)?);
            self.run(format!("ALTER TABLE {} DROP FOREIGN KEY {}", quoted(&table), quoted(&key))).await?;
        }
        Ok(())
    }

    /// Names of tables that begin like this.
    pub async fn tables_called(&mut self, prefix: &str) -> Result<Vec<String>, GameDbError> {
        let sql = format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
             AND LEFT(table_name, {}) = {} ORDER BY table_name",
            prefix.len(),
            literal(prefix)
        );
        let rows = self.all(sql).await?;
        let names: Result<Vec<_>, _> = rows.iter().map(|row| super::text(row, 0)).collect();
        names
    }

    /// Triggers on these tables: they stay with the old table when it is renamed.
    pub async fn triggers(&mut self, tables: &[Table]) -> Result<Vec<String>, GameDbError> {
        let names: Vec<_> = tables.iter().map(|table| literal(table.name())).collect();
        let sql = format!(
            "SELECT CONCAT(event_object_table, '.', trigger_name) FROM information_schema.triggers \
             WHERE event_object_schema = DATABASE() AND event_object_table IN ({})",
            names.join(", ")
        );
        self.all(sql).await?.iter().map(|row| super::text(row, 0)).collect()
    }

    /// Whether this user would see a trigger, if there was one.
    pub async fn sees_triggers(&mut self) -> Result<bool, GameDbError> {
        let me = "grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') AND privilege_type = 'TRIGGER'";
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM information_schema.user_privileges WHERE {me}) + \
             (SELECT COUNT(*) FROM information_schema.schema_privileges WHERE {me} AND DATABASE() LIKE table_schema)"
        );
        Ok(number(&self.one(sql).await?, 0)? > 0)
    }

    /// The statement that makes a live table as it is, without the number its next row gets.
    pub async fn made_as(&mut self, table: Table) -> Result<String, GameDbError> {
        let row = self.one(format!("SHOW CREATE TABLE {}", quoted(table.name()))).await?;
        let made = super::text(&row, 1)?;
        Ok(match made.split_once(" AUTO_INCREMENT=") {
            Some((head, rest)) => format!("{head}{}", rest.trim_start_matches(|char: char| char.is_ascii_digit())),
            None => made,
        })
    }

    /// How many rows a table has.
    pub async fn count(&mut self, name: &str) -> Result<u64, GameDbError> {
        number(&self.one(format!("SELECT COUNT(*) FROM {}", quoted(name))).await?, 0)
    }

    /// Starts to fill a shadow, in one transaction.
    pub async fn load(&mut self, epoch: u64, live: &LiveTable) -> Result<Loader<'_>, GameDbError> {
        self.run("START TRANSACTION").await?;
        let (name, columns) = (new_name(epoch, live.table), live.columns.clone());
        Ok(Loader { session: self, name, columns, waiting: BTreeMap::new(), loaded: 0 })
    }
}

impl Loader<'_> {
    /// Takes rows; sends statements once there are enough for one. Returns how many rows were sent so far.
    pub async fn push(&mut self, fill: Fill, rows: &Batch) -> Result<u64, GameDbError> {
        let mut given = Vec::new();
        for row in 0..rows.len() {
            given.clear();
            given.extend(rows.cells(row).map(|cell| fill == Fill::Whole || cell.is_some()));
            let values = given.iter().filter(|given| **given).count();
            let waiting = match self.waiting.get_mut(given.as_slice()) {
                Some(waiting) => waiting,
                None => self.waiting.entry(given.clone()).or_insert_with(|| Batch::of(values)),
            };
            for (cell, _) in rows.cells(row).zip(&given).filter(|(_, given)| **given) {
                waiting.push(cell);
            }
            if waiting.len() == ROWS_MAX || (waiting.len() + 1) * values > VALUES_MAX {
                self.send(&given).await?;
            } else if self.waiting.values().map(Batch::bytes).sum::<usize>() >= BYTES_MAX {
                self.send_all().await?;
            }
        }
        Ok(self.loaded)
    }

    /// Sends what is left and commits. Returns how many rows there are.
    pub async fn finish(mut self) -> Result<u64, GameDbError> {
        self.send_all().await?;
        self.session.run_within(TABLE_TIMEOUT, "COMMIT").await?;
        Ok(self.loaded)
    }

    async fn send_all(&mut self) -> Result<(), GameDbError> {
        for given in self.waiting.keys().cloned().collect::<Vec<_>>() {
            self.send(&given).await?;
        }
        Ok(())
    }

    async fn send(&mut self, given: &[bool]) -> Result<(), GameDbError> {
        let rows = self.waiting.remove(given).unwrap_or_default();
        if rows.is_empty() {
            return Ok(());
        }
        let names = self.columns.iter().zip(given).filter(|(_, given)| **given).map(|(column, _)| quoted(column));
        let names: Vec<_> = names.collect();
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let mut sql = format!("INSERT INTO {} ({}) VALUES ", quoted(&self.name), names.join(", "));
        sql.reserve(rows.len() * (row.len() + 1));
        for index in 0..rows.len() {
            sql.push_str(if index == 0 { "" } else { "," });
            sql.push_str(&row);
        }
        self.loaded += rows.len() as u64;
        // Only full statements come again: the others would push them out of the server's cache.
        let again = rows.len() == ROWS_MAX;
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(again);
        for cell in (0..rows.len()).flat_map(|row| rows.cells(row)) {
            query = bind(query, cell);
        }
        let sending = query.execute(&mut self.session.connection);
        tokio::time::timeout(STATEMENT_TIMEOUT, sending).await.map_err(|_| GameDbError::Timeout)??;
        Ok(())
    }
}

/// Text is sent as text, so that a JSON column takes it; bytes that are no text as bytes.
pub(super) fn bind<'q>(
    query: Query<'q, sqlx::MySql, MySqlArguments>,
    cell: Option<&'q [u8]>,
) -> Query<'q, sqlx::MySql, MySqlArguments> {
    match cell.map(|cell| (str::from_utf8(cell), cell)) {
        None => query.bind(None::<&str>),
        Some((Ok(text), _)) => query.bind(text),
        Some((Err(_), bytes)) => query.bind(bytes),
    }
}
