//! A second ledger, written from the game's rules and not from the first one: slow, obvious, over names and signed
//! integers. It reads the wire form of events and is told only those that a replay applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wox_events::{Amount, Recorded};

/// Who holds how much, in base units. What came from outside stands there as a debt, so everything sums to zero.
#[derive(Default)]
pub(crate) struct Model {
    /// By account.
    pub(crate) accounts: BTreeMap<String, i128>,
    /// What every player paid for a place that still stands, by tournament and player.
    places: BTreeMap<(String, String), i128>,
    /// Credited and quarantined, less what was taken back.
    deposited: i128,
    /// Seen on chain, each reference once, when it first counted.
    confirmed: i128,
    seen: BTreeMap<String, i128>,
    named: BTreeMap<String, String>,
    counted: BTreeMap<String, i128>,
    /// How often each is on a balance or in suspense.
    standing: BTreeMap<String, u32>,
    /// What transactions brought before the game was taken over: it is in the imported balances.
    before: BTreeMap<String, i128>,
    /// All that the game had dealt with before.
    imports: BTreeSet<String>,
}

const OUTSIDE: &str = "outside";

impl Model {
    /// Takes an event that was applied.
    pub(crate) fn apply(&mut self, at: &Recorded) {
        let Ok(event) = &at.event else { panic!("an unreadable event was applied") };
        let (kind, _, data) = event.encode().unwrap();
        let data: Value = serde_json::from_str(data.as_str()).unwrap();
        let subject = at.stream.subject();
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        let amount = |field: &str| units(&data[field]);
        let (bonus, withdrawable) =
            (|player: &str| format!("bonus:{player}"), |player: &str| format!("withdrawable:{player}"));
        let player = text("player");
        match kind.as_str() {
            "PlayerCreated" => self.give(OUTSIDE, &bonus(subject), amount("bonus")),
            "BonusGranted" | "GoodwillGranted" => self.give(OUTSIDE, &bonus(subject), amount("amount")),
            "StateImported" => {
                self.give(OUTSIDE, &bonus(subject), amount("bonus"));
                self.give(OUTSIDE, &withdrawable(subject), amount("withdrawable"));
            }
            "DuelImported" => {
                for stake in data["stakes"].as_array().unwrap() {
                    let held = units(&stake["assumed"]["bonus"]) + units(&stake["assumed"]["withdrawable"]);
                    self.give(OUTSIDE, &format!("escrow:{subject}"), held);
                }
            }
            "WithdrawalImported" if text("standing") == "in_doubt" => {
                self.give(OUTSIDE, &format!("in_flight:{subject}"), amount("net"));
            }
            "BurnImported" if text("standing") == "scheduled" => self.give(OUTSIDE, "burn_queue", amount("amount")),
            "PoolImported" => self.give(OUTSIDE, "pool", amount("balance")),
            "CreditImported" => {
                self.imports.insert(format!("{}:{}", data["chain"], data["tx"]));
                if text("standing") != "credited" {
                    return;
                }
                self.before.insert(format!("{}:{}", data["chain"], data["tx"]), amount("value"));
            }
            "PotionBrewed" => self.pay_split(subject, &data["cost"], "pool"),
            "StakeHeld" => self.pay_split(&player, &data["stake"], &format!("escrow:{subject}")),
            "StakeReleased" => self.give_split(&format!("escrow:{subject}"), &player, &data["stake"]),
            "DuelSettled" => self.give(&format!("escrow:{subject}"), &withdrawable(&text("winner")), amount("amount")),
            "BucketCorrected" => {
                self.give(&format!("{}:{player}", text("from")), &format!("{}:{player}", text("to")), amount("amount"));
            }
            "PlayerRegistered" => {
                let before = self.accounts.get(&format!("entries:{subject}")).copied().unwrap_or(0);
                self.pay_split(&player, &data["entry"], &format!("entries:{subject}"));
                let after = self.accounts.get(&format!("entries:{subject}")).copied().unwrap_or(0);
                self.places.insert((subject.to_owned(), player.clone()), after - before);
            }
            "PlayerUnregistered" => drop(self.places.remove(&(subject.to_owned(), player.clone()))),
            "EntryRefunded" => self.give_split(&format!("entries:{subject}"), &player, &data["entry"]),
            "TournamentSeeded" => {
                let entries = format!("entries:{subject}");
                let paid =
                    self.places.iter().filter(|((tournament, _), _)| tournament == subject).map(|(_, paid)| paid);
                let paid = paid.sum();
                self.give(&entries, "pool", paid);
            }
            "PrizePaid" => self.give("pool", &withdrawable(&player), amount("amount")),
            "PrizeReversed" => self.give(&withdrawable(&player), "pool", amount("amount")),
            "DepositObserved" => {
                let name = reference(&data);
                self.seen.insert(name.clone(), amount("value"));
                // Credited before it was observed: it came in all the same.
                let standing = self.standing.get(&name).is_some_and(|standing| *standing > 0);
                let imported = name.rsplit_once(':').is_some_and(|(transaction, _)| self.imports.contains(transaction));
                if standing && !imported && text("finality") == "finalized" {
                    self.count(&name, amount("value"));
                }
                self.named.insert(subject.to_owned(), name);
            }
            "DepositCredited" => {
                let name = reference(&data);
                self.give(OUTSIDE, &withdrawable(&player), amount("amount"));
                self.give(OUTSIDE, "dust", amount("dust"));
                self.deposited += amount("amount") + amount("dust");
                let cents = 10i128.pow(16);
                let worth = amount("amount") + amount("dust");
                let before = name.rsplit_once(':').and_then(|(transaction, _)| self.before.get(transaction));
                let counted_before = before.is_some_and(|had| *had == worth || *had == worth - worth % cents);
                *self.standing.entry(name.clone()).or_default() += 1;
                if let Some(seen) = self.seen.get(&name).copied().filter(|_| !counted_before) {
                    self.count(&name, seen);
                }
                self.named.insert(subject.to_owned(), name);
            }
            "DepositDebited" => {
                self.give(&withdrawable(&player), OUTSIDE, amount("amount"));
                self.give("dust", OUTSIDE, amount("dust"));
                self.deposited -= amount("amount") + amount("dust");
                let name = self.named[subject].clone();
                let standing = self.standing.entry(name.clone()).or_default();
                *standing -= 1;
                // Nothing of it is on a balance or in suspense any more: it never came.
                if *standing == 0 {
                    self.confirmed -= self.counted.remove(&name).unwrap_or(0);
                }
            }
            "DepositQuarantined" | "DepositDustRecorded" => {
                self.give(OUTSIDE, "suspense", amount("value"));
                self.deposited += amount("value");
                let name = self.named[subject].clone();
                *self.standing.entry(name.clone()).or_default() += 1;
                let seen = self.seen.get(&name).copied().unwrap_or(amount("value"));
                self.count(&name, seen);
            }
            "AttributionCorrected" => {
                self.give(&withdrawable(&text("from")), &withdrawable(&text("to")), amount("amount"))
            }
            "FundsHeld" => {
                self.give(&withdrawable(&player), &format!("in_flight:{subject}"), amount("net"));
                self.give(&withdrawable(&player), "pool", amount("pool_share"));
                self.give(&withdrawable(&player), "burn_queue", amount("burn_share"));
            }
            "HoldReleased" => {
                self.give(&format!("in_flight:{subject}"), &withdrawable(&player), amount("net"));
                self.give("pool", &withdrawable(&player), amount("pool_share"));
                self.give("burn_queue", &withdrawable(&player), amount("burn_share"));
            }
            "WithdrawalSettled" => self.give(&format!("in_flight:{subject}"), OUTSIDE, amount("net")),
            "BurnSettled" => self.give("burn_queue", OUTSIDE, amount("amount")),
            "PoolContributed" => self.give(OUTSIDE, "pool", amount("amount")),
            "PoolAdjusted" => match text("direction").as_str() {
                "to_suspense" => self.give("pool", "suspense", amount("amount")),
                "from_suspense" => self.give("suspense", "pool", amount("amount")),
                _ => self.give(OUTSIDE, "pool", amount("amount")),
            },
            _ => {}
        }
    }

    /// What is held beyond the facts: duplicate and unobserved credits, and credits of another value than was seen.
    pub(crate) fn drift(&self) -> i128 {
        self.deposited - self.confirmed
    }

    fn give(&mut self, from: &str, to: &str, amount: i128) {
        *self.accounts.entry(from.to_owned()).or_default() -= amount;
        *self.accounts.entry(to.to_owned()).or_default() += amount;
    }

    fn pay_split(&mut self, player: &str, split: &Value, to: &str) {
        self.give(&format!("bonus:{player}"), to, units(&split["bonus"]));
        self.give(&format!("withdrawable:{player}"), to, units(&split["withdrawable"]));
    }

    fn give_split(&mut self, from: &str, player: &str, split: &Value) {
        self.give(from, &format!("bonus:{player}"), units(&split["bonus"]));
        self.give(from, &format!("withdrawable:{player}"), units(&split["withdrawable"]));
    }

    fn count(&mut self, name: &str, value: i128) {
        // What was seen on chain is bounded by nobody; a sum beyond every amount stays out and shows as drift.
        if !self.counted.contains_key(name) {
            let sum = self.confirmed.checked_add(value);
            self.counted.insert(name.to_owned(), sum.map_or(0, |_| value));
            self.confirmed = sum.unwrap_or(self.confirmed);
        }
    }
}

fn units(value: &Value) -> i128 {
    let amount: Amount = value.as_str().unwrap_or("0").parse().unwrap();
    i128::try_from(amount.base_units()).unwrap()
}

fn reference(data: &Value) -> String {
    format!("{}:{}:{}", data["chain"], data["tx"], data["ordinal"])
}
