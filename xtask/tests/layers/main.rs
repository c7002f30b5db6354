//! The arrows of `ARCHITECTURE.md`: no files under `host/` refer to each other in a circle,
//! no crate refers to one that stands after it in the table, and no room of the host to a
//! higher one. No two types of one crate have one name, and the pages name files that are there.
//!
//! Read are `use` and paths in code, without what is under `#[cfg(test)]`. A reference leads
//! to the file that defines what it names: `pub use` passes a name on and is no arrow itself.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod circles;
mod crates;
mod module;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use circles::circles;
use crates::{Crates, Reference};
use soloist_devtools::paths::repo;

/// The rooms of the crate `soloist` (`host/src`), from above to below. A room takes of those
/// in lower rows, and of its own row.
const ROOMS: [&[&str]; 7] = [
    &["cli"],
    &["supervisor", "host"],
    &["api", "term"],
    &["relay", "tasks"],
    &["action", "cluster"],
    &["http"],
    &["scaffold", "task_scope", "wall_clock"],
];

/// Read once for all tests.
static CRATES: LazyLock<Crates> = LazyLock::new(|| Crates::read(&layers()));
static REFERENCES: LazyLock<Vec<Reference>> = LazyLock::new(|| CRATES.references());

/// The crates in the order of the table in `ARCHITECTURE.md`: each takes of those before it.
fn layers() -> Vec<(String, PathBuf)> {
    let text = fs::read_to_string(repo().join("ARCHITECTURE.md")).unwrap();
    let cell = |cell: &str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `soloist")?.split('|');
        let name = cell(&format!("`soloist{}", cells.next()?.trim()))?;
        Some((name, repo().join(cell(cells.next()?)?)))
    };
    text.lines().filter_map(row).collect()
}

fn short(file: &Path) -> String {
    file.strip_prefix(repo()).unwrap_or(file).display().to_string()
}

/// The references within a set of files, a line each.
fn within(circle: &BTreeSet<&PathBuf>, references: &[Reference]) -> String {
    let mut names = BTreeMap::<_, Vec<_>>::new();
    for reference in references {
        if circle.contains(&reference.from) && circle.contains(&reference.to) {
            let arrow = (short(&reference.from), short(&reference.to));
            names.entry(arrow).or_default().push(reference.by.as_str());
        }
    }
    names.into_iter().fold(String::new(), |mut text, ((from, to), by)| {
        let _ = writeln!(text, "  {from} → {to}: {}", by.join(", "));
        text
    })
}

#[test]
fn no_files_refer_to_each_other_in_a_circle() {
    assert!(CRATES.len() > 300, "only {} modules were found", CRATES.len());
    let mut graph = circles::Graph::new();
    for reference in &*REFERENCES {
        graph.entry(&reference.from).or_default().insert(&reference.to);
    }
    let mut faults = String::new();
    for circle in circles(&graph) {
        let _ = writeln!(faults, "{} files refer to each other in a circle:", circle.len());
        faults += &within(&circle, &REFERENCES);
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn no_arrow_goes_upwards() {
    let layers = layers();
    assert!(layers.len() > 5, "ARCHITECTURE.md has no table of crates");
    let rank: BTreeMap<_, _> =
        layers.iter().enumerate().map(|(rank, (name, _))| (name.replace('-', "_"), rank)).collect();
    let rooms = CRATES.rooms();
    let mut faults = String::new();
    for reference in &*REFERENCES {
        let (from, to) = (rooms[reference.from.as_path()], rooms[reference.to.as_path()]);
        let is_upward = if from[0] == to[0] {
            from[0] == "soloist" && row(from) > row(to)
        } else {
            rank[&from[0]] <= rank[&to[0]]
        };
        if is_upward {
            let (from, to) = (short(&reference.from), short(&reference.to));
            let _ = writeln!(faults, "upwards: {from} → {to}: {}", reference.by);
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// The row of a room. What is in the root of the crate is above all of them.
fn row(room: &[String]) -> usize {
    let Some(name) = room.get(1) else { return 0 };
    let row = ROOMS.iter().position(|row| row.contains(&name.as_str()));
    row.unwrap_or_else(|| panic!("`{name}` of host/src is in no row of ROOMS")) + 1
}

/// What a manifest names is an arrow, whether or not the code follows it.
#[test]
fn no_crate_depends_on_a_later_one() {
    let layers = layers();
    for (rank, (name, folder)) in layers.iter().enumerate() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let mut is_of_the_program = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                is_of_the_program = line == "[dependencies]";
            }
            let Some(end) = line.find([' ', '.']).filter(|_| is_of_the_program) else { continue };
            let dependency = &line[..end];
            let is_later = layers[rank..].iter().any(|(other, _)| other == dependency);
            assert!(
                !is_later,
                "{name} depends on {dependency}, which the table of ARCHITECTURE.md has after it"
            );
        }
    }
}

/// A name that two things have says of neither what it is.
#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let mut faults = String::new();
    for ((package, name), files) in CRATES.types() {
        if files.len() > 1 {
            let files: Vec<_> = files.into_iter().map(short).collect();
            let _ =
                writeln!(faults, "{package} has {} `{name}`: {}", files.len(), files.join(", "));
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// A path in a page is a promise that somebody can open it.
#[test]
fn the_pages_name_files_that_are_there() {
    let pages = ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| repo().join(name));
    let docs = fs::read_dir(repo().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |file: &PathBuf| file.extension().is_some_and(|it| it == "md");
    let roots = ["host/", "tests/", "xtask/", "fuzz/", "wit/", "plugins/", "examples/", "docs/"];
    let mut faults = String::new();
    let mut count = 0;
    for page in pages.into_iter().chain(docs.filter(is_page)) {
        let text = fs::read_to_string(&page).unwrap();
        // What is between backticks, where nothing in it stands for several files.
        let quoted = text.split('`').skip(1).step_by(2);
        let is_path = |text: &&str| {
            roots.iter().any(|root| text.starts_with(root))
                && !text.contains(['*', '{', ' ', '\n', '…', '<'])
        };
        for path in quoted.filter(is_path) {
            count += 1;
            if !repo().join(path).exists() {
                let _ = writeln!(faults, "{} names {path}", short(&page));
            }
        }
    }
    assert!(count > 100, "only {count} paths were found");
    assert!(faults.is_empty(), "\n{faults}");
}
