//! Results on stdout: for people as text and tables, for programs as JSON, JSON Lines or CSV, from one [`Document`].
//! The only place that prints results. Machine formats carry a schema name with a version, never a colour, and are
//! never cut short; text of events cannot reach the terminal as a control sequence.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::{CliError, error::printable};

/// One line below the header and no other: rows stay one line each and paste well.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Output {
    /// Text and tables for people
    #[default]
    Table,
    /// One JSON object with a versioned `schema`
    Json,
    /// One JSON object a line, one line a record
    Jsonl,
    /// Comma-separated records with a header line
    Csv,
}

impl Output {
    /// True when a program reads the result, and so the errors too.
    #[must_use]
    pub fn is_for_programs(self) -> bool {
        self != Output::Table
    }
}

/// A JSON object that commands print: a document, or one line of JSON Lines. All of them stand in
/// [`shapes`](crate::cli::shapes), which publishes their schemas.
pub trait Shape: Serialize + JsonSchema {
    /// `wox/<name>/v<n>`: what the object says of itself in its field `schema`.
    const NAME: &'static str;
}

/// One result: a JSON object for programs, and the blocks people see. Both are made from the same values.
#[derive(Debug)]
pub struct Document {
    schema: &'static str,
    body: Map<String, Value>,
    records: Option<&'static str>,
    record_schema: &'static str,
    rows: Option<Vec<Value>>,
    blocks: Vec<Block>,
}

/// One piece of a result as people see it.
#[derive(Debug)]
enum Block {
    Raw(String),
    Line(String),
    Facts(Vec<(String, String)>),
    Table { header: Vec<String>, rows: Vec<Vec<String>> },
}

impl Document {
    /// A result whose machine form are the fields of `body`.
    pub fn of<S: Shape>(body: &S) -> Document {
        Document::new(S::NAME, body)
    }

    /// A result named `schema` (`wox/<name>/v<n>`), whose machine form are the fields of `body`, a struct or map.
    pub(super) fn new(schema: &'static str, body: &impl Serialize) -> Document {
        let body = match serde_json::to_value(body).expect("results are plain data with text keys") {
            Value::Object(fields) => fields,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Document { schema, body, records: None, record_schema: schema, rows: None, blocks: Vec::new() }
    }

    /// A result that is a text already: a schema, a plan file.
    #[must_use]
    pub fn raw(text: impl Into<String>) -> Document {
        Document { blocks: vec![Block::Raw(text.into())], ..Document::new("", &Map::new()) }
    }

    /// Names the field that holds the list of records: one line each as JSON Lines, one row each as CSV.
    #[must_use]
    pub fn records<S: Shape>(mut self, field: &'static str) -> Document {
        self.records = Some(field);
        self.record_schema = S::NAME;
        self
    }

    /// Gives the records themselves, where they are no field of the body.
    #[must_use]
    pub fn rows<S: Shape>(mut self, rows: &[S]) -> Document {
        let value = |row: &S| serde_json::to_value(row).expect("results are plain data with text keys");
        self.rows = Some(rows.iter().map(value).collect());
        self.record_schema = S::NAME;
        self
    }

    /// Adds a line of text.
    #[must_use]
    pub fn line(mut self, text: impl Into<String>) -> Document {
        self.blocks.push(Block::Line(text.into()));
        self
    }

    /// Adds names and values, one pair a line.
    #[must_use]
    pub fn facts<N: Into<String>, V: ToString>(mut self, facts: impl IntoIterator<Item = (N, V)>) -> Document {
        let facts = facts.into_iter().map(|(name, value)| (name.into(), value.to_string())).collect();
        self.blocks.push(Block::Facts(facts));
        self
    }

    /// Adds a table. Rows have as many cells as the header.
    #[must_use]
    pub fn table<H: Into<String>>(
        mut self,
        header: impl IntoIterator<Item = H>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Document {
        let header = header.into_iter().map(Into::into).collect();
        self.blocks.push(Block::Table { header, rows: rows.into_iter().collect() });
        self
    }

    /// Prints the result on stdout.
    pub fn print(&self, output: Output) -> Result<(), CliError> {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(terminal_width).flatten();
        let mut out = io::BufWriter::new(stdout.lock());
        self.write(output, width, &mut out).and_then(|()| out.flush()).map_err(CliError::output)
    }

    /// Writes the result. `width` is the terminal's columns, or `None` when lines must stay whole.
    pub fn write(&self, output: Output, width: Option<u16>, out: &mut impl Write) -> io::Result<()> {
        match output {
            Output::Table => self.write_text(width, out),
            Output::Json => {
                serde_json::to_writer_pretty(&mut *out, &with_schema(self.schema, &self.body))?;
                writeln!(out)
            }
            Output::Jsonl => self.lines().iter().try_for_each(|line| {
                serde_json::to_writer(&mut *out, &with_schema(self.line_schema(), line))?;
                writeln!(out)
            }),
            Output::Csv => self.write_csv(out),
        }
    }

    fn write_text(&self, width: Option<u16>, out: &mut impl Write) -> io::Result<()> {
        for block in &self.blocks {
            match block {
                Block::Raw(text) => writeln!(out, "{text}")?,
                Block::Line(text) => writeln!(out, "{}", printable(text))?,
                Block::Facts(facts) => {
                    let column = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
                    for (name, value) in facts {
                        writeln!(out, "{name:column$}  {}", printable(value))?;
                    }
                }
                Block::Table { header, rows } => {
                    let mut table = Table::new();
                    table.load_style(STYLE).force_no_tty();
                    if let Some(width) = width {
                        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
                    }
                    table.set_header(header.clone());
                    for row in rows {
                        table.add_row(row.iter().map(|cell| printable(cell)));
                    }
                    for line in table.lines() {
                        writeln!(out, "{}", line.trim_end())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The records, or the whole body as the only one.
    fn lines(&self) -> Vec<Map<String, Value>> {
        let records = match (&self.rows, self.records.and_then(|field| self.body.get(field))) {
            (Some(rows), _) => rows,
            (None, Some(Value::Array(records))) => records,
            (None, _) => return vec![self.body.clone()],
        };
        records
            .iter()
            .map(|record| match record {
                Value::Object(fields) => fields.clone(),
                other => Map::from_iter([("value".to_owned(), other.clone())]),
            })
            .collect()
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let lines = self.lines();
        // The union of the keys, first seen first: an optional field must not lose its column.
        let mut columns: Vec<&String> = Vec::new();
        for line in &lines {
            for key in line.keys() {
                if !columns.contains(&key) {
                    columns.push(key);
                }
            }
        }
        let mut writer = csv::Writer::from_writer(out);
        if columns.is_empty() {
            return Ok(());
        }
        writer.write_record(&columns)?;
        for line in &lines {
            writer.write_record(columns.iter().map(|column| match line.get(*column) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            }))?;
        }
        writer.flush()
    }

    /// What a line says of itself: a record is no document.
    fn line_schema(&self) -> &'static str {
        if self.rows.is_some() || self.records.is_some() { self.record_schema } else { self.schema }
    }
}

fn with_schema(schema: &'static str, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::from_iter([("schema".to_owned(), schema.into())]);
    all.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
    all
}

/// Prints bytes on stdout as they are: a script, a manual page.
pub fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::output)
}

/// The columns of the terminal behind stdout.
fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// A count as people read it: `1,234,567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 event`, `2,000 events`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize, JsonSchema)]
    struct Line {}

    impl Shape for Line {
        const NAME: &'static str = "wox/sample-line/v1";
    }

    fn sample() -> Document {
        Document::new(
            "wox/sample/v1",
            &json!({"stream": "duel-1", "events": [
                {"revision": 1, "kind": "ChallengeIssued"},
                {"revision": 2, "kind": "evil \u{1b}[31m, \"quoted\"", "note": {"a": [1]}},
            ]}),
        )
        .records::<Line>("events")
        .facts([("stream", "duel-1")])
        .table(["revision", "kind"], [vec!["1".into(), "a".into()], vec!["2".into(), "evil \u{1b}[31m".into()]])
    }

    fn written(output: Output, width: Option<u16>) -> String {
        let mut out = Vec::new();
        sample().write(output, width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_format_lets_an_escape_byte_through() {
        for output in [Output::Table, Output::Json, Output::Jsonl] {
            assert!(!written(output, Some(40)).contains('\u{1b}'), "{output}");
        }
    }

    #[test]
    fn json_is_one_object_that_starts_with_its_schema() {
        let value: Value = serde_json::from_str(&written(Output::Json, None)).unwrap();
        assert_eq!(value["schema"], "wox/sample/v1");
        assert_eq!(value["events"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn json_lines_are_the_records() {
        let text = written(Output::Jsonl, None);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line["schema"] == "wox/sample-line/v1"));
        assert_eq!(lines[1]["revision"], 2);
    }

    #[test]
    fn csv_keeps_columns_that_only_some_records_have() {
        let text = written(Output::Csv, None);
        let header = text.lines().next().unwrap();
        assert!(["revision", "kind", "note"].iter().all(|column| header.contains(column)), "{header}");
        assert!(text.contains(r#""evil"#), "{text}");
    }

    #[test]
    fn counts_are_grouped_in_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }
}
