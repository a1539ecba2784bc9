//! Secrets from one end to the other: where a password goes, where it does not, and that none is shown on the way.
mod support;

use std::fs;

use support::sink::{Options, Place, Sink};
use support::world::{Outcome, Run, World};

/// The settings of server B, with the login of `u`.
fn config(world: &World, port: u16) {
    let text = format!("smtp = \"127.0.0.1:{port}\"\ntls = \"none\"\nauth-user = \"u\"\nauth-password = \"b-s3cret\"\nlog = \"{}\"\n", log(world));
    world.write("home/.config/smail/config.toml", text);
}

fn log(world: &World) -> String {
    world.path("log").display().to_string()
}

/// A mail that goes through the queue.
fn mail<'w>(world: &'w World, words: &[&str]) -> Run<'w> {
    let all = [words, &["-r", "a@a.example", "-s", "subj", "r1@x.example"]].concat();
    world.smail(&all).stdin("the words\n").queued()
}

fn smail(world: &World, words: &[&str]) -> Outcome {
    world.smail(words).queued().run()
}

/// The users that logged in, one for each mail that was taken.
fn users(sink: &Sink) -> Vec<String> {
    sink.mails().into_iter().map(|mail| mail.user.unwrap_or_default()).collect()
}

/// Whether a client named a user in AUTH, or sent anything after it.
fn logins(sink: &Sink) -> usize {
    sink.dialogue().iter().filter(|line| line.starts_with("C: AUTH")).count()
}

fn last(world: &World) -> String {
    let outcome = smail(world, &["--queue", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    json[0]["last"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_mail_that_waits_never_goes_with_the_password_of_another_server() {
    let (world, place) = (World::new(), Place::reserve());
    let b = Options::new().login("u", "b-s3cret").start();
    config(&world, b.port());
    let (smtp, site) = (format!("smtp=127.0.0.1:{}", place.port()), format!("127.0.0.1:{}", place.port()));
    let a_login = ["-S", &smtp, "-S", "auth-user=a", "-S", "auth-password=a-s3cret"];
    let waits = mail(&world, &a_login).run();
    assert_eq!((waits.status, world.entries().len()), (0, 1), "{}", waits.stderr);
    let id = world.entries().remove(0);
    let a = Options::new().login("a", "a-s3cret").start_at(place);
    // Due at once, as another run would find it an hour later.
    let journal = world.queue_dir().join("q").join(format!("{id}.log"));
    fs::remove_file(&journal).unwrap();
    let ordinary = mail(&world, &[]).run();
    assert_eq!((ordinary.status, ordinary.stderr.as_str()), (0, ""));
    assert_eq!((users(&b), logins(&a), world.entries()), (vec!["u".to_owned()], 0, vec![id.clone()]));
    let why = format!("cannot log in at {site} as a: the password came from auth-password of -S and is not kept");
    assert_eq!(last(&world), why);
    let flush = smail(&world, &["--flush", &id]);
    assert_eq!((flush.status, flush.stderr), (75, format!("smail: mail {id} still waits: {why}\n")));
    let told = String::from_utf8(world.read("log").unwrap()).unwrap();
    let line = told.lines().rfind(|line| line.contains(&id)).unwrap();
    assert!(line.contains(&why) && line.contains("deferred"), "{line}");
    assert_eq!((logins(&a), logins(&b)), (0, 1));
    let words: Vec<_> = a_login.iter().copied().chain(["--flush", &id]).collect();
    let flush = smail(&world, &words);
    assert_eq!((flush.status, flush.stderr.as_str(), users(&a)), (0, "", vec!["a".to_owned()]));
    assert_eq!((users(&b).len(), world.entries().len()), (1, 0));
}

#[test]
fn a_mail_with_a_password_in_a_variable_goes_again_where_the_variable_is() {
    let (world, place) = (World::new(), Place::reserve());
    let url = format!("smtp://a:a-s3cret@127.0.0.1:{}", place.port());
    let with = |words: &[&str]| world.smail(words).queued().env("SMAIL_SMTP", &url).env("SMAIL_TLS", "none");
    let waits = with(&["-r", "a@a.example", "-s", "s", "r1@x.example"]).stdin("x\n").run();
    assert_eq!((waits.status, world.entries().len()), (0, 1), "{}", waits.stderr);
    let a = Options::new().login("a", "a-s3cret").start_at(place);
    let flush = smail(&world, &["--flush"]);
    assert_eq!((flush.status, logins(&a)), (0, 0), "{}", flush.stderr);
    let id = world.entries().remove(0);
    let flush = smail(&world, &["--flush", &id]);
    assert!(flush.stderr.ends_with("as a: the password came from $SMAIL_SMTP and is not kept\n"), "{}", flush.stderr);
    assert_eq!(flush.status, 75);
    let flush = with(&["--flush", &id]).run();
    assert_eq!((flush.status, flush.stderr.as_str(), users(&a)), (0, "", vec!["a".to_owned()]));
}

#[test]
fn a_dialogue_and_a_sendmail_call_send_with_the_password_of_their_environment() {
    let (world, a) = (World::new(), Options::new().login("a", "a-s3cret").start());
    let url = format!("smtp://a:a-s3cret@127.0.0.1:{}", a.port());
    let dialogue = "EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<r1@x.example>\r\nDATA\r\nSubject: s\r\n\r\nx\r\n.\r\nQUIT\r\n";
    let outcome = world.as_name("sendmail", &["-bs"]).stdin(dialogue).queued().env("SMAIL_SMTP", &url).env("SMAIL_TLS", "none").run();
    assert_eq!((outcome.status, users(&a)), (0, vec!["a".to_owned()]), "{}{}", outcome.stdout, outcome.stderr);
    let call = world.as_name("sendmail", &["-f", "a@a.example", "r1@x.example"]).stdin("Subject: s\n\nx\n").queued();
    let outcome = call.env("SMAIL_SMTP", &url).env("SMAIL_TLS", "none").run();
    assert_eq!((outcome.status, outcome.stderr.as_str(), users(&a).len()), (0, "", 2));
    assert_eq!(world.entries(), [""; 0]);
}

#[test]
fn the_login_of_a_file_does_not_follow_another_server_on_any_road() {
    let (world, a, b) = (World::new(), Options::new().login("u", "b-s3cret").start(), Options::new().start());
    config(&world, b.port());
    let (site, home) = (format!("127.0.0.1:{}", a.port()), format!("127.0.0.1:{}", b.port()));
    let (set, glued) = (format!("smtp={site}"), format!("-Ssmtp={site}"));
    let file = world.path("home/.config/smail/config.toml").display().to_string();
    let why = format!("cannot log in at {site} as u: auth-password in {file}:4 belongs to u at {home}");
    let ways = format!(
        "\nhint: an account has server, user and password together: [accounts.NAME] in config.toml, chosen with -A NAME\n\
         hint: a password of its own: \"auth-password-u@{site}\" in config.toml, or $SMAIL_AUTH_PASSWORD with -S smtp and -S auth-user\n\
         hint: -S auth=none sends to {site} without a login\n"
    );
    for words in [&["-S", set.as_str()][..], &[glued.as_str()]] {
        let outcome = mail(&world, words).run();
        assert_eq!((outcome.status, outcome.stderr), (77, format!("smail: {why}\n{ways}")), "{words:?}");
        let direct = mail(&world, &[words, &["--no-queue"]].concat()).run();
        assert_eq!((direct.status, direct.stderr), (77, format!("smail: {why}\n{ways}")), "{words:?}");
        let check = smail(&world, &[words, &["--check"]].concat());
        assert_eq!((check.status, check.stderr), (77, format!("smail: {why}\n{ways}")), "{words:?}");
        let shown = smail(&world, &[words, &["--show-settings"]].concat());
        assert!(shown.stdout.ends_with(&format!("# mail goes by {why}\n")), "{}", shown.stdout);
    }
    let variable = mail(&world, &[]).env("SMAIL_SMTP", &site).run();
    assert_eq!((variable.status, variable.stderr), (77, format!("smail: {why}\n{ways}")));
    let call = world.as_name("sendmail", &["-f", "a@a.example", "r1@x.example"]).stdin("Subject: s\n\nx\n").queued();
    let outcome = call.env("SMAIL_SMTP", &site).run();
    assert_eq!((outcome.status, outcome.stderr), (77, format!("sendmail: {why}\n")));
    assert_eq!((logins(&a), world.entries()), (0, vec![]));
    let none = mail(&world, &["-S", &set, "-S", "auth=none"]).run();
    assert_eq!(logins(&a), 0, "{}", none.stderr);
}
