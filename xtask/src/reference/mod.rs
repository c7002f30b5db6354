//! `cargo xtask reference`: the pages in `docs/reference/`, which the program and its interfaces
//! describe. A test compares each page with the source.

mod cli;
mod settings;
mod wit;

use std::fs;

use anyhow::{Context, Result};
use soloist_devtools::{cargo::cargo, cmd, paths};

/// Makes the text of a page.
type MakePage = fn() -> Result<String>;

/// The pages that are written here, and what makes them.
const PAGES: [(&str, MakePage); 3] =
    [("cli.md", cli::page), ("settings.md", settings::page), ("wit.md", wit::page)];

/// The tests that compare the other pages with the source, each in its package: the metrics, and
/// the routes of the control API.
const WRITTEN_BY_TESTS: [(&str, &str); 2] = [
    ("soloist-telemetry", "the_page_of_metrics_is_what_is_registered"),
    ("soloist", "the_reference_is_what_is_routed"),
];

/// Writes all pages.
pub(crate) fn run() -> Result<()> {
    let folder = paths::repo().join("docs/reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, make) in PAGES {
        let (page, place) = (make()?, folder.join(name));
        fs::write(&place, page).with_context(|| format!("cannot write {}", place.display()))?;
        eprintln!("wrote {}", place.display());
    }
    WRITTEN_BY_TESTS.into_iter().try_for_each(|(package, test)| bless(package, test))
}

/// Runs the test that compares a page with the source, and lets it write the page.
fn bless(package: &str, test: &str) -> Result<()> {
    let arguments = ["--quiet", "--package", package, "--lib", test];
    cmd::run(cargo("test").args(arguments).env("BLESS", "1"))
}
