//! Prizes of the schedule that nobody was paid, in a tournament that is over or has stopped (row R11). They are paid as
//! scheduled; what the pool cannot hold is deferred, not stranded, and paid by a later plan when the pool has refilled. The
//! key is (tournament, prize, player), never the rank alone (P11). Who owes a prize that is not theirs is paid none.

use wox_events::{
    Label, TournamentEvent,
    tournament::{Prize, PrizeKind},
};

use super::{Book, Fate, books, qualifier};
use crate::{
    procedures::{Procedure, Steps, game_state::person, hold},
    recovery::{Case, Evidence, Finding, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "unpaid_prize", row: "R11", finds: "a scheduled prize that was not paid", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    books(evidence).iter().flat_map(|book| cases(evidence, book)).collect()
}

pub(super) fn cases(evidence: &Evidence, book: &Book<'_>) -> Vec<Case> {
    let (Some(schedule), false) = (book.schedule.event(), book.unpaid.is_empty()) else { return Vec::new() };
    let tournament = book.tournament;
    let since = book.schedule.since();
    let finding = |says| Finding {
        severity: Severity::Critical,
        since: since.clone(),
        ..PROCEDURE.finding("WOX-GAME-TOURN-004", &book.stream, says)
    };
    let mut steps = Steps::on(evidence, book.stream.clone());
    let (mut short, mut next, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
    let mut lack = String::new();
    for (prize, fate) in book.unpaid.iter().zip(&book.fates) {
        let (kind, player, amount) = (prize.prize, prize.player.clone(), prize.amount);
        let waits = match fate {
            Fate::Paid => {
                steps = book.pay(steps, schedule, prize);
                continue;
            }
            // With what it gives back.
            Fate::GivesBack => continue,
            Fate::Withheld => {
                withheld.push(prize);
                continue;
            }
            Fate::Next => {
                next.push(prize);
                continue;
            }
            Fate::Short(pool) => format!("the pool has {pool} G left"),
            Fate::Behind(pool) => format!("the pool has {pool} G left, and an older debt comes first"),
        };
        short.push(prize);
        if !tournament.deferred.iter().any(|owed| owed.is(prize)) {
            let says = format!("owe {kind} prize of {amount} G to player {player}: {waits}");
            let reason = Label::new("pool-short").expect("an identity");
            let event = TournamentEvent::PrizeDeferred { prize: kind, player, amount, reason };
            // By one schedule a prize is owed once; by another it is owed anew.
            let key = format!("{}:{schedule}", qualifier(prize));
            steps = steps.add(book.cause(schedule, prize), &key, event, says);
        }
        if lack.is_empty() {
            lack = waits;
        }
    }
    let prizes = book.schedule.prizes();
    let first = prizes.iter().find(|prize| prize.prize == PrizeKind::First);
    if let (None, Some(first)) = (&tournament.closed, first) {
        let closed = TournamentEvent::TournamentClosed { winner: first.player.clone() };
        steps = steps.add(schedule, "", closed, format!("close it: player {} won", first.player));
    }
    let mut cases = Vec::new();
    if !steps.is_empty() {
        let unpaid: Vec<&Prize> = book.unpaid.iter().collect();
        let says = format!("{} of {} prizes are unpaid: {}", unpaid.len(), prizes.len(), named(&unpaid));
        cases.push(Case { finding: finding(says), repair: steps.repair() });
    }
    if !short.is_empty() {
        let repair = hold(
            format!("{lack}, and a prize is never paid from money that is not there"),
            "put money into the pool as a contribution and plan again; the prize is owed until then",
        );
        cases.push(Case { finding: finding(format!("the pool is too short for {}", named(&short))), repair });
    }
    if !next.is_empty() {
        let repair = hold(
            "the money for it comes back into the pool only later in this plan",
            "apply this plan, then plan again",
        );
        cases.push(Case { finding: finding(format!("the pool does not hold yet {}", named(&next))), repair });
    }
    for prize in withheld {
        let repair = hold(
            format!(
                "{} owes a prize that is not theirs, and nobody is paid while they owe",
                person(evidence, &prize.player)
            ),
            "agree with the player how the prize that they owe goes back; this one counts towards it in the plan after that",
        );
        cases.push(Case { finding: finding(format!("withheld from the one who owes: {}", named(&[prize]))), repair });
    }
    cases
}

fn named(prizes: &[&Prize]) -> String {
    let names: Vec<String> =
        prizes.iter().map(|prize| format!("{} {} G to {}", prize.prize, prize.amount, prize.player)).collect();
    names.join(", ")
}
