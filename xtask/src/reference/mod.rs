//! `cargo xtask reference`: the pages in `docs/reference/`, which the program and its interfaces
//! describe. A test compares each page with the source.

mod api;
mod cli;
mod metrics;
mod settings;
mod wit;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use soloist_devtools::{cmd, paths};

/// Makes the text of a page.
type MakePage = fn() -> Result<String>;

/// The pages that are written here, and what makes them.
const PAGES: [(&str, MakePage); 3] =
    [("cli.md", cli::page), ("settings.md", settings::page), ("wit.md", wit::page)];

/// Writes all pages.
pub(crate) fn run() -> Result<()> {
    let folder = paths::repo().join("docs/reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, make) in PAGES {
        let (page, place) = (make()?, folder.join(name));
        fs::write(&place, page).with_context(|| format!("cannot write {}", place.display()))?;
        eprintln!("wrote {}", place.display());
    }
    metrics::write()?;
    api::write()
}

/// Runs the test that compares a page with the source, and lets it write the page.
fn bless(package: &str, test: &str) -> Result<()> {
    let arguments = ["test", "--quiet", "--package", package, "--lib", test];
    cmd::run(Command::new("cargo").args(arguments).env("BLESS", "1"))
}
