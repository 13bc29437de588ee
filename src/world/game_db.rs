//! The game's MySQL or MariaDB database: connecting to it, looking at its tables at one consistent snapshot, and building
//! tables anew beside them. The only module beside the log's that names sqlx.
//!
//! Everything that can wait has an end: connecting, a statement, a lock. No message of this module holds a password: the
//! address that is shown is made from user, host, port and database alone.

pub mod error;
pub mod health;
pub mod one_row;
pub mod rows;
pub mod schema;
pub mod shadow;
pub mod switch;

use std::{fmt, str::FromStr as _, time::Duration};

use futures_util::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _,
    mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow},
};

pub use error::GameDbError;
use wox_events::Timestamp;

use crate::tables::cell;

/// How long connecting may take, TLS and login included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one statement, or the next rows of one, may take.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a statement may take that goes through a whole table.
pub const TABLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Where the game's database is, and how to log in.
#[derive(Clone)]
pub struct GameDb {
    options: MySqlConnectOptions,
    address: String,
}

impl fmt::Debug for GameDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GameDb").field(&self.address).finish()
    }
}

/// One connection, with what is known of the server behind it.
#[derive(Debug)]
pub struct Session {
    connection: MySqlConnection,
    /// The server's version, as it says.
    pub version: String,
    /// The server's number for this connection.
    pub id: u64,
}

impl GameDb {
    /// Reads a URL such as `mysql://user:password@host:3306/wizards_of_x?ssl-mode=VERIFY_IDENTITY`.
    pub fn new(url: &str) -> Result<GameDb, GameDbError> {
        // What the parser says may repeat a part of the URL, and any part may be the password: it is not passed on.
        let wrong = |what: &'static str| GameDbError::Url { what };
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("mysql" | "mariadb")) {
            return Err(wrong("it does not begin with mysql://"));
        }
        let options = MySqlConnectOptions::from_str(url).map_err(|_| {
            wrong(match is_port_wrong(url) {
                true => "what stands behind the host and its `:` is no port: a number from 1 to 65535",
                false => "it cannot be read; write characters such as @ : / # in the password as %40 %3A %2F %23",
            })
        })?;
        let database = options.get_database().filter(|name| !name.is_empty());
        let database = database.ok_or_else(|| wrong("it names no database behind the host"))?.to_owned();
        let address = match options.get_socket() {
            Some(socket) => format!("{}@{}/{database}", options.get_username(), socket.display()),
            None => {
                format!("{}@{}:{}/{database}", options.get_username(), options.get_host(), options.get_port())
            }
        };
        let options = options.statement_cache_capacity(16).disable_statement_logging();
        Ok(GameDb { options, address })
    }

    /// User, host, port and database: what may be shown.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Session, GameDbError> {
        let connecting = MySqlConnection::connect_with(&self.options);
        let connection = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| GameDbError::connecting(error, &self.address))?,
            Err(_) => return Err(GameDbError::ConnectTimeout { address: self.address.clone() }),
        };
        let mut session = Session { connection, version: String::new(), id: 0 };
        let row = session.one("SELECT VERSION(), CONNECTION_ID()").await?;
        session.version = text(&row, 0)?;
        session.id = number(&row, 1)?;
        Ok(session)
    }
}

/// True for a URL whose user and password can be read and whose port cannot.
fn is_port_wrong(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // The last `@` ends the password, whatever it holds.
    let (user, behind) = rest.rsplit_once('@').unwrap_or(("", rest));
    let host = behind.split(['/', '?', '#']).next().unwrap_or_default();
    // The colons of an address in brackets are its own.
    let port = host.rsplit(']').next().and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    let readable = !user.contains(['/', '?', '#', '@', '[', ']']);
    readable && port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl Session {
    /// True for MariaDB, which shares the protocol with MySQL and not every statement.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.version.to_ascii_lowercase().contains("mariadb")
    }

    /// Runs a statement whose rows nobody wants. `sql` is made of our own words and quoted names only.
    pub async fn run(&mut self, sql: impl Into<String>) -> Result<u64, GameDbError> {
        self.run_within(STATEMENT_TIMEOUT, sql).await
    }

    /// As [`Session::run`], with another limit: `ALTER TABLE` reads every row.
    pub(crate) async fn run_within(&mut self, limit: Duration, sql: impl Into<String>) -> Result<u64, GameDbError> {
        let running = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.connection);
        let done = tokio::time::timeout(limit, running).await;
        Ok(done.map_err(|_| GameDbError::Timeout)?.map_err(GameDbError::from)?.rows_affected())
    }

    /// All rows of a small result.
    pub(crate) async fn all(&mut self, sql: impl Into<String>) -> Result<Vec<MySqlRow>, GameDbError> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch(&mut self.connection).try_collect();
        let rows = tokio::time::timeout(STATEMENT_TIMEOUT, rows).await;
        rows.map_err(|_| GameDbError::Timeout)?.map_err(GameDbError::from)
    }

    /// The one row of a result that always has one.
    pub(crate) async fn one(&mut self, sql: impl Into<String>) -> Result<MySqlRow, GameDbError> {
        self.all(sql).await?.pop().ok_or(GameDbError::Answer { what: "no row came where one always does" })
    }

    /// What the server's clock says, in UTC.
    pub async fn now(&mut self) -> Result<Timestamp, GameDbError> {
        let row = self.one("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f')").await?;
        let said = text(&row, 0)?;
        cell::parse_time(said.as_bytes()).ok_or(GameDbError::Answer { what: "a time that is none" })
    }

    /// Says goodbye; a connection that is already gone needs none.
    pub async fn close(self) {
        let _gone = tokio::time::timeout(CONNECT_TIMEOUT, self.connection.close()).await;
    }
}

/// A name of a table, column or constraint as SQL takes it.
#[must_use]
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as SQL takes it, without leaning on how backslashes are read: as hexadecimal digits.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
    use fmt::Write as _;
    let mut sql = String::from("_utf8mb4 X'");
    for byte in text.bytes() {
        let _infallible = write!(sql, "{byte:02x}");
    }
    sql.push('\'');
    sql
}

pub(crate) fn bytes(row: &MySqlRow, column: usize) -> Result<Option<&[u8]>, GameDbError> {
    row.try_get_unchecked::<Option<&[u8]>, _>(column).map_err(GameDbError::from)
}

pub(crate) fn text_or_null(row: &MySqlRow, column: usize) -> Result<Option<String>, GameDbError> {
    Ok(bytes(row, column)?.map(|text| String::from_utf8_lossy(text).into_owned()))
}

pub(crate) fn text(row: &MySqlRow, column: usize) -> Result<String, GameDbError> {
    text_or_null(row, column)?.ok_or(GameDbError::Answer { what: "NULL came where text always does" })
}

pub(crate) fn number(row: &MySqlRow, column: usize) -> Result<u64, GameDbError> {
    text(row, column)?.parse().map_err(|_| GameDbError::Answer { what: "text came where a number always does" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_handle_shows_the_password() {
        let db = GameDb::new("mysql://wizard:hunter2%40x@db.example:3307/wizards_of_x").unwrap();
        assert_eq!(db.address(), "wizard@db.example:3307/wizards_of_x");
        assert!(!format!("{db:?}").contains("hunter2"));
        for wrong in [
            "hunter2",
            "postgres://u:hunter2@h/d",
            "mysql://u:hunter2@h",
            "mysql://u:hunter2@h:x/d",
            "mysql://u:h/unter2@h/d",
        ] {
            let error = GameDb::new(wrong).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("unter2"), "{error:?}");
        }
    }

    #[test]
    fn a_wrong_port_is_told_from_odd_characters_of_a_password() {
        for (url, part) in [
            ("mysql://u:p@h:33o6/d", "no port"),
            ("mysql://u:p@h:99999/d", "no port"),
            ("mysql://u:p@[::1]:x/d", "no port"),
            ("mysql://h:x/d", "no port"),
            ("mysql://u:pa/ss@h:3306/d", "in the password"),
            ("mysql://u:pa/ss@h:x/d", "in the password"),
            ("mysql://u:p@[::1/d", "in the password"),
        ] {
            let error = GameDb::new(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(quoted("a`b"), "`a``b`");
        assert_eq!(literal("a'b"), "_utf8mb4 X'612762'");
    }
}
