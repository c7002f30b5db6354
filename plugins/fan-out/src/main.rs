//! # fan-out
//!
//! Spreads a list of work over the cluster: for each item it calls a task, on whichever host
//! has time, some of them at once, and then tells what became of them and who worked.
//!
//! ```toml
//! [action.fan-out]
//! schedule = "0 3 * * *"
//! tasks    = ["resize"]              # the grant: what it may call
//!
//! [action.fan-out.config]
//! task     = "resize"
//! items    = """
//! a.png
//! b.png
//! """                                # one call a line ...
//! # file   = "/work/list.txt"        # ... or the lines of a file in a folder of `mounts`
//! at-once  = "8"
//! attempts = "3"
//! ```
//!
//! With a `schedule` it goes through the list at each run, otherwise once a term. It fails
//! if an item was not done, and names it. Without a list it says what is missing and rests.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        generate_all,
    });
}

use std::{collections::BTreeMap, env, fs, process::ExitCode};

use bindings::soloist::plugin::tasks::{CallRequest, Error, PendingCall, start};
use bindings::soloist::plugin::term;
use bindings::wasi::config::store::get;
use bindings::wasi::io::poll::poll;

/// Ends a run; a service that ended would be started again, so it waits for the end of
/// the term.
fn rest(code: ExitCode) -> ExitCode {
    if env::var_os("SOLOIST_RUN_ID").is_some() {
        return code;
    }
    term::subscribe_ending().block();
    ExitCode::SUCCESS
}

/// What the settings ask for.
struct Plan {
    task: String,
    items: Vec<String>,
    at_once: usize,
    attempts: u32,
}

fn main() -> ExitCode {
    let plan = match Plan::read() {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("{problem}");
            return rest(ExitCode::FAILURE);
        }
    };
    let count = plan.items.len();
    println!("{count} items for {}, {} at once", plan.task, plan.at_once);
    let (hosts, failed) = plan.carry_out();
    let done: usize = hosts.values().sum();
    let hosts: Vec<_> = hosts.iter().map(|(host, count)| format!("{host} {count}")).collect();
    println!("{done} of {count} done: {}", hosts.join(", "));
    if failed == 0 { rest(ExitCode::SUCCESS) } else { ExitCode::FAILURE }
}

impl Plan {
    fn read() -> Result<Self, String> {
        let setting = |name: &str| get(name).ok().flatten();
        let number = |name: &str, default| match setting(name) {
            Some(text) => {
                let wrong = format!("`{name} = \"{text}\"` in `config`: write a number from 1");
                text.trim().parse().ok().filter(|number| *number > 0).ok_or(wrong)
            }
            None => Ok(default),
        };
        let list = match (setting("items"), setting("file")) {
            (Some(items), None) => items,
            (None, Some(file)) => fs::read_to_string(&file).map_err(|error| {
                format!("cannot read {file}: {error}; grant its folder with `mounts`")
            })?,
            _ => return Err("`config` needs either `items` or `file`: one item a line".to_owned()),
        };
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(Self {
            task: setting("task").ok_or("`config` needs `task`: the task to call")?,
            items: lines.map(ToOwned::to_owned).collect(),
            at_once: number("at-once", 8)? as usize,
            attempts: number("attempts", 1)?,
        })
    }

    /// Calls the task for every item. How often each host worked, and how many items were
    /// not done.
    fn carry_out(&self) -> (BTreeMap<String, usize>, usize) {
        let mut items = self.items.iter();
        let mut calls: Vec<(&String, PendingCall)> = Vec::new();
        let (mut hosts, mut failed) = (BTreeMap::new(), 0);
        loop {
            let room = self.at_once - calls.len();
            calls.extend(items.by_ref().take(room).map(|item| (item, self.start(item))));
            if calls.is_empty() {
                return (hosts, failed);
            }
            wait(&calls);
            calls.retain(|(item, call)| match call.get() {
                Some(Ok(done)) => {
                    *hosts.entry(done.host).or_default() += 1;
                    false
                }
                Some(Err(error)) => {
                    eprintln!("{item}: {}", told(&error));
                    failed += 1;
                    false
                }
                None => true,
            });
        }
    }

    fn start(&self, item: &str) -> PendingCall {
        start(&CallRequest {
            task: self.task.clone(),
            payload: item.as_bytes().to_vec(),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            timeout: None,
            max_attempts: self.attempts,
        })
    }
}

/// Waits until one of them has an outcome.
fn wait(calls: &[(&String, PendingCall)]) {
    let outcomes: Vec<_> = calls.iter().map(|(_, call)| call.subscribe()).collect();
    poll(&outcomes.iter().collect::<Vec<_>>());
}

fn told(error: &Error) -> &str {
    match error {
        Error::Timeout => "it took too long",
        Error::Overloaded => "every host has as many calls as it takes",
        Error::AccessDenied(text)
        | Error::Invalid(text)
        | Error::Failed(text)
        | Error::Unavailable(text)
        | Error::UnknownOutcome(text) => text,
    }
}
