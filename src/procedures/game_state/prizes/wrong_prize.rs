//! A prize paid to somebody the schedule does not name, in another amount, or twice (row R11). The payment goes back into
//! the pool when the player still holds it, or holds it once the prizes are paid that are due to them in the same
//! tournament; otherwise it is held, by name.

use wox_events::{PlayerId, TournamentEvent};

use super::{Back, Book, Fate, Schedule, Wrong, books};
use crate::{
    procedures::{Procedure, Steps, as_incident, game_state::person, hold},
    recovery::{Case, Evidence, Finding, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "wrong_prize", row: "R11", finds: "a prize payment the schedule does not know", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    books(evidence).iter().flat_map(|book| cases(evidence, book)).collect()
}

pub(super) fn cases(evidence: &Evidence, book: &Book<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut paid: Vec<&PlayerId> = Vec::new();
    // What the player holds fills the pool that the others are paid from first.
    for how in [Back::Now, Back::OutOfPrizes, Back::Owed] {
        for wrong in book.wrong.iter().filter(|wrong| wrong.back == how) {
            let mut steps = Steps::on(evidence, book.stream.clone());
            let player = &wrong.payment.player;
            if let (Back::OutOfPrizes, Some(schedule), false) = (how, book.schedule.event(), paid.contains(&player)) {
                paid.push(player);
                let fates = book.unpaid.iter().zip(&book.fates);
                let theirs = fates.filter(|(prize, fate)| **fate == Fate::GivesBack && prize.player == *player);
                steps = theirs.fold(steps, |steps, (prize, _)| book.pay(steps, schedule, prize));
            }
            cases.push(case(evidence, book, wrong, steps));
        }
    }
    cases
}

fn case(evidence: &Evidence, book: &Book<'_>, wrong: &Wrong<'_>, steps: Steps<'_>) -> Case {
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
    if wrong.back == Back::Owed {
        let player = person(evidence, &payment.player);
        let repair = hold(
            format!("{player} holds {} G of the {} G that must go back", wrong.held, payment.amount),
            format!("agree with the player how the rest goes back, then {}", as_incident(&book.stream)),
        );
        return Case { finding, repair };
    }
    let event = TournamentEvent::PrizeReversed {
        player: payment.player.clone(),
        amount: payment.amount,
        corrects: payment.event.id,
    };
    let says = format!("take {} G back from player {}", payment.amount, payment.player);
    Case { finding, repair: steps.add(payment.event.id, "", event, says).repair() }
}
