//! The table: one row is one setting in every source.
//!
//! A row makes the TOML key, the mail.rc names, `-S`, the environment variable (`SMAIL_` and the
//! name in capitals), `--show-settings`, the man page and the example configuration. Adding a
//! setting is adding a row.

use crate::mailrc::mailx_names::WITHOUT_EFFECT;
use crate::oauth::Grant;
use crate::oauth::provider::NAMES as OAUTH2;
use crate::route::mechanism::WORDS as AUTH;
use crate::route::{TlsMode, Verify};

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text on one line.
    Text,
    /// Text that is never printed.
    Secret,
    /// On or off.
    Flag,
    /// Seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
    Time,
    /// Bytes, or a number with `K`, `M` or `G`.
    Size,
    /// A file or directory; `~` is the home directory.
    Path,
    /// A server, a program, a file or a socket: where mail goes.
    Target,
    /// A proxy.
    Proxy,
    /// Addresses: a list in one text, or several.
    Addresses,
    /// Several texts; in one text they are separated by commas (`\,` is a comma).
    List,
    /// A program and its arguments: a list, or one text read as words with quotes, without a shell.
    Program,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in TOML, and with `SMAIL_` in the environment.
    pub name: &'static str,
    /// Its names in mail.rc, which are accepted everywhere.
    pub mailrc: &'static [&'static str],
    /// What its value may be.
    pub kind: Kind,
    /// Heading in the manual.
    pub group: &'static str,
    /// What it does; the first line appears in the example configuration.
    pub doc: &'static str,
    /// A value for the example configuration.
    pub example: &'static str,
    /// The value if nothing is set, in words; empty for none.
    pub default: &'static str,
    /// mail.rc may add `-HOST`, `-USER@HOST` or `-ADDRESS` to the name.
    pub chain: bool,
}

const GRANT: &[&str] = Grant::WORDS;
const TLS: &[&str] = TlsMode::WORDS;
const VERSIONS: &[&str] = &["1.2", "1.3"];
const VERIFY: &[&str] = Verify::WORDS;
const DOUBT: &[&str] = &["resend", "hold"];
const NOTICE: &[&str] = &["mail", "none"];
const RETURN: &[&str] = &["headers", "full"];
const OFFERED: &[&str] = &["auto", "no"];
const LANGUAGE: &[&str] = &["en", "zh"];
const ENCODING: &[&str] = &["auto", "8bit", "quoted-printable", "base64"];

macro_rules! keys {
    ($($group:literal { $($name:literal, $mailrc:expr, $kind:expr, $example:literal, $default:literal, $doc:literal $(, $chain:ident)?;)* })*) => {
        /// Every setting, in the order of the manual.
        pub(crate) const KEYS: &[Key] = &[$($(Key {
            name: $name, mailrc: &$mailrc, kind: $kind, group: $group, doc: $doc, example: $example, default: $default,
            chain: keys!(@chain $($chain)?),
        },)*)*];
    };
    (@chain chain) => { true };
    (@chain) => { false };
}

use Kind::{Addresses, Choice, Flag, List, Path, Program, Proxy, Secret, Size, Target, Text, Time};

keys! {
    "Addresses" {
        "from", [], Addresses, "me@example.org", "auth-user if it is an address, else the user at this host",
            "The author: the From header and the envelope sender. Several addresses need sender.";
        "name", ["realname"], Text, "Nightly backup", "", "The name before the From address, when from has none.";
        "sender", [], Addresses, "team@example.org", "", "The Sender header.";
        "reply-to", ["replyto"], Addresses, "help@example.org", "", "The address for replies.";
        "auto-cc", ["autocc"], Addresses, "archive@example.org", "", "Recipients added to Cc in every message.";
        "auto-bcc", ["autobcc"], Addresses, "archive@example.org", "", "Recipients added to every message, in no header.";
        "qualify-domain", [], Text, "example.org", "", "The domain of names without one, such as root.";
        "aliases-file", [], List, "/etc/aliases, ~/.aliases", "/etc/aliases, unless a local program takes the mail", "Files of aliases(5) for local names such as root, searched in order after the aliases of the settings. The alias default applies to every other name.";
        "hostname", [], Text, "host.example.org", "the name of this host", "The domain of a sender that has no other.";
        "envelope-domain", ["smtp-hostname"], Text, "example.org", "", "The domain of the envelope sender, after the name of auth-user. Empty: hostname.";
        "envelope-from", ["smtp-from"], Addresses, "bounces@example.org", "", "The envelope sender, if it is not the From address.";
        "force-from", [], Flag, "true", "false", "Replaces a From address that is neither from nor auth-user, for servers that would refuse it; the old one moves to Reply-To and X-Original-From.";
        "expand-address", ["expandaddr"], Text, "fail,-all,+addr", "", "Which recipients are allowed, in the syntax of s-nail. Files and pipes never are; failinvaddr sends to the valid ones among invalid ones.";
    }
    "Server" {
        "smtp", [], Target, "smtps://smtp.example.org", "the provider of auth-user, if known",
            "The server: host, host:port, or a URL with smtp://, smtps://, submission://, submissions://, lmtp://, or a socket of this host: unix:PATH, lmtp+unix:PATH. Without port and scheme: the provider's port; else, with a login, 465 with TLS and then 587 with STARTTLS; else 25.";
        "provider", [], Text, "gmail", "from smtp, auth-user or from", "The provider whose server and port to use, by its name in the table.";
        "mta", ["sendmail"], Target, "/usr/sbin/sendmail", "the sendmail program, if no server is set",
            "A program that accepts mail as sendmail does; also file://PATH, an SMTP URL, test (prints the message) and test://PATH (writes it to a file, or into a directory as ID.eml).";
        "mta-arguments", ["sendmail-arguments"], Program, "-odi", "", "Arguments for the program, before the recipients.";
        "mta-argv0", ["sendmail-progname"], Text, "sendmail", "", "The name by which the program is called.";
        "mta-no-default-arguments", ["sendmail-no-default-arguments"], Flag, "true", "false", "Omits -i and -f.";
        "mta-no-recipient-arguments", ["mta-no-receiver-arguments"], Flag, "true", "false", "Omits the recipients; add -t to mta-arguments.";
        "tls", [], Choice(TLS), "starttls", "by scheme, provider and port",
            "When TLS starts: implicit (from the first byte), starttls (required), opportunistic (where offered) or none.";
        "starttls", ["smtp-use-starttls"], Flag, "true", "false", "The form of mail.rc for tls = \"starttls\"; ignored where TLS is implicit.", chain;
        "tls-verify", ["ssl-verify"], Choice(VERIFY), "strict", "strict", "What to do about an untrusted certificate: strict ends the session, warn prints a warning, ignore continues.", chain;
        "tls-ca-file", ["ssl-ca-file"], Path, "/etc/ssl/private-ca.pem", "", "Additional trusted certificates: a PEM file of roots, of intermediates, or of the server's own certificate.", chain;
        "tls-ca-dir", ["ssl-ca-dir"], Path, "/etc/ssl/more", "", "Additional trusted roots: a directory of PEM files.", chain;
        "tls-ca-no-defaults", ["ssl-ca-no-defaults", "ssl-no-default-ca"], Flag, "true", "false", "Trusts only tls-ca-file and tls-ca-dir, not the system's roots.", chain;
        "tls-fingerprint", [], Text, "sha-256 of the certificate in hex", "", "The SHA-256 of the only certificate to trust, instead of every other check.", chain;
        "tls-cert", ["ssl-cert"], Path, "~/.config/smail/client.pem", "", "The client certificate: PEM, or PKCS #12.", chain;
        "tls-key", ["ssl-key"], Path, "~/.config/smail/client.key", "tls-cert", "Its key, PEM (PKCS #8, PKCS #1 or SEC1).", chain;
        "tls-key-password-command", [], Program, "pass show client.p12", "", "A program that prints the passphrase of a PKCS #12 file; without it the file has none.", chain;
        "tls-min-version", [], Choice(VERSIONS), "1.3", "1.2", "The oldest version of TLS to accept.", chain;
        "tls-config-pairs", [], List, "Certificate=client.pem", "", "The list of s-nail: Certificate, PrivateKey and MinProtocol are used.", chain;
        "ssl-protocol", ["ssl-method"], Text, "tls1.2", "", "Old names of TLS versions; anything below TLS 1.2 is raised to it.", chain;
        "hello-name", [], Text, "host.example.org", "the local address in brackets, or hostname with a domain", "The name in EHLO.";
        "connect-to", [], Text, "127.0.0.1:8025", "", "Connects to another address, host or host:port; TLS still checks the original name. For tunnels and tests.";
        "proxy", ["socks-proxy"], Proxy, "socks5://127.0.0.1:1080", "", "A proxy: socks5://[user:password@]host[:port] or the same with http://; it resolves the names. environment: the one that $ALL_PROXY names, except for the hosts of $NO_PROXY. A proxy that fails is an error.", chain;
        "source-address", [], Text, "192.0.2.1", "", "The local address to connect from.";
        "timeout", [], Time, "300", "300", "Seconds one command may take. Connecting may take a tenth of that; the reply to the final dot (RFC 5321 section 4.5.3.2), or a program of mta after the end of the message, twice that. Also how long sendmail -bs waits for a client over a socket.";
        "connect-timeout", ["socket-connect-timeout"], Time, "30", "a tenth of timeout", "Seconds connecting to one address may take.";
        "pipelining", [], Choice(OFFERED), "no", "auto", "Whether to send commands in groups (RFC 2920): auto, if the server offers PIPELINING and did not lose them earlier in this run or in an attempt for the same message; or no.";
        "chunking", [], Choice(OFFERED), "no", "auto", "Whether to send a message of up to 64 KiB together with its envelope (BDAT, RFC 3030), which saves a round trip: auto, if the server offers CHUNKING and PIPELINING and no line of the message could be read as a command; or no.";
        "smtp-config", [], Text, "-starttls", "", "The list of extensions of s-nail: -starttls, -ehlo and the names of mechanisms are used.", chain;
    }
    "Login" {
        "auth", ["smtp-auth"], Choice(AUTH), "auto", "auto", "The mechanism, or none for no login; oauth2 logs in with an access token (see OAuth2). auto takes the strongest that the server offers: SCRAM, then PLAIN, LOGIN and CRAM-MD5 (without TLS: CRAM-MD5 before them); or EXTERNAL, if there is a client certificate and no password. Tokens and anonymous only if named. The -plus forms are bound to the TLS connection.", chain;
        "auth-user", ["smtp-auth-user", "user"], Text, "me@example.org", "the From address, if a password is set", "The user name.", chain;
        "auth-password", ["smtp-auth-password", "password"], Secret, "***", "", "The password or token. Its file must be private. It is sent only to the server and user that this file names.", chain;
        "auth-password-file", ["smtp-auth-password-file"], Path, "~/.config/smail/password", "", "A private file whose first line is the password.", chain;
        "auth-password-command", ["smtp-auth-password-command"], Program, "pass show mail", "", "A program that prints the password; it runs without a shell, for at most 30 s, and once more if the server refuses the password.", chain;
        "auth-in-clear", [], Flag, "true", "false", "Allows a login without TLS at a host other than this one.";
        "auth-keyring", [], Flag, "true", "false", "Looks up the password in the keyring (Secret Service with the attributes host, service = smtp and user; or macOS Keychain). Nobody is asked to unlock it: a message waits until it is. Only in programs built with the feature keyring.", chain;
        "netrc-lookup", [], Flag, "true", "false", "Looks up user and password in ~/.netrc at the login.", chain;
        "netrc", ["NETRC"], Path, "~/.netrc", "~/.netrc", "The netrc file; it must be private.";
        "netrc-command", ["netrc-pipe"], Program, "gpg -dq .netrc.gpg", "", "A program that prints a netrc file. It runs at the login.";
        "account", [], Text, "work", "", "The account to use if no other is chosen.";
    }
    "OAuth2" {
        "oauth2-provider", [], Choice(OAUTH2), "google", "by the mail provider", "The provider of access tokens: it sets the addresses and the scope.";
        "oauth2-grant", [], Choice(GRANT), "device", "code", "How to get tokens: code (smail --login opens a browser), device (sign in with another device), client-credentials (an application of Microsoft 365, no person) or service-account (Google Workspace, no person).";
        "oauth2-client-id", [], Text, "0123-abcd.apps.example.com", "", "The client that you registered at the provider. Tokens are sent only to the server and user that its file names, as with auth-password.";
        "oauth2-client-secret", [], Secret, "***", "", "The secret of the client, if it has one.";
        "oauth2-client-secret-file", [], Path, "~/.config/smail/client-secret", "", "A private file whose first line is the secret of the client.";
        "oauth2-client-secret-command", [], Program, "pass show oauth2", "", "A program that prints the secret of the client.";
        "oauth2-client-key", [], Path, "~/.config/smail/app.key", "", "The RSA key (PEM) of the client, for client-credentials without a secret.";
        "oauth2-client-cert", [], Path, "~/.config/smail/app.pem", "oauth2-client-key", "The certificate of that key (PEM).";
        "oauth2-service-account", [], Path, "~/.config/smail/robot.json", "", "The JSON file of a service account of Google.";
        "oauth2-tenant", [], Text, "example.onmicrosoft.com", "common; consumers for Outlook.com", "The tenant of Microsoft 365: a domain or an id.";
        "oauth2-scope", [], Text, "https://mail.example.com/smtp", "by oauth2-provider", "What the token is for.";
        "oauth2-authorize-url", [], Text, "https://login.example.com/authorize", "by oauth2-provider", "Where you sign in.";
        "oauth2-token-url", [], Text, "https://login.example.com/token", "by oauth2-provider", "Where tokens are given out.";
        "oauth2-device-url", [], Text, "https://login.example.com/device", "by oauth2-provider", "Where device codes are given out.";
        "oauth2-token-file", [], Path, "~/.local/state/smail/oauth2/work.json", "oauth2/ACCOUNT.json in the state directory", "The private file that keeps the tokens.";
        "oauth2-token-command", [], Program, "pizauth show work", "", "A program that prints an access token, in place of all of the above. It runs once more, with SMAIL_TOKEN_REJECTED=1, if the server refuses the token.";
    }
    "Message" {
        "signature", [], Path, "~/.signature", "", "A file to append to every text.";
        "text-head", ["message-inject-head"], Text, "Hello,\\n", "", "Text before every body; \\n is a line end.";
        "text-tail", ["message-inject-tail"], Text, "-- \\nthe build", "", "Text after every body; \\n is a line end.";
        "headers", ["customhdr"], List, "X-Origin: backup", "", "Additional headers for every message.";
        "organization", ["ORGANIZATION"], Text, "Example Ltd", "", "The Organization header.";
        "user-agent", [], Flag, "true", "false", "Adds a User-Agent header.";
        "receipt-to", ["disposition-notification-send"], Text, "me@example.org", "", "Asks for a read receipt to this address (Disposition-Notification-To); on: to the From address.";
        "subject-first", ["bsdcompat", "bsdorder"], Flag, "true", "false", "Puts Subject before Cc.";
        "skip-empty", ["skipemptybody"], Flag, "true", "false", "Sends nothing if the body is empty.";
        "encoding", ["mime-encoding"], Choice(ENCODING), "auto", "auto", "How to encode text beyond ASCII; 8bit needs a server with 8BITMIME.";
        "charset", ["ttycharset"], Text, "utf-8", "detected", "The charset of the input. Text is always sent as UTF-8.";
        "fallback-charsets", ["sendcharsets", "charset-8bit"], List, "gb18030,windows-1252", "gb18030,windows-1252", "Charsets to try for input that is not UTF-8; without this setting the charset is detected.";
        "dsn-notify", [], List, "failure,delay", "failure, as servers do by themselves", "When servers notify the sender about delivery (RFC 3461): never, or any of success, failure and delay. A server without DSN is not asked.";
        "dsn-return", [], Choice(RETURN), "headers", "the server's choice", "How much of the message a failure notice includes.";
        "max-size", [], Size, "64M", "64M", "The largest text or message read from standard input, and the largest body file; also for sendmail, -bs and -a -. smail does not limit attached files.";
    }
    "Copies" {
        "record", [], Path, "~/sent.mbox", "", "An mbox file to which each sent message is added: a regular file without further hard links; in a directory that others can write to, you or root must own it. /dev/null for none.";
        "folder", [], Path, "~/mail", "", "The directory that a leading + in record stands for.";
        "record-in-folder", ["outfolder"], Flag, "true", "false", "Treats a relative record as a file in folder.";
        "save", [], Flag, "true", "false", "Saves a message that could not be sent to dead-letter.";
        "dead-letter", ["DEAD"], Path, "~/dead.letter", "~/dead.letter", "The file for save.";
    }
    "Queue" {
        "queue", [], Flag, "false", "true; false if CI is set or nothing can be written", "Stores every message before it is sent, and keeps it until it is accepted.";
        "queue-dir", [], Path, "~/.local/state/smail", "smail in the state directory", "The directory of the queue. It must be yours and closed to others.";
        "queue-schedule", [], List, "1m, 2m, 5m, 10m, 20m, 40m, 1h, 2h, 4h", "1m, 2m, 5m, 10m, 20m, 40m, 1h, 2h, 4h", "The pauses between attempts; the last one repeats.";
        "queue-lifetime", [], Time, "5d", "5d", "How long to try a message before giving up; time without attempts does not count.";
        "queue-drain", [], Size, "20", "20", "How many due messages to send along after a message that was accepted; 0 for none.";
        "on-doubt", [], Choice(DOUBT), "hold", "resend", "What to do with a message whose last reply was lost: resend after ten minutes with the same Message-ID, or hold.";
        "on-failure", [], Program, "notify-send 'mail failed'", "", "A program to run when smail gives up a message: without a shell, for at most a minute. $SMAIL_QUEUE_ID, _FILE, _REASON, _FROM, _TO and _COUNT describe the message; standard input has every recipient on a line of its own.";
        "failure-notice", [], Choice(NOTICE), "mail", "mail if the system's files set queue-dir, else none", "Whether the sender gets a notice by mail when smail gives up a message later.";
    }
    "This program" {
        "extra-rc", ["mailx-extra-rc", "NAIL_EXTRA_RC"], Path, "~/.mailrc.local", "", "An additional mail.rc, read after the others.";
        "log", [], List, "~/.local/state/smail.log,syslog", "syslog for mail accepted as sendmail, else nothing", "Where to log each attempt to send: a file, syslog, journal, or none. A log that cannot be written does not stop mail.";
        "language", [], Choice(LANGUAGE), "zh", "from LC_ALL, LC_MESSAGES or LANG, else en", "The language of explanations: English or Simplified Chinese.";
        "verbose", [], Flag, "true", "false", "Shows the session with the server, as -v does.";
        "debug", [], Flag, "true", "false", "Sends nothing, as -d does.";
    }
}

/// Finds a setting by one of its names; `Some(suffix)` when mail.rc's chain form was used
/// (`smtp-auth-user-HOST`).
pub(crate) fn find(name: &str) -> Option<(&'static Key, Option<&str>)> {
    if let Some(key) = KEYS
        .iter()
        .find(|k| k.name == name || k.mailrc.contains(&name))
    {
        return Some((key, None));
    }
    let suffix = |key: &Key| {
        key.mailrc
            .iter()
            .chain([&key.name])
            .filter_map(|n| name.strip_prefix(n)?.strip_prefix('-'))
            .min_by_key(|s| s.len())
    };
    // `auth-password:x` is a mistake, and not `auth` for a host called `password:x`.
    let names = || {
        KEYS.iter()
            .flat_map(|key| key.mailrc.iter().chain([&key.name]))
    };
    let torn = |rest: &str| rest.starts_with(['.', ':', '@']);
    if names().any(|known| name.strip_prefix(known).is_some_and(torn)) {
        return None;
    }
    KEYS.iter()
        .filter(|k| k.chain)
        .filter_map(|k| Some((k, suffix(k)?)))
        .filter(|(_, s)| s.contains(['@', '.', ':']) || *s == "localhost")
        .min_by_key(|(_, s)| s.len())
        .map(|(k, s)| (k, Some(s)))
}

/// Returns whether a mailx program knows the name, with or without an effect here.
pub(crate) fn is_known(name: &str) -> bool {
    find(name).is_some()
        || WITHOUT_EFFECT.contains(&name)
        || ["smime-", "pop3-", "imap-", "build-", "colour-"]
            .iter()
            .any(|p| name.starts_with(p))
}

/// The known name nearest to a mistyped one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    /// A name that is much longer than all of them is near none, and comparing takes time.
    const LONGEST: usize = 60;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.replace('_', "-");
    KEYS.iter()
        .flat_map(|k| k.mailrc.iter().chain([&k.name]))
        .map(|known| (strsim::damerau_levenshtein(&name, known), *known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 5)
        .min_by_key(|(distance, known)| (*distance, known.len()))
        .map(|(_, known)| known)
}

/// The environment variable of a setting: `auth-user` is `SMAIL_AUTH_USER`.
pub(crate) fn environment(name: &str) -> String {
    format!("SMAIL_{}", name.replace('-', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_name_means_two_settings() {
        let mut seen = HashSet::new();
        for name in KEYS
            .iter()
            .flat_map(|k| k.mailrc.iter().chain([&k.name]))
            .chain(WITHOUT_EFFECT)
        {
            assert!(seen.insert(name), "{name}");
        }
    }

    #[test]
    fn a_chain_names_its_setting_and_its_suffix() {
        let found = |name| find(name).map(|(k, s)| (k.name, s));
        assert_eq!(
            found("smtp-auth-user-a@b.example"),
            Some(("auth-user", Some("a@b.example")))
        );
        assert_eq!(
            found("smtp-auth-password-a@b.example"),
            Some(("auth-password", Some("a@b.example")))
        );
        assert_eq!(
            found("password-u@h:25"),
            Some(("auth-password", Some("u@h:25")))
        );
        assert_eq!(
            found("smtp-auth-h.example"),
            Some(("auth", Some("h.example")))
        );
        assert_eq!(found("smtp-auth-nonsense"), None);
        assert_eq!(found("smtp-auth-password:x"), None);
        assert_eq!(found("user@x"), None);
        assert_eq!(
            found("user-localhost"),
            Some(("auth-user", Some("localhost")))
        );
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        assert_eq!(nearest("smtp_use_starttls"), Some("smtp-use-starttls"));
        assert_eq!(nearest("smtp-user-starttls"), Some("smtp-use-starttls"));
        assert_eq!(nearest("mta-auth"), Some("smtp-auth"));
        assert_eq!(nearest("form"), Some("from"));
        assert_eq!(nearest("entirely-different"), None);
    }
}
