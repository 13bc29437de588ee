//! A result that could not be written is a failure, whatever the command did.

use std::{fs::File, process::Command};

use crate::{
    session::{Session, code, errors, json},
    store::EVENTS,
};

/// Runs a command through a shell that gives it another stdout.
fn through_a_shell(session: &Session, words: &str, redirection: &str) -> std::process::Output {
    let line = format!("{} {words} {redirection}", env!("CARGO_BIN_EXE_wox"));
    Command::new("sh").args(["-c", &line]).current_dir(session.path()).env("WOX_ACTOR", "alice").output().unwrap()
}

#[test]
fn a_closed_stdout_is_noticed_before_anything_is_done() {
    let session = Session::new();
    session.run("init");
    session.file("events.jsonl", EVENTS);
    for words in [
        "append events.jsonl",
        "export",
        "export out.jsonl",
        "status",
        "verify",
        "schema DepositCredited",
        "man",
        "completions bash",
        "demo",
        "help",
        "--version",
    ] {
        for redirection in [">&-", "1<events.jsonl"] {
            let output = through_a_shell(&session, words, redirection);
            let text = errors(&output);
            assert_eq!(code(&output), 1, "{words} {redirection}: {text}");
            assert!(text.contains("the result cannot be written: stdout is"), "{words} {redirection}: {text}");
        }
    }
    assert_eq!(json(&session.run("status --output json"))["head"]["position"], 0, "nothing was appended");
    assert!(!session.path().join("out.jsonl").exists() && !session.path().join("wox-demo").exists());
}

#[test]
fn a_result_that_nobody_wants_may_go_to_dev_null_in_every_way() {
    let session = Session::new();
    session.run("init");
    for redirection in [">/dev/null", "1<>/dev/null", ">/dev/null 2>&-", ">/dev/null <&-"] {
        let output = through_a_shell(&session, "verify", redirection);
        assert_eq!(code(&output), 0, "{redirection}: {}", errors(&output));
    }
}

#[test]
fn a_full_disk_behind_stdout_is_a_failure() {
    let Ok(_full) = File::options().write(true).open("/dev/full") else { return };
    let session = Session::new();
    session.run("init");
    session.file("events.jsonl", EVENTS);
    session.run("append events.jsonl");
    for words in
        ["append events.jsonl", "export", "status", "verify --output json", "schema", "man", "completions bash", "help"]
    {
        let output = through_a_shell(&session, words, ">/dev/full");
        let text = errors(&output);
        assert_eq!(code(&output), 1, "{words}: {text}");
        assert!(text.contains("the result could not be written"), "{words}: {text}");
    }
}
