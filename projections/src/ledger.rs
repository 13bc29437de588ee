//! The double-entry ledger: every movement takes from one account and gives to another, so the sum over all accounts
//! is zero by construction; what has to be watched is overdrafts (refused before they happen) and conservation (what
//! the accounts hold against what the facts say came in and went out).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wox_events::{Amount, Bucket, DuelId, PlayerId, TournamentId, WithdrawalId};

use crate::{Table, projection::Rejection};

/// Where money can be (banking.md 5.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// A player's bonus balance.
    Bonus(PlayerId),
    /// A player's withdrawable balance.
    Withdrawable(PlayerId),
    /// The stakes of one duel.
    Escrow(DuelId),
    /// The entries of one tournament before its draw.
    Entries(TournamentId),
    /// The prize pool.
    Pool,
    /// Waiting to be burned.
    BurnQueue,
    /// The net amount of one withdrawal, asked for and not settled.
    InFlight(WithdrawalId),
    /// Money of unknown owner or cause.
    Suspense,
    /// What the game's two decimals cannot show.
    Dust,
    /// Outside the game; the other side of everything that comes in or goes out.
    External(External),
}

/// The reasons money enters or leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum External {
    /// On-chain deposits.
    Deposits,
    /// Bonus the game grants.
    Granted,
    /// Opening balances taken over from the game's tables.
    Imported,
    /// Contributions to the prize pool.
    Contributed,
    /// Tokens that came by no event and are kept in suspense.
    Unexplained,
    /// Payments to players on chain.
    Withdrawn,
    /// Sent to the dead address.
    Burned,
}

impl fmt::Display for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            External::Deposits => "deposits",
            External::Granted => "granted",
            External::Imported => "imported",
            External::Contributed => "contributed",
            External::Unexplained => "unexplained",
            External::Withdrawn => "withdrawn",
            External::Burned => "burned",
        })
    }
}

impl Account {
    /// The account of one of a player's balances.
    #[must_use]
    pub fn bucket(player: &PlayerId, bucket: Bucket) -> Account {
        match bucket {
            Bucket::Bonus => Account::Bonus(player.clone()),
            Bucket::Withdrawable => Account::Withdrawable(player.clone()),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Bonus(player) => write!(f, "bonus:{player}"),
            Account::Withdrawable(player) => write!(f, "withdrawable:{player}"),
            Account::Escrow(duel) => write!(f, "escrow:{duel}"),
            Account::Entries(tournament) => write!(f, "entries:{tournament}"),
            Account::Pool => f.write_str("pool"),
            Account::BurnQueue => f.write_str("burn_queue"),
            Account::InFlight(withdrawal) => write!(f, "in_flight:{withdrawal}"),
            Account::Suspense => f.write_str("suspense"),
            Account::Dust => f.write_str("dust"),
            Account::External(side) => write!(f, "external:{side}"),
        }
    }
}

/// The most one event may bring in, in base units: 2^100, a trillion Galleons. Without it one absurd event would fill the
/// ledger and everything that comes in after it would be refused: a bad event holds its own stream, not the world.
const INFLOW_MAX: u128 = 1 << 100;

/// One movement of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// Takes from.
    pub from: Account,
    /// Gives to.
    pub to: Account,
    /// How much.
    pub amount: Amount,
}

/// A player's two balances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// Never leaves the game.
    pub bonus: Amount,
    /// May be withdrawn.
    pub withdrawable: Amount,
}

/// All accounts. Escrows, entries and withdrawals in flight are listed only while they hold something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    players: Table<PlayerId, Balances>,
    escrow: BTreeMap<DuelId, Amount>,
    entries: BTreeMap<TournamentId, Amount>,
    in_flight: BTreeMap<WithdrawalId, Amount>,
    pool: Amount,
    burn_queue: Amount,
    suspense: Amount,
    dust: Amount,
    /// What went out of each outside account (into the game), and what came back.
    external: BTreeMap<External, (Amount, Amount)>,
    /// Everything inside, kept beside the accounts so that conservation costs nothing to watch.
    held: Amount,
}

impl Ledger {
    /// What an account holds. Outside accounts hold nothing; see [`Ledger::external`].
    #[must_use]
    pub fn balance(&self, account: &Account) -> Amount {
        let open = |amount: Option<&Amount>| amount.copied().unwrap_or_default();
        match account {
            Account::Bonus(player) => self.players.get(player).map_or(Amount::ZERO, |held| held.bonus),
            Account::Withdrawable(player) => self.players.get(player).map_or(Amount::ZERO, |held| held.withdrawable),
            Account::Escrow(duel) => open(self.escrow.get(duel)),
            Account::Entries(tournament) => open(self.entries.get(tournament)),
            Account::InFlight(withdrawal) => open(self.in_flight.get(withdrawal)),
            Account::Pool => self.pool,
            Account::BurnQueue => self.burn_queue,
            Account::Suspense => self.suspense,
            Account::Dust => self.dust,
            Account::External(_) => Amount::ZERO,
        }
    }

    /// A player's two balances; `None` for a player nobody has heard of.
    #[must_use]
    pub fn player(&self, player: &PlayerId) -> Option<Balances> {
        self.players.get(player).copied()
    }

    /// What came in through an outside account, and what went out through it.
    #[must_use]
    pub fn external(&self, side: External) -> (Amount, Amount) {
        self.external.get(&side).copied().unwrap_or_default()
    }

    /// Everything inside the game.
    #[must_use]
    pub fn held(&self) -> Amount {
        self.held
    }

    /// Every account inside that holds something, in a fixed order.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Account, Amount)> {
        let mut accounts: Vec<(Account, Amount)> = Vec::new();
        for (player, held) in &self.players {
            accounts.push((Account::Bonus(player.clone()), held.bonus));
            accounts.push((Account::Withdrawable(player.clone()), held.withdrawable));
        }
        accounts.extend(self.escrow.iter().map(|(duel, held)| (Account::Escrow(duel.clone()), *held)));
        accounts.extend(self.entries.iter().map(|(event, held)| (Account::Entries(event.clone()), *held)));
        accounts.extend(self.in_flight.iter().map(|(request, held)| (Account::InFlight(request.clone()), *held)));
        accounts.push((Account::Pool, self.pool));
        accounts.push((Account::BurnQueue, self.burn_queue));
        accounts.push((Account::Suspense, self.suspense));
        accounts.push((Account::Dust, self.dust));
        accounts.retain(|(_, held)| !held.is_zero());
        accounts.sort();
        accounts
    }

    /// Opens the two balances of a new player.
    pub(crate) fn open_player(&mut self, player: &PlayerId) {
        self.players.entry(player.clone()).or_default();
    }

    /// Judges movements: every player known (but the one an event is about to create), no account overdrawn, no sum
    /// out of range. Movements of one event are judged together, what the event itself gives is not counted on.
    pub fn check(&self, postings: &[Posting], creates_player: bool) -> Result<(), Rejection> {
        for (index, posting) in postings.iter().enumerate() {
            if !creates_player {
                self.check_account(&posting.from)?;
                self.check_account(&posting.to)?;
            }
            let overflow = |account: &Account| Rejection::Overflow { account: account.clone() };
            if !matches!(posting.from, Account::External(_)) {
                let earlier = postings[..index].iter().filter(|other| other.from == posting.from);
                let needed = Amount::checked_sum(earlier.map(|other| other.amount))
                    .and_then(|sum| sum.checked_add(posting.amount))
                    .ok_or_else(|| overflow(&posting.from))?;
                let held = self.balance(&posting.from);
                if needed > held {
                    let short_by = needed.saturating_sub(held);
                    return Err(Rejection::Overdrawn { account: posting.from.clone(), short_by });
                }
            }
        }
        // No account inside holds more than all of them together, so bounding what comes in bounds every account; a
        // movement inside cannot leave the range, however full the ledger is.
        let total = Amount::checked_sum(postings.iter().map(|posting| posting.amount));
        for posting in postings {
            let outside = |account: &Account| matches!(account, Account::External(_));
            if outside(&posting.from) && posting.amount.base_units() > INFLOW_MAX {
                return Err(Rejection::Overflow { account: posting.to.clone() });
            }
            let bounded = [
                outside(&posting.from).then_some(self.held),
                outside(&posting.from).then(|| self.side(&posting.from).0),
                outside(&posting.to).then(|| self.side(&posting.to).1),
            ];
            for sum in bounded.into_iter().flatten() {
                if total.and_then(|total| sum.checked_add(total)).is_none() {
                    return Err(Rejection::Overflow { account: posting.to.clone() });
                }
            }
        }
        Ok(())
    }

    fn side(&self, account: &Account) -> (Amount, Amount) {
        match account {
            Account::External(side) => self.external(*side),
            _ => (Amount::ZERO, Amount::ZERO),
        }
    }

    fn check_account(&self, account: &Account) -> Result<(), Rejection> {
        match account {
            Account::Bonus(player) | Account::Withdrawable(player) if !self.players.contains_key(player) => {
                Err(Rejection::unknown("player", player))
            }
            _ => Ok(()),
        }
    }

    /// Books movements that [`Ledger::check`] has accepted.
    pub(crate) fn post(&mut self, postings: &[Posting]) {
        for posting in postings {
            if posting.amount.is_zero() {
                continue;
            }
            self.change(
                &posting.from,
                |held| held.checked_sub(posting.amount),
                |outside| outside.0.checked_add(posting.amount).map(|sum| outside.0 = sum),
            );
            self.change(
                &posting.to,
                |held| held.checked_add(posting.amount),
                |outside| outside.1.checked_add(posting.amount).map(|sum| outside.1 = sum),
            );
            let inside = |account: &Account| !matches!(account, Account::External(_));
            let held = match (inside(&posting.from), inside(&posting.to)) {
                (false, true) => self.held.checked_add(posting.amount),
                (true, false) => self.held.checked_sub(posting.amount),
                (true, true) | (false, false) => Some(self.held),
            };
            self.held = held.expect("check bounded what is held");
        }
    }

    fn change(
        &mut self,
        account: &Account,
        inside: impl FnOnce(Amount) -> Option<Amount>,
        outside: impl FnOnce(&mut (Amount, Amount)) -> Option<()>,
    ) {
        const CHECKED: &str = "check refused overdrafts and overflows before";
        match account {
            Account::Bonus(player) => {
                let held = &mut self.players.get_mut(player).expect("check knew the player").bonus;
                *held = inside(*held).expect(CHECKED);
            }
            Account::Withdrawable(player) => {
                let held = &mut self.players.get_mut(player).expect("check knew the player").withdrawable;
                *held = inside(*held).expect(CHECKED);
            }
            Account::Escrow(duel) => change_open(&mut self.escrow, duel, inside),
            Account::Entries(tournament) => change_open(&mut self.entries, tournament, inside),
            Account::InFlight(withdrawal) => change_open(&mut self.in_flight, withdrawal, inside),
            Account::Pool => self.pool = inside(self.pool).expect(CHECKED),
            Account::BurnQueue => self.burn_queue = inside(self.burn_queue).expect(CHECKED),
            Account::Suspense => self.suspense = inside(self.suspense).expect(CHECKED),
            Account::Dust => self.dust = inside(self.dust).expect(CHECKED),
            Account::External(side) => outside(self.external.entry(*side).or_default()).expect(CHECKED),
        }
    }
}

/// Changes an account that is listed only while it holds something.
fn change_open<K: Ord + Clone>(open: &mut BTreeMap<K, Amount>, key: &K, change: impl FnOnce(Amount) -> Option<Amount>) {
    let held = open.get(key).copied().unwrap_or_default();
    let changed = change(held).expect("check refused overdrafts and overflows before");
    if changed.is_zero() {
        open.remove(key);
    } else {
        open.insert(key.clone(), changed);
    }
}

/// A signed difference of amounts, in base units; as text a decimal number of Galleons with its sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift(pub i128);

impl Drift {
    /// `left − right`.
    #[must_use]
    pub fn between(left: Amount, right: Amount) -> Drift {
        // Both are below 2^127, so each fits an i128 and so does the difference.
        Drift(left.base_units() as i128 - right.base_units() as i128)
    }

    /// The two together, at most ±(2^127 − 1): a figure beyond every amount is wrong anyway, and must not stop a replay.
    #[must_use]
    pub fn saturating_add(self, other: Drift) -> Drift {
        Drift(self.0.saturating_add(other.0).max(-i128::MAX))
    }

    /// True when there is none.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Its size without the sign.
    #[must_use]
    pub fn size(self) -> Amount {
        Amount::from_base_units(self.0.unsigned_abs()).unwrap_or_default()
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        write!(f, "{sign}{}", self.size())
    }
}

impl schemars::JsonSchema for Drift {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Drift".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[+-]?[0-9]+([.][0-9]{1,18})?$",
            "description": "Galleons with their sign: a decimal text"
        })
    }
}

impl Serialize for Drift {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Drift {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(&text)),
        };
        let amount: Amount = digits.parse().map_err(de::Error::custom)?;
        Ok(Drift(sign * amount.base_units() as i128))
    }
}
