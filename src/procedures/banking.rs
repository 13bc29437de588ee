//! Chapter "banking": deposits, withdrawals, burns, the prize pool, and the chain's word on all of them.

pub mod burn_in_doubt;
pub mod changed_rules;
pub mod custody_drift;
pub mod duplicate_deposit;
pub mod finality_violation;
pub mod misbooked_deposit;
pub mod pool_drift;
pub mod settled_payment;
pub mod uncredited_deposit;
pub mod vanished_deposit;
pub mod withdrawal_in_doubt;

use wox_events::{
    Amount, DepositEvent, Label, PlayerId, StreamId, TxHash,
    chain::{BlockId, Intent},
    deposit::Finality,
};
use wox_projections::{
    Account, State,
    chain::Judged,
    deposits::Credit,
    due::Due,
    explained::{unexplained, unexplained_elsewhere},
    verdict::{
        WithdrawalVerdict,
        quorum::Transfer,
        withdrawal::{Payment, signed_elsewhere},
    },
};

use super::{Steps, as_incident, hold, stream};
use crate::{
    command::{word, wox},
    recovery::{Evidence, Repair, plan::holds},
    rfc3339,
};

/// The transaction and the chain of a look, where its subject is a hash.
fn transaction(judged: &Judged<'_>) -> Option<(TxHash, u64)> {
    Some((TxHash::new(judged.look.subject.as_str()).ok()?, judged.look.chain))
}

/// What a recovery writes of a transfer that came in for good; `None` where no answer has it any more.
fn observed(evidence: &Evidence, judged: &Judged<'_>, came: &Transfer, block: &BlockId) -> Option<DepositEvent> {
    let (source, digest) = evidence.replay.state.chain.witness(judged.look, block)?;
    let (tx, chain) = transaction(judged)?;
    Some(DepositEvent::DepositObserved {
        chain,
        tx,
        ordinal: came.ordinal,
        log_index: came.log_index,
        block: block.number,
        block_hash: block.hash.clone(),
        token: came.token.clone(),
        from: came.from.clone(),
        to: came.to.clone(),
        value: came.value,
        finality: Finality::Finalized,
        source,
        digest,
    })
}

/// What a person decides of a deposit that is credited to another: the credit moves, where it is still there.
fn moved_to(evidence: &Evidence, stream: &StreamId, (credit, came): (&Credit, Amount), to: &PlayerId) -> Repair {
    let state = &evidence.replay.state;
    let held = holds(state, &Account::Withdrawable(credit.player.clone()));
    if credit.amount.checked_add(credit.dust) != Some(came) {
        let next = format!("apply first what is planned by {}", wox(["recover", stream.as_str()]));
        return hold(format!("{} G were credited of {came} G that came", credit.amount), next);
    }
    if state.ledger.player(to).is_none() {
        return hold(format!("the log knows no player {to}"), "name the player by the id of their stream");
    }
    if held < credit.amount {
        return hold(
            format!("player {} holds {held} G of the {} G that would move", credit.player, credit.amount),
            format!("agree with both, then {}", as_incident(stream)),
        );
    }
    let (from, amount, corrects) = (credit.player.clone(), credit.amount, credit.event.id);
    let says =
        format!("move {amount} G from player {from} to player {to}, withdrawable: whose deposit it is was decided");
    let corrected = DepositEvent::AttributionCorrected { from, to: to.clone(), amount, corrects };
    // Moved there and back is moved twice: each move follows from the one before.
    let cause = credit.moved_by.unwrap_or(credit.event.id);
    Steps::on(evidence, stream.clone()).add(cause, to.as_str(), corrected, says).repair()
}

/// What a person does next about a withdrawal or a burn whose outcome is unknown: what can be asked of the signer, as it is
/// typed, or what to wait for.
pub(crate) fn next(
    evidence: &Evidence,
    what: &str,
    id: &str,
    verdict: &WithdrawalVerdict,
    slots: &[Payment],
) -> String {
    let state = &evidence.replay.state;
    if let Some(unseen) = unseen(evidence, what, id) {
        return unseen;
    }
    let typed = word(id);
    if let WithdrawalVerdict::Unknown { .. } = verdict
        && let Some(next) = misjournaled_next(state, what, id, slots)
    {
        return next;
    }
    if let WithdrawalVerdict::Unknown { .. } = verdict
        && let Some(due) = Due::of(state, &stream(what, id))
        && let Some(next) = unexplained_next(state, &due, &wox(["recover", what, id]))
    {
        return next;
    }
    let asked = slots.iter().flat_map(|slot| &slot.asked).max_by_key(|asked| asked.at);
    let free = verdict.permits(Intent::Fence);
    if let Some(asked) = asked.filter(|_| free) {
        let since = rfc3339::text(asked.at);
        return format!(
            "{} asked the signer for a {} at {since}; wox observe {what} {typed} shows it",
            asked.by, asked.intent
        );
    }
    match verdict {
        WithdrawalVerdict::Pending => {
            format!("wait; if it stays: wox recover {what} {typed} --bump --why REASON, or --fence to give it up")
        }
        WithdrawalVerdict::DroppedButValid => {
            format!("wox recover {what} {typed} --rebroadcast --why REASON, or --fence to give it up")
        }
        WithdrawalVerdict::NonceGap { next } => match holder(state, slots, *next) {
            Some(holder) => format!("slot {next} is {holder}'s: look at that first, {}", wox(["recover", &holder])),
            None => format!("nobody in this log signed for slot {next}: have the signer say what it was, or fill it"),
        },
        WithdrawalVerdict::NotSent
        | WithdrawalVerdict::Executed { .. }
        | WithdrawalVerdict::Reverted { .. }
        | WithdrawalVerdict::Cancelled { .. } => format!("wox recover {what} {typed} plans what follows"),
        // Paid by a transaction that nobody journaled: as soon as the signer says that it is its own, it settles.
        WithdrawalVerdict::ForeignConsumer { paid_destination: true, of: Some(other), .. } => format!(
            "never give it back, its address was paid: what it was signed for is looked at first, {}",
            wox(["recover", other.as_str()])
        ),
        WithdrawalVerdict::ForeignConsumer { tx, paid_destination: true, of: None } => format!(
            "never give it back, its address was paid: wox explain {what} {typed} shows by what; if {tx} is the signer's own, \
             have it append its TxSigned, and wox recover {what} {typed} settles it; else stop paying from this wallet"
        ),
        // Paid, but not what was due: neither the whole nor nothing goes back.
        WithdrawalVerdict::Anomaly { tx, paid, .. } if !paid.is_zero() && what == "burn" => format!(
            "{tx} burned {paid} G: where it burned other shares too, append BurnTxBroadcast with that hash to each of \
             them, and once they are its sum, wox recover {what} {typed} settles it; else find out what was burned, {}",
            as_incident(&stream(what, id))
        ),
        WithdrawalVerdict::Anomaly { tx, paid, .. } if !paid.is_zero() => format!(
            "never give it back whole: {tx} paid {paid} G of it; stop paying from this wallet, agree with the player on the \
             difference, {}",
            as_incident(&stream(what, id))
        ),
        WithdrawalVerdict::Anomaly { .. }
        | WithdrawalVerdict::ForeignConsumer { .. }
        | WithdrawalVerdict::ConsumedOtherwise { .. } => {
            let decide = match what {
                "withdrawal" => format!("two people decide: wox recover {what} {typed} --second NAME --why REASON"),
                // No decision gives a share back that still waits to be burned.
                _ => {
                    format!("wox explain {what} {typed} shows what took its slot; have the signer burn it in a new one")
                }
            };
            format!("{}; {decide}", verdict.next())
        }
        WithdrawalVerdict::PendingFinality | WithdrawalVerdict::Unknown { .. } => {
            format!("{}: wox observe {what} {typed}", verdict.next())
        }
    }
}

/// What to do about a payment that the log says wrongly: of another slot than it was journaled for, or from a wallet that no
/// rules name.
fn misjournaled_next(state: &State, what: &str, id: &str, slots: &[Payment]) -> Option<String> {
    let signed = if what == "burn" { "BurnTxSigned" } else { "TxSigned" };
    let then = wox(["recover", what, id]);
    let shown = slots.iter().find_map(|slot| {
        let (_, look) = state.chain.payment_verdict(slot)?;
        let shown = signed_elsewhere(&look.answers, slot)?;
        // What is journaled for its own slot by now is said.
        let own = |slot: &Payment| (&slot.wallet, slot.nonce) == (&shown.from, shown.nonce);
        let said = slots.iter().any(|slot| own(slot) && slot.attempts.contains(&shown.tx));
        (!said).then(|| shown.clone())
    });
    if let Some(shown) = shown {
        return Some(format!(
            "have the signer append {signed} (wallet {}, slot {}, hash {}) to {what}-{id}, then {then}",
            shown.from, shown.nonce, shown.tx
        ));
    }
    let due = Due::of(state, &stream(what, id))?;
    let stranger = due.names().find_map(|tx| state.paid_by_a_stranger(&due, tx))?;
    Some(format!(
        "if {stranger} is a wallet of ours, name it in `wallets` of the section [chain], two people run wox observe \
         --change-rules, then {then}; if it is not, find out who paid and why the log names it"
    ))
}

/// What to do about a transfer that nothing explains and that may have paid what is due, or about a payment that nobody can
/// enumerate; `then` is what is typed after it.
fn unexplained_next(state: &State, due: &Due<'_>, then: &str) -> Option<String> {
    let (what, id) = (due.stream.category(), due.stream.subject());
    let to_it = unexplained(state, due);
    let elsewhere = unexplained_elsewhere(state, due);
    if let Some(sent) = to_it.first().or(elsewhere.first()) {
        let (tx, (wallet, nonce)) = (&sent.tx, &sent.sender);
        let (signed, named) = match what {
            "burn" => ("BurnTxSigned", "BurnTxBroadcast"),
            _ => ("TxSigned", "TxBroadcast"),
        };
        let another = match what {
            "burn" => "if it burned other shares, these alone or too, append it to each of them",
            _ => "if it paid something else that was due, append it to that",
        };
        let decide = match to_it.is_empty() {
            true => format!("; or {}", scan_next(state, due, then)),
            false => String::new(),
        };
        return Some(format!(
            "never give it back unless it is known what {tx} paid: if it is this payment, have the signer append \
             {signed} (wallet {wallet}, slot {nonce}, that hash) to {what}-{id}, or for what the bank's bot sent \
             {named} with that hash; {another}; if it paid nothing of \
             these, two people say what it was: wox recover transfer {} --second NAME --why WHAT-IT-PAID; then \
             {then}{decide}",
            word(tx)
        ));
    }
    let nobody_can_say = match due.sent {
        true => due.slots.is_empty() && due.asked.is_empty() && due.asked_by_post || !state.sees_all(due),
        false => true,
    };
    nobody_can_say.then(|| {
        let named = if what == "burn" { "BurnTxBroadcast" } else { "TxBroadcast" };
        format!(
            "if its payment is known, append {named} with its hash to {what}-{id}; else {}",
            scan_next(state, due, then)
        )
    })
}

/// What to do first where a transfer that nothing explains may have paid a withdrawal or a burn; `None` where there is none.
pub(crate) fn perhaps_paid(evidence: &Evidence, subject: &StreamId) -> Option<String> {
    let state = &evidence.replay.state;
    let due = Due::of(state, subject)?;
    let then = wox(["recover", subject.as_str()]);
    if unexplained(state, &due).is_empty() { None } else { unexplained_next(state, &due, &then) }
}

/// What makes a payment that nobody can enumerate one to decide about: all our wallets are scanned.
fn scan_next(state: &State, due: &Due<'_>, then: &str) -> String {
    let by_slots = due.sent && !due.asked_by_post && due.asked.is_empty();
    let decide = match due.stream.category() {
        _ if by_slots => format!("then {then}"),
        "burn" => format!("where that shows none of it: {then}"),
        _ => format!("where that shows no payment two people decide: {then} --second NAME --why REASON"),
    };
    format!("{}; {decide}", scans(state, due))
}

/// How all that our wallets sent is seen, as it is typed.
pub(crate) fn scans(state: &State, due: &Due<'_>) -> String {
    let scan =
        |wallet: &Label| format!("wox observe wallet {} --from {}", word(wallet), state.chain.scan_from(due, wallet));
    let scans: Vec<_> = state.chain.outgoing().wallets().map(scan).collect();
    let scans = match scans.is_empty() {
        true => "name them in `wallets` of the section [chain] of wox.toml".to_owned(),
        false => scans.join(" and "),
    };
    let since = rfc3339::text(due.told.time);
    format!("see all that our wallets sent, once a block younger than {since} is final: {scans}")
}

/// What to do about a burn of which nobody can say that nothing can follow; `None` where its slots are judged.
fn burn_next(evidence: &Evidence, id: &str, then: &str) -> Option<String> {
    let state = &evidence.replay.state;
    unexplained_next(state, &Due::burn(id, state.burns.get(id)?)?, then)
}

/// What to do about an event of a withdrawal's or burn's stream that may be about a payment and is not in the state.
fn unseen(evidence: &Evidence, what: &str, id: &str) -> Option<String> {
    let place = evidence.replay.unseen_payment(&stream(what, id))?.position;
    Some(format!("wox show {place} shows what is not in the state; the version of wox that wrote it can fold it"))
}

/// Whose a slot of the same wallet is.
fn holder(state: &State, slots: &[Payment], nonce: u64) -> Option<String> {
    let wallet = &slots.first()?.wallet;
    let has = |slots: &[Payment]| slots.iter().any(|slot| slot.wallet == *wallet && slot.nonce == nonce);
    let withdrawal = state.withdrawals.iter().find(|(_, known)| has(&known.slots));
    let burn = || state.burns.iter().find(|(_, known)| has(&known.slots));
    withdrawal.map(|(id, _)| format!("withdrawal-{id}")).or_else(|| burn().map(|(id, _)| format!("burn-{id}")))
}
