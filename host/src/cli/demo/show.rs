//! What people see of a demo.

use std::time::Duration;

use owo_colors::Style;

use super::part::{ACTION_PORT, Part};
use crate::cli::terminal::{Paint, say};

/// The demo's page: all hosts write on it, line by line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    paint: Paint,
}

impl Show {
    /// An empty page on stdout.
    pub(super) fn new() -> Self {
        Self { paint: Paint::stdout() }
    }

    /// Whether hosts shall colour what they print.
    pub(super) fn is_coloured(self) -> bool {
        self.paint.is_on()
    }

    /// A line that a host printed.
    pub(super) fn line(self, part: &Part, line: &str) {
        let mark = self.paint.paint(format!("{} │", part.name), Style::new().color(part.color));
        say(&format!("{mark} {line}\n"));
    }

    /// Something that the demo itself says.
    pub(super) fn note(self, text: &str) {
        let mark = self.paint.paint("demo ▸", Style::new().bold());
        say(&format!("{mark} {text}\n"));
    }

    /// What there is to see and to try.
    pub(super) fn banner(self, parts: &[Part], kill_every: Option<Duration>) {
        say(&banner(self.paint, parts, kill_every));
    }
}

fn banner(paint: Paint, parts: &[Part], kill_every: Option<Duration>) -> String {
    let bold = |text: String| paint.paint(text, Style::new().bold());
    let mut text = format!("\n{}\n\n", bold("Many hosts stand by, exactly one performs.".into()));
    text += &format!("  open   http://127.0.0.1:{ACTION_PORT}/   the leader's web action\n");
    for part in parts {
        let name = paint.paint(part.name, Style::new().color(part.color).bold());
        text += &format!("         {}/   the dashboard, on host {name}\n", part.url());
    }
    if let Some(part) = parts.first() {
        text += &format!("  watch  soloist status --watch --url {}\n", part.url());
    }
    text += &match kill_every {
        Some(every) => {
            let every = humantime::format_duration(every);
            format!("  see    the leader is killed every {every}, and another host takes over\n")
        }
        None => "  try    kill -9 the leader's process: another host takes over\n".to_owned(),
    };
    text + "  end    Ctrl-C\n\n"
}
