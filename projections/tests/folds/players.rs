//! Players: identity, experience, grants (rows E4, E5).

use crate::story::{check, refused, taken};

const ANN: &str = "player-ann PlayerCreated handle=ann_1 name=Annie house=hufflepuff bonus=20";

#[test]
fn a_player_is_created_with_a_bonus_and_keeps_its_history() {
    check(
        &format!(
            "{ANN}
             player-ann HandleChanged old=ann_1 new=ann_2
             player-ann PlayerRenamed old=Annie new=Anna
             player-ann BonusGranted amount=5
             player-ann GoodwillGranted amount=2.5
             player-ann ExperienceGained xp=120 level=2
             player-ann SpellLearned spell=Flipendo
             player-ann TitleAwarded title=Brave
             player-ann PotionBrewed cost=10+0"
        ),
        r#"bonus:ann = 17.5
           pool = 10
           players/granted = "27.5"
           players/players/ann/handle = "ann_2"
           players/players/ann/former_handles = ["ann_1"]
           players/players/ann/name = "Anna"
           players/players/ann/house = "hufflepuff"
           players/players/ann/level = 2
           players/players/ann/xp = 120
           players/players/ann/spells = ["Flipendo"]
           players/players/ann/titles = ["Brave"]
           players/players/ann/potions = 1"#,
    );
}

#[test]
fn an_imported_player_has_no_name_until_it_says_one() {
    check(
        "player-ann StateImported handle=ann bonus=1.5 withdrawable=2.25 level=7 xp=340 wins=3 losses=4 name=- house=-
         player-ann PlayerRenamed old=Whatever new=Anna",
        r#"bonus:ann = 1.5
           withdrawable:ann = 2.25
           players/imported = "3.75"
           players/players/ann/name = "Anna"
           players/players/ann/house = null
           players/players/ann/wins = 3"#,
    );
}

#[test]
fn a_player_exists_once_and_before_anything_happens_to_it() {
    refused(
        ANN,
        &[
            ("player-ann PlayerCreated", "player `ann` exists already"),
            ("player-ann StateImported", "player `ann` exists already"),
            ("player-ann HandleChanged old=somebody", "handle is somebody, expected ann_1"),
            ("player-ann PlayerRenamed old=Somebody", "name is Somebody, expected Annie"),
            ("player-ann ExperienceGained xp=1 level=0", "level is 0, expected 1 or more"),
            ("player-ann PotionBrewed cost=20+0.01", "account withdrawable:ann is short by 0.01 G"),
            ("player-bob HandleChanged", "player `bob` does not exist"),
            ("player-bob BonusGranted amount=1", "player `bob` does not exist"),
            ("player-bob GoodwillGranted amount=1", "player `bob` does not exist"),
            ("player-bob PotionBrewed cost=0+0", "player `bob` does not exist"),
        ],
    );
    taken(ANN, &["player-bob PlayerCreated bonus=0", "player-bob StateImported bonus=0 withdrawable=0"]);
}

#[test]
fn a_count_at_its_end_stays_there() {
    // An imported row may say anything; a replay must not stop on it.
    check(
        "player-ann StateImported handle=ann bonus=20 withdrawable=100 wins=4294967295 losses=4294967295
         player-bob StateImported handle=bob bonus=20 withdrawable=100 wins=4294967295 losses=4294967295
         duel-1 ChallengeIssued challenger=ann opponent=bob bet=0
         duel-1 ChallengeAccepted first_turn=ann
         duel-1 DuelEnded winner=ann loser=bob",
        "players/players/ann/wins = 4294967295
         players/players/bob/losses = 4294967295",
    );
}
