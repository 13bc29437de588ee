//! The game's figure of the prize pool is not the ledger's (row R15). Less than the ledger, up to a cap: the difference
//! goes to suspense by an approved adjustment that names the first bad statement. More than the ledger: held, because
//! money that no event brought in cannot be booked.

use wox_events::{Label, PoolEvent, pool::Adjustment};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, policy::ADJUSTMENT_MAX};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "pool_drift", row: "R15", finds: "a prize pool that is not what the game says", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let pool = &evidence.replay.state.pool;
    let (Some(first_bad), Some(stated)) = (&pool.first_bad, &pool.stated) else { return Vec::new() };
    let stream = stream("pool", first_bad.stream.subject());
    let missing = pool.drift.size();
    let finding = Finding {
        since: Some(first_bad.clone()),
        ..PROCEDURE.finding(
            "WOX-BANK-PRIZE-001",
            &stream,
            format!(
                "the game says the pool holds {} G, its events make {} G: a difference of {} G",
                stated.balance, stated.folded, pool.drift,
            ),
        )
    };
    let repair = 'repair: {
        if pool.drift.0 < 0 {
            break 'repair hold(
                format!("the game counts {missing} G that no event brought in"),
                "find the missing events, or put the money in from the treasury as a contribution",
            );
        }
        if missing > ADJUSTMENT_MAX {
            break 'repair hold(
                format!("{missing} G is more than the {ADJUSTMENT_MAX} G an adjustment of unknown cause may move"),
                "find the cause from the first bad statement on",
            );
        }
        let found = PoolEvent::PoolShortfallFound { stated: stated.balance, folded: stated.folded };
        let adjusted = PoolEvent::PoolAdjusted {
            direction: Adjustment::ToSuspense,
            amount: missing,
            reason: Label::new("drift-of-unknown-cause").expect("an identity"),
            first_bad: first_bad.id,
        };
        Steps::on(evidence, stream.clone())
            .add(first_bad.id, "", found, "record the difference")
            .add(first_bad.id, "", adjusted, format!("move {missing} G from the pool to suspense until explained"))
            .repair()
    };
    vec![Case { finding, repair }]
}
