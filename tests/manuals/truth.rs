//! What the pages say is what the programs do.

use super::{PAGES, SOURCE, command, config, page, plain, section, terms, text};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use sysmgr::cli::{self, svctl::GROUPS};
use sysmgr::control::condition::Condition;
use sysmgr::control::outcome::Outcome;
use sysmgr::depends::ENDING;
use sysmgr::service::ended::{Ended, signal_name};
use sysmgr::service::files;
use sysmgr::service::moment::Moment;
use sysmgr::service::order::Order;
use sysmgr::service::pid::Pid;
use sysmgr::service::status::{Phase, Status};
use sysmgr::settings::{BUILT_IN, OWNER_CHECK_VARIABLE, TIMES};
use sysmgr::sys::signals;

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
    let ending = ENDING.map(|number| signal_name(number).trim_start_matches("SIG").to_owned()).join(", ");
    assert_eq!(terms(&page("sysmgr-depends.1"), "SIGNALS"), [ending]);
    for (mut command, page) in
        [(cli::sysmgr::command(&BUILT_IN), "sysmgr.8"), (cli::runsyssv::command(&BUILT_IN), "runsyssv.1")]
    {
        let help = command.render_help().to_string();
        for signal in terms(&super::page(page), "SIGNALS").iter().filter(|signal| *signal != "KILL") {
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
            name.starts_with("SYSMGR_") && *name != "SYSMGR_"
                || ["SYSDIR", "RUNDIR", "PATH", "TERM", "NO_COLOR"].contains(name)
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
    full.by_order = true;
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

#[test]
fn states_and_kinds_of_json_are_in_svctl_1() {
    use Condition::{Backoff, Clearing, Down, Lost, New, Refused, Starting, Stopping, Up, Waiting};
    let page = text(&page("svctl.1"));
    let described = page.split("--json it is an array").nth(1).expect("the keys");
    let described = described.split("why SERVICE").next().expect("text");
    let has = |word: &str| described.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found == word);
    for condition in [Up, Stopping, Starting, Waiting, Clearing, Backoff, Refused, Down, Lost, New] {
        assert!(has(condition.word()), "{}", condition.word());
    }
    for kind in ["exit", "signal", "exec", "fork", "unknown"] {
        assert!(has(kind), "{kind}");
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
