//! The small words of the crate, by example: times, spans, splits, identities, places, embedded documents.

use serde_json::json;
use wox_events::{
    Actor, Amount, AmountError, Bucket, Digest, Duration, EventId, Family, Handle, Json, LogId, Position, Revision,
    Split, StreamId, StreamIdError, Timestamp,
    id::{TEXT_ID_BYTES_MAX, TextIdError},
    record::JsonError,
};

#[test]
fn spans_count_between_times_in_both_directions_and_never_wrap() {
    let (early, late) = (Timestamp(1_000_000), Timestamp(3_500_000));
    assert_eq!(late.since(early), Duration(2_500_000));
    assert_eq!(early.since(late), Duration(-2_500_000));
    assert_eq!(early.plus(Duration::seconds(2)), Timestamp(3_000_000));
    assert_eq!((Duration(2_999_999).as_seconds(), Duration(-2_999_999).as_seconds()), (2, -2));
    assert_eq!(Timestamp(i64::MAX).since(Timestamp(i64::MIN)), Duration(i64::MAX));
    assert_eq!(Timestamp(i64::MAX).plus(Duration(1)), Timestamp(i64::MAX));
    assert_eq!(Duration::seconds(i64::MAX), Duration(i64::MAX));
    assert_eq!(Duration::ZERO, Duration::seconds(0));
}

#[test]
fn galleons_cents_and_base_units_are_one_scale() {
    assert_eq!(Amount::galleons(3).to_string(), "3");
    assert_eq!(Amount::cents(305).to_string(), "3.05");
    assert_eq!(Amount::cents(100), Amount::galleons(1));
    assert_eq!(Amount::galleons(u64::MAX).base_units() / Amount::ONE_GALLEON, u128::from(u64::MAX));
    assert!(Amount::ZERO.is_zero() && !Amount::cents(1).is_zero());
    assert_eq!(Amount::cents(1001).split_dust(), (Amount::cents(1001), Amount::ZERO));
}

#[test]
fn a_split_is_the_sum_of_its_parts_or_too_much() {
    let split = Split { bonus: Amount::cents(1250), withdrawable: Amount::cents(3750) };
    assert_eq!(split.total(), Some(Amount::galleons(50)));
    let most = Amount::from_base_units((1 << 127) - 1).expect("just below the limit");
    assert_eq!(Split { bonus: most, withdrawable: most }.total(), None);
    assert_eq!(Bucket::Withdrawable.to_string(), "withdrawable");
}

#[test]
fn an_amount_is_read_from_text_only() {
    assert_eq!(serde_json::from_value::<Amount>(json!("1.50")).expect("text"), Amount::cents(150));
    let number = serde_json::from_value::<Amount>(json!(1)).expect_err("a number");
    assert!(number.to_string().contains("a decimal string of Galleons"), "{number}");
    let negative = serde_json::from_value::<Amount>(json!("-1")).expect_err("negative");
    assert_eq!(negative.to_string(), AmountError::Negative.to_string());
}

#[test]
fn an_identity_is_short_printable_text_without_spaces_or_quotes() {
    let longest = "x".repeat(TEXT_ID_BYTES_MAX);
    for text in ["a", "@alvara", "0x00:1", longest.as_str()] {
        assert_eq!(Handle::new(text).expect(text).as_str(), text);
    }
    assert_eq!(Handle::new(""), Err(TextIdError::Empty));
    assert_eq!(Handle::new(format!("{longest}x")), Err(TextIdError::TooLong));
    for text in ["two words", "tab\t", "é", "\u{7f}", "\u{1b}[31m", "quo\"te", "back\\slash", "line\n"] {
        assert_eq!(Handle::new(text), Err(TextIdError::Character), "{text:?}");
    }
    assert!(serde_json::from_value::<Actor>(json!("two words")).is_err());
    let number = serde_json::from_value::<Actor>(json!(1)).expect_err("a number");
    assert!(number.to_string().contains("an identity"), "{number}");
    assert_eq!(
        format!("{} {:?}", Actor::new("alice").expect("fits"), Actor::new("alice").expect("fits")),
        "alice \"alice\""
    );
}

#[test]
fn the_category_of_a_stream_decides_its_family() {
    for (name, family) in [
        ("player-1457203948123456789", Family::Player),
        ("duel-17", Family::Duel),
        ("tournament-daily-2025-11-01", Family::Tournament),
        ("deposit-8453:0xab:0", Family::Deposit),
        ("withdrawal-w-3311", Family::Withdrawal),
        ("burn-w-3311", Family::Burn),
        ("pool-main", Family::Pool),
        ("agent-WizardsOfX", Family::Agent),
        ("command-1985234567890123456", Family::Command),
        ("plan-3fb2", Family::Recovery),
        ("run-3fb2", Family::Recovery),
        ("ops-console", Family::Ops),
        ("incident-1", Family::Ops),
        ("outbox-x", Family::Ops),
        ("backup-1", Family::Ops),
        ("chain-8453", Family::Chain),
    ] {
        let stream = StreamId::new(name).expect(name);
        assert_eq!(stream.family(), Some(family), "{name}");
        assert_eq!((stream.to_string(), format!("{stream:?}")), (name.to_owned(), format!("{name:?}")));
    }
    assert_eq!(StreamId::new("broom-1").expect("a name").family(), None);
    for name in ["duel", "-17", "duel-"] {
        assert_eq!(StreamId::new(name), Err(StreamIdError::Shape), "{name}");
    }
    assert_eq!(StreamId::new("duel 17-1"), Err(StreamIdError::Text(TextIdError::Character)));
    assert!(serde_json::from_value::<StreamId>(json!("duel")).is_err());
    let by_name = std::collections::BTreeSet::from([StreamId::new("duel-17").expect("a name")]);
    assert!(by_name.contains("duel-17"), "a stream is looked up by its text");
}

#[test]
fn an_embedded_document_is_kept_in_canonical_form() {
    let document = Json::of(&json!({"b": [1, null], "a": "ü\n"})).expect("JSON");
    assert_eq!(document.as_str(), "{\"a\":\"ü\\n\",\"b\":[1,null]}");
    assert_eq!(format!("{document:?}"), document.as_str());
    assert_eq!(Json::stored(document.as_str().into()), document);
    assert_eq!(serde_json::to_string(&document).expect("JSON"), document.as_str());
    assert!(serde_json::to_string(&Json::stored("not JSON".into())).is_err());
    assert!(matches!(Json::canonical("{"), Err(JsonError::Invalid(_))));
    assert!(serde_json::from_str::<Json>("{\"a\":1,\"a\":2}").is_err());
    assert!(Json::canonical(&"[".repeat(100_000)).is_err(), "deep nesting is refused, not followed");
}

#[test]
fn places_and_ids_are_shown_as_they_are_stored() {
    assert_eq!(format!("{} {}", Position(17), Revision::NO_STREAM), "17 0");
    let id = EventId::derived(&["duel-1", "void"]);
    assert_eq!(serde_json::to_value(id).expect("JSON"), json!(id.to_string()));
    assert_eq!(LogId(id.0).to_string(), id.to_string());
    assert_eq!(id.0.get_version_num(), 5);
    assert_eq!(serde_json::to_value(Digest::of(b"")).expect("JSON"), json!(Digest::of(b"").to_string()));
}
