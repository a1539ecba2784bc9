//! The world around this run: environment, home folder, terminal. Passed in, so that tests have their own.
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the settings may know of the world.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder of the user's `config.toml`.
    pub config: Option<PathBuf>,
    /// Standard input is a terminal.
    pub terminal: bool,
}

impl Surroundings {
    /// The world of this process.
    pub fn of_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Surroundings {
            variables,
            home: directories::BaseDirs::new().map(|d| d.home_dir().to_owned()),
            config: directories::ProjectDirs::from("", "", "smail").map(|d| d.config_dir().to_owned()),
            terminal: std::io::IsTerminal::is_terminal(&std::io::stdin()),
        }
    }

    /// The user's login name: the environment's word, else the account's, else `nobody`.
    pub fn user(&self) -> String {
        let named = ["LOGNAME", "USER"].iter().find_map(|n| self.variable(n).filter(|v| !v.is_empty()));
        named.map(str::to_owned).or_else(user_of_account).unwrap_or_else(|| "nobody".to_owned())
    }

    /// The time all dates are taken from, for builds that can be repeated (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
    pub fn source_date_epoch(&self) -> Option<i64> {
        self.variable("SOURCE_DATE_EPOCH")?.trim().parse().ok()
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// The name of this process's account in the user database of the host's own files.
fn user_of_account() -> Option<String> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find(|l| l.split(':').nth(2) == Some(&uid)).and_then(|l| l.split(':').next()).map(str::to_owned)
}
