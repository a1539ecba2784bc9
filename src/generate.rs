//! Prints what is made from the rows of flags and settings: man pages, completions, the example
//! configuration.
//!
//! Promise: the same source gives the same bytes, so that the committed files are tested with one
//! line each.
use std::fmt::Write as _;

use clap_complete::Shell;

use crate::cli::{self, Artifact};
use crate::failure::EXITS;
use crate::settings::keys::{KEYS, Key, Kind, environment};

/// The text of an artifact.
pub(crate) fn print(artifact: Artifact) -> String {
    match artifact {
        Artifact::Man => man(),
        Artifact::ManConfig => man_config(),
        Artifact::Bash => completion(Shell::Bash),
        Artifact::Zsh => completion(Shell::Zsh),
        Artifact::Fish => completion(Shell::Fish),
        Artifact::Config => example(),
    }
}

fn completion(shell: Shell) -> String {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "smail", &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    match shell {
        Shell::Fish => quoted_flags(&text),
        // A colon begins what follows a flag.
        Shell::Zsh => text.replace("\n'-:+[", "\n'-\\:+["),
        _ => text,
    }
}

/// fish's completions with flags that are signs in quotes: `-s #` would begin a comment, `-s ~` is
/// the home.
fn quoted_flags(text: &str) -> String {
    let quoted = |line: &str| match line
        .strip_prefix("complete -c smail -s ")
        .and_then(|rest| rest.split_once(' '))
    {
        Some((flag, rest)) if !flag.chars().all(char::is_alphanumeric) => {
            format!("complete -c smail -s '{flag}' {rest}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(quoted).collect()
}

const SMAIL_1: &str = include_str!("../man/smail.1.in");
const SMAIL_CONFIG_5: &str = include_str!("../man/smail-config.5.in");

/// smail(1): prose by hand, options and exit status from their rows.
fn man() -> String {
    let mut exits = String::new();
    for (code, text) in EXITS {
        let _ = write!(exits, ".TP\n{code}\n{}\n", roff(text));
    }
    SMAIL_1
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{options}}\n", &options())
        .replace("{{exits}}\n", &exits)
}

fn options() -> String {
    let command = cli::command();
    let mut out = String::new();
    let mut headings: Vec<&str> = Vec::new();
    for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
        let heading = arg.get_help_heading().unwrap_or("Options");
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let _ = writeln!(out, ".SS {}", roff(heading));
        for arg in command
            .get_arguments()
            .filter(|a| !a.is_hide_set() && a.get_help_heading() == Some(heading))
        {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = write!(out, ".TP\n{}\n{}.\n", usage(arg), roff(&help));
        }
    }
    out
}

/// `\fB\-s\fR, \fB\-\-subject\fR \fITEXT\fR`
fn usage(arg: &clap::Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|n| n.join(" "));
    let mut names: Vec<String> = arg
        .get_short()
        .iter()
        .map(|c| format!("\\fB\\-{}\\fR", roff(&c.to_string())))
        .collect();
    names.extend(
        arg.get_long()
            .map(|long| format!("\\fB\\-\\-{}\\fR", roff(long))),
    );
    let value = value.map_or_else(String::new, |v| format!(" \\fI{}\\fR", roff(&v)));
    if names.is_empty() {
        value.trim().to_owned()
    } else {
        format!("{}{value}", names.join(", "))
    }
}

/// smail-config(5): prose by hand, settings from their rows.
fn man_config() -> String {
    let mut out = String::new();
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            let _ = writeln!(out, ".SS {}", roff(group));
        }
        let _ = write!(
            out,
            ".TP\n\\fB{}\\fR = {}\n{}\n",
            roff(key.name),
            kind(key),
            roff(key.doc)
        );
        if !key.default.is_empty() {
            let _ = writeln!(out, "Default: {}.", roff(key.default));
        }
        if !key.mailrc.is_empty() {
            let names: Vec<_> = key
                .mailrc
                .iter()
                .map(|n| format!("\\fB{}\\fR", roff(n)))
                .collect();
            let _ = writeln!(
                out,
                "In mail.rc: {}{}.",
                names.join(", "),
                if key.chain { " (chain)" } else { "" }
            );
        } else if key.chain {
            out.push_str("In mail.rc: a chain.\n");
        }
        let _ = writeln!(out, "Environment: {}.", roff(&environment(key.name)));
    }
    SMAIL_CONFIG_5
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{settings}}\n", &out)
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::Text | Kind::Target | Kind::Proxy | Kind::Secret => "text".to_owned(),
        Kind::Flag => "true | false".to_owned(),
        Kind::Time => "seconds".to_owned(),
        Kind::Size => "bytes".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Addresses => "addresses".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Program => "program and arguments".to_owned(),
        Kind::Choice(words) => roff(&words.join(" | ")),
    }
}

/// Text in which nothing is a command of the formatter.
fn roff(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('~', "\\(ti")
        .replace('^', "\\(ha")
        .replace('`', "\\(ga");
    text.strip_prefix(['.', '\''])
        .map_or(text.clone(), |_| format!("\\&{text}"))
}

const EXAMPLE_HEAD: &str = "\
# Settings of smail: ~/.config/smail/config.toml, or /etc/smail/config.toml for everybody.
# A file that contains a password must be private: chmod 600. `smail --show-settings` shows what is in effect and where it was set.
# The names of mail.rc (smtp-auth-user, ssl-verify, ...) are accepted too; smail-config(5) explains every setting.
#
# Three lines are enough:
#smtp = \"smtps://smtp.example.org\"
#auth-user = \"me@example.org\"
#auth-password-command = \"pass show mail\"
";

const EXAMPLE_TAIL: &str = "
# Names that stand for addresses
#[aliases]
#team = [\"ann@example.org\", \"Bob <bob@example.org>\"]

# Accounts: chosen with -A NAME, or by their from. Every setting above is allowed in them.
#[accounts.work]
#from = \"me@work.example\"
#smtp = \"smtp.work.example:587\"
#auth-password-file = \"~/.config/smail/work\"
";

fn example() -> String {
    let mut out = EXAMPLE_HEAD.to_owned();
    let mut group = "";
    for key in KEYS {
        if key.group != group {
            group = key.group;
            let _ = write!(out, "\n# {group}\n");
        }
        let value = match key.kind {
            Kind::Flag => key.example.to_owned(),
            Kind::Time if key.example.parse::<u32>().is_ok() => key.example.to_owned(),
            Kind::List => {
                format!(
                    "[{}]",
                    key.example
                        .split(',')
                        .map(|v| format!("\"{v}\""))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }
            _ => format!("\"{}\"", key.example.replace('\\', "\\\\")),
        };
        let _ = write!(out, "\n# {}\n#{} = {value}\n", key.doc, key.name);
    }
    out + EXAMPLE_TAIL
}
