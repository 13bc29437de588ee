//! A real local chain for the tests: anvil in OP-stack mode, its own port, gone when dropped. `./test` installs it from
//! npm; `WOX_ANVIL` names another binary. Blocks are mined only when a test says so, finality is eight blocks deep, and
//! time stands still between them: two chains that are told the same are the same, hash by hash.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its part")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, Bytes, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use serde_json::{Value, json};
use wox_events::{TxHash, id::Label};

/// Who is who; keys of anvil's published test mnemonic.
pub const TREASURY: usize = 0;
pub const PLAYER: usize = 1;
pub const HOT: usize = 2;
pub const STRANGER: usize = 3;
const KEYS: [&str; 4] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];
/// Where deposits go.
pub const WATCHED: &str = "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65";
/// The time of the first block, in seconds.
pub const GENESIS: u64 = 1_790_000_000;
const TOKEN: &str = include_str!("../fixtures/token/Token.hex");

pub struct Anvil {
    child: Child,
    pub url: String,
    client: reqwest::Client,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A transaction as its wallet signed it; it stays valid for ever.
#[derive(Clone, Debug)]
pub struct Signed {
    pub tx: TxHash,
    pub raw: Bytes,
}

pub fn wallet(who: usize) -> Label {
    Label::new(format!("{:#x}", signer(who).address())).unwrap()
}

fn signer(who: usize) -> PrivateKeySigner {
    KEYS[who].parse().unwrap()
}

/// The token: the treasury's first contract.
pub fn token() -> Label {
    contract_of(TREASURY, 0)
}

/// The contract that a wallet makes with a slot.
pub fn contract_of(who: usize, nonce: u64) -> Label {
    Label::new(format!("{:#x}", signer(who).address().create(nonce))).unwrap()
}

/// What makes a token with a million Galleons, all of them its maker's.
pub fn creation() -> Vec<u8> {
    let mut creation: Vec<u8> = TOKEN.trim().parse::<Bytes>().unwrap().to_vec();
    creation.extend((cents(100) * U256::from(1_000_000)).to_be_bytes::<32>());
    creation
}

/// Native coin, a gwei of it.
pub fn coin(who: usize, nonce: u64, to: &str) -> Signed {
    signed(who, nonce, Some(to), Vec::new(), 10, U256::from(1_000_000_000))
}

/// Signs without sending. Fees in gwei.
pub fn sign(who: usize, nonce: u64, to: Option<&str>, data: Vec<u8>, fee: u128) -> Signed {
    signed(who, nonce, to, data, fee, U256::ZERO)
}

fn signed(who: usize, nonce: u64, to: Option<&str>, data: Vec<u8>, fee: u128, value: U256) -> Signed {
    let transaction = TxEip1559 {
        chain_id: 8453,
        nonce,
        gas_limit: if to.is_some() { 200_000 } else { 2_000_000 },
        max_fee_per_gas: fee * 1_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: to.map_or(TxKind::Create, |to| TxKind::Call(to.parse().unwrap())),
        value,
        access_list: Default::default(),
        input: data.into(),
    };
    let signature = signer(who).sign_hash_sync(&transaction.signature_hash()).unwrap();
    let signed = transaction.into_signed(signature);
    let raw = signed.encoded_2718();
    Signed { tx: TxHash::new(format!("{:#x}", keccak256(&raw))).unwrap(), raw: raw.into() }
}

/// A call: four bytes that name the function, then words.
pub fn call(signature: &str, words: &[U256]) -> Vec<u8> {
    let mut data = keccak256(signature)[..4].to_vec();
    words.iter().for_each(|word| data.extend(word.to_be_bytes::<32>()));
    data
}

pub fn word(address: &str) -> U256 {
    U256::from_be_slice(address.parse::<Address>().unwrap().as_slice())
}

/// Hundredths of a Galleon in base units.
pub fn cents(cents: u64) -> U256 {
    U256::from(cents) * U256::from(10_000_000_000_000_000u64)
}

/// A payment of the token.
pub fn pay(who: usize, nonce: u64, to: &str, value: U256) -> Signed {
    sign(who, nonce, Some(token().as_str()), call("transfer(address,uint256)", &[word(to), value]), 10)
}

impl Anvil {
    /// A chain with the token; the player and the hot wallet hold 10,000 G each, and all of it is final.
    pub async fn start() -> Anvil {
        let anvil = Anvil::bare(8453).await;
        anvil.send(&sign(TREASURY, 0, None, creation(), 10)).await;
        anvil.mine(1).await;
        anvil.send(&pay(TREASURY, 1, wallet(PLAYER).as_str(), cents(1_000_000))).await;
        anvil.send(&pay(TREASURY, 2, wallet(HOT).as_str(), cents(1_000_000))).await;
        anvil.mine(10).await;
        anvil
    }

    /// A chain with nothing on it.
    pub async fn bare(chain: u64) -> Anvil {
        let mut child = Command::new(binary())
            .args(["--network", "optimism", "--host", "127.0.0.1", "--port", "0", "--no-mining"])
            .args(["--slots-in-an-epoch", "4", "--timestamp", &GENESIS.to_string(), "--chain-id", &chain.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("anvil says where it listens").unwrap();
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.trim().to_owned();
            }
        };
        // Nobody reads on: a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let anvil = Anvil { child, url: format!("http://{address}"), client: reqwest::Client::new() };
        anvil.rpc("anvil_setBlockTimestampInterval", json!([2])).await;
        anvil
    }

    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        let answer = self.try_rpc(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub async fn try_rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.client.post(&self.url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    pub async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Enough blocks to make the newest one final.
    pub async fn finalize(&self) {
        self.mine(9).await;
    }

    pub async fn send(&self, signed: &Signed) {
        self.rpc("eth_sendRawTransaction", json!([signed.raw.to_string()])).await;
    }

    /// Takes a transaction out of the pool.
    pub async fn drop_from_pool(&self, tx: &TxHash) {
        self.rpc("anvil_dropTransaction", json!([tx.as_str()])).await;
    }

    /// Replaces the newest blocks by empty ones.
    pub async fn reorg(&self, depth: u64) {
        self.rpc("anvil_reorg", json!([depth, []])).await;
    }

    pub async fn genesis(&self) -> TxHash {
        let block = self.rpc("eth_getBlockByNumber", json!(["0x0", false])).await;
        TxHash::new(block["hash"].as_str().unwrap()).unwrap()
    }
}

/// Where anvil is: where `WOX_ANVIL` says, or where `./test` put it.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("WOX_ANVIL") {
        return named.into();
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/chain/node_modules/@foundry-rs");
    let found = fs::read_dir(&packages).into_iter().flatten().flatten().map(|entry| entry.path().join("bin/anvil"));
    found.into_iter().find(|path| path.is_file()).expect("anvil is not installed: run ./test once, or set WOX_ANVIL")
}
