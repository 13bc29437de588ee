//! The demo's histories, judged by a small model of the game's books that shares no code with the generator.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use wox_events::{
    BurnEvent, CommandEvent, DecodeError, DepositEvent, Digest, DuelEvent, Event, Json, LogId, PlayerEvent, PoolEvent,
    Position, Provenance, RawEvent, Revision, Split, StreamId, TournamentEvent, WithdrawalEvent, pool::Adjustment,
    upcast,
};
use wox_projections::{Replay, Waivers, duels::Phase, invariants::violations, withdrawals::WithdrawalPhase};
use wox_recovery::{
    demo::{Batch, Options, PLANTED, history},
    recovery::{Evidence, diagnose},
};

const SOUND: Options = Options { seed: 1, events: None, faults: false };
const BROKEN: Options = Options { seed: 1, events: None, faults: true };

/// Accounts by name; everything in base units. `external` is where Galleons come from and go to.
#[derive(Default)]
struct Books {
    accounts: BTreeMap<String, i128>,
    /// What everybody who has a place paid for it, by tournament and player.
    places: BTreeMap<(String, String), wox_events::Amount>,
    overdrafts: Vec<String>,
}

impl Books {
    fn post(&mut self, from: &str, to: &str, amount: wox_events::Amount) {
        let units = i128::try_from(amount.base_units()).unwrap();
        if units == 0 {
            return;
        }
        *self.accounts.entry(to.to_owned()).or_default() += units;
        let balance = self.accounts.entry(from.to_owned()).or_default();
        *balance -= units;
        if *balance < 0 && from != "external" {
            self.overdrafts.push(format!("{from} by {units} to {to}"));
        }
        if *balance == 0 {
            self.accounts.remove(from);
        }
    }

    fn split(&mut self, player: &str, other: &str, split: Split, out: bool) {
        for (bucket, amount) in [("bonus", split.bonus), ("withdrawable", split.withdrawable)] {
            let own = format!("{bucket} {player}");
            if out { self.post(&own, other, amount) } else { self.post(other, &own, amount) }
        }
    }

    fn balance(&self, account: &str) -> i128 {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    fn book(&mut self, stream: &StreamId, event: &Event) {
        let subject = stream.subject();
        let withdrawable = |player: &dyn std::fmt::Display| format!("withdrawable {player}");
        match event {
            Event::Player(PlayerEvent::PlayerCreated { bonus, .. }) => {
                self.post("external", &format!("bonus {subject}"), *bonus);
            }
            Event::Player(PlayerEvent::BonusGranted { amount, .. }) => {
                self.post("external", &format!("bonus {subject}"), *amount);
            }
            Event::Player(PlayerEvent::PotionBrewed { cost, .. }) => self.split(subject, "pool", *cost, true),
            Event::Duel(DuelEvent::StakeHeld { player, stake }) => {
                self.split(player.as_str(), &format!("escrow {subject}"), *stake, true);
            }
            Event::Duel(DuelEvent::StakeReleased { player, stake, .. }) => {
                self.split(player.as_str(), &format!("escrow {subject}"), *stake, false);
            }
            Event::Duel(DuelEvent::DuelSettled { winner, amount }) => {
                self.post(&format!("escrow {subject}"), &withdrawable(winner), *amount);
                assert_eq!(self.balance(&format!("escrow {subject}")), 0, "{stream} is settled in full");
            }
            Event::Tournament(TournamentEvent::PlayerRegistered { player, entry }) => {
                self.split(player.as_str(), &format!("entries {subject}"), *entry, true);
                self.places.insert((subject.to_owned(), player.to_string()), entry.total().unwrap());
            }
            Event::Tournament(TournamentEvent::PlayerUnregistered { player }) => {
                self.places.remove(&(subject.to_owned(), player.to_string()));
            }
            Event::Tournament(TournamentEvent::EntryRefunded { player, entry, .. }) => {
                self.split(player.as_str(), &format!("entries {subject}"), *entry, false);
            }
            Event::Tournament(TournamentEvent::TournamentSeeded { .. }) => {
                let paid =
                    self.places.iter().filter(|((tournament, _), _)| tournament == subject).map(|(_, paid)| *paid);
                let paid = wox_events::Amount::checked_sum(paid).unwrap();
                self.post(&format!("entries {subject}"), "pool", paid);
            }
            Event::Tournament(TournamentEvent::PrizeScheduleFixed { pool_at, total, prizes }) => {
                assert_eq!(pool_at.base_units() as i128, self.balance("pool"));
                assert_eq!(wox_events::Amount::checked_sum(prizes.iter().map(|prize| prize.amount)), Some(*total));
            }
            Event::Tournament(TournamentEvent::PrizePaid { player, amount, .. }) => {
                self.post("pool", &withdrawable(player), *amount);
            }
            Event::Deposit(DepositEvent::DepositCredited { player, amount, dust, .. }) => {
                self.post("external", &withdrawable(player), *amount);
                self.post("external", "dust", *dust);
            }
            Event::Deposit(
                DepositEvent::DepositDustRecorded { value } | DepositEvent::DepositQuarantined { value, .. },
            ) => self.post("external", "suspense", *value),
            Event::Withdrawal(WithdrawalEvent::FundsHeld { player, amount, net, pool_share, burn_share }) => {
                let parts = wox_events::Amount::checked_sum([*net, *pool_share, *burn_share]);
                assert_eq!(parts, Some(*amount), "{stream}");
                self.post(&withdrawable(player), &format!("in flight {subject}"), *net);
                self.post(&withdrawable(player), "pool", *pool_share);
                self.post(&withdrawable(player), "burn queue", *burn_share);
            }
            Event::Withdrawal(WithdrawalEvent::WithdrawalSettled { net, .. }) => {
                self.post(&format!("in flight {subject}"), "external", *net);
            }
            Event::Burn(BurnEvent::BurnSettled { amount, .. }) => self.post("burn queue", "external", *amount),
            Event::Pool(PoolEvent::PoolContributed { amount, .. }) => self.post("external", "pool", *amount),
            Event::Pool(PoolEvent::PoolAdjusted { direction: Adjustment::ToSuspense, amount, .. }) => {
                self.post("pool", "suspense", *amount);
            }
            _ => {}
        }
    }
}

/// What one walk over a history shows.
#[derive(Default)]
struct Walk {
    books: Books,
    events: u64,
    streams: BTreeMap<StreamId, Revision>,
    kinds: BTreeMap<(String, u16), u64>,
    unreadable: Vec<(StreamId, DecodeError)>,
    busiest: usize,
    open: BTreeSet<StreamId>,
    drifts: Vec<i128>,
    first: i64,
    last: i64,
    players: BTreeSet<StreamId>,
}

/// Walks a history: order, ids, canonical data, time; books every event that a fold would see.
fn walk(options: &Options) -> Walk {
    let mut walk = Walk::default();
    let mut held = BTreeSet::new();
    let mut known = BTreeSet::new();
    for Batch { stream, expected, events } in history(options) {
        let revision = walk.streams.entry(stream.clone()).or_default();
        assert_eq!(expected, *revision, "{stream}");
        assert!(!events.is_empty());
        revision.0 += events.len() as u64;
        for event in events {
            walk.events += 1;
            assert!(event.time.0 > walk.last, "{stream}: time goes on");
            walk.last = event.time.0;
            walk.first = if walk.first == 0 { event.time.0 } else { walk.first };
            assert!(known.insert(event.id), "{stream}: ids are unique");
            assert!(event.causation.is_none_or(|cause| known.contains(&cause) && cause != event.id), "{stream}");
            assert_eq!(Json::canonical(event.data.as_str()).unwrap(), event.data);
            *walk.kinds.entry((event.kind.to_string(), event.version)).or_default() += 1;
            let on_chain = ["DepositObserved", "TxMined", "WithdrawalSettled", "BurnSettled"];
            let observed = on_chain.contains(&event.kind.as_str());
            let (actor, provenance) =
                if observed { ("chain", Provenance::Observed) } else { ("game", Provenance::Game) };
            assert_eq!((event.actor.as_str(), event.provenance, event.rules), (actor, provenance, 1));
            let decoded = match Event::decode(&stream, &event.kind, event.version, event.data.as_str()) {
                Ok(decoded) => decoded,
                Err(error) => {
                    held.insert(stream.clone());
                    walk.unreadable.push((stream.clone(), error));
                    continue;
                }
            };
            if event.version == upcast::current_version(&event.kind) {
                assert_eq!(decoded.encode().unwrap(), (event.kind.clone(), event.version, event.data.clone()));
            }
            if held.contains(&stream) {
                continue;
            }
            walk.observe(&stream, &decoded);
        }
    }
    walk
}

impl Walk {
    fn observe(&mut self, stream: &StreamId, event: &Event) {
        self.books.book(stream, event);
        match event {
            Event::Player(PlayerEvent::PlayerCreated { .. }) => _ = self.players.insert(stream.clone()),
            Event::Duel(DuelEvent::ChallengeIssued { .. }) => _ = self.open.insert(stream.clone()),
            Event::Duel(
                DuelEvent::DuelEnded { .. }
                | DuelEvent::ChallengeDeclined {}
                | DuelEvent::ChallengeExpired {}
                | DuelEvent::DuelVoided { .. },
            ) => _ = self.open.remove(stream),
            Event::Pool(PoolEvent::PoolStated { balance }) => {
                let drift = self.books.balance("pool") - balance.base_units() as i128;
                if drift != 0 {
                    self.drifts.push(drift);
                }
            }
            Event::Command(CommandEvent::CommandReceived { .. }) => {}
            _ => {}
        }
        self.busiest = self.busiest.max(self.open.len());
    }

    fn held(&self, account: &str) -> Vec<&String> {
        self.books.accounts.keys().filter(|name| name.starts_with(account)).collect()
    }
}

/// A history as a log would give it back.
fn stored(options: &Options) -> impl Iterator<Item = RawEvent> {
    let placed = history(options).flat_map(|batch| {
        let Batch { stream, expected, events } = batch;
        events.into_iter().zip(expected.0 + 1..).map(move |(event, revision)| (stream.clone(), revision, event))
    });
    placed.zip(1..).map(|((stream, revision, event), position)| RawEvent {
        position: Position(position),
        stream,
        revision: Revision(revision),
        event,
    })
}

/// The digest of everything a log would keep of a history.
fn digest(options: &Options) -> Digest {
    let log = LogId(Default::default());
    let mut text = String::new();
    for raw in stored(options) {
        raw.write_canonical(log, &mut text);
    }
    Digest::of(text.as_bytes())
}

/// A history through the folds.
fn replayed(options: &Options) -> Replay {
    let mut replay = Replay::new(Waivers::new());
    for raw in stored(options) {
        replay.observe(&raw.decode()).unwrap();
    }
    replay
}

#[test]
fn a_sound_history_keeps_its_books_and_finishes_what_it_starts() {
    let walk = walk(&SOUND);
    assert_eq!(walk.books.overdrafts, Vec::<String>::new());
    assert_eq!(walk.books.accounts.values().sum::<i128>(), 0, "conservation");
    assert_eq!(walk.unreadable, []);
    assert_eq!(walk.held("escrow"), Vec::<&String>::new());
    assert_eq!(walk.held("entries"), Vec::<&String>::new());
    assert_eq!(walk.held("in flight"), Vec::<&String>::new());
    assert_eq!(walk.open, BTreeSet::new());
    assert_eq!(walk.drifts, Vec::<i128>::new());
    assert!(walk.books.balance("burn queue") > 0, "some burns are pending");
}

#[test]
fn the_default_day_has_the_size_of_the_game() {
    let walk = walk(&SOUND);
    assert!((19_000..=21_000).contains(&walk.events), "{} events", walk.events);
    assert!((120..=140).contains(&walk.players.len()), "{} players", walk.players.len());
    assert_eq!(walk.busiest, 50);
    let count = |kind: &str, version| walk.kinds.get(&(kind.to_owned(), version)).copied().unwrap_or_default();
    assert_eq!(count("TournamentClosed", 1), 2);
    assert_eq!(count("PrizePaid", 1), 8);
    assert_eq!(count("MatchDecided", 1), 127 + 66);
    for (kind, version) in
        [("DepositCredited", 1), ("FundsHeld", 1), ("DuelEnded", 1), ("DuelEnded", 2), ("BurnSettled", 1)]
    {
        assert!(count(kind, version) > 0, "{kind} version {version}");
    }
}

#[test]
fn a_daily_tournament_of_128_follows_its_bracket() {
    let mut players = BTreeMap::new();
    let mut decided = BTreeMap::new();
    for batch in history(&SOUND).filter(|batch| batch.stream.as_str() == "tournament-daily-2026-08-01") {
        for event in batch.events {
            match Event::decode(&batch.stream, &event.kind, event.version, event.data.as_str()).unwrap() {
                Event::Tournament(TournamentEvent::TournamentSeeded { seeds }) => assert_eq!(seeds.len(), 128),
                Event::Tournament(TournamentEvent::RoundOpened { round, matches }) => {
                    for (slot, pairing) in (0u16..).zip(matches) {
                        let sides = [pairing.first, pairing.second].map(Option::unwrap);
                        if round > 1 {
                            let winner = |slot| &decided[&(round - 1, slot)];
                            assert_eq!([&sides[0], &sides[1]], [winner(2 * slot), winner(2 * slot + 1)]);
                        }
                        players.insert((round, slot), sides);
                    }
                }
                Event::Tournament(TournamentEvent::MatchDecided { round, slot, winner, loser, .. }) => {
                    let sides = &players[&(round, slot)];
                    assert!(sides.contains(&winner) && sides.contains(&loser.unwrap()));
                    assert_eq!(decided.insert((round, slot), winner), None);
                }
                _ => {}
            }
        }
    }
    assert_eq!(decided.len(), 127);
}

#[test]
fn every_fault_is_planted_and_nothing_else_is_wrong() {
    let mut history = history(&BROKEN);
    let mut heads = BTreeMap::new();
    for batch in history.by_ref() {
        heads.insert(batch.stream, batch.expected.0 + batch.events.len() as u64);
    }
    let planted = history.planted();
    let names: BTreeSet<&str> = planted.iter().map(|planted| planted.fault).collect();
    assert_eq!(names, BTreeSet::from(PLANTED));
    for planted in planted {
        let (stream, revision) = &planted.at;
        assert!((1..=heads[stream]).contains(&revision.0), "{planted:?}");
        assert_eq!(planted.subject, stream.as_str());
    }

    let walk = walk(&BROKEN);
    assert_eq!(walk.books.overdrafts, Vec::<String>::new());
    assert_eq!(walk.books.accounts.values().sum::<i128>(), 0, "conservation");
    assert_eq!(walk.unreadable.len(), 1);
    let streams = |faults: &[&str], prefix: &str| -> BTreeSet<String> {
        let of = planted.iter().filter(|planted| faults.contains(&planted.fault));
        of.map(|planted| planted.subject.replace("duel-", prefix)).collect()
    };
    let open = ["stuck_duel", "interrupted_duel", "challenge_never_expired", "unknown_kind"];
    let still_open: BTreeSet<String> = walk.open.iter().map(ToString::to_string).collect();
    assert_eq!(still_open, streams(&open, "duel-"));
    let unpaid = ["unpaid_duel", "stake_not_released"];
    let escrow: BTreeSet<String> = walk.held("escrow").into_iter().cloned().collect();
    assert_eq!(escrow, streams(&[open.as_slice(), &unpaid].concat(), "escrow "));
    assert_eq!(walk.held("in flight").len(), 1);
    assert_eq!(walk.drifts, [12_500_000_000_000_000_000]);
}

#[test]
fn the_folds_accept_every_event_of_a_sound_history() {
    for events in [None, Some(3_000), Some(60_000)] {
        let replay = replayed(&Options { events, ..SOUND });
        assert_eq!(replay.held().iter().next(), None);
        assert_eq!(replay.accounting.refused, 0);
        assert_eq!(violations(&replay), []);
        assert!(replay.state.conservation.changes.is_empty(), "conserved at every position");
        let duels = replay.state.duels.iter();
        assert_eq!(duels.filter(|(_, duel)| duel.is_open()).count(), 0);
        assert!(replay.state.tournaments.iter().all(|(_, tournament)| tournament.closed.is_some()));
    }
}

#[test]
fn the_folds_see_exactly_the_planted_faults() {
    for options in [BROKEN, Options { seed: 2, ..BROKEN }, Options { events: Some(30_000), ..BROKEN }] {
        let replay = replayed(&options);
        let mut history = history(&options);
        history.by_ref().for_each(drop);
        let planted = |fault: &str| -> BTreeSet<String> {
            let of = history.planted().iter().filter(|planted| planted.fault == fault);
            of.map(|planted| planted.subject.clone()).collect()
        };

        let held: BTreeSet<String> = replay.held().keys().map(ToString::to_string).collect();
        assert_eq!(held, &planted("unknown_kind") | &planted("refused_event"));
        for planted in history.planted().iter().filter(|planted| held.contains(&planted.subject)) {
            let since = &replay.held()[&planted.at.0].since;
            assert_eq!((&since.stream, since.revision), (&planted.at.0, planted.at.1));
        }

        let broken = |invariant: &str| -> BTreeSet<String> {
            let of = violations(&replay).into_iter().filter(|violation| violation.invariant == invariant);
            of.map(|violation| violation.subject).collect()
        };
        assert_eq!(broken("complete"), BTreeSet::new());
        assert_eq!(broken("ledger_sums"), BTreeSet::new());
        assert_eq!(broken("withdrawal_flight"), BTreeSet::new());
        assert_eq!(broken("conservation").len(), 1, "the second credit of one transfer is money from nowhere");
        assert_eq!(broken("deposit_once"), planted("duplicate_deposit"));
        assert_eq!(broken("stake_buckets"), planted("crossed_buckets"));
        assert_eq!(broken("duel_escrow"), &planted("stake_not_released") | &planted("unpaid_duel"));
        assert_eq!(broken("bracket"), &planted("wrong_bracket") | &planted("corrected_result"));
        assert_eq!(broken("pool_stated"), planted("pool_drift"));
        assert_eq!(broken("prizes_paid"), planted("wrong_prize"));

        let (state, now) = (&replay.state, replay.game_clock);
        let idle = |duel: &wox_projections::duels::Duel| {
            now.since(duel.last_action).0 - state.agents.away(duel.last_action, now).0
        };
        let duels = |fits: &dyn Fn(&wox_projections::duels::Duel) -> bool| -> BTreeSet<String> {
            let of = state.duels.iter().filter(|(_, duel)| duel.is_open() && fits(duel));
            let names = of.map(|(id, _)| format!("duel-{id}"));
            names.filter(|name| !held.contains(name)).collect()
        };
        const TIMEOUT: i64 = 300_000_000;
        assert_eq!(duels(&|duel| duel.phase == Phase::Active && idle(duel) > TIMEOUT), planted("stuck_duel"));
        assert_eq!(duels(&|duel| duel.phase == Phase::Active && idle(duel) <= TIMEOUT), planted("interrupted_duel"));
        assert_eq!(duels(&|duel| duel.phase == Phase::Challenged), planted("challenge_never_expired"));

        let doubtful = state.withdrawals.iter().filter(|(_, withdrawal)| withdrawal.phase == WithdrawalPhase::InDoubt);
        let doubtful: BTreeSet<String> = doubtful.map(|(id, _)| format!("withdrawal-{id}")).collect();
        assert_eq!(doubtful, planted("withdrawal_in_doubt"));
        let open = state.tournaments.iter().filter(|(_, tournament)| tournament.closed.is_none());
        let open: BTreeSet<String> = open.map(|(id, _)| format!("tournament-{id}")).collect();
        assert_eq!(open, &(&planted("half_paid_prizes") | &planted("wrong_bracket")) | &planted("corrected_result"));
    }
}

#[test]
fn every_planted_fault_is_found_by_its_procedure_and_nothing_else_is() {
    for seed in [1, 2, 3, 6, 22] {
        let options = Options { seed, ..BROKEN };
        let mut history = history(&options);
        history.by_ref().for_each(drop);
        let planted = history.planted().iter();
        let expected: BTreeSet<(&str, String)> = planted
            .flat_map(|planted| procedures(planted.fault).iter().map(|name| (*name, planted.subject.clone())))
            .collect();
        let found = diagnose(&evidence(replayed(&options))).cases;
        let found: BTreeSet<(&str, String)> =
            found.iter().map(|case| (case.finding.procedure.as_str(), case.finding.subject.to_string())).collect();
        assert_eq!(found, expected);
    }
    let sound = diagnose(&evidence(replayed(&SOUND)));
    assert!(sound.cases.is_empty(), "{:?}", sound.cases);
}

/// The procedures that answer for a planted fault.
fn procedures(fault: &'static str) -> &'static [&'static str] {
    match fault {
        "stuck_duel" => &["stuck_duel"],
        "interrupted_duel" => &["interrupted_duel"],
        "challenge_never_expired" | "stake_not_released" => &["unreturned_stake"],
        "duplicate_deposit" => &["duplicate_deposit"],
        "half_paid_prizes" => &["unpaid_prize"],
        // Who should have been paid was not.
        "wrong_prize" => &["wrong_prize", "unpaid_prize"],
        "wrong_bracket" | "corrected_result" => &["misdrawn_bracket"],
        // The duel that goes on names the posts.
        "late_post" => &["interrupted_duel"],
        "unrefunded_entry" => &["unrefunded_entry"],
        "crossed_buckets" => &["crossed_buckets"],
        "pool_drift" => &["pool_drift"],
        "unknown_kind" | "refused_event" => &["held_stream"],
        "withdrawal_in_doubt" => &["withdrawal_in_doubt"],
        "unpaid_duel" => &["unsettled_duel"],
        _ => unreachable!("every fault has its procedure"),
    }
}

fn evidence(replay: Replay) -> Evidence {
    let position = replay.position;
    let (log, root) = (LogId(Default::default()), Digest::of(b""));
    Evidence::new(log, position, root, replay, None)
}

#[test]
fn whoever_must_give_something_back_still_holds_it() {
    use wox_projections::Account;
    let replay = replayed(&BROKEN);
    let holds = |player: &wox_events::PlayerId| replay.state.ledger.balance(&Account::Withdrawable(player.clone()));
    let duplicates: Vec<_> = replay.state.deposits.duplicates().collect();
    assert_eq!(duplicates.len(), 1);
    for (_, _, credit) in duplicates {
        assert!(holds(&credit.player) >= credit.amount);
    }
    for (_, tournament) in replay.state.tournaments.iter() {
        for payment in tournament.prize_status().wrong {
            assert!(holds(&payment.player) >= payment.amount);
        }
    }
    for (_, duel) in replay.state.duels.iter() {
        for stake in &duel.stakes {
            let crossed = stake.released.as_ref().filter(|release| release.split != stake.split);
            assert!(crossed.is_none() || holds(&stake.player) >= stake.split.bonus);
        }
    }
}

#[test]
fn faults_can_be_planted_in_small_and_in_long_histories() {
    for events in [1_000, 5_000, 45_000] {
        let options = Options { seed: 3, events: Some(events), faults: true };
        let mut history = history(&options);
        history.by_ref().for_each(drop);
        let names: BTreeSet<&str> = history.planted().iter().map(|planted| planted.fault).collect();
        assert_eq!(names, BTreeSet::from(PLANTED), "{events} events");
        assert_eq!(walk(&options).books.overdrafts, Vec::<String>::new());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let options = Options { events: Some(4_000), ..BROKEN };
    assert_eq!(digest(&options), digest(&options));
    assert_ne!(digest(&options), digest(&Options { seed: 2, ..options }));
}

#[test]
fn a_history_is_about_as_long_as_asked() {
    for events in [2_000, 8_000, 30_000, 100_000] {
        let walk = walk(&Options { seed: 5, events: Some(events), faults: false });
        assert!(walk.events.abs_diff(events) < events / 10, "{} events for {events}", walk.events);
        assert_eq!(walk.books.overdrafts, Vec::<String>::new());
        assert_eq!((walk.held("escrow"), walk.open.len()), (vec![], 0));
    }
}
