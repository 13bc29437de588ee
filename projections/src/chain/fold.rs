//! How events of the chain are judged and taken in.

use wox_events::{
    ChainEvent, Recorded, Timestamp, TxHash,
    chain::{self, Consumer},
    id::{Label, is_same_person},
};

use super::{
    Adjusted, Chain, ChangedRules, Closed, Confirmation, Contradiction, Kept, Look,
    scans::{Counted, Scan},
};
use crate::{
    outgoing::Sent,
    projection::{EventRef, Projection, Rejection},
    verdict::{
        deposit,
        quorum::{Policy, Transfer, transfers},
        withdrawal,
    },
};

impl Projection for Chain {
    type Event = ChainEvent;
    const NAME: &'static str = "chain";

    fn check(&self, at: &Recorded, event: &ChainEvent) -> Result<(), Rejection> {
        let subject = at.stream.subject();
        let same = |expected: String| Rejection::same("stream", &expected.as_str(), &subject);
        match event {
            ChainEvent::ChainPolicyDeclared { chain, quorum, .. } => {
                same(chain.to_string())?;
                if *quorum == 0 {
                    return Err(Rejection::state("the quorum", "0", "1 or more"));
                }
                // A wallet has a slot of the same number on every chain: one log is about one chain.
                if let Some(known) = self.policies.keys().find(|known| *known != chain) {
                    return Rejection::same("chain", known, chain);
                }
                match self.policies.get(chain) {
                    Some(known) if known.genesis.as_str() != genesis(event) => {
                        Rejection::same("genesis", &known.genesis.as_str(), &genesis(event))
                    }
                    _ => Ok(()),
                }
            }
            ChainEvent::TransactionLooked { chain, tx, .. } => same(format!("{chain}:tx:{tx}")),
            ChainEvent::SlotLooked { chain, wallet, nonce, .. } => same(format!("{chain}:slot:{wallet}:{nonce}")),
            ChainEvent::WalletScanned { chain, wallet, .. } => same(format!("{chain}:wallet:{wallet}")),
            ChainEvent::HoldingsLooked { chain, .. } => same(chain.to_string()),
            // What it says is a fact, whatever it said before.
            ChainEvent::BankConfirmed { tx, .. } => match chain::is_of_looks(&at.stream) {
                true => {
                    let chain = subject.split(':').next().unwrap_or_default();
                    same(format!("{chain}:bank:{tx} or {chain}"))
                }
                false => Ok(()),
            },
            ChainEvent::HoldingsAdjustmentReversed { token, amount, corrects, .. } => {
                let known = self.adjustments.iter().find(|known| known.event.id == *corrects);
                let Some(known) = known else { return Err(Rejection::unknown("adjustment", corrects)) };
                Rejection::same("token", &known.token, token)?;
                Rejection::same("amount", &known.amount, amount)
            }
            ChainEvent::TransferExplained { chain, tx, first, second, .. } => {
                same(chain.to_string())?;
                let what = || format!("transfer {tx}");
                if is_same_person(first, second) {
                    return Err(Rejection::state(what(), "explained by one person", "explained by two"));
                }
                match self.outgoing.get(tx) {
                    Some(sent) if !sent.is_final => Err(Rejection::state(what(), "not final", "final")),
                    _ if self.outgoing.explained(tx).is_some() => Err(Rejection::exists("explanation of", tx)),
                    // A sweep of a watched address pays nobody, and is explained like a payment.
                    None if self.moved_by_us(tx).is_none() => {
                        Err(Rejection::unknown("transfer out of our wallets", tx))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            ChainEvent::FinalityRestored { deposit, violation, first, second, .. } => {
                if is_same_person(first, second) {
                    return Err(Rejection::state(
                        format_args!("deposit {deposit}"),
                        "decided by one person",
                        "decided by two",
                    ));
                }
                match self.violations.get(deposit.as_str()).or_else(|| self.lost.get(deposit.as_str())) {
                    Some(known) => Rejection::same("violation", &known.id, violation),
                    None => Err(Rejection::unknown("violation of", deposit)),
                }
            }
            ChainEvent::HoldingsAdjusted { amount, .. } if amount.is_zero() => {
                Err(Rejection::state(format_args!("adjustment {}", at.id), "zero", "an amount"))
            }
            ChainEvent::FinalityViolation { .. }
            | ChainEvent::DoublePayment { .. }
            | ChainEvent::HoldingsAdjusted { .. }
            | ChainEvent::ReconciliationDrift { .. } => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &ChainEvent) {
        let (subject, here) = (at.stream.subject().to_owned(), EventRef::of(at));
        match event {
            ChainEvent::ChainPolicyDeclared {
                chain,
                genesis,
                quorum,
                sources,
                tokens,
                watched,
                wallets,
                minimum,
                finalized_age_max,
                journaled,
            } => {
                let policy = Policy {
                    chain: *chain,
                    genesis: genesis.clone(),
                    quorum: *quorum,
                    sources: sources.clone(),
                    tokens: tokens.clone(),
                    watched: watched.clone(),
                    wallets: wallets.clone(),
                    minimum: *minimum,
                    finalized_age_max: *finalized_age_max,
                    journaled: *journaled,
                };
                self.note_rules(&policy, at);
                let new = self.outgoing.declare(wallets, watched);
                for (token, gone) in &mut self.tokens {
                    *gone = if tokens.contains(token) { None } else { gone.or(Some(at.position)) };
                }
                for token in tokens {
                    self.tokens.entry(token.clone()).or_default();
                }
                match journaled {
                    true => drop(self.journaled_since.entry(*chain).or_insert((at.position, at.time))),
                    false => drop(self.journaled_since.remove(chain)),
                }
                if self.policies.get(chain) != Some(&policy) {
                    self.declared.insert(*chain, at.position);
                }
                self.policies.insert(*chain, policy);
                self.look_back(&new);
            }
            ChainEvent::TransactionLooked { chain, tx, at: asked, answers } => {
                let mut look = look(*chain, tx.as_str(), 0, *asked, answers, here);
                let before = self.transactions.get(&subject);
                look.seen = before.and_then(|before| self.still_seen(before));
                let known = answers.iter().find_map(|said| said.transaction.found());
                look.sender = known
                    .map(|known| (known.from.clone(), known.nonce))
                    .or_else(|| before.and_then(|before| before.sender.clone()));
                let closed = self.policies.get(chain).and_then(|policy| deposit::Closed::of(policy, *asked, answers));
                // By rules that one person made nothing is forgotten, whatever a quorum of them shows.
                let agreed = self.may_forget(*chain);
                match (self.policies.get(chain), closed.as_ref().filter(|_| agreed)) {
                    (None, _) => {}
                    (Some(policy), None) => {
                        for said in answers {
                            if let Some(shown) = said.transaction.found() {
                                self.outgoing.note(policy, shown, said.receipt.found(), (&look.event, *asked));
                            }
                        }
                    }
                    // Beyond change: what a quorum shows, and nothing else.
                    (Some(_), Some(closed)) => {
                        match (
                            closed.moved(),
                            answers.iter().find_map(|said| said.transaction.found().filter(|shown| shown.tx == *tx)),
                        ) {
                            (Some((_, moved)), Some(shown)) => {
                                self.outgoing.note_final(Sent::of(shown), moved, (&look.event, *asked));
                            }
                            _ => self.outgoing.forget(tx),
                        }
                    }
                }
                self.close(&mut look, closed.map(|closed| Kept::Transaction(Box::new(closed))));
                self.transactions.insert(subject, look);
            }
            ChainEvent::SlotLooked { chain, wallet, nonce, at: asked, answers } => {
                let mut look = look(*chain, wallet.as_str(), *nonce, *asked, answers, here);
                let policy = self.policies.get(chain);
                let taken = policy.and_then(|policy| withdrawal::Taken::of(policy, *asked, (wallet, *nonce), answers));
                if let Some(policy) = policy {
                    for said in answers {
                        let taken = said.slot.found().and_then(|slot| slot.consumer.found());
                        if let Some(Consumer::Transaction { transaction, receipt, .. }) = taken {
                            self.outgoing.note(policy, transaction, receipt.found(), (&look.event, *asked));
                        }
                    }
                    match taken.as_ref().filter(|_| self.may_forget(*chain)) {
                        Some(withdrawal::Taken::By(found)) => {
                            self.outgoing.note_final(
                                Sent::of(&found.0),
                                transfers(policy, &found.1),
                                (&look.event, *asked),
                            );
                        }
                        Some(withdrawal::Taken::Unsigned(_)) => self.outgoing.forget_slot(wallet, *nonce),
                        None => {}
                    }
                }
                self.close(&mut look, taken.map(Kept::Slot));
                self.slots.insert(subject, look);
            }
            ChainEvent::WalletScanned { chain, wallet, from_nonce, at: asked, answers } => {
                let policy = self.policies.get(chain);
                let segment = policy.and_then(|policy| withdrawal::segment(policy, *asked, *from_nonce, answers));
                let agreed = self.may_forget(*chain);
                for (policy, said) in policy.iter().flat_map(|policy| answers.iter().map(move |said| (policy, said))) {
                    for slot in &said.slots {
                        if let Some(Consumer::Transaction { transaction, receipt, .. }) = slot.found() {
                            self.outgoing.note(policy, transaction, receipt.found(), (&here, *asked));
                        }
                    }
                }
                for (nonce, taken) in (*from_nonce..).zip(segment.iter().filter(|_| agreed).flat_map(|it| &it.taken)) {
                    match taken {
                        Some((transaction, moved)) => {
                            self.outgoing.note_final(Sent::of(transaction), moved.clone(), (&here, *asked));
                        }
                        None => self.outgoing.forget_slot(wallet, nonce),
                    }
                }
                let under = self.declared.get(chain).copied();
                let goes_on = |scan: &Scan| scan.until == *from_nonce && scan.under == under;
                let begun = self.scans.get(&subject).filter(|scan| goes_on(scan)).cloned();
                let mut scan = begun.unwrap_or_else(|| Scan {
                    wallet: wallet.clone(),
                    from: *from_nonce,
                    until: *from_nonce,
                    finalized: None,
                    transfers: Vec::new(),
                    covers: None,
                    shows_all: false,
                    at: *asked,
                    looks: Vec::new(),
                    under,
                });
                (scan.finalized, scan.covers, scan.shows_all) = (None, None, false);
                if let Some(segment) = segment {
                    let counts = self.counts.entry(subject.clone()).or_default();
                    if agreed && counts.last().is_none_or(|known| known.sent < segment.finalized) {
                        counts.push(Counted { position: at.position, at: *asked, sent: segment.finalized });
                    }
                    (scan.covers, scan.shows_all) = (Some(segment.covers), segment.shows_all);
                    scan.until = from_nonce.saturating_add(segment.slots);
                    scan.finalized = Some(segment.finalized);
                    scan.transfers.extend(segment.transfers());
                    scan.at = *asked;
                    scan.looks.push(here);
                }
                self.scans.insert(subject, scan);
            }
            ChainEvent::HoldingsLooked { chain, token, block, at: asked, answers } => {
                let key = format!("{chain}:{token}");
                self.holdings.insert(key, look(*chain, token.as_str(), *block, *asked, answers, here));
            }
            ChainEvent::BankConfirmed { tx, player, post } => {
                let (player, post) = (player.clone(), post.clone());
                match self.confirmations.get_mut(tx) {
                    None => {
                        let first = Confirmation { player, post, others: Vec::new() };
                        self.confirmations.insert(tx.clone(), first);
                    }
                    Some(known) => {
                        let new = known.player != player && known.others.iter().all(|other| other.player != player);
                        known.others.extend(new.then_some(Contradiction { player, post, event: here }));
                    }
                }
            }
            ChainEvent::FinalityViolation { deposit, .. } => {
                self.violations.insert(deposit.to_string(), here);
            }
            ChainEvent::TransferExplained { tx, .. } => self.outgoing.explain(tx, here),
            ChainEvent::FinalityRestored { deposit, stands, .. } => {
                self.violations.shift_remove(deposit.as_str());
                match stands {
                    true => drop(self.lost.shift_remove(deposit.as_str())),
                    false => drop(self.lost.insert(deposit.to_string(), here)),
                }
            }
            ChainEvent::DoublePayment { withdrawal, .. } => {
                self.double_payments.insert(withdrawal.clone(), here);
            }
            ChainEvent::ReconciliationDrift { token, .. } => {
                self.drifts.insert(token.to_string(), here);
            }
            ChainEvent::HoldingsAdjusted { token, amount, .. } => {
                self.adjusted = self.adjusted.checked_add(*amount).expect("the ledger bounds everything that comes in");
                self.adjustments.push(Adjusted { token: token.clone(), amount: *amount, event: here });
            }
            ChainEvent::HoldingsAdjustmentReversed { amount, corrects, .. } => {
                self.adjusted = self.adjusted.saturating_sub(*amount);
                self.adjustments.retain(|known| known.event.id != *corrects);
            }
        }
    }
}

impl Chain {
    /// By rules that one person made, or that name fewer tokens than rules before, nothing is forgotten, whatever a quorum of
    /// them shows: they do not see all that moved.
    fn may_forget(&self, chain: u64) -> bool {
        !self.changed.contains_key(&chain) && self.tokens.values().all(Option::is_none)
    }

    /// Takes in what was looked at before addresses were known to be ours: what they had sent had left us.
    pub(super) fn look_back(&mut self, new: &[Label]) {
        let sent = |moved: &[Transfer]| moved.iter().any(|one| new.contains(&one.from));
        for look in self.transactions.values().filter(|_| !new.is_empty()) {
            let (Ok(tx), at) = (TxHash::new(look.subject.as_str()), (&look.event, look.at)) else { continue };
            match (look.closed.as_ref().map(|closed| &closed.kept), &look.sender) {
                (Some(Kept::Transaction(closed)), Some((from, nonce))) => {
                    if let Some((_, moved)) = closed.moved().filter(|(_, moved)| sent(moved)) {
                        self.outgoing.note_final(Sent { tx: &tx, from, nonce: *nonce }, moved, at);
                    }
                }
                _ => {
                    let Some(policy) = self.policies.get(&look.chain) else { continue };
                    for said in &look.answers {
                        if let Some(shown) = said.transaction.found() {
                            self.outgoing.note(policy, shown, said.receipt.found(), at);
                        }
                    }
                }
            }
        }
    }

    /// Takes in who declares rules: a change stands alone until somebody else declares the same, or the old ones are back.
    fn note_rules(&mut self, policy: &Policy, at: &Recorded) {
        let Some(known) = self.policies.get(&policy.chain) else { return };
        let before = self.changed.get(&policy.chain);
        let agreed = before.map_or_else(|| Box::new(known.clone()), |before| before.agreed.clone());
        let seconded = before.is_some_and(|before| known == policy && !is_same_person(&before.by, &at.actor));
        if *agreed == *policy || seconded {
            self.changed.remove(&policy.chain);
        } else if known != policy {
            let changed = ChangedRules { by: at.actor.clone(), event: EventRef::of(at), agreed };
            self.changed.insert(policy.chain, changed);
        }
    }

    /// Keeps of a look that is beyond change what a verdict can need.
    fn close<T>(&self, look: &mut Look<T>, kept: Option<Kept>) {
        if let (Some(kept), Some(under)) = (kept, self.declared.get(&look.chain)) {
            look.closed = Some(Closed { under: *under, kept });
            look.answers = Vec::new();
        }
    }
}

fn look<T: Clone>(chain: u64, subject: &str, number: u64, at: Timestamp, answers: &[T], event: EventRef) -> Look<T> {
    let subject = Label::new(subject).expect("it was an identity in the event");
    Look { chain, subject, number, at, answers: answers.to_vec(), closed: None, seen: None, sender: None, event }
}

fn genesis(event: &ChainEvent) -> &str {
    match event {
        ChainEvent::ChainPolicyDeclared { genesis, .. } => genesis.as_str(),
        _ => "",
    }
}
