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
            signal().await;
            ours.asked.store(true, Ordering::SeqCst);
            ours.notify.notify_waiters();
            signal().await;
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
}

/// Waits for the next signal. A system without signal handlers never interrupts.
async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
