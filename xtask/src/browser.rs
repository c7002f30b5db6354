//! Tests of the dashboard in a real browser.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::packages::Package;
use soloist_devtools::paths;

use crate::test;

const CHROMIUM: Package = Package {
    program: "chromium",
    apt: &[&["chromium", "chromium-driver", "fonts-dejavu-core"]],
    dnf: &[&["chromium", "chromedriver"]],
    brew: &[&["chromium"]],
};

/// Controls Chromium through W3C's WebDriver protocol.
const DRIVER: Package = Package {
    program: "chromedriver",
    apt: &[&["chromium-driver"]],
    dnf: &[&["chromedriver"]],
    brew: &[&["chromedriver"]],
};

/// Runs the dashboard's tests; their pictures go to `target/pictures`.
pub(crate) fn test() -> Result<()> {
    let pictures = paths::target().join("pictures");
    fs::create_dir_all(&pictures)?;
    test_into(pictures)
}

/// Runs the same tests, and stores the pictures in `docs/`, where the pages show them.
pub(crate) fn pictures() -> Result<()> {
    test_into(paths::repo().join("docs"))
}

fn test_into(pictures: PathBuf) -> Result<()> {
    let (chromium, driver) = (CHROMIUM.ensure()?, DRIVER.ensure()?);
    eprintln!("chromium     {}", chromium.display());
    let environment = [
        ("SOLOIST_TEST_CHROMIUM", chromium),
        ("SOLOIST_TEST_CHROMEDRIVER", driver),
        ("SOLOIST_TEST_PICTURES", pictures),
    ];
    let environment = environment.each_ref().map(|(name, path)| (*name, path.to_string_lossy()));
    let environment = environment.each_ref().map(|(name, path)| (*name, &**path));
    let only = ["-p", "soloist", "--test", "e2e", "dashboard", "--", "--ignored"];
    test::run_with(&only.map(OsString::from), &environment, &[])
}
