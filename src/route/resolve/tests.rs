//! Facts about settings from the files to the route.
use std::os::unix::fs::PermissionsExt;

mod owner;

use super::*;
use crate::cli;
use crate::environment::Environment;
use crate::route::{Choice, Mechanism, Smtp, TlsMode, Verify};
use crate::secret::SecretSource;
use crate::settings::{Layers, author, keys, show};

/// A home directory of its own, without the system's files.
struct TestHome {
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl TestHome {
    fn new() -> Self {
        TestHome {
            home: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    fn file(self, name: &str, mode: u32, text: &str) -> Self {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn rc(text: &str) -> Self {
        TestHome::new().file(".mailrc", 0o600, text)
    }

    fn toml(text: &str) -> Self {
        TestHome::new().file("config.toml", 0o600, text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn settings(&self, words: &[&str]) -> Result<Settings, SettingsError> {
        self.layers(words)?.resolve(&[])
    }

    fn layers(&self, words: &[&str]) -> Result<Layers, SettingsError> {
        let words = ["smail", "-n"]
            .iter()
            .chain(words)
            .map(|w| std::ffi::OsString::from(*w));
        let args = cli::parse(words).unwrap();
        let env = Environment {
            variables: self.variables.iter().cloned().collect(),
            home: Some(self.home.path().to_owned()),
            config: Some(self.home.path().to_owned()),
            state: vec![self.home.path().join("state")],
            ..Environment::default()
        };
        Layers::load(&args, &env)
    }

    fn smtp(&self, words: &[&str]) -> Smtp {
        let settings = self.settings(words).unwrap();
        let author = author::authors(&settings, "me").unwrap().remove(0);
        match resolve(&settings, &author).unwrap() {
            Route::Smtp(smtp) => *smtp,
            other => panic!("{other:?}"),
        }
    }

    fn error(&self, words: &[&str]) -> String {
        let settings = match self.settings(words) {
            Ok(settings) => settings,
            Err(error) => return self.neutral(&error.to_string()),
        };
        let author = match author::authors(&settings, "me") {
            Ok(mut authors) => authors.remove(0),
            Err(error) => return self.neutral(&error.to_string()),
        };
        self.neutral(&resolve(&settings, &author).unwrap_err().to_string())
    }

    fn neutral(&self, text: &str) -> String {
        text.replace(self.home.path().to_str().unwrap(), "~")
    }
}

fn endpoints(smtp: &Smtp) -> Vec<(u16, TlsMode)> {
    smtp.endpoints.iter().map(|d| (d.port, d.tls)).collect()
}

fn password(smtp: &Smtp) -> String {
    smtp.login
        .as_ref()
        .unwrap()
        .credential
        .source()
        .fetch()
        .unwrap()
        .reveal()
        .to_owned()
}

#[test]
fn the_five_lines_of_the_source_document_lead_to_tls_on_the_providers_port() {
    let place = TestHome::rc(
        "set from=\"xxx@163.com\"\nset smtp=smtp.163.com\nset smtp-auth-user=xxx@163.com\nset smtp-auth-password=code\nset smtp-auth=login\n",
    );
    let smtp = place.smtp(&[]);
    assert_eq!(
        (smtp.host.as_str(), endpoints(&smtp)),
        ("smtp.163.com", vec![(465, TlsMode::Implicit)])
    );
    let login = smtp.login.as_ref().unwrap();
    assert_eq!(
        (login.user.as_str(), login.mechanism),
        ("xxx@163.com", Choice::Only(Mechanism::Login))
    );
    assert_eq!(password(&smtp), "code");
}

#[test]
fn who_needs_no_secret_is_asked_for_none() {
    let rows: &[(&str, &[&str], &str, Mechanism)] = &[
        ("anonymous", &[], "", Mechanism::Anonymous),
        ("external", &[], "", Mechanism::External),
        ("externanon", &[], "", Mechanism::External),
        (
            "anonymous",
            &["-S", "auth-user=u@x.example"],
            "u@x.example",
            Mechanism::Anonymous,
        ),
    ];
    for (auth, more, user, mechanism) in rows {
        let auth = format!("auth={auth}");
        let mut args = vec!["-S", "smtp=mx.example", "-S", &auth];
        args.extend_from_slice(more);
        let login = TestHome::rc("").smtp(&args).login.unwrap();
        assert_eq!(
            (&*login.user, login.mechanism),
            (*user, Choice::Only(*mechanism))
        );
    }
}

#[test]
fn the_port_and_the_mode_follow_scheme_provider_and_login() {
    type Row<'a> = (&'a [&'a str], bool, &'a [(u16, TlsMode)]);
    use TlsMode::{Implicit, None, Opportunistic, Starttls};
    let login = ["-S", "auth-user=u@x.example", "-S", "auth-password=p"];
    let rows: &[Row<'_>] = &[
        (&["smtp=h.example"], false, &[(25, Opportunistic)]),
        (
            &["smtp=h.example"],
            true,
            &[(465, Implicit), (587, Starttls)],
        ),
        (&["smtp=h.example:2525"], false, &[(2525, Opportunistic)]),
        (&["smtp=h.example:2525"], true, &[(2525, Starttls)]),
        (&["smtp=h.example:465"], true, &[(465, Implicit)]),
        (&["smtp=smtp://h.example"], false, &[(25, Opportunistic)]),
        (&["smtp=smtp://h.example"], true, &[(25, Starttls)]),
        (&["smtp=submission://h.example"], true, &[(587, Starttls)]),
        (&["smtp=smtps://h.example"], true, &[(465, Implicit)]),
        (
            &["smtp=submissions://h.example:4465"],
            true,
            &[(4465, Implicit)],
        ),
        (&["smtp=lmtp://h.example"], false, &[(24, Opportunistic)]),
        (&["smtp=smtp.gmail.com:587"], true, &[(587, Starttls)]),
        (&["smtp=smtp.163.com:587"], true, &[(587, Implicit)]),
        (&["smtp=127.0.0.1:25"], true, &[(25, Opportunistic)]),
        (&["smtp=localhost"], true, &[(25, Opportunistic)]),
        (&["smtp=h.example", "tls=none"], false, &[(25, None)]),
        (
            &["smtp=h.example", "tls=implicit"],
            false,
            &[(465, Implicit)],
        ),
        (
            &["smtp=h.example", "tls=starttls"],
            true,
            &[(587, Starttls)],
        ),
        (
            &["smtp=h.example:25", "smtp-use-starttls"],
            false,
            &[(25, Starttls)],
        ),
        (
            &["smtp=smtps://h.example", "smtp-use-starttls"],
            true,
            &[(465, Implicit)],
        ),
        (
            &["smtp=smtp://h.example", "smtp-config=-starttls"],
            false,
            &[(25, None)],
        ),
        (&["mta=smtp://h.example:26"], false, &[(26, Opportunistic)]),
    ];
    for (sets, with_login, want) in rows {
        let mut words: Vec<&str> = sets.iter().flat_map(|s| ["-S", s]).collect();
        if *with_login {
            words.extend(login);
        }
        assert_eq!(
            endpoints(&TestHome::new().smtp(&words)),
            *want,
            "{sets:?} {with_login}"
        );
    }
}

#[test]
fn a_login_and_a_password_alone_find_the_providers_server() {
    let smtp = TestHome::toml("auth-user = \"me@gmail.com\"\nauth-password = \"p\"\n").smtp(&[]);
    assert_eq!(smtp.host, "smtp.gmail.com");
    let smtp = TestHome::toml("from = \"me@163.com\"\nauth-password = \"p\"\n").smtp(&[]);
    assert_eq!(
        (smtp.host.as_str(), smtp.login.unwrap().user.as_str()),
        ("smtp.163.com", "me@163.com")
    );
}

#[test]
fn the_stronger_source_wins_and_says_where_it_stands() {
    let rc = TestHome::rc("set from=rc@x smtp=rc.example timeout=1\nset reply-to=rc@x\n");
    let place = rc.file(
        "config.toml",
        0o600,
        "from = \"toml@x\"\ntimeout = 2\nreply-to = \"toml@x\"\n",
    );
    let place = place
        .env("SMAIL_FROM", "env@x")
        .env("SMAIL_REPLY_TO", "env@x");
    let settings = place
        .settings(&["-S", "from=set@x", "-r", "flag@x"])
        .unwrap();
    let shown = |name| {
        (
            settings.text(name).unwrap(),
            place.neutral(&settings.origin(name).unwrap().to_string()),
        )
    };
    assert_eq!(shown("from"), ("flag@x".into(), "-r".into()));
    assert_eq!(
        shown("reply-to"),
        ("env@x".into(), "$SMAIL_REPLY_TO".into())
    );
    assert_eq!(shown("timeout"), ("2".into(), "~/config.toml:2".into()));
    assert_eq!(shown("smtp"), ("rc.example".into(), "~/.mailrc:1".into()));
    assert_eq!(
        place
            .settings(&["-S", "from=set@x"])
            .unwrap()
            .text("from")
            .unwrap(),
        "set@x"
    );
}

#[test]
fn accounts_are_chosen_by_name_by_the_author_or_by_default() {
    let text = "from = \"home@x\"\nsmtp = \"home.example\"\n[accounts.work]\nfrom = \"Me <me@work.example>\"\nsmtp = \"work.example\"\n";
    let place = TestHome::toml(text);
    let host = |words: &[&str]| place.smtp(words).host;
    assert_eq!(host(&[]), "home.example");
    assert_eq!(host(&["-A", "work"]), "work.example");
    assert_eq!(host(&["-r", "ME@work.example"]), "work.example");
    assert_eq!(
        host(&["-A", "work", "-S", "smtp=other.example"]),
        "other.example"
    );
    assert_eq!(
        TestHome::toml(&format!("account = \"work\"\n{text}"))
            .smtp(&[])
            .host,
        "work.example"
    );
    assert_eq!(place.error(&["-A", "wrk"]), "unknown account `wrk`");
    assert_eq!(
        TestHome::toml("account = \"x\"\n").error(&[]),
        "the account `x` does not exist"
    );
}

#[test]
fn an_account_of_mail_rc_applies_where_it_is_used() {
    let rc = "set from=a@x smtp=a.example\naccount b {\n set from=b@x smtp=b.example\n}\n";
    assert_eq!(TestHome::rc(rc).smtp(&["-A", "b"]).host, "b.example");
    assert_eq!(
        TestHome::rc(&format!("{rc}account b\n")).smtp(&[]).host,
        "b.example"
    );
}

#[test]
fn the_most_specific_form_of_a_chain_wins() {
    let rc = "set smtp=smtp://h.example:26 from=a@x user=plain password=plain\n\
              set user-h.example=host password-host@h.example=exact password-h.example=byhost\n";
    let smtp = TestHome::rc(rc).smtp(&[]);
    assert_eq!(
        (
            smtp.login.as_ref().unwrap().user.as_str(),
            password(&smtp).as_str()
        ),
        ("host", "exact")
    );
    let by_author = "set smtp=h.example from=a@x smtp-auth-user=g smtp-auth-password=g smtp-auth-user-A@x=mine smtp-auth-password-a@x=own\n";
    let smtp = TestHome::rc(by_author).smtp(&[]);
    assert_eq!(
        (
            smtp.login.as_ref().unwrap().user.as_str(),
            password(&smtp).as_str()
        ),
        ("mine", "own")
    );
}

#[test]
fn credentials_of_a_url_are_decoded_and_win() {
    let smtp =
        TestHome::rc("set v15-compat mta=smtps://u%40x:p%2Fw@h.example smtp-auth-password=other\n")
            .smtp(&[]);
    assert_eq!(
        (
            smtp.login.as_ref().unwrap().user.as_str(),
            password(&smtp).as_str()
        ),
        ("u@x", "p/w")
    );
}

#[test]
fn a_password_in_mail_rc_is_literal() {
    let smtp = TestHome::rc("set smtp=h.example smtp-auth-user=u smtp-auth-password=p$a%40#b!\n")
        .smtp(&[]);
    assert_eq!(password(&smtp), "p$a%40#b!");
}

#[test]
fn a_password_may_come_from_a_file_a_program_or_netrc() {
    let place =
        TestHome::toml("smtp = \"h.example\"\nauth-user = \"u\"\nauth-password-file = \"~/pw\"\n")
            .file("pw", 0o600, "of file\nx\n");
    assert_eq!(password(&place.smtp(&[])), "of file");
    let place = TestHome::toml(
        "smtp = \"h.example\"\nauth-user = \"u\"\nauth-password-command = [\"printf\", \"of program\"]\n",
    );
    assert_eq!(password(&place.smtp(&[])), "of program");
    let place = TestHome::rc("set smtp=h.example netrc-lookup\n").file(
        ".netrc",
        0o600,
        "machine h.example login n password q\n",
    );
    let smtp = place.smtp(&[]);
    assert_eq!(
        (
            smtp.login.as_ref().unwrap().user.as_str(),
            password(&smtp).as_str()
        ),
        ("n", "q")
    );
    let place = TestHome::rc("set smtp=h.example netrc-lookup\n").file(
        ".netrc",
        0o644,
        "machine h.example login n password q\n",
    );
    assert_eq!(
        place.error(&[]),
        "netrc: `~/.netrc` is accessible to others (mode 644); run `chmod 600 ~/.netrc`"
    );
}

#[test]
fn an_unsafe_file_is_refused_with_the_cure() {
    let secret = TestHome::new().file("config.toml", 0o644, "auth-password = \"s3cret\"\n");
    assert_eq!(
        secret.error(&[]),
        "~/config.toml: it contains a password, and others can read it (mode 0644)"
    );
    let url = TestHome::new().file("config.toml", 0o640, "smtp = \"smtps://u:s3cret@h\"\n");
    assert_eq!(
        url.error(&[]),
        "~/config.toml: it contains a password, and others can read it (mode 0640)"
    );
    let open = TestHome::new().file("config.toml", 0o666, "from = \"a@x\"\n");
    assert_eq!(
        open.error(&[]),
        "~/config.toml: others can write to it and could send mail in your name"
    );
    let rc = TestHome::new().file(".mailrc", 0o666, "set from=a@x\n");
    assert_eq!(
        rc.error(&[]),
        "~/.mailrc: others can write to it and could send mail in your name"
    );
    assert!(
        TestHome::new()
            .file("config.toml", 0o644, "from = \"a@x\"\n")
            .settings(&[])
            .is_ok()
    );
}

#[test]
fn a_mail_rc_with_a_password_that_others_may_read_works_and_is_told() {
    let place = TestHome::new().file(
        ".mailrc",
        0o644,
        "set smtp=h.example smtp-auth-user=u smtp-auth-password=s3cret\n",
    );
    let settings = place.settings(&[]).unwrap();
    let note = settings
        .notes
        .iter()
        .find(|n| n.contains("others can read"))
        .unwrap();
    assert!(!note.contains("s3cret"), "{note}");
}

#[test]
fn unknown_names_are_an_error_where_they_are_ours_and_passed_over_in_mail_rc() {
    assert_eq!(
        TestHome::toml("form = \"a@x\"\n").error(&[]),
        "unknown setting `form`"
    );
    assert_eq!(
        TestHome::new().error(&["-S", "smtp_use_starttls"]),
        "unknown setting `smtp_use_starttls`"
    );
    assert!(
        TestHome::new()
            .settings(&["-S", "hold", "-S", "nss-config-dir=/x", "-S", "sendwait"])
            .is_ok()
    );
    let settings = TestHome::rc("set mta-auth=login hold nonsense\n")
        .settings(&[])
        .unwrap();
    assert!(
        settings.notes.iter().any(
            |n| n.ends_with("unknown setting `mta-auth` is ignored; did you mean `smtp-auth`?")
        ),
        "{:?}",
        settings.notes
    );
    assert_eq!(
        TestHome::toml("tls = \"of\"\n").error(&[]),
        "tls: invalid value `of`; expected one of implicit, starttls, opportunistic, none"
    );
    assert_eq!(
        TestHome::rc("set smime-sign\n").error(&[]),
        "smime-sign: smail does not sign mail"
    );
}

#[test]
fn what_is_said_can_be_unsaid() {
    let place = TestHome::rc("set from=a@x smtp=smtps://h.example record=~/sent\nunset record\n");
    assert_eq!(place.settings(&[]).unwrap().text("record"), None);
    assert_eq!(
        place.settings(&["-S", "nofrom"]).unwrap().text("from"),
        None
    );
    assert!(
        !TestHome::rc("set verbose\n")
            .settings(&["-S", "noverbose"])
            .unwrap()
            .flag("verbose")
    );
}

#[test]
fn heirloom_reads_credentials_from_the_environment_and_common_names_only_when_isolated() {
    let place = TestHome::new()
        .env("smtp-auth-user", "u")
        .env("smtp-auth-password", "p")
        .env("from", "a@x")
        .env("smtp", "h.example");
    assert_eq!(place.smtp(&[]).host, "h.example");
    let args = cli::parse(["smail"].map(std::ffi::OsString::from)).unwrap();
    let env = Environment {
        variables: place.variables.iter().cloned().collect(),
        home: Some(place.home.path().to_owned()),
        ..Environment::default()
    };
    let settings = Layers::load(&args, &env).unwrap().resolve(&[]).unwrap();
    assert_eq!(
        (settings.text("auth-user").as_deref(), settings.text("from")),
        (Some("u"), None)
    );
}

#[test]
fn trust_is_strict_unless_said_otherwise() {
    let smtp = |set: &str| TestHome::new().smtp(&["-S", "smtp=h.example", "-S", set]);
    assert_eq!(smtp("from=a@x").trust.verify, Verify::Strict);
    assert_eq!(smtp("ssl-verify=ask").trust.verify, Verify::Strict);
    assert_eq!(smtp("ssl-verify=ignore").trust.verify, Verify::Ignore);
    assert_eq!(smtp("tls-verify-h.example=warn").trust.verify, Verify::Warn);
    let hex = "AB:".repeat(31) + "ab";
    assert_eq!(
        smtp(&format!("tls-fingerprint=SHA256={hex}"))
            .trust
            .fingerprint,
        Some([0xab; 32])
    );
    assert_eq!(
        TestHome::new().error(&["-S", "smtp=h", "-S", "tls-fingerprint=abc"]),
        "tls-fingerprint: expected 64 hexadecimal digits (SHA-256)"
    );
}

#[test]
fn the_senders_follow_the_table_of_s_nail() {
    let rows: &[(&[&str], &str, &str)] = &[
        (&["hostname=am.ple"], "me@am.ple", "me@am.ple"),
        (
            &["hostname=am.ple", "smtp-hostname=am2.ple2", "user=steffen"],
            "me@am.ple",
            "steffen@am2.ple2",
        ),
        (
            &["hostname=am.ple", "smtp-hostname=", "user=steffen"],
            "me@am.ple",
            "steffen@am.ple",
        ),
        (
            &["from=steffen.ex@am.ple", "hostname=am2.ple2"],
            "steffen.ex@am.ple",
            "steffen.ex@am.ple",
        ),
        (
            &[
                "from=steffen.ex@am.ple",
                "smtp-hostname=am3.ple3",
                "user=steffen",
            ],
            "steffen.ex@am.ple",
            "steffen@am3.ple3",
        ),
        (
            &["from=steffen.ex@am.ple", "smtp-from=steffen2@am2.ple2"],
            "steffen.ex@am.ple",
            "steffen2@am2.ple2",
        ),
        (
            &["from=Jim Hall jim@x.example"],
            "Jim Hall <jim@x.example>",
            "jim@x.example",
        ),
        (
            &["from=jim@x.example(Jim Hall)"],
            "Jim Hall <jim@x.example>",
            "jim@x.example",
        ),
        (
            &["from=jim@x.example", "realname=Jim"],
            "Jim <jim@x.example>",
            "jim@x.example",
        ),
        (&["auth-user=u@x.example"], "u@x.example", "u@x.example"),
        (
            &["smtp=smtps://u%40x.example:p@h"],
            "u@x.example",
            "u@x.example",
        ),
    ];
    for (sets, from, envelope) in rows {
        let words: Vec<&str> = sets.iter().flat_map(|s| ["-S", s]).collect();
        let settings = TestHome::new().settings(&words).unwrap();
        let author = author::authors(&settings, "me").unwrap().remove(0);
        assert_eq!(author.to_string(), *from, "{sets:?}");
        assert_eq!(
            author::return_path(&settings, &author, "me")
                .unwrap()
                .to_string(),
            *envelope,
            "{sets:?}"
        );
    }
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() {
    let place = TestHome::rc(
        "set smtp=smtps://u:s3cret@h.example from=a@x smtp-auth-password=s3cret\nalias team a@x b@x\n",
    );
    let text = place.neutral(&show(&place.settings(&["-S", "timeout=5"]).unwrap(), true));
    assert!(!text.contains("s3cret"), "{text}");
    for line in [
        "smtp = \"smtps://u:***@h.example\"  # ~/.mailrc:1",
        "auth-password = \"***\"  # ~/.mailrc:1",
        "timeout = 5  # -S",
        "team = \"a@x, b@x\"  # ~/.mailrc:2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn nothing_configured_is_told() {
    let error = TestHome::new().error(&["-S", "mta=/nonexistent/sendmail"]);
    assert_eq!(error, "mta: no such program: /nonexistent/sendmail");
    assert_eq!(
        TestHome::new().error(&["-S", "smtp=h", "-S", "auth=plain"]),
        "auth: it requires a login at h, but no user is set: set auth-user and auth-password"
    );
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let mut place =
        TestHome::rc("set smtp=h.example from=a@x auth-user=u auth-password=p max-size=5000\n");
    for key in keys::KEYS {
        place = place.env(&keys::environment(key.name), "");
    }
    for name in [
        "smtp-auth-user",
        "smtp-auth-password",
        "smtp-auth",
        "NETRC",
        "DEAD",
        "ORGANIZATION",
        "MAILRC",
    ] {
        place = place.env(name, "");
    }
    let smtp = place.smtp(&[]);
    assert_eq!(
        (
            smtp.host.as_str(),
            smtp.login.as_ref().unwrap().user.as_str()
        ),
        ("h.example", "u")
    );
    assert_eq!(password(&smtp), "p");
    let settings = place.settings(&[]).unwrap();
    assert_eq!(
        (settings.size("max-size"), settings.origin("netrc")),
        (Some(5000), None)
    );
}

#[test]
fn an_empty_password_is_said_before_any_login() {
    let place = TestHome::new();
    let set = [
        "-S",
        "smtp=h.example",
        "-S",
        "auth-user=u",
        "-S",
        "auth-password=",
    ];
    assert_eq!(
        place.error(&set),
        "smtp: the password for u is empty (auth-password of -S)"
    );
    assert_eq!(
        place.error(&["-S", "smtp=u:@h.example"]),
        "smtp: the password for u is empty (smtp of -S)"
    );
}

#[test]
fn a_users_file_that_cannot_be_reached_is_as_if_it_were_not_there() {
    let place = TestHome::new();
    for name in ["config.toml", ".mailrc", ".netrc"] {
        std::os::unix::fs::symlink(name, place.home.path().join(name)).unwrap();
    }
    let place = place.env("MAILRC", "~/.mailrc");
    let settings = place.settings(&["-S", "smtp=h.example"]).unwrap();
    let notes: Vec<String> = settings
        .notes
        .iter()
        .map(|note| place.neutral(note))
        .collect();
    let why = "cannot be reached and is ignored: Too many levels of symbolic links";
    assert_eq!(
        notes,
        [format!("~/.mailrc {why}"), format!("~/config.toml {why}")]
    );
    assert!(
        place
            .smtp(&["-S", "smtp=h.example", "-S", "netrc-lookup"])
            .login
            .is_none()
    );
}

#[test]
fn a_netrc_command_runs_at_the_login_and_not_before() {
    let set = [
        "-S",
        "smtp=h.example",
        "-S",
        "netrc-lookup",
        "-S",
        "netrc-command=/nonexistent/keyring",
    ];
    let smtp = TestHome::new().smtp(&set);
    let login = smtp.login.unwrap();
    assert_eq!(
        (login.user.as_str(), login.credential.names_user()),
        ("", true)
    );
    assert!(
        login
            .credential
            .source()
            .fetch_login("")
            .unwrap_err()
            .why
            .contains("/nonexistent/keyring")
    );
}

#[test]
fn a_netrc_names_who_logs_in_when_somebody_does() {
    let printed = |entry: &str, user: &[&str]| {
        let command = format!("netrc-command=/bin/echo {entry}");
        let set = ["-S", "smtp=h.example", "-S", "netrc-lookup", "-S", &command];
        let login = TestHome::new()
            .smtp(&[&set[..], user].concat())
            .login
            .unwrap();
        let found = login.credential.source().fetch_login(&login.user);
        found
            .map(|found| found.map(|(user, secret)| format!("{user}/{}", secret.reveal())))
            .map_err(|e| e.why)
    };
    let entry = "machine h.example login n password q";
    assert_eq!(printed(entry, &[]), Ok(Some("n/q".to_owned())));
    assert_eq!(
        printed(entry, &["-S", "auth-user=n"]),
        Ok(Some("n/q".to_owned()))
    );
    assert_eq!(
        printed("machine other.example login n password q", &[]),
        Ok(None)
    );
    let empty = "machine h.example login n password '\"\"'";
    assert_eq!(
        printed(empty, &[]),
        Err("the netrc has an empty password for h.example".to_owned())
    );
}

#[test]
fn providers_of_tokens_sign_in_for_providers_of_mail_that_exist() {
    for row in crate::oauth::provider::all() {
        for mail in row.mail {
            assert!(crate::providers::by_id(mail).is_some(), "{mail}");
        }
    }
}

#[test]
fn a_provider_of_mail_brings_the_addresses_of_its_tokens() {
    let place = TestHome::new();
    let account = |words: &[&str]| {
        let mut all = vec!["-S", "auth=oauth2", "-S", "oauth2-client-id=c"];
        all.extend_from_slice(words);
        let login = place.smtp(&all).login.unwrap();
        assert_eq!(login.mechanism, Choice::Token);
        match login.credential {
            crate::route::Credential::Token(account) => *account,
            other @ crate::route::Credential::Secret(_) => panic!("{other:?}"),
        }
    };
    let google = account(&["-S", "auth-user=me@gmail.com"]);
    assert_eq!(
        google.token.to_string(),
        "https://oauth2.googleapis.com/token"
    );
    assert_eq!(
        (google.scope.as_str(), google.redirect_host, google.device),
        ("https://mail.google.com/", "127.0.0.1", None)
    );
    let outlook = account(&["-S", "auth-user=me@outlook.com"]);
    let path = "https://login.microsoftonline.com/consumers/oauth2/v2.0/token";
    assert_eq!(outlook.token.to_string(), path);
    let app = account(&[
        "-S",
        "smtp=smtp.office365.com",
        "-S",
        "auth-user=me@x.example",
        "-S",
        "oauth2-tenant=x.example",
        "-S",
        "oauth2-grant=client-credentials",
    ]);
    let path = "https://login.microsoftonline.com/x.example/oauth2/v2.0/token";
    assert_eq!(
        (app.token.to_string().as_str(), app.scope.as_str()),
        (path, "https://outlook.office365.com/.default")
    );
    for (words, why) in [
        (
            &[
                "-S",
                "auth=oauth2",
                "-S",
                "smtp=x.example",
                "-S",
                "auth-user=u",
            ][..],
            "oauth2 requires oauth2-client-id, oauth2-service-account or oauth2-token-command",
        ),
        (
            &[
                "-S",
                "auth=oauth2",
                "-S",
                "smtp=x.example",
                "-S",
                "auth-user=u",
                "-S",
                "oauth2-client-id=c",
            ],
            "the provider of access tokens is not known: set oauth2-provider or oauth2-token-url",
        ),
        (
            &[
                "-S",
                "auth=oauth2",
                "-S",
                "smtp=x.example",
                "-S",
                "auth-user=u",
                "-S",
                "oauth2-client-id=c",
                "-S",
                "oauth2-token-url=http://evil.example/",
            ],
            "expected https://, as http:// is only for this host",
        ),
    ] {
        let error = place.error(words);
        assert!(error.contains(why), "{error}");
    }
}
