//! To which server and in whose name a secret goes, as a table: files, environment and command line
//! against the login.
use super::*;
use crate::route::LoginOrigin;
use crate::settings::StoredSettings;

/// Server B with its login, as a file has it.
const B: &str = "smtp = \"b.example\"\nauth-user = \"u\"\nauth-password = \"pb\"\n";
const A: &[&str] = &["-S", "smtp=a.example", "-S", "auth-user=a"];

fn place(toml: &str, variables: &[(&str, &str)]) -> TestHome {
    variables
        .iter()
        .fold(TestHome::toml(toml), |place, (name, value)| {
            place.env(name, value)
        })
}

/// `user:password@host` of the route, `host` without a login, or the error.
fn login(place: &TestHome, words: &[&str]) -> String {
    let settings = match place.settings(words) {
        Ok(settings) => settings,
        Err(error) => return place.neutral(&error.to_string()),
    };
    shown(place, &settings)
}

fn shown(place: &TestHome, settings: &Settings) -> String {
    let author = author::authors(settings, "me").unwrap().remove(0);
    match resolve(settings, &author) {
        Ok(Route::Smtp(smtp)) => match &smtp.login {
            Some(login) => match login.credential.source() {
                SecretSource::Inline(secret) => {
                    format!("{}:{}@{}", login.user, secret.reveal(), smtp.host)
                }
                SecretSource::Netrc(lookup) => {
                    let secret = lookup.entry().unwrap().unwrap().password;
                    format!("{}:{}@{}", login.user, secret.reveal(), smtp.host)
                }
                other => format!("{}:({other:?})@{}", login.user, smtp.host),
            },
            None => smtp.host.clone(),
        },
        Ok(other) => format!("{other:?}"),
        Err(error) => place.neutral(&error.to_string()),
    }
}

type Row<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [&'a str],
    &'a str,
);

fn check(rows: &[Row<'_>]) {
    for (fact, toml, variables, words, want) in rows {
        assert_eq!(login(&place(toml, variables), words), *want, "{fact}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_password_of_a_file_goes_only_where_the_file_sends_it() {
    let refused = "cannot log in to a.example as u: auth-password in ~/config.toml:3 belongs to u at b.example";
    let user = "cannot log in to b.example as a: auth-password in ~/config.toml:3 belongs to u at b.example";
    let both = "cannot log in to a.example as a: auth-password in ~/config.toml:3 belongs to u at b.example";
    let lone = "cannot log in to a.example as a: auth-password in ~/config.toml:1 belongs to no server, because no file sets one";
    let gmail = "cannot log in to smtp.163.com as me@163.com: auth-password in ~/config.toml:2 belongs to smtp.gmail.com";
    let home = "from = \"me@gmail.com\"\nauth-password = \"pg\"\n";
    check(&[
        ("nothing else is said", B, &[], &[], "u:pb@b.example"),
        (
            "-S names another server",
            B,
            &[],
            &["-S", "smtp=a.example"],
            refused,
        ),
        (
            "a variable does",
            B,
            &[("SMAIL_SMTP", "a.example")],
            &[],
            refused,
        ),
        ("mta does", B, &[], &["-S", "mta=smtp://a.example"], refused),
        (
            "a URL with a user does",
            B,
            &[],
            &["-S", "smtp=smtps://u@a.example"],
            refused,
        ),
        ("another user", B, &[], &["-S", "auth-user=a"], user),
        (
            "another user of the environment",
            B,
            &[("SMAIL_AUTH_USER", "a")],
            &[],
            user,
        ),
        (
            "another user in the URL",
            B,
            &[],
            &["-S", "smtp=smtps://a@b.example"],
            user,
        ),
        ("both are others", B, &[], A, both),
        (
            "-Y and -X name it",
            B,
            &[],
            &["-Y", "set smtp=a.example"],
            refused,
        ),
        (
            "the same server and user",
            B,
            &[],
            &["-S", "smtp=smtps://u@B.example:465"],
            "u:pb@b.example",
        ),
        (
            "the same by a variable",
            B,
            &[("SMAIL_SMTP", "smtp://b.example:587")],
            &[],
            "u:pb@b.example",
        ),
        (
            "no login is wanted",
            B,
            &[],
            &["-S", "smtp=a.example", "-S", "auth=none"],
            "a.example",
        ),
        (
            "the file names no server",
            "auth-password = \"p\"\n",
            &[],
            A,
            lone,
        ),
        (
            "the address finds the provider",
            home,
            &[],
            &[],
            "me@gmail.com:pg@smtp.gmail.com",
        ),
        (
            "another address finds another",
            home,
            &[],
            &["-r", "me@163.com"],
            gmail,
        ),
        (
            "--provider names another",
            home,
            &[],
            &["--provider", "163"],
            &gmail.replace("me@163", "me@gmail"),
        ),
        (
            "the file names no user",
            "smtp = \"b.example\"\nauth-password = \"p\"\n",
            &[],
            &["-S", "auth-user=a"],
            "a:p@b.example",
        ),
    ]);
}

#[test]
fn another_port_is_another_server_unless_only_an_administrator_can_have_it() {
    let file = "smtp = \"127.0.0.1:2525\"\nauth-user = \"u\"\nauth-password = \"p\"\n";
    let to = |host: &str| {
        format!(
            "cannot log in to {host} as u: auth-password in ~/config.toml:3 belongs to u at 127.0.0.1:2525"
        )
    };
    check(&[
        (
            "the same",
            file,
            &[],
            &["-S", "smtp=smtp://127.0.0.1:2525"],
            "u:p@127.0.0.1",
        ),
        (
            "another",
            file,
            &[],
            &["-S", "smtp=127.0.0.1:2526"],
            &to("127.0.0.1:2526"),
        ),
        (
            "that of the host",
            file,
            &[],
            &["-S", "smtp=127.0.0.1"],
            &to("127.0.0.1"),
        ),
    ]);
    let socket = "smtp = \"lmtp+unix:/run/b\"\nauth-user = \"u\"\nauth-password = \"p\"\n";
    let refused =
        "cannot log in to /run/a as u: auth-password in ~/config.toml:3 belongs to u at /run/b";
    check(&[
        ("a socket", socket, &[], &[], "u:p@localhost"),
        (
            "another socket",
            socket,
            &[],
            &["-S", "smtp=lmtp+unix:/run/a"],
            refused,
        ),
    ]);
}

#[test]
fn a_password_of_its_own_is_a_way_out() {
    let named = format!("{B}\"auth-password-a.example\" = \"pa\"\n");
    let account = format!(
        "{B}[accounts.a]\nsmtp = \"a.example\"\nauth-user = \"a\"\nauth-password = \"pa\"\n"
    );
    let password = ("SMAIL_AUTH_PASSWORD", "pe");
    let of_b = "cannot log in to a.example as u: $SMAIL_AUTH_PASSWORD belongs to b.example";
    let of_c = "cannot log in to a.example as a: $SMAIL_AUTH_PASSWORD belongs to c at c.example";
    let own = [A, &["-S", "auth-password=ps"]].concat();
    check(&[
        ("auth-password-HOST", &named, &[], A, "a:pa@a.example"),
        ("an account", &account, &[], &["-A", "a"], "a:pa@a.example"),
        ("-S", B, &[], &own, "a:ps@a.example"),
        (
            "-S in a URL",
            B,
            &[],
            &["-S", "smtp=smtps://a:pu@a.example"],
            "a:pu@a.example",
        ),
        (
            "a variable, with both on the command line",
            B,
            &[password],
            A,
            "a:pe@a.example",
        ),
        (
            "a variable, with the server alone",
            B,
            &[password],
            &["-S", "smtp=a.example"],
            of_b,
        ),
        (
            "a variable, for the server of the file",
            B,
            &[password],
            &[],
            "u:pe@b.example",
        ),
        (
            "a variable, for another user of it",
            B,
            &[password],
            &["-S", "auth-user=a"],
            "a:pe@b.example",
        ),
        (
            "a variable that has its own server",
            B,
            &[password, ("SMAIL_SMTP", "smtps://c@c.example")],
            A,
            of_c,
        ),
        (
            "a variable without any file",
            "",
            &[password],
            A,
            "a:pe@a.example",
        ),
        (
            "all of it in a URL",
            B,
            &[("SMAIL_SMTP", "smtps://a:pa@a.example")],
            &[],
            "a:pa@a.example",
        ),
        (
            "a URL of the file, named without it",
            "smtp = \"smtps://u:pb@b.example\"\n",
            &[],
            &["-S", "smtp=smtps://u@b.example"],
            "u:pb@b.example",
        ),
        (
            "a weaker one that fits",
            B,
            &[password, ("SMAIL_SMTP", "c.example")],
            &["-S", "smtp=b.example"],
            "u:pb@b.example",
        ),
    ]);
}

#[test]
fn among_files_the_one_with_the_password_names_its_server() {
    let refused =
        "cannot log in to a.example as u: auth-password in ~/.mailrc:1 belongs to u at b.example";
    let rc = "set smtp=b.example smtp-auth-user=u smtp-auth-password=pb\n";
    let two = |toml: &str| TestHome::rc(rc).file("config.toml", 0o600, toml);
    assert_eq!(login(&two("smtp = \"a.example\"\n"), &[]), refused);
    assert_eq!(login(&two("timeout = 5\n"), &[]), "u:pb@b.example");
    let parts = TestHome::rc("set smtp-auth-password=p\n").file(
        "config.toml",
        0o600,
        "smtp = \"b.example\"\nauth-user = \"u\"\n",
    );
    assert_eq!(login(&parts, &[]), "u:p@b.example");
    let account = format!("{B}[accounts.a]\nsmtp = \"a.example\"\n");
    let of_account = "cannot log in to a.example as u: auth-password in ~/config.toml:3 belongs to u at b.example";
    assert_eq!(login(&TestHome::toml(&account), &["-A", "a"]), of_account);
    let extra = TestHome::rc(rc).file("extra", 0o600, "set smtp=a.example\n");
    assert_eq!(
        login(&extra, &["-X", "set extra-rc=~/extra"]),
        "u:pb@b.example"
    );
    let named = TestHome::rc("set smtp-auth-user=u smtp-auth-password=pb\n").file(
        "extra",
        0o600,
        "set smtp=a.example\n",
    );
    let of_nobody = "cannot log in to a.example as u: auth-password in ~/.mailrc:1 belongs to no server, because no file sets one";
    assert_eq!(login(&named, &["-X", "set extra-rc=~/extra"]), of_nobody);
    let shared = format!("{B}[accounts.a]\nfrom = \"a@x\"\n");
    assert_eq!(
        login(&TestHome::toml(&shared), &["-A", "a"]),
        "u:pb@b.example"
    );
}

#[test]
fn a_file_and_a_program_with_a_password_follow_the_same_rule() {
    for (setting, name) in [
        ("auth-password-file = \"~/pw\"", "auth-password-file"),
        (
            "auth-password-command = \"pass b\"",
            "auth-password-command",
        ),
    ] {
        let text = format!("smtp = \"b.example\"\nauth-user = \"u\"\n{setting}\n");
        let refused = format!(
            "cannot log in to a.example as a: {name} in ~/config.toml:3 belongs to u at b.example"
        );
        assert_eq!(login(&TestHome::toml(&text), A), refused);
        let own = [A, &["-S", "auth-password-file=/own"]].concat();
        assert_eq!(
            login(&TestHome::toml(&text), &own),
            "a:(File(\"/own\"))@a.example"
        );
    }
    let netrc = TestHome::rc("set smtp=b.example user=u password=pb netrc-lookup\n").file(
        ".netrc",
        0o600,
        "machine a.example login a password pn\n",
    );
    assert_eq!(login(&netrc, A), "a:pn@a.example");
}

#[test]
fn another_address_to_connect_to_needs_a_certificate_that_the_file_trusts() {
    let detour = |by: &str| {
        format!(
            "cannot log in to b.example as u: auth-password in ~/config.toml:3 is sent through {by} only if TLS verifies the server"
        )
    };
    let to = "connect-to=evil.example:25";
    check(&[
        ("TLS proves the name", B, &[], &["-S", to], "u:pb@b.example"),
        (
            "nothing does",
            B,
            &[],
            &["-S", to, "-S", "tls-verify=ignore"],
            &detour("connect-to of -S"),
        ),
        (
            "roots of others do",
            B,
            &[],
            &["-S", to, "-S", "tls-ca-file=/evil.pem"],
            &detour("connect-to of -S"),
        ),
        (
            "there is no TLS",
            B,
            &[],
            &["-S", to, "-S", "tls=none"],
            &detour("connect-to of -S"),
        ),
        (
            "a proxy of the environment",
            B,
            &[
                ("SMAIL_PROXY", "socks5://evil.example"),
                ("SMAIL_TLS_VERIFY", "warn"),
            ],
            &[],
            &detour("$SMAIL_PROXY"),
        ),
        (
            "the file says so",
            &format!("{B}connect-to = \"h\"\ntls-verify = \"ignore\"\n"),
            &[],
            &[],
            "u:pb@b.example",
        ),
        (
            "the server itself is not verified",
            B,
            &[],
            &["-S", "tls-verify=ignore"],
            "u:pb@b.example",
        ),
    ]);
    let url = "smtp = \"smtps://u:pb@b.example\"\n";
    let refused = "cannot log in to b.example as u: smtp in ~/config.toml:1 is sent through connect-to of -S only if TLS verifies the server";
    check(&[(
        "a URL",
        url,
        &[],
        &["-S", to, "-S", "tls-verify=ignore"],
        refused,
    )]);
}

/// What a mail keeps that is sent so, and the login by which it goes later.
struct Sent {
    said: Vec<String>,
    login: Option<LoginOrigin>,
}

fn sent(place: &TestHome, words: &[&str]) -> Sent {
    let settings = place.settings(words).unwrap();
    let author = author::authors(&settings, "me").unwrap().remove(0);
    let login = match resolve(&settings, &author).unwrap() {
        Route::Smtp(smtp) => smtp.login.and_then(|login| login.origin),
        other => panic!("{other:?}"),
    };
    Sent {
        said: settings.said_of_route(),
        login,
    }
}

fn again(place: &TestHome, words: &[&str], sent: &Sent, by_hand: bool) -> String {
    let kept = StoredSettings {
        account: None,
        said: &sent.said,
        login: sent.login.as_ref(),
    };
    match place
        .layers(words)
        .and_then(|layers| layers.resolve_for(kept, by_hand))
    {
        Ok(settings) => shown(place, &settings),
        Err(error) => place.neutral(&error.to_string()),
    }
}

/// A later run: its variables, its words, whether it is there to send what waits, and the login.
type Then<'a> = (&'a str, Variables<'a>, &'a [&'a str], bool, &'a str);
/// The run that sent a mail, and later ones.
type First<'a> = (Variables<'a>, &'a [&'a str], &'a [Then<'a>]);
type Variables<'a> = &'a [(&'a str, &'a str)];

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mail_that_waits_goes_by_the_login_it_was_sent_with_or_not_at_all() {
    let url: &[(&str, &str)] = &[("SMAIL_SMTP", "smtps://a:pa@a.example")];
    let variable: &[(&str, &str)] = &[("SMAIL_AUTH_PASSWORD", "pa")];
    let own = [A, &["-S", "auth-password=pa"]].concat();
    let own_url: &[&str] = &["-S", "smtp=smtps://a:pa@a.example"];
    let gone = |from: &str| {
        format!("cannot log in to a.example as a: the password came from {from} and was not stored")
    };
    let of_set = gone("auth-password of -S");
    let rows: &[First<'_>] = &[
        (
            &[],
            &own,
            &[
                ("an ordinary mail drains it", &[], &[], false, &of_set),
                ("by hand", &[], &[], true, &of_set),
                ("a variable that is for B", variable, &[], true, &of_set),
                ("the same settings", &[], &own, true, "a:pa@a.example"),
                (
                    "another mail with the same settings drains it",
                    &[],
                    &own,
                    false,
                    "a:pa@a.example",
                ),
                ("as a URL", &[], own_url, true, "a:pa@a.example"),
                (
                    "as a URL, on the way",
                    &[],
                    own_url,
                    false,
                    "a:pa@a.example",
                ),
                (
                    "the environment has it whole",
                    &[
                        ("SMAIL_SMTP", "a.example"),
                        ("SMAIL_AUTH_USER", "a"),
                        ("SMAIL_AUTH_PASSWORD", "pa"),
                    ],
                    &[],
                    true,
                    "a:pa@a.example",
                ),
                ("or as a URL", url, &[], false, "a:pa@a.example"),
                (
                    "a URL for another server",
                    &[("SMAIL_SMTP", "smtps://a:pc@c.example")],
                    &[],
                    false,
                    &of_set,
                ),
                (
                    "a URL for another user",
                    &[("SMAIL_SMTP", "smtps://c:pc@a.example")],
                    &[],
                    false,
                    &of_set,
                ),
            ],
        ),
        (
            url,
            &[],
            &[
                ("its own environment", url, &[], false, "a:pa@a.example"),
                (
                    "its own environment, by hand",
                    url,
                    &[],
                    true,
                    "a:pa@a.example",
                ),
                ("none", &[], &[], false, &gone("$SMAIL_SMTP")),
            ],
        ),
        (
            variable,
            A,
            &[
                ("its own settings", variable, A, true, "a:pa@a.example"),
                (
                    "on the way of another such mail",
                    variable,
                    A,
                    false,
                    "a:pa@a.example",
                ),
                ("none", &[], &[], false, &gone("$SMAIL_AUTH_PASSWORD")),
                (
                    "the variable is for B now",
                    &[("SMAIL_AUTH_PASSWORD", "pb2")],
                    &[],
                    false,
                    &gone("$SMAIL_AUTH_PASSWORD"),
                ),
            ],
        ),
        (
            &[],
            &[],
            &[
                ("B is B", &[], &[], false, "u:pb@b.example"),
                (
                    "a run to A takes it along",
                    variable,
                    A,
                    false,
                    "u:pb@b.example",
                ),
                (
                    "a run of another environment takes it along",
                    url,
                    &[],
                    false,
                    "u:pb@b.example",
                ),
            ],
        ),
    ];
    for (variables, words, thens) in rows {
        let first = sent(&place(B, variables), words);
        assert!(
            !format!("{:?}{:?}", first.said, first.login).contains("pa\""),
            "{:?}",
            first.said
        );
        for (fact, variables, words, by_hand, want) in *thens {
            assert_eq!(
                again(&place(B, variables), words, &first, *by_hand),
                *want,
                "{fact}"
            );
        }
    }
}

#[test]
fn a_mail_that_was_kept_before_logins_were_noted_gets_no_password_of_others() {
    let old = |said: &[&str]| Sent {
        said: said.iter().map(|&line| line.to_owned()).collect(),
        login: None,
    };
    let refused = "cannot log in to a.example as a: auth-password in ~/config.toml:3 belongs to u at b.example";
    let place = TestHome::toml(B);
    assert_eq!(
        again(&place, &[], &old(&["smtp=a.example", "auth-user=a"]), false),
        refused
    );
    assert_eq!(
        again(&place, &[], &old(&["smtp=b.example", "auth-user=u"]), false),
        "u:pb@b.example"
    );
    assert_eq!(
        again(
            &place,
            &[],
            &old(&["auth-password-file=/pa", "smtp=a.example", "auth-user=a"]),
            false
        ),
        "a:(File(\"/pa\"))@a.example"
    );
}

#[test]
fn a_mended_file_mends_the_mail_that_waits() {
    let first = sent(&TestHome::toml(B), &[]);
    let mended = B.replace("b.example", "c.example").replace("pb", "pc");
    assert_eq!(
        again(&TestHome::toml(&mended), &[], &first, false),
        "u:pc@c.example"
    );
    // What a variable said of the password was for the server of that time.
    let kept = sent(&place(B, &[("SMAIL_AUTH_PASSWORD_FILE", "/pb")]), &[]);
    assert_eq!(
        again(&TestHome::toml(B), &[], &kept, false),
        "u:(File(\"/pb\"))@b.example"
    );
    assert_eq!(
        again(&TestHome::toml(&mended), &[], &kept, false),
        "u:pc@c.example"
    );
}

#[test]
fn a_server_that_only_its_own_run_found_is_kept() {
    let empty = TestHome::toml("");
    let sent = sent(&empty, &["-r", "me@gmail.com", "-S", "auth-password=pa"]);
    assert_eq!(sent.said, ["smtp=smtps://smtp.gmail.com:465"]);
    let gone = "cannot log in to smtp.gmail.com as me@gmail.com: the password came from auth-password of -S and was not stored";
    assert_eq!(again(&empty, &[], &sent, false), gone);
}

#[test]
fn the_password_of_a_proxy_is_found_again_or_missed() {
    let url: &[(&str, &str)] = &[("SMAIL_PROXY", "socks5://x:pp@127.0.0.1:1")];
    let proxied = |place: &TestHome, kept: &Sent| {
        let kept = StoredSettings {
            account: None,
            said: &kept.said,
            login: kept.login.as_ref(),
        };
        let settings = place.layers(&[]).unwrap().resolve_for(kept, false).unwrap();
        let author = author::authors(&settings, "me").unwrap().remove(0);
        match resolve(&settings, &author) {
            Ok(Route::Smtp(smtp)) => match smtp.proxy.unwrap().login.unwrap() {
                (user, SecretSource::Inline(secret)) => format!("{user}:{}", secret.reveal()),
                other => panic!("{other:?}"),
            },
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.to_string(),
        }
    };
    let sent = sent(&place(B, url), &[]);
    assert_eq!(sent.said, ["proxy=socks5://x@127.0.0.1:1"]);
    assert_eq!(proxied(&place(B, url), &sent), "x:pp");
    let missing = "cannot log in to the proxy 127.0.0.1:1 as x: the password came from proxy and was not \
        stored";
    assert_eq!(proxied(&TestHome::toml(B), &sent), missing);
}
