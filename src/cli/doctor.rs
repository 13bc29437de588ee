//! `wox doctor`: the usual reasons why things do not work, each looked at, each with a fix.

use std::{collections::BTreeSet, fs::File, path::Path};

use schemars::JsonSchema;
use serde::Serialize;
use strum::VariantArray as _;
use wox_events::{
    Duration, Position, Timestamp,
    chain::{Answer, SourceKind, Standing},
    upcast,
};
use wox_projections::verdict::quorum::Policy;

use crate::{
    cli::{
        CliError, Context, chain, game_db,
        render::{Document, grouped},
        standing, store, time,
    },
    command,
    exit_code::ExitCode,
    log::{EventLog as _, embedded::watermark_of},
    rfc3339,
    tables::Table,
};

/// Look for the usual causes of trouble; say how to fix each
///
/// Exit code 1 when a check fails. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  wox doctor
  wox doctor --output json | jq '.checks[] | select(.result != \"ok\")'")]
pub(super) struct DoctorArgs {}

/// Below this a sealed page and its journal may not fit.
const DISK_BYTES_FAIL: u64 = 64 << 20;
/// Below this somebody should act soon.
const DISK_BYTES_WARN: u64 = 1 << 30;
/// A newest event further in the future than this means that two clocks disagree.
const CLOCK_SKEW_WARN: Duration = Duration::seconds(300);
/// A certificate that ends sooner needs somebody: two weeks.
const CERTIFICATE_WARN: Duration = Duration::seconds(14 * 24 * 60 * 60);
/// This program did not exist earlier: a clock before it is not set. 2026-01-01.
const CLOCK_MIN: Timestamp = Timestamp(1_767_225_600_000_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// The settings do not name it: not looked at.
    NotSet,
    Ok,
    Warn,
    Fail,
}

/// Everything that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DoctorReport {
    /// The worst of the checks.
    result: Outcome,
    /// All of them.
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Check {
    /// What.
    name: String,
    /// How it is.
    result: Outcome,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, found: impl Into<String>) -> Check {
        Check { name: name.into(), result: Outcome::Ok, found: found.into(), fix: None }
    }

    fn not_set(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name: name.into(), result: Outcome::NotSet, found: found.into(), fix: Some(fix.into()) }
    }

    fn warn(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name: name.into(), result: Outcome::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    fn fail(name: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name: name.into(), result: Outcome::Fail, found: found.into(), fix: Some(fix.into()) }
    }

    /// A look that ended in an error: what it is, and the steps it names.
    fn error(name: impl Into<String>, error: &CliError) -> Check {
        Check::fail(name, error.to_string(), error.steps().join("; "))
    }
}

pub(super) async fn run(_: DoctorArgs, context: Context) -> Result<ExitCode, CliError> {
    let (store, newest) = look_at_store(&context).await;
    let money = money(&context).await;
    let mut checks = vec![
        versions(),
        upcasters(),
        store,
        lock(&context.store),
        disk(&context.store),
        writable(&context.store),
        secrets(&context),
        clock(time::now(), newest),
        game_database(&context).await,
    ];
    checks.extend(money);
    checks.extend(chain(&context, time::now()).await);
    let worst = checks.iter().map(|check| check.result).max().unwrap_or(Outcome::Ok);
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            let result = match check.result {
                Outcome::NotSet => "-",
                Outcome::Ok => "ok",
                Outcome::Warn => "warn",
                Outcome::Fail => "FAIL",
            };
            vec![result.to_owned(), check.name.clone(), check.found.clone()]
        })
        .collect();
    // Below the table and not in it: a cell is wrapped, and a wrapped command cannot be pasted.
    let fix = |check: &Check| Some(format!("  {}: {}", check.name, context.pasteable(check.fix.as_ref()?)));
    let fixes: Vec<_> = checks.iter().filter_map(fix).collect();
    let report = DoctorReport { result: worst, checks };
    let mut document = Document::of(&report).records::<Check>("checks").table(["", "check", "found"], rows);
    if !fixes.is_empty() {
        document = fixes.into_iter().fold(document.line("").line("what to do:"), Document::line);
    }
    document.print(context.output)?;
    Ok(if worst == Outcome::Fail { ExitCode::Failed } else { ExitCode::Done })
}

fn versions() -> Check {
    let folds = wox_projections::FOLD_HASH.get(..16).unwrap_or(wox_projections::FOLD_HASH);
    Check::ok("versions", format!("wox {}, folds {folds}", env!("CARGO_PKG_VERSION")))
}

fn upcasters() -> Check {
    match upcast::check_table() {
        Ok(()) => Check::ok("upcasters", "every kind has one chain of versions"),
        Err(error) => Check::fail("upcasters", error.to_string(), "this build is defective; use another one"),
    }
}

/// Opens the store and reads its newest event.
async fn look_at_store(context: &Context) -> (Check, Option<Timestamp>) {
    let looked = async {
        // Before the head: a writer at work moves both, and the watermark last.
        let watermark = watermark_of(&context.store).ok().flatten();
        let log = store::open_to_read(context).await?;
        let head = log.head().await?;
        let mut newest = None;
        if head.position > Position(0) {
            let mut chunks = log.chunks(Position(head.position.0 - 1), head.position).await?;
            if let Some(chunk) = chunks.next().await? {
                newest = chunk.raw()?.last().map(|event| event.event.time);
            }
        }
        Ok::<_, CliError>((head, newest, watermark))
    };
    match looked.await {
        Ok((head, newest, watermark)) => {
            let found = format!("{} at position {}", context.store.display(), grouped(head.position.0));
            let fix = "wox verify names the place; restore the newest backup: nothing is appended until then";
            let check = match watermark {
                Some(mark) if mark <= head.position => Check::ok("store", found),
                Some(mark) => {
                    Check::fail("store", format!("{found}, behind its watermark at {}", grouped(mark.0)), fix)
                }
                None => Check::fail("store", format!("{found}, without a watermark that can be read"), fix),
            };
            (check, newest)
        }
        Err(error) => (Check::error("store", &error), None),
    }
}

/// Whether money moves, as far as the log says. None where it cannot be read: that is a check of its own.
async fn money(context: &Context) -> Option<Check> {
    const NAME: &str = "money";
    let looked = async {
        let log = store::open_to_read(context).await?;
        let found = standing::still(&log, context).await;
        log.close().await;
        found
    };
    Some(match looked.await.ok()? {
        Some(stop) => Check::fail(NAME, stop.why, stop.next),
        None => Check::ok(NAME, "nothing keeps money from moving"),
    })
}

fn lock(store: &Path) -> Check {
    let path = store.join("lock");
    let Ok(file) = File::open(&path) else { return Check::ok("lock", "no writer has ever opened the store") };
    // Held for an instant and shared: a writer that starts in that instant is refused and starts again.
    match file.try_lock_shared() {
        Ok(()) => Check::ok("lock", "free: no writer is at work"),
        Err(std::fs::TryLockError::WouldBlock) => {
            Check::ok("lock", "held: a writer is at work, a second one is refused")
        }
        Err(std::fs::TryLockError::Error(error)) => Check::warn(
            "lock",
            format!("cannot be tried: {error}"),
            "put the store on a local file system that has locks; two writers would not notice each other",
        ),
    }
}

fn disk(store: &Path) -> Check {
    // A store that does not exist yet will stand on its parent's disk.
    let place = store.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let fix = "free some space; when the disk is full nothing is acknowledged and nothing is lost";
    match rustix::fs::statvfs(place) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} MiB free", grouped(free >> 20));
            match free {
                0..DISK_BYTES_FAIL => Check::fail("disk", found, fix),
                DISK_BYTES_FAIL..DISK_BYTES_WARN => Check::warn("disk", found, fix),
                DISK_BYTES_WARN.. => Check::ok("disk", found),
            }
        }
        Err(error) => Check::warn("disk", format!("cannot be looked at: {error}"), "check that the disk is mounted"),
    }
}

fn writable(store: &Path) -> Check {
    let place = if store.exists() { store } else { store.parent().unwrap_or(Path::new(".")) };
    let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let fix = "run wox as the owner of the directory; commands that only look need no more than reading";
    match rustix::fs::access(place, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Check::ok("permissions", format!("{} may be written", place.display())),
        Err(error) => Check::warn("permissions", format!("{} may not be written: {error}", place.display()), fix),
    }
}

/// Whether the settings file holds a password and others can read it.
fn secrets(context: &Context) -> Check {
    const NAME: &str = "secrets";
    let url = context.settings.find("game_db_url").filter(|setting| has_password(&setting.value));
    let Some(file) = url.and_then(|setting| setting.origin.strip_prefix("file ")) else {
        return Check::ok(NAME, "no settings file holds a password of the game's database");
    };
    let mode = rustix::fs::stat(file).map(|stat| stat.st_mode & 0o777);
    match mode {
        Ok(mode) if mode & 0o077 == 0 => Check::ok(NAME, format!("{file} can be read by its owner alone")),
        Ok(mode) => Check::warn(
            NAME,
            format!("{file} holds the password of the game's database, and others may read it (mode {mode:o})"),
            format!("chmod 600 {}", command::word(file)),
        ),
        Err(error) => Check::warn(NAME, format!("{file} cannot be looked at: {error}"), "look who may read it"),
    }
}

/// True for a URL with a password in it.
fn has_password(url: &str) -> bool {
    let user = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

fn clock(now: Timestamp, newest: Option<Timestamp>) -> Check {
    let found = rfc3339::text(now);
    let fix = "set the clock (timedatectl set-ntp true); approvals expire by it";
    if now < CLOCK_MIN {
        return Check::fail("clock", format!("{found}: not set"), fix);
    }
    match newest {
        Some(newest) if newest.since(now) > CLOCK_SKEW_WARN => Check::warn(
            "clock",
            format!("{found}, but the newest event is of {}", rfc3339::text(newest)),
            format!("compare with the game's machine; {fix}"),
        ),
        _ => Check::ok("clock", found),
    }
}

/// Connects to the game's database and looks at the shape of its tables.
async fn game_database(context: &Context) -> Check {
    const NAME: &str = "game database";
    if context.settings.find("game_db_url").is_none_or(|setting| setting.value.is_empty()) {
        return Check::not_set(NAME, "not named by the settings", "set WOX_GAME_DB_URL to look at the live tables");
    }
    let looked = async {
        let mut session = game_db::connect(context).await?;
        let schema = session.schema(Table::VARIANTS).await?;
        let version = session.version.clone();
        session.close().await;
        Ok::<_, CliError>((version, schema))
    };
    match looked.await {
        Err(error) => Check::error(NAME, &error),
        Ok((version, schema)) => match schema.problems.first() {
            Some(problem) => {
                let column = problem.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
                let found = format!("{version}; {}{column}: {}", problem.table, problem.what);
                match schema.fatal().next() {
                    Some(_) => Check::fail(NAME, found, &problem.next),
                    None => Check::warn(NAME, found, &problem.next),
                }
            }
            None if schema.tables.len() < Table::VARIANTS.len() => {
                let found = format!("{version}; {} of {} tables", schema.tables.len(), Table::VARIANTS.len());
                Check::warn(
                    NAME,
                    found,
                    "wox diff says which are lost, wox rebuild makes them anew; or it is another database",
                )
            }
            None => Check::ok(NAME, format!("{version}; {} of {} tables", schema.tables.len(), Table::VARIANTS.len())),
        },
    }
}

/// Asks every source of the chain where it stands, and looks when certificates end.
async fn chain(context: &Context, now: Timestamp) -> Vec<Check> {
    let configured = match chain::optional(context) {
        Ok(Some(configured)) => configured,
        Ok(None) => {
            let fix = "write a section [chain] into wox.toml to have deposits and withdrawals looked at";
            return vec![Check::not_set("chain", "not named by the settings", fix)];
        }
        Err(error) => return vec![Check::error("chain", &error)],
    };
    let policy = &configured.policy;
    let (standings, certificates) = tokio::join!(configured.network.standings(), configured.network.certificates());
    let mut checks: Vec<Check> = standings.iter().map(|standing| source(standing, policy, now)).collect();
    checks.push(quorum(&checks, policy));
    checks.extend(certificates.iter().map(|(name, ends)| certificate(name.as_str(), *ends, now)));
    checks
}

/// Whether one source stands where its chain does.
fn source(standing: &Standing, policy: &Policy, now: Timestamp) -> Check {
    let name = format!("chain source {}", standing.source);
    let node = policy.sources.iter().any(|source| source.name == standing.source && source.kind == SourceKind::Node);
    let finalized = match (&standing.finalized, node) {
        (Answer::Found(head), _) => head,
        // An explorer need not know the word; it never votes.
        (_, false) => match &standing.latest {
            Answer::Found(head) => return Check::ok(name, format!("explorer at block {}", head.number)),
            other => return unanswered(name, other),
        },
        (other, true) => return unanswered(name, other),
    };
    if let Answer::Found(id) = &standing.chain
        && *id != policy.chain
    {
        let fix = "correct the address of this source in wox.toml: nothing it says counts";
        return Check::fail(name, format!("answers for chain {id}, not {}", policy.chain), fix);
    }
    if let Answer::Found(genesis) = &standing.genesis
        && *genesis != policy.genesis
    {
        let fix = "its block 0 is another chain's: correct its address, or `genesis`, in wox.toml";
        return Check::fail(name, "answers for a chain that began with another block", fix);
    }
    let age = now.since(finalized.time);
    let found = format!("final up to block {}, {} s old", finalized.number, age.as_seconds());
    if age > policy.finalized_age_max {
        return Check::warn(name, found, "it lags behind: use another node, or wait; nothing younger counts as final");
    }
    Check::ok(name, found)
}

fn unanswered<T>(name: String, answer: &Answer<T>) -> Check {
    let found = match answer {
        Answer::Timeout {} => "no answer in time".to_owned(),
        Answer::Error { class } => format!("no answer: {}", class.says()),
        Answer::Null {} => "says there is no such block".to_owned(),
        Answer::Found(_) | Answer::NotAsked {} => "was not asked".to_owned(),
    };
    Check::fail(
        name,
        found,
        "try its address with curl from this machine; a certificate that is not trusted looks like this too",
    )
}

/// Whether enough operators answer to decide anything.
fn quorum(sources: &[Check], policy: &Policy) -> Check {
    let well: BTreeSet<&str> = policy
        .sources
        .iter()
        .zip(sources)
        .filter(|(source, check)| source.kind == SourceKind::Node && check.result == Outcome::Ok)
        .map(|(source, _)| source.operator.as_str())
        .collect();
    let found = format!("{} of {} operators needed", well.len(), policy.quorum);
    if well.len() < policy.quorum as usize {
        return Check::fail(
            "chain quorum",
            found,
            "bring a source back: until then every verdict is unknown, and nothing moves",
        );
    }
    Check::ok("chain quorum", found)
}

fn certificate(source: &str, ends: Option<Timestamp>, now: Timestamp) -> Check {
    let name = format!("certificate {source}");
    let Some(ends) = ends else {
        return Check::warn(name, "not seen", "try the source's address with curl -v from this machine");
    };
    let found = format!("ends {}", rfc3339::text(ends));
    if ends.since(now) < CERTIFICATE_WARN {
        return Check::warn(name, found, "have its operator renew it, or name another source beside it");
    }
    Check::ok(name, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_warns_in_time() {
        let now = Timestamp(CLOCK_MIN.0);
        let ends = |days: i64| Some(now.plus(Duration::seconds(days * 24 * 3600)));
        assert_eq!(certificate("base", ends(13), now).result, Outcome::Warn);
        assert_eq!(certificate("base", ends(14), now).result, Outcome::Ok);
        assert_eq!(certificate("base", None, now).result, Outcome::Warn);
    }

    #[test]
    fn a_clock_that_is_not_set_fails_and_one_behind_the_log_warns() {
        let now = Timestamp(CLOCK_MIN.0 + 1);
        assert_eq!(clock(Timestamp(0), None).result, Outcome::Fail);
        assert_eq!(clock(now, Some(now.plus(Duration::seconds(301)))).result, Outcome::Warn);
        assert_eq!(clock(now, Some(now.plus(Duration::seconds(300)))).result, Outcome::Ok);
    }

    #[test]
    fn a_held_lock_is_told_from_a_free_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(lock(dir.path()).found.contains("no writer has ever"));
        let file = File::create(dir.path().join("lock")).unwrap();
        assert!(lock(dir.path()).found.contains("free"));
        file.lock().unwrap();
        assert!(lock(dir.path()).found.contains("held"));
    }

    #[test]
    fn the_disk_of_a_store_that_is_not_there_yet_is_its_parents() {
        assert_eq!(disk(Path::new("no/such/place")).name, "disk");
        assert!(disk(Path::new("/no/such/place")).found.contains("MiB"));
    }
}
