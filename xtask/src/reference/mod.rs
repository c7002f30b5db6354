//! `cargo xtask reference`: the pages in `docs/reference/`, which the program and its interfaces
//! describe. One function makes one page; a test compares it.

mod cli;
mod settings;
mod wit;

use std::fs;

use anyhow::{Context, Result};
use soloist_devtools::paths;

/// Makes the text of a page.
type MakePage = fn() -> Result<String>;

/// The pages, and what makes them.
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
    Ok(())
}
