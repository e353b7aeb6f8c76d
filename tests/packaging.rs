//! The Makefile, the packages and the example services, run with stand-ins for the programs that they call.
//!
//! What ends up where is held against `tests/packaging/*.list`: one line a file, its mode and its path.

#[path = "common/programs.rs"]
mod programs;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use programs::{available, skip};

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

/// An empty directory of this test's own, with a space in its path.
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packaging {name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// A command in which `cargo` is the stand-in, with nothing of the surrounding build in its environment.
fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", format!("{SOURCE}/tests/packaging:{path}"))
        .env("CARGO_LOG", dir.join("cargo.log"))
        .stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Runs it, and fails the test with what it printed if it failed.
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
    text(&output)
}

/// The calls of cargo since the last look.
fn calls(dir: &Path) -> String {
    let log = dir.join("cargo.log");
    let calls = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(log);
    calls
}

fn walk(dir: &Path, root: &Path, found: &mut BTreeSet<(PathBuf, u32)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, data) = (entry.path(), entry.path().symlink_metadata().unwrap());
        if data.is_dir() && fs::read_dir(&path).unwrap().next().is_some() {
            walk(&path, root, found);
        } else {
            let mode = data.permissions().mode();
            found.insert((path.strip_prefix(root).unwrap().to_owned(), mode));
        }
    }
}

/// All files and empty directories below `root` as lines of mode and path.
fn listing(root: &Path) -> String {
    let mut found = BTreeSet::new();
    walk(root, root, &mut found);
    let line = |(path, mode): &(PathBuf, u32)| match mode & 0o170_000 {
        0o120_000 => format!("link /{}\n", path.display()),
        0o040_000 => format!("{:04o} /{}/\n", mode & 0o7777, path.display()),
        _ => format!("{:04o} /{}\n", mode & 0o7777, path.display()),
    };
    found.iter().map(line).collect::<Vec<_>>().concat()
}

/// The expected list, with `examples` standing for each file below examples/ (all of them, or those of one folder).
fn expected(name: &str) -> String {
    let list = fs::read_to_string(format!("{SOURCE}/tests/packaging/{name}.list")).unwrap();
    let mut lines = BTreeSet::new();
    for line in list.lines() {
        let Some((folder, below)) = line.strip_prefix("examples").and_then(|rest| rest.split_once(" /")) else {
            let (mode, path) = line.split_once(' ').unwrap();
            lines.insert((path.to_owned(), mode.to_owned()));
            continue;
        };
        let mut found = BTreeSet::new();
        let root = Path::new(SOURCE).join("examples").join(folder.trim_start_matches('/'));
        walk(&root, &root, &mut found);
        for (path, mode) in found {
            // A folder is given when a package takes the files as mere documents.
            let mode = if folder.is_empty() && mode & 0o100 != 0 { "0755" } else { "0644" };
            lines.insert((format!("/{below}/{}", path.display()), mode.to_owned()));
        }
    }
    let mut sorted: Vec<_> = lines.iter().map(|(path, mode)| (PathBuf::from(path), mode)).collect();
    sorted.sort();
    sorted.iter().map(|(path, mode)| format!("{mode} {}\n", path.display())).collect::<Vec<_>>().concat()
}

/// A copy of what make looks at, with a space in its path.
fn source_copy(dir: &Path) -> PathBuf {
    let source = dir.join("source tree");
    fs::create_dir(&source).unwrap();
    let files =
        ["Makefile", "config.toml", "Cargo.toml", "README.md", "CHANGELOG.md", "LICENSE", "examples", "packaging"];
    succeed(command("cp", dir).current_dir(SOURCE).arg("-Rp").args(files).arg(&source));
    source
}

fn make(dir: &Path, source: &Path) -> Command {
    let mut make = command("make", dir);
    make.current_dir(source);
    make
}

#[test]
fn make_installs_what_was_built_and_uninstalls_just_that() {
    let dir = scratch("make");
    let source = source_copy(&dir);
    let before = listing(&source);
    let (target, root) = (dir.join("target dir"), dir.join("staged here"));
    let make = |goal: &str| {
        let mut make = make(&dir, &source);
        make.env("CARGO_TARGET_DIR", &target).arg(goal).arg(format!("DESTDIR={}", root.display()));
        make
    };

    succeed(&mut make("all"));
    assert!(calls(&dir).starts_with("cargo build --release --locked\n"));
    succeed(&mut make("install"));
    assert_eq!(calls(&dir), "", "install has built again");
    assert_eq!(listing(&root), expected("make"));

    let foreign = root.join("usr/local/share/doc/sysmgr/mine");
    fs::write(&foreign, "").unwrap();
    succeed(&mut make("uninstall"));
    let rest = listing(&root);
    assert_eq!(rest.lines().filter(|line| !line.ends_with('/')).count(), 1, "left behind:\n{rest}");
    assert!(foreign.exists());
    assert!(!root.join("usr/local/share/doc/sysmgr/examples").exists());
    assert_eq!(listing(&source), before, "something was written into the source tree");
}

#[test]
fn make_takes_directories_from_command_line_environment_and_configuration() {
    let dir = scratch("directories");
    let source = source_copy(&dir);
    let overlay = dir.join("over lay.toml");
    fs::write(&overlay, "prefix = \"/opt/p\" # \"where\"\n bin_dir = '/opt/b'\nman_dir = \"/opt/m\"\n").unwrap();
    let root = dir.join("root");
    let installed = |make: &mut Command| {
        let _ = fs::remove_dir_all(&root);
        succeed(make.arg("install").arg(format!("DESTDIR={}", root.display())));
        listing(&root)
    };

    let list = installed(make(&dir, &source).arg("PREFIX=/usr"));
    assert!(list.contains("0755 /usr/bin/svctl\n") && list.contains("0644 /usr/share/man/man8/sysmgr.8\n"), "{list}");
    let list = installed(make(&dir, &source).env("PREFIX", "/pre fix").env("BINDIR", "/s/bin"));
    assert!(list.contains("0755 /s/bin/svctl\n") && list.contains("/pre fix/share/man/man1/svctl.1\n"), "{list}");
    let list = installed(make(&dir, &source).env("SYSMGR_CONFIG", &overlay));
    assert!(list.contains("0755 /opt/b/svctl\n") && list.contains("0644 /opt/m/man1/svctl.1\n"), "{list}");
    assert!(list.contains("0644 /opt/p/share/bash-completion/completions/svctl\n"), "{list}");
}

#[test]
fn make_brings_a_deleted_page_back() {
    let dir = scratch("pages");
    let source = source_copy(&dir);
    succeed(&mut make(&dir, &source));
    let page = source.join("target/gen/svctl.1");
    for goal in ["all", page.to_str().unwrap(), "install"] {
        fs::remove_file(&page).unwrap();
        let root = format!("DESTDIR={}", dir.join("root").display());
        succeed(make(&dir, &source).env("CARGO_FORGETS_PAGES", "yes").arg(goal).arg(root));
        assert!(page.exists(), "{goal}");
        assert!(calls(&dir).contains("cargo clean --release -p sysmgr\n"), "{goal}");
    }
}

#[test]
fn make_static_names_a_target() {
    let dir = scratch("static");
    let source = source_copy(&dir);
    let mut run = make(&dir, &source);
    succeed(run.env("CARGO_BUILD_TARGET", "some-target").args(["STATIC=1", "all"]));
    assert!(calls(&dir).contains("RUSTFLAGS=-C target-feature=+crt-static -C relocation-model=static "));
    assert!(source.join("target/some-target/release/sysmgr").exists());
    succeed(make(&dir, &source).args(["CARGOFLAGS=--frozen --target other", "all"]));
    assert!(source.join("target/other/release/sysmgr").exists());
}

#[test]
fn make_help_names_every_target() {
    let dir = scratch("help");
    let help = succeed(make(&dir, Path::new(SOURCE)).arg("help"));
    let makefile = fs::read_to_string(format!("{SOURCE}/Makefile")).unwrap();
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    for target in phony.split(' ') {
        assert!(help.contains(&format!("  {target} ")), "{target} is not in:\n{help}");
    }
}

#[test]
fn the_alpine_package_has_the_expected_files() {
    let dir = scratch("alpine");
    let script = format!("{SOURCE}/tests/packaging/alpine.sh");
    succeed(command("sh", &dir).current_dir(SOURCE).arg(script).arg(&dir));
    assert_eq!(listing(&dir.join("pkg")), expected("alpine"));
    let calls = calls(&dir);
    let settings: BTreeSet<_> = calls.lines().filter(|line| line.starts_with("RUSTFLAGS=")).collect();
    let commands: Vec<_> = calls.lines().filter(|line| !settings.contains(line)).collect();
    let fetch = "cargo fetch --target=x86_64-alpine-linux-musl --locked";
    assert_eq!(commands, [fetch, "cargo auditable build --release --frozen", "cargo auditable test --frozen"]);
    let flags = "RUSTFLAGS=-C target-feature=+crt-static -C relocation-model=static ";
    let expected = format!("{flags}SYSMGR_CONFIG={}/src/config.toml", dir.display());
    assert_eq!(settings.into_iter().collect::<Vec<_>>(), [expected.as_str()]);
}

#[test]
fn the_void_package_has_the_expected_files() {
    if !available("bash") {
        return;
    }
    let dir = scratch("void");
    let script = format!("{SOURCE}/tests/packaging/void.sh");
    succeed(command("bash", &dir).current_dir(SOURCE).arg(script).arg(&dir));
    assert_eq!(listing(&dir.join("pkg")), expected("void"));
    // With other settings in a later phase, cargo would build once more.
    let calls = calls(&dir);
    let settings: BTreeSet<_> = calls.lines().filter(|line| line.starts_with("RUSTFLAGS=")).collect();
    assert_eq!(settings.len(), 1, "{calls}");
    assert!(calls.contains("crt-static"), "{calls}");
}

#[test]
fn packages_tell_the_running_sysmgr_to_execute_itself_anew() {
    if !Path::new("/proc/self/comm").exists() {
        skip("no /proc");
        return;
    }
    let dir = scratch("upgrade");
    fs::create_dir_all(dir.join("run/sysmgr")).unwrap();
    std::os::unix::fs::symlink("/proc", dir.join("proc")).unwrap();
    let sleep = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join("sleep"))
        .find(|path| path.is_file())
        .unwrap();
    let alpine = fs::read_to_string(format!("{SOURCE}/packaging/alpine/sysmgr.post-upgrade")).unwrap();
    let alpine = alpine.replace("</run/", "<run/");
    let void = fs::read_to_string(format!("{SOURCE}/packaging/void/INSTALL")).unwrap();
    let run = |script: &str| succeed(command("sh", &dir).current_dir(&dir).args(["-euc", script]));

    // Without a running sysmgr, or with a number that is now somebody else's, nothing happens.
    for script in [alpine.clone(), format!("ACTION=post UPDATE=yes\n{void}"), format!("ACTION=pre UPDATE=no\n{void}")] {
        let _ = fs::remove_file(dir.join("run/sysmgr/pid"));
        assert_eq!(run(&script), "");
        let mut other = Command::new(&sleep).arg("60").spawn().unwrap();
        fs::write(dir.join("run/sysmgr/pid"), format!("{}\n", other.id())).unwrap();
        assert_eq!(run(&script), "");
        assert!(other.try_wait().unwrap().is_none(), "a foreign process was signalled");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    // A process is called by the last part of the path that it was executed by.
    let name = dir.join("sysmgr");
    std::os::unix::fs::symlink(&sleep, &name).unwrap();
    for script in [alpine, format!("ACTION=post UPDATE=yes\n{void}")] {
        let mut sysmgr = Command::new(&name).arg0("sleep").arg("60").spawn().unwrap();
        fs::write(dir.join("run/sysmgr/pid"), format!("{}\n", sysmgr.id())).unwrap();
        run(&script);
        assert_eq!(sysmgr.wait().unwrap().signal(), Some(12), "SIGUSR2");
    }
}

#[test]
fn one_version_everywhere() {
    let read = |name: &str| fs::read_to_string(Path::new(SOURCE).join(name)).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("packaging/alpine/APKBUILD").contains(&format!("\npkgver={version}\n")));
    assert!(read("packaging/void/template").contains(&format!("\nversion={version}\n")));
    let log = read("CHANGELOG.md");
    let newest = log.lines().find(|line| line.starts_with("## [") && !line.contains("Unreleased")).unwrap();
    assert!(newest.starts_with(&format!("## [{version}]")), "{newest}");
}
