//! An event this build cannot read, or that its projection refuses. The stream is held there; the rest plays on.
//! Whether the event is to be left out is a person's decision, taken by name (law 3).

use wox_projections::Rejection;

use super::super::{Procedure, hold};
use crate::recovery::{Case, Evidence, Finding, Severity};

/// This procedure.
pub const PROCEDURE: Procedure = Procedure {
    name: "held_stream",
    row: "R06",
    finds: "an event that cannot be read, or that its projection refuses",
    examine,
};

fn examine(evidence: &Evidence) -> Vec<Case> {
    let cases = evidence.replay.held().iter().map(|(stream, held)| {
        let what = match &held.reason {
            Rejection::Unreadable(_) => "cannot be read",
            _ => "is refused",
        };
        let kind = held.kind.as_deref().unwrap_or("event");
        let behind = match held.followers {
            0 => String::new(),
            1 => "; 1 later event waits behind it".into(),
            more => format!("; {more} later events wait behind it"),
        };
        let says = format!("{kind} at {} {what}: {}{behind}", held.since, held.reason);
        let finding = Finding {
            severity: Severity::High,
            since: Some(held.since.clone()),
            ..PROCEDURE.finding("WOX-DB-TRANS-005", stream, says)
        };
        let repair = hold(
            "only a person can say whether an event that cannot be folded may be left out",
            format!(
                "look at it with `wox show {}`; to leave it out: `wox recover event {} --why REASON`",
                held.since.position, held.since.position,
            ),
        );
        Case { finding, repair }
    });
    cases.collect()
}
