//! The first commands of README.md: whoever enters them sees what it shows.
//!
//! They use fixed addresses, so they run in a network of their own, which leads nowhere. One line is
//! run outside of it: the build, which asks cargo for crates. Fencing tokens differ from run to run.

use super::{
    blocks::{Exchange, fenced},
    machines::Machines,
    meet,
};
use crate::languages::projects;

const README: &str = include_str!("../../../README.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_first_commands_of_the_readme_do_what_it_says() {
    let (mut machines, mut variables) = (Machines::new(), String::new());
    let blocks = fenced(README, "console");
    assert_eq!(blocks.len(), 2, "the demo, and a plugin of the reader's own");
    for block in blocks {
        for exchange in Exchange::of(&block, &mut variables) {
            enter(&mut machines, exchange).await;
        }
    }
}

async fn enter(machines: &mut Machines, exchange: Exchange) {
    if exchange.script == "soloist demo" {
        machines.start_on(&["b".to_owned()], &exchange.script);
        meet(machines, "b", &shows("curl --silent http://127.0.0.1:4001/")).await;
        machines.switch_off("b");
    } else if let Some(program) = exchange.script.strip_suffix(" &") {
        machines.start_on(&["a".to_owned()], program);
    } else if exchange.script.contains("cargo build") {
        let folder = machines.folder("a");
        projects::share("rust", &folder.join("hello"));
        projects::build(&folder, &exchange.script).await;
    } else if exchange.output.is_empty() {
        meet(machines, "a", &shows(&exchange.script)).await;
    } else {
        let output = without_numbers(&exchange.output);
        meet(machines, "a", &Exchange { output, ..exchange }).await;
    }
}

/// A command of which README.md shows only that it succeeds.
fn shows(script: &str) -> Exchange {
    Exchange { script: script.to_owned(), output: "…".to_owned() }
}

/// `…` for each fencing token.
fn without_numbers(output: &str) -> String {
    let is_token = |word: &&str| word.len() > 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_token(&word) { "…" } else { word });
        words.collect::<Vec<_>>().join(" ") + "\n"
    };
    output.lines().map(line).collect()
}

#[test]
fn fencing_tokens_are_left_out() {
    let printed = "hello at /: host a, fencing token 1796012000648\n";
    assert_eq!(without_numbers(printed), "hello at /: host a, fencing token …\n");
}
