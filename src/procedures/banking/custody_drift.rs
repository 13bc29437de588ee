//! What our addresses hold at one final block is not what the ledger owes (row R14). Recorded as a finding with its
//! figures and the first look that showed it. Tokens of unknown origin go to suspense only by a person's decision that
//! another approves, with the reason's code and up to a cap; what is missing is never written off (law 8, banking.md 4.4).

use wox_events::{Amount, ChainEvent, EventId, Label, TxHash, chain, chain::HoldingsAnswer};
use wox_projections::{
    Drift, State,
    burns::BurnPhase,
    chain::{Adjusted, Look, Unnamed, judged, owed_of, unnamed},
    verdict::{DepositVerdict, HoldingsVerdict, WithdrawalVerdict},
    withdrawals::WithdrawalPhase,
};

use super::super::{Procedure, Steps, hold, stopped};
use crate::recovery::{Case, Evidence, Finding, Repair, Severity, policy::ADJUSTMENT_MAX};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "custody_drift",
    row: "R14",
    finds: "tokens on chain that are not what the ledger owes",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let looks = evidence.replay.state.chain.holdings();
    looks.filter_map(|look| Apart::at(evidence, look)).flat_map(|apart| apart.cases()).collect()
}

/// What a person decides about tokens that no event explains: they are kept in suspense, or what was kept there is
/// explained now. Empty where ledger and chain agree.
#[must_use]
pub fn adjusted_by_operator(evidence: &Evidence, token: &Label, reason: &Label) -> Vec<Case> {
    let looks = evidence.replay.state.chain.holdings().filter(|look| look.subject == *token);
    looks.filter_map(|look| Apart::at(evidence, look)).map(|apart| apart.adjust(reason)).collect()
}

/// Most movements that a finding names; the log has the others.
const SEEN_MAX: usize = 5;

/// A look at which ledger and chain differ.
struct Apart<'a> {
    evidence: &'a Evidence,
    look: &'a Look<HoldingsAnswer>,
    block: u64,
    expected: Amount,
    actual: Amount,
}

impl<'a> Apart<'a> {
    fn at(evidence: &'a Evidence, look: &'a Look<HoldingsAnswer>) -> Option<Apart<'a>> {
        let state = &evidence.replay.state;
        let HoldingsVerdict::Held { block, total } = state.chain.holdings_verdict(look) else { return None };
        let expected = owed_of(state, look, block.number)?;
        let apart = Apart { evidence, look, block: block.number, expected, actual: total };
        (expected != total).then_some(apart)
    }

    /// What is there beyond what is owed.
    fn difference(&self) -> Drift {
        Drift::between(self.actual, self.expected)
    }

    /// The first look of this difference; this one when an event has made it since.
    fn first_bad(&self) -> EventId {
        self.evidence.replay.state.chain.differs_since(self.look).unwrap_or(&self.look.event).id
    }

    fn finding(&self) -> Finding {
        let Apart { look, block, expected, actual, .. } = self;
        let which = if self.difference().0 > 0 { "more than" } else { "less than" };
        let first = self.evidence.replay.state.chain.differs_since(look).unwrap_or(&look.event);
        Finding {
            severity: Severity::Critical,
            since: Some(first.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-PRIZE-001",
                &chain::stream(look.chain),
                format!(
                    "our addresses hold {actual} G of {} at final block {block}, {} G {which} the {expected} G the ledger owes",
                    look.subject,
                    self.difference().size(),
                ),
            )
        }
    }

    fn cases(&self) -> Vec<Case> {
        let state = &self.evidence.replay.state;
        let Apart { look, block, expected, actual, .. } = self;
        let mut cases = Vec::new();
        let open = open_items(state, *block);
        let known = state.chain.drift(&look.subject).is_some_and(|known| known.position > look.event.position);
        // What is not in the ledger yet will change what it owes: the difference that is left is recorded after it.
        if !known && open.is_empty() {
            let drift = ChainEvent::ReconciliationDrift {
                token: look.subject.clone(),
                block: *block,
                expected: *expected,
                actual: *actual,
                evidence: look.event.id,
            };
            let repair = Steps::on(self.evidence, chain::stream(look.chain))
                .add(look.event.id, look.subject.as_str(), drift, "record the difference; nothing is adjusted")
                .repair();
            cases.push(Case { finding: self.finding(), repair });
        }
        let (why, next) = match open.is_empty() {
            true => (
                format!("no event explains it: an adjustment would hide the cause{}", self.seen()),
                match self.difference().0 < 0 {
                    true if self.kept(self.difference().size()).is_some() => {
                        "exactly that is kept in suspense as unknown: where it is explained by now, two people take it out \
                         again: wox reconcile --adjust unknown-origin --why REASON; else stop paying and look for what moved it"
                    }
                    true => {
                        "stop paying and look for what moved it; what is missing is never written off: two people decide who \
                         bears it, and record an incident"
                    }
                    false => {
                        "look for what moved it; what nobody finds goes to suspense by two people: wox reconcile --adjust \
                         unknown-origin --why REASON"
                    }
                },
            ),
            false => (
                format!(
                    "these are not in the ledger yet: {}",
                    open.iter().map(|(_, says)| says.as_str()).collect::<Vec<_>>().join("; ")
                ),
                "apply what is planned for them, then wox reconcile again; what is left is for two people",
            ),
        };
        cases.push(Case { finding: self.finding(), repair: hold(why, next) });
        cases
    }

    /// What was seen to move and no event names: where a person looks first.
    fn seen(&self) -> String {
        let seen = unnamed(&self.evidence.replay.state, &self.look.subject, self.block);
        let one = |moved: &Unnamed<'_>| format!("{} G by {} in block {}", moved.change, moved.tx, moved.block);
        let newest: Vec<String> = seen.iter().rev().take(SEEN_MAX).map(one).collect();
        match newest.is_empty() {
            true => "; wox observe transfers --from-block NUMBER shows what moved".into(),
            false => format!("; seen to move, and named by no event: {}", newest.join("; ")),
        }
    }

    fn adjust(&self, reason: &Label) -> Case {
        Case { finding: self.finding(), repair: stopped(self.evidence).unwrap_or_else(|| self.adjustment(reason)) }
    }

    fn adjustment(&self, reason: &Label) -> Repair {
        let state = &self.evidence.replay.state;
        if let [(_, first), ..] = open_items(state, self.block).as_slice() {
            return hold(
                format!("a part of it is explained and not booked yet: {first}"),
                "apply what is planned for it first, then wox reconcile again",
            );
        }
        let amount = self.difference().size();
        if self.difference().0 < 0 {
            return self.reversal(amount);
        }
        if amount > ADJUSTMENT_MAX {
            return hold(
                format!("{amount} G is more than the {ADJUSTMENT_MAX} G an adjustment of unknown cause may move"),
                "find who sent it: a contribution or a deposit is an event of its own",
            );
        }
        let (look, first_bad) = (self.look, self.first_bad());
        let adjusted = ChainEvent::HoldingsAdjusted {
            token: look.subject.clone(),
            amount,
            reason: reason.clone(),
            first_bad,
            evidence: look.event.id,
        };
        let says = format!("keep {amount} G that no event brought in in suspense: {reason}");
        Steps::on(self.evidence, chain::stream(look.chain))
            .add(first_bad, look.subject.as_str(), adjusted, says)
            .repair()
    }

    /// What is kept in suspense as unknown and is exactly what is missing.
    fn kept(&self, missing: Amount) -> Option<&'a Adjusted> {
        let mut kept = self.evidence.replay.state.chain.adjustments().iter();
        kept.find(|kept| kept.token == self.look.subject && kept.amount == missing)
    }

    /// Less than is owed: only what was put into suspense as unknown can turn out to be explained.
    fn reversal(&self, missing: Amount) -> Repair {
        let look = self.look;
        let Some(found) = self.kept(missing) else {
            return hold(
                format!("{missing} G that the ledger owes are not there, and nothing kept in suspense explains that"),
                "stop paying from this wallet, find out who sent them, record it as an incident; two people decide",
            );
        };
        let Adjusted { token, amount, event } = found;
        let reversed = ChainEvent::HoldingsAdjustmentReversed {
            token: token.clone(),
            amount: *amount,
            corrects: event.id,
            evidence: look.event.id,
        };
        let says = format!("take {amount} G out of suspense again: they are explained, or gone, since {event}");
        Steps::on(self.evidence, chain::stream(look.chain)).add(event.id, "", reversed, says).repair()
    }
}

/// What was seen final up to a block and is not booked, with its amount: it explains a difference before it is repaired.
fn open_items(state: &State, block: u64) -> Vec<(Drift, String)> {
    let deposits = judged(state).into_iter().filter_map(|judged| match &judged.verdict {
        DepositVerdict::Confirmed { block: at, transfers } if at.number <= block => {
            let booked = judged.deposits.iter().any(|(_, deposit)| deposit.is_booked());
            // What one of our addresses sent another changes nothing, unless the bank says that it is a player's.
            let tx = TxHash::new(judged.look.subject.as_str()).ok();
            let named = tx.is_some_and(|tx| state.chain.confirmation(&tx).is_some());
            let came = transfers.iter().filter(|transfer| named || !state.chain.is_ours(&transfer.from));
            let value = Amount::checked_sum(came.map(|transfer| transfer.value))?;
            let says = format!("+{value} G, deposit {}", judged.look.subject);
            (!booked && !value.is_zero()).then_some((Drift::between(value, Amount::ZERO), says))
        }
        _ => None,
    });
    let withdrawals = state.withdrawals.iter().filter_map(|(id, withdrawal)| {
        if matches!(withdrawal.phase, WithdrawalPhase::Settled) {
            return None;
        }
        let net = withdrawal.hold.as_ref()?.net;
        match state.withdrawal_verdict(id.as_str(), withdrawal)?.0 {
            WithdrawalVerdict::Executed { block: at, .. } if at.number <= block => {
                Some((Drift::between(Amount::ZERO, net), format!("-{net} G, withdrawal {id}")))
            }
            _ => None,
        }
    });
    let burns = state.burns.iter().filter(|(_, burn)| burn.phase == BurnPhase::InDoubt).filter_map(|(id, burn)| {
        match state.burn_verdict(id.as_str(), burn)?.0 {
            WithdrawalVerdict::Executed { block: at, .. } if at.number <= block => {
                Some((Drift::between(Amount::ZERO, burn.amount), format!("-{} G, burn {id}", burn.amount)))
            }
            _ => None,
        }
    });
    deposits.chain(withdrawals).chain(burns).collect()
}
