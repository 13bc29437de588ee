//! R14: what our addresses hold against what the ledger owes.

use wox_events::Amount;
use wox_recovery::{
    log::EventLog as _,
    recovery::{ApplyError, Scope, Targets},
};

use super::{
    Table,
    anvil::{self, HOT, PLAYER, STRANGER, TREASURY, cents, pay, token, wallet},
    desk::payment,
    game::{g, label, stream},
    kinds, on_chain,
    payment_of_ann::{W, asked_for, plan, signed},
};

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

fn holdings() -> Targets {
    Targets { holdings: true, ..Targets::default() }
}

fn adjust() -> Scope {
    Scope::Adjust { token: token(), reason: label("unknown-origin"), why: "ticket-92".into() }
}

/// The hot wallet holds what the ledger owes, Ann's deposit included.
async fn agrees(table: &Table) {
    let contributed = wox_events::PoolEvent::PoolContributed { amount: g(9_900), source: label("treasury") };
    table.game.tell("pool-main", contributed).await;
    table.observe(&holdings()).await;
    assert!(custody(&table.game.plan().await).is_empty());
}

/// What is found about custody.
fn custody(plan: &wox_recovery::recovery::Plan) -> Vec<String> {
    let found = plan.held.iter().filter(|hold| hold.finding.procedure == "custody_drift");
    found.map(|hold| hold.finding.says.clone()).collect()
}

/// A burn of Ann's 2 G from a slot.
async fn burns(table: &Table, nonce: u64) -> anvil::Signed {
    let burn = pay(HOT, nonce, wox_projections::burns::DEAD_ADDRESS, cents(200));
    let signed = wox_events::BurnEvent::BurnTxSigned { wallet: wallet(HOT), nonce, tx: burn.tx.clone(), fees: None };
    table.game.tell("burn-7", signed).await;
    burn
}

#[test]
fn r14_what_is_paid_behind_the_block_of_a_look_does_not_hide_what_was_missing_there() {
    asked_for(async |anvil, table| {
        agrees(table).await;
        signed(table, 1, &payment(1)).await;
        anvil.send(&pay(HOT, 0, wallet(STRANGER).as_str(), cents(9_600))).await;
        anvil.finalize().await;
        table.observe(&holdings()).await;
        assert!(custody(&table.game.plan().await)[0].contains("96 G less than the 10000 G"));
        anvil.send(&payment(1)).await;
        anvil.finalize().await;
        assert_eq!(table.look_into(W).await.row, "W1");
        table.game.carry_out(&plan(table).await).await;
        assert_eq!(table.game.look().await.replay.state.withdrawals.settled(), g(96));
        let found = custody(&table.game.plan().await);
        assert!(found.iter().any(|says| says.contains("96 G less than the 10000 G")), "{found:?}");
        // At a block that has the payment it is the same.
        table.observe(&holdings()).await;
        let found = custody(&table.game.plan().await);
        assert!(found.iter().any(|says| says.contains("96 G less than the 9904 G")), "{found:?}");
    });
}

#[test]
fn r14_what_is_paid_behind_the_block_of_a_look_is_no_money_that_came_from_nowhere() {
    asked_for(async |anvil, table| {
        agrees(table).await;
        signed(table, 0, &payment(0)).await;
        let burn = burns(table, 1).await;
        anvil.send(&payment(0)).await;
        anvil.send(&burn).await;
        anvil.finalize().await;
        for name in [W, "burn-7"] {
            assert_eq!(table.look_into(name).await.row, "W1");
            let paid = table.game.plan_for(&Scope::Subject(stream(name))).await;
            table.game.carry_out(&paid).await;
        }
        let state = table.game.look().await.replay.state;
        assert_eq!((state.withdrawals.settled(), state.burns.settled()), (g(96), g(2)));
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
        let adjusted = table.game.plan_for(&adjust()).await;
        assert!(!adjusted.changes && adjusted.held.is_empty(), "{adjusted:#?}");
        table.observe(&holdings()).await;
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
    });
}

#[test]
fn r14_the_block_that_the_game_saw_a_payment_in_counts_where_nobody_looked_at_it() {
    asked_for(async |anvil, table| {
        agrees(table).await;
        let block = wox_events::WithdrawalEvent::TxMined {
            tx: payment(0).tx,
            block: 1_000,
            block_hash: super::game::hash(9),
            finality: wox_events::deposit::Finality::Finalized,
        };
        table.game.tell(W, block).await;
        let settled = wox_events::WithdrawalEvent::WithdrawalSettled { net: g(96), tx: payment(0).tx };
        table.game.tell(W, settled).await;
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
        // The chain knows better.
        anvil.send(&payment(0)).await;
        anvil.finalize().await;
        table.look_at(&payment(0).tx).await;
        table.observe(&holdings()).await;
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
    });
}

#[test]
fn r14_what_was_kept_as_unknown_and_is_explained_says_how_it_leaves_suspense() {
    on_chain(async |anvil, table| {
        let contributed = |amount| wox_events::PoolEvent::PoolContributed { amount, source: label("treasury") };
        table.game.tell("pool-main", contributed(g(10_000))).await;
        let payment = pay(TREASURY, 3, anvil::WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.observe(&holdings()).await;
        table.game.carry_out(&table.game.plan_for(&adjust()).await).await;
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
        // It was a deposit: what is kept as unknown is owed twice.
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        let found = table.game.plan().await;
        let drift = found.held.iter().find(|hold| hold.finding.procedure == "custody_drift").unwrap();
        assert!(drift.finding.says.contains("50 G less than the 10100 G"), "{drift:#?}");
        assert!(drift.next.contains("wox reconcile --adjust") && !drift.next.contains("who bears it"), "{drift:#?}");
        table.game.carry_out(&table.game.plan_for(&adjust()).await).await;
        assert_eq!(custody(&table.game.plan().await), [""; 0]);
    });
}

#[test]
fn r14_who_stands_far_behind_takes_nobody_back_to_an_old_block() {
    super::rt().block_on(async {
        let (anvil, late) = (anvil::Anvil::start().await, anvil::Anvil::start().await);
        let endpoints = vec![
            super::endpoint("one", &anvil.url),
            super::endpoint("two", &anvil.url),
            super::endpoint("three", &late.url),
        ];
        let table = Table::with(&anvil, endpoints).await;
        anvil.send(&pay(PLAYER, 0, wallet(HOT).as_str(), cents(1_250))).await;
        anvil.finalize().await;
        let seen = table.observe(&Targets { holdings: true, ..Targets::default() }).await;
        assert!(seen[0].says.contains("hold 10012.5 G"), "{}", seen[0].says);
    });
}

#[test]
fn r14_what_is_owed_is_owed_in_all_tokens_together() {
    on_chain(async |anvil, table| {
        anvil.send(&anvil::sign(TREASURY, 3, None, anvil::creation(), 10)).await;
        anvil.finalize().await;
        let tokens = vec![token(), anvil::contract_of(TREASURY, 3)];
        let other = tokens[1].clone();
        table.declare(wox_projections::verdict::quorum::Policy { tokens, ..table.policy.clone() }).await;
        let contributed = wox_events::PoolEvent::PoolContributed { amount: g(10_000), source: label("treasury") };
        table.game.tell("pool-main", contributed).await;
        let holdings = Targets { holdings: true, ..Targets::default() };
        let seen = table.observe(&holdings).await;
        assert!(seen.iter().all(|seen| !seen.unknown) && seen.len() == 2, "{seen:?}");
        assert!(table.game.plan().await.held.is_empty(), "nothing of the second token is owed beside the first");
        // 5 G of the second one come past the deposit address.
        let words = [anvil::word(wallet(HOT).as_str()), cents(500)];
        let data = anvil::call("transfer(address,uint256)", &words);
        anvil.send(&anvil::sign(TREASURY, 4, Some(other.as_str()), data, 10)).await;
        anvil.finalize().await;
        table.observe(&holdings).await;
        let plan = table.game.plan().await;
        let says: Vec<_> = plan.held.iter().map(|hold| hold.finding.says.as_str()).collect();
        assert!(
            says.iter().any(|says| says.contains(&format!("5 G of {other}")) && says.contains("5 G more")),
            "{says:?}"
        );
    });
}
