//! The inner loops in memory, in bytes a second: `cargo bench --bench micro [NAME]`.
//!
//! Only work that grows with the length of a message, a list or a file is here. The names are those
//! of the results.
use std::fmt::Write as _;
use std::path::Path;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use smail::address::{self, Mailbox};
use smail::mailrc::{self, Context, Dialect};
use smail::mime::{crlf, header, transfer};

const MEGABYTE: usize = 1_000_000;

fn main() {
    divan::main();
}

/// Gives the closure the same input again and again.
fn over<T>(bencher: Bencher<'_, '_>, bytes: usize, work: impl Fn() -> T + Sync) {
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| black_box(work()));
}

fn text(line: &[u8]) -> Vec<u8> {
    line.iter().copied().cycle().take(MEGABYTE).collect()
}

/// The canonicaliser, on a text of this system.
#[divan::bench]
fn canonical(bencher: Bencher<'_, '_>) {
    let text = text(b"The quick brown fox jumps over the lazy dog, and nobody knows the reason.\n");
    over(bencher, text.len(), || crlf::canonical(black_box(&text)));
}

/// The canonicaliser, on a text of short lines: the worst that people write.
#[divan::bench]
fn canonical_short_lines(bencher: Bencher<'_, '_>) {
    let text = text(b"a line\r\n");
    over(bencher, text.len(), || crlf::canonical(black_box(&text)));
}

/// The search for lines that are too long.
#[divan::bench]
fn check(bencher: Bencher<'_, '_>) {
    let text = crlf::canonical(&text(
        b"The quick brown fox jumps over the lazy dog, and nobody knows the reason.\n",
    ));
    over(bencher, text.len(), || {
        crlf::check(black_box(&text)).is_ok()
    });
}

/// Base64 with its line ends, a piece of an attachment at a time, counted in bytes of the file.
#[divan::bench]
fn base64(bencher: Bencher<'_, '_>) {
    let piece: Vec<u8> = (0..=u8::MAX).cycle().take(57 * 1024).collect();
    over(bencher, piece.len(), || transfer::base64(black_box(&piece)));
}

/// A long subject in a script that must be encoded.
#[divan::bench]
fn fold_subject_encoded(bencher: Bencher<'_, '_>) {
    let subject = "Grüße aus Köln, wo es schöne Brücken gibt ".repeat(20);
    over(bencher, subject.len(), || {
        header::subject(black_box(&subject))
    });
}

/// A long subject that only has to be folded.
#[divan::bench]
fn fold_subject_ascii(bencher: Bencher<'_, '_>) {
    let subject = "the nightly backup of the third machine has ended ".repeat(20);
    over(bencher, subject.len(), || {
        header::subject(black_box(&subject))
    });
}

fn list() -> String {
    let mut list = String::new();
    for number in 0..1_000 {
        write!(
            list,
            "\"Doe, Jane {number}\" <jane.doe{number}@example.com>, plain{number}@example.org, "
        )
        .unwrap();
    }
    list
}

fn mailboxes() -> Vec<Mailbox> {
    address::parse_list(&list()).unwrap()
}

/// A To header of two thousand.
#[divan::bench]
fn fold_mailboxes(bencher: Bencher<'_, '_>) {
    let mailboxes = mailboxes();
    over(bencher, list().len(), || {
        header::mailboxes("To", black_box(&mailboxes)).unwrap()
    });
}

/// A list of two thousand addresses, half of them with names in quotes.
#[divan::bench]
fn parse_addresses(bencher: Bencher<'_, '_>) {
    let list = list();
    over(bencher, list.len(), || {
        address::parse_list(black_box(&list)).unwrap()
    });
}

/// A mail.rc that has grown for years: comments, settings and aliases.
#[divan::bench]
fn parse_mailrc(bencher: Bencher<'_, '_>) {
    let mut file = String::new();
    for number in 0..500 {
        write!(
            file,
            "# of the year {number}\nset name{number}=\"a value\" other{number}\n"
        )
        .unwrap();
        writeln!(
            file,
            "alias team{number} ann@example.com bob@example.com 'Carl <carl@example.com>'"
        )
        .unwrap();
    }
    let world = Context {
        home: None,
        stdin_is_terminal: false,
        variables: &|_| None,
        known: &|_| true,
        dialect: Dialect::default(),
    };
    bencher
        .counter(BytesCount::new(file.len()))
        .bench_local(|| mailrc::parse(black_box(file.as_bytes()), Path::new("mail.rc"), &world));
}
