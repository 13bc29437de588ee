//! A final block that money was booked from is gone (row R12, D10). The alarm is recorded, crediting and paying stop, and
//! what follows is for two people: a block below `finalized` goes only when Ethereum's finality broke or sources lie.

use wox_events::{
    ChainEvent, DepositEvent, EventId, Label, StreamId,
    chain::{self, BlockId},
};
use wox_projections::{
    Account,
    chain::{Judged, judged},
    deposits::{Deposit, GONE},
    verdict::{DepositVerdict, deposit::Before, quorum::Transfer},
};

use super::super::{Procedure, Steps, hold, stream};
use crate::{
    command::word,
    recovery::{Case, Evidence, Finding, Repair, Severity, plan::holds},
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "finality_violation",
    row: "R12",
    finds: "money booked from a final block that is gone",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    judged(&evidence.replay.state).iter().flat_map(|judged| cases(evidence, judged)).collect()
}

fn cases(evidence: &Evidence, judged: &Judged<'_>) -> Vec<Case> {
    let DepositVerdict::FinalityViolation { was } = &judged.verdict else { return Vec::new() };
    // Of what two people could not take back, whose credit it is tells another procedure.
    let lost = |subject: &str| evidence.replay.state.is_lost(subject);
    let booked = judged.deposits.iter().filter(|(subject, deposit)| deposit.is_booked() && !lost(subject));
    let mut cases = Vec::new();
    for (subject, _) in booked {
        let deposit = stream("deposit", subject);
        let finding = Finding {
            severity: Severity::Critical,
            since: Some(judged.look.event.clone()),
            ..PROCEDURE.finding(
                "WOX-BANK-VERIFY-002",
                &deposit,
                format!("deposit {subject} is booked from block {} (D10), which was final and is gone", was.number),
            )
        };
        if !evidence.replay.state.chain.is_violation_known(deposit.as_str()) {
            let alarm = ChainEvent::FinalityViolation {
                deposit: deposit.clone(),
                block: was.number,
                was: was.hash.clone(),
                evidence: judged.look.event.id,
            };
            let says = "record the alarm: from here on no money moves";
            let repair = Steps::on(evidence, chain::stream(judged.look.chain))
                .add(judged.look.event.id, deposit.as_str(), alarm, says)
                .repair();
            cases.push(Case { finding: finding.clone(), repair });
        }
        cases.push(Case {
            finding,
            repair: hold(
                "what was final is not: no rule says what is true now",
                format!(
                    "stop paying, ask every source and another operator's node; once the alarm is recorded (apply its \
                     plan) two people decide: wox recover deposit {} --second NAME --why REASON",
                    word(subject)
                ),
            ),
        });
    }
    cases
}

/// A deposit that is booked from a final block that is gone, by the looks alone: nobody has recorded the alarm yet.
#[must_use]
pub fn unrecorded(evidence: &Evidence) -> Option<StreamId> {
    let state = &evidence.replay.state;
    let gone = |judged: &Judged<'_>| matches!(judged.verdict, DepositVerdict::FinalityViolation { .. });
    let booked = judged(state).into_iter().filter(gone).flat_map(|judged| judged.deposits);
    let booked = booked.filter(|(_, deposit)| deposit.is_booked()).map(|(subject, _)| stream("deposit", subject));
    let known =
        |deposit: &StreamId| state.chain.is_violation_known(deposit.as_str()) || state.is_lost(deposit.subject());
    booked.into_iter().find(|deposit| !known(deposit))
}

/// What two people decide about a deposit whose final block went away: it is final again in another block, or it can
/// never be mined any more and is taken back. Until the chain says one of the two there is nothing to decide.
#[must_use]
pub fn decided_by_operators(evidence: &Evidence, deposit: &StreamId, first: &Label, second: &Label) -> Vec<Case> {
    let state = &evidence.replay.state;
    let subject = deposit.subject();
    let violation = state.chain.violation(deposit.as_str());
    let violation = violation.or_else(|| state.chain.lost(deposit.as_str()).filter(|_| state.is_lost(subject)));
    let (Some(violation), Some(known)) = (violation, state.deposits.get(subject)) else {
        return Vec::new();
    };
    let judged = judged(state);
    let Some(judged) = judged.iter().find(|judged| judged.deposits.iter().any(|(named, _)| *named == subject)) else {
        return Vec::new();
    };
    let decided = Decided { evidence, deposit, known, judged, violation: violation.id, first, second };
    decided.cases()
}

struct Decided<'a> {
    evidence: &'a Evidence,
    deposit: &'a StreamId,
    known: &'a Deposit,
    judged: &'a Judged<'a>,
    violation: EventId,
    first: &'a Label,
    second: &'a Label,
}

impl Decided<'_> {
    fn cases(&self) -> Vec<Case> {
        if let Some((_, changed)) = self.evidence.replay.state.chain.changed_rules().next() {
            let says =
                format!("deposit {}: {} alone says by which rules it is judged", self.deposit.subject(), changed.by);
            let finding = PROCEDURE.finding("WOX-BANK-VERIFY-002", self.deposit, says);
            let repair =
                hold("whoever says which sources count says what is true", "another person agrees to the rules first");
            return vec![Case { finding, repair }];
        }
        // What is true now, whatever was true before.
        let now = self.evidence.replay.state.chain.deposit_verdict(self.judged.look, &Before::default());
        let what = format!("deposit {}: {}, {}", self.deposit.subject(), now.row(), now.says());
        let finding = Finding {
            severity: Severity::Critical,
            since: Some(self.judged.look.event.clone()),
            ..PROCEDURE.finding("WOX-BANK-VERIFY-002", self.deposit, what)
        };
        let gone_for_good = match &now {
            DepositVerdict::Confirmed { transfers, .. } => !transfers.iter().any(|came| self.is_it(came)),
            DepositVerdict::Reverted { .. } | DepositVerdict::NotADeposit { .. } | DepositVerdict::Replaced { .. } => {
                true
            }
            _ => false,
        };
        let (repair, stands) = match &now {
            DepositVerdict::Confirmed { block, transfers } => match transfers.iter().find(|came| self.is_it(came)) {
                Some(transfer) => (self.stands(block, transfer), true),
                None => (self.takes_back(), false),
            },
            DepositVerdict::Reverted { .. } | DepositVerdict::NotADeposit { .. } | DepositVerdict::Replaced { .. } => {
                (self.takes_back(), false)
            }
            _ => (
                hold(
                    "it may still be mined again, and nobody takes back what may come",
                    "look again later: wox observe",
                ),
                false,
            ),
        };
        let lost = gone_for_good.then(|| self.spent()).flatten();
        if let (Some(spent), true) = (&lost, self.evidence.replay.state.is_lost(self.deposit.subject())) {
            let repair = hold(
                format!("that is decided, and {spent}"),
                "agree with the player how it goes back; once it is there, run the command again",
            );
            return vec![Case { finding, repair }];
        }
        if matches!(repair, Repair::Hold { .. }) && lost.is_none() {
            return vec![Case { finding, repair }];
        }
        let over = ChainEvent::FinalityRestored {
            deposit: self.deposit.clone(),
            violation: self.violation,
            stands,
            evidence: self.judged.look.event.id,
            first: self.first.clone(),
            second: self.second.clone(),
        };
        let over = Steps::on(self.evidence, chain::stream(self.judged.look.chain))
            .add(self.violation, "", over, "money moves again")
            .repair();
        // What is spent cannot be taken, and all other money need not wait until it is back.
        if let Some(spent) = lost {
            let says = format!("{}; {spent}, so their credit stays until it is agreed with them", finding.says);
            return vec![Case { finding: Finding { says, ..finding }, repair: over }];
        }
        vec![Case { finding: finding.clone(), repair }, Case { finding, repair: over }]
    }

    fn is_it(&self, came: &Transfer) -> bool {
        let named = self.known.reference.as_deref().unwrap_or(self.deposit.subject());
        named.ends_with(&format!(":{}", came.ordinal)) && self.known.value == Some(came.value)
    }

    fn stands(&self, block: &BlockId, transfer: &Transfer) -> Repair {
        let Some(observed) = super::observed(self.evidence, self.judged, transfer, block) else {
            return hold("no source's answer has the receipt", "have the chain looked at again: wox observe");
        };
        let says = format!("it is final again, in block {}: it stands", block.number);
        Steps::on(self.evidence, self.deposit.clone()).add(self.violation, "", observed, says).repair()
    }

    /// Whose credit that must go back is not there any more.
    fn spent(&self) -> Option<String> {
        let mut open = self.known.credits.iter().filter(|credit| !credit.debited);
        open.find_map(|credit| {
            let held = holds(&self.evidence.replay.state, &Account::Withdrawable(credit.player.clone()));
            let (player, amount) = (&credit.player, credit.amount);
            (held < amount).then(|| format!("player {player} holds {held} G of the {amount} G that must go back"))
        })
    }

    fn takes_back(&self) -> Repair {
        if let Some(spent) = self.spent() {
            return hold(spent, "agree with the player how the rest goes back");
        }
        let open: Vec<_> = self.known.credits.iter().filter(|credit| !credit.debited).collect();
        let mut steps = Steps::on(self.evidence, self.deposit.clone());
        for credit in open {
            let debited = DepositEvent::DepositDebited {
                player: credit.player.clone(),
                amount: credit.amount,
                dust: credit.dust,
                corrects: credit.event.id,
                reason: Label::new(GONE).expect("an identity"),
            };
            let says = format!("take {} G back from player {}: they never came", credit.amount, credit.player);
            steps = steps.add(credit.event.id, "", debited, says);
        }
        if let (Some(corrects), Some(value)) = (self.known.suspended, self.known.value) {
            let reason = Label::new(GONE).expect("an identity");
            let reversed = DepositEvent::SuspenseReversed { value, corrects, reason };
            steps = steps.add(corrects, "", reversed, format!("take {value} G out of suspense: they never came"));
        }
        steps.repair()
    }
}
