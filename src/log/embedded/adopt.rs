//! An empty store takes over the id of another log, so that an import of that log is that log again, byte for byte.
//! Only a store without events can: the id is part of every leaf.

use std::path::Path;

use wox_events::{LogId, Position};

use super::{
    OpenError, Opened, connect, database_error, newest_mark, place::Place, read_watermark, watermark::WatermarkFile,
};

/// Gives an empty store the id `log`. A store that holds events is [`OpenError::Occupied`] and is not changed.
///
/// A crash in the middle leaves an empty store whose watermark names the old id; it is refused when it is opened, and
/// can be deleted: it holds nothing.
pub async fn adopt(path: impl AsRef<Path>, log: LogId) -> Result<(), OpenError> {
    let place = Place::new(path.as_ref());
    place.check()?;
    let _lock = place.lock()?;
    let (conn, meta) = connect(&place).await?;
    let mut opened = Opened::load(&place, conn, meta).await?;
    if opened.head.position != Position(0) {
        return Err(OpenError::Occupied { path: place.dir.clone() });
    }
    let reading = read_watermark(&place)?;
    newest_mark(&place, reading.newest)?;
    opened.meta.log = log;
    opened.meta.store(&mut opened.conn).await.map_err(|error| database_error(&place, error))?;
    let head = super::Head { log, ..opened.head };
    let written = WatermarkFile::open(&place.watermark, &reading).and_then(|mut file| file.write(&head));
    written.map_err(|error| OpenError::unavailable(&place.watermark, error))?;
    let _everything_is_committed = sqlx::Connection::close(opened.conn).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{EmbeddedLog, EventLog as _, embedded::Options};

    #[tokio::test]
    async fn an_empty_store_takes_over_an_id_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        EmbeddedLog::create(&store, Options::default()).await.unwrap().close().await;
        let id = LogId(uuid::Uuid::from_u128(7));
        adopt(&store, id).await.unwrap();
        let log = EmbeddedLog::open(&store).await.unwrap();
        assert_eq!(log.head().await.unwrap().log, id);
    }
}
