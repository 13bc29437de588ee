//! A duel that a clock decided while the game was away (row R08): a turn counted as missed inside an outage, or a side sent
//! off as disconnected though it was the game that was gone. The winner may have been paid and may have spent it, so people
//! decide; in a tournament they correct the result.

use wox_events::{DuelId, Duration, tournament::MatchEnd};
use wox_projections::{duels::Duel, late_posts::late_posts};

use super::super::{Procedure, as_incident, hold, stream};
use crate::recovery::{Case, Evidence, Finding, policy::DISCONNECT_GRACE};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "clocked_out", row: "R08", finds: "a duel lost by a clock that ran in an outage", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let mut cases = duels(evidence);
    cases.extend(matches(evidence));
    cases
}

/// Matches of which a side was called disconnected before there was a duel, within less than the grace since the round was
/// opened, outages not counted.
fn matches(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let mut cases = Vec::new();
    for (id, tournament) in state.tournaments.iter() {
        for (index, round) in tournament.rounds.iter().enumerate() {
            for (slot, result) in &round.results {
                let away = state.agents.away(round.opened_at, result.at);
                let there = result.at.since(round.opened_at).0.saturating_sub(away.0);
                let unfair = result.reason == MatchEnd::Disconnected
                    && result.duel.is_none()
                    && !result.corrected
                    && away != Duration::ZERO
                    && there < DISCONNECT_GRACE.0;
                let Some(loser) = result.loser.as_ref().filter(|_| unfair) else { continue };
                let (stream, round) = (stream("tournament", id.as_str()), index + 1);
                let who = super::person(evidence, loser);
                let says = format!("{who} lost match {round}/{slot} by the clock while the game was away");
                let finding = Finding {
                    since: Some(result.event.clone()),
                    ..PROCEDURE.finding("WOX-GAME-DUEL-003", &stream, says)
                };
                let next = super::correction(id.as_str(), round, slot, loser);
                let repair = hold("a result that people have seen is theirs to correct", next);
                cases.push(Case { finding, repair });
            }
        }
    }
    cases
}

fn duels(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let mut cases = Vec::new();
    for (id, duel) in state.duels.iter() {
        if !super::is_clocked_out(evidence, duel) || is_dealt_with(evidence, id, duel) {
            continue;
        }
        let (Some(winner), Some(decided)) = (&duel.winner, duel.decided) else { continue };
        let loser = if *winner == duel.challenger { &duel.opponent } else { &duel.challenger };
        let stream = stream("duel", id.as_str());
        let posts: Vec<_> = super::unordered(&late, id).map(|(post, _)| post).collect();
        let posted =
            if posts.is_empty() { String::new() } else { format!("; posted meanwhile: {}", super::told(&posts)) };
        let says = format!("{} lost by the clock while the game was away{posted}", super::person(evidence, loser));
        let finding =
            Finding { since: Some(decided.on(&stream)), ..PROCEDURE.finding("WOX-GAME-DUEL-003", &stream, says) };
        let why = match duel.settled.is_zero() {
            true => "a result that people have seen is theirs to correct".to_owned(),
            false => format!("player {winner} was paid {} G for it", duel.settled),
        };
        let next = match super::match_of(evidence, id) {
            Some((tournament, round, slot)) => super::correction(tournament.as_str(), round, slot, loser),
            None => format!("agree with both players, then {}", as_incident(&stream)),
        };
        cases.push(Case { finding, repair: hold(why, next) });
    }
    cases
}

/// True for a duel of a tournament whose result people have dealt with: corrected, or taken away.
fn is_dealt_with(evidence: &Evidence, id: &DuelId, duel: &Duel) -> bool {
    let result = super::match_of(evidence, id).and_then(|(tournament, round, slot)| {
        let tournament = evidence.replay.state.tournaments.get(tournament.as_str())?;
        tournament.result_of(u8::try_from(round).ok()?, slot)
    });
    duel.tournament.is_some() && result.is_none_or(|result| result.corrected)
}
