//! Prizes of the frozen schedule that nobody was paid, in a tournament that is over or has stopped (row R11). They are
//! paid as scheduled; what the pool cannot hold is deferred, not stranded. The key is (tournament, prize, player),
//! never the rank alone (P11).

use wox_events::{Label, TournamentEvent, TournamentId, tournament::PrizeKind};
use wox_projections::{Account, tournaments::Tournament};

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding, Severity, plan::holds, policy::PRIZE_GRACE};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "unpaid_prize", row: "R11", finds: "a scheduled prize that was not paid", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    evidence.replay.state.tournaments.iter().filter_map(|(id, tournament)| case(evidence, id, tournament)).collect()
}

fn case(evidence: &Evidence, id: &TournamentId, tournament: &Tournament) -> Option<Case> {
    let (state, now) = (&evidence.replay.state, evidence.now());
    let schedule = tournament.schedule.as_ref()?;
    let status = tournament.prize_status();
    let idle = now.since(tournament.last_activity).0 - state.agents.away(tournament.last_activity, now).0;
    if status.unpaid.is_empty() || (tournament.closed.is_none() && idle <= PRIZE_GRACE.0) {
        return None;
    }
    let stream = stream("tournament", id.as_str());
    let names: Vec<String> =
        status.unpaid.iter().map(|prize| format!("{} {} G to {}", prize.prize, prize.amount, prize.player)).collect();
    let finding = Finding {
        severity: Severity::Critical,
        since: Some(schedule.event.clone()),
        ..PROCEDURE.finding(
            "WOX-GAME-TOURN-004",
            &stream,
            format!("{} of {} prizes are unpaid: {}", names.len(), schedule.prizes.len(), names.join(", ")),
        )
    };
    let repair = {
        let mut steps = Steps::on(evidence, stream.clone());
        let mut pool = holds(state, &Account::Pool);
        for prize in &status.unpaid {
            let qualifier = format!("{}:{}", prize.prize, prize.player);
            let (prize_kind, player, amount) = (prize.prize, prize.player.clone(), prize.amount);
            if let Some(rest) = pool.checked_sub(amount) {
                pool = rest;
                let says = format!("pay {prize_kind} prize of {amount} G to player {player}");
                let event = TournamentEvent::PrizePaid { prize: prize_kind, player, amount };
                steps = steps.add(schedule.event.id, &qualifier, event, says);
            } else if !tournament.deferred.contains(prize) {
                let says = format!("owe {prize_kind} prize of {amount} G to player {player}: the pool holds {pool} G");
                let reason = Label::new("pool-short").expect("an identity");
                let event = TournamentEvent::PrizeDeferred { prize: prize_kind, player, amount, reason };
                steps = steps.add(schedule.event.id, &qualifier, event, says);
            }
        }
        let first = schedule.prizes.iter().find(|prize| prize.prize == PrizeKind::First);
        if let (None, Some(first)) = (&tournament.closed, first) {
            let closed = TournamentEvent::TournamentClosed { winner: first.player.clone() };
            steps = steps.add(schedule.event.id, "", closed, format!("close it: player {} won", first.player));
        }
        steps.repair()
    };
    Some(Case { finding, repair })
}
