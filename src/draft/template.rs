//! Takes the head of a mail apart as `-t` reads it: folded lines, `#` remarks, and what people leave out.
//!
//! Promise: every header is kept in order with its value on one line; a Bcc is found whatever its case and blanks. Linear
//! in the length of the text.

/// The head of a template.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Template {
    /// Names as they were written, and values without line ends.
    pub headers: Vec<(String, String)>,
}

impl Template {
    /// The value of the first header of this lower-case name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Splits a text into its head and its body. The head ends at an empty line, or at the first line that is no header.
pub(super) fn split(text: &[u8], warnings: &mut Vec<String>) -> (Template, Vec<u8>) {
    let mut template = Template::default();
    let mut at = 0;
    let mut remark = false;
    while at < text.len() {
        let end = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| at + i + 1);
        let line = text[at..end].trim_ascii_end();
        let first = template.headers.is_empty();
        match line.first() {
            None => return (template, text[end..].to_vec()),
            Some(b'#') => remark = true,
            Some(b' ' | b'\t') if remark => {}
            Some(b' ' | b'\t') if !first => {
                if let Some((_, value)) = template.headers.last_mut() {
                    value.push(' ');
                    value.push_str(&decode(line.trim_ascii_start(), warnings));
                }
            }
            // The line that separates mails in an mbox, as some programs leave it at the top.
            Some(_) if first && line.starts_with(b"From ") => {}
            Some(_) => match header(line) {
                Some((name, value)) => {
                    remark = false;
                    template.headers.push((name, decode(value, warnings)));
                }
                None => return (template, text[at..].to_vec()),
            },
        }
        at = end;
    }
    (template, Vec::new())
}

/// `Name: value`, with blanks before the colon allowed (RFC 5322 section 4.5.8).
fn header(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = line[..colon].trim_ascii_end();
    let sound = !name.is_empty() && name.iter().all(|b| (b'!'..=b'~').contains(b));
    let name = std::str::from_utf8(name).ok().filter(|_| sound)?;
    Some((name.to_owned(), line[colon + 1..].trim_ascii()))
}

/// Text of a header: UTF-8, else read as windows-1252, which never fails.
pub(super) fn decode(bytes: &[u8], warnings: &mut Vec<String>) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_unknown) => {
            warnings.push("a header was not UTF-8 and was read as windows-1252".to_owned());
            encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<(String, String)>, String) {
        let (template, body) = split(text.as_bytes(), &mut Vec::new());
        (template.headers, String::from_utf8(body).unwrap())
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn folded_lines_remarks_and_blanks_before_the_colon_are_understood() {
        let (headers, body) = shown("# note\nTo: a@x,\n  b@x\n#c\nSubject   : hi\r\nBcc : z@x\n\nbody\n");
        assert_eq!(headers, pairs(&[("To", "a@x, b@x"), ("Subject", "hi"), ("Bcc", "z@x")]));
        assert_eq!(body, "body\n");
    }

    #[test]
    fn without_an_empty_line_the_body_starts_at_the_first_line_that_is_no_header() {
        assert_eq!(shown("To: a@x\nhello there\nX: y\n").1, "hello there\nX: y\n");
        assert_eq!(shown("hello\n"), (vec![], "hello\n".to_owned()));
    }

    #[test]
    fn the_line_of_an_mbox_is_left_out() {
        assert_eq!(shown("From a@x Mon Nov 23\nTo: b@x\n\nx").0, pairs(&[("To", "b@x")]));
    }

    #[test]
    fn heads_of_any_lines_take_linear_time() {
        use crate::pace::{assert_linear, numbered};
        let rows: &[(&str, &dyn Fn(usize) -> String)] = &[
            ("headers", &|n| format!("X-{n}: y\n")),
            ("folds", &|n| if n == 0 { "X: y\n".to_owned() } else { " z\n".to_owned() }),
            ("remarks", &|_| "# x\n y\n".to_owned()),
            ("blanks", &|_| " \n".to_owned()),
            ("a name without end", &|_| "x".to_owned()),
        ];
        for (name, row) in rows {
            assert_linear(name, |size| numbered(size, row), |text| drop(split(text.as_bytes(), &mut Vec::new())));
        }
    }
}
