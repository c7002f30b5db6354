//! `soloist bench task`: calls per second, their latencies, and which hosts run them.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, Uri};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    chart,
    load::{BenchFigures, BenchRequest, ask},
};
use crate::{
    api::TaskEntry,
    cli::{
        ExitError,
        api_client::{ApiClient, HostArgs},
        count::count,
        task,
        terminal::{Paint, say, say_json},
    },
};

/// Call a task many times through one host, and show how fast it was and which hosts ran it
///
/// For comparison the same exchanges are made by plain HTTP/2: one with the host that is asked, and
/// one more with the host that runs the call, if that is another. Compare the two: the figures
/// themselves are those of this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist bench task
  soloist bench task shout hello --calls 10000 --concurrency 32")]
pub(super) struct BenchTasksArgs {
    /// The task [default: the only one there is]
    task: Option<String>,
    /// The payload of each call [default: empty]
    #[arg(default_value = "", hide_default_value = true)]
    payload: String,
    /// The number of calls
    #[arg(long, short = 'n', default_value_t = 1000, value_parser = count(1..=1_000_000_000))]
    calls: usize,
    /// The number of calls at a time
    #[arg(long, short = 'c', default_value_t = 16, value_parser = count(1..=10_000))]
    concurrency: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

/// The measured results.
#[derive(Debug, Serialize)]
struct BenchReport<'a> {
    task: &'a str,
    calls: usize,
    concurrency: usize,
    seconds: f64,
    calls_per_second: f64,
    plain_per_second: f64,
    /// The rate of calls divided by the rate of plain requests with the same exchanges.
    ratio: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    hosts: &'a std::collections::BTreeMap<String, usize>,
    failures: &'a std::collections::BTreeMap<String, usize>,
}

pub(super) async fn main(args: BenchTasksArgs) -> Result<(), ExitError> {
    let client = args.host.client()?;
    let task = match args.task {
        Some(task) => task,
        None => only_task(&task::list(&client).await?)?,
    };
    let call = BenchRequest {
        method: Method::POST,
        uri: uri(client.url(), &format!("/v1/tasks/{task}"))?,
        payload: Bytes::from(args.payload),
        headers: client.credential_headers(),
    };
    let plain = plain_requests(&client, &task).await?;
    let (count, at_once) = (args.calls.max(1), args.concurrency.max(1));
    let bar = progress(count * 2);
    let plain = ask(&client, &plain, count, at_once, &bar).await;
    let called = ask(&client, &[vec![call]], count, at_once, &bar).await;
    bar.finish_and_clear();
    if let Some((error, _)) = plain.failures.first_key_value() {
        let error = format!("{} does not answer: {error}", client.url());
        return Err(ExitError::unavailable(error)
            .help("is soloist running there? Another host: --url http://HOST:PORT"));
    }
    let report = BenchReport::of(&task, at_once, &called, &plain);
    if args.json {
        let text = serde_json::to_string_pretty(&report);
        say_json(&(text.map_err(|error| ExitError::internal("cannot write JSON", &error))? + "\n"));
    } else {
        say(&report.show(Paint::stdout()));
    }
    if called.failures.is_empty() {
        return Ok(());
    }
    let failed: usize = called.failures.values().sum();
    Err(ExitError::failed(format!("{failed} of {count} calls failed"))
        .help("the errors are above; `soloist task` shows the hosts that take calls"))
}

/// The exchanges of calls as plain requests: one sequence for each host that runs the task.
async fn plain_requests(
    client: &ApiClient,
    task: &str,
) -> Result<Vec<Vec<BenchRequest>>, ExitError> {
    let question = |url: &str| -> Result<_, ExitError> {
        let uri = uri(url, "/livez")?;
        Ok(BenchRequest {
            method: Method::GET,
            uri,
            payload: Bytes::new(),
            headers: client.credential_headers(),
        })
    };
    let status = client.status().await?;
    let asked = question(client.url())?;
    let mut sequences = Vec::new();
    for worker in status.hosts.iter().filter(|it| it.tasks.contains(task)) {
        let mut sequence = vec![asked.clone()];
        if worker.name != status.host.name {
            sequence.push(question(&worker.url)?);
        }
        sequences.push(sequence);
    }
    Ok(if sequences.is_empty() { vec![vec![asked]] } else { sequences })
}

fn uri(url: &str, path: &str) -> Result<Uri, ExitError> {
    let uri = format!("{}{path}", url.trim_end_matches('/'));
    uri.parse().map_err(|error| ExitError::internal("cannot make an address", &error))
}

/// A progress bar on a terminal, and nothing elsewhere.
fn progress(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}");
    let bar = ProgressBar::new(count as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn only_task(tasks: &[TaskEntry]) -> Result<String, ExitError> {
    match tasks {
        [only] => Ok(only.name.clone()),
        [] => Err(ExitError::missing("there is no task")
            .help("put a plugin that exports soloist:plugin/task into the plugins folder")),
        several => {
            let names: Vec<_> = several.iter().map(|task| task.name.as_str()).collect();
            let names = names.join(", ");
            Err(ExitError::usage("there is more than one task").help(format!("name one: {names}")))
        }
    }
}

impl<'a> BenchReport<'a> {
    fn of(
        task: &'a str,
        concurrency: usize,
        called: &'a BenchFigures,
        plain: &BenchFigures,
    ) -> Self {
        let ms = |span: Duration| span.as_secs_f64() * 1000.0;
        Self {
            task,
            calls: called.latencies.len(),
            concurrency,
            seconds: called.took.as_secs_f64(),
            calls_per_second: called.rate(),
            plain_per_second: plain.rate(),
            ratio: called.rate() / plain.rate().max(f64::MIN_POSITIVE),
            p50_ms: ms(called.permille(500)),
            p90_ms: ms(called.permille(900)),
            p99_ms: ms(called.permille(990)),
            max_ms: ms(called.permille(1000)),
            hosts: &called.hosts,
            failures: &called.failures,
        }
    }

    fn show(&self, paint: Paint) -> String {
        let Self { task, calls, concurrency, seconds, .. } = self;
        let mut text = format!(
            "{calls} calls of {task} in {seconds:.2} s, {concurrency} at once: {:.0} a second\n",
            self.calls_per_second
        );
        text += &chart::bars(self.hosts, paint);
        text += &format!(
            "latency: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, at most {:.2} ms\n",
            self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms
        );
        text += &format!(
            "the same exchanges by plain HTTP/2: {:.0} a second; calls reach {:.0} % of that\n",
            self.plain_per_second,
            self.ratio * 100.0
        );
        for (error, count) in self.failures {
            text += &format!("{count} failed: {}\n", crate::cli::terminal::sanitize(error));
        }
        text
    }
}
