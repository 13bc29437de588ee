//! Ann's withdrawal of 100 G, beside a chain: what tests do with it, and what they look for.

use wox_events::{Amount, WithdrawalEvent, chain::Intent};
use wox_recovery::recovery::{Scope, Targets};

use super::{
    Table,
    anvil::{Anvil, HOT, PLAYER, Signed, TREASURY, call, sign, token, wallet},
    desk::{asked, journaled},
    game::{g, label, stream, who},
    kinds, on_chain,
};

pub const W: &str = "withdrawal-7";
pub const RELEASED: [&str; 3] = ["BurnCancelled", "TxReverted", "HoldReleased"];

/// The payment of a slot, journaled before anybody can send it.
pub async fn signed(table: &Table, nonce: u64, payment: &Signed) {
    table.game.tell(W, journaled(nonce, payment, None)).await;
}

/// A token that fails, keeps quiet, or works.
pub async fn set(anvil: &Anvil, nonce: u64, paused: bool, silent: bool) {
    let words = [u64::from(paused), u64::from(silent), 0].map(alloy::primitives::U256::from);
    anvil.send(&sign(TREASURY, nonce, Some(token().as_str()), call("set(bool,bool,uint256)", &words), 10)).await;
    anvil.mine(1).await;
}

pub async fn plan(table: &Table) -> wox_recovery::recovery::Plan {
    table.game.plan_for(&Scope::Subject(stream(W))).await
}

/// The chain goes on until its final blocks are younger than all that happened in the game.
pub async fn chain_goes_on(anvil: &Anvil, table: &Table) {
    let newest = anvil.rpc("eth_getBlockByNumber", serde_json::json!(["latest", false])).await;
    let newest = i64::from_str_radix(newest["timestamp"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let later = newest.max(table.game.now().0 / 1_000_000) + 60;
    anvil.rpc("evm_setNextBlockTimestamp", serde_json::json!([later])).await;
    anvil.mine(10).await;
}

/// Nothing may be compensated, and a second look changes nothing.
pub async fn waits(table: &Table, row: &str) {
    let seen = table.look_into(W).await;
    assert_eq!(seen.row, row, "{}", seen.says);
    let plan = plan(table).await;
    assert!(!plan.changes, "{plan:#?}");
    assert!(plan.held.iter().any(|hold| hold.finding.outcome_unknown), "{plan:#?}");
    assert!(!table.look_into(W).await.recorded);
    assert_eq!(table.held().await, g(0));
}

/// The hold went back, with both shares of the fee, once.
pub async fn goes_back(table: &Table, expected: &[&str]) {
    let plan = plan(table).await;
    assert_eq!(kinds(&plan), expected);
    assert!(plan.needs_approval);
    table.game.carry_out(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.held().await, g(100));
    let state = table.game.look().await.replay.state;
    assert_eq!(state.conservation.drift.0, 0);
    assert!(table.game.count_of(&plan).await.iter().all(|count| *count == 1));
}

/// Alice asks Ann's signer for something, Bob approves; asked again, there is nothing new to ask.
pub async fn asks(table: &Table, intent: Intent, kind: &str) {
    let scope = Scope::Ask { subject: stream(W), intent, by: label("alice"), why: "stuck since 18:10".into() };
    let plan = table.game.plan_for(&scope).await;
    assert_eq!(kinds(&plan), [kind], "{plan:#?}");
    assert!(plan.needs_approval);
    table.game.propose(&plan).await;
    assert!(table.game.apply(&plan).await.is_err(), "nobody approved it");
    table.game.approve(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.game.verify(&plan).await.unrepaired, []);
    let again = table.game.plan_for(&scope).await;
    assert!(!again.changes && again.held[0].why.contains("alice asked for it"), "{again:#?}");
    assert!(table.game.count_of(&plan).await.iter().all(|count| *count == 1));
}

/// Nothing is asked of a signer, and why.
pub async fn asks_nothing(table: &Table, intent: Intent, why: &str) {
    let scope = Scope::Ask { subject: stream(W), intent, by: label("alice"), why: "x".into() };
    let plan = table.game.plan_for(&scope).await;
    assert!(!plan.changes && plan.held.iter().any(|hold| hold.why.contains(why)), "{plan:#?}");
}

/// Beside a chain: Ann has asked for 100 G.
pub fn asked_for(test: impl AsyncFnOnce(&Anvil, &mut Table)) {
    on_chain(async |anvil, table| {
        asked(&table.game).await;
        test(anvil, table).await;
    });
}

pub fn two_people() -> Scope {
    Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "ticket-91".into() }
}

/// A transaction or all that our wallet sent, seen and recorded.
pub async fn seen(table: &Table, sent: &Signed, by_scan: bool) {
    match by_scan {
        true => drop(table.observe(&Targets { wallets: vec![(wallet(HOT), 0)], ..Targets::default() }).await),
        false => drop(table.look_at(&sent.tx).await),
    }
}

pub async fn two_people_decide(table: &Table) {
    let scope =
        Scope::Release { withdrawal: stream(W), first: label("alice"), second: label("bob"), why: "ticket-91".into() };
    let plan = table.game.plan_for(&scope).await;
    assert_eq!(kinds(&plan), ["BurnCancelled", "HoldReleased"], "{plan:#?}");
    table.game.propose(&plan).await;
    let carol =
        wox_recovery::recovery::approve(&table.game.log, plan.id, &super::actor("carol"), "fine", super::NOW).await;
    assert!(carol.unwrap_err().to_string().contains("by bob"));
    assert!(table.game.apply(&plan).await.is_err());
    table.game.approve(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert_eq!(table.held().await, g(100));
}

/// Another withdrawal of Ann's to the same address, of so much.
pub async fn asked_too(table: &Table, id: &str, net: Amount) {
    let share = Amount::cents(2);
    let amount = Amount::checked_sum([net, share, share]).unwrap();
    table.game.credit(&format!("deposit-8453:0xb{id}:0"), 180, "ann", 1_000).await;
    let requested = WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount, destination: wallet(PLAYER) };
    table.game.tell(&format!("withdrawal-{id}"), requested).await;
    let held = WithdrawalEvent::FundsHeld { player: who("ann"), amount, net, pool_share: share, burn_share: share };
    table.game.tell(&format!("withdrawal-{id}"), held).await;
}
