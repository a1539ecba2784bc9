//! The last words about every recipient of a mail. Equal words in a row are kept once, as a long
//! list is refused alike.
use super::event::Event;

/// What is known of those whose answer never came.
pub(super) const UNANSWERED: &str = "interrupted between the final dot and its reply";

/// See the top of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replies {
    said: Vec<String>,
    /// For every recipient how many were said when the last one was about it: the later, the
    /// greater.
    of: Vec<usize>,
}

impl Replies {
    pub(super) fn new(recipients: usize) -> Self {
        Replies {
            said: Vec::new(),
            of: vec![0; recipients],
        }
    }

    pub(super) fn fold(&mut self, event: &Event) {
        let (to, reply) = match event {
            Event::Dot { to, .. } => (to, UNANSWERED),
            Event::Accepted { to, reply, .. }
            | Event::Refused { to, reply, .. }
            | Event::Deferred { to, reply, .. }
            | Event::Doubt { to, reply, .. } => (to, reply.as_str()),
            _ => return,
        };
        if self.said.last().is_none_or(|last| last != reply) {
            self.said.push(reply.to_owned());
        }
        for place in to {
            if let Some(of) = self.of.get_mut(*place) {
                *of = self.said.len();
            }
        }
    }

    /// The last words about one recipient; empty when there were none.
    pub fn about(&self, place: usize) -> &str {
        self.nth(self.of.get(place).copied().unwrap_or(0))
    }

    /// The last words about any of these.
    pub fn latest(&self, places: &[usize]) -> &str {
        self.nth(
            places
                .iter()
                .filter_map(|place| self.of.get(*place))
                .max()
                .copied()
                .unwrap_or(0),
        )
    }

    fn nth(&self, count: usize) -> &str {
        count
            .checked_sub(1)
            .and_then(|at| self.said.get(at))
            .map_or("", String::as_str)
    }
}
