//! What a terminal shows, as a picture for pages: lines with the colours of ANSI become SVG.

use std::fmt::Write;

/// The size of the letters, in pixels; one is as wide as six tenths of that.
const FONT: f64 = 14.0;
const LINE: f64 = 19.0;
const MARGIN: f64 = 16.0;
/// The colours 30 to 37, as they can be read on a dark ground.
const COLOURS: [&str; 8] =
    ["#868887", "#e06c75", "#98c379", "#d9b44a", "#61afef", "#c678dd", "#56b6c2", "#d0d3d4"];

/// How a piece of a line looks.
#[derive(Clone, Copy, Default, PartialEq)]
struct Look {
    bold: bool,
    dim: bool,
    colour: Option<usize>,
}

/// A picture of `lines`, each of which is cut after so many `columns`. `title` says what it shows to
/// those who do not see it.
pub(crate) fn svg(title: &str, lines: &[String], columns: usize) -> String {
    let width =
        (f64::from(u32::try_from(columns).unwrap_or(u32::MAX)) * FONT).mul_add(0.6, 2.0 * MARGIN);
    let rows = f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    let height = rows.mul_add(LINE, 2.0 * MARGIN);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" aria-labelledby=\"title\">\n  <title id=\"title\">{}</title>\n  <style>\n    \
         text {{ font: {FONT}px ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; \
         fill: #d0d3d4; white-space: pre; }}\n    .bold {{ font-weight: bold; }}\n    \
         .dim {{ fill: #868887; }}\n",
        escaped(title)
    );
    for (number, colour) in COLOURS.iter().enumerate() {
        let _ = writeln!(picture, "    .c{number} {{ fill: {colour}; }}");
    }
    picture += "  </style>\n  <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1f2428\"/>\n";
    let mut y = MARGIN + FONT;
    for line in lines {
        let _ = writeln!(picture, "  <text x=\"{MARGIN}\" y=\"{y}\">{}</text>", row(line, columns));
        y += LINE;
    }
    picture + "</svg>\n"
}

/// The text of a line, in pieces of one look.
fn row(line: &str, columns: usize) -> String {
    let (mut row, mut left) = (String::new(), columns);
    for (look, text) in pieces(line) {
        let long = text.chars().count() > left;
        let kept = if long { left.saturating_sub(1) } else { left };
        let mut text: String = text.chars().take(kept).collect();
        if long && left > 0 {
            text.push('…');
        }
        left -= text.chars().count();
        if text.is_empty() {
            continue;
        }
        match look.classes() {
            classes if classes.is_empty() => row += &escaped(&text),
            classes => {
                let _ = write!(row, "<tspan class=\"{classes}\">{}</tspan>", escaped(&text));
            }
        }
    }
    row
}

/// The pieces between escape sequences, each with its look.
fn pieces(line: &str) -> Vec<(Look, &str)> {
    let mut parts = line.split("\x1b[");
    let mut look = Look::default();
    let mut pieces = vec![(look, parts.next().unwrap_or_default())];
    for part in parts {
        // Other sequences than those of looks do not end in `m`; none is expected here.
        let (codes, text) = part.split_once('m').unwrap_or((part, ""));
        codes.split(';').for_each(|code| look.take(code));
        pieces.push((look, text));
    }
    pieces
}

impl Look {
    fn take(&mut self, code: &str) {
        match code.parse() {
            Ok(0) | Err(_) => *self = Self::default(),
            Ok(1) => self.bold = true,
            Ok(2) => self.dim = true,
            Ok(code @ 30..=37) => self.colour = Some(code - 30),
            Ok(39) => self.colour = None,
            Ok(_) => {}
        }
    }

    fn classes(self) -> String {
        let colour = self.colour.map(|number| format!("c{number}"));
        let bold = self.bold.then(|| "bold".to_owned());
        let dim = self.dim.then(|| "dim".to_owned());
        [bold, dim, colour].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_long_lines_are_cut() {
        let line = "\x1b[36ma │\x1b[0m leads\x1b[2m <x>\x1b[0m";
        let all = "<tspan class=\"c6\">a │</tspan> leads<tspan class=\"dim\"> &lt;x&gt;</tspan>";
        assert_eq!(row(line, 13), all);
        assert_eq!(row(line, 7), "<tspan class=\"c6\">a │</tspan> le…");
        assert_eq!(row("plain", 5), "plain");
        let picture = svg("a & b", &["one".to_owned(), "two".to_owned()], 10);
        assert!(picture.contains("<title id=\"title\">a &amp; b</title>"), "{picture}");
        assert_eq!(picture.matches("<text ").count(), 2, "{picture}");
    }
}
