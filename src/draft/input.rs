//! Opens and reads everything a mail is made of, once, attachments first.
//!
//! Promise: nothing is read before all files are there, no file that could block or never end is
//! opened for reading, and no more than `max-size` bytes of text are held.
use std::ffi::OsStr;
use std::io::{self, BufRead, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::{open_regular, read_all, read_file, unreadable};
use super::template::{self, Template};
use super::{Attachment, DraftError, Text, recipients};
use crate::address::Mailbox;
use crate::cli::Args;
use crate::environment;
use crate::files::words;
use crate::settings::value::expand_home;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The text of standard input or of the body's file, and of the files it takes in.
    pub text: Option<Text>,
    /// The HTML.
    pub html: Option<Vec<u8>>,
    /// The head that `-t` found.
    pub template: Option<Template>,
    /// Those of `--to-file`.
    pub recipients: Vec<Mailbox>,
    /// Headers given with `-a 'Name: value'`.
    pub headers: Vec<String>,
    /// Files to attach.
    pub attachments: Vec<Attachment>,
    /// Images for the HTML.
    pub inline: Vec<Attachment>,
    /// The media type that the name of the body's file suggests.
    pub media_type: Option<String>,
    /// The subject that was asked for at the terminal, or set by an escape.
    pub subject: Option<Vec<u8>>,
    /// The body has nothing in it (`-E`).
    pub empty: bool,
    /// Lowercase fragments for standard error.
    pub warnings: Vec<String>,
    /// The same, for those who want to know more.
    pub notes: Vec<String>,
}

impl Input {
    /// Opens the attachments and reads the text.
    ///
    /// # Errors
    /// [`DraftError`]: the first file that cannot be used.
    pub(crate) fn read(
        args: &Args,
        home: Option<&Path>,
        extra: Option<&Path>,
        limit: u64,
    ) -> Result<Self, DraftError> {
        let mut input = Input::default();
        let mut wants_stdin = None;
        let mut names = args
            .attachment_names
            .iter()
            .cloned()
            .chain(std::iter::repeat(None));
        for (word, name) in args.attach.iter().zip(&mut names) {
            let before = input.attachments.len();
            input.attach(word, home, limit, &mut wants_stdin)?;
            if let (Some(name), [new]) = (name, &mut input.attachments[before..]) {
                new.name = name;
            }
        }
        if let Some(path) = extra {
            input
                .attachments
                .push(open(path, names.next().flatten(), limit)?);
        }
        for path in &args.inline {
            input.inline.push(open(
                &expand_home(&path.to_string_lossy(), home),
                None,
                limit,
            )?);
        }
        for path in &args.to_file {
            input.list(args, path, home, &mut wants_stdin)?;
        }
        input.bodies(args, home, limit, wants_stdin)?;
        Ok(input)
    }

    /// The From header of the template, which chooses the account.
    pub(crate) fn from(&self) -> Option<String> {
        self.template.as_ref()?.from()
    }

    /// `-a WORD`: a file (with `;name=` and `;type=`, or `=CHARSET`), standard input, files
    /// separated by commas, or a header.
    fn attach(
        &mut self,
        word: &OsStr,
        home: Option<&Path>,
        limit: u64,
        stdin: &mut Option<&'static str>,
    ) -> Result<(), DraftError> {
        let text = word.to_string_lossy();
        if text.is_empty() {
            return Err(DraftError::Header {
                text: String::new(),
                why: "expected a file or a header after `-a`",
            });
        }
        let plain = PathBuf::from(word);
        let expanded = if text.starts_with('~') {
            expand_home(&text, home)
        } else {
            plain
        };
        if exists(&expanded) {
            self.attachments.push(open(&expanded, None, limit)?);
            return Ok(());
        }
        let (path, name, media_type) = parameters(&text);
        if path == "-" {
            *stdin = Some("-a -");
            self.attachments.push(Attachment {
                name: name.unwrap_or_else(|| "stdin".into()),
                media_type,
                ..spool(io::stdin().lock(), limit)?
            });
            return Ok(());
        }
        let path = expand_home(path, home);
        if exists(&path) {
            self.attachments.push(Attachment {
                media_type,
                ..open(&path, name, limit)?
            });
            return Ok(());
        }
        if is_header(word) {
            self.headers.push(text.into_owned());
            return Ok(());
        }
        if let Some((file, charset)) = text
            .rsplit_once('=')
            .filter(|(file, _)| exists(&expand_home(file, home)))
        {
            let charset = charset
                .split('#')
                .next()
                .unwrap_or_default()
                .trim_start_matches('!')
                .to_owned();
            self.attachments.push(Attachment {
                charset: Some(charset).filter(|c| !c.is_empty()),
                ..open(&expand_home(file, home), None, limit)?
            });
            return Ok(());
        }
        let pieces: Vec<_> = text
            .split(',')
            .map(|p| expand_home(p.trim(), home))
            .collect();
        if pieces.len() > 1 && pieces.iter().all(|p| exists(p)) {
            for piece in pieces {
                self.attachments.push(open(&piece, None, limit)?);
            }
            return Ok(());
        }
        self.attachments.push(open(&expanded, None, limit)?);
        Ok(())
    }

    /// Reads a list of recipients. Standard input can be one where the text is in a file, or there
    /// is an attachment in its place.
    fn list(
        &mut self,
        args: &Args,
        path: &Path,
        home: Option<&Path>,
        stdin: &mut Option<&'static str>,
    ) -> Result<(), DraftError> {
        const SELF: &str = "--to-file -";
        let shown = path.to_string_lossy();
        if shown == "-" {
            let is_file =
                |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() != "-");
            let has_words =
                is_file(&args.body_file) || is_file(&args.html) || is_file(&args.quote_file);
            match stdin.replace(SELF) {
                Some(first) => return Err(DraftError::StdinTwice(first, SELF)),
                None if args.template => return Err(DraftError::StdinTwice(SELF, "-t")),
                None if !has_words && self.attachments.is_empty() => {
                    return Err(DraftError::StdinTwice(
                        SELF,
                        "the text of the message (`-m FILE` reads it from a file)",
                    ));
                }
                None => {}
            }
        }
        let path = if shown == "-" {
            path.to_owned()
        } else {
            expand_home(&shown, home)
        };
        let list = recipients::read(&path, &shown)?;
        self.notes.extend(list.note());
        self.recipients.extend(list.mailboxes);
        Ok(())
    }

    /// Reads the text, the HTML and the template from the file or input each comes from.
    fn bodies(
        &mut self,
        args: &Args,
        home: Option<&Path>,
        limit: u64,
        taken: Option<&'static str>,
    ) -> Result<(), DraftError> {
        let expand = |path: &PathBuf| expand_home(&path.to_string_lossy(), home);
        let dash = |path: &PathBuf| path.as_os_str() == "-";
        let quoted = args.quote_file.as_ref();
        let prefix = match quoted.filter(|p| !dash(p)) {
            Some(path) => read_file(&expand(path), limit)?,
            None => Vec::new(),
        };
        let html_of_stdin = args.html.as_ref().is_some_and(dash);
        if let Some(path) = args.html.as_ref().filter(|p| !dash(p)) {
            self.html = Some(read_file(&expand(path), limit)?);
        }
        let text = match (&args.body_file, taken) {
            (Some(path), _) if !dash(path) => {
                let path = expand(path);
                self.media_type = media_type_of(&path);
                read_file(&path, limit)?
            }
            (_, Some(first)) if html_of_stdin => {
                return Err(DraftError::StdinTwice(first, "--html"));
            }
            (_, Some(first)) if args.template => return Err(DraftError::StdinTwice(first, "-t")),
            (_, Some(_)) => Vec::new(),
            (_, None) => {
                self.ask_subject(args);
                read_all(io::stdin().lock(), limit)?
            }
        };
        let text = if args.template {
            let (template, body) = template::split(&text);
            self.template = Some(template);
            body
        } else {
            text
        };
        let mut whole = Text::from(prefix);
        if args.enable_cmd_escapes || args.batch_mode {
            self.escapes(&text, args.batch_mode, (home, limit), &mut whole)?;
        } else {
            whole.push(text);
        }
        let text = whole;
        self.empty = text.is_empty() && (args.template || self.html.is_none());
        if html_of_stdin {
            self.html = Some(text.into_sources().concat());
        } else if !(text.is_empty() && self.html.is_some()) {
            self.text = Some(text);
        }
        Ok(())
    }

    /// Asks for the subject as mailx does, only where a person types the mail.
    fn ask_subject(&mut self, args: &Args) {
        if args.subject.is_some()
            || args.template
            || !environment::stdin_is_terminal()
            || !environment::stderr_is_terminal()
        {
            return;
        }
        let _ = write!(io::stderr(), "Subject: ");
        let mut line = Vec::new();
        if io::stdin()
            .lock()
            .read_until(b'\n', &mut line)
            .is_ok_and(|n| n > 0)
        {
            self.subject = Some(line.trim_ascii_end().to_vec()).filter(|s| !s.is_empty());
        }
    }

    /// Carries out the tilde escapes that only touch the mail itself; the rest could run programs
    /// and is refused.
    fn escapes(
        &mut self,
        text: &[u8],
        dot: bool,
        (home, limit): (Option<&Path>, u64),
        whole: &mut Text,
    ) -> Result<(), DraftError> {
        let mut out = Vec::with_capacity(text.len());
        for (number, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if dot && line.trim_ascii_end() == b"." {
                break;
            }
            let Some((b'~', rest)) = line.split_first() else {
                out.extend_from_slice(line);
                continue;
            };
            let bytes = rest.get(1..).unwrap_or_default().trim_ascii();
            let value = String::from_utf8_lossy(bytes).into_owned();
            match rest.first() {
                Some(b'~') => out.extend_from_slice(rest),
                Some(b'.') => break,
                Some(b's') => self.subject = Some(bytes.to_vec()),
                Some(b't') => self.headers.push(format!("To: {value}")),
                Some(b'c') => self.headers.push(format!("Cc: {value}")),
                Some(b'b') => self.headers.push(format!("Bcc: {value}")),
                Some(b'r') => {
                    whole.push(std::mem::take(&mut out));
                    whole.push(read_file(&expand_home(&value, home), limit)?);
                }
                Some(b'@') => {
                    for path in value.split([',', ' ']).filter(|p| !p.is_empty()) {
                        self.attachments
                            .push(open(&expand_home(path, home), None, limit)?);
                    }
                }
                other => {
                    let letter = other.map_or(' ', |b| char::from(*b));
                    return Err(DraftError::Escape {
                        line: number + 1,
                        letter,
                    });
                }
            }
        }
        whole.push(out);
        Ok(())
    }
}

/// `FILE;name=NAME;type=TYPE`; parameters of the type may follow it.
fn parameters(text: &str) -> (&str, Option<String>, Option<String>) {
    let mut pieces = text.split(';');
    let path = pieces.next().unwrap_or_default();
    let (mut name, mut media_type) = (None, None::<String>);
    for piece in pieces {
        match (piece.trim().split_once('='), &mut media_type) {
            (Some(("name", value)), _) => name = Some(value.to_owned()),
            (Some(("type", value)), None) => media_type = Some(value.to_owned()),
            (Some(_), Some(media_type)) => *media_type = format!("{media_type}; {}", piece.trim()),
            _ => return (text, None, None),
        }
    }
    (path, name, media_type)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// `^[!-9;-~]+:`, a header's name (RFC 5322 section 3.6.8).
fn is_header(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    let colon = bytes.iter().position(|b| *b == b':');
    colon.is_some_and(|end| end > 0 && bytes[..end].iter().all(|b| (b'!'..=b'~').contains(b)))
}

fn open(path: &Path, name: Option<String>, limit: u64) -> Result<Attachment, DraftError> {
    let (file, length) = open_regular(path)?;
    // Files of the kernel say 0 and then hold something, or hold less than they say, or cannot be
    // read at all.
    let mut byte = [0_u8; 1];
    let read = (&file)
        .read(&mut byte)
        .map_err(|e| unreadable(path, words(&e)))?;
    let is_short = length > 1
        && file
            .read_at(&mut byte, length - 1)
            .is_ok_and(|read| read == 0);
    if length == 0 && read > 0 || is_short {
        let mut file = file;
        file.rewind().map_err(|e| unreadable(path, words(&e)))?;
        let spooled = spool(file, limit).map_err(|error| match error {
            DraftError::TooLarge(limit) => DraftError::TooLarge(limit),
            _ => unreadable(path, "it cannot be read"),
        })?;
        let name = name.unwrap_or_else(|| base_name(path));
        return Ok(Attachment {
            path: path.to_owned(),
            name,
            ..spooled
        });
    }
    let name = name.unwrap_or_else(|| base_name(path));
    Ok(Attachment {
        file: Arc::new(file),
        path: path.to_owned(),
        length,
        name,
        media_type: None,
        charset: None,
    })
}

fn base_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || "attachment".to_owned(),
        |n| n.to_string_lossy().into_owned(),
    )
}

/// Keeps a stream in a file without a name, so that its size is known before it is sent: at most
/// `limit` bytes, as a stream may never end.
fn spool(from: impl Read, limit: u64) -> Result<Attachment, DraftError> {
    let failed = |e: io::Error| DraftError::Stdin(words(&e));
    let mut file = tempfile::tempfile().map_err(failed)?;
    let length = io::copy(&mut from.take(limit.saturating_add(1)), &mut file).map_err(failed)?;
    if length > limit {
        return Err(DraftError::TooLarge(limit));
    }
    Ok(Attachment {
        file: Arc::new(file),
        path: PathBuf::from("-"),
        length,
        name: "stdin".to_owned(),
        media_type: None,
        charset: None,
    })
}

/// What the name of a body's file says about its type; plain text says nothing.
fn media_type_of(path: &Path) -> Option<String> {
    let guess = mime_guess::from_path(path).first()?;
    (guess.essence_str() != "text/plain").then(|| guess.essence_str().to_owned())
}
