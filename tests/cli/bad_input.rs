//! Input that waits, that is of another kind, or that belongs to another command: never a hang, always the next step.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    session::{Session, code, errors},
    store::EVENTS,
};

/// Waits for the end of a command that was asked to stop.
fn ended(mut child: Child, words: &str) -> std::process::Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("{words} does not stop");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn both_signals_end_what_waits_for_a_pipe_that_nobody_writes_to() {
    let session = Session::new();
    session.run("init");
    assert!(Command::new("mkfifo").arg(session.path().join("pipe")).status().unwrap().success());
    let receipts = "import base-receipts pipe --token 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913 \
                    --watch 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    for words in ["append pipe", "import pipe", receipts] {
        for signal in [Signal::INT, Signal::TERM] {
            let child = session.command(words).stdin(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            kill_process(Pid::from_child(&child), signal).unwrap();
            let output = ended(child, words);
            assert_eq!(code(&output), 130, "{words}: {}", errors(&output));
            assert!(errors(&output).contains("run the same command again"), "{words}: {}", errors(&output));
        }
    }
}

#[test]
fn a_named_pipe_with_a_writer_is_read_like_a_file() {
    let session = Session::new();
    session.run("init");
    let pipe = session.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = session.command("append pipe").spawn().unwrap();
    std::fs::write(&pipe, EVENTS).unwrap();
    let output = ended(child, "append pipe");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
}

#[test]
fn a_directory_a_device_or_a_socket_is_no_input() {
    let session = Session::new();
    session.run("init");
    std::fs::create_dir(session.path().join("folder")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(session.path().join("socket")).unwrap();
    for (file, found) in
        [("folder", "a directory"), ("socket", "a device or socket"), ("/dev/zero", "a device or socket")]
    {
        for verb in ["append", "import"] {
            let output = session.run(&format!("{verb} {file}"));
            assert_eq!(code(&output), 1, "{verb} {file}");
            let text = errors(&output);
            assert!(text.contains(found) && text.contains(&format!("file: {file}")), "{verb} {file}: {text}");
            assert!(text.contains("`-` for stdin"), "{verb} {file}: {text}");
        }
    }
}

#[test]
fn a_plan_file_that_is_a_pipe_or_a_device_is_refused_at_once() {
    let session = Session::new();
    session.run("init");
    assert!(Command::new("mkfifo").arg(session.path().join("pipe.plan")).status().unwrap().success());
    for words in
        ["plan show pipe.plan", "apply pipe.plan --yes", "approve pipe.plan --comment x", "apply /dev/zero --yes"]
    {
        let output = ended(session.command(words).spawn().unwrap(), words);
        assert_eq!(code(&output), 1, "{words}: {}", errors(&output));
        assert!(errors(&output).contains("copy it to a file first"), "{words}: {}", errors(&output));
    }
}

#[test]
fn an_exported_line_given_to_append_is_sent_to_import() {
    let session = Session::new();
    session.run("init");
    session.feed("append -", EVENTS.as_bytes());
    for form in ["canonical", "cloudevents"] {
        session.run(&format!("export {form}.jsonl --format {form}"));
        let output = session.run(&format!("append {form}.jsonl"));
        assert_eq!(code(&output), 1);
        assert!(errors(&output).contains(&format!("wox import {form}.jsonl")), "{}", errors(&output));
    }
}

#[test]
fn the_end_of_an_export_makes_no_store_and_says_what_is_missing() {
    let session = Session::new();
    session.run("init");
    session.feed("append -", EVENTS.as_bytes());
    let export = String::from_utf8(session.run("export").stdout).unwrap();
    session.file("tail.jsonl", export.lines().nth(1).unwrap());
    let output = session.run("import tail.jsonl --store new");
    assert_eq!(code(&output), 4, "{}", errors(&output));
    let text = errors(&output);
    assert!(text.contains("revision 2 of stream player-1042") && text.contains("import the whole export"), "{text}");
    assert!(!text.contains("`expected`"), "append's advice: {text}");
    assert!(!session.path().join("new").exists(), "no store is left behind");
    // An empty store keeps its own id, too.
    session.run("init --store empty");
    assert_eq!(code(&session.run("import tail.jsonl --store empty")), 4);
    // Later in the file the store exists; then the place of the gap is named in the words of an import.
    let other = export.replace("player-1042", "player-7").replace("f0f5b0", "f0f5c0");
    let lines: Vec<&str> = export.lines().chain(other.lines().skip(1)).collect();
    session.file("gap.jsonl", &lines.join("\n"));
    let output = session.run("import gap.jsonl --store third");
    let text = errors(&output);
    assert!([1, 4].contains(&code(&output)), "{text}");
    assert!(text.contains("line: 3") && text.contains("player-7") && !text.contains("`expected`"), "{text}");
}

#[test]
fn a_bad_line_counts_lines_of_the_file_only() {
    let session = Session::new();
    session.run("init");
    let output = session.feed("append -", format!("{EVENTS}{{\"stream\":7}}\n").as_bytes());
    let text = errors(&output);
    assert!(text.contains("line: 3") && text.contains("at column ") && !text.contains("at line 1"), "{text}");
}
