//! sysmgr as process 1 of a container, in a PID namespace.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use common::services::SLEEPER;
use common::{
    POSIX_ONLY, Signal, TestBed, available, is_alive, is_root, kill, lacking, process, skip, until, value_of,
};

/// A container, by the process outside that waits for its end.
struct Container {
    waiter: Child,
    /// Its process 1, by its number outside.
    init: i32,
}

impl Container {
    /// Starts one; `None` where that can't be.
    fn start(bed: &TestBed, command: &[&str]) -> Option<Self> {
        if !is_root() {
            lacking("root, who may make PID namespaces");
            return None;
        }
        if !available("unshare") {
            return None;
        }
        let mut unshare = bed.command("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "--mount"]).args(command);
        let waiter = unshare.spawn().expect("it can be started");
        let init = value_of("there is a process 1", || {
            process::children(process::of_child(&waiter))
                .into_iter()
                .find(|pid| process::command_name(*pid) == "sysmgr")
        });
        Some(Self { waiter, init })
    }

    /// Starts sysmgr in one, with the directories of the bed.
    fn of(bed: &TestBed) -> Option<Self> {
        let sysmgr = bed.executable("sysmgr").display().to_string();
        let (sysdir, rundir) = (bed.sysdir.display().to_string(), bed.rundir.display().to_string());
        let container = Self::start(bed, &["--mount-proc", &sysmgr, "--sysdir", &sysdir, "--rundir", &rundir])?;
        until("it is process 1", || bed.sysmgr_pid() == Some(1));
        Some(container)
    }

    /// Ends it as an engine does; nothing of it is left.
    #[track_caller]
    fn stop(mut self, bed: &TestBed, signal: Signal) {
        kill(self.init, signal);
        assert_eq!(process::wait(&mut self.waiter).code(), Some(0), "{:?}", bed.messages());
        until("nothing is left", || bed.processes().is_empty());
    }

    /// The zombies in it.
    fn zombies(&self) -> Vec<i32> {
        let all = process::all();
        let mut inside = vec![self.init];
        let mut at = 0;
        while at < inside.len() {
            let parent = inside[at];
            inside.extend(all.iter().filter(|(_, facts)| facts.parent == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        inside.retain(|pid| all[pid].zombie);
        inside
    }

    /// The runsyssv of a service, by its number outside.
    fn supervisor(&self, name: &str) -> i32 {
        value_of("it has a supervisor", || {
            let its = |pid: &i32| process::command_line(*pid).ends_with(&format!(" {name}"));
            process::children(self.init).into_iter().find(its)
        })
    }
}

#[test]
fn it_reaps_all_orphans_and_ends_with_all_that_is_in_it() {
    let bed = TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "800").with("STOP_TIMEOUT_MS", "60000");
    bed.service(
        "orphans",
        "while :; do
             (true &); (setsid true &); (setsid sh -c '(sleep 0.01 &) & (exit 3) &' &)
             echo round >> $BED/log; sleep 0.01
         done",
    );
    bed.service("apart", "setsid sh -c 'trap \"\" TERM HUP; while :; do (true &); sleep 0.02; done' & exec sleep 1000");
    bed.service("deaf", "trap '' TERM; while :; do sleep 1000; done");
    bed.service("stops", "trap 'echo told >> $BED/log; exit 0' TERM; while :; do sleep 0.02; done");
    let Some(container) = Container::of(&bed) else { return };
    until("many orphans were made", || bed.logged("round") >= 20);
    // its orphans and what it ran come to process 1
    let old = container.supervisor("orphans");
    kill(old, Signal::SIGKILL);
    until("there is another one", || container.supervisor("orphans") != old);
    let rounds = bed.logged("round");
    until("many more were made", || bed.logged("round") >= rounds + 20);
    kill(container.supervisor("orphans"), Signal::SIGTERM);
    bed.down("orphans");
    until("there is no zombie", || container.zombies().is_empty());
    let mut pids: Vec<i32> = bed.processes();
    pids.retain(|pid| *pid != process::of_child(&container.waiter));
    container.stop(&bed, Signal::SIGTERM);
    assert!(pids.len() > 5 && !pids.into_iter().any(is_alive));
    assert_eq!(bed.logged("told"), 1);
}

#[test]
fn every_signal_to_stop_ends_it_well_and_an_upgrade_in_place_works() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let bed = TestBed::new();
        bed.service("a", SLEEPER);
        let Some(container) = Container::of(&bed) else { return };
        until("it is up", || bed.pid("a").is_some());
        let (pid, supervisor) = (bed.pid("a"), bed.syspid("a"));
        kill(container.init, Signal::SIGUSR2);
        until("it has executed itself", || {
            fs::read(format!("/proc/{}/environ", container.init))
                .is_ok_and(|environment| String::from_utf8_lossy(&environment).contains("SYSMGR_RESUME="))
        });
        bed.service("b", SLEEPER);
        until("it goes on", || bed.pid("b").is_some());
        assert_eq!((bed.pid("a"), bed.syspid("a")), (pid, supervisor));
        container.stop(&bed, signal);
    }
}

/// Copies a program, with the libraries that it needs, into a root directory.
fn copy_with_libraries(program: &Path, to: &Path, root: &Path) {
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().expect("a directory")).expect("it can be made");
        let status = Command::new("cp").arg("-L").args([from, to]).status();
        assert!(status.is_ok_and(|status| status.success()), "{} can be copied", from.display());
    };
    copy(program, to);
    let needed = Command::new("ldd").arg(program).output().expect("there is ldd");
    for word in String::from_utf8_lossy(&needed.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        let library = Path::new(word);
        copy(library, &root.join(library.strip_prefix("/").expect("it is absolute")));
    }
}

/// The image of the example, as far as it can be had without network: busybox, the four tools and the services.
fn image(bed: &TestBed) -> Option<PathBuf> {
    if !["busybox", "ldd", "nsenter", "chroot"].into_iter().all(available) {
        return None;
    }
    let root = bed.dir.join("root");
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output().expect("there is a shell");
    let busybox = PathBuf::from(String::from_utf8_lossy(&busybox.stdout).trim_end());
    copy_with_libraries(&busybox, &root.join("bin/busybox"), &root);
    for name in ["sh", "sleep", "wget", "httpd", "ip"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link can be made");
    }
    for name in ["sysmgr", "runsyssv", "svctl", "sysmgr-depends"] {
        copy_with_libraries(&bed.executable(name), &root.join("usr/bin").join(name), &root);
    }
    let services = root.join("var/sysmgr");
    for dir in [&services, &root.join("var/pub/www"), &root.join("proc"), &root.join("dev")] {
        fs::create_dir_all(dir).expect("it can be made");
    }
    for name in ["web", "heartbeat"] {
        let from = format!("{}/examples/container/services/{name}", env!("CARGO_MANIFEST_DIR"));
        let status = Command::new("install").args(["-m", "755", &from]).arg(&services).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
    fs::write(root.join("var/pub/www/index.html"), "<h1>It is up.</h1>").expect("it can be written");
    Some(root)
}

#[test]
fn the_example_of_a_container_runs_from_a_root_of_busybox() {
    if POSIX_ONLY {
        return skip("it asks ps(1), which the image has not");
    }
    let bed = TestBed::new();
    if !is_root() {
        return lacking("root, who may make PID namespaces");
    }
    let Some(root) = image(&bed) else { return };
    let root = root.display().to_string();
    let proc = "mount -t proc proc \"$0/proc\"";
    let read_only = format!("{proc} && mount -o remount,bind,ro \"$0\" && mount -t tmpfs tmpfs \"$0/run\"");
    // as usual, without a /proc, and with nothing that can be written but a /run in memory
    for proc in [proc, ":", &read_only] {
        let script = format!(
            "mount --bind \"$0\" \"$0\" && {proc} && mount --bind /dev \"$0/dev\" || exit 1
             chroot \"$0\" /bin/ip link set lo up
             exec chroot \"$0\" /usr/bin/sysmgr --sysdir /var/sysmgr --rundir /run/sysmgr"
        );
        let Some(container) = Container::start(&bed, &["--net", "sh", "-c", &script, &root]) else { return };
        let target = container.init.to_string();
        let inside = |command: &[&str]| {
            let mut enter = bed.command("nsenter");
            enter.args(["-t", &target, "-p", "-m", "-n", "-r", "-w"]).args(command);
            common::said::Said::by(&mut enter)
        };
        // what is known to have waited, and does not any more
        until("the container is healthy", || {
            let waited = inside(&["/usr/bin/svctl", "deps"]).out.contains("- web");
            waited && inside(&["/usr/bin/svctl", "-q", "status"]).code == 0
        });
        let said = inside(&["/usr/bin/svctl"]).ended(0);
        assert!(said.out.contains("heartbeat: UP") && said.out.contains("web: UP"), "{said:?}");
        let page = inside(&["/bin/wget", "-q", "-O", "-", "http://127.0.0.1:8080/"]).ended(0);
        assert!(page.out.contains("It is up."), "{page:?}");
        inside(&["/usr/bin/svctl", "restart", "web"]).ended(0).quietly();
        container.stop(&bed, Signal::SIGTERM);
        let left = fs::read_dir(bed.dir.join("root/run/sysmgr")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "its files are removed");
    }
}
