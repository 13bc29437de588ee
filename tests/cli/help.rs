//! Every help text, as it is shown.

use crate::session::{Session, code};

const VERBS: &[&str] = &[
    "demo",
    "init",
    "import",
    "import base-receipts",
    "import game-db",
    "export",
    "append",
    "verify",
    "fork",
    "digest",
    "show",
    "state",
    "diff",
    "rebuild",
    "assess",
    "bisect",
    "explain",
    "observe",
    "plan",
    "plan show",
    "approve",
    "apply",
    "recover",
    "reconcile",
    "schema",
    "status",
    "doctor",
    "config",
    "config show",
    "completions",
    "man",
];

#[test]
fn the_first_screen() {
    let mut session = Session::new();
    session.say("-h");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn every_verb_has_help_that_begins_with_examples_or_says_what_it_does() {
    let mut session = Session::new();
    for verb in VERBS {
        session.say(&format!("{verb} -h"));
    }
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn no_verb_is_forgotten_here() {
    let help = Session::new().run("-h");
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for verb in listed.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help") {
        assert!(VERBS.contains(&verb), "{verb} has no help snapshot");
    }
}

#[test]
fn a_typing_error_gets_a_suggestion() {
    let mut session = Session::new();
    session.say("shcema").say("plan shwo x").say("verify --storre x");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn completions_and_manual_pages_are_made_for_every_shell_and_verb() {
    let session = Session::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = session.run(&format!("completions {shell}"));
        assert!(output.stdout.windows(6).any(|bytes| bytes == b"verify"), "{shell}");
    }
    assert!(session.run("man").stdout.starts_with(b".ie"));
    assert_eq!(code(&session.run("man pages")), 0);
    for verb in ["wox", "wox-plan", "wox-verify", "wox-import"] {
        assert!(session.path().join(format!("pages/{verb}.1")).is_file(), "{verb}");
    }
}
