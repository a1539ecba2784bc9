//! One session of a [`super::sink::Sink`]: SMTP or LMTP as a well-behaved server speaks it (RFC
//! 5321, RFC 2033).
//!
//! Promise: a command out of order, a parameter that was not offered, and a message with bare line
//! ends are refused.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use openssl::hash::MessageDigest;

use super::certs::certs;
use super::scram::{First, Lie};
use super::script::cram_md5;
use super::sink::{Mail, Shared};
use super::wire::{Wire, show};

/// The challenge of CRAM-MD5; fixed, so that transcripts compare.
const CHALLENGE: &str = "<1896.697170952@mx.test>";

/// One session.
pub(super) struct Session<'s> {
    wire: Wire,
    shared: &'s Shared,
    hello: bool,
    user: Option<String>,
    from: Option<(String, String)>,
    to: Vec<String>,
}

impl<'s> Session<'s> {
    /// Takes a connection.
    pub(super) fn new(wire: Wire, shared: &'s Shared) -> Self {
        shared.kept.lock().unwrap().sessions += 1;
        Session {
            wire,
            shared,
            hello: false,
            user: None,
            from: None,
            to: Vec::new(),
        }
    }

    /// Speaks until the client ends it.
    pub(super) fn serve(mut self) {
        // The client's end, in whatever way, is the end of the session and nothing else.
        if let Err(error) = self.converse() {
            self.note(format!("-- the session ended: {error}"));
        }
        self.wire.close_notify();
        let mut kept = self.shared.kept.lock().unwrap();
        kept.round_trips += self.wire.round_trips();
        kept.ended += 1;
        drop(kept);
        self.shared.came.notify_all();
    }

    fn converse(&mut self) -> std::io::Result<()> {
        let options = &self.shared.options;
        if options.implicit {
            self.start_tls()?;
        }
        self.say("220 mx.test ready")?;
        while let Some(line) = self.hear()? {
            let upper = line.to_ascii_uppercase();
            let verb = upper.split([' ', ':']).next().unwrap_or("");
            match verb {
                "EHLO" | "LHLO" | "HELO" => self.hello(verb)?,
                "STARTTLS" if options.starttls && !self.wire.is_tls() => {
                    self.say("220 2.0.0 go ahead")?;
                    self.start_tls()?;
                    (self.hello, self.user, self.from) = (false, None, None);
                }
                "AUTH" => self.auth(&line)?,
                "MAIL" => self.mail(&line)?,
                "RCPT" => self.rcpt(&line)?,
                "DATA" => self.data()?,
                "BDAT" if options.extensions.iter().any(|known| known == "CHUNKING") => {
                    self.bdat(&line)?;
                }
                "RSET" => {
                    self.reset();
                    self.say("250 2.0.0 ok")?;
                }
                "NOOP" => self.say("250 2.0.0 ok")?,
                "QUIT" => return self.say("221 2.0.0 bye"),
                _ => self.say("502 5.5.2 no such command")?,
            }
        }
        Ok(())
    }

    fn start_tls(&mut self) -> std::io::Result<()> {
        let acceptor = certs().acceptor(&self.shared.options.cert, false);
        let result = self.wire.start_tls(&acceptor);
        self.note(match &result {
            Ok(()) => "-- TLS is up".into(),
            Err(why) => format!("-- {why}"),
        });
        result.map_err(std::io::Error::other)
    }

    fn hello(&mut self, verb: &str) -> std::io::Result<()> {
        let options = &self.shared.options;
        if options.lmtp != (verb == "LHLO") {
            return self.say("500 5.5.1 wrong hello");
        }
        self.hello = true;
        self.reset();
        if verb == "HELO" {
            return self.say("250 mx.test");
        }
        let mut lines = vec!["mx.test hello".to_owned()];
        lines.extend(options.extensions.iter().cloned());
        lines.extend(options.size.map(|limit| format!("SIZE {limit}")));
        if options.starttls && !self.wire.is_tls() {
            lines.push("STARTTLS".into());
        } else if options.login.is_some() {
            lines.push(format!("AUTH {}", options.mechanisms.join(" ")));
        }
        let last = lines.len() - 1;
        let text: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at < last { '-' } else { ' ' }))
            .collect();
        self.say(&text.join("\r\n"))
    }

    fn auth(&mut self, line: &str) -> std::io::Result<()> {
        let Some((user, password)) = self.shared.options.login.clone() else {
            return self.say("503 5.5.1 no login here");
        };
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap_or("").to_ascii_uppercase();
        if !self.shared.options.mechanisms.contains(&mechanism) {
            return self.say("504 5.5.4 no such mechanism");
        }
        let first = words.next().map(str::to_owned);
        if mechanism.starts_with("SCRAM-") {
            return self.scram(&mechanism, first, &user, &password);
        }
        if let Some(token) = self.shared.options.token.clone() {
            let token = token.lock().unwrap().clone();
            return self.bearer(&mechanism, first, &user, &token);
        }
        let good = match mechanism.as_str() {
            "PLAIN" => {
                let got = self.response(first, "")?;
                got == format!("\0{user}\0{password}")
                    || got == format!("{user}\0{user}\0{password}")
            }
            "LOGIN" => {
                let name = self.response(first, "Username:")?;
                name == user && self.response(None, "Password:")? == password
            }
            "CRAM-MD5" => {
                let got = self.response(None, CHALLENGE)?;
                BASE64.encode(got) == cram_md5(&user, &password, CHALLENGE)
            }
            _ => {
                self.response(first, "")?
                    == format!("user={user}\x01auth=Bearer {password}\x01\x01")
            }
        };
        if good {
            self.user = Some(user);
            self.say("235 2.7.0 welcome")
        } else {
            self.say("535 5.7.8 authentication failed")
        }
    }

    /// A login by token; the reason for a refusal comes as a challenge, as at Google.
    fn bearer(
        &mut self,
        mechanism: &str,
        first: Option<String>,
        user: &str,
        token: &str,
    ) -> std::io::Result<()> {
        let got = self.response(first, "")?;
        let wanted = match mechanism {
            "OAUTHBEARER" => got.starts_with(&format!("n,a={user},\x01host=")),
            _ => got.starts_with(&format!("user={user}\x01")),
        };
        if wanted && !token.is_empty() && got.ends_with(&format!("\x01auth=Bearer {token}\x01\x01"))
        {
            self.user = Some(user.to_owned());
            return self.say("235 2.7.0 welcome");
        }
        self.response(
            None,
            "{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail/\"}",
        )?;
        self.say("535 5.7.8 authentication failed")
    }

    fn scram(
        &mut self,
        mechanism: &str,
        first: Option<String>,
        user: &str,
        password: &str,
    ) -> std::io::Result<()> {
        const REFUSED: &str = "535 5.7.8 authentication failed";
        let options = &self.shared.options;
        let lie = options.lie;
        let is_bound = mechanism.ends_with("-PLUS");
        let first = First::read(&self.response(first, "")?);
        let Some(first) = first.filter(|first| first.is_of(user)) else {
            return self.say(REFUSED);
        };
        // A client must not say that nothing bound is offered where it is (RFC 5802 section 6).
        let any_bound = options
            .mechanisms
            .iter()
            .any(|name| name.ends_with("-PLUS"));
        let flags: &[&str] = match (is_bound, any_bound, self.wire.is_tls()) {
            (true, _, _) => &["p=tls-server-end-point"],
            (false, false, true) => &["y"],
            (false, ..) => &["n"],
        };
        match lie {
            Lie::NoVerifier => return self.say(REFUSED),
            Lie::OtherBinding if is_bound => {
                self.response(None, "e=unsupported-channel-binding-type")?;
                return self.say(REFUSED);
            }
            Lie::AtOnce => return self.say("235 2.7.0 welcome"),
            Lie::Close => return Err(std::io::Error::other("closed by the server")),
            _ if !flags.contains(&&*first.flag) => return self.say(REFUSED),
            _ => {}
        }
        let answer = self.response(None, &first.challenge(lie))?;
        let certificate = &certs().pair(&options.cert).cert;
        let binding = certificate.digest(MessageDigest::sha256()).unwrap();
        let binding = if is_bound { &*binding } else { &[] };
        let is_sha1 = mechanism.starts_with("SCRAM-SHA-1");
        let Some(signature) = first.verify(is_sha1, password, binding, &answer) else {
            self.response(None, "e=invalid-proof")?;
            return self.say(REFUSED);
        };
        let signature = match lie {
            Lie::OtherSignature => BASE64.encode(vec![0; signature.len()]),
            _ => BASE64.encode(signature),
        };
        match lie {
            Lie::NoSignature => {}
            Lie::SignatureInReply => {
                self.user = Some(user.to_owned());
                return self.say(&format!(
                    "235 2.7.0 {}",
                    BASE64.encode(format!("v={signature}"))
                ));
            }
            _ => drop(self.response(None, &format!("v={signature}"))?),
        }
        self.user = Some(user.to_owned());
        self.say("235 2.7.0 welcome")
    }

    /// A response of the client: the initial one, or asked for with a challenge.
    fn response(&mut self, initial: Option<String>, challenge: &str) -> std::io::Result<String> {
        let encoded = if let Some(encoded) = initial {
            encoded
        } else {
            self.say(&format!("334 {}", BASE64.encode(challenge)))?;
            self.hear()?.unwrap_or_default()
        };
        let decoded = BASE64
            .decode(if encoded == "=" { "" } else { &encoded })
            .unwrap_or_default();
        Ok(String::from_utf8_lossy(&decoded).into_owned())
    }

    fn mail(&mut self, line: &str) -> std::io::Result<()> {
        let options = &self.shared.options;
        if !self.hello {
            return self.say("503 5.5.1 hello first");
        }
        if options.login.is_some() && self.user.is_none() {
            return self.say("530 5.7.0 authentication required");
        }
        if self.from.is_some() {
            return self.say("503 5.5.1 one sender at a time");
        }
        let Some((address, parameters)) = path(line, "MAIL FROM:") else {
            return self.say("501 5.5.4 syntax: MAIL FROM:<address>");
        };
        let declared = parameters
            .split(' ')
            .find_map(|word| word.strip_prefix("SIZE=")?.parse::<u64>().ok());
        if declared > options.size.filter(|&limit| limit > 0).or(Some(u64::MAX)) {
            return self.say("552 5.3.4 message too big");
        }
        let known = |name: &str| {
            options
                .extensions
                .iter()
                .any(|extension| extension.eq_ignore_ascii_case(name))
        };
        for word in parameters.split(' ').filter(|word| !word.is_empty()) {
            let allowed = match word.split('=').next().unwrap_or("") {
                "SIZE" => options.size.is_some(),
                "BODY" => known("8BITMIME"),
                "SMTPUTF8" => known("SMTPUTF8"),
                "AUTH" => self.user.is_some(),
                "RET" | "ENVID" => known("DSN"),
                _ => false,
            };
            if !allowed {
                return self.say(&format!("555 5.5.4 parameter {word} was not offered"));
            }
        }
        self.from = Some((address, parameters));
        self.say("250 2.1.0 ok")
    }

    fn rcpt(&mut self, line: &str) -> std::io::Result<()> {
        if self.from.is_none() {
            return self.say("503 5.5.1 sender first");
        }
        let Some((address, _)) = path(line, "RCPT TO:") else {
            return self.say("501 5.5.4 syntax: RCPT TO:<address>");
        };
        if let Some((_, reply)) = self
            .shared
            .options
            .most
            .as_ref()
            .filter(|(most, _)| self.to.len() >= *most)
        {
            let closes = reply
                .starts_with("421")
                .then(|| std::io::Error::other("it was one too many"));
            return self.say(reply).and(closes.map_or(Ok(()), Err));
        }
        let changed = self
            .shared
            .kept
            .lock()
            .unwrap()
            .answers
            .get(&address)
            .cloned();
        let first = || {
            find(&self.shared.options.recipients, &address)
                .unwrap_or("250 2.1.5 ok")
                .to_owned()
        };
        let reply = changed.unwrap_or_else(first);
        if reply.starts_with('2') {
            self.to.push(address);
        }
        self.say(&reply)
    }

    fn data(&mut self) -> std::io::Result<()> {
        if self.to.is_empty() {
            return self.say("554 5.5.1 no valid recipients");
        }
        self.say("354 end with a lone dot")?;
        let data = match self.wire.message() {
            Ok(Some(data)) => data,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.say(&format!("550 5.6.11 {error}"))?;
                return Err(error);
            }
        };
        self.take(data)
    }

    /// A whole message behind its size (RFC 3030); it is taken off the wire whatever becomes of it.
    fn bdat(&mut self, line: &str) -> std::io::Result<()> {
        let bytes = line
            .strip_prefix("BDAT ")
            .and_then(|rest| rest.strip_suffix(" LAST")?.parse().ok());
        let Some(bytes) = bytes else {
            return self.say("501 5.5.4 syntax: BDAT size LAST");
        };
        let Some(data) = self.wire.exactly(bytes)? else {
            return Ok(());
        };
        if self.shared.options.no_bdat {
            return self.say("502 5.5.1 no BDAT");
        }
        if self.to.is_empty() {
            return self.say("503 5.5.1 no valid recipients");
        }
        self.take(data)
    }

    fn take(&mut self, data: Vec<u8>) -> std::io::Result<()> {
        self.note(format!("-- message of {} bytes", data.len()));
        let options = &self.shared.options;
        let (from, parameters) = self.from.take().unwrap_or_default();
        let to = std::mem::take(&mut self.to);
        let replies: Vec<_> = if options.lmtp {
            to.iter()
                .map(|address| {
                    find(&options.deliveries, address)
                        .unwrap_or(&options.dot)
                        .to_owned()
                })
                .collect()
        } else {
            vec![options.dot.clone()]
        };
        let taken: Vec<_> = if options.lmtp {
            to.iter()
                .zip(&replies)
                .filter(|(_, reply)| reply.starts_with('2'))
                .map(|(a, _)| a.clone())
                .collect()
        } else {
            to.into_iter()
                .filter(|_| replies[0].starts_with('2'))
                .collect()
        };
        if !taken.is_empty() {
            let mail = Mail {
                from,
                parameters,
                to: taken,
                data,
                user: self.user.clone(),
                tls: self.wire.is_tls(),
            };
            self.shared.kept.lock().unwrap().mails.push(mail);
            self.shared.came.notify_all();
        }
        for reply in replies {
            self.say(&reply)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        for line in text.split("\r\n") {
            self.note(format!("S: {line}"));
        }
        self.wire.send(format!("{text}\r\n").as_bytes())
    }

    fn hear(&mut self) -> std::io::Result<Option<String>> {
        let line = self
            .wire
            .line()?
            .map(|line| String::from_utf8_lossy(&line).into_owned());
        if let Some(line) = &line {
            self.note(format!("C: {}", show(line.as_bytes())));
        }
        Ok(line)
    }

    fn note(&self, line: String) {
        self.shared.kept.lock().unwrap().dialogue.push(line);
    }
}

/// The address and the parameters of a MAIL or RCPT line.
fn path(line: &str, verb: &str) -> Option<(String, String)> {
    let (head, rest) = line.split_at_checked(verb.len())?;
    let rest = rest
        .strip_prefix('<')
        .filter(|_| head.eq_ignore_ascii_case(verb))?;
    let (address, parameters) = rest.split_once('>')?;
    Some((address.to_owned(), parameters.trim_start().to_owned()))
}

fn find<'r>(rows: &'r [(String, String)], address: &str) -> Option<&'r str> {
    rows.iter()
        .find(|(wanted, _)| wanted == address)
        .map(|(_, reply)| reply.as_str())
}
