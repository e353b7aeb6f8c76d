//! What a service finds when it is started.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use common::services::SLEEPER;
use common::{Signal, TestBed, facts, is_alive, kill, millis, process, stays, until};
use sysmgr::service::status::Phase;

/// Lines `key value` that a service has logged.
fn told(bed: &TestBed) -> BTreeMap<String, String> {
    let pair = |line: String| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.to_owned()))
    };
    bed.log().into_iter().filter_map(pair).collect()
}

#[test]
fn it_gets_its_own_path_and_no_arguments_and_its_environment() {
    let mut bed = TestBed::new();
    bed.service(
        "me",
        "{ echo \"path $0\"; echo \"count $#\"; echo \"sysdir $SYSDIR\"; echo \"rundir $RUNDIR\"
         echo \"name $SYSMGR_SERVICE\"; echo \"other $OTHER\"; echo \"cwd $(pwd)\"
         echo \"files $(ulimit -n)\"; echo \"umask $(umask)\"; } >> $BED/log
         exec sleep 1000",
    );
    fs::create_dir(bed.dir.join("cwd")).expect("a directory can be made");
    bed.start_by_shell("cd cwd; ulimit -n 333; umask 027; OTHER='a b'; export OTHER; exec \"$@\"");
    bed.up("me");
    until("it has told all", || told(&bed).len() == 9);
    let told = told(&bed);
    let path = |path: &std::path::Path| path.display().to_string();
    assert_eq!(told["path"], path(&bed.sysdir.join("me")));
    assert_eq!(told["count"], "0");
    assert_eq!(told["sysdir"], path(&bed.sysdir));
    assert_eq!(told["rundir"], path(&bed.rundir));
    assert_eq!(told["name"], "me");
    assert_eq!(told["other"], "a b");
    assert_eq!(told["cwd"], path(&bed.dir.join("cwd")));
    assert_eq!(told["files"], "333");
    assert_eq!(told["umask"].trim_start_matches('0'), "27");
}

#[test]
fn relative_directories_are_made_absolute() {
    let mut bed = TestBed::new();
    bed.service("me", "echo \"$0 $SYSDIR $RUNDIR\" >> $BED/log; exec sleep 1000");
    let mut command = bed.command(bed.executable("sysmgr"));
    command.args(["--sysdir", "s/", "--rundir", "./r"]);
    bed.start_command(&mut command);
    bed.up("me");
    let line = bed.logs(1).remove(0);
    for word in line.split(' ') {
        assert!(word.starts_with('/'), "{line}");
    }
    assert!(line.contains(&bed.sysdir.display().to_string()), "{line}");
}

#[test]
fn directories_come_from_flags_then_the_environment() {
    let mut bed = TestBed::new();
    bed.service("me", SLEEPER);
    let mut command = bed.command(bed.executable("sysmgr"));
    command.arg("--sysdir").arg(&bed.sysdir);
    command.env("SYSDIR", "/nonexistent").env("RUNDIR", &bed.rundir);
    bed.start_command(&mut command);
    bed.up("me");
}

#[test]
fn its_input_is_empty_and_nothing_else_is_open() {
    let mut bed = TestBed::new();
    bed.service("fds", "ls -l /proc/self/fd > $BED/new; mv $BED/new $BED/fds; exec sleep 1000");
    // descriptors that whoever started sysmgr forgot to close
    bed.start_by_shell("exec 5< /dev/zero 9< /dev/zero \"$@\"");
    let listed = || fs::read_to_string(bed.dir.join("fds")).unwrap_or_default();
    until("it has listed them", || listed().lines().count() >= 4);
    let open: Vec<_> = listed()
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .filter_map(|(left, target)| Some((left.rsplit(' ').next()?.to_owned(), target.to_owned())))
        .collect();
    assert!(open.contains(&("0".to_owned(), "/dev/null".to_owned())), "{open:?}");
    // 1 is its own file, 3 the directory that ls reads, or has read
    let numbers: Vec<&str> = open.iter().map(|(number, _)| number.as_str()).filter(|number| *number != "3").collect();
    assert_eq!(numbers, ["0", "1", "2"], "{open:?}");
}

#[test]
fn its_signals_are_at_their_defaults_when_sysmgr_was_started_by_a_boot_script() {
    let bed = TestBed::new();
    bed.service("signals", "cat /proc/self/status > $BED/signals; exec sleep 1000");
    // a shell without job control ignores SIGINT and SIGQUIT in what it starts with &
    let script = "trap '' PIPE HUP USR2 TSTP; \"$@\" & wait $!";
    let mut shell = bed.program_by_shell(script, "sysmgr").spawn().expect("there is a shell");
    bed.up("signals");
    let text = || fs::read_to_string(bed.dir.join("signals")).unwrap_or_default();
    until("it has told", || text().contains("nonvoluntary"));
    for key in ["SigPnd", "SigBlk", "SigIgn", "SigCgt"] {
        let text = text();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        let set = u64::from_str_radix(line.rsplit('\t').next().unwrap_or_default(), 16);
        // 32 and 33 are the C library's own: it ignores them in what it spawns, and lets nobody set them
        assert_eq!(set.map(|set| set & !(3 << 31)), Ok(0), "{line}");
    }
    // and those that stop sysmgr are not ignored either
    kill(bed.sysmgr_pid().expect("sysmgr is there"), Signal::SIGINT);
    assert!(process::wait(&mut shell).success());
}

#[test]
fn it_is_in_the_session_of_its_supervisor_and_in_a_group_that_it_does_not_lead() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    let supervisor = bed.syspid("a").expect("it has a supervisor");
    let its = facts(pid).expect("it lives");
    let supervisors = facts(supervisor).expect("it lives");
    assert_eq!((supervisors.session, supervisors.group), (supervisor, supervisor));
    assert_eq!(its.session, supervisor);
    assert_ne!(its.group, pid);
    assert_ne!(its.group, supervisor);
    assert!(facts(its.group).is_none(), "the helper that made the group is gone, and reaped");
}

#[test]
fn setsid_keeps_the_process_that_is_tracked() {
    let bed = TestBed::new().started();
    bed.service("getty", "exec setsid sleep 1000");
    let pid = bed.up("getty");
    until("it has a session of its own", || {
        facts(pid).is_some_and(|facts| facts.session == pid) && process::command_name(pid) == "sleep"
    });
    assert_eq!(bed.pid("getty"), Some(pid));
    bed.nudge("getty", Signal::SIGTERM);
    bed.down("getty");
    assert!(!is_alive(pid));
}

#[test]
fn kill_0_in_a_script_reaches_nobody_else() {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.service("other", SLEEPER);
    let other = bed.up("other");
    bed.asleep("other");
    let others = bed.syspid("other");
    bed.service(
        "rude",
        "echo ran >> $BED/log; until [ -s $RUNDIR/rude/syspid ]; do sleep 0.01; done
         cat $RUNDIR/rude/syspid >> $BED/log; kill -TERM 0; sleep 1000",
    );
    bed.comes_to("rude", Phase::Backoff);
    until("it ran twice", || bed.logged("ran") == 2 && bed.log().len() == 4);
    assert_eq!(bed.log()[1], bed.log()[3], "its supervisor was not hit: {:?}", bed.log());
    assert_eq!((bed.pid("other"), bed.syspid("other")), (Some(other), others));
    assert!(is_alive(bed.sysmgr()));
}

#[test]
fn what_it_prints_goes_where_sysmgrs_messages_go() {
    let bed = TestBed::new().started();
    bed.service("loud", "echo to stdout; echo to stderr >&2; exec sleep 1000");
    until("both are there", || bed.said(&["to stdout"]) && bed.said(&["to stderr"]));
}

#[test]
fn the_record_and_the_files_are_there_before_its_first_instruction() {
    let bed = TestBed::new().with_delays(20, 20);
    let bed = bed.started();
    bed.service(
        "early",
        "d=$RUNDIR/early
         [ \"$(cat $d/pid)\" = $$ ] || echo no pid >> $BED/log
         grep -q \"^pid='$$'\" $d/status || echo no status >> $BED/log
         grep -q \" $$ \" $d/.owner || echo no record >> $BED/log
         [ -e $d/ready ] && echo ready >> $BED/log
         echo ready > $d/ready
         echo ran >> $BED/log",
    );
    until("it ran ten times", || bed.logged("ran") >= 10);
    bed.nudge("early", Signal::SIGTERM);
    bed.down("early");
    let wrong: Vec<_> = bed.log().into_iter().filter(|line| line != "ran").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_status_can_be_sourced_by_a_shell() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    let script = ". \"$0\"; echo \"$state $pid $starts $failures\"";
    let mut shell = bed.command("/bin/sh");
    shell.args(["-c", script]).arg(bed.path("a", "status"));
    let output = shell.stdout(Stdio::piped()).output().expect("there is a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("up {pid} 1 0\n"));
}

#[test]
fn its_process_id_is_never_shown_after_its_end() {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.service("a", "exec sleep 1000");
    let pid = bed.up("a");
    kill(pid, Signal::SIGKILL);
    bed.up_again("a", pid);
    bed.nudge("a", Signal::SIGTERM);
    bed.down("a");
    stays("no process id is there", millis(100), || bed.pid("a").is_none());
    assert_eq!(bed.status("a").map(|status| status.pid), Some(None));
}
