//! The subject, made one line where it is born: later rooms need not look again.
use crate::mime::encoded_word;

/// A subject as it is written, made one line. Callers encode it themselves, as they had to for
/// other programs.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_several_lines_becomes_one_with_a_warning() {
        let rows = [
            ("plain", "plain", false),
            ("x\r\nBcc: e@x.example", "x Bcc: e@x.example", true),
            ("\n a \n\n b\n", "a b", true),
            (
                "=?utf-8?q?a=0D=0ABcc:_e@x.example?=",
                "a  Bcc: e@x.example",
                false,
            ),
        ];
        for (written, wanted, warned) in rows {
            let mut warnings = Vec::new();
            assert_eq!(subject_line(written, &mut warnings), wanted);
            assert_eq!(warnings.len(), usize::from(warned), "{written}");
        }
    }
}
