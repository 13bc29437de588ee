//! What two people dealt with outside the engine, because no event puts it right (row R33): a second payment that a player
//! sent back, a wrong booking of the game. Recorded under what was found; told again as soon as that is another thing.

use wox_events::{Label, OpsEvent, StreamId};

use crate::{
    command::wox,
    procedures::{Steps, hold},
    recovery::{Case, Evidence, Repair},
};

/// The record for every finding among these that is left to people. What a plan repairs, and what may still become another
/// thing, is not dealt with by saying so.
#[must_use]
pub(super) fn cases(evidence: &Evidence, cases: Vec<Case>, first: &Label, second: &Label, why: &str) -> Vec<Case> {
    let record = |Case { finding, repair }: Case| {
        if let Repair::Compensate { .. } = repair {
            let next = wox(["recover", finding.subject.as_str()]);
            return Case { finding, repair: hold("a plan repairs it", next) };
        }
        if ["finality_violation", "changed_rules"].contains(&finding.procedure.as_str()) {
            let repair = hold("all money waits for it: it is decided, not set aside", "do what its own finding says");
            return Case { finding, repair };
        }
        let state = &evidence.replay.state;
        let id = finding.subject.subject();
        let open =
            state.withdrawals.get(id).filter(|known| known.is_open() && finding.subject.category() == "withdrawal");
        let is_proven =
            |known| state.withdrawal_verdict(id, known).is_some_and(|(verdict, _)| verdict.proof().is_some());
        if open.is_some_and(is_proven) {
            let repair = hold(
                "its amount is still held, and can go back: that is done, not set aside",
                "do what its own finding says",
            );
            return Case { finding, repair };
        }
        if finding.outcome_unknown {
            let repair = hold(
                "it may still become another thing: nobody has dealt with what nobody knows",
                format!("look again later: {}", wox(["recover", finding.subject.as_str()])),
            );
            return Case { finding, repair };
        }
        let key = finding.key();
        let stream =
            StreamId::new(format!("incident-{}", key.short())).expect("a word and hex digits are a stream name");
        let event = OpsEvent::IncidentAccepted {
            subject: finding.subject.clone(),
            finding: key,
            says: finding.says.clone(),
            reason: why.to_owned(),
            first: first.clone(),
            second: second.clone(),
        };
        let cause = wox_events::EventId::derived(&["wox/incident", &key.to_string()]);
        let repair = Steps::on(evidence, stream).add(cause, "", event, "record that it was dealt with").repair();
        Case { finding, repair }
    };
    cases.into_iter().map(record).collect()
}
