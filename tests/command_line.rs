//! Flags, environment, and what is built in: what the tools take, refuse and say of themselves.

#[path = "common/programs.rs"]
mod programs;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use sysmgr::cli::svctl::{GROUPS, Operation, Request};
use sysmgr::cli::{self, Directories, Verbosity};
use sysmgr::settings::{BUILT_IN, Settings, TIMES};
use sysmgr::startup::{Dirs, Timings};

const TOOLS: [&str; 4] = ["sysmgr", "runsyssv", "svctl", "sysmgr-depends"];

fn run(tool: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(programs::directory().join(tool))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("it can be executed")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn svctl(words: &str) -> Result<Request, clap::Error> {
    let arguments = std::iter::once("svctl").chain(words.split_whitespace()).map(OsString::from);
    cli::svctl::parse(arguments, &BUILT_IN)
}

fn settings() -> Settings {
    Settings { service_dir: "/etc/sv".into(), run_dir: "/run/sv".into(), stop_timeout_ms: 12_500, ..BUILT_IN }
}

#[test]
fn the_help_fits_a_screen_and_shows_what_is_built_in() {
    let settings = settings();
    for mut command in [
        cli::sysmgr::command(&settings),
        cli::runsyssv::command(&settings),
        cli::svctl::command(&settings),
        cli::depends::command(&settings),
    ] {
        let name = command.get_name().to_owned();
        let about = command.get_about().expect("what it is for").to_string();
        let help = command.render_help().to_string();
        assert!(help.starts_with(&about), "{name} begins with what it is for");
        assert!(help.lines().count() <= 24, "{name}: {} lines", help.lines().count());
        for line in help.lines() {
            assert!(line.len() <= 80 && line.is_ascii() && line == line.trim_end(), "{name}: {line}");
        }
        assert!(help.contains("Examples"), "{name}");
        for built_in in ["[/etc/sv]", "[/run/sv]"] {
            assert!(help.contains(built_in), "{name} shows {built_in}");
        }
        assert_eq!(help.contains("[12.5]"), name == "svctl", "{name}");
    }
}

#[test]
fn help_and_version_go_to_standard_output_and_are_no_errors() {
    for tool in TOOLS {
        for flag in ["--help", "-h"] {
            let output = run(tool, &[flag], &[]);
            assert_eq!(output.status.code(), Some(0), "{tool} {flag}");
            assert!(text(&output.stdout).contains(&format!("Usage: {tool} ")), "{tool} {flag}");
            assert!(output.stderr.is_empty(), "{tool} {flag}");
        }
        for flag in ["--version", "-V"] {
            let output = run(tool, &[flag], &[]);
            assert_eq!(output.status.code(), Some(0), "{tool} {flag}");
            assert_eq!(text(&output.stdout), format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
            assert!(output.stderr.is_empty(), "{tool} {flag}");
        }
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        programs::skip("no /dev/full");
        return;
    };
    for tool in TOOLS {
        let full = full.try_clone().expect("a descriptor");
        let status =
            Command::new(programs::directory().join(tool)).arg("--help").stdout(full).stderr(Stdio::null()).status();
        assert_eq!(status.expect("it can be executed").code(), Some(1), "{tool}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    for (tool, arguments, words) in [
        ("sysmgr", &["--foo"][..], "'--foo'"),
        ("sysmgr", &["now"], "'now'"),
        ("sysmgr", &["--sysdir"], "'--sysdir <DIR>'"),
        ("sysmgr", &["--sysdir", ""], "--sysdir: the name is empty"),
        ("sysmgr", &["--rundir", "/a\nb"], "newline"),
        ("sysmgr", &["--sysdir", "/x/", "--rundir", "/x/."], "must be two"),
        ("sysmgr", &["--verbos"], "'--verbose'"),
        ("runsyssv", &[], "<SERVICE>"),
        ("runsyssv", &["a", "b"], "'b'"),
        ("runsyssv", &["--rundir", "", "a"], "--rundir: the name is empty"),
        ("svctl", &["strat", "x"], "'start'"),
        ("svctl", &["x"], "'svctl status NAME', and is one of start, stop, "),
        ("svctl", &["STOP", "x"], "did you mean 'stop'?"),
        ("svctl", &["signal", "hpu", "x"], "there is no signal 'hpu'; did you mean HUP?"),
        ("svctl", &["signal", "SIGTREM", "x"], "did you mean TERM?"),
        ("svctl", &["signal", "apple", "x"], "as in HUP, SIGHUP or 1"),
        ("svctl", &["start", "--json", "x"], "--json goes with status only"),
        ("svctl", &["restart", "-f", "x"], "--force goes with stop only"),
        ("svctl", &["status", "-w", "3"], "--wait goes only with"),
        ("svctl", &["stop", "--foce", "x"], "'--force'"),
        ("svctl", &[""], "''"),
        ("svctl", &["start"], "<SERVICE>"),
        ("svctl", &["signal", "HUP"], "<SERVICE>"),
        ("svctl", &["stop", "-w", "soon", "x"], "such as 5 or 0.5"),
        ("svctl", &["stop", "-w", "-1", "x"], "such as 5 or 0.5"),
        ("svctl", &["-f", "start", "x"], "--force goes with stop only"),
        ("svctl", &["--json", "stop", "x"], "--json goes with status only"),
        ("svctl", &["-w", "1", "status"], "--wait goes only"),
        ("svctl", &["status", "--json", "--quiet"], "'--json'"),
        ("sysmgr-depends", &[], "<SERVICE>"),
        ("sysmgr-depends", &["-t", "1s", "a"], "such as 5 or 0.5"),
    ] {
        let output = run(tool, arguments, &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{tool} {arguments:?}: {said}");
        assert!(said.starts_with(&format!("{tool}: ")), "{tool} {arguments:?}: {said}");
        assert!(said.contains(words), "{tool} {arguments:?}: no {words} in {said}");
        assert!(output.stdout.is_empty(), "{tool} {arguments:?}");
        assert!(!said.contains("as a value"), "{tool} {arguments:?}: {said}");
    }
}

#[test]
fn a_wrong_variable_exits_with_2_and_names_it() {
    for (variable, value, words) in [
        ("SYSMGR_STOP_TIMEOUT_MS", "7s", "from 1 to 3600000"),
        ("SYSMGR_STOP_TIMEOUT_MS", "0", "from 1 to 3600000"),
        ("SYSMGR_RESTART_DELAY_MS", "86400001", "from 1 to 86400000"),
        ("SYSMGR_RESTART_DELAY_MS", "50000", "SYSMGR_RESTART_DELAY_MAX_MS"),
        ("SYSMGR_SETTLE_MS", " 1", "from 0 to 3600000"),
        ("SYSMGR_RESCAN_MS", "9", "from 10 to 3600000"),
        ("SYSMGR_OWNER_CHECK", "yes", "true or false"),
    ] {
        for (tool, arguments) in [("sysmgr", &[][..]), ("runsyssv", &["x"]), ("svctl", &[]), ("sysmgr-depends", &["x"])]
        {
            let dirs = [("SYSDIR", "/nonexistent/sv"), ("RUNDIR", "/nonexistent/run"), (variable, value)];
            let output = run(tool, arguments, &dirs);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{tool} {variable}={value}: {said}");
            assert!(said.contains(variable) && said.contains(words), "{tool} {variable}={value}: {said}");
            assert_eq!(said.lines().count(), 1, "{tool}: {said}");
        }
    }
}

#[test]
fn the_last_of_several_options_counts() {
    let request = svctl("--rundir /a --rundir /b stop -w 1 -w 2 x").expect("right");
    assert_eq!(request.directories.rundir, Some("/b".into()));
    assert_eq!(request.wait, Some(Duration::from_secs(2)));
    for (flags, verbosity) in [
        (&["-v", "-q"][..], Verbosity::Quiet),
        (&["-q", "-v"], Verbosity::Verbose),
        (&["-vv"], Verbosity::Verbose),
        (&[], Verbosity::Normal),
    ] {
        let arguments = std::iter::once(&"sysmgr").chain(flags).map(OsString::from);
        assert_eq!(cli::sysmgr::parse(arguments, &BUILT_IN).expect("right").verbosity, verbosity, "{flags:?}");
    }
}

#[test]
fn svctl_takes_options_before_and_after_the_operation() {
    for words in
        ["-f -w 3 stop a b", "stop -f -w 3 a b", "stop a b -fw3", "-w 9 stop --wait=3 -f a b", "-f down -w3.0 a b"]
    {
        let request = svctl(words).expect(words);
        assert_eq!(request.operation, Operation::Stop, "{words}");
        assert_eq!(request.services, ["a", "b"], "{words}");
        assert_eq!((request.wait, request.force), (Some(Duration::from_secs(3)), true), "{words}");
    }
    for words in ["--json", "status --json", "--json status", "stat --json"] {
        let request = svctl(words).expect(words);
        assert_eq!((request.operation, request.json), (Operation::Status, true), "{words}");
    }
    let request = svctl("").expect("right");
    assert_eq!(request.operation, Operation::Status);
    assert!(request.services.is_empty() && request.wait.is_none());
}

#[test]
fn every_operation_and_alias_is_understood() {
    for entry in GROUPS.iter().flat_map(|group| group.1) {
        for name in [Some(entry.name), entry.alias].into_iter().flatten() {
            let words =
                if entry.operation == Operation::Signal { format!("{name} USR1 x") } else { format!("{name} x") };
            let request = svctl(&words).expect(&words);
            assert_eq!(request.operation, entry.operation, "{name}");
            assert_eq!(request.services, ["x"], "{name}");
        }
    }
    assert_eq!(svctl("signal USR1 x").expect("right").signal, Some("USR1".into()));
}

#[test]
fn names_need_not_be_utf8_and_may_follow_two_dashes() {
    let odd = OsStr::from_bytes(b"\xff$(id) x");
    let arguments = ["svctl".into(), "stop".into(), "--".into(), "-x".into(), odd.to_owned()];
    assert_eq!(cli::svctl::parse(arguments, &BUILT_IN).expect("right").services, [OsStr::new("-x"), odd]);
    let arguments = ["runsyssv".into(), odd.to_owned()];
    assert_eq!(cli::runsyssv::parse(arguments, &BUILT_IN).expect("right").service, odd);
}

#[test]
fn sysmgr_depends_takes_services_or_paths() {
    let parse = |words: &[&str]| {
        let arguments = std::iter::once(&"sysmgr-depends").chain(words).map(OsString::from);
        cli::depends::parse(arguments, &BUILT_IN)
    };
    let request = parse(&["-r", "-t", ".25", "-p", "/a", "db", "--path=/b", "log"]).expect("right");
    assert_eq!(request.services, ["db", "log"]);
    assert_eq!(request.paths, ["/a", "/b"]);
    assert_eq!(request.timeout, Some(Duration::from_millis(250)));
    assert!(request.ready);
    let request = parse(&["-p", "/a"]).expect("right");
    assert!(request.services.is_empty() && request.timeout.is_none() && !request.ready);
}

#[test]
fn seconds_are_digits_with_at_most_one_dot() {
    for (text, wait) in [
        ("0", Some(0)),
        ("5", Some(5000)),
        ("0.5", Some(500)),
        (".5", Some(500)),
        ("5.", Some(5000)),
        ("1.2345678912345", Some(1234_u128)),
        ("1000000000", Some(1_000_000_000_000)),
        ("1000000001", None),
        ("99999999999999999999", None),
        (".", None),
        ("1.2.3", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("+1", None),
        ("-0", None),
        ("1s", None),
    ] {
        assert_eq!(
            svctl(&format!("stop -w {text} x")).ok().and_then(|r| r.wait).map(|w| w.as_millis()),
            wait,
            "{text}"
        );
    }
    assert_eq!([0, 1, 200, 1000, 7050, 60_000].map(cli::in_seconds), ["0", "0.001", "0.2", "1", "7.05", "60"]);
}

/// The directories of these flags in this environment, from /here.
fn dirs(flags: [Option<&str>; 2], variables: &[(&str, &str)]) -> Result<Dirs, sysmgr::startup::Error> {
    let [sysdir, rundir] = flags.map(|flag| flag.map(OsString::from));
    Dirs::resolve(&Directories { sysdir, rundir }, lookup(variables), || Ok(PathBuf::from("/here")), &settings())
}

fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    move |name| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
}

#[test]
fn flags_come_before_the_environment_and_that_before_what_is_built_in() {
    let environment = [("SYSDIR", "/env/sv"), ("RUNDIR", "/env/run")];
    for (flags, variables, sysdir, rundir) in [
        ([None, None], &[][..], "/etc/sv", "/run/sv"),
        ([None, None], &environment[..], "/env/sv", "/env/run"),
        ([Some("/a"), None], &environment[..], "/a", "/env/run"),
        ([None, Some("/b")], &[], "/etc/sv", "/b"),
        ([None, None], &[("SYSDIR", ""), ("RUNDIR", "")], "/etc/sv", "/run/sv"),
        ([Some("a"), Some("./b/../c//")], &[], "/here/a", "/here/b/../c"),
        ([Some("."), Some("run/")], &[], "/here", "/here/run"),
        ([None, None], &[("SYSDIR", "sv"), ("RUNDIR", "/x/./y/")], "/here/sv", "/x/y"),
        ([Some("/"), None], &[], "/", "/run/sv"),
    ] {
        let dirs = dirs(flags, variables).expect("right");
        // as bytes, since paths that differ in slashes count as equal
        let bytes = |path: &Path| path.as_os_str().to_owned();
        assert_eq!(
            (bytes(&dirs.sysdir), bytes(&dirs.rundir)),
            (sysdir.into(), rundir.into()),
            "{flags:?} {variables:?}"
        );
    }
}

#[test]
fn wrong_directories_are_told_with_their_origin() {
    let said = |flags, variables: &[_]| dirs(flags, variables).expect_err("wrong").to_string();
    assert!(said([Some(""), None], &[]).starts_with("--sysdir: "));
    assert!(said([None, Some("a\nb")], &[]).starts_with("--rundir \"a\\nb\": "));
    assert!(said([None, None], &[("RUNDIR", "a\nb")]).starts_with("RUNDIR \"a\\nb\": "));
    assert!(said([Some("/run/./sv/"), None], &[]).contains("/run/sv is both"));

    let gone = || Err(std::io::Error::from_raw_os_error(2));
    let given = Directories { sysdir: Some("sv".into()), rundir: None };
    let error = Dirs::resolve(&given, |_| None, gone, &BUILT_IN).expect_err("wrong");
    assert!(error.to_string().contains("--sysdir \"sv\": the current directory"), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn times_come_from_the_environment_or_are_built_in() {
    let times = Timings::resolve(lookup(&[]), &settings()).expect("right");
    assert_eq!(times.stop_timeout, Duration::from_millis(12_500));
    assert_eq!(times.owner_check, BUILT_IN.owner_check);

    let variables: Vec<(&str, &str)> = TIMES.iter().map(|time| (time.variable, "77")).collect();
    let times = Timings::resolve(lookup(&variables), &settings()).expect("right");
    let all = [
        times.restart_delay,
        times.restart_delay_max,
        times.stable_after,
        times.stop_timeout,
        times.shutdown_timeout,
        times.settle,
        times.rescan,
    ];
    assert_eq!(all, [Duration::from_millis(77); 7]);

    let empty: Vec<(&str, &str)> = TIMES.iter().map(|time| (time.variable, "")).collect();
    assert_eq!(Timings::resolve(lookup(&empty), &BUILT_IN).ok(), Timings::resolve(lookup(&[]), &BUILT_IN).ok());
    for (value, check) in [("true", true), ("false", false)] {
        let times = Timings::resolve(lookup(&[("SYSMGR_OWNER_CHECK", value)]), &BUILT_IN).expect("right");
        assert_eq!(times.owner_check, check);
    }
    for wrong in ["4294967296", "99999999999999999999999", "-1", "+1", "1.0", "0x10", "\u{663}", "1 "] {
        let error = Timings::resolve(lookup(&[("SYSMGR_SETTLE_MS", wrong)]), &BUILT_IN).expect_err(wrong);
        assert!(error.to_string().starts_with("SYSMGR_SETTLE_MS="), "{error}");
    }
}
