//! One table built anew beside the live one: live rows merged with what the log says, in one transaction, then read back
//! and held against the log before anybody sees it.

use wox_events::Digest;

use super::{Folded, Pace, RebuildError, look::compare};
use crate::{
    tables::{
        Image, Table,
        compare::{Comparison, Details, Fate},
    },
    world::game_db::{
        Session,
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
const MADE_ROWS: u64 = 512;

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
    let mut comparison = Comparison::of(image, &live.layout, Details::FIRST);
    let mut loader = writer.load(epoch, live).await?;
    if !lost {
        let mut rows = reader.rows(live.table.name(), &live.columns);
        let mut batch = Batch::default();
        while rows.next(&mut batch).await? {
            let mut cells = Vec::with_capacity(live.columns.len());
            for row in 0..batch.len() {
                batch.row(row, &mut cells);
                if let Fate::Row(at) = comparison.row(&cells) {
                    loader.push(Fill::Whole, image.merged(at, &live.layout, &cells)).await?;
                }
            }
            pace.step(batch.len() as u64).await?;
        }
    }
    let finished = comparison.finish();
    for (at, pending) in &finished.late {
        loader.push(Fill::Whole, image.merged(*at, &live.layout, &pending.cells())).await?;
    }
    let mut made = 0;
    for at in finished.missing {
        loader.push(Fill::Defaults, image.made(at, &live.layout)).await?;
        made += 1;
        if made % MADE_ROWS == 0 {
            pace.step(MADE_ROWS).await?;
        }
    }
    pace.step(made % MADE_ROWS).await?;
    loader.finish().await?;
    Ok(finished.compared.digest)
}
