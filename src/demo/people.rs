//! Players: who they are, what they hold, what they learn, and the commands they post.

use rand::Rng;
use wox_events::{
    Amount, CommandEvent, EventId, Handle, PlayerEvent, PlayerId, Split,
    id::{Label, Name},
    player::House,
};

use super::{
    banking,
    world::{Stream, Thread, World, label, name, sum},
};

/// A player as the demo needs to know them.
pub(super) struct Player {
    pub(super) id: PlayerId,
    pub(super) house: House,
    /// Where their deposits come from and their withdrawals go to.
    pub(super) wallet: Label,
    pub(super) stream: Stream,
    pub(super) purse: Purse,
    pub(super) level: u8,
    /// Has an open duel that is no match of a tournament.
    pub(super) in_duel: bool,
    /// Is still in a tournament.
    pub(super) playing: bool,
    /// Is part of a planted fault, and must still have their Galleons when it is repaired.
    pub(super) frozen: bool,
    pub(super) potions: u8,
    handle: Handle,
    name: Name,
    /// Towards the next level.
    xp: u32,
}

/// The two balances of a player.
#[derive(Clone, Copy, Default)]
pub(super) struct Purse {
    pub(super) bonus: Amount,
    pub(super) withdrawable: Amount,
}

impl Purse {
    pub(super) fn total(self) -> Amount {
        sum(self.bonus, self.withdrawable)
    }

    /// Takes an amount, bonus first; nothing when there is not enough.
    pub(super) fn take(&mut self, amount: Amount) -> Option<Split> {
        let bonus = amount.min(self.bonus);
        let split = Split { bonus, withdrawable: amount.saturating_sub(bonus) };
        let withdrawable = self.withdrawable.checked_sub(split.withdrawable)?;
        *self = Purse { bonus: self.bonus.saturating_sub(bonus), withdrawable };
        Some(split)
    }

    pub(super) fn give(&mut self, split: Split) {
        self.bonus = sum(self.bonus, split.bonus);
        self.withdrawable = sum(self.withdrawable, split.withdrawable);
    }

    pub(super) fn give_withdrawable(&mut self, amount: Amount) {
        self.withdrawable = sum(self.withdrawable, amount);
    }
}

const OPENING_BONUS: Amount = Amount::galleons(20);
const LEVEL_MAX: u8 = 15;

const FIRST_NAMES: [&str; 24] = [
    "luna", "bram", "isolde", "corin", "maeve", "tobias", "wren", "ambrose", "freya", "silas", "odette", "jasper",
    "nell", "rufus", "thea", "magnus", "ivy", "caspian", "hazel", "orin", "petra", "linus", "sable", "dorian",
];
const LAST_NAMES: [&str; 16] = [
    "ash", "thorn", "vale", "moor", "crane", "finch", "holt", "marsh", "quill", "rook", "sedge", "wick", "birch",
    "frost", "glen", "hart",
];

/// Spells by the level that teaches them.
pub(super) const SPELLS: [(u8, &str); 16] = [
    (1, "incendio"),
    (1, "protego"),
    (2, "flipendo"),
    (3, "reducto"),
    (4, "rictusempra"),
    (5, "expelliarmus"),
    (6, "stupefy"),
    (7, "diffindo"),
    (8, "impedimenta"),
    (9, "confringo"),
    (10, "bombarda"),
    (11, "petrificus totalus"),
    (12, "sectumsempra"),
    (13, "crucio"),
    (14, "fiendfyre"),
    (15, "avada kedavra"),
];
/// Potions by the level that allows them, with their price in Galleons.
const POTIONS: [(u8, &str, u64); 3] = [(1, "healing", 30), (3, "strength", 40), (5, "focus", 35)];

/// A new player joins, and most of them pay something in.
pub(super) fn join(world: &mut World) {
    let index = world.players.len();
    let (first, last) = (FIRST_NAMES[index % 24], LAST_NAMES[(index * 7 + index / 24) % 16]);
    // Numbers of the platform grow with time and have holes.
    let id = 1_400_000_000 + index as u64 * 8_191 + world.rng.random_range(0..8_191);
    let id = PlayerId::new(id.to_string()).expect("digits are plain");
    let generation = index / 384;
    let suffix = if generation == 0 { String::new() } else { (generation + 1).to_string() };
    let player = Player {
        stream: Stream::new(format!("player-{id}")),
        id,
        house: [House::Ravenclaw, House::Gryffindor, House::Slytherin, House::Hufflepuff][world.rng.random_range(0..4)],
        wallet: world.address(),
        purse: Purse { bonus: OPENING_BONUS, withdrawable: Amount::ZERO },
        level: 1,
        in_duel: false,
        playing: false,
        frozen: false,
        potions: 0,
        handle: Handle::new(format!("{first}_{last}{suffix}")).expect("names are plain"),
        name: name(format!("{first}{last}{suffix}")),
        xp: 0,
    };
    let created = PlayerEvent::PlayerCreated {
        handle: player.handle.clone(),
        name: player.name.clone(),
        house: player.house,
        bonus: OPENING_BONUS,
    };
    world.players.push(player);
    let command = command(world, index, "create", "", 201);
    let created = world.fact(&created, Thread::of(command));
    world.append_to_player(index, created);
    if world.chance(4, 5) {
        banking::deposit(world, index);
    }
}

/// A post that the game did what it asked for. Returns the id of its receipt, the cause of what follows.
pub(super) fn command(world: &mut World, author: usize, verb: &str, arguments: &str, code: u16) -> EventId {
    let (mut stream, received) = receive(world, author, verb, arguments);
    let id = received.id;
    let accepted = world.fact(&CommandEvent::CommandAccepted { code }, Thread::of(id));
    world.append(&mut stream, vec![received, accepted]);
    id
}

/// A post the game refuses.
pub(super) fn refused_command(world: &mut World) {
    const REFUSALS: [(&str, &str, u16, &str); 6] = [
        ("d", "@nobody 50", 404, "unknown_opponent"),
        ("d", "@luna_ash 5000", 400, "bet_out_of_range"),
        ("cast", "incendio", 409, "not_your_turn"),
        ("withdraw", "1000", 400, "insufficient_balance"),
        ("brew", "elixir_of_power", 403, "level_too_low"),
        ("p", "", 429, "rate_limited"),
    ];
    let Some(author) = anyone(world) else { return };
    let (verb, arguments, code, reason) = REFUSALS[world.rng.random_range(0..REFUSALS.len())];
    let (mut stream, received) = receive(world, author, verb, arguments);
    let rejected = CommandEvent::CommandRejected { code, reason: label(reason) };
    let rejected = world.fact(&rejected, Thread::of(received.id));
    world.append(&mut stream, vec![received, rejected]);
}

/// A post that was made while the agent was away: it is taken, and nobody decides about it.
pub(super) fn late_command(world: &mut World, author: usize, post: &Label, verb: &str, arguments: &str) {
    let (mut stream, received) = receive_post(world, author, post, verb, arguments);
    world.append(&mut stream, vec![received]);
}

fn receive(world: &mut World, author: usize, verb: &str, arguments: &str) -> (Stream, wox_events::NewEvent) {
    let post = world.post();
    receive_post(world, author, &post, verb, arguments)
}

fn receive_post(
    world: &mut World,
    author: usize,
    post: &Label,
    verb: &str,
    arguments: &str,
) -> (Stream, wox_events::NewEvent) {
    let stream = Stream::new(format!("command-{post}"));
    let author = world.players[author].id.clone();
    let received = CommandEvent::CommandReceived { author, verb: label(verb), arguments: arguments.to_owned() };
    (stream, world.fact(&received, Thread::default()))
}

/// Experience, the level after it, and the spell a new level teaches.
pub(super) fn gain(world: &mut World, index: usize, xp: u32, reason: &'static str, cause: EventId) {
    let player = &mut world.players[index];
    let before = player.level;
    player.xp += xp;
    while player.level < LEVEL_MAX && player.xp >= 100 * u32::from(player.level) {
        player.xp -= 100 * u32::from(player.level);
        player.level += 1;
    }
    let level = player.level;
    let gained = PlayerEvent::ExperienceGained { xp, level, reason: label(reason) };
    let gained = world.fact(&gained, Thread::of(cause));
    let gained = world.append_to_player(index, gained);
    for (_, spell) in SPELLS.iter().filter(|(taught, _)| (before + 1..=level).contains(taught)) {
        let learned = world.fact(&PlayerEvent::SpellLearned { spell: name(spell) }, Thread::of(gained));
        world.append_to_player(index, learned);
    }
}

/// A title, for ever.
pub(super) fn award_title(world: &mut World, index: usize, title: &str, cause: EventId) {
    let awarded = world.fact(&PlayerEvent::TitleAwarded { title: name(title) }, Thread::of(cause));
    world.append_to_player(index, awarded);
}

/// A quest: some bonus Galleons and some experience.
pub(super) fn quest(world: &mut World) {
    let Some(index) = anyone(world) else { return };
    let amount = Amount::galleons(world.rng.random_range(1..=5));
    let granted = grant(world, index, amount);
    let xp = world.rng.random_range(5..=15);
    gain(world, index, xp, "quest", granted);
}

/// Bonus Galleons for a quest.
pub(super) fn grant(world: &mut World, index: usize, amount: Amount) -> EventId {
    let granted = world.fact(&PlayerEvent::BonusGranted { amount, reason: label("quest") }, Thread::default());
    world.players[index].purse.give(Split { bonus: amount, withdrawable: Amount::ZERO });
    world.append_to_player(index, granted)
}

/// A player brews a potion; what it costs goes to the pool.
pub(super) fn brew(world: &mut World) {
    let Some(index) = idle(world, Amount::galleons(40)) else { return };
    let known = POTIONS.iter().filter(|(level, ..)| *level <= world.players[index].level).count();
    let (_, potion, cost) = POTIONS[world.rng.random_range(0..known)];
    let cost = world.players[index].purse.take(Amount::galleons(cost)).expect("an idle player was asked for 40 G");
    let command = command(world, index, "brew", potion, 200);
    let brewed = world.fact(&PlayerEvent::PotionBrewed { potion: name(potion), cost }, Thread::of(command));
    world.append_to_player(index, brewed);
    banking::into_pool(world, cost.total().expect("the price of a potion is small"));
    if potion == "healing" {
        world.players[index].potions += 1;
    }
}

/// The platform says that a player has another handle; the next one also takes another wizard's name.
pub(super) fn rename(world: &mut World) {
    let Some(index) = anyone(world) else { return };
    let change = world.post();
    let player = &mut world.players[index];
    let new = Handle::new(format!("the_{}", player.handle)).expect("a handle and four letters are plain");
    // A handle on X has at most 15 characters.
    if new.as_str().len() <= 15 {
        let old = std::mem::replace(&mut player.handle, new.clone());
        let changed = world.fact(&PlayerEvent::HandleChanged { change, old, new }, Thread::default());
        world.append_to_player(index, changed);
    }
    let player = &mut world.players[index];
    if player.name.as_str().len() <= 18 {
        let new = name(format!("{}II", player.name));
        let old = std::mem::replace(&mut player.name, new.clone());
        let command = command(world, index, "rename", new.as_str(), 200);
        let renamed = world.fact(&PlayerEvent::PlayerRenamed { old, new }, Thread::of(command));
        world.append_to_player(index, renamed);
    }
}

/// Any player who is part of no fault.
pub(super) fn anyone(world: &mut World) -> Option<usize> {
    pick(world, |player| !player.frozen)
}

/// A player with nothing else to do who holds at least this much.
pub(super) fn idle(world: &mut World, holding: Amount) -> Option<usize> {
    pick(world, |player| player.is_idle() && player.purse.total() >= holding)
}

impl Player {
    pub(super) fn is_idle(&self) -> bool {
        !self.in_duel && !self.playing && !self.frozen
    }
}

/// The first player from a random place on who fits; `None` when nobody among the next hundreds does. The walk is short
/// so that a crowd of thousands costs no more than the first hundred.
pub(super) fn pick(world: &mut World, fits: impl Fn(&Player) -> bool) -> Option<usize> {
    if world.players.is_empty() {
        return None;
    }
    let start = world.rng.random_range(0..world.players.len());
    (start..world.players.len()).chain(0..start).take(500).find(|index| fits(&world.players[*index]))
}
