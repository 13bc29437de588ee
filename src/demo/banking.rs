//! Money that comes and goes: deposits, withdrawals, burns, and what the game says about the prize pool.

use rand::Rng;
use wox_events::{
    Amount, BurnEvent, DepositEvent, EventId, PoolEvent, Timestamp, TxHash, WithdrawalEvent, WithdrawalId,
    deposit::Finality, id::Label,
};

use super::{
    day::{self, Task},
    people,
    world::{Stream, Thread, World, label, sum},
};

const BASE: u64 = 8453;
const TOKEN: &str = "0x6e0a1bb64b2c8ab0e4fb9a9f0d7ce4a7b5d1c0de";
const TREASURY: &str = "0x9a11e0057c6bd1f3a2e4c5d60718293a4b5c6d7e";
const DEPOSIT_ADDRESS: &str = "0x77ab3f7c19d14cf8b3d0e25a9c4b16f08d5e2a91";

/// What the bank knows.
pub(super) struct Banking {
    /// What the prize pool holds.
    pub(super) pool: Amount,
    pub(super) pool_stream: Stream,
    /// How many withdrawals there have been.
    withdrawals: u64,
    /// The next slot of the treasury's wallet; payments and burns share it.
    nonce: u64,
}

impl Default for Banking {
    fn default() -> Self {
        Banking { pool: Amount::ZERO, pool_stream: Stream::new("pool-main"), withdrawals: 0, nonce: 0 }
    }
}

/// A transfer on chain, as its log says.
pub(super) struct Transfer {
    pub(super) tx: TxHash,
    pub(super) ordinal: u32,
    pub(super) log_index: u64,
    pub(super) value: Amount,
}

/// A deposit, seen, attributed and credited. Nothing is looked at before it is final, so the three follow at once.
pub(super) fn deposit(world: &mut World, player: usize) -> Transfer {
    let galleons = [25, 30, 50, 60, 75, 80, 100, 120, 150, 200][world.rng.random_range(0..10)];
    let cents = Amount::cents(galleons * 100 + world.rng.random_range(0..100));
    // One in five comes from a wallet that does not round; the first rules knew nothing below 0.01 G.
    let dust = if !old_rules(world) && world.chance(1, 5) { world.rng.random_range(1..Amount::ONE_CENT) } else { 0 };
    let dust = Amount::from_base_units(dust).expect("dust is below 0.01 G");
    let transfer = transfer(world, sum(cents, dust));
    if world.chance(1, 4) {
        people::command(world, player, "deposit", transfer.tx.as_str(), 202);
    }
    let mut stream = Stream::new(format!("deposit-{BASE}:{}:{}", transfer.tx, transfer.ordinal));
    credit(world, &mut stream, player, &transfer);
    transfer
}

/// Draws a transfer that has not been seen yet.
fn transfer(world: &mut World, value: Amount) -> Transfer {
    Transfer {
        tx: world.hash(),
        ordinal: world.rng.random_range(0..4),
        log_index: world.rng.random_range(4..300),
        value,
    }
}

/// Writes the way of a transfer into a player's balance.
pub(super) fn credit(world: &mut World, stream: &mut Stream, player: usize, transfer: &Transfer) {
    let observed = observe(world, stream, player, transfer);
    let thread = Thread { cause: Some(observed), root: Some(observed) };
    let (amount, dust) = transfer.value.split_dust();
    let id = world.players[player].id.clone();
    let attributed = DepositEvent::DepositAttributed { player: id.clone(), method: label("bound_sender") };
    let attributed = world.fact(&attributed, thread);
    let thread = Thread { cause: Some(attributed.id), ..thread };
    let credited = if old_rules(world) {
        let (tx, ordinal) = (&transfer.tx, transfer.ordinal);
        let data = format!(r#"{{"amount":"{amount}","chain":{BASE},"ordinal":{ordinal},"player":"{id}","tx":"{tx}"}}"#);
        world.foreign("DepositCredited", 1, &data, thread)
    } else {
        let (tx, ordinal) = (transfer.tx.clone(), transfer.ordinal);
        let credited = DepositEvent::DepositCredited { chain: BASE, tx, ordinal, player: id, amount, dust };
        world.fact(&credited, thread)
    };
    world.append(stream, vec![attributed, credited]);
    world.players[player].purse.give_withdrawable(amount);
}

fn observe(world: &mut World, stream: &mut Stream, player: usize, transfer: &Transfer) -> EventId {
    let observed = DepositEvent::DepositObserved {
        chain: BASE,
        tx: transfer.tx.clone(),
        ordinal: transfer.ordinal,
        log_index: transfer.log_index,
        block: block(world.now),
        block_hash: world.hash(),
        token: label(TOKEN),
        from: world.players[player].wallet.clone(),
        to: label(DEPOSIT_ADDRESS),
        value: transfer.value,
        finality: Finality::Finalized,
        source: label("base-node-1"),
        digest: world.digest(),
    };
    let observed = world.observed(&observed, Thread::default());
    world.append(stream, vec![observed])
}

/// A transfer below the minimum: it waits in suspense.
pub(super) fn dust_deposit(world: &mut World) {
    let Some(player) = people::anyone(world) else { return };
    let value = Amount::cents(world.rng.random_range(1..100));
    let transfer = transfer(world, value);
    let mut stream = Stream::new(format!("deposit-{BASE}:{}:{}", transfer.tx, transfer.ordinal));
    let observed = observe(world, &mut stream, player, &transfer);
    let recorded = world.fact(&DepositEvent::DepositDustRecorded { value }, Thread::of(observed));
    world.append(&mut stream, vec![recorded]);
}

/// Somebody pays in.
pub(super) fn any_deposit(world: &mut World) {
    if let Some(player) = people::anyone(world) {
        deposit(world, player);
    }
}

/// A withdrawal under way.
pub(super) struct Withdrawal {
    stream: Stream,
    net: Amount,
    thread: Thread,
    tx: Option<TxHash>,
    mined: bool,
}

/// Somebody with enough of it takes money out.
pub(super) fn any_withdrawal(world: &mut World) {
    let rich = |player: &people::Player| player.is_idle() && player.purse.withdrawable >= Amount::galleons(90);
    let Some(player) = people::pick(world, rich) else { return };
    let withdrawal = request_withdrawal(world, player);
    world.schedule_in(4..40, Task::Withdrawal(Box::new(withdrawal)));
}

/// A request, its hold, and the burn of its fee's half.
///
/// People ask for round sums: multiples of 5 G keep both shares of the fee, and so the pool, in whole 0.1 G.
pub(super) fn request_withdrawal(world: &mut World, player: usize) -> Withdrawal {
    let most = world.players[player].purse.withdrawable.base_units() / Amount::ONE_GALLEON / 10;
    let most = u64::try_from(most).expect("balances of the demo are small");
    let amount = Amount::galleons(world.rng.random_range(4..=most.clamp(4, 60)) * 5);
    let fee = amount.fraction(4, 100).expect("amounts of the demo are small");
    let share = fee.fraction(1, 2).expect("amounts of the demo are small");
    let net = amount.saturating_sub(fee);
    let purse = &mut world.players[player].purse;
    purse.withdrawable = purse.withdrawable.checked_sub(amount).expect("who asks for a withdrawal holds 40 G or more");

    world.banking.withdrawals += 1;
    let id = WithdrawalId::new(world.banking.withdrawals.to_string()).expect("digits are plain");
    let mut stream = Stream::new(format!("withdrawal-{id}"));
    let command = people::command(world, player, "withdraw", &amount.to_string(), 202);
    let who = world.players[player].id.clone();
    let destination = world.players[player].wallet.clone();
    let requested = WithdrawalEvent::WithdrawalRequested { player: who.clone(), amount, destination };
    let requested = world.fact(&requested, Thread::of(command));
    let thread = Thread { cause: Some(requested.id), root: Some(requested.id) };
    let held = if old_rules(world) {
        let data = format!(r#"{{"amount":"{amount}","fee":"{fee}","player":"{who}"}}"#);
        world.foreign("FundsHeld", 1, &data, thread)
    } else {
        let held = WithdrawalEvent::FundsHeld { player: who, amount, net, pool_share: share, burn_share: share };
        world.fact(&held, thread)
    };
    let thread = Thread { cause: Some(held.id), ..thread };
    world.append(&mut stream, vec![requested, held]);
    into_pool(world, share);
    schedule_burn(world, id, share, thread);
    Withdrawal { stream, net, thread, tx: None, mined: false }
}

/// The next step of a withdrawal: signed and sent, then final in a block, then settled.
pub(super) fn go_on(world: &mut World, mut withdrawal: Box<Withdrawal>) {
    let thread = withdrawal.thread;
    let Some(tx) = withdrawal.tx.clone() else {
        let (wallet, nonce, tx) = next_slot(world);
        let signed = WithdrawalEvent::TxSigned { wallet, nonce, tx: tx.clone(), digest: world.digest(), fees: None };
        let signed = world.fact(&signed, thread);
        let thread = Thread { cause: Some(signed.id), ..thread };
        let sent = world.fact(&WithdrawalEvent::TxBroadcast { tx: Some(tx.clone()), post: None }, thread);
        let sent = world.append(&mut withdrawal.stream, vec![signed, sent]);
        withdrawal.thread.cause = Some(sent);
        withdrawal.tx = Some(tx);
        return world.schedule_in(900..1500, Task::Withdrawal(withdrawal));
    };
    if !withdrawal.mined {
        let (block, block_hash) = (block(world.now), world.hash());
        let mined = WithdrawalEvent::TxMined { tx, block, block_hash, finality: Finality::Finalized };
        let mined = world.observed(&mined, thread);
        withdrawal.thread.cause = Some(world.append(&mut withdrawal.stream, vec![mined]));
        withdrawal.mined = true;
        return world.schedule_in(1..20, Task::Withdrawal(withdrawal));
    }
    let settled = world.observed(&WithdrawalEvent::WithdrawalSettled { tx, net: withdrawal.net }, thread);
    world.append(&mut withdrawal.stream, vec![settled]);
}

/// The bank's bot is asked to pay, by a post: from here on only the chain can tell.
pub(super) fn ask_the_bot(world: &mut World, withdrawal: &mut Withdrawal) {
    let post = Some(world.post());
    let sent = world.fact(&WithdrawalEvent::TxBroadcast { tx: None, post }, withdrawal.thread);
    world.append(&mut withdrawal.stream, vec![sent]);
}

impl Withdrawal {
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// A burn that waits or is under way.
pub(super) struct Burn {
    stream: Stream,
    amount: Amount,
    thread: Thread,
    tx: Option<TxHash>,
}

/// The burn of a fee's half: due in 12 to 48 hours, drawn once.
fn schedule_burn(world: &mut World, withdrawal: WithdrawalId, amount: Amount, thread: Thread) {
    let mut stream = Stream::new(format!("burn-{withdrawal}"));
    let due = world.now.plus(world.seconds(12 * 3600..48 * 3600));
    let scheduled = world.fact(&BurnEvent::BurnScheduled { withdrawal, amount, due }, thread);
    let scheduled = world.append(&mut stream, vec![scheduled]);
    let thread = Thread { cause: Some(scheduled), root: thread.root };
    world.schedule(due, Task::Burn(Box::new(Burn { stream, amount, thread, tx: None })));
}

/// The next step of a burn: signed and sent when due, then settled.
pub(super) fn burn(world: &mut World, mut burn: Box<Burn>) {
    if let Some(tx) = burn.tx {
        let settled = world.observed(&BurnEvent::BurnSettled { tx, amount: burn.amount }, burn.thread);
        world.append(&mut burn.stream, vec![settled]);
        return;
    }
    // Nothing is sent that could not be final before the history ends: the last burns stay pending.
    if world.now.plus(wox_events::Duration::seconds(1800)) > day::end(&world.options) {
        return;
    }
    let (wallet, nonce, tx) = next_slot(world);
    let signed = world.fact(&BurnEvent::BurnTxSigned { wallet, nonce, tx: tx.clone(), fees: None }, burn.thread);
    let thread = Thread { cause: Some(signed.id), ..burn.thread };
    let sent = world.fact(&BurnEvent::BurnTxBroadcast { tx: tx.clone() }, thread);
    burn.thread.cause = Some(world.append(&mut burn.stream, vec![signed, sent]));
    burn.tx = Some(tx);
    world.schedule_in(900..1500, Task::Burn(burn));
}

/// The next transaction of the treasury's wallet.
fn next_slot(world: &mut World) -> (Label, u64, TxHash) {
    world.banking.nonce += 1;
    (label(TREASURY), world.banking.nonce - 1, world.hash())
}

/// The number of the block at a time: Base makes one every two seconds.
fn block(now: Timestamp) -> u64 {
    const GENESIS: u64 = 1_686_789_347;
    (now.0.unsigned_abs() / 1_000_000).saturating_sub(GENESIS) / 2
}

/// Money from outside the game for the prizes of the first days.
pub(super) fn contribute(world: &mut World) {
    let amount = Amount::galleons(2_000);
    let contributed = PoolEvent::PoolContributed { amount, source: label("treasury") };
    say_about_pool(world, &contributed);
    into_pool(world, amount);
}

/// The game says what it believes the pool to hold.
pub(super) fn state_pool(world: &mut World, balance: Amount) {
    say_about_pool(world, &PoolEvent::PoolStated { balance });
}

fn say_about_pool(world: &mut World, event: &PoolEvent) {
    let event = world.fact(event, Thread::default());
    let mut stream = std::mem::replace(&mut world.banking.pool_stream, Stream::new("pool-main"));
    world.append(&mut stream, vec![event]);
    world.banking.pool_stream = stream;
}

/// The prize pool holds more.
pub(super) fn into_pool(world: &mut World, amount: Amount) {
    world.banking.pool = sum(world.banking.pool, amount);
}

/// Whether the old shapes are still written: until midnight after the first evening.
pub(super) fn old_rules(world: &World) -> bool {
    world.now < day::midnight(0)
}
