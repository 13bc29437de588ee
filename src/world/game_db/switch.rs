//! The fence around a rebuild, and the moment at which readers see other tables: one RENAME TABLE over all of them.
//!
//! The fence is a named lock of the server (gone with its connection, so a killed rebuild blocks nobody) and a control
//! row with an epoch that only grows (so a rebuild whose lock was lost can switch nothing).
//!
//! MariaDB takes no RENAME from a session that holds table locks, so two sessions work together, as in gh-ost: one holds
//! the tables against writes while they are looked at a last time, the other one's RENAME queues up behind it. What comes
//! between letting go and renaming is found by looking at the old tables afterwards, when nobody can write to them.

use std::time::{Duration, Instant};

use super::{GameDb, GameDbError, Session, literal, number, quoted, text, text_or_null};

/// The control table.
pub const CONTROL: &str = "_wox_control";

/// What the control row says of the last rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its number.
    pub epoch: u64,
    /// `building`, `switching`, `done`, `given_up` or `reverted`.
    pub phase: String,
    /// What it was bound to: the id that was confirmed.
    pub bound_to: String,
    /// Its tables, separated by commas.
    pub tables: String,
    /// The digests of the tables it put in place, in that order, separated by commas.
    pub digests: String,
}

/// A rebuild's right to be the only one.
#[derive(Debug)]
pub struct Fence {
    session: Session,
    /// The number of this rebuild.
    pub epoch: u64,
}

/// What came of trying to be the only one.
#[derive(Debug)]
pub enum Taken {
    /// Nobody else is at work. What the last rebuild left is beside it.
    Ours(Fence, Option<Control>),
    /// The server's connection of that number is at work.
    Busy {
        /// Its number, where the server says it.
        connection: Option<u64>,
    },
}

impl Fence {
    /// Takes the fence; does not wait for another rebuild.
    pub async fn take(db: &GameDb) -> Result<Taken, GameDbError> {
        let mut session = db.connect().await?;
        let name = "CONCAT('wox-rebuild:', LEFT(MD5(DATABASE()), 32))";
        let got = session.one(format!("SELECT GET_LOCK({name}, 0)")).await?;
        if text_or_null(&got, 0)?.as_deref() != Some("1") {
            let holder = session.one(format!("SELECT IS_USED_LOCK({name})")).await?;
            let connection = text_or_null(&holder, 0)?.and_then(|id| id.parse().ok());
            return Ok(Taken::Busy { connection });
        }
        session
            .run(format!(
                "CREATE TABLE IF NOT EXISTS {CONTROL} (id TINYINT NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, \
                 phase VARCHAR(20) NOT NULL, bound_to VARCHAR(64) NOT NULL, tables TEXT NOT NULL, digests TEXT NOT NULL, \
                 changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) \
                 ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
            ))
            .await?;
        let last = session.control().await?;
        let epoch = last.as_ref().map_or(0, |last| last.epoch);
        Ok(Taken::Ours(Fence { session, epoch }, last))
    }

    /// Begins the next rebuild: from here on every earlier one is fenced off.
    pub async fn begin(&mut self, bound_to: &str, tables: &str) -> Result<u64, GameDbError> {
        self.epoch += 1;
        let control = Control {
            epoch: self.epoch,
            phase: "building".into(),
            bound_to: bound_to.into(),
            tables: tables.into(),
            digests: String::new(),
        };
        self.write(&control).await?;
        Ok(self.epoch)
    }

    /// Writes down how far it is.
    pub async fn write(&mut self, control: &Control) -> Result<(), GameDbError> {
        let values = format!(
            "epoch = {}, phase = {}, bound_to = {}, tables = {}, digests = {}",
            control.epoch,
            literal(&control.phase),
            literal(&control.bound_to),
            literal(&control.tables),
            literal(&control.digests)
        );
        self.session
            .run(format!("INSERT INTO {CONTROL} SET id = 1, {values} ON DUPLICATE KEY UPDATE {values}"))
            .await?;
        Ok(())
    }

    /// Lets the next one in.
    pub async fn release(self) {
        self.session.close().await;
    }
}

impl Session {
    /// What the control row says; `None` before the first rebuild.
    pub async fn control(&mut self) -> Result<Option<Control>, GameDbError> {
        let there = self
            .all(format!(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{CONTROL}'"
            ))
            .await?;
        if there.is_empty() {
            return Ok(None);
        }
        let rows =
            self.all(format!("SELECT epoch, phase, bound_to, tables, digests FROM {CONTROL} WHERE id = 1")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Control {
            epoch: number(row, 0)?,
            phase: text(row, 1)?,
            bound_to: text(row, 2)?,
            tables: text(row, 3)?,
            digests: text(row, 4)?,
        }))
    }
}

/// Tables held against writes, and the connection that will rename them.
pub struct Held {
    locker: Session,
    renamer: Session,
}

/// One rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name until now.
    pub from: String,
    /// The name from now on.
    pub to: String,
}

impl Held {
    /// Holds these tables against every write. Waits for open transactions at most `seconds`.
    pub async fn take(db: &GameDb, tables: &[String], seconds: u32) -> Result<Held, GameDbError> {
        let (mut locker, mut renamer) = (db.connect().await?, db.connect().await?);
        for session in [&mut locker, &mut renamer] {
            session.run(format!("SET SESSION lock_wait_timeout = {seconds}")).await?;
        }
        let names: Vec<_> = tables.iter().map(|name| format!("{} WRITE", quoted(name))).collect();
        locker.run(format!("LOCK TABLES {}, {CONTROL} WRITE", names.join(", "))).await?;
        Ok(Held { locker, renamer })
    }

    /// The session that may look at the held tables.
    pub fn session(&mut self) -> &mut Session {
        &mut self.locker
    }

    /// Renames everything in one statement, and lets go.
    pub async fn rename(mut self, renames: &[Rename]) -> Result<(), GameDbError> {
        let list: Vec<_> =
            renames.iter().map(|rename| format!("{} TO {}", quoted(&rename.from), quoted(&rename.to))).collect();
        let sql = format!("RENAME TABLE {}", list.join(", "));
        let id = self.renamer.id;
        let mut renamer = self.renamer;
        let renaming = tokio::spawn(async move {
            let renamed = renamer.run(sql).await;
            (renamer, renamed)
        });
        // Let go only once the rename stands in the queue: it is then served before writers that come later.
        let since = Instant::now();
        while !renaming.is_finished() && since.elapsed() < Duration::from_secs(5) {
            let sql = format!("SELECT state FROM information_schema.processlist WHERE id = {id}");
            let state = self.locker.all(sql).await?;
            let state = state.first().map(|row| text_or_null(row, 0)).transpose()?.flatten().unwrap_or_default();
            if state.contains("metadata lock") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.locker.run("UNLOCK TABLES").await?;
        let (renamer, renamed) = renaming.await.map_err(|_| GameDbError::Answer { what: "the rename was cut off" })?;
        self.locker.close().await;
        renamer.close().await;
        renamed.map(drop)
    }

    /// Lets go without having changed anything.
    pub async fn let_go(mut self) -> Result<(), GameDbError> {
        self.locker.run("UNLOCK TABLES").await?;
        self.locker.close().await;
        self.renamer.close().await;
        Ok(())
    }
}
