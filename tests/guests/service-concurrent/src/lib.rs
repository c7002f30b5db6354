//! A service of WASI 0.3 that prints a line, and then waits for ever.

use wasip3::{clocks::monotonic_clock::wait_for, exports::cli::run::Guest};

wasip3::cli::command::export!(Service);

struct Service;

impl Guest for Service {
    async fn run() -> Result<(), ()> {
        println!("concurrently");
        wait_for(u64::MAX).await;
        Ok(())
    }
}
