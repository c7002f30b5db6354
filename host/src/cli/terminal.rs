//! What goes to the terminal, and in which colours.
//!
//! Answers go to stdout, everything else to stderr. Colours are for terminals
//! only; `NO_COLOR` turns them off.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use owo_colors::{OwoColorize, Style};

pub(super) use crate::words::tame;

/// Set for child processes whose output a parent passes on to a terminal.
pub(super) const COLOR_VARIABLE: &str = "SOLOIST_COLOR";

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
    hand_out(text.as_bytes());
}

/// Writes `bytes` to stdout as they are.
pub(super) fn hand_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Asks a question that only `y` or `yes` affirms; nothing without a terminal to ask on.
pub(super) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut error = io::stderr().lock();
    let _ = write!(error, "{question} [y/N] ").and_then(|()| error.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    Some(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Says something beside the result, on stderr; what others have said is tamed.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", tame(text));
}

/// Writes an error to stderr, its `error:` and `help:` marked.
pub(super) fn complain(error: &str) {
    let paint = Paint::stderr();
    let text: String = error.lines().map(|line| mark(line, paint) + "\n").collect();
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn mark(line: &str, paint: Paint) -> String {
    let marks = [
        ("error:", Style::new().red().bold()),
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
