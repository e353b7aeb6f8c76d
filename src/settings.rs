//! The settings of this build.
//!
//! What they are stands in `settings/plain.rs`, which `build.rs` compiles too; what they are set to is written by
//! `build.rs` from `config.toml`.

mod plain;

pub use plain::*;
use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/built_in.rs"));
