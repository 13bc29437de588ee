//! Tournaments: entries, the draw, rounds, results, prizes. Single elimination with byes, and round robin.

use rand::seq::SliceRandom;
use wox_events::{
    Amount, DuelId, Duration, EventId, NewEvent, PlayerId, Split, TournamentEvent, TournamentId,
    duel::EndReason,
    tournament::{Format, MatchEnd, Pairing, Prize, PrizeKind},
};

use super::{
    banking,
    day::{self, Task},
    duels, faults, people,
    world::{Stream, Thread, World, name, sum},
};

/// A tournament that is not over.
pub(super) struct Tournament {
    pub(super) stream: Stream,
    id: TournamentId,
    pub(super) rules: Rules,
    /// The day it takes place on.
    pub(super) day: i64,
    thread: Thread,
    entrants: Vec<usize>,
    /// How many have a place now and are going to give it back.
    guests: usize,
    /// In the order of the draw.
    pub(super) seeds: Vec<usize>,
    pub(super) rounds: Vec<Vec<Match>>,
    prizes: Vec<Prize>,
}

/// What a tournament goes by.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) title: &'static str,
    pub(super) format: Format,
    pub(super) entry_fee: Amount,
    /// How many places are to be taken.
    pub(super) places: usize,
    pub(super) players_max: u16,
    /// When registration opens: hour and minute.
    pub(super) opens: (i64, i64),
    pub(super) starts: (i64, i64),
    /// From the opening of a round to that of the next.
    pub(super) round_every: Duration,
    pub(super) prizes_at: (i64, i64),
    /// The least all prizes are worth, in Galleons, and the share of the pool, in percent.
    pub(super) prize_floor: (u64, u32),
}

/// Daily: 50 G, single elimination, half an hour before midnight everything is paid.
pub(super) const DAILY: Rules = Rules {
    title: "daily",
    format: Format::SingleElimination,
    entry_fee: Amount::galleons(50),
    places: 128,
    players_max: 128,
    opens: (18, 0),
    starts: (20, 0),
    round_every: Duration::seconds(24 * 60),
    prizes_at: (22, 30),
    prize_floor: (400, 10),
};

/// The House Cup: free, everybody against everybody.
pub(super) const HOUSE_CUP: Rules = Rules {
    title: "house-cup",
    format: Format::RoundRobin,
    entry_fee: Amount::ZERO,
    places: 12,
    players_max: 16,
    opens: (17, 0),
    starts: (18, 0),
    round_every: Duration::seconds(390),
    prizes_at: (19, 17),
    prize_floor: (200, 20),
};

/// A small free tournament of friends, whose bracket goes wrong (`faults`).
pub(super) const CLUB: Rules = Rules {
    title: "duelling-club",
    format: Format::SingleElimination,
    entry_fee: Amount::ZERO,
    places: 8,
    players_max: 8,
    opens: (20, 50),
    starts: (21, 10),
    round_every: Duration::seconds(15 * 60),
    prizes_at: (22, 0),
    prize_floor: (0, 0),
};

/// A small free tournament of beginners, in which a result is corrected too late (`faults`).
pub(super) const NOVICES: Rules =
    Rules { title: "novice-cup", opens: (21, 6), starts: (21, 26), round_every: Duration::seconds(7 * 60), ..CLUB };

/// One match of a round.
#[derive(Clone, Default)]
pub(super) struct Match {
    pub(super) first: Option<usize>,
    pub(super) second: Option<usize>,
    pub(super) winner: Option<usize>,
    pub(super) loser: Option<usize>,
    /// The event that decided it.
    decided: Option<EventId>,
}

/// The place of a match: which tournament, round and slot.
#[derive(Clone)]
pub(super) struct Seat {
    number: u32,
    pub(super) id: TournamentId,
    round: u8,
    slot: u16,
}

/// What is on the agenda of a tournament.
pub(super) enum Step {
    Register { player: usize, leaves: bool },
    Leave { player: usize, entry: Split, registered: EventId },
    Start,
    Round(u8),
    Play { round: u8, slot: u16 },
    Schedule,
    Pay(usize),
    Close,
}

/// Opens registration and decides who is going to come.
pub(super) fn open(world: &mut World, rules: Rules, day: i64) {
    world.tournaments_opened += 1;
    let number = world.tournaments_opened;
    let id = format!("{}-{}", rules.title, day::date(day));
    let mut stream = Stream::new(format!("tournament-{id}"));
    let starts_at = day::at(day, rules.starts.0, rules.starts.1);
    let opened = TournamentEvent::TournamentOpened {
        format: rules.format,
        title: name(rules.title),
        entry_fee: rules.entry_fee,
        players_min: 8,
        players_max: rules.players_max,
        starts_at,
    };
    let opened = world.fact(&opened, Thread::default());
    let opened = world.append(&mut stream, vec![opened]);

    let mut candidates: Vec<usize> = (0..world.players.len())
        .filter(|player| !world.players[*player].frozen && !world.players[*player].playing)
        .collect();
    candidates.shuffle(&mut world.rng);
    let opens = day::at(day, rules.opens.0, rules.opens.1);
    let span = starts_at.since(opens).as_seconds();
    let places = rules.places.min(candidates.len());
    for (index, player) in candidates.into_iter().take(places + 2).enumerate() {
        // The two beyond the last place register early and leave again.
        let leaves = index >= places;
        let seconds = if leaves { 60..span / 8 } else { span / 60..span * 19 / 20 };
        let at = opens.plus(world.seconds(seconds));
        world.schedule(at, Task::Tournament(number, Step::Register { player, leaves }));
    }
    world.schedule(starts_at, Task::Tournament(number, Step::Start));
    let id = TournamentId::new(id).expect("titles and dates are plain");
    let thread = Thread { cause: Some(opened), root: Some(opened) };
    let (entrants, guests, seeds, rounds, prizes) = Default::default();
    let tournament = Tournament { stream, id, rules, day, thread, entrants, guests, seeds, rounds, prizes };
    world.tournaments.insert(number, tournament);
}

/// What is next in a tournament.
pub(super) fn go_on(world: &mut World, number: u32, step: Step) {
    let Some(mut tournament) = world.tournaments.remove(&number) else { return };
    let over = match step {
        Step::Register { player, leaves } => register(world, number, &mut tournament, player, leaves),
        Step::Leave { player, entry, registered } => unregister(world, &mut tournament, player, entry, registered),
        Step::Start => start(world, number, &mut tournament),
        Step::Round(round) => open_round(world, number, &mut tournament, round),
        Step::Play { round, slot } => play(world, number, &tournament, round, slot),
        Step::Schedule => fix_prizes(world, number, &mut tournament),
        Step::Pay(index) => pay(world, number, &mut tournament, index),
        Step::Close => close(world, &mut tournament),
    };
    if over == Over::No {
        world.tournaments.insert(number, tournament);
    }
}

#[derive(PartialEq, Eq)]
enum Over {
    Yes,
    No,
}

fn register(world: &mut World, number: u32, tournament: &mut Tournament, player: usize, leaves: bool) -> Over {
    let fee = tournament.rules.entry_fee;
    if leaves && world.players[player].purse.total() < fee && !faults::keeps_entry(world, tournament) {
        return Over::No;
    }
    if tournament.entrants.len() + tournament.guests >= usize::from(tournament.rules.players_max) {
        // A guest has the last place, and leaves soon.
        world.schedule_in(60..120, Task::Tournament(number, Step::Register { player, leaves }));
        return Over::No;
    }
    while world.players[player].purse.total() < fee {
        banking::deposit(world, player);
    }
    let entry = world.players[player].purse.take(fee).expect("the player has just paid in");
    // Most join by the button under the announcement; some post it.
    let posted = world.chance(1, 4);
    let command = posted.then(|| people::command(world, player, "t", &format!("join {}", tournament.rules.title), 200));
    let id = world.players[player].id.clone();
    let thread = Thread { cause: command.or(tournament.thread.cause), root: tournament.thread.root };
    let registered = world.fact(&TournamentEvent::PlayerRegistered { player: id, entry }, thread);
    let registered = world.append(&mut tournament.stream, vec![registered]);
    if leaves {
        tournament.guests += 1;
        world.schedule_in(60..600, Task::Tournament(number, Step::Leave { player, entry, registered }));
    } else {
        tournament.entrants.push(player);
    }
    Over::No
}

fn unregister(
    world: &mut World,
    tournament: &mut Tournament,
    player: usize,
    entry: Split,
    registered: EventId,
) -> Over {
    tournament.guests -= 1;
    let id = world.players[player].id.clone();
    let thread = Thread { cause: Some(registered), root: tournament.thread.root };
    let mut events = vec![world.fact(&TournamentEvent::PlayerUnregistered { player: id.clone() }, thread)];
    if faults::keeps_entry(world, tournament) {
        world.append(&mut tournament.stream, events);
        faults::kept_entry(world, tournament);
        return Over::No;
    }
    if !tournament.rules.entry_fee.is_zero() {
        let thread = Thread { cause: Some(events[0].id), ..thread };
        let refunded = TournamentEvent::EntryRefunded { player: id, entry, corrects: registered };
        events.push(world.fact(&refunded, thread));
        world.players[player].purse.give(entry);
    }
    world.append(&mut tournament.stream, events);
    Over::No
}

/// The draw; the entries become part of the pool.
fn start(world: &mut World, number: u32, tournament: &mut Tournament) -> Over {
    let mut seeds = std::mem::take(&mut tournament.entrants);
    seeds.shuffle(&mut world.rng);
    for player in &seeds {
        world.players[*player].playing = true;
        banking::into_pool(world, tournament.rules.entry_fee);
    }
    tournament.seeds = seeds;
    let seeded = TournamentEvent::TournamentSeeded { seeds: ids(world, &tournament.seeds) };
    let seeded = world.fact(&seeded, tournament.thread);
    append(world, tournament, seeded);
    let (hour, minute) = tournament.rules.prizes_at;
    world.schedule(day::at(tournament.day, hour, minute), Task::Tournament(number, Step::Schedule));
    open_round(world, number, tournament, 1)
}

/// The pairings of a round, once the round before is decided.
fn open_round(world: &mut World, number: u32, tournament: &mut Tournament, round: u8) -> Over {
    if !tournament.is_decided() {
        world.schedule_in(20..40, Task::Tournament(number, Step::Round(round)));
        return Over::No;
    }
    let mut matches = tournament.pairings(round);
    if faults::corrects_instead_of(world, tournament, round) {
        return Over::Yes;
    }
    faults::spoil_pairings(world, tournament, round, &mut matches);
    let stated = matches.iter().map(|pair| Pairing {
        first: pair.first.map(|player| world.players[player].id.clone()),
        second: pair.second.map(|player| world.players[player].id.clone()),
    });
    let opened = TournamentEvent::RoundOpened { round, matches: stated.collect() };
    let opened = world.fact(&opened, tournament.thread);
    append(world, tournament, opened);
    tournament.rounds.push(matches);
    if faults::stops_at_round(world, tournament, round) {
        return Over::Yes;
    }
    for slot in 0..tournament.rounds[usize::from(round) - 1].len() {
        let pair = tournament.rounds[usize::from(round) - 1][slot].clone();
        let slot = slot as u16;
        match (pair.first, pair.second) {
            (Some(_), Some(_)) => {
                let at = world.now.plus(Duration::seconds(i64::from(slot) * 3)).plus(world.seconds(2..10));
                world.schedule(at, Task::Tournament(number, Step::Play { round, slot }));
            }
            (Some(winner), None) | (None, Some(winner)) => {
                let thread = tournament.thread;
                let bye = result(world, tournament, (round, slot), (winner, None), MatchEnd::Bye, None, thread);
                append(world, tournament, bye);
            }
            (None, None) => unreachable!("half of a bracket's places are taken"),
        }
    }
    if usize::from(round) < tournament.rounds_in_all() {
        let (hour, minute) = tournament.rules.starts;
        let next =
            day::at(tournament.day, hour, minute).plus(Duration(tournament.rules.round_every.0 * i64::from(round)));
        world.schedule(next, Task::Tournament(number, Step::Round(round + 1)));
    }
    Over::No
}

/// A match begins, as a duel without a bet, as soon as the game has room for one more duel.
fn play(world: &mut World, number: u32, tournament: &Tournament, round: u8, slot: u16) -> Over {
    if world.duels_open >= duels::OPEN_MAX {
        world.schedule_in(5..15, Task::Tournament(number, Step::Play { round, slot }));
        return Over::No;
    }
    let pair = &tournament.rounds[usize::from(round) - 1][usize::from(slot)];
    let players = [pair.first, pair.second].map(|side| side.expect("a match that is played has two sides"));
    let seat = Seat { number, id: tournament.id.clone(), round, slot };
    let duel = duels::challenge(world, players, Amount::ZERO, Some(seat), None);
    world.schedule_in(3..15, Task::Duel(Box::new(duel)));
    Over::No
}

/// A duel has decided a match.
pub(super) fn decided(
    world: &mut World,
    seat: &Seat,
    winner: usize,
    loser: usize,
    reason: EndReason,
    duel: DuelId,
    cause: EventId,
) {
    let Some(mut tournament) = world.tournaments.remove(&seat.number) else { return };
    let how = match reason {
        EndReason::Knockout | EndReason::MissedTurns => MatchEnd::Played,
        EndReason::Forfeit => MatchEnd::Forfeit,
        EndReason::Disconnected => MatchEnd::Disconnected,
    };
    let thread = Thread { cause: Some(cause), root: tournament.thread.root };
    let sides = (winner, Some(loser));
    let result = result(world, &mut tournament, (seat.round, seat.slot), sides, how, Some(duel), thread);
    let result = append(world, &mut tournament, result);
    tournament.rounds[usize::from(seat.round) - 1][usize::from(seat.slot)].decided = Some(result);
    if tournament.rules.format == Format::SingleElimination {
        world.players[loser].playing = false;
        people::gain(world, loser, 10, "tournament_lost", result);
    }
    world.tournaments.insert(seat.number, tournament);
}

/// The first match of the first round went to the other side after all.
pub(super) fn correct_first_match(world: &mut World, tournament: &mut Tournament) {
    let Match { winner: Some(winner), loser: Some(loser), decided: Some(supersedes), .. } = tournament.rounds[0][0]
    else {
        return;
    };
    let [winner, loser] = [loser, winner].map(|player| world.players[player].id.clone());
    let corrected = TournamentEvent::MatchResultCorrected { round: 1, slot: 0, winner, loser, supersedes };
    let corrected = world.fact(&corrected, tournament.thread);
    append(world, tournament, corrected);
}

fn result(
    world: &mut World,
    tournament: &mut Tournament,
    (round, slot): (u8, u16),
    (winner, loser): (usize, Option<usize>),
    reason: MatchEnd,
    duel: Option<DuelId>,
    thread: Thread,
) -> NewEvent {
    let place = &mut tournament.rounds[usize::from(round) - 1][usize::from(slot)];
    (place.winner, place.loser) = (Some(winner), loser);
    let decided = TournamentEvent::MatchDecided {
        round,
        slot,
        winner: world.players[winner].id.clone(),
        loser: loser.map(|loser| world.players[loser].id.clone()),
        reason,
        duel,
    };
    world.fact(&decided, thread)
}

/// Who gets what, frozen before anything is paid.
fn fix_prizes(world: &mut World, number: u32, tournament: &mut Tournament) -> Over {
    if tournament.rounds.len() < tournament.rounds_in_all() || !tournament.is_decided() {
        world.schedule_in(20..40, Task::Tournament(number, Step::Schedule));
        return Over::No;
    }
    let pool_at = world.banking.pool;
    let (floor, percent) = tournament.rules.prize_floor;
    // The game pays what two decimals can show.
    let (share, _) = pool_at.fraction(percent, 100).expect("the pool of a demo is small").split_dust();
    let total = Amount::galleons(floor).max(share).min(pool_at);
    let part =
        |percent| total.fraction(percent, 100).map(|part| part.split_dust().0).expect("a part of the pool is small");
    let [second, third, fourth] = [part(30), part(10), part(10)];
    let first = total.saturating_sub(sum(second, sum(third, fourth)));
    let kinds = [PrizeKind::First, PrizeKind::Second, PrizeKind::Third, PrizeKind::Fourth];
    tournament.prizes = kinds
        .into_iter()
        .zip(tournament.placing())
        .zip([first, second, third, fourth])
        .map(|((prize, player), amount)| Prize { prize, player: world.players[player].id.clone(), amount })
        .collect();
    let fixed = TournamentEvent::PrizeScheduleFixed { pool_at, total, prizes: tournament.prizes.clone() };
    let fixed = world.fact(&fixed, tournament.thread);
    append(world, tournament, fixed);
    world.schedule_in(10..20, Task::Tournament(number, Step::Pay(0)));
    Over::No
}

fn pay(world: &mut World, number: u32, tournament: &mut Tournament, index: usize) -> Over {
    let Prize { prize, player: _, amount } = tournament.prizes[index];
    let player = faults::prize_recipient(world, tournament, prize).unwrap_or(tournament.placing()[index]);
    let id = world.players[player].id.clone();
    let paid = world.fact(&TournamentEvent::PrizePaid { prize, player: id, amount }, tournament.thread);
    append(world, tournament, paid);
    world.banking.pool = world.banking.pool.checked_sub(amount).expect("the schedule fits into the pool");
    world.players[player].purse.give_withdrawable(amount);
    if faults::stops_after_prize(world, tournament, prize) {
        return Over::Yes;
    }
    let next = if index + 1 < tournament.prizes.len() { Step::Pay(index + 1) } else { Step::Close };
    world.schedule_in(10..20, Task::Tournament(number, next));
    Over::No
}

fn close(world: &mut World, tournament: &mut Tournament) -> Over {
    let winner = tournament.placing()[0];
    let id = world.players[winner].id.clone();
    let closed = world.fact(&TournamentEvent::TournamentClosed { winner: id }, tournament.thread);
    let closed = append(world, tournament, closed);
    people::gain(world, winner, 50, "tournament_won", closed);
    people::award_title(world, winner, &format!("{}-champion", tournament.rules.title), closed);
    for player in &tournament.seeds {
        world.players[*player].playing = false;
    }
    Over::Yes
}

fn append(world: &mut World, tournament: &mut Tournament, event: NewEvent) -> EventId {
    let id = world.append(&mut tournament.stream, vec![event]);
    tournament.thread.cause = Some(id);
    id
}

fn ids(world: &World, players: &[usize]) -> Vec<PlayerId> {
    players.iter().map(|player| world.players[*player].id.clone()).collect()
}

impl Tournament {
    fn rounds_in_all(&self) -> usize {
        match self.rules.format {
            Format::SingleElimination => self.seeds.len().next_power_of_two().trailing_zeros() as usize,
            Format::RoundRobin => self.seeds.len() - 1,
        }
    }

    /// Whether every match opened so far is decided.
    fn is_decided(&self) -> bool {
        self.rounds.last().is_none_or(|matches| matches.iter().all(|pair| pair.winner.is_some()))
    }

    /// Who meets whom in a round, in slot order.
    fn pairings(&self, round: u8) -> Vec<Match> {
        let pair = |first, second| Match { first, second, ..Match::default() };
        match (self.rules.format, self.rounds.last()) {
            (Format::SingleElimination, None) => {
                // The bracket is filled up with empty places, which meet the first seeds.
                let size = self.seeds.len().next_power_of_two();
                let seed = |index: usize| self.seeds.get(index).copied();
                (0..size / 2).map(|slot| pair(seed(slot), seed(size - 1 - slot))).collect()
            }
            (Format::SingleElimination, Some(before)) => {
                before.chunks(2).map(|pairs| pair(pairs[0].winner, pairs[1].winner)).collect()
            }
            (Format::RoundRobin, _) => {
                // The circle method: the first seed stays, the others move on by one place a round.
                let (fixed, moving) = (self.seeds[0], &self.seeds[1..]);
                let places = moving.len();
                let before = places - (usize::from(round) - 1) % places;
                let turned = (0..places).map(|index| moving[(index + before) % places]);
                let circle: Vec<usize> = std::iter::once(fixed).chain(turned).collect();
                let size = circle.len();
                (0..size / 2).map(|slot| pair(Some(circle[slot]), Some(circle[size - 1 - slot]))).collect()
            }
        }
    }

    /// Places one to four.
    pub(super) fn placing(&self) -> [usize; 4] {
        let decided = "prizes wait until everything is decided";
        match self.rules.format {
            Format::SingleElimination => {
                let [.., semifinals, finals] = self.rounds.as_slice() else {
                    unreachable!("a tournament of eight or more has three rounds or more")
                };
                [finals[0].winner, finals[0].loser, semifinals[0].loser, semifinals[1].loser]
                    .map(|place| place.expect(decided))
            }
            Format::RoundRobin => {
                let wins =
                    |player: usize| self.rounds.iter().flatten().filter(|pair| pair.winner == Some(player)).count();
                let mut standing = self.seeds.clone();
                // Stable: ties keep the order of the draw.
                standing.sort_by_key(|player| std::cmp::Reverse(wins(*player)));
                [0, 1, 2, 3].map(|place| standing[place])
            }
        }
    }
}
