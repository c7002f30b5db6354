//! The output of `soloist --version`.

/// The versions of soloist, of the runtime for its plugins, and of the interfaces that it offers
/// them. `-V` prints only the first.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nwasmtime 48.0.8",
    "\nsoloist:plugin 0.1.0, WASI 0.2 and 0.3",
);

/// The version of soloist alone.
pub(super) const NUMBER: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_this_program_is_made_of() {
        let lock: toml::Table = include_str!("../../../Cargo.lock").parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let wasmtime = packages.iter().find(|p| p["name"].as_str() == Some("wasmtime")).unwrap();
        let wasmtime = format!("wasmtime {}", wasmtime["version"].as_str().unwrap());
        let term = include_str!("../../../wit/term.wit");
        let package = term.lines().find_map(|line| line.strip_prefix("package ")).unwrap();
        let interfaces = package.trim_end_matches(';').replace('@', " ");
        let lines: Vec<_> = LONG.lines().collect();
        assert_eq!(lines[1], wasmtime, "write it into LONG");
        assert!(lines[2].starts_with(&format!("{interfaces},")), "{interfaces}: {LONG}");
    }
}
