//! D1 to D11: what a transaction is, and what follows.

use wox_events::{
    Amount, ChainEvent, DepositEvent, PlayerEvent,
    chain::{Answer, Fault},
};
use wox_recovery::recovery::Scope;

use super::{
    Table,
    anvil::{Anvil, HOT, PLAYER, STRANGER, TREASURY, WATCHED, call, cents, pay, sign, token, wallet, word},
    endpoint,
    game::{g, label, stream, who},
    kinds, on_chain, rt,
};

const BOOKED: [&str; 3] = ["DepositObserved", "DepositAttributed", "DepositCredited"];

pub fn deposit(tx: &wox_events::TxHash, ordinal: u32) -> String {
    format!("deposit-8453:{tx}:{ordinal}")
}

#[test]
fn d1_a_final_transfer_is_credited_once() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_050) + alloy::primitives::U256::from(7));
        anvil.send(&payment).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D1");
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), BOOKED);
        assert!(plan.needs_approval);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, Amount::cents(5_050), "what two decimals show; the rest is dust");
        // Looked at and planned again: nothing is news, nothing is left.
        assert!(!table.look_at(&payment.tx).await.recorded);
        assert!(!table.plan(&payment.tx).await.changes);
        table.game.apply(&plan).await.unwrap();
        assert!(table.game.count_of(&plan).await.iter().all(|count| *count == 1));
        assert_eq!(table.game.look().await.replay.state.conservation.drift.0, 0);
    });
}

#[test]
fn d1_every_matching_log_of_a_transaction_is_a_deposit_of_its_own() {
    on_chain(async |anvil, table| {
        let twice = call("transferTwice(address,uint256,uint256)", &[word(WATCHED), cents(1_000), cents(2_500)]);
        let payment = sign(PLAYER, 0, Some(token().as_str()), twice, 10);
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(plan.items.len(), 2);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, g(35));
    });
}

/// The game booked money for a log that a final receipt does not have, and for a transaction that failed.
#[test]
fn d1_d4_a_credit_the_chain_shows_no_money_for_is_left_to_people() {
    on_chain(async |anvil, table| {
        let credited = |tx: &wox_events::TxHash, ordinal| DepositEvent::DepositCredited {
            chain: 8453,
            tx: tx.clone(),
            ordinal,
            player: who("ann"),
            amount: g(50),
            dust: Amount::ZERO,
        };
        let (came, failed) = (pay(PLAYER, 0, WATCHED, cents(5_000)), pay(PLAYER, 1, WATCHED, cents(900_000_000)));
        for (payment, ordinal) in [(&came, 7), (&failed, 0)] {
            anvil.send(payment).await;
            table.game.tell(&deposit(&payment.tx, ordinal), credited(&payment.tx, ordinal)).await;
        }
        anvil.finalize().await;
        for (payment, ordinal, row) in [(&came, 7, "D1"), (&failed, 0, "D4")] {
            assert_eq!(table.look_at(&payment.tx).await.row, row);
            let plan = table.plan(&payment.tx).await;
            let about =
                |hold: &&wox_recovery::recovery::Hold| hold.finding.subject == stream(&deposit(&payment.tx, ordinal));
            let held = plan.held.iter().find(about).expect(row);
            assert!(held.finding.says.contains("the chain shows no such money"), "{held:#?}");
        }
        // What did come in may be what was credited under a wrong name: nobody credits it beside that.
        let plan = table.plan(&came.tx).await;
        assert!(!plan.changes && plan.held.iter().any(|hold| hold.why.contains("it may be this")), "{plan:#?}");
    });
}

#[test]
fn d1_the_log_is_credited_and_not_what_was_called() {
    on_chain(async |anvil, table| {
        let fee = [alloy::primitives::U256::ZERO, alloy::primitives::U256::ZERO, alloy::primitives::U256::from(10)];
        anvil.send(&sign(TREASURY, 3, Some(token().as_str()), call("set(bool,bool,uint256)", &fee), 10)).await;
        anvil.mine(1).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(10_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        assert_eq!(table.held().await, g(99), "one percent stayed on the way");
    });
}

#[test]
fn d1_money_of_nobody_known_waits_in_suspense_until_a_person_decides() {
    on_chain(async |anvil, table| {
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let payment = pay(STRANGER, 0, WATCHED, cents(4_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositObserved", "DepositQuarantined"]);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, g(0));
        assert!(!table.plan(&payment.tx).await.changes, "it waits");
        let decided =
            Scope::Attribute { deposit: stream(&deposit(&payment.tx, 0)), player: who("ann"), why: "ticket-88".into() };
        let plan = table.game.plan_for(&decided).await;
        assert_eq!(kinds(&plan), ["QuarantineReleased"]);
        assert!(plan.needs_approval);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, g(40));
        assert!(!table.game.plan_for(&decided).await.changes);
    });
}

#[test]
fn d1_a_wallet_bound_later_brings_its_money_out_of_suspense() {
    on_chain(async |anvil, table| {
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let payment = pay(STRANGER, 0, WATCHED, cents(4_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        table
            .game
            .tell("player-ann", PlayerEvent::WalletBound { wallet: wallet(STRANGER), method: label("signed-message") })
            .await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["QuarantineReleased"]);
        table.game.carry_out(&plan).await;
        assert_eq!(table.held().await, g(40));
    });
}

#[test]
fn d1_the_banks_post_says_whose_it_is_and_a_contradiction_is_nobodys() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(4_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        // The wallet is Ann's, the bank's post names Ben.
        let said = ChainEvent::BankConfirmed { tx: payment.tx.clone(), player: who("ben"), post: label("post-9") };
        table.game.tell("chain-8453", said).await;
        table.look_at(&payment.tx).await;
        assert_eq!(kinds(&table.plan(&payment.tx).await), ["DepositObserved", "DepositQuarantined"]);
    });
}

/// The bank's bot says whose a transfer is.
async fn confirmed(table: &Table, tx: &wox_events::TxHash, player: &str, post: &str) {
    let said = ChainEvent::BankConfirmed { tx: tx.clone(), player: who(player), post: label(post) };
    table.game.tell(&format!("chain-8453:bank:{tx}"), said).await;
}

#[test]
fn d1_two_posts_of_the_bank_that_disagree_are_nobodys_word_and_a_person_decides() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let payment = pay(TREASURY, 3, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        for (player, post) in [("ann", "post-1"), ("ben", "post-2"), ("ben", "post-3"), ("ann", "post-4")] {
            confirmed(table, &payment.tx, player, post).await;
        }
        assert!(table.game.look().await.replay.held().is_empty(), "what somebody says is a fact");
        table.look_at(&payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositObserved", "DepositQuarantined"]);
        let says = &plan.items[0].steps[1].says;
        assert!(says.contains("claims-disagree"), "{says}");
        table.game.carry_out(&plan).await;
        assert!(!table.plan(&payment.tx).await.changes, "it waits");
        let decided =
            Scope::Attribute { deposit: stream(&deposit(&payment.tx, 0)), player: who("ben"), why: "ticket-9".into() };
        let plan = table.game.plan_for(&decided).await;
        assert_eq!(kinds(&plan), ["QuarantineReleased"]);
        table.game.carry_out(&plan).await;
        assert_eq!(table.game.player_has("ben").await.1, g(50));
        assert!(table.game.plan().await.held.is_empty(), "a person knew both posts");
    });
}

#[test]
fn d1_what_was_credited_by_a_post_that_another_contradicts_is_told() {
    on_chain(async |anvil, table| {
        table.game.player("ben", 0).await;
        let payment = pay(TREASURY, 3, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        confirmed(table, &payment.tx, "ann", "post-1").await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        assert_eq!(table.held().await, g(50));
        assert!(table.game.plan().await.held.is_empty());
        confirmed(table, &payment.tx, "ben", "post-2").await;
        let plan = table.plan(&payment.tx).await;
        assert!(!plan.changes, "{plan:#?}");
        let why = &plan.held[0].why;
        assert!(why.contains("ann (post-1)") && why.contains("ben (post-2)"), "{plan:#?}");
        assert!(plan.held[0].next.contains("--accept --second NAME"), "{plan:#?}");
    });
}

/// Of what came from one of our own addresses nothing follows by itself.
async fn waits_for_people(table: &Table, tx: &wox_events::TxHash) {
    let plan = table.plan(tx).await;
    assert!(!plan.changes && plan.held.len() == 1, "{plan:#?}");
    let hold = &plan.held[0];
    assert!(hold.finding.says.contains("from our own address"), "{hold:#?}");
    assert!(!hold.finding.outcome_unknown, "{hold:#?}");
    for part in [format!("wox recover transfer {tx} --second NAME"), "--player ID --why REASON".into()] {
        assert!(hold.next.contains(&part), "{hold:#?}");
    }
}

#[test]
fn d1_a_move_between_our_own_addresses_books_nothing_until_people_say_what_it_was() {
    on_chain(async |anvil, table| {
        // Whoever has the wallet, a player bound to it included: no attribution by its sender.
        let bound = PlayerEvent::WalletBound { wallet: wallet(HOT), method: label("signed-message") };
        table.game.tell("player-ann", bound).await;
        let holdings = wox_recovery::recovery::Targets { holdings: true, ..Default::default() };
        let contributed = wox_events::PoolEvent::PoolContributed { amount: g(10_000), source: label("treasury") };
        table.game.tell("pool-main", contributed).await;
        let moved = pay(HOT, 0, WATCHED, cents(30_000));
        anvil.send(&moved).await;
        anvil.finalize().await;
        table.look_at(&moved.tx).await;
        table.observe(&holdings).await;
        waits_for_people(table, &moved.tx).await;
        let all = table.game.plan().await;
        assert_eq!(all.held.len(), 1, "our addresses hold what they held: {all:#?}");
        let scope = Scope::Explain {
            chain: 8453,
            tx: moved.tx.clone(),
            first: label("alice"),
            second: label("bob"),
            why: "moved-to-cold".into(),
        };
        let said = table.game.plan_for(&scope).await;
        assert_eq!(kinds(&said), ["TransferExplained"]);
        table.game.carry_out(&said).await;
        let over = table.game.plan().await;
        assert!(!over.changes && over.held.is_empty(), "{over:#?}");
        // The bank's post afterwards is another claim: only a person decides between them.
        confirmed(table, &moved.tx, "ann", "post-1").await;
        let plan = table.plan(&moved.tx).await;
        assert!(!plan.changes && plan.held[0].why.contains("two people said"), "{plan:#?}");
        assert!(plan.held[0].next.contains("--player ID --why REASON"), "{plan:#?}");
    });
}

#[test]
fn d1_what_the_bank_passed_on_from_our_own_wallet_is_whose_it_says_or_a_person_decides() {
    for by_person in [false, true] {
        on_chain(async |anvil, table| {
            let passed = pay(HOT, 0, WATCHED, cents(5_000));
            anvil.send(&passed).await;
            anvil.finalize().await;
            table.look_at(&passed.tx).await;
            waits_for_people(table, &passed.tx).await;
            let plan = if by_person {
                let (deposit, player) = (stream(&deposit(&passed.tx, 0)), who("ann"));
                table.game.plan_for(&Scope::Attribute { deposit, player, why: "ticket-9".into() }).await
            } else {
                confirmed(table, &passed.tx, "ann", "post-1").await;
                table.plan(&passed.tx).await
            };
            assert_eq!(kinds(&plan), BOOKED);
            table.game.carry_out(&plan).await;
            assert_eq!(table.held().await, g(50));
            assert!(table.plan(&passed.tx).await.held.is_empty());
        });
    }
}

#[test]
fn d1_an_address_that_was_ours_is_ours_and_a_sweep_between_watched_ones_can_be_explained() {
    on_chain(async |anvil, table| {
        // The stranger's address is watched for a while; the hot wallet pays no more.
        let policy = wox_projections::verdict::quorum::Policy {
            watched: vec![label(WATCHED), wallet(STRANGER)],
            wallets: Vec::new(),
            ..table.policy.clone()
        };
        table.declare(policy.clone()).await;
        table.declare(wox_projections::verdict::quorum::Policy { watched: vec![label(WATCHED)], ..policy }).await;
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let moves = [pay(HOT, 0, WATCHED, cents(5_000)), pay(STRANGER, 0, WATCHED, cents(5_000))];
        for moved in &moves {
            anvil.send(moved).await;
            anvil.finalize().await;
            table.look_at(&moved.tx).await;
            waits_for_people(table, &moved.tx).await;
            let scope = Scope::Explain {
                chain: 8453,
                tx: moved.tx.clone(),
                first: label("alice"),
                second: label("bob"),
                why: "sweep".into(),
            };
            let said = table.game.plan_for(&scope).await;
            assert_eq!(kinds(&said), ["TransferExplained"], "{said:#?}");
            table.game.carry_out(&said).await;
            assert!(table.plan(&moved.tx).await.held.is_empty());
        }
    });
}

#[test]
fn d1_below_the_minimum_waits_as_dust() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(99));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositObserved", "DepositDustRecorded"]);
        table.game.carry_out(&plan).await;
        assert!(!table.plan(&payment.tx).await.changes);
        assert_eq!(table.held().await, g(0));
    });
}

/// Proposed and approved while it was true; the chain says another thing before it is applied.
async fn is_too_late(table: &Table, plan: &wox_recovery::recovery::Plan) {
    let refused = table.game.apply(plan).await.unwrap_err();
    assert!(refused.is_refusal(), "{refused}");
    assert!(["confirmed", "went away"].iter().any(|why| refused.to_string().contains(why)), "{refused}");
    assert_eq!(table.held().await, g(0));
    assert!(table.game.count_of(plan).await.iter().all(|count| *count == 0));
}

async fn approved(table: &Table, plan: &wox_recovery::recovery::Plan) {
    table.game.propose(plan).await;
    table.game.approve(plan).await;
}

#[test]
fn money_leaves_suspense_only_while_the_newest_look_confirms_it() {
    on_chain(async |anvil, table| {
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let payment = pay(STRANGER, 0, WATCHED, cents(4_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        let bound = PlayerEvent::WalletBound { wallet: wallet(STRANGER), method: label("signed-message") };
        table.game.tell("player-ann", bound).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["QuarantineReleased"]);
        approved(table, &plan).await;
        anvil.reorg(11).await;
        anvil.mine(12).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D10");
        is_too_late(table, &plan).await;
    });
}

#[test]
fn dust_and_what_is_nobodys_are_booked_only_while_the_newest_look_confirms_them() {
    for (who, value) in [(PLAYER, 99), (STRANGER, 4_000), (PLAYER, 5_000)] {
        rt().block_on(async {
            let anvil = Anvil::start().await;
            let table = Table::set(&anvil).await;
            anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
            anvil.mine(1).await;
            let payment = pay(who, 0, WATCHED, cents(value));
            anvil.send(&payment).await;
            anvil.finalize().await;
            table.look_at(&payment.tx).await;
            let plan = table.plan(&payment.tx).await;
            approved(&table, &plan).await;
            anvil.reorg(11).await;
            anvil.mine(12).await;
            assert_eq!(table.look_at(&payment.tx).await.row, "D9");
            is_too_late(&table, &plan).await;
        });
    }
}

#[test]
fn other_rules_want_another_look_but_not_at_what_is_booked() {
    on_chain(async |anvil, table| {
        let payments = [pay(PLAYER, 0, WATCHED, cents(5_000)), pay(PLAYER, 1, WATCHED, cents(6_000))];
        for payment in &payments {
            anvil.send(payment).await;
        }
        anvil.finalize().await;
        for payment in &payments {
            table.look_at(&payment.tx).await;
        }
        table.game.carry_out(&table.plan(&payments[0].tx).await).await;
        table.declare(wox_projections::verdict::quorum::Policy { minimum: g(2), ..table.policy.clone() }).await;
        // What was looked at under other rules credits nobody.
        assert!(!table.plan(&payments[1].tx).await.changes);
        let open = wox_recovery::recovery::Targets::open(&table.game.look().await.replay.state);
        assert_eq!(open.transactions.into_iter().collect::<Vec<_>>(), [payments[1].tx.clone()]);
        let seen = table.look_at(&payments[1].tx).await;
        assert!(seen.row == "D1" && seen.recorded, "{}", seen.says);
        assert_eq!(kinds(&table.plan(&payments[1].tx).await), BOOKED);
    });
}

#[test]
fn d2_a_block_that_may_still_go_moves_nothing() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.mine(3).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D2");
        assert!(!table.plan(&payment.tx).await.changes);
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D1");
        assert_eq!(kinds(&table.plan(&payment.tx).await), BOOKED);
    });
}

#[test]
fn d3_a_receipt_ahead_of_its_block_is_no_inclusion() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let liar = super::sources::Between::start(&anvil.url, super::sources::Lie::OtherBlockHash).await;
        let table = Table::with(&anvil, vec![endpoint("one", &liar.url), endpoint("two", &liar.url)]).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        let seen = table.look_at(&payment.tx).await;
        assert_eq!(seen.row, "D3", "{}", seen.says);
        assert!(!table.plan(&payment.tx).await.changes);
    });
}

#[test]
fn d4_a_failed_transfer_moved_nothing() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(900_000_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D4");
        assert!(!table.plan(&payment.tx).await.changes);
        observed(anvil, table, &payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositRejected"]);
        table.game.carry_out(&plan).await;
        assert!(!table.plan(&payment.tx).await.changes);
    });
}

/// The game says that it saw a deposit of 50 G in the block that has it now.
pub async fn observed(anvil: &Anvil, table: &Table, tx: &wox_events::TxHash) {
    table.game.tell(&deposit(tx, 0), observation(anvil, tx).await).await;
}

/// What it says.
pub async fn observation(anvil: &Anvil, tx: &wox_events::TxHash) -> DepositEvent {
    let receipt = anvil.rpc("eth_getTransactionReceipt", serde_json::json!([tx.as_str()])).await;
    let number = receipt["blockNumber"].as_str().unwrap().trim_start_matches("0x").to_owned();
    DepositEvent::DepositObserved {
        chain: 8453,
        tx: tx.clone(),
        ordinal: 0,
        log_index: 0,
        block: u64::from_str_radix(&number, 16).unwrap(),
        block_hash: wox_events::TxHash::new(receipt["blockHash"].as_str().unwrap()).unwrap(),
        token: token(),
        from: wallet(PLAYER),
        to: label(WATCHED),
        value: g(50),
        finality: wox_events::deposit::Finality::Unsafe,
        source: label("game"),
        digest: super::game::digest("said"),
    }
}

#[test]
fn d5_an_item_and_a_foreign_token_are_no_deposit() {
    on_chain(async |anvil, table| {
        let item = call("moveItem(address,uint256)", &[word(WATCHED), cents(5_000)]);
        let item = sign(PLAYER, 0, Some(token().as_str()), item, 10);
        let elsewhere = pay(PLAYER, 1, wallet(STRANGER).as_str(), cents(5_000));
        anvil.send(&item).await;
        anvil.send(&elsewhere).await;
        anvil.finalize().await;
        for tx in [&item.tx, &elsewhere.tx] {
            assert_eq!(table.look_at(tx).await.row, "D5");
            assert!(!table.plan(tx).await.changes);
        }
    });
}

#[test]
fn d6_waiting_in_the_pool_is_waiting() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D6");
        assert!(!table.plan(&payment.tx).await.changes);
    });
}

#[test]
fn d7_a_replaced_transaction_is_dead_and_its_winner_is_watched() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.mine(2).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D2");
        observed(anvil, table, &payment.tx).await;
        anvil.reorg(4).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D9");
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositReorged"]);
        table.game.carry_out(&plan).await;
        let bumped = call("transfer(address,uint256)", &[word(WATCHED), cents(6_000)]);
        let bumped = sign(PLAYER, 0, Some(token().as_str()), bumped, 20);
        anvil.send(&bumped).await;
        anvil.finalize().await;
        let targets = wox_recovery::recovery::Targets {
            transactions: [payment.tx.clone()].into(),
            ..wox_recovery::recovery::Targets::default()
        };
        let seen = table.observe(&targets).await;
        assert_eq!(seen.iter().map(|seen| seen.row).collect::<Vec<_>>(), ["D7", "D1"]);
        let plan = table.plan(&payment.tx).await;
        assert_eq!(kinds(&plan), ["DepositReplaced"]);
        table.game.carry_out(&plan).await;
        assert!(!table.plan(&payment.tx).await.changes);
        assert_eq!(kinds(&table.plan(&bumped.tx).await), BOOKED);
    });
}

#[test]
fn d8_unknown_to_all_may_still_come() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        table.look_at(&payment.tx).await;
        anvil.drop_from_pool(&payment.tx).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D8");
        assert!(!table.plan(&payment.tx).await.changes);
        // It comes back: the same bytes are as good as ever.
        anvil.send(&payment).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D1");
    });
}

#[test]
fn d9_a_reorg_before_the_credit_undoes_nothing_and_the_deposit_may_come_again() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.mine(3).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D2");
        anvil.reorg(5).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D9");
        assert!(!table.plan(&payment.tx).await.changes, "nothing was booked");
        anvil.send(&payment).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D1");
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        assert_eq!(table.held().await, g(50));
    });
}

#[test]
fn d10_a_final_block_that_goes_away_stops_all_money() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        anvil.reorg(11).await;
        anvil.mine(12).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D10");
        let plan = table.plan(&payment.tx).await;
        assert_eq!((kinds(&plan), plan.held.len()), (vec!["FinalityViolation".to_owned()], 1));
        // Another deposit, as good as any: it waits, whether or not anybody has recorded the alarm yet.
        let other = pay(PLAYER, 0, WATCHED, cents(7_000));
        anvil.send(&other).await;
        anvil.finalize().await;
        assert_eq!(table.look_at(&other.tx).await.row, "D1");
        let early = table.plan(&other.tx).await;
        assert!(!early.changes && early.held.len() == 1, "{early:#?}");
        assert!(early.held[0].why.contains("went away (D10)"), "{early:#?}");
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        assert_eq!(table.held().await, g(50), "only people take it back");
        let plan = table.plan(&other.tx).await;
        assert!(!plan.changes && plan.held.len() == 1, "{plan:#?}");
        // The first one can never come again: another has its slot. Two people take it back, and money moves again.
        assert_eq!(table.look_at(&payment.tx).await.row, "D10");
        decided(table, &payment.tx, &["DepositDebited", "FinalityRestored"]).await;
        assert_eq!(table.held().await, g(0));
        let plan = table.plan(&other.tx).await;
        assert_eq!(kinds(&plan), BOOKED, "{plan:#?}");
        table.game.carry_out(&plan).await;
        let state = table.game.look().await.replay.state;
        assert_eq!((table.held().await, state.conservation.drift.0), (g(70), 0));
    });
}

/// Alice proposes what is true now, and only Bob, who is named, can approve it.
async fn decided(table: &Table, tx: &wox_events::TxHash, expected: &[&str]) {
    let scope = Scope::Restore {
        deposit: stream(&deposit(tx, 0)),
        first: label("alice"),
        second: label("bob"),
        why: "ticket-93".into(),
    };
    let plan = table.game.plan_for(&scope).await;
    assert_eq!(kinds(&plan), expected, "{plan:#?}");
    table.game.propose(&plan).await;
    assert!(table.game.apply(&plan).await.is_err());
    table.game.approve(&plan).await;
    table.game.apply(&plan).await.unwrap();
    assert!(!table.game.plan_for(&scope).await.changes, "decided once");
}

#[test]
fn d10_is_found_by_a_sweep_that_nobody_told_what_to_look_at() {
    use wox_recovery::recovery::Targets;
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        let sweep = async || {
            let state = table.game.look().await.replay.state;
            let yesterday = wox_events::Timestamp(table.game.now().0 - 24 * 3_600_000_000);
            table.observe(&Targets::open(&state).and_final_since(&state, yesterday)).await
        };
        assert_eq!(sweep().await, [], "as before is not told");
        anvil.reorg(9).await;
        anvil.finalize().await;
        let rows: Vec<_> = sweep().await.iter().map(|seen| seen.row).collect();
        assert_eq!(rows, ["D10"]);
    });
}

#[test]
fn d10_that_is_final_again_in_another_block_stands() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        anvil.reorg(11).await;
        anvil.mine(12).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D10");
        table.game.carry_out(&table.plan(&payment.tx).await).await;
        let open = Scope::Restore {
            deposit: stream(&deposit(&payment.tx, 0)),
            first: label("alice"),
            second: label("bob"),
            why: "x".into(),
        };
        let waiting = table.game.plan_for(&open).await;
        assert!(!waiting.changes && waiting.held[0].why.contains("may still be mined again"), "{waiting:#?}");
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        decided(table, &payment.tx, &["DepositObserved", "FinalityRestored"]).await;
        assert_eq!(table.look_at(&payment.tx).await.row, "D1");
        assert!(!table.plan(&payment.tx).await.changes);
        assert_eq!(table.held().await, g(50));
        assert!(table.game.plan().await.held.is_empty());
    });
}

#[test]
fn d11_a_source_that_disagrees_makes_it_unknown() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let liar = super::sources::Between::start(&anvil.url, super::sources::Lie::OtherAmount).await;
        let table = Table::with(&anvil, vec![endpoint("honest", &anvil.url), endpoint("liar", &liar.url)]).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        let seen = table.look_at(&payment.tx).await;
        assert_eq!(seen.row, "D11");
        assert!(seen.unknown && seen.says.contains("honest and liar disagree"), "{}", seen.says);
        assert!(!table.plan(&payment.tx).await.changes);
    });
}

#[test]
fn what_was_seen_of_a_source_that_fails_is_its_failure_and_no_absence() {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let table = Table::with(&anvil, vec![endpoint("up", &anvil.url), endpoint("down", "http://127.0.0.1:1")]).await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        let seen = table.look_at(&payment.tx).await;
        assert_eq!(seen.row, "D11");
        let evidence = table.game.look().await;
        let look = evidence.replay.state.chain.transaction(8453, &payment.tx).unwrap();
        assert!(matches!(look.answers[0].transaction, Answer::Null {}));
        assert!(matches!(look.answers[1].transaction, Answer::Error { class: Fault::Unreachable }));
    });
}

#[test]
fn d1_what_the_game_credited_meanwhile_is_not_credited_again_under_another_name() {
    on_chain(async |anvil, table| {
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let plan = table.plan(&payment.tx).await;
        approved(table, &plan).await;
        let credited = DepositEvent::DepositCredited {
            chain: 8453,
            tx: payment.tx.clone(),
            ordinal: 0,
            player: who("ann"),
            amount: g(50),
            dust: Amount::ZERO,
        };
        table.game.tell(&deposit(&payment.tx, 151), credited).await;
        let refused = table.game.apply(&plan).await.unwrap_err();
        assert!(refused.is_refusal() && refused.to_string().contains("exists already"), "{refused}");
        assert_eq!(table.held().await, g(50));
    });
}

#[test]
fn d1_two_decisions_about_one_deposit_are_not_one() {
    on_chain(async |anvil, table| {
        table.game.player("bea", 0).await;
        anvil.send(&pay(TREASURY, 3, wallet(STRANGER).as_str(), cents(100_000))).await;
        anvil.mine(1).await;
        let payment = pay(STRANGER, 0, WATCHED, cents(4_000));
        anvil.send(&payment).await;
        anvil.finalize().await;
        table.look_at(&payment.tx).await;
        let subject = stream(&deposit(&payment.tx, 0));
        let decide = async |player: &str| {
            let scope = Scope::Attribute { deposit: subject.clone(), player: who(player), why: "ticket-1".into() };
            table.game.plan_for(&scope).await
        };
        let (ann, bea) = (decide("ann").await, decide("bea").await);
        approved(table, &ann).await;
        approved(table, &bea).await;
        table.game.apply(&ann).await.unwrap();
        let refused = table.game.apply(&bea).await.unwrap_err();
        assert!(refused.is_refusal(), "{refused}");
        assert_eq!((table.held().await, table.game.player_has("bea").await.1), (g(40), g(0)));
        let late = decide("bea").await;
        assert_eq!((kinds(&late), late.needs_approval), (vec!["AttributionCorrected".to_owned()], true), "{late:#?}");
        assert!(decide("ann").await.held.is_empty(), "what is so already needs no decision");
    });
}
