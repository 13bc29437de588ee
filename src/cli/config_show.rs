//! `wox config show`: the settings in force.

use schemars::JsonSchema;
use serde::Serialize;

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

/// The settings in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SettingsShown {
    /// Every one.
    settings: Vec<SettingShown>,
}

/// One setting.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SettingShown {
    /// Its name.
    setting: &'static str,
    /// Its value; secrets are masked.
    value: String,
    /// Where the value came from, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

pub(super) async fn run(args: ConfigArgs, context: Context) -> Result<ExitCode, CliError> {
    let ConfigCommand::Show { origin } = args.command;
    let shown = context.settings.shown();
    let help = |name: &str| config::SETTINGS.iter().find(|setting| setting.name == name).map_or("", |found| found.help);
    let settings = shown.iter().map(|setting| SettingShown {
        setting: setting.name,
        value: setting.value.clone(),
        origin: origin.then(|| setting.origin.clone()),
    });
    let body = SettingsShown { settings: settings.collect() };
    let rows = shown.iter().map(|setting| {
        let last = if origin { setting.origin.clone() } else { help(setting.name).to_owned() };
        vec![setting.name.to_owned(), setting.value.clone(), last]
    });
    Document::of(&body)
        .records::<SettingShown>("settings")
        .table(["setting", "value", if origin { "origin" } else { "what for" }], rows)
        .print(context.output)?;
    Ok(ExitCode::Done)
}
