//! The questions, in the terms of JSON-RPC, and what an answer becomes when it is read.

use serde_json::{Value, json};
use wox_events::{
    TxHash,
    chain::{Answer, Fault},
    id::Label,
};

use super::transport::Call;

pub(super) fn chain_id() -> Call {
    Call { method: "eth_chainId", params: vec![] }
}

/// A block by a tag (`latest`, `safe`, `finalized`), without its transactions.
pub(super) fn tagged(tag: &str) -> Call {
    Call { method: "eth_getBlockByNumber", params: vec![json!(tag), json!(false)] }
}

/// A block by its number, with the hashes of its transactions or all of each.
pub(super) fn block(number: u64, whole: bool) -> Call {
    Call { method: "eth_getBlockByNumber", params: vec![quantity(number), json!(whole)] }
}

pub(super) fn transaction(tx: &TxHash) -> Call {
    Call { method: "eth_getTransactionByHash", params: vec![json!(tx.as_str())] }
}

pub(super) fn receipt(tx: &TxHash) -> Call {
    Call { method: "eth_getTransactionReceipt", params: vec![json!(tx.as_str())] }
}

/// How often a wallet has sent, up to a tag.
pub(super) fn count(wallet: &Label, tag: &str) -> Call {
    Call { method: "eth_getTransactionCount", params: vec![json!(wallet.as_str()), json!(tag)] }
}

/// How often a wallet had sent, up to a block.
pub(super) fn count_at(wallet: &Label, number: u64) -> Call {
    Call { method: "eth_getTransactionCount", params: vec![json!(wallet.as_str()), quantity(number)] }
}

/// What took a slot. It may name a transaction of the pool: only one with a block counts.
pub(super) fn consumer(wallet: &Label, nonce: u64) -> Call {
    Call { method: "eth_getTransactionBySenderAndNonce", params: vec![json!(wallet.as_str()), quantity(nonce)] }
}

/// What an address holds of a token at a block.
pub(super) fn balance(token: &Label, holder: &Label, number: u64) -> Call {
    const BALANCE_OF: &str = "0x70a08231";
    let data = format!("{BALANCE_OF}{:0>64}", holder.as_str().trim_start_matches("0x"));
    Call { method: "eth_call", params: vec![json!({"to": token.as_str(), "data": data}), quantity(number)] }
}

/// The logs of transfers of some tokens, from or to some addresses, in a range of blocks.
pub(super) fn transfers(tokens: &[Label], addresses: &[Label], incoming: bool, from: u64, to: u64) -> Call {
    const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
    let topic = |address: &Label| format!("0x{:0>64}", address.as_str().trim_start_matches("0x"));
    let ours: Vec<String> = addresses.iter().map(topic).collect();
    let topics = if incoming { json!([TRANSFER, null, ours]) } else { json!([TRANSFER, ours]) };
    let tokens: Vec<&str> = tokens.iter().map(Label::as_str).collect();
    let filter = json!({"address": tokens, "topics": topics, "fromBlock": quantity(from), "toBlock": quantity(to)});
    Call { method: "eth_getLogs", params: vec![filter] }
}

fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

/// Reads what was found; a shape that does not fit makes it a failure of the source.
pub(super) fn read<T>(answer: &Answer<Value>, parse: impl FnOnce(&Value) -> Result<T, Fault>) -> Answer<T> {
    match answer {
        Answer::Found(value) => parse(value).map_or_else(|class| Answer::Error { class }, Answer::Found),
        other => carried(other),
    }
}

/// The same answer about another thing, where nothing was found.
pub(super) fn carried<T, U>(answer: &Answer<T>) -> Answer<U> {
    match answer {
        Answer::Null {} => Answer::Null {},
        Answer::Error { class } => Answer::Error { class: *class },
        Answer::Timeout {} => Answer::Timeout {},
        Answer::Found(_) | Answer::NotAsked {} => Answer::NotAsked {},
    }
}
