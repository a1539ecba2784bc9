//! A plain text from HTML, for readers that show no HTML.
//!
//! Promise: linear in the length of the HTML, without recursion, whatever the HTML is; no more than
//! its words, its links and enough line ends to read them. It judges no markup: what browsers skip
//! is skipped, what is no tag is text.

use super::entity::{self, Place};

/// Elements whose content is no text.
const SKIPPED: [&str; 6] = ["script", "style", "title", "template", "svg", "iframe"];
/// Elements that stand apart by an empty line.
const APART: [&str; 15] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "hr",
    "figure",
];
/// Elements that begin and end a line.
const LINES: [&str; 18] = [
    "div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "main", "nav",
    "aside", "form", "fieldset", "address", "caption", "center", "body",
];
/// The deepest list or quotation that is shown as such; what is deeper reads as this deep.
const DEEPEST: usize = 6;

/// Makes a plain text of HTML; lines end in LF.
pub(crate) fn text_of(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = &rest[at..];
        rest = match rest.as_bytes().get(1) {
            Some(b'!') if rest.starts_with("<!--") => after(&rest[4..], "-->"),
            Some(b'!' | b'?') => after(rest, ">"),
            Some(b'/') if rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                page.tag(rest, true)
            }
            Some(c) if c.is_ascii_alphabetic() => page.tag(rest, false),
            _ => {
                page.text("<");
                &rest[1..]
            }
        };
    }
    page.text(rest);
    page.close_link();
    page.out.truncate(page.out.trim_end().len());
    if !page.out.is_empty() {
        page.out.push('\n');
    }
    page.out
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// The text so far and what the next word needs in front of it.
#[derive(Default)]
struct Page {
    out: String,
    /// Line ends before the next word: at most two.
    ends: usize,
    blank: bool,
    preformatted: usize,
    quotes: usize,
    /// The counters of open lists; `None` for bullets.
    lists: Vec<Option<u32>>,
    /// The mark of a list item that has no word yet.
    item: Option<String>,
    /// An invisible character that counts only between two others, and how many came.
    joiner: (char, usize),
    /// The link that is open: where it leads, and where its words begin.
    link: Option<(String, usize)>,
}

impl Page {
    /// Reads one tag and gives back what follows it.
    fn tag<'a>(&mut self, rest: &'a str, closing: bool) -> &'a str {
        let start = if closing { 2 } else { 1 };
        let Some(end) = tag_end(rest) else { return "" };
        let inner = &rest[start..end];
        let width = inner
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(inner.len());
        let (name, attributes) = (inner[..width.min(12)].to_ascii_lowercase(), &inner[width..]);
        let rest = &rest[end + 1..];
        if SKIPPED.contains(&name.as_str()) {
            return if closing || attributes.ends_with('/') {
                rest
            } else {
                after_closing(rest, &name)
            };
        }
        self.element(&name, attributes, closing);
        rest
    }

    fn element(&mut self, name: &str, attributes: &str, closing: bool) {
        if APART.contains(&name) {
            // A list in a list is part of it.
            let nested = matches!(name, "ul" | "ol") && self.lists.len() > usize::from(closing);
            self.end_line(if nested { 1 } else { 2 });
        } else if LINES.contains(&name) {
            self.end_line(1);
        }
        match (name, closing) {
            ("br", _) => self.end_line(self.ends + 1),
            ("hr", false) => {
                self.text("----");
                self.end_line(2);
            }
            ("td" | "th", false) => self.blank = true,
            ("pre", false) => self.preformatted += 1,
            ("pre", true) => self.preformatted = self.preformatted.saturating_sub(1),
            ("blockquote", false) => self.quotes += 1,
            ("blockquote", true) => self.quotes = self.quotes.saturating_sub(1),
            ("ul", false) => self.lists.push(None),
            ("ol", false) => self.lists.push(Some(0)),
            ("ul" | "ol", true) => drop(self.lists.pop()),
            ("li", false) => self.begin_item(),
            ("a", _) => {
                self.close_link();
                if let Some(to) =
                    attribute(attributes, "href").filter(|to| !closing && leads_somewhere(to))
                {
                    self.link = Some((to, self.out.len()));
                }
            }
            ("img", false) => {
                if let Some(words) = attribute(attributes, "alt") {
                    self.words(&words);
                }
            }
            _ => {}
        }
    }

    fn end_line(&mut self, ends: usize) {
        self.ends = self.ends.max(ends.min(2));
    }

    fn begin_item(&mut self) {
        let depth = self.lists.len().clamp(1, DEEPEST);
        let mark = match self.lists.last_mut() {
            Some(Some(count)) => {
                *count = count.saturating_add(1);
                format!("{count}. ")
            }
            _ => "- ".to_owned(),
        };
        self.item = Some("  ".repeat(depth - 1) + &mark);
    }

    fn close_link(&mut self) {
        let Some((to, start)) = self.link.take() else {
            return;
        };
        let words = self.out.get(start..).unwrap_or_default().trim();
        let shown = to.strip_prefix("mailto:").unwrap_or(&to);
        if words != shown && words != to {
            // RFC 3986 appendix C.
            self.blank |= !words.is_empty();
            self.words(&format!("<{to}>"));
        }
    }

    /// Adds text as it stands between tags.
    fn text(&mut self, raw: &str) {
        let mut rest = raw;
        while let Some(at) = rest.find('&') {
            self.words(&rest[..at]);
            let (word, width) = entity::character(&rest[at..], Place::Text);
            self.words(&word);
            rest = &rest[at + width..];
        }
        self.words(rest);
    }

    /// Adds text in which `&` means itself.
    fn words(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                // The first line end of a block is its own (HTML Standard section 13.1.2.5).
                '\n' if self.preformatted > 0 && self.ends > 0 => self.ends = 2,
                '\n' if self.preformatted > 0 => {
                    self.start_line();
                    self.out.push('\n');
                    self.indent();
                }
                ' ' | '\t' if self.preformatted > 0 => {
                    self.start_line();
                    self.out.push(c);
                }
                _ if c.is_ascii_whitespace() => self.blank = true,
                _ if is_blank(c) && self.preformatted > 0 => {
                    self.start_line();
                    self.out.push(' ');
                }
                _ if is_blank(c) => self.blank = true,
                _ if is_joiner(c) => self.joiner = (c, self.joiner.1 + 1),
                _ if c.is_control() || is_filler(c) => {}
                _ => {
                    let joiner = self.joiner_before(c);
                    self.start_line();
                    self.out.extend(joiner);
                    self.out.push(c);
                }
            }
        }
    }

    /// The invisible character that belongs between the last one and this one; those that merely
    /// fill are gone.
    fn joiner_before(&mut self, next: char) -> Option<char> {
        let (joiner, count) = std::mem::take(&mut self.joiner);
        let last = self
            .out
            .chars()
            .next_back()
            .filter(|last| !last.is_whitespace())?;
        let joins =
            count == 1 && !self.blank && self.ends == 0 && !(last.is_ascii() && next.is_ascii());
        joins.then_some(joiner)
    }

    /// Writes what stands between the last word and the next.
    fn start_line(&mut self) {
        if self.out.is_empty() {
            self.indent();
        } else if self.ends > 0 {
            self.out
                .truncate(self.out.trim_end_matches([' ', '\t']).len());
            for _ in 0..self.ends {
                self.out.push('\n');
            }
            self.indent();
        } else if self.blank && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
        (self.ends, self.blank) = (0, false);
        if let Some(mark) = self.item.take() {
            self.out.push_str(&mark);
        }
    }

    fn indent(&mut self) {
        self.out.push_str(&"> ".repeat(self.quotes.min(DEEPEST)));
    }
}

/// Blanks of any width; runs of them keep a place or push a text out of sight.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{2800}'
    )
}

/// What shapes the characters beside it, as in Persian words and in faces of several characters,
/// and fills elsewhere.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{61c}')
}

/// What nobody sees (`Default_Ignorable_Code_Point` of Unicode, but for the variation selectors).
fn is_filler(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The `>` that ends a tag, outside the quotes of attribute values.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = b' ';
    for (at, b) in tag.bytes().enumerate() {
        match quote {
            Some(open) if b == open => quote = None,
            Some(_) => continue,
            None if b == b'>' => return Some(at),
            None if matches!(b, b'"' | b'\'') && before == b'=' => quote = Some(b),
            None => {}
        }
        if !b.is_ascii_whitespace() {
            before = b;
        }
    }
    None
}

/// What follows the closing tag of an element that holds no markup; nothing when there is none, as
/// in browsers.
fn after_closing<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return after(rest, ">");
        }
    }
    ""
}

/// The value of an attribute, its characters read.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let width = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '/'))
            .unwrap_or(rest.len());
        let (name, tail) = rest.split_at(width);
        let tail = tail.trim_ascii_start();
        let Some(tail) = tail.strip_prefix('=') else {
            if tail.is_empty() {
                return None;
            }
            rest = tail;
            continue;
        };
        let tail = tail.trim_ascii_start();
        let (value, tail) = match tail.chars().next() {
            Some(quote @ ('"' | '\'')) => tail[1..].split_once(quote).unwrap_or((&tail[1..], "")),
            _ => tail.split_at(
                tail.find(|c: char| c.is_ascii_whitespace())
                    .unwrap_or(tail.len()),
            ),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(entity::characters(value)).filter(|value| !value.trim().is_empty());
        }
        rest = tail;
    }
}

fn leads_somewhere(to: &str) -> bool {
    let scheme = to
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    to.contains(':')
        && !to.contains(char::is_whitespace)
        && !["javascript", "data", "cid", "about", "vbscript"].contains(&scheme.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_reads_as_text() {
        let page = "<!DOCTYPE html><html><head><title>T</title><style>a{b:c}</style></head><body>\n\
            <h1>Build &amp; test</h1>\n<p>One<br>two   <b>bold</b>\n words.</p><ul><li>a<li>b<ol><li>x</li><li>y</li></ol></ul>\
            <p><a href=\"https://e.example/x?a=1&amp;b=2\">details</a>, <a href='mailto:me@x.example'>me@x.example</a> <a href='#top'>top</a></p>\
            <table><tr><td>k</td><td>v</td></tr><tr><td>1</td><td>2</td></tr></table><pre>\n  x\n   y</pre>\
            <blockquote>quoted<br>twice</blockquote><!-- no --><img alt='a logo' src=x><script>if (a<b) {}</script> 1 < 2 &euro;&#8364;&#128;&bogus; &#x41;</body>";
        let wanted = "Build & test\n\nOne\ntwo bold words.\n\n- a\n- b\n  1. x\n  2. y\n\n\
            details <https://e.example/x?a=1&b=2>, me@x.example top\n\nk v\n1 2\n\n  x\n   y\n\n> quoted\n> twice\n\na logo 1 < 2 €€€&bogus; A\n";
        assert_eq!(text_of(page), wanted);
    }

    #[test]
    fn nothing_to_say_says_nothing() {
        for page in [
            "",
            "<p></p>",
            "<br><br>",
            "   \n ",
            "<img src=x>",
            "<style>a",
            "<!--",
            "<a href=\"",
        ] {
            assert_eq!(text_of(page), "", "{page}");
        }
    }

    #[test]
    fn what_nobody_sees_is_gone() {
        let filler =
            "&nbsp;&zwnj;&#847;&shy;&#8199;&#xFEFF;&ZeroWidthSpace;&#8203;\u{2060}".repeat(50);
        let rows = [
            (
                format!("<div>Preheader{filler}</div><p>Text</p>"),
                "Preheader\n\nText\n",
            ),
            (
                format!("<div>{filler}</div><p>{filler}Text{filler}more</p>"),
                "Text more\n",
            ),
            (
                "in&shy;ter&#173;net w&zwj;&zwj;&zwj;w a&zwnj;b 100&nbsp;km".to_owned(),
                "internet ww ab 100 km\n",
            ),
            (
                "می&zwnj;خواهم 👩&zwj;💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}".to_owned(),
                "می\u{200c}خواهم 👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}\n",
            ),
            ("<pre>a&nbsp;&nbsp;b</pre>".to_owned(), "a  b\n"),
            ("<p>&nbsp;</p><p>&#8203;</p>".to_owned(), ""),
            (
                "<a href='https://x.example/?a&amp;b'>https://x.example/?a&amp;b</a>".to_owned(),
                "https://x.example/?a&b\n",
            ),
            (
                "<p>\u{3000}\u{3000}中文</p>".to_owned(),
                "\u{3000}\u{3000}中文\n",
            ),
        ];
        for (page, wanted) in rows {
            assert_eq!(text_of(&page), wanted, "{page:.60}");
        }
    }

    #[test]
    fn hostile_pages_take_linear_time() {
        let pieces = [
            "<a href=x:y>t",
            "<",
            "<!--",
            "&",
            "<div>",
            "<a b=\"",
            "<script>",
            "</",
            "<pre>\n",
            "<ul><li>x",
            "<blockquote>x",
            "<table><td>",
            "<p ",
            "&#",
            "&#1",
            "&CounterClockwiseContourIntegral",
            "&zwj;",
            "<title></",
            "<a href='x:",
            "<br>",
        ];
        let start = std::time::Instant::now();
        for piece in pieces {
            let text = text_of(&piece.repeat(400_000 / piece.len()));
            assert!(text.len() < 8_000_000, "{piece} grew to {}", text.len());
        }
        // Quadratic time over these would be minutes.
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn any_markup_becomes_text_without_control_characters(page in "([<>&;#\"'=/! a-z\n]|<(p|a href=|li|pre|ol|td|br|blockquote)[ >]|</(a|pre|ul)>|\\PC){0,80}") {
            prop_assert!(text_of(&page).chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
