//! One row of one table set to what the log says, in place: looked at first, changed only when it still is what was seen.

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{Digest, Position, StreamId};

use super::{
    Folded, LookError, RebuildError,
    look::{RowProgress, each_row},
};
use crate::{
    tables::{
        Batch, Difference, Image, Table, cell,
        compare::{Comparison, Details, Fate, Layout, RowHasher},
    },
    world::game_db::{
        GameDbError, Session,
        one_row::{Cells, Setting},
        schema::LiveTable,
    },
};

/// What a look at one row found.
#[derive(Clone, Debug)]
pub struct RowLook {
    /// Its table.
    pub table: Table,
    /// Its key, as people know it.
    pub key: String,
    /// The last event that can have moved a row.
    pub as_of: Position,
    /// What is wrong with it, as a comparison says it; `None` when nothing is, or when too much else is.
    pub difference: Option<Difference>,
    /// How its columns look, for the search of where a value comes from.
    pub layout: Layout,
    /// The live row, when there is one.
    seen: Option<Cells>,
    columns: Vec<String>,
    settings: Vec<Setting>,
}

/// Why one row was not looked at or not written.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The database, the log or the shape of the tables said no.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The thing has no row.
    #[error("{stream} has no row: {why}")]
    NoRow {
        /// What was asked for.
        stream: StreamId,
        /// Why.
        why: String,
    },
    /// The whole table is lost.
    #[error("the table {table} is lost")]
    Lost {
        /// Which.
        table: Table,
    },
    /// Somebody wrote the row since it was looked at.
    #[error("row {key} of {table} was written by somebody else since it was looked at; nothing was changed")]
    Moved {
        /// Its table.
        table: Table,
        /// Its key.
        key: String,
    },
}

impl From<GameDbError> for RowError {
    fn from(error: GameDbError) -> RowError {
        RowError::Rebuild(error.into())
    }
}

impl From<LookError> for RowError {
    fn from(error: LookError) -> RowError {
        RowError::Rebuild(error.into())
    }
}

/// A column that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Which.
    pub column: String,
    /// What stands there; null for NULL, or where there is no row.
    pub before: Option<String>,
    /// What is to stand there; null for NULL.
    pub after: Option<String>,
}

impl RowLook {
    /// True when the row is what the log says.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.seen.is_some() && self.settings.is_empty()
    }

    /// True when there is no row.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.seen.is_none()
    }

    /// What a person confirms: the digest of the row as it stands there and of what it is to be. The same row, log and
    /// code give the same id.
    #[must_use]
    pub fn id(&self) -> Digest {
        let mut hasher = RowHasher::default();
        hasher.row(&[Some(self.table.name().as_bytes()), Some(self.key.as_bytes())]);
        hasher.row(&self.seen.iter().flatten().map(Option::as_deref).collect::<Vec<_>>());
        for (column, value) in &self.settings {
            hasher.row(&[Some(column.as_bytes()), value.as_deref()]);
        }
        hasher.finish()
    }

    /// What is to be changed, column by column.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let before = |column: &String| {
            let at = self.columns.iter().position(|name| name == column)?;
            cell::shown(self.seen.as_ref()?.get(at)?.as_deref())
        };
        let change = |(column, after): &Setting| Change {
            column: column.clone(),
            before: before(column),
            after: cell::shown(after.as_deref()),
        };
        self.settings.iter().map(change).collect()
    }
}

/// The table in which things of this category have their rows.
#[must_use]
pub fn table_of(category: &str) -> Option<Table> {
    Some(match category {
        "player" => Table::Players,
        "duel" => Table::ActiveDuels,
        "withdrawal" => Table::WithdrawalRequests,
        "burn" => Table::BurnQueue,
        "deposit" => Table::ProcessedTransactions,
        _ => return None,
    })
}

/// Looks at the row of one thing. Reads its whole table: a key can have changed, and a burn has none.
pub async fn look_at(
    session: &mut Session,
    folded: &Folded,
    table: Table,
    stream: &StreamId,
    progress: &RowProgress,
) -> Result<RowLook, RowError> {
    let schema = session.schema(Table::VARIANTS).await?;
    let problems: Vec<_> = schema.fatal().filter(|problem| problem.table == table).cloned().collect();
    if !problems.is_empty() {
        return Err(LookError::Schema { problems }.into());
    }
    let live = schema.table(table).ok_or(RowError::Lost { table })?;
    let image = Image::of(table, &folded.replay.state, &folded.scribe);
    let Some(row) = image.row_of(stream) else {
        let why = image.unholdable.iter().find(|found| found.subject == stream.as_str());
        let why = why.map(|found| found.why.clone()).or_else(|| image.why_no_row(stream.subject()));
        let why = why.unwrap_or_else(|| "the log knows nothing of it that a row would show".into());
        return Err(RowError::NoRow { stream: stream.clone(), why });
    };
    session.snapshot().await?;
    let found = find(session, &image, row, live, progress).await;
    session.end_snapshot().await?;
    let (seen, difference) = found?;
    let mut wanted = Batch::of(live.columns.len());
    let settings = match &seen {
        Some(cells) => {
            let seen: Vec<_> = cells.iter().map(Option::as_deref).collect();
            image.merge(row, &live.layout, &seen, &mut wanted);
            let changed =
                live.columns.iter().zip(wanted.cells(0)).zip(seen).filter(|((_, wanted), seen)| wanted != seen);
            changed.map(|((column, wanted), _)| (column.clone(), wanted.map(<[u8]>::to_vec))).collect()
        }
        None => {
            wanted.clear(live.layout.shapes.len());
            image.make(row, &live.layout, &mut wanted);
            let made = live.columns.iter().cloned().zip(wanted.cells(0));
            made.filter_map(|(column, value)| Some((column, Some(value?.to_vec())))).collect()
        }
    };
    Ok(RowLook {
        table,
        key: image.key(row),
        as_of: folded.scribe.moved(),
        difference,
        layout: live.layout.clone(),
        seen,
        columns: live.columns.clone(),
        settings,
    })
}

async fn find(
    session: &mut Session,
    image: &Image<'_>,
    row: usize,
    live: &LiveTable,
    progress: &RowProgress,
) -> Result<(Option<Cells>, Option<Difference>), RowError> {
    let mut comparison = Comparison::of(image, &live.layout, Details::ALL);
    let mut seen = None;
    each_row(session, live.table.name(), &live.columns, progress, |cells| {
        if comparison.row(cells) == Fate::Row(row) {
            seen = Some(cells.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect());
        }
    })
    .await?;
    let finished = comparison.finish();
    if let Some((_, pending)) = finished.late.iter().find(|(late, _)| *late == row) {
        seen = Some(pending.cells().iter().map(|cell| cell.map(<[u8]>::to_vec)).collect());
    }
    let stream = image.stream(row).map(|stream| stream.to_string());
    let difference = finished.compared.differences.into_iter().find(|found| found.stream == stream);
    Ok((seen, difference))
}

/// Sets the row to what the log says, in one transaction: it must still be what was seen.
pub async fn write(session: &mut Session, look: &RowLook, wait_seconds: u32) -> Result<(), RowError> {
    session.begin(wait_seconds).await?;
    match change(session, look).await {
        Ok(()) => Ok(session.commit().await?),
        Err(error) => {
            // A connection that broke has rolled back by itself.
            let _rolled_back = session.roll_back().await;
            Err(error)
        }
    }
}

async fn change(session: &mut Session, look: &RowLook) -> Result<(), RowError> {
    let table = look.table.name();
    let moved = || RowError::Moved { table: look.table, key: look.key.clone() };
    let Some(seen) = &look.seen else {
        // The key is unique where the log knows it; a burn has none, so the time of the look decides.
        return match session.add_row(table, &look.settings).await {
            Err(GameDbError::Statement { number: 1062, .. }) => Err(moved()),
            added => Ok(added.map(drop)?),
        };
    };
    let key = seen.first().cloned().flatten();
    let now = session.hold_row(table, &look.columns, key.clone()).await?;
    if now.as_ref() != Some(seen) {
        return Err(moved());
    }
    let column = look.columns.first().map(String::as_str).unwrap_or_default();
    match session.change_row(table, (column, key), &look.settings).await? {
        0 | 1 => Ok(()),
        _ => Err(moved()),
    }
}
