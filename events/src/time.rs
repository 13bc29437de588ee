//! Time as data: microseconds since 1970 in UTC. Folds compare times that events carry; they never ask for one.

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A span of time, in microseconds. Negative spans exist: clocks of different machines disagree.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Duration(pub i64);

impl Timestamp {
    /// The end of the years in which events happen, 2100-01-01T00:00:00Z. A later time is a fault of whoever wrote it
    /// (milliseconds read as microseconds, a maximum taken for "never"), and one such time would move the game's clock.
    pub const END: Timestamp = Timestamp(4_102_444_800_000_000);

    /// True for a moment at which an event can have happened: from 1970 to [`Timestamp::END`].
    ///
    /// ```
    /// use wox_events::Timestamp;
    /// assert!(Timestamp(1_785_585_600_000_000).can_be());
    /// assert!(!Timestamp(i64::MAX).can_be());
    /// ```
    #[must_use]
    pub const fn can_be(self) -> bool {
        0 <= self.0 && self.0 < Timestamp::END.0
    }

    /// The span from `earlier` to this moment; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved by a span.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Duration {
        Duration(seconds.saturating_mul(1_000_000))
    }

    /// The span in whole seconds, rounded towards zero.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1_000_000
    }
}
