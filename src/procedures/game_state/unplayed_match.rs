//! A match that counts for nobody and that nobody was told to play again (row R10): its result was taken away, or its duel
//! was voided. The two sides are told to play; when a match before it is not decided yet, it waits for that.

use std::collections::BTreeMap;

use wox_events::{DuelId, EventId, PlayerId, TournamentEvent, TournamentId};
use wox_projections::{
    EventRef,
    duels::{Duel, Phase},
    late_posts::late_posts,
    tournaments::Tournament,
};

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "unplayed_match",
    row: "R10",
    finds: "a voided match that nobody was told to play again",
    examine,
};

/// A match to be played again.
struct Order<'a> {
    round: u8,
    slot: u16,
    first: &'a PlayerId,
    second: &'a PlayerId,
    cause: EventId,
    since: EventRef,
}

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let mut called_off: BTreeMap<&TournamentId, Vec<(&DuelId, &Duel)>> = BTreeMap::new();
    for (id, duel) in state.duels.iter() {
        let Some(tournament) = &duel.tournament else { continue };
        if duel.phase == Phase::Voided || super::is_stuck(evidence, id, duel, &late) {
            called_off.entry(tournament).or_default().push((id, duel));
        }
    }
    let mut cases = Vec::new();
    for (id, tournament) in state.tournaments.iter() {
        if tournament.cancelled || tournament.closed.is_some() || tournament.fallout().is_some() {
            continue;
        }
        let mut orders: Vec<Order<'_>> = tournament
            .unplayed()
            .map(|open| Order {
                round: open.round,
                slot: open.slot,
                first: open.first,
                second: open.second,
                cause: open.voided,
                since: tournament.rounds[usize::from(open.round) - 1].opened.clone(),
            })
            .collect();
        for (duel_id, duel) in called_off.get(id).into_iter().flatten() {
            let order = of_duel(evidence, tournament, duel_id, duel);
            orders.extend(order.filter(|new| !orders.iter().any(|old| (old.round, old.slot) == (new.round, new.slot))));
        }
        cases.extend(case(evidence, id, &orders));
    }
    cases
}

/// The match of a duel that a plan is about to void.
pub(super) fn of_voided(evidence: &Evidence, id: &DuelId, duel: &Duel) -> Option<Case> {
    let tournament_id = duel.tournament.as_ref()?;
    let tournament = evidence.replay.state.tournaments.get(tournament_id.as_str())?;
    case(evidence, tournament_id, &[of_duel(evidence, tournament, id, duel)?])
}

/// The undecided match that a called off duel was, unless it was ordered again since.
fn of_duel<'a>(evidence: &Evidence, tournament: &'a Tournament, id: &DuelId, duel: &Duel) -> Option<Order<'a>> {
    let sides = [&duel.challenger, &duel.opponent];
    let (round, slot, pairing) = tournament.undecided().find(|(_, _, pairing)| {
        [&pairing.first, &pairing.second].iter().all(|side| side.as_ref().is_some_and(|side| sides.contains(&side)))
    })?;
    let (first, second) = (pairing.first.as_ref()?, pairing.second.as_ref()?);
    let stated = &tournament.rounds[usize::from(round) - 1];
    let since = duel.last.on(&stream("duel", id.as_str()));
    let ordered = stated.ordered.get(&slot).is_some_and(|at| at.position > since.position);
    // Who met again meanwhile is playing it already.
    let again = evidence.replay.state.duels.iter().any(|(_, other)| {
        other.tournament == duel.tournament
            && sides.contains(&&other.challenger)
            && sides.contains(&&other.opponent)
            && other.opened.position > duel.opened.position
    });
    (!ordered && !again).then_some(Order { round, slot, first, second, cause: duel.opened.id, since })
}

fn case(evidence: &Evidence, id: &TournamentId, orders: &[Order<'_>]) -> Option<Case> {
    let since = orders.first()?.since.clone();
    let stream = stream("tournament", id.as_str());
    let mut steps = Steps::on(evidence, stream.clone());
    let mut named = Vec::new();
    for Order { round, slot, first, second, cause, .. } in orders {
        let order = TournamentEvent::MatchReplayOrdered {
            round: *round,
            slot: *slot,
            first: (*first).clone(),
            second: (*second).clone(),
        };
        named.push(format!("{round}/{slot}"));
        steps = steps.add(*cause, "", order, format!("player {first} and player {second} play {round}/{slot}"));
    }
    let says = format!("counts for nobody, and nobody was told to play again: match {}", named.join(", match "));
    let finding = Finding { since: Some(since), ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says) };
    Some(Case { finding, repair: steps.repair() })
}
