//! Laws of the wire, held against random input: one canonical form, one record for one set of bytes, amounts that
//! survive their text, and a decoder that names what it cannot read and never panics.
#![allow(clippy::disallowed_methods, reason = "the corpus is files; the crate itself reads none")]
#![allow(clippy::unwrap_used, reason = "strategies build values that are right by construction")]

use proptest::prelude::*;
use serde_json::{Value, json};
use wox_events::{
    Actor, Amount, AmountError, DecodeError, Digest, Event, EventId, Family, Json, LogId, NewEvent, Position,
    Provenance, RawEvent, Revision, StreamId, Timestamp,
    record::{CanonicalRecord, JsonError},
    schema::kinds,
    tree::CompactRange,
    upcast::{current_version, to_current},
};

const AMOUNT_LIMIT: u128 = 1 << 127;

proptest! {
    #[test]
    fn the_canonical_form_is_its_own_canonical_form(value in json_value()) {
        let once = Json::canonical(&value.to_string()).unwrap();
        let spaced = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(&Json::canonical(once.as_str()).unwrap(), &once);
        prop_assert_eq!(&Json::canonical(&spaced).unwrap(), &once);
        prop_assert_eq!(serde_json::from_str::<Value>(once.as_str()).unwrap(), value);
        prop_assert_eq!(serde_json::from_str::<Json>(&spaced).unwrap(), once);
    }

    #[test]
    fn a_key_that_appears_twice_is_refused_at_any_depth(key in ".{0,8}", value in json_value(), depth in 0usize..20) {
        let key_text = json!(key).to_string();
        let twice = format!("{{{key_text}:1,\"between\\u0000\":{value},{key_text}:1}}");
        let nested = format!("{}{twice}{}", "[".repeat(depth), "]".repeat(depth));
        let refused = matches!(Json::canonical(&nested), Err(JsonError::DuplicateKey(named)) if named == key);
        prop_assert!(refused || key.contains('\u{1}'), "{}", nested);
    }

    #[test]
    fn a_number_that_is_no_safe_integer_is_refused(number in unsafe_number(), depth in 0usize..20) {
        let nested = format!("{}{number}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        prop_assert!(matches!(Json::canonical(&nested), Err(JsonError::Number(_))), "{}", nested);
    }

    #[test]
    fn an_amount_survives_its_text(units in 0..AMOUNT_LIMIT) {
        let amount = Amount::from_base_units(units).unwrap();
        let text = amount.to_string();
        prop_assert_eq!(text.parse::<Amount>(), Ok(amount));
        prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{}", text);
        prop_assert!(!text.starts_with('0') || text == "0" || text.starts_with("0."), "{}", text);
    }

    #[test]
    fn any_text_is_an_amount_or_a_named_error(text in "[-+.0-9eE ]{0,50}|.{0,12}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert!(amount.base_units() < AMOUNT_LIMIT);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }
    }

    #[test]
    fn sums_and_parts_of_amounts_lose_nothing(left in 0..AMOUNT_LIMIT, right in 0..AMOUNT_LIMIT, (part, of) in (0u32..10_000, 1u32..10_000)) {
        let (a, b) = (Amount::from_base_units(left).unwrap(), Amount::from_base_units(right).unwrap());
        match a.checked_add(b) {
            Some(sum) => prop_assert_eq!((sum.checked_sub(b), sum.checked_sub(a)), (Some(a), Some(b))),
            None => prop_assert!(left + right >= AMOUNT_LIMIT),
        }
        prop_assert_eq!(a.checked_sub(b).is_some(), left >= right);
        prop_assert_eq!(a.saturating_sub(b), a.checked_sub(b).unwrap_or_default());
        let (shown, dust) = a.split_dust();
        prop_assert_eq!(shown.checked_add(dust), Some(a));
        prop_assert!(dust.base_units() < Amount::ONE_CENT && shown.base_units().is_multiple_of(Amount::ONE_CENT));
        if part <= of && let Some(share) = a.fraction(part, of) {
            prop_assert!(share <= a);
        }
    }

    #[test]
    fn no_two_different_records_share_their_bytes((log, one) in (log_id(), raw_event()), (other_log, other) in (log_id(), raw_event())) {
        let bytes = one.canonical(log);
        let canonical = Json::canonical(&bytes).unwrap();
        prop_assert_eq!(canonical.as_str(), &bytes, "the record is canonical as written");
        let read: CanonicalRecord = serde_json::from_str(&bytes).unwrap();
        prop_assert_eq!(read.log, log);
        prop_assert_eq!(RawEvent::from(read), one.clone());
        for changed in with_each_field_of(&one, &other) {
            prop_assert_eq!(changed == one, changed.canonical(log) == bytes);
            prop_assert_eq!(changed == one, changed.leaf(log) == one.leaf(log));
        }
        prop_assert_eq!(log == other_log, one.canonical(other_log) == bytes);
    }

    #[test]
    fn decoding_never_panics_and_names_what_it_refuses(
        at in any::<prop::sample::Index>(), version in any::<u16>(), data in "\\PC{0,200}", category in "[a-z]{1,12}",
    ) {
        let all: Vec<_> = kinds().collect();
        let (family, kind) = all[at.index(all.len())];
        let known = current_version(kind);
        let decoded = Event::decode_family(family, kind, version, &data);
        if version > known {
            prop_assert_eq!(decoded, Err(DecodeError::FutureVersion { kind: kind.into(), version, known }));
        } else if decoded != Event::decode_family(family, kind, version, "{}") {
            prop_assert!(matches!(decoded, Err(DecodeError::Malformed { .. })), "{:?}", decoded);
        }
        let stream = StreamId::new(format!("{category}-1")).unwrap();
        if stream.family().is_none() {
            prop_assert_eq!(Event::decode(&stream, kind, known, &data), Err(DecodeError::UnknownCategory { category }));
        }
    }

    #[test]
    fn a_damaged_payload_is_read_as_something_valid_or_refused(
        at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), with in "\\PC{0,3}", remove in 0usize..4,
    ) {
        let payloads = frozen();
        let (kind, version, text) = &payloads[at.index(payloads.len())];
        let (family, kind) = kinds().find(|(_, known)| known == kind).unwrap();
        let mut damaged: Vec<char> = text.chars().collect();
        let start = cut.index(damaged.len());
        let end = (start + remove).min(damaged.len());
        damaged.splice(start..end, with.chars());
        let damaged: String = damaged.into_iter().collect();
        if let Ok(event) = Event::decode_family(family, kind, *version, &damaged) {
            let (kind, version, data) = event.encode().unwrap();
            prop_assert_eq!(Event::decode_family(family, &kind, version, data.as_str()), Ok(event), "{}", damaged);
        }
    }

    #[test]
    fn a_compact_range_has_the_root_of_a_whole_tree(leaves in prop::collection::vec(any::<[u8; 4]>(), 0..70)) {
        let mut range = CompactRange::default();
        let mut whole = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
        for leaf in &leaves {
            range.push(Digest::leaf(leaf));
            whole.push(leaf.to_vec());
        }
        prop_assert_eq!(range.size(), whole.len());
        let root = whole.root();
        prop_assert_eq!(&range.root().0[..], &root.as_bytes()[..]);
    }

    #[test]
    fn a_range_of_subtrees_has_the_root_of_its_leaves(level in 0u32..5, before in 0u64..4, after in 0u64..9) {
        let width = 1u64 << level;
        let leaf = |number: u64| Digest::leaf(&number.to_be_bytes());
        let (mut by_leaf, mut by_subtree) = (CompactRange::default(), CompactRange::default());
        for number in 0..(before + 1) * width + after {
            by_leaf.push(leaf(number));
        }
        for number in 0..before * width {
            by_subtree.push(leaf(number));
        }
        let mut subtree = CompactRange::default();
        (before * width..(before + 1) * width).for_each(|number| subtree.push(leaf(number)));
        by_subtree.push_subtree(level, subtree.root()).unwrap();
        for number in (before + 1) * width..(before + 1) * width + after {
            by_subtree.push(leaf(number));
        }
        prop_assert_eq!(by_leaf, by_subtree);
    }

    #[test]
    fn different_parts_give_different_ids(left in prop::collection::vec("[a-c:-]{0,3}", 0..4), right in prop::collection::vec("[a-c:-]{0,3}", 0..4)) {
        let id = |parts: &[String]| EventId::derived(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(left == right, id(&left) == id(&right));
    }

    #[test]
    fn a_stream_name_has_a_category_and_a_subject(text in "\\PC{0,140}|[a-z-]{0,140}") {
        if let Ok(stream) = StreamId::new(&text) {
            prop_assert_eq!(format!("{}-{}", stream.category(), stream.subject()), text);
            prop_assert!(!stream.category().is_empty() && !stream.subject().is_empty());
        }
    }
}

#[test]
fn amounts_end_below_two_to_the_127th() {
    let largest = Amount::from_base_units(AMOUNT_LIMIT - 1).unwrap();
    assert_eq!(largest.to_string(), "170141183460469231731.687303715884105727");
    assert_eq!(Amount::from_base_units(AMOUNT_LIMIT), Err(AmountError::TooLarge));
    assert_eq!("170141183460469231731.687303715884105728".parse::<Amount>(), Err(AmountError::TooLarge));
    assert_eq!("1".repeat(60).parse::<Amount>(), Err(AmountError::TooLarge));
    assert_eq!(largest.checked_add(Amount::from_base_units(1).unwrap()), None);
    assert_eq!(Amount::checked_sum([largest, Amount::ZERO]), Some(largest));
    assert_eq!(Amount::checked_sum([largest, largest]), None);
    assert_eq!(largest.fraction(4, 1), None);
    assert_eq!(largest.fraction(1, 0), None);
}

#[test]
fn texts_that_are_no_amount_say_why() {
    for (text, why) in [
        ("", AmountError::NotDecimal),
        (".", AmountError::NotDecimal),
        (".5", AmountError::NotDecimal),
        ("5.", AmountError::NotDecimal),
        ("1.2.3", AmountError::NotDecimal),
        ("+1", AmountError::NotDecimal),
        ("1e3", AmountError::NotDecimal),
        (" 1", AmountError::NotDecimal),
        ("١", AmountError::NotDecimal),
        ("-1", AmountError::Negative),
        ("0.0000000000000000001", AmountError::TooPrecise),
    ] {
        assert_eq!(text.parse::<Amount>(), Err(why), "{text:?}");
    }
}

#[test]
fn the_first_seven_and_eight_leaves_of_the_certificate_transparency_vectors_have_their_known_roots() {
    let leaves: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let mut range = CompactRange::default();
    let roots: Vec<String> = leaves
        .iter()
        .map(|leaf| {
            range.push(Digest::leaf(leaf));
            range.root().to_string()
        })
        .collect();
    assert_eq!(roots[0], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(roots[6], "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
    assert_eq!(roots[7], "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    let nothing = CompactRange::default().root().to_string();
    assert_eq!(nothing, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn a_subtree_that_does_not_stand_at_a_multiple_of_its_width_is_refused() {
    let mut range = CompactRange::default();
    range.push(Digest::leaf(b"one"));
    let before = range.clone();
    assert!(range.push_subtree(1, Digest::of(b"two")).is_err());
    assert!(range.push_subtree(64, Digest::of(b"too wide")).is_err());
    assert_eq!(range, before);
    assert_eq!(range.push_subtree(0, Digest::leaf(b"two")), Ok(()));
}

#[test]
fn versions_that_never_were_are_refused_by_name() {
    for (family, kind) in kinds() {
        let known = current_version(kind);
        assert!(matches!(Event::decode_family(family, kind, 0, "{}"), Err(DecodeError::Malformed { .. })), "{kind}");
        let future = Event::decode_family(family, kind, known + 1, "{}");
        assert_eq!(future, Err(DecodeError::FutureVersion { kind: kind.into(), version: known + 1, known }));
        let elsewhere = kinds().find(|(other, _)| *other != family).unwrap().0;
        for version in [known, known + 1] {
            let foreign = Event::decode_family(elsewhere, kind, version, "{}").unwrap_err();
            let (belongs_to, elsewhere) = (family.to_string(), elsewhere.to_string());
            assert_eq!(foreign, DecodeError::ForeignKind { kind: kind.into(), belongs_to, family: elsewhere });
        }
    }
    let unknown = Event::decode_family(Family::Duel, "BroomRaced", 1, "{}");
    assert_eq!(unknown, Err(DecodeError::UnknownKind { kind: "BroomRaced".into() }));
}

#[test]
fn an_upcaster_that_cannot_read_its_payload_says_which_field() {
    for (data, reason) in [
        ("{}", "field `amount` is missing or no text"),
        (r#"{"amount":"1"}"#, "field `fee` is missing or no text"),
        (r#"{"amount":"1","fee":"x"}"#, "field `fee`: amount is not a decimal number of Galleons such as \"12.5\""),
        (r#"{"amount":"1","fee":"2"}"#, "fee is larger than amount"),
    ] {
        assert_eq!(to_current("FundsHeld", 1, data).unwrap_err().to_string(), reason);
    }
    assert!(to_current("FundsHeld", 1, "[]").is_err());
}

#[test]
fn text_after_the_payload_is_refused() {
    let duel = StreamId::new("duel-1").unwrap();
    assert!(Event::decode(&duel, "ChallengeDeclined", 1, "{} {}").is_err());
    assert!(Event::decode(&duel, "ChallengeDeclined", 1, "null").is_err());
}

#[test]
fn a_digest_is_64_hex_digits() {
    let digest = Digest::of(b"wox");
    assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
    assert_eq!(digest.short(), digest.to_string()[..16]);
    assert_eq!(format!("{digest:?}"), format!("Digest({digest})"));
    for text in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53)..=1 << 53).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn unsafe_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[1-9][0-9]{0,4}\\.[0-9]{1,5}",
        "-?[1-9][0-9]{0,2}[eE][+-]?[0-9]{1,2}",
        ((1u64 << 53) + 1..).prop_map(|number| number.to_string()),
        (..-(1i64 << 53)).prop_map(|number| number.to_string()),
        "[1-9][0-9]{20,60}",
        Just("-0".to_owned()),
        Just("1.0".to_owned()),
    ]
}

/// Fields from small sets, so that two records often differ in one field only.
fn raw_event() -> impl Strategy<Value = RawEvent> {
    let id = || prop::sample::select(vec!["a", "b", "c"]).prop_map(|part| EventId::derived(&[part]));
    let place = (1u64..4, prop::sample::select(vec!["duel-1", "duel-11", "duel-1:1", "pool-1"]), 1u64..4);
    let told =
        (id(), prop::sample::select(vec!["A", "B"]), 1u16..3, -2i64..3, prop::sample::select(vec!["game", "wox"]));
    let links = (prop::option::of(id()), prop::option::of(id()));
    let provenance =
        prop::sample::select(vec![Provenance::Game, Provenance::Observed, Provenance::Imported, Provenance::Recovery]);
    (place, told, links, provenance, 1u16..3, json_value()).prop_map(
        |(
            (position, stream, revision),
            (id, kind, version, time, actor),
            (causation, correlation),
            provenance,
            rules,
            data,
        )| RawEvent {
            position: Position(position),
            stream: StreamId::new(stream).unwrap(),
            revision: Revision(revision),
            event: NewEvent {
                id,
                kind: kind.into(),
                version,
                time: Timestamp(time),
                actor: Actor::new(actor).unwrap(),
                causation,
                correlation,
                provenance,
                rules,
                data: Json::canonical(&data.to_string()).unwrap(),
            },
        },
    )
}

fn log_id() -> impl Strategy<Value = LogId> {
    (0u128..3).prop_map(|number| LogId(EventId::derived(&[&number.to_string()]).0))
}

/// `one` with one field at a time taken from `other`; a field forgotten here does not compile.
fn with_each_field_of(one: &RawEvent, other: &RawEvent) -> Vec<RawEvent> {
    let RawEvent { position, stream, revision, event } = other.clone();
    let NewEvent { id, kind, version, time, actor, causation, correlation, provenance, rules, data } = event;
    let told = |event: NewEvent| RawEvent { event, ..one.clone() };
    let event = || one.event.clone();
    vec![
        RawEvent { position, ..one.clone() },
        RawEvent { stream, ..one.clone() },
        RawEvent { revision, ..one.clone() },
        told(NewEvent { id, ..event() }),
        told(NewEvent { kind, ..event() }),
        told(NewEvent { version, ..event() }),
        told(NewEvent { time, ..event() }),
        told(NewEvent { actor, ..event() }),
        told(NewEvent { causation, ..event() }),
        told(NewEvent { correlation, ..event() }),
        told(NewEvent { provenance, ..event() }),
        told(NewEvent { rules, ..event() }),
        told(NewEvent { data, ..event() }),
    ]
}

/// Every frozen payload with its kind and version.
fn frozen() -> &'static [(String, u16, String)] {
    static FROZEN: std::sync::OnceLock<Vec<(String, u16, String)>> = std::sync::OnceLock::new();
    FROZEN.get_or_init(|| {
        let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let mut payloads = Vec::new();
        for (_, kind) in kinds() {
            for version in 1..=current_version(kind) {
                let path = testdata.join(kind).join(format!("v{version}.json"));
                payloads.push((kind.to_owned(), version, std::fs::read_to_string(path).unwrap()));
            }
        }
        payloads
    })
}
