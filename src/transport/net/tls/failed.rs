//! Why TLS has not begun, in the words of the library.
use super::Leaf;
use crate::delivery::Cause;
use crate::text::short;

/// Why TLS has not begun.
pub(crate) struct Failed {
    /// What it means for the delivery.
    pub cause: Cause,
    /// What answered was not TLS.
    pub not_tls: bool,
    /// Nobody who is trusted vouches for the certificate.
    pub unknown_issuer: bool,
    /// The certificate that is not trusted, where the library has shown it.
    pub leaf: Option<Leaf>,
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Failed {
            cause,
            not_tls: false,
            unknown_issuer: false,
            leaf: None,
        }
    }
}

/// What the library says, without the names of its functions:
/// `error:NUMBER:library:function:reason:file:line:`.
pub(crate) fn said(text: &str) -> String {
    let reason = if text.starts_with("error:") {
        text.split(':').nth(4)
    } else {
        None
    };
    short(reason.unwrap_or(text))
}
