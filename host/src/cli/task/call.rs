//! `soloist task call` and `soloist task enqueue`: run a task on whichever host has capacity.

use std::{
    io::{Read, stdin},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, value_parser};
use http::Method;

use crate::api::EnqueuedCall;
use crate::cli::{
    ExitError, ExitKind,
    api_client::{ApiClient, ApiRequest, ApiResponse, STORE_PATIENCE},
    terminal::{end_line, hand_out, remark, sanitize, say, say_json},
};
use soloist_config::{DAY, MS, span};
use soloist_guests::capability::ATTEMPTS_MAX;

/// How much longer than its time limit a response may take on the network.
const WAY: Duration = Duration::from_secs(5);
/// The greatest time limit that the settings of a task allow.
const LONGEST: Duration = Duration::from_millis(DAY);

/// Call a task, wait, and print its result
///
/// The host with the least work runs it. The result goes to stdout unchanged, and the name of the
/// host that ran it to stderr. The exit code is 1 if the task failed, 65 if it refused the payload,
/// 69 if it was not done in time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task call shout hello
  soloist task call resize --file photo.jpg --content-type image/jpeg > small.jpg
  echo 600851475143 | soloist task call factor -")]
pub(super) struct TaskCallArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// The time limit of an attempt, 1ms to 24h [default: the task's `call_timeout`]
    #[arg(long, value_name = "DURATION", value_parser = span::<MS, DAY>)]
    timeout: Option<Duration>,
    /// The number of attempts in all, if the task fails
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=ATTEMPTS_MAX.into()))]
    attempts: u32,
    /// Do not print the name of the host that ran it
    #[arg(long, short)]
    quiet: bool,
}

/// Enqueue a call of a task, and print its id
///
/// The call is kept in the store until a host has done it, even if hosts die: it is done at least
/// once. `soloist task show TASK ID` shows its state and result.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task enqueue resize --file photo.jpg
  soloist task enqueue mail 'to: ada@example.com'")]
pub(super) struct TaskEnqueueArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The payload of a call.
#[derive(Debug, Args)]
struct PayloadArgs {
    /// The payload; `-` reads it from stdin [default: empty]
    #[arg(default_value = "", hide_default_value = true, conflicts_with = "file")]
    payload: String,
    /// The file that holds the payload
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The media type of the payload, as in application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

/// Calls the task, and prints its result.
pub(super) async fn call(client: &ApiClient, args: TaskCallArgs) -> Result<(), ExitError> {
    let question = client.request(Method::POST, &["v1", "tasks", &args.task]);
    let mut question = question.option("max_attempts", &args.attempts.to_string());
    if let Some(timeout) = args.timeout {
        let timeout = humantime::format_duration(timeout).to_string();
        question = question.option("timeout", &timeout.replace(' ', ""));
    }
    let patience = args.timeout.unwrap_or(LONGEST).saturating_add(WAY);
    let answer = args.payload.put(question)?.send(patience).await.map_err(failure_of_task)?;
    let worked = worked(&answer);
    let bytes = answer.bytes();
    hand_out(&bytes);
    end_line(&bytes, !args.quiet);
    if !args.quiet {
        remark(&worked);
    }
    Ok(())
}

/// A call that a host answers with an internal error is one that the task failed at.
fn failure_of_task(error: ExitError) -> ExitError {
    match error.exit() {
        ExitKind::Internal => error.with_exit(ExitKind::Failed),
        _ => error,
    }
}

/// Stores the call, and prints its id.
pub(super) async fn enqueue(client: &ApiClient, args: TaskEnqueueArgs) -> Result<(), ExitError> {
    let question = client.request(Method::POST, &["v1", "tasks", &args.task, "queue"]);
    let question = args.payload.put(question)?;
    let answer = question.send(STORE_PATIENCE).await?;
    if args.json {
        say_json(&(answer.text()? + "\n"));
        return Ok(());
    }
    let queued_call: EnqueuedCall = answer.json()?;
    say(&format!("{}\n", sanitize(&queued_call.id)));
    Ok(())
}

impl PayloadArgs {
    fn put(&self, question: ApiRequest) -> Result<ApiRequest, ExitError> {
        question.body(self.read()?, self.content_type.as_deref())
    }

    fn read(&self) -> Result<Vec<u8>, ExitError> {
        let unreadable = |what: String| {
            move |error: std::io::Error| ExitError::of_file(format!("cannot read {what}"), &error)
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
