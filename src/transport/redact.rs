//! Secrets in use, struck out of whatever the other side says.
//!
//! Promise: from when a login begins, a secret that was sent is not in any reply, on whichever
//! connection and however often a server, a proxy or a program repeats it: as it is, in base64 of
//! any alignment (alone or inside the whole answer of a mechanism), and also where a reply breaks
//! it over several lines. The code of a reply and the enhanced code behind it stay. Secrets of
//! fewer than [`SHORTEST`] bytes would strike out half of a sentence, and are left. Nothing is
//! fetched for this: a secret that was never in use cannot be struck out.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What stands in the place of a secret.
const MARK: &[u8] = b"***";
/// The shortest secret that is struck out, in bytes.
const SHORTEST: usize = 4;
/// The shortest encoded answer that is struck out as a whole: that of a login with a shorter
/// secret.
const SHORTEST_ANSWER: usize = 8;

/// Base64 as it is found in the middle of something: without padding, with bits to spare.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

type Secrets = Vec<Zeroizing<Vec<u8>>>;

/// The secrets of a run, shared by all of its connections.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<Mutex<Secrets>>,
    /// Struck out of the words of programs only: before a login a server says what it says without
    /// knowing them.
    for_programs: Arc<Mutex<Secrets>>,
}

impl Redactor {
    /// Strikes a secret out from now on.
    pub fn add(&self, secret: &[u8]) {
        insert(&mut lock(&self.secrets), secret);
    }

    /// Strikes a secret that the settings hold out of what programs say.
    pub fn add_for_programs(&self, secret: &Secret) {
        insert(&mut lock(&self.for_programs), secret.reveal().as_bytes());
    }

    /// Strikes an answer out that is sent as base64.
    pub fn add_answer(&self, encoded: &str) {
        if encoded.len() >= SHORTEST_ANSWER {
            self.add(encoded.as_bytes());
        }
    }

    /// Returns whether nothing is struck out yet.
    pub fn is_idle(&self) -> bool {
        lock(&self.secrets).is_empty()
    }

    /// One text without its secrets.
    pub fn text(&self, text: &[u8]) -> Vec<u8> {
        self.lines(&[text]).pop().unwrap_or_default()
    }

    /// The lines of a reply without its secrets; as many as before.
    pub fn lines<L: AsRef<[u8]>>(&self, lines: &[L]) -> Vec<Vec<u8>> {
        struck_out(&lock(&self.secrets), lines)
    }

    /// The lines that a program said.
    pub fn program<L: AsRef<[u8]>>(&self, lines: &[L]) -> Vec<Vec<u8>> {
        let mut secrets = lock(&self.secrets).clone();
        for secret in &*lock(&self.for_programs) {
            insert(&mut secrets, secret);
        }
        struck_out(&secrets, lines)
    }
}

fn lock(secrets: &Mutex<Secrets>) -> MutexGuard<'_, Secrets> {
    secrets.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert(secrets: &mut Secrets, secret: &[u8]) {
    if secret.len() >= SHORTEST && !secrets.iter().any(|known| known.as_slice() == secret) {
        secrets.push(Zeroizing::new(secret.to_vec()));
    }
}

fn struck_out<L: AsRef<[u8]>>(secrets: &Secrets, lines: &[L]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = lines.iter().map(AsRef::as_ref).collect();
    let mut struck: Vec<Vec<bool>> = lines.iter().map(|line| vec![false; line.len()]).collect();
    if !secrets.is_empty() {
        // A reply is broken inside a word, or at a blank that is gone then.
        for between in [&b""[..], b" "] {
            strike(secrets, &lines, between, &mut struck);
        }
    }
    lines
        .iter()
        .zip(&struck)
        .map(|(line, struck)| without(line, struck))
        .collect()
}

/// Marks in the lines what belongs to a secret, when they are read as one text.
fn strike(secrets: &Secrets, lines: &[&[u8]], between: &[u8], struck: &mut [Vec<bool>]) {
    let mut text = Zeroizing::new(Vec::new());
    let mut places = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            text.extend_from_slice(between);
        }
        let skipped = codes(line);
        places.push((text.len(), skipped));
        text.extend_from_slice(&line[skipped..]);
    }
    let mut found = vec![false; text.len()];
    for secret in secrets {
        for at in memmem::find_iter(&text, secret.as_slice()) {
            found[at..at + secret.len()].fill(true);
        }
    }
    encoded(secrets, &text, &mut found);
    for ((start, skipped), line) in places.into_iter().zip(struck) {
        let length = line.len() - skipped;
        line[skipped..]
            .iter_mut()
            .zip(&found[start..start + length])
            .for_each(|(struck, found)| *struck |= found);
    }
}

/// How many bytes at the start of a line are codes: `550-5.1.1 `.
fn codes(line: &[u8]) -> usize {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let coded = digits(line) == 3 && line.get(3).is_some_and(|b| matches!(b, b' ' | b'-'));
    let at = if coded { 4 } else { 0 };
    let mut end = at;
    for last in [b'.', b'.', b' '] {
        let count = digits(&line[end..]);
        if !(1..=3).contains(&count) || line.get(end + count) != Some(&last) {
            return at;
        }
        end += count + 1;
    }
    end
}

/// Marks every word of base64 that holds a secret, or ends in the beginning of one: servers cut
/// what they repeat.
fn encoded(secrets: &Secrets, text: &[u8], found: &mut [bool]) {
    let mut start = 0;
    while start < text.len() {
        let word = &text[start..];
        let length = word.iter().take_while(|b| is_base64(**b)).count();
        let word = &word[..length];
        if length >= SHORTEST
            && (0..4).any(|skip| holds(secrets, word.get(skip..).unwrap_or_default()))
        {
            let padding = text[start + length..]
                .iter()
                .take_while(|b| **b == b'=')
                .count();
            found[start..start + length + padding].fill(true);
        }
        start += length.max(1);
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn holds(secrets: &Secrets, word: &[u8]) -> bool {
    // One character alone is no byte.
    let whole = if word.len() % 4 == 1 {
        word.len() - 1
    } else {
        word.len()
    };
    let usual = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let word: Zeroizing<Vec<u8>> = Zeroizing::new(word[..whole].iter().map(usual).collect());
    let Ok(decoded) = LENIENT.decode(&*word).map(Zeroizing::new) else {
        return false;
    };
    secrets.iter().any(|secret| {
        let begun = (SHORTEST..secret.len().min(decoded.len() + 1))
            .any(|length| decoded.ends_with(&secret[..length]));
        begun || memmem::find(&decoded, secret).is_some()
    })
}

/// The line with a mark in place of each stretch that is struck.
fn without(line: &[u8], struck: &[bool]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for (at, byte) in line.iter().enumerate() {
        if !struck[at] {
            out.push(*byte);
        } else if at == 0 || !struck[at - 1] {
            out.extend_from_slice(MARK);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.add(secret.as_bytes());
        }
        redactor
    }

    fn told(redactor: &Redactor, lines: &[&str]) -> Vec<String> {
        redactor
            .lines(lines)
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn a_secret_is_struck_out_in_every_form_it_is_sent_in() {
        let redactor = redactor(&["hunter2 é"]);
        for (said, wanted) in [
            (
                "535 5.7.8 wrong password hunter2 é, sorry",
                "535 5.7.8 wrong password ***, sorry",
            ),
            ("535 hunter2 éhunter2 é", "535 ***"),
            ("535 nothing of it", "535 nothing of it"),
            ("535 Hunter2 É is another", "535 Hunter2 É is another"),
            // PLAIN, LOGIN, XOAUTH2; also in the alphabet of URLs, and cut off.
            (
                "535 AUTH PLAIN AGFubgBodW50ZXIyIMOp?",
                "535 AUTH PLAIN ***?",
            ),
            ("535 you said aHVudGVyMiDDqQ==", "535 you said ***"),
            (
                "334 dXNlcj1hbm4BYXV0aD1CZWFyZXIgaHVudGVyMiDDqQEB",
                "334 ***",
            ),
            ("535 <AGFubgBodW50ZXIyIMOp>", "535 <***>"),
            ("535 AUTH PLAIN AGFubgBodW50ZX...", "535 AUTH PLAIN ***..."),
            ("no code: hunter2 é", "no code: ***"),
        ] {
            assert_eq!(told(&redactor, &[said]), [wanted]);
        }
    }

    #[test]
    fn a_secret_is_found_in_each_alignment_of_base64() {
        let redactor = redactor(&["secret"]);
        for before in 0..7 {
            for behind in 0..4 {
                let sent = ["x".repeat(before), "secret".to_owned(), "y".repeat(behind)].concat();
                let line = format!("535 {} no", STANDARD.encode(sent));
                assert_eq!(told(&redactor, &[&line]), ["535 *** no"], "{line}");
            }
        }
    }

    #[test]
    fn a_reply_that_breaks_a_secret_over_its_lines_does_not_show_it() {
        let redactor = redactor(&["correct horse"]);
        for (lines, wanted) in [
            (
                ["535-5.7.8 you said corre", "535 5.7.8 ct horse!"],
                ["535-5.7.8 you said ***", "535 5.7.8 ***!"],
            ),
            (
                ["535-you said correct", "535 horse!"],
                ["535-you said ***", "535 ***!"],
            ),
            (
                ["535-said AGEAY29ycmVj", "535 dCBob3JzZQ== you"],
                ["535-said ***", "535 *** you"],
            ),
        ] {
            assert_eq!(told(&redactor, &lines), wanted);
        }
    }

    #[test]
    fn short_secrets_and_codes_stay() {
        assert_eq!(
            told(&redactor(&["abc", ""]), &["535 abc YWJj"]),
            ["535 abc YWJj"]
        );
        assert!(redactor(&["abc"]).is_idle());
        assert_eq!(
            told(&redactor(&["535 ", "5.7.8 "]), &["535 5.7.8 no"]),
            ["535 5.7.8 no"]
        );
        let answered = redactor(&["abc"]);
        answered.add_answer("AGFubgBhYmM=");
        answered.add_answer("YWJj");
        assert_eq!(
            told(&answered, &["535 PLAIN AGFubgBhYmM= YWJj"]),
            ["535 PLAIN *** YWJj"]
        );
    }

    #[test]
    fn a_secret_within_another_one_leaves_nothing_of_it() {
        assert_eq!(
            told(
                &redactor(&["pass", "password1"]),
                &["535 password1 pass word1"]
            ),
            ["535 *** *** word1"]
        );
    }

    #[test]
    fn a_large_reply_takes_no_time_to_speak_of() {
        let redactor = redactor(&[&"a".repeat(2000), &"ab".repeat(1000)]);
        let line = format!("535-{}", "a".repeat(16_000));
        let began = std::time::Instant::now();
        assert_eq!(told(&redactor, &[&line, &line, &line, &line]).len(), 4);
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn no_secret_is_left_wherever_a_server_puts_it(
            secret in "[!-~]{4,30}",
            before in "[ -~]{0,40}",
            behind in "[ -~]{0,40}",
            cut in 0_usize..100,
        ) {
            let redactor = redactor(&[&secret]);
            for form in [secret.clone(), STANDARD.encode(format!("\0user\0{secret}"))] {
                let text = format!("{before} {form} {behind}");
                let mut at = cut.min(text.len());
                while !text.is_char_boundary(at) { at -= 1; }
                let (first, last) = text.split_at(at);
                let lines = told(&redactor, &[&format!("535-{first}"), &format!("535 {last}")]);
                let joined: String = lines.iter().map(|line| &line[4..]).collect();
                prop_assert!(!joined.contains(&secret), "{joined}");
                prop_assert!(form == secret || !joined.contains(&form), "{joined}");
            }
        }
    }
}
