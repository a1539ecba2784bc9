//! The signals that ask smail to end, and a program of ours with it.
//!
//! Promise: while a program runs, SIGINT, SIGTERM and SIGHUP are noted instead of ending this
//! process, so that the program can be ended first; then the signal has its usual effect, unless
//! somebody watches for it ([`watched`]).
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

#[derive(Default)]
struct State {
    /// The number of the last signal; 0 for none.
    seen: Arc<AtomicUsize>,
    /// A signal ends this process at once.
    deadly: Arc<AtomicBool>,
    holders: Mutex<Holders>,
}

#[derive(Default)]
struct Holders {
    programs: usize,
    watched: bool,
}

impl State {
    fn change(&self, change: impl FnOnce(&mut Holders)) -> bool {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut holders);
        let deadly = holders.programs == 0 && !holders.watched;
        self.deadly.store(deadly, Ordering::SeqCst);
        deadly
    }
}

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let state = State::default();
        state.deadly.store(true, Ordering::SeqCst);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Without the handlers the signal ends the process at once.
            let number = usize::try_from(signal).unwrap_or(2);
            if flag::register_usize(signal, Arc::clone(&state.seen), number).is_ok() {
                let _ = flag::register_conditional_default(signal, Arc::clone(&state.deadly));
            }
        }
        state
    })
}

/// The number of the signal that asks for the end, 0 for none. From now on a signal sets it instead
/// of ending this process.
pub(crate) fn watched() -> Arc<AtomicUsize> {
    let state = state();
    state.change(|holders| holders.watched = true);
    Arc::clone(&state.seen)
}

/// The signal that asks for the end, if one came and did not end this process.
pub(crate) fn asked() -> Option<i32> {
    i32::try_from(state().seen.load(Ordering::SeqCst))
        .ok()
        .filter(|signal| *signal != 0)
}

/// Held while a program runs.
pub(super) struct Held(());

impl Held {
    pub(super) fn new() -> Self {
        state().change(|holders| holders.programs += 1);
        Held(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let state = state();
        let deadly = state.change(|holders| holders.programs -= 1);
        if deadly && let Some(signal) = asked() {
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}
