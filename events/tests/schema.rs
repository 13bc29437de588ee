//! The published JSON Schemas and the decoder say the same: every frozen payload fits its schema, and a payload with a
//! field of the wrong type, a field too few or a field too many is refused by both.
#![allow(clippy::disallowed_methods, reason = "the corpus is files; the crate itself reads none")]

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value, json};
use wox_events::{
    Event, Family,
    schema::{family_schema, kind_schema, kinds, record_schema},
    upcast::current_version,
};

#[test]
fn every_frozen_payload_fits_the_schema_of_its_kind() {
    for (_, kind) in kinds() {
        let validator = validator(kind);
        for payload in expected_payloads(kind) {
            let errors: Vec<String> = validator.iter_errors(&payload).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{kind} {payload}: {errors:?}");
        }
    }
}

#[test]
fn a_field_of_the_wrong_type_is_refused_by_schema_and_decoder() {
    for_each_required_field(|kind, object, field| {
        if (kind, field) == ("PlanProposed", "plan") {
            return None; // an embedded document may be anything
        }
        let wrong = match &object[field] {
            Value::String(_) => json!(7),
            Value::Array(_) => json!({"not": "a list"}),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => json!("text"),
        };
        let mut changed = object.clone();
        changed.insert(field.to_owned(), wrong);
        Some(changed)
    });
}

#[test]
fn a_missing_required_field_is_refused_by_schema_and_decoder() {
    for_each_required_field(|_, object, field| {
        let mut changed = object.clone();
        changed.remove(field);
        Some(changed)
    });
}

#[test]
fn an_unknown_field_is_refused_by_schema_and_decoder() {
    for (family, kind) in kinds() {
        let validator = validator(kind);
        for payload in expected_payloads(kind) {
            let mut object = payload.as_object().expect("a payload is an object").clone();
            object.insert("added_by_nobody".into(), json!(1));
            refused(&validator, family, kind, &Value::Object(object));
        }
    }
}

#[test]
fn a_negative_amount_and_a_number_out_of_range_are_refused_by_schema_and_decoder() {
    for (kind, field, value) in [
        ("PrizePaid", "amount", json!("-1")),
        ("PrizePaid", "amount", json!("1e3")),
        ("PrizePaid", "amount", json!("0.0000000000000000001")),
        ("PrizePaid", "prize", json!("fifth")),
        ("ExperienceGained", "level", json!(256)),
        ("ExperienceGained", "xp", json!(-1)),
        ("DepositObserved", "token", json!("two words")),
        ("DepositObserved", "token", json!("")),
        ("DepositObserved", "digest", json!("00")),
    ] {
        let (family, kind) = kinds().find(|(_, known)| *known == kind).expect("the kind exists");
        let mut payload = expected_payloads(kind).swap_remove(0);
        payload[field] = value;
        refused(&validator(kind), family, kind, &payload);
    }
}

#[test]
fn the_decoder_alone_bounds_integers_wider_than_a_byte() {
    // JSON Schema has no word for 32 bits: `format: uint32` is a remark that validators skip.
    let (family, kind) = kinds().find(|(_, known)| *known == "DepositObserved").expect("the kind exists");
    let mut payload = expected_payloads(kind).swap_remove(0);
    payload["ordinal"] = json!(4_294_967_296_u64);
    assert!(Event::decode_family(family, kind, current_version(kind), &payload.to_string()).is_err());
}

#[test]
fn schemas_name_kind_and_version_and_unknown_kinds_have_none() {
    let schema = kind_schema("DuelEnded").expect("known");
    assert_eq!(schema["$id"], format!("urn:wox:event:duel:DuelEnded:v{}", current_version("DuelEnded")));
    assert_eq!(kind_schema("BroomRaced"), None);
    assert!(jsonschema::validator_for(&record_schema()).is_ok());
}

#[test]
fn no_two_kinds_share_a_name_and_every_family_publishes_all_of_its_own() {
    let mut families = BTreeMap::<&str, Family>::new();
    for (family, kind) in kinds() {
        assert_eq!(families.insert(kind, family), None, "{kind} is in two families");
        let alternatives = family_schema(family)["oneOf"].as_array().map(Vec::len);
        assert_eq!(alternatives, Some(family.kinds().len()), "{family}");
    }
}

fn for_each_required_field(change: impl Fn(&str, &Map<String, Value>, &str) -> Option<Map<String, Value>>) {
    let mut changes = 0;
    for (family, kind) in kinds() {
        let (schema, validator) = (kind_schema(kind).expect("kinds() names known kinds"), validator(kind));
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for payload in expected_payloads(kind) {
            let object = payload.as_object().expect("a payload is an object");
            for field in &required {
                let Some(changed) = change(kind, object, field) else { continue };
                refused(&validator, family, kind, &Value::Object(changed));
                changes += 1;
            }
        }
    }
    assert!(changes > 400, "only {changes} fields were changed");
}

#[track_caller]
fn refused(validator: &jsonschema::Validator, family: Family, kind: &str, payload: &Value) {
    assert!(!validator.is_valid(payload), "the schema of {kind} accepts {payload}");
    let decoded = Event::decode_family(family, kind, current_version(kind), &payload.to_string());
    assert!(decoded.is_err(), "the decoder of {kind} accepts {payload}");
}

fn validator(kind: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&kind_schema(kind).expect("kinds() names known kinds")).expect("the schema is a schema")
}

fn expected_payloads(kind: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(kind);
    let entries = fs::read_dir(folder).expect("every kind has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.retain(|path| path.to_string_lossy().ends_with(".expected.json"));
    paths.iter().map(|path| serde_json::from_str(&fs::read_to_string(path).expect("readable")).expect("JSON")).collect()
}
