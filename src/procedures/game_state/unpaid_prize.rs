//! Prizes of the frozen schedule that nobody was paid, in a tournament that is over or has stopped (row R11). They are
//! paid as scheduled; what the pool cannot hold is deferred, not stranded. The key is (tournament, prize, player),
//! never the rank alone (P11).

use wox_events::{
    Amount, Label, TournamentEvent, TournamentId,
    tournament::{Prize, PrizeKind},
};
use wox_projections::{Account, tournaments::Tournament};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, Severity, plan::holds, policy::PRIZE_GRACE};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "unpaid_prize", row: "R11", finds: "a scheduled prize that was not paid", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    // One pool for all of them, as it is once the wrong prizes that can go back have gone back.
    let wrong = state.tournaments.iter().flat_map(|(_, tournament)| tournament.prize_status().wrong);
    let back = wrong
        .filter(|payment| holds(state, &Account::Withdrawable(payment.player.clone())) >= payment.amount)
        .map(|payment| payment.amount);
    let mut pool = Amount::checked_sum(back.chain([holds(state, &Account::Pool)])).unwrap_or_default();
    state.tournaments.iter().flat_map(|(id, tournament)| cases(evidence, id, tournament, &mut pool)).collect()
}

fn cases(evidence: &Evidence, id: &TournamentId, tournament: &Tournament, pool: &mut Amount) -> Vec<Case> {
    let now = evidence.now();
    let Some(schedule) = &tournament.schedule else { return Vec::new() };
    let status = tournament.prize_status();
    let away = evidence.replay.state.agents.away(tournament.last_activity, now);
    let idle = now.since(tournament.last_activity).0 - away.0;
    if status.unpaid.is_empty() || (tournament.closed.is_none() && idle <= PRIZE_GRACE.0) {
        return Vec::new();
    }
    let stream = stream("tournament", id.as_str());
    let finding = |says| Finding {
        severity: Severity::Critical,
        since: Some(schedule.event.clone()),
        ..PROCEDURE.finding("WOX-GAME-TOURN-004", &stream, says)
    };
    let mut steps = Steps::on(evidence, stream.clone());
    let mut short = Vec::new();
    for prize in &status.unpaid {
        let qualifier = format!("{}:{}", prize.prize, prize.player);
        // A prize that was paid and taken back is paid for another reason than the first time.
        let taken_back = tournament
            .payments
            .iter()
            .rfind(|payment| payment.reversed && payment.prize == prize.prize && payment.player == prize.player);
        let cause = taken_back.map_or(schedule.event.id, |payment| payment.event.id);
        let (prize_kind, player, amount) = (prize.prize, prize.player.clone(), prize.amount);
        if let Some(rest) = pool.checked_sub(amount) {
            *pool = rest;
            let says = format!("pay {prize_kind} prize of {amount} G to player {player}");
            let event = TournamentEvent::PrizePaid { prize: prize_kind, player, amount };
            steps = steps.add(cause, &qualifier, event, says);
            continue;
        }
        short.push(*prize);
        if !tournament.deferred.contains(prize) {
            let says = format!("owe {prize_kind} prize of {amount} G to player {player}: the pool has {pool} G left");
            let reason = Label::new("pool-short").expect("an identity");
            let event = TournamentEvent::PrizeDeferred { prize: prize_kind, player, amount, reason };
            steps = steps.add(cause, &qualifier, event, says);
        }
    }
    let first = schedule.prizes.iter().find(|prize| prize.prize == PrizeKind::First);
    if let (None, Some(first)) = (&tournament.closed, first) {
        let closed = TournamentEvent::TournamentClosed { winner: first.player.clone() };
        steps = steps.add(schedule.event.id, "", closed, format!("close it: player {} won", first.player));
    }
    let mut cases = Vec::new();
    if !steps.is_empty() {
        let (unpaid, all) = (status.unpaid.len(), schedule.prizes.len());
        let says = format!("{unpaid} of {all} prizes are unpaid: {}", named(&status.unpaid));
        cases.push(Case { finding: finding(says), repair: steps.repair() });
    }
    if !short.is_empty() {
        let repair = hold(
            format!("the pool has {pool} G left, and a prize is never paid from money that is not there"),
            "put money into the pool as a contribution and plan again; the prize is owed until then",
        );
        cases.push(Case { finding: finding(format!("the pool is too short for {}", named(&short))), repair });
    }
    cases
}

fn named(prizes: &[&Prize]) -> String {
    let names: Vec<String> =
        prizes.iter().map(|prize| format!("{} {} G to {}", prize.prize, prize.amount, prize.player)).collect();
    names.join(", ")
}
