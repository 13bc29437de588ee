//! A dump of one table (mysqldump text) → its rows, as evidence (row R07). Nothing of a dump is ever run: its statements
//! are read, and only rows of literal values come out. A dump may hold the statements that `mysqldump` writes around one
//! table and no others; the first other one ends the reading with its line.

use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};
use wox_events::Digest;

use crate::tables::Table;

/// Longest statement, in bytes: mysqldump ends one at a megabyte, or at one row.
const STATEMENT_BYTES_MAX: usize = 32 << 20;

/// One row: its values as text, in the order of the dump's columns.
pub type Values = Vec<Option<Vec<u8>>>;

/// Why a dump cannot be taken as evidence.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    /// It could not be read.
    #[error("the dump cannot be read any further")]
    Read(#[from] io::Error),
    /// A statement that no dump of one table has, or that cannot be understood.
    #[error("line {line}: {what}")]
    Statement {
        /// Where the statement begins.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// It ends in the middle, or holds no table.
    #[error("{what}")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
}

/// What a dump said beside its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The table.
    pub table: Table,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Rows read.
    pub rows: u64,
    /// When the dump says it was completed, without a time zone.
    pub completed: Option<String>,
    /// Of the dump's text.
    pub digest: Digest,
}

/// Reads a dump to its end; `row` takes the columns and the values of each row.
pub fn read(
    input: &mut dyn BufRead,
    mut row: impl FnMut(Table, &[String], Values) -> Result<(), String>,
) -> Result<Dump, BadDump> {
    let mut lexer = Lexer { input, line: 1, hasher: Sha256::new(), completed: None };
    let mut state = State { table: None, columns: Vec::new(), rows: 0, ended: false };
    while let Some(statement) = lexer.statement()? {
        let line = statement.line;
        state.take(&statement, &mut row).map_err(|what| BadDump::Statement { line, what })?;
    }
    let Some(table) = state.table else { return Err(BadDump::Incomplete { what: "it holds no CREATE TABLE" }) };
    let (completed, digest) = (lexer.completed, Digest(lexer.hasher.finalize().into()));
    if completed.is_none() && !state.ended {
        return Err(BadDump::Incomplete {
            what: "it ends without `-- Dump completed` and without UNLOCK TABLES: it was cut",
        });
    }
    Ok(Dump { table, columns: state.columns, rows: state.rows, completed, digest })
}

/// A statement without its semicolon and without comments around it.
struct Statement {
    line: u64,
    text: Vec<u8>,
}

struct Lexer<'a> {
    input: &'a mut dyn BufRead,
    line: u64,
    hasher: Sha256,
    completed: Option<String>,
}

impl Lexer<'_> {
    fn byte(&mut self) -> Result<Option<u8>, BadDump> {
        let Some(byte) = self.input.fill_buf()?.first().copied() else { return Ok(None) };
        self.input.consume(1);
        self.hasher.update([byte]);
        self.line += u64::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn peek(&mut self) -> Result<Option<u8>, BadDump> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn rest_of_line(&mut self) -> Result<Vec<u8>, BadDump> {
        let mut rest = Vec::new();
        while let Some(byte) = self.peek()?.filter(|byte| *byte != b'\n') {
            self.byte()?;
            if rest.len() < 4096 {
                rest.push(byte);
            }
        }
        Ok(rest)
    }

    /// The next statement up to its semicolon; strings, names and comments are passed over whole.
    fn statement(&mut self) -> Result<Option<Statement>, BadDump> {
        let (mut text, mut line) = (Vec::new(), self.line);
        let mut quote = None;
        loop {
            let Some(byte) = self.byte()? else {
                if text.iter().all(u8::is_ascii_whitespace) {
                    return Ok(None);
                }
                return Err(BadDump::Statement { line, what: "a statement has no end: the dump was cut".into() });
            };
            if text.len() >= STATEMENT_BYTES_MAX {
                return Err(BadDump::Statement { line, what: "the statement is longer than 32 MiB".into() });
            }
            match (quote, byte) {
                (Some(open), _) => {
                    text.push(byte);
                    if byte == b'\\' && open != b'`' {
                        text.extend(self.byte()?);
                    } else if byte == open {
                        quote = None;
                    }
                }
                (None, b'\'' | b'"' | b'`') => {
                    quote = Some(byte);
                    text.push(byte);
                }
                (None, b';') => {
                    if !text.iter().all(u8::is_ascii_whitespace) {
                        return Ok(Some(Statement { line, text }));
                    }
                }
                (None, b'#') => drop(self.rest_of_line()?),
                (None, b'-') if self.peek()? == Some(b'-') => {
                    let comment = self.rest_of_line()?;
                    let comment = String::from_utf8_lossy(&comment).trim_start_matches('-').trim().to_owned();
                    if let Some(time) = comment.strip_prefix("Dump completed on ") {
                        self.completed = Some(time.trim().to_owned());
                    }
                }
                (None, b'/') if self.peek()? == Some(b'*') => {
                    let comment = self.comment(line)?;
                    // A server runs these; they are statements like any other.
                    if comment.starts_with(b"!") || comment.starts_with(b"M!") {
                        let inner = comment.strip_prefix(b"M").unwrap_or(&comment);
                        let inner = inner.strip_prefix(b"!").unwrap_or(inner);
                        let digits = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
                        // The first line of newer dumps: it tells the client, not the server, to run nothing else.
                        if inner[digits..].trim_ascii() == b"\\- enable the sandbox mode" {
                            continue;
                        }
                        text.extend_from_slice(&inner[digits..]);
                    }
                }
                (None, byte) => {
                    if text.is_empty() && byte.is_ascii_whitespace() {
                        line = self.line;
                        continue;
                    }
                    text.push(byte);
                }
            }
        }
    }

    fn comment(&mut self, line: u64) -> Result<Vec<u8>, BadDump> {
        self.byte()?;
        let mut text = Vec::new();
        while let Some(byte) = self.byte()? {
            if byte == b'/' && text.last() == Some(&b'*') {
                text.pop();
                return Ok(text);
            }
            text.push(byte);
            if text.len() >= STATEMENT_BYTES_MAX {
                break;
            }
        }
        Err(BadDump::Statement { line, what: "a comment has no end".into() })
    }
}

struct State {
    table: Option<Table>,
    columns: Vec<String>,
    rows: u64,
    ended: bool,
}

impl State {
    fn take(
        &mut self,
        statement: &Statement,
        row: &mut impl FnMut(Table, &[String], Values) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut words = Words { text: &statement.text, at: 0 };
        let first = words.word();
        let other =
            |words: &Words<'_>| Err(format!("`{}` is no statement that a dump of one table has", words.shown()));
        match first.as_str() {
            "SET" => set(&statement.text),
            "LOCK" if words.word() == "TABLES" => self.same(&words.name()?),
            "UNLOCK" if words.word() == "TABLES" => {
                self.ended = true;
                Ok(())
            }
            "ALTER" if words.word() == "TABLE" => {
                self.same(&words.name()?)?;
                match (words.word().as_str(), words.word().as_str(), words.is_at_end()) {
                    ("DISABLE" | "ENABLE", "KEYS", true) => Ok(()),
                    _ => other(&words),
                }
            }
            // mysqldump writes it before the table is made; it is read and not run.
            "DROP" if words.word() == "TABLE" && words.word() == "IF" && words.word() == "EXISTS" => {
                let name = words.name()?;
                if words.is_at_end() { self.table_or_this(&name).map(drop) } else { other(&words) }
            }
            "CREATE" if words.word() == "TABLE" => self.create(&mut words),
            "INSERT" if words.word() == "INTO" => self.insert(&mut words, row),
            "COMMIT" | "START" if self.table.is_some() && !statement.text.contains(&b'(') => Ok(()),
            _ => other(&words),
        }
    }

    fn table_or_this(&self, name: &str) -> Result<Table, String> {
        let named: Table = name.parse().map_err(|_| format!("`{name}` is none of the game's five tables"))?;
        match self.table {
            Some(table) if table != named => Err(format!("the dump is of {table}, and this is about {named}")),
            _ => Ok(named),
        }
    }

    fn same(&self, name: &str) -> Result<(), String> {
        self.table_or_this(name).map(drop)
    }

    fn create(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let name = words.name()?;
        if self.table.is_some() {
            return Err("a second CREATE TABLE".into());
        }
        let table = self.table_or_this(&name)?;
        words.expect(b'(')?;
        let mut columns = Vec::new();
        loop {
            words.space();
            if words.peek() == Some(b'`') {
                columns.push(words.name()?);
            }
            match words.skip_item()? {
                b',' => {}
                _ => break,
            }
        }
        if columns.is_empty() {
            return Err("a table without columns".into());
        }
        (self.table, self.columns) = (Some(table), columns);
        Ok(())
    }

    fn insert(
        &mut self,
        words: &mut Words<'_>,
        row: &mut impl FnMut(Table, &[String], Values) -> Result<(), String>,
    ) -> Result<(), String> {
        let name = words.name()?;
        self.same(&name)?;
        let Some(table) = self.table else { return Err("rows before CREATE TABLE".into()) };
        words.space();
        let columns = match words.peek() {
            Some(b'(') => words.names()?,
            _ => self.columns.clone(),
        };
        if words.word() != "VALUES" {
            return Err("rows that are not given as VALUES".into());
        }
        loop {
            let values = words.values()?;
            if values.len() != columns.len() {
                return Err(format!("row {}: {} values for {} columns", self.rows + 1, values.len(), columns.len()));
            }
            self.rows += 1;
            row(table, &columns, values)?;
            words.space();
            match words.peek() {
                Some(b',') => words.at += 1,
                None => return Ok(()),
                Some(_) => return Err(format!("`{}` behind row {}", words.shown(), self.rows)),
            }
        }
    }
}

/// Settings of the session: only the character set and how strings are written matter, and nothing is called.
fn set(text: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(text).to_ascii_uppercase();
    if text.contains('(') || text.contains("GLOBAL") || text.contains("PASSWORD") || text.contains("PERSIST") {
        return Err("a SET that is more than a setting of the dump's own session".into());
    }
    if text.contains("NO_BACKSLASH_ESCAPES") {
        return Err(
            "strings are written without backslashes (NO_BACKSLASH_ESCAPES): dump the table again without".into()
        );
    }
    let mut words = text.split_whitespace().skip(1);
    if words.next() == Some("NAMES") {
        let charset = words.next().unwrap_or_default().trim_matches(['\'', '"']).to_owned();
        if !matches!(charset.as_str(), "UTF8MB4" | "UTF8MB3" | "UTF8") {
            return Err(format!(
                "the dump is written in {charset}: dump the table again with --default-character-set=utf8mb4"
            ));
        }
    }
    Ok(())
}

/// The words and values of one statement.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.space();
        self.peek().is_none()
    }

    /// The next word, in upper case; empty when something else stands there.
    fn word(&mut self) -> String {
        self.space();
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[from..self.at]).to_ascii_uppercase()
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(format!("`{}` where `{}` must stand", self.shown(), char::from(byte)));
        }
        self.at += 1;
        Ok(())
    }

    /// The beginning of the statement, for people.
    fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.text[..self.text.len().min(60)]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A name of a table or column, of one part.
    fn name(&mut self) -> Result<String, String> {
        self.space();
        let name = if self.peek() == Some(b'`') {
            let from = self.at + 1;
            let length = self.text[from..].iter().position(|byte| *byte == b'`').ok_or("a name without its end")?;
            self.at = from + length + 1;
            String::from_utf8_lossy(&self.text[from..from + length]).into_owned()
        } else {
            self.word().to_ascii_lowercase()
        };
        if self.peek() == Some(b'.') || self.peek() == Some(b'`') {
            return Err("a name of more than one part: a dump of one table names only the table".into());
        }
        Ok(name)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        self.expect(b'(')?;
        let mut names = vec![self.name()?];
        loop {
            self.space();
            self.at += 1;
            match self.text.get(self.at - 1) {
                Some(b',') => names.push(self.name()?),
                Some(b')') => return Ok(names),
                _ => return Err("a list of columns without its end".into()),
            }
        }
    }

    /// Passes over one part of a column list; gives what ended it.
    fn skip_item(&mut self) -> Result<u8, String> {
        let (mut depth, mut quote) = (0u32, None);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(b'\'' | b'"'), b'\\') => self.at += 1,
                (Some(_), _) => {}
                (None, b'\'' | b'"' | b'`') => quote = Some(byte),
                (None, b'(') => depth += 1,
                (None, b')') if depth > 0 => depth -= 1,
                (None, b',' | b')') if depth == 0 => return Ok(byte),
                (None, _) => {}
            }
        }
        Err("a column list without its end".into())
    }

    fn values(&mut self) -> Result<Values, String> {
        self.expect(b'(')?;
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            self.space();
            self.at += 1;
            match self.text.get(self.at - 1) {
                Some(b',') => {}
                Some(b')') => return Ok(values),
                _ => {
                    self.at -= 1;
                    return Err(format!("value {}: something that is no literal", values.len()));
                }
            }
        }
    }

    /// A literal: NULL, a number, a string, hexadecimal digits. Nothing that a server would have to work out.
    fn value(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.space();
        match self.peek() {
            Some(b'\'') => self.string().map(Some),
            Some(b'0') if matches!(self.text.get(self.at + 1), Some(b'x' | b'X')) => {
                self.at += 2;
                let digits = self.word();
                hex(&digits).map(Some).ok_or_else(|| "hexadecimal digits that are none".into())
            }
            Some(byte) if byte.is_ascii_digit() || byte == b'-' => {
                let from = self.at;
                self.at += 1;
                while self.peek().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.') {
                    self.at += 1;
                }
                if self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
                    return Err("a number that is none: money is never a float".into());
                }
                Ok(Some(self.text[from..self.at].to_vec()))
            }
            _ => match self.word().as_str() {
                "NULL" => Ok(None),
                "_BINARY" => {
                    self.space();
                    if self.peek() == Some(b'\'') { self.string().map(Some) } else { Err("no literal".into()) }
                }
                word => Err(format!("`{}` is no literal: nothing of a dump is worked out", word.to_lowercase())),
            },
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        const CUT: &str = "a string without its end";
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = self.peek().ok_or(CUT)?;
            self.at += 1;
            match byte {
                b'\'' if self.peek() == Some(b'\'') => {
                    self.at += 1;
                    text.push(b'\'');
                }
                b'\'' => return Ok(text),
                b'\\' => {
                    let escaped = self.peek().ok_or(CUT)?;
                    self.at += 1;
                    text.push(match escaped {
                        b'0' => 0,
                        b'b' => 8,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'Z' => 26,
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| char::from(digits.as_bytes()[at]).to_digit(16);
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len() / 2).map(|at| u8::try_from(digit(2 * at)? * 16 + digit(2 * at + 1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n/*!40101 SET NAMES utf8mb4 */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
        DROP TABLE IF EXISTS `burn_queue`;\nCREATE TABLE `burn_queue` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  \
        `amount` decimal(10,2) DEFAULT 1.00 COMMENT 'a ) b, `c`',\n  PRIMARY KEY (`id`,`amount`),\n  KEY `k` (`amount`)\n) ENGINE=InnoDB;\n\
        LOCK TABLES `burn_queue` WRITE;\n/*!40000 ALTER TABLE `burn_queue` DISABLE KEYS */;\n";
    const TAIL: &str =
        "/*!40000 ALTER TABLE `burn_queue` ENABLE KEYS */;\nUNLOCK TABLES;\n-- Dump completed on 2026-08-01 20:00:05\n";

    fn parse(text: &str) -> Result<(Dump, Vec<Values>), BadDump> {
        let mut rows = Vec::new();
        let dump = read(&mut text.as_bytes(), |_, _, values| {
            rows.push(values);
            Ok(())
        })?;
        Ok((dump, rows))
    }

    fn parse_with(statement: &str) -> Result<(Dump, Vec<Values>), BadDump> {
        parse(&format!("{HEAD}{statement}\n{TAIL}"))
    }

    #[test]
    fn rows_come_out_as_text_whatever_they_hold() {
        let (dump, rows) =
            parse_with(r"INSERT INTO `burn_queue` VALUES (1,-2.50),(NULL,'it\'s; ''x'' \\ \n)'),(0x4142,'');").unwrap();
        assert_eq!((dump.table, dump.rows, dump.columns), (Table::BurnQueue, 3, vec!["id".into(), "amount".into()]));
        assert_eq!(dump.completed.as_deref(), Some("2026-08-01 20:00:05"));
        let text = |value: &str| Some(value.as_bytes().to_vec());
        assert_eq!(
            rows,
            [vec![text("1"), text("-2.50")], vec![None, text("it's; 'x' \\ \n)")], vec![text("AB"), text("")],]
        );
    }

    #[test]
    fn whatever_is_not_a_dump_of_one_table_is_refused_by_line() {
        for (statement, part) in [
            ("DROP TABLE players;", "no statement that a dump"),
            ("DROP TABLE IF EXISTS `players`;", "the dump is of burn_queue"),
            ("DROP TABLE IF EXISTS `burn_queue`, `players`;", "no statement that a dump"),
            ("DROP DATABASE wizards_of_x;", "no statement that a dump"),
            ("INSERT INTO `burn_queue` SELECT 1, Password FROM mysql.user;", "not given as VALUES"),
            ("INSERT INTO `burn_queue` VALUES (1,LOAD_FILE('/etc/passwd'));", "`load_file` is no literal"),
            ("INSERT INTO `burn_queue` VALUES (1,(SELECT 1));", "no literal"),
            ("INSERT INTO `burn_queue` VALUES (1,1e3);", "never a float"),
            ("INSERT INTO `burn_queue` VALUES (1,2+3);", "no literal"),
            ("INSERT INTO `burn_queue` VALUES (1);", "1 values for 2 columns"),
            ("INSERT INTO `burn_queue` VALUES (1,2) ON DUPLICATE KEY UPDATE amount=5;", "behind row 1"),
            ("INSERT INTO `players` VALUES (1,2);", "the dump is of burn_queue"),
            ("INSERT INTO `wizards_of_x`.`burn_queue` VALUES (1,2);", "more than one part"),
            ("REPLACE INTO `burn_queue` VALUES (1,2);", "no statement that a dump"),
            (
                "/*!50003 CREATE TRIGGER x BEFORE INSERT ON burn_queue FOR EACH ROW SET @a=1 */;",
                "no statement that a dump",
            ),
            ("/*!99999 GRANT ALL ON *.* TO 'x' */;", "no statement that a dump"),
            ("/*M!100100 DELETE FROM players */;", "no statement that a dump"),
            ("CREATE TABLE `players` (`a` int);", "a second CREATE TABLE"),
            ("SET GLOBAL read_only = 1;", "more than a setting"),
            ("SET @x = (SELECT 1);", "more than a setting"),
            ("SET sql_mode = 'NO_BACKSLASH_ESCAPES';", "without backslashes"),
            ("/*!40101 SET NAMES latin1 */;", "written in LATIN1"),
            ("ALTER TABLE `burn_queue` DROP COLUMN amount;", "no statement that a dump"),
            ("\\! rm -rf /;", "no statement that a dump"),
            ("source /etc/passwd;", "no statement that a dump"),
        ] {
            let error = parse_with(statement).unwrap_err().to_string();
            assert!(error.contains(part), "{statement}: {error}");
            assert!(error.starts_with("line 1"), "{statement}: {error}");
        }
    }

    #[test]
    fn a_dump_that_was_cut_is_not_taken_for_a_small_one() {
        let whole = format!("{HEAD}INSERT INTO `burn_queue` VALUES (1,2.00);\n{TAIL}");
        for cut in [HEAD.len() + 20, HEAD.len(), whole.len() - TAIL.len(), 200] {
            assert!(parse(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(parse("").is_err() && parse("-- nothing\n").is_err());
        assert!(parse("CREATE TABLE `other` (`a` int);\nUNLOCK TABLES;").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_end_late(text in "\\PC{0,80}|[('`;\\\\)/*!a-zA-Z0-9, -]{0,80}") {
            let _either = parse_with(&text);
            let _either = parse(&text);
        }

        #[test]
        fn what_a_server_escapes_comes_back(cell in prop::collection::vec(any::<u8>(), 0..40)) {
            let escaped: Vec<u8> = cell.iter().flat_map(|byte| match byte {
                b'\'' => b"\\'".to_vec(),
                b'\\' => b"\\\\".to_vec(),
                0 => b"\\0".to_vec(),
                b'\n' => b"\\n".to_vec(),
                26 => b"\\Z".to_vec(),
                other => vec![*other],
            }).collect();
            let mut text = format!("{HEAD}INSERT INTO `burn_queue` VALUES (1,'").into_bytes();
            text.extend(escaped);
            text.extend(format!("');\n{TAIL}").into_bytes());
            let mut found = None;
            read(&mut text.as_slice(), |_, _, mut values| { found = values.pop().flatten(); Ok(()) }).unwrap();
            prop_assert_eq!(found.unwrap(), cell);
        }
    }
}
