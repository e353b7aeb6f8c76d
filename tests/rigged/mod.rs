//! Beds in which a chosen system call of a chosen program kills it, suspends it or fails: strace(1)
//! does that to the programs as they are, so that they need nothing for tests in them.
#![allow(dead_code)] // each file of tests uses a part of it

pub mod life;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{TestBed, available, is_alive, process, skip};

/// The start of runsyssv under a rule, if there is one: a file with how many starts go without, and
/// the arguments of strace. Its tracer is in a session of its own. bash(1), since dash(1) would
/// unblock the signals that sysmgr has blocked until runsyssv handles them.
const SHIM: &str = r#"#!/bin/bash
rule=$BED/rules/${!#} real=${0%/*}/real/runsyssv
if [ -e "$rule" ] && read -r skip arguments < "$rule"; then
    if [ "$skip" = 0 ]; then
        mv "$rule" "$rule.used"
        exec strace -DDD -qq -o "$BED/trace/${!#}" $arguments "$real" "$@"
    fi
    echo "$((skip - 1)) $arguments" > "$rule"
fi
exec "$real" "$@"
"#;

/// Whether all that can go wrong is to go wrong, in as much time as that takes.
pub fn is_thorough() -> bool {
    std::env::var_os("SYSMGR_THOROUGH").is_some()
}

/// Whether the programs that this needs are there and may do it.
pub fn can_rig() -> bool {
    let runs = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !["strace", "bash", "flock"].into_iter().all(available) {
        return false;
    }
    let can = runs("strace", &["-DDD", "-qq", "-o", "/dev/null", "-e", "trace=write", "true"])
        && runs("flock", &["--version"]);
    if !can {
        skip("strace may not trace here, or flock is another one");
    }
    can
}

/// A bed with executables of its own.
pub struct Rigged {
    /// The bed.
    pub bed: TestBed,
    bin: PathBuf,
}

impl Rigged {
    /// Rigs a bed in which nothing runs yet.
    pub fn new(bed: TestBed) -> Self {
        let bin = bed.dir.join("bin");
        for dir in [bin.join("real"), bed.dir.join("rules"), bed.dir.join("trace")] {
            fs::create_dir_all(dir).expect("a directory can be made");
        }
        // copied by another program: a thread that forks meanwhile would keep what we write busy
        let copy = |name: &str, to: PathBuf| {
            let status = Command::new("cp").arg(bed.executable(name)).arg(to).status();
            assert!(status.is_ok_and(|status| status.success()), "{name} can be copied");
        };
        for name in ["sysmgr", "svctl", "sysmgr-depends"] {
            copy(name, bin.join(name));
        }
        copy("runsyssv", bin.join("real/runsyssv"));
        bed.file(&bin.join("shim"), SHIM.as_bytes(), 0o755);
        fs::rename(bin.join("shim"), bin.join("runsyssv")).expect("it can be moved");
        Self { bed, bin }
    }

    /// Has the runsyssv of `name` run under strace with `arguments`, after `skip` starts without.
    pub fn rule(&self, name: &str, skip: usize, arguments: &str) {
        let rules = self.bed.dir.join("rules");
        let aside = rules.join(format!(".{name}"));
        fs::write(&aside, format!("{skip} {arguments}\n")).expect("it can be written");
        fs::rename(aside, rules.join(name)).expect("it can be moved");
    }

    /// Whether the rule of `name` has been taken.
    pub fn is_taken(&self, name: &str) -> bool {
        self.bed.dir.join("rules").join(format!("{name}.used")).exists()
    }

    /// One of the tools, with the directories of the bed.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.bed.command(self.bin.join(name));
        command.arg("--sysdir").arg(&self.bed.sysdir).arg("--rundir").arg(&self.bed.rundir);
        command
    }

    /// sysmgr under strace with `arguments`.
    pub fn traced_sysmgr(&self, arguments: &str) -> Command {
        let mut command = self.bed.command("strace");
        command.args(["-DDD", "-qq", "-o"]).arg(self.bed.dir.join("trace/sysmgr"));
        command.args(arguments.split(' ')).arg(self.bin.join("sysmgr"));
        command.arg("--sysdir").arg(&self.bed.sysdir).arg("--rundir").arg(&self.bed.rundir);
        command
    }

    /// Starts sysmgr.
    pub fn start(&mut self) {
        let mut command = self.program("sysmgr");
        self.bed.start_command(&mut command);
    }

    /// What was traced under the rule of `name`.
    pub fn trace(&self, name: &str) -> String {
        fs::read_to_string(self.bed.dir.join("trace").join(name)).unwrap_or_default()
    }

    /// Gives a standing order whole, as a program does.
    pub fn order(&self, name: &str, order: &str) {
        let aside = self.bed.path(name, ".order");
        fs::write(&aside, format!("{order}\n")).expect("it can be written");
        fs::rename(aside, self.bed.path(name, "lock")).expect("it can be moved");
    }

    /// The services that ran twice.
    pub fn twice(&self) -> String {
        fs::read_to_string(self.bed.dir.join("twice")).unwrap_or_default()
    }

    /// The living runsyssv of the bed, by the names of their services.
    pub fn supervisors(&self) -> BTreeMap<String, Vec<i32>> {
        let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        let real = self.bin.join("real/runsyssv");
        for pid in process::all().into_keys() {
            let line = process::command_line(pid);
            if line.starts_with(&*real.to_string_lossy()) && is_alive(pid) {
                let name = line.rsplit(' ').next().unwrap_or_default();
                found.entry(name.to_owned()).or_default().push(pid);
            }
        }
        found
    }
}

/// Waits until `is_so` has become true of each of `names`; fails with those of which it has not.
#[track_caller]
pub fn until_all(what: &str, names: &[String], limit: Duration, mut is_so: impl FnMut(&str) -> bool) {
    let begin = Instant::now();
    let mut left: Vec<&String> = names.iter().collect();
    loop {
        left.retain(|name| !is_so(name));
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < limit, "waited in vain until {what}: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
