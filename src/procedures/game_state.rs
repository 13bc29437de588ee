//! Chapter "game state": duels, tournaments, prizes.

pub mod crossed_buckets;
pub mod interrupted_duel;
pub mod misdrawn_bracket;
pub mod stuck_duel;
pub mod unpaid_prize;
pub mod unreturned_stake;
pub mod unsettled_duel;
pub mod wrong_prize;

use wox_events::DuelEvent;
use wox_projections::duels::Duel;

use super::Steps;

/// Gives back every stake that is still held, in exactly the split it was taken in (law 8).
fn release_stakes<'a>(mut steps: Steps<'a>, duel: &Duel) -> Steps<'a> {
    for stake in duel.stakes.iter().filter(|stake| stake.released.is_none()) {
        let event = DuelEvent::StakeReleased { player: stake.player.clone(), stake: stake.split, corrects: stake.held };
        let assumed = if stake.assumed { " (assumed: the tables it was taken over from do not say)" } else { "" };
        let says = format!(
            "give player {} back {} G bonus and {} G withdrawable{assumed}",
            stake.player, stake.split.bonus, stake.split.withdrawable,
        );
        // Both stakes of an imported duel stand in one event: the player tells them apart.
        let qualifier = if stake.assumed { stake.player.as_str() } else { "" };
        steps = steps.add(stake.held, qualifier, event, says);
    }
    steps
}
