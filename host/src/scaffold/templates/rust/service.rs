//! Works as long as its host leads: one turn a second, until the term is ending.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

use bindings::soloist::plugin::term;
use bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use bindings::wasi::io::poll::poll;

/// The time between two turns, in nanoseconds.
const PAUSE: u64 = 1_000_000_000;

fn main() {
    let term = term::current();
    // Who has asked for it is given time to finish.
    let ending = term::subscribe_ending();
    for turn in 1.. {
        println!("{{name}}: turn {turn} (host {}, fencing token {})", term.host, term.fencing_token);
        // Whichever comes first.
        poll(&[&ending, &subscribe_duration(PAUSE)]);
        if ending.ready() {
            println!("{{name}}: the term is ending after turn {turn}");
            return;
        }
    }
}
