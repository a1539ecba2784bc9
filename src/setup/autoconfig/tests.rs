//! Pages as domains publish them, and as nobody should: what is taken of them.
use crate::language::Language;
use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::*;

fn address() -> Address {
    Address::parse("joe+%EMAILDOMAIN%@x.example").unwrap()
}

fn read_text(page: &str) -> Result<Server, Miss> {
    read(page.as_bytes(), &Who::new(&address()))
}

/// A page around outgoing servers.
fn around(servers: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\"><!-- x --><emailProvider id=\"x\">\
         <domain>x.example</domain><incomingServer type=\"imap\"><hostname>imap.x.example</hostname></incomingServer>\
         {servers}</emailProvider></clientConfig>"
    )
}

/// An outgoing server of a page.
fn outgoing(host: &str, port: &str, socket: &str, user: &str, authentication: &[&str]) -> String {
    let forms: Vec<_> = authentication
        .iter()
        .map(|form| format!("<authentication>{form}</authentication>"))
        .collect();
    let forms = forms.concat();
    format!(
        "<outgoingServer type=\"smtp\"><hostname>{host}</hostname><port>{port}</port><socketType>{socket}</socketType>\
         <username>{user}</username>{forms}</outgoingServer>"
    )
}

const PASSWORD: &[&str] = &["password-cleartext"];

#[test]
fn the_first_server_that_can_be_used_is_taken() {
    let plain = outgoing("a.x.example", "25", "plain", "%EMAILADDRESS%", PASSWORD);
    let kerberos = outgoing(
        "b.x.example",
        "465",
        "SSL",
        "%EMAILADDRESS%",
        &["GSSAPI", "NTLM"],
    );
    let jmap = "<outgoingServer type=\"jmap\"><url>https://x.example</url></outgoingServer>";
    let good = outgoing(
        " Mail.%EMAILDOMAIN%. ",
        " 587 ",
        "STARTTLS",
        "%EMAILADDRESS%",
        PASSWORD,
    );
    let later = outgoing("c.x.example", "465", "SSL", "", PASSWORD);
    let found = read_text(&around(&[&plain, &kerberos, jmap, &good, &later].concat())).unwrap();
    let endpoint = Endpoint {
        port: 587,
        tls: TlsMode::Starttls,
    };
    // A placeholder in the address is none in the page.
    let login = Some(Login::Password(Some(
        "joe+%EMAILDOMAIN%@x.example".to_owned(),
    )));
    assert_eq!(
        found,
        Server {
            host: "mail.x.example".into(),
            endpoint,
            either: false,
            preset: None,
            login
        }
    );
}

#[test]
fn the_login_is_one_that_smail_has() {
    let user = |name: &str| Some(name.to_owned());
    let rows: [(&str, &[&str], Option<Login>); 13] = [
        (
            "%EMAILLOCALPART%",
            PASSWORD,
            Some(Login::Password(user("joe+%EMAILDOMAIN%"))),
        ),
        (
            "x\\%EMAILLOCALPART%",
            &["plain"],
            Some(Login::Password(user("x\\joe+%EMAILDOMAIN%"))),
        ),
        (
            "乔 ",
            &["OAuth2", "password-encrypted"],
            Some(Login::Password(user("乔"))),
        ),
        ("R&amp;D", &["OAuth2"], Some(Login::Token(user("R&D")))),
        ("me", &["none"], Some(Login::None)),
        ("me", &["client-IP-address"], Some(Login::None)),
        ("me", &[], Some(Login::Password(user("me")))),
        ("me", &["TLS-client-cert"], None),
        // Without a name that can be taken the user is asked, with the address as the default.
        ("", PASSWORD, Some(Login::Password(None))),
        ("%REALNAME%", PASSWORD, Some(Login::Password(None))),
        ("100%", PASSWORD, Some(Login::Password(None))),
        ("a\nb", PASSWORD, Some(Login::Password(None))),
        ("a&#x202e;b", PASSWORD, Some(Login::Password(None))),
    ];
    for (name, taken, wanted) in rows {
        let found = read_text(&around(&outgoing(
            "mail.x.example",
            "465",
            "SSL",
            name,
            taken,
        )));
        assert_eq!(
            found.map(|server| server.login.unwrap()),
            wanted.ok_or(Miss::NoServer),
            "{name} {taken:?}"
        );
    }
}

#[test]
fn of_a_provider_in_the_table_the_table_knows_the_login() {
    let server = read_text(&around(&outgoing(
        "smtp.gmail.com",
        "465",
        "SSL",
        "nonsense",
        &["none"],
    )))
    .unwrap();
    assert_eq!(
        (server.login, server.preset.map(|preset| preset.id)),
        (None, Some("gmail"))
    );
}

#[test]
fn what_cannot_be_a_server_is_none() {
    for host in [
        "",
        "mail",
        "localhost",
        "127.0.0.1",
        "::1",
        "-a.x.example",
        "a..x",
        "a b.example",
        "evil\u{7f}.example",
        "ä.example",
    ]
    .into_iter()
    .chain([
        "a.example/x",
        "a.example:25",
        "u@a.example",
        "%EMAILADDRESS%",
        "%X%.example",
        "a\u{85}.example",
    ]) {
        assert_eq!(
            read_text(&around(&outgoing(host, "465", "SSL", "me", PASSWORD))),
            Err(Miss::NoServer),
            "{host}"
        );
    }
    let long = format!("{}.example", "a.".repeat(200));
    assert_eq!(
        read_text(&around(&outgoing(&long, "465", "SSL", "me", PASSWORD))),
        Err(Miss::NoServer)
    );
    for (port, socket) in [
        ("0", "SSL"),
        ("65536", "SSL"),
        ("-1", "SSL"),
        ("", "SSL"),
        ("465", ""),
        ("465", "plain"),
    ] {
        let page = around(&outgoing("mail.x.example", port, socket, "me", PASSWORD));
        assert_eq!(read_text(&page), Err(Miss::NoServer), "{port} {socket}");
    }
    assert_eq!(read_text(&around("")), Err(Miss::NoServer));
    assert_eq!(read_text("<clientConfig/>"), Err(Miss::NoServer));
}

#[test]
fn a_hostile_page_is_unreadable_at_once() {
    let good = outgoing("mail.x.example", "465", "SSL", "me", PASSWORD);
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]>";
    let names = (0..6_000)
        .map(|n| format!(" a{n}=''"))
        .collect::<Vec<_>>()
        .concat();
    let spaces = (0..3_500)
        .map(|n| format!(" xmlns:a{n}='{n}'"))
        .collect::<Vec<_>>()
        .concat();
    let rows = [
        String::new(),
        "<html><body>404</body></html>".to_owned(),
        "\u{feff}<clientConfig>".to_owned(),
        format!(
            "{bomb}{}",
            around(&good).replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "")
        ),
        "<!DOCTYPE clientConfig SYSTEM \"file:///etc/passwd\"><clientConfig>&x;</clientConfig>"
            .to_owned(),
        around(&outgoing("&host;", "465", "SSL", "me", PASSWORD)),
        around(&outgoing("mail.x.example\0", "465", "SSL", "me", PASSWORD)),
        around(&good).replace("</emailProvider>", ""),
        "<a>".repeat(21_000),
        format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000)),
        around(&"<a/>".repeat(MOST_NODES as usize)),
        format!("<x{names}/>"),
        format!("<x{spaces}/>"),
        format!("<x{spaces}>{}</x>", "<a/>".repeat(4_000)),
    ];
    for page in rows {
        let start = Instant::now();
        assert_eq!(read_text(&page), Err(Miss::Unreadable), "{page:.200}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?} {:.200}",
            start.elapsed(),
            page
        );
    }
    assert_eq!(
        read(b"<clientConfig>\xff</clientConfig>", &Who::new(&address())),
        Err(Miss::Unreadable)
    );
}

/// A web that answers from a table, and what it was asked for.
fn asked(
    address: &str,
    pages: &[(&str, u16, Option<&str>, &str)],
) -> (Result<(Proposal, String), NoPage>, Vec<String>) {
    let urls = RefCell::new(Vec::new());
    let web = |host: &str, target: &str| {
        let url = format!("{host}{target}");
        let page = pages.iter().find(|page| page.0 == url).map(|page| Page {
            status: page.1,
            location: page.2.map(str::to_owned),
            body: page.3.as_bytes().to_vec(),
        });
        urls.borrow_mut().push(url);
        page.ok_or_else(|| NoPage::Because("no such host".to_owned()))
    };
    let found = look(
        &Address::parse(address).unwrap(),
        &web,
        Messages(Language::English),
    );
    (found, urls.into_inner())
}

fn because(error: &NoPage) -> String {
    match error {
        NoPage::Because(why) => why.clone(),
        NoPage::Interrupted => "interrupted".to_owned(),
    }
}

#[test]
fn a_signal_ends_the_asking() {
    let asked = RefCell::new(0);
    let web = |_: &str, _: &str| {
        *asked.borrow_mut() += 1;
        Err(NoPage::Interrupted)
    };
    assert_eq!(
        look(&address(), &web, Messages(Language::English)),
        Err(NoPage::Interrupted)
    );
    assert_eq!(asked.into_inner(), 1);
}

const FIRST: &str = "autoconfig.x.example/mail/config-v1.1.xml?emailaddress=me%40x.example";
const SECOND: &str = "x.example/.well-known/autoconfig/mail/config-v1.1.xml";

#[test]
fn only_the_first_host_is_told_the_address() {
    let page = around(&outgoing("mail.x.example", "465", "SSL", "me", PASSWORD));
    let (found, urls) = asked("me@x.example", &[(FIRST, 200, None, &page)]);
    let (proposal, by) = found.unwrap();
    assert_eq!(
        (proposal.server.host.as_str(), proposal.outside, by.as_str()),
        ("mail.x.example", false, "autoconfig.x.example")
    );
    assert_eq!(urls, [FIRST]);
    let (found, urls) = asked("me@x.example", &[(SECOND, 200, None, &page)]);
    assert_eq!(found.unwrap().1, "x.example");
    assert_eq!(urls, [FIRST, SECOND]);
    let odd = asked("\"a b&c#\"@bücher.example", &[]).1;
    assert_eq!(
        odd,
        [
            "autoconfig.xn--bcher-kva.example/mail/config-v1.1.xml?emailaddress=%22a%20b%26c%23%22%40xn--bcher-kva.example",
            "xn--bcher-kva.example/.well-known/autoconfig/mail/config-v1.1.xml",
        ]
    );
}

#[test]
fn what_is_wrong_with_each_host_is_one_line() {
    let pages = [(FIRST, 200, None, "<html/>"), (SECOND, 404, None, "")];
    let why = |pages: &[_]| {
        asked("me@x.example", pages)
            .0
            .map_err(|error| because(&error))
            .unwrap_err()
    };
    assert_eq!(
        why(&pages),
        "autoconfig.x.example: cannot read the page; x.example: the response is 404"
    );
    let plain = around(&outgoing("mail.x.example", "25", "plain", "me", PASSWORD));
    assert_eq!(
        why(&[(SECOND, 200, None, &plain)]),
        "autoconfig.x.example: no such host; x.example: it lists no server with TLS and a login method that smail supports"
    );
}

#[test]
fn a_page_may_be_elsewhere_twice_and_only_by_https() {
    let page = around(&outgoing(
        "mail.hoster.example",
        "465",
        "SSL",
        "me",
        PASSWORD,
    ));
    let moved = [
        (
            FIRST,
            302,
            Some("https://Cfg.Hoster.Example:443/c?a=b#x"),
            "",
        ),
        ("cfg.hoster.example/c?a=b", 301, Some("/d"), ""),
        ("cfg.hoster.example/d", 200, None, page.as_str()),
    ];
    let (found, urls) = asked("me@x.example", &moved);
    let (proposal, by) = found.unwrap();
    assert_eq!(
        (proposal.outside, by.as_str()),
        (true, "autoconfig.x.example → cfg.hoster.example")
    );
    assert_eq!(
        urls,
        [FIRST, "cfg.hoster.example/c?a=b", "cfg.hoster.example/d"]
    );
    let round = [
        (FIRST, 307, Some("/a"), ""),
        ("autoconfig.x.example/a", 308, Some("/a"), ""),
    ];
    let (found, urls) = asked("me@x.example", &round);
    let wanted = "autoconfig.x.example: it redirects to a place that is not queried; x.example: no such \
        host";
    assert_eq!(
        (because(&found.unwrap_err()).as_str(), urls.len()),
        (wanted, 4)
    );
}

#[test]
fn where_a_redirect_leads_is_read_as_it_is_asked() {
    let rows = [
        ("/", Some("h.example /")),
        ("//a.example/x", Some("a.example /x")),
        ("HTTPS://a.example?x", Some("a.example /?x")),
        ("https://a.example", Some("a.example /")),
        ("http://a.example/", None),
        ("x.xml", None),
        ("", None),
        ("https://", None),
        ("https:///x", None),
        ("https://a.example:8443/", None),
        ("https://u:p@a.example/", None),
        (
            "https://a.example\\@b.example/",
            Some("a.example /\\@b.example/"),
        ),
        ("https://127.0.0.1/", None),
        ("https://[::1]/", None),
        ("https://localhost/", None),
        ("https://a.example/ x", None),
        ("https://a.example/\r\nX: y", None),
        ("https://ä.example/", None),
        ("/ä", None),
        ("file:///etc/passwd", None),
    ];
    for (location, wanted) in rows {
        let found =
            redirected("h.example", location).map(|(host, target)| format!("{host} {target}"));
        assert_eq!(found.as_deref(), wanted, "{location}");
    }
    assert_eq!(
        redirected("h.example", &format!("/{}", "x".repeat(4000))),
        None
    );
}

#[test]
fn pages_of_any_markup_take_next_to_no_time() {
    let servers = |piece: &str| around(&format!("<outgoingServer type=\"smtp\">{piece}"));
    let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("attributes", &|n| format!(" a{n}=\"b\"")),
        ("names", &|n| format!(" xmlns:a{n}=\"b\"")),
        ("elements", &|_| "<a>".to_owned()),
        ("hosts", &|_| {
            "<hostname>%EMAILDOMAIN%</hostname>".to_owned()
        }),
        ("placeholders", &|_| "%EMAILADDRESS%".to_owned()),
        ("entities", &|_| "&amp;".to_owned()),
        ("comments", &|_| "<!--".to_owned()),
        ("types", &|_| "<!DOCTYPE a [<!ENTITY b \"c\">]>".to_owned()),
    ];
    for (name, row) in rows {
        // No page is longer.
        crate::pace::assert_short(name, crate::pace::numbered(64 << 10, row), |piece| {
            let _ = read_text(&servers(&piece));
            let _ = read_text(&format!("<clientConfig {piece}/>"));
        });
    }
}
