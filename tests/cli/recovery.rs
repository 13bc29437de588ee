//! One recovery from the broken game to the second, idle, apply.

use crate::session::{Session, code, errors, json};

/// A shell for one demo, with the id of its plan.
fn demo() -> (Session, String) {
    let session = Session::new();
    let output = session.run("demo --output json");
    assert_eq!(code(&output), 3, "{}", errors(&output));
    let id = json(&output)["plan"]["id"].as_str().unwrap()[..16].to_owned();
    (session, id)
}

#[test]
fn the_demo_shows_what_is_wrong_and_what_comes_next() {
    let mut session = Session::new();
    session.say("demo --progress none");
    let transcript = session.transcript();
    let took = transcript.find("planned in ").map(|at| at + "planned in ".len());
    let (before, after) = transcript.split_at(took.expect("the demo says how long it took"));
    let after = after.split_once(" s;").expect("in seconds").1;
    insta::assert_snapshot!(format!("{before}[some] s;{after}"));
}

#[test]
fn money_needs_a_second_person_and_moves_once() {
    let (session, id) = demo();
    let at = "--store wox-demo";
    // Nobody to ask, nobody has approved, the proposer may not: refused, each recorded or without effect.
    assert_eq!(code(&session.run(&format!("apply {id} {at}"))), 4);
    assert_eq!(code(&session.run(&format!("apply {id} --yes {at}"))), 4);
    assert_eq!(code(&session.run(&format!("approve {id} --comment mine --as demo {at}"))), 4);
    assert_eq!(code(&session.run(&format!("status {at}"))), 3);

    assert_eq!(code(&session.run(&format!("approve {id} --comment looks-right {at}"))), 0);
    let applied = session.run(&format!("apply wox-demo/demo.plan --yes --output json {at}"));
    // The withdrawal in doubt stays unknown.
    assert_eq!(code(&applied), 6, "{}", errors(&applied));
    let applied = json(&applied);
    assert_eq!(applied["unrepaired"].as_array().unwrap().len(), 0);
    assert_eq!(applied["drift"], "0");

    let root = |session: &Session| json(&session.run(&format!("status {at} --output json")))["head"]["root"].clone();
    let before = root(&session);
    for plan in [id.as_str(), "wox-demo/demo.plan"] {
        let again = session.run(&format!("apply {plan} --yes --output json {at}"));
        assert_eq!((code(&again), &json(&again)["changes"]), (0, &false.into()));
    }
    assert_eq!(root(&session), before);
    assert_eq!(code(&session.run(&format!("status {at}"))), 0);
    assert_eq!(code(&session.run(&format!("verify {at}"))), 0);
    let shown = json(&session.run(&format!("plan show {id} --output json {at}")));
    assert_eq!(shown["record"]["refusals"], 3, "nobody to ask, nobody approved, the proposer may not");
}

#[test]
fn an_edited_plan_is_refused() {
    let (session, _) = demo();
    let path = session.path().join("wox-demo/demo.plan");
    let plan = std::fs::read_to_string(&path).unwrap();
    let edited = plan.replacen("\"amount\": \"12.5\"", "\"amount\": \"92.5\"", 1);
    assert!(plan != edited, "the pool's 12.5 G are in the plan");
    std::fs::write(&path, edited).unwrap();
    for verb in ["plan show", "approve --comment x", "apply --yes"] {
        let output = session.run(&format!("{verb} wox-demo/demo.plan --store wox-demo"));
        assert_eq!(code(&output), 4, "{verb}: {}", errors(&output));
    }
}

#[test]
fn a_plan_is_stale_once_its_stream_has_moved() {
    let (session, id) = demo();
    let at = "--store wox-demo";
    session.run(&format!("approve {id} --comment looks-right {at}"));
    let plan = json(&session.run(&format!("plan show {id} --output json {at}")));
    let item = plan["plan"]["items"].as_array().unwrap().iter().find(|item| item["stream"] == "pool-main").unwrap();
    let event = format!(
        r#"{{"stream":"pool-main","expected":{},"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b02","kind":"PoolStated","time":"2026-08-01T23:59:00Z","actor":"game","provenance":"game","data":{{"balance":"8519.47"}}}}"#,
        item["expected"]
    );
    let appended = session.feed(&format!("append - {at}"), event.as_bytes());
    assert_eq!(code(&appended), 0, "{}", errors(&appended));
    let output = session.run(&format!("apply {id} --yes {at}"));
    assert_eq!(code(&output), 4);
    assert!(errors(&output).contains("pool-main"), "{}", errors(&output));
    assert_eq!(code(&session.run(&format!("plan show {id} {at}"))), 0);
}

#[test]
fn one_subject_is_planned_by_name() {
    let (session, _) = demo();
    let at = "--store wox-demo";
    let findings = session.run(&format!("recover duel --output jsonl {at}"));
    assert_eq!(code(&findings), 3);
    let first: serde_json::Value =
        serde_json::from_slice(findings.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let subject = first["subject"].as_str().unwrap();
    let (category, id) = subject.split_once('-').unwrap();
    let by_two_words = json(&session.run(&format!("recover {category} {id} --preview --output json {at}")));
    let by_name = json(&session.run(&format!("recover {subject} --preview --output json {at}")));
    assert_eq!(by_two_words["id"], by_name["id"]);
    for typo in ["duel nonexistent", "duel-nonexistent", "foo", "stream duel-842"] {
        assert_eq!(code(&session.run(&format!("recover {typo} {at}"))), 2, "{typo} names nothing");
    }
    assert_eq!(code(&session.run(&format!("recover event 1 {at}"))), 2);
}

#[test]
fn the_same_seed_is_the_same_log_on_every_run_and_another_seed_is_not() {
    let session = Session::new();
    let root = |words: &str| json(&session.run(words))["root"].clone();
    let first = root("demo --output json --events 3000 --store one");
    assert_eq!(root("demo --output json --events 3000 --store two"), first);
    assert_ne!(root("demo --output json --events 3000 --seed 2 --store three"), first);
    assert_eq!(code(&session.run("demo --events 3000 --store one")), 4);
    assert_eq!(root("demo --output json --events 3000 --store one --force"), first);
}

#[test]
fn a_demo_never_replaces_a_directory_that_holds_anything_else() {
    let session = Session::new();
    session.run("demo --events 3000 --sound --store here");
    session.file("here/diary.txt", "dear diary");
    let output = session.run("demo --events 3000 --store here --force");
    assert_eq!(code(&output), 4);
    assert!(session.path().join("here/log.sqlite").is_file());
}

#[test]
fn the_digest_is_the_same_for_every_number_of_threads() {
    let session = Session::new();
    session.run("demo --events 6000");
    let digest =
        |threads: u32| json(&session.run(&format!("digest --threads {threads} --output json --store wox-demo")));
    let one = digest(1);
    assert_eq!(one["read"].as_u64().unwrap(), one["position"].as_u64().unwrap());
    for threads in [2, 8, 32] {
        assert_eq!(digest(threads), one);
    }
}

#[test]
fn a_time_ahead_of_this_machine_is_said_with_what_really_helps() {
    let session = Session::new();
    session.run("init");
    session.file("events.jsonl", crate::store::EVENTS);
    session.run("append events.jsonl");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    let ahead = crate::store::EVENTS.lines().nth(1).unwrap().replace("\"expected\":1", "\"expected\":2");
    let ahead = ahead.replace("5b02", "5b09").replace("1785585600000001", &(now + 20 * 3_600_000_000).to_string());
    let appended = session.feed("append -", ahead.replace("incendio", "protego").as_bytes());
    assert_eq!(code(&appended), 0, "{}", errors(&appended));
    let plan = session.run("plan");
    assert_eq!(code(&plan), 0, "{}", errors(&plan));
    let said = errors(&plan);
    for part in ["ahead of this machine's, since the event at position 3", "time is counted by it", "set it and run"] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert!(!said.contains("recover event"), "a good event cannot be left out: {said}");
    assert!(String::from_utf8_lossy(&plan.stdout).contains("counted up to "));
}
