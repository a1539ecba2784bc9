//! Whom a signal to a program reaches: it and what it has started.
//!
//! A program gets a process group of its own, so that one signal reaches all of it. At a terminal
//! it stays in ours: one that asks for a PIN there would be stopped in any other group. Then those
//! that it has started are looked up, where the system tells; Ctrl-C reaches all of them by itself.
use std::fs::{self, File};

use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use rustix::termios::tcgetpgrp;

/// How deep children of children are looked up.
const DEEPEST: usize = 16;

/// How those that a program has started are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// They are in its process group.
    Group,
    /// They are its children, and theirs.
    Tree,
}

impl Reach {
    /// The one for a program that this process starts now.
    pub(super) fn here() -> Self {
        let terminal = File::open("/dev/tty").ok();
        let ours = terminal
            .is_some_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()));
        if ours { Reach::Tree } else { Reach::Group }
    }

    /// Those to signal besides the program itself, as it has not ended yet; none where the group is
    /// enough.
    pub(super) fn members(self, program: Pid) -> Vec<Pid> {
        let mut found = Vec::new();
        if self == Reach::Tree {
            let mut generation = vec![program];
            for _ in 0..DEEPEST {
                generation = generation.into_iter().flat_map(children).collect();
                found.extend(&generation);
            }
        }
        found
    }

    /// Signals the program first, so that none goes on because another has ended.
    pub(super) fn signal(self, program: Pid, members: &[Pid], signal: Signal) {
        // All of these fail only when nobody is left.
        match self {
            Reach::Group => {
                let _ = kill_process_group(program, signal);
            }
            Reach::Tree => {
                for pid in std::iter::once(program).chain(members.iter().copied()) {
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    let number = parent.as_raw_nonzero();
    let list =
        fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}
