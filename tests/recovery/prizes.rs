//! Row R11: the schedule frozen first, any partial payment made good, debts paid oldest first, entries given back.

use wox_events::{
    Amount, PlayerEvent, TournamentEvent,
    tournament::{Format, Prize, PrizeKind},
};
use wox_recovery::recovery::Plan;

use crate::{
    game::{Game, called, g, label, nothing, says, shown, split, who},
    tournaments::{T, drawn, first_round_played, opened, paid, pair, prize, scheduled, won},
};

/// Everything is played: ann before ben, dot and cid lost the semifinals. 200 G of entries and `more` are in the pool.
async fn decided(more: u64) -> Game {
    let game = first_round_played().await;
    let fan = wox_events::PoolEvent::PoolContributed { amount: g(more), source: label("fan") };
    if more > 0 {
        game.tell("pool-main", fan).await;
    }
    game.tell(T, opened(2, vec![pair("ann", "ben")])).await;
    game.tell(T, won(2, 0, "ann", "ben")).await;
    game
}

#[tokio::test]
async fn r11_the_schedule_is_frozen_before_the_rest_is_paid_with_the_pool_of_before_the_first_payment() {
    // 10 % of 6000 G are 600 G; after a first prize of 300 G it would be 570.
    let mut game = decided(5800).await;
    game.tell(T, paid(PrizeKind::First, "ann", 300)).await;
    game.wait(300).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    nothing(&game.plan().await);
    game.wait(1).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idler") }).await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unfixed_schedule WOX-GAME-TOURN-004 critical since tournament-t@12: the prize schedule is not frozen as it must be: prizes were paid before it was frozen
        unpaid_prize WOX-GAME-TOURN-004 critical since tournament-t@12: 3 of 4 prizes are unpaid: second 180 G to ben, third 60 G to dot, fourth 60 G to cid
        on tournament-t@12
          PrizeScheduleFixed: freeze prizes of 600 G: first 300 G to player ann, second 180 G to player ben, third 60 G to player dot, fourth 60 G to player cid
          PrizePaid: pay second prize of 180 G to player ben
            180 G pool -> withdrawable:ben
          PrizePaid: pay third prize of 60 G to player dot
            60 G pool -> withdrawable:dot
          PrizePaid: pay fourth prize of 60 G to player cid
            60 G pool -> withdrawable:cid
          TournamentClosed: close it: player ann won
        ",
    );
    assert_eq!(plan.items[0].needs, ["another person's approval", "300 G in the prize pool"]);
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    nothing(&game.plan().await);
}

/// Which prizes the game paid, and how wrong: nothing, the right amount, a wrong amount, twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paid {
    Not,
    Right,
    Wrong,
    Twice,
}

const ALL: [(PrizeKind, &str, u64); 4] = [
    (PrizeKind::First, "ann", 300),
    (PrizeKind::Second, "ben", 180),
    (PrizeKind::Third, "dot", 60),
    (PrizeKind::Fourth, "cid", 60),
];

#[tokio::test]
async fn r11_after_any_partial_payment_exactly_the_rest_is_paid() {
    for frozen_first in [true, false] {
        for case in 0..4_usize.pow(4) {
            let how = [0, 1, 2, 3].map(|place| match case / 4_usize.pow(place) % 4 {
                0 => Paid::Not,
                1 => Paid::Right,
                2 => Paid::Wrong,
                _ => Paid::Twice,
            });
            // Every fourth of the mixed cases is enough for two; each subset of right payments is there.
            let plain = how.iter().all(|how| matches!(how, Paid::Not | Paid::Right));
            if !plain && case % 4 != 2 {
                continue;
            }
            partial(frozen_first, how).await;
        }
    }
}

async fn partial(frozen_first: bool, how: [Paid; 4]) {
    let mut game = decided(5800).await;
    if frozen_first {
        let prizes: Vec<Prize> = ALL.iter().map(|(kind, player, amount)| prize(*kind, player, *amount)).collect();
        game.tell(T, TournamentEvent::PrizeScheduleFixed { pool_at: g(6000), total: g(600), prizes }).await;
    }
    for ((kind, player, amount), how) in ALL.into_iter().zip(how) {
        let amounts: &[u64] = match how {
            Paid::Not => &[],
            Paid::Right => &[amount],
            Paid::Wrong => &[amount - 1],
            Paid::Twice => &[amount, amount],
        };
        for amount in amounts {
            game.tell(T, paid(kind, player, *amount)).await;
        }
    }
    game.wait(3601).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    let plan = game.plan().await;
    let right = frozen_first && how == [Paid::Right; 4];
    assert_eq!(plan.changes, !right, "{frozen_first} {how:?}");
    if plan.changes {
        assert_eq!(game.carry_out(&plan).await.name(), "verified", "{frozen_first} {how:?}: {}", shown(&plan));
    }
    nothing(&game.plan().await);
    for (_, player, amount) in ALL {
        assert_eq!(game.player_has(player).await.1, g(50 + amount), "{player} after {frozen_first} {how:?}");
    }
    assert!(game.look().await.replay.state.conservation.drift.is_zero());
}

#[tokio::test]
async fn r11_a_daily_is_worth_400_at_least_and_what_the_pool_lacks_is_owed_not_lost() {
    let mut game = decided(0).await;
    game.wait(3601).tell("player-ann", PlayerEvent::TitleAwarded { title: called("idle") }).await;
    let plan = game.plan().await;
    let steps: Vec<&str> = plan.items[0].steps.iter().map(|step| step.says.as_str()).collect();
    assert_eq!(
        steps,
        [
            "freeze prizes of 400 G: first 200 G to player ann, second 120 G to player ben, third 40 G to player dot, fourth 40 G to player cid",
            "pay first prize of 200 G to player ann",
            "owe second prize of 120 G to player ben: the pool has 0 G left",
            "owe third prize of 40 G to player dot: the pool has 0 G left",
            "owe fourth prize of 40 G to player cid: the pool has 0 G left",
            "close it: player ann won",
        ]
    );
    game.carry_out(&plan).await;
    assert!(!game.plan().await.changes);
    fill(&game, 150).await;
    let then = game.plan().await;
    let steps: Vec<&str> = then.items[0].steps.iter().map(|step| step.says.as_str()).collect();
    assert_eq!(steps, ["pay second prize of 120 G to player ben"], "the pool never pays more than it holds");
    assert_eq!(game.carry_out(&then).await.name(), "remaining");
    fill(&game, 50).await;
    let last = game.plan().await;
    assert_eq!(game.carry_out(&last).await.name(), "verified");
    nothing(&game.plan().await);
}

async fn fill(game: &Game, amount: u64) {
    let fan = wox_events::PoolEvent::PoolContributed { amount: g(amount), source: label("fan") };
    game.tell("pool-main", fan).await;
}

/// A free tournament whose schedule promises one prize, closed.
async fn promised(game: &Game, id: &str, player: &str, amount: u64) {
    let name = format!("tournament-{id}");
    let opened = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: Amount::ZERO,
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(&name, opened).await;
    let prizes = vec![prize(PrizeKind::First, player, amount)];
    let total = g(amount);
    game.tell(&name, TournamentEvent::PrizeScheduleFixed { pool_at: total, total, prizes }).await;
    game.tell(&name, TournamentEvent::TournamentClosed { winner: who(player) }).await;
}

fn says_of(plan: &Plan) -> Vec<&str> {
    plan.items.iter().flat_map(|item| &item.steps).map(|step| step.says.as_str()).collect()
}

#[tokio::test]
async fn r11_the_oldest_debt_is_paid_first_and_no_younger_one_overtakes_it() {
    let game = Game::new();
    for player in ["ann", "ben", "cid"] {
        game.player(player, 0).await;
    }
    // The first to be opened is the last to be scheduled.
    let late = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("cup"),
        entry_fee: Amount::ZERO,
        players_min: 2,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell("tournament-late", late).await;
    promised(&game, "old", "ann", 100).await;
    promised(&game, "young", "ben", 30).await;
    let prizes = vec![prize(PrizeKind::First, "cid", 20)];
    game.tell("tournament-late", TournamentEvent::PrizeScheduleFixed { pool_at: g(20), total: g(20), prizes }).await;
    game.tell("tournament-late", TournamentEvent::TournamentClosed { winner: who("cid") }).await;
    fill(&game, 60).await;
    let plan = game.plan().await;
    assert_eq!(
        says_of(&plan),
        [
            "owe first prize of 100 G to player ann: the pool has 60 G left",
            "owe first prize of 30 G to player ben: the pool has 60 G left, and an older debt comes first",
            "owe first prize of 20 G to player cid: the pool has 60 G left, and an older debt comes first",
        ]
    );
    assert_eq!(game.carry_out(&plan).await.name(), "remaining");
    fill(&game, 70).await;
    let then = game.plan().await;
    assert_eq!(says_of(&then), ["pay first prize of 100 G to player ann", "pay first prize of 30 G to player ben"]);
    game.carry_out(&then).await;
    fill(&game, 20).await;
    assert_eq!(says_of(&game.plan().await), ["pay first prize of 20 G to player cid"]);
}

#[tokio::test]
async fn r11_money_that_one_repair_brings_back_pays_another_in_the_next_plan_at_the_latest() {
    let game = scheduled().await;
    // The pool pays 100 G twice to the wrong player and is empty then.
    for _ in 0..2 {
        game.tell(T, paid(PrizeKind::First, "ben", 100)).await;
    }
    promised(&game, "other", "cid", 5).await;
    game.tell(T, TournamentEvent::TournamentClosed { winner: who("ann") }).await;
    for _ in 0..2 {
        let plan = game.plan().await;
        assert!(plan.held.iter().all(|hold| hold.finding.procedure != "unexplained"), "{plan:#?}");
        game.carry_out(&plan).await;
    }
    fill(&game, 5).await;
    game.carry_out(&game.plan().await).await;
    nothing(&game.plan().await);
    assert_eq!(game.player_has("cid").await.1, g(50 + 20 + 5));
}

#[tokio::test]
async fn r11_a_cancelled_tournament_gives_every_entry_back_in_its_split() {
    let mut game = Game::new();
    for player in ["ann", "ben"] {
        game.player(player, 100).await;
    }
    let open = TournamentEvent::TournamentOpened {
        format: Format::SingleElimination,
        title: called("daily"),
        entry_fee: g(50),
        players_min: 8,
        players_max: 8,
        starts_at: game.now(),
    };
    game.tell(T, open).await;
    game.tell(T, TournamentEvent::PlayerRegistered { player: who("ann"), entry: split(20, 30) }).await;
    game.tell(T, TournamentEvent::PlayerRegistered { player: who("ben"), entry: split(0, 50) }).await;
    game.tell(T, TournamentEvent::TournamentCancelled { reason: label("too-few-players") }).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    says(
        &plan,
        "
        unrefunded_entry WOX-GAME-TOURN-004 high since tournament-t@4: the tournament was cancelled, and the entries were not given back: 50 G of player ann, 50 G of player ben
        on tournament-t@4
          EntryRefunded: give player ann the entry back: 20 G bonus and 30 G withdrawable
            20 G entries:t -> bonus:ann
            30 G entries:t -> withdrawable:ann
          EntryRefunded: give player ben the entry back: 0 G bonus and 50 G withdrawable
            50 G entries:t -> withdrawable:ben
        ",
    );
    assert_eq!(game.carry_out(&plan).await.name(), "verified");
    assert_eq!(game.player_has("ann").await, (g(20), g(100)));
    nothing(&game.plan().await);
}

/// A House Cup of four in which everybody met everybody: ann three wins, then as told.
async fn cup(results: [(&str, &str); 6]) -> Game {
    let game = drawn(Format::RoundRobin).await;
    let rounds = [["ann:dot", "ben:cid"], ["ann:ben", "cid:dot"], ["ann:cid", "dot:ben"]];
    let mut results = results.into_iter();
    for (number, round) in (1..).zip(rounds) {
        let pairs = round.iter().map(|text| text.split_once(':').unwrap());
        game.tell(T, opened(number, pairs.clone().map(|(first, second)| pair(first, second)).collect())).await;
        for slot in 0..2 {
            let (winner, loser) = results.next().unwrap();
            game.tell(T, won(number, slot, winner, loser)).await;
        }
    }
    game
}

#[tokio::test]
async fn r11_a_tie_for_a_prize_is_left_to_people_and_no_rule_is_made_up() {
    let tied = [("ann", "dot"), ("ben", "cid"), ("ann", "ben"), ("cid", "dot"), ("ann", "cid"), ("dot", "ben")];
    let mut game = cup(tied).await;
    game.tell(T, paid(PrizeKind::First, "ann", 50)).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert!(!plan.changes);
    assert_eq!(plan.held[0].why, "player ben and player cid and player dot have won equally often");

    let clear = [("ann", "dot"), ("ben", "cid"), ("ann", "ben"), ("cid", "dot"), ("ann", "cid"), ("ben", "dot")];
    let mut game = cup(clear).await;
    game.tell(T, paid(PrizeKind::First, "ann", 200)).await;
    game.wait(301).tick().await;
    let plan = game.plan().await;
    assert_eq!(
        plan.items[0].steps[0].says,
        "freeze prizes of 400 G: first 200 G to player ann, second 120 G to player ben, third 40 G to player cid, fourth 40 G to player dot"
    );
}
