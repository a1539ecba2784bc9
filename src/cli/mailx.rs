//! The flags of mailx and of smail: one field a flag.
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};

const TO: &str = "Recipients and sender";
const WHAT: &str = "Message";
const HOW: &str = "Settings";
const RUN: &str = "This run";
const QUEUE: &str = "Queue";
const COMPATIBLE: &str = "Accepted for compatibility";

const EXAMPLES: &str = "\
Examples:
  echo 'All good' | smail -s 'Nightly backup' ann@example.org
  smail -s Report -a report.pdf -c bob@example.org ann@example.org < body.txt
  smail -S smtp=smtps://smtp.example.org -S auth-user=me@example.org -s Hi ann@example.org
  smail --dry-run -s Test ann@example.org < body.txt

Settings: ~/.config/smail/config.toml, ~/.mailrc, /etc/mail.rc; see smail-config(5) and `smail --show-settings`.
";

/// Sends mail from the command line.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Clone, Default, Parser)]
#[command(
    name = "smail",
    version,
    about = "Sends mail from the command line",
    override_usage = "smail [OPTION]... [-s SUBJECT] ADDRESS...",
    after_help = EXAMPLES,
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Args {
    /// Recipients; one argument may be a list, and a name may precede `<address>`
    #[arg(value_name = "ADDRESS", help_heading = TO)]
    pub operands: Vec<String>,

    /// Words after `--`: recipients, or after recipients the sendmail options -f, -r and -F
    #[arg(last = true, hide = true)]
    pub after_dashes: Vec<String>,

    /// Recipient in the To header
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub to: Vec<String>,

    /// Recipient in the Cc header
    #[arg(short, long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub cc: Vec<String>,

    /// Recipient that appears in no header
    #[arg(short, long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub bcc: Vec<String>,

    /// Read recipients from a file, one a line; they appear in no header (`-`: standard input)
    #[arg(long, value_name = "FILE", help_heading = TO)]
    pub to_file: Vec<PathBuf>,

    /// Add a recipient to a field, as in `cc: ann@example.org`
    #[arg(short = 'T', long, value_name = "FIELD: ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub target: Vec<String>,

    /// Sender, in the From header and in the envelope
    #[arg(short = 'r', long, value_name = "ADDRESS", aliases = ["from-address", "return-address"], allow_hyphen_values = true, help_heading = TO)]
    pub from: Option<String>,

    /// Address for replies
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub reply_to: Option<String>,

    /// Read recipients, subject and headers from the header of standard input
    #[arg(short = 't', long, help_heading = TO)]
    pub template: bool,

    /// Subject
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, help_heading = WHAT)]
    pub subject: Option<OsString>,

    /// Attach a file (`-`: standard input; `name=` and `type=` with parameters may follow after
    /// `;`), or add a header if no such file exists
    #[arg(short, long, value_name = "FILE|HEADER", alias = "append", allow_hyphen_values = true, help_heading = WHAT)]
    pub attach: Vec<OsString>,

    /// Add an image that the HTML shows as `cid:` and the file's name
    #[arg(long, value_name = "FILE", help_heading = WHAT)]
    pub inline: Vec<PathBuf>,

    /// Send HTML from standard input or a file, with a generated text alternative
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-", help_heading = WHAT)]
    pub html: Option<PathBuf>,

    /// Add a header
    #[arg(short = 'C', long, value_name = "NAME: VALUE", alias = "custom-header", allow_hyphen_values = true, help_heading = WHAT)]
    pub header: Vec<String>,

    /// Put a file before the body
    #[arg(short, long, value_name = "FILE", help_heading = WHAT)]
    pub quote_file: Option<PathBuf>,

    /// Read the body from a file; its name determines the type
    #[arg(short = 'm', value_name = "FILE", help_heading = WHAT)]
    pub body_file: Option<PathBuf>,

    /// Media type of the body, as in text/html
    #[arg(short = 'M', long, value_name = "TYPE", help_heading = WHAT)]
    pub content_type: Option<String>,

    /// Send nothing if the body is empty
    #[arg(short = 'E', long, alias = "discard-empty-messages", help_heading = WHAT)]
    pub skip_empty: bool,

    /// Set a setting by its TOML or mail.rc name; overrides files and environment
    #[arg(short = 'S', long, value_name = "NAME[=VALUE]", allow_hyphen_values = true, help_heading = HOW)]
    pub set: Vec<String>,

    /// Use this account
    #[arg(short = 'A', long, value_name = "NAME", help_heading = HOW)]
    pub account: Option<OsString>,

    /// Use the server of this provider, named as in the table, and explain replies as its own
    #[arg(long, value_name = "NAME", help_heading = HOW)]
    pub provider: Option<String>,

    /// Read this TOML file instead of the usual ones
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub config: Option<PathBuf>,

    /// Read no settings files
    #[arg(long, help_heading = HOW)]
    pub no_config: bool,

    /// Do not read the system's mail.rc
    #[arg(short = 'n', alias = "norc", help_heading = HOW)]
    pub no_system_rc: bool,

    /// Choose the mail.rc files to read: `s` system, `u` user, `/` none
    #[arg(short = ':', long, value_name = "SPEC", help_heading = HOW)]
    pub resource_files: Option<String>,

    /// Run a line of mail.rc before the files
    #[arg(short = 'X', long, value_name = "LINE", allow_hyphen_values = true, help_heading = HOW)]
    pub startup_cmd: Vec<String>,

    /// Run a line of mail.rc after the files
    #[arg(short = 'Y', long, value_name = "LINE", allow_hyphen_values = true, help_heading = HOW)]
    pub cmd: Vec<String>,

    /// Print every setting with its value and where it was set
    #[arg(long, help_heading = HOW)]
    pub show_settings: bool,

    /// Set up smail: ask for what is missing, try it, and write the settings
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, help_heading = HOW)]
    pub setup: Option<Option<String>>,

    /// With --setup: convert the existing mail.rc into config.toml
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, help_heading = HOW)]
    pub from_mailrc: Option<Option<PathBuf>>,

    /// With --setup: source of the password, `stdin` or a command that prints it
    #[arg(long, value_name = "SOURCE", help_heading = HOW)]
    pub password_from: Option<String>,

    /// With --setup: ask nothing, accept all proposals
    #[arg(long, help_heading = HOW)]
    pub yes: bool,

    /// Sign in to the provider of access tokens (OAuth2), for the settings or for an account
    #[arg(long, value_name = "ACCOUNT", num_args = 0..=1, help_heading = HOW)]
    pub login: Option<Option<OsString>>,

    /// With --login: show for how long each account is signed in
    #[arg(long, help_heading = HOW)]
    pub status: bool,

    /// With --login: open no browser; paste the address where it ended instead
    #[arg(long, help_heading = HOW)]
    pub no_browser: bool,

    /// Print an access token (OAuth2), for other programs
    #[arg(long, value_name = "ACCOUNT", num_args = 0..=1, help_heading = HOW)]
    pub token: Option<Option<OsString>>,

    /// Test a delivery step by step, with `--to` also the recipient, and send nothing; an ACCOUNT
    /// may follow
    #[arg(long, help_heading = RUN)]
    pub check: bool,

    /// Print the message, its envelope and its route, and send nothing
    #[arg(short, long, alias = "debug", help_heading = RUN)]
    pub dry_run: bool,

    /// Show the session with the server, secrets redacted
    #[arg(short, long, action = ArgAction::Count, help_heading = RUN)]
    pub verbose: u8,

    /// Print no warnings
    #[arg(long, help_heading = RUN)]
    pub quiet: bool,

    /// When servers notify the sender about delivery: `never`, or any of `success`, `failure`,
    /// `delay`
    #[arg(long, value_name = "WHEN", help_heading = RUN)]
    pub dsn_notify: Option<String>,

    /// How much of the message a failure notice includes: `headers` or `full`
    #[arg(long, value_name = "PART", help_heading = RUN)]
    pub dsn_return: Option<String>,

    /// Identifier of the message in such notices, at most 100 characters
    #[arg(long, value_name = "ID", help_heading = RUN)]
    pub dsn_envid: Option<String>,

    /// Explain a reply code, a reply, or standard input (a log, a bounce), and send nothing
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "-", help_heading = RUN)]
    pub explain: Option<OsString>,

    /// Print the result as one JSON object
    #[arg(long, help_heading = RUN)]
    pub json: bool,

    /// Act as sendmail, mailq, newaliases or mailx; must be the first argument
    #[arg(long = "as", value_name = "NAME", help_heading = RUN)]
    pub personality: Option<String>,

    /// Print a generated file: man, man-config, bash, zsh, fish, config
    #[arg(long, value_name = "WHAT", hide_possible_values = true, help_heading = RUN)]
    pub generate: Option<Artifact>,

    /// Print help
    #[arg(short = 'h', long, alias = "long-help", action = ArgAction::HelpShort, help_heading = RUN)]
    pub help: Option<bool>,

    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = RUN)]
    pub version: Option<bool>,

    /// Send now or fail: keep nothing for later
    #[arg(long, help_heading = QUEUE)]
    pub no_queue: bool,

    /// List waiting and failed mail
    #[arg(long, help_heading = QUEUE)]
    pub queue: bool,

    /// Show a queued message: its history and its text
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub queue_show: Option<String>,

    /// Send all mail that is due, or the messages with these ids
    #[arg(long, help_heading = QUEUE)]
    pub flush: bool,

    /// Keep a queued message from being sent
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub hold: Option<String>,

    /// Let a held or failed message be sent again
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub release: Option<String>,

    /// Delete a message from the queue
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub remove: Option<String>,

    /// Verify every queued message, and repair the damage of a crash
    #[arg(long, help_heading = QUEUE)]
    pub queue_check: bool,

    /// Send only once in seven days with the same key
    #[arg(long, value_name = "KEY", help_heading = QUEUE)]
    pub idempotency_key: Option<String>,

    /// Interpret the tilde escapes ~s ~c ~b ~t ~r ~@ ~. ~~ in the body
    #[arg(short = '~', long, help_heading = COMPATIBLE)]
    pub enable_cmd_escapes: bool,

    /// Like -~, and a lone dot ends the body
    #[arg(short = '#', long, help_heading = COMPATIBLE)]
    pub batch_mode: bool,

    /// File name that the recipient sees for the next -a
    #[arg(long, alias = "content-name", value_name = "NAME", help_heading = COMPATIBLE)]
    pub content_filename: Vec<String>,

    /// How to encode text beyond ASCII: the setting `encoding`
    #[arg(long, value_name = "NAME", help_heading = COMPATIBLE)]
    pub encoding: Option<String>,

    /// Save a copy in a file named after the first recipient
    #[arg(short = 'F', help_heading = COMPATIBLE)]
    pub record_by_recipient: bool,

    /// Without effect
    #[arg(short = 'i', hide = true, action = ArgAction::Count)]
    pub ignore_interrupts: u8,

    /// Without effect
    #[arg(short = 'N', long, hide = true, action = ArgAction::Count)]
    pub no_header_summary: u8,

    /// Without effect
    #[arg(short = 'B', hide = true, action = ArgAction::Count)]
    pub line_buffered: u8,

    /// Without effect
    #[arg(short = 'I', hide = true, action = ArgAction::Count)]
    pub show_newsgroups: u8,

    /// Without effect
    #[arg(short = 'D', long, hide = true, action = ArgAction::Count)]
    pub disconnected: u8,

    /// Without effect
    #[arg(long, hide = true, action = ArgAction::Count)]
    pub skip_empty_attachments: u8,

    /// Without effect: everything is MIME
    #[arg(long, hide = true, action = ArgAction::Count)]
    pub mime: u8,

    /// Without effect: a command of GNU mail
    #[arg(long, hide = true, value_name = "COMMAND", allow_hyphen_values = true)]
    pub exec: Vec<String>,

    /// Without effect: an argument for a sendmail program; use mta-arguments
    #[arg(
        short = 'O',
        hide = true,
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    pub program_argument: Vec<String>,

    /// Ends the options, as `--` does
    #[arg(short = '.', long, hide = true)]
    pub end_options: bool,

    /// Reading mode: refused
    #[arg(short = 'e', long, hide = true)]
    pub check_and_exit: bool,

    /// Reading mode: refused
    #[arg(short = 'f', long, hide = true)]
    pub file: bool,

    /// Reading mode: refused
    #[arg(short = 'H', long, hide = true)]
    pub header_summary: bool,

    /// Reading mode: refused
    #[arg(short = 'u', long, hide = true)]
    pub inbox_of: bool,

    /// Reading mode: refused
    #[arg(short = 'L', long, hide = true)]
    pub search: bool,

    /// Reading mode: refused
    #[arg(short = 'R', long, hide = true)]
    pub read_only: bool,

    /// Called as sendmail, or one of its kin
    #[arg(skip)]
    pub sendmail: Option<Box<super::sendmail::Request>>,

    /// For each of `attach`, and behind them for a file of `-A`, the name that `--content-filename`
    /// gives it
    #[arg(skip)]
    pub attachment_names: Vec<Option<String>>,

    /// The sender of the envelope, from `-- -f ADDRESS`
    #[arg(skip)]
    pub envelope_from: Option<String>,

    /// The sender's name, from `-- -F NAME`
    #[arg(skip)]
    pub full_name: Option<String>,
}

impl fmt::Debug for Args {
    /// Its name only: it may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Args(***)")
    }
}

/// What `--generate` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Artifact {
    /// smail.1
    Man,
    /// smail-config.5
    ManConfig,
    /// Completion for bash
    Bash,
    /// Completion for zsh
    Zsh,
    /// Completion for fish
    Fish,
    /// config.example.toml
    Config,
}
