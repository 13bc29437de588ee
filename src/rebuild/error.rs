//! Why a rebuild was not carried out, or not to its end. Every variant says whether the tables are the old ones.

use wox_events::record::JsonError;

use super::{LookError, book::BookError, fold::FoldError, survey::Obstacle};
use crate::{log::ReadError, tables::Table, world::game_db::GameDbError};

/// Why a rebuild was not carried out, or not to its end. Unless a variant says otherwise, nothing was switched.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database gave no answer, or refused.
    #[error(transparent)]
    GameDb(#[from] GameDbError),
    /// The tables could not be read or compared; or somebody asked to stop.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The log could not be folded.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What it rests on could not be written as JSON.
    #[error("what a rebuild rests on cannot be written as JSON")]
    Json(#[from] JsonError),
    /// Another rebuild is at work.
    #[error("another rebuild is at work: {holder}")]
    Busy {
        /// The server's number for its connection.
        connection: Option<u64>,
        /// Who.
        holder: String,
    },
    /// Something has to be out of the way first.
    #[error("{} in the way of a rebuild", if obstacles.len() == 1 { "something is".to_owned() } else { format!("{} things are", obstacles.len()) })]
    Obstacles {
        /// What, and what to do about it.
        obstacles: Vec<Obstacle>,
    },
    /// What was built is not what the log says.
    #[error("the new {table} is not what the log says ({first}); it was dropped")]
    NotAsTheLog {
        /// Which table.
        table: Table,
        /// The first difference.
        first: String,
    },
    /// The game writes faster than the rebuild may hold it up.
    #[error(
        "{} were written to while they were rebuilt, and taking that in would keep the game waiting for about {seconds} s",
        tables.join(", ")
    )]
    Written {
        /// Which tables; `the log` when events came in.
        tables: Vec<String>,
        /// How long the building took.
        seconds: u64,
    },
    /// Rows were written while the tables were built, to what neither the log nor anybody who was asked knows of.
    #[error("{} changed outside the engine while the new tables were built; nothing was switched", rows_words(*count))]
    Edited {
        /// How many rows.
        count: u64,
        /// Their tables and keys, a few of them.
        rows: Vec<String>,
    },
    /// The fence fell: another rebuild may have begun.
    #[error("this rebuild is fenced off: its lock on the server is gone, or another one has begun")]
    Fenced,
    /// The connection broke while the tables were switched: nobody knows yet whether they were.
    #[error("the connection broke while the tables were switched: they are the old ones or the new ones, never a mix")]
    Unknown {
        /// Why.
        source: GameDbError,
    },
    /// A step could not be written down, so the next one was not taken. Nothing was switched.
    #[error("a step could not be written down")]
    Unrecorded {
        /// Why.
        source: BookError,
    },
    /// The tables were switched, and that could not be written down.
    #[error("the tables were switched, and that could not be written down yet")]
    SwitchedUnrecorded {
        /// Why.
        source: BookError,
    },
    /// The tables were switched, and could not be read again.
    #[error("the new tables are live, and could not be read again: {source}")]
    SwitchedUnread {
        /// Why.
        source: Box<RebuildError>,
    },
    /// The rebuild that would be put back was made from another log, or from a later state of this one.
    #[error("not done: {what}")]
    NotOurs {
        /// What is known.
        what: String,
        /// What to do about it.
        next: String,
    },
    /// There is nothing to put back.
    #[error("there is nothing to put back: {why}")]
    NothingToRevert {
        /// Why.
        why: String,
    },
    /// The last rebuild came to nothing, and what would be undone is one before it: that may be another one than is meant.
    #[error(
        "rebuild {last} changed nothing, so there is nothing of it to undo: this would undo rebuild {epoch} before it{}",
        if tables.is_empty() { String::new() } else { format!(", and take rows out of the game that were written to {} since", tables.join(", ")) }
    )]
    NotTheLast {
        /// The last rebuild.
        last: u64,
        /// The one that was switched last.
        epoch: u64,
        /// Tables to which rows were written since.
        tables: Vec<String>,
        /// What confirms exactly this.
        id: String,
    },
    /// Rows were written to the new tables since they were put in place.
    #[error("rows were written to {} since the rebuild: putting the old tables back takes them out of the game", tables.join(", "))]
    WrittenSince {
        /// Which tables.
        tables: Vec<String>,
        /// What confirms exactly this loss.
        id: String,
    },
}

fn rows_words(count: u64) -> String {
    if count == 1 { "1 row was".into() } else { format!("{count} rows were") }
}

impl From<BookError> for RebuildError {
    fn from(source: BookError) -> RebuildError {
        RebuildError::Unrecorded { source }
    }
}

impl RebuildError {
    /// True when a guard said no: exit code 4.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            RebuildError::Busy { .. }
                | RebuildError::Edited { .. }
                | RebuildError::Obstacles { .. }
                | RebuildError::Fenced
                | RebuildError::NotOurs { .. }
                | RebuildError::NothingToRevert { .. }
                | RebuildError::NotTheLast { .. }
                | RebuildError::WrittenSince { .. }
        )
    }

    /// True when the operator stopped it.
    #[must_use]
    pub fn is_interruption(&self) -> bool {
        matches!(self, RebuildError::Look(LookError::Interrupted) | RebuildError::Fold(FoldError::Interrupted { .. }))
    }
}
