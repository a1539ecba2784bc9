//! The completions in the shells they are for: each is sourced without a word, and completes.
use crate::support::obstacle;
use crate::support::sandbox::{Outcome, Sandbox};

/// Flags that are signs to a shell.
const SIGNS: [&str; 4] = ["-#", "-~", "-:", "-."];

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");

/// Runs a script in a shell; `None` where the shell is not installed.
fn run(shell: &[&str], script: &str) -> Option<Outcome> {
    if obstacle::stops(shell[0], obstacle::without_program(shell[0])) {
        return None;
    }
    let sandbox = Sandbox::new();
    let script = script.replace("FOLDER", FOLDER);
    Some(
        sandbox
            .program(&[shell, &[&script]].concat())
            .env("TERM", "dumb")
            .run(),
    )
}

#[test]
fn bash_completes() {
    let script = "source FOLDER/smail.bash || exit 1
one() { COMP_WORDS=(smail \"$@\"); COMP_CWORD=$#; _smail smail \"${@: -1}\" \"${COMP_WORDS[$#-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"; }
one --subj
one --generate b
one -";
    let Some(outcome) = run(&["/usr/bin/bash", "--norc", "-c"], script) else {
        return;
    };
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let found: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(found[..2], ["--subject", "bash"]);
    assert!(SIGNS.iter().all(|sign| found.contains(sign)), "{found:?}");
}

#[test]
fn fish_completes() {
    let script = "source FOLDER/smail.fish; or exit 1
complete -C 'smail --subj'
complete -C 'smail --generate b'
complete -C 'smail -'";
    let Some(outcome) = run(&["/usr/bin/fish", "--no-config", "-c"], script) else {
        return;
    };
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let mut found = outcome
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap());
    assert_eq!(
        found.by_ref().take(2).collect::<Vec<_>>(),
        ["--subject", "bash"]
    );
    let flags: Vec<&str> = found
        .filter(|flag| flag.len() == 2 && !flag.as_bytes()[1].is_ascii_alphabetic())
        .collect();
    let mut wanted = [&SIGNS[..], &["--"]].concat();
    wanted.retain(|sign| *sign != "--");
    wanted.sort_unstable();
    assert_eq!(
        {
            let mut flags = flags;
            flags.sort_unstable();
            flags
        },
        wanted
    );
}

#[test]
fn zsh_completes() {
    // Completion needs a terminal: a second zsh has one, and what it shows is waited for.
    let script = r#"zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; fpath=(FOLDER $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000; stty cols 200 rows 1000; print RE''ADY'
zpty -r z shown '*READY*'
print -r -- "$shown" | grep smail:
zpty -w -n z $'smail --subj\t'
zpty -r z shown '*--subject=*'
zpty -w -n z $'\C-usmail --generate ba\t'
zpty -r z shown '*--generate bash*'
zpty -w -n z $'\C-usmail -\t'
zpty -r z shown "*--batch-mode*-#*--enable-cmd-escapes*-~*--end-options*-.*--resource-files*-:*--version*"
zpty -d z
print complete"#;
    let Some(outcome) = run(&["/usr/bin/zsh", "-f", "-c"], script) else {
        return;
    };
    assert_eq!(
        (
            outcome.status,
            outcome.stdout.as_str(),
            outcome.stderr.as_str()
        ),
        (0, "complete\n", "")
    );
}
