//! The tutorial on three machines, as it is printed: each machine is a network of its own.
//!
//! Comments in the text say where a block runs. Commands that need systemd are not run.

mod blocks;
mod machines;
mod readme;

use std::{collections::BTreeMap, fs, time::Duration};

use tokio::time::{Instant, sleep};

use self::{
    blocks::{Block, Exchange, Place, blocks},
    machines::Machines,
};
use crate::harness::PATIENCE;

const TUTORIAL: &str = "docs/tutorial/three-machines.md";
/// How long a command may take until it prints what is promised: a lease may have to expire.
const WITHIN: Duration = PATIENCE.saturating_mul(2);

#[tokio::test(flavor = "multi_thread")]
async fn three_machines_are_set_up_as_the_tutorial_says() {
    let path = format!("{}/../{TUTORIAL}", env!("CARGO_MANIFEST_DIR"));
    let (mut machines, mut variables) = (Machines::new(), BTreeMap::<_, String>::new());
    let text = fs::read_to_string(path).expect("the tutorial");
    let all = blocks(&text);
    assert!(all.len() >= 10, "comments say where {} blocks run", all.len());
    for Block { place, text } in all {
        match place {
            Place::On(names) if text.starts_with("$ ") => {
                for name in names {
                    let variables = variables.entry(name.clone()).or_default();
                    for exchange in Exchange::of(&text, variables) {
                        meet(&machines, &name, &exchange).await;
                    }
                }
            }
            Place::On(names) => {
                for name in names {
                    let (succeeds, output) = machines.run(&name, &text).await;
                    assert!(succeeds, "{text}\n{output}");
                }
                machines.copy_certificates();
            }
            Place::InTheBackground(names) => machines.start_on(&names, &text),
            Place::File(name) => machines.write_on_each(&name, &text),
            Place::SwitchOff(name) => machines.switch_off(&name),
        }
    }
}

/// Runs a command until it prints what the tutorial promises.
async fn meet(machines: &Machines, on: &str, exchange: &Exchange) {
    let until = Instant::now() + WITHIN;
    loop {
        let (succeeds, output) = machines.run(on, &exchange.script).await;
        if succeeds && exchange.is_met_by(&output) {
            return;
        }
        let Exchange { script, output: promised } = exchange;
        assert!(
            Instant::now() < until,
            "{script}\n--- prints ---\n{output}--- and not ---\n{promised}\n{}",
            machines.logs()
        );
        sleep(Duration::from_millis(200)).await;
    }
}
