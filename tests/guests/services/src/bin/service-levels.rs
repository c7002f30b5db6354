//! Logs a message at every level of `wasi:logging`, and ends.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package tests:levels;

            world levels { import wasi:logging/logging@0.1.0-draft; }

            package wasi:logging@0.1.0-draft {
                interface logging {
                    enum level { trace, debug, info, warn, error, critical }
                    log: func(level: level, context: string, message: string);
                }
            }
        ",
        world: "tests:levels/levels",
        generate_all,
    });
}

use bindings::wasi::logging::logging::{Level, log};

fn main() {
    for (level, name) in [
        (Level::Trace, "trace"),
        (Level::Debug, "debug"),
        (Level::Info, "info"),
        (Level::Warn, "warn"),
        (Level::Error, "error"),
        (Level::Critical, "critical"),
    ] {
        log(level, "levels", &format!("this is {name}\nin two lines"));
    }
    log(Level::Info, "", &"ä".repeat(10_000));
}
