//! `wox schema`: the kinds of events and the shape of each.

use serde_json::json;
use wox_events::{schema, upcast::current_version};

use crate::{
    cli::{
        CliError, Context,
        render::{Document, Output},
        spelling,
    },
    exit_code::ExitCode,
};

/// List the kinds of events, or print the JSON Schema of one
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox schema                     every kind with its stream family and version
  wox schema DepositCredited     the JSON Schema of its payload
  wox schema record              the JSON Schema of one line of an export")]
pub(super) struct SchemaArgs {
    /// A kind such as DepositCredited, or `record` for one line of an export
    kind: Option<String>,
}

pub(super) async fn run(args: SchemaArgs, context: Context) -> Result<ExitCode, CliError> {
    let Some(kind) = args.kind else {
        list().print(context.output)?;
        return Ok(ExitCode::Done);
    };
    if context.output == Output::Csv {
        return Err(CliError::usage("wox::schema::csv", "a JSON Schema is no list of records")
            .next("leave --output out; wox schema --output csv lists the kinds"));
    }
    let found = if kind == "record" { Some(schema::record_schema()) } else { schema::kind_schema(&kind) };
    let Some(found) = found else { return Err(unknown(&kind)) };
    // A schema is JSON whatever the output format: a table of it would help nobody.
    let text = if context.output == Output::Jsonl { found.to_string() } else { format!("{found:#}") };
    Document::raw(text).print(Output::Table)?;
    Ok(ExitCode::Done)
}

fn list() -> Document {
    let kinds: Vec<_> = schema::kinds()
        .map(|(family, kind)| json!({"family": family.to_string(), "kind": kind, "version": current_version(kind)}))
        .collect();
    let rows = schema::kinds()
        .map(|(family, kind)| vec![family.to_string(), kind.to_owned(), current_version(kind).to_string()]);
    Document::new("wox/kinds/v1", &json!({"kinds": kinds})).records("kinds").table(["family", "kind", "version"], rows)
}

fn unknown(kind: &str) -> CliError {
    let error = CliError::usage("wox::schema::unknown-kind", format!("no kind is called `{kind}`"));
    let near = spelling::nearest(kind, schema::kinds().map(|(_, known)| known));
    let error = near.into_iter().fold(error, |error, near| error.next(format!("did you mean `wox schema {near}`?")));
    error.next("wox schema lists all kinds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_kind_suggests_the_right_one() {
        assert!(unknown("DepositCreditd").for_programs().contains("DepositCredited"));
        assert!(!unknown("xyzzy").for_programs().contains("did you mean"));
    }
}
