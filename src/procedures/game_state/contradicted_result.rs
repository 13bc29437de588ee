//! A result of a match that is not what its duel says (row R10). Which of the two is right is for people: they correct the
//! result by name, and the plan for that says what stands on it.

use super::super::{Procedure, hold, stream};
use crate::recovery::{Case, Evidence, Finding};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "contradicted_result", row: "R10", finds: "a match result that its duel contradicts", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let mut cases = Vec::new();
    for (id, tournament) in state.tournaments.iter() {
        for (index, round) in tournament.rounds.iter().enumerate() {
            for (slot, result) in round.results.iter().filter(|(_, result)| !result.corrected) {
                let duel = result.duel.as_ref().and_then(|duel| Some((duel, state.duels.get(duel.as_str())?)));
                let Some((duel_id, winner)) = duel.and_then(|(id, duel)| Some((id, duel.winner.as_ref()?))) else {
                    continue;
                };
                if *winner == result.winner {
                    continue;
                }
                let (stream, round) = (stream("tournament", id.as_str()), index + 1);
                let says = format!(
                    "match {round}/{slot} went to {}, and {} won its duel {duel_id}",
                    super::person(evidence, &result.winner),
                    super::person(evidence, winner),
                );
                let finding = Finding {
                    since: Some(result.event.clone()),
                    ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says)
                };
                let repair = hold(
                    "the log says both, and only people can say which is right",
                    super::correction(id.as_str(), round, slot, winner),
                );
                cases.push(Case { finding, repair });
            }
        }
    }
    cases
}
