//! What a verdict about money on the chain rests on: the looks it follows from, source by source, with the digests of
//! their raw answers. The verdict is reached again from the recorded events alone, so that whoever has the log gets the
//! same one with no network. Pure: the looks are read elsewhere.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{
    ChainEvent, Digest, Event, Recorded, Timestamp, TxHash, WithdrawalId,
    chain::{SourceKind, Standing},
};
use wox_projections::{
    EventRef, Replay, State,
    chain::{before, judged},
    due::Due,
    explained::{unexplained, unexplained_elsewhere},
    verdict::{
        deposit,
        quorum::Policy,
        withdrawal::{self, Payment},
    },
};

use super::sources::{contradictions, of_scan, of_slot, of_transaction, voting};

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A transaction that was looked at as a deposit.
    Transaction {
        /// Chain id.
        chain: u64,
        /// Its hash.
        tx: TxHash,
    },
    /// A withdrawal.
    Withdrawal(String),
    /// A burn.
    Burn(String),
}

/// A verdict and everything that it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Grounds {
    /// What it is about.
    pub subject: String,
    /// The row of the decision table; empty when nobody has looked.
    pub row: String,
    /// What it means.
    pub says: String,
    /// How many sources must say the same, and who is asked.
    pub rules: Option<Rules>,
    /// The looks it rests on.
    pub looks: Vec<LookShown>,
    /// True when the recorded answers give the verdict that the log's fold has.
    pub reached_again: bool,
}

/// The rules that a chain is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rules {
    /// Chain id.
    pub chain: u64,
    /// How many sources must say the same.
    pub quorum: u32,
    /// The sources that may vote, by name.
    pub voters: Vec<String>,
    /// The tokens that are money of ours.
    pub tokens: Vec<String>,
}

/// One look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LookShown {
    /// Where it stands in the log.
    pub event: EventRef,
    /// When the sources were asked, in microseconds since 1970.
    pub at: Timestamp,
    /// What was looked at.
    pub of: String,
    /// The row of the decision table that it alone comes to.
    pub row: String,
    /// What that means.
    pub says: String,
    /// What each source said.
    pub sources: Vec<SourceSaid>,
    /// False while fewer vote than the rules want.
    pub enough: bool,
    /// Every source that contradicts what enough others show, in one sentence.
    pub contradictions: Vec<String>,
}

/// What one source said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceSaid {
    /// The source.
    pub source: String,
    /// Who runs it.
    pub operator: String,
    /// Whether it counts among those that vote; whether these are enough the look says.
    pub votes: bool,
    /// Its newest block.
    pub latest: Option<u64>,
    /// Its newest final block.
    pub finalized: Option<u64>,
    /// Of all its raw answers.
    pub digest: Digest,
    /// What it said, in one sentence.
    pub says: String,
}

/// The looks that a verdict rests on, as the log has them. `None` when the log knows nothing of the subject.
#[must_use]
pub fn looks(state: &State, subject: &Subject) -> Option<Vec<EventRef>> {
    Some(match subject {
        Subject::Transaction { chain, tx } => vec![state.chain.transaction(*chain, tx)?.event.clone()],
        Subject::Withdrawal(id) => payment_looks(state, &Due::withdrawal(id, state.withdrawals.get(id)?)?),
        Subject::Burn(id) => payment_looks(state, &Due::burn(id, state.burns.get(id)?)?),
    })
}

/// The looks at what was to be paid: at its slots, at the hashes that were named, at what may have paid it otherwise.
fn payment_looks(state: &State, due: &Due<'_>) -> Vec<EventRef> {
    let chain = &state.chain;
    let slots = due.slots.iter().filter_map(|slot| Some(chain.payment_verdict(slot)?.1.event.clone()));
    let named = due
        .asked
        .iter()
        .flat_map(|tx| chain.policies().filter_map(|rules| Some(chain.transaction(rules.chain, tx)?.event.clone())));
    let perhaps = unexplained(state, due).into_iter().chain(unexplained_elsewhere(state, due));
    let mut looks: Vec<EventRef> = slots.chain(named).chain(perhaps.map(|sent| sent.event.clone())).collect();
    if due.asked_by_post || !due.sent {
        looks.extend(chain.scans().flat_map(|scan| scan.looks.iter().cloned()));
    }
    looks.sort();
    looks.dedup();
    looks
}

/// The verdict about a subject, reached from the looks that were read. `None` when the log knows nothing of it.
#[must_use]
pub fn grounds(replay: &Replay, subject: &Subject, read: &[Recorded]) -> Option<Grounds> {
    let state = &replay.state;
    let chain = &state.chain;
    let (name, verdict, rules) = match subject {
        Subject::Transaction { chain: id, tx } => {
            let judged = judged(state).into_iter().find(|judged| judged.look.event == chain_look(state, *id, tx))?;
            (tx.to_string(), Some((judged.verdict.row(), judged.verdict.says())), chain.policy(*id))
        }
        Subject::Withdrawal(id) => {
            let judged = replay.withdrawal_verdict(&WithdrawalId::new(id).ok()?, state.withdrawals.get(id)?);
            let verdict = judged.map(|(verdict, _)| (verdict.row(), verdict.says()));
            (format!("withdrawal-{id}"), verdict, chain.policies().next())
        }
        Subject::Burn(id) => {
            let judged = replay.burn_verdict(id, state.burns.get(id)?);
            let verdict = judged.map(|(verdict, _)| (verdict.row(), verdict.says()));
            (format!("burn-{id}"), verdict, chain.policies().next())
        }
    };
    let payments: Vec<&Payment> = match subject {
        Subject::Transaction { .. } => Vec::new(),
        Subject::Withdrawal(id) => state.withdrawals.get(id)?.slots.iter().collect(),
        Subject::Burn(id) => state.burns.get(id)?.slots.iter().collect(),
    };
    let shown: Vec<(LookShown, bool)> =
        read.iter().filter_map(|event| shown(state, rules?, subject, &payments, event)).collect();
    let reached_again = shown.iter().all(|(_, same)| *same);
    let (row, says) = verdict.unwrap_or(("", "nobody has looked at it".into()));
    Some(Grounds {
        subject: name,
        row: row.into(),
        says,
        rules: rules.map(Rules::of),
        looks: shown.into_iter().map(|(look, _)| look).collect(),
        reached_again,
    })
}

fn chain_look(state: &State, chain: u64, tx: &TxHash) -> EventRef {
    let look = state.chain.transaction(chain, tx);
    look.map(|look| look.event.clone()).expect("whoever asks has looked it up")
}

impl Rules {
    fn of(policy: &Policy) -> Rules {
        let nodes = policy.sources.iter().filter(|source| source.kind == SourceKind::Node);
        Rules {
            chain: policy.chain,
            quorum: policy.quorum,
            voters: nodes.map(|source| source.name.to_string()).collect(),
            tokens: policy.tokens.iter().map(ToString::to_string).collect(),
        }
    }
}

/// One look with its verdict, and whether the fold has the same one.
fn shown(
    state: &State,
    policy: &Policy,
    subject: &Subject,
    payments: &[&Payment],
    event: &Recorded,
) -> Option<(LookShown, bool)> {
    let Ok(Event::Chain(seen)) = &event.event else { return None };
    let chain = &state.chain;
    let look = |at: &Timestamp, of: String, row: &str, says: String, (sources, enough): (Vec<SourceSaid>, bool)| {
        let contradictions = match seen {
            ChainEvent::TransactionLooked { answers, .. } => contradictions(policy, *at, answers),
            _ => Vec::new(),
        };
        LookShown { event: EventRef::of(event), at: *at, of, row: row.into(), says, sources, enough, contradictions }
    };
    Some(match seen {
        ChainEvent::TransactionLooked { tx, at, answers, .. } => {
            let sources = said(policy, *at, answers, |said| &said.standing, |said| of_transaction(policy, said));
            let of = format!("transaction {tx}");
            if !matches!(subject, Subject::Transaction { .. }) {
                // Of the bank's bot only the transfer counts, to whomever.
                let moved = deposit::final_transfers(policy, *at, answers);
                let says = match &moved {
                    Some((block, transfers)) => {
                        let paid = transfers.iter().map(|one| format!("{} G to {}", one.value, one.to));
                        format!("final in block {}: {}", block.number, paid.collect::<Vec<_>>().join(", "))
                    }
                    None => "no transfer of it is final".to_owned(),
                };
                return Some((look(at, of, if moved.is_some() { "W1" } else { "W11" }, says, sources), true));
            }
            let known = chain.transaction(policy.chain, tx)?;
            let deposits = state.deposits.by_transaction();
            let deposits = deposits.get(format!("{}:{tx}", policy.chain).as_str()).cloned().unwrap_or_default();
            let before = before(known, &deposits);
            let again = deposit::verdict(policy, *at, answers, &before);
            let same = chain.deposit_verdict(known, &before) == again;
            (look(at, of, again.row(), again.says(), sources), same)
        }
        ChainEvent::SlotLooked { wallet, nonce, at, answers, .. } => {
            let sources = said(policy, *at, answers, |said| &said.standing, |said| of_slot(policy, said));
            let payment = payments.iter().find(|payment| payment.wallet == *wallet && payment.nonce == *nonce)?;
            let again = withdrawal::verdict(policy, *at, answers, payment);
            let same = chain.payment_verdict(payment).is_some_and(|(verdict, _)| verdict == again);
            (look(at, format!("slot {nonce} of {wallet}"), again.row(), again.says(), sources), same)
        }
        ChainEvent::WalletScanned { wallet, from_nonce, at, answers, .. } => {
            let sources = said(policy, *at, answers, |said| &said.standing, of_scan);
            let says = match withdrawal::segment(policy, *at, *from_nonce, answers) {
                Some(shown) => format!("{} slots in a row with {} transfers", shown.slots, shown.transfers().count()),
                None => "something is missing, or sources disagree".into(),
            };
            (look(at, format!("what {wallet} sent from slot {from_nonce} on"), "S5", says, sources), true)
        }
        _ => return None,
    })
}

fn said<T>(
    policy: &Policy,
    at: Timestamp,
    answers: &[T],
    standing: impl Fn(&T) -> &Standing,
    says: impl Fn(&T) -> String,
) -> (Vec<SourceSaid>, bool) {
    let standings: Vec<&Standing> = answers.iter().map(&standing).collect();
    let (voting, enough) = voting(policy, at, &standings);
    let one = |(index, answer)| {
        let Standing { source, latest, finalized, digest, .. } = standing(answer);
        let operator = policy.sources.iter().find(|declared| declared.name == *source);
        SourceSaid {
            source: source.to_string(),
            operator: operator.map(|declared| declared.operator.to_string()).unwrap_or_default(),
            votes: voting.contains(&index),
            latest: latest.found().map(|head| head.number),
            finalized: finalized.found().map(|head| head.number),
            digest: *digest,
            says: says(answer),
        }
    };
    (answers.iter().enumerate().map(one).collect(), enough)
}
