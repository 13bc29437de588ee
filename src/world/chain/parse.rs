//! From JSON to facts, strictly: what is not of the shape that was asked for, or speaks of something else, is a failure
//! of its source and no answer. Every signed transaction is hashed again and its sender recovered (banking.md 1.3): a
//! source that invents one would have to invent a signature too.

use std::fmt;

use alloy::{
    consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, B256, Bytes, U256, keccak256},
    rlp::{BufMut as _, BytesMut, Encodable, Header},
    rpc::types::Transaction as RpcTransaction,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use wox_events::{
    Amount, Digest, Timestamp, TxHash,
    chain::{BlockId, Fault, Fees, Head, Log, Membership, Receipt, Transaction},
    id::Label,
};

use super::Interest;

type Parsed<T> = Result<T, Fault>;

/// The type of a deposit from the base layer: it has no signature (banking.md 3.2).
const FROM_BASE_LAYER: u8 = 0x7e;

fn hash(value: B256) -> TxHash {
    TxHash::new(format!("{value:#x}")).expect("0x and 64 hex digits are an identity")
}

fn address(value: Address) -> Label {
    Label::new(format!("{value:#x}")).expect("0x and 40 hex digits are an identity")
}

fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Parsed<T> {
    T::deserialize(value).map_err(|_| Fault::Malformed)
}

fn field<T: for<'de> Deserialize<'de>>(value: &Value, name: &str) -> Parsed<T> {
    typed(value.get(name).ok_or(Fault::Malformed)?)
}

/// The JSON of an answer. A field that stands twice in an object has two values, and readers differ in which they take:
/// it has none here.
pub(super) fn json(bytes: &[u8]) -> Parsed<Value> {
    let read: Result<Once, serde_json::Error> = serde_json::from_slice(bytes);
    read.map(|Once(value)| value).map_err(|error| match error.classify() {
        // Every JSON fits a value: only a field that stands twice does not.
        serde_json::error::Category::Data => Fault::Contradictory,
        _ => Fault::NotJson,
    })
}

/// A value whose objects have every field once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose objects have every field once")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Once(member)) = members.next_element()? {
            all.push(member);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Once(value))) = fields.next_entry::<String, Once>()? {
            if all.insert(name, value).is_some() {
                return Err(de::Error::custom("a field stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

/// `0x` and hex digits, the first of them no zero that could be left out, within 64 bits.
pub(super) fn quantity(value: &Value) -> Parsed<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).ok_or(Fault::Malformed)?;
    // A sign would be read as a number too.
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    u64::from_str_radix(digits, 16).ok().filter(|_| canonical).ok_or(Fault::Malformed)
}

fn quantity_of(value: &Value, name: &str) -> Parsed<u64> {
    quantity(value.get(name).ok_or(Fault::Malformed)?)
}

/// A block, whatever its transactions look like.
pub(super) fn head(value: &Value) -> Parsed<Head> {
    let seconds = quantity_of(value, "timestamp")?;
    let micros = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    let BlockId { number, hash } = block(value)?;
    Ok(Head { number, hash, time: Timestamp(micros.ok_or(Fault::Malformed)?) })
}

/// A block's number and hash.
pub(super) fn block(value: &Value) -> Parsed<BlockId> {
    Ok(BlockId { number: quantity_of(value, "number")?, hash: hash(field(value, "hash")?) })
}

/// A block at the height that was asked for.
pub(super) fn block_at(value: &Value, number: u64) -> Parsed<BlockId> {
    block(value).and_then(|block| if block.number == number { Ok(block) } else { Err(Fault::Unrelated) })
}

/// A block at the height that was asked for, and whether it has the transaction.
pub(super) fn membership(value: &Value, number: u64, tx: &TxHash) -> Parsed<Membership> {
    let block = block_at(value, number)?;
    let hashes: Vec<B256> = field(value, "transactions")?;
    Ok(Membership { block, contains: hashes.into_iter().any(|member| hash(member) == *tx) })
}

/// The transaction of a block with all its transactions that a wallet signed with a slot.
pub(super) fn signed_in(value: &Value, number: u64, wallet: &Label, nonce: u64) -> Parsed<Option<Transaction>> {
    block_at(value, number)?;
    let members = value.get("transactions").and_then(Value::as_array).ok_or(Fault::Malformed)?;
    for member in members {
        let from: Address = field(member, "from")?;
        // A deposit from the base layer has no slot of its own: its nonce is what the count happened to be.
        let signed = kind(member)? != FROM_BASE_LAYER;
        if signed && address(from) == *wallet && quantity_of(member, "nonce")? == nonce {
            return transaction(member).map(Some);
        }
    }
    Ok(None)
}

/// The transactions that logs in a range of blocks belong to.
pub(super) fn named_by_logs(value: &Value, from: u64, to: u64) -> Parsed<Vec<TxHash>> {
    let logs = value.as_array().ok_or(Fault::Malformed)?;
    let of = |log: &Value| match (from..=to).contains(&quantity_of(log, "blockNumber")?) {
        true => field(log, "transactionHash").map(hash),
        false => Err(Fault::Unrelated),
    };
    logs.iter().map(of).collect()
}

/// Whether a transaction is a deposit from the base layer, which nobody signs.
pub(super) fn is_from_base_layer(value: &Value) -> bool {
    kind(value) == Ok(FROM_BASE_LAYER)
}

fn kind(value: &Value) -> Parsed<u8> {
    match value.get("type") {
        Some(stated) => u8::try_from(quantity(stated)?).map_err(|_| Fault::UnknownType),
        None => Ok(0),
    }
}

/// A transaction, hashed again, its sender recovered.
pub(super) fn transaction(value: &Value) -> Parsed<Transaction> {
    let stated: B256 = field(value, "hash")?;
    let kind = kind(value)?;
    let block = match (value.get("blockNumber"), value.get("blockHash")) {
        (None | Some(Value::Null), None | Some(Value::Null)) => None,
        (Some(number), Some(block_hash)) => Some(BlockId { number: quantity(number)?, hash: hash(typed(block_hash)?) }),
        _ => return Err(Fault::Malformed),
    };
    if kind == FROM_BASE_LAYER {
        let deposit: FromBaseLayer = typed(value)?;
        if deposit.hash() != stated {
            return Err(Fault::HashMismatch);
        }
        return Ok(Transaction {
            tx: hash(stated),
            kind,
            from: address(deposit.from),
            nonce: value.get("nonce").map_or(Ok(0), quantity)?,
            to: deposit.to.map(address),
            value: Label::new(deposit.value.to_string()).map_err(|_| Fault::Malformed)?,
            plain: deposit.input.is_empty(),
            fees: None,
            block,
        });
    }
    if !matches!(kind, 0 | 1 | 2 | 4) {
        return Err(Fault::UnknownType);
    }
    let parsed: RpcTransaction = typed(value)?;
    let from = parsed.inner.signer();
    let envelope: &TxEnvelope = parsed.inner.inner();
    if keccak256(envelope.encoded_2718()) != stated {
        return Err(Fault::HashMismatch);
    }
    if envelope.recover_signer().map_err(|_| Fault::SenderMismatch)? != from {
        return Err(Fault::SenderMismatch);
    }
    Ok(Transaction {
        tx: hash(stated),
        kind,
        from: address(from),
        nonce: envelope.nonce(),
        to: envelope.to().map(address),
        value: Label::new(envelope.value().to_string()).map_err(|_| Fault::Malformed)?,
        plain: envelope.input().is_empty(),
        fees: fees(envelope),
        block,
    })
}

/// What it was signed to offer; older types name one price, which is both.
fn fees(envelope: &TxEnvelope) -> Option<Fees> {
    let stated = |fee: u128| u64::try_from(fee).ok().filter(|fee| *fee <= Fees::STATED_MAX);
    let max = stated(envelope.max_fee_per_gas())?;
    Some(Fees { max, priority: stated(envelope.max_priority_fee_per_gas().unwrap_or(u128::from(max)))? })
}

/// A deposit from the base layer, as OP-stack nodes state it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FromBaseLayer {
    source_hash: B256,
    from: Address,
    to: Option<Address>,
    #[serde(default)]
    mint: Option<U256>,
    value: U256,
    gas: U256,
    #[serde(default)]
    is_system_tx: bool,
    input: Bytes,
}

impl FromBaseLayer {
    /// `keccak256(0x7e || rlp([sourceHash, from, to, mint, value, gas, isSystemTx, data]))`: the OP stack's deposits
    /// specification. Nobody signs it, so the hash is all that binds its fields.
    fn hash(&self) -> B256 {
        let mut fields = BytesMut::new();
        self.source_hash.encode(&mut fields);
        self.from.encode(&mut fields);
        match &self.to {
            Some(to) => to.encode(&mut fields),
            None => "".encode(&mut fields),
        }
        self.mint.unwrap_or_default().encode(&mut fields);
        self.value.encode(&mut fields);
        self.gas.encode(&mut fields);
        self.is_system_tx.encode(&mut fields);
        self.input.encode(&mut fields);
        let mut all = BytesMut::new();
        all.put_u8(FROM_BASE_LAYER);
        Header { list: true, payload_length: fields.len() }.encode(&mut all);
        all.extend_from_slice(&fields);
        keccak256(all)
    }
}

/// A log as JSON-RPC states it; unknown fields are the node's own business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatedLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    log_index: Value,
    transaction_hash: B256,
    block_hash: B256,
    #[serde(default)]
    removed: bool,
}

/// A receipt of a transaction; keeps the logs that are of interest and a digest of all of them.
pub(super) fn receipt(value: &Value, asked: &TxHash, interest: &Interest) -> Parsed<Receipt> {
    let stated: B256 = field(value, "transactionHash")?;
    if hash(stated) != *asked {
        return Err(Fault::Unrelated);
    }
    let block_hash: B256 = field(value, "blockHash")?;
    let block = BlockId { number: quantity_of(value, "blockNumber")?, hash: hash(block_hash) };
    let success = match quantity_of(value, "status")? {
        0 => false,
        1 => true,
        _ => return Err(Fault::Malformed),
    };
    let stated_logs: Vec<StatedLog> = field(value, "logs")?;
    let mut all = BytesMut::new();
    let mut logs = Vec::new();
    let mut expected = None;
    for (ordinal, log) in (0u32..).zip(&stated_logs) {
        if log.transaction_hash != stated || log.block_hash != block_hash {
            return Err(Fault::Unrelated);
        }
        let log_index = quantity(&log.log_index)?;
        // A gap would shift the places that key our deposits.
        if expected.is_some_and(|expected| expected != log_index) {
            return Err(Fault::Malformed);
        }
        expected = log_index.checked_add(1);
        log.address.encode(&mut all);
        log.topics.encode(&mut all);
        log.data.encode(&mut all);
        if concerns(log, interest) {
            logs.push(Log {
                ordinal,
                log_index,
                address: address(log.address),
                topics: log.topics.iter().copied().map(hash).collect(),
                data: log.data.to_string(),
                removed: log.removed,
            });
        }
    }
    Ok(Receipt {
        tx: hash(stated),
        block,
        success,
        log_count: u32::try_from(stated_logs.len()).map_err(|_| Fault::TooLarge)?,
        logs_digest: Digest::of(&all),
        logs,
    })
}

/// A receipt of a transaction that the same source shows. One that names another sender or another receiver is a receipt of
/// something else; where a contract is made nobody is called.
pub(super) fn receipt_of(value: &Value, of: &Transaction, interest: &Interest) -> Parsed<Receipt> {
    let stated = |name: &str| value.get(name).map(typed::<Option<Address>>).transpose();
    let same = |stated: Option<Option<Address>>, known: Option<&Label>| match stated {
        Some(stated) => stated.map(address).as_ref() == known,
        // What it does not say contradicts nothing.
        None => true,
    };
    match same(stated("from")?, Some(&of.from)) && same(stated("to")?, of.to.as_ref()) {
        true => receipt(value, &of.tx, interest),
        false => Err(Fault::Contradictory),
    }
}

/// Largest data of a log that is kept as evidence; a Transfer has 32 bytes.
const LOG_DATA_MAX: usize = 1_024;

fn concerns(log: &StatedLog, interest: &Interest) -> bool {
    let names_ours =
        || log.topics.iter().any(|topic| interest.addresses.contains(&address(Address::from_word(*topic))));
    log.data.len() <= LOG_DATA_MAX && (interest.tokens.contains(&address(log.address)) || names_ours())
}

/// What `balanceOf` returned.
pub(super) fn balance(value: &Value) -> Parsed<Amount> {
    let bytes: Bytes = typed(value)?;
    if bytes.len() != 32 {
        return Err(Fault::Malformed);
    }
    let units = u128::try_from(U256::from_be_slice(&bytes)).map_err(|_| Fault::Malformed)?;
    Amount::from_base_units(units).map_err(|_| Fault::Malformed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail this way")]
mod tests {
    use super::*;

    /// Transactions of Base as nodes stated them: legacy, access list, fee market, set code, and from the base layer.
    const REAL: &str = include_str!("../../../tests/fixtures/base_transactions.jsonl");

    #[test]
    fn real_transactions_of_every_type_hash_to_their_hash_and_recover_their_sender() {
        let mut kinds: Vec<u8> = REAL
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line).unwrap();
                let read = transaction(&value).unwrap_or_else(|fault| panic!("{fault}: {line}"));
                assert_eq!(Some(read.tx.as_str()), value["hash"].as_str());
                read.kind
            })
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, [0, 1, 2, 4, 126]);
    }

    #[test]
    fn a_field_that_stands_twice_and_a_number_with_a_needless_zero_are_no_answer() {
        for (text, read) in [
            (r#"{"a":[{"b":null}],"c":-1.5}"#, Ok(serde_json::json!({"a": [{"b": null}], "c": -1.5}))),
            (r#"[{"a":1,"a":1}]"#, Err(Fault::Contradictory)),
            (r#"[{"a":1}"#, Err(Fault::NotJson)),
            ("[1] garbage", Err(Fault::NotJson)),
        ] {
            assert_eq!(json(text.as_bytes()), read, "{text}");
        }
        assert_eq!(json("[".repeat(200_000).as_bytes()), Err(Fault::NotJson), "as deep as one likes");
        for (text, read) in [("0x0", Some(0)), ("0x1f", Some(31)), ("0x01", None), ("0x", None), ("0x+1", None)] {
            assert_eq!(quantity(&text.into()).ok(), read, "{text}");
        }
    }

    #[test]
    fn a_changed_field_is_a_lie_that_is_found() {
        for line in REAL.lines() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["value"] = "0x1234567".into();
            assert_eq!(transaction(&value), Err(Fault::HashMismatch));
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["from"] = "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65".into();
            assert!(matches!(transaction(&value), Err(Fault::SenderMismatch | Fault::HashMismatch)));
        }
    }
}
