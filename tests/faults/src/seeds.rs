//! The seeds of plans.

use anyhow::{Context, Result, bail};

/// The file with the seeds that `cargo xtask ci` uses.
pub(super) const OF_CHECKS: &str = "tests/faults/seeds.txt";

/// Parses seeds, one on each line; `#` begins a comment.
pub(super) fn parse(text: &str) -> Result<Vec<u64>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().with_context(|| format!("{line:?} is no seed")))
        .collect::<Result<_>>()?;
    if seeds.is_empty() {
        bail!("there is no seed");
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use soloist_devtools::paths;

    #[test]
    fn seeds_are_read() {
        assert_eq!(parse("1\n\n# two\n23 # three\n").unwrap(), [1, 23]);
        assert!(parse("one").is_err());
        assert!(parse("# none").is_err());
    }

    #[test]
    fn the_seeds_of_the_checks_are_there() {
        let text = fs::read_to_string(paths::repo().join(OF_CHECKS)).unwrap();
        assert!(parse(&text).unwrap().len() > 1);
    }
}
