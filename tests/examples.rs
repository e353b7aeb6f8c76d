//! The example services: that each calls its daemon rightly, with stand-ins for everything that they run; and what
//! `make run` shows, for real.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// Says how it was called. `setsid` goes on with what it was given, as the real one does.
const STAND_IN: &str = r#"#!/bin/sh
echo "${0##*/} $*"
[ "${0##*/}" != setsid ] || exec "$@"
[ "${0##*/} $*" != "${FAILS:-}" ] || exit 7
"#;

const PROGRAMS: [&str; 22] = [
    "NetworkManager",
    "busybox",
    "chronyd",
    "crond",
    "dbus-daemon",
    "dbus-uuidgen",
    "dhcpcd",
    "agetty",
    "getty",
    "install",
    "nginx",
    "redis-server",
    "setpriv",
    "setsid",
    "ssh-keygen",
    "sshd",
    "svctl",
    "syslogd",
    "sysmgr-depends",
    "wpa_supplicant",
    "httpd",
    "python3",
];

/// A directory with stand-ins for the programs, but for those left out.
fn stand_ins(name: &str, without: &[&str]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("examples {name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let program = dir.join(".program");
    fs::write(&program, STAND_IN).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for name in PROGRAMS.iter().filter(|name| !without.contains(name)) {
        std::os::unix::fs::symlink(&program, dir.join(name)).unwrap();
    }
    dir
}

/// What the script says, and its exit code, when sysmgr runs it under this name with these programs.
fn run(programs: &Path, script: &str, service: &str, fails: &str) -> (String, Option<i32>) {
    let output = Command::new("/bin/sh")
        .arg(format!("{EXAMPLES}/{script}"))
        .env_clear()
        .env("PATH", programs)
        .env("RUNDIR", programs)
        .env("SYSMGR_SERVICE", service)
        .env("FAILS", fails)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
}

#[test]
fn every_service_runs_its_daemon_in_the_foreground() {
    let programs = stand_ins("services", &[]);
    let expected = [
        (
            "NetworkManager",
            "NetworkManager",
            "sysmgr-depends -p /run/dbus/system_bus_socket dbus\nNetworkManager --no-daemon\n",
        ),
        ("chronyd", "chronyd", "chronyd -d\n"),
        ("crond", "crond", "crond -f\n"),
        (
            "dbus",
            "dbus",
            "install -d -m 0755 /run/dbus\ndbus-uuidgen --ensure\ndbus-daemon --system --nofork --nopidfile\n",
        ),
        ("dhcpcd", "dhcpcd", "dhcpcd --nobackground --quiet\n"),
        ("dhcpcd", "dhcpcd-eth0", "dhcpcd --nobackground --quiet eth0\n"),
        ("getty", "getty-tty1", "setsid agetty 38400 tty1 linux\nagetty 38400 tty1 linux\n"),
        ("getty", "getty-ttyS0", "setsid agetty 115200 ttyS0 vt100\nagetty 115200 ttyS0 vt100\n"),
        ("nginx", "nginx", "nginx -q -t\nnginx -g daemon off;\n"),
        ("ntpd", "ntpd", "busybox ntpd -n -N -p pool.ntp.org\n"),
        (
            "postgres",
            "postgres",
            "install -d -o postgres -g postgres -m 0755 /run/postgresql\n\
             setpriv --reuid postgres --regid postgres --init-groups postgres -D /var/lib/postgresql/data\n",
        ),
        (
            "redis",
            "redis",
            "install -d -o redis -g redis -m 0755 /run/redis\n\
             setpriv --reuid redis --regid redis --init-groups redis-server CONF --daemonize no --supervised no\n",
        ),
        ("sshd", "sshd", "ssh-keygen -A\ninstall -d -m 0755 /run/sshd\nsshd -t\nsshd -D -e\n"),
        ("syslogd", "syslogd", "syslogd -n\n"),
        (
            "wpa_supplicant",
            "wpa_supplicant-wlan0",
            "wpa_supplicant -i wlan0 -c /etc/wpa_supplicant/wpa_supplicant.conf\n",
        ),
    ];
    let mut seen = BTreeSet::new();
    for (script, service, said) in expected {
        seen.insert(script.to_owned());
        let (output, code) = run(&programs, &format!("services/{script}"), service, "");
        let output = output.replace("/etc/redis/redis.conf", "CONF").replace("/etc/redis.conf", "CONF");
        let output: Vec<_> = output.lines().map(str::trim_end).collect();
        assert_eq!((output.join("\n") + "\n", code), (said.to_owned(), Some(0)), "{service}");
    }
    let all: BTreeSet<_> = fs::read_dir(format!("{EXAMPLES}/services"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(seen, all, "a service is not in this test");
}

#[test]
fn a_faulty_configuration_is_said_before_the_daemon_starts() {
    let programs = stand_ins("configuration", &[]);
    for (service, check) in [("sshd", "sshd -t"), ("nginx", "nginx -q -t")] {
        let (output, code) = run(&programs, &format!("services/{service}"), service, check);
        assert_eq!(code, Some(7), "{output}");
        assert!(output.ends_with(&format!("{check}\n")), "{output}");
    }
}

#[test]
fn every_example_service_can_be_executed() {
    for folder in ["run", "services", "container/services"] {
        for entry in fs::read_dir(format!("{EXAMPLES}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o555, 0o555, "{}", path.display());
            assert!(fs::read_to_string(&path).unwrap().starts_with("#!/bin/sh\n"), "{}", path.display());
        }
    }
}

#[test]
fn web_takes_what_is_there_and_says_so_when_nothing_is() {
    let (python, _) = run(&stand_ins("python", &["busybox", "httpd"]), "run/web", "web", "");
    assert_eq!(python, "python3 -u -m http.server --bind 127.0.0.1 --directory /var/pub/www 8080\n");

    let nothing = stand_ins("nothing", &["busybox", "httpd", "python3"]);
    fs::create_dir(nothing.join("web")).unwrap();
    let (said, code) = run(&nothing, "run/web", "web", "");
    assert_eq!(code, Some(1));
    assert!(said.contains("no web server here") && said.contains("svctl start web"), "{said}");
    assert!(nothing.join("web/lock").exists(), "it would be tried again and again");
}

/// A sysmgr in the foreground, which is not left behind.
struct Foreground(Child);

impl Foreground {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            let _ = self.0.wait();
        }
    }
}

#[test]
fn what_make_run_tells_to_try_works() {
    let bin = Path::new(env!("CARGO_BIN_EXE_sysmgr")).parent().unwrap();
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples try");
    let _ = fs::remove_dir_all(&work);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut run = Command::new(format!("{EXAMPLES}/try"));
    run.args([bin, &work]).env("WEB_PORT", &port).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut sysmgr = Foreground(run.spawn().unwrap());

    // What it says before the services run: indented lines are commands.
    let mut said = BufReader::new(sysmgr.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let commands: Vec<_> = said
        .by_ref()
        .take_while(|line| !line.contains("# and gone"))
        .filter_map(|line| line.strip_prefix("    ").map(str::to_owned))
        .collect();
    assert!(commands.len() > 6, "{commands:?}");
    let services = "ticker reporter";
    let others = Command::new("sh")
        .arg("-euc")
        .arg(format!("{}\nsysmgr-depends -t 30 {services}", commands[0]))
        .output()
        .unwrap();
    assert!(others.status.success(), "{others:?}");

    for command in &commands[1..] {
        // Whether there is a web server depends on the machine.
        if command.contains("web") || command.starts_with("curl") {
            continue;
        }
        let output = Command::new("sh").arg("-c").arg(format!("{}\n{command}", commands[0])).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        // 1: not all are up, as crasher is not most of the time.
        let asks = command.starts_with("svctl  ") || command.starts_with("svctl why");
        assert!(output.status.code() <= Some(i32::from(asks)), "{command}: {output:?}");
        assert_eq!(words, "", "{command}");
    }
    assert!(work.join("services/new").exists());

    sysmgr.signal(Signal::SIGINT);
    assert!(sysmgr.0.wait().unwrap().success());
    let left: Vec<_> = fs::read_dir(work.join("state")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
