//! A match that counts for nobody and that nobody was told to play again (row R10): its result was taken away, or its duel
//! was voided. The two sides are told to play; when a match before it is not decided yet, it waits for that.

use std::collections::BTreeMap;

use wox_events::{DuelId, EventId, PlayerId, TournamentEvent, TournamentId};
use wox_projections::{
    EventRef,
    duels::{Duel, Phase},
    late_posts::late_posts,
    tournaments::{Tournament, Unplayed},
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
    /// The event that states who plays it: the same match can be taken away once and ordered for others each time its
    /// bracket is rebuilt.
    stated: &'a EventRef,
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
        // Where pairings do not follow, the plan that rebuilds them orders what is to be played too.
        if tournament.cancelled || tournament.closed.is_some() || tournament.fallout().is_some() {
            continue;
        }
        let called_off = called_off.get(id).map(Vec::as_slice).unwrap_or_default();
        cases.extend(case(evidence, id, &orders(evidence, tournament, called_off)));
    }
    cases
}

/// Everything that has to be played again in a tournament as it will be once its bracket is rebuilt.
pub(super) fn after_rebuilding<'a>(evidence: &Evidence, steps: Steps<'a>, rebuilt: &Tournament) -> Steps<'a> {
    let is_of_it = |duel: &Duel| {
        let id = duel.tournament.as_ref().map(TournamentId::as_str);
        duel.phase == Phase::Voided && id == Some(steps.stream.subject())
    };
    let called_off: Vec<_> = evidence.replay.state.duels.iter().filter(|(_, duel)| is_of_it(duel)).collect();
    let orders = orders(evidence, rebuilt, &called_off);
    ordered(steps, &orders)
}

fn orders<'a>(evidence: &Evidence, tournament: &'a Tournament, called_off: &[(&DuelId, &Duel)]) -> Vec<Order<'a>> {
    let of_result = |open: Unplayed<'a>| Order {
        round: open.round,
        slot: open.slot,
        first: open.first,
        second: open.second,
        cause: open.voided,
        stated: &tournament.rounds[usize::from(open.round) - 1].opened,
        since: tournament.rounds[usize::from(open.round) - 1].opened.clone(),
    };
    let mut orders: Vec<Order<'_>> = tournament.unplayed().map(of_result).collect();
    for (id, duel) in called_off {
        let order = of_duel(evidence, tournament, id, duel);
        orders.extend(order.filter(|new| !orders.iter().any(|old| (old.round, old.slot) == (new.round, new.slot))));
    }
    orders
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
    let (cause, stated) = (duel.opened.id, &stated.opened);
    (!ordered && !again).then_some(Order { round, slot, first, second, cause, stated, since })
}

fn case(evidence: &Evidence, id: &TournamentId, orders: &[Order<'_>]) -> Option<Case> {
    let since = orders.first()?.since.clone();
    let stream = stream("tournament", id.as_str());
    let steps = ordered(Steps::on(evidence, stream.clone()), orders);
    let named: Vec<String> = orders.iter().map(|order| format!("{}/{}", order.round, order.slot)).collect();
    let says = format!("counts for nobody, and nobody was told to play again: match {}", named.join(", match "));
    let finding = Finding { since: Some(since), ..PROCEDURE.finding("WOX-GAME-TOURN-001", &stream, says) };
    Some(Case { finding, repair: steps.repair() })
}

fn ordered<'a>(mut steps: Steps<'a>, orders: &[Order<'_>]) -> Steps<'a> {
    for Order { round, slot, first, second, cause, stated, .. } in orders {
        let order = TournamentEvent::MatchReplayOrdered {
            round: *round,
            slot: *slot,
            first: (*first).clone(),
            second: (*second).clone(),
        };
        let says = format!("player {first} and player {second} play {round}/{slot}");
        steps = steps.add(*cause, &stated.id.to_string(), order, says);
    }
    steps
}
