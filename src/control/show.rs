//! What svctl prints.

use std::fmt::Write as _;
use std::io::Write as _;

use super::outcome::Outcome;
use super::survey::Scene;
use super::{complain, complain_of};
use crate::cli::svctl::Request;
use crate::service::name::Name;

/// Says how services are.
pub fn status(scene: &Scene, names: &[&Name], all: bool, request: &Request) -> Vec<Outcome> {
    let managed = scene.is_managed();
    let views: Vec<_> = names.iter().map(|name| scene.view(name, managed)).collect();
    if !request.quiet {
        let mut text = String::new();
        for view in &views {
            let _ = writeln!(text, "{}", view.line());
        }
        print(&text);
        if !managed && !views.is_empty() {
            complain("sysmgr is not running");
        } else if views.is_empty() && all {
            complain("there are no services");
        }
    }
    let outcome = |up| if up { Outcome::Done } else { Outcome::Failed };
    views.iter().map(|view| outcome(view.condition().is_up())).collect()
}

/// Prints the process ids of services.
pub fn pids(scene: &Scene, names: &[&Name], quiet: bool) -> Vec<Outcome> {
    let mut text = String::new();
    let mut outcomes = Vec::new();
    for name in names {
        let view = scene.view(name, true);
        if let Some(main) = view.main {
            let _ = writeln!(text, "{}", main.process.pid);
            outcomes.push(Outcome::Done);
        } else {
            if !quiet {
                complain_of(name, &"it has no process");
            }
            outcomes.push(Outcome::Failed);
        }
    }
    print(&text);
    outcomes
}

/// Writes to standard output. Whoever reads it may have gone, as head(1) does: that is no fault.
pub fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
