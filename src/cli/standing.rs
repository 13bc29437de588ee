//! Whether money stands still, for the commands that say how things are.

use std::sync::Arc;

use crate::{
    cli::{CliError, Context, evidence, progress::Progress, time},
    log::{EmbeddedLog, EventLog as _},
    recovery::{Standstill, gather_upto},
    replay,
};

/// Why no money moves, when none does. A log that was never about a chain is not read for it: nothing is final there.
pub(super) async fn still(log: &EmbeddedLog, context: &Context) -> Result<Option<Standstill>, CliError> {
    if log.streams_with_prefix("chain-", 1).await?.is_empty() {
        return Ok(None);
    }
    let until = log.head().await?.position;
    let phase = Progress::new(context.progress, 1).phase(1, "replay", "events", Some(until.0));
    let counter = Arc::new(replay::Progress::default());
    let gathering = gather_upto(log, until, None, evidence::threads(None), &counter);
    let evidence = evidence::watched(gathering, &counter, &phase, context).await?.seen_at(time::now());
    phase.finish();
    // What cannot be read may be what stops it, and no plan is applied to it.
    let damaged = evidence.damage.as_ref().map(|damage| Standstill {
        why: format!("the log cannot be read from position {} on", damage.from),
        next: "wox verify names the place; restore the newest backup".into(),
        about: None,
    });
    Ok(damaged.or_else(|| evidence.standstill().cloned()))
}
