//! What rebuilds and reverts left beside the live tables: one whole copy each. The newest is what `--revert` puts back; the
//! others are nobody's but a person's, who may have looked at them or not.

use wox_events::Digest;

use crate::world::game_db::{
    GameDbError, Session,
    shadow::{OLD, UNDONE, old_name},
    switch::Control,
};

use super::settle::tables_of;

/// The tables that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Those that no command needs any more.
    pub spare: Vec<String>,
    /// Those that a revert of the last rebuild puts back.
    pub needed: Vec<String>,
}

impl Kept {
    /// What a decision to drop the spare ones is bound to.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(format!("drop\n{}", self.spare.join("\n")).as_bytes())
    }
}

/// Looks which tables are kept, by what the control row says of the last rebuild.
pub async fn kept(session: &mut Session, last: Option<&Control>) -> Result<Kept, GameDbError> {
    // One that was cut off may turn out to have switched.
    let revertible = last.filter(|last| !["reverted", "given_up"].contains(&last.phase.as_str()));
    let needed: Vec<String> = revertible
        .into_iter()
        .flat_map(|last| tables_of(last).into_iter().map(|table| old_name(last.epoch, table)))
        .collect();
    let mut all = session.tables_called(OLD).await?;
    all.extend(session.tables_called(UNDONE).await?);
    let (needed, spare) = all.into_iter().partition(|name| needed.contains(name));
    Ok(Kept { spare, needed })
}
