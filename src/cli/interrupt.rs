//! Ctrl-C and SIGTERM. The first one asks: work stops at its next safe point and says how to resume. The second one
//! leaves at once; the log is safe under that too, because only a synced commit is ever acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::exit_code::ExitCode;

/// Tells a command whether the operator asked it to stop. Clones share one answer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    notify: Arc<Notify>,
}

impl Interrupt {
    /// Starts to listen for signals. Must run inside the runtime.
    pub fn listen() -> Interrupt {
        let interrupt = Interrupt::default();
        let ours = interrupt.clone();
        tokio::spawn(async move {
            // Both are listened to from the start: a second signal right behind the first one is not lost.
            let mut signals = Signals::new();
            signals.next().await;
            ours.asked.store(true, Ordering::SeqCst);
            ours.notify.notify_waiters();
            signals.next().await;
            std::process::exit(i32::from(ExitCode::Interrupted.number()));
        });
        interrupt
    }

    /// True once the operator asked to stop.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until the operator asks to stop.
    pub async fn wait(&self) {
        let notified = self.notify.notified();
        if !self.asked() {
            notified.await;
        }
    }

    /// Does work that may wait for ever, such as reading a pipe or a terminal, on a thread of its own. `None` when the
    /// operator asks to stop first; the thread is then left behind and ends with the process.
    pub async fn unless_asked<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let working = tokio::task::spawn_blocking(work);
        tokio::select! {
            biased;
            () = self.wait() => None,
            done = working => Some(done.expect("the work does not panic")),
        }
    }
}

/// The signals that ask to stop. A system without signal handlers never interrupts.
#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        Signals([SignalKind::interrupt(), SignalKind::terminate()].into_iter().flat_map(signal).collect())
    }

    async fn next(&mut self) {
        std::future::poll_fn(|task| {
            // Every one is asked, so that every one wakes this task.
            let came = self.0.iter_mut().fold(false, |came, signal| signal.poll_recv(task).is_ready() | came);
            if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Signals {
        Signals
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
