//! The state of the system as one list of named checks (rows R03, R05, R06, R07, R21): each is ok, violated with a
//! counterexample, or was not made. A check that was not made is never ok. Pure: what was looked at is handed in.

pub mod image;
mod server;

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{Label, OpsEvent, Position};
use wox_projections::{EventRef, Replay, State, invariants};

use crate::{
    rebuild::survey::Made,
    recovery::{Finding, observe::Targets},
    tables::{Table, compare::Compared},
    world::game_db::{GameDbError, health::TableChecked, schema::Schema},
};

pub use server::{connections, disk, hosts, locks, read_only, transactions};

/// How a check ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema, strum::Display, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Looked at, and as it must be.
    Ok,
    /// Looked at, and not as it must be.
    Violated,
    /// It could not be looked at.
    NotChecked,
    /// There is nothing here to look at it with: nobody set it up, or this server does not have it.
    NotAvailable,
}

/// One named check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// Its name, the same in every run.
    pub name: String,
    /// The runbook's row.
    pub row: &'static str,
    /// How it ended.
    pub status: Status,
    /// What must be true.
    pub says: String,
    /// What was found: a counterexample, or why it was not looked at.
    pub found: String,
    /// Since which event, where the log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<EventRef>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, row: &'static str, says: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            row,
            status: Status::Ok,
            says: says.into(),
            found: String::new(),
            since: None,
            next: None,
        }
    }

    fn of((name, row, says): (&str, &'static str, &str)) -> Check {
        Check::new(name, row, says)
    }

    fn found(self, found: impl Into<String>) -> Check {
        Check { found: found.into(), ..self }
    }

    fn violated(self, found: impl Into<String>, next: impl Into<String>) -> Check {
        Check { status: Status::Violated, found: found.into(), next: Some(next.into()), ..self }
    }

    fn not_checked(self, why: impl Into<String>, next: impl Into<String>) -> Check {
        Check { status: Status::NotChecked, found: why.into(), next: Some(next.into()), ..self }
    }

    fn not_available(self, why: impl Into<String>, next: Option<String>) -> Check {
        Check { status: Status::NotAvailable, found: why.into(), next, ..self }
    }

    /// As an event of the log; a check that was not made says nothing about the system and is none.
    #[must_use]
    pub fn event(&self, as_of: Position) -> Option<OpsEvent> {
        let ok = match self.status {
            Status::Ok => true,
            Status::Violated => false,
            Status::NotChecked | Status::NotAvailable => return None,
        };
        let counterexample = if ok { String::new() } else { self.found.clone() };
        Some(OpsEvent::InvariantChecked { name: Label::new(&self.name).ok()?, as_of, ok, counterexample })
    }
}

/// A look that failed at everything a check wants.
#[must_use]
pub fn failed(name: &str, row: &'static str, says: &str, why: &str, next: &str) -> Check {
    Check::new(name, row, says).not_checked(why, next)
}

/// A check that nothing here can make.
#[must_use]
pub fn unavailable(name: &str, row: &'static str, says: &str, why: &str, next: &str) -> Check {
    Check::new(name, row, says).not_available(why, Some(next.to_owned()))
}

/// Name, row and words of a check.
pub type Named = (String, &'static str, String);

/// The checks that need the log folded, for when it cannot be.
#[must_use]
pub fn of_the_state() -> Vec<Named> {
    let fixed = [STREAMS, CHAIN_FINALITY, CHAIN_ASKED, FINDINGS];
    let fixed = fixed.into_iter().map(|(name, row, says)| (name.to_owned(), row, says.to_owned()));
    fixed.chain(invariants::ALL.iter().map(|check| (check.name.to_owned(), "R03", check.says.to_owned()))).collect()
}

/// The checks of the game's tables, for when the database cannot be reached or says nothing of their shape.
#[must_use]
pub fn of_the_tables() -> Vec<Named> {
    let of = |table: &Table| [shape_of(*table), check_of(*table), rows_of(*table)];
    let checks = Table::VARIANTS.iter().flat_map(of);
    checks.map(|check| (check.name, check.row, check.says)).collect()
}

const STREAMS: (&str, &str, &str) = ("streams", "R03", "every stream is taken to its last event");
const CHAIN_FINALITY: (&str, &str, &str) = ("chain_finality", "R03", "no block that was final went away");
const CHAIN_ASKED: (&str, &str, &str) = ("chain_asked", "R03", "everything that is open on chain was asked about");
const FINDINGS: (&str, &str, &str) =
    ("findings", "R03", "no procedure finds anything that waits for a plan or for a person");

/// What the log says of itself and of the chain.
#[must_use]
pub fn state(replay: &Replay) -> Vec<Check> {
    let mut checks = vec![streams(replay)];
    checks.extend(invariants::ALL.iter().map(|invariant| {
        let check = Check::new(invariant.name, "R03", invariant.says);
        let violations = (invariant.check)(replay);
        let Some(first) = violations.first() else { return check.found("no counterexample") };
        let more = violations.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let found = format!("{}: {}{more}", first.subject, first.detail);
        Check { since: first.since.clone(), ..check.violated(found, "wox plan says what repairs it") }
    }));
    checks.extend(chain(&replay.state));
    checks
}

/// Whether the log ends where its watermark says that it did.
#[must_use]
pub fn acknowledged(incomplete: bool) -> Check {
    let check = Check::new("acknowledged", "R03", "every event that was acknowledged is in the log");
    match incomplete {
        false => check.found("up to the watermark"),
        true => check.violated(
            "the store ends before its watermark, or has none that can be read: all that follows may be older than it looks",
            "wox doctor says which; restore the newest backup",
        ),
    }
}

/// What the procedures find: whatever waits for a plan or for a person.
#[must_use]
pub fn findings(found: &[Finding]) -> Check {
    let check = Check::of(FINDINGS);
    // The worst first; of the same severity, what was first.
    let Some(worst) = found.iter().min_by_key(|finding| finding.severity) else {
        return check.found("nothing is found");
    };
    let more = found.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    let says = format!("{}, {}: {}{more}", worst.subject, worst.severity, worst.says);
    Check {
        since: worst.since.clone(),
        ..check.violated(says, "wox plan says what repairs it, and what is held for whom")
    }
}

fn streams(replay: &Replay) -> Check {
    let check = Check::of(STREAMS);
    let Some((stream, held)) = replay.held().iter().next() else {
        return check.found(format!("{} streams", replay.stream_count()));
    };
    let found = format!("{} held; {stream}: {}", replay.held().len(), held.reason);
    Check { since: Some(held.since.clone()), ..check.violated(found, "wox plan") }
}

fn chain(state: &State) -> Vec<Check> {
    let (finality, asked) = (Check::of(CHAIN_FINALITY), Check::of(CHAIN_ASKED));
    if state.chain.policies().next().is_none() {
        let why = "no chain is declared in this log";
        let next = "write [chain] into wox.toml, then wox observe";
        return vec![finality, asked].into_iter().map(|check| check.not_available(why, Some(next.into()))).collect();
    }
    let finality = match state.chain.first_violation() {
        None => finality.found("none did"),
        Some(event) => Check {
            since: Some(event.clone()),
            ..finality.violated(
                format!("a final block went away: {event}"),
                "wox plan; no money moves until two people have decided",
            )
        },
    };
    let open = Targets::open(state);
    let never = open
        .transactions
        .iter()
        .filter(|tx| !state.chain.policies().any(|policy| state.chain.transaction(policy.chain, tx).is_some()));
    let slots = open.payments.iter().filter(|payment| {
        !state.chain.policies().any(|policy| state.chain.slot(policy.chain, &payment.wallet, payment.nonce).is_some())
    });
    let (never, slots) = (never.count(), slots.count());
    let all = open.transactions.len() + open.payments.len();
    let asked = match never + slots {
        0 => asked.found(format!("{all} open, each was asked about")),
        left => asked.violated(format!("{left} of {all} that are open were never asked about"), "wox observe"),
    };
    vec![finality, asked]
}

/// Whether the five tables have the shape that is known.
#[must_use]
pub fn shape(schema: &Schema) -> Vec<Check> {
    let of = |table: Table| {
        let check = shape_of(table);
        if schema.missing.contains(&table) {
            return check.violated("it is not there", format!("wox rebuild {table} makes it again from the log"));
        }
        let problems: Vec<_> = schema.problems.iter().filter(|problem| problem.table == table).collect();
        let Some(first) = problems.first() else { return check.found("it is") };
        let place = first.column.as_ref().map(|column| format!("{column}: ")).unwrap_or_default();
        check.violated(format!("{place}{}", first.what), first.next.clone())
    };
    Table::VARIANTS.iter().copied().map(of).collect()
}

fn shape_of(table: Table) -> Check {
    Check::new(format!("shape_{table}"), "R06", format!("table {table} is there, in a shape that is known"))
}

/// What CHECK TABLE said of a table.
#[must_use]
pub fn checked(table: Table, said: &Result<TableChecked, GameDbError>) -> Check {
    let check = check_of(table);
    match said {
        Ok(TableChecked { ok: true, .. }) => check.found("OK"),
        Ok(TableChecked { said, .. }) => check.violated(
            said.join("; "),
            format!("wox rebuild {table} makes it again from the log; REPAIR TABLE does nothing for InnoDB and may drop rows elsewhere"),
        ),
        Err(error) => check.not_checked(error.to_string(), "grant SELECT on the table, or free what is named"),
    }
}

/// Of a table that cannot be read at all, CHECK TABLE is not asked for.
#[must_use]
pub fn not_reached(table: Table, why: &str, next: &str) -> Check {
    check_of(table).not_checked(why, next)
}

fn check_of(table: Table) -> Check {
    Check::new(format!("check_{table}"), "R06", format!("the server reads every page of {table} (CHECK TABLE)"))
}

/// The check of [`made`].
pub const MADE_FROM: (&str, &str, &str) =
    ("tables_made_from", "R33", "the tables were not made from another log, or from more of this one");

/// What the tables were made from, held against the log.
#[must_use]
pub fn made(made: &Made) -> Check {
    let check = Check::of(MADE_FROM);
    match (&made.older, made.other_log) {
        (Some(older), _) => check.violated(older.what.clone(), older.next.clone()),
        (None, true) => check.violated(
            "they were made from another log",
            "name the store from which they were made with --store; wox rebuild shows what would change",
        ),
        (None, false) => check.found("nothing speaks against it"),
    }
}

fn rows_of(table: Table) -> Check {
    Check::new(format!("rows_{table}"), "R06", format!("every row of {table} is what the log says"))
}

/// A table that was not held against the log.
#[must_use]
pub fn not_compared(table: Table, why: &str, next: &str) -> Check {
    rows_of(table).not_checked(why, next)
}

/// A table held against the log.
#[must_use]
pub fn rows(compared: &Compared) -> Check {
    let table = compared.table;
    let check = rows_of(table);
    let Compared { live, expected, equal, changed, missing, surplus, .. } = compared;
    if compared.is_equal() {
        return check.found(format!("{equal} of {live} rows"));
    }
    let first = compared.differences.first();
    let first = first.map(|first| format!("; {} {}", first.kind, first.key)).unwrap_or_default();
    check.violated(
        format!("{changed} changed, {missing} missing, {surplus} surplus of {live} live rows, {expected} in the log{first}"),
        format!("wox diff --table {table} says whose doing it is; then wox plan where the log is wrong, wox rebuild {table} where the table is"),
    )
}
