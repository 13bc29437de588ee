//! Commands as texts that somebody pastes into a shell. What comes from events, files or another command line is one word
//! there, whatever it holds. Texts say `wox …`; only the command line knows how it was called ([`addressed`]). Pure.

use std::fmt;

/// One word of a command, quoted where a shell would take it for more or for less than it is.
#[must_use]
pub fn word(text: impl fmt::Display) -> String {
    let text = text.to_string();
    // No argument of a program can hold a NUL, so nothing that could be named is lost.
    let text = text.replace('\0', "");
    shlex::try_quote(&text).map_or_else(|_| "''".to_owned(), std::borrow::Cow::into_owned)
}

/// `wox` with these words behind it, each quoted as [`word`] does.
#[must_use]
pub fn wox<W: fmt::Display>(words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().fold("wox".to_owned(), |command, next| command + " " + &word(next))
}

/// A text with `called` in the place of every `wox` that begins a command, so that the command can be pasted as it stands.
/// A command is `wox` and one of `verbs`, at the beginning of a word; what stands in quotes is data and is left alone.
#[must_use]
pub fn addressed(text: &str, verbs: &[String], called: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut at, mut begins) = (0, true);
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let taken = match next {
            _ if begins && begins_command(rest, verbs) => {
                out.push_str(called);
                "wox".len()
            }
            '\'' | '"' if begins => {
                let length = quoted(rest);
                out.push_str(&rest[..length]);
                length
            }
            _ => {
                out.push(next);
                next.len_utf8()
            }
        };
        at += taken;
        begins = next.is_whitespace() || next == '`' || next == '(';
    }
    out
}

fn begins_command(text: &str, verbs: &[String]) -> bool {
    text.strip_prefix("wox ").is_some_and(|behind| {
        let verb = behind.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').next();
        verb.is_some_and(|verb| verbs.iter().any(|known| known == verb))
    })
}

/// The length of a quoted word; of its first character, where no quote ends it.
fn quoted(text: &str) -> usize {
    let mut end = 0;
    while let Some(quote @ ('\'' | '"')) = text[end..].chars().next() {
        let (mut escaped, mut closed) = (false, None);
        for (at, char) in text[end..].char_indices().skip(1) {
            if char == quote && !escaped {
                closed = Some(at + 1);
                break;
            }
            escaped = quote == '"' && char == '\\' && !escaped;
        }
        match closed {
            Some(length) => end += length,
            None => return end.max(1),
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verbs() -> Vec<String> {
        ["show", "plan", "init"].map(String::from).to_vec()
    }

    fn there(text: &str) -> String {
        addressed(text, &verbs(), "'/my bin/wox' --store 'a b'")
    }

    #[test]
    fn only_a_word_that_needs_it_is_quoted() {
        assert_eq!(wox(["show", "duel-17", "0x5d1f", "8453:0x5d1f:0"]), "wox show duel-17 0x5d1f 8453:0x5d1f:0");
        assert_eq!(wox(["show", "duel-$(x)", "", "it's"]), "wox show 'duel-$(x)' '' \"it's\"");
        assert_eq!(word("a\0b"), "ab");
    }

    #[test]
    fn a_command_is_addressed_wherever_it_begins() {
        let wox = "'/my bin/wox' --store 'a b'";
        for (text, said) in [
            ("wox plan", format!("{wox} plan")),
            ("wox plan, or wox show 7; then `wox init`", format!("{wox} plan, or {wox} show 7; then `{wox} init`")),
            ("free it (wox plan)\nwox show", format!("free it ({wox} plan)\n{wox} show")),
        ] {
            assert_eq!(there(text), said);
        }
    }

    #[test]
    fn what_is_no_command_stays_and_nothing_is_addressed_twice() {
        for text in [
            "wox",
            "write [chain] into wox.toml, then look",
            "the version of wox that wrote it",
            "wox/plan/v1, wox::plan::file, wox-store, _wox_old_1, a_wox plan",
            "--why 'says wox plan' and \"wox show 1\"",
            "another person's, the players' and `it's`",
        ] {
            assert_eq!(there(text), text);
        }
        let once = there("wox show 'duel-wox plan' \"'wox plan\"; wox plan");
        assert_eq!(once.matches("--store").count(), 2, "{once}");
        assert_eq!(there(&once), once);
    }

    proptest! {
        #[test]
        fn a_shell_reads_every_word_as_it_was(words in prop::collection::vec("[^\0]*", 1..4)) {
            let read = shlex::split(&wox(&words)).unwrap();
            prop_assert_eq!(&read[1..], &words[..]);
        }

        #[test]
        fn words_never_become_commands(data in "[^\0]*(wox plan)?[^\0]*") {
            let command = wox(["show", data.as_str()]);
            let read = shlex::split(&addressed(&command, &verbs(), "other")).unwrap();
            prop_assert_eq!(read, ["other", "show", data.as_str()]);
        }

        #[test]
        fn any_text_keeps_all_that_is_no_command(text in "(.|wox plan|'|\"| )*") {
            prop_assert_eq!(addressed(&text, &verbs(), "wox"), text);
        }
    }
}
