//! Commands run one after the other in one directory, and the transcript of what they said.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A directory in which commands are run, without anything of the machine's settings.
pub(crate) struct Session {
    dir: tempfile::TempDir,
    transcript: String,
}

impl Session {
    pub(crate) fn new() -> Session {
        Session { dir: tempfile::tempdir().unwrap(), transcript: String::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command that is ready to run: `wox` with these words, split at spaces.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wox"));
        command.args(words.split_whitespace()).current_dir(self.path()).env_clear();
        command.env("WOX_ACTOR", "alice").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command without noting it.
    pub(crate) fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that gets `input` on stdin.
    pub(crate) fn feed(&self, words: &str, input: &[u8]) -> Output {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A command that has seen enough closes its end; that is no failure of the test.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        })
    }

    /// Runs a command and notes it, with all it said and how it ended.
    pub(crate) fn say(&mut self, words: &str) -> &mut Session {
        let output = self.run(words);
        self.note(words, &output);
        self
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn note(&mut self, words: &str, output: &Output) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let _infallible = writeln!(self.transcript, "$ wox {words}");
        self.transcript.push_str(&text(&output.stdout));
        if !output.stderr.is_empty() {
            self.transcript.push_str("--- stderr\n");
            self.transcript.push_str(&text(&output.stderr));
        }
        let _infallible = writeln!(self.transcript, "--- exit {}\n", output.status.code().unwrap_or(-1));
    }

    /// The transcript with everything masked that differs between two runs or two builds of the folds.
    pub(crate) fn transcript(&self) -> String {
        masked(
            &self
                .transcript
                .replace(env!("CARGO_BIN_EXE_wox"), "wox")
                .replace(&self.path().display().to_string(), "[dir]"),
        )
    }
}

/// The number a command ended with.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// The JSON a command printed on stdout.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?} {}", errors(output)))
}

/// What a command said on stderr.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Its commands as they are written down, without how the program was called: `wox plan`.
pub(crate) fn unaddressed(text: &str) -> String {
    text.replace(&format!("{} --store wox-demo ", env!("CARGO_BIN_EXE_wox")), "wox ")
}

/// Identities, digests, moments outside the demo's day, and durations become their names.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some(start) = rest.find(|char: char| char.is_ascii_alphanumeric()) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "-:.".contains(char)));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            out.push_str(&masked_word(word));
            rest = after;
        }
        out.push_str(rest);
    }
    out
}

fn masked_word(word: &str) -> String {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trimmed = word.trim_end_matches(['.', ':', '-']);
    let tail = &word[trimmed.len()..];
    let (head, last) = match trimmed.strip_prefix("plan-") {
        Some(rest) => ("plan-", rest),
        None => ("", trimmed),
    };
    let name = match last.len() {
        64 if hex(last) => "[digest]",
        32 if hex(last) => "[folds]",
        16 if hex(last) && last.bytes().any(|byte| byte.is_ascii_alphabetic()) => "[short-digest]",
        36 if last.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && hex(&last.replace('-', "")) => "[uuid]",
        27 if last.ends_with('Z') && last.contains('T') && !last.starts_with("2026-08-01") => "[time]",
        _ => last,
    };
    format!("{head}{name}{tail}")
}
