//! The doors to the system: the only place with system calls, `unsafe` and differences between
//! systems. Each file is one door.
#![allow(unsafe_code)]

mod calls;
mod child;
pub mod clock;
pub mod context;
pub mod dnotify;
pub mod entry;
mod exchange;
pub mod fault;
pub mod files;
pub mod group;
pub mod interpreter;
mod lock;
pub mod lookout;
pub mod mark;
pub mod message;
pub mod orphans;
pub mod owner;
pub mod process;
pub mod program;
pub mod reap;
pub mod scratch;
pub mod service;
pub mod signals;
pub mod stamp;
pub mod terminal;
pub mod tool;
pub mod wait;
pub mod watch;
