//! What shows in steps that no server on this host can play, and the exact form of the lines.
use std::time::Duration;

use super::*;
use crate::delivery::{Reply, Stage};
use crate::providers;
use crate::transport::Fact;
use crate::transport::steps::Facts;

const NOW: i64 = 1_800_000_000;

fn subject() -> Subject {
    Subject {
        goal: "smtp.example.org".into(),
        author: "ann@example.org".into(),
        sender: "ann@example.org".into(),
        account: Some("work".into()),
        sign_in: None,
        now: NOW,
        ..Subject::default()
    }
}

fn text(text: &str) -> Fact {
    Fact::Text(text.into())
}

fn list(parts: &[&str]) -> Fact {
    Fact::List(parts.iter().map(ToString::to_string).collect())
}

fn step(step: Step, facts: Facts, outcome: Outcome) -> Event<'static> {
    Event::Step(StepResult {
        step,
        took: Duration::from_millis(12),
        facts,
        outcome,
    })
}

/// The lines for one step.
fn shown(subject: &Subject, news: Event<'_>) -> String {
    let advise = |fault: &Fault, _: &str| Advice {
        said: format!("{:?}", fault.cause),
        id: None,
        hints: vec!["do so".into()],
    };
    CheckReport::new(subject, &advise).add(news, Style::default())
}

#[test]
fn the_title_names_server_author_and_account() {
    let advise = |_: &Fault, _: &str| Advice::default();
    let title = |subject: &Subject| CheckReport::new(subject, &advise).title();
    assert_eq!(
        title(&subject()),
        "checking smtp.example.org for ann@example.org (account work)\n"
    );
    assert_eq!(
        title(&Subject {
            account: None,
            ..subject()
        }),
        "checking smtp.example.org for ann@example.org\n"
    );
}

#[test]
fn the_verdict_tells_the_status_of_a_mail() {
    let verdict =
        |exit, warnings| text::verdict(&Subject::default(), "smtp.example.org:465", exit, warnings);
    assert_eq!(
        verdict(0, 0),
        "mail can be sent through smtp.example.org:465; nothing was sent\n"
    );
    assert_eq!(
        verdict(0, 2),
        "mail can be sent through smtp.example.org:465, with 2 warnings; nothing was sent\n"
    );
    assert_eq!(
        verdict(77, 1),
        "sending would fail with exit status 77, with 1 warning; nothing was sent\n"
    );
    assert_eq!(verdict(130, 0), "interrupted; nothing was sent\n");
}

#[test]
fn another_host_that_is_looked_up_is_named() {
    let found = |host| {
        vec![
            ("host", text(host)),
            ("addresses", list(&["192.0.2.1", "2001:db8::1"])),
        ]
    };
    let line = |host| {
        shown(
            &subject(),
            step(Step::Resolve, found(host), Outcome::Passed),
        )
    };
    assert_eq!(
        line("smtp.example.org"),
        "  name       ok         12 ms  192.0.2.1, 2001:db8::1\n"
    );
    assert_eq!(
        line("proxy.test"),
        "  name       ok         12 ms  proxy.test: 192.0.2.1, 2001:db8::1\n"
    );
}

#[test]
fn a_family_that_fails_first_is_named() {
    let facts = |late: &str, peer: &str| vec![("late", list(&[late])), ("peer", text(peer))];
    let connect = |late, peer| {
        shown(
            &subject(),
            step(Step::Connect, facts(late, peer), Outcome::Passed),
        )
    };
    assert_eq!(
        connect("[2001:db8::1]:465: network is unreachable", "192.0.2.1:465"),
        "  connect    ok         12 ms  192.0.2.1:465
                               warning: IPv6 does not get through but IPv4 does, so every message first waits for IPv6: [2001:db8::1]:465: network is unreachable
"
    );
    assert_eq!(
        connect("192.0.2.1:465: no answer within 250ms", "192.0.2.2:465"),
        "  connect    ok         12 ms  192.0.2.2:465
                               warning: another address was tried without success: 192.0.2.1:465: no answer within 250ms
"
    );
}

#[test]
fn a_server_with_ipv6_only_is_named() {
    let cause = Cause::Unreachable(vec![(
        "[2001:db8::1]:465".into(),
        "network is unreachable".into(),
    )]);
    let fault = Fault::new(Stage::Connect, cause);
    assert_eq!(
        shown(&subject(), step(Step::Connect, Facts::new(), Outcome::Failed(fault))),
        "  connect    FAILED     12 ms  Unreachable([(\"[2001:db8::1]:465\", \"network is unreachable\")])
                               note: the server has IPv6 addresses only
                               hint: do so
"
    );
}

#[test]
fn the_days_of_a_certificate_are_counted_from_now() {
    let facts = |left: i64| {
        vec![
            ("not_before", Fact::Number(NOW - 9 * DAY)),
            ("not_after", Fact::Number(NOW + left)),
        ]
    };
    let notes = |left| {
        let Event::Step(probe) = step(Step::Tls, facts(left), Outcome::Passed) else {
            unreachable!()
        };
        notes(&probe, &subject(), &Endpoint::default(), &[])
    };
    assert_eq!(notes(14 * DAY), [""; 0]);
    assert_eq!(
        notes(14 * DAY - 1),
        ["the certificate expires in 13 days, on 2027-01-29"]
    );
    assert_eq!(
        notes(DAY),
        ["the certificate expires in 1 day, on 2027-01-16"]
    );
    assert_eq!(
        notes(-1),
        ["it is valid from 2027-01-06 to 2027-01-15, but the clock of this host says 2027-01-15"]
    );
}

#[test]
fn a_certificate_that_settings_let_pass_is_no_secret() {
    let facts = vec![("doubt", text("it is self-signed"))];
    let Event::Step(probe) = step(Step::Tls, facts, Outcome::Passed) else {
        unreachable!()
    };
    let said = notes(&probe, &subject(), &Endpoint::default(), &[]);
    assert_eq!(
        said,
        ["the certificate is not trusted, but the settings allow it: it is self-signed"]
    );
}

#[test]
fn a_from_beside_the_login_counts_only_where_the_provider_says_so() {
    let said = |id: &str, login: &str, author: &str| {
        let subject = Subject {
            login: Some(login.into()),
            preset: providers::by_id(id),
            author: author.into(),
            sender: login.into(),
            ..subject()
        };
        from_rule(&subject)
    };
    assert_eq!(
        said("163", "ann@163.com", "bob@163.com").as_deref(),
        Some(
            "From is bob@163.com, but NetEase 163.com accepts only the login address: ann@163.com"
        )
    );
    assert_eq!(said("163", "ann@163.com", "Ann@163.com"), None);
    assert_eq!(said("163", "ann", "bob@163.com"), None);
    assert!(
        said("gmail", "ann@gmail.com", "bob@example.org")
            .is_some_and(|note| note.contains("replaces it with the login"))
    );
}

#[test]
fn a_temporary_refusal_blames_no_name() {
    let reply = |code| {
        Outcome::Failed(Fault::new(
            Stage::Hello,
            Cause::Refused(Reply::new(code, vec!["no".into()])),
        ))
    };
    let lines = |code| {
        shown(
            &subject(),
            step(Step::Hello, vec![("said", text("EHLO me"))], reply(code)),
        )
    };
    assert!(lines(550).contains("note: the name sent was `me`"));
    assert!(!lines(421).contains("note:"));
}

#[test]
fn what_is_judged_only_at_a_recipient_is_blamed_on_its_cause() {
    let subject = Subject {
        login: Some("u@x.example".into()),
        ..subject()
    };
    let advise = |fault: &Fault, _: &str| Advice {
        said: format!("{:?}", fault.stage),
        ..Advice::default()
    };
    let note = |reply: &str| {
        let mut sheet = CheckReport::new(&subject, &advise);
        sheet.add(
            step(
                Step::Hello,
                vec![("said", text("EHLO me"))],
                Outcome::Passed,
            ),
            Style::default(),
        );
        let fault = Fault::new(
            Stage::Recipient,
            Cause::Refused(Reply::new(550, vec![reply.into()])),
        );
        let lines = sheet.add(
            step(Step::Recipient, Facts::new(), Outcome::Failed(fault)),
            Style::default(),
        );
        lines
            .split_once("note: ")
            .map_or_else(String::new, |(_, note)| note.trim_end().to_owned())
    };
    assert_eq!(
        note("<me>: Helo command rejected"),
        "the name sent was `me`; set hello-name to change it"
    );
    assert_eq!(
        note("Sender address rejected: not owned by user"),
        "the sender is ann@example.org but the login is u@x.example; many servers accept only the login address"
    );
    assert_eq!(note("no such user"), "");
}

#[test]
fn what_a_server_says_cannot_steer_the_terminal() {
    let lines = shown(
        &subject(),
        step(
            Step::Greeting,
            vec![("reply", text("220 a\x1b[2Jb\r\nc"))],
            Outcome::Passed,
        ),
    );
    assert_eq!(
        lines,
        "  greeting   ok         12 ms  220 a\\u{1b}[2Jb\\r\\nc\n"
    );
}

#[test]
fn only_the_outcome_is_coloured() {
    let advise = |_: &Fault, _: &str| Advice {
        said: "no".into(),
        ..Advice::default()
    };
    let subject = subject();
    let mut sheet = CheckReport::new(&subject, &advise);
    let look = Style { colour: true };
    assert_eq!(
        sheet.add(
            step(
                Step::Quit,
                vec![("reply", text("221 bye"))],
                Outcome::Passed
            ),
            look
        ),
        "  quit       \x1b[32mok\x1b[0m         12 ms  221 bye\n"
    );
    let fault = Fault::new(Stage::Connect, Cause::Interrupted(2));
    assert_eq!(
        sheet.add(
            step(Step::Connect, Facts::new(), Outcome::Failed(fault)),
            look
        ),
        "  connect    \x1b[1;31mFAILED\x1b[0m     12 ms  no\n"
    );
    assert_eq!(
        sheet.add(step(Step::Login, Facts::new(), Outcome::Skipped), look),
        "  login      -                 not set\n"
    );
}

#[test]
fn a_sign_in_that_ends_soon_is_told() {
    let at = |days: i64, testing, account: Option<&str>| {
        sign_in(&Subject {
            sign_in: Some(SignIn {
                ends: days * DAY + 5,
                testing,
            }),
            account: account.map(str::to_owned),
            now: 0,
            ..Subject::default()
        })
        .unwrap()
    };
    assert_eq!(
        at(3, true, Some("work")),
        "if the client at the provider is in testing, the sign-in ends in 3 days: run smail --login work"
    );
    assert_eq!(
        at(0, false, None),
        "the sign-in ends today: run smail --login"
    );
    assert_eq!(
        at(-1, false, None),
        "the sign-in has ended: run smail --login"
    );
    assert_eq!(sign_in(&Subject::default()), None);
}
