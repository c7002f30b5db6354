//! Counts in its state, and says so: `beat TOKEN COUNT`. What the host does not
//! let it count, it says as well: `refused TOKEN WHY`.

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

/// Long beside a write, short beside a TTL.
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
