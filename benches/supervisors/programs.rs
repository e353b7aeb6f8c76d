//! The programs that are measured with, built by the C compiler, and where everything is made.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs, in a directory that is removed at the end.
pub struct Programs {
    /// Where everything is made.
    pub dir: PathBuf,
    /// The service.
    pub payload: PathBuf,
    /// The service that ends at once.
    pub crash: PathBuf,
    /// The bare loop.
    pub floor: PathBuf,
    /// Shows files.
    pub show: PathBuf,
}

/// Small and without a C library where the sources know the machine.
const BARE: &[&str] = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
    &["-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"]
} else {
    &[]
};

impl Programs {
    /// Builds them in a new directory below `base`.
    pub fn build(base: &Path) -> io::Result<Self> {
        let dir = base.join(format!("sysmgr-bench.{}", std::process::id()));
        std::fs::create_dir(&dir)?;
        let path = |name| dir.join(name);
        let programs = Self {
            payload: path("payload"),
            crash: path("crash"),
            floor: path("floor"),
            show: path("show"),
            dir: dir.clone(),
        };
        compile(BARE, "payload.c", &programs.payload)?;
        compile(&[BARE, &["-DCRASH"]].concat(), "payload.c", &programs.crash)?;
        compile(&[], "floor.c", &programs.floor)?;
        compile(&[], "show.c", &programs.show)?;
        Ok(programs)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn compile(flags: &[&str], source: &str, program: &Path) -> io::Result<()> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/supervisors").join(source);
    let done = Command::new(compiler)
        .args(["-Os", "-static", "-s", "-Wl,--build-id=none,-z,norelro"])
        .args(flags)
        .arg("-o")
        .args([program, &source])
        .status()?;
    if done.success() { Ok(()) } else { Err(io::Error::other(format!("cannot build {}", source.display()))) }
}
