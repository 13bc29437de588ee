//! `wox recover WHAT ID --write`: one row of the game's database set to what the log says; and the hint that one differs.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, OpsEvent, Position, Revision, StreamId};

use crate::{
    cli::{
        CliError, Context,
        diff::value,
        evidence, game_db,
        progress::Progress,
        render::{Document, counted},
        store, time,
    },
    command,
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    rebuild::{
        Book, Folded,
        book::{Note, label},
        fold::{fold, watched},
        look::RowProgress,
        row::{Change, RowError, RowLook, look_at, table_of, write as write_row},
        survey::{Made, Obstacle, made},
    },
    replay,
    tables::{
        Difference, Table,
        origin::{Origin, Seeker},
    },
    world::game_db::GameDbError,
};

/// How long a row that somebody holds is waited for, in seconds.
const ROW_WAIT: u32 = 10;

/// What was found and done with one row.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct RowReport {
    /// The stream it is about.
    stream: StreamId,
    /// Its table.
    table: Table,
    /// Its key.
    key: String,
    /// The last event that can have moved a row.
    as_of: Position,
    /// `equal`, `changed` or `missing`.
    found: &'static str,
    /// What `--confirm` takes: the digest of the row as it stands there and of what it is to be.
    id: Digest,
    /// Whose doing it was, where the log can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// What was changed.
    changes: Vec<Change>,
    /// True when the row was written, and is what the log says.
    written: bool,
}

/// Sets one row to what the log says. What somebody else wrote into it is evidence: a person who has seen it confirms that
/// it is overwritten, as for a rebuild.
pub(super) async fn write(
    what: &str,
    id: &str,
    confirmed: Option<&str>,
    context: &Context,
) -> Result<ExitCode, CliError> {
    if context.as_of.is_some() {
        return Err(
            CliError::usage("wox::as-of::unused", "a row is set to what the log says now").next("leave --as-of out")
        );
    }
    let table = table_of(what).ok_or_else(|| {
        CliError::usage("wox::recover::no-table", format!("a {what} has no row in the game's tables"))
            .next("player, duel, withdrawal, burn and deposit have one")
    })?;
    let log = store::open_to_read(context).await?;
    let mut session = game_db::connect(context).await?;
    let until = log.head().await?.position;
    let progress = Progress::new(context.progress, 1);
    let folded = game_db::folded(&log, until, progress.phase(1, "replay", "events", Some(until.0)), context).await?;
    let stream = stream_of(what, id, &folded)?;
    let made = made(&mut session, &log, &folded).await.map_err(RowError::from)?;
    if let Some(Obstacle { what, next }) = &made.older {
        return Err(CliError::refused("wox::recover::older-log", what.clone()).next(next.clone()));
    }
    let look = match look_at(&mut session, &folded, table, &stream, &RowProgress::default()).await {
        // Something the log has never heard of is a typing error; something it has may have no row.
        Err(RowError::NoRow { .. }) if log.revision(&stream).await? == Revision::NO_STREAM => {
            return Err(super::unknown(&stream, context).await);
        }
        looked => looked?,
    };
    let (origin, taken_away) = origin(&log, until, &look, &made).await?;
    say_held(&folded, &stream, context);
    let mut report = RowReport {
        stream: stream.clone(),
        table,
        key: look.key.clone(),
        as_of: look.as_of,
        found: found(&look),
        id: look.id(),
        origin,
        changes: look.changes(),
        written: false,
    };
    if look.is_equal() {
        Document::of(&report)
            .line(format!("nothing to do: row {} of {table} is what the log says", look.key))
            .print(context.output)?;
        return Ok(ExitCode::Done);
    }
    let book = Book { store: context.store.clone(), by: context.actor.clone(), now: time::now };
    let told = |outcome: &str| format!("{stream}: row {} of {table}, {outcome}: {}", look.key, words(&look));
    let again = |flags: &str| format!("{} --write{flags}", command::wox(["recover", what, id]));
    if origin == Some(Origin::Outside) || taken_away {
        book.write(vec![outside(&look)]).await?;
    }
    match confirmed {
        Some(confirmed) if !report.id.to_string().starts_with(confirmed) => {
            book.act("recover", "row_refused", told("another id was confirmed")).await?;
            return Err(CliError::refused(
                "wox::recover::moved",
                "not done: the row or the log is another than was confirmed",
            )
            .at("confirmed", confirmed)
            .at("now", report.id.short())
            .next(again("")));
        }
        None if origin == Some(Origin::Outside) || made.other_log => {
            let why = match made.other_log {
                true => "is of tables that were made from another log than this store's",
                false => "was changed outside the engine",
            };
            book.act("recover", "row_unconfirmed", told(&format!("it {why}"))).await?;
            let line = format!("row {} of {table} ({stream}) {why}; nothing was written", look.key);
            changes(Document::of(&report).line(line), &report).print(context.output)?;
            context.say(format!("next: {}", again(&format!(" --confirm {}", report.id.short()))));
            return Ok(ExitCode::Differences);
        }
        _ => {}
    }
    // First the intention, so that no write stands there that nobody wrote down.
    book.act("recover", "row_writing", told("to be written")).await?;
    if let Err(error) = write_row(&mut session, &look, ROW_WAIT).await {
        book.act("recover", "row_refused", told(&error.to_string())).await?;
        return Err(error.into());
    }
    let read_again = look_at(&mut session, &folded, table, &stream, &RowProgress::default()).await?;
    session.close().await;
    report.written = read_again.is_equal();
    let outcome = if report.written { "row_written" } else { "row_differs" };
    book.act("recover", outcome, told("written")).await?;
    let line = format!("row {} of {table} ({stream}) written as of position {}", look.key, look.as_of);
    changes(Document::of(&report).line(line), &report).print(context.output)?;
    if !report.written {
        context.say("somebody wrote the row at once again: read again it is not what the log says");
        return Ok(ExitCode::Differences);
    }
    Ok(ExitCode::Done)
}

/// The columns of the row, before and after.
fn changes(document: Document, report: &RowReport) -> Document {
    let row = |change: &Change| vec![change.column.clone(), value(&change.before), value(&change.after)];
    document.table(["column", "before", "after"], report.changes.iter().map(row))
}

/// Says beside a plan that the row of its subject differs, where the settings name the game's database.
pub(super) async fn hint(what: &str, id: &str, code: ExitCode, context: &Context) -> Result<ExitCode, CliError> {
    let named = context.settings.find("game_db_url").is_some_and(|setting| !setting.value.is_empty());
    let Some(table) = table_of(what).filter(|_| named && context.as_of.is_none()) else { return Ok(code) };
    let log = store::open_to_read(context).await?;
    let until = log.head().await?.position;
    let counter = Arc::new(replay::Progress::default());
    let folded = fold(&log, until, evidence::threads(None), &counter).await?;
    let Ok(stream) = stream_of(what, id, &folded) else { return Ok(code) };
    let looked = async {
        let mut session = game_db::connect(context).await?;
        let look = look_at(&mut session, &folded, table, &stream, &RowProgress::default()).await;
        session.close().await;
        Ok::<_, CliError>(look)
    };
    let look = match looked.await {
        Ok(Ok(look)) => look,
        Ok(Err(RowError::NoRow { .. })) => return Ok(code),
        Ok(Err(error)) => return Ok(not_looked_at(code, &error.to_string(), context)),
        Err(error) => return Ok(not_looked_at(code, &error.to_string(), context)),
    };
    if look.is_equal() {
        return Ok(code);
    }
    context.tell(format!("row {} of {table} is {}: {}", look.key, found(&look), words(&look)));
    context.say(format!("next: {} --write", command::wox(["recover", what, id])));
    Ok(if code == ExitCode::Done { ExitCode::Differences } else { code })
}

/// What is not known of the row is not right either.
fn not_looked_at(code: ExitCode, why: &str, context: &Context) -> ExitCode {
    context.say(format!("the game's database was not looked at: {why}"));
    context.say("next: wox doctor says what is wrong with it");
    if code == ExitCode::Done { ExitCode::Unknown } else { code }
}

/// The stream of a thing; a deposit may be named by its transaction.
fn stream_of(what: &str, id: &str, folded: &Folded) -> Result<StreamId, CliError> {
    let unknown = || {
        CliError::usage("wox::recover::unknown", format!("there is no {what} {id} in this log"))
            .next(format!("wox recover {what} lists the ones something is wrong with"))
    };
    let of_transaction =
        folded.replay.state.deposits.iter().map(|(subject, _)| subject).find(|subject| {
            what == "deposit" && subject.split(':').nth(1).is_some_and(|tx| tx.eq_ignore_ascii_case(id))
        });
    StreamId::new(format!("{what}-{}", of_transaction.unwrap_or(id))).map_err(|_| unknown())
}

fn found(look: &RowLook) -> &'static str {
    match (look.is_equal(), look.is_missing()) {
        (true, _) => "equal",
        (false, true) => "missing",
        (false, false) => "changed",
    }
}

/// Somebody changed the row outside the engine (R33). Found again with the same values, it is the same finding.
fn outside(look: &RowLook) -> Note {
    let stream = StreamId::new("ops-tables").expect("a fixed stream name");
    let key = format!("outside:{}:{}:{}:{}", look.table, look.key, look.as_of, words(look));
    let event = OpsEvent::OutOfBandChangeFound { table: label(look.table.name()), key: label(&look.key) };
    Note::new(&stream, key, event)
}

fn words(look: &RowLook) -> String {
    let changes = look.changes();
    let each: Vec<_> = changes
        .iter()
        .take(5)
        .map(|change| format!("{} {} -> {}", change.column, value(&change.before), value(&change.after)))
        .collect();
    let more = changes.len().saturating_sub(each.len()) as u64;
    match more {
        0 => each.join(", "),
        more => format!("{} and {}", each.join(", "), counted(more, "more column")),
    }
}

/// A stream that is held shows its last valid state: the row becomes that, and the repair of the log comes still.
fn say_held(folded: &Folded, stream: &StreamId, context: &Context) {
    if let Some(held) = folded.replay.held().get(stream) {
        context.say(format!(
            "{stream} is held since position {}: the row is set to its last valid state; wox plan says what is wrong",
            held.since.position
        ));
    }
}

/// Where the live values come from: the worst that can be said of any of them; and whether somebody took the row away.
async fn origin(
    log: &EmbeddedLog,
    until: Position,
    look: &RowLook,
    made: &Made,
) -> Result<(Option<Origin>, bool), CliError> {
    let Some(difference) = &look.difference else { return Ok((None, false)) };
    let mut differences: Vec<Difference> = vec![difference.clone()];
    if let Some(seeker) = Seeker::of(&differences, |table| (table == look.table).then_some(&look.layout)) {
        let counter = Arc::new(replay::Progress::default());
        let (seeker, _) = watched(log, until, evidence::threads(None), &counter, seeker).await?;
        seeker.tell(&mut differences);
    }
    made.judge(&mut differences);
    let origins: Vec<_> = differences.iter().flat_map(|found| &found.fields).filter_map(|field| field.origin).collect();
    let outside = origins.iter().find(|origin| **origin == Origin::Outside);
    let taken_away = differences.iter().any(Difference::is_taken_away);
    Ok((outside.or(origins.first()).copied(), taken_away))
}

impl From<RowError> for CliError {
    fn from(error: RowError) -> CliError {
        let what = error.to_string();
        match error {
            RowError::Rebuild(crate::rebuild::RebuildError::GameDb(GameDbError::Statement {
                number: 1451 | 1452,
                ..
            })) => CliError::refused("wox::recover::tied", what)
                .next("rows of other tables are tied to this one: wox rebuild sets them right together"),
            RowError::Rebuild(crate::rebuild::RebuildError::GameDb(error)) => error.into(),
            RowError::Rebuild(crate::rebuild::RebuildError::Look(error)) => error.into(),
            RowError::Rebuild(error) => CliError::failed("wox::recover::row", error.to_string()).next("wox diff"),
            RowError::NoRow { .. } => CliError::failed("wox::recover::no-row", what).next("wox diff"),
            RowError::Lost { .. } => CliError::failed("wox::recover::lost", what).next("wox rebuild"),
            RowError::Moved { .. } => {
                CliError::refused("wox::recover::moved", what).next("run the same command again: it looks again")
            }
        }
    }
}
