//! When the game was away. Time in these windows counts for nobody: no duel times out and no tournament idles in it
//! (rows R08, R09, R16, R23).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wox_events::{
    AgentEvent, Duration, Recorded, Timestamp,
    command::{post_number, posted_at},
};

use crate::projection::{EventRef, Projection, Rejection};

/// The windows in which the game was away, and what its memory was last saved as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agents {
    /// In the order they began to be known.
    pub outages: Vec<Outage>,
    /// Memory snapshots taken.
    pub snapshots: u32,
    /// Posts that mention the game.
    pub mentions: u64,
    /// Answers posted.
    pub replies: u64,
    /// Public corrections posted.
    pub corrections: u32,
    /// Mentions that were posted while the game was away, or missed by it, and have no answer, by the number of the post.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<u64, Mention>,
}

/// A mention that was posted while the game was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Its author's user id.
    pub author: String,
    /// The event that brought it.
    pub event: EventRef,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Why: the agent was down, or its view of X had a gap.
    pub kind: OutageKind,
    /// Since when.
    pub from: Timestamp,
    /// Until when; open while nobody said.
    pub until: Option<Timestamp>,
    /// The event that opened it.
    pub event: EventRef,
    /// The number of the last post that was seen before it; whatever was posted behind that one, nobody had read when it
    /// began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// Why the game was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// The agent was stopped.
    Agent,
    /// Mentions were missed.
    Gap,
}

impl Agents {
    /// How much of a span the game was away, windows that overlap counted once. An open window lasts to the end of the
    /// span.
    #[must_use]
    pub fn away(&self, from: Timestamp, until: Timestamp) -> Duration {
        let mut windows: Vec<(i64, i64)> = self
            .outages
            .iter()
            .map(|outage| (outage.from.max(from).0, outage.until.unwrap_or(until).min(until).0))
            .filter(|(from, until)| from < until)
            .collect();
        windows.sort_unstable();
        let mut away = 0;
        let mut covered = i64::MIN;
        for (from, until) in windows {
            let from = from.max(covered);
            if from < until {
                away = until.saturating_sub(from).saturating_add(away);
                covered = until;
            }
        }
        Duration(away)
    }

    /// The windows that touch a span, in order.
    pub fn during(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Outage> {
        self.outages.iter().filter(move |outage| outage.from < until && outage.until.is_none_or(|end| end > from))
    }

    /// The window a moment lies in; the one that began first where several overlap.
    #[must_use]
    pub fn away_at(&self, moment: Timestamp) -> Option<&Outage> {
        let within = |outage: &&Outage| outage.from <= moment && outage.until.is_none_or(|end| moment < end);
        self.outages.iter().filter(within).min_by_key(|outage| outage.from)
    }

    /// When the game was back from a window: the end of all that hang together with it, `None` while one of them is open.
    #[must_use]
    pub fn back_from(&self, outage: &Outage) -> Option<Timestamp> {
        let mut until = outage.until?;
        loop {
            let mut latest = until;
            for other in self.outages.iter().filter(|other| other.from <= until) {
                latest = latest.max(other.until?);
            }
            if latest == until {
                return Some(until);
            }
            until = latest;
        }
    }

    /// The window a post lies in: it was made while the game was away, or before that and behind the last post that was
    /// seen. The one that began first where several overlap.
    #[must_use]
    pub fn missed(&self, number: u64, posted: Timestamp) -> Option<&Outage> {
        let behind = |outage: &Outage| outage.from <= posted || outage.seen.is_some_and(|seen| seen < number);
        let within = |outage: &&Outage| behind(outage) && outage.until.is_none_or(|end| posted < end);
        self.outages.iter().filter(within).min_by_key(|outage| outage.from)
    }

    /// A mention was read as a command, which is open or ends from here on.
    pub(crate) fn read(&mut self, post: &str) {
        if let Some(number) = post_number(post) {
            self.unanswered.remove(&number);
        }
    }

    fn open(&self, kind: OutageKind) -> Option<&Outage> {
        self.outages.iter().rev().find(|outage| outage.kind == kind && outage.until.is_none())
    }

    fn close(&mut self, kind: OutageKind, until: Timestamp) {
        let open = self.outages.iter_mut().rev().find(|outage| outage.kind == kind && outage.until.is_none());
        if let Some(outage) = open {
            outage.until = Some(until);
        }
    }
}

fn until(event: &AgentEvent) -> Option<Timestamp> {
    match event {
        AgentEvent::AgentResumed { until } | AgentEvent::StreamGapFilled { until, .. } => Some(*until),
        _ => None,
    }
}

impl Projection for Agents {
    type Event = AgentEvent;
    const NAME: &'static str = "agents";

    fn check(&self, at: &Recorded, event: &AgentEvent) -> Result<(), Rejection> {
        let (kind, opens) = match event {
            AgentEvent::AgentStopped { .. } => (OutageKind::Agent, true),
            AgentEvent::AgentResumed { .. } => (OutageKind::Agent, false),
            AgentEvent::StreamGapOpened { .. } => (OutageKind::Gap, true),
            AgentEvent::StreamGapFilled { .. } => (OutageKind::Gap, false),
            AgentEvent::AgentSnapshotTaken { .. }
            | AgentEvent::AgentRestored { .. }
            | AgentEvent::MentionReceived { .. }
            | AgentEvent::ReplyPosted { .. }
            | AgentEvent::PublicCorrectionPosted { .. } => return Ok(()),
        };
        match (self.open(kind), opens) {
            (Some(_), true) => Err(Rejection::state(format_args!("{}", at.stream), "away already", "here")),
            (None, false) => Err(Rejection::state(format_args!("{}", at.stream), "here", "away")),
            // A window that ends before it begins would be none, and time would count that nobody had.
            (Some(outage), false) if until(event).is_some_and(|until| until < outage.from) => {
                Err(Rejection::state(format_args!("{}", at.stream), "back before it was away", "back after it"))
            }
            _ => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &AgentEvent) {
        let opened = |kind, from| Outage { kind, from, until: None, event: EventRef::of(at), seen: None };
        match event {
            AgentEvent::AgentStopped { since, .. } => self.outages.push(opened(OutageKind::Agent, *since)),
            AgentEvent::StreamGapOpened { since, since_post } => {
                let seen = post_number(since_post.as_str());
                self.outages.push(Outage { seen, ..opened(OutageKind::Gap, *since) });
            }
            AgentEvent::AgentResumed { until } => self.close(OutageKind::Agent, *until),
            AgentEvent::StreamGapFilled { until, .. } => self.close(OutageKind::Gap, *until),
            AgentEvent::AgentSnapshotTaken { .. } => self.snapshots += 1,
            AgentEvent::MentionReceived { post, author } => {
                self.mentions += 1;
                if let (Some(number), Some(posted)) = (post_number(post.as_str()), posted_at(post.as_str()))
                    && self.missed(number, posted).is_some()
                {
                    let mention = Mention { author: author.to_string(), event: EventRef::of(at) };
                    self.unanswered.insert(number, mention);
                }
            }
            AgentEvent::ReplyPosted { to, .. } => {
                self.replies += 1;
                self.read(to.as_str());
            }
            AgentEvent::PublicCorrectionPosted { .. } => self.corrections += 1,
            AgentEvent::AgentRestored { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wox_events::{EventId, Position, Revision, StreamId};

    fn outage(from: i64, until: Option<i64>) -> Outage {
        let event = EventRef {
            position: Position(1),
            stream: StreamId::new("agent-main").unwrap(),
            revision: Revision(1),
            id: EventId::derived(&["test"]),
        };
        Outage { kind: OutageKind::Agent, from: Timestamp(from), until: until.map(Timestamp), event, seen: None }
    }

    #[test]
    fn overlapping_windows_count_once_and_open_ones_to_the_end() {
        let agents = Agents {
            outages: vec![outage(10, Some(20)), outage(15, Some(25)), outage(12, Some(13)), outage(40, None)],
            ..Agents::default()
        };
        assert_eq!(agents.away(Timestamp(0), Timestamp(50)), Duration(15 + 10));
        assert_eq!(agents.away(Timestamp(18), Timestamp(22)), Duration(4));
        assert_eq!(agents.away(Timestamp(26), Timestamp(39)), Duration(0));
        assert_eq!(agents.back_from(&agents.outages[0]), Some(Timestamp(25)));
        assert_eq!(agents.back_from(&agents.outages[3]), None);
    }
}
