//! The vocabulary of services: pure values and their written forms, no system calls.

pub mod ended;
pub mod errno;
pub mod files;
pub mod moment;
pub mod name;
pub mod nearest;
pub mod order;
pub mod pid;
pub mod record;
#[cfg(test)]
pub mod rubbish;
pub mod status;
