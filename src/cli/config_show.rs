//! `wox config show`: the settings in force.

use serde_json::json;

use crate::{
    cli::{CliError, Context, config, render::Document},
    exit_code::ExitCode,
};

/// Show the settings in force
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox config show                every setting
  wox config show --origin       and where each came from

A flag beats the environment (WOX_STORE, WOX_OUTPUT, …) beats the file wox.toml beats the default.")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Print every setting; secrets are masked
    Show {
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
    },
}

pub(super) async fn run(args: ConfigArgs, context: Context) -> Result<ExitCode, CliError> {
    let ConfigCommand::Show { origin } = args.command;
    let shown = context.settings.shown();
    let help = |name: &str| config::SETTINGS.iter().find(|setting| setting.name == name).map_or("", |found| found.help);
    let records: Vec<_> = shown
        .iter()
        .map(|setting| match origin {
            true => json!({"setting": setting.name, "value": setting.value, "origin": setting.origin}),
            false => json!({"setting": setting.name, "value": setting.value}),
        })
        .collect();
    let rows = shown.iter().map(|setting| {
        let last = if origin { setting.origin.clone() } else { help(setting.name).to_owned() };
        vec![setting.name.to_owned(), setting.value.clone(), last]
    });
    Document::new("wox/config/v1", &json!({"settings": records}))
        .records("settings")
        .table(["setting", "value", if origin { "origin" } else { "what for" }], rows)
        .print(context.output)?;
    Ok(ExitCode::Done)
}
