//! The fence around a rebuild, and the moment at which readers see other tables: one RENAME TABLE over all of them.
//!
//! The fence is a named lock of the server (gone with its connection, so a killed rebuild blocks nobody) and a control
//! row with an epoch that only grows (so a rebuild whose lock was lost can switch nothing).
//!
//! MariaDB takes no RENAME from a session that holds table locks, so others hold the tables meanwhile, as in gh-ost. A
//! RENAME asks for one table after the other, and where it does not wait yet, a writer that waits already would be served
//! before it. So every table has a session of its own that holds it against writes (readers go on) and lets go only once
//! the RENAME stands in the queue for that very table: no write can come between the last look and the switch.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wox_events::{Digest, LogId, Position};

use super::{
    GameDb, GameDbError, Session, literal, number, quoted,
    shadow::{OLD, UNDONE},
    text, text_or_null,
};

/// The control table.
pub const CONTROL: &str = "_wox_control";

/// What the control row says of the last rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its number.
    pub epoch: u64,
    /// `building`, `switching`, `done`, `given_up`, `reverting` or `reverted`.
    pub phase: String,
    /// What it was bound to: the id that was confirmed.
    pub bound_to: String,
    /// Its tables, separated by commas.
    pub tables: String,
    /// The digests of the tables it put in place, in that order, separated by commas.
    pub digests: String,
    /// What the tables were made from.
    pub sources: Sources,
    /// When it was written last, by the server's clock.
    pub changed_at: String,
}

/// What tables were made from: a copy of the log that ends before it knows less than the tables do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// Which log.
    pub log: LogId,
    /// The last event that had moved a row of them.
    pub as_of: Position,
    /// The Merkle root there.
    pub root: Digest,
}

/// What the tables of a database were made from, where a rebuild made them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Those that are live.
    pub live: Option<MadeFrom>,
    /// Those that are about to be.
    pub next: Option<MadeFrom>,
    /// Those that were live before the last rebuild that was switched, and can be put back.
    pub old: Option<MadeFrom>,
    /// That rebuild, while the control row speaks of a later one that was not switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
}

/// A rebuild whose tables were put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// Its number.
    pub epoch: u64,
    /// What it was bound to: the id that was confirmed.
    pub bound_to: String,
    /// Its tables, separated by commas.
    pub tables: String,
    /// The digests of the tables it put in place, in that order, separated by commas.
    pub digests: String,
}

impl Control {
    /// The rebuild that was switched last: its tables are live, or were until they were put back. One that comes to
    /// nothing later takes the way back from it away from nobody.
    #[must_use]
    pub fn last_switched(&self) -> Option<Switched> {
        let earlier = self.sources.switched.clone();
        match self.phase.as_str() {
            "done" | "reverting" | "reverted" => Some(earlier.unwrap_or_else(|| Switched {
                epoch: self.epoch,
                bound_to: self.bound_to.clone(),
                tables: self.tables.clone(),
                digests: self.digests.clone(),
            })),
            _ => earlier,
        }
    }

    /// The rebuild's tables are live.
    pub fn switched(&mut self) {
        self.phase = "done".into();
        self.sources.switched = None;
        self.sources.old = std::mem::replace(&mut self.sources.live, self.sources.next.take());
    }

    /// The rebuild changed nothing.
    pub fn gave_up(&mut self) {
        self.phase = "given_up".into();
        self.sources.next = None;
    }

    /// Nothing was put back: the tables of the rebuild that was switched last are live as before.
    pub fn not_reverted(&mut self) {
        self.phase = if self.sources.switched.is_some() { "given_up" } else { "done" }.into();
    }

    /// The tables from before the rebuild that was switched last are live again.
    pub fn reverted(&mut self) {
        self.phase = "reverted".into();
        self.sources.live = self.sources.old.take();
    }
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
    Ours(Fence, Option<Box<Control>>),
    /// Another connection is at work.
    Busy {
        /// Its number, where the server says it.
        connection: Option<u64>,
        /// Who that is, and since when, as far as the server says.
        holder: String,
    },
}

const UNREADABLE: &str = "it does not say what the tables were made from";

/// The fence's name: one a database.
const LOCK_NAME: &str = "CONCAT('wox-rebuild:', LEFT(MD5(DATABASE()), 32))";
/// An idle connection is kept this long: a rebuild may be paused, and its fence must not fall meanwhile.
const IDLE_SECONDS: u32 = 7 * 24 * 3600;

impl Fence {
    /// Takes the fence; does not wait for another rebuild.
    pub async fn take(db: &GameDb) -> Result<Taken, GameDbError> {
        let mut session = db.connect().await?;
        session.run(format!("SET SESSION wait_timeout = {IDLE_SECONDS}, lock_wait_timeout = 10")).await?;
        let got = session.one(format!("SELECT GET_LOCK({LOCK_NAME}, 0)")).await?;
        if text_or_null(&got, 0)?.as_deref() != Some("1") {
            let holder = session.one(format!("SELECT IS_USED_LOCK({LOCK_NAME})")).await?;
            let connection = text_or_null(&holder, 0)?.and_then(|id| id.parse().ok());
            let holder = session.holder(connection).await?;
            session.close().await;
            return Ok(Taken::Busy { connection, holder });
        }
        session
            .run(format!(
                "CREATE TABLE IF NOT EXISTS {CONTROL} (id TINYINT NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, \
                 phase VARCHAR(20) NOT NULL, bound_to VARCHAR(64) NOT NULL, tables TEXT NOT NULL, digests TEXT NOT NULL, \
                 sources TEXT, changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) \
                 ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
            ))
            .await?;
        if !session.control_columns().await?.iter().any(|column| column == "sources") {
            // A control table of an earlier version.
            session.run(format!("ALTER TABLE {CONTROL} ADD COLUMN sources TEXT AFTER digests")).await?;
        }
        let last = session.control().await?;
        // Somebody may have dropped the control table; the tables that were kept still say how many rebuilds there were.
        let epoch = last.as_ref().map_or(0, |last| last.epoch).max(session.epoch_of_kept_tables().await?);
        Ok(Taken::Ours(Fence { session, epoch }, last.map(Box::new)))
    }

    /// True while the server still knows this connection as the one that is at work.
    pub async fn is_ours(&mut self) -> Result<bool, GameDbError> {
        let row = self.session.one(format!("SELECT IS_USED_LOCK({LOCK_NAME}) = CONNECTION_ID()")).await?;
        Ok(text_or_null(&row, 0)?.as_deref() == Some("1"))
    }

    /// The session behind the fence, for small questions.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Begins the next rebuild: from here on every earlier one is fenced off.
    pub async fn begin(&mut self, bound_to: &str, tables: &str) -> Result<Control, GameDbError> {
        self.epoch += 1;
        let last = self.session.control().await?;
        let switched = last.as_ref().filter(|last| last.phase != "reverted").and_then(Control::last_switched);
        let sources = Sources { switched, ..last.map(|last| last.sources).unwrap_or_default() };
        let control = Control {
            epoch: self.epoch,
            phase: "building".into(),
            bound_to: bound_to.into(),
            tables: tables.into(),
            digests: String::new(),
            sources,
            changed_at: String::new(),
        };
        self.write(&control).await?;
        Ok(control)
    }

    /// Writes down how far it is.
    pub async fn write(&mut self, control: &Control) -> Result<(), GameDbError> {
        self.session.write_control(control).await
    }

    /// Lets the next one in.
    pub async fn release(self) {
        self.session.close().await;
    }
}

impl Session {
    /// What the control row says; `None` before the first rebuild.
    pub async fn control(&mut self) -> Result<Option<Control>, GameDbError> {
        let columns = self.control_columns().await?;
        if columns.is_empty() {
            return Ok(None);
        }
        let sources = if columns.iter().any(|column| column == "sources") { "sources" } else { "NULL" };
        let rows = self
            .all(format!(
                "SELECT epoch, phase, bound_to, tables, digests, changed_at, {sources} FROM {CONTROL} WHERE id = 1"
            ))
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let sources = text_or_null(row, 6)?.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Some(Control {
            epoch: number(row, 0)?,
            phase: text(row, 1)?,
            bound_to: text(row, 2)?,
            tables: text(row, 3)?,
            digests: text(row, 4)?,
            sources: sources.map_err(|_| GameDbError::Control { what: UNREADABLE })?.unwrap_or_default(),
            changed_at: text(row, 5)?,
        }))
    }

    /// The columns of the control table; none when it is not there.
    async fn control_columns(&mut self) -> Result<Vec<String>, GameDbError> {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = '{CONTROL}'"
        );
        self.all(sql).await?.iter().map(|row| text(row, 0)).collect()
    }

    async fn write_control(&mut self, control: &Control) -> Result<(), GameDbError> {
        let sources = serde_json::to_string(&control.sources).map_err(|_| GameDbError::Control { what: UNREADABLE })?;
        let values = format!(
            "epoch = {}, phase = {}, bound_to = {}, tables = {}, digests = {}, sources = {}",
            control.epoch,
            literal(&control.phase),
            literal(&control.bound_to),
            literal(&control.tables),
            literal(&control.digests),
            literal(&sources)
        );
        let sql = format!("INSERT INTO {CONTROL} SET id = 1, {values} ON DUPLICATE KEY UPDATE {values}");
        self.run(sql).await.map(drop)
    }

    /// Who holds the fence, in words.
    async fn holder(&mut self, connection: Option<u64>) -> Result<String, GameDbError> {
        let mut words = Vec::new();
        if let Some(id) = connection {
            let sql = format!("SELECT user, host, time FROM information_schema.processlist WHERE id = {id}");
            match self.all(sql).await?.first() {
                Some(row) => words.push(format!("connection {id} of {}@{}", text(row, 0)?, text(row, 1)?)),
                None => words.push(format!("connection {id}")),
            }
        }
        // While it switches it holds the control row; then nobody has to wait for the words.
        self.run("SET SESSION lock_wait_timeout = 1").await?;
        if let Ok(Some(control)) = self.control().await {
            let Control { epoch, phase, tables, changed_at, .. } = control;
            words.push(format!("rebuild {epoch} of {tables}, {phase} since {changed_at} UTC"));
        }
        Ok(words.join(": "))
    }

    /// The highest number of a rebuild that a kept table bears; 0 when there is none.
    async fn epoch_of_kept_tables(&mut self) -> Result<u64, GameDbError> {
        let mut epoch = 0;
        for prefix in [OLD, UNDONE] {
            for name in self.tables_called(prefix).await? {
                let number = name.get(prefix.len()..).and_then(|rest| rest.split_once('_')?.0.parse().ok());
                epoch = epoch.max(number.unwrap_or(0));
            }
        }
        Ok(epoch)
    }

    /// Makes sure that no RENAME of a rebuild whose client is gone is still waiting on the server: waits for it a little,
    /// then ends it. Afterwards the names of the tables say what became of it.
    pub async fn settle_renames(&mut self) -> Result<(), GameDbError> {
        let since = Instant::now();
        loop {
            let waiting = self
                .all(
                    "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() \
                     AND info LIKE 'RENAME TABLE %\\_wox\\_%'",
                )
                .await?;
            let Some(row) = waiting.first() else { return Ok(()) };
            if since.elapsed() > SETTLE_WAIT {
                // It may have ended by itself meanwhile; then there is nothing to end.
                let _gone = self.run(format!("KILL {}", number(row, 0)?)).await;
            }
            if since.elapsed() > SETTLE_WAIT * 4 {
                return Err(GameDbError::Locked { message: "a RENAME of an earlier rebuild does not end".into() });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How long a RENAME without a client is waited for.
const SETTLE_WAIT: Duration = Duration::from_secs(3);

/// Tables held against writes, each by a session of its own, and the connection that will rename them.
#[derive(Debug)]
pub struct Held {
    lockers: Vec<Locker>,
    /// Holds the control row: no other rebuild can begin while this one switches.
    control: Session,
    renamer: Session,
}

#[derive(Debug)]
struct Locker {
    table: String,
    session: Session,
}

/// One rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name until now.
    pub from: String,
    /// The name from now on.
    pub to: String,
}

/// How long one try to get all the locks may keep writers waiting.
const TRY_SECONDS: u32 = 1;
/// How long the RENAME may take to reach the queue for the next table.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

impl Held {
    /// Holds these tables against every write. Waits for open transactions at most `seconds`, in short tries, so that
    /// nobody waits behind us for long while somebody else is waited for.
    pub async fn take(db: &GameDb, tables: &[String], seconds: u32) -> Result<Held, GameDbError> {
        // RENAME asks in the order of the names; so the one it waits for first is let go first.
        let names: BTreeSet<&String> = tables.iter().collect();
        let mut lockers = Vec::new();
        for table in names {
            lockers.push(Locker { table: table.clone(), session: db.connect().await? });
        }
        let (control, mut renamer) = (db.connect().await?, db.connect().await?);
        renamer.run(format!("SET SESSION lock_wait_timeout = {seconds}")).await?;
        let mut held = Held { lockers, control, renamer };
        let since = Instant::now();
        loop {
            match held.lock().await {
                Ok(()) => return Ok(held),
                Err(GameDbError::Locked { .. }) if since.elapsed() < Duration::from_secs(seconds.into()) => {
                    held.unlock().await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => {
                    held.close().await;
                    return Err(error);
                }
            }
        }
    }

    async fn lock(&mut self) -> Result<(), GameDbError> {
        for Locker { table, session } in &mut self.lockers {
            session.run(format!("SET SESSION lock_wait_timeout = {TRY_SECONDS}")).await?;
            session.run(format!("LOCK TABLES {} READ", quoted(table))).await?;
        }
        self.control.run(format!("SET SESSION lock_wait_timeout = {TRY_SECONDS}")).await?;
        self.control.run(format!("LOCK TABLES {CONTROL} WRITE")).await?;
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), GameDbError> {
        for session in self.lockers.iter_mut().map(|locker| &mut locker.session).chain([&mut self.control]) {
            session.run("UNLOCK TABLES").await?;
        }
        Ok(())
    }

    /// The session that may look at a held table.
    pub fn session(&mut self, table: &str) -> Option<&mut Session> {
        self.lockers.iter_mut().find(|locker| locker.table == table).map(|locker| &mut locker.session)
    }

    /// What the control row says; nobody else can change it while it is held.
    pub async fn control(&mut self) -> Result<Option<Control>, GameDbError> {
        self.control.control().await
    }

    /// Writes the control row while it is held.
    pub async fn write(&mut self, control: &Control) -> Result<(), GameDbError> {
        self.control.write_control(control).await
    }

    /// Renames everything in one statement, letting go of each table when the statement waits for it. `prober` is a
    /// session that holds nothing. After an error nothing was renamed, unless the connection broke.
    pub async fn rename(mut self, renames: &[Rename], prober: &mut Session) -> Result<(), GameDbError> {
        let list: Vec<_> =
            renames.iter().map(|rename| format!("{} TO {}", quoted(&rename.from), quoted(&rename.to))).collect();
        let sql = format!("RENAME TABLE {}", list.join(", "));
        let id = self.renamer.id;
        let mut renamer = self.renamer;
        let renaming = tokio::spawn(async move {
            let renamed = renamer.run(sql).await;
            (renamer, renamed)
        });
        let released = release(&mut self.lockers, &renaming, prober).await;
        if released.is_err() {
            // It may have ended by itself meanwhile; its own answer says.
            let _ended = prober.run(format!("KILL QUERY {id}")).await;
        }
        let answer = renaming.await;
        for locker in self.lockers {
            locker.session.close().await;
        }
        self.control.close().await;
        let (renamer, renamed) = answer.map_err(|_| GameDbError::Answer { what: "the rename was cut off" })?;
        renamer.close().await;
        match (renamed, released) {
            (Ok(_), _) => Ok(()),
            (Err(GameDbError::Statement { .. }), Err(error)) | (Err(error), _) => Err(error),
        }
    }

    /// Lets go without having changed anything.
    pub async fn let_go(mut self) -> Result<(), GameDbError> {
        let unlocked = self.unlock().await;
        self.close().await;
        unlocked
    }

    async fn close(self) {
        for locker in self.lockers {
            locker.session.close().await;
        }
        self.control.close().await;
        self.renamer.close().await;
    }
}

/// Lets go of one table after the other, each when the rename waits for it.
async fn release<T>(
    lockers: &mut Vec<Locker>,
    renaming: &tokio::task::JoinHandle<T>,
    prober: &mut Session,
) -> Result<(), GameDbError> {
    // MySQL knows no shorter wait than a second.
    let seconds = if prober.is_mariadb() { 0 } else { 1 };
    prober.run(format!("SET SESSION lock_wait_timeout = {seconds}")).await?;
    let mut since = Instant::now();
    while !lockers.is_empty() && !renaming.is_finished() {
        let mut reached = None;
        for (at, locker) in lockers.iter().enumerate() {
            if prober.is_asked_for(&locker.table).await? {
                reached = Some(at);
                break;
            }
        }
        match reached {
            Some(at) => {
                let mut locker = lockers.remove(at);
                locker.session.run("UNLOCK TABLES").await?;
                locker.session.close().await;
                since = Instant::now();
            }
            None if since.elapsed() > QUEUE_WAIT => {
                return Err(GameDbError::Locked { message: "the rename does not reach the tables".into() });
            }
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    Ok(())
}

impl Session {
    /// True when somebody waits to have the table alone: then even a reader would have to wait, and we do not.
    async fn is_asked_for(&mut self, table: &str) -> Result<bool, GameDbError> {
        match self.all(format!("SELECT 1 FROM {} LIMIT 0", quoted(table))).await {
            Ok(_) => Ok(false),
            Err(GameDbError::Locked { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
