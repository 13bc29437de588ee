//! What may stand where a store should, who may write, and what reading one stream costs.

use std::{fs, os::unix::fs::symlink, process::Command};

use wox_events::{Json, Revision};
use wox_recovery::log::{
    AppendError, AppendRequest, EmbeddedLog, EventLog,
    embedded::{OpenError, verify::verify},
};

use crate::helpers::{event, options, read_all, stream};

fn one(number: u64) -> AppendRequest {
    AppendRequest {
        stream: stream(&format!("duel-{number}")),
        expected: Revision::NO_STREAM,
        events: vec![event(u128::from(number), number)],
    }
}

#[tokio::test]
async fn whatever_stands_in_place_of_a_store_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let missing = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(missing.to_string().contains("wox init"), "{missing}");

    for file in ["log.sqlite", "watermark", "lock"] {
        for kind in ["directory", "FIFO", "symbolic link"] {
            let _ = fs::remove_dir_all(&path);
            EmbeddedLog::create(&path, options(16)).await.unwrap().close().await;
            let target = path.join(file);
            fs::remove_file(&target).unwrap();
            match kind {
                "directory" => fs::create_dir(&target).unwrap(),
                "FIFO" => assert!(Command::new("mkfifo").arg(&target).status().unwrap().success()),
                _ => symlink("/etc/hostname", &target).unwrap(),
            }
            let errors = [
                EmbeddedLog::open(&path).await.err().unwrap(),
                EmbeddedLog::open_read_only(&path).await.err().unwrap(),
                verify(&path, |_, _| ()).await.err().unwrap(),
            ];
            for error in errors {
                assert!(matches!(&error, OpenError::Unexpected { path, .. } if *path == target), "{error}");
                assert!(error.to_string().contains(kind), "{error}");
            }
        }
    }
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    fs::write(path.join("log.sqlite"), "this is no database, but long enough to look like one ".repeat(40)).unwrap();
    for error in
        [EmbeddedLog::open(&path).await.err().unwrap(), EmbeddedLog::open_read_only(&path).await.err().unwrap()]
    {
        assert!(matches!(error, OpenError::NotALog { .. }), "{error}");
    }
    assert!(matches!(EmbeddedLog::create(&path, options(16)).await.err(), Some(OpenError::Occupied { .. })));
    assert!(matches!(
        EmbeddedLog::create(dir.path().join("x"), options(17)).await.err(),
        Some(OpenError::PageSize { .. })
    ));
}

#[tokio::test]
async fn a_second_writer_is_refused_and_a_reader_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    log.append(one(1)).await.unwrap();
    let second = EmbeddedLog::open(&path).await.err().unwrap();
    assert!(matches!(second, OpenError::Locked { .. }), "{second}");
    let reader = EmbeddedLog::open_read_only(&path).await.unwrap();
    assert_eq!(read_all(&reader).await.len(), 1);
    assert!(matches!(reader.append(one(2)).await, Err(AppendError::ReadOnly { .. })));
    log.append(one(2)).await.unwrap();
    assert_eq!(reader.head().await.unwrap(), log.head().await.unwrap());
    drop(log);
    EmbeddedLog::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_writer_whose_fence_was_moved_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    log.append(one(1)).await.unwrap();
    // A network file system without locks lets a second process in: the fence still tells.
    fs::remove_file(path.join("lock")).unwrap();
    let usurper = EmbeddedLog::open(&path).await.unwrap();
    let error = log.append(one(2)).await.unwrap_err();
    assert!(matches!(error, AppendError::Fenced { .. }), "{error}");
    usurper.append(one(2)).await.unwrap();
    assert_eq!(read_all(&usurper).await.len(), 2);
}

#[tokio::test]
async fn a_full_disk_gives_no_ack_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: a_full_disk_gives_no_ack_and_loses_nothing (mounting a tmpfs needs root)");
        return;
    }
    struct Unmount<'a>(&'a std::path::Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let _unmount = Unmount(&disk);
    let path = disk.join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    let mut acked = Vec::new();
    let error = loop {
        let number = acked.len() as u64;
        let mut request = one(number);
        request.events[0].data = Json::of(&serde_json::json!({ "noise": noise(number) })).unwrap();
        match log.append(request.clone()).await {
            Ok(_) => acked.push(request),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, AppendError::Failed { .. }), "{error}");
    assert!(matches!(log.append(one(9999)).await, Err(AppendError::Poisoned { .. })));
    assert!(acked.len() > 20, "{}", acked.len());
    log.close().await;
    // Space returns.
    let grown = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&disk).status().unwrap();
    assert!(grown.success());
    let log = EmbeddedLog::open(&path).await.unwrap();
    let events = read_all(&log).await;
    assert!(events.len() >= acked.len());
    for (stored, request) in events.iter().zip(&acked) {
        assert_eq!((&stored.event, &stored.stream), (&request.events[0], &request.stream));
    }
    log.append(one(9999)).await.unwrap();
    log.close().await;
    assert!(verify(&path, |_, _| ()).await.unwrap().passed());
}

/// Text that does not compress, so that the disk fills.
fn noise(seed: u64) -> String {
    (0..300)
        .map(|part: u64| wox_events::Digest::of(&(seed, part).0.wrapping_mul(part + 1).to_be_bytes()).short())
        .collect()
}

#[tokio::test]
async fn reading_one_stream_among_many_touches_only_its_pages() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(dir.path().join("store"), options(64)).await.unwrap();
    let mut requests: Vec<_> = (0..20_000).map(one).collect();
    for (at, revision) in [(3_000, 0), (9_000, 1), (19_000, 2)] {
        let id = 1_000_000 + revision;
        let wanted = AppendRequest {
            stream: stream("deposit-8453:0xab:0"),
            expected: Revision(revision),
            events: vec![event(u128::from(id), id)],
        };
        requests.insert(at, wanted);
    }
    for answer in log.append_many(requests).await {
        answer.unwrap();
    }
    let before = log.pages_read();
    let events = log.read_stream(&stream("deposit-8453:0xab:0")).await.unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(log.pages_read() - before, 3);
    assert_eq!(log.streams_with_prefix("duel-1999", 100).await.unwrap().len(), 11);
    assert_eq!(log.streams_with_prefix("duel-", 5).await.unwrap().len(), 5);
    log.close().await;
    let log = EmbeddedLog::open(dir.path().join("store")).await.unwrap();
    let next = AppendRequest {
        stream: stream("deposit-8453:0xab:0"),
        expected: Revision(3),
        events: vec![event(2_000_000, 1)],
    };
    log.append(next).await.unwrap();
    assert_eq!(log.pages_read(), 3, "a cold stream is looked up by its own pages");
}

#[tokio::test]
async fn what_can_never_be_accepted_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::create(dir.path().join("store"), options(16)).await.unwrap();
    let mut spaced = one(1);
    spaced.events[0].data = Json::stored("{ }".into());
    let mut huge = one(2);
    huge.events[0].data = Json::of(&serde_json::json!({ "x": "y".repeat(300_000) })).unwrap();
    let mut twice = one(3);
    twice.events.push(event(3, 3));
    let mut empty = one(4);
    empty.events.clear();
    let mut odd = one(5);
    odd.events[0].kind = "a\"b".into();
    for request in [spaced, huge, twice, empty, odd] {
        let error = log.append(request).await.unwrap_err();
        assert!(matches!(error, AppendError::Invalid { .. }), "{error}");
    }
    assert_eq!(log.head().await.unwrap().position.0, 0);
    let beyond = log.chunks(wox_events::Position(0), wox_events::Position(1)).await.unwrap().next().await;
    assert!(beyond.is_err(), "fewer events than promised is an error, never an end");
}

#[tokio::test]
async fn a_store_writes_ahead_from_its_first_event_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    // Bytes 18 and 19 of an SQLite file: 2 is the write-ahead log, 1 a rollback journal that only a writer can undo.
    let file = fs::read(path.join("log.sqlite")).unwrap();
    assert_eq!(file[18..20], [2, 2]);
    log.close().await;
    assert!(!path.join("log.sqlite-journal").exists());
}
