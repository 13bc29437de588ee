//! What left our wallets without a slot of ours (S5, banking.md 8): the bank's bot, other slots, what nothing explains.

use std::str::FromStr as _;

use wox_events::{Amount, Event, WithdrawalEvent, WithdrawalId, chain::Intent};
use wox_recovery::recovery::{Scope, Targets};

use super::{
    anvil::{HOT, PLAYER, STRANGER, cents, pay, wallet},
    desk::{cancel, journaled, payment},
    game::{g, label, stream, who},
    kinds, on_chain,
    payment_of_ann::{
        W, asked_for, asked_too, asks, chain_goes_on, goes_back, plan, seen, signed, two_people, two_people_decide,
        waits,
    },
};

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
fn s5_what_was_given_back_on_a_scan_stays_watched() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        anvil.finalize().await;
        table.observe(&Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }).await;
        two_people_decide(table).await;
        let sweep = async || {
            let open = Targets::open(&table.game.look().await.replay.state);
            assert_eq!(open.watched.len(), 1, "{open:?}");
            table.observe(&open).await
        };
        let nothing = sweep().await;
        assert!(!nothing[0].recorded && !nothing[0].unknown, "{}", nothing[0].says);
        // The bot pays after all.
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert!(sweep().await[0].recorded);
        assert!(!sweep().await[0].recorded, "told once");
        assert_eq!(kinds(&plan(table).await), ["DoublePayment"]);
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

#[test]
fn w0_is_not_said_because_a_transfer_was_named_where_it_does_not_fit() {
    asked_for(async |anvil, table| {
        asked_too(table, "8", Amount::cents(96)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(!plan(table).await.changes);
        // 96 G paid no withdrawal of 0.96 G, whoever says so.
        table.game.tell("withdrawal-8", journaled(0, &payment(0), None)).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains("W11"), "{held:#?}");
    });
}

#[test]
fn w0_is_not_said_because_two_transfers_were_named_on_one_withdrawal() {
    asked_for(async |anvil, table| {
        asked_too(table, "8", g(96)).await;
        for nonce in [0, 1] {
            anvil.send(&payment(nonce)).await;
            table.game.tell("withdrawal-8", journaled(nonce, &payment(nonce), None)).await;
        }
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(plan(table).await.changes, "one transfer, and the withdrawal it paid");
        table.look_at(&payment(1).tx).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains(payment(1).tx.as_str()), "{held:#?}");
    });
}

#[test]
fn two_people_say_what_a_transfer_paid_and_only_of_what_is_final() {
    asked_for(async |anvil, table| {
        let gift = pay(HOT, 0, wallet(PLAYER).as_str(), cents(500));
        let scope = Scope::Explain {
            chain: 8453,
            tx: gift.tx.clone(),
            first: label("alice"),
            second: label("bob"),
            why: "raffle".into(),
        };
        let unseen = table.game.plan_for(&scope).await;
        assert!(!unseen.changes && unseen.held[0].next.contains("wox observe transaction"), "{unseen:#?}");
        anvil.send(&gift).await;
        anvil.mine(1).await;
        table.look_at(&gift.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(!plan(table).await.changes, "it may have paid it");
        let early = table.game.plan_for(&scope).await;
        assert!(!early.changes && early.held[0].why.contains("not final"), "{early:#?}");
        anvil.finalize().await;
        table.look_at(&gift.tx).await;
        let said = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&said), ["TransferExplained"]);
        assert!(said.needs_approval);
        table.game.propose(&said).await;
        assert!(table.game.apply(&said).await.is_err(), "one person said so");
        table.game.approve(&said).await;
        table.game.apply(&said).await.unwrap();
        let again = table.game.plan_for(&scope).await;
        assert!(!again.changes && again.held.is_empty(), "{again:#?}");
        goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
    });
}

#[test]
fn an_address_in_another_spelling_is_the_same_address() {
    on_chain(async |anvil, table| {
        table.game.credit("deposit-8453:0xaa:0", 170, "ann", 100).await;
        let checksummed = alloy::primitives::Address::from_str(wallet(PLAYER).as_str()).unwrap().to_checksum(None);
        assert_ne!(checksummed, wallet(PLAYER).as_str());
        let shouted = |text: &str| format!("0x{}", text[2..].to_uppercase());
        let line = |kind: &str, data: serde_json::Value| Event::decode(&stream(W), kind, 1, &data.to_string()).unwrap();
        let asked = serde_json::json!({"player": "ann", "amount": "100", "destination": checksummed});
        table.game.tell(W, line("WithdrawalRequested", asked)).await;
        let (net, share) = (g(96), g(2));
        let held = WithdrawalEvent::FundsHeld {
            player: who("ann"),
            amount: g(100),
            net,
            pool_share: share,
            burn_share: share,
        };
        table.game.tell(W, held).await;
        let signed = serde_json::json!({
            "wallet": shouted(wallet(HOT).as_str()), "nonce": 0, "tx": shouted(payment(0).tx.as_str()),
            "digest": super::game::digest("x"),
        });
        table.game.tell(W, line("TxSigned", signed)).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"]);
    });
}

#[test]
fn a_payment_of_the_bank_that_failed_or_was_another_sum_is_said_as_it_is() {
    for (paid, decidable) in [(None, true), (Some(4_000), false)] {
        asked_for(async |anvil, table| {
            let sent = match paid {
                Some(amount) => pay(HOT, 0, wallet(PLAYER).as_str(), cents(amount)),
                None => pay(HOT, 0, wallet(PLAYER).as_str(), cents(900_000_000)),
            };
            let tx = Some(sent.tx.clone());
            table.game.tell(W, WithdrawalEvent::TxBroadcast { tx, post: Some(label("post-5")) }).await;
            anvil.send(&sent).await;
            anvil.finalize().await;
            table.look_into(W).await;
            let held = plan(table).await;
            let says = if decidable { "did not pay it" } else { "W3" };
            assert!(!held.changes && held.held[0].finding.says.contains(says), "{held:#?}");
            seen(table, &sent, true).await;
            match decidable {
                true => two_people_decide(table).await,
                false => assert!(!table.game.plan_for(&two_people()).await.changes),
            }
        });
    }
}

#[test]
fn s5_a_scan_that_begins_too_late_is_not_complete() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        // Not to her address, so that nothing but the scan's beginning speaks against it.
        for nonce in 0..3 {
            anvil.send(&cancel(nonce)).await;
        }
        anvil.finalize().await;
        let scan = async |from: u64| {
            table.observe(&Targets { wallets: vec![(wallet(HOT), from)], ..Targets::default() }).await
        };
        for from in [3, 2] {
            scan(from).await;
            assert!(!table.game.plan_for(&two_people()).await.changes, "slots below {from} were not shown");
        }
        // Asked for long after a scan showed that those slots were final: they cannot be its payment, whatever the clocks.
        table.game.wait(3_700);
        asked_too(table, "8", g(5)).await;
        table.game.tell("withdrawal-8", WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-6")) }).await;
        chain_goes_on(anvil, table).await;
        let scan = async |from: u64| {
            table.observe(&Targets { wallets: vec![(wallet(HOT), from)], ..Targets::default() }).await
        };
        scan(3).await;
        let withdrawal = stream("withdrawal-8");
        let (first, second) = (label("alice"), label("bob"));
        let scope = Scope::Release { withdrawal, first, second, why: "x".into() };
        let plan = table.game.plan_for(&scope).await;
        assert!(plan.changes, "{plan:#?}");
        scan(0).await;
        assert!(table.game.plan_for(&two_people()).await.changes);
    });
}

#[test]
fn s5_a_call_of_our_token_that_is_in_no_block_yet_forbids_the_decision() {
    asked_for(async |anvil, table| {
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
        anvil.send(&payment(0)).await;
        // One source has it in its pool.
        table.look_at(&payment(0).tx).await;
        seen(table, &payment(0), true).await;
        assert!(!table.game.plan_for(&two_people()).await.changes, "it may still be mined");
        // Cancelled for good, by a scan that shows what took its slot.
        anvil.send(&dearer_cancel()).await;
        anvil.finalize().await;
        seen(table, &payment(0), true).await;
        assert!(table.game.plan_for(&two_people()).await.changes);
    });
}

/// The cancel of slot 0 that a pool prefers to its payment.
fn dearer_cancel() -> super::anvil::Signed {
    super::anvil::sign(HOT, 0, Some(wallet(HOT).as_str()), Vec::new(), 30)
}

#[test]
fn by_rules_that_one_person_made_nothing_is_forgotten() {
    asked_for(async |anvil, table| {
        anvil.send(&payment(0)).await;
        anvil.mine(1).await;
        table.look_at(&payment(0).tx).await;
        table.game.wait(900);
        table.game.tick().await;
        assert!(!plan(table).await.changes);
        let agreed = table.policy.clone();
        let alone = wox_projections::verdict::quorum::Policy { quorum: 1, ..agreed.clone() };
        table.declares("alice", alone).await;
        // By her rules its block is gone and another transaction has the slot for good.
        anvil.reorg(2).await;
        anvil.send(&dearer_cancel()).await;
        anvil.finalize().await;
        seen(table, &payment(0), true).await;
        table.declares("alice", agreed).await;
        assert!(!plan(table).await.changes, "it is remembered");
        // By the rules of two it is.
        seen(table, &payment(0), true).await;
        assert!(plan(table).await.changes);
    });
}

#[test]
fn a_wallet_that_pays_no_more_paid_what_it_paid() {
    asked_for(async |anvil, table| {
        let tx = Some(payment(0).tx);
        table.game.tell(W, WithdrawalEvent::TxBroadcast { tx, post: Some(label("post-5")) }).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        let wallets = vec![wallet(STRANGER)];
        table.declare(wox_projections::verdict::quorum::Policy { wallets, ..table.policy.clone() }).await;
        table.look_into(W).await;
        let settled = plan(table).await;
        assert_eq!(kinds(&settled), ["TxMined", "WithdrawalSettled"], "{settled:#?}");
        table.game.carry_out(&settled).await;
        assert!(plan(table).await.held.is_empty());
    });
}

#[test]
fn what_paid_another_sum_to_one_withdrawal_is_explained_for_the_others() {
    asked_for(async |anvil, table| {
        let less = pay(HOT, 0, wallet(PLAYER).as_str(), cents(4_000));
        asked_too(table, "8", g(50)).await;
        table.game.tell("withdrawal-8", journaled(0, &less, None)).await;
        anvil.send(&less).await;
        anvil.finalize().await;
        table.look_into("withdrawal-8").await;
        table.look_at(&less.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox recover transfer"), "{held:#?}");
        let (first, second, tx) = (label("alice"), label("bob"), less.tx.clone());
        let scope = Scope::Explain { chain: 8453, tx, first, second, why: "a part of withdrawal 8".into() };
        let said = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&said), ["TransferExplained"], "what is said to be done does it: {said:#?}");
        table.game.carry_out(&said).await;
        assert!(plan(table).await.changes);
        let other = table.game.plan_for(&Scope::Subject(stream("withdrawal-8"))).await;
        assert!(!other.changes && other.held[0].finding.says.contains("W3"), "{other:#?}");
    });
}
