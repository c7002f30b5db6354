//! Output to the terminal, and its colours.
//!
//! Results go to stdout, everything else to stderr. Only terminals get colours; `NO_COLOR` turns
//! them off.
//!
//! Invariant: text of others never controls the terminal. Code that puts such text into a line
//! sanitises it there; and all output passes through here, where only line breaks, tabs and, if
//! enabled, colours are let through. Raw output (a response, a value) is for programs only.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use owo_colors::{OwoColorize, Style};

pub(super) use soloist_text::sanitize;
use soloist_text::{affects_display, sanitize_json};

/// Set for child processes whose output a parent passes on to a terminal.
pub(super) const COLOR_VARIABLE: &str = "SOLOIST_COLOR";

const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Whether to use colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    #[cfg(test)]
    pub(super) const OFF: Self = Self { on: false };

    /// The setting for stdout.
    pub(super) fn stdout() -> Self {
        Self::for_stream(&io::stdout())
    }

    /// The setting for stderr.
    pub(super) fn stderr() -> Self {
        Self::for_stream(&io::stderr())
    }

    fn for_stream(stream: &impl IsTerminal) -> Self {
        let forced = std::env::var_os(COLOR_VARIABLE).is_some_and(|value| value == "always");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: forced || (stream.is_terminal() && !refused) }
    }

    /// Whether colours are used.
    #[cfg(feature = "demo")]
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// `text` in `style`.
    pub(super) fn paint(self, text: impl Display, style: Style) -> String {
        if self.on { text.style(style).to_string() } else { text.to_string() }
    }
}

/// Writes `text` to stdout. A reader that has gone, such as `head`, is no error.
pub(super) fn say(text: &str) {
    write(&tamed(text, Paint::stdout()));
}

/// Writes JSON to stdout.
pub(super) fn say_json(json: &str) {
    write(&sanitize_json(json));
}

/// Replaces the content of the screen by `text`, without flicker.
pub(super) fn redraw(text: &str) {
    let text = tamed(text, Paint::stdout());
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE_END}\n")).collect();
    write(&format!("{HOME}{lines}{CLEAR_BELOW}"));
}

/// Clears the screen.
pub(super) fn clear() {
    write(CLEAR);
}

/// Writes `bytes` to stdout: unchanged to a program, sanitised to a terminal.
pub(super) fn hand_out(bytes: &[u8]) {
    if io::stdout().is_terminal() {
        return write(&tamed(&String::from_utf8_lossy(bytes), Paint { on: false }));
    }
    write_bytes(bytes);
}

/// Ends the line that `bytes`, which were written before, may have left open. A program gets
/// nothing but those bytes; there, further output on stderr begins a line of its own.
pub(super) fn end_line(bytes: &[u8], says_more: bool) {
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return;
    }
    if io::stdout().is_terminal() {
        write("\n");
    } else if says_more {
        let _ = writeln!(io::stderr().lock());
    }
}

fn write(text: &str) {
    write_bytes(text.as_bytes());
}

fn write_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// `text` without control characters, except line breaks, tabs and, if enabled, colours.
fn tamed(text: &str, paint: Paint) -> String {
    let mut tamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| affects_display(c) && !matches!(c, '\n' | '\t')) {
        let (before, from) = rest.split_at(at);
        tamed += before;
        let length = colour(from).filter(|_| paint.on);
        let (piece, after) = match length {
            Some(length) => from.split_at(length),
            None => from.split_at(from.chars().next().map_or(0, char::len_utf8)),
        };
        tamed += &if length.is_some() { piece.to_owned() } else { sanitize(piece) };
        rest = after;
    }
    tamed + rest
}

/// The length of the colour sequence (ECMA-48, `SGR`) that `text` begins with, if any.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(text.len() - parameters.len() + end + 1)
}

/// Asks a question that only `y` or `yes` confirms; `None` without a terminal to ask on.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut error = io::stderr().lock();
    let _ = write!(error, "{} [y/N] ", sanitize(question)).and_then(|()| error.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    Some(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Writes a remark to stderr, sanitised.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", sanitize(text));
}

/// A line on the terminal's stderr that is replaced while a command works. Dropping it removes it.
pub(super) struct ProgressLine(());

impl ProgressLine {
    /// `None` if stderr is no terminal: a log has no use for it.
    pub(super) fn begin() -> Option<Self> {
        io::stderr().is_terminal().then(|| Self(()))
    }

    /// Shows `text` instead of what was shown before.
    pub(super) fn show(&mut self, text: &str) {
        let mut error = io::stderr().lock();
        let _ = write!(error, "\r{}{CLEAR_LINE_END}", sanitize(text)).and_then(|()| error.flush());
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.show("");
    }
}

/// Writes an error or a warning to stderr, with its `error:` and `help:` highlighted.
pub(super) fn complain(error: &str) {
    let paint = Paint::stderr();
    let text: String = error.lines().map(|line| mark(&sanitize(line), paint) + "\n").collect();
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn mark(line: &str, paint: Paint) -> String {
    let marks = [
        ("error:", Style::new().red().bold()),
        ("warning:", Style::new().yellow().bold()),
        ("help:", Style::new().green().bold()),
        ("  because:", Style::new().dimmed()),
    ];
    for (mark, style) in marks {
        if let Some(rest) = line.strip_prefix(mark) {
            return paint.paint(mark, style) + rest;
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_but_lines_and_colours() {
        let red = Paint { on: true }.paint("red", Style::new().red().bold());
        let text = format!("{red}\ta\n\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}\u{9b}1m\u{1b}[31\r\n");
        let shown = tamed(&text, Paint { on: true });
        assert!(shown.starts_with(&format!("{red}\ta\n\\u{{1b}}[2J")), "{shown:?}");
        let steering = |c: &char| affects_display(*c) && !matches!(c, '\n' | '\t');
        assert_eq!(shown.chars().filter(steering).count(), 2, "{shown:?}");
        // Without colours, no control sequence is let through.
        assert!(!tamed(&text, Paint::OFF).chars().any(|c| steering(&c)));
    }
}
