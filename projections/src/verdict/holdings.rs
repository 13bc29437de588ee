//! What our addresses hold together at one final block (R14): a quorum says the same of every address, or nobody knows.

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, Timestamp,
    chain::{BlockId, HoldingsAnswer},
};

use super::quorum::{Agreement, Policy, agree, voters};

/// What is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldingsVerdict {
    /// This much, in this final block.
    Held {
        /// The block.
        block: BlockId,
        /// The sum over our addresses.
        total: Amount,
    },
    /// Nobody can say.
    Unknown {
        /// Why; names sources, never their addresses.
        why: String,
    },
}

/// The verdict over what the sources said of the block `number`. Total: whatever is not proven is unknown.
#[must_use]
pub fn verdict(policy: &Policy, at: Timestamp, number: u64, answers: &[HoldingsAnswer]) -> HoldingsVerdict {
    let unknown = |why: String| HoldingsVerdict::Unknown { why };
    let standings: Vec<_> = answers.iter().map(|answer| &answer.standing).collect();
    let voting = match voters(policy, at, &standings) {
        Ok(voting) => voting,
        Err(why) => return unknown(why),
    };
    let said = voting.into_iter().map(|index| &answers[index]).filter_map(|said| {
        let block = said.block.found().filter(|block| block.number == number)?;
        said.standing.finalized.found().filter(|head| number <= head.number)?;
        let amounts = said.holdings.iter().map(|holding| Some((&holding.address, *holding.amount.found()?)));
        Some((&said.standing.source, (block, amounts.collect::<Option<Vec<_>>>()?)))
    });
    match agree(policy.quorum, said.collect()) {
        Agreement::Contradiction(who) => unknown(format!("{who} about what is held")),
        Agreement::Missing => unknown("too few sources say what is held".into()),
        Agreement::Agreed((block, amounts)) => match Amount::checked_sum(amounts.into_iter().map(|(_, held)| held)) {
            Some(total) => HoldingsVerdict::Held { block: block.clone(), total },
            None => unknown("what is held together is out of range".into()),
        },
    }
}
