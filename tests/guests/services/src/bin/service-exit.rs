//! Ends at once, with an exit code.

fn main() {
    println!("bye");
    std::process::exit(3);
}
