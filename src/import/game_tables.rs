//! The rows of a running game's tables → opening events (row E5), one row at a time.
//!
//! The tables know handles; players are platform user ids (E4). Which handle is whom says a [`Roster`], a file that
//! somebody vouches for; nothing is guessed. Rows are read twice: [`Survey`] counts and hashes them and finds what only
//! the whole table shows (a handle twice, the burn of a fee), [`Judge`] makes an event of each row or refuses it by name.
//! Both are pure: whoever reads the rows hands them in as text.
//!
//! What is assumed, and marked so in the events: the stakes of a running duel came from the bonus balance; a waiting burn
//! of the right amount, scheduled with an open request and alike to no other, is the burn of its fee; an open request may
//! have been paid. What is over moves no money here: the balances have it already.

mod cells;
mod judge;
#[cfg(test)]
mod properties;
mod roster;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use smol_str::SmolStr;
use wox_events::{Amount, Digest, Label, PlayerId, Timestamp, ops::TableTaken};

use crate::tables::{Table, cell, compare::RowHasher, image::key_form, spec::Standing};

pub use judge::{Judge, Opening, Totals, Verdict};
pub use roster::{BadRoster, Roster, Unmapped};

/// What the first reading of the tables found.
#[derive(Debug, Default)]
pub struct Survey {
    tables: BTreeMap<Table, (u64, RowHasher)>,
    handles: HashMap<SmolStr, u32>,
    open: Vec<OpenRequest>,
    burns: Vec<WaitingBurn>,
}

/// An open withdrawal, as far as its burn is concerned.
#[derive(Clone, Debug)]
struct OpenRequest {
    id: SmolStr,
    fee: Amount,
    made: Timestamp,
}

/// A burn that waits.
#[derive(Clone, Debug)]
struct WaitingBurn {
    row: SmolStr,
    amount: Amount,
    made: Timestamp,
}

/// A burn is scheduled with its request: seconds apart at most.
const TOGETHER: i64 = 5_000_000;

impl Survey {
    /// Notes that a table is there, though it may have no row.
    pub fn table(&mut self, table: Table) {
        self.tables.entry(table).or_default();
    }

    /// Takes the next row of a table.
    pub fn row(&mut self, table: Table, cells: &[Option<&[u8]>]) {
        let (rows, hasher) = self.tables.entry(table).or_default();
        *rows += 1;
        hasher.row(cells);
        let text = |at: usize| cells.get(at).copied().flatten().and_then(|cell| str::from_utf8(cell).ok());
        let money = |at: usize| cells.get(at).copied().flatten().and_then(cell::money).filter(|(less, _)| !less);
        let time = |at: usize| cells.get(at).copied().flatten().and_then(cell::parse_time);
        let is_open = |at: usize| text(at).and_then(Standing::of) == Some(Standing::Open);
        match table {
            Table::Players => {
                if let Some(handle) = text(0) {
                    *self.handles.entry(SmolStr::new(key_form(handle))).or_default() += 1;
                }
            }
            Table::WithdrawalRequests if is_open(5) => {
                if let (Some(id), Some((_, fee)), Some(made)) = (text(0), money(3), time(6)) {
                    self.open.push(OpenRequest { id: SmolStr::new(id), fee, made });
                }
            }
            Table::BurnQueue if is_open(3) => {
                if let (Some(row), Some((_, amount)), Some(made)) = (text(0), money(1), time(4)) {
                    self.burns.push(WaitingBurn { row: SmolStr::new(row), amount, made });
                }
            }
            Table::ActiveDuels | Table::WithdrawalRequests | Table::BurnQueue | Table::ProcessedTransactions => {}
        }
    }

    /// Ends the reading: whom each handle is, which rows go together, and the digest of the whole import.
    #[must_use]
    pub fn finish(self, roster: &Roster, options: Options) -> Book {
        let mut by_id = HashMap::<PlayerId, u32>::new();
        let mut whom = BTreeMap::new();
        for handle in self.handles.keys() {
            if let Some(id) = roster.find(handle) {
                *by_id.entry(id.clone()).or_default() += 1;
                whom.insert(handle.clone(), id);
            }
        }
        let players = Digest::of(&serde_json::to_vec(&whom).unwrap_or_default());
        let tables = self.tables.into_iter().map(|(table, (rows, hasher))| TableTaken {
            table: Label::new(table.name()).expect("a table's name is an identity"),
            rows,
            digest: hasher.finish(),
        });
        let tables: Vec<_> = tables.collect();
        let facts = Facts { tables: &tables, players, options };
        let import = Digest::of(&serde_json::to_vec(&facts).unwrap_or_default());
        let burns = pairs(&self.open, &self.burns);
        let alike = |count: &u32| *count > 1;
        Book {
            import,
            players,
            tables,
            options,
            twice: self.handles.iter().filter(|(_, count)| alike(count)).map(|(handle, _)| handle.clone()).collect(),
            shared: by_id.into_iter().filter(|(_, count)| alike(count)).map(|(id, _)| id).collect(),
            requests: burns.iter().map(|(row, request)| (request.clone(), row.clone())).collect(),
            amounts: self.burns.iter().map(|burn| (burn.row.clone(), burn.amount)).collect(),
            burns,
            unused: roster.len().saturating_sub(whom.len()) as u64,
        }
    }
}

/// What everything an import makes follows from: the same facts give the same events.
#[derive(Serialize)]
struct Facts<'a> {
    tables: &'a [TableTaken],
    players: Digest,
    options: Options,
}

/// What an operator adds to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The chain of the transactions; Base is 8453.
    pub chain: u64,
    /// What the prize pool holds, where somebody knows: no table of the game says.
    pub pool: Option<Amount>,
}

/// What the second reading needs to know before it begins.
#[derive(Debug)]
pub struct Book {
    /// The digest of the whole import: tables, players, options.
    pub import: Digest,
    /// Of the handles and the players they are.
    pub players: Digest,
    /// The tables, as they were read.
    pub tables: Vec<TableTaken>,
    /// What an operator added.
    pub options: Options,
    /// Entries of the roster that no row of the tables has.
    pub unused: u64,
    twice: std::collections::HashSet<SmolStr>,
    shared: std::collections::HashSet<PlayerId>,
    /// The request whose fee a burn is of, by the burn's row, and the other way round.
    burns: HashMap<SmolStr, SmolStr>,
    requests: HashMap<SmolStr, SmolStr>,
    amounts: HashMap<SmolStr, Amount>,
}

impl Book {
    /// The digest of one table.
    fn digest(&self, table: Table) -> Digest {
        let taken = self.tables.iter().find(|taken| taken.table.as_str() == table.name());
        taken.map_or(Digest([0; 32]), |taken| taken.digest)
    }
}

/// Burns and the open requests whose fees they are of: only where one burn fits one request and neither fits another.
fn pairs(open: &[OpenRequest], burns: &[WaitingBurn]) -> HashMap<SmolStr, SmolStr> {
    let mut by_time: Vec<&WaitingBurn> = burns.iter().collect();
    by_time.sort_by_key(|burn| burn.made);
    let mut fitting = HashMap::<&str, Vec<&str>>::new();
    let mut chosen = Vec::new();
    for request in open {
        let from = by_time.partition_point(|burn| burn.made.0 < request.made.0.saturating_sub(TOGETHER));
        let near = by_time[from..].iter().take_while(|burn| burn.made.0 <= request.made.0.saturating_add(TOGETHER));
        let fits: Vec<_> = near.filter(|burn| is_half(burn.amount, request.fee)).collect();
        for burn in &fits {
            fitting.entry(burn.row.as_str()).or_default().push(request.id.as_str());
        }
        if let [burn] = fits.as_slice() {
            chosen.push((burn.row.clone(), request.id.clone()));
        }
    }
    let alone = |row: &str| fitting.get(row).is_some_and(|requests| requests.len() == 1);
    // A table that lost its key may have a number twice: neither row is then told from the other.
    let mut times = HashMap::<&str, u32>::new();
    open.iter().for_each(|request| *times.entry(request.id.as_str()).or_default() += 1);
    let once = |id: &SmolStr| times.get(id.as_str()) == Some(&1);
    chosen.into_iter().filter(|(row, request)| alone(row) && once(request)).collect()
}

/// Whether an amount is half a fee, to the cent the table can show of it, rounded either way.
fn is_half(amount: Amount, fee: Amount) -> bool {
    let Some(half) = fee.fraction(1, 2) else { return false };
    let (shown, rest) = half.split_dust();
    amount == half || amount == shown || (!rest.is_zero() && shown.checked_add(Amount::cents(1)) == Some(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, fee: &str, made: i64) -> OpenRequest {
        OpenRequest { id: id.into(), fee: fee.parse().unwrap(), made: Timestamp(made * 1_000_000) }
    }

    fn burn(row: &str, amount: &str, made: i64) -> WaitingBurn {
        WaitingBurn { row: row.into(), amount: amount.parse().unwrap(), made: Timestamp(made * 1_000_000) }
    }

    #[test]
    fn a_burn_goes_with_a_request_only_when_neither_could_go_with_another() {
        let open = [request("1", "2", 100), request("2", "0.05", 200), request("3", "4", 300), request("4", "4", 303)];
        let burns = [
            burn("10", "1", 101),
            burn("11", "0.03", 200),
            burn("12", "2", 301),
            burn("13", "2", 900),
            burn("14", "7", 100),
        ];
        let found = pairs(&open, &burns);
        let mut found: Vec<_> = found.iter().map(|(row, request)| format!("{row} of {request}")).collect();
        found.sort();
        assert_eq!(found, ["10 of 1", "11 of 2"]);
    }
}
