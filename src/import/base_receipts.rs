//! Transaction receipts of Base, as JSON-RPC states them, → deposits that were observed.
//!
//! A log counts when it is exactly an ERC-20 `Transfer` of the right token to a watched address (banking.md 4.1,
//! "Matching log"); everything else is refused by reason. A receipt proves that a transaction happened and nothing about
//! finality or whose the money is: the caller says how final the block was, and crediting is another event.

use std::{collections::BTreeSet, fmt};

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

fn address(text: &str) -> Result<Address, BadWatch> {
    let bad = || BadWatch::Address { text: text.to_owned() };
    let digits = text.strip_prefix("0x").ok_or_else(bad)?;
    let one_case = !(digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase()));
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
    Deposit(Deposit),
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
    let reverted = !receipt.status();
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
            Ok((Transfer { from, to, .. }, value)) => Verdict::Deposit(Deposit {
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
            }),
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
    Label::new(lower(&address)).expect("an address in hex is 42 printable bytes")
}

fn lower(value: &impl fmt::LowerHex) -> String {
    format!("{value:#x}")
}
