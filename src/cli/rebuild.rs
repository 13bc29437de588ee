//! `wox rebuild`: the game's live tables made anew from the log, shown first and carried out when it is confirmed; and the
//! old ones put back.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{Digest, Position};

use crate::{
    cli::{
        CliError, Context,
        diff::{COUNTS_HEADER, ROWS_HEADER, SHOWN_ROWS_MAX, TableCounts, rows_of, table},
        error::ErrorKind,
        evidence, game_db,
        progress::{Phase, Progress},
        render::{Document, counted, grouped},
        store, time,
    },
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    rebuild::{
        Book, Folded, Pace, RebuildError, Survey,
        book::{BookError, earlier_basis},
        fold::watched,
        kept::{Kept, kept},
        look::RowProgress,
        pace::pause_file,
        revert::{Reverted, revert},
        run::{Order, Rebuilt, fence, rebuild},
        settle::{Found, settle},
        survey::{Basis, Obstacle, survey},
    },
    replay,
    tables::{Difference, Table, compare::Compared, image::Unholdable},
    world::game_db::{
        GameDb,
        shadow::undone_name,
        switch::{Control, Fence},
    },
};

/// Make the game's live tables anew from the log
///
/// Without a decision nothing is written: the tables are held against the log, and what would be overwritten is shown,
/// with the rows somebody changed outside the engine, and an id. `--confirm ID` carries out exactly that, and refuses when
/// anything has moved since: an event, or any column of any row, so the game's writers have to be stopped for it. `--yes`
/// is for runs without a person: it carries out whatever is found, unless rows were changed outside the engine.
///
/// New tables are built beside the live ones, checked, and put in place by one RENAME: readers see the old tables or the
/// new ones. The game goes on; what it writes meanwhile is taken in before the switch, while writers wait and readers do
/// not; what is edited meanwhile and no event bears out ends it before the switch. Tables that foreign keys tie together are replaced together. The old tables are kept (`_wox_old_…`), and
/// `--revert` puts them back, unless one was lost before; `--drop-kept` drops those that no revert needs.
///
/// While the file rebuild.pause stands in the store, a rebuild waits. Ctrl-C stops it before the switch with the tables
/// untouched. Killed at any point, the next run finds out what became of it.
///
/// Exit code 3 when something would change, 0 when nothing would or all of it was done, 4 when refused, 6 when the
/// connection broke in the switch and nobody can look yet.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox rebuild                                  what would change, in all five tables
  wox rebuild burn_queue --confirm 3f9c2b7a    carry out what was shown under this id
  wox rebuild --yes --throttle 5000            without a person, at most 5000 rows a second
  wox rebuild --revert                         put the old tables back
  wox rebuild --drop-kept                      which tables of earlier rebuilds are still kept, and the id that drops them

The database is named by WOX_GAME_DB_URL, or [game_db] url in wox.toml.")]
pub(super) struct RebuildArgs {
    /// Only these tables, and those that foreign keys tie to them [default: all five]
    #[arg(value_name = "TABLE", value_delimiter = ',', value_parser = table)]
    tables: Vec<Table>,
    /// Carry out what was shown under this id; with --revert, lose the rows that were named under it
    #[arg(long, value_name = "ID", value_parser = id)]
    confirm: Option<String>,
    /// Carry out what is found, unless rows were changed outside the engine
    #[arg(long, conflicts_with_all = ["confirm", "revert"])]
    yes: bool,
    /// Put the tables back that were live before the last rebuild that was switched
    #[arg(long, conflicts_with = "throttle")]
    revert: bool,
    /// Drop what earlier rebuilds and reverts kept, all but what --revert would put back; shows them without --confirm
    #[arg(long, conflicts_with_all = ["revert", "yes", "throttle", "tables"])]
    drop_kept: bool,
    /// Most rows a second while building [default: no limit]
    #[arg(long, value_name = "ROWS")]
    throttle: Option<NonZeroU32>,
    /// How long open transactions are waited for before the switch, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    wait: u32,
    /// How long the game may be kept waiting while its last writes are taken in, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    hold: u32,
}

/// The beginning of an id: enough digits that nobody confirms by accident.
pub(super) fn id(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let hex = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { Ok(text) } else { Err("an id has 8 to 64 hexadecimal digits; the dry run prints it".into()) }
}

/// What a rebuild found and did.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RebuildReport {
    /// The digest of what it rests on.
    id: Digest,
    /// What it rests on.
    basis: Basis,
    /// `equal`, `differs`, or what came of it: `verified`, `remaining`.
    verdict: &'static str,
    /// Each table.
    tables: Vec<TableReport>,
    /// Tables that were not asked for and are tied to one that was.
    drawn_in: Vec<Table>,
    /// Rows that are overwritten or taken out, as they were found, and some of those that are added.
    differences: Vec<Difference>,
    /// How many of them were changed or added outside the engine, as far as can be told.
    outside: u64,
    /// Rows that are overwritten or taken out and were only counted.
    unlooked: u64,
    /// What has to be out of the way first.
    obstacles: Vec<Obstacle>,
    /// True when a rebuild made the live tables from another log.
    other_log: bool,
    /// What the log knows and no table can hold.
    unholdable: Vec<Unholdable>,
    /// What was done, when something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<DoneReport>,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DoneReport {
    /// The number of the rebuild on this database.
    epoch: u64,
    /// The stream of its steps.
    run: String,
    /// The last event that can have moved a row of the new tables.
    as_of: Position,
    /// True when rows or events came in while it was built, and were taken in.
    caught_up: bool,
    /// How long writers had to wait, in milliseconds.
    held_ms: u64,
}

/// One table of a rebuild.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TableReport {
    /// How it was found.
    #[serde(flatten)]
    found: TableCounts,
    /// How many rows the new one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// Over every row of the new one as it was read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    built: Option<Digest>,
    /// Under which name the old one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
}

/// Tables that are kept beside the live ones.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeptReport {
    /// What a decision to drop them is bound to.
    id: Digest,
    /// Those that no command needs any more.
    spare: Vec<String>,
    /// Those that a revert of the last rebuild puts back.
    needed: Vec<String>,
    /// True when the spare ones were dropped by this run.
    dropped: bool,
}

/// What putting the old tables back did.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RevertReport {
    /// The number of the rebuild that was undone.
    epoch: u64,
    /// False when it had been done before.
    changes: bool,
    /// The tables.
    tables: Vec<Table>,
    /// Under which names the rebuild's tables are kept.
    kept: Vec<String>,
}

pub(super) async fn run(args: RebuildArgs, context: Context) -> Result<ExitCode, CliError> {
    if args.revert && !args.tables.is_empty() {
        let what = "--revert puts all tables of the last rebuild back together, and takes no table";
        return Err(CliError::usage("wox::rebuild::revert", what)
            .next("wox rebuild --revert")
            .next("one table by itself is made anew from the log: wox rebuild TABLE"));
    }
    let db = game_db::configured(&context)?;
    let log = store::open_to_read(&context).await?;
    let book = Book { store: context.store.clone(), by: context.actor.clone(), now: time::now };
    let job = Job { args, db, log, book, context };
    let result = match (job.args.revert, job.args.drop_kept) {
        (true, _) => job.revert().await,
        (_, true) => job.drop_kept().await,
        _ => job.rebuild().await,
    };
    job.log.close().await;
    result
}

struct Job {
    args: RebuildArgs,
    db: GameDb,
    log: EmbeddedLog,
    book: Book,
    context: Context,
}

impl Job {
    fn order(&self) -> Order<'_> {
        Order {
            db: &self.db,
            log: &self.log,
            book: &self.book,
            threads: evidence::threads(None),
            wait_seconds: self.args.wait,
            hold: Duration::from_secs(self.args.hold.into()),
        }
    }

    /// This command again, with the tables it was given.
    fn command(&self, flags: &str) -> String {
        let tables: Vec<_> = self.args.tables.iter().map(Table::to_string).collect();
        let tables = if tables.is_empty() { String::new() } else { format!(" {}", tables.join(",")) };
        format!("wox rebuild{tables}{flags}")
    }

    async fn rebuild(&self) -> Result<ExitCode, CliError> {
        let decided = self.args.yes || self.args.confirm.is_some();
        let progress = Progress::new(self.context.progress, if decided { 4 } else { 3 });
        let fence = if decided { Some(self.fence().await?) } else { None };
        let (survey, folded) = self.survey(progress).await?;
        if survey.is_equal() {
            return self.equal(&survey);
        }
        if !decided {
            return self.show(&survey).await;
        }
        if !survey.obstacles.is_empty() {
            let obstacles = survey.obstacles.clone();
            return self.refuse(self.told(RebuildError::Obstacles { obstacles })).await;
        }
        if let Err(refusal) = self.decide(&survey).await {
            return self.refuse(refusal).await;
        }
        let Some(mut fence) = fence else { return self.show(&survey).await };
        let phase = progress.phase(4, "rebuild", "rows", Some(rows_to_come(&survey)));
        let rows = RowProgress::default();
        let mut pace = Pace::new(&rows, self.args.throttle, pause_file(&self.context.store));
        let work = rebuild(self.order(), &mut fence, &survey, folded, &mut pace);
        let done = self.watched(work, &rows, &phase).await;
        fence.release().await;
        match done {
            Ok(rebuilt) => {
                phase.finish();
                self.report(&survey, &rebuilt)
            }
            Err(RebuildError::Unknown { source }) => {
                drop(phase);
                self.look_again(source.to_string()).await
            }
            Err(error) if error.is_refusal() => {
                drop(phase);
                self.refuse(self.told(error)).await
            }
            Err(error) => Err(self.told(error)),
        }
    }

    /// Takes the fence and puts in order what an earlier rebuild has left.
    async fn fence(&self) -> Result<Fence, CliError> {
        let (mut fence, left) = match fence(&self.db).await {
            Ok(taken) => taken,
            Err(error) if error.is_refusal() => {
                return self.refuse(self.told(error)).await;
            }
            Err(error) => return Err(self.told(error)),
        };
        let settled = settle(&mut fence, left, &self.book, &self.log).await;
        let (found, _) = settled.map_err(|error| self.told(error))?;
        if let Some(words) = found_words(&found) {
            self.context.say(words);
        }
        Ok(fence)
    }

    /// Looks at the tables, and where their values come from.
    async fn survey(&self, progress: Progress) -> Result<(Survey, Folded), CliError> {
        let until = self.log.head().await?.position;
        let mut asked = if self.args.tables.is_empty() { Table::VARIANTS.to_vec() } else { self.args.tables.clone() };
        asked.sort();
        asked.dedup();
        let mut session = self.db.connect().await?;
        let phase = progress.phase(1, "replay", "events", Some(until.0));
        let folded = game_db::folded(&self.log, until, phase, &self.context).await?;
        let rows = RowProgress::default();
        let phase = progress.phase(2, "compare", "rows", None);
        let looking = survey(&mut session, &self.log, &folded, &asked, evidence::threads(None), &rows);
        let mut found = self.watched(looking, &rows, &phase).await.map_err(|error| self.told(error))?;
        phase.finish();
        session.close().await;
        if let Some(seeker) = found.seeker() {
            let phase = progress.phase(3, "look for where it comes from", "events", Some(until.0));
            let events = std::sync::Arc::new(replay::Progress::default());
            let seeking = watched(&self.log, until, evidence::threads(None), &events, seeker);
            let (seeker, _) = evidence::watched(seeking, &events, &phase, &self.context).await?;
            phase.finish();
            found.tell(seeker);
        }
        found.judge();
        Ok((found, folded))
    }

    /// Runs something that reads or writes rows: shows how far it is, says when it is paused, passes Ctrl-C on to it.
    async fn watched<T>(
        &self,
        work: impl Future<Output = Result<T, RebuildError>>,
        rows: &RowProgress,
        phase: &Phase,
    ) -> Result<T, RebuildError> {
        tokio::pin!(work);
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let (mut asked, mut paused) = (false, false);
        loop {
            tokio::select! {
                biased;
                result = &mut work => {
                    phase.set(rows.done());
                    return result;
                }
                () = self.context.interrupt.wait(), if !asked => {
                    asked = true;
                    rows.stop();
                }
                _ = ticks.tick() => phase.set(rows.done()),
            }
            if rows.is_paused() != paused {
                paused = rows.is_paused();
                phase.pause(paused);
                let flag = pause_file(&self.context.store);
                self.context.say(match paused {
                    true => format!("paused: remove {} to go on, or press Ctrl-C to stop", flag.display()),
                    false => "going on".to_owned(),
                });
            }
        }
    }

    fn equal(&self, survey: &Survey) -> Result<ExitCode, CliError> {
        let document = Document::of(&report_of(survey, "equal", None)).records::<TableReport>("tables");
        let document =
            lines_of(survey, document.line("nothing to do: the tables are what the log says"), &self.context);
        document.print(self.context.output)?;
        Ok(if survey.look.unholdable.is_empty() { ExitCode::Done } else { ExitCode::Differences })
    }

    /// The dry run: what would be done, and the id that confirms it.
    async fn show(&self, survey: &Survey) -> Result<ExitCode, CliError> {
        let document = Document::of(&report_of(survey, "differs", None)).records::<TableReport>("tables");
        let document = lines_of(survey, document, &self.context).line("").line(format!(
            "rebuild {}: as of position {}; nothing was written",
            survey.id.short(),
            survey.basis.as_of
        ));
        document.print(self.context.output)?;
        let basis = serde_json::to_string(&survey.basis).map_err(|error| {
            CliError::failed("wox::rebuild::json", "the dry run cannot be written as JSON").caused_by(error)
        })?;
        self.book.act("rebuild", "differs", basis).await?;
        self.context.say(match survey.obstacles.is_empty() {
            true => format!("next: {}", self.command(&format!(" --confirm {}", survey.id.short()))),
            false => format!("next: clear what is in the way, then {}", self.command("")),
        });
        Ok(ExitCode::Differences)
    }

    /// Whether the person, or the policy for runs without one, lets this be carried out.
    async fn decide(&self, survey: &Survey) -> Result<(), CliError> {
        let looked = self.command("");
        if let Some(confirmed) = &self.args.confirm {
            if survey.id.to_string().starts_with(confirmed) {
                return Ok(());
            }
            let moved = match earlier_basis(&self.log, confirmed).await? {
                Some(then) => survey.basis.moved_since(&then),
                None => vec!["no dry run with this id is recorded in this log".into()],
            };
            let told = CliError::refused("wox::rebuild::moved", format!("not done: {}", moved.join("; ")));
            return Err(told.at("confirmed", confirmed).at("now", survey.id.short()).next(looked));
        }
        if survey.made.other_log {
            let told =
                CliError::refused("wox::rebuild::other-log", "not done: the live tables were made from another log");
            return Err(told.next(format!("{looked} shows what would change with an id that a person confirms")));
        }
        let outside = survey.outside().count() as u64;
        if outside + survey.unlooked() == 0 {
            return Ok(());
        }
        let mut what = format!("not done: {} changed outside the engine", counted(outside, "row"));
        if survey.unlooked() > 0 {
            what = format!("{what}, and {} more that nobody looked at", grouped(survey.unlooked()));
        }
        let rows = survey.outside().map(|row| format!("{} {}", row.table, row.key));
        let told = CliError::refused("wox::rebuild::outside", what).at("rows", some_of(outside, rows));
        Err(told.next(format!("{looked} shows them with an id that a person confirms")))
    }

    /// Says no, and writes it down.
    async fn refuse<T>(&self, refusal: CliError) -> Result<T, CliError> {
        self.book.act("rebuild", "refused", refusal.to_string()).await?;
        Err(refusal)
    }

    fn report(&self, survey: &Survey, rebuilt: &Rebuilt) -> Result<ExitCode, CliError> {
        let verdict = if rebuilt.is_verified() { "verified" } else { "remaining" };
        let rows =
            survey.look.tables.iter().zip(&survey.basis.tables).zip(&rebuilt.tables).map(|((found, basis), built)| {
                let name = if basis.lost { format!("{} (lost)", found.table) } else { found.table.to_string() };
                let old = rebuilt.old(built).unwrap_or_default();
                let counts = [found.live, found.changed, found.missing, found.surplus, built.rows].map(grouped);
                std::iter::once(name).chain(counts).chain([old]).collect()
            });
        let header = ["table", "rows before", "corrected", "added", "taken out", "rows now", "old table"];
        let mut document = Document::of(&report_of(survey, verdict, Some(rebuilt)))
            .records::<TableReport>("tables")
            .line(format!("rebuild {} ({}): the new tables are live", rebuilt.epoch, survey.id.short()))
            .table(header, rows)
            .line(format!("as of position {}; writers waited {} ms", rebuilt.as_of, rebuilt.held.as_millis()));
        if rebuilt.caught_up {
            document = document.line("what came in while it was built was taken in before the switch");
        }
        let differing: u64 = rebuilt.check.iter().map(|table| table.changed + table.missing + table.surplus).sum();
        document = document.line(match (differing, rebuilt.slipped.as_slice()) {
            (0, []) => "read again: every row is what the log says".to_owned(),
            (rows, []) => format!("read again: {} written since the switch", counted(rows, "row")),
            (_, slipped) => {
                let names: Vec<_> = slipped.iter().map(Table::to_string).collect();
                format!(
                    "rows were written in the moment of the switch to {}: they stand in the old tables",
                    names.join(", ")
                )
            }
        });
        for found in &survey.look.unholdable {
            document = document.line(unholdable(found));
        }
        document.print(self.context.output)?;
        let lost: Vec<_> =
            rebuilt.tables.iter().filter(|shadow| shadow.lost).map(|shadow| shadow.table.name()).collect();
        // Where one has no way back, the others have none without it: old and new tables would stand side by side.
        self.context.say(match lost.as_slice() {
            [] => "to undo it: wox rebuild --revert".to_owned(),
            lost => format!(
                "{} {} lost before, so no command undoes it: the tables are put back together or not at all; the old ones \
                 that were there are kept under the names above",
                lost.join(", "),
                if lost.len() == 1 { "was" } else { "were" }
            ),
        });
        if !rebuilt.is_verified() {
            self.context.say("next: wox diff");
        }
        let clean = rebuilt.is_verified() && survey.look.unholdable.is_empty();
        Ok(if clean { ExitCode::Done } else { ExitCode::Differences })
    }

    /// The connection broke in the switch: what became of it is found out by looking, as soon as somebody answers.
    async fn look_again(&self, why: String) -> Result<ExitCode, CliError> {
        self.context.say("the connection broke in the switch; looking what became of it");
        let since = Instant::now();
        while since.elapsed() < LOOK_AGAIN && !self.context.interrupt.asked() {
            if let Ok((mut fence, left)) = fence(&self.db).await {
                let (found, _) =
                    settle(&mut fence, left, &self.book, &self.log).await.map_err(|error| self.told(error))?;
                let words = found_words(&found).unwrap_or_else(|| "what was begun had come to its end".into());
                let told = CliError::failed("wox::rebuild::broken", words).at("because", why);
                return Err(told
                    .next(format!("{} says what differs now", self.command("")))
                    .next("look whether the server was restarted (its error log says)"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.context.say(format!(
            "nobody can look yet whether the old tables or the new ones are live ({why}); both are whole\n\
             next: start the database, then {}, which finds it out",
            self.command("")
        ));
        Ok(ExitCode::Unknown)
    }

    async fn drop_kept(&self) -> Result<ExitCode, CliError> {
        let Some(confirm) = &self.args.confirm else {
            let mut session = self.db.connect().await?;
            let last = session.control().await?;
            let found = kept(&mut session, last.as_ref()).await?;
            session.close().await;
            self.print_kept(&found, false)?;
            if found.spare.is_empty() {
                return Ok(ExitCode::Done);
            }
            self.context.say(format!("next: wox rebuild --drop-kept --confirm {}", found.id().short()));
            return Ok(ExitCode::Differences);
        };
        // Under the fence: no rebuild makes one of them needed meanwhile.
        let (mut fence, left) = match fence(&self.db).await {
            Ok(taken) => taken,
            Err(error) if error.is_refusal() => return self.refuse(self.told(error)).await,
            Err(error) => return Err(self.told(error)),
        };
        let settled = settle(&mut fence, left, &self.book, &self.log).await;
        let (_, last) = settled.map_err(|error| self.told(error))?;
        let found = kept(fence.session(), last.as_ref()).await?;
        if !found.id().to_string().starts_with(confirm.as_str()) {
            fence.release().await;
            let refusal =
                CliError::refused("wox::rebuild::kept-moved", "other tables are kept than were shown under this id")
                    .next("wox rebuild --drop-kept");
            return self.refuse(refusal).await;
        }
        // Before the deed too: what was dropped is named in the log, whatever comes between.
        self.book.act("rebuild-drop-kept", "began", found.spare.join(" ")).await?;
        let dropped = fence.session().drop_tables(&found.spare).await;
        fence.release().await;
        dropped?;
        self.book.act("rebuild-drop-kept", "done", found.spare.join(" ")).await?;
        self.print_kept(&found, true)?;
        Ok(ExitCode::Done)
    }

    fn print_kept(&self, found: &Kept, dropped: bool) -> Result<(), CliError> {
        let report = KeptReport { id: found.id(), spare: found.spare.clone(), needed: found.needed.clone(), dropped };
        let what = match (found.spare.is_empty(), dropped) {
            (true, _) => "no table is kept that nobody needs".to_owned(),
            (false, true) => format!("dropped {}", counted(found.spare.len() as u64, "table")),
            (false, false) => format!("{} kept and needed by no command", counted(found.spare.len() as u64, "table")),
        };
        let mut document = Document::of(&report).line(what);
        for name in &found.spare {
            document = document.line(format!("  {name}"));
        }
        if !found.needed.is_empty() {
            let needs = format!("wox rebuild --revert needs {}", found.needed.join(", "));
            document = document.line(self.context.pasteable(&needs));
        }
        document.print(self.context.output)
    }

    async fn revert(&self) -> Result<ExitCode, CliError> {
        let (mut fence, left) = match fence(&self.db).await {
            Ok(taken) => taken,
            Err(error) if error.is_refusal() => return self.refuse(self.told(error)).await,
            Err(error) => return Err(self.told(error)),
        };
        let settled = settle(&mut fence, left, &self.book, &self.log).await;
        let (found, last) = settled.map_err(|error| self.told(error))?;
        if let Some(words) = found_words(&found) {
            self.context.say(words);
        }
        let done = match revert(self.order(), &mut fence, last, self.args.confirm.as_deref()).await {
            Ok(done) => done,
            Err(RebuildError::Unknown { source }) => {
                fence.release().await;
                return self.look_again(source.to_string()).await;
            }
            Err(error) if error.is_refusal() => return self.refuse(self.told(error)).await,
            Err(error) => return Err(self.told(error)),
        };
        let (epoch, tables) = match done {
            Reverted::Already { epoch } => (epoch, Vec::new()),
            Reverted::Done { epoch, tables } => (epoch, tables),
        };
        let kept: Vec<_> = tables.iter().map(|table| undone_name(epoch, *table)).collect();
        let changes = !tables.is_empty();
        let line = match changes {
            true => format!(
                "the tables from before rebuild {epoch} are live again; its own are kept as {}",
                kept.join(", ")
            ),
            false => format!("nothing to do: rebuild {epoch} was undone before"),
        };
        Document::of(&RevertReport { epoch, changes, tables, kept }).line(line).print(self.context.output)?;
        Ok(ExitCode::Done)
    }

    /// What an error means to an operator.
    fn told(&self, error: RebuildError) -> CliError {
        let what = error.to_string();
        let again = self.command("");
        match error {
            RebuildError::GameDb(error) => error.into(),
            RebuildError::Look(error) => error.into(),
            RebuildError::Fold(error) => error.into(),
            RebuildError::Read(error) => error.into(),
            RebuildError::Json(error) => CliError::failed("wox::rebuild::json", what)
                .next("report this with the output of wox doctor")
                .caused_by(error),
            RebuildError::Busy { connection, .. } => {
                let told = CliError::refused("wox::rebuild::busy", what)
                    .next("wait for it, or stop it with Ctrl-C where it runs");
                match connection {
                    Some(id) => told.next(format!("a rebuild whose machine is gone ends with KILL {id}")),
                    None => told,
                }
            }
            RebuildError::Obstacles { obstacles } => {
                let told = CliError::refused("wox::rebuild::in-the-way", what);
                let told = obstacles.iter().take(5).fold(told, |told, obstacle| told.at("what", &obstacle.what));
                obstacles.into_iter().take(5).fold(told, |told, obstacle| told.next(obstacle.next))
            }
            RebuildError::NotAsTheLog { .. } => CliError::failed("wox::rebuild::not-as-the-log", what)
                .next("look into the server's character sets and triggers; report this when they are as usual"),
            RebuildError::Written { seconds, .. } => CliError::failed("wox::rebuild::written", what)
                .next(format!("let the game wait that long: --hold {}", seconds + 1))
                .next(format!("or stop its writers, then {again}")),
            RebuildError::Edited { count, rows } => CliError::refused("wox::rebuild::edited-meanwhile", what)
                .at("rows", some_of(count, rows.into_iter()))
                .next(format!("{again} shows them with an id that a person confirms"))
                .next("a game that writes its rows before its events does this too: stop its writers meanwhile"),
            RebuildError::Fenced => {
                CliError::refused("wox::rebuild::fenced", what).next(format!("{again} shows how things stand"))
            }
            RebuildError::Unknown { source } => {
                CliError::failed("wox::rebuild::unknown", what).next(format!("{again} finds it out")).caused_by(source)
            }
            RebuildError::Unrecorded { source } => match source.into() {
                told if matches!(CliError::kind(&told), ErrorKind::Failed) => told.next("nothing was switched"),
                told => told,
            },
            RebuildError::SwitchedUnrecorded { source } => CliError::failed("wox::rebuild::unrecorded", what)
                .next(format!("free the cause, then {again}: it writes down what is missing"))
                .caused_by(source),
            RebuildError::SwitchedUnread { .. } => {
                CliError::failed("wox::rebuild::unread", what).next("wox diff reads them").next(format!(
                    "{again} writes down what is missing; wox rebuild --revert undoes it where no table was lost"
                ))
            }
            RebuildError::NotOurs { next, .. } => CliError::refused("wox::rebuild::not-ours", what).next(next),
            RebuildError::NothingToRevert { .. } => CliError::refused("wox::rebuild::nothing-to-revert", what)
                .next(format!("{again} shows how things stand")),
            RebuildError::NotTheLast { epoch, id, .. } => {
                let short = id.get(..16).unwrap_or(&id).to_owned();
                CliError::refused("wox::rebuild::not-the-last", what)
                    .next(format!("{again} shows how the live tables stand"))
                    .next(format!(
                        "wox rebuild --revert --confirm {short} puts the tables from before rebuild {epoch} back"
                    ))
            }
            RebuildError::WrittenSince { tables, id } => {
                let short = id.get(..16).unwrap_or(&id).to_owned();
                CliError::refused("wox::rebuild::written-since", what).at("tables", tables.join(", ")).next(format!(
                    "wox rebuild --revert --confirm {short} loses those rows (they stay in _wox_undone_…)"
                ))
            }
        }
    }
}

/// The first few of so many rows, and how many there are beside them.
fn some_of(count: u64, rows: impl Iterator<Item = String>) -> String {
    let first: Vec<_> = rows.take(3).collect();
    match count.saturating_sub(first.len() as u64) {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), grouped(more)),
    }
}

/// How long somebody is waited for who can say what became of a switch.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

impl From<BookError> for CliError {
    fn from(error: BookError) -> CliError {
        match error {
            BookError::Open(error) => error.into(),
            BookError::Read(error) => error.into(),
            BookError::Append(error) => error.into(),
            BookError::Act(error) => (*error).into(),
            BookError::Json(error) => CliError::failed("wox::rebuild::json", "a record cannot be written as JSON")
                .next("report this with the output of wox doctor")
                .caused_by(error),
        }
    }
}

/// What an earlier rebuild had left, when it had left something.
fn found_words(found: &Found) -> Option<String> {
    let undoing = |last: &Control| last.last_switched().map_or_else(Default::default, |last| (last.epoch, last.tables));
    Some(match found {
        Found::Nothing => return None,
        Found::NotSwitched(last) => {
            format!(
                "rebuild {} was cut off before the switch: the old tables are live, what it left is gone",
                last.epoch
            )
        }
        Found::Switched(last) => {
            format!("rebuild {} was cut off behind the switch: its tables ({}) are live", last.epoch, last.tables)
        }
        Found::NotReverted(last) => {
            let (epoch, tables) = undoing(last);
            format!("undoing rebuild {epoch} was cut off: its tables ({tables}) are still live")
        }
        Found::Reverted(last) => {
            format!("undoing rebuild {} was cut off at its end: the tables from before are live", undoing(last).0)
        }
    })
}

/// Rows that are gone through to build the new tables: the live ones, and those that are missing.
fn rows_to_come(survey: &Survey) -> u64 {
    survey.look.tables.iter().map(|table| table.live + table.missing).sum()
}

fn report_of(survey: &Survey, verdict: &'static str, rebuilt: Option<&Rebuilt>) -> RebuildReport {
    let found = |at: usize, compared: &Compared| {
        let lost = survey.basis.tables.get(at).is_some_and(|basis| basis.lost);
        let built = rebuilt.and_then(|rebuilt| Some((rebuilt, rebuilt.tables.get(at)?)));
        TableReport {
            found: TableCounts::of(compared, lost),
            rows: built.map(|(_, shadow)| shadow.rows),
            built: built.map(|(_, shadow)| shadow.digest),
            old: built.and_then(|(rebuilt, shadow)| rebuilt.old(shadow)),
        }
    };
    RebuildReport {
        id: survey.id,
        basis: survey.basis.clone(),
        verdict,
        tables: survey.look.tables.iter().enumerate().map(|(at, compared)| found(at, compared)).collect(),
        drawn_in: survey.drawn_in.clone(),
        differences: survey.differences().cloned().collect(),
        outside: survey.outside().count() as u64,
        unlooked: survey.unlooked(),
        obstacles: survey.obstacles.clone(),
        other_log: survey.made.other_log,
        unholdable: survey.look.unholdable.clone(),
        done: rebuilt.map(|rebuilt| DoneReport {
            epoch: rebuilt.epoch,
            run: rebuilt.run.to_string(),
            as_of: rebuilt.as_of,
            caught_up: rebuilt.caught_up,
            held_ms: u64::try_from(rebuilt.held.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

fn unholdable(found: &Unholdable) -> String {
    format!("{} has no place for {}: {}", found.table, found.subject, found.why)
}

/// What was found, for people.
fn lines_of(survey: &Survey, document: Document, context: &Context) -> Document {
    let counts = survey.look.tables.iter().zip(&survey.basis.tables);
    let counts = counts.map(|(compared, basis)| TableCounts::of(compared, basis.lost).cells());
    let mut document = document.table(COUNTS_HEADER, counts);
    for (compared, basis) in survey.look.tables.iter().zip(&survey.basis.tables) {
        document = TableCounts::of(compared, basis.lost).left_out_line().into_iter().fold(document, Document::line);
    }
    for table in &survey.drawn_in {
        document = document.line(format!("{table} is replaced along: foreign keys tie it to what was asked for"));
    }
    let outside: Vec<_> = survey.outside().collect();
    if !outside.is_empty() {
        let rows: Vec<_> = outside.iter().take(SHOWN_ROWS_MAX).flat_map(|row| rows_of(row)).collect();
        document = document
            .line("")
            .line(format!(
                "{} changed outside the engine, and would be overwritten:",
                counted(outside.len() as u64, "row")
            ))
            .table(ROWS_HEADER, rows);
        if outside.len() > SHOWN_ROWS_MAX {
            let more = (outside.len() - SHOWN_ROWS_MAX) as u64;
            document = document.line(format!("and {} more; --output json shows all of them", counted(more, "row")));
        }
    }
    let taken_away = survey.taken_away().count() as u64;
    if taken_away > 0 {
        let were = if taken_away == 1 { "was" } else { "were" };
        document = document.line(format!(
            "{} {were} taken away outside the engine since the last rebuild, and would come back",
            counted(taken_away, "row")
        ));
    }
    if survey.unlooked() > 0 {
        document = document.line(format!("{} more that differ were only counted", grouped(survey.unlooked())));
    }
    if survey.made.other_log {
        document = document.line("the live tables were made from another log than this store's");
    }
    for obstacle in &survey.obstacles {
        document = document.line(format!("in the way: {}; {}", obstacle.what, context.pasteable(&obstacle.next)));
    }
    for found in &survey.look.unholdable {
        document = document.line(unholdable(found));
    }
    document
}
