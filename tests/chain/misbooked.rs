//! R12: deposits that the game booked, and not as they came.

use wox_events::{DepositEvent, PlayerId, StreamId, TxHash};
use wox_recovery::recovery::{Plan, Scope};

use super::{
    Table,
    anvil::{Anvil, PLAYER, STRANGER, Signed, TREASURY, WATCHED, cents, pay},
    deposits::{deposit, observed},
    game::{g, stream, who},
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
        let requested = wox_events::WithdrawalEvent::WithdrawalRequested {
            player: who("ann"),
            amount: g(50),
            destination: super::anvil::wallet(PLAYER),
        };
        table.game.tell("withdrawal-5", requested).await;
        let held = wox_events::WithdrawalEvent::FundsHeld {
            player: who("ann"),
            amount: g(50),
            net: g(48),
            pool_share: g(1),
            burn_share: g(1),
        };
        table.game.tell("withdrawal-5", held).await;
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
        anvil.send(&pay(TREASURY, 3, super::anvil::wallet(STRANGER).as_str(), cents(100_000))).await;
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
        let said = wox_events::ChainEvent::BankConfirmed { tx, player, post: super::game::label("post-9") };
        table.game.tell(&format!("chain-8453:bank:{}", other.tx), said).await;
        assert!(table.game.plan().await.held.is_empty());
    });
}
