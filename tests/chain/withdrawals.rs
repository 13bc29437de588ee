//! W0 to W11, for payments and burns: what became of a slot, and what follows.

use wox_events::{Amount, BurnEvent, WithdrawalEvent, WithdrawalId, chain::Intent, withdrawal::ReversalProof};
use wox_recovery::{
    log::EventLog as _,
    recovery::{ApplyError, Scope, Targets},
};

use super::{
    Table,
    anvil::{self, Anvil, HOT, PLAYER, STRANGER, Signed, TREASURY, call, cents, pay, sign, token, wallet},
    desk::{asked, cancel, journaled, payment},
    game::{g, label, stream, who},
    kinds, on_chain, rt,
};

const W: &str = "withdrawal-7";
const RELEASED: [&str; 3] = ["BurnCancelled", "TxReverted", "HoldReleased"];

/// The payment of a slot, journaled before anybody can send it.
async fn signed(table: &Table, nonce: u64, payment: &Signed) {
    table.game.tell(W, journaled(nonce, payment, None)).await;
}

/// A token that fails, keeps quiet, or works.
async fn set(anvil: &Anvil, nonce: u64, paused: bool, silent: bool) {
    let words = [u64::from(paused), u64::from(silent), 0].map(alloy::primitives::U256::from);
    anvil.send(&sign(TREASURY, nonce, Some(token().as_str()), call("set(bool,bool,uint256)", &words), 10)).await;
    anvil.mine(1).await;
}

async fn plan(table: &Table) -> wox_recovery::recovery::Plan {
    table.game.plan_for(&Scope::Subject(stream(W))).await
}

/// Nothing may be compensated, and a second look changes nothing.
async fn waits(table: &Table, row: &str) {
    let seen = table.look_into(W).await;
    assert_eq!(seen.row, row, "{}", seen.says);
    let plan = plan(table).await;
    assert!(!plan.changes, "{plan:#?}");
    assert!(plan.held.iter().any(|hold| hold.finding.outcome_unknown), "{plan:#?}");
    assert!(!table.look_into(W).await.recorded);
    assert_eq!(table.held().await, g(0));
}

/// The hold went back, with both shares of the fee, once.
async fn goes_back(table: &Table, expected: &[&str]) {
    let plan = plan(table).await;
    assert_eq!(kinds(&plan), expected);
    assert!(plan.needs_approval);
    table.game.carry_out(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.held().await, g(100));
    let state = table.game.look().await.replay.state;
    assert_eq!(state.conservation.drift.0, 0);
    assert!(table.game.count_of(&plan).await.iter().all(|count| *count == 1));
}

/// Alice asks Ann's signer for something, Bob approves; asked again, there is nothing new to ask.
async fn asks(table: &Table, intent: Intent, kind: &str) {
    let scope = Scope::Ask { subject: stream(W), intent, by: label("alice"), why: "stuck since 18:10".into() };
    let plan = table.game.plan_for(&scope).await;
    assert_eq!(kinds(&plan), [kind], "{plan:#?}");
    assert!(plan.needs_approval);
    table.game.propose(&plan).await;
    assert!(table.game.apply(&plan).await.is_err(), "nobody approved it");
    table.game.approve(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.game.verify(&plan).await.unrepaired, []);
    let again = table.game.plan_for(&scope).await;
    assert!(!again.changes && again.held[0].why.contains("alice asked for it"), "{again:#?}");
    assert!(table.game.count_of(&plan).await.iter().all(|count| *count == 1));
}

/// Nothing is asked of a signer, and why.
async fn asks_nothing(table: &Table, intent: Intent, why: &str) {
    let scope = Scope::Ask { subject: stream(W), intent, by: label("alice"), why: "x".into() };
    let plan = table.game.plan_for(&scope).await;
    assert!(!plan.changes && plan.held[0].why.contains(why), "{plan:#?}");
}

/// Beside a chain: Ann has asked for 100 G.
fn asked_for(test: impl AsyncFnOnce(&Anvil, &mut Table)) {
    on_chain(async |anvil, table| {
        asked(&table.game).await;
        test(anvil, table).await;
    });
}

#[test]
fn w0_a_journal_without_an_attempt_proves_that_nothing_was_sent() {
    asked_for(async |_, table| {
        assert!(!plan(table).await.changes, "its signer may be about to sign");
        table.game.wait(900);
        table.game.tick().await;
        goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
        // The signer comes too late: its attempt is refused, not paid.
        signed(table, 0, &payment(0)).await;
        assert!(table.game.look().await.replay.held().contains_key(&stream(W)));
    });
}

#[test]
fn w0_without_a_journal_in_this_log_proves_nothing() {
    asked_for(async |_, table| {
        table.policy.journaled = false;
        let evidence = table.game.look().await;
        let (log, by) = (&table.game.log, super::actor("alice"));
        wox_recovery::recovery::observe::declare(log, &evidence.replay, &table.policy, true, &by, super::NOW)
            .await
            .unwrap();
        table.game.wait(900);
        table.game.tick().await;
        let plan = plan(table).await;
        assert!(!plan.changes && plan.held[0].finding.outcome_unknown);
    });
}

#[test]
fn w1_a_final_payment_settles_it() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let plan = plan(table).await;
        assert_eq!(kinds(&plan), ["TxMined", "WithdrawalSettled"]);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, g(0));
        let state = table.game.look().await.replay.state;
        assert_eq!((state.withdrawals.settled(), state.conservation.drift.0), (g(96), 0));
    });
}

#[test]
fn w1_is_settled_only_while_the_newest_look_says_so() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let plan = plan(table).await;
        table.game.propose(&plan).await;
        table.game.approve(&plan).await;
        anvil.reorg(11).await;
        anvil.mine(12).await;
        assert_eq!(table.look_into(W).await.row, "W9");
        let refused = table.game.apply(&plan).await.unwrap_err().to_string();
        assert!(refused.contains("W9") && refused.contains("paid by that transaction"), "{refused}");
    });
}

#[test]
fn w2_is_not_given_back_after_a_final_block_went_away() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W2");
        let plan = plan(table).await;
        table.game.propose(&plan).await;
        table.game.approve(&plan).await;
        let alarm = wox_events::ChainEvent::FinalityViolation {
            deposit: stream("deposit-8453:0xaa:0"),
            block: 1,
            was: super::game::hash(1),
            evidence: super::game::id_of(W, 1),
        };
        table.game.tell("chain-8453", alarm).await;
        let refused = table.game.apply(&plan).await.unwrap_err().to_string();
        assert!(refused.contains("stopped by the finality violation"), "{refused}");
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn w1_after_a_release_is_a_double_payment_and_an_alarm() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W2");
        goes_back(table, &RELEASED).await;
        // Below finality, with the token working again: the same bytes pay after all.
        anvil.reorg(11).await;
        set(anvil, 3, false, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let found = table.game.plan_for(&Scope::Subject(stream(W))).await;
        assert_eq!(kinds(&found), ["DoublePayment"]);
        assert!(found.held.iter().any(|hold| hold.finding.says.contains("paid all the same")));
        table.game.carry_out(&found).await;
        assert!(!plan(table).await.changes, "the alarm is recorded once");
    });
}

#[test]
fn w2_a_final_failure_goes_back_with_both_shares() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.mine(2).await;
        waits(table, "W7").await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W2");
        goes_back(table, &RELEASED).await;
    });
}

#[test]
fn w3_our_transaction_without_its_transfer_is_for_two_people() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, false, true).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        waits(table, "W3").await;
        two_people_decide(table).await;
    });
}

/// Alice proposes, and only Bob, who is named, can approve.
async fn two_people_decide(table: &Table) {
    let scope =
        Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "ticket-91".into() };
    let plan = table.game.plan_for(&scope).await;
    assert_eq!(kinds(&plan), ["BurnCancelled", "HoldReleased"], "{plan:#?}");
    table.game.propose(&plan).await;
    let carol =
        wox_recovery::recovery::approve(&table.game.log, plan.id, &super::actor("carol"), "fine", super::NOW).await;
    assert!(carol.unwrap_err().to_string().contains("by bob"));
    assert!(table.game.apply(&plan).await.is_err());
    table.game.approve(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.held().await, g(100));
}

#[test]
fn w4_a_cancel_that_won_the_slot_gives_it_back() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        asks(table, Intent::Fence, "FenceRequested").await;
        anvil.send(&cancel(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W4");
        goes_back(table, &["BurnCancelled", "WithdrawalFenced", "TxMined", "HoldReleased"]).await;
    });
}

#[test]
fn w1_the_payment_that_outran_its_fence_is_paid() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        asks(table, Intent::Fence, "FenceRequested").await;
        anvil.mine(1).await;
        assert!(
            anvil
                .try_rpc("eth_sendRawTransaction", serde_json::json!([cancel(0).raw.to_string()]))
                .await
                .get("error")
                .is_some()
        );
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
    });
}

#[test]
fn w5_a_stranger_in_our_slot_is_for_two_people() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.finalize().await;
        waits(table, "W5").await;
        two_people_decide(table).await;
    });
}

#[test]
fn w5_a_stranger_who_paid_the_same_address_cannot_even_be_decided() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&pay(HOT, 0, wallet(PLAYER).as_str(), cents(100))).await;
        anvil.finalize().await;
        waits(table, "W5").await;
        let scope =
            Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "x".into() };
        let (plan, decision) = (plan(table).await, table.game.plan_for(&scope).await);
        assert!(!decision.changes);
        let next = &plan.held[0].next;
        assert_eq!(*next, decision.held[0].next, "the decision and the verdict agree");
        assert!(next.contains("never give it back") && !next.contains("--second"), "{next}");
        assert!(next.contains("wox explain withdrawal 7") && next.contains("wox recover withdrawal 7"), "{next}");
        // What is said to be done does it: the transaction was the signer's own.
        signed(table, 0, &pay(HOT, 0, wallet(PLAYER).as_str(), cents(100))).await;
        assert_eq!(table.look_into(W).await.row, "W3", "it paid 1 G of 96 G");
    });
}

#[test]
fn w5_a_payment_that_nobody_journaled_settles_once_its_signer_says_so() {
    asked_for(async |anvil, table| {
        signed(table, 0, &pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        waits(table, "W5").await;
        signed(table, 0, &payment(0)).await;
        assert_eq!(table.look_into(W).await.row, "W1");
        assert_eq!(kinds(&plan(table).await), ["TxMined", "TxReplaced", "WithdrawalSettled"]);
    });
}

#[test]
fn w6_a_slot_used_up_by_nothing_that_was_signed_is_for_two_people() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        // A deposit from the base layer raises the count and has no slot of its own.
        let forced = serde_json::json!([{
            "type": "0x7e", "from": wallet(HOT).as_str(), "to": wallet(STRANGER).as_str(), "value": "0x0",
            "gas": "0x5208", "mint": "0x0", "isSystemTx": false,
            "sourceHash": "0x0000000000000000000000000000000000000000000000000000000000000001",
        }]);
        anvil.rpc("anvil_impersonateAccount", serde_json::json!([wallet(HOT).as_str()])).await;
        anvil.rpc("eth_sendTransaction", forced).await;
        anvil.finalize().await;
        waits(table, "W6").await;
        two_people_decide(table).await;
    });
}

#[test]
fn w7_used_up_and_not_final_waits() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.mine(2).await;
        waits(table, "W7").await;
    });
}

#[test]
fn w8_in_a_pool_waits() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
    });
}

#[test]
fn w9_dropped_stays_valid_and_is_never_given_back() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        waits(table, "W9").await;
        table.game.wait(90 * 24 * 3_600);
        table.game.tick().await;
        waits_again(table).await;
        // Somebody sends the same bytes: it pays, once, and the balance was never restored in between.
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
    });
}

async fn waits_again(table: &Table) {
    assert_eq!(table.look_into(W).await.row, "W9");
    assert!(!plan(table).await.changes, "however old");
}

#[test]
fn w9_reorged_out_and_sent_again_is_paid_once() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.mine(3).await;
        waits(table, "W7").await;
        anvil.reorg(5).await;
        waits(table, "W9").await;
        anvil.mine(30).await;
        assert_eq!(table.look_into(W).await.row, "W9");
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn w8_a_bump_is_asked_for_and_the_one_that_is_mined_settles_it() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        asks_nothing(table, Intent::Bump, "nobody has seen").await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        asks_nothing(table, Intent::Rebroadcast, "helps nobody").await;
        asks(table, Intent::Bump, "BumpRequested").await;
        // What the signer has to offer is in the event: a tenth more than 10 and 1 gwei.
        let state = table.game.look().await.replay.state;
        let asked = table.game.log.read_stream(&stream(W)).await.unwrap();
        let asked = asked.iter().find(|event| event.event.kind == "BumpRequested").unwrap();
        assert!(asked.event.data.as_str().contains(r#""at_least":{"max":11000000000,"priority":1100000000}"#));
        assert_eq!(state.withdrawals.get("7").unwrap().slots[0].asked.len(), 1);
        let bumped = sign(HOT, 0, Some(token().as_str()), paid_call(), 12);
        signed(table, 0, &bumped).await;
        anvil.send(&bumped).await;
        // The new attempt is another fact: it can be outbid too.
        waits(table, "W8").await;
        asks(table, Intent::Bump, "BumpRequested").await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        asks_nothing(table, Intent::Fence, "helps nobody").await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "TxReplaced", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        assert_eq!(table.game.look().await.replay.state.withdrawals.settled(), g(96));
        asks_nothing(table, Intent::Bump, "can still be sent").await;
    });
}

#[test]
fn w8_a_bump_that_nobody_journaled_is_the_same_payment() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        asks(table, Intent::Bump, "BumpRequested").await;
        anvil.send(&sign(HOT, 0, Some(token().as_str()), paid_call(), 12)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "TxReplaced", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((table.held().await, state.conservation.drift.0), (g(0), 0));
    });
}

/// What a payment of Ann's 96 G calls.
fn paid_call() -> Vec<u8> {
    call("transfer(address,uint256)", &[anvil::word(wallet(PLAYER).as_str()), cents(9_600)])
}

#[test]
fn w9_the_same_bytes_are_asked_for_and_mined_once_for_each_time_they_were_dropped() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        waits(table, "W9").await;
        asks(table, Intent::Rebroadcast, "RebroadcastRequested").await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        anvil.drop_from_pool(&payment(0).tx).await;
        waits(table, "W9").await;
        asks(table, Intent::Rebroadcast, "RebroadcastRequested").await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn what_is_to_be_fenced_is_not_paid_again() {
    asked_for(async |_, table| {
        signed(table, 0, &payment(0)).await;
        waits(table, "W9").await;
        // Nobody shows what the attempt offers: the signer knows, the event does not pretend to.
        asks(table, Intent::Fence, "FenceRequested").await;
        asks_nothing(table, Intent::Rebroadcast, "is to be fenced").await;
        asks_nothing(table, Intent::Bump, "is to be fenced").await;
    });
}

#[test]
fn a_request_that_came_too_late_is_refused_when_it_is_applied() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        waits(table, "W9").await;
        let scope =
            Scope::Ask { subject: stream(W), intent: Intent::Rebroadcast, by: label("alice"), why: "lost".into() };
        let plan = table.game.plan_for(&scope).await;
        table.game.propose(&plan).await;
        table.game.approve(&plan).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let refused = table.game.apply(&plan).await.unwrap_err().to_string();
        assert!(refused.contains("W1") && refused.contains("its slot free"), "{refused}");
    });
}

#[test]
fn the_bots_slots_are_not_ours_to_ask_about() {
    asked_for(async |_, table| {
        asks_nothing(table, Intent::Fence, "can still be sent").await;
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        asks_nothing(table, Intent::Fence, "not ours").await;
    });
}

#[test]
fn w10_a_gap_below_it_waits() {
    asked_for(async |anvil, table| {
        signed(table, 3, &payment(3)).await;
        anvil.send(&payment(3)).await;
        waits(table, "W10").await;
        let next = |plan: &wox_recovery::recovery::Plan| plan.held[0].next.clone();
        assert!(next(&plan(table).await).contains("nobody in this log signed for slot 0"));
        // Whose the free slot is, is named, because that has to be looked at first.
        let burn = BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce: 0, tx: super::game::hash(3), fees: None };
        table.game.tell("burn-7", burn).await;
        assert!(next(&plan(table).await).contains("slot 0 is burn-7's"), "{}", next(&plan(table).await));
    });
}

#[test]
fn w11_one_source_is_no_quorum() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let sources = vec![super::endpoint("up", &anvil.url), super::endpoint("down", "http://127.0.0.1:1")];
        let table = Table::with(&anvil, sources).await;
        asked(&table.game).await;
        signed(&table, 0, &payment(0)).await;
        set(&anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        waits(&table, "W11").await;
    });
}

#[test]
fn a_release_that_no_look_bears_out_is_refused_by_the_fold() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        table.look_into(W).await;
        // The stream claims a final failure; the chain was seen, and says that the payment waits.
        let reverted = WithdrawalEvent::TxReverted {
            tx: payment(0).tx,
            block: 5,
            block_hash: super::game::hash(5),
            finality: wox_events::deposit::Finality::Finalized,
        };
        table.game.tell(W, reverted).await;
        let released = WithdrawalEvent::HoldReleased {
            player: who("ann"),
            amount: g(100),
            net: g(96),
            pool_share: g(2),
            burn_share: g(2),
            proof: ReversalProof::Reverted { tx: payment(0).tx, block_hash: super::game::hash(5) },
            corrects: super::game::id_of(W, 2),
        };
        table.game.tell(W, released).await;
        assert!(table.game.look().await.replay.held().contains_key(&stream(W)));
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn the_banks_transfer_counts_when_it_is_final_and_nothing_else_does() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        table.game.wait(900);
        table.game.tick().await;
        let unknown = plan(table).await;
        assert!(!unknown.changes && unknown.held[0].finding.outcome_unknown);
        let paid = payment(0);
        table
            .game
            .tell(W, WithdrawalEvent::TxBroadcast { tx: Some(paid.tx.clone()), post: Some(label("post-6")) })
            .await;
        anvil.send(&paid).await;
        anvil.mine(2).await;
        table.look_into(W).await;
        assert!(!plan(table).await.changes);
        anvil.finalize().await;
        table.look_into(W).await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        assert_eq!(table.game.look().await.replay.state.withdrawals.settled(), g(96));
    });
}

#[test]
fn s5_a_complete_scan_lets_two_people_decide_about_the_bank() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.send(&cancel(1)).await;
        anvil.finalize().await;
        let scope =
            Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "x".into() };
        assert!(!table.game.plan_for(&scope).await.changes, "nothing was scanned");
        let seen = table.observe(&Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }).await;
        assert!(!seen[0].unknown, "{}", seen[0].says);
        two_people_decide(table).await;
    });
}

#[test]
fn s5_a_busy_wallet_is_scanned_part_by_part_and_none_is_missing() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        for nonce in 0..70 {
            anvil.send(&pay(HOT, nonce, wallet(STRANGER).as_str(), cents(100))).await;
        }
        anvil.finalize().await;
        let scan = Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() };
        let seen = table.observe(&scan).await;
        assert!(!seen[0].unknown && seen[0].says.contains("sent 70 transfers from slot 0 on"), "{}", seen[0].says);
        let evidence = table.game.look().await;
        let scanned = evidence.replay.state.chain.scans().next().unwrap();
        assert!(scanned.is_complete() && scanned.looks.len() > 1, "{} looks", scanned.looks.len());
        let scope =
            Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "x".into() };
        assert!(table.game.plan_for(&scope).await.changes);
        // One more payment, to Ann: the scan goes on where it ended, shows it, and forbids the decision.
        anvil.send(&payment(70)).await;
        anvil.finalize().await;
        let seen = table.observe(&Targets { wallets: vec![(wallet(HOT), 70)], ..Targets::default() }).await;
        assert!(!seen[0].unknown, "{}", seen[0].says);
        assert!(!table.game.plan_for(&scope).await.changes);
    });
}

#[test]
fn s5_a_scan_that_shows_the_payment_forbids_the_decision() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.observe(&Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }).await;
        let scope =
            Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "x".into() };
        assert!(!table.game.plan_for(&scope).await.changes);
    });
}

fn two_people() -> Scope {
    Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "ticket-91".into() }
}

/// A transaction or all that our wallet sent, seen and recorded.
async fn seen(table: &Table, sent: &Signed, by_scan: bool) {
    match by_scan {
        true => drop(table.observe(&Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }).await),
        false => drop(table.look_at(&sent.tx).await),
    }
}

#[test]
fn w0_is_never_said_while_a_transfer_to_the_same_address_is_explained_by_no_event() {
    for by_scan in [false, true] {
        asked_for(async |anvil, table| {
            anvil.send(&payment(0)).await;
            anvil.finalize().await;
            table.game.wait(900);
            table.game.tick().await;
            // Planned and approved before anybody looked; what was seen since counts.
            let early = plan(table).await;
            assert!(early.changes);
            table.game.propose(&early).await;
            table.game.approve(&early).await;
            seen(table, &payment(0), by_scan).await;
            let refused = table.game.apply(&early).await.unwrap_err().to_string();
            assert!(refused.contains("no event says what it paid"), "{refused}");
            let held = plan(table).await;
            assert!(!held.changes && held.held[0].finding.outcome_unknown, "{held:#?}");
            assert!(
                held.held[0].finding.says.contains("W11") && held.held[0].finding.says.contains(payment(0).tx.as_str())
            );
            assert!(held.held[0].next.contains("append TxSigned"), "{}", held.held[0].next);
            let decision = table.game.plan_for(&two_people()).await;
            assert!(!decision.changes && decision.held[0].next == held.held[0].next, "{decision:#?}");
            // What is said to be done does it.
            signed(table, 0, &payment(0)).await;
            assert_eq!(table.look_into(W).await.row, "W1");
            assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
        });
    }
}

#[test]
fn w0_stands_where_the_transfer_is_that_of_another_withdrawal() {
    asked_for(async |anvil, table| {
        let requested =
            WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(1), destination: wallet(PLAYER) };
        table.game.credit("deposit-8453:0xab:0", 171, "ann", 1).await;
        table.game.tell("withdrawal-8", requested).await;
        let (net, share) = (Amount::cents(96), Amount::cents(2));
        let held =
            WithdrawalEvent::FundsHeld { player: who("ann"), amount: g(1), net, pool_share: share, burn_share: share };
        table.game.tell("withdrawal-8", held).await;
        anvil.send(&pay(HOT, 0, wallet(PLAYER).as_str(), cents(96))).await;
        anvil.finalize().await;
        table.look_at(&pay(HOT, 0, wallet(PLAYER).as_str(), cents(96)).tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(!plan(table).await.changes, "nobody says what it paid");
        let named = journaled(0, &pay(HOT, 0, wallet(PLAYER).as_str(), cents(96)), None);
        table.game.tell("withdrawal-8", named).await;
        assert!(plan(table).await.changes);
    });
}

#[test]
fn w0_is_not_said_while_somebody_unnamed_got_exactly_its_amount_and_two_people_decide_after_a_scan() {
    asked_for(async |anvil, table| {
        let sent = pay(HOT, 0, wallet(STRANGER).as_str(), cents(9_600));
        anvil.send(&sent).await;
        anvil.finalize().await;
        table.look_at(&sent.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox observe wallet"), "{held:#?}");
        assert!(!table.game.plan_for(&two_people()).await.changes, "nothing was scanned");
        seen(table, &sent, true).await;
        two_people_decide(table).await;
    });
}

#[test]
fn w5_that_was_decided_is_not_given_back_when_the_next_slot_paid() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.finalize().await;
        waits(table, "W5").await;
        let decided = table.game.plan_for(&two_people()).await;
        table.game.propose(&decided).await;
        table.game.approve(&decided).await;
        anvil.send(&payment(1)).await;
        anvil.mine(1).await;
        // One source's word that it is in a block is enough to stop.
        table.look_at(&payment(1).tx).await;
        let refused = table.game.apply(&decided).await.unwrap_err().to_string();
        assert!(refused.contains("no event says what it paid"), "{refused}");
        assert!(!table.game.plan_for(&two_people()).await.changes);
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn w4_is_not_given_back_when_another_slot_paid() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        waits(table, "W8").await;
        asks(table, Intent::Fence, "FenceRequested").await;
        anvil.send(&cancel(0)).await;
        anvil.send(&payment(1)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W4");
        assert!(plan(table).await.changes);
        table.look_at(&payment(1).tx).await;
        assert!(!plan(table).await.changes);
    });
}

#[test]
fn s5_a_payment_that_was_seen_after_the_scan_forbids_the_decision() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        anvil.send(&cancel(0)).await;
        anvil.finalize().await;
        seen(table, &cancel(0), true).await;
        let decided = table.game.plan_for(&two_people()).await;
        assert!(decided.changes);
        table.game.propose(&decided).await;
        table.game.approve(&decided).await;
        // Another amount to the same address may be its payment too.
        let paid = pay(HOT, 1, wallet(PLAYER).as_str(), cents(9_000));
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        assert!(table.game.apply(&decided).await.is_err());
        assert!(plan(table).await.held[0].next.contains("TxBroadcast with that hash"));
    });
}

#[test]
fn a_payment_that_shows_after_a_release_is_an_alarm() {
    asked_for(async |anvil, table| {
        table.game.wait(900);
        table.game.tick().await;
        goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
        anvil.send(&payment(0)).await;
        anvil.mine(1).await;
        table.look_at(&payment(0).tx).await;
        let found = plan(table).await;
        assert!(!found.changes && found.held[0].finding.says.contains("may be paid twice"), "{found:#?}");
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        let found = plan(table).await;
        assert_eq!(kinds(&found), ["DoublePayment"], "{found:#?}");
        assert!(found.held.iter().any(|hold| hold.finding.says.contains("paid all the same")));
        table.game.carry_out(&found).await;
        assert!(!plan(table).await.changes, "the alarm is recorded once");
        assert!(!plan(table).await.held.is_empty());
        let replay = table.game.look().await.replay;
        let known = replay.state.withdrawals.get("7").unwrap();
        let verdict = replay.withdrawal_verdict(&WithdrawalId::new("7").unwrap(), known).unwrap().0;
        assert!(verdict.says().contains(payment(0).tx.as_str()), "explain shows it: {}", verdict.says());
    });
}

/// A burn of Ann's 2 G, signed for a slot.
async fn burn_signed(table: &Table, nonce: u64) -> Signed {
    let burn = pay(HOT, nonce, wox_projections::burns::DEAD_ADDRESS, cents(200));
    let signed = BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce, tx: burn.tx.clone(), fees: None };
    table.game.tell("burn-7", signed).await;
    burn
}

#[test]
fn e1_a_burn_is_settled_by_its_final_transfer_and_waits_until_then() {
    asked_for(async |anvil, table| {
        let burn = burn_signed(table, 0).await;
        anvil.send(&burn).await;
        assert_eq!(table.look_into("burn-7").await.row, "W8");
        let scope = Scope::Subject(stream("burn-7"));
        assert!(!table.game.plan_for(&scope).await.changes);
        anvil.finalize().await;
        assert_eq!(table.look_into("burn-7").await.row, "W1");
        let plan = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&plan), ["BurnSettled"]);
        table.game.carry_out(&plan).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((state.burns.settled(), state.conservation.drift.0), (g(2), 0));
        assert!(!table.game.plan_for(&scope).await.changes);
    });
}

#[test]
fn e1_a_burn_that_was_fenced_off_waits_in_the_queue_for_another_slot() {
    asked_for(async |anvil, table| {
        let burn = burn_signed(table, 0).await;
        anvil.send(&burn).await;
        assert_eq!(table.look_into("burn-7").await.row, "W8");
        for (intent, changes) in [(Intent::Bump, true), (Intent::Fence, true), (Intent::Bump, false)] {
            let scope = Scope::Ask { subject: stream("burn-7"), intent, by: label("alice"), why: "stuck".into() };
            let plan = table.game.plan_for(&scope).await;
            assert_eq!(plan.changes, changes, "{plan:#?}");
            table.game.carry_out(&plan).await;
        }
        anvil.send(&cancel(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into("burn-7").await.row, "W4");
        let waiting = table.game.plan_for(&Scope::Subject(stream("burn-7"))).await;
        assert!(!waiting.changes && waiting.held[0].next.contains("a new slot"), "{waiting:#?}");
    });
}

#[test]
fn e1_a_withdrawal_waits_for_a_burn_that_may_happen_and_calls_off_one_that_cannot() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        let burn = burn_signed(table, 1).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let waiting = plan(table).await;
        assert!(!waiting.changes && waiting.held[0].why.contains("burn"), "{waiting:#?}");
        anvil.send(&burn).await;
        anvil.finalize().await;
        table.look_into(W).await;
        goes_back(table, &RELEASED).await;
    });
}

#[test]
fn r14_custody_is_what_the_ledger_owes_or_a_finding() {
    on_chain(async |anvil, table| {
        let holdings = Targets { holdings: true, ..Targets::default() };
        let seen = table.observe(&holdings).await;
        // The hot wallet was filled by nobody's event: 10,000 G that the ledger does not know.
        assert!(seen[0].says.contains("hold 10000 G"), "{}", seen[0].says);
        let plan = table.game.plan().await;
        assert_eq!(kinds(&plan), ["ReconciliationDrift"]);
        assert!(!plan.needs_approval && plan.held.len() == 1, "{plan:#?}");
        let contributed = wox_events::PoolEvent::PoolContributed { amount: g(10_000), source: label("treasury") };
        table.game.tell("pool-main", contributed).await;
        // A figure that is recorded is one of the time at which it is: the ledger owes them now.
        table.game.propose(&plan).await;
        let stale = table.game.apply(&plan).await;
        assert!(matches!(stale, Err(ApplyError::NoLongerFits { .. })), "{stale:?}");
        anvil.mine(1).await;
        table.observe(&holdings).await;
        assert!(!table.game.plan().await.changes, "explained by an event");
        // What came past the deposit address is nobody's: two people put it into suspense, up to a cap.
        anvil.send(&pay(PLAYER, 0, wallet(HOT).as_str(), cents(1_250))).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        let adjust = Scope::Adjust { token: token(), reason: label("direct-send"), why: "ticket-92".into() };
        let plan = table.game.plan_for(&adjust).await;
        assert_eq!(kinds(&plan), ["HoldingsAdjusted"], "{plan:#?}");
        assert!(plan.needs_approval);
        let looks = table.game.log.read_stream(&stream("chain-8453")).await.unwrap();
        let first = looks.iter().rfind(|event| event.event.kind == "HoldingsLooked").unwrap();
        let since = plan.items[0].findings[0].since.clone().unwrap();
        assert!(since.position < first.position, "since the first look that showed it, not the newest");
        table.game.carry_out(&plan).await;
        let state = table.game.look().await.replay.state;
        assert_eq!(state.ledger.balance(&wox_projections::Account::Suspense), Amount::cents(1_250));
        assert_eq!(state.conservation.drift.0, 0);
        assert!(!table.game.plan_for(&adjust).await.changes && table.game.plan().await.held.is_empty());
        // Explained after all: it leaves suspense as it came.
        let late = wox_events::PoolEvent::PoolContributed { amount: Amount::cents(1_250), source: label("fan") };
        table.game.tell("pool-main", late).await;
        let plan = table.game.plan_for(&adjust).await;
        assert_eq!(kinds(&plan), ["HoldingsAdjustmentReversed"], "{plan:#?}");
        table.game.carry_out(&plan).await;
        assert_eq!(table.game.look().await.replay.state.conservation.drift.0, 0);
        assert!(table.game.plan().await.held.is_empty());
        // What is missing is never written off; what was seen to move is named.
        let stolen = pay(HOT, 0, wallet(STRANGER).as_str(), cents(300));
        anvil.send(&stolen).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        let plan = table.game.plan_for(&adjust).await;
        assert!(!plan.changes && plan.held[0].why.contains("are not there"), "{plan:#?}");
        let why = |plan: &wox_recovery::recovery::Plan| plan.held[0].why.clone();
        assert!(why(&table.game.plan().await).contains("wox observe transfers"));
        assert_eq!(table.look_at(&stolen.tx).await.row, "D5");
        let named = format!("-3 G by {}", stolen.tx);
        assert!(why(&table.game.plan().await).contains(&named), "{}", why(&table.game.plan().await));
        anvil.send(&pay(TREASURY, 3, wallet(HOT).as_str(), cents(300))).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        assert!(table.game.plan().await.held.is_empty());
        // Nor is what is too much for a cause that nobody knows.
        anvil.send(&pay(TREASURY, 4, wallet(HOT).as_str(), cents(10_001))).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        let plan = table.game.plan_for(&adjust).await;
        assert!(!plan.changes && plan.held[0].why.contains("more than the 100 G"), "{plan:#?}");
        anvil.send(&pay(HOT, 1, wallet(STRANGER).as_str(), cents(10_001))).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        // A deposit that is not booked yet is named as what explains the difference.
        let payment = pay(PLAYER, 1, anvil::WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.observe(&holdings).await;
        let plan = table.game.plan_for(&adjust).await;
        assert!(!plan.changes && plan.held[0].why.contains("+50 G, deposit"), "{plan:#?}");
        let found = table.game.plan().await;
        let drift = found.held.iter().find(|hold| hold.finding.procedure == "custody_drift").unwrap();
        assert!(drift.why.contains("+50 G, deposit"), "{}", drift.why);
        table.game.carry_out(&found).await;
        assert!(table.game.plan().await.held.is_empty());
        assert_eq!(table.held().await, Amount::galleons(50));
    });
}
