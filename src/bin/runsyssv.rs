//! The supervisor of one service: see runsyssv(1).

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sysmgr::service::name::Name;
use sysmgr::supervisor::{self, Options, Verbosity, machine::Policy};

fn ms(key: &str, default: u64) -> Duration {
    Duration::from_millis(
        std::env::var(key)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default),
    )
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let mut sysdir = std::env::var_os("SYSDIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let mut rundir = std::env::var_os("RUNDIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let mut verbosity = Verbosity::Events;
    let mut i = 1;
    let mut name = None;
    while i < args.len() {
        match args[i].to_str() {
            Some("--sysdir") => {
                i += 1;
                sysdir = PathBuf::from(&args[i]);
            }
            Some("--rundir") => {
                i += 1;
                rundir = PathBuf::from(&args[i]);
            }
            Some("-v") => verbosity = Verbosity::All,
            Some("-q") => verbosity = Verbosity::Errors,
            _ => name = Name::from_operand(&args[i]).ok(),
        }
        i += 1;
    }
    let Some(name) = name else {
        return ExitCode::from(2);
    };
    let policy = Policy {
        delay: ms("SYSMGR_RESTART_DELAY_MS", 1000),
        delay_max: ms("SYSMGR_RESTART_DELAY_MAX_MS", 30000),
        stable_after: ms("SYSMGR_STABLE_AFTER_MS", 10000),
        stop_timeout: ms("SYSMGR_STOP_TIMEOUT_MS", 7000),
    };
    let owner_check = std::env::var("SYSMGR_OWNER_CHECK").as_deref() != Ok("false");
    supervisor::run(Options {
        sysdir,
        rundir,
        name,
        policy,
        owner_check,
        verbosity,
    })
}
