//! The table of hints: what a row may say, what is wrong with one, and its code.
use std::collections::HashSet;

use serde::Deserialize;

use crate::providers::{Provider, family};
use crate::rows::{Complaints, Row, Table};

/// A hint as it is written.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Hint {
    provider: String,
    host: String,
    cause: String,
    stage: String,
    code: String,
    enhanced: String,
    pattern: String,
    common: String,
    vague: String,
    alone: String,
    class: String,
    who: String,
    meaning: String,
    action: String,
    zh_meaning: String,
    zh_action: String,
    source: String,
    date: String,
    /// For the tests.
    examples: Vec<String>,
}

/// Families that rows are about although no provider of the table belongs to them.
const WITHOUT_PROVIDER: &[&str] = &["plunk"];

const CAUSES: &[&str] = &[
    "clear-login",
    "distrust",
    "handshake",
    "in-doubt",
    "lacks-8bitmime",
    "lacks-auth",
    "lacks-mechanism",
    "lacks-smtputf8",
    "lacks-starttls",
    "lost",
    "no-answer",
    "no-secret",
    "token-sign-in",
    "token-denied",
    "token-settings",
    "token-temporary",
    "token-protocol",
    "token-file",
    "no-such-host",
    "not-started",
    "program",
    "protocol",
    "proxy",
    "scram",
    "silent",
    "swallowed",
    "tls-settings",
    "too-big",
    "unreachable",
];

const STAGES: &[&str] = &[
    "prepare",
    "resolve",
    "connect",
    "greeting",
    "hello",
    "tls",
    "login",
    "sender",
    "recipient",
    "data",
    "content",
];

/// The values of `class` as Rust code.
const CLASSES: &[(&str, &str)] = &[
    ("", "None"),
    ("done", "Some(Class::Done)"),
    ("temporary", "Some(Class::Temporary)"),
    ("permanent", "Some(Class::Permanent)"),
];

/// The values of `who` as Rust code.
const WHO: &[(&str, &str)] = &[
    ("you", "Who::You"),
    ("recipient", "Who::Recipient"),
    ("server", "Who::Server"),
    ("network", "Who::Network"),
    ("admin", "Who::Admin"),
];

fn code(words: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    words.iter().find(|row| row.0 == word).map(|row| row.1)
}

/// Whether a word is a reply code, or all of one first digit: `535`, `4xx`.
fn is_reply_code(word: &str) -> bool {
    match word.strip_suffix("xx") {
        Some(digit) => matches!(digit, "2" | "3" | "4" | "5"),
        None => word.parse().is_ok_and(|code| (200..600).contains(&code)),
    }
}

/// Whether a word is an enhanced code: `5.7.8`, `x.7.9`, `5.7.500-699`.
fn is_enhanced_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let [class, subject, detail] = parts[..] else {
        return false;
    };
    let (low, high) = detail.split_once('-').unwrap_or((detail, detail));
    let is_number = |text: &str| text.parse::<u16>().is_ok();
    matches!(class, "x" | "2" | "4" | "5") && [subject, low, high].into_iter().all(is_number)
}

/// Whether a word may stand in a list.
type Known<'a> = &'a dyn Fn(&str) -> bool;

/// Notes what is wrong with the rows.
pub(crate) fn check(rows: &[Row<Hint>], providers: &[Row<Provider>], complaints: &mut Complaints) {
    let mut families: HashSet<&str> = providers.iter().map(family).collect();
    families.extend(WITHOUT_PROVIDER);
    for row in rows {
        let fields = &row.fields;
        let is_family = |word: &str| families.contains(word);
        let is_cause = |word: &str| CAUSES.contains(&word);
        let is_stage = |word: &str| STAGES.contains(&word);
        let lists: [(&str, &str, Known<'_>); 5] = [
            ("provider", &fields.provider, &is_family),
            ("cause", &fields.cause, &is_cause),
            ("stage", &fields.stage, &is_stage),
            ("code", &fields.code, &is_reply_code),
            ("enhanced", &fields.enhanced, &is_enhanced_code),
        ];
        for (key, list, known) in lists {
            for word in list.split(' ').filter(|_| !list.is_empty()) {
                row.complain(
                    !known(word),
                    &format!("{key}: unknown word `{word}`"),
                    complaints,
                );
            }
        }
        for (key, flag) in [
            ("common", &fields.common),
            ("vague", &fields.vague),
            ("alone", &fields.alone),
        ] {
            row.complain(
                !matches!(flag.as_str(), "" | "yes"),
                &format!("{key}: expected yes or nothing"),
                complaints,
            );
        }
        check_texts(row, complaints);
    }
}

/// Notes texts that are missing, too long or of the wrong form.
fn check_texts(row: &Row<Hint>, complaints: &mut Complaints) {
    let fields = &row.fields;
    let mut complain = |wrong, what: &str| row.complain(wrong, what, complaints);
    let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    complain(
        fields.meaning.is_empty() || fields.action.is_empty(),
        "meaning, action: expected a text",
    );
    complain(
        !chinese(&fields.zh_meaning) || fields.zh_action.is_ascii(),
        "zh-meaning, zh-action: expected Chinese",
    );
    complain(
        fields.source.is_empty() || !fields.date.starts_with("20"),
        "source, date: expected both",
    );
    complain(
        fields.meaning.chars().count() > 160 || fields.action.chars().count() > 200,
        "meaning, action: longer than 160 and 200 characters",
    );
    complain(
        fields.action.matches("; ").count() > 2,
        "action: more than three clauses",
    );
    complain(
        fields.meaning.ends_with('.') || fields.zh_action.ends_with('\u{3002}'),
        "meaning, zh-action: ends with a period",
    );
    complain(
        !fields.pattern.is_empty() && fields.pattern.split('|').any(str::is_empty),
        "pattern: an alternative is empty",
    );
    complain(
        fields.pattern.bytes().any(|byte| byte.is_ascii_uppercase()),
        "pattern: expected lower case",
    );
    complain(
        code(CLASSES, &fields.class).is_none(),
        &format!("class: unknown word `{}`", fields.class),
    );
    complain(
        code(WHO, &fields.who).is_none(),
        &format!("who: unknown word `{}`", fields.who),
    );
    complain(
        fields.examples.iter().any(String::is_empty),
        "examples: an empty one",
    );
}

/// The code of the table.
pub(crate) fn table(rows: &[Row<Hint>]) -> Table {
    let mut table = Table::default();
    let mut codes = Vec::new();
    for row in rows {
        let fields = &row.fields;
        let spans = [
            ("id", row.id.as_str()),
            ("source", &fields.source),
            ("date", &fields.date),
            ("provider", &fields.provider),
            ("host", &fields.host),
            ("cause", &fields.cause),
            ("stage", &fields.stage),
            ("reply", &fields.code),
            ("enhanced", &fields.enhanced),
            ("pattern", &fields.pattern),
        ]
        .map(|(name, text)| format!("{name}: {}", table.span(text)));
        let mut both = |name: &str, texts: [&str; 2]| {
            let spans = texts.map(|text| table.span(text));
            format!("{name}: [{}]", spans.join(", "))
        };
        let meaning = both("meaning", [&fields.meaning, &fields.zh_meaning]);
        let action = both("action", [&fields.action, &fields.zh_action]);
        codes.push(format!(
            "Row {{ {}, {meaning}, {action}, class: {}, who: {}, common: {}, vague: {}, alone: {} }}",
            spans.join(", "),
            code(CLASSES, &fields.class).unwrap_or("None"),
            code(WHO, &fields.who).unwrap_or("Who::You"),
            !fields.common.is_empty(),
            !fields.vague.is_empty(),
            !fields.alone.is_empty(),
        ));
    }
    table.list("ROWS", "Row", &codes);
    table
}
