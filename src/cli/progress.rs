//! Progress on stderr: phase i of n, count, rate, time left, time taken. A bar on a terminal, a plain line every few
//! seconds elsewhere, JSON lines for programs. It never says 100 % before the end: the last percent is the finish.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::render::{Shape as _, grouped};

/// Where progress goes and how it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Style {
    /// A bar on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// A bar that redraws itself
    Bar,
    /// A line every few seconds
    Plain,
    /// A JSON object a line, every second
    Json,
    /// Nothing
    None,
}

/// The time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// The time between two JSON lines.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// The progress of one command, made of phases.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    style: Style,
    phases: u32,
}

impl Progress {
    /// The progress of a command that has `phases` phases. `Auto` is decided here, by what stderr is.
    #[must_use]
    pub fn new(style: Style, phases: u32) -> Progress {
        let style = match style {
            Style::Auto if io::stderr().is_terminal() => Style::Bar,
            Style::Auto => Style::Plain,
            chosen => chosen,
        };
        Progress { style, phases }
    }

    /// Begins phase `index` (from 1). `total` is the number of `unit`s to come, where it is known.
    #[must_use]
    pub fn phase(&self, index: u32, name: &'static str, unit: &'static str, total: Option<u64>) -> Phase {
        let bar = (self.style == Style::Bar).then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = match total {
                Some(_) => "{prefix} {bar:24} {msg}",
                None => "{prefix} {spinner} {msg}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
            bar.set_prefix(format!("[{index}/{}] {name}", self.phases));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let started = Instant::now();
        Phase {
            facts: Facts { index, phases: self.phases, name, unit, total },
            style: self.style,
            started,
            done: AtomicU64::new(0),
            said: Mutex::new(started),
            paused: Mutex::default(),
            bar,
        }
    }
}

/// One phase under way. May be shared between threads; ends with [`Phase::finish`].
#[derive(Debug)]
pub struct Phase {
    facts: Facts,
    style: Style,
    started: Instant,
    done: AtomicU64,
    said: Mutex<Instant>,
    paused: Mutex<Paused>,
    bar: Option<ProgressBar>,
}

/// For how long nothing was allowed so far, and since when it is not.
#[derive(Debug, Default)]
struct Paused {
    before: Duration,
    since: Option<Instant>,
}

/// How long a phase took: by the clock, and without its pauses, which say nothing about how fast it is.
#[derive(Clone, Copy, Debug)]
struct Took {
    elapsed: Duration,
    worked: Duration,
}

/// What is known about a phase before it starts.
#[derive(Clone, Copy, Debug)]
struct Facts {
    index: u32,
    phases: u32,
    name: &'static str,
    unit: &'static str,
    total: Option<u64>,
}

impl Phase {
    /// Says that `more` units are done.
    pub fn add(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.show(done);
    }

    /// Says how many units are done in all.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.show(done);
    }

    /// Says that the work is paused, or goes on.
    pub fn pause(&self, paused: bool) {
        let mut known = self.paused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (known.since, paused) {
            (None, true) => known.since = Some(Instant::now()),
            (Some(since), false) => *known = Paused { before: known.before + since.elapsed(), since: None },
            _ => {}
        }
    }

    fn took(&self) -> Took {
        let known = self.paused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let paused = known.before + known.since.map_or(Duration::ZERO, |since| since.elapsed());
        let elapsed = self.started.elapsed();
        Took { elapsed, worked: elapsed.saturating_sub(paused) }
    }

    /// Ends the phase: only now it may say 100 %.
    pub fn finish(self) {
        let done = self.done.load(Ordering::Relaxed);
        let took = self.took();
        let text = self.facts.text(done, took, true);
        match self.style {
            Style::Bar => {
                if let Some(bar) = &self.bar {
                    bar.set_position(self.facts.total.unwrap_or(done));
                    bar.finish_with_message(text);
                }
            }
            // A phase that is over before anybody wonders needs no line.
            Style::Plain if took.elapsed >= Duration::from_secs(1) => self.say(&self.facts.plain(&text)),
            Style::Json => self.say(&self.facts.json(done, took, true)),
            Style::Plain | Style::Auto | Style::None => {}
        }
    }

    fn show(&self, done: u64) {
        let took = self.took();
        match self.style {
            Style::Bar => {
                if let Some(bar) = &self.bar {
                    let last = self.facts.total.map_or(u64::MAX, |total| total.saturating_sub(1));
                    bar.set_position(done.min(last));
                    bar.set_message(self.facts.text(done, took, false));
                }
            }
            Style::Plain if self.is_due(PLAIN_EVERY) => {
                self.say(&self.facts.plain(&self.facts.text(done, took, false)));
            }
            Style::Json if self.is_due(JSON_EVERY) => self.say(&self.facts.json(done, took, false)),
            Style::Plain | Style::Json | Style::Auto | Style::None => {}
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        let Ok(mut said) = self.said.try_lock() else { return false };
        let due = said.elapsed() >= every;
        if due {
            *said = Instant::now();
        }
        due
    }

    /// A failed write of progress is no reason to fail the work.
    fn say(&self, line: &str) {
        let _unheard = writeln!(io::stderr(), "{line}");
    }
}

impl Drop for Phase {
    /// A phase that fails leaves no half-drawn bar above the error message.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar
            && !bar.is_finished()
        {
            bar.abandon();
        }
    }
}

/// Progress as programs read it, on stderr.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProgressLine {
    schema: &'static str,
    /// Which phase this is, from 1.
    phase: u32,
    /// How many there are.
    phases: u32,
    /// What is done in it.
    name: &'static str,
    /// What is counted.
    unit: &'static str,
    /// How many are done.
    done: u64,
    /// How many there are, where that is known.
    total: Option<u64>,
    /// Never 100 before the end.
    percent: Option<u64>,
    /// The rate, pauses not counted.
    per_second: u64,
    /// Time taken, in milliseconds.
    elapsed_ms: u64,
    /// Time left by the rate so far, in milliseconds; a pause does not add to it.
    left_ms: Option<u64>,
    /// The phase is over.
    ended: bool,
}

impl Facts {
    fn percent(&self, done: u64, ended: bool) -> Option<u64> {
        let total = self.total?;
        if ended {
            return Some(100);
        }
        let percent = u128::from(done) * 100 / u128::from(total.max(1));
        Some(u64::try_from(percent).unwrap_or(99).min(99))
    }

    fn text(&self, done: u64, Took { elapsed, worked }: Took, ended: bool) -> String {
        let mut text = String::new();
        let _infallible = (|| {
            if let Some(percent) = self.percent(done, ended) {
                write!(text, "{percent:>3} %  ")?;
            }
            match self.total {
                Some(total) if !ended => write!(text, "{} of {} {}", grouped(done), grouped(total), self.unit)?,
                _ => write!(text, "{} {}", grouped(done), self.unit)?,
            }
            write!(text, ", {}/s", grouped(rate(done, worked)))?;
            if !ended && let Some(left) = self.left(done, worked) {
                write!(text, ", {} left", clock(left))?;
            }
            write!(text, ", {} elapsed", clock(elapsed))
        })();
        text
    }

    fn plain(&self, text: &str) -> String {
        format!("[{}/{}] {}: {}", self.index, self.phases, self.name, text.trim_start())
    }

    fn json(&self, done: u64, Took { elapsed, worked }: Took, ended: bool) -> String {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let line = ProgressLine {
            schema: ProgressLine::NAME,
            phase: self.index,
            phases: self.phases,
            name: self.name,
            unit: self.unit,
            done,
            total: self.total,
            percent: self.percent(done, ended),
            per_second: rate(done, worked),
            elapsed_ms: millis(elapsed),
            left_ms: self.left(done, worked).map(millis),
            ended,
        };
        serde_json::to_string(&line).expect("progress is plain data")
    }

    fn left(&self, done: u64, worked: Duration) -> Option<Duration> {
        let rest = self.total?.saturating_sub(done);
        if done == 0 || worked < Duration::from_millis(500) {
            return None;
        }
        let micros = worked.as_micros() * u128::from(rest) / u128::from(done);
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

fn rate(done: u64, worked: Duration) -> u64 {
    let micros = worked.as_micros().max(1);
    u64::try_from(u128::from(done) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02} h", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts { index: 2, phases: 3, name: "replay", unit: "events", total: Some(200) };

    /// Without a pause.
    fn straight(seconds: u64) -> Took {
        let elapsed = Duration::from_secs(seconds);
        Took { elapsed, worked: elapsed }
    }

    #[test]
    fn a_pause_is_time_taken_and_neither_rate_nor_time_left() {
        let paused = Took { elapsed: Duration::from_secs(1_000), worked: Duration::from_secs(25) };
        assert_eq!(FACTS.text(50, paused, false), " 25 %  50 of 200 events, 2/s, 1:15 min left, 16:40 min elapsed");
        let phase = Progress::new(Style::None, 1).phase(1, "replay", "events", Some(200));
        phase.pause(true);
        std::thread::sleep(Duration::from_millis(60));
        assert!(phase.took().worked < Duration::from_millis(50), "while it lasts: {:?}", phase.took());
        phase.pause(false);
        phase.pause(false);
        let took = phase.took();
        assert!(took.elapsed - took.worked >= Duration::from_millis(60), "and behind it: {took:?}");
    }

    #[test]
    fn nothing_says_one_hundred_percent_before_the_end() {
        for done in [199, 200, 500, u64::MAX] {
            assert_eq!(FACTS.percent(done, false), Some(99));
        }
        assert_eq!(FACTS.percent(200, true), Some(100));
    }

    #[test]
    fn a_line_names_phase_count_rate_time_left_and_time_taken() {
        let text = FACTS.plain(&FACTS.text(50, straight(100), false));
        assert_eq!(text, "[2/3] replay: 25 %  50 of 200 events, 0/s, 5:00 min left, 1:40 min elapsed");
    }

    #[test]
    fn an_unknown_total_shows_no_percent_and_no_time_left() {
        let facts = Facts { total: None, ..FACTS };
        assert_eq!(facts.text(50, straight(2), false), "50 events, 25/s, 2.0 s elapsed");
    }

    #[test]
    fn the_json_form_is_one_line_of_json() {
        let value: serde_json::Value = serde_json::from_str(&FACTS.json(50, straight(100), false)).unwrap();
        assert_eq!(value["left_ms"], 300_000);
        assert_eq!(value["percent"], 25);
    }
}
