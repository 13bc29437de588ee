//! What a rebuild would do, found out without doing it: the tables it has to replace together, what differs in them, whose
//! doing that is, and what stands in its way. The id is the digest of what all of it rests on: the same log, tables and
//! code give the same id, so what a person looked at is what is carried out.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};
use strum::VariantArray as _;
use wox_events::{Digest, Json, LogId, Position, record::JsonError};
use wox_projections::FOLD_HASH;

use super::{
    Folded, Look, LookError, RebuildError,
    edits::unlooked,
    look::{RowProgress, look_each},
    settle::tables_of,
};
use crate::{
    log::EventLog,
    tables::{
        Difference, Image, Kind, Table,
        compare::{Compared, Details, Layout, TAKEN_AWAY},
        image::Unholdable,
        merge::Rendered,
        origin::{Origin, Seeker},
    },
    world::game_db::{Session, schema::Schema},
};

/// What a rebuild rests on. Its digest is the rebuild's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Basis {
    /// Which log.
    pub log: LogId,
    /// The last event that can have moved a row.
    pub as_of: Position,
    /// The Merkle root there.
    pub root: Digest,
    /// The hash of the folds' source.
    pub folds: String,
    /// The tables, in the order in which they are filled.
    pub tables: Vec<TableBasis>,
}

/// What a rebuild of one table rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TableBasis {
    /// Which.
    pub table: Table,
    /// True when it is not there at all.
    pub lost: bool,
    /// Over every live row as it was read.
    pub live: Digest,
    /// Over everything the log says of it.
    pub log: Digest,
}

/// Something that has to be out of the way first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Obstacle {
    /// What.
    pub what: String,
    /// What to do about it.
    pub next: String,
}

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// The digest of the basis.
    pub id: Digest,
    /// What it rests on.
    pub basis: Basis,
    /// The comparison.
    pub look: Look,
    /// Tables that are replaced along because foreign keys tie them to one that was asked for.
    pub drawn_in: Vec<Table>,
    /// What has to be out of the way first.
    pub obstacles: Vec<Obstacle>,
    /// What the live tables were made from.
    pub made: Made,
}

impl Basis {
    /// Its digest.
    pub fn id(&self) -> Result<Digest, JsonError> {
        Ok(Digest::of(Json::of(self)?.as_str().as_bytes()))
    }

    /// What is another now than it was then, in words.
    #[must_use]
    pub fn moved_since(&self, then: &Basis) -> Vec<String> {
        let mut moved = Vec::new();
        if self.log != then.log {
            moved.push(format!("it was made for log {}, this is log {}", then.log, self.log));
        }
        if (self.as_of, self.root) != (then.as_of, then.root) {
            moved.push(format!("the log has moved from position {} to {}", then.as_of, self.as_of));
        }
        if self.folds != then.folds {
            moved.push("the code that folds the log is another".into());
        }
        let names = |tables: &[TableBasis]| tables.iter().map(|basis| basis.table).collect::<Vec<_>>();
        if names(&self.tables) != names(&then.tables) {
            moved.push("it was made for other tables".into());
            return moved;
        }
        for (now, then) in self.tables.iter().zip(&then.tables) {
            if (now.lost, now.live) != (then.lost, then.live) {
                moved.push(format!("live rows of {} were changed", now.table));
            }
            if now.log != then.log {
                moved.push(format!("the log says something else of {}", now.table));
            }
        }
        moved
    }
}

impl Survey {
    /// The tables, in the order in which they are filled.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.basis.tables.iter().map(|basis| basis.table).collect()
    }

    /// True when a rebuild would change nothing.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.look.tables.iter().all(Compared::is_equal) && self.basis.tables.iter().all(|basis| !basis.lost)
    }

    /// The search for where live values come from; only a row that is changed needs it.
    #[must_use]
    pub fn seeker(&self) -> Option<Seeker> {
        let changed: Vec<_> = self.changed().cloned().collect();
        let layout = |table| self.look.schema.table(table).map(|live| &live.layout);
        if changed.is_empty() { None } else { Seeker::of(&changed, layout) }
    }

    /// Takes in what the search of [`Survey::seeker`] found.
    pub fn tell(&mut self, seeker: Seeker) {
        let mut changed: Vec<_> = self.changed().cloned().collect();
        seeker.tell(&mut changed);
        let mut told = changed.into_iter();
        let places = self.look.tables.iter_mut().flat_map(|table| &mut table.differences);
        for place in places.filter(|difference| difference.kind == Kind::Changed) {
            if let Some(difference) = told.next() {
                *place = difference;
            }
        }
    }

    /// Takes in what the last rebuild had made: behind [`Survey::tell`], for it judges what was found.
    pub fn judge(&mut self) {
        for table in &mut self.look.tables {
            self.made.judge(&mut table.differences);
        }
    }

    /// Rows that the last rebuild had made and that somebody took away. They come back without a question, because nothing
    /// of anybody's is overwritten; that they were gone is a finding all the same (R33).
    pub fn taken_away(&self) -> impl Iterator<Item = &Difference> {
        self.differences().filter(|difference| difference.is_taken_away())
    }

    fn changed(&self) -> impl Iterator<Item = &Difference> {
        self.differences().filter(|difference| difference.kind == Kind::Changed)
    }

    /// Every difference that was kept.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.look.tables.iter().flat_map(|table| &table.differences)
    }

    /// Rows that somebody changed or added outside the engine, as far as anybody can tell: what they hold was never true
    /// by the log, and a rebuild overwrites it (R33).
    pub fn outside(&self) -> impl Iterator<Item = &Difference> {
        self.differences().filter(|difference| match difference.kind {
            Kind::Changed => difference
                .fields
                .iter()
                .any(|field| !matches!(field.origin, Some(Origin::Behind { .. } | Origin::Later { .. }))),
            Kind::Surplus => true,
            Kind::Missing => false,
        })
    }

    /// Rows that would be overwritten and were only counted: nobody knows whose doing they are.
    #[must_use]
    pub fn unlooked(&self) -> u64 {
        self.look.tables.iter().map(unlooked).sum()
    }
}

/// Looks at the tables and at what ties them together. Writes nothing.
pub async fn survey(
    session: &mut Session,
    log: &dyn EventLog,
    folded: &Folded,
    asked: &[Table],
    threads: NonZeroUsize,
    progress: &RowProgress,
) -> Result<Survey, RebuildError> {
    let (tables, drawn_in) = tied(&session.schema(Table::VARIANTS).await?, asked);
    let mut rendered = Vec::new();
    let render = |image: &Image<'_>, layout: &Layout| rendered.push(rendered_by(threads, image, layout));
    let look = look_each(session, folded, &tables, Details::OVERWRITTEN, progress, render).await?;
    let mut obstacles = obstacles(session, &look.schema, &tables).await?;
    let made = made(session, log, folded).await?;
    obstacles.extend(made.older.clone());
    let mut basis = Basis {
        log: folded.log,
        as_of: folded.scribe.moved(),
        root: log.root_at(folded.scribe.moved()).await?,
        folds: FOLD_HASH.to_owned(),
        tables: Vec::new(),
    };
    for ((table, compared), rendered) in tables.iter().zip(&look.tables).zip(rendered) {
        let lost = look.schema.table(*table).is_none();
        obstacles.extend(rendered.unfit.into_iter().map(does_not_fit));
        basis.tables.push(TableBasis { table: *table, lost, live: compared.digest, log: rendered.digest });
    }
    Ok(Survey { id: basis.id()?, basis, look, drawn_in, obstacles, made })
}

/// Renders a table on so many threads. Whoever renders which piece, the digest is the same.
fn rendered_by(threads: NonZeroUsize, image: &Image<'_>, layout: &Layout) -> Rendered {
    let pieces: Vec<_> = image.pieces().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(rows) = pieces.get(at) else { return done };
            done.push((at, image.rendered(rows.clone(), layout)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.get().min(pieces.len())).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)));
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    Rendered::whole(done.into_iter().map(|(_, rendered)| rendered))
}

/// What the live tables were made from, as far as the control row says.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// True when a rebuild made them from another log.
    pub other_log: bool,
    /// What is in the way of writing to them: a store that was put back from an older copy, or went on from one, knows less
    /// than they do, and would take away what happened since.
    pub older: Option<Obstacle>,
    /// The tables that the last rebuild made from this log, and the last event that had moved a row of them.
    from: Option<(Vec<Table>, Position)>,
}

/// Looks at what the live tables were made from.
pub async fn made(session: &mut Session, log: &dyn EventLog, folded: &Folded) -> Result<Made, RebuildError> {
    let Some(control) = session.control().await? else { return Ok(Made::default()) };
    let Some(made) = &control.sources.live else { return Ok(Made::default()) };
    if made.log != folded.log {
        return Ok(Made { other_log: true, ..Made::default() });
    }
    let how = if made.as_of > folded.as_of {
        format!("this store ends at {}: it is an older copy", folded.as_of)
    } else if log.root_at(made.as_of).await? != made.root {
        "this store has other events there: it went on from an older copy".to_owned()
    } else {
        let last = control.last_switched().filter(|_| matches!(control.phase.as_str(), "done" | "given_up"));
        let from = last.map(|last| (tables_of(&last.tables), made.as_of));
        return Ok(Made { from, ..Made::default() });
    };
    let what = format!("the tables were made from this log up to position {}, and {how}", made.as_of);
    let next = "run the command on the store from which they were made (--store); only where that is gone for good, drop \
                the table _wox_control, which says so, and look at every row before you confirm";
    Ok(Made { older: Some(Obstacle { what, next: next.into() }), ..Made::default() })
}

impl Made {
    /// Takes in that a table made from an event cannot have missed it: whoever gave it an older value, or took the row away,
    /// did so afterwards and outside the engine (R33).
    pub fn judge(&self, differences: &mut [Difference]) {
        let Some((tables, as_of)) = &self.from else { return };
        for difference in differences.iter_mut().filter(|difference| tables.contains(&difference.table)) {
            for field in &mut difference.fields {
                if matches!(field.origin, Some(Origin::Behind { missed }) if missed <= *as_of) {
                    field.origin = Some(Origin::Outside);
                }
            }
            let there = difference.fields.iter().all(|field| field.wrote <= *as_of);
            if difference.kind == Kind::Missing && there && difference.note.is_none() {
                difference.note = Some(TAKEN_AWAY.into());
            }
        }
    }
}

fn does_not_fit(unfit: Unholdable) -> Obstacle {
    let Unholdable { table, subject, why } = unfit;
    Obstacle {
        what: format!("{table} cannot hold what the log says of {subject}: {why}"),
        next: format!("make the column wider (ALTER TABLE {table} MODIFY …), then run the command again"),
    }
}

/// The tables that foreign keys tie to one of these: a key must never point from a new table to an old one, or back (R06).
/// The second list is what was not asked for.
fn tied(schema: &Schema, asked: &[Table]) -> (Vec<Table>, Vec<Table>) {
    let mut ties: Vec<(Table, Table)> = Vec::new();
    for live in &schema.tables {
        let parents = live.foreign_keys.iter().filter_map(|key| key.parent.parse().ok());
        ties.extend(parents.map(|parent| (live.table, parent)));
    }
    let lost = schema.missing.iter().filter(|table| !table.handles().is_empty());
    ties.extend(lost.map(|table| (*table, Table::Players)));
    let mut tables: Vec<Table> = asked.to_vec();
    loop {
        let more = ties.iter().find_map(|(left, right)| match (tables.contains(left), tables.contains(right)) {
            (true, false) => Some(*right),
            (false, true) => Some(*left),
            _ => None,
        });
        match more {
            Some(table) => tables.push(table),
            None => break,
        }
    }
    let drawn_in = tables.get(asked.len()..).unwrap_or_default().to_vec();
    tables.sort();
    tables.dedup();
    (tables, drawn_in)
}

async fn obstacles(session: &mut Session, schema: &Schema, tables: &[Table]) -> Result<Vec<Obstacle>, LookError> {
    let mut obstacles = Vec::new();
    if !session.sees_triggers().await? {
        obstacles.push(Obstacle {
            what: "this user does not see triggers, and a trigger would stay with the old table".into(),
            next: "GRANT TRIGGER on the game's database to the user of WOX_GAME_DB_URL".into(),
        });
    }
    for trigger in session.triggers(tables).await? {
        obstacles.push(Obstacle {
            what: format!("trigger {trigger} would stay with the old table"),
            next: "keep its text (SHOW CREATE TRIGGER), drop it, rebuild, and create it again".into(),
        });
    }
    let others = schema.foreign_children.iter().filter(|key| !key.table.starts_with("_wox_"));
    for key in others {
        obstacles.push(Obstacle {
            what: format!("foreign key {}.{} would follow {} to the old table", key.table, key.name, key.parent),
            next: format!("ALTER TABLE {} DROP FOREIGN KEY {}, rebuild, and add it again", key.table, key.name),
        });
    }
    Ok(obstacles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::game_db::schema::{ForeignKey, LiveTable};

    fn schema(lost: &[Table]) -> Schema {
        let mut schema = Schema { missing: lost.to_vec(), ..Schema::default() };
        for table in Table::VARIANTS.iter().filter(|table| !lost.contains(table)) {
            let key = |column: &&str| ForeignKey {
                name: format!("{table}_{column}"),
                table: table.to_string(),
                columns: vec![(*column).to_owned()],
                parent: "players".into(),
                parent_columns: vec!["twitter_handle".into()],
                on_delete: "RESTRICT".into(),
                on_update: "RESTRICT".into(),
            };
            let foreign_keys = table.handles().iter().map(key).collect();
            schema.tables.push(LiveTable { foreign_keys, ..LiveTable::published(*table) });
        }
        schema
    }

    #[test]
    fn tables_that_keys_tie_together_are_replaced_together() {
        use Table::{ActiveDuels, BurnQueue, Players, WithdrawalRequests};
        let three = vec![Players, ActiveDuels, WithdrawalRequests];
        for lost in [&[][..], &[ActiveDuels], &[Players]] {
            let (tables, drawn_in) = tied(&schema(lost), &[ActiveDuels]);
            assert_eq!(tables, three, "{lost:?}");
            assert_eq!(drawn_in, [Players, WithdrawalRequests]);
        }
        assert_eq!(tied(&schema(&[]), &[BurnQueue]), (vec![BurnQueue], Vec::new()));
    }

    #[test]
    fn what_moved_is_named() {
        let table = |live: u8| TableBasis {
            table: Table::Players,
            lost: false,
            live: Digest([live; 32]),
            log: Digest([7; 32]),
        };
        let basis = |as_of, live| Basis {
            log: LogId(wox_events::EventId::derived(&["log"]).0),
            as_of: Position(as_of),
            root: Digest([1; 32]),
            folds: "f".into(),
            tables: vec![table(live)],
        };
        assert_eq!(basis(5, 1).moved_since(&basis(5, 1)), Vec::<String>::new());
        assert_eq!(
            basis(6, 2).moved_since(&basis(5, 1)),
            ["the log has moved from position 5 to 6", "live rows of players were changed"]
        );
        assert_ne!(basis(6, 2).id().unwrap(), basis(5, 2).id().unwrap());
    }
}
