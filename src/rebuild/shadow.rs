//! One table built anew beside the live one: live rows merged with what the log says, in one transaction, then read back
//! and held against the log before anybody sees it.

use futures_util::future::join_all;
use tokio::sync::mpsc;
use wox_events::Digest;

use super::{Folded, Pace, RebuildError, look::compare};
use crate::{
    tables::{
        Batch, Image, Table,
        compare::{Compared, Comparison, Details, Fate},
    },
    world::game_db::{
        GameDb, GameDbError, Session,
        schema::{LiveTable, Schema},
        shadow::{Fill, Loader, new_name},
    },
};

/// A table that stands ready beside the live one.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// Which.
    pub table: Table,
    /// True when there is no live one.
    pub lost: bool,
    /// How many rows it has.
    pub rows: u64,
    /// The live table it was made from, held against the log.
    pub from: Compared,
    /// Over every row of its own, as it was read back.
    pub digest: Digest,
}

/// The sessions that write. The first one makes a table and reads it back; all of them fill it together, for the server
/// gives each session one processor.
#[derive(Debug)]
pub struct Writers {
    /// The one that does everything else.
    pub first: Session,
    /// Those that help to fill.
    pub others: Vec<Session>,
}

/// Sessions that fill a table together: one more than two processors are kept busy by, as each waits for its turn at times.
const LOADERS: usize = 3;

impl Writers {
    /// Opens them and makes them ready.
    pub async fn open(db: &GameDb, lock_wait_seconds: u32) -> Result<Writers, GameDbError> {
        let mut writers = Writers { first: db.connect().await?, others: Vec::new() };
        for _ in 1..LOADERS {
            writers.others.push(db.connect().await?);
        }
        for session in writers.all() {
            session.prepare_to_load(lock_wait_seconds).await?;
        }
        Ok(writers)
    }

    /// All of them.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Session> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Closes them.
    pub async fn close(self) {
        for session in std::iter::once(self.first).chain(self.others) {
            session.close().await;
        }
    }
}

/// Missing rows between two looks at the pace.
const MADE_ROWS: usize = 512;
/// Batches of rows that wait for the server at most.
const BATCHES_WAITING: usize = 4;

/// Builds one table of rebuild number `epoch`. `reader` sees the live one, `writers` make the new one; `rebuilt` are all
/// tables that are replaced together. `details` says how many of the live rows that differ are told.
#[expect(clippy::too_many_arguments, reason = "two sessions, two tables of contents, a pace: none belongs to another")]
pub async fn build(
    epoch: u64,
    table: Table,
    rebuilt: &[Table],
    schema: &Schema,
    folded: &Folded,
    reader: &mut Session,
    writers: &mut Writers,
    details: Details,
    pace: &mut Pace<'_>,
) -> Result<Shadow, RebuildError> {
    let image = Image::of(table, &folded.replay.state, &folded.scribe);
    let published = LiveTable::published(table);
    let (live, lost) = schema.table(table).map_or((&published, true), |live| (live, false));
    writers.first.create_shadow(epoch, live, lost).await?;
    let from = fill(epoch, &image, live, lost, reader, writers, details, pace).await?;
    let writer = &mut writers.first;
    writer.add_foreign_keys(epoch, live, lost, rebuilt).await?;
    let (name, layout, again) =
        (new_name(epoch, table), (&live.layout, live.columns.as_slice()), pace.rows().uncounted());
    let found = compare(writer, &image, &name, layout, Details::FIRST, &again).await?;
    if !found.is_equal() {
        let first = found.differences.first().map(|row| format!("{} row {}", row.kind, row.key)).unwrap_or_default();
        return Err(RebuildError::NotAsTheLog { table, first });
    }
    Ok(Shadow { table, lost, rows: found.live, from, digest: found.digest })
}

/// Fills the shadow; gives what the live rows came to.
#[expect(clippy::too_many_arguments, reason = "as `build`")]
async fn fill(
    epoch: u64,
    image: &Image<'_>,
    live: &LiveTable,
    lost: bool,
    reader: &mut Session,
    writers: &mut Writers,
    details: Details,
    pace: &mut Pace<'_>,
) -> Result<Compared, RebuildError> {
    let (mut senders, mut loads) = (Vec::new(), Vec::new());
    for session in writers.all() {
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
        senders.push(sender);
        loads.push(load(session.load(epoch, live).await?, receiver));
    }
    // While the server stores rows, the next ones are read and compared.
    let to = Outlets { senders, next: 0 };
    let (made, loaded) = tokio::join!(make(image, live, lost, reader, details, pace, to), join_all(loads));
    // A loader that failed has stopped the other side too.
    loaded.into_iter().collect::<Result<(), _>>()?;
    made
}

/// Rows on their way to a loader, with how each is written.
type Rows = (Fill, Batch);

async fn load(mut loader: Loader<'_>, mut rows: mpsc::Receiver<Rows>) -> Result<(), RebuildError> {
    while let Some((fill, rows)) = rows.recv().await {
        loader.push(fill, &rows).await?;
    }
    Ok(loader.finish().await.map(drop)?)
}

/// Hands rows to the loaders in turn.
struct Outlets {
    senders: Vec<mpsc::Sender<Rows>>,
    next: usize,
}

impl Outlets {
    async fn send(&mut self, rows: Rows) -> Result<(), RebuildError> {
        self.next = (self.next + 1) % self.senders.len();
        // Nobody takes rows any more once a loader has failed: its own error says why.
        let stopped = |_| RebuildError::GameDb(GameDbError::Answer { what: "rows were no longer taken" });
        self.senders[self.next].send(rows).await.map_err(stopped)
    }
}

/// Reads live rows and hands on what is to be written; gives what the live rows came to.
async fn make(
    image: &Image<'_>,
    live: &LiveTable,
    lost: bool,
    reader: &mut Session,
    details: Details,
    pace: &mut Pace<'_>,
    mut to: Outlets,
) -> Result<Compared, RebuildError> {
    let mut comparison = Comparison::of(image, &live.layout, details);
    if !lost {
        let mut rows = reader.rows(live.table.name(), &live.columns);
        let mut batch = Batch::default();
        loop {
            match rows.next(&mut batch).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    drop(rows);
                    return Err(reader.held_up(live.table.name(), error).await.into());
                }
            }
            let mut cells = Vec::with_capacity(live.columns.len());
            let mut written = Batch::of(live.columns.len());
            for row in 0..batch.len() {
                batch.row(row, &mut cells);
                match comparison.row(&cells) {
                    Fate::Row(at) => image.merge(at, &live.layout, &cells, &mut written),
                    // What the import left out by name is not ours to take away.
                    Fate::LeftOut => cells.iter().for_each(|cell| written.push(*cell)),
                    Fate::Later | Fate::Surplus => {}
                }
            }
            to.send((Fill::Whole, written)).await?;
            pace.step(batch.len() as u64).await?;
        }
    }
    let finished = comparison.finish();
    let mut late = Batch::of(live.columns.len());
    for (at, row) in &finished.late {
        image.merge(*at, &live.layout, &row.cells(), &mut late);
    }
    for row in &finished.left_out {
        row.cells().iter().for_each(|cell| late.push(*cell));
    }
    to.send((Fill::Whole, late)).await?;
    for some in finished.missing.chunks(MADE_ROWS) {
        let mut made = Batch::of(live.layout.shapes.len());
        some.iter().for_each(|at| image.make(*at, &live.layout, &mut made));
        to.send((Fill::Defaults, made)).await?;
        pace.step(some.len() as u64).await?;
    }
    Ok(finished.compared)
}
