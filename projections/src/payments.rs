//! What became of what is due: its own slots and hashes, what else left our wallets, and what others were paid with, judged
//! together. The table (`verdict`) judges one slot; here is what all of them come to.

use wox_events::{
    Amount, TxHash,
    chain::{BlockId, SlotAnswer, TransactionAnswer, is_address},
    id::Label,
};

use crate::{
    burns::Burn,
    chain::Look,
    due::Due,
    explained::{
        FOUND_MAX, has_players_wallet, is_burned_together, is_used_up, named_for_it, pays_it, perhaps_pending,
        unexplained, unexplained_elsewhere,
    },
    outgoing::Outgoing,
    projection::EventRef,
    replay::Judgement,
    state::State,
    verdict::{
        WithdrawalVerdict,
        deposit::{Before, DepositVerdict},
        quorum::{Policy, Transfer},
        withdrawal::{self, Payment},
    },
    withdrawals::Withdrawal,
};

impl State {
    /// The verdict over all that is known of a withdrawal's payment, with the looks it rests on. `None` when nobody
    /// declared a chain.
    ///
    /// Its own slots prove that nothing can follow from them; what left our wallets otherwise and nothing explains may
    /// have paid it all the same, and then nobody knows.
    #[must_use]
    pub fn withdrawal_verdict(&self, id: &str, withdrawal: &Withdrawal) -> Option<Judgement> {
        self.verdict_of(&Due::withdrawal(id, withdrawal)?)
    }

    /// The same of a burn.
    #[must_use]
    pub fn burn_verdict(&self, id: &str, burn: &Burn) -> Option<Judgement> {
        self.verdict_of(&Due::burn(id, burn)?)
    }

    /// The same of whatever our wallets were to pay.
    #[must_use]
    pub fn verdict_of(&self, due: &Due<'_>) -> Option<Judgement> {
        let (verdict, mut looks) = self.verdict_of_slots(due)?;
        let paid = matches!(verdict, WithdrawalVerdict::Executed { .. });
        if let Some(token) = self.chain.token_gone_since(due.since).filter(|_| !paid) {
            let why = format!(
                "token {token} was taken out of the rules since it was asked for, and it may be paid in that: name it again (wox observe --change-rules)"
            );
            return Some((WithdrawalVerdict::Unknown { why }, looks));
        }
        if due.settled || verdict.rank() < 2 {
            return Some((verdict, looks));
        }
        // What is dead in one slot proves nothing of a slot that nobody journaled.
        if verdict.rank() > 2 && !self.sees_all(due) {
            let why = format!(
                "{}, {}; but its signer did not journal here when it was asked for, and nobody has seen all that was sent since",
                verdict.row(),
                verdict.says()
            );
            return Some((WithdrawalVerdict::Unknown { why }, looks));
        }
        let mut found = unexplained(self, due);
        let mut why = "to its address, and no event says what it paid";
        if found.is_empty() && matches!(verdict, WithdrawalVerdict::NotSent) {
            found = unexplained_elsewhere(self, due);
            why = "that could be its payment, and no event says what it paid";
        }
        if found.is_empty() && !verdict.is_alive() {
            found = named_for_it(self, due);
            why = "and is named for it, though its slots do not show it";
        }
        let Some(first) = found.first() else { return Some((verdict, looks)) };
        let more = match found.len() {
            1 => String::new(),
            FOUND_MAX => " and others".to_owned(),
            more => format!(" and {} more", more - 1),
        };
        let why = format!("{}{more}, {why}", first.says());
        looks.extend(found.iter().map(|sent| sent.event.clone()));
        Some((WithdrawalVerdict::Unknown { why }, looks))
    }

    /// Whether every payment of something that is due would be seen: its signer journaled here when it was asked for, or all
    /// that our wallets sent since is shown.
    #[must_use]
    pub fn sees_all(&self, due: &Due<'_>) -> bool {
        self.chain.is_journaled_since(due.since) || self.chain.scanned_since(due).is_some()
    }

    /// The verdict over its slots and hashes, with the looks it rests on.
    ///
    /// Every slot that was ever signed for it counts: one that paid settles it, and only when each is proven dead, nothing
    /// can follow. A payment without a slot of ours, such as the bank bot's, is paid when its transfer is final, and unknown
    /// until then (banking.md 8).
    fn verdict_of_slots(&self, due: &Due<'_>) -> Option<Judgement> {
        self.chain.policies().next()?;
        if !due.sent {
            return Some((withdrawal::unsigned(self.chain.is_journaled_since(due.since), false), Vec::new()));
        }
        let mut seen = Vec::new();
        let mut verdicts = Vec::new();
        for payment in due.slots.iter().filter(|slot| !self.is_misfiled(due, slot)) {
            let Some((verdict, look)) = self.slot_verdict(due, payment) else {
                let why = format!("nobody has looked at slot {} of {}", payment.nonce, payment.wallet);
                verdicts.push(WithdrawalVerdict::Unknown { why });
                continue;
            };
            seen.push(look.event.clone());
            verdicts.push(verdict);
        }
        let without_slot = due.asked.iter().filter(|tx| !due.slots.iter().any(|slot| slot.attempts.contains(tx)));
        for tx in without_slot.clone() {
            let looks = self.chain.policies().filter_map(|policy| self.chain.transaction(policy.chain, tx));
            seen.extend(looks.map(|look| look.event.clone()));
            if let Some((block, paid)) = self.paid_in_part(due, tx) {
                verdicts.push(WithdrawalVerdict::Anomaly { tx: tx.clone(), block, paid });
                continue;
            }
            let why = match self.did_not_pay(due, tx) {
                Some(says) => {
                    format!("{tx} was named without its slot, and did not pay it ({says}); another may be tried")
                }
                None if self.paid_without_slot(due, tx).is_some() => {
                    format!("{tx} was named without its slot, is final, and paid something else that names it")
                }
                None => match self.paid_by_a_stranger(due, tx) {
                    Some(from) => format!(
                        "{tx} was named without its slot, is final and pays it from {from}, which no rules name: if that is \
                         ours, name it in `wallets`"
                    ),
                    None => format!("{tx} was named without its slot, and its transfer is not final"),
                },
            };
            verdicts.push(WithdrawalVerdict::Unknown { why });
        }
        for tx in self.misjournaled(due) {
            let looks = self.chain.policies().filter_map(|policy| self.chain.transaction(policy.chain, tx));
            seen.extend(looks.map(|look| look.event.clone()));
            let verdict = self.hash_verdict(due, tx);
            verdicts.push(match verdict {
                Some(dead @ (WithdrawalVerdict::Reverted { .. } | WithdrawalVerdict::ForeignConsumer { .. })) => dead,
                _ => WithdrawalVerdict::Unknown {
                    why: format!("{tx} is of another slot than it was journaled for: it may have paid, or may yet"),
                },
            });
        }
        if due.asked_by_post && due.asked.is_empty() {
            verdicts.push(withdrawal::unsigned(true, true));
        }
        // What is final on chain, named for it, exactly what is due and nobody else's has paid it, whatever became of its slot.
        let mut named = due.slots.iter().flat_map(|slot| &slot.attempts).chain(without_slot);
        // Where the destination is no address, what went to a wallet that another player holds is no payment of this one.
        let anothers = |tx: &TxHash| {
            let sent = self.chain.outgoing().get(tx).filter(|_| !is_address(&due.to));
            sent.is_some_and(|sent| {
                let mut fitting = sent.transfers.iter().filter(|one| due.fits(one));
                fitting.all(|one| has_players_wallet(self, due, &one.to) == Some(false))
            })
        };
        let paid =
            |tx: &TxHash| self.paid_without_slot(due, tx).filter(|_| !is_used_up(self, due, tx) && !anothers(tx));
        if let Some((tx, (block, look))) = named.find_map(|tx| Some((tx, paid(tx)?))) {
            seen.push(look.event.clone());
            verdicts.push(WithdrawalVerdict::Executed { tx: tx.clone(), block });
        }
        let unknown =
            || WithdrawalVerdict::Unknown { why: "its payment was sent from a slot that is not recorded".into() };
        seen.sort();
        seen.dedup();
        Some((verdicts.into_iter().min_by_key(WithdrawalVerdict::rank).unwrap_or_else(unknown), seen))
    }

    /// What the newest look at a payment that is named without a slot of ours makes of it; `None` while nobody has looked.
    #[must_use]
    pub fn hash_verdict(&self, due: &Due<'_>, tx: &TxHash) -> Option<WithdrawalVerdict> {
        let look = self.chain.policies().find_map(|policy| self.chain.transaction(policy.chain, tx))?;
        if let Some((block, _)) = self.paid_without_slot(due, tx) {
            return Some(WithdrawalVerdict::Executed { tx: tx.clone(), block });
        }
        let before = Before { seen: look.seen.clone(), credited: false };
        Some(match self.chain.deposit_verdict(look, &before) {
            DepositVerdict::Pending { .. } | DepositVerdict::Detached => WithdrawalVerdict::PendingFinality,
            DepositVerdict::InPool => WithdrawalVerdict::Pending,
            DepositVerdict::Dropped | DepositVerdict::Reorged { .. } => WithdrawalVerdict::DroppedButValid,
            DepositVerdict::Replaced { by } => {
                WithdrawalVerdict::ForeignConsumer { tx: by, paid_destination: false, of: None }
            }
            DepositVerdict::Reverted { block } => WithdrawalVerdict::Reverted { tx: tx.clone(), block },
            DepositVerdict::NotADeposit { block, .. } | DepositVerdict::Confirmed { block, .. } => {
                WithdrawalVerdict::Anomaly { tx: tx.clone(), block, paid: Amount::ZERO }
            }
            DepositVerdict::FinalityViolation { .. } | DepositVerdict::Unknown { .. } => {
                WithdrawalVerdict::Unknown { why: "nobody can say what became of it".into() }
            }
        })
    }

    /// Whether a transaction that was journaled for a slot is of another: by a look at it, or by what took another slot of the
    /// same thing. A hash says its sender and its slot, and nobody can lie about it.
    fn is_of_another_slot(&self, due: &Due<'_>, slot: &Payment, tx: &TxHash) -> bool {
        let shown = self.chain.policies().find_map(|policy| self.chain.transaction(policy.chain, tx)?.sender.as_ref());
        let mined_in = |other: &Payment| match self.chain.payment_verdict(other) {
            Some((
                WithdrawalVerdict::Executed { tx: taken, .. }
                | WithdrawalVerdict::Reverted { tx: taken, .. }
                | WithdrawalVerdict::Anomaly { tx: taken, .. },
                _,
            )) => taken == *tx,
            _ => false,
        };
        let mut others = due.slots.iter().filter(|other| !other.is_same_slot(slot));
        shown.is_some_and(|(wallet, nonce)| (wallet, *nonce) != (&slot.wallet, slot.nonce)) || others.any(mined_in)
    }

    /// A slot with what was signed for it, without what was journaled for it by mistake.
    #[must_use]
    pub fn own_of(&self, due: &Due<'_>, slot: &Payment) -> Payment {
        let attempts = slot.attempts.iter().filter(|tx| !self.is_of_another_slot(due, slot, tx)).cloned().collect();
        Payment { attempts, ..slot.clone() }
    }

    /// Whether all that was journaled for a slot is of other slots: nothing is signed for this one.
    #[must_use]
    pub fn is_misfiled(&self, due: &Due<'_>, slot: &Payment) -> bool {
        !slot.attempts.is_empty() && self.own_of(due, slot).attempts.is_empty()
    }

    /// The slot that something was paid from; `None` of what was named without a slot of ours.
    #[must_use]
    pub fn paid_from<'a>(&self, due: &Due<'a>) -> Option<&'a Payment> {
        let tx = due.settled_by?;
        let journaled = || due.slots.iter().filter(|slot| slot.attempts.contains(tx));
        journaled().find(|slot| !self.is_of_another_slot(due, slot, tx))
    }

    /// What was journaled for a slot that is not its own, and for no other: it may have paid from there.
    fn misjournaled<'a>(&self, due: &Due<'a>) -> Vec<&'a TxHash> {
        let wrongly = |slot: &'a Payment| {
            slot.attempts.iter().filter(move |tx| self.is_of_another_slot(due, slot, tx)).collect::<Vec<_>>()
        };
        let rightly = |tx: &TxHash| {
            let mut slots = due.slots.iter().filter(|slot| slot.attempts.contains(tx));
            slots.any(|slot| !self.is_of_another_slot(due, slot, tx))
        };
        let mut found: Vec<_> = due.slots.iter().flat_map(wrongly).filter(|tx| !rightly(tx)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The verdict over one slot of what is due. One that something else of this log took is no stranger's, and what another
    /// was paid with is no payment of this one.
    #[must_use]
    pub fn slot_verdict(&self, due: &Due<'_>, slot: &Payment) -> Option<(WithdrawalVerdict, &Look<SlotAnswer>)> {
        let (verdict, look) = self.chain.payment_verdict(&self.own_of(due, slot))?;
        // A bump that was asked for and never journaled is taken by its address and amount; not where it is another's by name.
        let verdict = match verdict {
            WithdrawalVerdict::Executed { tx, .. }
                if !slot.attempts.contains(&tx) && self.chain.outgoing().is_named_for_another(due, &tx) =>
            {
                WithdrawalVerdict::ForeignConsumer { tx, paid_destination: true, of: None }
            }
            // The same bytes, signed for two things: they paid the one that is booked.
            WithdrawalVerdict::Executed { tx, .. } if !due.settled && is_used_up(self, due, &tx) => {
                WithdrawalVerdict::ForeignConsumer { tx, paid_destination: false, of: None }
            }
            // The signer burned it with other shares: what its slot shows alone is another sum.
            WithdrawalVerdict::Anomaly { tx, block, .. }
                if self.chain.outgoing().get(&tx).is_some_and(|sent| is_burned_together(self, due, sent)) =>
            {
                WithdrawalVerdict::Executed { tx, block }
            }
            WithdrawalVerdict::ForeignConsumer { of: None, .. } => {
                self.cancelled_through_another(due, slot).unwrap_or(verdict)
            }
            verdict => verdict,
        };
        let verdict = match self.chain.outgoing().signed_for_another(due, verdict) {
            WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of: of @ Some(_) } => {
                let pays = || self.chain.outgoing().get(&tx).is_none_or(|sent| pays_it(self, due, sent));
                let paid_destination = paid_destination && pays();
                WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of }
            }
            other => other,
        };
        Some((verdict, look))
    }

    /// That a slot was taken by our own cancel, which was asked for through another thing that was signed with the same bytes.
    fn cancelled_through_another(&self, due: &Due<'_>, slot: &Payment) -> Option<WithdrawalVerdict> {
        let others = slot.attempts.iter().flat_map(|tx| self.chain.outgoing().named_for(tx));
        others.filter(|stream| **stream != due.stream).find_map(|stream| {
            let other = Due::of(self, stream)?;
            let same = other.slots.iter().find(|same| (&same.wallet, same.nonce) == (&slot.wallet, slot.nonce))?;
            let (verdict, _) = self.chain.payment_verdict(same)?;
            matches!(verdict, WithdrawalVerdict::Cancelled { .. }).then_some(verdict)
        })
    }

    /// The block of a final transfer from a wallet that ever paid for us, of exactly what is due, to its address; or of one that
    /// burned it together with all other shares that name it.
    pub(crate) fn paid_without_slot(&self, due: &Due<'_>, tx: &TxHash) -> Option<(BlockId, &Look<TransactionAnswer>)> {
        due.amount?;
        let chain = &self.chain;
        let known = chain.outgoing().get(tx);
        // What was there before it was asked for, what two people called the payment of another thing, and what stayed ours
        // paid nothing of it, whoever names it.
        if known.is_some_and(|sent| due.since.rules_out(sent.first, sent.first_at))
            || chain.outgoing().explained(tx).is_some()
        {
            return None;
        }
        chain.policies().find_map(|policy| {
            let look = chain.transaction(policy.chain, tx)?;
            let (block, transfers) = chain.moved(policy, look)?;
            let ours = |transfer: &Transfer| chain.is_ours(&transfer.from) && !chain.is_ours(&transfer.to);
            let paid = transfers.iter().any(|transfer| ours(transfer) && due.fits(transfer));
            let together = || known.is_some_and(|sent| sent.is_final && is_burned_together(self, due, sent));
            (paid || together()).then_some((block, look))
        })
    }

    /// What a look at a transaction that is booked as the payment of something says otherwise: it is final, and did not pay
    /// it. `None` while it may have, or nobody has looked.
    #[must_use]
    pub fn did_not_pay(&self, due: &Due<'_>, tx: &TxHash) -> Option<String> {
        let look = self.chain.policies().find_map(|policy| self.chain.transaction(policy.chain, tx))?;
        if self.paid_without_slot(due, tx).is_some() || self.paid_by_a_stranger(due, tx).is_some() {
            return None;
        }
        match self.chain.deposit_verdict(look, &Before::default()) {
            verdict @ (DepositVerdict::Reverted { .. } | DepositVerdict::NotADeposit { .. }) => {
                Some(format!("{}, {}", verdict.row(), verdict.says()))
            }
            _ => None,
        }
    }

    /// The sender of a final transfer of exactly what is due to its address that is named for it, where that is an address
    /// nobody said is ours: a wallet that pays for us may be missing from the rules.
    #[must_use]
    pub fn paid_by_a_stranger(&self, due: &Due<'_>, tx: &TxHash) -> Option<Label> {
        let chain = &self.chain;
        if due.amount.is_none() || !is_address(&due.to) || chain.outgoing().explained(tx).is_some() {
            return None;
        }
        chain.policies().find_map(|policy| {
            let (_, transfers) = chain.moved(policy, chain.transaction(policy.chain, tx)?)?;
            transfers.into_iter().find(|one| due.fits(one) && !chain.is_ours(&one.from)).map(|one| one.from)
        })
    }

    /// What a transaction that is named for something paid its address, final, where that is not what is due: it is known,
    /// and neither the whole nor nothing goes back. Of a share only one that it could be in: the rest may be others'.
    fn paid_in_part(&self, due: &Due<'_>, tx: &TxHash) -> Option<(BlockId, Amount)> {
        let chain = &self.chain;
        if !is_address(&due.to) || chain.outgoing().explained(tx).is_some() || self.paid_without_slot(due, tx).is_some()
        {
            return None;
        }
        let sent = chain.outgoing().get(tx).filter(|sent| sent.is_final)?;
        let paid = Amount::checked_sum(sent.transfers.iter().filter(|one| one.to == due.to).map(|one| one.value))?;
        if paid.is_zero() || due.is_burn() && !pays_it(self, due, sent) {
            return None;
        }
        let block = |policy: &Policy| Some(chain.moved(policy, chain.transaction(policy.chain, tx)?)?.0);
        Some((chain.policies().find_map(block)?, paid))
    }

    /// Why a payment must not be made from a slot: something else has paid what is due, or still may. `None` where only this
    /// slot is left. To ask a signer about one slot is to pay, so all that the whole knows counts, not the slot alone.
    #[must_use]
    pub fn paid_otherwise(&self, due: &Due<'_>, slot: &Payment) -> Option<String> {
        let mut named = due.slots.iter().flat_map(|slot| &slot.attempts);
        if let Some(tx) = named.find(|tx| self.paid_without_slot(due, tx).is_some()) {
            return Some(format!("{tx} is final and paid it, whatever slot it was journaled for"));
        }
        if due.asked_by_post {
            return Some("the bank's bot was asked for it too, and its attempts are not ours to enumerate".into());
        }
        let without_slot = due.asked.iter().filter(|tx| !due.slots.iter().any(|slot| slot.attempts.contains(tx)));
        for tx in without_slot {
            if self.did_not_pay(due, tx).is_none() {
                return Some(format!("{tx} is named for it, and is not known to have failed"));
            }
        }
        let others = due.slots.iter().filter(|other| (&other.wallet, other.nonce) != (&slot.wallet, slot.nonce));
        for other in others.filter(|other| !self.is_misfiled(due, other)) {
            let which = format!("slot {} of {}", other.nonce, other.wallet);
            match self.slot_verdict(due, other) {
                None => return Some(format!("nobody has looked at {which}, from which it may be paid too")),
                Some((verdict, _)) if verdict.rank() < 3 => {
                    return Some(format!("{which} counts too: {}, {}", verdict.row(), verdict.says()));
                }
                Some(_) => {}
            }
        }
        // Without a journal another slot may have paid it that nobody here knows of; a bump takes the place of its own.
        let adds = self.slot_verdict(due, slot).is_none_or(|(verdict, _)| verdict != WithdrawalVerdict::Pending);
        if adds && !self.sees_all(due) {
            return Some(
                "its signer did not journal here when it was asked for, and nobody has seen all that was sent since"
                    .into(),
            );
        }
        let of_slot = |sent: &Outgoing| sent.sender.0 == slot.wallet && sent.sender.1 == slot.nonce;
        let own =
            |sent: &&Outgoing| (slot.attempts.contains(&sent.tx) || slot.cancels.contains(&sent.tx)) && of_slot(sent);
        let sent = unexplained(self, due).into_iter().chain(named_for_it(self, due)).find(|sent| !own(sent))?;
        Some(format!("{}, and no event says that it paid another thing", sent.says()))
    }

    /// The scans on which people may decide about a payment that nobody can prove (S5): asked of the bank's bot, or of
    /// nobody where the signer does not journal here; everything that our wallets sent is shown, and nothing of it paid or
    /// may still.
    #[must_use]
    pub fn scanned_without_payment(&self, due: &Due<'_>) -> Option<Vec<EventRef>> {
        let asked_elsewhere = due.asked_by_post || !due.asked.is_empty();
        let alive = || {
            due.slots.iter().any(|slot| {
                self.slot_verdict(due, slot).is_none_or(|(verdict, _)| verdict.is_alive() || verdict.rank() < 2)
            })
        };
        let stranger = || due.names().any(|tx| self.paid_by_a_stranger(due, tx).is_some());
        let perhaps_paid = || {
            stranger()
                || !unexplained(self, due).is_empty()
                || !named_for_it(self, due).is_empty()
                || perhaps_pending(self, due)
        };
        if due.sent && !asked_elsewhere || alive() || perhaps_paid() || self.named_may_land(due) {
            return None;
        }
        self.chain.scanned_since(due)
    }

    /// Whether a payment that is named without a slot of ours may still land: somebody has seen it, and its slot is not known
    /// to be used up.
    fn named_may_land(&self, due: &Due<'_>) -> bool {
        let asked = due.asked.iter().filter(|tx| !due.slots.iter().any(|slot| slot.attempts.contains(tx)));
        asked.filter(|tx| self.did_not_pay(due, tx).is_none()).any(|tx| {
            self.chain.policies().filter_map(|policy| Some((policy, self.chain.transaction(policy.chain, tx)?))).any(
                |(policy, look)| {
                    let Some((wallet, nonce)) = &look.sender else { return false };
                    let verdict = self.chain.deposit_verdict(look, &Before::default());
                    if matches!(verdict, DepositVerdict::Replaced { .. }) {
                        return false;
                    }
                    // Of a wallet that nobody named nobody scanned what it sent.
                    if !self.chain.outgoing().is_wallet(wallet) {
                        return !verdict.is_final();
                    }
                    self.chain.sent_finally(policy.chain, wallet).is_none_or(|finalized| finalized <= *nonce)
                },
            )
        })
    }

    /// Whether nothing can burn a share any more: by the proof of every slot that was signed for it; or, of one that
    /// nothing was ever signed for, by the journal, or where the signer keeps none here by scans of all that our wallets
    /// sent. Where no chain was ever declared only its own stream can speak.
    #[must_use]
    pub fn is_burn_dead(&self, id: &str, burn: &Burn) -> bool {
        let Some(due) = Due::burn(id, burn) else { return false };
        match self.verdict_of(&due) {
            Some((verdict, _)) => verdict.proof().is_some() || self.scanned_without_payment(&due).is_some(),
            None => !due.sent,
        }
    }
}
