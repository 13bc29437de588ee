//! Who votes, and whether enough of them say the same (banking.md 4, "A source VOTES only if …").

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, Duration, Timestamp, TxHash,
    chain::{Answer, BlockId, Membership, Receipt, Source, SourceKind, Standing, Transaction},
    id::Label,
};

/// The rules a chain is judged by, as last declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Chain id.
    pub chain: u64,
    /// The hash of block 0.
    pub genesis: TxHash,
    /// How many sources must say the same; 0 counts as never enough.
    pub quorum: u32,
    /// The sources.
    pub sources: Vec<Source>,
    /// Contracts whose transfers are our money.
    pub tokens: Vec<Label>,
    /// Addresses whose incoming transfers are deposits.
    pub watched: Vec<Label>,
    /// Wallets that pay.
    pub wallets: Vec<Label>,
    /// Deposits below it wait in suspense.
    pub minimum: Amount,
    /// A source whose finalized block is older does not vote.
    pub finalized_age_max: Duration,
    /// True when every signed attempt is in the log before it can be sent.
    pub journaled: bool,
}

/// What a voter says when it is asked for one thing; `None` when it says nothing that counts.
pub type Vote<'a, T> = (&'a Label, T);

/// What the voters make of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement<T> {
    /// At least a quorum says this and nobody says otherwise.
    Agreed(T),
    /// Two voters say different things; the texts name them.
    Contradiction(String),
    /// Fewer than a quorum say anything.
    Missing,
}

/// The indexes of the answers that vote, in order. `Err` says why too few do, naming sources.
pub fn voters(policy: &Policy, at: Timestamp, standings: &[&Standing]) -> Result<Vec<usize>, String> {
    let needed = policy.quorum as usize;
    let mut out = Vec::new();
    let mut candidates: BTreeMap<&Label, (usize, &BlockId)> = BTreeMap::new();
    let mut operators: BTreeMap<&Label, &Label> = BTreeMap::new();
    // By name, so that the order of the answers decides nothing.
    let mut by_name: BTreeMap<&Label, Vec<usize>> = BTreeMap::new();
    for (index, standing) in standings.iter().enumerate() {
        by_name.entry(&standing.source).or_default().push(index);
    }
    for (source, said) in by_name {
        let index = said[0];
        // The digest of all it said is part of a standing: who says two things says nothing.
        if said.iter().any(|other| standings[*other] != standings[index]) {
            out.push(format!("{source} contradicts itself"));
            continue;
        }
        match qualifies(policy, at, standings[index]) {
            Err(why) => out.push(format!("{source} {why}")),
            Ok((operator, _)) if operators.contains_key(operator) => {
                out.push(format!("{source} speaks for {operator} a second time"));
            }
            Ok((operator, anchor)) => {
                operators.insert(operator, source);
                candidates.insert(source, (index, anchor));
            }
        }
    }
    let mut groups: BTreeMap<&BlockId, Vec<usize>> = BTreeMap::new();
    for (index, anchor) in candidates.values() {
        groups.entry(anchor).or_default().push(*index);
    }
    let most = groups.values().map(Vec::len).max().unwrap_or(0);
    let mut largest = groups.iter().filter(|(_, members)| members.len() == most);
    match (largest.next(), largest.next()) {
        (Some((_, members)), None) if needed > 0 && members.len() >= needed => {
            let mut members = members.clone();
            members.sort_unstable();
            Ok(members)
        }
        (Some(_), Some(_)) if most > 0 && needed > 0 => {
            let names: Vec<&str> = candidates.keys().map(|name| name.as_str()).collect();
            Err(format!("sources are on different chains of blocks: {}", names.join(", ")))
        }
        _ => {
            out.sort();
            let why = if out.is_empty() { String::new() } else { format!(": {}", out.join("; ")) };
            Err(format!("{most} of {needed} sources needed vote{why}"))
        }
    }
}

/// Whether one source may vote: its operator and its block at the common height, or why not.
fn qualifies<'a>(
    policy: &'a Policy,
    at: Timestamp,
    standing: &'a Standing,
) -> Result<(&'a Label, &'a BlockId), Cow<'static, str>> {
    let declared = policy.sources.iter().find(|source| source.name == standing.source).ok_or("is not declared")?;
    if declared.kind != SourceKind::Node {
        return Err("is no node and only corroborates".into());
    }
    let chain = said(&standing.chain, "does not name its chain")?;
    let genesis = said(&standing.genesis, "does not name its chain")?;
    if chain != &policy.chain || genesis != &policy.genesis {
        return Err("is on another chain".into());
    }
    let (Some(latest), Some(safe), Some(finalized)) =
        (standing.latest.found(), standing.safe.found(), standing.finalized.found())
    else {
        return Err("does not say where it stands".into());
    };
    if finalized.number > safe.number || safe.number > latest.number {
        return Err("states heads out of order".into());
    }
    if at.since(finalized.time) > policy.finalized_age_max {
        return Err("lags".into());
    }
    let anchor = said(&standing.anchor, "does not show its final block")?;
    if anchor.number > finalized.number {
        return Err("shows a block that is not final".into());
    }
    Ok((&declared.operator, anchor))
}

/// What a source said, or what it did instead: no answer, an error and `null` are three things.
fn said<'a, T>(answer: &'a Answer<T>, otherwise: &'static str) -> Result<&'a T, Cow<'static, str>> {
    match answer {
        Answer::Found(found) => Ok(found),
        Answer::Null {} => Err(format!("{otherwise}: it says null").into()),
        Answer::Timeout {} => Err(format!("{otherwise}: no answer in time").into()),
        Answer::Error { class } => Err(format!("{otherwise}: {}", class.says()).into()),
        Answer::NotAsked {} => Err(otherwise.into()),
    }
}

/// Whether at least `quorum` voters say the same and none says otherwise.
pub fn agree<T: PartialEq>(quorum: u32, votes: Vec<Vote<'_, T>>) -> Agreement<T> {
    let enough = quorum > 0 && votes.len() >= quorum as usize;
    let mut votes = votes.into_iter();
    let Some((first, said)) = votes.next() else { return Agreement::Missing };
    for (other, says) in votes {
        if says != said {
            return Agreement::Contradiction(format!("{first} and {other} disagree"));
        }
    }
    if enough { Agreement::Agreed(said) } else { Agreement::Missing }
}

/// The largest figure that at least `quorum` voters reach.
#[must_use]
pub fn reached(quorum: u32, mut figures: Vec<u64>) -> Option<u64> {
    figures.sort_unstable_by(|left, right| right.cmp(left));
    figures.get((quorum as usize).checked_sub(1)?).copied()
}

/// Types of transactions this build can judge; 126 is a deposit from the base layer (banking.md 3.2).
const KINDS: [u8; 5] = [0, 1, 2, 4, 126];

/// A transaction in a block, as one source states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mined<'a> {
    /// The transaction.
    pub transaction: &'a Transaction,
    /// Its receipt.
    pub receipt: &'a Receipt,
}

/// How one source sees a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View<'a> {
    /// In a block at or below the source's final one.
    Final(Mined<'a>),
    /// In a block of the chain, not final; true when its batch is on the base layer.
    Canonical(Mined<'a>, bool),
    /// A receipt without a block of the chain that has it: preconfirmed, or stale (D3).
    Detached,
    /// Waiting in the source's pool.
    Pool(&'a Transaction),
    /// Not known to the source.
    Null,
    /// No answer that counts.
    Failed,
}

/// How a source sees a transaction: `Canonical(r)` and `Final(r)` of banking.md 4.
#[must_use]
pub fn view<'a>(
    standing: &'a Standing,
    transaction: &'a Answer<Transaction>,
    receipt: &'a Answer<Receipt>,
    block: &'a Answer<Membership>,
) -> View<'a> {
    let (Some(latest), Some(safe), Some(finalized)) =
        (standing.latest.found(), standing.safe.found(), standing.finalized.found())
    else {
        return View::Failed;
    };
    if transaction.is_failure() || receipt.is_failure() || block.is_failure() {
        return View::Failed;
    }
    match (transaction, receipt) {
        (Answer::Null {}, Answer::Null {}) => View::Null,
        (Answer::Found(transaction), _) if !KINDS.contains(&transaction.kind) => View::Failed,
        (Answer::Found(transaction), Answer::Null {}) => match transaction.block {
            None => View::Pool(transaction),
            Some(_) => View::Detached,
        },
        (Answer::Found(transaction), Answer::Found(receipt)) => {
            if transaction.tx != receipt.tx {
                return View::Failed;
            }
            if receipt.block.number > latest.number || transaction.block.as_ref() != Some(&receipt.block) {
                return View::Detached;
            }
            match block {
                Answer::Found(member) if member.contains && member.block == receipt.block => {
                    let mined = Mined { transaction, receipt };
                    match receipt.block.number {
                        number if number <= finalized.number => View::Final(mined),
                        number => View::Canonical(mined, number <= safe.number),
                    }
                }
                Answer::Found(_) | Answer::Null {} => View::Detached,
                Answer::Error { .. } | Answer::Timeout {} | Answer::NotAsked {} => View::Failed,
            }
        }
        _ => View::Failed,
    }
}

/// A transfer of one of our tokens, as a log states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The place of the log in the receipt.
    pub ordinal: u32,
    /// Its place in the block.
    pub log_index: u64,
    /// The contract.
    pub token: Label,
    /// The sender in the log.
    pub from: Label,
    /// The receiver in the log.
    pub to: Label,
    /// The value in the log.
    pub value: Amount,
}

/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// The transfers of our tokens in a receipt, in order ("Matching log", banking.md 4.1, receiver aside). Zero values,
/// four topics, other contracts and figures beyond the range of amounts are none.
#[must_use]
pub fn transfers(policy: &Policy, receipt: &Receipt) -> Vec<Transfer> {
    if !receipt.success {
        return Vec::new();
    }
    let ours = receipt.logs.iter().filter(|log| !log.removed && policy.tokens.contains(&log.address));
    ours.filter_map(|log| {
        let [signature, from, to] = log.topics.as_slice() else { return None };
        if signature.as_str() != TRANSFER {
            return None;
        }
        let digits = log.data.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
        if digits.bytes().take(32).any(|digit| digit != b'0') {
            return None;
        }
        let value = Amount::from_base_units(u128::from_str_radix(digits.get(32..)?, 16).ok()?).ok()?;
        if value.is_zero() {
            return None;
        }
        Some(Transfer {
            ordinal: log.ordinal,
            log_index: log.log_index,
            token: log.address.clone(),
            from: address(from)?,
            to: address(to)?,
            value,
        })
    })
    .collect()
}

/// Whether a log is named as a transfer is, whatever its contract means by it.
pub(super) fn is_transfer(log: &wox_events::chain::Log) -> bool {
    log.topics.first().is_some_and(|signature| signature.as_str() == TRANSFER)
}

/// To whom a log says that something went.
pub(super) fn receiver(log: &wox_events::chain::Log) -> Option<Label> {
    address(log.topics.get(2)?)
}

/// The address in a topic: twelve zero bytes, then twenty bytes.
fn address(topic: &TxHash) -> Option<Label> {
    let digits = topic.as_str().strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    let (zeros, address) = digits.split_at_checked(24)?;
    if zeros.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Label::new(format!("0x{address}")).ok()
}
