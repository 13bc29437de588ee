//! What is over by the log against what the chain showed last (rows R13, E1): paid and its final payment is gone, paid
//! twice, or over while a slot of it can still pay. The ledger is right about what it knew; what follows is for people.

use std::collections::BTreeMap;

use wox_events::{Amount, Label, StreamId, TxHash};
use wox_projections::{
    State,
    burns::BurnPhase,
    outgoing::{Due, Outgoing, says, unexplained_by_anything},
    verdict::WithdrawalVerdict,
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, hold};
use crate::{
    command::word,
    recovery::{Case, Evidence, Finding, Repair, Severity},
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "settled_payment",
    row: "R13",
    finds: "a payment that is over and is gone from the chain, was made twice, or can still be made",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let dues: Vec<Over<'_>> = over(state).collect();
    let mut cases: Vec<Case> = dues.iter().flat_map(|over| over.cases(state)).collect();
    cases.extend(paid_again(state, &dues));
    cases
}

/// The first payment that was final when it was booked, or proven dead when it was given back, and is so no more by the
/// newest look at it.
#[must_use]
pub fn gone(evidence: &Evidence) -> Option<StreamId> {
    let state = &evidence.replay.state;
    let gone = over(state).find(|over| over.was_final && over.otherwise(state).is_some());
    gone.map(|over| over.due.stream)
}

/// Something that is over.
struct Over<'a> {
    due: Due<'a>,
    what: String,
    /// True when the chain's final word was recorded with it.
    was_final: bool,
}

/// All that was paid from a slot of ours, or given back though one was signed for.
fn over(state: &State) -> impl Iterator<Item = Over<'_>> {
    let withdrawals = state.withdrawals.iter().filter_map(|(id, known)| {
        let ended = matches!(known.phase, WithdrawalPhase::Settled | WithdrawalPhase::Released);
        let due = Due::withdrawal(id.as_str(), known).filter(|_| ended && !known.imported)?;
        let was_final = known.phase == WithdrawalPhase::Released
            || known.mined.as_ref().is_some_and(|(_, finality)| *finality == wox_events::deposit::Finality::Finalized);
        Some(Over { due, what: format!("withdrawal {id} of {} G by player {}", known.amount, known.player), was_final })
    });
    let burns = state.burns.iter().filter_map(|(id, known)| {
        let ended = matches!(known.phase, BurnPhase::Settled | BurnPhase::Cancelled);
        let due = Due::burn(id.as_str(), known).filter(|_| ended && !known.imported)?;
        Some(Over { due, what: format!("burn of {} G of withdrawal {id}", known.amount), was_final: false })
    });
    withdrawals.chain(burns)
}

impl Over<'_> {
    /// What the newest look makes of the slot it was paid from, where that is another thing than paid.
    fn otherwise(&self, state: &State) -> Option<WithdrawalVerdict> {
        let paid = |tx: &TxHash| self.due.slots.iter().find(|slot| slot.attempts.contains(tx));
        let verdict = match self.due.settled_by {
            Some(tx) => state.chain.payment_verdict(paid(tx)?)?.0,
            // Given back on the word that every slot is dead.
            None if self.was_final => {
                let judged = self.due.slots.iter().filter_map(|slot| Some(state.chain.payment_verdict(slot)?.0));
                judged.into_iter().find(|verdict| verdict.is_alive())?
            }
            None => return None,
        };
        let waits = matches!(verdict, WithdrawalVerdict::PendingFinality | WithdrawalVerdict::Pending);
        match verdict {
            WithdrawalVerdict::Executed { .. } | WithdrawalVerdict::Unknown { .. } => None,
            // The game books before a block is final; then it lands a moment later.
            _ if waits && !self.was_final => None,
            other => Some(other),
        }
    }

    fn cases(&self, state: &State) -> Vec<Case> {
        let (due, mut cases) = (&self.due, Vec::new());
        let (category, id) = (due.stream.category(), word(due.stream.subject()));
        if let Some(verdict) = self.otherwise(state) {
            let is = if due.settled_by.is_some() { "booked as paid" } else { "over" };
            let what = format!("it is {is}, and the newest look says {}, {}", verdict.row(), verdict.says());
            let next = format!(
                "stop paying, ask every source and another operator's node: wox observe {category} {id}; when it is final \
                 again nothing has to be done"
            );
            cases.push(self.case(Severity::Critical, &what, hold("what is booked is not what the chain shows", next)));
        }
        let (chain, settled_by) = (&state.chain, due.settled_by);
        let alive = due.slots.iter().filter(|slot| !settled_by.is_some_and(|tx| slot.attempts.contains(tx)));
        for slot in alive {
            let judged = chain.payment_verdict(slot).map(|(verdict, _)| verdict);
            let (what, next) = match judged {
                None => ("nobody has looked at it".to_owned(), format!("wox observe {category} {id}")),
                Some(verdict) if verdict.is_alive() => (
                    format!("{}, {}", verdict.row(), verdict.says()),
                    format!(
                        "wox recover {category} {id} --fence --why REASON; once it is mined: wox observe {category} {id}"
                    ),
                ),
                Some(_) => continue,
            };
            // Given back while a slot lives is told above, with what to do first.
            if cases.is_empty() {
                let what = format!("it is over, and slot {} of {} may still pay it: {what}", slot.nonce, slot.wallet);
                cases.push(self.case(Severity::High, &what, hold("it could be paid twice", next)));
            }
        }
        cases
    }

    fn paid_twice(&self, sent: &Outgoing) -> Case {
        let paid = self.due.settled_by.map(TxHash::as_str).unwrap_or_default();
        let what = format!("it is paid by {paid}, and {}: it may be paid twice", says(sent));
        let next = format!(
            "stop paying from the wallet; if that transfer paid something else that was due, append it to that; if it paid \
             nothing of these, two people say what it was: wox recover transfer {} --second NAME --why WHAT-IT-PAID; else \
             agree with the player, then record it as an incident",
            word(&sent.tx)
        );
        self.case(Severity::Critical, &what, hold("nobody but the two sides can put a second payment right", next))
    }

    fn case(&self, severity: Severity, what: &str, repair: Repair) -> Case {
        let finding = PROCEDURE.finding("WOX-BANK-TX-004", &self.due.stream, format!("{}: {what}", self.what));
        let row = if self.due.stream.category() == "burn" { "E1" } else { PROCEDURE.row };
        Case { finding: Finding { severity, row: row.into(), outcome_unknown: true, ..finding }, repair }
    }
}

/// Transfers that nothing explains, of exactly what was paid before to the same address: each is told once, of what it is
/// named for, or of the newest that it could have paid again.
fn paid_again(state: &State, dues: &[Over<'_>]) -> Vec<Case> {
    let mut alike: BTreeMap<(&Label, Amount), Vec<&Over<'_>>> = BTreeMap::new();
    for over in dues.iter().filter(|over| over.due.settled) {
        if let Some(amount) = over.due.amount {
            alike.entry((&over.due.to, amount)).or_default().push(over);
        }
    }
    alike.values_mut().for_each(|group| group.sort_by_key(|over| over.due.since));
    let mut cases = Vec::new();
    for (sent, parts) in unexplained_by_anything(state) {
        let again = parts.iter().find_map(|part| {
            let group = alike.get(&(&part.to, part.value))?;
            let named = group.iter().find(|over| over.due.names().any(|tx| *tx == sent.tx));
            named.or_else(|| group.iter().rfind(|over| over.due.since < sent.first))
        });
        cases.extend(again.map(|over| over.paid_twice(sent)));
    }
    cases
}
