//! What is printed as the next command is pasted into a shell as it stands, by somebody who is tired.

use std::process::{Command, Output, Stdio};

use crate::{
    session::{Session, code, errors, json},
    store::EVENTS,
};

/// A directory that only a quoted word names.
const STORE: &str = "it's \"the\" $(touch made) store";

/// Runs words on the store with the odd name.
fn on_store(session: &Session, words: &str) -> Output {
    session.command(words).args(["--store", STORE]).output().unwrap()
}

/// Runs a text as a shell does that it is pasted into.
fn pasted(session: &Session, text: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", text]).current_dir(session.path()).env_clear().env("WOX_ACTOR", "bob");
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    shell.output().unwrap()
}

/// The text behind `lead`, in every line that begins so.
fn behind(text: &str, lead: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix(lead)).map(str::to_owned).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(output))
}

/// Nothing that was printed has run as a command of its own.
fn nothing_was_made(session: &Session) {
    assert!(!session.path().join("made").exists());
}

#[test]
fn the_next_command_of_a_new_store_is_about_that_store() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    let made = on_store(&session, "init");
    assert_eq!(code(&made), 0, "{}", said(&made));
    let next = behind(&errors(&made), "next: ");
    let (append, import) = next[0].split_once(", or ").unwrap();
    let appended = pasted(&session, &append.replace("FILE", "events.jsonl"));
    assert_eq!(code(&appended), 0, "{append}: {}", said(&appended));
    assert!(import.contains(" import FILE"), "{import}");
    assert_eq!(json(&on_store(&session, "status --output json"))["head"]["position"], 2);
    nothing_was_made(&session);
}

#[test]
fn the_three_commands_behind_a_demo_and_what_its_plan_holds_can_be_pasted() {
    let session = Session::new();
    let demo = on_store(&session, "demo");
    assert_eq!(code(&demo), 3, "{}", said(&demo));
    let text = errors(&demo);
    let next = behind(text.split_once("next:\n").unwrap().1, "  ");
    let codes: Vec<i32> = next.iter().map(|command| code(&pasted(&session, command))).collect();
    // A plan that waits, a consent, and what the bank does not say yet.
    assert_eq!(codes, [3, 0, 6], "{next:#?}");

    // In a plan as people read it the commands are about this store; in its data they are everybody's.
    let plan = on_store(&session, "plan");
    let held = behind(&said(&plan), "    next: ");
    let shown: Vec<&str> = held.iter().filter_map(|next| next.strip_prefix("look at it with `")).collect();
    assert!(!shown.is_empty(), "{held:?}");
    for next in shown {
        let [look, leave_out] = [next.split_once('`').unwrap().0, next.rsplit('`').nth(1).unwrap()];
        let looked = pasted(&session, look);
        assert_eq!(code(&looked), 0, "{look}: {}", said(&looked));
        let planned = pasted(&session, &leave_out.replace("REASON", "ticket-9"));
        assert_eq!(code(&planned), 3, "{leave_out}: {}", said(&planned));
    }
    let data = json(&on_store(&session, "plan --output json"));
    let next = data["held"][0]["next"].as_str().unwrap();
    assert!(next.starts_with("look at it with `wox show "), "{next}");
    nothing_was_made(&session);
}

#[test]
fn the_store_that_a_demo_chose_is_in_its_next_commands_and_in_its_errors() {
    let session = Session::new();
    let demo = session.run("demo");
    assert_eq!(errors(&demo).matches(" --store wox-demo ").count(), 3, "{}", errors(&demo));
    let again = session.run("demo");
    assert_eq!(code(&again), 4, "{}", errors(&again));
    let status = errors(&again);
    let status = status.split("; ").find(|part| part.contains("looks at a store")).unwrap();
    let status = pasted(&session, status.trim().split_once(" looks at").unwrap().0);
    assert_eq!(code(&status), 3, "{}", said(&status));
}

#[test]
fn the_steps_of_an_error_can_be_pasted_by_people_and_by_programs() {
    let session = Session::new();
    session.file("my settings.toml", "progress = \"none\"\n");
    let typed = ["--config", "my settings.toml", "status"];
    let missing = on_store(&session, "").status.code();
    assert_eq!(missing, Some(2), "no verb");
    let for_people = session.command("").args(typed).args(["--store", STORE]).output().unwrap();
    let for_programs = session.command("--output json").args(typed).args(["--store", STORE]).output().unwrap();
    let line: serde_json::Value = serde_json::from_str(&errors(&for_programs)).unwrap();
    let step = line["next"][0].as_str().unwrap();
    assert_eq!(behind(&errors(&for_people), "  help: "), [step], "{}", errors(&for_people));
    assert!(step.contains("--config 'my settings.toml'"), "{step}");
    assert_eq!(code(&pasted(&session, step)), 0, "{step}");
    let again = session.command("").args(typed).args(["--store", STORE]).output().unwrap();
    assert_eq!(code(&again), 0, "{}", errors(&again));
    // Before any setting is read there is an error to tell, too.
    session.file("my settings.toml", "colour = 1\n");
    let unread = session.command("--output json").args(typed).output().unwrap();
    assert_eq!(code(&unread), 2, "{}", errors(&unread));
    assert!(!errors(&unread).contains("wox.toml"), "{}", errors(&unread));
    nothing_was_made(&session);
}

#[test]
fn a_store_from_a_variable_or_with_a_name_like_a_flag_is_named_too() {
    let session = Session::new();
    let made = session.command("init").env("WOX_STORE", "from a variable").output().unwrap();
    assert!(errors(&made).contains("--store 'from a variable' append"), "{}", errors(&made));
    let made = session.run("init --store=-x");
    assert!(errors(&made).contains("--store=-x append"), "{}", errors(&made));
    // What is there without a word needs none, and a file of settings is found again.
    session.file("wox.toml", "store = \"from-file\"\n");
    let made = session.run("init");
    assert!(!errors(&made).contains("--store"), "{}", errors(&made));
}

#[test]
fn a_stream_whose_name_is_a_command_stays_a_name() {
    let session = Session::new();
    let name = "player-$(touch${IFS}made);`touch${IFS}made`'x'";
    let lines: Vec<String> = EVENTS.lines().map(|line| line.replace("player-1042", name)).collect();
    session.file("events.jsonl", &format!("{}\n{}\n", lines[0], lines[1]));
    let conflict = lines[1].replace("5b02", "5b03").replace(r#""expected":1"#, r#""expected":7"#);
    session.file("conflict.jsonl", &conflict);
    session.run("init");
    assert_eq!(code(&session.run("append events.jsonl")), 0);
    let refused = session.run("append conflict.jsonl");
    assert_eq!(code(&refused), 4, "{}", errors(&refused));
    let step = behind(&errors(&refused), "  help: ").remove(0);
    let shown = pasted(&session, &step);
    assert_eq!(code(&shown), 0, "{step}: {}", said(&shown));
    assert!(said(&shown).contains("SpellLearned"), "{}", said(&shown));
    nothing_was_made(&session);
}

#[test]
fn what_the_doctor_prescribes_stands_on_lines_of_its_own_and_can_be_pasted() {
    let session = Session::new();
    let report = on_store(&session, "doctor");
    assert_eq!(code(&report), 1, "{}", said(&report));
    let fix = behind(&said(&report), "  store: ");
    let created = pasted(&session, fix[0].split("; or ").next().unwrap());
    assert_eq!(code(&created), 0, "{fix:?}: {}", said(&created));
    assert_eq!(code(&on_store(&session, "doctor")), 0);
    nothing_was_made(&session);
}
