//! The manuals: well-formed, complete, and true to the programs.

#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../build/completions.rs"]
mod completions;
#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../build/config.rs"]
mod config;
#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../build/date.rs"]
mod date;
#[path = "../build/manual.rs"]
mod manual;
#[path = "../build/pages.rs"]
mod pages;
#[path = "../build/placeholder.rs"]
mod placeholder;
#[path = "../build/prose.rs"]
mod prose;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use sysmgr::cli::svctl::GROUPS;
use sysmgr::control::outcome::Outcome;
use sysmgr::service::ended::{Ended, signal_name};
use sysmgr::service::files;
use sysmgr::service::moment::Moment;
use sysmgr::service::order::Order;
use sysmgr::service::pid::Pid;
use sysmgr::service::status::{Phase, Status};
use sysmgr::settings::{BUILT_IN, OWNER_CHECK_VARIABLE, Settings, TIMES};
use sysmgr::sys::signals;
use sysmgr::{cli, settings};

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");
const GENERATED: &str = env!("SYSMGR_GENERATED");
const PAGES: [&str; 4] = ["sysmgr.8", "runsyssv.1", "svctl.1", "sysmgr-depends.1"];

fn source(name: &str) -> Result<String, String> {
    fs::read_to_string(Path::new(SOURCE).join(name)).map_err(|error| format!("{name}: {error}"))
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(GENERATED).join(name)).expect("a generated page")
}

/// The definition of the tool that a page is about.
fn command(page: &str, settings: &Settings) -> clap::Command {
    match page {
        "sysmgr.8" => cli::sysmgr::command(settings),
        "runsyssv.1" => cli::runsyssv::command(settings),
        "svctl.1" => cli::svctl::command(settings),
        _ => cli::depends::command(settings),
    }
}

/// Text as people read it, of a line of roff.
fn plain(line: &str) -> String {
    let mut text = line.to_owned();
    for (roff, sign) in [
        (r"\fB", ""),
        (r"\fI", ""),
        (r"\fR", ""),
        (r"\%", ""),
        (r"\&", ""),
        (r"\-", "-"),
        (r"\(aq", "'"),
        (r"\(ga", "`"),
        (r"\(ti", "~"),
        (r"\(ha", "^"),
        (r"\e", "\\"),
    ] {
        text = text.replace(roff, sign);
    }
    text
}

/// The sections of a page, with their lines as roff.
fn sections(page: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".SH ") {
            sections.push((title.trim_matches('"').to_owned(), Vec::new()));
        } else if let Some((_, lines)) = sections.last_mut() {
            lines.push(line.to_owned());
        }
    }
    sections
}

fn section(page: &str, title: &str) -> Vec<String> {
    sections(page).into_iter().find(|(other, _)| other == title).map(|(_, lines)| lines).unwrap_or_default()
}

/// The terms of the definitions in a section.
fn terms(page: &str, title: &str) -> Vec<String> {
    let lines = section(page, title);
    lines.iter().zip(lines.iter().skip(1)).filter(|(line, _)| *line == ".TP").map(|(_, term)| plain(term)).collect()
}

/// All of a page as one line of text.
fn text(page: &str) -> String {
    let words: Vec<String> = page
        .lines()
        .filter(|line| !line.starts_with('.'))
        .flat_map(|line| plain(line).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    words.join(" ")
}

/// Whether a program is there; says so when it is not.
fn available(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !there {
        eprintln!("skipped: no {program}");
    }
    there
}

#[test]
fn the_linters_find_nothing() {
    for (program, arguments) in [
        ("mandoc", &["-T", "lint", "-W", "warning"][..]),
        ("groff", &["-man", "-ww", "-z", "-Tutf8"]),
        ("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]),
    ] {
        if !available(program) {
            continue;
        }
        for name in PAGES {
            let output = Command::new(program)
                .args(arguments)
                .arg(Path::new(GENERATED).join(name))
                .env("LC_ALL", "C.UTF-8")
                .stdin(Stdio::null())
                .output()
                .expect("it can be executed");
            let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
            if program == "mandoc" {
                said += &String::from_utf8_lossy(&output.stdout);
            }
            // a man of another kind, such as busybox's or mandoc's, has no such option
            if program == "man" && (said.contains("usage:") || said.contains("unrecognized option")) {
                eprintln!("skipped: this man does not warn");
                continue;
            }
            assert_eq!(said, "", "{program} {name}");
        }
    }
}

#[test]
fn pages_are_ascii_with_a_full_title_and_no_blank_at_the_end() {
    for name in PAGES {
        let page = page(name);
        let (tool, number) = name.rsplit_once('.').expect("a section");
        let title = page.lines().find(|line| line.starts_with(".TH ")).expect("a title");
        let manual = if number == "8" { "System Manager's Manual" } else { "User Commands" };
        assert!(title.starts_with(&format!(".TH {} {number} ", tool.to_uppercase())), "{title}");
        assert!(title.ends_with(&format!(" \"sysmgr {}\" \"{manual}\"", env!("CARGO_PKG_VERSION"))), "{title}");
        for line in page.lines() {
            assert!(line.is_ascii() && !line.is_empty() && !line.ends_with(' '), "{name}: {line}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"), "{name}");
    }
}

#[test]
fn all_pages_have_the_same_order_of_sections() {
    const ORDER: [&str; 15] = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "OPERANDS",
        "SIGNALS",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "EXAMPLES",
        "NOTES",
        "PORTABILITY",
        "SEE ALSO",
        "AUTHORS",
    ];
    for name in PAGES {
        let found: Vec<String> = sections(&page(name)).into_iter().map(|(title, _)| title).collect();
        let place = |title: &str| ORDER.iter().position(|other| *other == title);
        let places: Vec<usize> = found.iter().map(|title| place(title).expect(title)).collect();
        assert!(places.is_sorted(), "{name}: {found:?}");
        for title in ORDER {
            let some_only = match title {
                "COMMANDS" => name == "svctl.1",
                "OPERANDS" | "NOTES" => found.iter().any(|other| other == title),
                "SIGNALS" => name != "svctl.1",
                "PORTABILITY" => name == "sysmgr.8",
                _ => true,
            };
            assert_eq!(found.iter().any(|other| other == title), some_only, "{name}: {title}");
        }
        let tool = name.rsplit_once('.').expect("a section").0;
        let line = plain(&section(&page(name), "NAME").join(" "));
        assert!(line.starts_with(&format!("{tool} - ")), "{line}");
    }
}

#[test]
fn options_and_operands_are_those_of_the_programs() {
    for name in PAGES {
        let mut command = command(name, &BUILT_IN);
        command.build();
        let mut expected = BTreeSet::new();
        for option in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let short = option.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
            let value = option.get_value_names().filter(|_| option.get_action().takes_values());
            let value = value.map(|names| format!(" {}", names[0])).unwrap_or_default();
            expected.insert(format!("{short}--{}{value}", option.get_long().expect("a long name")));
        }
        let page = page(name);
        assert_eq!(terms(&page, "OPTIONS").into_iter().collect::<BTreeSet<_>>(), expected, "{name}");

        let synopsis = plain(&section(&page, "SYNOPSIS").join(" "));
        for option in &expected {
            let usage = option.replace(", ", "|");
            assert!(synopsis.contains(&usage) || usage.contains("--help") || usage.contains("--version"), "{usage}");
        }

        let commands = std::iter::once(&command).chain(command.get_subcommands());
        let operands: BTreeSet<String> = commands
            .flat_map(clap::Command::get_positionals)
            .map(|arg| arg.get_value_names().expect("a name")[0].to_string())
            .collect();
        assert_eq!(terms(&page, "OPERANDS").into_iter().collect::<BTreeSet<_>>(), operands, "{name}");
    }
}

#[test]
fn operations_are_those_of_svctl() {
    let page = page("svctl.1");
    let expected: Vec<String> = GROUPS.iter().flat_map(|group| group.1).map(cli::svctl::Entry::usage).collect();
    assert_eq!(terms(&page, "COMMANDS"), expected);
    let titles: Vec<String> = section(&page, "COMMANDS")
        .iter()
        .filter_map(|line| line.strip_prefix(".SS "))
        .map(|title| title.trim_matches('"').to_owned())
        .collect();
    assert_eq!(titles, GROUPS.map(|(title, _)| title));
}

#[test]
fn exit_codes_are_those_of_the_programs() {
    let all = [Outcome::Done, Outcome::Failed, Outcome::Unknown, Outcome::Late, Outcome::Forbidden, Outcome::Unmanaged];
    let of_svctl: BTreeSet<u8> = all.map(Outcome::code).into_iter().chain([cli::USAGE]).collect();
    for (name, expected) in [
        ("sysmgr.8", BTreeSet::from([0, 1, cli::USAGE])),
        ("runsyssv.1", BTreeSet::from([0, 1, cli::USAGE])),
        ("svctl.1", of_svctl),
        ("sysmgr-depends.1", BTreeSet::from([0, 1, cli::USAGE, Outcome::Unknown.code(), Outcome::Late.code()])),
    ] {
        let found: BTreeSet<u8> =
            terms(&page(name), "EXIT STATUS").iter().map(|code| code.parse().expect("a number")).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn signals_are_those_that_are_handled() {
    let stop = signals::STOP.map(|number| signal_name(number).trim_start_matches("SIG").to_owned()).join(", ");
    assert_eq!(terms(&page("sysmgr.8"), "SIGNALS"), [&stop, "USR1", "USR2", "KILL"]);
    assert_eq!(terms(&page("runsyssv.1"), "SIGNALS"), [&stop, "USR1", "CONT", "ALRM", "USR2", "KILL"]);
    for (mut command, page) in
        [(cli::sysmgr::command(&BUILT_IN), "sysmgr.8"), (cli::runsyssv::command(&BUILT_IN), "runsyssv.1")]
    {
        let help = command.render_help().to_string();
        for signal in terms(&self::page(page), "SIGNALS").iter().filter(|signal| *signal != "KILL") {
            assert!(help.contains(&format!("\n  {signal} ")), "{page}: {signal}");
        }
    }
}

/// The text of all source files below a folder.
fn sources(folder: &str) -> String {
    fn walk(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).expect("a folder").map(Result::unwrap) {
            if entry.path().is_dir() {
                walk(&entry.path(), text);
            } else {
                text.push_str(&fs::read_to_string(entry.path()).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    walk(&Path::new(SOURCE).join(folder), &mut text);
    text
}

/// What is quoted in a text.
fn literals(text: &str) -> BTreeSet<&str> {
    text.split('"').collect()
}

#[test]
fn every_variable_is_in_a_page_and_none_is_invented() {
    // what a supervisor hands to itself across SIGUSR2; no service has it
    const INTERNAL: [&str; 1] = ["SYSMGR_RESUME"];
    let code = sources("src");
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let used: BTreeSet<&str> = literals(&code)
        .into_iter()
        .filter(|name| is_name(name))
        .filter(|name| {
            name.starts_with("SYSMGR_") && *name != "SYSMGR_" || ["SYSDIR", "RUNDIR", "PATH", "NO_COLOR"].contains(name)
        })
        .filter(|name| !INTERNAL.contains(name))
        .collect();
    let mut documented = BTreeSet::new();
    for name in PAGES {
        documented.extend(terms(&page(name), "ENVIRONMENT"));
    }
    for name in &used {
        assert!(documented.contains(*name), "{name} is in no page");
    }
    for name in &documented {
        assert!(used.contains(name.as_str()), "{name} is used nowhere");
    }
    // also where a page mentions one in passing
    for page in PAGES.map(page) {
        for word in text(&page).split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            assert!(!word.starts_with("SYSMGR_") || documented.contains(word), "{word}");
        }
    }
}

#[test]
fn the_values_of_the_variables_are_those_of_the_build() {
    let page = text(&page("sysmgr.8"));
    let entries = config::entries(&BUILT_IN);
    for time in TIMES {
        let value = entries.iter().find(|(key, _)| *key == time.key).expect("a key");
        let config::Entry::Number(number) = value.1 else { panic!("{} is no number", time.key) };
        let words = format!("{} to {}; {number} unless set", time.least, time.most);
        let described = page.split(time.variable).nth(1).expect(time.variable);
        assert!(described.split("SYSMGR_").next().expect("text").contains(&words), "{}: no {words}", time.variable);
    }
    let described = page.split(&format!("{OWNER_CHECK_VARIABLE} true or false")).nth(1).expect("the owner check");
    assert!(described.contains(&format!("{} unless set", BUILT_IN.owner_check)));
}

#[test]
fn every_file_is_in_sysmgr_8() {
    let terms = terms(&page("sysmgr.8"), "FILES");
    let run_dir = &BUILT_IN.run_dir;
    let mut expected: BTreeSet<String> =
        files::OF_SERVICE.iter().map(|file| format!("{run_dir}/NAME/{file}")).collect();
    expected.extend([files::PID, files::OWNER].map(|file| format!("{run_dir}/{file}")));
    expected.extend([run_dir.to_string(), BUILT_IN.service_dir.to_string(), "config.toml".to_owned()]);
    assert_eq!(terms.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_other_pages_name_only_such_files() {
    let known = [files::OF_SERVICE.as_slice(), &["NAME"]].concat();
    for name in PAGES {
        let page = text(&page(name));
        for rest in page.split(&format!("{}/", BUILT_IN.run_dir)).skip(1) {
            let path = rest.split(|c: char| c.is_whitespace() || "),;".contains(c)).next().expect("a path");
            let file = path.trim_end_matches('.').rsplit('/').next().expect("a name");
            assert!(known.contains(&file), "{name}: {path}");
        }
    }
}

#[test]
fn states_orders_and_keys_are_those_of_the_files() {
    use Order::{Gone, Kill, Once, Ran, Restart, Shutdown, Stop};
    use Phase::{Backoff, Clearing, Down, Refused, Starting, Stopping, Up};
    let page = text(&page("sysmgr.8"));
    let mut full = Status::new(Backoff, 1, Moment(1), "boot".to_owned());
    full.pid = Pid::new(2);
    full.start_time = Some(1);
    full.last_exit = Some(Ended::Code(1));
    full.last_run_ms = Some(1);
    full.next_try_ms = Some(Moment(1));
    full.order = Some("stop".to_owned());
    full.reason = Some("words".to_owned());
    let shown = full.to_string();
    let described = page.split("/status What is known").nth(1).expect("the status file");
    let described = described.split(&*BUILT_IN.run_dir).next().expect("text");
    for line in shown.lines() {
        let key = line.split('=').next().expect("a key");
        let found = described.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == key);
        assert!(found, "the key {key} is not explained");
    }
    for phase in [Starting, Up, Stopping, Clearing, Backoff, Down, Refused] {
        assert!(described.contains(phase.word()), "{}", phase.word());
    }
    let described = page.split("/lock While").nth(1).expect("the lock");
    let described = described.split(&*BUILT_IN.run_dir).next().expect("text");
    for order in [Stop, Kill, Once, Ran, Restart, Shutdown, Gone] {
        assert!(described.contains(order.word()), "{}", order.word());
    }
}

/// What stands between the placeholders of the messages must stand in the manual too.
#[test]
fn every_message_is_in_sysmgr_8() {
    let page = text(&page("sysmgr.8"));
    let code = sources("src/manager") + &sources("src/supervisor");
    let mut seen = 0;
    for message in code.split("format_args!(").skip(1) {
        let Some(message) = message.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        let message = message.trim_start_matches("sysmgr: ").trim_start_matches("runsyssv: ");
        for piece in message.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest)) {
            let piece = piece.trim_matches(|c: char| c.is_whitespace() || ":;,('".contains(c));
            if piece.len() > 3 {
                assert!(page.contains(piece), "sysmgr(8) does not explain '{piece}' of '{message}'");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "only {seen} pieces of messages were found");
}

#[test]
fn references_lead_to_pages_that_exist() {
    // Others' pages, which any system has, or the context says whose they are.
    const OTHERS: [&str; 3] = ["init(8)", "signal(7)", "kqueue(2)"];
    for name in PAGES {
        for word in text(&page(name)).split_whitespace() {
            let word = word.trim_matches(|c: char| ",.;:".contains(c));
            let Some((tool, rest)) = word.split_once('(') else { continue };
            let Some((number, _)) = rest.split_once(')') else { continue };
            if tool.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) || number.is_empty() {
                continue;
            }
            let reference = format!("{tool}({number})");
            let ours = PAGES.contains(&format!("{tool}.{number}").as_str());
            assert!(ours || OTHERS.contains(&reference.as_str()), "{name}: {reference}");
        }
        let others = PAGES.iter().filter(|other| **other != name);
        let see_also = plain(&section(&page(name), "SEE ALSO").join(" "));
        for other in others {
            let (tool, number) = other.rsplit_once('.').expect("a section");
            assert!(see_also.contains(&format!("{tool}({number})")), "{name}: {other}");
        }
    }
}

/// The blocks of code in a page.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split(".EX\n").skip(1).filter_map(|rest| rest.split(".EE\n").next());
    blocks.map(|block| block.lines().map(plain).fold(String::new(), |text, line| text + &line + "\n")).collect()
}

#[test]
fn the_scripts_in_the_pages_are_right() {
    let mut scripts = 0;
    for name in PAGES {
        let all = examples(&page(name));
        for example in all.iter().filter(|example| example.starts_with("#!/bin/sh")) {
            scripts += 1;
            let shell = Command::new("sh").args(["-n", "-c", example]).output().expect("sh can be executed");
            assert!(shell.status.success(), "{name}:\n{example}{}", String::from_utf8_lossy(&shell.stderr));
            if available("shellcheck") {
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("example-{scripts}.sh"));
                fs::write(&path, example).expect("a scratch file");
                let check = Command::new("shellcheck").arg(&path).output().expect("it can be executed");
                assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stdout));
            }
        }
    }
    assert!(scripts >= 5, "{scripts}");
}

#[test]
fn what_the_pages_must_warn_of_is_there() {
    let page = text(&page("sysmgr.8"));
    for words in [
        "SIGHUP stops everything",
        "A service that is suspended (SIGSTOP) ends when its runsyssv is killed",
        "When the run directory is wiped while both sysmgr and the runsyssv of a service are dead",
        "kill -INT \"$server\"",
        "kill -USR2 $(cat",
        "::respawn:",
        "openrc-run",
        "/etc/sv/sysmgr/run",
        "logger",
        "setpriv",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

fn rendered(settings: &Settings, date: &str) -> Vec<(String, String)> {
    pages::all(settings, date, &source).expect("they can be rendered")
}

/// The same source and date give the same bytes, wherever and however often.
#[test]
fn what_was_generated_is_generated_again() {
    let page = page("sysmgr.8");
    let title = page.lines().find(|line| line.starts_with(".TH ")).expect("a title");
    let date = title.split(' ').nth(3).expect("a date");
    if std::env::var_os("SOURCE_DATE_EPOCH").is_none() {
        assert_eq!(Some(date), date::of_release(&source("CHANGELOG.md").expect("a changelog")));
    }
    let files = rendered(&BUILT_IN, date);
    assert_eq!(files.len(), 16);
    assert_eq!(files, rendered(&BUILT_IN, date));
    for (name, text) in files {
        assert_eq!(fs::read_to_string(Path::new(GENERATED).join(&name)).expect("a file"), text, "{name}");
        assert!(!text.contains(SOURCE), "{name} tells where it was built");
    }
}

#[test]
fn other_settings_appear_everywhere() {
    let settings = Settings {
        service_dir: "/etc/my-sv".into(),
        run_dir: "/run/my sv".into(),
        bin_dir: "/opt/bin".into(),
        stop_timeout_ms: 1000,
        owner_check: false,
        ..BUILT_IN
    };
    for (name, file) in rendered(&settings, "2000-01-01") {
        for built_in in ["/var/sysmgr", "/run/sysmgr", "/usr/local"] {
            assert!(!plain(&file).contains(built_in), "{name}: {built_in}");
        }
        if PAGES.contains(&name.as_str()) {
            assert!(text(&file).contains("/etc/my-sv") && text(&file).contains("/run/my sv"), "{name}");
        }
    }
    let files = rendered(&settings, "2000-01-01");
    let page = text(&files.iter().find(|(name, _)| name == "sysmgr.8").expect("the page").1);
    assert!(page.contains("with SIGKILL after 1 second."));
    assert!(page.contains("false unless set"));
    assert!(page.contains("/opt/bin/sysmgr"));
}

/// What one wrong line in the prose leads to.
fn spoilt(file: &str, from: &str, to: &str) -> String {
    let read = |name: &str| {
        let text = source(name)?;
        assert!(name != file || text.contains(from), "{file} has no {from}");
        Ok(if name == file { text.replacen(from, to, 1) } else { text })
    };
    pages::all(&BUILT_IN, "2000-01-01", &read).expect_err("an error")
}

#[test]
fn prose_that_does_not_fit_ends_the_build() {
    for (file, from, to, words) in [
        ("man-src/svctl.md", "\n--force\n", "\n--forse\n", "nothing is said of --force"),
        ("man-src/svctl.md", "\nwhy\n", "\nwherefore\n", "nothing is said of why"),
        ("man-src/svctl.md", "\n--force\n", "\n--foo\n: Bar.\n\n--force\n", "there is no --foo"),
        ("man-src/svctl.md", "{{stop_timeout_ms:time}}", "{{stop_timeout:time}}", "{{stop_timeout:time}} is not known"),
        ("man-src/svctl.md", "{{service_dir}}", "{{service_dir:time}}", "is not known"),
        ("man-src/sysmgr.md", "# FILES", "# FILLS", "there is no section FILLS"),
        ("man-src/sysmgr.md", "# SIGNALS", "# EXIT STATUS", "in this order"),
        ("man-src/runsyssv.md", "# NAME", "# NAME ", "blank at the end"),
        ("man-src/runsyssv.md", "the supervisor", "the \u{201c}supervisor", "only ASCII"),
        ("man-src/sysmgr-depends.md", "# NAME", "text", "stands before the first section"),
        ("man-src/sysmgr-depends.md", "# OPTIONS\n", "# OPTIONS\n\ntext\n", "belongs to no definition"),
        ("completions/svctl.fish", "{{all}}", "{{every}}", "{{every}} is not known"),
    ] {
        let error = spoilt(file, from, to);
        assert!(error.contains(words), "{file}: {error}");
    }
}

fn roff_of(prose: &str) -> String {
    let mut roff = clap_mangen::roff::Roff::new();
    prose::render(&mut roff, &prose.lines().collect::<Vec<_>>(), false);
    prose::escaped(&roff.to_roff())
}

#[test]
fn prose_becomes_roff() {
    for (prose, roff) in [
        ("\none\ntwo\n\nthree", "one\ntwo\n.PP\nthree\n"),
        ("## Some title\n\ntext", ".SS \"Some title\"\ntext\n"),
        ("`a-b` *c* d*e", "\\fB\\%a\\-b\\fR \\fI\\%c\\fR d*e\n"),
        (".x\n'y", "\\&.x\n\\&\\(aqy\n"),
        ("a\\b ~ ^ '", "a\\eb \\(ti \\(ha \\(aq\n"),
        ("text:\n\n    a\n\n      b\n\nmore", "text:\n.PP\n.RS 4\n.EX\na\n\n  b\n.EE\n.RE\n.PP\nmore\n"),
        (
            "term\n: is\n  so\n\n  and so\n\n      code\n\nout",
            ".TP\nterm\nis\nso\n.IP\nand so\n.IP\n.EX\ncode\n.EE\n.PP\nout\n",
        ),
        ("- a\n  b\n- c\n\nout", ".IP \\(bu 2\na\nb\n.IP \\(bu 2\nc\n.PP\nout\n"),
    ] {
        assert_eq!(roff_of(prose), roff, "{prose}");
    }
}
