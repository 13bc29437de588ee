//! The one place that asks for the time; everything below the command line gets it as an argument.

use wox_events::Timestamp;

/// The present moment, in microseconds since 1970.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_micros())
}
