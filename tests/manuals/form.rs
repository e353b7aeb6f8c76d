//! The pages are well-formed.

use super::programs::{available, skip};
use super::{GENERATED, PAGES, page, plain, section, sections, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

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
                skip("this man does not warn");
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
        let mut example = false;
        for line in page.lines() {
            example = (example || line == ".EX") && line != ".EE";
            assert!(example || !line.starts_with(' '), "{name} breaks the line before: {line}");
        }
        assert!(!page.contains("{{") && !page.contains("}}"), "{name}");
    }
}

#[test]
fn all_pages_have_the_same_order_of_sections() {
    const ORDER: [&str; 14] = [
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
fn references_lead_to_pages_that_exist() {
    // Others' pages, which any system has, or the context says whose they are.
    const OTHERS: [&str; 5] = ["init(8)", "signal(7)", "kqueue(2)", "procctl(2)", "sysctl(3)"];
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
