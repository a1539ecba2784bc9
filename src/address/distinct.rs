//! A list in which every address stands once.
//!
//! Promise: the order is that of the first mentions, case does not count, and no address is held a
//! second time to be recognized. Linear in the length of the list.
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use super::Address;

/// Addresses, or mailboxes by their addresses, each once.
#[derive(Debug)]
pub struct Distinct<T> {
    items: Vec<T>,
    /// Where an item stands, by the hash of its address, or by the next free number after it where
    /// two hashes are the same.
    places: HashMap<u64, usize>,
    hashes: RandomState,
}

impl<T: AsRef<Address>> Distinct<T> {
    /// Makes an empty list with space for so many.
    pub fn with_capacity(count: usize) -> Self {
        Distinct {
            items: Vec::with_capacity(count),
            places: HashMap::new(),
            hashes: RandomState::new(),
        }
    }

    /// Appends an item if its address is new, and returns whether it is.
    pub fn push(&mut self, item: T) -> bool {
        let address = item.as_ref();
        let mut number = self.hashes.hash_one(address.folded());
        loop {
            match self.places.entry(number) {
                Entry::Vacant(free) => {
                    free.insert(self.items.len());
                    self.items.push(item);
                    return true;
                }
                Entry::Occupied(taken) => {
                    let known = self.items.get(*taken.get());
                    if known.is_some_and(|known| known.as_ref().folded() == address.folded()) {
                        return false;
                    }
                    number = number.wrapping_add(1);
                }
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The list alone.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mention_stays_and_case_does_not_count() {
        let mut list = Distinct::with_capacity(0);
        let new = ["Ann@a.test", "bob", "ann@A.test", "BOB", "bob@a.test"]
            .map(|text| list.push(Address::parse(text).unwrap()));
        assert_eq!(new, [true, true, false, false, true]);
        let shown: Vec<_> = list.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["Ann@a.test", "bob", "bob@a.test"]);
    }

    #[test]
    fn addresses_with_one_hash_are_told_apart() {
        let mut list = Distinct::with_capacity(0);
        assert!(list.push(Address::of("a", "x")));
        let number = list.hashes.hash_one(Address::of("b", "x").folded());
        list.places.insert(number, 0);
        assert!(list.push(Address::of("b", "x")));
        assert!(!list.push(Address::of("B", "x")));
        assert_eq!(list.len(), 2);
    }
}
