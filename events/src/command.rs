//! Commands that players post, each under the post's own id (streams `command-<post id>`; row R18).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PlayerId, Position, Timestamp, id::Label};

/// Commands that players post, each under the post's own id (streams `command-<post id>`; row R18).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum CommandEvent {
    /// A post asked for something.
    CommandReceived {
        /// Who posted it.
        author: PlayerId,
        /// `d`, `cast`, `withdraw` …
        verb: Label,
        /// The rest of the command, as posted.
        arguments: String,
    },
    /// The game did it.
    CommandAccepted {
        /// The response code.
        code: u16,
    },
    /// The game refused it.
    CommandRejected {
        /// The response code.
        code: u16,
        /// Why.
        reason: Label,
    },
    /// The game failed on it.
    CommandQuarantined {
        /// The class of the failure.
        class: Label,
    },
    /// It was decided again, against this state.
    CommandRedriven {
        /// The position of the state it was decided on.
        decided_at: Position,
    },
}

/// The place of a post among all posts of the platform: its id as a number. As text ids do not sort (`9` is before `10`),
/// and when a post arrived says nothing about when it was made. `None` for what is no post id of X.
///
/// ```
/// use wox_events::command::post_number;
/// assert!(post_number("9") < post_number("10"));
/// assert_eq!(post_number("0x9"), None);
/// ```
#[must_use]
pub fn post_number(post: &str) -> Option<u64> {
    let digits = !post.is_empty() && post.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (post == "0" || !post.starts_with('0')) { post.parse().ok() } else { None }
}

/// When a post was made, to the millisecond: X writes the time into the upper bits of its ids.
///
/// ```
/// use wox_events::command::posted_at;
/// // Midnight before 2026-08-01.
/// assert_eq!(posted_at("2083341940945846272").unwrap().0, 1_785_542_400_000_000);
/// ```
#[must_use]
pub fn posted_at(post: &str) -> Option<Timestamp> {
    const EPOCH_MILLIS: i64 = 1_288_834_974_657;
    let millis = i64::try_from(post_number(post)? >> 22).ok()?;
    Some(Timestamp((millis + EPOCH_MILLIS) * 1000))
}
