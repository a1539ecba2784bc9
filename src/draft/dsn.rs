//! What the sender wants to be told of the delivery (RFC 3461): when, with how much of the mail,
//! and under which name.
//!
//! Promise: whatever exists here can stand in MAIL and RCPT as it is, but for xtext. Refuses what
//! no server could take; who has to send all the same (a program that calls `sendmail`) leaves out
//! what did not parse, and says so.
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::mime::escape::escaped;

/// The longest ENVID, in bytes as encoded (RFC 3461 section 4.4).
pub(crate) const LONGEST_ENVID: usize = 100;

/// What is asked of the servers on the way. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dsn {
    /// When to tell; `None` leaves it to the servers, who tell of failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// How much of the mail goes into a notice of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<Ret>,
    /// The name under which the notice comes back, not yet encoded: checked by [`envid`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "stored_envid"
    )]
    pub envid: Option<String>,
}

/// When to tell the sender (RFC 3461 section 4.1). Kept as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Notify {
    /// Not at all.
    Never,
    /// On these occasions, at least one.
    On(Occasions),
}

/// Occasions for a notice; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasions {
    success: bool,
    failure: bool,
    delay: bool,
}

/// How much of the mail goes into a notice of failure (RFC 3461 section 4.3). Kept as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ret {
    /// All of it.
    Full,
    /// Its headers.
    Headers,
}

/// Why a text asks for nothing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// A word that is no occasion.
    #[error("invalid value `{}`; expected never, success, failure or delay", crate::text::word(.0))]
    Occasion(String),
    /// Never, and something else.
    #[error("`never` cannot be combined with other values")]
    NeverAlone,
    /// Nothing is named.
    #[error("expected never, or one or more of success, failure and delay")]
    NoOccasion,
    /// A word that is no part of a mail.
    #[error("invalid value `{}`; expected full or headers", crate::text::word(.0))]
    Ret(String),
    /// An ENVID that is empty, or too long as encoded: its bytes.
    #[error("expected an envelope ID of 1 to {LONGEST_ENVID} characters when encoded, got {0}")]
    EnvidLength(usize),
    /// An ENVID with something else than printable ASCII.
    #[error("expected an envelope ID of printable ASCII characters")]
    EnvidCharacter,
}

impl Dsn {
    /// Reads what a caller of sendmail asks for. What is none is left out, and told in lowercase
    /// fragments: a mail must not be lost over the report of it.
    pub fn read_leniently(
        notify: Option<&str>,
        ret: Option<&str>,
        name: Option<&str>,
    ) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let mut note =
            |flag: &str, error: DsnError| notes.push(format!("{flag} is ignored: {error}"));
        let notify =
            notify.and_then(|text| Notify::parse(text).map_err(|error| note("-N", error)).ok());
        let ret = ret.and_then(|text| Ret::parse(text).map_err(|error| note("-R", error)).ok());
        let envid = name.and_then(|text| envid(text).map_err(|error| note("-V", error)).ok());
        (Dsn { notify, ret, envid }, notes)
    }

    /// Returns whether anything is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Dsn::default()
    }
}

impl Notify {
    /// Reads `never`, or a list of `success`, `failure` and `delay` with commas, in any case.
    ///
    /// # Errors
    /// [`DsnError`].
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let mut occasions = Occasions {
            success: false,
            failure: false,
            delay: false,
        };
        let mut never = false;
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word.to_ascii_lowercase().as_str() {
                "never" => never = true,
                "success" => occasions.success = true,
                "failure" => occasions.failure = true,
                "delay" => occasions.delay = true,
                _ => return Err(DsnError::Occasion(word.chars().take(40).collect())),
            }
        }
        let any = occasions.success || occasions.failure || occasions.delay;
        match (never, any) {
            (true, true) => Err(DsnError::NeverAlone),
            (true, false) => Ok(Notify::Never),
            (false, true) => Ok(Notify::On(occasions)),
            (false, false) => Err(DsnError::NoOccasion),
        }
    }
}

impl Ret {
    /// Reads `full`, `headers` or `hdrs`, in any case.
    ///
    /// # Errors
    /// [`DsnError::Ret`].
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "full" => Ok(Ret::Full),
            "headers" | "hdrs" => Ok(Ret::Headers),
            _ => Err(DsnError::Ret(text.chars().take(40).collect())),
        }
    }
}

/// Checks a name for the envelope, which must be printable ASCII and short enough as encoded.
///
/// # Errors
/// [`DsnError`].
pub(crate) fn envid(text: &str) -> Result<String, DsnError> {
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(DsnError::EnvidCharacter);
    }
    match xtext(text).len() {
        1..=LONGEST_ENVID => Ok(text.to_owned()),
        length => Err(DsnError::EnvidLength(length)),
    }
}

/// A stored name is checked again: it goes into a command.
fn stored_envid<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let stored = Option::<String>::deserialize(from)?;
    stored
        .map(|text| envid(&text))
        .transpose()
        .map_err(D::Error::custom)
}

/// Encodes a text for a parameter (RFC 3461 section 4). Its characters are ASCII.
pub fn xtext(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=');
    escaped(text, b'+', is_plain)
}

/// The words of NOTIFY.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notify::On(on) = self else {
            return f.write_str("NEVER");
        };
        let words = [
            (on.success, "SUCCESS"),
            (on.failure, "FAILURE"),
            (on.delay, "DELAY"),
        ];
        let words: Vec<_> = words
            .iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, word)| *word)
            .collect();
        f.write_str(&words.join(","))
    }
}

/// The word of RET.
impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Ret::Full { "FULL" } else { "HDRS" })
    }
}

/// The parameters as they travel.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notify = self.notify.map(|notify| format!("NOTIFY={notify}"));
        let ret = self.ret.map(|ret| format!("RET={ret}"));
        let envid = self
            .envid
            .as_ref()
            .map(|envid| format!("ENVID={}", xtext(envid)));
        f.write_str(
            &[notify, ret, envid]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
        )
    }
}

impl TryFrom<String> for Notify {
    type Error = DsnError;

    fn try_from(text: String) -> Result<Self, DsnError> {
        Notify::parse(&text)
    }
}

impl From<Notify> for String {
    fn from(notify: Notify) -> String {
        notify.to_string().to_ascii_lowercase()
    }
}

impl TryFrom<String> for Ret {
    type Error = DsnError;

    fn try_from(text: String) -> Result<Self, DsnError> {
        Ret::parse(&text)
    }
}

impl From<Ret> for String {
    fn from(ret: Ret) -> String {
        ret.to_string().to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(text: &str) -> String {
        Notify::parse(text).map_or_else(
            |error| format!("error: {error}"),
            |notify| notify.to_string(),
        )
    }

    #[test]
    fn occasions_are_read_in_any_case_and_order_with_blanks() {
        assert_eq!(notify("never"), "NEVER");
        assert_eq!(notify(" Delay , SUCCESS,success,"), "SUCCESS,DELAY");
        assert_eq!(notify("failure"), "FAILURE");
        assert_eq!(
            notify("never,success"),
            "error: `never` cannot be combined with other values"
        );
        assert_eq!(
            notify("always\n"),
            "error: invalid value `always`; expected never, success, failure or delay"
        );
        assert_eq!(
            notify(" , "),
            "error: expected never, or one or more of success, failure and delay"
        );
    }

    #[test]
    fn the_part_to_return_has_two_names_for_headers() {
        assert_eq!(Ret::parse("HDRS"), Ok(Ret::Headers));
        assert_eq!(Ret::parse("headers"), Ok(Ret::Headers));
        assert_eq!(Ret::parse(" Full"), Ok(Ret::Full));
        assert_eq!(Ret::parse("body"), Err(DsnError::Ret("body".into())));
    }

    #[test]
    fn an_envelope_id_is_printable_and_short_as_it_is_sent() {
        assert_eq!(envid("QQ 314+1=x"), Ok("QQ 314+1=x".into()));
        assert_eq!(xtext("QQ 314+1=x"), "QQ+20314+2B1+3Dx");
        assert_eq!(envid(&"x".repeat(100)), Ok("x".repeat(100)));
        assert_eq!(envid(&"x".repeat(101)), Err(DsnError::EnvidLength(101)));
        assert_eq!(envid(&"+".repeat(34)), Err(DsnError::EnvidLength(102)));
        assert_eq!(envid(""), Err(DsnError::EnvidLength(0)));
        for text in ["a\r\nRCPT TO:<b@x>", "\u{fc}", "a\u{7f}", "\0"] {
            assert_eq!(envid(text), Err(DsnError::EnvidCharacter), "{text:?}");
        }
    }

    #[test]
    fn what_is_stored_is_read_again_and_checked() {
        let dsn = Dsn {
            notify: Some(Notify::parse("success,delay").unwrap()),
            ret: Some(Ret::Headers),
            envid: Some("a b".into()),
        };
        assert_eq!(dsn.to_string(), "NOTIFY=SUCCESS,DELAY RET=HDRS ENVID=a+20b");
        let stored = serde_json::to_string(&dsn).unwrap();
        assert_eq!(
            stored,
            r#"{"notify":"success,delay","ret":"hdrs","envid":"a b"}"#
        );
        assert_eq!(serde_json::from_str::<Dsn>(&stored).unwrap(), dsn);
        assert_eq!(serde_json::from_str::<Dsn>("{}").unwrap(), Dsn::default());
        assert!(serde_json::from_str::<Dsn>(r#"{"notify":"x\r\nDATA"}"#).is_err());
        assert!(serde_json::from_str::<Dsn>(r#"{"envid":"x\r\nDATA"}"#).is_err());
    }
}
