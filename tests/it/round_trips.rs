//! How often smail waits: bursts of its bytes that then wait for the server, connecting not
//! counted, QUIT and the TLS handshake counted. A count that grows costs every user a round trip
//! for every mail.
use crate::support::sandbox::Sandbox;
use crate::support::sink::Options;

/// What the server offers beside AUTH and STARTTLS.
const WITHOUT: &[&str] = &["PIPELINING", "8BITMIME"];
const WITH: &[&str] = &["PIPELINING", "8BITMIME", "CHUNKING"];

/// Sends a mail of so many bytes to so many recipients, and counts.
fn round_trips(options: Options, settings: &[&str], recipients: usize, bytes: usize) -> usize {
    let sandbox = Sandbox::new();
    let sink = options.start();
    let (smtp, ca) = (
        format!("smtp=localhost:{}", sink.port()),
        format!("tls-ca-file={}", sandbox.pem("ca").display()),
    );
    let mut words = vec![
        "--no-config",
        "-S",
        &smtp,
        "-S",
        &ca,
        "-r",
        "a@a.example",
        "-s",
        "subj",
    ];
    words.extend(settings.iter().flat_map(|setting| ["-S", *setting]));
    let to: Vec<String> = (0..recipients)
        .map(|at| format!("r{at}@x.example"))
        .collect();
    words.extend(to.iter().map(String::as_str));
    let outcome = sandbox
        .smail(&words)
        .stdin("a line of the text\n".repeat(bytes / 19 + 1))
        .run();
    assert_eq!(
        (outcome.status, outcome.owes(&[])),
        (0, vec![]),
        "{}",
        outcome.stderr
    );
    assert_eq!(sink.only_mail().to, to);
    let count = sink.round_trips();
    let dialogue = sink.dialogue().join("\n");
    assert!(
        dialogue.ends_with("C: QUIT\nS: 221 2.0.0 bye"),
        "{dialogue}"
    );
    count
}

/// The three usual ways and how many round trips they take by DATA.
fn ways(extensions: &[&str]) -> [(Options, &'static [&'static str], usize); 3] {
    const LOGIN: [&str; 2] = ["auth-user=u", "auth-password=s3cret-pw"];
    let sink = || Options::new().extensions(extensions);
    [
        // EHLO; MAIL, RCPT, DATA; the message, the dot and QUIT.
        (sink(), &["tls=none"], 3),
        // Two of TLS 1.3; EHLO; AUTH; and the two of before.
        (
            sink().implicit().login("u", "s3cret-pw"),
            &["tls=implicit", LOGIN[0], LOGIN[1]],
            6,
        ),
        // EHLO and STARTTLS in clear; the end of the handshake takes the second EHLO along.
        (
            sink().starttls().login("u", "s3cret-pw"),
            &["tls=starttls", LOGIN[0], LOGIN[1]],
            7,
        ),
    ]
}

#[test]
fn three_round_trips_in_clear_six_with_tls_and_seven_with_starttls() {
    for recipients in [1, 50] {
        for (options, settings, count) in ways(WITHOUT) {
            assert_eq!(
                round_trips(options, settings, recipients, 100),
                count,
                "{settings:?} to {recipients}"
            );
        }
    }
}

#[test]
fn one_less_where_the_server_takes_the_message_with_its_envelope() {
    for recipients in [1, 50] {
        for (options, settings, count) in ways(WITH) {
            assert_eq!(
                round_trips(options, settings, recipients, 100),
                count - 1,
                "{settings:?} to {recipients}"
            );
        }
    }
}

#[test]
fn a_server_that_refuses_what_it_offered_gets_it_by_data_over_another_connection() {
    // QUIT had left with BDAT, so the round trips up to there come twice, and those of DATA once.
    for recipients in [1, 50] {
        for (options, settings, count) in ways(WITH) {
            let count = 2 * count - 1;
            assert_eq!(
                round_trips(options.no_bdat(), settings, recipients, 100),
                count,
                "{settings:?} to {recipients}"
            );
        }
    }
}

#[test]
fn no_less_for_a_large_mail_or_when_the_user_wants_none_of_it() {
    let clear = || Options::new().extensions(WITH);
    assert_eq!(
        round_trips(clear(), &["tls=none", "chunking=no"], 1, 100),
        3
    );
    // Of a large message only the beginning is one burst to the counter: the server may read it in
    // pieces.
    assert_eq!(round_trips(clear(), &["tls=none"], 1, 80_000), 3);
}
