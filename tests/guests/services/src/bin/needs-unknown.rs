//! Imports an interface that no host offers, and uses it.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package example:unknown@1.0.0;

            interface thing {
                answer: func() -> u32;
            }

            world program {
                import thing;
            }
        ",
    });
}

fn main() {
    println!("{}", bindings::example::unknown::thing::answer());
}
