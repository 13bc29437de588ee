//! The frozen corpus: a payload of every version of every kind that was ever written, and what it means today.
//!
//! `testdata/<Kind>/v<n>.json` is a payload as version n wrote it and never changes again; `v<n>-<case>.json` are
//! further cases. `.expected.json` beside it is the payload at the current version, after upcasting. When a kind or a
//! version is new, run the test with `WOX_CORPUS_PROPOSE=1`: it writes `.proposed.json` files to review and rename.
#![allow(clippy::disallowed_methods, reason = "the corpus is files; the crate itself reads none")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use wox_events::{
    Event, Family, Json,
    schema::{kind_schema, kinds},
    upcast::{self, current_version},
};

/// One frozen payload.
struct Case {
    name: String,
    family: Family,
    kind: &'static str,
    version: u16,
    payload: String,
    expected: String,
}

#[test]
fn every_version_of_every_kind_has_a_frozen_payload() {
    let frozen: BTreeSet<(&str, u16)> = cases().iter().map(|case| (case.kind, case.version)).collect();
    let missing: Vec<(&str, u16)> = kinds()
        .flat_map(|(_, kind)| (1..=current_version(kind)).map(move |version| (kind, version)))
        .filter(|version| !frozen.contains(version))
        .collect();
    if std::env::var_os("WOX_CORPUS_PROPOSE").is_some_and(|value| value == "1") {
        missing.iter().for_each(|(kind, version)| propose(kind, *version));
    }
    assert!(missing.is_empty(), "no frozen payload for {missing:?}; WOX_CORPUS_PROPOSE=1 writes proposals");
}

#[test]
fn every_frozen_payload_is_canonical_and_means_today_what_its_expected_file_says() {
    for Case { name, family, kind, version, payload, expected } in cases() {
        assert_eq!(Json::canonical(&payload).expect(&name).as_str(), payload, "{name} is not canonical");
        assert_eq!(Json::canonical(&expected).expect(&name).as_str(), expected, "{name}: expected is not canonical");
        let event = Event::decode_family(family, kind, version, &payload).expect(&name);
        assert_eq!((event.family(), event.kind()), (family, kind), "{name}");
        let (encoded_kind, encoded_version, data) = event.encode().expect(&name);
        assert_eq!((encoded_kind.as_str(), encoded_version), (kind, current_version(kind)), "{name}");
        assert_eq!(data.as_str(), expected, "{name} means something else today");
        if version == current_version(kind) {
            assert_eq!(payload, expected, "{name} is current and must not be changed by reading it");
        }
    }
}

#[test]
fn every_optional_field_is_frozen_both_present_and_absent() {
    let mut fields = BTreeMap::<&str, Vec<BTreeSet<String>>>::new();
    for case in cases() {
        let payload: Value = serde_json::from_str(&case.expected).expect(&case.name);
        let object = payload.as_object().expect("a payload is an object");
        fields.entry(case.kind).or_default().push(object.keys().cloned().collect());
    }
    for (_, kind) in kinds() {
        let schema = kind_schema(kind).expect("kinds() names known kinds");
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
        for optional in properties.filter(|name| !required.contains(name.as_str())) {
            let payloads = &fields[kind];
            assert!(payloads.iter().any(|names| names.contains(optional)), "{kind}.{optional} is never present");
            assert!(payloads.iter().any(|names| !names.contains(optional)), "{kind}.{optional} is never absent");
        }
    }
}

#[test]
fn a_payload_of_an_older_version_is_never_taken_for_the_current_one() {
    let mut older = 0;
    for case in cases().iter().filter(|case| case.version < current_version(case.kind)) {
        let current = upcast::to_current(case.kind, case.version, &case.payload).expect(&case.name);
        assert_eq!(Json::canonical(&current).expect(&case.name).as_str(), case.expected, "{}", case.name);
        let read_as_current = Event::decode_family(case.family, case.kind, current_version(case.kind), &case.payload);
        assert!(case.payload == case.expected || read_as_current.is_err(), "{}", case.name);
        older += 1;
    }
    assert!(older >= 4, "the corpus has lost its older versions");
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Reads the corpus, and refuses a folder or a file that belongs to no version of a kind.
fn cases() -> Vec<Case> {
    let known: BTreeMap<&str, Family> = kinds().map(|(family, kind)| (kind, family)).collect();
    let mut cases = Vec::new();
    for folder in entries(&testdata()) {
        let folder_name = file_name(&folder);
        let Some((&kind, &family)) = known.get_key_value(folder_name.as_str()) else {
            panic!("testdata/{folder_name} is named after no kind; a kind once written stays readable for ever")
        };
        for path in entries(&folder) {
            let name = file_name(&path);
            if name.ends_with(".proposed.json") {
                continue;
            }
            if let Some(stem) = name.strip_suffix(".expected.json") {
                assert!(folder.join(format!("{stem}.json")).exists(), "{kind}/{name} has no payload");
                continue;
            }
            let version = version_of(&name).unwrap_or_else(|| panic!("{kind}/{name} is not named v<n>[-case].json"));
            assert!((1..=current_version(kind)).contains(&version), "{kind}/{name}: there is no version {version}");
            cases.push(Case {
                family,
                kind,
                version,
                payload: one_line(&path),
                expected: one_line(&folder.join(name.replace(".json", ".expected.json"))),
                name: format!("{kind}/{name}"),
            });
        }
    }
    cases
}

/// `v2-forfeit.json` → 2.
fn version_of(name: &str) -> Option<u16> {
    let stem = name.strip_prefix('v')?.strip_suffix(".json")?;
    stem.split_once('-').map_or(stem, |(version, _)| version).parse().ok()
}

fn one_line(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.strip_suffix('\n').unwrap_or_else(|| panic!("{} does not end with a newline", path.display())).to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("testdata is part of the crate");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("an entry of a folder has a name").to_string_lossy().into_owned()
}

/// Writes a payload that has the right shape, for a person to give meaning and to rename.
fn propose(kind: &str, version: u16) {
    let schema = kind_schema(kind).expect("kinds() names known kinds");
    let sample = Json::canonical(&sample(&schema, &schema).to_string()).expect("a sample has integers only");
    let folder = testdata().join(kind);
    fs::create_dir_all(&folder).expect("testdata is writable when proposals are asked for");
    for name in [format!("v{version}.proposed.json"), format!("v{version}.expected.proposed.json")] {
        fs::write(folder.join(name), format!("{}\n", sample.as_str())).expect("testdata is writable");
    }
}

/// The smallest value of a schema's shape; for texts with a pattern, one that is known to fit.
fn sample(schema: &Value, root: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().expect("a reference has a last part");
        return match name {
            "Amount" => json!("1.25"),
            "Digest" => json!("0".repeat(64)),
            "StreamId" => json!("duel-1"),
            _ => sample(&root["$defs"][name], root),
        };
    }
    if let Some(first) = ["oneOf", "anyOf", "enum"].iter().find_map(|list| schema[*list].get(0)) {
        return if first.is_object() { sample(first, root) } else { first.clone() };
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            properties.iter().map(|(name, property)| (name.clone(), sample(property, root))).collect()
        }
        Some("array") => json!([sample(&schema["items"], root)]),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        Some("string") => json!("to-be-named"),
        _ => json!({}),
    }
}
