//! The supervisors, and how each is told what all of them have to do. What is peculiar to one stands here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::libc;

use crate::process;
use crate::programs::Programs;

/// A supervisor.
pub struct System {
    name: String,
    version: String,
    kind: Kind,
}

enum Kind {
    /// The bare loop of floor.c.
    Floor,
    /// A build of sysmgr, by its directory, and whether it has a working svctl.
    Sysmgr(PathBuf, bool),
    Runit,
    S6,
    Daemontools,
}

/// What a system runs in, made anew for each session.
pub struct Bed<'a> {
    programs: &'a Programs,
    program: &'a Path,
    dir: PathBuf,
    /// The service directory.
    pub services: PathBuf,
    /// How many services.
    pub n: usize,
}

/// The systems that are there: the floor, this sysmgr, `others` (`NAME=DIRECTORY,...`), and the peers. With `only`,
/// those named there.
pub fn installed(others: &str, only: &str) -> Vec<System> {
    let mut systems = vec![System { name: "floor".to_owned(), version: String::new(), kind: Kind::Floor }];
    let own = Path::new(env!("CARGO_BIN_EXE_sysmgr")).parent().unwrap_or(Path::new(""));
    systems.push(System::sysmgr("sysmgr", own));
    for (name, dir) in others.split(',').filter_map(|other| other.split_once('=')) {
        systems.push(System::sysmgr(name, Path::new(dir)));
    }
    let peers = [
        ("runit", "runsvdir", Kind::Runit),
        ("s6", "s6-svscan", Kind::S6),
        ("daemontools", "svscan", Kind::Daemontools),
    ];
    for (package, program, kind) in peers {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
            systems.push(System { name: package.to_owned(), version: package_version(package), kind });
        }
    }
    systems.retain(|system| only.is_empty() || only.split(',').any(|name| name == system.name));
    systems
}

fn package_version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// What the floor shows of each service.
const STATUS: &str = "state='up'\npid='12345'\nsince='1700000000'\n";

impl System {
    fn sysmgr(name: &str, dir: &Path) -> Self {
        let says = |program: &str| {
            let output = Command::new(dir.join(program)).arg("--version").stdin(Stdio::null()).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
        };
        let has_svctl = !says("svctl").is_empty();
        Self { name: name.to_owned(), version: says("sysmgr"), kind: Kind::Sysmgr(dir.to_owned(), has_svctl) }
    }

    /// Its name in the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, where it has one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it is a sysmgr.
    pub fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Sysmgr(..))
    }

    /// Whether it is a supervisor of others.
    pub fn is_peer(&self) -> bool {
        matches!(self.kind, Kind::Runit | Kind::S6 | Kind::Daemontools)
    }

    /// How many services it can have: runsvdir and svscan are built for 1000.
    pub fn most(&self) -> usize {
        match self.kind {
            Kind::Runit | Kind::Daemontools => 1000,
            Kind::Floor | Kind::Sysmgr(..) | Kind::S6 => usize::MAX,
        }
    }

    /// How often a new service is measured in a session. runsvdir and svscan look once in five seconds, and can't be told
    /// to look: once is enough, and shows an arbitrary part of that time.
    pub fn additions(&self) -> usize {
        match self.kind {
            Kind::Runit | Kind::Daemontools => 1,
            Kind::Floor | Kind::Sysmgr(..) | Kind::S6 => 3,
        }
    }

    /// A directory for `n` services that are `program`.
    pub fn make_bed<'a>(&self, programs: &'a Programs, program: &'a Path, n: usize) -> io::Result<Bed<'a>> {
        let dir = programs.dir.join("bed");
        let _ = fs::remove_dir_all(&dir);
        let services = dir.join("services");
        fs::create_dir_all(&services)?;
        let bed = Bed { programs, program, dir, services, n };
        for number in 0..n {
            self.make_service(&bed, &bed.services, &service_name(number))?;
        }
        // runsvdir waits for a second when the directory was changed less than a second ago, which no boot sees
        fs::File::open(&bed.services)?.set_modified(SystemTime::now() - Duration::from_secs(60))?;
        Ok(bed)
    }

    /// A service: the file itself for sysmgr, a directory with a file `run` for the peers; all of them links to one
    /// program, so that it is in memory once.
    pub fn make_service(&self, bed: &Bed, dir: &Path, name: &str) -> io::Result<()> {
        let path = dir.join(name);
        match self.kind {
            Kind::Floor => fs::write(path, STATUS),
            Kind::Sysmgr(..) => fs::hard_link(bed.program, path),
            Kind::Runit | Kind::S6 | Kind::Daemontools => {
                fs::create_dir(&path)?;
                fs::hard_link(bed.program, path.join("run"))
            }
        }
    }

    /// The command that boots it.
    pub fn boot(&self, bed: &Bed) -> Command {
        match &self.kind {
            Kind::Floor => {
                let mut command = Command::new(&bed.programs.floor);
                command.arg(bed.program).arg(bed.n.to_string());
                command
            }
            // as with the peers, a service is stable after a second
            Kind::Sysmgr(dir, _) => {
                let mut command = Command::new(dir.join("sysmgr"));
                command.env("SYSMGR_STABLE_AFTER_MS", "1000");
                command.arg("--sysdir").arg(&bed.services).arg("--rundir").arg(bed.rundir());
                command
            }
            Kind::Runit => with("runsvdir", &[], &bed.services),
            // it has room for 500 unless told otherwise; room for some more makes no difference
            Kind::S6 => with("s6-svscan", &["-c", &(bed.n + 100).to_string()], &bed.services),
            Kind::Daemontools => with("svscan", &[], &bed.services),
        }
    }

    /// Has it see a service that was just moved into its directory. sysmgr needs nothing, runit and daemontools know nothing.
    pub fn rescan(&self, bed: &Bed, supervisor: i32) -> Option<Command> {
        match self.kind {
            Kind::Floor => {
                process::send(supervisor, libc::SIGUSR1);
                None
            }
            Kind::Sysmgr(..) | Kind::Runit | Kind::Daemontools => None,
            Kind::S6 => Some(with("s6-svscanctl", &["-a"], &bed.services)),
        }
    }

    /// The commands that show the status of services, one after the other: s6 has one that shows one.
    pub fn status(&self, bed: &Bed, names: &[String]) -> Vec<Command> {
        let paths: Vec<PathBuf> = names.iter().map(|name| bed.services.join(name)).collect();
        let one = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).args(&paths);
            vec![command]
        };
        match &self.kind {
            Kind::Floor => one(&bed.programs.show.to_string_lossy(), &[]),
            Kind::Sysmgr(_, false) => Vec::new(),
            Kind::Sysmgr(dir, true) => {
                let mut command = bed.svctl(dir);
                command.arg("status");
                if names.len() < bed.n {
                    command.args(names);
                }
                vec![command]
            }
            Kind::Runit => one("sv", &["status"]),
            Kind::S6 => paths.iter().map(|path| with("s6-svstat", &[], path)).collect(),
            Kind::Daemontools => one("svstat", &[]),
        }
    }

    /// The command that stops the service of process `pid`, and ends when it has; that of daemontools does not wait. The
    /// floor just sends the signal.
    pub fn stop(&self, bed: &Bed, pid: i32) -> io::Result<Option<Command>> {
        let path = bed.services.join(service_of(pid)?);
        Ok(match &self.kind {
            Kind::Floor => {
                process::send(pid, libc::SIGTERM);
                None
            }
            Kind::Sysmgr(dir, _) => {
                let mut command = bed.svctl(dir);
                command.arg("stop").arg(&path);
                Some(command)
            }
            Kind::Runit => Some(with("sv", &["stop"], &path)),
            Kind::S6 => Some(with("s6-svc", &["-wD", "-d"], &path)),
            Kind::Daemontools => Some(with("svc", &["-d"], &path)),
        })
    }

    /// Whether a service can be stopped, and shown.
    pub fn has_control(&self) -> bool {
        !matches!(self.kind, Kind::Sysmgr(_, false))
    }

    /// Tells it to stop everything and to end. runsvdir ends before its services do, so that all processes have to be
    /// waited for; svscan knows no such thing, and svc is needed for what it leaves.
    pub fn shut_down(&self, bed: &Bed, supervisor: i32) -> io::Result<()> {
        match self.kind {
            Kind::Floor | Kind::Sysmgr(..) | Kind::S6 => process::send(supervisor, libc::SIGTERM),
            Kind::Runit => process::send(supervisor, libc::SIGHUP),
            Kind::Daemontools => {
                process::send(supervisor, libc::SIGTERM);
                let mut command = Command::new("svc");
                command.arg("-dx");
                for entry in fs::read_dir(&bed.services)? {
                    command.arg(entry?.path());
                }
                quiet(&mut command).status()?;
            }
        }
        Ok(())
    }
}

impl Bed<'_> {
    fn rundir(&self) -> PathBuf {
        self.dir.join("run")
    }

    fn svctl(&self, dir: &Path) -> Command {
        let mut command = Command::new(dir.join("svctl"));
        command.arg("--sysdir").arg(&self.services).arg("--rundir").arg(self.rundir());
        command
    }

    /// Makes a service aside, to be moved into the service directory later: from where, and to where.
    pub fn make_aside(&self, system: &System, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        system.make_service(self, &self.dir, name)?;
        Ok((self.dir.join(name), self.services.join(name)))
    }
}

/// Without input, output and messages.
pub fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// The name of a service.
pub fn service_name(number: usize) -> String {
    format!("svc{number:05}")
}

/// The name of the service whose process is `pid`: sysmgr calls it by its path, and the others start `run` or `./run` in a directory.
fn service_of(pid: i32) -> io::Result<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline"))?;
    let name = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let is_run = matches!(name.as_str(), "run" | "./run");
    let path = if is_run { fs::read_link(format!("/proc/{pid}/cwd"))? } else { PathBuf::from(name) };
    Ok(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

fn with(program: &str, arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(path);
    command
}
