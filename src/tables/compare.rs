//! Pairs live rows with rendered ones, in whatever order they come, and says what differs. Looks each row up instead of
//! merging two sorted streams: a collation sorts otherwise than bytes do, and the rendered side is in memory anyway.

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wox_events::{Digest, Position};

use super::{
    Index,
    cell::{self, Cell, Shape},
    image::Image,
    origin::Origin,
    spec::Table,
};

/// How the live table's columns look: first those of [`Table::columns`], in that order, then the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What each column of the game's schema can hold.
    pub shapes: Vec<Shape>,
    /// Columns that the game's published schema does not have; they are kept as they are.
    pub extras: Vec<String>,
}

impl Layout {
    /// The layout of the game's published schema.
    #[must_use]
    pub fn published(table: Table) -> Layout {
        let shapes = table.columns().iter().map(|column| Shape::published(column.kind)).collect();
        Layout { shapes, extras: Vec::new() }
    }
}

/// What is wrong with a row.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Some of its columns are not what the log says.
    Changed,
    /// The log has it, the table does not.
    Missing,
    /// The table has it, the log does not.
    Surplus,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Its table.
    pub table: Table,
    /// What is wrong with it.
    pub kind: Kind,
    /// Its key in the table.
    pub key: String,
    /// The stream it is about, where the log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The columns that differ; for a missing row what it must hold.
    pub fields: Vec<Field>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is said of a row that was made from this log and is not there.
pub const TAKEN_AWAY: &str = "the last rebuild made this row: it was taken away outside the engine";

impl Difference {
    /// True for a row that somebody took away.
    #[must_use]
    pub fn is_taken_away(&self) -> bool {
        self.note.as_deref() == Some(TAKEN_AWAY)
    }
}

/// A column that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Field {
    /// Which.
    pub column: &'static str,
    /// What stands in the table; null for NULL.
    pub live: Option<String>,
    /// What the log says; null for NULL.
    pub log: Option<String>,
    /// The event that last wrote it; 0 for none.
    pub wrote: Position,
    /// What that event was, once it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<super::origin::Wrote>,
    /// What the log says about the live value, once it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The live value as it was read.
    #[serde(skip)]
    pub raw: Option<Vec<u8>>,
}

/// A live value that stays and that somebody should know of: one that cannot be read in a column the log has no word on, or
/// another fact of the chain than the log has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Oddity {
    /// Its table.
    pub table: Table,
    /// Its row.
    pub key: String,
    /// Its column.
    pub column: &'static str,
    /// What is odd.
    pub what: &'static str,
}

/// What became of a live row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is this row of the image.
    Row(usize),
    /// Only the end of the table shows whose row it is.
    Later,
    /// The log has no such row.
    Surplus,
    /// The import left it out by name: it stays as it is.
    LeftOut,
}

/// Details that are kept; beyond that differences are only counted.
pub const DETAILS_MAX: usize = 20_000;

/// How many rows of a table that differ are told one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// Rows that are changed or should not be there.
    pub wrong: usize,
    /// Rows that are not there: nothing of them is lost when nobody looks.
    pub missing: usize,
}

impl Details {
    /// As many as anybody reads.
    pub const ALL: Details = Details { wrong: DETAILS_MAX, missing: DETAILS_MAX };
    /// What a rebuild overwrites; of what it adds, a few.
    pub const OVERWRITTEN: Details = Details { wrong: DETAILS_MAX, missing: 100 };
    /// Enough to say what is wrong with a table that nothing should be wrong with.
    pub const FIRST: Details = Details { wrong: 1, missing: 1 };
}

/// A table held against its image.
#[derive(Debug)]
pub struct Comparison<'a> {
    image: &'a Image<'a>,
    layout: &'a Layout,
    seen: Vec<bool>,
    pending: Vec<Pending>,
    burns: Index<i64, Vec<usize>>,
    hasher: RowHasher,
    details: Details,
    missing_told: usize,
    result: Compared,
}

/// The digest over rows as they are read, cell by cell, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub struct RowHasher {
    hasher: Sha256,
    /// Cells that are not hashed yet: one long piece costs less than many short ones.
    waiting: Vec<u8>,
}

/// How many bytes wait at most, but for the last row.
const WAITING_BYTES: usize = 16 << 10;

impl RowHasher {
    /// Takes the next row.
    pub fn row(&mut self, cells: &[Option<&[u8]>]) {
        for cell in cells {
            match cell {
                None => self.waiting.push(0),
                Some(text) => {
                    self.waiting.push(1);
                    self.waiting.extend_from_slice(&(text.len() as u64).to_be_bytes());
                    self.waiting.extend_from_slice(text);
                }
            }
        }
        if self.waiting.len() >= WAITING_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    /// The digest over all of them.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        self.hasher.update(&self.waiting);
        Digest(self.hasher.finalize().into())
    }
}

/// A live row whose place is not clear yet.
#[derive(Clone, Debug)]
pub struct Pending {
    cells: Vec<Option<Vec<u8>>>,
}

impl Pending {
    /// Its cells.
    #[must_use]
    pub fn cells(&self) -> Vec<Option<&[u8]>> {
        self.cells.iter().map(Option::as_deref).collect()
    }
}

/// A table that was read to its end.
#[derive(Debug)]
pub struct Finished {
    /// What it came to.
    pub compared: Compared,
    /// Live rows that found their place only at the end, with the rows of the image they are.
    pub late: Vec<(usize, Pending)>,
    /// Rows of the image that no live row is.
    pub missing: Vec<usize>,
    /// Live rows of which only the end showed that the import left them out.
    pub left_out: Vec<Pending>,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Which table.
    pub table: Table,
    /// Live rows.
    pub live: u64,
    /// Rows the log says there must be.
    pub expected: u64,
    /// Rows that agree.
    pub equal: u64,
    /// Rows that differ.
    pub changed: u64,
    /// Rows that are not there.
    pub missing: u64,
    /// Rows that should not be there.
    pub surplus: u64,
    /// Rows that the import left out by name: the log has no word on them.
    pub left_out: u64,
    /// The differences, at most [`DETAILS_MAX`] of them.
    pub differences: Vec<Difference>,
    /// Live values that stay and are odd, as many as differences.
    pub oddities: Vec<Oddity>,
    /// Over every live row as it was read, in the order it was read.
    pub digest: Digest,
}

impl Compared {
    /// True when the table is what the log says.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.changed == 0 && self.missing == 0 && self.surplus == 0
    }
}

impl<'a> Comparison<'a> {
    /// Starts to compare a table. `layout` says what the live columns can hold.
    #[must_use]
    pub fn of(image: &'a Image<'a>, layout: &'a Layout, details: Details) -> Comparison<'a> {
        let mut burns = Index::<i64, Vec<usize>>::default();
        if image.table == Table::BurnQueue {
            for row in 0..image.len() {
                if let Some(due) = image.due(row) {
                    burns.entry(due.0).or_default().push(row);
                }
            }
        }
        let result = Compared {
            table: image.table,
            live: 0,
            expected: image.len() as u64,
            equal: 0,
            changed: 0,
            missing: 0,
            surplus: 0,
            left_out: 0,
            differences: Vec::new(),
            oddities: Vec::new(),
            digest: Digest([0; 32]),
        };
        let seen = vec![false; image.len()];
        Comparison {
            image,
            layout,
            seen,
            pending: Vec::new(),
            burns,
            hasher: RowHasher::default(),
            details,
            missing_told: 0,
            result,
        }
    }

    /// Takes the next live row: its cells as text, in the order of the layout.
    pub fn row(&mut self, cells: &[Option<&[u8]>]) -> Fate {
        self.result.live += 1;
        self.hasher.row(cells);
        let fate = match self.place(cells) {
            Fate::Surplus if self.is_left_out(cells) => Fate::LeftOut,
            fate => fate,
        };
        match fate {
            Fate::Row(row) => self.compare(row, cells),
            Fate::Later => {
                let cells = cells.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
                self.pending.push(Pending { cells });
            }
            Fate::Surplus => self.surplus(cells),
            Fate::LeftOut => self.result.left_out += 1,
        }
        fate
    }

    /// Whether the import left this row out.
    fn is_left_out(&self, cells: &[Option<&[u8]>]) -> bool {
        let key = cell::shown(cells.first().copied().flatten());
        key.is_some_and(|key| self.image.left_out(&key).is_some())
    }

    /// Ends the table: pairs what was left open, and counts what is missing.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let (mut late, mut left_out) = (Vec::new(), Vec::new());
        let pending = std::mem::take(&mut self.pending);
        let places = self.place_late(&pending);
        for (pending, place) in pending.into_iter().zip(places) {
            let cells = pending.cells();
            match place {
                Some(row) => {
                    self.compare(row, &cells);
                    late.push((row, pending));
                }
                None if self.is_left_out(&cells) => {
                    self.result.left_out += 1;
                    left_out.push(pending);
                }
                None => self.surplus(&cells),
            }
        }
        let missing: Vec<usize> = (0..self.seen.len()).filter(|row| !self.seen[*row]).collect();
        missing.iter().for_each(|row| self.missing(*row));
        self.result.digest = self.hasher.finish();
        Finished { compared: self.result, late, missing, left_out }
    }

    fn place(&mut self, cells: &[Option<&[u8]>]) -> Fate {
        if self.image.table == Table::BurnQueue {
            return self.place_burn(cells);
        }
        let Some(key) = cells.first().copied().flatten().and_then(|key| str::from_utf8(key).ok()) else {
            return Fate::Surplus;
        };
        let is_player = self.image.table == Table::Players;
        match self.image.find(key) {
            // A handle can be another player's by now: then the table may not know it yet, and this be the row of the one
            // who had it before (E4).
            _ if is_player && self.image.find_former(key).next().is_some() => Fate::Later,
            // A case-insensitive key cannot come twice; a binary collation can bring `Bob` and `bob`.
            Some(row) if self.seen[row] => Fate::Surplus,
            Some(row) => {
                self.seen[row] = true;
                Fate::Row(row)
            }
            None => Fate::Surplus,
        }
    }

    /// A burn is known by when it is due and by its amount.
    fn place_burn(&mut self, cells: &[Option<&[u8]>]) -> Fate {
        let due = cells.get(2).copied().flatten().and_then(cell::parse_time).map(cell::whole_second);
        let Some(same_second) = due.and_then(|due| self.burns.get(&due.0)) else { return Fate::Surplus };
        let open = || same_second.iter().copied().filter(|row| !self.seen[*row]);
        let same_amount = open().find(|row| match &self.image.cells(*row)[1] {
            Cell::Known(value) => value.agrees(cells.get(1).copied().flatten(), &self.layout.shapes[1]),
            _ => false,
        });
        match same_amount {
            Some(row) => {
                self.seen[row] = true;
                Fate::Row(row)
            }
            None => Fate::Later,
        }
    }

    /// The places of rows whose handle, or whose second and amount, does not say it: each is one that nothing else is. Where
    /// only one is left for a row, it is that one; where several are, the one it fits best.
    fn place_late(&mut self, pending: &[Pending]) -> Vec<Option<usize>> {
        let mut places = vec![None; pending.len()];
        let mut open: Vec<usize> = (0..pending.len()).collect();
        while !open.is_empty() {
            let before = open.len();
            open.retain(|at| {
                let mut free = self.candidates(&pending[*at].cells()).into_iter();
                let (first, second) = (free.next(), free.next());
                if second.is_some() {
                    return true;
                }
                places[*at] = first.inspect(|row| self.seen[*row] = true);
                false
            });
            if open.len() == before {
                let at = open.remove(0);
                let cells = pending[at].cells();
                let best = self.candidates(&cells).into_iter().min_by_key(|row| self.disagreeing(*row, &cells));
                places[at] = best.inspect(|row| self.seen[*row] = true);
            }
        }
        places
    }

    /// The rows of the image that a live row can be and that no other is: under a handle the present owner's, then those of
    /// who had it before; of burns with another amount those of that second.
    fn candidates(&self, cells: &[Option<&[u8]>]) -> Vec<usize> {
        let text = |at: usize| cells.get(at).copied().flatten();
        let unseen = |row: &usize| !self.seen[*row];
        if self.image.table == Table::BurnQueue {
            let due = text(2).and_then(cell::parse_time).map(cell::whole_second);
            let same_second = due.and_then(|due| self.burns.get(&due.0)).into_iter().flatten().copied();
            return same_second.filter(unseen).take(1).collect();
        }
        let Some(key) = text(0).and_then(|key| str::from_utf8(key).ok()) else { return Vec::new() };
        self.image.find(key).into_iter().chain(self.image.find_former(key)).filter(unseen).collect()
    }

    /// How many columns behind the key are not what the log says of this row.
    fn disagreeing(&self, row: usize, live: &[Option<&[u8]>]) -> usize {
        let cells = self.image.cells(row);
        let wrong =
            cells.iter().zip(live).zip(&self.layout.shapes).skip(1).filter(
                |((expected, live), shape)| matches!(expected, Cell::Known(value) if !value.agrees(**live, shape)),
            );
        wrong.count()
    }

    fn compare(&mut self, row: usize, live: &[Option<&[u8]>]) {
        let mut fields = Vec::new();
        for (index, expected) in self.image.cells(row).iter().enumerate() {
            let (live, shape) = (live.get(index).copied().flatten(), &self.layout.shapes[index]);
            let wanted = match expected {
                Cell::Known(value) => (!value.agrees(live, shape)).then_some(value),
                // What cannot be read is written anew, so it is a difference and nothing that is kept.
                Cell::Present(value) => {
                    let kind = self.image.table.columns()[index].kind;
                    (live.is_none() || cell::unreadable(live, kind).is_some()).then_some(value)
                }
                Cell::Filled(value) if live.is_some() && self.image.table.columns()[index].told => {
                    if !value.agrees(live, shape) {
                        self.tell_odd(row, index, "another value than the log");
                    }
                    None
                }
                Cell::Filled(_) | Cell::Kept => {
                    self.odd(row, index, live);
                    None
                }
            };
            if let Some(value) = wanted {
                fields.push(Field {
                    column: self.image.table.columns()[index].name,
                    live: cell::shown(live),
                    log: value.text(shape),
                    wrote: self.image.wrote(row, index),
                    event: None,
                    origin: None,
                    raw: live.map(<[u8]>::to_vec),
                });
            }
        }
        if fields.is_empty() {
            self.result.equal += 1;
            return;
        }
        self.result.changed += 1;
        if self.told(false) < self.details.wrong {
            // The key a person finds the row by is the live one.
            let live_key =
                fields.iter().find(|field| field.column == "twitter_handle").and_then(|field| field.live.clone());
            let note = live_key.as_ref().filter(|_| self.image.table == Table::Players);
            let note = note.map(|live| match live.eq_ignore_ascii_case(&self.image.key(row)) {
                true => "the same handle, spelt otherwise".to_owned(),
                false => format!("renamed: `{live}` is a former handle"),
            });
            let key = live_key.filter(|_| self.image.table == Table::Players).unwrap_or_else(|| self.image.key(row));
            self.push(Kind::Changed, key, Some(row), fields, note);
        }
    }

    fn odd(&mut self, row: usize, column: usize, live: Option<&[u8]>) {
        if let Some(what) = cell::unreadable(live, self.image.table.columns()[column].kind) {
            self.tell_odd(row, column, what);
        }
    }

    fn tell_odd(&mut self, row: usize, column: usize, what: &'static str) {
        if self.result.oddities.len() < self.details.wrong {
            let (table, key) = (self.image.table, self.image.key(row));
            self.result.oddities.push(Oddity { table, key, column: table.columns()[column].name, what });
        }
    }

    fn missing(&mut self, row: usize) {
        self.result.missing += 1;
        if self.told(true) >= self.details.missing {
            return;
        }
        let columns = self.image.table.columns();
        let cells = self.image.cells(row);
        let fields = cells.iter().enumerate().filter_map(|(index, expected)| match expected {
            Cell::Known(value) | Cell::Present(value) | Cell::Filled(value) => Some(Field {
                column: columns[index].name,
                live: None,
                log: value.text(&self.layout.shapes[index]),
                wrote: self.image.wrote(row, index),
                event: None,
                origin: None,
                raw: None,
            }),
            Cell::Kept => None,
        });
        let fields = fields.collect();
        self.push(Kind::Missing, self.image.key(row), Some(row), fields, None);
    }

    fn surplus(&mut self, live: &[Option<&[u8]>]) {
        self.result.surplus += 1;
        if self.told(false) >= self.details.wrong {
            return;
        }
        let key = cell::shown(live.first().copied().flatten()).unwrap_or_default();
        let columns = self.image.table.columns().iter().zip(live);
        let fields = columns.map(|(column, live)| Field {
            column: column.name,
            live: cell::shown(*live),
            log: None,
            wrote: Position(0),
            event: None,
            origin: None,
            raw: None,
        });
        let (fields, note) = (fields.collect(), Some(self.image.why_surplus(&key)));
        self.push(Kind::Surplus, key, None, fields, note);
    }

    /// How many rows were told: missing ones, or the others.
    fn told(&self, missing: bool) -> usize {
        if missing { self.missing_told } else { self.result.differences.len() - self.missing_told }
    }

    fn push(&mut self, kind: Kind, key: String, row: Option<usize>, fields: Vec<Field>, note: Option<String>) {
        let stream = row.and_then(|row| self.image.stream(row)).map(|stream| stream.to_string());
        self.missing_told += usize::from(kind == Kind::Missing);
        self.result.differences.push(Difference { table: self.image.table, kind, key, stream, fields, note });
    }
}
