//! The rules of the source: who may import whom, and where the system is spoken to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, the lowest first. A file imports from its own layer's folder or from lower ones.
fn layer(module: &str) -> Option<u32> {
    Some(match module {
        "service" | "settings" => 0,
        "sys" => 1,
        "arguments" | "cli" | "startup" | "supervisor" | "depends" => 2,
        // both look at what sysmgr-depends has learned
        "manager" | "control" => 3,
        "bin" => 4,
        _ => return None,
    })
}

fn files() -> BTreeMap<PathBuf, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(dir).expect("src can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                found.insert(path, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    found
}

/// The module below `src` that a file belongs to: the first part of its path.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let first = below.ok().and_then(|path| path.iter().next()).unwrap_or_default();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The modules of the crate that a file names after `crate::` or `sysmgr::`, also in braces.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    for root in ["crate::", "sysmgr::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let mut depth = 0;
                let mut name = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.push(std::mem::take(&mut name)),
                        c if depth == 0 => name.push(c),
                        _ => {}
                    }
                }
                found.push(name);
            } else {
                found.push(rest.to_owned());
            }
        }
    }
    let first_word = |name: String| -> String {
        let name = name.trim_start();
        name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    found.into_iter().map(first_word).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_go_one_way_bin_then_drivers_then_sys_then_vocabulary() {
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for (path, text) in files() {
        let from = module(&path);
        if from == "lib" {
            continue;
        }
        let Some(height) = layer(&from) else {
            panic!("{} is in no layer: {from}", path.display());
        };
        for import in imports(&text) {
            match layer(&import) {
                Some(lower) if lower < height || import == from => {}
                // neighbours may know each other, one way
                Some(same) if same == height && !known.contains(&(import.clone(), from.clone())) => {
                    known.insert((from.clone(), import));
                }
                Some(_) => wrong.push(format!("{} imports {import}", path.display())),
                // constants of the crate's root, made by build.rs
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_system_is_spoken_to_in_src_sys_only() {
    let mut wrong = Vec::new();
    for (path, text) in files() {
        if module(&path) == "sys" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in ["unsafe ", "target_os", "libc::"] {
                if code.contains(word) && !code.contains("unsafe_code") {
                    wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_unsafe_block_gives_its_reason() {
    let mut wrong = Vec::new();
    for (path, text) in files() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let begins = code.contains("unsafe {");
            let reasons = &lines[number.saturating_sub(6)..number];
            if begins && !reasons.iter().any(|line| line.contains("SAFETY:")) {
                wrong.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe without a SAFETY note: {wrong:#?}");
}

#[test]
fn pure_vocabulary_reads_no_clock_file_or_environment() {
    let mut wrong = Vec::new();
    for (path, text) in files() {
        if layer(&module(&path)) != Some(0) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in
            ["std::fs", "std::env", "std::process", "Instant::", "SystemTime", "nix::unistd", "nix::fcntl", "nix::libc"]
        {
            if code.contains(word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = files()
        .into_iter()
        .filter_map(|(path, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let count = code.lines().count();
            (count > 400).then(|| format!("{}: {count} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "more than 400 lines before the tests: {long:#?}");
}
