//! A prize paid to somebody the schedule does not name, in another amount, or twice (row R11). The payment goes back into
//! the pool when the player still holds it; otherwise it is held, by name.

use wox_events::TournamentEvent;

use super::{Book, Schedule, Wrong, books};
use crate::{
    procedures::{Procedure, Steps, game_state::person, hold},
    recovery::{Case, Evidence, Finding, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "wrong_prize", row: "R11", finds: "a prize payment the schedule does not know", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    books(evidence).iter().flat_map(|book| cases(evidence, book)).collect()
}

pub(super) fn cases(evidence: &Evidence, book: &Book<'_>) -> Vec<Case> {
    book.wrong.iter().map(|wrong| case(evidence, book, wrong)).collect()
}

fn case(evidence: &Evidence, book: &Book<'_>, wrong: &Wrong<'_>) -> Case {
    let payment = wrong.payment;
    let why = match book.schedule {
        Schedule::Open { .. } => "and the match that decides it is to be played again",
        _ => "which the schedule does not say",
    };
    let finding = Finding {
        severity: Severity::Critical,
        since: Some(payment.event.clone()),
        ..PROCEDURE.finding(
            "WOX-BANK-PRIZE-002",
            &book.stream,
            format!("{} G were paid to player {} as {} prize, {why}", payment.amount, payment.player, payment.prize),
        )
    };
    if !wrong.comes_back {
        let player = person(evidence, &payment.player);
        let repair = hold(
            format!("{player} holds {} G of the {} G that must go back", wrong.held, payment.amount),
            "agree with the player how the rest goes back, then record it as an incident",
        );
        return Case { finding, repair };
    }
    let event = TournamentEvent::PrizeReversed {
        player: payment.player.clone(),
        amount: payment.amount,
        corrects: payment.event.id,
    };
    let says = format!("take {} G back from player {}", payment.amount, payment.player);
    Case { finding, repair: Steps::on(evidence, book.stream.clone()).add(payment.event.id, "", event, says).repair() }
}
