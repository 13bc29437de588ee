//! The command line: what can be typed, what it means, and how a run ends. One file a verb below `cli/`; results are
//! printed by [`render`], errors by [`error`], and nowhere else. Nothing imports this module but `main`.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use wox_events::{Actor, id::is_same_person};

use crate::{exit_code::ExitCode, recovery::finding::engine_actor};

pub mod as_of;
pub mod config;
pub mod error;
pub mod input;
pub mod interrupt;
pub mod progress;
pub mod render;
pub mod shapes;
pub mod time;

mod append;
mod apply;
mod approve;
mod assess;
mod bisect;
mod called;
mod chain;
mod completions;
mod config_show;
mod demo;
mod diff;
mod digest;
mod doctor;
mod evidence;
mod explain;
mod export;
mod fork;
mod game_db;
mod import;
mod init;
mod man;
mod observe;
mod plan;
mod plan_view;
mod player;
mod reason;
mod rebuild;
mod reconcile;
mod recover;
mod schema;
mod show;
mod spelling;
mod standing;
mod state;
mod status;
mod stdout;
mod store;
mod verify;

use as_of::AsOf;
use called::Called;
pub use error::CliError;
use interrupt::Interrupt;
use render::Output;

/// Everything that can be typed.
#[derive(Debug, Parser)]
#[command(
    name = "wox",
    version,
    about = "Recover a broken Wizards of X: replay, diagnose, plan, approve, apply exactly once, prove",
    before_help = "\
Examples:
  wox demo                               make a broken game, find what is wrong, plan the repair
  wox plan                               say what is wrong in a store and what would repair it
  wox apply wox-demo/demo.plan           carry the plan out, exactly once
  wox verify                             check every byte of the store",
    after_help = EXIT_CODES,
    after_long_help = EXIT_CODES,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done or nothing to do   1 failed                2 usage
  3 differences found or a plan is pending          4 refused
  5 integrity failure       6 finished with unknown outcomes
  130 interrupted";

/// Flags that every command takes, before or behind its name.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Directory of the event log [default: wox-store] [env: WOX_STORE]
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How results are printed [default: table] [env: WOX_OUTPUT]
    #[arg(long, global = true, value_name = "FORMAT")]
    output: Option<Output>,
    /// Look at an earlier state: a position, an RFC 3339 time or an event id [env: WOX_AS_OF]
    #[arg(long, global = true, value_name = "POINT")]
    as_of: Option<AsOf>,
    /// How progress is shown on stderr [default: auto] [env: WOX_PROGRESS]
    #[arg(long, global = true, value_name = "STYLE")]
    progress: Option<progress::Style>,
    /// When to use colour [default: auto] [env: WOX_COLOR, NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<Color>,
    /// Your name, recorded with what you do [default: system user name] [env: WOX_ACTOR]
    #[arg(long = "as", global = true, value_name = "ACTOR")]
    actor: Option<String>,
    /// File with settings [default: wox.toml, if there] [env: WOX_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more about what happens; twice or three times for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Everywhere but in machine formats
    Always,
    /// Nowhere
    Never,
}

/// The verbs, in the order a new user meets them.
#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Append(append::AppendArgs),
    Verify(verify::VerifyArgs),
    Fork(fork::ForkArgs),
    Digest(digest::DigestArgs),
    Show(show::ShowArgs),
    State(state::StateArgs),
    Diff(diff::DiffArgs),
    Rebuild(rebuild::RebuildArgs),
    Assess(assess::AssessArgs),
    Bisect(bisect::BisectArgs),
    Explain(explain::ExplainArgs),
    Observe(observe::ObserveArgs),
    Plan(plan::PlanArgs),
    Approve(approve::ApproveArgs),
    Apply(apply::ApplyArgs),
    Recover(recover::RecoverArgs),
    Reconcile(reconcile::ReconcileArgs),
    Schema(schema::SchemaArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Config(config_show::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Verb {
    /// The store of a verb that has one of its own, unless another is named.
    fn store(&self) -> Option<PathBuf> {
        matches!(self, Verb::Demo(_)).then(|| PathBuf::from(demo::STORE_DEFAULT))
    }

    /// True for verbs that look at one state of the log and can look at an earlier one.
    fn takes_as_of(&self) -> bool {
        match self {
            Verb::Bisect(_)
            | Verb::Diff(_)
            | Verb::Explain(_)
            | Verb::Export(_)
            | Verb::Digest(_)
            | Verb::Show(_)
            | Verb::State(_)
            | Verb::Plan(_)
            | Verb::Recover(_) => true,
            Verb::Demo(_)
            | Verb::Verify(_)
            | Verb::Fork(_)
            | Verb::Approve(_)
            | Verb::Apply(_)
            | Verb::Init(_)
            | Verb::Import(_)
            | Verb::Append(_)
            | Verb::Assess(_)
            | Verb::Observe(_)
            | Verb::Rebuild(_)
            | Verb::Reconcile(_)
            | Verb::Schema(_)
            | Verb::Status(_)
            | Verb::Doctor(_)
            | Verb::Config(_)
            | Verb::Completions(_)
            | Verb::Man(_) => false,
        }
    }
}

/// What a verb may use: the resolved settings, who runs it, and whether to stop.
#[derive(Clone, Debug)]
pub struct Context {
    /// Every setting with its origin.
    pub settings: config::Settings,
    /// Directory of the event log.
    pub store: PathBuf,
    /// How results are printed.
    pub output: Output,
    /// How progress is shown.
    pub progress: progress::Style,
    /// The earlier state asked for.
    pub as_of: Option<AsOf>,
    /// Who runs the command; recorded with every operator act.
    pub actor: Actor,
    /// True when hints are unwanted.
    pub quiet: bool,
    /// How the program was called.
    pub called: Called,
    /// Set when the operator wants to stop.
    pub interrupt: Interrupt,
    /// Up to where the log was when its account was last given: a command that folds it twice says so once.
    pub accounted: Arc<AtomicU64>,
    /// Set once a store was read of which nobody can say that all acknowledged events are in it.
    pub incomplete: Arc<AtomicBool>,
}

impl Context {
    /// How a command is typed that comes after this one: every `wox …` that begins one in the text is called as this one
    /// was, on the same store and with the same settings. What is printed for people only; data stays `wox …`.
    #[must_use]
    pub fn pasteable(&self, text: impl AsRef<str>) -> String {
        self.called.pasteable(text.as_ref())
    }

    /// Says something beside the result, on stderr: what was read, what to do next. Its commands can be pasted.
    pub fn say(&self, text: impl AsRef<str>) {
        self.tell(self.pasteable(text));
    }

    /// Says something that holds what others wrote: nothing in it is taken for a command.
    pub fn tell(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // Nobody hears a hint when stderr is closed; the result still counts.
            let _unheard = writeln!(io::stderr(), "{}", text.as_ref());
        }
    }
}

/// Runs the command line of this process. The only function `main` calls.
#[must_use]
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let for_programs = asks_for_json(&typed);
    let cli = match parse(&typed) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, for_programs),
    };
    let colour = stderr_colour(cli.global.color);
    let mut output = if for_programs { Output::Json } else { Output::Table };
    let mut called = Called::with(&cli.global);
    let result = stdout::check().and_then(|()| resolve(cli.global)).and_then(|mut start| {
        output = start.output;
        if let Some(store) = cli.verb.store().filter(|_| start.settings.get("store").origin == "default") {
            start.store = store;
            called = called.clone().on(&start.store);
        }
        run(cli.verb, start, called.clone())
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            report(&error.pasteable(&called), output, colour);
            code
        }
    }
}

fn parse(typed: &[OsString]) -> Result<Cli, clap::Error> {
    // Clap knows NO_COLOR and CLICOLOR_FORCE; `--color never` must count for its own messages too.
    let wanted = typed.windows(2).find(|pair| pair[0] == "--color").map(|pair| pair[1].clone());
    let wanted = wanted.or_else(|| typed.iter().find_map(|word| Some(word.to_str()?.strip_prefix("--color=")?.into())));
    let choice = match wanted.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    };
    let matches = Cli::command().color(choice).try_get_matches_from(typed)?;
    Cli::from_arg_matches(&matches)
}

fn usage(error: &clap::Error, for_programs: bool) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let wanted = matches!(error.kind(), DisplayHelp | DisplayVersion);
    if for_programs && !wanted {
        let text = error.render().to_string();
        let what = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default().trim().to_owned();
        let error = CliError::usage("wox::usage", what).next("wox help");
        report(&error.pasteable(&Called::plain()), Output::Json, false);
    } else if let Err(error) = if wanted { stdout::check() } else { Ok(()) } {
        report(&error, Output::Table, false);
        return error.exit_code();
    } else if let Err(error) = error.print() {
        let error = CliError::output(error);
        report(&error, Output::Table, false);
        return error.exit_code();
    }
    if wanted { ExitCode::Done } else { ExitCode::Usage }
}

fn asks_for_json(typed: &[OsString]) -> bool {
    let is_json = |word: &OsString| word == "json" || word == "jsonl";
    typed.windows(2).any(|pair| pair[0] == "--output" && is_json(&pair[1]))
        || typed.iter().any(|word| word == "--output=json" || word == "--output=jsonl")
}

/// Everything that flags, environment and file say, before anything runs.
struct Start {
    settings: config::Settings,
    store: PathBuf,
    output: Output,
    progress: progress::Style,
    as_of: Option<AsOf>,
    actor: Actor,
    quiet: bool,
    verbose: u8,
}

fn resolve(global: GlobalArgs) -> Result<Start, CliError> {
    let mut flags = Vec::new();
    if let Some(store) = &global.store {
        let store = store.to_str().ok_or_else(|| {
            CliError::usage("wox::config::value", "the store's path is not valid UTF-8")
                .next("choose a directory whose name is valid UTF-8")
        })?;
        flags.push(("store", "--store", store.to_owned()));
    }
    if let Some(output) = global.output {
        flags.push(("output", "--output", output.to_string()));
    }
    if let Some(progress) = global.progress {
        flags.push(("progress", "--progress", progress.to_string()));
    }
    if let Some(color) = global.color {
        flags.push(("color", "--color", format!("{color:?}").to_lowercase()));
    }
    if let Some(actor) = &global.actor {
        flags.push(("actor", "--as", actor.clone()));
    }
    let settings = config::resolve(&config::Sources::of_process(flags, global.config))?;
    let actor = settings.get("actor");
    let actor = Actor::new(&actor.value).map_err(|error| {
        CliError::usage("wox::config::value", "the actor's name cannot be recorded")
            .at("origin", &actor.origin)
            .next("give a name in printable ASCII without spaces: --as alice")
            .caused_by(error)
    })?;
    is_a_person(actor.as_str()).map_err(|error| error.at("origin", &settings.get("actor").origin))?;
    settings.value::<Color>("color")?;
    let progress = if global.quiet { progress::Style::None } else { settings.value("progress")? };
    Ok(Start {
        store: PathBuf::from(&settings.get("store").value),
        output: settings.value("output")?,
        progress,
        as_of: global.as_of,
        actor,
        quiet: global.quiet,
        verbose: global.verbose,
        settings,
    })
}

/// Who acts or decides is a person. What the engine appends by itself stands in its own name: as that nobody is another one.
fn is_a_person(name: &str) -> Result<(), CliError> {
    match is_same_person(name, engine_actor()) {
        true => Err(CliError::usage("wox::config::engine", format!("`{name}` is the engine itself, and no person"))
            .next("give the name of whoever it is: --as alice, WOX_ACTOR, or --second bob for another person")),
        false => Ok(()),
    }
}

fn run(verb: Verb, start: Start, called: Called) -> Result<ExitCode, CliError> {
    if start.as_of.is_some() && !verb.takes_as_of() {
        return Err(CliError::usage("wox::as-of::unused", "this command does not look at an earlier state")
            .next("leave --as-of out"));
    }
    let as_of = match start.as_of {
        Some(point) => Some(point),
        None if verb.takes_as_of() => as_of_variable()?,
        None => None,
    };
    log_to_stderr(start.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        CliError::failed("wox::runtime", "the threads that do the work cannot be started").caused_by(error)
    })?;
    let result = runtime.block_on(async {
        let context = Context {
            settings: start.settings,
            store: start.store,
            output: start.output,
            progress: start.progress,
            as_of,
            actor: start.actor,
            quiet: start.quiet,
            called,
            interrupt: Interrupt::listen(),
            accounted: Arc::new(AtomicU64::new(u64::MAX)),
            incomplete: Arc::new(AtomicBool::new(false)),
        };
        let incomplete = context.incomplete.clone();
        let code = dispatch(verb, context).await?;
        // Whatever was found in it: what is missing may say something else.
        let result = matches!(code, ExitCode::Done | ExitCode::Differences | ExitCode::Unknown);
        Ok(if result && incomplete.load(Ordering::Relaxed) { ExitCode::Integrity } else { code })
    });
    // A thread that still waits for input must not keep the process: its work has been judged already.
    runtime.shutdown_background();
    result
}

/// `WOX_AS_OF`, as `wox bisect --run` sets it; commands that look at no earlier state are not concerned.
fn as_of_variable() -> Result<Option<AsOf>, CliError> {
    let Some(text) = std::env::var("WOX_AS_OF").ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    let point = text.parse().map_err(|error: as_of::NoPoint| {
        CliError::usage("wox::as-of::value", format!("WOX_AS_OF is `{text}`: {error}")).next("correct it or unset it")
    });
    point.map(Some)
}

async fn dispatch(verb: Verb, context: Context) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Demo(args) => demo::run(args, context).await,
        Verb::Verify(args) => verify::run(args, context).await,
        Verb::Fork(args) => fork::run(args, context).await,
        Verb::Digest(args) => digest::run(args, context).await,
        Verb::State(args) => state::run(args, context).await,
        Verb::Diff(args) => diff::run(args, context).await,
        Verb::Rebuild(args) => rebuild::run(args, context).await,
        Verb::Assess(args) => assess::run(args, context).await,
        Verb::Bisect(args) => bisect::run(args, context).await,
        Verb::Explain(args) => explain::run(args, context).await,
        Verb::Observe(args) => observe::run(args, context).await,
        Verb::Plan(args) => plan::run(args, context).await,
        Verb::Approve(args) => approve::run(args, context).await,
        Verb::Apply(args) => apply::run(args, context).await,
        Verb::Recover(args) => recover::run(args, context).await,
        Verb::Reconcile(args) => reconcile::run(args, context).await,
        Verb::Init(args) => init::run(args, context).await,
        Verb::Import(args) => import::run(args, context).await,
        Verb::Export(args) => export::run(args, context).await,
        Verb::Append(args) => append::run(args, context).await,
        Verb::Show(args) => show::run(args, context).await,
        Verb::Status(args) => status::run(args, context).await,
        Verb::Doctor(args) => doctor::run(args, context).await,
        Verb::Schema(args) => schema::run(args, context).await,
        Verb::Config(args) => config_show::run(args, context).await,
        Verb::Completions(args) => completions::run(args, context).await,
        Verb::Man(args) => man::run(args, context).await,
    }
}

/// Log lines go to stderr, above errors and warnings only when asked. `WOX_LOG` takes the usual filter text.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // What libraries say of single statements and certificates is no news to an operator: our own messages say it once.
    // -vvv shows it all the same.
    let (sqlx, tls) = if verbose > 2 { (level, level) } else { ("error", "off") };
    let asked = std::env::var("WOX_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = asked.unwrap_or_else(|| format!("{level},sqlx={sqlx},rustls_platform_verifier={tls}"));
    // A second subscriber in one process only happens in tests; the first one stays.
    let _already_set = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
}

fn report(error: &CliError, output: Output, colour: bool) {
    if error.kind() == error::ErrorKind::OutputClosed {
        return;
    }
    let text = if output.is_for_programs() {
        error.for_programs() + "\n"
    } else {
        let width = io::stderr().is_terminal().then_some(100);
        error.for_people(colour, width)
    };
    let _unheard = io::stderr().write_all(text.as_bytes());
}

/// Whether stderr gets colour. `NO_COLOR` and `CLICOLOR_FORCE` count when the flag leaves it open.
fn stderr_colour(flag: Option<Color>) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let wanted = flag.or_else(|| match set("WOX_COLOR")?.to_str()? {
        "always" => Some(Color::Always),
        "never" => Some(Color::Never),
        _ => None,
    });
    match wanted.unwrap_or_default() {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR").is_some() => false,
        Color::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Color::Auto => io::stderr().is_terminal() && set("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }
}
