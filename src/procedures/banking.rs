//! Chapter "banking": deposits, withdrawals, burns, the prize pool, and the chain's word on all of them.

pub mod burn_in_doubt;
pub mod custody_drift;
pub mod duplicate_deposit;
pub mod finality_violation;
pub mod pool_drift;
pub mod signer_intent;
pub mod uncredited_deposit;
pub mod vanished_deposit;
pub mod withdrawal_in_doubt;

use wox_events::chain::Intent;
use wox_projections::{
    State,
    verdict::{WithdrawalVerdict, withdrawal::Payment},
};

use crate::rfc3339;

/// What a person does next about a withdrawal or a burn whose outcome is unknown: what can be asked of the signer, as it is
/// typed, or what to wait for.
fn next(state: &State, what: &str, id: &str, verdict: &WithdrawalVerdict, slots: &[Payment]) -> String {
    let asked = slots.iter().flat_map(|slot| &slot.asked).max_by_key(|asked| asked.at);
    let free = verdict.permits(Intent::Fence);
    if let Some(asked) = asked.filter(|_| free) {
        let since = rfc3339::text(asked.at);
        return format!(
            "{} asked the signer for a {} at {since}; wox observe {what} {id} shows it",
            asked.by, asked.intent
        );
    }
    match verdict {
        WithdrawalVerdict::Pending => {
            format!("wait; if it stays: wox recover {what} {id} --bump --why REASON, or --fence to give it up")
        }
        WithdrawalVerdict::DroppedButValid => {
            format!("wox recover {what} {id} --rebroadcast --why REASON, or --fence to give it up")
        }
        WithdrawalVerdict::NonceGap { next } => match holder(state, slots, *next) {
            Some(holder) => format!("slot {next} is {holder}'s: look at that first, wox recover {holder}"),
            None => format!("nobody in this log signed for slot {next}: have the signer say what it was, or fill it"),
        },
        _ => verdict.next().to_owned(),
    }
}

/// Whose a slot of the same wallet is.
fn holder(state: &State, slots: &[Payment], nonce: u64) -> Option<String> {
    let wallet = &slots.first()?.wallet;
    let has = |slots: &[Payment]| slots.iter().any(|slot| slot.wallet == *wallet && slot.nonce == nonce);
    let withdrawal = state.withdrawals.iter().find(|(_, known)| has(&known.slots));
    let burn = || state.burns.iter().find(|(_, known)| has(&known.slots));
    withdrawal.map(|(id, _)| format!("withdrawal-{id}")).or_else(|| burn().map(|(id, _)| format!("burn-{id}")))
}
