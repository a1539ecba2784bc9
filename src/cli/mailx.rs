//! The flags of mailx and of smail: one field a flag.
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};

const TO: &str = "Who gets it";
const WHAT: &str = "What is sent";
const HOW: &str = "Settings";
const RUN: &str = "This run";
const QUEUE: &str = "The queue";
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
    /// Recipients; a word may be a list, and a name may stand before `<address>`
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

    /// Recipient that no header shows
    #[arg(short, long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub bcc: Vec<String>,

    /// Recipients from a file, one a line, in no header (`-`: standard input)
    #[arg(long, value_name = "FILE", help_heading = TO)]
    pub to_file: Vec<PathBuf>,

    /// Recipient into a field, as in `cc: ann@example.org`
    #[arg(short = 'T', long, value_name = "FIELD: ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub target: Vec<String>,

    /// Sender: the From header and the envelope
    #[arg(short = 'r', long, value_name = "ADDRESS", aliases = ["from-address", "return-address"], allow_hyphen_values = true, help_heading = TO)]
    pub from: Option<String>,

    /// Where answers go
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true, help_heading = TO)]
    pub reply_to: Option<String>,

    /// Read recipients, subject and headers from the head of standard input
    #[arg(short = 't', long, help_heading = TO)]
    pub template: bool,

    /// Subject
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, help_heading = WHAT)]
    pub subject: Option<OsString>,

    /// Attach a file (`-`: standard input; `name=` and `type=` with its parameters may follow after
    /// `;`), or add a header when no such file exists
    #[arg(short, long, value_name = "FILE|HEADER", alias = "append", allow_hyphen_values = true, help_heading = WHAT)]
    pub attach: Vec<OsString>,

    /// Image for the HTML, which shows it as `cid:` and the file's name
    #[arg(long, value_name = "FILE", help_heading = WHAT)]
    pub inline: Vec<PathBuf>,

    /// Body is HTML, from standard input or from a file; a text alternative is made
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-", help_heading = WHAT)]
    pub html: Option<PathBuf>,

    /// Further header
    #[arg(short = 'C', long, value_name = "NAME: VALUE", alias = "custom-header", allow_hyphen_values = true, help_heading = WHAT)]
    pub header: Vec<String>,

    /// Put a file before the body
    #[arg(short, long, value_name = "FILE", help_heading = WHAT)]
    pub quote_file: Option<PathBuf>,

    /// Take the body from a file, its type by the name
    #[arg(short = 'm', value_name = "FILE", help_heading = WHAT)]
    pub body_file: Option<PathBuf>,

    /// Media type of the body, as in text/html
    #[arg(short = 'M', long, value_name = "TYPE", help_heading = WHAT)]
    pub content_type: Option<String>,

    /// Send nothing when the body is empty
    #[arg(short = 'E', long, alias = "discard-empty-messages", help_heading = WHAT)]
    pub skip_empty: bool,

    /// Setting by its TOML or mail.rc name; wins over files and environment
    #[arg(short = 'S', long, value_name = "NAME[=VALUE]", allow_hyphen_values = true, help_heading = HOW)]
    pub set: Vec<String>,

    /// Account to send with
    #[arg(short = 'A', long, value_name = "NAME", help_heading = HOW)]
    pub account: Option<OsString>,

    /// Provider whose server is used, and whose replies are explained, by its name in the table
    #[arg(long, value_name = "NAME", help_heading = HOW)]
    pub provider: Option<String>,

    /// Read this TOML file instead of the usual ones
    #[arg(long, value_name = "FILE", help_heading = HOW)]
    pub config: Option<PathBuf>,

    /// Read no settings files at all
    #[arg(long, help_heading = HOW)]
    pub no_config: bool,

    /// Do not read the system's mail.rc
    #[arg(short = 'n', alias = "norc", help_heading = HOW)]
    pub no_system_rc: bool,

    /// Which mail.rc files are read: `s` system, `u` user, `/` none
    #[arg(short = ':', long, value_name = "SPEC", help_heading = HOW)]
    pub resource_files: Option<String>,

    /// Line of mail.rc to run before the files
    #[arg(short = 'X', long, value_name = "LINE", allow_hyphen_values = true, help_heading = HOW)]
    pub startup_cmd: Vec<String>,

    /// Line of mail.rc to run after the files
    #[arg(short = 'Y', long, value_name = "LINE", allow_hyphen_values = true, help_heading = HOW)]
    pub cmd: Vec<String>,

    /// Print every setting with its value and where it was said
    #[arg(long, help_heading = HOW)]
    pub show_settings: bool,

    /// Set smail up: ask what is missing, try it, and write it down
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, help_heading = HOW)]
    pub setup: Option<Option<String>>,

    /// With --setup: turn the mail.rc that is there into config.toml
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, help_heading = HOW)]
    pub from_mailrc: Option<Option<PathBuf>>,

    /// With --setup: where the password comes from, `stdin` or a command that prints it
    #[arg(long, value_name = "SOURCE", help_heading = HOW)]
    pub password_from: Option<String>,

    /// With --setup: ask nothing, accept what is proposed
    #[arg(long, help_heading = HOW)]
    pub yes: bool,

    /// Try the way of a mail step by step, with `--to` also a recipient, and send nothing; an
    /// ACCOUNT may follow
    #[arg(long, help_heading = RUN)]
    pub check: bool,

    /// Print the message, its envelope and its way, and send nothing
    #[arg(short, long, alias = "debug", help_heading = RUN)]
    pub dry_run: bool,

    /// Show the dialogue with the server, secrets struck out
    #[arg(short, long, action = ArgAction::Count, help_heading = RUN)]
    pub verbose: u8,

    /// Print no warnings
    #[arg(long, help_heading = RUN)]
    pub quiet: bool,

    /// When servers tell the sender what became of the mail: `never`, or some of `success`,
    /// `failure`, `delay`
    #[arg(long, value_name = "WHEN", help_heading = RUN)]
    pub dsn_notify: Option<String>,

    /// How much of the mail goes into such a notice of failure: `headers` or `full`
    #[arg(long, value_name = "PART", help_heading = RUN)]
    pub dsn_return: Option<String>,

    /// Name of the mail in such a notice, at most 100 characters
    #[arg(long, value_name = "ID", help_heading = RUN)]
    pub dsn_envid: Option<String>,

    /// Explain a reply code, a reply, or what standard input holds (a log, a mail that came back),
    /// and send nothing
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "-", help_heading = RUN)]
    pub explain: Option<OsString>,

    /// Print what became of the mail as one JSON object
    #[arg(long, help_heading = RUN)]
    pub json: bool,

    /// Be sendmail, mailq, newaliases or mailx for the words that follow; only as the first word
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

    /// Send at once or not at all: keep nothing for later
    #[arg(long, help_heading = QUEUE)]
    pub no_queue: bool,

    /// List the mail that waits and the mail that failed
    #[arg(long, help_heading = QUEUE)]
    pub queue: bool,

    /// Show a mail of the queue: what happened to it, and its text
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub queue_show: Option<String>,

    /// Send what is due, or the mails with these ids
    #[arg(long, help_heading = QUEUE)]
    pub flush: bool,

    /// Keep a mail of the queue from being sent
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub hold: Option<String>,

    /// Let a mail of the queue be sent again, also one that failed
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub release: Option<String>,

    /// Remove a mail of the queue for good
    #[arg(long, value_name = "ID", help_heading = QUEUE)]
    pub remove: Option<String>,

    /// Prove every mail of the queue, and repair what a crash left
    #[arg(long, help_heading = QUEUE)]
    pub queue_check: bool,

    /// Send only once in seven days for the same key
    #[arg(long, value_name = "KEY", help_heading = QUEUE)]
    pub idempotency_key: Option<String>,

    /// Honour the tilde escapes ~s ~c ~b ~t ~r ~@ ~. ~~ in the body
    #[arg(short = '~', long, help_heading = COMPATIBLE)]
    pub enable_cmd_escapes: bool,

    /// Like -~, and a lone dot ends the body
    #[arg(short = '#', long, help_heading = COMPATIBLE)]
    pub batch_mode: bool,

    /// Name of the file that the next -a attaches, as the receiver sees it
    #[arg(long, alias = "content-name", value_name = "NAME", help_heading = COMPATIBLE)]
    pub content_filename: Vec<String>,

    /// How text beyond ASCII travels: the setting `encoding`
    #[arg(long, value_name = "NAME", help_heading = COMPATIBLE)]
    pub encoding: Option<String>,

    /// Keep a copy in a file named after the first recipient
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

    /// Without effect: an argument for a sendmail program, which mta-arguments sets
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
