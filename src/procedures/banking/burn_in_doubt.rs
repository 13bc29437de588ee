//! A burn that was signed and that nobody has confirmed (row E1), by the same table as a payment: a final transfer to the
//! dead address settles it, everything else waits. A burn whose withdrawal went back is called off, when nothing can burn
//! it any more.

use wox_events::{BurnEvent, Label};
use wox_projections::{
    burns::{Burn, BurnPhase},
    verdict::WithdrawalVerdict,
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, Steps, hold, stopped, stream};
use crate::{
    command::wox,
    recovery::{Case, Evidence, Finding, Severity, policy::CONFIRMATION_TIMEOUT},
    rfc3339,
};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "burn_in_doubt", row: "E1", finds: "a burn that nobody has confirmed in time", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let burns = evidence.replay.state.burns.iter();
    burns.filter_map(|(id, burn)| Doubt { evidence, id: id.as_str(), burn }.case()).collect()
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
            BurnPhase::Scheduled => None,
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
