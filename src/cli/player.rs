//! Players by the handle they have on X, for the verbs that take one.

use wox_events::PlayerId;
use wox_projections::Replay;

use crate::{
    cli::{CliError, spelling},
    command,
};

/// Who has a handle. `verb` is whose command is suggested where somebody only had it once.
pub(super) fn owner(handle: &str, replay: &Replay, verb: &str) -> Result<PlayerId, CliError> {
    let players = &replay.state.players;
    if let Some((id, _)) = players.iter().find(|(_, player)| player.handle.as_str() == handle) {
        return Ok(id.clone());
    }
    let error = CliError::usage("wox::player::handle", format!("nobody has the handle @{handle}"));
    let former = players.iter().find(|(_, player)| player.former_handles.iter().any(|old| old.as_str() == handle));
    if let Some((id, player)) = former {
        return Err(error.next(format!(
            "player {id} had it and is @{} now: {}",
            player.handle,
            command::wox([verb, "player", id.as_str()])
        )));
    }
    let near = spelling::nearest(handle, players.iter().map(|(_, player)| player.handle.as_str()));
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `@{near}`?")));
    Err(error.next("wox state players lists all players with their handles"))
}
