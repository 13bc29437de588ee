//! Old shapes → the current shape, one small step a version. The table is the only place that knows versions: a kind
//! that is not in it is at version 1. [`check_table`] runs when a log is opened and refuses a gap, a repeat or a cycle.

use serde_json::{Map, Value};

use crate::Amount;

/// One step: reads the payload of `from`, leaves the payload of `from + 1`.
struct Step {
    kind: &'static str,
    from: u16,
    apply: fn(&mut Map<String, Value>) -> Result<(), String>,
}

const STEPS: &[Step] = &[
    Step { kind: "DepositCredited", from: 1, apply: deposit_credited_1 },
    Step { kind: "FundsHeld", from: 1, apply: funds_held_1 },
    Step { kind: "DuelEnded", from: 1, apply: duel_ended_1 },
    Step { kind: "DuelEnded", from: 2, apply: duel_ended_2 },
    Step { kind: "FenceRequested", from: 1, apply: fence_requested_1 },
    Step { kind: "StateImported", from: 1, apply: state_imported_1 },
    Step { kind: "WalletScanned", from: 1, apply: wallet_scanned_1 },
];

/// Version 1 had no dust: the game only wrote amounts of two decimals.
fn deposit_credited_1(data: &mut Map<String, Value>) -> Result<(), String> {
    data.insert("dust".into(), "0".into());
    Ok(())
}

/// Version 1 had one `fee`; half of it went to the prize pool, half to the burn queue, the odd base unit to the pool.
fn funds_held_1(data: &mut Map<String, Value>) -> Result<(), String> {
    let amount = amount(data, "amount")?;
    let fee = amount_removed(data, "fee")?;
    let net = amount.checked_sub(fee).ok_or("fee is larger than amount")?;
    let burn = fee.fraction(1, 2).ok_or("fee is out of range")?;
    let pool = fee.saturating_sub(burn);
    data.insert("net".into(), net.to_string().into());
    data.insert("pool_share".into(), pool.to_string().into());
    data.insert("burn_share".into(), burn.to_string().into());
    Ok(())
}

/// Version 1 named only the winner; there was no draw and no forfeit, a duel ended at 0 HP.
fn duel_ended_1(data: &mut Map<String, Value>) -> Result<(), String> {
    data.insert("reason".into(), "hit_points".into());
    Ok(())
}

/// Version 2 called the reason `hit_points`; version 3 says `knockout`.
fn duel_ended_2(data: &mut Map<String, Value>) -> Result<(), String> {
    if data.get("reason").and_then(Value::as_str) == Some("hit_points") {
        data.insert("reason".into(), "knockout".into());
    }
    Ok(())
}

/// Version 1 did not name who decided; only the record's own actor does.
fn fence_requested_1(data: &mut Map<String, Value>) -> Result<(), String> {
    data.insert("by".into(), "unnamed".into());
    Ok(())
}

/// Version 1 took over balances and counts only; name, house, spells and the rest stayed in the table.
#[allow(clippy::unnecessary_wraps, reason = "every step has one shape")]
fn state_imported_1(_: &mut Map<String, Value>) -> Result<(), String> {
    Ok(())
}

/// Version 1 asked for the count at the final block only, so it does not say that nothing was sent behind that.
fn wallet_scanned_1(data: &mut Map<String, Value>) -> Result<(), String> {
    let answers = data.get_mut("answers").and_then(Value::as_array_mut).ok_or("field `answers` is no list")?;
    for answer in answers {
        let answer = answer.as_object_mut().ok_or("an answer is no object")?;
        for count in ["latest", "pending"] {
            answer.insert(count.into(), serde_json::json!({"not_asked": {}}));
        }
    }
    Ok(())
}

fn amount(data: &Map<String, Value>, field: &str) -> Result<Amount, String> {
    let text =
        data.get(field).and_then(Value::as_str).ok_or_else(|| format!("field `{field}` is missing or no text"))?;
    text.parse().map_err(|error| format!("field `{field}`: {error}"))
}

fn amount_removed(data: &mut Map<String, Value>, field: &str) -> Result<Amount, String> {
    let found = amount(data, field)?;
    data.remove(field);
    Ok(found)
}

/// The version this build writes for a kind.
#[must_use]
pub fn current_version(kind: &str) -> u16 {
    STEPS.iter().filter(|step| step.kind == kind).map(|step| step.from + 1).max().unwrap_or(1)
}

/// Why a payload cannot be brought to the current version.
#[derive(Debug, thiserror::Error)]
pub enum UpcastError {
    /// The table has no step from this version.
    #[error("no step from version {version}")]
    NoStep {
        /// The version asked for.
        version: u16,
    },
    /// A step could not read the payload.
    #[error("{0}")]
    Payload(String),
}

/// Brings a payload from an older version to the current one.
pub fn to_current(kind: &str, version: u16, data: &str) -> Result<String, UpcastError> {
    let current = current_version(kind);
    let mut map: Map<String, Value> =
        serde_json::from_str(data).map_err(|error| UpcastError::Payload(error.to_string()))?;
    for from in version..current {
        let step = STEPS
            .iter()
            .find(|step| step.kind == kind && step.from == from)
            .ok_or(UpcastError::NoStep { version: from })?;
        (step.apply)(&mut map).map_err(UpcastError::Payload)?;
    }
    serde_json::to_string(&map).map_err(|error| UpcastError::Payload(error.to_string()))
}

/// A hole or a repeat in the table of steps: a mistake in this program, found at start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("upcasters of `{kind}` do not form one chain from version 1: steps from {steps:?}")]
pub struct BrokenChain {
    /// The kind whose steps are wrong.
    pub kind: String,
    /// The versions steps start from.
    pub steps: Vec<u16>,
}

/// Checks that the steps of every kind form one chain 1 → 2 → … with no gap, no repeat and so no cycle, and that the
/// kind exists. Called whenever a log is opened.
pub fn check_table() -> Result<(), BrokenChain> {
    check_steps(STEPS.iter().map(|step| (step.kind, step.from)))
}

fn check_steps(steps: impl Iterator<Item = (&'static str, u16)>) -> Result<(), BrokenChain> {
    let mut kinds = std::collections::BTreeMap::<&str, Vec<u16>>::new();
    for (kind, from) in steps {
        kinds.entry(kind).or_default().push(from);
    }
    for (kind, mut steps) in kinds {
        steps.sort_unstable();
        let chain = (1u16..).zip(&steps).all(|(expected, from)| expected == *from);
        if !chain || !crate::schema::kinds().any(|(_, known)| known == kind) {
            return Err(BrokenChain { kind: kind.to_owned(), steps });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_this_build_is_one_chain_for_every_kind() {
        assert_eq!(check_table(), Ok(()));
    }

    #[test]
    fn a_gap_a_repeat_and_an_unknown_kind_are_refused() {
        for steps in [
            vec![("DuelEnded", 2)],
            vec![("DuelEnded", 1), ("DuelEnded", 3)],
            vec![("DuelEnded", 1); 2],
            vec![("Nothing", 1)],
        ] {
            assert!(check_steps(steps.clone().into_iter()).is_err(), "{steps:?}");
        }
    }

    #[test]
    fn an_odd_fee_is_split_without_losing_a_base_unit() {
        let current =
            to_current("FundsHeld", 1, r#"{"amount":"1","fee":"0.000000000000000003","player":"p"}"#).unwrap();
        let data: Map<String, Value> = serde_json::from_str(&current).unwrap();
        assert_eq!(data["pool_share"], "0.000000000000000002");
        assert_eq!(data["burn_share"], "0.000000000000000001");
        assert_eq!(data["net"], "0.999999999999999997");
    }
}
