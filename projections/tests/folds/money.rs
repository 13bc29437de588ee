//! Deposits, withdrawals, burns, the pool, and the edges of the ledger (rows R12, R13, R15, E1).

use wox_events::{Amount, PlayerId};
use wox_projections::{Account, External};

use crate::story::{Story, check, refused, replay, taken};

const ANN: &str = "player-ann StateImported handle=ann bonus=20 withdrawable=100";
const BOB: &str = "player-bob StateImported handle=bob bonus=0 withdrawable=0";
/// The largest amount there is: 2^127 - 1 base units.
const MOST: &str = "170141183460469231731.687303715884105727";

fn after(steps: &[&str]) -> String {
    format!("{ANN}\n{BOB}\n{}", steps.join("\n"))
}

const SEEN: &str = "deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10.125";
const CREDIT: &str = "deposit-8453:0xa:0 DepositCredited tx=0xa ordinal=0 player=ann amount=10.12 dust=0.005";

#[test]
fn a_deposit_is_seen_attributed_and_credited() {
    check(
        &after(&[SEEN, "deposit-8453:0xa:0 DepositAttributed player=ann", CREDIT]),
        r#"withdrawable:ann = 110.12
           dust = 0.005
           deposits/confirmed = "10.125"
           deposits/deposits/8453:0xa:0/phase = "credited"
           deposits/deposits/8453:0xa:0/finality = "finalized""#,
    );
}

#[test]
fn a_deposit_may_be_seen_again_and_come_back_after_a_reorg() {
    check(
        &after(&[
            "deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10 finality=unsafe",
            "deposit-8453:0xa:0 DepositReorged",
            "deposit-8453:0xa:0 DepositAttributed player=ann",
        ]),
        r#"deposits/deposits/8453:0xa:0/phase = "reorged"
           deposits/deposits/8453:0xa:0/player = "ann""#,
    );
    check(
        &after(&[
            "deposit-8453:0xa:0 DepositObserved tx=0xa ordinal=0 value=10",
            "deposit-8453:0xa:0 DepositReorged",
            SEEN,
        ]),
        r#"deposits/deposits/8453:0xa:0/phase = "observed"
           deposits/deposits/8453:0xa:0/value = "10.125""#,
    );
}

#[test]
fn money_that_cannot_be_credited_waits_in_suspense() {
    for (kind, phase) in [("DepositQuarantined", "quarantined"), ("DepositDustRecorded", "dust")] {
        check(
            &after(&[SEEN, &format!("deposit-8453:0xa:0 {kind} value=10.125")]),
            &format!(
                r#"suspense = 10.125
                   deposits/confirmed = "10.125"
                   deposits/deposits/8453:0xa:0/phase = "{phase}""#
            ),
        );
        refused(
            &after(&[SEEN, &format!("deposit-8453:0xa:0 {kind} value=10.125")]),
            &[
                (CREDIT, &format!("deposit 8453:0xa:0 is {phase}, this event needs it observed")),
                (
                    "deposit-8453:0xa:0 DepositReorged",
                    &format!("deposit 8453:0xa:0 is {phase}, this event needs it observed"),
                ),
            ],
        );
        refused(&after(&[SEEN]), &[(&format!("deposit-8453:0xa:0 {kind} value=10"), "value is 10, expected 10.125")]);
    }
}

#[test]
fn a_rejected_deposit_moves_nothing() {
    check(
        &after(&[SEEN, "deposit-8453:0xa:0 DepositRejected"]),
        r#"deposits/confirmed = "0"
           deposits/deposits/8453:0xa:0/phase = "rejected""#,
    );
    refused(
        &after(&[SEEN, "deposit-8453:0xa:0 DepositRejected"]),
        &[(CREDIT, "deposit 8453:0xa:0 is rejected, this event needs it observed")],
    );
}

#[test]
fn a_stream_is_about_one_reference_and_its_value() {
    refused(
        &after(&[SEEN]),
        &[
            (
                "deposit-8453:0xa:0 DepositObserved tx=0xb ordinal=0 value=10",
                "reference is 8453:0xb:0, expected 8453:0xa:0",
            ),
            (
                "deposit-8453:0xa:0 DepositCredited tx=0xa ordinal=1 player=ann amount=10.12 dust=0.005",
                "reference is 8453:0xa:1, expected 8453:0xa:0",
            ),
            (
                "deposit-8453:0xa:0 DepositCredited tx=0xa ordinal=0 player=ann amount=10.12 dust=0",
                "credit is 10.12, expected 10.125",
            ),
            (
                "deposit-8453:0xa:0 DepositCredited tx=0xa ordinal=0 player=eve amount=10.12 dust=0.005",
                "player `eve` does not exist",
            ),
            ("deposit-8453:0xb:0 DepositAttributed player=ann", "deposit `8453:0xb:0` does not exist"),
            ("deposit-8453:0xb:0 DepositQuarantined value=1", "deposit `8453:0xb:0` does not exist"),
            (
                "deposit-8453:0xa:0 DepositDebited player=ann amount=10.12 dust=0.005 corrects=@deposit-8453:0xa:0#1",
                "credit `@deposit-8453:0xa:0#1` does not exist",
            ),
        ],
    );
}

/// The same reference, credited again by an old path that named its stream by log index.
const AGAIN: &str = "deposit-8453:0xa:796 DepositCredited tx=0xa ordinal=0 player=ann amount=10.12 dust=0.005";
const TAKEN_BACK: &str = "deposit-8453:0xa:796 DepositDebited player=ann amount=10.12 dust=0.005 \
                          corrects=@deposit-8453:0xa:796#1 .from=recovery";

#[test]
fn a_reference_credited_again_in_another_stream_is_a_duplicate_until_it_is_taken_back() {
    check(
        &after(&[SEEN, CREDIT, AGAIN]),
        r#"withdrawable:ann = 120.24
           deposits/confirmed = "10.125"
           deposits/deposits/8453:0xa:796/credits/0/duplicate_of/revision = 2
           conservation/drift = "+10.125"
           broken deposit_once deposit-8453:0xa:796 since deposit-8453:0xa:796@1
           broken conservation ledger since deposit-8453:0xa:796@1"#,
    );
    check(
        &after(&[SEEN, CREDIT, AGAIN, TAKEN_BACK]),
        r#"withdrawable:ann = 110.12
           dust = 0.005
           conservation/drift = "0"
           deposits/deposits/8453:0xa:796/phase = "debited""#,
    );
    refused(
        &after(&[SEEN, CREDIT, AGAIN, TAKEN_BACK]),
        &[(TAKEN_BACK, "debit of credit `@deposit-8453:0xa:796#1` exists already")],
    );
    refused(
        &after(&[SEEN, CREDIT, AGAIN]),
        &[
            (&TAKEN_BACK.replace("=ann", "=bob"), "player is bob, expected ann"),
            (&TAKEN_BACK.replace("10.12", "10"), "amount is 10, expected 10.12"),
            (&TAKEN_BACK.replace("0.005", "0.004"), "dust is 0.004, expected 0.005"),
        ],
    );
}

#[test]
fn a_second_credit_in_the_same_stream_is_a_duplicate_too() {
    check(
        &after(&[SEEN, CREDIT, CREDIT]),
        "withdrawable:ann = 120.24
         broken deposit_once deposit-8453:0xa:0 since deposit-8453:0xa:0@3
         broken conservation ledger since deposit-8453:0xa:0@3",
    );
}

#[test]
fn the_last_credit_standing_is_no_duplicate() {
    // The first credit was taken back; to take back the second as well would leave the player without the deposit.
    check(
        &after(&[
            SEEN,
            CREDIT,
            AGAIN,
            "deposit-8453:0xa:0 DepositDebited player=ann amount=10.12 dust=0.005 corrects=@deposit-8453:0xa:0#2",
        ]),
        r#"withdrawable:ann = 110.12
           conservation/drift = "0""#,
    );
    check(
        &after(&[
            SEEN,
            CREDIT,
            AGAIN,
            &AGAIN.replace("796", "797"),
            "deposit-8453:0xa:0 DepositDebited player=ann amount=10.12 dust=0.005 corrects=@deposit-8453:0xa:0#2",
        ]),
        "withdrawable:ann = 120.24
         broken deposit_once deposit-8453:0xa:797 since deposit-8453:0xa:797@1
         broken conservation ledger since deposit-8453:0xa:796@1",
    );
}

#[test]
fn a_credit_nobody_saw_on_chain_is_drift() {
    check(
        &after(&[CREDIT]),
        r#"deposits/confirmed = "0"
           conservation/drift = "+10.125"
           broken conservation ledger since deposit-8453:0xa:0@1"#,
    );
}

#[test]
fn a_credit_moves_to_the_player_it_belongs_to() {
    let moved = "deposit-8453:0xa:0 AttributionCorrected from=ann to=bob amount=10.12 corrects=@deposit-8453:0xa:0#2";
    check(
        &after(&[SEEN, CREDIT, moved]),
        r#"withdrawable:ann = 100
           withdrawable:bob = 10.12
           deposits/deposits/8453:0xa:0/player = "bob"
           deposits/deposits/8453:0xa:0/credits/0/player = "bob""#,
    );
    refused(
        &after(&[SEEN, CREDIT]),
        &[
            (&moved.replace("from=ann", "from=bob"), "from is bob, expected ann"),
            (&moved.replace("10.12", "10.13"), "amount is 10.13, expected 10.12"),
            (&moved.replace("to=bob", "to=eve"), "player `eve` does not exist"),
            (&moved.replace("#2", "#1"), "credit `@deposit-8453:0xa:0#1` does not exist"),
        ],
    );
}

const ASKED: &str = "withdrawal-7 WithdrawalRequested player=ann amount=50";
const HELD: &str = "withdrawal-7 FundsHeld player=ann amount=50 net=48 pool_share=1 burn_share=1";
const SIGNED: &str = "withdrawal-7 TxSigned tx=0xp";
const SENT: &str = "withdrawal-7 TxBroadcast tx=0xp post=-";
const MINED: &str = "withdrawal-7 TxMined tx=0xp finality=finalized";
const SETTLED: &str = "withdrawal-7 WithdrawalSettled tx=0xp net=48";
const FAILED: &str = "withdrawal-7 TxReverted tx=0xp finality=finalized";
const FENCED: &str = "withdrawal-7 WithdrawalFenced tx=0xf";
const CANCELLATION: &str = "withdrawal-7 TxMined tx=0xf finality=finalized";

fn released(proof: &str) -> String {
    format!(
        "withdrawal-7 HoldReleased player=ann amount=50 net=48 pool_share=1 burn_share=1 corrects=@withdrawal-7#2 \
         proof:={proof} .from=recovery"
    )
}
const NEVER_SIGNED: &str = r#"{"never_signed":{}}"#;
const REVERTED: &str = r#"{"reverted":{"tx":"0xp","block_hash":"0xb"}}"#;
const CANCELLED: &str = r#"{"cancelled":{"tx":"0xf","block_hash":"0xb"}}"#;

fn operators(first: &str, second: &str) -> String {
    let evidence = wox_events::Digest::of(b"seen");
    format!(r#"{{"operators":{{"first":"{first}","second":"{second}","evidence":"{evidence}"}}}}"#)
}

#[test]
fn a_hold_whose_share_may_be_burned_is_not_released() {
    let burning = after(&[ASKED, HELD, "burn-7 BurnScheduled withdrawal=7 amount=1", "burn-7 BurnTxSigned"]);
    refused(&burning, &[(&released(NEVER_SIGNED), "burn 7 is in doubt, this event needs it not sent")]);
    taken(&after(&[ASKED, HELD, "burn-7 BurnScheduled withdrawal=7 amount=1"]), &[&released(NEVER_SIGNED)]);
}

/// Two requests that name the same payment: the player was paid once, so a recovery settles one of them.
#[test]
fn one_payment_settles_one_withdrawal() {
    let second = "withdrawal-8 WithdrawalRequested player=ann amount=50
                  withdrawal-8 FundsHeld player=ann amount=50 net=48 pool_share=1 burn_share=1";
    let given = after(&[ASKED, HELD, SIGNED, SENT, MINED, SETTLED, second]);
    let again = "withdrawal-8 WithdrawalSettled tx=0xp net=48";
    let reason = "withdrawal 8 is paid by 0xp, which paid withdrawal-7, this event needs it a payment of its own";
    refused(&given, &[(&format!("{again} .from=recovery"), reason)]);
    taken(&given, &[again, "withdrawal-8 WithdrawalSettled tx=0xq net=48 .from=recovery"]);
}

/// Under two spellings one transaction would be two deposits.
#[test]
fn a_transaction_has_one_spelling() {
    let upper = [
        ("deposit-8453:0xA:0 DepositObserved tx=0xA ordinal=0 value=10", "tx is 0xA, expected 0xa"),
        ("deposit-8453:0xA:0 DepositCredited tx=0xA ordinal=0 player=ann amount=10 dust=0", "tx is 0xA, expected 0xa"),
    ];
    refused(&after(&[SEEN, CREDIT]), &upper);
}

#[test]
fn a_withdrawal_is_held_paid_and_settled() {
    check(
        &after(&[ASKED, HELD, SIGNED, SENT]),
        r#"withdrawable:ann = 50
           in_flight:7 = 48
           pool = 1
           burn_queue = 1
           withdrawals/withdrawals/7/phase = "in_doubt"
           withdrawals/withdrawals/7/sent = true"#,
    );
    check(
        &after(&[ASKED, HELD, SIGNED, SENT, "withdrawal-7 TxReplaced", MINED, SETTLED]),
        r#"in_flight:7 = 0
           withdrawals/settled = "48"
           withdrawals/withdrawals/7/mined = ["0xp","finalized"]
           withdrawals/withdrawals/7/phase = "settled""#,
    );
    check(
        &after(&[ASKED, HELD, "withdrawal-7 WithdrawalFailed"]),
        r#"in_flight:7 = 48
           withdrawals/withdrawals/7/phase = "failed""#,
    );
}

#[test]
fn a_hold_is_released_on_proof_and_gives_everything_back() {
    let given_back = r#"withdrawable:ann = 100
        in_flight:7 = 0
        pool = 0
        burn_queue = 0
        withdrawals/withdrawals/7/phase = "released""#;
    check(&after(&[ASKED, HELD, &released(NEVER_SIGNED)]), given_back);
    check(&after(&[ASKED, HELD, SIGNED, SENT, FAILED, &released(REVERTED)]), given_back);
    check(&after(&[ASKED, HELD, SIGNED, FENCED, CANCELLATION, &released(CANCELLED)]), given_back);
    check(&after(&[ASKED, HELD, SENT, &released(&operators("alice", "bob"))]), given_back);
}

#[test]
fn a_hold_is_never_released_while_a_payment_may_land() {
    let alone = operators("alice", "alice");
    let unproven = |is: &str| format!("withdrawal 7 is {is}, this event needs it proven dead on chain");
    let unsafely_failed = FAILED.replace("finality=finalized", "finality=safe");
    let elsewhere = FAILED.replace("0xp", "0xq");
    let no_cancellation = "without a final cancelling transaction of that hash";
    let no_failure = "without a final failed payment of that hash";
    for (steps, proof, is) in [
        (&[SIGNED][..], NEVER_SIGNED, "signed or sent"),
        (&[SENT], NEVER_SIGNED, "signed or sent"),
        (&["withdrawal-7 TxMined tx=0xp finality=safe"], NEVER_SIGNED, "signed or sent"),
        (&[&unsafely_failed], NEVER_SIGNED, "signed or sent"),
        (&[SENT], REVERTED, no_failure),
        (&[SENT, &unsafely_failed], REVERTED, no_failure),
        (&[SENT, &elsewhere], REVERTED, no_failure),
        (&[SENT], CANCELLED, no_cancellation),
        (&[SENT, FENCED], CANCELLED, no_cancellation),
        (&[SENT, FENCED, "withdrawal-7 TxMined tx=0xf finality=safe"], CANCELLED, no_cancellation),
        (&[SENT, CANCELLATION], CANCELLED, "paid, final on chain"),
        (&[SENT], &alone, "decided by one person only"),
        // The payment failed, and then somebody tried again: what failed proves nothing about what was sent after it.
        (&[SENT, FAILED, "withdrawal-7 TxBroadcast tx=0xq post=-"], REVERTED, no_failure),
        (&[SENT, FAILED, "withdrawal-7 TxSigned tx=0xq"], REVERTED, no_failure),
        (&[SENT, FAILED, "withdrawal-7 TxMined tx=0xq finality=unsafe"], REVERTED, no_failure),
    ] {
        let given = after(&[&[ASKED, HELD], steps].concat());
        refused(&given, &[(&released(proof), &unproven(is))]);
    }
}

#[test]
fn a_payment_that_is_final_on_chain_is_never_reversed() {
    let is = "withdrawal 7 is paid, final on chain, this event needs it proven dead on chain";
    for proof in [CANCELLED.to_owned(), operators("alice", "bob")] {
        refused(&after(&[ASKED, HELD, SIGNED, SENT, FENCED, MINED]), &[(&released(&proof), is)]);
    }
    // The cancelling transaction in a block is the proof itself; a payment first seen and then known to have failed too.
    taken(&after(&[ASKED, HELD, SIGNED, SENT, FENCED, CANCELLATION]), &[&released(CANCELLED)]);
    taken(&after(&[ASKED, HELD, SIGNED, SENT, MINED, FAILED]), &[&released(REVERTED)]);
}

#[test]
fn a_release_undoes_exactly_its_hold() {
    let release = released(NEVER_SIGNED);
    refused(
        &after(&[ASKED, HELD]),
        &[
            (&release.replace("player=ann", "player=bob"), "player is bob, expected ann"),
            (&release.replace("amount=50", "amount=51"), "amount is 51, expected 50"),
            (&release.replace("net=48", "net=49"), "net is 49, expected 48"),
            (&release.replace("pool_share=1", "pool_share=2"), "pool share is 2, expected 1"),
            (&release.replace("burn_share=1", "burn_share=0"), "burn share is 0, expected 1"),
            (&release.replace("#2", "#1"), "corrects is @withdrawal-7#1, expected @withdrawal-7#2"),
        ],
    );
    refused(
        &after(&[ASKED, HELD, &release]),
        &[
            (&release, "withdrawal 7 is released, this event needs it held and not settled"),
            (SETTLED, "withdrawal 7 is released, this event needs it held and not settled"),
        ],
    );
}

#[test]
fn a_withdrawal_is_asked_for_once_and_held_once() {
    let unheld = "withdrawal 7 is requested, this event needs it held and not settled";
    refused(
        &after(&[ASKED]),
        &[
            (ASKED, "withdrawal `7` exists already"),
            (&HELD.replace("=ann", "=bob"), "player is bob, expected ann"),
            (&HELD.replace("amount=50", "amount=60"), "amount is 60, expected 50"),
            (&HELD.replace("net=48", "net=47"), "sum of the parts is 49, expected 50"),
            (SENT, unheld),
            (SETTLED, unheld),
            ("withdrawal-7 WithdrawalFailed", unheld),
            (&released(NEVER_SIGNED), unheld),
            (&HELD.replace("-7", "-8"), "withdrawal `8` does not exist"),
        ],
    );
    refused(
        &after(&[ASKED, HELD]),
        &[
            (HELD, "withdrawal 7 is held, this event needs it requested"),
            (&SETTLED.replace("net=48", "net=50"), "net is 50, expected 48"),
        ],
    );
    refused(
        &after(&[ASKED, HELD, SENT, MINED, SETTLED]),
        &[(SETTLED, "withdrawal 7 is settled, this event needs it held and not settled")],
    );
    refused(
        &after(&[&ASKED.replace("amount=50", "amount=101")]),
        &[(
            "withdrawal-7 FundsHeld player=ann amount=101 net=97 pool_share=2 burn_share=2",
            "account withdrawable:ann is short by 1 G",
        )],
    );
}

const SCHEDULED: &str = "burn-7 BurnScheduled withdrawal=7 amount=1 due=9";

#[test]
fn a_burn_waits_is_sent_and_settled_or_cancelled() {
    let held = after(&[ASKED, HELD, SCHEDULED]);
    check(&held, "burns/burns/7/phase = \"scheduled\"");
    for step in ["BurnTxSigned", "BurnTxBroadcast"] {
        check(&format!("{held}\nburn-7 {step}"), "burns/burns/7/phase = \"in_doubt\"");
        refused(
            &format!("{held}\nburn-7 {step}"),
            &[("burn-7 BurnCancelled", "burn 7 is in doubt, this event needs it not yet signed, or proven dead")],
        );
    }
    let settled = format!("{held}\nburn-7 BurnTxBroadcast\nburn-7 BurnSettled amount=1");
    check(
        &settled,
        r#"burn_queue = 0
           burns/settled = "1"
           burns/burns/7/phase = "settled""#,
    );
    check(&format!("{held}\nburn-7 BurnCancelled"), "burns/burns/7/phase = \"cancelled\"");
    refused(&settled, &[("burn-7 BurnSettled amount=1", "burn 7 is settled, this event needs it scheduled")]);
    refused(
        &format!("{held}\nburn-7 BurnCancelled"),
        &[("burn-7 BurnSettled amount=1", "burn 7 is cancelled, this event needs it scheduled")],
    );
    refused(
        &held,
        &[
            (SCHEDULED, "burn `7` exists already"),
            ("burn-7 BurnSettled amount=2", "amount is 2, expected 1"),
            ("burn-8 BurnScheduled withdrawal=7", "withdrawal is 7, expected 8"),
            ("burn-8 BurnTxSigned", "burn `8` does not exist"),
        ],
    );
    refused(
        "burn-7 BurnScheduled withdrawal=7 amount=1",
        &[("burn-7 BurnSettled amount=1", "account burn_queue is short by 1 G")],
    );
}

#[test]
fn a_statement_that_differs_is_drift_until_it_is_adjusted_or_corrected() {
    let drifted = "
        pool-main PoolContributed amount=100
        pool-main PoolStated balance=100
        pool-main PoolStated balance=87.5
        pool-main PoolStated balance=87.5";
    check(
        drifted,
        r#"pool = 100
           pool/drift = "+12.5"
           pool/stated/folded = "100"
           pool/first_bad/revision = 3
           broken pool_stated pool-main since pool-main@3"#,
    );
    check(
        &format!("{drifted}\npool-main PoolAdjusted direction=to_suspense amount=12.5"),
        r#"pool = 87.5
           suspense = 12.5
           pool/drift = "0"
           pool/adjustments = 1
           pool/first_bad = null"#,
    );
    check(&format!("{drifted}\npool-main PoolStated balance=100"), "pool/first_bad = null");
    check(
        "pool-main PoolStated balance=7
         pool-main PoolAdjusted direction=from_treasury amount=7
         pool-main PoolReconciled
         pool-main PoolShortfallFound",
        r#"pool = 7
           pool/contributed = "7"
           pool/drift = "0""#,
    );
    check(
        &format!(
            "{drifted}
             pool-main PoolAdjusted direction=to_suspense amount=12.5
             pool-main PoolStated balance=90
             pool-main PoolAdjusted direction=from_suspense amount=2.5"
        ),
        "pool = 90
         suspense = 10",
    );
    // An adjustment that was right for another statement opens a difference of its own.
    check(
        "pool-main PoolContributed amount=5
         pool-main PoolStated balance=5
         pool-main PoolAdjusted direction=to_suspense amount=5",
        "pool/drift = \"-5\"
         broken pool_stated pool-main since pool-main@3",
    );
    refused(
        drifted,
        &[
            (
                "pool-main PoolAdjusted direction=to_suspense amount=0 .rev=5",
                "adjustment @pool-main#5 is zero, this event needs it an amount",
            ),
            ("pool-main PoolAdjusted direction=to_suspense amount=100.5", "account pool is short by 0.5 G"),
            ("pool-main PoolAdjusted direction=from_suspense amount=1", "account suspense is short by 1 G"),
        ],
    );
}

/// 2^100 base units: the most one event may bring in.
const INFLOW_MOST: &str = "1267650600228.229401496703205376";

#[test]
fn amounts_at_the_end_of_the_range_are_refused_and_stop_nothing() {
    let most: Amount = MOST.parse().unwrap();
    assert_eq!(most.base_units(), (1 << 127) - 1);
    refused(
        &after(&[]),
        &[
            (&format!("player-zed PlayerCreated bonus={MOST}"), "account bonus:zed would leave the range of amounts"),
            (&format!("pool-main PoolContributed amount={MOST}"), "account pool would leave the range of amounts"),
            (
                &format!("player-eve StateImported bonus={MOST} withdrawable={MOST}"),
                "account bonus:eve would leave the range of amounts",
            ),
            (
                &format!("deposit-1 DepositCredited player=bob amount={MOST} dust={MOST}"),
                "account withdrawable:bob would leave the range of amounts",
            ),
            (
                &format!("player-ann PotionBrewed cost={MOST}+{MOST}"),
                "account bonus:ann is short by 170141183460469231711.687303715884105727 G",
            ),
        ],
    );
    // One absurd event holds its own stream; what comes in after it is taken as before.
    check(
        &format!(
            "player-zed PlayerCreated bonus={MOST}
             pool-main PoolContributed amount=7"
        ),
        "pool = 7
         refused player-zed@1: account bonus:zed would leave the range of amounts",
    );
    // A value seen on chain is bounded by nobody.
    check(
        &format!(
            "{ANN}
             deposit-1 DepositObserved tx=0xa value={MOST}
             deposit-2 DepositObserved tx=0xb value={MOST}
             deposit-1 DepositAttributed player=ann"
        ),
        "deposits/confirmed = \"0\"",
    );
}

#[test]
fn the_most_that_may_come_in_at_once_still_moves() {
    check(
        &format!(
            "player-ann PlayerCreated bonus={INFLOW_MOST}
             player-ann PotionBrewed cost=10+0
             pool-main PoolAdjusted direction=to_suspense amount=4"
        ),
        "pool = 6
         suspense = 4",
    );
}

#[test]
fn a_statement_at_the_end_of_the_range_stops_nothing() {
    let absurd = format!(
        "pool-main PoolStated balance={MOST}
         pool-main PoolContributed amount=100
         pool-main PoolAdjusted direction=to_suspense amount=100"
    );
    check(&absurd, &format!("pool/drift = \"-{MOST}\"\npool = 0\nbroken pool_stated pool-main since pool-main@1"));
    let replay = replay(&Story::default().tell_all(&absurd));
    let text = serde_json::to_string(&replay).unwrap();
    let again: wox_projections::Replay = serde_json::from_str(&text).unwrap();
    assert_eq!(again.state.digest(), replay.state.digest());
}

#[test]
fn money_that_came_and_went_leaves_no_drift_however_much_it_was() {
    let half = INFLOW_MOST;
    let mut given = after(&[]);
    for (round, way) in [("1", "deposit"), ("2", "contributed"), ("3", "granted")] {
        let steps = match way {
            "deposit" => format!(
                "deposit-{round} DepositObserved tx=0x{round} value={half}
                 deposit-{round} DepositCredited tx=0x{round} player=ann amount={half} dust=0
                 withdrawal-{round} WithdrawalRequested player=ann amount={half}
                 withdrawal-{round} FundsHeld player=ann amount={half} net={half} pool_share=0 burn_share=0
                 withdrawal-{round} WithdrawalSettled net={half}"
            ),
            "contributed" => format!(
                "pool-main PoolContributed amount={half}
                 tournament-t TournamentOpened
                 tournament-t PrizeScheduleFixed prizes=first:bob:{half} total={half}
                 tournament-t PrizePaid prize=first player=bob amount={half}
                 withdrawal-{round} WithdrawalRequested player=bob amount={half}
                 withdrawal-{round} FundsHeld player=bob amount={half} net={half} pool_share=0 burn_share=0
                 withdrawal-{round} WithdrawalSettled net={half}"
            ),
            _ => format!("player-ann BonusGranted amount={half}"),
        };
        given = format!("{given}\n{steps}");
    }
    check(&given, "conservation/drift = \"0\"\nconservation/changes = []");
}

#[test]
fn outside_accounts_hold_nothing_and_remember_both_ways() {
    let ledger = replay(&Story::default().tell_all(&after(&[SEEN, CREDIT, AGAIN, TAKEN_BACK]))).state.ledger;
    let deposits = External::Deposits;
    assert_eq!(ledger.balance(&Account::External(deposits)), Amount::ZERO);
    assert_eq!(ledger.external(deposits), ("20.25".parse().unwrap(), "10.125".parse().unwrap()));
    assert_eq!(ledger.external(External::Burned), (Amount::ZERO, Amount::ZERO));
    assert_eq!(ledger.player(&PlayerId::new("eve").unwrap()), None);
    assert_eq!(ledger.player(&PlayerId::new("ann").unwrap()).unwrap().bonus, Amount::galleons(20));
    let sides = [deposits, External::Granted, External::Imported, External::Contributed, External::Withdrawn];
    let names: Vec<String> = sides.map(|side| Account::External(side).to_string()).to_vec();
    assert_eq!(
        names.join(" "),
        "external:deposits external:granted external:imported external:contributed external:withdrawn"
    );
}
