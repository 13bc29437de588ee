//! The report of a comparison as one HTML file that needs nothing else: no script, no style sheet, no font from outside.

use std::fmt::Write as _;

use super::{DiffResult, TableCounts, event, said, value};
use crate::tables::Kind;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1b1f;\
background:#fff}table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left;font-weight:600}th,td{\
border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}td.n{text-align:right;\
font-variant-numeric:tabular-nums}.live{color:#8a1c1c}.log{color:#0b5d1e}@media(prefers-color-scheme:dark){body{\
background:#16161a;color:#e8e8ee}.live{color:#ff9d9d}.log{color:#8fe3a5}}";

/// The whole page.
pub(super) fn page(result: &DiffResult) -> String {
    let mut out = String::new();
    let _infallible = write(result, &mut out);
    out
}

fn write(result: &DiffResult, out: &mut String) -> std::fmt::Result {
    write!(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" ")?;
    write!(
        out,
        "content=\"width=device-width\"><title>wox diff at position {}</title><style>{STYLE}</style>",
        result.as_of
    )?;
    write!(out, "</head><body><main><h1>The game's tables against the log</h1><p>Log position {}.", result.as_of)?;
    if let Some(filter) = &result.filter {
        write!(out, " Only: {}.", escaped(filter))?;
    }
    write!(out, "</p><table><caption>Rows</caption><thead><tr>")?;
    for name in super::COUNTS_HEADER {
        write!(out, "<th scope=\"col\">{name}</th>")?;
    }
    write!(out, "</tr></thead><tbody>")?;
    for cells in result.tables.iter().map(TableCounts::cells) {
        write!(out, "<tr>")?;
        for (index, cell) in cells.iter().enumerate() {
            match index {
                0 => write!(out, "<th scope=\"row\">{}</th>", escaped(cell))?,
                _ => write!(out, "<td class=\"n\">{}</td>", escaped(cell))?,
            }
        }
        write!(out, "</tr>")?;
    }
    write!(out, "</tbody></table><table><caption>{} rows differ</caption><thead><tr>", result.differences.len())?;
    for name in ["table", "row", "what", "column", "live", "log", "last written by", "the log says"] {
        write!(out, "<th scope=\"col\">{name}</th>")?;
    }
    write!(out, "</tr></thead><tbody>")?;
    for difference in &result.differences {
        let note = difference.note.as_deref().unwrap_or_default();
        for field in &difference.fields {
            write!(out, "<tr><td>{}</td><td>{}</td>", difference.table, escaped(&difference.key))?;
            write!(out, "<td>{}</td><td>{}</td>", difference.kind, field.column)?;
            let nothing = || String::from("\u{2014}");
            let live = if difference.kind == Kind::Missing { nothing() } else { value(&field.live) };
            let log = if difference.kind == Kind::Surplus { nothing() } else { value(&field.log) };
            write!(out, "<td class=\"live\">{}</td><td class=\"log\">{}</td>", escaped(&live), escaped(&log))?;
            let says = said(field).unwrap_or_else(|| note.to_owned());
            write!(out, "<td>{}</td><td>{}</td></tr>", escaped(&event(field)), escaped(&says))?;
        }
    }
    write!(out, "</tbody></table>")?;
    if !result.unholdable.is_empty() || !result.oddities.is_empty() {
        write!(out, "<h2>Also</h2><ul>")?;
        for found in &result.unholdable {
            write!(out, "<li>{} has no place for {}: ", found.table, escaped(&found.subject))?;
            write!(out, "{}</li>", escaped(&found.why))?;
        }
        for odd in &result.oddities {
            write!(out, "<li>{}.{} of row {} holds {}</li>", odd.table, odd.column, escaped(&odd.key), odd.what)?;
        }
        write!(out, "</ul>")?;
    }
    writeln!(out, "</main></body></html>")
}

/// Text in HTML: nothing from a table or an event becomes markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in crate::cli::error::printable(text).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escaped("<b onclick='x'>&\"\u{1b}"), "&lt;b onclick=&#39;x&#39;&gt;&amp;&quot;\\u{1b}");
    }
}
