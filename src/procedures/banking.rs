//! Chapter "banking": deposits, withdrawals, the prize pool.

pub mod duplicate_deposit;
pub mod pool_drift;
pub mod withdrawal_in_doubt;
