//! Who has waited for whom: the learned dependencies as a graph.
//!
//! What it is made from are files that anybody's script has had written: circles, services that do
//! not exist and chains of any length are all possible, and none may hang or end a reader. So
//! nothing here calls itself, and an order is always found: edges inside a circle don't count for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::service::name::Name;

/// The services that have waited, each with those that it has waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    edges: BTreeMap<Name, BTreeSet<Name>>,
}

/// The order in which services go when all are stopped: each when all that waited for it are gone;
/// those of one circle together, when all are gone that waited for any of them.
#[derive(Debug, Clone, Default)]
pub struct Departure {
    /// Those that have not gone, each with its set, and the sets that it needs.
    left: BTreeMap<Name, (usize, Vec<usize>)>,
    /// By its number, each set: by how many living services it is needed, and who is in it.
    sets: BTreeMap<usize, (usize, Vec<Name>)>,
}

impl Graph {
    /// Adds that `name` has waited for `others`.
    pub fn insert(&mut self, name: Name, others: impl IntoIterator<Item = Name>) {
        self.edges.entry(name).or_default().extend(others);
    }

    /// Whether it is known for whom `name` has waited, if only that it has for nobody.
    #[must_use]
    pub fn has(&self, name: &Name) -> bool {
        self.edges.contains_key(name)
    }

    /// Those that `name` has waited for.
    pub fn needs<'g>(&'g self, name: &Name) -> impl Iterator<Item = &'g Name> {
        self.edges.get(name).into_iter().flatten()
    }

    /// Those that have waited for `name`.
    pub fn needed_by<'g>(&'g self, name: &Name) -> impl Iterator<Item = &'g Name> {
        let name = name.clone();
        self.edges.iter().filter(move |(_, others)| others.contains(&name)).map(|(who, _)| who)
    }

    /// All that are in it, whether they wait or are waited for.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&Name> {
        self.edges.iter().flat_map(|(name, others)| others.iter().chain([name])).collect()
    }

    /// The shortest circle through `name`, if there is one: each waits for the next, the last for
    /// the first. `name` comes first, and once.
    #[must_use]
    pub fn circle(&self, name: &Name) -> Option<Vec<Name>> {
        let mut came_from: BTreeMap<&Name, &Name> = BTreeMap::new();
        let (own, _) = self.edges.get_key_value(name)?;
        let mut edge = vec![own];
        while !edge.is_empty() {
            let mut next = Vec::new();
            for at in edge {
                for other in self.needs(at) {
                    if other == own {
                        return Some(trace(own, at, &came_from));
                    }
                    if !came_from.contains_key(other) {
                        came_from.insert(other, at);
                        next.push(other);
                    }
                }
            }
            edge = next;
        }
        None
    }

    /// The order in which the services `living` go.
    #[must_use]
    pub fn departure(&self, living: impl IntoIterator<Item = Name>) -> Departure {
        let circles = self.circles();
        let mut departure = Departure::default();
        for (alone, name) in living.into_iter().enumerate() {
            let set = circles.get(&name).copied().unwrap_or(circles.len() + alone);
            departure.sets.entry(set).or_default().1.push(name.clone());
            departure.left.insert(name, (set, Vec::new()));
        }
        for (name, others) in &self.edges {
            for set in others.iter().filter_map(|other| circles.get(other)) {
                let (Some((own, needs)), Some((needed_by, _))) =
                    (departure.left.get_mut(name), departure.sets.get_mut(set))
                else {
                    continue;
                };
                if own != set {
                    needs.push(*set);
                    *needed_by += 1;
                }
            }
        }
        departure
    }

    /// For each service the number, below theirs, of the set of those with which it is in circles.
    fn circles(&self) -> BTreeMap<&Name, usize> {
        let all: Vec<&Name> = self.all().into_iter().collect();
        let number: BTreeMap<&Name, usize> = all.iter().enumerate().map(|(i, name)| (*name, i)).collect();
        let next: Vec<Vec<usize>> =
            all.iter().map(|name| self.needs(name).filter_map(|other| number.get(other).copied()).collect()).collect();
        let sets = strongly_connected(&next);
        all.into_iter().zip(sets).collect()
    }
}

fn trace<'g>(own: &'g Name, last: &'g Name, came_from: &BTreeMap<&'g Name, &'g Name>) -> Vec<Name> {
    let mut circle = vec![last.clone()];
    let mut at = last;
    while at != own {
        let Some(before) = came_from.get(at) else { break };
        at = before;
        circle.push(at.clone());
    }
    circle.reverse();
    circle
}

/// For each vertex the number of its strongly connected component, after Tarjan.
fn strongly_connected(next: &[Vec<usize>]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let mut order = vec![NONE; next.len()];
    let mut low = vec![NONE; next.len()];
    let mut set = vec![NONE; next.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut seen = 0;
    for root in 0..next.len() {
        if order[root] != NONE {
            continue;
        }
        // the vertices on the way from the root, each with the number of its next edge
        let mut way = vec![(root, 0)];
        while let Some((at, edge)) = way.pop() {
            if edge == 0 {
                (order[at], low[at]) = (seen, seen);
                seen += 1;
                open.push(at);
            } else {
                let came = next[at][edge - 1];
                if set[came] == NONE {
                    low[at] = low[at].min(low[came]);
                }
            }
            match next[at].get(edge) {
                Some(&to) => {
                    way.push((at, edge + 1));
                    if order[to] == NONE {
                        way.push((to, 0));
                    }
                }
                None if low[at] == order[at] => {
                    while let Some(member) = open.pop() {
                        set[member] = at;
                        if member == at {
                            break;
                        }
                    }
                }
                None => {}
            }
        }
    }
    set
}

impl Departure {
    /// Those that may go at once.
    #[must_use]
    pub fn first(&self) -> Vec<Name> {
        self.sets.values().filter(|(needed_by, _)| *needed_by == 0).flat_map(|(_, names)| names.clone()).collect()
    }

    /// `name` is gone: those that may go now because of that.
    pub fn gone(&mut self, name: &Name) -> Vec<Name> {
        let Some((_, needs)) = self.left.remove(name) else {
            return Vec::new();
        };
        let mut free = Vec::new();
        for set in needs {
            if let Some((needed_by, names)) = self.sets.get_mut(&set) {
                *needed_by -= 1;
                if *needed_by == 0 {
                    free.extend(names.iter().filter(|name| self.left.contains_key(*name)).cloned());
                }
            }
        }
        free
    }

    /// Those that have not gone.
    pub fn left(&self) -> impl Iterator<Item = &Name> {
        self.left.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::{Graph, Name};
    use std::ffi::OsStr;

    fn name(text: &str) -> Name {
        Name::new(OsStr::new(text)).expect("a name from a test")
    }

    /// From `a>b a>c`: a has waited for b and c.
    fn graph(edges: &str) -> Graph {
        let mut graph = Graph::default();
        for (a, b) in edges.split_whitespace().filter_map(|edge| edge.split_once('>')) {
            graph.insert(name(a), [name(b)]);
        }
        graph
    }

    fn circle(edges: &str, through: &str) -> Option<String> {
        let circle = graph(edges).circle(&name(through))?;
        Some(circle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_circle_is_found_in_full_and_only_through_the_one_asked() {
        assert_eq!(circle("a>a", "a").as_deref(), Some("a"));
        assert_eq!(circle("a>b b>a", "a").as_deref(), Some("a b"));
        assert_eq!(circle("a>b b>c c>d d>a b>x", "c").as_deref(), Some("c d a b"));
        assert_eq!(circle("a>b b>c c>b", "a"), None);
        assert_eq!(circle("a>b b>c", "a"), None);
        assert_eq!(circle("", "a"), None);
        // the shorter of two
        assert_eq!(circle("a>b b>c c>a a>c", "a").as_deref(), Some("a c"));
    }

    /// In which waves services go if all of a wave end at the same time.
    fn waves(edges: &str, living: &str) -> Vec<String> {
        let mut departure = graph(edges).departure(living.split(' ').map(name));
        let mut waves = Vec::new();
        let mut wave = departure.first();
        while !wave.is_empty() {
            wave.sort();
            waves.push(wave.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            wave = wave.iter().flat_map(|name| departure.gone(name)).collect();
        }
        assert_eq!(departure.left().count(), 0);
        waves
    }

    #[test]
    fn dependents_go_first_and_all_that_may_go_together() {
        assert_eq!(waves("app>web web>db app>cache", "db web app cache x"), ["app x", "cache web", "db"]);
    }

    #[test]
    fn what_does_not_live_is_not_waited_for() {
        assert_eq!(waves("app>web web>db", "db app"), ["app db"]);
        assert_eq!(waves("app>missing missing>db", "app db"), ["app db"]);
    }

    #[test]
    fn a_circle_does_not_hang_the_rest() {
        assert_eq!(waves("a>b b>c c>a x>a c>db", "a b c x db"), ["x", "a b c", "db"]);
        assert_eq!(waves("a>a", "a"), ["a"]);
    }

    #[test]
    fn a_chain_of_any_length_needs_no_stack() {
        let mut graph = Graph::default();
        let all: Vec<Name> = (0..100_000).map(|i| name(&format!("s{i}"))).collect();
        for pair in all.windows(2) {
            graph.insert(pair[0].clone(), [pair[1].clone()]);
        }
        let mut departure = graph.departure(all.iter().cloned());
        assert_eq!(departure.first(), [all[0].clone()]);
        assert_eq!(departure.gone(&all[0]), [all[1].clone()]);
        assert_eq!(graph.circle(&all[0]), None);
    }

    #[test]
    fn every_order_of_departure_ends() {
        // small graphs of all shapes, from the bits of a counter
        let names: Vec<Name> = ["a", "b", "c", "d"].map(name).to_vec();
        for bits in 0..1_u32 << 16 {
            let mut graph = Graph::default();
            for (i, from) in names.iter().enumerate() {
                let to = names.iter().enumerate().filter(|(j, _)| bits >> (4 * i + j) & 1 != 0);
                graph.insert(from.clone(), to.map(|(_, to)| to.clone()));
            }
            let mut departure = graph.departure(names.iter().cloned());
            let mut free = departure.first();
            while let Some(one) = free.pop() {
                free.extend(departure.gone(&one));
            }
            assert_eq!(departure.left().count(), 0, "{graph:?}");
        }
    }
}
