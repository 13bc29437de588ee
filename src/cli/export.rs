//! `wox export`: the whole log as lines that any program can read and that make the same log again.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use flate2::{Compression, write::GzEncoder};
use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Digest, LogId, Position};

use crate::{
    cli::{
        CliError, Context, as_of,
        progress::Progress,
        render::{Document, counted},
        store,
    },
    exit_code::ExitCode,
    interchange::{self, Format},
    log::{EmbeddedLog, EventLog as _},
};

/// Export the log as JSON Lines
///
/// The canonical form is exactly what the Merkle tree covers: the same log always gives the same bytes, and `wox import`
/// makes the same log of them.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox export                                    canonical lines on stdout
  wox export log.jsonl.zst                      compressed, by the file's extension
  wox export --format cloudevents - | consumer
  wox export --as-of 2026-08-01T20:00:00Z -     only the history up to then")]
pub(super) struct ExportArgs {
    /// The form of the lines
    #[arg(long, default_value = "canonical", value_parser = formats())]
    format: Format,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// File to write (.gz and .zst are compressed), or - for stdout
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// A file that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Exported {
    /// The file.
    file: PathBuf,
    /// `canonical` or `cloudevents`.
    format: String,
    /// How many events are in it.
    events: u64,
    /// The log it is of.
    log: LogId,
    /// The last event in it.
    position: Position,
    /// The Merkle root there.
    root: Digest,
}

/// How a file is compressed, by its extension.
enum Sink {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

/// The library's formats as clap lists and reads them; the library itself knows no command line.
fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["canonical", "cloudevents"])
        .map(|name| name.parse().expect("every listed name is a format"))
}

pub(super) async fn run(args: ExportArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    if args.file == Path::new("-") {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        write(&log, until, args.format, &mut out, &context, CliError::output).await?;
        out.flush().map_err(CliError::output)?;
        return Ok(ExitCode::Done);
    }
    let file = &args.file;
    if file.exists() && !args.force {
        return Err(CliError::refused("wox::export::exists", "the file exists")
            .at("file", file.display())
            .next("name another file, or replace this one with --force"));
    }
    let unwritable = |error: io::Error| {
        CliError::failed("wox::export::write", "the file cannot be written")
            .at("file", file.display())
            .next("free some space or name another file, then export again; the old file, if any, is as it was")
            .caused_by(error)
    };
    // Written beside its place and moved there when whole: nobody ever sees half an export under its name.
    let partial = partial_name(file);
    let written = async {
        let mut sink = Sink::create(&partial, file).map_err(unwritable)?;
        write(&log, until, args.format, &mut sink, &context, unwritable).await?;
        sink.finish().and_then(|()| std::fs::rename(&partial, file)).map_err(unwritable)
    }
    .await;
    if let Err(error) = written {
        let _gone_or_never_made = std::fs::remove_file(&partial);
        return Err(error);
    }
    let head = log.head().await?;
    let root = log.root_at(until).await?;
    let body = Exported {
        file: file.clone(),
        format: args.format.to_string(),
        events: until.0,
        log: head.log,
        position: until,
        root,
    };
    Document::of(&body)
        .line(format!("{} written to {}", counted(until.0, "event"), file.display()))
        .line(format!("log {} up to position {until}, root {root}", head.log))
        .print(context.output)?;
    Ok(ExitCode::Done)
}

async fn write(
    log: &EmbeddedLog,
    until: Position,
    format: Format,
    out: &mut impl Write,
    context: &Context,
    unwritable: impl Fn(io::Error) -> CliError,
) -> Result<(), CliError> {
    let phase = Progress::new(context.progress, 1).phase(1, "export", "events", Some(until.0));
    let mut chunks = log.chunks(Position(0), until).await?;
    let mut text = String::new();
    while let Some(chunk) = chunks.next().await? {
        if context.interrupt.asked() {
            return Err(CliError::interrupted(format!("stopped before position {}", chunk.first()))
                .next("export again; a part of an export is of no use"));
        }
        for event in chunk.raw()? {
            text.clear();
            interchange::write(format, log.id(), &event, &mut text);
            out.write_all(text.as_bytes()).map_err(&unwritable)?;
        }
        phase.add(chunk.len() as u64);
    }
    phase.finish();
    Ok(())
}

fn partial_name(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    file.with_file_name(name)
}

impl Sink {
    fn create(partial: &Path, file: &Path) -> io::Result<Sink> {
        let out = BufWriter::with_capacity(1 << 16, File::create(partial)?);
        Ok(match file.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Sink::Gzip(GzEncoder::new(out, Compression::default())),
            Some("zst") => {
                let mut encoder = zstd::Encoder::new(out, 3)?;
                encoder.include_checksum(true)?;
                Sink::Zstd(encoder)
            }
            _ => Sink::Plain(out),
        })
    }

    fn finish(self) -> io::Result<()> {
        let out = match self {
            Sink::Plain(out) => out,
            Sink::Gzip(encoder) => encoder.finish()?,
            Sink::Zstd(encoder) => encoder.finish()?,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Plain(out) => out.write(bytes),
            Sink::Gzip(encoder) => encoder.write(bytes),
            Sink::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Plain(out) => out.flush(),
            Sink::Gzip(encoder) => encoder.flush(),
            Sink::Zstd(encoder) => encoder.flush(),
        }
    }
}
