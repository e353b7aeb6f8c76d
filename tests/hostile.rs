//! Other users of the machine, and a run directory in which anything may stand.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::services::SLEEPER;
use common::{POSIX_ONLY, Signal, TestBed, USER, available, is_alive, is_root, kill, lacking, process, skip, until};
use sysmgr::service::status::Phase;

/// Another user, who locks whatever he can open below a directory, and keeps trying to get the locks that he could not
/// get: with fcntl(2) for reading and for writing, and with flock(2), the directories too.
const LOCKER: &str = r#"
import fcntl, os, sys, threading
os.setgroups([])
os.setgid(65533)
os.setuid(65533)
def wait(fd, how):
    try: fcntl.lockf(fd, how)
    except OSError: pass
for top, _, names in os.walk(sys.argv[1]):
    for path in [top] + [os.path.join(top, name) for name in names]:
        for flags, how in [(os.O_RDWR, fcntl.LOCK_EX), (os.O_RDONLY, fcntl.LOCK_SH)]:
            try: fd = os.open(path, flags | os.O_NONBLOCK)
            except OSError: continue
            threading.Thread(target=wait, args=(fd, how), daemon=True).start()
            try: fcntl.flock(fd, how | fcntl.LOCK_NB)
            except OSError: pass
print("locked", flush=True)
sys.stdin.read()
"#;

/// Starts that user's work; it ends with the test.
fn locker(bed: &TestBed) -> Option<Locker> {
    use std::io::{BufRead as _, BufReader};
    if !is_root() {
        lacking("root, who can be another user too");
        return None;
    }
    if !available("python3") {
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", LOCKER]).arg(&bed.rundir);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut said).expect("it says something");
    assert_eq!(said, "locked\n");
    Some(Locker(child))
}

struct Locker(Child);

impl Drop for Locker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn svctl(bed: &TestBed, arguments: &str) {
    let mut command = bed.program("svctl");
    common::said::Said::by(command.args(arguments.split(' '))).ended(0).quietly();
}

/// All that can be asked of a service works.
#[track_caller]
fn all_works(bed: &mut TestBed) {
    svctl(bed, "restart web");
    svctl(bed, "stop web");
    svctl(bed, "start web");
    let pid = bed.up("web");
    let old = bed.syspid("web").expect("it has a supervisor");
    if !POSIX_ONLY {
        kill(old, Signal::SIGKILL);
        until("another one takes over", || bed.syspid("web").is_some_and(|new| new != old && is_alive(new)));
        assert_eq!(bed.up("web"), pid);
    }
    bed.kill_sysmgr();
    bed.start();
    kill(pid, Signal::SIGKILL);
    bed.up_again("web", pid);
    svctl(bed, "kill web");
    svctl(bed, "start web");
}

#[test]
fn whoever_locks_all_that_he_can_open_hinders_nothing() {
    let mut bed = TestBed::unprivileged();
    bed.service("web", SLEEPER);
    bed.service("other", SLEEPER);
    bed.start();
    bed.up("web");
    bed.up("other");
    bed.order("other", "");
    let Some(_locker) = locker(&bed) else { return };
    let mut depends = bed.program("sysmgr-depends");
    depends.env("SYSMGR_SERVICE", "web").args(["-t", "10", "other"]);
    assert!(depends.status().is_ok_and(|status| status.success()));
    all_works(&mut bed);
    if POSIX_ONLY {
        return skip("whose a process is can't be had");
    }
    // what was open to all for a while, by a mistake, is his now
    for file in [bed.path("web", ".owner"), bed.rundir.join(".owner")] {
        kill(bed.sysmgr(), Signal::SIGSTOP);
        fs::set_permissions(file, fs::Permissions::from_mode(0o666)).expect("chmod");
        let Some(_locker) = locker(&bed) else { return };
        kill(bed.sysmgr(), Signal::SIGCONT);
        all_works(&mut bed);
    }
    for file in [bed.path("web", ".owner"), bed.rundir.join(".owner")] {
        until("it is closed to others again", || {
            fs::metadata(&file).is_ok_and(|file| file.permissions().mode() & 0o777 == 0o600)
        });
    }
}

#[test]
fn what_another_user_has_planted_in_an_open_run_directory_is_not_used() {
    if !is_root() {
        return lacking("root, who can be another user too");
    }
    let mut bed = TestBed::new();
    bed.service("web", SLEEPER);
    bed.service("other", SLEEPER);
    // as /tmp is
    fs::create_dir(&bed.rundir).expect("a directory can be made");
    bed.adjust(&bed.rundir, 0o1777);
    let foreign = |path: &Path| chown(path, Some(USER), Some(USER)).expect("root may chown");
    fs::create_dir(bed.rundir.join("web")).expect("a directory can be made");
    foreign(&bed.rundir.join("web"));
    let planted =
        [bed.rundir.join(".owner"), bed.rundir.join("pid"), bed.path("web", ".owner"), bed.path("web", "lock")];
    for file in &planted {
        bed.file(file, b"stop\n", 0o666);
        foreign(file);
    }
    bed.start();
    bed.up("other");
    until("it is said", || bed.said(&["web", "another user"]));
    assert_eq!(fs::read(&planted[3]).ok().as_deref(), Some(&b"stop\n"[..]));
    let mode = fs::metadata(&bed.rundir).map(|it| it.permissions().mode() & 0o7777);
    assert_eq!(mode.ok(), Some(0o1777), "it is somebody's decision");
    fs::remove_dir_all(bed.rundir.join("web")).expect("it can be removed");
    bed.up("web");
    svctl(&bed, "stop web");
    bed.stop();
    assert!(bed.rundir.exists());
}

#[test]
fn a_link_in_the_place_of_a_services_directory_is_not_followed() {
    for mut bed in TestBed::of_each_user() {
        bed.service("web", SLEEPER);
        bed.service("other", SLEEPER);
        let victim = bed.dir.join("victim");
        for dir in [&bed.rundir, &victim] {
            fs::create_dir(dir).expect("a directory can be made");
            bed.adjust(dir, 0o755);
        }
        symlink(&victim, bed.rundir.join("web")).expect("a link can be made");
        bed.start();
        bed.up("other");
        until("it is said", || bed.said(&["web", "Not a directory"]));
        assert_eq!(fs::read_dir(&victim).map(Iterator::count).ok(), Some(0));
        fs::remove_file(bed.rundir.join("web")).expect("it can be removed");
        bed.up("web");
    }
}

/// What may stand in any file.
fn rubbish() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"\n",
        b"-1\n",
        b"0\n",
        b"1\n",
        b"12",
        b"\xff\x00\xfe\n",
        b"state='up'\npid='1'\n",
        b"sysmgr 1 - 1 1 1 1 -\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    all.push(vec![b'9'; 200_000]);
    all.push(vec![0; 160]);
    all.push(b"a\n".repeat(70_000));
    all
}

#[test]
fn rubbish_in_every_file_is_survived_by_who_runs_and_by_who_starts() {
    for (step, mut bed) in [1, 4].into_iter().zip(TestBed::of_each_user()) {
        bed.service("web", SLEEPER);
        bed.start();
        let mut pid = bed.up("web");
        for rubbish in rubbish().into_iter().step_by(step) {
            let supervisor = bed.syspid("web");
            for file in ["pid", "syspid", "status", ".owner", "waiting", "depends", "ready"] {
                bed.file(&bed.path("web", file), &rubbish, 0o644);
            }
            bed.file(&bed.rundir.join("pid"), &rubbish, 0o644);
            bed.file(&bed.rundir.join(".owner"), &rubbish, 0o600);
            until("all is right again", || {
                bed.pid("web") == Some(pid)
                    && bed.syspid("web") == supervisor
                    && bed.phase("web") == Some(Phase::Up)
                    && bed.sysmgr_pid() == Some(bed.sysmgr())
                    && fs::read(bed.path("web", ".owner")).is_ok_and(|content| content.starts_with(b"sysmgr 1 "))
            });
            // and now while nobody is there
            bed.kill_sysmgr();
            kill(bed.syspid("web").expect("it has a supervisor"), Signal::SIGKILL);
            kill(pid, Signal::SIGKILL);
            until("nobody is there", || bed.processes().is_empty());
            for file in ["pid", "syspid", "status", ".owner", "waiting", "depends", "ready"] {
                bed.file(&bed.path("web", file), &rubbish, 0o600);
            }
            for file in ["pid", ".owner"] {
                bed.file(&bed.rundir.join(file), &rubbish, 0o600);
            }
            bed.start();
            pid = bed.up_again("web", pid);
            bed.order("web", "restart");
            pid = bed.up_again("web", pid);
            until("the order is done", || bed.lock("web").is_none());
        }
    }
}

#[test]
fn a_run_directory_of_before_a_reboot_tells_what_was_ordered_and_nothing_else() {
    let mut bed = TestBed::new();
    let mut others: Vec<Child> = Vec::new();
    let orders = ["", "stop", "kill", "once", "ran", "restart", "shutdown", "gone", "none"];
    fs::create_dir(&bed.rundir).expect("a directory can be made");
    bed.adjust(&bed.rundir, 0o755);
    let boot = "00000000-0000-0000-0000-000000000000";
    for order in orders {
        let name = format!("s{order}");
        bed.service(&name, SLEEPER);
        fs::create_dir(bed.rundir.join(&name)).expect("a directory can be made");
        bed.adjust(&bed.rundir.join(&name), 0o755);
        // its number is somebody else's by now
        let other = bed.command("sleep").arg("1000").spawn().expect("it can be started");
        let pid = process::of_child(&other);
        others.push(other);
        let start = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let start = start.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(19)).unwrap_or("1");
        let record = format!("sysmgr 1 {boot} {pid} {start} {pid} {pid} kill");
        bed.file(&bed.path(&name, ".owner"), format!("{record:<159}\n").as_bytes(), 0o600);
        let status = format!(
            "state='up'\nsince='1'\nsince_ms='1'\nboot='{boot}'\npid='{pid}'\nstart_time='{start}'\nstarts='7'\nfailures='5'\n"
        );
        for (file, content) in [("status", status), ("pid", format!("{pid}\n")), ("syspid", format!("{pid}\n"))] {
            bed.file(&bed.path(&name, file), content.as_bytes(), 0o644);
        }
        bed.file(&bed.path(&name, "waiting"), format!("{pid} {start} snone\n").as_bytes(), 0o644);
        if order != "none" {
            bed.order(&name, order);
        }
    }
    bed.file(&bed.rundir.join(".owner"), format!("{:<159}\n", format!("sysmgr 1 {boot} 0 0 0 0 -")).as_bytes(), 0o600);
    let was = |name: &str| others.iter().any(|other| Some(process::of_child(other)) == bed.pid(name));
    let old = orders.map(|order| was(&format!("s{order}")));
    assert!(old.iter().all(|was| *was));
    bed.start();
    for order in ["once", "restart", "shutdown", "gone", "none"] {
        let name = format!("s{order}");
        until(&format!("{order} is started"), || {
            bed.phase(&name) == Some(Phase::Up) && bed.status(&name).is_some_and(|s| s.boot != boot)
        });
        let status = bed.status(&name).expect("it has one");
        assert_eq!((status.starts, status.failures), (1, 0), "{name}");
        until("its order is done", || bed.lock(&name).is_none_or(|lock| order == "once" && lock == "ran"));
    }
    for order in ["", "stop", "kill", "ran"] {
        let name = format!("s{order}");
        until(&format!("'{order}' is down"), || bed.pid(&name).is_none() && bed.syspid(&name).is_none());
        assert_eq!(bed.lock(&name).as_deref(), Some(order));
        let mut status = bed.program("svctl");
        let said = common::said::Said::by(status.arg("status").arg(&name)).ended(1);
        assert!(said.out.contains("DOWN"), "{said:?}");
    }
    for mut other in others {
        assert!(other.try_wait().is_ok_and(|ended| ended.is_none()), "a stranger is never signalled");
        let _ = other.kill();
        process::wait(&mut other);
    }
}

#[test]
fn root_refuses_whatever_others_could_have_changed_also_when_it_becomes_so() {
    if !is_root() {
        return lacking("root, who refuses it");
    }
    let bed = TestBed::new().with_delays(10, 50).started();
    let script = b"#!/bin/sh\nexec sleep 1000\n";
    let (dir, file) = (bed.dir.join("apart"), bed.dir.join("apart/target"));
    fs::create_dir(&dir).expect("a directory can be made");
    bed.file(&file, script, 0o755);
    bed.link("linked", &file);
    bed.entry("plain", script, 0o755);
    let sysdir = bed.sysdir.clone();
    let (plain, linked) = (sysdir.join("plain"), sysdir.join("linked"));
    let cases: [(&str, &Path); 5] =
        [("linked", &file), ("linked", &dir), ("plain", &plain), ("plain", &sysdir), ("linked", &sysdir)];
    for (name, path) in cases {
        for wrong in ["owner", "group", "others"] {
            let pid = bed.asleep(name);
            match wrong {
                "owner" => chown(path, Some(USER), None).expect("root may chown"),
                "group" => bed.adjust(path, 0o775),
                _ => bed.adjust(path, 0o757),
            }
            // what runs already is left alone, but not started again
            assert!(is_alive(pid));
            kill(pid, Signal::SIGKILL);
            let status = bed.comes_to(name, Phase::Refused);
            let reason = status.reason.unwrap_or_default();
            // the file itself by the name that it has as a service
            let told = if path == file { &linked } else { path };
            assert!(reason.contains(&told.display().to_string()), "{name}, {wrong} of {}: {reason}", path.display());
            chown(path, Some(0), None).expect("root may chown");
            bed.adjust(path, 0o755);
            kill(bed.sysmgr(), Signal::SIGUSR1);
            bed.up_again(name, pid);
        }
    }
}

#[test]
fn an_ordinary_user_may_run_whatever_he_likes() {
    let mut bed = TestBed::unprivileged();
    if bed.has_root() {
        return skip("there is no other user");
    }
    bed.entry("open", b"#!/bin/sh\nexec sleep 1000\n", 0o777);
    bed.start();
    bed.up("open");
}
