//! Proofs of what is found in replies, logs and mail that came back.
use super::*;

/// Codes and hint of everything found.
fn told(text: &str) -> Vec<String> {
    let word = |code: Option<String>| code.unwrap_or_else(|| "-".into());
    explain(text, &|_| None)
        .into_iter()
        .map(|e| {
            let (code, enhanced) = (
                e.code.map(|c| c.to_string()),
                e.enhanced.map(|c| c.to_string()),
            );
            format!(
                "{} {} {}",
                word(code),
                word(enhanced),
                e.hint.map_or("nothing", |hint| hint.id)
            )
        })
        .collect()
}

#[test]
fn a_code_alone_is_explained() {
    assert_eq!(told("535"), ["535 - reply-535"]);
    assert_eq!(told("4.7.0\n"), ["- 4.7.0 later-7.0"]);
    assert_eq!(told("250"), ["250 - reply-250"]);
    assert_eq!(
        told("550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        ["550 5.7.60 microsoft-send-as"]
    );
    assert_eq!(told(""), Vec::<String>::new());
    assert_eq!(told("hello"), Vec::<String>::new());
    assert_eq!(
        told("error:\ncertificate has expired\n"),
        ["- - certificate-expired"]
    );
    assert_eq!(told("999 1234 1.2.3.4 smail 0.1.0"), Vec::<String>::new());
}

#[test]
fn a_line_of_a_log_is_explained() {
    for (line, wanted) in [
        (
            "Nov 23 10:00:01 mx postfix/smtp[550]: 4X1: to=<a@b.example>, relay=mx.b.example[192.0.2.550]:25, delay=1, dsn=5.1.1, status=bounced (host mx.b.example[192.0.2.5] said: 550 5.1.1 <a@b.example>: Recipient address rejected: User unknown (in reply to RCPT TO command))",
            "550 5.1.1 no-such-user",
        ),
        (
            "Nov 23 10:00:01 mx postfix/smtp[7]: 4X1: to=<a@b.example>, relay=none, dsn=4.4.1, status=deferred (connect to mx.b.example[192.0.2.5]:25: Connection timed out)",
            "- 4.4.1 port-25",
        ),
        (
            "2026-11-23 10:00:00 1tEx-0001-AB ** a@b.example R=dnslookup T=remote_smtp H=mx.b.example [192.0.2.5]: SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 relay not permitted",
            "550 - relay-denied",
        ),
        (
            "Nov 23 10:00:01 mx sm-mta[77]: u1: to=<a@b.example>, delay=00:00:01, dsn=5.1.1, reply: 550 5.1.1 <a@b.example>... User unknown",
            "550 5.1.1 no-such-user",
        ),
        (
            "msmtp: server message: 535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
            "535 5.7.8 password-refused-prompt",
        ),
        (
            "s-nail: smtp-server: 535 5.7.3 Authentication unsuccessful",
            "535 5.7.3 password-refused",
        ),
        (
            "  server: 550 5.7.1 Message rejected as spam",
            "550 5.7.1 spam",
        ),
        (
            "@40000000 delivery 7: failure: 192.0.2.5_does_not_like_recipient./Remote_host_said:_550_No_such_user/Giving_up_on_192.0.2.5./",
            "550 - no-such-user",
        ),
        (
            "openssl: certificate verify failed: self-signed certificate",
            "- - certificate-self-signed",
        ),
    ] {
        assert_eq!(told(line), [wanted], "{line}");
    }
}

#[test]
fn the_lines_of_a_reply_are_one() {
    let reply = "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n\
                 550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\n\
                 550 5.7.26 See https://support.google.com/mail/ - gsmtp";
    assert_eq!(told(reply), ["550 5.7.26 sender-domain-policy"]);
    let known = explain(reply, &|_| Some("gmail".to_owned()));
    assert_eq!(
        known.iter().map(|e| e.hint.unwrap().id).collect::<Vec<_>>(),
        ["gmail-unauthenticated"]
    );
    assert!(known[0].text.ends_with("- gsmtp"), "{}", known[0].text);
}

#[test]
fn the_report_of_smail_itself_is_explained() {
    let report = "smail: cannot log in to smtp.qq.com:465 (implicit TLS) as 1@qq.com\n  \
                  server: 535 Login fail. Account is abnormal, service is not open, password is incorrect,\n  \
                  server: 535 login frequency limited, or system is busy.\n  \
                  535 means: authentication failed\n";
    let told = explain(report, &|_| Some("qq".to_owned()));
    assert_eq!(
        told.iter().map(|e| e.hint.unwrap().id).collect::<Vec<_>>(),
        ["qq-abnormal"]
    );
    assert!(
        told[0]
            .text
            .ends_with("incorrect, login frequency limited, or system is busy."),
        "{}",
        told[0].text
    );
}

#[test]
fn a_bounce_is_explained_once_for_every_failure() {
    let bounce = "From: MAILER-DAEMON@mx.example.org\n\
        Subject: Undelivered Mail Returned to Sender\n\
        \n\
        <kim@b.example>: host mx.b.example[192.0.2.5] said: 550 5.1.1 <kim@b.example>:\n    \
        Recipient address rejected: User unknown (in reply to RCPT TO command)\n\
        \n\
        Reporting-MTA: dns; mx.example.org\n\
        \n\
        Final-Recipient: rfc822; kim@b.example\n\
        Action: failed\n\
        Status: 5.1.1\n\
        Diagnostic-Code: smtp; 550 5.1.1 <kim@b.example>: Recipient address rejected:\n    \
        User unknown\n\
        \n\
        Final-Recipient: rfc822; lee@c.example\n\
        Action: failed\n\
        Status: 5.2.2\n\
        Diagnostic-Code: smtp; 552 mailbox full\n\
        \n\
        Final-Recipient: rfc822; pat@d.example\n\
        Action: delayed\n\
        Status: 4.4.1\n";
    let told = told(bounce);
    assert_eq!(
        told[1..],
        [
            "550 5.1.1 no-such-user",
            "552 5.2.2 mailbox-full",
            "- 4.4.1 enhanced-4.1"
        ]
    );
    assert_eq!(told[0], "550 5.1.1 enhanced-1.1");
}

#[test]
fn the_hosts_beside_a_reply_tell_whose_it_is() {
    let asked = std::cell::RefCell::new(Vec::new());
    let provider = |hosts: &[&str]| {
        asked.borrow_mut().push(hosts.join(" "));
        hosts.contains(&"mx3.qq.com").then(|| "qq".to_owned())
    };
    let text = "x postfix/smtp[7]: 4X1: to=<a@b.example>, relay=mx3.qq.com[192.0.2.5]:25, status=bounced (host mx3.qq.com[192.0.2.5] said: 550 Mail content denied. http://mail.qq.com/ (in reply to end of DATA command))\n\
                x postfix/smtp[7]: 4X2: to=<a@b.example>, relay=mx.b.example[192.0.2.6]:25, status=bounced (host mx.b.example[192.0.2.6] said: 550 no)\n\
                \n\
                Remote-MTA: dns; mx3.qq.com\n\
                Diagnostic-Code: smtp; 552 too big\n";
    let told = explain(text, &provider);
    assert_eq!(
        told.iter().map(|e| e.hint.unwrap().id).collect::<Vec<_>>(),
        ["qq-content", "reply-550", "reply-552"]
    );
    assert_eq!(told[0].text, "Mail content denied. http://mail.qq.com/");
    assert_eq!(
        *asked.borrow(),
        [
            "mx3.qq.com mx3.qq.com",
            "mx.b.example mx.b.example",
            "mx3.qq.com"
        ]
    );
}

#[test]
fn the_words_are_safe_to_print_and_hostile_text_ends() {
    let explanation = explain("550 \u{1b}[2Jno such user\u{7}", &|_| None).remove(0);
    assert_eq!(explanation.text, "[2Jno such user");
    assert_eq!(explanation.class, Some(Class::Permanent));
    explain(&"5.5.5.5 (550-(".repeat(100_000), &|_| None);
    explain(&"550-".repeat(100_000), &|_| None);
    explain(&"550-x\n".repeat(100_000), &|_| None);
    explain(&"\u{4f60}".repeat(500_000), &|_| None);
}

#[test]
fn logs_of_any_lines_take_linear_time() {
    let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("codes in brackets", &|_| "(500)".to_owned()),
        ("codes and blanks", &|_| "500 \" ".to_owned()),
        ("lines of replies", &|n| format!("550 a{n}\n")),
        ("replies that go on", &|n| format!("550-a{n}\n")),
        ("replies with other codes", &|n| {
            format!("{} x\n", 400 + n % 200)
        }),
        ("lines of a log", &|n| {
            format!("smtp: connection {n} timed out\n")
        }),
        ("lines of a mailer that say nothing", &|n| {
            format!("smail {n}\n")
        }),
        ("hosts", &|n| format!("mx{n}.example.org ")),
        ("hosts in lines", &|n| format!("mx{n}.example.org\n")),
        ("fields", &|_| "Status: 5.1.1\n".to_owned()),
        ("folds", &|_| "Diagnostic-Code: x\n y\n".to_owned()),
        ("what qmail writes", &|_| "_said:_550_x\n".to_owned()),
        ("ours", &|_| "server: 550-x\n".to_owned()),
        ("numbers", &|_| "5.1.1".to_owned()),
    ];
    for (name, row) in rows {
        let read = |text: String| {
            drop(explain(&text, &|hosts| {
                hosts.first().map(|host| (*host).to_owned())
            }));
        };
        crate::pace::assert_linear(name, |size| crate::pace::numbered(size, row), read);
    }
}
