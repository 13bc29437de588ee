//! `wox recover WHAT`: what something is wrong with, of one sort.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{CliError, Context, as_of, evidence, progress::Progress, render::Document, store},
    command,
    exit_code::ExitCode,
    recovery::{Finding, diagnose},
};

/// What is wrong with things of one sort.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct FindingsReport {
    /// Every one.
    findings: Vec<Finding>,
}

/// Lists the subjects of one sort that something is wrong with.
pub(super) async fn list(category: &str, context: &Context) -> Result<ExitCode, CliError> {
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
    let first = findings.first().map(|finding| finding.subject.clone());
    Document::of(&FindingsReport { findings })
        .records::<Finding>("findings")
        .table(["subject", "severity", "code", "since", "what"], rows)
        .print(context.output)?;
    if let Some(error) = evidence::damage_error(&evidence, context) {
        return Err(error);
    }
    match first {
        None => Ok(ExitCode::Done),
        Some(subject) => {
            context.say(format!("next: {}", command::wox(["recover", subject.as_str()])));
            Ok(ExitCode::Differences)
        }
    }
}
