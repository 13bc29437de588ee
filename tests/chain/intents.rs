//! What a signer is asked to pay is judged over all that is known of the thing, never over one slot: to ask is to pay.

use wox_events::{BurnEvent, WithdrawalEvent, chain::Intent};
use wox_projections::verdict::quorum::Policy;
use wox_recovery::recovery::Scope;

use super::{
    anvil::{HOT, PLAYER, TREASURY, call, cents, pay, sign, token, wallet, word},
    desk::{cancel, journaled, payment},
    game::{g, label, stream},
    kinds,
    payment_of_ann::{W, asked_for, asked_too, asks, asks_nothing, plan, signed},
};

#[test]
fn nothing_is_asked_for_while_another_slot_may_pay_or_has_paid() {
    asked_for(async |anvil, table| {
        for nonce in [0, 1] {
            signed(table, nonce, &payment(nonce)).await;
        }
        assert_eq!(table.look_into(W).await.row, "W9");
        for intent in [Intent::Rebroadcast, Intent::Bump] {
            asks_nothing(table, intent, "counts too: W10").await;
        }
        // One of them is paid, and the other may still be sent.
        anvil.send(&payment(0)).await;
        anvil.mine(1).await;
        table.look_into(W).await;
        asks_nothing(table, Intent::Rebroadcast, "counts too: W7").await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        for intent in [Intent::Rebroadcast, Intent::Bump] {
            asks_nothing(table, intent, "counts too: W1,").await;
        }
    });
}

#[test]
fn one_slot_is_given_up_before_the_other_is_asked_for() {
    asked_for(async |anvil, table| {
        for nonce in [0, 1] {
            signed(table, nonce, &payment(nonce)).await;
        }
        anvil.send(&cancel(0)).await;
        table.game.tell(W, WithdrawalEvent::WithdrawalFenced { wallet: wallet(HOT), nonce: 0, tx: cancel(0).tx }).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let (by, why) = (label("alice"), "stuck".to_owned());
        let scope = Scope::Ask { subject: stream(W), intent: Intent::Rebroadcast, by, why };
        let asked = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&asked), ["RebroadcastRequested"], "{asked:#?}");
        table.game.carry_out(&asked).await;
    });
}

#[test]
fn a_slot_that_paid_a_part_and_a_hash_that_paid_forbid_another_payment() {
    asked_for(async |anvil, table| {
        let less = pay(HOT, 0, wallet(PLAYER).as_str(), cents(9_500));
        table.game.tell(W, journaled(0, &less, None)).await;
        signed(table, 1, &payment(1)).await;
        anvil.send(&less).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W3");
        asks_nothing(table, Intent::Rebroadcast, "counts too: W3").await;
    });
    asked_for(async |_, table| {
        signed(table, 0, &payment(0)).await;
        let named = WithdrawalEvent::TxBroadcast { tx: Some(payment(1).tx), post: None };
        table.game.tell(W, named).await;
        table.look_into(W).await;
        for intent in [Intent::Rebroadcast, Intent::Bump] {
            asks_nothing(table, intent, "is named for it").await;
        }
    });
}

#[test]
fn a_burn_is_judged_whole_as_well() {
    asked_for(async |anvil, table| {
        let burns: Vec<_> =
            [0, 1].map(|nonce| pay(HOT, nonce, wox_projections::burns::DEAD_ADDRESS, cents(200))).into();
        for (nonce, burn) in [0, 1].into_iter().zip(&burns) {
            let signed = BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce, tx: burn.tx.clone(), fees: None };
            table.game.tell("burn-7", signed).await;
        }
        anvil.send(&burns[0]).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        let (by, why) = (label("alice"), "stuck".to_owned());
        let scope = Scope::Ask { subject: stream("burn-7"), intent: Intent::Rebroadcast, by, why };
        let plan = table.game.plan_for(&scope).await;
        assert!(!plan.changes, "{plan:#?}");
    });
}

#[test]
fn a_plan_that_asks_is_refused_once_something_else_has_paid() {
    asked_for(async |anvil, table| {
        let wallets = vec![wallet(HOT), wallet(TREASURY)];
        table.declare(Policy { wallets, ..table.policy.clone() }).await;
        signed(table, 0, &payment(0)).await;
        table.look_into(W).await;
        let (by, why) = (label("alice"), "stuck".to_owned());
        let scope = Scope::Ask { subject: stream(W), intent: Intent::Rebroadcast, by, why };
        let asked = table.game.plan_for(&scope).await;
        table.game.propose(&asked).await;
        table.game.approve(&asked).await;
        let other = pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600));
        anvil.send(&other).await;
        anvil.finalize().await;
        table.look_at(&other.tx).await;
        let refused = table.game.apply(&asked).await.unwrap_err().to_string();
        assert!(refused.contains("no event says that it paid another thing"), "{refused}");
    });
}

#[test]
fn a_bump_that_was_asked_for_is_not_what_is_journaled_for_another() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        anvil.send(&payment(0)).await;
        table.look_into(W).await;
        asks(table, Intent::Bump, "BumpRequested").await;
        let bumped = sign(
            HOT,
            0,
            Some(token().as_str()),
            call("transfer(address,uint256)", &[word(wallet(PLAYER).as_str()), cents(9_600)]),
            90,
        );
        asked_too(table, "8", g(96)).await;
        table.game.tell("withdrawal-8", journaled(0, &bumped, None)).await;
        anvil.send(&bumped).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let found = plan(table).await;
        assert!(!found.changes, "it is withdrawal-8's by name: {found:#?}");
    });
}

#[test]
fn without_a_journal_a_payment_is_sent_again_only_after_all_that_was_sent_is_seen() {
    asked_for(async |anvil, table| {
        table.declare(Policy { journaled: false, ..table.policy.clone() }).await;
        // Slot 0 paid, and no event says so.
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        signed(table, 1, &payment(1)).await;
        assert_eq!(table.look_into(W).await.row, "W9");
        asks_nothing(table, Intent::Rebroadcast, "nobody has seen all that was sent since").await;
        let targets = wox_recovery::recovery::Targets { wallets: vec![(wallet(HOT), 0)], ..Default::default() };
        table.observe(&targets).await;
        asks_nothing(table, Intent::Rebroadcast, "no event says that it paid another thing").await;
    });
}

#[test]
fn a_cancel_that_was_dropped_is_asked_for_once_more() {
    asked_for(async |anvil, table| {
        signed(table, 0, &payment(0)).await;
        table.look_into(W).await;
        asks(table, Intent::Fence, "FenceRequested").await;
        let fenced = WithdrawalEvent::WithdrawalFenced { wallet: wallet(HOT), nonce: 0, tx: cancel(0).tx };
        table.game.tell(W, fenced).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W9");
        asks(table, Intent::Fence, "FenceRequested").await;
    });
}
