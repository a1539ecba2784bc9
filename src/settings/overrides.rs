//! What one run says over its files: which of them it reads, the account it chooses, and settings.
//!
//! Promise: `-S`, a flag of its own and a dialogue set a value by the same path; none of them is
//! parsed anywhere else.
use std::ffi::OsString;
use std::path::PathBuf;

use super::keys;
use super::value::Raw;
use super::{Layer, Origin};
use crate::cli::Args;

/// What a run says over its files. Nothing by default.
#[derive(Clone, Default)]
pub(crate) struct Overrides {
    /// Which files are read.
    pub files: SettingsFiles,
    /// The account, or with GNU mail a file to attach (`-A`).
    pub account: Option<OsString>,
    /// Lines of mail.rc that are read before the files (`-X`).
    pub first_lines: Vec<String>,
    /// Lines of mail.rc that are read behind files and environment (`-Y`).
    pub last_lines: Vec<String>,
    /// Settings, in the order in which they count.
    pub settings: Vec<Override>,
}

/// Which files are read. All of them by default.
#[derive(Clone, Default)]
pub(crate) struct SettingsFiles {
    /// None at all.
    pub none: bool,
    /// In place of the system's and the user's `config.toml`.
    pub config: Option<PathBuf>,
    /// The system's mail.rc is left out.
    pub no_system_rc: bool,
    /// The mail.rc files that are read, by the letters of `-:`.
    pub resource_files: Option<String>,
}

/// A setting over those of the files.
#[derive(Clone)]
pub(crate) struct Override {
    /// Its name, by any that it has.
    pub key: String,
    /// Its value; `None` unsets it.
    pub value: Option<Raw>,
    /// Where it comes from.
    pub origin: Origin,
    /// How much it counts.
    pub(super) layer: Layer,
}

impl Overrides {
    /// Those of a command line.
    pub(crate) fn of(args: &Args) -> Self {
        Overrides {
            files: SettingsFiles::of(args),
            account: args.account.clone(),
            first_lines: args.startup_cmd.clone(),
            last_lines: args.cmd.clone(),
            settings: args
                .set
                .iter()
                .map(|text| Override::parse(text))
                .chain(own_flags(args))
                .collect(),
        }
    }
}

impl SettingsFiles {
    /// Those that a command line names.
    pub(crate) fn of(args: &Args) -> Self {
        SettingsFiles {
            none: args.no_config,
            config: args.config.clone(),
            no_system_rc: args.no_system_rc,
            resource_files: args.resource_files.clone(),
        }
    }
}

impl Override {
    /// Reads what stands behind `-S`: `name=value`; `name` switches on and `noname` off, unless
    /// `noname` is a name itself.
    pub(crate) fn parse(text: &str) -> Self {
        let (key, value) = if let Some((name, value)) = text.split_once('=') {
            (name.trim(), Some(Raw::Text(value.to_owned())))
        } else {
            let name = text.trim();
            let off = name
                .strip_prefix("no")
                .filter(|rest| !keys::is_known(name) && keys::is_known(rest));
            off.map_or((name, Some(Raw::Flag(true))), |rest| (rest, None))
        };
        Override {
            key: key.to_owned(),
            value,
            origin: Origin::Flag("-S".to_owned()),
            layer: Layer::Set,
        }
    }

    /// A value that a dialogue has found out. It counts as `-S` does, and has no place to be shown.
    pub(crate) fn found(key: impl Into<String>, value: Raw) -> Self {
        Override {
            key: key.into(),
            value: Some(value),
            origin: Origin::Flag(String::new()),
            layer: Layer::Set,
        }
    }

    /// What `-v` sets.
    pub(crate) fn verbose() -> Self {
        Override::flag("verbose", "-v", "true")
    }

    /// The text of a flag that stands for one setting.
    fn flag(key: &str, shown: &str, text: &str) -> Self {
        Override {
            key: key.to_owned(),
            value: Some(Raw::Text(text.to_owned())),
            origin: Origin::Flag(shown.to_owned()),
            layer: Layer::Flag,
        }
    }
}

/// The flags that stand for one setting each.
fn own_flags(args: &Args) -> impl Iterator<Item = Override> {
    // GNU mail says it of files, which smail encodes as they need it.
    let encoding = args.encoding.as_deref().map(|name| match name {
        "7bit" | "binary" => "auto",
        name => name,
    });
    let on = |given: bool| given.then_some("true");
    let flags = [
        ("from", "-r", args.from.as_deref()),
        ("reply-to", "--reply-to", args.reply_to.as_deref()),
        ("provider", "--provider", args.provider.as_deref()),
        ("envelope-from", "-- -f", args.envelope_from.as_deref()),
        ("dsn-notify", "--dsn-notify", args.dsn_notify.as_deref()),
        ("dsn-return", "--dsn-return", args.dsn_return.as_deref()),
        ("name", "-- -F", args.full_name.as_deref()),
        ("encoding", "--encoding", encoding),
        ("skip-empty", "-E", on(args.skip_empty)),
        ("verbose", "-v", on(args.verbose > 0)),
        ("debug", "-d", on(args.dry_run)),
    ];
    flags
        .into_iter()
        .filter_map(|(key, shown, text)| Some(Override::flag(key, shown, text?)))
}
