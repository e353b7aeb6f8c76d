//! Lengths of time and numbers in words.

use std::time::Duration;

/// A length of time for people: its two greatest units.
#[must_use]
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let (first, second) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3600..86400 => ((seconds / 3600, "h"), (seconds % 3600 / 60, "min")),
        _ => ((seconds / 86400, "d"), (seconds % 86400 / 3600, "h")),
    };
    if second.0 == 0 {
        format!("{} {}", first.0, first.1)
    } else {
        format!("{} {} {} {}", first.0, first.1, second.0, second.1)
    }
}

/// A length of time that is likely to be short: with tenths of a second below ten.
#[must_use]
pub fn short(time: Duration) -> String {
    if time < Duration::from_millis(9_950) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        length(time + Duration::from_millis(500))
    }
}

/// How often.
#[must_use]
pub fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

/// A list: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{length, list, short, times};
    use std::time::Duration;

    #[test]
    fn the_two_greatest_units() {
        let said = |seconds| length(Duration::from_secs(seconds));
        assert_eq!(said(0), "0 s");
        assert_eq!(said(59), "59 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(185), "3 min 5 s");
        assert_eq!(said(3 * 3600 + 12 * 60 + 59), "3 h 12 min");
        assert_eq!(said(86400), "1 d");
        assert_eq!(said(400 * 86400 + 4 * 3600), "400 d 4 h");
    }

    #[test]
    fn tenths_below_ten_seconds() {
        let said = |ms| short(Duration::from_millis(ms));
        assert_eq!(said(0), "0.0 s");
        assert_eq!(said(200), "0.2 s");
        assert_eq!(said(9_949), "9.9 s");
        assert_eq!(said(9_950), "10 s");
        assert_eq!(said(12_345), "12 s");
    }

    #[test]
    fn numbers_and_lists() {
        assert_eq!([1, 2, 3].map(times), ["once", "twice", "3 times"]);
        let items = |n: usize| ["a", "b", "c"][..n].iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(|n| list(&items(n))), ["", "a", "a and b", "a, b and c"]);
    }
}
