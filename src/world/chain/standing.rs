//! One source during one look: where it stands, what it has been asked, and the digest of all it said.

use futures_util::future::join_all;
use serde_json::Value;
use wox_events::{
    TxHash,
    chain::{Answer, BlockId, Head, Standing},
};

use super::{
    Network, ask, parse,
    transport::{Call, Endpoint, Transcript},
};

/// A source that is being asked.
pub(super) struct Session<'a> {
    pub(super) endpoint: &'a Endpoint,
    transcript: Transcript,
    trips: u64,
    chain: Answer<u64>,
    genesis: Answer<TxHash>,
    latest: Answer<Head>,
    safe: Answer<Head>,
    finalized: Answer<Head>,
    anchor: Answer<BlockId>,
}

/// The questions about a source itself; they go in front of the first batch of every look, so that no look rests on
/// where a source stood some other time.
const OPENING: usize = 5;

impl<'a> Session<'a> {
    pub(super) fn new(endpoint: &'a Endpoint) -> Session<'a> {
        Session {
            endpoint,
            transcript: Transcript::default(),
            trips: 0,
            chain: Answer::NotAsked {},
            genesis: Answer::NotAsked {},
            latest: Answer::NotAsked {},
            safe: Answer::NotAsked {},
            finalized: Answer::NotAsked {},
            anchor: Answer::NotAsked {},
        }
    }

    /// Asks and reads where the source stands, together with the first questions of a look.
    pub(super) async fn open(&mut self, calls: Vec<Call>) -> Vec<Answer<Value>> {
        let mut all = vec![
            ask::chain_id(),
            ask::block(0, false),
            ask::tagged("latest"),
            ask::tagged("safe"),
            ask::tagged("finalized"),
        ];
        debug_assert_eq!(all.len(), OPENING, "the answers are taken apart below");
        all.extend(calls);
        let mut said = self.ask(&all).await;
        let rest = said.split_off(OPENING);
        if let [chain, genesis, latest, safe, finalized] = said.as_slice() {
            self.chain = ask::read(chain, parse::quantity);
            self.genesis = ask::read(genesis, |value| parse::block_at(value, 0).map(|block| block.hash));
            self.latest = ask::read(latest, parse::head);
            self.safe = ask::read(safe, parse::head);
            self.finalized = ask::read(finalized, parse::head);
        }
        rest
    }

    /// Asks more; nothing costs nothing.
    pub(super) async fn ask(&mut self, calls: &[Call]) -> Vec<Answer<Value>> {
        if calls.is_empty() {
            return Vec::new();
        }
        self.trips += 1;
        self.endpoint.ask(calls, &mut self.transcript).await
    }

    /// The source's newest final block.
    pub(super) fn finalized(&self) -> Option<u64> {
        self.finalized.found().map(|head| head.number)
    }

    /// The source's newest block.
    pub(super) fn latest(&self) -> Option<u64> {
        self.latest.found().map(|head| head.number)
    }

    /// True when the source can be asked what only a node knows.
    pub(super) fn is_node(&self) -> bool {
        super::is_node(self.endpoint.source())
    }

    /// Reads the block at the common final height.
    pub(super) fn take_anchor(&mut self, answer: &Answer<Value>, number: u64) {
        self.anchor = ask::read(answer, |value| parse::block_at(value, number));
    }

    /// Where the source stood, with the digest of all it said.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            source: self.endpoint.source().name.clone(),
            chain: self.chain.clone(),
            genesis: self.genesis.clone(),
            latest: self.latest.clone(),
            safe: self.safe.clone(),
            finalized: self.finalized.clone(),
            anchor: self.anchor.clone(),
            digest: self.transcript.digest(),
        }
    }
}

/// The highest height that so many sources call final, or the lowest that any does where they are fewer: who stands far
/// behind the others does not take them back.
pub(super) fn anchor_of(sessions: &[Session<'_>], quorum: u32) -> Option<u64> {
    let mut heights: Vec<u64> = sessions.iter().filter_map(Session::finalized).collect();
    heights.sort_unstable_by(|one, other| other.cmp(one));
    let place = usize::try_from(quorum).unwrap_or(usize::MAX).saturating_sub(1);
    heights.get(place).or(heights.last()).copied()
}

/// The lowest final height of the sources that state one: there their blocks are compared.
pub(super) fn anchor(sessions: &[Session<'_>]) -> Option<u64> {
    sessions.iter().filter_map(Session::finalized).min()
}

impl Network {
    /// One session a source.
    pub(super) fn sessions(&self) -> Vec<Session<'_>> {
        self.sources.iter().map(Session::new).collect()
    }

    /// Opens every session with the same first questions, at the same time, and waits for all: the sources are compared
    /// at a height that all of them have. Gives what each said, in the order of the sessions.
    pub(super) async fn open<'a>(&self, sessions: &mut [Session<'a>], calls: &[Call]) -> Vec<Vec<Answer<Value>>> {
        join_all(sessions.iter_mut().map(|session| session.open(calls.to_vec()))).await
    }

    /// A look is over: it cost as many round trips as the source that had the most.
    pub(super) fn finish(&self, sessions: &[Session<'_>]) {
        self.add_round_trips(sessions.iter().map(|session| session.trips).max().unwrap_or(0));
    }
}
