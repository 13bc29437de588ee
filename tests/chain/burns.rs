//! E1: burns, by the table of the payments.

use wox_events::{BurnEvent, chain::Intent};
use wox_recovery::recovery::Scope;

use super::{
    Table,
    anvil::{HOT, Signed, cents, pay, wallet},
    desk::{cancel, payment},
    game::{g, label, stream},
    kinds,
    payment_of_ann::{RELEASED, W, asked_for, goes_back, plan, set, signed},
};

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
fn e1_a_burn_that_nobody_looked_at_is_found_after_its_time() {
    asked_for(async |_, table| {
        let burn = burn_signed(table, 0).await;
        let scope = Scope::Subject(stream("burn-7"));
        assert!(table.game.plan_for(&scope).await.held.is_empty(), "it was sent a moment ago");
        table.game.wait(900);
        table.game.tick().await;
        let waiting = table.game.plan_for(&scope).await;
        assert!(!waiting.changes && waiting.held[0].finding.outcome_unknown, "{waiting:#?}");
        assert!(waiting.held[0].next.contains("wox observe burn 7"), "{}", waiting.held[0].next);
        assert_eq!(table.look_into("burn-7").await.row, "W9", "{burn:?}");
    });
}

#[test]
fn e1_a_burn_that_was_sent_from_a_slot_nobody_journaled_settles_by_its_hash() {
    asked_for(async |anvil, table| {
        let burn = pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(200));
        table.game.tell("burn-7", BurnEvent::BurnTxBroadcast { tx: burn.tx.clone() }).await;
        anvil.send(&burn).await;
        anvil.mine(1).await;
        table.look_into("burn-7").await;
        let scope = Scope::Subject(stream("burn-7"));
        assert!(!table.game.plan_for(&scope).await.changes, "it is not final");
        anvil.finalize().await;
        table.look_into("burn-7").await;
        let settled = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&settled), ["BurnSettled"], "{settled:#?}");
        table.game.carry_out(&settled).await;
    });
}

#[test]
fn e1_a_burn_is_not_called_off_while_a_transfer_to_the_dead_address_is_explained_by_nothing() {
    asked_for(async |anvil, table| {
        let burn = pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(200));
        anvil.send(&burn).await;
        anvil.finalize().await;
        table.look_at(&burn.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("append BurnTxSigned"), "{held:#?}");
        assert_eq!(table.held().await, g(0));
        // Whoever writes the reversal: the burn cannot be called off by a recovery.
        let early = table.game.plan_for(&super::payment_of_ann::two_people()).await;
        assert!(!early.changes, "{early:#?}");
        // It was another burn's: what is said to be done does it.
        let due = wox_events::Timestamp(table.game.now().0 + 50_000_000_000);
        let other =
            BurnEvent::BurnScheduled { withdrawal: wox_events::WithdrawalId::new("6").unwrap(), amount: g(2), due };
        table.game.tell("burn-6", other).await;
        table.game.tell("burn-6", BurnEvent::BurnTxBroadcast { tx: burn.tx.clone() }).await;
        goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
    });
}

#[test]
fn e1_one_transaction_settles_one_burn() {
    asked_for(async |anvil, table| {
        let due = wox_events::Timestamp(table.game.now().0 + 50_000_000_000);
        let other =
            BurnEvent::BurnScheduled { withdrawal: wox_events::WithdrawalId::new("6").unwrap(), amount: g(2), due };
        table.game.tell("burn-6", other).await;
        let burn = burn_signed(table, 0).await;
        let again = BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce: 0, tx: burn.tx.clone(), fees: None };
        table.game.tell("burn-6", again).await;
        anvil.send(&burn).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        let all = table.game.plan().await;
        assert_eq!(kinds(&all), ["BurnSettled"], "{all:#?}");
        assert!(all.held.iter().any(|hold| hold.why.contains("which paid")), "{all:#?}");
    });
}

#[test]
fn e1_without_a_journal_a_burn_is_called_off_only_after_all_that_was_sent_is_seen() {
    asked_for(async |anvil, table| {
        table.declare(wox_projections::verdict::quorum::Policy { journaled: false, ..table.policy.clone() }).await;
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W2");
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox observe wallet"), "{held:#?}");
        super::payment_of_ann::seen(table, &payment(0), true).await;
        goes_back(table, &RELEASED).await;
    });
}
