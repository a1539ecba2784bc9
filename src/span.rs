//! A part of a long text, for tables that are made when the program is built.
//!
//! Promise: a table of these holds no address, so that its pages are loaded only when somebody
//! looks into it, and the dynamic linker has nothing to adjust when the program starts.

/// A part of a text: where it begins, and its length, both in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) u32, pub(crate) u16);

impl Span {
    /// The part; empty where the text is shorter.
    pub(crate) fn of(self, text: &'static str) -> &'static str {
        let start = self.0 as usize;
        text.get(start..start + usize::from(self.1))
            .unwrap_or_default()
    }
}
