//! A store of the demo game and a database that says the same.

use std::{num::NonZeroUsize, path::PathBuf, process::Output, sync::Arc};

use serde_json::Value;
use strum::VariantArray as _;
use wox_recovery::{
    cli::shapes,
    log::{EmbeddedLog, EventLog as _},
    rebuild::{Folded, fold},
    replay::Progress,
    tables::{Image, Table, cell::Cell, compare::Layout},
};

use crate::mariadb::{self, Database, Server};

/// A store, a database, and the program between them.
pub struct Game {
    pub dir: tempfile::TempDir,
    /// Lives as long as the game.
    pub _server: Option<Server>,
    pub db: Database,
}

impl Game {
    /// A demo game whose tables are what the log says.
    pub async fn in_step(demo: &str) -> Game {
        let game = Game::with_empty_tables(demo).await;
        game.fill().await;
        game
    }

    /// Five empty tables and no store.
    pub async fn bare() -> Game {
        let (server, db) = mariadb::game().await;
        Game { dir: tempfile::tempdir().unwrap(), _server: server, db }
    }

    pub async fn with_empty_tables(demo: &str) -> Game {
        let game = Game::bare().await;
        let made = game.run(&format!("demo --store store --progress none {demo}"));
        assert!(made.status.code().is_some_and(|code| code == 0 || code == 3), "{}", errors(&made));
        game
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn command(&self, words: &str) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wox"));
        command.args(words.split_whitespace()).current_dir(self.dir.path()).env_clear();
        command.env("WOX_ACTOR", "alice").env("WOX_STORE", "store").env("WOX_GAME_DB_URL", &self.db.url);
        command.stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, words: &str) -> Output {
        let output = self.command(words).output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
        assert!(!told.contains("s3cr3t"), "{words} tells the password: {told}");
        output
    }

    /// Runs a command that must end with this code and gives its JSON.
    pub fn json(&self, words: &str, code: i32) -> Value {
        let output = self.run(&format!("{words} --output json --progress none"));
        assert_eq!(output.status.code(), Some(code), "{words}: {}", errors(&output));
        let value = serde_json::from_slice(&output.stdout).unwrap();
        published(&value, words);
        value
    }

    pub async fn folded(&self) -> Folded {
        let log = EmbeddedLog::open_read_only(self.store()).await.unwrap();
        let head = log.head().await.unwrap().position;
        fold(&log, head, NonZeroUsize::MIN, &Arc::new(Progress::default())).await.unwrap()
    }

    /// Fills the tables from the rendered rows, one by one.
    pub async fn fill(&self) {
        let folded = self.folded().await;
        let mut connection = self.db.connect().await;
        mariadb::run(&mut connection, "SET autocommit = 0").await;
        for table in Table::VARIANTS {
            let layout = Layout::published(*table);
            let image = Image::of(*table, &folded.replay.state, &folded.scribe);
            for row in 0..image.len() {
                let (mut names, mut values) = (Vec::new(), Vec::new());
                for ((cell, shape), column) in image.cells(row).iter().zip(&layout.shapes).zip(table.columns()) {
                    if let Cell::Known(value) | Cell::Present(value) | Cell::Filled(value) = cell {
                        names.push(column.name);
                        values.push(value.text(shape).map_or("NULL".into(), |text| format!("'{text}'")));
                    }
                }
                let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(","), values.join(","));
                mariadb::run(&mut connection, &sql).await;
            }
        }
        mariadb::run(&mut connection, "COMMIT").await;
    }

    /// Waits until a query answers this.
    pub async fn until(&self, sql: &str, answer: &str) {
        let since = std::time::Instant::now();
        while self.cell(sql).await != answer {
            assert!(since.elapsed().as_secs() < 60, "{sql} is never {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// The only row's only cell.
    pub async fn cell(&self, sql: &str) -> String {
        self.db.rows(sql).await.pop().unwrap_or_else(|| panic!("no row: {sql}"))
    }
}

/// What is printed is what is published under its name.
pub fn published(value: &Value, words: &str) {
    let name = value["schema"].as_str().unwrap_or_else(|| panic!("{words} names no schema"));
    let shape = shapes::ALL.iter().find(|shape| shape.name == name);
    let shape = shape.unwrap_or_else(|| panic!("{words} prints {name}, which is not published"));
    let validator = jsonschema::validator_for(&shape.schema()).unwrap();
    let wrong: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{words} prints no {name}: {wrong:?}");
}

/// What was said on stderr, its commands as they are written down, without how the program was called.
pub fn errors(output: &Output) -> String {
    let called = format!("{} --store store ", env!("CARGO_BIN_EXE_wox"));
    String::from_utf8_lossy(&output.stderr).replace(&called, "wox ")
}

/// The differences of a result: table, kind, key, and the columns.
pub fn told(result: &Value) -> Vec<String> {
    let rows = result["differences"].as_array().unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            let fields = row["fields"].as_array().unwrap();
            let columns: Vec<_> = fields.iter().map(|field| field["column"].as_str().unwrap()).collect();
            let columns = if row["kind"] == "changed" { columns.join("+") } else { String::new() };
            format!("{} {} {} {columns}", text(row, "table"), text(row, "kind"), text(row, "key")).trim().to_owned()
        })
        .collect()
}
