//! Does its work and ends normally.

fn main() {
    println!("done");
}
