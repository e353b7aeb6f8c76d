//! The date of the manuals: of the release, or of SOURCE_DATE_EPOCH; never of the clock.

/// The date of the topmost release of a changelog, from a line such as `## [1.0.0] - 2026-01-31`.
pub fn of_release(changelog: &str) -> Option<&str> {
    let releases = changelog.lines().filter(|line| line.starts_with("## ["));
    releases.filter_map(|line| line.split_once("] - ")).map(|(_, date)| date.trim()).find(|date| is_date(date))
}

fn is_date(text: &str) -> bool {
    let form = |(index, byte): (usize, u8)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(form)
}

/// The date in UTC of a number of seconds since 1970, if it is one, of the years up to 9999.
pub fn of_epoch(seconds: &str) -> Option<String> {
    let mut days = seconds.parse::<u64>().ok()? / 86400;
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    loop {
        let length = 365 + u64::from(leap(year));
        if days < length {
            break;
        }
        days -= length;
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    Some(format!("{year:04}-{month:02}-{:02}", days + 1))
}
