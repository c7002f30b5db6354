//! Prints the reference of the settings; `cargo xtask reference` puts it into `docs/reference`.

#[path = "../tests/reference/page.rs"]
mod page;

use std::io::{Write, stdout};

fn main() -> std::io::Result<()> {
    stdout().write_all(page::page(&soloist_config::settings_schema()).as_bytes())
}
