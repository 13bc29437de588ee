//! The five tables and their columns (domain.md, "MySQL tables the game owns").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table that can be compared and rebuilt. The order is the one in which foreign keys allow them to be filled.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Table {
    /// Who plays, and both balances.
    Players,
    /// Duels that were accepted; running and over.
    ActiveDuels,
    /// What players asked to be paid.
    WithdrawalRequests,
    /// Shares of fees that wait to be burned.
    BurnQueue,
    /// Transactions whose deposit was credited.
    ProcessedTransactions,
}

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// Galleons, a decimal number; how many decimals is the live table's business.
    Money,
    /// A JSON document.
    Json,
    /// A moment, in UTC, whole seconds.
    Time,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Where the cells come from, for people: what the log knows of this column.
    pub source: &'static str,
    /// True where a live value stays and is told when it is another than the log's: a fact of the chain, which the game did
    /// not measure by a clock of its own.
    pub told: bool,
}

const fn column(name: &'static str, kind: Kind, source: &'static str) -> Column {
    Column { name, kind, source, told: false }
}

const fn told(name: &'static str, kind: Kind, source: &'static str) -> Column {
    Column { name, kind, source, told: true }
}

const PLAYERS: &[Column] = &[
    column("twitter_handle", Kind::Text, "the player's handle today; the player is the platform's user id (E4)"),
    column("name", Kind::Text, "the wizard's name; kept where it was imported and the log cannot hold it"),
    column("house", Kind::Text, "the house; kept where an imported table had none"),
    column("level", Kind::Int, "the level after the last experience"),
    column("xp", Kind::Int, "experience that carries over: level L takes 100 x L"),
    column("hp", Kind::Int, "filled where the player was imported, as the table had it; else kept"),
    column("bonus_galleons", Kind::Money, "the ledger's bonus balance, cut off behind the last decimal"),
    column("withdrawable_galleons", Kind::Money, "the ledger's withdrawable balance, cut off behind the last decimal"),
    column(
        "spells",
        Kind::Json,
        "spells in the order they were learned; kept where imported ones are no list of names",
    ),
    column("potions", Kind::Json, "filled where the player was imported, as the table had it; else kept"),
    column("wins", Kind::Int, "duels won"),
    column("losses", Kind::Int, "duels lost"),
    column(
        "titles",
        Kind::Json,
        "titles in the order they were awarded; kept where imported ones are no list of names",
    ),
    column("created_at", Kind::Time, "filled: the time of the event that made the player"),
];

const ACTIVE_DUELS: &[Column] = &[
    column("id", Kind::Int, "the duel's id, where it is a number"),
    column("player1", Kind::Text, "the challenger's handle today"),
    column("player2", Kind::Text, "the opponent's handle today"),
    column("bet_amount", Kind::Money, "the stake of each side"),
    column("status", Kind::Text, "active, player1_wins, player2_wins or cancelled"),
    column("turn", Kind::Text, "the handle whose turn it is; kept once the duel is over"),
    column("hp1", Kind::Int, "the challenger's hit points after the last turn"),
    column("hp2", Kind::Int, "the opponent's hit points after the last turn"),
    column("combo_history", Kind::Json, "the last three spells of each side; kept once the duel is over"),
    column("created_at", Kind::Time, "filled: when the challenge was accepted"),
];

const WITHDRAWAL_REQUESTS: &[Column] = &[
    column("id", Kind::Int, "the withdrawal's id, where it is a number"),
    column("twitter_handle", Kind::Text, "the player's handle today"),
    column("amount", Kind::Money, "what was asked for, fee included"),
    column("fee", Kind::Money, "both shares of the fee; kept before money was held"),
    column("tx_hash", Kind::Text, "the payment that settled it; kept before that"),
    column("status", Kind::Text, "where it stands, compared by meaning: the game publishes no list of words"),
    column("created_at", Kind::Time, "filled: when it was asked for"),
    column("completed_at", Kind::Time, "empty until it is over; then filled"),
    told("block_number", Kind::Int, "filled: the block of the payment that settled it"),
];

const BURN_QUEUE: &[Column] = &[
    column("id", Kind::Int, "not known to the log: the table numbers its rows; a row is known by its time and amount"),
    column("amount", Kind::Money, "the share that is to be burned"),
    column("scheduled_time", Kind::Time, "when it is due, as drawn by the game"),
    column("status", Kind::Text, "where it stands, compared by meaning: the game publishes no list of words"),
    column("created_at", Kind::Time, "filled: when it was scheduled"),
];

const PROCESSED_TRANSACTIONS: &[Column] = &[
    column("tx_hash", Kind::Text, "the transaction of a deposit that was credited"),
    told("block_number", Kind::Int, "filled: the block the deposit was seen in"),
    told("from_address", Kind::Text, "filled: the sender in the log of the deposit"),
    told("to_address", Kind::Text, "filled: the recipient in the log of the deposit"),
    column("value", Kind::Money, "what the transaction brought, all its credited deposits together"),
    column("processed_at", Kind::Time, "filled: when it was credited"),
    column("status", Kind::Text, "where it stands, compared by meaning: the game publishes no list of words"),
];

impl Table {
    /// Its columns, in the order of the game's schema.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Table::Players => PLAYERS,
            Table::ActiveDuels => ACTIVE_DUELS,
            Table::WithdrawalRequests => WITHDRAWAL_REQUESTS,
            Table::BurnQueue => BURN_QUEUE,
            Table::ProcessedTransactions => PROCESSED_TRANSACTIONS,
        }
    }

    /// Columns that are never held against the log: it does not know them, or the game wrote them by its own clock.
    pub fn uncompared(self) -> impl Iterator<Item = &'static Column> {
        let uncompared = |column: &&Column| {
            !column.told && (column.source.starts_with("filled") || column.source.starts_with("not known"))
        };
        self.columns().iter().filter(uncompared)
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The columns that refer to `players.twitter_handle`.
    #[must_use]
    pub const fn handles(self) -> &'static [&'static str] {
        match self {
            Table::ActiveDuels => &["player1", "player2"],
            Table::WithdrawalRequests => &["twitter_handle"],
            Table::Players | Table::BurnQueue | Table::ProcessedTransactions => &[],
        }
    }
}

/// Where something with a free-text status stands. The game publishes no list of its words, so live words are read by
/// their meaning and, where that is right, left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing final is known.
    Open,
    /// Done, final.
    Done,
    /// Known to have failed.
    Failed,
    /// Taken back.
    Returned,
}

impl Standing {
    /// What a live word means; `None` for a word nobody has taught us.
    #[must_use]
    pub fn of(word: &str) -> Option<Standing> {
        let word = word.trim().to_ascii_lowercase();
        Some(match word.as_str() {
            "pending" | "processing" | "queued" | "scheduled" | "requested" | "waiting" | "sent" => Standing::Open,
            "completed" | "complete" | "done" | "confirmed" | "processed" | "success" | "paid" | "burned" => {
                Standing::Done
            }
            "failed" | "error" | "rejected" => Standing::Failed,
            "refunded" | "reversed" | "returned" | "cancelled" | "canceled" => Standing::Returned,
            _ => return None,
        })
    }

    /// The word we write where a row is missing or its word means something else.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Standing::Open => "pending",
            Standing::Done => "completed",
            Standing::Failed => "failed",
            Standing::Returned => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn the_word_we_write_means_what_we_mean() {
        for standing in [Standing::Open, Standing::Done, Standing::Failed, Standing::Returned] {
            assert_eq!(Standing::of(standing.word()), Some(standing));
        }
        assert_eq!(Standing::of("on_fire"), None);
    }

    #[test]
    fn what_is_never_compared_is_written_down() {
        let names = Table::VARIANTS
            .iter()
            .flat_map(|table| table.uncompared().map(move |column| format!("{table}.{}", column.name)));
        let docs = include_str!("../../docs/game-tables.md");
        for name in names {
            assert!(docs.contains(&name), "docs/game-tables.md does not say that {name} is not compared");
        }
    }

    #[test]
    fn the_shape_we_create_a_lost_table_with_has_every_column() {
        let ddl = include_str!("../../migrations/mysql/game_tables.sql");
        for table in Table::VARIANTS {
            let create = format!("CREATE TABLE `{table}` (");
            let body = ddl.split(&create).nth(1).expect("every table is created").split("\n)").next().unwrap();
            let found: Vec<_> = body
                .lines()
                .filter_map(|line| line.trim().strip_prefix('`')?.split_once('`'))
                .map(|(name, _)| name)
                .collect();
            let expected: Vec<_> = table.columns().iter().map(|column| column.name).collect();
            assert_eq!(found, expected, "{table}");
        }
    }
}
