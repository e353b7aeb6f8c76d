//! Everything that is generated: the manuals and the completions.

use crate::cli;
use crate::config::{Entry, entries};
use crate::settings::{Settings, TIMES};
use crate::{completions, manual, placeholder};

/// The names and contents of all files, made of what `read` finds in the source tree.
///
/// # Errors
/// What is missing or wrong in those files.
pub fn all(
    settings: &Settings,
    date: &str,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    let prose = |name: &str| {
        let name = format!("man-src/{name}.md");
        filled(&read(&name)?, settings).map_err(|error| format!("{name}: {error}"))
    };
    let common = prose("common")?;
    for (mut command, section) in [
        (cli::sysmgr::command(settings), "8"),
        (cli::runsyssv::command(settings), "1"),
        (cli::svctl::command(settings), "1"),
        (cli::depends::command(settings), "1"),
    ] {
        command.build();
        let name = command.get_name().to_owned();
        let prose = prose(&name)?;
        let page = manual::Page { command: &command, section, date, prose: &prose, common: &common };
        let text = page.render().map_err(|error| format!("man-src/{name}.md: {error}"))?;
        files.push((format!("{name}.{section}"), text));
        files.extend(completions::files(&command, settings, &|part| read(&format!("completions/{part}")))?);
    }
    Ok(files)
}

/// Prose with the settings filled in: `{{key}}`, for times also `{{key:time}}` and `{{key:range}}`.
fn filled(text: &str, settings: &Settings) -> Result<String, String> {
    placeholder::fill(text, |name| {
        let (key, form) = name.split_once(':').unwrap_or((name, ""));
        let entry = entries(settings).into_iter().find(|(other, _)| *other == key)?.1;
        match (entry, form) {
            (Entry::Text(text), "") => Some(text.to_owned()),
            (Entry::Number(number), "") => Some(number.to_string()),
            (Entry::Number(1000), "time") => Some(String::from("1 second")),
            (Entry::Number(number), "time") => Some(format!("{} seconds", cli::in_seconds(number))),
            (Entry::Number(_), "range") => {
                let time = TIMES.iter().find(|time| time.key == key)?;
                Some(format!("{} to {}", time.least, time.most))
            }
            (Entry::Flag(flag), "") => Some(flag.to_string()),
            _ => None,
        }
    })
}
