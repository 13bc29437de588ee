//! Opening the store a command works on, and what its errors mean to an operator.

use std::{
    fs,
    path::Path,
    sync::{Once, atomic::Ordering},
};

use crate::{
    cli::{CliError, Context, render::counted},
    command,
    log::{
        AppendError, EmbeddedLog, EventLog as _, ReadError,
        embedded::{OpenError, watermark_of},
    },
};

/// Opens the store for looking at it. Needs no lock: a writer may be at work. A store that holds fewer events than were
/// acknowledged may be looked at; whoever looks is told, and the command ends with exit code 5 whatever it finds.
pub(super) async fn open_to_read(context: &Context) -> Result<EmbeddedLog, CliError> {
    static TOLD: Once = Once::new();
    // Before the head: a writer at work moves both, and the watermark last.
    let watermark = watermark_of(&context.store).ok().flatten();
    let log = EmbeddedLog::open_read_only(&context.store).await?;
    if watermark.is_none() && log.head().await.is_ok_and(|head| head.position.0 > 0) {
        context.incomplete.store(true, Ordering::Relaxed);
        TOLD.call_once(|| {
            context.say("the watermark is missing or damaged: nobody can say whether acknowledged events are missing here\nnext: wox verify");
        });
    }
    if let Some(watermark) = watermark
        && let Ok(head) = log.head().await
        && head.position < watermark
    {
        let lost = match watermark.0 - head.position.0 {
            1 => "1 event that was acknowledged is".to_owned(),
            more => format!("{} that were acknowledged are", counted(more, "event")),
        };
        context.incomplete.store(true, Ordering::Relaxed);
        TOLD.call_once(|| {
            context.say(format!(
                "{lost} missing here: this store is an older copy, and what follows does not know them\nnext: wox doctor"
            ));
        });
    }
    Ok(log)
}

/// Opens the store for appending; another writer is refused.
pub(super) async fn open_to_write(context: &Context) -> Result<EmbeddedLog, CliError> {
    Ok(EmbeddedLog::open(&context.store).await?)
}

/// Makes the folder that a new store is to stand in.
pub(super) fn make_parent(store: &Path) -> Result<(), CliError> {
    let Some(parent) = store.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| {
        CliError::failed("wox::store::parent", "the folder for the store cannot be made")
            .at("folder", parent.display())
            .next("choose another place with --store")
            .caused_by(error)
    })
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> CliError {
        match &error {
            ReadError::Unavailable { file, .. } => {
                CliError::failed("wox::store::unavailable", "the store cannot be read now")
                    .at("file", file.display())
                    .next("free the cause and run the command again; wox doctor looks at the usual ones")
                    .caused_by(error)
            }
            ReadError::Corrupt { file, offset, position, stream, what } => {
                let mut told = CliError::integrity("wox::store::corrupt", format!("the store is damaged: {what}"))
                    .at("file", file.display());
                if let Some(offset) = offset {
                    told = told.at("offset", offset);
                }
                if let Some(position) = position {
                    told = told.at("position", position);
                }
                if let Some(stream) = stream {
                    told = told.at("stream", stream);
                }
                told.next("wox verify")
                    .next("keep a copy of the directory, then restore it from a backup or an export (wox import)")
            }
        }
    }
}

impl From<AppendError> for CliError {
    fn from(error: AppendError) -> CliError {
        match &error {
            AppendError::Conflict { stream, expected, actual } => CliError::refused(
                "wox::append::conflict",
                format!("stream {stream} is at revision {actual}, not at the expected {expected}"),
            )
            .at("stream", stream)
            .next(command::wox(["show", stream.as_str()]))
            .next("decide again on what the stream says now, and give that revision as `expected`"),
            AppendError::IdConflict { stream, id, revision } => CliError::refused(
                "wox::append::id-conflict",
                format!("event {id} is in stream {stream} already, at revision {revision}, and is not the same"),
            )
            .at("stream", stream)
            .next(command::wox(["show", stream.as_str()]))
            .next("give a new event a new id; send a repeat with the same content and the same `expected`"),
            AppendError::Invalid { stream, what, .. } => {
                CliError::failed("wox::append::invalid", format!("the event is refused: {what}"))
                    .at("stream", stream)
                    .next("correct the event and send it again")
            }
            AppendError::ReadOnly { path } => {
                CliError::failed("wox::store::read-only", "the store is open for reading only")
                    .at("store", path.display())
                    .next("run the command with permission to write to the directory")
            }
            AppendError::Fenced { path } => {
                CliError::refused("wox::store::fenced", "another writer has taken the store over")
                    .at("store", path.display())
                    .next("stop one of the two writers; wox doctor names the one that holds the lock")
            }
            AppendError::Failed { path, .. } => {
                CliError::failed("wox::store::write", "the store could not be written; nothing more is acknowledged")
                    .at("store", path.display())
                    .next("free the cause (wox doctor looks at disk space), then send the same events again: repeats change nothing")
                    .caused_by(error)
            }
            AppendError::Poisoned { path, cause } => {
                CliError::failed("wox::store::poisoned", format!("an earlier write to the store failed: {cause}"))
                    .at("store", path.display())
                    .next("free the cause, run wox verify, then send the same events again: repeats change nothing")
            }
        }
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> CliError {
        match error {
            OpenError::Missing { path } => CliError::failed("wox::store::missing", "there is no store")
                .at("path", path.display())
                .next("wox init")
                .next("or name the directory of a store with --store or WOX_STORE"),
            OpenError::Occupied { path } => {
                CliError::refused("wox::store::occupied", "the directory exists and is not empty")
                    .at("path", path.display())
                    .next("choose another directory with --store; wox status looks at a store that is there")
            }
            OpenError::Unexpected { path, found } => {
                CliError::failed("wox::store::unexpected", format!("{found} stands where a part of a store belongs"))
                    .at("path", path.display())
                    .next("move it away, then restore the store, or create one with wox init")
            }
            OpenError::NotALog { path, what } => {
                CliError::integrity("wox::store::not-a-log", format!("the file is no event log: {what}"))
                    .at("file", path.display())
                    .next("move it away, then restore it from a backup or an export, or create a store with wox init")
            }
            OpenError::Locked { path } => {
                CliError::failed("wox::store::locked", "another process has the store open for writing")
                    .at("store", path.display())
                    .next("wait for it or stop it; commands that only look work meanwhile")
            }
            OpenError::Format { path, found, known } => CliError::failed(
                "wox::store::format",
                format!("the store has format {found}, this build reads format {known}"),
            )
            .at("file", path.display())
            .next("run the version of wox that wrote it"),
            OpenError::Behind { path, events, head, watermark } => CliError::integrity(
                "wox::store::behind",
                format!("the store is behind its watermark by {}", counted(events, "event")),
            )
            .at("store", path.display())
            .at("head", head)
            .at("watermark", watermark)
            .next("restore the newest backup: durable events are missing, and nothing is appended until they are back")
            .next("wox verify says how far the rest is whole; only where there is no backup: wox fork"),
            OpenError::Different { path, at, what } => {
                CliError::integrity("wox::store::different", format!("the store differs from its watermark: {what}"))
                    .at("store", path.display())
                    .at("position", at)
                    .next("wox verify")
                    .next("restore the newest backup; nothing is appended to a history that changed")
                    .next("only where there is no backup: wox fork")
            }
            OpenError::NoWatermark { path, what } => {
                CliError::integrity("wox::store::watermark", format!("the watermark is {what}"))
                    .at("file", path.display())
                    .next("wox verify")
                    .next("restore the file: without it nobody can say how far the log was durable")
                    .next("only where there is no backup: wox fork")
            }
            OpenError::Damaged(error) => error.into(),
            error @ OpenError::PageSize { .. } => {
                CliError::usage("wox::init::page-size", error.to_string()).next("wox init --page-size 1024")
            }
            error @ OpenError::Build(_) => CliError::failed("wox::build", "this build of wox is defective")
                .next("use another build")
                .caused_by(error),
            OpenError::Unavailable { path, source } => {
                CliError::failed("wox::store::unavailable", "the store cannot be opened")
                    .at("file", path.display())
                    .next("free the cause and run the command again; wox doctor looks at the usual ones")
                    .caused_by(source)
            }
        }
    }
}
