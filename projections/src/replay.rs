//! Runs events through the folds and accounts for every one: read = applied + refused + waived (law 3). A refused event
//! holds its stream and what it caused; everything else plays on (law 4).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wox_events::{
    Event, EventId, Family, Position, Provenance, Recorded, Revision, StreamId, Timestamp, TxHash, WithdrawalEvent,
    WithdrawalId, id::Label,
};

use crate::{
    Table,
    burns::Burn,
    due::Due,
    outgoing::named_by,
    projection::{EventRef, Rejection},
    state::State,
    verdict::{WithdrawalVerdict, withdrawal::Reversible},
    withdrawals::Withdrawal,
};

/// A state and the account of how it came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// All projections.
    pub state: State,
    /// How many events were read, and what became of them.
    pub accounting: Accounting,
    /// The last position read.
    pub position: Position,
    /// The time of the last event that the game or the world produced: the game's clock. Silence after it counts for
    /// nobody, and what recovery writes does not move it.
    pub game_clock: Timestamp,
    /// The event that set the game's clock: the one to look at when the clock is ahead of the world's.
    pub clock_set_by: Position,
    streams: Table<StreamId, Revision>,
    held: BTreeMap<StreamId, HeldStream>,
    refused: BTreeMap<EventId, EventRef>,
    waivers: Waivers,
    /// Of streams about payments, what was left out and may have said that one was tried, with the transaction that it named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left_out: BTreeMap<StreamId, Vec<(EventRef, Option<TxHash>)>>,
}

/// Where every event that was read went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// Events read.
    pub read: u64,
    /// Events folded.
    pub applied: u64,
    /// Events refused, the followers in held streams included.
    pub refused: u64,
    /// Events set aside by name.
    pub waived: u64,
}

impl Accounting {
    /// True when nothing was skipped silently.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.read == self.applied + self.refused + self.waived
    }
}

/// A stream that is held, and since which event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStream {
    /// The first event that was refused.
    pub since: EventRef,
    /// Its kind, as far as it could be read.
    pub kind: Option<String>,
    /// Why it was refused.
    pub reason: Rejection,
    /// How many later events of the stream wait behind it.
    pub followers: u64,
}

/// A decision to leave one event out, taken by a person and recorded in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Waiver {
    /// The event's position.
    pub position: Position,
    /// The event's id: a waiver for another log does nothing here.
    pub event: EventId,
}

/// All waivers of a log. They are read before the replay, because they stand behind the events they are about.
pub type Waivers = BTreeSet<Waiver>;

/// The reader gave something that is not the next event: an error of reading, not a finding about the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected position {expected}, read {got}: the reader skipped or repeated events; run `wox verify`")]
pub struct ReplayError {
    /// The position that should have come.
    pub expected: Position,
    /// The position that came.
    pub got: Position,
}

impl Replay {
    /// A replay from genesis under these waivers.
    #[must_use]
    pub fn new(waivers: Waivers) -> Replay {
        Replay { waivers, ..Replay::default() }
    }

    /// This replay, to go on under these waivers; `None` when it was made under other ones up to where it is.
    #[must_use]
    pub fn under(mut self, waivers: &Waivers) -> Option<Replay> {
        let upto = |all: &Waivers| -> Waivers {
            all.iter().filter(|waiver| waiver.position <= self.position).cloned().collect()
        };
        if upto(&self.waivers) != upto(waivers) {
            return None;
        }
        self.waivers.clone_from(waivers);
        Some(self)
    }

    /// The waivers this replay was made under.
    #[must_use]
    pub fn waivers(&self) -> &Waivers {
        &self.waivers
    }

    /// Takes the next event. It is folded, refused or waived, and counted as one of these.
    pub fn observe(&mut self, at: &Recorded) -> Result<(), ReplayError> {
        let expected = Position(self.position.0.saturating_add(1));
        if at.position != expected {
            return Err(ReplayError { expected, got: at.position });
        }
        self.position = at.position;
        self.accounting.read += 1;
        match self.judge(at) {
            Judged::Accepted(accepted) => {
                self.state.evolve(at, accepted);
                self.accounting.applied += 1;
                self.journaled_again(at);
                // Somebody looking at the chain is no sign of life of the game: an outage must not age because it is looked at.
                let looked = matches!(at.event, Ok(Event::Chain(_)));
                let alive = matches!(at.provenance, Provenance::Game | Provenance::Observed) && !looked;
                if alive && at.time > self.game_clock {
                    self.game_clock = at.time;
                    self.clock_set_by = at.position;
                }
            }
            Judged::Waived => {
                self.accounting.waived += 1;
                if may_be_payment(at) {
                    let named = at.event.as_ref().ok().and_then(named_by).cloned();
                    self.left_out.entry(at.stream.clone()).or_default().push((EventRef::of(at), named));
                }
            }
            Judged::Refused(reason) => {
                self.accounting.refused += 1;
                self.refused.insert(at.id, EventRef::of(at));
                match self.held.get_mut(&at.stream) {
                    Some(held) => held.followers += 1,
                    None => {
                        let kind = at.event.as_ref().ok().map(|event| event.kind().to_owned());
                        let held = HeldStream { since: EventRef::of(at), kind, reason, followers: 0 };
                        self.held.insert(at.stream.clone(), held);
                    }
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, at: &Recorded) -> Judged {
        let previous = match self.streams.get_mut(&at.stream) {
            Some(revision) => std::mem::replace(revision, at.revision),
            None => {
                self.streams.insert(at.stream.clone(), at.revision);
                Revision::NO_STREAM
            }
        };
        if !self.waivers.is_empty() && self.waivers.contains(&Waiver { position: at.position, event: at.id }) {
            return Judged::Waived;
        }
        if Some(at.revision.0) != previous.0.checked_add(1) {
            return Judged::Refused(Rejection::RevisionGap { previous, got: at.revision });
        }
        if !self.held.is_empty() {
            if let Some(held) = self.held.get(&at.stream) {
                return Judged::Refused(Rejection::StreamHeld { since: held.since.position });
            }
            if let Some(cause) = at.causation.filter(|cause| self.refused.contains_key(cause)) {
                return Judged::Refused(Rejection::CauseHeld { cause });
            }
        }
        if let (Ok(Event::Withdrawal(WithdrawalEvent::HoldReleased { .. })), Some(event)) =
            (&at.event, self.unseen_payment(&at.stream))
        {
            let what = format_args!("{}", at.stream);
            return Judged::Refused(Rejection::state(what, format_args!("without {event}, left out by name"), "whole"));
        }
        match self.state.check(at) {
            Ok(accepted) => Judged::Accepted(accepted),
            Err(reason) => Judged::Refused(reason),
        }
    }

    /// What was left out and is said again hides nothing any more.
    fn journaled_again(&mut self, at: &Recorded) {
        let Some(known) = self.left_out.get_mut(&at.stream) else { return };
        let Some(tx) = at.event.as_ref().ok().and_then(named_by) else { return };
        known.retain(|(_, named)| named.as_ref() != Some(tx));
        if known.is_empty() {
            self.left_out.remove(&at.stream);
        }
    }

    /// Streams that are held, in order of their names.
    #[must_use]
    pub fn held(&self) -> &BTreeMap<StreamId, HeldStream> {
        &self.held
    }

    /// The event at a position, when it was refused: it holds its stream, or waits in one that is held.
    #[must_use]
    pub fn refused_at(&self, position: Position) -> Option<&EventRef> {
        self.refused.values().find(|event| event.position == position)
    }

    /// The event that holds a stream named after a transaction: what the game booked of it may stand behind that.
    #[must_use]
    pub fn unseen_deposit(&self, tx: &str) -> Option<&EventRef> {
        let about =
            |stream: &StreamId| stream.category() == "deposit" && stream.subject().to_ascii_lowercase().contains(tx);
        let held = self.held.iter().filter(|(stream, _)| about(stream)).map(|(_, held)| &held.since);
        held.min_by_key(|event| event.position)
    }

    /// The first event of a withdrawal's or a burn's stream that may be about a payment and is not in the state: it holds
    /// its stream, or was left out by name. Behind it nobody can say that nothing was signed.
    #[must_use]
    pub fn unseen_payment(&self, stream: &StreamId) -> Option<&EventRef> {
        let left_out = self.left_out.get(stream).and_then(|known| known.first()).map(|(event, _)| event);
        left_out.or_else(|| self.held.get(stream).map(|held| &held.since))
    }

    /// The verdict over all that is known of a withdrawal's payment, its own stream included: what the fold could not take
    /// in is evidence too, and proves nothing but that nobody knows. `None` when nobody declared a chain.
    #[must_use]
    pub fn withdrawal_verdict(&self, id: &WithdrawalId, withdrawal: &Withdrawal) -> Option<Judgement> {
        self.as_far_as_read("withdrawal", id.as_str(), self.state.withdrawal_verdict(id.as_str(), withdrawal))
    }

    /// What two people may decide of a withdrawal: that it goes back. `None` where what was seen leaves it to nobody, or the
    /// two are one.
    #[must_use]
    pub fn decided_by_two(
        &self,
        id: &WithdrawalId,
        withdrawal: &Withdrawal,
        first: &Label,
        second: &Label,
    ) -> Option<Reversible> {
        let due = Due::withdrawal(id.as_str(), withdrawal)?;
        let (verdict, mut looks) = self.withdrawal_verdict(id, withdrawal)?;
        // What was seen of the wallets says nothing of a payment that the stream itself may hide.
        let hides = self.unseen_payment(&due.stream).is_some();
        let scanned = match verdict {
            WithdrawalVerdict::Unknown { .. } if !hides => self.state.scanned_without_payment(&due),
            _ => None,
        };
        // That no payment can follow is proven, and its share is burned: who bears that no rule says.
        let burned = verdict.proof().is_some() && self.state.burns.is_burned(id.as_str());
        if !verdict.is_for_two_people() && !burned && scanned.is_none() {
            return None;
        }
        looks.extend(scanned.into_iter().flatten());
        Reversible::by_two(first, second, &looks)
    }

    /// The same of a burn.
    #[must_use]
    pub fn burn_verdict(&self, id: &str, burn: &Burn) -> Option<Judgement> {
        self.as_far_as_read("burn", id, self.state.burn_verdict(id, burn))
    }

    fn as_far_as_read(&self, category: &str, id: &str, judged: Option<Judgement>) -> Option<Judgement> {
        let stream = StreamId::new(format!("{category}-{id}")).ok()?;
        match (judged, self.unseen_payment(&stream)) {
            // What is final on chain is so, whatever else the stream says.
            (Some(paid @ (WithdrawalVerdict::Executed { .. }, _)), _) => Some(paid),
            (judged, Some(event)) => {
                let why = format!("{event} is not in the state, and it or what is behind it may be about a payment");
                let looks = judged.map(|(_, looks)| looks).unwrap_or_default();
                Some((WithdrawalVerdict::Unknown { why }, looks))
            }
            (judged, None) => judged,
        }
    }

    /// The revision of a stream; 0 when nobody has heard of it.
    #[must_use]
    pub fn revision(&self, stream: &StreamId) -> Revision {
        self.streams.get(stream).copied().unwrap_or(Revision::NO_STREAM)
    }

    /// How many streams there are.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }
}

/// A verdict about a payment, and the looks it rests on.
pub type Judgement = (WithdrawalVerdict, Vec<EventRef>);

/// Whether an event that is left out may have said that a payment was tried.
fn may_be_payment(at: &Recorded) -> bool {
    match &at.event {
        Err(_) => matches!(at.stream.family(), Some(Family::Withdrawal | Family::Burn)),
        Ok(Event::Burn(_)) => true,
        Ok(Event::Withdrawal(event)) => !matches!(
            event,
            WithdrawalEvent::WithdrawalRequested { .. }
                | WithdrawalEvent::FundsHeld { .. }
                | WithdrawalEvent::TxReplaced { .. }
                | WithdrawalEvent::WithdrawalFailed { .. }
                | WithdrawalEvent::HoldReleased { .. }
        ),
        Ok(_) => false,
    }
}

enum Judged {
    Accepted(crate::state::Accepted),
    Refused(Rejection),
    Waived,
}
