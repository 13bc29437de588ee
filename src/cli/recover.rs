//! `wox recover`: the plan for one subject, or the decision to leave one event out.

use wox_events::{Revision, StreamId};

use crate::{
    cli::{
        CliError, Context,
        as_of::{self, AsOf},
        evidence, plan,
        progress::Progress,
        render::Document,
        store,
    },
    exit_code::ExitCode,
    log::EventLog as _,
    recovery::{Scope, diagnose},
};

/// Plan the repair of one thing
///
/// Makes and records a plan as `wox plan` does, for one stream only. Without an id it lists what is wrong with things of
/// that sort.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox recover duel                          list the duels that something is wrong with
  wox recover duel 17                       plan the repair of duel-17
  wox recover event 4711 --why typo-in-id   plan to leave the event at position 4711 out")]
pub(super) struct RecoverArgs {
    /// duel, tournament, deposit, withdrawal, pool, player, …; a whole stream name; `event`; or `all`
    what: String,
    /// Which one; a position or an event id for `event`
    id: Option<String>,
    /// Why an event is to be left out; recorded with the decision
    #[arg(long)]
    why: Option<String>,
    #[command(flatten)]
    making: plan::MakingArgs,
}

pub(super) async fn run(args: RecoverArgs, context: Context) -> Result<ExitCode, CliError> {
    let unnamed = |text: &str| {
        CliError::usage("wox::recover::what", format!("`{text}` names nothing that can be recovered"))
            .next("wox recover duel 17, wox recover duel-17, wox recover event 4711 --why …, or wox recover all")
    };
    if args.why.is_some() && args.what != "event" {
        return Err(CliError::usage("wox::recover::why", "--why goes with `event` only").next("leave --why out"));
    }
    match (args.what.as_str(), args.id) {
        ("all", None) => plan::make(args.making, &Scope::All, &context).await,
        ("event", Some(id)) => {
            let point = match id.parse() {
                Ok(point @ (AsOf::Position(_) | AsOf::Event(_))) => point,
                Ok(AsOf::Time(_)) | Err(_) => return Err(unnamed(&id)),
            };
            let why = args.why.ok_or_else(|| {
                CliError::usage("wox::recover::why", "leaving an event out needs a reason").next("--why REASON")
            })?;
            let position = as_of::position_of(&store::open_to_read(&context).await?, &point).await?;
            plan::make(args.making, &Scope::Waive { position, why }, &context).await
        }
        (what, Some(id)) => {
            let name = format!("{what}-{id}");
            let stream = StreamId::new(&name).map_err(|_| unnamed(&name))?;
            plan::make(args.making, &Scope::Subject(existing(stream, &context).await?), &context).await
        }
        (what, None) => match StreamId::new(what) {
            Ok(stream) => plan::make(args.making, &Scope::Subject(existing(stream, &context).await?), &context).await,
            Err(_) if is_category(what) => list(what, &context).await,
            Err(_) => Err(unnamed(what)),
        },
    }
}

/// Whether streams of this build's families can be called so.
fn is_category(text: &str) -> bool {
    StreamId::new(format!("{text}-x")).is_ok_and(|stream| stream.family().is_some())
}

/// A subject nobody has heard of is a typo: "nothing is wrong with it" would be a lie.
async fn existing(stream: StreamId, context: &Context) -> Result<StreamId, CliError> {
    let log = store::open_to_read(context).await?;
    if log.revision(&stream).await? > Revision::NO_STREAM {
        return Ok(stream);
    }
    Err(CliError::usage("wox::recover::unknown", format!("there is no stream {stream} in this log"))
        .next(format!("wox recover {} lists the ones something is wrong with", stream.category())))
}

/// Lists the subjects of one sort that something is wrong with.
async fn list(category: &str, context: &Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(context).await?;
    let until = as_of::position(&log, context).await?;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    let mut findings: Vec<_> = diagnose(&evidence).cases.into_iter().map(|case| case.finding).collect();
    let mut sorts: Vec<String> = findings.iter().map(|finding| finding.subject.category().to_owned()).collect();
    findings.retain(|finding| finding.subject.category() == category);
    sorts.sort();
    sorts.dedup();
    if findings.is_empty() {
        context.say(match sorts.is_empty() {
            true => "nothing is wrong".to_owned(),
            false => format!("nothing is wrong with any {category}; something is wrong with: {}", sorts.join(", ")),
        });
    }
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            vec![
                finding.subject.to_string(),
                finding.severity.to_string(),
                finding.code.clone(),
                finding.since.as_ref().map(|since| since.position.to_string()).unwrap_or_default(),
                finding.says.clone(),
            ]
        })
        .collect();
    Document::new("wox/findings/v1", &serde_json::json!({"findings": findings}))
        .records("findings")
        .table(["subject", "severity", "code", "since", "what"], rows)
        .print(context.output)?;
    if let Some(error) = evidence::damage_error(&evidence, context) {
        return Err(error);
    }
    match findings.first() {
        None => Ok(ExitCode::Done),
        Some(first) => {
            let (wox, store) = (context.program(), plan::store_flag(context));
            context.say(format!("next: {wox} recover {}{store}", first.subject));
            Ok(ExitCode::Differences)
        }
    }
}
