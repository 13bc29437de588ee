//! The same claims over generated histories: scripts of plausible streams, damaged here and there (a line left out, told
//! twice, swapped with the next, with another amount, or out of nowhere), and interleaved at random.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use wox_events::{Amount, Position, Recorded, StreamId};
use wox_projections::{Replay, Waiver, Waivers, invariants};

use crate::{
    model::Model,
    story::{Story, replay},
};

const MOST: &str = "170141183460469231731.687303715884105727";
const PLAYERS: [&str; 4] = ["ann", "bob", "cat", "dan"];
const AMOUNTS: [&str; 8] = ["10", "50", "12.5", "0", "0.000000000000000001", "1000", MOST, "85070591730234615866"];

/// What one stream does. `N` is the number of the script, `A` and `B` two players, `X` an amount, `T` one of a few
/// transactions that scripts share, so that references are credited twice.
const SCRIPTS: &[&str] = &[
    "duel-N ChallengeIssued challenger=A opponent=B bet=X
     duel-N StakeHeld player=A stake=0+X
     duel-N StakeHeld player=B stake=0+X
     duel-N ChallengeAccepted first_turn=A
     duel-N SpellCast turn=1 player=A
     duel-N PotionUsed turn=2 player=B
     duel-N TurnMissed turn=3 player=A
     duel-N DuelEnded winner=B loser=A",
    "duel-N ChallengeIssued challenger=A opponent=B bet=10
     duel-N StakeHeld player=A stake=10+0
     duel-N StakeHeld player=B stake=0+10
     duel-N ChallengeAccepted first_turn=A
     duel-N DuelEnded winner=A loser=B
     duel-N DuelSettled winner=A amount=20",
    "duel-N ChallengeIssued challenger=A opponent=B bet=X
     duel-N StakeHeld player=A stake=X+0
     duel-N ChallengeExpired
     duel-N StakeReleased player=A stake=X+0 corrects=@duel-N#2",
    "duel-N ChallengeIssued challenger=A opponent=B bet=10
     duel-N StakeHeld player=A stake=10+0
     duel-N StakeHeld player=B stake=0+10
     duel-N ChallengeAccepted first_turn=B
     duel-N DuelInterrupted
     duel-N TimersExtended
     duel-N DuelResumed from_turn=1 player=A
     duel-N DuelStuckDetected
     duel-N DuelVoided
     duel-N StakeReleased player=A stake=0+10 corrects=@duel-N#2
     duel-N StakeReleased player=B stake=0+10 corrects=@duel-N#3
     duel-N BucketCorrected player=A from=withdrawable to=bonus amount=10 corrects=@duel-N#10",
    "tournament-N TournamentOpened format=single_elimination entry_fee=X players_max=4
     tournament-N PlayerRegistered player=A entry=0+X
     tournament-N PlayerRegistered player=B entry=0+X
     tournament-N TournamentSeeded seeds=A,B
     tournament-N RoundOpened round=1 matches=A:B
     tournament-N MatchDecided round=1 slot=0 winner=A loser=B
     tournament-N PrizeScheduleFixed total=X prizes=first:A:X
     tournament-N PrizeDeferred prize=first player=A amount=X
     tournament-N PrizePaid prize=first player=A amount=X
     tournament-N PrizeReversed player=A amount=X corrects=@tournament-N#9
     tournament-N TournamentClosed winner=A",
    "tournament-N TournamentOpened format=round_robin entry_fee=10 players_max=4
     tournament-N PlayerRegistered player=A entry=10+0
     tournament-N PlayerRegistered player=B entry=0+10
     tournament-N PlayerUnregistered player=A
     tournament-N EntryRefunded player=A entry=10+0 corrects=@tournament-N#2
     tournament-N TournamentCancelled
     tournament-N EntryRefunded player=B entry=0+10 corrects=@tournament-N#3",
    "deposit-N DepositObserved tx=T ordinal=0 value=X
     deposit-N DepositAttributed player=A
     deposit-N DepositCredited tx=T ordinal=0 player=A amount=X dust=0
     deposit-N AttributionCorrected from=A to=B amount=X corrects=@deposit-N#3
     deposit-N DepositDebited player=B amount=X dust=0 corrects=@deposit-N#3",
    "deposit-N DepositObserved tx=T ordinal=0 value=50.125
     deposit-N DepositCredited tx=T ordinal=0 player=A amount=50.12 dust=0.005",
    "deposit-N DepositCredited tx=T ordinal=0 player=B amount=X dust=0.005",
    "deposit-N DepositObserved tx=T ordinal=0 value=X finality=unsafe
     deposit-N DepositReorged
     deposit-N DepositObserved tx=T ordinal=0 value=X
     deposit-N DepositQuarantined value=X",
    "deposit-N DepositObserved tx=T ordinal=0 value=0.5
     deposit-N DepositDustRecorded value=0.5",
    "withdrawal-N WithdrawalRequested player=A amount=50
     withdrawal-N FundsHeld player=A amount=50 net=48 pool_share=1 burn_share=1
     burn-N BurnScheduled withdrawal=N amount=1
     withdrawal-N TxSigned tx=0xp
     withdrawal-N TxBroadcast tx=0xp
     withdrawal-N TxMined tx=0xp finality=finalized
     withdrawal-N WithdrawalSettled tx=0xp net=48
     burn-N BurnTxSigned
     burn-N BurnTxBroadcast
     burn-N BurnSettled amount=1",
    r#"withdrawal-N WithdrawalRequested player=A amount=X
     withdrawal-N FundsHeld player=A amount=X net=X pool_share=0 burn_share=0
     withdrawal-N TxBroadcast tx=0xp
     withdrawal-N TxReverted tx=0xp finality=finalized
     withdrawal-N HoldReleased player=A amount=X net=X pool_share=0 burn_share=0 corrects=@withdrawal-N#2 proof:={"reverted":{"tx":"0xp","block_hash":"0xb"}}"#,
    "pool-main PoolContributed amount=X
     pool-main PoolStated balance=X
     pool-main PoolAdjusted direction=to_suspense amount=X
     pool-main PoolAdjusted direction=from_suspense amount=1",
    "pool-main PoolStated balance=X
     pool-main PoolAdjusted direction=from_treasury amount=10",
    "player-A BonusGranted amount=X
     player-A PotionBrewed cost=5+5
     player-A ExperienceGained xp=4294967295 level=15",
    "player-newN PlayerCreated bonus=X
     player-newN HandleChanged old=alvara_f",
    "command-N CommandReceived author=A
     command-N CommandQuarantined
     command-N CommandRedriven
     command-N CommandAccepted",
    "agent-main AgentStopped since=9
     agent-main AgentResumed until=90
     agent-main MentionReceived",
    "plan-N PlanProposed digest=%plan .by=alice
     plan-N PlanApproved digest=%plan .by=bob
     plan-N PlanApplied
     plan-N PlanVerified",
    "ops-N OperatorActed
     incident-N IncidentOpened
     incident-N IncidentClosed",
    r#"duel-N DuelImported challenger=A opponent=B bet=50 next=A stakes:=[{"player":"A","assumed":{"bonus":"50","withdrawable":"0"}},{"player":"B","assumed":{"bonus":"50","withdrawable":"0"}}]
     duel-N SpellCast turn=1 player=A
     duel-N DuelEnded winner=B loser=A
     duel-N DuelSettled winner=B amount=100"#,
    r#"duel-N DuelImported challenger=A opponent=B bet=50 next=A stakes:=[{"player":"A","assumed":{"bonus":"50","withdrawable":"0"}},{"player":"B","assumed":{"bonus":"50","withdrawable":"0"}}]
     duel-N DuelVoided
     duel-N StakeReleased player=A stake=50+0 corrects=@duel-N#1
     duel-N BucketCorrected player=A from=bonus to=withdrawable amount=20 corrects=@duel-N#3"#,
    "withdrawal-N WithdrawalImported player=A amount=50 net=48 pool_share=1 burn_share=1 standing=in_doubt
     burn-N BurnImported withdrawal=N amount=1
     withdrawal-N TxMined tx=0xp finality=finalized
     withdrawal-N WithdrawalSettled tx=0xp net=48
     burn-N BurnSettled amount=1",
    "deposit-8453:T:imported CreditImported tx=T value=X standing=credited
     deposit-8453:T:0 DepositObserved tx=T ordinal=0 value=X
     deposit-8453:T:0 DepositCredited tx=T ordinal=0 player=A amount=X dust=0
     deposit-8453:T:0 DepositDebited player=A amount=X dust=0 corrects=@deposit-8453:T:0#2",
    "pool-main PoolImported balance=X",
    "duel-N BroomRaced
     ops-N ComponentProbed .cause=@duel-N#1",
];

#[derive(Clone, Debug)]
struct Choice {
    script: usize,
    players: (usize, usize),
    amount: usize,
    tx: usize,
    damage: Option<(u8, usize)>,
}

fn choice() -> impl Strategy<Value = Choice> {
    let damage = prop_oneof![3 => Just(None), 1 => (0..5u8, 0..64usize).prop_map(Some)];
    // Absurd amounts are there, and rare enough to leave room for everything else.
    let amount = prop_oneof![12 => 0..4usize, 2 => 4..6usize, 1 => 6..AMOUNTS.len()];
    (0..SCRIPTS.len(), (0..4usize, 1..4usize), amount, 0..3usize, damage).prop_map(
        |(script, (a, step), amount, tx, damage)| Choice { script, players: (a, (a + step) % 4), amount, tx, damage },
    )
}

fn lines(number: usize, choice: &Choice) -> Vec<String> {
    let fill = |line: &str, amount: &str| {
        let number = number.to_string();
        let tx = format!("0xt{}", choice.tx);
        let replaced: String = line
            .split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
            .map(|part| {
                let (word, end) = part.split_at(part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
                let word = match word {
                    "N" => &number,
                    "newN" => &format!("new{number}"),
                    "A" => PLAYERS[choice.players.0],
                    "B" => PLAYERS[choice.players.1],
                    "X" => amount,
                    "T" => &tx,
                    other => other,
                };
                format!("{word}{end}")
            })
            .collect();
        replaced
    };
    let amount = AMOUNTS[choice.amount];
    let mut lines: Vec<String> = SCRIPTS[choice.script].lines().map(|line| fill(line.trim(), amount)).collect();
    if let Some((how, which)) = choice.damage {
        let place = which % lines.len();
        match how {
            0 => drop(lines.remove(place)),
            1 => lines.insert(place, lines[place].clone()),
            2 => {
                let next = (place + 1) % lines.len();
                lines.swap(place, next);
            }
            3 => {
                // Anything its family knows, as it stands in the corpus: mostly about people nobody has heard of.
                let stream = lines[place].split(' ').next().unwrap_or_default().to_owned();
                let kinds = StreamId::new(&stream).unwrap().family().unwrap().kinds();
                lines.insert(place, format!("{stream} {}", kinds[which % kinds.len()]));
            }
            _ => {
                let source = SCRIPTS[choice.script].lines().nth(place).unwrap_or_default().trim();
                lines[place] = fill(source, AMOUNTS[(choice.amount + 1) % AMOUNTS.len()]);
            }
        }
    }
    lines
}

/// Tells the scripts, taking the next line from whichever script the picks say.
fn interleave(scripts: &[Vec<String>], picks: &[usize]) -> Vec<Recorded> {
    let mut story = Story::default();
    let mut events = story.tell_all(
        "player-ann StateImported handle=ann bonus=100 withdrawable=100
         player-bob StateImported handle=bob bonus=100 withdrawable=100
         player-cat StateImported handle=cat bonus=100 withdrawable=100
         player-dan StateImported handle=dan bonus=20 withdrawable=2000",
    );
    let mut open: Vec<std::slice::Iter<'_, String>> = scripts.iter().map(|lines| lines.iter()).collect();
    let mut picks = picks.iter().cycle();
    while !open.is_empty() {
        let pick = picks.next().copied().unwrap_or_default() % open.len();
        match open[pick].next() {
            Some(line) => events.push(story.tell(line)),
            None => drop(open.remove(pick)),
        }
    }
    events
}

fn history() -> impl Strategy<Value = Vec<Recorded>> {
    (prop::collection::vec(choice(), 1..24), prop::collection::vec(0..997usize, 1..60)).prop_map(|(choices, picks)| {
        let scripts: Vec<Vec<String>> =
            choices.iter().enumerate().map(|(number, choice)| lines(number, choice)).collect();
        interleave(&scripts, &picks)
    })
}

/// The same events at positions without gaps.
fn renumbered(events: impl IntoIterator<Item = Recorded>) -> Vec<Recorded> {
    let place = |(index, event): (usize, Recorded)| Recorded { position: Position(index as u64 + 1), ..event };
    events.into_iter().enumerate().map(place).collect()
}

fn digest(replay: &Replay) -> (wox_events::Digest, String) {
    (replay.state.digest(), serde_json::to_string(replay).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_put_down_anywhere_goes_on_to_the_same_state(events in history(), cut in any::<prop::sample::Index>()) {
        let whole = replay(&events);
        let (before, after) = events.split_at(cut.index(events.len() + 1));
        let text = serde_json::to_string(&replay(before)).unwrap();
        let mut resumed: Replay = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&resumed).unwrap(), text);
        for event in after {
            resumed.observe(event).unwrap();
        }
        prop_assert_eq!(digest(&resumed), digest(&whole));
    }

    #[test]
    fn every_event_is_accounted_for_and_a_refused_one_changes_nothing(events in history()) {
        let mut replay = Replay::default();
        for event in &events {
            let before = replay.clone();
            replay.observe(event).unwrap();
            let (was, is) = (before.accounting, replay.accounting);
            prop_assert!(is.is_complete());
            prop_assert_eq!(is.read, event.position.0);
            if is.refused > was.refused {
                prop_assert_eq!(&before.state, &replay.state);
                prop_assert_eq!(before.state.digest(), replay.state.digest());
                prop_assert!(replay.held().contains_key(&event.stream));
                prop_assert_eq!(before.game_clock, replay.game_clock);
            }
        }
        let impossible = ["complete", "ledger_sums", "withdrawal_flight"];
        let found = invariants::violations(&replay);
        let found = found.iter().find(|violation| impossible.contains(&violation.invariant.as_str()));
        prop_assert!(found.is_none(), "{found:?}");
    }

    #[test]
    fn every_account_is_what_a_second_ledger_says(events in history()) {
        let mut replay = Replay::default();
        let mut model = Model::default();
        for event in &events {
            let applied = replay.accounting.applied;
            replay.observe(event).unwrap();
            if replay.accounting.applied > applied {
                model.apply(event);
            }
            let ledger = &replay.state.ledger;
            let accounts = ledger.accounts();
            prop_assert_eq!(Amount::checked_sum(accounts.iter().map(|(_, held)| *held)), Some(ledger.held()));
            let found: BTreeMap<String, i128> =
                accounts.iter().map(|(account, held)| (account.to_string(), held.base_units() as i128)).collect();
            let mut expected = model.accounts.clone();
            let outside = expected.remove("outside").unwrap_or(0);
            expected.retain(|_, held| *held != 0);
            prop_assert!(expected.values().all(|held| *held > 0), "overdrawn: {expected:?}");
            prop_assert_eq!(found, expected, "after position {}", event.position);
            prop_assert_eq!(ledger.held().base_units() as i128, -outside);
            prop_assert_eq!(replay.state.conservation.drift.0, model.drift(), "after position {}", event.position);
        }
    }

    #[test]
    fn an_event_that_is_left_out_is_noticed(events in history(), which in any::<prop::sample::Index>()) {
        let missing = which.index(events.len());
        let left: Vec<Recorded> = [&events[..missing], &events[missing + 1..]].concat();
        // As it was read: the next position is not the next.
        let mut replay = Replay::default();
        let noticed = left.iter().find_map(|event| replay.observe(event).err());
        prop_assert_eq!(noticed.is_some(), missing + 1 < events.len(), "only a lost tail is for the log to notice");
        // Put together again without the hole: every later event of the stream is refused, the first for its revision.
        let gone = &events[missing];
        let mut replay = Replay::default();
        for event in renumbered(left) {
            let refused = replay.accounting.refused;
            replay.observe(&event).unwrap();
            if event.stream == gone.stream && event.revision > gone.revision {
                prop_assert_eq!(replay.accounting.refused, refused + 1);
            }
        }
        let follower = events[missing + 1..].iter().any(|event| event.stream == gone.stream);
        if follower {
            prop_assert!(replay.held().contains_key(&gone.stream));
        }
    }

    #[test]
    fn waiving_every_refused_event_in_turn_frees_every_stream(events in history()) {
        let mut waivers = Waivers::new();
        loop {
            let mut replay = Replay::new(waivers.clone());
            for event in &events {
                replay.observe(event).unwrap();
            }
            prop_assert!(replay.accounting.is_complete());
            prop_assert_eq!(replay.accounting.waived, waivers.len() as u64);
            if replay.held().is_empty() {
                break;
            }
            let first = replay.held().values().map(|held| &held.since).min().cloned().unwrap();
            prop_assert!(waivers.insert(Waiver { position: first.position, event: first.id }), "waived twice");
        }
    }

    #[test]
    fn what_happens_to_different_people_may_happen_in_any_order(
        one in prop::collection::vec(0..997usize, 1..40),
        other in prop::collection::vec(0..997usize, 1..40),
    ) {
        // Nobody is in two of these, and no money of one is needed by another.
        let script = |index: usize, players: (usize, usize)| {
            let lines = lines(index, &Choice { script: index, players, amount: 0, tx: index, damage: None });
            let timed = lines.iter().enumerate().map(|(step, line)| format!("{line} .at={}", index * 100 + step));
            timed.collect::<Vec<_>>()
        };
        let scripts = [script(1, (0, 1)), script(11, (2, 3)), script(16, (0, 0)), script(17, (2, 2)), script(19, (0, 0))];
        let (one, other) = (replay(&interleave(&scripts, &one)), replay(&interleave(&scripts, &other)));
        prop_assert!(one.held().is_empty(), "{:?}", one.held());
        let facts = |replay: &Replay| {
            let mut state = serde_json::to_value(&replay.state).unwrap();
            forget_positions(&mut state);
            state
        };
        prop_assert_eq!(facts(&one), facts(&other), "positions and the order of first mention aside");
        prop_assert_eq!(one.game_clock, other.game_clock);
    }
}

fn forget_positions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("position");
            fields.values_mut().for_each(forget_positions);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_positions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_script_is_taken_whole_when_nothing_is_damaged() {
    // Else the properties would speak of refused events only. The last is the one that is meant to be refused.
    for script in 0..SCRIPTS.len() - 1 {
        let lines = lines(script, &Choice { script, players: (0, 1), amount: 0, tx: 0, damage: None });
        let replay = replay(&interleave(&[lines], &[0]));
        let reasons: BTreeSet<String> = replay.held().values().map(|held| held.reason.to_string()).collect();
        assert!(reasons.is_empty(), "script {script}: {reasons:?}");
    }
}
