//! Every way a server can behave, and what smail must make of it: one transcript and one row each.
//!
//! The transcript (`tests/transcripts/NAME.txt`) holds what is said; the row holds how smail was
//! called and how it must end: exit status, what stderr must name, how many transactions were
//! accepted, and the longest time where time is the point. Every row is also held to what no server
//! may ever cause: a control character or a secret on stderr, a word on stdout, a word on stderr
//! after success.
//!
//! Left out, because a loopback server cannot play them: a login in clear to a distant host
//! (`auth-cleartext`), and what concerns several runs (`greylist2`, `conn421limit`, `failover`,
//! `twomsgs`), which belongs to the queue.
use std::time::Duration;

use crate::support::certs::certs;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::script::plain;
use crate::support::server::{Record, Server};

/// How smail is called and how it must end.
struct Story {
    /// Words after the common ones.
    flags: &'static [&'static str],
    /// The recipients.
    to: &'static [&'static str],
    /// What standard input holds.
    body: &'static str,
    /// The exit status.
    exit: i32,
    /// What stderr must hold, each.
    says: &'static [&'static str],
    /// How many transactions the server must have accepted.
    accepted: usize,
    /// What the first message must hold.
    holds: &'static [&'static str],
    /// The message must be in seven bits.
    seven_bits: bool,
    /// The longest time.
    within: Duration,
}

const ANY_TIME: Duration = Duration::from_secs(15);

/// Accepted at once, in silence.
const ACCEPTED: Story = Story {
    flags: CLEAR,
    to: &["r1@x.example", "r2@x.example"],
    body: "the words\n",
    exit: 0,
    says: &[],
    accepted: 1,
    holds: &["\r\nSubject: subj\r\n", "\r\n\r\nthe words\r\n"],
    seven_bits: true,
    within: ANY_TIME,
};

/// Not accepted.
const REFUSED: Story = Story {
    accepted: 0,
    holds: &[],
    exit: 69,
    ..ACCEPTED
};

/// The password of every login in the stories.
const PASSWORD: &str = "s3cret-pw";
const CLEAR: &[&str] = &["-S", "tls=none", "-S", "timeout=10"];
/// Gives up after a second: for stories in which nothing comes.
const HASTY: &[&str] = &["-S", "tls=none", "-S", "timeout=1"];
const STARTTLS: &[&str] = &[
    "-S",
    "tls=starttls",
    "-S",
    "tls-ca-file=ca.pem",
    "-S",
    "timeout=10",
];
const STARTTLS_HASTY: &[&str] = &[
    "-S",
    "tls=starttls",
    "-S",
    "tls-ca-file=ca.pem",
    "-S",
    "timeout=1",
];
const IMPLICIT: &[&str] = &[
    "-S",
    "tls=implicit",
    "-S",
    "tls-ca-file=ca.pem",
    "-S",
    "timeout=10",
];
const LOGIN: &[&str] = &[
    "-S",
    "tls=none",
    "-S",
    "auth-user=u",
    "-S",
    "auth-password=s3cret-pw",
    "-S",
    "timeout=10",
];

macro_rules! stories {
    ($($(#[$meta:meta])* $name:ident: $story:expr;)*) => {
        $($(#[$meta])* #[test] fn $name() { play(stringify!($name), &$story); })*
        /// Every story, for the test that compares them with the transcripts.
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

#[rustfmt::skip]
stories! {
    // A. Connection and greeting
    banner554:     Story { exit: 69, says: &["554 5.7.1 no service"], ..REFUSED };
    banner421:     Story { exit: 75, says: &["421 4.3.2 busy"], ..REFUSED };
    bannerclose:   Story { exit: 75, says: &["greeting"], ..REFUSED };
    bannerhang:    Story { exit: 75, says: &["no greeting", "within 1 s"], flags: HASTY, within: secs(3), ..REFUSED };
    bannermulti:   ACCEPTED;
    bannernotext:  ACCEPTED;
    bannerslow:    ACCEPTED;
    bannerdrip:    Story { exit: 75, says: &["no greeting", "within 1 s"], flags: HASTY, within: secs(3), ..REFUSED };
    bannerescape:  Story { exit: 69, says: &["no service"], ..REFUSED };
    bannertls:     Story { exit: 76, says: &["TLS"], ..REFUSED };
    bannerplain:   Story { exit: 75, says: &["TLS"], flags: IMPLICIT, ..REFUSED };
    bannerprelude: ACCEPTED;
    bannerendless: Story { exit: 76, within: secs(5), ..REFUSED };

    // B. EHLO and HELO
    ehlo500:     ACCEPTED;
    ehlo502:     ACCEPTED;
    ehlo550:     Story { exit: 69, says: &["550 5.7.1 bad helo name"], ..REFUSED };
    ehlo504rcpt: Story { exit: 69, says: &["504 5.5.2 <me>: Helo command rejected"], ..REFUSED };
    ehlo421:     Story { exit: 75, says: &["421 4.7.0 Try again later"], ..REFUSED };
    ehloclose:   Story { exit: 75, ..REFUSED };
    ehlolf:      ACCEPTED;
    ehlonotext:  ACCEPTED;
    ehlolong:    ACCEPTED;
    ehlo8bit:    ACCEPTED;
    ehloinf:     Story { exit: 76, within: secs(5), ..REFUSED };
    ehlomixed:   Story { exit: 76, ..REFUSED };
    ehlojunk:    Story { exit: 76, says: &["hello there"], ..REFUSED };
    ehlo199:     Story { exit: 76, ..REFUSED };
    ehlo600:     Story { exit: 76, ..REFUSED };
    ehlo235:     Story { exit: 76, ..REFUSED };
    ehloblank:   ACCEPTED;
    ehlocase:    Story { flags: STARTTLS, ..ACCEPTED };
    ehlotwoauth: Story { flags: LOGIN, ..ACCEPTED };
    authequals:  Story { flags: LOGIN, ..ACCEPTED };

    // C. STARTTLS and TLS
    tlsok:          Story { flags: STARTTLS, ..ACCEPTED };
    tlsimplicit:    Story { flags: IMPLICIT, ..ACCEPTED };
    tlswildcard:    Story { flags: &["-S", "smtp=mx.wild.test", "-S", "connect-to=127.0.0.1:{PORT}", "-S", "tls=starttls", "-S", "tls-ca-file=ca.pem"], ..ACCEPTED };
    notls:          Story { flags: STARTTLS, exit: 69, says: &["STARTTLS"], ..REFUSED };
    preauth:        Story { flags: &["-S", "tls=starttls", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 69, says: &["STARTTLS"], ..REFUSED };
    tls454:         Story { flags: STARTTLS, exit: 75, says: &["454 4.7.0 TLS not available"], ..REFUSED };
    tls501:         Story { flags: STARTTLS, exit: 69, says: &["501 5.5.4 syntax"], ..REFUSED };
    tls250:         Story { flags: STARTTLS, exit: 76, ..REFUSED };
    tlsoptional454: Story { flags: &["-S", "tls=opportunistic"], ..ACCEPTED };
    tlsinject:      Story { flags: STARTTLS, exit: 76, says: &["TLS"], ..REFUSED };
    tlsinject552:   Story { flags: STARTTLS, exit: 76, says: &["TLS"], ..REFUSED };
    tlsgarbage:     Story { flags: STARTTLS, exit: 75, says: &["TLS"], ..REFUSED };
    tlsdrop:        Story { flags: STARTTLS, exit: 75, says: &["TLS"], ..REFUSED };
    tlshang:        Story { flags: STARTTLS_HASTY, exit: 75, says: &["TLS"], within: secs(3), ..REFUSED };
    tlsalert80:     Story { flags: STARTTLS, exit: 75, says: &["internal error"], ..REFUSED };
    tlsbadname:     Story { flags: STARTTLS, exit: 77, says: &["certificate", "127.0.0.1"], ..REFUSED };
    tlsexpired:     Story { flags: STARTTLS, exit: 77, says: &["certificate", "expired"], ..REFUSED };
    tlsnotyet:      Story { flags: STARTTLS, exit: 77, says: &["certificate", "not valid before"], ..REFUSED };
    tlsself:        Story { flags: STARTTLS, exit: 77, says: &["certificate", "{SELF}"], ..REFUSED };
    tlschainless:   Story { flags: STARTTLS, exit: 77, says: &["certificate", "issuer"], ..REFUSED };
    tlsintermediate: Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=intermediate.pem"], ..ACCEPTED };
    tlsown:         Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=server.pem"], ..ACCEPTED };
    tlsownself:     Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=self.pem"], ..ACCEPTED };
    tlsownbadname:  Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=badname.pem"], exit: 77, says: &["certificate", "127.0.0.1"], ..REFUSED };
    tlsownexpired:  Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-no-defaults", "-S", "tls-ca-file=expired.pem"], exit: 77, says: &["certificate", "expired"], ..REFUSED };
    tlspinned:      Story { flags: &["-S", "tls=starttls", "-S", "tls-fingerprint={SELF}"], ..ACCEPTED };
    tlsclientcert:  Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-file=ca.pem", "-S", "tls-cert=client.pem", "-S", "tls-key=client.key"], ..ACCEPTED };
    tlsclientcertmissing: Story { flags: STARTTLS, exit: 75, says: &["certificate required"], ..REFUSED };
    tlsnoehlo2:     Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-file=ca.pem", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 69, says: &["does not offer a login"], ..REFUSED };
    tlsclosenotify: Story { flags: STARTTLS, ..ACCEPTED };

    // D. AUTH
    authok:           Story { flags: LOGIN, ..ACCEPTED };
    authlogin:        Story { flags: &["-S", "tls=none", "-S", "auth=login", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], ..ACCEPTED };
    authcram:         Story { flags: LOGIN, ..ACCEPTED };
    authnoir:         Story { flags: LOGIN, ..ACCEPTED };
    authfallback:     Story { flags: LOGIN, ..ACCEPTED };
    authfallback534:  Story { flags: LOGIN, ..ACCEPTED };
    auth535then:      Story { flags: LOGIN, exit: 77, says: &["535 5.7.8 bad"], ..REFUSED };
    auth535:          Story { flags: LOGIN, exit: 77, says: &["535 5.7.8 bad credentials"], ..REFUSED };
    auth454:          Story { flags: LOGIN, exit: 75, says: &["454 4.7.0 temporary auth failure"], ..REFUSED };
    auth535multi:     Story { flags: LOGIN, exit: 77, says: &["Username and Password not accepted.", "https://mail.test/?p=BadCredentials"], ..REFUSED };
    authnone:         Story { flags: LOGIN, exit: 69, says: &["does not offer a login"], ..REFUSED };
    auth530:          Story { exit: 69, says: &["530 5.7.0 Authentication required"], ..REFUSED };
    auth250:          Story { flags: LOGIN, exit: 76, ..REFUSED };
    auth354:          Story { flags: LOGIN, exit: 76, ..REFUSED };
    authbadb64:       Story { flags: LOGIN, ..ACCEPTED };
    authcramdowngrade: Story { flags: &["-S", "tls=none", "-S", "auth=cram-md5", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 76, ..REFUSED };
    authoauth334:     Story { flags: &["-S", "tls=none", "-S", "auth=xoauth2", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 77, says: &["401"], ..REFUSED };
    authoauthbearer:  Story { flags: &["-S", "tls=none", "-S", "auth=oauthbearer", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 77, says: &["invalid_token"], ..REFUSED };
    authloginwords:   Story { flags: LOGIN, ..ACCEPTED };
    authloginunpadded: Story { flags: LOGIN, ..ACCEPTED };
    authplainwords:   Story { flags: LOGIN, ..ACCEPTED };
    authplaintwice:   Story { flags: LOGIN, ..ACCEPTED };
    authcramunpadded: Story { flags: LOGIN, ..ACCEPTED };
    authoauthwords:   Story { flags: &["-S", "tls=none", "-S", "auth=xoauth2", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 77, says: &["the token is too old."], ..REFUSED };
    authloop:         Story { flags: &["-S", "tls=none", "-S", "auth=login", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 76, ..REFUSED };
    auth235then421:   Story { flags: LOGIN, exit: 75, says: &["421 4.3.0 shutting down"], ..REFUSED };
    authanonymous:    Story { flags: &["-S", "tls=none", "-S", "auth=anonymous"], ..ACCEPTED };
    authdrop:         Story { flags: &["-S", "tls=none", "-S", "auth=login", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 75, says: &["closed the connection"], ..REFUSED };
    authextauto:      Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-file=ca.pem", "-S", "tls-cert=client.pem", "-S", "tls-key=client.key", "-S", "auth-user=u"], ..ACCEPTED };
    authscramagain:   Story { flags: &["-S", "tls=none", "-S", "auth=scram-sha-256", "-S", "auth-user=u", "-S", "auth-password=s3cret-pw"], exit: 76, says: &["SCRAM: the server sent an invalid message"], ..REFUSED };
    authscrambadb64:  Story { flags: LOGIN, ..ACCEPTED };
    authext:          Story { flags: &["-S", "tls=starttls", "-S", "tls-ca-file=ca.pem", "-S", "tls-cert=client.pem", "-S", "tls-key=client.key", "-S", "auth=external"], ..ACCEPTED };

    // E. MAIL and RCPT
    mail451:          Story { exit: 75, says: &["451 4.7.1 greylisted"], ..REFUSED };
    mail550:          Story { exit: 69, says: &["550 5.7.1 sender refused"], ..REFUSED };
    mail553from:      Story { flags: LOGIN, exit: 69, says: &["553 5.7.1 <a@a.example>: Sender address rejected"], ..REFUSED };
    mailclose:        Story { exit: 75, ..REFUSED };
    mailhang:         Story { flags: HASTY, exit: 75, within: secs(3), ..REFUSED };
    size100:          Story { exit: 69, says: &["100"], ..REFUSED };
    size452:          Story { exit: 75, says: &["452 4.3.1 insufficient storage"], ..REFUSED };
    rcpt1bad:         Story { exit: 67, says: &["r1@x.example", "550 5.1.1 no such user"], ..ACCEPTED };
    rcpt2bad:         Story { exit: 67, says: &["r2@x.example", "550 5.1.1 no such user"], ..ACCEPTED };
    rcptallbad:       Story { exit: 67, says: &["r1@x.example", "r2@x.example", "550 5.1.1 no such user"], ..REFUSED };
    rcptpolicy:       Story { exit: 69, says: &["r1@x.example", "550 5.7.1 relaying denied"], ..REFUSED };
    rcpt2temp:        Story { accepted: 2, ..ACCEPTED };
    rcpt2grey:        Story { exit: 75, says: &["r2@x.example", "450 4.2.0 greylisted"], ..ACCEPTED };
    rcptalltemp:      Story { exit: 75, says: &["450 4.2.0 greylisted"], ..REFUSED };
    rcpt251:          ACCEPTED;
    rcpt421:          Story { exit: 75, says: &["421 4.7.0 bye"], ..REFUSED };
    rcpt550multi:     Story { exit: 69, says: &["550 5.7.1 first reason", "second reason", "third reason"], ..REFUSED };
    no8bit:           Story { body: "Grüße\n", holds: &["\r\nMIME-Version: 1.0\r\n"], ..ACCEPTED };
    nosmtputf8:       Story { to: &["ü@x.example"], exit: 69, says: &["SMTPUTF8"], ..REFUSED };
    smtputf8:         Story { to: &["ü@x.example"], seven_bits: false, ..ACCEPTED };
    idn:              Story { to: &["r1@exämple.example"], ..ACCEPTED };
    pipelining:       ACCEPTED;
    pipeliningallbad: Story { exit: 67, says: &["r1@x.example", "550 5.1.1 no such user"], ..REFUSED };
    pipeliningfalse: Story { flags: HASTY, within: secs(4), ..ACCEPTED };
    pipeliningcut:  ACCEPTED;
    pipeliningno:   Story { flags: &["-S", "tls=none", "-S", "pipelining=no"], ..ACCEPTED };
    pipelining1bad:   Story { exit: 67, says: &["r1@x.example", "550 5.1.1 no such user"], ..ACCEPTED };

    // F. DATA and the dot
    data554:   Story { exit: 69, says: &["554 5.5.1 no valid recipients"], ..REFUSED };
    data451:   Story { exit: 75, says: &["451 4.3.0 try later"], ..REFUSED };
    rate454:   Story { exit: 75, says: &["454 Throttling failure: Maximum sending rate exceeded"], ..REFUSED };
    data250:   Story { exit: 76, ..REFUSED };
    dataclose: Story { exit: 75, ..REFUSED };
    dot552:    Story { exit: 69, says: &["552 5.3.4 too big"], ..REFUSED };
    dot451:    Story { exit: 75, says: &["451 4.3.0 try later"], ..REFUSED };
    dot421:    Story { exit: 75, says: &["421 4.3.0 shutting down"], ..REFUSED };
    dotclose:  Story { exit: 76, says: &["may have been accepted"], ..REFUSED };
    dotrst:    Story { exit: 76, says: &["may have been accepted"], ..REFUSED };
    dothang:   Story { flags: HASTY, exit: 76, says: &["may have been accepted"], within: secs(5), ..REFUSED };
    dotearly:  Story { exit: 69, says: &["552 5.3.4 too big"], ..REFUSED };
    dot354:    Story { exit: 76, ..REFUSED };
    dotmulti:  ACCEPTED;
    dotpause:  ACCEPTED;
    quitclose: ACCEPTED;
    quithang:  Story { flags: &["-S", "tls=none", "-S", "timeout=300"], within: secs(7), ..ACCEPTED };
    quit500:   ACCEPTED;
    plainok:   Story { body: ".\n..\n.lead\nmixed\r\nends\n", holds: &["\r\n\r\n.\r\n..\r\n.lead\r\nmixed\r\nends\r\n"], ..ACCEPTED };
}

/// Transcripts that `tests/sessions.rs` plays in its own way.
const OTHERS: &[&str] = &["dotearlyrst"];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs smail against a server on this port as a story wants it.
fn call(sandbox: &Sandbox, port: u16, story: &Story) -> Outcome {
    for name in [
        "ca",
        "client",
        "intermediate",
        "server",
        "self",
        "badname",
        "expired",
    ] {
        sandbox.pem(name);
    }
    let fill = |word: &&str| {
        word.replace("{PORT}", &port.to_string())
            .replace("{SELF}", &certs().pair("self").fingerprint())
    };
    let mut words = vec![
        "--no-config".to_owned(),
        "-S".into(),
        format!("smtp=127.0.0.1:{port}"),
    ];
    words.extend(story.flags.iter().map(fill));
    words.extend(["-r", "a@a.example", "-s", "subj"].map(String::from));
    words.extend(story.to.iter().map(fill));
    sandbox.smail(&words).stdin(story.body).run()
}

fn play(name: &str, story: &Story) {
    let sandbox = Sandbox::new();
    let mut server = Server::story(name);
    let outcome = call(&sandbox, server.port(), story);
    let mut wrong = outcome.owes(&[PASSWORD, "czNjcmV0LXB3", &plain("u", PASSWORD)]);
    if outcome.status != story.exit {
        wrong.push(format!(
            "exit status: expected {}, got {}",
            story.exit, outcome.status
        ));
    }
    for words in story.says {
        let words = words.replace("{SELF}", &certs().pair("self").fingerprint());
        if !outcome.stderr.contains(&words) {
            wrong.push(format!("stderr does not say `{words}`"));
        }
    }
    if outcome.elapsed > story.within {
        wrong.push(format!(
            "took {:?}, and {:?} is the most",
            outcome.elapsed, story.within
        ));
    }
    match server.end() {
        Ok(record) => wrong.extend(received(&record, story)),
        Err(failure) => wrong.push(failure),
    }
    assert!(
        wrong.is_empty(),
        "{name}:\n- {}\nstderr:\n{}",
        wrong.join("\n- "),
        outcome.stderr
    );
}

/// What is wrong with what the server received.
fn received(record: &Record, story: &Story) -> Vec<String> {
    let mut wrong = Vec::new();
    if record.accepted() != story.accepted {
        wrong.push(format!(
            "accepted: expected {}, got {}",
            story.accepted,
            record.accepted()
        ));
    }
    let mail = record
        .mails()
        .first()
        .map(|mail| String::from_utf8_lossy(mail).into_owned())
        .unwrap_or_default();
    for words in story.holds {
        if !mail.contains(words) {
            wrong.push(format!("the message does not hold {words:?}:\n{mail}"));
        }
    }
    if story.seven_bits && !mail.is_ascii() {
        wrong.push("the message is not in seven bits".into());
    }
    wrong
}

#[test]
fn every_transcript_is_played() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .trim_end_matches(".txt")
                .to_owned()
        })
        .collect();
    let mut played: Vec<_> = NAMES
        .iter()
        .chain(OTHERS)
        .map(ToString::to_string)
        .collect();
    found.sort();
    played.sort();
    assert_eq!(found, played);
}
