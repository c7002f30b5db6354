//! What one module defines, imports, and refers to.

use std::collections::{BTreeMap, BTreeSet};

/// A path as it is written, in segments.
pub(crate) type Path = Vec<String>;

/// A module, of a file of its own or within one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Modules that it declares, whose files are of their own.
    pub(crate) children: BTreeSet<String>,
    /// Modules that are written within it.
    pub(crate) inline: BTreeMap<String, Self>,
    /// Items that it defines.
    pub(crate) items: BTreeSet<String>,
    /// Names for its own use, each with its path.
    pub(crate) imports: BTreeMap<String, Path>,
    /// Names that it passes on (`pub use`): nothing that it refers to itself.
    pub(crate) exports: BTreeMap<String, Path>,
    /// Modules all of whose names it takes, for its own use.
    pub(crate) globs: Vec<Path>,
    /// The same, passed on.
    pub(crate) glob_exports: Vec<Path>,
    /// Paths in its code, of two segments at least.
    pub(crate) paths: BTreeSet<Path>,
}

impl Module {
    /// Reads the tokens of a file.
    pub(crate) fn parse(tokens: &[&str]) -> Self {
        let mut module = Self::default();
        Parser { tokens, at: 0 }.module(&mut module);
        module
    }

    /// All that it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Path> {
        self.imports.values().chain(&self.globs).chain(&self.paths)
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek(0);
        self.at += 1;
        token
    }

    /// Reads to the end of the module: of the file, or to the brace that closes it.
    fn module(&mut self, module: &mut Module) {
        let mut depth = 0_usize;
        let mut is_public = false;
        while self.at < self.tokens.len() {
            let token = self.peek(0);
            match token {
                "{" => depth += 1,
                "}" if depth == 0 => return,
                "}" => depth -= 1,
                // Of the item that follows, if its visibility does.
                "pub" => {
                    is_public = true;
                    self.visibility();
                    continue;
                }
                "use" => {
                    self.at += 1;
                    self.import(module, is_public);
                }
                "mod" if is_name(self.peek(1)) => self.submodule(module),
                "struct" | "enum" | "trait" | "fn" | "const" | "static" | "type" | "union"
                    if depth == 0 && is_name(self.peek(1)) =>
                {
                    module.items.insert(self.peek(1).to_owned());
                }
                "macro_rules" if self.peek(1) == "!" => {
                    module.items.insert(self.peek(2).to_owned());
                }
                _ if is_name(token) && self.peek(1) == "::" && !self.is_continued() => {
                    self.path(module);
                    is_public = false;
                    continue;
                }
                _ => {}
            }
            is_public = false;
            self.at += 1;
        }
    }

    /// Skips `pub`, `pub(crate)` and the like.
    fn visibility(&mut self) {
        self.at += 1;
        if self.peek(0) == "(" && matches!(self.peek(1), "crate" | "super" | "self" | "in") {
            while self.next() != ")" {}
        }
    }

    fn submodule(&mut self, module: &mut Module) {
        let name = self.peek(1).to_owned();
        match self.peek(2) {
            ";" => drop(module.children.insert(name)),
            "{" => {
                self.at += 3;
                self.module(module.inline.entry(name).or_default());
            }
            _ => {}
        }
    }

    /// Whether the token before belongs to the path as well.
    fn is_continued(&self) -> bool {
        self.at > 0 && self.tokens[self.at - 1] == "::"
    }

    fn path(&mut self, module: &mut Module) {
        let mut path = vec![self.next().to_owned()];
        while self.peek(0) == "::" && is_name(self.peek(1)) {
            self.at += 1;
            path.push(self.next().to_owned());
        }
        if path.len() > 1 {
            module.paths.insert(path);
        }
    }

    fn import(&mut self, module: &mut Module, is_public: bool) {
        let mut leaves = Vec::new();
        self.tree(&Vec::new(), &mut leaves);
        for (mut path, alias) in leaves {
            let is_self = path.len() > 1 && path.last().is_some_and(|name| name == "self");
            if is_self {
                path.pop();
            }
            if path.last().is_some_and(|name| name == "*") {
                path.pop();
                let globs = if is_public { &mut module.glob_exports } else { &mut module.globs };
                globs.push(path);
            } else if let Some(name) = alias.or_else(|| path.last().cloned()) {
                let names = if is_public { &mut module.exports } else { &mut module.imports };
                names.insert(name, path);
            }
        }
    }

    /// Reads a tree of `use`: each of its leaves, with the name that it is given.
    fn tree(&mut self, base: &Path, leaves: &mut Vec<(Path, Option<String>)>) {
        let mut path = base.clone();
        loop {
            if self.peek(0) == "{" {
                self.at += 1;
                while !matches!(self.peek(0), "}" | "") {
                    self.tree(&path, leaves);
                    if self.peek(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            path.push(self.next().to_owned());
            if self.peek(0) != "::" {
                break;
            }
            self.at += 1;
        }
        let alias = (self.peek(0) == "as").then(|| {
            self.at += 1;
            self.next().to_owned()
        });
        leaves.push((path, alias));
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[test]
fn a_module_is_read() {
    let source = "
        mod child;
        mod within { use super::Thing; }
        pub(crate) use self::child::{Out, deep::*};
        use crate::a::{self, b::{C, D as E}, f::*};
        pub(super) struct Thing { field: super::other::Field }
        impl Thing { fn new() -> Self { helper::make::<Self>(); use x::Y; Self } }
    ";
    let module = Module::parse(&super::tokens::split(source));
    let text = |path: &Path| path.join("::");
    let names = |names: &BTreeMap<String, Path>| {
        names.iter().map(|(name, path)| format!("{name}={}", text(path))).collect::<Vec<_>>()
    };
    assert_eq!(module.children, BTreeSet::from(["child".to_owned()]));
    assert_eq!(names(&module.inline["within"].imports), ["Thing=super::Thing"]);
    assert_eq!(module.items, BTreeSet::from(["Thing".to_owned()]));
    assert_eq!(names(&module.exports), ["Out=self::child::Out"]);
    assert_eq!(
        names(&module.imports),
        ["C=crate::a::b::C", "E=crate::a::b::D", "Y=x::Y", "a=crate::a"]
    );
    assert_eq!(module.globs.iter().map(text).collect::<Vec<_>>(), ["crate::a::f"]);
    assert_eq!(module.glob_exports.iter().map(text).collect::<Vec<_>>(), ["self::child::deep"]);
    let paths: Vec<_> = module.paths.iter().map(text).collect();
    assert_eq!(paths, ["helper::make", "super::other::Field"]);
}
