//! The name that somebody may have meant.

use std::fmt::Display;

/// The one of `names` that is nearest to `meant`, if it is near enough to be what was meant.
#[must_use]
pub fn nearest<'n, T: Display + Ord>(meant: &T, names: impl IntoIterator<Item = &'n T>) -> Option<&'n T> {
    let meant = letters(meant);
    // of a name of one letter any other would be near
    let allowed = (meant.len() / 3).max(1).min(meant.len().saturating_sub(1));
    names
        .into_iter()
        .map(|name| (distance(&meant, &letters(name)), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

fn letters(name: &impl Display) -> Vec<char> {
    name.to_string().to_lowercase().chars().collect()
}

/// How many letters are to be inserted, left out, replaced or swapped with the next one.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut steps = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                steps = steps.min(before[j - 1] + 1);
            }
            row.push(steps);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::service::name::Name;
    use std::ffi::OsStr;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let name = |text: &str| Name::new(OsStr::new(text)).expect("a name from a test");
        let names = ["nginx", "postgres", "sshd", "db"].map(name);
        let found = |meant: &str| nearest(&name(meant), &names).map(ToString::to_string);
        assert_eq!(found("ngnix").as_deref(), Some("nginx"));
        assert_eq!(found("Postgre").as_deref(), Some("postgres"));
        assert_eq!(found("shsd").as_deref(), Some("sshd"));
        assert_eq!(found("bd").as_deref(), Some("db"));
        assert_eq!(found("apache"), None);
        assert_eq!(found("x"), None);
        assert_eq!(nearest(&name("b"), &[name("a")]), None);
    }
}
