//! Players by the handle they have on X, for the verbs that take one.

use wox_events::{Handle, PlayerId};
use wox_projections::Replay;

use crate::{
    cli::{CliError, spelling},
    command,
};

/// Who has a handle. `verb` is whose command is suggested where somebody only had it once.
pub(super) fn owner(handle: &str, replay: &Replay, verb: &str) -> Result<PlayerId, CliError> {
    let players = &replay.state.players;
    // The game may have stored handles with their `@` or without; people type one either way.
    let bare = |known: &Handle| known.as_str().trim_start_matches('@').to_owned();
    let handle = handle.trim_start_matches('@');
    if let Some((id, _)) = players.iter().find(|(_, player)| bare(&player.handle) == handle) {
        return Ok(id.clone());
    }
    let error = CliError::usage("wox::player::handle", format!("nobody has the handle @{handle}"));
    let former = players.iter().find(|(_, player)| player.former_handles.iter().any(|old| bare(old) == handle));
    if let Some((id, player)) = former {
        return Err(error.next(format!(
            "player {id} had it and is @{} now: {}",
            bare(&player.handle),
            command::wox([verb, "player", id.as_str()])
        )));
    }
    let known: Vec<_> = players.iter().map(|(_, player)| bare(&player.handle)).collect();
    let near = spelling::nearest(handle, known.iter().map(String::as_str));
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `@{near}`?")));
    Err(error.next("wox state players lists all players with their handles"))
}
