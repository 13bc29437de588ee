//! What only a person can decide, and what becomes of it: the same cases as a procedure's, so a decision is planned, approved
//! and applied like any repair. A decision that no procedure judges has a file below; the others stand at the procedure
//! whose judgement they complete, so that both rest on the same facts.

use wox_events::record::JsonError;

use crate::{
    procedures::{
        banking::{custody_drift, finality_violation, uncredited_deposit, withdrawal_in_doubt},
        game_state::{self, misdrawn_bracket},
    },
    recovery::{Case, Evidence, Scope},
};

mod accept;
mod ask_signer;
mod explain_transfer;
mod waive;

/// The cases of a scope: those within it of all that is found, or what a decision makes of it.
pub fn cases(evidence: &Evidence, scope: &Scope, all: &[Case]) -> Result<Vec<Case>, JsonError> {
    let found = |within: &dyn Fn(&str) -> bool| -> Vec<Case> {
        all.iter().filter(|case| within(case.finding.subject.as_str())).cloned().collect()
    };
    Ok(match scope {
        Scope::All => all.to_vec(),
        Scope::Subject(subject) => found(&|stream| stream == subject.as_str()),
        Scope::Transaction { chain, tx } => {
            let streams = format!("deposit-{chain}:{tx}:");
            // A stream of another name may be about a log of it all the same.
            let known = evidence.replay.state.deposits.by_transaction();
            let named = known.get(format!("{chain}:{tx}").as_str());
            let is_of_it = |stream: &str| {
                named.into_iter().flatten().any(|(subject, _)| stream.strip_prefix("deposit-") == Some(*subject))
            };
            found(&|stream| stream.starts_with(&streams) || is_of_it(stream))
        }
        Scope::Attribute { deposit, player, .. } => {
            uncredited_deposit::attributed_by_operator(evidence, deposit, player)
        }
        Scope::Release { withdrawal, first, second, .. } => {
            withdrawal_in_doubt::released_by_operators(evidence, withdrawal, first, second)
        }
        Scope::Restore { deposit, first, second, .. } => {
            finality_violation::decided_by_operators(evidence, deposit, first, second)
        }
        Scope::Explain { chain, tx, first, second, why } => {
            let decided = explain_transfer::Decided { first, second, purpose: why };
            explain_transfer::cases(evidence, (*chain, tx), &decided)
        }
        Scope::Accept { subject, first, second, why } => {
            accept::cases(evidence, found(&|stream| stream == subject.as_str()), first, second, why)
        }
        Scope::Ask { subject, intent, by, why } => ask_signer::cases(evidence, subject, *intent, by, why),
        Scope::Adjust { token, reason, .. } => custody_drift::adjusted_by_operator(evidence, token, reason),
        Scope::Interrupted { duel, choice, .. } => game_state::decided(evidence, duel, *choice),
        Scope::Correct { tournament, round, slot, winner, .. } => {
            misdrawn_bracket::corrected_by_operator(evidence, tournament, (*round, *slot), winner)
        }
        Scope::Waive { position, why } => waive::cases(evidence, *position, why)?,
    })
}
