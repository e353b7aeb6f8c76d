//! Lengths of time and numbers in words.

use std::time::Duration;

use crate::service::moment::Seconds;

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
        format!("{} s", Seconds(time))
    } else {
        length(time + Duration::from_millis(500))
    }
}

/// How many columns of a terminal a text takes: letters of East Asia and pictures take two, marks on other letters none.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(of_letter).sum()
}

/// As wcwidth(3) has it in a locale of UTF-8, in ranges.
const fn of_letter(letter: char) -> usize {
    match letter {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{20d0}'..='\u{20f0}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// As much of a text as fits into so many columns; what is cut is shown as cut.
#[must_use]
pub fn cut(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(3);
    let fits = |letter: &char| {
        let fits = of_letter(*letter) <= left;
        left = left.saturating_sub(of_letter(*letter));
        fits
    };
    text.chars().take_while(fits).chain("...".chars()).take(room).collect()
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
    use super::{columns, cut, length, list, short, times};
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
    fn letters_take_one_column_or_two_or_none() {
        assert_eq!(["web", "w\u{e4}b", "wa\u{308}b", "\u{65e5}\u{672c}", "\u{1f600}"].map(columns), [3, 3, 3, 4, 2]);
        assert_eq!(["web", "website"].map(|text| cut(text, 6)), ["web", "web..."]);
        assert_eq!(
            [0, 2, 5, 6].map(|room| cut("\u{65e5}\u{672c}\u{8a9e}\u{6587}", room)),
            ["", "..", "\u{65e5}...", "\u{65e5}..."]
        );
    }

    #[test]
    fn numbers_and_lists() {
        assert_eq!([1, 2, 3].map(times), ["once", "twice", "3 times"]);
        let items = |n: usize| ["a", "b", "c"][..n].iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!([0, 1, 2, 3].map(|n| list(&items(n))), ["", "a", "a and b", "a, b and c"]);
    }
}
