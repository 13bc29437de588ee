//! Who may import whom, kept by a machine (README, "Invariants"). Reads the sources as text: paths in `use` trees and in
//! code, comments, strings and unit tests aside. A rule that is broken names the file, the line and the reason.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// In these modules (and below them), outside the exceptions, nothing may name these paths.
struct Rule {
    name: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    never: &'static [&'static str],
}

/// A room is a module of the engine, `log` or `recovery::plan`; `crate::x` means our own, the rest are other crates.
const RULES: &[Rule] = &[
    Rule {
        name: "the pure half of recovery and the procedures see no port: decide, then do",
        within: &[
            "recovery::evidence",
            "recovery::diagnosis",
            "recovery::finding",
            "recovery::plan",
            "recovery::notice",
            "recovery::approval",
            "recovery::scope",
            "recovery::standstill",
            "procedures",
            "decisions",
        ],
        except: &[],
        never: &[
            "crate::log",
            "crate::world",
            "crate::recovery::gather",
            "crate::recovery::apply",
            "crate::recovery::verify",
            "sqlx",
            "tokio",
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::process",
            "std::time::Instant",
            "std::time::SystemTime",
            "chrono::Utc",
            "chrono::Local",
            "rand",
            "uuid::Uuid::new_v4",
        ],
    },
    Rule {
        name: "the log and the world know nothing of recovery",
        within: &["log", "world"],
        except: &[],
        never: &["crate::recovery", "crate::procedures", "crate::decisions"],
    },
    Rule {
        name: "nothing imports the command line or the daemon",
        within: &[""],
        except: &["cli", "main"],
        never: &["crate::cli", "crate::serve", "clap", "indicatif", "comfy_table", "miette"],
    },
    Rule {
        name: "sqlx is named by the log's adapters and the game database only",
        within: &[""],
        except: &["log", "world::game_db"],
        never: &["sqlx"],
    },
    Rule {
        name: "tables are pure: whoever reads the live rows hands them in",
        within: &["tables"],
        except: &[],
        never: &[
            "crate::log",
            "crate::world",
            "crate::recovery",
            "crate::procedures",
            "crate::decisions",
            "sqlx",
            "tokio",
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "chrono::Utc",
            "chrono::Local",
            "rand",
        ],
    },
    Rule {
        name: "imports are pure functions of text",
        within: &["import"],
        except: &[],
        never: &["crate::log", "crate::world", "crate::recovery", "std::fs", "std::env", "tokio", "sqlx"],
    },
];

const PRINT_MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
const MAY_PRINT: &[&str] = &["cli", "main"];

#[test]
fn every_module_imports_only_what_its_room_may() {
    let sources = sources();
    assert!(!sources.is_empty(), "no sources found: this test looks in the wrong place");
    let modules: Vec<String> = sources.iter().map(|path| module_of(path)).collect();
    let procedures = procedures(&modules);
    let broken: Vec<String> = sources
        .iter()
        .zip(&modules)
        .flat_map(|(path, module)| violations(module, &read(path), &path.display().to_string(), &procedures))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_planted_violation_of_each_rule_is_caught() {
    for (module, source, part) in [
        ("recovery::plan", "use crate::log::Log;", "see no port"),
        ("recovery::plan", "use crate::{log::Log, recovery::finding::Finding};", "see no port"),
        ("recovery::plan", "use super::gather::gather;", "see no port"),
        ("recovery::evidence", "fn f() { let now = std::time::SystemTime::now(); }", "see no port"),
        ("recovery::evidence", "use std::{collections::BTreeMap, time::{Duration, Instant}};", "see no port"),
        ("procedures::banking::duplicate_deposit", "use crate::world::chain;", "see no port"),
        ("procedures::banking::duplicate_deposit", "use super::pool_drift::detect;", "no procedure uses another"),
        (
            "procedures::banking::duplicate_deposit",
            "use crate::procedures::game_state::stuck_duel;",
            "no procedure uses another",
        ),
        ("log::embedded", "use crate::recovery::Plan;", "know nothing of recovery"),
        ("world::chain", "fn f(plan: &crate::procedures::Repair) {}", "know nothing of recovery"),
        ("audit", "use crate::cli::render;", "nothing imports the command line"),
        ("demo", "use crate::serve;", "nothing imports the command line"),
        ("demo", "use clap::Parser;", "nothing imports the command line"),
        ("recovery::gather", "use sqlx::Row;", "sqlx is named"),
        ("world::discord", "async fn f(pool: ::sqlx::Pool<sqlx::MySql>) {}", "sqlx is named"),
        ("import::base_receipts", "use std::fs::File;", "imports are pure"),
        ("tables::compare", "use crate::world::game_db::Session;", "tables are pure"),
        ("tables::cell", "fn f() { let now = chrono::Utc::now(); }", "tables are pure"),
        ("demo", "fn f() { println!(\"hello\"); }", "only the command line prints"),
        ("log", "fn f() {\n    // a comment\n    eprintln!();\n}", "line 3"),
    ] {
        let found = violations(module, source, "planted", &planted_procedures());
        assert!(found.iter().any(|violation| violation.contains(part)), "{module}: {source} gave {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_caught() {
    for (module, source) in [
        ("log::embedded", "use sqlx::sqlite::SqlitePool; use crate::exit_code;"),
        ("world::game_db", "use sqlx::mysql::MySqlPool;"),
        ("recovery::gather", "use crate::log::Log; use super::evidence::Evidence;"),
        ("recovery::plan", "// use crate::log::Log;\n/* use sqlx::Row; */ const TEXT: &str = \"use crate::log\";"),
        ("recovery::plan", "fn f() { let quote = '\"'; } /// crate::log\nfn g<'a>(x: &'a str) {}"),
        ("recovery::plan", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::log::Log;\n}"),
        ("procedures::banking::duplicate_deposit", "use super::banking_only; use crate::procedures::{hold, stream};"),
        ("procedures::game_state", "mod stuck_duel; use stuck_duel::detect; pub use self::stuck_duel::repair;"),
        ("procedures", "use crate::procedures::banking::pool_drift;"),
        ("cli::render", "fn f() { println!(); } use crate::recovery::Plan; use clap::Parser;"),
        ("main", "fn main() { wox_recovery::cli::main(); }"),
        ("audit", "fn f(out: &mut String) { writeln!(out); blueprint!(); }"),
    ] {
        assert_eq!(
            violations(module, source, "fine", &planted_procedures()),
            Vec::<String>::new(),
            "{module}: {source}"
        );
    }
}

#[test]
fn the_pure_crates_depend_on_nothing_that_can_wait_read_or_draw() {
    for package in ["wox-events", "wox-projections"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .args(["--package", package, "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .output()
            .expect("cargo runs where it built this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
        let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(crates.contains(package) && crates.contains("serde"), "cargo tree printed {tree}");
        for outside in ["tokio", "sqlx", "chrono", "time", "rand", "mio", "reqwest", "hyper", "wox-recovery"] {
            assert!(!crates.contains(outside), "{package} depends on {outside}");
        }
    }
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let unsafe_files: Vec<PathBuf> = sources().into_iter().filter(|path| read(path).contains("unsafe_code")).collect();
    assert_eq!(unsafe_files.len(), 1, "{unsafe_files:?}");
    assert!(unsafe_files[0].ends_with("cli/stdout.rs"), "{unsafe_files:?}");
}

/// The files that hold one procedure each: modules below `procedures` with none below themselves.
fn procedures(modules: &[String]) -> Vec<String> {
    let has_children = |module: &str| modules.iter().any(|other| other != module && is_below(other, module));
    modules.iter().filter(|module| is_below(module, "procedures") && !has_children(module)).cloned().collect()
}

fn planted_procedures() -> Vec<String> {
    let files =
        ["banking", "banking::duplicate_deposit", "banking::pool_drift", "game_state", "game_state::stuck_duel"];
    procedures(&files.map(|file| format!("procedures::{file}")))
}

/// Every rule that a source breaks, one line each.
fn violations(module: &str, source: &str, file: &str, procedures: &[String]) -> Vec<String> {
    let tokens = tokens(without_tests(source));
    let mut broken = BTreeSet::new();
    for (line, path) in paths(&tokens, module) {
        for rule in RULES {
            let concerned = within(module, rule.within) && !within(module, rule.except);
            if concerned && rule.never.iter().any(|never| is_below(&path, never)) {
                broken.insert((line, format!("{file}, line {line}: names `{path}`; {}", rule.name)));
            }
        }
        let other = procedures.iter().find(|other| is_below(&path, &format!("crate::{other}")));
        if within(module, &["procedures"])
            && let Some(other) = other
            && !is_below(other, module)
            && !is_below(module, other)
        {
            broken.insert((line, format!("{file}, line {line}: names `{path}`; no procedure uses another")));
        }
    }
    for pair in tokens.windows(2) {
        if pair[1].text == "!" && PRINT_MACROS.contains(&pair[0].text) && !within(module, MAY_PRINT) {
            let line = pair[0].line;
            broken.insert((line, format!("{file}, line {line}: `{}!`; only the command line prints", pair[0].text)));
        }
    }
    broken.into_iter().map(|(_, text)| text).collect()
}

fn within(module: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| room.is_empty() || is_below(module, room))
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Cuts the unit tests off: they may build what they need.
fn without_tests(source: &str) -> &str {
    source.find("\n#[cfg(test)]\nmod ").map_or(source, |start| &source[..start])
}

#[derive(Clone, Copy)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

/// Names and punctuation; comments, strings and lifetimes left out. `::` is one token.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if bytes[at] == b'"' {
            quoted(rest, b'"')
        } else if bytes[at] == b'\'' {
            // A character such as '"', or a lifetime, of which only the quote is left out.
            let character = bytes.get(at + 1) == Some(&b'\\') || rest.chars().nth(2) == Some('\'');
            if character { quoted(rest, b'\'') } else { 1 }
        } else if is_name(bytes[at]) {
            let length = bytes[at..].iter().take_while(|byte| is_name(**byte)).count();
            tokens.push(Token { line, text: &rest[..length] });
            length
        } else if rest.starts_with("::") {
            tokens.push(Token { line, text: "::" });
            2
        } else {
            if !bytes[at].is_ascii_whitespace() {
                tokens.push(Token { line, text: &rest[..1] });
            }
            1
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The number of hashes of a raw string that starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let behind = rest.strip_prefix('r')?;
    let hashes = behind.bytes().take_while(|byte| *byte == b'#').count();
    behind[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a quoted literal, both quotes included.
fn quoted(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        if byte == quote && !escaped {
            return at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    rest.len()
}

/// Every path of two or more segments, and every path of a `use` tree, made absolute.
fn paths(tokens: &[Token<'_>], module: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "use" {
            at = use_tree(tokens, at + 1, &mut Vec::new(), module, &mut found);
        } else if is_segment(tokens[at].text) {
            let (line, mut segments) = (tokens[at].line, vec![tokens[at].text]);
            while at + 2 < tokens.len() && tokens[at + 1].text == "::" && is_segment(tokens[at + 2].text) {
                segments.push(tokens[at + 2].text);
                at += 2;
            }
            if segments.len() > 1 {
                found.push((line, absolute(&segments, module)));
            }
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one branch of a `use` tree from `at`; returns where the branch ends.
fn use_tree<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    prefix: &mut Vec<&'a str>,
    module: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let depth = prefix.len();
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(tokens, at, prefix, module, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                prefix.truncate(depth);
                return at + 1;
            }
            "as" => at += 2,
            name if is_segment(name) || name == "*" => {
                prefix.push(name);
                at += 1;
                if tokens.get(at).is_none_or(|next| next.text != "::") {
                    found.push((token.line, absolute(prefix, module)));
                }
            }
            _ => break,
        }
    }
    prefix.truncate(depth);
    at
}

fn is_segment(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_') && text != "as" && text != "use"
}

/// `crate::…` for our own modules, the plain path for another crate.
fn absolute(segments: &[&str], module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut segments = segments.iter().copied().peekable();
    match segments.peek() {
        Some(&("crate" | "wox_recovery")) => {
            segments.next();
            base.clear();
        }
        Some(&("self" | "super")) => {
            while let Some(&up) = segments.peek() {
                match up {
                    "super" => drop(base.pop()),
                    "self" => {}
                    _ => break,
                }
                segments.next();
            }
        }
        _ => return segments.collect::<Vec<_>>().join("::"),
    }
    ["crate"].into_iter().chain(base).chain(segments).collect::<Vec<_>>().join("::")
}

/// `src/log/embedded.rs` → `log::embedded`.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("sources are below src").with_extension("");
    let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let module = parts.join("::");
    if module == "lib" { String::new() } else { module }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
