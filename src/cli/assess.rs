//! `wox assess`: one look at the log, the game's tables, the server they are on and a dump; one list of named checks.

use std::{path::PathBuf, sync::atomic::Ordering};

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{Event, NewEvent, OpsEvent, Position, Provenance, Revision, StreamId, Timestamp};

use crate::{
    assess::{self, Check, Status, image::ImageReport},
    cli::{
        CliError, Context,
        diff::{COUNTS_HEADER, TableCounts},
        error::ErrorKind,
        game_db,
        progress::Progress,
        render::{Document, counted},
        store, time,
    },
    exit_code::ExitCode,
    log::{AppendRequest, EmbeddedLog, EventLog},
    rebuild::{
        Folded, Look,
        look::{RowProgress, look},
        survey::made,
    },
    recovery::{Evidence, Finding, diagnose},
    rfc3339,
    tables::{Table, compare::Details},
    world::game_db::{GameDb, GameDbError, Session, rows::DEFINITION_WAIT},
};

mod image;

/// Look at everything and say how it is, as one list of named checks
///
/// Looks at the log's invariants, at the game's live tables (their shape, CHECK TABLE, every row against the log), at the
/// server they are on (connections, hosts it shuts out, transactions that stay open, locks, writes, disk), and with --image
/// at a dump of one table as evidence. Changes nothing but its own record in the log: a check whose result is news, and
/// that you looked. A check that could not be made is never ok.
///
/// Exit code 3 when a check is violated; 1 when none is, but one could not be made; 0 when every check that can be made here
/// is ok. Checks that are `not_available` (nothing is set up to make them) are listed and do not count.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox assess
  wox assess --output json | jq '.checks[] | select(.status != \"ok\")'
  wox assess --image /var/backups/wizards-of-x/critical/players_2026-08-01_20.sql.gz

The database is named by WOX_GAME_DB_URL, or [game_db] url in wox.toml. A dump is read, never run: its rows go into a
scratch schema of their own, wox_scratch_…, which is removed at the end.")]
pub(super) struct AssessArgs {
    /// A dump of one table (mysqldump; .gz and .zst too) to hold against the log of its time and the live table
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// When the dump was taken, RFC 3339 [default: what it says itself, taken for UTC]
    #[arg(long, value_name = "TIME", value_parser = rfc3339::parse, requires = "image")]
    image_time: Option<Timestamp>,
    /// For how long a transaction may be open, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    transaction_max: u64,
}

/// Everything that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AssessReport {
    /// The log's position the tables were held against.
    as_of: Position,
    /// The server, as it names itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// How many checks are ok.
    ok: u64,
    /// How many are violated.
    violated: u64,
    /// How many could not be made.
    not_checked: u64,
    /// How many nothing is set up to make.
    not_available: u64,
    /// All of them.
    checks: Vec<Check>,
    /// The tables held against the log, where that could be done.
    tables: Vec<TableCounts>,
    /// The dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageReport>,
    /// Whether the look is in the log.
    recorded: bool,
}

/// What is looked at, and what was found so far.
struct Looker<'a> {
    args: &'a AssessArgs,
    context: &'a Context,
    progress: Progress,
    checks: Vec<Check>,
    tables: Vec<TableCounts>,
    image: Option<ImageReport>,
    server: Option<String>,
    /// How long a table's definition is waited for, in seconds.
    definition_wait: u32,
}

const SERVER_CHECKS: &[(&str, &str, &str)] = &[
    ("connections", "R05", "there is room for more connections"),
    ("aborted_connects", "R21", "connections that are tried succeed"),
    ("blocked_hosts", "R05", "no host is shut out after failed connections"),
    ("long_transactions", "R21", "no transaction stays open"),
    ("row_lock_waits", "R21", "no transaction waits for another one's rows"),
    ("metadata_lock_waits", "R21", "nobody waits for a table's definition"),
    ("writable", "R05", "the game's database takes writes"),
    ("disk", "R05", "the disk of the database has room for a table built anew"),
];
/// The checks that need the database, whatever is behind them.
fn of_the_database() -> Vec<assess::Named> {
    let fixed = SERVER_CHECKS.iter().chain([&assess::MADE_FROM]);
    let fixed = fixed.map(|(name, row, says)| ((*name).to_owned(), *row, (*says).to_owned()));
    fixed.chain(assess::of_the_tables()).collect()
}

const REACHABLE: (&str, &str, &str) = ("database", "R05", "the game's database answers");

pub(super) async fn run(args: AssessArgs, context: Context) -> Result<ExitCode, CliError> {
    // A dump is read before anything else: when nobody says of when it is, nothing needs to be looked at yet.
    let dump = match &args.image {
        Some(path) => match image::read(path, args.image_time, &context).await {
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Usage) => return Err(error),
            read => Some(read),
        },
        None => None,
    };
    let log = store::open_to_read(&context).await?;
    let head = log.head().await?.position;
    let progress = Progress::new(context.progress, 3);
    let mut looker = Looker {
        args: &args,
        context: &context,
        progress,
        checks: Vec::new(),
        tables: Vec::new(),
        image: None,
        server: None,
        definition_wait: DEFINITION_WAIT,
    };
    looker.checks.push(assess::acknowledged(context.incomplete.load(Ordering::Relaxed)));
    let folded = looker.log(&log, head).await?;
    looker.database(&log, folded, dump).await?;
    log.close().await;
    let Looker { mut checks, tables, image, server, .. } = looker;
    let recorded = match record(&context, head, &checks, image.as_ref()).await {
        Ok(()) => true,
        Err(error) => {
            let next = error.steps().join("; ");
            checks.push(assess::failed(
                "record",
                "R32",
                "that somebody looked is in the log",
                &error.to_string(),
                &next,
            ));
            false
        }
    };
    let count = |status: Status| checks.iter().filter(|check| check.status == status).count() as u64;
    let report = AssessReport {
        as_of: head,
        server,
        ok: count(Status::Ok),
        violated: count(Status::Violated),
        not_checked: count(Status::NotChecked),
        not_available: count(Status::NotAvailable),
        checks,
        tables,
        image,
        recorded,
    };
    print(&report, &context)
}

impl Looker<'_> {
    /// The log's own checks. A log that cannot be folded is a finding; the server is looked at all the same.
    async fn log(&mut self, log: &EmbeddedLog, head: Position) -> Result<Option<Folded>, CliError> {
        const READABLE: (&str, &str, &str) = ("log", "R03", "the log is what was written");
        let phase = self.progress.phase(1, "replay", "events", Some(head.0));
        let folded = match game_db::folded(log, head, phase, self.context).await {
            Ok(folded) => folded,
            Err(error) if error.kind() == ErrorKind::Integrity => {
                let mut check = assess::failed(READABLE.0, READABLE.1, READABLE.2, &error.to_string(), "wox verify");
                check.status = Status::Violated;
                self.checks.push(check);
                self.not_made(assess::of_the_state(), "the log is damaged", "see `log`");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.checks.extend(assess::state(&folded.replay));
        let evidence = Evidence::new(folded.log, folded.as_of, folded.root, folded.replay, None);
        let mut found: Vec<Finding> = diagnose(&evidence).cases.into_iter().map(|case| case.finding).collect();
        found.dedup();
        self.checks.push(assess::findings(&found));
        Ok(Some(Folded { replay: evidence.replay, ..folded }))
    }

    async fn database(
        &mut self,
        log: &EmbeddedLog,
        folded: Option<Folded>,
        dump: Option<Result<image::Taken, CliError>>,
    ) -> Result<(), CliError> {
        let set = self.context.settings.find("game_db_url").is_some_and(|setting| !setting.value.is_empty());
        if !set {
            let (why, next) = ("nobody said where it is", "set WOX_GAME_DB_URL, or [game_db] url in wox.toml");
            let (name, row, says) = REACHABLE;
            self.checks.push(assess::unavailable(name, row, says, why, next));
            let checks = of_the_database().into_iter();
            self.checks.extend(checks.map(|(name, row, says)| assess::unavailable(&name, row, &says, why, next)));
            self.image_not_checked("the dump needs a database for its scratch schema", next);
            return Ok(());
        }
        let db = game_db::configured(self.context)?;
        let mut session = match db.connect().await {
            Ok(session) => session,
            Err(error) => {
                let told = CliError::from(error);
                let (why, next) = (told.to_string(), told.steps().join("; "));
                self.checks.push(assess::failed(REACHABLE.0, REACHABLE.1, REACHABLE.2, &why, &next));
                self.not_made(of_the_database(), "the database was not reached", "see `database`");
                self.image_not_checked("the database was not reached", "see `database`");
                return Ok(());
            }
        };
        let mut reached = assess::failed(REACHABLE.0, REACHABLE.1, REACHABLE.2, "", "");
        (reached.status, reached.next) = (Status::Ok, None);
        reached.found = format!("{} {}", db.address(), session.version);
        self.server = Some(reached.found.clone());
        self.checks.push(reached);
        self.health(&mut session).await;
        let (name, row, says) = assess::MADE_FROM;
        self.checks.push(match &folded {
            Some(folded) => match made(&mut session, log, folded).await {
                Ok(made) => assess::made(&made),
                Err(error) => assess::failed(name, row, says, &error.to_string(), "wox rebuild says what to do"),
            },
            None => assess::failed(name, row, says, "the log is damaged", "see `log`"),
        });
        self.look_at_tables(&mut session, folded.as_ref()).await?;
        session.close().await;
        // The log is folded again, up to the dump: one state at a time is enough.
        drop(folded);
        match dump {
            Some(dump) => self.look_at_image(&db, log, dump).await,
            None => Ok(()),
        }
    }

    async fn health(&mut self, session: &mut Session) {
        self.checks.extend(assess::connections(&session.connections().await));
        self.checks.push(assess::hosts(&session.hosts().await));
        let open = session.transactions(self.args.transaction_max).await;
        self.checks.push(assess::transactions(&open, self.args.transaction_max));
        let waits = session.metadata_waits().await;
        let wait = waits.as_ref().is_ok_and(|waits| !waits.is_empty());
        let holder = if wait { session.definition_holder(None).await.ok().flatten() } else { None };
        self.checks.extend(assess::locks(&open, &waits, holder.as_ref()));
        // Behind somebody who waits already nobody needs to wait long to know it.
        self.definition_wait = if wait { 1 } else { DEFINITION_WAIT };
        self.checks.push(assess::read_only(&session.is_read_only().await));
        self.checks.push(assess::disk(free_on_disk(session, self.context).await));
    }

    fn not_compared(&mut self, table: Table, why: &str, next: &str) {
        self.checks.push(assess::not_compared(table, why, next));
    }

    fn not_made(&mut self, checks: Vec<assess::Named>, why: &str, next: &str) {
        self.checks.extend(checks.into_iter().map(|(name, row, says)| assess::failed(&name, row, &says, why, next)));
    }

    async fn look_at_tables(&mut self, session: &mut Session, folded: Option<&Folded>) -> Result<(), CliError> {
        let seen = async {
            session.wait_for_definitions(self.definition_wait).await?;
            session.schema(Table::VARIANTS).await
        };
        let schema = match seen.await {
            Ok(schema) => schema,
            Err(error) => {
                let told = CliError::from(error);
                self.not_made(assess::of_the_tables(), &told.to_string(), &told.steps().join("; "));
                return Ok(());
            }
        };
        self.checks.extend(assess::shape(&schema));
        let mut broken: Vec<Table> = schema.fatal().map(|problem| problem.table).collect();
        // A table has as many problems as it has; it is one table.
        broken.sort();
        broken.dedup();
        for table in &broken {
            self.not_compared(*table, "its shape is not known", &format!("see `shape_{table}`"));
        }
        for table in schema.tables.iter().map(|live| live.table) {
            // CHECK TABLE says of a definition that is not given what it says of a damaged table.
            match session.reach(table).await {
                Err(error @ GameDbError::TableHeld { .. }) => {
                    let told = CliError::from(error);
                    let error = told.to_string();
                    self.checks.push(assess::not_reached(table, &error, &told.steps().join("; ")));
                    if !broken.contains(&table) {
                        self.not_compared(table, &error, &format!("see `check_{table}`"));
                        broken.push(table);
                    }
                }
                // Any other reason CHECK TABLE says better.
                _ => self.checks.push(assess::checked(table, &session.check_table(table).await)),
            }
        }
        for table in &schema.missing {
            let next = format!("see `shape_{table}`");
            self.checks.push(assess::not_reached(*table, "it is not there", &next));
        }
        let Some(folded) = folded else {
            for table in Table::VARIANTS.iter().filter(|table| !broken.contains(table)) {
                self.not_compared(*table, "the log is damaged", "see `log`");
            }
            return Ok(());
        };
        let tables: Vec<Table> = Table::VARIANTS.iter().copied().filter(|table| !broken.contains(table)).collect();
        let counter = RowProgress::default();
        let phase = self.progress.phase(2, "compare", "rows", None);
        let looking = look(session, folded, &tables, Details::FIRST, &counter);
        match game_db::rows_watched(looking, &counter, &phase, self.context).await {
            Ok(looked) => self.compared(&looked),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            // One that cannot be read leaves the others looked at, each by itself.
            Err(_) => {
                for table in tables {
                    let one = [table];
                    let looking = look(session, folded, &one, Details::FIRST, &counter);
                    match game_db::rows_watched(looking, &counter, &phase, self.context).await {
                        Ok(looked) => self.compared(&looked),
                        Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                        Err(error) => self.not_compared(table, &error.to_string(), &error.steps().join("; ")),
                    }
                }
            }
        }
        phase.finish();
        Ok(())
    }

    fn compared(&mut self, looked: &Look) {
        for compared in &looked.tables {
            self.checks.push(assess::rows(compared));
            let lost = looked.schema.table(compared.table).is_none();
            self.tables.push(TableCounts::of(compared, lost));
        }
    }

    async fn look_at_image(
        &mut self,
        db: &GameDb,
        log: &EmbeddedLog,
        dump: Result<image::Taken, CliError>,
    ) -> Result<(), CliError> {
        let looked = match dump {
            Ok(dump) => image::look_at(db, log, &dump, &self.progress, self.context).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok((report, check)) => {
                self.checks.push(check);
                self.image = Some(report);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.image_not_checked(&error.to_string(), &error.steps().join("; "));
                Ok(())
            }
        }
    }

    fn image_not_checked(&mut self, why: &str, next: &str) {
        if self.args.image.is_some() {
            let (name, row, says) = image::CHECK;
            self.checks.push(assess::failed(name, row, says, why, next));
        }
    }
}

/// Free bytes where the server keeps its files, when that is this machine.
async fn free_on_disk(session: &mut Session, context: &Context) -> Result<u64, &'static str> {
    const ELSEWHERE: &str = "the database is on another machine";
    let url = context.settings.find("game_db_url").map(|setting| setting.value.clone()).unwrap_or_default();
    let local = ["@localhost", "@127.0.0.1", "@[::1]", "socket="].iter().any(|part| url.contains(part));
    if !local {
        return Err(ELSEWHERE);
    }
    let Ok(place) = session.data_directory().await else {
        return Err("the server does not say where it keeps its files");
    };
    let stat = rustix::fs::statvfs(place.as_str()).map_err(|_| ELSEWHERE)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Records each check whose result is news, the image that was looked at, and that somebody looked.
async fn record(
    context: &Context,
    as_of: Position,
    checks: &[Check],
    image: Option<&ImageReport>,
) -> Result<(), CliError> {
    let stream = StreamId::new("ops-assess").expect("a stream's name");
    let log = store::open_to_write(context).await?;
    let recorded = append(&log, &stream, context, as_of, checks, image).await;
    log.close().await;
    recorded
}

async fn append(
    log: &EmbeddedLog,
    stream: &StreamId,
    context: &Context,
    as_of: Position,
    checks: &[Check],
    image: Option<&ImageReport>,
) -> Result<(), CliError> {
    let known = log.read_stream(stream).await?;
    let mut last = std::collections::BTreeMap::new();
    for raw in &known {
        let decoded = Event::decode(stream, &raw.event.kind, raw.event.version, raw.event.data.as_str());
        match decoded {
            Ok(Event::Ops(OpsEvent::InvariantChecked { name, ok, counterexample, .. })) => {
                last.insert(name.to_string(), (ok, counterexample));
            }
            Ok(Event::Ops(OpsEvent::TableImageImported { digest, .. })) => {
                last.insert(format!("image {digest}"), (true, String::new()));
            }
            _ => {}
        }
    }
    let mut events: Vec<(String, OpsEvent)> = Vec::new();
    for check in checks {
        let Some(OpsEvent::InvariantChecked { name, as_of, ok, counterexample }) = check.event(as_of) else { continue };
        if last.get(name.as_str()) != Some(&(ok, counterexample.clone())) {
            let key = format!("{name}@{as_of}");
            events.push((key, OpsEvent::InvariantChecked { name, as_of, ok, counterexample }));
        }
    }
    if let Some(image) = image.filter(|image| !last.contains_key(&format!("image {}", image.digest))) {
        let table = wox_events::Label::new(image.table.name()).expect("a table's name is an identity");
        events.push((format!("image {}", image.digest), OpsEvent::TableImageImported { table, digest: image.digest }));
    }
    let now = time::now();
    let encoded = events.into_iter().map(|(key, event)| {
        let (kind, version, data) = Event::from(event).encode()?;
        Ok::<_, wox_events::record::JsonError>(NewEvent {
            id: wox_events::EventId::derived(&["wox/assess", &key]),
            kind,
            version,
            time: now,
            actor: context.actor.clone(),
            causation: None,
            correlation: None,
            provenance: Provenance::Recovery,
            rules: 1,
            data,
        })
    });
    let events: Vec<NewEvent> = encoded
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::failed("wox::assess::record", error.to_string()).next("report this as a defect"))?;
    if !events.is_empty() {
        let expected = Revision(known.len() as u64);
        log.append(AppendRequest { stream: stream.clone(), expected, events }).await?;
    }
    let bad = |status: Status| -> Vec<&str> {
        checks.iter().filter(|check| check.status == status).map(|check| check.name.as_str()).collect()
    };
    let (violated, not_checked) = (bad(Status::Violated), bad(Status::NotChecked));
    let outcome = match (violated.is_empty(), not_checked.is_empty()) {
        (false, _) => "violated",
        (true, false) => "not-checked",
        (true, true) => "ok",
    };
    let detail = format!("violated: {}; not checked: {}", list(&violated), list(&not_checked));
    crate::recovery::apply::record_act(log, &context.actor, "assess", outcome, detail, now)
        .await
        .map(drop)
        .map_err(|error| CliError::failed("wox::assess::record", error.to_string()).next("wox assess again"))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn print(report: &AssessReport, context: &Context) -> Result<ExitCode, CliError> {
    let mut order: Vec<&Check> = report.checks.iter().collect();
    // What is wrong comes first; within that the order in which it was looked at.
    order.sort_by_key(|check| match check.status {
        Status::Violated => 0,
        Status::NotChecked => 1,
        Status::NotAvailable => 2,
        Status::Ok => 3,
    });
    let rows = order.iter().map(|check| {
        let since = check.since.as_ref().map(|since| format!("; since {since}")).unwrap_or_default();
        let status = match check.status {
            Status::Violated => "VIOLATED".to_owned(),
            other => other.to_string(),
        };
        vec![status, check.name.clone(), format!("{}{since}", check.found)]
    });
    let mut document = Document::of(report).records::<Check>("checks").table(["", "check", "found"], rows);
    // Below the table and not in it: a cell is wrapped, and a wrapped command cannot be pasted.
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    for check in order.iter().filter(|check| check.status != Status::Ok) {
        let Some(next) = check.next.as_deref() else { continue };
        match steps.iter_mut().find(|(known, _)| *known == next) {
            Some((_, names)) => names.push(&check.name),
            None => steps.push((next, vec![&check.name])),
        }
    }
    if !steps.is_empty() {
        let line = |(next, names): (&str, Vec<&str>)| format!("  {}: {}", names.join(", "), context.pasteable(next));
        document = steps.into_iter().map(line).fold(document.line("").line("what to do:"), Document::line);
    }
    if report.tables.iter().any(|table| table.equal != table.live || table.live != table.log) {
        document = document.line("").table(COUNTS_HEADER, report.tables.iter().map(TableCounts::cells));
    }
    if let Some(image) = &report.image {
        document = document.line("").facts([
            ("image of", format!("{}, {}, {}", image.table, counted(image.rows, "row"), image.digest)),
            ("taken", format!("{} (by the {})", image.taken, image.taken_by)),
            (
                "beside the live table",
                format!(
                    "{} the same, {} otherwise, {} gone, {} new since",
                    image.live_same, image.live_changed, image.live_gone, image.live_new
                ),
            ),
        ]);
    }
    document = document.line("").line(format!(
        "{} ok, {} violated, {} not checked, {} not available",
        report.ok, report.violated, report.not_checked, report.not_available
    ));
    document.print(context.output)?;
    if !report.recorded {
        context.say("this look is not in the log; see `record`");
    }
    Ok(match (report.violated, report.not_checked) {
        (0, 0) => ExitCode::Done,
        (0, _) => ExitCode::Failed,
        _ => ExitCode::Differences,
    })
}
