//! What binds a plan: its id, its approval, its streams. And applying it, once, whatever happens in between.

use std::num::NonZeroUsize;

use wox_events::{DuelEvent, Duration, Json, OpsEvent, PoolEvent, RecoveryEvent, Timestamp};
use wox_recovery::{
    log::MemoryLog,
    log::{AppendError, EventLog},
    recovery::{
        Applied, ApplyError, GatherError, Plan, Scope, apply, apply::record_act, approval::ApprovalError, approve,
        gather_upto, plan, policy::APPROVAL_VALIDITY, propose,
    },
};

use crate::{
    game::{Game, NOW, actor, digest, g, nothing, one, position, progress, split, stream},
    logs::{FailingLog, Fails},
};

/// Three repairs that move money: a stuck duel, a challenge that ran out, a deposit credited twice.
async fn broken() -> Game {
    broken_at(1_700_000_000_000_000, 0).await
}

/// The same at another time, and with so many unrelated events before it.
async fn broken_at(clock: i64, unrelated: u32) -> Game {
    let mut game = Game::starting_at(clock);
    for number in 0..unrelated {
        game.player(&format!("other{number}"), 0).await;
    }
    game.active_duel().await;
    game.challenge("c", ("ann", split(0, 30)), ("ben", split(0, 30))).await;
    game.credit("deposit-8453:a:0", 5, "ann", 50).await;
    game.credit("deposit-8453:a:7", 5, "ann", 50).await;
    game.wait(400).tick().await;
    game
}

async fn approved() -> (Game, Plan) {
    let game = broken().await;
    let plan = game.plan().await;
    assert_eq!(plan.items.len(), 3);
    game.propose(&plan).await;
    game.approve(&plan).await;
    (game, plan)
}

fn step_ids(plan: &Plan) -> Vec<(String, String)> {
    let steps = plan.items.iter().flat_map(|item| &item.steps);
    steps.map(|step| (step.kind.clone(), step.id.to_string())).collect()
}

async fn last_refusal(game: &Game, plan: &Plan) -> String {
    let events = game.log.read_stream(&plan.stream()).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!(last.event.kind, "PlanRefused");
    let data: serde_json::Value = serde_json::from_str(last.event.data.as_str()).unwrap();
    data["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ids_of_compensations_know_no_place_and_no_time() {
    let here = broken().await.plan().await;
    let there = broken_at(1_750_000_000_000_000, 17).await.plan().await;
    assert_eq!(step_ids(&here), step_ids(&there));
    assert_ne!(here.base, there.base);
    assert_ne!(here.items[0].findings[0].since, there.items[0].findings[0].since);
    let ids: std::collections::BTreeSet<_> = step_ids(&here).into_iter().collect();
    assert_eq!(ids.len(), step_ids(&here).len(), "and every one has its own");
}

#[tokio::test]
async fn unrelated_traffic_changes_no_plan() {
    let game = broken().await;
    let before = game.plan().await;
    game.player("new", 40).await;
    game.tick().await;
    let after = game.plan().await;
    assert_eq!(before.id, after.id);
    assert_ne!(before.base, after.base);
}

#[tokio::test]
async fn other_content_has_another_id() {
    let game = broken().await;
    let plan = game.plan().await;
    let mut others = vec![plan.clone(); 5];
    others[0].items.pop();
    others[1].items[0].steps[0].says.push('!');
    others[2].needs_approval = false;
    others[3].items[0].expected.0 += 1;
    others[4].folds.push('x');
    for other in others {
        assert_ne!(other.content_digest().unwrap(), plan.id);
    }
    let mut elsewhere = plan.clone();
    elsewhere.base.as_of.0 += 1;
    assert_eq!(elsewhere.content_digest().unwrap(), plan.id);
}

#[tokio::test]
async fn a_plan_that_was_altered_in_the_log_is_not_touched() {
    let game = broken().await;
    let plan = game.plan().await;
    let mut altered = plan.clone();
    altered.needs_approval = false;
    let forged = RecoveryEvent::PlanProposed { plan: Json::of(&altered).unwrap(), digest: plan.id };
    game.forge(plan.stream().as_str(), "mallory", forged).await;
    let head = game.log.head().await.unwrap();
    let error = game.apply(&plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::Altered { id } if id == plan.id), "{error}");
    assert!(!error.is_refusal(), "it is an integrity failure, not a decision");
    assert!(matches!(propose(&game.log, &plan, &actor("alice"), NOW).await, Err(ApplyError::Altered { .. })));
    assert_eq!(game.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn an_unknown_plan_says_where_plans_come_from() {
    let game = Game::new();
    let id = digest("no plan");
    let error = apply(&game.log, id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no plan {id} in this log; `wox plan` makes one"));
    assert!(matches!(error, ApplyError::UnknownPlan { .. }) && !error.is_refusal());
}

#[tokio::test]
async fn proposing_again_leaves_the_first_proposal() {
    let game = broken().await;
    let plan = game.plan().await;
    game.propose(&plan).await;
    let head = game.log.head().await.unwrap();
    let again = propose(&game.log, &plan, &actor("carol"), NOW.plus(Duration::seconds(9))).await.unwrap();
    assert_eq!((again.record.proposed_by, again.record.proposed_at), (actor("alice"), NOW));
    assert_eq!(game.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn nobody_approves_their_own_plan_and_the_attempt_is_recorded() {
    let game = broken().await;
    let plan = game.plan().await;
    game.propose(&plan).await;
    let error = game.apply(&plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::NotApproved(ApprovalError::Missing { .. })) && error.is_refusal());
    assert_eq!(last_refusal(&game, &plan).await, error.to_string());
    let error = approve(&game.log, plan.id, &actor("alice"), "me", NOW).await.unwrap_err();
    assert!(matches!(error, ApplyError::NotApproved(ApprovalError::SamePerson { .. })), "{error}");
    assert_eq!(last_refusal(&game, &plan).await, error.to_string());
    game.approve(&plan).await;
    assert!(matches!(game.apply(&plan).await.unwrap(), Applied::Appended { .. }));
}

#[tokio::test]
async fn proposing_under_another_name_does_not_make_a_second_person() {
    let game = broken().await;
    let plan = game.plan().await;
    game.propose(&plan).await;
    let again = RecoveryEvent::PlanProposed { plan: Json::of(&plan).unwrap(), digest: plan.id };
    game.forge(plan.stream().as_str(), "bob", again).await;
    let error = approve(&game.log, plan.id, &actor("alice"), "me", NOW).await.unwrap_err();
    assert!(matches!(error, ApplyError::NotApproved(ApprovalError::SamePerson { .. })), "{error}");
}

#[tokio::test]
async fn an_approval_holds_for_a_day_and_not_longer() {
    let (game, plan) = approved().await;
    let at = |seconds| NOW.plus(Duration(APPROVAL_VALIDITY.0 + seconds));
    let by = actor("alice");
    for moment in [at(0), at(1), Timestamp(NOW.0 - 1)] {
        let error = apply(&game.log, plan.id, &by, moment, one(), &progress()).await.unwrap_err();
        assert!(matches!(error, ApplyError::NotApproved(ApprovalError::Expired { .. })), "{error}");
        assert_eq!(last_refusal(&game, &plan).await, error.to_string());
    }
    assert!(matches!(
        apply(&game.log, plan.id, &by, at(-1), one(), &progress()).await.unwrap(),
        Applied::Appended { .. }
    ));
}

#[tokio::test]
async fn an_approval_of_another_plan_counts_for_nothing_and_is_no_obstacle() {
    let game = broken().await;
    let plan = game.plan().await;
    game.propose(&plan).await;
    let other = RecoveryEvent::PlanApproved {
        digest: digest("another plan"),
        expires_at: NOW.plus(APPROVAL_VALIDITY),
        comment: "fine".into(),
    };
    game.forge(plan.stream().as_str(), "bob", other).await;
    let error = game.apply(&plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::NotApproved(ApprovalError::Missing { .. })), "{error}");
    game.approve(&plan).await;
    assert!(matches!(game.apply(&plan).await.unwrap(), Applied::Appended { .. }));
}

#[tokio::test]
async fn a_stale_plan_is_refused_and_says_what_moved() {
    let (game, plan) = approved().await;
    game.turn("d", 1, "ann").await;
    let error = game.apply(&plan).await.unwrap_err();
    let short = plan.short_id();
    assert_eq!(
        error.to_string(),
        format!(
            "plan {short} is stale: duel-d was at revision 4 and is at 5 now (since then: TurnMissed); run `wox plan` again"
        )
    );
    assert!(error.is_refusal());
    assert_eq!(last_refusal(&game, &plan).await, error.to_string());
    assert_eq!(game.count_of(&plan).await.iter().sum::<usize>(), 0, "not even the items that did not move");
}

#[tokio::test]
async fn a_plan_whose_money_is_gone_no_longer_fits() {
    let (game, plan) = approved().await;
    game.spend("ann", 0, 120).await;
    let error = game.apply(&plan).await.unwrap_err();
    assert!(matches!(&error, ApplyError::NoLongerFits { why, .. } if why.contains("withdrawable:ann")), "{error}");
    assert_eq!(last_refusal(&game, &plan).await, error.to_string());
    assert_eq!(game.count_of(&plan).await.iter().sum::<usize>(), 0);
}

#[tokio::test]
async fn a_plan_without_changes_is_applied_by_doing_nothing() {
    let game = Game::new();
    game.active_duel().await;
    let plan = game.plan().await;
    nothing(&plan);
    game.propose(&plan).await;
    assert_eq!(game.apply(&plan).await.unwrap(), Applied::Nothing);
}

#[tokio::test]
async fn a_plan_of_another_code_is_refused() {
    let game = broken().await;
    let mut plan = game.plan().await;
    plan.folds = "older".into();
    plan.id = plan.content_digest().unwrap();
    game.propose(&plan).await;
    game.approve(&plan).await;
    let error = game.apply(&plan).await.unwrap_err();
    assert!(matches!(error, ApplyError::Changed { .. }) && error.is_refusal(), "{error}");
}

#[tokio::test]
async fn applying_again_by_anybody_at_any_time_changes_nothing() {
    let (game, plan) = approved().await;
    game.apply(&plan).await.unwrap();
    let head = game.log.head().await.unwrap();
    for moment in [NOW, NOW.plus(Duration::seconds(1_000_000))] {
        let again = apply(&game.log, plan.id, &actor("carol"), moment, one(), &progress()).await.unwrap();
        assert_eq!(again, Applied::Nothing);
    }
    assert_eq!(game.log.head().await.unwrap(), head);
    assert_eq!(game.kinds(&plan.stream()).await, ["PlanProposed", "PlanApproved", "PlanApplied"]);
    let run = stream(&format!("run-{}", plan.id));
    let kinds = ["RunStarted", "StepSucceeded", "StepSucceeded", "StepSucceeded", "RunFinished"];
    assert_eq!(game.kinds(&run).await, kinds);
}

#[tokio::test]
async fn a_second_plan_of_what_was_applied_meanwhile_appends_and_queues_nothing() {
    let mut game = Game::new();
    game.active_duel().await;
    game.wait(301).tick().await;
    let void = |why: &str| {
        let (duel, choice) = (stream("duel-d"), wox_recovery::recovery::Choice::Void);
        Scope::Interrupted { duel, choice, why: why.into() }
    };
    let (first, second) = (game.plan_for(&void("ticket-1")).await, game.plan_for(&void("ticket-2")).await);
    assert_ne!(first.id, second.id);
    for plan in [&first, &second] {
        game.propose(plan).await;
        game.approve(plan).await;
    }
    let applied = game.apply(&first).await.unwrap();
    assert_eq!((applied.events().len(), applied.notices()), (4, 3));
    let again = game.apply(&second).await.unwrap();
    assert_eq!(again, Applied::Nothing);
    assert_eq!(game.look().await.replay.state.outbox.pending.len(), 3);
}

async fn crash_then_apply_again(appends: i64, fails: Fails) -> bool {
    let (game, plan) = approved().await;
    let dying = FailingLog::new(&game.log, appends, fails);
    let first = apply(&dying, plan.id, &actor("alice"), NOW, one(), &progress()).await;
    let failed = dying.failed();
    assert_eq!(first.is_err(), failed, "{first:?}");
    let later = NOW.plus(Duration::seconds(60));
    let again = apply(&game.log, plan.id, &actor("carol"), later, one(), &progress()).await;
    let again = again.unwrap_or_else(|error| panic!("after {appends} appends, {fails:?}: {error}"));
    assert!(game.count_of(&plan).await.iter().all(|count| *count == 1), "after {appends} appends, {fails:?}");
    assert_eq!(game.kinds(&plan.stream()).await.iter().filter(|kind| *kind == "PlanApplied").count(), 1);
    if !failed {
        assert_eq!(again, Applied::Nothing);
    }
    assert_eq!(game.verify(&plan).await.name(), "verified");
    let evidence = game.look().await;
    assert!(evidence.replay.held().is_empty());
    let queued: Vec<String> = evidence.replay.state.outbox.pending.keys().cloned().collect();
    let mut planned: Vec<String> = plan.notices().map(|notice| notice.id.to_string()).collect();
    planned.sort();
    assert_eq!(queued, planned, "everybody is told once, after {appends} appends, {fails:?}");
    failed
}

#[tokio::test]
async fn a_crash_after_any_append_is_finished_by_applying_again() {
    for fails in [Fails::NotDone, Fails::ReplyLost] {
        let mut appends = 0;
        while crash_then_apply_again(appends, fails).await {
            appends += 1;
        }
        assert_eq!(appends, 9 + 6, "start, three times item and step, six notices, the run's end, the plan's end");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_applying_is_recorded_and_the_rest_can_be_planned_again() {
    let (mut game, plan) = approved().await;
    let dying = FailingLog::new(&game.log, 5, Fails::NotDone);
    apply(&dying, plan.id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
    let moved = plan.items.last().unwrap().stream.clone();
    assert_eq!(moved.as_str(), "duel-d");
    game.turn("d", 1, "ann").await;
    assert!(matches!(game.apply(&plan).await.unwrap_err(), ApplyError::Stale { .. }));
    let next = game.plan().await;
    assert_eq!(next.items.len(), 0, "the other two are applied, and the duel is not stuck any more: {:#?}", next.items);
    game.wait(301).tick().await;
    let next = game.plan().await;
    assert_eq!(next.items.iter().map(|item| &item.stream).collect::<Vec<_>>(), [&moved]);
    game.carry_out(&next).await;
    nothing(&game.plan().await);
}

async fn race(by: [&str; 2], later: i64) {
    let (game, plan) = approved().await;
    let log: std::sync::Arc<MemoryLog> = std::sync::Arc::new(game.log);
    let mut tasks = Vec::new();
    for (index, name) in by.into_iter().enumerate() {
        let (log, id, by) = (log.clone(), plan.id, actor(name));
        let now = NOW.plus(Duration::seconds(later * index as i64));
        tasks.push(tokio::spawn(async move { apply(&*log, id, &by, now, one(), &progress()).await }));
    }
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(error.is_refusal(), "{error}"),
        }
    }
    assert!(done >= 1, "one of them gets through");
    let log = std::sync::Arc::into_inner(log).unwrap();
    let game = Game { log, clock: game.clock };
    assert!(game.count_of(&plan).await.iter().all(|count| *count == 1));
    assert_eq!(game.apply(&plan).await.unwrap(), Applied::Nothing);
    assert_eq!(game.verify(&plan).await.name(), "verified");
    assert!(game.look().await.replay.held().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_apply_at_once_apply_once() {
    for _ in 0..20 {
        race(["alice", "alice"], 0).await;
        race(["alice", "carol"], 0).await;
        race(["alice", "carol"], 5).await;
    }
}

#[tokio::test]
async fn a_compensation_whose_id_is_taken_is_an_error_and_never_counted_as_done() {
    let (game, plan) = approved().await;
    let forged = &plan.items[0];
    let taking = FailingLog::taking(&game.log, forged.steps[0].id);
    let error = apply(&taking, plan.id, &actor("alice"), NOW, one(), &progress()).await.unwrap_err();
    assert!(matches!(error, ApplyError::Append(AppendError::IdConflict { .. })), "{error}");
    assert!(!game.kinds(&plan.stream()).await.contains(&"PlanApplied".to_owned()));
}

#[tokio::test]
async fn acts_are_events_in_order() {
    let game = Game::new();
    let by = actor("alice");
    for number in 1..=2 {
        let act = record_act(&game.log, &by, "plan", "no such word", "detail".into(), NOW).await.unwrap();
        assert_eq!((act.revision.0, act.position.0), (number, number));
    }
    let events = game.log.read_stream(&stream("ops-acts")).await.unwrap();
    let decoded = events[0].decode().event.unwrap();
    let wox_events::Event::Ops(OpsEvent::OperatorActed { outcome, .. }) = decoded else { panic!("{decoded:?}") };
    assert_eq!(outcome.as_str(), "unnamed", "what is no identity is not lost as an event");
    assert_eq!(wox_recovery::recovery::apply::engine(), actor("wox"));
}

#[tokio::test]
async fn evidence_as_of_a_position_is_the_same_from_a_snapshot() {
    let game = broken().await;
    let head = game.log.head().await.unwrap().position.0;
    let threads = NonZeroUsize::MIN;
    let at = |position| gather_upto(&game.log, position, None, threads, Box::leak(Box::new(progress())));
    let early = at(position(head / 2)).await.unwrap();
    assert_eq!((early.as_of.0, early.head.0), (head / 2, head));
    assert_eq!(early.root, game.log.root_at(position(head / 2)).await.unwrap());
    let whole = at(position(head)).await.unwrap();
    for snapshot in [early.replay.clone(), whole.replay.clone()] {
        let from = gather_upto(&game.log, position(head), Some(snapshot), threads, &progress()).await.unwrap();
        assert_eq!(from.replay, whole.replay);
    }
    let newer = gather_upto(&game.log, position(head / 2), Some(whole.replay), threads, &progress()).await.unwrap();
    assert_eq!(newer.replay, early.replay, "a snapshot beyond the asked position is not used");
    let error = at(position(head + 1)).await.unwrap_err();
    assert!(matches!(error, GatherError::Beyond { .. }));
    assert_eq!(
        error.to_string(),
        format!("position {} is beyond the end of the log; positions 0 to {head} exist", head + 1)
    );
}

#[tokio::test]
async fn a_repair_that_did_not_do_what_it_promised_diverges() {
    let (game, plan) = approved().await;
    let verdict = game.verify(&plan).await;
    assert_eq!((verdict.name(), verdict.unrepaired.len()), ("diverged", 3), "nothing was applied yet");
    game.apply(&plan).await.unwrap();
    assert_eq!(game.verify(&plan).await.name(), "verified");
    game.tell("pool-main", PoolEvent::PoolStated { balance: g(1000) }).await;
    assert_eq!(game.verify(&plan).await.name(), "remaining", "something new is wrong, and it is somebody's to decide");
}

#[test]
fn a_disaster_larger_than_one_event_is_repaired_plan_by_plan() {
    crate::rt().block_on(async {
        let mut game = Game::new();
        for number in 0..150 {
            let (a, b, duel) = (format!("a{number}"), format!("b{number}"), format!("d{number}"));
            game.player(&a, 0).await;
            game.player(&b, 0).await;
            game.challenge(&duel, (&a, split(10, 0)), (&b, split(10, 0))).await;
            game.tell(&format!("duel-{duel}"), DuelEvent::ChallengeExpired {}).await;
        }
        game.wait(3_600);
        game.tick().await;
        let (mut plans, mut repaired) = (0, 0);
        loop {
            let plan = game.plan().await;
            if !plan.changes {
                assert_eq!(plan.deferred, 0);
                break;
            }
            let size = serde_json::to_string(&plan).unwrap().len();
            assert!(size < wox_recovery::log::DATA_BYTES_MAX, "a plan of {size} bytes is no event");
            assert_eq!(repaired + plan.items.len() + plan.deferred, 150, "what waits is counted");
            repaired += plan.items.len();
            plans += 1;
            game.carry_out(&plan).await;
        }
        assert!(plans > 1 && repaired == 150, "{plans} plans repaired {repaired}");
    });
}

#[tokio::test]
async fn time_that_has_not_passed_on_this_machine_makes_nothing_late() {
    let mut game = Game::new();
    game.active_duel().await;
    let began = game.now();
    game.wait(20 * 3600).tick().await;
    let by_the_game = game.plan().await;
    assert!(by_the_game.changes && by_the_game.base.clock.is_none());
    let after = |seconds| began.plus(Duration::seconds(seconds));
    let at = async |seconds| plan(&game.look().await.seen_at(after(seconds)), &Scope::All).unwrap();
    let soon = at(60).await;
    assert!(!soon.changes && soon.held.is_empty(), "{soon:#?}");
    assert_eq!(soon.base.clock, Some(after(60)));
    assert_eq!(at(90).await.id, soon.id, "which moment was taken is no content");
    // A plan that counted time that has not passed here is not applied here.
    game.propose(&by_the_game).await;
    approve(&game.log, by_the_game.id, &actor("bob"), "fine", after(61)).await.unwrap();
    let early = apply(&game.log, by_the_game.id, &actor("alice"), after(62), one(), &progress()).await;
    assert!(matches!(early, Err(ApplyError::Changed { .. })), "{early:?}");
    // Once it has passed, the plan is made, and applied later, by the moment it was made at.
    let stuck = at(400).await;
    assert_eq!(stuck.id, by_the_game.id);
    let applied = apply(&game.log, stuck.id, &actor("alice"), after(500), one(), &progress()).await.unwrap();
    assert!(matches!(applied, Applied::Appended { .. }));
    nothing(&at(600).await);
}
