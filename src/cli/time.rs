//! The one place that asks for the time; everything below the command line gets it as an argument.

use wox_events::{Duration, Timestamp};

/// How far ahead of this machine's clock a moment that somebody tells may lie. Clocks disagree; by more than this, one of
/// them is wrong. What lies less far ahead moves the game's clock, and plans count by this machine's until it is there.
pub const AHEAD_MAX: Duration = Duration::seconds(24 * 60 * 60);

/// The present moment, in microseconds since 1970.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_micros())
}
