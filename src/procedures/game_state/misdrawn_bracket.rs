//! Pairings that do not follow from the results before them (row R10): drawn wrong, or a result before them was corrected.
//! Every match in the blast radius is voided, the rounds are rebuilt as far as they follow, and what two known people have
//! to play again is ordered; a later match waits until the one before it is decided. The rest of the bracket stays. Stakes of
//! a tournament are zero, so no stake moves, and experience that was gained stays.
//!
//! A person corrects a result by name: the plan for that is the correction with everything that stands on it.

use wox_events::{Label, PlayerId, StreamId, TournamentEvent, TournamentId, tournament::Format};
use wox_projections::{
    EventRef,
    tournaments::{Fallout, Tournament, pairings_digest},
};

use super::super::{Procedure, Steps, hold, stream};
use crate::{
    command,
    recovery::{Case, Evidence, Finding, Repair, Step},
};

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

fn case(evidence: &Evidence, id: &TournamentId, tournament: &Tournament) -> Option<Case> {
    let (index, round, expected) = tournament.misdrawn_rounds().next()?;
    let stream = stream("tournament", id.as_str());
    let wrong = (0..expected.len()).filter(|slot| round.pairings.get(*slot) != expected.get(*slot)).count();
    let mut says =
        format!("{wrong} of {} pairings of round {} do not follow from the results", expected.len(), index + 1);
    let fallout = tournament.fallout();
    if let Some(fallout) = &fallout {
        says.push_str(&radius(fallout));
    }
    let finding =
        Finding { since: Some(round.opened.clone()), ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says) };
    let repair = match fallout {
        Some(fallout) => {
            let mut before = tournament.rounds[..index].iter().flat_map(|round| round.results.values());
            let reason = if before.any(|result| result.corrected) { "result-corrected" } else { "misdrawn" };
            rebuilt(Steps::on(evidence, stream), &fallout, reason).repair()
        }
        None => hold(
            "a round robin has no one right order of rounds to rebuild it from",
            "decide with the players which of the matches count",
        ),
    };
    Some(Case { finding, repair })
}

/// How far it goes, for people.
fn radius(fallout: &Fallout<'_>) -> String {
    if fallout.voided.is_empty() {
        return String::new();
    }
    let places: Vec<String> = fallout.voided.iter().map(|(round, slot, _)| format!("{round}/{slot}")).collect();
    format!("; what stands on it counts for nobody: {} (experience gained stays)", places.join(", "))
}

/// Voids what does not stand, rebuilds the rounds, orders whatever can be played then: also what an earlier rebuild had
/// taken away and ordered for others.
fn rebuilt<'a>(mut steps: Steps<'a>, fallout: &Fallout<'_>, reason: &str) -> Steps<'a> {
    for (round, slot, result) in &fallout.voided {
        let voided = TournamentEvent::MatchVoided {
            round: *round,
            slot: *slot,
            corrects: result.event.id,
            reason: Label::new(reason).expect("an identity"),
        };
        steps = steps.add(result.event.id, "", voided, format!("void match {round}/{slot}"));
    }
    for (number, round, matches) in &fallout.rebuilt {
        let cause = round.opened.id;
        let event = TournamentEvent::BracketRebuilt {
            round: *number,
            digest: pairings_digest(matches),
            matches: matches.clone(),
            corrects: cause,
        };
        let waits = matches.iter().filter(|pairing| pairing.first.is_none() || pairing.second.is_none()).count();
        let waits = match waits {
            _ if *number == 1 => "as it follows from the draw".to_owned(),
            0 => "as it follows from the results".to_owned(),
            1 => "as far as it follows from the results; one match waits for the one before it".to_owned(),
            more => format!("as far as it follows from the results; {more} matches wait for the ones before them"),
        };
        steps = steps.add(cause, "", event, format!("rebuild round {number} {waits}"));
    }
    super::order_replays(steps)
}

/// What an operator decides: another player won a match. With it goes everything that stands on the wrong result. A hold
/// where that does not fit.
#[must_use]
pub fn corrected_by_operator(
    evidence: &Evidence,
    subject: &StreamId,
    (round, slot): (u8, u16),
    winner: &PlayerId,
) -> Vec<Case> {
    let refused = |why: String, next: String| {
        let finding =
            PROCEDURE.finding("WOX-GAME-TOURN-001", subject, format!("match {round}/{slot} cannot be corrected"));
        vec![Case { finding, repair: hold(why, next) }]
    };
    let look = command::wox(["state", "tournaments", subject.subject()]);
    let known = TournamentId::new(subject.subject()).ok().filter(|_| subject.category() == "tournament");
    let tournaments = &evidence.replay.state.tournaments;
    let Some((id, tournament)) = known.and_then(|id| tournaments.iter().find(|(known, _)| **known == id)) else {
        return refused(format!("{subject} is no tournament"), "wox recover tournament".into());
    };
    let Some(result) = tournament.result_of(round, slot) else {
        return refused(format!("match {round}/{slot} has no result"), look);
    };
    if result.winner == *winner {
        return refused(format!("{} won it already", super::person(evidence, winner)), look);
    }
    let pairing = tournament.rounds.get(usize::from(round) - 1).and_then(|round| round.pairings.get(usize::from(slot)));
    let Some((loser, _)) = pairing.and_then(|pairing| {
        let (first, second) = (pairing.first.as_ref()?, pairing.second.as_ref()?);
        match (first == winner, second == winner) {
            (true, _) => Some((second, first)),
            (_, true) => Some((first, second)),
            (false, false) => None,
        }
    }) else {
        return refused(format!("{} is not in it, or it was a bye", super::person(evidence, winner)), look);
    };
    if tournament.fallout().is_some() {
        let next = command::wox(["recover", "tournament", id.as_str()]);
        return refused("pairings of this bracket do not follow from its results: they come first".into(), next);
    }
    let correction = TournamentEvent::MatchResultCorrected {
        round,
        slot,
        winner: winner.clone(),
        loser: loser.clone(),
        supersedes: result.event.id,
    };
    let says = format!("player {winner} won match {round}/{slot}, not player {loser}");
    let step = match Step::new(subject, result.event.id, "", correction.clone(), says.clone()) {
        Ok(step) => step,
        Err(error) => return refused(format!("the correction cannot be written: {error}"), "report this".into()),
    };
    let event = EventRef {
        position: wox_events::Position(evidence.as_of.0 + 1),
        stream: subject.clone(),
        revision: wox_events::Revision(evidence.replay.revision(subject).0 + 1),
        id: step.id,
    };
    let Some(decided) = tournament.corrected((round, slot), (winner, loser), event) else {
        return refused(format!("match {round}/{slot} has no result"), look);
    };
    let mut told = format!(
        "match {round}/{slot} was won by {}, and the log says {}",
        super::person(evidence, winner),
        super::person(evidence, &result.winner)
    );
    let mut steps = Steps::on(evidence, subject.clone()).add(result.event.id, "", correction, says);
    match decided.fallout() {
        Some(fallout) => {
            told.push_str(&radius(&fallout));
            steps = rebuilt(steps, &fallout, "result-corrected");
        }
        None if tournament.format == Format::RoundRobin => told.push_str("; nothing is drawn from it"),
        None => told.push_str("; no later match stands on it"),
    }
    let since = result.event.clone();
    let finding = Finding { since: Some(since.clone()), ..PROCEDURE.finding("WOX-GAME-TOURN-001", subject, told) };
    let repair: Repair = steps.repair();
    let mut cases = vec![Case { finding, repair }];
    cases.extend(super::prizes::of_decided(evidence, id, &decided, &since));
    cases
}
