//! Whom each handle is: a file of handles and platform user ids that somebody vouches for.

use std::collections::{HashMap, hash_map::Entry};

use serde::Deserialize;
use smol_str::SmolStr;
use wox_events::{Handle, PlayerId};

use crate::tables::image::key_form;

/// Most digits of a platform user id: 64 bits.
const ID_DIGITS_MAX: usize = 20;

/// What becomes of a row whose handle the roster does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmapped {
    /// It is refused by name.
    #[default]
    Refuse,
    /// It is taken over as the player `unmapped:<handle>`: no platform id has a colon, so it can be nobody else's.
    Hold,
}

/// Handles and the players they are.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    ids: HashMap<SmolStr, PlayerId>,
    unmapped: Unmapped,
}

/// Why a line of the file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoster {
    /// Neither `handle,id` nor a JSON object with both.
    #[error("the line is neither `handle,id` nor {{\"handle\": …, \"id\": …}}")]
    Shape,
    /// No handle.
    #[error("`{handle}` is no handle")]
    Handle {
        /// As it was written.
        handle: String,
    },
    /// No platform user id.
    #[error("`{id}` is no platform user id: 1 to 20 digits")]
    Id {
        /// As it was written.
        id: String,
    },
    /// The same handle was given to somebody else before.
    #[error("handle `{handle}` is player {before} in a line before, and player {id} here")]
    Twice {
        /// The handle.
        handle: String,
        /// Whose it was.
        before: PlayerId,
        /// Whose it is here.
        id: PlayerId,
    },
}

#[derive(Deserialize)]
struct Written {
    handle: String,
    id: Id,
}

/// Ids come as text or, where somebody's tool wrote them so, as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl Roster {
    /// A roster without a handle, and what becomes of handles it does not have.
    #[must_use]
    pub fn new(unmapped: Unmapped) -> Roster {
        Roster { ids: HashMap::new(), unmapped }
    }

    /// Takes a line of the file, CSV or JSON. A header is passed over; handles may be written with their @.
    pub fn line(&mut self, text: &str) -> Result<(), BadRoster> {
        let text = text.trim();
        let (handle, id) = if text.starts_with('{') {
            let entry: Written = serde_json::from_str(text).map_err(|_| BadRoster::Shape)?;
            let id = match entry.id {
                Id::Text(id) => id,
                Id::Number(id) => id.to_string(),
            };
            (entry.handle, id)
        } else {
            let bare = |field: &str| field.trim().trim_matches('"').to_owned();
            let (handle, id) = text.split_once(',').ok_or(BadRoster::Shape)?;
            (bare(handle), bare(id))
        };
        let header = ["handle", "twitter_handle"].iter().any(|name| handle.eq_ignore_ascii_case(name));
        if self.ids.is_empty() && header && !id.bytes().any(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        let handle = handle.strip_prefix('@').unwrap_or(&handle).to_owned();
        if Handle::new(&handle).is_err() {
            return Err(BadRoster::Handle { handle });
        }
        // One player, one spelling: `05001` would be somebody else than `5001`.
        let digits = (1..=ID_DIGITS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && !id.starts_with('0');
        let Some(id) = PlayerId::new(&id).ok().filter(|_| digits) else { return Err(BadRoster::Id { id }) };
        match self.ids.entry(SmolStr::new(key_form(&handle))) {
            Entry::Occupied(known) if *known.get() != id => {
                Err(BadRoster::Twice { handle, before: known.get().clone(), id })
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(free) => {
                free.insert(id);
                Ok(())
            }
        }
    }

    /// How many handles it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The player a handle is.
    #[must_use]
    pub fn find(&self, handle: &str) -> Option<PlayerId> {
        let key = key_form(handle);
        let known = self.ids.get(key.strip_prefix('@').unwrap_or(&key)).cloned();
        known.or_else(|| match self.unmapped {
            Unmapped::Refuse => None,
            Unmapped::Hold => PlayerId::new(format!("unmapped:{key}")).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_what_is_wrong_is_said() {
        let mut roster = Roster::default();
        for line in ["handle,id", "alice,17", "\"@Bob\" , \"18\"", r#"{"handle":"carol","id":"19"}"#, "ALICE,17"] {
            roster.line(line).unwrap();
        }
        roster.line(r#"{"handle":"dan","id":20}"#).unwrap();
        let id = |handle: &str| roster.find(handle).map(|id| id.to_string());
        assert_eq!((id("Alice"), id("bob"), id("@carol")), (Some("17".into()), Some("18".into()), Some("19".into())));
        assert_eq!((roster.len(), id("eve")), (4, None));
        let mut roster = roster.clone();
        assert_eq!(roster.line("alice"), Err(BadRoster::Shape));
        assert_eq!(roster.line("{\"handle\":1}"), Err(BadRoster::Shape));
        assert!(matches!(roster.line("a b,17"), Err(BadRoster::Handle { .. })));
        assert!(matches!(roster.line("dora,05001"), Err(BadRoster::Id { .. })), "it would be another than 5001");
        for wrong in ["alice", "", "1.5", "-1", "123456789012345678901", "unmapped:x"] {
            assert!(matches!(roster.line(&format!("eve,{wrong}")), Err(BadRoster::Id { .. })), "{wrong}");
        }
        assert!(matches!(roster.line("alice,99"), Err(BadRoster::Twice { .. })));
        roster.unmapped = Unmapped::Hold;
        assert_eq!(roster.find("Eve").unwrap().as_str(), "unmapped:eve");
    }
}
