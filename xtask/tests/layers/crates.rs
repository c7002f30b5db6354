//! The crates under `host/`: their modules, and what a path in one of them leads to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::module::{self, Module};

/// A module by its crate and its place in it: `["soloist", "action", "running"]`.
pub(crate) type Place = Vec<String>;

/// Every module, with its file.
pub(crate) struct Crates {
    modules: BTreeMap<Place, (PathBuf, Module)>,
}

/// A place where one file refers to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    /// The path, as it is written.
    pub(crate) by: String,
}

impl Crates {
    /// Reads the crates whose folders these are.
    pub(crate) fn read(folders: &[(String, PathBuf)]) -> Self {
        let mut crates = Self { modules: BTreeMap::new() };
        for (name, folder) in folders {
            let name = name.replace('-', "_");
            crates.read_file(vec![name], &folder.join("src/lib.rs"));
        }
        crates
    }

    fn read_file(&mut self, place: Place, file: &Path) {
        let source = fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        let module = Module::parse(&source)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        for child in &module.children {
            let mut place = place.clone();
            place.push(child.clone());
            self.read_file(place, &file_of(file, child));
        }
        self.insert(place, file, module);
    }

    fn insert(&mut self, place: Place, file: &Path, mut module: Module) {
        for (name, inline) in std::mem::take(&mut module.inline) {
            module.children.insert(name.clone());
            let mut place = place.clone();
            place.push(name);
            self.insert(place, file, inline);
        }
        self.modules.insert(place, (file.to_owned(), module));
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.modules.len()
    }

    /// The crate and the module of its root that each file is in.
    pub(crate) fn rooms(&self) -> BTreeMap<&Path, &[String]> {
        let room = |place: &'_ Place| place.len().min(2);
        self.modules
            .iter()
            .map(|(place, (file, _))| (file.as_path(), &place[..room(place)]))
            .collect()
    }

    /// Every type and trait, with its crate and each file that defines one of its name.
    pub(crate) fn types(&self) -> BTreeMap<(&str, &str), Vec<&Path>> {
        let mut types = BTreeMap::<_, Vec<_>>::new();
        for (place, (file, module)) in &self.modules {
            for name in &module.types {
                types.entry((place[0].as_str(), name.as_str())).or_default().push(file.as_path());
            }
        }
        types
    }

    /// Every reference from one file to another, by what it leads to in the end.
    pub(crate) fn references(&self) -> Vec<Reference> {
        let mut references = Vec::new();
        for (place, (from, module)) in &self.modules {
            for path in module.references() {
                if path.last().is_some_and(|name| name == "super") {
                    continue;
                }
                let Some(to) = self.resolve(place, path, 0) else { continue };
                let to = &self.modules[&to].0;
                if to != from {
                    let by = path.join("::");
                    references.push(Reference { from: from.clone(), to: to.clone(), by });
                }
            }
        }
        references.sort();
        references.dedup();
        references
    }

    /// The module that defines what `path` names in the module at `place`, or that module
    /// itself. None for what is no crate of ours.
    fn resolve(&self, place: &[String], path: &[String], depth: usize) -> Option<Place> {
        let Some((first, rest)) = path.split_first() else { return Some(place.to_vec()) };
        // Globs may lead to each other.
        if depth > 16 {
            return None;
        }
        let follow = |place: &[String], path: &[String]| self.resolve(place, path, depth + 1);
        match first.as_str() {
            "crate" => return follow(&place[..1], rest),
            "self" => return follow(place, rest),
            "super" if place.len() > 1 => return follow(&place[..place.len() - 1], rest),
            "super" => return None,
            _ => {}
        }
        let module = &self.modules.get(place)?.1;
        let child = [place, std::slice::from_ref(first)].concat();
        if module.children.contains(first) && self.modules.contains_key(&child) {
            return follow(&child, rest);
        }
        if module.items.contains(first) {
            return Some(place.to_vec());
        }
        if let Some(path) = module.exports.get(first).or_else(|| module.imports.get(first)) {
            // `use name;` of a crate names itself.
            if path.len() > 1 || path.first() != Some(first) {
                return follow(place, &[path.as_slice(), rest].concat());
            }
        }
        let root = std::slice::from_ref(first);
        if self.modules.contains_key(root) {
            return follow(root, rest);
        }
        module.glob_exports.iter().chain(&module.globs).find_map(|glob: &module::Path| {
            let module = follow(place, glob)?;
            // A glob of this very module brings nothing new.
            (module != place).then(|| follow(&module, path)).flatten()
        })
    }
}

/// The file of a module that `parent` declares.
fn file_of(parent: &Path, child: &str) -> PathBuf {
    let is_folder = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| parent.ends_with(name));
    let folder = if is_folder { parent.with_file_name("") } else { parent.with_extension("") };
    let file = folder.join(format!("{child}.rs"));
    if file.is_file() { file } else { folder.join(child).join("mod.rs") }
}
