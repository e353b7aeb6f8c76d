//! Builds in what `config.toml` says, and makes the manuals and completions.
//!
//! Reads `config.toml`, and over it the file that `SYSMGR_CONFIG` names, checks them, and writes them as constants for
//! the executables. The same settings go into the pages and completions, which come out below OUT_DIR, or in the
//! folder that `SYSMGR_GEN_DIR` names. What is wrong ends the build with a sentence that says so.

#[allow(dead_code, reason = "a part of it is for the executables only")]
#[path = "src/cli/mod.rs"]
mod cli;
#[path = "build/completions.rs"]
mod completions;
#[path = "build/config.rs"]
mod config;
#[path = "build/date.rs"]
mod date;
#[path = "build/manual.rs"]
mod manual;
#[path = "build/pages.rs"]
mod pages;
#[path = "build/placeholder.rs"]
mod placeholder;
#[path = "build/prose.rs"]
mod prose;
#[allow(dead_code, reason = "a part of it is for the executables only")]
#[path = "src/settings/plain.rs"]
mod settings;

use settings::Settings;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{env, fs};

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let source = variable("CARGO_MANIFEST_DIR").ok_or("build with cargo")?;
    let out = variable("OUT_DIR").ok_or("build with cargo")?;
    let has_kqueue = matches!(
        env::var("CARGO_CFG_TARGET_OS").as_deref(),
        Ok("freebsd" | "dragonfly" | "netbsd" | "openbsd" | "macos")
    );
    if has_kqueue && env::var_os("CARGO_CFG_SYSMGR_POSIX").is_none() {
        println!("cargo::rustc-cfg=sysmgr_bsd");
    }
    let settings = configure(&source)?;
    write(&out.join("built_in.rs"), &config::as_source(&settings))?;
    for mut command in [cli::sysmgr::command(&settings), cli::runsyssv::command(&settings)] {
        let help = command.render_help().to_string();
        write(&out.join(format!("{}_help.txt", command.get_name())), &help)?;
    }

    spare_memory();
    println!("cargo::rerun-if-env-changed=SYSMGR_GEN_DIR");
    let generated = match variable("SYSMGR_GEN_DIR") {
        Some(folder) if folder.is_absolute() => folder,
        Some(folder) => return Err(format!("SYSMGR_GEN_DIR={}: must be an absolute path", folder.display())),
        None => out.join("gen"),
    };
    // for the tests
    println!("cargo::rustc-env=SYSMGR_GENERATED={}", line("SYSMGR_GEN_DIR", &generated)?);
    generate(&source, &settings, &generated)
}

/// Has the linker that Rust brings along on Linux begin what a program writes to with a page of its own: else that is in
/// two pages of each runsyssv. Other linkers do so anyway, or don't know how.
fn spare_memory() {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_own = env::var_os("RUSTC_LINKER").is_none() && !flags.contains("linker") && !flags.contains("fuse-ld");
    if is_own && env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,separate-loadable-segments");
    }
}

/// The settings, shown once.
fn configure(source: &Path) -> Result<Settings, String> {
    let root = source.join("config.toml");
    watch(&root)?;
    println!("cargo::rerun-if-env-changed=SYSMGR_CONFIG");
    let overlay = variable("SYSMGR_CONFIG");
    if let Some(overlay) = &overlay {
        watch(overlay)?;
    }
    let settings = config::load(&root, overlay.as_deref())?;
    build_print::custom_println!("Configuration", cyan, "{}", overlay.unwrap_or(root).display());
    for line in config::as_toml(&settings) {
        build_print::println!("       {line}");
    }
    Ok(settings)
}

/// Pages and completions, written below `folder`.
fn generate(source: &Path, settings: &Settings, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
    let read = |name: &str| {
        let path = source.join(name);
        watch(&path)?;
        fs::read_to_string(&path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))
    };
    let date = release_date(&read("CHANGELOG.md")?)?;
    for (name, text) in pages::all(settings, &date, &read)? {
        put(&folder.join(name), &text)?;
    }
    Ok(())
}

fn release_date(changelog: &str) -> Result<String, String> {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    match env::var("SOURCE_DATE_EPOCH").ok().filter(|seconds| !seconds.is_empty()) {
        Some(seconds) => date::of_epoch(&seconds)
            .ok_or_else(|| format!("SOURCE_DATE_EPOCH={seconds}: must be seconds since 1970, a whole number")),
        None => date::of_release(changelog)
            .map(str::to_owned)
            .ok_or_else(|| String::from("CHANGELOG.md: no line such as '## [1.0.0] - 2026-01-31'")),
    }
}

/// A variable that names a path; an empty one counts as none.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn watch(path: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", line("a path", path)?);
    Ok(())
}

/// Cargo is told of paths in lines of UTF-8.
fn line<'a>(what: &str, path: &'a Path) -> Result<&'a str, String> {
    let name = path.to_str().filter(|name| !name.contains('\n'));
    name.ok_or_else(|| format!("{what}: {} must be UTF-8, without a newline", path.display()))
}

/// Writes a generated file. Cargo is to make it again when it is gone, and only then: it takes a file for changed that
/// is younger than the build, so this one gets an age (1980, which archives of all kinds can hold).
fn put(path: &Path, contents: &str) -> Result<(), String> {
    write(path, contents)?;
    let age = SystemTime::UNIX_EPOCH + Duration::from_secs(315_532_800);
    // where that is refused, the next build makes it again, and no harm is done
    let _ = fs::File::options().write(true).open(path).and_then(|file| file.set_modified(age));
    watch(path)
}

fn write(path: &Path, contents: &str) -> Result<(), String> {
    fs::write(path, contents).map_err(|error| format!("{}: cannot be written: {error}", path.display()))
}
