//! The prize pool (stream `pool-main`; row R15). Most of what moves it happens in other streams; here stand contributions,
//! what the game believes the pool to hold, and corrections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, Digest, EventId, id::Label};

/// The prize pool (stream `pool-main`; row R15). Most of what moves it happens in other streams; here stand contributions,
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum PoolEvent {
    /// Money from outside the game was put into the pool.
    PoolContributed {
        /// How much.
        amount: Amount,
        /// Who gave it.
        source: Label,
    },
    /// The game says what it believes the pool to hold.
    PoolStated {
        /// The game's own figure.
        balance: Amount,
    },
    /// The game's figure and the ledger agree, or were made to.
    PoolReconciled {
        /// The game's figure.
        stated: Amount,
        /// The ledger's.
        folded: Amount,
    },
    /// The game's figure and the ledger differ.
    PoolShortfallFound {
        /// The game's figure.
        stated: Amount,
        /// The ledger's.
        folded: Amount,
    },
    /// An approved correction between the pool and the suspense account.
    PoolAdjusted {
        /// Which way.
        direction: Adjustment,
        /// How much.
        amount: Amount,
        /// The reason code.
        reason: Label,
        /// The first event at which the two differed.
        first_bad: EventId,
    },
    /// The opening entry of the pool at an import, unproven (row E5): the game keeps no table of it.
    PoolImported {
        /// What it holds.
        balance: Amount,
        /// Who says so: `operator`, or `open-withdrawals` for the shares that open withdrawals paid in, the least it
        /// can hold.
        source: Label,
        /// The digest of the whole import.
        import: Digest,
    },
}

/// Which way an adjustment of the pool goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Adjustment {
    /// From the pool into suspense.
    ToSuspense,
    /// From suspense into the pool.
    FromSuspense,
    /// From outside the game into the pool.
    FromTreasury,
}
