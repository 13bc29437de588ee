//! One row → its opening event, or why it cannot have one.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;
use wox_events::{
    Actor, Amount, BurnEvent, DepositEvent, Digest, DuelEvent, Event, EventId, Handle, Label, Name, NewEvent, OpsEvent,
    PlayerEvent, PlayerId, PoolEvent, Provenance, Split, StreamId, Timestamp, TxHash, WithdrawalEvent, WithdrawalId,
    burn::ImportedBurn,
    deposit::ImportedCredit,
    duel::{ImportedDuel, ImportedStake},
    player::House,
    withdrawal::ImportedWithdrawal,
};

use super::{
    Book, Roster,
    cells::{self, Refused, Row},
};
use crate::tables::{
    Table, cell,
    image::{house_word, key_form},
    spec::Standing,
};

/// The version of the game's rules the tables were made under: nobody recorded it.
const RULES: u16 = 1;

/// What becomes of a row.
#[derive(Debug)]
pub enum Verdict {
    /// It is taken over.
    Import(Box<Opening>),
    /// It cannot be taken over.
    Refuse {
        /// Its key, as far as it has one.
        key: String,
        /// The column, and what is wrong with it.
        reason: String,
    },
}

/// An opening event.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its stream, which must not exist yet.
    pub stream: StreamId,
    /// The event.
    pub event: NewEvent,
    /// What stays in the table because the log cannot hold it: column and what.
    pub kept: Vec<(&'static str, &'static str)>,
}

/// The sums of all opening entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Totals {
    /// Bonus balances.
    pub bonus: Amount,
    /// Withdrawable balances.
    pub withdrawable: Amount,
    /// Stakes of running duels.
    pub escrow: Amount,
    /// Open withdrawals, what the players are to receive.
    pub in_flight: Amount,
    /// Burns that wait.
    pub burn_queue: Amount,
    /// The shares of open withdrawals' fees that went to the pool.
    pub pool_shares: Amount,
    /// Withdrawals that failed before the import: whether they went back no table says, and nothing is held for them.
    pub failed_before: Amount,
}

/// Makes events of rows. Rows of players come first: the others speak of them.
#[derive(Debug)]
pub struct Judge<'a> {
    book: &'a Book,
    roster: &'a Roster,
    actor: Actor,
    taken_at: Timestamp,
    players: HashMap<SmolStr, PlayerId>,
    refused: HashSet<SmolStr>,
    seen: HashSet<(Table, SmolStr)>,
    /// Payments that a withdrawal names already.
    payments: HashSet<TxHash>,
    /// The sums so far.
    pub totals: Totals,
}

impl<'a> Judge<'a> {
    /// A judge of the tables that were surveyed. `taken_at` is the moment of the snapshot.
    #[must_use]
    pub fn new(book: &'a Book, roster: &'a Roster, actor: Actor, taken_at: Timestamp) -> Judge<'a> {
        Judge {
            book,
            roster,
            actor,
            taken_at,
            players: HashMap::new(),
            refused: HashSet::new(),
            seen: HashSet::new(),
            payments: HashSet::new(),
            totals: Totals::default(),
        }
    }

    /// Judges the next row.
    pub fn row(&mut self, table: Table, cells: &[Option<&[u8]>]) -> Verdict {
        let key = cell::shown(cells.first().copied().flatten()).unwrap_or_else(|| "NULL".into());
        let mut row = Row { table, cells, kept: Vec::new() };
        // Handles that are alike are refused with both their rows, below.
        let alike = table == Table::Players && self.book.twice.contains(key_form(&key).as_ref());
        if !alike && !self.seen.insert((table, SmolStr::new(key_form(&key)))) {
            return Verdict::Refuse { key, reason: row.refuse(0, "another row has the same key") };
        }
        let made = match table {
            Table::Players => self.player(&mut row),
            Table::ActiveDuels => self.duel(&mut row),
            Table::WithdrawalRequests => self.withdrawal(&mut row),
            Table::BurnQueue => self.burn(&mut row),
            Table::ProcessedTransactions => self.transaction(&mut row),
        };
        let made = made.and_then(|(subject, event)| {
            let stream = StreamId::new(&subject).map_err(|error| row.refuse(0, error))?;
            let event = self.event(&[table.name(), &key_form(&key)], event, Provenance::Imported)?;
            Ok(Opening { stream, event, kept: std::mem::take(&mut row.kept) })
        });
        match made {
            Ok(opening) => Verdict::Import(Box::new(opening)),
            Err(reason) => {
                if table == Table::Players {
                    self.refused.insert(SmolStr::new(key_form(&key)));
                }
                Verdict::Refuse { key, reason }
            }
        }
    }

    /// The opening entry of the pool, once every row was judged: what an operator says, or the least it can hold.
    pub fn pool(&self) -> Result<Option<Opening>, Refused> {
        let (balance, source) = match self.book.options.pool {
            Some(stated) => (stated, "operator"),
            None => (self.totals.pool_shares, "open-withdrawals"),
        };
        if balance.is_zero() {
            return Ok(None);
        }
        let source = Label::new(source).expect("an identity");
        let event = PoolEvent::PoolImported { balance, source, import: self.book.import };
        let stream = StreamId::new("pool-main").expect("a stream's name");
        Ok(Some(Opening { stream, event: self.event(&["pool"], event, Provenance::Imported)?, kept: Vec::new() }))
    }

    /// The event that opens the import.
    pub fn begun(&self) -> Result<NewEvent, Refused> {
        let book = self.book;
        let begun = OpsEvent::GenesisBegun {
            import: book.import,
            taken_at: self.taken_at,
            tables: book.tables.clone(),
            players: book.players,
            pool: book.options.pool,
            chain: book.options.chain,
        };
        self.event(&["begun"], begun, Provenance::Recovery)
    }

    /// The event that says a row was left out.
    pub fn left_out(&self, table: Table, key: &str, reason: &str) -> Result<NewEvent, Refused> {
        let label = Label::new(table.name()).expect("a table's name is an identity");
        let left = OpsEvent::GenesisRowLeftOut { table: label, key: key.to_owned(), reason: reason.to_owned() };
        self.event(&["left-out", table.name(), key], left, Provenance::Recovery)
    }

    /// The event that ends the import.
    pub fn completed(&self, imported: u64, left_out: u64) -> Result<NewEvent, Refused> {
        let rows = self.book.tables.iter().map(|taken| taken.rows).sum();
        let completed = OpsEvent::GenesisCompleted { import: self.book.import, rows, imported, left_out };
        self.event(&["completed"], completed, Provenance::Recovery)
    }

    /// An event whose id follows from the import and the row alone.
    fn event(&self, place: &[&str], event: impl Into<Event>, provenance: Provenance) -> Result<NewEvent, Refused> {
        let import = self.book.import.to_string();
        let mut parts = vec!["wox/genesis", import.as_str()];
        parts.extend(place);
        let (kind, version, data) = event.into().encode().map_err(|error| error.to_string())?;
        Ok(NewEvent {
            id: EventId::derived(&parts),
            kind,
            version,
            time: self.taken_at,
            actor: self.actor.clone(),
            causation: None,
            correlation: None,
            provenance,
            rules: RULES,
            data,
        })
    }

    fn digest(&self, table: Table) -> Digest {
        self.book.digest(table)
    }

    fn player(&mut self, row: &mut Row<'_>) -> Result<(String, Event), Refused> {
        let text = row.text(0)?;
        let handle =
            Handle::new(text).map_err(|error| row.refuse(0, format_args!("`{text}` is no handle: {error}")))?;
        let key = SmolStr::new(key_form(text));
        if self.book.twice.contains(&key) {
            return Err(row.refuse(0, "another row has the same handle but for upper case"));
        }
        let id = self.roster.find(text).ok_or_else(|| row.refuse(0, "nobody says whose platform user id it is"))?;
        if self.book.shared.contains(&id) {
            return Err(row.refuse(0, format_args!("player {id} is another row's too")));
        }
        let house = match row.text_or_null(2)? {
            None => None,
            Some(word) => Some(house(word).ok_or_else(|| row.refuse(2, format_args!("`{word}` is no house")))?),
        };
        let level: u8 = row.whole(3, "1 to 15")?;
        if !(1..=15).contains(&level) {
            return Err(row.refuse(3, format_args!("{level} is not 1 to 15")));
        }
        let hp = row.whole_or_null(5)?.and_then(|hp| i32::try_from(hp).ok());
        let (bonus, withdrawable) = (row.money(6)?, row.money(7)?);
        let event = PlayerEvent::StateImported {
            handle,
            bonus,
            withdrawable,
            level,
            xp: row.whole(4, "a number from 0 on")?,
            wins: row.whole(10, "a number from 0 on")?,
            losses: row.whole(11, "a number from 0 on")?,
            table_digest: self.digest(row.table),
            name: row.name(1)?,
            house,
            spells: row.names(8)?,
            titles: row.names(12)?,
            hp,
            potions: row.json_text(9)?.map(str::to_owned),
            created_at: row.time_or_null(13)?,
        };
        self.add(|totals| [&mut totals.bonus, &mut totals.withdrawable], [bonus, withdrawable], row)?;
        self.players.insert(key, id.clone());
        Ok((format!("player-{id}"), event.into()))
    }

    fn duel(&mut self, row: &mut Row<'_>) -> Result<(String, Event), Refused> {
        let id = row.id()?;
        let (challenger, opponent) = (self.known(row, 1)?, self.known(row, 2)?);
        if challenger == opponent {
            return Err(row.refuse(2, "the same player as the other side"));
        }
        let bet = row.money(3)?;
        let word = row.text(4)?.trim().to_ascii_lowercase();
        let standing = match word.as_str() {
            "active" => ImportedDuel::Active,
            "player1_wins" => ImportedDuel::ChallengerWon,
            "player2_wins" => ImportedDuel::OpponentWon,
            "cancelled" => ImportedDuel::Cancelled,
            _ => return Err(row.refuse(4, format_args!("`{word}` has no meaning that is known"))),
        };
        let active = standing == ImportedDuel::Active;
        let turn = row.text_or_null(5)?.filter(|turn| !turn.is_empty());
        let next = turn.and_then(|turn| self.players.get(key_form(turn).as_ref())).cloned();
        let next = next.filter(|next| *next == challenger || *next == opponent);
        if active && turn.is_some() && next.is_none() {
            row.keep(5, "nobody of this duel");
        }
        let mut points = |at: usize| -> Result<Option<u32>, Refused> {
            let found = row.whole_or_null(at)?;
            let points = found.and_then(|found| u32::try_from(found).ok());
            if found.is_some() && points.is_none() {
                row.keep(at, "hit points below 0");
            }
            Ok(points)
        };
        let (challenger_hp, opponent_hp) = (points(6)?, points(7)?);
        let [challenger_spells, opponent_spells] = combo(row, active)?;
        let stake = |player: &PlayerId| ImportedStake {
            player: player.clone(),
            assumed: Split { bonus: bet, withdrawable: Amount::ZERO },
        };
        let staked = active && !bet.is_zero();
        let stakes = if staked { vec![stake(&challenger), stake(&opponent)] } else { Vec::new() };
        if staked {
            self.add(|totals| [&mut totals.escrow], [bet.checked_add(bet).unwrap_or(bet)], row)?;
        }
        let event = DuelEvent::DuelImported {
            challenger,
            opponent,
            bet,
            standing,
            next: next.filter(|_| active),
            challenger_hp,
            opponent_hp,
            challenger_spells,
            opponent_spells,
            stakes,
            created_at: row.time_or_null(9)?,
            table_digest: self.digest(row.table),
        };
        Ok((format!("duel-{id}"), event.into()))
    }

    fn withdrawal(&mut self, row: &mut Row<'_>) -> Result<(String, Event), Refused> {
        let id = row.id()?.to_string();
        let player = self.known(row, 1)?;
        let handle = row.text(1)?;
        let (amount, fee) = (row.money(2)?, row.money(3)?);
        let net = amount.checked_sub(fee).ok_or_else(|| row.refuse(3, format_args!("{fee} G of {amount} G")))?;
        let standing = match row.standing(5)? {
            Standing::Open => ImportedWithdrawal::InDoubt,
            Standing::Done => ImportedWithdrawal::Paid,
            Standing::Failed => ImportedWithdrawal::Failed,
            Standing::Returned => ImportedWithdrawal::Returned,
        };
        let burn = self.book.requests.get(id.as_str()).and_then(|row| self.book.amounts.get(row)).copied();
        let burn_share = burn.filter(|burn| *burn <= fee).or_else(|| fee.fraction(1, 2)).unwrap_or_default();
        let pool_share = fee.saturating_sub(burn_share);
        let block = row.whole_or_null(8)?.and_then(|block| u64::try_from(block).ok());
        // One payment pays one withdrawal: which of two rows it paid, no table says, and the first one may be wrong.
        let tx = row.tx(4)?.filter(|tx| {
            let first = self.payments.insert(tx.clone());
            if !first {
                row.keep(4, "the payment of another withdrawal too");
            }
            first
        });
        let event = WithdrawalEvent::WithdrawalImported {
            player,
            amount,
            net,
            pool_share,
            burn_share,
            burn_known: burn.is_some_and(|burn| burn <= fee),
            standing,
            destination: Label::new(format!("@{handle}")).map_err(|error| row.refuse(1, error))?,
            tx,
            block,
            requested_at: row.time_or_null(6)?,
            completed_at: row.time_or_null(7)?,
            table_digest: self.digest(row.table),
        };
        match standing {
            ImportedWithdrawal::InDoubt => {
                self.add(|totals| [&mut totals.in_flight, &mut totals.pool_shares], [net, pool_share], row)?;
            }
            ImportedWithdrawal::Failed => {
                self.add(|totals| [&mut totals.failed_before], [amount], row)?;
            }
            ImportedWithdrawal::Paid | ImportedWithdrawal::Returned => {}
        }
        Ok((format!("withdrawal-{id}"), event.into()))
    }

    fn burn(&mut self, row: &mut Row<'_>) -> Result<(String, Event), Refused> {
        let number = row.id()?;
        let amount = row.money(1)?;
        let standing = match row.standing(3)? {
            Standing::Open => ImportedBurn::Scheduled,
            Standing::Done => ImportedBurn::Burned,
            Standing::Returned => ImportedBurn::Cancelled,
            Standing::Failed => {
                return Err(
                    row.refuse(3, "it failed: whether it was burned no table says; make it pending or completed")
                );
            }
        };
        let of = self.book.burns.get(number.to_string().as_str());
        let withdrawal = of.map_or_else(|| format!("imported:{number}"), ToString::to_string);
        let event = BurnEvent::BurnImported {
            withdrawal: WithdrawalId::new(&withdrawal).map_err(|error| row.refuse(0, error))?,
            amount,
            due: row.time(2)?,
            standing,
            scheduled_at: row.time_or_null(4)?,
            row: number,
            table_digest: self.digest(row.table),
        };
        if standing == ImportedBurn::Scheduled {
            self.add(|totals| [&mut totals.burn_queue], [amount], row)?;
        }
        Ok((format!("burn-{withdrawal}"), event.into()))
    }

    fn transaction(&mut self, row: &mut Row<'_>) -> Result<(String, Event), Refused> {
        let text = row.text(0)?;
        let tx = cells::tx(text).ok_or_else(|| row.refuse(0, format_args!("`{text}` is no transaction hash")))?;
        let chain = self.book.options.chain;
        let block = row.whole_or_null(1)?.and_then(|block| u64::try_from(block).ok());
        let standing = match row.standing(6)? {
            Standing::Open => ImportedCredit::Unknown,
            Standing::Done => ImportedCredit::Credited,
            Standing::Failed => ImportedCredit::Failed,
            Standing::Returned => ImportedCredit::Returned,
        };
        let event = DepositEvent::CreditImported {
            chain,
            tx: tx.clone(),
            value: row.money(4)?,
            standing,
            block,
            from: row.label(2)?,
            to: row.label(3)?,
            processed_at: row.time_or_null(5)?,
            table_digest: self.digest(row.table),
        };
        Ok((format!("deposit-{chain}:{tx}:imported"), event.into()))
    }

    /// The player of a handle in another table.
    fn known(&self, row: &Row<'_>, at: usize) -> Result<PlayerId, Refused> {
        let handle = row.text(at)?;
        let key = key_form(handle);
        match self.players.get(key.as_ref()) {
            Some(player) => Ok(player.clone()),
            None if self.refused.contains(key.as_ref()) => {
                Err(row.refuse(at, format_args!("the row of `{handle}` is refused")))
            }
            None => Err(row.refuse(at, format_args!("`{handle}` has no row in players"))),
        }
    }

    /// Adds to the sums; what leaves the range of an amount is refused with its row.
    fn add<const N: usize>(
        &mut self,
        which: impl FnOnce(&mut Totals) -> [&mut Amount; N],
        amounts: [Amount; N],
        row: &Row<'_>,
    ) -> Result<(), Refused> {
        for (total, amount) in which(&mut self.totals).into_iter().zip(amounts) {
            *total = total.checked_add(amount).ok_or_else(|| row.refuse(0, "the sum of all rows is out of range"))?;
        }
        Ok(())
    }
}

fn house(word: &str) -> Option<House> {
    let all = [House::Ravenclaw, House::Gryffindor, House::Slytherin, House::Hufflepuff];
    all.into_iter().find(|house| house_word(*house) == word)
}

/// The last spells of both sides; only while the duel runs, and only in the form the log can give back.
fn combo(row: &mut Row<'_>, active: bool) -> Result<[Option<Vec<Name>>; 2], Refused> {
    const NONE: [Option<Vec<Name>>; 2] = [None, None];
    let Some(text) = row.json_text(8)?.filter(|_| active) else { return Ok(NONE) };
    let (first, second) = (row.text(1)?, row.text(2)?);
    let history: Option<HashMap<String, Vec<String>>> = serde_json::from_str(text).ok();
    let Some(history) = history.filter(|history| history.len() == 2) else { return Ok(NONE) };
    let spells = |handle: &str| -> Option<Vec<Name>> {
        history.get(handle)?.iter().map(|spell| Name::new(spell).ok()).collect()
    };
    match (spells(first), spells(second)) {
        (Some(first), Some(second)) => Ok([Some(first), Some(second)]),
        _ => Ok(NONE),
    }
}
