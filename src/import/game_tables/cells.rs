//! Cells of a row, read strictly: what cannot be read is a reason to refuse the row, by the name of the column.

use wox_events::{Amount, Label, Name, Timestamp, TxHash, id::TextIdError};

use crate::tables::{
    Table, cell,
    spec::{Kind, Standing},
};

/// Why a row cannot be taken over: the column and what is wrong with it.
pub(super) type Refused = String;

/// The most one opening entry may bring in, as the ledger takes it: 2^100 base units, a trillion Galleons.
const OPENING_MAX: u128 = 1 << 100;

/// One row.
pub(super) struct Row<'a> {
    pub(super) table: Table,
    pub(super) cells: &'a [Option<&'a [u8]>],
    /// What is left in the table because the log cannot hold it: column and what.
    pub(super) kept: Vec<(&'static str, &'static str)>,
}

impl<'a> Row<'a> {
    fn column(&self, at: usize) -> &'static str {
        self.table.columns()[at].name
    }

    pub(super) fn refuse(&self, at: usize, what: impl std::fmt::Display) -> Refused {
        format!("{}: {what}", self.column(at))
    }

    pub(super) fn keep(&mut self, at: usize, what: &'static str) {
        self.kept.push((self.column(at), what));
    }

    /// The cell, or why it is not what its column holds.
    fn cell(&self, at: usize) -> Result<Option<&'a [u8]>, Refused> {
        let live = self.cells.get(at).copied().flatten();
        match cell::unreadable(live, self.table.columns()[at].kind) {
            Some(what) => Err(self.refuse(at, what)),
            None => Ok(live),
        }
    }

    pub(super) fn text_or_null(&self, at: usize) -> Result<Option<&'a str>, Refused> {
        let live = self.cell(at)?;
        live.map(|live| str::from_utf8(live).map_err(|_| self.refuse(at, "text that is not valid UTF-8"))).transpose()
    }

    pub(super) fn text(&self, at: usize) -> Result<&'a str, Refused> {
        self.text_or_null(at)?.ok_or_else(|| self.refuse(at, "NULL"))
    }

    /// Text the log can hold as a name; anything else stays in the table.
    pub(super) fn label(&mut self, at: usize) -> Result<Option<Label>, Refused> {
        self.held(at, |text| Label::new(text))
    }

    pub(super) fn name(&mut self, at: usize) -> Result<Option<Name>, Refused> {
        self.held(at, |text| Name::new(text))
    }

    /// A text that the log holds in its own form, where it can.
    fn held<T>(&mut self, at: usize, form: impl Fn(&str) -> Result<T, TextIdError>) -> Result<Option<T>, Refused> {
        let Some(text) = self.text_or_null(at)? else { return Ok(None) };
        let held = form(text).ok();
        if held.is_none() && !text.is_empty() {
            self.keep(at, "characters that names in the log do not have");
        }
        Ok(held)
    }

    pub(super) fn whole_or_null(&self, at: usize) -> Result<Option<i64>, Refused> {
        Ok(self.cell(at)?.and_then(cell::whole))
    }

    pub(super) fn whole<T: TryFrom<i64>>(&self, at: usize, range: &str) -> Result<T, Refused> {
        let found = self.whole_or_null(at)?.ok_or_else(|| self.refuse(at, "NULL"))?;
        T::try_from(found).map_err(|_| self.refuse(at, format_args!("{found} is not {range}")))
    }

    /// The number of the row.
    pub(super) fn id(&self) -> Result<u64, Refused> {
        let id: u64 = self.whole(0, "a number from 1 on")?;
        if id == 0 { Err(self.refuse(0, "0 is not a number from 1 on")) } else { Ok(id) }
    }

    pub(super) fn money(&self, at: usize) -> Result<Amount, Refused> {
        let live = self.cell(at)?.ok_or_else(|| self.refuse(at, "NULL"))?;
        match cell::money(live) {
            Some((false, amount)) if amount.base_units() <= OPENING_MAX => Ok(amount),
            Some((false, amount)) => {
                Err(self.refuse(at, format_args!("{amount} G is more than a ledger takes at once")))
            }
            Some((true, amount)) => Err(self.refuse(at, format_args!("-{amount} G is negative"))),
            None => Err(self.refuse(at, "no decimal amount")),
        }
    }

    /// A moment that has to be there.
    pub(super) fn time(&self, at: usize) -> Result<Timestamp, Refused> {
        let live = self.cell(at)?.ok_or_else(|| self.refuse(at, "NULL"))?;
        cell::parse_time(live).ok_or_else(|| self.refuse(at, "no valid date and time"))
    }

    /// A moment that may be missing; a zero date says nothing and stays in the table.
    pub(super) fn time_or_null(&mut self, at: usize) -> Result<Option<Timestamp>, Refused> {
        let live = self.cells.get(at).copied().flatten();
        if live.is_some_and(|live| live.starts_with(b"0000-00-00")) {
            self.keep(at, "a zero date");
            return Ok(None);
        }
        Ok(self.cell(at)?.and_then(cell::parse_time))
    }

    pub(super) fn standing(&self, at: usize) -> Result<Standing, Refused> {
        let word = self.text(at)?;
        Standing::of(word).ok_or_else(|| self.refuse(at, format_args!("`{word}` has no meaning that is known")))
    }

    /// A list of names; any other JSON stays in the table.
    pub(super) fn names(&mut self, at: usize) -> Result<Option<Vec<Name>>, Refused> {
        let Some(text) = self.text_or_null(at)? else { return Ok(None) };
        let texts: Option<Vec<String>> = serde_json::from_str(text).ok();
        let names = texts.and_then(|texts| texts.iter().map(|name| Name::new(name).ok()).collect());
        if names.is_none() {
            self.keep(at, "no list of names that the log can hold");
        }
        Ok(names)
    }

    /// A transaction hash in lower case; anything else stays in the table.
    pub(super) fn tx(&mut self, at: usize) -> Result<Option<TxHash>, Refused> {
        let Some(text) = self.text_or_null(at)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let found = tx(text);
        if found.is_none() {
            self.keep(at, "no transaction hash");
        }
        Ok(found)
    }

    /// The table's column kind must be JSON.
    pub(super) fn json_text(&mut self, at: usize) -> Result<Option<&'a str>, Refused> {
        debug_assert_eq!(self.table.columns()[at].kind, Kind::Json);
        let text = self.text_or_null(at)?;
        if text.is_some_and(|text| text.len() > JSON_BYTES_MAX) {
            self.keep(at, "JSON of more than 32 KiB");
            return Ok(None);
        }
        Ok(text)
    }
}

/// Most JSON text that is taken over as it is.
const JSON_BYTES_MAX: usize = 32 << 10;

/// `0x` and 64 hex digits, brought to lower case.
pub(super) fn tx(text: &str) -> Option<TxHash> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    TxHash::new(format!("0x{}", digits.to_ascii_lowercase())).ok().filter(|_| hex)
}
