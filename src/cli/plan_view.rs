//! A plan as people read it: like a diff, with what is wrong since when, what would be appended, and what it moves.

use wox_projections::{EventRef, recoveries::PlanRecord};

use crate::{
    cli::{
        Context,
        render::{Document, counted, grouped},
    },
    recovery::{Choice, Finding, Hold, Item, Person, Plan, Scope},
    rfc3339,
};

/// Adds a plan, whole, to a document. Its next steps can be pasted here; in the plan they are the same for everybody.
#[must_use]
pub(super) fn describe(mut document: Document, plan: &Plan, context: &Context) -> Document {
    document = document.line(headline(plan));
    document = document.line(format!(
        "as of position {}, root {}; nothing was wrong up to position {}",
        grouped(plan.base.as_of.0),
        plan.base.root.short(),
        grouped(plan.base.last_valid.0)
    ));
    if let Some(clock) = plan.base.clock {
        let clock = rfc3339::text(clock);
        document = document
            .line(format!("counted up to {clock}: the game's clock is ahead of the machine's that made the plan"));
    }
    if let Some(decision) = decision(&plan.scope) {
        document = document.line(decision);
    }
    for item in &plan.items {
        document = repair(document.line(""), item);
    }
    if let Some(report) = &plan.report {
        document = document.line("").line(format!("tells operators: {}", report.text));
    }
    if !plan.held.is_empty() {
        document = document.line("").line("held for a person:");
    }
    for held in &plan.held {
        document = hold(document, held, context);
    }
    if plan.deferred > 0 {
        let more = counted(plan.deferred as u64, "finding");
        let next = context.pasteable("apply this plan, then wox plan has them");
        document = document.line("").line(format!("{more} more did not fit: {next}"));
    }
    document.line("").line(conservation(plan))
}

/// What a person decided, and why, where the plan is one.
fn decision(scope: &Scope) -> Option<String> {
    let (what, why) = match scope {
        Scope::All | Scope::Subject(_) | Scope::Transaction { .. } => return None,
        Scope::Attribute { deposit, player, why } => (format!("{deposit} is player {player}'s"), why),
        Scope::Release { withdrawal, first, second, why } => {
            (format!("{withdrawal} goes back, by {first} and {second}"), why)
        }
        Scope::Restore { deposit, first, second, why } => {
            (format!("what the chain says of {deposit} now is true, by {first} and {second}"), why)
        }
        Scope::Explain { tx, first, second, why, .. } => {
            (format!("{tx} paid nothing that was due, by {first} and {second}"), why)
        }
        Scope::Accept { subject, first, second, why } => {
            (format!("what is found about {subject} was dealt with, by {first} and {second}"), why)
        }
        Scope::Ask { subject, intent, by, why } => (format!("{by} asks the signer of {subject} to {intent}"), why),
        Scope::Adjust { token, reason, why } => (format!("{token} is adjusted: {reason}"), why),
        Scope::Interrupted { duel, choice: Choice::Resume, why } => (format!("{duel} goes on"), why),
        Scope::Interrupted { duel, choice: Choice::Void, why } => (format!("{duel} counts for nobody"), why),
        Scope::Correct { tournament, round, slot, winner, why } => {
            (format!("player {winner} won match {round}/{slot} of {tournament}"), why)
        }
        Scope::Waive { position, why } => (format!("the event at position {position} is left out"), why),
    };
    Some(format!("decided: {what}; why: {why}"))
}

/// What a plan comes to, in one line.
#[must_use]
pub(super) fn headline(plan: &Plan) -> String {
    let findings: usize = plan.items.iter().map(|item| item.findings.len()).sum();
    let events: usize = plan.items.iter().map(|item| item.steps.len()).sum();
    let approval = if plan.needs_approval { "needs another person's approval" } else { "needs no approval" };
    let counted = |count: usize, noun| counted(count as u64, noun);
    if plan.changes {
        format!(
            "plan {}: {} repaired by {} in {}, {} held; {approval}",
            plan.short_id(),
            counted(findings, "finding"),
            counted(events, "event"),
            counted(plan.items.len(), "stream"),
            plan.held.len()
        )
    } else if plan.held.is_empty() {
        match &plan.scope {
            Scope::Subject(subject) => {
                format!("nothing is wrong with {subject} itself; plan {} is empty", plan.short_id())
            }
            Scope::Transaction { tx, .. } => {
                format!("nothing has to be done about {tx}; plan {} is empty", plan.short_id())
            }
            Scope::Attribute { deposit: subject, .. }
            | Scope::Release { withdrawal: subject, .. }
            | Scope::Restore { deposit: subject, .. }
            | Scope::Accept { subject, .. }
            | Scope::Ask { subject, .. } => {
                format!("there is nothing to decide about {subject}; plan {} is empty", plan.short_id())
            }
            Scope::Explain { tx, .. } => {
                format!("what {tx} paid was said before; plan {} is empty", plan.short_id())
            }
            Scope::Adjust { token, .. } => {
                format!("what we hold of {token} is what the ledger owes; plan {} is empty", plan.short_id())
            }
            Scope::Waive { position, .. } => {
                format!("the event at position {position} was left out before; plan {} is empty", plan.short_id())
            }
            Scope::All | Scope::Interrupted { .. } | Scope::Correct { .. } => {
                format!("nothing is wrong; plan {} is empty", plan.short_id())
            }
        }
    } else {
        format!("plan {}: nothing to append, {} held", plan.short_id(), plan.held.len())
    }
}

/// Conservation of money before the plan and after it.
#[must_use]
pub(super) fn conservation(plan: &Plan) -> String {
    let told = |drift: wox_projections::Drift| match drift.is_zero() {
        true => "ok".to_owned(),
        false => format!("off by {drift} G"),
    };
    format!("conservation: {} before, {} after", told(plan.conservation.0), told(plan.conservation.1))
}

/// Who proposed, approved and applied a plan.
#[must_use]
pub(super) fn history(document: Document, record: &PlanRecord) -> Document {
    let mut facts = vec![("proposed", format!("by {}, {}", record.proposed_by, rfc3339::text(record.proposed_at)))];
    for approval in &record.approvals {
        let (at, until) = (rfc3339::text(approval.at), rfc3339::text(approval.expires_at));
        facts.push(("approved", format!("by {}, {at}, holds until {until}", approval.by)));
    }
    if record.refusals > 0 {
        facts.push(("refused", counted(u64::from(record.refusals), "time")));
    }
    match &record.applied {
        Some(events) => facts.push(("applied", counted(events.len() as u64, "event"))),
        None => facts.push(("applied", "no".into())),
    }
    if let Some(verdict) = &record.verdict {
        facts.push(("verified", verdict.clone()));
    }
    document.facts(facts)
}

/// One finding in one line, and since when.
#[must_use]
pub(super) fn finding_lines(finding: &Finding) -> Vec<String> {
    let Finding { severity, row, code, says, .. } = finding;
    let mut lines = vec![format!("  {severity} {row} {code}: {says}")];
    lines.extend(finding.since.as_ref().map(|since| format!("    first bad event: {}", place(since))));
    lines
}

fn repair(mut document: Document, item: &Item) -> Document {
    document = document.line(format!("{} at revision {}", item.stream, item.expected));
    for line in item.findings.iter().flat_map(finding_lines) {
        document = document.line(line);
    }
    document = concerns(document, &item.concerns, "  ");
    if !item.needs.is_empty() {
        document = document.line(format!("  needs: {}", item.needs.join("; ")));
    }
    for step in &item.steps {
        document = document.line(format!("  + {}: {}", step.kind, step.says));
        for posting in &step.postings {
            document = document.line(format!(
                "      {} G  {} -> {}  ({} base units)",
                posting.amount,
                posting.from,
                posting.to,
                posting.amount.base_units()
            ));
        }
    }
    for notice in &item.tells {
        document = document.line(format!("  tells {}: {}", notice.audience, notice.text));
    }
    for taken in &item.takes_back {
        document = document.line(format!("  takes back notice {}", taken.notice));
    }
    document
}

/// Whom something concerns, by id and handle. Many are cut short; the JSON has them all.
fn concerns(document: Document, people: &[Person], margin: &str) -> Document {
    const SHOWN_MAX: usize = 8;
    if people.is_empty() {
        return document;
    }
    let shown = people.iter().take(SHOWN_MAX).map(ToString::to_string);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = people.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    document.line(format!("{margin}for: {text}"))
}

fn hold(mut document: Document, hold: &Hold, context: &Context) -> Document {
    let unknown = if hold.finding.outcome_unknown { " (outcome unknown)" } else { "" };
    document = document.line(format!("{}{unknown}", hold.finding.subject));
    for line in finding_lines(&hold.finding) {
        document = document.line(line);
    }
    document = concerns(document, &hold.concerns, "    ");
    document
        .line(format!("    held: {}", context.pasteable(&hold.why)))
        .line(format!("    next: {}", context.pasteable(&hold.next)))
}

fn place(at: &EventRef) -> String {
    format!("position {}, {} revision {}, id {}", at.position, at.stream, at.revision, at.id)
}
