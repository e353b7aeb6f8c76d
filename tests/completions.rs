//! The completions, in the real shells: what they offer, and that they are silent when nothing is there.
//!
//! bash and zsh complete on a pseudo-terminal that script(1) makes; there the tab key inserts all that can be
//! completed, and a stand-in for the tool writes down its arguments.

#[path = "common/programs.rs"]
mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use programs::available;

const GENERATED: &str = env!("SYSMGR_GENERATED");

/// What is typed up to the tab, and the arguments that follow from it.
type Case = (&'static str, &'static [&'static str]);

/// `on` and `on two` run, `back` is held back, `off` and the rest are down, `off-link` leads nowhere, `gone` runs but is not in the service
/// directory any more.
const SERVICES: [Case; 17] = [
    ("svctl start ", &["start", "$(id)", "back", "off", "off-link", "w'x"]),
    ("svctl up ", &["up", "$(id)", "back", "off", "off-link", "w'x"]),
    ("svctl once ", &["once", "$(id)", "back", "off", "off-link", "w'x"]),
    ("svctl stop ", &["stop", "back", "gone", "on", "on two"]),
    ("svctl down ", &["down", "back", "gone", "on", "on two"]),
    ("svctl kill ", &["kill", "back", "gone", "on", "on two"]),
    ("svctl reload ", &["reload", "back", "gone", "on", "on two"]),
    ("svctl try-restart g", &["try-restart", "gone"]),
    ("svctl pid o", &["pid", "on", "on two"]),
    ("svctl signal HUP ", &["signal", "HUP", "back", "gone", "on", "on two"]),
    ("svctl -w 3 stop -f b", &["-w", "3", "stop", "-f", "back"]),
    ("svctl restart ", &["restart", "$(id)", "back", "gone", "off", "off-link", "on", "on two", "w'x"]),
    ("svctl status o", &["status", "off", "off-link", "on", "on two"]),
    ("svctl why off-", &["why", "off-link"]),
    ("svctl deps w", &["deps", "w'x"]),
    ("sysmgr-depends ", &["$(id)", "back", "gone", "off", "off-link", "on", "on two", "w'x"]),
    ("runsyssv b", &["back"]),
];

/// What does not depend on services.
const FIXED: [Case; 6] = [
    ("svctl try", &["try-restart"]),
    ("svctl stop --fo", &["stop", "--force"]),
    ("svctl sig", &["signal"]),
    ("svctl signal US", &["signal", "USR1", "USR2"]),
    ("sysmgr --vers", &["--version"]),
    ("sysmgr-depends --time", &["--timeout"]),
];

/// Directories with services in all states, and stand-ins for the tools.
struct Bed {
    dir: PathBuf,
}

impl Bed {
    fn new(shell: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("completions {shell}"));
        let _ = fs::remove_dir_all(&dir);
        let bed = Self { dir };
        for name in ["$(id)", "back", "off", "on", "on two", "w'x", "-dash", ".hidden", "pid"] {
            bed.file(&format!("sv/{name}"), "");
        }
        fs::create_dir_all(bed.dir.join("sv/folder")).expect("a folder");
        symlink("/nonexistent", bed.dir.join("sv/off-link")).expect("a link");
        for name in ["on", "on two", "gone"] {
            for file in ["pid", "syspid", "status"] {
                bed.file(&format!("run/{name}/{file}"), "");
            }
        }
        bed.file("run/back/syspid", "");
        bed.file("run/back/status", "");
        bed.file("run/off/status", "");
        for tool in ["sysmgr", "runsyssv", "svctl", "sysmgr-depends"] {
            let script = "#!/bin/sh\n{ printf '%s\\n' \"${0##*/}\" \"$@\"; echo; } >>\"$RECORD\"\n";
            bed.file(&format!("bin/{tool}"), script);
            let path = bed.dir.join("bin").join(tool);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its own file");
        }
        bed.file("record", "");
        bed
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("below the bed")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.dir.join("bin").display()))
            .env("HOME", &self.dir)
            .env("ZDOTDIR", &self.dir)
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env("SYSDIR", self.dir.join("sv"))
            .env("RUNDIR", self.dir.join("run"))
            .env("RECORD", self.dir.join("record"))
            // where there is nothing of the kind that is completed otherwise
            .current_dir(self.dir.join("bin"));
        command
    }

    /// Types each line, a tab and enter; gives the arguments with which the tool was called, and what was printed.
    fn type_in(&self, shell: &str, lines: &[&str]) -> (BTreeMap<String, Vec<String>>, String) {
        fs::write(self.dir.join("record"), "").expect("its own file");
        let mut child = self
            .command("timeout")
            .args(["60", "script", "-qec", shell, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script can be executed");
        let (mut keys, mut screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut shown = String::new();
        for (number, line) in lines.iter().chain([&"exit"]).enumerate() {
            until_prompt(&mut screen, &mut shown, number + 1);
            let tab = if *line == "exit" { "" } else { "\t" };
            keys.write_all(format!("{line}{tab}\r").as_bytes()).expect("script reads");
        }
        drop(keys);
        let mut rest = Vec::new();
        screen.read_to_end(&mut rest).expect("script ends");
        shown += &String::from_utf8_lossy(&rest);
        child.wait().expect("it was started");

        let record = fs::read_to_string(self.dir.join("record")).expect("its own file");
        let calls: Vec<Vec<String>> = record
            .split("\n\n")
            .filter(|call| !call.is_empty())
            .map(|call| call.lines().skip(1).map(str::to_owned).collect())
            .collect();
        assert_eq!(calls.len(), lines.len(), "{lines:?} became {calls:?}\n{shown}");
        (lines.iter().map(|line| (*line).to_owned()).zip(calls).collect(), shown)
    }
}

/// Reads what the shell shows until it waits for the next line: its prompt was shown this often.
fn until_prompt(screen: &mut impl Read, shown: &mut String, times: usize) {
    let mut buffer = [0; 4096];
    while shown.matches("READY> ").count() < times {
        let length = screen.read(&mut buffer).expect("it can be read");
        assert!(length > 0, "the shell has ended: {shown}");
        *shown += &String::from_utf8_lossy(&buffer[..length]);
    }
}

/// The arguments in an order of their own, where shells have theirs.
fn sorted(arguments: &[impl AsRef<str>]) -> Vec<String> {
    let mut sorted: Vec<String> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
    sorted.sort();
    sorted
}

fn check(shell: &str, start: &str) {
    let bed = Bed::new(shell);
    rc_files(&bed);
    let cases: Vec<Case> = SERVICES.iter().chain(&FIXED).copied().collect();
    let lines: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    let (calls, _) = bed.type_in(start, &lines);
    for (line, expected) in cases {
        assert_eq!(sorted(&calls[line]), sorted(expected), "{shell}: {line}");
    }

    // directories by flags, and nothing at all
    let other = bed.dir.join("run").join("on");
    bed.file("run/on/elsewhere", "");
    let directory = "svctl --rundir /nonexistent start o".to_owned();
    let empty = "svctl --sysdir=/nonexistent --rundir=/nonexistent stop ".to_owned();
    let quoted = "svctl stop \"on t".to_owned();
    let escaped = "svctl stop on\\ t".to_owned();
    let path = format!("svctl stop '{}/e", other.display());
    let lines = [&*directory, &empty, &quoted, &escaped, &path];
    let (calls, shown) = bed.type_in(start, &lines);
    assert_eq!(calls[&directory], ["--rundir", "/nonexistent", "start", "off", "off-link", "on", "on two"], "{shell}");
    assert_eq!(calls[&empty], ["--sysdir=/nonexistent", "--rundir=/nonexistent", "stop"], "{shell}: {shown}");
    assert_eq!(calls[&quoted], ["stop", "on two"], "{shell}");
    assert_eq!(calls[&escaped], ["stop", "on two"], "{shell}");
    assert_eq!(calls[&path], ["stop", &format!("{}/elsewhere", other.display())], "{shell}");
    for word in ["No such file", "no match", "not found", "error"] {
        assert!(!shown.contains(word), "{shell} says {word}: {shown}");
    }
}

fn rc_files(bed: &Bed) {
    let bash = format!(
        "PS1='READY> '\nfor f in '{GENERATED}'/*.bash; do . \"$f\"; done\n\
         bind '\"\\t\": insert-completions'\nbind 'set enable-bracketed-paste off'\nshopt -s failglob\n"
    );
    bed.file("bashrc", &bash);
    let zsh = format!(
        "PS1='READY> '\nunsetopt zle_bracketed_paste prompt_sp 2>/dev/null\nunset zle_bracketed_paste\n\
         fpath=('{GENERATED}' $fpath)\nautoload -U compinit\ncompinit -u -D\n\
         zstyle ':completion:all-matches:*' completer _all_matches _complete\n\
         zstyle ':completion:all-matches:*' insert yes\n\
         zle -C all-matches complete-word _generic\nbindkey '^I' all-matches\n"
    );
    bed.file(".zshrc", &zsh);
}

#[test]
fn bash_completes() {
    if ["bash", "script", "timeout"].into_iter().all(available) {
        check("bash", "bash --noprofile --rcfile ../bashrc -i");
    }
}

#[test]
fn zsh_completes() {
    if ["zsh", "script", "timeout"].into_iter().all(available) {
        check("zsh", "zsh -i");
    }
}

#[test]
fn fish_completes() {
    if !available("fish") {
        return;
    }
    let bed = Bed::new("fish");
    let complete = |line: &str, directories: Option<&str>| {
        let mut command = bed.command("fish");
        if let Some(directories) = directories {
            command.env("SYSDIR", directories).env("RUNDIR", directories);
        }
        let script = format!("for f in '{GENERATED}'/*.fish; source $f; end; complete -C $argv[1]");
        let output = command.args(["--no-config", "-c", &script, line]).output().expect("fish can be executed");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for (line, expected) in SERVICES.iter().chain(&FIXED) {
        // what was typed already is not offered
        let typed = line.split_whitespace().count() - usize::from(!line.ends_with(' '));
        let expected = &expected[typed - 1..];
        assert_eq!(sorted(&complete(line, None)), sorted(expected), "{line}");
    }
    assert_eq!(complete("svctl --rundir /nonexistent start o", None), ["off", "off-link", "on", "on two"]);
    assert!(complete("svctl --rundir=/nonexistent stop ", None).is_empty());
    for line in ["svctl start ", "svctl stop ", "svctl status ", "sysmgr-depends ", "runsyssv "] {
        assert!(complete(line, Some("/nonexistent")).is_empty(), "{line}");
    }
    let path = format!("{}/run/on/p", bed.dir.display());
    assert_eq!(complete(&format!("svctl stop '{path}"), None), [format!("{path}id")]);
}

#[test]
fn the_scripts_are_right_for_their_shells() {
    for (shell, files) in [("bash", ["svctl.bash", "sysmgr-depends.bash"]), ("zsh", ["_svctl", "_sysmgr-depends"])] {
        if !available(shell) {
            continue;
        }
        for file in files {
            let output = Command::new(shell).arg("-n").arg(Path::new(GENERATED).join(file)).output();
            let output = output.expect("it can be executed");
            assert!(output.status.success() && output.stderr.is_empty(), "{file}: {output:?}");
        }
    }
}
