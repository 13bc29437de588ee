//! Looking at transactions, many in few round trips (D1 to D11): who stands where together with transactions and
//! receipts; then the blocks they claim to be in, and the slots of those that are gone; then what took such a slot.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::Value;
use wox_events::{
    TxHash,
    chain::{Answer, BlockId, Receipt, Transaction, TransactionAnswer},
    id::Label,
};

use super::{
    Interest, Network, ask,
    consumers::{self, Slot, Upto},
    parse, standing,
    standing::Session,
};

/// A transaction to look at, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSubject {
    /// Its hash.
    pub tx: TxHash,
    /// The block it was seen in before.
    pub seen: Option<BlockId>,
    /// Its sender and slot, where an earlier look learned them.
    pub sender: Option<(Label, u64)>,
}

/// Transactions that share their round trips.
const TOGETHER: usize = 100;

impl Network {
    /// What every source says of each transaction, in the order of the subjects.
    pub async fn look_at_transactions(&self, subjects: &[TransactionSubject]) -> Vec<Vec<TransactionAnswer>> {
        let mut all = Vec::with_capacity(subjects.len());
        for subjects in subjects.chunks(TOGETHER) {
            all.extend(self.look_at_some(subjects).await);
        }
        all
    }

    async fn look_at_some(&self, subjects: &[TransactionSubject]) -> Vec<Vec<TransactionAnswer>> {
        let mut sessions = self.sessions();
        let first = subjects.iter().flat_map(|subject| [ask::transaction(&subject.tx), ask::receipt(&subject.tx)]);
        let said = self.open(&mut sessions, &first.collect::<Vec<_>>()).await;
        let read: Vec<Vec<First>> = said
            .iter()
            .map(|said| {
                let pairs = subjects.iter().zip(said.chunks(2));
                pairs.map(|(subject, said)| First::read(subject, said, &self.interest)).collect()
            })
            .collect();
        let slots = slots(subjects, &read);
        let anchor = standing::anchor(&sessions);
        let looks = sessions
            .iter_mut()
            .zip(&read)
            .map(|(session, read)| finish(session, subjects, read, &slots, anchor, &self.interest));
        let by_source: Vec<Vec<TransactionAnswer>> = join_all(looks).await;
        self.finish(&sessions);
        let mut by_subject: Vec<Vec<TransactionAnswer>> = subjects.iter().map(|_| Vec::new()).collect();
        for answers in by_source {
            for (index, answer) in answers.into_iter().enumerate() {
                by_subject[index].push(answer);
            }
        }
        by_subject
    }
}

/// What a source said first.
struct First {
    transaction: Answer<Transaction>,
    receipt: Answer<Receipt>,
}

impl First {
    fn read(subject: &TransactionSubject, said: &[Answer<Value>], interest: &Interest) -> First {
        let [transaction, receipt] = said else {
            return First { transaction: Answer::NotAsked {}, receipt: Answer::NotAsked {} };
        };
        let transaction = ask::read(transaction, |value| {
            let read = parse::transaction(value)?;
            if read.tx == subject.tx { Ok(read) } else { Err(wox_events::chain::Fault::Unrelated) }
        });
        let receipt = ask::read(receipt, |value| match transaction.found() {
            Some(of) => parse::receipt_of(value, of, interest),
            None => parse::receipt(value, &subject.tx, interest),
        });
        First { transaction, receipt }
    }
}

/// The slot of each subject, from an earlier look or from whichever source still knows the transaction.
fn slots(subjects: &[TransactionSubject], read: &[Vec<First>]) -> Vec<Option<Slot>> {
    let known = |index: usize| {
        read.iter().find_map(|first| {
            let transaction = first.get(index)?.transaction.found()?;
            // What comes from the base layer has no slot that anything else could take.
            let signed = transaction.kind != 126;
            signed.then(|| Slot { wallet: transaction.from.clone(), nonce: transaction.nonce })
        })
    };
    let earlier = |subject: &TransactionSubject| {
        subject.sender.as_ref().map(|(wallet, nonce)| Slot { wallet: wallet.clone(), nonce: *nonce })
    };
    subjects.iter().enumerate().map(|(index, subject)| earlier(subject).or_else(|| known(index))).collect()
}

async fn finish(
    session: &mut Session<'_>,
    subjects: &[TransactionSubject],
    read: &[First],
    slots: &[Option<Slot>],
    anchor: Option<u64>,
    interest: &Interest,
) -> Vec<TransactionAnswer> {
    // Blocks, each once: the common final one, those of receipts, those where something was seen before.
    let receipts = read.iter().filter_map(|first| first.receipt.found()).map(|receipt| receipt.block.number);
    let seen = subjects.iter().filter_map(|subject| subject.seen.as_ref()).map(|seen| seen.number);
    let heights: BTreeSet<u64> = receipts.chain(seen).chain(anchor).collect();
    // Slots of what this source does not know any more.
    let gone = |first: &First| first.transaction.is_null() && first.receipt.is_null();
    let wanted: BTreeSet<Slot> = match session.is_node() {
        true => read.iter().zip(slots).filter(|(first, _)| gone(first)).filter_map(|(_, slot)| slot.clone()).collect(),
        false => BTreeSet::new(),
    };
    let wanted: Vec<Slot> = wanted.into_iter().collect();
    let mut calls: Vec<_> = heights.iter().map(|height| ask::block(*height, false)).collect();
    calls.extend(wanted.iter().flat_map(consumers::questions));
    let mut said = session.ask(&calls).await;
    let said_slots = said.split_off(heights.len().min(said.len()));
    let blocks: BTreeMap<u64, &Answer<Value>> = heights.iter().copied().zip(&said).collect();
    if let Some((number, answer)) = anchor.and_then(|number| Some((number, blocks.get(&number)?))) {
        session.take_anchor(answer, number);
    }
    let uses = consumers::complete(session, &wanted, &said_slots, interest, Upto::Final).await;
    let standing = session.standing();
    let at = |number: u64| blocks.get(&number).copied();
    subjects
        .iter()
        .zip(read)
        .zip(slots)
        .map(|((subject, first), slot)| TransactionAnswer {
            standing: standing.clone(),
            transaction: first.transaction.clone(),
            receipt: first.receipt.clone(),
            block: first
                .receipt
                .found()
                .and_then(|receipt| at(receipt.block.number).map(|said| (said, receipt)))
                .map_or(Answer::NotAsked {}, |(said, receipt)| {
                    ask::read(said, |value| parse::membership(value, receipt.block.number, &subject.tx))
                }),
            earlier: subject
                .seen
                .as_ref()
                .and_then(|seen| at(seen.number).map(|said| (said, seen.number)))
                .map_or(Answer::NotAsked {}, |(said, number)| ask::read(said, |value| parse::block_at(value, number))),
            slot: slot.as_ref().and_then(|slot| uses.get(slot)).cloned().unwrap_or(Answer::NotAsked {}),
        })
        .collect()
}
