//! Does its work and ends, as it should.

fn main() {
    println!("done");
}
