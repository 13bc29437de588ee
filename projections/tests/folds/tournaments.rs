//! Tournaments (rows R10, R11).

use crate::story::{Story, check, refused, replay, taken};

const PLAYERS: &str = "
    player-ann StateImported handle=ann bonus=20 withdrawable=100
    player-bob StateImported handle=bob bonus=20 withdrawable=100
    player-cat StateImported handle=cat bonus=20 withdrawable=100
    player-dan StateImported handle=dan bonus=20 withdrawable=100
    player-eve StateImported handle=eve bonus=20 withdrawable=100";
const OPEN: &str = "tournament-d TournamentOpened format=single_elimination entry_fee=50 players_max=4";
const FOUR_IN: &str = "
    tournament-d PlayerRegistered player=ann entry=20+30
    tournament-d PlayerRegistered player=bob entry=20+30
    tournament-d PlayerRegistered player=cat entry=0+50
    tournament-d PlayerRegistered player=dan entry=0+50";
const DRAWN: &str = "
    tournament-d TournamentSeeded seeds=ann,bob,cat,dan
    tournament-d RoundOpened round=1 matches=ann:dan,bob:cat";
const SEMIFINALS: &str = "
    tournament-d MatchDecided round=1 slot=0 winner=ann loser=dan
    tournament-d MatchDecided round=1 slot=1 winner=bob loser=cat";
const FINAL: &str = "
    tournament-d RoundOpened round=2 matches=ann:bob
    tournament-d MatchDecided round=2 slot=0 winner=bob loser=ann";
const SCHEDULE: &str = "tournament-d PrizeScheduleFixed pool_at=200 total=200 prizes=first:bob:100,second:ann:60,third:dan:20,fourth:cat:20";
const PAID: &str = "
    tournament-d PrizePaid prize=first player=bob amount=100
    tournament-d PrizePaid prize=second player=ann amount=60
    tournament-d PrizePaid prize=third player=dan amount=20
    tournament-d PrizePaid prize=fourth player=cat amount=20";
const CLOSED: &str = "tournament-d TournamentClosed winner=bob";

fn after(steps: &[&str]) -> String {
    format!("{PLAYERS}\n{OPEN}\n{}", steps.join("\n"))
}

#[test]
fn four_play_and_all_four_prizes_are_paid() {
    check(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, SCHEDULE, PAID, CLOSED]),
        r#"entries:d = 0
           pool = 0
           withdrawable:bob = 170
           withdrawable:ann = 130
           withdrawable:dan = 70
           withdrawable:cat = 70
           tournaments/tournaments/d/closed = "bob"
           tournaments/tournaments/d/rounds/1/results/0/winner = "bob""#,
    );
}

#[test]
fn entries_wait_for_the_draw_and_then_are_the_pool() {
    check(&after(&[FOUR_IN]), "entries:d = 200\npool = 0");
    check(&after(&[FOUR_IN, DRAWN]), "entries:d = 0\npool = 200");
}

#[test]
fn three_players_give_the_first_seed_a_bye() {
    let three = "
        tournament-d PlayerRegistered player=ann entry=20+30
        tournament-d PlayerRegistered player=bob entry=20+30
        tournament-d PlayerRegistered player=cat entry=0+50
        tournament-d TournamentSeeded seeds=cat,ann,bob
        tournament-d RoundOpened round=1 matches=cat:-,ann:bob
        tournament-d MatchDecided round=1 slot=0 winner=cat loser=- reason=bye
        tournament-d MatchDecided round=1 slot=1 winner=ann loser=bob reason=forfeit
        tournament-d RoundOpened round=2 matches=cat:ann";
    check(&after(&[three]), "tournaments/tournaments/d/rounds/0/results/0/reason = \"bye\"");
    refused(
        &after(&[three]),
        &[(
            "tournament-d MatchDecided round=2 slot=0 winner=bob loser=ann",
            "player in this match `bob` does not exist",
        )],
    );
}

#[test]
fn a_player_who_leaves_before_the_draw_gets_the_entry_back() {
    let left = after(&[
        FOUR_IN,
        "tournament-d PlayerUnregistered player=ann
         tournament-d EntryRefunded player=ann entry=20+30 corrects=@tournament-d#2",
    ]);
    check(
        &left,
        "bonus:ann = 20
         withdrawable:ann = 100
         entries:d = 150
         tournaments/tournaments/d/entries/ann/left = true
         tournaments/tournaments/d/entries/ann/refunded = true",
    );
    taken(
        &left,
        &["tournament-d PlayerRegistered player=ann entry=0+50", "tournament-d PlayerRegistered player=eve entry=0+50"],
    );
    refused(
        &left,
        &[
            ("tournament-d PlayerUnregistered player=ann", "entry of player `ann` does not exist"),
            (
                "tournament-d EntryRefunded player=ann entry=20+30 corrects=@tournament-d#2",
                "refund of player `ann` exists already",
            ),
        ],
    );
}

#[test]
fn the_entry_of_who_left_is_not_drawn_into_the_pool() {
    check(
        &after(&[
            FOUR_IN,
            "tournament-d PlayerUnregistered player=ann
             tournament-d TournamentSeeded seeds=bob,cat,dan
             tournament-d EntryRefunded player=ann entry=20+30 corrects=@tournament-d#2",
        ]),
        "pool = 150
         bonus:ann = 20
         withdrawable:ann = 100",
    );
}

#[test]
fn who_left_comes_back_only_after_the_refund() {
    refused(
        &after(&[FOUR_IN, "tournament-d PlayerUnregistered player=ann"]),
        &[(
            "tournament-d PlayerRegistered player=ann entry=0+50",
            "entry of player ann is left and not given back, this event needs it given back",
        )],
    );
    // Nothing was paid, nothing has to come back.
    taken(
        "player-ann PlayerCreated
         tournament-f TournamentOpened entry_fee=0
         tournament-f PlayerRegistered player=ann entry=0+0
         tournament-f PlayerUnregistered player=ann",
        &["tournament-f PlayerRegistered player=ann entry=0+0"],
    );
}

#[test]
fn a_cancelled_tournament_gives_every_entry_back_in_its_split() {
    let cancelled = after(&[FOUR_IN, "tournament-d TournamentCancelled"]);
    check(
        &format!("{cancelled}\ntournament-d EntryRefunded player=bob entry=20+30 corrects=@tournament-d#3"),
        "bonus:bob = 20
         entries:d = 150
         tournaments/tournaments/d/cancelled = true",
    );
    refused(
        &cancelled,
        &[
            (
                "tournament-d EntryRefunded player=bob entry=0+50 corrects=@tournament-d#3",
                "refund is 0 bonus and 50 withdrawable, expected 20 bonus and 30 withdrawable",
            ),
            (
                "tournament-d EntryRefunded player=bob entry=20+30 corrects=@tournament-d#2",
                "corrects is @tournament-d#2, expected @tournament-d#3",
            ),
            (
                "tournament-d EntryRefunded player=eve entry=20+30 corrects=@tournament-d#3",
                "entry of player `eve` does not exist",
            ),
            (
                "tournament-d PlayerRegistered player=eve entry=0+50",
                "tournament d is cancelled, this event needs it open for registration",
            ),
            (
                "tournament-d TournamentCancelled",
                "tournament d is cancelled, this event needs it open for registration",
            ),
        ],
    );
}

#[test]
fn registration_takes_one_place_a_player_for_the_right_fee_until_it_is_full() {
    refused(
        &after(&["tournament-d PlayerRegistered player=ann entry=20+30"]),
        &[
            (OPEN, "tournament `d` exists already"),
            ("tournament-e PlayerRegistered player=ann entry=20+30", "tournament `e` does not exist"),
            ("tournament-d PlayerRegistered player=ann entry=0+50", "entry of player `ann` exists already"),
            ("tournament-d PlayerRegistered player=bob entry=20+20", "entry is 40, expected 50"),
            ("tournament-d PlayerRegistered player=bob entry=30+20", "account bonus:bob is short by 10 G"),
            ("tournament-d PlayerUnregistered player=bob", "entry of player `bob` does not exist"),
            (
                "tournament-d EntryRefunded player=ann entry=20+30 corrects=@tournament-d#2",
                "player ann is taking part, this event needs it gone",
            ),
            ("tournament-d TournamentSeeded seeds=ann", "players drawn is 1 others, expected the 1 who have a place"),
        ],
    );
    refused(
        &after(&[FOUR_IN]),
        &[
            (
                "tournament-d PlayerRegistered player=eve entry=0+50",
                "tournament d is full, this event needs it to have a place left",
            ),
            (
                "tournament-d TournamentSeeded seeds=ann,bob,cat,eve",
                "players drawn is 4 others, expected the 4 who have a place",
            ),
            (
                "tournament-d TournamentSeeded seeds=ann,bob,cat,ann",
                "players drawn is 4 others, expected the 4 who have a place",
            ),
        ],
    );
}

#[test]
fn rounds_follow_the_draw_one_by_one_and_end_with_the_final() {
    refused(
        &after(&[FOUR_IN]),
        &[(
            "tournament-d RoundOpened round=1 matches=ann:dan,bob:cat",
            "tournament d is not drawn, this event needs it drawn",
        )],
    );
    let drawn = after(&[FOUR_IN, DRAWN]);
    let open = "tournament d is drawn, this event needs it open for registration";
    refused(
        &drawn,
        &[
            ("tournament-d TournamentSeeded seeds=ann,bob,cat,dan", open),
            ("tournament-d TournamentCancelled", open),
            ("tournament-d RoundOpened round=1 matches=ann:dan,bob:cat", "round is 1, expected 2"),
            ("tournament-d RoundOpened round=0 matches=ann:dan", "round is 0, expected 2"),
            (
                "tournament-d RoundOpened round=2 matches=ann:bob",
                "tournament d is without all results of round 1, this event needs it complete up to there",
            ),
        ],
    );
    refused(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS]),
        &[("tournament-d RoundOpened round=2 matches=ann:bob,cat:dan", "matches is 2, expected 1")],
    );
    refused(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL]),
        &[(
            "tournament-d RoundOpened round=3 matches=bob:-",
            "tournament d is through all its 2 rounds, this event needs it to have a round left",
        )],
    );
}

#[test]
fn a_match_is_decided_once_between_its_own_players() {
    refused(
        &after(&[FOUR_IN, DRAWN, "tournament-d MatchDecided round=1 slot=0 winner=ann loser=dan"]),
        &[
            ("tournament-d MatchDecided round=1 slot=0 winner=dan loser=ann", "result of match `1/0` exists already"),
            ("tournament-d MatchDecided round=1 slot=2 winner=dan loser=ann", "match `1/2` does not exist"),
            ("tournament-d MatchDecided round=0 slot=0 winner=dan loser=ann", "round `0` does not exist"),
            ("tournament-d MatchDecided round=2 slot=0 winner=dan loser=ann", "round `2` does not exist"),
            (
                "tournament-d MatchDecided round=1 slot=1 winner=ann loser=bob",
                "player in this match `ann` does not exist",
            ),
            (
                "tournament-d MatchDecided round=1 slot=1 winner=cat loser=ann",
                "player in this match `ann` does not exist",
            ),
            ("tournament-d MatchDecided round=1 slot=1 winner=cat loser=cat", "loser `cat` does not exist"),
        ],
    );
}

#[test]
fn a_result_is_corrected_voided_or_ordered_again() {
    let played = after(&[FOUR_IN, DRAWN, SEMIFINALS]);
    let correction = "tournament-d MatchResultCorrected round=1 slot=0 winner=dan loser=ann supersedes=@tournament-d#8";
    check(
        &format!("{played}\n{correction}\ntournament-d RoundOpened round=2 matches=dan:bob"),
        r#"tournaments/tournaments/d/rounds/0/results/0/winner = "dan"
           tournaments/tournaments/d/rounds/0/results/0/event/revision = 10"#,
    );
    let voided = "tournament-d MatchVoided round=1 slot=0 corrects=@tournament-d#8
                  tournament-d MatchReplayOrdered round=1 slot=0 first=ann second=dan";
    check(&format!("{played}\n{voided}"), "tournaments/tournaments/d/rounds/0/results/0 = nothing");
    taken(&format!("{played}\n{voided}"), &["tournament-d MatchDecided round=1 slot=0 winner=dan loser=ann"]);
    refused(
        &played,
        &[
            (&correction.replace("#8", "#9"), "supersedes is @tournament-d#9, expected @tournament-d#8"),
            (&correction.replace("slot=0", "slot=7"), "result of match `1/7` does not exist"),
            (&correction.replace("loser=ann", "loser=bob"), "player in this match `bob` does not exist"),
            (&correction.replace("loser=ann", "loser=dan"), "loser `dan` does not exist"),
            (
                "tournament-d MatchVoided round=1 slot=0 corrects=@tournament-d#1",
                "corrects is @tournament-d#1, expected @tournament-d#8",
            ),
            (
                "tournament-d MatchReplayOrdered round=1 slot=0 first=ann second=dan",
                "result of match `1/0` exists already",
            ),
            ("tournament-d MatchReplayOrdered round=3 slot=0 first=ann second=dan", "round `3` does not exist"),
        ],
    );
}

#[test]
fn a_bracket_that_does_not_follow_is_a_violation_until_it_is_rebuilt() {
    let wrong = after(&[FOUR_IN, DRAWN, SEMIFINALS, "tournament-d RoundOpened round=2 matches=dan:bob"]);
    check(&wrong, "broken bracket tournament-d since tournament-d@10");
    let right: Vec<wox_events::tournament::Pairing> =
        serde_json::from_str(r#"[{"first":"ann","second":"bob"}]"#).unwrap();
    let digest = wox_projections::tournaments::pairings_digest(&right);
    let rebuilt = format!(
        "tournament-d BracketRebuilt round=2 matches=ann:bob digest={digest} corrects=@tournament-d#10 .from=recovery"
    );
    check(&format!("{wrong}\n{rebuilt}"), "tournaments/tournaments/d/rounds/1/opened/revision = 11");
    refused(
        &wrong,
        &[
            (&rebuilt.replace("#10", "#7"), "corrects is @tournament-d#7, expected @tournament-d#10"),
            (&rebuilt.replace("round=2", "round=3"), "round `3` does not exist"),
            (
                &rebuilt.replace("ann:bob", "bob:ann"),
                &format!(
                    "digest is {digest}, expected {}",
                    wox_projections::tournaments::pairings_digest(
                        &serde_json::from_str::<Vec<_>>(r#"[{"first":"bob","second":"ann"}]"#).unwrap()
                    )
                ),
            ),
        ],
    );
    let other: Vec<wox_events::tournament::Pairing> =
        serde_json::from_str(r#"[{"first":"bob","second":"ann"}]"#).unwrap();
    let other_digest = wox_projections::tournaments::pairings_digest(&other);
    refused(
        &wrong,
        &[(
            &format!(
                "tournament-d BracketRebuilt round=2 matches=bob:ann digest={other_digest} corrects=@tournament-d#10"
            ),
            "pairings is others, expected the ones that follow from the results",
        )],
    );
    refused(
        &format!("{wrong}\ntournament-d MatchDecided round=2 slot=0 winner=dan loser=bob"),
        &[(&rebuilt, "result of match `2/0` exists already")],
    );
}

#[test]
fn a_schedule_is_frozen_and_adds_up() {
    let decided = after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL]);
    let unscheduled = "tournament d is without a prize schedule, this event needs it to have one";
    refused(
        &decided,
        &[
            (&SCHEDULE.replace("total=200", "total=201"), "total of the prizes is 201, expected 200"),
            ("tournament-d PrizeDeferred prize=first player=bob amount=100", unscheduled),
            (
                "tournament-d PrizeScheduleFixed total=0 \
                 prizes=first:ann:100000000000000000000,second:bob:100000000000000000000",
                "total of the prizes is 0, expected a sum within the range of amounts",
            ),
        ],
    );
    refused(
        &format!("{decided}\n{SCHEDULE}"),
        &[
            (SCHEDULE, "prize schedule of tournament `d` exists already"),
            ("tournament-d PrizePaid prize=first player=bob amount=201", "account pool is short by 1 G"),
            (
                "tournament-d PrizeReversed player=bob amount=100 corrects=@tournament-d#1",
                "payment `@tournament-d#1` does not exist",
            ),
        ],
    );
}

#[test]
fn prizes_paid_otherwise_than_scheduled_are_violations() {
    let scheduled = after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, SCHEDULE]);
    check(&scheduled, "pool = 200");
    let wrong = format!("{scheduled}\ntournament-d PrizePaid prize=third player=eve amount=20");
    check(
        &wrong,
        "withdrawable:eve = 120
         broken prizes_paid tournament-d since tournament-d@13",
    );
    let reversal = "tournament-d PrizeReversed player=eve amount=20 corrects=@tournament-d#13 .from=recovery";
    check(&format!("{wrong}\n{reversal}"), "withdrawable:eve = 100\npool = 200");
    refused(
        &wrong,
        &[
            (&reversal.replace("player=eve", "player=ann"), "player is ann, expected eve"),
            (&reversal.replace("amount=20", "amount=10"), "amount is 10, expected 20"),
        ],
    );
    refused(&format!("{wrong}\n{reversal}"), &[(reversal, "reversal of payment `@tournament-d#13` exists already")]);
    check(
        &format!(
            "{scheduled}\n{PAID}\npool-main PoolContributed amount=100\ntournament-d PrizePaid prize=first player=bob amount=100"
        ),
        "broken prizes_paid tournament-d since tournament-d@17",
    );
    check(
        &format!("{scheduled}\n{}\n{CLOSED}", PAID.lines().take(3).collect::<Vec<_>>().join("\n")),
        "broken prizes_paid tournament-d since tournament-d@12
         broken prizes_paid tournament-d since tournament-d@12",
    );
}

#[test]
fn a_prize_that_is_owed_is_deferred_until_it_is_paid() {
    let owed = after(&[
        FOUR_IN,
        DRAWN,
        SEMIFINALS,
        FINAL,
        SCHEDULE,
        "tournament-d PrizeDeferred prize=first player=bob amount=100",
    ]);
    check(&owed, r#"tournaments/tournaments/d/deferred/0/player = "bob""#);
    check(&format!("{owed}{PAID}"), "tournaments/tournaments/d/deferred = []");
}

#[test]
fn a_tournament_closes_once() {
    refused(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, SCHEDULE, PAID, CLOSED]),
        &[(CLOSED, "tournament d is closed, this event needs it open")],
    );
}

const CUP: &str = "
    tournament-c TournamentOpened format=round_robin entry_fee=0 players_max=8
    tournament-c PlayerRegistered player=ann entry=0+0
    tournament-c PlayerRegistered player=bob entry=0+0
    tournament-c PlayerRegistered player=cat entry=0+0
    tournament-c PlayerRegistered player=dan entry=0+0
    tournament-c TournamentSeeded seeds=ann,bob,cat,dan
    tournament-c RoundOpened round=1 matches=ann:dan,bob:cat
    tournament-c MatchDecided round=1 slot=0 winner=ann loser=dan";

#[test]
fn in_a_round_robin_any_order_of_strangers_is_right() {
    check(
        &format!(
            "{PLAYERS}{CUP}
             tournament-c RoundOpened round=2 matches=ann:bob,cat:dan
             tournament-c RoundOpened round=3 matches=ann:cat,dan:bob"
        ),
        "entries:c = 0",
    );
    for wrong in ["dan:ann,bob:cat", "ann:bob,ann:cat", "ann:eve,bob:dan"] {
        check(
            &format!("{PLAYERS}{CUP}\ntournament-c RoundOpened round=2 matches={wrong}"),
            "broken bracket tournament-c since tournament-c@9",
        );
    }
    refused(
        &format!(
            "{PLAYERS}{CUP}
             tournament-c RoundOpened round=2 matches=ann:bob,cat:dan
             tournament-c RoundOpened round=3 matches=ann:cat,dan:bob"
        ),
        &[(
            "tournament-c RoundOpened round=4 matches=ann:dan,bob:cat",
            "tournament c is through all its 3 rounds, this event needs it to have a round left",
        )],
    );
}

#[test]
fn the_places_of_a_tournament_are_those_who_did_not_leave() {
    let given = after(&[FOUR_IN, "tournament-d PlayerUnregistered player=bob"]);
    let state = replay(&Story::default().tell_all(&given)).state;
    let tournament = state.tournaments.get("d").unwrap();
    let names: Vec<&str> = tournament.players().map(|player| player.as_str()).collect();
    assert_eq!(names, ["ann", "cat", "dan"]);
    assert_eq!(state.tournaments.iter().len(), 1);
    assert!(tournament.prize_status().wrong.is_empty(), "without a schedule nothing is wrong");
    assert_eq!(tournament.expected_pairings(1), None, "no results, no pairings");
}

#[test]
fn a_voided_match_leaves_a_place_that_its_next_winner_takes() {
    let rebuilt: Vec<wox_events::tournament::Pairing> = serde_json::from_str(r#"[{"second":"bob"}]"#).unwrap();
    let digest = wox_projections::tournaments::pairings_digest(&rebuilt);
    let voided = after(&[
        FOUR_IN,
        DRAWN,
        SEMIFINALS,
        FINAL,
        "tournament-d MatchVoided round=1 slot=0 corrects=@tournament-d#8
         tournament-d MatchVoided round=2 slot=0 corrects=@tournament-d#11",
        &format!("tournament-d BracketRebuilt round=2 matches=-:bob digest={digest} corrects=@tournament-d#10"),
    ]);
    check(&voided, "tournaments/tournaments/d/rounds/1/pairings/0/first = nothing");
    refused(
        &voided,
        &[(
            "tournament-d MatchDecided round=2 slot=0 winner=bob loser=- reason=bye",
            "match 2/0 is waiting for a match before it, this event needs it to have both sides",
        )],
    );
    let again = format!("{voided}\ntournament-d MatchDecided round=1 slot=0 winner=dan loser=ann");
    check(&again, r#"tournaments/tournaments/d/rounds/1/pairings/0/first = "dan""#);
    taken(&again, &["tournament-d MatchDecided round=2 slot=0 winner=bob loser=dan"]);
    let state = replay(&Story::default().tell_all(&again)).state;
    let open: Vec<(u8, u16)> =
        state.tournaments.get("d").unwrap().unplayed().map(|open| (open.round, open.slot)).collect();
    assert_eq!(open, [(2, 0)], "nobody was told to play the final again");
}

#[test]
fn a_result_that_is_corrected_leaves_what_stands_on_it_wrong() {
    check(
        &after(&[
            FOUR_IN,
            DRAWN,
            SEMIFINALS,
            FINAL,
            "tournament-d MatchResultCorrected round=1 slot=0 winner=dan loser=ann supersedes=@tournament-d#8",
        ]),
        "tournaments/tournaments/d/rounds/0/results/0/corrected = true
         broken bracket tournament-d since tournament-d@10",
    );
}

#[test]
fn a_schedule_is_withdrawn_and_frozen_again_with_its_amounts() {
    let withdrawn = after(&[
        FOUR_IN,
        DRAWN,
        SEMIFINALS,
        FINAL,
        SCHEDULE,
        CLOSED,
        "tournament-d PrizeScheduleWithdrawn corrects=@tournament-d#12
         tournament-d TournamentReopened corrects=@tournament-d#13",
    ]);
    check(
        &withdrawn,
        "tournaments/tournaments/d/schedule = nothing
         tournaments/tournaments/d/closed = nothing
         tournaments/tournaments/d/withdrawn/pool_at = \"200\"",
    );
    refused(
        &withdrawn,
        &[
            (
                "tournament-d PrizeScheduleWithdrawn corrects=@tournament-d#12",
                "tournament d is without a prize schedule, this event needs it to have one",
            ),
            (
                "tournament-d TournamentReopened corrects=@tournament-d#13",
                "tournament d is open, this event needs it closed",
            ),
        ],
    );
    check(
        &format!("{withdrawn}\ntournament-d PrizeScheduleFixed pool_at=100 total=90 prizes=first:ann:90"),
        "tournaments/tournaments/d/withdrawn/pool_at = \"200\"",
    );
    check(
        &format!("{withdrawn}\ntournament-d PrizeScheduleFixed pool_at=200 total=100 prizes=first:ann:100"),
        "tournaments/tournaments/d/withdrawn = nothing",
    );
    taken(
        &withdrawn,
        &[
            "tournament-d PrizeScheduleFixed pool_at=200 total=200 prizes=first:ann:100,second:bob:60,third:dan:20,fourth:cat:20",
            CLOSED,
        ],
    );
    refused(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, SCHEDULE, CLOSED]),
        &[
            (
                "tournament-d PrizeScheduleWithdrawn corrects=@tournament-d#1",
                "corrects is @tournament-d#1, expected @tournament-d#12",
            ),
            (
                "tournament-d TournamentReopened corrects=@tournament-d#1",
                "corrects is @tournament-d#1, expected @tournament-d#13",
            ),
        ],
    );
}

#[test]
fn a_prize_without_a_schedule_is_taken_with_the_pool_of_before_it() {
    let paid = after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, "tournament-d PrizePaid prize=first player=bob amount=90"]);
    check(
        &format!("{paid}\ntournament-d PrizePaid prize=second player=ann amount=10"),
        "pool = 100
         tournaments/tournaments/d/pool_before = \"200\"",
    );
    check(
        &format!("{paid}\n{SCHEDULE}"),
        "tournaments/tournaments/d/pool_before = nothing\nbroken prizes_paid tournament-d since tournament-d@12",
    );
    refused(
        &after(&[FOUR_IN]),
        &[(
            "tournament-d PrizePaid prize=first player=bob amount=90",
            "tournament d is without a prize schedule, this event needs it to have one",
        )],
    );
}

#[test]
fn who_withdraws_after_the_draw_keeps_no_claim_to_the_entry() {
    let gone = after(&[FOUR_IN, DRAWN, "tournament-d PlayerUnregistered player=dan"]);
    check(
        &gone,
        "pool = 200
         tournaments/tournaments/d/entries/dan/left = false
         tournaments/tournaments/d/entries/dan/left_by/revision = 8",
    );
    refused(
        &gone,
        &[
            ("tournament-d PlayerUnregistered player=dan", "entry of player `dan` does not exist"),
            (
                "tournament-d EntryRefunded player=dan entry=0+50 corrects=@tournament-d#5",
                "player dan is taking part, this event needs it gone",
            ),
        ],
    );
    refused(
        &after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, SCHEDULE, PAID, CLOSED]),
        &[(
            "tournament-d PlayerUnregistered player=dan",
            "tournament d is drawn, this event needs it open for registration",
        )],
    );
}

#[test]
fn places_follow_from_a_bracket_that_is_decided_and_sound() {
    let places = |given: &str| {
        let state = replay(&Story::default().tell_all(given)).state;
        let tournament = state.tournaments.get("d").unwrap();
        tournament.placing().map(|placing| placing.places.map(|place| place.map(ToString::to_string)))
    };
    let names = |names: [&str; 4]| Some(names.map(|name| Some(name.to_owned())));
    assert_eq!(places(&after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL])), names(["bob", "ann", "dan", "cat"]));
    assert_eq!(places(&after(&[FOUR_IN, DRAWN, SEMIFINALS])), None);
    let corrected = "tournament-d MatchResultCorrected round=1 slot=0 winner=dan loser=ann supersedes=@tournament-d#8";
    assert_eq!(places(&after(&[FOUR_IN, DRAWN, SEMIFINALS, FINAL, corrected])), None);
}
