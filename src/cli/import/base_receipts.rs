//! `wox import base-receipts`: what the chain says happened, as observed deposits.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use wox_events::{Label, Timestamp, deposit::Finality};

use crate::{
    cli::{
        CliError, Context,
        input::{Line, Lines},
        progress::Progress,
        render::{Document, counted},
        store,
    },
    exit_code::ExitCode,
    import::base_receipts::{self, Seen, Verdict, Watch},
    log::{AppendRequest, EmbeddedLog, EventLog as _, Head},
    rfc3339,
};

/// Import deposits from receipts of Base transactions
///
/// FILE holds one transaction receipt a line, as eth_getTransactionReceipt returns it. A log counts when it is exactly an
/// ERC-20 Transfer of the token to a watched address; everything else is refused and counted by reason. The key is
/// (chain, transaction, place of the log in its receipt), so importing twice changes nothing.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox import base-receipts receipts.jsonl --token 0x8335… --watch 0x1f9a… --blocks blocks.jsonl")]
pub(super) struct BaseReceiptsArgs {
    /// File with one receipt a line (.gz and .zst too), or - for stdin
    file: PathBuf,
    /// Address of the token's contract
    #[arg(long, value_name = "ADDRESS")]
    token: String,
    /// Addresses whose incoming transfers are deposits
    #[arg(long, value_name = "ADDRESS", num_args = 1.., required = true)]
    watch: Vec<String>,
    /// Chain id
    #[arg(long, value_name = "ID", default_value = "8453")]
    chain: u64,
    /// File with the blocks of the receipts, one a line, for the time of each
    #[arg(long, value_name = "FILE")]
    blocks: Option<PathBuf>,
    /// Time for receipts whose block's time is not known, RFC 3339
    #[arg(long, value_parser = rfc3339::parse)]
    time: Option<Timestamp>,
    /// How final the blocks were when the receipts were read; a receipt alone proves no more than `unsafe`
    #[arg(long, value_parser = finality, default_value = "unsafe")]
    finality: Finality,
    /// Where the receipts come from, recorded with each
    #[arg(long, value_parser = label, default_value = "receipts-file")]
    source: Label,
}

/// Deposits that share one transaction of the store.
const BATCH_EVENTS_MAX: usize = 10_000;

/// What an import of receipts did.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ReceiptsReport {
    /// Receipts read.
    receipts: u64,
    /// Deposits found in them.
    deposits: u64,
    /// Those that are new in the log.
    appended: u64,
    /// Those that were there already.
    repeats: u64,
    /// Logs that are no deposit, by reason.
    refused: BTreeMap<String, u64>,
    /// Where the log stands.
    head: Head,
}

#[derive(Debug, Default)]
struct Counts {
    receipts: u64,
    deposits: u64,
    repeats: u64,
    refused: BTreeMap<&'static str, u64>,
}

pub(super) async fn run(args: BaseReceiptsArgs, context: Context) -> Result<ExitCode, CliError> {
    let watch = Watch::new(args.chain, &args.token, &args.watch).map_err(|error| {
        CliError::usage("wox::import::watch", error.to_string()).next("wox import base-receipts --help")
    })?;
    let lines = Lines::open(&args.file)?;
    let times = match &args.blocks {
        Some(blocks) => {
            let blocks = blocks.clone();
            let Some(times) = context.interrupt.unless_asked(move || block_times(&blocks)).await else {
                return Err(
                    CliError::interrupted("stopped before the first receipt").next("run the same command again")
                );
            };
            times?
        }
        None => BTreeMap::new(),
    };
    let log = store::open_to_write(&context).await?;
    let phase = Progress::new(context.progress, 1).phase(1, "import", "receipts", None);
    let mut counts = Counts::default();
    let mut batch = Batch::default();
    let name = lines.name().to_owned();
    let mut lines = lines.parsed_ahead(|_, line| Ok(line));
    loop {
        let line = tokio::select! {
            biased;
            () = context.interrupt.wait() => {
                append(&log, &name, &mut batch, &mut counts).await?;
                return Err(CliError::interrupted(format!("stopped after {}", counted(counts.receipts, "receipt")))
                    .next("run the same command again: what is there already is counted as a repeat"));
            }
            line = lines.recv() => line,
        };
        let Some(line) = line else { break };
        let judged = line.and_then(|line| judge(&line, &name, &watch, &args, &times, &mut counts, &mut batch));
        if let Err(error) = judged {
            append(&log, &name, &mut batch, &mut counts).await?;
            return Err(error);
        }
        if batch.requests.len() >= BATCH_EVENTS_MAX {
            append(&log, &name, &mut batch, &mut counts).await?;
        }
        phase.add(1);
    }
    append(&log, &name, &mut batch, &mut counts).await?;
    phase.finish();
    report(&log, &counts, &context).await
}

#[derive(Debug, Default)]
struct Batch {
    requests: Vec<AppendRequest>,
    lines: Vec<u64>,
    /// Streams of the batch: a receipt that stands twice in the file is a repeat of itself.
    streams: BTreeSet<wox_events::StreamId>,
}

fn judge(
    line: &Line,
    name: &str,
    watch: &Watch,
    args: &BaseReceiptsArgs,
    times: &BTreeMap<String, Timestamp>,
    counts: &mut Counts,
    batch: &mut Batch,
) -> Result<(), CliError> {
    let judged = base_receipts::judge_line(&line.text, watch).map_err(|error| {
        CliError::failed("wox::import::receipt", "the line is no receipt that can be judged")
            .at("file", name)
            .at("line", line.number)
            .next("fetch the receipt again with eth_getTransactionReceipt; the lines before it are imported")
            .caused_by(error)
    })?;
    counts.receipts += 1;
    for verdict in judged.verdicts {
        let deposit = match verdict {
            Verdict::Deposit(deposit) => deposit,
            Verdict::Refused { reason, .. } => {
                *counts.refused.entry(reason.into()).or_default() += 1;
                continue;
            }
        };
        let known = deposit.time.or_else(|| times.get(deposit.block_hash.as_str()).copied()).or(args.time);
        let time = known.ok_or_else(|| {
            CliError::failed("wox::import::no-time", format!("the time of block {} is not known", deposit.block_hash))
                .at("file", name)
                .at("line", line.number)
                .next("give the blocks with --blocks FILE, or one time for all with --time")
        })?;
        let seen = Seen { time, finality: args.finality, source: args.source.clone() };
        let (stream, expected, event) = base_receipts::to_event(&deposit, &seen);
        if batch.streams.insert(stream.clone()) {
            batch.requests.push(AppendRequest { stream, expected, events: vec![event] });
            batch.lines.push(line.number);
            counts.deposits += 1;
        } else {
            counts.deposits += 1;
            counts.repeats += 1;
        }
    }
    Ok(())
}

async fn append(log: &EmbeddedLog, name: &str, batch: &mut Batch, counts: &mut Counts) -> Result<(), CliError> {
    let Batch { requests, lines, .. } = std::mem::take(batch);
    if requests.is_empty() {
        return Ok(());
    }
    for (line, answer) in lines.into_iter().zip(log.append_many(requests).await) {
        let ack = answer.map_err(|error| CliError::from(error).at("file", name).at("line", line))?;
        counts.repeats += u64::from(ack.repeat);
    }
    Ok(())
}

async fn report(log: &EmbeddedLog, counts: &Counts, context: &Context) -> Result<ExitCode, CliError> {
    let head = log.head().await?;
    log.close().await;
    let refused: u64 = counts.refused.values().sum();
    let body = ReceiptsReport {
        receipts: counts.receipts,
        deposits: counts.deposits,
        appended: counts.deposits - counts.repeats,
        repeats: counts.repeats,
        refused: counts.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        head,
    };
    let mut document = Document::of(&body).line(format!(
        "{} read: {}, {} of them repeats; {} refused",
        counted(counts.receipts, "receipt"),
        counted(counts.deposits, "deposit"),
        counts.repeats,
        counted(refused, "log"),
    ));
    if refused > 0 {
        let rows = counts.refused.iter().map(|(reason, count)| vec![(*reason).to_owned(), count.to_string()]);
        document = document.table(["refused because", "logs"], rows);
    }
    document.print(context.output)?;
    Ok(ExitCode::Done)
}

/// The times of blocks by their hash.
fn block_times(path: &Path) -> Result<BTreeMap<String, Timestamp>, CliError> {
    let mut lines = Lines::open(path)?;
    let mut times = BTreeMap::new();
    while let Some(line) = lines.next_line()? {
        let block = base_receipts::block_time(&line.text).map_err(|error| {
            CliError::failed("wox::import::block", "the line is no block")
                .at("file", path.display())
                .at("line", line.number)
                .next("write one block a line, as eth_getBlockByNumber returns it")
                .caused_by(error)
        })?;
        times.insert(block.block_hash.to_string(), block.time);
    }
    Ok(times)
}

fn finality(text: &str) -> Result<Finality, String> {
    serde_json::from_value(json!(text)).map_err(|_| "not one of: unsafe, safe, finalized".into())
}

fn label(text: &str) -> Result<Label, String> {
    Label::new(text).map_err(|error| error.to_string())
}
