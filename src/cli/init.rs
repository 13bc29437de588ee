//! `wox init`: an empty event log.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::LogId;

use crate::{
    cli::{CliError, Context, render::Document, store},
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _, embedded::Options},
};

/// Create an empty event log
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox init                        create wox-store in this directory
  wox init --store /var/lib/wox   create it there")]
pub(super) struct InitArgs {
    /// Events a sealed page holds: a power of two from 16 to 8192, fixed for the life of the log
    #[arg(long, value_name = "N", value_parser = page_size, default_value = "1024")]
    page_size: u32,
}

/// The new store.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Created {
    /// Its directory.
    store: PathBuf,
    /// The log's id.
    log: LogId,
    /// 1.
    epoch: u64,
    /// Events of a sealed page.
    page_size: u32,
}

pub(super) async fn run(args: InitArgs, context: Context) -> Result<ExitCode, CliError> {
    let options = Options { page_size: args.page_size, ..Options::default() };
    store::make_parent(&context.store)?;
    let log = EmbeddedLog::create(&context.store, options).await?;
    let head = log.head().await?;
    let body = Created { store: context.store.clone(), log: head.log, epoch: head.epoch, page_size: args.page_size };
    Document::of(&body)
        .facts([
            ("store", context.store.display().to_string()),
            ("log", head.log.to_string()),
            ("page size", args.page_size.to_string()),
        ])
        .print(context.output)?;
    context.say("next: wox append FILE, or wox import FILE");
    Ok(ExitCode::Done)
}

fn page_size(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(size) if size.is_power_of_two() && (16..=8192).contains(&size) => Ok(size),
        _ => Err("not a power of two from 16 to 8192".into()),
    }
}
