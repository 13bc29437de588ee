//! Deposits, withdrawals and burns against a real local chain: one test a row of the decision tables, named by the row,
//! from the wire to the plan; then sources that lag, lie and fail.
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]
#![allow(unreachable_pub, dead_code, reason = "a test binary exports nothing; every file uses its part of the game")]

#[path = "support/anvil.rs"]
mod anvil;
#[path = "chain/bad_input.rs"]
mod bad_input;
#[path = "chain/burns.rs"]
mod burns;
#[path = "chain/command.rs"]
mod command;
#[path = "chain/custody.rs"]
mod custody;
#[path = "chain/deposits.rs"]
mod deposits;
#[path = "chain/desk.rs"]
mod desk;
#[path = "chain/duplicates.rs"]
mod duplicates;
#[path = "chain/evidence.rs"]
mod evidence;
#[path = "recovery/game.rs"]
mod game;
#[path = "chain/https.rs"]
mod https;
#[path = "chain/intents.rs"]
mod intents;
#[path = "chain/misbooked.rs"]
mod misbooked;
#[path = "chain/outgoing.rs"]
mod outgoing;
#[path = "chain/payment_of_ann.rs"]
mod payment_of_ann;
#[path = "chain/sources.rs"]
mod sources;
#[path = "support/storm.rs"]
mod storm;
#[path = "chain/unsaid.rs"]
mod unsaid;
#[path = "chain/withdrawals.rs"]
mod withdrawals;

use anvil::{Anvil, HOT, PLAYER, WATCHED, wallet};
use game::{Game, NOW, actor, label, stream};
use wox_events::{
    Amount, Duration, PlayerEvent, TxHash,
    chain::{Source, SourceKind},
};
use wox_projections::verdict::quorum::Policy;
use wox_recovery::{
    log::MemoryLog,
    recovery::{Plan, Scope, Seen, Targets, observe, observe::declare},
    world::chain::{Endpoint, Interest, Limits, Network},
};

/// A game beside a chain.
struct Table {
    game: Game<MemoryLog>,
    network: Network,
    policy: Policy,
}

fn source(name: &str) -> Source {
    Source { name: label(name), operator: label(&format!("of-{name}")), kind: SourceKind::Node }
}

fn interest() -> Interest {
    Interest { tokens: vec![anvil::token()], addresses: vec![label(WATCHED), wallet(HOT)] }
}

async fn policy(anvil: &Anvil, names: &[&str]) -> Policy {
    Policy {
        chain: 8453,
        genesis: anvil.genesis().await,
        quorum: 2,
        sources: names.iter().map(|name| source(name)).collect(),
        tokens: vec![anvil::token()],
        watched: vec![label(WATCHED)],
        wallets: vec![wallet(HOT)],
        minimum: Amount::galleons(1),
        finalized_age_max: Duration::seconds(24 * 3600),
        journaled: true,
    }
}

fn limits() -> Limits {
    Limits { timeout: std::time::Duration::from_secs(5), ..Limits::default() }
}

fn endpoint(name: &str, url: &str) -> Endpoint {
    Endpoint::new(source(name), 8453, url, None, limits()).unwrap()
}

impl Table {
    /// Ann, whose wallet is known, and two sources that see the same chain.
    async fn set(anvil: &Anvil) -> Table {
        Table::with(anvil, vec![endpoint("one", &anvil.url), endpoint("two", &anvil.url)]).await
    }

    async fn with(anvil: &Anvil, endpoints: Vec<Endpoint>) -> Table {
        let names: Vec<String> = endpoints.iter().map(|endpoint| endpoint.source().name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut game = Game::starting_at(NOW.0 - 3_600_000_000);
        game.player("ann", 0).await;
        let bound = PlayerEvent::WalletBound { wallet: wallet(PLAYER), method: label("signed-message") };
        game.tell("player-ann", bound).await;
        let policy = policy(anvil, &names).await;
        let evidence = game.look().await;
        declare(&game.log, &evidence.replay, &policy, false, &actor("alice"), game.now()).await.unwrap();
        game.wait(1);
        Table { game, network: Network::new(endpoints, interest()), policy }
    }

    /// Has the chain judged by other rules from here on: Alice says so, and Bob agrees.
    async fn declare(&mut self, policy: Policy) {
        for by in ["alice", "bob"] {
            self.declares(by, policy.clone()).await;
        }
    }

    /// One person says by which rules the chain is judged; whether that is recorded.
    async fn declares(&mut self, by: &str, policy: Policy) -> bool {
        let evidence = self.game.look().await;
        self.policy = policy;
        declare(&self.game.log, &evidence.replay, &self.policy, true, &actor(by), self.game.now()).await.unwrap()
    }

    async fn observe(&self, targets: &Targets) -> Vec<Seen> {
        let evidence = self.game.look().await;
        let now = wox_events::Timestamp(self.game.now().0 + evidence.as_of.0 as i64);
        observe(&self.game.log, &self.network, &evidence.replay, &self.policy, targets, &actor("alice"), now)
            .await
            .unwrap()
    }

    /// Looks at a transaction; gives the row and what it says.
    async fn look_at(&self, tx: &TxHash) -> Seen {
        let seen = self.observe(&Targets { transactions: [tx.clone()].into(), ..Targets::default() }).await;
        seen.into_iter().next().unwrap()
    }

    /// Looks at everything a stream is about; gives the row of its first look.
    async fn look_into(&self, name: &str) -> Seen {
        let state = self.game.look().await.replay.state;
        let targets = Targets::of_stream(&state, &stream(name));
        self.observe(&targets).await.into_iter().next().unwrap()
    }

    /// Plans what a transaction needs.
    async fn plan(&self, tx: &TxHash) -> Plan {
        self.game.plan_for(&Scope::Transaction { chain: 8453, tx: tx.clone() }).await
    }

    async fn held(&self) -> Amount {
        self.game.player_has("ann").await.1
    }
}

/// The kinds of the events a plan appends, stream by stream.
fn kinds(plan: &Plan) -> Vec<String> {
    let steps = plan.items.iter().flat_map(|item| &item.steps);
    steps.map(|step| step.kind.clone()).collect()
}

/// Ann, whose wallet is known, beside a chain of her own that two sources see.
fn on_chain(test: impl AsyncFnOnce(&Anvil, &mut Table)) {
    rt().block_on(async {
        let anvil = Anvil::start().await;
        let mut table = Table::set(&anvil).await;
        test(&anvil, &mut table).await;
    });
}

fn rt() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
