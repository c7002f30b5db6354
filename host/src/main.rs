//! The `soloist` executable; see the library for everything.

use std::process::ExitCode;

/// An instance a request is some hundreds of allocations a request: the system's allocator
/// takes a tenth of the time that all of a request takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    soloist::cli::main()
}
