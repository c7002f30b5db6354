//! `soloist call` and `soloist enqueue`: run a task on whichever host has capacity.

use std::{
    io::{Read, stdin},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, value_parser};
use http::Method;

use super::{
    ExitError,
    api_client::{ApiRequest, ApiResponse, HostArgs, STORE_PATIENCE},
    terminal::{end_line, hand_out, remark, sanitize, say},
};
use crate::api::EnqueuedCall;
use soloist_config::{DAY, MS, span};
use soloist_guests::capability::ATTEMPTS_MAX;

/// How much longer than its time limit a response may take on the network.
const WAY: Duration = Duration::from_secs(5);
/// The greatest time limit that the settings of a task allow.
const LONGEST: Duration = Duration::from_millis(DAY);

/// Have a task done, by whichever host has time, and print the result
///
/// The result goes to stdout as it is, on a terminal with an end of its line, and who worked
/// to stderr.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// How long it may take, as in 5s [default: what the task's settings say]
    #[arg(long, value_name = "SPAN", value_parser = span::<MS, DAY>)]
    timeout: Option<Duration>,
    /// How often it is tried, if the task says that it failed
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=ATTEMPTS_MAX.into()))]
    attempts: u32,
    /// Do not say who worked
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// Have a task kept in the store until some host has done it, and print its id
///
/// It is done at least once, whoever lives. `soloist tasks show TASK ID` tells what became
/// of it.
#[derive(Debug, Args)]
pub(super) struct EnqueueArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    host: HostArgs,
}

/// What is handed over.
#[derive(Debug, Args)]
struct PayloadArgs {
    /// What is handed over; `-` is what comes on stdin
    #[arg(default_value = "", conflicts_with = "file")]
    payload: String,
    /// Hand over the content of a file
    #[arg(long)]
    file: Option<PathBuf>,
    /// The form of that, as in application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

pub(super) async fn call(args: CallArgs) -> Result<(), ExitError> {
    let client = args.host.client()?;
    let question = client.request(Method::POST, &["v1", "tasks", &args.task]);
    let mut question = question.option("max_attempts", &args.attempts.to_string());
    if let Some(timeout) = args.timeout {
        let timeout = humantime::format_duration(timeout).to_string();
        question = question.option("timeout", &timeout.replace(' ', ""));
    }
    let patience = args.timeout.unwrap_or(LONGEST).saturating_add(WAY);
    let answer = args.payload.put(question)?.send(patience).await?;
    let worked = worked(&answer);
    let bytes = answer.bytes();
    hand_out(&bytes);
    end_line(&bytes, !args.quiet);
    if !args.quiet {
        remark(&worked);
    }
    Ok(())
}

pub(super) async fn enqueue(args: EnqueueArgs) -> Result<(), ExitError> {
    let client = args.host.client()?;
    let question = client.request(Method::POST, &["v1", "tasks", &args.task, "queue"]);
    let question = args.payload.put(question)?;
    let queued_call: EnqueuedCall = question.send(STORE_PATIENCE).await?.json()?;
    say(&format!("{}\n", sanitize(&queued_call.id)));
    Ok(())
}

impl PayloadArgs {
    fn put(&self, question: ApiRequest) -> Result<ApiRequest, ExitError> {
        question.body(self.read()?, self.content_type.as_deref())
    }

    fn read(&self) -> Result<Vec<u8>, ExitError> {
        let unreadable = |what: String| {
            move |error: std::io::Error| {
                ExitError::usage(format!("cannot read {what}")).caused_by(&error)
            }
        };
        if let Some(file) = &self.file {
            return std::fs::read(file).map_err(unreadable(file.display().to_string()));
        }
        if self.payload != "-" {
            return Ok(self.payload.clone().into_bytes());
        }
        let mut payload = Vec::new();
        stdin().read_to_end(&mut payload).map_err(unreadable("stdin".to_owned()))?;
        Ok(payload)
    }
}

/// Formats as in `b worked, at attempt 2`.
fn worked(answer: &ApiResponse) -> String {
    let host = answer.header("soloist-host").unwrap_or("somebody");
    match answer.header("soloist-attempt") {
        Some(attempt) if attempt != "1" => format!("{host} worked, at attempt {attempt}"),
        _ => format!("{host} worked"),
    }
}
