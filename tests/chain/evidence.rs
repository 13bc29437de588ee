//! What a release rests on when no proof of a slot decides: everything that our wallets sent, as far as it is shown, since
//! it was asked for, whatever the rules, the clocks and the order of the log were.

use wox_events::{ChainEvent, EventId, WithdrawalEvent, chain};
use wox_projections::verdict::quorum::Policy;
use wox_recovery::recovery::{Scope, Targets};

use super::{
    Table,
    anvil::{Anvil, HOT, PLAYER, STRANGER, TREASURY, cents, pay, wallet},
    desk::{asked, payment},
    game::{self, g, label, who},
    kinds, on_chain,
    payment_of_ann::{W, asked_for, chain_goes_on, plan, signed, two_people, two_people_decide},
};

/// The bank's bot is asked to pay.
async fn bot_asked(table: &Table) {
    table.game.tell(W, WithdrawalEvent::TxBroadcast { tx: None, post: Some(label("post-5")) }).await;
}

async fn scanned(table: &Table, who: usize) -> super::Seen {
    let targets = Targets { wallets: vec![(wallet(who), 0)], ..Targets::default() };
    table.observe(&targets).await.into_iter().next().unwrap()
}

/// Two people may not decide that it goes back; what is said of it instead, and what is to be done.
async fn stays(table: &Table) -> (String, String) {
    let decided = table.game.plan_for(&two_people()).await;
    assert!(!decided.changes, "{decided:#?}");
    let held = &decided.held[0];
    (held.finding.says.clone(), held.next.clone())
}

#[test]
fn while_evidence_is_held_no_money_moves_and_a_look_behind_it_says_so() {
    asked_for(async |anvil, table| {
        table.game.wait(900);
        table.game.tick().await;
        let released = plan(table).await;
        assert!(released.changes, "nothing was signed, and the signer journals here");
        table.game.propose(&released).await;
        table.game.approve(&released).await;
        // What nobody can fold stands in the stream of the transaction that pays her.
        let paid = payment(0);
        let place = chain::transaction_stream(8453, &paid.tx).unwrap();
        let (first, second) = (label("alice"), label("bob"));
        let stray = ChainEvent::FinalityRestored {
            deposit: game::stream("deposit-8453:0xaa:0"),
            violation: EventId::derived(&["no such violation"]),
            stands: true,
            evidence: EventId::derived(&["nothing"]),
            first,
            second,
        };
        table.game.tell(place.as_str(), stray).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        let seen = table.look_at(&paid.tx).await;
        assert!(seen.unknown && seen.says.contains("nothing follows from it"), "{}", seen.says);
        let stopped = table.game.apply(&released).await.unwrap_err().to_string();
        assert!(stopped.contains("counts for nothing"), "{stopped}");
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].next.contains("wox recover event"), "{held:#?}");
        let scope = Scope::Restore {
            deposit: game::stream("deposit-8453:0xaa:0"),
            first: label("alice"),
            second: label("bob"),
            why: "x".into(),
        };
        assert!(!table.game.plan_for(&scope).await.changes);
        // Left out by name, the look counts: she was paid, and nothing goes back.
        let position = table.game.look().await.replay.held().values().next().unwrap().since.position;
        let waive = table.game.plan_for(&Scope::Waive { position, why: "stray".into() }).await;
        table.game.carry_out(&waive).await;
        let known = plan(table).await;
        assert!(!known.changes && known.held[0].finding.says.contains("W11"), "{known:#?}");
        assert!(table.game.apply(&released).await.is_err());
    });
}

#[test]
fn s5_a_payment_that_is_not_final_yet_forbids_the_decision() {
    for mined in [0, 1] {
        asked_for(async |anvil, table| {
            bot_asked(table).await;
            anvil.finalize().await;
            anvil.send(&payment(0)).await;
            if mined > 0 {
                anvil.mine(mined).await;
            }
            let seen = scanned(table, HOT).await;
            assert!(seen.unknown && seen.says.contains("look again") || mined > 0, "{}", seen.says);
            stays(table).await;
        });
    }
}

#[test]
fn s5_a_scan_counts_when_its_final_block_is_younger_than_what_happened_last() {
    asked_for(async |anvil, table| {
        anvil.finalize().await;
        table.game.wait(24 * 3600);
        bot_asked(table).await;
        assert!(!scanned(table, HOT).await.unknown, "all that is final is shown");
        let (_, next) = stays(table).await;
        assert!(next.contains("once a block younger than"), "{next}");
        // The chain goes on, and with it what is final.
        chain_goes_on(anvil, table).await;
        scanned(table, HOT).await;
        two_people_decide(table).await;
    });
}

#[test]
fn s5_a_scan_before_what_the_log_got_late_does_not_count() {
    asked_for(async |anvil, table| {
        anvil.finalize().await;
        scanned(table, HOT).await;
        // It happened before the scan, and is in the log behind it.
        bot_asked(table).await;
        stays(table).await;
        scanned(table, HOT).await;
        two_people_decide(table).await;
    });
}

#[test]
fn what_was_asked_for_before_it_was_in_the_log_may_be_paid_by_what_was_seen_before() {
    for by_scan in [false, true] {
        on_chain(async |anvil, table| {
            anvil.send(&payment(0)).await;
            anvil.finalize().await;
            super::payment_of_ann::seen(table, &payment(0), by_scan).await;
            // The game was late: it was asked for before the payment was seen.
            asked(&table.game).await;
            table.game.wait(900);
            table.game.tick().await;
            let held = plan(table).await;
            assert!(!held.changes && held.held[0].finding.says.contains("W11"), "{held:#?}");
            bot_asked(table).await;
            scanned(table, HOT).await;
            stays(table).await;
        });
    }
}

#[test]
fn w0_a_journal_that_began_after_it_was_asked_for_proves_nothing() {
    on_chain(async |_, table| {
        let journaled = Policy { journaled: false, ..table.policy.clone() };
        table.declare(journaled).await;
        table.game.wait(3600);
        table.declare(Policy { journaled: true, ..table.policy.clone() }).await;
        table.game.wait(-1800);
        asked(&table.game).await;
        table.game.wait(1800 + 900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains("did not journal"), "{held:#?}");
    });
}

#[test]
fn s5_every_wallet_that_ever_paid_has_to_be_shown() {
    asked_for(async |anvil, table| {
        let both = Policy { wallets: vec![wallet(HOT), wallet(TREASURY)], ..table.policy.clone() };
        let one = table.policy.clone();
        table.declare(both).await;
        bot_asked(table).await;
        anvil.send(&pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600))).await;
        anvil.finalize().await;
        table.declare(one).await;
        scanned(table, HOT).await;
        let (_, next) = stays(table).await;
        assert!(next.contains(wallet(TREASURY).as_str()), "{next}");
        scanned(table, TREASURY).await;
        let (says, _) = stays(table).await;
        assert!(says.contains("no event says what it paid"), "{says}");
    });
}

#[test]
fn w4_a_wallet_that_a_signer_named_is_ours_without_being_declared() {
    asked_for(async |anvil, table| {
        let attempt = pay(TREASURY, 3, wallet(PLAYER).as_str(), cents(9_600));
        let digest = wox_events::Digest::of(attempt.raw.as_ref());
        let (wallet_of, tx) = (wallet(TREASURY), attempt.tx.clone());
        let signed = WithdrawalEvent::TxSigned { wallet: wallet_of.clone(), nonce: 3, tx, digest, fees: None };
        table.game.tell(W, signed).await;
        let fence = super::anvil::sign(TREASURY, 3, Some(wallet(TREASURY).as_str()), Vec::new(), 20);
        let fenced = WithdrawalEvent::WithdrawalFenced { wallet: wallet_of, nonce: 3, tx: fence.tx.clone() };
        table.game.tell(W, fenced).await;
        anvil.send(&fence).await;
        let paid = pay(TREASURY, 4, wallet(PLAYER).as_str(), cents(9_600));
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        assert_eq!(table.look_into(W).await.row, "W4");
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains(paid.tx.as_str()), "{held:#?}");
    });
}

#[test]
fn w11_what_was_asked_for_under_another_token_is_not_given_back() {
    asked_for(async |anvil, table| {
        bot_asked(table).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        let before = table.policy.clone();
        let other = Policy { tokens: vec![wallet(STRANGER)], ..before.clone() };
        table.declare(other).await;
        scanned(table, HOT).await;
        let (says, _) = stays(table).await;
        assert!(says.contains("was taken out of the rules"), "{says}");
        // Both tokens count again, and the payment is seen.
        let tokens = before.tokens.iter().cloned().chain([wallet(STRANGER)]).collect();
        table.declare(Policy { tokens, ..before }).await;
        scanned(table, HOT).await;
        let (says, _) = stays(table).await;
        assert!(says.contains("no event says what it paid"), "{says}");
    });
}

/// Ann asks for 100 G to something that is no address.
fn asked_for_at(destination: &str, test: impl AsyncFnOnce(&Anvil, &mut Table)) {
    on_chain(async |anvil, table| {
        table.game.credit("deposit-8453:0xaa:0", 170, "ann", 100).await;
        let requested = WithdrawalEvent::WithdrawalRequested {
            player: who("ann"),
            amount: g(100),
            destination: label(destination),
        };
        table.game.tell(W, requested).await;
        let (amount, net, pool_share, burn_share) = (g(100), g(96), g(2), g(2));
        let held = WithdrawalEvent::FundsHeld { player: who("ann"), amount, net, pool_share, burn_share };
        table.game.tell(W, held).await;
        test(anvil, table).await;
    });
}

#[test]
fn a_destination_that_is_no_address_may_be_paid_by_whatever_has_the_amount() {
    let padded = format!("0x{:0>64}", &wallet(PLAYER).as_str()[2..]);
    for destination in ["@ann", &wallet(PLAYER).as_str()[2..], padded.as_str()] {
        // Unnamed: nobody knows whom it paid.
        asked_for_at(destination, async |anvil, table| {
            bot_asked(table).await;
            anvil.send(&payment(0)).await;
            anvil.finalize().await;
            scanned(table, HOT).await;
            let (says, _) = stays(table).await;
            assert!(says.contains("no event says what it paid"), "{says}");
        });
        // Named by the game: of its amount, out of our wallet, it paid it.
        asked_for_at(destination, async |anvil, table| {
            let named = WithdrawalEvent::TxBroadcast { tx: Some(payment(0).tx), post: Some(label("post-5")) };
            table.game.tell(W, named).await;
            anvil.send(&payment(0)).await;
            anvil.finalize().await;
            table.look_into(W).await;
            scanned(table, HOT).await;
            stays(table).await;
            assert_eq!(kinds(&plan(table).await), ["TxMined", "WithdrawalSettled"]);
        });
        // Signed for it here.
        asked_for_at(destination, async |anvil, table| {
            signed(table, 0, &payment(0)).await;
            anvil.send(&payment(0)).await;
            anvil.finalize().await;
            assert_eq!(table.look_into(W).await.row, "W1");
        });
    }
    // Another amount to somebody else is no sign of it.
    asked_for_at("@ann", async |anvil, table| {
        bot_asked(table).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(500))).await;
        anvil.finalize().await;
        scanned(table, HOT).await;
        let decided = table.game.plan_for(&two_people()).await;
        assert_eq!(kinds(&decided), ["HoldReleased"], "{decided:#?}");
    });
}

#[test]
fn a_handle_is_paid_by_its_players_wallet_and_by_no_other_players() {
    // Less than the amount, to the wallet that ann proved to hold: it may be hers.
    asked_for_at("@ann", async |anvil, table| {
        bot_asked(table).await;
        anvil.send(&pay(HOT, 0, wallet(PLAYER).as_str(), cents(9_550))).await;
        anvil.finalize().await;
        scanned(table, HOT).await;
        let (says, _) = stays(table).await;
        assert!(says.contains("no event says what it paid"), "{says}");
    });
    // The amount, by its name, to a wallet of ben's: it did not pay ann.
    asked_for_at("@ann", async |anvil, table| {
        table.game.player("ben", 0).await;
        let bound = wox_events::PlayerEvent::WalletBound { wallet: wallet(STRANGER), method: label("signed-message") };
        table.game.tell("player-ben", bound).await;
        let paid = pay(HOT, 0, wallet(STRANGER).as_str(), cents(9_600));
        bot_named(table, &paid.tx).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let found = plan(table).await;
        assert!(!found.changes, "{found:#?}");
        stays(table).await;
    });
}

/// The bank's bot is asked, and names its transaction.
async fn bot_named(table: &Table, tx: &wox_events::TxHash) {
    let named = WithdrawalEvent::TxBroadcast { tx: Some(tx.clone()), post: Some(label("post-5")) };
    table.game.tell(W, named).await;
}

#[test]
fn s5_a_named_payment_that_may_still_land_forbids_the_decision() {
    for dropped in [false, true] {
        asked_for(async |anvil, table| {
            // Its slot is behind one that is free: it waits in no row.
            let later = payment(1);
            bot_named(table, &later.tx).await;
            anvil.send(&later).await;
            anvil.finalize().await;
            table.look_into(W).await;
            if dropped {
                anvil.drop_from_pool(&later.tx).await;
                table.look_into(W).await;
            }
            scanned(table, HOT).await;
            stays(table).await;
            // Its slot is taken by something else, final: it never lands.
            anvil.send(&super::desk::cancel(0)).await;
            anvil.drop_from_pool(&later.tx).await;
            anvil.send(&super::desk::cancel(1)).await;
            anvil.finalize().await;
            table.look_into(W).await;
            scanned(table, HOT).await;
            two_people_decide(table).await;
        });
    }
}

#[test]
fn w3_a_named_payment_of_another_sum_is_known_and_never_given_back_whole() {
    asked_for(async |anvil, table| {
        let less = pay(HOT, 0, wallet(PLAYER).as_str(), cents(9_550));
        bot_named(table, &less.tx).await;
        anvil.send(&less).await;
        anvil.finalize().await;
        table.look_into(W).await;
        scanned(table, HOT).await;
        let (says, _) = stays(table).await;
        assert!(says.contains("W3"), "{says}");
        let accept = Scope::Accept {
            subject: game::stream(W),
            first: label("alice"),
            second: label("bob"),
            why: "the fee was the bot's".into(),
        };
        assert_eq!(kinds(&table.game.plan_for(&accept).await), ["IncidentAccepted"]);
    });
}

#[test]
fn w1_a_named_transaction_that_cannot_be_its_payment_settles_nothing() {
    // Explained by two people as another thing.
    asked_for(async |anvil, table| {
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        let (chain, tx) = (8453, payment(0).tx);
        let (first, second, why) = (label("alice"), label("bob"), "a prize of the raffle".to_owned());
        table.game.carry_out(&table.game.plan_for(&Scope::Explain { chain, tx, first, second, why }).await).await;
        bot_named(table, &payment(0).tx).await;
        table.look_into(W).await;
        let plan = plan(table).await;
        assert!(!plan.changes, "{plan:#?}");
    });
    // It stayed ours.
    asked_for_at("@ann", async |anvil, table| {
        let moved = pay(HOT, 0, super::WATCHED, cents(9_600));
        bot_named(table, &moved.tx).await;
        anvil.send(&moved).await;
        anvil.finalize().await;
        table.look_into(W).await;
        let plan = plan(table).await;
        assert!(!plan.changes, "{plan:#?}");
    });
}

#[test]
fn what_was_seen_is_not_forgotten_by_rules_that_name_fewer_tokens() {
    asked_for(async |anvil, table| {
        let before = Policy { tokens: vec![super::anvil::token(), wallet(STRANGER)], ..table.policy.clone() };
        table.declare(before.clone()).await;
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        scanned(table, HOT).await;
        table.declare(Policy { tokens: vec![wallet(STRANGER)], ..before.clone() }).await;
        scanned(table, HOT).await;
        table.look_at(&payment(0).tx).await;
        table.declare(before).await;
        table.game.wait(900);
        table.game.tick().await;
        let held = plan(table).await;
        assert!(!held.changes && held.held[0].finding.says.contains("no event says what it paid"), "{held:#?}");
    });
}

#[test]
fn s5_a_decision_on_an_old_scan_is_not_carried_out() {
    asked_for(async |anvil, table| {
        bot_asked(table).await;
        anvil.finalize().await;
        scanned(table, HOT).await;
        let decided = table.game.plan_for(&two_people()).await;
        table.game.propose(&decided).await;
        table.game.approve(&decided).await;
        let later = wox_events::Timestamp(game::NOW.0 + 2 * 3_600_000_000);
        let refused = table.game.apply_at(&decided, later).await.unwrap_err().to_string();
        assert!(refused.contains("look again, and decide again"), "{refused}");
        assert_eq!(table.held().await, g(0));
    });
}

#[test]
fn s5_a_busy_wallet_is_shown_to_its_end_and_a_source_without_old_state_stops_nobody() {
    asked_for(async |anvil, table| {
        bot_asked(table).await;
        anvil.finalize().await;
        for nonce in 0..60 {
            anvil.send(&pay(HOT, nonce, wallet(STRANGER).as_str(), cents(1))).await;
        }
        anvil.mine(1).await;
        let seen = scanned(table, HOT).await;
        assert!(!seen.unknown, "{}", seen.says);
        two_people_decide(table).await;
    });
}

#[test]
fn w11_a_payment_that_two_withdrawals_name_settles_one_and_is_said_to_be_its() {
    asked_for(async |anvil, table| {
        super::payment_of_ann::asked_too(table, "8", g(96)).await;
        for stream in [W, "withdrawal-8"] {
            let named = WithdrawalEvent::TxBroadcast { tx: Some(payment(0).tx), post: Some(label("post-5")) };
            table.game.tell(stream, named).await;
        }
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_into(W).await;
        table.game.carry_out(&plan(table).await).await;
        let other = table.game.plan_for(&Scope::Subject(game::stream("withdrawal-8"))).await;
        assert!(
            !other.changes && other.held[0].finding.says.contains("paid something else that names it"),
            "{other:#?}"
        );
    });
}
