//! What goes wrong on purpose, one function a fault. Everything else in the demo plays by the rules.
//!
//! Whoever is part of a fault stops spending, so that a repair finds the Galleons where they went.

use rand::Rng;
use wox_events::{
    Amount, DuelEvent, Duration, Revision, Split, StreamId, Timestamp, duel::EndReason, tournament::PrizeKind,
};

use super::{
    Planted,
    banking::{self, Transfer},
    day::{self, Task, at},
    duels::{self, Duel},
    people::{self, Player},
    tournaments::{self, CLUB, DAILY, HOUSE_CUP, Match, NOVICES, Tournament},
    world::{Stream, World, label},
};

/// A fault on the agenda.
pub(super) enum Fault {
    Duel(DuelFault),
    DuplicateDeposit,
    CreditAgain { player: usize, transfer: Transfer },
    WithdrawalInDoubt,
    PoolDrift,
}

/// What can go wrong with a duel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DuelFault {
    Stuck,
    Interrupted,
    NeverExpired,
    NotReleased,
    Crossed,
    UnknownKind,
    SecondEnd,
    Unpaid,
}

/// Puts all faults on the agenda of a day. The House Cup and the daily tournament meet theirs by themselves.
pub(super) fn plan(world: &mut World, day: i64) {
    let duels = [
        (20, 40, DuelFault::NeverExpired),
        (20, 45, DuelFault::NotReleased),
        (20, 55, DuelFault::Crossed),
        (21, 2, DuelFault::UnknownKind),
        (21, 8, DuelFault::SecondEnd),
        (21, 15, DuelFault::Unpaid),
        (21, 30, DuelFault::Stuck),
    ];
    for (hour, minute, fault) in duels {
        world.schedule(at(day, hour, minute), Task::Fault(Fault::Duel(fault)));
    }
    for _ in 0..2 {
        let shortly_before_the_stop = at(day, 22, 34).plus(Duration::seconds(20));
        world.schedule(shortly_before_the_stop, Task::Fault(Fault::Duel(DuelFault::Interrupted)));
    }
    world.schedule(at(day, 18, 10), Task::Fault(Fault::WithdrawalInDoubt));
    world.schedule(at(day, 20, 20), Task::Fault(Fault::DuplicateDeposit));
    for rules in [CLUB, NOVICES] {
        world.schedule(at(day, rules.opens.0, rules.opens.1), Task::Open(rules, day));
    }
    world.schedule(at(day, 22, 35), Task::Stop { until: at(day, 22, 55) });
    for task in [Task::Refuse, Task::Deposit, Task::Refuse] {
        let at = at(day, 22, 55).plus(world.seconds(20..170));
        world.schedule(at, task);
    }
    world.schedule(at(day, 22, 58), Task::Fault(Fault::PoolDrift));
}

/// The time of a fault has come.
pub(super) fn begin(world: &mut World, fault: Fault) {
    match fault {
        Fault::Duel(fault) => begin_duel(world, fault),
        Fault::DuplicateDeposit => deposit_twice(world),
        Fault::CreditAgain { player, transfer } => credit_again(world, player, &transfer),
        Fault::WithdrawalInDoubt => withdrawal_in_doubt(world),
        Fault::PoolDrift => pool_drift(world),
    }
}

/// A duel that is going to go wrong, between two people who have the time and the Galleons.
fn begin_duel(world: &mut World, fault: DuelFault) {
    let bet = Amount::galleons(25);
    let challenger = people::idle(world, bet);
    let opponent = challenger.and_then(|challenger| {
        let rival = world.players[challenger].id.clone();
        people::pick(world, |player: &Player| player.is_idle() && player.purse.total() >= bet && player.id != rival)
    });
    let (Some(challenger), Some(opponent)) = (challenger, opponent) else {
        return world.schedule_in(5..15, Task::Fault(Fault::Duel(fault)));
    };
    if fault == DuelFault::Crossed {
        // Without bonus Galleons in the stake there is nothing to cross.
        people::grant(world, challenger, Amount::galleons(15));
    }
    let duel = duels::challenge(world, [challenger, opponent], bet, None, Some(fault));
    for player in [challenger, opponent] {
        world.players[player].frozen = true;
    }
    match fault {
        DuelFault::NeverExpired => never_expired(world, &duel),
        DuelFault::NotReleased => {
            let at = duel.expires_at().plus(Duration::seconds(1));
            world.schedule(at, Task::Duel(Box::new(duel)));
        }
        _ => world.schedule_in(10..20, Task::Duel(Box::new(duel))),
    }
}

/// E2: nobody accepts, and the expiry that would give the stake back is never written.
fn never_expired(world: &mut World, duel: &Duel) {
    plant_at_head(world, "challenge_never_expired", &duel.stream);
}

/// Steps into a duel before its next move. True when nothing more is to happen in it.
pub(super) fn intervene(world: &mut World, duel: &mut Duel) -> bool {
    match (duel.fault, duel.turns) {
        (Some(DuelFault::NotReleased), None) => stake_not_released(world, duel),
        (Some(DuelFault::Stuck), Some(3)) => stuck(world, duel),
        (Some(DuelFault::Crossed), Some(2)) => crossed_buckets(world, duel),
        (Some(DuelFault::UnknownKind), Some(3)) => {
            unknown_kind(world, duel);
            return false;
        }
        _ => return false,
    }
    true
}

/// E2: the challenge expires, and the stake stays where it is.
fn stake_not_released(world: &mut World, duel: &mut Duel) {
    let expired = world.fact(&DuelEvent::ChallengeExpired {}, duel.thread);
    duels::append(world, duel, vec![expired]);
    duels::leave(world, duel);
    plant_at_head(world, "stake_not_released", &duel.stream);
}

/// R09: both stakes are held, nobody moves any more, and the game goes on around them.
fn stuck(world: &mut World, duel: &Duel) {
    plant_at_head(world, "stuck_duel", &duel.stream);
}

/// R08: the agent stopped seconds after the last move. True when this duel was to be left open.
pub(super) fn left_open(world: &mut World, duel: &Duel, at: Timestamp) -> bool {
    let interrupted = duel.fault == Some(DuelFault::Interrupted);
    if interrupted {
        plant_at_head(world, "interrupted_duel", &duel.stream);
        post_late(world, duel, at);
    }
    interrupted
}

/// R23: whose turn it is in the first of these duels moves all the same; the post is fetched when the agent is back.
fn post_late(world: &mut World, duel: &Duel, at: Timestamp) {
    if world.missed_posts.is_empty() {
        let post = world.post_at(at.plus(Duration::seconds(1)));
        world.missed_posts.push((duel.next_player(), post));
        plant_at_head(world, "late_post", &duel.stream);
    }
}

/// E3: the duel is voided, and the challenger's bonus Galleons come back as withdrawable ones.
fn crossed_buckets(world: &mut World, duel: &mut Duel) {
    let voided = DuelEvent::DuelVoided { reason: label("players_agreed") };
    let voided = world.fact(&voided, duel.thread);
    let crossed = Split { bonus: Amount::ZERO, withdrawable: duel.bet };
    let (sound, _) = duel.sides[1].held.expect("an active duel holds both stakes");
    let mut events = vec![voided];
    for (side, stake) in [(0, crossed), (1, sound)] {
        events.push(duels::release(world, duel, side, stake));
        world.players[duel.sides[side].player].purse.give(stake);
    }
    duels::append(world, duel, events);
    duels::leave(world, duel);
    let second_of_three = Revision(duel.stream.revision.0 - 1);
    plant(world, "crossed_buckets", duel.stream_id(), second_of_three);
}

/// Design law 4: an event of a kind that this build does not know. From here on nobody can say what the rest of the
/// stream means, so the stake counts as held and the winner as not paid.
fn unknown_kind(world: &mut World, duel: &mut Duel) {
    let player = &duel.sides[0].id;
    let data = format!(r#"{{"broom":"nimbus_2000","laps":3,"player":"{player}"}}"#);
    let raced = world.foreign("BroomRaced", 1, &data, duel.thread);
    duels::append(world, duel, vec![raced]);
    plant_at_head(world, "unknown_kind", &duel.stream);
}

/// What follows the end of a duel with a fault.
pub(super) fn after_end(world: &mut World, duel: &mut Duel, winner: usize) {
    match duel.fault {
        Some(DuelFault::SecondEnd) => second_end(world, duel, winner),
        Some(DuelFault::Unpaid) => unpaid(world, duel),
        _ => {}
    }
}

/// Design law 4: the duel is over and paid, and then ends again, the other way round. The fold has to refuse that.
fn second_end(world: &mut World, duel: &mut Duel, winner: usize) {
    let pot = Split { bonus: Amount::ZERO, withdrawable: duel.bet };
    for _ in 0..2 {
        world.players[duel.sides[winner].player].purse.give(pot);
    }
    let again = duels::ended(world, duel, 1 - winner, EndReason::Forfeit);
    duels::append(world, duel, vec![again]);
    plant_at_head(world, "refused_event", &duel.stream);
}

/// R09: the duel is decided, and the winner is never paid.
fn unpaid(world: &mut World, duel: &Duel) {
    plant_at_head(world, "unpaid_duel", &duel.stream);
}

/// R12: the second credit of a transfer comes from a path that keys deposits by the log's place in the block.
fn deposit_twice(world: &mut World) {
    let Some(player) = people::anyone(world) else { return };
    let transfer = banking::deposit(world, player);
    world.players[player].frozen = true;
    world.schedule_in(120..240, Task::Fault(Fault::CreditAgain { player, transfer }));
}

fn credit_again(world: &mut World, player: usize, transfer: &Transfer) {
    let mut stream = Stream::new(format!("deposit-8453:{}:{}", transfer.tx, transfer.log_index));
    banking::credit(world, &mut stream, player, transfer);
    plant_at_head(world, "duplicate_deposit", &stream);
}

/// R13: the bank's bot was asked to pay, and nothing was heard since. Nobody knows, so nobody may reverse it.
fn withdrawal_in_doubt(world: &mut World) {
    let rich = |player: &Player| player.is_idle() && player.purse.withdrawable >= Amount::galleons(60);
    let Some(player) = people::pick(world, rich) else {
        if let Some(player) = people::idle(world, Amount::ZERO) {
            banking::deposit(world, player);
        }
        return world.schedule_in(5..15, Task::Fault(Fault::WithdrawalInDoubt));
    };
    let mut withdrawal = banking::request_withdrawal(world, player);
    banking::ask_the_bot(world, &mut withdrawal);
    plant_at_head(world, "withdrawal_in_doubt", withdrawal.stream());
}

/// R15: the game's own figure of the pool is less than what its events add up to.
fn pool_drift(world: &mut World) {
    let balance = world.banking.pool.saturating_sub(day::DRIFT);
    banking::state_pool(world, balance);
    let (id, revision) = (world.banking.pool_stream.id.clone(), world.banking.pool_stream.revision);
    plant(world, "pool_drift", id, revision);
}

/// R10: the second round of the club's bracket names somebody who lost in the first.
pub(super) fn spoil_pairings(world: &mut World, tournament: &Tournament, round: u8, matches: &mut [Match]) {
    if stops_at_round(world, tournament, round) {
        matches[0].first = tournament.rounds[0][0].loser;
        let next = Revision(tournament.stream.revision.0 + 1);
        plant(world, "wrong_bracket", tournament.stream.id.clone(), next);
    }
}

/// R10: whether a round is the spoiled one, of which nothing is played.
pub(super) fn stops_at_round(world: &World, tournament: &Tournament, round: u8) -> bool {
    world.options.faults && tournament.rules.title == CLUB.title && round == 2
}

/// R10: before the final of the novices their game finds that the first match went to the other side. True when nothing
/// more is to happen: the semifinal that stands on it was played by the wrong people.
pub(super) fn corrects_instead_of(world: &mut World, tournament: &mut Tournament, round: u8) -> bool {
    let corrects = world.options.faults && tournament.rules.title == NOVICES.title && round == 3;
    if corrects {
        tournaments::correct_first_match(world, tournament);
        plant_at_head(world, "corrected_result", &tournament.stream);
    }
    corrects
}

/// R10: whoever leaves the daily tournament first does not get the entry back.
pub(super) fn keeps_entry(world: &World, tournament: &Tournament) -> bool {
    is_spoiled(world, tournament, DAILY) && world.planted.iter().all(|planted| planted.fault != "unrefunded_entry")
}

/// The entry was kept.
pub(super) fn kept_entry(world: &mut World, tournament: &Tournament) {
    plant_at_head(world, "unrefunded_entry", &tournament.stream);
}

/// R11: the third prize of the House Cup goes to somebody else. `None` when the prize goes where it belongs.
pub(super) fn prize_recipient(world: &mut World, tournament: &Tournament, prize: PrizeKind) -> Option<usize> {
    if !is_spoiled(world, tournament, HOUSE_CUP) || prize != PrizeKind::Third {
        return None;
    }
    let placing = tournament.placing();
    let others: Vec<usize> = tournament.seeds.iter().copied().filter(|player| !placing.contains(player)).collect();
    let player = others[world.rng.random_range(0..others.len())];
    // They still want to pay their entry of the daily tournament.
    while world.players[player].purse.total() < DAILY.entry_fee {
        banking::deposit(world, player);
    }
    world.players[player].frozen = true;
    let next = Revision(tournament.stream.revision.0 + 1);
    plant(world, "wrong_prize", tournament.stream.id.clone(), next);
    Some(player)
}

/// R11: two prizes of the daily tournament are paid, then the game stops.
pub(super) fn stops_after_prize(world: &mut World, tournament: &Tournament, prize: PrizeKind) -> bool {
    let stops = is_spoiled(world, tournament, DAILY) && prize == PrizeKind::Second;
    if stops {
        plant_at_head(world, "half_paid_prizes", &tournament.stream);
    }
    stops
}

fn is_spoiled(world: &World, tournament: &Tournament, rules: tournaments::Rules) -> bool {
    world.options.faults && tournament.rules.title == rules.title && tournament.day == day::last_day(&world.options)
}

fn plant_at_head(world: &mut World, fault: &'static str, stream: &Stream) {
    plant(world, fault, stream.id.clone(), stream.revision);
}

fn plant(world: &mut World, fault: &'static str, stream: StreamId, revision: Revision) {
    world.planted.push(Planted { fault, subject: stream.to_string(), at: (stream, revision) });
}
