//! `wox completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory as _;

use crate::{
    cli::{Cli, CliError, Context, render},
    exit_code::ExitCode,
};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox completions bash > /etc/bash_completion.d/wox
  wox completions zsh > ~/.zfunc/_wox
  wox completions fish > ~/.config/fish/completions/wox.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) async fn run(args: CompletionsArgs, _: Context) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wox", &mut script);
    render::print_bytes(&script)?;
    Ok(ExitCode::Done)
}
