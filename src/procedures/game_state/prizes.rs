//! Who is owed which prize, and what the pool can pay of it (row R11). The schedule comes first: what was frozen, or what has
//! to be frozen before anything else is paid. Then one pool for all: the oldest debt first, by when its schedule was frozen.
//! Once a debt has to wait no younger one overtakes it, or small new debts would for ever eat what an old one waits for.
//! Nobody is paid while they owe a prize that is not theirs: the new one gives the old one back, or waits until it is back.

pub mod unfixed_schedule;
pub mod unpaid_prize;
pub mod wrong_prize;

use std::collections::{BTreeMap, BTreeSet};

use wox_events::{
    Amount, EventId, PlayerId, Position, StreamId, TournamentEvent, TournamentId,
    tournament::{Prize, PrizeKind},
};
use wox_projections::{
    Account, EventRef,
    tournaments::{Payment, Placing, Tournament},
};

use super::super::{Steps, stream};
use crate::recovery::{
    Case, Evidence, Step,
    plan::holds,
    policy::{PRIZE_GRACE, PRIZE_PARTS, SCHEDULE_GRACE, prize_rule},
};

/// What stands between one tournament and its prizes.
struct Book<'a> {
    id: &'a TournamentId,
    tournament: &'a Tournament,
    stream: StreamId,
    schedule: Schedule,
    /// Payments that nobody should have got, and what the player holds who would have to give them back.
    wrong: Vec<Wrong<'a>>,
    /// How many prizes are due and unpaid.
    unpaid: Vec<Prize>,
    /// What becomes of each of them, in the same order.
    fates: Vec<Fate>,
}

/// A payment that the schedule does not know.
struct Wrong<'a> {
    payment: &'a Payment,
    /// What the player still holds for it.
    held: Amount,
    back: Back,
}

/// How a wrong payment goes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Back {
    /// The player holds it.
    Now,
    /// The prizes of the same tournament that the player is due make up what is missing: paid and taken back in one batch.
    OutOfPrizes,
    /// Not at all: the player owes it.
    Owed,
}

/// What becomes of a prize that is due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is paid now.
    Paid,
    /// It is paid now, and gives a wrong payment back in the same batch.
    GivesBack,
    /// The player owes a prize that is not theirs.
    Withheld,
    /// The pool has only so much left.
    Short(Amount),
    /// An older debt waits, and the pool has so much left for that.
    Behind(Amount),
    /// The money only comes back in the course of the same plan.
    Next,
}

/// The schedule that payments are held against.
enum Schedule {
    /// There is none, and none is due.
    None,
    /// Frozen in the log.
    Frozen { event: EventRef, prizes: Vec<Prize> },
    /// To be frozen now, before anything is paid.
    Due(Box<Due>),
    /// Matches that decide it are to be played again: only these prizes are certain.
    Open { certain: Vec<Prize> },
    /// People have to decide it.
    Held { since: EventRef, what: String, why: String, next: String },
}

/// A schedule to be frozen.
struct Due {
    /// Why it is due.
    why: String,
    /// Since which event.
    since: EventRef,
    /// The last result it rests on: what its id follows from.
    cause: EventId,
    /// What freezes it.
    fixed: TournamentEvent,
    prizes: Vec<Prize>,
    total: Amount,
    /// The schedule it takes the place of.
    withdraws: Option<EventId>,
    /// The id of the event that freezes it.
    event: EventId,
}

impl Schedule {
    fn prizes(&self) -> &[Prize] {
        match self {
            Schedule::Frozen { prizes, .. } => prizes,
            Schedule::Due(due) => &due.prizes,
            Schedule::Open { certain } => certain,
            Schedule::None | Schedule::Held { .. } => &[],
        }
    }

    /// The event that froze it, or will: what the ids of its payments follow from.
    fn event(&self) -> Option<EventId> {
        match self {
            Schedule::Frozen { event, .. } => Some(event.id),
            Schedule::Due(due) => Some(due.event),
            Schedule::None | Schedule::Open { .. } | Schedule::Held { .. } => None,
        }
    }

    /// Since which event its prizes are due.
    fn since(&self) -> Option<EventRef> {
        match self {
            Schedule::Frozen { event, .. } => Some(event.clone()),
            Schedule::Due(due) => Some(due.since.clone()),
            Schedule::None | Schedule::Open { .. } | Schedule::Held { .. } => None,
        }
    }

    /// How old its debts are: the younger, the larger.
    fn age(&self, tournament: &Tournament) -> u64 {
        let frozen = tournament.withdrawn.as_ref().or(tournament.schedule.as_ref());
        frozen.map(|schedule| schedule.event.position).map_or(u64::MAX, |Position(position)| position)
    }
}

/// The books of all tournaments, in the order in which their repairs stand in a plan.
fn books(evidence: &Evidence) -> Vec<Book<'_>> {
    books_with(evidence, None)
}

/// The same with one tournament as it is about to be.
fn books_with<'a>(evidence: &'a Evidence, instead: Option<(&TournamentId, &'a Tournament)>) -> Vec<Book<'a>> {
    let state = &evidence.replay.state;
    let mut books: Vec<Book<'_>> = state
        .tournaments
        .iter()
        .map(|(id, known)| match instead {
            Some((other, tournament)) if other == id => Book::open(evidence, id, tournament),
            _ => Book::open(evidence, id, known),
        })
        .collect();
    books.sort_by_key(|book| book.schedule.age(book.tournament));
    take_back(evidence, &mut books);
    // Who gives one prize back out of another is paid all of it at once. Where the pool cannot, it waits like all they owe.
    loop {
        books.sort_by_key(|book| book.schedule.age(book.tournament));
        allot(evidence, &mut books);
        // As gather_by_stream orders the items of a plan: by the first procedure that speaks of a tournament.
        books.sort_by_key(Book::rank);
        wait_for_the_plan(evidence, &mut books);
        if !give_up(&mut books) {
            return books;
        }
    }
}

/// Everything about the prizes of one tournament that a decision changes: it is looked at as it is about to be.
pub(super) fn of_decided(evidence: &Evidence, id: &TournamentId, decided: &Tournament, since: &EventRef) -> Vec<Case> {
    let books = books_with(evidence, Some((id, decided)));
    let Some(book) = books.iter().find(|book| book.id == id) else { return Vec::new() };
    let mut cases: Vec<Case> = unfixed_schedule::case(evidence, book).into_iter().collect();
    cases.extend(wrong_prize::cases(evidence, book));
    cases.extend(unpaid_prize::cases(evidence, book));
    for case in &mut cases {
        // What the decision itself is about to write is no event yet.
        if case.finding.since.as_ref().is_none_or(|event| event.position > evidence.as_of) {
            case.finding.since = Some(since.clone());
        }
    }
    cases
}

impl<'a> Book<'a> {
    fn open(evidence: &Evidence, id: &'a TournamentId, tournament: &'a Tournament) -> Book<'a> {
        let stream = stream("tournament", id.as_str());
        let schedule = schedule_of(evidence, &stream, tournament);
        let status = tournament.prize_status_under(schedule.prizes());
        let judged = !matches!(schedule, Schedule::None | Schedule::Held { .. });
        let wrong = status.wrong.into_iter().filter(|_| judged);
        let wrong = wrong.map(|payment| Wrong { payment, held: Amount::ZERO, back: Back::Owed }).collect();
        let stopped = tournament.closed.is_some()
            || matches!(schedule, Schedule::Due(_))
            || super::idle(evidence, tournament.last_activity).0 > PRIZE_GRACE.0;
        let due = stopped && schedule.event().is_some();
        let unpaid = status.unpaid.into_iter().filter(|_| due).cloned().collect();
        Book { id, tournament, stream, schedule, wrong, unpaid, fates: Vec::new() }
    }

    fn rank(&self) -> u8 {
        match self.schedule {
            Schedule::Open { .. } => 0,
            Schedule::Due(_) => 1,
            _ if self.wrong.iter().any(|wrong| wrong.back != Back::Owed) => 2,
            _ => 3,
        }
    }

    /// What comes back into the pool in one way, from one player or from all.
    fn back(&self, how: Back, player: Option<&PlayerId>) -> Amount {
        let of = |wrong: &&Wrong<'_>| wrong.back == how && player.is_none_or(|player| wrong.payment.player == *player);
        sum(self.wrong.iter().filter(of).map(|wrong| wrong.payment.amount))
    }

    /// Pays one prize.
    fn pay<'s>(&self, steps: Steps<'s>, schedule: EventId, prize: &Prize) -> Steps<'s> {
        let Prize { prize: kind, player, amount } = prize.clone();
        let says = format!("pay {kind} prize of {amount} G to player {player}");
        let event = TournamentEvent::PrizePaid { prize: kind, player, amount };
        steps.add(self.cause(schedule, prize), &qualifier(prize), event, says)
    }

    /// What the id of a payment follows from: a prize that was paid and taken back is paid for another reason than the
    /// first time.
    fn cause(&self, schedule: EventId, prize: &Prize) -> EventId {
        let taken_back = self.tournament.payments.iter().rfind(|payment| {
            payment.reversed.is_some() && payment.prize == prize.prize && payment.player == prize.player
        });
        taken_back.map_or(schedule, |payment| payment.event.id)
    }

    /// What a player is due here.
    fn due_to(&self, player: &PlayerId) -> Amount {
        sum(self.unpaid.iter().filter(|prize| prize.player == *player).map(|prize| prize.amount))
    }

    /// True for a player whose prizes here give a wrong one back.
    fn gives_back(&self, player: &PlayerId) -> bool {
        self.wrong.iter().any(|wrong| wrong.back == Back::OutOfPrizes && wrong.payment.player == *player)
    }
}

fn qualifier(prize: &Prize) -> String {
    format!("{}:{}", prize.prize, prize.player)
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    Amount::checked_sum(amounts).unwrap_or_default()
}

/// Which wrong payments can go back: what a player holds is taken once, and then what they are due where they owe.
fn take_back(evidence: &Evidence, books: &mut [Book<'_>]) {
    let mut left: BTreeMap<&PlayerId, Amount> = BTreeMap::new();
    for wrong in books.iter_mut().flat_map(|book| &mut book.wrong) {
        let player = &wrong.payment.player;
        let account = Account::Withdrawable(player.clone());
        let held = left.entry(player).or_insert_with(|| holds(&evidence.replay.state, &account));
        wrong.held = *held;
        if let Some(rest) = held.checked_sub(wrong.payment.amount) {
            *held = rest;
            wrong.back = Back::Now;
        }
    }
    for (player, held) in left {
        let owes = |wrong: &Wrong<'_>| wrong.back == Back::Owed && wrong.payment.player == *player;
        let mut debts = books.iter_mut().filter(|book| book.wrong.iter().any(owes));
        let (Some(book), None) = (debts.next(), debts.next()) else { continue };
        let owed = sum(book.wrong.iter().filter(|wrong| owes(wrong)).map(|wrong| wrong.payment.amount));
        if held.checked_add(book.due_to(player)).is_some_and(|most| most >= owed) {
            book.wrong.iter_mut().filter(|wrong| owes(wrong)).for_each(|wrong| wrong.back = Back::OutOfPrizes);
        }
    }
}

/// One pool for all, the oldest debt first.
fn allot(evidence: &Evidence, books: &mut [Book<'_>]) {
    let owing: BTreeSet<PlayerId> = books
        .iter()
        .flat_map(|book| &book.wrong)
        .filter(|wrong| wrong.back == Back::Owed)
        .map(|wrong| wrong.payment.player.clone())
        .collect();
    let back = books.iter().flat_map(|book| [book.back(Back::Now, None), book.back(Back::OutOfPrizes, None)]);
    let mut pool = sum(back.chain([holds(&evidence.replay.state, &Account::Pool)]));
    // What gives back as much as it takes needs nothing of the pool, and waits behind nobody.
    let needs_nothing = |book: &Book<'_>, player: &PlayerId| {
        book.gives_back(player) && book.due_to(player) <= book.back(Back::OutOfPrizes, Some(player))
    };
    for book in &*books {
        for prize in book.unpaid.iter().filter(|prize| needs_nothing(book, &prize.player)) {
            pool = pool.saturating_sub(prize.amount);
        }
    }
    let mut waits = false;
    for book in books {
        book.fates.clear();
        for prize in &book.unpaid {
            let paid = if book.gives_back(&prize.player) { Fate::GivesBack } else { Fate::Paid };
            let fate = match pool.checked_sub(prize.amount) {
                _ if needs_nothing(book, &prize.player) => paid,
                _ if owing.contains(&prize.player) => Fate::Withheld,
                Some(_) if waits => Fate::Behind(pool),
                None => Fate::Short(pool),
                Some(rest) => {
                    pool = rest;
                    paid
                }
            };
            waits |= matches!(fate, Fate::Short(_) | Fate::Behind(_));
            book.fates.push(fate);
        }
    }
}

/// A prize is not paid before the money is there that the same plan brings back: it waits for the next plan.
fn wait_for_the_plan(evidence: &Evidence, books: &mut [Book<'_>]) {
    let mut pool = holds(&evidence.replay.state, &Account::Pool);
    for book in books {
        pool = pool.checked_add(book.back(Back::Now, None)).unwrap_or(pool);
        let later = book.back(Back::OutOfPrizes, None);
        for (which, then) in [(Fate::GivesBack, later), (Fate::Paid, Amount::ZERO)] {
            for (prize, fate) in book.unpaid.iter().zip(&mut book.fates).filter(|(_, fate)| **fate == which) {
                match pool.checked_sub(prize.amount) {
                    Some(rest) => pool = rest,
                    None => *fate = Fate::Next,
                }
            }
            pool = pool.checked_add(then).unwrap_or(pool);
        }
    }
}

/// Who would give a wrong prize back out of others that are not all paid now owes it: true when there is somebody.
fn give_up(books: &mut [Book<'_>]) -> bool {
    let mut any = false;
    for book in books {
        let unsettled = book.unpaid.iter().zip(&book.fates).filter(|(_, fate)| **fate != Fate::GivesBack);
        for (prize, _) in unsettled {
            for wrong in book.wrong.iter_mut().filter(|wrong| wrong.payment.player == prize.player) {
                if wrong.back == Back::OutOfPrizes {
                    (wrong.back, any) = (Back::Owed, true);
                }
            }
        }
    }
    any
}

fn schedule_of(evidence: &Evidence, stream: &StreamId, tournament: &Tournament) -> Schedule {
    let frozen = || match &tournament.schedule {
        Some(schedule) => Schedule::Frozen { event: schedule.event.clone(), prizes: schedule.prizes.clone() },
        None => Schedule::None,
    };
    if tournament.cancelled {
        return frozen();
    }
    let touched = tournament.schedule.is_some() || tournament.withdrawn.is_some() || !tournament.payments.is_empty();
    let open = || Schedule::Open { certain: tournament.certain_prizes() };
    if tournament.fallout().is_some() {
        return if touched { open() } else { Schedule::None };
    }
    let Some(placing) = tournament.placing() else {
        return match (&tournament.schedule, &tournament.withdrawn, open_payment(tournament)) {
            (None, Some(_), _) => open(),
            (None, None, Some(payment)) if is_late(evidence, tournament, PRIZE_GRACE) => Schedule::Held {
                since: payment.event.clone(),
                what: "prizes were paid before the tournament was decided".into(),
                why: "nobody knows yet whose they are".into(),
                next: "have the matches decided that are open, then plan again".into(),
            },
            _ => frozen(),
        };
    };
    match &tournament.schedule {
        Some(schedule) if names_others(&schedule.prizes, &placing) => {
            due(stream, tournament, &placing, Some(schedule.event.id), "it names others than the results")
        }
        Some(schedule) if tournament.withdrawn.is_some() => {
            due(stream, tournament, &placing, Some(schedule.event.id), "it has other amounts than were frozen first")
        }
        Some(_) => frozen(),
        None => unfixed(evidence, stream, tournament, &placing),
    }
}

/// A decided tournament without a schedule.
fn unfixed(evidence: &Evidence, stream: &StreamId, tournament: &Tournament, placing: &Placing<'_>) -> Schedule {
    let paid = open_payment(tournament).is_some();
    let why = if paid {
        "prizes were paid before it was frozen"
    } else if tournament.withdrawn.is_some() {
        "the one before it was withdrawn, and what was open is decided"
    } else if tournament.closed.is_some() {
        "the tournament is closed and nobody is scheduled to get anything"
    } else {
        "everything has been decided for long and nobody is scheduled to get anything"
    };
    let known = paid || tournament.withdrawn.is_some();
    let stopped =
        tournament.closed.is_some() || is_late(evidence, tournament, if known { PRIZE_GRACE } else { SCHEDULE_GRACE });
    if !stopped || (!known && prize_rule(&tournament.title).is_none()) {
        return Schedule::None;
    }
    let pool_at = tournament.pool_before.unwrap_or_else(|| holds(&evidence.replay.state, &Account::Pool));
    due_at(stream, tournament, placing, (None, pool_at), why)
}

fn due(
    stream: &StreamId,
    tournament: &Tournament,
    placing: &Placing<'_>,
    withdraws: Option<EventId>,
    why: &str,
) -> Schedule {
    due_at(stream, tournament, placing, (withdraws, Amount::ZERO), why)
}

/// The schedule for a placing: with the amounts that were frozen first, or else by the rule, of what the pool held before
/// the first prize was paid (P11).
fn due_at(
    stream: &StreamId,
    tournament: &Tournament,
    placing: &Placing<'_>,
    (withdraws, pool): (Option<EventId>, Amount),
    why: &str,
) -> Schedule {
    let first = open_payment(tournament);
    let since = match (withdraws, first) {
        (None, Some(payment)) => payment.event.clone(),
        _ => placing.decided.clone(),
    };
    let held = |why: String, next: &str| Schedule::Held {
        since: since.clone(),
        what: "the prizes are due and nobody can say whose they are".into(),
        why,
        next: next.into(),
    };
    if !placing.tied.is_empty() {
        let names: Vec<String> = placing.tied.iter().map(|player| format!("player {player}")).collect();
        let why = format!("{} have won equally often", names.join(" and "));
        return held(why, "decide who of them goes first and have the game fix the schedule");
    }
    let frozen = tournament.withdrawn.as_ref().or(tournament.schedule.as_ref());
    let pool_at = frozen.map_or(pool, |frozen| frozen.pool_at);
    let amounts = match (frozen, prize_rule(&tournament.title)) {
        (Some(frozen), _) => frozen.prizes.iter().map(|prize| (prize.prize, prize.amount)).collect(),
        (None, Some(rule)) => match parts(rule, pool_at) {
            Some(parts) => parts,
            None => return held("the pool is out of range".into(), "report this as a defect"),
        },
        (None, None) => {
            let why = format!("no rule says what a tournament called {} pays", tournament.title);
            return held(why, "have the game fix the schedule");
        }
    };
    let prizes: Vec<Prize> = amounts
        .into_iter()
        .filter_map(|(prize, amount)| {
            let player = placing.places[place(prize)]?.clone();
            Some(Prize { prize, player, amount })
        })
        .collect();
    let total = Amount::checked_sum(prizes.iter().map(|prize| prize.amount)).unwrap_or_default();
    let fixed = TournamentEvent::PrizeScheduleFixed { pool_at, total, prizes: prizes.clone() };
    let cause = placing.decided.id;
    match Step::new(stream, cause, "", fixed.clone(), "") {
        Ok(step) => {
            let why = why.to_owned();
            Schedule::Due(Box::new(Due { why, since, cause, fixed, prizes, total, withdraws, event: step.id }))
        }
        Err(error) => held(format!("the schedule cannot be written: {error}"), "report this as a defect"),
    }
}

/// The parts of all prizes, in what two decimals can show; what is left over is the winner's.
fn parts((least, percent): (Amount, u32), pool: Amount) -> Option<Vec<(PrizeKind, Amount)>> {
    let (share, _) = pool.fraction(percent, 100)?.split_dust();
    let total = least.max(share);
    let mut parts = Vec::new();
    for (kind, percent) in PRIZE_PARTS {
        parts.push((kind, total.fraction(percent, 100)?.split_dust().0));
    }
    let others = Amount::checked_sum(parts[1..].iter().map(|(_, amount)| *amount))?;
    parts[0].1 = total.checked_sub(others)?;
    Some(parts)
}

fn place(prize: PrizeKind) -> usize {
    match prize {
        PrizeKind::First => 0,
        PrizeKind::Second => 1,
        PrizeKind::Third => 2,
        PrizeKind::Fourth => 3,
    }
}

/// True when a schedule names somebody the results do not. Who of the two semifinal losers is called third makes no
/// difference, and where a round robin is tied nothing can be said.
fn names_others(prizes: &[Prize], placing: &Placing<'_>) -> bool {
    let third = [placing.places[2], placing.places[3]];
    placing.tied.is_empty()
        && prizes.iter().any(|prize| match place(prize.prize) {
            place @ (0 | 1) => placing.places[place].is_some_and(|player| *player != prize.player),
            _ => third.iter().all(Option::is_some) && !third.contains(&Some(&prize.player)),
        })
}

fn open_payment(tournament: &Tournament) -> Option<&Payment> {
    tournament.payments.iter().find(|payment| payment.reversed.is_none())
}

fn is_late(evidence: &Evidence, tournament: &Tournament, grace: wox_events::Duration) -> bool {
    super::idle(evidence, tournament.last_activity).0 > grace.0
}
