//! Works until the term is ending, then records that term in its state. It prints the term that was
//! recorded before.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "imports",
        generate_all,
    });
}

use std::{thread::sleep, time::Duration};

use bindings::soloist::plugin::term;
use bindings::wasi::keyvalue::store::open;

fn main() {
    let bucket = open("").expect("a bucket");
    let before = bucket.get("last").expect("to read").unwrap_or_else(|| b"nobody".into());
    let ending = term::subscribe_ending();
    println!("before: {}", String::from_utf8_lossy(&before));
    ending.block();
    // Long enough to be cut off by a host that does not wait.
    sleep(Duration::from_millis(300));
    let fencing_token = term::current().fencing_token.to_string();
    bucket.set("last", fencing_token.as_bytes()).expect("to write");
    println!("farewell: {fencing_token}");
}
