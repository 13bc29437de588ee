//! `wox import game-db`: a running game's tables taken over at one consistent snapshot (row E5).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{Amount, Digest, Event, NewEvent, OpsEvent, Position, Revision, StreamId, Timestamp, ops::TableTaken};

use crate::{
    cli::{
        CliError, Context, game_db,
        input::Lines,
        progress::Progress,
        render::{Document, counted, grouped},
        store,
    },
    exit_code::ExitCode,
    import::game_tables::{Book, Judge, Opening, Options, Roster, Survey, Totals, Unmapped, Verdict},
    log::{AppendError, AppendRequest, EmbeddedLog, EventLog, Head, embedded},
    rebuild::{
        LookError,
        look::{RowProgress, each_row},
    },
    rfc3339,
    tables::{Batch, Table},
    world::game_db::{Session, schema::Schema},
};

/// Take over the tables of a running game
///
/// Reads the five tables at one consistent snapshot while the game plays on, and makes one opening event of each row,
/// marked imported and unproven, balanced against an import account. Players are platform user ids: a file says which
/// handle is whom, and nothing is guessed. A row that cannot be taken over is refused by name; then nothing is imported,
/// unless --leave-out says to go on without such rows. A store is born once: the same tables again change nothing, other
/// tables are refused.
///
/// Assumed, and marked so: stakes of running duels came from the bonus balance; open withdrawals may have been paid.
///
/// Exit code 0 when all rows are or would be taken over, 3 when --preview finds rows that would be refused, 4 when
/// something is refused.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox import game-db --players ids.csv --preview     what would be taken over; writes nothing
  wox import game-db --players ids.csv --pool 1520.5

ids.csv has one `handle,platform-user-id` a line; JSON Lines {\"handle\": …, \"id\": …} work too.
The database is named by WOX_GAME_DB_URL, or [game_db] url in wox.toml.")]
pub(super) struct GameDbArgs {
    /// File with the platform user id of every handle, CSV or JSON Lines (.gz and .zst too), or - for stdin
    #[arg(long, value_name = "FILE", required_unless_present = "unmapped")]
    players: Option<PathBuf>,
    /// A handle without an id: refuse its row, or hold it as the player `unmapped:<handle>`
    #[arg(long, value_name = "WHAT", value_enum)]
    unmapped: Option<UnmappedArg>,
    /// What the prize pool holds: no table of the game says [default: the shares of open withdrawals]
    #[arg(long, value_name = "AMOUNT")]
    pool: Option<Amount>,
    /// Chain id of the transactions
    #[arg(long, value_name = "ID", default_value = "8453")]
    chain: u64,
    /// Say what would be imported and what refused, and write nothing
    #[arg(long)]
    preview: bool,
    /// Go on without the rows that are refused; each is recorded with its reason
    #[arg(long)]
    leave_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum UnmappedArg {
    /// Refuse its row
    Refuse,
    /// Take it over as a player of its own, whom nobody can be until somebody says
    Hold,
}

/// What an import of tables did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct GenesisReport {
    /// The digest of the whole import: every event's id follows from it.
    import: Digest,
    /// When the snapshot was taken, RFC 3339, by the database's clock.
    taken_at: String,
    /// True when nothing was written because nothing was to be.
    preview: bool,
    /// True when exactly this import is in the store already.
    repeat: bool,
    /// Each table.
    tables: Vec<TableImported>,
    /// Rows that cannot be taken over.
    refused: Vec<RowRefused>,
    /// What stays in the tables because the log cannot hold it.
    kept: Vec<CellsKept>,
    /// The sums of all opening entries, by account.
    totals: Totals,
    /// The opening entry of the pool.
    pool: Amount,
    /// Handles of the file that no row has.
    unused_handles: u64,
    /// Where the log stands; null when nothing was written.
    head: Option<Head>,
}

/// One table of an import.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TableImported {
    /// Which.
    table: Table,
    /// Rows read.
    rows: u64,
    /// Rows taken over.
    imported: u64,
    /// Rows refused.
    refused: u64,
    /// Over every row as it was read; `wox diff` gives the same for the same rows.
    digest: Digest,
}

/// A row that cannot be taken over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct RowRefused {
    /// Its table.
    table: Table,
    /// Its key.
    key: String,
    /// The column, and what is wrong with it.
    reason: String,
}

/// Cells that stay in the table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct CellsKept {
    /// Their table.
    table: Table,
    /// Their column.
    column: &'static str,
    /// Why the log cannot hold them.
    what: &'static str,
    /// In how many rows.
    rows: u64,
}

/// Rows of one transaction of the store.
const BATCH_ROWS: usize = 2_000;
/// Refused rows that people are shown; the rest is counted.
const SHOWN_REFUSED_MAX: usize = 50;
/// Refused rows whose names are kept: an import with more is not repaired row by row.
const REFUSED_MAX: usize = 100_000;
/// The stream of the import itself.
const STREAM: &str = "ops-genesis";

pub(super) async fn run(args: GameDbArgs, context: Context) -> Result<ExitCode, CliError> {
    let roster = roster(&args, &context).await?;
    let mut session = game_db::connect(&context).await?;
    let schema = schema(&mut session).await?;
    session.snapshot().await?;
    let taken_at = session.now().await?;
    let progress = Progress::new(context.progress, 3);
    let counter = RowProgress::default();
    let phase = progress.phase(1, "survey", "rows", None);
    let surveying = survey(&mut session, &schema, &counter);
    let survey = game_db::rows_watched(surveying, &counter, &phase, &context).await?;
    phase.finish();
    let book = survey.finish(&roster, Options { chain: args.chain, pool: args.pool });

    // Whatever was begun in the store decides what time it was: a repeat has to give the same events.
    let known = born(&context, &book).await?;
    let taken_at = known.as_ref().map_or(taken_at, |known| known.taken_at);
    let actor = known.as_ref().map_or(context.actor.clone(), |known| known.actor.clone());
    let mut judge = Judge::new(&book, &roster, actor.clone(), taken_at);
    let counter = RowProgress::default();
    let phase = progress.phase(2, "judge", "rows", None);
    let judging = judged(&mut session, &schema, &counter, &mut judge);
    let judged = game_db::rows_watched(judging, &counter, &phase, &context).await?;
    phase.finish();
    if let Some(pool) = args.pool.filter(|pool| *pool < judge.totals.pool_shares) {
        return Err(CliError::usage(
            "wox::import::pool",
            format!("a pool of {pool} G is less than the {} G that open withdrawals paid in", judge.totals.pool_shares),
        )
        .next("look at the game's figure of the prize pool again"));
    }
    let mut report = judged.report(&book, &judge, taken_at);
    if args.preview || known.as_ref().is_some_and(|known| known.complete) {
        report.preview = args.preview;
        report.repeat = known.is_some_and(|known| known.complete);
        return print(
            &report,
            &context,
            if report.is_clean() || report.repeat { ExitCode::Done } else { ExitCode::Differences },
        );
    }
    if !report.is_clean() && !args.leave_out {
        return print(&report, &context, ExitCode::Refused);
    }

    let mut judge = Judge::new(&book, &roster, actor, taken_at);
    let home = Home::open(&context, known.is_some()).await?;
    let phase = progress.phase(3, "import", "rows", Some(book.tables.iter().map(|taken| taken.rows).sum()));
    let appended =
        append(&mut session, &schema, &home.log, &mut judge, &report, &context, |rows| phase.set(rows)).await;
    session.close().await;
    report.head = Some(home.end(appended).await?);
    phase.finish();
    print(&report, &context, ExitCode::Done)
}

async fn roster(args: &GameDbArgs, context: &Context) -> Result<Roster, CliError> {
    let unmapped = match args.unmapped {
        Some(UnmappedArg::Hold) => Unmapped::Hold,
        Some(UnmappedArg::Refuse) | None => Unmapped::Refuse,
    };
    let Some(path) = args.players.clone() else { return Ok(Roster::new(unmapped)) };
    let reading = move || read_roster(&path, unmapped);
    let read = context.interrupt.unless_asked(reading).await;
    read.unwrap_or_else(
        || Err(CliError::interrupted("stopped; nothing was changed").next("run the same command again")),
    )
}

fn read_roster(path: &Path, unmapped: Unmapped) -> Result<Roster, CliError> {
    let mut lines = Lines::open(path)?;
    let mut roster = Roster::new(unmapped);
    while let Some(line) = lines.next_line()? {
        roster.line(&line.text).map_err(|error| {
            CliError::failed("wox::import::players", error.to_string())
                .at("file", path.display())
                .at("line", line.number)
                .next("write one `handle,platform-user-id` a line; the platform's API gives the id of a handle")
        })?;
    }
    Ok(roster)
}

/// The tables' shape; all five have to be there.
async fn schema(session: &mut Session) -> Result<Schema, CliError> {
    let schema = session.schema(Table::VARIANTS).await?;
    let problems: Vec<_> = schema.fatal().cloned().collect();
    if !problems.is_empty() {
        return Err(LookError::Schema { problems }.into());
    }
    if schema.missing.is_empty() {
        return Ok(schema);
    }
    let missing: Vec<_> = schema.missing.iter().map(Table::to_string).collect();
    Err(CliError::refused(
        "wox::import::missing-table",
        format!("{} not there: {}", counted(missing.len() as u64, "table"), missing.join(", ")),
    )
    .next("point WOX_GAME_DB_URL at the game's own database")
    .next("a table that is lost is restored by the game first: a store is born once, and not from half a game"))
}

/// What the store says of an import that was begun.
struct Born {
    taken_at: Timestamp,
    actor: wox_events::Actor,
    complete: bool,
}

/// Looks whether this import may be taken into the store: it is not there, or empty of game events, or was born of
/// exactly these tables.
async fn born(context: &Context, book: &Book) -> Result<Option<Born>, CliError> {
    let log = match EmbeddedLog::open_read_only(&context.store).await {
        Ok(log) => log,
        Err(embedded::OpenError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let looked = look_for_birth(&log, book, context).await;
    log.close().await;
    looked
}

async fn look_for_birth(log: &EmbeddedLog, book: &Book, context: &Context) -> Result<Option<Born>, CliError> {
    let mut born = None;
    let stream = StreamId::new(STREAM).expect("a stream's name");
    for raw in log.read_stream(&stream).await? {
        match Event::decode(&stream, &raw.event.kind, raw.event.version, raw.event.data.as_str()) {
            Ok(Event::Ops(OpsEvent::GenesisBegun { import, tables, players, pool, chain, .. }))
                if import != book.import =>
            {
                return Err(other_tables(book, &tables, players, Options { chain, pool }, context));
            }
            Ok(Event::Ops(OpsEvent::GenesisBegun { taken_at, .. })) => {
                born = Some(Born { taken_at, actor: raw.event.actor, complete: false });
            }
            Ok(Event::Ops(OpsEvent::GenesisCompleted { .. })) => {
                if let Some(born) = &mut born {
                    born.complete = true;
                }
            }
            _ => {}
        }
    }
    if born.is_some() {
        return Ok(born);
    }
    let head = log.head().await?;
    let mut chunks = log.chunks(Position(0), head.position).await?;
    while let Some(chunk) = chunks.next().await? {
        for event in chunk.raw()? {
            let about_the_game = !matches!(
                event.stream.category(),
                "ops" | "incident" | "outbox" | "backup" | "plan" | "run" | "agent" | "chain"
            );
            if about_the_game {
                return Err(CliError::refused(
                    "wox::import::not-empty",
                    format!("the store has a history of this game already, from stream {} on", event.stream),
                )
                .at("store", context.store.display())
                .at("position", event.position)
                .next("import into a store of its own: --store DIR")
                .next("wox diff holds the tables against the history that is there"));
            }
        }
    }
    Ok(None)
}

fn other_tables(book: &Book, tables: &[TableTaken], players: Digest, options: Options, context: &Context) -> CliError {
    let mut told =
        CliError::refused("wox::import::born", "the store was born of other tables, and a store is born once")
            .at("store", context.store.display());
    for (before, now) in tables.iter().zip(&book.tables).filter(|(before, now)| before.digest != now.digest) {
        told = told.at("table", format!("{}: {} rows then, {} now, not the same", now.table, before.rows, now.rows));
    }
    if players != book.players {
        told = told.at("players", "handles are other platform user ids than then");
    }
    if options != book.options {
        told = told.at("options", "--pool or --chain are not what they were then");
    }
    told.next("wox diff says which rows differ, since when, and whose doing it is")
        .next("a new beginning is a new store: --store DIR")
        .next("an import that was stopped in the middle while the game played on: remove the store and import again")
}

async fn survey(session: &mut Session, schema: &Schema, counter: &RowProgress) -> Result<Survey, LookError> {
    let mut survey = Survey::default();
    for live in &schema.tables {
        survey.table(live.table);
        each_row(session, live.table.name(), &live.columns, counter, |cells| survey.row(live.table, cells)).await?;
    }
    Ok(survey)
}

/// What the second reading came to.
#[derive(Debug, Default)]
struct Judged {
    imported: BTreeMap<Table, u64>,
    refused: BTreeMap<Table, u64>,
    named: Vec<RowRefused>,
    kept: BTreeMap<(Table, &'static str, &'static str), u64>,
}

async fn judged(
    session: &mut Session,
    schema: &Schema,
    counter: &RowProgress,
    judge: &mut Judge<'_>,
) -> Result<Judged, LookError> {
    let mut judged = Judged::default();
    for live in &schema.tables {
        let table = live.table;
        each_row(session, live.table.name(), &live.columns, counter, |cells| match judge.row(table, cells) {
            Verdict::Import(opening) => {
                *judged.imported.entry(table).or_default() += 1;
                for (column, what) in opening.kept {
                    *judged.kept.entry((table, column, what)).or_default() += 1;
                }
            }
            Verdict::Refuse { key, reason } => {
                *judged.refused.entry(table).or_default() += 1;
                if judged.named.len() < REFUSED_MAX {
                    judged.named.push(RowRefused { table, key, reason });
                }
            }
        })
        .await?;
    }
    Ok(judged)
}

impl Judged {
    fn report(self, book: &Book, judge: &Judge<'_>, taken_at: Timestamp) -> GenesisReport {
        let tables = Table::VARIANTS.iter().zip(&book.tables).map(|(table, taken)| TableImported {
            table: *table,
            rows: taken.rows,
            imported: self.imported.get(table).copied().unwrap_or_default(),
            refused: self.refused.get(table).copied().unwrap_or_default(),
            digest: taken.digest,
        });
        let kept = self.kept.iter().map(|((table, column, what), rows)| CellsKept {
            table: *table,
            column,
            what,
            rows: *rows,
        });
        GenesisReport {
            import: book.import,
            taken_at: rfc3339::text(taken_at),
            preview: false,
            repeat: false,
            tables: tables.collect(),
            kept: kept.collect(),
            refused: self.named,
            totals: judge.totals,
            pool: book.options.pool.unwrap_or(judge.totals.pool_shares),
            unused_handles: book.unused,
            head: None,
        }
    }
}

/// The store that the import goes into: the one that is there, or a new one that takes its place only when it is whole,
/// so that an import that is killed leaves no store behind.
struct Home {
    log: EmbeddedLog,
    place: PathBuf,
    /// Where it is made, when it is a new one.
    making: Option<PathBuf>,
}

impl Home {
    async fn open(context: &Context, begun: bool) -> Result<Home, CliError> {
        let place = context.store.clone();
        match EmbeddedLog::open(&place).await {
            Ok(log) => return Ok(Home { log, place, making: None }),
            Err(embedded::OpenError::Missing { .. }) if !begun => {}
            Err(error) => return Err(error.into()),
        }
        store::make_parent(&place)?;
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".importing");
        let making = place.with_file_name(name);
        // What an import before this one left when it was killed; one that is still at work holds its lock.
        match EmbeddedLog::open(&making).await {
            Ok(left) => {
                left.close().await;
                drop(left);
                remove(&making)?;
            }
            Err(embedded::OpenError::Missing { .. }) => remove(&making)?,
            Err(embedded::OpenError::Locked { .. }) => {
                return Err(CliError::failed("wox::import::running", "another import into this store is at work")
                    .at("store", making.display())
                    .next("wait for it, or stop it"));
            }
            // Killed while it was being made: nothing in it was ever acknowledged to anybody.
            Err(_) => remove(&making)?,
        }
        let log = EmbeddedLog::create(&making, embedded::Options::default()).await?;
        context.say(format!("creating {}", place.display()));
        Ok(Home { log, place, making: Some(making) })
    }

    async fn end(self, appended: Result<(), CliError>) -> Result<Head, CliError> {
        let head = self.log.head().await;
        self.log.close().await;
        drop(self.log);
        match (&self.making, appended) {
            (None, appended) => appended?,
            (Some(making), Err(error)) => {
                remove(making)?;
                return Err(error);
            }
            (Some(making), Ok(())) => fs::rename(making, &self.place).map_err(|error| {
                CliError::failed("wox::import::place", "the new store cannot be put into its place")
                    .at("made", making.display())
                    .at("store", self.place.display())
                    .next("free the place, then run the command again")
                    .caused_by(error)
            })?,
        }
        Ok(head?)
    }
}

/// Removes a store that was never in its place.
fn remove(making: &Path) -> Result<(), CliError> {
    match fs::remove_dir_all(making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::failed("wox::import::leftover", "what an import before this one left cannot be removed")
                .at("directory", making.display())
                .next("remove it, then run the command again")
                .caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Appends requests and counts them.
struct Appender<'a> {
    log: &'a EmbeddedLog,
    requests: Vec<AppendRequest>,
    own: Revision,
}

impl Appender<'_> {
    /// Events of the import itself, one behind the other.
    async fn own(&mut self, event: NewEvent) -> Result<(), CliError> {
        let stream = StreamId::new(STREAM).expect("a stream's name");
        self.requests.push(AppendRequest { stream, expected: self.own, events: vec![event] });
        self.own = Revision(self.own.0 + 1);
        self.flush(BATCH_ROWS).await
    }

    async fn opening(&mut self, opening: Opening) -> Result<(), CliError> {
        let Opening { stream, event, .. } = opening;
        self.requests.push(AppendRequest { stream, expected: Revision::NO_STREAM, events: vec![event] });
        self.flush(BATCH_ROWS).await
    }

    async fn flush(&mut self, from: usize) -> Result<(), CliError> {
        if self.requests.len() < from {
            return Ok(());
        }
        for answer in self.log.append_many(std::mem::take(&mut self.requests)).await {
            answer.map_err(unfit)?;
        }
        Ok(())
    }
}

fn unfit(error: AppendError) -> CliError {
    let told = CliError::from(error);
    told.next("run the same command again: what is there already changes nothing")
}

async fn append(
    session: &mut Session,
    schema: &Schema,
    log: &EmbeddedLog,
    judge: &mut Judge<'_>,
    report: &GenesisReport,
    context: &Context,
    tell: impl Fn(u64),
) -> Result<(), CliError> {
    let written = |what: String| CliError::failed("wox::import::encode", what).next("report this as a defect");
    let mut appender = Appender { log, requests: Vec::new(), own: Revision::NO_STREAM };
    appender.own(judge.begun().map_err(written)?).await?;
    for row in &report.refused {
        let left = judge.left_out(row.table, &row.key, &row.reason).map_err(written)?;
        appender.own(left).await?;
    }
    let (mut done, mut imported) = (0, 0);
    for live in &schema.tables {
        let mut rows = session.rows(live.table.name(), &live.columns);
        let mut batch = Batch::default();
        while rows.next(&mut batch).await? {
            let mut openings = Vec::with_capacity(batch.len());
            {
                let mut cells = Vec::with_capacity(live.columns.len());
                for row in 0..batch.len() {
                    batch.row(row, &mut cells);
                    if let Verdict::Import(opening) = judge.row(live.table, &cells) {
                        openings.push(*opening);
                    }
                }
            }
            for opening in openings {
                appender.opening(opening).await?;
                imported += 1;
            }
            done += batch.len() as u64;
            tell(done);
            if context.interrupt.asked() {
                return Err(CliError::interrupted("stopped before the last row").next("run the same command again"));
            }
        }
    }
    if let Some(pool) = judge.pool().map_err(written)? {
        appender.opening(pool).await?;
    }
    appender.own(judge.completed(imported, done - imported).map_err(written)?).await?;
    appender.flush(1).await
}

impl GenesisReport {
    fn is_clean(&self) -> bool {
        self.tables.iter().all(|table| table.refused == 0)
    }

    fn refused_rows(&self) -> u64 {
        self.tables.iter().map(|table| table.refused).sum()
    }
}

fn print(report: &GenesisReport, context: &Context, code: ExitCode) -> Result<ExitCode, CliError> {
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let imported: u64 = report.tables.iter().map(|table| table.imported).sum();
    let refused = report.refused_rows();
    let would = match (report.repeat, code, report.preview) {
        (true, ..) => "in the store already",
        (_, ExitCode::Refused, _) => "could be imported, and none was",
        (_, _, true) => "would be imported",
        _ => "imported",
    };
    let mut document = Document::of(report)
        .records::<TableImported>("tables")
        .line(format!("{} read = {} {would} + {} refused", counted(rows, "row"), grouped(imported), grouped(refused)))
        .table(
            ["table", "rows", "imported", "refused", "digest"],
            report.tables.iter().map(|table| {
                let digest: String = table.digest.to_string().chars().take(16).collect();
                vec![
                    table.table.to_string(),
                    grouped(table.rows),
                    grouped(table.imported),
                    grouped(table.refused),
                    format!("{digest}…"),
                ]
            }),
        );
    if refused > 0 {
        let shown = report.refused.iter().take(SHOWN_REFUSED_MAX);
        let cells = shown.map(|row| vec![row.table.to_string(), row.key.clone(), row.reason.clone()]);
        document = document.line("").table(["refused in", "row", "because"], cells);
        let more = refused.saturating_sub(SHOWN_REFUSED_MAX as u64);
        if more > 0 {
            document = document.line(format!("and {} more: --output json has them all", grouped(more)));
        }
    }
    if !report.kept.is_empty() {
        let cells = report
            .kept
            .iter()
            .map(|kept| vec![format!("{}.{}", kept.table, kept.column), grouped(kept.rows), kept.what.to_owned()]);
        document = document.line("").table(["stays in the table", "rows", "because it has"], cells);
    }
    let totals = &report.totals;
    let sums = [
        ("bonus", totals.bonus),
        ("withdrawable", totals.withdrawable),
        ("duel escrow", totals.escrow),
        ("withdrawals in flight", totals.in_flight),
        ("burn queue", totals.burn_queue),
        ("prize pool", report.pool),
    ];
    document = document
        .line("")
        .line("opening entries, unproven:")
        .facts(sums.map(|(name, amount)| (format!("  {name}"), format!("{amount} G"))))
        .line("")
        .facts([("import", report.import.to_string()), ("snapshot", report.taken_at.clone())]);
    if let Some(head) = &report.head {
        document = document.line(format!("log {} is at position {}, root {}", head.log, head.position, head.root));
    }
    document.print(context.output)?;
    hints(report, context, code);
    Ok(code)
}

fn hints(report: &GenesisReport, context: &Context, code: ExitCode) {
    if !report.totals.failed_before.is_zero() {
        context.say(format!(
            "withdrawals of {} G failed before the import: whether they went back no table says, nothing is held for them",
            report.totals.failed_before
        ));
    }
    if report.unused_handles > 0 {
        context.say(format!("{} of the file have no row", counted(report.unused_handles, "handle")));
    }
    match code {
        ExitCode::Refused | ExitCode::Differences => context.say(
            "next: repair the rows in the game's table, or give --leave-out to go on without them; nothing was written",
        ),
        _ if report.repeat => context.say("nothing to do: exactly these tables are in the store"),
        _ if report.preview => context.say("next: the same without --preview"),
        _ => context.say("next: wox diff, then wox plan"),
    }
}
