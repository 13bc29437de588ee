//! Players: who they are and what the game grants them (streams `player-<platform user id>`).
//! The handle is an attribute with history, the user id is the key (row E4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, Digest, EventId, Handle, Split, Timestamp,
    id::{Label, Name},
};

/// Players: who they are and what the game grants them (streams `player-<platform user id>`).
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::VariantNames, strum::IntoStaticStr,
)]
#[serde(deny_unknown_fields)]
pub enum PlayerEvent {
    /// A player joined and was granted the opening bonus.
    PlayerCreated {
        /// The handle at that moment.
        handle: Handle,
        /// The wizard's name, 3 to 20 characters.
        name: Name,
        /// The house, for life.
        house: House,
        /// Granted to the bonus balance; 20 G under today's rules.
        bonus: Amount,
    },
    /// The platform says the same user now has another handle (row E4).
    HandleChanged {
        /// The platform's id of this change.
        change: Label,
        /// The handle until now.
        old: Handle,
        /// The handle from now on.
        new: Handle,
    },
    /// The player proved to hold this wallet: what it sends belongs to the player (R12, "bound sender").
    WalletBound {
        /// Its address, in lower case.
        wallet: Label,
        /// How it was proved: a signed message, the bank's answer, an operator.
        method: Label,
    },
    /// The wallet says nothing about the player any more.
    WalletUnbound {
        /// Its address, in lower case.
        wallet: Label,
        /// Why.
        reason: Label,
    },
    /// The player chose another wizard's name.
    PlayerRenamed {
        /// The name until now.
        old: Name,
        /// The name from now on.
        new: Name,
    },
    /// The game gave bonus Galleons: a quest, an event.
    BonusGranted {
        /// Granted to the bonus balance.
        amount: Amount,
        /// Why.
        reason: Label,
    },
    /// Operators gave bonus Galleons for a failure of the game (row R09).
    GoodwillGranted {
        /// Granted to the bonus balance.
        amount: Amount,
        /// Why.
        reason: Label,
        /// The event that made up for.
        corrects: EventId,
    },
    /// Experience points, and the level after them.
    ExperienceGained {
        /// Points gained.
        xp: u32,
        /// The level afterwards, 1 to 15.
        level: u8,
        /// A duel, a tournament, a quest.
        reason: Label,
    },
    /// A new spell at a new level.
    SpellLearned {
        /// The spell.
        spell: Name,
    },
    /// A title, for ever.
    TitleAwarded {
        /// The title.
        title: Name,
    },
    /// A potion was brewed; what it cost went to the prize pool.
    PotionBrewed {
        /// The potion.
        potion: Name,
        /// Taken from the player's balances.
        cost: Split,
    },
    /// The opening entry of a player taken over from the game's tables, unproven (row E5).
    StateImported {
        /// The handle in the table.
        handle: Handle,
        /// The bonus balance in the table.
        bonus: Amount,
        /// The withdrawable balance in the table.
        withdrawable: Amount,
        /// The level in the table.
        level: u8,
        /// The experience in the table.
        xp: u32,
        /// Duels won.
        wins: u32,
        /// Duels lost.
        losses: u32,
        /// The digest of the imported rows.
        table_digest: Digest,
        /// The wizard's name in the table, where the log can hold it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Name>,
        /// The house in the table.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        house: Option<House>,
        /// The spells in the table, in its order, where the log can hold them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spells: Option<Vec<Name>>,
        /// The titles in the table, in its order, where the log can hold them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        titles: Option<Vec<Name>>,
        /// Hit points in the table: no event moves them, a lost row gets them back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hp: Option<i32>,
        /// Potions as the table's JSON text: no event moves them, a lost row gets them back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        potions: Option<String>,
        /// When the table says the player joined.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    },
}

/// A house and its edge in a duel.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum House {
    /// +10 % accuracy.
    Ravenclaw,
    /// +5 HP.
    Gryffindor,
    /// +1 critical damage.
    Slytherin,
    /// +1 HP a turn.
    Hufflepuff,
}

impl PlayerEvent {
    /// True for the two kinds that bring a player into being.
    #[must_use]
    pub fn creates_player(&self) -> bool {
        matches!(self, PlayerEvent::PlayerCreated { .. } | PlayerEvent::StateImported { .. })
    }
}
