//! Deposits by their outside reference: (chain id, transaction hash, ordinal of the log in its receipt). A reference is
//! credited once; a second credit moved money all the same, so it is kept as a fact with its event, to be reversed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, DepositEvent, EventId, PlayerId, Provenance, Recorded, TxHash,
    chain::BlockId,
    deposit::{Finality, ImportedCredit},
    id::Label,
};

use crate::{
    Table,
    projection::{EventRef, Projection, Rejection},
};

/// All deposits, by stream and by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposits {
    deposits: Table<String, Deposit>,
    references: Table<String, Reference>,
    /// Everything that is confirmed to have come in, each reference once; for conservation.
    confirmed: Amount,
    /// Transactions that were dealt with before the game's tables were taken over, by `<chain>:<tx>`.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    imported: Table<String, Imported>,
}

/// A transaction that the game dealt with before its tables were taken over. What it brought is in the imported balances;
/// which of its logs that was no table says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What the table says it brought.
    pub value: Amount,
    /// What became of it.
    pub standing: ImportedCredit,
    /// The event that took it over.
    pub event: EventRef,
}

impl Imported {
    /// True when money of it is, or may be, in the imported balances.
    #[must_use]
    pub fn may_be_credited(&self) -> bool {
        matches!(self.standing, ImportedCredit::Credited | ImportedCredit::Unknown)
    }

    /// True when the table's figure is this amount, as far as its two decimals show it.
    #[must_use]
    pub fn is_worth(&self, amount: Amount) -> bool {
        self.value == amount || self.value == amount.split_dust().0
    }
}

/// One deposit stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// The reference, once the stream has named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The value in the log, once observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    /// The block it was last observed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// How final its block was when last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finality: Option<Finality>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player: Option<PlayerId>,
    /// How that was known when it was said first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Label>,
    /// Where it stands.
    pub phase: DepositPhase,
    /// The event that put it into suspense, while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<EventId>,
    /// The event that last took it off a balance or out of suspense, and whether it did because its block had gone away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<(EventId, bool)>,
    /// Its credits, in order; more than one is a fault.
    pub credits: Vec<Credit>,
}

/// Where a deposit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepositPhase {
    /// Seen.
    Observed,
    /// Known whose it is.
    Attributed,
    /// On a balance.
    Credited,
    /// Below the minimum, in suspense.
    Dust,
    /// In suspense for another reason.
    Quarantined,
    /// No money of ours.
    Rejected,
    /// Its block is gone.
    Reorged,
    /// Another transaction took its place.
    Replaced,
    /// Credited and taken back.
    Debited,
}

/// One credit of a deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Who was credited.
    pub player: PlayerId,
    /// How much.
    pub amount: Amount,
    /// How much went to the dust account.
    pub dust: Amount,
    /// The event.
    pub event: EventRef,
    /// The credit of the same reference that stands, when it is another one: this one is a duplicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<EventRef>,
    /// True when it was taken back.
    pub debited: bool,
    /// The event that last moved it to another player.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<EventId>,
    /// True when a recovery booked it, by the chain's final word or a person's decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_recovery: bool,
}

/// What is known of one outside reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reference {
    value: Option<Amount>,
    /// Its credits that were not taken back, oldest first: the first stands, the others are duplicates of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credits: Vec<EventRef>,
    /// How often it is in suspense: more than once is a fault.
    #[serde(default, skip_serializing_if = "is_zero")]
    suspended: u32,
    /// What is confirmed to have come in because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed: Option<Amount>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl std::fmt::Display for DepositPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DepositPhase::Observed => "observed",
            DepositPhase::Attributed => "attributed",
            DepositPhase::Credited => "credited",
            DepositPhase::Dust => "dust",
            DepositPhase::Quarantined => "quarantined",
            DepositPhase::Rejected => "rejected",
            DepositPhase::Reorged => "reorged",
            DepositPhase::Replaced => "replaced",
            DepositPhase::Debited => "debited",
        })
    }
}

/// Why money of a deposit was taken back whose final block went away.
pub const GONE: &str = "finality-violation";

/// The text form of a reference: `<chain>:<tx>:<ordinal>`.
#[must_use]
pub fn reference(chain: u64, tx: &TxHash, ordinal: u32) -> String {
    format!("{chain}:{tx}:{ordinal}")
}

impl Deposit {
    /// True when money came into the ledger because of it and did not go back: on a balance or in suspense.
    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.suspended.is_some() || self.credits.iter().any(|credit| !credit.debited)
    }

    /// Its credits that were not taken back, of a reference whose standing credit is another one.
    pub fn duplicates(&self) -> impl Iterator<Item = &Credit> {
        self.credits.iter().filter(|credit| credit.duplicate_of.is_some() && !credit.debited)
    }
}

impl Deposits {
    /// A deposit by the subject of its stream.
    #[must_use]
    pub fn get(&self, deposit: &str) -> Option<&Deposit> {
        self.deposits.get(deposit)
    }

    /// All deposits, in the order they were first heard of.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Deposit)> {
        self.deposits.iter().map(|(subject, deposit)| (subject.as_str(), deposit))
    }

    /// The deposits of each transaction that any is known of, by `<chain>:<tx>`.
    #[must_use]
    pub fn by_transaction(&self) -> BTreeMap<&str, Vec<(&str, &Deposit)>> {
        let mut found: BTreeMap<&str, Vec<(&str, &Deposit)>> = BTreeMap::new();
        for (subject, deposit) in self.iter() {
            let named = deposit.reference.as_deref().unwrap_or(subject);
            if let Some((transaction, _)) = named.rsplit_once(':') {
                found.entry(transaction).or_default().push((subject, deposit));
            }
        }
        found
    }

    /// What the game did with a transaction before its tables were taken over; `transaction` is `<chain>:<tx>`.
    #[must_use]
    pub fn imported(&self, transaction: &str) -> Option<&Imported> {
        self.imported.get(transaction)
    }

    /// Every transaction that was dealt with before the tables were taken over, by `<chain>:<tx>`.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = (&str, &Imported)> {
        self.imported.iter().map(|(transaction, imported)| (transaction.as_str(), imported))
    }

    /// Judges what a recovery books: a transaction whose money may be in the imported balances is booked by nobody, log
    /// by log, because nobody knows which of its logs the game counted.
    pub(crate) fn check_imported(&self, at: &Recorded, event: &DepositEvent) -> Result<(), Rejection> {
        let subject = at.stream.subject();
        let named = match event {
            DepositEvent::DepositCredited { chain, tx, ordinal, .. } => reference(*chain, tx, *ordinal),
            DepositEvent::DepositDustRecorded { .. } | DepositEvent::DepositQuarantined { .. } => {
                let known = self.deposits.get(subject).and_then(|deposit| deposit.reference.as_deref());
                known.unwrap_or(subject).to_owned()
            }
            _ => return Ok(()),
        };
        match named.rsplit_once(':').and_then(|(transaction, _)| self.imported.get(transaction)) {
            Some(imported) if imported.may_be_credited() => Err(Rejection::exists("credit of deposit", named)),
            _ => Ok(()),
        }
    }

    /// The import that already has the money of a credit, when the table's figure is the same.
    fn credited_before(&self, reference: &str, amount: Amount) -> Option<&EventRef> {
        let imported = self.imported.get(reference.rsplit_once(':')?.0)?;
        (imported.standing == ImportedCredit::Credited && imported.is_worth(amount)).then_some(&imported.event)
    }

    /// The credit of a reference that was not taken back, under whatever name its stream goes: there is one for ever.
    #[must_use]
    pub fn standing_credit(&self, reference: &str) -> Option<&EventRef> {
        self.references.get(reference)?.credits.first()
    }

    /// Whether a reference is credited or in suspense, under whatever name its stream goes.
    fn is_booked(&self, reference: &str) -> bool {
        self.references.get(reference).is_some_and(|known| known.suspended > 0 || !known.credits.is_empty())
    }

    /// Whether a reference is in suspense in another stream than this.
    fn is_suspended_elsewhere(&self, reference: &str, this: Option<&Deposit>) -> bool {
        let here = u32::from(this.is_some_and(|deposit| deposit.suspended.is_some()));
        self.references.get(reference).is_some_and(|known| known.suspended > here)
    }

    /// Everything that is confirmed to have come in, each reference once.
    #[must_use]
    pub fn confirmed(&self) -> Amount {
        self.confirmed
    }

    /// Credits that were not taken back, of a reference whose standing credit is another one.
    pub fn duplicates(&self) -> impl Iterator<Item = (&str, &Deposit, &Credit)> {
        self.deposits
            .iter()
            .flat_map(|(subject, deposit)| deposit.duplicates().map(move |credit| (subject.as_str(), deposit, credit)))
    }

    /// Forgets a credit of a reference. When it was the one that stands, the oldest one left stands in its place: it is
    /// a duplicate of nothing any more, and to take it back as well would leave the player without the deposit.
    fn take_back(&mut self, reference: Option<&str>, credit: &EventRef) {
        let Some(known) = reference.and_then(|reference| self.references.get_mut(reference)) else { return };
        known.credits.retain(|open| open != credit);
        if known.credits.is_empty() && known.suspended == 0 {
            // Nothing of it is on a balance or in suspense any more: it never came.
            let never_came = known.confirmed.take().unwrap_or_default();
            self.confirmed = self.confirmed.saturating_sub(never_came);
        }
        // A credit of the money that an import has is a duplicate, whichever others are taken back.
        let before = |stream: &EventRef| {
            let deposit = self.deposits.get(stream.stream.subject());
            deposit.into_iter().flat_map(|deposit| &deposit.credits).find(|found| found.event == *stream).is_some_and(
                |found| {
                    found.duplicate_of.as_ref().is_some_and(|of| self.imported.values().any(|has| has.event == *of))
                },
            )
        };
        if known.credits.iter().any(before) {
            return;
        }
        let standing = known.credits.first();
        for open in &known.credits {
            let deposit = self.deposits.get_mut(open.stream.subject());
            let credits = deposit.into_iter().flat_map(|deposit| &mut deposit.credits);
            for credit in credits.filter(|credit| credit.event == *open) {
                credit.duplicate_of = standing.filter(|standing| *standing != open).cloned();
            }
        }
    }

    /// Puts what a stream is about into suspense.
    fn suspend(&mut self, at: &Recorded, value: Amount) {
        let deposit = self.deposits.get_mut(at.stream.subject()).expect("check knew the deposit");
        deposit.suspended = Some(at.id);
        let named = deposit.reference.clone();
        if let Some(known) = named.as_ref().and_then(|named| self.references.get_mut(named)) {
            known.suspended += 1;
        }
        self.confirm(named.as_ref(), Some(value));
    }

    fn confirm(&mut self, reference: Option<&String>, fallback: Option<Amount>) {
        let Some(known) = reference.and_then(|reference| self.references.get_mut(reference)) else { return };
        if known.confirmed.is_some() {
            return;
        }
        let value = known.value.or(fallback).unwrap_or_default();
        // An observed value is bounded by nobody: a sum out of range shows as drift.
        let sum = self.confirmed.checked_add(value);
        known.confirmed = Some(sum.map_or(Amount::ZERO, |_| value));
        self.confirmed = sum.unwrap_or(self.confirmed);
    }
}

impl Projection for Deposits {
    type Event = DepositEvent;
    const NAME: &'static str = "deposits";

    fn check(&self, at: &Recorded, event: &DepositEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        let known = self.deposits.get(id);
        // One transaction has one name: under two spellings it would be two deposits.
        if let DepositEvent::DepositObserved { tx, .. } | DepositEvent::DepositCredited { tx, .. } = event {
            Rejection::same("tx", &tx.as_str().to_ascii_lowercase().as_str(), &tx.as_str())?;
        }
        match event {
            DepositEvent::CreditImported { chain, tx, .. } => {
                Rejection::same("stream", &format!("{chain}:{tx}:imported").as_str(), &id)?;
                if self.imported.contains_key(&format!("{chain}:{tx}")) {
                    return Err(Rejection::exists("imported transaction", tx));
                }
                Ok(())
            }
            // What is seen is not final may be seen again: in another block, or more final.
            DepositEvent::DepositObserved { chain, tx, ordinal, .. } => match known {
                Some(Deposit { reference: Some(named), .. }) => {
                    Rejection::same("reference", named, &reference(*chain, tx, *ordinal))
                }
                _ => Ok(()),
            },
            // The game may have credited without ever recording an observation: that is a fact about money, kept.
            DepositEvent::DepositCredited { chain, tx, ordinal, .. }
                if at.provenance == Provenance::Recovery
                    && self.standing_credit(&reference(*chain, tx, *ordinal)).is_some() =>
            {
                Err(Rejection::exists("credit of", reference(*chain, tx, *ordinal)))
            }
            // One log under two names is one deposit: what is in suspense is not credited beside that.
            DepositEvent::DepositCredited { chain, tx, ordinal, .. }
                if at.provenance == Provenance::Recovery
                    && self.is_suspended_elsewhere(&reference(*chain, tx, *ordinal), known) =>
            {
                Err(Rejection::exists("suspense of", reference(*chain, tx, *ordinal)))
            }
            DepositEvent::DepositDustRecorded { .. } | DepositEvent::DepositQuarantined { .. }
                if at.provenance == Provenance::Recovery
                    && known
                        .and_then(|known| known.reference.as_deref())
                        .is_some_and(|named| self.is_booked(named)) =>
            {
                Err(Rejection::exists("booking of", known.and_then(|known| known.reference.as_deref()).unwrap_or(id)))
            }
            DepositEvent::QuarantineReleased { .. }
                if at.provenance == Provenance::Recovery
                    && known.and_then(|deposit| self.standing_credit(deposit.reference.as_deref()?)).is_some() =>
            {
                Err(Rejection::exists("credit of", known.and_then(|known| known.reference.as_deref()).unwrap_or(id)))
            }
            DepositEvent::DepositCredited { chain, tx, ordinal, amount, dust, .. } => match known {
                Some(deposit) => {
                    if let Some(named) = &deposit.reference {
                        Rejection::same("reference", named, &reference(*chain, tx, *ordinal))?;
                    }
                    if deposit.suspended.is_some() || deposit.phase == DepositPhase::Rejected {
                        return Err(Rejection::state(format_args!("deposit {id}"), deposit.phase, "observed"));
                    }
                    match deposit.value {
                        Some(value) => {
                            Rejection::same("credit", &value, &amount.checked_add(*dust).unwrap_or_default())
                        }
                        None => Ok(()),
                    }
                }
                None => Ok(()),
            },
            _ => {
                let Some(deposit) = known else { return Err(Rejection::unknown("deposit", id)) };
                check_known(id, deposit, event)
            }
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &DepositEvent) {
        if let DepositEvent::CreditImported { chain, tx, value, standing, .. } = event {
            let imported = Imported { value: *value, standing: *standing, event: EventRef::of(at) };
            self.imported.insert(format!("{chain}:{tx}"), imported);
            return;
        }
        let before = match event {
            DepositEvent::DepositCredited { chain, tx, ordinal, amount, dust, .. } => {
                let worth = amount.checked_add(*dust).unwrap_or_default();
                self.credited_before(&reference(*chain, tx, *ordinal), worth).cloned()
            }
            _ => None,
        };
        let deposit = self.deposits.entry(at.stream.subject().to_owned()).or_insert_with(|| Deposit {
            reference: None,
            value: None,
            block: None,
            finality: None,
            player: None,
            method: None,
            phase: DepositPhase::Observed,
            suspended: None,
            undone: None,
            credits: Vec::new(),
        });
        match event {
            DepositEvent::DepositObserved { chain, tx, ordinal, value, finality, block, block_hash, .. } => {
                deposit.block = Some(BlockId { number: *block, hash: block_hash.clone() });
                let named = reference(*chain, tx, *ordinal);
                deposit.value = Some(*value);
                deposit.finality = Some(*finality);
                let reopened = at.provenance == Provenance::Recovery && deposit.phase == DepositPhase::Rejected;
                if reopened || matches!(deposit.phase, DepositPhase::Reorged | DepositPhase::Replaced) {
                    deposit.phase = DepositPhase::Observed;
                }
                let known = self.references.entry(named.clone()).or_default();
                known.value = Some(*value);
                // What was credited before anybody had observed it came in all the same, but not what an import brought in.
                let imported = named.rsplit_once(':').is_some_and(|(tx, _)| self.imported.contains_key(tx));
                let credited = *finality == Finality::Finalized && !known.credits.is_empty() && !imported;
                deposit.reference = Some(named.clone());
                if credited {
                    self.confirm(Some(&named), None);
                }
            }
            DepositEvent::DepositAttributed { player, method } => {
                deposit.player = Some(player.clone());
                deposit.method = Some(method.clone());
                if deposit.phase == DepositPhase::Observed {
                    deposit.phase = DepositPhase::Attributed;
                }
            }
            DepositEvent::DepositCredited { chain, tx, ordinal, player, amount, dust } => {
                let named = reference(*chain, tx, *ordinal);
                let known = self.references.entry(named.clone()).or_default();
                let first = known.credits.first().cloned();
                deposit.credits.push(Credit {
                    player: player.clone(),
                    amount: *amount,
                    dust: *dust,
                    event: EventRef::of(at),
                    duplicate_of: first.or_else(|| before.clone()),
                    debited: false,
                    moved_by: None,
                    by_recovery: at.provenance == Provenance::Recovery,
                });
                known.credits.push(EventRef::of(at));
                deposit.phase = DepositPhase::Credited;
                deposit.player = Some(player.clone());
                deposit.reference = Some(named.clone());
                // A credit nobody observed confirms nothing: conservation shows it as drift.
                // Nor does one of money that an import has brought in.
                if known.value.is_some() && before.is_none() {
                    self.confirm(Some(&named), None);
                }
            }
            DepositEvent::DepositDustRecorded { value } => {
                deposit.phase = DepositPhase::Dust;
                self.suspend(at, *value);
            }
            DepositEvent::DepositQuarantined { value, .. } => {
                deposit.phase = DepositPhase::Quarantined;
                self.suspend(at, *value);
            }
            DepositEvent::QuarantineReleased { player, amount, dust, .. } => {
                deposit.phase = DepositPhase::Credited;
                deposit.suspended = None;
                deposit.player = Some(player.clone());
                let mut credit = Credit {
                    player: player.clone(),
                    amount: *amount,
                    dust: *dust,
                    event: EventRef::of(at),
                    duplicate_of: None,
                    debited: false,
                    moved_by: None,
                    by_recovery: at.provenance == Provenance::Recovery,
                };
                if let Some(known) = deposit.reference.as_ref().and_then(|named| self.references.get_mut(named)) {
                    credit.duplicate_of = known.credits.first().cloned();
                    known.credits.push(EventRef::of(at));
                    known.suspended = known.suspended.saturating_sub(1);
                }
                deposit.credits.push(credit);
            }
            DepositEvent::SuspenseReversed { reason, .. } => {
                deposit.undone = Some((at.id, reason.as_str() == GONE));
                deposit.phase = DepositPhase::Observed;
                deposit.suspended = None;
                let named = deposit.reference.clone();
                if let Some(known) = named.as_ref().and_then(|named| self.references.get_mut(named)) {
                    known.suspended = known.suspended.saturating_sub(1);
                    if known.credits.is_empty() && known.suspended == 0 {
                        let never_came = known.confirmed.take().unwrap_or_default();
                        self.confirmed = self.confirmed.saturating_sub(never_came);
                    }
                }
            }
            DepositEvent::CreditImported { .. } => {}
            DepositEvent::DepositReplaced { .. } => deposit.phase = DepositPhase::Replaced,
            DepositEvent::DepositReorged { .. } => {
                deposit.phase = DepositPhase::Reorged;
                deposit.block = None;
            }
            DepositEvent::DepositRejected { .. } => deposit.phase = DepositPhase::Rejected,
            DepositEvent::DepositDebited { corrects, reason, .. } => {
                deposit.undone = Some((at.id, reason.as_str() == GONE));
                let credit = deposit.credits.iter_mut().find(|credit| credit.event.id == *corrects);
                let credit = credit.expect("check found the credit");
                credit.debited = true;
                let taken_back = credit.event.clone();
                if deposit.credits.iter().all(|credit| credit.debited) {
                    deposit.phase = DepositPhase::Debited;
                }
                let named = deposit.reference.clone();
                self.take_back(named.as_deref(), &taken_back);
            }
            DepositEvent::AttributionCorrected { to, corrects, .. } => {
                deposit.player = Some(to.clone());
                if let Some(credit) = deposit.credits.iter_mut().find(|credit| credit.event.id == *corrects) {
                    credit.player = to.clone();
                    credit.by_recovery = at.provenance == Provenance::Recovery;
                    credit.moved_by = Some(at.id);
                }
            }
        }
    }
}

fn check_known(id: &str, deposit: &Deposit, event: &DepositEvent) -> Result<(), Rejection> {
    let uncredited = || match deposit.phase {
        DepositPhase::Observed | DepositPhase::Attributed | DepositPhase::Reorged | DepositPhase::Replaced => Ok(()),
        phase => Err(Rejection::state(format_args!("deposit {id}"), phase, "observed")),
    };
    match event {
        DepositEvent::DepositObserved { .. }
        | DepositEvent::DepositCredited { .. }
        | DepositEvent::CreditImported { .. } => Ok(()),
        DepositEvent::DepositAttributed { .. }
        | DepositEvent::DepositRejected { .. }
        | DepositEvent::DepositReplaced { .. }
        | DepositEvent::DepositReorged { .. } => uncredited(),
        DepositEvent::QuarantineReleased { amount, dust, corrects, .. } => {
            if deposit.suspended != Some(*corrects) {
                return Err(Rejection::state(format_args!("deposit {id}"), deposit.phase, "in suspense by that event"));
            }
            let value = amount.checked_add(*dust).unwrap_or_default();
            Rejection::same("value", &deposit.value.unwrap_or_default(), &value)
        }
        DepositEvent::SuspenseReversed { value, corrects, .. } => {
            if deposit.suspended != Some(*corrects) {
                return Err(Rejection::state(format_args!("deposit {id}"), deposit.phase, "in suspense by that event"));
            }
            Rejection::same("value", &deposit.value.unwrap_or_default(), value)
        }
        DepositEvent::DepositDustRecorded { value } | DepositEvent::DepositQuarantined { value, .. } => {
            uncredited()?;
            Rejection::same("value", &deposit.value.unwrap_or_default(), value)
        }
        DepositEvent::DepositDebited { player, amount, dust, corrects, .. } => {
            let credit = open_credit(deposit, *corrects)?;
            Rejection::same("player", &credit.player, player)?;
            Rejection::same("amount", &credit.amount, amount)?;
            Rejection::same("dust", &credit.dust, dust)
        }
        DepositEvent::AttributionCorrected { from, amount, corrects, .. } => {
            let credit = open_credit(deposit, *corrects)?;
            Rejection::same("from", &credit.player, from)?;
            Rejection::same("amount", &credit.amount, amount)
        }
    }
}

fn open_credit(deposit: &Deposit, corrects: EventId) -> Result<&Credit, Rejection> {
    match deposit.credits.iter().find(|credit| credit.event.id == corrects) {
        None => Err(Rejection::unknown("credit", corrects)),
        Some(credit) if credit.debited => Err(Rejection::exists("debit of credit", corrects)),
        Some(credit) => Ok(credit),
    }
}
