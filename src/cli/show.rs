//! `wox show`: one stream, or one event with every field and what this build makes of it.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;
use wox_events::{
    Actor, Digest, Event, EventId, Json, LogId, Position, Provenance, RawEvent, Revision, StreamId, Timestamp,
};

use wox_projections::verdict::quorum::Policy;

use crate::{
    cli::{
        CliError, Context, as_of, chain,
        render::{Document, Output, grouped},
        store,
    },
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
    recovery, rfc3339,
};

/// Show a stream, or one event
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox show duel-17                                  the events of a stream
  wox show 4711                                     the event at a position
  wox show 0f8fad5b-d9cb-469f-a165-70867728950e     the event with an id
  wox show duel-17 --as-of 2026-08-01T20:00:00Z     the stream as it was then")]
pub(super) struct ShowArgs {
    /// A stream, a position or an event id
    what: String,
    /// Most rows of a table; machine formats are never cut
    #[arg(long, value_name = "N", default_value = "200")]
    limit: usize,
}

/// A stream.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StreamShown {
    /// Its name.
    stream: StreamId,
    /// The last position that was looked at.
    as_of: Position,
    /// Its events, in order.
    events: Vec<EventShown>,
}

/// One event: its canonical record, its leaf, and what this build cannot read of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventShown {
    /// Who caused it.
    actor: Actor,
    /// The event that led to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<EventId>,
    /// The conversation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<EventId>,
    /// The payload.
    data: Json,
    /// The event's id.
    id: EventId,
    /// What happened.
    kind: String,
    /// The log it belongs to.
    log: LogId,
    /// Its place in that log.
    position: Position,
    /// Where it comes from.
    provenance: Provenance,
    /// Its place in the stream.
    revision: Revision,
    /// The version of the game's rules.
    rules: u16,
    /// Its stream.
    stream: StreamId,
    /// When it happened, microseconds since 1970.
    time: Timestamp,
    /// The version of the kind's shape.
    version: u16,
    /// Its leaf in the Merkle tree.
    leaf: Digest,
    /// Why this build cannot read the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Most letters of a payload in a table cell.
const CELL_LETTERS_MAX: usize = 160;

pub(super) async fn run(args: ShowArgs, context: Context) -> Result<ExitCode, CliError> {
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    let what = args.what.as_str();
    let document = if let Ok(position) = what.parse() {
        one_event(&log, at_position(&log, Position(position), until).await?)
    } else if let Ok(id) = Uuid::try_parse(what) {
        one_event(&log, with_id(&log, EventId(id), until).await?)
    } else {
        let stream = StreamId::new(what).map_err(|error| {
            CliError::usage("wox::show::what", format!("`{what}` is no stream, position or event id"))
                .next("wox show duel-17, wox show 4711, or wox show <event id>")
                .caused_by(error)
        })?;
        whole_stream(&log, &stream, until, args.limit, &context).await?
    };
    document.print(context.output)?;
    Ok(ExitCode::Done)
}

async fn whole_stream(
    log: &EmbeddedLog,
    stream: &StreamId,
    until: Position,
    limit: usize,
    context: &Context,
) -> Result<Document, CliError> {
    let mut events = log.read_stream(stream).await?;
    events.retain(|event| event.position <= until);
    if events.is_empty() {
        return Err(missing_stream(log, stream, until).await?);
    }
    if context.output == Output::Table && events.len() > limit {
        let (shown, all) = (grouped(limit as u64), grouped(events.len() as u64));
        context.say(format!("the first {shown} of {all} events; --limit shows more, --output jsonl all"));
    }
    let mut rows: Vec<_> = events.iter().take(limit).map(row).collect();
    let changed = changed_rules(&events);
    for (row, changes) in rows.iter_mut().zip(&changed).filter(|(_, changes)| !changes.is_empty()) {
        *row.last_mut().expect("a row has cells") = changes.join("; ");
    }
    let cut = |(event, changes): &(&RawEvent, &Vec<String>)| changes.is_empty() && is_cut(event);
    if let (Output::Table, Some((event, _))) = (context.output, events.iter().zip(&changed).take(limit).find(cut)) {
        context.say(format!("data that ends in … goes on: wox show {} shows an event whole", event.position));
    }
    let events = events.iter().map(|event| record(log, event)).collect();
    Ok(Document::of(&StreamShown { stream: stream.clone(), as_of: until, events })
        .records::<EventShown>("events")
        .table(["revision", "position", "time", "kind", "actor", "data"], rows))
}

async fn missing_stream(log: &EmbeddedLog, stream: &StreamId, until: Position) -> Result<CliError, CliError> {
    let error = CliError::failed("wox::show::no-stream", format!("stream {stream} has no event"))
        .at("stream", stream)
        .at("as of position", until);
    // The nearest names, by the longest beginning that any stream shares.
    let name = stream.as_str();
    let category = stream.category().len() + 1;
    for end in (category..=name.len()).rev().filter(|end| name.is_char_boundary(*end)) {
        let near = log.streams_with_prefix(&name[..end], 3).await?;
        if !near.is_empty() {
            let near: Vec<_> = near.iter().map(|(stream, _)| stream.to_string()).collect();
            return Ok(error.next(format!("streams with a name like it: {}", near.join(", "))));
        }
    }
    Ok(error.next("wox status names the size of the log; a stream is called <category>-<subject>, such as duel-17"))
}

pub(super) async fn at_position(log: &EmbeddedLog, position: Position, until: Position) -> Result<RawEvent, CliError> {
    let missing = || {
        CliError::failed("wox::show::no-event", format!("there is no event at position {position}"))
            .next(format!("name a position from 1 to {until}"))
    };
    if position.0 == 0 || position > until {
        return Err(missing());
    }
    let mut chunks = log.chunks(Position(position.0 - 1), position).await?;
    let chunk = chunks.next().await?.ok_or_else(missing)?;
    chunk.raw()?.into_iter().next().ok_or_else(missing)
}

async fn with_id(log: &EmbeddedLog, id: EventId, until: Position) -> Result<RawEvent, CliError> {
    // Ids are unique within a stream only, so there is no index over them: a look at the whole log answers.
    let mut found: Vec<RawEvent> = Vec::new();
    let mut chunks = log.chunks(Position(0), until).await?;
    while let Some(chunk) = chunks.next().await? {
        found.extend(chunk.raw()?.into_iter().filter(|event| event.event.id == id));
    }
    if found.len() > 1 {
        let positions: Vec<_> = found.iter().map(|event| event.position.to_string()).collect();
        return Err(CliError::failed("wox::show::ambiguous", format!("several streams hold an event {id}"))
            .at("positions", positions.join(", "))
            .next(format!("wox show {}", positions[0])));
    }
    found.pop().ok_or_else(|| {
        CliError::failed("wox::show::no-event", format!("there is no event {id} up to position {until}"))
            .next("wox show <stream> lists the ids of a stream with --output json")
    })
}

fn one_event(log: &EmbeddedLog, event: RawEvent) -> Document {
    let leaf = event.leaf(log.id());
    let new = &event.event;
    let mut facts = vec![
        ("stream", event.stream.to_string()),
        ("revision", event.revision.to_string()),
        ("position", event.position.to_string()),
        ("id", new.id.to_string()),
        ("kind", format!("{} v{}", new.kind, new.version)),
        ("time", rfc3339::text(new.time)),
        ("actor", new.actor.to_string()),
        ("provenance", new.provenance.to_string()),
        ("rules", new.rules.to_string()),
    ];
    facts.extend(new.causation.map(|id| ("causation", id.to_string())));
    facts.extend(new.correlation.map(|id| ("correlation", id.to_string())));
    facts.push(("leaf", leaf.to_string()));
    facts.push(("data", new.data.as_str().to_owned()));
    facts.extend(problem(&event).map(|problem| ("problem", problem)));
    Document::of(&record(log, &event)).facts(facts)
}

fn record(log: &EmbeddedLog, event: &RawEvent) -> EventShown {
    let new = &event.event;
    EventShown {
        actor: new.actor.clone(),
        causation: new.causation,
        correlation: new.correlation,
        data: new.data.clone(),
        id: new.id,
        kind: new.kind.to_string(),
        log: log.id(),
        position: event.position,
        provenance: new.provenance,
        revision: event.revision,
        rules: new.rules,
        stream: event.stream.clone(),
        time: new.time,
        version: new.version,
        leaf: event.leaf(log.id()),
        problem: problem(event),
    }
}

fn row(event: &RawEvent) -> Vec<String> {
    let new = &event.event;
    let data = match problem(event) {
        Some(problem) => format!("unreadable: {problem}"),
        None => new.data.as_str().to_owned(),
    };
    vec![
        event.revision.to_string(),
        event.position.to_string(),
        rfc3339::text(new.time),
        new.kind.to_string(),
        new.actor.to_string(),
        shortened(&data),
    ]
}

/// Why this build cannot read the payload, if it cannot.
fn problem(event: &RawEvent) -> Option<String> {
    event.decode().event.err().map(|error| error.to_string())
}

/// What the declarations of a chain's rules changed, event by event: whoever agrees to them compares these.
fn changed_rules(events: &[RawEvent]) -> Vec<Vec<String>> {
    let mut known: Option<Policy> = None;
    let changes = events.iter().map(|event| {
        let Ok(Event::Chain(seen)) = event.decode().event else { return Vec::new() };
        let Some(declared) = recovery::observe::declared(&seen) else { return Vec::new() };
        let differ = known.as_ref().map(|known| chain::differences(known, &declared)).unwrap_or_default();
        known = Some(declared);
        differ.iter().map(chain::Change::told).collect()
    });
    changes.collect()
}

fn is_cut(event: &RawEvent) -> bool {
    event.event.data.as_str().chars().nth(CELL_LETTERS_MAX).is_some()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(CELL_LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
