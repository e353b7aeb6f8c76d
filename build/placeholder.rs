//! Hand-written texts with `{{names}}` in them, for which the build knows the values.

/// The text with every `{{name}}` replaced by what `value` says.
///
/// # Errors
/// The name for which there is no value.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or_else(|| format!("{{{{{part}: }}}} is missing"))?;
        filled += &value(name).ok_or_else(|| format!("{{{{{name}}}}} is not known"))?;
        filled += rest;
    }
    Ok(filled)
}
