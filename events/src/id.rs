//! Identities. Ids made by this engine are derived from immutable facts, never drawn (law 7).

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use smol_str::SmolStr;
use uuid::Uuid;

/// Namespace of every id this project derives (UUID version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_5a3e_2c84_5b8e_9f60_77a4_c1de_5a11);
/// Longest identity accepted, in bytes: a deposit key with chain, hash and ordinal takes 75.
pub const TEXT_ID_BYTES_MAX: usize = 128;

/// Why a text cannot be an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextIdError {
    /// No text at all.
    #[error("identity is empty")]
    Empty,
    /// Longer than [`TEXT_ID_BYTES_MAX`].
    #[error("identity is longer than 128 bytes")]
    TooLong,
    /// White space, a control character or anything outside printable ASCII: it would reach a terminal or a page.
    #[error("identity has a character outside printable ASCII without spaces")]
    Character,
    /// A name begins or ends with a space, has two in a row, or a character outside printable ASCII.
    #[error("name has a character outside printable ASCII, or a space that stands between no words")]
    Spaced,
}

pub(crate) fn check_text_id(text: &str) -> Result<(), TextIdError> {
    if text.is_empty() {
        Err(TextIdError::Empty)
    } else if text.len() > TEXT_ID_BYTES_MAX {
        Err(TextIdError::TooLong)
    } else if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        Ok(())
    } else {
        Err(TextIdError::Character)
    }
}

/// As an identity, of one word or several.
fn check_name(text: &str) -> Result<(), TextIdError> {
    match text.len() {
        0 => Err(TextIdError::Empty),
        length if length > TEXT_ID_BYTES_MAX => Err(TextIdError::TooLong),
        _ if text.split(' ').all(|word| check_text_id(word).is_ok()) => Ok(()),
        _ => Err(TextIdError::Spaced),
    }
}

/// An address or a hash of the chain in lower case, everything else as it is. The capitals of an address are a checksum
/// (EIP-55), so two spellings are one address: were they two, a payment to the one would be none to the other.
fn in_one_spelling(text: &str) -> SmolStr {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let on_chain =
        |digits: &&str| matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match digits.filter(on_chain) {
        Some(digits) => SmolStr::from_iter(["0x", &digits.to_ascii_lowercase()]),
        None => SmolStr::new(text),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $crate::id::text_id!($(#[$doc])* $name, smol_str::SmolStr::new);
    };
    ($(#[$doc:meta])* $name:ident, $spelling:path) => {
        $crate::id::text_id!(
            $(#[$doc])*
            $name, $spelling, $crate::id::check_text_id, "printable ASCII without spaces", "^[!#-\\[\\]-~]{1,128}$"
        );
    };
    ($(#[$doc:meta])* $name:ident, $spelling:path, $check:path, $of:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            #[doc = concat!("Takes the text when it is ", $of, ", 1 to 128 bytes.")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, TextIdError> {
                $check(text.as_ref())?;
                Ok(Self($spelling(text.as_ref())))
            }
            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0.as_str())
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("an identity: ", $of, ", 1 to 128 bytes"))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern, "maxLength": $crate::id::TEXT_ID_BYTES_MAX})
            }
        }
    };
}
pub(crate) use text_id;

text_id!(
    /// A player: the platform's immutable user id, not the handle (mission.md G11, row E4).
    PlayerId
);
text_id!(
    /// A handle on X: an attribute of a player, with history.
    Handle
);
text_id!(
    /// A duel, as named by the game.
    DuelId
);
text_id!(
    /// A tournament, as named by the game.
    TournamentId
);
text_id!(
    /// A withdrawal request, as named by the game.
    WithdrawalId
);
text_id!(
    /// A transaction hash on chain: `0x` and 64 hex digits, kept in lower case, when the chain is Base.
    TxHash,
    in_one_spelling
);
text_id!(
    /// Any other short name of one word: a reason code, a post id, an address. An address of the chain is kept in lower
    /// case.
    Label,
    in_one_spelling
);
text_id!(
    /// What the game calls something: a spell (`Avada Kedavra`), a potion, a title, a wizard. One word or several
    /// (domain.md, "Players").
    Name,
    SmolStr::new,
    check_name,
    "printable ASCII with single spaces between words",
    "^[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*$"
);

/// Whether two names are one person's. Letter case makes no second person: whoever may do something only together with
/// somebody else must not become somebody else by a capital.
///
/// ```
/// use wox_events::id::is_same_person;
/// assert!(is_same_person("alice", "Alice") && !is_same_person("alice", "bob"));
/// ```
#[must_use]
pub fn is_same_person(one: impl AsRef<str>, other: impl AsRef<str>) -> bool {
    one.as_ref().eq_ignore_ascii_case(other.as_ref())
}

/// The id of one event, made by whoever produced it before it was sent; unique within its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct EventId(#[schemars(with = "String")] pub Uuid);

impl EventId {
    /// The id that belongs to these facts (subject, cause, kind …): the same parts always give the same id.
    /// Parts are length-prefixed, so no two lists share an id. Never pass a position, time, rank or attempt (P11).
    ///
    /// ```
    /// use wox_events::EventId;
    /// assert_eq!(EventId::derived(&["duel-1", "void"]), EventId::derived(&["duel-1", "void"]));
    /// assert_ne!(EventId::derived(&["ab", "c"]), EventId::derived(&["a", "bc"]));
    /// ```
    #[must_use]
    pub fn derived(parts: &[&str]) -> EventId {
        let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        EventId(Uuid::new_v5(&NAMESPACE, &name))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random id of one log; part of every record, so pieces of another log never fit (reliability.md R15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct LogId(#[schemars(with = "String")] pub Uuid);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_hash_have_one_spelling_and_other_names_keep_theirs() {
        let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(Label::new(checksummed).unwrap().as_str(), checksummed.to_ascii_lowercase());
        let hash = format!("0X{}", "Ab".repeat(32));
        assert_eq!(TxHash::new(&hash).unwrap().as_str(), hash.to_ascii_lowercase());
        for other in ["Alice", "0xAB", "0xNotHex", "MiXed-Reason"] {
            assert_eq!(Label::new(other).unwrap().as_str(), other);
        }
    }

    #[test]
    fn a_name_has_one_word_or_several_and_an_identity_has_one() {
        for name in ["Incendio", "Avada Kedavra", "Elixir of Power"] {
            assert_eq!(Name::new(name).unwrap().as_str(), name);
            assert_eq!(Label::new(name).is_ok(), !name.contains(' '));
        }
        for wrong in ["", " ", " Incendio", "Incendio ", "Avada  Kedavra", "Zo\u{eb}", "a\tb", "a\"b", "a\u{1b}[31m"] {
            assert!(Name::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(Name::new("x".repeat(128)).is_ok() && Name::new("x".repeat(129)).is_err());
    }
}
