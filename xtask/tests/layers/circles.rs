//! Circles in a graph: its strongly connected components of more than one node (Tarjan).

use std::collections::{BTreeMap, BTreeSet};

/// Which nodes each node leads to.
pub(crate) type Graph<'a, T> = BTreeMap<&'a T, BTreeSet<&'a T>>;

/// Every largest set of nodes that all lead to each other.
pub(crate) fn circles<'a, T: Ord>(graph: &Graph<'a, T>) -> Vec<BTreeSet<&'a T>> {
    let mut search = Search { graph, seen: BTreeMap::new(), path: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !search.seen.contains_key(node) {
            search.visit(node);
        }
    }
    search.found
}

struct Search<'g, 'a, T> {
    graph: &'g Graph<'a, T>,
    /// The number of each node that was visited, in order of the visits. A node that is in
    /// no circle any more has the highest number of all.
    seen: BTreeMap<&'a T, usize>,
    /// Nodes whose circle is not complete yet.
    path: Vec<&'a T>,
    found: Vec<BTreeSet<&'a T>>,
}

impl<'a, T: Ord> Search<'_, 'a, T> {
    /// Visits a node and all that it leads to; returns the lowest number that it leads back to.
    fn visit(&mut self, node: &'a T) -> usize {
        let number = self.seen.len();
        self.seen.insert(node, number);
        self.path.push(node);
        let mut lowest = number;
        for next in self.graph.get(node).into_iter().flatten() {
            let back = match self.seen.get(next) {
                Some(number) => *number,
                None => self.visit(next),
            };
            lowest = lowest.min(back);
        }
        if lowest == number {
            let start = self.path.iter().position(|other| *other == node).unwrap_or_default();
            let circle: BTreeSet<_> = self.path.drain(start..).collect();
            for node in &circle {
                self.seen.insert(node, usize::MAX);
            }
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
        lowest
    }
}

#[test]
fn each_circle_is_found() {
    let edges = [(1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 4), (5, 6), (7, 1), (7, 6), (6, 8)];
    let mut graph = Graph::new();
    for (from, to) in &edges {
        graph.entry(from).or_default().insert(to);
    }
    let found: Vec<Vec<i32>> =
        circles(&graph).iter().map(|circle| circle.iter().map(|node| **node).collect()).collect();
    assert_eq!(found, [vec![4, 5], vec![1, 2, 3]]);
}
