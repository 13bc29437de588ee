//! The postings that make a balance: every movement into and out of an account, in order, with the balance after it.
//! Collected while the log is folded, by the very table the ledger books from; then held against the ledger.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{EventId, Position, Recorded, Revision, StreamId};
use wox_projections::{Account, Drift, Posting, Replay, postings::postings};

use crate::replay::Watch;

/// One movement of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    /// The account.
    pub account: String,
    /// Place in the log.
    pub position: Position,
    /// The event's stream.
    pub stream: StreamId,
    /// Place in the stream.
    pub revision: Revision,
    /// The event.
    pub id: EventId,
    /// What happened.
    pub kind: String,
    /// When, in microseconds since 1970.
    pub time: i64,
    /// Who caused it.
    pub actor: String,
    /// The event that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// The event it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrects: Option<EventId>,
    /// The other side of the movement.
    pub other: String,
    /// Galleons in (+) or out (-), a decimal text with its sign.
    pub amount: String,
    /// The balance after it, a decimal text.
    pub balance: String,
}

/// One account explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Statement {
    /// The account.
    pub account: String,
    /// The sum of the movements.
    pub sum: String,
    /// What the ledger says.
    pub ledger: String,
    /// True when the two are the same.
    pub agrees: bool,
    /// How many movements there are.
    pub movements: usize,
}

/// Collects the movements of some accounts. Keeps them and nothing else of the log.
pub struct Collector {
    accounts: Vec<(Account, Drift)>,
    pending: Vec<Posting>,
    applied: u64,
    entries: Vec<Entry>,
    refused: Vec<(Position, String)>,
}

impl Collector {
    /// A collector for these accounts, from an empty ledger on.
    #[must_use]
    pub fn of(accounts: Vec<Account>) -> Collector {
        let accounts = accounts.into_iter().map(|account| (account, Drift::default())).collect();
        Collector { accounts, pending: Vec::new(), applied: 0, entries: Vec::new(), refused: Vec::new() }
    }

    /// The movements, in the order of the log.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Events that would have moved money of the accounts and were refused or left out, with their kinds.
    #[must_use]
    pub fn refused(&self) -> &[(Position, String)] {
        &self.refused
    }

    /// Each account's sum beside what the ledger says.
    #[must_use]
    pub fn statements(&self, state: &Replay) -> Vec<Statement> {
        let ledger = &state.state.ledger;
        self.accounts
            .iter()
            .map(|(account, sum)| {
                let held = match account {
                    Account::External(side) => {
                        let (out, back) = ledger.external(*side);
                        Drift::between(back, out)
                    }
                    inside => Drift::between(ledger.balance(inside), wox_events::Amount::ZERO),
                };
                let name = account.to_string();
                let movements = self.entries.iter().filter(|entry| entry.account == name).count();
                Statement { sum: plain(*sum), ledger: plain(held), agrees: *sum == held, movements, account: name }
            })
            .collect()
    }

    fn touches(&self, posting: &Posting) -> bool {
        self.accounts.iter().any(|(account, _)| posting.from == *account || posting.to == *account)
    }

    fn book(&mut self, posting: &Posting, event: &Recorded) {
        let size = Drift::between(posting.amount, wox_events::Amount::ZERO);
        for (account, sum) in &mut self.accounts {
            for (side, other, change) in
                [(&posting.from, &posting.to, Drift(-size.0)), (&posting.to, &posting.from, size)]
            {
                if side != account {
                    continue;
                }
                *sum = sum.saturating_add(change);
                self.entries.push(Entry {
                    account: account.to_string(),
                    position: event.position,
                    stream: event.stream.clone(),
                    revision: event.revision,
                    id: event.id,
                    kind: kind(event),
                    time: event.time.0,
                    actor: event.actor.to_string(),
                    causation: event.causation,
                    corrects: corrects(event),
                    other: other.to_string(),
                    amount: change.to_string(),
                    balance: plain(*sum),
                });
            }
        }
    }
}

impl Watch for Collector {
    fn before(&mut self, state: &Replay, event: &Recorded) {
        self.applied = state.accounting.applied;
        self.pending.clear();
        let Ok(decoded) = &event.event else { return };
        if let Ok(found) = postings(&event.stream, decoded, &state.state) {
            self.pending = found.into_iter().filter(|posting| !posting.amount.is_zero()).collect();
            let touched: Vec<bool> = self.pending.iter().map(|posting| self.touches(posting)).collect();
            let mut touched = touched.into_iter();
            self.pending.retain(|_| touched.next().unwrap_or(false));
        }
    }

    fn after(&mut self, state: &Replay, event: &Recorded) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        if state.accounting.applied == self.applied {
            self.refused.push((event.position, kind(event)));
            return;
        }
        for posting in &pending {
            self.book(posting, event);
        }
    }
}

fn kind(event: &Recorded) -> String {
    event.event.as_ref().map(|event| event.kind().to_owned()).unwrap_or_default()
}

/// The event that this one says it corrects: every family calls the field so.
fn corrects(event: &Recorded) -> Option<EventId> {
    let (_, _, data) = event.event.as_ref().ok()?.encode().ok()?;
    let data: serde_json::Value = serde_json::from_str(data.as_str()).ok()?;
    serde_json::from_value(data.get("corrects")?.clone()).ok()
}

/// Without the plus sign: a balance, not a change.
fn plain(amount: Drift) -> String {
    amount.to_string().trim_start_matches('+').to_owned()
}
