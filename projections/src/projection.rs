//! The contract of a fold, and the words it answers with.

use std::fmt;

use serde::{Deserialize, Serialize};
use wox_events::{Amount, DecodeError, EventId, Position, Recorded, Revision, StreamId, Timestamp};

use crate::ledger::Account;

/// One fold. `Default` is the state before the first event.
pub trait Projection: Default {
    /// The family of events this fold is about.
    type Event;
    /// Its name, as in `wox state NAME`.
    const NAME: &'static str;

    /// Judges whether the event may follow from what is known. Changes nothing, so a refused event leaves exactly the
    /// last valid state behind.
    fn check(&self, at: &Recorded, event: &Self::Event) -> Result<(), Rejection>;

    /// Takes the event in. Only called after `check` said yes; cannot refuse.
    fn evolve(&mut self, at: &Recorded, event: &Self::Event);
}

/// Where an event stands: enough to find it again and to cite it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRef {
    /// In the whole log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// In the stream.
    pub revision: Revision,
    /// Its id.
    pub id: EventId,
}

impl EventRef {
    /// The place of a recorded event.
    #[must_use]
    pub fn of(at: &Recorded) -> EventRef {
        EventRef { position: at.position, stream: at.stream.clone(), revision: at.revision, id: at.id }
    }
}

/// Where an event stands in a stream that is known anyway: what folds keep by the hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventAt {
    /// In the whole log.
    pub position: Position,
    /// In the stream.
    pub revision: Revision,
    /// Its id.
    pub id: EventId,
}

impl EventAt {
    /// The place of a recorded event.
    #[must_use]
    pub fn of(at: &Recorded) -> EventAt {
        EventAt { position: at.position, revision: at.revision, id: at.id }
    }

    /// The full citation, with the stream it is in.
    #[must_use]
    pub fn on(self, stream: &StreamId) -> EventRef {
        EventRef { position: self.position, stream: stream.clone(), revision: self.revision, id: self.id }
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (position {})", self.stream, self.revision, self.position)
    }
}

/// Why a fold refuses an event. The stream is held from there on; the rest plays on (law 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// This build cannot read it.
    #[error("{0}")]
    Unreadable(DecodeError),
    /// A revision of the stream is missing before it.
    #[error("revision {got} follows revision {previous}: the stream is incomplete")]
    RevisionGap {
        /// The last revision seen.
        previous: Revision,
        /// The revision of this event.
        got: Revision,
    },
    /// An earlier event of the same stream is held.
    #[error("its stream is held since position {since}")]
    StreamHeld {
        /// The position of the first held event.
        since: Position,
    },
    /// The event that caused it is held.
    #[error("it was caused by event {cause}, which is held")]
    CauseHeld {
        /// The held event.
        cause: EventId,
    },
    /// It says of itself that it happened at a time at which nothing can have happened.
    #[error("its time of {} microseconds is outside the years 1970 to 2099", time.0)]
    Untimely {
        /// The time it carries.
        time: Timestamp,
    },
    /// It speaks of something nobody has heard of.
    #[error("{what} `{id}` does not exist")]
    Unknown {
        /// What kind of thing.
        what: String,
        /// Which.
        id: String,
    },
    /// It creates something that is there already.
    #[error("{what} `{id}` exists already")]
    Exists {
        /// What kind of thing.
        what: String,
        /// Which.
        id: String,
    },
    /// It cannot follow from the state its subject is in.
    #[error("{subject} is {is}, this event needs it {needs}")]
    WrongState {
        /// What it is about.
        subject: String,
        /// The state it is in.
        is: String,
        /// The state the event needs.
        needs: String,
    },
    /// Two figures or names that must agree do not.
    #[error("{field} is {got}, expected {expected}")]
    Mismatch {
        /// Which figure or name.
        field: String,
        /// What the state says.
        expected: String,
        /// What the event says.
        got: String,
    },
    /// It takes more from an account than is there.
    #[error("account {account} is short by {short_by} G")]
    Overdrawn {
        /// The account.
        account: Account,
        /// By how much.
        short_by: Amount,
    },
    /// A sum would leave the range of amounts.
    #[error("account {account} would leave the range of amounts")]
    Overflow {
        /// The account.
        account: Account,
    },
}

impl Rejection {
    pub(crate) fn unknown(what: &str, id: impl fmt::Display) -> Rejection {
        Rejection::Unknown { what: what.to_owned(), id: id.to_string() }
    }

    pub(crate) fn exists(what: &str, id: impl fmt::Display) -> Rejection {
        Rejection::Exists { what: what.to_owned(), id: id.to_string() }
    }

    pub(crate) fn state(subject: impl fmt::Display, is: impl fmt::Display, needs: &str) -> Rejection {
        Rejection::WrongState { subject: subject.to_string(), is: is.to_string(), needs: needs.to_owned() }
    }

    /// `Ok` when the two agree.
    pub(crate) fn same<T: PartialEq + fmt::Display>(field: &str, expected: &T, got: &T) -> Result<(), Rejection> {
        if expected == got {
            return Ok(());
        }
        Err(Rejection::Mismatch { field: field.to_owned(), expected: expected.to_string(), got: got.to_string() })
    }
}
