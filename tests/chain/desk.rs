//! An operator's desk: a directory with settings and a log, beside a real chain; commands are typed as an operator does.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use wox_events::{BurnEvent, Event, PlayerEvent, Timestamp, WithdrawalEvent, WithdrawalId, chain::Fees};
use wox_recovery::log::{EmbeddedLog, EventLog};

use super::{
    anvil::{Anvil, HOT, PLAYER, Signed, WATCHED, cents, pay, sign, token, wallet},
    game::{Game, NOW, digest, g, label, who},
};

pub struct Desk {
    dir: tempfile::TempDir,
    pub anvil: Anvil,
}

/// What every address and key of a source holds, and no output may.
pub const SECRET: &str = "s3cret";

impl Desk {
    /// Two sources that see the same chain; Ann, whose wallet is known.
    pub async fn set() -> Desk {
        let desk = Desk { dir: tempfile::tempdir().unwrap(), anvil: Anvil::start().await };
        let url = format!("{}/?key={SECRET}", desk.anvil.url);
        desk.settings("", &[&url, &url]).await;
        desk.exits("init", 0);
        let game = desk.game().await;
        game.player("ann", 0).await;
        let bound = PlayerEvent::WalletBound { wallet: wallet(PLAYER), method: label("signed-message") };
        game.tell("player-ann", bound).await;
        game.log.close().await;
        desk
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the settings: sources `one`, `two` … at these addresses.
    pub async fn settings(&self, more: &str, urls: &[&str]) {
        let mut text = format!(
            "[chain]\ngenesis = \"{}\"\ntokens = [\"{}\"]\nwatched = [\"{WATCHED}\"]\nwallets = [\"{}\"]\n\
             finalized_age_max_seconds = 400000000\njournaled = true\n{more}\n",
            self.anvil.genesis().await,
            token(),
            wallet(HOT),
        );
        for (name, url) in ["one", "two", "three"].into_iter().zip(urls) {
            text += &format!("[[chain.sources]]\nname = \"{name}\"\noperator = \"{name}\"\nurl = \"{url}\"\n");
        }
        fs::write(self.path().join("wox.toml"), text).unwrap();
    }

    /// The log, for what the game writes into it.
    pub async fn game(&self) -> Game<EmbeddedLog> {
        let log = EmbeddedLog::open(self.path().join("wox-store")).await.unwrap();
        Game { log, clock: NOW.0 - 3_600_000_000 }
    }

    pub async fn tell(&self, stream: &str, event: impl Into<Event>) {
        let game = self.game().await;
        game.tell(stream, event).await;
        game.log.close().await;
    }

    pub fn wox(&self, words: &str) -> Output {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.run(&words)
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wox"));
        command.args(words).current_dir(self.path()).env("WOX_PROGRESS", "none").env("WOX_ACTOR", "alice");
        command
    }

    /// Runs a command that ends so; gives everything it said, which holds no secret.
    #[track_caller]
    pub fn exits(&self, words: &str, code: i32) -> String {
        let output = self.wox(words);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words}: {said}");
        assert!(!said.contains(SECRET), "{words}: {said}");
        said
    }

    /// A command's result, as a program reads it.
    #[track_caller]
    pub fn json(&self, words: &str) -> Value {
        let output = self.wox(&format!("{words} --output json"));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words}: {output:?}"))
    }

    /// Alice made the plan; nobody applies it before Bob has approved it, and applied twice it is applied once.
    #[track_caller]
    pub fn carry_out(&self, plan: &str) -> String {
        let refused = self.exits(&format!("apply {plan} --yes"), 4);
        assert!(refused.contains("wox approve"), "{refused}");
        self.exits(&format!("approve {plan} --comment looked --as bob"), 0);
        let said = self.exits(&format!("apply {plan} --yes"), 0);
        assert!(self.exits(&format!("apply {plan} --yes"), 0).contains("it was applied before"));
        said
    }

    /// What a player may withdraw.
    pub fn balance(&self, player: &str) -> String {
        let shown = self.json(&format!("explain withdrawable:{player}"));
        shown["accounts"][0]["ledger"].as_str().unwrap().to_owned()
    }
}

/// Ann asks for 100 G: 96 go to her wallet, 2 to the pool, 2 wait to be burned. Nothing is signed yet.
pub async fn asked<L: EventLog>(game: &Game<L>) {
    game.credit("deposit-8453:0xaa:0", 170, "ann", 100).await;
    let requested =
        WithdrawalEvent::WithdrawalRequested { player: who("ann"), amount: g(100), destination: wallet(PLAYER) };
    game.tell("withdrawal-7", requested).await;
    let held = WithdrawalEvent::FundsHeld {
        player: who("ann"),
        amount: g(100),
        net: g(96),
        pool_share: g(2),
        burn_share: g(2),
    };
    game.tell("withdrawal-7", held).await;
    let due = Timestamp(game.now().0 + 50_000_000_000);
    let scheduled = BurnEvent::BurnScheduled { withdrawal: WithdrawalId::new("7").unwrap(), amount: g(2), due };
    game.tell("burn-7", scheduled).await;
}

/// What the signer journals of an attempt before anybody can send it.
pub fn journaled(nonce: u64, attempt: &Signed, fees: Option<Fees>) -> WithdrawalEvent {
    WithdrawalEvent::TxSigned {
        wallet: wallet(HOT),
        nonce,
        tx: attempt.tx.clone(),
        digest: digest(&attempt.raw.to_string()),
        fees,
    }
}

pub fn payment(nonce: u64) -> Signed {
    pay(HOT, nonce, wallet(PLAYER).as_str(), cents(9_600))
}

pub fn cancel(nonce: u64) -> Signed {
    sign(HOT, nonce, Some(wallet(HOT).as_str()), Vec::new(), 20)
}
