//! Duels: a challenge, its stakes, the turns, the end. Chance is drawn here, once; the events carry what came of it.

use rand::Rng;
use wox_events::{
    Amount, DuelEvent, DuelId, Duration, EventId, NewEvent, PlayerId, Split, StreamId, Timestamp,
    duel::{Effect, EndReason},
    player::House,
};

use super::{
    banking,
    day::{self, Task},
    faults::{self, DuelFault},
    people::{self, SPELLS},
    tournaments::{self, Seat},
    world::{Stream, Thread, World, label, name},
};

/// The most duels the game runs at once.
pub(super) const OPEN_MAX: u32 = 50;
const ACCEPT_WITHIN: Duration = Duration::seconds(300);
const TURNS_MAX: u32 = 12;

/// An open duel.
pub(super) struct Duel {
    pub(super) stream: Stream,
    id: DuelId,
    /// The challenger, then the opponent.
    pub(super) sides: [Side; 2],
    pub(super) bet: Amount,
    pub(super) thread: Thread,
    /// The match of a tournament that this is.
    seat: Option<Seat>,
    /// What is to go wrong with it.
    pub(super) fault: Option<DuelFault>,
    expires_at: Timestamp,
    answer: Answer,
    /// Turns taken; nothing before the duel has begun.
    pub(super) turns: Option<u32>,
    /// Whose turn it is.
    mover: usize,
}

/// One of the two in a duel.
pub(super) struct Side {
    pub(super) player: usize,
    pub(super) id: PlayerId,
    /// The stake and the event that took it.
    pub(super) held: Option<(Split, EventId)>,
    hp_start: u32,
    hp: u32,
    missed: u8,
    shielded: bool,
    drank: bool,
}

/// What the opponent is going to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Nothing,
}

/// Two idle players and a bet both can pay; those who cannot pay the least bet pay something in first.
pub(super) fn any_challenge(world: &mut World, latest: Timestamp) {
    let later = |world: &mut World| {
        if world.now < latest {
            world.schedule_in(15..70, Task::Challenge { latest });
        }
    };
    if world.duels_open >= OPEN_MAX {
        return later(world);
    }
    let Some(challenger) = people::idle(world, Amount::ZERO) else { return later(world) };
    world.players[challenger].in_duel = true;
    let opponent = people::idle(world, Amount::ZERO);
    world.players[challenger].in_duel = false;
    let Some(opponent) = opponent else { return later(world) };
    for player in [challenger, opponent] {
        if world.players[player].purse.total() < Amount::galleons(10) {
            banking::deposit(world, player);
        }
    }
    let most = world.players[challenger].purse.total().min(world.players[opponent].purse.total());
    let bets = [10, 10, 10, 15, 15, 20, 20, 25, 25, 30, 40, 50, 50, 75, 100, 150, 250, 400, 1000];
    let affordable = bets.iter().filter(|bet| Amount::galleons(**bet) <= most).count();
    let bet = Amount::galleons(bets[world.rng.random_range(0..affordable)]);
    let duel = challenge(world, [challenger, opponent], bet, None, None);
    world.schedule_in(15..150, Task::Duel(Box::new(duel)));
}

/// A challenge, with the challenger's stake.
pub(super) fn challenge(
    world: &mut World,
    players: [usize; 2],
    bet: Amount,
    seat: Option<Seat>,
    fault: Option<DuelFault>,
) -> Duel {
    world.duels += 1;
    world.duels_open += 1;
    let id = DuelId::new(world.duels.to_string()).expect("digits are plain");
    let stream = Stream::new(format!("duel-{id}"));
    let [challenger, opponent] = players.map(|player| world.players[player].id.clone());
    // A mention starts a command of its own; a challenge by a quick reply or by a bracket does not.
    let asked = seat.is_none() && world.chance(1, 8);
    let cause = asked.then(|| people::command(world, players[0], "d", &format!("{opponent} {bet}"), 201));
    let tournament = seat.as_ref().map(|seat| seat.id.clone());
    let expires_at = world.now.plus(ACCEPT_WITHIN);
    let sides = players.map(|player| Side::new(world, player));
    let issued = DuelEvent::ChallengeIssued { challenger, opponent, bet, expires_at, tournament };
    let issued = world.fact(&issued, Thread { cause, root: None });
    let thread = Thread { cause: Some(issued.id), root: Some(issued.id) };
    let answer = match world.rng.random_range(0..100) {
        _ if seat.is_some() || fault.is_some() => Answer::Yes,
        0..88 => Answer::Yes,
        88..95 => Answer::No,
        _ => Answer::Nothing,
    };
    let mut duel = Duel { stream, id, sides, bet, thread, seat, fault, expires_at, answer, turns: None, mover: 0 };
    let mut events = vec![issued];
    if !bet.is_zero() {
        for player in players {
            world.players[player].in_duel = true;
        }
        events.push(hold(world, &mut duel, 0).expect("the challenger was asked for the bet"));
    }
    append(world, &mut duel, events);
    duel
}

/// What happens next in a duel.
pub(super) fn go_on(world: &mut World, mut duel: Box<Duel>) {
    if faults::intervene(world, &mut duel) {
        return;
    }
    let Some(turns) = duel.turns else {
        return answer(world, duel);
    };
    if turns > 0 && duel.fault.is_none() && world.chance(1, 120) {
        let winner = 1 - duel.mover;
        return end(world, &mut duel, winner, EndReason::Forfeit);
    }
    let lost = turn(world, &mut duel);
    duel.mover = 1 - duel.mover;
    match lost {
        Some((loser, reason)) => end(world, &mut duel, 1 - loser, reason),
        None => world.schedule_in(6..22, Task::Duel(duel)),
    }
}

/// The opponent says yes or no, or five minutes have gone by.
fn answer(world: &mut World, mut duel: Box<Duel>) {
    let in_time = world.now.plus(Duration::seconds(1)) < duel.expires_at;
    match duel.answer {
        Answer::Yes if in_time => {
            let mut events = Vec::with_capacity(2);
            if !duel.bet.is_zero() {
                match hold(world, &mut duel, 1) {
                    Some(held) => events.push(held),
                    // The money went elsewhere in the meantime.
                    None => return decline(world, &mut duel),
                }
            }
            duel.mover = world.rng.random_range(0..2);
            duel.turns = Some(0);
            let accepted = DuelEvent::ChallengeAccepted {
                first_turn: duel.sides[duel.mover].id.clone(),
                challenger_hp: duel.sides[0].hp,
                opponent_hp: duel.sides[1].hp,
            };
            events.push(world.fact(&accepted, duel.thread));
            append(world, &mut duel, events);
            world.schedule_in(6..22, Task::Duel(duel));
        }
        Answer::No if in_time => decline(world, &mut duel),
        Answer::Nothing if in_time => {
            let at = duel.expires_at.plus(Duration::seconds(1));
            world.schedule(at, Task::Duel(duel));
        }
        Answer::Yes | Answer::No | Answer::Nothing => {
            let expired = world.fact(&DuelEvent::ChallengeExpired {}, duel.thread);
            call_off(world, &mut duel, expired);
        }
    }
}

fn decline(world: &mut World, duel: &mut Duel) {
    let declined = world.fact(&DuelEvent::ChallengeDeclined {}, duel.thread);
    call_off(world, duel, declined);
}

/// The duel does not take place; the stake goes back.
fn call_off(world: &mut World, duel: &mut Duel, why: NewEvent) {
    let mut events = vec![why];
    if let Some(stake) = duel.sides[0].held.map(|(stake, _)| stake) {
        events.push(release(world, duel, 0, stake));
        world.players[duel.sides[0].player].purse.give(stake);
    }
    append(world, duel, events);
    leave(world, duel);
}

/// A side's stake, when its player can still pay it.
fn hold(world: &mut World, duel: &mut Duel, side: usize) -> Option<NewEvent> {
    let stake = world.players[duel.sides[side].player].purse.take(duel.bet)?;
    let held = DuelEvent::StakeHeld { player: duel.sides[side].id.clone(), stake };
    let held = world.fact(&held, duel.thread);
    duel.sides[side].held = Some((stake, held.id));
    Some(held)
}

/// The stake goes back to its side, as written; the purse is the caller's.
pub(super) fn release(world: &mut World, duel: &Duel, side: usize, stake: Split) -> NewEvent {
    let (_, corrects) = duel.sides[side].held.expect("only a held stake is released");
    let released = DuelEvent::StakeReleased { player: duel.sides[side].id.clone(), stake, corrects };
    world.fact(&released, duel.thread)
}

/// One turn. Returns who has lost by it, and how.
fn turn(world: &mut World, duel: &mut Duel) -> Option<(usize, EndReason)> {
    let number = duel.turns.map_or(1, |turns| turns + 1);
    duel.turns = Some(number);
    let (mover, other) = (duel.mover, 1 - duel.mover);
    let player = duel.sides[mover].id.clone();
    let [missed, thirsty] = [world.chance(1, 30), world.chance(1, 3)];
    let event = if missed && number < TURNS_MAX {
        duel.sides[mover].missed += 1;
        DuelEvent::TurnMissed { turn: number, player, missed: duel.sides[mover].missed }
    } else if thirsty && number < TURNS_MAX && duel.sides[mover].can_drink(world) {
        drink(world, duel, number)
    } else {
        cast(world, duel, number)
    };
    let root = duel.thread.root;
    let event = world.fact(&event, Thread { cause: None, root });
    append(world, duel, vec![event]);
    if duel.sides[other].hp == 0 {
        Some((other, EndReason::Knockout))
    } else if duel.sides[mover].missed == 3 {
        Some((mover, EndReason::MissedTurns))
    } else {
        None
    }
}

fn drink(world: &mut World, duel: &mut Duel, turn: u32) -> DuelEvent {
    let side = &mut duel.sides[duel.mover];
    world.players[side.player].potions -= 1;
    side.drank = true;
    side.hp = (side.hp + 15).min(side.hp_start);
    DuelEvent::PotionUsed {
        turn,
        player: side.id.clone(),
        potion: name("healing"),
        challenger_hp: duel.sides[0].hp,
        opponent_hp: duel.sides[1].hp,
        post: world.post(),
    }
}

/// A spell: whether it hits, how hard, and what is left of the other side.
fn cast(world: &mut World, duel: &mut Duel, turn: u32) -> DuelEvent {
    let (mover, other) = (duel.mover, 1 - duel.mover);
    let caster = &world.players[duel.sides[mover].player];
    let accuracy = if caster.house == House::Ravenclaw { 93 } else { 85 };
    let known = SPELLS.iter().filter(|(level, _)| *level <= caster.level).count();
    let last = turn >= TURNS_MAX;
    let spell = SPELLS[world.rng.random_range(0..known)].1;
    // Half of the shields are thought better of: a duel of shields takes too many turns.
    let shields = spell == "protego" && !last && !duel.sides[mover].shielded && world.chance(1, 2);
    let spell = if spell == "protego" && !shields { "incendio" } else { spell };
    let mut effects = Vec::new();
    let (mut hit, mut critical, mut damage) = (true, false, 0);
    if shields {
        duel.sides[mover].shielded = true;
        effects.push(Effect { player: duel.sides[mover].id.clone(), effect: label("shield"), turns: 1 });
    } else if last {
        // The twelfth turn is the last: whoever casts then does not miss.
        (critical, damage) = (true, duel.sides[other].hp);
    } else if std::mem::take(&mut duel.sides[other].shielded) {
        hit = false;
    } else {
        hit = world.rng.random_range(0..100) < accuracy;
        critical = hit && world.chance(1, 10);
        let share = if critical { world.rng.random_range(33..=45) } else { world.rng.random_range(20..=32) };
        damage = if hit { (duel.sides[other].hp_start * share / 100).min(duel.sides[other].hp) } else { 0 };
    }
    duel.sides[other].hp -= damage;
    DuelEvent::SpellCast {
        turn,
        player: duel.sides[mover].id.clone(),
        spell: name(spell),
        hit,
        critical,
        damage,
        challenger_hp: duel.sides[0].hp,
        opponent_hp: duel.sides[1].hp,
        effects,
        post: world.post(),
    }
}

/// The duel is decided: the winner is paid, both learn, and a bracket goes on.
fn end(world: &mut World, duel: &mut Duel, winner: usize, reason: EndReason) {
    let ended = ended(world, duel, winner, reason);
    let decided = ended.id;
    let mut events = vec![ended];
    duel.thread.cause = Some(decided);
    let unpaid = duel.fault == Some(DuelFault::Unpaid);
    if !duel.bet.is_zero() && !unpaid {
        events.push(settled(world, duel, winner));
    }
    append(world, duel, events);
    if duel.fault.is_none() {
        if !duel.bet.is_zero() {
            world.players[duel.sides[winner].player].purse.give_withdrawable(pot(duel));
        }
        people::gain(world, duel.sides[winner].player, 20, "duel_won", decided);
        people::gain(world, duel.sides[1 - winner].player, 10, "duel_lost", decided);
    } else {
        faults::after_end(world, duel, winner);
    }
    leave(world, duel);
    if let Some(seat) = duel.seat.take() {
        let (winner, loser) = (duel.sides[winner].player, duel.sides[1 - winner].player);
        tournaments::decided(world, &seat, winner, loser, reason, duel.id.clone(), decided);
    }
}

/// The end of a duel; on the first evening in one of the two older shapes.
pub(super) fn ended(world: &mut World, duel: &Duel, winner: usize, reason: EndReason) -> NewEvent {
    let [winner, loser] = [winner, 1 - winner].map(|side| duel.sides[side].id.clone());
    if !banking::old_rules(world) || reason != EndReason::Knockout {
        return world.fact(&DuelEvent::DuelEnded { winner, loser, reason }, duel.thread);
    }
    let half_past_eight = day::at(-1, 20, 30);
    if world.now < half_past_eight {
        let data = format!(r#"{{"loser":"{loser}","winner":"{winner}"}}"#);
        world.foreign("DuelEnded", 1, &data, duel.thread)
    } else {
        let data = format!(r#"{{"loser":"{loser}","reason":"hit_points","winner":"{winner}"}}"#);
        world.foreign("DuelEnded", 2, &data, duel.thread)
    }
}

fn settled(world: &mut World, duel: &Duel, winner: usize) -> NewEvent {
    let settled = DuelEvent::DuelSettled { winner: duel.sides[winner].id.clone(), amount: pot(duel) };
    world.fact(&settled, duel.thread)
}

/// Both stakes.
fn pot(duel: &Duel) -> Amount {
    duel.bet.checked_add(duel.bet).expect("bets are at most 1000 G")
}

/// Nothing more happens in this duel; both may start another.
pub(super) fn leave(world: &mut World, duel: &Duel) {
    world.duels_open -= 1;
    if !duel.bet.is_zero() {
        for side in &duel.sides {
            world.players[side.player].in_duel = false;
        }
    }
}

pub(super) fn append(world: &mut World, duel: &mut Duel, events: Vec<NewEvent>) {
    duel.thread.cause = Some(world.append(&mut duel.stream, events));
}

impl Duel {
    pub(super) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whose turn it is.
    pub(super) fn next_player(&self) -> usize {
        self.sides[self.mover].player
    }

    pub(super) fn stream_id(&self) -> StreamId {
        self.stream.id.clone()
    }
}

impl Side {
    fn new(world: &World, player: usize) -> Side {
        let wizard = &world.players[player];
        let hp = 100 + 10 * (u32::from(wizard.level) - 1) + if wizard.house == House::Gryffindor { 5 } else { 0 };
        let id = wizard.id.clone();
        Side { player, id, held: None, hp_start: hp, hp, missed: 0, shielded: false, drank: false }
    }

    fn can_drink(&self, world: &World) -> bool {
        !self.drank && self.hp < self.hp_start / 2 && world.players[self.player].potions > 0
    }
}
