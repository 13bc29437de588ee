//! Rows as text, many in one piece of memory: as a server sends them, and as they are sent to one.

/// Some rows of one table.
///
/// ```
/// use wox_recovery::tables::Batch;
/// let mut batch = Batch::of(2);
/// batch.push(Some(b"bob"));
/// batch.push(None);
/// assert_eq!((batch.len(), batch.cells(0).collect::<Vec<_>>()), (1, vec![Some(b"bob".as_slice()), None]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    columns: usize,
    text: Vec<u8>,
    cells: Vec<Option<(usize, usize)>>,
}

impl Batch {
    /// None yet, of so many columns.
    #[must_use]
    pub fn of(columns: usize) -> Batch {
        Batch { columns, ..Batch::default() }
    }

    /// How many rows; one that is not whole yet does not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.columns).unwrap_or(0)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How much text they hold, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Forgets the rows and keeps the memory; the next ones have so many columns.
    pub fn clear(&mut self, columns: usize) {
        self.columns = columns;
        self.text.clear();
        self.cells.clear();
    }

    /// Adds the next cell; `None` is NULL.
    pub fn push(&mut self, cell: Option<&[u8]>) {
        self.write(|text| cell.map(|cell| text.extend_from_slice(cell)).is_some());
    }

    /// Adds the next cell as it is written behind the others; it is NULL when `write` says that it wrote nothing.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let from = self.text.len();
        let written = write(&mut self.text);
        self.cells.push(written.then_some((from, self.text.len())));
    }

    /// The cells of a row.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = Option<&[u8]>> {
        let places = &self.cells[row * self.columns..(row + 1) * self.columns];
        places.iter().map(|place| place.map(|(from, to)| &self.text[from..to]))
    }

    /// Writes the cells of a row into `cells`, which is reused from row to row.
    pub fn row<'b>(&'b self, row: usize, cells: &mut Vec<Option<&'b [u8]>>) {
        cells.clear();
        cells.extend(self.cells(row));
    }
}
