//! A withdrawal whose payment may or may not exist (row R13). The log alone can prove neither, so it is held and watched,
//! however old it gets: "not found" proves nothing. What a quorum shows of its slot decides (W0 to W11): a final payment
//! settles it; a final failure, a final cancel, or a journal without an attempt releases it; the rest waits, or is for two
//! people (law 2).

use wox_events::{
    Amount, BurnEvent, ChainEvent, EventId, Label, StreamId, TxHash, WithdrawalEvent, WithdrawalId,
    chain::{self, BlockId},
    deposit::Finality,
};
use wox_projections::{
    EventRef,
    burns::BurnPhase,
    due::{Due, has_rivals},
    explained::unexplained,
    outgoing::Outgoing,
    verdict::{
        WithdrawalVerdict,
        withdrawal::{Payment, Reversible},
    },
    withdrawals::{Hold, Withdrawal, WithdrawalPhase},
};

use super::super::{Procedure, Steps, as_incident, hold, stopped, stream};
use crate::{
    command::{word, wox},
    recovery::{Case, Evidence, Finding, Repair, Severity, policy::CONFIRMATION_TIMEOUT},
    rfc3339,
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "withdrawal_in_doubt",
    row: "R13",
    finds: "a withdrawal whose payment nobody has confirmed in time",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let state = &evidence.replay.state;
    state
        .withdrawals
        .iter()
        .flat_map(|(id, withdrawal)| {
            let judged = || evidence.replay.withdrawal_verdict(id, withdrawal);
            let doubt = Doubt { evidence, id, withdrawal, stream: stream("withdrawal", id.as_str()) };
            match withdrawal.phase {
                // What is booked as paid is looked at in `settled_payment`.
                WithdrawalPhase::Settled => Vec::new(),
                WithdrawalPhase::Requested => doubt.paid_before_held(),
                // Over before the tables were taken over, by the game's own word: nothing of it is in this ledger.
                WithdrawalPhase::Failed if withdrawal.imported && withdrawal.hold.is_none() => Vec::new(),
                WithdrawalPhase::Released => doubt.paid_after_release(judged()),
                WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed => doubt.open(judged()),
            }
        })
        .collect()
}

/// What two people decide: a payment that no proof of the chain decides will not come, and the hold goes back. Empty
/// where the evidence forbids even that.
#[must_use]
pub fn released_by_operators(evidence: &Evidence, subject: &StreamId, first: &Label, second: &Label) -> Vec<Case> {
    let state = &evidence.replay.state;
    let Ok(id) = WithdrawalId::new(subject.subject()) else { return Vec::new() };
    let Some(withdrawal) = state.withdrawals.get(id.as_str()) else { return Vec::new() };
    // What is over is decided: nothing of it goes back, and nothing of its burn is called off.
    if matches!(withdrawal.phase, WithdrawalPhase::Requested | WithdrawalPhase::Settled | WithdrawalPhase::Released) {
        return Vec::new();
    }
    let doubt = Doubt { evidence, id: &id, withdrawal, stream: subject.clone() };
    let Some((verdict, _)) = evidence.replay.withdrawal_verdict(&id, withdrawal) else { return Vec::new() };
    let what = format!("{}, {}{}", verdict.row(), verdict.says(), doubt.worse_slots(&verdict));
    let finding = doubt.finding(Severity::High, &what);
    if let Some(reversible) = evidence.replay.decided_by_two(&id, withdrawal, first, second) {
        return doubt.release(finding, &reversible, Vec::new());
    }
    let perhaps_paid =
        || Due::withdrawal(id.as_str(), withdrawal).is_some_and(|due| !unexplained(state, &due).is_empty());
    let why = match &verdict {
        WithdrawalVerdict::Executed { .. } => "it was paid: giving it back would pay twice",
        other if other.is_for_two_people() => "one person is not two",
        WithdrawalVerdict::ForeignConsumer { .. } | WithdrawalVerdict::Anomaly { .. } => {
            "the player was paid from our wallet: giving it back would pay twice"
        }
        other if other.proof().is_some() => "it needs no decision: the log proves that no payment can follow",
        _ if perhaps_paid() => "the player may have been paid from our wallet: giving it back could pay twice",
        _ => "what was seen of the chain leaves nothing to decide: a payment may exist and may still land",
    };
    let next = super::next(evidence, "withdrawal", id.as_str(), &verdict, &withdrawal.slots);
    vec![Case { finding, repair: hold(why, next) }]
}

/// A withdrawal that is looked at.
struct Doubt<'a> {
    evidence: &'a Evidence,
    id: &'a WithdrawalId,
    withdrawal: &'a Withdrawal,
    stream: StreamId,
}

/// An event about a transaction, and what it says.
type Said = (WithdrawalEvent, TxHash, String);
/// A verdict and what it rests on.
type Judged = Option<(WithdrawalVerdict, Vec<EventRef>)>;

impl Doubt<'_> {
    fn finding(&self, severity: Severity, what: &str) -> Finding {
        let Withdrawal { amount, player, last, .. } = self.withdrawal;
        let says = format!("withdrawal {} of {amount} G by player {player}: {what}", self.id);
        Finding {
            severity,
            since: Some(last.on(&self.stream)),
            ..PROCEDURE.finding("WOX-BANK-VERIFY-003", &self.stream, says)
        }
    }

    fn open(&self, judged: Judged) -> Vec<Case> {
        // What was open when a game was taken over waited before this log's clock began.
        let waiting =
            self.withdrawal.imported || self.evidence.now().since(self.withdrawal.last_activity) > CONFIRMATION_TIMEOUT;
        let Some((verdict, looks)) = judged else {
            return if waiting { vec![self.unseen()] } else { Vec::new() };
        };
        let what = format!("{}, {}{}", verdict.row(), verdict.says(), self.worse_slots(&verdict));
        match (&verdict, verdict.reversible()) {
            // Its signer may be about to sign: silence proves nothing before its time.
            (WithdrawalVerdict::NotSent, _) if !waiting => Vec::new(),
            (WithdrawalVerdict::Executed { tx, block }, _) => {
                vec![self.settle(self.finding(Severity::High, &what), tx, block)]
            }
            (_, Some(reversible)) => {
                self.release(self.finding(Severity::High, &what), &reversible, self.dead(&verdict))
            }
            _ => {
                let severity = match !verdict.is_alive() || !self.worse_slots(&verdict).is_empty() {
                    true => Severity::Critical,
                    false if waiting => Severity::High,
                    false if looks.is_empty() => return Vec::new(),
                    false => Severity::Medium,
                };
                // What is paid in part is known: nothing more comes of it by itself.
                let partly = matches!(&verdict, WithdrawalVerdict::Anomaly { paid, .. } if !paid.is_zero());
                let outcome_unknown = !partly || self.has_live_slot();
                let finding = Finding { outcome_unknown, ..self.finding(severity, &what) };
                let why = match &verdict {
                    WithdrawalVerdict::Anomaly { .. } | WithdrawalVerdict::ForeignConsumer { .. }
                        if !verdict.is_for_two_people() =>
                    {
                        "its address was paid: to give it back would pay twice"
                    }
                    other if other.is_for_two_people() && !self.has_live_slot() => {
                        "its slot is gone, and no rule says whether it was paid otherwise: that is for two people"
                    }
                    _ => "a payment may exist and may still land: an unknown outcome is never compensated",
                };
                let next = super::next(self.evidence, "withdrawal", self.id.as_str(), &verdict, &self.withdrawal.slots);
                vec![Case { finding, repair: hold(why, next) }]
            }
        }
    }

    fn has_live_slot(&self) -> bool {
        let state = &self.evidence.replay.state;
        let due = Due::withdrawal(self.id.as_str(), self.withdrawal);
        let alive = |slot: &Payment| {
            let judged = due.as_ref().and_then(|due| state.slot_verdict(due, slot));
            judged.is_none_or(|(verdict, _)| verdict.is_alive())
        };
        self.withdrawal.slots.iter().any(alive)
    }

    /// What stands in its other slots that a person has to know of while the verdict speaks of a live one.
    fn worse_slots(&self, verdict: &WithdrawalVerdict) -> String {
        if !verdict.is_alive() && !matches!(verdict, WithdrawalVerdict::Executed { .. }) {
            return String::new();
        }
        let state = &self.evidence.replay.state;
        let Some(due) = Due::withdrawal(self.id.as_str(), self.withdrawal) else { return String::new() };
        let slots = self.withdrawal.slots.iter();
        let judged = slots.filter_map(|slot| Some((slot.nonce, state.slot_verdict(&due, slot)?.0)));
        let worse = judged.filter(|(_, other)| {
            !other.is_alive() && other.proof().is_none() && !matches!(other, WithdrawalVerdict::Executed { .. })
        });
        worse.map(|(nonce, other)| format!("; slot {nonce}: {}, {}", other.row(), other.says())).collect()
    }

    /// Only asked for, and its address was paid all the same, or may have been by what is not in the state.
    fn paid_before_held(&self) -> Vec<Case> {
        let state = &self.evidence.replay.state;
        let Some(due) = Due::withdrawal(self.id.as_str(), self.withdrawal) else { return Vec::new() };
        let found = unexplained(state, &due);
        let left_out = self.evidence.replay.unseen_payment(&self.stream);
        let (what, why) = match (found.first(), left_out) {
            (Some(first), _) => (first.says(), "it may be its payment, and no event says so"),
            (None, Some(event)) => (
                format!("{event} is not in the state, and it or what is behind it may be about a payment"),
                "what is not in the state may have been its payment: an unknown outcome is never compensated",
            ),
            (None, None) => return Vec::new(),
        };
        let finding = Finding {
            outcome_unknown: true,
            ..self.finding(Severity::High, &format!("nothing is held for it, and {what}"))
        };
        let then = wox(["recover", "withdrawal", self.id.as_str()]);
        let unseen = super::unseen(self.evidence, "withdrawal", self.id.as_str());
        let next = unseen.or_else(|| super::unexplained_next(state, &due, &then)).unwrap_or(then);
        vec![Case { finding, repair: hold(why, next) }]
    }

    /// Nobody has looked at the chain.
    fn unseen(&self) -> Case {
        let (what, why) = match self.withdrawal.phase {
            WithdrawalPhase::Held => ("nobody was asked to pay it", "the journal of the signer is not in this log"),
            WithdrawalPhase::Failed => {
                ("its payment failed, and nothing followed", "a reversal needs the final proof in its own event")
            }
            _ => ("its payment is not confirmed", "a payment may exist and may still land"),
        };
        // A moment, not a span: what is only watched must not make another plan every second.
        let what = format!("{what} since {}", rfc3339::text(self.withdrawal.last_activity));
        Case {
            finding: Finding { outcome_unknown: true, ..self.finding(Severity::High, &what) },
            repair: hold(
                format!("{why}: an unknown outcome is never compensated"),
                format!(
                    "have the chain looked at: write [chain] into wox.toml (docs/chain.md), then {}",
                    wox(["observe", "withdrawal", self.id.as_str()])
                ),
            ),
        }
    }

    fn settle(&self, finding: Finding, tx: &TxHash, block: &BlockId) -> Case {
        if let Some(repair) = stopped(self.evidence) {
            return Case { finding, repair };
        }
        let Some(held) = &self.withdrawal.hold else {
            let repair = hold("it was paid without ever being held", "find out who paid it; two people decide");
            return Case { finding, repair };
        };
        let mut steps = Steps::on(self.evidence, self.stream.clone());
        if self.withdrawal.mined.as_ref() != Some(&(tx.clone(), Finality::Finalized)) {
            let mined = WithdrawalEvent::TxMined {
                tx: tx.clone(),
                block: block.number,
                block_hash: block.hash.clone(),
                finality: Finality::Finalized,
            };
            steps = steps.add(held.event, tx.as_str(), mined, format!("{tx} is final in block {}", block.number));
        }
        // What else was signed for its slot is dead: at most one transaction can have it.
        let slots = self.withdrawal.slots.iter();
        let others =
            slots.filter(|slot| self.took(slot, tx)).flat_map(|slot| slot.attempts.iter().chain(&slot.cancels));
        for dead in others.filter(|other| *other != tx) {
            let replaced = WithdrawalEvent::TxReplaced { tx: dead.clone(), by: tx.clone() };
            steps = steps.add(held.event, dead.as_str(), replaced, format!("{dead} can never be mined any more"));
        }
        let settled = WithdrawalEvent::WithdrawalSettled { tx: tx.clone(), net: held.net };
        let says = format!("settle it: player {} received {} G", self.withdrawal.player, held.net);
        Case { finding, repair: steps.add(held.event, "", settled, says).repair() }
    }

    /// Whether a transaction is the one that has the slot.
    fn took(&self, slot: &Payment, tx: &TxHash) -> bool {
        let judged = self.evidence.replay.state.chain.payment_verdict(slot);
        matches!(judged, Some((WithdrawalVerdict::Executed { tx: paid, .. }, _)) if paid == *tx)
    }

    /// The events that say in the withdrawal's own stream why no payment can follow.
    fn dead(&self, verdict: &WithdrawalVerdict) -> Vec<Said> {
        let withdrawal = self.withdrawal;
        match verdict {
            WithdrawalVerdict::Reverted { tx, block } if withdrawal.reverted.as_ref() != Some(tx) => {
                let reverted = WithdrawalEvent::TxReverted {
                    tx: tx.clone(),
                    block: block.number,
                    block_hash: block.hash.clone(),
                    finality: Finality::Finalized,
                };
                vec![(reverted, tx.clone(), format!("{tx} failed, final in block {}", block.number))]
            }
            WithdrawalVerdict::Cancelled { tx, block } => {
                let mut events = Vec::new();
                let chain = &self.evidence.replay.state.chain;
                let fenced = withdrawal.slots.iter().find(|slot| {
                    let judged = chain.payment_verdict(slot);
                    judged.is_some_and(|(slot, _)| slot == *verdict)
                });
                if let Some(slot) = fenced.filter(|_| !withdrawal.fences.contains(tx)) {
                    let (wallet, nonce) = (slot.wallet.clone(), slot.nonce);
                    let fenced = WithdrawalEvent::WithdrawalFenced { wallet, nonce, tx: tx.clone() };
                    events.push((fenced, tx.clone(), format!("{tx} is the cancel that was asked for")));
                }
                if withdrawal.fenced.as_ref() != Some(tx) {
                    let mined = WithdrawalEvent::TxMined {
                        tx: tx.clone(),
                        block: block.number,
                        block_hash: block.hash.clone(),
                        finality: Finality::Finalized,
                    };
                    events.push((mined, tx.clone(), format!("the cancel {tx} is final in block {}", block.number)));
                }
                events
            }
            _ => Vec::new(),
        }
    }

    /// Gives back what the hold took; what waits to be burned is called off first, because it cannot be after.
    fn release(&self, finding: Finding, reversible: &Reversible, before: Vec<Said>) -> Vec<Case> {
        let state = &self.evidence.replay.state;
        if let Some(repair) = stopped(self.evidence) {
            return vec![Case { finding, repair }];
        }
        let Some(held) = &self.withdrawal.hold else {
            let repair = hold("nothing was ever held for it", "look at its stream; there is nothing to give back");
            return vec![Case { finding, repair }];
        };
        if self.withdrawal.burn_unknown {
            let repair = hold(
                "it was taken over from the game's tables, and which waiting burn its fee paid for they do not say",
                "two people find the burn and decide; the amount stays in flight until then",
            );
            return vec![Case { finding, repair }];
        }
        let mut cases = Vec::new();
        let unseen = super::unseen(self.evidence, "burn", self.id.as_str());
        if let (Some(unseen), None) = (&unseen, state.burns.get(self.id.as_str())) {
            let repair = hold("an event of its burn is not in the state, and its share may be burned", unseen.clone());
            return vec![Case { finding: Finding { outcome_unknown: true, ..finding }, repair }];
        }
        if let Some(burn) = state.burns.get(self.id.as_str()) {
            let dead = || state.is_burn_dead(self.id.as_str(), burn);
            match burn.phase {
                BurnPhase::Cancelled => {}
                BurnPhase::Scheduled | BurnPhase::InDoubt if unseen.is_none() && dead() => {
                    cases.push(self.call_off(burn.scheduled.id, &finding));
                }
                BurnPhase::Scheduled | BurnPhase::InDoubt => {
                    let then = wox(["recover", "withdrawal", self.id.as_str()]);
                    let repair = hold(
                        "its share of the fee was signed for burning, or may have been, and may be burned",
                        unseen.or_else(|| super::burn_next(self.evidence, self.id.as_str(), &then)).unwrap_or_else(
                            || format!("have the burn looked at first: {}", wox(["recover", "burn", self.id.as_str()])),
                        ),
                    );
                    return vec![Case { finding: Finding { outcome_unknown: true, ..finding }, repair }];
                }
                // Two people decided: what is burned comes out of the pool.
                BurnPhase::Settled if reversible.is_by_two() => {}
                BurnPhase::Settled => {
                    let repair = hold(
                        format!("{} G of its fee are burned and cannot come back", held.burn_share),
                        format!(
                            "two people decide that the pool bears it: wox recover withdrawal {} --second NAME --why REASON",
                            word(self.id.as_str())
                        ),
                    );
                    return vec![Case { finding, repair }];
                }
            }
        }
        let repair = self.released(held, reversible, before);
        cases.push(Case { finding, repair });
        cases
    }

    fn call_off(&self, scheduled: EventId, finding: &Finding) -> Case {
        let burn = stream("burn", self.id.as_str());
        let cancelled = BurnEvent::BurnCancelled {
            corrects: scheduled,
            reason: Label::new("withdrawal-reversed").expect("an identity"),
        };
        let says = format!("call the burn of withdrawal {} off", self.id);
        let repair = Steps::on(self.evidence, burn).add(scheduled, "", cancelled, says).repair();
        let finding = Finding {
            row: "E1".into(),
            code: "WOX-BANK-PRIZE-004".into(),
            severity: Severity::Medium,
            says: format!("a share of withdrawal {}'s fee still waits to be burned", self.id),
            ..finding.clone()
        };
        Case { finding, repair }
    }

    fn released(&self, held: &Hold, reversible: &Reversible, before: Vec<Said>) -> Repair {
        let Withdrawal { player, amount, .. } = self.withdrawal;
        let mut steps = Steps::on(self.evidence, self.stream.clone());
        for (event, tx, says) in before {
            steps = steps.add(held.event, tx.as_str(), event, says);
        }
        let released = reversible.release(player, *amount, held);
        let says = format!("give {amount} G back to player {player}, both shares of the fee included");
        steps.add(held.event, "", released, says).repair()
    }

    /// W1 after a release: the money left twice.
    fn paid_after_release(&self, judged: Judged) -> Vec<Case> {
        let net = self.withdrawal.hold.as_ref().map(|hold| hold.net).unwrap_or_default();
        let (tx, paid, look, how) = match judged {
            Some((WithdrawalVerdict::Executed { tx, block }, looks)) => {
                let Some(look) = looks.last() else { return Vec::new() };
                (tx, net, look.clone(), format!("final in block {}", block.number))
            }
            _ => match self.paid_by_something_else(net) {
                Some(Ok((sent, paid))) => {
                    (sent.tx.clone(), paid, sent.event.clone(), "final, which no event explains otherwise".to_owned())
                }
                Some(Err(case)) => return vec![case],
                None => return Vec::new(),
            },
        };
        let what = format!("{net} G were given back and {paid} G paid all the same by {tx}, {how}");
        let finding = Finding { code: "WOX-BANK-TX-004".into(), ..self.finding(Severity::Critical, &what) };
        let mut cases = Vec::new();
        let state = &self.evidence.replay.state;
        if !state.chain.is_double_payment_known(self.id)
            && let Some(policy) = state.chain.policies().next()
        {
            let alarm = ChainEvent::DoublePayment {
                withdrawal: self.id.clone(),
                tx: tx.clone(),
                amount: paid,
                evidence: look.id,
            };
            let repair = Steps::on(self.evidence, chain::stream(policy.chain))
                .add(look.id, self.id.as_str(), alarm, "record the alarm")
                .repair();
            cases.push(Case { finding: finding.clone(), repair });
        }
        let repair = hold(
            "a person has the money twice: nobody but the two sides can put that right",
            format!("stop paying from the wallet, agree with the player, then {}", as_incident(&self.stream)),
        );
        cases.push(Case { finding, repair });
        cases
    }

    /// What left our wallets for its address after it was given back. Where it is not final, not the amount, or may be for
    /// another withdrawal of the same address, nobody knows yet whether it is paid twice.
    fn paid_by_something_else(&self, net: Amount) -> Option<Result<(&Outgoing, Amount), Case>> {
        let state = &self.evidence.replay.state;
        let found = unexplained(state, &Due::withdrawal(self.id.as_str(), self.withdrawal)?);
        let to_it = |sent: &Outgoing| {
            let mut parts = sent.transfers.iter().map(|one| (&one.to, one.value));
            parts.any(|(to, value)| *to == self.withdrawal.destination && value == net)
        };
        let first = found.first()?;
        let rivals = has_rivals(state, self.id.as_str(), self.withdrawal);
        if let Some(sent) = found.iter().find(|sent| sent.is_final && to_it(sent) && !rivals) {
            return Some(Ok((sent, net)));
        }
        let what = format!("it was given back, and {} since it was asked for: it may be paid twice", first.says());
        let finding = Finding {
            code: "WOX-BANK-TX-004".into(),
            outcome_unknown: true,
            ..self.finding(Severity::Critical, &what)
        };
        let repair = hold(
            "no event says what that transfer paid",
            format!(
                "stop paying from the wallet; say what it paid: append TxSigned or TxBroadcast with {tx} to the withdrawal it \
                 is of; where it was no payment of ours to a player, two people say so: wox recover transfer {tx} --second NAME \
                 --why WHAT-IT-PAID; else the player has the money twice: agree with them",
                tx = word(&first.tx)
            ),
        );
        Some(Err(Case { finding, repair }))
    }
}
