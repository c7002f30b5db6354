//! The `soloist` executable; see the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    soloist::cli::main()
}
