//! What became of a mail for programs: `--json`, and the dialogue for `-v`.
//!
//! Promise: one object on one line, the same keys always, no secret.
use serde::Serialize;

use crate::delivery::{Class, Line, RecipientResult, Report};
use crate::hints::{self, Explanation, Hint};
use crate::language::Language;
use crate::queue::Item;
use crate::text::{self, Policy, short, word};

/// The object of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    /// The Message-ID.
    id: Option<&'a str>,
    /// `done`, `partial`, `temporary` or `permanent`; `error` when nothing could be tried.
    status: &'static str,
    /// The exit status.
    exit: u8,
    /// The route.
    route: Option<&'a str>,
    /// Who logged in.
    user: Option<&'a str>,
    /// Bytes sent.
    bytes: u64,
    /// Milliseconds.
    timing: Option<Milliseconds>,
    /// Every recipient.
    recipients: Vec<Recipient<'a>>,
    /// The id in the queue, when the mail waits there or was kept.
    queue_id: Option<&'a str>,
    /// The text for standard error.
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    connect: u128,
    session: u128,
    transaction: u128,
}

#[derive(Debug, Serialize)]
struct Recipient<'a> {
    address: &'a str,
    class: &'static str,
    stage: Option<&'static str>,
    code: Option<u16>,
    enhanced: Option<String>,
    reply: Option<String>,
    in_doubt: bool,
    hint: Option<Advice>,
}

/// What a failure means and what to do about it.
#[derive(Debug, Serialize)]
struct Advice {
    id: &'static str,
    who: &'static str,
    meaning: &'static str,
    action: &'static str,
}

impl Advice {
    fn new(hint: &Hint, language: Language) -> Self {
        Advice {
            id: hint.id,
            who: hint.who.word(),
            meaning: hint.meaning(language),
            action: hint.action(language),
        }
    }
}

/// The object for a mail that was tried; failures are explained in this language.
pub(crate) fn summary(
    id: &str,
    report: &Report,
    exit: u8,
    queue_id: Option<&str>,
    error: Option<&str>,
    language: Language,
) -> String {
    let timing = Milliseconds {
        connect: report.timing.connect.as_millis(),
        session: report.timing.session.as_millis(),
        transaction: report.timing.transaction.as_millis(),
    };
    let summary = Summary {
        id: Some(id),
        status: status(report),
        exit,
        route: Some(&report.via),
        user: report.user.as_deref(),
        bytes: report.bytes,
        timing: Some(timing),
        recipients: report
            .recipients
            .iter()
            .map(|result| recipient(result, language))
            .collect(),
        queue_id,
        error,
    };
    line(&summary)
}

/// The object for a mail that was not tried: empty and dropped (`-E`), or an error before.
pub(crate) fn untried(exit: u8, queue_id: Option<&str>, error: Option<&str>) -> String {
    let status = if error.is_some() { "error" } else { "done" };
    let recipients = Vec::new();
    line(&Summary {
        id: None,
        status,
        exit,
        route: None,
        user: None,
        bytes: 0,
        timing: None,
        recipients,
        queue_id,
        error,
    })
}

fn line(object: &impl Serialize) -> String {
    let mut line = serde_json::to_string(object).unwrap_or_default();
    line.push('\n');
    // Whoever looks at it on a terminal is not steered by it either; the values stay the same.
    text::safe(&line, Policy::Json).into_owned()
}

fn status(report: &Report) -> &'static str {
    let done = report
        .recipients
        .iter()
        .filter(|f| f.class() == Class::Done)
        .count();
    let permanent = report
        .recipients
        .iter()
        .any(|f| f.class() == Class::Permanent);
    match (done == report.recipients.len(), done, permanent) {
        (true, _, _) => "done",
        (false, 1.., _) => "partial",
        (false, 0, true) => "permanent",
        (false, 0, false) => "temporary",
    }
}

fn recipient(result: &RecipientResult, language: Language) -> Recipient<'_> {
    let reply = match &result.outcome {
        Ok(reply) => Some(reply),
        Err(fault) => fault.reply(),
    };
    let fault = result.outcome.as_ref().err();
    Recipient {
        address: &result.recipient,
        class: result.class().word(),
        stage: fault.map(|f| f.stage.word()),
        code: reply.map(|r| r.code),
        enhanced: reply.and_then(|r| r.enhanced).map(|e| e.to_string()),
        reply: reply.map(crate::delivery::Reply::text),
        in_doubt: fault.is_some_and(|f| f.in_doubt),
        hint: fault
            .and_then(hints::of)
            .map(|hint| Advice::new(hint, language)),
    }
}

/// What `--explain` found out about one failure.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    text: &'a str,
    code: Option<u16>,
    enhanced: Option<String>,
    class: Option<&'static str>,
    provider: Option<&'a str>,
    hint: Option<Advice>,
}

/// The labels of `--explain`, in English and in Chinese.
const LABELS: [[&str; 4]; 2] = [
    ["means:", "what to expect:", "who acts:", "what to do:"],
    ["含义：", "结果：", "由谁处理：", "处理方法："],
];
/// What becomes of the mail, by class.
const FOLLOWS: [[&str; 3]; 2] = [
    [
        "nothing failed",
        "temporary: trying again later may help",
        "permanent: trying again does not help",
    ],
    [
        "没有失败",
        "暂时性失败：稍后重试可能成功",
        "永久性失败：重试无用",
    ],
];
/// Who has to act, in the order of the words of [`Hint::who`].
const ACTORS: [[&str; 2]; 5] = [
    ["you", "您自己"],
    [
        "the recipient, or someone who knows the right address",
        "收件人（或知道正确地址的人）",
    ],
    [
        "the server; often it resolves itself",
        "服务器一方，通常稍后会自行恢复",
    ],
    ["the network administrator", "网络管理员"],
    [
        "the administrator of the account or the domain",
        "账号或域名的管理员",
    ],
];

/// The text of `--explain`: a paragraph for each failure. `more` tells what is to be done beyond
/// the row of the table.
pub(crate) fn explained(
    found: &[Explanation],
    language: Language,
    more: &dyn Fn(&Explanation) -> Option<String>,
) -> String {
    let paragraphs: Vec<String> = found
        .iter()
        .map(|one| paragraph(one, language, more(one)))
        .collect();
    paragraphs.join("\n")
}

fn paragraph(found: &Explanation, language: Language, more: Option<String>) -> String {
    let column = language as usize;
    let enhanced = found
        .enhanced
        .map(|code| code.to_string())
        .filter(|code| !found.text.contains(code.as_str()));
    let text = Some(found.text.clone()).filter(|text| !text.is_empty());
    let mut out = [found.code.map(|code| code.to_string()), enhanced, text]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    out.push('\n');
    let mut line = |label: usize, text: &str| {
        out.extend([
            "  ",
            LABELS[column][label],
            if column == 0 { " " } else { "" },
            text,
            "\n",
        ]);
    };
    if let Some(hint) = found.hint {
        line(0, hint.meaning(language));
    }
    if let Some(class) = found.class {
        line(1, FOLLOWS[column][class as usize]);
    }
    if let Some(hint) = found.hint {
        line(2, ACTORS[hint.who as usize][column]);
        line(3, hint.action(language));
    }
    out.extend(more.map(|more| format!("    {more}\n")));
    out
}

/// The array of `--explain --json`.
pub(crate) fn explained_json(found: &[Explanation], language: Language) -> String {
    let objects: Vec<Explained<'_>> = found
        .iter()
        .map(|one| Explained {
            text: &one.text,
            code: one.code,
            enhanced: one.enhanced.map(|code| code.to_string()),
            class: one.class.map(Class::word),
            provider: one.provider.as_deref(),
            hint: one.hint.map(|hint| Advice::new(hint, language)),
        })
        .collect();
    line(&objects)
}

/// One line of the dialogue, as people write dialogues.
pub(crate) fn spoken(line: &Line) -> String {
    match line {
        Line::Client(text) => format!("C: {}\n", text::safe(text, Policy::Line)),
        Line::Server(text) => format!("S: {}\n", text::safe(text, Policy::Line)),
        Line::Note(text) => format!("-- {}\n", text::safe(text, Policy::Line)),
    }
}

/// The list of `--queue --json`.
pub(crate) fn queue_json(items: &[Item]) -> String {
    line(&items)
}

/// The list of `--queue`: a line a mail, and one on why it waits.
pub(crate) fn queue_list(items: &[Item], now: i64) -> String {
    use std::fmt::Write as _;
    if items.is_empty() {
        return "The queue is empty\n".to_owned();
    }
    let mut out = String::new();
    for item in items {
        let _ = writeln!(
            out,
            "{}  {:<8} {:>4}  {:>8}  {} tries  {} -> {}",
            word(&item.id),
            item.state,
            span(now.saturating_sub(item.created)),
            size(item.size),
            item.tries,
            word(if item.from.is_empty() {
                "<>"
            } else {
                &item.from
            }),
            word(&listed(&item.to))
        );
        let next = match item.state {
            "failed" | "held" | "sending" | "damaged" => String::new(),
            _ if item.next <= now => "; next: now".to_owned(),
            _ => format!("; next: in {}", span(item.next.saturating_sub(now))),
        };
        if !item.last.is_empty() || !next.is_empty() {
            let _ = writeln!(out, "    {}{next}", short(&item.last));
        }
    }
    out
}

/// The first few of a list, and how many follow.
fn listed(addresses: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = addresses
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match addresses.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..=99 => format!("{seconds}s"),
        100..=5999 => format!("{}m", seconds / 60),
        6000..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..=9999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} KB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// The list in the words of Postfix, which monitoring programs read: they look at the first line
/// for an empty queue, and at the last for the count of what waits. Mail that failed has the mark
/// `#`, and is in neither.
pub(crate) fn mailq(items: &[Item]) -> String {
    use std::fmt::Write as _;
    let (failed, waiting): (Vec<&Item>, Vec<&Item>) =
        items.iter().partition(|i| i.state == "failed");
    let entries = |items: &[&Item]| {
        items
            .iter()
            .map(|item| mailq_entry(item))
            .collect::<String>()
    };
    if waiting.is_empty() {
        return format!("Mail queue is empty\n{}", entries(&failed));
    }
    let mut out =
        String::from("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
    out.push_str(&entries(&waiting));
    out.push_str(&entries(&failed));
    let kilobytes = waiting.iter().map(|i| i.size).sum::<u64>().div_ceil(1024);
    let plural = if waiting.len() == 1 { "" } else { "s" };
    let _ = writeln!(
        out,
        "-- {kilobytes} Kbytes in {} Request{plural}.",
        waiting.len()
    );
    out
}

fn mailq_entry(item: &Item) -> String {
    use std::fmt::Write as _;
    let mark = match item.state {
        "sending" => '*',
        "held" => '!',
        "failed" => '#',
        _ => ' ',
    };
    let time = chrono::DateTime::from_timestamp_millis(item.created)
        .unwrap_or_default()
        .with_timezone(&chrono::Local);
    let from = word(if item.from.is_empty() {
        "MAILER-DAEMON"
    } else {
        &item.from
    });
    let id = format!("{}{mark}", word(&item.id));
    let mut out = format!(
        "{id:<11}{:>9} {} {from}\n",
        item.size,
        time.format("%a %b %e %H:%M:%S")
    );
    if !item.last.is_empty() {
        let last = format!("({})", short(&item.last));
        let _ = writeln!(
            out,
            "{last:>width$}",
            width = 40 + last.chars().count().min(38)
        );
    }
    for to in &item.to {
        let _ = writeln!(out, "{:41}{}", "", word(to));
    }
    out.push('\n');
    out
}
