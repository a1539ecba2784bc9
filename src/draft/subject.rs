//! The subject, made one line where it is born: later rooms need not look again.
use crate::mime::encoded_word;

/// A subject as it is written, made one line. Callers encode it themselves, as they had to for other
/// programs, and an encoded-word may hold a line end.
pub(super) fn subject_line(written: &str, warnings: &mut Vec<String>) -> String {
    let text = encoded_word::decode(written);
    if !text.contains(['\r', '\n']) {
        return text;
    }
    warnings.push("line breaks in the subject were replaced with spaces".to_owned());
    one_line(&text)
}

fn one_line(text: &str) -> String {
    text.split(['\r', '\n'])
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
