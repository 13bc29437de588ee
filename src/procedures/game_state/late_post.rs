//! A command of a duel that was posted while the game was away and that nobody has decided about (rows R23, R18 under the
//! timers of R08). In time, the game decides it again in the order of the posts; too late, or after the end, it is refused
//! and changes nothing: a late spell never wakes a duel that is over.

use wox_events::{DuelId, StreamId};
use wox_projections::{
    duels::{Duel, Phase},
    late_posts::{About, LatePost, late_posts},
};

use super::super::{Procedure, Steps, hold, stream};
use crate::recovery::{Case, Evidence, Finding, Repair, Severity};

/// This procedure.
pub const PROCEDURE: Procedure =
    Procedure { name: "late_post", row: "R23", finds: "a post from an outage that nobody has decided about", examine };

fn examine(evidence: &Evidence) -> Vec<Case> {
    let late = late_posts(&evidence.replay.state);
    let mut cases = Vec::new();
    let mut ordered: Vec<&DuelId> = Vec::new();
    for post in &late {
        let About::Duel(id, duel) = post.about else {
            let repair = hold(
                "its author is in several duels and the post does not say which it is about",
                "have the game decide it in the duel it answers, or refuse it",
            );
            cases.push(Case { finding: finding(&post.event.stream, post, "names no duel"), repair });
            continue;
        };
        if !super::unordered(&late, id).any(|(other, _)| other.number == post.number) {
            continue;
        }
        match duel.phase {
            Phase::Active if super::is_stuck(evidence, id, duel, &late) => {
                if post.verb.is_some() {
                    cases.push(over(evidence, post, id, Phase::Voided));
                }
            }
            Phase::Active | Phase::Challenged => {
                let waiting = super::waiting(evidence, &late, id);
                let goes_on = duel.phase == Phase::Active && interrupted(evidence, duel);
                if goes_on && (post.verb.is_none() || waiting.iter().any(|other| other.number == post.number)) {
                    // What an outage cut off goes on with its posts; see interrupted_duel.
                } else if post.verb.is_none() {
                    cases.push(unread(post));
                } else if !waiting.iter().any(|other| other.number == post.number) {
                    cases.push(refused(evidence, post, id, "too-late", "its time was over before the outage began"));
                } else if !ordered.contains(&id) {
                    ordered.push(id);
                    cases.push(order(evidence, id, duel, &waiting));
                }
            }
            // Whether the end stands is for people to say first; see clocked_out.
            Phase::Ended if super::is_clocked_out(evidence, duel) => {}
            Phase::Ended | Phase::Declined | Phase::Expired | Phase::Voided if post.verb.is_some() => {
                cases.push(over(evidence, post, id, duel.phase));
            }
            Phase::Ended | Phase::Declined | Phase::Expired | Phase::Voided => {}
        }
    }
    cases
}

/// The posts about a duel that a plan is about to void.
pub(super) fn of_voided(evidence: &Evidence, id: &DuelId, late: &[LatePost<'_>]) -> Vec<Case> {
    let posts = super::unordered(late, id).map(|(post, _)| post).filter(|post| post.verb.is_some());
    posts.map(|post| over(evidence, post, id, Phase::Voided)).collect()
}

/// True for an active duel that interrupted_duel deals with: an outage since the last move that was not dealt with.
fn interrupted(evidence: &Evidence, duel: &Duel) -> bool {
    let mut outages = evidence.replay.state.agents.during(duel.last_action, evidence.now());
    outages.any(|outage| !duel.interruptions.contains(&outage.from))
}

fn finding(subject: &StreamId, post: &LatePost<'_>, what: &str) -> Finding {
    Finding {
        severity: Severity::Medium,
        since: Some(post.event.clone()),
        ..PROCEDURE.finding("WOX-TWIT-MON-002", subject, format!("{} {what}", super::told(&[post])))
    }
}

fn order(evidence: &Evidence, id: &DuelId, duel: &Duel, waiting: &[&LatePost<'_>]) -> Case {
    let stream = stream("duel", id.as_str());
    let says = format!("duel {id} is {} and the game has not decided about {}", duel.phase, super::told(waiting));
    let finding = Finding {
        severity: Severity::Medium,
        since: waiting.first().map(|post| post.event.clone()),
        ..PROCEDURE.finding("WOX-TWIT-MON-002", &stream, says)
    };
    Case { finding, repair: super::order_posts(Steps::on(evidence, stream), waiting).repair() }
}

fn unread(post: &LatePost<'_>) -> Case {
    let repair: Repair = hold(
        "nobody has read it as a command: whether it is a move is not known",
        "have the game read it, then plan again",
    );
    Case { finding: finding(&post.event.stream, post, "waits"), repair }
}

fn over(evidence: &Evidence, post: &LatePost<'_>, id: &DuelId, phase: Phase) -> Case {
    refused(evidence, post, id, "duel-over", &format!("the duel is {phase}"))
}

fn refused(evidence: &Evidence, post: &LatePost<'_>, id: &DuelId, reason: &str, why: &str) -> Case {
    let what = format!("comes too late for duel {id}: {why}");
    let says = format!("refuse post {} of player {}: {why}, it changes nothing", post.number, post.author);
    Case { finding: finding(&post.event.stream, post, &what), repair: super::refuse_post(evidence, post, reason, says) }
}
