//! How a plan stands in its own stream: as one event, or, when it is larger than an event may be, as a cover and its pieces
//! in one atomic batch. Either way the bytes under the plan's id are the ones that were proposed.

use serde::{Deserialize, Serialize};
use wox_events::{
    RecoveryEvent,
    record::{Json, JsonError},
};

use super::Plan;

/// Bytes of plan in one event. Text inside JSON doubles at most, because canonical JSON has no control characters left.
const PIECE_BYTES_MAX: usize = 100 << 10;

/// What stands in place of a plan that follows in pieces.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cover {
    pieces: u32,
}

/// The events that propose a plan, for one batch.
pub(super) fn events(plan: &Plan) -> Result<Vec<RecoveryEvent>, JsonError> {
    let whole = Json::of(plan)?;
    if whole.as_str().len() <= 2 * PIECE_BYTES_MAX {
        return Ok(vec![RecoveryEvent::PlanProposed { plan: whole, digest: plan.id }]);
    }
    let texts = pieces(whole.as_str());
    let cover = Cover { pieces: u32::try_from(texts.len()).unwrap_or(u32::MAX) };
    let mut events = vec![RecoveryEvent::PlanProposed { plan: Json::of(&cover)?, digest: plan.id }];
    events.extend((1..).zip(texts).map(|(piece, text)| RecoveryEvent::PlanPiece { piece, text: text.to_owned() }));
    Ok(events)
}

fn pieces(mut rest: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES_MAX));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Puts a plan together again from the events of its stream, in their order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    missing: u32,
    next: u32,
}

impl Reader {
    /// Takes the next event that the fold took.
    pub(super) fn take(&mut self, event: &RecoveryEvent) {
        match event {
            RecoveryEvent::PlanProposed { plan, .. } => match serde_json::from_str::<Cover>(plan.as_str()) {
                Ok(cover) => *self = Reader { text: String::new(), missing: cover.pieces, next: 1 },
                Err(_) => *self = Reader { text: plan.as_str().to_owned(), missing: 0, next: 0 },
            },
            RecoveryEvent::PlanPiece { piece, text } if self.missing > 0 && *piece == self.next => {
                self.text.push_str(text);
                (self.missing, self.next) = (self.missing - 1, self.next + 1);
            }
            _ => {}
        }
    }

    /// The plan, when all of it is there and it is one.
    pub(super) fn plan(&self) -> Option<Plan> {
        if self.missing > 0 { None } else { serde_json::from_str(&self.text).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_between_characters_and_lose_nothing() {
        let text = format!("x{}", "🧙".repeat(PIECE_BYTES_MAX / 2));
        let cut = pieces(&text);
        assert!(cut.len() == 3 && cut.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
        assert_eq!(cut.concat(), text);
    }

    #[test]
    fn a_plan_with_a_missing_or_foreign_piece_is_none() {
        let proposed = RecoveryEvent::PlanProposed {
            plan: Json::of(&Cover { pieces: 2 }).unwrap(),
            digest: wox_events::Digest::of(b""),
        };
        let piece = |piece| RecoveryEvent::PlanPiece { piece, text: "{}".into() };
        let mut reader = Reader::default();
        for event in [proposed, piece(1), piece(1), piece(3)] {
            reader.take(&event);
        }
        assert_eq!((reader.missing, reader.text.as_str()), (1, "{}"));
        assert!(reader.plan().is_none());
    }
}
