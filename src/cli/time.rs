//! Moments between people and events: RFC 3339 text ↔ microseconds since 1970. Also the one place that asks for the
//! time; everything below the command line gets it as an argument.

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use wox_events::Timestamp;

/// The present moment, in microseconds since 1970.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(Utc::now().timestamp_micros())
}

/// Reads RFC 3339 text such as `2026-08-01T20:00:00Z`, with any offset. Digits beyond microseconds are cut.
///
/// ```
/// use wox_recovery::cli::time::{parse_rfc3339, rfc3339};
/// let moment = parse_rfc3339("2026-08-01T22:00:00.25+02:00").unwrap();
/// assert_eq!(rfc3339(moment), "2026-08-01T20:00:00.250000Z");
/// ```
pub fn parse_rfc3339(text: &str) -> Result<Timestamp, chrono::ParseError> {
    Ok(Timestamp(DateTime::parse_from_rfc3339(text)?.timestamp_micros()))
}

/// Writes a moment as RFC 3339 in UTC with microseconds. A moment outside the years 0 to 9999 has no such text and is
/// written as its number of microseconds.
#[must_use]
pub fn rfc3339(moment: Timestamp) -> String {
    match to_chrono(moment) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => moment.0.to_string(),
    }
}

/// The moment as chrono has it, or `None` outside the years 0 to 9999 (RFC 3339 ends there).
#[must_use]
pub fn to_chrono(moment: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(moment.0).filter(|time| (0..=9999).contains(&time.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_without_rfc_3339_text_is_written_as_its_number() {
        assert_eq!(rfc3339(Timestamp(i64::MAX)), i64::MAX.to_string());
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        assert!(parse_rfc3339("yesterday").is_err());
        assert!(parse_rfc3339("2026-08-01").is_err());
    }
}
