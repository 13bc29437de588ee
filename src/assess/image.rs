//! A dump of one table beside the live table, by key: what was the same at both times and what was not (row R07). Values
//! are compared by their meaning, so that `5` and `5.00` are one amount.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;
use wox_events::{Digest, Position};

use crate::tables::{Table, cell, image::key_form, spec::Kind};

/// A dump that was looked at as evidence.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImageReport {
    /// Its table.
    pub table: Table,
    /// Of the dump's text.
    pub digest: Digest,
    /// Its rows.
    pub rows: u64,
    /// When it was taken, RFC 3339, and who says so: `flag`, `dump` (taken for UTC) or `file name` (taken for UTC).
    pub taken: String,
    /// Who says so.
    pub taken_by: &'static str,
    /// The log's position at that time; null when the log does not reach back so far.
    pub as_of: Option<Position>,
    /// Rows that were then what the log says.
    pub equal_to_log: Option<u64>,
    /// Rows that were not, or were missing, or too many.
    pub different_from_log: Option<u64>,
    /// Rows that are the same in the live table.
    pub live_same: u64,
    /// Rows that are otherwise in the live table.
    pub live_changed: u64,
    /// Rows that the live table does not have.
    pub live_gone: u64,
    /// Rows that only the live table has.
    pub live_new: u64,
}

/// The rows of a dump by their keys.
#[derive(Debug)]
pub struct Beside {
    table: Table,
    rows: HashMap<SmolStr, [u8; 16]>,
    /// Live rows that are the same.
    pub same: u64,
    /// Live rows that are otherwise.
    pub changed: u64,
    /// Live rows that the dump does not have.
    pub new: u64,
}

impl Beside {
    /// No row yet.
    #[must_use]
    pub fn of(table: Table) -> Beside {
        Beside { table, rows: HashMap::new(), same: 0, changed: 0, new: 0 }
    }

    /// Takes a row of the dump.
    pub fn dumped(&mut self, cells: &[Option<&[u8]>]) {
        let (key, value) = (key(cells), self.value(cells));
        self.rows.insert(key, value);
    }

    /// Takes a live row.
    pub fn live(&mut self, cells: &[Option<&[u8]>]) {
        let value = self.value(cells);
        match self.rows.remove(&key(cells)) {
            Some(dumped) if dumped == value => self.same += 1,
            Some(_) => self.changed += 1,
            None => self.new += 1,
        }
    }

    /// Rows of the dump that no live row is.
    #[must_use]
    pub fn gone(&self) -> u64 {
        self.rows.len() as u64
    }

    fn value(&self, cells: &[Option<&[u8]>]) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for (cell, column) in cells.iter().zip(self.table.columns()) {
            let text = cell.map(|cell| meaning(cell, column.kind));
            hasher.update([u8::from(text.is_some())]);
            let text = text.unwrap_or_default();
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        let mut value = [0; 16];
        value.copy_from_slice(&hasher.finalize()[..16]);
        value
    }
}

fn key(cells: &[Option<&[u8]>]) -> SmolStr {
    let key = cells.first().copied().flatten().unwrap_or_default();
    SmolStr::new(key_form(&String::from_utf8_lossy(key)))
}

/// A value in the one form its kind has; what cannot be read stands for itself.
fn meaning(cell: &[u8], kind: Kind) -> Vec<u8> {
    let known = match kind {
        Kind::Text => None,
        Kind::Int => cell::whole(cell).map(|number| number.to_string()),
        Kind::Money => cell::money(cell).map(|(less, amount)| format!("{}{amount}", if less { "-" } else { "" })),
        Kind::Time => cell::parse_time(cell).map(|time| time.0.to_string()),
        Kind::Json => serde_json::from_slice::<serde_json::Value>(cell).ok().map(|json| json.to_string()),
    };
    known.map_or_else(|| cell.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_meet_by_key_and_are_compared_by_meaning() {
        let mut beside = Beside::of(Table::BurnQueue);
        let row =
            |id: &'static str, amount: &'static str| [Some(id.as_bytes()), Some(amount.as_bytes()), None, None, None];
        beside.dumped(&row("1", "5"));
        beside.dumped(&row("2", "5.00"));
        beside.dumped(&row("3", "5.00"));
        beside.live(&row("1", "5.00"));
        beside.live(&row("2", "5.01"));
        beside.live(&row("9", "5.00"));
        assert_eq!((beside.same, beside.changed, beside.new, beside.gone()), (1, 1, 1, 1));
    }
}
