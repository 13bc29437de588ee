//! Watches one invariant over a replay: after every event it judges what that event can have changed, so one pass says
//! since which event each counterexample stands, however often it broke and was mended before.

use std::collections::BTreeMap;

use wox_events::{Position, Recorded, StreamId};
use wox_projections::{
    EventRef, Replay,
    invariants::{Invariant, Reach, Violation},
};

use crate::replay::Watch;

/// What a watch over a whole state looks at: every so many events, and event by event only where it must.
pub const STRIDE: u64 = 1024;

/// A counterexample that stands, and since which event it does without a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The event.
    pub since: EventRef,
    /// What was broken after it.
    pub detail: String,
}

/// The eyes on one invariant.
pub struct Eyes {
    invariant: &'static Invariant,
    subject: Option<String>,
    every_event: bool,
    everything: bool,
    until: Position,
    broken: BTreeMap<String, Broken>,
    mended: u64,
}

impl Eyes {
    /// Eyes on an invariant, about one subject where it is given, up to a position.
    #[must_use]
    pub fn on(invariant: &'static Invariant, subject: Option<String>, until: Position) -> Eyes {
        Eyes {
            every_event: !matches!(invariant.reach, Reach::State),
            everything: false,
            invariant,
            subject,
            until,
            broken: BTreeMap::new(),
            mended: 0,
        }
    }

    /// Eyes that take in the whole state after every event: dear, for a short stretch.
    #[must_use]
    pub fn at_every_event(mut self) -> Eyes {
        self.every_event = true;
        self
    }

    /// Eyes that look at the whole state, however far an event is said to reach.
    #[must_use]
    pub fn at_everything(mut self) -> Eyes {
        self.everything = true;
        self
    }

    /// Takes over since when something stands broken from eyes that looked closer at the stretch where it broke.
    pub fn sharpen(&mut self, closer: &Eyes) {
        for (subject, seen) in &closer.broken {
            if let Some(broken) = self.broken.get_mut(subject).filter(|broken| broken.since.position == closer.until) {
                broken.since = seen.since.clone();
            }
        }
    }

    /// What is broken at the last event seen, by subject.
    #[must_use]
    pub fn broken(&self) -> &BTreeMap<String, Broken> {
        &self.broken
    }

    /// How many breaks were mended.
    #[must_use]
    pub fn mended(&self) -> u64 {
        self.mended
    }

    /// True when a look at the whole state says the same as the watch.
    #[must_use]
    pub fn agrees_with(&self, state: &Replay) -> bool {
        let now = self.concerned((self.invariant.check)(state));
        now.len() == self.broken.len() && now.keys().all(|subject| self.broken.contains_key(subject))
    }

    fn concerned(&self, found: Vec<Violation>) -> BTreeMap<String, String> {
        let mut by_subject = BTreeMap::new();
        for violation in found {
            if self.subject.as_ref().is_none_or(|subject| *subject == violation.subject) {
                by_subject.entry(violation.subject).or_insert(violation.detail);
            }
        }
        by_subject
    }

    /// Takes in what was found about `looked_at`, or about everything.
    fn note(&mut self, looked_at: Option<&str>, found: Vec<Violation>, event: &Recorded) {
        let found = self.concerned(found);
        let before = self.broken.len();
        self.broken.retain(|subject, _| {
            looked_at.is_some_and(|looked_at| looked_at != subject) || found.contains_key(subject)
        });
        self.mended += (before - self.broken.len()) as u64;
        for (subject, detail) in found {
            self.broken.entry(subject).or_insert_with(|| Broken { since: EventRef::of(event), detail });
        }
    }
}

impl Watch for Eyes {
    fn after(&mut self, state: &Replay, event: &Recorded) {
        match self.invariant.reach {
            Reach::Stream { family, check, linked } if !self.everything => {
                if event.stream.family() != Some(family) {
                    return;
                }
                self.note(Some(event.stream.as_str()), check(state, &event.stream), event);
                if linked {
                    let others: Vec<String> = self.broken.keys().cloned().collect();
                    for other in others.iter().filter(|other| *other != event.stream.as_str()) {
                        if let Ok(stream) = StreamId::new(other) {
                            self.note(Some(other), check(state, &stream), event);
                        }
                    }
                }
            }
            Reach::Whole | Reach::State | Reach::Stream { .. } => {
                let due = event.position.0.is_multiple_of(STRIDE) || event.position == self.until;
                if self.every_event || due {
                    self.note(None, (self.invariant.check)(state), event);
                }
            }
        }
    }
}
