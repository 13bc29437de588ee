//! Burns: a share of each withdrawal fee is sent to the dead address (streams `burn-<withdrawal id>`; row E1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, EventId, Timestamp, TxHash, WithdrawalId,
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
}
