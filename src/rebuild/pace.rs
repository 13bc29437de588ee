//! How fast a rebuild may go: so many rows a second, not at all while the flag file is there, and no further once
//! somebody asked to stop.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::look::{LookError, RowProgress};

/// The flag file in the store: while it is there, rebuilds wait.
const PAUSE_FILE: &str = "rebuild.pause";
/// How often the flag file and the wish to stop are looked at while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The place of the flag file of a store.
#[must_use]
pub fn pause_file(store: &Path) -> PathBuf {
    store.join(PAUSE_FILE)
}

/// The pace of one rebuild.
#[derive(Debug)]
pub struct Pace<'a> {
    rows: &'a RowProgress,
    most: Option<NonZeroU32>,
    pause: PathBuf,
    since: Instant,
    counted: u64,
    waited: Duration,
    hurry: bool,
}

impl<'a> Pace<'a> {
    /// At most so many rows a second; `pause` is the flag file.
    #[must_use]
    pub fn new(rows: &'a RowProgress, most: Option<NonZeroU32>, pause: PathBuf) -> Pace<'a> {
        Pace { rows, most, pause, since: Instant::now(), counted: 0, waited: Duration::ZERO, hurry: false }
    }

    /// The counter behind it.
    #[must_use]
    pub fn rows(&self) -> &'a RowProgress {
        self.rows
    }

    /// From here on nothing waits: somebody else is waiting for us.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// How long the work took so far, without what it was made to wait.
    #[must_use]
    pub fn worked(&self) -> Duration {
        self.since.elapsed().saturating_sub(self.waited)
    }

    /// Counts rows; then waits as long as it has to.
    pub async fn step(&mut self, rows: u64) -> Result<(), LookError> {
        self.rows.go_on()?;
        // What is built once more in a hurry was counted when it was built.
        if self.hurry {
            return Ok(());
        }
        self.rows.add(rows);
        self.wait_for_flag().await?;
        self.counted += rows;
        let Some(most) = self.most else { return Ok(()) };
        let due = Duration::from_secs_f64(self.counted as f64 / f64::from(most.get()));
        while self.since.elapsed() < due {
            let left = due.saturating_sub(self.since.elapsed()).min(LOOK_EVERY);
            tokio::time::sleep(left).await;
            self.waited += left;
            self.rows.go_on()?;
        }
        Ok(())
    }

    async fn wait_for_flag(&mut self) -> Result<(), LookError> {
        let since = Instant::now();
        while self.pause.exists() {
            self.rows.pause(true);
            tokio::time::sleep(LOOK_EVERY).await;
            self.rows.go_on()?;
        }
        if self.rows.is_paused() {
            self.rows.pause(false);
            // Time in which nothing was allowed is not caught up afterwards.
            let paused = since.elapsed();
            self.since += paused;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_limit_is_kept_and_hurry_ends_it() {
        let rows = RowProgress::default();
        let dir = tempfile::tempdir().unwrap();
        let mut pace = Pace::new(&rows, NonZeroU32::new(1_000), pause_file(dir.path()));
        let since = Instant::now();
        for _ in 0..3 {
            pace.step(100).await.unwrap();
        }
        assert!(since.elapsed() >= Duration::from_millis(295) && rows.done() == 300);
        assert!(pace.worked() < Duration::from_millis(200), "waiting is no work");
        pace.hurry();
        pace.step(1_000_000).await.unwrap();
        assert!(since.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn the_flag_file_pauses_and_a_wish_to_stop_ends_the_pause() {
        let rows = RowProgress::default();
        let dir = tempfile::tempdir().unwrap();
        let flag = pause_file(dir.path());
        std::fs::write(&flag, "").unwrap();
        let mut pace = Pace::new(&rows, None, flag.clone());
        let remove = async {
            tokio::time::sleep(Duration::from_millis(120)).await;
            assert!(rows.is_paused());
            std::fs::remove_file(&flag).unwrap();
        };
        let (stepped, ()) = tokio::join!(pace.step(1), remove);
        stepped.unwrap();
        assert!(!rows.is_paused());
        std::fs::write(&flag, "").unwrap();
        let stop = async { rows.stop() };
        let (stepped, ()) = tokio::join!(pace.step(1), stop);
        assert!(matches!(stepped, Err(LookError::Interrupted)));
    }
}
