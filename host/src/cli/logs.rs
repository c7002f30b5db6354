//! `soloist logs`: what an action prints.
//!
//! Any host can be asked, whether it leads or not.

use std::time::Duration;

use clap::Args;
use http::Method;
use owo_colors::Style;

use super::{
    ExitError,
    api_client::{ApiClient, ApiRequest, HostArgs},
    count::count,
    terminal::{Paint, sanitize, say, say_json},
};
use soloist_guests::capability::{LINES_MAX, LogLine};
use soloist_text::with_offset;

/// How long a host may take to answer, and how long a followed stream may pause.
const PATIENCE: Duration = Duration::from_secs(10);

/// Show what an action printed lately, on the host that leads
///
/// Any host can be asked. A line has the time (UTC), the host and its fencing token, and the text;
/// stderr is yellow on a terminal.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist logs web
  soloist logs web --follow --lines 0
  soloist logs web --host b --json")]
pub(super) struct LogsArgs {
    /// The action
    action: String,
    /// Go on with new lines as they are printed, also after a change of leader
    #[arg(long, short)]
    follow: bool,
    /// The greatest number of earlier lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = count(0..=LINES_MAX as u64))]
    lines: usize,
    /// Show what was printed on this host, whichever host leads
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: HostArgs,
}

/// Asks a host, and prints the lines as they arrive.
pub(super) async fn main(args: LogsArgs) -> Result<(), ExitError> {
    let (client, paint) = (args.at.client()?, Paint::stdout());
    let mut lines = args.question(&client).stream(PATIENCE).await?;
    loop {
        match lines.next().await {
            // A heartbeat.
            Ok(Some(line)) if line.is_empty() => {}
            Ok(Some(line)) => args.print(&line, paint)?,
            Ok(None) if !args.follow => return Ok(()),
            Ok(None) => return Err(cut_off(&client)),
            Err(error) => return Err(cut_off(&client).caused_by(&error)),
        }
    }
}

impl LogsArgs {
    fn question(&self, client: &ApiClient) -> ApiRequest {
        let (lines, follow) = (self.lines.to_string(), self.follow.to_string());
        let question = client.request(Method::GET, &["v1", "logs", &self.action]);
        let question = question.option("format", "json").option("lines", &lines);
        let question = question.option("follow", &follow);
        self.host.iter().fold(question, |question, host| question.option("host", host))
    }

    fn print(&self, line: &str, paint: Paint) -> Result<(), ExitError> {
        if self.json {
            say_json(&format!("{line}\n"));
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
}

fn cut_off(client: &ApiClient) -> ExitError {
    ExitError::unavailable(format!("{} does not answer any more", client.url()))
        .help("follow by another host: --url http://HOST:PORT, or SOLOIST_URL")
}

/// Formats as in `2026-11-22T08:06:10.123+00:00 a/17 hello`.
fn for_people(line: &LogLine, paint: Paint) -> String {
    let time = with_offset(&line.time);
    let fencing_token =
        line.fencing_token.map(|fencing_token| format!("/{fencing_token}")).unwrap_or_default();
    let whose =
        paint.paint(format!("{}{fencing_token}", sanitize(&line.host)), Style::new().blue());
    let text = match &*line.stream {
        "stdout" => sanitize(&line.text),
        _ => paint.paint(sanitize(&line.text), Style::new().yellow()),
    };
    format!("{} {whose} {text}", paint.paint(sanitize(&time), Style::new().dimmed()))
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
            fencing_token: Some(17),
            stream: "stderr".into(),
            text: "oh \u{1b}[2J".into(),
        };
        assert_eq!(
            for_people(&line, Paint::OFF),
            "2026-11-22T08:06:10.123+00:00 a/17 oh \\u{1b}[2J"
        );
        let aside = LogLine { fencing_token: None, text: "hm".into(), ..line };
        assert_eq!(for_people(&aside, Paint::OFF), "2026-11-22T08:06:10.123+00:00 a hm");
    }
}
