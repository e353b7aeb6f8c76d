//! What svctl prints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::io::Write as _;

use super::json;
use super::outcome::Outcome;
use super::report::View;
use super::survey::Scene;
use super::table::{Style, table};
use super::{complain, complain_of, tree, why};
use crate::cli::svctl::Request;
use crate::depends::graph::Graph;
use crate::depends::others;
use crate::service::errno;
use crate::service::name::Name;
use crate::sys::terminal;

/// In which form the status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line a service, for people and scripts.
    Lines,
    /// Columns, for a terminal.
    Table(Style),
    /// For programs: over several lines, or one.
    Json(bool),
}

impl Form {
    /// The form that is asked for, and that standard output wants.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        if request.json {
            return Self::Json(!request.watch);
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        let colour = set("NO_COLOR").is_none() && !dumb;
        match terminal::size() {
            // what moves the cursor would be shown as rubbish there
            Some(_) if request.watch && dumb => Self::Lines,
            // a line that ended in the last column would be cleared there
            Some((width, _)) if request.watch => {
                Self::Table(Style { width: width.saturating_sub(1), colour, cut: true })
            }
            Some((width, _)) => Self::Table(Style { width, colour, cut: false }),
            None => Self::Lines,
        }
    }

    /// The services in this form.
    #[must_use]
    pub fn show(self, scene: &Scene, views: &[View]) -> String {
        match self {
            Self::Lines => views.iter().map(|view| view.line() + "\n").collect(),
            Self::Table(style) => table(views, style),
            Self::Json(pretty) => json::array(views, |view| depends(scene, view), pretty),
        }
    }
}

fn depends(scene: &Scene, view: &View) -> Vec<String> {
    let recorded = scene.dir(&view.name).map_or_else(Vec::new, |dir| others::recorded(&dir));
    recorded.iter().map(ToString::to_string).collect()
}

/// Says how services are.
pub fn status(scene: &Scene, names: &[&Name], all: bool, request: &Request) -> Vec<Outcome> {
    let managed = scene.is_managed();
    let views = scene.views(names, managed);
    let mut outcomes: Vec<Outcome> = views.iter().map(outcome).collect();
    if !request.quiet {
        outcomes.extend(print(&Form::of(request).show(scene, &views)));
        if views.is_empty() && all && !request.json {
            complain(&format!("there are no services in {}", scene.dirs.sysdir.display()));
        }
        if !request.json && (all || !views.is_empty()) {
            scene.ailing().inspect(|ailing| complain(ailing));
        }
    }
    outcomes
}

/// What the exit code says of a service that was asked about.
fn outcome(view: &View) -> Outcome {
    if view.condition().is_up() { Outcome::Done } else { Outcome::Failed }
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
    if !quiet {
        outcomes.extend(print(&text));
    }
    outcomes
}

/// Says why services are as they are.
pub fn why(scene: &Scene, names: &[&Name], quiet: bool) -> Vec<Outcome> {
    let graph = learned(scene);
    let managed = scene.is_managed();
    let mut views: BTreeMap<Name, View> = BTreeMap::new();
    let mut open: Vec<Name> = names.iter().map(|name| (*name).clone()).collect();
    while let Some(name) = open.pop() {
        if let Entry::Vacant(place) = views.entry(name) {
            let view = scene.view(place.key(), managed);
            open.extend(why::causes(&view, &graph));
            place.insert(view);
        }
    }
    let mut outcomes: Vec<Outcome> = names.iter().filter_map(|name| views.get(*name)).map(outcome).collect();
    if !quiet {
        let text: String = names.iter().map(|name| why::explain(name, &views, &graph)).collect();
        outcomes.extend(print(&text));
        scene.ailing().filter(|_| !names.is_empty()).inspect(|ailing| complain(ailing));
    }
    outcomes
}

/// Draws the learned dependencies.
pub fn deps(scene: &Scene, names: &[&Name], all: bool) -> Vec<Outcome> {
    let graph = learned(scene);
    let roots = if all { tree::roots(&graph) } else { names.iter().map(|name| (*name).clone()).collect() };
    if roots.is_empty() {
        complain("no service has waited for another yet, in sysmgr-depends");
    }
    let managed = scene.is_managed();
    let state = |name: &Name| scene.lack(name, managed).map(str::to_owned);
    let text: String = roots.iter().map(|root| tree::draw(&graph, root, state)).collect();
    print(&text).into_iter().collect()
}

/// Who is known to wait for whom.
fn learned(scene: &Scene) -> Graph {
    scene.rundir.as_ref().map_or_else(Graph::default, others::all)
}

/// Writes to standard output; gives what went wrong. Whoever reads it may have gone, as head(1) does:
/// that is no fault.
fn print(text: &str) -> Option<Outcome> {
    let mut out = std::io::stdout();
    let error = out.write_all(text.as_bytes()).and_then(|()| out.flush()).err()?;
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return None;
    }
    let reason = error.raw_os_error().map_or_else(String::new, errno::words);
    complain(&format!("cannot write to standard output: {reason}"));
    Some(Outcome::Failed)
}
