//! Looks on while the log is folded and notes what the tables need and the folds have no use for: when rows came into
//! being, which event last wrote which part of a row, experience that carries over, the last three spells of a side.

use smol_str::SmolStr;
use wox_events::{
    Amount, BurnEvent, DepositEvent, DuelEvent, Event, Label, Name, OpsEvent, PlayerEvent, PlayerId, Position,
    Recorded, Timestamp, TxHash, WithdrawalEvent,
};
use wox_projections::{Account, Posting, Replay, postings::postings};

use super::{Index, image::key_form, spec::Table};
use crate::replay::Watch;

/// How many spells a combo remembers (domain.md, "Duels").
const COMBO_SPELLS: usize = 3;

/// Everything that was noted, by subject. The maps are looked into, never walked through: their order means nothing.
#[derive(Debug, Default)]
pub struct Scribe {
    players: Index<PlayerId, PlayerNotes>,
    duels: Index<String, DuelNotes>,
    withdrawals: Index<String, WithdrawalNotes>,
    burns: Index<String, BurnNotes>,
    deposits: Index<String, DepositNotes>,
    moved: Position,
    imports: Index<String, ImportNotes>,
    left_out: Index<(Table, SmolStr), String>,
    applied: u64,
    level: Option<u8>,
    moves: Vec<Posting>,
}

/// What was noted of a player.
#[derive(Clone, Debug, Default)]
pub struct PlayerNotes {
    /// When the player joined: the time of the event that says so, or what the imported table said.
    pub created: Option<Timestamp>,
    /// False when the player was taken over from a table whose spells the log cannot hold.
    pub spells_known: bool,
    /// False when the player was taken over from a table whose titles the log cannot hold.
    pub titles_known: bool,
    /// Hit points in the imported table.
    pub hp: Option<i32>,
    /// Potions in the imported table, its JSON text.
    pub potions: Option<Box<str>>,
    /// Experience that carries over; `None` once it cannot be told.
    pub xp: Option<u32>,
    /// The event that last wrote each part.
    pub last: PlayerWrites,
}

/// Positions of the events that last wrote the parts of a player's row.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlayerWrites {
    /// The row itself.
    pub made: Position,
    /// The handle.
    pub handle: Position,
    /// The wizard's name.
    pub name: Position,
    /// Level and experience.
    pub level: Position,
    /// The bonus balance.
    pub bonus: Position,
    /// The withdrawable balance.
    pub withdrawable: Position,
    /// Wins.
    pub wins: Position,
    /// Losses.
    pub losses: Position,
    /// Spells.
    pub spells: Position,
    /// Titles.
    pub titles: Position,
}

/// What was noted of a duel.
#[derive(Clone, Debug, Default)]
pub struct DuelNotes {
    /// When it was accepted; a challenge has no row.
    pub accepted: Option<Timestamp>,
    /// The event that opened it.
    pub made: Position,
    /// The event that last changed where it stands.
    pub status: Position,
    /// The last turn.
    pub turn: Position,
    /// The last spells of challenger and opponent, oldest first, while it runs.
    pub combo: [Vec<Name>; 2],
    /// True when it was taken over from a table whose last spells the log cannot hold.
    pub combo_unknown: bool,
    /// True while its hit points are those of a table it was taken over from, and no number that can be.
    pub hp_unknown: bool,
}

/// What was noted of a withdrawal.
#[derive(Clone, Debug, Default)]
pub struct WithdrawalNotes {
    /// When it was asked for.
    pub requested: Option<Timestamp>,
    /// What the imported table said, until something else happens to it.
    pub taken_over: Option<TakenOver>,
    /// The payment that was last seen in a block.
    pub mined: Option<(TxHash, u64)>,
    /// The payment that settled it.
    pub settled: Option<TxHash>,
    /// The last event.
    pub last: Position,
}

/// What the table said of a withdrawal that was imported.
#[derive(Clone, Debug)]
pub struct TakenOver {
    /// Both shares of the fee together.
    pub fee: Option<Amount>,
    /// When it was over.
    pub completed: Option<Timestamp>,
    /// Its payment, where it is a transaction hash.
    pub tx: Option<TxHash>,
    /// The block of its payment.
    pub block: Option<u64>,
}

/// What was noted of a burn.
#[derive(Clone, Copy, Debug, Default)]
pub struct BurnNotes {
    /// When it was scheduled.
    pub scheduled: Option<Timestamp>,
    /// The last event.
    pub last: Position,
}

/// What the imported table said of a transaction.
#[derive(Clone, Debug)]
pub struct ImportNotes {
    /// Its block.
    pub block: Option<u64>,
    /// The sender.
    pub from: Option<Label>,
    /// The recipient.
    pub to: Option<Label>,
    /// When it was dealt with.
    pub processed: Option<Timestamp>,
}

/// What was noted of a deposit.
#[derive(Clone, Debug, Default)]
pub struct DepositNotes {
    /// Sender and recipient in the log.
    pub parties: Option<(Label, Label)>,
    /// When it was first credited.
    pub credited: Option<Timestamp>,
    /// The last event.
    pub last: Position,
}

impl Scribe {
    /// The last event that can have moved a row. What recovery and operations write about themselves moves none, so the
    /// tables stay as they are while it is written down that somebody looked at them.
    #[must_use]
    pub fn moved(&self) -> Position {
        self.moved
    }

    /// What was noted of a player.
    #[must_use]
    pub fn player(&self, player: &str) -> Option<&PlayerNotes> {
        self.players.get(player)
    }

    /// What was noted of a duel.
    #[must_use]
    pub fn duel(&self, duel: &str) -> Option<&DuelNotes> {
        self.duels.get(duel)
    }

    /// What was noted of a withdrawal.
    #[must_use]
    pub fn withdrawal(&self, withdrawal: &str) -> Option<&WithdrawalNotes> {
        self.withdrawals.get(withdrawal)
    }

    /// What was noted of a burn.
    #[must_use]
    pub fn burn(&self, withdrawal: &str) -> Option<&BurnNotes> {
        self.burns.get(withdrawal)
    }

    /// What was noted of a deposit, by the subject of its stream.
    #[must_use]
    pub fn deposit(&self, deposit: &str) -> Option<&DepositNotes> {
        self.deposits.get(deposit)
    }

    /// What the imported table said of a transaction, by the subject of its stream.
    #[must_use]
    pub fn import(&self, deposit: &str) -> Option<&ImportNotes> {
        self.imports.get(deposit)
    }

    /// Why the import left a row of the tables out, when it did: the log has no word on it.
    #[must_use]
    pub fn left_out(&self, table: Table, key: &str) -> Option<&str> {
        self.left_out.get(&(table, SmolStr::new(key_form(key)))).map(String::as_str)
    }

    fn note_money(&mut self, at: Position) {
        for posting in std::mem::take(&mut self.moves) {
            for account in [&posting.from, &posting.to] {
                match account {
                    Account::Bonus(player) => {
                        if let Some(notes) = self.players.get_mut(player) {
                            notes.last.bonus = at;
                        }
                    }
                    Account::Withdrawable(player) => {
                        if let Some(notes) = self.players.get_mut(player) {
                            notes.last.withdrawable = at;
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn note_player(&mut self, at: &Recorded, event: &PlayerEvent) {
        let position = at.position;
        let made = match event {
            PlayerEvent::PlayerCreated { .. } => Some(PlayerNotes {
                created: Some(at.time),
                spells_known: true,
                titles_known: true,
                xp: Some(0),
                ..PlayerNotes::default()
            }),
            PlayerEvent::StateImported { xp, spells, titles, hp, potions, created_at, .. } => Some(PlayerNotes {
                created: *created_at,
                spells_known: spells.is_some(),
                titles_known: titles.is_some(),
                hp: *hp,
                potions: potions.as_deref().map(Into::into),
                xp: Some(*xp),
                ..PlayerNotes::default()
            }),
            _ => None,
        };
        if let Some(made) = made {
            let last = PlayerWrites {
                made: position,
                handle: position,
                name: position,
                level: position,
                bonus: position,
                withdrawable: position,
                wins: position,
                losses: position,
                spells: position,
                titles: position,
            };
            if let Ok(id) = PlayerId::new(at.stream.subject()) {
                self.players.insert(id, PlayerNotes { last, ..made });
            }
            return;
        }
        let Some(notes) = self.players.get_mut(at.stream.subject()) else { return };
        match event {
            PlayerEvent::HandleChanged { .. } => notes.last.handle = position,
            PlayerEvent::PlayerRenamed { .. } => notes.last.name = position,
            PlayerEvent::ExperienceGained { xp, level, .. } => {
                notes.last.level = position;
                notes.xp = carried_over(notes.xp, *xp, self.level.unwrap_or(*level), *level);
            }
            PlayerEvent::SpellLearned { .. } => notes.last.spells = position,
            PlayerEvent::TitleAwarded { .. } => notes.last.titles = position,
            _ => {}
        }
    }

    fn note_duel(&mut self, at: &Recorded, event: &DuelEvent, state: &Replay) {
        let subject = at.stream.subject();
        if let DuelEvent::ChallengeIssued { .. } = event {
            let notes = DuelNotes { made: at.position, status: at.position, turn: at.position, ..DuelNotes::default() };
            self.duels.insert(subject.to_owned(), notes);
            return;
        }
        if let DuelEvent::DuelImported {
            challenger_spells,
            opponent_spells,
            challenger_hp,
            opponent_hp,
            created_at,
            ..
        } = event
        {
            let notes = DuelNotes {
                accepted: Some(created_at.unwrap_or(at.time)),
                made: at.position,
                status: at.position,
                turn: at.position,
                combo_unknown: challenger_spells.is_none() || opponent_spells.is_none(),
                hp_unknown: challenger_hp.is_none() || opponent_hp.is_none(),
                combo: [challenger_spells, opponent_spells].map(|spells| spells.clone().unwrap_or_default()),
            };
            self.duels.insert(subject.to_owned(), notes);
            return;
        }
        let Some(notes) = self.duels.get_mut(subject) else { return };
        match event {
            DuelEvent::ChallengeAccepted { .. } => {
                notes.accepted = Some(at.time);
                (notes.status, notes.turn) = (at.position, at.position);
            }
            DuelEvent::SpellCast { player, spell, .. } => {
                notes.turn = at.position;
                notes.hp_unknown = false;
                let side = state.state.duels.get(subject).is_some_and(|duel| duel.opponent == *player);
                let combo = &mut notes.combo[usize::from(side)];
                if combo.len() == COMBO_SPELLS {
                    combo.remove(0);
                }
                combo.push(spell.clone());
            }
            DuelEvent::PotionUsed { .. } | DuelEvent::TurnMissed { .. } | DuelEvent::DuelResumed { .. } => {
                notes.turn = at.position;
                notes.hp_unknown &= !matches!(event, DuelEvent::PotionUsed { .. });
            }
            DuelEvent::DuelEnded { winner, loser, .. } => {
                notes.status = at.position;
                notes.combo = Default::default();
                if let Some(notes) = self.players.get_mut(winner) {
                    notes.last.wins = at.position;
                }
                if let Some(notes) = self.players.get_mut(loser) {
                    notes.last.losses = at.position;
                }
            }
            DuelEvent::DuelVoided { .. } | DuelEvent::ChallengeDeclined {} | DuelEvent::ChallengeExpired {} => {
                notes.status = at.position;
                notes.combo = Default::default();
            }
            _ => {}
        }
    }

    fn note_withdrawal(&mut self, at: &Recorded, event: &WithdrawalEvent) {
        let notes = self.withdrawals.entry(at.stream.subject().to_owned()).or_default();
        notes.last = at.position;
        notes.taken_over = None;
        match event {
            WithdrawalEvent::WithdrawalRequested { .. } => notes.requested = Some(at.time),
            WithdrawalEvent::WithdrawalImported {
                pool_share,
                burn_share,
                requested_at,
                completed_at,
                tx,
                block,
                ..
            } => {
                notes.requested = *requested_at;
                notes.taken_over = Some(TakenOver {
                    fee: pool_share.checked_add(*burn_share),
                    completed: *completed_at,
                    tx: tx.clone(),
                    block: *block,
                });
            }
            WithdrawalEvent::TxMined { tx, block, .. } => notes.mined = Some((tx.clone(), *block)),
            WithdrawalEvent::WithdrawalSettled { tx, .. } => notes.settled = Some(tx.clone()),
            _ => {}
        }
    }

    fn note_deposit(&mut self, at: &Recorded, event: &DepositEvent) {
        if let DepositEvent::CreditImported { block, from, to, processed_at, .. } = event {
            let notes = ImportNotes { block: *block, from: from.clone(), to: to.clone(), processed: *processed_at };
            self.imports.insert(at.stream.subject().to_owned(), notes);
            return;
        }
        let notes = self.deposits.entry(at.stream.subject().to_owned()).or_default();
        notes.last = at.position;
        match event {
            DepositEvent::DepositObserved { from, to, .. } => notes.parties = Some((from.clone(), to.clone())),
            DepositEvent::DepositCredited { .. } | DepositEvent::QuarantineReleased { .. } => {
                notes.credited.get_or_insert(at.time);
            }
            _ => {}
        }
    }
}

/// What is left of experience when a level is reached: level L takes 100 x L (domain.md, "Players"). `None` when the
/// levels of the events and their experience do not go together.
fn carried_over(before: Option<u32>, gained: u32, from: u8, to: u8) -> Option<u32> {
    let taken: u32 = (from..to).map(|level| 100 * u32::from(level)).sum();
    before?.checked_add(gained)?.checked_sub(taken)
}

/// Records of recovery and operations, but for the decision to leave an event or a row out. What cannot be read may be
/// anything.
fn moves_nothing(event: &Recorded) -> bool {
    match &event.event {
        Ok(Event::Ops(OpsEvent::EventWaived { .. } | OpsEvent::GenesisRowLeftOut { .. })) | Err(_) => false,
        Ok(event) => matches!(event, Event::Ops(_) | Event::Recovery(_)),
    }
}

impl Watch for Scribe {
    fn before(&mut self, state: &Replay, event: &Recorded) {
        self.applied = state.accounting.applied;
        self.moves.clear();
        if !moves_nothing(event) {
            self.moved = event.position;
        }
        let Ok(decoded) = &event.event else { return };
        match decoded {
            Event::Player(PlayerEvent::ExperienceGained { .. }) => {
                self.level = state.state.players.get(event.stream.subject()).map(|player| player.level);
            }
            Event::Agent(_) | Event::Command(_) | Event::Recovery(_) | Event::Ops(_) | Event::Chain(_) => {}
            Event::Pool(_) | Event::Burn(_) => {}
            _ => self.moves = postings(&event.stream, decoded, &state.state).unwrap_or_default(),
        }
    }

    fn after(&mut self, state: &Replay, event: &Recorded) {
        let Ok(decoded) = &event.event else { return };
        if state.accounting.applied == self.applied {
            return; // refused or left out
        }
        match decoded {
            Event::Player(decoded) => self.note_player(event, decoded),
            Event::Duel(decoded) => self.note_duel(event, decoded, state),
            Event::Withdrawal(decoded) => self.note_withdrawal(event, decoded),
            Event::Burn(decoded) => {
                let notes = self.burns.entry(event.stream.subject().to_owned()).or_default();
                notes.last = event.position;
                match decoded {
                    BurnEvent::BurnScheduled { .. } => notes.scheduled = Some(event.time),
                    BurnEvent::BurnImported { scheduled_at, .. } => notes.scheduled = *scheduled_at,
                    _ => {}
                }
            }
            Event::Deposit(decoded) => self.note_deposit(event, decoded),
            Event::Ops(OpsEvent::GenesisRowLeftOut { table, key, reason }) => {
                if let Ok(table) = table.as_str().parse() {
                    self.left_out.insert((table, SmolStr::new(key_form(key))), reason.clone());
                }
            }
            _ => {}
        }
        self.note_money(event.position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experience_carries_over() {
        assert_eq!(carried_over(Some(90), 20, 1, 1), Some(110));
        assert_eq!(carried_over(Some(90), 20, 1, 2), Some(10));
        assert_eq!(carried_over(Some(0), 350, 1, 3), Some(50));
        assert_eq!(carried_over(Some(0), 5, 1, 2), None);
        assert_eq!(carried_over(None, 5, 1, 1), None);
    }
}
