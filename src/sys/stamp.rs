//! Which file it is, and when it was changed.

use nix::sys::stat::FileStat;

/// Which file it is and when it was last changed, for comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode.
    pub file: (u64, u64),
    /// When its content or its inode was last changed: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// Its length in bytes.
    pub length: i64,
}

impl Stamp {
    // the fields have other widths on other systems
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::useless_conversion, clippy::cast_lossless)]
    pub(super) fn of(stat: &FileStat) -> Self {
        #[cfg(not(target_os = "netbsd"))]
        let nanoseconds = stat.st_ctime_nsec;
        #[cfg(target_os = "netbsd")]
        let nanoseconds = stat.st_ctimensec;
        Self {
            file: (stat.st_dev as u64, stat.st_ino as u64),
            changed: (stat.st_ctime as i64, nanoseconds as i64),
            length: stat.st_size as i64,
        }
    }
}
