//! Why the game's database gave no answer. Every variant is something a person does something about; the command line
//! says what.

use sqlx::mysql::MySqlDatabaseError;

use super::health::Holder;

/// Why the game's database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GameDbError {
    /// The setting is no URL of a database.
    #[error("the address of the game's database is not right: {what}")]
    Url {
        /// What is wrong with it, without a word of it.
        what: &'static str,
    },
    /// Nobody answers there.
    #[error("the game's database cannot be reached at {address}")]
    Unreachable {
        /// User, host, port, database.
        address: String,
        /// Why.
        source: Box<sqlx::Error>,
    },
    /// Nobody answered in time.
    #[error("the game's database at {address} did not answer within 10 s")]
    ConnectTimeout {
        /// User, host, port, database.
        address: String,
    },
    /// Name or password are wrong, or the user may not do this.
    #[error("the game's database refuses: {message}")]
    Denied {
        /// What the server said.
        message: String,
    },
    /// The login needs an encrypted connection.
    #[error("the login at {address} needs TLS: {message}")]
    NeedsTls {
        /// User, host, port, database.
        address: String,
        /// What is missing.
        message: String,
    },
    /// There is no such database.
    #[error("there is no such database: {message}")]
    NoDatabase {
        /// What the server said.
        message: String,
    },
    /// The server, or the user's transaction, only reads.
    #[error("the game's database only reads: {message}")]
    ReadOnly {
        /// What the server said.
        message: String,
    },
    /// Too many connections, or this host was shut out after too many failed ones.
    #[error("the game's database takes no more connections: {message}")]
    Busy {
        /// What the server said.
        message: String,
    },
    /// Somebody holds a lock for longer than we wait.
    #[error("a lock was not given in time: {message}")]
    Locked {
        /// What the server said.
        message: String,
    },
    /// Somebody holds a table's definition: a transaction that read it and stays open, with a change of the table behind it.
    #[error(
        "table {table} cannot be read: its definition is locked (metadata lock){}",
        holder.as_ref().map(|holder| format!("; {holder}")).unwrap_or_default()
    )]
    TableHeld {
        /// Which.
        table: String,
        /// Who holds it, where the server shows somebody.
        holder: Option<Holder>,
        /// False when this user may not see who does.
        shown: bool,
    },
    /// The disk or a table of the server is full.
    #[error("the game's database is full: {message}")]
    Full {
        /// What the server said.
        message: String,
    },
    /// A table changed its shape while it was read.
    #[error("a table changed its shape while it was read: {message}")]
    Moved {
        /// What the server said.
        message: String,
    },
    /// A column that the log knows nothing of has to be given a value, and has no default.
    #[error("a row cannot be made: {message}")]
    NoDefault {
        /// What the server said.
        message: String,
    },
    /// The control row of rebuilds is not what one writes.
    #[error("the control row in _wox_control cannot be read: {what}")]
    Control {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A statement took too long.
    #[error("a statement took too long")]
    Timeout,
    /// The connection broke.
    #[error("the connection to the game's database broke")]
    Broken {
        /// Why.
        source: Box<sqlx::Error>,
    },
    /// The server answered something no server answers.
    #[error("the game's database answered strangely: {what}")]
    Answer {
        /// What.
        what: &'static str,
    },
    /// The server refused a statement for another reason.
    #[error("the game's database refuses a statement (error {number}): {message}")]
    Statement {
        /// The server's number for it.
        number: u16,
        /// What the server said.
        message: String,
    },
}

impl GameDbError {
    /// What an error means while a connection is being opened.
    pub(super) fn connecting(error: sqlx::Error, address: &str) -> GameDbError {
        match error {
            sqlx::Error::Io(_) => GameDbError::Unreachable { address: address.into(), source: Box::new(error) },
            sqlx::Error::Tls(ref cause) => {
                GameDbError::NeedsTls { address: address.into(), message: cause.to_string() }
            }
            // The login of MySQL 8 sends no password over a connection that is not encrypted.
            sqlx::Error::Protocol(ref message) | sqlx::Error::InvalidArgument(ref message)
                if message.to_ascii_lowercase().contains("rsa") =>
            {
                GameDbError::NeedsTls { address: address.into(), message: "the server offers no TLS".into() }
            }
            error => error.into(),
        }
    }
}

impl From<sqlx::Error> for GameDbError {
    fn from(error: sqlx::Error) -> GameDbError {
        let found = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        let Some(found) = found else {
            return match error {
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => {
                    GameDbError::Broken { source: Box::new(error) }
                }
                sqlx::Error::ColumnDecode { .. } => GameDbError::Answer { what: "a value of another type" },
                error => GameDbError::Broken { source: Box::new(error) },
            };
        };
        let (number, message) = (found.number(), found.message().to_owned());
        match number {
            // ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_TABLEACCESS, ER_COLUMNACCESS, ER_SPECIFIC_ACCESS, ER_ACCESS_DENIED_NO_PASSWORD
            1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 | 3118 | 4151 => GameDbError::Denied { message },
            1049 => GameDbError::NoDatabase { message },
            // Read-only server, transaction, replica.
            1290 | 1792 | 1836 => GameDbError::ReadOnly { message },
            // Too many connections, of all or of this user; host blocked.
            1040 | 1129 | 1203 | 1226 => GameDbError::Busy { message },
            // Lock wait timeout (rows and metadata), deadlock, NOWAIT.
            1205 | 1213 | 3572 => GameDbError::Locked { message },
            1021 | 1114 => GameDbError::Full { message },
            // Of a table that could not be made: no space on the device, no more room.
            1005 if message.contains("errno: 28") || message.contains("errno: 135") => GameDbError::Full { message },
            1412 => GameDbError::Moved { message },
            1364 => GameDbError::NoDefault { message },
            // MariaDB and MySQL: the statement's own time limit.
            1969 | 3024 => GameDbError::Timeout,
            number => GameDbError::Statement { number, message },
        }
    }
}
