//! Gathering evidence for a verb: the replay with its progress on stderr, stopped by Ctrl-C, and what the errors of
//! recovery mean to an operator.

use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use wox_events::Position;
use wox_projections::Replay;

use crate::{
    cli::{
        CliError, Context,
        error::ErrorKind,
        progress::{Phase, Progress},
        render::counted,
        time,
    },
    log::EventLog,
    recovery::{ApplyError, Evidence, GatherError, gather_upto},
    replay, rfc3339, snapshot,
};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A game's clock further ahead than this rests on an event whose time is wrong, or this machine's clock is.
const CLOCK_AHEAD_WARN: wox_events::Duration = wox_events::Duration::seconds(60);

/// As many threads as this machine runs at the same time.
#[must_use]
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Where a replay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum From {
    /// At the first event: nothing is taken on trust.
    Genesis,
    /// At the newest snapshot that fits this log and this build, else at the first event; saves a snapshot at its end,
    /// or where it is interrupted.
    Snapshot,
}

/// Folds the log up to a position from the first event on, as phase `index` of the command.
pub(super) async fn gather(
    log: &dyn EventLog,
    until: Position,
    threads: NonZeroUsize,
    context: &Context,
    progress: Progress,
    index: u32,
) -> Result<Evidence, CliError> {
    gather_from(From::Genesis, log, until, threads, context, progress, index).await
}

/// Folds the log up to a position, as phase `index` of the command.
pub(super) async fn gather_from(
    from: From,
    log: &dyn EventLog,
    until: Position,
    threads: NonZeroUsize,
    context: &Context,
    progress: Progress,
    index: u32,
) -> Result<Evidence, CliError> {
    let start = match from {
        From::Genesis => None,
        From::Snapshot => newest_snapshot(log, until, context).await?,
    };
    let started_at = start.as_ref().map(|replay| replay.position);
    let phase = progress.phase(index, "replay", "events", Some(until.0));
    let counter = Arc::new(replay::Progress::default());
    let gathering = gather_upto(log, until, start, threads, &counter);
    let evidence = match watched_raw(gathering, &counter, &phase, context).await {
        Err(GatherError::Interrupted { at }) if from == From::Snapshot => {
            save_snapshot(log, &at, context).await?;
            let message = format!("stopped behind position {}; a snapshot of it is saved", at.position);
            return Err(CliError::interrupted(message).next("run the same command again: it goes on from there"));
        }
        result => result?.seen_at(time::now()),
    };
    phase.finish();
    if from == From::Snapshot && evidence.damage.is_none() && started_at != Some(evidence.as_of) {
        save_snapshot(log, &evidence.replay, context).await?;
    }
    let account = evidence.replay.accounting;
    if context.accounted.swap(account.read, Ordering::Relaxed) != account.read {
        context.say(format!(
            "{} read = {} applied + {} refused + {} waived",
            counted(account.read, "event"),
            account.applied,
            account.refused,
            account.waived
        ));
    }
    let game = evidence.replay.game_clock;
    let ahead = evidence.clock.map_or(wox_events::Duration::ZERO, |machine| game.since(machine));
    if ahead > CLOCK_AHEAD_WARN {
        context.say(format!(
            "the game's clock stands at {}, {} min ahead of this machine's, since the event at position {}: until this \
             machine's clock is there, time is counted by it, and nothing is called stuck or late that is not by its count; \
             when it is this machine's clock that is wrong, set it and run the command again",
            rfc3339::text(game),
            ahead.as_seconds() / 60,
            evidence.replay.clock_set_by,
        ));
    }
    if let Some(damage) = &evidence.damage {
        context.say(format!("the log cannot be read from position {} on: {}", damage.from, damage.what));
    }
    Ok(evidence)
}

async fn newest_snapshot(log: &dyn EventLog, until: Position, context: &Context) -> Result<Option<Replay>, CliError> {
    let found = snapshot::newest(&context.store, log, until).await?;
    for (path, why) in &found.passed_over {
        context.say(format!("snapshot {} is not used: {why}", path.display()));
    }
    match &found.replay {
        Some(replay) => context.say(format!("going on from the snapshot at position {}", replay.position)),
        None => context.say("no snapshot fits; replaying from the first event"),
    }
    Ok(found.replay)
}

/// A snapshot that cannot be saved is said and costs nothing: it is derived.
async fn save_snapshot(log: &dyn EventLog, replay: &Replay, context: &Context) -> Result<(), CliError> {
    match snapshot::save(&context.store, log, replay).await? {
        Ok(path) => context.say(format!("snapshot saved: {}", path.display())),
        Err(error) => context.say(format!("{error}: {}", error.source)),
    }
    Ok(())
}

/// Runs something that replays, shows how far it is, and passes Ctrl-C on to it: it stops at its next safe point.
pub(super) async fn watched<T, E>(
    work: impl Future<Output = Result<T, E>>,
    counter: &replay::Progress,
    phase: &Phase,
    context: &Context,
) -> Result<T, CliError>
where
    CliError: std::convert::From<E>,
{
    Ok(watched_raw(work, counter, phase, context).await?)
}

/// As [`watched`], with the error of the work itself.
pub(super) async fn watched_raw<T, E>(
    work: impl Future<Output = Result<T, E>>,
    counter: &replay::Progress,
    phase: &Phase,
    context: &Context,
) -> Result<T, E> {
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            result = &mut work => {
                phase.set(counter.read());
                return result;
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

impl std::convert::From<GatherError> for CliError {
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

impl std::convert::From<ApplyError> for CliError {
    fn from(error: ApplyError) -> CliError {
        let (kind, code) = match &error {
            ApplyError::Gather(_) | ApplyError::Read(_) | ApplyError::Append(_) => return unwrapped(error),
            ApplyError::UnknownPlan { .. } => (ErrorKind::Failed, "wox::plan::unknown"),
            ApplyError::Altered { .. } => (ErrorKind::Integrity, "wox::plan::altered"),
            ApplyError::Damaged { .. } => (ErrorKind::Integrity, "wox::log::damaged"),
            ApplyError::Changed { .. } => (ErrorKind::Refused, "wox::plan::changed"),
            ApplyError::OtherBase { .. } => (ErrorKind::Refused, "wox::plan::other-base"),
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
