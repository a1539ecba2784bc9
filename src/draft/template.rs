//! Takes the head of a mail apart as `-t` reads it: as every head is read, and with `#` remarks,
//! which people leave in templates.
//!
//! Promise: every field is kept in order; a Bcc is found whatever its case and blanks; where a mail
//! was sent on, only the last time counts for who sends it and who gets it (RFC 5322 section
//! 3.6.6). Linear in the length of the text.
use crate::mime::head::{self, Ended, Field, resent_block};

/// The head of a template.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// The fields as they were written.
    pub fields: Vec<Field>,
}

impl Template {
    /// Who sends it, which chooses the account: the value of From, or of the topmost Resent-From.
    pub(crate) fn from(&self) -> Option<String> {
        let block = resent_block(&self.fields);
        let (fields, name) = if block.is_empty() {
            (&self.fields[..], "from")
        } else {
            (&self.fields[block], "resent-from")
        };
        fields
            .iter()
            .find(|field| field.is(name))
            .map(|field| field.text(&[]))
    }
}

/// Splits a text into its head and its body. The head ends at an empty line, or at the first line
/// that is no header.
pub(super) fn split(text: &[u8]) -> (Template, Vec<u8>) {
    let mut rest = text;
    let mut in_remark = false;
    let line = |_: u64| {
        Ok(loop {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, tail) = rest.split_at(end);
            rest = tail;
            let folds = line.starts_with(b" ") || line.starts_with(b"\t");
            match line.trim_ascii_end() {
                // Here nobody sees a difference between an empty line and one of blanks.
                [] if !line.is_empty() => break b"\n".to_vec(),
                [b'#', ..] => in_remark = true,
                _ if folds && in_remark => {}
                _ => {
                    in_remark = false;
                    break line.to_vec();
                }
            }
        })
    };
    // It is read already, so that its length is bounded by that of texts; a slice has no errors.
    let (fields, ended) = head::read(u64::MAX - 1, line).unwrap_or((Vec::new(), Ended::AtEnd));
    let body = match ended {
        Ended::ByLine(line) => [line.as_slice(), rest].concat(),
        Ended::AtEnd | Ended::ByBlank => rest.to_vec(),
    };
    (Template { fields }, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<(String, String)>, String) {
        let (template, body) = split(text.as_bytes());
        let pair = |field: &Field| (field.name().to_owned(), field.text(&[]));
        (
            template.fields.iter().map(pair).collect(),
            String::from_utf8(body).unwrap(),
        )
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn folded_lines_remarks_and_blanks_before_the_colon_are_understood() {
        let (headers, body) = shown(
            "# note\nTo: a@x,\n  b@x\n#c\n still c\nSubject   :\n hi\r\nX:\r\n\tone\r\n two\r\nBcc : z@x\n \nbody\n#text\n",
        );
        let wanted = [
            ("To", "a@x, b@x"),
            ("Subject", "hi"),
            ("X", "one two"),
            ("Bcc", "z@x"),
        ];
        assert_eq!(headers, pairs(&wanted));
        assert_eq!(body, "body\n#text\n");
    }

    #[test]
    fn without_an_empty_line_the_body_starts_at_the_first_line_that_is_no_header() {
        assert_eq!(
            shown("To: a@x\nhello there\nX: y\n").1,
            "hello there\nX: y\n"
        );
        assert_eq!(shown("hello\n"), (vec![], "hello\n".to_owned()));
        assert_eq!(shown(""), (vec![], String::new()));
        assert_eq!(shown("To: a@x").0, pairs(&[("To", "a@x")]));
    }

    #[test]
    fn the_line_of_an_mbox_and_a_mark_are_left_out() {
        assert_eq!(
            shown("From a@x Mon Nov 23\nTo: b@x\n\nx").0,
            pairs(&[("To", "b@x")])
        );
        assert_eq!(
            shown(">From a@x Mon Nov 23\n\u{feff}To: b@x\r\r\n\r\r\nx").0,
            pairs(&[("To", "b@x")])
        );
    }

    #[test]
    fn a_cr_begins_no_other_header() {
        assert_eq!(
            shown("Subject: a\rBcc: x@x\nTo: b@x\n\n").0,
            pairs(&[("Subject", "a Bcc: x@x"), ("To", "b@x")])
        );
    }

    #[test]
    fn of_a_mail_that_was_sent_on_the_last_one_is_the_sender() {
        let from = |text: &str| split(text.as_bytes()).0.from();
        assert_eq!(from("From: a@x\nSubject: b\n\n").as_deref(), Some("a@x"));
        assert_eq!(
            from("Resent-From: b@x\nResent-To: c@x\nResent-From: old@x\nFrom: a@x\n\n").as_deref(),
            Some("b@x")
        );
        assert_eq!(from("Resent-To: c@x\nFrom: a@x\n\n"), None);
    }

    #[test]
    fn heads_of_any_lines_take_linear_time() {
        use crate::pace::{assert_linear, numbered};
        let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
            ("headers", &|n| format!("X-{n}: y\n")),
            ("folds", &|n| {
                if n == 0 {
                    "X: y\n".to_owned()
                } else {
                    " z\n".to_owned()
                }
            }),
            ("remarks", &|_| "# x\n y\n".to_owned()),
            ("blanks", &|_| " \n".to_owned()),
            ("a name without end", &|_| "x".to_owned()),
        ];
        for (name, row) in rows {
            assert_linear(
                name,
                |size| numbered(size, row),
                |text| drop(split(text.as_bytes())),
            );
        }
    }
}
