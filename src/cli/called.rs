//! How this program was called, so that every command it prints can be pasted as it is: the program, and the flags that
//! choose its store and its settings.

use std::{ffi::OsStr, path::Path, sync::LazyLock};

use clap::CommandFactory as _;

use crate::{
    cli::{Cli, GlobalArgs},
    command,
};

/// What a printed command begins with.
#[derive(Clone, Debug)]
pub struct Called {
    program: String,
    store: Option<String>,
    config: Option<String>,
}

impl Called {
    /// The program alone: for what needs no store.
    pub(super) fn plain() -> Called {
        let name = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
        let program = name.filter(|name| name.contains(std::path::MAIN_SEPARATOR)).unwrap_or_else(|| "wox".into());
        Called { program: command::word(program), store: None, config: None }
    }

    /// With the flags that were typed. A variable counts as one: it may have been set for one command only.
    pub(super) fn with(global: &GlobalArgs) -> Called {
        let variable = |name| std::env::var_os(name).filter(|value: &std::ffi::OsString| !value.is_empty());
        let typed = |flag, value: &OsStr| assigned(flag, &value.to_string_lossy());
        let store = global.store.clone().map(Into::into).or_else(|| variable("WOX_STORE"));
        let config = global.config.clone().map(Into::into).or_else(|| variable("WOX_CONFIG"));
        Called {
            store: store.map(|store| typed("--store", &store)),
            config: config.map(|config| typed("--config", &config)),
            ..Called::plain()
        }
    }

    /// With a store that the command chose itself.
    #[must_use]
    pub(super) fn on(self, store: &Path) -> Called {
        Called { store: Some(assigned("--store", &store.to_string_lossy())), ..self }
    }

    /// The text with its commands as they are typed here.
    #[must_use]
    pub fn pasteable(&self, text: &str) -> String {
        static VERBS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let names = |verb: &clap::Command| verb.get_name().to_owned();
            Cli::command().get_subcommands().map(names).chain(["help".to_owned()]).collect()
        });
        let flags = [&self.store, &self.config].into_iter().flatten();
        let called = flags.fold(self.program.clone(), |called, flag| format!("{called} {flag}"));
        command::addressed(text, &VERBS, &called)
    }
}

/// A flag with its value, which may look like a flag itself.
fn assigned(flag: &str, value: &str) -> String {
    let between = if value.starts_with('-') { "=" } else { " " };
    format!("{flag}{between}{}", command::word(value))
}
