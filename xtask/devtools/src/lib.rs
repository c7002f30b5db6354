//! What the development programs share: `cargo xtask`, the fault bench and the benchmarks.
//!
//! It finds and installs other programs ([`cmd`], [`packages`], [`databases`], [`tools`],
//! [`languages`]),
//! builds what is in this repository ([`cargo`], [`soloist`], [`guests`]), and runs it
//! ([`process`], [`sandbox`], [`http`]). Nothing here is part of the program that users run.
//!
//! A newcomer's first command compiles this crate: what only one program needs belongs into
//! that program.

// These programs talk to the person who started them; there is no log to write to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod cargo;
pub mod cmd;
pub mod databases;
pub mod debian;
pub mod etcd;
pub mod files;
pub mod guests;
pub mod http;
pub mod languages;
pub mod packages;
pub mod paths;
pub mod process;
pub mod sandbox;
pub mod setup;
pub mod soloist;
pub mod times;
pub mod tools;
pub mod wasm_target;
