//! What people decide: by a name, with a reason, together with another person. What does not fit is refused with what fits.

use std::process::Output;

use crate::session::{Session, code, errors, json, unaddressed};

fn demo() -> Session {
    let session = Session::new();
    session.run("demo");
    session
}

/// Runs a command with one more word, which may be empty or blank.
fn with(session: &Session, words: &str, last: &str) -> Output {
    session.command(words).arg(last).args(["--store", "wox-demo"]).output().unwrap()
}

fn text(output: &Output) -> String {
    unaddressed(&format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(output)))
}

#[test]
fn a_decision_about_a_payment_nobody_has_looked_at_is_refused_with_what_holds_it() {
    let session = demo();
    let said = session.run("recover withdrawal 66 --second bob --why x --store wox-demo");
    let text = text(&said);
    assert_eq!(code(&said), 4, "{text}");
    for part in ["is not confirmed since", "a payment may exist", "wox observe withdrawal 66", "docs/chain.md"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    // What is over and done with needs no decision, and that is no error.
    let settled = session.run("recover withdrawal 1 --second bob --why x --store wox-demo");
    assert_eq!(code(&settled), 0, "{}", errors(&settled));
}

#[test]
fn two_people_are_not_one_in_another_letter_case() {
    let session = demo();
    for second in ["alice", "Alice", "ALICE"] {
        let said = session.run(&format!("recover withdrawal 66 --second {second} --why x --store wox-demo"));
        assert_eq!(code(&said), 4, "{}", errors(&said));
        assert!(errors(&said).contains("two people decide this, and alice is one"), "{}", errors(&said));
    }
    let plan = json(&session.run("plan --output json --store wox-demo"))["id"].as_str().unwrap()[..16].to_owned();
    for proposer in ["demo", "Demo"] {
        let said = session.run(&format!("approve {plan} --comment mine --as {proposer} --store wox-demo"));
        assert_eq!(code(&said), 4, "{}", errors(&said));
        let next = format!("another person runs `wox approve {plan} --comment LOOKED-AT-IT --as ANOTHER-PERSON`");
        assert!(text(&said).contains(&next), "{}", errors(&said));
    }
    let early = session.run(&format!("apply {plan} --yes --store wox-demo"));
    assert_eq!(code(&early), 4);
    assert!(errors(&early).contains("--comment LOOKED-AT-IT"), "{}", errors(&early));
}

#[test]
fn a_reason_or_comment_says_something() {
    let session = demo();
    let plan = "wox-demo/demo.plan";
    for blank in ["", "   ", "\t"] {
        for words in [
            "recover event 18328 --why".to_owned(),
            "recover withdrawal 66 --second bob --why".to_owned(),
            "recover duel 886 --void --why".to_owned(),
            "reconcile --adjust unknown-origin --why".to_owned(),
            format!("approve {plan} --comment"),
        ] {
            let said = with(&session, &words, blank);
            assert_eq!(code(&said), 2, "{words} {blank:?}: {}", text(&said));
            assert!(errors(&said).contains("such as ticket-91"), "{words} {blank:?}: {}", errors(&said));
        }
    }
    let shown = json(&session.run(&format!("plan show {plan} --output json --store wox-demo")));
    assert_eq!(shown["record"]["approvals"].as_array().unwrap().len(), 0);
}

#[test]
fn a_plan_that_appends_nothing_needs_no_approval() {
    let session = demo();
    let made = session.run("recover withdrawal 66 -o held.plan --output json --store wox-demo");
    assert_eq!(code(&made), 3);
    let id = json(&made)["id"].as_str().unwrap()[..16].to_owned();
    let said = session.run("approve held.plan --comment x --as bob --store wox-demo");
    assert_eq!(code(&said), 0, "{}", errors(&said));
    assert!(text(&said).contains("appends nothing and needs no approval"), "{}", text(&said));
    // By its id nobody knows it: it is not recorded, and that is said.
    let said = session.run(&format!("approve {id} --comment x --as bob --store wox-demo"));
    assert_eq!(code(&said), 1);
    assert!(errors(&said).contains("a plan that appends nothing is not recorded"), "{}", errors(&said));
    // Brought by somebody who applied it, it is recorded, and still needs none.
    assert_eq!(code(&session.run("apply held.plan --yes --store wox-demo")), 0);
    let said = session.run(&format!("approve {id} --comment x --as bob --store wox-demo"));
    assert_eq!(code(&said), 0, "{}", errors(&said));
    session.run("init --store other");
    let other = session.run("approve held.plan --comment x --as bob --store other");
    assert_eq!(code(&other), 4, "{}", errors(&other));
}

#[test]
fn only_an_event_that_holds_its_stream_is_left_out_and_the_others_are_told_apart() {
    let session = demo();
    let last = String::from_utf8(session.run("show duel-894 --output jsonl --store wox-demo").stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    let last = last["position"].to_string();
    for (position, part) in [("1", "is good: it counts"), (last.as_str(), "waits behind an earlier event")] {
        let said = session.run(&format!("recover event {position} --why x --store wox-demo"));
        assert_eq!(code(&said), 4, "{}", text(&said));
        let said = text(&said);
        assert!(said.contains(part) && said.contains("wox recover event 18328"), "{said}");
    }
    assert_eq!(code(&session.run("recover event 0 --why x --store wox-demo")), 2);
    let unnamed = session.run("recover transfer --store wox-demo");
    assert!(code(&unnamed) == 2 && text(&unnamed).contains("wox recover transfer 0x"), "{}", text(&unnamed));
}

#[test]
fn a_second_plan_of_what_was_applied_meanwhile_appends_nothing_and_another_decision_is_refused() {
    let session = demo();
    let at = "--store wox-demo";
    for (plan, why) in [("one.plan", "ticket-1"), ("other.plan", "ticket-2")] {
        let made = session.run(&format!("recover event 18328 --why {why} -o {plan} {at}"));
        assert_eq!(code(&made), 3, "{}", errors(&made));
        assert_eq!(code(&session.run(&format!("approve {plan} --comment x --as bob {at}"))), 0);
    }
    let first = json(&session.run(&format!("apply one.plan --yes --output json {at}")));
    assert_eq!((first["appended"].as_array().unwrap().len(), &first["notices"]), (1, &1.into()));
    let again = session.run(&format!("apply one.plan --yes {at}"));
    assert!(code(&again) == 0 && text(&again).contains("nothing to do"), "{}", text(&again));
    // The id of the event leaves the reason out; what it says is another thing all the same.
    let shown = session.run(&format!("plan show other.plan {at}"));
    assert!(errors(&shown).contains("the plan is stale"), "{}", text(&shown));
    let other = session.run(&format!("apply other.plan --yes {at}"));
    assert!(code(&other) == 4 && text(&other).contains("since then: EventWaived"), "{}", text(&other));
}

#[test]
fn what_waits_for_a_plan_or_a_person_is_no_clean_bill_of_health() {
    let session = demo();
    let report = json(&session.run("assess --output json --store wox-demo"));
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "findings").unwrap();
    assert_eq!((&check["status"], report["violated"].as_u64().unwrap() > 0), (&"violated".into(), true), "{check}");
    session.run("demo --store sound --events 3000 --sound");
    let report = json(&session.run("assess --output json --store sound"));
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "findings").unwrap();
    assert_eq!(check["status"], "ok", "{check}");
}

#[test]
fn the_engine_is_no_person() {
    let session = demo();
    let plan = json(&session.run("plan --output json --store wox-demo"))["id"].as_str().unwrap()[..16].to_owned();
    for name in ["wox", "WOX"] {
        let said = session.run(&format!("approve {plan} --comment x --as {name} --store wox-demo"));
        assert_eq!(code(&said), 2, "{}", errors(&said));
        assert!(errors(&said).contains("the engine itself") && errors(&said).contains("--as"), "{}", errors(&said));
        let said = session.run(&format!("recover withdrawal 66 --second {name} --why x --store wox-demo"));
        assert_eq!(code(&said), 2, "{}", errors(&said));
        assert!(errors(&said).contains("the engine itself"), "{}", errors(&said));
        let said = session.command("plan --store wox-demo").env("WOX_ACTOR", name).output().unwrap();
        assert_eq!(code(&said), 2, "{}", errors(&said));
    }
}

/// A small game whose handles are stored as the game stored them: with an `@`.
fn small() -> Session {
    let session = Session::new();
    let mut lines = String::new();
    let mut number = 0;
    let mut tell = |stream: &str, revision: u32, kind: &str, data: &str| {
        number += 1;
        lines.push_str(&format!(
            "{{\"id\":\"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5e{number:02}\",\"stream\":\"{stream}\",\"expected\":{revision},\"kind\":\"{kind}\",\"time\":\"2026-08-01T12:00:{number:02}Z\",\"actor\":\"game\",\"provenance\":\"game\",\"data\":{data}}}\n"
        ));
    };
    for (id, handle) in [("1001", "@ann"), ("1002", "@ben")] {
        let data = format!(r#"{{"handle":"{handle}","name":"Wiz","house":"hufflepuff","bonus":"60"}}"#);
        tell(&format!("player-{id}"), 0, "PlayerCreated", &data);
    }
    let cup = "tournament-cup-7";
    tell(
        cup,
        0,
        "TournamentOpened",
        r#"{"format":"single_elimination","title":"cup","entry_fee":"0","players_min":2,"players_max":8,"starts_at":1785600000000000}"#,
    );
    for player in ["1001", "1002"] {
        let data = format!(r#"{{"player":"{player}","entry":{{"bonus":"0","withdrawable":"0"}}}}"#);
        tell(cup, if player == "1001" { 1 } else { 2 }, "PlayerRegistered", &data);
    }
    tell(cup, 3, "TournamentSeeded", r#"{"seeds":["1001","1002"]}"#);
    tell(cup, 4, "RoundOpened", r#"{"round":1,"matches":[{"first":"1001","second":"1002"}]}"#);
    tell(cup, 5, "MatchDecided", r#"{"round":1,"slot":0,"winner":"1001","loser":"1002","reason":"played"}"#);
    tell("pool-main", 0, "PoolContributed", r#"{"amount":"70","source":"fan"}"#);
    tell(
        cup,
        6,
        "PrizeScheduleFixed",
        r#"{"pool_at":"100","total":"100","prizes":[{"prize":"first","player":"1001","amount":"60"},{"prize":"second","player":"1002","amount":"40"}]}"#,
    );
    tell(cup, 7, "TournamentClosed", r#"{"winner":"1001"}"#);
    session.file("small.jsonl", &lines);
    session.run("init");
    let appended = session.run("append small.jsonl");
    assert_eq!(code(&appended), 0, "{}", errors(&appended));
    session
}

#[test]
fn a_handle_is_typed_with_one_at_however_the_game_stored_it() {
    let session = small();
    let explained = session.run("explain player @ann");
    assert_eq!(code(&explained), 0, "{}", errors(&explained));
    let wrong = session.run("explain player @anm");
    assert!(errors(&wrong).contains("did you mean `@ann`?"), "{}", errors(&wrong));
    // Where a plan prints both, both can be typed.
    let correct = |who: &str| {
        session
            .run(&format!("recover tournament cup-7 --correct 1/0 --winner {who} --why video --preview --output json"))
    };
    let (by_id, by_handle) = (correct("1002"), correct("@ben"));
    assert_eq!(code(&by_id), 3, "{}", errors(&by_id));
    assert_eq!((code(&by_handle), json(&by_handle)), (3, json(&by_id)), "{}", errors(&by_handle));
    let nobody = correct("@nobody");
    assert_eq!(code(&nobody), 2);
    assert!(errors(&nobody).contains("nobody has the handle @nobody"), "{}", errors(&nobody));
}

#[test]
fn a_plan_that_was_applied_and_leaves_what_it_held_ends_with_3() {
    let session = small();
    let plan = json(&session.run("plan --output json"));
    assert!(plan["held"].as_array().unwrap().iter().any(|hold| hold["finding"]["outcome_unknown"] != true), "{plan}");
    let id = plan["id"].as_str().unwrap()[..16].to_owned();
    let approved = session.run(&format!("approve {id} --comment fine --as bob"));
    assert_eq!(code(&approved), 0, "{}", errors(&approved));
    let applied = session.run(&format!("apply {id} --yes"));
    let said = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(said.contains("verdict: remaining"), "{said}");
    assert_eq!(code(&applied), 3, "what the plan held is still for people: {said}");
    assert_eq!(code(&session.run(&format!("apply {id} --yes"))), 0, "again it does nothing");
}
