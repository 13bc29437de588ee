//! A dump of one table as evidence (R07): read, put into a scratch schema, held against the log of its time and the live
//! table, and taken away again. Never live.

use std::path::{Path, PathBuf};

use wox_events::{Position, Timestamp};

use crate::{
    assess::{
        self, Check, Status,
        image::{Beside, ImageReport},
    },
    cli::{
        CliError, Context,
        as_of::{self, AsOf},
        game_db, input,
        progress::Progress,
        time,
    },
    import::table_dump::{self, BadDump, Dump},
    log::EmbeddedLog,
    rebuild::look::{self, RowProgress, compare},
    rfc3339,
    tables::{
        Image, Table,
        compare::{Compared, Details, Layout},
    },
    world::game_db::{GameDb, Session},
};

/// The check of a dump.
pub(super) const CHECK: (&str, &str, &str) = ("image", "R07", "the dump is what the log says of its time");

/// Rows that are written into the scratch schema together, and most bytes of them.
const ROWS_MAX: usize = 500;
const BYTES_MAX: usize = 1 << 20;
/// Batches of rows that wait for the database.
const BATCHES_AHEAD: usize = 2;

type Batched = Vec<Vec<Option<Vec<u8>>>>;

/// A dump that was read once, without a database: one that is refused leaves no trace there.
pub(super) struct Taken {
    path: PathBuf,
    dump: Dump,
    at: Timestamp,
    by: &'static str,
}

/// Reads a dump, and when it was taken.
pub(super) async fn read(path: &Path, time: Option<Timestamp>, context: &Context) -> Result<Taken, CliError> {
    if path == Path::new("-") {
        return Err(CliError::usage("wox::assess::image", "a dump is read twice, so it cannot come from stdin")
            .next("write it into a file and name that"));
    }
    let path = path.to_owned();
    let reading = move || {
        let dump = parse(&path, |_| Ok(()))?;
        let (at, by) = when(&dump, &path, time)?;
        Ok(Taken { path, dump, at, by })
    };
    let read = context.interrupt.unless_asked(reading).await;
    read.unwrap_or_else(
        || Err(CliError::interrupted("stopped; nothing was changed").next("run the same command again")),
    )
}

/// Looks at a dump.
pub(super) async fn look_at(
    db: &GameDb,
    log: &EmbeddedLog,
    taken: &Taken,
    progress: &Progress,
    context: &Context,
) -> Result<(ImageReport, Check), CliError> {
    let dump = &taken.dump;
    let digits: String = dump.digest.to_string().chars().take(16).collect();
    let schema = format!("wox_scratch_{digits}");
    let mut session = db.connect().await?;
    let looked = in_scratch(&mut session, &schema, taken, log, progress, context).await;
    let dropped = session.drop_scratch(&schema).await;
    session.close().await;
    let (scratched, as_of) = looked?;
    dropped?;
    let beside = beside(db, dump, scratched.beside, context).await?;
    let different = scratched.log.as_ref().map(|log| log.changed + log.missing + log.surplus);
    let report = ImageReport {
        table: dump.table,
        digest: dump.digest,
        rows: dump.rows,
        taken: rfc3339::text(taken.at),
        taken_by: taken.by,
        as_of,
        equal_to_log: scratched.log.as_ref().map(|log| log.equal),
        different_from_log: different,
        live_same: beside.same,
        live_changed: beside.changed,
        live_gone: beside.gone(),
        live_new: beside.new,
    };
    let check = verdict(&report, scratched.log.as_ref());
    Ok((report, check))
}

/// What the scratch schema showed.
struct Scratched {
    log: Option<Compared>,
    beside: Beside,
}

fn verdict(report: &ImageReport, compared: Option<&Compared>) -> Check {
    let mut check = assess::failed(CHECK.0, CHECK.1, CHECK.2, "", "");
    let Some(compared) = compared else {
        check.found = format!("the log holds nothing up to {}", report.taken);
        check.next = Some("the dump is older than the log: compare it with the live table only, as above".into());
        return check;
    };
    let table = report.table;
    (check.status, check.next) = match compared.is_equal() {
        true => (Status::Ok, None),
        false => (
            Status::Violated,
            Some(format!(
                "look which rows: either the dump's time is another (--image-time), or the table had left the log by then; never load it into the live table: wox rebuild {table} makes it from the log"
            )),
        ),
    };
    let first = compared.differences.first().map(|first| format!("; {} {}", first.kind, first.key)).unwrap_or_default();
    check.found = format!(
        "{} of {} rows agree; {} changed, {} missing, {} surplus{first}",
        compared.equal, compared.live, compared.changed, compared.missing, compared.surplus
    );
    check
}

async fn in_scratch(
    session: &mut Session,
    schema: &str,
    taken: &Taken,
    log: &EmbeddedLog,
    progress: &Progress,
    context: &Context,
) -> Result<(Scratched, Option<Position>), CliError> {
    let Taken { path, dump, at, .. } = taken;
    let columns: Vec<String> = dump.table.columns().iter().map(|column| column.name.to_owned()).collect();
    session.enter_scratch(schema, dump.table, &columns).await?;
    load(session, dump, path, context).await?;
    let mut beside = Beside::of(dump.table);
    each_row(session, dump.table, &columns, context, |cells| beside.dumped(cells)).await?;
    let as_of = match as_of::position_of(log, &AsOf::Time(*at)).await {
        Ok(position) => Some(position),
        // The log begins later, or holds nothing at all.
        Err(error) if error.kind() == crate::cli::error::ErrorKind::Usage => None,
        Err(error) => return Err(error),
    };
    let Some(until) = as_of.filter(|position| position.0 > 0) else {
        return Ok((Scratched { log: None, beside }, None));
    };
    let phase = progress.phase(3, "replay to the dump", "events", Some(until.0));
    let folded = game_db::folded(log, until, phase, context).await?;
    let image = Image::of(dump.table, &folded.replay.state, &folded.scribe);
    let layout = Layout::published(dump.table);
    let counter = RowProgress::default();
    let compared = compare(session, &image, dump.table.name(), (&layout, &columns), Details::FIRST, &counter).await?;
    Ok((Scratched { log: Some(compared), beside }, as_of))
}

/// Reads the dump again and writes its rows into the scratch schema, a batch ahead.
async fn load(session: &mut Session, dump: &Dump, path: &Path, context: &Context) -> Result<(), CliError> {
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Batched>(BATCHES_AHEAD);
    let (path, places) = (path.to_owned(), places(dump)?);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut batch, mut bytes) = (Batched::new(), 0);
        parse(&path, |values| {
            let row: Vec<_> = places.iter().map(|place| values.get(*place).cloned().flatten()).collect();
            bytes += row.iter().flatten().map(Vec::len).sum::<usize>();
            batch.push(row);
            if batch.len() >= ROWS_MAX || bytes >= BYTES_MAX {
                bytes = 0;
                let full = std::mem::take(&mut batch);
                sender.blocking_send(full).map_err(|_| "nobody takes the rows any more".to_owned())?;
            }
            Ok(())
        })?;
        let _last_one = sender.blocking_send(batch);
        Ok::<_, CliError>(())
    });
    while let Some(batch) = batches.recv().await {
        session.fill_scratch(dump.table, &batch).await?;
        if context.interrupt.asked() {
            return Err(CliError::interrupted("stopped; nothing was changed").next("run the same command again"));
        }
    }
    reading
        .await
        .map_err(|error| CliError::failed("wox::assess::image", "the dump was not read to its end").caused_by(error))?
}

/// Where the columns of the game's schema stand in the dump.
fn places(dump: &Dump) -> Result<Vec<usize>, CliError> {
    let place = |name: &str| dump.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
    let found = dump.table.columns().iter().map(|column| {
        place(column.name).ok_or_else(|| {
            CliError::failed("wox::assess::image", format!("the dump has no column {}", column.name))
                .next("it is of another version of the game's schema; dump the table of this version")
        })
    });
    found.collect()
}

fn parse(path: &Path, mut row: impl FnMut(Vec<Option<Vec<u8>>>) -> Result<(), String>) -> Result<Dump, CliError> {
    let mut input = input::open_bytes(path)?;
    let mut columns_known: Option<Vec<String>> = None;
    let read = table_dump::read(&mut *input, |_, columns, values| {
        // A list of columns in an INSERT may order them anew; one order is kept for the whole dump.
        match &columns_known {
            None => columns_known = Some(columns.to_vec()),
            Some(known) if known == columns => {}
            Some(_) => return Err("rows with another order of columns than those before".into()),
        }
        row(values)
    });
    let mut dump = read.map_err(|error| {
        let told = CliError::refused("wox::assess::dump", format!("the dump is not taken as evidence: {error}"));
        let told = match error {
            BadDump::Statement { line, .. } => told.at("line", line),
            BadDump::Read(_) | BadDump::Incomplete { .. } => told,
        };
        told.at("file", path.display()).next(
            "a dump of one table, as mysqldump DATABASE TABLE writes it, holds nothing but that table and its rows",
        )
    })?;
    if let Some(columns) = columns_known {
        dump.columns = columns;
    }
    Ok(dump)
}

/// When the dump was taken, and who says so.
fn when(dump: &Dump, path: &Path, told: Option<Timestamp>) -> Result<(Timestamp, &'static str), CliError> {
    if let Some(told) = told {
        if told.since(time::now()) > time::AHEAD_MAX {
            return Err(CliError::usage("wox::assess::image-time", "no dump was taken in the future")
                .at("--image-time", rfc3339::text(told))
                .next("give the time at which it was taken; wox doctor looks at this machine's clock"));
        }
        return Ok((told, "flag"));
    }
    let said = dump.completed.as_deref().and_then(|text| {
        let (day, hour) = text.split_once(char::is_whitespace)?;
        rfc3339::parse(&format!("{day}T{:0>8}Z", hour.trim())).ok()
    });
    if let Some(time) = said.filter(|time| time.since(time::now()) > time::AHEAD_MAX) {
        let what = "the dump says that it was taken in the future";
        return Err(CliError::usage("wox::assess::image-time", what)
            .at("file", path.display())
            .at("completed", rfc3339::text(time))
            .next("give the time at which it was taken with --image-time; wox doctor looks at this machine's clock"));
    }
    if let Some(time) = said {
        return Ok((time, "dump"));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match named_time(&name) {
        Some(time) => Ok((time, "file name")),
        None => Err(CliError::usage("wox::assess::image-time", "neither the dump nor its name says when it was taken")
            .at("file", path.display())
            .next("give it with --image-time 2026-08-01T20:00:00Z")),
    }
}

/// `players_2026-08-01_20.sql.gz` or `players_20260801_20.sql.gz`: the hour it was taken in.
fn named_time(name: &str) -> Option<Timestamp> {
    let stem = name.split('.').next()?;
    let mut parts = stem.rsplit('_');
    let (hour, day) = (parts.next()?, parts.next()?);
    let digits: String = day.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 8 || hour.len() < 2 || !hour.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let minute = hour.get(2..4).unwrap_or("00");
    rfc3339::parse(&format!("{}-{}-{}T{}:{minute}:00Z", &digits[..4], &digits[4..6], &digits[6..], &hour[..2])).ok()
}

/// The live table beside the dump.
async fn beside(db: &GameDb, dump: &Dump, mut beside: Beside, context: &Context) -> Result<Beside, CliError> {
    let mut session = db.connect().await?;
    let schema = session.schema(&[dump.table]).await?;
    if let Some(live) = schema.table(dump.table).filter(|_| schema.fatal().next().is_none()) {
        session.snapshot().await?;
        each_row(&mut session, dump.table, &live.columns, context, |cells| beside.live(cells)).await?;
        session.end_snapshot().await?;
    }
    session.close().await;
    Ok(beside)
}

/// Reads the rows of a table; Ctrl-C stops it at the next batch.
async fn each_row(
    session: &mut Session,
    table: Table,
    columns: &[String],
    context: &Context,
    take: impl FnMut(&[Option<&[u8]>]),
) -> Result<(), CliError> {
    let counter = RowProgress::default();
    let reading = look::each_row(session, table.name(), columns, &counter, take);
    let stopping = async {
        context.interrupt.wait().await;
        counter.stop();
        std::future::pending::<()>().await
    };
    tokio::select! { read = reading => Ok(read?), () = stopping => Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_in_a_file_name_is_read() {
        let hour = |name: &str| named_time(name).map(rfc3339::text);
        let expected = Some("2026-08-01T20:00:00.000000Z".to_owned());
        assert_eq!(hour("players_2026-08-01_20.sql.gz"), expected);
        assert_eq!(hour("withdrawal_requests_20260801_2000.sql"), expected);
        assert_eq!(hour("players.sql"), None);
        assert_eq!(hour("players_2026-08-01_xx.sql"), None);
    }
}
