//! Agents, commands, recoveries, operators.

use wox_events::{Duration, Timestamp};

use crate::story::{Story, check, refused, replay, taken};

#[test]
fn outages_open_and_close_in_turn() {
    let given = "
        agent-main AgentStopped since=10
        agent-main StreamGapOpened since=12
        agent-main AgentResumed until=20
        agent-main StreamGapFilled until=25
        agent-main AgentStopped since=40
        agent-main AgentSnapshotTaken
        agent-main AgentRestored
        agent-main MentionReceived
        agent-main ReplyPosted
        agent-main PublicCorrectionPosted";
    check(
        given,
        "agents/outages/0/until = 20
         agents/outages/1/until = 25
         agents/outages/2/until = null
         agents/snapshots = 1
         agents/mentions = 1
         agents/replies = 1
         agents/corrections = 1",
    );
    let agents = replay(&Story::default().tell_all(given)).state.agents;
    assert_eq!(agents.away(Timestamp(0), Timestamp(50)), Duration(15 + 10));
    assert_eq!(agents.during(Timestamp(20), Timestamp(41)).count(), 2);
    assert_eq!(agents.during(Timestamp(30), Timestamp(40)).count(), 0);
    refused(given, &[("agent-main AgentStopped since=50", "agent-main is away already, this event needs it here")]);
    let early = "agent-main is back before it was away, this event needs it back after it";
    refused(given, &[("agent-main AgentResumed until=39", early)]);
    refused(given, &[("agent-main StreamGapFilled until=50", "agent-main is here, this event needs it away")]);
    taken(given, &["agent-main AgentResumed until=60", "agent-main StreamGapOpened since=60"]);
}

#[test]
fn an_outage_as_long_as_time_is_as_long_as_time() {
    let agents = replay(&Story::default().tell_all("agent-main AgentStopped since=-9007199254740992")).state.agents;
    assert_eq!(agents.away(Timestamp(i64::MIN), Timestamp(i64::MAX)).0, i64::MAX, "saturates, never stops a replay");
}

#[test]
fn a_command_is_open_until_it_is_answered() {
    check(
        "command-1 CommandReceived author=ann verb=d
         command-2 CommandReceived author=ann verb=cast
         command-3 CommandReceived author=ann verb=withdraw
         command-1 CommandAccepted code=200
         command-2 CommandQuarantined class=timeout
         command-2 CommandRedriven
         command-2 CommandRejected code=409
         command-3 CommandQuarantined class=timeout",
        r#"commands/received = 3
           commands/accepted = 1
           commands/rejected = 1
           commands/open/1 = nothing
           commands/open/2 = nothing
           commands/open/3/verb = "withdraw"
           commands/open/3/quarantined = "timeout""#,
    );
    check(
        "command-3 CommandReceived author=ann verb=withdraw
         command-3 CommandQuarantined class=timeout
         command-3 CommandRedriven",
        "commands/open/3/quarantined = nothing",
    );
    refused(
        "command-1 CommandReceived author=ann verb=d
         command-2 CommandReceived author=ann verb=d
         command-2 CommandAccepted code=200",
        &[
            ("command-1 CommandReceived author=ann verb=d", "command `1` exists already"),
            ("command-2 CommandReceived author=ann verb=d", "command `2` exists already"),
            ("command-2 CommandAccepted", "open command `2` does not exist"),
            ("command-2 CommandRejected", "open command `2` does not exist"),
            ("command-3 CommandQuarantined", "open command `3` does not exist"),
            ("command-3 CommandRedriven", "open command `3` does not exist"),
        ],
    );
}

#[test]
fn a_plan_needs_a_second_person() {
    let proposed = "plan-1 PlanProposed digest=%plan .by=alice";
    refused(
        proposed,
        &[
            ("plan-1 PlanProposed digest=%plan .by=bob", "plan `1` exists already"),
            (
                "plan-1 PlanApproved digest=%plan .by=alice",
                "plan 1 is proposed by the same person, this event needs it approved by another",
            ),
            (
                "plan-1 PlanApproved digest=%plan .by=ALICE",
                "plan 1 is proposed by the same person, this event needs it approved by another",
            ),
            ("plan-2 PlanApproved digest=%plan .by=bob", "plan `2` does not exist"),
            ("plan-2 PlanApplied", "plan `2` does not exist"),
            ("plan-2 PlanVerified", "plan `2` does not exist"),
            (
                "plan-1 PlanApproved digest=%other .by=bob",
                &format!(
                    "digest is {}, expected {}",
                    wox_events::Digest::of(b"other"),
                    wox_events::Digest::of(b"plan")
                ),
            ),
        ],
    );
    check(
        &format!(
            "{proposed}
             plan-2 PlanRefused reason=stale
             plan-1 PlanRefused reason=stale
             plan-1 PlanApproved digest=%plan expires_at=99 .by=bob
             plan-1 PlanApplied appended=@duel-1#4
             plan-1 PlanVerified verdict=verified"
        ),
        r#"recoveries/plans/1/proposed_by = "alice"
           recoveries/plans/1/approvals/0/by = "bob"
           recoveries/plans/1/approvals/0/expires_at = 99
           recoveries/plans/1/refusals = 1
           recoveries/plans/1/verdict = "verified"
           recoveries/plans/1/revision = 5
           recoveries/plans/2 = nothing"#,
    );
}

#[test]
fn runs_are_counted_by_how_they_ended() {
    check(
        "run-1 RunStarted procedure=stuck_duel subject=duel-1
         run-1 StepStarted step=void
         run-1 StepSucceeded step=void
         run-1 StepFailed step=notify
         run-1 StepUnknown step=notify
         run-1 RunFinished verdict=done
         run-2 RunFinished verdict=done",
        "recoveries/runs = {\"done\":2}",
    );
}

#[test]
fn operators_and_incidents_are_kept_the_rest_is_counted() {
    check(
        "incident-7 IncidentOpened title=silence severity=high
         incident-7 IncidentClosed cause=restart
         ops-main OperatorActed command=plan outcome=dry_run
         ops-main OperatorActed command=plan outcome=dry_run
         ops-main EventWaived position=9 stream=duel-1 revision=3 event=@duel-1#3 why=bug .by=alice
         ops-main ComponentProbed
         ops-base EndpointQuarantined",
        r#"ops/incidents/7/severity = "high"
           ops/incidents/7/cause = "restart"
           ops/acts = {"plan: dry_run":2}
           ops/waivers/0/by = "alice"
           ops/waivers/0/position = 9
           ops/counts = {"ComponentProbed":1,"EndpointQuarantined":1}"#,
    );
    refused(
        "incident-7 IncidentOpened",
        &[
            ("incident-7 IncidentOpened", "incident `7` exists already"),
            ("incident-8 IncidentClosed", "incident `8` does not exist"),
        ],
    );
}

#[test]
fn notices_wait_until_they_are_sent_or_taken_back() {
    let queued = "
        outbox-a NoticeQueued audience=player-ann text=paid
        outbox-b NoticeQueued audience=player-bob text=paid";
    let sent = format!("{queued}\n        outbox-a NoticeSent notice=@outbox-a#1 remote=17");
    let a = crate::story::id("outbox-a#1");
    check(
        &sent,
        &format!(
            r#"outbox/pending/{a} = nothing
               outbox/sent/{a}/remote = "17"
               outbox/sent/{a}/audience = "player-ann""#
        ),
    );
    let taken_back = format!(
        "{sent}
        outbox-a NoticeSuperseded notice=@outbox-a#1
        outbox-b NoticeSuperseded notice=@outbox-b#1"
    );
    check(&taken_back, "outbox/pending = {}\noutbox/sent = {}\noutbox/superseded = 2");
    refused(
        &sent,
        &[
            ("outbox-a NoticeSent notice=@outbox-a#1 remote=18", "sending of notice `@outbox-a#1` exists already"),
            ("outbox-c NoticeSent notice=@outbox-c#1 remote=18", "notice `@outbox-c#1` does not exist"),
            ("outbox-c NoticeSuperseded notice=@outbox-c#1", "notice `@outbox-c#1` does not exist"),
        ],
    );
}

#[test]
fn a_mention_from_an_outage_is_unanswered_until_it_is_read_or_answered() {
    // Posts carry their time: this one was made at 1288834974657 ms + 5 s.
    let post = 5_000_u64 << 22 | 1;
    let away = format!(
        "agent-main AgentStopped since=1288834974657000
         agent-main MentionReceived post={post} author=ann
         agent-main MentionReceived post=7 author=bob"
    );
    check(&away, &format!(r#"agents/unanswered/{post}/author = "ann""#));
    check(
        &format!("{away}\nagent-main ReplyPosted post=9 to={post}\nagent-main ReplyPosted post=9 to=7"),
        "agents/unanswered = nothing",
    );
    check(
        &format!("{away}\ncommand-{post} CommandReceived author=ann verb=cast"),
        &format!("agents/unanswered/{post} = nothing"),
    );
}
