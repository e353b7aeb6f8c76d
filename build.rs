//! Builds in what `config.toml` says.
//!
//! Reads `config.toml`, and over it the file that `SYSMGR_CONFIG` names, checks them, and writes them as constants for
//! the executables. What is wrong ends the build with a sentence that says so.

#[path = "build/config.rs"]
mod config;
#[allow(dead_code, reason = "a part of it is for the executables only")]
#[path = "src/settings/plain.rs"]
mod settings;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    let root = directory_variable("CARGO_MANIFEST_DIR")?.join("config.toml");
    println!("cargo::rerun-if-changed=config.toml");
    println!("cargo::rerun-if-env-changed=SYSMGR_CONFIG");
    let overlay = env::var_os("SYSMGR_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
    if let Some(overlay) = &overlay {
        let shown = overlay.to_str().filter(|name| !name.contains('\n'));
        let name = shown.ok_or("SYSMGR_CONFIG: the path must be UTF-8, without a newline")?;
        println!("cargo::rerun-if-changed={name}");
    }

    let settings = config::load(&root, overlay.as_deref())?;
    build_print::custom_println!("Configuration", cyan, "{}", overlay.unwrap_or(root).display());
    for line in config::as_toml(&settings) {
        build_print::println!("       {line}");
    }

    let out = directory_variable("OUT_DIR")?;
    write(&out.join("built_in.rs"), &config::as_source(&settings))
}

fn directory_variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set: build with cargo"))
}

fn write(path: &Path, contents: &str) -> Result<(), String> {
    fs::write(path, contents).map_err(|e| format!("{}: cannot be written: {e}", path.display()))
}
