//! The figures a recovery decides by. Each names where it comes from; a plan made under other figures is another plan.

use wox_events::{Amount, Duration};

/// A duel with no action for longer is stuck, outages not counted (domain.md "Duels": duel timeout).
pub const DUEL_TIMEOUT: Duration = Duration::seconds(300);
/// A tournament that stopped paying for longer stopped for good (domain.md: disconnect grace of five minutes).
pub const PRIZE_GRACE: Duration = Duration::seconds(300);
/// A payment unconfirmed for longer is in doubt (domain.md "Thresholds": confirmation > 5 min).
pub const CONFIRMATION_TIMEOUT: Duration = Duration::seconds(300);
/// The most an adjustment of unknown cause may move to suspense (law 8: with a cap).
pub const ADJUSTMENT_MAX: Amount = Amount::galleons(100);
/// How long an approval holds (reliability.md R21: approvals expire).
pub const APPROVAL_VALIDITY: Duration = Duration::seconds(24 * 60 * 60);
