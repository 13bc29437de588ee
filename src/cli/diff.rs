//! `wox diff`: the live tables held against the log, field by field.

use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::Position;

use crate::{
    cli::{
        CliError, Context, as_of, game_db,
        progress::Progress,
        render::{Document, counted, grouped},
        spelling, store,
    },
    exit_code::ExitCode,
    log::EventLog as _,
    rebuild::{
        Folded, Look,
        fold::watched,
        look::{RowProgress, look},
        row::RowError,
        survey::made,
    },
    replay,
    tables::{
        Difference, Image, Kind, Table,
        compare::{Compared, Details, Field, Layout, Oddity},
        image::Unholdable,
        origin::{Origin, Seeker, tell_later},
    },
    world::game_db::schema::Problem,
};

mod html;

/// Hold the game's live tables against the log
///
/// Reads the tables at one consistent snapshot, writes nothing, and says of every row that differs which columns, what the
/// log says, which event wrote it last, and whether the live value is one the log once had (the table fell behind) or one
/// it never had (changed outside the engine). Facts of the chain that stand there otherwise (block_number, from_address,
/// to_address) are told and kept. Not compared is what the game wrote by its own clock or the log does not know:
/// players.hp, players.potions, players.created_at, active_duels.created_at, withdrawal_requests.created_at, burn_queue.id,
/// burn_queue.created_at, processed_transactions.processed_at, and every column beyond the game's schema. With --as-of the tables have gone
/// on since: what differs because the log says so later is told apart.
///
/// Exit code 3 when something differs, 0 when nothing does.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox diff                                     all five tables
  wox diff --table players --only changed      rows of players that were changed
  wox diff --table active_duels --id 17        one row
  wox diff --html report.html                  a report to pass on

The database is named by WOX_GAME_DB_URL, or [game_db] url in wox.toml.")]
pub(super) struct DiffArgs {
    /// Only these tables
    #[arg(long, value_name = "TABLE", num_args = 1.., value_delimiter = ',', value_parser = table)]
    table: Vec<Table>,
    /// Only rows that are changed, missing or surplus
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = kind)]
    only: Vec<Kind>,
    /// Only the row with this key
    #[arg(long, value_name = "KEY")]
    id: Option<String>,
    /// Write the whole result into this HTML file too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A table by name.
pub(super) fn table(text: &str) -> Result<Table, String> {
    text.parse().map_err(|_| {
        let known: Vec<_> = Table::VARIANTS.iter().map(Table::to_string).collect();
        format!("not one of: {}", known.join(", "))
    })
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| "not one of: changed, missing, surplus".into())
}

/// Rows that people are shown; the rest is counted.
pub(super) const SHOWN_ROWS_MAX: usize = 100;

/// What was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct DiffResult {
    /// The log's position the tables were held against.
    pub as_of: Position,
    /// What was asked for of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Each table's counts; filters do not change them.
    pub tables: Vec<TableCounts>,
    /// What is to be said of the row that was asked for by its key, table by table, where it does not differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// The rows that differ and passed the filters.
    pub differences: Vec<Difference>,
    /// What the log knows and no table can hold.
    pub unholdable: Vec<Unholdable>,
    /// Live values that stay and are odd: they cannot be read where the log has no word on them, or are another fact of the
    /// chain than the log has.
    pub oddities: Vec<Oddity>,
    /// What is wrong with the tables' shape, though they can be compared.
    pub problems: Vec<Problem>,
}

/// The counts of one table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TableCounts {
    /// Which.
    pub table: Table,
    /// True when it is not there at all.
    pub lost: bool,
    /// Live rows.
    pub live: u64,
    /// Rows the log says there must be.
    pub log: u64,
    /// Rows that agree.
    pub equal: u64,
    /// Rows that differ.
    pub changed: u64,
    /// Rows that are not there.
    pub missing: u64,
    /// Rows that should not be there.
    pub surplus: u64,
    /// Rows that the import left out by name: the log has no word on them, and they stay as they are.
    pub left_out: u64,
    /// Over every live row as it was read.
    pub digest: wox_events::Digest,
}

impl TableCounts {
    /// The counts of a comparison.
    pub(super) fn of(compared: &Compared, lost: bool) -> TableCounts {
        let Compared { table, live, expected, equal, changed, missing, surplus, left_out, digest, .. } = *compared;
        TableCounts { table, lost, live, log: expected, equal, changed, missing, surplus, left_out, digest }
    }

    /// Says that rows were left out of the import, when some were.
    pub(super) fn left_out_line(&self) -> Option<String> {
        let rows = counted(self.left_out, "row");
        (self.left_out > 0).then(|| format!("{} of {} that the import left out stay as they are", rows, self.table))
    }

    /// As a row for people.
    pub(super) fn cells(&self) -> Vec<String> {
        let name = if self.lost { format!("{} (lost)", self.table) } else { self.table.to_string() };
        let counts = [self.live, self.log, self.equal, self.changed, self.missing, self.surplus];
        std::iter::once(name).chain(counts.map(grouped)).collect()
    }
}

pub(super) const COUNTS_HEADER: [&str; 7] =
    ["table", "live rows", "in the log", "equal", "changed", "missing", "surplus"];

pub(super) const ROWS_HEADER: [&str; 8] = ["table", "row", "", "column", "live", "log", "last written by", "says"];

pub(super) async fn run(args: DiffArgs, context: Context) -> Result<ExitCode, CliError> {
    let mut tables = if args.table.is_empty() { Table::VARIANTS.to_vec() } else { args.table.clone() };
    tables.sort();
    tables.dedup();
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    let mut session = game_db::connect(&context).await?;
    let progress = Progress::new(context.progress, 3);
    let folded = game_db::folded(&log, until, progress.phase(1, "replay", "events", Some(until.0)), &context).await?;
    let counter = RowProgress::default();
    let phase = progress.phase(2, "compare", "rows", None);
    let looked =
        game_db::rows_watched(look(&mut session, &folded, &tables, Details::ALL, &counter), &counter, &phase, &context)
            .await?;
    phase.finish();
    let made = made(&mut session, &log, &folded).await.map_err(RowError::from)?;
    session.close().await;
    if let Some(id) = args.id.as_ref().filter(|id| !is_known(id, &looked, &folded)) {
        return Err(unknown(id, &tables, &folded));
    }
    let named = args.id.as_ref().map_or_else(Vec::new, |id| named(id, &looked, &folded));
    drop(folded);

    let mut result = filtered(looked, &args);
    result.result.named = named;
    // The tables may have gone on since: with an earlier state, or while they were read. The log says how.
    let head = log.head().await?.position;
    let is_past = until < head;
    if let Some(seeker) = Seeker::of(&result.differences, |table| result_layout(&result.layouts, table)) {
        let seeker = if is_past { seeker.beyond(until) } else { seeker };
        let phase = progress.phase(3, "look for where it comes from", "events", Some(head.0));
        let events = Arc::new(replay::Progress::default());
        let threads = crate::cli::evidence::threads(None);
        let seeking = watched(&log, head, threads, &events, seeker);
        let (seeker, _) = crate::cli::evidence::watched(seeking, &events, &phase, &context).await?;
        phase.finish();
        seeker.tell(&mut result.differences);
    }
    if is_past && result.differences.iter().any(|difference| difference.kind != Kind::Changed) {
        let phase = progress.phase(3, "look what came and went later", "events", Some(head.0));
        let now = game_db::folded(&log, head, phase, &context).await?;
        for table in &tables {
            let image = Image::of(*table, &now.replay.state, &now.scribe);
            let layout = result_layout(&result.layouts, *table).cloned().unwrap_or_else(|| Layout::published(*table));
            tell_later(&mut result.differences, &image, &layout, until);
        }
    }
    made.judge(&mut result.differences);
    let result = result.into_result();
    if let Some(path) = &args.html {
        std::fs::write(path, html::page(&result)).map_err(|error| {
            CliError::failed("wox::diff::html", "the report cannot be written")
                .at("file", path.display())
                .next("choose another place with --html")
                .caused_by(error)
        })?;
        context.say(format!("report written: {}", path.display()));
    }
    if made.other_log {
        context.say("the tables were made from another log than this store's: what differs says little");
    }
    // A comparison with the past is with less than the tables know, and says so itself.
    let Some(older) = made.older.filter(|_| context.as_of.is_none()) else {
        return print(&result, args.id.as_deref(), true, &context);
    };
    let code = print(&result, args.id.as_deref(), false, &context)?;
    context.say(format!("{}; what it does not know shows as changed outside the engine", older.what));
    context.say(format!("next: {}", older.next));
    Ok(code)
}

/// Whether a row that differs is the one with this key, or its stream's.
fn is_named(difference: &Difference, id: &str) -> bool {
    let subject = difference.stream.as_deref().and_then(|stream| stream.split_once('-')).map(|(_, subject)| subject);
    is_key(&difference.key, id) || difference.stream.as_deref() == Some(id) || subject == Some(id)
}

/// Whether a key is what was typed: whatever its letter case, and with or without the `@` of a handle.
fn is_key(key: &str, typed: &str) -> bool {
    key.trim_start_matches('@').eq_ignore_ascii_case(typed.trim_start_matches('@'))
}

/// Whether a table or the log has a row with this key: where neither has, "no difference" would be a lie.
fn is_known(id: &str, looked: &Look, folded: &Folded) -> bool {
    looked.tables.iter().any(|table| {
        // Rows that were only counted may be it.
        let told = table.differences.len() as u64;
        let image = Image::of(table.table, &folded.replay.state, &folded.scribe);
        let is_row = |row: usize| {
            let stream = image.stream(row);
            stream.is_some_and(|stream| stream.as_str() == id || stream.subject() == id) || is_key(&image.key(row), id)
        };
        table.differences.iter().any(|difference| is_named(difference, id))
            || told < table.changed + table.missing + table.surplus
            || image.left_out(id).is_some()
            || image.why_no_row(id).is_some()
            || (0..image.len()).any(is_row)
    })
}

/// What there is to say of the row with this key in each table in which it does not differ.
fn named(id: &str, looked: &Look, folded: &Folded) -> Vec<String> {
    let mut said = Vec::new();
    for table in &looked.tables {
        if table.differences.iter().any(|difference| is_named(difference, id)) {
            continue;
        }
        let (name, image) = (table.table, Image::of(table.table, &folded.replay.state, &folded.scribe));
        let told = table.differences.len() as u64;
        let rows = (0..image.len()).filter(|row| {
            let stream = image.stream(*row);
            is_key(&image.key(*row), id) || stream.is_some_and(|stream| stream.as_str() == id || stream.subject() == id)
        });
        let before = said.len();
        said.extend(rows.map(|row| match told < table.changed + table.missing + table.surplus {
            false => format!("row {} of {name} is what the log says", image.key(row)),
            true => format!(
                "row {} of {name} is none of the first {told} that differ; the others were only counted",
                image.key(row)
            ),
        }));
        if said.len() > before {
            continue;
        }
        if image.left_out(id).is_some() {
            said.push(format!("row {id} of {name} was left out of the import: it stays as it is"));
        } else if let Some(why) = image.why_no_row(id) {
            said.push(format!("there is no row {id} in {name}, and the log wants none: {why}"));
        } else if told < table.changed + table.missing + table.surplus {
            said.push(format!(
                "the log has no row {id} of {name}; {told} rows that differ were looked at, the others only counted"
            ));
        }
    }
    said
}

fn unknown(id: &str, tables: &[Table], folded: &Folded) -> CliError {
    let names: Vec<_> = tables.iter().map(Table::to_string).collect();
    let what = format!("no row is called `{id}`, in the tables or in the log");
    let error = CliError::usage("wox::diff::unknown", what)
        .at("tables", names.join(", "))
        .at("log up to position", folded.as_of);
    let images: Vec<_> = tables.iter().map(|table| Image::of(*table, &folded.replay.state, &folded.scribe)).collect();
    let keys: Vec<String> = images.iter().flat_map(|image| (0..image.len()).map(|row| image.key(row))).collect();
    let near = spelling::nearest(id, keys.iter().map(String::as_str));
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `{near}`?")));
    error.next(
        "give a handle, a number, a transaction's hash, or a whole stream such as duel-17; wox diff lists what differs",
    )
}

/// The result with what the search for origins needs and nobody is shown.
struct Found {
    result: DiffResult,
    differences: Vec<Difference>,
    layouts: Vec<(Table, Layout)>,
}

impl Found {
    fn into_result(self) -> DiffResult {
        DiffResult { differences: self.differences, ..self.result }
    }
}

fn result_layout(layouts: &[(Table, Layout)], table: Table) -> Option<&Layout> {
    layouts.iter().find(|(found, _)| *found == table).map(|(_, layout)| layout)
}

fn filtered(looked: Look, args: &DiffArgs) -> Found {
    let wanted = |difference: &Difference| {
        let named = |id: &String| is_named(difference, id);
        (args.only.is_empty() || args.only.contains(&difference.kind)) && args.id.as_ref().is_none_or(named)
    };
    let lost = |table| looked.schema.table(table).is_none();
    let tables = looked.tables.iter().map(|table| TableCounts::of(table, lost(table.table))).collect();
    let mut filter: Vec<String> = args.only.iter().map(Kind::to_string).collect();
    filter.extend(args.id.clone());
    let layouts = looked.schema.tables.iter().map(|live| (live.table, live.layout.clone())).collect();
    let problems = looked.schema.problems.clone();
    let (mut differences, mut oddities) = (Vec::new(), Vec::new());
    for table in looked.tables {
        differences.extend(table.differences.into_iter().filter(|difference| wanted(difference)));
        let named = |odd: &Oddity| args.id.as_ref().is_none_or(|id| is_key(&odd.key, id));
        oddities.extend(table.oddities.into_iter().filter(named));
    }
    let result = DiffResult {
        as_of: looked.as_of,
        filter: (!filter.is_empty()).then(|| filter.join(", ")),
        tables,
        named: Vec::new(),
        differences: Vec::new(),
        unholdable: looked.unholdable,
        oddities,
        problems,
    };
    Found { result, differences, layouts }
}

fn print(result: &DiffResult, by_key: Option<&str>, advise: bool, context: &Context) -> Result<ExitCode, CliError> {
    let mut document = Document::of(result).records::<Difference>("differences");
    // Who asks for one row is answered about that row.
    if by_key.is_none() {
        if result.filter.is_some() {
            document = document.line("whole tables, whatever rows were asked for:");
        }
        document = document.table(COUNTS_HEADER, result.tables.iter().map(TableCounts::cells));
    }
    let rows: Vec<_> = result.differences.iter().take(SHOWN_ROWS_MAX).flat_map(rows_of).collect();
    if !rows.is_empty() {
        document = document.line("").table(ROWS_HEADER, rows);
    }
    document = result.named.iter().fold(document, |document, said| document.line(said.clone()));
    for table in result.tables.iter().filter(|_| by_key.is_none()) {
        document = table.left_out_line().into_iter().fold(document, Document::line);
    }
    if result.differences.len() > SHOWN_ROWS_MAX {
        let more = (result.differences.len() - SHOWN_ROWS_MAX) as u64;
        document = document.line(format!("and {} more; --output jsonl shows all of them", counted(more, "row")));
    }
    for found in &result.unholdable {
        document = document.line(format!("{} has no place for {}: {}", found.table, found.subject, found.why));
    }
    for odd in result.oddities.iter().take(SHOWN_ROWS_MAX) {
        document =
            document.line(format!("{}.{} of row {} holds {}: kept as it is", odd.table, odd.column, odd.key, odd.what));
    }
    document.print(context.output)?;
    if let Some(odd) = result.oddities.first() {
        // A burn is known by when it is due; the number of its row only the table knows.
        let row = match odd.table {
            Table::BurnQueue => "…".to_owned(),
            _ => format!("'{}'", odd.key.replace('\'', "''")),
        };
        context.say(format!(
            "next: a rebuild keeps what is told as kept; whoever knows better sets it by hand, as in UPDATE {} SET {} = '…' WHERE {} = {row}",
            odd.table, odd.column, odd.table.columns()[0].name
        ));
    }
    for problem in &result.problems {
        let column = problem.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
        context.say(format!("{}{column}: {}; {}", problem.table, problem.what, problem.next));
    }
    let differs = match result.filter {
        Some(_) => !result.differences.is_empty(),
        None => result.tables.iter().any(|table| table.changed + table.missing + table.surplus > 0),
    };
    if differs && advise {
        context.say(
            "next: where the log is right, wox rebuild makes the tables anew; a wrong event is found with wox plan",
        );
    }
    Ok(if differs || !result.unholdable.is_empty() { ExitCode::Differences } else { ExitCode::Done })
}

/// A difference as rows for people: one a column, but one for a row that is missing or surplus as a whole.
pub(super) fn rows_of(difference: &Difference) -> Vec<Vec<String>> {
    let lead = |first: bool| {
        let text = |text: String| if first { text } else { String::new() };
        vec![text(difference.table.to_string()), text(difference.key.clone()), text(difference.kind.to_string())]
    };
    let note = difference.note.clone().unwrap_or_default();
    match difference.kind {
        Kind::Changed => {
            let each = difference.fields.iter().enumerate().map(|(index, field)| {
                let mut row = lead(index == 0);
                let said = match (said(field), &difference.note) {
                    (Some(said), _) => said,
                    (None, Some(_)) if index == 0 => note.clone(),
                    (None, _) => String::new(),
                };
                row.extend([field.column.to_owned(), value(&field.live), value(&field.log), event(field), said]);
                row
            });
            each.collect()
        }
        Kind::Missing | Kind::Surplus => {
            let mut row = lead(true);
            let made = difference.fields.first().map(event).unwrap_or_default();
            row.extend([String::new(), String::new(), String::new(), made, note]);
            vec![row]
        }
    }
}

/// A value for people: NULL is nothing, and a text that reads so is quoted.
pub(super) fn value(value: &Option<String>) -> String {
    match value.as_deref() {
        None => "NULL".into(),
        Some("NULL") => "'NULL'".into(),
        Some(text) => text.to_owned(),
    }
}

fn event(field: &Field) -> String {
    match &field.event {
        Some(event) => format!("{} {}@{} {}", field.wrote, event.stream, event.revision, event.kind),
        None if field.wrote.0 > 0 => field.wrote.to_string(),
        None => String::new(),
    }
}

/// What the log says about a live value.
fn said(field: &Field) -> Option<String> {
    field.origin.map(|origin| match origin {
        Origin::Behind { missed } => format!("fell behind: missed the event at {missed}"),
        Origin::Later { by } => format!("changed later, with the event at {by}"),
        Origin::Outside => "changed outside the engine".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_typed_with_and_without_its_at() {
        for (key, typed, is) in
            [("@ann", "ann", true), ("@ann", "@Ann", true), ("ann", "@ann", true), ("ann", "anne", false)]
        {
            assert_eq!(is_key(key, typed), is, "{key} {typed}");
        }
    }
}
