//! Does one piece of work and ends.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

use bindings::soloist::plugin::term;

fn main() {
    let term = term::current();
    println!("{{name}}: begun (host {}, fencing token {})", term.host, term.fencing_token);
    let total: u64 = (1..=1_000_000).sum();
    println!("{{name}}: done, the sum is {total}");
}
