//! Dialogues in which the table does not know the server: the DNS is asked, and the web only where
//! it may be.
use super::*;
use crate::language::Language;

const QUESTION: &str = "Ask https://autoconfig.x.example and https://x.example, or where they redirect to, for settings? The first will see me@x.example. (y/n) [n]: ";

/// A page with one outgoing server.
fn page(host: &str, login: &str) -> Page {
    let body = format!(
        "<clientConfig><emailProvider><outgoingServer type='smtp'><hostname>{host}</hostname><port>465</port>\
         <socketType>SSL</socketType>{login}</outgoingServer></emailProvider></clientConfig>"
    );
    Page {
        status: 200,
        location: None,
        body: body.into_bytes(),
    }
}

fn play_web(answers: &[&'static str], page: &Page) -> Played {
    let web = |_: &str, _: &str| Ok(page.clone());
    play_on(
        &web,
        tempfile::tempdir().unwrap(),
        answers,
        &addressed("me@x.example"),
        &known(),
    )
}

#[test]
fn the_dns_proposes_and_the_user_decides() {
    let table = Known {
        mx: &["x.mail.protection.outlook.com"],
        ..known()
    };
    let played = play(&["", "right", "", "n"], &addressed("me@x.example"), &table);
    let said = "The mail of x.example is hosted by Microsoft 365 / Exchange Online.\n\
        Send through its server smtp.office365.com:587 (STARTTLS)? (y/n) [y]: \n";
    assert!(played.transcript.contains(said), "{}", played.transcript);
    assert!(
        played
            .file(".config/smail/config.toml")
            .contains("smtp = \"smtp://smtp.office365.com:587\"\n")
    );

    let within = Known {
        srv: &[("_submissions._tcp.x.example", "mail.x.example", 465)],
        ..known()
    };
    let played = play(
        &["", "", "right", "", "n"],
        &addressed("me@x.example"),
        &within,
    );
    assert!(
        played
            .transcript
            .contains("Send through mail.x.example:465 (TLS)? (y/n) [y]: \n"),
        "{}",
        played.transcript
    );

    let forged = Known {
        srv: &[("_submission._tcp.x.example", "evil-x.example", 587)],
        ..known()
    };
    let played = play(
        &["", "smtp.x.example", "", "right", "", "n"],
        &addressed("me@x.example"),
        &forged,
    );
    assert!(
        played
            .transcript
            .contains("That server is not in the domain x.example."),
        "{}",
        played.transcript
    );
    assert!(
        played
            .transcript
            .contains("Send through evil-x.example:587 (STARTTLS)? (y/n) [n]: \n"),
        "{}",
        played.transcript
    );
    assert!(
        played
            .file(".config/smail/config.toml")
            .contains("smtp = \"smtp.x.example\"\n")
    );
}

#[test]
fn the_web_is_asked_after_a_yes_and_the_user_decides() {
    let login =
        "<username>%EMAILLOCALPART%</username><authentication>password-cleartext</authentication>";
    let played = play_web(
        &["y", "", "", "right", "", "n"],
        &page("mail.x.example", login),
    );
    let said = format!(
        "Looking up the mail servers of x.example …\n{QUESTION}y\n\
         autoconfig.x.example lists mail.x.example:465 (TLS) for sending.\n\
         Send through mail.x.example:465 (TLS)? (y/n) [y]: \nUser name [me]: \nPassword (not shown): (unseen)\n"
    );
    assert!(played.transcript.contains(&said), "{}", played.transcript);
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.contains("smtp = \"smtps://mail.x.example:465\"\nauth-user = \"me\"\n"),
        "{text}"
    );
}

#[test]
fn without_a_yes_nothing_is_fetched() {
    for answer in ["", "n"] {
        let played = play(
            &[answer, "mail.x.example", "", "right", "", "n"],
            &addressed("me@x.example"),
            &known(),
        );
        let said = format!("{QUESTION}{answer}\nThe server of x.example is not known;");
        assert!(played.transcript.contains(&said), "{}", played.transcript);
    }
    for end in ["^C", "^D"] {
        assert!(play(&[end], &addressed("me@x.example"), &known()).is_empty());
    }
    // Where there is no name, there is no question.
    for address in ["me@[127.0.0.1]", "me@intranet"] {
        let played = play(
            &["mail.x.example", "", "right", "", "n"],
            &addressed(address),
            &known(),
        );
        assert!(
            !played.transcript.contains("https://"),
            "{}",
            played.transcript
        );
    }
}

#[test]
fn nobody_said_yes_where_nobody_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let options = SetupOptions {
        secret: Some(Secret::new("right")),
        yes: true,
        ..addressed("me@x.example")
    };
    let mut shown = String::new();
    let mut hear = |text: &str| shown.push_str(text);
    let mut assume_yes = AssumeYes { hear: &mut hear };
    let services = Services {
        directory: &known(),
        web: &unasked,
        try_it: &|_| Ok(()),
        sign_in: &|_, _| Ok("tokens.json".to_owned()),
        doubt: &|_, _, _| None,
    };
    let result = run(
        &mut assume_yes,
        Messages(Language::English),
        &options,
        &place(home.path()),
        services,
    );
    assert!(
        matches!(result, Err(SetupError::Aborted(Aborted::Nobody, question)) if question.starts_with("Server"))
    );
    assert!(!shown.contains("https://"), "{shown}");
    // And not by somebody who says yes to everything.
    let played = play(&["mail.x.example", "", ""], &options, &known());
    assert!(
        played.result.is_ok() && !played.transcript.contains("https://"),
        "{}",
        played.transcript
    );
}

#[test]
fn a_host_outside_the_domain_is_told_to_be_one() {
    let played = play_web(
        &["y", "", "smtp.x.example", "", "right", "", "n"],
        &page("smtp.hoster.example", ""),
    );
    let said = "That server is not in the domain x.example: use it only if you recognize the name.\n\
                Send through smtp.hoster.example:465 (TLS)? (y/n) [n]: \nThe server of x.example is not known;";
    assert!(played.transcript.contains(said), "{}", played.transcript);
}

#[test]
fn what_is_not_there_is_one_line_before_the_next_question() {
    let gone = Page {
        status: 404,
        location: None,
        body: Vec::new(),
    };
    let played = play_web(&["y", "mail.x.example", "", "right", "", "n"], &gone);
    let said = "No settings found: autoconfig.x.example: the response is 404; x.example: the response is 404.\n\
                The server of x.example is not known;";
    assert!(played.transcript.contains(said), "{}", played.transcript);
}

#[test]
fn a_server_that_takes_tokens_or_no_login_is_taken_at_its_word() {
    let token = "<authentication>OAuth2</authentication>";
    let played = play_web(
        &["y", "", "", "get-token me", "n"],
        &page("mail.x.example", token),
    );
    assert!(
        played
            .transcript
            .contains("This provider does not accept passwords, only access tokens"),
        "{}",
        played.transcript
    );
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.contains("auth = \"xoauth2\"\nauth-password-command = \"get-token me\"\n"),
        "{text}"
    );
    let none = "<username>me</username><authentication>none</authentication>";
    let played = play_web(&["y", "", "n"], &page("mail.x.example", none));
    let text = played.file(".config/smail/config.toml");
    assert!(
        text.ends_with("smtp = \"smtps://mail.x.example:465\"\n"),
        "{text}"
    );
}
