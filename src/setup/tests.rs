//! Dialogues as texts: what is said, what is answered, and what is there afterwards.
mod found;

use crate::language::Language;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::autoconfig::{NoPage, Page};
use super::find::{Directory, Service};
use super::messages::Messages;
use super::*;
use crate::mailrc::{self, Dialect};

/// Answers from a list, and writes everything down.
struct Script {
    answers: Vec<&'static str>,
    transcript: String,
}

impl Script {
    fn new(answers: &[&'static str]) -> Self {
        Script {
            answers: answers.iter().rev().copied().collect(),
            transcript: String::new(),
        }
    }

    fn answer(&mut self, question: &str, shown: bool) -> Result<&'static str, Aborted> {
        let answer = self.answers.pop().unwrap_or("^D");
        let _ = writeln!(
            self.transcript,
            "{question}: {}",
            if shown || answer == "^C" {
                answer
            } else {
                "(unseen)"
            }
        );
        match answer {
            "^C" => Err(Aborted::Interrupted),
            "^D" => Err(Aborted::Left),
            answer => Ok(answer),
        }
    }
}

impl Prompter for Script {
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "{text}");
    }

    fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Aborted> {
        let default = default.map_or_else(String::new, |default| format!(" [{default}]"));
        self.answer(&format!("{question}{default}"), true)
            .map(str::to_owned)
    }

    fn secret(&mut self, question: &str) -> Result<Secret, Aborted> {
        self.answer(question, false).map(Secret::new)
    }
}

/// A DNS that knows what a test tells it.
#[derive(Default)]
struct Known {
    mx: &'static [&'static str],
    srv: &'static [(&'static str, &'static str, u16)],
}

impl Directory for Known {
    fn mx(&self, _: &str) -> Vec<String> {
        self.mx.iter().map(|host| (*host).to_owned()).collect()
    }

    fn srv(&self, service: &str) -> Vec<Service> {
        let rows = self.srv.iter().filter(|row| row.0 == service);
        rows.map(|row| Service {
            host: row.1.to_owned(),
            port: row.2,
        })
        .collect()
    }
}

struct Played {
    transcript: String,
    result: Result<Done, SetupError>,
    /// The passwords that were tried.
    tried: Vec<String>,
    home: tempfile::TempDir,
}

impl Played {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name))
            .unwrap_or_else(|error| format!("{name}: {error}"))
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.home.path()).unwrap().next().is_none()
    }
}

fn place(home: &Path) -> Place {
    Place {
        config: home.join(".config/smail/config.toml"),
        home: Some(home.to_owned()),
        host: "host.example".into(),
        ..Place::default()
    }
}

/// Plays a dialogue in an empty home; only the password `right` works.
fn play(answers: &[&'static str], options: &SetupOptions, dns: &Known) -> Played {
    play_at(tempfile::tempdir().unwrap(), answers, options, dns)
}

fn play_at(
    home: tempfile::TempDir,
    answers: &[&'static str],
    options: &SetupOptions,
    dns: &Known,
) -> Played {
    play_on(&unasked, home, answers, options, dns)
}

fn play_on(
    web: autoconfig::Web<'_>,
    home: tempfile::TempDir,
    answers: &[&'static str],
    options: &SetupOptions,
    dns: &Known,
) -> Played {
    let mut script = Script::new(answers);
    let tried = RefCell::new(Vec::new());
    let try_it = |said: &[Setting]| {
        let password = said
            .iter()
            .find(|said| said.name == "auth-password")
            .map(|said| said.line(true));
        let password = password.map(|line| line.trim_end().replace(" = ", "=").replace('"', ""));
        let password = password.unwrap_or_else(|| "auth-password=right".to_owned());
        tried.borrow_mut().push(password.clone());
        if password == "auth-password=right" {
            Ok(())
        } else {
            Err(TrialError::Failed("smail: cannot log in".to_owned()))
        }
    };
    let doubt = |_: Option<&Preset>, _: &str, secret: &Secret| {
        (secret.reveal() == "short").then(|| "that is short".to_owned())
    };
    let services = Services {
        directory: dns,
        web,
        try_it: &try_it,
        sign_in: &|_, _| Ok("tokens.json".to_owned()),
        doubt: &doubt,
    };
    let result = run(
        &mut script,
        Messages(Language::English),
        options,
        &place(home.path()),
        services,
    );
    assert!(
        script.answers.is_empty(),
        "not asked for: {:?}\n{}",
        script.answers,
        script.transcript
    );
    Played {
        transcript: script.transcript,
        result,
        tried: tried.into_inner(),
        home,
    }
}

/// The web of tests that must not ask it.
fn unasked(host: &str, _: &str) -> Result<Page, NoPage> {
    panic!("{host} is asked without consent")
}

fn known() -> Known {
    Known::default()
}

fn addressed(address: &str) -> SetupOptions {
    SetupOptions {
        address: Some(address.to_owned()),
        ..SetupOptions::default()
    }
}

#[test]
fn a_known_provider_takes_four_answers() {
    let played = play(
        &["me@163.com", "right", "", ""],
        &SetupOptions::default(),
        &known(),
    );
    let wanted = "\
Nothing is written until you have answered the last question; press Ctrl-C to leave everything unchanged.
Your email address: me@163.com
NetEase 163.com: mail is sent through smtp.163.com:465 (TLS).
It requires: authorization code 授权码 (not the web password); free accounts can have only two.
Where to get it: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码; use that code, not the web password
Password (not shown): (unseen)
Where should the password be stored?
  1  a private file, ~/.config/smail/password-163
  2  in ~/.config/smail/config.toml itself, which is private too
  3  nowhere: you set SMAIL_AUTH_PASSWORD wherever smail runs
Number [1]: 
Testing: smtp.163.com:465 (TLS) …
It works: the server accepted the login and the sender.
Send a test message to me@163.com afterwards? (y/n) [y]: 
Written to ~/.config/smail/config.toml:
  # Made by `smail --setup`. `smail --show-settings` shows the settings in effect; smail-config(5) explains every setting.
  # NetEase 163.com
  # It requires: authorization code 授权码 (not the web password); free accounts can have only two.
  # Where to get it: 网页邮箱 → 设置 → POP3/SMTP/IMAP → 开启 IMAP/SMTP → 新增授权密码; use that code, not the web password
  from = \"me@163.com\"
  smtp = \"smtps://smtp.163.com:465\"
  auth-user = \"me@163.com\"
  auth-password-file = \"~/.config/smail/password-163\"
The password is in a private file, ~/.config/smail/password-163.
From now on: echo text | smail -s subject somebody@example.org
";
    assert_eq!(played.transcript, wanted);
    assert_eq!(played.file(".config/smail/password-163"), "right\n");
    let done = played.result.as_ref().unwrap();
    assert_eq!(played.file(".config/smail/config.toml"), done.shown);
    assert!(done.first_mail && done.account.is_none());
}

#[test]
fn whoever_leaves_at_any_question_leaves_nothing() {
    let whole = ["me@163.com", "right", "", ""];
    for end in ["^C", "^D"] {
        for asked in 0..whole.len() {
            let mut answers = whole[..asked].to_vec();
            answers.push(end);
            let played = play(&answers, &SetupOptions::default(), &known());
            assert!(
                matches!(played.result, Err(SetupError::Aborted(..))),
                "{}",
                played.transcript
            );
            assert!(played.is_empty(), "{}", played.transcript);
        }
    }
}

#[test]
fn a_wrong_password_is_asked_for_again() {
    let played = play(
        &["wrong", "", "", "right", "n"],
        &addressed("me@qq.com"),
        &known(),
    );
    assert_eq!(played.tried, ["auth-password=wrong", "auth-password=right"]);
    assert!(played.transcript.contains(
        "smail: cannot log in\nThat did not work.\nWhat now?\n  1  try again with another password\n  \
         2  change the server or user name\n  3  keep it as it is\n  4  cancel; nothing is written\nNumber [1]: \n"
    ));
    assert_eq!(played.file(".config/smail/password-qq"), "right\n");
}

#[test]
fn after_a_failure_everything_can_be_changed_kept_or_given_up() {
    let changed = play(
        &["wrong", "", "2", "mail.x.example:587", "boss", "right", "n"],
        &addressed("me@qq.com"),
        &known(),
    );
    let text = changed.file(".config/smail/config.toml");
    assert!(
        text.contains("smtp = \"smtp://mail.x.example:587\"\nauth-user = \"boss\"\n"),
        "{text}"
    );
    let kept = play(&["wrong", "", "3", "n"], &addressed("me@qq.com"), &known());
    assert_eq!(kept.file(".config/smail/password-qq"), "wrong\n");
    let left = play(&["wrong", "", "4"], &addressed("me@qq.com"), &known());
    assert!(matches!(left.result, Err(SetupError::GivenUp)) && left.is_empty());
}

#[test]
fn an_answer_takes_the_place_of_what_the_command_line_said() {
    let said = [
        "smtp=mail.old.example",
        "auth-password-file=/nowhere",
        "name=Me",
    ]
    .map(Setting::parse)
    .to_vec();
    let options = SetupOptions {
        said,
        ..addressed("me@qq.com")
    };
    let home = tempfile::tempdir().unwrap();
    let mut script = Script::new(&["", "2", "mail.new.example", "", "right", "", "n"]);
    let try_it = |said: &[Setting]| {
        let new = said
            .iter()
            .any(|said| said.line(true) == "smtp = \"mail.new.example\"\n");
        if new {
            Ok(())
        } else {
            Err(TrialError::Failed("no such host".to_owned()))
        }
    };
    let services = Services {
        directory: &known(),
        web: &unasked,
        try_it: &try_it,
        sign_in: &|_, _| Ok("tokens.json".to_owned()),
        doubt: &|_, _, _| None,
    };
    let done = run(
        &mut script,
        Messages(Language::English),
        &options,
        &place(home.path()),
        services,
    );
    let shown = done
        .unwrap_or_else(|error| panic!("{error}: {}", script.transcript))
        .shown;
    assert!(
        !shown.contains("old.example")
            && !shown.contains("/nowhere")
            && shown.contains("name = \"Me\"\n"),
        "{shown}"
    );
}

#[test]
fn without_a_login_nothing_is_asked_about_one() {
    let said = ["smtp=relay.x.example:25", "auth=none"]
        .map(Setting::parse)
        .to_vec();
    let played = play(
        &["n"],
        &SetupOptions {
            said,
            ..addressed("me@x.example")
        },
        &known(),
    );
    let shown = played.result.unwrap().shown;
    assert!(
        shown
            .ends_with("from = \"me@x.example\"\nsmtp = \"relay.x.example:25\"\nauth = \"none\"\n"),
        "{shown}"
    );
}

#[test]
fn an_account_that_other_files_choose_does_not_win() {
    let home = tempfile::tempdir().unwrap();
    let mut script = Script::new(&["right", "", "", "n"]);
    let place = Place {
        chosen: true,
        accounts: vec!["qq".into()],
        ..place(home.path())
    };
    let services = Services {
        directory: &known(),
        web: &unasked,
        try_it: &|_| Ok(()),
        sign_in: &|_, _| Ok("tokens.json".to_owned()),
        doubt: &|_, _, _| None,
    };
    let shown = run(
        &mut script,
        Messages(Language::English),
        &addressed("me@qq.com"),
        &place,
        services,
    )
    .unwrap()
    .shown;
    assert!(
        shown.contains("\naccount = \"qq-2\"\n\n[accounts.qq-2]\n"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_is_asked_for_again() {
    let answers = [
        "me",
        "a b@x",
        "me@qq.com",
        "",
        "short",
        "n",
        "short",
        "y",
        "9",
        "x",
        "2",
        "",
        "right",
        "maybe",
        "n",
    ];
    let played = play(&answers, &SetupOptions::default(), &known());
    for line in [
        "That is not a full address: me.\n",
        "Nothing was entered.\n",
        "Please check: that is short\nUse it anyway? (y/n) [y]: n\n",
        "Please enter a number from 1 to 3.\n",
        "Please enter y or n.\n",
    ] {
        assert!(played.transcript.contains(line), "{}", played.transcript);
    }
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.ends_with("auth-password = \"right\"\n") && !played.transcript.contains("right\""),
        "{text}"
    );
}

#[test]
fn an_old_file_gets_an_account_and_stays_its_beginning() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/smail");
    fs::create_dir_all(&dir).unwrap();
    let old = "from = \"a@b\" # mine\n[accounts.qq]\nfrom = \"c@d\"";
    fs::write(dir.join("config.toml"), old).unwrap();
    let played = play_at(
        home,
        &["right", "", "qq", "a b", "", "n"],
        &addressed("me@qq.com"),
        &known(),
    );
    for line in [
        "~/.config/smail/config.toml exists and stays unchanged; an account is added to it, selected by -A or by its address.\n",
        "The account `qq` already exists.\n",
        "`a b` is not valid: use letters, digits, - and _.\nAccount name [qq-2]: \n",
        "From now on: echo text | smail -A qq-2 -s subject somebody@example.org\n",
    ] {
        assert!(played.transcript.contains(line), "{}", played.transcript);
    }
    let done = played.result.as_ref().unwrap();
    assert_eq!(
        played.file(".config/smail/config.toml"),
        format!("{old}\n\n{}", done.shown)
    );
    assert!(done.shown.contains("\n[accounts.qq-2]\n"), "{}", done.shown);
}

#[test]
fn settings_of_other_files_do_not_leak_into_the_account() {
    let account = account::Account {
        address: "me@x.example".into(),
        server: find::Server::parse("mail.x.example").unwrap(),
        user: Some("me".into()),
        proof: account::Proof::Setting,
    };
    let lines = |said: Vec<Setting>| said.iter().map(|said| said.line(true)).collect::<String>();
    let options = [
        Setting::parse("smtp-auth-user=you"),
        Setting::parse("save"),
        Setting::parse("nosave"),
    ];
    assert_eq!(
        lines(account.said(&options, &["tls", "auth", "connect-to"], None)),
        "from = \"me@x.example\"\nsmtp = \"smtps://mail.x.example:465\"\nauth = \"auto\"\nconnect-to = \"\"\n\
         tls = \"implicit\"\nauth-user = \"you\"\nsave = true\nsave = false\n"
    );
}

#[test]
fn nobody_is_asked_where_everything_is_said() {
    let options = |secret: Option<Secret>| SetupOptions {
        secret,
        yes: true,
        ..addressed("me@gmail.com")
    };
    let unasked = play(&["^D"], &options(None), &known());
    assert!(matches!(unasked.result, Err(SetupError::Aborted(..))));
    let played = play(&[""], &options(Some(Secret::new("right"))), &known());
    assert!(!played.result.as_ref().unwrap().first_mail);
    let refused = play(&[""], &options(Some(Secret::new("wrong"))), &known());
    assert!(matches!(refused.result, Err(SetupError::Refused(_))) && refused.is_empty());
}

#[test]
fn a_google_password_loses_its_blanks() {
    let secret = Some(Secret::new("abcd efgh ijkl mnop"));
    let played = play(
        &[""],
        &SetupOptions {
            secret,
            yes: true,
            ..addressed("me@gmail.com")
        },
        &known(),
    );
    assert_eq!(played.tried, ["auth-password=abcdefghijklmnop"]);
}

#[test]
fn a_password_in_an_argument_is_refused() {
    for said in [
        "smtp-auth-password=x",
        "smtp=smtps://u:x@h",
        "auth-password-me@h.example=x",
    ] {
        let options = SetupOptions {
            said: vec![Setting::parse(said)],
            ..addressed("me@qq.com")
        };
        assert!(
            matches!(
                play(&[], &options, &known()).result,
                Err(SetupError::Argument(_))
            ),
            "{said}"
        );
    }
}

#[test]
fn where_only_tokens_count_a_program_is_asked_for() {
    let played = play(
        &["", "get 'token", "get-token me", "n"],
        &addressed("me@outlook.com"),
        &known(),
    );
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.ends_with("auth = \"xoauth2\"\nauth-password-command = \"get-token me\"\n"),
        "{text}"
    );
}

#[test]
fn a_provider_of_tokens_is_signed_in_to() {
    let played = play(
        &["client-id", "", "n"],
        &addressed("me@outlook.com"),
        &known(),
    );
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.ends_with("auth = \"oauth2\"\noauth2-client-id = \"client-id\"\n"),
        "{text}"
    );
    assert_eq!(played.tried.len(), 1);
    // Where there are passwords too, an empty one leads there.
    let played = play(
        &["", "client-id", "s3cr3t-0f-client", "n"],
        &addressed("me@gmail.com"),
        &known(),
    );
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.ends_with(
            "auth = \"oauth2\"\noauth2-client-id = \"client-id\"\noauth2-client-secret = \"s3cr3t-0f-client\"\n"
        ),
        "{text}"
    );
    assert!(
        !played.transcript.contains("s3cr3t-0f-client"),
        "{}",
        played.transcript
    );
    // Or back to the password.
    let played = play(
        &["", "", "right", "1", "n"],
        &addressed("me@gmail.com"),
        &known(),
    );
    assert!(!played.file(".config/smail/config.toml").contains("oauth2"));
}

#[test]
fn every_line_of_a_mailrc_is_accounted_for() {
    let home = tempfile::tempdir().unwrap();
    let rc = home.path().join(".mailrc");
    let text = "set from=me@163.com\nset smtp=smtp.163.com\nset smtp-auth-user=me@163.com\nset smtp-auth-password=$ecret\n\
                set smtp-auth=login\nset ask crt=20\nset smtp_use_tls=x\nset from=Me<me@163.com>\nset ssl-verify=maybe\n\
                alias team a@x b@x\nset smtp-auth-user-h.example=you\nset bsdcompat smime-sign\nunset record\nfrobnicate\n\
                account work {\n set mta=smtps://me:p%40ss@mail.work.example\n}\n";
    let env = mailrc::Context {
        home: None,
        stdin_is_terminal: false,
        variables: &|_| None,
        known: &crate::settings::keys::is_known,
        dialect: Dialect::Old,
    };
    let read = mailrc::parse(text.as_bytes(), &rc, &env);
    let mut script = Script::new(&["", ""]);
    let before = Before {
        path: &rc,
        read: &read,
        routes: &|_| ("smtp.163.com:465".into(), "smtp.163.com:465".into()),
    };
    let result = from_mailrc(
        &mut script,
        Messages(Language::English),
        &SetupOptions::default(),
        &place(home.path()),
        &before,
    );
    assert!(result.unwrap().is_some());
    let wanted = "\
Converting ~/.mailrc to TOML:
  1 from: dropped: set again later
  2 smtp: unchanged
  3 smtp-auth-user: is now called auth-user
  4 smtp-auth-password: is a password and is stored where you choose
  5 smtp-auth: is now called auth
  6 ask: dropped: has no effect on sending
  6 crt: dropped: has no effect on sending
  7 smtp_use_tls: dropped: unknown setting
  8 from: unchanged
  9 ssl-verify: dropped: invalid value `maybe`; expected one of strict, warn, ignore, ask
  10 alias team: is moved to [aliases]
  11 smtp-auth-user-h.example: applies to h.example only, as before
  12 bsdcompat: is now called subject-first
  12 smime-sign: dropped: smail does not sign mail
  13 unset record: unsets what was set before
  15 account work: becomes [accounts.work]
  16 mta: contained a password, which is stored where you choose
  14: dropped: not a command; the line is ignored
Where should the password be stored?
  1  a private file, ~/.config/smail/password-mail
  2  in ~/.config/smail/config.toml itself, which is private too
Number [1]: 
Mail is sent through smtp.163.com:465, as before.
  # Made by `smail --setup --from-mailrc` from ~/.mailrc.
  smtp = \"smtp.163.com\"
  auth-user = \"me@163.com\"
  auth = \"login\"
  from = \"Me<me@163.com>\"
  \"auth-user-h.example\" = \"you\"
  subject-first = true
  auth-password-file = \"~/.config/smail/password-mail\"

  [aliases]
  \"team\" = [\"a@x\", \"b@x\"]

  [accounts.\"work\"]
  mta = \"smtps://me@mail.work.example\"
  auth-password-file = \"~/.config/smail/password-work\"
Write ~/.config/smail/config.toml? (y/n) [y]: 
~/.mailrc is left unchanged; from now on ~/.config/smail/config.toml takes precedence over it.
";
    assert_eq!(script.transcript, wanted);
    let read =
        |name: &str| fs::read_to_string(home.path().join(".config/smail").join(name)).unwrap();
    assert_eq!(
        (
            read("password-mail").as_str(),
            read("password-work").as_str()
        ),
        ("$ecret\n", "p@ss\n")
    );
}

#[test]
fn a_mailrc_is_not_turned_into_a_file_that_is_there() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path());
    fs::create_dir_all(place.config.parent().unwrap()).unwrap();
    fs::write(&place.config, "#\n").unwrap();
    let before = Before {
        path: Path::new("x"),
        read: &mailrc::RcFile::default(),
        routes: &|_| Default::default(),
    };
    let result = from_mailrc(
        &mut Script::new(&[]),
        Messages(Language::English),
        &SetupOptions::default(),
        &place,
        &before,
    );
    assert!(matches!(result, Err(SetupError::Exists(_))));
}

#[test]
fn the_dialogue_speaks_chinese() {
    let home = tempfile::tempdir().unwrap();
    let mut script = Script::new(&["right", "", "n"]);
    let services = Services {
        directory: &known(),
        web: &unasked,
        try_it: &|_| Ok(()),
        sign_in: &|_, _| Ok("tokens.json".to_owned()),
        doubt: &|_, _, _| None,
    };
    run(
        &mut script,
        Messages(Language::Chinese),
        &addressed("me@qq.com"),
        &place(home.path()),
        services,
    )
    .unwrap();
    assert!(
        script
            .transcript
            .contains("密码（不显示）: (unseen)\n密码保存在哪里？\n"),
        "{}",
        script.transcript
    );
}
