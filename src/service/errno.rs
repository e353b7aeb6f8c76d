//! The system's words for its errors.

/// The reason that the error of this number tells.
#[must_use]
pub fn words(errno: i32) -> String {
    let mut text = std::io::Error::from_raw_os_error(errno).to_string();
    // without Rust's number behind it
    if let Some(at) = text.rfind('(') {
        text.truncate(text[..at].trim_end().len());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_system_is_quoted_without_a_number() {
        assert_eq!(super::words(nix::errno::Errno::ENOENT as i32), "No such file or directory");
    }
}
