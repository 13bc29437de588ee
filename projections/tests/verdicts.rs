//! The tables D1 to D11 and W0 to W11, one test a row, and what must hold whatever is said: order and repetition change
//! nothing, and taking evidence away never moves money.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics with the place")]

use proptest::prelude::*;
use wox_events::{
    Actor, Amount, ChainEvent, Digest, Duration, EventId, Position, Provenance, Recorded, Revision, StreamId,
    Timestamp, TxHash,
    chain::{
        self, Answer, Attempt, BlockId, Consumer, Fault, Fees, Head, Intent, Log, Membership, Receipt, ScanAnswer,
        SlotAnswer, SlotUse, Source, SourceKind, Standing, Transaction, TransactionAnswer,
    },
    deposit::Finality,
    id::Label,
    withdrawal::ReversalProof,
};
use wox_projections::{
    Replay, Waivers,
    verdict::{
        deposit::{self, Before, DepositVerdict},
        quorum::Policy,
        withdrawal::{self, Asked, Payment, WithdrawalVerdict},
    },
};

const AT: Timestamp = Timestamp(1_785_600_000_000_000);
const NODES: [&str; 3] = ["one", "two", "three"];
const FINAL: u64 = 700;
const SAFE: u64 = 900;
const LATEST: u64 = 1000;
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn hash(text: &str) -> TxHash {
    TxHash::new(format!("0x{}", Digest::of(text.as_bytes()))).unwrap()
}

fn address(text: &str) -> Label {
    Label::new(format!("0x{}", &Digest::of(text.as_bytes()).to_string()[..40])).unwrap()
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn policy() -> Policy {
    let mut sources: Vec<Source> = NODES
        .iter()
        .map(|name| Source { name: label(name), operator: label(&format!("of-{name}")), kind: SourceKind::Node })
        .collect();
    sources.push(Source { name: label("scan"), operator: label("etherscan"), kind: SourceKind::Explorer });
    Policy {
        chain: 8453,
        genesis: hash("block 0"),
        quorum: 2,
        sources,
        tokens: vec![address("token")],
        watched: vec![address("us")],
        wallets: vec![address("wallet")],
        minimum: Amount::galleons(1),
        finalized_age_max: Duration::seconds(3600),
        journaled: true,
    }
}

fn block(number: u64) -> BlockId {
    BlockId { number, hash: hash(&format!("block {number}")) }
}

fn head(number: u64) -> Answer<Head> {
    let BlockId { number, hash } = block(number);
    Answer::Found(Head { number, hash, time: Timestamp(AT.0 - (LATEST - number) as i64 * 2_000_000) })
}

fn standing(source: &str) -> Standing {
    Standing {
        source: label(source),
        chain: Answer::Found(8453),
        genesis: Answer::Found(hash("block 0")),
        latest: head(LATEST),
        safe: head(SAFE),
        finalized: head(FINAL),
        anchor: Answer::Found(block(FINAL)),
        digest: Digest::of(source.as_bytes()),
    }
}

fn log(ordinal: u32, token: &str, from: &str, to: &str, units: u128) -> Log {
    let topic = |name: &str| TxHash::new(format!("0x{:0>64}", &address(name).as_str()[2..])).unwrap();
    Log {
        ordinal,
        log_index: 12 + u64::from(ordinal),
        address: address(token),
        topics: vec![TxHash::new(TRANSFER).unwrap(), topic(from), topic(to)],
        data: format!("0x{units:064x}"),
        removed: false,
    }
}

fn transaction(name: &str, from: &str, nonce: u64, at: Option<u64>) -> Transaction {
    Transaction {
        tx: hash(name),
        kind: 2,
        from: address(from),
        nonce,
        to: Some(address("token")),
        value: label("0"),
        plain: false,
        fees: None,
        block: at.map(block),
    }
}

fn receipt(name: &str, at: u64, success: bool, logs: Vec<Log>) -> Receipt {
    let text = format!("{logs:?}");
    Receipt {
        tx: hash(name),
        block: block(at),
        success,
        log_count: logs.len() as u32,
        logs_digest: Digest::of(text.as_bytes()),
        logs,
    }
}

fn in_block(at: u64) -> Answer<Membership> {
    Answer::Found(Membership { block: block(at), contains: true })
}

fn nothing(source: &str) -> TransactionAnswer {
    TransactionAnswer {
        standing: standing(source),
        transaction: Answer::Null {},
        receipt: Answer::Null {},
        block: Answer::NotAsked {},
        earlier: Answer::NotAsked {},
        slot: Answer::NotAsked {},
    }
}

fn mined(source: &str, at: u64, success: bool, logs: Vec<Log>) -> TransactionAnswer {
    TransactionAnswer {
        transaction: Answer::Found(transaction("tx", "sender", 7, Some(at))),
        receipt: Answer::Found(receipt("tx", at, success, logs)),
        block: in_block(at),
        ..nothing(source)
    }
}

fn paid_in() -> Vec<Log> {
    vec![log(0, "token", "sender", "us", 50 * Amount::ONE_GALLEON)]
}

fn everybody<T>(say: impl Fn(&str) -> T) -> Vec<T> {
    NODES.iter().map(|name| say(name)).collect()
}

#[track_caller]
fn is_deposit(row: &str, answers: &[TransactionAnswer], before: &Before) -> DepositVerdict {
    let verdict = deposit::verdict(&policy(), AT, answers, before);
    assert_eq!(verdict.row(), row, "{verdict:?}");
    verdict
}

fn never() -> Before {
    Before::default()
}

fn seen(at: u64, credited: bool) -> Before {
    Before { seen: Some(block(at)), credited }
}

fn moved_away(source: &str, at: u64) -> TransactionAnswer {
    let now = BlockId { number: at, hash: hash("another block") };
    TransactionAnswer { earlier: Answer::Found(now), ..nothing(source) }
}

#[test]
fn d1_final_with_matching_logs_is_confirmed() {
    let logs = || {
        let mut logs = paid_in();
        logs.push(log(1, "token", "sender", "somebody", 1));
        logs.push(log(2, "foreign", "sender", "us", 1));
        logs.push(log(3, "token", "other", "us", 0));
        logs.push(log(4, "token", "other", "us", 3));
        logs.push(Log { removed: true, ..log(5, "token", "other", "us", 9) });
        let mut erc721 = log(6, "token", "other", "us", 9);
        erc721.topics.push(hash("item"));
        logs.push(erc721);
        logs.push(Log { data: format!("0x{}", "f".repeat(64)), ..log(7, "token", "other", "us", 9) });
        logs
    };
    let verdict = is_deposit("D1", &everybody(|name| mined(name, 650, true, logs())), &never());
    let DepositVerdict::Confirmed { transfers, .. } = verdict else { panic!() };
    let found: Vec<_> = transfers.iter().map(|transfer| (transfer.ordinal, transfer.value.base_units())).collect();
    assert_eq!(found, [(0, 50 * Amount::ONE_GALLEON), (4, 3)]);
}

#[test]
fn d1_needs_no_third_source_and_a_null_does_not_speak_against_it() {
    let two = || vec![mined("one", 650, true, paid_in()), mined("two", 650, true, paid_in())];
    is_deposit("D1", &two(), &never());
    let mut with_null = two();
    with_null.push(nothing("three"));
    is_deposit("D1", &with_null, &never());
}

#[test]
fn d2_in_a_block_that_is_not_final_is_pending() {
    for (at, finality) in [(800, Finality::Safe), (950, Finality::Unsafe)] {
        let verdict = is_deposit("D2", &everybody(|name| mined(name, at, true, paid_in())), &never());
        assert!(matches!(verdict, DepositVerdict::Pending { finality: found, .. } if found == finality), "{verdict:?}");
    }
}

#[test]
fn d3_a_receipt_without_a_block_of_the_chain_is_pending() {
    let elsewhere = Answer::Found(Membership { block: BlockId { number: 650, hash: hash("x") }, contains: true });
    let missing = Answer::Found(Membership { block: block(650), contains: false });
    for member in [elsewhere, missing, Answer::Null {}] {
        let say = |name: &str| TransactionAnswer { block: member.clone(), ..mined(name, 650, true, paid_in()) };
        is_deposit("D3", &everybody(say), &never());
    }
    is_deposit("D3", &everybody(|name| mined(name, LATEST + 1, true, paid_in())), &never());
}

#[test]
fn d4_final_and_failed_is_reverted() {
    is_deposit("D4", &everybody(|name| mined(name, 650, false, Vec::new())), &never());
}

#[test]
fn d5_final_without_a_transfer_to_us_is_no_deposit() {
    for logs in [vec![], vec![log(0, "foreign", "sender", "us", 5)], vec![log(0, "token", "sender", "other", 5)]] {
        is_deposit("D5", &everybody(|name| mined(name, 650, true, logs.clone())), &never());
    }
}

fn in_pool(source: &str) -> TransactionAnswer {
    TransactionAnswer { transaction: Answer::Found(transaction("tx", "sender", 7, None)), ..nothing(source) }
}

#[test]
fn d6_in_a_pool_is_pending() {
    is_deposit("D6", &[in_pool("one"), nothing("two"), nothing("three")], &never());
}

fn winner(at: u64, finalized: u64) -> Answer<SlotUse> {
    Answer::Found(SlotUse {
        latest: 8,
        pending: 8,
        finalized,
        consumer: Answer::Found(Consumer::Transaction {
            transaction: transaction("winner", "sender", 7, Some(at)),
            receipt: Answer::Found(receipt("winner", at, true, Vec::new())),
            block: in_block(at),
        }),
    })
}

#[test]
fn d7_a_slot_taken_by_another_final_transaction_is_replaced() {
    let say = |name: &str| TransactionAnswer { slot: winner(650, 8), ..nothing(name) };
    let verdict = is_deposit("D7", &everybody(say), &never());
    assert_eq!(verdict, DepositVerdict::Replaced { by: hash("winner") });
    let young = |name: &str| TransactionAnswer { slot: winner(950, 7), ..nothing(name) };
    is_deposit("D8", &everybody(young), &never());
}

#[test]
fn d8_unknown_to_all_is_dropped_and_may_come_back() {
    is_deposit("D8", &everybody(nothing), &never());
}

#[test]
fn d9_seen_before_in_a_block_that_is_gone_is_reorged() {
    is_deposit("D9", &everybody(|name| moved_away(name, 650)), &seen(650, false));
    let pooled = |name: &str| TransactionAnswer {
        transaction: Answer::Found(transaction("tx", "sender", 7, None)),
        ..moved_away(name, 650)
    };
    is_deposit("D9", &everybody(pooled), &seen(650, false));
}

#[test]
fn d10_credited_from_a_block_that_is_gone_is_a_finality_violation() {
    is_deposit("D10", &everybody(|name| moved_away(name, 650)), &seen(650, true));
    let elsewhere = |name: &str| TransactionAnswer {
        earlier: Answer::Found(BlockId { number: 650, hash: hash("another block") }),
        ..mined(name, 651, true, paid_in())
    };
    is_deposit("D10", &everybody(elsewhere), &seen(650, true));
}

#[test]
fn d11_whatever_is_not_proven_is_unknown() {
    let good = |name: &str| mined(name, 650, true, paid_in());
    let stands = |change: &dyn Fn(&mut Standing)| {
        let mut answers = vec![good("one"), good("two")];
        change(&mut answers[1].standing);
        answers
    };
    let cases: Vec<(&str, Vec<TransactionAnswer>)> = vec![
        ("nobody", vec![]),
        ("one alone", vec![good("one")]),
        ("one twice", vec![good("one"), good("one")]),
        ("an explorer for the second", vec![good("one"), good("scan")]),
        ("a stranger", vec![good("one"), good("mallory")]),
        ("another outcome", vec![good("one"), good("two"), mined("three", 650, false, vec![])]),
        ("another block", vec![good("one"), good("two"), mined("three", 651, true, paid_in())]),
        ("too few have it", vec![good("one"), nothing("two"), nothing("three")]),
        ("another chain", stands(&|two| two.chain = Answer::Found(1))),
        ("another genesis", stands(&|two| two.genesis = Answer::Found(hash("x")))),
        ("no chain", stands(&|two| two.chain = Answer::Timeout {})),
        (
            "lagging",
            stands(&|two| {
                two.finalized = Answer::Found(Head { number: FINAL, hash: block(FINAL).hash, time: Timestamp(0) });
            }),
        ),
        ("other final block", stands(&|two| two.anchor = Answer::Found(BlockId { number: FINAL, hash: hash("x") }))),
        (
            "error",
            vec![good("one"), TransactionAnswer { receipt: Answer::Error { class: Fault::NotJson }, ..good("two") }],
        ),
        (
            "unknown type",
            everybody(|name| {
                let mut answer = good(name);
                if let Answer::Found(transaction) = &mut answer.transaction {
                    transaction.kind = 5;
                }
                answer
            }),
        ),
    ];
    for (name, answers) in cases {
        let verdict = deposit::verdict(&policy(), AT, &answers, &never());
        assert_eq!(verdict.row(), "D11", "{name}: {verdict:?}");
    }
}

#[test]
fn who_votes_does_not_depend_on_the_order_of_the_answers() {
    // Two nodes of one operator have one vote, and always the same one; who says two things says nothing.
    let mut rules = policy();
    rules.sources[1].operator = rules.sources[0].operator.clone();
    let row = |answers: &[TransactionAnswer]| deposit::verdict(&rules, AT, answers, &never()).row();
    let (good, bad) = (|name| mined(name, 650, true, paid_in()), |name| mined(name, 650, false, vec![]));
    let mut shared = vec![good("one"), bad("two"), good("three")];
    let first = row(&shared);
    shared.reverse();
    assert_eq!(row(&shared), first);
    assert_eq!(row(&[good("one"), good("two")]), "D11", "one operator, one vote");

    let mut other = bad("one");
    other.standing.digest = Digest::of(b"another answer");
    for answers in [vec![good("one"), other.clone(), good("three")], vec![other, good("one"), good("three")]] {
        is_deposit("D11", &answers, &never());
    }
}

// --- withdrawals ----------------------------------------------------------------------------------------------------

fn payment() -> Payment {
    Payment {
        wallet: address("wallet"),
        nonce: 7,
        destination: address("player"),
        amount: Amount::galleons(48),
        attempts: vec![hash("pay"), hash("bumped")],
        cancels: vec![hash("cancel")],
        offers: Vec::new(),
        asked: Vec::new(),
    }
}

/// The payment, with something that the signer was asked for.
fn asked_for(intent: Intent) -> Payment {
    let asked = Asked { intent, tx: Some(hash("bumped")), evidence: None, by: label("alice"), at: AT };
    Payment { asked: vec![asked], ..payment() }
}

fn slot(source: &str, latest: u64, finalized: u64, consumer: Answer<Consumer>) -> SlotAnswer {
    let attempts =
        [hash("pay"), hash("bumped"), hash("cancel")].map(|tx| Attempt { tx, transaction: Answer::Null {} }).to_vec();
    let slot = Answer::Found(SlotUse { latest, pending: latest, finalized, consumer });
    SlotAnswer { standing: standing(source), slot, attempts }
}

fn taken_by(name: &str, success: bool, logs: Vec<Log>) -> Answer<Consumer> {
    let mut transaction = transaction(name, "wallet", 7, Some(650));
    if name.starts_with("cancel") {
        transaction.to = Some(address("wallet"));
        transaction.plain = true;
    }
    Answer::Found(Consumer::Transaction {
        transaction,
        receipt: Answer::Found(receipt(name, 650, success, logs)),
        block: in_block(650),
    })
}

fn paid_out() -> Vec<Log> {
    vec![log(0, "token", "wallet", "player", 48 * Amount::ONE_GALLEON)]
}

#[track_caller]
fn is_payment(row: &str, answers: &[SlotAnswer], payment: &Payment) -> WithdrawalVerdict {
    let verdict = withdrawal::verdict(&policy(), AT, answers, payment);
    assert_eq!(verdict.row(), row, "{verdict:?}");
    assert_eq!(verdict.proof().is_some(), ["W0", "W2", "W4"].contains(&row), "{verdict:?}");
    verdict
}

/// One scan from slot 7 on: what took it, where the source says so.
fn scan(source: &str, (finalized, latest): (u64, u64), slots: Vec<Answer<Consumer>>) -> ScanAnswer {
    let found = Answer::Found;
    let (finalized, latest, pending) = (found(finalized), found(latest), found(latest));
    ScanAnswer { standing: standing(source), finalized, latest, pending, slots }
}

#[test]
fn s5_a_source_that_does_not_know_of_what_another_calls_final_hides_nothing() {
    let sent = || vec![taken_by("foreign", true, vec![log(0, "token", "wallet", "stranger", 3)])];
    let segment = |answers: &[ScanAnswer]| withdrawal::segment(&policy(), AT, 7, answers).unwrap();
    let all = segment(&everybody(|node| scan(node, (8, 8), sent())));
    assert!(all.shows_all && all.slots == 1 && all.finalized == 8, "{all:?}");
    let quorum_without = [scan("one", (8, 8), sent()), scan("two", (7, 7), vec![]), scan("three", (7, 7), vec![])];
    let hidden = segment(&quorum_without);
    assert!(!hidden.shows_all && hidden.behind == [label("two"), label("three")], "{hidden:?}");
    // Who stands a block behind and knows of it contradicts nobody.
    let late = segment(&[scan("one", (8, 8), sent()), scan("two", (7, 8), sent()), scan("three", (8, 8), sent())]);
    assert!(late.behind.is_empty() && late.shows_all, "{late:?}");
}

#[test]
fn w0_nothing_signed_is_a_proof_only_where_the_signer_journals() {
    assert_eq!(withdrawal::unsigned(true, false).row(), "W0");
    assert_eq!(withdrawal::unsigned(true, true).row(), "W11");
    assert_eq!(withdrawal::unsigned(false, false).row(), "W11");
}

#[test]
fn w1_final_with_the_expected_transfer_is_executed() {
    for name in ["pay", "bumped"] {
        is_payment("W1", &everybody(|node| slot(node, 8, 8, taken_by(name, true, paid_out()))), &payment());
    }
}

#[test]
fn w1_a_bump_that_was_asked_for_and_never_journaled_is_the_same_payment() {
    let answers =
        |success, logs: fn() -> Vec<Log>| everybody(|node| slot(node, 8, 8, taken_by("more", success, logs())));
    is_payment("W5", &answers(true, paid_out), &payment());
    is_payment("W1", &answers(true, paid_out), &asked_for(Intent::Bump));
    is_payment("W5", &answers(true, paid_out), &asked_for(Intent::Rebroadcast));
    // What pays another sum, or fails, is not what was asked for.
    is_payment("W5", &answers(true, Vec::new), &asked_for(Intent::Bump));
    is_payment("W5", &answers(false, Vec::new), &asked_for(Intent::Bump));
}

#[test]
fn what_outbids_a_slot_is_a_tenth_above_every_attempt_or_nobody_knows_it() {
    let fees = |max, priority| Fees { max, priority };
    let mut slot = payment();
    assert_eq!(slot.to_outbid(&[]), None, "nobody says what the attempts offer");
    slot.offers = vec![(hash("pay"), fees(101, 10)), (hash("bumped"), fees(100, 20))];
    assert_eq!(slot.to_outbid(&[]), None, "nobody says what the cancel offers");
    slot.cancels.clear();
    assert_eq!(slot.to_outbid(&[]), Some(fees(112, 22)), "rounded up");
    slot.offers.push((hash("pay"), fees(Fees::STATED_MAX, 1)));
    slot.offers.remove(0);
    assert_eq!(slot.to_outbid(&[]), None, "beyond what an event states");
}

#[test]
fn a_signer_is_asked_only_for_what_can_help() {
    let free = |transaction: Option<Transaction>, latest| {
        let found = transaction.map_or(Answer::Null {}, Answer::Found);
        let attempts = vec![Attempt { tx: hash("pay"), transaction: found }];
        let said =
            everybody(|node| SlotAnswer { attempts: attempts.clone(), ..slot(node, latest, 5, Answer::NotAsked {}) });
        let only = Payment { attempts: vec![hash("pay")], cancels: Vec::new(), ..payment() };
        let verdict = withdrawal::verdict(&policy(), AT, &said, &only);
        let may = [Intent::Rebroadcast, Intent::Bump, Intent::Fence].map(|intent| verdict.permits(intent));
        (verdict.row(), may)
    };
    assert_eq!(free(None, 7), ("W9", [true, true, true]));
    assert_eq!(free(Some(transaction("pay", "wallet", 7, None)), 7), ("W8", [false, true, true]));
    assert_eq!(free(None, 6), ("W10", [false, false, true]));
    assert_eq!(free(None, 8), ("W7", [false, false, false]));
}

#[test]
fn w2_final_and_failed_is_reverted() {
    is_payment("W2", &everybody(|node| slot(node, 8, 8, taken_by("pay", false, vec![]))), &payment());
}

#[test]
fn w3_final_without_the_expected_transfer_is_an_anomaly() {
    let (less, elsewhere) = (log(0, "token", "wallet", "player", 1), log(0, "token", "wallet", "other", 48));
    // What it paid the same address is not given back too.
    for (logs, decidable) in [(vec![], true), (vec![less], false), (vec![elsewhere], true)] {
        let verdict =
            is_payment("W3", &everybody(|node| slot(node, 8, 8, taken_by("pay", true, logs.clone()))), &payment());
        assert_eq!(verdict.is_for_two_people(), decidable, "{}", verdict.says());
    }
}

#[test]
fn two_people_are_two_in_any_letter_case() {
    let digest = Digest::of(b"evidence");
    for (second, are_two) in [("bob", true), ("alice", false), ("Alice", false)] {
        assert_eq!(ReversalProof::by_two(&label("alice"), &label(second), digest).is_some(), are_two, "{second}");
    }
}

#[test]
fn w4_our_own_cancel_is_final() {
    is_payment("W4", &everybody(|node| slot(node, 8, 8, taken_by("cancel", true, vec![]))), &payment());
    let fenced = asked_for(Intent::Fence);
    is_payment("W4", &everybody(|node| slot(node, 8, 8, taken_by("cancel-elsewhere", true, vec![]))), &fenced);
    is_payment("W5", &everybody(|node| slot(node, 8, 8, taken_by("cancel-elsewhere", true, vec![]))), &payment());
}

#[test]
fn w5_a_foreign_consumer_stops_the_wallet_and_is_not_released_when_it_paid() {
    for (logs, decidable) in [(vec![], true), (paid_out(), false)] {
        let verdict =
            is_payment("W5", &everybody(|node| slot(node, 8, 8, taken_by("foreign", true, logs.clone()))), &payment());
        assert_eq!(verdict.is_for_two_people(), decidable);
    }
}

#[test]
fn w6_a_slot_used_up_by_nothing_signed_is_for_two_people() {
    let unsigned = || Answer::Found(Consumer::Unsigned { block: block(650) });
    is_payment("W6", &everybody(|node| slot(node, 8, 8, unsigned())), &payment());
}

#[test]
fn w7_used_up_but_not_final_waits() {
    is_payment("W7", &everybody(|node| slot(node, 8, 7, Answer::NotAsked {})), &payment());
}

#[test]
fn w8_an_attempt_in_a_pool_waits() {
    let mut answers = everybody(|node| slot(node, 7, 7, Answer::NotAsked {}));
    answers[1].attempts[1].transaction = Answer::Found(transaction("bumped", "wallet", 7, None));
    is_payment("W8", &answers, &payment());
}

#[test]
fn w9_dropped_everywhere_is_still_valid() {
    is_payment("W9", &everybody(|node| slot(node, 7, 7, Answer::NotAsked {})), &payment());
}

#[test]
fn w10_a_gap_below_comes_before_pools() {
    let mut answers = everybody(|node| slot(node, 5, 5, Answer::NotAsked {}));
    answers[0].attempts[0].transaction = Answer::Found(transaction("pay", "wallet", 7, None));
    assert_eq!(is_payment("W10", &answers, &payment()), WithdrawalVerdict::NonceGap { next: 5 });
}

#[test]
fn w11_whatever_is_not_proven_is_unknown() {
    let executed = |node: &str| slot(node, 8, 8, taken_by("pay", true, paid_out()));
    let failed = |node: &str| slot(node, 8, 8, taken_by("pay", false, vec![]));
    let free = |node: &str| slot(node, 7, 7, Answer::NotAsked {});
    let mut silent = everybody(free);
    silent[2].attempts[0].transaction = Answer::Timeout {};
    let cases = [
        ("nobody", vec![]),
        ("one alone", vec![failed("one")]),
        ("one operator twice", vec![failed("one"), failed("one")]),
        ("disagreement", vec![executed("one"), failed("two"), failed("three")]),
        ("no consumer shown", everybody(|node| slot(node, 8, 8, Answer::Null {}))),
        ("one shows it only", vec![failed("one"), slot("two", 8, 8, Answer::Timeout {})]),
        ("taken for one only", vec![free("one"), free("two"), slot("three", 8, 7, Answer::NotAsked {})]),
        ("a pool that does not answer", silent),
    ];
    for (name, answers) in cases {
        let verdict = withdrawal::verdict(&policy(), AT, &answers, &payment());
        assert_eq!(verdict.row(), "W11", "{name}: {verdict:?}");
        assert_eq!(verdict.proof(), None);
    }
}

// --- whatever is said -----------------------------------------------------------------------------------------------

fn any_slot() -> impl Strategy<Value = SlotAnswer> {
    let consumer = prop_oneof![
        Just(taken_by("pay", true, paid_out())),
        Just(taken_by("pay", false, vec![])),
        Just(taken_by("pay", true, vec![])),
        Just(taken_by("cancel", true, vec![])),
        Just(taken_by("foreign", true, vec![])),
        Just(Answer::Found(Consumer::Unsigned { block: block(650) })),
        Just(Answer::Null {}),
        Just(Answer::Timeout {}),
        Just(Answer::Error { class: Fault::Refused }),
    ];
    let node = prop_oneof![Just("one"), Just("two"), Just("three"), Just("scan"), Just("mallory")];
    (node, 5u64..9, 5u64..9, consumer, any::<bool>()).prop_map(|(node, latest, finalized, consumer, lags)| {
        let mut answer = slot(node, latest.max(finalized), finalized.min(latest), consumer);
        if lags {
            answer.standing.finalized = Answer::Null {};
        }
        answer
    })
}

fn any_transaction() -> impl Strategy<Value = TransactionAnswer> {
    let node = prop_oneof![Just("one"), Just("two"), Just("three"), Just("scan"), Just("mallory")];
    (node, 0u8..8).prop_map(|(node, what)| match what {
        0..=2 => mined(node, 650, true, paid_in()),
        3 => mined(node, 800, true, paid_in()),
        4 => mined(node, 650, false, vec![]),
        5 => nothing(node),
        6 => TransactionAnswer { receipt: Answer::Timeout {}, ..nothing(node) },
        _ => in_pool(node),
    })
}

/// One answer a source: what a collector records.
fn distinct<T>(answers: Vec<T>, name: impl Fn(&T) -> Label) -> Vec<T> {
    let mut known = std::collections::BTreeSet::new();
    answers.into_iter().filter(|answer| known.insert(name(answer))).collect()
}

proptest! {
    #[test]
    fn order_and_repetition_change_no_verdict(
        slots in prop::collection::vec(any_slot(), 0..6),
        looks in prop::collection::vec(any_transaction(), 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let slots = distinct(slots, |answer| answer.standing.source.clone());
        let looks = distinct(looks, |answer| answer.standing.source.clone());
        let payment_row = |answers: &[SlotAnswer]| withdrawal::verdict(&policy(), AT, answers, &payment()).row();
        let deposit_row = |answers: &[TransactionAnswer]| deposit::verdict(&policy(), AT, answers, &never()).row();
        let mut turned = slots.clone();
        turned.reverse();
        if !turned.is_empty() {
            turned.push(turned[at.index(turned.len())].clone());
        }
        prop_assert_eq!(payment_row(&slots), payment_row(&turned));
        let mut turned = looks.clone();
        turned.reverse();
        if !turned.is_empty() {
            turned.push(turned[at.index(turned.len())].clone());
        }
        prop_assert_eq!(deposit_row(&looks), deposit_row(&turned));
    }

    #[test]
    fn too_little_evidence_stays_too_little_when_less_is_heard(
        slots in prop::collection::vec(any_slot(), 0..6),
        looks in prop::collection::vec(any_transaction(), 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let slots = distinct(slots, |answer| answer.standing.source.clone());
        let looks = distinct(looks, |answer| answer.standing.source.clone());
        let whole = withdrawal::verdict(&policy(), AT, &slots, &payment());
        // A quorum is a minimum: what fewer than two voters say never moves money, whoever else is heard.
        if slots.len() < 2 {
            prop_assert_eq!(whole.row(), "W11");
        }
        if let Some(index) = (!slots.is_empty()).then(|| at.index(slots.len())) {
            let mut fewer = slots.clone();
            fewer.remove(index);
            let rest = withdrawal::verdict(&policy(), AT, &fewer, &payment());
            // Too little evidence stays too little: a missing quorum is never mended by hearing less.
            if matches!(&whole, WithdrawalVerdict::Unknown { why } if why.contains("sources needed vote")) {
                prop_assert!(rest.proof().is_none(), "{:?} became {:?}", whole, rest);
            }
        }
        if looks.len() < 2 {
            prop_assert_eq!(deposit::verdict(&policy(), AT, &looks, &never()).row(), "D11");
        }
    }

    #[test]
    fn a_closed_look_gives_every_verdict_that_its_answers_give(
        slots in prop::collection::vec(any_slot(), 0..5),
        looks in prop::collection::vec(any_look(), 0..5),
        before in any_before(),
        asked in prop_oneof![Just(payment()), Just(asked_for(Intent::Bump)), Just(asked_for(Intent::Fence))],
    ) {
        let rules = policy();
        let whole = deposit::verdict(&rules, AT, &looks, &before);
        let closed = deposit::Closed::of(&rules, AT, &looks);
        match &closed {
            Some(closed) => {
                prop_assert_eq!(closed.verdict(&before), whole);
                prop_assert_eq!(closed.moved(), deposit::final_transfers(&rules, AT, &looks));
                prop_assert_eq!(closed.witness(), deposit::witness(&looks, &block(650)).filter(|_| !looks.is_empty()));
            }
            // Only what cannot change any more is closed, and only where sources do not contradict each other.
            None => prop_assert!(!["D4", "D5"].contains(&whole.row()) || looks.iter().any(|said| said.earlier.found().is_some())),
        }
        let whole = withdrawal::verdict(&rules, AT, &slots, &asked);
        match withdrawal::Taken::of(&rules, AT, (&address("wallet"), 7), &slots) {
            Some(taken) => prop_assert_eq!(taken.verdict(&rules, &asked), whole),
            None => prop_assert!(!["W1", "W2", "W3", "W4", "W5", "W6"].contains(&whole.row()), "{:?}", whole),
        }
    }

    #[test]
    fn the_fold_of_many_looks_judges_as_if_it_had_kept_every_answer(
        told in prop::collection::vec((0u64..3, prop::collection::vec(any_look(), 0..4), prop::collection::vec(any_slot(), 0..4)), 1..8),
        before in any_before(),
    ) {
        let mut story = Told::default();
        let rules = policy();
        let mut newest = std::collections::BTreeMap::new();
        story.tell(chain::stream(8453), declared(&rules));
        for (which, looks, slots) in told {
            let tx = hash(&format!("tx {which}"));
            let seen = ChainEvent::TransactionLooked { chain: 8453, tx: tx.clone(), at: AT, answers: looks.clone() };
            story.tell(chain::transaction_stream(8453, &tx).unwrap(), seen);
            let nonce = 7;
            let wallet = address(&format!("wallet {which}"));
            let seen = ChainEvent::SlotLooked { chain: 8453, wallet: wallet.clone(), nonce, at: AT, answers: slots.clone() };
            story.tell(chain::slot_stream(8453, &wallet, nonce).unwrap(), seen);
            newest.insert(which, (tx, wallet, looks, slots));
        }
        let folded = &story.replay.state.chain;
        for (tx, wallet, looks, slots) in newest.values() {
            let look = folded.transaction(8453, tx).unwrap();
            prop_assert_eq!(folded.deposit_verdict(look, &before), deposit::verdict(&rules, AT, looks, &before));
            let asked = Payment { wallet: wallet.clone(), ..payment() };
            let (verdict, slot) = folded.payment_verdict(&asked).unwrap();
            prop_assert_eq!(&verdict, &withdrawal::verdict(&rules, AT, slots, &asked));
            // What cannot change any more holds no answers in memory.
            prop_assert!(look.answers.is_empty() || !["D4", "D5"].contains(&folded.deposit_verdict(look, &never()).row())
                || looks.iter().any(|said| said.earlier.found().is_some()));
            prop_assert!(slot.answers.is_empty() || !["W1", "W2", "W3", "W4", "W5", "W6"].contains(&verdict.row()));
        }
        // Under other rules nothing is said of what is not kept: somebody has to look again.
        story.tell(chain::stream(8453), declared(&Policy { quorum: 3, ..policy() }));
        let folded = &story.replay.state.chain;
        for (tx, ..) in newest.values() {
            let look = folded.transaction(8453, tx).unwrap();
            prop_assert!(!look.answers.is_empty() || look.closed.is_none() || folded.deposit_verdict(look, &never()).row() == "D11");
        }
    }
}

/// A history of what was seen, folded as it is told.
struct Told {
    replay: Replay,
    revisions: std::collections::BTreeMap<StreamId, u64>,
}

impl Default for Told {
    fn default() -> Told {
        Told { replay: Replay::new(Waivers::new()), revisions: std::collections::BTreeMap::new() }
    }
}

impl Told {
    fn tell(&mut self, stream: StreamId, event: ChainEvent) {
        let revision = self.revisions.entry(stream.clone()).or_default();
        *revision += 1;
        let place = format!("{stream}#{revision}");
        let recorded = Recorded {
            position: Position(self.replay.position.0 + 1),
            id: EventId::derived(&[&place]),
            revision: Revision(*revision),
            time: AT,
            actor: Actor::new("alice").unwrap(),
            causation: None,
            provenance: Provenance::Observed,
            event: Ok(event.into()),
            stream,
        };
        self.replay.observe(&recorded).unwrap();
        assert!(self.replay.held().is_empty(), "{:?}", self.replay.held());
    }
}

fn declared(rules: &Policy) -> ChainEvent {
    let rules = rules.clone();
    ChainEvent::ChainPolicyDeclared {
        chain: rules.chain,
        genesis: rules.genesis,
        quorum: rules.quorum,
        sources: rules.sources,
        tokens: rules.tokens,
        watched: rules.watched,
        wallets: rules.wallets,
        minimum: rules.minimum,
        finalized_age_max: rules.finalized_age_max,
        journaled: rules.journaled,
    }
}

/// A look that may follow an earlier one: sources also say what stands at the height it was seen at before.
fn any_look() -> impl Strategy<Value = TransactionAnswer> {
    let earlier = prop_oneof![
        3 => Just(None),
        2 => Just(Some(block(640))),
        1 => Just(Some(BlockId { number: 640, hash: hash("another block") })),
        1 => Just(Some(BlockId { number: 641, hash: hash("another block") })),
    ];
    let replaced = prop_oneof![4 => Just(None), 1 => Just(Some(winner(650, 8)))];
    (any_transaction(), earlier, replaced).prop_map(|(mut said, earlier, replaced)| {
        said.earlier = earlier.map_or(Answer::NotAsked {}, Answer::Found);
        if let (Some(winner), true) = (replaced, said.transaction.is_null()) {
            said.slot = winner;
        }
        said
    })
}

fn any_before() -> impl Strategy<Value = Before> {
    let seen = prop_oneof![
        Just(None),
        Just(Some(block(640))),
        Just(Some(block(641))),
        Just(Some(block(650))),
        Just(Some(BlockId { number: 640, hash: hash("another block") })),
    ];
    (seen, any::<bool>()).prop_map(|(seen, credited)| Before { seen, credited })
}
