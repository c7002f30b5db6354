//! A service that works until there is a file `fail` in its folder: from then on it fails whenever
//! it is started.

use std::{path::Path, thread::sleep, time::Duration};

fn main() {
    println!("works");
    while !Path::new("/orders/fail").exists() {
        sleep(Duration::from_millis(20));
    }
    std::process::exit(1);
}
