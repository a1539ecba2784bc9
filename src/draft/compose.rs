//! Brings flags, template and settings together in a draft.
use std::os::unix::ffi::OsStrExt;

use super::dsn::{self, Dsn, Notify, Ret};
use super::fields::{self, header_line};
use super::subject::subject_line;
use super::{Draft, DraftError, Encoding, Input, Text};
use crate::address::{Address, AddressError, Mailbox, parse_authors, parse_word};
use crate::aliases::Local;
use crate::cli::{Args, Command};
use crate::mime::charset::{self, Hints};
use crate::mime::encoded_word;
use crate::route::resolve::is_program;
use crate::settings::{MAX_SIZE, Settings, SettingsError, author};

/// Makes the draft.
///
/// # Errors
/// [`DraftError`].
pub(crate) fn compose(
    args: &Args,
    settings: &Settings,
    mut input: Input,
    user: &str,
) -> Result<Draft, DraftError> {
    let mut draft = Draft {
        warnings: std::mem::take(&mut input.warnings),
        ..Draft::default()
    };
    recipients_of_flags(args, &mut draft)?;
    let fallback = fallback_charsets(settings);
    draft.subject = subject(args, &input, &fallback, &mut draft.warnings);
    for text in &settings.list("headers") {
        header_line(&mut draft, text)?;
    }
    if let Some(organization) = settings.filled("organization") {
        draft.headers.push((
            "Organization".to_owned(),
            encoded_word::decode(&organization),
        ));
    }
    for text in args.header.iter().chain(&input.headers) {
        header_line(&mut draft, text)?;
    }
    if let Some(template) = input.template.take() {
        fields::apply(&mut draft, &template, &fallback)?;
    }
    keep_last(&mut draft.headers, "organization");
    draft.bcc.append(&mut input.recipients);
    authors(args, &mut draft, settings, user)?;
    fill_recipients(&mut draft, settings).map_err(|error| match error {
        DraftError::NoRecipient => nobody(args),
        other => other,
    })?;
    fields::decode_names(&mut draft);
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

/// Checks what can be checked before anything is read: a mistake in the command line must not cost
/// the input.
///
/// # Errors
/// [`DraftError`].
pub(crate) fn check(args: &Args) -> Result<(), DraftError> {
    let mut named = Draft::default();
    recipients_of_flags(args, &mut named)?;
    let anybody = !(named.to.is_empty() && named.cc.is_empty() && named.bcc.is_empty());
    // Recipients may also stand in the head of the input, in a header, or in an escape.
    let elsewhere = args.template
        || args.enable_cmd_escapes
        || args.batch_mode
        || !args.to_file.is_empty()
        || !(args.attach.is_empty() && args.header.is_empty());
    if !anybody && !elsewhere && matches!(Command::of(args), Command::Send) {
        return Err(nobody(args));
    }
    args.header
        .iter()
        .try_for_each(|text| fields::custom(text))?;
    flags_of_notices(args)?;
    let flags = [
        ("-r", &args.from),
        ("--reply-to", &args.reply_to),
        ("-f", &args.envelope_from),
    ];
    for (flag, value) in flags {
        let Some(value) = value else { continue };
        let parsed = if flag == "-f" {
            Address::parse(value).map(|_| 1)
        } else {
            parse_authors(value).map(|l| l.len())
        };
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
    args.dsn_notify
        .as_deref()
        .map(Notify::parse)
        .transpose()
        .map_err(wrong("--dsn-notify"))?;
    args.dsn_return
        .as_deref()
        .map(Ret::parse)
        .transpose()
        .map_err(wrong("--dsn-return"))?;
    args.dsn_envid
        .as_deref()
        .map(dsn::envid)
        .transpose()
        .map_err(wrong("--dsn-envid"))
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
    let notify = settings
        .filled("dsn-notify")
        .map(|text| Notify::parse(&text))
        .transpose();
    let ret = settings
        .filled("dsn-return")
        .map(|text| Ret::parse(&text))
        .transpose();
    Ok(Dsn {
        notify: notify.map_err(wrong("dsn-notify"))?,
        ret: ret.map_err(wrong("dsn-return"))?,
        envid: flags_of_notices(args)?,
    })
}

/// Scripts write `-c "$CC"` for whom there may be: where that was the last hope, it is named.
fn nobody(args: &Args) -> DraftError {
    let lists = [
        ("an operand", &args.operands),
        ("--to", &args.to),
        ("-c", &args.cc),
        ("-b", &args.bcc),
    ];
    let is_empty = |list: &Vec<String>| list.iter().any(|text| text.trim().is_empty());
    let empty: Vec<_> = lists
        .iter()
        .filter(|(_, list)| is_empty(list))
        .map(|(name, _)| *name)
        .collect();
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
        let field = match field
            .trim()
            .trim_end_matches("?single")
            .to_ascii_lowercase()
            .as_str()
        {
            "to" => &mut draft.to,
            "cc" => &mut draft.cc,
            "bcc" => &mut draft.bcc,
            _ => {
                return Err(DraftError::Header {
                    text: target.clone(),
                    why: "expected `-T` with `to:`, `cc:` or `bcc:` and an address",
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
fn subject(
    args: &Args,
    input: &Input,
    fallback: &[String],
    warnings: &mut Vec<String>,
) -> Option<String> {
    // An escape in the body (`~s`) comes later than the flag, and so is the last word.
    let bytes = match (&input.subject, &args.subject) {
        (Some(subject), _) => subject.clone(),
        (None, Some(subject)) => subject.as_bytes().to_vec(),
        (None, None) => return None,
    };
    let (text, note) = charset::read(
        bytes,
        Hints {
            fallback,
            ..Hints::default()
        },
    );
    warnings.extend(note.map(|note| note.replacen("the text", "the subject", 1)));
    Some(subject_line(&text, warnings))
}

/// Of the headers of this name the last one counts.
fn keep_last(headers: &mut Vec<(String, String)>, wanted: &str) {
    let is_it = |name: &str| name.eq_ignore_ascii_case(wanted);
    let mut earlier = headers
        .iter()
        .filter(|(name, _)| is_it(name))
        .count()
        .saturating_sub(1);
    headers.retain(|(name, _)| {
        let goes = earlier > 0 && is_it(name);
        earlier -= usize::from(goes);
        !goes
    });
}

/// Settles who the mail is from, in the header and in the envelope.
fn authors(
    args: &Args,
    draft: &mut Draft,
    settings: &Settings,
    user: &str,
) -> Result<(), DraftError> {
    let default = author::authors(settings, user)?;
    let of_header = !draft.from.is_empty();
    if !of_header {
        draft.from.clone_from(&default);
    }
    let resent_from = draft.resent_from.take();
    // A From of the template is the author, and `-r` then only the sender of the envelope.
    let envelope = if of_header && args.from.is_none() {
        draft.from.first()
    } else {
        default.first()
    };
    let resent_from = resent_from.as_ref().filter(|_| args.from.is_none());
    if let Some(envelope) = resent_from.or(envelope) {
        draft.return_path = Some(author::return_path(
            settings,
            &qualified(envelope, settings)?,
            user,
        )?);
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
    let [stands] = draft.from.as_mut_slice() else {
        return;
    };
    let Some(our) = author::forced(settings, &stands.address) else {
        return;
    };
    let old = std::mem::replace(&mut stands.address, our.address.clone());
    draft.return_path = Some(our.address);
    draft
        .headers
        .push(("X-Original-From".to_owned(), old.to_string()));
    if draft.reply_to.is_empty() {
        draft.reply_to = vec![Mailbox::from(old)];
    }
}

/// Gives a bare name its domain; only a local program may get one without.
fn qualified(mailbox: &Mailbox, settings: &Settings) -> Result<Mailbox, DraftError> {
    match settings.filled("qualify-domain") {
        Some(domain) if mailbox.address.is_bare() => {
            let address = mailbox
                .address
                .clone()
                .qualify(&domain)
                .map_err(DraftError::Address)?;
            Ok(Mailbox {
                name: mailbox.name.clone(),
                address,
            })
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
        if let Some(mailbox) = expanded
            .iter()
            .find(|mailbox| !allowed(&rule, &mailbox.address))
        {
            return Err(DraftError::NotAllowed(mailbox.address.to_string()));
        }
        *list = local.finish(expanded)?;
    }
    if draft.to.is_empty() && draft.cc.is_empty() && draft.bcc.is_empty() {
        return Err(if local.has_dropped() {
            DraftError::Dropped
        } else {
            DraftError::NoRecipient
        });
    }
    Ok(())
}

/// s-nail's `expandaddr`: `-all`, `-name`, `-addr` forbid, `+…` allow again; the rest is always so
/// here.
fn allowed(rule: &str, address: &Address) -> bool {
    let kind = if address.is_bare() { "name" } else { "addr" };
    let mut allowed = true;
    for word in rule.split(',').map(str::trim) {
        match word
            .strip_prefix('-')
            .map_or((word.trim_start_matches('+'), true), |w| (w, false))
        {
            ("all", on) => allowed = on,
            (w, on) if w == kind => allowed = on,
            _ => {}
        }
    }
    allowed
}

fn receipt(draft: &mut Draft, settings: &Settings) {
    let Some(text) = settings.text("receipt-to") else {
        return;
    };
    let to = if text.is_empty() {
        draft
            .from
            .first()
            .map(|m| m.address.to_string())
            .unwrap_or_default()
    } else {
        text
    };
    draft
        .headers
        .push(("Disposition-Notification-To".to_owned(), to));
}

/// The words, with signature and what is put around them.
fn body(
    args: &Args,
    draft: &mut Draft,
    settings: &Settings,
    input: Input,
) -> Result<(), DraftError> {
    let mut text = input.text;
    if draft.body.ready.is_none() {
        let head = unescape(&settings.text("text-head").unwrap_or_default());
        let mut tail = Text::default();
        if let Some(path) = settings.path("signature") {
            tail.push(super::read::read_file(
                &path,
                settings.size("max-size").unwrap_or(MAX_SIZE),
            )?);
        }
        tail.push(unescape(&settings.text("text-tail").unwrap_or_default()).into_bytes());
        if !(head.is_empty() && tail.is_empty()) && input.html.is_none() {
            let mut whole = Text::from(head.into_bytes());
            let mut words = text.unwrap_or_default();
            if !tail.is_empty() {
                words.end_line();
            }
            whole.append(words);
            whole.append(tail);
            text = Some(whole);
        }
    }
    draft.body.text = text;
    draft.body.html = input.html;
    let of_head = args.template && draft.body.media_type.is_some();
    if draft.body.html.is_some() {
        html_of_head(args, draft)?;
        draft.body.media_type.take_if(|_| !of_head);
    } else if let Some(media_type) = args.content_type.clone().or(input.media_type) {
        draft.body.media_type = Some(media_type);
    }
    draft.body.charset = settings.filled("charset");
    draft.body.fallback_charsets = fallback_charsets(settings);
    draft.attachments = input.attachments;
    draft.inline = input.inline;
    Ok(())
}

/// Looks whether `--html` and the head of a template agree on what the text is.
fn html_of_head(args: &Args, draft: &mut Draft) -> Result<(), DraftError> {
    if !args.template
        || args
            .html
            .as_ref()
            .is_none_or(|path| path.as_os_str() != "-")
    {
        return Ok(());
    }
    let encoding = draft
        .body
        .ready
        .take()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if !["", "7bit", "8bit", "binary"].contains(&encoding.as_str()) {
        return Err(DraftError::NoHtml(format!(
            "encoded in {}",
            crate::text::word(&encoding)
        )));
    }
    let media = draft.body.media_type.as_deref().unwrap_or("text/html");
    let essence = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if ["text/html", "text/plain"].contains(&essence.as_str()) {
        return Ok(());
    }
    Err(DraftError::NoHtml(crate::text::word(&essence).into_owned()))
}

/// The charsets that were chosen for what is not UTF-8; none where it is to be found out. The stock
/// lists of mail.rc (`iso-8859-1,utf-8`) say what is sent, not what is read: UTF-8 is found anyway,
/// and ISO-8859-1 would take every input.
pub(crate) fn fallback_charsets(settings: &Settings) -> Vec<String> {
    let list = settings.list("fallback-charsets");
    let meaningful = |c: &String| {
        !["utf-8", "utf8", "us-ascii", "iso-8859-1"].contains(&c.to_ascii_lowercase().as_str())
    };
    let list: Vec<_> = list.into_iter().filter(meaningful).collect();
    // The value without a setting.
    if list == ["gb18030", "windows-1252"] {
        Vec::new()
    } else {
        list
    }
}

/// `\n` and `\t` as mail.rc has no other way to say them.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

/// The mailbox a text names, when it names one: chooses the account.
pub(crate) fn first_author(text: &str) -> Result<Option<Mailbox>, AddressError> {
    Ok(parse_authors(text)?.into_iter().next())
}
