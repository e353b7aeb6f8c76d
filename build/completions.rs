//! The completions for bash, zsh and fish: what clap generates of options and operations, and the names of
//! services, by the scripts of `completions/`.

use crate::cli::svctl::{GROUPS, Operation};
use crate::placeholder::fill;
use crate::settings::Settings;
use clap::Command;
use clap_complete::{Shell, generate};

/// Reads a hand-written part by its name.
type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Signals that services are sent.
const SIGNALS: &str = "HUP INT QUIT KILL USR1 USR2 ALRM TERM CONT STOP TSTP WINCH";

/// Which services make sense after an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    Stopped,
    Running,
    /// After a signal.
    Signalled,
}

fn kind(operation: Operation) -> Kind {
    match operation {
        Operation::Start | Operation::Once => Kind::Stopped,
        Operation::Stop | Operation::TryRestart | Operation::Kill | Operation::Reload | Operation::Pid => Kind::Running,
        Operation::Restart | Operation::Status | Operation::Why | Operation::Deps => Kind::All,
        Operation::Signal => Kind::Signalled,
    }
}

fn operations(wanted: Kind) -> Vec<&'static str> {
    let entries = GROUPS.iter().flat_map(|group| group.1);
    entries
        .filter(|entry| kind(entry.operation) == wanted)
        .flat_map(|entry| [Some(entry.name), entry.alias])
        .flatten()
        .collect()
}

/// The completions of a tool: names of files and what is in them.
///
/// # Errors
/// What is missing, or does not fit what clap generates.
pub fn files(command: &Command, settings: &Settings, read: Read) -> Result<[(String, String); 3], String> {
    let tool = command.get_name();
    Ok([
        (format!("{tool}.bash"), bash(command, settings, read)?),
        (format!("_{tool}"), zsh(command, settings, read)?),
        (format!("{tool}.fish"), fish(command, settings, read)?),
    ])
}

fn bash(command: &Command, settings: &Settings, read: Read) -> Result<String, String> {
    let mut script = generated(Shell::Bash, command)?;
    if let Some(operand) = operand_script(command, "bash") {
        for name in ["services.bash", &operand] {
            script.push_str(&filled(&read(name)?, command, settings, "|")?);
        }
    }
    Ok(script)
}

fn fish(command: &Command, settings: &Settings, read: Read) -> Result<String, String> {
    let mut script = generated(Shell::Fish, command)?;
    if let Some(operand) = operand_script(command, "fish") {
        for name in ["services.fish", &operand] {
            script.push_str(&filled(&read(name)?, command, settings, " ")?);
        }
    }
    Ok(script)
}

/// In zsh the operands are part of what clap generates, with nothing to complete them.
fn zsh(command: &Command, settings: &Settings, read: Read) -> Result<String, String> {
    let script = generated(Shell::Zsh, command)?;
    if operand_script(command, "zsh").is_none() {
        return Ok(script);
    }
    let mut wanted = Kind::All;
    let mut lines = Vec::new();
    let (mut head, mut operands) = (false, 0);
    for line in script.lines() {
        let name = line.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let entries = GROUPS.iter().flat_map(|group| group.1);
        if let Some(entry) =
            entries.clone().find(|entry| name == Some(entry.name) || entry.alias == name && name.is_some())
        {
            wanted = kind(entry.operation);
        }
        if line == "autoload -U is-at-least" {
            lines.push(format!("{line}\n{}", filled(&read("services.zsh")?, command, settings, "|")?));
        } else if line.ends_with("typeset -A opt_args") && !head {
            // what follows changes words
            head = true;
            lines.push(format!("    local -a sysmgr_words=(\"${{words[@]}}\")\n{line}"));
        } else if let Some(start) = line.strip_suffix(":' \\").filter(|line| line.contains(":service -- ")) {
            operands += 1;
            let kind = match wanted {
                Kind::All => "all",
                Kind::Stopped => "stopped",
                Kind::Running | Kind::Signalled => "running",
            };
            // the blank keeps _arguments from putting words of its own before it
            lines.push(format!("{start}: _sysmgr_services {kind}' \\"));
        } else if let Some(start) = line.strip_suffix(":' \\").filter(|line| line.contains(":signal -- ")) {
            lines.push(format!("{start}:_signals -s' \\"));
        } else {
            lines.push(line.to_owned());
        }
    }
    if !head || operands == 0 {
        return Err(String::from("the zsh completion of clap has changed: build/completions.rs must follow"));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// Which script completes the operands of a tool, if it has any.
fn operand_script(command: &Command, shell: &str) -> Option<String> {
    match command.get_name() {
        "svctl" => Some(format!("svctl.{shell}")),
        _ if command.get_positionals().next().is_some() => Some(format!("operand.{shell}")),
        _ => None,
    }
}

fn generated(shell: Shell, command: &Command) -> Result<String, String> {
    let mut script = Vec::new();
    generate(shell, &mut command.clone(), command.get_name(), &mut script);
    String::from_utf8(script).map_err(|_| String::from("a completion is not UTF-8"))
}

/// The script with its placeholders filled in; `or` goes between the names of operations.
fn filled(script: &str, command: &Command, settings: &Settings, or: &str) -> Result<String, String> {
    let tool = command.get_name();
    // as clap names its functions
    let function = if or == "|" { tool.replace('-', "__") } else { tool.replace('-', "_") };
    fill(script, |name| {
        Some(match name {
            "tool" => tool.to_owned(),
            "function" => function.clone(),
            // config.toml allows nothing in directories that means something between these quotes
            "service_dir" => format!("'{}'", settings.service_dir),
            "run_dir" => format!("'{}'", settings.run_dir),
            "all" => operations(Kind::All).join(or),
            "stopped" => operations(Kind::Stopped).join(or),
            "running" => operations(Kind::Running).join(or),
            "signals" => SIGNALS.to_owned(),
            _ => return None,
        })
    })
}
