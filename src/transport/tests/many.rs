//! Long lists of recipients: where a server is full, how it says so, and who is left when it wants
//! no more.
use std::ops::Range;

use super::*;

const PIPELINING: &str = "250-mx.test\r\n250-SIZE 1000\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<me@a.test> SIZE=26\r\n";
const BYE: Step<'static> = ("QUIT\r\n", "221 bye\r\n");

fn name(number: usize) -> String {
    format!("r{number}@b.test")
}

fn lines(range: Range<usize>) -> String {
    range
        .flat_map(|number| ["RCPT TO:<".to_owned(), name(number), ">\r\n".to_owned()])
        .collect()
}

/// A transaction up to DATA, in one group.
fn whole(range: Range<usize>) -> String {
    format!("{MAIL}{}DATA\r\n", lines(range))
}

/// The answers to one for so many that are all accepted.
fn taken(count: usize) -> String {
    format!("{}354 go\r\n", "250 ok\r\n".repeat(count + 1))
}

/// Delivers to so many over connections with these scripts, and gives the outcomes.
fn told(scripts: &[&[Step<'_>]], people: usize) -> Vec<String> {
    let server = serve(scripts);
    let names: Vec<String> = (0..people).map(name).collect();
    let report = deliver(
        server.route(),
        &message(&names.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    server.done();
    outcomes(&report)
}

#[test]
fn a_server_that_is_full_is_asked_no_further_and_its_limit_is_kept() {
    for full in ["452 4.5.3 too many\r\n", "552 too many\r\n"] {
        let said = told(
            &[&[
                HI,
                (EHLO, PIPELINING),
                (
                    &format!("{MAIL}{}", lines(0..100)),
                    &"250 ok\r\n".repeat(101),
                ),
                (&lines(100..300), &full.repeat(200)),
                ("DATA\r\n", "354 go\r\n"),
                (STUFFED, "250 first\r\n"),
                (&whole(100..200), &taken(100)),
                (STUFFED, "250 second\r\n"),
                (&whole(200..300), &taken(100)),
                (STUFFED, "250 third\r\n"),
                (&whole(300..305), &taken(5)),
                (&format!("{STUFFED}QUIT\r\n"), "250 fourth\r\n221 bye\r\n"),
            ]],
            305,
        );
        assert_eq!(
            (&said[99], &said[100], &said[299], &said[304]),
            (
                &"250 first".into(),
                &"250 second".into(),
                &"250 third".into(),
                &"250 fourth".into()
            )
        );
    }
}

#[test]
fn recipients_that_were_not_asked_about_wait_when_the_server_wants_no_second_transaction() {
    let refused = format!("554 one mail a session\r\n{}", "503 no\r\n".repeat(101));
    let said = told(
        &[&[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}{}", lines(0..100)),
                &"250 ok\r\n".repeat(101),
            ),
            (&lines(100..300), &"452 too many\r\n".repeat(200)),
            ("DATA\r\n", "354 go\r\n"),
            (STUFFED, "250 first\r\n"),
            (&format!("{MAIL}{}DATA\r\n", lines(100..200)), &refused),
            ("QUIT\r\n", "221 bye\r\n"),
        ]],
        301,
    );
    let full = "temporary at recipient: 452 too many";
    assert_eq!(
        (said[99].as_str(), said[100].as_str(), said[300].as_str()),
        ("250 first", full, full)
    );
}

#[test]
fn full_mailboxes_do_not_make_a_transaction_full() {
    // Twelve in a row say that they are full themselves: nobody else is put off.
    let full = "452 4.2.2 mailbox full\r\n".repeat(12);
    let rest = "250 ok\r\n".repeat(87);
    let twelve = format!("{MAIL}{}DATA\r\n", lines(1..13));
    let said = told(
        &[&[
            HI,
            (EHLO, PIPELINING),
            (
                &format!("{MAIL}{}", lines(0..100)),
                &format!("250 ok\r\n250 ok\r\n{full}{rest}"),
            ),
            (
                &format!("{}DATA\r\n", lines(100..110)),
                &format!("{}354 go\r\n", "250 ok\r\n".repeat(10)),
            ),
            (STUFFED, "250 first\r\n"),
            (&twelve, &format!("250 ok\r\n{full}503 nobody\r\n")),
            BYE,
        ]],
        110,
    );
    assert_eq!(
        (said[0].as_str(), said[13].as_str(), said[109].as_str()),
        ("250 first", "250 first", "250 first")
    );
    assert!(
        said[1..13]
            .iter()
            .all(|said| said == "temporary at recipient: 452 4.2.2 mailbox full")
    );
}

#[test]
fn a_limit_under_that_of_the_standard_is_believed_when_it_is_said() {
    let many = "452 4.5.3 too many\r\n";
    let said = told(
        &[&[
            HI,
            (EHLO, PIPELINING),
            (
                &whole(0..5),
                &format!("250 ok\r\n250 ok\r\n250 ok\r\n{}354 go\r\n", many.repeat(3)),
            ),
            (STUFFED, "250 first\r\n"),
            (&whole(2..4), &taken(2)),
            (STUFFED, "250 second\r\n"),
            (&whole(4..5), &taken(1)),
            (&format!("{STUFFED}QUIT\r\n"), "250 third\r\n221 bye\r\n"),
        ]],
        5,
    );
    assert_eq!(
        said,
        [
            "250 first",
            "250 first",
            "250 second",
            "250 second",
            "250 third"
        ]
    );
}

#[test]
fn a_server_that_closes_over_one_too_many_gets_as_many_as_it_took() {
    let closes = format!("{}421 too many recipients\r\n", "250 ok\r\n".repeat(51));
    let said = told(
        &[
            &[HI, (EHLO, PIPELINING), (&whole(0..80), &closes), GONE],
            &[
                HI,
                (EHLO, PIPELINING),
                (&whole(0..50), &taken(50)),
                (STUFFED, "250 first\r\n"),
                (&whole(50..80), &taken(30)),
                (&format!("{STUFFED}QUIT\r\n"), "250 second\r\n221 bye\r\n"),
            ],
        ],
        80,
    );
    assert_eq!(
        (said[49].as_str(), said[50].as_str(), said[79].as_str()),
        ("250 first", "250 second", "250 second")
    );

    // Hardly anybody was accepted: that was no limit, and nobody knocks again at once.
    let closes = "250 ok\r\n250 ok\r\n421 going down\r\n";
    let said = told(
        &[&[HI, (EHLO, PIPELINING), (&whole(0..3), closes), GONE]],
        3,
    );
    assert!(
        said.iter()
            .all(|said| said == "temporary at recipient: 421 going down"),
        "{said:?}"
    );
}

#[test]
fn a_list_goes_on_over_another_connection_where_one_takes_only_some_mails() {
    let limits = "250-mx.test\r\n250-LIMITS RCPTMAX=2 MAILMAX=2\r\n250-SIZE\r\n250 PIPELINING\r\n";
    let plain = limits.replace(" MAILMAX=2", "");
    let (first, second, third) = (whole(0..2), whole(2..4), whole(4..5));
    let (two, one, end) = (taken(2), taken(1), format!("{STUFFED}QUIT\r\n"));
    let steps: &[Step<'_>] = &[
        (&first, &two),
        (STUFFED, "250 taken\r\n"),
        (&second, &two),
        (STUFFED, "250 taken\r\n"),
    ];
    let last: &[Step<'_>] = &[(&third, &one), (&end, "250 last\r\n221 bye\r\n")];
    let tired: &[Step<'_>] = &[(&third, "421 enough for one connection\r\n"), GONE];
    for (hello, parting) in [(limits, &[BYE][..]), (&plain, tired)] {
        let opening: &[Step<'_>] = &[HI, (EHLO, hello)];
        let said = told(
            &[
                &[opening, steps, parting].concat(),
                &[opening, last].concat(),
            ],
            5,
        );
        assert_eq!(
            said,
            [
                "250 taken",
                "250 taken",
                "250 taken",
                "250 taken",
                "250 last"
            ]
        );
    }
}

#[test]
fn nobody_is_refused_for_good_because_a_server_wants_one_mail_a_session() {
    let limits = "250-mx.test\r\n250-LIMITS RCPTMAX=2\r\n250-SIZE\r\n250 PIPELINING\r\n";
    let said = told(
        &[&[
            HI,
            (EHLO, limits),
            (&whole(0..2), &taken(2)),
            (STUFFED, "250 first\r\n"),
            (
                &whole(2..3),
                "554 one mail a session\r\n503 no\r\n503 no\r\n",
            ),
            BYE,
        ]],
        3,
    );
    let why = "temporary at sender: Lost(\"the server accepts no further transaction: 554 one mail a session\")";
    assert_eq!(said, ["250 first", "250 first", why]);
}

#[test]
fn a_server_that_closes_every_connection_is_left_in_the_end() {
    let limits = "250-mx.test\r\n250-LIMITS RCPTMAX=1\r\n250-SIZE\r\n250 PIPELINING\r\n";
    let refusal = [("", "421 not again\r\n"), BYE];
    let first = whole(0..1);
    let first: [Step<'_>; 6] = [
        HI,
        (EHLO, limits),
        (&first, &taken(1)),
        (STUFFED, "250 first\r\n"),
        (&whole(1..2), "421 enough\r\n"),
        GONE,
    ];
    assert_eq!(
        told(&[&first, &refusal], 2),
        ["250 first", "temporary at greeting: 421 not again"]
    );
}
