//! Who plays: identity, house, experience, spells, wins and losses. Balances are the ledger's.

use serde::{Deserialize, Serialize};
use wox_events::{
    Amount, Handle, PlayerEvent, PlayerId, Position, Recorded,
    id::{Label, Name},
    player::House,
};

use crate::{
    Table,
    projection::{Projection, Rejection},
};

/// All players, in the order they joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Players {
    players: Table<PlayerId, Player>,
    /// Who proved to hold which wallet.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    wallets: Table<Label, Bound>,
    /// Who first held each wallet that was unbound once.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    held_before: Table<Label, PlayerId>,
    /// Everything the game granted, for conservation.
    granted: Amount,
    /// Everything taken over from the game's tables, for conservation.
    imported: Amount,
}

/// Who proved to hold a wallet, and since where the log says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bound {
    player: PlayerId,
    position: Position,
}

/// One player.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    /// The handle on X today.
    pub handle: Handle,
    /// Handles before it, oldest first.
    pub former_handles: Vec<Handle>,
    /// The wizard's name; unknown for an imported player whose name the log cannot hold.
    pub name: Option<Name>,
    /// The house; unknown for an imported player without one in the table.
    pub house: Option<House>,
    /// 1 to 15.
    pub level: u8,
    /// Experience gained in all.
    pub xp: u64,
    /// Duels won.
    pub wins: u32,
    /// Duels lost.
    pub losses: u32,
    /// Spells, in the order they were learned.
    pub spells: Vec<Name>,
    /// Titles, in the order they were awarded.
    pub titles: Vec<Name>,
    /// Potions brewed.
    pub potions: u32,
}

impl Players {
    /// The player who proved to hold a wallet.
    #[must_use]
    pub fn holder(&self, wallet: &Label) -> Option<&PlayerId> {
        self.wallets.get(wallet).map(|bound| &bound.player)
    }

    /// The same, with the place of the log since which it is so.
    #[must_use]
    pub fn holder_since(&self, wallet: &Label) -> Option<(&PlayerId, Position)> {
        self.wallets.get(wallet).map(|bound| (&bound.player, bound.position))
    }

    /// Whether another player held a wallet before who holds it now.
    #[must_use]
    pub fn changed_hands(&self, wallet: &Label) -> bool {
        let before = self.held_before.get(wallet);
        before.is_some_and(|before| self.holder(wallet).is_some_and(|holder| holder != before))
    }

    /// A player by id.
    #[must_use]
    pub fn get(&self, player: &str) -> Option<&Player> {
        self.players.get(player)
    }

    /// All players, in the order they joined.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&PlayerId, &Player)> {
        self.players.iter()
    }

    /// Everything the game granted.
    #[must_use]
    pub fn granted(&self) -> Amount {
        self.granted
    }

    /// Everything taken over from the game's tables.
    #[must_use]
    pub fn imported(&self) -> Amount {
        self.imported
    }

    /// Counts a decided duel.
    pub(crate) fn record_result(&mut self, winner: &PlayerId, loser: &PlayerId) {
        if let Some(player) = self.players.get_mut(winner) {
            // Saturating: an imported count may say anything, and no count stops a replay.
            player.wins = player.wins.saturating_add(1);
        }
        if let Some(player) = self.players.get_mut(loser) {
            player.losses = player.losses.saturating_add(1);
        }
    }
}

impl Projection for Players {
    type Event = PlayerEvent;
    const NAME: &'static str = "players";

    fn check(&self, at: &Recorded, event: &PlayerEvent) -> Result<(), Rejection> {
        let id = at.stream.subject();
        match (event, self.players.get(id)) {
            (PlayerEvent::PlayerCreated { .. } | PlayerEvent::StateImported { .. }, Some(_)) => {
                Err(Rejection::exists("player", id))
            }
            (PlayerEvent::PlayerCreated { .. } | PlayerEvent::StateImported { .. }, None) => Ok(()),
            (_, None) => Err(Rejection::unknown("player", id)),
            (PlayerEvent::HandleChanged { old, .. }, Some(player)) => Rejection::same("handle", &player.handle, old),
            (PlayerEvent::WalletBound { wallet, .. }, Some(_)) if self.wallets.contains_key(wallet) => {
                Err(Rejection::exists("wallet", wallet))
            }
            (PlayerEvent::WalletUnbound { wallet, .. }, Some(_)) => match self.wallets.get(wallet) {
                Some(bound) if bound.player.as_str() == id => Ok(()),
                _ => Err(Rejection::unknown("wallet", wallet)),
            },
            (PlayerEvent::PlayerRenamed { old, .. }, Some(player)) => match &player.name {
                Some(name) => Rejection::same("name", name, old),
                None => Ok(()),
            },
            (PlayerEvent::ExperienceGained { level, .. }, Some(player)) if *level < player.level => {
                Err(Rejection::Mismatch {
                    field: "level".into(),
                    expected: format!("{} or more", player.level),
                    got: level.to_string(),
                })
            }
            (_, Some(_)) => Ok(()),
        }
    }

    fn evolve(&mut self, at: &Recorded, event: &PlayerEvent) {
        const GRANTS: &str = "the ledger bounds everything that comes in";
        let Ok(id) = PlayerId::new(at.stream.subject()) else { return };
        match event {
            PlayerEvent::PlayerCreated { handle, name, house, bonus } => {
                self.granted = self.granted.checked_add(*bonus).expect(GRANTS);
                self.players.insert(
                    id,
                    Player {
                        handle: handle.clone(),
                        former_handles: Vec::new(),
                        name: Some(name.clone()),
                        house: Some(*house),
                        level: 1,
                        xp: 0,
                        wins: 0,
                        losses: 0,
                        spells: Vec::new(),
                        titles: Vec::new(),
                        potions: 0,
                    },
                );
                return;
            }
            PlayerEvent::StateImported {
                handle,
                bonus,
                withdrawable,
                level,
                xp,
                wins,
                losses,
                name,
                house,
                spells,
                titles,
                ..
            } => {
                let opening = bonus.checked_add(*withdrawable).expect(GRANTS);
                self.imported = self.imported.checked_add(opening).expect(GRANTS);
                self.players.insert(
                    id,
                    Player {
                        handle: handle.clone(),
                        former_handles: Vec::new(),
                        name: name.clone(),
                        house: *house,
                        level: *level,
                        xp: u64::from(*xp),
                        wins: *wins,
                        losses: *losses,
                        spells: spells.clone().unwrap_or_default(),
                        titles: titles.clone().unwrap_or_default(),
                        potions: 0,
                    },
                );
                return;
            }
            PlayerEvent::BonusGranted { amount, .. } | PlayerEvent::GoodwillGranted { amount, .. } => {
                self.granted = self.granted.checked_add(*amount).expect(GRANTS);
                return;
            }
            PlayerEvent::HandleChanged { .. }
            | PlayerEvent::WalletBound { .. }
            | PlayerEvent::WalletUnbound { .. }
            | PlayerEvent::PlayerRenamed { .. }
            | PlayerEvent::ExperienceGained { .. }
            | PlayerEvent::SpellLearned { .. }
            | PlayerEvent::TitleAwarded { .. }
            | PlayerEvent::PotionBrewed { .. } => {}
        }
        let player = self.players.get_mut(&id).expect("check knew the player");
        match event {
            PlayerEvent::HandleChanged { new, .. } => {
                player.former_handles.push(std::mem::replace(&mut player.handle, new.clone()));
            }
            PlayerEvent::WalletBound { wallet, .. } => {
                let bound = Bound { player: id, position: at.position };
                self.wallets.insert(wallet.clone(), bound);
            }
            PlayerEvent::WalletUnbound { wallet, .. } => {
                self.wallets.shift_remove(wallet);
                // Who held it first counts: hands that it went through twice are hands that it went through.
                self.held_before.entry(wallet.clone()).or_insert(id);
            }
            PlayerEvent::PlayerRenamed { new, .. } => player.name = Some(new.clone()),
            PlayerEvent::ExperienceGained { xp, level, .. } => {
                player.xp = player.xp.saturating_add(u64::from(*xp));
                player.level = *level;
            }
            PlayerEvent::SpellLearned { spell } => player.spells.push(spell.clone()),
            PlayerEvent::TitleAwarded { title } => player.titles.push(title.clone()),
            PlayerEvent::PotionBrewed { .. } => player.potions += 1,
            PlayerEvent::PlayerCreated { .. }
            | PlayerEvent::StateImported { .. }
            | PlayerEvent::BonusGranted { .. }
            | PlayerEvent::GoodwillGranted { .. } => {}
        }
    }
}
