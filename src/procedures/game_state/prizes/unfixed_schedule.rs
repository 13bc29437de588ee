//! A prize schedule that has to be frozen, or frozen anew, before anything else is paid (row R11, P11): prizes were paid
//! without one, a decided tournament never got one, or results it stands on were corrected. Amounts once frozen stay; only
//! whose they are changes. While a match that decides it is to be played again it is withdrawn.

use wox_events::{Label, TournamentEvent};

use super::{Book, Due, Schedule, books};
use crate::{
    procedures::{Procedure, Steps, hold},
    recovery::{Case, Evidence, Finding, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "unfixed_schedule",
    row: "R11",
    finds: "prizes without a frozen schedule that follows from the results",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    books(evidence).iter().filter_map(|book| case(evidence, book)).collect()
}

pub(super) fn case(evidence: &Evidence, book: &Book<'_>) -> Option<Case> {
    let finding = |since, says: String| Finding {
        severity: Severity::Critical,
        since,
        ..PROCEDURE.finding("WOX-GAME-TOURN-004", &book.stream, says)
    };
    match &book.schedule {
        Schedule::None | Schedule::Frozen { .. } => None,
        Schedule::Held { since, what, why, next } => {
            Some(Case { finding: finding(Some(since.clone()), what.clone()), repair: hold(why, next) })
        }
        Schedule::Due(due) => {
            let says = format!("the prize schedule is not frozen as it must be: {}", due.why);
            let steps = fixed(Steps::on(evidence, book.stream.clone()), book, due);
            Some(Case { finding: finding(Some(due.since.clone()), says), repair: steps.repair() })
        }
        Schedule::Open { .. } => {
            let mut steps = Steps::on(evidence, book.stream.clone());
            let since = book.tournament.schedule.as_ref().map(|schedule| schedule.event.clone());
            if let Some(schedule) = &book.tournament.schedule {
                let corrects = schedule.event.id;
                let event = TournamentEvent::PrizeScheduleWithdrawn { corrects, reason: reason() };
                steps = steps.add(corrects, "", event, "withdraw the prize schedule; its amounts stay frozen");
            }
            if let Some(closed) = book.tournament.closed_by {
                let event = TournamentEvent::TournamentReopened { corrects: closed, reason: reason() };
                steps = steps.add(closed, "", event, "open the tournament again: it is not decided");
            }
            if steps.is_empty() {
                return None;
            }
            let says = "the prize schedule stands on matches that count for nobody";
            Some(Case { finding: finding(since, says.into()), repair: steps.repair() })
        }
    }
}

fn fixed<'a>(mut steps: Steps<'a>, book: &Book<'_>, due: &Due) -> Steps<'a> {
    if let Some(corrects) = due.withdraws {
        let event = TournamentEvent::PrizeScheduleWithdrawn { corrects, reason: reason() };
        steps = steps.add(corrects, "", event, "withdraw the prize schedule; its amounts stay frozen");
    }
    let whose: Vec<String> = due
        .prizes
        .iter()
        .map(|prize| format!("{} {} G to player {}", prize.prize, prize.amount, prize.player))
        .collect();
    let says = format!("freeze prizes of {} G: {}", due.total, whose.join(", "));
    steps = steps.add(due.cause, "", due.fixed.clone(), says);
    let winner = due.prizes.first().map(|prize| &prize.player);
    if let (Some(closed), Some(by), Some(winner)) = (&book.tournament.closed, book.tournament.closed_by, winner)
        && closed != winner
    {
        let reopened = TournamentEvent::TournamentReopened { corrects: by, reason: reason() };
        let closed = TournamentEvent::TournamentClosed { winner: winner.clone() };
        steps = steps.add(by, "", reopened, "open the tournament again: another player won").add(
            due.event,
            "",
            closed,
            format!("close it: player {winner} won"),
        );
    }
    steps
}

fn reason() -> Label {
    Label::new("result-corrected").expect("an identity")
}
