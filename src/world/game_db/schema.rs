//! What shape the live tables have, and whether the five of the game can be compared and rebuilt as they are.

use schemars::JsonSchema;
use serde::Serialize;

use super::{GameDbError, Session, literal, number, text, text_or_null};
use crate::tables::{
    Table,
    cell::Shape,
    compare::Layout,
    spec::{Column, Kind},
};

/// A table as the server describes it.
#[derive(Clone, Debug)]
pub struct LiveTable {
    /// Which.
    pub table: Table,
    /// Its columns.
    pub layout: Layout,
    /// Names of all columns in the order of the layout.
    pub columns: Vec<String>,
    /// Foreign keys that point out of it.
    pub foreign_keys: Vec<ForeignKey>,
    /// The column that numbers its rows by itself.
    pub auto_increment: Option<String>,
    /// How many rows the server believes there are.
    pub rows_about: u64,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The table it stands in.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it points to.
    pub parent: String,
    /// The columns it points to.
    pub parent_columns: Vec<String>,
    /// What happens when the row it points to is deleted.
    pub on_delete: String,
    /// What happens when it is changed.
    pub on_update: String,
}

/// Something about a table's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Which table.
    pub table: Table,
    /// Which column, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// True when the table cannot be compared like this.
    pub fatal: bool,
}

/// What was found of the tables that were asked for.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Those that are there.
    pub tables: Vec<LiveTable>,
    /// Those that are not.
    pub missing: Vec<Table>,
    /// What is wrong with their shape.
    pub problems: Vec<Problem>,
    /// Foreign keys of other tables that point to one of these.
    pub foreign_children: Vec<ForeignKey>,
}

impl Schema {
    /// A table that is there.
    #[must_use]
    pub fn table(&self, table: Table) -> Option<&LiveTable> {
        self.tables.iter().find(|live| live.table == table)
    }

    /// The problems that make a comparison impossible.
    pub fn fatal(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.fatal)
    }
}

struct Described {
    name: String,
    data_type: String,
    column_type: String,
    nullable: bool,
    chars: Option<u64>,
    precision: Option<u64>,
    scale: Option<u64>,
    fraction: Option<u64>,
    charset: Option<String>,
    extra: String,
}

impl Session {
    /// Looks at the shape of these tables.
    pub async fn schema(&mut self, tables: &[Table]) -> Result<Schema, GameDbError> {
        let mut schema = Schema::default();
        let keys = self.foreign_keys(tables).await?;
        for table in tables {
            let sql = format!(
                "SELECT table_type, engine, table_rows FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = {}",
                literal(table.name())
            );
            let found = self.all(sql).await?;
            let Some(found) = found.first() else {
                schema.missing.push(*table);
                continue;
            };
            let problem = |what: String, next: &str| Problem {
                table: *table,
                column: None,
                what,
                next: next.to_owned(),
                fatal: true,
            };
            if text(found, 0)? != "BASE TABLE" {
                let what = format!("it is a {}, not a table", text(found, 0)?.to_lowercase());
                schema.problems.push(problem(what, "point wox at the database that holds the table itself"));
                continue;
            }
            let engine = text_or_null(found, 1)?.unwrap_or_else(|| "unknown".into());
            if !engine.eq_ignore_ascii_case("innodb") {
                let what = format!("its engine is {engine}: it has no snapshots, so it cannot be read at one moment");
                schema.problems.push(problem(what, &format!("ALTER TABLE {table} ENGINE=InnoDB")));
            }
            let rows_about = text_or_null(found, 2)?.and_then(|rows| rows.parse().ok()).unwrap_or(0);
            let described = self.describe(*table).await?;
            let mut layout = Layout { shapes: Vec::new(), extras: Vec::new() };
            let mut columns = Vec::new();
            for column in table.columns() {
                match described.iter().find(|found| found.name.eq_ignore_ascii_case(column.name)) {
                    Some(found) => {
                        layout.shapes.push(shape(*table, column, found, &mut schema.problems));
                        columns.push(found.name.clone());
                    }
                    None => schema.problems.push(Problem {
                        column: Some(column.name.to_owned()),
                        ..problem(
                            "the column is missing".into(),
                            "this is another version of the game's schema: add the column, or run the game's migration for it",
                        )
                    }),
                }
            }
            let extras = described.iter().filter(|found| {
                !table.columns().iter().any(|column| found.name.eq_ignore_ascii_case(column.name))
                    && !found.extra.to_ascii_lowercase().contains("generated")
            });
            layout.extras = extras.map(|found| found.name.clone()).collect();
            columns.extend(layout.extras.iter().cloned());
            let foreign_keys = keys.iter().filter(|key| key.table == table.name()).cloned().collect();
            let auto_increment =
                described.iter().find(|found| found.extra.to_ascii_lowercase().contains("auto_increment"));
            let auto_increment = auto_increment.map(|found| found.name.clone());
            schema.tables.push(LiveTable { table: *table, layout, columns, foreign_keys, auto_increment, rows_about });
        }
        schema.foreign_children = keys;
        schema.foreign_children.retain(|key| !tables.iter().any(|ours| ours.name() == key.table));
        Ok(schema)
    }

    async fn describe(&mut self, table: Table) -> Result<Vec<Described>, GameDbError> {
        let sql = format!(
            "SELECT column_name, data_type, column_type, is_nullable, character_maximum_length, numeric_precision, \
             numeric_scale, datetime_precision, character_set_name, extra FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = {} ORDER BY ordinal_position",
            literal(table.name())
        );
        let mut columns = Vec::new();
        for row in self.all(sql).await? {
            let figure = |at| -> Result<Option<u64>, GameDbError> {
                Ok(text_or_null(&row, at)?.and_then(|text| text.parse().ok()))
            };
            columns.push(Described {
                name: text(&row, 0)?,
                data_type: text(&row, 1)?.to_lowercase(),
                column_type: text(&row, 2)?,
                nullable: text(&row, 3)? == "YES",
                chars: figure(4)?,
                precision: figure(5)?,
                scale: figure(6)?,
                fraction: figure(7)?,
                charset: text_or_null(&row, 8)?,
                extra: text_or_null(&row, 9)?.unwrap_or_default(),
            });
        }
        Ok(columns)
    }

    /// Foreign keys that stand in one of these tables or point to one: in one question, for each costs the server a look at
    /// every table it has.
    async fn foreign_keys(&mut self, tables: &[Table]) -> Result<Vec<ForeignKey>, GameDbError> {
        let names: Vec<_> = tables.iter().map(|table| literal(table.name())).collect();
        let names = names.join(", ");
        let sql = format!(
            "SELECT k.constraint_name, k.table_name, k.column_name, k.referenced_table_name, k.referenced_column_name, \
             r.delete_rule, r.update_rule FROM information_schema.key_column_usage k \
             JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema \
             AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name \
             WHERE k.table_schema = DATABASE() AND k.referenced_table_schema = DATABASE() \
             AND (k.table_name IN ({names}) OR k.referenced_table_name IN ({names})) \
             ORDER BY k.table_name, k.constraint_name, k.ordinal_position"
        );
        let mut keys: Vec<ForeignKey> = Vec::new();
        for row in self.all(sql).await? {
            let (name, table, column) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
            let (parent, parent_column) = (text(&row, 3)?, text(&row, 4)?);
            match keys.last_mut().filter(|key| key.name == name && key.table == table) {
                Some(key) => {
                    key.columns.push(column);
                    key.parent_columns.push(parent_column);
                }
                None => keys.push(ForeignKey {
                    name,
                    table,
                    columns: vec![column],
                    parent,
                    parent_columns: vec![parent_column],
                    on_delete: text(&row, 5)?,
                    on_update: text(&row, 6)?,
                }),
            }
        }
        Ok(keys)
    }

    /// Whether the server takes writes, as far as it says.
    pub async fn is_read_only(&mut self) -> Result<bool, GameDbError> {
        let row = self.one("SELECT @@global.read_only").await?;
        Ok(number(&row, 0)? != 0)
    }
}

/// What a live column can hold; what is wrong with it goes to `problems`.
fn shape(table: Table, column: &Column, found: &Described, problems: &mut Vec<Problem>) -> Shape {
    let mut problem = |fatal: bool, what: String, next: String| {
        problems.push(Problem { table, column: Some(column.name.to_owned()), what, next, fatal });
    };
    let other = |wanted: &str| {
        (
            format!("its type is {}, {wanted} is needed", found.column_type),
            format!("change the column to {wanted}, or run the game's migration for this version"),
        )
    };
    let fits = match column.kind {
        Kind::Text => {
            matches!(found.data_type.as_str(), "varchar" | "char" | "text" | "tinytext" | "mediumtext" | "enum")
        }
        Kind::Int => matches!(found.data_type.as_str(), "int" | "bigint" | "mediumint" | "smallint" | "tinyint"),
        Kind::Money => found.data_type == "decimal",
        Kind::Json => matches!(found.data_type.as_str(), "json" | "longtext" | "mediumtext" | "text" | "varchar"),
        Kind::Time => matches!(found.data_type.as_str(), "timestamp" | "datetime"),
    };
    if !fits {
        let wanted = match column.kind {
            Kind::Text => "VARCHAR",
            Kind::Int => "INT",
            Kind::Money => "DECIMAL (money is never a float)",
            Kind::Json => "JSON",
            Kind::Time => "TIMESTAMP",
        };
        let (what, next) = other(wanted);
        problem(true, what, next);
    }
    let scale = found.scale.unwrap_or(0);
    if column.kind == Kind::Money && fits && scale < 2 {
        problem(
            true,
            format!("it has {scale} decimals: it cannot show hundredths of a Galleon"),
            format!("ALTER TABLE {table} MODIFY {} DECIMAL(10,2)", column.name),
        );
    }
    if column.kind == Kind::Money && fits && scale > 18 {
        problem(
            true,
            format!("it has {scale} decimals, an amount has 18"),
            "change the column to DECIMAL(36,18)".into(),
        );
    }
    if let Some(charset) = &found.charset
        && matches!(column.kind, Kind::Text | Kind::Json)
        && !matches!(charset.as_str(), "utf8mb4" | "utf8mb3" | "utf8" | "ascii")
    {
        problem(
            false,
            format!("its character set is {charset}: letters beyond it are lost when they are stored"),
            format!("ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4"),
        );
    }
    let unsigned = found.column_type.contains("unsigned");
    let bits = match found.data_type.as_str() {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" => 32,
        _ => 64,
    };
    let range = match (unsigned, bits) {
        (_, 64) => (if unsigned { 0 } else { i64::MIN }, i64::MAX),
        (true, bits) => (0, (1 << bits) - 1),
        (false, bits) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    };
    let small = |figure: Option<u64>| u32::try_from(figure.unwrap_or(0)).unwrap_or(0);
    Shape {
        kind: column.kind,
        scale: if column.kind == Kind::Time { small(found.fraction) } else { small(found.scale).min(18) },
        whole_digits: small(found.precision).saturating_sub(small(found.scale)).min(20),
        range,
        chars_max: found.chars,
        nullable: found.nullable,
        timestamp: found.data_type == "timestamp",
    }
}
