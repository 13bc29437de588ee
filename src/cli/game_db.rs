//! Reaching the game's database for a verb, and what its errors mean to an operator.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use wox_events::Position;

use crate::{
    cli::{CliError, Context, evidence, progress::Phase},
    log::EventLog,
    rebuild::{
        Folded, LookError,
        fold::{FoldError, fold},
        look::RowProgress,
    },
    replay,
    world::game_db::{GameDb, GameDbError, Session, health::Holder},
};

/// The database that the settings name.
pub(super) fn configured(context: &Context) -> Result<GameDb, CliError> {
    let Some(setting) = context.settings.find("game_db_url").filter(|setting| !setting.value.is_empty()) else {
        return Err(CliError::usage("wox::game-db::unset", "nobody said where the game's database is")
            .next("set WOX_GAME_DB_URL to mysql://user:password@host:3306/wizards_of_x")
            .next("or write it into wox.toml, readable by you alone: [game_db] url = \"…\""));
    };
    GameDb::new(&setting.value).map_err(|error| CliError::from(error).at("origin", &setting.origin))
}

/// Opens a session on the database that the settings name.
pub(super) async fn connect(context: &Context) -> Result<Session, CliError> {
    Ok(configured(context)?.connect().await?)
}

/// Folds the log for the tables, with progress, stopped by Ctrl-C.
pub(super) async fn folded(
    log: &dyn EventLog,
    until: Position,
    phase: Phase,
    context: &Context,
) -> Result<Folded, CliError> {
    let counter = Arc::new(replay::Progress::default());
    let threads: NonZeroUsize = evidence::threads(None);
    let folded = evidence::watched(fold(log, until, threads, &counter), &counter, &phase, context).await?;
    phase.finish();
    Ok(folded)
}

/// Runs something that reads or writes rows, shows how far it is, and passes Ctrl-C on to it.
pub(super) async fn rows_watched<T, E>(
    work: impl Future<Output = Result<T, E>>,
    counter: &RowProgress,
    phase: &Phase,
    context: &Context,
) -> Result<T, CliError>
where
    CliError: From<E>,
{
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            result = &mut work => {
                phase.set(counter.done());
                return Ok(result?);
            }
            () = context.interrupt.wait(), if !asked => {
                asked = true;
                counter.stop();
            }
            _ = ticks.tick() => phase.set(counter.done()),
        }
    }
}

/// What is done about a table's definition that somebody holds.
fn held_next(holder: Option<&Holder>, shown: bool) -> String {
    match (holder, shown) {
        (Some(Holder { connection, .. }), _) => format!(
            "look what connection {connection} does (SHOW FULL PROCESSLIST); when nobody needs it: KILL {connection}, and \
             not those that wait; then run the command again"
        ),
        (None, true) => {
            "SHOW FULL PROCESSLIST says who has locked the table (LOCK TABLES, ALTER TABLE, a backup): wait \
                         for it, then run the command again"
                .into()
        }
        (None, false) => "grant PROCESS to the user of WOX_GAME_DB_URL, to be told who holds it; or have the oldest \
                          transaction ended (information_schema.INNODB_TRX), then run the command again"
            .into(),
    }
}

impl From<GameDbError> for CliError {
    fn from(error: GameDbError) -> CliError {
        let (code, next) = match &error {
            GameDbError::Url { .. } => ("wox::game-db::url", "write it as mysql://user:password@host:3306/database"),
            GameDbError::Unreachable { .. } | GameDbError::ConnectTimeout { .. } => (
                "wox::game-db::unreachable",
                "start the database (systemctl status mysql), or correct host and port in WOX_GAME_DB_URL",
            ),
            GameDbError::Denied { .. } => (
                "wox::game-db::denied",
                "correct user and password in WOX_GAME_DB_URL, or grant the user what the message names",
            ),
            GameDbError::NeedsTls { .. } => (
                "wox::game-db::tls",
                "give the server a certificate, or choose another ?ssl-mode= behind the URL (DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY)",
            ),
            GameDbError::NoDatabase { .. } => {
                ("wox::game-db::no-database", "correct the name behind the last / of WOX_GAME_DB_URL")
            }
            GameDbError::ReadOnly { .. } => (
                "wox::game-db::read-only",
                "use the primary server, or SET GLOBAL read_only = 0 when nothing is replicating to it; looking works as it is",
            ),
            GameDbError::Busy { .. } => (
                "wox::game-db::busy",
                "SHOW PROCESSLIST says who holds the connections, performance_schema.host_cache which hosts are blocked",
            ),
            GameDbError::TableHeld { holder, shown, .. } => {
                let next = held_next(holder.as_ref(), *shown);
                return CliError::failed("wox::game-db::held", error.to_string()).next(next);
            }
            GameDbError::Locked { .. } => (
                "wox::game-db::locked",
                "end the transaction that holds the table (information_schema.INNODB_TRX names the long ones), then run the command again; nothing was switched",
            ),
            GameDbError::Full { .. } => (
                "wox::game-db::full",
                "free some space on the database's disk (wox rebuild --drop-kept shows what earlier rebuilds kept), then run the command again",
            ),
            GameDbError::Moved { .. } => ("wox::game-db::moved", "run the command again once the migration is over"),
            GameDbError::NoDefault { .. } => (
                "wox::game-db::no-default",
                "the log knows nothing of that column: give it a default (ALTER TABLE … ALTER COLUMN … SET DEFAULT …), then run the command again",
            ),
            GameDbError::Control { .. } => (
                "wox::game-db::control",
                "somebody edited it: drop the table _wox_control, and look at every row (wox diff) before anything is written",
            ),
            GameDbError::Timeout => (
                "wox::game-db::timeout",
                "look what the server is busy with (SHOW FULL PROCESSLIST), then run the command again",
            ),
            GameDbError::Broken { .. } => (
                "wox::game-db::broken",
                "look whether the server was restarted (its error log says), then run the command again",
            ),
            GameDbError::Answer { .. } | GameDbError::Statement { .. } => {
                ("wox::game-db::statement", "look into the error log of the server; report this when it says nothing")
            }
        };
        let usage = matches!(error, GameDbError::Url { .. });
        let text = error.to_string();
        let told = if usage { CliError::usage(code, text) } else { CliError::failed(code, text) };
        match error {
            GameDbError::Unreachable { source, .. } | GameDbError::Broken { source } => {
                told.next(next).caused_by(*source)
            }
            _ => told.next(next),
        }
    }
}

impl From<FoldError> for CliError {
    fn from(error: FoldError) -> CliError {
        match error {
            FoldError::Read(error) => error.into(),
            FoldError::Damaged { .. } => CliError::integrity("wox::log::damaged", error.to_string()).next("wox verify"),
            FoldError::Interrupted { after } => {
                CliError::interrupted(format!("stopped behind position {after}; nothing was changed"))
                    .next("run the same command again")
            }
        }
    }
}

impl From<LookError> for CliError {
    fn from(error: LookError) -> CliError {
        match error {
            LookError::GameDb(error) => error.into(),
            LookError::Schema { problems } => {
                let told = CliError::failed("wox::game-db::schema", "the game's tables have a shape wox does not know");
                let told = problems.iter().fold(told, |told, problem| {
                    let place = match &problem.column {
                        Some(column) => format!("{}.{column}: {}", problem.table, problem.what),
                        None => format!("{}: {}", problem.table, problem.what),
                    };
                    told.at("table", place)
                });
                let mut steps: Vec<_> = problems.into_iter().map(|problem| problem.next).collect();
                steps.dedup();
                steps.into_iter().fold(told, CliError::next)
            }
            LookError::Interrupted => {
                CliError::interrupted("stopped; nothing was changed").next("run the same command again")
            }
        }
    }
}
