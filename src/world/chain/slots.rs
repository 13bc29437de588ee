//! Looking at slots of our wallets (W0 to W11), and at all that a wallet ever sent (S5).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use wox_events::{
    TxHash,
    chain::{Answer, Attempt, Fault, ScanAnswer, SlotAnswer},
    id::Label,
};

use super::{
    Interest, Network, ask,
    consumers::{self, Slot, Upto},
    parse, standing,
    standing::Session,
};

/// A slot to look at, with every transaction that was ever signed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSubject {
    /// The sending wallet, in lower case.
    pub wallet: Label,
    /// The slot.
    pub nonce: u64,
    /// Payments and cancels.
    pub attempts: Vec<TxHash>,
}

/// Slots that share their round trips.
const TOGETHER: usize = 100;

impl Network {
    /// What every node says of each slot, in the order of the subjects. Explorers know no slots and are not asked.
    pub async fn look_at_slots(&self, subjects: &[SlotSubject]) -> Vec<Vec<SlotAnswer>> {
        let mut all = Vec::with_capacity(subjects.len());
        for subjects in subjects.chunks(TOGETHER) {
            let mut sessions: Vec<_> = self.sessions().into_iter().filter(Session::is_node).collect();
            let attempts: Vec<&TxHash> = {
                let all: BTreeSet<&TxHash> = subjects.iter().flat_map(|subject| &subject.attempts).collect();
                all.into_iter().collect()
            };
            let slots: Vec<Slot> =
                subjects.iter().map(|subject| Slot { wallet: subject.wallet.clone(), nonce: subject.nonce }).collect();
            let mut calls: Vec<_> = attempts.iter().map(|tx| ask::transaction(tx)).collect();
            calls.extend(slots.iter().flat_map(consumers::questions));
            let said = self.open(&mut sessions, &calls).await;
            let anchor = standing::anchor(&sessions);
            let looks = sessions.iter_mut().zip(said).map(|(session, mut said)| {
                let (attempts, slots) = (&attempts, &slots);
                async move {
                    let said_slots = said.split_off(attempts.len().min(said.len()));
                    anchored(session, anchor).await;
                    let uses = consumers::complete(session, slots, &said_slots, &self.interest, Upto::Final).await;
                    let attempt = |tx: &TxHash| {
                        let known = attempts.iter().position(|known| *known == tx).and_then(|index| said.get(index));
                        let transaction = known.map_or(Answer::NotAsked {}, |answer| {
                            ask::read(answer, |value| {
                                let read = parse::transaction(value)?;
                                if read.tx == *tx { Ok(read) } else { Err(Fault::Unrelated) }
                            })
                        });
                        Attempt { tx: tx.clone(), transaction }
                    };
                    let standing = session.standing();
                    let answer = |(subject, slot): (&SlotSubject, &Slot)| SlotAnswer {
                        standing: standing.clone(),
                        slot: uses.get(slot).cloned().unwrap_or(Answer::NotAsked {}),
                        attempts: subject.attempts.iter().map(attempt).collect(),
                    };
                    subjects.iter().zip(slots).map(answer).collect::<Vec<_>>()
                }
            });
            let by_source = join_all(looks).await;
            self.finish(&sessions);
            let mut by_subject: Vec<Vec<SlotAnswer>> = subjects.iter().map(|_| Vec::new()).collect();
            for answers in by_source {
                for (index, answer) in answers.into_iter().enumerate() {
                    by_subject[index].push(answer);
                }
            }
            all.extend(by_subject);
        }
        all
    }

    /// What took each slot of a wallet from one on, up to its count at the newest block, without a gap, and how many of them
    /// are final: the proof by completeness (S5). Stops behind `most` slots.
    pub async fn scan(&self, wallet: &Label, from_nonce: u64, most: usize) -> Vec<ScanAnswer> {
        let mut sessions: Vec<_> = self.sessions().into_iter().filter(Session::is_node).collect();
        let counts = ["finalized", "latest", "pending"].map(|block| ask::count(wallet, block));
        let said = self.open(&mut sessions, &counts).await;
        let anchor = standing::anchor(&sessions);
        let scans = sessions.iter_mut().zip(said).map(|(session, said)| async move {
            anchored(session, anchor).await;
            let count = |at: usize| said.get(at).map_or(Answer::NotAsked {}, |said| ask::read(said, parse::quantity));
            let (finalized, latest, pending) = (count(0), count(1), count(2));
            let end = latest.found().or(finalized.found()).copied().unwrap_or(0);
            let all: Vec<Slot> =
                (from_nonce..end).take(most).map(|nonce| Slot { wallet: wallet.clone(), nonce }).collect();
            let mut slots = Vec::with_capacity(all.len());
            for some in all.chunks(TOGETHER) {
                slots.extend(taken(session, some, &self.interest).await);
            }
            ScanAnswer { standing: session.standing(), finalized, latest, pending, slots }
        });
        let answers = join_all(scans).await;
        self.finish(&sessions);
        answers
    }
}

/// The source's block at the common final height.
async fn anchored(session: &mut Session<'_>, anchor: Option<u64>) {
    let Some(number) = anchor else { return };
    let said = session.ask(&[ask::block(number, false)]).await;
    if let Some(answer) = said.first() {
        session.take_anchor(answer, number);
    }
}

/// What took each of some slots.
async fn taken(
    session: &mut Session<'_>,
    slots: &[Slot],
    interest: &Interest,
) -> Vec<Answer<wox_events::chain::Consumer>> {
    let calls: Vec<_> = slots.iter().flat_map(consumers::questions).collect();
    let said = session.ask(&calls).await;
    let uses = consumers::complete(session, slots, &said, interest, Upto::Newest).await;
    slots
        .iter()
        .map(|slot| match uses.get(slot) {
            Some(Answer::Found(used)) => used.consumer.clone(),
            Some(failed) => ask::carried(failed),
            None => Answer::NotAsked {},
        })
        .collect()
}
