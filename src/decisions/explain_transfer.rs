//! What two people say a final transfer out of our wallets paid, where no withdrawal and no burn explains it: a gift, a
//! move to a new wallet. Until they do it may be the payment of whatever is open, and forbids its release (law 2).

use wox_events::{ChainEvent, EventId, Label, StreamId, TxHash, chain};
use wox_projections::{
    State,
    explained::{FOUND_MAX, paid_for, perhaps_paid_by},
};

use crate::{
    command::{word, wox},
    procedures::{Steps, hold},
    recovery::{Case, Evidence, Finding},
};

/// What two people say of a transfer: recorded when it is final and nobody has said so before.
#[must_use]
pub(super) fn cases(evidence: &Evidence, (chain, tx): (u64, &TxHash), decided: &Decided<'_>) -> Vec<Case> {
    let register = evidence.replay.state.chain.outgoing();
    let stream = chain::stream(chain);
    if register.explained(tx).is_some() {
        return Vec::new();
    }
    let explain = |finding: Finding, evidence_of: EventId| {
        let event = ChainEvent::TransferExplained {
            chain,
            tx: tx.clone(),
            purpose: decided.purpose.to_owned(),
            evidence: evidence_of,
            first: decided.first.clone(),
            second: decided.second.clone(),
        };
        let says = format!("record what it paid: {}{}", decided.purpose, then_unpaid(&evidence.replay.state, tx));
        let repair = Steps::on(evidence, stream.clone()).add(evidence_of, tx.as_str(), event, says).repair();
        vec![Case { finding, repair }]
    };
    let Some(sent) = register.get(tx) else {
        // A sweep of a watched address pays nobody, and is a move of ours all the same.
        if let Some((look, moved)) = evidence.replay.state.chain.moved_by_us(tx) {
            let moved: Vec<String> =
                moved.iter().map(|one| format!("{} G from {} to {}", one.value, one.from, one.to)).collect();
            let says = format!("{tx} moved {}", moved.join(", "));
            let since = Some(look.event.clone());
            return explain(Finding { since, ..finding(&stream, says) }, look.event.id);
        }
        let says = format!("no look at the chain shows {tx} moving our tokens out of our wallets");
        let next =
            format!("have it looked at: wox observe transaction {}, or wox observe wallet 0x… --from 0", word(tx));
        return vec![Case { finding: finding(&stream, says), repair: hold("there is nothing to explain", next) }];
    };
    let finding = Finding { since: Some(sent.event.clone()), ..finding(&stream, sent.says()) };
    if let Some(named) = paid_for(&evidence.replay.state, tx) {
        let next = wox(["recover", named.as_str()]);
        return vec![Case { finding, repair: hold(format!("it is the payment of {named}, by name and amount"), next) }];
    }
    if !sent.is_final {
        let next = format!("look again when its block is final: wox observe transaction {}", word(tx));
        return vec![Case { finding, repair: hold("it is not final, and may still become another", next) }];
    }
    explain(finding, sent.event.id)
}

/// What then counts as not paid by it: two people who mean one of these must not say so here.
fn then_unpaid(state: &State, tx: &TxHash) -> String {
    let Some(sent) = state.chain.outgoing().get(tx) else { return String::new() };
    let unpaid: Vec<String> = perhaps_paid_by(state, sent).map(|due| due.stream.to_string()).collect();
    let named = unpaid[..unpaid.len().min(FOUND_MAX)].join(", ");
    match unpaid.len() {
        0 => String::new(),
        1..=FOUND_MAX => format!("; so it is no payment of {named}"),
        more => format!("; so it is no payment of {named} and {} more", more - FOUND_MAX),
    }
}

/// Who says so, and what.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    /// Who proposes it.
    pub(super) first: &'a Label,
    /// Who has to approve it.
    pub(super) second: &'a Label,
    /// What it paid.
    pub(super) purpose: &'a str,
}

fn finding(stream: &StreamId, says: String) -> Finding {
    // Nobody looks for such transfers: a wallet has a past that this log need not know.
    Finding::new("unexplained_transfer", "R14", "WOX-BANK-VERIFY-002", stream, says)
}
