//! `config.toml` and what overlays it: DESIGN.md, "Build-time configuration".

#[allow(dead_code, reason = "a part of it is for the build only")]
#[path = "../build/config.rs"]
mod config;
#[path = "../build/date.rs"]
mod date;
#[path = "../build/placeholder.rs"]
mod placeholder;

use std::fs;
use std::path::{Path, PathBuf};
use sysmgr::settings::{self, Settings};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");

/// A file with this text, in a directory of the test's own.
fn file(case: &str, text: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{case}.toml"));
    fs::write(&path, text).unwrap();
    path
}

fn root() -> Settings {
    config::load(Path::new(ROOT), None).unwrap()
}

fn overlaid(case: &str, text: &str) -> Result<Settings, String> {
    config::load(Path::new(ROOT), Some(&file(case, text)))
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let expected = Settings {
        service_dir: "/var/sysmgr".into(),
        run_dir: "/run/sysmgr".into(),
        prefix: "/usr/local".into(),
        bin_dir: "/usr/local/bin".into(),
        man_dir: "/usr/local/share/man".into(),
        restart_delay_ms: 1000,
        restart_delay_max_ms: 30_000,
        stable_after_ms: 10_000,
        stop_timeout_ms: 7000,
        shutdown_timeout_ms: 8000,
        settle_ms: 200,
        rescan_ms: 1000,
        owner_check: true,
    };
    assert_eq!(root(), expected);
}

#[test]
fn every_key_is_explained_in_the_file() {
    let text = fs::read_to_string(ROOT).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (key, _) in config::entries(&root()) {
        let is_key = |line: &&str| line.trim_start_matches('#').split(" = ").next() == Some(key);
        let place = lines.iter().position(is_key).unwrap_or_else(|| panic!("{key} is not in config.toml"));
        assert!(lines[place - 1].starts_with("# "), "{key} has no explanation above it");
    }
}

#[test]
fn an_overlay_holds_only_what_differs() {
    let settings = overlaid("differs", "prefix = \"/usr\"\nstop_timeout_ms = 20000\nowner_check = false\n").unwrap();
    let expected = Settings {
        prefix: "/usr".into(),
        bin_dir: "/usr/bin".into(),
        man_dir: "/usr/share/man".into(),
        stop_timeout_ms: 20_000,
        owner_check: false,
        ..root()
    };
    assert_eq!(settings, expected);
    assert_eq!(overlaid("empty", "").unwrap(), root());

    let settings = overlaid("man", "prefix = \"/\"\nman_dir = \"/usr//share/./man/\"\n").unwrap();
    assert_eq!((&*settings.prefix, &*settings.bin_dir, &*settings.man_dir), ("/", "/bin", "/usr/share/man"));
}

#[test]
fn the_packages_overlays_are_right() {
    for package in ["alpine/config.toml", "void/files/config.toml"] {
        let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(package);
        config::load(Path::new(ROOT), Some(&overlay)).unwrap();
    }
}

#[test]
fn a_fault_is_told_with_file_key_and_what_is_right() {
    for (text, words) in [
        ("restart_delay = 3", &["line 1", "`restart_delay`", "`restart_delay_ms`"][..]),
        ("owner_check = true\nfoo = 1", &["line 2", "`foo`", "`owner_check`"]),
        ("service_dir = /x", &["line 1"]),
        ("settle_ms = 1\nsettle_ms = 2", &["line 2", "settle_ms"]),
        ("[sysmgr]\n", &["`sysmgr`", "`service_dir`"]),
        ("service_dir = \"var/sysmgr\"", &["service_dir = \"var/sysmgr\"", "must begin with a slash"]),
        ("service_dir = \"\"", &["service_dir = \"\"", "must begin with a slash"]),
        ("run_dir = \"/run/../x\"", &["run_dir = \"/run/../x\"", "\"..\""]),
        ("run_dir = \"/run\\nx\"", &["run_dir = \"/run\\nx\"", "must be of letters"]),
        ("run_dir = \"/r\u{fc}n\"", &["run_dir", "must be of letters"]),
        ("bin_dir = \"/$(id)\"", &["bin_dir", "must be of letters"]),
        ("man_dir = \"/a'b\"", &["man_dir", "must be of letters"]),
        ("run_dir = \"//\"", &["run_dir", "below it"]),
        ("run_dir = 3", &["run_dir = 3", "string", "\"/some/directory\""]),
        ("run_dir = [\"/x\"]", &["run_dir", "string"]),
        ("run_dir = \"/var/sysmgr/\"", &["run_dir = \"/var/sysmgr\"", "service_dir", "config.toml", "must be two"]),
        ("stop_timeout_ms = \"7s\"", &["stop_timeout_ms = \"7s\"", "milliseconds", "from 1 to 3600000"]),
        ("stop_timeout_ms = 0", &["stop_timeout_ms = 0", "from 1 to 3600000"]),
        ("stop_timeout_ms = 3600001", &["out of range", "from 1 to 3600000"]),
        ("settle_ms = -1", &["settle_ms = -1", "from 0 to"]),
        ("settle_ms = 0.5", &["settle_ms = 0.5", "whole number"]),
        ("rescan_ms = 9", &["rescan_ms = 9", "from 10 to"]),
        ("rescan_ms = 9223372036854775807", &["rescan_ms", "out of range"]),
        ("restart_delay_max_ms = 999", &["restart_delay_max_ms = 999", "restart_delay_ms = 1000", "at least"]),
        ("restart_delay_ms = 30001", &["restart_delay_ms = 30001", "at least"]),
        ("owner_check = \"false\"", &["owner_check = \"false\"", "true nor false"]),
        ("owner_check = 0", &["owner_check = 0", "true nor false"]),
    ] {
        let error = overlaid("fault", text).expect_err(text);
        assert!(error.contains("fault.toml"), "{text}: {error}");
        for word in words {
            assert!(error.contains(word), "{text}: no {word} in: {error}");
        }
        assert!(!error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn the_limits_themselves_are_right() {
    for time in settings::TIMES {
        // the delays have to fit together
        let other = match time.key {
            "restart_delay_ms" => "restart_delay_max_ms = 86400000\n",
            "restart_delay_max_ms" => "restart_delay_ms = 1\n",
            _ => "",
        };
        for value in [time.least, time.most] {
            overlaid(time.key, &format!("{other}{} = {value}\n", time.key)).unwrap();
        }
    }
}

#[test]
fn the_root_file_must_have_every_key() {
    let text = fs::read_to_string(ROOT).unwrap();
    for (key, _) in config::entries(&root()) {
        let without: String =
            text.lines().filter(|l| !l.starts_with(&format!("{key} "))).fold(String::new(), |s, l| s + l + "\n");
        let loaded = config::load(&file(&format!("without-{key}"), &without), None);
        if matches!(key, "bin_dir" | "man_dir") {
            assert_eq!(loaded.unwrap(), root());
        } else {
            let error = loaded.unwrap_err();
            assert!(error.contains(&format!("without-{key}.toml: {key} is missing")), "{error}");
        }
    }
}

#[test]
fn the_overlay_is_named_by_an_absolute_path_to_a_readable_file() {
    let error = config::load(Path::new(ROOT), Some(Path::new("my.toml"))).unwrap_err();
    assert!(error.contains("SYSMGR_CONFIG=my.toml") && error.contains("absolute"), "{error}");
    let error = config::load(Path::new(ROOT), Some(Path::new("/nonexistent/my.toml"))).unwrap_err();
    assert!(error.contains("/nonexistent/my.toml: cannot be read: No such file"), "{error}");
    let error = config::load(Path::new(ROOT), Some(Path::new("/"))).unwrap_err();
    assert!(error.starts_with("/: cannot be read"), "{error}");
}

#[test]
fn what_is_shown_can_be_used_as_a_file() {
    let text: String = config::as_toml(&root()).map(|line| line + "\n").collect();
    assert_eq!(config::load(&file("shown", &text), None).unwrap(), root());
}

#[test]
fn the_date_is_that_of_the_topmost_release() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n## [0.3.0] - 2027-01-02\n\n## [0.2.0] - 2026-11-22\n";
    assert_eq!(date::of_release(changelog), Some("2027-01-02"));
    assert_eq!(date::of_release("## [0.3.0] - soon\n## [0.2.0] - 2026-11-22\n"), Some("2026-11-22"));
    assert_eq!(date::of_release("# Changelog\n"), None);
}

#[test]
fn the_topmost_release_is_this_version() {
    let changelog = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CHANGELOG.md")).unwrap();
    let topmost = changelog.lines().find(|line| line.starts_with("## [") && line.contains("] - ")).unwrap();
    assert!(topmost.starts_with(concat!("## [", env!("CARGO_PKG_VERSION"), "] - ")), "{topmost}");
}

#[test]
fn a_date_of_seconds_is_that_of_utc() {
    for (seconds, date) in [
        ("0", Some("1970-01-01")),
        ("86399", Some("1970-01-01")),
        ("951782400", Some("2000-02-29")),
        ("1709251199", Some("2024-02-29")),
        ("1709251200", Some("2024-03-01")),
        ("1795305600", Some("2026-11-22")),
        ("4107542400", Some("2100-03-01")),
        ("253402300799", Some("9999-12-31")),
        ("253402300800", None),
        ("-1", None),
        ("now", None),
        ("1.5", None),
    ] {
        assert_eq!(date::of_epoch(seconds).as_deref(), date, "{seconds}");
    }
}

#[test]
fn placeholders_are_filled_in_and_unknown_ones_end_the_build() {
    let value = |name: &str| (name == "run_dir").then(|| "/run/{{x}}".to_owned());
    assert_eq!(placeholder::fill("a {{run_dir}}/b {{run_dir}}", value).unwrap(), "a /run/{{x}}/b /run/{{x}}");
    assert_eq!(placeholder::fill("none", value).unwrap(), "none");
    assert!(placeholder::fill("{{other}}", value).unwrap_err().contains("{{other}}"));
    assert!(placeholder::fill("{{run_dir", value).unwrap_err().contains("}}"));
}
