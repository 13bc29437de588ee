//! The deposit table D1 to D11 (banking.md 4.1). Only [`DepositVerdict::Confirmed`] may become a credit.

use serde::{Deserialize, Serialize};
use wox_events::{
    Digest, Timestamp, TxHash,
    chain::{BlockId, Consumer, Log, TransactionAnswer},
    deposit::Finality,
    id::Label,
};

use super::quorum::{
    Agreement, Mined, Policy, Transfer, View, Vote, agree, is_transfer, reached, receiver, transfers, view, voters,
};

/// What a transaction is to us, one variant a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepositVerdict {
    /// D1: final, successful, with transfers to us.
    Confirmed {
        /// Its block.
        block: BlockId,
        /// The transfers to watched addresses.
        transfers: Vec<Transfer>,
    },
    /// D2: in a block that may still go.
    Pending {
        /// Its block.
        block: BlockId,
        /// How sure the block is.
        finality: Finality,
        /// The transfers to watched addresses.
        transfers: Vec<Transfer>,
    },
    /// D3: a receipt whose block is not part of the chain, or not yet.
    Detached,
    /// D4: final and failed.
    Reverted {
        /// Its block.
        block: BlockId,
    },
    /// D5: final and successful, but nothing of ours came.
    NotADeposit {
        /// Its block.
        block: BlockId,
        /// What it was instead.
        reason: NotOurs,
    },
    /// D6: waiting in a pool.
    InPool,
    /// D7: another transaction took its slot, final.
    Replaced {
        /// The winner.
        by: TxHash,
    },
    /// D8: unknown to all, and may come back.
    Dropped,
    /// D9: the block it was seen in is gone.
    Reorged {
        /// The block that is gone.
        was: BlockId,
    },
    /// D10: it was credited from a final block that is gone.
    FinalityViolation {
        /// The block that is gone.
        was: BlockId,
    },
    /// D11: nobody can say.
    Unknown {
        /// Why; names sources, never their addresses.
        why: String,
    },
}

/// Why a final transaction brought nothing of ours. The first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotOurs {
    /// Another contract says that it came to us; anybody can deploy one.
    ForeignToken,
    /// An item came to us (ERC-721), and no amount.
    Item,
    /// Native coin came to us.
    NativeCoin,
    /// Our token went to somebody else.
    OtherRecipient,
    /// Nothing of it concerns us.
    NoMatchingLog,
}

impl NotOurs {
    fn of(policy: &Policy, mined: &Facts<'_>) -> NotOurs {
        let logs = || mined.receipt.logs.iter().filter(|log| !log.removed && is_transfer(log));
        let to_us = |log: &Log| receiver(log).is_some_and(|to| policy.watched.contains(&to));
        if logs().any(|log| log.topics.len() == 3 && to_us(log) && !policy.tokens.contains(&log.address)) {
            return NotOurs::ForeignToken;
        }
        if logs().any(|log| log.topics.len() == 4 && to_us(log)) {
            return NotOurs::Item;
        }
        let transaction = mined.transaction;
        if transaction.value.as_str() != "0" && transaction.to.as_ref().is_some_and(|to| policy.watched.contains(to)) {
            return NotOurs::NativeCoin;
        }
        match transfers(policy, mined.receipt).is_empty() {
            true => NotOurs::NoMatchingLog,
            false => NotOurs::OtherRecipient,
        }
    }

    /// What it was instead, in a few words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            NotOurs::ForeignToken => "a token of another contract, which anybody can deploy",
            NotOurs::Item => "an item and no amount",
            NotOurs::NativeCoin => "native coin, which is no deposit",
            NotOurs::OtherRecipient => "our token, to an address that is not watched",
            NotOurs::NoMatchingLog => "no transfer of our token to a watched address",
        }
    }

    /// The reason code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            NotOurs::ForeignToken => "foreign-token",
            NotOurs::Item => "item",
            NotOurs::NativeCoin => "native-coin",
            NotOurs::OtherRecipient => "other-recipient",
            NotOurs::NoMatchingLog => "no-matching-log",
        }
    }
}

/// What the log knew of the transaction before it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The block it was seen in.
    pub seen: Option<BlockId>,
    /// True when a balance was credited because of it.
    pub credited: bool,
}

impl DepositVerdict {
    /// The row of the table.
    #[must_use]
    pub fn row(&self) -> &'static str {
        match self {
            DepositVerdict::Confirmed { .. } => "D1",
            DepositVerdict::Pending { .. } => "D2",
            DepositVerdict::Detached => "D3",
            DepositVerdict::Reverted { .. } => "D4",
            DepositVerdict::NotADeposit { .. } => "D5",
            DepositVerdict::InPool => "D6",
            DepositVerdict::Replaced { .. } => "D7",
            DepositVerdict::Dropped => "D8",
            DepositVerdict::Reorged { .. } => "D9",
            DepositVerdict::FinalityViolation { .. } => "D10",
            DepositVerdict::Unknown { .. } => "D11",
        }
    }

    /// False while a later look can still say otherwise.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            DepositVerdict::Confirmed { .. }
            | DepositVerdict::Reverted { .. }
            | DepositVerdict::NotADeposit { .. }
            | DepositVerdict::Replaced { .. }
            | DepositVerdict::FinalityViolation { .. } => true,
            DepositVerdict::Pending { .. }
            | DepositVerdict::Detached
            | DepositVerdict::InPool
            | DepositVerdict::Dropped
            | DepositVerdict::Reorged { .. }
            | DepositVerdict::Unknown { .. } => false,
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn says(&self) -> String {
        match self {
            DepositVerdict::Confirmed { block, .. } => format!("confirmed, final in block {}", block.number),
            DepositVerdict::Pending { block, finality, .. } => {
                format!("in block {}, which is {finality} and not final yet", block.number)
            }
            DepositVerdict::Detached => "a receipt without a block of the chain: preconfirmed or stale".into(),
            DepositVerdict::Reverted { block } => format!("failed, final in block {}", block.number),
            DepositVerdict::NotADeposit { block, reason } => {
                format!("final in block {}, but {}", block.number, reason.says())
            }
            DepositVerdict::InPool => "waiting to be mined".into(),
            DepositVerdict::Replaced { by } => format!("dead: {by} took its slot"),
            DepositVerdict::Dropped => "known to no source; it may still come back".into(),
            DepositVerdict::Reorged { was } => format!("block {} that had it is gone", was.number),
            DepositVerdict::FinalityViolation { was } => {
                format!("credited from block {}, which was final and is gone", was.number)
            }
            DepositVerdict::Unknown { why } => format!("unknown: {why}"),
        }
    }
}

/// The verdict over what the sources said. Total: whatever is not proven is D11.
#[must_use]
pub fn verdict(policy: &Policy, at: Timestamp, answers: &[TransactionAnswer], before: &Before) -> DepositVerdict {
    let unknown = |why: String| DepositVerdict::Unknown { why };
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let voting = match voters(policy, at, &standings) {
        Ok(voting) => voting,
        Err(why) => return unknown(why),
    };
    let quorum = policy.quorum as usize;
    let votes: Vec<(&TransactionAnswer, View<'_>)> = voting
        .into_iter()
        .map(|index| &answers[index])
        .map(|said| (said, view(&said.standing, &said.transaction, &said.receipt, &said.block)))
        .collect();

    let moved = match &before.seen {
        None => None,
        Some(was) => {
            let now = votes.iter().filter_map(|(said, _)| {
                let block = said.earlier.found().filter(|block| block.number == was.number)?;
                Some((&said.standing.source, &block.hash))
            });
            match agree(policy.quorum, now.collect()) {
                Agreement::Contradiction(who) => return unknown(format!("{who} about block {}", was.number)),
                Agreement::Agreed(hash) => (*hash != was.hash).then_some(was),
                Agreement::Missing => None,
            }
        }
    };
    if let (Some(was), true) = (moved, before.credited) {
        return DepositVerdict::FinalityViolation { was: was.clone() };
    }

    let mined: Vec<Vote<'_, Facts<'_>>> = votes
        .iter()
        .filter_map(|(said, view)| match view {
            View::Final(mined) | View::Canonical(mined, _) => Some((&said.standing.source, Facts::of(mined))),
            _ => None,
        })
        .collect();
    if !mined.is_empty() {
        let finals = votes.iter().filter(|(_, view)| matches!(view, View::Final(_))).count();
        let safes = votes.iter().filter(|(_, view)| matches!(view, View::Final(_) | View::Canonical(_, true))).count();
        return match agree(policy.quorum, mined) {
            Agreement::Contradiction(who) => unknown(who),
            Agreement::Missing => unknown("too few sources have it in a block".into()),
            Agreement::Agreed(facts) => {
                let receipt = facts.receipt;
                let block = receipt.block.clone();
                let transfers: Vec<Transfer> = transfers(policy, receipt)
                    .into_iter()
                    .filter(|transfer| policy.watched.contains(&transfer.to))
                    .collect();
                if finals < quorum {
                    let finality = if safes >= quorum { Finality::Safe } else { Finality::Unsafe };
                    DepositVerdict::Pending { block, finality, transfers }
                } else if !receipt.success {
                    DepositVerdict::Reverted { block }
                } else if transfers.is_empty() {
                    DepositVerdict::NotADeposit { block, reason: NotOurs::of(policy, &facts) }
                } else {
                    DepositVerdict::Confirmed { block, transfers }
                }
            }
        };
    }
    if votes.iter().any(|(_, view)| matches!(view, View::Detached)) {
        return DepositVerdict::Detached;
    }
    if let Some(was) = moved {
        return DepositVerdict::Reorged { was: was.clone() };
    }
    if votes.iter().any(|(_, view)| matches!(view, View::Pool(_))) {
        return DepositVerdict::InPool;
    }
    let nulls: Vec<&TransactionAnswer> =
        votes.iter().filter(|(_, view)| matches!(view, View::Null)).map(|(said, _)| *said).collect();
    if nulls.len() < quorum {
        return unknown("too few sources answered".into());
    }
    match replaced(policy, answers, &nulls) {
        Some(by) => DepositVerdict::Replaced { by },
        None => DepositVerdict::Dropped,
    }
}

/// What a look that is beyond change comes to, without its answers: all that any verdict over it can need, in a fraction
/// of the room. The answers stay in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// What it is as long as nothing was known of it before.
    verdict: DepositVerdict,
    /// The block that stands at the height it was seen at before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<BlockId>,
    /// Where it is final, and the transfers of our tokens in it, to whomever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved: Option<(BlockId, Vec<Transfer>)>,
    /// The first source that shows it in that block, with the digest of what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    witness: Option<(Label, Digest)>,
}

impl Closed {
    /// Closes a look whose verdict cannot change any more: D1, D4, D5 and D7. `None` for every other.
    #[must_use]
    pub fn of(policy: &Policy, at: Timestamp, answers: &[TransactionAnswer]) -> Option<Closed> {
        let verdict = verdict(policy, at, answers, &Before::default());
        let block = match &verdict {
            DepositVerdict::Confirmed { block, .. }
            | DepositVerdict::Reverted { block }
            | DepositVerdict::NotADeposit { block, .. } => Some(block),
            DepositVerdict::Replaced { .. } => None,
            _ => return None,
        };
        // What sources said of an earlier block may make another verdict of it; only where they agree it can be told later.
        let mut heights: Vec<u64> = answers.iter().filter_map(|said| Some(said.earlier.found()?.number)).collect();
        heights.sort_unstable();
        heights.dedup();
        let earlier = match heights.as_slice() {
            [] => None,
            [height] => match stands_at(policy, at, answers, *height) {
                Agreement::Agreed(hash) => Some(BlockId { number: *height, hash: hash.clone() }),
                Agreement::Missing => None,
                Agreement::Contradiction(_) => return None,
            },
            _ => return None,
        };
        let witness = block.and_then(|block| witness(answers, block));
        Some(Closed { earlier, moved: final_transfers(policy, at, answers), witness, verdict })
    }

    /// The verdict that the answers would give.
    #[must_use]
    pub fn verdict(&self, before: &Before) -> DepositVerdict {
        let gone = before.seen.as_ref().filter(|was| {
            let now = self.earlier.as_ref().filter(|now| now.number == was.number);
            now.is_some_and(|now| now.hash != was.hash)
        });
        match (gone, before.credited, &self.verdict) {
            (Some(was), true, _) => DepositVerdict::FinalityViolation { was: was.clone() },
            (Some(was), false, DepositVerdict::Replaced { .. }) => DepositVerdict::Reorged { was: was.clone() },
            _ => self.verdict.clone(),
        }
    }

    /// Where it is final and successful, and the transfers of our tokens in it.
    #[must_use]
    pub fn moved(&self) -> Option<(BlockId, Vec<Transfer>)> {
        self.moved.clone()
    }

    /// The first source that shows it in its block, with the digest of what it said.
    #[must_use]
    pub fn witness(&self) -> Option<(Label, Digest)> {
        self.witness.clone()
    }
}

/// The first source that shows the transaction in a block, with the digest of what it said.
#[must_use]
pub fn witness(answers: &[TransactionAnswer], block: &BlockId) -> Option<(Label, Digest)> {
    let said = answers.iter().find(|said| said.receipt.found().is_some_and(|receipt| receipt.block == *block))?;
    Some((said.standing.source.clone(), said.standing.digest))
}

/// What voters say stands at the height where the transaction was seen before.
fn stands_at<'a>(
    policy: &Policy,
    at: Timestamp,
    answers: &'a [TransactionAnswer],
    height: u64,
) -> Agreement<&'a TxHash> {
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let Ok(voting) = voters(policy, at, &standings) else { return Agreement::Missing };
    let said = voting.into_iter().map(|index| &answers[index]).filter_map(|said| {
        let block = said.earlier.found().filter(|block| block.number == height)?;
        Some((&said.standing.source, &block.hash))
    });
    agree(policy.quorum, said.collect())
}

/// The block and the transfers of our tokens of a transaction that a quorum shows final and successful, whoever sends
/// and receives them.
#[must_use]
pub fn final_transfers(
    policy: &Policy,
    at: Timestamp,
    answers: &[TransactionAnswer],
) -> Option<(BlockId, Vec<Transfer>)> {
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let voting = voters(policy, at, &standings).ok()?;
    let finals = voting.into_iter().map(|index| &answers[index]).filter_map(|said| {
        match view(&said.standing, &said.transaction, &said.receipt, &said.block) {
            View::Final(mined) => Some((&said.standing.source, Facts::of(&mined))),
            _ => None,
        }
    });
    match agree(policy.quorum, finals.collect()) {
        Agreement::Agreed(Facts { receipt, .. }) if receipt.success => {
            Some((receipt.block.clone(), transfers(policy, receipt)))
        }
        Agreement::Agreed(_) | Agreement::Contradiction(_) | Agreement::Missing => None,
    }
}

/// What voters must agree on: place, outcome and content, not how final each holds it.
#[derive(Clone, Debug, PartialEq)]
struct Facts<'a> {
    transaction: &'a wox_events::chain::Transaction,
    receipt: &'a wox_events::chain::Receipt,
}

impl<'a> Facts<'a> {
    fn of(mined: &Mined<'a>) -> Facts<'a> {
        Facts { transaction: mined.transaction, receipt: mined.receipt }
    }
}

/// The final transaction that took the sender's slot, where a quorum shows the same one.
fn replaced(policy: &Policy, answers: &[TransactionAnswer], nulls: &[&TransactionAnswer]) -> Option<TxHash> {
    let looked_for = answers.iter().find_map(|answer| answer.transaction.found()).map(|known| &known.tx);
    let mut winners = Vec::new();
    let mut counts = Vec::new();
    for said in nulls {
        let slot = said.slot.found()?;
        counts.push(slot.finalized);
        if let Some(Consumer::Transaction { transaction, receipt, block }) = slot.consumer.found() {
            let known = wox_events::chain::Answer::Found(transaction.clone());
            if let View::Final(mined) = view(&said.standing, &known, receipt, block) {
                winners.push((&said.standing.source, (mined.transaction.tx.clone(), mined.transaction.nonce)));
            }
        }
    }
    let finalized = reached(policy.quorum, counts)?;
    match agree(policy.quorum, winners) {
        Agreement::Agreed((by, nonce)) if finalized > nonce && looked_for != Some(&by) => Some(by),
        Agreement::Agreed(_) | Agreement::Contradiction(_) | Agreement::Missing => None,
    }
}
