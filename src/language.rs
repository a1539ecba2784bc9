//! The languages that smail explains itself in, and sentences that exist in each of them.
//!
//! Promise: both columns of a sentence name the same parts, `{0}` to `{9}` (each table has a test);
//! a part is put in once and never read again.
/// The language of what smail says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language for a locale of messages: `zh_CN.UTF-8`, `zh`; English for every other.
    pub fn of(locale: &str) -> Self {
        let name = locale.get(..2).unwrap_or_default();
        let ends = locale
            .as_bytes()
            .get(2)
            .is_none_or(|next| !next.is_ascii_alphanumeric());
        if name.eq_ignore_ascii_case("zh") && ends {
            Language::Chinese
        } else {
            Language::English
        }
    }
}

/// A sentence in English and in Simplified Chinese: a lowercase fragment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sentence(pub(crate) &'static str, pub(crate) &'static str);

impl Sentence {
    /// The sentence with its parts put in.
    pub(crate) fn say(self, language: Language, parts: &[&str]) -> String {
        let mut rest = match language {
            Language::English => self.0,
            Language::Chinese => self.1,
        };
        let mut out =
            String::with_capacity(rest.len() + parts.iter().map(|part| part.len()).sum::<usize>());
        // From left to right and never twice: a part may hold braces of its own.
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (number, behind) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(
                number
                    .parse()
                    .ok()
                    .and_then(|number: usize| parts.get(number))
                    .unwrap_or(&""),
            );
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    /// Fails where the two columns differ in their parts.
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn check(self) {
        let parts = |text: &'static str| {
            let pieces = text.split('{').skip(1);
            let mut parts: Vec<_> = pieces.filter_map(|piece| piece.split('}').next()).collect();
            parts.sort_unstable();
            parts.dedup();
            parts
        };
        let Sentence(english, chinese) = self;
        assert_eq!(parts(english), parts(chinese), "{english}");
        assert!(!chinese.is_ascii(), "{english}");
    }
}

/// Declares a table of sentences: `NAME: "English", "Chinese";` for each.
macro_rules! sentences {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        $(
            pub(crate) const $name: $crate::language::Sentence =
                $crate::language::Sentence($english, $chinese);
        )*
        /// Every sentence, for the test.
        #[cfg(test)]
        const ALL: &[$crate::language::Sentence] = &[$($name),*];
    };
}

pub(crate) use sentences;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_put_in_as_it_is() {
        let sentence = Sentence("cannot log in to {0} as {1}", "无法以 {1} 登录 {0}");
        assert_eq!(
            sentence.say(Language::English, &["{1}", "{0}"]),
            "cannot log in to {1} as {0}"
        );
        assert_eq!(
            sentence.say(Language::Chinese, &["h", "u"]),
            "无法以 u 登录 h"
        );
        assert_eq!(
            sentence.say(Language::English, &["h"]),
            "cannot log in to h as "
        );
    }
}
