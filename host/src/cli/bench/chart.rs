//! Bar charts.

use owo_colors::Style;

use crate::cli::terminal::{Paint, sanitize};

/// The longest bar, in characters.
const WIDTH: f64 = 40.0;

/// A bar for each of `counts`, with its name, its count and its share.
pub(super) fn bars<'a>(
    counts: impl IntoIterator<Item = (&'a String, &'a usize)>,
    paint: Paint,
) -> String {
    let counts: Vec<_> = counts.into_iter().map(|(name, count)| (sanitize(name), *count)).collect();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1) as f64;
    let all = counts.iter().map(|(_, count)| *count).sum::<usize>().max(1) as f64;
    let width = counts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let bar = |(name, count): &(String, usize)| {
        let bar = "█".repeat((*count as f64 / most * WIDTH).round() as usize);
        let part = *count as f64 / all * 100.0;
        let pad = " ".repeat(width - name.chars().count());
        format!("  {name}{pad}  {} {count} ({part:.1} %)\n", paint.paint(bar, Style::new().cyan()))
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_longest_bar_is_of_the_most() {
        let counts = BTreeMap::from([("a".to_owned(), 100), ("host-b".to_owned(), 50)]);
        let (long, short) = ("█".repeat(40), "█".repeat(20));
        let lines = format!("  a       {long} 100 (66.7 %)\n  host-b  {short} 50 (33.3 %)\n");
        assert_eq!(bars(&counts, Paint::OFF), lines);
        assert_eq!(bars(&BTreeMap::new(), Paint::OFF), "");
    }
}
