//! A rebuild, step by step: build beside the live tables, hold those against writes, take in what was written meanwhile,
//! switch by one RENAME, read everything again. Each step is written down before it is taken and after it is known.
//! Stopped at any point, the tables are the old ones or the new ones, and the next rebuild finds out which.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use wox_events::{Digest, OpsEvent, Position, StreamId};

use super::{
    Book, Folded, LookError, Pace, RebuildError, Survey,
    book::{Note, Run, label},
    edits::{Edits, edits},
    fold::{further, further_seeking},
    look::{RowProgress, compare, digest, look},
    shadow::{Shadow, Writers, build},
};
use crate::{
    log::{EventLog, ReadError},
    replay::Progress,
    tables::{
        Difference, Image, Table,
        compare::{Compared, Details},
        origin::Seeker,
    },
    world::game_db::{
        GameDb, GameDbError, Session,
        schema::{LiveTable, Schema},
        shadow::{NEW, new_name, old_name},
        switch::{Control, Fence, Held, MadeFrom, Rename, Taken},
    },
};

/// What a rebuild works with.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The game's database.
    pub db: &'a GameDb,
    /// The log, to read.
    pub log: &'a dyn EventLog,
    /// Where it writes down what it does.
    pub book: &'a Book,
    /// Threads that decode events.
    pub threads: NonZeroUsize,
    /// How long open transactions are waited for.
    pub wait_seconds: u32,
    /// How long the game may be kept waiting while the last writes are taken in.
    pub hold: Duration,
}

/// What a rebuild came to.
#[derive(Debug)]
pub struct Rebuilt {
    /// Its number on this database.
    pub epoch: u64,
    /// The stream of its steps.
    pub run: StreamId,
    /// The last event that can have moved a row of the new tables.
    pub as_of: Position,
    /// Its tables.
    pub tables: Vec<Shadow>,
    /// True when rows or events came in while it was built, and were taken in.
    pub caught_up: bool,
    /// How long writers had to wait.
    pub held: Duration,
    /// The new tables, read again and held against the log as it is by now; empty when every row is the very one that was
    /// held against it before the switch.
    pub check: Vec<Compared>,
    /// Tables into which something was written in the moment of the switch; it stands in the old ones.
    pub slipped: Vec<Table>,
}

impl Rebuilt {
    /// True when the new tables are what the log says.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.slipped.is_empty() && self.check.iter().all(Compared::is_equal)
    }

    /// The name under which the table that was live before is kept.
    #[must_use]
    pub fn old(&self, shadow: &Shadow) -> Option<String> {
        (!shadow.lost).then(|| old_name(self.epoch, shadow.table))
    }
}

/// Rows that are named one by one in the log when they were changed outside the engine.
const NAMED_MAX: usize = 1_000;

/// Takes the fence; refused when another rebuild is at work. What the last one left is beside it.
pub async fn fence(db: &GameDb) -> Result<(Fence, Option<Control>), RebuildError> {
    match Fence::take(db).await? {
        Taken::Ours(fence, left) => Ok((fence, left.map(|left| *left))),
        Taken::Busy { connection, holder } => Err(RebuildError::Busy { connection, holder }),
    }
}

/// Carries out what a survey says. The survey was made behind this fence.
pub async fn rebuild(
    order: Order<'_>,
    fence: &mut Fence,
    survey: &Survey,
    folded: Folded,
    pace: &mut Pace<'_>,
) -> Result<Rebuilt, RebuildError> {
    if !survey.obstacles.is_empty() {
        return Err(RebuildError::Obstacles { obstacles: survey.obstacles.clone() });
    }
    let tables = survey.tables();
    let names: Vec<String> = tables.iter().map(Table::to_string).collect();
    let bound_to = survey.id.to_string();
    let control = fence.begin(&bound_to, &names.join(",")).await?;
    let mut work = Work {
        order,
        run: Run::of("rebuild", control.epoch, &bound_to),
        survey,
        schema: &survey.look.schema,
        control,
        tables,
        step: "build",
        writers: Writers::open(order.db, order.wait_seconds).await?,
    };
    let done = work.carry_out(fence, survey, folded, pace).await;
    if let Err(error) = &done {
        work.give_up(fence, error).await;
    }
    work.writers.close().await;
    done
}

struct Work<'a> {
    order: Order<'a>,
    run: Run,
    survey: &'a Survey,
    schema: &'a Schema,
    control: Control,
    tables: Vec<Table>,
    step: &'static str,
    writers: Writers,
}

impl Work<'_> {
    async fn carry_out(
        &mut self,
        fence: &mut Fence,
        survey: &Survey,
        folded: Folded,
        pace: &mut Pace<'_>,
    ) -> Result<Rebuilt, RebuildError> {
        self.order.book.write(self.opening(survey)).await?;
        self.writers.first.untie(&self.tables).await?;
        let began = Began { at: folded.scribe.moved(), shapes: self.shapes().await? };
        let mut reader = self.order.db.connect().await?;
        let built = self.build_all(&folded, &mut reader, pace).await;
        reader.close().await;
        let shadows = built?;
        self.enter_switch(fence, &folded, &shadows).await?;

        let held = self.hold(pace.rows()).await?;
        let since = Instant::now();
        let (held, taken_in) = self.take_in(fence, held, folded, &began, shadows, pace).await?;
        let TakenIn { folded, shadows, caught_up, live } = taken_in;
        self.rename(held).await?;
        let waited = since.elapsed();

        // From here on the new tables are what readers see, whatever happens.
        self.control.switched();
        fence.write(&self.control).await.map_err(|source| RebuildError::Unknown { source })?;
        let slipped = self.slipped(&shadows, &live).await.map_err(unread)?;
        self.order
            .book
            .write(switched_notes(&self.run, &shadows))
            .await
            .map_err(|source| RebuildError::SwitchedUnrecorded { source })?;
        let as_of = folded.scribe.moved();
        let check = self.verify(folded, &shadows, &slipped).await.map_err(unread)?;
        let (epoch, run) = (self.control.epoch, self.run.stream.clone());
        Ok(Rebuilt { epoch, run, as_of, tables: shadows, caught_up, held: waited, check, slipped })
    }

    /// What is written down before anything is touched.
    fn opening(&self, survey: &Survey) -> Vec<Note> {
        let mut notes = vec![self.run.started("rebuild", &self.control.bound_to), self.run.step("build")];
        for (compared, basis) in survey.look.tables.iter().zip(&survey.basis.tables) {
            if !compared.is_equal() || basis.lost {
                let table = label(compared.table.name());
                notes.push(self.run.once(compared.table.name(), OpsEvent::ProjectionDeclaredCorrupt { table }));
            }
        }
        notes.extend(
            survey.outside().chain(survey.taken_away()).take(NAMED_MAX).map(|row| outside_note(&self.run, row)),
        );
        notes
    }

    async fn build_all(
        &mut self,
        folded: &Folded,
        reader: &mut Session,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<Shadow>, RebuildError> {
        let mut shadows = Vec::new();
        reader.snapshot().await?;
        for table in self.tables.clone() {
            let (epoch, schema) = (self.control.epoch, self.schema);
            let details = Details::FIRST;
            let built =
                build(epoch, table, &self.tables, schema, folded, reader, &mut self.writers, details, pace).await?;
            shadows.push(built);
        }
        reader.end_snapshot().await?;
        Ok(shadows)
    }

    /// Writes down, here and there, that the switch comes next.
    async fn enter_switch(
        &mut self,
        fence: &mut Fence,
        folded: &Folded,
        shadows: &[Shadow],
    ) -> Result<(), RebuildError> {
        self.step = "switch";
        self.control.phase = "switching".into();
        self.control.digests = digests(shadows);
        self.control.sources.next = Some(made_from(self.order.log, folded).await?);
        if !fence.is_ours().await? {
            return Err(RebuildError::Fenced);
        }
        fence.write(&self.control).await?;
        let mut notes: Vec<_> =
            shadows.iter().map(|shadow| self.run.built(shadow.table.name(), shadow.digest)).collect();
        notes.extend([self.run.done("build"), self.run.step("switch")]);
        Ok(self.order.book.write(notes).await?)
    }

    /// Holds the live tables. Whoever asks to stop meanwhile does not wait for the locks.
    async fn hold(&self, rows: &RowProgress) -> Result<Held, RebuildError> {
        let live: Vec<_> = self.schema.tables.iter().map(|live| live.table.to_string()).collect();
        tokio::select! {
            held = Held::take(self.order.db, &live, self.order.wait_seconds) => Ok(held?),
            () = rows.stopped() => Err(LookError::Interrupted.into()),
        }
    }

    /// With the tables held: whether this rebuild may still switch, and what came in since the shadows were built.
    async fn take_in(
        &mut self,
        fence: &mut Fence,
        mut held: Held,
        folded: Folded,
        began: &Began,
        shadows: Vec<Shadow>,
        pace: &mut Pace<'_>,
    ) -> Result<(Held, TakenIn), RebuildError> {
        match self.take_in_held(fence, &mut held, folded, began, shadows, pace).await {
            Ok(taken_in) => Ok((held, taken_in)),
            Err(error) => {
                // A connection that broke holds nothing any more.
                let _nothing_held = held.let_go().await;
                Err(error)
            }
        }
    }

    async fn take_in_held(
        &mut self,
        fence: &mut Fence,
        held: &mut Held,
        folded: Folded,
        began: &Began,
        shadows: Vec<Shadow>,
        pace: &mut Pace<'_>,
    ) -> Result<TakenIn, RebuildError> {
        let control = held.control().await?;
        let same = control.is_some_and(|found| {
            (found.epoch, found.phase.as_str()) == (self.control.epoch, self.control.phase.as_str())
        });
        if !same || !fence.is_ours().await? {
            return Err(RebuildError::Fenced);
        }
        if self.shapes().await? != began.shapes {
            let message = "columns, keys or triggers are others than when the rebuild began".into();
            return Err(GameDbError::Moved { message }.into());
        }
        let again = pace.rows().uncounted();
        let mut written = Vec::new();
        let mut live = Vec::new();
        let mut then = Vec::new();
        for (shadow, basis) in shadows.iter().zip(&self.survey.basis.tables) {
            let digest = self.held_digest(held, shadow.table, &again).await?;
            // What somebody decided about is what the survey saw, and not what was there when the building began.
            if digest.is_some_and(|digest| digest != shadow.from.digest || digest != basis.live) {
                written.push(shadow.table.to_string());
                then.extend(self.held_against(held, shadow.table, &folded, &again).await?);
            }
            live.push(digest);
        }
        let (folded, then) = self.further(folded, then).await?;
        if folded.scribe.moved() != began.at {
            written.push("the log".into());
        }
        if written.is_empty() {
            for table in &self.schema.tables {
                self.writers.first.number_on(self.control.epoch, table).await?;
            }
            return Ok(TakenIn { folded, shadows, caught_up: false, live });
        }
        if pace.worked() > self.order.hold {
            return Err(RebuildError::Written { tables: written, seconds: pace.worked().as_secs() });
        }
        pace.hurry();
        let mut again = Vec::new();
        let mut nobody = None;
        for table in self.tables.clone() {
            let reader = match held.session(table.name()) {
                Some(reader) => reader,
                // A table that is lost has no rows to read; any session will do.
                None => match &mut nobody {
                    Some(session) => session,
                    none => none.insert(self.order.db.connect().await?),
                },
            };
            let (epoch, schema) = (self.control.epoch, self.schema);
            let details = Details::OVERWRITTEN;
            let built =
                build(epoch, table, &self.tables, schema, &folded, reader, &mut self.writers, details, pace).await?;
            again.push(built);
        }
        let now: Vec<&Compared> = again.iter().map(|shadow| &shadow.from).collect();
        let Edits { count, rows } = edits(&self.survey.look.tables, &then, &now);
        if count > 0 {
            return Err(RebuildError::Edited { count, rows });
        }
        self.control.digests = digests(&again);
        self.control.sources.next = Some(made_from(self.order.log, &folded).await?);
        held.write(&self.control).await?;
        Ok(TakenIn { folded, shadows: again, caught_up: true, live })
    }

    /// How the live tables are made. A column or an index that is added later would be lost with the old table.
    async fn shapes(&mut self) -> Result<Vec<String>, GameDbError> {
        let mut shapes = self.writers.first.triggers(&self.tables).await?;
        for live in &self.schema.tables {
            shapes.push(self.writers.first.made_as(live.table).await?);
        }
        Ok(shapes)
    }

    /// A held table against a state of the log.
    async fn held_against(
        &self,
        held: &mut Held,
        table: Table,
        folded: &Folded,
        rows: &RowProgress,
    ) -> Result<Option<Compared>, RebuildError> {
        let (Some(live), Some(session)) = (self.schema.table(table), held.session(table.name())) else {
            return Ok(None);
        };
        let image = Image::of(table, &folded.replay.state, &folded.scribe);
        let layout = (&live.layout, live.columns.as_slice());
        Ok(Some(compare(session, &image, table.name(), layout, Details::OVERWRITTEN, rows).await?))
    }

    /// Folds on to where the log stands now, and tells of what differed before which of the new events a row has missed.
    async fn further(&self, folded: Folded, mut then: Vec<Compared>) -> Result<(Folded, Vec<Compared>), RebuildError> {
        let mut differences: Vec<_> = then.iter().flat_map(|table| &table.differences).cloned().collect();
        let layout = |table| self.schema.table(table).map(|live| &live.layout);
        let mut seeker = Seeker::of(&differences, layout);
        let progress = Arc::new(Progress::default());
        let folded = further_seeking(self.order.log, folded, self.order.threads, &progress, &mut seeker).await?;
        if let Some(seeker) = seeker {
            seeker.tell(&mut differences);
        }
        then.iter_mut()
            .flat_map(|table| &mut table.differences)
            .zip(differences)
            .for_each(|(place, told)| *place = told);
        Ok((folded, then))
    }

    async fn held_digest(
        &self,
        held: &mut Held,
        table: Table,
        rows: &RowProgress,
    ) -> Result<Option<Digest>, RebuildError> {
        let (Some(live), Some(session)) = (self.schema.table(table), held.session(table.name())) else {
            return Ok(None);
        };
        Ok(Some(digest(session, table.name(), &live.columns, rows).await?))
    }

    async fn rename(&mut self, held: Held) -> Result<(), RebuildError> {
        let epoch = self.control.epoch;
        let old = self.schema.tables.iter().map(|live| live.table);
        let old = old.map(|table| Rename { from: table.to_string(), to: old_name(epoch, table) });
        let new = self.tables.iter().map(|table| Rename { from: new_name(epoch, *table), to: table.to_string() });
        let renames: Vec<_> = old.chain(new).collect();
        match held.rename(&renames, &mut self.writers.first).await {
            Ok(()) => Ok(()),
            Err(source @ (GameDbError::Broken { .. } | GameDbError::Timeout | GameDbError::Answer { .. })) => {
                Err(RebuildError::Unknown { source })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The switch lets nothing in between. Should it ever, then nobody may say that nothing was lost.
    async fn slipped(&mut self, shadows: &[Shadow], live: &[Option<Digest>]) -> Result<Vec<Table>, RebuildError> {
        let mut slipped = Vec::new();
        self.writers.first.run("SET SESSION lock_wait_timeout = 10").await?;
        for (shadow, seen) in shadows.iter().zip(live) {
            let (Some(live), Some(seen)) = (self.schema.table(shadow.table), seen) else { continue };
            let old = old_name(self.control.epoch, shadow.table);
            if digest(&mut self.writers.first, &old, &live.columns, &RowProgress::default()).await? != *seen {
                slipped.push(shadow.table);
            }
        }
        self.writers.first.untie(&self.tables).await?;
        Ok(slipped)
    }

    /// Reads the tables that are live now and holds them against the log as it is now.
    async fn verify(
        &mut self,
        folded: Folded,
        shadows: &[Shadow],
        slipped: &[Table],
    ) -> Result<Vec<Compared>, RebuildError> {
        self.step = "verify";
        let held_against = folded.scribe.moved();
        let folded = further(self.order.log, folded, self.order.threads, &Arc::new(Progress::default())).await?;
        let same_log = folded.scribe.moved() == held_against;
        if slipped.is_empty() && same_log && self.untouched(shadows).await? {
            // Nobody waits until a whole game is freed.
            tokio::task::spawn_blocking(move || drop(folded));
            let notes = vec![self.run.done("verify"), self.run.finished("verified")];
            let written = self.order.book.write(notes).await;
            written.map_err(|source| RebuildError::SwitchedUnrecorded { source })?;
            return Ok(Vec::new());
        }
        let look = look(&mut self.writers.first, &folded, &self.tables, Details::FIRST, &RowProgress::default()).await;
        let notes = match &look {
            Ok(look) if look.tables.iter().all(Compared::is_equal) && slipped.is_empty() => {
                vec![self.run.done("verify"), self.run.finished("verified")]
            }
            Ok(_) if !slipped.is_empty() => {
                let names: Vec<_> = slipped.iter().map(Table::to_string).collect();
                let why = format!("rows were written in the moment of the switch to {}", names.join(", "));
                vec![self.run.failed("verify", why), self.run.finished("remaining")]
            }
            Ok(look) => {
                let rows: u64 = look.tables.iter().map(|table| table.changed + table.missing + table.surplus).sum();
                vec![self.run.failed("verify", format!("{rows} rows differ")), self.run.finished("remaining")]
            }
            Err(error) => vec![self.run.unknown("verify", error.to_string()), self.run.finished("switched")],
        };
        let written = self.order.book.write(notes).await;
        written.map_err(|source| RebuildError::SwitchedUnrecorded { source })?;
        Ok(look?.tables)
    }

    /// Whether every row of the live tables is the one that was held against the log before the switch.
    async fn untouched(&mut self, shadows: &[Shadow]) -> Result<bool, RebuildError> {
        for shadow in shadows {
            let published = LiveTable::published(shadow.table);
            let live = self.schema.table(shadow.table).unwrap_or(&published);
            let rows = RowProgress::default();
            if digest(&mut self.writers.first, shadow.table.name(), &live.columns, &rows).await? != shadow.digest {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves nothing behind, as far as that can be done; what cannot, the next rebuild does.
    async fn give_up(&mut self, fence: &mut Fence, error: &RebuildError) {
        let mut notes = vec![self.run.failed(self.step, told(error)), self.run.finished("given_up")];
        match error {
            // Whoever fenced us off has taken over; and what is not known is found out by the next rebuild.
            RebuildError::SwitchedUnrecorded { .. } | RebuildError::SwitchedUnread { .. } => return,
            RebuildError::Unknown { source } => {
                notes = vec![self.run.unknown(self.step, source.to_string())];
            }
            RebuildError::Fenced => {}
            _ => {
                // Whatever the writers have begun ends with them, so that its table can be dropped.
                for writer in self.writers.all() {
                    let _gone = fence.session().run(format!("KILL {}", writer.id)).await;
                }
                let cleared = clear(fence.session()).await;
                self.control.gave_up();
                if cleared.is_err() || fence.write(&self.control).await.is_err() {
                    tracing::warn!("what the rebuild left in the database is removed by the next one");
                }
            }
        }
        if let Err(error) = self.order.book.write(notes).await {
            tracing::warn!(%error, "the end of the rebuild is written down by the next one");
        }
    }
}

/// How things were when the shadows were begun.
struct Began {
    at: Position,
    shapes: Vec<String>,
}

/// What was taken in while the tables were held.
struct TakenIn {
    folded: Folded,
    shadows: Vec<Shadow>,
    caught_up: bool,
    live: Vec<Option<Digest>>,
}

/// Drops every shadow of every rebuild that is not at work; the fence is ours. One that somebody still writes to, because
/// he does not know yet that he is fenced off, is left to the next rebuild: nothing is ever built under its name again.
pub(super) async fn clear(session: &mut Session) -> Result<(), GameDbError> {
    session.run("SET SESSION lock_wait_timeout = 10").await?;
    let left = session.tables_called(NEW).await?;
    match session.drop_tables(&left).await {
        Err(GameDbError::Locked { message }) => {
            tracing::warn!(%message, "a table that an earlier rebuild left is still written to; the next one drops it");
            Ok(())
        }
        dropped => dropped,
    }
}

/// The switch is done, whatever came behind it.
fn unread(error: RebuildError) -> RebuildError {
    match error {
        RebuildError::SwitchedUnrecorded { .. } => error,
        error => RebuildError::SwitchedUnread { source: Box::new(error) },
    }
}

/// What tables made from this are made from.
async fn made_from(log: &dyn EventLog, folded: &Folded) -> Result<MadeFrom, ReadError> {
    let as_of = folded.scribe.moved();
    Ok(MadeFrom { log: folded.log, as_of, root: log.root_at(as_of).await? })
}

fn digests(shadows: &[Shadow]) -> String {
    let all: Vec<String> = shadows.iter().map(|shadow| shadow.digest.to_string()).collect();
    all.join(",")
}

fn switched_notes(run: &Run, shadows: &[Shadow]) -> Vec<Note> {
    let built = shadows.iter().map(|shadow| run.built(shadow.table.name(), shadow.digest));
    let switched = shadows.iter().map(|shadow| switched_note(run, shadow.table.name()));
    built.chain(switched).chain([run.done("switch"), run.step("verify")]).collect()
}

/// Readers see the new table.
pub(super) fn switched_note(run: &Run, table: &str) -> Note {
    run.once(table, OpsEvent::SwitchedOver { table: label(table) })
}

/// Somebody changed this row outside the engine.
fn outside_note(run: &Run, row: &Difference) -> Note {
    let event = OpsEvent::OutOfBandChangeFound { table: label(row.table.name()), key: label(&row.key) };
    run.once(&format!("{}:{}", row.table, row.key), event)
}

/// An error with its causes, as a step's reason.
fn told(error: &RebuildError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
