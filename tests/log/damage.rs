//! Flipped bytes, cut files, old copies: noticed, or provably without effect; never a panic, never other data.

use std::{fs, path::Path};

use wox_events::{RawEvent, Revision};
use wox_recovery::log::{
    AppendError, AppendRequest, EmbeddedLog, EventLog, ReadError,
    embedded::{
        OpenError, declare_fork,
        verify::{CheckResult, VerifyReport, verify},
    },
};

use crate::helpers::{event, options, read_all, stream};

/// A closed store with three sealed pages and a tail.
async fn small_store(path: &Path, events: u64) -> Vec<RawEvent> {
    let log = EmbeddedLog::create(path, options(16)).await.unwrap();
    extend(&log, 0, events).await;
    let all = read_all(&log).await;
    log.close().await;
    all
}

async fn extend(log: &EmbeddedLog, from: u64, to: u64) {
    for number in from..to {
        log.append(request(number)).await.unwrap();
    }
}

fn request(number: u64) -> AppendRequest {
    AppendRequest {
        stream: stream(&format!("duel-{}", number % 4)),
        expected: Revision(number / 4),
        events: vec![event(u128::from(number), number)],
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Everything a reader can get, or the first error.
async fn try_read(path: &Path) -> Result<Vec<RawEvent>, String> {
    let log = EmbeddedLog::open_read_only(path).await.map_err(|error| error.to_string())?;
    let result = async {
        let until = log.head().await?.position;
        let mut chunks = log.chunks(wox_events::Position(0), until).await?;
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            chunk.decode()?;
            all.extend(chunk.raw()?);
        }
        for number in 0..4 {
            log.read_stream(&stream(&format!("duel-{number}"))).await?;
        }
        Ok(all)
    };
    let result: Result<_, ReadError> = result.await;
    log.close().await;
    result.map_err(|error| error.to_string())
}

async fn report(path: &Path) -> Option<VerifyReport> {
    verify(path, |_, _| ()).await.ok()
}

#[test]
fn every_flipped_byte_of_every_file_is_noticed_or_has_no_effect() {
    // In memory when the machine has such a directory: tens of thousands of small files are written.
    let base = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") };
    let dir = tempfile::tempdir_in(base).unwrap();
    let sound = dir.path().join("sound");
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let events = runtime().block_on(small_store(&sound, 60));
    let files: Vec<_> = ["log.sqlite", "watermark"].map(|name| (name, fs::read(sound.join(name)).unwrap())).into();
    let flips: Vec<(usize, usize)> =
        files.iter().enumerate().flat_map(|(file, (_, bytes))| (0..bytes.len()).map(move |at| (file, at))).collect();
    let (noticed, neutral) = (std::sync::atomic::AtomicUsize::new(0), std::sync::atomic::AtomicUsize::new(0));
    const THREADS: usize = 2;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (flips, files, events, sound) = (&flips, &files, &events, &sound);
            let (noticed, neutral) = (&noticed, &neutral);
            let store = dir.path().join(format!("damaged-{thread}"));
            scope.spawn(move || {
                runtime().block_on(async {
                    for (file, at) in flips.iter().skip(thread).step_by(THREADS) {
                        let _ = fs::remove_dir_all(&store);
                        copy(sound, &store);
                        let (name, bytes) = &files[*file];
                        let mut bytes = bytes.clone();
                        bytes[*at] ^= 1 << (at % 8);
                        fs::write(store.join(name), bytes).unwrap();
                        if report(&store).await.is_none_or(|report| !report.passed()) {
                            noticed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        } else {
                            neutral.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            match try_read(&store).await {
                                Ok(read) => assert!(read == *events, "{name} byte {at}: other events"),
                                Err(error) => panic!("{name} byte {at}: {error}, but verify passes"),
                            }
                        }
                    }
                });
            });
        }
    });
    let (noticed, neutral) = (noticed.into_inner(), neutral.into_inner());
    println!("{} bytes flipped: {noticed} noticed, {neutral} without effect", flips.len());
    assert_eq!(noticed + neutral, flips.len());
    assert!(noticed > flips.len() / 4);
}

#[tokio::test]
async fn a_flipped_byte_in_a_page_and_in_a_row_is_reported_with_file_offset_positions_and_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    small_store(&path, 60).await;
    let database = path.join("log.sqlite");
    let sound = fs::read(&database).unwrap();
    let sound_report = report(&path).await.unwrap();
    assert!(sound_report.passed(), "{sound_report:?}");
    assert_eq!(sound_report.events, 60);

    // A zstd frame begins with this magic number. SQLite may have left an old copy of a cell behind, so a flipped byte
    // without effect is passed over; every page that is damaged is named with its own positions.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let frames: Vec<usize> = (0..sound.len() - 4).filter(|at| sound[*at..*at + 4] == magic).collect();
    let mut damaged = Vec::new();
    for frame in &frames {
        let mut bytes = sound.clone();
        bytes[frame + 10] ^= 4;
        fs::write(&database, &bytes).unwrap();
        let Some(bad) = report(&path).await.unwrap().first_bad else { continue };
        let (first, last) = (bad.position.unwrap().0, bad.last_position.unwrap().0);
        damaged.push((first, last));
        assert_eq!((&bad.file, bad.offset), (&database, Some(*frame as u64)));
    }
    damaged.sort_unstable();
    assert_eq!(damaged, [(1, 16), (17, 32), (33, 48)]);

    let text = b"{\"content\":55}";
    let at = sound.windows(text.len()).position(|part| part == text).expect("the row stands in plain text");
    let mut bytes = sound.clone();
    bytes[at + 11] = b'6';
    fs::write(&database, &bytes).unwrap();
    let bad = report(&path).await.unwrap().first_bad.unwrap();
    assert_eq!((bad.position.unwrap().0, bad.stream), (56, Some(stream("duel-3"))));
    assert_eq!(bad.offset, Some(at as u64));
    let error = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(error.is_integrity_failure(), "{error}");
    assert!(try_read(&path).await.is_err());
}

#[tokio::test]
async fn an_older_copy_is_behind_its_watermark_until_the_fork_is_declared() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("store"), dir.path().join("old"));
    small_store(&path, 30).await;
    copy(&path, &old);
    let log = EmbeddedLog::open(&path).await.unwrap();
    extend(&log, 30, 41).await;
    log.close().await;
    fs::copy(old.join("log.sqlite"), path.join("log.sqlite")).unwrap();

    let error = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(matches!(&error, OpenError::Behind { events: 11, .. }), "{error}");
    assert!(error.to_string().contains("behind its watermark by 11 events"), "{error}");
    assert!(!report(&path).await.unwrap().passed());
    assert_eq!(try_read(&path).await.unwrap().len(), 30, "reading stays possible");

    let head = declare_fork(&path, "restored the backup of Monday").await.unwrap();
    assert_eq!((head.epoch, head.position.0), (2, 30));
    let log = EmbeddedLog::open(&path).await.unwrap();
    assert_eq!(log.head().await.unwrap(), head);
    extend(&log, 30, 35).await;
    log.close().await;
    assert!(report(&path).await.unwrap().passed());

    // The abandoned branch does not fit any more.
    fs::copy(old.join("log.sqlite"), path.join("log.sqlite")).unwrap();
    let error = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(matches!(error, OpenError::Different { .. }), "{error}");
}

#[tokio::test]
async fn other_events_up_to_the_watermark_are_different_not_newer() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    small_store(&path, 20).await;
    let log = EmbeddedLog::create(&other, options(16)).await.unwrap();
    for number in 0..25 {
        let request = AppendRequest { events: vec![event(u128::from(number), number + 1)], ..request(number) };
        log.append(request).await.unwrap();
    }
    log.close().await;
    fs::copy(other.join("log.sqlite"), path.join("log.sqlite")).unwrap();
    let error = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(matches!(error, OpenError::Different { .. }), "{error}");
}

#[tokio::test]
async fn a_cut_database_is_refused_at_every_page_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let events = small_store(&path, 60).await;
    let database = path.join("log.sqlite");
    let sound = fs::read(&database).unwrap();
    for len in (0..sound.len()).step_by(512).chain([1, 99, 100, 511, sound.len() - 1]) {
        fs::write(&database, &sound[..len]).unwrap();
        // SQLite reads what is missing as zeros, so it alone would not notice a missing last byte.
        let error = EmbeddedLog::open(&path).await.err().unwrap_or_else(|| panic!("cut to {len} and opened"));
        if len >= 100 {
            assert!(error.is_integrity_failure(), "cut to {len}: {error}");
            assert!(report(&path).await.is_some_and(|report| !report.passed()), "cut to {len}");
        }
        if report(&path).await.is_some_and(|report| report.passed()) {
            assert_eq!(try_read(&path).await.as_ref(), Ok(&events), "cut to {len}");
        }
        for name in ["log.sqlite-wal", "log.sqlite-shm"] {
            let _ = fs::remove_file(path.join(name));
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_was_cut_off_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, crashed) = (dir.path().join("store"), dir.path().join("crashed"));
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    log.close().await;
    let before = fs::read(path.join("log.sqlite")).unwrap();
    let log = EmbeddedLog::open(&path).await.unwrap();
    extend(&log, 0, 60).await;
    // As a machine that stops in the middle of a checkpoint leaves it: the new first page, which counts pages that only
    // the write-ahead log has yet.
    copy(&path, &crashed);
    log.close().await;
    let after = fs::read(path.join("log.sqlite")).unwrap();
    assert!(after.len() > before.len() + 512);
    let half = [&after[..512], &before[512..], &after[before.len()..after.len() - 700]].concat();
    fs::write(crashed.join("log.sqlite"), half).unwrap();
    let opened = EmbeddedLog::open(&crashed).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read_all(&opened).await.len(), 60);
    opened.close().await;
    assert!(report(&crashed).await.unwrap().passed());
}

#[tokio::test]
async fn a_missing_or_ruined_watermark_is_refused_and_a_damaged_slot_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    small_store(&path, 20).await;
    let watermark = path.join("watermark");
    let sound = fs::read(&watermark).unwrap();
    for slot in [0, 512] {
        let mut bytes = sound.clone();
        bytes[slot + 50] ^= 1;
        fs::write(&watermark, bytes).unwrap();
        let failed = report(&path).await.unwrap();
        let check = failed.checks.iter().find(|check| check.name == "watermark").unwrap();
        assert!(matches!(check.result, CheckResult::Failed { .. }), "{failed:?}");
        assert_eq!(failed.first_bad.unwrap().offset, Some(slot as u64));
        EmbeddedLog::open(&path).await.unwrap().close().await;
        assert!(report(&path).await.unwrap().passed());
    }
    fs::remove_file(&watermark).unwrap();
    let error = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(matches!(error, OpenError::NoWatermark { what: "missing", .. }), "{error}");
    declare_fork(&path, "the watermark was lost").await.unwrap();
    let log = EmbeddedLog::open(&path).await.unwrap();
    assert_eq!(log.head().await.unwrap().epoch, 2);
}

#[tokio::test]
async fn an_id_that_stands_twice_in_a_stream_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    small_store(&path, 60).await;
    // Event 59 of duel-2 gets the id of event 51, which stands in the same stream.
    let sql = "UPDATE tail SET id = (SELECT id FROM tail WHERE position = 51) WHERE position = 59";
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path.join("log.sqlite"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query(sql).execute(&mut conn).await.unwrap();
    sqlx::Connection::close(conn).await.unwrap();
    let found = report(&path).await.unwrap();
    let check = found.checks.iter().find(|check| check.name == "ids unique in their stream").unwrap();
    let CheckResult::Failed { what, count: 1 } = &check.result else { panic!("{check:?}") };
    assert!(what.contains("again at revision 15") && what.contains("duel-2"), "{what}");
    let bad = found.first_bad.unwrap();
    assert_eq!((bad.position.unwrap().0, bad.stream), (59, Some(stream("duel-2"))));
}

#[tokio::test]
async fn a_stream_that_the_index_hides_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    small_store(&path, 60).await;
    let change = |sql: &'static str| {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path.join("log.sqlite"));
        async move {
            use sqlx::{ConnectOptions, Connection};
            let mut conn = options.connect().await.unwrap();
            sqlx::query(sql).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
        }
    };
    change("DELETE FROM stream_pages WHERE slot = 1 AND page = 1").await;
    let log = EmbeddedLog::open(&path).await.unwrap();
    let error = log.read_stream(&stream("duel-1")).await.unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { stream: Some(_), .. }), "{error}");
    let again = log.append(request(61)).await.unwrap_err();
    assert!(matches!(again, AppendError::Failed { .. }), "{again}");
    log.close().await;
    change("INSERT INTO stream_pages VALUES (1, 1)").await;
    assert!(report(&path).await.unwrap().passed());
    change("UPDATE streams SET revision = 14 WHERE slot = 2").await;
    assert!(!report(&path).await.unwrap().passed());
}
