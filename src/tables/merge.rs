//! The row that is written: what the log knows, over what stands in the table where the log has no word. A live value
//! that agrees stays as it is spelt.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use wox_events::Digest;

use super::{
    batch::Batch,
    cell::{self, Cell},
    compare::Layout,
    image::{Image, Unholdable},
};

/// Most reasons that are kept; beyond that a table is simply too small.
const REASONS_MAX: usize = 100;
/// Rows that are rendered in one go. Another number is another digest.
const PIECE_ROWS: usize = 4_096;

impl Image<'_> {
    /// Adds a live row as it must be: all columns of the layout, those the log does not know as they are.
    pub fn merge(&self, row: usize, layout: &Layout, live: &[Option<&[u8]>], into: &mut Batch) {
        let cells = self.cells(row);
        let columns = self.table.columns();
        for (index, live) in live.iter().enumerate() {
            let (Some(expected), Some(shape)) = (cells.get(index), layout.shapes.get(index)) else {
                into.push(*live);
                continue;
            };
            let wanted = match expected {
                Cell::Known(value) => (!value.agrees(*live, shape)).then_some(value),
                Cell::Present(value) => {
                    let unset = live.is_none() || cell::unreadable(*live, columns[index].kind).is_some();
                    unset.then_some(value)
                }
                Cell::Filled(_) | Cell::Kept => None,
            };
            match wanted {
                Some(value) => into.write(|text| value.write(shape, text)),
                None => into.push(*live),
            }
        }
    }

    /// Adds a row that is not there: the columns of the game's schema, NULL where the log knows nothing.
    pub fn make(&self, row: usize, layout: &Layout, into: &mut Batch) {
        for (cell, shape) in self.cells(row).iter().zip(&layout.shapes) {
            match cell {
                Cell::Known(value) | Cell::Present(value) | Cell::Filled(value) => {
                    into.write(|text| value.write(shape, text));
                }
                Cell::Kept => into.push(None),
            }
        }
    }

    /// The pieces in which this table is rendered.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let rows = self.len();
        (0..rows).step_by(PIECE_ROWS).map(move |from| from..rows.min(from + PIECE_ROWS))
    }

    /// The digest of everything the log says of some rows of this table, in the log's own order, and what the live columns
    /// cannot hold of it.
    #[must_use]
    pub fn rendered(&self, rows: Range<usize>, layout: &Layout) -> Rendered {
        let mut hasher = Sha256::new();
        let mut unfit = Vec::new();
        // Hashed row by row: one long piece costs less than many short ones.
        let mut waiting = Vec::new();
        let mut text = Vec::new();
        for row in rows {
            for ((cell, shape), column) in self.cells(row).iter().zip(&layout.shapes).zip(self.table.columns()) {
                let (tag, value) = match cell {
                    Cell::Known(value) => (1, value),
                    Cell::Present(value) => (2, value),
                    Cell::Filled(value) => (3, value),
                    Cell::Kept => {
                        waiting.push(0);
                        continue;
                    }
                };
                waiting.push(tag);
                text.clear();
                if value.write(shape, &mut text) {
                    waiting.extend_from_slice(&(text.len() as u64).to_be_bytes());
                    waiting.extend_from_slice(&text);
                }
                if let Err(why) = value.fits(shape)
                    && unfit.len() < REASONS_MAX
                {
                    let subject = self.stream(row).map(|stream| stream.to_string()).unwrap_or_default();
                    unfit.push(Unholdable { table: self.table, subject, why: format!("{}: {why}", column.name) });
                }
            }
            hasher.update(&waiting);
            waiting.clear();
        }
        Rendered { digest: Digest(hasher.finalize().into()), unfit }
    }
}

/// What the log says of some rows, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Over all of it.
    pub digest: Digest,
    /// What the live columns cannot hold of it, a hundred reasons at most.
    pub unfit: Vec<Unholdable>,
}

impl Rendered {
    /// All pieces of a table together, in their order: the digest is over theirs.
    #[must_use]
    pub fn whole(pieces: impl IntoIterator<Item = Rendered>) -> Rendered {
        let mut hasher = Sha256::new();
        let mut unfit = Vec::new();
        for piece in pieces {
            hasher.update(piece.digest.0);
            unfit.extend(piece.unfit.into_iter().take(REASONS_MAX - unfit.len()));
        }
        Rendered { digest: Digest(hasher.finalize().into()), unfit }
    }
}

#[cfg(test)]
mod tests {
    use wox_projections::Replay;

    use super::*;
    use crate::{
        demo,
        replay::Watch as _,
        tables::{Scribe, Table},
    };

    fn folded() -> (Replay, Scribe) {
        let (mut replay, mut scribe) = (Replay::default(), Scribe::default());
        let mut position = 0;
        for batch in demo::history(&demo::Options { seed: 3, events: Some(2_000), faults: false }) {
            for (revision, event) in (batch.expected.0 + 1..).zip(batch.events) {
                position += 1;
                let raw = wox_events::RawEvent {
                    position: wox_events::Position(position),
                    stream: batch.stream.clone(),
                    revision: wox_events::Revision(revision),
                    event,
                };
                let recorded = raw.decode();
                scribe.before(&replay, &recorded);
                replay.observe(&recorded).unwrap();
                scribe.after(&replay, &recorded);
            }
        }
        (replay, scribe)
    }

    type Row = Vec<Option<Vec<u8>>>;

    fn borrowed(row: &Row) -> Vec<Option<&[u8]>> {
        row.iter().map(Option::as_deref).collect()
    }

    fn only(columns: usize, write: impl FnOnce(&mut Batch)) -> Row {
        let mut batch = Batch::of(columns);
        write(&mut batch);
        batch.cells(0).map(|cell| cell.map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn what_agrees_stays_as_it_is_spelt_and_what_the_log_does_not_know_stays() {
        let (replay, scribe) = folded();
        let image = Image::of(Table::Players, &replay.state, &scribe);
        let layout = Layout { extras: vec!["mood".into()], ..Layout::published(Table::Players) };
        let mut live = only(14, |batch| image.make(0, &layout, batch));
        live[8] = Some(String::from_utf8(live[8].clone().unwrap()).unwrap().replace(',', " , ").into_bytes());
        live[5] = Some(b"3".to_vec());
        live[10] = Some(b"4711".to_vec());
        live.push(Some(b"gloomy".to_vec()));
        let written = only(15, |batch| image.merge(0, &layout, &borrowed(&live), batch));
        assert_ne!(written[10], live[10], "wins are known");
        for index in [5, 8, 13, 14] {
            assert_eq!(written[index], live[index], "column {index}");
        }
        let again = only(15, |batch| image.merge(0, &layout, &borrowed(&written), batch));
        assert_eq!(again, written, "written twice is written once");
    }

    #[test]
    fn the_digest_follows_from_the_log_and_says_what_does_not_fit() {
        let (replay, scribe) = folded();
        let image = Image::of(Table::Players, &replay.state, &scribe);
        let mut layout = Layout::published(Table::Players);
        let whole = |layout: &Layout| Rendered::whole(image.pieces().map(|rows| image.rendered(rows, layout)));
        assert_eq!(whole(&layout), whole(&layout));
        assert_eq!(whole(&layout).unfit, Vec::new());
        let one = Rendered::whole([image.rendered(0..image.len() - 1, &layout)]);
        assert_ne!(one.digest, whole(&layout).digest, "the last row counts");
        layout.shapes[7].whole_digits = 0;
        let unfit = whole(&layout).unfit;
        assert!(unfit[0].why.starts_with("withdrawable_galleons: "), "{unfit:?}");
        assert!(scribe.moved().0 > 0 && scribe.moved() == replay.position);
    }
}
