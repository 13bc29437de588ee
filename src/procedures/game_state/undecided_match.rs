//! A match that nobody has to play and that was not decided (row R10): a bye, a side that has withdrawn, or a duel that was
//! fought to its end before the game stopped. What is known is recorded; nobody rolls dice. An entry is not given back after
//! the draw.

use wox_events::{
    DuelId, EventId, PlayerId, Position, TournamentEvent, TournamentId,
    duel::EndReason,
    tournament::{Format, MatchEnd, Pairing},
};
use wox_projections::{duels::Duel, tournaments::Tournament};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, policy::TOURNAMENT_GRACE};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "undecided_match",
    row: "R10",
    finds: "a match that needs no playing and was not decided",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    evidence.replay.state.tournaments.iter().flat_map(|(id, tournament)| cases(evidence, id, tournament)).collect()
}

/// What an open match comes to.
enum Open<'a> {
    Bye(&'a PlayerId),
    Forfeit { winner: &'a PlayerId, loser: &'a PlayerId },
    Fought { id: &'a DuelId, duel: &'a Duel, winner: &'a PlayerId, loser: &'a PlayerId },
    BothGone,
}

fn cases(evidence: &Evidence, id: &TournamentId, tournament: &Tournament) -> Vec<Case> {
    let over = tournament.closed.is_some() || tournament.cancelled || tournament.fallout().is_some();
    if over || super::idle(evidence, tournament.last_activity).0 <= TOURNAMENT_GRACE.0 {
        return Vec::new();
    }
    let stream = stream("tournament", id.as_str());
    let mut steps = Steps::on(evidence, stream.clone());
    let (mut decided, mut both) = (Vec::new(), Vec::new());
    let mut since = None;
    for (round, slot, pairing) in tournament.undecided() {
        let Some(open) = open(evidence, id, tournament, (round, slot), pairing) else { continue };
        let stated = &tournament.rounds[usize::from(round) - 1];
        let (winner, loser, reason, why, duel) = match open {
            Open::Bye(winner) => (winner, None, MatchEnd::Bye, "a bye".to_owned(), None),
            Open::Forfeit { winner, loser } => {
                (winner, Some(loser), MatchEnd::Forfeit, format!("player {loser} has withdrawn"), None)
            }
            Open::Fought { id, duel, winner, loser } => {
                (winner, Some(loser), end_of(duel), format!("duel {id} says so"), Some(id))
            }
            Open::BothGone => {
                both.push((format!("{round}/{slot}"), stated.opened.clone()));
                continue;
            }
        };
        since.get_or_insert_with(|| stated.opened.clone());
        // A match that is decided a second time is decided for another reason.
        let cause: EventId = stated.voided.get(&slot).copied().unwrap_or(stated.opened.id);
        let event = TournamentEvent::MatchDecided {
            round,
            slot,
            winner: winner.clone(),
            loser: loser.cloned(),
            reason,
            duel: duel.cloned(),
        };
        decided.push(format!("{round}/{slot} ({why})"));
        steps = steps.add(cause, &slot.to_string(), event, format!("player {winner} wins match {round}/{slot}: {why}"));
    }
    let mut cases = Vec::new();
    if !decided.is_empty() {
        let says = format!("nobody decided what needs no playing: {}", decided.join(", "));
        let finding = Finding { since, ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says) };
        cases.push(Case { finding, repair: steps.repair() });
    }
    for (place, opened) in both {
        let says = format!("both sides of match {place} have withdrawn");
        let finding = Finding { since: Some(opened), ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says) };
        let repair = hold("nobody is left to go on", "decide with the organisers who takes the place");
        cases.push(Case { finding, repair });
    }
    cases
}

fn open<'a>(
    evidence: &'a Evidence,
    id: &TournamentId,
    tournament: &'a Tournament,
    (round, slot): (u8, u16),
    pairing: &'a Pairing,
) -> Option<Open<'a>> {
    let gone =
        |player: &PlayerId| tournament.entries.get(player).is_some_and(|entry| entry.left_at.is_some() && !entry.left);
    match (&pairing.first, &pairing.second) {
        (Some(only), None) | (None, Some(only)) if tournament.format == Format::SingleElimination && round == 1 => {
            Some(Open::Bye(only))
        }
        (Some(first), Some(second)) => {
            if super::are_fighting(evidence, id, first, second) {
                return None;
            }
            fought(evidence, id, tournament, (round, slot), [first, second]).or(match (gone(first), gone(second)) {
                (true, true) => Some(Open::BothGone),
                (true, false) => Some(Open::Forfeit { winner: second, loser: first }),
                (false, true) => Some(Open::Forfeit { winner: first, loser: second }),
                (false, false) => None,
            })
        }
        _ => None,
    }
}

/// The duel in which the two have fought this match: the last one since they were to meet.
fn fought<'a>(
    evidence: &'a Evidence,
    id: &TournamentId,
    tournament: &Tournament,
    (round, slot): (u8, u16),
    sides: [&'a PlayerId; 2],
) -> Option<Open<'a>> {
    let stated = &tournament.rounds[usize::from(round) - 1];
    let since: Position = match (stated.voided.get(&slot), stated.ordered.get(&slot)) {
        (_, Some(ordered)) => ordered.position,
        (Some(_), None) => return None,
        (None, None) => stated.opened.position,
    };
    let between = |duel: &Duel| sides.contains(&&duel.challenger) && sides.contains(&&duel.opponent);
    let duels = evidence.replay.state.duels.iter().filter(|(_, duel)| {
        duel.tournament.as_ref() == Some(id) && between(duel) && duel.opened.position > since && duel.winner.is_some()
    });
    let (id, duel) = duels.max_by_key(|(_, duel)| duel.opened.position)?;
    let winner = sides.into_iter().find(|side| duel.winner.as_ref() == Some(side))?;
    let loser = sides.into_iter().find(|side| *side != winner)?;
    Some(Open::Fought { id, duel, winner, loser })
}

fn end_of(duel: &Duel) -> MatchEnd {
    match duel.over.and_then(|over| over.reason) {
        Some(EndReason::Forfeit) => MatchEnd::Forfeit,
        Some(EndReason::Disconnected) => MatchEnd::Disconnected,
        Some(EndReason::Knockout | EndReason::MissedTurns) | None => MatchEnd::Played,
    }
}
