//! `wox import`: an export back into a log, observed facts of the outside world and a running game into streams.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use wox_events::{Event, LogId, Position, Revision};

use crate::{
    cli::{
        CliError, Context,
        error::ErrorKind,
        input::{Line, Lines},
        progress::{Phase, Progress},
        render::{Document, counted},
        store,
    },
    command,
    exit_code::ExitCode,
    interchange::{self, BadLine, Format, Incoming},
    log::{AppendError, AppendRequest, EmbeddedLog, EventLog as _, Head, embedded},
};

pub(super) mod base_receipts;
pub(super) mod game_db;

/// Import an export, observed facts, or a running game into the log
///
/// An export is canonical JSON Lines or CloudEvents 1.0 JSON Lines; the form is recognised. A store that is empty, or not
/// there yet, takes over the export's log id, so that `wox export` gives the same bytes again. Importing twice changes
/// nothing and says how many events were repeats.
///
/// An export is taken as it is, with plans, approvals and looks that only a recovery writes: whoever may import may write
/// history. `wox append` is for programs that may only add to it.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "\
Examples:
  wox import game.jsonl.zst                    take over an export
  ssh old-host wox export - | wox import -     copy a log"
)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    source: Option<Source>,
    /// File to read (.gz and .zst too), or - for stdin
    #[arg(required = true)]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Source {
    BaseReceipts(base_receipts::BaseReceiptsArgs),
    GameDb(game_db::GameDbArgs),
}

/// Most events that share one transaction.
const BATCH_EVENTS_MAX: usize = 10_000;
/// Most bytes of payload that share one transaction.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// One line, read and looked at.
struct Read {
    line: u64,
    incoming: Incoming,
    /// This build can read the payload.
    readable: bool,
}

/// What an import did, as it is printed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ImportReport {
    /// `canonical` or `cloudevents`.
    format: String,
    /// Events read.
    read: u64,
    /// Those that are new in the log.
    appended: u64,
    /// Those that were there already.
    repeats: u64,
    /// Those this build cannot read; their streams are held.
    unreadable: u64,
    /// Where the log stands.
    head: Head,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default)]
struct Imported {
    read: u64,
    repeats: u64,
    unreadable: u64,
}

pub(super) async fn run(args: ImportArgs, context: Context) -> Result<ExitCode, CliError> {
    match (args.source, args.file) {
        (Some(Source::BaseReceipts(args)), _) => base_receipts::run(args, context).await,
        (Some(Source::GameDb(args)), _) => game_db::run(args, context).await,
        (None, Some(file)) => import(file, context).await,
        (None, None) => Err(CliError::usage("wox::import::file", "no file is named").next("wox import FILE")),
    }
}

async fn import(file: PathBuf, context: Context) -> Result<ExitCode, CliError> {
    let lines = Lines::open(&file)?;
    let name = lines.name().to_owned();
    // A pipe may never send its first line: the wait for it must not keep Ctrl-C waiting.
    let reading = move || {
        let mut lines = lines;
        let first = lines.next_line();
        (lines, first)
    };
    let Some((lines, first)) = context.interrupt.unless_asked(reading).await else {
        return Err(CliError::interrupted("stopped before the first event").next("run the same command again"));
    };
    let Some(first) = first? else {
        context.say(format!("{name} holds no event; nothing to import"));
        return Ok(ExitCode::Done);
    };
    let format = interchange::detect(&first.text).map_err(|error| unrecognised(&name, &first, error))?;
    let first = read(format, &name, first)?;
    let log = open(&context, &name, &first).await?;
    let rest = lines.batches_ahead(BATCH_EVENTS_MAX, BATCH_BYTES_MAX, move |name, line| read(format, name, line));

    let phase = Progress::new(context.progress, 1).phase(1, "import", "events", None);
    let result = append(&log, &name, first, rest, &phase, &context).await;
    if result.is_ok() {
        phase.finish();
    }
    let imported = result?;
    let head = log.head().await?;
    log.close().await;
    report(&imported, format, &head, &context)
}

fn report(imported: &Imported, format: Format, head: &Head, context: &Context) -> Result<ExitCode, CliError> {
    let new = imported.read - imported.repeats;
    Document::of(&ImportReport {
        format: format.to_string(),
        read: imported.read,
        appended: new,
        repeats: imported.repeats,
        unreadable: imported.unreadable,
        head: *head,
    })
    .line(format!("{} read, {new} appended, {} repeats", counted(imported.read, "event"), imported.repeats))
    .line(format!("log {} is at position {}, root {}", head.log, head.position, head.root))
    .print(context.output)?;
    if imported.unreadable > 0 {
        context.say(format!(
            "{} of a kind or shape this build cannot read; their streams are held (wox plan names them)",
            counted(imported.unreadable, "event")
        ));
    }
    Ok(ExitCode::Done)
}

/// Opens the store, or creates it. A log without events takes over the id of the export when that begins at its
/// beginning; a part of an export gets new positions, so it cannot be the same log. A part that begins in the middle of
/// a stream fits no empty store: none is made for it.
async fn open(context: &Context, name: &str, first: &Read) -> Result<EmbeddedLog, CliError> {
    let Read { line, incoming: first, .. } = first;
    let begins = first.revision <= Revision(1);
    let whole: Option<LogId> = first.log.filter(|_| first.position == Some(Position(1)));
    match EmbeddedLog::open(&context.store).await {
        Ok(log) => {
            let head = log.head().await?;
            if head.position == Position(0) && !begins {
                log.close().await;
                return Err(begins_in_the_middle(name, *line, first));
            }
            match whole {
                Some(id) if head.position == Position(0) && id != head.log => {
                    log.close().await;
                    drop(log);
                    embedded::adopt(&context.store, id).await?;
                    store::open_to_write(context).await
                }
                _ => Ok(log),
            }
        }
        Err(embedded::OpenError::Missing { .. }) if !begins => Err(begins_in_the_middle(name, *line, first)),
        Err(embedded::OpenError::Missing { .. }) => {
            let options = embedded::Options { log_id: whole, ..embedded::Options::default() };
            context.say(format!("creating {}", context.store.display()));
            Ok(EmbeddedLog::create(&context.store, options).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn begins_in_the_middle(name: &str, line: u64, first: &Incoming) -> CliError {
    CliError::refused(
        "wox::import::part",
        format!(
            "the input begins with revision {} of stream {}, and the store holds no event",
            first.revision, first.stream
        ),
    )
    .at("file", name)
    .at("line", line)
    .at("stream", &first.stream)
    .next("import the whole export; a part of one only goes on from a store that holds what is before it")
}

/// What an append's refusal means for a file that is imported: nobody decides again about what happened elsewhere.
fn unfit(error: AppendError, name: &str, line: u64) -> CliError {
    let (stream, what) = match &error {
        AppendError::Conflict { stream, expected, actual } if expected > actual => {
            let next = Revision(expected.0 + 1);
            (
                stream,
                format!(
                    "revision {next} of stream {stream} comes where revision {} must stand: events before it are missing",
                    actual.0 + 1
                ),
            )
        }
        AppendError::Conflict { stream, expected, .. } => {
            (stream, format!("the store holds another event at revision {} of stream {stream}", expected.0 + 1))
        }
        AppendError::IdConflict { stream, id, revision } => (
            stream,
            format!("the store holds event {id} at revision {revision} of stream {stream}, and it is not the same"),
        ),
        _ => return CliError::from(error).at("file", name).at("line", line),
    };
    CliError::refused("wox::import::unfit", what)
        .at("file", name)
        .at("line", line)
        .at("stream", stream)
        .next(command::wox(["show", stream.as_str()]))
        .next("the file and the store hold different histories: import the whole export, into a store of its own (--store DIR)")
}

async fn append(
    log: &EmbeddedLog,
    name: &str,
    first: Read,
    mut rest: Receiver<(Vec<Read>, Option<CliError>)>,
    phase: &Phase,
    context: &Context,
) -> Result<Imported, CliError> {
    let mut imported = Imported::default();
    let mut next = log.head().await?.position.0 + 1;
    let mut waiting = Some((vec![first], None));
    let mut failed = None;
    while failed.is_none() {
        let interrupted = |imported: &Imported| {
            let told = format!("stopped after {}; all of them are durable", counted(imported.read, "event"));
            CliError::interrupted(told).next("run the same command again: what is there already is counted as a repeat")
        };
        let received = match waiting.take() {
            Some(first) => Some(first),
            None => tokio::select! {
                biased;
                () = context.interrupt.wait() => return Err(interrupted(&imported)),
                received = rest.recv() => received,
            },
        };
        let Some((lines, broken)) = received else { break };
        failed = broken;
        let mut batch = Vec::with_capacity(lines.len());
        for read in lines {
            match check_place(log.id(), &mut next, name, read) {
                Ok(read) => batch.push(read),
                // It comes before whatever is wrong behind it.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !batch.is_empty() {
            append_batch(log, name, batch, &mut imported).await?;
            phase.set(imported.read);
        }
    }
    match failed {
        None => Ok(imported),
        Some(error) if error.kind() == ErrorKind::Failed => {
            Err(error.next(format!("{} before it are durable; importing again changes nothing there", imported.read)))
        }
        Some(error) => Err(error),
    }
}

async fn append_batch(
    log: &EmbeddedLog,
    name: &str,
    batch: Vec<Read>,
    imported: &mut Imported,
) -> Result<(), CliError> {
    let places: Vec<_> = batch.iter().map(|read| (read.line, read.readable, read.incoming.position)).collect();
    let same_log = |incoming: &Incoming| incoming.log == Some(log.id());
    let exact: Vec<bool> = batch.iter().map(|read| same_log(&read.incoming)).collect();
    let requests = batch
        .into_iter()
        .map(|read| AppendRequest {
            stream: read.incoming.stream,
            expected: Revision(read.incoming.revision.0.saturating_sub(1)),
            events: vec![read.incoming.event],
        })
        .collect();
    let answers = log.append_in_order(requests).await;
    for (((line, readable, position), exact), answer) in places.into_iter().zip(exact).zip(answers) {
        let ack = answer.map_err(|error| unfit(error, name, line))?;
        let found = ack.events.first().map(|event| event.position);
        if exact && found != position {
            return Err(CliError::failed("wox::import::place", "the log holds this event at another position")
                .at("file", name)
                .at("line", line)
                .at("stream", &ack.stream)
                .next("the file was not exported from this log as it is; import it into a store of its own"));
        }
        imported.read += 1;
        imported.repeats += u64::from(ack.repeat);
        imported.unreadable += u64::from(!readable);
    }
    Ok(())
}

/// An export of this very log must stand in its order: a position ahead of its turn means that lines are missing.
fn check_place(log: LogId, next: &mut u64, name: &str, read: Read) -> Result<Read, CliError> {
    let (Some(of), Some(position)) = (read.incoming.log, read.incoming.position) else { return Ok(read) };
    if of == log {
        if position.0 > *next {
            return Err(CliError::failed(
                "wox::import::gap",
                format!("position {position} comes where {next} must stand: lines are missing or out of order"),
            )
            .at("file", name)
            .at("line", read.line)
            .at("stream", &read.incoming.stream)
            .next("export the log again, whole and in order"));
        }
        *next = (*next).max(position.0 + 1);
    }
    if read.incoming.revision == Revision::NO_STREAM {
        return Err(CliError::failed("wox::import::line", "revision 0 is no place in a stream; revisions start at 1")
            .at("file", name)
            .at("line", read.line)
            .at("stream", &read.incoming.stream)
            .next("correct the line and import again"));
    }
    Ok(read)
}

fn read(format: Format, name: &str, line: Line) -> Result<Read, CliError> {
    let incoming = interchange::read(format, &line.text).map_err(|error| {
        CliError::failed("wox::import::line", format!("the line is no {format} event: {error}"))
            .at("file", name)
            .at("line", line.number)
            .next("correct the line, or export the log again")
    })?;
    let event = &incoming.event;
    let readable = Event::decode(&incoming.stream, &event.kind, event.version, event.data.as_str()).is_ok();
    Ok(Read { line: line.number, incoming, readable })
}

fn unrecognised(name: &str, line: &Line, error: BadLine) -> CliError {
    let next = match error {
        BadLine::ForAppend => "wox append takes such lines",
        BadLine::Unrecognised | BadLine::Shape(_) | BadLine::Field { .. } => {
            "wox export writes what can be imported; wox append takes events of programs"
        }
    };
    CliError::failed("wox::import::form", format!("the input is no export: {error}"))
        .at("file", name)
        .at("line", line.number)
        .next(next)
}
