//! `wox bisect`: the first event after which something is broken. A built-in invariant is watched in one pass; anything
//! else is judged by a command at as few positions as it takes ([`command`]).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{EventId, Position, Revision, StreamId};
use wox_projections::invariants;

use crate::{
    audit::bisect::Judged,
    cli::{
        CliError, Context,
        as_of::{self, AsOf},
        render::{Document, counted, grouped},
        show, store,
    },
    exit_code::ExitCode,
    log::EmbeddedLog,
    rfc3339,
};

pub(super) mod command;
mod invariant;

/// Find the first event after which something is broken
///
/// With --invariant one pass over the log watches the invariant after every event. The answer is the earliest event since
/// which a subject is broken without a break up to the bad end; breaks that were mended before it are counted, not named
/// (a duel is over one event before it is paid). An invariant that takes the whole state is looked at every 1,024 events,
/// and event by event where that shows a break.
///
/// With --run a command judges positions: it finds the store and the position in WOX_STORE and WOX_AS_OF, which the wox
/// commands it runs obey, and answers with its exit code: 0 good; 125 cannot be judged; 1 to 127 else bad; 128 and above,
/// or a signal, ends the search. What it prints goes to stderr. Both ends are judged first.
///
/// Exit code 3 when a first bad event was found, or the range that holds it; 0 when nothing is broken at the bad end.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox bisect --list                                 the invariants
  wox bisect --invariant conservation               since when the money does not add up
  wox bisect --invariant duel_escrow --subject duel-17
  wox bisect --good 1000 --bad 9000 --run ./check.sh strict
  wox bisect --log hunt.jsonl --run ./check.sh      write down every verdict
  wox bisect --replay hunt.jsonl                    go on from what is written down")]
#[command(group = clap::ArgGroup::new("form").required(true).args(["list", "invariant", "run", "replay"]))]
pub(super) struct BisectArgs {
    /// List the invariants
    #[arg(long)]
    list: bool,
    /// The invariant to watch
    #[arg(long, value_name = "NAME")]
    invariant: Option<String>,
    /// Only this stream, or `ledger` or `log`
    #[arg(long, value_name = "STREAM", requires = "invariant")]
    subject: Option<String>,
    /// A point at which nothing was broken yet [default: before the first event]
    #[arg(long, value_name = "POINT", conflicts_with = "replay")]
    good: Option<AsOf>,
    /// A point at which it is broken [default: the head, or --as-of]
    #[arg(long, value_name = "POINT", conflicts_with = "replay")]
    bad: Option<AsOf>,
    /// Write every verdict to this new file, one JSON object a line
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with = "replay")]
    log: Option<PathBuf>,
    /// Go on from the verdicts in this file, and add to it; with its ends and its command
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// The command that judges, with its arguments: everything behind this flag
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    run: Vec<String>,
}

/// The invariants that can be watched.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Invariants {
    /// Every one.
    invariants: Vec<InvariantLine>,
}

/// One invariant.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InvariantLine {
    /// Its name.
    name: &'static str,
    /// What it says.
    says: &'static str,
}

/// What was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct BisectResult {
    /// The invariant that was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariant: Option<String>,
    /// The command that judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Vec<String>>,
    /// Nothing was broken here.
    pub good: Position,
    /// Up to here it was looked.
    pub bad: Position,
    /// `found`, `none`, `range`, or `broken_off`.
    pub result: &'static str,
    /// The first bad event.
    pub first_bad: Option<BadEvent>,
    /// The positions among which it is, both included, when it is not known exactly.
    pub range: Option<(Position, Position)>,
    /// Breaks that were mended before the bad end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mended: Option<u64>,
    /// Every subject that is broken at the bad end, the earliest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Vec<BadEvent>>,
    /// The positions that a command judged, in that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<Vec<Look>>,
}

/// A position that was judged.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Look {
    /// Where.
    pub position: Position,
    /// What was said.
    pub judged: Judged,
}

/// An event after which something is broken.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct BadEvent {
    /// What is broken: a stream or an account; left out when a command judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// In what way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Place in the log.
    pub position: Position,
    /// The event's stream.
    pub stream: StreamId,
    /// Place in the stream.
    pub revision: Revision,
    /// The event's id.
    pub id: EventId,
    /// What happened.
    pub kind: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who caused it.
    pub actor: String,
}

pub(super) async fn run(args: BisectArgs, context: Context) -> Result<ExitCode, CliError> {
    if args.list {
        let rows = invariants::ALL.iter().map(|invariant| vec![invariant.name.to_owned(), invariant.says.to_owned()]);
        let line = |invariant: &invariants::Invariant| InvariantLine { name: invariant.name, says: invariant.says };
        Document::of(&Invariants { invariants: invariants::ALL.iter().map(line).collect() })
            .records::<InvariantLine>("invariants")
            .table(["invariant", "says"], rows)
            .print(context.output)?;
        return Ok(ExitCode::Done);
    }
    let log = store::open_to_read(&context).await?;
    if let Some(file) = &args.replay {
        return command::go_on(file, &args, &log, &context).await;
    }
    let ends = ends(&args, &log, &context).await?;
    match &args.invariant {
        Some(name) => invariant::watch(name, args.subject.clone(), ends, &log, &context).await,
        None => command::start(&args, ends, &log, &context).await,
    }
}

/// The good and the bad end.
async fn ends(args: &BisectArgs, log: &EmbeddedLog, context: &Context) -> Result<(Position, Position), CliError> {
    let last = as_of::position(log, context).await?;
    let good = match &args.good {
        Some(point) => as_of::position_of(log, point).await?,
        None => Position(0),
    };
    let bad = match &args.bad {
        Some(point) => as_of::position_of(log, point).await?,
        None => last,
    };
    if bad > last {
        return Err(CliError::usage("wox::bisect::ends", format!("the bad end {bad} is beyond --as-of {last}"))
            .next("leave one of the two out"));
    }
    if good > bad || (good == bad && bad > Position(0)) {
        return Err(CliError::usage(
            "wox::bisect::ends",
            format!("the good end {good} is not before the bad end {bad}"),
        )
        .next("--good names the earlier point, at which nothing was broken yet"));
    }
    Ok((good, bad))
}

/// An event of the log as the result names it.
async fn bad_event(log: &EmbeddedLog, position: Position) -> Result<BadEvent, CliError> {
    let raw = show::at_position(log, position, position).await?;
    Ok(BadEvent {
        subject: None,
        detail: None,
        position,
        stream: raw.stream,
        revision: raw.revision,
        id: raw.event.id,
        kind: raw.event.kind.to_string(),
        time: rfc3339::text(raw.event.time),
        actor: raw.event.actor.to_string(),
    })
}

/// Prints what was found. `what` is what was looked for.
fn print(result: &BisectResult, what: &str, context: &Context) -> Result<ExitCode, CliError> {
    let mut document = match &result.looks {
        Some(_) => Document::of(result).records::<Look>("looks"),
        None => Document::of(result).records::<BadEvent>("broken"),
    };
    document = match (&result.first_bad, result.range) {
        (Some(bad), _) => {
            let mut facts = vec![
                ("position", bad.position.to_string()),
                ("event", bad.id.to_string()),
                ("stream", format!("{} revision {}", bad.stream, bad.revision)),
                ("kind", bad.kind.clone()),
                ("time", bad.time.clone()),
                ("actor", bad.actor.clone()),
            ];
            facts.extend(bad.subject.clone().map(|subject| ("broken", subject)));
            facts.extend(bad.detail.clone().map(|detail| ("says", detail)));
            document
                .line(format!("{what} is broken since position {}: the first bad event", grouped(bad.position.0)))
                .facts(facts)
        }
        (None, Some((from, to))) => document.line(format!(
            "the first bad event is one of positions {from} to {to}: what lies between cannot be judged"
        )),
        (None, None) => document.line(format!("nothing is broken: {what} is good at position {}", result.bad)),
    };
    if let Some(mended) = result.mended.filter(|mended| *mended > 0) {
        document = document.line(format!("{} mended before position {}", was(mended), result.bad));
    }
    let broken = result.broken.as_deref().unwrap_or_default();
    if broken.len() > 1 {
        let rows = broken.iter().map(|bad| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![bad.position.to_string(), text(&bad.subject), bad.kind.clone(), text(&bad.detail)]
        });
        document = document
            .line("")
            .line(format!("{} broken there:", counted(broken.len() as u64, "subject")))
            .table(["since", "broken", "kind", "what"], rows);
    }
    document.print(context.output)?;
    if let Some(bad) = &result.first_bad {
        context.say(format!("next: wox show {}", bad.position));
    }
    Ok(if result.first_bad.is_some() || result.range.is_some() { ExitCode::Differences } else { ExitCode::Done })
}

fn was(mended: u64) -> String {
    if mended == 1 { "1 break was".into() } else { format!("{} breaks were", grouped(mended)) }
}
