//! The invariants that no event can break, because a check or the ledger refuses first: broken here by hand, in the
//! JSON of a replay, to see that the watch would notice.

use serde_json::{Value, json};
use wox_projections::{Replay, invariants};

use crate::story::{Story, check, check_replay, replay};

const SOUND: &str = "
    player-ann StateImported handle=ann bonus=20 withdrawable=100
    withdrawal-7 WithdrawalRequested player=ann amount=50
    withdrawal-7 FundsHeld player=ann amount=50 net=48 pool_share=1 burn_share=1";

fn tampered(pointer: &str, value: Value) -> Replay {
    let mut json = serde_json::to_value(replay(&Story::default().tell_all(SOUND))).unwrap();
    *json.pointer_mut(pointer).expect(pointer) = value;
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_sound_history_breaks_no_invariant() {
    check(SOUND, "in_flight:7 = 48");
    check("", "pool = 0");
}

#[test]
fn an_event_that_went_nowhere_is_noticed() {
    check_replay_of_incomplete("/accounting/read", json!(4));
    check_replay_of_incomplete("/position", json!(4));
}

fn check_replay_of_incomplete(pointer: &str, value: Value) {
    let found = invariants::violations(&tampered(pointer, value));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].invariant.as_str(), found[0].subject.as_str()), ("complete", "log"));
}

#[test]
fn an_account_that_does_not_add_up_is_noticed() {
    check_replay(&tampered("/state/ledger/pool", json!("2")), "broken ledger_sums ledger");
    check_replay(&tampered("/state/ledger/held", json!("3")), "broken ledger_sums ledger");
}

#[test]
fn a_withdrawal_without_its_money_in_flight_is_noticed() {
    let broken = "broken withdrawal_flight withdrawal-7";
    check_replay(&tampered("/state/withdrawals/withdrawals/7/phase", json!("settled")), broken);
    check_replay(&tampered("/state/withdrawals/withdrawals/7/hold/net", json!("47")), broken);
}

#[test]
fn conservation_is_broken_since_the_event_after_it_last_held() {
    let credit =
        |stream: &str| format!("deposit-{stream} DepositCredited tx=0x{stream} ordinal=0 player=ann amount=5 dust=0");
    let debit = "deposit-1 DepositDebited player=ann amount=5 dust=0 corrects=@deposit-1#1";
    check(
        &format!("{SOUND}\n{}\n{debit}\n{}\n{}", credit("1"), credit("2"), credit("3")),
        r#"conservation/drift = "+10"
           conservation/changes/1/drift = "0"
           broken conservation ledger since deposit-2@1"#,
    );
}

#[test]
fn every_invariant_has_a_name_of_its_own_and_says_what_it_means() {
    let mut names: Vec<&str> = invariants::ALL.iter().map(|invariant| invariant.name).collect();
    assert!(invariants::ALL.iter().all(|invariant| !invariant.says.is_empty()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), invariants::ALL.len());
}
