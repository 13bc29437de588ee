//! E1: burns, by the table of the payments.

use wox_events::{Amount, BurnEvent, TxHash, WithdrawalEvent, WithdrawalId, chain::Intent};
use wox_recovery::recovery::{Scope, Targets};

use super::{
    Table,
    anvil::{HOT, PLAYER, Signed, cents, pay, wallet},
    desk::{cancel, journaled, payment},
    game::{g, label, stream},
    kinds, on_chain,
    payment_of_ann::{RELEASED, W, asked_for, asked_too, chain_goes_on, goes_back, plan, set, signed},
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
        chain_goes_on(anvil, table).await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox observe wallet"), "{held:#?}");
        super::payment_of_ann::seen(table, &payment(0), true).await;
        goes_back(table, &RELEASED).await;
    });
}

#[test]
fn e1_shares_that_were_burned_together_and_named_by_nobody_call_nothing_off() {
    asked_for(async |anvil, table| {
        // Two shares of 2 G in one transfer.
        let both = pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(400));
        anvil.send(&both).await;
        anvil.finalize().await;
        table.look_at(&both.tx).await;
        table.game.wait(900);
        table.game.tick().await;
        let waiting = plan(table).await;
        assert!(!waiting.changes && waiting.held[0].why.contains("may be burned"), "{waiting:#?}");
    });
}

#[test]
fn e1_a_share_that_was_called_off_and_burned_is_told() {
    for named in [true, false] {
        asked_for(async |anvil, table| {
            table.game.wait(900);
            table.game.tick().await;
            goes_back(table, &["BurnCancelled", "HoldReleased"]).await;
            let burn = match named {
                true => burn_signed(table, 0).await,
                false => pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(200)),
            };
            anvil.send(&burn).await;
            anvil.finalize().await;
            match named {
                true => assert_eq!(table.look_into("burn-7").await.row, "W1"),
                false => drop(table.look_at(&burn.tx).await),
            }
            let told = table.game.plan_for(&Scope::Subject(stream("burn-7"))).await;
            let says = &told.held[0].finding.says;
            assert!(!told.changes && says.contains("called off") && says.contains(burn.tx.as_str()), "{told:#?}");
        });
    }
}

#[test]
fn e1_a_burn_whose_final_block_went_away_stops_all_money() {
    asked_for(async |anvil, table| {
        let burn = burn_signed(table, 0).await;
        anvil.send(&burn).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        table.game.carry_out(&table.game.plan_for(&Scope::Subject(stream("burn-7"))).await).await;
        anvil.reorg(9).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        let evidence = table.game.look().await;
        let stopped = evidence.standstill().expect("a final block went away");
        assert_eq!(stopped.about, Some(stream("burn-7")));
    });
}

#[test]
fn e1_a_share_that_nothing_waits_for_is_scheduled_again_and_a_late_burn_is_told() {
    on_chain(async |anvil, table| {
        asked_too(table, "8", g(5)).await;
        let paid = pay(HOT, 0, wallet(PLAYER).as_str(), cents(500));
        table.game.tell("withdrawal-8", journaled(0, &paid, None)).await;
        let settled = WithdrawalEvent::WithdrawalSettled { net: g(5), tx: paid.tx.clone() };
        table.game.tell("withdrawal-8", settled).await;
        let scope = Scope::Subject(stream("burn-8"));
        assert!(table.game.plan_for(&scope).await.items.is_empty(), "it was settled a moment ago");
        table.game.wait(900);
        table.game.tick().await;
        // Nobody has seen what was sent: it may be burned.
        let unseen = table.game.plan_for(&scope).await;
        assert!(!unseen.changes && unseen.held[0].next.contains("wox observe wallet"), "{unseen:#?}");
        anvil.send(&paid).await;
        anvil.finalize().await;
        let all = Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() };
        table.observe(&all).await;
        let lost = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&lost), ["BurnScheduled"], "{lost:#?}");
        assert!(lost.needs_approval, "what is scheduled is burned");
        // Burned by somebody who said nothing: it must not be burned again.
        let burned = pay(HOT, 1, wox_projections::burns::DEAD_ADDRESS, cents(2));
        anvil.send(&burned).await;
        anvil.finalize().await;
        table.observe(&all).await;
        let held = table.game.plan_for(&scope).await;
        assert!(!held.changes && held.held[0].next.contains(burned.tx.as_str()), "{held:#?}");
        let (chain, tx) = (8453, burned.tx.clone());
        let (first, second, why) = (label("alice"), label("bob"), "not ours".to_owned());
        table.game.carry_out(&table.game.plan_for(&Scope::Explain { chain, tx, first, second, why }).await).await;
        table.game.carry_out(&table.game.plan_for(&scope).await).await;
        assert!(table.game.plan_for(&scope).await.held.is_empty());
        // It waits, and is burned by somebody who says nothing.
        let again = pay(HOT, 2, wox_projections::burns::DEAD_ADDRESS, cents(2));
        anvil.send(&again).await;
        anvil.finalize().await;
        table.look_at(&again.tx).await;
        let held = table.game.plan_for(&scope).await;
        assert!(held.held[0].why.contains("to burn it again would burn twice"), "{held:#?}");
        let (chain, tx) = (8453, again.tx.clone());
        let (first, second, why) = (label("alice"), label("bob"), "not ours".to_owned());
        table.game.carry_out(&table.game.plan_for(&Scope::Explain { chain, tx, first, second, why }).await).await;
        table.game.wait(4 * 24 * 3600);
        table.game.tick().await;
        let late = table.game.plan_for(&scope).await;
        assert!(late.held[0].finding.says.contains("it was due at"), "{late:#?}");
    });
}

#[test]
fn e1_a_burn_is_of_the_share_that_was_held() {
    asked_for(async |_, table| {
        asked_too(table, "8", g(5)).await;
        let withdrawal = WithdrawalId::new("8").unwrap();
        let scheduled = BurnEvent::BurnScheduled { withdrawal, amount: g(5), due: table.game.now() };
        table.game.tell("burn-8", scheduled).await;
        assert!(table.game.look().await.replay.held().contains_key(&stream("burn-8")));
    });
}

/// Another share, of 0.02 G, that waits to be burned, and one transfer of both.
async fn burned_together(table: &Table) -> Signed {
    asked_too(table, "8", g(5)).await;
    waits(table, "8", Amount::cents(2)).await;
    pay(HOT, 0, wox_projections::burns::DEAD_ADDRESS, cents(202))
}

async fn waits(table: &Table, id: &str, amount: Amount) {
    let due = wox_events::Timestamp(table.game.now().0 + 50_000_000_000);
    let waits = BurnEvent::BurnScheduled { withdrawal: WithdrawalId::new(id).unwrap(), amount, due };
    table.game.tell(&format!("burn-{id}"), waits).await;
}

fn burn_sent(tx: &TxHash, slot: Option<u64>) -> BurnEvent {
    match slot {
        Some(nonce) => BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce, tx: tx.clone(), fees: None },
        None => BurnEvent::BurnTxBroadcast { tx: tx.clone() },
    }
}

#[test]
fn e1_shares_that_were_burned_together_settle_once_all_of_them_are_named() {
    // By the slot, by the hash, and one by each.
    for slots in [[Some(0), Some(0)], [None, None], [Some(0), None]] {
        asked_for(async |anvil, table| {
            let both = burned_together(table).await;
            table.game.tell("burn-7", burn_sent(&both.tx, slots[0])).await;
            anvil.send(&both).await;
            anvil.finalize().await;
            table.look_into("burn-7").await;
            // Of one that is named it is not known what else it burned.
            let first = table.game.plan_for(&Scope::Subject(stream("burn-7"))).await;
            assert!(!first.changes && first.held[0].next.contains("to each of them"), "{first:#?}");
            table.game.tell("burn-8", burn_sent(&both.tx, slots[1])).await;
            table.look_into("burn-8").await;
            let all = table.game.plan().await;
            assert_eq!(kinds(&all), ["BurnSettled", "BurnSettled"], "{slots:?} {all:#?}");
            table.game.carry_out(&all).await;
            let state = table.game.look().await.replay.state;
            assert_eq!((state.burns.settled(), state.conservation.drift.0), (Amount::cents(202), 0));
            let after = table.game.plan().await;
            assert!(!after.changes && after.held.is_empty(), "{after:#?}");
        });
    }
}

#[test]
fn e1_what_a_transaction_does_not_hold_for_all_it_is_named_for_settles_none_of_it() {
    asked_for(async |anvil, table| {
        let both = burned_together(table).await;
        asked_too(table, "9", g(5)).await;
        waits(table, "9", Amount::cents(2)).await;
        for stream in ["burn-7", "burn-8", "burn-9"] {
            table.game.tell(stream, burn_sent(&both.tx, Some(0))).await;
        }
        anvil.send(&both).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        let all = table.game.plan().await;
        assert!(!kinds(&all).contains(&"BurnSettled".to_owned()), "{all:#?}");
    });
}

#[test]
fn e1_two_people_are_told_what_counts_as_not_burned_by_what_they_explain() {
    asked_for(async |anvil, table| {
        let both = burned_together(table).await;
        anvil.send(&both).await;
        anvil.finalize().await;
        table.look_at(&both.tx).await;
        let (chain, tx) = (8453, both.tx.clone());
        let (first, second, why) = (label("alice"), label("bob"), "a gift to nobody".to_owned());
        let plan = table.game.plan_for(&Scope::Explain { chain, tx, first, second, why }).await;
        let says = &plan.items[0].steps[0].says;
        assert!(says.ends_with("so it is no payment of burn-7, burn-8"), "{says}");
    });
}

#[test]
fn e1_a_share_that_names_what_burned_others_is_not_burned_by_it() {
    asked_for(async |anvil, table| {
        let both = burned_together(table).await;
        for name in ["burn-7", "burn-8"] {
            table.game.tell(name, burn_sent(&both.tx, None)).await;
        }
        anvil.send(&both).await;
        anvil.finalize().await;
        table.look_into("burn-7").await;
        table.game.carry_out(&table.game.plan().await).await;
        // A third one, of exactly the sum, names it too.
        let amount = Amount::cents(202);
        table.game.credit("deposit-8453:0xc9:0", 181, "ann", 1_000).await;
        let (player, destination) = (super::game::who("ann"), wallet(PLAYER));
        let requested = WithdrawalEvent::WithdrawalRequested { player: player.clone(), amount: g(100), destination };
        table.game.tell("withdrawal-9", requested).await;
        let net = g(100).checked_sub(amount).and_then(|rest| rest.checked_sub(amount)).unwrap();
        let held = WithdrawalEvent::FundsHeld { player, amount: g(100), net, pool_share: amount, burn_share: amount };
        table.game.tell("withdrawal-9", held).await;
        waits(table, "9", amount).await;
        table.game.tell("burn-9", burn_sent(&both.tx, None)).await;
        let all = table.game.plan().await;
        assert!(!kinds(&all).contains(&"BurnSettled".to_owned()), "{all:#?}");
        let wrongly = |name: &str| all.held.iter().any(|hold| hold.finding.subject.as_str() == name);
        assert!(!wrongly("burn-7") && !wrongly("burn-8"), "{all:#?}");
    });
}

#[test]
fn e1_shares_that_are_burned_together_a_second_time_are_told() {
    for named in [true, false] {
        asked_for(async |anvil, table| {
            let both = burned_together(table).await;
            let again = pay(HOT, 1, wox_projections::burns::DEAD_ADDRESS, cents(202));
            for name in ["burn-7", "burn-8"] {
                table.game.tell(name, burn_sent(&both.tx, None)).await;
            }
            anvil.send(&both).await;
            anvil.finalize().await;
            table.look_into("burn-7").await;
            table.game.carry_out(&table.game.plan().await).await;
            if named {
                table.game.tell("burn-7", burn_sent(&again.tx, None)).await;
            }
            anvil.send(&again).await;
            anvil.finalize().await;
            table.look_at(&again.tx).await;
            let all = table.game.plan().await;
            let told = all.held.iter().filter(|hold| hold.finding.says.contains("it may be paid twice"));
            assert_eq!(told.count(), 1, "{all:#?}");
        });
    }
}
