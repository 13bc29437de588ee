//! Chapter "game state": duels, tournaments, prizes.

pub mod clocked_out;
pub mod contradicted_result;
pub mod crossed_buckets;
pub mod interrupted_duel;
pub mod late_post;
pub mod misdrawn_bracket;
pub mod prizes;
pub mod stuck_duel;
pub mod undecided_match;
pub mod unplayed_match;
pub mod unrefunded_entry;
pub mod unreturned_stake;
pub mod unsettled_duel;

use std::fmt::Display;

use wox_events::{
    CommandEvent, DuelEvent, DuelId, Duration, Event, Family, Label, PlayerId, Position, Revision, StreamId, Timestamp,
    TournamentId,
    duel::{EndReason, LatePost as Ordered},
};
use wox_projections::{
    Projection as _,
    duels::{Duel, Phase},
    late_posts::{About, LatePost, late_posts},
    tournaments::Tournaments,
};

use super::Steps;
use crate::{
    command::word,
    recovery::{
        Case, Choice, Evidence, Person, Repair,
        policy::{DISCONNECT_GRACE, DUEL_TIMEOUT, TURN_TIMEOUT},
    },
};

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

/// For how long nothing has happened since a moment, outages not counted. While a stream that says when the game was away is
/// held, nobody knows which time counts: then none does.
fn idle(evidence: &Evidence, since: Timestamp) -> Duration {
    if evidence.replay.held().keys().any(|stream| stream.family() == Some(Family::Agent)) {
        return Duration::ZERO;
    }
    let now = evidence.now();
    Duration(now.since(since).0.saturating_sub(evidence.replay.state.agents.away(since, now).0))
}

/// True for a fight in which nobody has moved for longer than the timeout, and nobody's move waits unheard either.
fn is_stuck(evidence: &Evidence, id: &DuelId, duel: &Duel, late: &[LatePost<'_>]) -> bool {
    duel.phase == Phase::Active
        && idle(evidence, duel.last_action).0 > DUEL_TIMEOUT.0
        && waiting(evidence, late, id).is_empty()
}

/// Whether a late post is in time under the timers of its duel, which stood still in the outage (row R08): a move of the
/// side whose turn it is within the time of a turn, an acceptance within that of the challenge.
fn in_time(evidence: &Evidence, late: &LatePost<'_>, duel: &Duel) -> bool {
    let since = duel.moved_at;
    let up = late.posted.since(since).0.saturating_sub(evidence.replay.state.agents.away(since, late.posted).0);
    match duel.phase {
        Phase::Challenged => up <= duel.expires_at.since(since).0,
        Phase::Active => duel.next.as_ref() != Some(&late.author) || up <= TURN_TIMEOUT.0,
        Phase::Ended | Phase::Declined | Phase::Expired | Phase::Voided => false,
    }
}

/// The late posts about one duel that its stream says nothing of yet, in order.
fn unordered<'a, 'b>(late: &'b [LatePost<'a>], id: &DuelId) -> impl Iterator<Item = (&'b LatePost<'a>, &'a Duel)> {
    late.iter().filter_map(move |late| match late.about {
        About::Duel(duel_id, duel) if duel_id == id => {
            let told = duel.late_posts.iter().any(|post| post.as_str() == late.number.to_string());
            (!told).then_some((late, duel))
        }
        About::Duel(..) | About::Several => None,
    })
}

/// The commands among them that are in time: the game has to decide them again.
fn waiting<'a, 'b>(evidence: &Evidence, late: &'b [LatePost<'a>], id: &DuelId) -> Vec<&'b LatePost<'a>> {
    let in_time = |(late, duel): &(&LatePost<'_>, &Duel)| late.verb.is_some() && in_time(evidence, late, duel);
    unordered(late, id).filter(in_time).map(|(late, _)| late).collect()
}

/// Tells the game to decide these posts again, in the order of their ids.
fn order_posts<'a>(steps: Steps<'a>, posts: &[&LatePost<'_>]) -> Steps<'a> {
    let Some(first) = posts.first() else { return steps };
    let ordered = posts.iter().filter_map(|late| {
        let post = Label::new(late.number.to_string()).ok()?;
        Some(Ordered { post, player: late.author.clone(), verb: Label::new(late.verb?).ok()? })
    });
    let ordered: Vec<Ordered> = ordered.collect();
    let numbers: Vec<String> = posts.iter().map(|late| late.number.to_string()).collect();
    let says = format!("decide again, in this order: {}", told(posts));
    let outage = first.outage.event.id;
    let event = DuelEvent::LatePostsOrdered { outage, posts: ordered };
    steps.add(outage, &numbers.join(","), event, says)
}

/// `post 17 (cast by player ann)` and so on.
fn told(posts: &[&LatePost<'_>]) -> String {
    let one = |late: &&LatePost<'_>| match late.verb {
        Some(verb) => format!("post {} ({verb} by player {})", late.number, late.author),
        None => format!("post {} (of player {}, not read as a command)", late.number, late.author),
    };
    posts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Closes a late command that comes too late to change anything.
fn refuse_post(evidence: &Evidence, late: &LatePost<'_>, reason: &str, says: String) -> Repair {
    let reason = Label::new(reason).expect("an identity");
    let event = CommandEvent::CommandRejected { code: 409, reason };
    Steps::on(evidence, late.event.stream.clone()).add(late.event.id, "", event, says).repair()
}

/// What an operator decides about one duel: it goes on, or it counts for nobody. A hold where that does not fit.
#[must_use]
pub fn decided(evidence: &Evidence, subject: &StreamId, choice: Choice) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    let found = DuelId::new(subject.subject()).ok().and_then(|id| state.duels.iter().find(|(known, _)| **known == id));
    let Some((id, duel)) = found.filter(|_| subject.category() == "duel") else {
        return vec![interrupted_duel::unfit(subject, None)];
    };
    let stuck = || is_stuck(evidence, id, duel, &late).then(|| stuck_duel::case(evidence, id, duel, choice));
    let Some(case) = interrupted_duel::decided(evidence, id, duel, &late, choice).or_else(stuck) else {
        return vec![interrupted_duel::unfit(subject, Some(duel))];
    };
    let mut cases = vec![case];
    if choice == Choice::Void {
        cases.extend(around_a_void(evidence, id, duel, &late));
    }
    cases
}

/// What else a void leads to: late posts that change nothing any more, a match of a tournament to be played again.
fn around_a_void(evidence: &Evidence, id: &DuelId, duel: &Duel, late: &[LatePost<'_>]) -> Vec<Case> {
    let mut cases = late_post::of_voided(evidence, id, late);
    cases.extend(unplayed_match::of_voided(evidence, id, duel));
    cases
}

/// True when the clock decided a duel while the game was away: a turn was counted as missed inside an outage, or a side was
/// called disconnected before its grace was over, outages not counted.
fn is_clocked_out(evidence: &Evidence, duel: &Duel) -> bool {
    let (Some(over), Some(winner)) = (duel.over, &duel.winner) else { return false };
    let agents = &evidence.replay.state.agents;
    match over.reason {
        Some(EndReason::MissedTurns) => {
            let mut theirs = duel.missed.iter().filter(|(player, _)| player != winner);
            theirs.any(|(_, at)| agents.away_at(*at).is_some())
        }
        Some(EndReason::Disconnected) => {
            let away = agents.away(over.quiet_since, over.at);
            away != Duration::ZERO && over.at.since(over.quiet_since).0 - away.0 < DISCONNECT_GRACE.0
        }
        Some(EndReason::Knockout | EndReason::Forfeit) | None => false,
    }
}

/// The match of a tournament that a duel decided.
fn match_of<'a>(evidence: &'a Evidence, duel: &DuelId) -> Option<(&'a TournamentId, usize, u16)> {
    let id = evidence.replay.state.duels.get(duel.as_str())?.tournament.as_ref()?;
    let tournament = evidence.replay.state.tournaments.get(id.as_str())?;
    tournament.rounds.iter().enumerate().find_map(|(index, round)| {
        let (slot, _) = round.results.iter().find(|(_, result)| result.duel.as_ref() == Some(duel))?;
        Some((id, index + 1, *slot))
    })
}

/// Orders whatever has to be played again once these steps stand in the log: it belongs into the same plan.
fn order_replays(steps: Steps<'_>) -> Steps<'_> {
    let evidence = steps.evidence;
    let after = tournaments_after(evidence, &steps);
    match after.get(steps.stream.subject()) {
        Some(after) => unplayed_match::after_rebuilding(evidence, steps, after),
        None => steps,
    }
}

/// The tournaments as they are once these steps stand in the log.
fn tournaments_after(evidence: &Evidence, steps: &Steps<'_>) -> Tournaments {
    let mut after = evidence.replay.state.tournaments.clone();
    let (mut position, mut revision) = (evidence.as_of, evidence.replay.revision(&steps.stream));
    for step in &steps.steps {
        (position, revision) = (Position(position.0 + 1), Revision(revision.0 + 1));
        let recorded = step.to_recorded(&steps.stream, position, revision, evidence.now());
        // One that is refused is found out when the whole plan is tried.
        if let Ok(Event::Tournament(event)) = &recorded.event
            && after.check(&recorded, event).is_ok()
        {
            after.evolve(&recorded, event);
        }
    }
    after
}

/// True while two players have an open duel of this tournament.
fn are_fighting(evidence: &Evidence, id: &TournamentId, first: &PlayerId, second: &PlayerId) -> bool {
    let sides = [first, second];
    evidence.replay.state.duels.iter().any(|(_, duel)| {
        duel.is_open()
            && duel.tournament.as_ref() == Some(id)
            && sides.contains(&&duel.challenger)
            && sides.contains(&&duel.opponent)
    })
}

/// The command by which a person decides who won a match.
fn correction(tournament: &str, round: impl Display, slot: impl Display, winner: &PlayerId) -> String {
    let (tournament, winner) = (word(tournament), word(winner));
    format!("wox recover tournament {tournament} --correct {round}/{slot} --winner {winner} --why REASON")
}

/// A player by id and handle, for people.
fn person(evidence: &Evidence, player: &PlayerId) -> String {
    match evidence.replay.state.players.get(player.as_str()) {
        Some(known) => Person { player: player.clone(), handle: known.handle.clone() }.to_string(),
        None => format!("player {player}"),
    }
}
