//! What commands print is what `wox schema` publishes: the files in `schemas/` are made from the types, and every line of
//! every command is held against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use jsonschema::Validator;
use serde_json::Value;
use wox_recovery::cli::shapes;

use crate::{
    session::{Session, code, errors, json},
    store::EVENTS,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");

#[test]
fn the_published_files_are_made_from_the_types() {
    let folder = Path::new(FOLDER);
    if std::env::var_os("WRITE_SCHEMAS").is_some() {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir(folder).unwrap();
        for shape in shapes::ALL {
            fs::write(folder.join(shape.file()), format!("{:#}\n", shape.schema())).unwrap();
        }
    }
    let mut there: BTreeSet<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for shape in shapes::ALL {
        let published = fs::read_to_string(folder.join(shape.file())).unwrap_or_default();
        let made = format!("{:#}\n", shape.schema());
        let how = "WRITE_SCHEMAS=1 cargo test --test cli shapes writes them; a reader that breaks wants a new version";
        assert_eq!(published, made, "schemas/{} is not what is printed; {how}", shape.file());
        there.remove(&shape.file());
    }
    assert!(there.is_empty(), "no shape has these files: {there:?}");
}

/// Holds output against the schema it names, and notes what was seen.
struct Judge {
    validators: BTreeMap<&'static str, Validator>,
    seen: BTreeSet<String>,
}

impl Judge {
    fn new() -> Judge {
        let validator = |shape: &shapes::Published| (shape.name, jsonschema::validator_for(&shape.schema()).unwrap());
        Judge { validators: shapes::ALL.iter().map(validator).collect(), seen: BTreeSet::new() }
    }

    fn judge(&mut self, value: &Value, words: &str) {
        let name = value["schema"].as_str().unwrap_or_else(|| panic!("{words} prints no schema: {value}"));
        let Some(validator) = self.validators.get(name) else {
            panic!("{words} prints {name}, which is not published")
        };
        let wrong: Vec<_> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{words} prints no {name}: {wrong:?}\n{value:#}");
        self.seen.insert(name.to_owned());
    }

    /// Every line of a text that is JSON Lines, or such lines among others.
    fn lines(&mut self, text: &[u8], words: &str) {
        for line in text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
            let value = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{words}: {error}"));
            self.judge(&value, words);
        }
    }

    /// A command in both machine formats; errors and progress on stderr too.
    fn run(&mut self, session: &Session, words: &str) {
        let output = session.run(&format!("{words} --output json --progress json"));
        // Acknowledgements are lines in every format: they come one by one.
        if words.starts_with("append") {
            self.lines(&output.stdout, words);
        } else if !output.stdout.is_empty() {
            self.judge(&json(&output), words);
        }
        self.lines(&output.stderr, words);
        let output = session.run(&format!("{words} --output jsonl --progress json"));
        self.lines(&output.stdout, words);
        self.lines(&output.stderr, words);
    }
}

#[test]
fn every_command_prints_what_is_published() {
    let session = Session::new();
    let mut judge = Judge::new();
    session.file("events.jsonl", EVENTS);
    session.file("check.sh", "#!/bin/sh\n[ \"$WOX_AS_OF\" -lt 100 ]\n");
    let receipts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/base_receipts.jsonl");
    let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    for words in [
        "init",
        "init --store other",
        "init",
        "append events.jsonl",
        "demo --store small --events 3000",
        "demo --store sound --events 3000 --sound --force",
        "demo",
    ] {
        judge.run(&session, words);
    }
    for words in [
        "status",
        "verify",
        "fork",
        "digest",
        "digest --from snapshot",
        "show pool-main",
        "show duel-17",
        "show 1",
        "show 99999999",
        "state",
        "state ledger",
        "state players",
        "state pool",
        "state conservation",
        "bisect --list",
        "bisect --invariant conservation",
        "bisect --invariant conservation --subject nobody",
        "explain pool",
        "explain player 1",
        "explain withdrawal 66",
        "explain deposit 0x12",
        "plan --preview",
        "plan --preview --as-of 12",
        "plan",
        "recover duel",
        "reconcile --offline",
        "recover pool",
        "recover tournament x",
        "recover event 40 --why test --preview",
        "plan show wox-demo/demo.plan",
        "schema",
        "schema --shapes",
        "assess",
        "doctor",
        "doctor --store nowhere",
        "config show",
        "config show --origin",
        "export out.jsonl --force",
        "frobnicate",
    ] {
        judge.run(&session, &format!("{words} --store wox-demo").replace("nowhere --store wox-demo", "nowhere"));
    }
    for key in
        json(&session.run("state players --store wox-demo --output json"))["value"].as_object().unwrap().keys().take(2)
    {
        judge.run(&session, &format!("state players {key} --store wox-demo"));
    }
    let good =
        format!("bisect --store wox-demo --bad 300 --log hunt.jsonl --run sh {}/check.sh", session.path().display());
    let hunt = session.run(&good);
    assert_eq!(code(&hunt), 3, "{}", errors(&hunt));
    let transcript = fs::read(session.path().join("hunt.jsonl")).unwrap();
    judge.lines(transcript.split(|byte| *byte == b'\n').next().unwrap(), "bisect --log");
    for output in ["json", "jsonl"] {
        let words = format!("bisect --store wox-demo --output {output} --replay hunt.jsonl");
        let found = session.run(&words);
        match output {
            "json" => judge.judge(&json(&found), &words),
            _ => judge.lines(&found.stdout, &words),
        }
    }
    judge.run(&session, "import out.jsonl --store copy");
    judge.run(
        &session,
        &format!("import base-receipts {receipts} --token {usdc} --watch {usdc} --time 2026-01-01T00:00:00Z"),
    );
    let id = json(&session.run("plan show wox-demo/demo.plan --store wox-demo --output json"))["plan"]["id"].clone();
    let id = id.as_str().unwrap();
    for words in
        ["apply {} --yes", "approve {} --comment x", "apply {} --yes", "apply {} --yes", "plan show {}", "status"]
    {
        judge.run(&session, &format!("{} --store wox-demo", words.replace("{}", id)));
    }
    let all: BTreeSet<String> = shapes::ALL.iter().map(|shape| shape.name.to_owned()).collect();
    // A difference, a rebuild and an import of tables want a live database of the game, a look a chain.
    let elsewhere = [
        "wox/diff/v1",
        "wox/difference/v1",
        "wox/import-game-db/v1",
        "wox/import-game-db-table/v1",
        "wox/rebuild/v1",
        "wox/rebuild-table/v1",
        "wox/rebuild-kept/v1",
        "wox/revert/v1",
        "wox/row/v1",
        "wox/assess/v1",
        "wox/check/v1",
        "wox/looks/v1",
        "wox/look/v1",
        "wox/evidence/v1",
    ];
    let seen_elsewhere = |name: &&String| elsewhere.contains(&name.as_str());
    let unseen: Vec<_> = all.difference(&judge.seen).filter(|name| !seen_elsewhere(name)).collect();
    assert!(unseen.is_empty(), "no command here prints {unseen:?}");
}

#[test]
fn a_document_with_a_field_that_is_not_published_does_not_pass() {
    let session = Session::new();
    session.run("init");
    let mut status = json(&session.run("status --output json"));
    let schema = shapes::ALL.iter().find(|shape| shape.name == "wox/status/v1").unwrap().schema();
    assert!(jsonschema::is_valid(&schema, &status));
    status["head"]["surprise"] = 1.into();
    assert!(!jsonschema::is_valid(&schema, &status));
    status["head"].as_object_mut().unwrap().remove("surprise");
    status.as_object_mut().unwrap().remove("bytes");
    assert!(!jsonschema::is_valid(&schema, &status));
}

#[test]
fn every_name_of_a_shape_in_the_sources_is_published() {
    fn sources(folder: &Path, all: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, all),
                false => all.push(fs::read_to_string(path).unwrap()),
            }
        }
    }
    let mut all = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli")), &mut all);
    for text in all {
        for printed in text.split("Document::new(").skip(1) {
            let Some(name) = printed.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            let known =
                name.is_empty() || name == "wox/sample/v1" || shapes::ALL.iter().any(|shape| shape.name == name);
            assert!(known, "{name} is printed and not in src/cli/shapes.rs");
        }
    }
}

#[test]
fn a_shape_is_found_by_its_name() {
    let session = Session::new();
    let listed = json(&session.run("schema --shapes --output json"));
    for line in listed["shapes"].as_array().unwrap() {
        let name = line["name"].as_str().unwrap();
        let schema = json(&session.run(&format!("schema {name}")));
        assert_eq!(schema["properties"]["schema"]["const"], name);
    }
    let output = session.run("schema wox/plam/v1");
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("wox schema wox/plan/v1"), "{}", errors(&output));
}
