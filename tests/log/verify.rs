//! Verification as somebody waits for it: it can be stopped, and it keeps little in memory.

use std::{pin::pin, task::Poll};

use wox_events::Revision;
use wox_recovery::log::{AppendRequest, EmbeddedLog, EventLog, embedded::verify::verify};

use crate::helpers::{event, options, stream};

#[tokio::test]
async fn a_verification_gives_way_at_every_page_so_that_it_can_be_stopped() {
    const PAGES: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    let requests = (0..PAGES * 16).map(|number| AppendRequest {
        stream: stream(&format!("duel-{number}")),
        expected: Revision::NO_STREAM,
        events: vec![event(u128::from(number), number)],
    });
    assert!(log.append_many(requests.collect()).await.into_iter().all(|answer| answer.is_ok()));
    log.close().await;

    let mut verifying = pin!(verify(&path, |_, _| ()));
    let mut gave_way = 0;
    let report = std::future::poll_fn(|task| match verifying.as_mut().poll(task) {
        Poll::Ready(report) => Poll::Ready(report),
        Poll::Pending => {
            gave_way += 1;
            Poll::Pending
        }
    })
    .await;
    assert!(report.unwrap().passed());
    assert!(gave_way >= PAGES, "it gave way {gave_way} times in {PAGES} pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_being_written_is_not_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let log = EmbeddedLog::create(&path, options(16)).await.unwrap();
    let write = |number: u64| AppendRequest {
        stream: stream(&format!("duel-{number}")),
        expected: Revision::NO_STREAM,
        events: vec![event(u128::from(number), number)],
    };
    assert!(log.append_many((0..2_000).map(write).collect()).await.into_iter().all(|answer| answer.is_ok()));
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let done = done.clone();
        async move {
            let mut number = 2_000;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                log.append(write(number)).await.unwrap();
                number += 1;
            }
            log.close().await;
            number
        }
    });
    for _ in 0..10 {
        let report = verify(&path, |_, _| ()).await.unwrap();
        assert!(report.passed(), "{:?}", report.first_bad);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writer.await.unwrap() > 2_010, "somebody wrote meanwhile");
    assert!(verify(&path, |_, _| ()).await.unwrap().passed());
}
