//! What people are to be told: notices that wait to be sent, and the ones that were sent (streams `outbox-<notice id>`; rows
//! R22, R40). A notice has a stream of its own, so the log itself refuses to queue it twice. Each was caused by the event it
//! tells of; when that event is taken back, so is the notice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wox_events::{EventId, OpsEvent, Recorded, Timestamp};

use crate::projection::{EventRef, Projection, Rejection};

/// All notices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// Notices that wait to be sent, by id.
    pub pending: BTreeMap<String, Notice>,
    /// Notices that were sent and still stand, by id.
    pub sent: BTreeMap<String, Sent>,
    /// How many were taken back.
    pub superseded: u64,
}

/// A notice that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// To whom: the stream of a player, or `operators`.
    pub audience: String,
    /// What.
    pub text: String,
    /// The event it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<EventId>,
    /// When it was queued.
    pub since: Timestamp,
    /// The event that queued it.
    pub queued: EventRef,
}

/// A notice that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// To whom.
    pub audience: String,
    /// Its id out there.
    pub remote: String,
    /// The event it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<EventId>,
}

impl Outbox {
    /// The ids of the notices that tell of an event and were not taken back, and whom they tell.
    pub fn telling_of(&self, event: EventId) -> impl Iterator<Item = (&str, &str)> {
        let pending = self.pending.iter().map(|(id, notice)| (id, &notice.audience, notice.about));
        let sent = self.sent.iter().map(|(id, sent)| (id, &sent.audience, sent.about));
        let of_event = pending.chain(sent).filter(move |(.., about)| *about == Some(event));
        of_event.map(|(id, audience, _)| (id.as_str(), audience.as_str()))
    }
}

impl Projection for Outbox {
    type Event = OpsEvent;
    const NAME: &'static str = "outbox";

    fn check(&self, at: &Recorded, event: &OpsEvent) -> Result<(), Rejection> {
        let known = |id: &EventId| {
            let id = id.to_string();
            self.pending.contains_key(&id) || self.sent.contains_key(&id)
        };
        match event {
            OpsEvent::NoticeQueued { .. } if known(&at.id) => Err(Rejection::exists("notice", at.id)),
            OpsEvent::NoticeSent { notice, .. } if self.sent.contains_key(&notice.to_string()) => {
                Err(Rejection::exists("sending of notice", notice))
            }
            OpsEvent::NoticeSent { notice, .. } | OpsEvent::NoticeSuperseded { notice } if !known(notice) => {
                Err(Rejection::unknown("notice", notice))
            }
            _ => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &OpsEvent) {
        match event {
            OpsEvent::NoticeQueued { audience, text } => {
                let notice = Notice {
                    audience: audience.to_string(),
                    text: text.clone(),
                    about: at.causation,
                    since: at.time,
                    queued: EventRef::of(at),
                };
                self.pending.insert(at.id.to_string(), notice);
            }
            OpsEvent::NoticeSent { notice, remote } => {
                if let Some(Notice { audience, about, .. }) = self.pending.remove(&notice.to_string()) {
                    self.sent.insert(notice.to_string(), Sent { audience, remote: remote.to_string(), about });
                }
            }
            OpsEvent::NoticeSuperseded { notice } => {
                let id = notice.to_string();
                self.pending.remove(&id);
                self.sent.remove(&id);
                self.superseded += 1;
            }
            // Everything else of the family is about other things.
            _ => {}
        }
    }
}
