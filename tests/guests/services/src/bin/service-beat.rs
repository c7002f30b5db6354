//! Increments a counter in its state and prints it: `beat TOKEN COUNT`. If the host refuses, it
//! prints `refused TOKEN WHY`.

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
    let token = term::current().token;
    let bucket = store::open("").expect("`state = true` in the action's settings");
    loop {
        match atomics::increment(&bucket, "beats", 1) {
            Ok(count) => println!("beat {token} {count}"),
            Err(error) => println!("refused {token} {error:?}"),
        }
        sleep(PAUSE);
    }
}
