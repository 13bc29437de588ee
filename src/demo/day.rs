//! The calendar: what happens on a day of the game and when, and the hand that turns its pages.
//!
//! The first evening belongs to the founders: a few players, a few payments, written in the oldest shapes. From the next
//! noon on every day is alike: duels all day with a crowd before the daily tournament, which starts at 20:00 and is paid
//! at 22:30; a House Cup every seventh day. Times are UTC.

use rand::Rng;
use wox_events::{AgentEvent, Amount, Duration, Timestamp, id::Label};

use super::{
    Options, banking, duels,
    faults::{self, Fault},
    people,
    tournaments::{self, DAILY, HOUSE_CUP, Rules, Step},
    world::{Outage, Thread, World, label},
};

/// Midnight before the first whole day: 2026-08-01.
const FIRST_DAY: Timestamp = Timestamp(1_785_542_400_000_000);
const EVENTS_A_DAY: u64 = 20_000;
/// What a duel comes to on average, with the experience and commands around it.
const EVENTS_A_DUEL: u64 = 15;

/// Something on the agenda.
pub(super) enum Task {
    Evening,
    Day(i64),
    /// Late on a day: as many more duels as it takes to come to the day's share of events.
    TopUp(i64),
    Join,
    Quest,
    Brew,
    Rename,
    Refuse,
    Challenge {
        latest: Timestamp,
    },
    Duel(Box<duels::Duel>),
    Deposit,
    DustDeposit,
    Withdraw,
    Withdrawal(Box<banking::Withdrawal>),
    Burn(Box<banking::Burn>),
    Contribute,
    StatePool,
    Snapshot,
    Stop {
        until: Timestamp,
    },
    Resume,
    Open(Rules, i64),
    Tournament(u32, Step),
    Fault(Fault),
}

impl Task {
    /// Whether it can go on while the agent is away: the bank and the chain need no posts.
    fn needs_the_agent(&self) -> bool {
        !matches!(self, Task::Resume | Task::Withdrawal(_) | Task::Burn(_))
    }
}

/// The first page.
pub(super) fn genesis(options: &Options) -> World {
    let mut world = World::new(options, at(-1, 18, 0));
    world.schedule(at(-1, 18, 0), Task::Evening);
    world.schedule(at(0, 12, 0), Task::Day(0));
    world
}

/// Does the next thing on the agenda; false when the history is over.
pub(super) fn step(world: &mut World) -> bool {
    let Some((at, task)) = world.next_task() else { return false };
    if at > end(&world.options) {
        return false;
    }
    if let Some(Outage { since, until }) = world.outage
        && task.needs_the_agent()
    {
        match task {
            Task::Duel(duel) if faults::left_open(world, &duel, at) => {}
            task => world.schedule(at.plus(until.since(since)), task),
        }
        return true;
    }
    world.now = world.now.max(at);
    match task {
        Task::Evening => evening(world),
        Task::Day(day) => plan(world, day),
        Task::TopUp(day) => top_up(world, day),
        Task::Join => people::join(world),
        Task::Quest => people::quest(world),
        Task::Brew => people::brew(world),
        Task::Rename => people::rename(world),
        Task::Refuse => people::refused_command(world),
        Task::Challenge { latest } => duels::any_challenge(world, latest),
        Task::Duel(duel) => duels::go_on(world, duel),
        Task::Deposit => banking::any_deposit(world),
        Task::DustDeposit => banking::dust_deposit(world),
        Task::Withdraw => banking::any_withdrawal(world),
        Task::Withdrawal(withdrawal) => banking::go_on(world, withdrawal),
        Task::Burn(burn) => banking::burn(world, burn),
        Task::Contribute => banking::contribute(world),
        Task::StatePool => {
            let balance = world.banking.pool;
            banking::state_pool(world, balance);
        }
        Task::Snapshot => {
            let snapshot = AgentEvent::AgentSnapshotTaken { digest: world.digest(), cursor: world.post() };
            say_about_agent(world, &snapshot);
        }
        Task::Stop { until } => stop(world, until),
        Task::Resume => resume(world),
        Task::Open(rules, day) => tournaments::open(world, rules, day),
        Task::Tournament(number, step) => tournaments::go_on(world, number, step),
        Task::Fault(fault) => faults::begin(world, fault),
    }
    true
}

/// A task, and how often it is to happen somewhere between two times.
struct Crowd {
    times: u64,
    from: Timestamp,
    to: Timestamp,
    task: fn(Timestamp) -> Task,
}

/// The founders' evening.
fn evening(world: &mut World) {
    let share = share(world, 0);
    let founders = people_at_first(world) / 5;
    let (opens, closes) = (at(-1, 18, 1), at(-1, 22, 0));
    world.schedule(at(-1, 18, 0), Task::Contribute);
    let crowds = [
        Crowd { times: founders, from: opens, to: at(-1, 18, 40), task: |_| Task::Join },
        Crowd { times: share / 400, from: at(-1, 18, 45), to: at(-1, 21, 30), task: challenge },
        Crowd { times: share / 800, from: at(-1, 18, 45), to: closes, task: |_| Task::Deposit },
        Crowd { times: share / 1000, from: at(-1, 20, 0), to: closes, task: |_| Task::Withdraw },
        Crowd { times: share / 2000, from: at(-1, 19, 0), to: closes, task: |_| Task::Quest },
    ];
    gather(world, crowds);
    for hour in 19..24 {
        world.schedule(at(-1, hour, 0), Task::StatePool);
        world.schedule(at(-1, hour, 5), Task::Snapshot);
    }
}

/// One whole day, from noon on.
fn plan(world: &mut World, day: i64) {
    let share = share(world, day);
    let last = day == last_day(&world.options);
    let joining = if day == 0 {
        people_at_first(world).saturating_sub(world.players.len() as u64)
    } else {
        (share / 2500).max(1)
    };
    let players = world.players.len() as u64 + joining;
    let entrants = if day == 0 { 128 } else { world.rng.random_range(97..=128) };
    let daily = Rules { places: entrants.min(players.saturating_sub(4)) as usize, ..DAILY };
    let spoiled = last && world.options.faults;
    let cup = spoiled || (day % 7 == 0 && players >= 16 && share >= 5_000);

    let tournaments = daily.places as u64 * 17 + if cup { 900 } else { 0 };
    let others = share / 8;
    // A fifth is left for the evening, when it is known how long the day's duels were.
    let duels = share.saturating_sub(tournaments + others) * 4 / 5 / EVENTS_A_DUEL;
    let (opens, closes) = (at(day, 12, 45), at(day, 22, 10));
    let crowds = [
        Crowd { times: joining, from: at(day, 12, 1), to: at(day, 12, 40), task: |_| Task::Join },
        Crowd { times: duels * 9 / 20, from: opens, to: at(day, 19, 0), task: challenge },
        Crowd { times: duels * 8 / 20, from: at(day, 19, 17), to: at(day, 19, 42), task: challenge },
        Crowd { times: duels * 3 / 20, from: at(day, 20, 20), to: at(day, 21, 40), task: challenge },
        Crowd { times: share / 160, from: opens, to: closes, task: |_| Task::Deposit },
        Crowd { times: share / 2000, from: opens, to: closes, task: |_| Task::DustDeposit },
        Crowd { times: share / 260, from: opens, to: at(day, 22, 2), task: |_| Task::Withdraw },
        Crowd { times: share / 300, from: opens, to: closes, task: |_| Task::Quest },
        Crowd { times: share / 400, from: opens, to: closes, task: |_| Task::Brew },
        Crowd { times: share / 400, from: opens, to: closes, task: |_| Task::Refuse },
        Crowd { times: share / 6000, from: opens, to: closes, task: |_| Task::Rename },
    ];
    gather(world, crowds);
    for hour in 12..23 {
        world.schedule(at(day, hour, 2), Task::StatePool);
        for quarter in 0..4 {
            world.schedule(at(day, hour, 15 * quarter + 6), Task::Snapshot);
        }
    }
    if day % 7 == 0 {
        world.schedule(at(day, 14, 10), Task::Stop { until: at(day, 14, 18) });
    }
    if cup {
        world.schedule(at(day, HOUSE_CUP.opens.0, HOUSE_CUP.opens.1), Task::Open(HOUSE_CUP, day));
    }
    if daily.places >= 8 {
        world.schedule(at(day, DAILY.opens.0, DAILY.opens.1), Task::Open(daily, day));
    }
    world.schedule(at(day, 21, 40), Task::TopUp(day));
    if spoiled {
        faults::plan(world, day);
    } else {
        world.schedule(at(day, 22, 58), Task::StatePool);
    }
    if !last {
        world.schedule(at(day + 1, 12, 0), Task::Day(day + 1));
    }
}

/// As many duels as the day still lacks.
fn top_up(world: &mut World, day: i64) {
    // The last rounds of the daily tournament and the payments under way come by themselves.
    const STILL_TO_COME: u64 = 170;
    let missing = target(&world.options, day).saturating_sub(world.emitted + STILL_TO_COME);
    let (from, to) = (at(day, 21, 40), at(day, 22, 12));
    gather(world, [Crowd { times: missing / EVENTS_A_DUEL, from, to, task: challenge }]);
}

/// A challenge some time on this day, but not much later than a quarter past ten: at half past all duels are over.
fn challenge(at_first: Timestamp) -> Task {
    let midnight = at_first.0 - at_first.0.rem_euclid(DAY.0);
    Task::Challenge { latest: Timestamp(midnight).plus(Duration::seconds((22 * 60 + 15) * 60)) }
}

fn gather<const N: usize>(world: &mut World, crowds: [Crowd; N]) {
    for crowd in crowds {
        for _ in 0..crowd.times {
            let at = Timestamp(world.rng.random_range(crowd.from.0..crowd.to.0));
            world.schedule(at, (crowd.task)(at));
        }
    }
}

/// The agent stops: nobody can move.
fn stop(world: &mut World, until: Timestamp) {
    let since = world.now;
    say_about_agent(world, &AgentEvent::AgentStopped { since, reason: label("crash") });
    world.outage = Some(Outage { since, until });
    world.schedule(until, Task::Resume);
}

/// The agent is back, and fetches what was posted in the meantime.
fn resume(world: &mut World) {
    let Some(Outage { since, .. }) = world.outage.take() else { return };
    let until = world.now;
    let since_post: Label = world.post();
    say_about_agent(world, &AgentEvent::AgentResumed { until });
    say_about_agent(world, &AgentEvent::StreamGapOpened { since, since_post });
    for (player, post) in std::mem::take(&mut world.missed_posts) {
        people::late_command(world, player, &post, "cast", "incendio");
    }
    let count = world.rng.random_range(3..30);
    say_about_agent(world, &AgentEvent::StreamGapFilled { until, method: label("mentions_since_id"), count });
}

fn say_about_agent(world: &mut World, event: &AgentEvent) {
    let event = world.fact(event, Thread::default());
    let mut stream = std::mem::replace(&mut world.agent, super::world::Stream::new("agent-main"));
    world.append(&mut stream, vec![event]);
    world.agent = stream;
}

const DAY: Duration = Duration::seconds(24 * 3600);

/// A time on a day; day 0 is 2026-08-01.
pub(super) fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    midnight(day).plus(Duration::seconds((hour * 60 + minute) * 60))
}

/// The midnight a day begins with.
pub(super) fn midnight(day: i64) -> Timestamp {
    FIRST_DAY.plus(Duration(DAY.0 * day))
}

/// A day as people write it.
pub(super) fn date(day: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(midnight(day).0).expect("the demo's years are few");
    time.format("%Y-%m-%d").to_string()
}

/// The last moment of a history. With faults the game comes back at 22:55 from its last outage, and what was cut off
/// then has not been idle for five minutes: interrupted, not stuck.
pub(super) fn end(options: &Options) -> Timestamp {
    let last = last_day(options);
    if options.faults { at(last, 22, 59) } else { at(last, 23, 0) }
}

/// The day on which the history ends.
pub(super) fn last_day(options: &Options) -> i64 {
    let days = options.events.map_or(1, |events| (events + EVENTS_A_DAY / 2) / EVENTS_A_DAY).max(1);
    i64::try_from(days).expect("fewer days than 2^63") - 1
}

/// How many events there are to be when a day is over.
fn target(options: &Options, day: i64) -> u64 {
    let events = options.events.unwrap_or(EVENTS_A_DAY);
    let days = last_day(options) + 1;
    u64::try_from(u128::from(events) * (day + 1).unsigned_abs() as u128 / days.unsigned_abs() as u128)
        .expect("a share of the events is no more than all of them")
}

/// How many events a day has to bring.
fn share(world: &World, day: i64) -> u64 {
    target(&world.options, day).saturating_sub(world.emitted)
}

/// How many players there are on the first day: 132 for a day of 20,000 events.
fn people_at_first(world: &World) -> u64 {
    let fewest = if world.options.faults { 64 } else { 16 };
    (target(&world.options, 0) / 150).clamp(fewest, 132)
}

/// Galleons the game's figure of the pool is short by, when it is.
pub(super) const DRIFT: Amount = Amount::cents(1250);
