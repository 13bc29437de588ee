//! What was seen of the chain, bound wallets, money that leaves suspense, fences (rows R12 and R13).

use crate::story::{check, refused, taken};

const ANN: &str = "player-ann StateImported handle=ann bonus=0 withdrawable=100";
const BOB: &str = "player-bob StateImported handle=bob bonus=0 withdrawable=0";
const POLICY: &str = "chain-8453 ChainPolicyDeclared quorum=2 genesis=0xg";
const HELD: &str = "
    deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10.125 block=5 block_hash=0xb
    deposit-8453:0xa:0 DepositQuarantined value=10.125";

fn after(steps: &[&str]) -> String {
    format!("{ANN}\n{BOB}\n{}", steps.join("\n"))
}

#[test]
fn the_rules_of_a_chain_may_change_but_not_which_chain_it_is() {
    check(&after(&[POLICY, "chain-8453 ChainPolicyDeclared quorum=3 genesis=0xg"]), "chain/policies/8453/quorum = 3");
    refused(
        &after(&[POLICY]),
        &[
            ("chain-8453 ChainPolicyDeclared quorum=2 genesis=0xother", "genesis is 0xother, expected 0xg"),
            ("chain-8453 ChainPolicyDeclared quorum=0 genesis=0xg", "the quorum is 0, this event needs it 1 or more"),
            ("chain-1 ChainPolicyDeclared quorum=2 genesis=0xg", "stream is 1, expected 8453"),
        ],
    );
}

#[test]
fn what_is_seen_stands_in_the_stream_of_its_subject_and_the_newest_look_counts() {
    let look = "chain-8453:tx:0xa TransactionLooked tx=0xa";
    check(
        &after(&[&format!("{look} at=1"), &format!("{look} at=2 .from=observed")]),
        "chain/transactions/8453:tx:0xa/at = 2",
    );
    refused(
        &after(&[]),
        &[
            ("chain-8453:tx:0xb TransactionLooked tx=0xa", "stream is 8453:tx:0xb, expected 8453:tx:0xa"),
            ("chain-8453:slot:w:1 SlotLooked wallet=w nonce=2", "stream is 8453:slot:w:1, expected 8453:slot:w:2"),
            ("chain-8453:wallet:w WalletScanned wallet=x", "stream is 8453:wallet:w, expected 8453:wallet:x"),
            ("chain-1 HoldingsLooked", "stream is 1, expected 8453"),
        ],
    );
    taken(
        &after(&[]),
        &[
            "chain-8453:slot:w:1 SlotLooked wallet=w nonce=1",
            "chain-8453:wallet:w WalletScanned wallet=w",
            "chain-8453 HoldingsLooked",
            "chain-8453 FinalityViolation",
            "chain-8453 DoublePayment",
            "chain-8453 ReconciliationDrift",
        ],
    );
}

#[test]
fn looking_at_the_chain_does_not_move_the_games_clock() {
    let story = crate::story::Story::default().tell_all(&format!("{ANN} .at=10\n{POLICY} .at=99 .from=observed"));
    assert_eq!(crate::story::replay(&story).game_clock, wox_events::Timestamp(10_000_000));
}

#[test]
fn posts_of_the_bank_that_name_another_player_are_kept_beside_the_first() {
    let by = |player: &str, post: &str| format!("chain-8453:bank:0xa BankConfirmed tx=0xa player={player} post={post}");
    check(&after(&[&by("ann", "1"), &by("ann", "2")]), r#"chain/confirmations/0xa/player = "ann""#);
    check(
        &after(&[&by("ann", "1"), &by("bob", "2"), &by("bob", "3")]),
        r#"chain/confirmations/0xa/player = "ann"
           chain/confirmations/0xa/others/0/player = "bob"
           chain/confirmations/0xa/others/0/post = "2""#,
    );
}

#[test]
fn what_the_bank_says_does_not_stand_in_the_streams_of_looks() {
    let needs = "stream is 8453:tx:0xa, expected 8453:bank:0xa or 8453";
    refused(
        &after(&[POLICY]),
        &[
            ("chain-8453:tx:0xa BankConfirmed tx=0xa player=ann", needs),
            (
                "chain-8453:slot:w:1 BankConfirmed tx=0xa player=ann",
                "stream is 8453:slot:w:1, expected 8453:bank:0xa or 8453",
            ),
            (
                "chain-8453:wallet:w BankConfirmed tx=0xa player=ann",
                "stream is 8453:wallet:w, expected 8453:bank:0xa or 8453",
            ),
        ],
    );
    taken(&after(&[]), &["chain-8453 BankConfirmed tx=0xa player=ann"]);
}

#[test]
fn a_wallet_is_bound_to_one_player_until_it_is_unbound() {
    let bound = "player-ann WalletBound wallet=0xw";
    check(&after(&[bound]), r#"players/wallets/0xw/player = "ann""#);
    check(
        &after(&[bound, "player-ann WalletUnbound wallet=0xw", "player-bob WalletBound wallet=0xw"]),
        r#"players/wallets/0xw/player = "bob""#,
    );
    refused(
        &after(&[bound]),
        &[
            ("player-bob WalletBound wallet=0xw", "wallet `0xw` exists already"),
            ("player-bob WalletUnbound wallet=0xw", "wallet `0xw` does not exist"),
            ("player-ann WalletUnbound wallet=0xv", "wallet `0xv` does not exist"),
        ],
    );
}

#[test]
fn money_leaves_suspense_once_whole_and_for_its_own_event() {
    let release =
        "deposit-8453:0xa:0 QuarantineReleased player=ann amount=10.12 dust=0.005 corrects=@deposit-8453:0xa:0#2";
    check(
        &after(&[HELD, release]),
        r#"withdrawable:ann = 110.12
           dust = 0.005
           suspense = 0
           deposits/deposits/8453:0xa:0/phase = "credited"
           conservation/drift = "0""#,
    );
    let whole = after(&[HELD]);
    refused(
        &whole,
        &[
            (
                "deposit-8453:0xa:0 QuarantineReleased player=ann amount=10 dust=0 corrects=@deposit-8453:0xa:0#2",
                "value is 10, expected 10.125",
            ),
            (
                "deposit-8453:0xa:0 QuarantineReleased player=ann amount=10.12 dust=0.005 corrects=@deposit-8453:0xa:0#1",
                "deposit 8453:0xa:0 is quarantined, this event needs it in suspense by that event",
            ),
            (
                "deposit-8453:0xa:0 DepositCredited tx=0xa ordinal=0 player=ann amount=10.12 dust=0.005",
                "deposit 8453:0xa:0 is quarantined, this event needs it observed",
            ),
        ],
    );
    refused(
        &after(&[HELD, release]),
        &[(release, "deposit 8453:0xa:0 is credited, this event needs it in suspense by that event")],
    );
}

#[test]
fn a_replaced_deposit_is_over_unless_it_is_seen_again() {
    let seen = "deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10 block=5 block_hash=0xb finality=unsafe";
    let replaced = "deposit-8453:0xa:0 DepositReplaced by=0xw";
    check(&after(&[seen, replaced]), r#"deposits/deposits/8453:0xa:0/phase = "replaced""#);
    check(&after(&[seen, replaced, seen]), r#"deposits/deposits/8453:0xa:0/phase = "observed""#);
    refused(&after(&[HELD]), &[(replaced, "deposit 8453:0xa:0 is quarantined, this event needs it observed")]);
}

#[test]
fn a_withdrawal_knows_every_slot_that_was_signed_or_fenced_for_it() {
    let asked = "withdrawal-7 WithdrawalRequested player=ann amount=50 destination=0xann";
    let held = "withdrawal-7 FundsHeld player=ann amount=50 net=48 pool_share=1 burn_share=1";
    check(
        &after(&[
            asked,
            held,
            "withdrawal-7 TxSigned wallet=0xw nonce=3 tx=0xp",
            "withdrawal-7 TxSigned wallet=0xw nonce=3 tx=0xq",
            "withdrawal-7 FenceRequested wallet=0xw nonce=3",
            "withdrawal-7 WithdrawalFenced wallet=0xw nonce=3 tx=0xc",
        ]),
        r#"withdrawals/withdrawals/7/slots/0/attempts = ["0xp","0xq"]
           withdrawals/withdrawals/7/slots/0/cancels = ["0xc"]
           withdrawals/withdrawals/7/slots/0/asked/0/intent = "fence"
           withdrawals/withdrawals/7/slots/0/amount = "48"
           withdrawals/withdrawals/7/slots/0/destination = "0xann"
           withdrawals/withdrawals/7/slots/1 = nothing
           in_flight:7 = 48"#,
    );
    refused(
        &after(&[asked]),
        &[(
            "withdrawal-7 FenceRequested wallet=0xw nonce=3",
            "withdrawal 7 is requested, this event needs it held and not settled",
        )],
    );
}

const ASKED: &str = "
    withdrawal-7 WithdrawalRequested player=ann amount=50 destination=0xann
    withdrawal-7 FundsHeld player=ann amount=50 net=48 pool_share=1 burn_share=1
    withdrawal-7 TxSigned wallet=0xw nonce=3 tx=0xp";

#[test]
fn a_signer_is_asked_about_an_attempt_that_exists_while_its_payment_is_open() {
    let (again, more) = (
        "withdrawal-7 RebroadcastRequested wallet=0xw nonce=3 tx=0xp by=alice",
        "withdrawal-7 BumpRequested wallet=0xw nonce=3 tx=0xp by=bob",
    );
    check(
        &after(&[ASKED, again, more]),
        r#"withdrawals/withdrawals/7/slots/0/asked/0/intent = "rebroadcast"
           withdrawals/withdrawals/7/slots/0/asked/0/by = "alice"
           withdrawals/withdrawals/7/slots/0/asked/1/intent = "bump"
           withdrawals/withdrawals/7/slots/1 = nothing
           in_flight:7 = 48"#,
    );
    refused(
        &after(&[ASKED]),
        &[
            ("withdrawal-7 BumpRequested wallet=0xw nonce=3 tx=0xq", "attempt `0xq` does not exist"),
            ("withdrawal-7 RebroadcastRequested wallet=0xw nonce=4 tx=0xp", "attempt `0xp` does not exist"),
        ],
    );
    refused(
        &after(&[ASKED, "withdrawal-7 WithdrawalSettled tx=0xp net=48"]),
        &[(more, "withdrawal 7 is settled, this event needs it held and not settled")],
    );
}

#[test]
fn a_burns_signer_is_asked_likewise() {
    let burn = "
        burn-7 BurnScheduled withdrawal=7 amount=1
        burn-7 BurnTxSigned wallet=0xw nonce=4 tx=0xb";
    let fence = "burn-7 BurnIntentRequested intent=fence wallet=0xw nonce=4 tx=0xb by=alice";
    check(
        &after(&[ASKED, burn, fence]),
        r#"burns/burns/7/slots/0/asked/0/intent = "fence"
           burns/burns/7/phase = "in_doubt"
           burn_queue = 1"#,
    );
    refused(
        &after(&[ASKED, burn]),
        &[("burn-7 BurnIntentRequested intent=bump wallet=0xw nonce=4 tx=0xc", "attempt `0xc` does not exist")],
    );
}

#[test]
fn tokens_of_unknown_origin_enter_suspense_and_leave_it_as_they_came() {
    let kept = "chain-8453 HoldingsAdjusted token=0xt amount=12.5";
    let out = "chain-8453 HoldingsAdjustmentReversed token=0xt amount=12.5 corrects=@chain-8453#1";
    check(
        &after(&[kept]),
        r#"suspense = 12.5
           chain/adjusted = "12.5"
           conservation/drift = "0""#,
    );
    check(
        &after(&[kept, out]),
        r#"suspense = 0
           chain/adjustments = []
           conservation/drift = "0""#,
    );
    refused(
        &after(&[kept]),
        &[
            (
                "chain-8453 HoldingsAdjusted token=0xt amount=0",
                "adjustment @chain-8453#2 is zero, this event needs it an amount",
            ),
            (
                "chain-8453 HoldingsAdjustmentReversed token=0xt amount=1 corrects=@chain-8453#1",
                "amount is 1, expected 12.5",
            ),
            (
                "chain-8453 HoldingsAdjustmentReversed token=0xz amount=12.5 corrects=@chain-8453#1",
                "token is 0xz, expected 0xt",
            ),
        ],
    );
    refused(&after(&[kept, out]), &[(out, "adjustment `@chain-8453#1` does not exist")]);
}

#[test]
fn while_a_final_block_is_missing_no_recovery_moves_money_until_two_people_have_decided() {
    let seen = "deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10.125 block=5 block_hash=0xb";
    let alarm = "chain-8453 FinalityViolation deposit=deposit-8453:0xz:0";
    let over = "chain-8453 FinalityRestored deposit=deposit-8453:0xz:0 violation=@chain-8453#1 first=alice second=bob";
    let book = "deposit-8453:0xa:0 DepositQuarantined value=10.125 .from=recovery";
    let paid = "withdrawal-7 WithdrawalSettled tx=0xp net=48 .from=recovery";
    taken(&after(&[ASKED, seen]), &[book, paid]);
    let stopped = "stopped by the finality violation of chain-8453@1 (position 7), this event needs it";
    refused(
        &after(&[ASKED, seen, alarm]),
        &[
            (book, &format!("deposit 8453:0xa:0 is {stopped} confirmed")),
            (paid, &format!("withdrawal 7 is {stopped} paid")),
        ],
    );
    // What the game itself says is a fact.
    taken(&after(&[ASKED, seen, alarm]), &["withdrawal-7 WithdrawalSettled tx=0xp net=48"]);
    taken(&after(&[ASKED, seen, alarm, over]), &[book, paid]);
    refused(
        &after(&[alarm]),
        &[
            (
                "chain-8453 FinalityRestored deposit=deposit-8453:0xz:0 violation=@chain-8453#1 first=bob second=bob",
                "deposit deposit-8453:0xz:0 is decided by one person, this event needs it decided by two",
            ),
            (
                "chain-8453 FinalityRestored deposit=deposit-8453:0xy:0 violation=@chain-8453#1",
                "violation of `deposit-8453:0xy:0` does not exist",
            ),
            (
                "chain-8453 FinalityRestored deposit=deposit-8453:0xz:0 violation=@chain-8453#9 first=alice second=bob",
                "violation is @chain-8453#9, expected @chain-8453#1",
            ),
        ],
    );
}
