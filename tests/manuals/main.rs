//! The manuals: well-formed, complete, and true to the programs.

#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../../build/completions.rs"]
mod completions;
#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../../build/config.rs"]
mod config;
#[allow(dead_code, reason = "the tests render pages only")]
#[path = "../../build/date.rs"]
mod date;
mod form;
mod generated;
#[path = "../../build/manual.rs"]
mod manual;
#[path = "../../build/pages.rs"]
mod pages;
#[path = "../../build/placeholder.rs"]
mod placeholder;
#[path = "../common/programs.rs"]
mod programs;
#[path = "../../build/prose.rs"]
mod prose;
mod truth;

use std::fs;
use std::path::Path;
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
fn command(page: &str, settings: &settings::Settings) -> clap::Command {
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
