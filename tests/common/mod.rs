//! A bed for each test: directories of its own, the real executables in them, and an end that
//! leaves nothing behind.
#![allow(dead_code)] // each file of tests uses a part of it

pub mod mount;
pub mod process;
pub mod programs;
pub mod said;
pub mod services;
pub mod wait;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[allow(unused_imports)]
pub use process::{Signal, facts, is_alive, kill};
#[allow(unused_imports)]
pub use programs::{available, lacking, skip};
#[allow(unused_imports)]
pub use wait::{stays, until, value_of};

/// The ordinary user as whom root tests what must work without privileges.
pub const USER: u32 = 65534;

/// Whether the programs were built with POSIX alone: no events of directories, no start times of
/// processes, and so no adoption.
pub const POSIX_ONLY: bool = cfg!(sysmgr_posix);

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// One service directory and run directory, with the processes that belong to them.
pub struct TestBed {
    /// All that the test makes is in here; services know it as `$BED`.
    pub dir: PathBuf,
    /// The service directory.
    pub sysdir: PathBuf,
    /// The run directory, which sysmgr makes.
    pub rundir: PathBuf,
    programs: PathBuf,
    user: Option<u32>,
    environment: Vec<(String, String)>,
    sysmgr: Option<Child>,
    may_leave: bool,
}

impl TestBed {
    /// A bed with an empty service directory. Its timings are short enough for tests and long
    /// enough for a machine under load.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// A bed whose sysmgr runs as an ordinary user, whoever runs the tests.
    pub fn unprivileged() -> Self {
        Self::of(is_root().then_some(USER))
    }

    /// A bed whose sysmgr runs as a user who has no other process.
    pub fn lonely() -> Self {
        Self::of(is_root().then(|| 100_000 + std::process::id() % 50_000))
    }

    /// A bed for whoever runs the tests, and, if that is root, one for an ordinary user.
    pub fn of_each_user() -> Vec<Self> {
        let user = is_root().then(Self::unprivileged);
        std::iter::once(Self::new()).chain(user).collect()
    }

    fn of(user: Option<u32>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let base = base();
        let dir = base.join(format!("{}-{number}", std::process::id()));
        let bed = Self {
            sysdir: dir.join("s"),
            rundir: dir.join("r"),
            programs: programs(&base),
            dir,
            user,
            environment: Vec::new(),
            sysmgr: None,
            may_leave: false,
        };
        let _ = fs::remove_dir_all(&bed.dir);
        for dir in [&bed.dir, &bed.sysdir] {
            fs::create_dir(dir).expect("scratch directories can be made");
            bed.adjust(dir, 0o755);
        }
        for file in ["log", "messages"] {
            File::create(bed.dir.join(file)).expect("scratch files can be made");
            bed.adjust(&bed.dir.join(file), 0o666);
        }
        // where orphans go to process 1, and zombies can't be told from what lives, it takes what that one takes
        let stop_timeout = if POSIX_ONLY { "5000" } else { "2000" };
        bed.with("STOP_TIMEOUT_MS", stop_timeout).with("SHUTDOWN_TIMEOUT_MS", "5000")
    }

    /// Sets a timing or another variable `SYSMGR_{key}` of the bed.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.environment.push((format!("SYSMGR_{key}"), value.to_owned()));
        self
    }

    /// Sets the first delay of a restart and the longest, in milliseconds.
    pub fn with_delays(self, first: u32, longest: u32) -> Self {
        self.with("RESTART_DELAY_MS", &first.to_string()).with("RESTART_DELAY_MAX_MS", &longest.to_string())
    }

    /// Lets processes be left when the bed ends: they are ended then, without complaint.
    pub fn may_leave(mut self) -> Self {
        self.may_leave = true;
        self
    }

    /// A bed in which sysmgr runs.
    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Whether its sysmgr runs as root.
    pub fn has_root(&self) -> bool {
        is_root() && self.user.is_none()
    }

    /// Gives `path` to the user of the bed, with this mode.
    pub fn adjust(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode can be set");
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user)).expect("root may chown");
        }
    }

    /// One of the four tools, with the directories of the bed as flags.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.command(self.programs.join(name));
        command.arg("--sysdir").arg(&self.sysdir);
        command.arg("--rundir").arg(&self.rundir);
        command
    }

    /// A tool as `program`, started by a shell that does `script` with it as `"$@"`.
    pub fn program_by_shell(&self, script: &str, name: &str) -> Command {
        let mut command = self.command("/bin/sh");
        command.arg("-c").arg(script).arg("sh");
        command.arg(self.programs.join(name));
        command.arg("--sysdir").arg(&self.sysdir);
        command.arg("--rundir").arg(&self.rundir);
        command
    }

    /// Any program, as the user and in the environment of the bed, with its output in `messages`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            let own = key.to_string_lossy();
            if own.starts_with("SYSMGR_") || own == "SYSDIR" || own == "RUNDIR" {
                command.env_remove(&key);
            }
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        // cargo's, in which each program would look for the C library first
        command.env_remove("LD_LIBRARY_PATH");
        command.env("BED", &self.dir).current_dir(&self.dir);
        let messages =
            OpenOptions::new().append(true).open(self.dir.join("messages")).expect("there is a file for messages");
        let again = messages.try_clone().expect("a descriptor can be copied");
        command.stdin(Stdio::null()).stdout(messages).stderr(again);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Where the executables are that this bed uses.
    pub fn executable(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Starts sysmgr and waits until it is there.
    pub fn start(&mut self) {
        self.start_by(|_| {});
    }

    /// As `start`, after a change to the command.
    pub fn start_by(&mut self, change: impl FnOnce(&mut Command)) {
        let mut command = self.program("sysmgr");
        change(&mut command);
        self.start_command(&mut command);
    }

    /// Starts sysmgr by a shell that does `script` with it as `"$@"` and becomes it by `exec`.
    pub fn start_by_shell(&mut self, script: &str) {
        let mut command = self.program_by_shell(script, "sysmgr");
        self.start_command(&mut command);
    }

    /// Starts a command that is, or becomes, sysmgr.
    pub fn start_command(&mut self, command: &mut Command) {
        assert!(self.sysmgr.is_none(), "it is started already");
        let child = command.spawn().expect("sysmgr can be started");
        let pid = process::of_child(&child);
        self.sysmgr = Some(child);
        until("sysmgr is there", || {
            assert!(is_alive(pid), "sysmgr has ended: {:?}", self.messages());
            self.sysmgr_pid() == Some(pid)
        });
    }

    /// The process id of the sysmgr that the bed has started.
    pub fn sysmgr(&self) -> i32 {
        process::of_child(self.sysmgr.as_ref().expect("sysmgr was started"))
    }

    /// What `RUNDIR/pid` says.
    pub fn sysmgr_pid(&self) -> Option<i32> {
        number(&self.rundir.join("pid"))
    }

    /// Sends SIGTERM to sysmgr and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        kill(self.sysmgr(), Signal::SIGTERM);
        self.wait()
    }

    /// Waits for the end of sysmgr.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.sysmgr.take().expect("sysmgr was started");
        process::wait(&mut child)
    }

    /// Ends sysmgr with SIGKILL.
    pub fn kill_sysmgr(&mut self) {
        kill(self.sysmgr(), Signal::SIGKILL);
        self.wait();
    }

    /// All lines that sysmgr, runsyssv and the services have written to standard error and output.
    pub fn messages(&self) -> Vec<String> {
        lines(&self.dir.join("messages"))
    }

    /// Whether a line of the messages has all of these parts.
    pub fn said(&self, parts: &[&str]) -> bool {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        self.messages().iter().any(has_all)
    }

    /// All lines that services have appended to `$BED/log`.
    pub fn log(&self) -> Vec<String> {
        lines(&self.dir.join("log"))
    }

    /// Waits until services have appended `count` lines to the log; gives them.
    #[track_caller]
    pub fn logs(&self, count: usize) -> Vec<String> {
        value_of(&format!("there are {count} lines in the log"), || {
            let log = self.log();
            (log.len() >= count).then_some(log)
        })
    }

    /// How often `line` is in the log.
    pub fn logged(&self, line: &str) -> usize {
        self.log().iter().filter(|l| *l == line).count()
    }

    /// All living processes of the bed.
    pub fn processes(&self) -> Vec<i32> {
        process::of_bed(&self.dir)
    }

    /// Ends all processes of the bed with SIGKILL, sysmgr first, so that nothing is started again.
    pub fn kill_all(&mut self) {
        if let Some(mut child) = self.sysmgr.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let name_of = |pid: &i32| process::command_name(*pid);
        wait::try_until(|| {
            let mut pids = self.processes();
            pids.sort_by_key(|pid| name_of(pid) != "runsyssv");
            for pid in &pids {
                process::try_kill(*pid, Signal::SIGKILL);
            }
            pids.is_empty()
        });
    }

    fn report(&self) {
        eprintln!("--- messages of {}", self.dir.display());
        for line in self.messages().iter().rev().take(60).rev() {
            eprintln!("{line}");
        }
        eprintln!("--- processes");
        for pid in self.processes() {
            eprintln!("{pid} {:?} {:?}", process::command_line(pid), facts(pid));
        }
        eprintln!("--- run directory");
        for name in fs::read_dir(&self.rundir).into_iter().flatten().flatten().take(20) {
            let status = fs::read_to_string(name.path().join("status")).unwrap_or_default();
            eprintln!("{}: {}", name.path().display(), status.replace('\n', " "));
        }
    }
}

/// A test that has gone well ends with a sysmgr that stops everything; nothing may be left then.
impl Drop for TestBed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report();
            self.kill_all();
            return;
        }
        let mut ended = None;
        if let Some(mut child) = self.sysmgr.take() {
            process::try_kill(process::of_child(&child), Signal::SIGCONT);
            process::try_kill(process::of_child(&child), Signal::SIGTERM);
            wait::try_until(|| {
                ended = child.try_wait().ok().flatten();
                ended.is_some()
            });
            if ended.is_none() {
                self.sysmgr = Some(child);
                self.report();
                self.kill_all();
                panic!("sysmgr did not end");
            }
        }
        let left: Vec<_> = self.processes().into_iter().map(process::command_line).collect();
        self.kill_all();
        assert!(self.may_leave || left.is_empty(), "these were left: {left:?}; messages: {:#?}", self.messages());
        assert!(ended.is_none_or(|status| status.success()), "sysmgr: {ended:?}; messages: {:#?}", self.messages());
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where beds are made: in the build directory, unless an ordinary user can't get there.
fn base() -> PathBuf {
    let inside = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    if is_root() && !is_open(&inside) {
        let outside = std::env::temp_dir().join("sysmgr-tests");
        let _ = fs::create_dir(&outside);
        return outside;
    }
    inside
}

/// The directory of the executables; one with copies where the ordinary user can't get at them.
fn programs(base: &Path) -> PathBuf {
    let directory = programs::directory();
    if !is_root() || is_open(&directory) {
        return directory;
    }
    let copies = base.join(format!("bin-{}", std::process::id()));
    if fs::create_dir(&copies).is_ok() {
        for tool in ["sysmgr", "runsyssv", "svctl", "sysmgr-depends"] {
            // not written by ourselves: a thread that forks meanwhile would keep it busy
            let status = Command::new("cp").arg(directory.join(tool)).arg(&copies).status();
            assert!(status.is_ok_and(|it| it.success()), "cannot copy {tool}");
        }
    }
    copies
}

/// Whether everybody may go to `directory`.
fn is_open(directory: &Path) -> bool {
    directory.ancestors().all(|part| fs::metadata(part).is_ok_and(|it| it.permissions().mode() & 0o005 == 0o005))
}

fn number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

fn lines(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// How long something lasts that has no event.
pub const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
