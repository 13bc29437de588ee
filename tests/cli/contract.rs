//! What scripts rely on: exit codes, clean machine formats, bounded input, colours, interruption.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use crate::{
    session::{Session, code, errors, json},
    store::EVENTS,
};

#[test]
fn every_exit_code_has_a_command_that_ends_with_it() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    assert_eq!(code(&session.run("init")), 0);
    assert_eq!(code(&session.run("status --store nowhere")), 1);
    assert_eq!(code(&session.run("frobnicate")), 2);
    assert_eq!(code(&session.run("demo")), 3);
    assert_eq!(code(&session.run("init")), 4);
    let path = session.path().join("wox-store/watermark");
    std::fs::write(path, b"nonsense").unwrap();
    assert_eq!(code(&session.run("append events.jsonl")), 5);
    let id = json(&session.run("status --store wox-demo --output json"))["plans_waiting"][0]["plan"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(code(&session.run(&format!("approve {id} --comment x --store wox-demo"))), 0);
    assert_eq!(code(&session.run(&format!("apply {id} --yes --store wox-demo"))), 6);
}

#[test]
fn ctrl_c_stops_an_append_and_says_how_to_go_on() {
    let session = Session::new();
    session.run("init");
    let mut child = session.command("append -").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(EVENTS.as_bytes()).unwrap();
    stdin.flush().unwrap();
    // Both events are acknowledged: now it waits for more.
    let mut acks = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(acks.next().unwrap().unwrap().contains(r#""revision":1"#));
    assert!(acks.next().unwrap().unwrap().contains(r#""revision":2"#));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    let text = errors(&output);
    assert!(text.contains("2 acknowledged events") && text.contains("run the same command again"), "{text}");
    drop(stdin);
    assert_eq!(json(&session.run("status --output json"))["head"]["position"], 2);
}

#[test]
fn ctrl_c_stops_what_waits_for_a_pipe_and_what_replays() {
    let session = Session::new();
    session.run("init");
    session.run("demo --events 60000 --sound");
    for words in ["import -", "append -", "digest --threads 1 --store wox-demo", "export --store wox-demo out.jsonl"] {
        let mut child = session.command(words).stdin(Stdio::piped()).spawn().unwrap();
        // Long enough to have begun; a replay that is over already ends with 0.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let stdin = child.stdin.take();
        let signalled =
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT);
        assert!(signalled.is_ok(), "{words}");
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        match words {
            "import -" | "append -" => assert_eq!(code(&output), 130, "{words}: {}", errors(&output)),
            _ => assert!([0, 130].contains(&code(&output)), "{words}: {}", errors(&output)),
        }
    }
    // Half an export never stands under its name.
    if let Ok(export) = std::fs::read_to_string(session.path().join("out.jsonl")) {
        assert!(export.lines().count() >= 59_000);
    }
}

#[test]
fn machine_formats_parse_and_hold_no_escape_byte_even_when_colour_is_forced() {
    let session = Session::new();
    session.run("demo --events 3000");
    for verb in [
        "status",
        "verify",
        "digest",
        "show 1",
        "show pool-main",
        "state",
        "state ledger",
        "state players",
        "plan --preview",
        "recover duel",
        "schema",
        "doctor",
        "config show --origin",
    ] {
        let output = session.run(&format!("{verb} --output json --color always --store wox-demo"));
        assert!(json(&output)["schema"].as_str().unwrap().starts_with("wox/"), "{verb}");
        assert!(!output.stdout.contains(&0x1b), "{verb}");
        let lines = session.run(&format!("{verb} --output jsonl --color always --store wox-demo"));
        for line in lines.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            serde_json::from_slice::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{verb}: {error}"));
        }
        let table = session.run(&format!("{verb} --color always --store wox-demo"));
        assert!(!table.stdout.contains(&0x1b), "{verb}");
    }
}

#[test]
fn errors_are_json_when_results_are() {
    let session = Session::new();
    for (words, exit) in [("status --output json", 1), ("frobnicate --output json", 2), ("--output=jsonl show x-1", 1)]
    {
        let output = session.run(words);
        assert!(output.stdout.is_empty(), "{words}");
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["schema"], "wox/error/v1", "{words}");
        assert_eq!((&error["exit"], code(&output)), (&exit.into(), exit), "{words}");
    }
}

#[test]
fn colour_follows_the_flag_then_the_environment() {
    let session = Session::new();
    let coloured = |words: &str, variable: Option<(&str, &str)>| {
        let mut command = session.command(words);
        command.envs(variable);
        command.output().unwrap().stderr.contains(&0x1b)
    };
    assert!(!coloured("status", None));
    assert!(coloured("status --color always", None));
    assert!(coloured("status --color always", Some(("NO_COLOR", "1"))));
    assert!(coloured("status", Some(("CLICOLOR_FORCE", "1"))));
    assert!(coloured("status", Some(("WOX_COLOR", "always"))));
    assert!(!coloured("status", Some(("NO_COLOR", "1"))));
    assert!(!coloured("status --color never", Some(("CLICOLOR_FORCE", "1"))));
    assert!(!coloured("frobnicate --color never", Some(("CLICOLOR_FORCE", "1"))));
}

#[test]
fn one_line_without_an_end_is_refused_after_a_megabyte() {
    let session = Session::new();
    session.run("init");
    let mut child = session.command("append -").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'x'; 1 << 20];
    // The command goes away after little more than its bound; until then it reads.
    let written = (0..1024).take_while(|_| stdin.write_all(&block).is_ok()).count();
    assert!(written < 16, "{written} MiB were read");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("longer than 1 MiB"), "{}", errors(&output));
}

#[test]
fn a_reader_that_leaves_early_is_no_crash() {
    let session = Session::new();
    session.run("demo --events 6000");
    let mut child = session.command("export --store wox-demo").spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), errors(&output).as_str()), (1, ""));
}

#[test]
fn a_strange_thing_in_place_of_the_store_is_named_and_left_alone() {
    let session = Session::new();
    session.file("file", "text");
    std::fs::create_dir(session.path().join("directory")).unwrap();
    session.file("directory/note", "text");
    let fifo = std::process::Command::new("mkfifo").arg(session.path().join("fifo")).status();
    assert!(fifo.unwrap().success());
    for place in ["file", "directory", "fifo"] {
        for verb in ["init", "status", "verify", "append -", "export", "plan", "digest"] {
            let output = session.feed(&format!("{verb} --store {place}"), EVENTS.as_bytes());
            assert!([1, 4, 5].contains(&code(&output)), "{verb} {place}: {}", code(&output));
            assert!(errors(&output).contains(place), "{verb} {place}: {}", errors(&output));
        }
    }
    assert_eq!(std::fs::read_to_string(session.path().join("file")).unwrap(), "text");
    assert_eq!(std::fs::read_to_string(session.path().join("directory/note")).unwrap(), "text");
}

#[test]
fn progress_goes_to_stderr_in_the_form_asked_for() {
    let session = Session::new();
    session.run("demo --events 6000");
    let output = session.run("digest --progress json --store wox-demo");
    let line = errors(&output).lines().find(|line| line.starts_with('{')).unwrap().to_owned();
    let progress: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&progress["schema"], &progress["phase"]), (&"wox/progress/v1".into(), &1.into()));
    assert_eq!((&progress["percent"], &progress["ended"]), (&100.into(), &true.into()));
    assert!(errors(&session.run("digest --quiet --store wox-demo")).is_empty());
}

#[test]
fn escape_sequences_in_events_never_reach_the_terminal() {
    let session = Session::new();
    session.run("init");
    let evil = r#"{"stream":"incident-1","expected":0,"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b01","kind":"IncidentOpened","time":"2026-08-01T12:00:00Z","actor":"game","provenance":"game","data":{"severity":"high","title":"\u001b[2J\u202eevil"}}"#;
    let output = session.feed("append -", evil.as_bytes());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    for words in ["show incident-1", "show 1", "state ops", "plan"] {
        let output = session.run(words);
        assert_eq!(code(&output), 0, "{words}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{words}");
    }
}
