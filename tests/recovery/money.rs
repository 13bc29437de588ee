//! Rows R12, R13, R15: deposits, withdrawals, the prize pool.

use wox_events::{
    Amount, BurnEvent, Digest, PoolEvent, Timestamp, WithdrawalEvent, WithdrawalId, deposit::Finality,
    pool::Adjustment, withdrawal::ReversalProof,
};

use crate::game::{Game, g, hash, id_of, label, nothing, says, who};

/// One transfer credited to ann under two stream names: the block-wide log index moved.
async fn credited_twice() -> Game {
    let game = Game::new();
    game.player("ann", 0).await;
    game.credit("deposit-8453:a:0", 5, "ann", 50).await;
    game.credit("deposit-8453:a:7", 5, "ann", 50).await;
    game
}

#[tokio::test]
async fn the_second_credit_of_one_transfer_is_taken_back() {
    let game = credited_twice().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        duplicate_deposit WOX-BANK-TX-004 critical since deposit-8453:a:7@2: deposit 8453:0x0000000000000000000000000000000000000000000000000000000000000005:0 was credited again: 50 G to player ann; the first credit is deposit-8453:a:0@2 (position 3)
        on deposit-8453:a:7@2
          DepositDebited: take the second credit of 50 G back from player ann
            50 G withdrawable:ann -> external:deposits
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(50)));
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_second_credit_that_is_spent_is_left_to_people() {
    let game = credited_twice().await;
    game.spend("ann", 0, 60).await;
    let plan = game.plan().await;
    assert!(!plan.changes);
    let hold = &plan.held[0];
    assert_eq!(hold.why, "player ann holds 40 G of the 50 G that must go back");
    assert_eq!(plan.held.len(), 1, "{:#?}", plan.held);
}

#[tokio::test]
async fn two_second_credits_of_which_one_can_go_back_leave_one_to_people() {
    let game = credited_twice().await;
    game.credit("deposit-8453:b:0", 6, "ann", 50).await;
    game.credit("deposit-8453:b:7", 6, "ann", 50).await;
    game.spend("ann", 0, 120).await;
    let plan = game.plan().await;
    assert_eq!((plan.items.len(), plan.held.len()), (1, 1));
    assert_eq!(
        plan.held[0].why,
        "the compensation DepositDebited would be refused: account withdrawable:ann is short by 20 G"
    );
    game.carry_out(&plan).await;
    assert!(!game.plan().await.changes);
    assert_eq!(game.player_has("ann").await.1, g(30));
}

/// A withdrawal of 50 G by ann: 48 to her, 1 to the pool, 1 to be burned.
async fn withdrawal(events: &[WithdrawalEvent]) -> Game {
    let mut game = Game::new();
    game.player("ann", 100).await;
    let asked = WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(50), destination: label("ann") };
    game.tell("withdrawal-w", asked).await;
    let held = WithdrawalEvent::FundsHeld {
        player: who("ann"),
        amount: g(50),
        net: g(48),
        pool_share: g(1),
        burn_share: g(1),
    };
    game.tell("withdrawal-w", held).await;
    for event in events {
        game.tell("withdrawal-w", event.clone()).await;
    }
    game.wait(300).tick().await;
    nothing(&game.plan().await);
    game.clock += 1;
    game.tick().await;
    game
}

fn sent() -> WithdrawalEvent {
    WithdrawalEvent::TxBroadcast { tx: Some(hash(9)), post: None }
}

async fn unknown(events: &[WithdrawalEvent], finding: &str, why: &str) {
    let mut game = withdrawal(events).await;
    let plan = game.plan().await;
    assert!(!plan.changes && plan.has_unknown_outcomes(), "an unknown outcome is never compensated");
    assert_eq!(plan.held.len(), 1);
    assert_eq!(plan.held[0].finding.says, format!("withdrawal w of 50 G by player ann: {finding}"));
    assert_eq!(plan.held[0].why, why);
    game.wait(1_000_000).tick().await;
    assert_eq!(game.plan().await.id, plan.id, "however old it gets, it is the same");
}

#[tokio::test]
async fn a_withdrawal_nobody_was_asked_to_pay_is_watched() {
    unknown(
        &[],
        "nobody was asked to pay it since 2023-11-14T22:13:20.000000Z",
        "the journal of the signer is not in this log: an unknown outcome is never compensated",
    )
    .await;
}

#[tokio::test]
async fn a_withdrawal_that_was_sent_is_watched() {
    let why = "a payment may exist and may still land: an unknown outcome is never compensated";
    let finding = "its payment is not confirmed since 2023-11-14T22:13:20.000000Z";
    unknown(&[sent()], finding, why).await;
    let signed =
        WithdrawalEvent::TxSigned { wallet: label("bank"), nonce: 1, tx: hash(9), digest: Digest::of(b""), fees: None };
    unknown(&[signed], finding, why).await;
    let mined = WithdrawalEvent::TxMined { tx: hash(9), block: 1, block_hash: hash(1), finality: Finality::Unsafe };
    unknown(&[sent(), mined], finding, why).await;
    let reverted = WithdrawalEvent::TxReverted { tx: hash(9), block: 1, block_hash: hash(1), finality: Finality::Safe };
    unknown(&[sent(), reverted], finding, why).await;
}

#[tokio::test]
async fn a_payment_that_failed_is_not_reversed_by_itself() {
    let failed = WithdrawalEvent::WithdrawalFailed { reason: label("no-gas") };
    unknown(
        &[sent(), failed],
        "its payment failed, and nothing followed since 2023-11-14T22:13:20.000000Z",
        "a reversal needs the final proof in its own event: an unknown outcome is never compensated",
    )
    .await;
}

#[tokio::test]
async fn a_withdrawal_that_is_over_needs_nobody() {
    let settled = WithdrawalEvent::WithdrawalSettled { tx: hash(9), net: g(48) };
    let game = withdrawal(&[sent(), settled]).await;
    let due = Timestamp(game.now().0 + 3_600_000_000);
    let scheduled = BurnEvent::BurnScheduled { withdrawal: WithdrawalId::new("w").unwrap(), amount: g(1), due };
    game.tell("burn-w", scheduled).await;
    nothing(&game.plan().await);
    let released = WithdrawalEvent::HoldReleased {
        player: who("ann"),
        amount: g(50),
        net: g(48),
        pool_share: g(1),
        burn_share: g(1),
        proof: ReversalProof::NeverSigned {},
        corrects: id_of("withdrawal-w", 2),
    };
    nothing(&withdrawal(&[released]).await.plan().await);
}

#[tokio::test]
async fn a_request_without_money_held_needs_nobody() {
    let mut game = Game::new();
    game.player("ann", 100).await;
    let asked = WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(50), destination: label("ann") };
    game.tell("withdrawal-w", asked).await;
    game.wait(10_000).tick().await;
    nothing(&game.plan().await);
}

/// A pool of 500 G that the game states as something else.
async fn pool_stated(stated: u64) -> Game {
    let game = Game::new();
    game.tell("pool-main", PoolEvent::PoolContributed { amount: g(500), source: label("house") }).await;
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(500) }).await;
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(stated) }).await;
    game
}

#[tokio::test]
async fn a_pool_that_the_game_counts_too_low_is_adjusted_up_to_the_cap() {
    let game = pool_stated(400).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        pool_drift WOX-BANK-PRIZE-001 high since pool-main@3: the game says the pool holds 400 G, its events make 500 G: a difference of +100 G
        on pool-main@3
          PoolShortfallFound: record the difference
          PoolAdjusted: move 100 G from the pool to suspense until explained
            100 G pool -> suspense
        ",
    );
    assert!(plan.needs_approval);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(400) }).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_drift_above_the_cap_is_left_to_people() {
    let game = pool_stated(399).await;
    says(
        &game.plan().await,
        "
        HELD pool_drift pool-main: the game says the pool holds 399 G, its events make 500 G: a difference of +101 G
          why: 101 G is more than the 100 G an adjustment of unknown cause may move
          next: find the cause from the first bad statement on
        ",
    );
}

#[tokio::test]
async fn a_pool_that_the_game_counts_too_high_is_left_to_people() {
    let game = pool_stated(510).await;
    says(
        &game.plan().await,
        "
        HELD pool_drift pool-main: the game says the pool holds 510 G, its events make 500 G: a difference of -10 G
          why: the game counts 10 G that no event brought in
          next: find the missing events, or put the money in from the treasury as a contribution
        ",
    );
}

#[tokio::test]
async fn the_first_bad_statement_is_named_until_a_right_one_comes() {
    let game = pool_stated(450).await;
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(440) }).await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].findings[0].since.as_ref().unwrap().id, id_of("pool-main", 3));
    assert_eq!(plan.items[0].steps[1].postings[0].amount, g(60));
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(500) }).await;
    nothing(&game.plan().await);
}

#[tokio::test]
async fn a_half_of_the_drift_adjusted_by_hand_leaves_the_other_half() {
    let game = pool_stated(420).await;
    let half = PoolEvent::PoolAdjusted {
        direction: Adjustment::ToSuspense,
        amount: g(50),
        reason: label("by-hand"),
        first_bad: id_of("pool-main", 3),
    };
    game.tell("pool-main", half).await;
    let plan = game.plan().await;
    assert_eq!(plan.items[0].steps[1].postings[0].amount, g(30));
    game.carry_out(&plan).await;
    assert_eq!(game.look().await.replay.state.ledger.balance(&wox_projections::Account::Suspense), g(80));
    assert_eq!(Amount::ZERO, game.look().await.replay.state.pool.drift.size());
}
