//! The form in which the prose of the manuals is written, and its way to roff(7).
//!
//! A small part of Markdown: `# SECTION`, `## Subsection`, paragraphs, `- items`, blocks of code indented by four,
//! and lists of definitions, where `: ` begins the definition below its term. What belongs to an item or
//! definition is indented by two. In a line, `` `this` `` is typed as it stands (bold) and `*this*` stands for
//! something else (italic).

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// A section: its title and lines.
pub struct Section<'a> {
    /// What follows `# `.
    pub title: &'a str,
    /// The lines below it.
    pub lines: Vec<&'a str>,
}

/// The sections of a text.
///
/// # Errors
/// What stands before the first one, or what cannot be in a manual.
pub fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections: Vec<Section> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| Err(format!("line {}: {what}", number + 1));
        if !line.is_ascii() || line.contains('\t') {
            return wrong("only ASCII, and no tabs");
        }
        if line.ends_with(' ') {
            return wrong("a blank at the end");
        }
        if let Some(title) = line.strip_prefix("# ") {
            sections.push(Section { title, lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        } else if !line.is_empty() {
            return wrong("stands before the first section");
        }
    }
    Ok(sections)
}

/// The definitions of a section that holds nothing else: terms, each with its lines.
///
/// # Errors
/// The line that belongs to no definition.
pub fn definitions<'a>(section: &Section<'a>) -> Result<Vec<(&'a str, Vec<&'a str>)>, String> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for (index, line) in section.lines.iter().enumerate() {
        let next = section.lines.get(index + 1).copied().unwrap_or_default();
        if next.starts_with(": ") {
            found.push((line, Vec::new()));
        } else if let Some((_, body)) = found.last_mut() {
            body.push(line.strip_prefix(": ").or(line.strip_prefix("  ")).unwrap_or(line));
        } else if !line.is_empty() {
            return Err(format!("{}: '{line}' belongs to no definition", section.title));
        }
    }
    Ok(found)
}

/// Appends lines as roff; `inside` what an item or definition holds.
pub fn render(roff: &mut Roff, lines: &[&str], inside: bool) {
    // What the next line of text needs before it.
    let mut pending = Break::Begin;
    let mut indented = inside;
    let mut index = 0;
    while let Some(line) = lines.get(index).copied() {
        index += 1;
        let next = lines.get(index).copied().unwrap_or_default();
        let depth = if indented && !inside { 6 } else { 4 };
        if line.is_empty() {
            pending = pending.or(Break::Paragraph);
        } else if let Some(title) = line.strip_prefix("## ") {
            roff.control("SS", [title]);
            (pending, indented) = (Break::Begin, inside);
        } else if is_code(line, depth) {
            let block = code_block(&lines[index - 1..], depth);
            index += block.len() - 1;
            code(roff, &block, depth, pending, indented);
            pending = Break::Text;
        } else if next.starts_with(": ") {
            roff.control("TP", []);
            roff.text(inlines(line));
            (pending, indented) = (Break::None, true);
        } else if let Some(text) = line.strip_prefix(": ") {
            roff.text(inlines(text));
        } else if let Some(text) = line.strip_prefix("- ") {
            roff.control("IP", ["\\(bu", "2"]);
            roff.text(inlines(text));
            (pending, indented) = (Break::None, true);
        } else {
            let text = line.strip_prefix("  ");
            if text.is_none() && !inside && pending.parts() {
                indented = false;
            }
            match pending {
                Break::Begin | Break::None => {}
                Break::Text | Break::Paragraph if indented => _ = roff.control("IP", []),
                Break::Text | Break::Paragraph => _ = roff.control("PP", []),
            }
            roff.text(inlines(text.unwrap_or(line)));
            pending = Break::None;
        }
    }
}

/// What stands between two pieces of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    /// Nothing: a heading is before it.
    Begin,
    /// Nothing: it goes on.
    None,
    /// A block of code ended.
    Text,
    /// An empty line.
    Paragraph,
}

impl Break {
    fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }

    fn parts(self) -> bool {
        matches!(self, Self::Text | Self::Paragraph)
    }
}

fn is_code(line: &str, depth: usize) -> bool {
    line.len() > depth && line.bytes().take(depth).all(|b| b == b' ')
}

/// The lines of a block of code at the beginning of `lines`, with the empty lines in it.
fn code_block<'a>(lines: &[&'a str], depth: usize) -> Vec<&'a str> {
    let mut block: Vec<&str> =
        lines.iter().copied().take_while(|line| line.is_empty() || is_code(line, depth)).collect();
    while block.last().is_some_and(|line| line.is_empty()) {
        block.pop();
    }
    block
}

fn code(roff: &mut Roff, block: &[&str], depth: usize, pending: Break, indented: bool) {
    if pending.parts() {
        if indented {
            roff.control("IP", []);
        } else {
            roff.control("PP", []);
        }
    }
    if !indented {
        roff.control("RS", ["4"]);
    }
    roff.control("EX", []);
    for line in block {
        roff.text([roman(line.get(depth..).unwrap_or_default())]);
    }
    roff.control("EE", []);
    if !indented {
        roff.control("RE", []);
    }
}

/// A line with its bold and italic parts. Without its partner a sign stands for itself.
pub fn inlines(line: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(['`', '*']) {
        let sign = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(sign).filter(|length| *length > 0) else { break };
        if start > 0 {
            parts.push(roman(&rest[..start]));
        }
        let inner = &rest[start + 1..start + 1 + length];
        parts.push(if sign == "`" { bold(inner) } else { italic(inner) });
        rest = &rest[start + length + 2..];
    }
    if !rest.is_empty() {
        parts.push(roman(rest));
    }
    parts
}

/// Roff source as it goes to the file: signs that groff would print as others are named.
pub fn escaped(source: &str) -> String {
    // the roff crate writes a backslash as two
    let mut text = source.replace(r"\\", r"\e");
    // what is bold or italic is a name, which is not to be hyphenated
    for font in [r"\fB", r"\fI"] {
        text = text.replace(font, &format!(r"{font}\%"));
    }
    for (sign, name) in [("'", r"\(aq"), ("`", r"\(ga"), ("~", r"\(ti"), ("^", r"\(ha")] {
        text = text.replace(sign, name);
    }
    text
}
