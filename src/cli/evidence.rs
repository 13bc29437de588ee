//! Gathering evidence for a verb: the replay with its progress on stderr, stopped by Ctrl-C, and what the errors of
//! recovery mean to an operator.

use std::{future::Future, num::NonZeroUsize, sync::Arc, time::Duration};

use wox_events::Position;

use crate::{
    cli::{
        CliError, Context,
        error::ErrorKind,
        progress::{Phase, Progress},
        render::counted,
    },
    log::EventLog,
    recovery::{ApplyError, Evidence, GatherError, gather_upto},
    replay,
};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// As many threads as this machine runs at the same time.
#[must_use]
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Folds the log up to a position, as phase `index` of the command.
pub(super) async fn gather(
    log: &dyn EventLog,
    until: Position,
    threads: NonZeroUsize,
    context: &Context,
    progress: Progress,
    index: u32,
) -> Result<Evidence, CliError> {
    let phase = progress.phase(index, "replay", "events", Some(until.0));
    let counter = Arc::new(replay::Progress::default());
    let gathering = gather_upto(log, until, None, threads, &counter);
    let evidence = watched(gathering, &counter, &phase, context).await?;
    phase.finish();
    let account = evidence.replay.accounting;
    context.say(format!(
        "{} read = {} applied + {} refused + {} waived",
        counted(account.read, "event"),
        account.applied,
        account.refused,
        account.waived
    ));
    if let Some(damage) = &evidence.damage {
        context.say(format!("the log cannot be read from position {} on: {}", damage.from, damage.what));
    }
    Ok(evidence)
}

/// Runs something that replays, shows how far it is, and passes Ctrl-C on to it: it stops at its next safe point.
pub(super) async fn watched<T, E>(
    work: impl Future<Output = Result<T, E>>,
    counter: &replay::Progress,
    phase: &Phase,
    context: &Context,
) -> Result<T, CliError>
where
    CliError: From<E>,
{
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            result = &mut work => {
                phase.set(counter.read());
                return Ok(result?);
            }
            () = context.interrupt.wait(), if !asked => {
                asked = true;
                counter.stop();
            }
            _ = ticks.tick() => phase.set(counter.read()),
        }
    }
}

/// Damage is a result and not an error, but nobody may take what is before it for the whole.
pub(super) fn damage_error(evidence: &Evidence, context: &Context) -> Option<CliError> {
    let damage = evidence.damage.as_ref()?;
    Some(
        CliError::integrity("wox::log::damaged", format!("the log is damaged: {}", damage.what))
            .at("store", context.store.display())
            .at("position", damage.from)
            .next("wox verify")
            .next("what was said above holds up to the position before; restore, then run the command again"),
    )
}

impl From<GatherError> for CliError {
    fn from(error: GatherError) -> CliError {
        match error {
            GatherError::Read(error) => error.into(),
            GatherError::Beyond { asked, head } => {
                CliError::usage("wox::as-of::outside", format!("position {asked} is beyond the end of the log"))
                    .at("available", format!("positions 0 to {head}"))
                    .next("give a position inside that range")
            }
            GatherError::Interrupted { at } => {
                CliError::interrupted(format!("stopped behind position {}; nothing was changed", at.position))
                    .next("run the same command again")
            }
        }
    }
}

impl From<ApplyError> for CliError {
    fn from(error: ApplyError) -> CliError {
        let (kind, code) = match &error {
            ApplyError::Gather(_) | ApplyError::Read(_) | ApplyError::Append(_) => return unwrapped(error),
            ApplyError::UnknownPlan { .. } => (ErrorKind::Failed, "wox::plan::unknown"),
            ApplyError::Altered { .. } => (ErrorKind::Integrity, "wox::plan::altered"),
            ApplyError::Damaged { .. } => (ErrorKind::Integrity, "wox::log::damaged"),
            ApplyError::Changed { .. } => (ErrorKind::Refused, "wox::plan::changed"),
            ApplyError::Stale { .. } => (ErrorKind::Refused, "wox::plan::stale"),
            ApplyError::NoLongerFits { .. } => (ErrorKind::Refused, "wox::plan::no-longer-fits"),
            ApplyError::NotApproved(_) => (ErrorKind::Refused, "wox::plan::not-approved"),
            ApplyError::Json(_) => {
                return CliError::failed("wox::plan::json", "the plan cannot be written as JSON")
                    .next("report this with the output of wox plan --preview")
                    .caused_by(error);
            }
        };
        // These messages end with the next step, behind a semicolon.
        let text = error.to_string();
        match text.rsplit_once("; ") {
            Some((what, next)) if next.contains("wox ") => CliError::of(kind, code, what).next(next),
            _ => CliError::of(kind, code, text.as_str()).next("wox status"),
        }
    }
}

fn unwrapped(error: ApplyError) -> CliError {
    match error {
        ApplyError::Gather(error) => error.into(),
        ApplyError::Read(error) => error.into(),
        ApplyError::Append(error) => error.into(),
        other => CliError::failed("wox::plan::failed", other.to_string()),
    }
}
