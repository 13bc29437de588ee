//! Transaction receipts of Base, as JSON-RPC states them, → deposits that were observed.
//!
//! A log counts when it is exactly an ERC-20 `Transfer` of the right token to a watched address (banking.md 4.1,
//! "Matching log"); everything else is refused by reason. A receipt proves that a transaction happened and nothing about
//! finality or whose the money is: the caller says how final the block was, and crediting is another event.

use std::collections::BTreeSet;

use alloy::{
    primitives::{Address, B256, U64, U256},
    rpc::types::{Log, any::AnyTransactionReceipt},
    sol,
    sol_types::SolEvent as _,
};
use serde::{Deserialize, Serialize};
use wox_events::{
    Actor, Amount, DepositEvent, Digest, Event, EventId, NewEvent, Provenance, Revision, StreamId, Timestamp, TxHash,
    deposit::Finality, id::Label,
};

sol! {
    /// The one event by which an ERC-20 token says that money moved.
    #[derive(Debug)]
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// The version of the game's rules that observations are recorded under: they follow from the chain, not from rules.
const RULES: u16 = 1;

/// What counts as our money: one token on one chain, paid to one of these addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    chain: u64,
    token: Address,
    to: BTreeSet<Address>,
}

/// Why a watch list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadWatch {
    /// Not 20 bytes in hex, or mixed case whose checksum (EIP-55) is wrong: a typing error would wait for ever.
    #[error("`{text}` is no address: 0x and 40 hex digits, in lower case or with a right EIP-55 checksum")]
    Address {
        /// The text as given.
        text: String,
    },
    /// Nothing to watch would refuse every log and look like a quiet day.
    #[error("no address to watch; give at least one with --watch")]
    Nothing,
}

impl Watch {
    /// A watch for transfers of `token` on `chain` (Base is 8453) to any of `to`.
    pub fn new(chain: u64, token: &str, to: &[impl AsRef<str>]) -> Result<Watch, BadWatch> {
        let to = to.iter().map(|text| address(text.as_ref())).collect::<Result<BTreeSet<_>, _>>()?;
        if to.is_empty() {
            return Err(BadWatch::Nothing);
        }
        Ok(Watch { chain, token: address(token)?, to })
    }
}

/// An address as people write it, in the form events keep it: lower case, its checksum verified where it has one.
pub fn checked_address(text: &str) -> Result<Label, BadWatch> {
    address(text).map(label)
}

fn address(text: &str) -> Result<Address, BadWatch> {
    let bad = || BadWatch::Address { text: text.to_owned() };
    let digits = text.strip_prefix("0x").ok_or_else(bad)?;
    let one_case =
        !(digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase()));
    if one_case { text.parse().map_err(|_| bad()) } else { Address::parse_checksummed(text, None).map_err(|_| bad()) }
}

/// What one receipt says: a verdict for each of its logs, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The transaction.
    pub tx: TxHash,
    /// Whether the transaction failed; a failed one moved no money and has no logs.
    pub reverted: bool,
    /// One verdict a log, in the order of the receipt.
    pub verdicts: Vec<Verdict>,
}

/// What one log of a receipt is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Money that came in.
    Deposit(Box<Deposit>),
    /// Not our money.
    Refused {
        /// The place of the log in its receipt.
        ordinal: u32,
        /// Why.
        reason: Refusal,
    },
}

/// Why a log is no deposit. The first that applies, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The transaction failed.
    Reverted,
    /// The node took the log back in a reorg.
    Removed,
    /// Another event than `Transfer`.
    NotTransfer,
    /// Four topics: an ERC-721 token, whose last topic is an item and no amount.
    Erc721,
    /// Named `Transfer`, but not of its shape: topics that are no addresses, or data that is not one number.
    Malformed,
    /// Another contract says so; anybody can deploy one.
    ForeignToken,
    /// To somebody else.
    NotWatched,
    /// Of nothing: bait for people who copy addresses from a history.
    ZeroValue,
    /// 2^127 base units or more.
    OutOfRange,
}

/// A transfer to a watched address, with all that identifies it and all that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Chain id.
    pub chain: u64,
    /// The transaction.
    pub tx: TxHash,
    /// The place of the log in its receipt, from 0: with chain and transaction the key.
    pub ordinal: u32,
    /// The place of the log in its block: evidence, not key.
    pub log_index: u64,
    /// The block's number.
    pub block: u64,
    /// The block's hash.
    pub block_hash: TxHash,
    /// The time of the block, where the receipt states it.
    pub time: Option<Timestamp>,
    /// The token contract, in lower case.
    pub token: Label,
    /// The sender in the log, in lower case: for a relayed transfer not the sender of the transaction.
    pub from: Label,
    /// The watched address, in lower case.
    pub to: Label,
    /// The value in the log; the token has 18 decimals, so it is in base units as it stands.
    pub value: Amount,
    /// SHA-256 of the line as read, without its line ending.
    pub digest: Digest,
}

/// Why a line cannot be judged at all.
#[derive(Debug, thiserror::Error)]
pub enum BadReceipt {
    /// A source that does not know a transaction answers `null`; that proves nothing (D7, D8).
    #[error("the receipt is null: the source does not know the transaction, which proves nothing; ask another source")]
    Unknown,
    /// Not the JSON of a receipt.
    #[error("not a receipt as eth_getTransactionReceipt returns it")]
    NotAReceipt(#[source] serde_json::Error),
    /// In no block yet, so nothing can be keyed or proven.
    #[error("transaction {tx} is in no block yet; fetch its receipt again later")]
    Pending {
        /// The transaction.
        tx: B256,
    },
    /// A receipt of before 2017's fork states no success; Base never had one.
    #[error("the receipt of transaction {tx} has no status; distrust this source")]
    NoStatus {
        /// The transaction.
        tx: B256,
    },
    /// A log names another transaction or block than its receipt: the source mixes answers up.
    #[error("log {ordinal} of transaction {tx} belongs to another transaction or block; distrust this source")]
    ForeignLog {
        /// The transaction.
        tx: B256,
        /// The place of the log in its receipt.
        ordinal: u32,
    },
    /// Logs missing or out of order: their places, which key the deposits, would be wrong.
    #[error("log {ordinal} of transaction {tx} does not follow the log before it; fetch the whole receipt again")]
    LogOrder {
        /// The transaction.
        tx: B256,
        /// The place of the log in its receipt.
        ordinal: u32,
    },
}

/// Judges one line: a receipt as JSON-RPC returns it, of any transaction type (0x7e included).
pub fn judge_line(line: &str, watch: &Watch) -> Result<Judged, BadReceipt> {
    let line = line.trim_end_matches(['\r', '\n']);
    let receipt: Option<AnyTransactionReceipt> = serde_json::from_str(line).map_err(BadReceipt::NotAReceipt)?;
    let (receipt, _) = receipt.ok_or(BadReceipt::Unknown)?.into_parts();
    let tx = receipt.transaction_hash;
    let (Some(block), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
        return Err(BadReceipt::Pending { tx });
    };
    let reverted = !receipt.inner.inner.receipt.status.as_eip658().ok_or(BadReceipt::NoStatus { tx })?;
    let digest = Digest::of(line.as_bytes());
    let mut verdicts = Vec::with_capacity(receipt.logs().len());
    let mut log_index_next = None;
    for (ordinal, log) in (0u32..).zip(receipt.logs()) {
        if log.transaction_hash != Some(tx) || log.block_hash != Some(block_hash) || log.block_number != Some(block) {
            return Err(BadReceipt::ForeignLog { tx, ordinal });
        }
        let log_index = log.log_index.ok_or(BadReceipt::Pending { tx })?;
        if log_index_next.is_some_and(|expected| expected != log_index) {
            return Err(BadReceipt::LogOrder { tx, ordinal });
        }
        log_index_next = log_index.checked_add(1);
        verdicts.push(match judge_log(log, reverted, watch) {
            Ok((Transfer { from, to, .. }, value)) => Verdict::Deposit(Box::new(Deposit {
                chain: watch.chain,
                tx: hash(tx),
                ordinal,
                log_index,
                block,
                block_hash: hash(block_hash),
                time: log.block_timestamp.and_then(from_seconds),
                token: label(watch.token),
                from: label(from),
                to: label(to),
                value,
                digest,
            })),
            Err(reason) => Verdict::Refused { ordinal, reason },
        });
    }
    Ok(Judged { tx: hash(tx), reverted, verdicts })
}

fn judge_log(log: &Log, reverted: bool, watch: &Watch) -> Result<(Transfer, Amount), Refusal> {
    let topics = log.topics();
    if reverted {
        return Err(Refusal::Reverted);
    }
    if log.removed {
        return Err(Refusal::Removed);
    }
    if topics.first() != Some(&Transfer::SIGNATURE_HASH) {
        return Err(Refusal::NotTransfer);
    }
    if topics.len() == 4 {
        return Err(Refusal::Erc721);
    }
    if topics.len() != 3 || log.data().data.len() != 32 {
        return Err(Refusal::Malformed);
    }
    let transfer = Transfer::decode_log_data_validate(log.data()).map_err(|_| Refusal::Malformed)?;
    if log.address() != watch.token {
        return Err(Refusal::ForeignToken);
    }
    if !watch.to.contains(&transfer.to) {
        return Err(Refusal::NotWatched);
    }
    if transfer.value == U256::ZERO {
        return Err(Refusal::ZeroValue);
    }
    let units = u128::try_from(transfer.value).map_err(|_| Refusal::OutOfRange)?;
    let value = Amount::from_base_units(units).map_err(|_| Refusal::OutOfRange)?;
    Ok((transfer, value))
}

/// What the caller knows about a deposit beyond its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The time of the block, for receipts that do not state it; a stated one wins.
    pub time: Timestamp,
    /// How final the block was. A receipt alone proves no more than `unsafe`.
    pub finality: Finality,
    /// Where the receipt came from.
    pub source: Label,
}

/// The event for a deposit, its stream, and the revision it expects there (none: the stream is new).
///
/// Everything follows from the arguments, so the same receipt imported twice gives the same event, which a log takes
/// as a repeat.
#[must_use]
pub fn to_event(deposit: &Deposit, seen: &Seen) -> (StreamId, Revision, NewEvent) {
    let Deposit { chain, tx, ordinal, .. } = deposit;
    let (chain_text, ordinal_text) = (chain.to_string(), ordinal.to_string());
    let observed = Event::from(DepositEvent::DepositObserved {
        chain: *chain,
        tx: tx.clone(),
        ordinal: *ordinal,
        log_index: deposit.log_index,
        block: deposit.block,
        block_hash: deposit.block_hash.clone(),
        token: deposit.token.clone(),
        from: deposit.from.clone(),
        to: deposit.to.clone(),
        value: deposit.value,
        finality: seen.finality,
        source: seen.source.clone(),
        digest: deposit.digest,
    });
    let (kind, version, data) = observed.encode().expect("texts and integers always encode");
    let event = NewEvent {
        id: EventId::derived(&[&chain_text, tx.as_str(), &ordinal_text, "observed"]),
        kind,
        version,
        time: deposit.time.unwrap_or(seen.time),
        actor: Actor::new("chain").expect("`chain` is an identity"),
        causation: None,
        correlation: None,
        provenance: Provenance::Observed,
        rules: RULES,
        data,
    };
    let stream = StreamId::new(format!("deposit-{chain_text}:{tx}:{ordinal_text}"))
        .expect("a chain id, a hash in hex and a number are at most 108 printable bytes");
    (stream, Revision::NO_STREAM, event)
}

/// What an import needs of a block: which it is, and when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockTime {
    /// The block's hash.
    pub block_hash: TxHash,
    /// Its time.
    pub time: Timestamp,
}

/// Why a line of blocks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadBlock {
    /// Not the JSON of a block.
    #[error("not a block as eth_getBlockByNumber returns it")]
    NotABlock(#[source] serde_json::Error),
    /// A time no chain has.
    #[error("block {block_hash} has a time out of range")]
    Time {
        /// The block.
        block_hash: B256,
    },
}

/// Reads hash and time of one line: a block as JSON-RPC returns it. The rest of the block is not looked at.
pub fn block_time(line: &str) -> Result<BlockTime, BadBlock> {
    #[derive(Deserialize)]
    struct Header {
        hash: B256,
        timestamp: U64,
    }
    let Header { hash: block_hash, timestamp } = serde_json::from_str(line).map_err(BadBlock::NotABlock)?;
    let time = from_seconds(timestamp.to()).ok_or(BadBlock::Time { block_hash })?;
    Ok(BlockTime { block_hash: hash(block_hash), time })
}

/// Seconds since 1970, as chains count, in microseconds; `None` beyond what fits and for 0, which stands for "unknown".
fn from_seconds(seconds: u64) -> Option<Timestamp> {
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    (micros > 0).then_some(Timestamp(micros))
}

fn hash(hash: B256) -> TxHash {
    TxHash::new(format!("{hash:#x}")).expect("a hash in hex is 66 printable bytes")
}

fn label(address: Address) -> Label {
    Label::new(format!("{address:#x}")).expect("an address in hex is 42 printable bytes")
}

#[cfg(test)]
mod tests {
    //! Seven real receipts of Base (`tests/data/base_receipts.jsonl`), and the same changed by one field at a time.

    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const RECEIPTS: &str = include_str!("../../tests/data/base_receipts.jsonl");
    const BLOCKS: &str = include_str!("../../tests/data/base_block_headers.jsonl");
    const USDC: &str = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";
    const USDC_CHECKSUMMED: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    /// The receiver of the only transfer in the first receipt.
    const RECEIVER: &str = "0xb125e6687d4313864e53df431d5425969c15eb2f";
    /// A receiver whose receipt states no time.
    const RECEIVER_UNTIMED: &str = "0xc1256ae5ff1cf2719d4937adb3bbccab2e00a2ca";

    fn watch(to: &[&str]) -> Watch {
        Watch::new(8453, USDC, to).unwrap()
    }

    fn first_receipt() -> Value {
        serde_json::from_str(RECEIPTS.lines().next().unwrap()).unwrap()
    }

    fn judged(line: &str, watch: &Watch) -> Vec<String> {
        let show = |verdict: &Verdict| match verdict {
            Verdict::Deposit(deposit) => format!("{} deposit {}", deposit.ordinal, deposit.value.base_units()),
            Verdict::Refused { ordinal, reason } => format!("{ordinal} {reason}"),
        };
        judge_line(line, watch).unwrap().verdicts.iter().map(show).collect()
    }

    #[track_caller]
    fn changed(change: impl FnOnce(&mut Value), expected: &str) {
        let mut receipt = first_receipt();
        change(&mut receipt);
        assert_eq!(judged(&receipt.to_string(), &watch(&[RECEIVER]))[0], expected);
    }

    fn seen() -> Seen {
        Seen { time: Timestamp(7_000_000), finality: Finality::Unsafe, source: Label::new("receipts.jsonl").unwrap() }
    }

    #[test]
    fn a_real_transfer_to_a_watched_address_is_a_deposit() {
        let line = RECEIPTS.lines().next().unwrap();
        let Judged { tx, reverted, verdicts } = judge_line(line, &watch(&[RECEIVER])).unwrap();
        assert!(!reverted);
        let Verdict::Deposit(deposit) = &verdicts[0] else { panic!("{verdicts:?}") };
        assert_eq!(verdicts[1], Verdict::Refused { ordinal: 1, reason: Refusal::NotTransfer });
        assert_eq!(tx.as_str(), "0x455761ce3e1076eb03a3af1a90b935b42a703336e08aacf218afe76102d8d171");
        assert_eq!(
            **deposit,
            Deposit {
                chain: 8453,
                tx,
                ordinal: 0,
                log_index: 229,
                block: 13_887_515,
                block_hash: TxHash::new("0xb4761b8ad1ebe42cd17627a938d69cc38954d396d06c3b3894ca723dd277c5d3").unwrap(),
                time: Some(Timestamp(0x6632_2d19 * 1_000_000)),
                token: Label::new(USDC).unwrap(),
                from: deposit.from.clone(),
                to: Label::new(RECEIVER).unwrap(),
                value: Amount::from_base_units(100_000_919).unwrap(),
                digest: Digest::of(line.as_bytes()),
            }
        );
    }

    #[test]
    fn every_log_of_the_excerpt_has_the_verdict_a_person_gives_it() {
        let watch = watch(&[RECEIVER, RECEIVER_UNTIMED, "0x6c561b446416e1a00e8e93e221854d6ea4171372"]);
        let verdicts: Vec<Vec<String>> = RECEIPTS.lines().map(|line| judged(line, &watch)).collect();
        assert_eq!(verdicts[0], ["0 deposit 100000919", "1 not_transfer"]);
        assert_eq!(verdicts[1], ["0 not_transfer", "1 not_watched", "2 not_transfer"]);
        assert_eq!(verdicts[2], ["0 deposit 6074025105", "1 not_transfer", "2 erc721", "3 not_transfer"]);
        assert!(verdicts[3].is_empty(), "a deposit transaction (0x7e) without logs is a receipt like any other");
        assert_eq!(
            verdicts[4],
            ["0 foreign_token", "1 not_transfer", "2 not_transfer", "3 not_transfer", "4 not_transfer"]
        );
        let three =
            ["0 not_transfer", "1 not_transfer", "2 not_transfer", "3 not_watched", "4 not_watched", "5 not_watched"];
        assert_eq!(verdicts[5], three);
        assert_eq!(verdicts[6].iter().filter(|verdict| verdict.contains("deposit 10000000000")).count(), 1);
    }

    #[test]
    fn one_transaction_may_hold_several_deposits() {
        let all = [
            "0x3520f30bc0dfa7c2a3577b23ad689bad81d6709c",
            "0xad01c20d5886137e056775af56915de824c8fce5",
            "0xd72029dd66179ce316dabd42e9dfca63725dce92",
        ];
        let verdicts = judged(RECEIPTS.lines().nth(5).unwrap(), &watch(&all));
        assert_eq!(verdicts[3..], ["3 not_watched", "4 deposit 1541", "5 deposit 1026401"]);
    }

    #[test]
    fn each_decoy_is_refused_by_its_reason() {
        let word = |number: u128| json!(format!("0x{number:064x}"));
        changed(|receipt| receipt["logs"][0]["data"] = word(1), "0 deposit 1");
        changed(|receipt| receipt["status"] = json!("0x0"), "0 reverted");
        changed(|receipt| receipt["logs"][0]["removed"] = json!(true), "0 removed");
        changed(|receipt| receipt["logs"][0]["topics"][0] = word(1), "0 not_transfer");
        changed(|receipt| receipt["logs"][0]["topics"] = json!([]), "0 not_transfer");
        changed(|receipt| receipt["logs"][0]["topics"].as_array_mut().unwrap().push(word(1)), "0 erc721");
        changed(|receipt| drop(receipt["logs"][0]["topics"].as_array_mut().unwrap().pop()), "0 malformed");
        changed(|receipt| receipt["logs"][0]["data"] = json!("0x"), "0 malformed");
        changed(|receipt| receipt["logs"][0]["data"] = json!(format!("0x{:0128x}", 1)), "0 malformed");
        changed(|receipt| receipt["logs"][0]["topics"][2] = json!(format!("0x01{:062x}", 1)), "0 malformed");
        changed(|receipt| receipt["logs"][0]["address"] = json!(RECEIVER), "0 foreign_token");
        changed(|receipt| receipt["logs"][0]["topics"][2] = word(1), "0 not_watched");
        changed(|receipt| receipt["logs"][0]["data"] = word(0), "0 zero_value");
        changed(|receipt| receipt["logs"][0]["data"] = word(1 << 127), "0 out_of_range");
        changed(
            |receipt| receipt["logs"][0]["data"] = word((1 << 127) - 1),
            &format!("0 deposit {}", (1_u128 << 127) - 1),
        );
        changed(|receipt| receipt["logs"][0]["data"] = json!(format!("0x{}", "f".repeat(64))), "0 out_of_range");
    }

    #[test]
    fn an_unknown_transaction_type_and_unknown_fields_are_no_obstacle() {
        changed(|receipt| receipt["type"] = json!("0x7d"), "0 deposit 100000919");
        changed(|receipt| receipt["addedByAFork"] = json!({"deep": [1]}), "0 deposit 100000919");
    }

    #[test]
    fn a_line_that_cannot_be_judged_says_what_to_do() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut receipt = first_receipt();
            change(&mut receipt);
            judge_line(&receipt.to_string(), &watch(&[RECEIVER])).unwrap_err()
        };
        let other = json!(format!("0x{:064x}", 1));
        assert!(matches!(refused(&|receipt| *receipt = Value::Null), BadReceipt::Unknown));
        assert!(matches!(refused(&|receipt| *receipt = json!([1])), BadReceipt::NotAReceipt(_)));
        assert!(matches!(refused(&|receipt| receipt["logs"] = json!("none")), BadReceipt::NotAReceipt(_)));
        assert!(matches!(refused(&|receipt| receipt["blockHash"] = Value::Null), BadReceipt::Pending { .. }));
        assert!(matches!(refused(&|receipt| receipt["logs"][0]["logIndex"] = Value::Null), BadReceipt::Pending { .. }));
        let without_status = refused(&|receipt| {
            receipt.as_object_mut().unwrap().remove("status");
            receipt["root"] = json!(format!("0x{:064x}", 1));
        });
        assert!(matches!(without_status, BadReceipt::NoStatus { .. }), "{without_status}");
        for field in ["transactionHash", "blockHash"] {
            let error = refused(&|receipt| receipt["logs"][1][field] = other.clone());
            assert!(matches!(error, BadReceipt::ForeignLog { ordinal: 1, .. }), "{error}");
        }
        let swapped = refused(&|receipt| receipt["logs"].as_array_mut().unwrap().swap(0, 1));
        assert!(matches!(swapped, BadReceipt::LogOrder { ordinal: 1, .. }), "{swapped}");
        assert!(judge_line("", &watch(&[RECEIVER])).is_err());
        assert!(judge_line("{\"type\":\"0x2\"", &watch(&[RECEIVER])).is_err());
    }

    #[test]
    fn addresses_are_taken_in_one_case_or_with_a_right_checksum() {
        let watches = [USDC, USDC_CHECKSUMMED].map(|token| Watch::new(8453, token, &[RECEIVER]).unwrap());
        assert_eq!(watches[0], watches[1]);
        let wrong_checksum = USDC_CHECKSUMMED.replacen("fCD", "fCd", 1);
        for text in [wrong_checksum.as_str(), "", "0x", "833589fcd6edb6e08f4c7c32d4f71b54bda02913", "0x833589"] {
            assert!(matches!(Watch::new(8453, text, &[RECEIVER]), Err(BadWatch::Address { .. })), "{text}");
        }
        assert!(matches!(Watch::new(8453, USDC, &[] as &[&str]), Err(BadWatch::Nothing)));
    }

    #[test]
    fn the_same_receipt_gives_the_same_event_whatever_its_line_ending() {
        let line = RECEIPTS.lines().next().unwrap();
        let event = |line: &str| match &judge_line(line, &watch(&[RECEIVER])).unwrap().verdicts[0] {
            Verdict::Deposit(deposit) => to_event(deposit, &seen()),
            Verdict::Refused { reason, .. } => panic!("{reason}"),
        };
        let (stream, expected, observed) = event(line);
        let (other_stream, other_expected, other) = event(&format!("{line}\r\n"));
        assert_eq!((&stream, expected, &observed), (&other_stream, other_expected, &other));
        assert_eq!(
            stream.as_str(),
            "deposit-8453:0x455761ce3e1076eb03a3af1a90b935b42a703336e08aacf218afe76102d8d171:0"
        );
        assert_eq!(expected, Revision::NO_STREAM);
        assert_eq!((observed.kind.as_str(), observed.version), ("DepositObserved", 1));
        assert_eq!((observed.provenance, observed.actor.as_str()), (Provenance::Observed, "chain"));
        assert_eq!(observed.time, Timestamp(0x6632_2d19 * 1_000_000), "the receipt's own time wins");
        let data: Value = serde_json::from_str(observed.data.as_str()).unwrap();
        assert_eq!(data["value"], "0.000000000100000919");
        assert_eq!((&data["finality"], &data["source"]), (&json!("unsafe"), &json!("receipts.jsonl")));
        assert!(Event::decode(&stream, &observed.kind, observed.version, observed.data.as_str()).is_ok());
    }

    #[test]
    fn a_receipt_without_a_time_takes_it_from_its_block() {
        let line = RECEIPTS.lines().nth(6).unwrap();
        let verdicts = judge_line(line, &watch(&[RECEIVER_UNTIMED])).unwrap().verdicts;
        let deposit = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Deposit(deposit) => Some(deposit),
            Verdict::Refused { .. } => None,
        });
        let deposit = deposit.unwrap();
        assert_eq!(deposit.time, None);
        let times: BTreeMap<TxHash, Timestamp> =
            BLOCKS.lines().map(|line| block_time(line).unwrap()).map(|block| (block.block_hash, block.time)).collect();
        let (_, _, event) = to_event(deposit, &Seen { time: times[&deposit.block_hash], ..seen() });
        assert_eq!(event.time.0 % 1_000_000, 0);
        assert!(event.time.0 > 1_600_000_000_000_000, "{:?}", event.time);
    }

    #[test]
    fn a_block_without_a_time_is_refused() {
        let hash = format!("0x{:064x}", 1);
        assert!(matches!(block_time("{}"), Err(BadBlock::NotABlock(_))));
        for seconds in ["0x0", "0xffffffffffffffff"] {
            let line = json!({"hash": hash, "timestamp": seconds}).to_string();
            assert!(matches!(block_time(&line), Err(BadBlock::Time { .. })), "{seconds}");
        }
    }

    #[test]
    #[ignore = "needs ../shared/data/base"]
    fn the_whole_recording_is_judged_needs_shared_data() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/base");
        let receipts = std::fs::read_to_string(folder.join("receipts.jsonl")).unwrap();
        let mut counts = BTreeMap::<String, usize>::new();
        let mut receivers = BTreeSet::new();
        for line in receipts.lines() {
            let receipt: Value = serde_json::from_str(line).unwrap();
            let verdicts = judge_line(line, &watch(&[RECEIVER])).unwrap().verdicts;
            assert_eq!(verdicts.len(), receipt["logs"].as_array().unwrap().len());
            for (verdict, log) in verdicts.iter().zip(receipt["logs"].as_array().unwrap()) {
                let reason = match verdict {
                    Verdict::Deposit(_) => "deposit",
                    Verdict::Refused { reason, .. } => reason.into(),
                };
                *counts.entry(reason.to_owned()).or_default() += 1;
                if matches!(verdict, Verdict::Refused { reason: Refusal::NotWatched, .. }) {
                    receivers.insert(log["topics"][2].as_str().unwrap().replace("0x000000000000000000000000", "0x"));
                }
            }
        }
        let shown: Vec<String> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        assert_eq!(shown, ["deposit 1", "erc721 8", "foreign_token 871", "not_transfer 963", "not_watched 70"]);
        let everybody = Watch::new(8453, USDC, &receivers.into_iter().collect::<Vec<_>>()).unwrap();
        let deposits = receipts.lines().flat_map(|line| judge_line(line, &everybody).unwrap().verdicts);
        let streams: Vec<StreamId> = deposits
            .filter_map(|verdict| match verdict {
                Verdict::Deposit(deposit) => Some(to_event(&deposit, &seen()).0),
                Verdict::Refused { .. } => None,
            })
            .collect();
        assert_eq!(streams.len(), 70);
        assert_eq!(streams.iter().collect::<BTreeSet<_>>().len(), 70, "every deposit has its own stream");
        for line in std::fs::read_to_string(folder.join("blocks.jsonl")).unwrap().lines() {
            block_time(line).unwrap();
        }
    }
}
