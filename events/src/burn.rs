//! Burns: a share of each withdrawal fee is sent to the dead address (streams `burn-<withdrawal id>`; row E1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, Digest, EventId, Timestamp, TxHash, WithdrawalId,
    chain::{Fees, Intent},
    id::Label,
};

/// Burns: a share of each withdrawal fee is sent to the dead address (streams `burn-<withdrawal id>`; row E1).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum BurnEvent {
    /// The share waits; when it is due was drawn once and recorded.
    BurnScheduled {
        /// Whose fee it is.
        withdrawal: WithdrawalId,
        /// How much.
        amount: Amount,
        /// When to send it.
        due: Timestamp,
    },
    /// The burn was signed.
    BurnTxSigned {
        /// The sending wallet.
        wallet: Label,
        /// The slot it uses.
        nonce: u64,
        /// Its hash.
        tx: TxHash,
        /// What it offers, where the signer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fees: Option<Fees>,
    },
    /// The signer is to do something with the burn's slot. The engine never signs; what comes of it shows on chain.
    BurnIntentRequested {
        /// What.
        intent: Intent,
        /// The sending wallet.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// The newest attempt, which is to be sent again or outbid.
        tx: TxHash,
        /// The least a new one has to offer; nothing where nobody has shown what the attempts offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<Fees>,
        /// The look at the slot that it rests on.
        evidence: EventId,
        /// Who decided.
        by: Label,
        /// Why.
        reason: String,
    },
    /// The burn was sent.
    BurnTxBroadcast {
        /// Its hash.
        tx: TxHash,
    },
    /// The burn is final on chain.
    BurnSettled {
        /// Its hash.
        tx: TxHash,
        /// How much left the burn queue.
        amount: Amount,
    },
    /// Its withdrawal was reversed, so nothing is to be burned.
    BurnCancelled {
        /// The BurnScheduled it undoes.
        corrects: EventId,
        /// Why.
        reason: Label,
    },
    /// A burn taken over from the game's tables, unproven (row E5). What waits is its opening entry in the burn queue.
    BurnImported {
        /// Whose fee it is, where exactly one open request fits; `imported:<row>` otherwise: the table does not say.
        withdrawal: WithdrawalId,
        /// How much.
        amount: Amount,
        /// When it is due.
        due: Timestamp,
        /// Where it stands in the table.
        standing: ImportedBurn,
        /// When the table says it was scheduled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheduled_at: Option<Timestamp>,
        /// The number of its row.
        row: u64,
        /// The digest of the imported rows.
        table_digest: Digest,
    },
}

/// Where an imported burn stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportedBurn {
    /// Waiting.
    Scheduled,
    /// The game says it was burned.
    Burned,
    /// The game says it is not to be burned.
    Cancelled,
}
