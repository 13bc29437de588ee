//! How a command says that it failed: a stable code, what happened, where, the causes once each, and the next command.
//! The kind decides the exit code. Only this file knows how errors look; the texts come from the errors themselves.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{self, Write as _},
    io,
};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{called::Called, render::Shape as _},
    exit_code::ExitCode,
};

/// Why a command could not finish.
#[derive(Debug)]
pub struct CliError {
    kind: ErrorKind,
    code: &'static str,
    what: String,
    place: Vec<(&'static str, String)>,
    next: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What a caller does about an error; one exit code each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Repair what is named and run the command again.
    Failed,
    /// Correct the command line.
    Usage,
    /// Satisfy the guard that said no.
    Refused,
    /// Treat the store as damaged: run `wox verify`, keep a copy, restore.
    Integrity,
    /// Resume with the command that is named.
    Interrupted,
    /// Nobody reads the output any more; there is nobody to tell.
    OutputClosed,
}

/// An error as programs read it, on stderr.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ErrorLine {
    schema: &'static str,
    /// Stable, such as `wox::append::line`.
    code: &'static str,
    /// What happened.
    message: String,
    /// Where: a file, a line, a stream, a position, each as text.
    #[serde(rename = "where")]
    place: BTreeMap<&'static str, String>,
    /// Why, outermost first, each once.
    causes: Vec<String>,
    /// What to do next: commands or sentences.
    next: Vec<String>,
    /// The exit code of the run.
    exit: u8,
}

impl CliError {
    /// Something could not be looked at or carried out.
    pub fn failed(code: &'static str, what: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Failed, code, what)
    }

    /// The command line asks for something that does not exist or does not go together.
    pub fn usage(code: &'static str, what: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Usage, code, what)
    }

    /// A guard said no.
    pub fn refused(code: &'static str, what: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Refused, code, what)
    }

    /// Stored data is not what it must be.
    pub fn integrity(code: &'static str, what: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Integrity, code, what)
    }

    /// The operator asked to stop, and the command stopped at a safe point.
    pub fn interrupted(what: impl Into<String>) -> CliError {
        CliError::new(ErrorKind::Interrupted, "wox::interrupted", what)
    }

    /// The result could not be written.
    #[must_use]
    pub fn output(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError::new(ErrorKind::OutputClosed, "wox::output::closed", "nobody reads the output");
        }
        CliError::failed("wox::output::write", "the result could not be written")
            .next("free some space or choose another place for the output, then run the command again")
            .caused_by(error)
    }

    /// An error of a kind that is only known at run time.
    pub fn of(kind: ErrorKind, code: &'static str, what: impl Into<String>) -> CliError {
        CliError::new(kind, code, what)
    }

    fn new(kind: ErrorKind, code: &'static str, what: impl Into<String>) -> CliError {
        CliError { kind, code, what: what.into(), place: Vec::new(), next: Vec::new(), source: None }
    }

    /// Adds where it happened: a file, a line, a stream, a position. Machine output carries it as `where.<name>`.
    #[must_use]
    pub fn at(mut self, name: &'static str, value: impl fmt::Display) -> CliError {
        self.place.push((name, value.to_string()));
        self
    }

    /// Adds what to do next: a command, or a sentence. Several things may have the same next step: it is told once.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> CliError {
        let step = step.into();
        if !self.next.contains(&step) {
            self.next.push(step);
        }
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> CliError {
        self.source = Some(source.into());
        self
    }

    /// The error as it is told: the commands of its next steps can be pasted.
    #[must_use]
    pub(super) fn pasteable(mut self, called: &Called) -> CliError {
        self.next = self.next.iter().map(|step| called.pasteable(step)).collect();
        self
    }

    /// What a caller does about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do next.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.next
    }

    /// The exit code of a run that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            ErrorKind::Failed | ErrorKind::OutputClosed => ExitCode::Failed,
            ErrorKind::Usage => ExitCode::Usage,
            ErrorKind::Refused => ExitCode::Refused,
            ErrorKind::Integrity => ExitCode::Integrity,
            ErrorKind::Interrupted => ExitCode::Interrupted,
        }
    }

    /// The error for people, as it goes to stderr. `colour` and `unicode` say what that terminal can show; `width` is
    /// its columns, or `None` when the text goes to a file and lines must stay whole.
    #[must_use]
    pub fn for_people(&self, colour: bool, width: Option<usize>) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_break_words(false)
            .with_width(width.unwrap_or(400))
            .with_wrap_lines(width.is_some());
        let mut text = String::new();
        if handler.render_report(&mut text, &Report::of(self)).is_err() {
            text = format!("error: {self}\n");
        }
        // Never wrapped by us: a terminal gives a long line back as one when it is copied.
        let (on, off) = if colour { ("\u{1b}[36m", "\u{1b}[0m") } else { ("", "") };
        let steps = self.next.iter().flat_map(|step| step.lines());
        for (index, step) in steps.enumerate() {
            let margin = if index == 0 { format!("{on}  help: {off}") } else { " ".repeat(8) };
            let _infallible = writeln!(text, "{margin}{}", printable(step));
        }
        text
    }

    /// The error for programs: one JSON object on one line.
    #[must_use]
    pub fn for_programs(&self) -> String {
        let line = ErrorLine {
            schema: ErrorLine::NAME,
            code: self.code,
            message: self.what.clone(),
            place: self.place.iter().cloned().collect(),
            causes: self.causes(),
            next: self.next.clone(),
            exit: self.exit_code().number(),
        };
        serde_json::to_string(&line).expect("an error is plain text")
    }

    /// The messages of the causes, outermost first. A cause whose words already stand in the message above it is left
    /// out: errors of libraries often repeat their source.
    fn causes(&self) -> Vec<String> {
        let mut said = self.what.clone();
        let mut causes = Vec::new();
        let mut source: Option<&(dyn Error + 'static)> =
            self.source.as_deref().map(|source| source as &(dyn Error + 'static));
        while let Some(cause) = source {
            let words = cause.to_string();
            if !said.contains(&words) {
                said.clone_from(&words);
                causes.push(words);
            }
            source = cause.source();
        }
        causes
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The same error with its cause chain cleaned, in the shape miette draws.
#[derive(Debug)]
struct Report {
    code: Option<&'static str>,
    what: String,
    cause: Option<Box<Report>>,
}

impl Report {
    fn of(error: &CliError) -> Report {
        let cause = error
            .causes()
            .into_iter()
            .rev()
            .fold(None, |inner, what| Some(Box::new(Report { code: None, what: printable(&what), cause: inner })));
        let mut what = printable(&error.what);
        for (name, value) in &error.place {
            // Continuation lines keep the message readable when a path is long.
            let _infallible = write!(what, "\n{name}: {}", printable(value));
        }
        Report { code: Some(error.code), what, cause }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Report {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }
}

/// Text that may come from an event or a file, with everything a terminal would obey written as an escape.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        // The bidirectional controls are no `is_control`, yet they reorder what the reader sees around them.
        let reorders = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if char.is_control() || reorders {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {source}")]
    struct Repeats {
        source: io::Error,
    }

    fn sample() -> CliError {
        CliError::failed("wox::append::line", "the line is not valid JSON")
            .at("file", "game.jsonl")
            .at("line", 3)
            .next("correct the line and run the command again")
            .caused_by(Repeats { source: io::Error::other("disk on fire") })
    }

    #[test]
    fn a_cause_that_repeats_its_source_is_told_once() {
        assert_eq!(sample().causes(), ["outer: disk on fire"]);
    }

    #[test]
    fn people_see_code_place_cause_and_next_step_in_this_order() {
        let text = sample().for_people(false, None);
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle:?} is missing in {text}"));
        assert!(at("wox::append::line") < at("not valid JSON"));
        assert!(at("not valid JSON") < at("file: game.jsonl"));
        assert!(at("line: 3") < at("disk on fire"));
        assert!(at("disk on fire") < at("correct the line"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_step_is_told_once() {
        let text = sample().next("wox plan").next("wox plan").for_people(false, None);
        assert_eq!(text.matches("wox plan").count(), 1, "{text}");
    }

    #[test]
    fn programs_get_one_line_with_the_exit_code() {
        let line = sample().for_programs();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["where"]["line"], "3");
        assert_eq!(value["exit"], 1);
    }

    #[test]
    fn escape_sequences_of_a_message_never_reach_the_terminal() {
        let text = CliError::failed("wox::test", "evil \u{1b}[2J\u{202e}name").for_people(false, None);
        assert!(text.contains("evil \\u{1b}[2J\\u{202e}name"), "{text}");
    }

    #[test]
    fn every_kind_has_its_exit_code() {
        for (error, code) in [
            (CliError::failed("c", ""), 1),
            (CliError::usage("c", ""), 2),
            (CliError::refused("c", ""), 4),
            (CliError::integrity("c", ""), 5),
            (CliError::interrupted(""), 130),
            (CliError::output(io::ErrorKind::BrokenPipe.into()), 1),
        ] {
            assert_eq!(error.exit_code().number(), code);
        }
    }
}
