//! The events of a mail, as they stand in its journal: a tagged JSON object each.
//!
//! Promise: what an older smail wrote can be read; a damaged line asks for no memory.
use serde::{Deserialize, Serialize};

/// One event; times in milliseconds from 1970, recipients by their place in the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// An attempt begins.
    Begin {
        /// When.
        at: i64,
        /// Nothing can be tried, as there is no route: it counts for the schedule and not for the
        /// lifetime.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        idle: bool,
    },
    /// The final dot is about to be sent for these. Durable before it leaves.
    Dot {
        /// When.
        at: i64,
        /// For whom.
        #[serde(with = "places")]
        to: Vec<usize>,
    },
    /// These were accepted. Durable as soon as it is known.
    Accepted {
        /// When.
        at: i64,
        /// Who.
        #[serde(with = "places")]
        to: Vec<usize>,
        /// The server's words.
        reply: String,
    },
    /// These were refused for good.
    Refused {
        /// When.
        at: i64,
        /// Who.
        #[serde(with = "places")]
        to: Vec<usize>,
        /// The server's words.
        reply: String,
    },
    /// These wait for another attempt.
    Deferred {
        /// When.
        at: i64,
        /// Who.
        #[serde(with = "places")]
        to: Vec<usize>,
        /// Why.
        reply: String,
        /// Not before.
        next: i64,
    },
    /// The answer for these was lost.
    Doubt {
        /// When.
        at: i64,
        /// Who.
        #[serde(with = "places")]
        to: Vec<usize>,
        /// Why.
        reply: String,
        /// Not before.
        next: i64,
    },
    /// The server, or what stands before it, may have swallowed commands that were sent together:
    /// the next attempt sends one at a time.
    Lockstep {
        /// When.
        at: i64,
    },
    /// It is not tried until it is released.
    Hold {
        /// When.
        at: i64,
    },
    /// It is tried again, at once.
    Release {
        /// When.
        at: i64,
    },
    /// It has been given up.
    Failed {
        /// When.
        at: i64,
        /// Why.
        reply: String,
    },
}

impl Event {
    /// When it happened, in milliseconds from 1970.
    pub fn at(&self) -> i64 {
        match self {
            Event::Begin { at, .. }
            | Event::Dot { at, .. }
            | Event::Accepted { at, .. }
            | Event::Refused { at, .. }
            | Event::Deferred { at, .. }
            | Event::Doubt { at, .. }
            | Event::Lockstep { at }
            | Event::Hold { at }
            | Event::Release { at }
            | Event::Failed { at, .. } => *at,
        }
    }
}

/// Places as they are written: three or more in a row are `[first,last]`, so that a list of a
/// hundred thousand is one line of a few bytes; the others are numbers, as all of them were once.
mod places {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// No list is longer, so that a damaged line cannot ask for memory.
    const MOST: usize = 1 << 24;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Span {
        One(usize),
        Row(usize, usize),
    }

    pub(super) fn serialize<S: Serializer>(places: &[usize], to: S) -> Result<S::Ok, S::Error> {
        let rows = places
            .chunk_by(|a, b| a.checked_add(1) == Some(*b))
            .flat_map(|row| match row {
                [first, _, .., last] => vec![Span::Row(*first, *last)],
                few => few.iter().copied().map(Span::One).collect(),
            });
        to.collect_seq(rows)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<usize>, D::Error> {
        let mut places = Vec::new();
        for span in Vec::<Span>::deserialize(from)? {
            let (first, last) = match span {
                Span::One(place) => (place, place),
                Span::Row(first, last) => (first, last),
            };
            if last < first || last - first >= MOST || places.len() >= MOST {
                return Err(D::Error::custom("invalid recipient numbers"));
            }
            places.extend(first..=last);
        }
        Ok(places)
    }
}
