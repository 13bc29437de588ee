//! `wox explain deposit|withdrawal|burn ID`: the verdict about money on the chain and what it rests on, from the log alone.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{Position, Recorded};
use wox_projections::State;

use crate::{
    audit::{
        became,
        grounds::{Grounds, LookShown, Subject, grounds, looks},
    },
    cli::{CliError, Context, as_of, chain, evidence, progress::Progress, render::Document, store},
    command,
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    rfc3339,
};

/// A verdict, and up to where the log was read for it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Explained {
    /// Up to where.
    as_of: Position,
    /// What became of it by the log, in sentences.
    became: Vec<String>,
    /// The verdict and what it follows from.
    #[serde(flatten)]
    grounds: Grounds,
}

pub(super) async fn run(what: &str, id: &str, context: &Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(context).await?;
    let until = as_of::position(&log, context).await?;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), context, progress, 1).await?;
    let state = &evidence.replay.state;
    let unknown = || unknown(what, id, context);
    let subject = subject(what, id, state).ok_or_else(unknown)?;
    let mut read: Vec<Recorded> = Vec::new();
    for look in looks(state, &subject).ok_or_else(unknown)? {
        let events = log.read_stream(&look.stream).await?;
        read.extend(events.iter().filter(|event| event.revision == look.revision).map(wox_events::RawEvent::decode));
    }
    let became = told(state, &subject, &log, until).await?;
    log.close().await;
    let grounds = grounds(&evidence.replay, &subject, &read).ok_or_else(unknown)?;
    let agrees = grounds.reached_again;
    print(Explained { as_of: until, became, grounds }, context)?;
    if let Some(error) = evidence::damage_error(&evidence, context) {
        return Err(error);
    }
    match agrees {
        true => Ok(ExitCode::Done),
        false => Err(CliError::integrity(
            "wox::explain::differs",
            "the recorded answers give another verdict than the fold of the log",
        )
        .next("report this with the output of wox verify: both follow from the same events")),
    }
}

/// What became of a subject by the log, up to a position.
pub(in crate::cli) async fn told(
    state: &State,
    subject: &Subject,
    log: &EmbeddedLog,
    until: Position,
) -> Result<Vec<String>, CliError> {
    let mut events = Vec::new();
    for stream in became::streams(state, subject) {
        let all = log.read_stream(&stream).await?;
        events.extend(all.iter().filter(|event| event.position <= until).map(wox_events::RawEvent::decode));
    }
    Ok(became::became(state, subject, &events))
}

/// Nobody has heard of it: what can be done is named, and nothing that would not work with what was typed.
fn unknown(what: &str, id: &str, context: &Context) -> CliError {
    let error = CliError::usage("wox::explain::unknown", format!("this log knows nothing of {what} {id}"));
    let tx = chain::hash(id).or_else(|| chain::hash(id.split(':').nth(1)?)).filter(|_| what == "deposit");
    let error = match (tx, what) {
        (Some(tx), _) => {
            let asks = format!("{} asks the chain", command::wox(["observe", what, tx.as_str()]));
            match chain::optional(context) {
                Ok(None) => error.next(format!("write a section [chain] into wox.toml; then {asks}")),
                _ => error.next(asks),
            }
        }
        (None, "deposit") => error.next(chain::no_hash(id)),
        (None, _) => error,
    };
    error.next(format!("wox recover {what} lists the ones something is wrong with"))
}

/// What was typed: a transaction by its hash or by a deposit's name, a withdrawal or burn by its id.
pub(in crate::cli) fn subject(what: &str, id: &str, state: &State) -> Option<Subject> {
    if what != "deposit" {
        let id = id.to_owned();
        return Some(if what == "burn" { Subject::Burn(id) } else { Subject::Withdrawal(id) });
    }
    if let Some(tx) = chain::hash(id) {
        let mut chains = state.chain.policies().map(|policy| policy.chain);
        let chain = chains.find(|chain| state.chain.transaction(*chain, &tx).is_some())?;
        return Some(Subject::Transaction { chain, tx });
    }
    let named = state.deposits.get(id).and_then(|deposit| deposit.reference.as_deref()).unwrap_or(id);
    let mut parts = named.split(':');
    let (chain, tx) = (parts.next()?.parse().ok()?, chain::hash(parts.next()?)?);
    Some(Subject::Transaction { chain, tx })
}

fn print(explained: Explained, context: &Context) -> Result<(), CliError> {
    let grounds = &explained.grounds;
    let row = if grounds.row.is_empty() { String::new() } else { format!("{}, ", grounds.row) };
    let document = Document::of(&explained).records::<LookShown>("looks");
    let by_log = explained.became.iter().map(|says| context.pasteable(says));
    let document = by_log.fold(document, |document, says| document.line(format!("by the log: {says}")));
    let mut document = document.line(format!("{}: {row}{}", grounds.subject, grounds.says));
    if let Some(rules) = &grounds.rules {
        let sources = rules.voters.join(", ");
        document =
            document.line(format!("rules of chain {}: {} of {sources} have to agree", rules.chain, rules.quorum));
    }
    for look in &grounds.looks {
        let votes = |votes: bool| match (votes, look.enough) {
            (true, true) => "yes".to_owned(),
            (true, false) => "yes, too few do".to_owned(),
            (false, _) => "no".to_owned(),
        };
        let block = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let rows = look.sources.iter().map(|said| {
            let (votes, last, digest) = (votes(said.votes), block(said.finalized), said.digest.short());
            vec![said.source.clone(), said.operator.clone(), votes, last, digest, said.says.clone()]
        });
        document = document
            .line("")
            .line(format!("{} at {}: {}, {}", look.of, rfc3339::text(look.at), look.row, look.says))
            .line(format!("  recorded in {}", look.event))
            .table(["source", "operator", "votes", "final block", "digest", "said"], rows.collect::<Vec<_>>());
        document = look.contradictions.iter().fold(document, Document::line);
    }
    if !grounds.looks.is_empty() {
        let again = match grounds.reached_again {
            true => "reached again from these answers, with no network",
            false => "THE RECORDED ANSWERS GIVE ANOTHER VERDICT",
        };
        document = document.line("").line(again).line("wox show POSITION has a look with all its answers");
    }
    document.print(context.output)
}
