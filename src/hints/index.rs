//! The search among the rows: first by what is known beside the words, then by the words.
//!
//! Promise: the answer is that of comparing every row, which the tests do; a text is walked through
//! once, whatever the number of rows, so that a list of many refusals with words of their own costs
//! little.
use std::cell::RefCell;
use std::sync::OnceLock;

use super::table::{Hint, rows};
use super::{Fit, Sought, fit, pattern};
use crate::delivery::{EnhancedCode, Stage};

/// A row and how well it fits; the first of equals in the order of the table is the better one.
type Found = Option<(usize, Fit)>;

/// The bytes by which the words of a row are found.
const START: usize = 4;

/// How many answers without words are remembered: a session hears few kinds of codes.
const REMEMBERED: usize = 8;

/// The best row of all.
pub(super) fn best(sought: &Sought<'_>) -> Option<(&'static Hint, Fit)> {
    let index = Index::get();
    let mut found = wordless(sought);
    for (row, said) in index.spoken(&sought.text) {
        found = better(found, row, sought, Some(said));
    }
    let (row, fit) = found?;
    Some((&rows()[row], fit))
}

fn better(found: Found, row: usize, sought: &Sought<'_>, said: Option<usize>) -> Found {
    let Some(fit) = fit(&rows()[row], sought, said) else {
        return found;
    };
    match found {
        Some((known, so_far)) if so_far > fit || (so_far == fit && known < row) => found,
        _ => Some((row, fit)),
    }
}

/// Everything of a question but its words.
#[derive(PartialEq, Eq)]
struct Codes {
    family: Option<String>,
    host: Option<String>,
    stage: Option<Stage>,
    cause: Option<&'static str>,
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
}

impl Codes {
    fn of(sought: &Sought<'_>) -> Self {
        let Sought {
            family,
            host,
            stage,
            cause,
            code,
            enhanced,
            ..
        } = *sought;
        Codes {
            family: family.map(str::to_owned),
            host: host.map(str::to_owned),
            stage,
            cause,
            code,
            enhanced,
        }
    }

    fn is_of(&self, sought: &Sought<'_>) -> bool {
        let Sought {
            family,
            host,
            stage,
            cause,
            code,
            enhanced,
            ..
        } = *sought;
        (self.family.as_deref(), self.host.as_deref()) == (family, host)
            && (self.stage, self.cause, self.code, self.enhanced) == (stage, cause, code, enhanced)
    }
}

thread_local! {
    /// The best rows without words, for the questions asked last.
    static WORDLESS: RefCell<Vec<(Codes, Found)>> = const { RefCell::new(Vec::new()) };
}

/// The best row of those that count without words.
fn wordless(sought: &Sought<'_>) -> Found {
    let index = Index::get();
    let known = WORDLESS.with_borrow(|all| {
        all.iter()
            .find(|(codes, _)| codes.is_of(sought))
            .map(|(_, found)| *found)
    });
    let found = known.unwrap_or_else(|| {
        let found = index
            .wordless
            .iter()
            .fold(None, |found, row| better(found, *row, sought, None));
        WORDLESS.with_borrow_mut(|all| {
            if all.len() == REMEMBERED {
                all.remove(0);
            }
            all.push((Codes::of(sought), found));
        });
        found
    });
    // Where the host is not known, the words may name it.
    index
        .of_hosts
        .iter()
        .fold(found, |found, row| better(found, *row, sought, None))
}

/// What is worked out once from the table.
struct Index {
    /// Rows that count without words, but for those of hosts.
    wordless: Vec<usize>,
    /// The same, of hosts.
    of_hosts: Vec<usize>,
    /// The words of rows: each alternative with its row.
    alternatives: Vec<(usize, &'static str)>,
    /// The first bytes of alternatives, sorted, and their places.
    starts: Vec<([u8; START], usize)>,
    /// The places of alternatives whose first part has fewer bytes.
    short: Vec<usize>,
}

impl Index {
    fn get() -> &'static Index {
        static INDEX: OnceLock<Index> = OnceLock::new();
        INDEX.get_or_init(|| Index::new(rows()))
    }

    fn new(rows: &'static [Hint]) -> Self {
        let silent = |row: &&(usize, &Hint)| row.1.pattern.is_empty() || row.1.alone;
        let (of_hosts, wordless): (Vec<_>, Vec<_>) = rows
            .iter()
            .enumerate()
            .filter(|row| silent(&row))
            .partition(|(_, row)| !row.host.is_empty());
        let places = |rows: Vec<(usize, &Hint)>| rows.into_iter().map(|(at, _)| at).collect();
        let spoken = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| !row.pattern.is_empty());
        let alternatives: Vec<(usize, &str)> = spoken
            .flat_map(|(at, row)| row.pattern.split('|').map(move |words| (at, words)))
            .collect();
        let (mut starts, mut short) = (Vec::new(), Vec::new());
        for (place, (_, words)) in alternatives.iter().enumerate() {
            let first = words
                .split('*')
                .find(|part| !part.is_empty())
                .unwrap_or_default();
            match first.as_bytes().first_chunk() {
                Some(start) => starts.push((*start, place)),
                None => short.push(place),
            }
        }
        starts.sort_unstable();
        Index {
            wordless: places(wordless),
            of_hosts: places(of_hosts),
            alternatives,
            starts,
            short,
        }
    }

    /// The rows whose words a text holds, and the length of the longest of them.
    fn spoken(&self, text: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for place in self.candidates(text) {
            let (row, words) = self.alternatives[place];
            if !pattern::holds(words, text) {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == row) {
                Some((_, length)) => *length = (*length).max(words.len()),
                None => found.push((row, words.len())),
            }
        }
        found
    }

    /// The places of the alternatives whose first bytes stand in a text, each once.
    fn candidates(&self, text: &str) -> Vec<usize> {
        let mut places = self.short.clone();
        let mut seen = vec![false; self.alternatives.len()];
        for start in text.as_bytes().windows(START) {
            let first = self.starts.partition_point(|(known, _)| known[..] < *start);
            let same = self.starts[first..]
                .iter()
                .take_while(|(known, _)| known[..] == *start);
            places.extend(
                same.map(|(_, place)| *place)
                    .filter(|place| !std::mem::replace(&mut seen[*place], true)),
            );
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::{Query, table::STAGES};

    /// What comparing every row finds.
    fn plainly(sought: &Sought<'_>) -> Option<(&'static str, Fit)> {
        let mut best: Option<(&'static str, Fit)> = None;
        for row in rows() {
            let Some(fit) = fit(row, sought, pattern::longest(row.pattern, &sought.text)) else {
                continue;
            };
            if best.is_none_or(|(_, so_far)| fit > so_far) {
                best = Some((row.id, fit));
            }
        }
        best
    }

    fn same(sought: &Sought<'_>) {
        let found = best(sought).map(|(row, fit)| (row.id, fit));
        assert!(
            found == plainly(sought),
            "{}: {:?}",
            sought.text,
            found.map(|(id, _)| id)
        );
    }

    #[test]
    fn the_search_finds_what_comparing_every_row_finds() {
        let mut texts: Vec<&str> = super::super::corpus::texts().collect();
        texts.extend(rows().iter().flat_map(|row| row.pattern.split(['|', '*'])));
        texts.extend(["", "no", "smtp.gmail.com said no", "\u{4e2d}\u{6587}"]);
        for (turn, text) in texts
            .into_iter()
            .enumerate()
            .filter(|(turn, _)| turn % 3 == 0)
        {
            let code = text.get(..3).and_then(|code| code.parse().ok());
            for provider in [None, Some(["gmail", "163", "outlook", "aliqiye"][turn % 4])] {
                for stage in [None, Some(STAGES[turn % STAGES.len()])] {
                    for code in [None, code, Some([450, 504, 535, 550, 554][turn % 5])] {
                        let query = Query {
                            provider,
                            host: None,
                            stage,
                            code,
                            enhanced: None,
                            text,
                        };
                        same(&Sought::new(&query, None));
                    }
                    let query = Query {
                        provider,
                        stage,
                        text,
                        ..Query::default()
                    };
                    same(&Sought::new(
                        &query,
                        Some(["lost", "silent", "distrust", "proxy"][turn % 4]),
                    ));
                }
            }
        }
    }

    #[test]
    fn few_words_of_the_table_are_compared_with_a_refusal() {
        let index = Index::get();
        let text = "550 5.1.1 <r17@x.example>: recipient address rejected: user unknown in virtual mailbox table 17";
        let compared = index.candidates(text).len();
        assert!(
            compared * 10 < index.alternatives.len(),
            "{compared} of {}",
            index.alternatives.len()
        );
        // However often the words of one come.
        let mut all = index.candidates(&"user unknown ".repeat(600));
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
