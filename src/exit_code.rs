//! Every way `wox` can end, documented once. Scripts depend on these numbers, so a test freezes them.

/// How a run of `wox` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::VariantArray)]
#[repr(u8)]
pub enum ExitCode {
    /// Done, or there was nothing to do.
    Done = 0,
    /// Something could not be looked at or carried out. The message says what and what to do next.
    Failed = 1,
    /// The command line was not understood. Nothing was read or changed.
    Usage = 2,
    /// Differences were found, or a plan waits for approval or application.
    Differences = 3,
    /// A guard said no: stale plan, missing approval, approval by oneself, no terminal to ask on.
    Refused = 4,
    /// Stored data is not what it must be: a broken digest, a gap, a log behind its watermark.
    Integrity = 5,
    /// Everything that can be known was done, and some outcomes are unknown; they are held, not guessed.
    Unknown = 6,
    /// Stopped by Ctrl-C or SIGTERM at a safe point. The message says what was done and how to resume.
    Interrupted = 130,
}

impl ExitCode {
    /// The number the shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What the number means, in a few words, for help texts and reports.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            ExitCode::Done => "done or nothing to do",
            ExitCode::Failed => "failed",
            ExitCode::Usage => "usage",
            ExitCode::Differences => "differences found or a plan is pending",
            ExitCode::Refused => "refused",
            ExitCode::Integrity => "integrity failure",
            ExitCode::Unknown => "finished with unknown outcomes",
            ExitCode::Interrupted => "interrupted",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn the_numbers_are_the_ones_scripts_depend_on() {
        let numbers: Vec<u8> = ExitCode::VARIANTS.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 130]);
    }
}
