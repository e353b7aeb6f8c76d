//! The manuals: what clap knows of options, operations and operands, with the prose of `man-src/`.
//!
//! Rendered section by section, because clap_mangen's pages have operands among the options, no value
//! names in the synopsis, and refer to a page for each operation.

use crate::cli::svctl::{Entry, GROUPS};
use crate::prose::{self, Section};
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// The sections in their order. Those in capitals that clap knows are generated.
const ORDER: [&str; 15] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "COMMANDS",
    "OPERANDS",
    "SIGNALS",
    "ENVIRONMENT",
    "FILES",
    "EXIT STATUS",
    "EXAMPLES",
    "NOTES",
    "PORTABILITY",
    "SEE ALSO",
    "AUTHORS",
];

/// What a page is made of.
pub struct Page<'a> {
    /// The definition of the tool.
    pub command: &'a Command,
    /// The section of the manual: 1 or 8.
    pub section: &'a str,
    /// The release date.
    pub date: &'a str,
    /// The prose, with everything filled in.
    pub prose: &'a str,
    /// The prose that pages have in common.
    pub common: &'a str,
}

impl Page<'_> {
    /// The page as roff.
    ///
    /// # Errors
    /// What is missing, out of order, or unknown to clap.
    pub fn render(&self) -> Result<String, String> {
        let prose = prose::sections(self.prose)?;
        let common = prose::sections(self.common)?;
        check_order(&prose)?;

        let mut roff = Roff::new();
        // even gaps; names would be torn apart
        roff.control("ad", ["l"]);
        for title in ORDER {
            let own = prose.iter().find(|section| section.title == title);
            let shared = common.iter().find(|section| section.title == title);
            match title {
                "SYNOPSIS" => self.synopsis(&mut roff),
                "OPTIONS" => self.options(&mut roff, own, shared)?,
                "COMMANDS" => self.commands(&mut roff, own)?,
                "OPERANDS" => self.operands(&mut roff, own, shared)?,
                _ => {
                    if let Some(section) = own.or(shared) {
                        roff.control("SH", [title]);
                        prose::render(&mut roff, &section.lines, false);
                    }
                }
            }
        }
        Ok(format!("{}{}", self.title()?, prose::escaped(&roff.to_roff())))
    }

    fn title(&self) -> Result<String, String> {
        let manual = if self.section == "8" { "System Manager's Manual" } else { "User Commands" };
        let name = self.command.get_name();
        let version = self.command.get_version().unwrap_or_default();
        let mut title = Vec::new();
        Man::new(self.command.clone())
            .title(name.to_uppercase())
            .section(self.section)
            .date(self.date)
            .source(format!("sysmgr {version}"))
            .manual(manual)
            .render_title(&mut title)
            .map_err(|error| error.to_string())?;
        String::from_utf8(title).map_err(|error| error.to_string())
    }

    fn synopsis(&self, roff: &mut Roff) {
        roff.control("SH", ["SYNOPSIS"]);
        let name = self.command.get_name();
        let mut line = vec![bold(name)];
        for option in options(self.command) {
            line.push(roman(" ["));
            line.extend(option_name(option, "|"));
            line.push(roman("]"));
            if matches!(option.get_action(), clap::ArgAction::Append) {
                line.push(roman("..."));
            }
        }
        if self.command.has_subcommands() {
            line.extend([roman(" ["), italic("OPERATION"), roman(" ["), italic("SERVICE"), roman("]...]")]);
        }
        for operand in self.command.get_positionals() {
            line.extend([roman(" "), italic(value_name(operand))]);
            if operand.get_num_args().is_some_and(|number| number.max_values() > 1) {
                line.push(roman("..."));
            }
        }
        roff.text(line);
        roff.control("br", []);
        roff.text([bold(name), roman(" "), bold("--help"), roman("|"), bold("--version")]);
    }

    fn options(&self, roff: &mut Roff, own: Option<&Section>, shared: Option<&Section>) -> Result<(), String> {
        let mut words = Words::new("OPTIONS", own, shared)?;
        roff.control("SH", ["OPTIONS"]);
        let mut options: Vec<&Arg> = self.command.get_arguments().filter(|arg| !arg.is_positional()).collect();
        options.sort_by_key(|option| option.get_display_order());
        for option in options {
            let key = format!("--{}", option.get_long().unwrap_or_default());
            roff.control("TP", []);
            roff.text(option_name(option, ", "));
            prose::render(roff, &words.take(&key)?, true);
        }
        words.finish()
    }

    fn commands(&self, roff: &mut Roff, own: Option<&Section>) -> Result<(), String> {
        let mut words = Words::new("COMMANDS", own, None)?;
        if self.command.has_subcommands() {
            roff.control("SH", ["COMMANDS"]);
            for (title, entries) in &GROUPS {
                roff.control("SS", [*title]);
                for entry in *entries {
                    roff.control("TP", []);
                    roff.text(operation(entry));
                    prose::render(roff, &words.take(entry.name)?, true);
                }
            }
        }
        words.finish()
    }

    fn operands(&self, roff: &mut Roff, own: Option<&Section>, shared: Option<&Section>) -> Result<(), String> {
        let mut words = Words::new("OPERANDS", own, shared)?;
        // those of the operations too, each once
        let commands = std::iter::once(self.command).chain(self.command.get_subcommands());
        let mut names: Vec<&str> = commands.flat_map(Command::get_positionals).map(value_name).collect();
        names.sort_unstable_by_key(|name| std::cmp::Reverse(*name));
        names.dedup();
        if !names.is_empty() {
            roff.control("SH", ["OPERANDS"]);
        }
        for name in names {
            roff.control("TP", []);
            roff.text([italic(name)]);
            prose::render(roff, &words.take(name)?, true);
        }
        words.finish()
    }
}

/// What the prose says of things that clap lists: each one, and nothing else.
struct Words<'a> {
    title: &'static str,
    own: Vec<(&'a str, Vec<&'a str>)>,
    shared: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Words<'a> {
    fn new(title: &'static str, own: Option<&Section<'a>>, shared: Option<&Section<'a>>) -> Result<Self, String> {
        let read = |section: Option<&Section<'a>>| section.map_or(Ok(Vec::new()), prose::definitions);
        Ok(Self { title, own: read(own)?, shared: read(shared)? })
    }

    fn take(&mut self, key: &str) -> Result<Vec<&'a str>, String> {
        if let Some(index) = self.own.iter().position(|(term, _)| *term == key) {
            return Ok(self.own.remove(index).1);
        }
        let shared = self.shared.iter().find(|(term, _)| *term == key);
        shared.map(|(_, lines)| lines.clone()).ok_or_else(|| format!("{}: nothing is said of {key}", self.title))
    }

    fn finish(self) -> Result<(), String> {
        match self.own.first() {
            Some((term, _)) => Err(format!("{}: there is no {term}", self.title)),
            None => Ok(()),
        }
    }
}

fn check_order(prose: &[Section]) -> Result<(), String> {
    let mut places = Vec::new();
    for section in prose {
        let place = ORDER.iter().position(|title| *title == section.title);
        places.push(place.ok_or_else(|| format!("there is no section {}", section.title))?);
    }
    if places.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err(format!("the sections must come in this order: {}", ORDER.join(", ")))
    }
}

/// The options of the synopsis, which has a line of its own for help and version.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let general = |arg: &&Arg| matches!(arg.get_id().as_str(), "help" | "version");
    command.get_arguments().filter(|arg| !arg.is_positional()).filter(move |arg| !general(arg))
}

fn option_name(option: &Arg, between: &str) -> Vec<Inline> {
    let short = option.get_short().map(|short| bold(format!("-{short}")));
    let long = option.get_long().map(|long| bold(format!("--{long}")));
    let mut name = Vec::new();
    for part in [short, long].into_iter().flatten() {
        if !name.is_empty() {
            name.push(roman(between));
        }
        name.push(part);
    }
    if option.get_action().takes_values() {
        name.extend([roman(" "), italic(value_name(option))]);
    }
    name
}

fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map_or(arg.get_id().as_str(), |name| name.as_str())
}

fn operation(entry: &Entry) -> Vec<Inline> {
    let mut line = vec![bold(entry.name)];
    if let Some(alias) = entry.alias {
        line.extend([roman(", "), bold(alias)]);
    }
    line.extend([roman(" "), italic(entry.operand_usage())]);
    line
}
