//! The demo game: a seeded generator of whole histories of Wizards of X, sound or with known faults in them.
//!
//! It stands in for the game, so that a recovery can be shown, tested and measured offline. It writes facts in log order
//! and nothing else: it knows no clock, no store and no fold. The same options always give the same bytes.
//!
//! `day` plans what is going to happen, `world` is the agenda and the pen, and `people`, `duels`,
//! `tournaments` and `banking` are the game's own rules, played just far enough. `faults` holds everything that
//! goes wrong on purpose, one function a fault.

mod banking;
mod day;
mod duels;
mod encode;
mod faults;
mod people;
mod tournaments;
mod world;

use wox_events::{NewEvent, Revision, StreamId};

use world::World;

/// What kind of history to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// About how many events; `None` is one day of some 20,000. More events are more days, with more players. A day with
    /// faults needs some 3,000.
    pub events: Option<u64>,
    /// Whether to plant faults on the last day.
    pub faults: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { seed: 1, events: None, faults: true }
    }
}

/// Events that belong together: one atomic append to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The stream.
    pub stream: StreamId,
    /// The revision the stream is at before the append.
    pub expected: Revision,
    /// In order.
    pub events: Vec<NewEvent>,
}

/// A fault that was put into a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Which: one of [`PLANTED`].
    pub fault: &'static str,
    /// What it happened to: the name of the stream that has to be looked at.
    pub subject: String,
    /// The first event that is wrong or, where events are missing, the last one before the gap.
    pub at: (StreamId, Revision),
}

/// The names of the faults that a history with [`Options::faults`] has, at least one of each.
pub const PLANTED: [&str; 17] = [
    "stuck_duel",
    "interrupted_duel",
    "challenge_never_expired",
    "stake_not_released",
    "duplicate_deposit",
    "half_paid_prizes",
    "wrong_prize",
    "wrong_bracket",
    "crossed_buckets",
    "pool_drift",
    "unknown_kind",
    "refused_event",
    "withdrawal_in_doubt",
    "unpaid_duel",
    "late_post",
    "corrected_result",
    "unrefunded_entry",
];

/// A history as it is being written: an iterator over its batches in log order.
///
/// It holds what is open at the moment (duels, payments, tournaments) and the players, never the events it has given
/// away, so that millions of events take no more memory than a day of the game.
pub struct History {
    world: World,
}

/// Starts writing a history.
///
/// ```
/// use wox_recovery::demo::{Options, history};
/// let options = Options { seed: 7, events: Some(2_000), faults: false };
/// let events: usize = history(&options).map(|batch| batch.events.len()).sum();
/// assert!((1_800..2_200).contains(&events));
/// ```
#[must_use]
pub fn history(options: &Options) -> History {
    History { world: day::genesis(options) }
}

impl History {
    /// The faults planted so far; all of them once the iterator has ended.
    #[must_use]
    pub fn planted(&self) -> &[Planted] {
        &self.world.planted
    }
}

impl Iterator for History {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.world.out.pop_front() {
                return Some(batch);
            }
            if !day::step(&mut self.world) {
                return None;
            }
        }
    }
}
