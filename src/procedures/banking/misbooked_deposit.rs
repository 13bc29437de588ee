//! A deposit that is booked, and not as it came (row R12, D1): with another amount than its log on the chain has, or for
//! another player than the one whose wallet sent it. A wrong amount is booked anew where the player still has what was
//! credited; whose a deposit is, people decide.

use wox_events::{Amount, DepositEvent, Label, StreamId, chain::BlockId};
use wox_projections::{
    Account,
    chain::{Judged, judged},
    deposits::{Credit, Deposit},
    verdict::{DepositVerdict, quorum::Transfer},
};

use super::super::{Procedure, Steps, as_incident, hold, stopped, stream};
use crate::{
    command::{word, wox},
    recovery::{Case, Evidence, Finding, Repair, Severity, plan::holds},
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "misbooked_deposit",
    row: "R12",
    finds: "a deposit that was booked with another amount, or for another player, than the chain says",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    judged(&evidence.replay.state).iter().flat_map(|judged| cases(evidence, judged)).collect()
}

fn cases<'a>(evidence: &'a Evidence, judged: &'a Judged<'a>) -> Vec<Case> {
    let DepositVerdict::Confirmed { block, transfers } = &judged.verdict else { return Vec::new() };
    let booked = judged.deposits.iter().filter(|(_, deposit)| deposit.is_booked());
    let booked = booked.filter_map(|(subject, deposit)| {
        let named = deposit.reference.as_deref().unwrap_or(subject);
        let transfer = transfers.iter().find(|transfer| named.ends_with(&format!(":{}", transfer.ordinal)))?;
        Some(Booked { evidence, judged, block, transfer, stream: stream("deposit", subject), deposit })
    });
    booked.filter_map(|booked| booked.with_another_amount().or_else(|| booked.for_another_player())).collect()
}

/// A deposit that is booked, beside what came.
struct Booked<'a> {
    evidence: &'a Evidence,
    judged: &'a Judged<'a>,
    block: &'a BlockId,
    transfer: &'a Transfer,
    stream: StreamId,
    deposit: &'a Deposit,
}

impl Booked<'_> {
    /// The credit that stands; what is credited again is another procedure's.
    fn credit(&self) -> Option<&Credit> {
        self.deposit.credits.iter().find(|credit| !credit.debited && credit.duplicate_of.is_none())
    }

    fn with_another_amount(&self) -> Option<Case> {
        let came = self.transfer.value;
        let credit = self.credit();
        let booked = match (credit, self.deposit.suspended) {
            (Some(credit), _) => credit.amount.checked_add(credit.dust)?,
            (None, Some(_)) => self.deposit.value?,
            (None, None) => return None,
        };
        if booked == came {
            return self.never_observed();
        }
        let to =
            credit.map_or_else(|| "kept in suspense".to_owned(), |credit| format!("credited to {}", credit.player));
        let what = format!("{booked} G of it were {to}, and its log on the chain has {came} G");
        let repair = match credit {
            Some(credit) => stopped(self.evidence).unwrap_or_else(|| self.book_anew(credit)),
            None => stopped(self.evidence).unwrap_or_else(|| self.keep_anew(booked)),
        };
        Some(Case { finding: self.finding(Severity::Critical, &what), repair })
    }

    /// Takes out of suspense what was kept there wrongly: what came is booked by the next plan.
    fn keep_anew(&self, booked: Amount) -> Repair {
        let (Some(corrects), Some(observed)) =
            (self.deposit.suspended, super::observed(self.evidence, self.judged, self.transfer, self.block))
        else {
            return hold("no source's answer has the receipt any more", wox(["observe", "deposit", self.tx()]));
        };
        let reason = Label::new("wrong-amount").expect("an identity");
        let reversed = DepositEvent::SuspenseReversed { value: booked, corrects, reason };
        let steps = Steps::on(self.evidence, self.stream.clone());
        let steps = steps.add(corrects, "", reversed, format!("take {booked} G out of suspense"));
        let says = format!("observe {} G in final block {}", self.transfer.value, self.block.number);
        steps.add(self.judged.look.event.id, &corrects.to_string(), observed, says).repair()
    }

    /// Credited as it came, and nobody wrote that it came: for conservation it never did.
    fn never_observed(&self) -> Option<Case> {
        self.credit().filter(|_| self.deposit.value.is_none())?;
        let came = self.transfer.value;
        let repair = match super::observed(self.evidence, self.judged, self.transfer, self.block) {
            Some(observed) => {
                let says = format!("observe {came} G to {} in final block {}", self.transfer.to, self.block.number);
                let steps = Steps::on(self.evidence, self.stream.clone());
                steps.add(self.judged.look.event.id, "", observed, says).repair()
            }
            None => hold("no source's answer has the receipt any more", wox(["observe", "deposit", self.tx()])),
        };
        Some(Case { finding: self.finding(Severity::Medium, "it is credited, and nobody wrote that it came"), repair })
    }

    /// Takes the whole credit back and credits what came: both stand in the log, and conservation after each.
    fn book_anew(&self, credit: &Credit) -> Repair {
        let (player, came) = (&credit.player, self.transfer.value);
        let held = holds(&self.evidence.replay.state, &Account::Withdrawable(player.clone()));
        if held < credit.amount {
            return hold(
                format!("player {player} holds {held} G of the {} G that would be booked anew", credit.amount),
                format!("agree with the player how the difference is put right, then {}", as_incident(&self.stream)),
            );
        }
        let debited = DepositEvent::DepositDebited {
            player: player.clone(),
            amount: credit.amount,
            dust: credit.dust,
            corrects: credit.event.id,
            reason: Label::new("wrong-amount").expect("an identity"),
        };
        let says = format!("take the credit of {} G back from player {player}", credit.amount);
        let mut steps = Steps::on(self.evidence, self.stream.clone()).add(credit.event.id, "", debited, says);
        if self.deposit.value != Some(came) {
            let Some(observed) = super::observed(self.evidence, self.judged, self.transfer, self.block) else {
                return hold("no source's answer has the receipt any more", wox(["observe", "deposit", self.tx()]));
            };
            let says = format!("observe {came} G to {} in final block {}", self.transfer.to, self.block.number);
            steps = steps.add(self.judged.look.event.id, &credit.event.id.to_string(), observed, says);
        }
        let (amount, dust) = came.split_dust();
        let Some((tx, chain)) = super::transaction(self.judged) else {
            return hold("its transaction has no hash", "report this as a defect");
        };
        let (ordinal, player) = (self.transfer.ordinal, player.clone());
        let says = format!("credit {amount} G to player {player}, withdrawable");
        let credited = DepositEvent::DepositCredited { chain, tx, ordinal, player, amount, dust };
        steps.add(credit.event.id, "", credited, says).repair()
    }

    /// The game credited it to somebody else than the wallet that sent it says; what a recovery decided is decided.
    fn for_another_player(&self) -> Option<Case> {
        let state = &self.evidence.replay.state;
        let credit = self.credit().filter(|credit| !credit.by_recovery)?;
        let (bound, since) = state.players.holder_since(&self.transfer.from)?;
        let posts = super::transaction(self.judged).and_then(|(tx, _)| state.chain.confirmation(&tx));
        let confirmed = posts.is_some_and(|posts| posts.player == credit.player);
        if *bound == credit.player
            || confirmed
            || since > credit.event.position
            || state.chain.is_ours(&self.transfer.from)
        {
            return None;
        }
        let what = format!(
            "it was credited to player {}, and {}, which sent it, is a wallet of player {bound} since position {since}",
            credit.player, self.transfer.from
        );
        let next = format!(
            "ask both; where it is player {bound}'s: wox recover deposit {} --player {} --why REASON; where it is player \
             {}'s all the same, {}",
            word(self.tx()),
            word(bound),
            credit.player,
            as_incident(&self.stream)
        );
        let repair = hold("no event says why it is another player's", next);
        Some(Case { finding: self.finding(Severity::High, &what), repair })
    }

    fn tx(&self) -> &str {
        self.judged.look.subject.as_str()
    }

    fn finding(&self, severity: Severity, what: &str) -> Finding {
        Finding {
            severity,
            since: self.credit().map(|credit| credit.event.clone()).or_else(|| Some(self.judged.look.event.clone())),
            ..PROCEDURE.finding(
                "WOX-BANK-VERIFY-002",
                &self.stream,
                format!("deposit of transaction {}, log {}: {what}", self.tx(), self.transfer.ordinal),
            )
        }
    }
}
