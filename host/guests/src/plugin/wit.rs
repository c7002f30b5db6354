//! The WIT package `soloist:plugin`, as part of the program. New plugins are written against it,
//! and core modules without a world are matched with it.

use std::collections::BTreeMap;

use wit_parser::{PackageId, Resolve, SourceMap, UnresolvedPackageGroup};

use super::plugin_error::BoxError;

/// Lists each file by its path below `wit/`, with its content.
macro_rules! package {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../wit/", $path)))),+]
    };
}

/// The files of the package and of its dependencies, by path.
pub const FILES: &[(&str, &str)] = package![
    "hooks.wit",
    "strategy.wit",
    "task.wit",
    "tasks.wit",
    "term.wit",
    "worlds.wit",
    "deps/cli.wit",
    "deps/clocks.wit",
    "deps/filesystem.wit",
    "deps/http.wit",
    "deps/io.wit",
    "deps/random.wit",
    "deps/sockets.wit",
    "deps/config/store.wit",
    "deps/config/world.wit",
    "deps/keyvalue/atomic.wit",
    "deps/keyvalue/batch.wit",
    "deps/keyvalue/store.wit",
    "deps/keyvalue/watch.wit",
    "deps/keyvalue/world.wit",
];

/// Parses the package.
///
/// # Errors
/// Never, as a test shows: the text is part of the program.
pub fn resolve() -> Result<(Resolve, PackageId), BoxError> {
    let mut own = SourceMap::new();
    let mut needed: BTreeMap<&str, SourceMap> = BTreeMap::new();
    for (path, text) in FILES {
        let sources = match path.strip_prefix("deps/") {
            // A package is a single file or a folder.
            Some(rest) => needed.entry(rest.split('/').next().unwrap_or(rest)).or_default(),
            None => &mut own,
        };
        sources.push_str(path, *text);
    }
    let needed = needed.into_values().map(parse).collect::<Result<_, _>>()?;
    let mut resolve = Resolve::new();
    let package = resolve.push_groups(parse(own)?, needed)?;
    Ok((resolve, package))
}

fn parse(sources: SourceMap) -> Result<UnresolvedPackageGroup, BoxError> {
    sources.parse().map_err(|(sources, error)| error.render(&sources).into())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn no_file_of_the_package_is_left_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut there = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    there.push(path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        there.retain(|path| path != "README.md");
        let mut here: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        there.sort();
        here.sort();
        assert_eq!(here, there);
    }

    #[test]
    fn every_world_resolves() {
        let (resolve, package) = resolve().unwrap();
        let worlds: Vec<_> = resolve.packages[package].worlds.keys().map(String::as_str).collect();
        let expected = [
            "imports",
            "http-plugin",
            "service-plugin",
            "job-plugin",
            "task-plugin",
            "strategy-plugin",
            "hooks-plugin",
        ];
        assert_eq!(worlds, expected);
    }
}
