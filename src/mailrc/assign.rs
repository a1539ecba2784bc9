//! `set` and `unset`: values as people write them, remarks and all.
use super::commands::Reader;
use super::words::Word;
use super::{Context, Dialect, Item, Place};

impl Reader<'_> {
    pub(super) fn set(&mut self, words: &[Word], dialect: Dialect, place: &Place) {
        if words.is_empty() {
            return self.note(place, "`set` without a name is ignored");
        }
        let old = dialect == Dialect::Old;
        let mut words = words.iter().peekable();
        let (mut behind, mut assigned) = (false, false);
        let mut remarks = 0_usize;
        let mut torn = false;
        while let Some(word) = words.next() {
            if is_remark(word) {
                break;
            }
            if !old && word.bare && matches!(word.text.as_str(), "-r" | "-g") {
                continue;
            }
            let (name, mut value) = match word.text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.text.as_str(), None),
            };
            if old && word.bare && value.as_deref().is_none_or(str::is_empty) {
                value = spaced_value(value, &mut words, self.env);
            }
            if name.is_empty() {
                self.warn(place, "`set` has a value without a name");
            } else if value.is_none() && assigned && old && !self.is_switch(name) {
                remarks += 1;
                torn |= name.contains('<') && name.contains('@');
            } else {
                assigned |= value.is_some();
                match name.strip_suffix('+').filter(|_| !old) {
                    Some(name) => self.append(name, value, behind, place),
                    None => self.assign(name, value, behind, place),
                }
            }
            behind = true;
        }
        if torn {
            // `from=Bob <bob@x>`: half an address is worse than none.
            self.warn(
                place,
                "an address after a value is ignored; quote a value that contains spaces",
            );
        } else if remarks > 0 {
            self.note(
                place,
                &format!(
                    "{remarks} word(s) after a value are ignored; quote a value that contains \
                    spaces"
                ),
            );
        }
    }

    /// `set name+=more`.
    fn append(&mut self, name: &str, more: Option<String>, behind: bool, place: &Place) {
        match self.expand(name) {
            Ok(value) => self.assign(name, Some(value + &more.unwrap_or_default()), behind, place),
            Err(fault) => self.warn(place, &fault.to_string()),
        }
    }

    /// A bare word that may follow an assignment: the name of a switch, or `no` and one.
    fn is_switch(&self, name: &str) -> bool {
        (self.env.known)(name)
            || name
                .strip_prefix("no")
                .is_some_and(|rest| (self.env.known)(rest))
    }

    fn assign(&mut self, name: &str, value: Option<String>, behind: bool, place: &Place) {
        // `no` wins over names that begin with it, as in every mailx, unless such a name is one of
        // ours.
        let unsets = |rest: &&str| {
            !rest.is_empty() && !(self.env.known)(name) && (!behind || (self.env.known)(rest))
        };
        if let Some(rest) = name.strip_prefix("no").filter(unsets) {
            if value.is_some() {
                self.note(place, "`no` before a name unsets it; the value is ignored");
            }
            return self.forget(rest, place);
        }
        if name == "v15-compat" {
            let on = value.as_deref().is_some_and(|v| {
                matches!(
                    v.to_ascii_lowercase().as_str(),
                    "yes" | "y" | "true" | "on" | "1"
                )
            });
            self.dialect = if on { Dialect::Shell } else { Dialect::Old };
        }
        self.remember(name, value.clone().unwrap_or_default());
        self.say(Item::Set {
            name: name.to_owned(),
            value,
            behind,
            place: place.clone(),
        });
    }

    fn forget(&mut self, name: &str, place: &Place) {
        if name == "v15-compat" {
            self.dialect = Dialect::Old;
        }
        self.remember(name, String::new());
        self.say(Item::Unset {
            name: name.to_owned(),
            place: place.clone(),
        });
    }

    /// Keeps a value for `$name`; what an account says is known within it only.
    fn remember(&mut self, name: &str, value: String) {
        let values = self
            .account
            .as_mut()
            .map_or(&mut self.values, |open| &mut open.values);
        values.insert(name.to_owned(), value);
    }

    pub(super) fn unset(&mut self, words: &[Word], place: &Place) {
        if words.is_empty() {
            self.warn(place, "`unset` needs a name");
        }
        for word in words {
            self.forget(&word.text, place);
        }
    }
}

/// A word that begins a remark of the author: `# …` or `// …`.
fn is_remark(word: &Word) -> bool {
    word.bare_start && (word.text.starts_with('#') || word.text.starts_with("//"))
}

/// The value in `name = value`, `name =value` and `name= value`, which no mailx takes and many
/// files have.
fn spaced_value<'w>(
    value: Option<String>,
    words: &mut std::iter::Peekable<impl Iterator<Item = &'w Word>>,
    env: &Context<'_>,
) -> Option<String> {
    let Some(next) = words.peek() else {
        return value;
    };
    if value.is_some() {
        // `a= b`: b may as well be the next setting.
        let own = is_remark(next) || next.text.contains('=') || (env.known)(&next.text);
        return if own {
            value
        } else {
            words.next().map(|word| word.text.clone())
        };
    }
    let glued = next.text.strip_prefix('=').filter(|_| next.bare_start)?;
    words.next();
    if !glued.is_empty() {
        return Some(glued.to_owned());
    }
    let lone = |word: &Word| word.bare && matches!(word.text.as_str(), "#" | "//");
    Some(
        words
            .next_if(|word| !lone(word))
            .map_or_else(String::new, |word| word.text.clone()),
    )
}
