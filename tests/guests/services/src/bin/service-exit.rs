//! Ends at once, with an exit code of its own.

fn main() {
    println!("bye");
    std::process::exit(3);
}
