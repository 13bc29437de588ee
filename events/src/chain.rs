//! What sources said of the chain, and what follows from it for the whole game (streams `chain-…`; rows R12 to R14, E1).
//!
//! Answers are recorded source by source, as a projection of the raw answer and its digest: a verdict is a pure function
//! of these events, so that everybody reaches it again without a network (banking.md 0, point 5). Streams:
//! `chain-<chain>` (policy, sums at one block), `chain-<chain>:tx:<hash>`, `chain-<chain>:slot:<wallet>:<nonce>`,
//! `chain-<chain>:wallet:<wallet>`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, Digest, Duration, EventId, PlayerId, StreamId, Timestamp, TxHash, WithdrawalId, id::Label};

/// What sources said of the chain, and what follows from it for the whole game (streams `chain-…`).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum ChainEvent {
    /// From here on the chain is judged by these rules. Part of the log, because every verdict rests on them.
    ChainPolicyDeclared {
        /// Chain id; Base is 8453.
        chain: u64,
        /// The hash of block 0: two networks may share an id.
        genesis: TxHash,
        /// How many sources must say the same.
        quorum: u32,
        /// The sources, by name.
        sources: Vec<Source>,
        /// Contracts whose transfers are our money, in lower case.
        tokens: Vec<Label>,
        /// Addresses whose incoming transfers are deposits, in lower case.
        watched: Vec<Label>,
        /// Wallets that pay, the bank's bot's included, in lower case.
        wallets: Vec<Label>,
        /// Deposits below it wait in suspense.
        minimum: Amount,
        /// A source whose finalized block is older lags and does not vote.
        finalized_age_max: Duration,
        /// True when the signer records every attempt in this log before it releases the bytes: only then does the
        /// absence of one prove that nothing was sent (W0).
        journaled: bool,
    },
    /// A transaction was looked at (D1 to D11).
    TransactionLooked {
        /// Chain id.
        chain: u64,
        /// Its hash.
        tx: TxHash,
        /// When the sources were asked.
        at: Timestamp,
        /// What each source said.
        answers: Vec<TransactionAnswer>,
    },
    /// A wallet's slot was looked at (W0 to W11).
    SlotLooked {
        /// Chain id.
        chain: u64,
        /// The sending wallet, in lower case.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// When the sources were asked.
        at: Timestamp,
        /// What each source said.
        answers: Vec<SlotAnswer>,
    },
    /// All that a wallet ever sent in a range of slots was looked at, without a gap (S5).
    WalletScanned {
        /// Chain id.
        chain: u64,
        /// The wallet, in lower case.
        wallet: Label,
        /// The first slot.
        from_nonce: u64,
        /// When the sources were asked.
        at: Timestamp,
        /// What each source said.
        answers: Vec<ScanAnswer>,
    },
    /// What our addresses hold was looked at, at one block (R14).
    HoldingsLooked {
        /// Chain id.
        chain: u64,
        /// The token contract.
        token: Label,
        /// The block.
        block: u64,
        /// When the sources were asked.
        at: Timestamp,
        /// What each source said.
        answers: Vec<HoldingsAnswer>,
    },
    /// The bank's bot confirmed a transfer and named its hash; that binds the transfer to the player who asked for it.
    BankConfirmed {
        /// The transaction.
        tx: TxHash,
        /// The player whose request it answers.
        player: PlayerId,
        /// The bot's post.
        post: Label,
    },
    /// A block that was final and credited from is no longer part of the chain (D10): no money moves until a person has
    /// decided.
    FinalityViolation {
        /// The deposit that was credited.
        deposit: StreamId,
        /// The block's number.
        block: u64,
        /// The hash that was final.
        was: TxHash,
        /// What was looked at.
        evidence: EventId,
    },
    /// Two people have said what a final transfer out of our wallets paid that nothing due explains: from here on it is the
    /// payment of no withdrawal and of no burn.
    TransferExplained {
        /// Chain id.
        chain: u64,
        /// The transaction.
        tx: TxHash,
        /// What it paid.
        purpose: String,
        /// The newest look that shows it.
        evidence: EventId,
        /// Who proposed it.
        first: Label,
        /// Who looked at it and agreed.
        second: Label,
    },
    /// Two people have decided what is true of a deposit whose final block went away; money moves again.
    FinalityRestored {
        /// The deposit.
        deposit: StreamId,
        /// The FinalityViolation it ends.
        violation: EventId,
        /// True when the deposit is final again, in another block; false when it was taken back.
        stands: bool,
        /// What was looked at.
        evidence: EventId,
        /// The one.
        first: Label,
        /// The other.
        second: Label,
    },
    /// A withdrawal that was given back is paid on chain all the same (W1 after a release).
    DoublePayment {
        /// Which.
        withdrawal: WithdrawalId,
        /// The payment.
        tx: TxHash,
        /// How much left twice.
        amount: Amount,
        /// What was looked at.
        evidence: EventId,
    },
    /// What our addresses hold is not what the ledger owes, at one final block (R14).
    ReconciliationDrift {
        /// The token contract.
        token: Label,
        /// The block.
        block: u64,
        /// What the ledger says must be there.
        expected: Amount,
        /// What is there.
        actual: Amount,
        /// What was looked at.
        evidence: EventId,
    },
    /// Tokens that no event brought in are kept in suspense: approved, with the reason's code, up to a cap (R14).
    HoldingsAdjusted {
        /// The token contract.
        token: Label,
        /// How much.
        amount: Amount,
        /// The reason code.
        reason: Label,
        /// The first look at which the ledger and the chain differed.
        first_bad: EventId,
        /// What was looked at.
        evidence: EventId,
    },
    /// What was kept in suspense is explained by an event since, or went away: it is no longer money of unknown origin.
    HoldingsAdjustmentReversed {
        /// The token contract.
        token: Label,
        /// How much.
        amount: Amount,
        /// The HoldingsAdjusted it undoes.
        corrects: EventId,
        /// What was looked at.
        evidence: EventId,
    },
}

/// A source of answers. Its address is a setting, never part of an event: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name in the settings.
    pub name: Label,
    /// Who runs it: one operator has one vote.
    pub operator: Label,
    /// What it is.
    pub kind: SourceKind,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SourceKind {
    /// A node: it may vote.
    Node,
    /// An explorer: it corroborates and never outvotes a node (banking.md 3.5).
    Explorer,
}

/// One answer. Nothing, an error and silence are three different things, and none proves absence (banking.md 3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer<T> {
    /// The source knows it.
    Found(T),
    /// The source says `null`.
    Null {},
    /// The source failed, or said something that cannot be taken for an answer.
    Error {
        /// How.
        class: Fault,
    },
    /// The source said nothing in time.
    Timeout {},
    /// It was not asked, because an earlier answer left nothing to ask about.
    NotAsked {},
}

/// How a source failed. The words of the source are not kept: they may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// No connection.
    Unreachable,
    /// The answer ended before its end.
    BrokenOff,
    /// An HTTP status that is not 200; which one was not kept.
    Status,
    /// This HTTP status, which is not 200.
    #[strum(to_string = "http {0}")]
    Http(u16),
    /// It wanted us to ask somewhere else.
    Redirected,
    /// More bytes than an answer may have.
    TooLarge,
    /// No JSON-RPC: HTML, half an answer, a list of another length.
    NotJson,
    /// The answer to another request.
    WrongId,
    /// An error object of JSON-RPC, or its like.
    Refused,
    /// The source cannot answer this sort of question.
    Unsupported,
    /// Not of the shape of what was asked for.
    Malformed,
    /// It speaks of something else than was asked for.
    Unrelated,
    /// It says two things of one: a field twice, a receipt that is not its transaction's.
    Contradictory,
    /// The transaction does not hash to its hash.
    HashMismatch,
    /// The signature is not the sender's.
    SenderMismatch,
    /// A type of transaction this build cannot judge.
    UnknownType,
}

impl Fault {
    /// How it failed, for people.
    #[must_use]
    pub fn says(self) -> Cow<'static, str> {
        let says = match self {
            Fault::Http(status) => return format!("HTTP status {status}").into(),
            Fault::Unreachable => "no connection, or a certificate that is not trusted",
            Fault::BrokenOff => "the answer broke off",
            Fault::Status => "an HTTP status that is not 200",
            Fault::Redirected => "it wants to be asked elsewhere",
            Fault::TooLarge => "more bytes than an answer may have",
            Fault::NotJson => "an answer that is no JSON-RPC",
            Fault::WrongId => "the answer to another request",
            Fault::Refused => "it refused",
            Fault::Unsupported => "it cannot answer that",
            Fault::Malformed => "an answer of another shape",
            Fault::Unrelated => "an answer about something else",
            Fault::Contradictory => "an answer that contradicts itself",
            Fault::HashMismatch => "a transaction that does not hash to its hash",
            Fault::SenderMismatch => "a signature that is not the sender's",
            Fault::UnknownType => "a type of transaction that this build cannot judge",
        };
        says.into()
    }
}

/// Which source answered, which chain it is on, and where it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The source.
    pub source: Label,
    /// Its chain id.
    pub chain: Answer<u64>,
    /// The hash of its block 0.
    pub genesis: Answer<TxHash>,
    /// Its newest block.
    pub latest: Answer<Head>,
    /// Its newest block whose batch is on the base layer.
    pub safe: Answer<Head>,
    /// Its newest final block.
    pub finalized: Answer<Head>,
    /// Its block at the lowest final height of all sources: those that differ here do not vote together.
    pub anchor: Answer<BlockId>,
    /// Of all its raw answers, in the order they came.
    pub digest: Digest,
}

/// A block and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: TxHash,
    /// Its time.
    pub time: Timestamp,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockId {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: TxHash,
}

/// What one source said of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransactionAnswer {
    /// Who, and where it stood.
    pub standing: Standing,
    /// The transaction by its hash; re-hashed, its sender recovered.
    pub transaction: Answer<Transaction>,
    /// Its receipt.
    pub receipt: Answer<Receipt>,
    /// The block that stands at the receipt's height.
    pub block: Answer<Membership>,
    /// The block that stands at the height where the transaction was seen before.
    pub earlier: Answer<BlockId>,
    /// The sender's slot, where the transaction is not known any more.
    pub slot: Answer<SlotUse>,
}

/// A transaction as a source states it, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Its hash.
    pub tx: TxHash,
    /// Its type; 126 (0x7e) is a deposit from the base layer and has no signature.
    pub kind: u8,
    /// Its sender.
    pub from: Label,
    /// Its slot.
    pub nonce: u64,
    /// Whom it calls; nobody when it makes a contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Label>,
    /// The native coin it moves, in wei, as a decimal number.
    pub value: Label,
    /// True when it carries no call data.
    pub plain: bool,
    /// What it offers for its place in a block; nothing where nobody bids for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees: Option<Fees>,
    /// Its block, when it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
}

/// What a transaction offers for its place in a block, in wei for one unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// At most, all in all.
    pub max: u64,
    /// Of it for the sequencer.
    pub priority: u64,
}

/// What a signer can be asked to do with a slot. The engine holds no key: it asks, and knows the outcome on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Intent {
    /// Send the identical bytes again (W9).
    Rebroadcast,
    /// Sign the same payment for the same slot again, for more (W8).
    Bump,
    /// Spend the slot on a payment of nothing to the wallet itself.
    Fence,
}

/// A receipt as a source states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The transaction.
    pub tx: TxHash,
    /// Its block.
    pub block: BlockId,
    /// True when it succeeded.
    pub success: bool,
    /// How many logs it has.
    pub log_count: u32,
    /// Of all its logs in order: address, topics, data.
    pub logs_digest: Digest,
    /// The logs that name a token, an address or a wallet of ours.
    pub logs: Vec<Log>,
}

/// One log of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its place in the receipt, from 0: stable, so it is part of the key.
    pub ordinal: u32,
    /// Its place in the block: moves in a reorg.
    pub log_index: u64,
    /// The contract.
    pub address: Label,
    /// Its topics.
    pub topics: Vec<TxHash>,
    /// Its data, `0x` and hex digits.
    pub data: String,
    /// True when the source took it back.
    pub removed: bool,
}

/// A block, and whether a transaction is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The block.
    pub block: BlockId,
    /// Whether its list of transactions has the one asked about.
    pub contains: bool,
}

/// How often a wallet has sent, and what took one of its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotUse {
    /// Transactions of the wallet up to the newest block.
    pub latest: u64,
    /// And those waiting without a gap.
    pub pending: u64,
    /// Transactions up to the newest final block.
    pub finalized: u64,
    /// What took the slot, found positively in a block.
    pub consumer: Answer<Consumer>,
}

/// What took a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "nearly every slot is taken by a transaction")]
pub enum Consumer {
    /// This transaction; at most one of a wallet and a slot can exist on one chain.
    Transaction {
        /// The transaction, its block set.
        transaction: Transaction,
        /// Its receipt.
        receipt: Answer<Receipt>,
        /// The block at its height.
        block: Answer<Membership>,
    },
    /// Nothing the wallet signed: in this block the count rose, and no transaction of the wallet has the slot.
    Unsigned {
        /// The block in which the count rose.
        block: BlockId,
    },
}

/// What one source said of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotAnswer {
    /// Who, and where it stood.
    pub standing: Standing,
    /// The wallet's counts and what took the slot.
    pub slot: Answer<SlotUse>,
    /// The transactions that were ever signed for the slot, each by its hash.
    pub attempts: Vec<Attempt>,
}

/// One transaction that was signed for a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its hash.
    pub tx: TxHash,
    /// What the source knows of it.
    pub transaction: Answer<Transaction>,
}

/// What one source said of all that a wallet sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanAnswer {
    /// Who, and where it stood.
    pub standing: Standing,
    /// Transactions of the wallet up to the newest final block.
    pub finalized: Answer<u64>,
    /// And up to the newest block.
    pub latest: Answer<u64>,
    /// And those waiting without a gap.
    pub pending: Answer<u64>,
    /// What took each slot from the first one on, up to the newest block; shorter when the scan had to stop.
    pub slots: Vec<Answer<Consumer>>,
}

/// What one source said of our addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldingsAnswer {
    /// Who, and where it stood.
    pub standing: Standing,
    /// The block at the height that was asked about.
    pub block: Answer<BlockId>,
    /// What each address holds there.
    pub holdings: Vec<Holding>,
}

/// What an address holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The address.
    pub address: Label,
    /// How much of the token.
    pub amount: Answer<Amount>,
}

impl Fees {
    /// The least that takes a slot from a transaction that offers this: a tenth more of both (banking.md 2.4). `None`
    /// beyond what an event can state.
    #[must_use]
    pub fn raised(self) -> Option<Fees> {
        let raise = |fee: u64| fee.checked_add(fee.div_ceil(10)).filter(|raised| *raised <= Fees::STATED_MAX);
        Some(Fees { max: raise(self.max)?, priority: raise(self.priority)? })
    }

    /// The larger of each.
    #[must_use]
    pub fn highest(self, other: Fees) -> Fees {
        Fees { max: self.max.max(other.max), priority: self.priority.max(other.priority) }
    }

    /// The largest integer that an event states (2^53).
    pub const STATED_MAX: u64 = 1 << 53;
}

impl<T> Answer<T> {
    /// What was found.
    #[must_use]
    pub fn found(&self) -> Option<&T> {
        match self {
            Answer::Found(found) => Some(found),
            Answer::Null {} | Answer::Error { .. } | Answer::Timeout {} | Answer::NotAsked {} => None,
        }
    }

    /// True when the source says that it knows nothing; no proof of anything.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Answer::Null {})
    }

    /// True when the source failed or was silent.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Answer::Error { .. } | Answer::Timeout {})
    }
}

/// Whether a text is an address as events keep it, `0x` and forty hexadecimal digits; a handle or a name is none.
///
/// ```
/// use wox_events::{chain::is_address, id::Label};
/// assert!(is_address(&Label::new("0x000000000000000000000000000000000000dead").unwrap()));
/// assert!(!is_address(&Label::new("@ann").unwrap()));
/// ```
#[must_use]
pub fn is_address(text: &Label) -> bool {
    let hex = text.as_str().strip_prefix("0x");
    hex.is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The stream of the policy, and of sums, of a chain.
#[must_use]
pub fn stream(chain: u64) -> StreamId {
    named(format!("chain-{chain}"))
}

/// The stream of what was seen of a transaction.
#[must_use]
pub fn transaction_stream(chain: u64, tx: &TxHash) -> Option<StreamId> {
    StreamId::new(format!("chain-{chain}:tx:{tx}")).ok()
}

/// The stream of what was seen of a wallet's slot.
#[must_use]
pub fn slot_stream(chain: u64, wallet: &Label, nonce: u64) -> Option<StreamId> {
    StreamId::new(format!("chain-{chain}:slot:{wallet}:{nonce}")).ok()
}

/// The stream of what was seen of all that a wallet sent.
#[must_use]
pub fn wallet_stream(chain: u64, wallet: &Label) -> Option<StreamId> {
    StreamId::new(format!("chain-{chain}:wallet:{wallet}")).ok()
}

/// The stream of what the bank's bot says of a transaction.
#[must_use]
pub fn bank_stream(chain: u64, tx: &TxHash) -> Option<StreamId> {
    StreamId::new(format!("chain-{chain}:bank:{tx}")).ok()
}

/// Whether a stream is one of looks at a transaction, a slot or a wallet. Only looks stand there: whatever else holds such a
/// stream would keep everybody from looking.
#[must_use]
pub fn is_of_looks(stream: &StreamId) -> bool {
    let part = stream.subject().split(':').nth(1);
    stream.category() == "chain" && matches!(part, Some("tx" | "slot" | "wallet"))
}

fn named(text: String) -> StreamId {
    StreamId::new(text).expect("a category and a number are a stream name")
}
