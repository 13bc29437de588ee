//! Withdrawals: asked for, held, signed, sent, settled or reversed on proof (streams `withdrawal-<id>`; row R13).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, Digest, EventId, PlayerId, Timestamp, TxHash,
    chain::Fees,
    deposit::Finality,
    id::{Label, is_same_person},
};

/// Withdrawals: asked for, held, signed, sent, settled or reversed on proof (streams `withdrawal-<id>`; row R13).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum WithdrawalEvent {
    /// A player asked for money.
    WithdrawalRequested {
        /// Who.
        player: PlayerId,
        /// How much, fee included.
        amount: Amount,
        /// Where to.
        destination: Label,
    },
    /// The amount left the withdrawable balance: net in flight, the fee split between pool and burn queue.
    FundsHeld {
        /// Who.
        player: PlayerId,
        /// Net and both shares together.
        amount: Amount,
        /// What the player is to receive.
        net: Amount,
        /// The half of the fee for the prize pool.
        pool_share: Amount,
        /// The half of the fee for the burn queue.
        burn_share: Amount,
    },
    /// A transaction was signed; recorded before anybody can broadcast it.
    TxSigned {
        /// The sending wallet.
        wallet: Label,
        /// The slot it uses.
        nonce: u64,
        /// Its hash.
        tx: TxHash,
        /// Of the signed bytes.
        digest: Digest,
        /// What it offers, where the signer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fees: Option<Fees>,
    },
    /// The payment was sent, or the bank's bot was asked for it.
    TxBroadcast {
        /// Its hash, where we know it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tx: Option<TxHash>,
        /// The post that asked the bot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        post: Option<Label>,
    },
    /// The payment was seen in a block.
    TxMined {
        /// Its hash.
        tx: TxHash,
        /// The block's number.
        block: u64,
        /// The block's hash.
        block_hash: TxHash,
        /// How final the block was.
        finality: Finality,
    },
    /// The payment was mined and failed.
    TxReverted {
        /// Its hash.
        tx: TxHash,
        /// The block's number.
        block: u64,
        /// The block's hash.
        block_hash: TxHash,
        /// How final the block was.
        finality: Finality,
    },
    /// Another transaction took the slot.
    TxReplaced {
        /// The one that is dead.
        tx: TxHash,
        /// The one that took its place.
        by: TxHash,
    },
    /// The payment is final on chain.
    WithdrawalSettled {
        /// Its hash.
        tx: TxHash,
        /// What the player received.
        net: Amount,
    },
    /// The payment is known to have failed.
    WithdrawalFailed {
        /// How that is known.
        reason: Label,
    },
    /// Everything the hold took went back; only on proof that no payment can follow.
    HoldReleased {
        /// Who.
        player: PlayerId,
        /// Back to the withdrawable balance.
        amount: Amount,
        /// Out of flight.
        net: Amount,
        /// Taken back from the prize pool.
        pool_share: Amount,
        /// Taken back from the burn queue.
        burn_share: Amount,
        /// Why no payment can follow.
        proof: ReversalProof,
        /// The FundsHeld it undoes.
        corrects: EventId,
    },
    /// The signer is to send the identical bytes of an attempt again: no source knows it, and it stays valid (W9). The
    /// engine never signs and never sends; what comes of a request shows on chain.
    RebroadcastRequested {
        /// The sending wallet.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// The attempt whose bytes are to be sent.
        tx: TxHash,
        /// The look at the slot that it rests on.
        evidence: EventId,
        /// Who decided.
        by: Label,
        /// Why.
        reason: String,
    },
    /// The signer is to sign the same payment for the same slot again and offer more (W8): one of the two is paid.
    BumpRequested {
        /// The sending wallet.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// The newest attempt, which is to be outbid.
        tx: TxHash,
        /// The least it has to offer; nothing where nobody has shown what the attempts offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<Fees>,
        /// The look at the slot that it rests on.
        evidence: EventId,
        /// Who decided.
        by: Label,
        /// Why.
        reason: String,
    },
    /// The signer is to spend the slot on a payment of nothing to the wallet itself; what comes of it is W1 or W4.
    FenceRequested {
        /// The sending wallet.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// The newest attempt, which is to be outbid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tx: Option<TxHash>,
        /// The least it has to offer; nothing where nobody has shown what the attempts offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<Fees>,
        /// The look at the slot that it rests on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<EventId>,
        /// Who decided.
        by: Label,
        /// Why.
        reason: String,
    },
    /// A cancelling transaction for the slot was asked for.
    WithdrawalFenced {
        /// The sending wallet.
        wallet: Label,
        /// The slot.
        nonce: u64,
        /// The cancelling transaction.
        tx: TxHash,
    },
    /// A request taken over from the game's tables, unproven (row E5). What an open one has in flight is its opening
    /// entry; its shares of the fee are in the imported pool and burn queue.
    WithdrawalImported {
        /// Who asked.
        player: PlayerId,
        /// How much, fee included.
        amount: Amount,
        /// What the player is to receive, or received.
        net: Amount,
        /// The part of the fee that went to the prize pool: the rest behind the burn, half of it where no burn is known.
        pool_share: Amount,
        /// The part of the fee that went to the burn queue.
        burn_share: Amount,
        /// True when exactly one waiting burn of the table fits this request, and is imported under its id.
        burn_known: bool,
        /// Where it stands in the table.
        standing: ImportedWithdrawal,
        /// Whom the bank's bot was to pay.
        destination: Label,
        /// The payment the table names, where it is a transaction hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tx: Option<TxHash>,
        /// The block the table names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<u64>,
        /// When the table says it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_at: Option<Timestamp>,
        /// When the table says it was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completed_at: Option<Timestamp>,
        /// The digest of the imported rows.
        table_digest: Digest,
    },
}

/// Where an imported withdrawal stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportedWithdrawal {
    /// Nothing final is known: the bank's bot may have been asked, a payment may exist.
    InDoubt,
    /// The game says it was paid.
    Paid,
    /// The game says it failed; whether the amount went back no table says.
    Failed,
    /// The game says the amount went back.
    Returned,
}

/// Why a withdrawal can never be paid any more (banking.md 4.2): W0, W2, W4, or a decision of two people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReversalProof {
    /// W0: the journal proves that nothing was ever signed.
    NeverSigned {},
    /// W2: the payment itself was mined, failed, and is final.
    Reverted {
        /// The payment.
        tx: TxHash,
        /// Its block.
        block_hash: TxHash,
    },
    /// W4: our own cancelling transaction took the slot and is final.
    Cancelled {
        /// The cancelling transaction.
        tx: TxHash,
        /// Its block.
        block_hash: TxHash,
    },
    /// W3, W5, W6: two people decided on recorded evidence.
    Operators {
        /// The one.
        first: Label,
        /// The other.
        second: Label,
        /// Digest of what they looked at.
        evidence: Digest,
    },
}

impl ReversalProof {
    /// The proof by decision of two people; `None` when the two are one.
    #[must_use]
    pub fn by_two(first: &Label, second: &Label, evidence: Digest) -> Option<ReversalProof> {
        let (first, second) = (first.clone(), second.clone());
        (!is_same_person(&first, &second)).then_some(ReversalProof::Operators { first, second, evidence })
    }
}
