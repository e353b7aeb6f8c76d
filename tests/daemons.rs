//! Real daemons as services, each as its manual says to run it in the foreground.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::{
    POSIX_ONLY, Signal, TestBed, is_alive, is_root, kill, lacking, millis, process, skip, stays, until, value_of,
};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

/// The path of a program, also where Debian keeps those of one version; says so if there is none.
fn find(program: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/libexec/postgresql"].map(PathBuf::from))
        .chain(versions.map(|version| version.path().join("bin")))
        .map(|dir| dir.join(program))
        .find(|path| fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o001 != 0));
    if found.is_none() {
        lacking(program);
    }
    found
}

/// Whether the user of the bed has an entry in passwd(5), which some daemons ask for, and a shell if
/// `login` is needed.
fn has_account(bed: &TestBed, login: bool) -> bool {
    let uid = fs::metadata(&bed.dir).map_or(0, |it| std::os::unix::fs::MetadataExt::uid(&it));
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    let shell = |user: &nix::unistd::User| user.shell.file_name().map(ToOwned::to_owned).unwrap_or_default();
    let fit = user.is_some_and(|user| !login || (shell(&user) != "nologin" && shell(&user) != "false"));
    if !fit {
        skip(&format!("user {uid} has no account{}", if login { " to log in" } else { "" }));
    }
    fit
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
    listener.local_addr().expect("it is bound").port()
}

/// What a server answers; `None` if there is none.
fn ask(port: u16, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = [0; 4096];
    let mut length = 0;
    while let Ok(n @ 1..) = stream.read(&mut answer[length..]) {
        length += n;
    }
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

const PAGE: &str = "GET /page HTTP/1.0\r\nHost: localhost\r\n\r\n";

#[track_caller]
fn serves(port: u16, text: &str) {
    until("the page is served", || ask(port, PAGE).is_some_and(|answer| answer.contains(text)));
}

/// A directory with a page in it.
fn site(bed: &TestBed) -> PathBuf {
    let site = bed.dir.join("www");
    fs::create_dir(&site).expect("a directory can be made");
    bed.adjust(&site, 0o755);
    bed.file(&site.join("page"), b"it is served\n", 0o644);
    site
}

fn restart(bed: &TestBed, name: &str) -> i32 {
    let old = bed.pid(name).expect("it has a process");
    let mut svctl = bed.program("svctl");
    svctl.args(["--wait", "20", "restart", name]);
    assert!(svctl.status().is_ok_and(|status| status.success()), "{:?}", bed.messages());
    let new = bed.pid(name).expect("it is restarted when svctl has ended");
    assert!(new != old && is_alive(new) && !is_alive(old));
    bed.up_again(name, old)
}

fn httpd(script: &str) {
    let Some(busybox) = find("busybox") else { return };
    let bed = TestBed::unprivileged().started();
    let (port, site) = (free_port(), site(&bed));
    let command = format!("{} httpd -f -p 127.0.0.1:{port} -h {}", busybox.display(), site.display());
    bed.service("www", &script.replace("HTTPD", &command));
    bed.up("www");
    serves(port, "it is served");
    for _ in 0..3 {
        restart(&bed, "www");
        serves(port, "it is served");
    }
    // it found its port free each time
    assert_eq!(bed.status("www").map(|status| status.failures), Some(0), "{:?}", bed.messages());
    bed.signal("www", Signal::SIGKILL);
    until("its end is known", || bed.last_exit("www") == Some(Ended::Signal { number: 9, core: false }));
    serves(port, "it is served");
    bed.nudge("www", Signal::SIGTERM);
    bed.down("www");
    assert_eq!(ask(port, PAGE), None, "nobody listens any more");
}

#[test]
fn busybox_httpd_with_exec_is_restarted_with_its_port() {
    httpd("exec HTTPD");
}

#[test]
fn busybox_httpd_without_exec_is_restarted_with_its_port() {
    httpd("HTTPD\nexit $?");
}

#[test]
fn redis_keeps_its_data_across_a_restart() {
    let Some(redis) = find("redis-server") else { return };
    let bed = TestBed::unprivileged().started();
    let port = free_port();
    let data = bed.dir.join("data");
    fs::create_dir(&data).expect("a directory can be made");
    bed.adjust(&data, 0o700);
    bed.service(
        "redis",
        &format!(
            "exec {} --bind 127.0.0.1 --port {port} --dir {} --save '900 1' --daemonize no",
            redis.display(),
            data.display()
        ),
    );
    let says = |question: &str, answer: &str| {
        until("redis answers", || ask(port, &format!("{question}\r\nQUIT\r\n")).is_some_and(|it| it.contains(answer)));
    };
    says("PING", "PONG");
    says("SET key value-of-key", "OK");
    restart(&bed, "redis");
    says("GET key", "value-of-key");
    bed.nudge("redis", Signal::SIGTERM);
    bed.down("redis");
    assert_eq!(bed.last_exit("redis"), Some(Ended::Code(0)), "it saved its data and ended well");
    bed.unlock("redis");
    says("GET key", "value-of-key");
}

#[test]
fn nginx_whose_master_is_killed_is_restarted_since_its_workers_do_not_keep_the_port() {
    let Some(nginx) = find("nginx") else { return };
    let bed = TestBed::new().started();
    let (port, site) = (free_port(), site(&bed));
    let user = if bed.has_root() { "user nobody nogroup;" } else { "" };
    let dir = bed.dir.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {dir}/{kind};")).join(" ");
    bed.file(
        &bed.dir.join("nginx.conf"),
        format!(
            "daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr; {user}
             events {{ worker_connections 64; }}
             http {{ access_log off; {temporary}
               server {{ listen 127.0.0.1:{port}; root {}; }} }}",
            site.display()
        )
        .as_bytes(),
        0o644,
    );
    bed.service("nginx", &format!("exec {} -e stderr -p {dir} -c {dir}/nginx.conf", nginx.display()));
    let mut master = bed.up("nginx");
    for signal in [Signal::SIGKILL, Signal::SIGSEGV] {
        serves(port, "it is served");
        let workers =
            value_of("it has two workers", || Some(process::children(master)).filter(|children| children.len() == 2));
        kill(master, signal);
        master = bed.up_again("nginx", master);
        assert!(workers.iter().all(|worker| !is_alive(*worker)), "old workers are gone before the restart");
        serves(port, "it is served");
    }
    assert!(!bed.said(&["Address already in use"]), "{:?}", bed.messages());
    restart(&bed, "nginx");
    serves(port, "it is served");
    bed.nudge("nginx", Signal::SIGTERM);
    bed.down("nginx");
    assert_eq!(ask(port, PAGE), None);
}

/// What a command prints; run as the user of the bed.
fn output(bed: &TestBed, program: &Path, arguments: &[&str]) -> Option<String> {
    let output = bed
        .command(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdout(Stdio::piped())
        .output()
        .expect("it can be started");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn postgresql_keeps_its_data_and_is_stopped_cleanly() {
    let programs = ["initdb", "postgres", "psql", "pg_controldata"].map(find);
    let [Some(initdb), Some(postgres), Some(psql), Some(controldata)] = programs else {
        return;
    };
    // it refuses to run as root
    let bed = TestBed::unprivileged().with("STOP_TIMEOUT_MS", "10000").started();
    if !has_account(&bed, false) {
        return;
    }
    let data = bed.dir.join("data").display().to_string();
    let initialized = output(&bed, &initdb, &["-D", &data, "-A", "trust", "-U", "me", "--no-sync"]);
    assert!(initialized.is_some(), "{:?}", bed.messages());
    // SIGTERM waits until all clients have gone, SIGINT does not
    bed.service(
        "postgres",
        &format!(
            "trap 'kill -INT $server' TERM
             {} -D {data} -k {data} -c listen_addresses= -F &
             server=$!
             until wait $server; [ $? -lt 128 ]; do :; done",
            postgres.display()
        ),
    );
    let sql = |command: &str| output(&bed, &psql, &["-h", &data, "-U", "me", "-d", "postgres", "-Atc", command]);
    until("it serves", || sql("select 1").as_deref() == Some("1"));
    assert!(sql("create table things (name text)").is_some(), "{:?}", bed.messages());
    assert!(sql("insert into things values ('kept')").is_some());

    restart(&bed, "postgres");
    until("its data is there", || sql("select name from things").as_deref() == Some("kept"));
    let state = || {
        let told = output(&bed, &controldata, &["-D", &data]).unwrap_or_default();
        told.lines().find_map(|line| Some(line.strip_prefix("Database cluster state:")?.trim().to_owned()))
    };
    assert_eq!(state().as_deref(), Some("in production"));
    bed.signal("postgres", Signal::SIGKILL);
    until("its data is there", || sql("select name from things").as_deref() == Some("kept"));

    // with a client that does not go by itself
    let mut client = bed.command(&psql);
    client.args(["-h", &data, "-U", "me", "-d", "postgres", "-c", "select pg_sleep(1000)"]);
    let mut client = client.spawn().expect("it can be started");
    let busy = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
    until("it is busy", || sql(busy).as_deref() == Some("1"));
    bed.nudge("postgres", Signal::SIGTERM);
    bed.down("postgres");
    assert_eq!(state().as_deref(), Some("shut down"), "{:?}", bed.messages());
    process::wait(&mut client);
}

#[test]
fn sshd_is_restarted_while_a_login_session_goes_on() {
    let programs = ["sshd", "ssh", "ssh-keygen"].map(find);
    let [Some(sshd), Some(ssh), Some(keygen)] = programs else {
        return;
    };
    if is_root() {
        // where sshd of root separates its privileges; it is not there until it ran once
        let _ = fs::create_dir_all("/run/sshd");
    }
    let bed = TestBed::new().may_leave().started();
    if !has_account(&bed, true) {
        return;
    }
    let (port, dir) = (free_port(), bed.dir.display());
    for key in ["host", "user"] {
        let path = format!("{dir}/{key}");
        let made = output(&bed, &keygen, &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        assert!(made.is_some(), "{:?}", bed.messages());
    }
    bed.file(
        &bed.dir.join("sshd_config"),
        format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/user.pub
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPrintMotd no\n"
        )
        .as_bytes(),
        0o644,
    );
    bed.service("sshd", &format!("exec {} -D -e -f {dir}/sshd_config", sshd.display()));
    let listener = bed.up("sshd");
    until("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let login = |script: &str| {
        let mut command = bed.command(&ssh);
        command.args(["-F", "none", "-p", &port.to_string(), "-i", &format!("{dir}/user")]);
        command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "127.0.0.1", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().expect("it can be started")
    };
    let mut session = login("while read line; do echo \"got $line\"; done");
    let mut input = session.stdin.take().expect("it is a pipe");
    let mut output = BufReader::new(session.stdout.take().expect("it is a pipe"));
    let mut exchange = |word: &str| {
        writeln!(input, "{word}").expect("the session lives");
        let mut line = String::new();
        output.read_line(&mut line).expect("the session lives");
        assert_eq!(line, format!("got {word}\n"), "{:?}", bed.messages());
    };
    exchange("one");
    let next = restart(&bed, "sshd");
    assert_ne!(next, listener);
    exchange("two");
    bed.signal("sshd", Signal::SIGKILL);
    bed.up_again("sshd", next);
    exchange("three");
    bed.nudge("sshd", Signal::SIGTERM);
    bed.down("sshd");
    exchange("four");
    bed.unlock("sshd");
    bed.up("sshd");
    until("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let mut other = login("exit 7");
    drop(other.stdin.take());
    assert_eq!(process::wait(&mut other).code(), Some(7));
    drop(input);
    process::wait(&mut session);
}

#[test]
fn a_service_that_needs_the_bus_waits_for_dbus_daemon() {
    let programs = ["dbus-daemon", "dbus-send"].map(find);
    let [Some(daemon), Some(send)] = programs else {
        return;
    };
    let bed = TestBed::unprivileged().with("SETTLE_MS", "300").with("STOP_TIMEOUT_MS", "10000");
    if !has_account(&bed, false) {
        return;
    }
    let dir = bed.dir.display().to_string();
    let config = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"
           \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">
         <busconfig><type>session</type><listen>unix:path={dir}/bus</listen><auth>EXTERNAL</auth>
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>
           <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n"
    );
    bed.file(&bed.dir.join("bus.conf"), config.as_bytes(), 0o644);
    // the bus comes last, so that there is something to wait for
    for part in ["", "dbus"] {
        fs::create_dir(bed.rundir.join(part)).expect("a directory can be made");
        bed.adjust(&bed.rundir.join(part), 0o755);
    }
    bed.order("dbus", "stop");
    bed.service(
        "dbus",
        &format!("rm -f {dir}/bus; exec {} --config-file={dir}/bus.conf --nofork --nopidfile", daemon.display()),
    );
    bed.service(
        "network",
        &format!(
            "{} dbus || exit 1
             {} --bus=unix:path={dir}/bus --print-reply --dest=org.freedesktop.DBus / \
                 org.freedesktop.DBus.ListNames > $BED/reply || exit 2
             echo connected >> $BED/log; exec sleep 1000",
            bed.executable("sysmgr-depends").display(),
            send.display()
        ),
    );
    let bed = bed.started();
    bed.up("network");
    until("it waits", || bed.path("network", "waiting").exists());
    assert!(bed.log().is_empty());
    bed.unlock("dbus");
    until("it is connected", || bed.logged("connected") == 1);
    let network = bed.up("network");
    // the bus comes and goes, the service is none of its business
    restart(&bed, "dbus");
    assert_eq!(bed.up("network"), network);
    assert_eq!(bed.status("network").map(|status| status.failures), Some(0));
}

#[test]
fn a_daemon_that_goes_to_the_background_is_not_started_again_and_again() {
    if POSIX_ONLY {
        return skip("who is in another session can't be had");
    }
    let Some(busybox) = find("busybox") else { return };
    let bed = TestBed::unprivileged().with_delays(50, 60_000).may_leave().started();
    let (port, site) = (free_port(), site(&bed));
    // without -f it makes a session of its own: it is no service any more
    let busybox = busybox.display();
    bed.service(
        "www",
        &format!("echo ran >> $BED/log; exec {busybox} httpd -p 127.0.0.1:{port} -h {}", site.display()),
    );
    serves(port, "it is served");
    let status = value_of("it is held", || {
        bed.status("www").filter(|status| status.reason.as_ref().is_some_and(|it| it.contains("background")))
    });
    assert_eq!((status.phase, status.last_exit), (Phase::Backoff, Some(Ended::Code(0))));
    until("it is said", || bed.said(&["www:", "background"]));
    // it may have been started again, when it was seen on its way to the background; now it is held
    let ran = bed.logged("ran");
    stays("it is left alone", millis(500), || bed.logged("ran") == ran);
}
