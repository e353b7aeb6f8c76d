//! Random numbers that a seed repeats.

use std::time::Duration;

/// A generator: xorshift64*, by Marsaglia and Vigna.
pub struct Random(u64);

impl Random {
    /// That of one thread in one round; each pair has another sequence.
    pub fn new(seed: u64, round: u64, thread: u64) -> Self {
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round << 20 ^ thread << 8;
        mixed = (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ mixed >> 29) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether one in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(all.len()).ok().filter(|end| *end > 0)?;
        all.get(usize::try_from(self.below(end)).ok()?)
    }

    /// A time up to so many milliseconds: mostly short, since what happens at once is where faults are.
    pub fn pause(&mut self, ms: u64) -> Duration {
        let most = Duration::from_millis(ms);
        let share = u32::try_from(self.below(1000)).unwrap_or(0);
        most * share / 1000 * share / 1000
    }
}
