//! The commands of a mail.rc: which there are, and how short their names may be.

/// The commands that say something to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Set,
    Unset,
    Alias,
    Unalias,
    Source,
    Account,
    If,
    Elif,
    Else,
    Endif,
    Define,
    /// Would run something.
    Run,
}

/// Name, the shortest abbreviation (POSIX where it has the command), command.
const COMMANDS: &[(&str, usize, Command)] = &[
    ("set", 2, Command::Set),
    ("unset", 3, Command::Unset),
    ("alias", 1, Command::Alias),
    ("group", 1, Command::Alias),
    ("unalias", 3, Command::Unalias),
    ("ungroup", 3, Command::Unalias),
    ("source", 2, Command::Source),
    ("account", 2, Command::Account),
    ("if", 2, Command::If),
    ("elif", 3, Command::Elif),
    ("else", 2, Command::Else),
    ("endif", 2, Command::Endif),
    ("define", 6, Command::Define),
    ("call", 4, Command::Run),
    ("eval", 4, Command::Run),
    ("shell", 2, Command::Run),
];

/// The reading side of the peers: accepted without a word.
const SILENT: &str = "\
    alternates alt ask bind cd chdir charsetalias collapse colour commandalias cwd discard di echo filetype flag \
    folder folders fwddiscard fwdignore fwdretain headerpick history ignore ig localopts mimetype mlist \
    mlsubscribe mono netrc quit readctl retain ret saveignore saveretain savediscard setenv shortcut sort tls \
    unbind uncharsetalias uncolour uncommandalias undefine unfiletype unfwdignore unfwdretain unheaderpick \
    unignore unmimetype unmlist unmlsubscribe unmono unretain unsaveignore unsaveretain unsetenv unshortcut \
    varshow version";

/// Words before a command that change nothing here.
pub(super) const MODIFIERS: &[&str] = &["ignerr", "local", "global", "our"];

/// Finds a command by its name or an abbreviation.
pub(super) fn find(name: &str) -> Option<Command> {
    COMMANDS
        .iter()
        .find(|(full, least, _)| name.len() >= *least && full.starts_with(name))
        .map(|row| row.2)
}

/// Returns whether a name belongs to the reading side.
pub(super) fn is_silent(name: &str) -> bool {
    SILENT.split_ascii_whitespace().any(|known| known == name)
}

/// What is said of an unknown command. It is not named: a line that was torn apart may begin with a
/// secret.
pub(super) const UNKNOWN: &str = "not a command; the line is ignored";
