//! `wox schema`: the kinds of events and the shape of each; the JSON shapes that commands print.

use schemars::JsonSchema;
use serde::Serialize;
use wox_events::{schema, upcast::current_version};

use crate::{
    cli::{
        CliError, Context,
        render::{Document, Output},
        shapes, spelling,
    },
    exit_code::ExitCode,
};

/// List the kinds of events, or print the JSON Schema of one
///
/// Beside the payloads of events it publishes every JSON shape that commands print with --output json or jsonl; each says
/// its name in the field `schema`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox schema                     every kind with its stream family and version
  wox schema DepositCredited     the JSON Schema of its payload
  wox schema record              the JSON Schema of one line of an export
  wox schema --shapes            every shape that commands print
  wox schema wox/plan/v1         the JSON Schema of one of them")]
pub(super) struct SchemaArgs {
    /// A kind such as DepositCredited, `record` for one line of an export, or a shape such as wox/plan/v1
    kind: Option<String>,
    /// List the shapes that commands print
    #[arg(long, conflicts_with = "kind")]
    shapes: bool,
}

/// The kinds of events.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kinds {
    /// Every one.
    kinds: Vec<KindLine>,
}

/// One kind.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KindLine {
    /// The family of streams it stands in.
    family: String,
    /// Its name.
    kind: &'static str,
    /// The newest version of its payload.
    version: u16,
}

/// The shapes that commands print.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Shapes {
    /// Every one.
    shapes: Vec<ShapeLine>,
}

/// One shape.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ShapeLine {
    /// Its name.
    name: &'static str,
    /// What prints it.
    by: &'static str,
}

pub(super) async fn run(args: SchemaArgs, context: Context) -> Result<ExitCode, CliError> {
    let Some(kind) = args.kind else {
        let list = if args.shapes { list_shapes() } else { list() };
        list.print(context.output)?;
        return Ok(ExitCode::Done);
    };
    if context.output == Output::Csv {
        return Err(CliError::usage("wox::schema::csv", "a JSON Schema is no list of records")
            .next("leave --output out; wox schema --output csv lists the kinds"));
    }
    let found = match kind.as_str() {
        "record" => Some(schema::record_schema()),
        name if name.contains('/') => {
            shapes::ALL.iter().find(|shape| shape.name == name).map(shapes::Published::schema)
        }
        kind => schema::kind_schema(kind),
    };
    let Some(found) = found else { return Err(unknown(&kind)) };
    // A schema is JSON whatever the output format: a table of it would help nobody.
    let text = if context.output == Output::Jsonl { found.to_string() } else { format!("{found:#}") };
    Document::raw(text).print(Output::Table)?;
    Ok(ExitCode::Done)
}

fn list() -> Document {
    let line = |(family, kind): (wox_events::Family, &'static str)| KindLine {
        family: family.to_string(),
        kind,
        version: current_version(kind),
    };
    let kinds: Vec<_> = schema::kinds().map(line).collect();
    let rows: Vec<_> =
        kinds.iter().map(|line| vec![line.family.clone(), line.kind.to_owned(), line.version.to_string()]).collect();
    Document::of(&Kinds { kinds }).records::<KindLine>("kinds").table(["family", "kind", "version"], rows)
}

fn list_shapes() -> Document {
    let shapes = shapes::ALL.iter().map(|shape| ShapeLine { name: shape.name, by: shape.by }).collect();
    let rows = shapes::ALL.iter().map(|shape| vec![shape.name.to_owned(), shape.by.to_owned()]);
    Document::of(&Shapes { shapes }).records::<ShapeLine>("shapes").table(["shape", "printed by"], rows)
}

fn unknown(kind: &str) -> CliError {
    let (what, known, all): (_, Vec<&str>, _) = match kind.contains('/') {
        true => ("shape", shapes::ALL.iter().map(|shape| shape.name).collect(), "wox schema --shapes lists all shapes"),
        false => ("kind", schema::kinds().map(|(_, known)| known).collect(), "wox schema lists all kinds"),
    };
    let error = CliError::usage("wox::schema::unknown-kind", format!("no {what} is called `{kind}`"));
    let near = spelling::nearest(kind, known);
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `wox schema {near}`?")));
    error.next(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_kind_suggests_the_right_one() {
        assert!(unknown("DepositCreditd").for_programs().contains("DepositCredited"));
        assert!(unknown("wox/plam/v1").for_programs().contains("wox/plan/v1"));
        assert!(!unknown("xyzzy").for_programs().contains("did you mean"));
    }
}
