//! The tables as the log says they must be: one source a row, rendered into cells when it is asked for.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use wox_events::{
    Amount, DuelId, Label, Name, PlayerId, Position, StreamId, Timestamp, WithdrawalId, deposit::ImportedCredit,
    player::House,
};
use wox_projections::{
    State,
    burns::{Burn, BurnPhase},
    deposits::{Deposit, Imported},
    duels::{Duel, Phase},
    players::Player,
    withdrawals::{Withdrawal, WithdrawalPhase},
};

use super::{
    Index,
    cell::{Cell, Value, whole_second},
    scribe::Scribe,
    spec::{Standing, Table},
};

/// One table, ready to be held against live rows.
#[derive(Debug)]
pub struct Image<'a> {
    /// Which.
    pub table: Table,
    state: &'a State,
    scribe: &'a Scribe,
    rows: Vec<Source<'a>>,
    by_key: Index<SmolStr, u32>,
    by_former_key: Index<SmolStr, Vec<u32>>,
    /// What the log knows and the table cannot hold, whatever its columns.
    pub unholdable: Vec<Unholdable>,
}

/// Something the table has no place for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Unholdable {
    /// Which table.
    pub table: Table,
    /// The stream it is about.
    pub subject: String,
    /// Why.
    pub why: String,
}

/// What one row is made of.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A player.
    Player(PlayerId, &'a Player),
    /// A duel and the number it has in the table.
    Duel(i64, DuelId, &'a Duel),
    /// A withdrawal and the number it has in the table.
    Withdrawal(i64, WithdrawalId, &'a Withdrawal),
    /// A burn.
    Burn(WithdrawalId, &'a Burn),
    /// A transaction: its hash, and its credited deposits by the subjects of their streams.
    Transaction(&'a str, Vec<(&'a str, &'a Deposit)>),
    /// A transaction that was dealt with before the tables were taken over: its hash, and what they said of it.
    Imported(&'a str, &'a Imported),
}

/// The form of a key under which live and rendered rows meet: handles and hashes know no upper case.
#[must_use]
pub fn key_form(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

impl<'a> Image<'a> {
    /// The image of a table in a state, with what was noted on the way to it.
    #[must_use]
    pub fn of(table: Table, state: &'a State, scribe: &'a Scribe) -> Image<'a> {
        let mut image = Image {
            table,
            state,
            scribe,
            rows: Vec::new(),
            by_key: Index::default(),
            by_former_key: Index::default(),
            unholdable: Vec::new(),
        };
        match table {
            Table::Players => image.add_players(),
            Table::ActiveDuels => image.add_duels(),
            Table::WithdrawalRequests => image.add_withdrawals(),
            Table::BurnQueue => {
                image.rows.extend(state.burns.iter().map(|(id, burn)| Source::Burn(id.clone(), burn)));
            }
            Table::ProcessedTransactions => image.add_transactions(),
        }
        image
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<usize> {
        self.by_key.get(key_form(key).as_ref()).map(|index| *index as usize)
    }

    /// The row a stream is about: its own, or the one of the transaction that a deposit came with.
    #[must_use]
    pub fn row_of(&self, stream: &StreamId) -> Option<usize> {
        self.rows.iter().enumerate().position(|(row, source)| match source {
            Source::Transaction(_, deposits) => deposits.iter().any(|(subject, _)| *subject == stream.subject()),
            _ => self.stream(row).as_ref() == Some(stream),
        })
    }

    /// The players who had this handle before and have another one now.
    pub fn find_former(&self, key: &str) -> impl Iterator<Item = usize> {
        let former = self.by_former_key.get(key_form(key).as_ref()).map(Vec::as_slice).unwrap_or_default();
        // Nearly no handle had another owner, and every live row asks.
        let present = if former.is_empty() { None } else { self.find(key) };
        former.iter().map(|index| *index as usize).filter(move |row| Some(*row) != present)
    }

    /// The cells of a row, in the order of [`Table::columns`].
    #[must_use]
    pub fn cells(&self, row: usize) -> Vec<Cell<'a>> {
        cells(self.state, self.scribe, &self.rows[row])
    }

    /// The row's key, for people: a handle, a number, a hash; for a burn, which has none, when it is due.
    #[must_use]
    pub fn key(&self, row: usize) -> String {
        match &self.rows[row] {
            Source::Player(_, player) => player.handle.to_string(),
            Source::Duel(number, ..) | Source::Withdrawal(number, ..) => number.to_string(),
            Source::Burn(_, burn) => crate::rfc3339::text(whole_second(burn.due)),
            Source::Transaction(hash, _) | Source::Imported(hash, _) => (*hash).to_owned(),
        }
    }

    /// The stream a row is about.
    #[must_use]
    pub fn stream(&self, row: usize) -> Option<StreamId> {
        let name = match &self.rows[row] {
            Source::Player(id, _) => format!("player-{id}"),
            Source::Duel(_, id, _) => format!("duel-{id}"),
            Source::Withdrawal(_, id, _) => format!("withdrawal-{id}"),
            Source::Burn(id, _) => format!("burn-{id}"),
            Source::Transaction(_, deposits) => format!("deposit-{}", deposits.first()?.0),
            Source::Imported(_, imported) => return Some(imported.event.stream.clone()),
        };
        StreamId::new(name).ok()
    }

    /// When a burn is due, to the second; the burns of one second are told apart by their amounts.
    #[must_use]
    pub fn due(&self, row: usize) -> Option<Timestamp> {
        match &self.rows[row] {
            Source::Burn(_, burn) => Some(whole_second(burn.due)),
            _ => None,
        }
    }

    /// The event that last wrote a column of a row.
    #[must_use]
    pub fn wrote(&self, row: usize, column: usize) -> Position {
        let name = self.table.columns()[column].name;
        match &self.rows[row] {
            Source::Player(id, _) => self.scribe.player(id.as_str()).map_or(Position(0), |notes| {
                let last = &notes.last;
                match name {
                    "twitter_handle" => last.handle,
                    "name" => last.name,
                    "level" | "xp" => last.level,
                    "bonus_galleons" => last.bonus,
                    "withdrawable_galleons" => last.withdrawable,
                    "spells" => last.spells,
                    "titles" => last.titles,
                    "wins" => last.wins,
                    "losses" => last.losses,
                    _ => last.made,
                }
            }),
            Source::Duel(_, id, duel) => self.scribe.duel(id.as_str()).map_or(Position(0), |notes| {
                let named = [&duel.challenger, &duel.opponent].map(|player| self.named(player));
                match name {
                    "player1" => notes.made.max(named[0]),
                    "player2" => notes.made.max(named[1]),
                    "status" => notes.status,
                    "turn" | "combo_history" => notes.turn.max(notes.status).max(named[0]).max(named[1]),
                    "hp1" | "hp2" => notes.turn.max(notes.status),
                    _ => notes.made,
                }
            }),
            Source::Withdrawal(_, id, withdrawal) => {
                let last = self.scribe.withdrawal(id.as_str()).map_or(Position(0), |notes| notes.last);
                if name == "twitter_handle" { last.max(self.named(&withdrawal.player)) } else { last }
            }
            Source::Burn(id, _) => self.scribe.burn(id.as_str()).map_or(Position(0), |notes| notes.last),
            Source::Transaction(_, deposits) => {
                let last = deposits.iter().filter_map(|(subject, _)| self.scribe.deposit(subject));
                last.map(|notes| notes.last).max().unwrap_or_default()
            }
            Source::Imported(_, imported) => imported.event.position,
        }
    }

    /// The event that gave the player the present handle, which rows of other tables show too.
    fn named(&self, player: &PlayerId) -> Position {
        self.scribe.player(player.as_str()).map_or(Position(0), |notes| notes.last.handle)
    }

    /// Why the import left out the row with this key, when it did. Such a row is nobody's business but the game's.
    #[must_use]
    pub fn left_out(&self, key: &str) -> Option<&'a str> {
        self.scribe.left_out(self.table, key)
    }

    /// What the log has to say of a live row that it has no place for.
    #[must_use]
    pub fn why_surplus(&self, key: &str) -> String {
        let known = self.why_no_row(key);
        known.unwrap_or_else(|| "no event made this row: it was added outside the engine".into())
    }

    /// Why something the log knows has no row under this key.
    #[must_use]
    pub fn why_no_row(&self, key: &str) -> Option<String> {
        match self.table {
            Table::ActiveDuels => self
                .state
                .duels
                .get(key)
                .map(|duel| format!("duel {key} is {} and was never accepted: a challenge has no row", duel.phase)),
            Table::Players => self.find_former(key).last().map(|row| {
                format!("a former handle of player {}, whose row stands under `{}`", self.subject(row), self.key(row))
            }),
            Table::WithdrawalRequests | Table::BurnQueue | Table::ProcessedTransactions => None,
        }
    }

    fn subject(&self, row: usize) -> String {
        self.stream(row).map(|stream| stream.subject().to_owned()).unwrap_or_default()
    }

    fn add_players(&mut self) {
        let players = self.state.players.iter().len();
        self.rows.reserve(players);
        self.by_key.reserve(players);
        for (id, player) in self.state.players.iter() {
            let key = SmolStr::new(key_form(player.handle.as_str()));
            let index = self.rows.len() as u32;
            if let Some(other) = self.by_key.get(&key) {
                let other = self.subject(*other as usize);
                self.cannot_hold(
                    format!("player-{id}"),
                    format!(
                        "its handle `{}` is the handle of player {other} too, and the table has one row a handle",
                        player.handle
                    ),
                );
                continue;
            }
            self.by_key.insert(key, index);
            self.rows.push(Source::Player(id.clone(), player));
            for former in &player.former_handles {
                self.by_former_key.entry(SmolStr::new(key_form(former.as_str()))).or_default().push(index);
            }
        }
    }

    fn add_duels(&mut self) {
        for (id, duel) in self.state.duels.iter() {
            if self.scribe.duel(id.as_str()).is_none_or(|notes| notes.accepted.is_none()) {
                continue;
            }
            let stream = || format!("duel-{id}");
            let unknown = [&duel.challenger, &duel.opponent]
                .into_iter()
                .find(|player| self.state.players.get(player.as_str()).is_none());
            match (number(id.as_str()), unknown) {
                (Some(number), None) => self.add(id.as_str(), Source::Duel(number, id.clone(), duel)),
                (None, _) => self.cannot_hold(stream(), NO_NUMBER.into()),
                (_, Some(player)) => self.cannot_hold(stream(), format!("player {player} is not known")),
            }
        }
    }

    fn add_withdrawals(&mut self) {
        for (id, withdrawal) in self.state.withdrawals.iter() {
            let stream = || format!("withdrawal-{id}");
            let known = self.state.players.get(withdrawal.player.as_str()).is_some();
            match number(id.as_str()) {
                Some(number) if known => self.add(id.as_str(), Source::Withdrawal(number, id.clone(), withdrawal)),
                Some(_) => self.cannot_hold(stream(), format!("player {} is not known", withdrawal.player)),
                None => self.cannot_hold(stream(), NO_NUMBER.into()),
            }
        }
    }

    fn add_transactions(&mut self) {
        for (transaction, imported) in self.state.deposits.imports() {
            let hash = transaction.split_once(':').map_or(transaction, |(_, hash)| hash);
            self.add(hash, Source::Imported(hash, imported));
        }
        for (subject, deposit) in self.state.deposits.iter() {
            let hash = deposit.reference.as_deref().and_then(|reference| reference.split(':').nth(1));
            let Some(hash) = hash.filter(|_| !deposit.credits.is_empty()) else { continue };
            let key = SmolStr::new(key_form(hash));
            match self.by_key.get(&key).copied() {
                Some(index) => {
                    if let Source::Transaction(_, deposits) = &mut self.rows[index as usize] {
                        deposits.push((subject, deposit));
                    }
                }
                None => self.add(hash, Source::Transaction(hash, vec![(subject, deposit)])),
            }
        }
    }

    fn add(&mut self, key: &str, source: Source<'a>) {
        self.by_key.insert(SmolStr::new(key_form(key)), self.rows.len() as u32);
        self.rows.push(source);
    }

    fn cannot_hold(&mut self, subject: String, why: String) {
        self.unholdable.push(Unholdable { table: self.table, subject, why });
    }
}

const NO_NUMBER: &str = "its id is no number, and the table numbers its rows";

/// The number a game id has in a table: digits without leading zeros.
fn number(id: &str) -> Option<i64> {
    id.parse().ok().filter(|number: &i64| *number > 0 && number.to_string() == id)
}

/// The cells of a row, in the order of [`Table::columns`].
#[must_use]
pub fn cells<'a>(state: &'a State, scribe: &'a Scribe, source: &Source<'a>) -> Vec<Cell<'a>> {
    match source {
        Source::Player(id, player) => player_cells(state, scribe, id, player),
        Source::Duel(number, id, duel) => duel_cells(state, scribe, *number, id, duel),
        Source::Withdrawal(number, id, withdrawal) => withdrawal_cells(state, scribe, *number, id, withdrawal),
        Source::Burn(id, burn) => burn_cells(scribe, id, burn),
        Source::Transaction(hash, deposits) => transaction_cells(scribe, hash, deposits),
        Source::Imported(hash, imported) => imported_cells(scribe, hash, imported),
    }
}

/// The source of the row a stream is about, when it has one.
#[must_use]
pub fn source_of<'a>(state: &'a State, scribe: &Scribe, stream: &StreamId) -> Option<Source<'a>> {
    let subject = stream.subject();
    match stream.category() {
        "player" => Some(Source::Player(PlayerId::new(subject).ok()?, state.players.get(subject)?)),
        "duel" if scribe.duel(subject)?.accepted.is_some() => {
            Some(Source::Duel(number(subject)?, DuelId::new(subject).ok()?, state.duels.get(subject)?))
        }
        "withdrawal" => {
            let id = WithdrawalId::new(subject).ok()?;
            Some(Source::Withdrawal(number(subject)?, id, state.withdrawals.get(subject)?))
        }
        "burn" => Some(Source::Burn(WithdrawalId::new(subject).ok()?, state.burns.get(subject)?)),
        _ => None,
    }
}

fn player_cells<'a>(state: &'a State, scribe: &Scribe, id: &PlayerId, player: &'a Player) -> Vec<Cell<'a>> {
    let notes = scribe.player(id.as_str());
    let held = state.ledger.player(id).unwrap_or_default();
    let list = |known: bool, names: &'a [Name]| if known { Cell::Known(Value::Names(names)) } else { Cell::Kept };
    let xp = notes.and_then(|notes| notes.xp);
    vec![
        Cell::Known(Value::Text(player.handle.as_str())),
        player.name.as_ref().map_or(Cell::Kept, |name| Cell::Known(Value::Text(name.as_str()))),
        player.house.map_or(Cell::Kept, |house| Cell::Known(Value::Text(house_word(house)))),
        Cell::Known(Value::Int(i64::from(player.level))),
        xp.map_or(Cell::Kept, |xp| Cell::Known(Value::Int(i64::from(xp)))),
        notes.and_then(|notes| notes.hp).map_or(Cell::Kept, |hp| Cell::Filled(Value::Int(i64::from(hp)))),
        Cell::Known(Value::Money(held.bonus)),
        Cell::Known(Value::Money(held.withdrawable)),
        list(notes.is_some_and(|notes| notes.spells_known), &player.spells),
        notes
            .and_then(|notes| notes.potions.as_deref())
            .map_or(Cell::Kept, |potions| Cell::Filled(Value::Json(potions.to_owned()))),
        Cell::Known(Value::Int(i64::from(player.wins))),
        Cell::Known(Value::Int(i64::from(player.losses))),
        list(notes.is_some_and(|notes| notes.titles_known), &player.titles),
        notes.and_then(|notes| notes.created).map_or(Cell::Kept, |created| Cell::Filled(Value::Time(created))),
    ]
}

/// A house as the game's ENUM spells it.
#[must_use]
pub const fn house_word(house: House) -> &'static str {
    match house {
        House::Ravenclaw => "Ravenclaw",
        House::Gryffindor => "Gryffindor",
        House::Slytherin => "Slytherin",
        House::Hufflepuff => "Hufflepuff",
    }
}

fn handle<'a>(state: &'a State, player: &PlayerId) -> Cell<'a> {
    match state.players.get(player.as_str()) {
        Some(player) => Cell::Known(Value::Text(player.handle.as_str())),
        None => Cell::Kept,
    }
}

fn duel_cells<'a>(state: &'a State, scribe: &Scribe, number: i64, id: &DuelId, duel: &'a Duel) -> Vec<Cell<'a>> {
    let notes = scribe.duel(id.as_str());
    let active = duel.phase == Phase::Active;
    let status = match duel.phase {
        Phase::Active | Phase::Challenged => "active",
        Phase::Ended if duel.winner.as_ref() == Some(&duel.challenger) => "player1_wins",
        Phase::Ended => "player2_wins",
        Phase::Voided | Phase::Declined | Phase::Expired => "cancelled",
    };
    let turn = match &duel.next {
        Some(player) if active => handle(state, player),
        _ => Cell::Kept,
    };
    let combo = notes.filter(|notes| active && !notes.combo_unknown).map_or(Cell::Kept, |notes| {
        let sides = [&duel.challenger, &duel.opponent].into_iter().zip(&notes.combo);
        let mut history = Map::new();
        for (player, spells) in sides {
            if let Some(player) = state.players.get(player.as_str()) {
                let spells: Vec<Json> = spells.iter().map(|spell| Json::from(spell.as_str())).collect();
                history.insert(player.handle.to_string(), Json::from(spells));
            }
        }
        Cell::Known(Value::Json(Json::Object(history).to_string()))
    });
    let hp_known = notes.is_none_or(|notes| !notes.hp_unknown);
    let hp = |points: u32| if hp_known { Cell::Known(Value::Int(i64::from(points))) } else { Cell::Kept };
    vec![
        Cell::Known(Value::Int(number)),
        handle(state, &duel.challenger),
        handle(state, &duel.opponent),
        Cell::Known(Value::Money(duel.bet)),
        Cell::Known(Value::Text(status)),
        turn,
        hp(duel.hp.0),
        hp(duel.hp.1),
        combo,
        notes.and_then(|notes| notes.accepted).map_or(Cell::Kept, |time| Cell::Filled(Value::Time(time))),
    ]
}

fn withdrawal_cells<'a>(
    state: &'a State,
    scribe: &'a Scribe,
    number: i64,
    id: &WithdrawalId,
    withdrawal: &'a Withdrawal,
) -> Vec<Cell<'a>> {
    let notes = scribe.withdrawal(id.as_str());
    let fee = withdrawal.hold.as_ref().and_then(|hold| hold.pool_share.checked_add(hold.burn_share));
    let standing = match withdrawal.phase {
        WithdrawalPhase::Requested | WithdrawalPhase::Held | WithdrawalPhase::InDoubt => Standing::Open,
        WithdrawalPhase::Settled => Standing::Done,
        WithdrawalPhase::Failed => Standing::Failed,
        WithdrawalPhase::Released => Standing::Returned,
    };
    let over = matches!(withdrawal.phase, WithdrawalPhase::Settled | WithdrawalPhase::Released);
    let taken_over = notes.and_then(|notes| notes.taken_over.as_ref());
    let settled = notes.and_then(|notes| notes.settled.as_ref()).or(taken_over.and_then(|said| said.tx.as_ref()));
    let block = notes
        .and_then(|notes| notes.mined.as_ref())
        .filter(|(tx, _)| Some(tx) == settled)
        .map(|(_, block)| *block)
        .or(taken_over.and_then(|said| said.block));
    let fee = fee.or(taken_over.and_then(|said| said.fee));
    let completed = match taken_over {
        // As the table had it: it may say less than we would.
        Some(said) => Cell::Known(said.completed.map_or(Value::Null, Value::Time)),
        // Nothing follows a settlement or a release, so the last activity is the moment of it.
        None if over => Cell::Present(Value::Time(withdrawal.last_activity)),
        None => Cell::Known(Value::Null),
    };
    vec![
        Cell::Known(Value::Int(number)),
        handle(state, &withdrawal.player),
        Cell::Known(Value::Money(withdrawal.amount)),
        fee.map_or(Cell::Kept, |fee| Cell::Known(Value::Money(fee))),
        settled.map_or(Cell::Kept, |tx| Cell::Known(Value::Hash(tx.as_str()))),
        Cell::Known(Value::Status(standing)),
        notes.and_then(|notes| notes.requested).map_or(Cell::Kept, |requested| Cell::Filled(Value::Time(requested))),
        completed,
        block.and_then(|block| i64::try_from(block).ok()).map_or(Cell::Kept, |block| Cell::Filled(Value::Int(block))),
    ]
}

fn burn_cells<'a>(scribe: &Scribe, id: &WithdrawalId, burn: &Burn) -> Vec<Cell<'a>> {
    let standing = match burn.phase {
        BurnPhase::Scheduled | BurnPhase::InDoubt => Standing::Open,
        BurnPhase::Settled => Standing::Done,
        BurnPhase::Cancelled => Standing::Returned,
    };
    vec![
        Cell::Kept,
        Cell::Known(Value::Money(burn.amount)),
        Cell::Known(Value::Time(whole_second(burn.due))),
        Cell::Known(Value::Status(standing)),
        scribe
            .burn(id.as_str())
            .and_then(|notes| notes.scheduled)
            .map_or(Cell::Kept, |scheduled| Cell::Filled(Value::Time(scheduled))),
    ]
}

fn transaction_cells<'a>(scribe: &'a Scribe, hash: &'a str, deposits: &[(&'a str, &'a Deposit)]) -> Vec<Cell<'a>> {
    let first = deposits.first().map(|(subject, deposit)| (scribe.deposit(subject), *deposit));
    let notes = first.and_then(|(notes, _)| notes);
    let block =
        first.and_then(|(_, deposit)| deposit.block.as_ref()).and_then(|block| i64::try_from(block.number).ok());
    // A reference that was credited again brought nothing more: each deposit counts with its first credit.
    let values = deposits.iter().filter_map(|(_, deposit)| {
        deposit.value.or_else(|| deposit.credits.first().and_then(|credit| credit.amount.checked_add(credit.dust)))
    });
    let standing = deposits.iter().flat_map(|(_, deposit)| &deposit.credits).any(|credit| !credit.debited);
    vec![
        Cell::Known(Value::Hash(hash)),
        block.map_or(Cell::Kept, |block| Cell::Filled(Value::Int(block))),
        party(notes, 0),
        party(notes, 1),
        Amount::checked_sum(values).map_or(Cell::Kept, |value| Cell::Known(Value::Money(value))),
        notes.and_then(|notes| notes.credited).map_or(Cell::Kept, |credited| Cell::Filled(Value::Time(credited))),
        Cell::Known(Value::Status(if standing { Standing::Done } else { Standing::Returned })),
    ]
}

fn imported_cells<'a>(scribe: &'a Scribe, hash: &'a str, imported: &'a Imported) -> Vec<Cell<'a>> {
    let notes = scribe.import(imported.event.stream.subject());
    let party = |party: Option<&'a Label>| party.map_or(Cell::Kept, |party| Cell::Filled(Value::Hash(party.as_str())));
    let standing = match imported.standing {
        ImportedCredit::Credited => Standing::Done,
        ImportedCredit::Unknown => Standing::Open,
        ImportedCredit::Failed => Standing::Failed,
        ImportedCredit::Returned => Standing::Returned,
    };
    let block = notes.and_then(|notes| notes.block).and_then(|block| i64::try_from(block).ok());
    vec![
        Cell::Known(Value::Hash(hash)),
        block.map_or(Cell::Kept, |block| Cell::Filled(Value::Int(block))),
        party(notes.and_then(|notes| notes.from.as_ref())),
        party(notes.and_then(|notes| notes.to.as_ref())),
        Cell::Known(Value::Money(imported.value)),
        notes.and_then(|notes| notes.processed).map_or(Cell::Kept, |time| Cell::Filled(Value::Time(time))),
        Cell::Known(Value::Status(standing)),
    ]
}

fn party<'a>(notes: Option<&'a super::scribe::DepositNotes>, side: usize) -> Cell<'a> {
    let parties = notes.and_then(|notes| notes.parties.as_ref());
    parties
        .map_or(Cell::Kept, |(from, to)| Cell::Filled(Value::Hash(if side == 0 { from.as_str() } else { to.as_str() })))
}
