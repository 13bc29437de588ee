//! The row that is written: what the log knows, over what stands in the table where the log has no word. A live value
//! that agrees stays as it is spelt.

use sha2::{Digest as _, Sha256};
use wox_events::Digest;

use super::{
    cell::{self, Cell},
    compare::Layout,
    image::{Image, Unholdable},
};

/// The cells of one row as they are written; `None` is NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// Most reasons that are kept; beyond that a table is simply too small.
const REASONS_MAX: usize = 100;

impl Image<'_> {
    /// A live row as it must be: all columns of the layout, those the log does not know as they are.
    #[must_use]
    pub fn merged(&self, row: usize, layout: &Layout, live: &[Option<&[u8]>]) -> Row {
        let cells = self.cells(row);
        let columns = self.table.columns();
        let written = live.iter().enumerate().map(|(index, live)| {
            let (Some(expected), Some(shape)) = (cells.get(index), layout.shapes.get(index)) else {
                return live.map(<[u8]>::to_vec);
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
                Some(value) => value.text(shape).map(|text| text.into_owned().into_bytes()),
                None => live.map(<[u8]>::to_vec),
            }
        });
        written.collect()
    }

    /// A row that is not there: the columns of the game's schema, `None` where the log knows nothing.
    #[must_use]
    pub fn made(&self, row: usize, layout: &Layout) -> Row {
        let cells = self.cells(row);
        let written = cells.iter().zip(&layout.shapes).map(|(cell, shape)| match cell {
            Cell::Known(value) | Cell::Present(value) | Cell::Filled(value) => {
                value.text(shape).map(|text| text.into_owned().into_bytes())
            }
            Cell::Kept => None,
        });
        written.collect()
    }

    /// The digest of everything the log says of this table, in the log's own order, and what the live columns cannot hold
    /// of it.
    #[must_use]
    pub fn rendered(&self, layout: &Layout) -> (Digest, Vec<Unholdable>) {
        let mut hasher = Sha256::new();
        let mut unfit = Vec::new();
        let mut put = |tag: u8, text: Option<&str>| {
            hasher.update([tag]);
            if let Some(text) = text {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text);
            }
        };
        for row in 0..self.len() {
            for ((cell, shape), column) in self.cells(row).iter().zip(&layout.shapes).zip(self.table.columns()) {
                let (tag, value) = match cell {
                    Cell::Known(value) => (1, value),
                    Cell::Present(value) => (2, value),
                    Cell::Filled(value) => (3, value),
                    Cell::Kept => {
                        put(0, None);
                        continue;
                    }
                };
                put(tag, value.text(shape).as_deref());
                if let Err(why) = value.fits(shape)
                    && unfit.len() < REASONS_MAX
                {
                    let subject = self.stream(row).map(|stream| stream.to_string()).unwrap_or_default();
                    unfit.push(Unholdable { table: self.table, subject, why: format!("{}: {why}", column.name) });
                }
            }
        }
        (Digest(hasher.finalize().into()), unfit)
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

    fn borrowed(row: &Row) -> Vec<Option<&[u8]>> {
        row.iter().map(Option::as_deref).collect()
    }

    #[test]
    fn what_agrees_stays_as_it_is_spelt_and_what_the_log_does_not_know_stays() {
        let (replay, scribe) = folded();
        let image = Image::of(Table::Players, &replay.state, &scribe);
        let layout = Layout { extras: vec!["mood".into()], ..Layout::published(Table::Players) };
        let mut live = image.made(0, &layout);
        live[8] = Some(String::from_utf8(live[8].clone().unwrap()).unwrap().replace(',', " , ").into_bytes());
        live[5] = Some(b"3".to_vec());
        live[10] = Some(b"4711".to_vec());
        live.push(Some(b"gloomy".to_vec()));
        let written = image.merged(0, &layout, &borrowed(&live));
        assert_ne!(written[10], live[10], "wins are known");
        for index in [5, 8, 13, 14] {
            assert_eq!(written[index], live[index], "column {index}");
        }
        assert_eq!(image.merged(0, &layout, &borrowed(&written)), written, "written twice is written once");
    }

    #[test]
    fn the_digest_follows_from_the_log_and_says_what_does_not_fit() {
        let (replay, scribe) = folded();
        let image = Image::of(Table::Players, &replay.state, &scribe);
        let mut layout = Layout::published(Table::Players);
        let (digest, unfit) = image.rendered(&layout);
        assert_eq!((image.rendered(&layout).0, unfit), (digest, Vec::new()));
        layout.shapes[7].whole_digits = 0;
        let (_, unfit) = image.rendered(&layout);
        assert!(unfit[0].why.starts_with("withdrawable_galleons: "), "{unfit:?}");
        assert!(scribe.moved().0 > 0 && scribe.moved() == replay.position);
    }
}
