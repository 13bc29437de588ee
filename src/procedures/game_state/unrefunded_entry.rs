//! An entry that was not given back: of a player who left before the draw, or of everybody in a tournament that was
//! cancelled (row R10). It goes back in the split it was paid in, once: the key is the registration.

use wox_events::{TournamentEvent, TournamentId};
use wox_projections::tournaments::Tournament;

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding, policy::TOURNAMENT_GRACE};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "unrefunded_entry", row: "R10", finds: "an entry that was not given back", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    evidence.replay.state.tournaments.iter().filter_map(|(id, tournament)| case(evidence, id, tournament)).collect()
}

fn case(evidence: &Evidence, id: &TournamentId, tournament: &Tournament) -> Option<Case> {
    let stream = stream("tournament", id.as_str());
    let mut steps = Steps::on(evidence, stream.clone());
    let mut named = Vec::new();
    let mut since = tournament.cancelled_by;
    for (player, entry) in tournament.entries.iter() {
        let gone = match (tournament.cancelled, entry.left_at.filter(|_| entry.left)) {
            (true, _) => Some(tournament.last_activity),
            (false, left) => left,
        };
        let due = gone.is_some_and(|since| super::idle(evidence, since).0 > TOURNAMENT_GRACE.0);
        let paid = entry.split.total().unwrap_or_default();
        if !due || entry.refunded || paid.is_zero() {
            continue;
        }
        since = since.or(entry.left_by);
        named.push(format!("{paid} G of player {player}"));
        let event =
            TournamentEvent::EntryRefunded { player: player.clone(), entry: entry.split, corrects: entry.event };
        let says = format!(
            "give player {player} the entry back: {} G bonus and {} G withdrawable",
            entry.split.bonus, entry.split.withdrawable,
        );
        steps = steps.add(entry.event, "", event, says);
    }
    if named.is_empty() {
        return None;
    }
    let why = if tournament.cancelled { "the tournament was cancelled" } else { "they left before the draw" };
    let says = format!("{why}, and the entries were not given back: {}", named.join(", "));
    let since = since.map(|event| event.on(&stream));
    let finding = Finding { since, ..PROCEDURE.finding("WOX-GAME-TOURN-004", &stream, says) };
    Some(Case { finding, repair: steps.repair() })
}
