//! Calls of a task that does nothing, over three hosts, in turns with the same exchanges over plain
//! HTTP/2. `soloist bench task` does the measuring.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use soloist_devtools::guests;
use soloist_devtools::process::{Running, free_address};

use super::figures::median;
use super::{BenchContext, web};

const NAMES: [&str; 3] = ["a", "b", "c"];
const ROUNDS: usize = 5;
/// The numbers of calls in flight.
const AT_ONCE: [usize; 3] = [1, 16, 64];
/// The number of calls for each one in flight.
const EACH: usize = 500;

pub(super) fn run(context: &BenchContext) -> Result<()> {
    let plugins = context.scratch.join("tasks");
    fs::create_dir_all(&plugins)?;
    fs::copy(guests::test_guests()?.join("work.wasm"), plugins.join("work.wasm"))?;
    for instances in ["fresh", "reuse"] {
        let hosts = start(context, &plugins, instances)?;
        println!("\ninstances = {instances:?}, {} hosts, medians of {ROUNDS} rounds", hosts.len());
        println!("at once      plain      calls  ratio   p50 ms   p99 ms  hosts");
        for at_once in AT_ONCE {
            let rounds: Vec<_> =
                (0..ROUNDS).map(|_| round(context, hosts[0].1, at_once)).collect::<Result<_>>()?;
            let of = |key: &str| {
                let values = rounds.iter().filter_map(|round| round[key].as_f64());
                median(&values.collect::<Vec<_>>())
            };
            println!(
                "{at_once:7}  {:9.0}  {:9.0}  {:5.2}  {:7.2}  {:7.2}  {}",
                of("plain_per_second"),
                of("calls_per_second"),
                of("ratio"),
                of("p50_ms"),
                of("p99_ms"),
                rounds.last().map_or(Value::Null, |round| round["hosts"].clone()),
            );
        }
    }
    Ok(())
}

/// Starts three hosts with a task, and waits until each of them takes calls.
fn start(
    context: &BenchContext,
    plugins: &std::path::Path,
    instances: &str,
) -> Result<Vec<(Running, SocketAddr)>> {
    let store = format!("sqlite:tasks-{instances}.db");
    let config = context.scratch.join("tasks.toml");
    let action = "[action.work]\nplugin = \"work.wasm\"";
    let settings = format!("store = \"{store}\"\n{action}\ninstances = \"{instances}\"\n");
    fs::write(&config, settings)?;
    let mut hosts = Vec::new();
    for name in NAMES {
        let control = free_address()?;
        let mut command: Command = context.soloist(plugins);
        command.args(["--name", name, "--listen", &control.to_string(), "--config"]).arg(&config);
        hosts.push((Running::start(&format!("tasks-{name}"), &mut command)?, control));
    }
    for (process, control) in &mut hosts {
        let known = |address| {
            let answer = web::get(address, "/v1/tasks")?;
            let tasks: Value = serde_json::from_str(answer.body()).ok()?;
            Some(tasks[0]["hosts"].as_array()?.len())
        };
        let address = *control;
        process.wait_until("knowing all hosts", || known(address) == Some(NAMES.len()))?;
    }
    Ok(hosts)
}

fn round(context: &BenchContext, control: SocketAddr, at_once: usize) -> Result<Value> {
    let count = (at_once * EACH).max(2000).to_string();
    let url = format!("http://{control}");
    let mut command = Command::new(&context.program);
    command.args(["bench", "tasks", "work", "--json", "--url", &url]);
    command.args(["-n", &count, "-c", &at_once.to_string()]);
    let output = command.output().context("cannot run soloist bench")?;
    if !output.status.success() {
        bail!("soloist bench: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
