//! A burn that was signed and that nobody has confirmed (row E1), by the same table as a payment: a final transfer to the
//! dead address settles it, everything else waits. A burn whose withdrawal went back is called off, when nothing can burn
//! it any more. A share of a paid withdrawal that no burn waits for, and a burn that is long overdue, are told: a queue that
//! was lost with the memory of who burns is found by nothing else.

use wox_events::{BurnEvent, Label, Timestamp, WithdrawalId};
use wox_projections::{
    burns::{Burn, BurnPhase},
    due::Due,
    explained::unexplained,
    verdict::WithdrawalVerdict,
    withdrawals::{Withdrawal, WithdrawalPhase},
};

use super::super::{Procedure, Steps, as_incident, hold, stopped, stream};
use crate::{
    command::{word, wox},
    recovery::{
        Case, Evidence, Finding, Severity,
        policy::{BURN_OVERDUE, BURN_WAIT_MAX, CONFIRMATION_TIMEOUT},
    },
    rfc3339,
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "burn_in_doubt", row: "E1", finds: "a burn that nobody has confirmed in time", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    let burns = state.burns.iter().filter_map(|(id, burn)| Doubt { evidence, id: id.as_str(), burn }.case());
    let paid = state.withdrawals.iter().filter_map(|(id, known)| unscheduled(evidence, id, known));
    burns.chain(paid).collect()
}

/// A paid withdrawal whose share of the fee waits in the queue, and no burn of it is left.
fn unscheduled(evidence: &Evidence, id: &WithdrawalId, known: &Withdrawal) -> Option<Case> {
    let state = &evidence.replay.state;
    let held = known.hold.as_ref().filter(|held| !held.burn_share.is_zero() && !known.imported)?;
    let since = evidence.now().since(known.last_activity);
    if known.phase != WithdrawalPhase::Settled || since <= CONFIRMATION_TIMEOUT {
        return None;
    }
    let burn = state.burns.get(id.as_str());
    if burn.is_some_and(|burn| burn.phase != BurnPhase::Cancelled) {
        return None;
    }
    let withdrawal = stream("withdrawal", id.as_str());
    let share = held.burn_share;
    let says = format!("{share} G of withdrawal {id}'s fee wait to be burned, and no burn of it is left");
    let finding = Finding {
        severity: Severity::Medium,
        since: Some(known.last.on(&withdrawal)),
        ..PROCEDURE.finding("WOX-BANK-PRIZE-004", &stream("burn", id.as_str()), says)
    };
    if let Some(unseen) = super::unseen(evidence, "burn", id.as_str()) {
        return Some(Case { finding, repair: hold("an event of it is not in the state", unseen) });
    }
    let repair = match burn {
        // What was called off stays called off: a stream of a burn is one burn.
        Some(_) => hold(
            "it was called off, though its withdrawal was paid",
            format!("burn the share by hand or keep it, then {}", as_incident(&stream("burn", id.as_str()))),
        ),
        None => match (stopped(evidence), perhaps_burned(evidence, known, id)) {
            (Some(repair), _) => repair,
            (None, Some(next)) => hold("it may be burned already, and no event says so", next),
            (None, None) => {
                let due = Timestamp(known.last_activity.0.saturating_add(BURN_WAIT_MAX.0));
                let scheduled = BurnEvent::BurnScheduled { withdrawal: id.clone(), amount: share, due };
                let says = format!("schedule the burn of {share} G again, for {}", rfc3339::text(due));
                Steps::on(evidence, stream("burn", id.as_str())).add(held.event, "", scheduled, says).repair()
            }
        },
    };
    Some(Case { finding, repair })
}

/// What to do before a share of a withdrawal may be scheduled again: all that our wallets sent since it was asked for has to be
/// seen, and nothing of it may be its burn.
fn perhaps_burned(evidence: &Evidence, known: &Withdrawal, id: &WithdrawalId) -> Option<String> {
    let state = &evidence.replay.state;
    let due = Due::share(id.as_str(), known)?;
    let burned = unexplained(state, &due);
    let Some(tx) = burned.first().map(|sent| &sent.tx) else {
        let then = wox(["recover", "burn", id.as_str()]);
        return state.chain.scanned_since(&due).is_none().then(|| super::scan_next(state, &due, &then));
    };
    Some(format!(
        "look at {tx}: where it burned this share, append BurnScheduled and BurnTxBroadcast with that hash to burn-{id}; where it \
         burned none of it, two people say so: wox recover transfer {} --second NAME --why WHAT-IT-PAID; then {}",
        word(tx),
        wox(["recover", "burn", id.as_str()])
    ))
}

/// A burn that is looked at.
struct Doubt<'a> {
    evidence: &'a Evidence,
    id: &'a str,
    burn: &'a Burn,
}

impl Doubt<'_> {
    fn case(&self) -> Option<Case> {
        let state = &self.evidence.replay.state;
        let released = || state.withdrawals.get(self.id).is_some_and(|known| known.phase == WithdrawalPhase::Released);
        match self.burn.phase {
            BurnPhase::Settled | BurnPhase::Cancelled => None,
            BurnPhase::Scheduled if released() => Some(self.call_off()),
            BurnPhase::Scheduled => self.burned_unsaid().or_else(|| self.overdue()),
            BurnPhase::InDoubt if released() && state.is_burn_dead(self.id, self.burn) => Some(self.call_off()),
            BurnPhase::InDoubt => self.open(released()),
        }
    }

    fn finding(&self, severity: Severity, what: &str) -> Finding {
        let stream = stream("burn", self.id);
        let says = format!("burn of {} G of withdrawal {}: {what}", self.burn.amount, self.id);
        Finding {
            severity,
            since: Some(self.burn.last.on(&stream)),
            ..PROCEDURE.finding("WOX-BANK-PRIZE-004", &stream, says)
        }
    }

    fn call_off(&self) -> Case {
        let finding = self.finding(Severity::Medium, "its withdrawal went back");
        let unseen = super::unseen(self.evidence, "burn", self.id);
        if unseen.is_some() || !self.evidence.replay.state.is_burn_dead(self.id, self.burn) {
            let next = unseen.or_else(|| super::burn_next(self.evidence, self.id, &wox(["recover", "burn", self.id])));
            let next =
                next.unwrap_or_else(|| format!("have the chain looked at: {}", wox(["observe", "burn", self.id])));
            let finding = Finding { outcome_unknown: true, ..finding };
            return Case { finding, repair: hold("it may have been burned all the same", next) };
        }
        let cause = self.burn.scheduled.id;
        let reason = Label::new("withdrawal-reversed").expect("an identity");
        let cancelled = BurnEvent::BurnCancelled { corrects: cause, reason };
        let says = format!("call the burn of withdrawal {} off", self.id);
        Case {
            finding,
            repair: Steps::on(self.evidence, stream("burn", self.id)).add(cause, "", cancelled, says).repair(),
        }
    }

    /// It waits to be burned, and may be burned already.
    fn burned_unsaid(&self) -> Option<Case> {
        let due = Due::burn(self.id, self.burn)?;
        let first = unexplained(&self.evidence.replay.state, &due).first()?.says();
        let finding =
            self.finding(Severity::High, &format!("it waits to be burned, and {first}, which no event explains"));
        let next = super::burn_next(self.evidence, self.id, &wox(["recover", "burn", self.id]))?;
        let repair = hold("it may be burned already: to burn it again would burn twice", next);
        Some(Case { finding: Finding { outcome_unknown: true, ..finding }, repair })
    }

    /// It should have been burned long ago: who burns has lost it, or burned it and said nothing.
    fn overdue(&self) -> Option<Case> {
        let late = self.evidence.now().since(self.burn.due);
        let dead = || self.evidence.replay.state.is_burn_dead(self.id, self.burn);
        if late <= BURN_OVERDUE || self.burn.imported {
            return None;
        }
        let what = format!("it was due at {}, and nobody has sent it", rfc3339::text(self.burn.due));
        let finding = self.finding(Severity::Low, &what);
        let (outcome_unknown, next) = match dead() {
            true => (false, "have the signer burn it; look whether it still has its queue".to_owned()),
            false => {
                let then = wox(["recover", "burn", self.id]);
                let next = super::burn_next(self.evidence, self.id, &then);
                let look = || {
                    format!("look whether it is burned before anybody burns it: {}", wox(["observe", "burn", self.id]))
                };
                (true, next.unwrap_or_else(look))
            }
        };
        let finding = Finding { outcome_unknown, ..finding };
        Some(Case { finding, repair: hold("the share stays in the burn queue until it is burned for good", next) })
    }

    fn open(&self, released: bool) -> Option<Case> {
        const KEPT: &str = "the share stays in the burn queue until it is burned for good";
        let waiting = self.evidence.now().since(self.burn.last_activity) > CONFIRMATION_TIMEOUT;
        let severity = if waiting { Severity::Medium } else { Severity::Low };
        let Some((verdict, looks)) = self.evidence.replay.burn_verdict(self.id, self.burn) else {
            let since = rfc3339::text(self.burn.last_activity);
            let what = format!("it was sent, and nobody has confirmed it since {since}");
            let finding = Finding { outcome_unknown: true, ..self.finding(severity, &what) };
            let next = format!(
                "look it up on the chain, or write a section [chain] into wox.toml and run {}",
                wox(["recover", "burn", self.id])
            );
            return waiting.then(|| Case { finding, repair: hold(KEPT, next) });
        };
        // A slot that somebody else took, or that did another thing, is as bad here as with a payment.
        let severity = if verdict.is_for_two_people() { Severity::Critical } else { severity };
        let what = format!("{}, {}", verdict.row(), verdict.says());
        if let WithdrawalVerdict::Executed { tx, .. } = &verdict {
            let settled = BurnEvent::BurnSettled { tx: tx.clone(), amount: self.burn.amount };
            let settle = || {
                let says = format!("settle it: {} G are burned by {tx}", self.burn.amount);
                let steps = Steps::on(self.evidence, stream("burn", self.id));
                steps.add(self.burn.scheduled.id, "", settled, says).repair()
            };
            let repair = stopped(self.evidence).unwrap_or_else(settle);
            return Some(Case { finding: self.finding(Severity::Medium, &what), repair });
        }
        // It was sent a moment ago, and nobody has looked yet.
        if !waiting && looks.is_empty() {
            return None;
        }
        let next = match verdict.proof() {
            // Nothing was burned, and nothing of it can follow: the share still waits in the queue.
            Some(_) if released => "its withdrawal went back: nothing is to be burned any more".to_owned(),
            Some(_) => "have the signer burn it again, in a new slot".to_owned(),
            None => super::next(self.evidence, "burn", self.id, &verdict, &self.burn.slots),
        };
        let known =
            verdict.proof().is_some() || matches!(&verdict, WithdrawalVerdict::Anomaly { paid, .. } if !paid.is_zero());
        let finding = Finding { outcome_unknown: !known, ..self.finding(severity, &what) };
        Some(Case { finding, repair: hold(KEPT, next) })
    }
}
