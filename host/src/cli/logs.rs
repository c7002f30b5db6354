//! `soloist logs`: what an action prints.
//!
//! Any host is asked, whoever leads.

use std::time::Duration;

use clap::Args;
use owo_colors::Style;
use reqwest::Url;

use super::{
    ExitError,
    client::{self, Client},
    terminal::{Paint, say, tame},
};
use crate::capability::LogLine;

/// How long a host may take, and how long one that is followed may be quiet.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who follows does so as long as it takes.
const LONG_PATIENCE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Show what an action printed lately, on the host that leads
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The action
    action: String,
    /// Go on with what it prints from now on, whoever comes to lead
    #[arg(long, short)]
    follow: bool,
    /// So many lines at most of what was printed before
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: usize,
    /// What was printed on this host, whoever leads
    #[arg(long)]
    host: Option<String>,
    /// Print an object of JSON a line
    #[arg(long)]
    json: bool,
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000")]
    url: String,
}

/// Asks a host, and prints the lines as they come.
pub(super) async fn main(args: LogsArgs) -> Result<(), ExitError> {
    let client = Client::new()?;
    let patience = if args.follow { LONG_PATIENCE } else { PATIENCE };
    let request = client.http().get(args.address()?).timeout(patience);
    let answer = request.send().await.map_err(|error| client::refusal(&args.url, error))?;
    let mut answer = client::done(&args.url, answer).await?;
    let (mut unread, paint) = (Vec::new(), Paint::stdout());
    loop {
        let piece = tokio::time::timeout(PATIENCE, answer.chunk()).await;
        let piece = piece.map_err(|_| args.cut_off())?;
        let Some(piece) = piece.map_err(|error| args.cut_off().caused_by(&error.without_url()))?
        else {
            return if args.follow { Err(args.cut_off()) } else { Ok(()) };
        };
        unread.extend_from_slice(&piece);
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let rest = unread.split_off(end + 1);
            let line = std::mem::replace(&mut unread, rest);
            let line = String::from_utf8_lossy(&line);
            // An empty one is a sign of life.
            if !line.trim().is_empty() {
                args.print(line.trim_end(), paint)?;
            }
        }
    }
}

impl LogsArgs {
    fn address(&self) -> Result<Url, ExitError> {
        let no_url = || client::no_url(&self.url);
        let mut url = Url::parse(&self.url).map_err(|_| no_url())?;
        let mut path = url.path_segments_mut().map_err(|()| no_url())?;
        path.pop_if_empty().extend(["v1", "logs", &self.action]);
        drop(path);
        let (lines, follow) = (self.lines.to_string(), self.follow.to_string());
        let options = [("format", "json"), ("lines", &*lines), ("follow", &*follow)];
        url.query_pairs_mut().extend_pairs(options);
        if let Some(host) = &self.host {
            url.query_pairs_mut().append_pair("host", host);
        }
        Ok(url)
    }

    fn print(&self, line: &str, paint: Paint) -> Result<(), ExitError> {
        if self.json {
            say(&format!("{line}\n"));
            return Ok(());
        }
        let line: LogLine = serde_json::from_str(line).map_err(|error| {
            ExitError::unavailable("the answer is not what an action of a soloist host printed")
                .caused_by(&error)
                .help("does another server listen there, or another version of soloist?")
        })?;
        say(&(for_people(&line, paint) + "\n"));
        Ok(())
    }

    fn cut_off(&self) -> ExitError {
        ExitError::unavailable(format!("{} does not answer any more", self.url))
            .help("follow by another host: --url http://HOST:PORT, or SOLOIST_URL")
    }
}

/// As in `08:06:10.123 a/17 hello`, the time in UTC.
fn for_people(line: &LogLine, paint: Paint) -> String {
    let time = line.time.get(11..23).unwrap_or(&line.time);
    let token = line.token.map(|token| format!("/{token}")).unwrap_or_default();
    let whose = paint.paint(format!("{}{token}", tame(&line.host)), Style::new().blue());
    let text = match &*line.stream {
        "stdout" => tame(&line.text),
        _ => paint.paint(tame(&line.text), Style::new().yellow()),
    };
    format!("{} {whose} {text}", paint.paint(tame(time), Style::new().dimmed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people() {
        let line = LogLine {
            id: 7,
            time: "2026-11-22T08:06:10.123Z".into(),
            action: "web".into(),
            host: "a".into(),
            group: "main".into(),
            token: Some(17),
            stream: "stderr".into(),
            text: "oh \u{1b}[2J".into(),
        };
        assert_eq!(for_people(&line, Paint::OFF), "08:06:10.123 a/17 oh \\u{1b}[2J");
        let aside = LogLine { token: None, text: "hm".into(), ..line };
        assert_eq!(for_people(&aside, Paint::OFF), "08:06:10.123 a hm");
    }
}
