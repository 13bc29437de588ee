//! A stake that came back into another balance than it was taken from (row E3): bonus became withdrawable, or the
//! other way round. The crossing part is moved back; totals do not change.

use wox_events::{Amount, Bucket, DuelEvent};
use wox_projections::Account;

use super::super::{Procedure, Steps, as_incident, hold, stream};
use crate::recovery::{Case, Evidence, Finding, plan::holds};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "crossed_buckets", row: "E3", finds: "a stake given back to the wrong balance", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let mut cases = Vec::new();
    for (id, duel) in state.duels.iter() {
        for stake in &duel.stakes {
            let Some(release) = &stake.released else { continue };
            // Where an assumed stake came from nobody knows: a person may have put it right.
            if stake.assumed {
                continue;
            }
            let to_withdrawable = release.split.withdrawable.saturating_sub(stake.split.withdrawable);
            let to_bonus = release.split.bonus.saturating_sub(stake.split.bonus);
            let (from, to, amount) = match (to_withdrawable.is_zero(), to_bonus.is_zero()) {
                (false, _) => (Bucket::Withdrawable, Bucket::Bonus, to_withdrawable),
                (true, false) => (Bucket::Bonus, Bucket::Withdrawable, to_bonus),
                (true, true) => continue,
            };
            let stream = stream("duel", id.as_str());
            let finding = Finding {
                since: Some(release.by.on(&stream)),
                ..PROCEDURE.finding(
                    "WOX-DB-TRANS-005",
                    &stream,
                    format!("{amount} G of player {}'s {to} stake came back as {from}", stake.player),
                )
            };
            let held: Amount = holds(state, &Account::bucket(&stake.player, from));
            let repair = 'repair: {
                if held < amount {
                    break 'repair hold(
                        format!("player {} holds {held} G {from} of the {amount} G that must go back", stake.player),
                        format!("agree with the player how the rest goes back, then {}", as_incident(&stream)),
                    );
                }
                let player = stake.player.clone();
                let event = DuelEvent::BucketCorrected { player, from, to, amount, corrects: release.by.id };
                let says = format!("move {amount} G of player {} from {from} back to {to}", stake.player);
                Steps::on(evidence, stream.clone()).add(release.by.id, "", event, says).repair()
            };
            cases.push(Case { finding, repair });
        }
    }
    cases
}
