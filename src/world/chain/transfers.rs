//! Finding transactions that moved our tokens, in a range of blocks. What is found is only a name: a transaction is believed
//! when it is looked at, by a quorum. So whichever node names one is enough, and one that keeps quiet hides nothing that
//! another shows.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use wox_events::{TxHash, id::Label};

use super::{Network, ask, parse, standing, standing::Session, transport::Call};

/// What was found in a range of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Transactions with a transfer from or to one of our addresses, by whichever source names them.
    pub transactions: BTreeSet<TxHash>,
    /// The last block that was searched.
    pub until: u64,
    /// Sources that could not answer for every part of the range.
    pub failed: BTreeSet<Label>,
    /// True when every part of the range was answered for by one source at least.
    pub complete: bool,
}

/// Blocks of one question: what every provider answers.
const BLOCKS: u64 = 1_000;
/// Most blocks of one search.
const BLOCKS_MAX: u64 = 100_000;

impl Network {
    /// The transactions that moved our tokens from or to our addresses, from a block on up to another, or up to the newest
    /// block that is final for all. `None` when no node names a final block.
    pub async fn find_transfers(&self, from: u64, to: Option<u64>) -> Option<Found> {
        let mut sessions: Vec<_> = self.sessions().into_iter().filter(Session::is_node).collect();
        self.open(&mut sessions, &[]).await;
        let last = standing::anchor(&sessions)?;
        let until = to.unwrap_or(last).min(last).min(from.saturating_add(BLOCKS_MAX - 1));
        let parts: Vec<(u64, u64)> = (from..=until)
            .step_by(usize::try_from(BLOCKS).unwrap_or(usize::MAX))
            .map(|begin| (begin, until.min(begin.saturating_add(BLOCKS - 1))))
            .collect();
        let calls: Vec<Call> = parts
            .iter()
            .flat_map(|(begin, end)| {
                [false, true].map(|incoming| {
                    ask::transfers(&self.interest.tokens, &self.interest.addresses, incoming, *begin, *end)
                })
            })
            .collect();
        let said = join_all(sessions.iter_mut().map(|session| session.ask(&calls))).await;
        let mut found = Found { until, ..Found::default() };
        let mut answered = vec![false; calls.len()];
        for (session, said) in sessions.iter().zip(said) {
            for (index, answer) in said.iter().enumerate() {
                let Some((begin, end)) = parts.get(index / 2).copied() else { continue };
                match ask::read(answer, |value| parse::named_by_logs(value, begin, end)).found() {
                    Some(hashes) => {
                        answered[index] = true;
                        found.transactions.extend(hashes.iter().cloned());
                    }
                    None => drop(found.failed.insert(session.endpoint.source().name.clone())),
                }
            }
        }
        found.complete = answered.into_iter().all(|answered| answered);
        self.finish(&sessions);
        Some(found)
    }
}
