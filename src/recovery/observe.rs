//! Looking at the chain and recording what was seen, as events: a verdict rests on the log and never on a connection. A
//! look is recorded when it changes what follows; asked again with the same result, nothing is appended. Decides nothing:
//! what a look means is the business of the procedures.

use std::collections::{BTreeMap, BTreeSet};

use wox_events::{
    Actor, ChainEvent, Digest, Event, EventId, NewEvent, Position, Provenance, Revision, StreamId, Timestamp, TxHash,
    chain::{self, TransactionAnswer},
    id::{Label, is_same_person},
    record::JsonError,
};
use wox_projections::{
    Replay, State,
    burns::BurnPhase,
    chain::{Look, before},
    deposits::{Deposit, DepositPhase},
    due::Due,
    verdict::{
        DepositVerdict, HoldingsVerdict, WithdrawalVerdict, deposit::Before, quorum::Policy, withdrawal::Payment,
    },
    withdrawals::WithdrawalPhase,
};

use crate::{
    audit::sources::contradictions,
    log::{AppendError, AppendRequest, EventLog, ReadError},
    world::chain::{AtBlock, Network, SlotSubject, TransactionSubject},
};

/// What is to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Transactions.
    pub transactions: BTreeSet<TxHash>,
    /// Payments and burns, by slot.
    pub payments: Vec<Payment>,
    /// Wallets, with the first slot: all they sent from there on.
    pub wallets: Vec<(Label, u64)>,
    /// The same of wallets that are watched: nothing sent is no news.
    pub watched: Vec<(Label, u64)>,
    /// What our addresses hold.
    pub holdings: bool,
    /// True when only what is news, open or unknown is told.
    pub quiet: bool,
}

/// What was seen of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The stream it is recorded in.
    pub stream: StreamId,
    /// The row of the decision table; empty where there is none.
    pub row: &'static str,
    /// What it means, in one sentence.
    pub says: String,
    /// True when nobody can say.
    pub unknown: bool,
    /// True while a later look can say otherwise.
    pub open: bool,
    /// True when it was news and is in the log now.
    pub recorded: bool,
    /// True when a source contradicts what the others show.
    pub contradicted: bool,
}

/// Why nothing, or not everything, was recorded.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The rules are not those of the log.
    #[error("chain {chain} is judged by other rules in this log than in the settings")]
    OtherRules {
        /// Chain id.
        chain: u64,
    },
    /// The log is about another chain.
    #[error("this log is about chain {known}, and the settings are about chain {chain}")]
    OtherChain {
        /// The chain of the log.
        known: u64,
        /// The chain of the settings.
        chain: u64,
    },
    /// The stream of the rules is held: what is declared would count for nothing.
    #[error("{stream} is held since position {position}: what is written behind that counts for nothing")]
    Held {
        /// The stream.
        stream: StreamId,
        /// The event that holds it.
        position: Position,
    },
    /// The rules that the log has could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not take an event.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// An event could not be written as JSON.
    #[error("what was seen cannot be written as JSON")]
    Json(#[from] JsonError),
}

impl Targets {
    /// Everything that may still change: deposits on their way, payments and burns that nobody has confirmed, transfers
    /// that the bank's bot named.
    #[must_use]
    pub fn open(state: &State) -> Targets {
        let mut targets = Targets::default();
        let open = state.deposits.iter().filter(|(_, deposit)| {
            matches!(
                deposit.phase,
                DepositPhase::Observed | DepositPhase::Attributed | DepositPhase::Reorged | DepositPhase::Replaced
            )
        });
        targets.transactions.extend(
            open.filter_map(|(subject, deposit)| transaction_of(deposit.reference.as_deref().unwrap_or(subject))),
        );
        let unclaimed = state.chain.confirmations().map(|(tx, _)| tx);
        let waiting = state.chain.transactions().filter_map(|look| TxHash::new(look.subject.as_str()).ok());
        let deposits = state.deposits.by_transaction();
        for tx in unclaimed.cloned().chain(waiting) {
            let over = is_settled(state, &tx) || is_booked(state, &deposits, &tx);
            targets.transactions.extend((!over).then_some(tx));
        }
        let tried = |phase| matches!(phase, WithdrawalPhase::InDoubt | WithdrawalPhase::Failed);
        let withdrawals = state.withdrawals.iter().filter(|(_, known)| tried(known.phase));
        let withdrawals = withdrawals.filter_map(|(id, known)| Due::withdrawal(id.as_str(), known));
        let burns = state.burns.iter().filter(|(_, burn)| burn.phase == BurnPhase::InDoubt);
        let burns = burns.filter_map(|(id, burn)| Due::burn(id.as_str(), burn));
        for due in withdrawals.chain(burns) {
            targets.payments.extend(own_slots(state, &due));
            targets.transactions.extend(due.asked.iter().cloned());
        }
        let over = |phase| matches!(phase, WithdrawalPhase::Settled | WithdrawalPhase::Released);
        let withdrawals = state.withdrawals.iter().filter(|(_, known)| over(known.phase));
        let withdrawals = withdrawals.filter_map(|(id, known)| Due::withdrawal(id.as_str(), known));
        let ended = |phase| matches!(phase, BurnPhase::Settled | BurnPhase::Cancelled);
        let burns = state.burns.iter().filter(|(_, burn)| ended(burn.phase));
        let burns = burns.filter_map(|(id, burn)| Due::burn(id.as_str(), burn));
        for due in withdrawals.chain(burns) {
            targets.payments.extend(own_slots(state, &due).filter(|slot| may_pay_again(state, &due, slot)));
        }
        targets.watched = watched(state);
        targets
    }

    /// All that can be looked at about one stream, closed or not.
    #[must_use]
    pub fn of_stream(state: &State, stream: &StreamId) -> Targets {
        let mut targets = Targets::default();
        let subject = stream.subject();
        match stream.category() {
            "deposit" => {
                let reference = state.deposits.get(subject).and_then(|deposit| deposit.reference.as_deref());
                targets.transactions.extend(transaction_of(reference.unwrap_or(subject)));
            }
            "withdrawal" | "burn" => {
                // A withdrawal goes back only together with its burn.
                let withdrawal = || Due::withdrawal(subject, state.withdrawals.get(subject)?);
                let burn = || Due::burn(subject, state.burns.get(subject)?);
                for due in withdrawal().filter(|_| stream.category() == "withdrawal").into_iter().chain(burn()) {
                    targets.payments.extend(own_slots(state, &due));
                    targets.transactions.extend(due.asked.iter().cloned());
                    // What is of another slot than it was journaled for is looked at by its hash.
                    let own: Vec<TxHash> = own_slots(state, &due).flat_map(|slot| slot.attempts).collect();
                    let named = due.slots.iter().flat_map(|slot| &slot.attempts);
                    targets.transactions.extend(named.filter(|tx| !own.contains(tx)).cloned());
                }
            }
            _ => {}
        }
        targets
    }

    /// And what was shown final since a time: that its block went away all the same (D10) is found by nobody who does not look
    /// again.
    #[must_use]
    pub fn and_final_since(mut self, state: &State, since: Timestamp) -> Targets {
        let looks = state.chain.transactions().filter(|look| look.at >= since);
        self.transactions.extend(looks.filter_map(|look| TxHash::new(look.subject.as_str()).ok()));
        let withdrawals = state.withdrawals.iter().flat_map(|(_, known)| &known.slots);
        let slots = withdrawals.chain(state.burns.iter().flat_map(|(_, known)| &known.slots));
        let shown = |slot: &&Payment| state.chain.payment_verdict(slot).is_some_and(|(_, look)| look.at >= since);
        let more: Vec<_> = slots.filter(shown).filter(|slot| !self.payments.contains(slot)).cloned().collect();
        self.payments.extend(more);
        Targets { quiet: true, ..self }
    }

    /// And what has to be seen before a withdrawal goes back of which the slots do not say what became of it: all that our
    /// wallets sent (S5). A scan of yesterday says nothing of today.
    #[must_use]
    pub fn and_all_sent(self, state: &State, withdrawal: &StreamId) -> Targets {
        let id = withdrawal.subject();
        let share = || {
            let known = state.withdrawals.get(id).filter(|_| withdrawal.category() == "burn")?;
            Due::share(id, known)
        };
        let due = Due::of(state, withdrawal).or_else(share).filter(|due| !due.settled);
        let Some(due) = due else { return self };
        let wallets = state.chain.outgoing().wallets();
        let wallets = wallets.map(|wallet| (wallet.clone(), state.chain.scan_from(&due, wallet))).collect();
        let elsewhere = due.asked_by_post || !due.asked.is_empty();
        match (elsewhere || !state.chain.is_journaled_since(due.since), due.sent) {
            (true, _) => Targets { wallets, ..self },
            // Its journal proves it; a payment that it hides is worth a look all the same, and only that is worth an event.
            (false, false) => Targets { watched: wallets, ..self },
            (false, true) => self,
        }
    }

    /// True when there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Targets { transactions, payments, wallets, watched, holdings, quiet: _ } = self;
        transactions.is_empty() && payments.is_empty() && wallets.is_empty() && watched.is_empty() && !holdings
    }
}

/// What our wallets send on, where something went back on a scan of all they had sent: it has no slot that could be watched.
fn watched(state: &State) -> Vec<(Label, u64)> {
    let released = state.withdrawals.iter().filter(|(_, known)| known.phase == WithdrawalPhase::Released);
    let released = released.filter_map(|(id, known)| Due::withdrawal(id.as_str(), known));
    let called_off = state.burns.iter().filter(|(_, burn)| burn.phase == BurnPhase::Cancelled);
    let called_off = called_off.filter_map(|(id, burn)| Due::burn(id.as_str(), burn));
    let on_a_scan = |due: &Due<'_>| {
        let elsewhere = due.asked_by_post || !due.asked.is_empty();
        elsewhere || !due.sent && !state.chain.is_journaled_since(due.since)
    };
    let over: Vec<Due<'_>> = released.chain(called_off).filter(on_a_scan).collect();
    let from = |wallet: &Label| over.iter().map(|due| state.chain.scan_from(due, wallet)).min();
    state.chain.outgoing().wallets().filter_map(|wallet| Some((wallet.clone(), from(wallet)?))).collect()
}

/// The slots of something that is due, without what was journaled for one by mistake: that is looked at by its hash.
fn own_slots<'a>(state: &'a State, due: &'a Due<'a>) -> impl Iterator<Item = Payment> {
    due.slots.iter().filter(|slot| !state.is_misfiled(due, slot)).map(|slot| state.own_of(due, slot))
}

/// Whether a slot of something that is over has to be looked at: it did not pay it and may, or it paid and that went away.
fn may_pay_again(state: &State, due: &Due<'_>, slot: &Payment) -> bool {
    let paid = state.paid_from(due).is_some_and(|paid| paid.is_same_slot(slot));
    match state.slot_verdict(due, slot) {
        Some((verdict, look)) => {
            look.closed.is_none() && verdict.is_alive() || matches!(verdict, WithdrawalVerdict::Unknown { .. }) && !paid
        }
        None => !paid,
    }
}

/// The transaction in a deposit's reference `<chain>:<tx>:<ordinal>`.
fn transaction_of(reference: &str) -> Option<TxHash> {
    let tx = reference.split(':').nth(1)?;
    TxHash::new(tx).ok().filter(|tx| tx.as_str().starts_with("0x") && tx.as_str().len() == 66)
}

/// Whether money of a transaction is in the ledger already: other rules do not make it a question again.
fn is_booked(state: &State, deposits: &BTreeMap<&str, Vec<(&str, &Deposit)>>, tx: &TxHash) -> bool {
    let mut known =
        state.chain.policies().filter_map(|policy| deposits.get(format!("{}:{tx}", policy.chain).as_str())).flatten();
    known.any(|(_, deposit)| deposit.is_booked())
}

/// Every transaction that was signed for a withdrawal or a burn.
#[must_use]
pub fn attempts(state: &State) -> BTreeSet<TxHash> {
    let withdrawals = state.withdrawals.iter().flat_map(|(_, withdrawal)| &withdrawal.slots);
    let burns = state.burns.iter().flat_map(|(_, burn)| &burn.slots);
    withdrawals.chain(burns).flat_map(|slot| slot.attempts.iter().chain(&slot.cancels)).cloned().collect()
}

/// Whether nothing more can come of a transaction that somebody asked about.
fn is_settled(state: &State, tx: &TxHash) -> bool {
    state.chain.policies().any(|policy| {
        state.chain.transaction(policy.chain, tx).is_some_and(|look| {
            matches!(
                state.chain.deposit_verdict(look, &Default::default()),
                DepositVerdict::Confirmed { .. }
                    | DepositVerdict::Reverted { .. }
                    | DepositVerdict::NotADeposit { .. }
                    | DepositVerdict::Replaced { .. }
            )
        })
    })
}

/// Makes sure that the log judges the chain by these rules. The first declaration is recorded; another one only when
/// somebody asks for the change, and once more when somebody else agrees to it.
pub async fn declare(
    log: &dyn EventLog,
    replay: &Replay,
    rules: &Policy,
    change: bool,
    by: &Actor,
    now: Timestamp,
) -> Result<bool, ObserveError> {
    if let Some(known) = replay.state.chain.policies().find(|known| known.chain != rules.chain) {
        return Err(ObserveError::OtherChain { known: known.chain, chain: rules.chain });
    }
    let rules = &as_declared(log, rules).await?;
    match replay.state.chain.policy(rules.chain) {
        Some(known) if known == rules => {
            let mut changed = replay.state.chain.changed_rules();
            let seconds = changed.any(|(chain, one)| chain == rules.chain && !is_same_person(&one.by, by));
            if !(change && seconds) {
                return Ok(false);
            }
        }
        Some(_) if !change => return Err(ObserveError::OtherRules { chain: rules.chain }),
        Some(_) | None => {}
    }
    let rules = rules.clone();
    let declared = ChainEvent::ChainPolicyDeclared {
        chain: rules.chain,
        genesis: rules.genesis,
        quorum: rules.quorum,
        sources: rules.sources,
        tokens: rules.tokens,
        watched: rules.watched,
        wallets: rules.wallets,
        minimum: rules.minimum,
        finalized_age_max: rules.finalized_age_max,
        journaled: rules.journaled,
    };
    let stream = chain::stream(rules.chain);
    if let Some(held) = replay.held().get(&stream) {
        return Err(ObserveError::Held { stream, position: held.since.position });
    }
    let deposits = BTreeMap::new();
    let mut recorder = Recorder { log, replay, by, now, deposits, revisions: BTreeMap::new() };
    recorder.append(stream, declared, Provenance::Recovery).await?;
    Ok(true)
}

/// The rules as the log has them, where it has the same in another order: in which order the settings list them says nothing.
async fn as_declared(log: &dyn EventLog, rules: &Policy) -> Result<Policy, ObserveError> {
    let events = log.read_stream(&chain::stream(rules.chain)).await?;
    let declared = events.iter().rev().filter_map(|event| match event.decode().event {
        Ok(Event::Chain(event)) => declared(&event),
        _ => None,
    });
    let mut same = declared.filter(|declared| ordered(declared) == ordered(rules));
    Ok(same.next().unwrap_or_else(|| rules.clone()))
}

/// The rules that an event declares.
#[must_use]
pub fn declared(event: &ChainEvent) -> Option<Policy> {
    let ChainEvent::ChainPolicyDeclared {
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
    } = event.clone()
    else {
        return None;
    };
    Some(Policy { chain, genesis, quorum, sources, tokens, watched, wallets, minimum, finalized_age_max, journaled })
}

/// Rules with everything that they list in one order, each once.
fn ordered(rules: &Policy) -> Policy {
    fn sorted<T: Ord + Clone>(all: &[T]) -> Vec<T> {
        all.iter().cloned().collect::<BTreeSet<T>>().into_iter().collect()
    }
    Policy {
        sources: sorted(&rules.sources),
        tokens: sorted(&rules.tokens),
        watched: sorted(&rules.watched),
        wallets: sorted(&rules.wallets),
        ..rules.clone()
    }
}

/// Looks, and records what changes anything. The replay is the log as it stands, with the rules declared.
pub async fn observe(
    log: &dyn EventLog,
    network: &Network,
    replay: &Replay,
    policy: &Policy,
    targets: &Targets,
    by: &Actor,
    now: Timestamp,
) -> Result<Vec<Seen>, ObserveError> {
    let deposits = replay.state.deposits.by_transaction();
    let mut recorder = Recorder { log, replay, by, now, deposits, revisions: BTreeMap::new() };
    let mut seen = Vec::new();
    // What won a slot from a deposit is a transaction to look at too (D7).
    let mut wanted: Vec<TxHash> = targets.transactions.iter().cloned().collect();
    let mut looked: BTreeSet<TxHash> = BTreeSet::new();
    while !wanted.is_empty() {
        let subjects: Vec<TransactionSubject> = wanted.iter().map(|tx| recorder.subject(policy, tx)).collect();
        let answers = network.look_at_transactions(&subjects).await;
        looked.extend(wanted.drain(..));
        for (subject, answers) in subjects.iter().zip(answers) {
            let (found, winner) = recorder.transaction(policy, &subject.tx, answers).await?;
            seen.push(found);
            wanted.extend(winner.filter(|winner| !looked.contains(winner)));
        }
    }
    let subjects: Vec<SlotSubject> = targets
        .payments
        .iter()
        .map(|payment| SlotSubject {
            wallet: payment.wallet.clone(),
            nonce: payment.nonce,
            attempts: payment.attempts.iter().chain(&payment.cancels).cloned().collect(),
        })
        .collect();
    let answers = network.look_at_slots(&subjects).await;
    let mut unsigned = BTreeSet::new();
    // What was journaled for one slot and is shown in another is looked at by itself.
    let mut moved = BTreeSet::new();
    for (payment, answers) in targets.payments.iter().zip(answers) {
        let elsewhere = wox_projections::verdict::withdrawal::signed_elsewhere(&answers, payment);
        moved.extend(elsewhere.map(|shown| shown.tx.clone()).filter(|tx| !looked.contains(tx)));
        let (found, verdict) = recorder.slot(policy, payment, answers).await?;
        seen.push(found);
        if let WithdrawalVerdict::ConsumedOtherwise { block } = verdict {
            unsigned.insert(block.number);
        }
    }
    // What used a slot up unsigned may have moved our tokens all the same (W6): it is a transaction of that block.
    for block in unsigned {
        let found = network.find_transfers(block, Some(block)).await.unwrap_or_default();
        let stream = chain::stream(policy.chain);
        if !found.complete {
            let says = format!("unknown: nobody could say what moved our tokens in block {block}");
            seen.push(Seen {
                stream,
                row: "W6",
                says,
                unknown: true,
                open: true,
                recorded: false,
                contradicted: false,
            });
        }
        moved.extend(found.transactions.into_iter().filter(|tx| !looked.contains(tx)));
    }
    let subjects: Vec<TransactionSubject> = moved.iter().map(|tx| recorder.subject(policy, tx)).collect();
    for (subject, answers) in subjects.iter().zip(network.look_at_transactions(&subjects).await) {
        seen.push(recorder.transaction(policy, &subject.tx, answers).await?.0);
    }
    let watched = targets.watched.iter().filter(|(wallet, _)| targets.wallets.iter().all(|(other, _)| other != wallet));
    let scans = targets.wallets.iter().map(|asked| (asked, true)).chain(watched.map(|watched| (watched, false)));
    for ((wallet, from_nonce), asked) in scans {
        // Part by part: an event holds what every source says of each slot, and is bounded.
        let part = (SCAN_ANSWERS_MAX / policy.sources.len().max(1)).clamp(1, SCAN_TOGETHER);
        let mut scan = Scanned { from: *from_nonce, until: *from_nonce, transfers: 0 };
        let mut most = part;
        loop {
            let answers = network.scan(wallet, scan.until, most).await;
            let (found, goes_on) = recorder.scan(policy, wallet, &mut scan, (answers, asked)).await?;
            // What a busy wallet sent since the final block is shown in one piece or not at all.
            let tail = (SCAN_TAIL_MAX / policy.sources.len().max(1)).max(part);
            if found.open && !goes_on && most < tail {
                most = tail;
                continue;
            }
            if !goes_on || scan.until - scan.from >= SCAN_MAX {
                seen.push(found);
                break;
            }
        }
    }
    if targets.holdings {
        let mut addresses: Vec<Label> = policy.watched.iter().chain(&policy.wallets).cloned().collect();
        addresses.sort();
        addresses.dedup();
        // All tokens at one block: what is owed is owed in them together.
        let mut at = AtBlock::Final { quorum: policy.quorum };
        for token in &policy.tokens {
            let looked = network.look_at_holdings(token, &addresses, at).await;
            if let Some((number, _)) = &looked {
                at = AtBlock::Number(*number);
            }
            seen.push(recorder.holdings(policy, token, looked).await?);
        }
    }
    let told = |seen: &Seen| !targets.quiet || seen.recorded || seen.open || seen.unknown || seen.contradicted;
    Ok(seen.into_iter().map(|seen| as_far_as_read(replay, seen)).filter(told).collect())
}

/// What stands in a stream that is held is in no state: whatever was seen, nothing follows from it.
fn as_far_as_read(replay: &Replay, seen: Seen) -> Seen {
    let Some(held) = replay.held().get(&seen.stream) else { return seen };
    let position = held.since.position;
    let says = format!(
        "{}; but {} is held since position {position}, so nothing follows from it: wox recover event {position} --why REASON",
        seen.says, seen.stream
    );
    Seen { says, unknown: true, open: true, ..seen }
}

/// Most slots of one run; the next one goes on where it ended.
const SCAN_MAX: u64 = 10_000;
/// Most slots of one event, and most answers: about a thousand bytes each.
const SCAN_TOGETHER: usize = 32;
const SCAN_ANSWERS_MAX: usize = 150;
/// Most answers about what is not final yet.
const SCAN_TAIL_MAX: usize = 600;

/// How far a scan has come.
struct Scanned {
    from: u64,
    until: u64,
    transfers: usize,
}

/// Appends looks, each in its own stream.
struct Recorder<'a> {
    log: &'a dyn EventLog,
    replay: &'a Replay,
    by: &'a Actor,
    now: Timestamp,
    /// The deposits of each transaction.
    deposits: BTreeMap<&'a str, Vec<(&'a str, &'a Deposit)>>,
    /// Streams that this run has appended to.
    revisions: BTreeMap<StreamId, Revision>,
}

impl<'a> Recorder<'a> {
    fn deposits_of(&self, policy: &Policy, tx: &TxHash) -> Vec<(&'a str, &'a Deposit)> {
        self.deposits.get(format!("{}:{tx}", policy.chain).as_str()).cloned().unwrap_or_default()
    }

    /// What is known of a transaction before it is looked at.
    fn subject(&self, policy: &Policy, tx: &TxHash) -> TransactionSubject {
        let chain = &self.replay.state.chain;
        let look = chain.transaction(policy.chain, tx);
        let deposits = self.deposits_of(policy, tx);
        let booked = deposits.iter().find(|(_, deposit)| deposit.is_booked()).or(deposits.first());
        let seen = booked
            .and_then(|(_, deposit)| deposit.block.clone())
            .or_else(|| look.and_then(|look| chain.still_seen(look)));
        let sender = look.and_then(|look| look.sender.clone());
        TransactionSubject { tx: tx.clone(), seen, sender }
    }

    async fn transaction(
        &mut self,
        policy: &Policy,
        tx: &TxHash,
        answers: Vec<TransactionAnswer>,
    ) -> Result<(Seen, Option<TxHash>), ObserveError> {
        let state = &self.replay.state;
        let known = state.chain.transaction(policy.chain, tx);
        let deposits = self.deposits_of(policy, tx);
        let judge = |look: &Look<TransactionAnswer>| state.chain.deposit_verdict(look, &before(look, &deposits));
        let look = Look {
            chain: policy.chain,
            subject: Label::new(tx.as_str()).expect("a hash is an identity"),
            number: 0,
            at: self.now,
            answers: answers.clone(),
            closed: None,
            seen: known.and_then(|known| state.chain.still_seen(known)),
            sender: None,
            event: known.map_or_else(placeholder, |known| known.event.clone()),
        };
        let verdict = judge(&look);
        // A block that went away hides what has become of the transaction since, and two people decide on that (D10).
        let since = |look: &Look<TransactionAnswer>| state.chain.deposit_verdict(look, &Before::default());
        let news = known.is_none_or(|known| judge(known) != verdict || since(known) != since(&look));
        let stream = chain::transaction_stream(policy.chain, tx).unwrap_or_else(|| chain::stream(policy.chain));
        // What one source says against the others moves no verdict; whoever looks is told.
        let against = contradictions(policy, self.now, &answers);
        let contradicted = !against.is_empty();
        if news {
            let event = ChainEvent::TransactionLooked { chain: policy.chain, tx: tx.clone(), at: self.now, answers };
            self.append(stream.clone(), event, Provenance::Observed).await?;
        }
        let winner = match &verdict {
            DepositVerdict::Replaced { by } => Some(by.clone()),
            _ => None,
        };
        let unknown = matches!(verdict, DepositVerdict::Unknown { .. });
        let open = !verdict.is_final();
        let says = std::iter::once(verdict.says()).chain(against).collect::<Vec<_>>().join("; ");
        Ok((Seen { stream, row: verdict.row(), says, unknown, open, recorded: news, contradicted }, winner))
    }

    async fn slot(
        &mut self,
        policy: &Policy,
        payment: &Payment,
        answers: Vec<chain::SlotAnswer>,
    ) -> Result<(Seen, WithdrawalVerdict), ObserveError> {
        let (chain, wallet, nonce) = (policy.chain, payment.wallet.clone(), payment.nonce);
        let verdict = wox_projections::verdict::withdrawal::verdict(policy, self.now, &answers, payment);
        let before = self.replay.state.chain.payment_verdict(payment).map(|(before, _)| before);
        let news = before.is_none_or(|before| before != verdict);
        let stream = chain::slot_stream(chain, &wallet, nonce).unwrap_or_else(|| chain::stream(chain));
        if news {
            let event = ChainEvent::SlotLooked { chain, wallet, nonce, at: self.now, answers };
            self.append(stream.clone(), event, Provenance::Observed).await?;
        }
        let unknown = matches!(verdict, WithdrawalVerdict::Unknown { .. });
        let (row, says) = (verdict.row(), verdict.says());
        let seen = Seen { stream, row, says, unknown, open: unknown, recorded: news, contradicted: false };
        Ok((seen, verdict))
    }

    /// Records one part of a scan, where it was asked for or shows that something was sent; true when the next one has more to
    /// show.
    async fn scan(
        &mut self,
        policy: &Policy,
        wallet: &Label,
        scan: &mut Scanned,
        (answers, asked): (Vec<chain::ScanAnswer>, bool),
    ) -> Result<(Seen, bool), ObserveError> {
        let from_nonce = scan.until;
        let shown = wox_projections::verdict::withdrawal::segment(policy, self.now, from_nonce, &answers);
        let end = shown.as_ref().map(|shown| (from_nonce.saturating_add(shown.slots), shown.finalized));
        let shows_all = shown.as_ref().is_some_and(|shown| shown.shows_all);
        if let Some(shown) = &shown {
            scan.until = from_nonce.saturating_add(shown.slots);
            scan.transfers += shown.transfers().count();
        }
        let complete = end.is_some_and(|(until, finalized)| until >= finalized);
        let behind = shown.as_ref().and_then(|shown| shown.behind.first());
        let says = match (behind, end) {
            (Some(behind), _) => format!(
                "{behind} does not know of all that another source calls final of {wallet}: look again; where it stays so one \
                 of them is wrong"
            ),
            (None, Some((until, finalized))) if until < finalized => format!(
                "{wallet} is shown from slot {} up to {until} of {finalized}: wox observe wallet {wallet} --from {until}",
                scan.from
            ),
            (None, Some(_)) if !shows_all => format!(
                "{wallet} sent {} transfers from slot {} on that are final, and what it sent since is not all shown: look again",
                scan.transfers, scan.from
            ),
            (None, Some(_)) => {
                format!("{wallet} sent {} transfers from slot {} on, none missing", scan.transfers, scan.from)
            }
            (None, None) => {
                format!("what {wallet} sent from slot {from_nonce} on is not complete, or sources disagree")
            }
        };
        let stream = chain::wallet_stream(policy.chain, wallet).unwrap_or_else(|| chain::stream(policy.chain));
        let news = asked || answers.iter().any(|said| !said.slots.is_empty());
        let event = ChainEvent::WalletScanned {
            chain: policy.chain,
            wallet: wallet.clone(),
            from_nonce,
            at: self.now,
            answers,
        };
        if news {
            self.append(stream.clone(), event, Provenance::Observed).await?;
        }
        let goes_on = scan.until > from_nonce && !complete;
        let open = !(complete && shows_all);
        Ok((Seen { stream, row: "S5", says, unknown: open, open, recorded: news, contradicted: false }, goes_on))
    }

    async fn holdings(
        &mut self,
        policy: &Policy,
        token: &Label,
        looked: Option<(u64, Vec<chain::HoldingsAnswer>)>,
    ) -> Result<Seen, ObserveError> {
        let stream = chain::stream(policy.chain);
        let seen = |row, says, unknown, recorded| Seen {
            stream: stream.clone(),
            row,
            says,
            unknown,
            open: unknown,
            recorded,
            contradicted: false,
        };
        let Some((block, answers)) = looked else {
            return Ok(seen(
                "R14",
                format!("unknown: no source names a final block, so nobody says what we hold of {token}"),
                true,
                false,
            ));
        };
        let verdict = wox_projections::verdict::holdings::verdict(policy, self.now, block, &answers);
        let event =
            ChainEvent::HoldingsLooked { chain: policy.chain, token: token.clone(), block, at: self.now, answers };
        let known =
            self.replay.state.chain.holdings().find(|look| look.chain == policy.chain && look.subject == *token);
        let news = known.is_none_or(|known| self.replay.state.chain.holdings_verdict(known) != verdict);
        if news {
            self.append(stream.clone(), event, Provenance::Observed).await?;
        }
        Ok(match verdict {
            HoldingsVerdict::Held { block, total } => seen(
                "R14",
                format!("our addresses hold {total} G of {token} at final block {}", block.number),
                false,
                news,
            ),
            HoldingsVerdict::Unknown { why } => seen("R14", format!("unknown: {why}"), true, news),
        })
    }

    async fn append(
        &mut self,
        stream: StreamId,
        event: ChainEvent,
        provenance: Provenance,
    ) -> Result<(), ObserveError> {
        let known = self.revisions.get(&stream).copied();
        let expected = known.unwrap_or_else(|| self.replay.revision(&stream));
        let (kind, version, data) = Event::from(event).encode()?;
        let place = expected.0.to_string();
        let event = NewEvent {
            // The same answer at the same place is the same event: asked twice in a race, recorded once.
            id: EventId::derived(&[
                "wox/look",
                stream.as_str(),
                &place,
                &Digest::of(data.as_str().as_bytes()).to_string(),
            ]),
            kind,
            version,
            time: self.now,
            actor: self.by.clone(),
            causation: None,
            correlation: None,
            provenance,
            rules: 1,
            data,
        };
        self.log.append(AppendRequest { stream: stream.clone(), expected, events: vec![event] }).await?;
        self.revisions.insert(stream, Revision(expected.0 + 1));
        Ok(())
    }
}

/// The place of a look that is not in the log yet; no verdict depends on it.
fn placeholder() -> wox_projections::EventRef {
    wox_projections::EventRef {
        position: wox_events::Position(0),
        stream: chain::stream(0),
        revision: Revision::NO_STREAM,
        id: EventId::derived(&["wox/look", "not recorded"]),
    }
}
