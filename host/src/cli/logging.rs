//! The log on stderr: one line per event, for people or for machines.

use std::{fmt, time::SystemTime};

use clap::ValueEnum;
use owo_colors::Style;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{
    ExitError,
    file_alias::FileAlias,
    log_backlog::{LogBacklog, LogThread},
    terminal::{Paint, sanitize},
};
use soloist_text::{sanitize_json, with_offset};

/// Crates whose `info` level only helps their developers.
const NOISY: &str = "hyper=warn,hyper_util=warn,h2=warn,tower=warn,tonic=warn,reqwest=warn,\
                     wasmtime=warn,cranelift=warn,wasmtime_cranelift=warn";
/// The target of lines that plugins print.
const PLUGIN: &str = "plugin";
/// The field that names an event for machines.
const EVENT: &str = "event";

/// The event of lines that end with a command, which people copy.
const ASKING: &str = "asking";

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// The log of this process. Dropping this writes what is still waiting.
pub(super) struct LogGuard(#[expect(dead_code, reason = "held for its drop")] LogThread);

/// Starts the log of this process; `filter` is a level or a list of directives, as in
/// `info,soloist=debug`. Copies of a file are named by the `alias`.
///
/// A reader that stalls (Ctrl-S on a terminal, a full pipe) loses lines but never blocks this
/// process, which may have a lease to renew or a term to end.
pub(super) fn start(
    format: LogFormat,
    filter: &str,
    alias: Option<FileAlias>,
) -> Result<LogGuard, ExitError> {
    let filter = EnvFilter::builder().parse(format!("{NOISY},{filter}")).map_err(|error| {
        ExitError::usage(format!("`{filter}` is not a valid log filter"))
            .caused_by(&error)
            .help("write a level (error, warn, info, debug, trace), or `info,soloist=debug`")
    })?;
    let backlog = LogBacklog::default();
    let scribe = backlog.start_thread(std::io::stderr());
    let scribe = scribe.map_err(|error| ExitError::internal("cannot start the log", &error))?;
    let form = match format {
        LogFormat::Text => LineForm::Text(Paint::stderr()),
        LogFormat::Json => LineForm::Json,
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(backlog)
        // A log that cannot be written must not stop the process.
        .log_internal_errors(false)
        .event_format(LineFormat { form, alias })
        .try_init();
    started.map_err(|error| ExitError::internal("cannot start the log", &*error))?;
    Ok(LogGuard(scribe))
}

/// The content of an event.
#[derive(Default)]
struct LogEvent {
    message: String,
    fields: Map<String, Value>,
}

impl LogEvent {
    fn by(event: &Event<'_>) -> Self {
        let mut said = Self::default();
        event.record(&mut said);
        said
    }

    fn note(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            // Fields that the bridge from the `log` crate adds.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for LogEvent {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, value.into());
    }
}

/// How an event becomes a line.
struct LineFormat {
    form: LineForm,
    /// A file that is run from copies.
    alias: Option<FileAlias>,
}

/// The form of a line.
enum LineForm {
    /// `2026-11-22T08:06:10.123+00:00 WARN the session is lost error="timed out"`.
    Text(Paint),
    /// `{"time":"…","level":"WARN","target":"…","message":"…",…}`
    Json,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let said = LogEvent::by(event);
        let line = match self.form {
            LineForm::Text(paint) => {
                let time = paint.paint(with_offset(&now), Style::new().dimmed());
                format!("{time} {}", text_line(paint, level, target, said))
            }
            LineForm::Json => sanitize_json(&json_line(now, level, target, said).to_string()),
        };
        match &self.alias {
            Some(alias) => writeln!(writer, "{}", alias.shown(line)),
            None => writeln!(writer, "{line}"),
        }
    }
}

fn text_line(paint: Paint, level: &Level, target: &str, mut said: LogEvent) -> String {
    let mut line = match *level {
        Level::ERROR => paint.paint("ERROR ", Style::new().red().bold()),
        Level::WARN => paint.paint("WARN ", Style::new().yellow().bold()),
        Level::INFO => String::new(),
        other => paint.paint(format!("{other} "), Style::new().dimmed()),
    };
    if target == PLUGIN {
        // A line that a plugin printed only needs the name of its action.
        if let Some(Value::String(action)) = std::mem::take(&mut said.fields).remove("action") {
            line += &paint.paint(format!("[{}] ", sanitize(&action)), Style::new().blue());
        }
    }
    // Last, since the message says the same: the runbook and the log in JSON go by this name.
    let event = said.fields.remove(EVENT).filter(|event| event.as_str() != Some(ASKING));
    let event = event.iter().map(|value| (EVENT, value));
    line += &sanitize(&said.message);
    for (name, value) in said.fields.iter().map(|(name, value)| (&**name, value)).chain(event) {
        let field = format!(" {name}={}", text_value(value));
        line += &paint.paint(field, Style::new().dimmed());
    }
    line
}

/// Plain words unchanged, everything else in quotes.
fn text_value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
            format!("\"{}\"", sanitize(text))
        }
        Value::String(text) => sanitize(text),
        other => other.to_string(),
    }
}

fn json_line(time: String, level: &Level, target: &str, said: LogEvent) -> Value {
    let mut line = said.fields;
    // Inserted last, so that a field of the same name cannot replace them.
    line.insert("time".into(), time.into());
    line.insert("level".into(), level.as_str().into());
    line.insert("target".into(), target.into());
    line.insert("message".into(), said.message.into());
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(message: &str, fields: Value) -> LogEvent {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        LogEvent { message: message.into(), fields }
    }

    #[test]
    fn a_line_for_people() {
        let line = |level, target, said| text_line(Paint::OFF, &level, target, said);
        assert_eq!(
            line(
                Level::INFO,
                "soloist",
                said("leading", json!({ "event": "leading", "fencing_token": 17, "host": "a" }))
            ),
            "leading fencing_token=17 host=a event=leading"
        );
        assert_eq!(
            line(Level::WARN, "soloist", said("session lost", json!({ "error": "timed out" }))),
            "WARN session lost error=\"timed out\""
        );
        let hint = said("by: soloist job run beat", json!({ "event": "asking" }));
        assert_eq!(line(Level::INFO, "soloist", hint), "by: soloist job run beat");
        let printed = said(
            "hi \u{1b}[2J",
            json!({ "action": "web", "stream": "stdout", "fencing_token": 17 }),
        );
        assert_eq!(line(Level::INFO, PLUGIN, printed), "[web] hi \\u{1b}[2J");
    }

    #[test]
    fn a_line_for_machines() {
        let said = said("leading", json!({ "fencing_token": 17, "time": "forged" }));
        assert_eq!(
            json_line("2026-01-01T00:00:00.000Z".into(), &Level::INFO, "soloist", said).to_string(),
            r#"{"fencing_token":17,"level":"INFO","message":"leading","target":"soloist","time":"2026-01-01T00:00:00.000Z"}"#
        );
    }
}
