//! `wox config show`: the settings in force.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{CliError, Context, chain, config, render::Document},
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
    /// Print every setting; secrets are masked, and sources of the chain are named without their addresses
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
    setting: String,
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
    let mut all: Vec<(String, String, String, &str)> = shown
        .into_iter()
        .map(|setting| (setting.name.to_owned(), setting.value, setting.origin, help(setting.name)))
        .collect();
    for (name, value) in chain::shown(&context) {
        let full = if name.is_empty() { "chain".to_owned() } else { format!("chain.{name}") };
        all.push((full, value, context.settings.origin_in("chain", name), "docs/chain.md"));
    }
    let settings = all.iter().map(|(setting, value, from, _)| SettingShown {
        setting: setting.clone(),
        value: value.clone(),
        origin: origin.then(|| from.clone()),
    });
    let body = SettingsShown { settings: settings.collect() };
    let rows = all.iter().map(|(setting, value, from, what_for)| {
        let last = if origin { from.clone() } else { (*what_for).to_owned() };
        vec![setting.clone(), value.clone(), last]
    });
    Document::of(&body)
        .records::<SettingShown>("settings")
        .table(["setting", "value", if origin { "origin" } else { "what for" }], rows)
        .print(context.output)?;
    Ok(ExitCode::Done)
}
