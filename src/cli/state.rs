//! `wox state`: what the events mean, as of any position.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use wox_events::Digest;
use wox_projections::{Projection as _, State, outbox::Outbox};

use crate::{
    cli::{CliError, Context, as_of, digest::ProjectionDigest, evidence, progress::Progress, render::Document, store},
    exit_code::ExitCode,
};

/// Show what the events mean: one projection, or one thing in it
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox state                             the projections and their digests
  wox state players                     every player
  wox state players 1042                one player
  wox state outbox                      the notices that wait to be sent
  wox state ledger --as-of 5000         the money at an earlier position")]
pub(super) struct StateArgs {
    /// One of the projections
    projection: Option<String>,
    /// A player, duel, tournament, … in it
    key: Option<String>,
}

/// The projections there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StateReport {
    /// The last event that was folded.
    as_of: u64,
    /// The digest of the whole state.
    state: Digest,
    /// The digest of each projection.
    projections: Vec<ProjectionDigest>,
}

/// One projection, whole. What is in it follows from the folds and changes with them.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WholeProjection {
    /// Its name.
    projection: String,
    /// The last event that was folded.
    as_of: u64,
    /// Its fields.
    value: Map<String, Value>,
}

/// One entry of one map of a projection.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectionLine {
    /// The map.
    map: String,
    /// The entry's key.
    key: String,
    /// The entry.
    value: Value,
}

/// One thing in a projection.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectionEntry {
    /// The projection.
    projection: String,
    /// What was asked for.
    key: String,
    /// The last event that was folded.
    as_of: u64,
    /// What stands there.
    value: Value,
}

pub(super) async fn run(args: StateArgs, context: Context) -> Result<ExitCode, CliError> {
    if let Some(name) = &args.projection
        && !State::PROJECTIONS.contains(&name.as_str())
    {
        return Err(CliError::usage("wox::state::projection", format!("there is no projection `{name}`"))
            .next(format!("use one of: {}", State::PROJECTIONS.join(", "))));
    }
    let log = store::open_to_read(&context).await?;
    let until = as_of::position(&log, &context).await?;
    let progress = Progress::new(context.progress, 1);
    let evidence = evidence::gather(&log, until, evidence::threads(None), &context, progress, 1).await?;
    let state = &evidence.replay.state;
    let document = match (&args.projection, &args.key) {
        (None, _) => overview(state, evidence.as_of.0),
        (Some(name), None) => whole(name, &projection(state, name)?, evidence.as_of.0),
        (Some(name), Some(key)) => one(name, key, &projection(state, name)?, evidence.as_of.0)?,
    };
    document.print(context.output)?;
    if let (Some(name), None) = (&args.projection, &args.key) {
        context.say(format!("`wox state {name} KEY` shows one of them whole"));
    }
    evidence::damage_error(&evidence, &context).map_or(Ok(ExitCode::Done), Err)
}

fn overview(state: &State, as_of: u64) -> Document {
    let digests = state.digests();
    let projections = ProjectionDigest::list(&digests);
    let document = Document::of(&StateReport { as_of, state: state.digest(), projections })
        .records::<ProjectionDigest>("projections")
        .facts([("as of position", as_of.to_string()), ("state", state.digest().to_string())]);
    ProjectionDigest::table(document, &digests)
}

/// A projection as JSON. Its fields are its own business; here it is data.
fn projection(state: &State, name: &str) -> Result<Map<String, Value>, CliError> {
    let value = match name {
        "players" => serde_json::to_value(&state.players),
        "duels" => serde_json::to_value(&state.duels),
        "tournaments" => serde_json::to_value(&state.tournaments),
        "deposits" => serde_json::to_value(&state.deposits),
        "withdrawals" => serde_json::to_value(&state.withdrawals),
        "burns" => serde_json::to_value(&state.burns),
        "pool" => serde_json::to_value(&state.pool),
        "ledger" => serde_json::to_value(&state.ledger),
        "agents" => serde_json::to_value(&state.agents),
        "commands" => serde_json::to_value(&state.commands),
        "recoveries" => serde_json::to_value(&state.recoveries),
        "ops" => serde_json::to_value(&state.ops),
        "outbox" => serde_json::to_value(&state.outbox),
        "chain" => serde_json::to_value(&state.chain),
        _ => serde_json::to_value(&state.conservation),
    };
    match value {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Ok(Map::from_iter([(name.to_owned(), other)])),
        Err(error) => Err(CliError::failed("wox::state::json", format!("projection {name} cannot be shown as JSON"))
            .next("report this")
            .caused_by(error)),
    }
}

fn whole(name: &str, fields: &Map<String, Value>, as_of: u64) -> Document {
    let body = WholeProjection { projection: name.to_owned(), as_of, value: fields.clone() };
    let mut document = Document::of(&body);
    let mut records = Vec::new();
    for (field, value) in fields {
        document = match entries(value) {
            Some(entries) => {
                records.extend(entries.iter().map(|(key, value)| ProjectionLine {
                    map: field.clone(),
                    key: key.clone(),
                    value: value.clone(),
                }));
                let document = document.line(format!("{field} ({})", entries.len()));
                if name == Outbox::NAME && field == "pending" {
                    // People come here to read them.
                    let fact = |value: &Value, field: &str| value.get(field).map(text).unwrap_or_default();
                    let row = |(key, value)| vec![key, fact(&value, "audience"), fact(&value, "text")];
                    document.table(["notice", "to", "text"], entries.into_iter().map(row).collect::<Vec<_>>())
                } else {
                    let rows: Vec<_> = entries.into_iter().map(|(key, value)| vec![key, cell(&value)]).collect();
                    document.table([name, "value"], rows)
                }
            }
            None => document.facts([(field.clone(), text(value))]),
        };
    }
    if !records.is_empty() {
        document = document.rows(&records);
    }
    document
}

fn one(name: &str, key: &str, fields: &Map<String, Value>, as_of: u64) -> Result<Document, CliError> {
    let entry = |value: &Value| ProjectionEntry {
        projection: name.to_owned(),
        key: key.to_owned(),
        as_of,
        value: value.clone(),
    };
    for value in fields.values() {
        let found = entries(value).and_then(|entries| entries.into_iter().find(|(entry, _)| entry == key));
        if let Some((_, found)) = found {
            let document = Document::of(&entry(&found));
            return Ok(match found {
                Value::Object(fields) => {
                    document.facts(fields.iter().map(|(field, value)| (field.clone(), text(value))))
                }
                other => document.facts([(key.to_owned(), text(&other))]),
            });
        }
    }
    if let Some(value) = fields.get(key) {
        return Ok(Document::of(&entry(value)).facts([(key.to_owned(), text(value))]));
    }
    Err(CliError::failed("wox::state::no-key", format!("projection {name} has nothing called `{key}`"))
        .at("as of position", as_of)
        .next(format!("wox state {name}")))
}

/// The entries of a map by name; maps with keys that are no texts are written as lists of pairs.
fn entries(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Object(map) => Some(map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
        Value::Array(pairs) if !pairs.is_empty() => pairs
            .iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([key, value]) => Some((text(key), value.clone())),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Most letters of a value in a table cell.
const CELL_LETTERS_MAX: usize = 60;

/// A value in one cell; a longer one is cut with `…` and shown whole by `wox state NAME KEY`.
fn cell(value: &Value) -> String {
    let whole = text(value);
    match whole.char_indices().nth(CELL_LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
