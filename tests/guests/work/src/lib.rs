//! A task that does what its payload says: a word and its arguments.
//!
//! `echo TEXT`, `who`, `count`, `refuse`, `fail`, `fail-before N` attempts, `trap`, `spin`, `sleep
//! MS`, `long BYTES`, `as FORM TEXT`, `call TASK PAYLOAD`, `enqueue TASK PAYLOAD`, `spread N TASK
//! PAYLOAD`.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "task-plugin",
        generate_all,
    });
}

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bindings::{
    exports::soloist::plugin::task::{Call, Error, Guest, Output},
    soloist::plugin::tasks::{self, CallRequest},
    wasi::io::poll::poll,
};

struct Work;

/// How many calls this instance has run.
static CALLS: AtomicU32 = AtomicU32::new(0);

impl Guest for Work {
    fn handle(call: Call) -> Result<Output, Error> {
        let count = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        let text = String::from_utf8_lossy(&call.payload).into_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let number = || rest.parse::<u32>().map_err(|error| Error::Invalid(error.to_string()));
        let mut form = "text/plain".to_owned();
        let told = match word {
            // An empty payload does nothing, to measure the cost of a call itself.
            "" => String::new(),
            "echo" => rest.to_owned(),
            "who" => {
                let Call { id, name, content_type, attempt, host, .. } = call;
                format!("{host} {name} {attempt} {} {id}", content_type.unwrap_or_default())
            }
            "count" => count.to_string(),
            "refuse" => return Err(Error::Invalid("no, thank you".to_owned())),
            "fail" => return Err(Error::Failed("not today".to_owned())),
            "fail-before" if call.attempt < number()? => {
                return Err(Error::Failed(format!("attempt {} is too early", call.attempt)));
            }
            "fail-before" => format!("attempt {}", call.attempt),
            "trap" => panic!("told to trap"),
            "spin" => loop {
                std::hint::black_box(());
            },
            "sleep" => {
                std::thread::sleep(Duration::from_millis(number()?.into()));
                call.host
            }
            "long" => "x".repeat(number()? as usize),
            "as" => {
                let (named, text) = rest.split_once(' ').unwrap_or((rest, ""));
                form = named.to_owned();
                text.to_owned()
            }
            "call" => show(tasks::call(&request(rest)))?,
            "enqueue" => {
                let CallRequest { task, payload, .. } = request(rest);
                tasks::enqueue(&task, &payload, None)
                    .map_err(|error| Error::Failed(format!("{error:?}")))?
            }
            "spread" => spread(rest)?,
            _ => return Err(Error::Invalid(format!("what is `{word}`?"))),
        };
        Ok(Output { payload: told.into_bytes(), content_type: Some(form) })
    }
}

fn request(text: &str) -> CallRequest {
    let (task, payload) = text.split_once(' ').unwrap_or((text, ""));
    CallRequest {
        task: task.to_owned(),
        payload: payload.as_bytes().to_vec(),
        content_type: None,
        timeout: None,
        max_attempts: 1,
    }
}

fn show(outcome: Result<tasks::Outcome, tasks::Error>) -> Result<String, Error> {
    let done = outcome.map_err(|error| Error::Failed(format!("{error:?}")))?;
    Ok(format!("{} said {}", done.host, String::from_utf8_lossy(&done.payload)))
}

/// Makes this many calls of a task at once, and tells how many each host ran.
fn spread(text: &str) -> Result<String, Error> {
    let (count, rest) = text.split_once(' ').unwrap_or((text, ""));
    let count = count.parse().map_err(|_| Error::Invalid("how often?".to_owned()))?;
    let calls: Vec<_> = (0..count).map(|_: u32| tasks::start(&request(rest))).collect();
    let mut hosts: BTreeMap<String, u32> = BTreeMap::new();
    for call in calls {
        poll(&[&call.subscribe()]);
        match call.get() {
            Some(Ok(done)) => *hosts.entry(done.host).or_default() += 1,
            other => return Err(Error::Failed(format!("{other:?}"))),
        }
    }
    Ok(format!("{hosts:?}"))
}

bindings::export!(Work with_types_in bindings);
