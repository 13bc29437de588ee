//! Payments that the log says wrongly, late, or not at all: in another slot, from another wallet, from an address that only
//! receives, in the bytes of another one. Nothing is paid again and nothing goes back while one of them may have paid.

use wox_events::{BurnEvent, WithdrawalEvent, chain::Intent};
use wox_projections::verdict::quorum::Policy;
use wox_recovery::recovery::{Scope, Targets};

use super::{
    Table,
    anvil::{Anvil, HOT, PLAYER, STRANGER, TREASURY, cents, pay, wallet},
    desk::{cancel, payment},
    game::{g, label, stream},
    kinds,
    payment_of_ann::{
        W, asked_for, asks_nothing, chain_goes_on, goes_back, plan, seen, set, signed, two_people, waits,
    },
};

async fn unjournaled(table: &mut Table) {
    table.declare(Policy { journaled: false, ..table.policy.clone() }).await;
}

/// All that the wallet sent, once it is final and younger than all that happened.
async fn all_is_shown(anvil: &Anvil, table: &Table) {
    chain_goes_on(anvil, table).await;
    seen(table, &payment(0), true).await;
}

async fn only_two_may_not(table: &Table) {
    let decided = table.game.plan_for(&two_people()).await;
    assert!(!decided.changes, "{decided:#?}");
}

#[test]
fn an_attempt_that_was_journaled_for_another_slot_is_paid_where_it_was_mined() {
    asked_for(async |anvil, table| {
        let paid = payment(0);
        signed(table, 1, &paid).await;
        anvil.send(&paid).await;
        waits(table, "W11").await;
        let held = plan(table).await;
        let (says, next) = (&held.held[0].finding.says, &held.held[0].next);
        assert!(
            says.contains("is of another slot") && next.contains("append TxSigned") && next.contains("slot 0"),
            "{held:#?}"
        );
        for intent in [Intent::Bump, Intent::Rebroadcast, Intent::Fence] {
            asks_nothing(table, intent, "a payment may exist").await;
        }
        only_two_may_not(table).await;
        // Another transaction takes the slot that was journaled: that proves nothing of the payment, which is looked at too.
        anvil.finalize().await;
        anvil.send(&cancel(1)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
        // The signer says which slot it was: it is paid, and nothing is left open.
        signed(table, 0, &paid).await;
        table.look_into(W).await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"], "{settled:#?}");
        table.game.carry_out(&settled).await;
        assert!(table.game.look().await.standstill().is_none());
        let after = table.game.plan().await;
        assert!(after.held.is_empty(), "{after:#?}");
    });
}

#[test]
fn an_attempt_that_was_journaled_for_another_slot_and_failed_goes_back() {
    asked_for(async |anvil, table| {
        let paid = payment(0);
        signed(table, 1, &paid).await;
        signed(table, 0, &paid).await;
        set(anvil, 3, true, false).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_into(W).await;
        goes_back(table, &["BurnCancelled", "TxReverted", "HoldReleased"]).await;
    });
}

#[test]
fn without_a_journal_a_dead_slot_proves_nothing_of_the_others() {
    // It failed (W2), was fenced (W4), or a stranger has its slot (W5), and the next slot paid, which nobody journaled.
    for row in ["W2", "W4", "W5"] {
        asked_for(async |anvil, table| {
            unjournaled(table).await;
            signed(table, 0, &payment(0)).await;
            match row {
                "W2" => {
                    set(anvil, 3, true, false).await;
                    anvil.send(&payment(0)).await;
                    anvil.mine(1).await;
                    set(anvil, 4, false, false).await;
                }
                "W4" => {
                    table.look_into(W).await;
                    let (subject, intent) = (stream(W), Intent::Fence);
                    let scope = Scope::Ask { subject, intent, by: label("alice"), why: "x".into() };
                    table.game.carry_out(&table.game.plan_for(&scope).await).await;
                    anvil.send(&cancel(0)).await;
                }
                _ => anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(1))).await,
            }
            anvil.send(&payment(1)).await;
            anvil.finalize().await;
            assert_eq!(table.look_into(W).await.row, row);
            let held = plan(table).await;
            assert!(!held.changes && held.held[0].next.contains("wox observe wallet"), "{held:#?}");
            only_two_may_not(table).await;
            all_is_shown(anvil, table).await;
            let paid = plan(table).await;
            assert!(!paid.changes && paid.held[0].next.contains(payment(1).tx.as_str()), "{row} {paid:#?}");
            only_two_may_not(table).await;
        });
    }
}

#[test]
fn without_a_journal_a_dead_slot_goes_back_once_all_is_shown() {
    asked_for(async |anvil, table| {
        unjournaled(table).await;
        signed(table, 0, &payment(0)).await;
        set(anvil, 3, true, false).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        all_is_shown(anvil, table).await;
        let released = plan(table).await;
        assert_eq!(kinds(&released), ["BurnCancelled", "TxReverted", "HoldReleased"], "{released:#?}");
        table.game.propose(&released).await;
        table.game.approve(&released).await;
        let later = wox_events::Timestamp(table.game.now().0 + 2 * 3_600_000_000);
        let refused = table.game.apply_at(&released, later).await.unwrap_err().to_string();
        assert!(refused.contains("look again, and decide again"), "{refused}");
        table.game.apply(&released).await.unwrap();
        assert_eq!(table.held().await, g(100));
    });
}

#[test]
fn a_payment_that_names_itself_from_a_wallet_that_no_rules_name_is_no_failure() {
    asked_for(async |anvil, table| {
        let paid = pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600));
        let named = WithdrawalEvent::TxBroadcast { tx: Some(paid.tx.clone()), post: Some(label("post-5")) };
        table.game.tell(W, named).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_into(W).await;
        all_is_shown(anvil, table).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains("name it in `wallets`"), "{held:#?}");
        only_two_may_not(table).await;
        let wallets = [table.policy.wallets.clone(), vec![wallet(TREASURY)]].concat();
        table.declare(Policy { wallets, ..table.policy.clone() }).await;
        table.look_into(W).await;
        assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
    });
}

#[test]
fn what_an_address_that_only_receives_sent_has_left_us() {
    asked_for(async |anvil, table| {
        let watched = [table.policy.watched.clone(), vec![wallet(TREASURY)]].concat();
        table.declare(Policy { watched, ..table.policy.clone() }).await;
        let paid = pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600));
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains(paid.tx.as_str()), "{held:#?}");
    });
}

#[test]
fn what_was_seen_before_a_wallet_was_ours_counts_from_when_it_is() {
    asked_for(async |anvil, table| {
        let paid = pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600));
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(plan(table).await.changes, "a stranger's transfer is nobody's business");
        super::payment_of_ann::asked_too(table, "8", g(5)).await;
        let other = pay(TREASURY, 4, wallet(STRANGER).as_str(), cents(500));
        let signed = WithdrawalEvent::TxSigned {
            wallet: wallet(TREASURY),
            nonce: 4,
            tx: other.tx.clone(),
            digest: super::game::digest("raw"),
            fees: None,
        };
        table.game.tell("withdrawal-8", signed).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains(paid.tx.as_str()), "{held:#?}");
    });
}

#[test]
fn a_burn_whose_stream_is_held_from_its_first_event_is_not_no_burn() {
    super::on_chain(async |_, table| {
        super::payment_of_ann::asked_too(table, "8", g(5)).await;
        let withdrawal = wox_events::WithdrawalId::new("8").unwrap();
        let scheduled = BurnEvent::BurnScheduled { withdrawal, amount: g(5), due: table.game.now() };
        table.game.tell("burn-8", scheduled).await;
        assert!(table.game.look().await.replay.held().contains_key(&stream("burn-8")));
        table.game.wait(900);
        table.game.tick().await;
        let held = table.game.plan_for(&Scope::Subject(stream("withdrawal-8"))).await;
        assert!(!held.changes && held.held[0].why.contains("its burn"), "{held:#?}");
    });
}

#[test]
fn two_that_were_signed_with_the_same_bytes_are_paid_by_two_transactions() {
    asked_for(async |anvil, table| {
        // The second was signed for the slot of the first, which was dropped: the same bytes, one payment.
        super::payment_of_ann::asked_too(table, "8", g(96)).await;
        signed(table, 0, &payment(0)).await;
        table.game.tell("withdrawal-8", super::desk::journaled(0, &payment(0), None)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        let of_second = async || table.game.plan_for(&Scope::Subject(stream("withdrawal-8"))).await;
        let waiting = of_second().await;
        assert!(!waiting.changes && waiting.held[0].finding.says.contains("W5"), "{waiting:#?}");
        // Its signer pays it from a slot of its own.
        table.game.tell("withdrawal-8", super::desk::journaled(1, &payment(1), None)).await;
        anvil.send(&payment(1)).await;
        anvil.finalize().await;
        table.look_into("withdrawal-8").await;
        let settled = of_second().await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"], "{settled:#?}");
        table.game.carry_out(&settled).await;
        let after = table.game.plan().await;
        assert!(after.held.is_empty(), "{after:#?}");
    });
}

#[test]
fn a_payment_that_nobody_can_name_is_decided_on_a_scan_like_the_banks() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: None }).await;
        anvil.finalize().await;
        only_two_may_not(table).await;
        let targets = Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() };
        table.observe(&targets).await;
        super::payment_of_ann::two_people_decide(table).await;
    });
}

#[test]
fn a_payment_by_its_hash_alone_whose_final_block_went_away_is_told_and_stops_money() {
    for gone_for_good in [false, true] {
        asked_for(async |anvil, table| {
            let paid = payment(0);
            let named = WithdrawalEvent::TxBroadcast { tx: Some(paid.tx.clone()), post: Some(label("post-5")) };
            table.game.tell(W, named).await;
            anvil.send(&paid).await;
            anvil.finalize().await;
            table.look_into(W).await;
            table.game.carry_out(&plan(table).await).await;
            assert!(table.game.plan().await.held.is_empty());
            anvil.reorg(9).await;
            if gone_for_good {
                anvil.send(&cancel(0)).await;
            }
            anvil.finalize().await;
            table.look_at(&paid.tx).await;
            table.look_at(&paid.tx).await;
            let told = plan(table).await;
            let says = &told.held[0].finding.says;
            assert!(says.contains("it is booked as paid, and the newest look says"), "{told:#?}");
            assert_eq!(table.game.look().await.standstill().is_some(), !gone_for_good, "{says}");
        });
    }
}

#[test]
fn a_slot_that_was_journaled_by_mistake_is_nobodys_when_another_payment_takes_it() {
    asked_for(async |anvil, table| {
        super::payment_of_ann::asked_too(table, "8", g(5)).await;
        let paid = payment(0);
        signed(table, 1, &paid).await;
        signed(table, 0, &paid).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        let other = pay(HOT, 1, wallet(PLAYER).as_str(), cents(500));
        table.game.tell("withdrawal-8", super::desk::journaled(1, &other, None)).await;
        anvil.send(&other).await;
        anvil.finalize().await;
        for looked in ["withdrawal-8", W] {
            table.look_into(looked).await;
            let all = table.game.plan().await;
            assert!(all.held.is_empty(), "{looked}: {all:#?}");
        }
        let state = table.game.look().await.replay.state;
        assert!(!Targets::open(&state).payments.iter().any(|slot| slot.attempts.contains(&paid.tx)));
    });
}

#[test]
fn a_second_payment_in_the_slot_that_was_journaled_by_mistake_is_told() {
    // Journaled too or not, and seen before it is settled or after.
    for (journaled, early) in [(true, true), (true, false), (false, true), (false, false)] {
        asked_for(async |anvil, table| {
            let (paid, again) = (payment(0), payment(1));
            signed(table, 1, &paid).await;
            if journaled {
                signed(table, 1, &again).await;
            }
            anvil.send(&paid).await;
            if early {
                anvil.send(&again).await;
            }
            anvil.finalize().await;
            table.look_into(W).await;
            table.look_into(W).await;
            let settled = plan(table).await;
            assert_eq!(kinds(&settled).last().unwrap(), "WithdrawalSettled", "{settled:#?}");
            table.game.carry_out(&settled).await;
            if !early {
                anvil.send(&again).await;
                anvil.finalize().await;
            }
            let state = table.game.look().await.replay.state;
            let sweep = if journaled {
                Targets::open(&state)
            } else {
                Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }
            };
            table.observe(&sweep).await;
            let told = table.game.plan().await;
            let twice = |says: &str| says.contains(again.tx.as_str()) && says.contains("may be paid twice");
            let says: Vec<_> = told.held.iter().map(|hold| hold.finding.says.as_str()).collect();
            assert!(says.iter().any(|says| twice(says)), "{journaled} {early} {says:?}");
        });
    }
}

#[test]
fn a_payment_that_was_journaled_by_mistake_and_failed_leaves_the_slot_to_what_is_in_it() {
    asked_for(async |anvil, table| {
        let (failed, again) = (payment(0), payment(1));
        signed(table, 1, &failed).await;
        set(anvil, 3, true, false).await;
        anvil.send(&failed).await;
        anvil.mine(1).await;
        set(anvil, 4, false, false).await;
        anvil.finalize().await;
        signed(table, 1, &again).await;
        table.look_into(W).await;
        table.look_into(W).await;
        // What is left is a payment that may be sent.
        let waiting = plan(table).await;
        assert!(!waiting.changes && waiting.held[0].finding.says.contains("W9"), "{waiting:#?}");
        anvil.send(&again).await;
        anvil.finalize().await;
        table.look_into(W).await;
        assert_eq!(kinds(&plan(table).await).last().unwrap(), "WithdrawalSettled");
    });
}

#[test]
fn what_was_journaled_again_for_the_right_slot_is_not_asked_for_again() {
    asked_for(async |anvil, table| {
        unjournaled(table).await;
        let failed = payment(0);
        signed(table, 1, &failed).await;
        set(anvil, 3, true, false).await;
        anvil.send(&failed).await;
        anvil.finalize().await;
        table.look_into(W).await;
        signed(table, 0, &failed).await;
        table.look_into(W).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox observe wallet"), "{held:#?}");
    });
}
