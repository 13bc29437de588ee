//! Plan files are strict: whatever stands in one is under its digest, or the file is no plan.

use serde_json::{Value, json};

use crate::session::{Session, code, errors, unaddressed};

/// A demo's plan with one object changed.
fn edited(session: &Session, pointer: &str, change: impl FnOnce(&mut Value)) {
    let path = session.path().join("wox-demo/demo.plan");
    let mut plan: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(plan.pointer_mut(pointer).unwrap_or_else(|| panic!("the plan has no {pointer}")));
    session.file("edited.plan", &serde_json::to_string_pretty(&plan).unwrap());
}

/// Where the demo's plan has the first step that moves money.
fn first_step_with_postings(session: &Session) -> String {
    let plan = std::fs::read_to_string(session.path().join("wox-demo/demo.plan")).unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let items = plan["items"].as_array().unwrap();
    let step = items.iter().enumerate().find_map(|(item, found)| {
        let steps = found["steps"].as_array().unwrap();
        let step = steps.iter().position(|step| !step["postings"].as_array().unwrap().is_empty())?;
        Some(format!("/items/{item}/steps/{step}"))
    });
    step.unwrap()
}

#[test]
fn a_field_that_no_plan_has_is_refused_wherever_it_stands() {
    let session = Session::new();
    session.run("demo");
    let step = first_step_with_postings(&session);
    let posting = format!("{step}/postings/0");
    let account = format!("{step}/postings/0/from");
    for pointer in [
        "",
        "/base",
        "/items/0",
        "/items/0/findings/0",
        "/items/0/findings/0/since",
        &step,
        &posting,
        &account,
        "/held/0",
        "/held/0/finding",
    ] {
        edited(&session, pointer, |found| match found {
            Value::Object(fields) => drop(fields.insert("surprise".into(), json!("a second signature"))),
            other => *other = json!({"surprise": 1}),
        });
        for verb in ["plan show", "approve --comment x", "apply --yes"] {
            let output = session.run(&format!("{verb} edited.plan --store wox-demo"));
            let text = unaddressed(&errors(&output));
            assert_eq!(code(&output), 1, "{verb}, {pointer}: {text}");
            for part in ["surprise", "file: edited.plan", "line: ", "wox plan -o FILE"] {
                assert!(text.contains(part), "{verb}, {pointer}: {part} is missing in {text}");
            }
        }
    }
}

#[test]
fn a_plan_that_stands_on_other_evidence_than_it_says_is_refused() {
    let session = Session::new();
    session.run("demo --store one");
    // Recorded nowhere, so that the file itself is what is proposed.
    let made: Value = serde_json::from_slice(&std::fs::read(session.path().join("one/demo.plan")).unwrap()).unwrap();
    session.run(&format!("export log.jsonl --store one --as-of {}", made["base"]["as_of"]));
    session.run("import log.jsonl --store wox-demo");
    std::fs::copy(session.path().join("one/demo.plan"), session.path().join("wox-demo/demo.plan")).unwrap();
    for (field, value) in [("/base/root", json!("00".repeat(32))), ("/base/last_valid", json!(7))] {
        edited(&session, field, |found| *found = value);
        // Whoever brings it proposes it; somebody else approves it; the log is asked last.
        let first = session.run("apply edited.plan --yes --store wox-demo --as carol");
        assert_eq!(code(&first), 4, "{}", errors(&first));
        let approved = session.run("approve edited.plan --comment x --store wox-demo --as dave");
        assert_eq!(code(&approved), 0, "{}", errors(&approved));
        let applied = session.run("apply edited.plan --yes --store wox-demo");
        assert_eq!(code(&applied), 4, "{field}: {}", errors(&applied));
        assert!(errors(&applied).contains("does not stand on this log"), "{field}: {}", errors(&applied));
        std::fs::remove_dir_all(session.path().join("wox-demo")).unwrap();
        session.run("import log.jsonl --store wox-demo");
        std::fs::copy(session.path().join("one/demo.plan"), session.path().join("wox-demo/demo.plan")).unwrap();
    }
}

#[test]
fn a_plan_is_written_over_no_device_pipe_or_link() {
    let session = Session::new();
    session.run("demo --events 400 --store game");
    let (link, pipe) = (session.path().join("link"), session.path().join("pipe"));
    session.file("precious", "precious");
    std::os::unix::fs::symlink("precious", &link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for place in ["link", "pipe"] {
        let output = session.run(&format!("plan --preview -o {place} --store game"));
        assert_eq!(code(&output), 1, "{place}: {}", errors(&output));
        assert!(errors(&output).contains("no regular file"), "{place}: {}", errors(&output));
    }
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "precious");
}
