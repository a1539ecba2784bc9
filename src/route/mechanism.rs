//! The mechanisms of a login, by name: one table.
//!
//! Promise: a mechanism is named here and nowhere else; the names of the settings, of the wire and
//! of the manual are made of these rows.

macro_rules! mechanisms {
    ($($(#[doc = $doc:literal])+ $variant:ident, $word:literal, $name:literal;)*) => {
        /// A SASL mechanism that smail speaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Mechanism {
            $($(#[doc = $doc])+ $variant,)*
        }

        /// The values of the setting `auth`. `externanon` is s-nail's word for a login by
        /// certificate.
        pub(crate) const WORDS: &[&str] = &["auto", "none", "oauth2", $($word,)* "externanon"];

        impl Mechanism {
            /// The name in AUTH.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mechanism::$variant => $name,)*
                }
            }

            /// The mechanism that a setting names.
            pub(crate) fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Mechanism::$variant),)*
                    "externanon" => Some(Mechanism::External),
                    _ => None,
                }
            }
        }
    };
}

mechanisms! {
    /// RFC 7677, bound to the TLS connection (RFC 5929 section 4).
    ScramSha256Plus, "scram-sha-256-plus", "SCRAM-SHA-256-PLUS";
    /// RFC 7677.
    ScramSha256, "scram-sha-256", "SCRAM-SHA-256";
    /// RFC 5802, bound to the TLS connection (RFC 5929 section 4).
    ScramSha1Plus, "scram-sha-1-plus", "SCRAM-SHA-1-PLUS";
    /// RFC 5802.
    ScramSha1, "scram-sha-1", "SCRAM-SHA-1";
    /// RFC 4616.
    Plain, "plain", "PLAIN";
    /// draft-murchison-sasl-login-00.
    Login, "login", "LOGIN";
    /// RFC 2195.
    CramMd5, "cram-md5", "CRAM-MD5";
    /// Google's and Microsoft's bearer token.
    Xoauth2, "xoauth2", "XOAUTH2";
    /// RFC 7628.
    Oauthbearer, "oauthbearer", "OAUTHBEARER";
    /// RFC 4422 appendix A, with the certificate of [`Trust::cert`](super::Trust::cert).
    External, "external", "EXTERNAL";
    /// RFC 4505.
    Anonymous, "anonymous", "ANONYMOUS";
}

impl Mechanism {
    /// Returns whether a password or token takes part.
    pub(crate) fn wants_secret(self) -> bool {
        !matches!(self, Mechanism::External | Mechanism::Anonymous)
    }

    /// Returns whether the secret is a token.
    pub(crate) fn wants_token(self) -> bool {
        matches!(self, Mechanism::Xoauth2 | Mechanism::Oauthbearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_name_in_small_letters() {
        for word in WORDS {
            let found = Mechanism::of_word(word);
            match *word {
                "auto" | "none" | "oauth2" => assert_eq!(found, None),
                "externanon" => assert_eq!(found, Some(Mechanism::External)),
                word => assert_eq!(
                    found.map(|m| m.name().to_ascii_lowercase()),
                    Some(word.into())
                ),
            }
        }
    }
}
