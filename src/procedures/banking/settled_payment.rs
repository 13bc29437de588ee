//! What is over by the log against what the chain showed last (rows R13, E1): paid and its final payment is gone, paid
//! twice, or over while a slot of it can still pay. The ledger is right about what it knew; what follows is for people.

use std::collections::BTreeMap;

use wox_events::{Amount, Label, StreamId, TxHash};
use wox_projections::{
    State,
    burns::{BurnPhase, DEAD_ADDRESS},
    due::Due,
    explained::{is_burned_together, unexplained, unexplained_by_anything},
    outgoing::Outgoing,
    verdict::WithdrawalVerdict,
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, as_incident, hold};
use crate::{
    command::{word, wox},
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
    cases.extend(booked_twice(state, &dues));
    cases.extend(paid_again(state, &dues));
    cases
}

/// The first payment that a recovery booked on the chain's final word and that may be made again by the newest look: a final
/// block went away, and nobody knows what else did. What is final otherwise by now stops nobody. True where it was paid,
/// false where it went back.
#[must_use]
pub fn gone(evidence: &Evidence) -> Option<(StreamId, bool)> {
    let state = &evidence.replay.state;
    let alive = |over: &Over<'_>| over.slot_verdict(state).is_some_and(|verdict| verdict.is_alive());
    let gone = over(state).find(|over| over.proven && alive(over))?;
    Some((gone.due.stream, gone.due.settled))
}

/// Something that is over.
struct Over<'a> {
    due: Due<'a>,
    what: String,
    /// True when a recovery booked it, on the chain's final word.
    proven: bool,
}

/// All that was paid from a slot of ours, or given back though one was signed for.
fn over(state: &State) -> impl Iterator<Item = Over<'_>> {
    let withdrawals = state.withdrawals.iter().filter_map(|(id, known)| {
        let ended = matches!(known.phase, WithdrawalPhase::Settled | WithdrawalPhase::Released);
        let due = Due::withdrawal(id.as_str(), known).filter(|_| ended && !known.imported)?;
        Some(Over {
            due,
            what: format!("withdrawal {id} of {} G by player {}", known.amount, known.player),
            proven: known.proven,
        })
    });
    let burns = state.burns.iter().filter_map(|(id, known)| {
        let ended = matches!(known.phase, BurnPhase::Settled | BurnPhase::Cancelled);
        let due = Due::burn(id.as_str(), known).filter(|_| ended && !known.imported)?;
        Some(Over { due, what: format!("burn of {} G of withdrawal {id}", known.amount), proven: known.proven })
    });
    withdrawals.chain(burns)
}

impl Over<'_> {
    /// What the newest look makes of the slot it was paid from; of what was given back, of a slot that lives again.
    fn slot_verdict(&self, state: &State) -> Option<WithdrawalVerdict> {
        let verdict = match self.due.settled_by {
            Some(tx) => match state.paid_from(&self.due) {
                Some(slot) => state.slot_verdict(&self.due, slot)?.0,
                // Named without a slot of ours: only the look at it tells.
                None => state.hash_verdict(&self.due, tx)?,
            },
            // Given back on the word that every slot is dead.
            None if self.proven => {
                let judged = self.due.slots.iter().filter_map(|slot| Some(state.slot_verdict(&self.due, slot)?.0));
                let known = |verdict: &WithdrawalVerdict| !matches!(verdict, WithdrawalVerdict::Unknown { .. });
                judged.into_iter().find(|verdict| verdict.is_alive() && known(verdict))?
            }
            None => return None,
        };
        Some(verdict).filter(|verdict| !matches!(verdict, WithdrawalVerdict::Unknown { .. }))
    }

    /// What the chain shows, where that is another thing than what is booked.
    fn otherwise(&self, state: &State) -> Option<String> {
        let verdict = self.slot_verdict(state)?;
        match verdict {
            WithdrawalVerdict::Executed { .. } => None,
            // The game books before a block is final; then it lands a moment later.
            WithdrawalVerdict::PendingFinality | WithdrawalVerdict::Pending if !self.proven => None,
            other => Some(format!("{}, {}", other.row(), other.says())),
        }
    }

    fn cases(&self, state: &State) -> Vec<Case> {
        let (due, mut cases) = (&self.due, Vec::new());
        let (category, id) = (due.stream.category(), word(due.stream.subject()));
        let otherwise = self.otherwise(state);
        // Of what was given back a slot that lives again is told below, with what takes it.
        if let (Some(says), Some(_)) = (&otherwise, due.settled_by) {
            let what = format!("it is booked as paid, and the newest look says {says}");
            let again = match (state.paid_from(due), due.settled_by) {
                (None, Some(tx)) => format!("who sent {tx} sends the same bytes again, or spends its slot on nothing"),
                _ => format!(
                    "what no source knows any more is sent again, or given up: wox recover {category} {id} --rebroadcast --why \
                     REASON, or --fence"
                ),
            };
            let next = format!(
                "stop paying, ask every source and another operator's node: wox observe {category} {id}; {again}; where it never \
                 will be paid, put it right with the player, then {}",
                as_incident(&due.stream)
            );
            let repair = hold("what is booked is not what the chain shows", next);
            let lives = self.slot_verdict(state).is_some_and(|verdict| verdict.is_alive());
            cases.push(match lives {
                true => self.open(Severity::Critical, &what, repair),
                false => self.case(Severity::Critical, &what, repair),
            });
        }
        cases.extend(self.burned_after_all(state));
        let settled_by = due.settled_by;
        let paid_from = state.paid_from(due);
        let alive = due.slots.iter().filter(|slot| !paid_from.is_some_and(|paid| paid.is_same_slot(slot)));
        let alive = alive.filter(|slot| !state.is_misfiled(due, slot));
        for slot in alive {
            let judged = state.slot_verdict(due, slot).map(|(verdict, _)| verdict);
            let (what, next) = match judged {
                None => ("nobody has looked at it".to_owned(), format!("wox observe {category} {id}")),
                Some(WithdrawalVerdict::Unknown { why }) => (why, format!("wox observe {category} {id}")),
                Some(verdict) if verdict.is_alive() => (
                    format!("{}, {}", verdict.row(), verdict.says()),
                    format!(
                        "wox recover {category} {id} --fence --why REASON; once it is mined: wox observe {category} {id}"
                    ),
                ),
                Some(verdict)
                    if verdict.proof().is_none() && !matches!(verdict, WithdrawalVerdict::Executed { .. }) =>
                {
                    let what =
                        format!("it is over, and its slot {}: {}, {}", slot.nonce, verdict.row(), verdict.says());
                    let next = format!(
                        "stop paying from {}, find out what it was, then {}",
                        slot.wallet,
                        as_incident(&due.stream)
                    );
                    cases.push(self.case(Severity::Critical, &what, hold("it is not what was signed for it", next)));
                    continue;
                }
                Some(_) => continue,
            };
            let severity = if settled_by.is_none() { Severity::Critical } else { Severity::High };
            let what = format!("it is over, and slot {} of {} may still pay it: {what}", slot.nonce, slot.wallet);
            cases.push(self.open(severity, &what, hold("it could be paid twice", next)));
        }
        cases
    }

    /// A share that was called off and burned all the same. What a withdrawal that went back was paid after all is told where
    /// withdrawals are.
    fn burned_after_all(&self, state: &State) -> Option<Case> {
        let due = &self.due;
        if due.stream.category() != "burn" || due.settled {
            return None;
        }
        let (burned, how) = match state.verdict_of(due)?.0 {
            WithdrawalVerdict::Executed { tx, block } => (tx, format!("final in block {}", block.number)),
            _ => {
                let sent = unexplained(state, due).into_iter().find(|sent| sent.is_final)?;
                (sent.tx.clone(), "final, which no event explains otherwise".to_owned())
            }
        };
        let what = format!("it was called off, and {burned}, {how}, burned it all the same or more");
        let next = format!(
            "stop burning from the wallet; if that burned something else, append its BurnTxBroadcast to that; if it was no burn of \
             ours, two people say so: wox recover transfer {} --second NAME --why WHAT-IT-PAID; else decide who bears it, then {}",
            word(&burned),
            as_incident(&due.stream)
        );
        Some(self.case(Severity::Critical, &what, hold("what is burned cannot come back", next)))
    }

    fn paid_twice(&self, sent: &Outgoing) -> Case {
        let paid = self.due.settled_by.map(TxHash::as_str).unwrap_or_default();
        let what = format!("it is paid by {paid}, and {}: it may be paid twice", sent.says());
        let next = format!(
            "stop paying from the wallet; if that transfer paid something else that was due, append it to that; if it paid \
             nothing of these, two people say what it was: wox recover transfer {} --second NAME --why WHAT-IT-PAID; else \
             agree with the player, then {}",
            word(&sent.tx),
            as_incident(&self.due.stream)
        );
        self.case(Severity::Critical, &what, hold("nobody but the two sides can put a second payment right", next))
    }

    /// A case whose facts may still become others.
    fn open(&self, severity: Severity, what: &str, repair: Repair) -> Case {
        let Case { finding, repair } = self.case(severity, what, repair);
        Case { finding: Finding { outcome_unknown: true, ..finding }, repair }
    }

    fn case(&self, severity: Severity, what: &str, repair: Repair) -> Case {
        let finding = PROCEDURE.finding("WOX-BANK-TX-004", &self.due.stream, format!("{}: {what}", self.what));
        let row = if self.due.stream.category() == "burn" { "E1" } else { PROCEDURE.row };
        Case { finding: Finding { severity, row: row.into(), ..finding }, repair }
    }
}

/// Things that are booked as paid with a transaction that has no transfer left for them: one transfer pays one of them.
fn booked_twice(state: &State, dues: &[Over<'_>]) -> Vec<Case> {
    // Where no chain is declared nobody can look how many transfers a transaction has.
    if state.chain.policies().next().is_none() {
        return Vec::new();
    }
    let mut booked: BTreeMap<&TxHash, Vec<&Over<'_>>> = BTreeMap::new();
    for over in dues {
        if let Some(tx) = over.due.settled_by {
            booked.entry(tx).or_default().push(over);
        }
    }
    let mut cases = Vec::new();
    for (tx, mut group) in booked.into_iter().filter(|(_, group)| group.len() > 1) {
        group.sort_by_key(|over| over.due.since.position);
        let mut parts = state.chain.outgoing().get(tx).map(|sent| sent.transfers.iter().collect::<Vec<_>>());
        let together = |over: &Over<'_>| {
            state.chain.outgoing().get(tx).is_some_and(|sent| is_burned_together(state, &over.due, sent))
        };
        group.retain(|over| !together(over));
        let looked = state.chain.policies().any(|policy| state.chain.transaction(policy.chain, tx).is_some());
        let Some(&first) = group.first() else { continue };
        for over in group {
            let part = parts.as_ref().and_then(|parts| parts.iter().position(|part| over.due.fits(part)));
            let (what, next) = match (&mut parts, part) {
                (Some(parts), Some(part)) => {
                    parts.remove(part);
                    continue;
                }
                // Nobody has looked how many it paid; the first of them it may have.
                (None, _) if over.due.stream == first.due.stream => continue,
                (None, _) if looked => (
                    "no look shows that a wallet of ours sent it",
                    format!(
                        "name the wallet in `wallets` of the section [chain]; or {}",
                        as_incident(&over.due.stream)
                    ),
                ),
                (None, _) => ("nobody has looked whether it paid both", wox(["observe", "transaction", tx.as_str()])),
                (Some(_), None) => (
                    "it has no transfer for this one",
                    format!("somebody waits for it: pay it, then {}", as_incident(&over.due.stream)),
                ),
            };
            let what = format!("it is booked as paid by {tx}, as {} is, and {what}", first.due.stream);
            cases.push(over.case(Severity::Critical, &what, hold("one transfer pays one thing", next)));
        }
    }
    cases
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
    alike.values_mut().for_each(|group| group.sort_by_key(|over| over.due.since.position));
    let mut cases = Vec::new();
    for (sent, parts) in unexplained_by_anything(state) {
        let again: Option<&&Over<'_>> = parts.iter().find_map(|part| {
            let group = alike.get(&(&part.to, part.value))?;
            let named = group.iter().find(|over| over.due.names().any(|tx| *tx == sent.tx));
            named.or_else(|| group.iter().rfind(|over| !over.due.since.rules_out(sent.first, sent.first_at)))
        });
        // Shares are burned together: what nothing explains may have burned any of them again.
        let burned = || {
            let dead = parts.iter().filter(|part| part.to.as_str() == DEAD_ADDRESS);
            let most = dead.map(|part| part.value).max()?;
            let shares = dues.iter().filter(|over| over.due.settled && over.due.is_burn());
            let could = |over: &&Over<'_>| {
                over.due.amount.is_some_and(|share| share <= most)
                    && !over.due.since.rules_out(sent.first, sent.first_at)
            };
            shares.filter(could).max_by_key(|over| over.due.since.position)
        };
        cases.extend(again.copied().or_else(burned).map(|over| over.paid_twice(sent)));
    }
    cases
}
