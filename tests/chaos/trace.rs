//! What was done, for who has to find out why it went wrong.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The last operations.
pub struct Trace {
    begin: Instant,
    last: Mutex<VecDeque<(u128, String, String)>>,
    kills: AtomicU64,
    count: AtomicU64,
}

/// How many are kept.
const KEPT: usize = 1500;

/// How many are shown of one service.
const SHOWN: usize = 40;

impl Trace {
    /// An empty one.
    pub fn new() -> Self {
        let (last, kills, count) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self { begin: Instant::now(), last, kills, count }
    }

    /// Notes what is done to whom: a service, or all (`*`).
    pub fn note(&self, whom: &str, what: impl Into<String>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().expect("no thread has failed");
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back((self.begin.elapsed().as_micros(), whom.to_owned(), what.into()));
    }

    /// Counts a kill.
    pub fn killed(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was killed.
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    /// How often something was done.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Shows the last operations on each of `names`, and on all of them.
    pub fn show(&self, names: &[&str]) {
        let last = self.last.lock().expect("no thread has failed");
        let now = self.begin.elapsed().as_micros();
        for name in names {
            eprintln!("--- {name}, in seconds before this");
            let of_it: Vec<_> = last.iter().filter(|(_, whom, _)| whom == name || whom == "*").collect();
            for (at, whom, what) in of_it.iter().rev().take(SHOWN).rev() {
                let ago = (now - at) / 1000;
                eprintln!("-{}.{:03} {whom}: {what}", ago / 1000, ago % 1000);
            }
        }
    }
}
