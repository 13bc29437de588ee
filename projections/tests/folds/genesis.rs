//! What a game that was taken over begins with (row E5), and what is never done on an assumption.

use crate::story::{check, refused, taken};

const PLAYERS: &str = "
    player-ann StateImported handle=ann bonus=20 withdrawable=100
    player-bob StateImported handle=bob bonus=0 withdrawable=7.25";
const DUEL: &str = r#"
    duel-1 DuelImported challenger=ann opponent=bob bet=50 next=bob stakes:=[{"player":"ann","assumed":{"bonus":"50","withdrawable":"0"}},{"player":"bob","assumed":{"bonus":"50","withdrawable":"0"}}]"#;
const OPEN: &str = "
    withdrawal-7 WithdrawalImported player=ann amount=50 net=48 pool_share=1 burn_share=1 standing=in_doubt
    burn-7 BurnImported withdrawal=7 amount=1
    burn-imported:9 BurnImported withdrawal=imported:9 amount=0.25
    pool-main PoolImported balance=1";

fn after(steps: &[&str]) -> String {
    format!("{PLAYERS}\n{}", steps.join("\n"))
}

#[test]
fn every_opening_entry_is_balanced_against_the_import_account() {
    check(
        &after(&[
            DUEL,
            OPEN,
            "withdrawal-6 WithdrawalImported standing=paid player=bob",
            "burn-imported:1 BurnImported withdrawal=imported:1 standing=burned",
        ]),
        r#"bonus:ann = 20
           withdrawable:bob = 7.25
           escrow:1 = 100
           in_flight:7 = 48
           in_flight:6 = 0
           burn_queue = 1.25
           pool = 1
           players/imported = "127.25"
           duels/imported = "100"
           withdrawals/imported = "48"
           burns/imported = "1.25"
           pool/imported = "1"
           withdrawals/settled = "0"
           burns/settled = "0"
           conservation/drift = "0""#,
    );
}

#[test]
fn a_running_duel_goes_on_and_pays_both_stakes() {
    check(
        &after(&[
            DUEL,
            "duel-1 SpellCast turn=1 player=bob
             duel-1 DuelEnded winner=bob loser=ann
             duel-1 DuelSettled winner=bob amount=100",
        ]),
        r#"escrow:1 = 0
           withdrawable:bob = 107.25
           conservation/drift = "0""#,
    );
}

#[test]
fn an_assumed_stake_goes_back_to_the_bonus_and_a_person_may_move_it() {
    check(
        &after(&[
            DUEL,
            "duel-1 DuelVoided
             duel-1 StakeReleased player=ann stake=50+0 corrects=@duel-1#1
             duel-1 StakeReleased player=bob stake=50+0 corrects=@duel-1#1
             duel-1 BucketCorrected player=bob from=bonus to=withdrawable amount=30 corrects=@duel-1#4",
        ]),
        r#"escrow:1 = 0
           bonus:ann = 70
           withdrawable:ann = 100
           bonus:bob = 20
           withdrawable:bob = 37.25"#,
    );
}

#[test]
fn what_does_not_add_up_is_no_opening() {
    refused(
        &after(&[DUEL, OPEN]),
        &[
            ("duel-1 DuelImported challenger=ann opponent=bob bet=50", "duel `1` exists already"),
            ("duel-2 DuelImported challenger=ann opponent=ann bet=50", "opponent is ann, expected another player"),
            (
                "duel-2 DuelImported challenger=ann opponent=bob bet=50 standing=opponent_won",
                "duel 2 is staked by 2, this event needs it without stakes",
            ),
            (
                "duel-2 DuelImported challenger=ann opponent=bob bet=50 stakes:=[]",
                "duel 2 is staked by 0, this event needs it staked by both, in their order",
            ),
            (
                "withdrawal-8 WithdrawalImported player=ann amount=50 net=47 pool_share=1 burn_share=1",
                "sum of the parts is 49, expected 50",
            ),
            ("withdrawal-7 WithdrawalImported", "withdrawal `7` exists already"),
            ("burn-7 BurnImported withdrawal=7", "burn `7` exists already"),
            ("burn-8 BurnImported withdrawal=7", "withdrawal is 7, expected 8"),
            ("deposit-1:0xa:0 CreditImported chain=1 tx=0xa", "stream is 1:0xa:0, expected 1:0xa:imported"),
        ],
    );
}

#[test]
fn an_open_withdrawal_settles_and_is_reversed_only_with_a_burn_that_is_known() {
    let settled = "withdrawal-7 WithdrawalSettled tx=0xp net=48";
    check(
        &after(&[OPEN, settled]),
        r#"in_flight:7 = 0
           withdrawals/settled = "48"
           conservation/drift = "0""#,
    );
    let failed = "withdrawal-7 TxBroadcast tx=0xp
                  withdrawal-7 TxReverted tx=0xp finality=finalized";
    let release = r#"withdrawal-7 HoldReleased player=ann amount=50 net=48 pool_share=1 burn_share=1 corrects=@withdrawal-7#1 proof:={"reverted":{"tx":"0xp","block_hash":"0xb"}}"#;
    check(
        &after(&[OPEN, failed, release]),
        r#"withdrawable:ann = 150
           pool = 0
           burn_queue = 0.25
           conservation/drift = "0""#,
    );
    let unknown = OPEN.replace("standing=in_doubt", "standing=in_doubt burn_known=false");
    refused(
        &after(&[&unknown, failed]),
        &[(release, "withdrawal 7 is imported, this event needs it of a fee whose burn is known")],
    );
}

#[test]
fn no_recovery_books_a_transaction_again_that_was_dealt_with_before() {
    let dealt_with = |standing: &str| {
        after(&[&format!(
            "deposit-1:0xa:imported CreditImported chain=1 tx=0xa value=5 standing={standing}
             deposit-1:0xa:3 DepositObserved chain=1 tx=0xa ordinal=3 value=5"
        )])
    };
    let credit = "deposit-1:0xa:3 DepositCredited .from=recovery chain=1 tx=0xa ordinal=3 player=ann amount=5 dust=0";
    let suspend = "deposit-1:0xa:3 DepositQuarantined .from=recovery value=5";
    for standing in ["credited", "unknown"] {
        refused(
            &dealt_with(standing),
            &[
                (credit, "credit of deposit `1:0xa:3` exists already"),
                (suspend, "credit of deposit `1:0xa:3` exists already"),
                ("deposit-1:0xa:imported CreditImported chain=1 tx=0xa", "imported transaction `0xa` exists already"),
            ],
        );
    }
    for standing in ["failed", "returned"] {
        taken(&dealt_with(standing), &[credit, suspend]);
    }
}

#[test]
fn a_credit_by_the_game_of_money_that_was_imported_is_a_duplicate() {
    let before = after(&["deposit-1:0xa:imported CreditImported chain=1 tx=0xa value=5.12 standing=credited
             deposit-1:0xa:3 DepositObserved chain=1 tx=0xa ordinal=3 value=5.125
             deposit-1:0xa:3 DepositCredited chain=1 tx=0xa ordinal=3 player=ann amount=5.12 dust=0.005"]);
    check(
        &before,
        r#"withdrawable:ann = 105.12
           conservation/drift = "+5.125"
           broken conservation ledger since deposit-1:0xa:3@2
           broken deposit_once deposit-1:0xa:3 since deposit-1:0xa:3@2"#,
    );
    let debit = "deposit-1:0xa:3 DepositDebited player=ann amount=5.12 dust=0.005 corrects=@deposit-1:0xa:3#2";
    check(
        &format!("{before}\n{debit}"),
        r#"withdrawable:ann = 100
           conservation/drift = "0""#,
    );
}

#[test]
fn a_credit_after_a_rename_goes_to_the_player_and_not_to_the_handle() {
    check(
        &after(&["player-ann HandleChanged old=ann new=annie
             player-cat PlayerCreated handle=ann bonus=20
             deposit-1:0xa:0 DepositObserved chain=1 tx=0xa ordinal=0 value=5
             deposit-1:0xa:0 DepositAttributed player=ann
             deposit-1:0xa:0 DepositCredited chain=1 tx=0xa ordinal=0 player=ann amount=5 dust=0"]),
        r#"withdrawable:ann = 105
           withdrawable:cat = 0
           players/players/ann/handle = "annie"
           players/players/cat/handle = "ann""#,
    );
}
