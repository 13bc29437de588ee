//! Small promises: what waits, what concerns a player, what an event is called, what a settings file may hold.

use crate::session::{Session, code, errors, json};

#[test]
fn a_plan_whose_work_a_larger_plan_has_done_waits_no_more() {
    let session = Session::new();
    let demo = json(&session.run("demo --output json"));
    let id = demo["plan"]["id"].as_str().unwrap().to_owned();
    let at = "--store wox-demo";
    let subject = demo["plan"]["items"][0]["stream"].as_str().unwrap();
    assert_eq!(code(&session.run(&format!("recover {subject} {at}"))), 3);
    let waiting = |session: &Session| {
        json(&session.run(&format!("status --output json {at}")))["plans_waiting"].as_array().unwrap().len()
    };
    assert_eq!(waiting(&session), 2);
    session.run(&format!("approve {id} --comment looks-right {at}"));
    assert_eq!(code(&session.run(&format!("apply {id} --yes {at}"))), 6);
    assert_eq!(waiting(&session), 0);
    assert_eq!(code(&session.run(&format!("status {at}"))), 0);
}

#[test]
fn a_finding_about_a_players_money_is_named_when_the_player_is_recovered() {
    let session = Session::new();
    session.run("demo");
    let findings = json(&session.run("recover deposit --store wox-demo --output json"));
    let says = findings["findings"][0]["says"].as_str().unwrap();
    let player = says.split("player ").nth(1).unwrap();
    let player: String = player.chars().take_while(char::is_ascii_digit).collect();
    let output = session.run(&format!("recover player {player} --store wox-demo"));
    assert_eq!(code(&output), 3, "{}", errors(&output));
    assert!(errors(&output).contains(findings["findings"][0]["subject"].as_str().unwrap()), "{}", errors(&output));
}

#[test]
fn an_event_to_leave_out_is_named_by_position_or_id() {
    let session = Session::new();
    session.run("demo --events 3000");
    let held = json(&session.run("plan --preview --store wox-demo --output json"))["held"].as_array().unwrap().clone();
    let held = held.iter().find(|hold| hold["finding"]["procedure"] == "held_stream").unwrap();
    let event = held["finding"]["since"].clone();
    let plan = |which: &str| {
        let words = format!("recover event {which} --why test --preview --store wox-demo --output json");
        json(&session.run(&words))["id"].clone()
    };
    assert_eq!(plan(event["id"].as_str().unwrap()), plan(&event["position"].to_string()));
    assert_eq!(code(&session.run("recover event 99999999 --why test --store wox-demo")), 2);
}

#[test]
fn a_wrong_settings_file_is_answered_with_its_line() {
    let session = Session::new();
    session.file("wox.toml", "output = \"table\"\nstroe = \"x\"\n");
    let unknown = session.run("config show");
    assert_eq!(code(&unknown), 2);
    assert!(errors(&unknown).contains("line: 2"), "{}", errors(&unknown));
    session.file("wox.toml", "output = \n");
    let broken = errors(&session.run("config show"));
    assert!(broken.contains("line 1") && !broken.contains("\\n"), "{broken}");
}

#[test]
fn a_json_schema_is_no_list_of_records() {
    let session = Session::new();
    assert_eq!(code(&session.run("schema DepositCredited --output csv")), 2);
    assert_eq!(code(&session.run("schema --output csv")), 0);
}

#[test]
fn a_demo_is_replaced_with_the_snapshots_it_has_got_since() {
    let session = Session::new();
    session.run("demo --events 3000");
    assert_eq!(code(&session.run("digest --from snapshot --store wox-demo")), 0);
    assert!(session.path().join("wox-demo/snapshots").is_dir());
    let output = session.run("demo --events 3000 --force");
    assert_eq!(code(&output), 3, "{}", errors(&output));
    assert!(!session.path().join("wox-demo/snapshots").exists());
    // What is not the demo's own is never removed.
    session.file("wox-demo/notes.txt", "mine");
    assert_eq!(code(&session.run("demo --events 3000 --force")), 4);
    assert!(session.path().join("wox-demo/notes.txt").exists() && session.path().join("wox-demo/log.sqlite").exists());
}

#[test]
fn tables_are_not_put_back_one_by_one_and_what_can_be_typed_is_said() {
    let session = Session::new();
    let said = session.run("rebuild --revert players");
    assert_eq!(code(&said), 2, "{}", errors(&said));
    for part in ["wox::rebuild::revert", "takes no table", " rebuild --revert\n"] {
        assert!(errors(&said).contains(part), "{part} is missing in {}", errors(&said));
    }
}

#[test]
fn a_player_is_recovered_by_the_handle_too() {
    let session = Session::new();
    session.run("demo");
    let players = json(&session.run("state players --output json --store wox-demo"));
    let (id, player) = players["value"]["players"].as_object().unwrap().iter().next().unwrap();
    let handle = player["handle"].as_str().unwrap();
    let by = |who: &str| {
        let said = session.run(&format!("recover player {who} --preview --output json --store wox-demo"));
        assert!(matches!(code(&said), 0 | 3), "{who}: {}", errors(&said));
        json(&said)["id"].clone()
    };
    assert_eq!(by(id), by(&format!("@{handle}")));
    let nobody = session.run(&format!("recover player @{handle}x --store wox-demo"));
    assert_eq!(code(&nobody), 2, "{}", errors(&nobody));
    assert!(errors(&nobody).contains(&format!("did you mean `@{handle}`?")), "{}", errors(&nobody));
}
