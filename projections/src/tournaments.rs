//! Tournaments: entries, draw, rounds, results, prizes. What the game *stated* (pairings, payments) is kept beside what
//! *follows* from the draw and the results, so a bracket that does not follow (R10) and a prize that was paid to the
//! wrong player or not at all (R11) are facts of the state, each with its event.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wox_events::{
    Amount, Digest, DuelId, EventId, Json, PlayerId, Recorded, Split, Timestamp, TournamentEvent, TournamentId,
    tournament::{Format, MatchEnd, Pairing, Prize, PrizeKind},
};

use crate::{
    Table, bracket,
    projection::{EventRef, Projection, Rejection},
};

/// All tournaments, in the order they were opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tournaments {
    tournaments: Table<TournamentId, Tournament>,
}

/// One tournament.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tournament {
    /// How winners are found.
    pub format: Format,
    /// The name people know.
    pub title: String,
    /// What a place costs.
    pub entry_fee: Amount,
    /// The most players it takes.
    pub players_max: u16,
    /// When it starts.
    pub starts_at: Timestamp,
    /// Everybody who took a place, in order.
    pub entries: Table<PlayerId, Entry>,
    /// The draw; empty before it.
    pub seeds: Vec<PlayerId>,
    /// The rounds, first first.
    pub rounds: Vec<Round>,
    /// Who gets what, once frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Every payment, right or wrong.
    pub payments: Vec<Payment>,
    /// Prizes that are owed because the pool was too small.
    pub deferred: Vec<Prize>,
    /// Who won, when the game says it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<PlayerId>,
    /// True when it did not take place.
    pub cancelled: bool,
    /// When something last happened.
    pub last_activity: Timestamp,
}

/// A place in a tournament.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was paid from which balance.
    pub split: Split,
    /// The PlayerRegistered event.
    pub event: EventId,
    /// True when the player left before the start.
    pub left: bool,
    /// True when the entry went back.
    pub refunded: bool,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The pairings the game stated, or the ones they were rebuilt to.
    pub pairings: Vec<Pairing>,
    /// The event that stated them.
    pub opened: EventRef,
    /// Results by slot.
    pub results: BTreeMap<u16, MatchResult>,
}

/// The result of one match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchResult {
    /// Who goes on.
    pub winner: PlayerId,
    /// Who does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loser: Option<PlayerId>,
    /// How it was decided.
    pub reason: MatchEnd,
    /// The duel it was played as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duel: Option<DuelId>,
    /// The event that says so.
    pub event: EventRef,
}

/// A frozen prize schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The event that froze it.
    pub event: EventRef,
    /// Who gets what.
    pub prizes: Vec<Prize>,
}

/// One payment of a prize.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Which prize it was said to be.
    pub prize: PrizeKind,
    /// Who was paid.
    pub player: PlayerId,
    /// How much.
    pub amount: Amount,
    /// The event.
    pub event: EventRef,
    /// True when it went back into the pool.
    pub reversed: bool,
}

/// How the payments stand against the schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrizeStatus<'a> {
    /// Prizes nobody has been paid.
    pub unpaid: Vec<&'a Prize>,
    /// Payments the schedule does not know: wrong player, wrong amount, or paid twice.
    pub wrong: Vec<&'a Payment>,
}

impl Tournament {
    /// The pairings that follow from the draw and the results before the round (from 0); `None` while they do not yet
    /// follow because results are missing.
    #[must_use]
    pub fn expected_pairings(&self, round: usize) -> Option<Vec<Pairing>> {
        match self.format {
            Format::RoundRobin => Some(bracket::round_robin(&self.seeds, round)),
            Format::SingleElimination if round == 0 => Some(bracket::first_round(&self.seeds)),
            Format::SingleElimination => {
                let before = self.rounds.get(round - 1)?;
                let winners: Vec<PlayerId> = (0..before.pairings.len())
                    .map(|slot| before.results.get(&(slot as u16)).map(|result| result.winner.clone()))
                    .collect::<Option<_>>()?;
                Some(bracket::next_round(&winners))
            }
        }
    }

    /// How many rounds there are, as follows from the draw.
    fn rounds_in_all(&self) -> usize {
        match self.format {
            Format::SingleElimination => bracket::elimination_rounds(self.seeds.len()) as usize,
            Format::RoundRobin => bracket::round_robin_rounds(self.seeds.len()),
        }
    }

    /// Rounds (from 0) whose stated pairings cannot be right. In single elimination the pairings follow from the
    /// results; in a round robin any order of rounds is right as long as everybody plays at most once a round and
    /// meets nobody twice.
    pub fn misdrawn_rounds(&self) -> impl Iterator<Item = (usize, &Round, Vec<Pairing>)> {
        let mut met = BTreeSet::new();
        self.rounds.iter().enumerate().filter_map(move |(index, round)| {
            let expected = self.expected_pairings(index)?;
            let right = match self.format {
                Format::SingleElimination => expected == round.pairings,
                Format::RoundRobin => self.is_round_of_strangers(&round.pairings, &mut met),
            };
            (!right).then_some((index, round, expected))
        })
    }

    fn is_round_of_strangers<'a>(
        &self,
        pairings: &'a [Pairing],
        met: &mut BTreeSet<(&'a PlayerId, &'a PlayerId)>,
    ) -> bool {
        let mut busy = BTreeSet::new();
        let mut right = true;
        for Pairing { first, second } in pairings {
            for player in [first, second].into_iter().flatten() {
                right &= self.seeds.contains(player) && busy.insert(player);
            }
            if let (Some(first), Some(second)) = (first, second) {
                right &= met.insert(if first < second { (first, second) } else { (second, first) });
            }
        }
        right
    }

    /// Matches the payments with the schedule: each prize is paid by one payment of that prize, to that player, of
    /// that amount, that was not reversed; every other payment is wrong.
    #[must_use]
    pub fn prize_status(&self) -> PrizeStatus<'_> {
        let Some(schedule) = &self.schedule else { return PrizeStatus::default() };
        let mut open: Vec<&Payment> = self.payments.iter().filter(|payment| !payment.reversed).collect();
        let mut unpaid = Vec::new();
        for prize in &schedule.prizes {
            let right = |payment: &&Payment| {
                payment.prize == prize.prize && payment.player == prize.player && payment.amount == prize.amount
            };
            match open.iter().position(right) {
                Some(paid) => drop(open.remove(paid)),
                None => unpaid.push(prize),
            }
        }
        PrizeStatus { unpaid, wrong: open }
    }

    /// Players who have a place.
    pub fn players(&self) -> impl Iterator<Item = &PlayerId> {
        self.entries.iter().filter(|(_, entry)| !entry.left).map(|(player, _)| player)
    }

    /// What the players who have a place paid for it.
    #[must_use]
    pub fn paid_by_players(&self) -> Amount {
        let entries = self.entries.values().filter(|entry| !entry.left);
        Amount::checked_sum(entries.filter_map(|entry| entry.split.total())).unwrap_or_default()
    }

    fn round(&self, number: u8) -> Result<&Round, Rejection> {
        usize::from(number)
            .checked_sub(1)
            .and_then(|index| self.rounds.get(index))
            .ok_or_else(|| Rejection::unknown("round", number))
    }

    fn round_mut(&mut self, number: u8) -> Option<&mut Round> {
        self.rounds.get_mut(usize::from(number).checked_sub(1)?)
    }

    fn result(&self, round: u8, slot: u16) -> Result<&MatchResult, Rejection> {
        let found = self.round(round)?.results.get(&slot);
        found.ok_or_else(|| Rejection::unknown("result of match", format_args!("{round}/{slot}")))
    }
}

impl Tournaments {
    /// A tournament by id.
    #[must_use]
    pub fn get(&self, tournament: &str) -> Option<&Tournament> {
        self.tournaments.get(tournament)
    }

    /// All tournaments, in the order they were opened.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TournamentId, &Tournament)> {
        self.tournaments.iter()
    }
}

/// The digest of some pairings, as `BracketRebuilt` records it.
#[must_use]
pub fn pairings_digest(pairings: &[Pairing]) -> Digest {
    Json::of(&pairings).map_or(Digest::of(b""), |json| Digest::of(json.as_str().as_bytes()))
}

/// `Ok` when winner and loser are the two sides of the pairing, or the winner is one and there is no loser.
fn meet_in(pairing: &Pairing, winner: &PlayerId, loser: Option<&PlayerId>) -> Result<(), Rejection> {
    for player in std::iter::once(winner).chain(loser) {
        if pairing.first.as_ref() != Some(player) && pairing.second.as_ref() != Some(player) {
            return Err(Rejection::unknown("player in this match", player));
        }
    }
    if loser == Some(winner) {
        return Err(Rejection::unknown("loser", winner));
    }
    Ok(())
}

impl Projection for Tournaments {
    type Event = TournamentEvent;
    const NAME: &'static str = "tournaments";

    fn check(&self, at: &Recorded, event: &TournamentEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let known = self.tournaments.get(id);
        if matches!(event, TournamentEvent::TournamentOpened { .. }) {
            return if known.is_some() { Err(Rejection::exists("tournament", id)) } else { Ok(()) };
        }
        let Some(tournament) = known else { return Err(Rejection::unknown("tournament", id)) };
        let before_draw = || {
            if tournament.seeds.is_empty() && !tournament.cancelled {
                return Ok(());
            }
            let is = if tournament.cancelled { "cancelled" } else { "drawn" };
            Err(Rejection::state(format_args!("tournament {id}"), is, "open for registration"))
        };
        match event {
            TournamentEvent::TournamentOpened { .. } => Ok(()),
            TournamentEvent::PlayerRegistered { player, entry } => {
                before_draw()?;
                match tournament.entries.get(player) {
                    Some(entry) if !entry.left => return Err(Rejection::exists("entry of player", player)),
                    // A new entry takes the place of the old one; what was paid for that one must not be forgotten.
                    Some(entry) if !entry.refunded && entry.split != Split::default() => {
                        let subject = format_args!("entry of player {player}");
                        return Err(Rejection::state(subject, "left and not given back", "given back"));
                    }
                    Some(_) | None => {}
                }
                if tournament.players().count() >= usize::from(tournament.players_max) {
                    return Err(Rejection::state(format_args!("tournament {id}"), "full", "to have a place left"));
                }
                Rejection::same("entry", &tournament.entry_fee, &entry.total().unwrap_or_default())
            }
            TournamentEvent::PlayerUnregistered { player } => {
                before_draw()?;
                match tournament.entries.get(player) {
                    Some(entry) if !entry.left => Ok(()),
                    _ => Err(Rejection::unknown("entry of player", player)),
                }
            }
            TournamentEvent::EntryRefunded { player, entry, corrects } => {
                let Some(paid) = tournament.entries.get(player) else {
                    return Err(Rejection::unknown("entry of player", player));
                };
                if paid.refunded {
                    return Err(Rejection::exists("refund of player", player));
                }
                if !paid.left && !tournament.cancelled {
                    return Err(Rejection::state(format_args!("player {player}"), "taking part", "gone"));
                }
                Rejection::same("corrects", &paid.event, corrects)?;
                if paid.split == *entry {
                    return Ok(());
                }
                Rejection::same(
                    "refund",
                    &format!("{} bonus and {} withdrawable", paid.split.bonus, paid.split.withdrawable),
                    &format!("{} bonus and {} withdrawable", entry.bonus, entry.withdrawable),
                )
            }
            TournamentEvent::TournamentSeeded { seeds } => {
                before_draw()?;
                let mut drawn: Vec<&PlayerId> = seeds.iter().collect();
                let mut entered: Vec<&PlayerId> = tournament.players().collect();
                drawn.sort_unstable();
                entered.sort_unstable();
                if seeds.len() >= 2 && drawn == entered {
                    return Ok(());
                }
                Rejection::same(
                    "players drawn",
                    &format!("the {} who have a place", entered.len()),
                    &format!("{} others", drawn.len()),
                )
            }
            TournamentEvent::RoundOpened { round, matches } => {
                if tournament.seeds.is_empty() {
                    return Err(Rejection::state(format_args!("tournament {id}"), "not drawn", "drawn"));
                }
                Rejection::same("round", &(tournament.rounds.len() + 1), &usize::from(*round))?;
                if tournament.rounds.len() >= tournament.rounds_in_all() {
                    let is = format!("through all its {} rounds", tournament.rounds_in_all());
                    return Err(Rejection::state(format_args!("tournament {id}"), is, "to have a round left"));
                }
                let Some(expected) = tournament.expected_pairings(usize::from(*round) - 1) else {
                    let is = format!("without all results of round {}", round - 1);
                    return Err(Rejection::state(format_args!("tournament {id}"), is, "complete up to there"));
                };
                Rejection::same("matches", &expected.len(), &matches.len())
            }
            TournamentEvent::MatchDecided { round, slot, winner, loser, .. } => {
                let stated = tournament.round(*round)?;
                let Some(pairing) = stated.pairings.get(usize::from(*slot)) else {
                    return Err(Rejection::unknown("match", format_args!("{round}/{slot}")));
                };
                if stated.results.contains_key(slot) {
                    return Err(Rejection::exists("result of match", format_args!("{round}/{slot}")));
                }
                meet_in(pairing, winner, loser.as_ref())
            }
            TournamentEvent::MatchResultCorrected { round, slot, winner, loser, supersedes } => {
                let result = tournament.result(*round, *slot)?;
                Rejection::same("supersedes", &result.event.id, supersedes)?;
                let pairing = &tournament.round(*round)?.pairings[usize::from(*slot)];
                meet_in(pairing, winner, Some(loser))
            }
            TournamentEvent::MatchVoided { round, slot, corrects, .. } => {
                Rejection::same("corrects", &tournament.result(*round, *slot)?.event.id, corrects)
            }
            TournamentEvent::MatchReplayOrdered { round, slot, .. } => {
                let stated = tournament.round(*round)?;
                if stated.results.contains_key(slot) {
                    return Err(Rejection::exists("result of match", format_args!("{round}/{slot}")));
                }
                Ok(())
            }
            TournamentEvent::BracketRebuilt { round, matches, digest, corrects } => {
                let stated = tournament.round(*round)?;
                Rejection::same("corrects", &stated.opened.id, corrects)?;
                Rejection::same("digest", &pairings_digest(matches), digest)?;
                let expected = tournament.expected_pairings(usize::from(*round) - 1).unwrap_or_default();
                if expected != *matches {
                    return Err(Rejection::Mismatch {
                        field: "pairings".into(),
                        expected: "the ones that follow from the results".into(),
                        got: "others".into(),
                    });
                }
                for (slot, (old, new)) in stated.pairings.iter().zip(matches).enumerate() {
                    if old != new && stated.results.contains_key(&(slot as u16)) {
                        return Err(Rejection::exists("result of match", format_args!("{round}/{slot}")));
                    }
                }
                Ok(())
            }
            TournamentEvent::PrizeScheduleFixed { prizes, total, .. } => {
                if tournament.schedule.is_some() {
                    return Err(Rejection::exists("prize schedule of tournament", id));
                }
                match Amount::checked_sum(prizes.iter().map(|prize| prize.amount)) {
                    Some(sum) => Rejection::same("total of the prizes", &sum, total),
                    None => Err(Rejection::Mismatch {
                        field: "total of the prizes".into(),
                        expected: "a sum within the range of amounts".into(),
                        got: total.to_string(),
                    }),
                }
            }
            TournamentEvent::PrizePaid { .. } | TournamentEvent::PrizeDeferred { .. } => {
                if tournament.schedule.is_some() {
                    return Ok(());
                }
                Err(Rejection::state(format_args!("tournament {id}"), "without a prize schedule", "to have one"))
            }
            TournamentEvent::PrizeReversed { player, amount, corrects } => {
                let Some(payment) = tournament.payments.iter().find(|payment| payment.event.id == *corrects) else {
                    return Err(Rejection::unknown("payment", corrects));
                };
                if payment.reversed {
                    return Err(Rejection::exists("reversal of payment", corrects));
                }
                Rejection::same("player", &payment.player, player)?;
                Rejection::same("amount", &payment.amount, amount)
            }
            TournamentEvent::TournamentClosed { .. } => match &tournament.closed {
                Some(_) => Err(Rejection::state(format_args!("tournament {id}"), "closed", "open")),
                None => Ok(()),
            },
            TournamentEvent::TournamentCancelled { .. } => before_draw(),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &TournamentEvent) {
        let id = at.stream.subject();
        if let TournamentEvent::TournamentOpened { format, title, entry_fee, players_max, starts_at, .. } = event {
            let Ok(id) = TournamentId::new(id) else { return };
            self.tournaments.insert(
                id,
                Tournament {
                    format: *format,
                    title: title.to_string(),
                    entry_fee: *entry_fee,
                    players_max: *players_max,
                    starts_at: *starts_at,
                    entries: Table::default(),
                    seeds: Vec::new(),
                    rounds: Vec::new(),
                    schedule: None,
                    payments: Vec::new(),
                    deferred: Vec::new(),
                    closed: None,
                    cancelled: false,
                    last_activity: at.time,
                },
            );
            return;
        }
        let tournament = self.tournaments.get_mut(id).expect("check knew the tournament");
        tournament.last_activity = at.time;
        match event {
            TournamentEvent::TournamentOpened { .. } => {}
            TournamentEvent::PlayerRegistered { player, entry } => {
                let entry = Entry { split: *entry, event: at.id, left: false, refunded: false };
                tournament.entries.insert(player.clone(), entry);
            }
            TournamentEvent::PlayerUnregistered { player } => {
                if let Some(entry) = tournament.entries.get_mut(player) {
                    entry.left = true;
                }
            }
            TournamentEvent::EntryRefunded { player, .. } => {
                if let Some(entry) = tournament.entries.get_mut(player) {
                    entry.refunded = true;
                }
            }
            TournamentEvent::TournamentSeeded { seeds } => tournament.seeds.clone_from(seeds),
            TournamentEvent::RoundOpened { matches, .. } => tournament.rounds.push(Round {
                pairings: matches.clone(),
                opened: EventRef::of(at),
                results: BTreeMap::new(),
            }),
            TournamentEvent::MatchDecided { round, slot, winner, loser, reason, duel } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.results.insert(
                        *slot,
                        MatchResult {
                            winner: winner.clone(),
                            loser: loser.clone(),
                            reason: *reason,
                            duel: duel.clone(),
                            event: EventRef::of(at),
                        },
                    );
                }
            }
            TournamentEvent::MatchResultCorrected { round, slot, winner, loser, .. } => {
                let result = tournament.round_mut(*round).and_then(|round| round.results.get_mut(slot));
                if let Some(result) = result {
                    result.winner = winner.clone();
                    result.loser = Some(loser.clone());
                    result.event = EventRef::of(at);
                }
            }
            TournamentEvent::MatchVoided { round, slot, .. } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.results.remove(slot);
                }
            }
            TournamentEvent::MatchReplayOrdered { .. } => {}
            TournamentEvent::BracketRebuilt { round, matches, .. } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.pairings.clone_from(matches);
                    round.opened = EventRef::of(at);
                }
            }
            TournamentEvent::PrizeScheduleFixed { prizes, .. } => {
                tournament.schedule = Some(Schedule { event: EventRef::of(at), prizes: prizes.clone() });
            }
            TournamentEvent::PrizePaid { prize, player, amount } => {
                tournament.deferred.retain(|owed| !(owed.prize == *prize && owed.player == *player));
                tournament.payments.push(Payment {
                    prize: *prize,
                    player: player.clone(),
                    amount: *amount,
                    event: EventRef::of(at),
                    reversed: false,
                });
            }
            TournamentEvent::PrizeDeferred { prize, player, amount, .. } => {
                tournament.deferred.push(Prize { prize: *prize, player: player.clone(), amount: *amount });
            }
            TournamentEvent::PrizeReversed { corrects, .. } => {
                if let Some(payment) = tournament.payments.iter_mut().find(|payment| payment.event.id == *corrects) {
                    payment.reversed = true;
                }
            }
            TournamentEvent::TournamentClosed { winner } => tournament.closed = Some(winner.clone()),
            TournamentEvent::TournamentCancelled { .. } => tournament.cancelled = true,
        }
    }
}
