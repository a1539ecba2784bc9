//! The committed files that are made from the rows of flags and settings are what the program
//! prints.
use crate::support::sandbox::Sandbox;

fn is_up_to_date(what: &str, committed: &str) {
    let printed = Sandbox::new().smail(&["--generate", what]).run();
    assert_eq!((printed.status, printed.stderr.as_str()), (0, ""));
    assert!(
        printed.stdout == committed,
        "run `make generate`: {what} has changed"
    );
}

#[test]
fn the_man_page_is_made_from_the_flags() {
    is_up_to_date("man", include_str!("../../man/smail.1"));
}

#[test]
fn the_man_page_of_the_settings_is_made_from_their_rows() {
    is_up_to_date("man-config", include_str!("../../man/smail-config.5"));
}

#[test]
fn the_example_configuration_is_made_from_the_rows() {
    is_up_to_date("config", include_str!("../../config.example.toml"));
}

#[test]
fn the_completions_are_made_from_the_flags() {
    is_up_to_date("bash", include_str!("../../completions/smail.bash"));
    is_up_to_date("zsh", include_str!("../../completions/_smail"));
    is_up_to_date("fish", include_str!("../../completions/smail.fish"));
}

#[test]
fn the_example_configuration_is_accepted_with_every_line_uncommented() {
    let sandbox = Sandbox::new();
    let text: String = include_str!("../../config.example.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if !rest.starts_with(' ') && (rest.contains(" = ") || rest.starts_with('[')) =>
            {
                format!("{rest}\n")
            }
            _ => "\n".to_owned(),
        })
        .collect();
    // The three lines at the top stand again below, and a table ends the keys above it.
    let from = text.find("from = ").unwrap();
    let text = text[from..].replace(
        "\"sha-256 of the certificate in hex\"",
        &format!("\"{}\"", "ab".repeat(32)),
    );
    let path = sandbox.write("all.toml", &text);
    let shown = sandbox
        .smail(&[
            "--show-settings",
            "--config",
            path.to_str().unwrap(),
            "-S",
            "mta=test",
            "-S",
            "nosmtp",
        ])
        .run();
    assert_eq!((shown.status, shown.stderr.as_str()), (0, ""), "{text}");
    let set = shown
        .stdout
        .lines()
        .filter(|l| l.contains("all.toml:"))
        .count();
    assert!(set > 60, "{}", shown.stdout);
}

#[test]
fn every_flag_is_in_the_man_page() {
    let page = include_str!("../../man/smail.1").replace("\\-", "-");
    for arg in smail::cli::command()
        .get_arguments()
        .filter(|a| !a.is_hide_set())
    {
        if let Some(long) = arg.get_long() {
            assert!(page.contains(&format!("--{long}")), "--{long}");
        }
    }
}

#[test]
fn help_texts_end_without_a_period() {
    for arg in smail::cli::command().get_arguments() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.ends_with('.') && !help.is_empty(), "{arg}: {help}");
    }
}
