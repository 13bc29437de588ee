//! `wox man`: the manual pages, made from the same text as `--help`.

use std::{fs, path::PathBuf};

use clap::CommandFactory as _;

use crate::{
    cli::{Cli, CliError, Context, render},
    exit_code::ExitCode,
};

/// Print the manual page, or write one page a command into a directory
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox man | man -l -             read it now
  wox man /usr/share/man/man1    install wox.1, wox-plan.1, …")]
pub(super) struct ManArgs {
    /// Directory to write the pages into
    dir: Option<PathBuf>,
}

pub(super) async fn run(args: ManArgs, context: Context) -> Result<ExitCode, CliError> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(CliError::output)?;
        render::print_bytes(&page)?;
        return Ok(ExitCode::Done);
    };
    let written = fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(command, &dir));
    written.map_err(|error| {
        CliError::failed("wox::man::write", "the manual pages cannot be written")
            .at("directory", dir.display())
            .next("name a directory you may write to")
            .caused_by(error)
    })?;
    context.say(format!("manual pages written to {}", dir.display()));
    Ok(ExitCode::Done)
}
