//! The built-in form: one pass over the log watches an invariant.

use std::sync::Arc;

use wox_events::{Position, Revision, StreamId};
use wox_projections::{
    Replay,
    invariants::{self, Invariant, Reach},
};

use super::{BadEvent, BisectResult, bad_event, print};
use crate::{
    audit::watch::{Eyes, STRIDE},
    cli::{CliError, Context, evidence, progress::Progress, spelling},
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    recovery::gather::waivers,
    replay::{self, ReplayStopped, replay_watched},
};

/// The subjects of invariants that speak of no stream.
const WHOLES: [&str; 2] = ["ledger", "log"];

pub(super) async fn watch(
    name: &str,
    subject: Option<String>,
    (good, bad): (Position, Position),
    log: &EmbeddedLog,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let invariant = by_name(name)?;
    if let Some(subject) = &subject {
        known(subject, log).await?;
    }
    let eyes = Eyes::on(invariant, subject.clone(), bad);
    let (mut eyes, state) = look(log, Position(0), bad, eyes, context).await?;
    let by_stride = matches!(invariant.reach, Reach::State);
    if !by_stride && !eyes.agrees_with(&state) {
        // An event reached further than the invariant says: look at everything after every event instead.
        let all = Eyes::on(invariant, subject.clone(), bad).at_every_event().at_everything();
        eyes = look(log, Position(0), bad, all, context).await?.0;
    }
    if by_stride && let Some(seen) = eyes.broken().values().map(|broken| broken.since.position).min() {
        let start = Position((seen.0 - 1) / STRIDE * STRIDE);
        let near = Eyes::on(invariant, subject, seen).at_every_event();
        let (near, _) = look(log, start, seen, near, context).await?;
        eyes.sharpen(&near);
    }

    let mut broken: Vec<_> = eyes.broken().iter().collect();
    broken.sort_by_key(|(_, broken)| broken.since.position);
    if let Some((subject, first)) = broken.first().filter(|(_, first)| first.since.position <= good) {
        return Err(CliError::usage("wox::bisect::good-is-bad", format!("{name} is broken at the good end already"))
            .at("good", good)
            .at("broken", subject)
            .at("since", &first.since)
            .next(format!("give a good end before position {}", first.since.position)));
    }
    let mut records = Vec::new();
    for (subject, found) in &broken {
        let event = bad_event(log, found.since.position).await?;
        records.push(BadEvent { subject: Some((*subject).clone()), detail: Some(found.detail.clone()), ..event });
    }
    let result = BisectResult {
        invariant: Some(name.to_owned()),
        run: None,
        good,
        bad,
        result: if records.is_empty() { "none" } else { "found" },
        first_bad: records.first().cloned(),
        range: None,
        mended: Some(eyes.mended()),
        broken: Some(records),
        looks: None,
    };
    print(&result, name, context)
}

/// One pass; the watch is only at work behind `from`.
async fn look(
    log: &EmbeddedLog,
    from: Position,
    until: Position,
    eyes: Eyes,
    context: &Context,
) -> Result<(Eyes, Replay), CliError> {
    let threads = evidence::threads(None);
    let counter = Arc::new(replay::Progress::default());
    let phase = Progress::new(context.progress, 1).phase(1, "watch", "events", Some(until.0));
    let passing = async {
        let base = Replay::new(waivers(log, until).await?);
        let base = match replay::replay(log, base, from, threads, &counter).await {
            Ok(base) => base,
            Err(stopped) => return Ok((eyes, Err(stopped))),
        };
        Ok::<_, CliError>(replay_watched(log, base, until, threads, &counter, eyes).await)
    };
    let (eyes, result) = evidence::watched_raw(passing, &counter, &phase, context).await?;
    let at = match result {
        Ok(state) => {
            phase.finish();
            return Ok((eyes, state));
        }
        Err(ReplayStopped::Read { source, .. }) => return Err(source.into()),
        Err(ReplayStopped::Interrupted { at }) => at,
        Err(error @ (ReplayStopped::Order { .. } | ReplayStopped::Incomplete { .. })) => {
            return Err(CliError::integrity("wox::log::damaged", error.to_string()).next("wox verify"));
        }
    };
    let known = match eyes.broken().iter().min_by_key(|(_, broken)| broken.since.position) {
        Some((subject, broken)) => format!("{subject} is broken there since {}", broken.since),
        None => "nothing is broken there".into(),
    };
    Err(CliError::interrupted(format!("stopped behind position {}; {known}", at.position))
        .next("run the same command again; what comes behind may mend it or break something earlier for good"))
}

fn by_name(name: &str) -> Result<&'static Invariant, CliError> {
    invariants::by_name(name).ok_or_else(|| {
        let error = CliError::usage("wox::bisect::unknown-invariant", format!("no invariant is called `{name}`"));
        let near = spelling::nearest(name, invariants::ALL.iter().map(|invariant| invariant.name));
        let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `{near}`?")));
        error.next("wox bisect --list names all of them")
    })
}

/// A subject nobody has heard of is never broken, and saying so would be a lie.
async fn known(subject: &str, log: &EmbeddedLog) -> Result<(), CliError> {
    if WHOLES.contains(&subject) {
        return Ok(());
    }
    let stream = StreamId::new(subject).ok();
    if let Some(stream) = &stream
        && log.revision(stream).await? > Revision::NO_STREAM
    {
        return Ok(());
    }
    Err(CliError::usage("wox::bisect::subject", format!("there is no stream {subject} in this log"))
        .next("name a stream such as duel-17, or `ledger` or `log`, or leave --subject out"))
}
