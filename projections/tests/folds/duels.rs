//! Duels (rows R08, R09, E2, E3).

use crate::story::{check, refused, taken};

/// Two players with 20 bonus and 100 withdrawable each, and one without a part in anything.
pub(crate) const PLAYERS: &str = "
    player-ann StateImported handle=ann bonus=20 withdrawable=100
    player-bob StateImported handle=bob bonus=20 withdrawable=100
    player-eve StateImported handle=eve bonus=20 withdrawable=100";
const CHALLENGED: &str = "duel-1 ChallengeIssued challenger=ann opponent=bob bet=50";
const STAKED: &str = "
    duel-1 ChallengeIssued challenger=ann opponent=bob bet=50
    duel-1 StakeHeld player=ann stake=20+30
    duel-1 StakeHeld player=bob stake=0+50";
const ACTIVE: &str = "
    duel-1 ChallengeIssued challenger=ann opponent=bob bet=50
    duel-1 StakeHeld player=ann stake=20+30
    duel-1 StakeHeld player=bob stake=0+50
    duel-1 ChallengeAccepted first_turn=bob challenger_hp=100 opponent_hp=105";
const ENDED: &str = "
    duel-1 DuelEnded winner=ann loser=bob";

fn after(steps: &[&str]) -> String {
    format!("{PLAYERS}\n{}", steps.join("\n"))
}

#[test]
fn the_winner_is_paid_both_stakes_as_withdrawable() {
    check(
        &after(&[
            ACTIVE,
            "duel-1 SpellCast turn=1 player=bob challenger_hp=90 opponent_hp=105
             duel-1 PotionUsed turn=2 player=ann challenger_hp=95 opponent_hp=105
             duel-1 TurnMissed turn=3 player=bob",
            ENDED,
            "duel-1 DuelSettled winner=ann amount=100",
        ]),
        r#"bonus:ann = 0
           withdrawable:ann = 170
           bonus:bob = 20
           withdrawable:bob = 50
           escrow:1 = 0
           duels/duels/1/phase = "ended"
           duels/duels/1/winner = "ann"
           duels/duels/1/settled = "100"
           duels/duels/1/hp = [95,105]
           duels/duels/1/turn = 3
           duels/duels/1/next = nothing
           duels/duels/1/decided/revision = 8
           players/players/ann/wins = 24
           players/players/bob/losses = 12"#,
    );
}

#[test]
fn an_active_duel_knows_whose_turn_is_next() {
    check(
        &after(&[ACTIVE]),
        r#"escrow:1 = 100
           duels/duels/1/phase = "active"
           duels/duels/1/next = "bob"
           duels/duels/1/hp = [100,105]"#,
    );
    check(
        &after(&[ACTIVE, "duel-1 TurnMissed turn=1 player=bob"]),
        r#"duels/duels/1/next = "ann"
           duels/duels/1/last_action = 8000000"#,
    );
    check(&after(&[ACTIVE, "duel-1 TurnMissed turn=1 player=ann"]), r#"duels/duels/1/next = "bob""#);
}

#[test]
fn every_way_out_of_a_challenge_gives_the_stake_back() {
    for (end, phase) in [("ChallengeDeclined", "declined"), ("ChallengeExpired", "expired"), ("DuelVoided", "voided")] {
        check(
            &after(&[
                STAKED,
                &format!("duel-1 {end}"),
                "duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2",
            ]),
            &format!(
                r#"bonus:ann = 20
                   withdrawable:ann = 100
                   escrow:1 = 50
                   duels/duels/1/phase = "{phase}"
                   broken duel_escrow duel-1 since duel-1@1"#
            ),
        );
        check(
            &after(&[
                STAKED,
                &format!("duel-1 {end}"),
                "duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2
                 duel-1 StakeReleased player=bob stake=0+50 corrects=@duel-1#3",
            ]),
            "escrow:1 = 0",
        );
    }
}

#[test]
fn an_active_duel_can_be_voided() {
    check(
        &after(&[
            ACTIVE,
            "duel-1 DuelVoided
             duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2
             duel-1 StakeReleased player=bob stake=0+50 corrects=@duel-1#3",
        ]),
        r#"duels/duels/1/next = nothing
           withdrawable:bob = 100"#,
    );
}

#[test]
fn an_interrupted_duel_goes_on_where_recovery_says() {
    check(
        &after(&[
            ACTIVE,
            "duel-1 DuelInterrupted at_turn=0 from=7 until=9 .from=recovery
             duel-1 TimersExtended by=2 .from=recovery
             duel-1 DuelStuckDetected .from=recovery
             duel-1 DuelResumed from_turn=1 player=ann .from=recovery",
        ]),
        r#"duels/duels/1/interruptions = [7]
           duels/duels/1/next = "ann"
           duels/duels/1/last_action = 11000000"#,
    );
}

#[test]
fn a_duel_without_a_bet_needs_no_stakes() {
    check(
        &after(&[
            "duel-1 ChallengeIssued challenger=ann opponent=bob bet=0 tournament=daily
             duel-1 ChallengeAccepted first_turn=ann",
            ENDED,
        ]),
        r#"duels/duels/1/tournament = "daily"
           duels/duels/1/phase = "ended""#,
    );
}

#[test]
fn crossed_balances_are_a_violation_until_they_are_corrected() {
    let crossed = after(&[
        STAKED,
        "duel-1 ChallengeExpired
         duel-1 StakeReleased player=ann stake=0+50 corrects=@duel-1#2
         duel-1 StakeReleased player=bob stake=0+50 corrects=@duel-1#3",
    ]);
    check(
        &crossed,
        "bonus:ann = 0
         withdrawable:ann = 120
         broken stake_buckets duel-1 since duel-1@5",
    );
    let correction =
        "duel-1 BucketCorrected player=ann from=withdrawable to=bonus amount=20 corrects=@duel-1#5 .from=recovery";
    check(
        &format!("{crossed}\n{correction}"),
        "bonus:ann = 20
         withdrawable:ann = 100",
    );
    refused(
        &crossed,
        &[
            (
                "duel-1 BucketCorrected player=eve from=withdrawable to=bonus amount=20 corrects=@duel-1#5",
                "released stake of player `eve` does not exist",
            ),
            (
                "duel-1 BucketCorrected player=ann from=bonus to=withdrawable amount=20 corrects=@duel-1#5",
                "amount is 20, expected at most 0 from bonus",
            ),
            (
                "duel-1 BucketCorrected player=ann from=withdrawable to=bonus amount=50.01 corrects=@duel-1#5",
                "amount is 50.01, expected at most 50 from withdrawable",
            ),
            (
                "duel-1 BucketCorrected player=ann from=bonus to=bonus amount=0 corrects=@duel-1#5",
                "amount is 0, expected at most 0 from bonus",
            ),
        ],
    );
    // It cannot be corrected twice: what is left in the wrong balance bounds it.
    refused(
        &format!("{crossed}\n{correction}\n{correction}"),
        &[(
            "duel-1 BucketCorrected player=ann from=withdrawable to=bonus amount=20 corrects=@duel-1#5",
            "amount is 20, expected at most 10 from withdrawable",
        )],
    );
}

#[test]
fn a_duel_nobody_asked_for_is_unknown() {
    let kinds = [
        "StakeHeld player=ann stake=0+50",
        "ChallengeAccepted first_turn=ann",
        "ChallengeDeclined",
        "ChallengeExpired",
        "SpellCast turn=1 player=ann",
        "DuelEnded winner=ann loser=bob",
        "DuelSettled winner=ann amount=100",
        "DuelVoided",
    ];
    for kind in kinds {
        refused(PLAYERS, &[(&format!("duel-1 {kind}"), "duel `1` does not exist")]);
    }
    refused(
        PLAYERS,
        &[("duel-1 ChallengeIssued challenger=ann opponent=ann bet=50", "opponent is ann, expected another player")],
    );
}

#[test]
fn a_challenge_takes_one_right_stake_from_each_side() {
    refused(
        &after(&[CHALLENGED]),
        &[
            ("duel-1 ChallengeIssued challenger=ann opponent=bob bet=50", "duel `1` exists already"),
            ("duel-1 StakeHeld player=eve stake=0+50", "player in this duel `eve` does not exist"),
            ("duel-1 StakeHeld player=ann stake=20+29", "stake is 49, expected 50"),
            ("duel-1 StakeHeld player=ann stake=21+29", "account bonus:ann is short by 1 G"),
            ("duel-1 ChallengeAccepted first_turn=eve", "player in this duel `eve` does not exist"),
            (
                "duel-1 ChallengeAccepted first_turn=ann",
                "duel 1 is without both stakes, this event needs it staked by both",
            ),
            ("duel-1 SpellCast turn=1 player=ann", "duel 1 is challenged, this event needs it active"),
            ("duel-1 DuelEnded winner=ann loser=bob", "duel 1 is challenged, this event needs it active"),
            ("duel-1 DuelResumed from_turn=1 player=ann", "duel 1 is challenged, this event needs it active"),
            ("duel-1 DuelInterrupted", "duel 1 is challenged, this event needs it active"),
        ],
    );
    refused(
        &after(&[STAKED]),
        &[
            ("duel-1 StakeHeld player=ann stake=20+30", "stake of player `ann` exists already"),
            (
                "duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2",
                "duel 1 is challenged, this event needs it declined, expired or voided",
            ),
        ],
    );
}

#[test]
fn an_active_duel_takes_the_next_turn_of_its_own_players_only() {
    refused(
        &after(&[ACTIVE]),
        &[
            ("duel-1 SpellCast turn=2 player=ann", "turn is 2, expected 1"),
            ("duel-1 PotionUsed turn=0 player=ann", "turn is 0, expected 1"),
            ("duel-1 TurnMissed turn=4294967295 player=ann", "turn is 4294967295, expected 1"),
            ("duel-1 SpellCast turn=1 player=eve", "player in this duel `eve` does not exist"),
            ("duel-1 DuelEnded winner=eve loser=bob", "player in this duel `eve` does not exist"),
            ("duel-1 DuelEnded winner=ann loser=eve", "player in this duel `eve` does not exist"),
            ("duel-1 DuelEnded winner=ann loser=ann", "loser `ann` does not exist"),
            ("duel-1 DuelSettled winner=ann amount=100", "duel 1 is active, this event needs it ended"),
            ("duel-1 ChallengeExpired", "duel 1 is active, this event needs it challenged"),
            ("duel-1 StakeHeld player=ann stake=20+30", "duel 1 is active, this event needs it challenged"),
            ("duel-1 ChallengeAccepted first_turn=ann", "duel 1 is active, this event needs it challenged"),
            ("duel-1 DuelResumed from_turn=1 player=eve", "player in this duel `eve` does not exist"),
        ],
    );
}

#[test]
fn an_ended_duel_pays_its_winner_once() {
    refused(
        &after(&[ACTIVE, ENDED]),
        &[
            ("duel-1 DuelEnded winner=bob loser=ann", "duel 1 is ended, this event needs it active"),
            ("duel-1 DuelSettled winner=bob amount=100", "winner is bob, expected ann"),
            ("duel-1 DuelSettled winner=ann amount=99.99", "payment is 99.99, expected 100"),
            ("duel-1 DuelVoided", "duel 1 is ended, this event needs it challenged or active"),
            ("duel-1 TimersExtended", "duel 1 is ended, this event needs it active"),
        ],
    );
    refused(
        &after(&[ACTIVE, ENDED, "duel-1 DuelSettled winner=ann amount=100"]),
        &[("duel-1 DuelSettled winner=ann amount=100", "payment of duel `1` exists already")],
    );
}

#[test]
fn a_stake_comes_back_once_and_whole_and_names_its_hold() {
    let declined = after(&[CHALLENGED, "duel-1 StakeHeld player=ann stake=20+30", "duel-1 ChallengeDeclined"]);
    taken(&declined, &["duel-1 StakeReleased player=ann stake=50+0 corrects=@duel-1#2"]);
    refused(
        &declined,
        &[
            ("duel-1 StakeReleased player=bob stake=0+50 corrects=@duel-1#2", "stake of player `bob` does not exist"),
            ("duel-1 StakeReleased player=ann stake=20+31 corrects=@duel-1#2", "release is 51, expected 50"),
            (
                "duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#1",
                "corrects is @duel-1#1, expected @duel-1#2",
            ),
            ("duel-1 DuelVoided", "duel 1 is declined, this event needs it challenged or active"),
        ],
    );
    refused(
        &format!("{declined}\nduel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2"),
        &[(
            "duel-1 StakeReleased player=ann stake=20+30 corrects=@duel-1#2",
            "release of the stake of player `ann` exists already",
        )],
    );
}

#[test]
fn an_ended_duel_that_was_not_paid_is_a_violation() {
    check(
        &after(&[ACTIVE, ENDED]),
        "escrow:1 = 100
         broken duel_escrow duel-1 since duel-1@1",
    );
}

#[test]
fn late_posts_are_ordered_once_by_their_numbers_and_only_for_the_two() {
    let ordered = after(&[ACTIVE, "duel-1 LatePostsOrdered outage=@agent-main#1 posts=9:ann:cast,10:bob:use"]);
    check(&ordered, r#"duels/duels/1/late_posts = ["9","10"]"#);
    refused(
        &ordered,
        &[
            ("duel-1 LatePostsOrdered posts=10:bob:use", "order of post `10` exists already"),
            (
                "duel-1 LatePostsOrdered posts=12:bob:use,11:ann:cast",
                "post is 11, expected an id above the one before it",
            ),
            ("duel-1 LatePostsOrdered posts=x:bob:use", "post is x, expected an id above the one before it"),
            ("duel-1 LatePostsOrdered posts=12:eve:use", "player in this duel `eve` does not exist"),
        ],
    );
    taken(&after(&[CHALLENGED]), &["duel-1 LatePostsOrdered posts=12:bob:accept"]);
    refused(
        &after(&[ACTIVE, ENDED]),
        &[("duel-1 LatePostsOrdered posts=12:bob:use", "duel 1 is ended, this event needs it challenged or active")],
    );
}

#[test]
fn a_duel_knows_how_it_was_over_and_which_turns_were_missed() {
    check(
        &after(&[
            ACTIVE,
            "duel-1 TurnMissed turn=1 player=bob",
            "duel-1 DuelEnded winner=ann loser=bob reason=disconnected",
        ]),
        r#"duels/duels/1/missed = [["bob",8000000]]
           duels/duels/1/over/at = 9000000
           duels/duels/1/over/quiet_since = 8000000
           duels/duels/1/over/reason = "disconnected"
           broken duel_escrow duel-1 since duel-1@1"#,
    );
    check(
        &after(&[ACTIVE, "duel-1 DuelVoided"]),
        "duels/duels/1/over/reason = nothing\nbroken duel_escrow duel-1 since duel-1@1",
    );
}
