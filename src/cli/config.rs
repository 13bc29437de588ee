//! Settings and where each came from: flag > environment `WOX_*` > file `wox.toml` > default. The crate `config` merges;
//! this file names the settings, refuses what it does not know, and keeps the origin of each for `config show --origin`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use config::{Config, Environment, File, FileFormat, Map, ValueKind};
use serde::Serialize;
use wox_events::id::is_same_person;

use crate::{cli::CliError, recovery::finding::engine_actor};

/// The file that is read when it is there and `--config` names no other.
pub const FILE_DEFAULT: &str = "wox.toml";
/// Settings with a name like these are never shown.
const SECRET_WORDS: &[&str] = &["secret", "password", "token", "key", "credential"];
/// What is shown instead.
const MASK: &str = "********";

/// One setting this build knows.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file; `WOX_<NAME>` in the environment, `--<name>` as a flag.
    pub name: &'static str,
    /// Its value when nobody says anything; `None` when it is worked out at run time.
    pub default: Option<&'static str>,
    /// What it is for.
    pub help: &'static str,
}

/// Every setting, in the order `config show` lists them.
pub const SETTINGS: &[Setting] = &[
    Setting { name: "store", default: Some("wox-store"), help: "directory of the event log" },
    Setting { name: "output", default: Some("table"), help: "table, json, jsonl or csv" },
    Setting { name: "progress", default: Some("auto"), help: "auto, bar, plain, json or none" },
    Setting { name: "color", default: Some("auto"), help: "auto, always or never" },
    Setting { name: "actor", default: None, help: "name recorded with operator acts; else the system's user name" },
    Setting {
        name: "game_db_url",
        default: None,
        help: "the game's database, mysql://user:password@host:3306/name; ssl-mode=… behind it",
    },
];

/// Sections of the file that belong together and are read as one value by the commands that need them.
pub const SECTIONS: &[&str] = &["chain"];

/// The value of one setting and who said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Who said it: a flag, a variable, a file, or nobody.
    pub origin: String,
}

/// All settings, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    resolved: Vec<Resolved>,
    sections: BTreeMap<&'static str, config::Value>,
    file: PathBuf,
}

/// Where settings come from in one run.
#[derive(Debug, Default)]
pub struct Sources {
    /// Flags that were given: name of the setting, flag as typed, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// Variables, by full name. Taken as a value so that tests can say what the environment is.
    pub environment: Vec<(String, String)>,
    /// The file named on the command line or in `WOX_CONFIG`; it must exist.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// The process's own environment. `WOX_CONFIG` names the file unless `--config` did.
    #[must_use]
    pub fn of_process(flags: Vec<(&'static str, &'static str, String)>, file: Option<PathBuf>) -> Sources {
        let environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("WOX_"))
            .collect();
        let file = file.or_else(|| std::env::var_os("WOX_CONFIG").map(PathBuf::from));
        Sources { flags, environment, file }
    }
}

/// Merges the sources and names the origin of each value.
pub fn resolve(sources: &Sources) -> Result<Settings, CliError> {
    let file = sources.file.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT));
    let mut builder = Config::builder();
    for setting in SETTINGS {
        if let Some(default) = setting.default {
            builder = builder.set_default(setting.name, default).map_err(|error| unreadable(&file, error))?;
        }
    }
    // Empty variables count as unset: `WOX_STORE= wox …` is how a script takes a variable back.
    let variables = sources.environment.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    builder = builder
        .add_source(File::from(file.as_path()).format(FileFormat::Toml).required(sources.file.is_some()))
        .add_source(Environment::with_prefix("WOX").source(Some(variables)));
    for (name, _, value) in &sources.flags {
        builder = builder.set_override(*name, value.as_str()).map_err(|error| unreadable(&file, error))?;
    }
    let merged =
        builder.build().and_then(|config| config.cache.into_table()).map_err(|error| unreadable(&file, error))?;
    let merged = without_sections(merged);

    let in_file = |value: &config::Value| value.origin().is_some_and(|origin| origin != "the environment");
    let mut unknown: Vec<&String> = merged
        .iter()
        .filter(|(name, value)| !is_section(name) && in_file(value) && !is_setting(name))
        .map(|(name, _)| name)
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        let known: Vec<_> = SETTINGS.iter().map(|setting| in_a_file(setting.name)).collect();
        let sections: Vec<_> = SECTIONS.iter().map(|name| format!("[{name}]")).collect();
        return Err(CliError::usage("wox::config::unknown", format!("setting `{name}` is unknown"))
            .at("file", file.display())
            .at("line", line_of(name, &file).map_or_else(|| "unknown".into(), |line| line.to_string()))
            .next(format!("remove it or use one of: {}", known.join(", ")))
            .next(format!("or a section of its own: {}", sections.join(", "))));
    }

    let mut resolved = Vec::new();
    for setting in SETTINGS {
        let Some(value) = merged.get(setting.name).cloned() else {
            if setting.name == "actor" {
                resolved.push(Resolved { name: "actor", value: user_name(), origin: "system user name".into() });
            }
            continue;
        };
        let origin = origin(setting.name, &value, sources, &file);
        let value = value.into_string().map_err(|_| {
            CliError::usage("wox::config::value", format!("setting `{}` is not a text", setting.name))
                .at("origin", &origin)
                .next("give it one value, in quotes")
        })?;
        resolved.push(Resolved { name: setting.name, value, origin });
    }
    let sections = SECTIONS.iter().filter_map(|name| Some((*name, merged.get(*name).cloned()?))).collect();
    Ok(Settings { resolved, sections, file })
}

/// `[game_db] url = …` is the setting `game_db_url`: a section is the first part of a name. What stands outside a section
/// (a flag, a variable) comes first.
fn without_sections(merged: Map<String, config::Value>) -> Map<String, config::Value> {
    let mut flat = Map::new();
    for (name, value) in merged {
        let section = match &value.kind {
            ValueKind::Table(inner) if !is_setting(&name) && !is_section(&name) => Some(inner.clone()),
            _ => None,
        };
        match section {
            Some(inner) => {
                for (key, value) in inner {
                    let full = format!("{name}_{key}");
                    // An unknown one is named as it stands in the file.
                    let full = if is_setting(&full) { full } else { format!("{name}.{key}") };
                    flat.entry(full).or_insert(value);
                }
            }
            None => {
                flat.insert(name, value);
            }
        }
    }
    flat
}

/// A setting as people write it into the file.
fn in_a_file(name: &str) -> String {
    match name {
        "game_db_url" => "[game_db] url".to_owned(),
        name => name.to_owned(),
    }
}

impl Settings {
    /// One setting that need not have a value.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Resolved> {
        self.resolved.iter().find(|resolved| resolved.name == name)
    }

    /// One setting that always has a value.
    #[must_use]
    pub fn get(&self, name: &str) -> &Resolved {
        self.resolved.iter().find(|resolved| resolved.name == name).expect("every setting of the table is resolved")
    }

    /// The setting read as one of an enum's values.
    pub fn value<T: clap::ValueEnum>(&self, name: &str) -> Result<T, CliError> {
        let resolved = self.get(name);
        T::from_str(&resolved.value, false).map_err(|_| {
            let known: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
            let known: Vec<_> = known.iter().map(clap::builder::PossibleValue::get_name).collect();
            CliError::usage("wox::config::value", format!("setting `{name}` cannot be `{}`", resolved.value))
                .at("origin", &resolved.origin)
                .next(format!("use one of: {}", known.join(", ")))
        })
    }

    /// A section of the file as one value; `None` when the file has none.
    pub fn section<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CliError> {
        let Some(section) = self.sections.get(name) else { return Ok(None) };
        section.clone().try_deserialize().map(Some).map_err(|error| {
            CliError::usage("wox::config::section", format!("the section `{name}` cannot be read"))
                .at("file", self.file.display())
                .at("line", line_of(name, &self.file).map_or_else(|| "unknown".into(), |line| line.to_string()))
                .next("correct the section; docs/chain.md lists its settings")
                .caused_by(told(&error.to_string()))
        })
    }

    /// Who said a setting of a section: the file, or nobody.
    #[must_use]
    pub fn origin_in(&self, section: &str, name: &str) -> String {
        let in_file = match self.sections.get(section).map(|value| &value.kind) {
            Some(ValueKind::Table(stated)) => name.is_empty() || stated.contains_key(name),
            _ => true,
        };
        if in_file { format!("file {}", self.file.display()) } else { "default".into() }
    }

    /// Every setting as it may be shown: secrets masked.
    #[must_use]
    pub fn shown(&self) -> Vec<Resolved> {
        self.resolved
            .iter()
            .map(|resolved| Resolved { value: masked(resolved.name, &resolved.value), ..resolved.clone() })
            .collect()
    }
}

fn is_section(name: &str) -> bool {
    SECTIONS.contains(&name)
}

fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

fn origin(name: &str, value: &config::Value, sources: &Sources, file: &Path) -> String {
    if let Some((_, flag, _)) = sources.flags.iter().find(|(flagged, _, _)| *flagged == name) {
        return format!("flag {flag}");
    }
    match value.origin() {
        Some("the environment") => format!("environment WOX_{}", name.to_ascii_uppercase()),
        Some(_) => format!("file {}", file.display()),
        None => "default".into(),
    }
}

/// The line of the file that names a setting or begins its section, from 1.
fn line_of(name: &str, file: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let names = |line: &str| {
        let line = line.trim_start().trim_start_matches('[').trim_start().to_ascii_lowercase();
        let rest = line.strip_prefix(name).map(|rest| rest.chars().next());
        rest.is_some_and(|next| next.is_none_or(|next| " \t=.]".contains(next)))
    };
    text.lines().position(names).map(|index| index + 1)
}

fn unreadable(file: &Path, error: config::ConfigError) -> CliError {
    CliError::usage("wox::config::file", "the settings cannot be read")
        .at("file", file.display())
        .next("correct the file, or name another one with --config")
        .caused_by(told(&error.to_string()))
}

/// What the TOML reader says, without its drawing of the line: an error is told in sentences.
fn told(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
}

/// The value as it may be shown: all of it hidden when the name speaks of a secret, the password of a URL otherwise.
fn masked(name: &str, value: &str) -> String {
    let name = name.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| name.contains(word)) {
        return MASK.into();
    }
    let hidden = |query: Option<&str>| query.map_or("", |_| "?********");
    let (scheme, rest) = match value.split_once("://") {
        Some(parts) => parts,
        // An address without a scheme is a slip of the keyboard, and where its password stands nobody knows.
        None if name.contains("url") && !value.is_empty() => return MASK.into(),
        None => return value.into(),
    };
    // The last `@` ends the password, whatever it holds; what comes behind a `?` may name one too.
    let (user_info, host) = rest.rsplit_once('@').map_or((None, rest), |(user_info, host)| (Some(user_info), host));
    let (host, query) = host.split_once('?').map_or((host, None), |(host, query)| (host, Some(query)));
    let user = user_info.map(|user_info| match user_info.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@"),
        None => format!("{user_info}@"),
    });
    format!("{scheme}://{}{host}{}", user.unwrap_or_default(), hidden(query))
}

/// The name of the system's user, in the characters an actor may have.
fn user_name() -> String {
    let name = whoami::username().unwrap_or_default();
    let name: String = name
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || "._@+-".contains(char) { char } else { '_' })
        .collect();
    // A service may run as a user who is called like the engine; that is no name of a person.
    if name.is_empty() || is_same_person(&name, engine_actor()) { "operator".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wox.toml");
        std::fs::write(&file, "store = \"from-file\"\noutput = \"json\"\nprogress = \"none\"\n").unwrap();
        let settings = resolve(&Sources {
            flags: vec![("store", "--store", "from-flag".into())],
            environment: vec![
                variable("WOX_STORE", "from-env"),
                variable("WOX_OUTPUT", "csv"),
                variable("WOX_COLOR", ""),
            ],
            file: Some(file.clone()),
        })
        .unwrap();
        let seen: Vec<(&str, &str, String)> = ["store", "output", "progress", "color"]
            .map(|name| (settings.get(name).value.as_str(), settings.get(name).origin.clone()))
            .into_iter()
            .zip(["store", "output", "progress", "color"])
            .map(|((value, origin), name)| (name, value, origin))
            .collect();
        assert_eq!(
            seen,
            [
                ("store", "from-flag", "flag --store".to_owned()),
                ("output", "csv", "environment WOX_OUTPUT".to_owned()),
                ("progress", "none", format!("file {}", file.display())),
                ("color", "auto", "default".to_owned()),
            ]
        );
    }

    #[test]
    fn a_section_is_the_first_part_of_a_name_and_the_environment_beats_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wox.toml");
        std::fs::write(&file, "[game_db]\nurl = \"mysql://a@file/x\"\n").unwrap();
        let of =
            |environment| resolve(&Sources { environment, file: Some(file.clone()), ..Sources::default() }).unwrap();
        let found = of(vec![]);
        let found = found.find("game_db_url").unwrap();
        assert_eq!((found.value.as_str(), found.origin.starts_with("file ")), ("mysql://a@file/x", true));
        let found = of(vec![variable("WOX_GAME_DB_URL", "mysql://a@env/x")]);
        assert_eq!(found.find("game_db_url").unwrap().value, "mysql://a@env/x");
        std::fs::write(&file, "[game_db]\nurll = \"x\"\n").unwrap();
        let error = resolve(&Sources { file: Some(file), ..Sources::default() }).unwrap_err();
        assert!(error.to_string().contains("game_db.urll"), "{error}");
    }

    #[test]
    fn an_unknown_setting_and_a_missing_file_are_usage_errors() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wox.toml");
        std::fs::write(&file, "stroe = \"x\"\n").unwrap();
        for file in [file, dir.path().join("missing.toml")] {
            let error = resolve(&Sources { file: Some(file), ..Sources::default() }).unwrap_err();
            assert_eq!(error.exit_code().number(), 2, "{error}");
            let unknown = error.to_string().contains("stroe");
            let steps = error.steps().join(" ");
            assert!(!unknown || (steps.contains("[game_db] url") && steps.contains("[chain]")), "{steps}");
        }
    }

    #[test]
    fn a_value_outside_its_list_names_its_origin() {
        let sources = Sources { environment: vec![variable("WOX_OUTPUT", "xml")], ..Sources::default() };
        let error = resolve(&sources).unwrap().value::<crate::cli::render::Output>("output").unwrap_err();
        assert!(error.for_programs().contains("environment WOX_OUTPUT"));
    }

    #[test]
    fn secrets_are_masked() {
        for (name, value, shown) in [
            ("chain_token", "abc", MASK),
            ("database", "mysql://wizard:hunter2@db/wizards_of_x", "mysql://wizard:********@db/wizards_of_x"),
            ("database", "mysql://wizard@db/x", "mysql://wizard@db/x"),
            ("game_db_url", "mysql://wizard:a@b/c:d@db/x", "mysql://wizard:********@db/x"),
            ("game_db_url", "mysql://wizard:a?b@db/x?password=c", "mysql://wizard:********@db/x?********"),
            ("game_db_url", "mysql://db/x?user=wizard&password=hunter2", "mysql://db/x?********"),
            ("game_db_url", "mysql:/wizard:hunter2@db/x", MASK),
            ("game_db_url", "wizard:hunter2@db/x", MASK),
            ("store", "wox-store", "wox-store"),
            ("actor", "alice@example.org", "alice@example.org"),
        ] {
            assert_eq!(masked(name, value), shown);
        }
    }

    #[test]
    fn the_user_name_is_a_legal_actor() {
        assert!(wox_events::Actor::new(user_name()).is_ok());
    }
}
