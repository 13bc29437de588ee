//! What was written into the live tables while new ones were built beside them (R33): rows that follow the log are the game
//! going on, and what the survey had shown was decided. What is left is somebody's edit that nobody was asked about.

use std::collections::HashMap;

use crate::tables::{
    Difference, Kind, Table,
    compare::{Compared, Field},
    origin::Origin,
};

/// Rows that a switch would overwrite or take out, and that nobody has been asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// How many.
    pub count: u64,
    /// Their tables and keys, as far as they were looked at one by one.
    pub rows: Vec<String>,
}

/// The rows of one look by what they are known by.
struct Rows<'a>(HashMap<(Table, &'a str), Vec<&'a Difference>>);

impl<'a> Rows<'a> {
    fn of(tables: impl Iterator<Item = &'a Compared>) -> Rows<'a> {
        let mut rows = HashMap::<_, Vec<_>>::new();
        for difference in tables.flat_map(|table| &table.differences) {
            rows.entry((difference.table, name(difference))).or_default().push(difference);
        }
        Rows(rows)
    }

    fn like<'s>(&'s self, row: &'s Difference) -> impl Iterator<Item = &'a Difference> + use<'a, 's> {
        let found = self.0.get(&(row.table, name(row))).into_iter().flatten().copied();
        found.filter(|other| other.kind == row.kind)
    }

    /// Whether the log had no place for a live row with this key.
    fn has_surplus(&self, row: &Difference) -> bool {
        let found = self.0.get(&(row.table, row.key.as_str()));
        found.is_some_and(|rows| rows.iter().any(|other| other.kind == Kind::Surplus))
    }
}

/// A key can be given to another row, a stream cannot; what the log has no place for has only its key.
fn name(row: &Difference) -> &str {
    row.stream.as_deref().unwrap_or(&row.key)
}

fn same(field: &Field, other: &Field) -> bool {
    field.column == other.column && field.live == other.live && field.raw == other.raw
}

/// Compares three looks at the same tables: `asked` is what was decided about; `then` the tables as they stand now against
/// the log of that decision, with the origins of what differs since; `now` the same rows against the log of now.
#[must_use]
pub fn edits(asked: &[Compared], then: &[Compared], now: &[&Compared]) -> Edits {
    let (known, held) = (Rows::of(asked.iter()), Rows::of(then.iter()));
    let explained = |row: &Difference| match row.kind {
        Kind::Missing => true,
        Kind::Surplus => {
            known.like(row).any(|asked| asked.fields.iter().zip(&row.fields).all(|(one, other)| same(one, other)))
                || held.like(row).next().is_none()
        }
        Kind::Changed => {
            let of = |rows: &Rows<'_>, field: &Field| {
                rows.like(row)
                    .flat_map(|other| &other.fields)
                    .find(|other| same(other, field))
                    .map(|found| found.origin)
            };
            !held.has_surplus(row)
                && row.fields.iter().all(|field| {
                    of(&known, field).is_some()
                        // What was right by the log of the decision is only behind.
                        || of(&held, field).is_none_or(|origin| matches!(origin, Some(Origin::Behind { .. })))
                })
        }
    };
    let mut edits = Edits::default();
    for table in now {
        let edited = table.differences.iter().filter(|row| !explained(row));
        edits.rows.extend(edited.map(|row| format!("{} {}", row.table, row.key)));
        let before = asked.iter().find(|asked| asked.table == table.table).map_or(0, unlooked);
        edits.count += unlooked(table).saturating_sub(before);
    }
    edits.count += edits.rows.len() as u64;
    edits
}

/// Rows that would be overwritten and were only counted.
pub(super) fn unlooked(table: &Compared) -> u64 {
    let told = table.differences.iter().filter(|row| row.kind != Kind::Missing).count() as u64;
    (table.changed + table.surplus).saturating_sub(told)
}

#[cfg(test)]
mod tests {
    use wox_events::{Digest, Position};

    use super::*;

    fn field(column: &'static str, live: &str, origin: Option<Origin>) -> Field {
        let raw = Some(live.as_bytes().to_vec());
        let log = Some("the log's".into());
        Field { column, live: Some(live.into()), log, wrote: Position(1), event: None, origin, raw }
    }

    fn row(kind: Kind, key: &str, fields: Vec<Field>) -> Difference {
        let stream = (kind == Kind::Changed).then(|| format!("player-{key}"));
        Difference { table: Table::Players, kind, key: key.into(), stream, fields, note: None }
    }

    fn look(differences: Vec<Difference>) -> Compared {
        let count = |kind| differences.iter().filter(|row| row.kind == kind).count() as u64;
        let (changed, missing, surplus) = (count(Kind::Changed), count(Kind::Missing), count(Kind::Surplus));
        let (left_out, oddities, digest) = (0, Vec::new(), Digest([0; 32]));
        let (live, expected, equal, table) = (9, 9, 9, Table::Players);
        Compared { table, live, expected, equal, changed, missing, surplus, left_out, differences, oddities, digest }
    }

    #[test]
    fn only_what_neither_the_log_nor_a_decision_explains_is_an_edit() {
        let changed = |live: &str, origin| row(Kind::Changed, "a", vec![field("wins", live, origin)]);
        let surplus = || row(Kind::Surplus, "x", vec![field("wins", "1", None)]);
        let behind = Some(Origin::Behind { missed: Position(2) });
        for (asked, then, now, expected) in [
            (vec![], vec![], vec![changed("3", None)], 0),
            (vec![], vec![changed("3", behind)], vec![changed("3", None)], 0),
            (vec![], vec![changed("3", Some(Origin::Outside))], vec![changed("3", None)], 1),
            (vec![], vec![changed("3", None)], vec![], 0),
            (vec![changed("3", None)], vec![changed("3", None)], vec![changed("3", None)], 0),
            (vec![changed("3", None)], vec![changed("4", None)], vec![changed("4", None)], 1),
            (vec![], vec![surplus()], vec![surplus()], 1),
            (vec![surplus()], vec![surplus()], vec![surplus()], 0),
            (vec![], vec![], vec![surplus()], 0),
            (vec![], vec![row(Kind::Surplus, "a", vec![])], vec![changed("3", None)], 1),
            (vec![], vec![], vec![row(Kind::Missing, "m", vec![])], 0),
        ] {
            let words = format!("{asked:?} {then:?} {now:?}");
            let now = look(now);
            assert_eq!(edits(&[look(asked)], &[look(then)], &[&now]).count, expected, "{words}");
        }
    }

    #[test]
    fn rows_that_were_only_counted_count_where_there_are_more_of_them() {
        let counted = |changed| Compared { changed, ..look(Vec::new()) };
        assert_eq!(edits(&[counted(5)], &[counted(7)], &[&counted(7)]).count, 2);
        assert_eq!(edits(&[counted(5)], &[counted(5)], &[&counted(5)]), Edits::default());
    }
}
