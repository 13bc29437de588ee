//! Deposits: seen on chain, attributed to a player, credited once (streams `deposit-<chain>:<tx>:<ordinal>`; row R12).
//! Observation, attribution and credit are three events; the key is (chain id, transaction hash, ordinal of the log in its
//! receipt), because the block-wide log index moves in a reorg (banking.md 2.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, Digest, EventId, PlayerId, Timestamp, TxHash, id::Label};

/// Deposits: seen on chain, attributed to a player, credited once (streams `deposit-<chain>:<tx>:<ordinal>`; row R12).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum DepositEvent {
    /// A matching Transfer log was seen.
    DepositObserved {
        /// Chain id; Base is 8453.
        chain: u64,
        /// The transaction.
        tx: TxHash,
        /// The place of the log in its receipt.
        ordinal: u32,
        /// Its place in the block: evidence, not key.
        log_index: u64,
        /// The block's number.
        block: u64,
        /// The block's hash.
        block_hash: TxHash,
        /// The token contract.
        token: Label,
        /// The sender in the log.
        from: Label,
        /// The watched address in the log.
        to: Label,
        /// The value in the log.
        value: Amount,
        /// How final the block was.
        finality: Finality,
        /// Who said so.
        source: Label,
        /// Of the raw answer.
        digest: Digest,
    },
    /// The deposit belongs to this player.
    DepositAttributed {
        /// Whose it is.
        player: PlayerId,
        /// How that is known: a bound sender, the bank's post, an operator.
        method: Label,
    },
    /// The player's withdrawable balance was credited.
    DepositCredited {
        /// Chain id.
        chain: u64,
        /// The transaction.
        tx: TxHash,
        /// The place of the log in its receipt.
        ordinal: u32,
        /// Who was credited.
        player: PlayerId,
        /// What the game's two decimals can show.
        amount: Amount,
        /// The rest of the value, kept in the dust account.
        dust: Amount,
    },
    /// Below the minimum: the whole value waits in suspense.
    DepositDustRecorded {
        /// The value.
        value: Amount,
    },
    /// The block it was seen in is no longer part of the chain (D9).
    DepositReorged {
        /// The block's number.
        block: u64,
        /// The hash that is gone.
        block_hash: TxHash,
    },
    /// No money of ours moved: reverted, foreign token, wrong recipient.
    DepositRejected {
        /// Which of them.
        reason: Label,
    },
    /// Money came that cannot be credited yet; it waits in suspense.
    DepositQuarantined {
        /// The value.
        value: Amount,
        /// Why.
        reason: Label,
    },
    /// Another transaction took the place of this one (D7): it can never be mined.
    DepositReplaced {
        /// The winner, watched from here on.
        by: TxHash,
    },
    /// What waited in suspense went to the player it belongs to.
    QuarantineReleased {
        /// Whose it is.
        player: PlayerId,
        /// What the game's two decimals can show.
        amount: Amount,
        /// The rest of the value, kept in the dust account.
        dust: Amount,
        /// How that is known: a wallet bound since, the bank's post, an operator.
        method: Label,
        /// The DepositQuarantined or DepositDustRecorded it undoes.
        corrects: EventId,
    },
    /// What was kept in suspense was taken out again: it never came, or not as it was kept (row D10).
    SuspenseReversed {
        /// What was kept.
        value: Amount,
        /// The DepositQuarantined or DepositDustRecorded it undoes.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// A wrong credit was taken back.
    DepositDebited {
        /// Who had been credited.
        player: PlayerId,
        /// Taken from the withdrawable balance.
        amount: Amount,
        /// Taken from the dust account.
        dust: Amount,
        /// The DepositCredited it undoes.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// A credit was moved to the player it belongs to.
    AttributionCorrected {
        /// Who had been credited.
        from: PlayerId,
        /// Whose it is.
        to: PlayerId,
        /// How much.
        amount: Amount,
        /// The DepositCredited it corrects.
        corrects: EventId,
    },
    /// The game's tables say this transaction was dealt with before the import, unproven (row E5; stream
    /// `deposit-<chain>:<tx>:imported`, because no table knows the place of a log). The money is in the imported
    /// balances: no recovery credits any log of this transaction again.
    CreditImported {
        /// Chain id.
        chain: u64,
        /// The transaction.
        tx: TxHash,
        /// What the table says it brought.
        value: Amount,
        /// What became of it in the table.
        standing: ImportedCredit,
        /// The block the table names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<u64>,
        /// The sender the table names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Label>,
        /// The recipient the table names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Label>,
        /// When the table says it was dealt with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        processed_at: Option<Timestamp>,
        /// The digest of the imported rows.
        table_digest: Digest,
    },
}

/// What became of a transaction before the import.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportedCredit {
    /// The game says it was credited.
    Credited,
    /// The game had not finished with it: it may have been credited.
    Unknown,
    /// The game says that it failed and brought nothing.
    Failed,
    /// The game says that the credit was taken back.
    Returned,
}

/// How sure a block is to stay (banking.md 3.1).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Finality {
    /// Seen, nothing more.
    Unsafe,
    /// Its batch is on the base layer.
    Safe,
    /// It stays.
    Finalized,
}
