//! What surrounds this run: variables, directories, this host. Passed in, so that tests have their
//! own.
//!
//! Promise: a directory of another user is never taken for ours, whatever the environment says;
//! cron, sudo and systemd leave `HOME=/`, none, or that of the caller in place.
//!
//! The library `directories` names the home; what lies below is joined here. It would name
//! directories for settings and state below whatever `HOME` says before anybody could look whose
//! it is, takes no other home, and names none for state on macOS.
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub mod certificates;
pub mod peer;
mod process;

use directories::BaseDirs;

use peer::Peer;
pub use process::*;

/// The variable that a program finds in its environment when smail has started it.
pub const STARTED_BY_SMAIL: &str = "SMAIL_PROGRAM";

/// The directory in which root may make directories for the queues of users without a home.
const SPOOL: &str = "/var/spool/smail";

/// What the settings may know of the process and the host.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The directory of the user's `config.toml`.
    pub config: Option<PathBuf>,
    /// The directories that may hold the queue; the first one that can be used does.
    pub state: Vec<PathBuf>,
    /// Standard input is a terminal.
    pub terminal: bool,
    /// What all users of this host share.
    pub host: Host,
    /// What was not taken for ours, and why: lowercase fragments for `-v`.
    pub notes: Vec<String>,
}

impl fmt::Debug for Environment {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(***)")
    }
}

/// What all users of this host share. Nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The system's `config.toml`.
    pub config: Option<PathBuf>,
    /// The aliases that count unless `aliases-file` names others.
    pub aliases: Option<PathBuf>,
    /// The file whose first line is the domain of local names (Debian's /etc/mailname).
    pub mailname: Option<PathBuf>,
    /// Its name, with a domain or without.
    pub hostname: Option<String>,
}

impl Host {
    /// The host this process runs on.
    pub fn here() -> Self {
        Host {
            config: Some(PathBuf::from("/etc/smail/config.toml")),
            aliases: Some(PathBuf::from("/etc/aliases")),
            mailname: Some(PathBuf::from("/etc/mailname")),
            hostname: host_name(),
        }
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let variables = process::variables()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        let user = user_id();
        // Without HOME the library asks the whole user database, which may be more than the host's
        // own file.
        let account = || {
            let own = account(5).map(PathBuf::from);
            own.or_else(|| filled("HOME").is_none().then(home).flatten())
        };
        let dirs = Dirs::find(&variables, account, user, Path::new(SPOOL));
        Environment {
            variables,
            home: dirs.home,
            config: dirs.config,
            state: dirs.state,
            terminal: stdin_is_terminal(),
            host: Host::here(),
            notes: dirs.notes,
        }
    }

    /// The user's login name: the environment's word, else the account's, else `nobody`.
    pub fn user(&self) -> String {
        let named = ["LOGNAME", "USER"]
            .iter()
            .find_map(|n| self.variable(n).filter(|v| !v.is_empty()));
        named
            .map(str::to_owned)
            .or_else(|| account(0))
            .unwrap_or_else(|| "nobody".to_owned())
    }

    /// Who called: the name of the parent process and the account, as in `cron/root`; where
    /// standard input is a unix socket, those of the process that has connected to it. Not the
    /// environment's word, as it is kept in a log.
    pub fn caller(&self) -> String {
        let (pid, uid) = match Peer::of_stdin() {
            Ok(Peer::Local { pid, uid, .. }) => (Some(pid), Some(uid)),
            _ => (
                rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()),
                None,
            ),
        };
        let name = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/comm")).ok());
        let name = name.map(|name| {
            String::from_utf8_lossy(&name)
                .trim_end_matches('\n')
                .to_owned()
        });
        let user = match uid {
            Some(uid) => account_of(uid, 0).unwrap_or_else(|| uid.to_string()),
            None => account(0).unwrap_or_else(|| self.user()),
        };
        format!("{}/{user}", name.as_deref().unwrap_or("unknown"))
    }

    /// The locale of messages (POSIX.1-2024 section 8.2): the first of the three variables that is
    /// set to something.
    pub fn locale(&self) -> &str {
        let set = |name| self.variable(name).filter(|value| !value.is_empty());
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(set)
            .unwrap_or("C")
    }

    /// Returns whether this runs in continuous integration, where nothing waits for the next run:
    /// `CI` is set to something.
    pub fn is_ci(&self) -> bool {
        self.variable("CI")
            .is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
    }

    /// The time all dates are taken from, for builds that can be repeated (reproducible-builds.org,
    /// `SOURCE_DATE_EPOCH`).
    pub fn source_date_epoch(&self) -> Option<i64> {
        self.variable("SOURCE_DATE_EPOCH")?.trim().parse().ok()
    }

    /// A variable that is set to something: compose files and unit files hand over empty ones for
    /// those that are not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// The directories of this user.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dirs {
    home: Option<PathBuf>,
    config: Option<PathBuf>,
    state: Vec<PathBuf>,
    notes: Vec<String>,
}

impl Dirs {
    /// Finds them by the environment; the account's home in the user database is asked for only
    /// where `HOME` does not count.
    fn find(
        variables: &BTreeMap<String, String>,
        account: impl FnOnce() -> Option<PathBuf>,
        user: u32,
        spool: &Path,
    ) -> Self {
        let variable = |name: &str| {
            variables
                .get(name)
                .filter(|path| path.starts_with('/'))
                .map(PathBuf::from)
        };
        let ours = |home: &PathBuf| {
            home.parent().is_some() && home.metadata().is_ok_and(|m| m.is_dir() && m.uid() == user)
        };
        // A container may run as a user whom its image does not know, with a home that the image's
        // root made: what stands there is root's word. A user who has an account and got the HOME
        // of root (sudo, cron) has a home of their own.
        let of_root = |home: &PathBuf| {
            home.parent().is_some()
                && home
                    .metadata()
                    .is_ok_and(|m| m.is_dir() && m.uid() == 0 && m.mode() & 0o002 == 0)
        };
        let given = variable("HOME");
        let home = given
            .clone()
            .filter(ours)
            .or_else(|| account().filter(|home| home.is_absolute()));
        let home = home.or_else(|| given.clone().filter(of_root));
        let mut notes = Vec::new();
        if let (None, Some(given)) = (&home, &given) {
            let given = given.display();
            notes.push(format!(
                "HOME is {given}, which is not a home directory of this user; user settings are ignored"
            ));
        }
        let below = |variable: Option<PathBuf>, way: &str| {
            variable
                .filter(|path| !is_of_another(path, user))
                .or_else(|| Some(home.as_ref()?.join(way)))
        };
        let mut state = Vec::new();
        state.extend(
            variable("XDG_STATE_HOME")
                .filter(|path| !is_of_another(path, user))
                .map(|path| path.join("smail")),
        );
        state.extend(home.as_ref().map(|home| home.join(".local/state/smail")));
        // systemd makes it for the service, open to all, and hands it over in a list
        // (systemd.exec(5), StateDirectory=).
        let service = variables
            .get("STATE_DIRECTORY")
            .and_then(|list| list.split(':').next());
        state.extend(
            service
                .filter(|path| path.starts_with('/'))
                .map(|path| Path::new(path).join("smail")),
        );
        // Its parent is root's to make: made by us, it would be closed to everybody else.
        state.extend(spool.is_dir().then(|| spool.join(user.to_string())));
        let mut seen = Vec::new();
        state.retain(|path| {
            !seen.contains(path) && {
                seen.push(path.clone());
                true
            }
        });
        let config = below(variable("XDG_CONFIG_HOME"), ".config").map(|path| path.join("smail"));
        Dirs {
            home,
            config,
            state,
            notes,
        }
    }
}

/// The home that `HOME` or, without it, the user database names, whoever owns it.
pub fn home() -> Option<PathBuf> {
    Some(BaseDirs::new()?.home_dir().to_owned())
}

/// Returns whether a path, or what there is of it, belongs to a user who is neither this one nor
/// root: sudo may have left it behind.
fn is_of_another(path: &Path, user: u32) -> bool {
    let there = path.ancestors().find_map(|path| path.metadata().ok());
    there.is_some_and(|meta| meta.uid() != user && meta.uid() != 0)
}

/// A field of this process's account in the user database of the host's own files.
fn account(field: usize) -> Option<String> {
    account_of(user_id(), field)
}

fn account_of(uid: u32, field: usize) -> Option<String> {
    let uid = uid.to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts
        .lines()
        .find(|l| l.split(':').nth(2) == Some(&uid))
        .and_then(|l| l.split(':').nth(field))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &Path)], account: Option<&Path>, user: u32, spool: &Path) -> Dirs {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let variables = variables
            .iter()
            .map(|(name, path)| ((*name).to_owned(), text(path)))
            .collect();
        Dirs::find(&variables, || account.map(Path::to_owned), user, spool)
    }

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// A user whom no directory of a test belongs to.
    const STRANGER: u32 = 54_321;

    #[test]
    fn a_home_that_is_none_of_ours_gives_way_to_that_of_the_account() {
        let (own, nowhere) = (tempfile::tempdir().unwrap(), Path::new("/nonexistent"));
        let account = Path::new("/home/of-the-account");
        let home = |given: &Path| {
            find(&[("HOME", given)], Some(account), me(), nowhere)
                .home
                .unwrap()
        };
        assert_eq!(home(own.path()), own.path());
        assert_eq!(home(Path::new("/")), account);
        assert_eq!(home(nowhere), account);
        assert_eq!(home(Path::new("relative")), account);
        assert_eq!(
            find(&[], Some(account), me(), nowhere).home.unwrap(),
            account
        );
        assert_eq!(
            find(&[("HOME", own.path())], Some(account), STRANGER, nowhere)
                .home
                .unwrap(),
            account
        );
        let why =
            "HOME is /, which is not a home directory of this user; user settings are ignored"
                .to_owned();
        let nothing = Dirs {
            notes: vec![why],
            ..Dirs::default()
        };
        assert_eq!(
            find(&[("HOME", Path::new("/"))], None, me(), nowhere),
            nothing
        );
    }

    #[test]
    fn a_user_without_an_account_has_the_home_that_root_made() {
        let (home, nowhere) = (tempfile::tempdir().unwrap(), Path::new("/nonexistent"));
        if me() != 0 {
            return;
        }
        let given = [("HOME", home.path())];
        assert_eq!(
            find(&given, None, STRANGER, nowhere).home.unwrap(),
            home.path()
        );
        assert_eq!(
            find(&given, Some(Path::new("/own")), STRANGER, nowhere)
                .home
                .unwrap(),
            Path::new("/own")
        );
        std::os::unix::fs::chown(home.path(), Some(1), None).unwrap();
        assert_eq!(find(&given, None, STRANGER, nowhere).home, None);
    }

    #[test]
    fn the_queue_has_one_place_after_the_other() {
        let (home, state, service, spool) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            Path::new("/var/lib/job:/var/lib/other"),
            tempfile::tempdir().unwrap(),
        );
        let variables = [
            ("HOME", home.path()),
            ("XDG_STATE_HOME", state.path()),
            ("STATE_DIRECTORY", service),
        ];
        let found = find(&variables, None, me(), spool.path());
        let wanted = [
            state.path().join("smail"),
            home.path().join(".local/state/smail"),
            PathBuf::from("/var/lib/job/smail"),
            spool.path().join(me().to_string()),
        ];
        assert_eq!(found.state, wanted);
        assert_eq!(found.config.unwrap(), home.path().join(".config/smail"));
    }

    #[test]
    fn directories_of_another_user_are_passed_over() {
        let other = tempfile::tempdir().unwrap();
        if me() != 0 {
            return;
        }
        std::os::unix::fs::chown(other.path(), Some(1), None).unwrap();
        let below = other.path().join("not/there");
        let account = tempfile::tempdir().unwrap();
        let variables = [
            ("XDG_STATE_HOME", other.path()),
            ("XDG_CONFIG_HOME", below.as_path()),
        ];
        let found = find(
            &variables,
            Some(account.path()),
            0,
            Path::new("/nonexistent"),
        );
        assert_eq!(found.state, [account.path().join(".local/state/smail")]);
        assert_eq!(found.config.unwrap(), account.path().join(".config/smail"));
    }
}
