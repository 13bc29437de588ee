//! One value: what the log says it must be, what stands in the live table, and whether the two agree. Live values arrive
//! as the text the server sends and are read strictly; what cannot be read is a difference, never a default.

use std::{fmt, io::Write as _};

use chrono::NaiveDate;
use wox_events::{Amount, Name, Timestamp};

use super::spec::{Kind, Standing};
use crate::rfc3339;

/// What the log says of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// It must be this.
    Known(Value<'a>),
    /// It must be set; where it is not, or the row is missing, this is written.
    Present(Value<'a>),
    /// This is written where the row is missing; what stands there stays otherwise.
    Filled(Value<'a>),
    /// The log does not know it.
    Kept,
}

/// A value as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// An exact amount; the table shows what its decimals can hold.
    Money(Amount),
    /// Text.
    Text(&'a str),
    /// A hash in hexadecimal digits; upper case is another spelling of it.
    Hash(&'a str),
    /// Where something stands; agrees with every word of that meaning.
    Status(Standing),
    /// A JSON list of names.
    Names(&'a [Name]),
    /// Any other JSON document, compact.
    Json(String),
    /// A moment; the table shows whole seconds.
    Time(Timestamp),
}

/// What the live column can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What it holds.
    pub kind: Kind,
    /// Decimals of an amount, or digits of a second.
    pub scale: u32,
    /// Digits of an amount before the point.
    pub whole_digits: u32,
    /// The smallest and the largest whole number.
    pub range: (i64, i64),
    /// Most characters of a text; `None` when there is no limit that matters.
    pub chars_max: Option<u64>,
    /// True when it may be NULL.
    pub nullable: bool,
    /// True for a TIMESTAMP, which ends in 2038.
    pub timestamp: bool,
}

impl Shape {
    /// The shape of a column as the game's published schema has it.
    #[must_use]
    pub const fn published(kind: Kind) -> Shape {
        Shape {
            kind,
            scale: if matches!(kind, Kind::Money) { 2 } else { 0 },
            whole_digits: 8,
            range: (i32::MIN as i64, i32::MAX as i64),
            chars_max: None,
            nullable: true,
            timestamp: true,
        }
    }
}

/// The amount as a column with this many decimals shows it: cut off, never rounded up.
#[must_use]
pub fn cut_off(amount: Amount, scale: u32) -> Amount {
    let unit = 10u128.pow(18u32.saturating_sub(scale));
    let units = amount.base_units();
    Amount::from_base_units(units - units % unit).unwrap_or(amount)
}

impl Value<'_> {
    /// Writes the text that the server takes behind `out`; false, and nothing, for NULL.
    pub fn write(&self, shape: &Shape, out: &mut Vec<u8>) -> bool {
        match self {
            Value::Null => return false,
            Value::Int(number) => put(out, format_args!("{number}")),
            Value::Money(amount) => decimal(*amount, shape.scale, out),
            Value::Text(text) | Value::Hash(text) => out.extend_from_slice(text.as_bytes()),
            Value::Status(standing) => out.extend_from_slice(standing.word().as_bytes()),
            Value::Names(names) => list(names, out),
            Value::Json(json) => out.extend_from_slice(json.as_bytes()),
            Value::Time(time) => out.extend_from_slice(moment(*time, shape.scale).as_bytes()),
        }
        true
    }

    /// The text that is written, in the form the server takes; `None` for NULL.
    #[must_use]
    pub fn text(&self, shape: &Shape) -> Option<String> {
        let mut out = Vec::new();
        self.write(shape, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    }

    /// Whether the live value is this one. A live value that cannot be read is not.
    #[must_use]
    pub fn agrees(&self, live: Option<&[u8]>, shape: &Shape) -> bool {
        let Some(live) = live else { return *self == Value::Null };
        match self {
            Value::Null => false,
            Value::Int(number) => whole(live) == Some(*number),
            Value::Money(amount) => money(live) == Some((false, cut_off(*amount, shape.scale))),
            Value::Text(text) => live == text.as_bytes(),
            Value::Hash(hash) => live.eq_ignore_ascii_case(hash.as_bytes()),
            Value::Status(standing) => str::from_utf8(live).ok().and_then(Standing::of) == Some(*standing),
            Value::Names(names) => names_agree(names, live),
            Value::Json(json) => live == json.as_bytes() || json_value(live) == json_value(json.as_bytes()),
            Value::Time(time) => parse_time(live).is_some_and(|found| cut_time(found, shape) == cut_time(*time, shape)),
        }
    }

    /// Why the live column cannot hold it, if it cannot.
    pub fn fits(&self, shape: &Shape) -> Result<(), String> {
        let wrong = match self {
            Value::Null if !shape.nullable => "it may not be empty".to_owned(),
            Value::Int(number) if !(shape.range.0..=shape.range.1).contains(number) => {
                format!("{number} is outside {} to {}", shape.range.0, shape.range.1)
            }
            Value::Money(amount) if amount.base_units() / Amount::ONE_GALLEON >= 10u128.pow(shape.whole_digits) => {
                format!("{amount} G has more than {} digits before the point", shape.whole_digits)
            }
            Value::Text(text) | Value::Hash(text)
                if shape.chars_max.is_some_and(|max| text.chars().count() as u64 > max) =>
            {
                format!("`{text}` is longer than {} characters", shape.chars_max.unwrap_or_default())
            }
            Value::Time(time) if !time_fits(*time, shape.timestamp) => "the moment is outside its range".to_owned(),
            _ => return Ok(()),
        };
        Err(wrong)
    }
}

/// Why a live value cannot be read as what its column should hold; zero dates and broken JSON are named.
pub fn unreadable(live: Option<&[u8]>, kind: Kind) -> Option<&'static str> {
    let live = live?;
    match kind {
        Kind::Text if str::from_utf8(live).is_err() => Some("text that is not valid UTF-8"),
        Kind::Int if whole(live).is_none() => Some("no whole number"),
        Kind::Money if money(live).is_none() => Some("no decimal amount"),
        Kind::Time if live.starts_with(b"0000-00-00") => Some("a zero date"),
        Kind::Time if parse_time(live).is_none() => Some("no valid date and time"),
        Kind::Json if !looks_like_json(live) => Some("no valid JSON"),
        Kind::Text | Kind::Int | Kind::Money | Kind::Time | Kind::Json => None,
    }
}

/// A whole number, digits only.
#[must_use]
pub fn whole(live: &[u8]) -> Option<i64> {
    str::from_utf8(live).ok()?.parse().ok()
}

/// A decimal amount and whether it is negative: live tables can hold what the ledger cannot.
#[must_use]
pub fn money(live: &[u8]) -> Option<(bool, Amount)> {
    let text = str::from_utf8(live).ok()?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let amount: Amount = digits.parse().ok()?;
    Some((negative && !amount.is_zero(), amount))
}

/// A moment in the form the server writes it, `2026-08-01 20:00:00` with up to six digits behind the second, in UTC.
#[must_use]
pub fn parse_time(live: &[u8]) -> Option<Timestamp> {
    let digits = |from: usize, to: usize| -> Option<u32> {
        live.get(from..to)?
            .iter()
            .try_fold(0u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| live.get(*at) != Some(byte)) {
        return None;
    }
    let micros = match live.get(19) {
        None => 0,
        Some(b'.') if (21..=26).contains(&live.len()) => {
            digits(20, live.len())? * 10u32.pow(6 - (live.len() as u32 - 20))
        }
        Some(_) => return None,
    };
    let day = NaiveDate::from_ymd_opt(i32::try_from(digits(0, 4)?).ok()?, digits(5, 7)?, digits(8, 10)?)?;
    let time = day.and_hms_micro_opt(digits(11, 13)?, digits(14, 16)?, digits(17, 19)?, micros)?;
    Some(Timestamp(time.and_utc().timestamp_micros()))
}

/// The whole second a moment is in.
#[must_use]
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp(time.0 - time.0.rem_euclid(1_000_000))
}

fn cut_time(time: Timestamp, shape: &Shape) -> i64 {
    let unit = 10i64.pow(6u32.saturating_sub(shape.scale));
    time.0 - time.0.rem_euclid(unit)
}

/// RFC 3339 has the same digits, and writing it costs less than following a format string does.
fn moment(time: Timestamp, scale: u32) -> String {
    let mut text = rfc3339::text(time);
    if text.get(10..11) != Some("T") {
        return text;
    }
    text.replace_range(10..11, " ");
    // Cut off like amounts: the server would round, so only what it can hold is given.
    text.truncate(match scale {
        0 => 19,
        digits => 20 + digits.min(6) as usize,
    });
    text
}

fn time_fits(time: Timestamp, timestamp: bool) -> bool {
    // TIMESTAMP: 1970-01-01 00:00:01 to 2038-01-19 03:14:07; DATETIME: the years 1000 to 9999.
    let range = if timestamp { 1..=2_147_483_647 } else { -30_610_224_000..=253_402_300_799 };
    range.contains(&time.0.div_euclid(1_000_000))
}

/// Memory takes every text.
fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes every text");
}

/// A decimal text with exactly this many decimals; an amount has eighteen, what is beyond is zeros.
fn decimal(amount: Amount, scale: u32, out: &mut Vec<u8>) {
    let digits = scale.min(18);
    let (unit, one) = (10u128.pow(18 - digits), 10u128.pow(digits));
    let units = amount.base_units() / unit;
    let (whole, rest) = (units / one, units % one);
    put(out, format_args!("{whole}"));
    if scale > 0 {
        let (width, zeros) = (digits as usize, (scale - digits) as usize);
        put(out, format_args!(".{rest:0width$}{:0<zeros$}", ""));
    }
}

/// `["a","b"]`. Names are printable ASCII without quotes and backslashes, so nothing is escaped.
fn list(names: &[Name], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}

/// Compares a list with the JSON in a table without building either: 100,000 rows have 300,000 of these.
fn names_agree(names: &[Name], live: &[u8]) -> bool {
    let mut rest = live.trim_ascii();
    let mut eat = |token: &[u8]| -> bool {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(token) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        }
    };
    let mut fast = eat(b"[");
    for (index, name) in names.iter().enumerate() {
        fast = fast && (index == 0 || eat(b",")) && eat(b"\"");
        fast = fast && eat_exact(&mut eat, name.as_str()) && eat(b"\"");
    }
    if fast && eat(b"]") && rest.is_empty() {
        return true;
    }
    // Written otherwise: escapes, or really something else.
    match json_value(live) {
        Some(serde_json::Value::Array(items)) => {
            items.len() == names.len()
                && items.iter().zip(names).all(|(item, name)| item.as_str() == Some(name.as_str()))
        }
        _ => false,
    }
}

fn eat_exact(eat: &mut impl FnMut(&[u8]) -> bool, text: &str) -> bool {
    eat(text.as_bytes())
}

fn json_value(text: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(text).ok()
}

fn looks_like_json(live: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(live).is_ok()
}

/// A live value as it is shown to people: text as it is, anything else by its bytes; long values are cut.
#[must_use]
pub fn shown(live: Option<&[u8]>) -> Option<String> {
    const SHOWN_CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(live?);
    Some(match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn an_amount_is_cut_off_and_never_rounded_up() {
        let two = Shape::published(Kind::Money);
        let eighteen = Shape { scale: 18, ..two.clone() };
        let value = Value::Money(amount("12.349999999999999999"));
        assert_eq!(value.text(&two).unwrap(), "12.34");
        assert_eq!(value.text(&eighteen).unwrap(), "12.349999999999999999");
        assert!(value.agrees(Some(b"12.34"), &two) && !value.agrees(Some(b"12.35"), &two));
        assert!(!value.agrees(Some(b"12.340000000000000000"), &eighteen), "dust shows where the column can hold it");
        assert_eq!(Value::Money(amount("7")).text(&two).unwrap(), "7.00");
        assert_eq!(Value::Money(amount("7.9")).text(&Shape { scale: 0, ..two }).unwrap(), "7");
    }

    #[test]
    fn a_negative_amount_never_agrees() {
        let two = Shape::published(Kind::Money);
        assert!(!Value::Money(amount("5")).agrees(Some(b"-5.00"), &two));
        assert!(Value::Money(Amount::ZERO).agrees(Some(b"-0.00"), &two));
    }

    #[test]
    fn lists_agree_whatever_the_white_space_and_the_escapes() {
        let names: Vec<Name> = ["Incendio", "Protego"].map(|name| Name::new(name).unwrap()).into();
        let shape = Shape::published(Kind::Json);
        let value = Value::Names(&names);
        for same in [r#"["Incendio","Protego"]"#, r#"[ "Incendio" , "Protego" ] "#, r#"["\u0049ncendio","Protego"]"#] {
            assert!(value.agrees(Some(same.as_bytes()), &shape), "{same}");
        }
        for other in [
            r#"["Protego","Incendio"]"#,
            r#"["Incendio"]"#,
            r#"["Incendio","Protego","x"]"#,
            "[]",
            "x",
            r#"["Incendio "#,
        ] {
            assert!(!value.agrees(Some(other.as_bytes()), &shape), "{other}");
        }
        assert_eq!(value.text(&shape).unwrap(), r#"["Incendio","Protego"]"#);
        assert!(!value.agrees(None, &shape));
    }

    #[test]
    fn times_are_read_strictly_and_zero_dates_are_named() {
        for (text, micros) in [
            ("2026-08-01 20:00:00", Some(1_785_614_400_000_000)),
            ("2026-08-01 20:00:00.25", Some(1_785_614_400_250_000)),
            ("2026-08-01T20:00:00", None),
            ("2026-02-30 20:00:00", None),
            ("2026-08-01 20:00:00.", None),
            ("0000-00-00 00:00:00", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()).map(|time| time.0), micros, "{text}");
        }
        assert_eq!(unreadable(Some(b"0000-00-00 00:00:00"), Kind::Time), Some("a zero date"));
        let shape = Shape::published(Kind::Time);
        let time = Value::Time(Timestamp(1_785_614_400_999_999));
        assert_eq!(time.text(&shape).unwrap(), "2026-08-01 20:00:00");
        assert!(time.agrees(Some(b"2026-08-01 20:00:00"), &shape));
        assert_eq!(time.text(&Shape { scale: 3, ..shape }).unwrap(), "2026-08-01 20:00:00.999");
    }

    #[test]
    fn what_a_column_cannot_hold_is_said() {
        let text = Shape { chars_max: Some(5), ..Shape::published(Kind::Text) };
        assert!(Value::Text("12345").fits(&text).is_ok() && Value::Text("123456").fits(&text).is_err());
        let money = Shape::published(Kind::Money);
        assert!(Value::Money(amount("99999999.99")).fits(&money).is_ok());
        assert!(Value::Money(amount("100000000")).fits(&money).is_err());
        assert!(Value::Int(i64::from(i32::MAX) + 1).fits(&Shape::published(Kind::Int)).is_err());
        assert!(Value::Null.fits(&Shape { nullable: false, ..text }).is_err());
        let time = Shape::published(Kind::Time);
        assert!(Value::Time(Timestamp(2_147_483_648_000_000)).fits(&time).is_err());
        assert!(Value::Time(Timestamp(2_147_483_648_000_000)).fits(&Shape { timestamp: false, ..time }).is_ok());
    }
}
