//! A challenge that ran out with a stake still in escrow, or a duel that was declined, expired or voided without giving
//! the stakes back (row E2; the guide's order "end first, pay later" leaves exactly this after a crash). An outage
//! extends the time to accept, and an acceptance that was posted in it in time is not overruled by the clock.

use wox_events::{DuelEvent, DuelId};
use wox_projections::{
    duels::{Duel, Phase},
    late_posts::{LatePost, late_posts},
};

use super::super::{Procedure, Steps, stream};
use crate::recovery::{Case, Evidence, Finding, Severity};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "unreturned_stake",
    row: "E2",
    finds: "a stake still held for a challenge that is over",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let late = late_posts(state);
    state.duels.iter().filter_map(|(id, duel)| case(evidence, id, duel, &late)).collect()
}

fn case(evidence: &Evidence, id: &DuelId, duel: &Duel, late: &[LatePost<'_>]) -> Option<Case> {
    let held: Vec<_> = duel.stakes.iter().filter(|stake| stake.released.is_none()).collect();
    let over = match duel.phase {
        Phase::Challenged => ran_out(evidence, duel) && super::waiting(evidence, late, id).is_empty(),
        Phase::Declined | Phase::Expired | Phase::Voided => true,
        Phase::Active | Phase::Ended => false,
    };
    if !over || held.is_empty() {
        return None;
    }
    let stream = stream("duel", id.as_str());
    let expired = duel.phase == Phase::Challenged;
    let names: Vec<String> = held
        .iter()
        .map(|stake| format!("{} G of player {}", stake.split.total().unwrap_or_default(), stake.player))
        .collect();
    let is = if expired { "ran out unanswered".to_owned() } else { format!("is {}", duel.phase) };
    let finding = Finding {
        severity: Severity::Medium,
        since: Some(duel.opened.on(&stream)),
        ..PROCEDURE.finding(
            "WOX-GAME-DUEL-003",
            &stream,
            format!("the challenge {is}, and {} still held", is_or_are(&names)),
        )
    };
    let repair = {
        let mut steps = Steps::on(evidence, stream.clone());
        if expired {
            steps = steps.add(duel.opened.id, "", DuelEvent::ChallengeExpired {}, "let the challenge expire");
        }
        super::release_stakes(steps, duel).repair()
    };
    Some(Case { finding, repair })
}

fn is_or_are(names: &[String]) -> String {
    match names {
        [one] => format!("{one} is"),
        more => format!("{} are", more.join(" and ")),
    }
}

/// True when the time to accept is over, time in which the game was away not counted; after a late acceptance, when the time
/// that the game has to decide about it is over too.
fn ran_out(evidence: &Evidence, duel: &Duel) -> bool {
    let until = duel.decide_by.unwrap_or(duel.expires_at);
    super::idle(evidence, duel.last_action).0 > until.since(duel.last_action).0
}
