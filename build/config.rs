//! Reads and checks `config.toml` and the file that overlays it.
//!
//! Types are checked here rather than by serde, so that each message can say what the key takes.

use crate::settings::{self, Settings, Time};
use serde::Deserialize;
use std::{borrow::Cow, fmt::Write, fs, path::Path};
use toml::Value;

/// One file as it stands. The keys that it may hold are those of this list, and no others.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    service_dir: Option<Value>,
    run_dir: Option<Value>,
    prefix: Option<Value>,
    bin_dir: Option<Value>,
    man_dir: Option<Value>,
    restart_delay_ms: Option<Value>,
    restart_delay_max_ms: Option<Value>,
    stable_after_ms: Option<Value>,
    stop_timeout_ms: Option<Value>,
    shutdown_timeout_ms: Option<Value>,
    settle_ms: Option<Value>,
    rescan_ms: Option<Value>,
    owner_check: Option<Value>,
}

/// A value and the file that it came from, for messages.
struct Found<'a, T> {
    value: T,
    file: &'a Path,
}

/// A layer of the configuration: a file's name and what it holds.
type Layer<'a> = (&'a Path, File);

/// The settings of `root`, with those of `overlay` over them.
///
/// # Errors
/// A sentence that names the file, the key, what is wrong with it, and what would be right.
pub fn load(root: &Path, overlay: Option<&Path>) -> Result<Settings, String> {
    let mut layers = Vec::new();
    if let Some(overlay) = overlay {
        if !overlay.is_absolute() {
            let shown = overlay.display();
            return Err(format!(
                "SYSMGR_CONFIG={shown}: must be an absolute path, as in SYSMGR_CONFIG=\"$PWD/{shown}\""
            ));
        }
        layers.push((overlay, read(overlay)?));
    }
    layers.push((root, read(root)?));
    settings(&layers)
}

fn settings(layers: &[Layer]) -> Result<Settings, String> {
    let prefix = directory(layers, "prefix", |f| f.prefix.as_ref())?;
    let below = |rest: &str| format!("{}/{rest}", prefix.value.trim_end_matches('/'));
    let installed = |key, value: fn(&File) -> Option<&Value>, rest| match directory(layers, key, value) {
        Err(Wrong::Missing(_)) => Ok(below(rest)),
        Err(Wrong::Value(message)) => Err(message),
        Ok(directory) => Ok(directory.value),
    };
    let bin_dir = installed("bin_dir", |f| f.bin_dir.as_ref(), "bin")?;
    let man_dir = installed("man_dir", |f| f.man_dir.as_ref(), "share/man")?;

    let service_dir = directory(layers, "service_dir", |f| f.service_dir.as_ref())?;
    let run_dir = directory(layers, "run_dir", |f| f.run_dir.as_ref())?;
    if service_dir.value == run_dir.value {
        return Err(format!(
            "{}: run_dir = \"{}\" is the service directory too (service_dir in {}): they must be two",
            run_dir.file.display(),
            run_dir.value,
            service_dir.file.display()
        ));
    }

    let delay = time(layers, settings::RESTART_DELAY, |f| f.restart_delay_ms.as_ref())?;
    let longest = time(layers, settings::RESTART_DELAY_MAX, |f| f.restart_delay_max_ms.as_ref())?;
    if longest.value < delay.value {
        return Err(format!(
            "{}: restart_delay_max_ms = {} is less than restart_delay_ms = {} (in {}): it must be at least that",
            longest.file.display(),
            longest.value,
            delay.value,
            delay.file.display()
        ));
    }

    Ok(Settings {
        service_dir: Cow::Owned(service_dir.value),
        run_dir: Cow::Owned(run_dir.value),
        prefix: Cow::Owned(prefix.value),
        bin_dir: Cow::Owned(bin_dir),
        man_dir: Cow::Owned(man_dir),
        restart_delay_ms: delay.value,
        restart_delay_max_ms: longest.value,
        stable_after_ms: time(layers, settings::STABLE_AFTER, |f| f.stable_after_ms.as_ref())?.value,
        stop_timeout_ms: time(layers, settings::STOP_TIMEOUT, |f| f.stop_timeout_ms.as_ref())?.value,
        shutdown_timeout_ms: time(layers, settings::SHUTDOWN_TIMEOUT, |f| f.shutdown_timeout_ms.as_ref())?.value,
        settle_ms: time(layers, settings::SETTLE, |f| f.settle_ms.as_ref())?.value,
        rescan_ms: time(layers, settings::RESCAN, |f| f.rescan_ms.as_ref())?.value,
        owner_check: flag(layers, settings::OWNER_CHECK_KEY, |f| f.owner_check.as_ref())?,
    })
}

fn read(path: &Path) -> Result<File, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let number = before.matches('\n').count();
        let line = text.lines().nth(number).unwrap_or_default().trim();
        format!("{}: line {}, {line}: {}", path.display(), number + 1, error.message().trim_end())
    })
}

/// What can be wrong with a key.
enum Wrong {
    /// It is in no file.
    Missing(String),
    /// It has a value that it cannot have.
    Value(String),
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Missing(message) | Wrong::Value(message) => message,
        }
    }
}

fn find<'a>(layers: &'a [Layer], key: &str, value: fn(&File) -> Option<&Value>) -> Result<Found<'a, &'a Value>, Wrong> {
    for (file, contents) in layers {
        if let Some(value) = value(contents) {
            return Ok(Found { value, file });
        }
    }
    let root = layers.last().map_or(Path::new("config.toml"), |l| l.0).display();
    Err(Wrong::Missing(format!("{root}: {key} is missing: only bin_dir and man_dir may be left out")))
}

fn directory<'a>(
    layers: &'a [Layer],
    key: &str,
    value: fn(&File) -> Option<&Value>,
) -> Result<Found<'a, String>, Wrong> {
    let Found { value, file } = find(layers, key, value)?;
    let wrong = |what: &str| {
        let shown = show(value);
        Wrong::Value(format!("{}: {key} = {shown} {what}, as in {key} = \"/some/directory\"", file.display()))
    };
    let Value::String(text) = value else {
        return Err(wrong("is no string: it takes an absolute directory"));
    };
    if !text.starts_with('/') {
        return Err(wrong("is not absolute: the directory must begin with a slash"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@:,=~% ".contains(&b);
    if !text.bytes().all(plain) {
        return Err(wrong("must be of letters, digits, blanks and the signs / . _ - + @ : , = ~ % (ASCII)"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(wrong("holds \"..\": the directory must be written without"));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() && key != "prefix" {
        return Err(wrong("is the root directory: it takes a directory below it"));
    }
    Ok(Found { value: format!("/{}", parts.join("/")), file })
}

fn time<'a>(layers: &'a [Layer], time: Time, value: fn(&File) -> Option<&Value>) -> Result<Found<'a, u32>, String> {
    let Time { key, least, most, .. } = time;
    let Found { value, file } = find(layers, key, value)?;
    let wrong = |what: &str| {
        let shown = show(value);
        format!(
            "{}: {key} = {shown} {what}: it takes milliseconds, a whole number from {least} to {most}",
            file.display()
        )
    };
    let Value::Integer(number) = value else {
        return Err(wrong("is no whole number"));
    };
    match u32::try_from(*number) {
        Ok(number) if (least..=most).contains(&number) => Ok(Found { value: number, file }),
        _ => Err(wrong("is out of range")),
    }
}

fn flag(layers: &[Layer], key: &str, value: fn(&File) -> Option<&Value>) -> Result<bool, String> {
    let Found { value, file } = find(layers, key, value)?;
    match value {
        Value::Boolean(flag) => Ok(*flag),
        other => Err(format!("{}: {key} = {} is neither true nor false (without quotes)", file.display(), show(other))),
    }
}

/// A value as somebody would have written it, on one line.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(_) => String::from("(a date)"),
        Value::Array(_) => String::from("[...]"),
        Value::Table(_) => String::from("{...}"),
    }
}

/// The settings as Rust source, for the executables.
#[must_use]
pub fn as_source(settings: &Settings) -> String {
    let mut source = String::from(
        "/// The settings that this build was configured with.\npub const BUILT_IN: Settings = Settings {\n",
    );
    for (key, value) in entries(settings) {
        let _ = match value {
            Entry::Text(text) => writeln!(source, "    {key}: Cow::Borrowed({text:?}),"),
            Entry::Number(number) => writeln!(source, "    {key}: {number},"),
            Entry::Flag(flag) => writeln!(source, "    {key}: {flag},"),
        };
    }
    source.push_str("};\n");
    source
}

/// The settings as lines of `config.toml`.
pub fn as_toml(settings: &Settings) -> impl Iterator<Item = String> {
    entries(settings).into_iter().map(|(key, value)| match value {
        Entry::Text(text) => format!("{key} = {text:?}"),
        Entry::Number(number) => format!("{key} = {number}"),
        Entry::Flag(flag) => format!("{key} = {flag}"),
    })
}

/// A value of one of the kinds that the configuration has.
pub enum Entry<'a> {
    /// A directory.
    Text(&'a str),
    /// A time.
    Number(u32),
    /// The owner check.
    Flag(bool),
}

/// All keys with their values, in the order of `config.toml`.
#[must_use]
pub fn entries(settings: &Settings) -> [(&'static str, Entry<'_>); 13] {
    [
        ("service_dir", Entry::Text(&settings.service_dir)),
        ("run_dir", Entry::Text(&settings.run_dir)),
        ("prefix", Entry::Text(&settings.prefix)),
        ("bin_dir", Entry::Text(&settings.bin_dir)),
        ("man_dir", Entry::Text(&settings.man_dir)),
        (settings::RESTART_DELAY.key, Entry::Number(settings.restart_delay_ms)),
        (settings::RESTART_DELAY_MAX.key, Entry::Number(settings.restart_delay_max_ms)),
        (settings::STABLE_AFTER.key, Entry::Number(settings.stable_after_ms)),
        (settings::STOP_TIMEOUT.key, Entry::Number(settings.stop_timeout_ms)),
        (settings::SHUTDOWN_TIMEOUT.key, Entry::Number(settings.shutdown_timeout_ms)),
        (settings::SETTLE.key, Entry::Number(settings.settle_ms)),
        (settings::RESCAN.key, Entry::Number(settings.rescan_ms)),
        (settings::OWNER_CHECK_KEY, Entry::Flag(settings.owner_check)),
    ]
}
