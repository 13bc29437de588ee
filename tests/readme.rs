//! The README tells the truth: its sample is what the demo prints, its commands exist, its tables are complete.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]

use std::process::Command;

use clap::Parser as _;
use strum::VariantArray as _;
use wox_recovery::{cli::Cli, exit_code::ExitCode, procedures};

const README: &str = include_str!("../README.md");
/// What stands beside it, chapter by chapter.
const CHAPTERS: [&str; 3] =
    [include_str!("../docs/game-state.md"), include_str!("../docs/chain.md"), include_str!("../docs/game-tables.md")];

/// The fenced blocks, without their fences.
fn blocks() -> Vec<&'static str> {
    README.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').map_or("", |(_, text)| text)).collect()
}

#[test]
fn every_command_it_names_is_taken_by_the_command_line() {
    let mut commands: Vec<String> = Vec::new();
    for line in blocks().into_iter().flat_map(str::lines).filter(|line| line.starts_with("wox ")) {
        let typed = line.split("   ").next().unwrap();
        commands.extend(typed.split("&&").map(|command| command.trim().to_owned()));
    }
    for text in [README].iter().chain(&CHAPTERS) {
        let inline = text.split('`').filter(|code| code.starts_with("wox "));
        commands.extend(inline.map(|code| code.replace('\n', " ")));
    }
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let command = command.replace("0x…", "0x1111111111111111111111111111111111111111");
        let parsed = Cli::try_parse_from(command.split_whitespace());
        let error = parsed.err().filter(|error| error.kind() != clap::error::ErrorKind::DisplayHelp);
        assert!(error.is_none(), "`{command}`: {}", error.unwrap());
    }
}

#[test]
fn its_sample_is_what_the_demo_prints() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let demo = Command::new(env!("CARGO_BIN_EXE_wox")).arg("demo").arg("--store").arg(&store).output().unwrap();
    assert_eq!(demo.status.code(), Some(i32::from(ExitCode::Differences.number())));
    let printed = [demo.stderr, demo.stdout].map(|bytes| String::from_utf8(bytes).unwrap()).join("\n");
    let sample = blocks().into_iter().find(|block| block.contains("conservation:")).unwrap();
    let mut lines = 0;
    for line in sample.lines().filter(|line| !line.is_empty() && *line != "…") {
        let said = line.trim_start_matches("plan …").trim_end();
        assert!(printed.contains(said), "the demo does not print `{said}`:\n{printed}");
        lines += 1;
    }
    assert!(lines > 8);
}

#[test]
fn its_counts_and_exit_codes_are_the_programs_own() {
    assert_eq!(procedures::ALL.len(), 28, "the README says twenty-eight kinds of faults");
    assert_eq!(wox_recovery::demo::PLANTED.len(), 17, "the README says seventeen kinds of faults");
    for code in ExitCode::VARIANTS {
        let row = format!("| {} | {}", code.number(), code.meaning().split(' ').next().unwrap());
        assert!(README.contains(&row), "the table of exit codes has no row `{row} …`");
    }
}
