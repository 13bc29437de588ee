//! The log cannot be read to its end: a missing position, a digest that does not match, a damaged page. Nothing behind
//! the damage is folded, so the state in the evidence is the last valid one. Nothing is repaired automatically: one
//! copy can detect, not repair (reliability.md finding 6).

use wox_events::StreamId;

use super::super::{Procedure, hold};
use crate::recovery::{Case, Evidence, Finding, Severity};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "broken_log", row: "R27", finds: "a log that cannot be read to its end", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let Some(damage) = &evidence.damage else { return Vec::new() };
    let subject = StreamId::new("ops-log").expect("a fixed stream name");
    let says = format!("the log cannot be trusted from position {} on: {}", damage.from, damage.what);
    vec![Case {
        finding: Finding { severity: Severity::Critical, ..PROCEDURE.finding("WOX-DB-TRANS-005", &subject, says) },
        repair: hold(
            "one damaged copy can be detected, not repaired",
            "run `wox verify` for the exact place, stop writing, and restore from a backup that passes `wox verify`",
        ),
    }]
}
