//! The form with a command: it judges one position after the other; every verdict is written down before the next look.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use wox_events::{Digest, LogId, Position};

use super::{BisectArgs, BisectResult, Look, bad_event, print};
use crate::{
    audit::bisect::{Judged, Next, Search},
    cli::{CliError, Context, render::Shape},
    command,
    exit_code::ExitCode,
    log::{EmbeddedLog, EventLog as _},
};

/// The first line of a transcript: what the search is about.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(in crate::cli) struct Header {
    schema: String,
    /// The log that was searched.
    log: LogId,
    /// Its root at the bad end: the same history, not only the same log.
    root: Digest,
    good: Position,
    bad: Position,
    run: Vec<String>,
}

/// Every other line: one verdict.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct Verdict {
    position: Position,
    judged: Judged,
    exit: i32,
}

const SCHEMA: &str = <Header as Shape>::NAME;

/// A hunt under way.
struct Hunt<'a> {
    header: Header,
    looks: Vec<Verdict>,
    transcript: Option<(File, &'a Path)>,
    context: &'a Context,
}

pub(super) async fn start(
    args: &BisectArgs,
    (good, bad): (Position, Position),
    log: &EmbeddedLog,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let head = log.head().await?;
    let root = log.root_at(bad).await?;
    let header = Header { schema: SCHEMA.into(), log: head.log, root, good, bad, run: args.run.clone() };
    let mut hunt = Hunt { header, looks: Vec::new(), transcript: None, context };
    if let Some(path) = &args.log {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
            CliError::failed("wox::bisect::log", "the transcript cannot be made")
                .at("file", path.display())
                .next("name a file that is not there yet, or go on from it with --replay")
                .caused_by(error)
        })?;
        hunt.transcript = Some((file, path));
        let header = hunt.header.clone();
        hunt.write(&header)?;
    }
    hunt.run(log).await
}

pub(super) async fn go_on(
    path: &Path,
    args: &BisectArgs,
    log: &EmbeddedLog,
    context: &Context,
) -> Result<ExitCode, CliError> {
    let unusable = |what: String| {
        CliError::usage("wox::bisect::replay", what).at("file", path.display()).next("wox bisect --log FILE writes one")
    };
    if !path.is_file() {
        return Err(unusable("there is no transcript".into()));
    }
    let open = OpenOptions::new().read(true).write(true).open(path);
    let mut file = open.map_err(|error| unusable("the transcript cannot be opened".into()).caused_by(error))?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| unusable("the transcript cannot be read".into()).caused_by(error))?;
    // A line without its end was being written when the search was killed: that position is judged again.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        context.say("the last line of the transcript is incomplete: its position is judged again");
        let cut = file.set_len(whole as u64).and_then(|()| file.seek(std::io::SeekFrom::End(0)));
        cut.map_err(|error| unusable("the transcript cannot be written".into()).caused_by(error))?;
    }
    let mut lines = text[..whole].lines();
    let header: Header = serde_json::from_str(lines.next().unwrap_or_default())
        .map_err(|error| unusable("line 1 is no header of a search".into()).caused_by(error))?;
    if header.schema != SCHEMA {
        return Err(unusable(format!("the transcript has schema {}, this build reads {SCHEMA}", header.schema)));
    }
    let head = log.head().await?;
    if header.log != head.log || header.bad > head.position || log.root_at(header.bad).await? != header.root {
        return Err(CliError::refused("wox::bisect::other-log", "the transcript is about another history")
            .at("file", path.display())
            .next("name the store it was made on with --store"));
    }
    let mut looks = Vec::new();
    for (index, line) in lines.enumerate() {
        looks.push(
            serde_json::from_str(line)
                .map_err(|error| unusable(format!("line {} is no verdict", index + 2)).caused_by(error))?,
        );
    }
    if !args.run.is_empty() && args.run != header.run {
        return Err(unusable(format!("the transcript is about the command `{}`", header.run.join(" "))));
    }
    let hunt = Hunt { header, looks, transcript: Some((file, path)), context };
    hunt.run(log).await
}

impl Hunt<'_> {
    async fn run(mut self, log: &EmbeddedLog) -> Result<ExitCode, CliError> {
        let Header { good, bad, .. } = self.header;
        match self.look(bad).await? {
            Judged::Bad => {}
            Judged::Good => return self.finish("none", None, None),
            Judged::Skip => return Err(unjudged("bad", bad)),
        }
        match self.look(good).await? {
            Judged::Good => {}
            Judged::Bad => {
                return Err(CliError::usage("wox::bisect::good-is-bad", "the command calls the good end bad")
                    .at("good", good)
                    .next("give an earlier --good, or look whether the command fails everywhere"));
            }
            Judged::Skip => return Err(unjudged("good", good)),
        }
        let mut search = Search::between(good, bad).ok_or_else(|| {
            CliError::usage("wox::bisect::ends", format!("the good end {good} is not before the bad end {bad}"))
                .next("--good names the earlier point")
        })?;
        for verdict in &self.looks {
            search.judge(verdict.position, verdict.judged).map_err(|contradiction| {
                CliError::usage("wox::bisect::contradiction", contradiction.to_string())
                    .next("remove the wrong verdict from the transcript, then go on with --replay")
            })?;
        }
        loop {
            match search.next() {
                Next::Look(position) => {
                    self.context.say(format!(
                        "good up to {}, bad at {}: about {} more to judge",
                        search.good(),
                        search.bad(),
                        search.looks_left()
                    ));
                    let judged = self.look(position).await?;
                    search
                        .judge(position, judged)
                        .map_err(|error| CliError::failed("wox::bisect", error.to_string()))?;
                }
                Next::Found(position) => {
                    let event = bad_event(log, position).await?;
                    return self.finish("found", Some(event), None);
                }
                Next::Among(from, to) => return self.finish("range", None, Some((from, to))),
            }
        }
    }

    /// What is known of a position, or what the command says of it.
    async fn look(&mut self, position: Position) -> Result<Judged, CliError> {
        if let Some(known) = self.looks.iter().rev().find(|verdict| verdict.position == position) {
            return Ok(known.judged);
        }
        let exit = self.ask(position).await?;
        let judged = match exit {
            0 => Judged::Good,
            125 => Judged::Skip,
            _ => Judged::Bad,
        };
        self.context.say(format!("position {position}: {judged} (exit {exit})"));
        let verdict = Verdict { position, judged, exit };
        self.write(&verdict)?;
        self.looks.push(verdict);
        Ok(judged)
    }

    async fn ask(&self, position: Position) -> Result<i32, CliError> {
        let run = &self.header.run;
        let [program, arguments @ ..] = run.as_slice() else {
            return Err(CliError::usage("wox::bisect::run", "there is no command to judge with").next("--run CMD"));
        };
        // The command may stand anywhere, so the store is named from the root.
        let store = std::path::absolute(&self.context.store).unwrap_or_else(|_| self.context.store.clone());
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env("WOX_STORE", store)
            .env("WOX_AS_OF", position.to_string())
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                CliError::usage("wox::bisect::run", format!("`{program}` cannot be run"))
                    .next("name a program, with its path when it is not on PATH; flags of wox stand before --run")
                    .caused_by(error)
            })?;
        let status = tokio::select! {
            biased;
            () = self.context.interrupt.wait() => {
                return Err(self.broken_off(CliError::interrupted(format!("stopped while position {position} was judged"))));
            }
            status = child.wait() => status,
        };
        let status = status.map_err(|error| {
            self.broken_off(CliError::failed("wox::bisect::run", "the command cannot be waited for").caused_by(error))
        })?;
        match status.code() {
            Some(code @ 0..=127) => Ok(code),
            _ if self.context.interrupt.asked() => {
                Err(self.broken_off(CliError::interrupted(format!("stopped while position {position} was judged"))))
            }
            _ => Err(self.broken_off(
                CliError::failed("wox::bisect::aborted", format!("the command ended with {status}"))
                    .at("position", position),
            )),
        }
    }

    /// Adds what is known so far, and how to go on.
    fn broken_off(&self, error: CliError) -> CliError {
        let of = |judged: Judged| self.looks.iter().filter(move |verdict| verdict.judged == judged);
        let good = of(Judged::Good).map(|verdict| verdict.position).max().unwrap_or(self.header.good);
        let bad = of(Judged::Bad).map(|verdict| verdict.position).min().unwrap_or(self.header.bad);
        let error = error.at("good up to", good).at("bad at", bad);
        match &self.transcript {
            Some((_, path)) => error.next(format!("wox bisect --replay {}", command::word(path.display()))),
            None => error.next(format!("run it again with --good {good} --bad {bad}, and with --log FILE next time")),
        }
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), CliError> {
        let Some((file, path)) = &mut self.transcript else { return Ok(()) };
        let mut text = serde_json::to_string(line).expect("a verdict is plain data");
        text.push('\n');
        file.write_all(text.as_bytes()).map_err(|error| {
            CliError::failed("wox::bisect::log", "the transcript cannot be written")
                .at("file", path.display())
                .next("free some space, then go on with --replay")
                .caused_by(error)
        })
    }

    fn finish(
        self,
        result: &'static str,
        first_bad: Option<super::BadEvent>,
        range: Option<(Position, Position)>,
    ) -> Result<ExitCode, CliError> {
        let Header { good, bad, run, .. } = self.header;
        let what = format!("`{}`", run.join(" "));
        let looks = self.looks.iter().map(|look| Look { position: look.position, judged: look.judged }).collect();
        let found = BisectResult {
            invariant: None,
            run: Some(run),
            good,
            bad,
            result,
            first_bad,
            range,
            mended: None,
            broken: None,
            looks: Some(looks),
        };
        print(&found, &what, self.context)
    }
}

fn unjudged(which: &str, position: Position) -> CliError {
    CliError::failed("wox::bisect::unjudged", format!("the command cannot judge the {which} end (exit 125)"))
        .at("position", position)
        .next(format!("give another --{which}"))
}
