//! Runs stories against servers that all of them share, and reports them as `cargo test` does.
//!
//! Why not `#[test]`: the servers have to start once and be ended after the last story, which
//! libtest has no place for. Understood: name filters, `--exact`, `--skip NAME`, `--list`; other
//! options of libtest are accepted and ignored.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use super::Servers;

/// A fact to prove, by name.
pub(crate) type Story = (&'static str, fn(&Servers));

#[derive(Default)]
struct Choice {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    only_ignored: bool,
}

impl Choice {
    fn of_arguments(mut arguments: impl Iterator<Item = String>) -> Choice {
        let mut choice = Choice::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => choice.exact = true,
                "--list" => choice.list = true,
                "--ignored" => choice.only_ignored = true,
                "--skip" => choice.skipped.extend(arguments.next()),
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => {
                    drop(arguments.next());
                }
                option if option.starts_with('-') => {}
                _ => choice.filters.push(argument),
            }
        }
        choice
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(word.as_str())
            }
        };
        !self.only_ignored
            && (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skipped.iter().any(fits)
    }
}

/// Runs the stories the command line asks for. Without root or the programs they are skipped with a
/// loud notice, but where `CI` is set that is a failure: a test that silently does nothing there
/// would prove nothing for ever.
pub(crate) fn run(stories: &[Story]) -> ExitCode {
    let choice = Choice::of_arguments(std::env::args().skip(1));
    let chosen: Vec<&Story> = stories
        .iter()
        .filter(|(name, _)| choice.takes(name))
        .collect();
    let filtered_out = stories.len() - chosen.len();
    if choice.list {
        for (name, _) in &chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begin = Instant::now();
    let failed = match Servers::obstacle() {
        _ if chosen.is_empty() => Vec::new(),
        None => tell(&chosen),
        Some(reason) => return refuse(&chosen, &reason, filtered_out),
    };
    if !failed.is_empty() {
        println!("\nfailures:");
        for name in &failed {
            println!("    {name}");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {filtered_out} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len(),
        begin.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

/// Runs the stories one after the other and gives the names of those that failed, each with what
/// the servers logged.
fn tell(chosen: &[&Story]) -> Vec<&'static str> {
    let servers = Servers::start();
    let mut failed = Vec::new();
    for (name, story) in chosen {
        let before = servers.log();
        let passed = catch_unwind(AssertUnwindSafe(|| story(&servers))).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            let after = servers.log();
            for line in after.lines().filter(|line| !before.contains(line)) {
                eprintln!("    server: {line}");
            }
            failed.push(*name);
        }
    }
    failed
}

fn refuse(chosen: &[&Story], reason: &str, filtered_out: usize) -> ExitCode {
    for (name, _) in chosen {
        println!("test {name} ... ignored");
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    eprintln!("\n*** NOT TESTED against real servers: {reason} ***");
    println!(
        "\ntest result: {}. 0 passed; {} failed; {} ignored; 0 measured; {filtered_out} filtered out; finished in 0.00s\n",
        if in_ci { "FAILED" } else { "ok" },
        usize::from(in_ci),
        chosen.len()
    );
    if in_ci {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}
