//! What each source shows of a thing, in words, and which source contradicts what enough others show. A verdict rests on
//! what a quorum shows, so a contradiction changes none; it is told all the same, because somebody lies or is broken.

use wox_events::{
    Timestamp,
    chain::{Answer, Consumer, Receipt, ScanAnswer, SlotAnswer, SlotUse, Standing, Transaction, TransactionAnswer},
};
use wox_projections::verdict::quorum::{Policy, View, transfers, view, voters};

/// The indexes of the answers that vote, and whether they are enough. Too few vote all the same: that each of them would be
/// heard is what whoever looks for the missing ones needs to know.
pub(super) fn voting(policy: &Policy, at: Timestamp, standings: &[&Standing]) -> (Vec<usize>, bool) {
    match voters(policy, at, standings) {
        Ok(voting) => (voting, true),
        Err(_) => (voters(&Policy { quorum: 1, ..policy.clone() }, at, standings).unwrap_or_default(), false),
    }
}

/// Every source that contradicts what a quorum shows of a transaction, one line each, by name.
#[must_use]
pub fn contradictions(policy: &Policy, at: Timestamp, answers: &[TransactionAnswer]) -> Vec<String> {
    let standings: Vec<&Standing> = answers.iter().map(|said| &said.standing).collect();
    let (voting, _) = voting(policy, at, &standings);
    let claims: Vec<Option<Claim<'_>>> = answers.iter().map(Claim::of).collect();
    let sharing = |claim: &Claim<'_>| -> Vec<usize> {
        voting.iter().copied().filter(|index| claims[*index].as_ref() == Some(claim)).collect()
    };
    let groups = voting.iter().filter_map(|index| Some((claims[*index].as_ref()?, sharing(claims[*index].as_ref()?))));
    let Some((shown, by)) = groups.max_by_key(|(_, by)| by.len()) else { return Vec::new() };
    // Half against half is no quorum against anybody.
    let others = voting.iter().filter(|index| claims[**index].is_some()).count() - by.len();
    if policy.quorum == 0 || by.len() < policy.quorum as usize || by.len() <= others {
        return Vec::new();
    }
    let name = |index: usize| answers[index].standing.source.to_string();
    let names = by.iter().map(|index| name(*index)).collect::<Vec<_>>().join(", ");
    let newest = |index: usize| answers[index].standing.latest.found().map(|head| head.number);
    let against = |(index, claim): (usize, &Option<Claim<'_>>)| {
        let claim = claim.as_ref().filter(|claim| *claim != shown)?;
        let (its, theirs) = (claim.says(policy), shown.says(policy));
        // Who has not come that far yet contradicts nobody.
        let behind = |claim: &Claim<'_>, other: Option<u64>| {
            claim.block().is_some_and(|block| other.is_some_and(|newest| newest < block))
        };
        let all_behind = by.iter().all(|by| behind(claim, newest(*by)));
        if matches!(claim, Claim::Nothing) && behind(shown, newest(index))
            || matches!(shown, Claim::Nothing) && all_behind
        {
            return None;
        }
        Some(match its == theirs {
            true => format!("{} contradicts {names}: {its}, with another transaction, block or log", name(index)),
            false => format!("{} contradicts {names}: it shows {its}; they show {theirs}", name(index)),
        })
    };
    claims.iter().enumerate().filter_map(against).collect()
}

/// What a source claims of a transaction, however final it holds it. Failures, and what waits in a pool, claim nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Claim<'a> {
    Mined(&'a Transaction, &'a Receipt),
    Nothing,
}

impl<'a> Claim<'a> {
    fn of(said: &'a TransactionAnswer) -> Option<Claim<'a>> {
        match (&said.transaction, &said.receipt) {
            (Answer::Found(transaction), Answer::Found(receipt)) => Some(Claim::Mined(transaction, receipt)),
            (Answer::Null {}, Answer::Null {}) => Some(Claim::Nothing),
            _ => None,
        }
    }

    fn block(&self) -> Option<u64> {
        match self {
            Claim::Mined(_, receipt) => Some(receipt.block.number),
            Claim::Nothing => None,
        }
    }

    fn says(&self, policy: &Policy) -> String {
        match self {
            Claim::Mined(_, receipt) => format!("block {}, {}", receipt.block.number, outcome(policy, receipt)),
            Claim::Nothing => "nothing (null)".into(),
        }
    }
}

/// How a transaction ended, and what of our tokens it moved to whom.
fn outcome(policy: &Policy, receipt: &Receipt) -> String {
    if !receipt.success {
        return "failed".into();
    }
    let moved = transfers(policy, receipt);
    let paid: Vec<String> = moved.iter().map(|one| format!("{} G to {}", one.value, one.to)).collect();
    let others = receipt.logs.len() - moved.len();
    let more = match (moved.is_empty(), others) {
        (true, 0) => "no log of it concerns us".to_owned(),
        (true, 1) => "1 log of it concerns us, and none is a transfer of our tokens".to_owned(),
        (true, _) => format!("{others} logs of it concern us, and none is a transfer of our tokens"),
        (false, 0) => paid.join(", "),
        (false, _) => format!("{}, and {others} more of its logs concern us", paid.join(", ")),
    };
    format!("succeeded, {more}")
}

pub(super) fn of_transaction(policy: &Policy, said: &TransactionAnswer) -> String {
    match view(&said.standing, &said.transaction, &said.receipt, &said.block) {
        View::Final(mined) => {
            format!("final in block {}, {}", mined.receipt.block.number, outcome(policy, mined.receipt))
        }
        View::Canonical(mined, _) => {
            format!("in block {}, not final, {}", mined.receipt.block.number, outcome(policy, mined.receipt))
        }
        View::Detached => "a receipt without a block of its chain".into(),
        View::Pool(_) => "in its pool".into(),
        View::Null => match said.slot.found() {
            Some(slot) => format!("null; {}", of_use(policy, slot)),
            None => "null".into(),
        },
        View::Failed => {
            let receipt = match said.receipt.found() {
                Some(receipt) => format!("found (block {}, {})", receipt.block.number, outcome(policy, receipt)),
                None => word(&said.receipt),
            };
            format!("transaction {}, receipt {receipt}, block {}", word(&said.transaction), word(&said.block))
        }
    }
}

pub(super) fn of_slot(policy: &Policy, said: &SlotAnswer) -> String {
    let mut parts = vec![said.slot.found().map_or_else(|| word(&said.slot), |slot| of_use(policy, slot))];
    for attempt in &said.attempts {
        let known = match attempt.transaction.found() {
            Some(transaction) => match &transaction.block {
                Some(block) => format!("in block {}", block.number),
                None => "in its pool".into(),
            },
            None => word(&attempt.transaction),
        };
        parts.push(format!("{}: {known}", short(&attempt.tx)));
    }
    parts.join("; ")
}

fn of_use(policy: &Policy, slot: &SlotUse) -> String {
    let taken = match &slot.consumer {
        Answer::Found(Consumer::Transaction { transaction, receipt, .. }) => {
            let block = transaction.block.as_ref().map(|block| format!(" in block {}", block.number));
            let ended = receipt.found().map(|receipt| format!(", {}", outcome(policy, receipt)));
            let (block, ended) = (block.unwrap_or_default(), ended.unwrap_or_default());
            format!(", the slot is {}'s{block}{ended}", short(&transaction.tx))
        }
        Answer::Found(Consumer::Unsigned { block }) => {
            format!(", the slot was used up in block {} by nothing signed", block.number)
        }
        Answer::NotAsked {} => String::new(),
        other => format!(", what took the slot: {}", word(other)),
    };
    format!("sent {}, {} of it final{taken}", slot.latest, slot.finalized)
}

pub(super) fn of_scan(said: &ScanAnswer) -> String {
    let shown = said.slots.iter().filter(|slot| slot.found().is_some()).count();
    match said.finalized.found() {
        Some(count) => {
            format!("sent {count} up to its final block; shows what took {shown} of {} slots", said.slots.len())
        }
        None => word(&said.finalized),
    }
}

/// An answer as one word; what was found is told elsewhere.
fn word<T>(answer: &Answer<T>) -> String {
    match answer {
        Answer::Found(_) => "found".into(),
        Answer::Null {} => "null".into(),
        Answer::Error { class } => format!("failed ({})", class.says()),
        Answer::Timeout {} => "silence".into(),
        Answer::NotAsked {} => "not asked".into(),
    }
}

/// The beginning of a hash: enough to tell attempts of one slot apart.
fn short(tx: &wox_events::TxHash) -> String {
    tx.as_str().chars().take(10).collect()
}
