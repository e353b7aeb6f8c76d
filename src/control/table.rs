//! The status on a terminal: columns, and colours where they are wanted.

use std::fmt::Write as _;

use super::condition::Condition;
use super::report::View;
use super::words::{columns, cut, length};

/// How the terminal wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// How many columns it has.
    pub width: usize,
    /// Whether it shows colours, and the user likes them.
    pub colour: bool,
    /// Whether what is too long for a line is cut, not broken.
    pub cut: bool,
}

/// Where less than this is left for the last column, it goes below the others.
const NARROW: usize = 24;

/// A name that is longer than this, and than a third of the terminal, stands on a line of its own.
const LONG: usize = 16;

/// How far it is indented there.
const INDENT: usize = 4;

const HEAD: [&str; 5] = ["SERVICE", "STATE", "PID", "FOR", ""];

/// The services, a line each, or more where one is too long.
#[must_use]
pub fn table(views: &[View], style: Style) -> String {
    let rows: Vec<[String; 5]> = views.iter().map(row).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (place, (width, cell)) in widths.iter_mut().zip(row).enumerate() {
            let needed = columns(cell);
            if place > 0 || needed <= LONG.max(style.width / 3) {
                *width = needed.max(*width);
            }
        }
    }
    let mut text = String::new();
    if !rows.is_empty() {
        put(&mut text, &HEAD.map(str::to_owned), &widths, style, "\x1b[1m", true);
    }
    for (view, row) in views.iter().zip(&rows) {
        put(&mut text, row, &widths, style, colour(view.condition()), false);
    }
    text
}

fn row(view: &View) -> [String; 5] {
    let word = if view.condition().is_up() { "UP" } else { "DOWN" };
    let pid = view.main.map_or_else(String::new, |main| main.process.pid.to_string());
    let time = match view.main {
        Some(main) if !main.age.is_zero() => length(main.age),
        Some(_) => view.length().map_or_else(String::new, length),
        None => String::new(),
    };
    let about: Vec<String> = view.state().into_iter().chain(view.remarks()).collect();
    [view.name.to_string(), word.to_owned(), pid, time, about.join(", ")]
}

const fn colour(condition: Condition) -> &'static str {
    match condition {
        Condition::Up => "\x1b[32m",
        Condition::Stopping | Condition::Starting | Condition::Waiting | Condition::Clearing => "\x1b[33m",
        Condition::Backoff | Condition::Refused | Condition::Lost => "\x1b[31m",
        Condition::Down | Condition::New => "\x1b[2m",
    }
}

/// Adds a row, of which the state, or all, has the colour.
fn put(text: &mut String, row: &[String; 5], widths: &[usize], style: Style, colour: &str, all: bool) {
    let mut offset = 0;
    let mut line = String::new();
    for (place, (cell, width)) in row.iter().zip(widths).enumerate().take(4) {
        let mut taken = columns(cell);
        if style.colour && !cell.is_empty() && (all || place == 1) {
            let _ = write!(line, "{colour}{cell}\x1b[0m");
        } else if taken > *width {
            // the name alone
            let _ = writeln!(text, "{}", if style.cut { cut(cell, style.width) } else { cell.clone() });
            taken = 0;
        } else {
            line.push_str(cell);
        }
        line.push_str(&" ".repeat(width - taken + 2));
        offset += width + 2;
    }
    let room = style.width.saturating_sub(offset);
    let beside = room >= NARROW;
    let room = if beside { room } else { style.width.saturating_sub(INDENT) };
    let mut about = if style.cut { vec![cut(&row[4], room)] } else { broken(&row[4], room) };
    if beside {
        line.push_str(&about.remove(0));
    } else {
        offset = INDENT;
    }
    text.push_str(line.trim_end());
    text.push('\n');
    for line in about.iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "{}{line}", " ".repeat(offset));
    }
}

/// Breaks a text between words into lines of at most `room` characters. A longer word stays whole.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        let letters = columns(word);
        if length > 0 && length + 1 + letters > room {
            lines.push(String::new());
            length = 0;
        }
        if let Some(line) = lines.last_mut() {
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += letters;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Style, broken, put};

    #[test]
    fn on_a_narrow_terminal_the_last_column_goes_below() {
        let mut text = String::new();
        let row = ["web", "DOWN", "", "", "tried again in 12 s: exited with 1"].map(str::to_owned);
        put(&mut text, &row, &[3, 5, 5, 8], Style { width: 30, colour: false, cut: false }, "", false);
        assert_eq!(text, "web  DOWN\n    tried again in 12 s:\n    exited with 1\n");
        text.clear();
        let row = ["web", "UP", "12", "3 s", ""].map(str::to_owned);
        put(&mut text, &row, &[3, 5, 5, 8], Style { width: 30, colour: false, cut: false }, "", false);
        assert_eq!(text, "web  UP     12     3 s\n");
    }

    #[test]
    fn a_long_name_stands_alone_and_what_is_cut_is_one_line() {
        let mut text = String::new();
        let row =
            ["a-name-of-many-letters", "UP", "12", "3 s", "its file is newer than the process"].map(str::to_owned);
        put(&mut text, &row, &[7, 5, 5, 3], Style { width: 56, colour: false, cut: true }, "", false);
        assert_eq!(text, "a-name-of-many-letters\n         UP     12     3 s  its file is newer than th...\n");
        text.clear();
        put(&mut text, &row, &[7, 5, 5, 3], Style { width: 20, colour: false, cut: true }, "", false);
        assert_eq!(text, "a-name-of-many-le...\n         UP     12     3 s\n    its file is n...\n");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(broken("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(broken("a longerthansix b", 6), ["a", "longerthansix", "b"]);
        assert_eq!(broken("", 6), [""]);
    }
}
