//! The live tables at one consistent snapshot, held against their images.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use wox_events::{Digest, Position};

use super::Folded;
use crate::{
    tables::{
        Batch, Image, Table,
        compare::{Compared, Comparison, Details, Layout, RowHasher},
        image::Unholdable,
    },
    world::game_db::{
        GameDbError, Session,
        schema::{Problem, Schema},
    },
};

/// How many rows were read or written, for whoever shows progress; and the switch that stops at the next batch.
#[derive(Debug, Default)]
pub struct RowProgress {
    done: AtomicU64,
    stop: Arc<AtomicBool>,
    paused: AtomicBool,
}

impl RowProgress {
    /// Rows so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// A counter that nobody sees and that stops with this one: for rows that are read once more.
    #[must_use]
    pub fn uncounted(&self) -> RowProgress {
        RowProgress { stop: self.stop.clone(), ..RowProgress::default() }
    }

    /// Counts rows.
    pub fn add(&self, rows: u64) {
        self.done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Asks to stop after the present batch.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// True while the work is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Says whether the work is paused.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Waits until somebody asks to stop.
    pub async fn stopped(&self) {
        while self.go_on().is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An error once somebody asked to stop.
    pub fn go_on(&self) -> Result<(), LookError> {
        if self.stop.load(Ordering::Relaxed) { Err(LookError::Interrupted) } else { Ok(()) }
    }
}

/// What a look at the tables came to.
#[derive(Debug)]
pub struct Look {
    /// The log's position they were held against.
    pub as_of: Position,
    /// Their shape.
    pub schema: Schema,
    /// Each table's result, in the order asked for.
    pub tables: Vec<Compared>,
    /// What the log knows and no table can hold.
    pub unholdable: Vec<Unholdable>,
}

/// Why the tables could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The database gave no answer.
    #[error(transparent)]
    GameDb(#[from] GameDbError),
    /// The tables have a shape that cannot be compared.
    #[error("{} of the game's tables cannot be compared", problems.len())]
    Schema {
        /// What is wrong with which.
        problems: Vec<Problem>,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Look {
    /// True when every table is what the log says.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.unholdable.is_empty() && self.tables.iter().all(Compared::is_equal)
    }
}

/// Reads the tables at one snapshot and compares them. A table that is not there is compared as an empty one.
pub async fn look(
    session: &mut Session,
    folded: &Folded,
    tables: &[Table],
    details: Details,
    progress: &RowProgress,
) -> Result<Look, LookError> {
    look_each(session, folded, tables, details, progress, |_, _| ()).await
}

/// As [`look`], and shows the image of each table with the layout it was held against.
pub async fn look_each(
    session: &mut Session,
    folded: &Folded,
    tables: &[Table],
    details: Details,
    progress: &RowProgress,
    mut show: impl FnMut(&Image<'_>, &Layout),
) -> Result<Look, LookError> {
    let schema = session.schema(tables).await?;
    let problems: Vec<_> = schema.fatal().cloned().collect();
    if !problems.is_empty() {
        return Err(LookError::Schema { problems });
    }
    session.snapshot().await?;
    let mut look = Look { as_of: folded.as_of, schema, tables: Vec::new(), unholdable: Vec::new() };
    let looked = read(session, folded, tables, details, progress, &mut look, &mut show).await;
    // A connection that broke has no snapshot any more, and one that still runs a statement takes no other; what is wrong
    // was said above.
    if let Err(error @ LookError::GameDb(GameDbError::Timeout)) = looked {
        return Err(error);
    }
    let ended = session.end_snapshot().await;
    looked?;
    ended?;
    Ok(look)
}

async fn read(
    session: &mut Session,
    folded: &Folded,
    tables: &[Table],
    details: Details,
    progress: &RowProgress,
    look: &mut Look,
    show: &mut impl FnMut(&Image<'_>, &Layout),
) -> Result<(), LookError> {
    for table in tables {
        let mut image = Image::of(*table, &folded.replay.state, &folded.scribe);
        look.unholdable.append(&mut image.unholdable);
        let published = Layout::published(*table);
        let live = look.schema.table(*table);
        let compared = match live {
            Some(live) => {
                compare(session, &image, table.name(), (&live.layout, &live.columns), details, progress).await?
            }
            None => Comparison::of(&image, &published, details).finish().compared,
        };
        show(&image, live.map_or(&published, |live| &live.layout));
        look.tables.push(compared);
    }
    Ok(())
}

/// Reads every row of a table, or of a copy of it under another name, in the order of its key.
pub async fn each_row(
    session: &mut Session,
    name: &str,
    columns: &[String],
    progress: &RowProgress,
    mut take: impl FnMut(&[Option<&[u8]>]),
) -> Result<(), LookError> {
    let mut rows = session.rows(name, columns);
    let mut batch = Batch::default();
    loop {
        match rows.next(&mut batch).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                drop(rows);
                return Err(session.held_up(name, error).await.into());
            }
        }
        let mut cells = Vec::with_capacity(columns.len());
        for row in 0..batch.len() {
            batch.row(row, &mut cells);
            take(&cells);
        }
        progress.add(batch.len() as u64);
        progress.go_on()?;
    }
}

/// The digest over every row of a table, or of a copy of it under another name; the one a comparison gives too.
pub async fn digest(
    session: &mut Session,
    name: &str,
    columns: &[String],
    progress: &RowProgress,
) -> Result<Digest, LookError> {
    let mut hasher = RowHasher::default();
    each_row(session, name, columns, progress, |cells| hasher.row(cells)).await?;
    Ok(hasher.finish())
}

/// Compares one table, or a copy of it under another name, with its image.
pub async fn compare(
    session: &mut Session,
    image: &Image<'_>,
    name: &str,
    (layout, columns): (&Layout, &[String]),
    details: Details,
    progress: &RowProgress,
) -> Result<Compared, LookError> {
    let mut comparison = Comparison::of(image, layout, details);
    each_row(session, name, columns, progress, |cells| {
        comparison.row(cells);
    })
    .await?;
    Ok(comparison.finish().compared)
}
