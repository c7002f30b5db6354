//! What goes to the terminal, and in which colours.
//!
//! Answers go to stdout, everything else to stderr. Colours are for terminals
//! only; `NO_COLOR` turns them off.
//!
//! Invariant: what others wrote steers no terminal. Whoever puts it into a line tames it there;
//! and whatever is written passes here, where nothing that steers is left but ends of lines,
//! tabs and, where there are any, colours. What is handed out as it is (an answer, a value)
//! is so for programs alone.

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

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    #[cfg(test)]
    pub(super) const OFF: Self = Self { on: false };

    /// For what goes to stdout.
    pub(super) fn stdout() -> Self {
        Self::for_stream(&io::stdout())
    }

    /// For what goes to stderr.
    pub(super) fn stderr() -> Self {
        Self::for_stream(&io::stderr())
    }

    fn for_stream(stream: &impl IsTerminal) -> Self {
        let forced = std::env::var_os(COLOR_VARIABLE).is_some_and(|value| value == "always");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: forced || (stream.is_terminal() && !refused) }
    }

    /// Whether it colours.
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// `text` in `style`.
    pub(super) fn paint(self, text: impl Display, style: Style) -> String {
        if self.on { text.style(style).to_string() } else { text.to_string() }
    }
}

/// Writes `text` to stdout. A reader that has gone, as `head` does, is no error.
pub(super) fn say(text: &str) {
    write(&tamed(text, Paint::stdout()));
}

/// Writes a text of JSON to stdout.
pub(super) fn say_json(json: &str) {
    write(&sanitize_json(json));
}

/// Writes `text` over what stands on the screen, without a flicker.
pub(super) fn redraw(text: &str) {
    let text = tamed(text, Paint::stdout());
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE_END}\n")).collect();
    write(&format!("{HOME}{lines}{CLEAR_BELOW}"));
}

/// Clears the screen.
pub(super) fn clear() {
    write(CLEAR);
}

/// Hands `bytes` out to stdout: as they are to a program, and as a text to a terminal.
pub(super) fn hand_out(bytes: &[u8]) {
    if io::stdout().is_terminal() {
        return write(&tamed(&String::from_utf8_lossy(bytes), Paint { on: false }));
    }
    write_bytes(bytes);
}

/// Ends the line that `bytes`, which were handed out, may have left open. A program gets
/// nothing but them: there, whatever is said on stderr next begins a line of its own.
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

/// `text` with nothing in it that steers, but for ends of lines and tabs, and for colours where
/// there are any.
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

/// How long the colour is that `text` begins with (ECMA-48, `SGR`), if it does.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(text.len() - parameters.len() + end + 1)
}

/// Asks a question that only `y` or `yes` affirms; nothing without a terminal to ask on.
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

/// Says something beside the result, on stderr; what others have said is tamed.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", sanitize(text));
}

/// Writes an error, or a warning, to stderr, its `error:` and `help:` marked.
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
        // Where there are no colours, none of them is ours.
        assert!(!tamed(&text, Paint::OFF).chars().any(|c| steering(&c)));
    }
}
