//! For any day of the demo with its faults, whatever part of the plan was applied first: one approved plan later there
//! is nothing left to repair, no money appears or vanishes, and nobody owes what they never had.

use proptest::prelude::*;
use wox_events::LogId;
use wox_recovery::{
    demo,
    log::{AppendRequest, EventLog, MemoryLog},
    recovery::Scope,
};

use crate::game::Game;

async fn day(seed: u64) -> Game {
    let log = MemoryLog::new(LogId(uuid::Uuid::from_u128(u128::from(seed))));
    for batch in demo::history(&demo::Options { seed, events: Some(3000), faults: true }) {
        let request = AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events };
        log.append(request).await.unwrap();
    }
    Game { log, clock: 0 }
}

async fn repairs(seed: u64, some_first: u64) {
    let game = day(seed).await;
    let plan = game.plan().await;
    assert!(plan.changes);
    for (index, item) in plan.items.iter().enumerate() {
        if some_first >> (index % 64) & 1 == 1 {
            let part = game.plan_for(&Scope::Subject(item.stream.clone())).await;
            game.carry_out(&part).await;
        }
    }
    let rest = game.plan().await;
    if rest.changes {
        let verdict = game.carry_out(&rest).await;
        assert!(verdict.unrepaired.is_empty(), "{:#?}", verdict.unrepaired);
    }
    let after = game.plan().await;
    assert!(!after.changes, "seed {seed}, first {some_first:b}: {:#?}", after.items);
    assert!(after.held.iter().all(|hold| hold.finding.procedure != "unexplained"), "seed {seed}: {:#?}", after.held);
    let evidence = game.look().await;
    let state = &evidence.replay.state;
    assert!(state.conservation.drift.is_zero(), "seed {seed}: {}", state.conservation.drift);
    let total = wox_events::Amount::checked_sum(state.ledger.accounts().into_iter().map(|(_, held)| held));
    assert_eq!(total, Some(state.ledger.held()), "amounts cannot be negative, and none is hidden");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_plan_later_nothing_is_left_to_repair(seed in 1_u64..10_000, some_first in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(repairs(seed, some_first & some_first.rotate_left(7)));
    }
}
