//! Verdicts over recorded answers of the chain: total functions from evidence to one row of a decision table
//! (banking.md 4). No network, no clock: whoever has the log reaches the same verdict.

pub mod deposit;
pub mod holdings;
pub mod quorum;
pub mod withdrawal;

pub use deposit::DepositVerdict;
pub use holdings::HoldingsVerdict;
pub use withdrawal::WithdrawalVerdict;
