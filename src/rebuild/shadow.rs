//! One table built anew beside the live one: live rows merged with what the log says, in one transaction, then read back
//! and held against the log before anybody sees it.

use tokio::sync::mpsc;
use wox_events::Digest;

use super::{Folded, Pace, RebuildError, look::compare};
use crate::{
    tables::{
        Image, Table,
        compare::{Comparison, Details, Fate},
        merge::Row,
    },
    world::game_db::{
        GameDbError, Session,
        rows::Batch,
        schema::{LiveTable, Schema},
        shadow::{Fill, new_name},
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
    /// Over every row of the live table it was made from.
    pub live: Digest,
    /// Over every row of its own, as it was read back.
    pub digest: Digest,
}

/// Missing rows between two looks at the pace.
const MADE_ROWS: usize = 512;
/// Batches of rows that wait for the server at most.
const BATCHES_WAITING: usize = 4;

/// Builds one table of rebuild number `epoch`. `reader` sees the live one; `rebuilt` are all tables that are replaced
/// together.
#[expect(clippy::too_many_arguments, reason = "two sessions, two tables of contents, a pace: none belongs to another")]
pub async fn build(
    epoch: u64,
    table: Table,
    rebuilt: &[Table],
    schema: &Schema,
    folded: &Folded,
    reader: &mut Session,
    writer: &mut Session,
    pace: &mut Pace<'_>,
) -> Result<Shadow, RebuildError> {
    let image = Image::of(table, &folded.replay.state, &folded.scribe);
    let published = LiveTable::published(table);
    let (live, lost) = schema.table(table).map_or((&published, true), |live| (live, false));
    writer.create_shadow(epoch, live, lost).await?;
    let from = fill(epoch, &image, live, lost, reader, writer, pace).await?;
    writer.add_foreign_keys(epoch, live, lost, rebuilt).await?;
    let found =
        compare(writer, &image, &new_name(epoch, table), (&live.layout, &live.columns), Details::FIRST, pace.rows())
            .await?;
    if !found.is_equal() {
        let first = found.differences.first().map(|row| format!("{} row {}", row.kind, row.key)).unwrap_or_default();
        return Err(RebuildError::NotAsTheLog { table, first });
    }
    Ok(Shadow { table, lost, rows: found.live, live: from, digest: found.digest })
}

/// Fills the shadow; gives the digest of the live rows.
async fn fill(
    epoch: u64,
    image: &Image<'_>,
    live: &LiveTable,
    lost: bool,
    reader: &mut Session,
    writer: &mut Session,
    pace: &mut Pace<'_>,
) -> Result<Digest, RebuildError> {
    let (sender, mut receiver) = mpsc::channel::<Vec<(Fill, Row)>>(BATCHES_WAITING);
    let mut loader = writer.load(epoch, live).await?;
    // While the server stores rows, the next ones are read and compared.
    let load = async move {
        while let Some(rows) = receiver.recv().await {
            for (fill, row) in rows {
                loader.push(fill, row).await?;
            }
        }
        Ok::<_, RebuildError>(loader.finish().await?)
    };
    let (made, loaded) = tokio::join!(make(image, live, lost, reader, pace, sender), load);
    // A loader that failed has stopped the other side too.
    loaded?;
    made
}

/// Reads live rows and hands on what is to be written; gives the digest of the live rows.
async fn make(
    image: &Image<'_>,
    live: &LiveTable,
    lost: bool,
    reader: &mut Session,
    pace: &mut Pace<'_>,
    sender: mpsc::Sender<Vec<(Fill, Row)>>,
) -> Result<Digest, RebuildError> {
    let mut comparison = Comparison::of(image, &live.layout, Details::FIRST);
    // Nobody takes rows any more once the loader has failed: its own error says why.
    let stopped = |_| RebuildError::GameDb(GameDbError::Answer { what: "rows were no longer taken" });
    if !lost {
        let mut rows = reader.rows(live.table.name(), &live.columns);
        let mut batch = Batch::default();
        while rows.next(&mut batch).await? {
            let mut cells = Vec::with_capacity(live.columns.len());
            let mut written = Vec::with_capacity(batch.len());
            for row in 0..batch.len() {
                batch.row(row, &mut cells);
                if let Fate::Row(at) = comparison.row(&cells) {
                    written.push((Fill::Whole, image.merged(at, &live.layout, &cells)));
                }
            }
            sender.send(written).await.map_err(stopped)?;
            pace.step(batch.len() as u64).await?;
        }
    }
    let finished = comparison.finish();
    let late = finished.late.iter().map(|(at, row)| (Fill::Whole, image.merged(*at, &live.layout, &row.cells())));
    sender.send(late.collect()).await.map_err(stopped)?;
    for some in finished.missing.chunks(MADE_ROWS) {
        let made = some.iter().map(|at| (Fill::Defaults, image.made(*at, &live.layout)));
        sender.send(made.collect()).await.map_err(stopped)?;
        pace.step(some.len() as u64).await?;
    }
    Ok(finished.compared.digest)
}
