//! Commands that players post, each under the post's own id (streams `command-<post id>`; row R18).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PlayerId, Position, id::Label};

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
