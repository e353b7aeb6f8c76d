//! Surroundings that are not as they should be: a wiped run directory, a broken standard error, a
//! terminal.

mod common;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use common::services::SLEEPER;
use common::{Signal, TestBed, is_alive, kill, lacking, millis, process, skip, stays, until};
use sysmgr::service::status::Phase;

/// Waits until all files of a running service say again what is.
fn healed(bed: &TestBed, name: &str, pid: i32, supervisor: i32) {
    until("its files are there again", || {
        bed.pid(name) == Some(pid)
            && bed.syspid(name) == Some(supervisor)
            && bed.status(name).is_some_and(|s| s.phase == Phase::Up && s.starts == 1)
            && bed.path(name, ".owner").exists()
    });
    assert!(is_alive(pid) && is_alive(supervisor));
}

#[test]
fn a_run_directory_that_is_wiped_is_put_back_and_nothing_is_disturbed() {
    for bed in TestBed::of_each_user() {
        let bed = bed.started();
        bed.service("web", SLEEPER);
        let pid = bed.up("web");
        let supervisor = bed.syspid("web").expect("it has a supervisor");
        for typed in [
            "rm -rf $R/web",
            "rm -rf $R/web/* $R/web/.owner",
            "rm -rf $R/* $R/.owner",
            "rm -rf $R",
            "mv $R $R.away",
            "rm $R/web/pid",
            "rm $R/web/syspid $R/web/status",
            "rm $R/web/.owner",
            "rm $R/pid",
            "rm $R/.owner",
            "chmod 644 $R/web/.owner",
        ] {
            let mut shell = bed.command("/bin/sh");
            shell.args(["-c", typed]).env("R", &bed.rundir);
            // without events nobody knows that a removal has not come to rest: it may fail in the middle
            assert!(shell.status().is_ok_and(|status| status.success() || common::POSIX_ONLY), "{typed}");
            healed(&bed, "web", pid, supervisor);
            until(&format!("sysmgr's own files are back after {typed}"), || {
                bed.sysmgr_pid() == Some(bed.sysmgr()) && bed.rundir.join(".owner").exists()
            });
            // both still hold their locks
            let mut second = bed.program("runsyssv").arg("web").spawn().expect("it can be started");
            assert_eq!(process::wait(&mut second).code(), Some(1), "{typed}");
            let mut second = bed.program("sysmgr").spawn().expect("it can be started");
            assert_eq!(process::wait(&mut second).code(), Some(1), "{typed}");
        }
        assert!(!bed.said(&["cannot watch"]), "{:?}", bed.messages());
        // and it can be told as before
        bed.nudge("web", Signal::SIGTERM);
        bed.down("web");
        assert!(!is_alive(pid));
    }
}

#[test]
fn directories_in_the_place_of_files_are_removed_and_never_believed() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web").expect("it has a supervisor");
    for file in ["pid", "status"] {
        fs::remove_file(bed.path("web", file)).expect("it can be removed");
        fs::create_dir(bed.path("web", file)).expect("a directory can be made");
        healed(&bed, "web", pid, supervisor);
    }
}

#[test]
fn links_that_are_planted_in_the_run_directory_are_not_followed() {
    for mut bed in TestBed::of_each_user() {
        bed.service("web", SLEEPER);
        let victim = bed.dir.join("victim");
        bed.file(&victim, b"precious\n", 0o644);
        for dir in [bed.rundir.clone(), bed.rundir.join("web")] {
            fs::create_dir(&dir).expect("a directory can be made");
            bed.adjust(&dir, 0o755);
        }
        let plant = |path| std::os::unix::fs::symlink(&victim, path).expect("a link can be made");
        for file in ["pid", "syspid", "status", ".owner"] {
            plant(bed.path("web", file));
        }
        plant(bed.rundir.join("pid"));
        plant(bed.rundir.join(".owner"));
        bed.start();
        bed.up("web");
        assert_eq!(fs::read(&victim).ok().as_deref(), Some(&b"precious\n"[..]));
        bed.stop();
        assert_eq!(fs::read(&victim).ok().as_deref(), Some(&b"precious\n"[..]));
    }
}

#[test]
fn foreign_files_in_the_run_directory_stay() {
    for mut bed in TestBed::of_each_user() {
        fs::create_dir(&bed.rundir).expect("a directory can be made");
        bed.adjust(&bed.rundir, 0o755);
        fs::create_dir(bed.rundir.join("folder")).expect("a directory can be made");
        for file in ["file", "folder/pid", "folder/lock"] {
            bed.file(&bed.rundir.join(file), b"mine\n", 0o644);
        }
        bed.service("web", SLEEPER);
        bed.start();
        bed.up("web");
        bed.file(&bed.path("web", "mine"), b"mine\n", 0o644);
        bed.stop();
        for file in ["file", "folder/pid", "folder/lock", "web/mine"] {
            assert_eq!(fs::read(bed.rundir.join(file)).ok().as_deref(), Some(&b"mine\n"[..]), "{file}");
        }
    }
}

#[test]
fn a_file_where_a_services_directory_should_be_is_told_and_tried_again() {
    let mut bed = TestBed::new();
    fs::create_dir(&bed.rundir).expect("a directory can be made");
    bed.adjust(&bed.rundir, 0o755);
    bed.file(&bed.rundir.join("web"), b"mine\n", 0o644);
    bed.service("web", SLEEPER);
    bed.service("other", SLEEPER);
    bed.start();
    bed.up("other");
    until("it is told", || bed.said(&["web"]));
    let said = bed.messages().len();
    stays("it is no flood", millis(700), || bed.messages().len() < said + 5);
    fs::remove_file(bed.rundir.join("web")).expect("it can be removed");
    bed.up("web");
}

/// Starts sysmgr with this standard error and sees that it does its work.
fn works_with(mut bed: TestBed, change: impl FnOnce(&mut Command)) {
    bed.service("fails", "exit 1");
    bed.service("wrong", "exec /nonexistent");
    bed.service("loud", "echo words >&2; exec sleep 1000");
    bed.start_by(change);
    let pid = bed.up("loud");
    kill(pid, Signal::SIGKILL);
    let pid = bed.up_again("loud", pid);
    until("it has failed often", || bed.status("fails").is_some_and(|s| s.failures > 3));
    bed.nudge("loud", Signal::SIGTERM);
    bed.down("loud");
    assert!(!is_alive(pid));
    assert_eq!(bed.stop().code(), Some(0));
}

fn short_delays() -> TestBed {
    TestBed::new().with_delays(20, 20)
}

#[test]
fn a_standard_error_that_is_full_does_not_stall_or_end_it() {
    let full = File::options().write(true).open("/dev/full");
    let Ok(full) = full else {
        return skip("no /dev/full");
    };
    works_with(short_delays(), |command| {
        command.stderr(full);
    });
}

#[test]
fn a_standard_error_that_is_closed_does_not_stall_or_end_it() {
    let mut bed = short_delays();
    bed.service("fails", "exit 1");
    bed.service("a", SLEEPER);
    bed.start_by_shell("exec \"$@\" 0<&- 1>&- 2>&-");
    let pid = bed.up("a");
    until("it has failed often", || bed.status("fails").is_some_and(|s| s.failures > 3));
    kill(pid, Signal::SIGKILL);
    bed.up_again("a", pid);
    // no file of its own has taken the place of the standard error, and is written to
    let status = fs::read(bed.path("a", "status")).expect("there is a status");
    assert!(String::from_utf8_lossy(&status).starts_with("state="));
    assert_eq!(bed.stop().code(), Some(0));
}

#[test]
fn a_standard_error_whose_reader_is_gone_does_not_end_it() {
    let (reader, writer) = nix::unistd::pipe().expect("there are pipes");
    drop(reader);
    works_with(short_delays(), |command| {
        command.stderr(writer);
    });
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_stall_it() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, writer) = nix::unistd::pipe().expect("there are pipes");
    // filled to the brim, then blocking as a pipe is
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("flags can be set");
    let mut file = File::from(writer);
    while file.write(&[b'x'; 4096]).is_ok() {}
    while file.write(b"x").is_ok() {}
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).expect("flags can be set");
    let mut bed = short_delays();
    bed.service("fails", "exit 1");
    bed.service("a", SLEEPER);
    bed.start_by(|command| {
        command.stderr(file);
    });
    let pid = bed.up("a");
    until("it has failed often", || bed.status("fails").is_some_and(|s| s.failures > 3));
    kill(pid, Signal::SIGKILL);
    bed.up_again("a", pid);
    assert_eq!(bed.stop().code(), Some(0));
    drop(reader);
}

/// A shell script on a terminal of its own, with sysmgr as `"$@"`.
fn on_a_terminal(bed: &TestBed, script: &str) -> Option<(std::process::Child, File)> {
    let pty = nix::pty::openpty(None, None).expect("there are terminals");
    let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor can be copied"));
    let mut sysmgr = bed.program_by_shell(script, "sysmgr");
    let shell: Vec<_> = std::iter::once(sysmgr.get_program()).chain(sysmgr.get_args()).map(ToOwned::to_owned).collect();
    sysmgr.stdin(Stdio::null());
    let mut command = bed.command("setsid");
    command.arg("-c").args(shell);
    command.stdin(slave(&pty.slave)).stdout(slave(&pty.slave)).stderr(slave(&pty.slave));
    let Ok(child) = command.spawn() else {
        lacking("setsid");
        return None;
    };
    Some((child, File::from(pty.master)))
}

#[test]
fn from_a_terminals_foreground_it_is_stopped_by_its_keys_and_the_shells_jobs_are_untouched() {
    let mut bed = TestBed::new().may_leave();
    bed.service(
        "a",
        "trap 'echo interrupted >> $BED/log; exit 1' INT
         trap 'echo told >> $BED/log; exit 0' TERM
         while :; do sleep 0.02; done",
    );
    let script = "set -m
         sleep 1000 & echo \"job $!\" >> $BED/log
         \"$@\"
         echo \"code $?\" >> $BED/log
         exec sleep 1000";
    let Some((mut shell, mut master)) = on_a_terminal(&bed, script) else {
        return;
    };
    bed.up("a");
    let sysmgr = bed.sysmgr_pid().expect("it is there");
    let service = bed.pid("a").expect("it is up");
    until("the trap is set", || process::status_line(service, "SigCgt").is_some_and(|set| set.ends_with("4002")));
    let job: i32 = bed.logs(1)[0].trim_start_matches("job ").parse().expect("a process id");
    master.write_all(b"\x03").expect("a key can be pressed");
    until("sysmgr has ended", || !is_alive(sysmgr));
    until("its code is known", || bed.log().iter().any(|line| line.starts_with("code")));
    assert_eq!(bed.log()[1..], ["told", "code 0"]);
    assert!(is_alive(job));
    assert!(shell.try_wait().is_ok_and(|ended| ended.is_none()), "the shell goes on");
    bed.kill_all();
    process::wait(&mut shell);
    let _ = master.read(&mut [0; 16]);
}

#[test]
fn in_the_process_group_of_a_script_it_signals_nothing_of_the_script() {
    let mut bed = TestBed::new().may_leave();
    bed.service("a", "kill -TERM 0; exec sleep 1000");
    bed.service("b", SLEEPER);
    // no job control: all in one group
    let script = "sleep 1000 & echo $! >> $BED/log; \"$@\"; echo \"code $?\" >> $BED/log; exec sleep 1000";
    let Some((mut shell, master)) = on_a_terminal(&bed, script) else {
        return;
    };
    bed.up("b");
    until("it has failed twice", || bed.status("a").is_some_and(|status| status.failures >= 2));
    let job: i32 = bed.logs(1)[0].parse().expect("a process id");
    bed.nudge("b", Signal::SIGUSR1);
    bed.down("b");
    kill(bed.sysmgr_pid().expect("it is there"), Signal::SIGTERM);
    until("its code is known", || bed.logged("code 0") == 1);
    assert!(is_alive(job));
    assert!(shell.try_wait().is_ok_and(|ended| ended.is_none()), "the shell goes on");
    bed.kill_all();
    process::wait(&mut shell);
    drop(master);
}

#[test]
fn each_of_them_may_be_suspended_and_goes_on() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    let supervisor = bed.syspid("a").expect("it has a supervisor");
    for process in [bed.sysmgr(), supervisor, pid] {
        kill(process, Signal::SIGSTOP);
        stays("nothing is taken for dead", millis(100), || {
            bed.pid("a") == Some(pid) && bed.syspid("a") == Some(supervisor)
        });
        kill(process, Signal::SIGCONT);
    }
    kill(supervisor, Signal::SIGSTOP);
    kill(pid, Signal::SIGKILL);
    stays("nobody else starts it", millis(200), || bed.pid("a") == Some(pid));
    kill(supervisor, Signal::SIGCONT);
    bed.up_again("a", pid);
}

#[test]
fn a_script_that_is_deleted_while_it_runs_goes_on_until_it_is_stopped() {
    let bed = TestBed::new().started();
    bed.service("a", "while :; do sleep 0.02; done");
    let pid = bed.up("a");
    bed.remove("a");
    until("it is stopped", || !is_alive(pid) && bed.syspid("a").is_none());
}
