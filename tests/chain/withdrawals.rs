//! W0 to W11: what became of a slot, and what follows.

use wox_events::{BurnEvent, WithdrawalEvent, chain::Intent, withdrawal::ReversalProof};
use wox_recovery::{log::EventLog as _, recovery::Scope};

use super::{
    Table,
    anvil::{self, Anvil, HOT, PLAYER, STRANGER, call, cents, pay, sign, token, wallet},
    desk::{asked, cancel, payment},
    game::{g, label, stream, who},
    kinds, on_chain,
    payment_of_ann::{
        RELEASED, W, asked_for, asks, asks_nothing, chain_goes_on, goes_back, plan, set, signed, two_people,
        two_people_decide, waits,
    },
    rt,
};

#[test]
fn w0_a_journal_without_an_attempt_proves_that_nothing_was_sent() {
    asked_for(async |_, table| {
        assert!(!plan(table).await.changes, "its signer may be about to sign");
        table.game.wait(900);
        table.game.tick().await;
        goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
        // The signer comes too late: that is a fact, and its slot is to be given up before it pays twice.
        signed(table, 0, &payment(0)).await;
        let found = plan(table).await;
        assert!(found.held[0].finding.says.contains("slot 0") && found.held[0].finding.outcome_unknown, "{found:#?}");
    });
}

#[test]
fn w0_without_a_journal_in_this_log_proves_nothing() {
    asked_for(async |_, table| {
        table.declare(wox_projections::verdict::quorum::Policy { journaled: false, ..table.policy.clone() }).await;
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
        assert!(refused.contains("no money moves until two people have decided"), "{refused}");
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
fn w2_that_the_pool_cannot_give_back_says_what_fills_it() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W2");
        let spent = wox_events::PoolEvent::PoolAdjusted {
            direction: wox_events::pool::Adjustment::ToSuspense,
            amount: g(1),
            reason: label("moved"),
            first_bad: wox_events::EventId::derived(&["nothing"]),
        };
        table.game.tell("pool-main", spent).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("have 1 G contributed"), "{held:#?}");
        let filled = wox_events::PoolEvent::PoolContributed { amount: g(1), source: label("treasury") };
        table.game.tell("pool-main", filled).await;
        goes_back(table, &RELEASED).await;
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
        chain_goes_on(anvil, table).await;
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
fn w5_in_one_slot_is_not_decided_while_another_is_alive() {
    asked_for(async |anvil, table| {
        for nonce in [0, 1] {
            signed(table, nonce, &payment(nonce)).await;
        }
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let decided = table.game.plan_for(&two_people()).await;
        assert!(!decided.changes && decided.held[0].finding.says.contains("W9"), "{decided:#?}");
        assert!(decided.held[0].finding.says.contains("slot 0: W5"), "the key is shared: {decided:#?}");
        let held = plan(table).await;
        assert_eq!(held.held[0].finding.severity, wox_recovery::recovery::Severity::Critical, "{held:#?}");
        // In a block that is not final yet it is alive too.
        anvil.send(&payment(1)).await;
        anvil.mine(1).await;
        table.look_into(W).await;
        assert!(!table.game.plan_for(&two_people()).await.changes);
        anvil.finalize().await;
        table.look_into(W).await;
        assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
    });
}

#[test]
fn w3_that_paid_another_sum_to_the_same_address_is_not_given_back() {
    asked_for(async |anvil, table| {
        let less = pay(HOT, 0, wallet(PLAYER).as_str(), cents(4_000));
        signed(table, 0, &less).await;
        anvil.send(&less).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W3");
        for held in [plan(table).await, table.game.plan_for(&two_people()).await] {
            assert!(!held.changes && held.held[0].finding.says.contains("paid 40 G"), "{held:#?}");
            assert!(held.held[0].next.contains("never give it back whole"), "{held:#?}");
        }
    });
}

#[test]
fn w5_by_the_payment_of_another_withdrawal_is_no_strangers_and_pays_that_one_only() {
    for destination in [PLAYER, STRANGER] {
        asked_for(async |anvil, table| {
            signed(table, 0, &payment(0)).await;
            let other = pay(HOT, 0, wallet(destination).as_str(), cents(1_000));
            table.game.credit("deposit-8453:0xab:0", 171, "ann", 12).await;
            let to = wallet(destination);
            let requested = WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(12), destination: to };
            table.game.tell("withdrawal-8", requested).await;
            let (net, share) = (g(10), g(1));
            let (player, amount) = (who("ann"), g(12));
            let held = WithdrawalEvent::FundsHeld { player, amount, net, pool_share: share, burn_share: share };
            table.game.tell("withdrawal-8", held).await;
            table.game.tell("withdrawal-8", super::desk::journaled(0, &other, None)).await;
            anvil.send(&other).await;
            anvil.finalize().await;
            table.look_into(W).await;
            let held = plan(table).await;
            let says = &held.held[0].finding.says;
            assert!(says.contains("signed for withdrawal-8") && !says.contains("nobody here signed"), "{says}");
            assert!(!held.held[0].next.contains("stolen"), "{}", held.held[0].next);
            // While another slot of it waits in a pool nobody decides, whoever took this one.
            signed(table, 1, &payment(1)).await;
            table.look_into(W).await;
            assert!(!table.game.plan_for(&two_people()).await.changes);
            let (by, why) = (label("alice"), "give it up".into());
            let fence = Scope::Ask { subject: stream(W), intent: Intent::Fence, by, why };
            table.game.carry_out(&table.game.plan_for(&fence).await).await;
            anvil.send(&cancel(1)).await;
            anvil.finalize().await;
            table.look_into(W).await;
            table.game.carry_out(&table.game.plan_for(&Scope::Subject(stream("withdrawal-8"))).await).await;
            two_people_decide(table).await;
        });
    }
}

#[test]
fn w6_a_forced_payment_that_is_named_pays_it() {
    asked_for(async |anvil, table| {
        // Named without the slot that it used: what is final, named and exactly what is due has paid it.
        signed(table, 0, &payment(0)).await;
        signed(table, 1, &payment(1)).await;
        anvil.send(&cancel(0)).await;
        anvil.send(&payment(1)).await;
        anvil.finalize().await;
        table.look_at(&payment(1).tx).await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"], "{settled:#?}");
    });
}

/// Both slots of a withdrawal pay.
async fn paid_twice(anvil: &Anvil, table: &Table) {
    for nonce in [0, 1] {
        signed(table, nonce, &payment(nonce)).await;
        anvil.send(&payment(nonce)).await;
    }
    anvil.finalize().await;
}

#[test]
fn w1_in_two_slots_is_told_and_stays_told() {
    asked_for(async |anvil, table| {
        paid_twice(anvil, table).await;
        table.look_into(W).await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"]);
        table.game.carry_out(&settled).await;
        let found = plan(table).await;
        assert!(!found.changes, "{found:#?}");
        assert!(found.held.iter().any(|hold| hold.finding.says.contains("may be paid twice")), "{found:#?}");
        // The player sends it back: nothing in the log puts that right, and two people say that it was dealt with.
        let accept = |second: &str| Scope::Accept {
            subject: stream(W),
            first: label("alice"),
            second: label(second),
            why: "sent back".into(),
        };
        assert!(!table.game.plan_for(&accept("Alice")).await.changes, "one person is not two");
        let accepted = table.game.plan_for(&accept("bob")).await;
        assert_eq!(kinds(&accepted), ["IncidentAccepted"], "{accepted:#?}");
        assert!(accepted.needs_approval);
        table.game.carry_out(&accepted).await;
        assert!(plan(table).await.held.is_empty());
        assert!(!table.game.plan_for(&accept("bob")).await.changes, "it is recorded once");
        // A third payment is another finding.
        anvil.send(&payment(2)).await;
        anvil.finalize().await;
        table.look_at(&payment(2).tx).await;
        assert!(plan(table).await.held.iter().any(|hold| hold.finding.says.contains("may be paid twice")));
    });
}

#[test]
fn what_nobody_knows_is_not_dealt_with_by_saying_so() {
    asked_for(async |_, table| {
        signed(table, 0, &payment(0)).await;
        waits(table, "W9").await;
        let (first, second) = (label("alice"), label("bob"));
        let scope = Scope::Accept { subject: stream(W), first, second, why: "it will be fine".into() };
        let refused = table.game.plan_for(&scope).await;
        assert!(!refused.changes && refused.held[0].why.contains("nobody knows"), "{refused:#?}");
    });
}

#[test]
fn w1_with_another_slot_alive_is_told_and_the_slot_is_fenced() {
    asked_for(async |anvil, table| {
        for nonce in [0, 1] {
            signed(table, nonce, &payment(nonce)).await;
        }
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        let found = plan(table).await;
        let told =
            |hold: &wox_recovery::recovery::Hold| hold.finding.says.contains("slot 1") && hold.next.contains("--fence");
        assert!(!found.changes && found.held.iter().any(told), "{found:#?}");
        let open = wox_recovery::recovery::Targets::open(&table.game.look().await.replay.state);
        assert!(open.payments.iter().any(|slot| slot.nonce == 1), "it is watched");
        asks(table, Intent::Fence, "FenceRequested").await;
        anvil.send(&cancel(1)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        assert!(plan(table).await.held.is_empty());
    });
}

#[test]
fn w1_whose_final_block_went_away_is_told_and_stops_money() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        let came = pay(PLAYER, 0, anvil::WATCHED, cents(5_000));
        let credit = async || {
            table.look_at(&came.tx).await;
            table.plan(&came.tx).await
        };
        anvil.reorg(11).await;
        anvil.mine(1).await;
        anvil.send(&came).await;
        anvil.finalize().await;
        assert_ne!(table.look_into(W).await.row, "W1");
        let found = plan(table).await;
        let says = &found.held[0].finding.says;
        assert!(!found.changes && says.contains("booked as paid, and the newest look says"), "{found:#?}");
        assert!(!credit().await.changes, "nobody knows what else is gone");
        // What no source knows any more is sent again, though money stands still for it.
        asks(table, Intent::Rebroadcast, "RebroadcastRequested").await;
        // Mined again, it is as it was, and money moves.
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        assert!(plan(table).await.held.is_empty());
        assert!(credit().await.changes);
    });
}

#[test]
fn what_is_only_asked_for_and_was_paid_is_told() {
    on_chain(async |anvil, table| {
        let requested =
            WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(100), destination: wallet(PLAYER) };
        table.game.tell(W, requested).await;
        assert!(plan(table).await.held.is_empty());
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        let found = plan(table).await;
        assert!(found.held[0].finding.says.contains("nothing is held for it"), "{found:#?}");
    });
}

#[test]
fn w7_of_what_the_game_booked_early_stops_nobody_and_w2_of_it_is_told_and_stops_nobody() {
    for fails in [false, true] {
        asked_for(async |anvil, table| {
            signed(table, 0, &payment(0)).await;
            if fails {
                set(anvil, 3, true, false).await;
            }
            let came = pay(PLAYER, 0, anvil::WATCHED, cents(5_000));
            if !fails {
                anvil.send(&came).await;
            }
            anvil.finalize().await;
            anvil.send(&payment(0)).await;
            anvil.mine(1).await;
            let (tx, block_hash) = (payment(0).tx, super::game::hash(1));
            let finality = wox_events::deposit::Finality::Finalized;
            let mined = WithdrawalEvent::TxMined { tx: tx.clone(), block: 12, block_hash, finality };
            table.game.tell(W, mined).await;
            table.game.tell(W, WithdrawalEvent::WithdrawalSettled { tx, net: g(96) }).await;
            assert_eq!(table.look_into(W).await.row, "W7");
            let found = plan(table).await;
            assert!(found.held.is_empty(), "{found:#?}");
            if fails {
                anvil.finalize().await;
                assert_eq!(table.look_into(W).await.row, "W2");
                let found = plan(table).await;
                assert!(found.held[0].finding.says.contains("booked as paid"), "{found:#?}");
            } else {
                table.look_at(&came.tx).await;
                assert!(table.plan(&came.tx).await.changes, "money moves");
            }
            assert!(table.game.look().await.standstill().is_none());
        });
    }
}

#[test]
fn one_payment_that_the_game_booked_for_two_is_told() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        table.game.credit("deposit-8453:0xab:0", 171, "ann", 100).await;
        let requested =
            WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(100), destination: wallet(PLAYER) };
        table.game.tell("withdrawal-8", requested).await;
        let (net, share, player) = (g(96), g(2), who("ann"));
        let held = WithdrawalEvent::FundsHeld { player, amount: g(100), net, pool_share: share, burn_share: share };
        table.game.tell("withdrawal-8", held).await;
        for id in ["withdrawal-7", "withdrawal-8"] {
            let tx = payment(0).tx;
            table.game.tell(id, WithdrawalEvent::WithdrawalSettled { tx, net: g(96) }).await;
        }
        let about = async || table.game.plan_for(&Scope::Subject(stream("withdrawal-8"))).await;
        let unseen = about().await;
        assert!(unseen.held[0].next.contains("wox observe transaction"), "{unseen:#?}");
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        let found = about().await;
        assert!(found.held[0].finding.says.contains("no transfer for this one"), "{found:#?}");
        let first = plan(table).await;
        assert!(first.held.iter().all(|hold| !hold.finding.says.contains("no transfer")), "{first:#?}");
    });
}

#[test]
fn what_was_signed_after_it_was_over_is_watched_and_told() {
    for goes_back in [false, true] {
        asked_for(async |anvil, table| {
            if goes_back {
                table.game.wait(900);
                table.game.tick().await;
                super::payment_of_ann::goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
            } else {
                signed(table, 0, &payment(0)).await;
                anvil.send(&payment(0)).await;
                anvil.finalize().await;
                table.look_into(W).await;
                table.game.carry_out(&plan(table).await).await;
            }
            let nonce = u64::from(!goes_back);
            signed(table, nonce, &payment(nonce)).await;
            assert!(!table.game.look().await.replay.held().contains_key(&stream(W)), "it is a fact");
            let found = plan(table).await;
            assert!(found.held.iter().any(|hold| hold.finding.says.contains("may still pay it")), "{found:#?}");
            let open = wox_recovery::recovery::Targets::open(&table.game.look().await.replay.state);
            assert!(open.payments.iter().any(|slot| slot.nonce == nonce), "it is watched");
            anvil.send(&payment(nonce)).await;
            anvil.finalize().await;
            table.look_into(W).await;
            let found = plan(table).await;
            assert!(found.held.iter().any(|hold| hold.finding.code == "WOX-BANK-TX-004"), "{found:#?}");
        });
    }
}

#[test]
fn what_another_slot_did_beside_the_payment_is_told_and_stays_told() {
    for (amount, to) in [(4_000, PLAYER), (50_000, STRANGER)] {
        asked_for(async |anvil, table| {
            let beside = pay(HOT, 0, wallet(to).as_str(), cents(amount));
            let journal = if to == PLAYER { pay(HOT, 0, wallet(to).as_str(), cents(amount)) } else { payment(0) };
            signed(table, 0, &journal).await;
            signed(table, 1, &payment(1)).await;
            anvil.send(&beside).await;
            anvil.send(&payment(1)).await;
            anvil.finalize().await;
            table.look_into(W).await;
            let settled = plan(table).await;
            let says = &settled.items[0].findings[0].says;
            assert!(says.contains("W1") && says.contains("slot 0: W"), "{says}");
            table.game.carry_out(&settled).await;
            let found = plan(table).await;
            let told = |hold: &wox_recovery::recovery::Hold| hold.finding.says.contains("its slot 0: W");
            assert!(found.held.iter().any(told), "{found:#?}");
        });
    }
}

#[test]
fn what_is_settled_is_not_given_back_and_its_burn_is_not_called_off() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        let tx = payment(0).tx;
        table.game.tell(W, WithdrawalEvent::WithdrawalSettled { tx, net: g(96) }).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(100))).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let decided = table.game.plan_for(&two_people()).await;
        assert!(!decided.changes, "{decided:#?}");
    });
}

#[test]
fn what_lives_again_is_not_dealt_with_by_saying_so_and_its_slot_is_given_up() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        anvil.reorg(11).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W9");
        let (first, second) = (label("alice"), label("bob"));
        let scope = Scope::Accept { subject: stream(W), first, second, why: "paid by hand".into() };
        assert!(!table.game.plan_for(&scope).await.changes, "its bytes may still land");
        asks(table, Intent::Fence, "FenceRequested").await;
        anvil.send(&cancel(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W4");
        assert!(table.game.look().await.standstill().is_none());
        assert!(table.game.plan_for(&scope).await.changes);
    });
}

/// Nothing is held for it, and what may have said that it was paid was left out by name.
#[test]
fn w11_a_request_whose_hold_and_signature_were_left_out_is_not_clean() {
    on_chain(async |anvil, table| {
        let requested =
            WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(100), destination: wallet(PLAYER) };
        table.game.tell(W, requested).await;
        assert!(plan(table).await.held.is_empty(), "only asked for");
        // Ann has nothing: the hold is refused, and the signature waits behind it.
        let held = WithdrawalEvent::FundsHeld {
            player: who("ann"),
            amount: g(100),
            net: g(96),
            pool_share: g(2),
            burn_share: g(2),
        };
        table.game.tell(W, held).await;
        signed(table, 0, &payment(0)).await;
        let at = table.game.look().await.replay.position;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        for position in [wox_events::Position(at.0 - 1), at] {
            let waive = Scope::Waive { position, why: "ticket-93".into() };
            table.game.carry_out(&table.game.plan_for(&waive).await).await;
        }
        assert!(table.game.look().await.replay.held().is_empty());
        for plan in [plan(table).await, table.game.plan().await] {
            assert!(!plan.changes && plan.held.len() == 1, "{plan:#?}");
            let hold = &plan.held[0];
            assert!(hold.finding.outcome_unknown && hold.finding.says.contains("is not in the state"), "{hold:#?}");
            assert!(hold.next.contains(&format!("wox show {at} ")), "{hold:#?}");
        }
    });
}

#[test]
fn w2_whose_share_is_burned_goes_back_when_two_people_have_the_pool_bear_it() {
    asked_for(async |anvil, table| {
        let burn = pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(200));
        let signed_burn =
            wox_events::BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce: 0, tx: burn.tx.clone(), fees: None };
        table.game.tell("burn-7", signed_burn).await;
        anvil.send(&burn).await;
        anvil.mine(1).await;
        signed(table, 1, &payment(1)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(1)).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        table.look_into(W).await;
        table.game.carry_out(&table.game.plan_for(&Scope::Subject(stream("burn-7"))).await).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("the pool bears it"), "{held:#?}");
        // The pool holds one share of the fee; the other one is burned.
        let filled = wox_events::PoolEvent::PoolContributed { amount: g(2), source: label("treasury") };
        table.game.tell("pool-main", filled).await;
        let decided = table.game.plan_for(&two_people()).await;
        assert_eq!(kinds(&decided), ["HoldReleased"], "{decided:#?}");
        table.game.carry_out(&decided).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((table.held().await, state.conservation.drift.0), (g(100), 0));
        assert_eq!(state.ledger.balance(&wox_projections::Account::Pool), g(0));
        assert!(!table.game.plan_for(&two_people()).await.changes, "once");
    });
}
