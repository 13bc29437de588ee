//! Snapshots: a folded state saved beside the log, so that the next replay starts there. Derived, so it can always be
//! deleted; bound to (log id, position, Merkle root, hash of the folds), so it is never read for another log, another
//! history or other code (mission.md M30, reliability.md B13). What does not fit is left out by name, never used.
//!
//! A snapshot is one line of JSON (the checkpoint) and the zstd-compressed state behind it.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use wox_events::{Digest, LogId, Position};
use wox_projections::{FOLD_HASH, Replay};

use crate::log::{EventLog, ReadError};

/// Where snapshots stand in a store; all of it can be made again.
pub(crate) const FOLDER: &str = "snapshots";
const SUFFIX: &str = "snapshot";
/// Older ones are removed: one to use, one in case the newest is damaged.
const KEPT: usize = 2;

/// What a snapshot is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which log.
    pub log: LogId,
    /// Up to where it was folded.
    pub position: Position,
    /// The Merkle root there.
    pub root: Digest,
    /// The code that folded it.
    pub folds: String,
    /// SHA-256 of the compressed state.
    pub body: Digest,
}

/// A snapshot that fits, and what was passed over on the way to it.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest that fits, if any.
    pub replay: Option<Replay>,
    /// The others that were looked at, with the reason.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// Why a snapshot could not be written: the replay it was made from is not lost by that.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot {} could not be written", path.display())]
pub struct SaveError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The newest snapshot in a store that fits this log, this code and a position.
pub async fn newest(store: &Path, log: &dyn EventLog, until: Position) -> Result<Found, ReadError> {
    let mut found = Found::default();
    for path in files(store) {
        match read(&path) {
            Err(why) => found.passed_over.push((path, why)),
            Ok((checkpoint, _)) if checkpoint.position > until => {}
            Ok((checkpoint, body)) => {
                let head = log.head().await?;
                let why = if checkpoint.log != head.log {
                    Some("it belongs to another log".to_owned())
                } else if checkpoint.folds != FOLD_HASH {
                    Some("it was folded by other code".to_owned())
                } else if log.root_at(checkpoint.position).await? != checkpoint.root {
                    Some("the log has another history up to there".to_owned())
                } else {
                    match unpack(&checkpoint, &body) {
                        Ok(replay) => {
                            tracing::debug!(position = replay.position.0, snapshot = %path.display(), "snapshot used");
                            found.replay = Some(replay);
                            return Ok(found);
                        }
                        Err(why) => Some(why),
                    }
                };
                found.passed_over.extend(why.map(|why| (path, why)));
            }
        }
    }
    Ok(found)
}

/// Saves a replay as a snapshot: written beside, synced, renamed, so that there is a whole one or none.
pub async fn save(store: &Path, log: &dyn EventLog, replay: &Replay) -> Result<Result<PathBuf, SaveError>, ReadError> {
    let head = log.head().await?;
    let root = log.root_at(replay.position).await?;
    let folder = store.join(FOLDER);
    let path = folder.join(format!("{:020}.{SUFFIX}", replay.position.0));
    Ok(write(&folder, &path, head.log, root, replay)
        .map(|()| path.clone())
        .map_err(|source| SaveError { path, source }))
}

fn write(folder: &Path, path: &Path, log: LogId, root: Digest, replay: &Replay) -> io::Result<()> {
    let mut body = zstd::Encoder::new(Vec::new(), 1)?;
    serde_json::to_writer(&mut body, replay)?;
    let body = body.finish()?;
    let checkpoint =
        Checkpoint { log, position: replay.position, root, folds: FOLD_HASH.into(), body: Digest::of(&body) };
    fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    serde_json::to_writer(&mut file, &checkpoint)?;
    file.write_all(b"\n")?;
    file.write_all(&body)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(folder)?.sync_all()?;
    for old in files(folder.parent().unwrap_or(folder)).into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// The snapshots of a store, newest first.
fn files(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(store.join(FOLDER)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == SUFFIX))
        .collect();
    files.sort();
    files.reverse();
    files
}

fn read(path: &Path) -> Result<(Checkpoint, Vec<u8>), String> {
    // A FIFO would keep the reader waiting for ever.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    let mut bytes = fs::read(path).map_err(|error| error.to_string())?;
    let line = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no checkpoint line")?;
    let checkpoint: Checkpoint =
        serde_json::from_slice(&bytes[..line]).map_err(|error| format!("its checkpoint: {error}"))?;
    // Only as it was written: an id in capitals means the same and is a changed byte all the same.
    if serde_json::to_vec(&checkpoint).map_err(|error| error.to_string())? != bytes[..line] {
        return Err("its checkpoint is not as it was written".into());
    }
    Ok((checkpoint, bytes.split_off(line + 1)))
}

fn unpack(checkpoint: &Checkpoint, body: &[u8]) -> Result<Replay, String> {
    if Digest::of(body) != checkpoint.body {
        return Err("its content does not match its digest".into());
    }
    let decoder = zstd::Decoder::new(body).map_err(|error| error.to_string())?;
    let replay: Replay = serde_json::from_reader(io::BufReader::new(decoder)).map_err(|error| error.to_string())?;
    if replay.position != checkpoint.position || !replay.accounting.is_complete() {
        return Err("its state is not the one of its checkpoint".into());
    }
    Ok(replay)
}
