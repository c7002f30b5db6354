//! A valid component that exports nothing that soloist could run.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package example:library@1.0.0;

            interface sums {
                add: func(a: u32, b: u32) -> u32;
            }

            world library {
                export sums;
            }
        ",
    });
}

struct Library;

impl bindings::exports::example::library::sums::Guest for Library {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
}

bindings::export!(Library with_types_in bindings);
