//! R12: deposits that the game booked, and not as they came.

use wox_events::{ChainEvent, DepositEvent, PlayerEvent, PlayerId, StreamId, TxHash, WithdrawalEvent};
use wox_recovery::recovery::{Plan, Scope};

use super::{
    Table,
    anvil::{Anvil, PLAYER, STRANGER, Signed, TREASURY, WATCHED, cents, pay, wallet},
    deposits::{deposit, observation, observed},
    game::{g, label, stream, who},
    kinds, on_chain,
};

/// The game says that it saw 50 G and credited them to a player.
async fn booked(anvil: &Anvil, table: &Table, tx: &TxHash, player: &str) {
    observed(anvil, table, tx).await;
    let (tx, player, amount, dust) = (tx.clone(), who(player), g(50), g(0));
    let credited = DepositEvent::DepositCredited { chain: 8453, tx: tx.clone(), ordinal: 0, player, amount, dust };
    table.game.tell(&deposit(&tx, 0), credited).await;
}

async fn came(anvil: &Anvil, table: &Table, paid: &Signed) {
    anvil.send(paid).await;
    anvil.finalize().await;
    assert_eq!(table.look_at(&paid.tx).await.row, "D1");
}

/// Ann asks for the 50 G that she was credited.
async fn spends(table: &Table) {
    let (player, amount, destination) = (who("ann"), g(50), wallet(PLAYER));
    let requested = WithdrawalEvent::WithdrawalRequested { player: player.clone(), amount, destination };
    table.game.tell("withdrawal-5", requested).await;
    let (net, pool_share, burn_share) = (g(48), g(1), g(1));
    let held = WithdrawalEvent::FundsHeld { player, amount, net, pool_share, burn_share };
    table.game.tell("withdrawal-5", held).await;
}

fn subject(tx: &TxHash) -> StreamId {
    stream(&deposit(tx, 0))
}

async fn given_to(table: &Table, tx: &TxHash, player: &str) -> Plan {
    let player: PlayerId = who(player);
    table.game.plan_for(&Scope::Attribute { deposit: subject(tx), player, why: "ticket-17".into() }).await
}

#[test]
fn r12_a_credit_of_another_amount_than_came_is_booked_anew() {
    for came_cents in [500, 9_000] {
        on_chain(async |anvil, table| {
            let paid = pay(PLAYER, 0, WATCHED, cents(came_cents));
            anvil.send(&paid).await;
            anvil.finalize().await;
            booked(anvil, table, &paid.tx, "ann").await;
            table.look_at(&paid.tx).await;
            let plan = table.plan(&paid.tx).await;
            assert_eq!(kinds(&plan), ["DepositDebited", "DepositObserved", "DepositCredited"], "{plan:#?}");
            assert!(plan.needs_approval && plan.items[0].findings[0].says.contains("its log on the chain has"));
            table.game.carry_out(&plan).await;
            let state = table.game.look().await.replay.state;
            assert_eq!((table.held().await, state.conservation.drift.0), (wox_events::Amount::cents(came_cents), 0));
            let after = table.game.plan().await;
            assert!(!after.changes && after.held.is_empty(), "{after:#?}");
        });
    }
}

#[test]
fn r12_a_credit_of_another_amount_that_is_spent_is_for_people() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(500));
        anvil.send(&paid).await;
        anvil.finalize().await;
        booked(anvil, table, &paid.tx, "ann").await;
        spends(table).await;
        table.look_at(&paid.tx).await;
        let plan = table.plan(&paid.tx).await;
        assert!(!plan.changes && plan.held[0].why.contains("holds 0 G of the 50 G"), "{plan:#?}");
    });
}

#[test]
fn r12_a_credit_to_another_than_whose_wallet_sent_it_is_for_people_who_can_move_it() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&paid).await;
        anvil.finalize().await;
        booked(anvil, table, &paid.tx, "ben").await;
        table.look_at(&paid.tx).await;
        let plan = table.plan(&paid.tx).await;
        assert!(!plan.changes && plan.held[0].next.contains("--player ann"), "{plan:#?}");
        let decided = given_to(table, &paid.tx, "ann").await;
        assert_eq!(kinds(&decided), ["AttributionCorrected"], "{decided:#?}");
        assert!(decided.needs_approval);
        table.game.carry_out(&decided).await;
        assert_eq!((table.held().await, table.game.player_has("ben").await.1), (g(50), g(0)));
        assert!(table.game.plan().await.held.is_empty());
        assert!(!given_to(table, &paid.tx, "ann").await.changes, "decided once");
        let back = given_to(table, &paid.tx, "ben").await;
        assert!(!back.changes && back.held[0].why.contains("player ann's"), "her wallet sent it: {back:#?}");
    });
}

#[test]
fn r12_a_credit_that_the_bank_or_no_binding_speaks_of_is_nobodys_fault() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        // Nobody bound the wallet that sent it.
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let paid = pay(STRANGER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        booked(anvil, table, &paid.tx, "ben").await;
        assert!(table.game.plan().await.held.is_empty());
        // The bank says that what Ann's wallet sent is Ben's.
        let other = pay(PLAYER, 0, WATCHED, cents(5_000));
        came(anvil, table, &other).await;
        booked(anvil, table, &other.tx, "ben").await;
        assert_eq!(table.game.plan().await.held.len(), 1);
        let (tx, player) = (other.tx.clone(), who("ben"));
        let said = ChainEvent::BankConfirmed { tx, player, post: label("post-9") };
        table.game.tell(&format!("chain-8453:bank:{}", other.tx), said).await;
        assert!(table.game.plan().await.held.is_empty());
    });
}

#[test]
fn r12_a_credit_that_nobody_observed_is_observed_and_conserved() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        let (tx, player, amount, dust) = (paid.tx.clone(), who("ann"), g(50), g(0));
        let credited = DepositEvent::DepositCredited { chain: 8453, tx, ordinal: 0, player, amount, dust };
        table.game.tell(&deposit(&paid.tx, 0), credited).await;
        assert_ne!(table.game.look().await.replay.state.conservation.drift.0, 0);
        let plan = table.plan(&paid.tx).await;
        assert_eq!(kinds(&plan), ["DepositObserved"], "{plan:#?}");
        table.game.carry_out(&plan).await;
        assert_eq!(table.game.look().await.replay.state.conservation.drift.0, 0);
        assert!(!table.plan(&paid.tx).await.changes);
    });
}

#[test]
fn r12_what_the_bank_or_a_wallet_says_since_the_plan_was_made_stops_it() {
    for said in ["bank", "unbound", "bank-of-suspense"] {
        on_chain(async |anvil, table| {
            table.game.player("ben", 0).await;
            let sender = if said == "bank-of-suspense" { STRANGER } else { PLAYER };
            if sender == STRANGER {
                anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
                anvil.mine(1).await;
            }
            let paid = pay(sender, 0, WATCHED, cents(5_000));
            came(anvil, table, &paid).await;
            let bank = async |player: &str| {
                let (tx, player) = (paid.tx.clone(), who(player));
                let post = label(&format!("post-of-{player}"));
                let said = ChainEvent::BankConfirmed { tx, player, post };
                table.game.tell(&format!("chain-8453:bank:{}", paid.tx), said).await;
            };
            if said == "bank-of-suspense" {
                table.game.carry_out(&table.plan(&paid.tx).await).await;
                bank("ann").await;
            }
            let plan = table.plan(&paid.tx).await;
            assert!(plan.changes, "{plan:#?}");
            table.game.propose(&plan).await;
            table.game.approve(&plan).await;
            match said {
                "unbound" => {
                    let unbound = PlayerEvent::WalletUnbound { wallet: wallet(PLAYER), reason: label("asked") };
                    table.game.tell("player-ann", unbound).await;
                }
                _ => bank("ben").await,
            }
            let refused = table.game.apply(&plan).await.unwrap_err();
            assert!(refused.is_refusal() && refused.to_string().contains("nobody's"), "{said}: {refused}");
            assert_eq!(table.held().await, g(0));
        });
    }
}

#[test]
fn r12_a_wallet_that_changed_hands_says_nothing_of_what_it_paid() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        table
            .game
            .tell("player-ann", PlayerEvent::WalletUnbound { wallet: wallet(PLAYER), reason: label("asked") })
            .await;
        let bound = PlayerEvent::WalletBound { wallet: wallet(PLAYER), method: label("signed-message") };
        table.game.tell("player-ben", bound).await;
        let plan = table.plan(&paid.tx).await;
        assert_eq!(kinds(&plan), ["DepositObserved", "DepositQuarantined"], "{plan:#?}");
        table.game.carry_out(&plan).await;
        let decided = given_to(table, &paid.tx, "ann").await;
        assert_eq!(kinds(&decided), ["QuarantineReleased"]);
        table.game.carry_out(&decided).await;
        assert_eq!(table.held().await, g(50));
    });
}

#[test]
fn r12_one_log_under_two_streams_is_one_deposit() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&paid).await;
        anvil.finalize().await;
        observed(anvil, table, &paid.tx).await;
        let seen = observation(anvil, &paid.tx).await;
        table.game.tell("deposit-x", seen).await;
        let kept = DepositEvent::DepositQuarantined { value: g(50), reason: label("no-binding") };
        table.game.tell("deposit-x", kept).await;
        table.look_at(&paid.tx).await;
        let plan = table.plan(&paid.tx).await;
        assert_eq!(kinds(&plan), ["QuarantineReleased"], "{plan:#?}");
        table.game.carry_out(&plan).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((table.held().await, state.conservation.drift.0), (g(50), 0));
        assert!(!table.plan(&paid.tx).await.changes);
    });
}

#[test]
fn d1_what_was_refused_under_other_rules_is_given_to_its_player_by_a_decision() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&paid).await;
        anvil.finalize().await;
        observed(anvil, table, &paid.tx).await;
        let refused = DepositEvent::DepositRejected { reason: label("not-watched") };
        table.game.tell(&deposit(&paid.tx, 0), refused).await;
        table.look_at(&paid.tx).await;
        let held = table.plan(&paid.tx).await;
        assert!(!held.changes && held.held[0].next.contains("--player ID"), "{held:#?}");
        let decided = given_to(table, &paid.tx, "ann").await;
        assert_eq!(kinds(&decided), ["DepositObserved", "DepositAttributed", "DepositCredited"], "{decided:#?}");
        table.game.carry_out(&decided).await;
        assert_eq!(table.held().await, g(50));
        assert!(table.game.plan().await.held.is_empty());
    });
}

/// Alice and Bob decide about a deposit whose final block went away.
fn restore(tx: &TxHash) -> Scope {
    Scope::Restore { deposit: subject(tx), first: label("alice"), second: label("bob"), why: "ticket-93".into() }
}

#[test]
fn d10_suspense_whose_block_went_away_for_good_is_taken_out() {
    on_chain(async |anvil, table| {
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.finalize().await;
        let paid = pay(STRANGER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        anvil.reorg(9).await;
        anvil.send(&pay(STRANGER, 0, WATCHED, cents(100))).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&paid.tx).await.row, "D10");
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        let decided = table.game.plan_for(&restore(&paid.tx)).await;
        assert_eq!(kinds(&decided), ["SuspenseReversed", "FinalityRestored"], "{decided:#?}");
        table.game.carry_out(&decided).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((state.ledger.balance(&wox_projections::Account::Suspense), state.conservation.drift.0), (g(0), 0));
        assert!(table.game.look().await.standstill().is_none());
    });
}

#[test]
fn d10_what_a_player_has_spent_does_not_stop_all_other_money() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        spends(table).await;
        anvil.reorg(9).await;
        anvil.send(&pay(PLAYER, 0, WATCHED, cents(100))).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&paid.tx).await.row, "D10");
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        assert!(table.game.look().await.standstill().is_some());
        let decided = table.game.plan_for(&restore(&paid.tx)).await;
        assert_eq!(kinds(&decided), ["FinalityRestored"], "{decided:#?}");
        assert!(decided.items[0].findings[0].says.contains("holds 0 G of the 50 G"), "{decided:#?}");
        table.game.carry_out(&decided).await;
        assert!(table.game.look().await.standstill().is_none());
        let told = table.plan(&paid.tx).await;
        assert!(!told.changes && told.held[0].finding.says.contains("the chain shows no such money"), "{told:#?}");
        let again = table.game.plan_for(&restore(&paid.tx)).await;
        assert!(!again.changes && again.held[0].why.contains("that is decided"), "{again:#?}");
    });
}

#[test]
fn d10_a_decision_is_not_carried_out_once_another_look_says_otherwise() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        anvil.reorg(9).await;
        let other = pay(PLAYER, 0, WATCHED, cents(100));
        anvil.send(&other).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        let decided = table.game.plan_for(&restore(&paid.tx)).await;
        assert_eq!(kinds(&decided), ["DepositDebited", "FinalityRestored"], "{decided:#?}");
        table.game.propose(&decided).await;
        table.game.approve(&decided).await;
        // The chain goes back to where the deposit is final.
        anvil.reorg(9).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        assert!(table.game.apply(&decided).await.is_err());
        assert_eq!(table.held().await, g(50));
        let again = table.game.plan_for(&restore(&paid.tx)).await;
        assert_eq!(kinds(&again), ["DepositObserved", "FinalityRestored"], "{again:#?}");
    });
}

#[test]
fn d10_what_was_taken_back_and_is_final_again_is_booked_again() {
    for from_suspense in [true, false] {
        on_chain(async |anvil, table| {
            let sender = if from_suspense { STRANGER } else { PLAYER };
            anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
            anvil.finalize().await;
            let paid = pay(sender, 0, WATCHED, cents(5_000));
            let other = pay(sender, 0, WATCHED, cents(100));
            came(anvil, table, &paid).await;
            table.game.carry_out(&table.plan(&paid.tx).await).await;
            let (was, total) = (table.held().await, g(50));
            anvil.reorg(9).await;
            anvil.send(&other).await;
            anvil.finalize().await;
            table.look_at(&paid.tx).await;
            table.game.carry_out(&table.plan(&paid.tx).await).await;
            table.game.carry_out(&table.game.plan_for(&restore(&paid.tx)).await).await;
            assert!(table.game.look().await.standstill().is_none());
            // The chain goes back: it came after all.
            anvil.reorg(9).await;
            anvil.send(&paid).await;
            anvil.finalize().await;
            assert_eq!(table.look_at(&paid.tx).await.row, "D1");
            let again = table.plan(&paid.tx).await;
            assert!(again.changes, "{again:#?}");
            table.game.carry_out(&again).await;
            let state = table.game.look().await.replay.state;
            assert_eq!((table.held().await, state.conservation.drift.0), (was, 0));
            let suspense = state.ledger.balance(&wox_projections::Account::Suspense);
            assert_eq!(was.checked_add(suspense).unwrap(), total);
            // And that block goes away too: an alarm as before.
            anvil.reorg(9).await;
            anvil.send(&other).await;
            anvil.finalize().await;
            assert_eq!(table.look_at(&paid.tx).await.row, "D10");
            assert!(table.game.look().await.standstill().is_some());
        });
    }
}

#[test]
fn d10_what_was_spent_and_is_final_again_stands() {
    on_chain(async |anvil, table| {
        let (paid, other) = (pay(PLAYER, 0, WATCHED, cents(5_000)), pay(PLAYER, 0, WATCHED, cents(100)));
        came(anvil, table, &paid).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        spends(table).await;
        anvil.reorg(9).await;
        anvil.send(&other).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        table.game.carry_out(&table.game.plan_for(&restore(&paid.tx)).await).await;
        anvil.reorg(9).await;
        anvil.send(&paid).await;
        anvil.finalize().await;
        table.look_at(&paid.tx).await;
        let told = table.plan(&paid.tx).await;
        assert!(!told.changes && told.held[0].next.contains("--second NAME"), "{told:#?}");
        let stands = table.game.plan_for(&restore(&paid.tx)).await;
        assert_eq!(kinds(&stands), ["DepositObserved", "FinalityRestored"], "{stands:#?}");
        table.game.carry_out(&stands).await;
        assert!(table.plan(&paid.tx).await.held.is_empty());
    });
}

#[test]
fn r12_a_credit_is_moved_there_and_back_as_often_as_two_people_say() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let paid = pay(STRANGER, 0, WATCHED, cents(5_000));
        came(anvil, table, &paid).await;
        table.game.carry_out(&given_to(table, &paid.tx, "ann").await).await;
        for to in ["ben", "ann", "ben"] {
            let moved = given_to(table, &paid.tx, to).await;
            assert_eq!(kinds(&moved), ["AttributionCorrected"], "{moved:#?}");
            table.game.carry_out(&moved).await;
        }
        assert_eq!((table.held().await, table.game.player_has("ben").await.1), (g(0), g(50)));
    });
}

#[test]
fn r12_what_is_kept_in_suspense_with_another_amount_is_kept_anew() {
    on_chain(async |anvil, table| {
        let paid = pay(PLAYER, 0, WATCHED, cents(500));
        anvil.send(&paid).await;
        anvil.finalize().await;
        observed(anvil, table, &paid.tx).await;
        let kept = DepositEvent::DepositQuarantined { value: g(50), reason: label("no-binding") };
        table.game.tell(&deposit(&paid.tx, 0), kept).await;
        table.look_at(&paid.tx).await;
        let anew = table.plan(&paid.tx).await;
        assert_eq!(kinds(&anew), ["SuspenseReversed", "DepositObserved"], "{anew:#?}");
        table.game.carry_out(&anew).await;
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((table.held().await, state.conservation.drift.0), (g(5), 0));
        assert!(!table.game.plan().await.changes);
    });
}

#[test]
fn r12_a_wrong_amount_is_booked_anew_before_it_is_given_to_another() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let paid = pay(PLAYER, 0, WATCHED, cents(500));
        anvil.send(&paid).await;
        anvil.finalize().await;
        booked(anvil, table, &paid.tx, "ben").await;
        table.look_at(&paid.tx).await;
        let early = given_to(table, &paid.tx, "ann").await;
        assert!(!early.changes && early.held[0].why.contains("50 G were credited of 5 G"), "{early:#?}");
        table.game.carry_out(&table.plan(&paid.tx).await).await;
        assert_eq!(table.game.player_has("ben").await.1, g(5));
        table.game.carry_out(&given_to(table, &paid.tx, "ann").await).await;
        assert_eq!((table.held().await, table.game.player_has("ben").await.1), (g(5), g(0)));
        assert!(table.game.plan().await.held.is_empty());
    });
}
