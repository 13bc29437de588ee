//! Where a live value that differs comes from (R33): a value the log once had is a table that fell behind, and the event
//! it missed can be named; a value the log never had was changed outside the engine.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{DuelEvent, Event, PlayerEvent, Position, Recorded, StreamId};
use wox_projections::{Account, Replay, postings::postings};

use super::{
    cell::{Cell, Shape},
    compare::{Difference, Kind, Layout},
    image::{cells, source_of},
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
    right: bool,
    missed: Option<Position>,
}

/// Looks on while the log is folded again and compares the rows that differ after every event that touches them.
#[derive(Debug)]
pub struct Seeker {
    scribe: Scribe,
    wanted: BTreeMap<StreamId, Vec<Wanted>>,
    events: BTreeMap<Position, Option<Wrote>>,
    touched: Vec<StreamId>,
    applied: u64,
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
                    right: false,
                    missed: None,
                });
            }
        }
        let scribe = Scribe::default();
        let anything = !wanted.is_empty() || !events.is_empty();
        anything.then_some(Seeker { scribe, wanted, events, touched: Vec::new(), applied: 0 })
    }

    /// Writes down what was found.
    pub fn tell(self, differences: &mut [Difference]) {
        for field in differences.iter_mut().flat_map(|found| &mut found.fields) {
            field.event = self.events.get(&field.wrote).cloned().flatten();
        }
        for wanted in self.wanted.into_values().flatten() {
            let (difference, field) = wanted.place;
            if let Some(field) = differences.get_mut(difference).and_then(|found| found.fields.get_mut(field)) {
                field.origin = Some(wanted.missed.map_or(Origin::Outside, |missed| Origin::Behind { missed }));
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
                let agrees = match &row[wanted.column] {
                    Cell::Known(value) => value.agrees(wanted.raw.as_deref(), &wanted.shape),
                    Cell::Present(_) | Cell::Filled(_) | Cell::Kept => false,
                };
                if wanted.right && !agrees {
                    wanted.missed = Some(event.position);
                }
                wanted.right = agrees;
            }
        }
    }
}
