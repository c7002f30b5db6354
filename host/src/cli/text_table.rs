//! Tables for the terminal.

use owo_colors::Style;

use super::terminal::{Paint, sanitize};

const GAP: &str = "  ";
/// Wider cells are shown in full, but do not widen the column.
const WIDEST: usize = 80;

/// A coloured text.
#[derive(Clone, Debug, Default)]
pub(super) struct TableCell {
    text: String,
    style: Style,
}

impl TableCell {
    /// `text`, sanitised, in `style`.
    pub(super) fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: sanitize(text.as_ref()), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self::new(text, Style::new())
    }
}

/// Rows of cells below a row of headings.
#[derive(Debug)]
pub(super) struct TextTable {
    rows: Vec<Vec<TableCell>>,
}

impl TextTable {
    /// A table with these headings and no rows.
    pub(super) fn new<const N: usize>(headings: [&str; N]) -> Self {
        let heading = |text| TableCell::new(text, Style::new().bold());
        Self { rows: vec![headings.map(heading).into()] }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [TableCell; N]) {
        self.rows.push(cells.into());
    }

    /// The table as text.
    pub(super) fn render(&self, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(TableCell::width)
                .max()
                .unwrap_or(0)
                .min(WIDEST)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| line(row, &widths, paint) + "\n").collect()
    }
}

/// Pads outside of the colour, and not after the last cell with text.
fn line(row: &[TableCell], widths: &[usize], paint: Paint) -> String {
    let used = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    let mut line = String::new();
    for (i, (cell, width)) in row.iter().zip(widths).take(used).enumerate() {
        line += &paint.paint(&cell.text, cell.style);
        if i + 1 < used {
            line += &" ".repeat(width.saturating_sub(cell.width()));
            line += GAP;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_cell_makes_no_other_line_wide() {
        let mut table = TextTable::new(["NAME", "WHAT"]);
        table.row([TableCell::from("x".repeat(100_000)), "long".into()]);
        (0..1000).for_each(|_| table.row(["short".into(), "y".into()]));
        let text = table.render(Paint::OFF);
        assert!(text.len() < 200_000, "{} bytes", text.len());
        assert!(text.contains(&("x".repeat(100_000) + "  long\n")));
    }
}
