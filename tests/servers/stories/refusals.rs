//! What the server does not take, and what becomes of the rest.
use crate::servers::Servers;

pub(crate) fn one_refused_recipient_does_not_stop_the_others(servers: &Servers) {
    let to = [
        "first@refusals.test",
        "refused@refusals.test",
        "last@refusals.test",
    ];
    let ran = servers
        .over_plain()
        .args(["-s", "s"])
        .args(to)
        .run(b"body\n");
    ran.assert_failure(
        69,
        &[
            "refused@refusals.test",
            "550 5.7.1",
            "takes no mail from you",
        ],
    );
    assert!(!ran.stderr.contains("first@refusals.test: 5"), "{ran:#?}");
    servers.mail_to("first@refusals.test");
    servers.mail_to("last@refusals.test");
    assert_eq!(servers.settled().get("refused@refusals.test"), None);
}

pub(crate) fn an_unknown_recipient_has_its_own_exit_status(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-s", "s", "known@refusals.test", "unknown@refusals.test"])
        .run(b"body\n");
    ran.assert_failure(
        67,
        &["unknown@refusals.test", "550 5.1.1", "no such mailbox here"],
    );
    servers.mail_to("known@refusals.test");
}

pub(crate) fn a_temporary_refusal_can_be_tried_again(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-s", "s", "now@refusals.test", "later@refusals.test"])
        .run(b"body\n");
    ran.assert_failure(75, &["later@refusals.test", "450 4.2.1", "mailbox busy"]);
    servers.mail_to("now@refusals.test");
    assert_eq!(servers.settled().get("later@refusals.test"), None);
}

pub(crate) fn nothing_is_sent_when_every_recipient_is_refused(servers: &Servers) {
    let ran = servers
        .over_plain()
        .args(["-v", "-s", "s", "refused@a.test", "refused@b.test"])
        .run(b"body\n");
    assert_eq!(ran.status, 69, "{ran:#?}");
    assert!(
        ran.stderr.contains("refused@a.test") && ran.stderr.contains("refused@b.test"),
        "{ran:#?}"
    );
    // The transcript is there, so that what is missing from it did not happen.
    assert!(
        ran.stderr.contains("MAIL FROM:<sender@example.com>"),
        "{ran:#?}"
    );
    assert!(!ran.stderr.contains("Ok: queued"), "{ran:#?}");
    let delivered = servers.settled();
    assert_eq!(
        (
            delivered.get("refused@a.test"),
            delivered.get("refused@b.test")
        ),
        (None, None)
    );
}

pub(crate) fn a_mail_over_the_servers_size_is_refused_before_mail_from(servers: &Servers) {
    let text = "twenty thousand bytes are the limit of this port\n".repeat(500);
    let ran = servers
        .over_tight()
        .args(["-v", "-s", "s", "big@refusals.test"])
        .run(text.as_bytes());
    assert_eq!(ran.status, 69, "{ran:#?}");
    // Both numbers are for the user; the limit is the server's own.
    assert!(
        ran.stderr.contains("20000") || ran.stderr.contains("20 000"),
        "{ran:#?}"
    );
    assert!(!ran.stderr.contains("MAIL FROM:"), "{ran:#?}");
    assert_eq!(servers.settled().get("big@refusals.test"), None);
}

pub(crate) fn smtputf8_that_is_not_offered_sends_nothing(servers: &Servers) {
    let ran = servers
        .over_tight()
        .args(["-s", "s", "почта@refusals.test"])
        .run(b"body\n");
    ran.assert_failure(69, &["SMTPUTF8"]);
    assert_eq!(servers.settled().get("почта@refusals.test"), None);
}

pub(crate) fn too_many_recipients_are_split(servers: &Servers) {
    let all: Vec<String> = (0..120)
        .map(|n| format!("split{n}@refusals.test"))
        .collect();
    servers
        .over_tight()
        .args(["-s", "s"])
        .args(&all)
        .run(b"body\n")
        .assert_silent_success();
    let delivered = servers.settled();
    let wrong: Vec<_> = all
        .iter()
        .filter(|to| delivered.get(*to) != Some(&1))
        .collect();
    assert!(wrong.is_empty(), "not exactly one mail each: {wrong:?}");
}
