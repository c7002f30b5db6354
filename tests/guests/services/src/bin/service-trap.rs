//! Panics at once, which is a trap.

fn main() {
    println!("trapping");
    panic!("asked to trap");
}
