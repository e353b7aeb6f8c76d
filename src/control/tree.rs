//! The learned dependencies, drawn as a tree.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::words::list;
use crate::depends::graph::Graph;
use crate::service::name::Name;

/// Those that nobody waits for, but that wait themselves; and one of each circle that would not be
/// seen otherwise.
#[must_use]
pub fn roots(graph: &Graph) -> Vec<Name> {
    let needed: BTreeSet<&Name> = graph.all().into_iter().flat_map(|name| graph.needs(name)).collect();
    let mut roots: Vec<Name> = graph.all().into_iter().filter(|name| !needed.contains(name)).cloned().collect();
    let mut seen = BTreeSet::new();
    for root in &roots {
        reach(graph, root, &mut seen);
    }
    for name in graph.all() {
        if !seen.contains(name) {
            roots.push(name.clone());
            reach(graph, name, &mut seen);
        }
    }
    roots
}

fn reach<'g>(graph: &'g Graph, from: &Name, seen: &mut BTreeSet<&'g Name>) {
    let mut open: Vec<&Name> = graph.all().get(from).copied().into_iter().collect();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(graph.needs(name));
        }
    }
}

/// Draws what `root` has waited for, and what that has waited for, each with a word on its state if
/// `state` has one. What was drawn before is not drawn again.
#[must_use]
pub fn draw(graph: &Graph, root: &Name, state: impl Fn(&Name) -> Option<String>) -> String {
    let mut text = String::new();
    let mut drawn = BTreeSet::new();
    // each with what stands before it, what stands before those below it, and the way to it
    let mut open = vec![(root.clone(), String::new(), String::new(), Vec::<Name>::new())];
    while let Some((name, before, below, way)) = open.pop() {
        let needs: Vec<&Name> = graph.needs(&name).collect();
        let mut notes: Vec<String> = state(&name).into_iter().collect();
        let in_circle = way.iter().position(|above| *above == name);
        if let Some(at) = in_circle {
            let circle: Vec<String> = way[at..].iter().chain([&name]).map(ToString::to_string).collect();
            notes.push(format!("a circle: {}", circle.join(" -> ")));
        } else if !needs.is_empty() && !drawn.insert(name.clone()) {
            notes.push("see above".to_owned());
        } else {
            let mut way = way;
            way.push(name.clone());
            for (place, other) in needs.iter().enumerate().rev() {
                let (branch, trunk) = if place + 1 == needs.len() { ("`- ", "   ") } else { ("|- ", "|  ") };
                open.push(((*other).clone(), format!("{below}{branch}"), format!("{below}{trunk}"), way.clone()));
            }
        }
        if before.is_empty() {
            let needed_by: Vec<String> = graph.needed_by(&name).map(ToString::to_string).collect();
            if !needed_by.is_empty() && in_circle.is_none() {
                notes.push(format!("needed by {}", list(&needed_by)));
            }
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        let _ = writeln!(text, "{before}{name}{notes}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Graph, Name, draw, roots};
    use std::ffi::OsStr;

    fn name(text: &str) -> Name {
        Name::new(OsStr::new(text)).expect("a name from a test")
    }

    fn graph(edges: &str) -> Graph {
        let mut graph = Graph::default();
        for (a, b) in edges.split_whitespace().filter_map(|edge| edge.split_once('>')) {
            graph.insert(name(a), [name(b)]);
        }
        graph
    }

    fn drawn(edges: &str, root: &str) -> String {
        draw(&graph(edges), &name(root), |name| (name.as_bytes() == b"db").then(|| "down".to_owned()))
    }

    #[test]
    fn a_tree_with_what_is_down() {
        let expected = "\
app
|- cache
`- web
   `- db (down)
";
        assert_eq!(drawn("app>web app>cache web>db", "app"), expected);
        assert_eq!(drawn("app>web web>db", "db"), "db (down, needed by web)\n");
        assert_eq!(drawn("", "x"), "x\n");
    }

    #[test]
    fn what_two_need_is_drawn_once() {
        let expected = "\
app
|- api
|  `- lib
|     `- db (down)
`- web
   `- lib (see above)
";
        assert_eq!(drawn("app>web app>api web>lib api>lib lib>db", "app"), expected);
    }

    #[test]
    fn a_circle_is_named_in_full() {
        let text = drawn("a>b b>c c>a", "a");
        assert!(text.contains("`- a (a circle: a -> b -> c -> a)"), "{text}");
        let found = roots(&graph("a>b b>c c>a x>y"));
        assert_eq!(found, [name("x"), name("a")]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<String> = (0..2000).map(|n| format!("s{n}>s{}", n + 1)).collect();
        assert_eq!(drawn(&edges.join(" "), "s0").lines().count(), 2001);
    }
}
