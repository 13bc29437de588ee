//! Events → canonical JSON, for events whose shape is known here: the same bytes as `Event::encode`, several times
//! faster, because nothing passes through a tree of values. A test holds the two together.

use serde::Serialize;
use wox_events::Json;

/// The payload of one event, without its kind, in canonical form (RFC 8785).
///
/// `tagged` is written as `{"Kind":{…}}` by serde, in the order of the declaration; here the tag goes and the members of
/// every object are put in order. Escapes and numbers are left as serde writes them, which is canonical for the
/// identities, amounts and small integers that events are made of.
pub(super) fn payload(tagged: &impl Serialize, buffer: &mut Vec<u8>) -> Json {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, tagged).expect("an event of ours has text keys and plain values");
    let text = str::from_utf8(buffer).expect("serde_json writes UTF-8");
    let (_, data) = text.split_once(':').expect("an event is written as one tagged object");
    let data = data.strip_suffix('}').expect("an event is written as one tagged object");
    let mut out = String::with_capacity(data.len());
    write_sorted(data, &mut out);
    Json::stored(out.into_boxed_str())
}

/// Copies one compact JSON value, the members of its objects in the order of their keys.
fn write_sorted(value: &str, out: &mut String) {
    match value.as_bytes()[0] {
        b'{' => {
            let mut members: Vec<(&str, &str)> = items(value).map(member).collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            write_list(('{', '}'), members, out, |(key, value), out| {
                out.push_str(key);
                out.push(':');
                write_sorted(value, out);
            });
        }
        b'[' => write_list(('[', ']'), items(value), out, write_sorted),
        _ => out.push_str(value),
    }
}

fn write_list<T>(
    (open, close): (char, char),
    list: impl IntoIterator<Item = T>,
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (index, item) in list.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// The parts of an object or array, as written.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = &list[1..list.len() - 1];
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = item_end(rest.as_bytes());
        let item = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(item)
    })
}

/// Where the first part of a list ends: at the first comma outside of strings and nested lists.
fn item_end(rest: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return index,
            _ => {}
        }
    }
    rest.len()
}

/// Key (with its quotes) and value. Keys are names of fields: no colon, no quote in them.
fn member(item: &str) -> (&str, &str) {
    item.split_once(':').expect("a member of an object has a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_order_at_every_depth() {
        let mut out = String::new();
        write_sorted(r#"{"b":[{"z":"a,}\"","c":{}},[]],"a":-1,"ab":null}"#, &mut out);
        assert_eq!(out, r#"{"a":-1,"ab":null,"b":[{"c":{},"z":"a,}\""},[]]}"#);
    }
}
