//! What must be true of any state, whatever happened (banking.md 5.3, those that need no chain). A violation is not a
//! diagnosis: procedures explain violations, and what none explains is held for a person.

use wox_events::{Amount, DuelId, Family, StreamId, TournamentId, WithdrawalId};

use crate::{
    deposits::{Credit, Deposit},
    duels::{Duel, Phase},
    ledger::{Account, Drift},
    projection::{EventAt, EventRef},
    replay::Replay,
    tournaments::Tournament,
    withdrawals::{Withdrawal, WithdrawalPhase},
};

/// One rule.
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says, for people.
    pub says: &'static str,
    /// Finds every counterexample.
    pub check: fn(&Replay) -> Vec<Violation>,
    /// Which counterexamples one event can make or mend: what a watch over a replay looks at after it.
    pub reach: Reach,
}

/// How far one event reaches into an invariant.
#[derive(Clone, Copy)]
pub enum Reach {
    /// Anywhere, and a look at the whole costs the same however large the state is.
    Whole,
    /// Into what is said about its own stream; `linked` when it may also mend what is said about others.
    Stream {
        /// The streams the invariant speaks of.
        family: Family,
        /// Finds the counterexamples about one stream.
        check: fn(&Replay, &StreamId) -> Vec<Violation>,
        /// True when an event of one stream may mend what another one breaks.
        linked: bool,
    },
    /// Anywhere, and a look takes in the whole state: too dear after every event.
    State,
}

/// A counterexample.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// The broken invariant.
    pub invariant: String,
    /// What breaks it: a stream name or an account.
    pub subject: String,
    /// In what way.
    pub detail: String,
    /// Since which event, where the state knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<EventRef>,
}

/// Every invariant, in the order they are reported.
pub const ALL: &[Invariant] = &[
    Invariant {
        name: "complete",
        says: "every event that was read was applied, refused or waived",
        check: complete,
        reach: Reach::Whole,
    },
    Invariant {
        name: "conservation",
        says: "the ledger holds what the facts account for",
        check: conservation,
        reach: Reach::Whole,
    },
    Invariant {
        name: "ledger_sums",
        says: "the sum of all accounts is what the ledger holds",
        check: ledger_sums,
        reach: Reach::State,
    },
    Invariant {
        name: "deposit_once",
        says: "an outside reference is credited once",
        check: deposit_once,
        reach: Reach::Stream { family: Family::Deposit, check: deposit_once_in, linked: true },
    },
    Invariant {
        name: "duel_escrow",
        says: "a duel's escrow holds its stakes while it is open and nothing once it is over and paid",
        check: duel_escrow,
        reach: Reach::Stream { family: Family::Duel, check: duel_escrow_in, linked: false },
    },
    Invariant {
        name: "stake_buckets",
        says: "a stake goes back to the balances it came from",
        check: stake_buckets,
        reach: Reach::Stream { family: Family::Duel, check: stake_buckets_in, linked: false },
    },
    Invariant {
        name: "withdrawal_flight",
        says: "a withdrawal holds its net amount in flight until it is settled or released",
        check: withdrawal_flight,
        reach: Reach::Stream { family: Family::Withdrawal, check: withdrawal_flight_in, linked: false },
    },
    Invariant {
        name: "prizes_paid",
        says: "payments follow the frozen prize schedule",
        check: prizes_paid,
        reach: Reach::Stream { family: Family::Tournament, check: prizes_paid_in, linked: false },
    },
    Invariant {
        name: "bracket",
        says: "the pairings of a round follow from the results before it",
        check: bracket,
        reach: Reach::Stream { family: Family::Tournament, check: bracket_in, linked: false },
    },
    Invariant {
        name: "pool_stated",
        says: "the game's figure of the pool is the ledger's",
        check: pool_stated,
        reach: Reach::Whole,
    },
];

/// The invariant with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Invariant> {
    ALL.iter().find(|invariant| invariant.name == name)
}

/// Every violation of every invariant.
#[must_use]
pub fn violations(replay: &Replay) -> Vec<Violation> {
    ALL.iter().flat_map(|invariant| (invariant.check)(replay)).collect()
}

fn violation(invariant: &str, subject: impl ToString, detail: impl ToString, since: Option<EventRef>) -> Violation {
    Violation { invariant: invariant.to_owned(), subject: subject.to_string(), detail: detail.to_string(), since }
}

fn duel_violation(invariant: &str, id: &DuelId, detail: String, since: EventAt) -> Violation {
    let subject = format!("duel-{id}");
    let since = StreamId::new(&subject).ok().map(|stream| since.on(&stream));
    violation(invariant, subject, detail, since)
}

fn complete(replay: &Replay) -> Vec<Violation> {
    let accounting = replay.accounting;
    if accounting.is_complete() && accounting.read == replay.position.0 {
        return Vec::new();
    }
    vec![violation("complete", "log", format!("{accounting:?} up to position {}", replay.position), None)]
}

fn conservation(replay: &Replay) -> Vec<Violation> {
    let watch = &replay.state.conservation;
    if watch.drift.is_zero() {
        return Vec::new();
    }
    // Since: the event after the last moment at which it held.
    let sound = watch.changes.iter().rposition(|change| change.drift.is_zero()).map_or(0, |index| index + 1);
    let since = watch.changes.get(sound).map(|change| change.event.clone());
    vec![violation("conservation", "ledger", format!("holds {} G beyond the facts", watch.drift), since)]
}

fn ledger_sums(replay: &Replay) -> Vec<Violation> {
    let ledger = &replay.state.ledger;
    let sum = Amount::checked_sum(ledger.accounts().into_iter().map(|(_, held)| held));
    if sum == Some(ledger.held()) {
        return Vec::new();
    }
    let off = Drift::between(sum.unwrap_or_default(), ledger.held());
    vec![violation("ledger_sums", "ledger", format!("accounts are off by {off} G"), None)]
}

fn deposit_once(replay: &Replay) -> Vec<Violation> {
    replay.state.deposits.duplicates().map(|(subject, _, credit)| credited_again(subject, credit)).collect()
}

fn deposit_once_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    let subject = stream.subject();
    let deposit = replay.state.deposits.get(subject);
    let duplicates = deposit.into_iter().flat_map(Deposit::duplicates);
    duplicates.map(|credit| credited_again(subject, credit)).collect()
}

fn credited_again(subject: &str, credit: &Credit) -> Violation {
    let detail = format!("credited {} G again to player {}", credit.amount, credit.player);
    violation("deposit_once", format!("deposit-{subject}"), detail, Some(credit.event.clone()))
}

fn duel_escrow(replay: &Replay) -> Vec<Violation> {
    replay.state.duels.iter().filter_map(|(id, duel)| escrow_of(replay, id, duel)).collect()
}

fn duel_escrow_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    of_duel(replay, stream, |id, duel| escrow_of(replay, id, duel).into_iter().collect())
}

fn escrow_of(replay: &Replay, id: &DuelId, duel: &Duel) -> Option<Violation> {
    let held = replay.state.ledger.balance(&Account::Escrow(id.clone()));
    let still = duel.stakes.iter().filter(|stake| stake.released.is_none()).filter_map(|stake| stake.split.total());
    let staked = Amount::checked_sum(still).unwrap_or_default();
    let expected = match duel.phase {
        Phase::Challenged | Phase::Active => staked,
        Phase::Ended | Phase::Declined | Phase::Expired | Phase::Voided => Amount::ZERO,
    };
    let detail = || format!("escrow holds {held} G, a duel that is {} holds {expected} G", duel.phase);
    (held != expected).then(|| duel_violation("duel_escrow", id, detail(), duel.opened))
}

fn stake_buckets(replay: &Replay) -> Vec<Violation> {
    replay.state.duels.iter().flat_map(|(id, duel)| buckets_of(id, duel)).collect()
}

fn stake_buckets_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    of_duel(replay, stream, buckets_of)
}

fn buckets_of(id: &DuelId, duel: &Duel) -> Vec<Violation> {
    let mut violations = Vec::new();
    for stake in &duel.stakes {
        let Some(release) = &stake.released else { continue };
        // Nobody knows where an assumed stake came from: a person may have put it right.
        if release.split != stake.split && !stake.assumed {
            let detail = format!(
                "player {} put in {} bonus and {} withdrawable, got back {} and {}",
                stake.player,
                stake.split.bonus,
                stake.split.withdrawable,
                release.split.bonus,
                release.split.withdrawable,
            );
            violations.push(duel_violation("stake_buckets", id, detail, release.by));
        }
    }
    violations
}

/// What a look at one duel finds; nothing for a stream that is no duel.
fn of_duel(replay: &Replay, stream: &StreamId, look: impl FnOnce(&DuelId, &Duel) -> Vec<Violation>) -> Vec<Violation> {
    match (DuelId::new(stream.subject()), replay.state.duels.get(stream.subject())) {
        (Ok(id), Some(duel)) => look(&id, duel),
        _ => Vec::new(),
    }
}

fn withdrawal_flight(replay: &Replay) -> Vec<Violation> {
    replay.state.withdrawals.iter().filter_map(|(id, withdrawal)| flight_of(replay, id, withdrawal)).collect()
}

fn withdrawal_flight_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    let withdrawal = replay.state.withdrawals.get(stream.subject());
    let found = withdrawal.and_then(|found| flight_of(replay, &WithdrawalId::new(stream.subject()).ok()?, found));
    found.into_iter().collect()
}

fn flight_of(replay: &Replay, id: &WithdrawalId, withdrawal: &Withdrawal) -> Option<Violation> {
    let held = replay.state.ledger.balance(&Account::InFlight(id.clone()));
    let expected = match withdrawal.phase {
        WithdrawalPhase::Held | WithdrawalPhase::InDoubt | WithdrawalPhase::Failed => {
            withdrawal.hold.as_ref().map(|hold| hold.net).unwrap_or_default()
        }
        WithdrawalPhase::Requested | WithdrawalPhase::Settled | WithdrawalPhase::Released => Amount::ZERO,
    };
    let detail = || format!("{held} G in flight, a withdrawal that is {} has {expected} G", withdrawal.phase);
    (held != expected).then(|| violation("withdrawal_flight", format!("withdrawal-{id}"), detail(), None))
}

fn prizes_paid(replay: &Replay) -> Vec<Violation> {
    replay.state.tournaments.iter().flat_map(|(id, tournament)| prizes_of(id, tournament)).collect()
}

fn prizes_paid_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    of_tournament(replay, stream, prizes_of)
}

fn prizes_of(id: &TournamentId, tournament: &Tournament) -> Vec<Violation> {
    let mut violations = Vec::new();
    let subject = format!("tournament-{id}");
    let status = tournament.prize_status();
    for payment in status.wrong {
        let detail = format!("{} paid {} G to player {}", payment.prize, payment.amount, payment.player);
        violations.push(violation("prizes_paid", &subject, detail, Some(payment.event.clone())));
    }
    if tournament.closed.is_some() {
        for prize in status.unpaid {
            let detail = format!("closed, but {} was not paid to player {}", prize.prize, prize.player);
            let since = tournament.schedule.as_ref().map(|schedule| schedule.event.clone());
            violations.push(violation("prizes_paid", &subject, detail, since));
        }
    }
    violations
}

fn bracket(replay: &Replay) -> Vec<Violation> {
    replay.state.tournaments.iter().flat_map(|(id, tournament)| bracket_of(id, tournament)).collect()
}

fn bracket_in(replay: &Replay, stream: &StreamId) -> Vec<Violation> {
    of_tournament(replay, stream, bracket_of)
}

fn bracket_of(id: &TournamentId, tournament: &Tournament) -> Vec<Violation> {
    let misdrawn = tournament.misdrawn_rounds().map(|(index, round, _)| {
        let detail = format!("pairings of round {} do not follow from the results before it", index + 1);
        violation("bracket", format!("tournament-{id}"), detail, Some(round.opened.clone()))
    });
    misdrawn.collect()
}

/// What a look at one tournament finds; nothing for a stream that is no tournament.
fn of_tournament(
    replay: &Replay,
    stream: &StreamId,
    look: impl FnOnce(&TournamentId, &Tournament) -> Vec<Violation>,
) -> Vec<Violation> {
    match (TournamentId::new(stream.subject()), replay.state.tournaments.get(stream.subject())) {
        (Ok(id), Some(tournament)) => look(&id, tournament),
        _ => Vec::new(),
    }
}

fn pool_stated(replay: &Replay) -> Vec<Violation> {
    let pool = &replay.state.pool;
    if pool.drift.is_zero() {
        return Vec::new();
    }
    let stated = pool.stated.as_ref().map(|statement| statement.balance).unwrap_or_default();
    let detail = format!("the game says {stated} G, the ledger is {} G off", pool.drift);
    vec![violation("pool_stated", "pool-main", detail, pool.first_bad.clone())]
}
