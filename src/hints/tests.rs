//! The table against itself, against the registries, and against failures as the rooms below tell
//! them.
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::table::{FILE, STAGES};
use super::*;
use crate::delivery::{Distrust, ScramError};

/// A row as a TOML parser reads it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Row {
    provider: String,
    host: String,
    cause: String,
    stage: String,
    code: String,
    enhanced: String,
    pattern: String,
    common: String,
    vague: String,
    alone: String,
    class: String,
    who: String,
    meaning: String,
    action: String,
    zh_meaning: String,
    zh_action: String,
    source: String,
    date: String,
    examples: Vec<String>,
}

fn parsed() -> BTreeMap<String, Row> {
    toml::from_str(FILE).unwrap()
}

fn check(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_table_is_what_a_toml_parser_reads_in_the_file() {
    let parsed = parsed();
    assert_eq!(rows().len(), parsed.len());
    for row in rows() {
        let same = &parsed[row.id];
        let read = [
            row.provider,
            row.host,
            row.cause,
            row.stage,
            row.codes.reply,
            row.codes.enhanced,
            row.pattern,
        ];
        let other = [
            &same.provider,
            &same.host,
            &same.cause,
            &same.stage,
            &same.code,
            &same.enhanced,
            &same.pattern,
        ];
        assert_eq!(
            read.map(str::to_owned),
            other.map(Clone::clone),
            "{}",
            row.id
        );
        let flags = [&same.common, &same.vague, &same.alone].map(|flag| flag == "yes");
        assert_eq!([row.common, row.vague, row.alone], flags, "{}", row.id);
        assert_eq!(
            (row.class.map_or("", Class::word), row.who.word()),
            (&*same.class, &*same.who),
            "{}",
            row.id
        );
        assert_eq!(row.meaning, [&same.meaning, &same.zh_meaning], "{}", row.id);
        assert_eq!(row.action, [&same.action, &same.zh_action], "{}", row.id);
        assert_eq!(
            [row.source, row.date],
            [&same.source, &same.date],
            "{}",
            row.id
        );
    }
}

#[test]
fn every_example_is_matched_by_its_own_row() {
    let mut complaints = Vec::new();
    for (id, row) in parsed() {
        let providers: Vec<Option<&str>> = if row.provider.is_empty() {
            vec![None]
        } else {
            row.provider.split(' ').map(Some).collect()
        };
        if is_of_stage(&row) {
            continue;
        }
        for (example, provider) in row
            .examples
            .iter()
            .flat_map(|e| providers.iter().map(move |p| (e, *p)))
        {
            let found = explain(example, &|_| provider.map(str::to_owned))
                .first()
                .and_then(|explanation| explanation.hint);
            let found = found.map_or("nothing", |hint| hint.id);
            if found != id {
                complaints.push(format!("{id}: {found} takes \"{example}\" ({provider:?})"));
            }
        }
    }
    check(&complaints);
}

/// The stage decides: the row must be found at each of its stages, and at no other.
fn is_of_stage(row: &Row) -> bool {
    !row.stage.is_empty()
        && row.provider.is_empty()
        && row.cause.is_empty()
        && !row.examples.is_empty()
}

#[test]
fn every_example_is_matched_by_its_own_row_at_the_stages_of_the_row_only() {
    let mut complaints = Vec::new();
    for (id, row) in parsed().into_iter().filter(|(_, row)| is_of_stage(row)) {
        for (example, stage) in row
            .examples
            .iter()
            .flat_map(|e| STAGES.iter().map(move |stage| (e, *stage)))
        {
            let (code, text) = example.split_once(' ').unwrap();
            let codes: Vec<&str> = if row.pattern.is_empty() {
                row.code.split(' ').collect()
            } else {
                vec![code]
            };
            for code in codes {
                // A class that does not agree with the reply is none.
                let fault = refused(stage, code.parse().unwrap(), text);
                let found = of_fault(&fault, None, None).map_or("nothing", |hint| hint.id);
                let wanted = row.stage.split(' ').any(|word| word == stage.word());
                if (found == id) != wanted {
                    complaints.push(format!(
                        "{id}: {found} takes \"{code} {text}\" at {}",
                        stage.word()
                    ));
                }
            }
        }
    }
    check(&complaints);
}

#[test]
fn no_row_is_shadowed() {
    let mut complaints = Vec::new();
    for (id, row) in parsed() {
        // A row with an example is reached by it; the others are reached by their cause alone, or
        // by name.
        if !row.examples.is_empty() || id.starts_with("secret-") && row.stage == "prepare" {
            continue;
        }
        let stage = STAGES
            .into_iter()
            .find(|stage| row.stage.split(' ').any(|word| word == stage.word()))
            .or(Some(Stage::Hello));
        let query = Query {
            stage,
            ..Query::default()
        };
        let cause = rows()
            .iter()
            .find(|hint| hint.id == id)
            .unwrap()
            .cause
            .split(' ')
            .next();
        let found = search(&Sought::new(&query, cause)).map_or("nothing", |(hint, _)| hint.id);
        if found != id {
            complaints.push(format!("{id}: {found} takes its place"));
        }
    }
    check(&complaints);
}

/// The reply codes of the standards and of providers, and one for each first digit; the row for a
/// line without a code is that of a broken protocol.
const REPLIES: [u16; 54] = [
    211, 214, 220, 221, 235, 250, 251, 252, 254, 334, 353, 354, 403, 406, 421, 432, 435, 436, 440,
    450, 451, 452, 454, 455, 458, 459, 500, 501, 502, 503, 504, 510, 521, 523, 525, 526, 530, 534,
    535, 538, 541, 550, 551, 552, 553, 554, 555, 556, 557, 559, 561, 299, 499, 599,
];

#[test]
fn every_reply_code_alone_has_a_meaning_of_its_own() {
    for code in REPLIES {
        let hint = find(&Query {
            code: Some(code),
            ..Query::default()
        })
        .unwrap();
        let wanted = if code % 100 == 99 {
            format!("reply-{}xx", code / 100)
        } else {
            format!("reply-{code}")
        };
        assert_eq!(hint.id, wanted);
        assert_eq!(explain(&code.to_string(), &|_| None)[0].hint, Some(hint));
    }
}

#[test]
fn every_enhanced_code_alone_has_a_meaning_of_its_own() {
    let mut count = 0;
    for (subject, highest) in [
        (0, 0),
        (1, 10),
        (2, 4),
        (3, 6),
        (4, 7),
        (5, 6),
        (6, 10),
        (7, 30),
    ] {
        for detail in 0..=highest {
            for class in [4, 5] {
                let hint = find(&Query {
                    enhanced: Some(EnhancedCode(class, subject, detail)),
                    ..Query::default()
                });
                // Some mean "not now" where the class says so.
                let own = |row: &&Hint| {
                    row.id.starts_with("later-")
                        && row
                            .codes
                            .enhanced
                            .split(' ')
                            .any(|c| c == format!("4.{subject}.{detail}"))
                };
                let later = rows().iter().find(own).filter(|_| class == 4);
                let wanted = later.map_or(format!("enhanced-{subject}.{detail}"), |row| {
                    row.id.to_owned()
                });
                assert_eq!(hint.unwrap().id, wanted);
            }
            count += 1;
        }
    }
    assert_eq!(count, 81);
}

#[test]
fn an_enhanced_code_beyond_the_registry_means_its_subject() {
    let unknown = find(&Query {
        enhanced: Some(EnhancedCode(5, 7, 999)),
        ..Query::default()
    })
    .unwrap();
    assert_eq!(unknown.id, "enhanced-7.0");
}

/// The codes of the article with its words, and how they read in Chinese.
const ARTICLE: [(u16, &str, &str); 18] = [
    (421, "service not available", "服务不可用，正在关闭传输通道"),
    (
        450,
        "requested mail action not taken: mailbox unavailable",
        "请求的邮件操作未执行：邮箱暂时不可用",
    ),
    (
        451,
        "requested action aborted: local error in processing",
        "请求的操作已中止：服务器本地处理出错",
    ),
    (
        452,
        "requested mail action not taken: insufficient system storage",
        "请求的邮件操作未执行：系统存储空间不足",
    ),
    (454, "TLS not available", "TLS 不可用"),
    (
        500,
        "syntax error, command unrecognised",
        "语法错误，命令无法识别",
    ),
    (
        501,
        "syntax error in parameters or arguments",
        "参数语法错误",
    ),
    (502, "command not implemented", "服务器未实现该命令"),
    (503, "bad sequence of commands", "命令顺序错误"),
    (504, "command parameter not implemented", "命令参数未实现"),
    (521, "the domain does not accept mail", "该域名不接收邮件"),
    (530, "(Start TLS needed)", "先启动 TLS"),
    (535, "authentication failed", "身份验证失败"),
    (
        550,
        "requested action not taken: mailbox unavailable",
        "请求的操作未执行：邮箱不可用",
    ),
    (551, "user not local", "用户不在本地，请尝试转发路径"),
    (
        552,
        "requested mail action aborted: exceeded storage allocation",
        "请求的邮件操作已中止：超出存储配额",
    ),
    (
        553,
        "requested action not taken: mailbox name not allowed",
        "请求的操作未执行：邮箱名不被允许",
    ),
    (554, "transaction failed", "事务失败"),
];

#[test]
fn the_codes_of_the_article_read_as_in_the_article() {
    for (code, english, chinese) in ARTICLE {
        let hint = find(&Query {
            code: Some(code),
            ..Query::default()
        })
        .unwrap();
        assert!(
            hint.meaning(Language::English).contains(english),
            "{code}: {}",
            hint.meaning(Language::English)
        );
        assert!(
            hint.meaning(Language::Chinese).contains(chinese),
            "{code}: {}",
            hint.meaning(Language::Chinese)
        );
    }
}

fn of(stage: Stage, cause: Cause) -> &'static str {
    of_fault(&Fault::new(stage, cause), None, None).map_or("nothing", |hint| hint.id)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_way_a_connection_fails_has_its_hint() {
    let distrust = |reason: &str| {
        Cause::Distrust(Distrust {
            reason: reason.into(),
            fingerprint: None,
        })
    };
    let tried = |pairs: &[(&str, &str)]| {
        Cause::Unreachable(
            pairs
                .iter()
                .map(|(a, w)| ((*a).to_owned(), (*w).to_owned()))
                .collect(),
        )
    };
    let lacks = |what| Cause::Lacks(what, "SIZE, HELP".into());
    let cases = [
        (
            Stage::Resolve,
            Cause::NoSuchHost("smtp.exmaple.org".into()),
            "dns-no-name",
        ),
        (
            Stage::Resolve,
            Cause::NoAnswer("a.example: temporary failure in name resolution".into()),
            "dns-no-answer",
        ),
        (
            Stage::Connect,
            tried(&[("192.0.2.1:587", "connection refused")]),
            "connection-refused",
        ),
        (
            Stage::Connect,
            tried(&[("192.0.2.1:587", "no answer within 30s")]),
            "connection-timeout",
        ),
        (
            Stage::Connect,
            tried(&[("192.0.2.1:25", "no answer within 30s")]),
            "port-25",
        ),
        (
            Stage::Connect,
            tried(&[("127.0.0.1:25", "connection refused")]),
            "refused-here",
        ),
        (
            Stage::Connect,
            tried(&[("[2001:db8::1]:465", "network is unreachable")]),
            "ipv6-only",
        ),
        (
            Stage::Connect,
            tried(&[
                ("[2001:db8::1]:465", "network is unreachable"),
                ("192.0.2.1:465", "connection refused"),
            ]),
            "connection-refused",
        ),
        (
            Stage::Connect,
            tried(&[("192.0.2.1:465", "no route to host")]),
            "no-route",
        ),
        (
            Stage::Connect,
            tried(&[("192.0.2.1:465", "permission denied")]),
            "connection-denied",
        ),
        (
            Stage::Connect,
            tried(&[("unix:/run/smail/submit", "no such file or directory")]),
            "socket-missing",
        ),
        (
            Stage::Connect,
            tried(&[("unix:/run/smail/submit", "permission denied")]),
            "socket-denied",
        ),
        (
            Stage::Connect,
            tried(&[("unix:/run/smail/submit", "connection refused")]),
            "socket-refused",
        ),
        (
            Stage::Connect,
            tried(&[("unix:/run/s", "resource temporarily unavailable")]),
            "socket-busy",
        ),
        (Stage::Connect, tried(&[]), "unreachable"),
        (
            Stage::Connect,
            Cause::Proxy("it wants a user and a password".into()),
            "proxy-login",
        ),
        (
            Stage::Connect,
            Cause::Proxy("it answered 403 Forbidden by policy".into()),
            "proxy",
        ),
        (
            Stage::Tls,
            Cause::Handshake("the server speaks plain SMTP on this port: it sent \"220 a\"".into()),
            "tls-plain-port",
        ),
        (
            Stage::Tls,
            Cause::Handshake("wrong version number".into()),
            "tls-plain-port",
        ),
        (
            Stage::Tls,
            Cause::Handshake(
                "the server does not speak TLS on this port: it sent \"* OK IMAP4rev1\"".into(),
            ),
            "imap-port",
        ),
        (
            Stage::Tls,
            Cause::Handshake("unsupported protocol".into()),
            "tls-version",
        ),
        (
            Stage::Tls,
            Cause::Handshake("something new".into()),
            "tls-handshake",
        ),
        (
            Stage::Tls,
            Cause::Lost("the server closed the connection during the TLS handshake".into()),
            "tls-cut",
        ),
        (
            Stage::Greeting,
            Cause::Protocol("no greeting: port 465 speaks TLS from the first byte".into()),
            "tls-port-silent",
        ),
        (
            Stage::Greeting,
            Cause::Silent(Duration::from_secs(30)),
            "greeting-silent",
        ),
        (
            Stage::Greeting,
            Cause::Protocol("the server sent \"HTTP/1.1 400 Bad Request\"".into()),
            "not-smtp",
        ),
        (
            Stage::Content,
            Cause::Silent(Duration::from_mins(10)),
            "silent",
        ),
        (
            Stage::Tls,
            distrust("it expired on Jan  1 00:00:00 2026 GMT"),
            "certificate-expired",
        ),
        (
            Stage::Tls,
            distrust("it is not valid before Jan  1 00:00:00 2036 GMT"),
            "clock-wrong",
        ),
        (
            Stage::Tls,
            distrust("it is for mx.example.net and not for smtp.example.org"),
            "certificate-name",
        ),
        (
            Stage::Tls,
            distrust("its issuer \"Corp CA\" is not trusted here"),
            "certificate-unknown-ca",
        ),
        (
            Stage::Tls,
            distrust("it is self-signed"),
            "certificate-self-signed",
        ),
        (
            Stage::Tls,
            distrust("its SHA-256 fingerprint is not the one that is set (00ff)"),
            "certificate-pin",
        ),
        (
            Stage::Tls,
            distrust("it was rejected: path length constraint exceeded"),
            "certificate",
        ),
        (Stage::Tls, lacks(Lacks::Starttls), "starttls-missing"),
        (Stage::Login, lacks(Lacks::Auth), "auth-missing"),
        (Stage::Login, lacks(Lacks::Mechanism), "mechanism-missing"),
        (Stage::Login, Cause::Scram(ScramError::Signature), "scram"),
        (Stage::Sender, lacks(Lacks::Smtputf8), "smtputf8-missing"),
        (Stage::Sender, lacks(Lacks::EightBit), "eightbit-missing"),
        (Stage::Login, Cause::ClearLogin, "clear-login"),
        (
            Stage::Login,
            Cause::NoSecret("no password is set".into(), false),
            "secret-missing",
        ),
        (
            Stage::Prepare,
            Cause::TlsSettings("/x.pem contains no certificate in PEM format".into()),
            "tls-settings",
        ),
        (Stage::Sender, Cause::TooBig(9, 5), "too-big"),
        (
            Stage::Hello,
            Cause::Lost("the server closed the connection".into()),
            "connection-closed",
        ),
        (
            Stage::Hello,
            Cause::Lost("the server reset the connection".into()),
            "connection-reset",
        ),
        (
            Stage::Greeting,
            Cause::Lost("something".into()),
            "greeting-cut",
        ),
        (
            Stage::Hello,
            Cause::Lost("something".into()),
            "connection-lost",
        ),
        (
            Stage::Hello,
            Cause::Protocol("the server sent a line without a code".into()),
            "protocol",
        ),
        (
            Stage::Content,
            Cause::Program("550 5.1.1 <a@b>: user unknown".into(), Some(67)),
            "no-such-user",
        ),
        (
            Stage::Connect,
            Cause::Program("/x/mta: no such file or directory".into(), Some(127)),
            "program-not-started",
        ),
        (Stage::Content, Cause::Interrupted(2), "nothing"),
    ];
    for (stage, cause, wanted) in cases {
        assert_eq!(of(stage, cause.clone()), wanted, "{cause:?}");
    }
    let refused = Fault::new(
        Stage::Connect,
        tried(&[("10.0.0.1:25", "connection refused")]),
    );
    assert_eq!(
        of_fault(&refused, None, Some("localhost")).unwrap().id,
        "refused-here"
    );
    let lost = Fault {
        in_doubt: true,
        ..Fault::new(Stage::Content, Cause::Lost("it closed".into()))
    };
    assert_eq!(of_fault(&lost, None, None).unwrap().id, "in-doubt");
}

fn refused(stage: Stage, code: u16, text: &str) -> Fault {
    Fault::new(
        stage,
        Cause::Refused(Reply::new(code, vec![text.to_owned()])),
    )
}

#[test]
fn what_is_known_of_a_provider_beats_the_first_digit() {
    let cases = [
        (
            436,
            "\"MAIL FROM\" doesn't conform with authentication",
            Some("directmail"),
            Some(Class::Permanent),
        ),
        (
            440,
            "mail from account doesn't conform with authentication",
            Some("aliqiye"),
            Some(Class::Permanent),
        ),
        (
            550,
            "5.4.5 Daily user sending limit exceeded.",
            Some("gworkspace"),
            Some(Class::Temporary),
        ),
        (
            421,
            "Domain x.mailgun.org is not allowed to send: free accounts",
            Some("mailgun"),
            Some(Class::Permanent),
        ),
        (
            451,
            "Authentication failed: Maximum credits exceeded",
            Some("sendgrid"),
            Some(Class::Permanent),
        ),
        (
            454,
            "4.7.1 <a@b>: Relay access denied",
            None,
            Some(Class::Permanent),
        ),
        (
            550,
            "5.7.0 too many emails per second",
            Some("mailtrap"),
            Some(Class::Temporary),
        ),
        (
            535,
            "Error: authentication failed, system busy",
            Some("exmail"),
            Some(Class::Permanent),
        ),
        (
            450,
            "4.2.0 <a@b>: Recipient address rejected: Greylisted",
            None,
            Some(Class::Temporary),
        ),
        (550, "5.1.1 no such user", None, None),
        (451, "4.3.0 local error", None, None),
        (250, "2.0.0 ok", None, None),
    ];
    for (code, text, provider, wanted) in cases {
        assert_eq!(
            class(&refused(Stage::Sender, code, text), provider),
            wanted,
            "{code} {text}"
        );
    }
}

#[test]
fn the_provider_decides_between_texts_that_are_alike() {
    let find = |provider, code, text| {
        find(&Query {
            provider: Some(provider),
            code: Some(code),
            text,
            ..Query::default()
        })
        .unwrap()
        .id
    };
    assert_eq!(
        find("directmail", 552, "Daily sending quota exceeded"),
        "directmail-quota"
    );
    assert_eq!(
        find("gmail", 550, "Daily sending quota exceeded"),
        "gmail-daily-limit"
    );
    assert_eq!(
        find("163", 535, "Error: authentication failed"),
        "netease-password"
    );
    assert_eq!(find("zoho", 535, "Authentication Failed"), "zoho-login");
    // A mail sent by Gmail that Microsoft refuses.
    assert_eq!(
        find(
            "gmail",
            550,
            "5.7.64 TenantAttribution; Relay Access Denied"
        ),
        "microsoft-connector"
    );
}

#[test]
fn a_refused_login_of_a_known_provider_never_ends_in_a_general_hint() {
    for provider in [
        "163",
        "qq",
        "exmail",
        "directmail",
        "aliqiye",
        "gmail",
        "m365",
        "outlook",
        "yahoo",
        "icloud",
        "fastmail",
        "zoho",
        "yandex",
        "mailru",
        "gmx",
        "webde",
        "ses",
        "sendgrid",
        "mailgun",
        "brevo",
        "resend",
        "postmark",
        "sparkpost",
        "protonbridge",
    ] {
        let fault = refused(
            Stage::Login,
            535,
            "5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        );
        let hint = of_fault(&fault, Some(provider), None).unwrap();
        assert!(
            hint.provider
                .split(' ')
                .any(|name| name == providers::family(provider)),
            "{provider}: {}",
            hint.id
        );
    }
}

#[test]
fn the_language_follows_the_locale() {
    for locale in ["zh_CN.UTF-8", "zh", "ZH-TW", "zh_SG"] {
        assert_eq!(Language::of(locale), Language::Chinese, "{locale}");
    }
    for locale in ["", "C", "en_US.UTF-8", "zhuang", "\u{4e2d}"] {
        assert_eq!(Language::of(locale), Language::English, "{locale}");
    }
}

#[test]
fn what_a_bare_code_means_depends_on_what_was_under_way() {
    let at = |stage, code, text: &str| {
        of_fault(&refused(stage, code, text), None, None)
            .unwrap()
            .id
    };
    assert_eq!(at(Stage::Recipient, 504, "5.5.2 no"), "recipient-form");
    assert_eq!(at(Stage::Recipient, 504, ""), "recipient-form");
    assert_eq!(at(Stage::Login, 504, "5.5.4 no"), "login-way");
    assert_eq!(at(Stage::Hello, 504, "5.5.2 no"), "hello-name");
    assert_eq!(at(Stage::Recipient, 450, "4.2.0 no"), "recipient-later");
    assert_eq!(at(Stage::Content, 451, "4.7.1 no"), "content-later");
    assert_eq!(
        at(Stage::Greeting, 554, "no SMTP for you"),
        "greeting-refused"
    );
    assert_eq!(at(Stage::Content, 554, "no"), "content-refused");
    // What a code says of itself counts more than where it came.
    assert_eq!(at(Stage::Recipient, 450, "4.2.2 no"), "enhanced-2.2");
    assert_eq!(at(Stage::Sender, 550, "5.1.8 no"), "enhanced-1.8");
    assert_eq!(at(Stage::Recipient, 550, "5.1.1 no"), "enhanced-1.1");
    assert_eq!(
        at(Stage::Recipient, 451, "4.7.1 Greylisting in action"),
        "greylisted"
    );
    // Without a stage a code stays as general as it is.
    let explained = |text| explain(text, &|_| None)[0].hint.unwrap().id;
    assert_eq!(
        (
            explained("450 4.2.0"),
            explained("451 4.7.1"),
            explained("554")
        ),
        ("later-2.0", "later-7.0", "reply-554")
    );
}

#[test]
fn what_a_provider_means_beats_the_first_digit() {
    let class = |provider, stage, code, text: &str| {
        let reply = Reply::new(code, vec![text.into()]);
        let fault = Fault::new(stage, Cause::Refused(reply));
        Classifier::new(provider, None).classify(fault).class()
    };
    let mail = "\"MAIL FROM\" doesn't conform with authentication (Auth Account:a@x.example|Mail Account:b@x.example)";
    assert_eq!(
        class(Some("alimail"), Stage::Sender, 440, mail),
        Class::Permanent
    );
    assert_eq!(
        class(Some("directmail"), Stage::Sender, 436, mail),
        Class::Permanent
    );
    let limit = "5.4.5 Daily user sending limit exceeded.";
    assert_eq!(
        class(Some("gmail"), Stage::Content, 550, limit),
        Class::Temporary
    );
    assert_eq!(
        class(None, Stage::Recipient, 550, "5.1.1 no such user"),
        Class::Permanent
    );
    assert_eq!(
        class(None, Stage::Recipient, 450, "4.2.0 greylisted"),
        Class::Temporary
    );
}

#[test]
fn a_reply_means_the_same_however_often_it_comes_and_what_comes_between() {
    let classifier = Classifier::new(Some("gmail"), None);
    let limit = "5.4.5 Daily user sending limit exceeded.";
    let refused = |stage, code, text: &str| {
        let reply = Reply::new(code, vec![text.into()]);
        classifier.classify(Fault::new(stage, Cause::Refused(reply)))
    };
    let first = refused(Stage::Content, 550, limit);
    assert_eq!(first.class(), Class::Temporary);
    assert_eq!(refused(Stage::Content, 550, limit), first);
    let unknown = refused(Stage::Recipient, 550, "5.1.1 no such user");
    assert_eq!(unknown.class(), Class::Permanent);
    let doubt = classifier.classify(Fault {
        in_doubt: true,
        ..first.clone()
    });
    assert_eq!(super::of(&doubt).unwrap().id, "in-doubt");
    assert_eq!(refused(Stage::Content, 550, limit), first);
}
