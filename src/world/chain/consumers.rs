//! What took a slot, found positively: the transaction itself with its receipt and block, or the block in which the
//! wallet's count rose without one. "The receipt is null" is never taken for an answer (banking.md 4.2).

use std::collections::BTreeMap;

use wox_events::{
    chain::{Answer, Consumer, Fault, SlotUse, Transaction},
    id::Label,
};

use super::{Interest, ask, parse, standing::Session, transport::Call};

/// A wallet's slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) wallet: Label,
    pub(super) nonce: u64,
}

/// Probes of one round of the search for a block: 15 cut a range into 16.
const PROBES: u64 = 15;

/// Questions about one slot in the first round: three counts, and what took it.
pub(super) const QUESTIONS: usize = 4;

/// The first questions about a slot.
pub(super) fn questions(slot: &Slot) -> [Call; QUESTIONS] {
    let Slot { wallet, nonce } = slot;
    [
        ask::count(wallet, "latest"),
        ask::count(wallet, "pending"),
        ask::count(wallet, "finalized"),
        ask::consumer(wallet, *nonce),
    ]
}

/// What one source says of one slot while it is being asked.
struct Looking {
    slot: Slot,
    latest: Answer<u64>,
    pending: Answer<u64>,
    finalized: Answer<u64>,
    named: Answer<Transaction>,
    found: Answer<Consumer>,
}

/// Up to which block what took a slot is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upto {
    /// The newest final one: a verdict rests on nothing else.
    Final,
    /// The newest: what may become final is there to be seen.
    Newest,
}

/// Completes what a source said to the first questions, slot by slot.
pub(super) async fn complete(
    session: &mut Session<'_>,
    slots: &[Slot],
    said: &[Answer<serde_json::Value>],
    interest: &Interest,
    upto: Upto,
) -> BTreeMap<Slot, Answer<SlotUse>> {
    let mut looking: Vec<Looking> =
        slots.iter().zip(said.chunks(QUESTIONS)).map(|(slot, said)| begin(slot, said)).collect();
    for look in looking.iter_mut().filter(|look| is_spent(look, upto)) {
        if let Answer::Null {} | Answer::Error { class: Fault::Unsupported } = look.named {
            look.named = search(session, &look.slot, &mut look.found, upto).await;
        }
    }
    let mut calls = Vec::new();
    let mut asked = Vec::new();
    for (index, look) in looking.iter().enumerate().filter(|(_, look)| is_spent(look, upto)) {
        let Some(transaction) = look.named.found() else { continue };
        let Some(block) = &transaction.block else { continue };
        calls.extend([ask::receipt(&transaction.tx), ask::block(block.number, false)]);
        asked.push((index, transaction.clone(), block.number));
    }
    let answers = session.ask(&calls).await;
    for ((index, transaction, number), said) in asked.into_iter().zip(answers.chunks(2)) {
        let [receipt, block] = said else { continue };
        looking[index].found = Answer::Found(Consumer::Transaction {
            receipt: ask::read(receipt, |value| parse::receipt_of(value, &transaction, interest)),
            block: ask::read(block, |value| parse::membership(value, number, &transaction.tx)),
            transaction,
        });
    }
    looking.into_iter().map(|look| (look.slot.clone(), finish(look, upto))).collect()
}

fn begin(slot: &Slot, said: &[Answer<serde_json::Value>]) -> Looking {
    let (latest, pending, finalized, named) = match said {
        [latest, pending, finalized, named] => (
            ask::read(latest, parse::quantity),
            ask::read(pending, parse::quantity),
            ask::read(finalized, parse::quantity),
            ask::read(&without_unsigned(named), |value| {
                let named = parse::transaction(value)?;
                let ours = named.from == slot.wallet && named.nonce == slot.nonce;
                if ours { Ok(named) } else { Err(Fault::Unrelated) }
            }),
        ),
        _ => (Answer::NotAsked {}, Answer::NotAsked {}, Answer::NotAsked {}, Answer::NotAsked {}),
    };
    // A transaction of the pool has the slot in mind; it has not taken it.
    let named = if named.found().is_some_and(|named| named.block.is_none()) { Answer::Null {} } else { named };
    Looking { slot: slot.clone(), latest, pending, finalized, named, found: Answer::NotAsked {} }
}

/// Nodes name a deposit from the base layer when the count happened to pass the slot with it. The wallet never signed
/// that, so it is no answer: the block is searched, and shows that nothing signed has the slot (W6).
fn without_unsigned(named: &Answer<serde_json::Value>) -> Answer<serde_json::Value> {
    match named {
        Answer::Found(value) if parse::is_from_base_layer(value) => Answer::Null {},
        other => other.clone(),
    }
}

/// Whether the slot is used up by this source's own count.
fn is_spent(look: &Looking, upto: Upto) -> bool {
    let count = match upto {
        Upto::Final => &look.finalized,
        Upto::Newest => &look.latest,
    };
    count.found().is_some_and(|count| *count > look.slot.nonce)
}

fn finish(look: Looking, upto: Upto) -> Answer<SlotUse> {
    let spent = is_spent(&look, upto);
    match (look.latest, look.pending, look.finalized) {
        (Answer::Found(latest), Answer::Found(pending), Answer::Found(finalized)) => {
            let consumer = match (spent, look.found, look.named) {
                (false, ..) => Answer::NotAsked {},
                (true, found @ Answer::Found(_), _) => found,
                (true, _, named) => ask::carried(&named),
            };
            Answer::Found(SlotUse { latest, pending, finalized, consumer })
        }
        (Answer::Found(_), Answer::Found(_), failed) | (Answer::Found(_), failed, _) | (failed, _, _) => {
            ask::carried(&failed)
        }
    }
}

/// Searches the block in which the wallet's count passed the slot, then that block. Where nothing the wallet signed has
/// the slot, `found` says so.
async fn search(
    session: &mut Session<'_>,
    slot: &Slot,
    found: &mut Answer<Consumer>,
    upto: Upto,
) -> Answer<Transaction> {
    let newest = match upto {
        Upto::Final => session.finalized(),
        Upto::Newest => session.latest(),
    };
    let Some(newest) = newest else { return Answer::NotAsked {} };
    let (mut low, mut high) = (0, newest);
    let mut bounds_checked = false;
    while high - low > 1 || !bounds_checked {
        let step = (high - low).div_ceil(PROBES + 1).max(1);
        let mut probes: Vec<u64> = (1..=PROBES).map(|index| low + index * step).filter(|at| *at < high).collect();
        if !bounds_checked {
            probes.extend([low, high]);
        }
        let calls: Vec<Call> = probes.iter().map(|at| ask::count_at(&slot.wallet, *at)).collect();
        let answers = session.ask(&calls).await;
        for (at, answer) in probes.iter().zip(&answers) {
            match ask::read(answer, parse::quantity) {
                Answer::Found(count) if count <= slot.nonce => low = low.max(*at),
                Answer::Found(_) => high = high.min(*at),
                failed => return ask::carried(&failed),
            }
        }
        // A count that falls, or that was spent before the first block, is no count.
        if low >= high {
            return Answer::Error { class: Fault::Malformed };
        }
        bounds_checked = true;
    }
    let answers = session.ask(&[ask::block(high, true)]).await;
    let Some(answer) = answers.first() else { return Answer::NotAsked {} };
    match ask::read(answer, |value| parse::signed_in(value, high, &slot.wallet, slot.nonce)) {
        Answer::Found(Some(transaction)) => Answer::Found(transaction),
        Answer::Found(None) => {
            *found = ask::read(answer, |value| parse::block_at(value, high).map(|block| Consumer::Unsigned { block }));
            Answer::Null {}
        }
        failed => ask::carried(&failed),
    }
}
