//! What rebuilds and reverts left beside the live tables: one whole copy each. The newest is what `--revert` puts back; the
//! others are nobody's but a person's, who may have looked at them or not.

use wox_events::Digest;

use strum::VariantArray as _;

use super::settle::tables_of;
use crate::{
    tables::Table,
    world::game_db::{
        GameDbError, Session,
        shadow::{OLD, UNDONE, old_name},
        switch::Control,
    },
};

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
    let mut all = session.tables_called(OLD).await?;
    all.extend(session.tables_called(UNDONE).await?);
    // What is called so and was not made by a rebuild is nobody's to drop.
    all.retain(|name| epoch_of(name, OLD).or(epoch_of(name, UNDONE)).is_some());
    let needed: Vec<String> = match last {
        Some(control) if control.phase == "reverted" => Vec::new(),
        // Of one that came to nothing later the control row still names the one before.
        Some(control) if control.last_switched().is_some() => {
            let old = control
                .last_switched()
                .into_iter()
                .flat_map(|last| tables_of(&last.tables).into_iter().map(move |table| old_name(last.epoch, table)));
            let old: Vec<String> = old.collect();
            // A table that was lost before cannot be put back, and the others not without it.
            if old.iter().all(|name| all.contains(name)) { old } else { Vec::new() }
        }
        // Nobody knows which of them belong together: the newest stay.
        _ => {
            let newest = all.iter().filter_map(|name| epoch_of(name, OLD)).max();
            all.iter().filter(|name| newest.is_some() && epoch_of(name, OLD) == newest).cloned().collect()
        }
    };
    let spare = all.into_iter().filter(|name| !needed.contains(name)).collect();
    Ok(Kept { spare, needed })
}

/// The number of the rebuild in the name of a table that one kept.
fn epoch_of(name: &str, prefix: &str) -> Option<u64> {
    let (epoch, table) = name.strip_prefix(prefix)?.split_once('_')?;
    let known = Table::VARIANTS.iter().any(|known| known.name() == table);
    epoch.parse().ok().filter(|_| known)
}
