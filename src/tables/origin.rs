//! Where a live value that differs comes from (R33): a value the log once had is a table that fell behind, and the event
//! it missed can be named; a value the log never had was changed outside the engine.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{DuelEvent, Event, PlayerEvent, Position, Recorded, StreamId};
use wox_projections::{Account, Replay, postings::postings};

use super::{
    cell::{self, Cell, Shape},
    compare::{Difference, Kind, Layout},
    image::{Image, cells, source_of},
    scribe::Scribe,
};
use crate::replay::Watch;

/// What the log says about a live value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was right until this event: the table did not follow.
    Behind {
        /// The event the table missed.
        missed: Position,
    },
    /// The log says so later than the state that was asked for: the table has gone on with it.
    Later {
        /// The event that gave this value, or since which the log has no word on it.
        by: Position,
    },
    /// No event ever gave this value: it was changed outside the engine.
    Outside,
}

/// An event that wrote a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wrote {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub revision: u64,
    /// What happened.
    pub kind: String,
    /// When, RFC 3339.
    pub time: String,
}

/// One value that is looked for.
#[derive(Debug)]
struct Wanted {
    /// Which difference, and which of its fields.
    place: (usize, usize),
    column: usize,
    raw: Option<Vec<u8>>,
    shape: Shape,
    /// The event since which it is right, while it is.
    right: Option<Position>,
    missed: Option<Position>,
    /// The first event behind the state that was asked for at which it is right.
    later: Option<Position>,
}

impl Wanted {
    /// What is said of it at the end. `is_past` is true when an earlier state was asked for: what is right at the end counts
    /// then by a decision that came later, though its event did not.
    fn origin(&self, is_past: bool) -> Origin {
        match (self.later.or(self.right.filter(|_| is_past)), self.missed) {
            (Some(by), _) => Origin::Later { by },
            (None, Some(missed)) => Origin::Behind { missed },
            (None, None) => Origin::Outside,
        }
    }

    /// Takes in whether the value is right behind an event, and whether that one is later than what was asked for.
    fn judge(&mut self, agrees: bool, at: Position, is_later: bool) {
        match (self.right, agrees) {
            (Some(_), false) => {
                self.right = None;
                if !is_later {
                    self.missed = Some(at);
                }
            }
            (None, true) => {
                self.right = Some(at);
                if is_later {
                    self.later.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
}

/// Looks on while the log is folded again and compares the rows that differ after every event that touches them.
#[derive(Debug)]
pub struct Seeker {
    scribe: Scribe,
    wanted: BTreeMap<StreamId, Vec<Wanted>>,
    events: BTreeMap<Position, Option<Wrote>>,
    touched: Vec<StreamId>,
    applied: u64,
    as_of: Option<Position>,
}

impl Seeker {
    /// A search for the live values of these differences; `None` when there is nothing to look for.
    #[must_use]
    pub fn of<'l>(differences: &[Difference], layout: impl Fn(super::Table) -> Option<&'l Layout>) -> Option<Seeker> {
        let mut wanted = BTreeMap::<StreamId, Vec<Wanted>>::new();
        let wrote = differences.iter().flat_map(|found| &found.fields).map(|field| field.wrote);
        let events: BTreeMap<_, _> = wrote.filter(|at| at.0 > 0).map(|at| (at, None)).collect();
        for (at, difference) in differences.iter().enumerate().filter(|(_, found)| found.kind == Kind::Changed) {
            let stream = difference.stream.as_ref().and_then(|stream| StreamId::new(stream).ok());
            let (Some(stream), Some(layout)) = (stream, layout(difference.table)) else { continue };
            // One transaction may hold several deposits; which of them brought the value is not told by one stream.
            if stream.category() == "deposit" {
                continue;
            }
            for (field_at, field) in difference.fields.iter().enumerate() {
                let columns = difference.table.columns();
                let Some(column) = columns.iter().position(|column| column.name == field.column) else { continue };
                wanted.entry(stream.clone()).or_default().push(Wanted {
                    place: (at, field_at),
                    column,
                    raw: field.raw.clone(),
                    shape: layout.shapes[column].clone(),
                    right: None,
                    missed: None,
                    later: None,
                });
            }
        }
        let scribe = Scribe::default();
        let anything = !wanted.is_empty() || !events.is_empty();
        anything.then_some(Seeker { scribe, wanted, events, touched: Vec::new(), applied: 0, as_of: None })
    }

    /// The differences are from this earlier state: the search goes on behind it, because the table did.
    #[must_use]
    pub fn beyond(self, as_of: Position) -> Seeker {
        Seeker { as_of: Some(as_of), ..self }
    }

    /// The search begins behind what this scribe has seen, in the state that goes with it.
    #[must_use]
    pub fn from(self, scribe: Scribe) -> Seeker {
        Seeker { scribe, ..self }
    }

    /// Gives the scribe back: it has seen all that was folded.
    pub fn take_scribe(&mut self) -> Scribe {
        std::mem::take(&mut self.scribe)
    }

    /// Writes down what was found.
    pub fn tell(self, differences: &mut [Difference]) {
        for field in differences.iter_mut().flat_map(|found| &mut found.fields) {
            field.event = self.events.get(&field.wrote).cloned().flatten();
        }
        for wanted in self.wanted.into_values().flatten() {
            let (difference, field) = wanted.place;
            if let Some(field) = differences.get_mut(difference).and_then(|found| found.fields.get_mut(field)) {
                field.origin = Some(wanted.origin(self.as_of.is_some()));
            }
        }
    }

    fn touch(&mut self, stream: String) {
        if let Ok(stream) = StreamId::new(stream)
            && self.wanted.contains_key(&stream)
            && !self.touched.contains(&stream)
        {
            self.touched.push(stream);
        }
    }
}

/// Says of rows that an earlier state has no place for, or has and the table has not, what the log says of them now: what
/// came or went later is nobody's doing.
pub fn tell_later(differences: &mut [Difference], now: &Image<'_>, layout: &Layout, as_of: Position) {
    for difference in differences.iter_mut().filter(|difference| difference.table == now.table) {
        match difference.kind {
            Kind::Changed => {}
            Kind::Surplus if has(now, difference, layout) => {
                difference.note = Some(format!("the log has this row later than position {as_of}"));
            }
            Kind::Surplus => difference.note = Some(now.why_surplus(&difference.key)),
            Kind::Missing => {
                let row = difference.stream.as_ref().and_then(|stream| StreamId::new(stream).ok());
                match row.and_then(|stream| now.row_of(&stream)).map(|row| now.key(row)) {
                    None => difference.note = Some("the log has taken this row away later".to_owned()),
                    Some(key) if key != difference.key => {
                        difference.note = Some(format!("it stands under `{key}` later"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// True when an image has a place for a live row: by its key, or a burn by when it is due and its amount.
fn has(image: &Image<'_>, live: &Difference, layout: &Layout) -> bool {
    if image.table != super::Table::BurnQueue {
        return image.find(&live.key).is_some();
    }
    let text = |at: usize| live.fields.get(at).and_then(|field| field.live.as_deref()).map(str::as_bytes);
    let due = text(2).and_then(cell::parse_time).map(cell::whole_second);
    (0..image.len()).any(|row| {
        let amount = match &image.cells(row)[1] {
            Cell::Known(value) => value.agrees(text(1), &layout.shapes[1]),
            _ => false,
        };
        amount && due.is_some() && image.due(row) == due
    })
}

/// True when the row of this stream shows the player's handle beside what it is about.
fn names(state: &Replay, row: &StreamId, player: &str) -> bool {
    let (state, subject) = (&state.state, row.subject());
    match row.category() {
        "duel" => state
            .duels
            .get(subject)
            .is_some_and(|duel| [&duel.challenger, &duel.opponent].iter().any(|id| id.as_str() == player)),
        "withdrawal" => state.withdrawals.get(subject).is_some_and(|withdrawal| withdrawal.player.as_str() == player),
        _ => false,
    }
}

impl Watch for Seeker {
    fn before(&mut self, state: &Replay, event: &Recorded) {
        self.scribe.before(state, event);
        if let Some(place) = self.events.get_mut(&event.position) {
            *place = Some(Wrote {
                stream: event.stream.to_string(),
                revision: event.revision.0,
                kind: event.event.as_ref().map(|event| event.kind().to_owned()).unwrap_or_default(),
                time: crate::rfc3339::text(event.time),
            });
        }
        self.applied = state.accounting.applied;
        self.touched.clear();
        let Ok(decoded) = &event.event else { return };
        self.touch(event.stream.to_string());
        for posting in postings(&event.stream, decoded, &state.state).unwrap_or_default() {
            for account in [posting.from, posting.to] {
                if let Account::Bonus(player) | Account::Withdrawable(player) = account {
                    self.touch(format!("player-{player}"));
                }
            }
        }
        match decoded {
            Event::Duel(DuelEvent::DuelEnded { winner, loser, .. }) => {
                self.touch(format!("player-{winner}"));
                self.touch(format!("player-{loser}"));
            }
            Event::Player(PlayerEvent::HandleChanged { .. }) => {
                self.touched
                    .extend(self.wanted.keys().filter(|row| names(state, row, event.stream.subject())).cloned());
            }
            _ => {}
        }
    }

    fn after(&mut self, state: &Replay, event: &Recorded) {
        self.scribe.after(state, event);
        if state.accounting.applied == self.applied {
            return;
        }
        for stream in std::mem::take(&mut self.touched) {
            let Some(source) = source_of(&state.state, &self.scribe, &stream) else { continue };
            let row = cells(&state.state, &self.scribe, &source);
            for wanted in self.wanted.get_mut(&stream).into_iter().flatten() {
                let is_later = self.as_of.is_some_and(|as_of| event.position > as_of);
                let agrees = match &row[wanted.column] {
                    Cell::Known(value) => value.agrees(wanted.raw.as_deref(), &wanted.shape),
                    // Where the log has no word any more, whatever stands there is right.
                    Cell::Present(_) | Cell::Filled(_) | Cell::Kept => is_later,
                };
                wanted.judge(agrees, event.position, is_later);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_behind_later_or_outside_by_when_it_was_right() {
        // What the log says behind each event, from 1, and the state that was asked for.
        for (history, as_of, expected) in [
            (&[false, false][..], None, Origin::Outside),
            (&[true, false], None, Origin::Behind { missed: Position(2) }),
            (&[false, false, true], Some(2), Origin::Later { by: Position(3) }),
            (&[true, false, true], Some(2), Origin::Later { by: Position(3) }),
            (&[false, false, true, false], Some(2), Origin::Later { by: Position(3) }),
            (&[true, false, false], Some(2), Origin::Behind { missed: Position(2) }),
            (&[false, false, false], Some(2), Origin::Outside),
        ] {
            let place = (0, 0);
            let shape = Shape::published(super::super::spec::Kind::Int);
            let mut wanted = Wanted { place, column: 0, raw: None, shape, right: None, missed: None, later: None };
            for (at, agrees) in (1..).zip(history) {
                wanted.judge(*agrees, Position(at), as_of.is_some_and(|as_of| at > as_of));
            }
            assert_eq!(wanted.origin(as_of.is_some()), expected, "{history:?} {as_of:?}");
        }
    }
}
