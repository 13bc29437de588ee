//! Chapter "banking": deposits, withdrawals, burns, the prize pool, and the chain's word on all of them.

pub mod burn_in_doubt;
pub mod custody_drift;
pub mod duplicate_deposit;
pub mod finality_violation;
pub mod pool_drift;
pub mod uncredited_deposit;
pub mod vanished_deposit;
pub mod withdrawal_in_doubt;
