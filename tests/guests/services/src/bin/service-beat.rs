//! Increments a counter in its state and prints it: `beat FENCING TOKEN COUNT`. If the host
//! refuses, it prints `refused FENCING TOKEN WHY`.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "imports",
        generate_all,
    });
}

use std::thread::sleep;
use std::time::Duration;

use bindings::soloist::plugin::term;
use bindings::wasi::keyvalue::{atomics, store};

/// Long compared with a write, short compared with a TTL.
const PAUSE: Duration = Duration::from_millis(100);

fn main() {
    let fencing_token = term::current().fencing_token;
    let bucket = store::open("").expect("`state = true` in the action's settings");
    loop {
        match atomics::increment(&bucket, "beats", 1) {
            Ok(count) => println!("beat {fencing_token} {count}"),
            Err(error) => println!("refused {fencing_token} {error:?}"),
        }
        sleep(PAUSE);
    }
}
