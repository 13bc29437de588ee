//! The directory of a store and what may stand in it. Everything is looked at before it is opened: opening a FIFO would
//! wait for ever, following a symbolic link would write somewhere else.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    OpenError,
    sqlite_file::{self, BrokenPage},
};
use crate::log::ReadError;

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) database: Arc<PathBuf>,
    pub(crate) watermark: PathBuf,
    lock: PathBuf,
}

impl Place {
    pub(crate) fn new(dir: &Path) -> Place {
        Place {
            dir: dir.to_owned(),
            database: Arc::new(dir.join("log.sqlite")),
            watermark: dir.join("watermark"),
            lock: dir.join("lock"),
        }
    }

    /// Makes the directory, readable by its owner only. It may exist when it is empty.
    pub(crate) fn create(&self) -> Result<(), OpenError> {
        let unavailable = |source| OpenError::unavailable(&self.dir, source);
        match fs::symlink_metadata(&self.dir) {
            Ok(meta) if meta.is_dir() => {
                if fs::read_dir(&self.dir).map_err(unavailable)?.next().is_some() {
                    return Err(OpenError::Occupied { path: self.dir.clone() });
                }
                Ok(())
            }
            Ok(meta) => Err(OpenError::Unexpected { path: self.dir.clone(), found: kind(&meta) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().mode(0o700).create(&self.dir).map_err(unavailable)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Checks that what stands there can be a store.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        match fs::metadata(&self.dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) => return Err(OpenError::Unexpected { path: self.dir.clone(), found: kind(&meta) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Missing { path: self.dir.clone() });
            }
            Err(error) => return Err(OpenError::unavailable(&self.dir, error)),
        }
        if !regular(&self.database)? {
            return Err(OpenError::Missing { path: self.database.to_path_buf() });
        }
        for name in ["log.sqlite-wal", "log.sqlite-shm"] {
            regular(&self.dir.join(name))?;
        }
        regular(&self.lock)?;
        regular(&self.watermark).map(drop)
    }

    /// Takes the lock that only one writer holds; it is given back when the file is dropped or the process ends.
    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        let unavailable = |source| OpenError::unavailable(&self.lock, source);
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: self.dir.clone() }),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }

    /// Refuses a database whose end is missing: SQLite reads what is not there as zeros and would go on from that.
    pub(crate) fn check_whole(&self) -> Result<(), OpenError> {
        let missing = sqlite_file::first_missing_page(&self.database, &self.dir.join("log.sqlite-wal"));
        match missing.map_err(|error| OpenError::unavailable(&self.database, error))? {
            None => Ok(()),
            Some(BrokenPage { offset, what }) => Err(OpenError::Damaged(ReadError::Corrupt {
                file: self.database.to_path_buf(),
                offset: Some(offset),
                position: None,
                stream: None,
                what,
            })),
        }
    }

    /// Makes the names in the directory, and its own name, durable (R9).
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        let parent = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for dir in [self.dir.as_path(), parent] {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| OpenError::unavailable(dir, error))?;
        }
        Ok(())
    }
}

/// The lock of the one writer.
///
/// Given back explicitly: a process that another thread is just starting holds a copy of every open file until it runs
/// its program, and closing our copy alone would leave the lock with it for that moment.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _the_system_gives_it_back_when_the_process_ends = self.0.unlock();
    }
}

/// Whether a regular file stands there; anything else in its place is refused.
fn regular(path: &Path) -> Result<bool, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(true),
        Ok(meta) => Err(OpenError::Unexpected { path: path.to_owned(), found: kind(&meta) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::unavailable(path, error)),
    }
}

fn kind(meta: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = meta.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_file() {
        "a file"
    } else {
        "a device or socket"
    }
}
