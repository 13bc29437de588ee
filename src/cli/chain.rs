//! The section `chain` of the settings: which chain, which money, which sources; and what is wrong with it. Addresses of
//! sources may hold secrets: no message here repeats one.

use std::time::Duration as Wait;

use serde::Deserialize;
use wox_events::{
    Amount, Duration, TxHash,
    chain::{Source, SourceKind},
    id::Label,
};
use wox_projections::verdict::quorum::Policy;

use crate::{
    cli::{CliError, Context},
    import::base_receipts::checked_address,
    recovery::ObserveError,
    world::chain::{Endpoint, Interest, Limits, Network},
};

/// As the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default = "base")]
    id: u64,
    genesis: String,
    #[serde(default = "two")]
    quorum: u32,
    tokens: Vec<String>,
    watched: Vec<String>,
    #[serde(default)]
    wallets: Vec<String>,
    #[serde(default = "one_galleon")]
    minimum: String,
    #[serde(default = "an_hour")]
    finalized_age_max_seconds: u32,
    #[serde(default)]
    journaled: bool,
    #[serde(default = "ten_seconds")]
    timeout_seconds: u64,
    #[serde(default = "a_thousand")]
    batch_max: usize,
    sources: Vec<SourceSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceSection {
    name: String,
    operator: String,
    #[serde(default = "node")]
    kind: String,
    url: Option<String>,
    url_env: Option<String>,
    key_env: Option<String>,
}

fn base() -> u64 {
    8453
}
fn two() -> u32 {
    2
}
fn one_galleon() -> String {
    "1".into()
}
fn an_hour() -> u32 {
    3_600
}
fn ten_seconds() -> u64 {
    10
}
fn a_thousand() -> usize {
    1_000
}
fn node() -> String {
    "node".into()
}

/// The chain as this command may ask about it.
pub(super) struct Chain {
    /// The rules its answers are judged by.
    pub(super) policy: Policy,
    /// Who answers.
    pub(super) network: Network,
}

/// Reads the section; an error when there is none.
pub(super) fn configured(context: &Context) -> Result<Chain, CliError> {
    optional(context)?.ok_or_else(|| {
        CliError::usage("wox::chain::none", "no chain is configured, so nothing can be asked of it")
            .next("write a section [chain] with its sources into wox.toml; docs/chain.md has an example")
    })
}

/// Reads the section, where there is one.
pub(super) fn optional(context: &Context) -> Result<Option<Chain>, CliError> {
    let Some(section) = context.settings.section::<Section>("chain")? else { return Ok(None) };
    chain(section).map(Some)
}

fn wrong(name: &str, what: impl Into<String>) -> CliError {
    CliError::usage("wox::chain::setting", what).at("setting", format!("chain.{name}")).next("correct it in wox.toml")
}

fn chain(section: Section) -> Result<Chain, CliError> {
    let (policy, stated) = policy(&section)?;
    let limits = Limits {
        timeout: Wait::from_secs(section.timeout_seconds.max(1)),
        batch_max: section.batch_max.max(1),
        ..Limits::default()
    };
    let endpoint = |(source, stated): (&Source, &&SourceSection)| {
        let url = address_of(stated)?;
        let key = stated.key_env.as_deref().map(|name| variable("key_env", name, stated)).transpose()?;
        Endpoint::new(source.clone(), section.id, &url, key, limits)
            .map_err(|error| wrong("sources", error.to_string()))
    };
    let endpoints = policy.sources.iter().zip(&stated).map(endpoint).collect::<Result<Vec<_>, CliError>>()?;
    let interest = Interest {
        tokens: policy.tokens.clone(),
        addresses: policy.watched.iter().chain(&policy.wallets).cloned().collect(),
    };
    Ok(Chain { policy, network: Network::new(endpoints, interest) })
}

/// The rules of the section, and how each of their sources is stated; no source is looked for.
fn policy(section: &Section) -> Result<(Policy, Vec<&SourceSection>), CliError> {
    let addresses = |name: &str, texts: &[String]| -> Result<Vec<Label>, CliError> {
        texts.iter().map(|text| checked_address(text).map_err(|error| wrong(name, error.to_string()))).collect()
    };
    let (tokens, watched) = (addresses("tokens", &section.tokens)?, addresses("watched", &section.watched)?);
    let wallets = addresses("wallets", &section.wallets)?;
    if tokens.is_empty() || watched.is_empty() {
        return Err(wrong("tokens", "without a token and a watched address nothing is ever a deposit"));
    }
    let genesis = hash(&section.genesis).ok_or_else(|| {
        wrong("genesis", "the hash of block 0 is 0x and 64 hex digits; every node of the chain names it")
    })?;
    let minimum: Amount = section
        .minimum
        .parse()
        .map_err(|_| wrong("minimum", "an amount of Galleons is a decimal text such as \"1\""))?;
    let sources: Vec<(Source, &SourceSection)> = (1..)
        .zip(&section.sources)
        .map(|(number, stated)| Ok((source(number, stated)?, stated)))
        .collect::<Result<_, CliError>>()?;
    let mut names: Vec<&Label> = sources.iter().map(|(source, _)| &source.name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong("sources", format!("two sources are called `{}`", pair[0])));
    }
    let mut operators: Vec<&Label> = sources
        .iter()
        .filter(|(source, _)| source.kind == SourceKind::Node)
        .map(|(source, _)| &source.operator)
        .collect();
    operators.sort();
    operators.dedup();
    if section.quorum == 0 || operators.len() < section.quorum as usize {
        return Err(wrong(
            "quorum",
            format!("{} operators run nodes, and {} have to agree", operators.len(), section.quorum),
        )
        .next("name nodes of more operators; explorers and second nodes of an operator do not vote"));
    }
    let (sources, stated) = sources.into_iter().unzip();
    let policy = Policy {
        chain: section.id,
        genesis,
        quorum: section.quorum,
        sources,
        tokens,
        watched,
        wallets,
        minimum,
        finalized_age_max: Duration::seconds(i64::from(section.finalized_age_max_seconds)),
        journaled: section.journaled,
    };
    Ok((policy, stated))
}

fn source(number: usize, stated: &SourceSection) -> Result<Source, CliError> {
    // Names are recorded and printed, so one that could be an address or a key is neither taken nor repeated.
    let label = |setting: &str, text: &str| {
        let plain = text.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char));
        Label::new(text).ok().filter(|_| plain && text.len() <= NAME_MAX).ok_or_else(|| {
            wrong("sources", format!("`{setting}` of source number {number} is no plain name, and is not shown here"))
                .next(format!("give it letters, digits, dots, dashes and underscores, at most {NAME_MAX} of them"))
                .next("an address goes into `url`, or into the variable that `url_env` names")
        })
    };
    let (name, operator) = (label("name", &stated.name)?, label("operator", &stated.operator)?);
    let kind = match stated.kind.as_str() {
        "node" => SourceKind::Node,
        "explorer" => SourceKind::Explorer,
        _ => return Err(wrong("sources", format!("source `{}` is neither `node` nor `explorer`", stated.name))),
    };
    Ok(Source { name, operator, kind })
}

fn address_of(stated: &SourceSection) -> Result<String, CliError> {
    match (&stated.url, &stated.url_env) {
        (Some(url), None) => Ok(url.clone()),
        (None, Some(name)) => variable("url_env", name, stated),
        _ => Err(wrong("sources", format!("source `{}` needs either `url` or `url_env`", stated.name))),
    }
}

/// Most characters of a source's name.
const NAME_MAX: usize = 40;

/// What a variable holds that a setting names. The setting may hold the secret itself by mistake, even one that could be a
/// name: it is never repeated.
fn variable(setting: &str, name: &str, stated: &SourceSection) -> Result<String, CliError> {
    let of = format!("`{setting}` of source `{}`", stated.name);
    let first = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    if !first || !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') {
        return Err(wrong("sources", format!("{of} is not the name of a variable, and is not shown here"))
            .next("it names the variable that holds the secret: letters, digits and underscores, no digit first"));
    }
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        CliError::usage("wox::chain::variable", format!("the variable that {of} names is not set"))
            .next("export it before the command; the setting holds its name, never the secret itself")
    })
}

/// One rule by which a chain is judged, as people read it. Sources are named, never addressed.
pub(super) type Rule = (&'static str, String);

/// Every rule, by the name of its setting.
pub(super) fn rules(policy: &Policy) -> Vec<Rule> {
    fn listed<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
        // By name: in which order they are listed says nothing.
        let all: std::collections::BTreeSet<String> = all.into_iter().map(|one| one.to_string()).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    }
    let source = |source: &Source| format!("{} ({} of {})", source.name, source.kind, source.operator);
    vec![
        ("id", policy.chain.to_string()),
        ("genesis", policy.genesis.to_string()),
        ("quorum", policy.quorum.to_string()),
        ("sources", listed(policy.sources.iter().map(source))),
        ("tokens", listed(&policy.tokens)),
        ("watched", listed(&policy.watched)),
        ("wallets", listed(&policy.wallets)),
        ("minimum", policy.minimum.to_string()),
        ("finalized_age_max_seconds", policy.finalized_age_max.as_seconds().to_string()),
        ("journaled", policy.journaled.to_string()),
    ]
}

/// A rule that is not what it was.
pub(super) struct Change {
    /// The name of its setting.
    pub(super) name: &'static str,
    old: String,
    new: String,
}

impl Change {
    /// What it is and what it was.
    pub(super) fn told(&self) -> String {
        format!("{}: {} (before: {})", self.name, or_none(&self.new), or_none(&self.old))
    }

    /// Where the log has the one and the settings have the other.
    fn stands(&self) -> String {
        format!("{} in the log, {} in the settings", or_none(&self.old), or_none(&self.new))
    }
}

/// The rules that are not the same.
pub(super) fn differences(old: &Policy, new: &Policy) -> Vec<Change> {
    let pairs = rules(old).into_iter().zip(rules(new)).filter(|(old, new)| old != new);
    pairs.map(|((name, old), (_, new))| Change { name, old, new }).collect()
}

/// The error, and where the settings have other rules than the log, which.
pub(super) fn with_changes(error: ObserveError, changes: &[Change]) -> CliError {
    let differ = matches!(error, ObserveError::OtherRules { .. });
    let told = |error: CliError, change: &Change| error.at(change.name, change.stands());
    changes.iter().filter(|_| differ).fold(CliError::from(error), told)
}

fn or_none(value: &str) -> &str {
    if value.is_empty() { "none" } else { value }
}

/// Every setting of the section, with its value as it may be shown: sources by name and operator, never by address. What
/// is wrong with the section stands in its place.
pub(super) fn shown(context: &Context) -> Vec<Rule> {
    let read = || {
        let Some(section) = context.settings.section::<Section>("chain")? else { return Ok(Vec::new()) };
        let (policy, _) = policy(&section)?;
        let mut all = rules(&policy);
        all.push(("timeout_seconds", section.timeout_seconds.to_string()));
        all.push(("batch_max", section.batch_max.to_string()));
        Ok::<_, CliError>(all)
    };
    read().unwrap_or_else(|error| vec![("", format!("cannot be used: {error}"))])
}

/// A hash of a block or a transaction, in lower case.
pub(super) fn hash(text: &str) -> Option<TxHash> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let hex = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| TxHash::new(format!("0x{}", digits.to_ascii_lowercase())).ok()).flatten()
}

/// What is said to a text that is no hash where one is wanted; it may lack nothing but its beginning.
pub(super) fn no_hash(text: &str) -> String {
    match hash(&format!("0x{text}")) {
        Some(meant) => format!("a transaction hash begins with 0x: {meant}"),
        None => "a transaction hash is 0x and 64 hex digits".into(),
    }
}

impl From<ObserveError> for CliError {
    fn from(error: ObserveError) -> CliError {
        match error {
            ObserveError::OtherRules { .. } => CliError::refused("wox::chain::rules", error.to_string())
                .next("correct the section [chain] of wox.toml")
                .next("or have the change recorded: wox observe --change-rules"),
            ObserveError::OtherChain { .. } => CliError::refused("wox::chain::other", error.to_string())
                .next("correct `id` in the section [chain] of wox.toml")
                .next("a game on another chain is another store: --store DIR"),
            ObserveError::Held { position, .. } => CliError::refused("wox::chain::held", error.to_string())
                .next(format!("wox show {position}"))
                .next(format!("wox recover event {position} --why REASON leaves it out")),
            ObserveError::Read(error) => CliError::from(error),
            ObserveError::Append(error) => CliError::from(error).next("run the same command again"),
            ObserveError::Json(_) => CliError::failed("wox::chain::json", error.to_string())
                .next("report this with the output of wox observe"),
        }
    }
}
