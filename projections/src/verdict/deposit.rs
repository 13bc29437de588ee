//! The deposit table D1 to D11 (banking.md 4.1). Only [`DepositVerdict::Confirmed`] may become a credit.

use serde::{Deserialize, Serialize};
use wox_events::{
    Timestamp, TxHash,
    chain::{BlockId, Consumer, TransactionAnswer},
    deposit::Finality,
};

use super::quorum::{Agreement, Mined, Policy, Transfer, View, Vote, agree, reached, transfers, view, voters};

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
            DepositVerdict::NotADeposit { block } => {
                format!("final in block {}, but no transfer of our token to a watched address", block.number)
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
            Agreement::Agreed(Facts { receipt, .. }) => {
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
                    DepositVerdict::NotADeposit { block }
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
