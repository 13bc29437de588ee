//! Looks whether a text is canonical JSON (RFC 8785, integers only) without building a value.
//!
//! Written by hand because the other way (parse, sort, print, compare) costs several microseconds an event and every
//! event passes here. A property test holds it against [`wox_events::Json::canonical`].

/// Why a payload is not canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payload is not canonical JSON (RFC 8785) at byte {at}: {what}")]
pub struct NotCanonical {
    /// Byte offset in the payload.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// Deepest nesting accepted; serde_json refuses deeper texts too.
const DEPTH_MAX: usize = 127;
const INTEGER_MAX: u64 = 1 << 53;

/// Checks that the text is one canonical JSON object.
///
/// ```
/// use wox_recovery::log::canonical::check_object;
/// assert!(check_object(r#"{"a":1,"b":"x"}"#).is_ok());
/// assert!(check_object(r#"{"b":1,"a":2}"#).is_err());
/// assert!(check_object(r#"{ "a":1}"#).is_err());
/// assert!(check_object("7").is_err());
/// ```
pub fn check_object(text: &str) -> Result<(), NotCanonical> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    if scan.peek() != Some(b'{') {
        return scan.refuse("the payload is not an object");
    }
    scan.value(0)?;
    if scan.at == text.len() { Ok(()) } else { scan.refuse("text after the object") }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn refuse<T>(&self, what: &'static str) -> Result<T, NotCanonical> {
        Err(NotCanonical { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> Result<(), NotCanonical> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.refuse("not a JSON value")
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), NotCanonical> {
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => self.refuse("nested too deeply"),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.refuse("not a JSON value, or white space between values"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        if self.eat(b'}') {
            return Ok(());
        }
        let mut previous: Option<std::ops::Range<usize>> = None;
        loop {
            let start = self.at;
            let escaped = self.string()?;
            let key = start + 1..self.at - 1;
            if let Some(previous) = previous
                && !key_before(&self.text[previous], &self.text[key.clone()], escaped)
            {
                self.at = start;
                return self.refuse("keys are not in order, or one appears twice");
            }
            previous = Some(key);
            if !self.eat(b':') {
                return self.refuse("`:` expected");
            }
            self.value(depth + 1)?;
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.refuse("`,` or `}` expected");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.refuse("`,` or `]` expected");
            }
        }
    }

    /// Passes a string; says whether it held an escape.
    fn string(&mut self) -> Result<bool, NotCanonical> {
        if !self.eat(b'"') {
            return self.refuse("a string expected");
        }
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) => return self.refuse("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.refuse("a string without end"),
            }
        }
    }

    /// RFC 8785 escapes only what it must, each in one way.
    fn escape(&mut self) -> Result<(), NotCanonical> {
        let rest = &self.bytes[self.at + 1..];
        match rest {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => {
                self.at += 2;
                Ok(())
            }
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] => {
                let short = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                if short || !matches!(low, b'0'..=b'9' | b'a'..=b'f') {
                    return self.refuse("an escape that is not the canonical one");
                }
                self.at += 6;
                Ok(())
            }
            _ => self.refuse("an escape that is not the canonical one"),
        }
    }

    fn integer(&mut self) -> Result<(), NotCanonical> {
        let negative = self.eat(b'-');
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - start;
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return self.refuse("a number with a fraction or an exponent; amounts are decimal strings");
        }
        if digits == 0 || (digits > 1 && self.bytes[start] == b'0') || (negative && value == 0) {
            return self.refuse("a number that is not in its shortest form");
        }
        if value > INTEGER_MAX { self.refuse("a number beyond 2^53; amounts are decimal strings") } else { Ok(()) }
    }
}

/// RFC 8785 orders keys by UTF-16 code units; for ASCII without escapes that is the order of bytes.
fn key_before(left: &str, right: &str, right_escaped: bool) -> bool {
    if !right_escaped && !left.contains('\\') && left.is_ascii() && right.is_ascii() {
        return left < right;
    }
    let unescape = |key: &str| serde_json::from_str::<String>(&format!("\"{key}\"")).unwrap_or_default();
    unescape(left).encode_utf16().lt(unescape(right).encode_utf16())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wox_events::Json;

    use super::*;

    fn agrees(text: &str) {
        let slow = Json::canonical(text).is_ok_and(|json| json.as_str() == text && text.starts_with('{'));
        assert_eq!(check_object(text).is_ok(), slow, "{text:?}: {:?}", check_object(text));
    }

    #[test]
    fn the_scan_agrees_with_the_canonicaliser_on_tricky_texts() {
        for text in [
            "{}",
            "{\"a\":\"\\u0007\"}",
            "{\"a\":\"\\u0008\"}",
            "{\"a\":\"\\b\"}",
            "{\"a\":\"\\/\"}",
            "{\"a\":\"\\u001F\"}",
            "{\"a\":\"\\u001f\"}",
            "{\"a\":\"\\u0041\"}",
            "{\"a\":\"\u{7f}é😀\"}",
            "{\"\u{e000}\":1,\"😀\":2}",
            "{\"😀\":1,\"\u{e000}\":2}",
            "{\"a\":-0}",
            "{\"a\":0,\"b\":-7,\"c\":9007199254740992}",
            "{\"a\":9007199254740993}",
            "{\"a\":18446744073709551616}",
            "{\"a\":01}",
            "{\"a\":1e3}",
            "{\"a\":1.0}",
            "{\"a\":[1,2,{\"x\":null}],\"b\":[true,false]}",
            "{\"a\":[1,2,]}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":1}",
            "{\"\":1,\"a\":1}",
            "{\"\\n\":1,\"a\":1}",
            "{\"a\":1,\"\\n\":1}",
            "{\"a\":\"x",
            "{\"a\":tru}",
            "[]",
            "7",
            "",
            "{}{}",
        ] {
            agrees(text);
        }
        for depth in 120..132 {
            agrees(&format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth)));
        }
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_the_canonicaliser(
            text in r#"\{("([ab\\nu0-2"é]|\\[nbu"]){0,4}":(-?[0-9]{1,4}|"[a-z\\"]{0,4}"|\[(1,?){0,3}\]|true|\{\}),?){0,3}\}"#,
        ) {
            agrees(&text);
            if let Ok(canonical) = Json::canonical(&text) {
                prop_assert_eq!(check_object(canonical.as_str()), Ok(()));
            }
        }
    }
}
