//! The whole chain over the demo's broken game: replay, findings, plan, approval, apply, verify. On the in-memory log,
//! which keeps the same promises as the embedded one (`tests/log.rs` holds the two against each other).
#![allow(missing_docs, reason = "tests are documented by their names")]
#![allow(clippy::unwrap_used, reason = "tests fail this way")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "recovery/brackets.rs"]
mod brackets;
#[path = "recovery/duels.rs"]
mod duels;
#[path = "recovery/game.rs"]
mod game;
#[path = "recovery/held.rs"]
mod held;
#[path = "recovery/logs.rs"]
mod logs;
#[path = "recovery/money.rs"]
mod money;
#[path = "recovery/notices.rs"]
mod notices;
#[path = "recovery/outages.rs"]
mod outages;
#[path = "recovery/payments.rs"]
mod payments;
#[path = "recovery/plans.rs"]
mod plans;
#[path = "recovery/prizes.rs"]
mod prizes;
#[path = "recovery/random.rs"]
mod random;
#[path = "recovery/tournaments.rs"]
mod tournaments;

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};

use wox_events::{Actor, LogId, Timestamp};
use wox_recovery::{
    demo::{self, Planted},
    log::{AppendRequest, EventLog, MemoryLog},
    recovery::{
        Applied, ApplyError, Evidence, Plan, Scope, apply, approval::ApprovalError, approve, diagnose, gather, plan,
        propose, verify,
    },
    replay::Progress,
};

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

async fn played(options: &demo::Options) -> (MemoryLog, Vec<Planted>) {
    let log = MemoryLog::new(LogId(uuid::Uuid::from_u128(7)));
    let mut history = demo::history(options);
    for batch in history.by_ref() {
        let request = AppendRequest { stream: batch.stream, expected: batch.expected, events: batch.events };
        log.append(request).await.expect("the demo appends at the right revisions");
    }
    let planted = history.planted().to_vec();
    (log, planted)
}

async fn look(log: &MemoryLog) -> Evidence {
    gather(log, one(), &Arc::new(Progress::default())).await.unwrap()
}

async fn plan_all(log: &MemoryLog) -> Plan {
    plan(&look(log).await, &Scope::All).unwrap()
}

async fn apply_as(log: &MemoryLog, plan: &Plan, by: &str) -> Result<Applied, ApplyError> {
    apply(log, plan.id, &actor(by), NOW, one(), &Arc::new(Progress::default())).await
}

fn rt() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn a_sound_day_has_no_findings_and_plans_nothing() {
    rt().block_on(async {
        let (log, planted) = played(&demo::Options { faults: false, ..demo::Options::default() }).await;
        assert!(planted.is_empty());
        let evidence = look(&log).await;
        let accounting = evidence.replay.accounting;
        assert_eq!((accounting.refused, accounting.waived), (0, 0), "{:?}", evidence.replay.held());
        assert_eq!(accounting.applied, accounting.read);
        let findings: Vec<String> = diagnose(&evidence).cases.into_iter().map(|case| case.finding.says).collect();
        assert!(findings.is_empty(), "{findings:#?}");
        let plan = plan(&evidence, &Scope::All).unwrap();
        assert!(!plan.changes && plan.held.is_empty(), "{plan:#?}");
    });
}

#[test]
fn every_planted_fault_is_found_at_its_event_and_nothing_else_is() {
    rt().block_on(async {
        let (log, planted) = played(&demo::Options::default()).await;
        let evidence = look(&log).await;
        let diagnosis = diagnose(&evidence);
        let found: BTreeSet<String> =
            diagnosis.cases.iter().map(|case| format!("{} {}", case.finding.subject, case.finding.procedure)).collect();
        let expected: BTreeSet<String> = planted
            .iter()
            .map(|planted| {
                let procedure = match planted.fault {
                    "stuck_duel" => "stuck_duel",
                    "interrupted_duel" => "interrupted_duel",
                    "challenge_never_expired" | "stake_not_released" => "unreturned_stake",
                    "duplicate_deposit" => "duplicate_deposit",
                    "half_paid_prizes" => "unpaid_prize",
                    "wrong_prize" => "wrong_prize",
                    "wrong_bracket" | "corrected_result" => "misdrawn_bracket",
                    "late_post" => "interrupted_duel",
                    "unrefunded_entry" => "unrefunded_entry",
                    "crossed_buckets" => "crossed_buckets",
                    "pool_drift" => "pool_drift",
                    "unknown_kind" | "refused_event" => "held_stream",
                    "withdrawal_in_doubt" => "withdrawal_in_doubt",
                    "unpaid_duel" => "unsettled_duel",
                    other => panic!("a new fault: {other}"),
                };
                format!("{} {procedure}", planted.subject)
            })
            .collect();
        let consequence: BTreeSet<String> = planted
            .iter()
            .filter(|planted| planted.fault == "wrong_prize")
            .map(|planted| format!("{} unpaid_prize", planted.subject))
            .collect();
        let unexpected: Vec<_> = found.difference(&expected).filter(|extra| !consequence.contains(*extra)).collect();
        assert!(unexpected.is_empty(), "found and not planted: {unexpected:#?}");
        let missed: Vec<_> = expected.difference(&found).collect();
        assert!(missed.is_empty(), "planted and not found: {missed:#?}");
    });
}

#[test]
fn a_plan_is_approved_by_another_applied_once_and_leaves_only_what_people_must_decide() {
    rt().block_on(async {
        let (log, _) = played(&demo::Options::default()).await;
        let first = plan_all(&log).await;
        assert!(first.changes && first.needs_approval);
        assert!(!first.conservation.0.is_zero() && first.conservation.1.is_zero(), "{:?}", first.conservation);
        propose(&log, &first, &actor("alice"), NOW).await.unwrap();

        let early = apply_as(&log, &first, "alice").await.unwrap_err();
        assert!(matches!(early, ApplyError::NotApproved(ApprovalError::Missing { .. })), "{early}");
        let own = approve(&log, first.id, &actor("alice"), "me", NOW).await.unwrap_err();
        assert!(matches!(own, ApplyError::NotApproved(ApprovalError::SamePerson { .. })), "{own}");
        approve(&log, first.id, &actor("bob"), "looked at it", NOW).await.unwrap();

        let steps: usize = first.items.iter().map(|item| item.steps.len()).sum();
        let Applied::Appended { events, .. } = apply_as(&log, &first, "alice").await.unwrap() else {
            panic!("nothing done")
        };
        assert_eq!(events.len(), steps);
        let verdict = verify(&log, &first, &actor("alice"), NOW, one(), &Arc::new(Progress::default())).await.unwrap();
        assert_eq!(verdict.name(), "remaining", "{:#?}", verdict.unrepaired);
        assert!(verdict.drift.is_zero());

        let head = log.head().await.unwrap();
        assert_eq!(apply_as(&log, &first, "alice").await.unwrap(), Applied::Nothing);
        assert_eq!(log.head().await.unwrap(), head, "applying again appends nothing");

        let second = plan_all(&log).await;
        assert!(!second.changes, "{:#?}", second.items);
        let held: BTreeSet<&str> = second.held.iter().map(|hold| hold.finding.procedure.as_str()).collect();
        assert_eq!(held, BTreeSet::from(["held_stream", "withdrawal_in_doubt"]), "{:#?}", second.held);
    });
}
