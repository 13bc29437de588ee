//! A store from its first event to its damage, as transcripts.

use crate::session::{Session, code, errors, json};

pub(crate) const EVENTS: &str = r#"{"stream":"player-1042","expected":0,"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b01","kind":"PlayerCreated","time":"2026-08-01T12:00:00Z","actor":"game","provenance":"game","data":{"bonus":"20","handle":"hermione","house":"gryffindor","name":"Hermione"}}
{"stream":"player-1042","expected":1,"id":"7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b02","kind":"SpellLearned","time":1785585600000001,"actor":"game","provenance":"game","data":{"spell":"incendio"}}
"#;

/// Event lines that no store takes, each with what its message must say.
pub(crate) const BAD_LINES: &[(&str, &str)] = &[
    ("not json", "not an event"),
    (r#"{"stream":"player-1","expected":0}"#, "missing field"),
    (r#"{"stream":"player-1","expected":0,"expected":0}"#, "duplicate field"),
    (r#"{"stream":"nodash","expected":0}"#, "<category>-<subject>"),
    (r#"{"stream":"player-1","expected":-1}"#, "invalid value"),
    (r#"{"stream":"player-1","expected":18446744073709551616}"#, "invalid"),
];

#[test]
fn a_store_is_created_filled_and_read() {
    let mut session = Session::new();
    session.file("events.jsonl", EVENTS);
    session
        .say("init")
        .say("init")
        .say("append events.jsonl")
        .say("append events.jsonl --quiet")
        .say("show player-1042")
        .say("show 2")
        .say("show 2 --output json")
        .say("show player-1042 --output csv")
        .say("show player-1042 --output jsonl --as-of 1")
        .say("show player-104")
        .say("show 3")
        .say("status --output json")
        .say("digest --output json")
        .say("state players 1042")
        .say("plan");
    insta::assert_snapshot!(without_sizes(&session.transcript()));
}

/// The size of the files depends on SQLite's version.
fn without_sizes(transcript: &str) -> String {
    let line = |line: &str| match line.trim_start().starts_with("\"bytes\"") {
        true => "  \"bytes\": [bytes],\n".to_owned(),
        false => format!("{line}\n"),
    };
    transcript.lines().map(line).collect()
}

#[test]
fn points_of_history_are_resolved_or_answered_with_the_range_there_is() {
    let mut session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    session.run("append events.jsonl");
    session
        .say("show player-1042 --as-of 2026-08-01T14:00:00.000000+02:00")
        .say("show player-1042 --as-of 7f1c3f0e-8c5c-4a9b-9a53-0d6f6f0f5b01")
        .say("show player-1042 --as-of 3")
        .say("show player-1042 --as-of 2020-01-01T00:00:00Z")
        .say("show player-1042 --as-of 00000000-0000-0000-0000-000000000000")
        .say("show player-1042 --as-of yesterday")
        .say("append events.jsonl --as-of 1");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn what_cannot_be_appended_is_named_and_what_stood_before_it_stays() {
    let mut session = Session::new();
    let lines: Vec<&str> = EVENTS.lines().collect();
    let unknown = lines[1].replace("SpellLearned", "BroomRaced");
    let negative =
        lines[1].replace("SpellLearned", "BonusGranted").replace(r#"{"spell":"incendio"}"#, r#"{"amount":"-5"}"#);
    let conflict = lines[1].replace("5b02", "5b03").replace(r#""expected":1"#, r#""expected":7"#);
    let other = lines[0].replace("Hermione", "Somebody");
    session.run("init");
    for (name, bad) in [("unknown", unknown), ("negative", negative), ("conflict", conflict), ("other", other)] {
        session.file(&format!("{name}.jsonl"), &format!("{}\n{bad}\n{}\n", lines[0], lines[1]));
        session.say(&format!("append {name}.jsonl"));
    }
    session.say("append unknown.jsonl --allow-unknown").say("append events-missing.jsonl");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn a_bad_line_is_refused_with_file_and_line_and_nothing_behind_it_is_written() {
    let session = Session::new();
    session.run("init");
    for (line, says) in BAD_LINES {
        let output = session.feed("append -", format!("{line}\n{EVENTS}").as_bytes());
        assert_eq!(code(&output), 1, "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        let text = errors(&output);
        assert!(text.contains(says) && text.contains("line: 1") && text.contains("stdin"), "{line}: {text}");
    }
    assert_eq!(json(&session.run("status --output json"))["head"]["position"], 0);
}

#[test]
fn an_export_makes_the_same_log_again_in_every_form() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    session.run("append events.jsonl");
    let canonical = session.run("export").stdout;
    assert_eq!(canonical.iter().filter(|byte| **byte == b'\n').count(), 2);
    for (index, file) in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"].iter().enumerate() {
        for format in ["canonical", "cloudevents"] {
            let store = format!("copy-{index}-{format}");
            assert_eq!(code(&session.run(&format!("export --format {format} --force {file}"))), 0);
            assert_eq!(code(&session.run(&format!("init --store {store}"))), 0);
            let first = json(&session.run(&format!("import {file} --store {store} --output json")));
            assert_eq!((&first["appended"], &first["repeats"]), (&2.into(), &0.into()));
            let second = json(&session.run(&format!("import {file} --store {store} --output json")));
            assert_eq!((&second["appended"], &second["repeats"]), (&0.into(), &2.into()));
            assert_eq!(first["head"], second["head"]);
            assert_eq!(session.run(&format!("export --store {store}")).stdout, canonical, "{file} {format}");
        }
    }
}

#[test]
fn an_export_with_lines_missing_swapped_or_cut_is_refused() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    session.run("append events.jsonl");
    let export = String::from_utf8(session.run("export").stdout).unwrap();
    let lines: Vec<&str> = export.lines().collect();
    let cut = &export[..export.len() - 20];
    for (name, text, stays) in [
        ("swapped", format!("{}\n{}\n", lines[1], lines[0]), None),
        ("cut", cut.to_owned(), Some(1)),
        ("gap", format!("{}\n{}\n", lines[0], lines[1].replace(r#""position":2"#, r#""position":3"#)), Some(1)),
        ("text", "hello\n".to_owned(), None),
        ("append", EVENTS.to_owned(), None),
    ] {
        session.file(name, &text);
        let output = session.run(&format!("import {name} --store {name}-store"));
        assert_ne!(code(&output), 0, "{name}");
        assert!(errors(&output).contains("line:"), "{name}: {}", errors(&output));
        if let Some(stays) = stays {
            let status = json(&session.run(&format!("status --store {name}-store --output json")));
            assert_eq!(status["head"]["position"], stays, "{name}");
        }
    }
}

const USDC: &str = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";

#[test]
fn real_receipts_become_deposits_once_and_decoys_are_counted_by_reason() {
    let session = Session::new();
    let receipts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/base_receipts.jsonl");
    let text = std::fs::read_to_string(receipts).unwrap();
    let watch = usdc_receiver(&text).expect("the excerpt has a transfer of USDC");
    session.run("init");
    let command = format!("import base-receipts {receipts} --token {USDC} --watch {watch}");
    // Without the time of a block nothing can be recorded; nothing is guessed.
    let timeless = session.run(&command);
    if code(&timeless) != 0 {
        assert!(errors(&timeless).contains("--blocks"), "{}", errors(&timeless));
    }
    let command = format!("{command} --time 2026-01-01T00:00:00Z --output json");
    let first = json(&session.run(&command));
    assert!(first["deposits"].as_u64().unwrap() > 0);
    assert!(first["refused"]["foreign_token"].as_u64().unwrap() > 0);
    let second = json(&session.run(&command));
    assert_eq!((&second["appended"], &second["repeats"]), (&0.into(), &first["deposits"]));
    assert_eq!(second["head"], first["head"]);
    session.file("broken.jsonl", &format!("{}\nnull\n", text.lines().next().unwrap()));
    let broken = session.run(&format!("import base-receipts broken.jsonl --token {USDC} --watch {watch}"));
    assert_eq!(code(&broken), 1);
    assert!(errors(&broken).contains("line: 2"), "{}", errors(&broken));
    assert_eq!(code(&session.run("import base-receipts broken.jsonl --token 0x12 --watch 0x34")), 2);
}

/// Who received USDC in the excerpt.
fn usdc_receiver(text: &str) -> Option<String> {
    let receipts = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    receipts.flat_map(|receipt| receipt["logs"].as_array().cloned().unwrap_or_default()).find_map(|log| {
        let topics = log["topics"].as_array()?;
        let transfer = topics.first()?.as_str()?.starts_with("0xddf252ad") && topics.len() == 3;
        let usdc = log["address"].as_str()?.eq_ignore_ascii_case(USDC);
        (transfer && usdc).then(|| format!("0x{}", &topics[2].as_str().unwrap()[26..]))
    })
}

#[test]
fn one_flipped_byte_is_found_and_placed() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    session.run("append events.jsonl");
    assert_eq!(code(&session.run("verify")), 0);
    let path = session.path().join("wox-store/log.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|bytes| bytes == b"incendio").expect("the tail is readable text");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = session.run("verify --output json");
    assert_eq!(code(&output), 5);
    let report = json(&output);
    assert_eq!(report["schema"], "wox/verify/v1");
    assert_eq!(report["first_bad"]["position"], 2);
    assert_eq!(report["first_bad"]["stream"], "player-1042");
    assert_eq!(code(&session.run("append events.jsonl")), 5);
}

#[test]
fn settings_name_their_origin() {
    let mut session = Session::new();
    session.file("wox.toml", "output = \"table\"\nprogress = \"none\"\n");
    session.say("config show --origin --store elsewhere");
    session.file("wox.toml", "stroe = \"x\"\n");
    session.say("config show");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn schemas_of_kinds_are_published() {
    let mut session = Session::new();
    session.say("schema").say("schema DepositCredited").say("schema DepositCreditd");
    insta::assert_snapshot!(session.transcript());
}

#[test]
fn the_doctor_names_a_fix_for_what_fails() {
    let session = Session::new();
    let report = json(&session.run("doctor --output json"));
    let checks = report["checks"].as_array().unwrap();
    let store = checks.iter().find(|check| check["name"] == "store").unwrap();
    assert_eq!(store["result"], "fail");
    assert!(store["fix"].as_str().unwrap().contains("wox init"));
    session.run("init");
    assert_eq!(code(&session.run("doctor")), 0);
    let result = |report: &serde_json::Value, name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
        (check["result"].as_str().unwrap().to_owned(), check["fix"].as_str().unwrap_or_default().to_owned())
    };
    let report = json(&session.run("doctor --output json"));
    assert_eq!((result(&report, "game database").0, result(&report, "chain").0), ("not_set".into(), "not_set".into()));
    // Nobody listens on port 1.
    session.file(
        "wox.toml",
        "game_db = { url = \"mysql://wizard:s3cret@127.0.0.1:1/wizards_of_x\" }\n\
         [chain]\ngenesis = \"0x1111111111111111111111111111111111111111111111111111111111111111\"\n\
         tokens = [\"0x2222222222222222222222222222222222222222\"]\nwatched = [\"0x3333333333333333333333333333333333333333\"]\n\
         [[chain.sources]]\nname = \"base\"\noperator = \"base\"\nurl = \"http://127.0.0.1:1/?key=s3cret\"\n\
         [[chain.sources]]\nname = \"own\"\noperator = \"us\"\nurl = \"https://127.0.0.1:1/s3cret\"\n",
    );
    let output = session.run("doctor --output json");
    let report = json(&output);
    assert_eq!(code(&output), 1, "{report}");
    for name in ["game database", "chain source base", "chain source own", "chain quorum"] {
        let (found, fix) = result(&report, name);
        assert!(found == "fail" && !fix.is_empty(), "{name}: {report}");
    }
    assert_eq!(result(&report, "certificate own").0, "warn");
    assert!(!report.to_string().contains("s3cret"), "{report}");
    session.file("wox.toml", "[chain]\ngenesis = \"0x12\"\n");
    assert_eq!(result(&json(&session.run("doctor --output json")), "chain").0, "fail");
}

#[test]
fn the_doctor_sees_a_store_that_was_put_back() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    let (log, mark) = (session.path().join("wox-store/log.sqlite"), session.path().join("wox-store/watermark"));
    std::fs::copy(&log, session.path().join("older")).unwrap();
    session.run("append events.jsonl");
    assert_eq!(code(&session.run("doctor")), 0);
    std::fs::copy(session.path().join("older"), &log).unwrap();
    let output = session.run("doctor");
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("behind its watermark at 2"), "{output:?}");
    // Whoever looks is told, once; and a machine hears it by the exit code, whatever is found.
    let told = "acknowledged are missing here: this store is an older copy";
    for look in ["status", "plan", "assess", "state ledger", "digest", "export -"] {
        let looked = session.run(look);
        assert_eq!((code(&looked), errors(&looked).matches(told).count()), (5, 1), "{look}: {}", errors(&looked));
    }
    let assessed = json(&session.run("assess --output json"));
    let check = assessed["checks"].as_array().unwrap().iter().find(|check| check["name"] == "acknowledged");
    assert_eq!(check.unwrap()["status"], "violated");
    std::fs::remove_file(&mark).unwrap();
    let output = session.run("doctor");
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("without a watermark"), "{output:?}");
}

#[test]
fn a_store_that_lost_acknowledged_events_is_forked_by_a_person_and_by_nothing_else() {
    let session = Session::new();
    session.file("events.jsonl", EVENTS);
    session.run("init");
    let whole = session.run("fork");
    assert!(code(&whole) == 0 && errors(&whole).contains("nothing to declare"), "{}", errors(&whole));
    let log = session.path().join("wox-store/log.sqlite");
    std::fs::copy(&log, session.path().join("older")).unwrap();
    session.run("append events.jsonl");
    std::fs::copy(session.path().join("older"), &log).unwrap();
    let refused = session.run("append events.jsonl");
    assert!(code(&refused) == 5 && errors(&refused).contains("wox fork"), "{}", errors(&refused));
    let shown = session.run("fork");
    assert_eq!(code(&shown), 3, "{}", errors(&shown));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("2 events that were acknowledged"), "{shown:?}");
    let next =
        errors(&shown).lines().find_map(|line| line.strip_prefix("next: ")?.split_once(" fork ")).unwrap().1.to_owned();
    let confirmed = next.replace("REASON", "disk-lost-17");
    assert_eq!(code(&session.run("fork --confirm ffffffffffff --why x")), 4);
    assert_eq!(
        code(&session.run(&format!("fork {}", confirmed.split(" --why").next().unwrap()))),
        2,
        "a reason is kept"
    );
    let forked = session.run(&format!("fork {confirmed}"));
    assert_eq!(code(&forked), 0, "{}", errors(&forked));
    assert_eq!(json(&session.run("status --output json"))["head"]["epoch"], 2);
    assert_eq!(code(&session.run("append events.jsonl")), 0);
    assert_eq!(code(&session.run("verify")), 0);
    // Whatever else is wrong with it is no fork.
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&log, bytes).unwrap();
    std::fs::remove_file(session.path().join("wox-store/watermark")).unwrap();
    let damaged = session.run("fork");
    assert!([1, 5].contains(&code(&damaged)) && !errors(&damaged).contains("--confirm"), "{}", errors(&damaged));
}

#[test]
fn an_empty_directory_is_told_how_to_become_a_store() {
    let session = Session::new();
    std::fs::create_dir(session.path().join("empty")).unwrap();
    let output = session.run("status --store empty");
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("wox --store empty init\n"), "{}", errors(&output));
    assert_eq!(code(&session.run("init --store empty")), 0);
}

#[test]
fn the_next_command_of_a_refused_apply_and_of_a_listing_can_be_pasted() {
    let session = Session::new();
    session.run("demo");
    let output = session.run("apply wox-demo/demo.plan --yes --store wox-demo");
    assert_eq!(code(&output), 4);
    assert!(errors(&output).contains("--comment LOOKED-AT-IT --as ANOTHER-PERSON"), "{}", errors(&output));
    let listed = session.run("recover pool --store wox-demo");
    assert!(errors(&listed).contains("wox --store wox-demo recover pool-main"), "{}", errors(&listed));
}

#[cfg(unix)]
#[test]
fn the_doctor_names_a_file_with_a_password_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let session = Session::new();
    session.run("init");
    session.file("wox.toml", "[game_db]\nurl = \"mysql://wizard:s3cret@127.0.0.1:1/wizards_of_x\"\n");
    let secrets = |mode: u32| {
        let path = session.path().join("wox.toml");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let report = json(&session.run("doctor --output json"));
        let checks = report["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "secrets").unwrap()
    };
    let open = secrets(0o644);
    assert_eq!(open["result"], "warn", "{open}");
    assert!(open["fix"].as_str().unwrap().contains("chmod 600"), "{open}");
    assert_eq!(secrets(0o600)["result"], "ok");
    session.file("wox.toml", "output = \"table\"\n");
    assert_eq!(secrets(0o644)["result"], "ok", "a file without a password is nobody's secret");
}
