//! A round whose pairings do not follow from the results before it (row R10). The results of the wrong pairings are
//! voided, the round is rebuilt, and what was played is ordered to be played again. Held when later rounds or prizes
//! already stand on it: then people decide how far the correction goes.

use wox_events::{Label, TournamentEvent, TournamentId, tournament::Format};
use wox_projections::tournaments::{Tournament, pairings_digest};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "misdrawn_bracket",
    row: "R10",
    finds: "pairings that do not follow from the matches before them",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    evidence.replay.state.tournaments.iter().filter_map(|(id, tournament)| case(evidence, id, tournament)).collect()
}

/// The first misdrawn round only: the ones after it follow from it.
fn case(evidence: &Evidence, id: &TournamentId, tournament: &Tournament) -> Option<Case> {
    let (index, round, expected) = tournament.misdrawn_rounds().next()?;
    let number = u8::try_from(index + 1).ok()?;
    let stream = stream("tournament", id.as_str());
    let wrong: Vec<usize> =
        (0..expected.len()).filter(|slot| round.pairings.get(*slot) != expected.get(*slot)).collect();
    let finding = Finding {
        since: Some(round.opened.clone()),
        ..PROCEDURE.finding(
            "WOX-GAME-TOURN-001",
            &stream,
            format!("{} of {} pairings of round {number} do not follow from the results", wrong.len(), expected.len()),
        )
    };
    let repair = 'repair: {
        if tournament.format == Format::RoundRobin {
            break 'repair hold(
                "a round robin has no one right order of rounds to rebuild it from",
                "decide with the players which of the matches count",
            );
        }
        if tournament.rounds.len() > index + 1 || tournament.schedule.is_some() {
            break 'repair hold(
                "later rounds or prizes already stand on it",
                "decide with the players how far to go back; nothing here is undone automatically",
            );
        }
        let cause = round.opened.id;
        let mut steps = Steps::on(evidence, stream.clone());
        let reason = || Label::new("misdrawn").expect("an identity");
        let mut again = Vec::new();
        for slot in wrong {
            let Ok(place) = u16::try_from(slot) else { continue };
            let Some(result) = round.results.get(&place) else { continue };
            let voided = TournamentEvent::MatchVoided {
                round: number,
                slot: place,
                corrects: result.event.id,
                reason: reason(),
            };
            steps = steps.add(result.event.id, "", voided, format!("void match {number}/{slot}"));
            again.push((place, slot));
        }
        let rebuilt = TournamentEvent::BracketRebuilt {
            round: number,
            digest: pairings_digest(&expected),
            matches: expected.clone(),
            corrects: cause,
        };
        steps = steps.add(cause, "", rebuilt, format!("rebuild round {number} as it follows from the results"));
        for (place, slot) in again {
            let (Some(first), Some(second)) = (&expected[slot].first, &expected[slot].second) else { continue };
            let order = TournamentEvent::MatchReplayOrdered {
                round: number,
                slot: place,
                first: first.clone(),
                second: second.clone(),
            };
            steps = steps.add(cause, &slot.to_string(), order, format!("{first} and {second} play {number}/{slot}"));
        }
        steps.repair()
    };
    Some(Case { finding, repair })
}
