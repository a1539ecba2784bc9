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
    /// The folder of the queue.
    pub state: Option<PathBuf>,
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
            state: state_folder(),
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

    /// Who called: the name of the parent process and the account, as in `cron/root`. Not the environment's word, as it is kept in a log.
    pub fn caller(&self) -> String {
        let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero);
        let name = parent.and_then(|pid| std::fs::read(format!("/proc/{pid}/comm")).ok());
        let name = name.map(|name| String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned());
        format!("{}/{}", name.as_deref().unwrap_or("unknown"), user_of_account().unwrap_or_else(|| self.user()))
    }

    /// Whether this runs in continuous integration, where nothing waits for the next run: `CI` is set to something.
    pub fn is_ci(&self) -> bool {
        self.variable("CI").is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
    }

    /// The time all dates are taken from, for builds that can be repeated (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
    pub fn source_date_epoch(&self) -> Option<i64> {
        self.variable("SOURCE_DATE_EPOCH")?.trim().parse().ok()
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// Where state is kept: `$XDG_STATE_HOME`, else below the home folder, which must be this user's own (sudo and systemd leave that
/// of another in place), else the folder that root made for this user (spec/sendmail.md section 4.3).
fn state_folder() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let uid = rustix::process::geteuid().as_raw();
    let ours = |home: &PathBuf| home.parent().is_some() && home.metadata().is_ok_and(|m| m.is_dir() && m.uid() == uid);
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || {
        std::env::var_os("HOME").map(PathBuf::from).filter(ours).or_else(|| account(5).map(PathBuf::from).filter(ours))
    };
    let below = given.or_else(|| home().map(|home| home.join(".local/state")));
    let spool = || Some(PathBuf::from(format!("/var/spool/smail/{uid}"))).filter(|path| path.is_dir());
    below.map(|state| state.join("smail")).or_else(spool)
}

/// The name of this process's account in the user database of the host's own files.
fn user_of_account() -> Option<String> {
    account(0)
}

/// A field of this process's account in the user database of the host's own files.
fn account(field: usize) -> Option<String> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts
        .lines()
        .find(|l| l.split(':').nth(2) == Some(&uid))
        .and_then(|l| l.split(':').nth(field))
        .map(str::to_owned)
}
