//! Galleons as integers: base units of 10^-18 G, checked arithmetic, decimal text. Never a float (law 9).

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of Galleons in base units (10^-18 G).
///
/// As text it is a decimal string of Galleons, canonical: no sign, no exponent, no leading or trailing zeros.
/// Arithmetic is checked; amounts are bounded by 2^127 so that a sum of two always fits (banking.md 5.3, 16).
///
/// ```
/// use wox_events::Amount;
/// let bet: Amount = "50.25".parse().unwrap();
/// assert_eq!(bet.base_units(), 50_250_000_000_000_000_000);
/// assert_eq!(bet.checked_add(bet).unwrap().to_string(), "100.5");
/// assert!("-1".parse::<Amount>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

/// Why a text is no amount. The message says what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing there, or something that is no digit.
    #[error("amount is not a decimal number of Galleons such as \"12.5\"")]
    NotDecimal,
    /// A minus sign: the ledger has no negative amounts, only postings the other way.
    #[error("amount is negative; amounts are never negative, the direction is in the event")]
    Negative,
    /// More than eighteen digits behind the point.
    #[error("amount has more than 18 decimals")]
    TooPrecise,
    /// 2^127 base units or more.
    #[error("amount is out of range (2^127 base units or more)")]
    TooLarge,
}

impl Amount {
    /// No Galleons.
    pub const ZERO: Amount = Amount(0);
    /// Base units in one Galleon.
    pub const ONE_GALLEON: u128 = 1_000_000_000_000_000_000;
    /// Base units in 0.01 G, the smallest amount the game's tables can hold.
    pub const ONE_CENT: u128 = Self::ONE_GALLEON / 100;
    const LIMIT: u128 = 1 << 127;

    /// An amount of base units (10^-18 G), or an error from 2^127 up.
    pub const fn from_base_units(units: u128) -> Result<Amount, AmountError> {
        if units < Self::LIMIT { Ok(Amount(units)) } else { Err(AmountError::TooLarge) }
    }

    /// An amount of whole Galleons.
    pub const fn galleons(galleons: u64) -> Amount {
        Amount(galleons as u128 * Self::ONE_GALLEON)
    }

    /// An amount of hundredths of a Galleon.
    pub const fn cents(cents: u64) -> Amount {
        Amount(cents as u128 * Self::ONE_CENT)
    }

    /// The amount in base units (10^-18 G).
    pub const fn base_units(self) -> u128 {
        self.0
    }

    /// True for no Galleons at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As [`Amount::is_zero`], in the form serde asks a field with.
    #[must_use]
    pub const fn is_zero_ref(&self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` when it would reach 2^127 base units.
    #[must_use]
    pub const fn checked_add(self, other: Amount) -> Option<Amount> {
        let sum = self.0 + other.0; // both below 2^127: cannot wrap
        if sum < Self::LIMIT { Some(Amount(sum)) } else { None }
    }

    /// The difference, or `None` when `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Amount) -> Option<Amount> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Amount(rest)),
            None => None,
        }
    }

    /// The difference, or nothing when `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Amount) -> Amount {
        Amount(self.0.saturating_sub(other.0))
    }

    /// `numerator / denominator` of the amount, rounded down; `None` on overflow or a zero denominator.
    #[must_use]
    pub const fn fraction(self, numerator: u32, denominator: u32) -> Option<Amount> {
        match self.0.checked_mul(numerator as u128) {
            Some(product) if denominator > 0 => Some(Amount(product / denominator as u128)),
            _ => None,
        }
    }

    /// The part the game's two decimals can show, and the dust below it.
    #[must_use]
    pub const fn split_dust(self) -> (Amount, Amount) {
        let dust = self.0 % Self::ONE_CENT;
        (Amount(self.0 - dust), Amount(dust))
    }

    /// The checked sum of many amounts.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Amount>) -> Option<Amount> {
        amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / Self::ONE_GALLEON, self.0 % Self::ONE_GALLEON);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let mut digits = [b'0'; 18];
        let mut rest = rest;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let text = str::from_utf8(&digits[..end]).map_err(|_| fmt::Error)?;
        write!(f, "{whole}.{text}")
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if bytes.first() == Some(&b'-') {
            return Err(AmountError::Negative);
        }
        let mut units: u128 = 0;
        let mut decimals: Option<u32> = None;
        let mut digits = 0;
        for byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    if let Some(count) = &mut decimals {
                        *count += 1;
                        if *count > 18 {
                            return Err(AmountError::TooPrecise);
                        }
                    }
                    units = units
                        .checked_mul(10)
                        .and_then(|units| units.checked_add(u128::from(byte - b'0')))
                        .ok_or(AmountError::TooLarge)?;
                }
                b'.' if decimals.is_none() && digits > 0 => decimals = Some(0),
                _ => return Err(AmountError::NotDecimal),
            }
        }
        if digits == 0 || decimals == Some(0) {
            return Err(AmountError::NotDecimal);
        }
        let scale = 10u128.pow(18 - decimals.unwrap_or(0));
        Amount::from_base_units(units.checked_mul(scale).ok_or(AmountError::TooLarge)?)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal string of Galleons such as \"12.5\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl schemars::JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]{1,18})?$",
            "description": "Galleons as a decimal string, at most 18 decimals; never negative",
        })
    }
}

/// One of a player's two balances (domain.md, "Money").
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Bucket {
    /// Granted by the game; never leaves it.
    Bonus,
    /// Deposits, winnings and prizes.
    Withdrawable,
}

/// An amount split over a player's two balances. A refund gives back exactly the split that was put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The part from or to the bonus balance.
    pub bonus: Amount,
    /// The part from or to the withdrawable balance.
    pub withdrawable: Amount,
}

impl Split {
    /// Both parts together, or `None` on overflow.
    #[must_use]
    pub fn total(self) -> Option<Amount> {
        self.bonus.checked_add(self.withdrawable)
    }
}
