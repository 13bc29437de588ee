//! Commands that players posted: how many ended how, and the ones that have not ended (row R18). The post's id is the
//! stream, so the log itself refuses to take a post twice.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wox_events::{CommandEvent, PlayerId, Recorded};

use crate::projection::{EventRef, Projection, Rejection};

/// The state of all commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Posts taken.
    pub received: u64,
    /// Done.
    pub accepted: u64,
    /// Refused by the game.
    pub rejected: u64,
    /// Posts that have no end yet, by post id.
    pub open: BTreeMap<String, OpenCommand>,
}

/// A command without an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCommand {
    /// Who posted it.
    pub author: PlayerId,
    /// What was asked for.
    pub verb: String,
    /// The class of the failure, when the game failed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
    /// The event that took it.
    pub received: EventRef,
}

impl Projection for Commands {
    type Event = CommandEvent;
    const NAME: &'static str = "commands";

    fn check(&self, at: &Recorded, event: &CommandEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let open = self.open.contains_key(id);
        match event {
            CommandEvent::CommandReceived { .. } if open || at.revision.0 > 1 => Err(Rejection::exists("command", id)),
            CommandEvent::CommandReceived { .. } => Ok(()),
            CommandEvent::CommandAccepted { .. }
            | CommandEvent::CommandRejected { .. }
            | CommandEvent::CommandQuarantined { .. }
            | CommandEvent::CommandRedriven { .. } => {
                if open {
                    Ok(())
                } else {
                    Err(Rejection::unknown("open command", id))
                }
            }
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &CommandEvent) {
        let id = at.stream.subject();
        match event {
            CommandEvent::CommandReceived { author, verb, .. } => {
                self.received += 1;
                let open = OpenCommand {
                    author: author.clone(),
                    verb: verb.to_string(),
                    quarantined: None,
                    received: EventRef::of(at),
                };
                self.open.insert(id.to_owned(), open);
            }
            CommandEvent::CommandAccepted { .. } => {
                self.accepted += 1;
                self.open.remove(id);
            }
            CommandEvent::CommandRejected { .. } => {
                self.rejected += 1;
                self.open.remove(id);
            }
            CommandEvent::CommandQuarantined { class } => {
                if let Some(command) = self.open.get_mut(id) {
                    command.quarantined = Some(class.to_string());
                }
            }
            CommandEvent::CommandRedriven { .. } => {
                if let Some(command) = self.open.get_mut(id) {
                    command.quarantined = None;
                }
            }
        }
    }
}
