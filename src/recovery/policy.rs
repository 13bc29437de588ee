//! The figures a recovery decides by. Each names where it comes from; a plan made under other figures is another plan.

use wox_events::{Amount, Duration, tournament::PrizeKind};

/// A duel with no action for longer is stuck, outages not counted (domain.md "Duels": duel timeout).
pub const DUEL_TIMEOUT: Duration = Duration::seconds(300);
/// How long a side has for its turn (domain.md "Duels": 30 s a turn).
pub const TURN_TIMEOUT: Duration = Duration::seconds(30);
/// How long a side may stay away before it forfeits (domain.md "Tournaments": five minutes of grace).
pub const DISCONNECT_GRACE: Duration = Duration::seconds(300);
/// A tournament in which something was due and did not come for longer has stopped (domain.md "Thresholds": delay > 5 min).
pub const TOURNAMENT_GRACE: Duration = Duration::seconds(300);
/// A decided tournament whose prizes were not even fixed for longer will not fix them by itself: the game pays at a fixed
/// hour, not at once.
pub const SCHEDULE_GRACE: Duration = Duration::seconds(3600);
/// A tournament that stopped paying for longer stopped for good (domain.md: disconnect grace of five minutes).
pub const PRIZE_GRACE: Duration = Duration::seconds(300);
/// A payment unconfirmed for longer is in doubt (domain.md "Thresholds": confirmation > 5 min).
pub const CONFIRMATION_TIMEOUT: Duration = Duration::seconds(300);
/// How old a scan of what the wallets sent may be when a release that rests on it is carried out: they go on sending.
pub const SCAN_AGE_MAX: Duration = Duration::seconds(3600);
/// How long after the look that showed it final a thing is looked at again by every sweep of the chain: finality is broken
/// soon or not at all (banking.md 3.1).
pub const FINAL_WATCHED: Duration = Duration::seconds(24 * 3600);
/// A burn that is late by more is looked after (domain.md "Burn": it waits 12 to 48 hours, drawn once).
pub const BURN_OVERDUE: Duration = Duration::seconds(24 * 3600);
/// How long a share waits to be burned at most: when one is scheduled again, nobody draws.
pub const BURN_WAIT_MAX: Duration = Duration::seconds(48 * 3600);
/// The most an adjustment of unknown cause may move to suspense (law 8: with a cap).
pub const ADJUSTMENT_MAX: Amount = Amount::galleons(100);
/// How long an approval holds (reliability.md R21: approvals expire).
pub const APPROVAL_VALIDITY: Duration = Duration::seconds(24 * 60 * 60);
/// The parts of all prizes, in percent (domain.md "Tournaments").
pub const PRIZE_PARTS: [(PrizeKind, u32); 4] =
    [(PrizeKind::First, 50), (PrizeKind::Second, 30), (PrizeKind::Third, 10), (PrizeKind::Fourth, 10)];

/// What all prizes of a tournament are worth: the least, and the share of the pool in percent (domain.md "Money"). The sum
/// may be more than the pool holds: then it is owed and paid as the pool refills, never made smaller (mission.md G6).
#[must_use]
pub fn prize_rule(title: &str) -> Option<(Amount, u32)> {
    match title {
        "daily" => Some((Amount::galleons(400), 10)),
        "house-cup" => Some((Amount::galleons(200), 20)),
        _ => None,
    }
}
