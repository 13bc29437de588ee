//! The rules by which the chain is judged were changed by one person (rows R12 to R14): who may say which sources count, and
//! how many, decides what is true. No money moves until another person has agreed, or the old rules are back.

use wox_events::chain;

use super::super::{Procedure, hold};
use crate::{
    command::wox,
    recovery::{Case, Evidence, Finding, Severity, Standstill},
};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "changed_rules",
    row: "R12",
    finds: "rules of the chain that one person changed and nobody else agreed to",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let changed = evidence.replay.state.chain.changed_rules();
    let case = |(id, changed): (u64, &wox_projections::chain::ChangedRules)| {
        let stream = chain::stream(id);
        let says =
            format!("{} changed the rules by which chain {id} is judged, and nobody else has agreed", changed.by);
        let finding = Finding {
            severity: Severity::High,
            since: Some(changed.event.clone()),
            ..PROCEDURE.finding("WOX-BANK-VERIFY-002", &stream, says)
        };
        Case { finding, repair: hold("whoever says which sources count says what is true", next(stream.as_str())) }
    };
    changed.map(case).collect()
}

/// Why no money moves while it is so.
#[must_use]
pub fn standstill(evidence: &Evidence) -> Option<Standstill> {
    let (id, changed) = evidence.replay.state.chain.changed_rules().next()?;
    Some(Standstill {
        why: format!(
            "{} alone changed the rules of chain {id} ({}): no money moves until another agrees",
            changed.by, changed.event
        ),
        next: next(chain::stream(id).as_str()),
        about: None,
    })
}

fn next(stream: &str) -> String {
    format!(
        "another person compares the section [chain] of wox.toml with {} and runs wox observe --change-rules --as NAME; or the \
         old section comes back, by the same command",
        wox(["show", stream])
    )
}
