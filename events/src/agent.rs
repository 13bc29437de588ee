//! The elizaOS agent: when it was away, what it remembers, what it said (streams `agent-<name>`; rows R16, R17, R23).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, EventId, Timestamp, id::Label};

/// The elizaOS agent: when it was away, what it remembers, what it said (streams `agent-<name>`; rows R16, R17, R23).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum AgentEvent {
    /// The agent stopped or lost its memory; from here on nobody could move.
    AgentStopped {
        /// Since when.
        since: Timestamp,
        /// A crash, a restart, lost memory.
        reason: Label,
    },
    /// The agent is back.
    AgentResumed {
        /// Until when it was away.
        until: Timestamp,
    },
    /// The agent's memory was saved.
    AgentSnapshotTaken {
        /// Of the memory.
        digest: Digest,
        /// The last mention it had handled.
        cursor: Label,
    },
    /// The agent's memory was restored.
    AgentRestored {
        /// Of the memory.
        snapshot: Digest,
        /// The last mention that memory knows.
        cursor: Label,
    },
    /// Mentions may have been missed from here on.
    StreamGapOpened {
        /// Since when.
        since: Timestamp,
        /// The last post that was seen.
        since_post: Label,
    },
    /// The missed mentions were fetched.
    StreamGapFilled {
        /// Until when.
        until: Timestamp,
        /// How.
        method: Label,
        /// How many.
        count: u32,
    },
    /// A post that mentions the game.
    MentionReceived {
        /// The post.
        post: Label,
        /// Its author's user id.
        author: Label,
    },
    /// The game answered.
    ReplyPosted {
        /// The answer.
        post: Label,
        /// The post it answers.
        to: Label,
        /// Of its text.
        digest: Digest,
    },
    /// The game took back something it had said.
    PublicCorrectionPosted {
        /// The correction.
        post: Label,
        /// What it corrects.
        corrects: EventId,
    },
}
