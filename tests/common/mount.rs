//! File systems that are mounted for a test.
#![allow(dead_code)] // each file of tests uses a part of it

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{is_root, lacking};

/// A mount that ends with the test.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts an empty file system in memory on `path`, with `options` such as `mode=755`; says so when that can't be.
    pub fn on(path: &Path, options: &str) -> Option<Self> {
        let mounted = is_root() && done(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path));
        if !mounted {
            lacking("root, who may mount tmpfs");
        }
        mounted.then(|| Self(path.to_owned()))
    }

    /// Mounts what there is on `path` over itself, only to be read.
    pub fn read_only(path: &Path) -> Option<Self> {
        let mounted = is_root() && done(Command::new("mount").arg("--bind").args([path, path]));
        if !mounted {
            lacking("root, who may mount");
            return None;
        }
        let mount = Self(path.to_owned());
        assert!(done(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(path)), "it can be read-only");
        Some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        done(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn done(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
