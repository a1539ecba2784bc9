//! Brings flags, template and settings together in a draft.
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::dsn::{self, Dsn, Notify, Ret};
use super::{Draft, DraftError, Encoding, Input, encoded_word, template};
use crate::address::{Address, AddressError, Mailbox, parse_authors, parse_word};
use crate::cli::Args;
use crate::settings::{Local, MAX_SIZE, Settings, SettingsError, author, is_program};

/// Makes the draft.
///
/// # Errors
/// [`DraftError`].
pub fn compose(args: &Args, settings: &Settings, mut input: Input, user: &str) -> Result<Draft, DraftError> {
    let mut draft = Draft { warnings: std::mem::take(&mut input.warnings), ..Draft::default() };
    recipients_of_flags(args, &mut draft)?;
    draft.subject = subject(args, &input, &mut draft.warnings);
    for text in &settings.list("headers") {
        header_line(&mut draft, text)?;
    }
    if let Some(organization) = settings.filled("organization") {
        draft.headers.push(("Organization".to_owned(), organization));
    }
    for text in args.header.iter().chain(&input.headers) {
        header_line(&mut draft, text)?;
    }
    if let Some(template) = input.template.take() {
        apply_template(&mut draft, template)?;
    }
    keep_last(&mut draft.headers, "organization");
    draft.bcc.append(&mut input.recipients);
    authors(args, &mut draft, settings, user)?;
    fill_recipients(&mut draft, settings).map_err(|error| match error {
        DraftError::NoRecipient => nobody(args),
        other => other,
    })?;
    receipt(&mut draft, settings);
    body(args, &mut draft, settings, input)?;
    draft.dsn = notices(args, settings)?;
    draft.user_agent = settings.flag("user-agent");
    draft.subject_first = settings.flag("subject-first");
    draft.encoding = match settings.filled("encoding").as_deref() {
        Some("8bit") => Encoding::EightBit,
        Some("quoted-printable") => Encoding::QuotedPrintable,
        Some("base64") => Encoding::Base64,
        _ => Encoding::Auto,
    };
    Ok(draft)
}

/// Checks what can be checked before anything is read: a mistake in the command line must not cost the input.
///
/// # Errors
/// [`DraftError`].
pub fn check(args: &Args) -> Result<(), DraftError> {
    let mut named = Draft::default();
    recipients_of_flags(args, &mut named)?;
    let anybody = !(named.to.is_empty() && named.cc.is_empty() && named.bcc.is_empty());
    // Recipients may also stand in the head of the input, in a header, or in an escape.
    let elsewhere = args.template
        || args.enable_cmd_escapes
        || args.batch_mode
        || !args.to_file.is_empty()
        || !(args.attach.is_empty() && args.header.is_empty());
    if !anybody && !elsewhere && !args.is_about_queue() && !args.show_settings {
        return Err(nobody(args));
    }
    flags_of_notices(args)?;
    let flags = [("-r", &args.from), ("--reply-to", &args.reply_to), ("-f", &args.envelope_from)];
    for (flag, value) in flags {
        let Some(value) = value else { continue };
        let parsed =
            if flag == "-f" { Address::parse(value).map(|_| 1) } else { parse_authors(value).map(|l| l.len()) };
        match parsed {
            Ok(0) => return Err(DraftError::EmptyRecipient(value.clone())),
            Ok(_) => {}
            Err(error) => return Err(DraftError::FlagAddress { flag, error }),
        }
    }
    Ok(())
}

/// What the flags ask for, before they are layered over the settings.
fn flags_of_notices(args: &Args) -> Result<Option<String>, DraftError> {
    let wrong = |flag| move |error| DraftError::Dsn { flag, error };
    args.dsn_notify.as_deref().map(Notify::parse).transpose().map_err(wrong("--dsn-notify"))?;
    args.dsn_return.as_deref().map(Ret::parse).transpose().map_err(wrong("--dsn-return"))?;
    args.dsn_envid.as_deref().map(dsn::envid).transpose().map_err(wrong("--dsn-envid"))
}

/// What the sender wants to be told of the delivery.
fn notices(args: &Args, settings: &Settings) -> Result<Dsn, DraftError> {
    let wrong = |name: &'static str| {
        move |error: dsn::DsnError| SettingsError::Value {
            name: name.to_owned(),
            origin: settings.origin(name).cloned(),
            why: error.to_string(),
        }
    };
    let notify = settings.filled("dsn-notify").map(|text| Notify::parse(&text)).transpose();
    let ret = settings.filled("dsn-return").map(|text| Ret::parse(&text)).transpose();
    Ok(Dsn {
        notify: notify.map_err(wrong("dsn-notify"))?,
        ret: ret.map_err(wrong("dsn-return"))?,
        envid: flags_of_notices(args)?,
    })
}

/// Scripts write `-c "$CC"` for whom there may be: where that was the last hope, it is named.
fn nobody(args: &Args) -> DraftError {
    let lists = [("an operand", &args.operands), ("--to", &args.to), ("-c", &args.cc), ("-b", &args.bcc)];
    let is_empty = |list: &Vec<String>| list.iter().any(|text| text.trim().is_empty());
    let empty: Vec<_> = lists.iter().filter(|(_, list)| is_empty(list)).map(|(name, _)| *name).collect();
    match empty.as_slice() {
        [] => DraftError::NoRecipient,
        [one] => DraftError::AllEmpty(format!("{one} is")),
        more => DraftError::AllEmpty(format!("{} are", more.join(", "))),
    }
}

fn recipients_of_flags(args: &Args, draft: &mut Draft) -> Result<(), DraftError> {
    for word in args.operands.iter().chain(&args.to) {
        draft.to.extend(recipients(word)?);
    }
    for word in &args.cc {
        draft.cc.extend(recipients(word)?);
    }
    for word in &args.bcc {
        draft.bcc.extend(recipients(word)?);
    }
    for target in &args.target {
        let (field, list) = target.split_once(':').unwrap_or((target, ""));
        let field = match field.trim().trim_end_matches("?single").to_ascii_lowercase().as_str() {
            "to" => &mut draft.to,
            "cc" => &mut draft.cc,
            "bcc" => &mut draft.bcc,
            _ => {
                return Err(DraftError::Header {
                    text: target.clone(),
                    why: "`-T` takes `to:`, `cc:` or `bcc:` and an address",
                });
            }
        };
        field.extend(recipients(list)?);
    }
    Ok(())
}

fn recipients(word: &str) -> Result<Vec<Mailbox>, DraftError> {
    if word == "-" {
        return Err(DraftError::EmptyRecipient(word.to_owned()));
    }
    parse_word(word).map_err(DraftError::Address)
}

/// The subject on one line: a line end would begin another header.
fn subject(args: &Args, input: &Input, warnings: &mut Vec<String>) -> Option<String> {
    // An escape in the body (`~s`) comes later than the flag, and so is the last word.
    let text = match (&input.subject, &args.subject) {
        (Some(subject), _) => subject.clone(),
        (None, Some(subject)) => decode(subject, warnings),
        (None, None) => return None,
    };
    if !text.contains(['\r', '\n']) {
        return Some(text);
    }
    warnings.push("the subject had line ends, which are blanks now".to_owned());
    Some(one_line(&text))
}

fn decode(text: &OsStr, warnings: &mut Vec<String>) -> String {
    template::decode(text.as_bytes(), warnings)
}

fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One `Name: value` of a flag or a setting. Fields with a meaning go where they belong, so that none stands twice.
fn header_line(draft: &mut Draft, text: &str) -> Result<(), DraftError> {
    let refuse = |why| DraftError::Header { text: text.chars().take(60).collect(), why };
    let (name, value) = text.split_once(':').ok_or_else(|| refuse("a `:` is wanted behind its name"))?;
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
        return Err(refuse("its name holds blanks, control characters or nothing"));
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(refuse("a line end cannot stand in it"));
    }
    field(draft, name, value.trim())
}

fn apply_template(draft: &mut Draft, template: template::Template) -> Result<(), DraftError> {
    if template.value("from").is_some() {
        draft.from.clear();
    }
    let mut seen = HashSet::new();
    for (name, value) in template.headers {
        let lower = name.to_ascii_lowercase();
        let single = ["subject", "subj", "date", "message-id", "content-type", "in-reply-to", "references"]
            .contains(&lower.as_str());
        if single && !seen.insert(lower) {
            draft.warnings.push(format!("a second {name} header was left out"));
            continue;
        }
        field(draft, &name, &value)?;
    }
    // Programs encode what they write for `-t`; decoded here, it is encoded once on its way out.
    for mailbox in draft
        .from
        .iter_mut()
        .chain(&mut draft.reply_to)
        .chain(&mut draft.to)
        .chain(&mut draft.cc)
        .chain(&mut draft.sender)
    {
        mailbox.name = mailbox.name.take().map(|name| encoded_word::decode(&name));
    }
    Ok(())
}

/// Puts one header where it belongs.
fn field(draft: &mut Draft, name: &str, value: &str) -> Result<(), DraftError> {
    let lower = name.to_ascii_lowercase();
    let (base, single) = lower.strip_suffix("?single").map_or((lower.as_str(), false), |base| (base, true));
    let list = |value: &str| {
        if single { Mailbox::parse(&quote_single(value)).map(|m| vec![m]) } else { parse_word(value) }
            .map_err(DraftError::Address)
    };
    let authors = |value: &str| {
        if single {
            list(value)
        } else {
            parse_authors(value).or_else(|_| parse_word(value)).map_err(DraftError::Address)
        }
    };
    match base {
        "to" => draft.to.extend(list(value)?),
        "cc" => draft.cc.extend(list(value)?),
        "bcc" => draft.bcc.extend(list(value)?),
        "from" => draft.from = authors(value)?,
        "reply-to" | "replyto" => draft.reply_to = authors(value)?,
        "sender" => draft.sender = authors(value)?.into_iter().next(),
        "subject" | "subj" => draft.subject = Some(encoded_word::decode(value)),
        "date" => draft.date = Some(value.to_owned()),
        "message-id" => draft.message_id = Some(value.to_owned()),
        "content-type" => draft.body.media_type = Some(value.to_owned()),
        "content-transfer-encoding" => draft.body.ready = Some(value.to_owned()),
        "mime-version" | "return-path" | "content-length" | "status" => {}
        "fcc" => draft.warnings.push("Fcc is left out; the setting record keeps copies".to_owned()),
        "organization" => draft.headers.push((name.to_owned(), value.to_owned())),
        _ => draft.headers.push((name.to_owned(), encoded_word::decode(value))),
    }
    Ok(())
}

/// Of the headers of this name the last one counts.
fn keep_last(headers: &mut Vec<(String, String)>, wanted: &str) {
    let is_it = |name: &str| name.eq_ignore_ascii_case(wanted);
    let mut earlier = headers.iter().filter(|(name, _)| is_it(name)).count().saturating_sub(1);
    headers.retain(|(name, _)| {
        let goes = earlier > 0 && is_it(name);
        earlier -= usize::from(goes);
        !goes
    });
}

/// `To?single: a, b <x@y>` is one mailbox whose name holds a comma.
fn quote_single(value: &str) -> String {
    match value.rsplit_once('<') {
        Some((name, rest)) if !name.trim().is_empty() && !name.contains('"') => {
            format!("\"{}\" <{rest}", name.trim().replace('\\', "\\\\"))
        }
        _ => value.to_owned(),
    }
}

/// Settles who the mail is from, in the header and in the envelope.
fn authors(args: &Args, draft: &mut Draft, settings: &Settings, user: &str) -> Result<(), DraftError> {
    let default = author::authors(settings, user)?;
    let of_header = !draft.from.is_empty();
    if !of_header {
        draft.from.clone_from(&default);
    }
    // A From of the template is the author, and `-r` then only the sender of the envelope (spec/mailx.md section 1.4).
    let envelope = if of_header && args.from.is_none() { draft.from.first() } else { default.first() };
    if let Some(envelope) = envelope {
        draft.return_path = Some(author::return_path(settings, &qualified(envelope, settings)?, user)?);
    }
    for mailbox in &mut draft.from {
        *mailbox = qualified(mailbox, settings)?;
    }
    if draft.sender.is_none() {
        draft.sender = author::mailboxes(settings, "sender")?.into_iter().next();
    }
    if draft.reply_to.is_empty() || args.reply_to.is_some() {
        let reply_to = author::mailboxes(settings, "reply-to")?;
        if !reply_to.is_empty() {
            draft.reply_to = settings.aliases.expand(reply_to)?;
        }
    }
    let local = Local::new(settings, false);
    for mailbox in &mut draft.reply_to {
        if let Some(settled) = local.header(mailbox) {
            *mailbox = settled;
        }
    }
    force(draft, settings);
    Ok(())
}

/// Puts the account's own address in the place of another From, where `force-from` asks for it.
fn force(draft: &mut Draft, settings: &Settings) {
    let [stands] = draft.from.as_mut_slice() else { return };
    let Some(our) = author::forced(settings, &stands.address) else { return };
    let old = std::mem::replace(&mut stands.address, our.address.clone());
    draft.return_path = Some(our.address);
    draft.headers.push(("X-Original-From".to_owned(), old.to_string()));
    if draft.reply_to.is_empty() {
        draft.reply_to = vec![Mailbox::from(old)];
    }
}

/// Gives a bare name its domain; only a local program may get one without.
fn qualified(mailbox: &Mailbox, settings: &Settings) -> Result<Mailbox, DraftError> {
    match settings.filled("qualify-domain") {
        Some(domain) if mailbox.address.is_bare() => {
            let address = mailbox.address.clone().qualify(&domain).map_err(DraftError::Address)?;
            Ok(Mailbox { name: mailbox.name.clone(), address })
        }
        None if mailbox.address.is_bare() && !is_program(settings) => {
            Err(DraftError::Bare(mailbox.address.to_string()))
        }
        _ => Ok(mailbox.clone()),
    }
}

/// Aliases, domains, `auto-cc` and what `expand-address` allows.
fn fill_recipients(draft: &mut Draft, settings: &Settings) -> Result<(), DraftError> {
    if draft.to.is_empty() && draft.cc.is_empty() && draft.bcc.is_empty() {
        return Err(DraftError::NoRecipient);
    }
    draft.cc.extend(author::mailboxes(settings, "auto-cc")?);
    draft.bcc.extend(author::mailboxes(settings, "auto-bcc")?);
    let local = Local::new(settings, false);
    let rule = settings.text("expand-address").unwrap_or_default();
    for list in [&mut draft.to, &mut draft.cc, &mut draft.bcc] {
        let expanded = local.of_aliases(std::mem::take(list))?;
        if let Some(mailbox) = expanded.iter().find(|mailbox| !allowed(&rule, &mailbox.address)) {
            return Err(DraftError::NotAllowed(mailbox.address.to_string()));
        }
        *list = local.finish(expanded)?;
    }
    if draft.to.is_empty() && draft.cc.is_empty() && draft.bcc.is_empty() {
        return Err(if local.has_dropped() { DraftError::Dropped } else { DraftError::NoRecipient });
    }
    Ok(())
}

/// s-nail's `expandaddr`: `-all`, `-name`, `-addr` forbid, `+…` allow again; the rest is always so here.
fn allowed(rule: &str, address: &Address) -> bool {
    let kind = if address.is_bare() { "name" } else { "addr" };
    let mut allowed = true;
    for word in rule.split(',').map(str::trim) {
        match word.strip_prefix('-').map_or((word.trim_start_matches('+'), true), |w| (w, false)) {
            ("all", on) => allowed = on,
            (w, on) if w == kind => allowed = on,
            _ => {}
        }
    }
    allowed
}

fn receipt(draft: &mut Draft, settings: &Settings) {
    let Some(text) = settings.text("receipt-to") else { return };
    let to = if text.is_empty() { draft.from.first().map(|m| m.address.to_string()).unwrap_or_default() } else { text };
    draft.headers.push(("Disposition-Notification-To".to_owned(), to));
}

/// The words, with signature and what is put around them.
fn body(args: &Args, draft: &mut Draft, settings: &Settings, input: Input) -> Result<(), DraftError> {
    let mut text = input.text;
    if draft.body.ready.is_none() {
        let head = unescape(&settings.text("text-head").unwrap_or_default());
        let mut tail = Vec::new();
        if let Some(path) = settings.path("signature") {
            tail.extend(super::input::read_file(&path, settings.size("max-size").unwrap_or(MAX_SIZE))?);
        }
        tail.extend(unescape(&settings.text("text-tail").unwrap_or_default()).into_bytes());
        if !(head.is_empty() && tail.is_empty()) && input.html.is_none() {
            let mut words = text.unwrap_or_default();
            if !tail.is_empty() && !words.is_empty() && !words.ends_with(b"\n") {
                words.push(b'\n');
            }
            text = Some([head.into_bytes(), words, tail].concat());
        }
    }
    draft.body.text = text;
    draft.body.html = input.html;
    if draft.body.html.is_some() {
        draft.body.media_type = None;
    } else if let Some(media_type) = args.content_type.clone().or(input.media_type) {
        draft.body.media_type = Some(media_type);
    }
    draft.body.charset = settings.filled("charset");
    draft.body.fallback_charsets = fallback_charsets(settings);
    draft.attachments = input.attachments;
    draft.inline = input.inline;
    Ok(())
}

/// The charsets to try. The stock lists of mail.rc (`iso-8859-1,utf-8`) say what is sent, not what is read: UTF-8 is found
/// anyway, and ISO-8859-1 would take every input.
pub fn fallback_charsets(settings: &Settings) -> Vec<String> {
    let list = settings.list("fallback-charsets");
    let meaningful =
        |c: &String| !["utf-8", "utf8", "us-ascii", "iso-8859-1"].contains(&c.to_ascii_lowercase().as_str());
    let list: Vec<_> = list.into_iter().filter(meaningful).collect();
    if list.is_empty() { vec!["gb18030".to_owned(), "windows-1252".to_owned()] } else { list }
}

/// `\n` and `\t` as mail.rc has no other way to say them.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

/// The mailbox a text names, when it names one: chooses the account.
pub fn first_author(text: &str) -> Result<Option<Mailbox>, AddressError> {
    Ok(parse_authors(text)?.into_iter().next())
}
