//! A duel that was decided and never paid: the game stopped between the two. The winner gets what the escrow holds,
//! once: the payment's key is the deciding event.

use wox_events::{Amount, DuelEvent};
use wox_projections::duels::Phase;

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "unsettled_duel", row: "R09", finds: "a decided duel whose winner was not paid", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, duel) in evidence.replay.state.duels.iter() {
        let (Phase::Ended, Some(winner)) = (duel.phase, &duel.winner) else { continue };
        let stakes = Amount::checked_sum(duel.stakes.iter().filter_map(|stake| stake.split.total()));
        let owed = stakes.unwrap_or_default();
        if owed.is_zero() || !duel.settled.is_zero() {
            continue;
        }
        let stream = stream("duel", id.as_str());
        let Some(decided) = duel.decided else { continue };
        let cause = decided.id;
        let finding = Finding {
            since: Some(decided.on(&stream)),
            ..PROCEDURE.finding(
                "WOX-GAME-DUEL-005",
                &stream,
                format!("player {winner} won and was not paid the {owed} G in escrow"),
            )
        };
        let repair = {
            let event = DuelEvent::DuelSettled { winner: winner.clone(), amount: owed };
            let says = format!("pay {owed} G to player {winner}");
            Steps::on(evidence, stream.clone()).add(cause, "", event, says).repair()
        };
        cases.push(Case { finding, repair });
    }
    cases
}
