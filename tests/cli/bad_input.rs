//! Input that waits, that is of another kind, or that belongs to another command: never a hang, always the next step.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use strum::VariantArray as _;
use wox_events::{EventId, Family, upcast::current_version};

use crate::{
    session::{Session, code, errors, json},
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

/// One line of an export is changed. Whatever is wrong with it: the file and the line are named, what stands before it is
/// durable and nothing behind it, so that the corrected export goes on from there and is the same log again.
#[test]
fn a_bad_line_of_an_export_ends_the_import_in_front_of_it() {
    let session = Session::new();
    session.run("demo --events 400 --store game");
    assert_eq!(code(&session.run("export game.jsonl --store game")), 0);
    let export = std::fs::read_to_string(session.path().join("game.jsonl")).unwrap();
    let good: Vec<&str> = export.lines().take(40).collect();
    let field = |name: &str, value: Value| {
        let mut line: Map<String, Value> = serde_json::from_str(good[9]).unwrap();
        line.insert(name.into(), value);
        serde_json::to_string(&line).unwrap()
    };
    let begun = good.iter().position(|line| line.contains(r#""revision":2,"#)).unwrap();
    let repeated_id = {
        let mut line: Map<String, Value> = serde_json::from_str(good[begun]).unwrap();
        let before = good.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let before = before.into_iter().find(|other| other["stream"] == line["stream"]).unwrap();
        line.insert("id".into(), before["id"].clone());
        serde_json::to_string(&line).unwrap()
    };
    let cases: Vec<(&str, usize, String, i32)> = vec![
        ("canonical event", 9, good[9][..50].into(), 1),
        ("lines are missing or out of order", 9, good[10].into(), 1),
        ("canonical event", 9, good[9].replacen('{', r#"{"position":10,"#, 1), 1),
        ("revisions start at 1", 9, field("revision", 0.into()), 1),
        ("events before it are missing", 9, field("revision", 99.into()), 4),
        ("canonical event", 9, field("revision", (-1).into()), 1),
        ("canonical event", 9, field("position", 1.5.into()), 1),
        ("canonical event", 9, field("surprise", 1.into()), 1),
        ("canonical event", 9, field("id", "x".into()), 1),
        ("not an object", 9, field("data", Value::Array(Vec::new())), 1),
        ("canonical", 9, field("data", serde_json::json!({"amount": 1.5})), 1),
        ("version 0", 9, field("version", 0.into()), 1),
        ("is not the same", begun, repeated_id, 4),
    ];
    for (says, at, line, exit) in cases {
        let mut lines = good.clone();
        lines[at] = &line;
        session.file("bad.jsonl", &(lines.join("\n") + "\n"));
        drop(std::fs::remove_dir_all(session.path().join("copy")));
        let output = session.run("import bad.jsonl --store copy");
        let told = errors(&output);
        assert_eq!(code(&output), exit, "{line}: {told}");
        assert!(
            told.contains(says) && told.contains("bad.jsonl") && told.contains(&format!("line: {}", at + 1)),
            "{told}"
        );
        let head =
            |session: &Session| json(&session.run("status --store copy --output json"))["head"]["position"].clone();
        assert_eq!(head(&session), at, "nothing behind the bad line is there: {line}");
        assert_eq!(code(&session.run("import game.jsonl --store copy")), 0, "{line}");
        assert_eq!(code(&session.run("export copy.jsonl --store copy")), 0);
        assert!(std::fs::read_to_string(session.path().join("copy.jsonl")).unwrap() == export, "{line}");
        std::fs::remove_file(session.path().join("copy.jsonl")).unwrap();
    }
}

/// What may only be read can be looked at and verified; what would write says so, and why.
#[test]
fn a_store_that_may_only_be_read_is_read() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    let session = Session::new();
    session.run("demo --events 400 --store game");
    let game = session.path().join("game");
    let wox = session.path().join("wox");
    std::fs::copy(env!("CARGO_BIN_EXE_wox"), &wox).unwrap();
    let mode =
        |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for entry in std::fs::read_dir(&game).unwrap() {
        let path = entry.unwrap().path();
        mode(&path, if path.is_dir() { 0o555 } else { 0o444 });
    }
    mode(&game, 0o555);
    mode(session.path(), 0o755);
    let run = |words: &str| {
        let mut command = Command::new(&wox);
        command.args(words.split_whitespace()).current_dir(session.path()).env_clear().env("WOX_ACTOR", "alice");
        if rustix::process::geteuid().is_root() {
            command.uid(65_534).gid(65_534);
        }
        command.output().unwrap()
    };
    for (words, exit) in [("verify", 0), ("digest", 0), ("status", 3), ("plan --preview", 3), ("export -", 0)] {
        let output = run(&format!("{words} --store game"));
        assert_eq!(code(&output), exit, "{words}: {}", errors(&output));
    }
    for words in ["append /dev/null", "plan", "recover all"] {
        let output = run(&format!("{words} --store game"));
        assert_eq!(code(&output), 1, "{words}: {}", errors(&output));
        let told = errors(&output);
        assert!(told.contains("Permission denied") && told.contains("game/lock"), "{words}: {told}");
    }
    let doctor = json(&run("doctor --store game --output json"));
    let permissions = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "permissions").unwrap();
    assert_eq!(permissions["result"], "warn");
    mode(&game, 0o755);
}

/// Kinds that only a look at the chain or a recovery writes, beside all of plans and runs.
const RESERVED: &[&str] = &[
    "BumpRequested",
    "BurnIntentRequested",
    "ChainPolicyDeclared",
    "DoublePayment",
    "EventWaived",
    "FenceRequested",
    "FinalityRestored",
    "FinalityViolation",
    "HoldingsAdjusted",
    "HoldingsAdjustmentReversed",
    "HoldingsLooked",
    "IncidentAccepted",
    "RebroadcastRequested",
    "ReconciliationDrift",
    "SlotLooked",
    "TransactionLooked",
    "TransferExplained",
    "WalletScanned",
];

#[test]
fn append_takes_every_kind_but_those_that_only_looks_and_recoveries_write() {
    let session = Session::new();
    session.run("init");
    let line = |stream: &str, kind: &str, data: &str, provenance: &str| {
        format!(
            r#"{{"id":"{}","stream":"{stream}","expected":0,"kind":"{kind}","time":"2026-08-01T12:00:00Z","actor":"game","provenance":"{provenance}","data":{data}}}"#,
            EventId::derived(&[stream, kind, data])
        )
    };
    let is_reserved = |line: &str, words: &str| {
        let output = session.feed(&format!("append - {words}"), line.as_bytes());
        let told = errors(&output);
        // Anything else that is said is about the log, not about the line.
        let taken = code(&output) == 0 || told.contains("wox::append::conflict");
        assert!(taken != told.contains("wox::append::reserved"), "{line}: {told}");
        !taken
    };
    let (mut reserved, mut taken) = (Vec::new(), 0);
    for family in Family::VARIANTS {
        let stream = match family {
            Family::Recovery => "run-x",
            Family::Chain => "chain-8453",
            family => &format!("{family}-x"),
        };
        for kind in family.kinds() {
            let path = format!("{}/events/testdata/{kind}/v{}.json", env!("CARGO_MANIFEST_DIR"), current_version(kind));
            let data = std::fs::read_to_string(path).unwrap();
            match is_reserved(&line(stream, kind, data.trim(), "game"), "") {
                true if *family == Family::Recovery => {}
                true => reserved.push(*kind),
                false => taken += 1,
            }
        }
    }
    reserved.sort_unstable();
    assert_eq!((reserved.as_slice(), taken > 100), (RESERVED, true));

    let by_two = r#"{"operators":{"first":"alice","second":"bob","evidence":"cfc155c57a59315a24fa85cb0debf5c18b0c3eebd49c71af5d75710cb688f09c"}}"#;
    let mut release: Value = serde_json::from_str(include_str!("../../events/testdata/HoldReleased/v1.json")).unwrap();
    release["proof"] = serde_json::from_str(by_two).unwrap();
    assert!(is_reserved(&line("withdrawal-x", "HoldReleased", &release.to_string(), "game"), ""));
    // A build that knows the kind may take it for such a one.
    for stream in ["run-x", "chain-8453", "ops-control"] {
        let unknown = line(stream, "BroomRaced", "{}", "game");
        assert!(is_reserved(&unknown, "--allow-unknown"), "{stream}");
    }
    let said_to_be = line("player-x", "SpellLearned", r#"{"spell":"lumos"}"#, "recovery");
    assert!(is_reserved(&said_to_be, ""));
}

#[test]
fn what_the_bank_says_is_kept_out_of_the_streams_of_looks_and_told_where_it_goes() {
    let session = Session::new();
    session.run("init");
    let hash = format!("0x{}", "ab".repeat(32));
    let line = |stream: &str| {
        let id = "7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b11";
        format!(
            r#"{{"stream":"{stream}","expected":0,"id":"{id}","kind":"BankConfirmed","time":"2026-08-01T12:00:00Z","actor":"bank","provenance":"game","data":{{"tx":"{hash}","player":"1042","post":"post-1"}}}}"#
        ) + "\n"
    };
    for stream in [format!("chain-8453:tx:{hash}"), "chain-8453:slot:0xw:0".into(), "chain-8453:wallet:0xw".into()] {
        let output = session.feed("append -", line(&stream).as_bytes());
        let told = errors(&output);
        assert_eq!(code(&output), 1, "{told}");
        assert!(told.contains("wox::append::place") && told.contains(&format!("chain-8453:bank:{hash}")), "{told}");
    }
    for stream in [format!("chain-8453:bank:{hash}"), "chain-8453".into()] {
        let output = session.feed("append -", line(&stream).as_bytes());
        assert_eq!(code(&output), 0, "{}", errors(&output));
    }
    assert_eq!(code(&session.run("verify")), 0);
}
