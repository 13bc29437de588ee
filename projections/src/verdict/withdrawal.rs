//! The withdrawal table W0 to W11 (banking.md 4.2), for payments and burns. A slot is (wallet, nonce); at most one
//! transaction of a slot can ever be in a chain, so a final consumer proves every other attempt dead. Only W0, W2 and W4
//! prove that no payment can follow; W3, W5 and W6 are for two people; everything else waits, however old.

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, Digest, EventId, PlayerId, StreamId, Timestamp, TxHash, WithdrawalEvent,
    chain::{Answer, BlockId, Consumer, Fees, Intent, ScanAnswer, SlotAnswer, Transaction, is_address},
    id::Label,
    withdrawal::ReversalProof,
};

use crate::{projection::EventRef, withdrawals::Hold};

use super::quorum::{Agreement, Policy, Transfer, View, Vote, agree, reached, transfers, view, voters};

/// What was to be paid, and every transaction that was ever signed for it in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The sending wallet.
    pub wallet: Label,
    /// The slot.
    pub nonce: u64,
    /// Whom to pay.
    pub destination: Label,
    /// How much.
    pub amount: Amount,
    /// Payments that were signed.
    pub attempts: Vec<TxHash>,
    /// Cancelling transactions that were recorded.
    pub cancels: Vec<TxHash>,
    /// What attempts offer, where their signer said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<(TxHash, Fees)>,
    /// What the signer was asked to do with the slot, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

/// Something that a signer was asked to do with a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What.
    pub intent: Intent,
    /// The newest attempt at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<TxHash>,
    /// The look that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EventId>,
    /// Who decided.
    pub by: Label,
    /// When.
    pub at: Timestamp,
}

impl Payment {
    /// A payment that nothing was signed for yet.
    #[must_use]
    pub fn of(wallet: Label, nonce: u64, destination: Label, amount: Amount) -> Payment {
        let (attempts, cancels, offers, asked) = Default::default();
        Payment { wallet, nonce, destination, amount, attempts, cancels, offers, asked }
    }

    /// Whether this is about the same slot as another.
    #[must_use]
    pub fn is_same_slot(&self, other: &Payment) -> bool {
        (&self.wallet, self.nonce) == (&other.wallet, other.nonce)
    }

    /// Notes an attempt, with what it offers where that is known.
    pub(crate) fn signed(&mut self, tx: &TxHash, fees: Option<Fees>) {
        self.attempts.push(tx.clone());
        self.offers.extend(fees.map(|fees| (tx.clone(), fees)));
    }

    /// The last time the signer was asked for something.
    #[must_use]
    pub fn last_asked(&self, intent: Intent) -> Option<&Asked> {
        self.asked.iter().rfind(|asked| asked.intent == intent)
    }

    /// The least that takes the slot from every attempt and cancel of it, by what their signer and the sources say they
    /// offer; `None` when nobody says so of one.
    #[must_use]
    pub fn to_outbid(&self, answers: &[SlotAnswer]) -> Option<Fees> {
        let shown = |tx: &TxHash| {
            let attempts = answers.iter().flat_map(|said| &said.attempts).filter(|attempt| attempt.tx == *tx);
            attempts.filter_map(|attempt| attempt.transaction.found()?.fees).next()
        };
        let stated = |tx: &TxHash| self.offers.iter().find(|(offered, _)| offered == tx).map(|(_, fees)| *fees);
        let all = self.attempts.iter().chain(&self.cancels);
        let offered: Option<Vec<Fees>> = all.map(|tx| stated(tx).or_else(|| shown(tx))).collect();
        offered?.into_iter().reduce(Fees::highest)?.raised()
    }
}

/// What became of a payment, one variant a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalVerdict {
    /// W0: nothing was ever signed.
    NotSent,
    /// W1: paid, final.
    Executed {
        /// The payment.
        tx: TxHash,
        /// Its block.
        block: BlockId,
    },
    /// W2: the payment itself was mined, failed, and is final.
    Reverted {
        /// The payment.
        tx: TxHash,
        /// Its block.
        block: BlockId,
    },
    /// W3: our transaction is final, but not with the transfer it was made for.
    Anomaly {
        /// The transaction.
        tx: TxHash,
        /// Its block.
        block: BlockId,
        /// What it paid the same address all the same: releasing would pay that twice.
        paid: Amount,
    },
    /// W4: our own cancelling transaction took the slot, final.
    Cancelled {
        /// The cancelling transaction.
        tx: TxHash,
        /// Its block.
        block: BlockId,
    },
    /// W5: a transaction that is not ours took the slot: the key is shared or stolen.
    ForeignConsumer {
        /// The transaction.
        tx: TxHash,
        /// True when it paid the same address: releasing would pay twice.
        paid_destination: bool,
        /// What else of this log it was signed for: then the key is nobody else's, and one slot was used twice.
        of: Option<StreamId>,
    },
    /// W6: the slot was used up by something the wallet did not sign.
    ConsumedOtherwise {
        /// The block in which the count rose.
        block: BlockId,
    },
    /// W7: used up, not final yet.
    PendingFinality,
    /// W8: an attempt waits in a pool.
    Pending,
    /// W9: no source knows an attempt; each is valid for ever.
    DroppedButValid,
    /// W10: a lower slot is still free, so this one cannot be used.
    NonceGap {
        /// The lowest free slot.
        next: u64,
    },
    /// W11: nobody can say.
    Unknown {
        /// Why; names sources, never their addresses.
        why: String,
    },
}

impl WithdrawalVerdict {
    /// The row of the table.
    #[must_use]
    pub fn row(&self) -> &'static str {
        match self {
            WithdrawalVerdict::NotSent => "W0",
            WithdrawalVerdict::Executed { .. } => "W1",
            WithdrawalVerdict::Reverted { .. } => "W2",
            WithdrawalVerdict::Anomaly { .. } => "W3",
            WithdrawalVerdict::Cancelled { .. } => "W4",
            WithdrawalVerdict::ForeignConsumer { .. } => "W5",
            WithdrawalVerdict::ConsumedOtherwise { .. } => "W6",
            WithdrawalVerdict::PendingFinality => "W7",
            WithdrawalVerdict::Pending => "W8",
            WithdrawalVerdict::DroppedButValid => "W9",
            WithdrawalVerdict::NonceGap { .. } => "W10",
            WithdrawalVerdict::Unknown { .. } => "W11",
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn says(&self) -> String {
        match self {
            WithdrawalVerdict::NotSent => "nothing was ever signed for it".into(),
            WithdrawalVerdict::Executed { tx, block } => format!("paid by {tx}, final in block {}", block.number),
            WithdrawalVerdict::Reverted { tx, block } => {
                format!("its payment {tx} failed, final in block {}", block.number)
            }
            WithdrawalVerdict::Anomaly { tx, paid, .. } if paid.is_zero() => {
                format!("{tx} is final without the transfer it was made for")
            }
            WithdrawalVerdict::Anomaly { tx, paid, .. } => {
                format!("{tx} is final and paid {paid} G to its address, not what it was made for")
            }
            WithdrawalVerdict::Cancelled { tx, block } => {
                format!("cancelled by {tx}, final in block {}", block.number)
            }
            WithdrawalVerdict::ForeignConsumer { tx, paid_destination, of } => format!(
                "its slot was taken by {tx}, {}{}",
                match of {
                    Some(other) => format!("which was signed for {other}"),
                    None => "which nobody here signed".to_owned(),
                },
                if *paid_destination { " and which paid the same address" } else { "" }
            ),
            WithdrawalVerdict::ConsumedOtherwise { block } => {
                format!("its slot was used up in block {} by nothing the wallet signed", block.number)
            }
            WithdrawalVerdict::PendingFinality => "its slot is used up in a block that is not final yet".into(),
            WithdrawalVerdict::Pending => "its payment waits to be mined".into(),
            WithdrawalVerdict::DroppedButValid => "no source knows its payment, which stays valid for ever".into(),
            WithdrawalVerdict::NonceGap { next } => format!("slot {next} below it is still free"),
            WithdrawalVerdict::Unknown { why } => format!("unknown: {why}"),
        }
    }

    /// What a person does next while nothing may be compensated.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            WithdrawalVerdict::NotSent
            | WithdrawalVerdict::Executed { .. }
            | WithdrawalVerdict::Reverted { .. }
            | WithdrawalVerdict::Cancelled { .. } => "apply the plan",
            WithdrawalVerdict::Anomaly { .. } => "stop paying from this wallet and look at the transaction",
            WithdrawalVerdict::ForeignConsumer { of: Some(_), .. } => {
                "stop paying from this wallet until it is known why its signer used one slot twice"
            }
            WithdrawalVerdict::ForeignConsumer { .. } => "stop paying from this wallet, its key is shared or stolen",
            WithdrawalVerdict::ConsumedOtherwise { .. } => {
                "stop paying from this wallet; ask another archive node for the block"
            }
            WithdrawalVerdict::PendingFinality => "wait until the block is final, then look again",
            WithdrawalVerdict::Pending => "wait; if it stays, ask the signer for a bump or a fence",
            WithdrawalVerdict::DroppedButValid => "ask the signer to send it again, or to fence its slot",
            WithdrawalVerdict::NonceGap { .. } => "send or cancel what is in the lower slots first, then look again",
            WithdrawalVerdict::Unknown { .. } => "look again later, with enough sources",
        }
    }

    /// That no payment can follow: only for W0, W2 and W4.
    #[must_use]
    pub fn reversible(&self) -> Option<Reversible> {
        self.proof().map(Reversible)
    }

    /// The proof that no payment can follow: only for W0, W2 and W4.
    #[must_use]
    pub fn proof(&self) -> Option<ReversalProof> {
        match self {
            WithdrawalVerdict::NotSent => Some(ReversalProof::NeverSigned {}),
            WithdrawalVerdict::Reverted { tx, block } => {
                Some(ReversalProof::Reverted { tx: tx.clone(), block_hash: block.hash.clone() })
            }
            WithdrawalVerdict::Cancelled { tx, block } => {
                Some(ReversalProof::Cancelled { tx: tx.clone(), block_hash: block.hash.clone() })
            }
            _ => None,
        }
    }

    /// Whether a signer may be asked for this: only while the slot is free, and for what can help.
    #[must_use]
    pub fn permits(&self, intent: Intent) -> bool {
        match self {
            WithdrawalVerdict::DroppedButValid => true,
            WithdrawalVerdict::Pending => matches!(intent, Intent::Bump | Intent::Fence),
            WithdrawalVerdict::NonceGap { .. } => intent == Intent::Fence,
            _ => false,
        }
    }

    /// Which of several slots speaks for all of them, the lowest first: one that paid; one that paid something; one that may
    /// still pay; one that is for two people; one that is dead for good. So nothing is decided while any slot is alive.
    #[must_use]
    pub(crate) fn rank(&self) -> u8 {
        match self {
            WithdrawalVerdict::Executed { .. } => 0,
            WithdrawalVerdict::Anomaly { .. } | WithdrawalVerdict::ForeignConsumer { .. }
                if !self.is_for_two_people() =>
            {
                1
            }
            WithdrawalVerdict::PendingFinality
            | WithdrawalVerdict::Pending
            | WithdrawalVerdict::DroppedButValid
            | WithdrawalVerdict::NonceGap { .. }
            | WithdrawalVerdict::Unknown { .. } => 2,
            WithdrawalVerdict::Anomaly { .. }
            | WithdrawalVerdict::ForeignConsumer { .. }
            | WithdrawalVerdict::ConsumedOtherwise { .. } => 3,
            WithdrawalVerdict::NotSent | WithdrawalVerdict::Reverted { .. } | WithdrawalVerdict::Cancelled { .. } => 4,
        }
    }

    /// True while a payment may still follow.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.rank() == 2
    }

    /// W3, W5 and W6, but not when the address was paid: only two people may decide what follows.
    #[must_use]
    pub fn is_for_two_people(&self) -> bool {
        match self {
            WithdrawalVerdict::Anomaly { paid, .. } => paid.is_zero(),
            WithdrawalVerdict::ConsumedOtherwise { .. } => true,
            WithdrawalVerdict::ForeignConsumer { paid_destination, .. } => !paid_destination,
            _ => false,
        }
    }
}

/// That a withdrawal may go back: no payment can follow, or two people decided so where the table lets them. Cannot be built
/// otherwise than by a verdict ([`WithdrawalVerdict::reversible`]) or by [`Replay::decided_by_two`], and nothing else makes
/// the event that gives the money back.
///
/// ```compile_fail
/// use wox_events::withdrawal::ReversalProof;
/// let forged = wox_projections::verdict::withdrawal::Reversible(ReversalProof::NeverSigned {});
/// ```
///
/// [`Replay::decided_by_two`]: crate::Replay::decided_by_two
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversible(ReversalProof);

impl Reversible {
    /// By the decision of two people, once the table leaves it to them; `None` when the two are one.
    pub(crate) fn by_two(first: &Label, second: &Label, looks: &[EventRef]) -> Option<Reversible> {
        let looks: Vec<String> = looks.iter().map(ToString::to_string).collect();
        ReversalProof::by_two(first, second, Digest::of(looks.join("\n").as_bytes())).map(Reversible)
    }

    /// True when two people decided it.
    #[must_use]
    pub fn is_by_two(&self) -> bool {
        matches!(self.0, ReversalProof::Operators { .. })
    }

    /// The event that gives back what the hold took.
    #[must_use]
    pub fn release(&self, player: &PlayerId, amount: Amount, held: &Hold) -> WithdrawalEvent {
        WithdrawalEvent::HoldReleased {
            player: player.clone(),
            amount,
            net: held.net,
            pool_share: held.pool_share,
            burn_share: held.burn_share,
            proof: self.0.clone(),
            corrects: held.event,
        }
    }
}

/// The verdict when nothing was ever signed: a proof only where the signer journaled here, before it
/// sends, already when it was asked for.
#[must_use]
pub fn unsigned(journaled: bool, asked_elsewhere: bool) -> WithdrawalVerdict {
    let unknown = |why: &str| WithdrawalVerdict::Unknown { why: why.into() };
    match (journaled, asked_elsewhere) {
        (true, false) => WithdrawalVerdict::NotSent,
        (false, false) => {
            unknown("its signer did not journal in this log when it was asked for, so something may have been sent")
        }
        (_, true) => unknown("the bank's bot was asked, and its attempts are not ours to enumerate"),
    }
}

/// The verdict over what the sources said of a slot. Total: whatever is not proven is W11.
#[must_use]
pub fn verdict(policy: &Policy, at: Timestamp, answers: &[SlotAnswer], payment: &Payment) -> WithdrawalVerdict {
    let unknown = |why: String| WithdrawalVerdict::Unknown { why };
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let voting = match voters(policy, at, &standings) {
        Ok(voting) => voting,
        Err(why) => return unknown(why),
    };
    let voting: Vec<&SlotAnswer> = voting.into_iter().map(|index| &answers[index]).collect();
    if let Some(shown) = signed_elsewhere(answers, payment) {
        let (tx, slot, from) = (&shown.tx, shown.nonce, &shown.from);
        return unknown(format!("{tx} is of slot {slot} of {from}, and was journaled for this one: it may have paid"));
    }
    let uses: Vec<_> =
        voting.iter().filter_map(|said| said.slot.found().map(|slot| (&said.standing.source, slot))).collect();
    let (Some(finalized), Some(latest)) = (
        reached(policy.quorum, uses.iter().map(|(_, slot)| slot.finalized).collect()),
        reached(policy.quorum, uses.iter().map(|(_, slot)| slot.latest).collect()),
    ) else {
        return unknown("too few sources say how often the wallet has sent".into());
    };
    if finalized > payment.nonce {
        return consumed(policy, &voting, payment);
    }
    if latest > payment.nonce {
        return WithdrawalVerdict::PendingFinality;
    }
    // Any voter that has it in a block speaks against "free": nobody acts on a slot that one source calls taken.
    if uses.iter().any(|(_, slot)| slot.latest > payment.nonce) {
        return unknown("sources disagree whether the slot is used up".into());
    }
    if latest < payment.nonce {
        return WithdrawalVerdict::NonceGap { next: latest };
    }
    let all: Vec<&TxHash> = payment.attempts.iter().chain(&payment.cancels).collect();
    let known: Vec<Option<&Answer<_>>> = voting
        .iter()
        .flat_map(|said| all.iter().map(|tx| said.attempts.iter().find(|attempt| attempt.tx == **tx)))
        .map(|attempt| attempt.map(|attempt| &attempt.transaction))
        .collect();
    if known.iter().any(|answer| matches!(answer, Some(Answer::Found(_)))) {
        return WithdrawalVerdict::Pending;
    }
    if known.iter().all(|answer| matches!(answer, Some(Answer::Null {}))) {
        return WithdrawalVerdict::DroppedButValid;
    }
    unknown("not every source could say whether an attempt waits in its pool".into())
}

/// An attempt that any source shows in another slot than it was journaled for: what becomes of this slot says nothing of it.
#[must_use]
pub fn signed_elsewhere<'a>(answers: &'a [SlotAnswer], payment: &Payment) -> Option<&'a Transaction> {
    let attempts = answers.iter().flat_map(|said| &said.attempts);
    let shown = attempts.filter(|attempt| payment.attempts.contains(&attempt.tx));
    let mut shown = shown.filter_map(|attempt| attempt.transaction.found());
    shown.find(|shown| (&shown.from, shown.nonce) != (&payment.wallet, payment.nonce))
}

/// What a quorum shows of all that a wallet sent from a slot on, as far as one look went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// How many slots in a row are shown.
    pub slots: u64,
    /// How often the wallet had sent, up to the newest final block.
    pub finalized: u64,
    /// The time of the newest block that all who vote call final.
    pub covers: Timestamp,
    /// True when each who votes shows what the wallet has sent behind that too, and nothing of it waits in a pool.
    pub shows_all: bool,
    /// Who does not know of what another calls final: one of the two is wrong, and nobody can say that all is shown.
    pub behind: Vec<Label>,
    /// What took each of them, with the transfers of our tokens in it; nothing that the wallet signed, where it is none.
    pub taken: Vec<Option<(Transaction, Vec<Transfer>)>>,
}

impl Segment {
    /// Every transfer of our tokens in those slots.
    pub fn transfers(&self) -> impl Iterator<Item = Transfer> + '_ {
        self.taken.iter().flatten().flat_map(|(_, moved)| moved.iter().cloned())
    }
}

/// What a quorum shows of the slots of a wallet from one on, without a gap; `None` where anything is missing or
/// contradicted.
#[must_use]
pub fn segment(policy: &Policy, at: Timestamp, from_nonce: u64, answers: &[ScanAnswer]) -> Option<Segment> {
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let voting = voters(policy, at, &standings).ok()?;
    let voting: Vec<&ScanAnswer> = voting.into_iter().map(|index| &answers[index]).collect();
    let heads = voting.iter().filter_map(|said| said.standing.finalized.found());
    let covers = heads.map(|head| head.time).min()?;
    // How much each says was sent, and whether it shows all of that; one that says more than is shown is enough against it.
    let sent =
        |said: &ScanAnswer| said.latest.found().zip(said.pending.found()).map(|(latest, pending)| *latest.max(pending));
    let shown = |said: &ScanAnswer| {
        let until = from_nonce.saturating_add(said.slots.len() as u64);
        let all = said.slots.iter().all(|slot| slot.found().is_some());
        sent(said).filter(|sent| all && until >= *sent)
    };
    let all_shown: Vec<u64> = voting.iter().filter_map(|said| shown(said)).collect();
    let most = all_shown.iter().max().copied().unwrap_or(0);
    let final_for_one = voting.iter().filter_map(|said| said.finalized.found()).max().copied().unwrap_or(0);
    let behind: Vec<Label> = voting
        .iter()
        .filter(|said| sent(said).is_some_and(|sent| sent < final_for_one))
        .map(|said| said.standing.source.clone())
        .collect();
    let shows_all = behind.is_empty()
        && all_shown.len() as u64 >= u64::from(policy.quorum)
        && voting.iter().filter_map(|said| sent(said)).all(|sent| sent <= most);
    let whole = voting.into_iter().filter_map(|said| {
        let finalized = *said.finalized.found()?;
        // What is behind the final block is there to be seen, and proves nothing.
        let is_final = usize::try_from(finalized.saturating_sub(from_nonce)).unwrap_or(usize::MAX);
        let taken = (from_nonce..).zip(said.slots.iter().take(is_final)).map(|(nonce, slot)| match slot.found()? {
            Consumer::Unsigned { .. } => Some(None),
            Consumer::Transaction { transaction, receipt, block } => {
                let answer = Answer::Found(transaction.clone());
                let View::Final(mined) = view(&said.standing, &answer, receipt, block) else { return None };
                (transaction.nonce == nonce).then(|| Some((transaction.clone(), transfers(policy, mined.receipt))))
            }
        });
        Some((&said.standing.source, finalized, taken.collect::<Option<Vec<_>>>()?))
    });
    let whole: Vec<_> = whole.collect();
    // One source may stand a block behind: what all of them show counts.
    let slots = whole.iter().map(|(.., taken)| taken.len()).min()?;
    let finalized = reached(policy.quorum, whole.iter().map(|(_, finalized, _)| *finalized).collect())?;
    let shown = whole.into_iter().map(|(source, _, mut taken)| {
        taken.truncate(slots);
        (source, taken)
    });
    match agree(policy.quorum, shown.collect()) {
        Agreement::Agreed(taken) => Some(Segment { slots: slots as u64, finalized, covers, shows_all, behind, taken }),
        Agreement::Contradiction(_) | Agreement::Missing => None,
    }
}

/// What took the slot, for good: W1 to W6.
fn consumed(policy: &Policy, voting: &[&SlotAnswer], payment: &Payment) -> WithdrawalVerdict {
    let unknown = |why: String| WithdrawalVerdict::Unknown { why };
    match agree(policy.quorum, shown(voting, payment.nonce)) {
        Agreement::Contradiction(who) => unknown(format!("{who} about what took the slot")),
        Agreement::Missing => unknown("too few sources show what took the slot".into()),
        Agreement::Agreed(taken) => taken.verdict(policy, payment),
    }
}

/// What voters show as final in a slot that is used up.
fn shown<'a>(voting: &[&'a SlotAnswer], nonce: u64) -> Vec<Vote<'a, Taken>> {
    let found = voting.iter().filter_map(|said| {
        let slot = said.slot.found().filter(|slot| slot.finalized > nonce)?;
        let taken = match slot.consumer.found()? {
            Consumer::Unsigned { block } => {
                said.standing.finalized.found().filter(|head| block.number <= head.number)?;
                Taken::Unsigned(block.clone())
            }
            Consumer::Transaction { transaction, receipt, block } => {
                let answer = Answer::Found(transaction.clone());
                let View::Final(_) = view(&said.standing, &answer, receipt, block) else { return None };
                Taken::By(Box::new((transaction.clone(), receipt.found()?.clone())))
            }
        };
        Some((&said.standing.source, taken))
    });
    found.collect()
}

/// What took a slot for good, as a quorum shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// This transaction, with its receipt.
    By(Box<(Transaction, wox_events::chain::Receipt)>),
    /// Nothing the wallet signed: in this block the count rose.
    Unsigned(BlockId),
}

impl Taken {
    /// What took the slot for good, where a quorum shows it: all that a verdict over the look can need, in a fraction of
    /// the room. The answers stay in the log.
    #[must_use]
    pub fn of(policy: &Policy, at: Timestamp, slot: (&Label, u64), answers: &[SlotAnswer]) -> Option<Taken> {
        let nonce = slot.1;
        let shown_attempts = answers.iter().flat_map(|said| &said.attempts).filter_map(|it| it.transaction.found());
        // What it does not keep is which attempt is of another slot.
        if shown_attempts.into_iter().any(|attempt| (&attempt.from, attempt.nonce) != slot) {
            return None;
        }
        let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
        let voting: Vec<&SlotAnswer> =
            voters(policy, at, &standings).ok()?.into_iter().map(|index| &answers[index]).collect();
        let counts = voting.iter().filter_map(|said| said.slot.found());
        let finalized = reached(policy.quorum, counts.clone().map(|slot| slot.finalized).collect())?;
        reached(policy.quorum, counts.map(|slot| slot.latest).collect())?;
        if finalized <= nonce {
            return None;
        }
        match agree(policy.quorum, shown(&voting, nonce)) {
            Agreement::Agreed(taken) => Some(taken),
            Agreement::Contradiction(_) | Agreement::Missing => None,
        }
    }

    /// What it makes of a payment: W1 to W6.
    #[must_use]
    pub fn verdict(&self, policy: &Policy, payment: &Payment) -> WithdrawalVerdict {
        match self {
            Taken::Unsigned(block) => WithdrawalVerdict::ConsumedOtherwise { block: block.clone() },
            Taken::By(found) => taken_by(policy, payment, &found.0, &found.1),
        }
    }
}

fn taken_by(
    policy: &Policy,
    payment: &Payment,
    transaction: &Transaction,
    receipt: &wox_events::chain::Receipt,
) -> WithdrawalVerdict {
    let unknown = |why: String| WithdrawalVerdict::Unknown { why };
    if transaction.from != payment.wallet || transaction.nonce != payment.nonce {
        return unknown("what was shown is not of this wallet and slot".into());
    }
    let (tx, block) = (transaction.tx.clone(), receipt.block.clone());
    // Where the destination is no address, whoever got something from this wallet may be meant.
    let is_to = |transfer: &Transfer| match is_address(&payment.destination) {
        true => transfer.to == payment.destination,
        false => transfer.from == payment.wallet,
    };
    let to_it: Vec<Transfer> = transfers(policy, receipt).into_iter().filter(is_to).collect();
    let paid = to_it.iter().any(|transfer| transfer.from == payment.wallet && transfer.value == payment.amount);
    // A bump that was asked for and never journaled is the same payment: it was made, whoever forgot to say so.
    let bumped = receipt.success && paid && payment.last_asked(Intent::Bump).is_some();
    if payment.attempts.contains(&tx) || bumped {
        return match (receipt.success, paid) {
            (true, true) => WithdrawalVerdict::Executed { tx, block },
            (false, _) => WithdrawalVerdict::Reverted { tx, block },
            (true, false) => {
                let paid = Amount::checked_sum(to_it.iter().map(|transfer| transfer.value));
                WithdrawalVerdict::Anomaly { tx, block, paid: paid.unwrap_or(payment.amount) }
            }
        };
    }
    let to_itself = transaction.to.as_ref() == Some(&payment.wallet);
    let cancels = to_itself && transaction.value.as_str() == "0" && transaction.plain;
    if cancels && (payment.cancels.contains(&tx) || payment.last_asked(Intent::Fence).is_some()) {
        return WithdrawalVerdict::Cancelled { tx, block };
    }
    WithdrawalVerdict::ForeignConsumer { tx, paid_destination: !to_it.is_empty(), of: None }
}
