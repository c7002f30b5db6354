//! `cargo xtask reference`: the pages in `docs/reference/`, which the program itself writes. One
//! function makes one page; a test of the program compares it.

mod cli;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use soloist_devtools::{paths, soloist};

/// Makes the text of a page by the program.
type MakePage = fn(&Path) -> Result<String>;

/// The pages, and what makes them.
const PAGES: [(&str, MakePage); 1] = [("cli.md", cli::page)];

/// Writes all pages.
pub(crate) fn run() -> Result<()> {
    let program = soloist::build()?;
    let folder = paths::repo().join("docs/reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, make) in PAGES {
        let (page, place) = (make(&program)?, folder.join(name));
        fs::write(&place, page).with_context(|| format!("cannot write {}", place.display()))?;
        eprintln!("wrote {}", place.display());
    }
    Ok(())
}
