//! Moments between people and events: RFC 3339 text ↔ microseconds since 1970. Knows no clock.

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use wox_events::Timestamp;

/// Reads RFC 3339 text such as `2026-08-01T20:00:00Z`, with any offset. Digits beyond microseconds are cut.
///
/// ```
/// use wox_recovery::rfc3339::{parse, text};
/// let moment = parse("2026-08-01T22:00:00.25+02:00").unwrap();
/// assert_eq!(text(moment), "2026-08-01T20:00:00.250000Z");
/// ```
pub fn parse(text: &str) -> Result<Timestamp, chrono::ParseError> {
    Ok(Timestamp(DateTime::parse_from_rfc3339(text)?.timestamp_micros()))
}

/// Writes a moment as RFC 3339 in UTC with microseconds. A moment outside the years 0 to 9999 has no such text and is
/// written as its number of microseconds.
#[must_use]
pub fn text(moment: Timestamp) -> String {
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
        assert_eq!(text(Timestamp(i64::MAX)), i64::MAX.to_string());
        assert_eq!(text(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        assert!(parse("yesterday").is_err());
        assert!(parse("2026-08-01").is_err());
    }
}
