//! Asking the signer to act on a slot that is still free (W8 to W10): send the identical bytes again, offer more, or
//! fence the slot off. Not found by looking, but asked for by a person and approved by another, because money can move.
//! The engine holds no key: a request is an event, and what came of it shows on chain, as W1 or W4.

use wox_events::{
    BurnEvent, EventId, Label, StreamId, TxHash, WithdrawalEvent,
    chain::{Fees, Intent, SlotAnswer},
};
use wox_projections::{
    burns::BurnPhase,
    chain::Look,
    due::Due,
    verdict::{WithdrawalVerdict, withdrawal::Payment},
    withdrawals::WithdrawalPhase,
};

use crate::{
    command::wox,
    procedures::{Steps, banking, hold, stopped},
    recovery::{Case, Evidence, Finding, Repair},
    rfc3339,
};

/// What is asked of the signer about every slot of a withdrawal or a burn that it can help.
#[must_use]
pub(super) fn cases(evidence: &Evidence, subject: &StreamId, intent: Intent, by: &Label, why: &str) -> Vec<Case> {
    let Some(owed) = Owed::of(evidence, subject) else { return Vec::new() };
    let asking = Asking { evidence, subject, owed, intent, by, why };
    match asking.closed() {
        Some(case) => vec![case],
        None => asking.cases(),
    }
}

/// What a signer is to pay or to burn.
struct Owed<'a> {
    says: String,
    /// What every id follows from where the request does not depend on a look.
    cause: Option<EventId>,
    open: bool,
    /// True once it is over: then only a slot that could pay it again is fenced.
    over: bool,
    settled_by: Option<&'a TxHash>,
    asked_by_post: bool,
    slots: &'a [Payment],
    is_burn: bool,
}

impl<'a> Owed<'a> {
    fn of(evidence: &'a Evidence, subject: &StreamId) -> Option<Owed<'a>> {
        let (state, id) = (&evidence.replay.state, subject.subject());
        match subject.category() {
            "withdrawal" => {
                let known = state.withdrawals.get(id)?;
                use WithdrawalPhase::{Failed, Held, InDoubt};
                Some(Owed {
                    says: format!("withdrawal {id} of {} G by player {}", known.amount, known.player),
                    cause: known.hold.as_ref().map(|hold| hold.event),
                    open: matches!(known.phase, Held | InDoubt | Failed),
                    over: matches!(known.phase, WithdrawalPhase::Settled | WithdrawalPhase::Released),
                    settled_by: known.settled_by.as_ref(),
                    asked_by_post: known.asked_by_post,
                    slots: &known.slots,
                    is_burn: false,
                })
            }
            "burn" => {
                let known = state.burns.get(id)?;
                Some(Owed {
                    says: format!("burn of {} G of withdrawal {id}", known.amount),
                    cause: Some(known.scheduled.id),
                    open: known.phase == BurnPhase::InDoubt,
                    over: matches!(known.phase, BurnPhase::Settled | BurnPhase::Cancelled),
                    settled_by: known.settled_by.as_ref(),
                    asked_by_post: false,
                    slots: &known.slots,
                    is_burn: true,
                })
            }
            _ => None,
        }
    }
}

struct Asking<'a> {
    evidence: &'a Evidence,
    subject: &'a StreamId,
    owed: Owed<'a>,
    intent: Intent,
    by: &'a Label,
    why: &'a str,
}

impl Asking<'_> {
    /// Why there is nothing to ask about any slot, where it is so.
    fn closed(&self) -> Option<Case> {
        let (subject, owed) = (self.subject, &self.owed);
        let held = |what: &str, why: &str, next: String| Some(self.case(what, hold(why, next)));
        if owed.slots.is_empty() && owed.asked_by_post {
            let next = "look at all that the paying wallet sent: wox observe wallet 0x… --from NONCE".into();
            return held("the bank's bot was asked for it", "the bot's slots are not ours to ask a signer about", next);
        }
        let may_help = owed.over && self.intent != Intent::Bump && !self.left().is_empty();
        if !(owed.open || may_help) || owed.slots.is_empty() {
            let next = format!("{} has its events", wox(["show", subject.as_str()]));
            return held("nothing of it waits for a signer", "no attempt of it can still be sent or outbid", next);
        }
        match self.intent {
            Intent::Fence => None,
            // Paying stands still; giving up a payment does not.
            // What went away is what money stands still for: sending it again ends that.
            Intent::Rebroadcast if owed.over => None,
            Intent::Rebroadcast | Intent::Bump => {
                stopped(self.evidence).map(|repair| self.case("a payment was asked for", repair))
            }
        }
    }

    /// The slots that can still do something. Where it is over: to be fenced, those that live; to be sent again, the one that
    /// paid it and went away.
    ///
    /// Each without what was journaled for it by mistake: nobody is asked about another slot.
    fn left(&self) -> Vec<Payment> {
        let state = &self.evidence.replay.state;
        let Some(due) = Due::of(state, self.subject) else { return Vec::new() };
        let wanted = |slot: &&Payment| {
            let paid = state.paid_from(&due).is_some_and(|paid| paid.is_same_slot(slot));
            let alive = || state.slot_verdict(&due, slot).is_none_or(|(verdict, _)| verdict.is_alive());
            !state.is_misfiled(&due, slot) && (!self.owed.over || (paid || self.intent == Intent::Fence) && alive())
        };
        due.slots.iter().filter(wanted).map(|slot| state.own_of(&due, slot)).collect()
    }

    fn cases(&self) -> Vec<Case> {
        self.left().iter().filter_map(|payment| self.about(payment)).collect()
    }

    fn about(&self, payment: &Payment) -> Option<Case> {
        let settled_by = self.owed.settled_by.filter(|tx| payment.attempts.contains(tx));
        let tx = settled_by.or(payment.attempts.last())?;
        let Payment { wallet, nonce, .. } = payment;
        let state = &self.evidence.replay.state;
        let due = Due::of(state, self.subject)?;
        let Some((verdict, look)) = state.slot_verdict(&due, payment) else {
            let what = format!("nobody has looked at slot {nonce} of {wallet}");
            let next = wox(["observe", self.subject.category(), self.subject.subject()]);
            return Some(self.case(&what, hold("what nobody has seen is not acted on", next)));
        };
        let what = format!("{}, {}", verdict.row(), verdict.says());
        Some(self.case(&what, self.request(payment, tx, &verdict, look)))
    }

    /// Why to ask for a payment could pay twice, and what ends that.
    fn paid_otherwise(&self, payment: &Payment) -> Option<Repair> {
        let state = &self.evidence.replay.state;
        let (what, id) = (self.subject.category(), self.subject.subject());
        if let Some(place) = self.evidence.replay.unseen_payment(self.subject) {
            let why = format!(
                "{place} is not in the state, and may be about another payment of it: to pay again could pay twice"
            );
            let next = format!("wox show {} shows it; the version of wox that wrote it can fold it", place.position);
            return Some(hold(why, next));
        }
        let due = Due::of(state, self.subject)?;
        let why = state.paid_otherwise(&due, payment)?;
        let unseen = !state.chain.is_journaled_since(due.since) && state.chain.scanned_since(&due).is_none();
        let next = match (banking::perhaps_paid(self.evidence, self.subject), unseen) {
            (Some(next), _) => next,
            (None, true) => {
                let then = format!("wox recover {what} {id} --{} --why REASON", self.intent);
                format!("{}; then {then}", banking::scans(state, &due))
            }
            (None, false) => format!(
                "wox explain {what} {id} shows all of it; what can still pay is given up first: wox recover {what} {id} \
                 --fence --why REASON"
            ),
        };
        Some(hold(format!("{why}: to pay again could pay twice"), next))
    }

    fn request(&self, payment: &Payment, tx: &TxHash, verdict: &WithdrawalVerdict, look: &Look<SlotAnswer>) -> Repair {
        let Payment { wallet, nonce, destination, amount, .. } = payment;
        let look_again = wox(["observe", self.subject.category(), self.subject.subject()]);
        if !verdict.permits(self.intent) {
            let (what, id) = (self.subject.category(), self.subject.subject());
            let next = banking::next(self.evidence, what, id, verdict, self.owed.slots);
            return hold(format!("in this state a {} helps nobody", self.intent), next);
        }
        if self.intent != Intent::Fence
            && let Some(repair) = self.paid_otherwise(payment)
        {
            return repair;
        }
        if let (Intent::Rebroadcast | Intent::Bump, Some(fence)) = (self.intent, payment.last_asked(Intent::Fence)) {
            let since = format!("{} asked for a fence at {}", fence.by, rfc3339::text(fence.at));
            return hold(format!("{since}: nobody pays from a slot that is to be fenced"), look_again);
        }
        let evidence = look.event.id;
        // A cancel that was signed is its answer; where that was dropped as well, it may be asked for once more.
        let fences = payment.asked.iter().filter(|asked| asked.intent == Intent::Fence).count();
        let answered = self.intent == Intent::Fence && payment.cancels.len() >= fences;
        let before = payment.last_asked(self.intent).filter(|_| !answered).filter(|asked| {
            // The same bytes may be dropped again; what is to be outbid is outbid once.
            let same_look = self.intent != Intent::Rebroadcast || asked.evidence == Some(evidence);
            asked.tx.as_ref() == Some(tx) && same_look
        });
        if let Some(asked) = before {
            let since = format!("{} asked for it at {}", asked.by, rfc3339::text(asked.at));
            return hold(format!("{since}, and the signer has not answered yet"), look_again);
        }
        let Some(stable) = self.owed.cause else {
            return hold("nothing was ever held for it", "find out who signed it; two people decide");
        };
        let at_least = match self.intent {
            Intent::Rebroadcast => None,
            Intent::Bump | Intent::Fence => payment.to_outbid(&look.answers),
        };
        let says = match self.intent {
            Intent::Rebroadcast => format!("have the signer send {tx} again, byte for byte (slot {nonce} of {wallet})"),
            Intent::Bump => format!(
                "have the signer sign {amount} G to {destination} for slot {nonce} of {wallet} again, {}",
                bid(at_least)
            ),
            Intent::Fence => {
                format!("have the signer spend slot {nonce} of {wallet} on nothing to itself, {}", bid(at_least))
            }
        };
        let cause = if self.intent == Intent::Rebroadcast { evidence } else { stable };
        let steps = Steps::on(self.evidence, self.subject.clone());
        let qualifier = match (self.intent, fences) {
            (Intent::Fence, 1..) => format!("{}:{wallet}:{nonce}:{tx}:{fences}", self.intent),
            _ => format!("{}:{wallet}:{nonce}:{tx}", self.intent),
        };
        match self.owed.is_burn {
            true => steps.add(cause, &qualifier, self.of_burn(payment, tx, at_least, evidence), says),
            false => steps.add(cause, &qualifier, self.of_withdrawal(payment, tx, at_least, evidence), says),
        }
        .repair()
    }

    fn of_withdrawal(
        &self,
        payment: &Payment,
        tx: &TxHash,
        at_least: Option<Fees>,
        evidence: EventId,
    ) -> WithdrawalEvent {
        let (wallet, nonce, tx) = (payment.wallet.clone(), payment.nonce, tx.clone());
        let (by, reason) = (self.by.clone(), self.why.to_owned());
        match self.intent {
            Intent::Rebroadcast => WithdrawalEvent::RebroadcastRequested { wallet, nonce, tx, evidence, by, reason },
            Intent::Bump => WithdrawalEvent::BumpRequested { wallet, nonce, tx, at_least, evidence, by, reason },
            Intent::Fence => {
                let (tx, evidence) = (Some(tx), Some(evidence));
                WithdrawalEvent::FenceRequested { wallet, nonce, tx, at_least, evidence, by, reason }
            }
        }
    }

    fn of_burn(&self, payment: &Payment, tx: &TxHash, at_least: Option<Fees>, evidence: EventId) -> BurnEvent {
        BurnEvent::BurnIntentRequested {
            intent: self.intent,
            wallet: payment.wallet.clone(),
            nonce: payment.nonce,
            tx: tx.clone(),
            at_least,
            evidence,
            by: self.by.clone(),
            reason: self.why.to_owned(),
        }
    }

    fn case(&self, what: &str, repair: Repair) -> Case {
        let (row, code) = match self.owed.is_burn {
            true => ("E1", "WOX-BANK-PRIZE-004"),
            false => ("R13", "WOX-BANK-VERIFY-003"),
        };
        let says = format!("{}: {what}", self.owed.says);
        let finding =
            Finding { outcome_unknown: self.owed.open, ..Finding::new("signer_intent", row, code, self.subject, says) };
        Case { finding, repair }
    }
}

/// What a new transaction has to offer, in words.
fn bid(at_least: Option<Fees>) -> String {
    match at_least {
        Some(Fees { max, priority }) => {
            format!("for at least {max} wei a unit of gas, {priority} of it for the sequencer")
        }
        None => "for a tenth more than any attempt offers (nobody has shown what they offer)".into(),
    }
}
