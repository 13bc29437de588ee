//! How the server does: connections, hosts it shut out, transactions that stay open, locks somebody waits for (rows R05,
//! R21). Each figure is asked for by itself: what one server has no table for says nothing about the rest.

use super::{GameDbError, Session, literal, number, quoted, text, text_or_null};
use crate::tables::Table;

/// Connections, now and since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open now.
    pub connected: u64,
    /// At work now.
    pub running: u64,
    /// Most that were open at once.
    pub used_max: u64,
    /// Most that may be.
    pub max: u64,
    /// Tried since the start.
    pub tried: u64,
    /// Of these failed before they were logged in.
    pub aborted: u64,
    /// Refused since the start because all were taken.
    pub refused: u64,
}

/// A host that failed to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub ip: String,
    /// Failed handshakes in a row.
    pub errors: u64,
    /// How often it was turned away because of them.
    pub blocked: u64,
}

/// The host cache, as far as there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Hosts with errors, the worst first.
    pub hosts: Vec<Host>,
    /// Errors in a row after which a host is shut out.
    pub errors_max: u64,
    /// True when the server looks up no names: then it keeps no cache and shuts nobody out.
    pub unused: bool,
}

/// A transaction that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The connection it belongs to: what KILL takes.
    pub connection: u64,
    /// For how many seconds.
    pub seconds: u64,
    /// How many rows it holds.
    pub rows_locked: u64,
    /// True when it waits for another one's lock.
    pub waits: bool,
    /// Who: user and host.
    pub who: String,
}

/// A connection that waits for a table's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataWait {
    /// The connection.
    pub connection: u64,
    /// For how many seconds.
    pub seconds: u64,
}

/// Who keeps others from a table's definition, as far as the server shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The connection: what KILL takes.
    pub connection: u64,
    /// Who: user and host.
    pub who: String,
    /// For how many seconds its transaction is open.
    pub seconds: u64,
    /// True when the server names it as the holder; else it is the oldest open transaction that does not wait itself.
    pub named: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { connection, who, seconds, named } = self;
        let how = if *named { "held by" } else { "the oldest open transaction is that of" };
        write!(f, "{how} connection {connection} of {who}, since {seconds} s")
    }
}

/// What CHECK TABLE said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChecked {
    /// True when it said that all is well.
    pub ok: bool,
    /// What else it said.
    pub said: Vec<String>,
}

impl Session {
    /// Connections, from the server's status.
    pub async fn connections(&mut self) -> Result<Connections, GameDbError> {
        let rows = self
            .all(
                "SHOW GLOBAL STATUS WHERE variable_name IN ('Threads_connected', 'Threads_running', \
                 'Max_used_connections', 'Connections', 'Aborted_connects', 'Connection_errors_max_connections')",
            )
            .await?;
        let mut found = std::collections::HashMap::new();
        for row in &rows {
            found.insert(text(row, 0)?.to_ascii_lowercase(), number(row, 1)?);
        }
        let figure = |name: &str| found.get(name).copied();
        let missing = GameDbError::Answer { what: "no figures of connections where a server always has them" };
        let row = self.one("SELECT @@global.max_connections").await?;
        Ok(Connections {
            connected: figure("threads_connected").ok_or(missing)?,
            running: figure("threads_running").unwrap_or_default(),
            used_max: figure("max_used_connections").unwrap_or_default(),
            max: number(&row, 0)?,
            tried: figure("connections").unwrap_or_default(),
            aborted: figure("aborted_connects").unwrap_or_default(),
            refused: figure("connection_errors_max_connections").unwrap_or_default(),
        })
    }

    /// Hosts with failed connections. `None` when the server keeps no such table for us.
    pub async fn hosts(&mut self) -> Result<Option<Hosts>, GameDbError> {
        let row = self.one("SELECT @@global.skip_name_resolve, @@global.max_connect_errors").await?;
        let (unused, errors_max) = (number(&row, 0)? != 0, number(&row, 1)?);
        if unused {
            return Ok(Some(Hosts { hosts: Vec::new(), errors_max, unused }));
        }
        let on = self.one("SELECT @@global.performance_schema").await;
        if !on.and_then(|row| number(&row, 0)).is_ok_and(|on| on != 0) {
            return Ok(None);
        }
        let rows = self
            .all(
                "SELECT ip, sum_connect_errors, count_host_blocked_errors FROM performance_schema.host_cache \
                 WHERE sum_connect_errors > 0 OR count_host_blocked_errors > 0 \
                 ORDER BY count_host_blocked_errors DESC, sum_connect_errors DESC LIMIT 20",
            )
            .await?;
        let mut hosts = Vec::new();
        for row in &rows {
            let ip = text_or_null(row, 0)?.unwrap_or_else(|| "unknown".into());
            hosts.push(Host { ip, errors: number(row, 1)?, blocked: number(row, 2)? });
        }
        Ok(Some(Hosts { hosts, errors_max, unused }))
    }

    /// Transactions that are open for at least so many seconds, or wait for a lock; the oldest first, our own left out.
    pub async fn transactions(&mut self, seconds: u64) -> Result<Vec<Transaction>, GameDbError> {
        let sql = format!(
            "SELECT t.trx_mysql_thread_id, GREATEST(0, TIMESTAMPDIFF(SECOND, t.trx_started, NOW())), t.trx_rows_locked, \
             t.trx_state = 'LOCK WAIT', CONCAT(COALESCE(p.user, '?'), '@', COALESCE(p.host, '?')) \
             FROM information_schema.innodb_trx t \
             LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
             WHERE t.trx_mysql_thread_id <> CONNECTION_ID() AND t.trx_mysql_thread_id > 0 \
             AND (TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) >= {seconds} OR t.trx_state = 'LOCK WAIT') \
             ORDER BY t.trx_started, t.trx_id LIMIT 50"
        );
        let rows = self.all(sql).await?;
        let read = |row| -> Result<Transaction, GameDbError> {
            Ok(Transaction {
                connection: number(row, 0)?,
                seconds: number(row, 1)?,
                rows_locked: number(row, 2)?,
                waits: number(row, 3)? != 0,
                who: text(row, 4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Connections that wait for a table's definition: behind the first of them, nobody reads the table any more.
    pub async fn metadata_waits(&mut self) -> Result<Vec<MetadataWait>, GameDbError> {
        // Without PROCESS the list of connections is silently our own. Transactions are refused aloud.
        self.all("SELECT COUNT(*) FROM information_schema.innodb_trx").await?;
        let rows = self
            .all(
                "SELECT id, GREATEST(0, time) FROM information_schema.processlist \
                 WHERE LOWER(state) LIKE 'waiting for table metadata lock%' ORDER BY time DESC LIMIT 50",
            )
            .await?;
        rows.iter().map(|row| Ok(MetadataWait { connection: number(row, 0)?, seconds: number(row, 1)? })).collect()
    }

    /// Waits for table definitions no longer than so many seconds: behind a change that waits itself, a read waits too.
    pub async fn wait_for_definitions(&mut self, seconds: u32) -> Result<(), GameDbError> {
        self.run(format!("SET SESSION lock_wait_timeout = {seconds}")).await.map(drop)
    }

    /// Who holds a definition that somebody waits for; of one table, or of any. `None` when the server shows nobody.
    pub async fn definition_holder(&mut self, table: Option<&str>) -> Result<Option<Holder>, GameDbError> {
        let of = table.map(|table| format!(" AND m.object_name = {}", literal(table))).unwrap_or_default();
        // Where the server keeps this list (MySQL does, MariaDB has to be told), it names the holder itself.
        let named = self
            .all(format!(
                "SELECT t.processlist_id, CONCAT(COALESCE(t.processlist_user, '?'), '@', COALESCE(t.processlist_host, '?')), \
                 COALESCE(GREATEST(0, TIMESTAMPDIFF(SECOND, x.trx_started, NOW())), t.processlist_time, 0) \
                 FROM performance_schema.metadata_locks m \
                 JOIN performance_schema.metadata_locks p ON p.object_schema = m.object_schema \
                 AND p.object_name = m.object_name AND p.lock_status = 'PENDING' \
                 AND p.owner_thread_id <> m.owner_thread_id \
                 JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id \
                 LEFT JOIN information_schema.innodb_trx x ON x.trx_mysql_thread_id = t.processlist_id \
                 WHERE m.object_type = 'TABLE' AND m.object_schema = DATABASE(){of} AND m.lock_status = 'GRANTED' \
                 AND t.processlist_id <> CONNECTION_ID() AND NOT EXISTS (SELECT 1 FROM performance_schema.metadata_locks w \
                 WHERE w.owner_thread_id = m.owner_thread_id AND w.lock_status = 'PENDING') ORDER BY 3 DESC LIMIT 1"
            ))
            .await
            .unwrap_or_default();
        if let Some(row) = named.first() {
            let (connection, who, seconds) = (number(row, 0)?, text(row, 1)?, number(row, 2)?);
            return Ok(Some(Holder { connection, who, seconds, named: true }));
        }
        let waiting = self.metadata_waits().await?;
        let open = self.transactions(0).await?.into_iter();
        let mut open = open.filter(|open| !open.waits && waiting.iter().all(|wait| wait.connection != open.connection));
        Ok(open.next().map(|open| Holder {
            connection: open.connection,
            who: open.who,
            seconds: open.seconds,
            named: false,
        }))
    }

    /// Says of an error of a read whether it is a definition that somebody holds, and who.
    pub(crate) async fn held_up(&mut self, table: &str, error: GameDbError) -> GameDbError {
        // A plain read waits for nothing but the table's definition.
        let GameDbError::Locked { .. } = error else { return error };
        let holder = self.definition_holder(Some(table)).await;
        let shown = holder.is_ok();
        GameDbError::TableHeld { table: table.to_owned(), holder: holder.ok().flatten(), shown }
    }

    /// Whether the table can be read now, or who keeps everybody from it.
    pub async fn reach(&mut self, table: Table) -> Result<(), GameDbError> {
        match self.all(format!("SELECT 1 FROM {} LIMIT 0", quoted(table.name()))).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.held_up(table.name(), error).await),
        }
    }

    /// Where the server keeps its files.
    pub async fn data_directory(&mut self) -> Result<String, GameDbError> {
        let row = self.one("SELECT @@global.datadir").await?;
        text(&row, 0)
    }

    /// Has the server read a whole table and its indexes.
    pub async fn check_table(&mut self, table: Table) -> Result<TableChecked, GameDbError> {
        let rows = self.all(format!("CHECK TABLE {}", quoted(table.name()))).await?;
        let mut checked = TableChecked { ok: false, said: Vec::new() };
        for row in &rows {
            let (kind, said) = (text(row, 2)?, text(row, 3)?);
            match kind.to_ascii_lowercase().as_str() {
                "status" if said.eq_ignore_ascii_case("ok") => checked.ok = true,
                _ => checked.said.push(format!("{kind}: {said}")),
            }
        }
        checked.ok &= checked.said.is_empty();
        Ok(checked)
    }

    /// Makes an empty scratch schema and goes into it; whatever an attempt before left under its name is gone.
    pub async fn enter_scratch(&mut self, schema: &str, table: Table, columns: &[String]) -> Result<(), GameDbError> {
        self.run(format!("DROP DATABASE IF EXISTS {}", quoted(schema))).await?;
        self.run(format!("CREATE DATABASE {} CHARACTER SET utf8mb4", quoted(schema))).await?;
        self.run(format!("USE {}", quoted(schema))).await?;
        // Text in every column: a value stays what the dump says, and nothing is brought into shape.
        let columns: Vec<_> = columns.iter().map(|name| format!("{} LONGBLOB", quoted(name))).collect();
        self.run(format!("CREATE TABLE {} ({}) ENGINE=InnoDB", quoted(table.name()), columns.join(", "))).await?;
        Ok(())
    }

    /// Writes rows into the table of the scratch schema.
    pub async fn fill_scratch(&mut self, table: Table, rows: &[Vec<Option<Vec<u8>>>]) -> Result<(), GameDbError> {
        use std::fmt::Write as _;
        if rows.is_empty() {
            return Ok(());
        }
        let mut sql = format!("INSERT INTO {} VALUES ", quoted(table.name()));
        for (index, row) in rows.iter().enumerate() {
            sql.push_str(if index == 0 { "(" } else { ",(" });
            for (index, cell) in row.iter().enumerate() {
                sql.push_str(if index == 0 { "" } else { "," });
                match cell {
                    None => sql.push_str("NULL"),
                    Some(bytes) => {
                        sql.push_str("X'");
                        for byte in bytes {
                            let _infallible = write!(sql, "{byte:02x}");
                        }
                        sql.push('\'');
                    }
                }
            }
            sql.push(')');
        }
        self.run(sql).await.map(drop)
    }

    /// Removes the scratch schema.
    pub async fn drop_scratch(&mut self, schema: &str) -> Result<(), GameDbError> {
        self.run(format!("DROP DATABASE IF EXISTS {}", quoted(schema))).await.map(drop)
    }

    /// Whether there is a schema of this name.
    pub async fn has_schema(&mut self, schema: &str) -> Result<bool, GameDbError> {
        let sql = format!("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = {}", literal(schema));
        let row = self.one(sql).await?;
        Ok(number(&row, 0)? != 0)
    }
}
