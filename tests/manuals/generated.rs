//! How the pages are made.

use super::{GENERATED, PAGES, SOURCE, date, page, pages, plain, prose, source, text};
use std::fs;
use std::path::Path;
use sysmgr::settings::{BUILT_IN, Settings};

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
