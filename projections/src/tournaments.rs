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
    projection::{EventAt, EventRef, Projection, Rejection},
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
    pub deferred: Vec<Owed>,
    /// The first schedule that was taken away, until one has its amounts again (P11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Schedule>,
    /// What the pool held before a prize was paid without a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_before: Option<Amount>,
    /// Who won, when the game says it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<PlayerId>,
    /// The event that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<EventId>,
    /// True when it did not take place.
    pub cancelled: bool,
    /// The event that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<EventAt>,
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
    /// True when the player left before the draw.
    pub left: bool,
    /// When the player left, before the draw or after it: then the opponents advance and the entry stays in the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
    /// The event that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<EventAt>,
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
    /// When it was opened, or rebuilt.
    pub opened_at: Timestamp,
    /// Results by slot.
    pub results: BTreeMap<u16, MatchResult>,
    /// The results that were taken away and not replaced yet, by slot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub voided: BTreeMap<u16, EventId>,
    /// Where the orders to play a match again stand, by slot, until it is decided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ordered: BTreeMap<u16, EventAt>,
    /// Every order to play a match again, by slot, also of matches that were decided since: who was told of one may have to
    /// be told otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orders: BTreeMap<u16, Vec<EventId>>,
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
    /// When it was decided.
    pub at: Timestamp,
    /// True when it replaces an earlier result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub corrected: bool,
    /// The event that says so.
    pub event: EventRef,
}

/// A frozen prize schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The event that froze it.
    pub event: EventRef,
    /// The pool then.
    pub pool_at: Amount,
    /// Who gets what.
    pub prizes: Vec<Prize>,
}

impl Schedule {
    /// True when it has a prize of this kind with this amount, whoever gets it.
    #[must_use]
    pub fn has_amount_of(&self, prize: &Prize) -> bool {
        self.prizes.iter().any(|frozen| (frozen.prize, frozen.amount) == (prize.prize, prize.amount))
    }
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
    /// The event that put it back into the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversed: Option<EventId>,
}

/// A prize that is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Which prize.
    pub prize: PrizeKind,
    /// Whose it is.
    pub player: PlayerId,
    /// How much.
    pub amount: Amount,
    /// The event that says so.
    pub event: EventId,
}

impl Owed {
    /// True when it is this prize, to the last G.
    #[must_use]
    pub fn is(&self, prize: &Prize) -> bool {
        (self.prize, &self.player, self.amount) == (prize.prize, &prize.player, prize.amount)
    }
}

/// Who came where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing<'a> {
    /// First to fourth; nobody where a bracket is too small to have one.
    pub places: [Option<&'a PlayerId>; 4],
    /// Players whose wins do not say who of them gets a prize, or which.
    pub tied: Vec<&'a PlayerId>,
    /// The last result it rests on.
    pub decided: &'a EventRef,
}

/// What has to be undone and redone because pairings or results before them were wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallout<'a> {
    /// Results that do not stand: round (from 1), slot, result.
    pub voided: Vec<(u8, u16, &'a MatchResult)>,
    /// Rounds (from 1) that have other pairings: what was stated, what must be.
    pub rebuilt: Vec<(u8, &'a Round, Vec<Pairing>)>,
}

/// A match whose result was taken away and that two known players have not been told to play again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplayed<'a> {
    /// Of which round, from 1.
    pub round: u8,
    /// Of which place in the round.
    pub slot: u16,
    /// The one side.
    pub first: &'a PlayerId,
    /// The other.
    pub second: &'a PlayerId,
    /// The result that was taken away.
    pub voided: EventId,
}

/// How the payments stand against the schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrizeStatus<'s, 'p> {
    /// Prizes nobody has been paid.
    pub unpaid: Vec<&'s Prize>,
    /// Payments the schedule does not know: wrong player, wrong amount, or paid twice.
    pub wrong: Vec<&'p Payment>,
}

impl Tournament {
    /// The pairings that follow from the draw and the results before the round (from 0); `None` while they do not yet
    /// follow because results are missing.
    #[must_use]
    pub fn expected_pairings(&self, round: usize) -> Option<Vec<Pairing>> {
        let waits = |pairing: &Pairing| pairing.first.is_none() || pairing.second.is_none();
        let pairings = self.pairings_so_far(round)?;
        let later = self.format == Format::SingleElimination && round > 0;
        (!later || !pairings.iter().any(waits)).then_some(pairings)
    }

    /// The same, with a side missing where the match it comes from has no result.
    fn pairings_so_far(&self, round: usize) -> Option<Vec<Pairing>> {
        match self.format {
            Format::RoundRobin => Some(bracket::round_robin(&self.seeds, round)),
            Format::SingleElimination if round == 0 => Some(bracket::first_round(&self.seeds)),
            Format::SingleElimination => {
                let before = self.rounds.get(round - 1)?;
                let winner = |slot| before.results.get(&(slot as u16)).map(|result| result.winner.clone());
                let winners: Vec<Option<PlayerId>> = (0..before.pairings.len()).map(winner).collect();
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

    /// Every match of every round, as the pure functions of [`bracket`] take them.
    fn matches(&self) -> Vec<Vec<bracket::Match<'_>>> {
        self.rounds
            .iter()
            .map(|round| {
                let played = |(slot, pairing)| bracket::Match {
                    pairing,
                    winner: round.results.get(&(slot as u16)).map(|result| &result.winner),
                };
                round.pairings.iter().enumerate().map(played).collect()
            })
            .collect()
    }

    /// Rounds (from 0) whose stated pairings cannot be right, and the right ones. In single elimination the pairings
    /// follow from the results; in a round robin any order of rounds is right as long as everybody plays at most once a
    /// round and meets nobody twice.
    pub fn misdrawn_rounds(&self) -> impl Iterator<Item = (usize, &Round, Vec<Pairing>)> {
        let mut met = BTreeSet::new();
        let rightful = match self.format {
            Format::SingleElimination => bracket::rightful(&self.seeds, &self.matches()),
            Format::RoundRobin => {
                (0..self.rounds.len()).map(|round| bracket::round_robin(&self.seeds, round)).collect()
            }
        };
        self.rounds.iter().zip(rightful).enumerate().filter_map(move |(index, (round, expected))| {
            let right = match self.format {
                Format::SingleElimination => expected == round.pairings,
                Format::RoundRobin => self.is_round_of_strangers(&round.pairings, &mut met),
            };
            (!right).then_some((index, round, expected))
        })
    }

    /// What has to be undone and redone so that the bracket follows from its results again; `None` when it does. Only
    /// for single elimination: matches of a round robin stand on nothing.
    #[must_use]
    pub fn fallout(&self) -> Option<Fallout<'_>> {
        if self.format == Format::RoundRobin {
            return None;
        }
        let rounds: Vec<_> = self.misdrawn_rounds().collect();
        let number = |round: usize| u8::try_from(round + 1).unwrap_or(u8::MAX);
        let radius = bracket::blast_radius(&self.seeds, &self.matches());
        let voided = radius.into_iter().filter_map(|(round, slot)| {
            let slot = u16::try_from(slot).ok()?;
            Some((number(round), slot, self.rounds[round].results.get(&slot)?))
        });
        let voided = voided.collect();
        let rebuilt: Vec<_> =
            rounds.into_iter().map(|(index, round, expected)| (number(index), round, expected)).collect();
        (!rebuilt.is_empty()).then_some(Fallout { voided, rebuilt })
    }

    /// Matches whose result was taken away, whose two sides are known, and that nobody was told to play again.
    pub fn unplayed(&self) -> impl Iterator<Item = Unplayed<'_>> {
        self.rounds.iter().enumerate().flat_map(|(index, round)| {
            round.voided.iter().filter_map(move |(slot, voided)| {
                let pairing = round.pairings.get(usize::from(*slot))?;
                let (first, second) = (pairing.first.as_ref()?, pairing.second.as_ref()?);
                let open = !round.results.contains_key(slot) && !round.ordered.contains_key(slot);
                let number = u8::try_from(index + 1).ok()?;
                open.then_some(Unplayed { round: number, slot: *slot, first, second, voided: *voided })
            })
        })
    }

    /// Matches without a result in rounds that are open: round (from 1), slot, pairing.
    pub fn undecided(&self) -> impl Iterator<Item = (u8, u16, &Pairing)> {
        self.rounds.iter().enumerate().flat_map(|(index, round)| {
            round.pairings.iter().enumerate().filter_map(move |(slot, pairing)| {
                let slot = u16::try_from(slot).ok()?;
                let number = u8::try_from(index + 1).ok()?;
                (!round.results.contains_key(&slot)).then_some((number, slot, pairing))
            })
        })
    }

    /// The result of a match; the round is counted from 1.
    #[must_use]
    pub fn result_of(&self, round: u8, slot: u16) -> Option<&MatchResult> {
        self.result(round, slot).ok()
    }

    /// This tournament as it would be if this event corrected the winner of one match. `None` when there is no such match.
    #[must_use]
    pub fn corrected(
        &self,
        (round, slot): (u8, u16),
        (winner, loser): (&PlayerId, &PlayerId),
        event: EventRef,
    ) -> Option<Tournament> {
        let mut other = self.clone();
        other.correct((round, slot), (winner, loser), event).then_some(other)
    }

    fn correct(&mut self, (round, slot): (u8, u16), (winner, loser): (&PlayerId, &PlayerId), event: EventRef) -> bool {
        let Some(result) = self.round_mut(round).and_then(|round| round.results.get_mut(&slot)) else { return false };
        result.winner = winner.clone();
        result.loser = Some(loser.clone());
        result.corrected = true;
        result.event = event;
        self.advance(round, slot, winner);
        true
    }

    /// The prizes whose place stands whatever comes out of the matches that are open: of a semifinal that stands, the
    /// loser's. With the amounts that were frozen.
    #[must_use]
    pub fn certain_prizes(&self) -> Vec<Prize> {
        let frozen = self.withdrawn.as_ref().or(self.schedule.as_ref());
        let Some(semifinals) = self.rounds_in_all().checked_sub(2).filter(|_| self.format == Format::SingleElimination)
        else {
            return Vec::new();
        };
        let radius = bracket::blast_radius(&self.seeds, &self.matches());
        let beaten = |slot: u16| {
            let result = self.rounds.get(semifinals)?.results.get(&slot)?;
            (!radius.contains(&(semifinals, usize::from(slot)))).then_some(result.loser.as_ref()).flatten()
        };
        let beaten = [beaten(0), beaten(1)];
        let stands = |prize: &&Prize| {
            matches!(prize.prize, PrizeKind::Third | PrizeKind::Fourth) && beaten.contains(&Some(&prize.player))
        };
        frozen.into_iter().flat_map(|schedule| &schedule.prizes).filter(stands).cloned().collect()
    }

    /// Who came where, once every match is decided and stands. In single elimination third and fourth are the losers of
    /// the semifinals, in the order of their slots.
    #[must_use]
    pub fn placing(&self) -> Option<Placing<'_>> {
        let complete = !self.rounds.is_empty() && self.rounds.len() == self.rounds_in_all();
        let rests = |pairing: &Pairing| {
            self.format == Format::RoundRobin && (pairing.first.is_none() || pairing.second.is_none())
        };
        if !complete
            || self.undecided().any(|(_, _, pairing)| !rests(pairing))
            || self.misdrawn_rounds().next().is_some()
        {
            return None;
        }
        let results = self.rounds.iter().flat_map(|round| round.results.values());
        let decided = results.clone().map(|result| &result.event).max_by_key(|event| event.position)?;
        match self.format {
            Format::SingleElimination => {
                let last = self.rounds.last()?.results.get(&0)?;
                let semifinals = self.rounds.len().checked_sub(2).and_then(|round| self.rounds.get(round));
                let beaten = |slot| semifinals?.results.get(&slot)?.loser.as_ref();
                let places = [Some(&last.winner), last.loser.as_ref(), beaten(0), beaten(1)];
                Some(Placing { places, tied: Vec::new(), decided })
            }
            Format::RoundRobin => {
                let mut wins: BTreeMap<&PlayerId, usize> = BTreeMap::new();
                for result in results {
                    *wins.entry(&result.winner).or_default() += 1;
                }
                let wins_of = |player: &PlayerId| wins.get(player).copied().unwrap_or_default();
                let mut standing: Vec<&PlayerId> = self.seeds.iter().collect();
                standing.sort_by_key(|player| std::cmp::Reverse(wins_of(player)));
                // Third and fourth get the same; who of them is which harms nobody.
                let level = |place: usize| {
                    place != 2 && standing.len() > place + 1 && wins_of(standing[place]) == wins_of(standing[place + 1])
                };
                let tied: BTreeSet<usize> =
                    (0..4).filter(|place| level(*place)).map(|place| wins_of(standing[place])).collect();
                let tied = standing.iter().copied().filter(|player| tied.contains(&wins_of(player))).collect();
                Some(Placing { places: [0, 1, 2, 3].map(|place| standing.get(place).copied()), tied, decided })
            }
        }
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
    pub fn prize_status(&self) -> PrizeStatus<'_, '_> {
        self.schedule.as_ref().map(|schedule| self.prize_status_under(&schedule.prizes)).unwrap_or_default()
    }

    /// The same for a schedule that is not in the log yet.
    #[must_use]
    pub fn prize_status_under<'s, 'p>(&'p self, prizes: &'s [Prize]) -> PrizeStatus<'s, 'p> {
        let mut open: Vec<&Payment> = self.payments.iter().filter(|payment| payment.reversed.is_none()).collect();
        let mut unpaid = Vec::new();
        for prize in prizes {
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

    /// A place that waits for a match is taken by whoever wins it.
    fn advance(&mut self, round: u8, slot: u16, winner: &PlayerId) {
        if self.format == Format::RoundRobin {
            return;
        }
        let next =
            self.rounds.get_mut(usize::from(round)).and_then(|next| next.pairings.get_mut(usize::from(slot / 2)));
        let Some(pairing) = next else { return };
        let side = if slot.is_multiple_of(2) { &mut pairing.first } else { &mut pairing.second };
        if side.is_none() {
            *side = Some(winner.clone());
        }
    }

    /// Notes what the pool held before a prize that no schedule stands behind: the share of the pool is of that.
    pub(crate) fn note_pool(&mut self, pool: Amount) {
        if self.schedule.is_none() && self.withdrawn.is_none() && self.pool_before.is_none() {
            self.pool_before = Some(pool);
        }
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

    pub(crate) fn get_mut(&mut self, tournament: &str) -> Option<&mut Tournament> {
        self.tournaments.get_mut(tournament)
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
                if tournament.cancelled || tournament.closed.is_some() {
                    before_draw()?;
                    return Err(Rejection::state(format_args!("tournament {id}"), "closed", "open"));
                }
                match tournament.entries.get(player) {
                    Some(entry) if entry.left_at.is_none() => Ok(()),
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
                let half = pairing.first.is_none() || pairing.second.is_none();
                if half && *round > 1 && tournament.format == Format::SingleElimination {
                    let subject = format_args!("match {round}/{slot}");
                    return Err(Rejection::state(subject, "waiting for a match before it", "to have both sides"));
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
                let expected = tournament.pairings_so_far(usize::from(*round) - 1).unwrap_or_default();
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
            // Money that moved has moved, also where nobody had frozen what it was to be: that is found, not refused.
            TournamentEvent::PrizePaid { .. } if !tournament.seeds.is_empty() => Ok(()),
            TournamentEvent::PrizeScheduleWithdrawn { corrects, .. } => match &tournament.schedule {
                Some(schedule) => Rejection::same("corrects", &schedule.event.id, corrects),
                None => {
                    Err(Rejection::state(format_args!("tournament {id}"), "without a prize schedule", "to have one"))
                }
            },
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
                if payment.reversed.is_some() {
                    return Err(Rejection::exists("reversal of payment", corrects));
                }
                Rejection::same("player", &payment.player, player)?;
                Rejection::same("amount", &payment.amount, amount)
            }
            TournamentEvent::TournamentClosed { .. } => match &tournament.closed {
                Some(_) => Err(Rejection::state(format_args!("tournament {id}"), "closed", "open")),
                None => Ok(()),
            },
            TournamentEvent::TournamentReopened { corrects, .. } => match &tournament.closed_by {
                Some(closed) => Rejection::same("corrects", closed, corrects),
                None => Err(Rejection::state(format_args!("tournament {id}"), "open", "closed")),
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
                    withdrawn: None,
                    pool_before: None,
                    closed: None,
                    closed_by: None,
                    cancelled: false,
                    cancelled_by: None,
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
                let entry =
                    Entry { split: *entry, event: at.id, left: false, left_at: None, left_by: None, refunded: false };
                tournament.entries.insert(player.clone(), entry);
            }
            TournamentEvent::PlayerUnregistered { player } => {
                let drawn = !tournament.seeds.is_empty();
                if let Some(entry) = tournament.entries.get_mut(player) {
                    entry.left = !drawn;
                    entry.left_at = Some(at.time);
                    entry.left_by = Some(EventAt::of(at));
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
                opened_at: at.time,
                results: BTreeMap::new(),
                voided: BTreeMap::new(),
                ordered: BTreeMap::new(),
                orders: BTreeMap::new(),
            }),
            TournamentEvent::MatchDecided { round, slot, winner, loser, reason, duel } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.voided.remove(slot);
                    round.ordered.remove(slot);
                    round.results.insert(
                        *slot,
                        MatchResult {
                            winner: winner.clone(),
                            loser: loser.clone(),
                            reason: *reason,
                            duel: duel.clone(),
                            at: at.time,
                            corrected: false,
                            event: EventRef::of(at),
                        },
                    );
                }
                tournament.advance(*round, *slot, winner);
            }
            TournamentEvent::MatchResultCorrected { round, slot, winner, loser, .. } => {
                tournament.correct((*round, *slot), (winner, loser), EventRef::of(at));
            }
            TournamentEvent::MatchVoided { round, slot, corrects, .. } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.results.remove(slot);
                    round.voided.insert(*slot, *corrects);
                }
            }
            TournamentEvent::MatchReplayOrdered { round, slot, .. } => {
                if let Some(round) = tournament.round_mut(*round) {
                    round.ordered.insert(*slot, EventAt::of(at));
                    round.orders.entry(*slot).or_default().push(at.id);
                }
            }
            TournamentEvent::BracketRebuilt { round, matches, .. } => {
                if let Some(round) = tournament.round_mut(*round) {
                    let same = |slot: &u16| round.pairings.get(usize::from(*slot)) == matches.get(usize::from(*slot));
                    let kept: Vec<u16> = round.ordered.keys().copied().filter(same).collect();
                    round.ordered.retain(|slot, _| kept.contains(slot));
                    round.pairings.clone_from(matches);
                    round.opened = EventRef::of(at);
                    round.opened_at = at.time;
                }
            }
            TournamentEvent::PrizeScheduleFixed { pool_at, prizes, .. } => {
                let event = EventRef::of(at);
                // The amounts that were frozen first are kept until a schedule has them.
                let frozen = |first: &Schedule| prizes.iter().all(|prize| first.has_amount_of(prize));
                if tournament.withdrawn.as_ref().is_some_and(frozen) {
                    tournament.withdrawn = None;
                }
                tournament.schedule = Some(Schedule { event, pool_at: *pool_at, prizes: prizes.clone() });
                tournament.pool_before = None;
            }
            TournamentEvent::PrizeScheduleWithdrawn { .. } => {
                let schedule = tournament.schedule.take();
                tournament.withdrawn = tournament.withdrawn.take().or(schedule);
                tournament.deferred.clear();
            }
            TournamentEvent::PrizePaid { prize, player, amount } => {
                tournament.deferred.retain(|owed| !(owed.prize == *prize && owed.player == *player));
                tournament.payments.push(Payment {
                    prize: *prize,
                    player: player.clone(),
                    amount: *amount,
                    event: EventRef::of(at),
                    reversed: None,
                });
            }
            TournamentEvent::PrizeDeferred { prize, player, amount, .. } => {
                let (player, amount, event) = (player.clone(), *amount, at.id);
                tournament.deferred.push(Owed { prize: *prize, player, amount, event });
            }
            TournamentEvent::PrizeReversed { corrects, .. } => {
                if let Some(payment) = tournament.payments.iter_mut().find(|payment| payment.event.id == *corrects) {
                    payment.reversed = Some(at.id);
                }
            }
            TournamentEvent::TournamentClosed { winner } => {
                tournament.closed = Some(winner.clone());
                tournament.closed_by = Some(at.id);
            }
            TournamentEvent::TournamentReopened { .. } => {
                tournament.closed = None;
                tournament.closed_by = None;
            }
            TournamentEvent::TournamentCancelled { .. } => {
                tournament.cancelled = true;
                tournament.cancelled_by = Some(EventAt::of(at));
            }
        }
    }
}
